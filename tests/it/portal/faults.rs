//! The faults: where they strike, what they leave, and that the next request knows nothing of them.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use uploadfs::portal::faults::{Fault, How, Injection, Random, Rule, When};
use uploadfs::portal::link::Link;
use uploadfs::portal::onlyoffice::Generation;

use super::{C, Site, noise};
use crate::support::program::until;

fn once(site: &Site, kind: &str, fault: Fault) {
    site.portal.add_fault(Rule::once(kind, fault));
}

#[test]
fn an_answer_is_dropped_before_or_after_the_work() {
    for how in [How::Reset, How::Close] {
        for (when, held) in [(When::Before, 0), (When::After, C as u64)] {
            let site = Site::new(Generation::G3);
            let session = site.open("a.bin", 2 * C as i64);
            once(&site, "chunk", Fault::Drop { when, how });
            let failed = site.numbered(&session, 1, &noise(C)).send(site.address).unwrap_err();
            let expected = [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof, ErrorKind::BrokenPipe];
            assert!(expected.contains(&failed.kind()), "{failed}");
            assert_eq!(site.state().sessions[0].bytes_held, held, "{when:?} {how:?}");
            site.put_numbered(&session, 1, &noise(C)).data(200);
            assert_eq!(site.portal.faults_struck(), 1);
            site.in_order();
        }
    }
}

#[test]
fn a_lost_commit_is_a_commit() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", C as i64);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    once(&site, "finalize", Fault::Drop { when: When::After, how: How::Reset });
    let finalize = site.request("POST", &format!("{}&finalize=true", super::target(&session)));
    assert!(finalize.send(site.address).is_err());
    assert_eq!(site.file("a.bin").versions, 1);
    assert!(site.finalize(&session).refusal().starts_with("Object reference"));
}

#[test]
fn silence_lasts_until_somebody_ends_it() {
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", C as i64);
    once(&site, "chunk", Fault::Drop { when: When::After, how: How::Silence });
    let request = site.numbered(&session, 1, &noise(C));
    let address = site.address;
    let waiting = std::thread::spawn(move || request.send(address));
    until("the chunk to be applied", || site.state().sessions[0].bytes_held == C as u64);
    assert!(!waiting.is_finished());
    site.portal.stop();
    assert!(waiting.join().unwrap().is_err());
}

#[test]
fn somebody_on_the_way_answers_instead() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", C as i64);
    let answer = |when, status, body: &str| Fault::Answer { when, status, retry_after_s: Some(7), body: body.into() };
    once(&site, "chunk", answer(When::Before, 429, ""));
    let refused = site.put_numbered(&session, 1, &noise(C));
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
    assert_eq!(site.state().sessions[0].bytes_held, 0);
    once(&site, "chunk", answer(When::After, 504, "<html>Gateway Time-out</html>"));
    let late = site.put_numbered(&session, 1, &noise(C));
    assert_eq!((late.status, late.header("content-type")), (504, Some("text/html")));
    assert_eq!(site.state().sessions[0].bytes_held, C as u64);
    once(&site, "list", answer(When::Before, 200, "<html>Sign in to the network</html>"));
    let page = site.get("/api/2.0/files/@my");
    assert_eq!((page.status, page.text().contains("Sign in")), (200, true));
    site.get("/api/2.0/files/@my").response(200);
}

#[test]
fn connections_are_cut_at_the_byte() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", C as i64);
    for how in [How::Reset, How::Close] {
        once(&site, "chunk", Fault::CutRequest { at: 600, how });
        assert!(site.numbered(&session, 1, &noise(C)).send(site.address).is_err());
        // What came before the cut lies there, and counts for nothing.
        until("the half chunk", || (1..600).contains(&site.state().sessions[0].bytes_held));
        assert_eq!(site.finalize(&session).refusal(), "uploadSize != bytesTotal");
    }
    site.put_numbered(&session, 1, &noise(C)).data(200);
    let made = site.finalize(&session).data(201);
    let target = format!("/filehandler.ashx?action=download&fileid={}", made["id"]);
    once(&site, "download", Fault::CutAnswer { at: 100, how: How::Close });
    assert_eq!(site.request("GET", &target).send(site.address).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    once(&site, "list", Fault::CutAnswer { at: 0, how: How::Close });
    assert!(site.request("GET", "/api/2.0/files/@my").send(site.address).is_err());
    assert_eq!(site.download(&made["id"]), noise(C));
    site.in_order();
}

