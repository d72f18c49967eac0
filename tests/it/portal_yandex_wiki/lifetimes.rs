//! How long things live, and what a restart keeps: everything that was answered.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::{MIN, Site, assert_refused, noise, ok, small};

#[test]
fn sessions_that_nobody_attaches_are_cleaned_up() {
    let site = Site::new();
    let open = site.filled("a", 2 * MIN, &[MIN]);
    let (finished, used) = (site.finished("b", b"abc"), site.finished("c", b"abc"));
    ok(&site.attach(site.root, &[&used]));
    site.portal.advance(Duration::from_secs(24 * 3600 - 60));
    assert_eq!((site.status(&open), site.state().sessions.len()), ("in_progress".into(), 2));
    site.portal.advance(Duration::from_secs(60));
    assert_eq!(site.state().sessions, []);
    assert_eq!([&open, &finished, &used].map(|session| site.status(session)), ["cleanup", "cleanup", "used"]);
    assert_refused(&site.put(&open, 2, &noise(MIN)), 409, "UPLOAD_SESSION_WRONG_STATUS");
    assert_refused(&site.attach(site.root, &[&finished]), 409, "UPLOAD_SESSION_WRONG_STATUS");
    assert_eq!(site.file("c").bytes, 3);
    site.in_order();
}

#[test]
fn the_life_of_a_session_is_a_setting() {
    let site = Site::set(json!({"session_life_s": 5}));
    let session = site.open("a", 3);
    site.portal.advance(Duration::from_secs(5));
    assert_eq!(site.status(&session), "cleanup");
}

/// The same wiki again, on another port.
fn again(site: Site, store: &Path) -> Site {
    site.portal.stop();
    Site::on(tempfile::tempdir().unwrap(), store, small())
}

#[test]
fn everything_that_was_answered_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let site = Site::on(tempfile::tempdir().unwrap(), &store, small());
    let bytes = noise(2 * MIN);
    let made = site.upload("a.txt", &bytes);
    site.upload("a.txt", b"twin");
    let (target, page) = (site.target(&made), site.make("root/page"));
    let session = site.filled("b", 2 * MIN, &[MIN]);
    let finished = site.finished("c", b"abc");
    let gone = site.make("gone");
    let token = ok(&site.ask("DELETE", &format!("/v1/pages/{gone}")))["recovery_token"].as_str().unwrap().to_owned();
    let before = site.state();

    let site = again(site, &store);
    let after = site.state();
    assert_eq!((&after.files, &after.folders, &after.sessions), (&before.files, &before.folders, &before.sessions));
    assert_eq!((site.page("root/page"), site.get(&target)["name"].as_str()), (page, Some("a.txt")));
    assert_eq!(site.ask("GET", &format!("{target}/download")).body, bytes);
    ok(&site.put(&session, 2, &noise(MIN)));
    ok(&site.finish(&session));
    ok(&site.attach(site.root, &[&session, &finished]));
    assert_eq!(ok(&site.ask("POST", &format!("/v1/recovery_tokens/{token}/recover")))["id"], gone);
    let site = again(site, &store);
    assert_eq!((site.file("b").bytes, site.file("c").bytes), (2 * MIN as u64, 3));
    assert_eq!(site.page("gone"), gone);
    site.in_order();
}

#[test]
fn bytes_that_nobody_holds_are_gone_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let site = Site::on(tempfile::tempdir().unwrap(), &store, small());
    let kept = site.upload("a", &noise(MIN));
    let deleted = site.upload("b", &noise(MIN));
    assert_eq!(site.ask("DELETE", &site.target(&deleted)).status, 204);
    let aborted = site.filled("c", 2 * MIN, &[MIN]);
    ok(&site.ask("POST", &format!("/v1/upload_sessions/{aborted}/abort")));
    // Once more, so that what was removed before is removed for certain.
    site.make("root/x");
    let blobs = || std::fs::read_dir(store.join("blobs")).unwrap().count();
    assert_eq!(blobs(), 1);
    let site = again(site, &store);
    assert_eq!((blobs(), site.get(&site.target(&kept))["name"].as_str()), (1, Some("a")));
}
