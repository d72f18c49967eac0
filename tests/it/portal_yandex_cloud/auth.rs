//! Who is let in: keys, tokens and their life, roles, folders of people.

use std::time::Duration;

use serde_json::json;
use uploadfs::portal::yandex_cloud::{
    API_KEY, Account, AccountKind, FOLDER, IAM_TOKEN, PERSON_IAM_TOKEN, YandexCloudConfig,
};

use super::{NATIVE, OPENAI, Site, assert_denied, assert_refused, document, ok};
use crate::support::raw::{Answer, Request};

/// Asks for the native list, with this credential.
fn native(site: &Site, authorization: Option<&str>) -> Answer {
    let request = Request::new("GET", &format!("{NATIVE}?folderId={FOLDER}"));
    site.send(&authorization.iter().fold(request, |request, value| request.header("Authorization", value)))
}

/// The same in the dialect of OpenAI.
fn openai(site: &Site, authorization: &str) -> Answer {
    let request = Request::new("GET", OPENAI).header("OpenAI-Project", FOLDER);
    site.send(&request.header("Authorization", authorization))
}

#[test]
fn a_credential_that_is_missing_or_wrong_is_401() {
    let site = Site::new();
    for wrong in [None, Some("Api-Key wrong"), Some(API_KEY), Some("Basic eDp5"), Some("OAuth y0"), Some("Bearer x")] {
        assert_refused(&native(&site, wrong), 401, 16);
    }
    assert_denied(&openai(&site, "Bearer wrong"), 401, "invalid or has expired");
    // Whoever is nobody learns nothing of what is there.
    assert_refused(&site.send(&Request::new("GET", "/nonsense").header("Authorization", "x")), 401, 16);
    site.in_order();
}

#[test]
fn a_key_has_two_words_in_one_dialect() {
    let site = Site::new();
    let (key, bearer) = (format!("Api-Key {API_KEY}"), format!("Bearer {API_KEY}"));
    assert_eq!((native(&site, Some(&key)).status, native(&site, Some(&bearer)).status), (200, 401));
    assert_eq!((openai(&site, &key).status, openai(&site, &bearer).status), (200, 200));
    site.change(json!({"bearer_api_key": true}));
    assert_eq!(native(&site, Some(&bearer)).status, 200);
}

#[test]
fn iam_tokens_live_twelve_hours() {
    let site = Site::new();
    let iam = format!("Bearer {IAM_TOKEN}");
    let status = |authorization: &str| native(&site, Some(authorization)).status;
    assert_eq!((status(&iam), status(&format!("Api-Key {IAM_TOKEN}"))), (200, 401));
    site.portal.advance(Duration::from_secs(12 * 3600 - 60));
    assert_eq!(status(&iam), 200);
    site.portal.advance(Duration::from_secs(61));
    assert_refused(&native(&site, Some(&iam)), 401, 16);
    assert_eq!((status(&format!("{iam}.2")), status(&format!("Api-Key {API_KEY}"))), (200, 200));
    site.change(json!({"iam_life_s": 1_000_000}));
    assert_eq!(status(&iam), 200);
}

#[test]
fn people_name_their_folder() {
    let mut site = Site::new();
    site.authorization = format!("Bearer {PERSON_IAM_TOKEN}");
    let made = site.upload("a", b"abc");
    assert_eq!(made["createdBy"], "ajeperson00000000000");
    let mut other = document("a", b"abc");
    other["folderId"] = json!("b1gother");
    assert_refused(&site.create(&other), 403, 7);
    site.change(json!({"openai_wants_folder": false}));
    let request = Request::new("GET", OPENAI).header("Authorization", &site.authorization);
    assert_denied(&site.send(&request), 400, "You have to specify folder ID for user account");
    site.violated("folder ID for user account");
    let named = request.header("x-folder-id", FOLDER);
    assert_eq!(ok(&site.send(&named))["data"][0]["id"], made["id"]);
}

#[test]
fn without_the_role_there_is_nothing_to_be_done() {
    let mut config = YandexCloudConfig::default();
    config.accounts.push(Account {
        id: "ajeguest000000000000".into(),
        kind: AccountKind::Service,
        api_key: Some("AQVN-guest".into()),
        iam_token: None,
        has_role: false,
    });
    let mut site = Site::with(config);
    site.authorization = "Api-Key AQVN-guest".into();
    assert_refused(&site.create(&document("a", b"abc")), 403, 7);
    assert_refused(&site.ask("GET", &format!("{NATIVE}?folderId={FOLDER}")), 403, 7);
    assert_denied(&site.ask("GET", OPENAI), 403, "Permission denied");
    site.in_order();
}
