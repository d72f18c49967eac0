//! What the portal tells about the folder to tests and to people.

use serde_json::json;

use super::{Site, document, noise, ok};
use crate::support::raw::Request;

#[test]
fn the_state_has_files_and_what_only_this_service_knows() {
    let site = Site::new();
    let mut body = document("a.txt", b"abc");
    body["labels"] = json!({"size": "3"});
    let made = ok(&site.create(&body));
    let posted = site.post("b.txt", b"abcd");
    let state = site.state();
    assert_eq!((state.service.as_str(), state.sessions.len(), state.folders.len()), ("yandex-cloud", 0, 0));
    let file = state.file("/a.txt").unwrap();
    assert_eq!((file.bytes, file.stored_bytes, file.versions, file.twins), (3, 3, 1, 1));
    assert_eq!(file.id, made["id"].as_str().unwrap());
    assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let notes = &file.notes;
    assert_eq!((&notes["dialect"], &notes["labels"]), (&json!("native"), &body["labels"]));
    assert_eq!((&notes["created"], &notes["expires"]), (&made["createdAt"], &made["expiresAt"]));
    assert_eq!(notes["md5"], "900150983cd24fb0d6963f7d28e17f72");
    let other = state.file("/b.txt").unwrap();
    assert_eq!(
        (other.bytes, other.id.as_str(), &other.notes["dialect"]),
        (4, posted["id"].as_str().unwrap(), &json!("openai"))
    );
    assert_eq!((state.requests["create"], state.leaked_bytes), (2, 0));
}

#[test]
fn the_state_is_there_over_http() {
    let site = Site::new();
    let control =
        |method: &str, what: &str| Request::new(method, &format!("/.portal/{what}")).send(site.address).unwrap();
    ok(&site.create(&json!({"folderId": uploadfs::portal::yandex_cloud::FOLDER, "content": "Zg==", "name": "a"})));
    let state = ok(&control("GET", "state"));
    assert_eq!((&state["files"][0]["path"], &state["files"][0]["notes"]["dialect"]), (&json!("/a"), &json!("native")));
    assert_eq!(state["violations"][0]["kind"], "create");
    assert_eq!(ok(&control("GET", "settings"))["oversize"], "invalid_argument");
    let put = |body| Request::new("PUT", "/.portal/settings").json(&body).send(site.address).unwrap().status;
    assert_eq!((put(json!({"oversize": "too_large"})), put(json!({"oversize": "silence"}))), (200, 400));
    assert_eq!(ok(&control("GET", "settings"))["oversize"], "too_large");
}

#[test]
fn people_see_the_page_and_get_the_files() {
    let site = Site::new();
    let made = site.upload("папка/Отчёт.txt", &noise(1000));
    let page = Request::new("GET", "/.portal/").send(site.address).unwrap();
    assert!(page.text().contains("Отчёт.txt"), "{}", page.text());
    let target = format!("/.portal/files/{}", made["id"].as_str().unwrap());
    assert_eq!(Request::new("GET", &target).send(site.address).unwrap().body, noise(1000));
}

#[test]
fn who_watches_sees_files_arrive() {
    let site = Site::new();
    let arrivals = site.portal.arrivals();
    let made = site.upload("a/b", &noise(1000));
    assert_eq!(site.create(&json!({"content": "Zg=="})).status, 400);
    site.post("c", b"abc");
    let seen: Vec<_> = arrivals.try_iter().collect();
    let told: Vec<_> = seen.iter().map(|arrival| (arrival.path.as_str(), arrival.bytes, arrival.version)).collect();
    assert_eq!(told, [("/a/b", 1000, 1), ("/c", 3, 1)]);
    assert_eq!(seen[0].session, made["id"].as_str().unwrap());
}
