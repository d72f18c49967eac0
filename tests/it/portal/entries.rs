//! Folders, renames, versions, and the operations that are reported once.

use serde_json::{Value, json};
use uploadfs::portal::faults::{Fault, Injection, Rule};
use uploadfs::portal::onlyoffice::{Account, Generation, OnlyofficeConfig, Version};

use super::{ALL, MY, Site, sign_in};
use crate::support::program::until;

fn make_folder(site: &Site, parent: u64, title: &str) -> u64 {
    let answer = site.call("POST", &format!("/api/2.0/files/folder/{parent}"), json!({"title": title}));
    answer.response(site.posted())["id"].as_u64().unwrap()
}

fn file_target(made: &Value) -> String {
    format!("/api/2.0/files/file/{}", made["id"])
}

/// Polls until the only operation is over; how it ended.
fn outcome(site: &Site) -> String {
    let mut ended = None;
    until("the operation to end", || {
        let listed = site.get("/api/2.0/files/fileops").response(200);
        ended = listed.as_array().unwrap().iter().find(|operation| operation["finished"] == true).cloned();
        ended.is_some()
    });
    ended.unwrap()["error"].as_str().unwrap().to_owned()
}

fn paths(site: &Site) -> Vec<String> {
    site.state().files.into_iter().map(|file| file.path.replacen("/My documents/", "", 1)).collect()
}

#[test]
fn folders_may_have_the_same_title() {
    for generation in ALL {
        let site = Site::new(generation);
        assert_ne!(make_folder(&site, MY, "a"), make_folder(&site, MY, "A"));
        let missing = site.call("POST", "/api/2.0/files/folder/4711", json!({"title": "a"}));
        assert_eq!(missing.status, 403);
        let renamed = site.call("PUT", "/api/2.0/files/folder/100", json!({"title": "b:c"}));
        assert_eq!(renamed.response(200)["title"], "b_c");
        site.in_order();
        let long = site.call("POST", &format!("/api/2.0/files/folder/{MY}"), json!({"title": "x".repeat(166)}));
        assert_eq!(long.status, 400);
        site.violated("165 characters");
    }
}

#[test]
fn a_rename_keeps_the_extension_and_asks_nobody() {
    for generation in ALL {
        let site = Site::new(generation);
        let made = site.upload("x.tmp", b"abc");
        let rename = |title: &str| {
            let body = json!({"title": title, "lastVersion": 0});
            site.call("PUT", &file_target(&made), body).response(200)["title"].as_str().unwrap().to_owned()
        };
        assert_eq!(rename("x.txt"), "x.txt.tmp");
        assert_eq!(rename("Y.TMP"), "Y.TMP", "the case stays as it was sent");
        site.upload("z.tmp", b"def");
        assert_eq!(rename("z.tmp"), "z.tmp", "there is one already");
        assert_eq!(site.state().files.iter().filter(|file| file.path.ends_with("/z.tmp")).count(), 2);
        let plain = site.upload("README", b"abc");
        let body = json!({"title": "README", "lastVersion": 0});
        assert_eq!(site.call("PUT", &file_target(&plain), body).response(200)["title"], "README");
        let missing = site.call("PUT", "/api/2.0/files/file/4711", json!({"title": "a"}));
        assert_eq!(missing.status, if site.is_docspace() { 404 } else { 403 });
        site.in_order();
    }
}

#[test]
fn renaming_a_locked_file_is_a_fault_since_3_7() {
    for (generation, status) in [(Generation::G0, 403), (Generation::G2, 403), (Generation::G3, 500)] {
        let site = Site::new(generation);
        let made = site.upload("x.tmp", b"abc");
        site.portal.add_fault(Rule::once("rename", Fault::Inject { what: Injection::Locked }));
        let message = site.call("PUT", &file_target(&made), json!({"title": "y.tmp"})).error(status);
        assert_eq!(message, "The file is currently locked by another user");
    }
}

#[test]
fn old_versions_are_listed_and_come_back() {
    let site = Site::new(Generation::G3);
    let made = site.upload("a.bin", b"one");
    site.upload("a.bin", b"second");
    let history = site.get(&format!("{}/history", file_target(&made))).response(200);
    let versions: Vec<_> =
        history.as_array().unwrap().iter().map(|file| (&file["version"], &file["pureContentLength"])).collect();
    assert_eq!(versions, [(&json!(2), &json!(6)), (&json!(1), &json!(3))]);
    let old = site.get(&format!("{}?version=1", file_target(&made))).response(200);
    assert_eq!(old["pureContentLength"], 3);
    assert_eq!(site.get(&format!("{}?version=7", file_target(&made))).status, 404);
    let handler = format!("/filehandler.ashx?action=download&fileid={}&version=1", made["id"]);
    assert_eq!(site.get(&handler).body, b"one");
    let back = site.call("PUT", &file_target(&made), json!({"lastVersion": 1})).response(200);
    assert_eq!(back["version"], 3);
    assert_eq!(site.download(&made["id"]), b"one");
}

