//! The session calls of DocSpace 3.7: the same sessions, real status codes, measured lengths.

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::Generation;

use super::client::{Answer, Request, TYPE, form_with};
use super::{C, MY, Site, noise};

fn open(site: &Site, body: Value) -> Value {
    site.call("POST", &format!("/api/2.0/files/{MY}/session"), body).response(200)
}

/// A form whose field has the name that the vendor's SDK gives it.
fn chunk(site: &Site, rest: &str, bytes: &[u8]) -> Request {
    let (content_type, body) =
        form_with(&["Content-Disposition: form-data; name=\"File\"; filename=\"blob\""], bytes, "");
    let target = format!("/api/2.0/files/{MY}/session/{rest}");
    site.request("POST", &target).header("Content-Type", &content_type).body(body)
}

fn send(site: &Site, rest: &str, bytes: &[u8]) -> Answer {
    site.send(&chunk(site, rest, bytes))
}

fn finalize(site: &Site, id: &str) -> Answer {
    site.send(&site.request("PUT", &format!("/api/2.0/files/{MY}/session/{id}/finalize")))
}

fn abort(site: &Site, id: &str) -> Answer {
    site.send(&site.request("DELETE", &format!("/api/2.0/files/{MY}/session/{id}")))
}

fn id(session: &Value) -> &str {
    session["id"].as_str().unwrap()
}

#[test]
fn a_session_stands_directly_in_the_answer() {
    let site = Site::new(Generation::G3);
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": 5}));
    assert_eq!((&session["bytes_total"], session.get("success")), (&json!(5), None));
    assert!(session["location"].as_str().unwrap().contains("/ChunkedUploader.ashx?uid="));
    site.in_order();
}

#[test]
fn numbered_chunks_are_measured_whatever_their_frame() {
    let bytes = noise(2 * C + 9);
    let site = Site::new(Generation::G3);
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": bytes.len()}));
    assert_eq!(finalize(&site, id(&session)).error(400), "uploadSize != bytesTotal");
    for (number, part) in (1..).zip(bytes.chunks(C)).collect::<Vec<_>>().into_iter().rev() {
        let answer = send(&site, &format!("{}/upload?ChunkNumber={number}", id(&session)), part).response(200);
        assert_eq!(answer["id"], session["id"]);
    }
    let made = finalize(&site, id(&session)).response(201);
    assert_eq!((&made["uploaded"], &made["title"]), (&json!(true), &json!("a.bin")));
    assert_eq!(site.download(&made["id"]), bytes);
    site.in_order();
}

#[test]
fn chunks_in_sequence_tell_whether_the_file_is_there() {
    let bytes = noise(C + 9);
    let site = Site::new(Generation::G3);
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": bytes.len()}));
    let first = send(&site, id(&session), &bytes[..C]).response(200);
    assert_eq!((&first["uploaded"], &first["id"]), (&json!(false), &json!(0)));
    let last = send(&site, id(&session), &bytes[C..]).response(201);
    assert_eq!((&last["uploaded"], &last["file"]["pureContentLength"]), (&json!(true), &json!(bytes.len())));
    site.in_order();
}

#[test]
fn sessions_of_both_kinds_are_the_same() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 2 * C as i64);
    send(&site, &format!("{}/upload?chunkNumber=2", id(&session)), &noise(C)).response(200);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    finalize(&site, id(&session)).response(201);
    let file = site.file("a.bin").id;
    let edit = format!("/api/2.0/files/file/{file}/edit_session?fileSize=3");
    let session = site.send(&site.request("POST", &edit)).response(200)["data"].clone();
    assert_eq!(send(&site, id(&session), b"abc").response(201)["version"], 1);
    site.in_order();
}

#[test]
fn failures_have_codes() {
    let site = Site::new(Generation::G3);
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": 2 * C}));
    let numbered = format!("{}/upload?chunkNumber=1", id(&session));
    assert!(send(&site, &numbered, &noise(C + 1)).error(402).starts_with("The maximum file size is exceeded"));
    site.violated("chunk 1 has 1001 bytes");
    send(&site, "00/upload?chunkNumber=1", &noise(C)).error(500);
    finalize(&site, "00").error(500);
    abort(&site, "00").error(500);
    site.in_order();
    let (content_type, body) =
        form_with(&["Content-Disposition: form-data; name=\"x\"; filename=\"b\"", TYPE], b"", "\r\n");
    let target = format!("/api/2.0/files/{MY}/session/{numbered}");
    let other = site.request("POST", &target).header("Content-Type", &content_type).body(body);
    site.send(&other).error(500);
    site.violated("without the file");
}

#[test]
fn giving_up_fails_once_there_are_chunks() {
    let site = Site::new(Generation::G3);
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": 2 * C}));
    let answer = abort(&site, id(&session));
    assert_eq!((answer.status, answer.json().get("response")), (200, None));
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": 2 * C}));
    send(&site, &format!("{}/upload?chunkNumber=1", id(&session)), &noise(C)).response(200);
    assert!(abort(&site, id(&session)).error(500).starts_with("Directory not empty"));
    assert_eq!((site.state().sessions.len(), site.state().leaked_bytes), (1, C as u64));
}

#[test]
fn a_small_chunk_that_exceeds_the_quota_is_refused_with_402() {
    let site = Site::new(Generation::G3);
    site.portal.set(&json!({"room_bytes": 2})).unwrap();
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": 5}));
    assert!(send(&site, id(&session), b"abcde").error(402).starts_with("Room space quota exceeded"));
    assert_eq!(site.state().files, []);
}

#[test]
fn strangers_are_told_to_sign_in() {
    let mut site = Site::new(Generation::G3);
    let session = open(&site, json!({"fileName": "a.bin", "fileSize": 5}));
    site.token = "nonsense".into();
    for answer in [send(&site, id(&session), b"abcde"), finalize(&site, id(&session)), abort(&site, id(&session))] {
        assert_eq!((answer.status, answer.body.len()), (401, 0));
    }
}
