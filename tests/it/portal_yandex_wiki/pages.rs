//! Pages: looked up by slug and number, made, changed, deleted and recovered.

use serde_json::{Value, json};

use super::{Site, assert_refused, encoded, ok};

#[test]
fn a_page_is_found_by_slug_and_by_number() {
    let site = Site::new();
    let page = site.make("root/notes");
    let by_slug = site.get("/v1/pages?slug=root/notes");
    assert_eq!(by_slug, site.get(&format!("/v1/pages/{page}")));
    assert_eq!(
        (&by_slug["id"], &by_slug["slug"], &by_slug["title"]),
        (&json!(page), &json!("root/notes"), &json!("root/notes"))
    );
    assert_eq!(by_slug["page_type"], "wysiwyg");
    assert!(by_slug.get("active_revision").is_some() && by_slug.get("attributes").is_none());
    assert_refused(&site.ask("GET", "/v1/pages?slug=nowhere"), 404, "NOT_FOUND");
    assert_refused(&site.ask("GET", "/v1/pages/4711"), 404, "NOT_FOUND");
    site.in_order();
    for query in ["", "?slug=", "?slug=a%20b", "?slug=/root"] {
        assert_refused(&site.ask("GET", &format!("/v1/pages{query}")), 400, "VALIDATION_ERROR");
        site.violated("slug");
    }
}

