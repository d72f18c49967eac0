//! Who is let in: tokens, the organisation's header, rights, scopes, the limiter.

use std::time::Duration;

use serde_json::json;
use uploadfs::portal::yandex_wiki::{Account, IAM_TOKEN, OAUTH_TOKEN, ORGANISATION, OrganisationKind};

use super::{Site, assert_refused, ok, small};
use crate::support::raw::{Answer, Request};

/// Asks who asks, with these headers and nothing else.
fn me(site: &Site, headers: &[(&str, &str)]) -> Answer {
    let request = Request::new("GET", "/v1/users/me");
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send(site.address).unwrap()
}

const TOKEN: (&str, &str) = ("Authorization", "OAuth y0_portal");
const PLAIN: (&str, &str) = ("X-Org-Id", ORGANISATION);
const CLOUD: (&str, &str) = ("X-Cloud-Org-Id", ORGANISATION);

#[test]
fn one_knows_who_one_is() {
    let site = Site::new();
    let me = ok(&me(&site, &[TOKEN, PLAIN]));
    assert_eq!((&me["username"], &me["home_cluster"]), (&json!("user"), &json!("users/user")));
    assert!(me["identity"]["uid"].is_string() && me["identity"]["cloud_uid"].is_string());
    assert_eq!(me["org"]["dir_id"], ORGANISATION);
    assert!(site.page("users/user") > 0, "the personal area is there");
    site.in_order();
}

#[test]
fn a_token_that_is_missing_or_wrong_is_401() {
    let site = Site::new();
    assert_eq!(TOKEN.1, format!("OAuth {OAUTH_TOKEN}"));
    for token in [None, Some("OAuth wrong"), Some(OAUTH_TOKEN), Some("Basic eDp5"), Some("Bearer y0_portal")] {
        let headers: Vec<_> = token.map(|token| ("Authorization", token)).into_iter().chain([PLAIN]).collect();
        let answer = me(&site, &headers);
        assert_refused(&answer, 401, "UNAUTHORIZED");
        assert!(answer.text().contains("IAM authentication required;[GET]"), "{}", answer.text());
    }
}

#[test]
fn exactly_one_header_names_the_organisation() {
    let site = Site::new();
    assert_refused(&me(&site, &[TOKEN]), 401, "UNAUTHORIZED");
    site.in_order();
    assert_refused(&me(&site, &[TOKEN, PLAIN, CLOUD]), 401, "UNAUTHORIZED");
    site.violated("two headers name an organisation");
    assert_refused(&me(&site, &[TOKEN, CLOUD]), 403, "FORCED_SYNC_REQUIRED");
    assert_refused(&me(&site, &[TOKEN, ("X-Org-Id", "1")]), 403, "FORCED_SYNC_REQUIRED");
    site.portal.set(&json!({"missing_organisation_is_forbidden": true})).unwrap();
    assert_refused(&me(&site, &[TOKEN]), 403, "FORCED_SYNC_REQUIRED");
}

#[test]
fn iam_tokens_are_for_the_cloud_and_live_twelve_hours() {
    let site = Site::new();
    let iam = format!("Bearer {IAM_TOKEN}");
    assert_refused(&me(&site, &[("Authorization", &iam), PLAIN]), 401, "UNAUTHORIZED");

    let mut config = small();
    config.kind = OrganisationKind::Cloud;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let portal = uploadfs::portal::PortalConfig::new(store, uploadfs::portal::ServiceConfig::YandexWiki(config));
    let portal = uploadfs::portal::Portal::start(portal).unwrap();
    let status = |authorization: &str, organisation: (&str, &str)| {
        let request = Request::new("GET", "/v1/users/me").header("Authorization", authorization);
        request.header(organisation.0, organisation.1).send(portal.address()).unwrap().status
    };
    assert_eq!((status(&iam, CLOUD), status(TOKEN.1, CLOUD), status(&iam, PLAIN)), (200, 200, 401));
    portal.advance(Duration::from_secs(12 * 3600 - 60));
    assert_eq!(status(&iam, CLOUD), 200);
    portal.advance(Duration::from_secs(61));
    assert_eq!(status(&iam, CLOUD), 401);
    assert_eq!(status(&format!("{iam}.2"), CLOUD), 200, "a new one");
    assert_eq!(status(TOKEN.1, CLOUD), 200, "OAuth tokens live long");
}

