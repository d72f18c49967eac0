//! Moving and cloning pages: asked for, polled, done later; dry runs; what is refused at once.

use serde_json::{Value, json};
use uploadfs::portal::faults::{Fault, Injection, Rule};

use super::{Site, assert_refused, ok, small};
use crate::support::program::until;

fn ask(site: &Site, query: &str, source: &str, target: &str) -> crate::support::raw::Answer {
    let operations = json!([{"source": source, "target": target}]);
    site.post(&format!("/v1/pages/move{query}"), json!({"operations": operations, "copy_inherited_access": true}))
}

/// Asks until an operation is over; what it says at its end.
fn poll(site: &Site, begun: &Value) -> Value {
    let mut last = Value::Null;
    until("the operation to end", || {
        last = site.get(begun["status_url"].as_str().unwrap());
        last["status"] == "success" || last["status"] == "failed"
    });
    last
}

#[test]
fn a_page_moves_with_everything_on_and_below_it() {
    let site = Site::new();
    let (page, below) = (site.make("root/a"), site.make("root/a/b"));
    let session = site.finished("x.txt", b"abc");
    ok(&site.attach(below, &[&session]));
    let begun = ok(&ask(&site, "", "root/a", "root/c"));
    assert_eq!((&begun["dry_run"], &begun["operation"]["type"]), (&json!(false), &json!("move")));
    assert_eq!(begun["status_url"], format!("/v1/operations/move/{}", begun["operation"]["id"].as_str().unwrap()));
    let end = poll(&site, &begun);
    assert_eq!(end, json!({"status": "success", "result": {"page_count": 2}}), "without a progress");
    assert_eq!((site.page("root/c"), site.page("root/c/b")), (page, below));
    assert_refused(&site.ask("GET", "/v1/pages?slug=root/a"), 404, "NOT_FOUND");
    assert_eq!(site.state().files[0].path, "/root/c/b/x.txt");
    site.in_order();
}

#[test]
fn an_operation_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let mut config = small();
    config.settings.operation_ms = 3_600_000;
    let site = Site::on(tempfile::tempdir().unwrap(), &store, config.clone());
    let page = site.make("root/a");
    let begun = ok(&ask(&site, "", "root/a", "root/b"));
    let look = |site: &Site| site.get(begun["status_url"].as_str().unwrap());
    let statuses = [(); 3].map(|()| look(&site)["status"].clone());
    assert_eq!(statuses, ["scheduled", "in_progress", "in_progress"]);
    assert_eq!(site.page("root/a"), page);
    site.portal.stop();
    let site = Site::on(tempfile::tempdir().unwrap(), &store, config);
    assert_eq!((look(&site)["status"].as_str(), site.page("root/b")), (Some("success"), page));
}

#[test]
fn a_dry_run_does_nothing_and_cannot_be_polled() {
    let site = Site::new();
    let page = site.make("root/a");
    let begun = ok(&ask(&site, "?dry_run=true", "root/a", "root/b"));
    assert_eq!(begun["dry_run"], true);
    assert_refused(&site.ask("GET", begun["status_url"].as_str().unwrap()), 404, "NOT_FOUND");
    assert_eq!(site.page("root/a"), page);
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    let site = Site::new();
    for slug in ["root/a", "root/b", "other"] {
        site.make(slug);
    }
    for (source, target, status, code) in [
        ("nowhere", "root/c", 404, "NOT_FOUND"),
        ("root/a", "nowhere/c", 400, "NO_PARENT_PAGE"),
        ("root/a", "root/b", 400, "SLUG_OCCUPIED"),
        ("root/a", "root/a/c", 400, "BAD_REQUEST"),
        ("root/a", "root/a b", 400, "VALIDATION_ERROR"),
    ] {
        assert_refused(&ask(&site, "", source, target), status, code);
    }
    let body = json!({"operations": [{"source": "root/a", "target": "root/c"}]});
    assert_refused(&site.post("/v1/pages/move", body), 400, "INHERITANCE_BEHAVIOR_IS_NOT_SPECIFIED");
    for operations in [json!([]), json!("x"), json!([{"source": "root/a"}])] {
        let body = json!({"operations": operations, "copy_inherited_access": true});
        assert_refused(&site.post("/v1/pages/move", body), 400, "VALIDATION_ERROR");
    }
    let next_to = |slug: &str| {
        let one = json!({"source": "root/a", "target": "root/c", "next_to_slug": slug, "position": "after"});
        site.post("/v1/pages/move?dry_run=true", json!({"operations": [one], "copy_inherited_access": true}))
    };
    assert_refused(&next_to("other"), 400, "NEXT_TO_WRONG_CLUSTER");
    ok(&next_to("root/b"));
}

#[test]
fn an_operation_can_fail_later() {
    let site = Site::new();
    let page = site.make("root/a");
    site.portal.add_fault(Rule::once("move", Fault::Inject { what: Injection::Locked }));
    let begun = ok(&ask(&site, "", "root/a", "root/b"));
    assert_eq!(poll(&site, &begun)["status"], "failed");
    assert_eq!(site.page("root/a"), page);
}

#[test]
fn moving_may_be_missing() {
    let site = Site::set(json!({"has_move": false}));
    site.make("root/a");
    assert_refused(&ask(&site, "", "root/a", "root/b"), 404, "NOT_FOUND");
}

#[test]
fn a_clone_has_the_content_and_not_the_attachments() {
    let site = Site::new();
    site.upload("a.txt", b"abc");
    ok(&site.post(&format!("/v1/pages/{}", site.root), json!({"content": "x"})));
    let target = format!("/v1/pages/{}/clone", site.root);
    let begun = ok(&site.post(&target, json!({"target": "copy", "title": "Copy", "subscribe_me": false})));
    assert_eq!(begun["operation"]["type"], "clone");
    assert_eq!(poll(&site, &begun)["status"], "success");
    let copy = site.get("/v1/pages?slug=copy&fields=content");
    assert_eq!((&copy["title"], &copy["content"]), (&json!("Copy"), &json!("x")));
    assert_eq!(site.get(&format!("/v1/pages/{}/attachments", copy["id"]))["results"], json!([]));
    assert_refused(&site.post(&target, json!({"target": "copy"})), 400, "SLUG_OCCUPIED");
    assert_refused(&site.post(&target, json!({})), 400, "VALIDATION_ERROR");
    site.portal.set(&json!({"reserved_slugs": ["api"], "read_only_slugs": ["fixed"]})).unwrap();
    assert_refused(&site.post(&target, json!({"target": "api"})), 400, "SLUG_RESERVED");
    assert_refused(&site.post(&target, json!({"target": "fixed/x"})), 403, "FORBIDDEN");
}
