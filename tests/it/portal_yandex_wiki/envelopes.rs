//! What refusals look like, which addresses there are, and the document that names them.

use serde_json::{Value, json};

use super::{Site, assert_refused, ok, small};
use crate::support::raw::Request;

#[test]
fn a_validation_error_names_the_field() {
    let site = Site::new();
    let answer = site.post("/v1/upload_sessions", json!({"file_name": "a"}));
    let expected = json!({
        "debug_message": "Validation failed",
        "error_code": "VALIDATION_ERROR",
        "details": {"body": {"file_size": [{"debug_message": "field required", "error_code": "value_error.missing"}]}},
    });
    assert_eq!((answer.status, answer.json()), (400, expected));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    site.violated("file_size");
}

#[test]
fn every_shape_that_was_seen_can_be_had() {
    for (shape, has_details, message) in [
        ("documented", Some(json!({})), None),
        ("null_details", Some(Value::Null), None),
        ("with_message", Some(json!({})), Some(Value::Null)),
        ("listed", None, Some(json!(["No File matches the given query."]))),
    ] {
        let site = Site::set(json!({"error_shape": shape}));
        let answer = site.ask("DELETE", &format!("/v1/pages/{}/attachments/4711", site.root));
        assert_refused(&answer, 404, "NOT_FOUND");
        let body = answer.json();
        assert_eq!((body.get("details").cloned(), body.get("message").cloned()), (has_details, message), "{shape}");
        site.in_order();
    }
}

#[test]
fn an_address_that_is_not_there() {
    let site = Site::new();
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/v1/nonsense"),
        ("POST", &format!("/v1/pages/{}/files", site.root)),
        ("GET", "/api/v2/public/users/me"),
    ] {
        let answer = site.ask(method, target);
        assert_refused(&answer, 404, "NOT_FOUND");
        assert_eq!(answer.json()["debug_message"], "Resource or it's component is missing");
        site.violated("no such address");
    }
    for method in ["PATCH", "PUT"] {
        assert_refused(&site.ask(method, &format!("/v1/pages/{}", site.root)), 405, "METHOD_NOT_ALLOWED");
        site.violated("METHOD_NOT_ALLOWED");
    }
}

#[test]
fn another_contour_has_another_base_and_sends_more() {
    let mut config = small();
    config.base_path = "/api/v2/public".into();
    let folder = tempfile::tempdir().unwrap();
    let config = uploadfs::portal::PortalConfig::new(
        folder.path().join("store"),
        uploadfs::portal::ServiceConfig::YandexWiki(config),
    );
    let portal = uploadfs::portal::Portal::start(config).unwrap();
    let request = Request::new("POST", "/api/v2/public/upload_sessions")
        .header("Authorization", "OAuth y0_portal")
        .header("X-Org-Id", "7654321");
    let body = json!({"file_name": "a", "file_size": 3, "target": "attachment"});
    ok(&request.json(&body).send(portal.address()).unwrap());
    assert_eq!(portal.violations(), []);
}

#[test]
fn the_document_is_for_everybody() {
    let site = Site::new();
    let document = ok(&Request::new("GET", "/v1/openapi.json").send(site.address).unwrap());
    assert_eq!(document["info"], json!({"title": "Wiki Public API", "version": "1.0.0"}));
    assert!(document["paths"]["/v1/upload_sessions/{session_id}/upload_part"]["put"].is_object());
    assert!(document["paths"].get("/v1/pages/{idx}/files").is_none());
}

#[test]
fn a_body_is_an_object_of_json_and_says_so() {
    let site = Site::new();
    let request = site.request("POST", "/v1/upload_sessions");
    let body = json!({"file_name": "a", "file_size": 3}).to_string();
    ok(&site.send(&request.clone().header("Content-Type", "text/plain").body(body)));
    site.violated("JSON with the content type \"text/plain\"");
    for wrong in ["[]", "{", "1"] {
        let answer = site.send(&request.clone().header("Content-Type", "application/json").body(wrong));
        assert_refused(&answer, 400, "VALIDATION_ERROR");
        site.violated("jsondecode");
    }
}