#[test]
fn an_operation_is_over_once() {
    for generation in ALL {
        let site = Site::new(generation);
        let made = site.upload("a.bin", b"abc");
        let folder = make_folder(&site, MY, "target");
        let body = json!({"fileIds": [made["id"]], "destFolderId": folder, "conflictResolveType": 0});
        let started = site.call("PUT", "/api/2.0/files/fileops/move", body).response(200);
        let name = if site.is_docspace() { "Operation" } else { "operation" };
        assert_eq!(started[0][name], 0, "{started}");
        assert_eq!(outcome(&site), "");
        assert_eq!(site.get("/api/2.0/files/fileops").response(200), json!([]), "it is reported once");
        assert_eq!(paths(&site), ["target/a.bin"]);
        site.in_order();
    }
}

#[test]
fn one_that_is_not_held_is_never_reported_as_over() {
    let site = Site::new(Generation::G2);
    let made = site.upload("a.bin", b"abc");
    let body = json!({"deleteAfter": true, "immediately": true});
    site.call("DELETE", &file_target(&made), body).response(200);
    until("the file to go", || site.state().files.is_empty());
    assert_eq!(site.get("/api/2.0/files/fileops").response(200), json!([]));
}

#[test]
fn the_list_can_be_narrowed_on_docspace() {
    for generation in [Generation::G0, Generation::G2] {
        let site = Site::new(generation);
        site.portal.set(&json!({"operation_ms": 600_000})).unwrap();
        for title in ["a.bin", "b.bin"] {
            let made = site.upload(title, b"abc");
            site.call("DELETE", &file_target(&made), json!({}));
        }
        let all = site.get("/api/2.0/files/fileops").response(200);
        assert_eq!(all.as_array().unwrap().len(), 2);
        let id = all[1]["id"].as_str().unwrap();
        let one = site.get(&format!("/api/2.0/files/fileops?id={id}")).response(200);
        assert_eq!(one.as_array().unwrap().len(), if site.is_docspace() { 1 } else { 2 });
    }
}

#[test]
fn another_answer_uses_a_report_up() {
    let site = Site::new(Generation::G3);
    let [a, b, c] = ["a.bin", "b.bin", "c.bin"].map(|title| site.upload(title, b"abc"));
    let delete = |made: &Value, single: bool| {
        let body = json!({"deleteAfter": false, "immediately": true, "returnSingleOperation": single});
        let started = site.call("DELETE", &file_target(made), body).response(200);
        started.as_array().unwrap().len()
    };
    delete(&a, true);
    until("the file to go", || site.state().files.len() == 2);
    assert_eq!(delete(&b, true), 1, "only its own");
    until("the file to go", || site.state().files.len() == 1);
    assert_eq!(delete(&c, false), 3, "everybody's, and two of them for the last time");
}

#[test]
fn what_is_deleted_lies_in_the_trash() {
    for generation in ALL {
        let site = Site::new(generation);
        let made = site.upload("a.bin", b"abc");
        site.call("DELETE", &file_target(&made), json!({"deleteAfter": false, "immediately": false})).response(200);
        assert_eq!(outcome(&site), "");
        let info = site.get(&file_target(&made)).response(200);
        assert_eq!(info["rootFolderType"], 3, "it still answers");
        let edit = format!("{}/edit_session?fileSize=3", file_target(&made));
        assert_eq!(site.send(&site.request("POST", &edit)).status, 403);
        // From there it goes for ever.
        site.call("DELETE", &file_target(&made), json!({})).response(200);
        assert_eq!(outcome(&site), "");
        assert_eq!(site.state().files, []);
    }
}

#[test]
fn what_cannot_be_done_is_said_before_or_inside_of_the_operation() {
    let mut config = OnlyofficeConfig::of_version(Version::new(3, 6, 1));
    config.accounts.push(Account::new("other@portal.test", "other"));
    for (version, early) in [(Version::new(3, 6, 1), false), (Version::new(3, 7, 0), true)] {
        let mut site = Site::with(OnlyofficeConfig { version, ..config.clone() });
        let made = site.upload("a.bin", b"abc");
        let mine = std::mem::replace(&mut site.token, sign_in(site.address, "other@portal.test", "other"));
        site.call("PUT", &format!("{}/lock", file_target(&made)), json!({"lockFile": true})).response(200);
        site.token = mine;
        let locked = site.call("DELETE", &file_target(&made), json!({}));
        let missing = |site: &Site| site.call("DELETE", "/api/2.0/files/file/4711", json!({}));
        if early {
            assert_eq!((locked.status, missing(&site).status), (403, 404));
        } else {
            locked.response(200);
            assert_eq!(outcome(&site), "The file is currently locked by another user");
            missing(&site).response(200);
            assert_eq!(outcome(&site), "The required file was not found");
        }
        assert_eq!(site.state().files.len(), 1);
    }
}

