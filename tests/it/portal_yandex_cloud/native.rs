//! The native dialect: files are made, looked at, changed and deleted, and what is refused.

use serde_json::{Value, json};
use uploadfs::portal::yandex_cloud::FOLDER;

use super::{NATIVE, Site, assert_refused, base64, document, noise, ok, target};
use crate::support::raw::Request;

#[test]
fn a_file_is_as_recorded() {
    let site = Site::new();
    let made = ok(&site.create(&json!({"folderId": FOLDER, "content": "dGVzdCBmaWxl"})));
    site.violated("without an explicit expirationConfig");
    let id = made["id"].as_str().unwrap();
    assert!(id.len() == 20 && id.starts_with("fvt"), "{id}");
    let names: Vec<&String> = made.as_object().unwrap().keys().collect();
    let expected = [
        "createdAt",
        "createdBy",
        "expirationConfig",
        "expiresAt",
        "folderId",
        "id",
        "mimeType",
        "updatedAt",
        "updatedBy",
    ];
    assert_eq!(names, expected, "neither size nor checksum, and nothing that is empty");
    assert_eq!((&made["folderId"], &made["mimeType"]), (&json!(FOLDER), &json!("text/plain")));
    assert_eq!(made["expirationConfig"], json!({"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": "7"}));
    let created = made["createdAt"].as_str().unwrap();
    assert!(created.len() == 27 && created.ends_with('Z'), "{created}");
    assert_eq!(site.get(&target(&made["id"])), made);
    assert_eq!(site.download(&made["id"]), b"test file");
    site.in_order();
}

#[test]
fn everything_that_was_said_is_kept() {
    let site = Site::new();
    let mut body = document("Отчёт/май 2026.txt", b"abc");
    body["description"] = json!("d");
    body["labels"] = json!({"size": "3", "путь": "/a b"});
    body["mimeType"] = json!("text/markdown");
    let made = ok(&site.create(&body));
    for field in ["name", "description", "labels", "mimeType"] {
        assert_eq!(made[field], body[field], "{field}");
    }
    assert_eq!(made["expirationConfig"], json!({"expirationPolicy": "STATIC", "ttlDays": "30"}));
    site.in_order();
}

#[test]
fn fields_have_two_spellings_and_numbers_too() {
    let site = Site::new();
    let body = json!({
        "folder_id": FOLDER,
        "mime_type": "text/csv",
        "content": base64(b"a,b"),
        "name": null,
        "expiration_config": {"expiration_policy": "STATIC", "ttl_days": 5},
    });
    let made = ok(&site.create(&body));
    assert_eq!((&made["mimeType"], &made["expirationConfig"]["ttlDays"]), (&json!("text/csv"), &json!("5")));
    site.in_order();
}

#[test]
fn empty_fields_are_told_where_the_setting_says() {
    let site = Site::set(json!({"print_empty_fields": true}));
    let made = ok(&site.create(&json!({"folderId": FOLDER, "content": "Zg=="})));
    assert_eq!((&made["name"], &made["description"], &made["labels"]), (&json!(""), &json!(""), &json!({})));
    ok(&site.ask("DELETE", &target(&made["id"])));
    assert_eq!(site.get(&format!("{NATIVE}?folderId={FOLDER}")), json!({"files": [], "nextPageToken": ""}));
}

#[test]
fn what_is_missing_or_wrong_is_refused_with_details() {
    let site = Site::new();
    for (body, field) in [
        (json!({"content": "Zg=="}), "folderId"),
        (json!({"folderId": FOLDER}), "content"),
        (json!({"folderId": FOLDER, "content": "Zg"}), "content"),
        (json!({"folderId": FOLDER, "content": "Z-_="}), "content"),
        (json!({"folderId": FOLDER, "content": 5}), "body"),
        (json!({"folderId": FOLDER, "content": "Zg==", "size": 1}), "body"),
        (json!({"folderId": FOLDER, "content": "Zg==", "labels": {"a": 1}}), "body"),
        (json!([FOLDER]), "body"),
    ] {
        let answer = site.create(&body);
        assert_refused(&answer, 400, 3);
        assert_eq!(answer.json()["details"][1]["fieldViolations"][0]["field"], field, "{body}");
        site.violated(field);
    }
    let negative = json!({"expirationPolicy": "STATIC", "ttlDays": "-1"});
    let body = json!({"folderId": FOLDER, "content": "Zg==", "expirationConfig": negative});
    assert_refused(&site.create(&body), 400, 3);
    site.violated("ttlDays");
    assert_eq!(site.state().files, []);
}

#[test]
fn half_an_expiry_is_none() {
    let site = Site::new();
    for half in [json!({"ttlDays": "9"}), json!({"expirationPolicy": "STATIC"}), json!({"ttlDays": "0"}), json!({})] {
        ok(&site.create(&json!({"folderId": FOLDER, "content": "Zg==", "expirationConfig": half})));
        site.violated("without an explicit expirationConfig");
    }
    let long = json!({"expirationPolicy": "STATIC", "ttlDays": "61"});
    let body = json!({"folderId": FOLDER, "content": "Zg==", "expirationConfig": long});
    assert_refused(&site.create(&body), 400, 3);
    site.change(json!({"ttl_days_max": 61}));
    ok(&site.create(&body));
    site.in_order();
}

