//! The faults of each kind of request, lost answers, and what a client must do about them.

use serde_json::json;
use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};
use uploadfs::portal::yandex_cloud::FOLDER;

use super::{HOUR, NATIVE, OPENAI, Site, assert_refused, document, form, noise, ok, openai, target};
use crate::support::raw::Request;

fn once(site: &Site, kind: &str, fault: Fault) {
    site.portal.add_fault(Rule::once(kind, fault));
}

const LOST: Fault = Fault::Drop { when: When::After, how: How::Reset };
const SWALLOWED: Fault = Fault::Drop { when: When::Before, how: How::Close };
const BUSY: Fault = Fault::Answer { when: When::Before, status: 503, retry_after_s: None, body: String::new() };

#[test]
fn every_kind_is_struck_by_its_name_in_both_dialects() {
    let site = Site::new();
    let id = site.upload("a", b"abc")["id"].clone();
    let (native, other) = (target(&id), openai(&id));
    let requests = [
        ("create", "POST", NATIVE.to_owned()),
        ("create", "POST", OPENAI.to_owned()),
        ("list", "GET", format!("{NATIVE}?folderId={FOLDER}")),
        ("list", "GET", OPENAI.to_owned()),
        ("get", "GET", native.clone()),
        ("get", "GET", other.clone()),
        ("get_url", "GET", format!("{NATIVE}:getUrl?fileId=x")),
        ("update", "PATCH", native.clone()),
        ("delete", "DELETE", native),
        ("delete", "DELETE", other.clone()),
        ("content", "GET", format!("{other}/content")),
        ("unknown", "GET", "/nonsense".to_owned()),
    ];
    for (kind, method, target) in &requests {
        once(&site, kind, BUSY);
        assert_eq!(site.ask(method, target).status, 503, "{kind} {target}");
        assert!(site.state().requests[*kind] > 0, "{kind}");
    }
    assert_eq!(site.portal.faults_struck(), requests.len() as u64);
    site.in_order();
}

#[test]
fn storage_has_faults_of_its_own() {
    let site = Site::new();
    let url = site.url(&site.upload("a", &noise(1000))["id"]);
    let get = || Request::new("GET", &url).send(site.portal.storage_address());
    once(&site, "stored", Fault::CutAnswer { at: 10, how: How::Close });
    assert!(get().is_err());
    once(&site, "stored", BUSY);
    assert_eq!((get().unwrap().status, get().unwrap().body), (503, noise(1000)));
    site.in_order();
}

#[test]
fn a_create_whose_answer_is_lost_wants_a_look() {
    let site = Site::new();
    let mut body = document("a", &noise(1000));
    body["labels"] = json!({"upload_id": "7"});
    once(&site, "create", LOST);
    assert!(site.creating(&body).send(site.address).is_err());
    let newest = site.get(&format!("{NATIVE}?folderId={FOLDER}&pageSize=1"))["files"][0].clone();
    assert_eq!(newest["labels"], body["labels"]);
    ok(&site.create(&body));
    site.in_order();

    once(&site, "create", LOST);
    assert!(site.creating(&body).send(site.address).is_err());
    ok(&site.create(&document("other", b"abc")));
    site.in_order();
    ok(&site.create(&body));
    site.violated("without a look at the list");
    assert_eq!(site.state().files.len(), 5);
}

#[test]
fn a_form_whose_answer_is_lost_wants_a_look_too() {
    let site = Site::new();
    let posting = site.posting(&form(&[HOUR[0], HOUR[1], ("purpose", "batch")], "a", b"abc"));
    for looks in [true, false] {
        once(
            &site,
            "create",
            Fault::Answer { when: When::After, status: 504, retry_after_s: None, body: String::new() },
        );
        assert_eq!(site.send(&posting).status, 504);
        if looks {
            assert_eq!(site.get(OPENAI)["data"].as_array().unwrap().len(), 1);
            ok(&site.send(&posting));
            site.in_order();
        } else {
            ok(&site.send(&posting));
            site.violated("without a look at the list");
        }
    }
}

#[test]
fn a_key_saves_the_look_where_it_is_honoured() {
    let site = Site::set(json!({"idempotency": true}));
    let body = document("a", &noise(1000));
    let creating = site.creating(&body).header("Idempotency-Key", "e38e71c3-1234-4234-8234-123456789012");
    once(&site, "create", LOST);
    assert!(creating.send(site.address).is_err());
    ok(&site.send(&creating));
    assert_eq!(site.state().files.len(), 1);
    site.in_order();
}

#[test]
fn what_never_arrived_whole_made_nothing() {
    let site = Site::new();
    let creating = site.creating(&document("a", &noise(10_000)));
    let posting = site.posting(&form(&[HOUR[0], HOUR[1], ("purpose", "batch")], "a", &noise(10_000)));
    for fault in [
        SWALLOWED,
        Fault::CutRequest { at: 0, how: How::Close },
        Fault::CutRequest { at: 5000, how: How::Reset },
        Fault::CutRequest { at: 10_100, how: How::Reset },
    ] {
        for request in [&creating, &posting] {
            once(&site, "create", fault.clone());
            assert!(request.send(site.address).is_err(), "{fault:?}");
            assert_eq!(site.state().files, [], "{fault:?}");
        }
    }
    ok(&site.send(&creating));
    ok(&site.send(&posting));
    site.in_order();
}

#[test]
fn a_credential_ends_in_the_middle() {
    let site = Site::new();
    once(&site, "create", Fault::Inject { what: Injection::ExpiredToken });
    assert_refused(&site.create(&document("a", b"abc")), 401, 16);
    assert_refused(&site.ask("GET", &format!("{NATIVE}?folderId={FOLDER}")), 401, 16);
    site.in_order();
}

#[test]
fn a_quota_is_found_at_the_end_and_files_are_held_by_others() {
    let site = Site::new();
    once(&site, "create", Fault::Inject { what: Injection::Quota });
    assert_refused(&site.create(&document("a", b"abc")), 429, 8);
    assert_eq!(site.state().files, []);
    let id = site.upload("a", b"abc")["id"].clone();
    once(&site, "update", Fault::Inject { what: Injection::Locked });
    assert_refused(&site.patch(&id, json!({"updateMask": "name", "name": "b"})), 409, 10);
    once(&site, "delete", Fault::Inject { what: Injection::Locked });
    assert_refused(&site.ask("DELETE", &target(&id)), 409, 10);
    assert_eq!(site.get(&target(&id))["name"], "a");
    site.in_order();
}

#[test]
fn an_update_and_a_removal_whose_answers_are_lost_have_happened() {
    let site = Site::new();
    let id = site.upload("a", b"abc")["id"].clone();
    once(&site, "update", LOST);
    let patch = site.request("PATCH", &target(&id)).json(&json!({"updateMask": "name", "name": "b"}));
    assert!(patch.send(site.address).is_err());
    assert_eq!(site.get(&target(&id))["name"], "b");
    once(&site, "delete", LOST);
    assert!(site.request("DELETE", &target(&id)).send(site.address).is_err());
    assert_refused(&site.ask("DELETE", &target(&id)), 404, 5);
    site.in_order();
}