#[test]
fn titles_that_are_taken_are_skipped_overwritten_or_doubled() {
    for (conflict, moved) in [
        (json!(0), vec!["a.bin 3 1", "target/a.bin 6 1"]),
        (json!(1), vec!["target/a.bin 3 2"]),
        (json!("Duplicate"), vec!["target/a.bin 3 1", "target/a.bin 6 1"]),
    ] {
        let site = Site::new(Generation::G3);
        let made = site.upload("a.bin", b"abc");
        let folder = make_folder(&site, MY, "target");
        let session = site.open_with(json!({"fileName": "A.bin", "fileSize": 6, "relativePath": "target"}));
        site.put(&session, b"second").data(201);
        let first = made["id"].to_string();
        let other = site.state().files.into_iter().find(|file| file.id != first).unwrap();
        let rename = format!("/api/2.0/files/file/{}", other.id);
        site.call("PUT", &rename, json!({"title": "a.bin"})).response(200);
        let body =
            json!({"fileIds": [made["id"].to_string()], "destFolderId": folder, "conflictResolveType": conflict});
        site.call("PUT", "/api/2.0/files/fileops/move", body).response(200);
        assert_eq!(outcome(&site), "");
        let mut found: Vec<String> = site
            .state()
            .files
            .iter()
            .map(|file| format!("{} {} {}", file.path.replacen("/My documents/", "", 1), file.bytes, file.versions))
            .collect();
        found.sort();
        assert_eq!(found, moved, "{conflict}");
    }
}

#[test]
fn folders_are_moved_copied_merged_and_deleted() {
    let site = Site::new(Generation::G3);
    for (path, title) in [("from/inner", "a.bin"), ("from", "b.bin"), ("to/from/inner", "c.bin")] {
        let session = site.open_with(json!({"fileName": title, "fileSize": 3, "relativePath": path}));
        site.put(&session, b"abc").data(201);
    }
    let listed = site.get("/api/2.0/files/1?sortBy=AZ").response(200);
    let [from, to] = [0, 1].map(|at| listed["folders"][at]["id"].clone());
    let copy = json!({"folderIds": [from], "destFolderId": to, "conflictResolveType": 0});
    site.call("PUT", "/api/2.0/files/fileops/copy", copy.clone()).response(200);
    assert_eq!(outcome(&site), "");
    let copied = ["from/b.bin", "from/inner/a.bin", "to/from/b.bin", "to/from/inner/a.bin", "to/from/inner/c.bin"];
    assert_eq!(paths(&site), copied);
    site.call("PUT", "/api/2.0/files/fileops/move", copy).response(200);
    assert_eq!(outcome(&site), "", "what is there already is skipped");
    let itself = json!({"folderIds": [to], "destFolderId": to, "conflictResolveType": 0});
    site.call("PUT", "/api/2.0/files/fileops/move", itself).response(200);
    assert_ne!(outcome(&site), "");
    let delete = json!({"folderIds": [to, from], "immediately": true});
    site.call("PUT", "/api/2.0/files/fileops/delete", delete).response(200);
    assert_eq!(outcome(&site), "");
    let state = site.state();
    assert_eq!((state.files, state.folders), (vec![], vec![]));
}

#[test]
fn a_copy_under_another_extension_is_possible() {
    let site = Site::new(Generation::G3);
    let made = site.upload("a.tmp", b"abc");
    let copy = json!({"destTitle": "b.TXT", "destFolderId": MY});
    let copied = site.call("POST", &format!("{}/copyas", file_target(&made)), copy).response(200);
    assert_eq!(copied["title"], "b.txt");
    assert_eq!(site.download(&copied["id"]), b"abc");
}

#[test]
fn titles_that_exist_can_be_asked_for() {
    let site = Site::new(Generation::G2);
    site.upload("a.bin", b"abc");
    let body = json!({"filesTitle": ["A.bin", "b.bin"]});
    let check = format!("/api/2.0/files/{MY}/upload/check");
    assert_eq!(site.call("POST", &check, body).response(200), json!(["A.bin"]));
}
