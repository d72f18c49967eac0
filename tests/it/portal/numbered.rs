//! Chunks with numbers, through the upload handler: order, repetition, parallel requests, and the length that the
//! server computes.

use std::thread;

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::Generation;

use super::client::{Request, TYPE, form_with};
use super::{C, Site, noise, target};
use crate::support::program::until;

const NUMBERING: [Generation; 2] = [Generation::G2, Generation::G3];

const DISPOSITION: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"blob\"";

/// Chunk 1 in a frame of these headers.
fn framed(site: &Site, session: &Value, headers: &[&str], bytes: &[u8], end: &str) -> Request {
    let (content_type, body) = form_with(headers, bytes, end);
    let target = format!("{}&chunkNumber=1&upload=true", target(session));
    site.request("POST", &target).header("Content-Type", &content_type).body(body)
}

#[test]
fn chunks_come_in_any_order_and_at_once() {
    let bytes = noise(5 * C + 77);
    for generation in NUMBERING {
        let site = Site::new(generation);
        let session = site.open("a.bin", bytes.len() as i64);
        thread::scope(|scope| {
            for (number, chunk) in (1..).zip(bytes.chunks(C)) {
                let (site, session) = (&site, &session);
                scope.spawn(move || {
                    let data = site.put_numbered(session, number, chunk).data(200);
                    assert_eq!((&data["id"], data.get("bytes_uploaded")), (&session["id"], None));
                });
            }
        });
        let made = site.finalize(&session).data(201);
        assert_eq!(made["file"]["pureContentLength"], bytes.len());
        assert_eq!(site.download(&made["id"]), bytes);
        assert_eq!(site.state().sessions, []);
        site.in_order();
    }
}

#[test]
fn a_chunk_may_be_sent_again() {
    let bytes = noise(2 * C);
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", bytes.len() as i64);
    for number in [1, 1, 2, 1] {
        let number_at = (number - 1) * C;
        site.put_numbered(&session, number as u32, &bytes[number_at..number_at + C]).data(200);
    }
    assert_eq!(site.download(&site.finalize(&session).data(201)["id"]), bytes);
    site.in_order();
}

#[test]
fn a_premature_finalize_is_a_harmless_question() {
    for generation in NUMBERING {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        assert_eq!(site.finalize(&session).refusal(), "uploadSize != bytesTotal");
        site.put_numbered(&session, 2, &noise(C)).data(200);
        assert_eq!(site.finalize(&session).refusal(), "uploadSize != bytesTotal");
        site.put_numbered(&session, 1, &noise(C)).data(200);
        site.finalize(&session).data(201);
        let gone = "Object reference not set to an instance of an object.";
        assert_eq!(site.finalize(&session).refusal(), gone);
        site.in_order();
    }
}

#[test]
fn a_small_file_is_saved_by_its_chunk_and_finalized_for_the_answer() {
    for generation in NUMBERING {
        let site = Site::new(generation);
        let session = site.open("a.bin", 3);
        site.put_numbered(&session, 1, b"abc").data(200);
        assert_eq!(site.state().files.len(), 1);
        let made = site.finalize(&session).data(201);
        assert_eq!((&made["version"], site.download(&made["id"])), (&json!(1), b"abc".to_vec()));
        // As often as anybody wants.
        assert_eq!(site.finalize(&session).data(201)["version"], 1);
        site.in_order();
    }
}

#[test]
fn empty_files_are_one_empty_chunk_since_3_6() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 0);
    site.put_numbered(&session, 1, b"").data(200);
    let made = site.finalize(&session).data(201);
    assert_eq!(made["file"].get("pureContentLength"), None, "nothing is left out like a null");
    assert_eq!(site.file("a.bin").bytes, 0);
    site.in_order();
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", 0);
    assert_eq!(site.put_numbered(&session, 1, b"").refusal(), "Empty file");
}

#[test]
fn only_one_frame_has_the_right_length() {
    let wrong: [(&[&str], &str); 4] = [
        (&[DISPOSITION], "\r\n"),
        (&[DISPOSITION, TYPE], ""),
        (&[DISPOSITION, TYPE, "Content-Length: 1000"], "\r\n"),
        (&["Content-Disposition: form-data; name=\"file\"; filename=\"ä\"", TYPE], "\r\n"),
    ];
    for generation in NUMBERING {
        let site = Site::new(generation);
        let session = site.open("a.bin", C as i64);
        for (headers, end) in wrong {
            let bytes = noise(C);
            let answer = site.send(&framed(&site, &session, headers, &bytes, end));
            let counts_too_much = headers.len() == 3 || headers[0].contains('ä');
            if counts_too_much {
                assert!(answer.refusal().starts_with("The maximum file size"), "{headers:?}");
            } else {
                answer.data(200);
                assert_eq!(site.finalize(&session).refusal(), "uploadSize != bytesTotal", "{headers:?}");
            }
            site.violated("a frame of which the server computes");
        }
        // A part without a file name is taken.
        let nameless = ["Content-Disposition: form-data; name=\"file\"", TYPE];
        site.send(&framed(&site, &session, &nameless, &noise(C), "\r\n")).data(200);
        site.finalize(&session).data(201);
        site.in_order();
    }
}

