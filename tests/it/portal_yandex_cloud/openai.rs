//! The dialect of OpenAI: forms, its own looks, one store with the native one, and its errors.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BOUNDARY, HOUR, NATIVE, OPENAI, Site, assert_denied, assert_refused, form, noise, ok, openai, target};
use crate::support::raw::{Answer, Request};

const PURPOSE: (&str, &str) = ("purpose", "user_data");

#[test]
fn a_file_of_a_form_has_a_size() {
    let (site, bytes) = (Site::new(), noise(50_000));
    let made = ok(&site.send(&site.posting(&form(&[PURPOSE, HOUR[0], HOUR[1]], "Отчёт.bin", &bytes))));
    assert_eq!(
        (&made["object"], &made["bytes"], &made["status"]),
        (&json!("file"), &json!(50_000), &json!("processed"))
    );
    assert_eq!((&made["filename"], &made["purpose"]), (&json!("Отчёт.bin"), &json!("user_data")));
    let [created, expires] = ["created_at", "expires_at"].map(|field| made[field].as_i64().unwrap());
    assert_eq!(expires - created, 3600);
    assert_eq!(site.get(&openai(&made["id"])), made);
    let content = site.ask("GET", &format!("{}/content", openai(&made["id"])));
    assert_eq!((content.status, &content.body), (200, &bytes));
    assert_eq!(content.header("content-type"), Some("application/octet-stream"));
    let expected = json!({"id": made["id"], "object": "file", "deleted": true});
    assert_eq!(ok(&site.ask("DELETE", &openai(&made["id"]))), expected);
    assert_denied(&site.ask("GET", &openai(&made["id"])), 404, "not found");
    site.in_order();
}

#[test]
fn fields_come_in_any_order() {
    let site = Site::new();
    let file = "--{B}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/csv\r\n\r\na,b\r\n";
    let purpose = "--{B}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nevals\r\n";
    let extra = "--{B}\r\nContent-Disposition: form-data; name=\"format\"\r\n\r\nchunks\r\n";
    for parts in [[file, purpose, extra], [extra, file, purpose]] {
        let body = format!("{}--{{B}}--", parts.concat()).replace("{B}", BOUNDARY);
        let made = ok(&site.send(&site.posting(body.as_bytes())));
        assert_eq!((&made["bytes"], &made["purpose"]), (&json!(3), &json!("evals")));
        assert_eq!(site.get(&target(&made["id"]))["mimeType"], "text/csv");
        site.violated("without an explicit expires_after");
    }
}

#[test]
fn a_form_has_a_file_a_purpose_and_a_whole_expiry() {
    let site = Site::new();
    let without_name = form(&[PURPOSE], "a", b"abc").escape_ascii().to_string().replace("; filename=\\\"a\\\"", "");
    let without_name = without_name.replace("\\r", "\r").replace("\\n", "\n").replace("\\\"", "\"");
    let two = [form(&[PURPOSE], "a", b"abc"), form(&[], "b", b"abc")].concat();
    let two = String::from_utf8(two).unwrap().replacen(&format!("--{BOUNDARY}--\r\n"), "", 1);
    for (body, words) in [
        (form(&[], "a", b"abc"), "purpose"),
        (form(&[("purpose", "fun")], "a", b"abc"), "purpose"),
        (form(&[PURPOSE, HOUR[0]], "a", b"abc"), "expires_after[seconds]"),
        (form(&[PURPOSE, HOUR[1]], "a", b"abc"), "expires_after[anchor]"),
        (form(&[PURPOSE, HOUR[0], ("expires_after[seconds]", "60")], "a", b"abc"), "3600-2592000"),
        (form(&[PURPOSE, ("expires_after", "{}")], "a", b"abc"), "must be an object"),
        (without_name.into_bytes(), "file: Field is required"),
        (two.into_bytes(), "two files"),
    ] {
        assert_denied(&site.send(&site.posting(&body)), 400, words);
        site.violated(words);
    }
    let json = site.request("POST", OPENAI).json(&json!({"purpose": "batch"}));
    assert_denied(&site.send(&json), 400, "multipart/form-data is expected");
    site.violated("multipart");
    assert_eq!(site.state().files, []);
}

