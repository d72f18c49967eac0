//! Chunks without numbers, through the upload handler: what is accepted, what is refused with a 200, and the traps.

use serde_json::{Value, json};
use uploadfs::portal::faults::{Fault, How, Rule, When};
use uploadfs::portal::onlyoffice::Generation;

use super::client::{Request, TYPE, form, form_with};
use super::{ALL, C, Site, noise, target};
use crate::support::program::until;

#[test]
fn a_file_of_several_chunks_is_answered_201_at_its_end() {
    let bytes = noise(2 * C + 400);
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", bytes.len() as i64);
        for (chunk, sent) in bytes.chunks(C).zip([C, 2 * C]) {
            let data = site.put(&session, chunk).data(200);
            let counts = generation <= Generation::G1;
            assert_eq!(data["bytes_uploaded"], if counts { json!(sent) } else { Value::Null });
            assert_eq!(data["path"], if site.is_docspace() { json!([1]) } else { json!(["1"]) });
        }
        let made = site.put(&session, &bytes[2 * C..]).data(201);
        assert_eq!((&made["title"], &made["version"], &made["uploaded"]), (&json!("a.bin"), &json!(1), &json!(true)));
        if site.is_docspace() {
            assert_eq!(made["file"]["pureContentLength"], bytes.len());
            assert_eq!(made["folderId"], 1);
        } else {
            assert_eq!((made.get("file"), made.get("provider_key")), (None, Some(&Value::Null)));
            assert_eq!(made["folderId"], "1");
        }
        assert_eq!(site.download(&made["id"]), bytes);
        assert_eq!((site.state().sessions.len(), site.state().leaked_bytes), (0, 0));
        site.in_order();
    }
}

#[test]
fn a_small_file_is_one_chunk_and_its_session_stays_where_sessions_are_cached() {
    for generation in ALL {
        let site = Site::new(generation);
        site.upload("a.bin", b"abc");
        let left: Vec<u64> = site.state().sessions.iter().map(|session| session.commits).collect();
        assert_eq!(left, if generation <= Generation::G1 { vec![] } else { vec![1] }, "{generation:?}");
        site.in_order();
    }
}

#[test]
fn the_same_small_chunk_again_is_another_version() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 3);
    assert_eq!(site.put(&session, b"abc").data(201)["version"], 1);
    site.in_order();
    assert_eq!(site.put(&session, b"abc").data(201)["version"], 2);
    site.violated("a second chunk of a small file");
    // Where the session is gone, so is the way to do that.
    let site = Site::new(Generation::G0);
    let session = site.open("a.bin", 3);
    site.put(&session, b"abc").data(201);
    assert_eq!(site.put(&session, b"abc").refusal(), "The required file was not found");
}

#[test]
fn errors_are_answered_with_200() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        let target = target(&session);
        let bare = site.request("POST", &target).header("Content-Type", "application/octet-stream").body("abc");
        assert_eq!(site.send(&bare).refusal(), "HttpRequest.Files is empty");
        site.violated("without the file");
        // A field is no file.
        let (content_type, body) = form_with(&["Content-Disposition: form-data; name=\"file\"", TYPE], b"abc", "\r\n");
        let field = site.request("POST", &target).header("Content-Type", &content_type).body(body);
        assert_eq!(site.send(&field).refusal(), "HttpRequest.Files is empty");
        site.violated("without the file");
        assert!(site.put(&session, &noise(C + 1)).refusal().starts_with("The maximum file size is exceeded"));
        site.violated("a chunk of 1001 bytes");
        let refusal = site.send(&site.plain(&session, b""));
        if generation == Generation::G3 {
            refusal.data(200);
        } else {
            assert_eq!(refusal.refusal(), "Empty file");
        }
    }
}