#[test]
fn a_frame_needs_its_length_and_a_boundary_of_100_characters() {
    for generation in NUMBERING {
        let site = Site::new(generation);
        let session = site.open("a.bin", C as i64);
        let chunked = site.numbered(&session, 1, &noise(C)).without_length();
        assert_eq!(site.send(&chunked).refusal(), "Nullable object must have a value.");
        site.violated("without Content-Length");
        let target = format!("{}&chunkNumber=1&upload=true", target(&session));
        let boundary = "b".repeat(101);
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let body = format!("--{boundary}\r\n{DISPOSITION}\r\n{TYPE}\r\n\r\nabc\r\n--{boundary}--\r\n");
        let long = site.request("POST", &target).header("Content-Type", &content_type).body(body);
        assert_eq!(site.send(&long).refusal(), "Multipart boundary length limit 100 exceeded.");
        let bare = site.request("POST", &target).header("Content-Type", "text/plain").body("abc");
        assert!(!site.send(&bare).refusal().is_empty());
        assert_eq!(site.state().sessions[0].bytes_held, 0);
    }
}

#[test]
fn chunks_of_the_wrong_length_are_noted() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 2 * C as i64 + 5);
    for (number, bytes, words) in [
        (1, C - 1, "chunk 1 has 999 bytes instead of 1000"),
        (3, 6, "chunk 3 has 6 bytes instead of 5"),
        (4, 1, "chunk 4 of a file"),
        (0, 1, "chunk 0 of a file"),
    ] {
        site.put_numbered(&session, number, &noise(bytes)).data(200);
        site.violated(words);
    }
    assert!(site.put_numbered(&session, 1, &noise(C + 1)).refusal().starts_with("The maximum file size"));
    site.violated("chunk 1 has 1001 bytes");
    // One byte over a chunk that is there is how a session is given up.
    site.put_numbered(&session, 1, b"x").data(200);
    site.in_order();
}

#[test]
fn a_chunk_that_is_being_written_cannot_be_written() {
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", 2 * C as i64);
    // Whichever comes first is written, and the other is refused; where they do not meet, they try again.
    until("a chunk that is in use", || {
        let first = site.numbered(&session, 1, &noise(C)).begin(site.address);
        let second = site.put_numbered(&session, 1, &noise(C));
        let answers = [Ok(second), first.finish()];
        answers.iter().flatten().any(|answer| answer.text().contains("being used by another process"))
    });
    site.put_numbered(&session, 1, &noise(C)).data(200);
    site.put_numbered(&session, 2, &noise(C)).data(200);
    site.finalize(&session).data(201);
    site.portal.set(&json!({"chunks_are_exclusive": false})).unwrap();
    let session = site.open("b.bin", 2 * C as i64);
    let first = site.numbered(&session, 1, &noise(C)).begin(site.address);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    first.finish().unwrap().data(200);
    site.in_order();
}

#[test]
fn half_a_chunk_stays_without_a_length() {
    let bytes = noise(2 * C);
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", bytes.len() as i64);
    site.put_numbered(&session, 2, &bytes[C..]).data(200);
    site.numbered(&session, 1, &bytes[..C]).send_half(site.address, 300);
    assert!((C as u64 + 1..2 * C as u64).contains(&site.state().sessions[0].bytes_held));
    assert_eq!(site.finalize(&session).refusal(), "uploadSize != bytesTotal");
    site.put_numbered(&session, 1, &bytes[..C]).data(200);
    assert_eq!(site.download(&site.finalize(&session).data(201)["id"]), bytes);
    site.in_order();
}

#[test]
fn a_missing_number_is_the_next_one() {
    let site = Site::new(Generation::G3);
    let session = site.open("a.bin", 2 * C as i64);
    for _ in 0..2 {
        let (content_type, body) = super::form(&noise(C));
        let request = site.request("POST", &format!("{}&upload=true", target(&session)));
        site.send(&request.header("Content-Type", &content_type).body(body)).data(200);
    }
    site.finalize(&session).data(201);
    site.in_order();
}