#[test]
fn the_nth_of_a_kind_is_struck() {
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", 4 * C as i64);
    let fault = Fault::Answer { when: When::Before, status: 502, retry_after_s: None, body: String::new() };
    site.portal.add_fault(Rule { times: 2, ..Rule::nth("chunk", 2, fault) });
    let statuses: Vec<u16> = (1..=4).map(|number| site.put_numbered(&session, number, &noise(C)).status).collect();
    assert_eq!(statuses, [200, 502, 502, 200]);
}

#[test]
fn a_token_expires_in_the_middle() {
    for generation in super::ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        site.put(&session, &noise(C)).data(200);
        once(&site, "self", Fault::Inject { what: Injection::ExpiredToken });
        assert_eq!(site.get("/api/2.0/people/@self").status, 401);
        assert_eq!(site.get("/api/2.0/people/@self").status, 401, "it stays so");
        let answer = site.put(&session, &noise(C));
        if site.is_docspace() {
            assert!(answer.refusal().starts_with("Not authorized"));
        } else {
            answer.data(201);
        }
    }
}

#[test]
fn a_quota_is_found_at_the_end_and_a_session_is_lost() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", C as i64);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    once(&site, "finalize", Fault::Inject { what: Injection::Quota });
    assert!(site.finalize(&session).refusal().starts_with("Room space quota exceeded"));
    assert_eq!(site.finalize(&session).refusal(), "The required file was not found", "it cannot be repeated");
    let session = site.open("b.bin", 2 * C as i64);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    once(&site, "chunk", Fault::Inject { what: Injection::LostSession });
    assert!(site.put_numbered(&session, 2, &noise(C)).refusal().starts_with("Object reference"));
    assert_eq!(site.state().leaked_bytes, C as u64);
}

#[test]
fn the_same_seed_strikes_the_same_requests() {
    let fault = Fault::Answer { when: When::Before, status: 503, retry_after_s: None, body: String::new() };
    let run = |seed| -> Vec<u16> {
        let site = Site::new(Generation::G3);
        let random = Random { seed, per_mille: 400, kinds: vec!["self".into()], faults: vec![fault.clone()] };
        site.portal.set_random(Some(random));
        (0..20).map(|_| site.get("/api/2.0/people/@self").status).collect()
    };
    assert_eq!(run(1), run(1));
    assert!(run(1).contains(&503) && run(1).contains(&200));
}

#[test]
fn a_slow_line_carries_everything() {
    let bytes = noise(30 * C);
    let site = Site::new(Generation::G2);
    let rate = Some(1 << 20);
    site.portal.set_link(Link { up_bytes_per_s: rate, down_bytes_per_s: rate, latency_ms: 1 });
    let made = site.upload("a.bin", &bytes);
    assert_eq!(site.download(&made["id"]), bytes);
    site.in_order();
}

#[test]
fn faults_pass_and_time_is_not_waited_for() {
    let site = Site::new(Generation::G3);
    once(&site, "self", Fault::Delay { when: When::Before, ms: 1 });
    site.get("/api/2.0/people/@self").response(200);
    site.portal.add_fault(Rule::always("self", Fault::Drop { when: When::Before, how: How::Close }));
    assert!(site.request("GET", "/api/2.0/people/@self").send(site.address).is_err());
    site.portal.clear_faults();
    site.get("/api/2.0/people/@self").response(200);
    site.portal.advance(Duration::from_secs(1));
    assert!(site.portal.set(&json!({"nonsense": 1})).is_err());
}