#[test]
fn null_is_written_by_community_server_alone() {
    for generation in ALL {
        let site = Site::new(generation);
        let unknown = json!({"location": "http://p/x/ChunkedUploader.ashx?uid=00"});
        let answer = site.put(&unknown, b"abc");
        let message = if generation <= Generation::G1 {
            "The required file was not found"
        } else {
            "Object reference not set to an instance of an object."
        };
        let mut expected = json!({"success": false, "message": message});
        if !site.is_docspace() {
            expected["data"] = Value::Null;
        }
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
}

#[test]
fn any_field_name_and_other_fields_before_are_fine() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 3);
        let body = "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nnothing\r\n\
                    --B\r\nContent-Disposition: form-data; name=\"files[]\"; filename=\"b\"\r\n\r\nabc\r\n--B--";
        let request = site.request("POST", &target(&session)).header("Content-Type", "multipart/form-data; boundary=B");
        let request = request.header("Content-Range", "bytes 500-900/10000").body(body).without_length();
        let made = site.send(&request).data(201);
        assert_eq!(site.download(&made["id"]), b"abc", "{generation:?}");
        site.in_order();
    }
}

#[test]
fn the_classic_form_measures_what_it_gets() {
    // Frames of which the numbered form computes wrong lengths.
    for generation in ALL {
        let site = Site::new(generation);
        for (headers, end) in [
            (vec!["Content-Disposition: form-data; name=\"file\"; filename=\"b\""], "\r\n"),
            (vec!["Content-Disposition: form-data; name=\"file\"; filename=\"ä\"", TYPE, "X-Y: z"], ""),
        ] {
            let session = site.open("a.bin", 3);
            let (content_type, body) = form_with(&headers, b"abc", end);
            let request = site.request("POST", &target(&session)).header("Content-Type", &content_type).body(body);
            site.send(&request).data(201);
        }
        site.in_order();
    }
}

#[test]
fn a_chunk_after_a_lost_answer_is_noted_and_finishes_early() {
    let bytes = noise(3 * C);
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", bytes.len() as i64);
        site.put(&session, &bytes[..C]).data(200);
        site.portal.add_fault(Rule::once("chunk", Fault::Drop { when: When::After, how: How::Reset }));
        assert!(site.plain(&session, &bytes[C..2 * C]).send(site.address).is_err());
        site.in_order();
        // The size is a multiple of the chunk size: sent again, it counts as the last one.
        let made = site.put(&session, &bytes[C..2 * C]).data(201);
        site.violated("it may count twice");
        let broken = [&bytes[..2 * C], &bytes[C..2 * C]].concat();
        assert_eq!(site.download(&made["id"]), broken, "{generation:?}");
    }
}

#[test]
fn a_client_cannot_know_that_nothing_was_applied() {
    let bytes = noise(2 * C);
    let answer = |status| Fault::Answer { when: When::Before, status, retry_after_s: None, body: String::new() };
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", bytes.len() as i64);
        // Refused by a limiter, it may be sent again. A gateway does not know, and a client cannot.
        site.portal.add_fault(Rule::once("chunk", answer(429)));
        assert_eq!(site.put(&session, &bytes[..C]).status, 429);
        site.put(&session, &bytes[..C]).data(200);
        site.in_order();
        site.portal.add_fault(Rule::once("chunk", answer(504)));
        assert_eq!(site.put(&session, &bytes[C..]).status, 504);
        site.put(&session, &bytes[C..]).data(201);
        site.violated("it may count twice");
    }
}

#[test]
fn old_generations_may_be_asked_with_512_bytes() {
    let bytes = noise(C + 900);
    let site = Site::new(Generation::G1);
    let session = site.open("a.bin", bytes.len() as i64);
    site.portal.add_fault(Rule::once("chunk", Fault::Drop { when: When::Before, how: How::Reset }));
    assert!(site.plain(&session, &bytes[..C]).send(site.address).is_err());
    // The chunk was not applied: the upload goes on behind the question.
    assert_eq!(site.put(&session, &bytes[..512]).data(200)["bytes_uploaded"], 512);
    site.put(&session, &bytes[512..512 + C]).data(200);
    let made = site.put(&session, &bytes[512 + C..]).data(201);
    assert_eq!(site.download(&made["id"]), bytes);
    site.in_order();
}

