//! What the portal tells about the wiki to tests and to people.

use serde_json::json;

use super::{MIN, Site, noise, ok};
use crate::support::raw::Request;

#[test]
fn the_state_has_pages_files_and_open_sessions() {
    let site = Site::new();
    site.make("root/notes");
    let first = site.upload("a.txt", b"abc");
    site.upload("a.txt", b"abcd");
    let open = site.filled("b", 2 * MIN, &[MIN]);
    let finished = site.finished("c", b"abc");
    let state = site.state();
    assert_eq!(state.service, "yandex-wiki");
    assert_eq!(state.folders, ["/root", "/root/notes", "/users/user"]);
    let files: Vec<_> = state
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.bytes, file.stored_bytes, file.versions, file.twins))
        .collect();
    assert_eq!(files, [("/root/a.txt", 3, 3, 1, 2), ("/root/a.txt", 4, 4, 1, 2)]);
    assert_eq!(state.files[0].id, first["id"].to_string());
    assert_eq!(state.files[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let mut sessions: Vec<_> = state
        .sessions
        .iter()
        .map(|session| {
            (session.status.as_deref().unwrap(), session.id.as_str(), session.bytes_total, session.bytes_held)
        })
        .collect();
    sessions.sort_unstable();
    assert_eq!(sessions, [("finished", finished.as_str(), 3, 3), ("in_progress", open.as_str(), 2000, 1000)]);
    assert_eq!((state.leaked_bytes, state.requests["part"]), (0, 4));
    ok(&site.attach(site.root, &[&finished]));
    assert_eq!(site.state().sessions.len(), 1, "what is used is over");
}

#[test]
fn the_state_is_there_over_http() {
    let site = Site::new();
    let control =
        |method: &str, what: &str| Request::new(method, &format!("/.portal/{what}")).send(site.address).unwrap();
    let session = site.filled("b", 2 * MIN, &[MIN]);
    ok(&site.ask("POST", "/v1/upload_sessions/abort_active_uploads"));
    let state = ok(&control("GET", "state"));
    assert_eq!((&state["sessions"], &state["folders"][0]), (&json!([]), &json!("/root")));
    assert_eq!(state["violations"][0]["kind"], "abort_all");
    assert_eq!(site.status(&session), "aborted");
    assert_eq!(ok(&control("GET", "settings"))["size"], "strict");
    let put = |body| Request::new("PUT", "/.portal/settings").json(&body).send(site.address).unwrap().status;
    assert_eq!((put(json!({"size": "lenient"})), put(json!({"size": "loose"}))), (200, 400));
    assert_eq!(ok(&control("GET", "settings"))["size"], "lenient");
}

#[test]
fn people_see_the_page_and_get_the_files() {
    let site = Site::new();
    let made = site.upload("Отчёт.txt", &noise(MIN));
    let page = Request::new("GET", "/.portal/").send(site.address).unwrap();
    assert!(page.text().contains("Отчёт.txt") && page.text().contains("/root/"), "{}", page.text());
    let file = Request::new("GET", &format!("/.portal/files/{}", made["id"])).send(site.address).unwrap();
    assert_eq!(file.body, noise(MIN));
}