#[test]
fn fields_are_asked_for_by_name() {
    let site = Site::new();
    let page = site.make("root/a/b");
    let shown = site.get(&format!("/v1/pages/{page}?fields=attributes,content,breadcrumbs,owner,redirect,actuality"));
    assert!(shown["attributes"]["modified_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&shown["content"], &shown["actuality"]), (&json!(""), &json!("actual")));
    assert_eq!((&shown["redirect"], &shown["owner"]["username"]), (&Value::Null, &json!("user")));
    let crumbs: Vec<_> = shown["breadcrumbs"].as_array().unwrap().iter().map(|crumb| &crumb["page_exists"]).collect();
    assert_eq!(crumbs, [true, false, true], "a page above need not be there");
    let answer = site.ask("GET", &format!("/v1/pages/{page}?fields=content,foo"));
    assert_refused(&answer, 400, "BAD_REQUEST");
    assert!(answer.text().contains("Unknown field foo; Allowed fields are"), "{}", answer.text());
}

#[test]
fn slugs_come_back_in_another_form() {
    let site = Site::new();
    let given = "root/Мои Заметки".replace(' ', "-");
    let body = json!({"title": "x", "slug": given, "content": ""});
    assert_eq!(ok(&site.post("/v1/pages", body))["slug"], "root/мои-заметки");
    assert_eq!(site.get(&format!("/v1/pages?slug={}", encoded(&given)))["slug"], "root/мои-заметки");
    for (rule, expected) in [("as_is", "Ёж"), ("latin", "ezh")] {
        site.portal.set(&json!({"slugs": rule})).unwrap();
        assert_eq!(ok(&site.post("/v1/pages", json!({"title": "x", "slug": "Ёж", "content": ""})))["slug"], expected);
    }
    site.in_order();
}

#[test]
fn a_new_page_wants_title_slug_and_content() {
    let site = Site::new();
    for body in [
        json!({"slug": "root/a", "content": ""}),
        json!({"title": "", "slug": "root/a", "content": ""}),
        json!({"title": "x".repeat(256), "slug": "root/a", "content": ""}),
        json!({"title": "a", "content": ""}),
        json!({"title": "a", "slug": "root/.a", "content": ""}),
        json!({"title": "a", "slug": "root/a b", "content": ""}),
        json!({"title": "a", "slug": "/root/a", "content": ""}),
        json!({"title": "a", "slug": "root/a"}),
    ] {
        assert_refused(&site.post("/v1/pages", body.clone()), 400, "VALIDATION_ERROR");
        site.violated("Validation failed");
    }
    let body = json!({"title": "x".repeat(255), "slug": "root/a", "content": "# A", "page_type": "grid"});
    let made = ok(&site.post("/v1/pages?fields=content", body.clone()));
    assert_eq!((&made["page_type"], &made["content"]), (&json!("wysiwyg"), &json!("# A")), "the type is ignored");
    assert_refused(&site.post("/v1/pages", body), 400, "SLUG_OCCUPIED");
    site.portal.set(&json!({"reserved_slugs": ["api"], "pages_max": 3})).unwrap();
    assert_refused(&site.post("/v1/pages", json!({"title": "a", "slug": "api", "content": ""})), 400, "SLUG_RESERVED");
    assert_refused(&site.post("/v1/pages", json!({"title": "a", "slug": "b", "content": ""})), 403, "QUOTA_EXCEEDED");
    site.in_order();
}

#[test]
fn a_change_is_a_post_and_keeps_what_it_does_not_name() {
    let site = Site::new();
    let target = format!("/v1/pages/{}", site.root);
    let revision = site.get(&target)["active_revision"].clone();
    let changed = ok(&site.post(&format!("{target}?fields=content,attributes"), json!({"content": "x"})));
    assert_eq!((&changed["title"], &changed["content"]), (&json!("root"), &json!("x")));
    assert_ne!(changed["active_revision"], revision);
    let before = site.get(&format!("{target}?fields=attributes"))["attributes"]["modified_at"].clone();
    site.portal.advance(std::time::Duration::from_secs(5));
    let same = ok(&site.post(&format!("{target}?fields=attributes"), json!({})));
    assert_ne!(same["attributes"]["modified_at"], before, "any POST is a change");
    site.in_order();
    assert_eq!(ok(&site.post(&target, json!({"slug": "other"})))["slug"], "root");
    site.violated("ignores it");
    assert_refused(&site.post(&target, json!({"title": ""})), 400, "VALIDATION_ERROR");
    assert_refused(&site.post(&target, json!({"actuality": "old"})), 400, "VALIDATION_ERROR");
}

#[test]
fn a_redirect_is_followed_unless_one_does_not_want_it() {
    let site = Site::new();
    let old = site.make("old");
    let target = format!("/v1/pages/{old}?fields=redirect");
    let changed = ok(&site.post(&target, json!({"redirect": {"page": {"id": site.root}}})));
    assert_eq!(changed["redirect"]["redirect_target"]["slug"], "root");
    assert_eq!(site.page("old"), site.root);
    let answer = site.ask("GET", "/v1/pages?slug=old&raise_on_redirect=true");
    assert_refused(&answer, 400, "PAGE_IS_REDIRECT");
    assert_refused(&site.post(&target, json!({"redirect": {"page": {"id": 4711}}})), 400, "VALIDATION_ERROR");
    ok(&site.post(&target, json!({"redirect": null})));
    assert_eq!(site.page("old"), old);
}

#[test]
fn what_is_deleted_can_come_back() {
    let site = Site::new();
    let (above, below) = (site.make("a"), site.make("a/b"));
    let session = site.finished("x.txt", b"abc");
    let file = ok(&site.attach(below, &[&session]))["results"][0]["id"].clone();
    assert_refused(&site.ask("DELETE", &format!("/v1/pages/{above}")), 400, "HAS_CHILDREN");
    let deleted = ok(&site.ask("DELETE", &format!("/v1/pages/{above}?recursive=true")));
    let token = deleted["recovery_token"].as_str().unwrap();
    for target in [format!("/v1/pages/{above}"), format!("/v1/pages/{below}/attachments")] {
        assert_refused(&site.ask("GET", &target), 404, "NOT_FOUND");
    }
    assert_eq!(site.ask("GET", &format!("/v1/pages/{below}/attachments/{file}/download")).status, 404);
    let recover = format!("/v1/recovery_tokens/{token}/recover");
    // The slug is free at once.
    let other = site.make("a");
    assert_refused(&site.ask("POST", &recover), 400, "SLUG_OCCUPIED");
    ok(&site.ask("DELETE", &format!("/v1/pages/{other}")));
    assert_eq!(ok(&site.ask("POST", &recover)), json!({"id": above, "slug": "a", "pages_count": 2}));
    assert_eq!(site.ask("GET", &format!("/v1/pages/{below}/attachments/{file}/download")).body, b"abc");
    assert_refused(&site.ask("POST", &recover), 404, "NOT_FOUND");
    site.portal.set(&json!({"recursive_delete": false})).unwrap();
    assert_refused(&site.ask("DELETE", &format!("/v1/pages/{above}?recursive=true")), 400, "HAS_CHILDREN");
    site.in_order();
}
