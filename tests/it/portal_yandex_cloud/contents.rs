//! Contents on their way in: wherever they stand in a document, however they come, too large, empty, of a type that is not
//! listed, cut, slow, and twice with one key.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use uploadfs::portal::yandex_cloud::FOLDER;

use super::{Site, assert_denied, assert_refused, base64, document, form, noise, ok};

/// The document, member by member, in this order.
fn ordered(body: &Value, names: &[&str]) -> String {
    let members: Vec<String> = names.iter().map(|name| format!("{}:{}", json!(name), body[*name])).collect();
    format!("{{ {} }}", members.join(" ,\n "))
}

#[test]
fn the_content_may_stand_anywhere() {
    let (site, bytes) = (Site::new(), noise(100_000));
    let mut body = document("a", &bytes);
    body["labels"] = json!({"content": "\"}{", "x": "content"});
    let orders = [
        ["content", "folderId", "name", "labels", "expirationConfig"],
        ["folderId", "name", "content", "labels", "expirationConfig"],
        ["expirationConfig", "labels", "name", "folderId", "content"],
    ];
    for order in orders {
        let request = site.creating(&body).body(ordered(&body, &order));
        let made = ok(&site.send(&request));
        assert_eq!((site.download(&made["id"]), &made["labels"]), (bytes.clone(), &body["labels"]), "{order:?}");
    }
    let escaped = body.to_string().replace('/', "\\/").replace('+', "\\u002b");
    let made = ok(&site.send(&site.creating(&body).body(escaped)));
    assert_eq!(site.download(&made["id"]), bytes);
    site.in_order();
}