#[test]
fn both_dialects_see_one_store() {
    let site = Site::new();
    let (native, posted) = (site.upload("a", b"native"), site.post("b", b"openai"));
    let seen = site.get(&openai(&native["id"]));
    assert_eq!((&seen["bytes"], &seen["purpose"], &seen["filename"]), (&json!(6), &json!("assistants"), &json!("a")));
    let seen = site.get(&target(&posted["id"]));
    assert_eq!(seen["expirationConfig"], json!({"expirationPolicy": "STATIC", "ttlDays": "1"}));
    assert_eq!(site.download(&posted["id"]), b"openai");
    assert_eq!(ok(&site.patch(&posted["id"], json!({"updateMask": "name", "name": "c"})))["name"], "c");
    assert_eq!(site.get(&openai(&posted["id"]))["filename"], "c");
    site.in_order();

    site.change(json!({"dialects_apart": true}));
    assert_denied(&site.ask("GET", &openai(&native["id"])), 404, "not found");
    assert_refused(&site.ask("DELETE", &target(&posted["id"])), 404, 5);
    assert_eq!(site.get(OPENAI)["data"].as_array().unwrap().len(), 1);
    assert_eq!(site.walk("").0, [native["id"].clone()]);
}

#[test]
fn who_asks_for_no_expiry_gets_what_the_setting_says() {
    let site = Site::new();
    let post = |purpose: &str| ok(&site.send(&site.posting(&form(&[("purpose", purpose)], "a", b"abc"))));
    let life = |made: &Value| made["expires_at"].as_i64().map(|end| end - made["created_at"].as_i64().unwrap());
    assert_eq!((life(&post("batch")), life(&post("assistants"))), (Some(7 * 86_400), Some(7 * 86_400)));
    site.change(json!({"openai_life": "documented"}));
    assert_eq!((life(&post("batch")), life(&post("assistants"))), (Some(30 * 86_400), None));
    let forever = post("assistants");
    let native = site.get(&target(&forever["id"]));
    assert_eq!((native.get("expiresAt"), native.get("expirationConfig")), (None, None));
    site.portal.clear_violations();
    site.portal.advance(Duration::from_secs(365 * 86_400));
    assert_eq!(site.get(&openai(&forever["id"])), forever);
    site.change(json!({"openai_wants_expiry": true}));
    assert_denied(&site.send(&site.posting(&form(&[PURPOSE], "a", b"abc"))), 400, "expires_after");
    site.violated("expires_after");
}

#[test]
fn errors_have_three_shapes() {
    let site = Site::new();
    let missing = || site.ask("GET", &openai(&json!("fvt1")));
    let nested = missing().json();
    assert!(nested["error"]["message"].is_string() && nested.get("message").is_none(), "{nested}");
    site.change(json!({"openai_errors": "flat"}));
    let flat = missing().json();
    assert!(flat["message"].is_string() && flat.get("code").is_none(), "{flat}");
    site.change(json!({"openai_errors": "status"}));
    assert_refused(&missing(), 404, 5);
    site.change(json!({"openai_errors": "flat"}));
    assert_refused(&site.ask("GET", &target(&json!("fvt1"))), 404, 5);
}

#[test]
fn the_folder_is_in_a_header() {
    let site = Site::new();
    let ask = |headers: &[(&str, &str)]| -> Answer {
        let request = Request::new("GET", OPENAI).header("Authorization", &site.authorization);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        site.send(&request)
    };
    let folder = uploadfs::portal::yandex_cloud::FOLDER;
    assert_eq!((ask(&[("OpenAI-Project", folder)]).status, ask(&[("x-folder-id", folder)]).status), (200, 200));
    assert_denied(&ask(&[("OpenAI-Project", "b1gother")]), 400, "does not match");
    site.in_order();
    assert_denied(&ask(&[]), 400, "You have to specify folder ID");
    site.violated("You have to specify folder ID");
    site.change(json!({"openai_wants_folder": false}));
    ok(&ask(&[]));
    site.in_order();
}

#[test]
fn names_may_lose_their_directories() {
    let site = Site::new();
    assert_eq!(site.post("a/b/c.txt", b"abc")["filename"], "a/b/c.txt");
    site.change(json!({"openai_base_names": true}));
    assert_eq!(site.post("a/b/c.txt", b"abc")["filename"], "c.txt");
}

#[test]
fn ranges_of_contents_are_a_setting() {
    let site = Site::new();
    let id = site.post("a", b"0123456789")["id"].clone();
    let request = site.request("GET", &format!("{}/content", openai(&id))).header("Range", "bytes=2-4");
    assert_eq!((site.send(&request).status, site.send(&request).body), (200, b"0123456789".to_vec()));
    site.change(json!({"openai_ranges": true}));
    let part = site.send(&request);
    assert_eq!((part.status, part.body.as_slice(), part.header("accept-ranges")), (206, &b"234"[..], Some("bytes")));
}

#[test]
fn there_are_no_uploads_in_parts() {
    let site = Site::new();
    assert_denied(&site.ask("POST", "/v1/uploads"), 404, "Not Found");
    site.violated("no such address");
    assert!(NATIVE != OPENAI);
}