#[test]
fn whoever_never_opened_the_wiki_is_not_known() {
    let mut config = small();
    config.accounts.push(Account { has_opened_wiki: false, ..Account::new("new", "y0_new") });
    let site = Site::with(config);
    assert_refused(&me(&site, &[("Authorization", "OAuth y0_new"), PLAIN]), 403, "FORCED_SYNC_REQUIRED");
    site.portal.set(&json!({"api_enabled": false})).unwrap();
    assert_refused(&me(&site, &[TOKEN, PLAIN]), 403, "FORBIDDEN");
}

#[test]
fn without_rights_one_only_reads() {
    let mut config = small();
    config.accounts.push(Account { may_write: false, ..Account::new("reader", "y0_reader") });
    let mut site = Site::with(config);
    let attachment = site.upload("a.txt", b"abc");
    let session = site.finished("b.txt", b"abc");
    let (page, target) = (format!("/v1/pages/{}", site.root), site.target(&attachment));
    site.authorization = "OAuth y0_reader".into();
    assert_eq!(site.ask("GET", &format!("{target}/download")).body, b"abc");
    for (method, target) in [
        ("POST", "/v1/upload_sessions"),
        ("POST", "/v1/pages"),
        ("POST", &page),
        ("DELETE", &page),
        ("DELETE", &target),
        ("POST", &format!("{page}/attachments")),
        ("POST", &format!("/v1/upload_sessions/{session}/finish")),
    ] {
        assert_refused(&site.send(&site.request(method, target).json(&json!({}))), 403, "FORBIDDEN");
    }
    // Not even that it is there.
    assert_refused(&site.ask("GET", &format!("/v1/upload_sessions/{session}")), 404, "NOT_FOUND");
}

#[test]
fn some_pages_are_nobodys_to_change() {
    let site = Site::set(json!({"read_only_slugs": ["root/fixed"]}));
    let page = site.make("root/other");
    let title = json!({"title": "x", "slug": "root/fixed/x", "content": ""});
    assert_refused(&site.post("/v1/pages", title), 403, "FORBIDDEN");
    ok(&site.post(&format!("/v1/pages/{page}"), json!({"title": "x"})));
    site.portal.set(&json!({"read_only_slugs": ["root"]})).unwrap();
    let session = site.finished("a.txt", b"abc");
    assert_refused(&site.attach(page, &[&session]), 403, "FORBIDDEN");
    assert_eq!(site.status(&session), "finished");
    assert_refused(&site.ask("DELETE", &format!("/v1/pages/{page}")), 403, "FORBIDDEN");
    site.in_order();
}

#[test]
fn scopes_do_not_count_unless_they_are_told_to() {
    let mut config = small();
    config.accounts.push(Account { scopes: vec!["wiki:read".into()], ..Account::new("scoped", "y0_scoped") });
    let mut site = Site::with(config);
    site.authorization = "OAuth y0_scoped".into();
    site.open("a.txt", 3);
    site.portal.set(&json!({"scopes_count": true})).unwrap();
    assert_refused(&site.create("a.txt", 3), 403, "FORBIDDEN");
    site.get("/v1/users/me");
}

#[test]
fn a_limiter_says_no_and_not_when_to_come_back() {
    let site = Site::set(json!({"requests_per_minute": 2}));
    site.get("/v1/users/me");
    site.get("/v1/users/me");
    let answer = site.ask("GET", "/v1/users/me");
    assert_refused(&answer, 429, "TOO_MANY_REQUESTS");
    assert_eq!(answer.header("retry-after"), None);
    site.portal.advance(Duration::from_secs(60));
    site.get("/v1/users/me");
}
