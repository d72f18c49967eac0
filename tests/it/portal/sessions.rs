//! Opening sessions: titles, folders, sizes, what is overwritten, and what the answer tells.

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::{Account, Generation, OnlyofficeConfig, Version};

use super::{ALL, MY, Site, sign_in, target};

fn create() -> String {
    format!("/api/2.0/files/{MY}/upload/create_session")
}

#[test]
fn the_answer_tells_what_its_generation_tells() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2500);
        let id = session["id"].as_str().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!((&session["path"], &session["bytes_total"]), (&json!([MY]), &json!(2500)));
        let counts = generation <= Generation::G1;
        assert_eq!(session["bytes_uploaded"], if counts { json!(0) } else { Value::Null });
        let handler = if site.is_docspace() { "" } else { "/Products/Files" };
        let location = format!("http://{}{handler}/ChunkedUploader.ashx?uid={id}", site.address);
        assert_eq!(session["location"], location);
        assert!(session["expired"].as_str().unwrap() > session["created"].as_str().unwrap());
        site.in_order();
    }
}

#[test]
fn names_of_fields_have_no_case_and_numbers_may_be_texts() {
    let site = Site::new(Generation::G2);
    site.open_with(json!({"FILENAME": "a.bin", "filesize": "5", "CreateNewIfExist": true}));
    let site = Site::new(Generation::G0);
    let form = site.request("POST", &format!("{}.json?Encrypted=false", create()));
    let form = form.header("Content-Type", "application/x-www-form-urlencoded").body("FileName=b.bin&FileSize=5");
    let data = site.send(&form).response(201)["data"].clone();
    assert_eq!(data["bytes_total"], 5);
    let query = site.request("POST", &format!("{}?fileName=c.bin&fileSize=6", create()));
    assert_eq!(site.send(&query).response(201)["data"]["bytes_total"], 6);
}

#[test]
fn titles_are_changed_without_a_word() {
    for generation in ALL {
        let site = Site::new(generation);
        for (sent, stored) in [("Photo.JPG", "Photo.jpg"), ("README", "README."), ("a:b?🎉.txt", "a_b___.txt")] {
            let made = site.upload(sent, b"abc");
            assert_eq!(made["title"], stored);
            assert!(made["id"].is_u64());
        }
        let long = "x".repeat(300);
        assert_eq!(site.upload(&format!("{long}.txt"), b"abc")["title"], format!("{}.txt", "x".repeat(166)));
        site.in_order();
    }
}

#[test]
fn relative_paths_are_made_where_they_are_missing() {
    let site = Site::new(Generation::G3);
    for _ in 0..2 {
        let session = site.open_with(json!({"fileName": "x.bin", "fileSize": 3, "relativePath": "a/b:c//d"}));
        assert_eq!(session["path"].as_array().unwrap().len(), 3);
        site.put(&session, b"abc").data(201);
    }
    let state = site.state();
    assert_eq!(state.folders, ["/My documents/a", "/My documents/a/b_c"], "an empty segment ends the path");
    assert_eq!(state.files.len(), 1);
    assert_eq!(state.files[0].versions, 2);
}

#[test]
fn dates_are_texts() {
    let site = Site::new(Generation::G3);
    let session = site.open_with(json!({"fileName": "a.bin", "fileSize": 3, "createOn": "2008-04-10T06-30-00.000Z"}));
    let made = site.put(&session, b"abc").data(201);
    assert_eq!(made["file"]["created"], "2008-04-10T06:30:00.0000000Z");
    site.in_order();
    let object =
        json!({"fileName": "a.bin", "fileSize": 3, "createOn": {"utcTime": "2008-04-10", "timeZoneOffset": "0"}});
    assert_eq!(site.call("POST", &create(), object.clone()).status, 400);
    site.violated("createOn");
    // CommunityServer has no such parameter.
    let site = Site::new(Generation::G0);
    site.open_with(object);
    site.in_order();
}

#[test]
fn a_size_above_the_limits_is_refused_and_any_other_is_not() {
    for generation in ALL {
        let site = Site::new(generation);
        site.portal.set(&json!({"file_bytes_max": 5000, "total_bytes": 4000})).unwrap();
        let status = if site.is_docspace() { 402 } else { 500 };
        let too_large = site.call("POST", &create(), json!({"fileName": "a.bin", "fileSize": 4001}));
        assert_eq!(too_large.error(status), "The maximum file size is exceeded (3.91 KB).");
        site.open("a.bin", 4000);
        site.open("a.bin", 0);
        site.in_order();
        site.open("a.bin", -7);
        site.violated("a size of -7");
    }
}

#[test]
fn extensions_may_be_filtered() {
    for (generation, status) in [(Generation::G0, 500), (Generation::G3, 415)] {
        let site = Site::new(generation);
        site.portal.set(&json!({"extensions": [".txt"]})).unwrap();
        let refused = site.call("POST", &create(), json!({"fileName": "a.exe", "fileSize": 4}));
        assert_eq!(refused.error(status), "Sorry, this file format isn't supported");
        site.open("A.TXT", 4);
    }
}

