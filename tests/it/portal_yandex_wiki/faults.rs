//! The faults of each kind of request, lost answers, and what a client must do about them.

use serde_json::json;
use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};

use super::{MIN, Site, assert_refused, noise, ok};
use crate::support::raw::Request;

fn once(site: &Site, kind: &str, fault: Fault) {
    site.portal.add_fault(Rule::once(kind, fault));
}

const LOST: Fault = Fault::Drop { when: When::After, how: How::Reset };
const SWALLOWED: Fault = Fault::Drop { when: When::Before, how: How::Close };

#[test]
fn every_kind_is_struck_by_its_name() {
    let site = Site::new();
    let made = site.upload("a", b"abc");
    let session = site.open("b", 3);
    let (page, file, session) =
        (format!("/v1/pages/{}", site.root), site.target(&made), format!("/v1/upload_sessions/{session}"));
    let operation = "/v1/operations/move/x";
    for (kind, method, target) in [
        ("me", "GET", "/v1/users/me"),
        ("openapi", "GET", "/v1/openapi.json"),
        ("create_session", "POST", "/v1/upload_sessions"),
        ("session", "GET", &session),
        ("part", "PUT", &format!("{session}/upload_part?part_number=1")),
        ("finish", "POST", &format!("{session}/finish")),
        ("abort", "POST", &format!("{session}/abort")),
        ("abort_all", "POST", "/v1/upload_sessions/abort_active_uploads"),
        ("attach", "POST", &format!("{page}/attachments")),
        ("attachments", "GET", &format!("{page}/attachments")),
        ("attachment", "GET", &file),
        ("delete_attachment", "DELETE", &file),
        ("download", "GET", &format!("{file}/download")),
        ("download_by_url", "GET", "/v1/pages/attachments/download_by_url?url=x"),
        ("preview", "GET", &format!("{file}/preview")),
        ("resources", "GET", &format!("{page}/resources")),
        ("page", "GET", &page),
        ("page", "GET", "/v1/pages?slug=root"),
        ("create_page", "POST", "/v1/pages"),
        ("update_page", "POST", &page),
        ("delete_page", "DELETE", &page),
        ("recover", "POST", "/v1/recovery_tokens/x/recover"),
        ("descendants", "GET", "/v1/pages/descendants?slug="),
        ("move", "POST", "/v1/pages/move"),
        ("clone", "POST", &format!("{page}/clone")),
        ("operation", "GET", operation),
        ("unknown", "GET", "/v1/nonsense"),
    ] {
        once(&site, kind, Fault::Answer { when: When::Before, status: 503, retry_after_s: None, body: String::new() });
        assert_eq!(site.ask(method, target).status, 503, "{kind}");
        assert!(site.state().requests[kind] > 0, "{kind}");
    }
    assert_eq!(site.portal.faults_struck(), 27);
}

#[test]
fn storage_has_faults_of_its_own() {
    let site = Site::new();
    site.upload("a", &noise(MIN));
    let moved = site.ask("GET", "/v1/pages/attachments/download_by_url?url=root/.files/a");
    let location = moved.header("location").unwrap();
    let target = &location[location[7..].find('/').unwrap() + 7..];
    let get = || Request::new("GET", target).send(site.portal.storage_address());
    once(&site, "stored", Fault::CutAnswer { at: 10, how: How::Close });
    assert!(get().is_err());
    once(
        &site,
        "stored",
        Fault::Answer { when: When::Before, status: 503, retry_after_s: Some(1), body: String::new() },
    );
    assert_eq!((get().unwrap().status, get().unwrap().body), (503, noise(MIN)));
    site.in_order();
}

#[test]
fn a_part_whose_answer_is_lost_is_sent_again() {
    let site = Site::new();
    let cut = Fault::CutRequest { at: 10, how: How::Reset };
    for (fault, held) in [(LOST, MIN as u64), (SWALLOWED, 0), (cut, 0)] {
        let session = site.open("a", MIN);
        once(&site, "part", fault);
        assert!(site.part(&session, 1, &noise(MIN)).send(site.address).is_err());
        let state = site.state();
        assert_eq!(state.sessions.iter().find(|open| open.id == session).unwrap().bytes_held, held);
        ok(&site.put(&session, 1, &noise(MIN)));
        ok(&site.finish(&session));
        ok(&site.ask("POST", &format!("/v1/upload_sessions/{session}/abort")));
    }
    site.in_order();
}