#[test]
fn a_document_has_one_content_and_one_end() {
    let site = Site::new();
    let text = document("a", b"abc").to_string();
    for wrong in [
        text.replacen('{', r#"{"content":"Zg==","#, 1),
        text.replacen('{', r#"{"folderId":"x","#, 1),
        format!("{text}{text}"),
        text[..text.len() - 1].to_owned(),
        String::new(),
    ] {
        assert_refused(&site.send(&site.creating(&Value::Null).body(wrong)), 400, 3);
        assert_eq!(site.portal.violations().len(), 1);
        site.portal.clear_violations();
    }
    assert_eq!(site.state().files, []);
}

#[test]
fn what_is_too_large_is_refused_in_three_ways() {
    let site = Site::set(json!({"file_bytes_max": 1000}));
    ok(&site.create(&document("a", &noise(1000))));
    let large = document("b", &noise(1001));
    let large_form = form(&[("purpose", "assistants")], "b", &noise(1001));
    assert_refused(&site.create(&large), 400, 3);
    site.change(json!({"oversize": "resource_exhausted"}));
    assert_refused(&site.create(&large), 429, 8);
    site.in_order();
    assert_denied(&site.send(&site.posting(&large_form)), 429, "larger than 1000 bytes");
    site.portal.clear_violations();
    site.change(json!({"oversize": "too_large"}));
    let gateway = site.create(&large);
    assert_eq!((gateway.status, gateway.header("content-type")), (413, Some("text/html")));
    assert_eq!(site.send(&site.posting(&large_form)).status, 413);
    assert_eq!(site.state().files.len(), 1);
}

#[test]
fn a_megabyte_is_the_smaller_one_unless_it_is_told_otherwise() {
    let settings = uploadfs::portal::yandex_cloud::Settings::default();
    assert_eq!(settings.file_bytes_max, 128_000_000);
    Site::set(json!({"file_bytes_max": 128 << 20})).in_order();
}

#[test]
fn a_file_of_no_bytes_is_a_matter_of_taste() {
    let site = Site::new();
    assert_refused(&site.create(&document("a", b"")), 400, 3);
    site.in_order();
    let empty = form(&[super::HOUR[0], super::HOUR[1], ("purpose", "assistants")], "a", b"");
    assert_denied(&site.send(&site.posting(&empty)), 400, "must not be empty");
    site.change(json!({"empty_files": true}));
    assert_eq!(site.download(&site.upload("a", b"")["id"]), b"");
    assert_eq!(ok(&site.send(&site.posting(&empty)))["bytes"], 0);
    let mut without = document("a", b"");
    without.as_object_mut().unwrap().remove("content");
    ok(&site.create(&without));
    site.in_order();
}

#[test]
fn a_type_that_is_not_listed_may_be_refused() {
    let site = Site::new();
    let zip = b"PK\x03\x04....";
    let mut declared = document("a.zip", zip);
    declared["mimeType"] = json!("application/zip");
    let status = |body: &Value| site.create(body).status;
    assert_refused(&site.create(&declared), 400, 3);
    assert_eq!(ok(&site.create(&document("a.zip", zip)))["mimeType"], "application/zip", "found, not declared");
    site.change(json!({"mime": "every"}));
    assert_eq!((status(&declared), status(&document("a.zip", zip)), status(&document("a", b"abc"))), (400, 400, 200));
    site.change(json!({"mime": "never"}));
    assert_eq!((status(&declared), status(&document("a.zip", zip))), (200, 200));
    site.in_order();
}

#[test]
fn types_are_found_in_the_content() {
    let site = Site::new();
    for (bytes, expected) in [
        (&b"plain"[..], "text/plain"),
        (b"%PDF-1.7", "application/pdf"),
        (b"<html>", "text/html"),
        (b"\xff\xfe\x00", "application/octet-stream"),
    ] {
        assert_eq!(site.upload("a", bytes)["mimeType"], expected);
    }
}

#[test]
fn a_body_tells_its_length() {
    let site = Site::new();
    let document = document("a", b"abc");
    let chunked = site.creating(&document).without_length();
    assert_eq!(site.send(&chunked).status, 411);
    site.violated("without a length");
    let posted = form(&[super::HOUR[0], super::HOUR[1], ("purpose", "batch")], "b", b"abc");
    assert_eq!(site.send(&site.posting(&posted).without_length()).status, 411);
    site.violated("without a length");
    site.change(json!({"chunked_bodies": true}));
    assert_eq!(site.download(&ok(&site.send(&chunked))["id"]), b"abc");
    assert_eq!(ok(&site.send(&site.posting(&posted).without_length()))["bytes"], 3);
    site.in_order();
}

#[test]
fn a_cut_body_makes_nothing() {
    let site = Site::new();
    let document = document("a", &noise(100_000));
    let posted = form(&[super::HOUR[0], super::HOUR[1], ("purpose", "batch")], "b", &noise(100_000));
    for missing in [1, 5, 50_000, 130_000] {
        site.creating(&document).send_half(site.address, missing);
    }
    for missing in [5, 50_000, 90_000] {
        site.posting(&posted).send_half(site.address, missing);
    }
    assert_eq!(site.state().files, []);
    site.in_order();
}

#[test]
fn a_pause_that_is_too_long_ends_a_body() {
    let site = Site::set(json!({"body_idle_ms": 1}));
    let mut stream = TcpStream::connect(site.address).unwrap();
    let head = format!(
        "POST /files/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\nConnection: close\r\n\r\n{{\"content\":\"Zg",
        site.authorization
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(site.state().files, []);
}

#[test]
fn a_key_makes_one_file_where_it_is_honoured() {
    let site = Site::new();
    let key = "e38e71c3-1234-4234-8234-123456789012";
    let send = |key: &str, bytes: &[u8]| {
        let request = site.creating(&document("a", bytes)).header("Idempotency-Key", key);
        ok(&site.send(&request))["id"].clone()
    };
    assert_ne!(send(key, b"abc"), send(key, b"abc"), "it is not honoured");
    site.change(json!({"idempotency": true}));
    let first = send(key, b"abc");
    assert_eq!((send(key, b"abc"), site.state().files.len()), (first.clone(), 3));
    site.in_order();
    assert_eq!((send(key, b"other"), site.download(&first)), (first.clone(), b"abc".to_vec()));
    site.violated("used for two files");
    send("no-uuid", b"abc");
    site.violated("no UUID");
    ok(&site.ask("DELETE", &super::target(&first)));
    assert_ne!(send(key, b"abc"), first);
    site.in_order();
}

#[test]
fn there_is_room_for_so_many_files() {
    let site = Site::set(json!({"files_max": 2}));
    let first = site.upload("a", b"abc");
    site.post("b", b"abc");
    assert_refused(&site.create(&document("c", b"abc")), 429, 8);
    ok(&site.ask("DELETE", &super::target(&first["id"])));
    site.upload("c", b"abc");
    site.in_order();
}

#[test]
fn a_folder_is_named_in_the_document() {
    let site = Site::new();
    let body = json!({"folderId": "b1gother", "content": base64(b"abc")});
    let answer = site.create(&body);
    assert_refused(&answer, 400, 3);
    assert!(answer.text().contains("does not match with service account"), "{}", answer.text());
    assert!(FOLDER.starts_with("b1g") && site.state().files.is_empty());
    site.in_order();
}