#[test]
fn an_update_changes_what_its_mask_names() {
    let site = Site::new();
    let mut body = document("a", b"abc");
    body["labels"] = json!({"a": "1", "b": "2"});
    let made = ok(&site.create(&body));
    let id = &made["id"];
    let renamed = ok(&site.patch(id, json!({"updateMask": "name", "name": "b", "description": "x"})));
    assert_eq!((&renamed["name"], renamed.get("description")), (&json!("b"), None));
    assert_eq!((&renamed["expiresAt"], &renamed["createdAt"]), (&made["expiresAt"], &made["createdAt"]));
    assert!(renamed["updatedAt"].as_str() > made["updatedAt"].as_str());
    let both = json!({"updateMask": "description,labels", "description": "d", "labels": {"c": "3"}});
    let changed = ok(&site.patch(id, both));
    assert_eq!((&changed["description"], &changed["labels"]), (&json!("d"), &json!({"c": "3"})));
    site.change(json!({"label_patch": "merge"}));
    let merged = ok(&site.patch(id, json!({"updateMask": "labels", "labels": {"d": "4"}})));
    assert_eq!(merged["labels"], json!({"c": "3", "d": "4"}));
    let emptied = ok(&site.patch(id, json!({"updateMask": "name"})));
    assert_eq!(emptied.get("name"), None, "what the mask names and the body does not have is empty");
    assert_eq!(site.download(id), b"abc");
    site.in_order();
}

#[test]
fn an_update_needs_a_mask_and_takes_no_content() {
    let site = Site::new();
    let id = site.upload("a", b"abc")["id"].clone();
    for body in [
        json!({"name": "b"}),
        json!({"updateMask": "name", "name": "b", "content": "Zg=="}),
        json!({"updateMask": "content"}),
        json!({"updateMask": "mimeType", "mimeType": "text/csv"}),
        json!({"updateMask": "labels.a", "labels": {"a": "1"}}),
    ] {
        assert_refused(&site.patch(&id, body.clone()), 400, 3);
        assert_eq!(site.portal.violations().len(), 1, "{body}");
        site.portal.clear_violations();
    }
    site.change(json!({"missing_mask": "sent"}));
    assert_eq!(ok(&site.patch(&id, json!({"name": "b"})))["name"], "b");
    let missing = site.patch(&json!("fvtnothing"), json!({"updateMask": "name", "name": "b"}));
    assert_refused(&missing, 404, 5);
    site.in_order();
}

#[test]
fn names_are_not_unique_and_contents_do_not_change() {
    let site = Site::new();
    let (first, second) = (site.upload("a", b"one"), site.upload("a", b"two"));
    assert_ne!(first["id"], second["id"]);
    assert_eq!((site.download(&first["id"]), site.download(&second["id"])), (b"one".to_vec(), b"two".to_vec()));
    assert!(site.state().files.iter().all(|file| file.twins == 2));
}

#[test]
fn what_is_deleted_is_gone() {
    let site = Site::new();
    let id = site.upload("a", &noise(1000))["id"].clone();
    let url = site.url(&id);
    assert_eq!(ok(&site.ask("DELETE", &target(&id))), json!({}));
    assert_refused(&site.ask("DELETE", &target(&id)), 404, 5);
    assert_refused(&site.ask("GET", &target(&id)), 404, 5);
    assert_refused(&site.ask("GET", &format!("{NATIVE}:getUrl?fileId={}", id.as_str().unwrap())), 404, 5);
    assert_eq!(site.stored(&Request::new("GET", &url)).status, 404);
    site.in_order();
}

#[test]
fn names_and_labels_may_have_limits() {
    let site = Site::set(json!({"name_chars_max": 3, "narrow_labels": true}));
    let id = site.upload("äöü", b"abc")["id"].clone();
    assert_refused(&site.create(&document("four", b"abc")), 400, 3);
    assert_refused(&site.patch(&id, json!({"updateMask": "name", "name": "four"})), 400, 3);
    for labels in [json!({"A": "1"}), json!({"a": "x".repeat(64)}), json!({"a": "b c"})] {
        let mut body = document("a", b"abc");
        body["labels"] = labels.clone();
        assert_refused(&site.create(&body), 400, 3);
        assert_refused(&site.patch(&id, json!({"updateMask": "labels", "labels": labels})), 400, 3);
    }
    assert_eq!(site.state().files.len(), 1);
    site.in_order();
}

#[test]
fn everything_else_is_no_call() {
    let site = Site::new();
    assert_refused(&site.ask("GET", "/files/v2/files"), 404, 5);
    site.violated("no such address");
    assert_refused(&site.ask("PUT", &target(&json!("fvt1"))), 501, 12);
    site.violated("Method Not Allowed");
    assert_refused(&site.ask("GET", &format!("{NATIVE}:getUrl")), 400, 3);
    site.violated("fileId");
    let text = site.request("POST", NATIVE).body(document("a", b"abc").to_string());
    assert_eq!(site.send(&text).status, 200);
    site.violated("JSON with the content type");
    let answer = site.ask("GET", &target(&Value::from("fvt1")));
    assert!(answer.header("x-request-id").is_some() && answer.header("x-server-trace-id").is_some());
}
