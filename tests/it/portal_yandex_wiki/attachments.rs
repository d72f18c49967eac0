//! Attachments: what sessions become, twins, listings with cursors, types, the antivirus, deleting.

use std::time::Duration;

use serde_json::{Value, json};

use super::{MIN, Site, assert_refused, encoded, noise, ok};

#[test]
fn an_attachment_looks_as_recorded() {
    let site = Site::set(json!({"preview_s": 600}));
    let made = site.upload("diagram.png", &noise(30));
    assert_eq!((&made["name"], &made["size"]), (&json!("diagram.png"), &json!("0.00")));
    assert_eq!(made["download_url"], "/root/.files/diagram.png");
    assert_eq!((&made["mimetype"], &made["description"]), (&json!("image/png"), &json!("")));
    assert_eq!((&made["check_status"], &made["is_downloadable"]), (&json!("ready"), &json!(true)));
    assert!(made["id"].is_u64() && made["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&made["has_preview"], &made["user"]["username"]), (&json!(false), &json!("user")));
    assert_eq!(site.get(&site.target(&made)), made);
    assert!(made.get("sha256").is_none() && made.get("modified_at").is_none());
    site.portal.advance(Duration::from_secs(600));
    assert_eq!(site.get(&site.target(&made))["has_preview"], true);
    site.in_order();
}

#[test]
fn sizes_are_told_in_megabytes_only() {
    let site = Site::set(json!({"part_bytes_max": 1_000_000, "file_bytes_max": 1_000_000}));
    for (bytes, expected) in [(4_000, "0.00"), (300_000, "0.29"), (600_000, "0.57")] {
        let session = site.filled("a", bytes, &[bytes]);
        ok(&site.finish(&session));
        assert_eq!(ok(&site.attach(site.root, &[&session]))["results"][0]["size"], expected);
    }
}

#[test]
fn the_same_name_twice_makes_two() {
    let site = Site::new();
    let [first, second, third] = [b"one", b"two", b"333"].map(|bytes| site.upload("foo.png", bytes));
    let urls = [&first, &second, &third].map(|made| made["download_url"].as_str().unwrap().to_owned());
    assert_eq!(urls, ["/root/.files/foo.png", "/root/.files/foo-1.png", "/root/.files/foo-2.png"]);
    assert!([&second, &third].iter().all(|made| made["name"] == "foo.png" && made["id"] != first["id"]));
    assert_eq!(site.ask("GET", &format!("{}/download", site.target(&first))).body, b"one");
    assert_eq!(site.ask("GET", &format!("{}/download", site.target(&second))).body, b"two");
    // Deleting one leaves the others alone, URLs included.
    assert_eq!(site.ask("DELETE", &site.target(&first)).status, 204);
    assert_eq!(site.get(&site.target(&second))["download_url"], urls[1].as_str());
    let state = site.state();
    assert!(state.files.iter().all(|file| file.path == "/root/foo.png" && file.twins == 2), "{state:?}");
    site.in_order();
}

#[test]
fn names_stay_and_urls_become_latin() {
    let site = Site::new();
    let made = site.upload("Отчёт за май.pdf", b"abc");
    assert_eq!((&made["name"], &made["mimetype"]), (&json!("Отчёт за май.pdf"), &json!("application/pdf")));
    assert_eq!(made["download_url"], "/root/.files/Otchet-za-maj.pdf");
    site.portal.set(&json!({"url_names": "as_is"})).unwrap();
    assert_eq!(site.upload("Отчёт за май.pdf", b"abc")["download_url"], "/root/.files/Отчёт за май.pdf");
}

#[test]
fn several_sessions_are_attached_at_once_or_none() {
    let site = Site::new();
    let sessions = ["a", "b"].map(|name| site.finished(name, b"abc"));
    let open = site.open("c", 3);
    let [one, two] = [&sessions[0], &sessions[1]];
    assert_refused(&site.attach(site.root, &[one, &open]), 409, "UPLOAD_SESSION_WRONG_STATUS");
    assert_refused(&site.attach(site.root, &[one, "00000000-0000-4000-8000-000000000000"]), 404, "NOT_FOUND");
    assert_eq!((site.status(one), site.state().files.len()), ("finished".into(), 0));
    let made = ok(&site.attach(site.root, &[one, two]))["results"].clone();
    let names: Vec<&Value> = made.as_array().unwrap().iter().map(|made| &made["name"]).collect();
    assert_eq!(names, ["a", "b"]);
    site.in_order();
}

#[test]
fn an_attach_wants_a_list_of_sessions_and_a_page() {
    let site = Site::new();
    let session = site.finished("a", b"abc");
    let target = format!("/v1/pages/{}/attachments", site.root);
    let eleven = vec!["00000000-0000-4000-8000-000000000000"; 11];
    for body in [
        json!({}),
        json!({"upload_sessions": []}),
        json!({"upload_sessions": session}),
        json!({"upload_sessions": ["x"]}),
        json!({"upload_sessions": [session, session]}),
        json!({"upload_sessions": eleven}),
    ] {
        let answer = site.post(&target, body.clone());
        assert_refused(&answer, 400, "VALIDATION_ERROR");
        assert!(answer.json()["details"]["body"]["upload_sessions"].is_array(), "{body}");
        site.violated("upload_sessions");
    }
    assert_refused(&site.attach(4711, &[&session]), 404, "NOT_FOUND");
    assert_eq!(site.status(&session), "finished");
}

#[test]
fn a_second_attach_is_what_the_setting_says_and_always_noted() {
    for (second_attach, status, files) in [("refused", 409, 1), ("same", 200, 1), ("again", 200, 2)] {
        let site = Site::set(json!({"second_attach": second_attach}));
        let session = site.finished("a.txt", b"abc");
        let first = ok(&site.attach(site.root, &[&session]));
        let second = site.attach(site.root, &[&session]);
        assert_eq!(second.status, status, "{second_attach}");
        assert_eq!(second.json() == first, second_attach == "same");
        assert_eq!(site.state().files.len(), files);
        site.violated("attached again");
    }
}

/// The names of a listing, with the cursor to the next page.
fn page(site: &Site, query: &str) -> (Vec<String>, Option<String>) {
    let page = site.get(&format!("/v1/pages/{}/attachments?{query}", site.root));
    let name = |made: &Value| made["name"].as_str().unwrap().to_owned();
    let names = page["results"].as_array().unwrap().iter().map(name).collect();
    (names, page["next_cursor"].as_str().map(str::to_owned))
}

#[test]
fn a_listing_has_orders_and_cursors() {
    let site = Site::new();
    for (name, length) in [("b", 300), ("a", 100), ("c", 200)] {
        site.upload(name, &noise(length));
        site.portal.advance(Duration::from_secs(1));
    }
    for (query, expected) in [
        ("", ["b", "a", "c"]),
        ("order_by=created_at&order_direction=desc", ["c", "a", "b"]),
        ("order_by=name", ["a", "b", "c"]),
        ("order_by=size&order_direction=desc", ["b", "c", "a"]),
    ] {
        assert_eq!(page(&site, query), (expected.map(str::to_owned).to_vec(), None), "{query}");
        let mut walked = Vec::new();
        let mut cursor = Some(String::new());
        while let Some(at) = cursor {
            let (names, next) = page(&site, &format!("{query}&page_size=1&cursor={at}"));
            walked.extend(names);
            cursor = next;
        }
        assert_eq!(walked, expected, "{query}");
    }
    let first = site.get(&format!("/v1/pages/{}/attachments?page_size=2", site.root));
    let second = site.get(&format!(
        "/v1/pages/{}/attachments?page_size=2&cursor={}",
        site.root,
        first["next_cursor"].as_str().unwrap()
    ));
    assert_eq!((&first["prev_cursor"], &second["next_cursor"]), (&Value::Null, &Value::Null));
    let back = second["prev_cursor"].as_str().unwrap();
    assert_eq!(page(&site, &format!("page_size=2&cursor={back}")).0, ["b", "a"]);
    site.in_order();
    for query in ["page_size=0", "page_size=101", "order_by=id", "order_direction=x", "cursor=7"] {
        let answer = site.ask("GET", &format!("/v1/pages/{}/attachments?{query}", site.root));
        assert_refused(&answer, 400, "VALIDATION_ERROR");
        site.violated("Validation failed");
    }
    assert_refused(&site.ask("GET", "/v1/pages/4711/attachments"), 404, "NOT_FOUND");
}

#[test]
fn a_page_of_results_has_fifty_entries() {
    let site = Site::new();
    for number in 0..51 {
        site.upload(&format!("{number:02}"), b"x");
    }
    let (names, next) = page(&site, "order_by=name");
    assert!(names.len() == 50 && next.is_some());
    assert_eq!(page(&site, "order_by=name&page_size=100").0.len(), 51);
    // What is deleted meanwhile moves nothing.
    let found = site.get(&format!("/v1/pages/{}/attachments?order_by=name&page_size=1", site.root));
    assert_eq!(site.ask("DELETE", &site.target(&found["results"][0])).status, 204);
    assert_eq!(page(&site, &format!("order_by=name&cursor={}", next.unwrap())).0, ["50"]);
}

#[test]
fn resources_are_attachments_with_a_search() {
    let site = Site::new();
    for name in ["Report.pdf", "other.txt"] {
        site.upload(name, b"abc");
    }
    let names = |query: &str| -> Vec<String> {
        let page = site.get(&format!("/v1/pages/{}/resources?{query}", site.root));
        let results = page["results"].as_array().unwrap().clone();
        assert!(results.iter().all(|found| found["type"] == "attachment"));
        results.iter().map(|found| found["item"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(""), ["Report.pdf", "other.txt"]);
    assert_eq!(names("q=REPORT&types=attachment,grid"), ["Report.pdf"]);
    assert_eq!(names("types=grid"), [""; 0]);
    for query in [format!("q={}", "x".repeat(256)), "types=page".into(), "order_by=name".into()] {
        let answer = site.ask("GET", &format!("/v1/pages/{}/resources?{query}", site.root));
        assert_refused(&answer, 400, "VALIDATION_ERROR");
    }
}

#[test]
fn a_deletion_is_for_ever() {
    let site = Site::new();
    let made = site.upload("a", &noise(MIN));
    let target = site.target(&made);
    let answer = site.ask("DELETE", &target);
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    for method in ["DELETE", "GET"] {
        let gone = site.ask(method, &target);
        assert_refused(&gone, 404, "NOT_FOUND");
        assert_eq!(gone.json()["debug_message"], "No File matches the given query.");
    }
    site.portal.set(&json!({"delete_answers_braces": true})).unwrap();
    let made = site.upload("a", b"abc");
    let other = site.make("root/other");
    assert_refused(&site.ask("DELETE", &format!("/v1/pages/{other}/attachments/{}", made["id"])), 404, "NOT_FOUND");
    assert_eq!(ok(&site.ask("DELETE", &site.target(&made))), json!({}));
    site.in_order();
}

#[test]
fn nothing_renames_replaces_or_moves_an_attachment() {
    let site = Site::new();
    let target = site.target(&site.upload("a", b"abc"));
    for method in ["PUT", "PATCH", "POST"] {
        assert_refused(&site.ask(method, &target), 405, "METHOD_NOT_ALLOWED");
    }
    for what in ["rename", "move", "copy"] {
        assert_refused(&site.ask("POST", &format!("{target}/{what}")), 404, "NOT_FOUND");
    }
}

#[test]
fn the_antivirus_takes_its_time() {
    let by_url = format!("/v1/pages/attachments/download_by_url?url={}", encoded("root/.files/a.png"));
    for (verdict, status) in [("ready", 200), ("infected", 403), ("error", 403)] {
        let site = Site::set(json!({"check_s": 600, "verdict": verdict}));
        let made = site.upload("a.png", b"abc");
        let download = format!("{}/download", site.target(&made));
        assert_eq!((&made["check_status"], &made["is_downloadable"]), (&json!("check"), &json!(false)));
        assert_refused(&site.ask("GET", &download), 403, "FORBIDDEN");
        assert_refused(&site.ask("GET", &by_url), 403, "FORBIDDEN");
        site.portal.advance(Duration::from_secs(600));
        let later = site.get(&site.target(&made));
        assert_eq!((&later["check_status"], &later["is_downloadable"]), (&json!(verdict), &json!(status == 200)));
        assert_eq!(site.ask("GET", &download).status, status);
    }
}
