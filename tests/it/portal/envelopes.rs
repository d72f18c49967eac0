//! Envelopes and codes, by family.

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::Generation;

use super::client::Request;
use super::{ALL, MY, Site};

#[test]
fn the_version_is_told_to_everybody() {
    for generation in ALL {
        let site = Site::new(generation);
        let answer = Request::new("GET", "/api/2.0/settings/version/build").send(site.address).unwrap();
        let name = if site.is_docspace() { "docSpace" } else { "communityServer" };
        assert_eq!(answer.response(200)[name], generation.version().to_string());
    }
}

#[test]
fn the_chunk_size_is_published_by_docspace() {
    let chunk = |generation| {
        let site = Site::new(generation);
        let answer = Request::new("GET", "/api/2.0/files/settings").send(site.address).unwrap();
        (answer.status, answer.status == 200 && answer.json()["response"]["chunkUploadSize"] == json!(super::C))
    };
    assert_eq!(chunk(Generation::G2), (200, true));
    assert_eq!(chunk(Generation::G3), (200, true));
    assert_eq!(chunk(Generation::G1), (200, false), "nobody knows, so it does not");
    assert_eq!(chunk(Generation::G0), (404, false));
}

#[test]
fn community_server_answers_201_to_every_post() {
    for generation in ALL {
        let site = Site::new(generation);
        let folder = site.call("POST", &format!("/api/2.0/files/folder/{MY}"), json!({"title": "a"}));
        let body = folder.json();
        if generation == Generation::G0 {
            assert_eq!((folder.status, &body["statusCode"], &body["count"]), (201, &json!(201), &json!(1)));
            assert!(body.get("links").is_none());
        } else {
            assert_eq!((folder.status, &body["statusCode"], &body["status"]), (200, &json!(200), &json!(0)));
            assert_eq!(body["links"][0]["action"], "POST");
        }
    }
}

#[test]
fn errors_have_the_envelope_of_their_family() {
    for generation in ALL {
        let site = Site::new(generation);
        let answer = site.call("POST", &format!("/api/2.0/files/folder/{MY}"), json!({"title": ""}));
        let body = answer.json();
        assert_eq!((answer.status, &body["statusCode"], &body["status"]), (400, &json!(400), &json!(1)));
        assert_eq!(body["error"]["type"].is_string(), site.is_docspace());
        assert_eq!(body["count"], if site.is_docspace() { Value::Null } else { json!(0) });
    }
}

#[test]
fn a_folder_that_is_missing_is_a_fault_of_community_server() {
    let body = json!({"fileName": "a.bin", "fileSize": 5});
    for generation in ALL {
        let site = Site::new(generation);
        let answer = site.call("POST", "/api/2.0/files/4711/upload/create_session", body.clone());
        let expected = if site.is_docspace() { 404 } else { 500 };
        assert_eq!(answer.error(expected), "The required folder was not found");
    }
}

#[test]
fn fields_are_checked_before_the_call() {
    let site = Site::new(Generation::G3);
    let create = format!("/api/2.0/files/{MY}/upload/create_session");
    let answer = site.call("POST", &create, json!({"fileSize": 5}));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errors"]["FileName"], json!(["The FileName field is required."]));
    let answer = site.call("POST", &create, json!({"fileName": "a", "fileSize": "many"}));
    assert_eq!(answer.status, 400);
    let answer = site.send(&site.request("POST", &create).header("Content-Type", "application/json").body("{"));
    assert_eq!(answer.status, 400);
    site.in_order();
}

#[test]
fn an_address_that_does_not_exist_is_a_mistake() {
    let site = Site::new(Generation::G2);
    assert_eq!(site.get("/api/2.0/files/nonsense").status, 404);
    site.violated("no such address: GET /api/2.0/files/nonsense");
    // It came with the next generation.
    assert_eq!(site.call("POST", &format!("/api/2.0/files/{MY}/session"), json!({"fileName": "a"})).status, 404);
    site.violated("no such address");
}

#[test]
fn who_does_not_pay_gets_nothing() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 3);
    site.portal.set(&json!({"paid": false})).unwrap();
    for target in ["/api/2.0/files/@my", "/filehandler.ashx?action=download&fileid=1"] {
        let answer = site.get(target);
        assert_eq!((answer.status, answer.body.len()), (402, 0), "{target}");
    }
    site.put(&session, b"abc").data(201);
    site.in_order();
}

#[test]
fn messages_come_in_the_language_of_the_portal() {
    let site = Site::new(Generation::G2);
    site.portal.set(&json!({"language": "de"})).unwrap();
    let session = site.open("a.bin", 3);
    let too_large = vec![0; super::C + 1];
    assert!(site.put(&session, &too_large).refusal().starts_with("Die maximale Dateigröße"));
    site.violated("a chunk of 1001 bytes");
    assert_eq!(site.finalize(&json!({"location": "http://p/ChunkedUploader.ashx?uid=x"})).refusal(), NULL);
}

/// Never translated.
const NULL: &str = "Object reference not set to an instance of an object.";