#[test]
fn nobody_creates_where_nobody_may() {
    let mut config = OnlyofficeConfig::new(Generation::G3);
    config.accounts.push(Account { may_write: false, ..Account::new("guest@portal.test", "guest") });
    let mut site = Site::with(config);
    let body = json!({"fileName": "a.bin", "fileSize": 4});
    for folder in [2, 10] {
        let answer = site.call("POST", &format!("/api/2.0/files/{folder}/upload/create_session"), body.clone());
        assert_eq!(answer.error(403), "Access denied");
    }
    site.token = sign_in(site.address, "guest@portal.test", "guest");
    assert_eq!(site.call("POST", &create(), body.clone()).error(403), "Access denied");
    site.in_order();
    assert_eq!(site.call("POST", "/api/2.0/files/@my/upload/create_session", body).status, 404);
    site.violated("@my");
}

#[test]
fn what_a_title_overwrites_depends_on_the_generation() {
    // Without a word about it: DocSpace since 2.5 makes a version, all before it a second file.
    for (generation, files, versions) in
        [(Generation::G0, 2, 1), (Generation::G1, 2, 1), (Generation::G2, 1, 2), (Generation::G3, 1, 2)]
    {
        let site = Site::new(generation);
        let first = site.upload("a.bin", b"one");
        let second = site.upload("A.BIN", b"two");
        assert_eq!(first["id"] == second["id"], files == 1, "{generation:?}");
        assert_eq!((site.state().files.len(), second["version"].as_u64()), (files, Some(versions)));
        site.in_order();
    }
}

#[test]
fn users_of_old_generations_can_ask_for_versions() {
    for generation in [Generation::G0, Generation::G1] {
        let site = Site::new(generation);
        assert_eq!(site.call("PUT", "/api/2.0/files/updateifexist", json!({"set": true})).response(200), true);
        site.upload("a.bin", b"one");
        site.upload("a.bin", b"two");
        assert_eq!(site.file("a.bin").versions, 2);
        assert_eq!(site.call("PUT", "/api/2.0/files/updateifexist", json!({"set": false})).response(200), false);
        site.upload("a.bin", b"two");
        assert_eq!(site.state().files.len(), 2);
    }
}

#[test]
fn a_new_file_beside_another_gets_a_number_since_3_2() {
    for (version, title) in [(Version::new(3, 1, 1), "a.bin"), (Version::new(3, 2, 0), "a (1).bin")] {
        let site = Site::with(OnlyofficeConfig::of_version(version));
        site.upload("a.bin", b"one");
        let session = site.open_with(json!({"fileName": "a.bin", "fileSize": 3, "createNewIfExist": true}));
        assert_eq!(site.put(&session, b"two").data(201)["title"], title);
        assert_eq!(site.state().files.len(), 2);
    }
}

#[test]
fn a_locked_file_gets_a_twin_without_a_word() {
    let mut config = OnlyofficeConfig::new(Generation::G3);
    config.accounts.push(Account::new("other@portal.test", "other"));
    let mut site = Site::with(config);
    let first = site.upload("a.bin", b"one");
    let mine = std::mem::replace(&mut site.token, sign_in(site.address, "other@portal.test", "other"));
    let lock = format!("/api/2.0/files/file/{}/lock", first["id"]);
    assert_eq!(site.call("PUT", &lock, json!({"lockFile": true})).response(200)["locked"], true);
    site.token = mine;
    assert_ne!(site.upload("a.bin", b"two")["id"], first["id"]);
    assert_eq!(site.state().files.len(), 2);
    // By its number it is refused.
    let edit = format!("/api/2.0/files/file/{}/edit_session?fileSize=3", first["id"]);
    assert_eq!(site.send(&site.request("POST", &edit)).error(403), "Access denied");
    site.in_order();
}

#[test]
fn an_edit_session_keeps_number_version_and_title() {
    for generation in ALL {
        let site = Site::new(generation);
        let first = site.upload("a.bin", b"one");
        let edit = format!("/api/2.0/files/file/{}/edit_session?fileSize=5", first["id"]);
        let session = site.send(&site.request("POST", &edit)).response(site.posted())["data"].clone();
        let second = site.put(&session, b"other").data(201);
        assert_eq!((&second["id"], &second["version"], &second["title"]), (&first["id"], &json!(1), &json!("a.bin")));
        assert_eq!(site.file("a.bin").versions, 1);
        assert_eq!(site.download(&first["id"]), b"other");
        let missing = site.send(&site.request("POST", "/api/2.0/files/file/4711/edit_session?fileSize=5"));
        missing.error(if site.is_docspace() { 404 } else { 500 });
        site.in_order();
    }
}

#[test]
fn the_size_of_an_edit_session_stands_in_the_query_of_docspace() {
    for generation in ALL {
        let site = Site::new(generation);
        let first = site.upload("a.bin", b"one");
        let answer =
            site.call("POST", &format!("/api/2.0/files/file/{}/edit_session", first["id"]), json!({"fileSize": 5}));
        if site.is_docspace() {
            assert_eq!(answer.status, 400);
            site.violated("without a size in the query");
        } else {
            assert_eq!(answer.response(201)["data"]["bytes_total"], 5);
        }
    }
}

#[test]
fn the_handler_opens_sessions_too() {
    for generation in ALL {
        let site = Site::new(generation);
        let handler = target(&site.open("x", 1));
        let handler = handler.split('?').next().unwrap();
        let query = format!("initiate=true&folderid={MY}&filetitle=a.bin&fileSize=3");
        let session = site.send(&site.request("POST", &format!("{handler}?{query}"))).data(200);
        site.put(&session, b"abc").data(201);
        assert_eq!(site.file("a.bin").bytes, 3);
    }
}