#[test]
fn a_finish_in_doubt_wants_a_look() {
    let site = Site::new();
    let finish = |session: &str| site.request("POST", &format!("/v1/upload_sessions/{session}/finish"));
    for (fault, status) in [(LOST, "finished"), (SWALLOWED, "in_progress")] {
        let session = site.filled("a", 3, &[3]);
        once(&site, "finish", fault.clone());
        assert!(finish(&session).send(site.address).is_err());
        assert_eq!(site.status(&session), status);
        if status == "in_progress" {
            ok(&site.finish(&session));
        }
        ok(&site.attach(site.root, &[&session]));
        site.in_order();

        let blind = site.filled("b", 3, &[3]);
        once(&site, "finish", fault);
        assert!(finish(&blind).send(site.address).is_err());
        assert_eq!(site.finish(&blind).status, if status == "finished" { 409 } else { 200 });
        site.violated("without a look at the session");
    }
}

#[test]
fn an_attach_whose_answer_is_lost_has_happened() {
    let site = Site::new();
    let session = site.finished("a", b"abc");
    let target = format!("/v1/pages/{}/attachments", site.root);
    let attach = site.request("POST", &target).json(&json!({"upload_sessions": [session]}));
    once(&site, "attach", LOST);
    assert!(attach.send(site.address).is_err());
    // Either look tells.
    assert_eq!(site.status(&session), "used");
    let newest = site.get(&format!("{target}?order_by=created_at&order_direction=desc&page_size=1"));
    assert_eq!(newest["results"][0]["name"], "a");
    site.in_order();
    assert_refused(&site.attach(site.root, &[&session]), 409, "UPLOAD_SESSION_WRONG_STATUS");
    site.violated("attached again");
    assert_eq!(site.state().files.len(), 1);
}

#[test]
fn a_create_whose_answer_is_lost_leaves_an_orphan() {
    let site = Site::new();
    once(&site, "create_session", LOST);
    let body = json!({"file_name": "a", "file_size": 3});
    assert!(site.request("POST", "/v1/upload_sessions").json(&body).send(site.address).is_err());
    let state = site.state();
    assert_eq!((state.sessions.len(), state.sessions[0].title.as_str()), (1, "a"));
}

#[test]
fn a_token_ends_in_the_middle() {
    let site = Site::new();
    let session = site.open("a", 3);
    once(&site, "part", Fault::Inject { what: Injection::ExpiredToken });
    assert_refused(&site.put(&session, 1, b"abc"), 401, "UNAUTHORIZED");
    assert_refused(&site.ask("GET", "/v1/users/me"), 401, "UNAUTHORIZED");
    site.in_order();
}

#[test]
fn a_session_is_lost_and_a_quota_is_found_at_the_end() {
    let site = Site::new();
    let session = site.filled("a", 3, &[3]);
    once(&site, "finish", Fault::Inject { what: Injection::Quota });
    assert_refused(&site.finish(&session), 403, "QUOTA_EXCEEDED");
    ok(&site.finish(&session));
    once(&site, "attach", Fault::Inject { what: Injection::Quota });
    assert_refused(&site.attach(site.root, &[&session]), 403, "QUOTA_EXCEEDED");
    once(&site, "create_session", Fault::Inject { what: Injection::Quota });
    assert_refused(&site.create("b", 3), 403, "QUOTA_EXCEEDED");
    let lost = site.filled("c", MIN, &[MIN]);
    once(&site, "part", Fault::Inject { what: Injection::LostSession });
    assert_refused(&site.put(&lost, 1, b"abc"), 404, "NOT_FOUND");
    assert_refused(&site.ask("GET", &format!("/v1/upload_sessions/{lost}")), 404, "NOT_FOUND");
    site.in_order();
}

#[test]
fn somebody_else_is_changing_it() {
    let site = Site::new();
    let made = site.upload("a", b"abc");
    let session = site.finished("b", b"abc");
    let page = format!("/v1/pages/{}", site.root);
    let locked = |kind| once(&site, kind, Fault::Inject { what: Injection::Locked });
    locked("update_page");
    assert_refused(&site.post(&page, json!({"content": "x"})), 409, "CHANGES_CONFLICT");
    locked("attach");
    assert_refused(&site.attach(site.root, &[&session]), 409, "CLUSTER_BLOCKED");
    locked("delete_attachment");
    assert_refused(&site.ask("DELETE", &site.target(&made)), 409, "CLUSTER_BLOCKED");
    locked("delete_page");
    assert_refused(&site.ask("DELETE", &page), 409, "CLUSTER_BLOCKED");
    ok(&site.attach(site.root, &[&session]));
    site.in_order();
}

#[test]
fn answers_are_slow_or_somebody_elses() {
    let site = Site::new();
    let session = site.filled("a", 3, &[3]);
    once(&site, "finish", Fault::Delay { when: When::After, ms: 1 });
    once(&site, "attach", Fault::Answer { when: When::After, status: 504, retry_after_s: None, body: "<html>".into() });
    ok(&site.finish(&session));
    let late = site.attach(site.root, &[&session]);
    assert_eq!((late.status, late.header("content-type")), (504, Some("text/html")));
    assert_eq!((site.status(&session).as_str(), site.state().files.len()), ("used", 1));
}
