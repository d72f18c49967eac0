//! How long things live: files by their expiry, what moves it and what does not, and what a restart keeps.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use uploadfs::portal::yandex_cloud::{FOLDER, YandexCloudConfig};

use super::{OPENAI, Site, assert_refused, noise, ok, openai, target};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

/// The life of a file that was made just now, in whole days.
fn days(site: &Site, file: &Value) -> i64 {
    let told = site.get(&openai(&file["id"]));
    (told["expires_at"].as_i64().unwrap() - told["created_at"].as_i64().unwrap()) / 86_400
}

#[test]
fn files_vanish_after_seven_days_that_were_given_no_life() {
    let site = Site::new();
    let made = ok(&site.create(&json!({"folderId": FOLDER, "content": "Zg=="})));
    let kept = site.upload("kept", b"abc");
    site.violated("without an explicit expirationConfig");
    site.portal.advance(7 * DAY - MINUTE);
    // Nothing of this is activity.
    site.get(&target(&made["id"]));
    site.download(&made["id"]);
    assert_eq!(site.get(&target(&made["id"]))["expiresAt"], made["expiresAt"]);
    site.portal.advance(MINUTE);
    assert_refused(&site.ask("GET", &target(&made["id"])), 404, 5);
    assert_refused(&site.ask("DELETE", &target(&made["id"])), 404, 5);
    assert_eq!(site.walk("").0, [kept["id"].clone()]);
    assert_eq!(site.get(OPENAI)["data"].as_array().unwrap().len(), 1);
    assert_eq!(site.state().files.len(), 1);
    site.in_order();
}

#[test]
fn a_life_is_raised_and_not_repeated() {
    let site = Site::new();
    let life = |days: i64| json!({"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": days.to_string()});
    let body = json!({"folderId": FOLDER, "content": "Zg==", "expirationConfig": life(10)});
    let made = ok(&site.create(&body));
    site.portal.advance(9 * DAY);
    let repeated =
        ok(&site.patch(&made["id"], json!({"updateMask": "expirationConfig", "expirationConfig": life(10)})));
    assert_eq!(repeated["expiresAt"], made["expiresAt"], "it is counted from the making");
    let nested = json!({"updateMask": "expirationConfig.ttlDays", "expirationConfig": {"ttlDays": "20"}});
    assert_eq!(ok(&site.patch(&made["id"], nested))["expirationConfig"], life(20));
    assert_eq!(days(&site, &made), 20);
    let policy = json!({
        "updateMask": "expirationConfig.expirationPolicy",
        "expirationConfig": {"expirationPolicy": "STATIC", "ttlDays": "1"},
    });
    let changed = ok(&site.patch(&made["id"], policy));
    assert_eq!(changed["expirationConfig"], json!({"expirationPolicy": "STATIC", "ttlDays": "20"}));
    let long = json!({"updateMask": "expirationConfig", "expirationConfig": life(61)});
    assert_refused(&site.patch(&made["id"], long), 400, 3);
    site.portal.advance(11 * DAY - MINUTE);
    site.get(&target(&made["id"]));
    site.portal.advance(MINUTE);
    assert_refused(&site.ask("GET", &target(&made["id"])), 404, 5);
    site.in_order();
}

#[test]
fn a_life_can_be_over_at_once() {
    let site = Site::new();
    let made = site.upload("a", b"abc");
    site.portal.advance(3 * DAY);
    let short = json!({"updateMask": "expirationConfig.ttlDays", "expirationConfig": {"ttlDays": "2"}});
    ok(&site.patch(&made["id"], short.clone()));
    site.violated("a life that is over");
    assert_refused(&site.ask("GET", &target(&made["id"])), 404, 5);

    site.change(json!({"life_from": "updated"}));
    let made = site.upload("a", b"abc");
    site.portal.advance(3 * DAY);
    ok(&site.patch(&made["id"], short));
    assert_eq!(days(&site, &made), 5);
    site.in_order();
}

/// The same folder again, on another port.
fn again(site: Site, store: &Path) -> Site {
    site.portal.stop();
    Site::on(tempfile::tempdir().unwrap(), store, YandexCloudConfig::default())
}

#[test]
fn everything_that_was_answered_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let site = Site::on(tempfile::tempdir().unwrap(), &store, YandexCloudConfig::default());
    let bytes = noise(3_000_000);
    let (made, posted) = (site.upload("a", &bytes), site.post("b", b"abc"));
    let changed = ok(&site.patch(&made["id"], json!({"updateMask": "labels", "labels": {"size": "3000000"}})));
    let gone = site.post("c", b"abc");
    ok(&site.ask("DELETE", &openai(&gone["id"])));
    let before = site.state();

    let site = again(site, &store);
    assert_eq!(site.state().files, before.files);
    assert_eq!((site.get(&target(&made["id"])), site.get(&openai(&posted["id"]))), (changed, posted));
    assert_eq!(site.download(&made["id"]), bytes);
    site.in_order();
}

#[test]
fn bytes_that_nobody_holds_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let site = Site::on(tempfile::tempdir().unwrap(), &store, YandexCloudConfig::default());
    let kept = site.upload("a", &noise(1000));
    let deleted = site.upload("b", &noise(1000));
    ok(&site.ask("DELETE", &target(&deleted["id"])));
    site.post("c", &noise(1000));
    assert_eq!(site.create(&json!({"folderId": "b1gother", "content": "Zg=="})).status, 400);
    site.portal.advance(Duration::from_secs(3600));
    // Twice, so that what was removed before is removed for certain.
    for name in ["d", "e"] {
        ok(&site.patch(&kept["id"], json!({"updateMask": "name", "name": name})));
    }
    let blobs = || std::fs::read_dir(store.join("blobs")).unwrap().count();
    assert_eq!(blobs(), 1);
    let site = again(site, &store);
    assert_eq!((blobs(), site.download(&kept["id"]).len()), (1, 1000));
}