#[test]
fn two_chunks_at_once_are_noted() {
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", 2 * C as i64);
    let first = site.plain(&session, &noise(C)).begin(site.address);
    until("two chunks at once", || {
        assert_eq!(site.put(&session, b"").refusal(), "Empty file");
        site.portal.violations().iter().any(|violation| violation.what.contains("two chunks"))
    });
    first.finish().unwrap().data(200);
}

#[test]
fn half_a_chunk_counts_for_nothing() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        site.plain(&session, &noise(C)).send_half(site.address, 100);
        assert_eq!(site.state().sessions[0].bytes_held, 0);
        site.put(&session, &noise(C)).data(200);
        site.put(&session, &noise(C)).data(201);
    }
}

#[test]
fn more_than_declared_is_answered_201_and_stored_nowhere() {
    for generation in [Generation::G2, Generation::G3] {
        let site = Site::new(generation);
        let session = site.open("a.bin", 3);
        let made = site.put(&session, b"abcd").data(201);
        assert_eq!((&made["id"], site.state().files.len()), (&json!(0), 0));
        site.violated("a chunk of 4 bytes for a small file of 3");
    }
    for generation in [Generation::G0, Generation::G1] {
        let site = Site::new(generation);
        let session = site.open("a.bin", 3);
        assert_eq!(site.put(&session, b"abcd").data(200)["bytes_uploaded"], 0);
        site.violated("4 bytes of a file of 3");
    }
}

#[test]
fn less_than_declared_is_a_file_of_the_wrong_size() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 9);
    let made = site.put(&session, b"abc").data(201);
    site.violated("a chunk of 3 bytes for a small file of 9");
    assert_eq!(made["file"]["pureContentLength"], 9);
    let file = site.file("a.bin");
    assert_eq!((file.bytes, file.stored_bytes), (9, 3));
    // Where chunks are appended, it waits for the rest.
    let site = Site::new(Generation::G0);
    let session = site.open("a.bin", 9);
    site.put(&session, b"abc").data(200);
    site.put(&session, b"defghi").data(201);
    site.in_order();
}

#[test]
fn docspace_wants_whoever_opened_the_session() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 3);
        let (content_type, body) = form(b"abc");
        let request = Request::new("POST", &target(&session)).header("Content-Type", &content_type).body(body);
        let answer = request.send(site.address).unwrap();
        if site.is_docspace() {
            let message = "Not authorized or session with specified upload id already expired";
            assert_eq!(answer.refusal(), message);
        } else {
            answer.data(201);
        }
    }
}

#[test]
fn the_handler_takes_posts_and_answers_questions_about_it() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 3);
        assert_eq!(site.send(&site.request("OPTIONS", &target(&session))).status, 200);
        let (content_type, body) = form(b"abc");
        let put = site.request("PUT", &target(&session)).header("Content-Type", &content_type).body(body);
        assert_eq!(site.send(&put).status, if site.is_docspace() { 201 } else { 404 });
    }
}

#[test]
fn a_number_is_ignored_where_there_are_none() {
    for generation in [Generation::G0, Generation::G1] {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        assert_eq!(site.put_numbered(&session, 2, &noise(C)).data(200)["bytes_uploaded"], C);
        site.violated("the number of a chunk is ignored");
    }
    // Without `upload=true` it is ignored everywhere.
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 2 * C as i64);
    let (content_type, body) = form(&noise(C));
    let request = site.request("POST", &format!("{}&chunkNumber=2", target(&session)));
    site.send(&request.header("Content-Type", &content_type).body(body)).data(200);
    site.violated("the number of a chunk is ignored");
    site.put(&session, &noise(C)).data(201);
}
