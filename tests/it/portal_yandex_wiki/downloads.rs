//! The bytes of attachments: by id, by URL, from storage, previews, and the picture that stands for what is missing.

use std::time::Duration;

use serde_json::json;

use super::{MIN, Site, assert_refused, encoded, noise, ok};
use crate::support::raw::{Answer, Request};

fn by_url(site: &Site, url: &str) -> Answer {
    site.ask("GET", &format!("/v1/pages/attachments/download_by_url?url={}", encoded(url)))
}

/// What a redirect to storage leads to, without the host.
fn stored(site: &Site, answer: &Answer) -> String {
    assert_eq!((answer.status, answer.body.len()), (302, 0), "{}", answer.text());
    let location = answer.header("location").unwrap();
    let host = format!("http://{}", site.portal.storage_address());
    location.strip_prefix(&host).unwrap_or_else(|| panic!("{location}")).to_owned()
}

#[test]
fn a_download_by_id_is_the_bytes() {
    let (site, bytes) = (Site::new(), noise(2 * MIN));
    let made = site.upload("a.txt", &bytes);
    let target = format!("{}/download", site.target(&made));
    let answer = site.ask("GET", &target);
    assert_eq!((answer.status, answer.header("content-length")), (200, Some("2000")));
    assert_eq!((answer.header("content-type"), &answer.body), (Some("text/plain"), &bytes));
    assert_eq!(answer.header("accept-ranges"), None);
    let ranged = site.request("GET", &target).header("Range", "bytes=5-9");
    assert_eq!(site.send(&ranged).body, bytes, "ranges are ignored");
    site.in_order();
    assert_eq!(site.ask("HEAD", &target).status, 405);
    site.portal.clear_violations();
    site.portal.set(&json!({"ranges": true, "head": true})).unwrap();
    let part = site.send(&ranged);
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 5-9/2000")));
    assert_eq!(part.body, bytes[5..10]);
    let behind = site.send(&site.request("GET", &target).header("Range", "bytes=2000-"));
    assert_eq!((behind.status, behind.header("content-range")), (416, Some("bytes */2000")));
    let head = site.ask("HEAD", &target);
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("2000"), 0));
    site.in_order();
}

#[test]
fn a_missing_file_is_a_picture_with_404() {
    let site = Site::new();
    let other = site.make("root/other");
    let made = site.upload("a", b"abc");
    for target in [
        format!("/v1/pages/{}/attachments/4711/download", site.root),
        format!("/v1/pages/{}/attachments/4711/preview", site.root),
        format!("/v1/pages/{other}/attachments/{}/download", made["id"]),
    ] {
        let answer = site.ask("GET", &target);
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("image/gif")), "{target}");
        assert!(answer.body.starts_with(b"GIF89a"));
    }
    assert_eq!(by_url(&site, "root/.files/b").header("content-type"), Some("image/gif"));
    assert_refused(&by_url(&site, "nowhere/.files/a"), 404, "NOT_FOUND");
    site.in_order();
}

#[test]
fn a_download_by_url_leads_to_storage() {
    let (site, bytes) = (Site::new(), noise(MIN));
    let made = site.upload("Отчёт.txt", &bytes);
    let url = made["download_url"].as_str().unwrap();
    let target = stored(&site, &by_url(&site, url.strip_prefix('/').unwrap()));
    let storage = site.portal.storage_address();
    let get = |target: &str| Request::new("GET", target);
    let answer = get(&target).send(storage).unwrap();
    assert_eq!((answer.status, &answer.body), (200, &bytes));
    assert_eq!((answer.header("accept-ranges"), answer.header("content-type")), (Some("bytes"), Some("text/plain")));
    let part = get(&target).header("Range", "bytes=10-").send(storage).unwrap();
    assert_eq!((part.status, part.body), (206, bytes[10..].to_vec()));
    assert_eq!(get(&target).header("Range", "bytes=9999-").send(storage).unwrap().status, 416);
    assert_eq!(site.portal.state().unwrap().requests["stored"], 3);
    site.in_order();
}

#[test]
fn storage_wants_a_signature_and_no_credential() {
    let site = Site::new();
    site.upload("a.txt", b"abc");
    let target = stored(&site, &by_url(&site, "root/.files/a.txt"));
    let storage = site.portal.storage_address();
    for (name, value) in [("Authorization", "OAuth y0_portal"), ("Cookie", "session=1")] {
        let answer = Request::new("GET", &target).header(name, value).send(storage).unwrap();
        assert_eq!(answer.status, 400, "{}", answer.text());
        site.violated("a credential was sent to the storage port");
    }
    let status = |target: &str| Request::new("GET", target).send(storage).unwrap().status;
    assert_eq!(status(target.split('?').next().unwrap()), 403);
    assert_eq!(status("/attachments/1?X-Amz-Signature=0"), 403);
    assert_eq!(Request::new("HEAD", &target).send(storage).unwrap().status, 403);
    assert_eq!(status(&format!("/.portal/state{}", &target[target.find('?').unwrap()..])), 403, "no control address");
    // The organisation is no secret.
    let organisation = Request::new("GET", &target).header("X-Org-Id", "7654321").send(storage).unwrap();
    assert_eq!((organisation.status, organisation.body), (200, b"abc".to_vec()));
    site.portal.advance(Duration::from_secs(3601));
    assert_eq!(status(&target), 403);
    site.in_order();
}

#[test]
fn storage_has_nothing_of_what_was_deleted() {
    let site = Site::new();
    let made = site.upload("a.txt", b"abc");
    let target = stored(&site, &by_url(&site, "root/.files/a.txt"));
    assert_eq!(site.ask("DELETE", &site.target(&made)).status, 204);
    let answer = Request::new("GET", &target).send(site.portal.storage_address()).unwrap();
    assert!(answer.status == 404 && answer.text().contains("<Code>NoSuchKey</Code>"));
}

#[test]
fn a_url_has_no_slash_at_its_beginning() {
    let site = Site::new();
    site.upload("a.txt", b"abc");
    for url in ["/root/.files/a.txt", "root/a.txt", "root/.files/", "a b/.files/a.txt", ""] {
        assert_refused(&by_url(&site, url), 400, "VALIDATION_ERROR");
        site.violated("url");
    }
    assert_refused(&site.ask("GET", "/v1/pages/attachments/download_by_url"), 400, "VALIDATION_ERROR");
    // Slugs may be given as they come.
    stored(&site, &by_url(&site, "Root/.files/a.txt"));
}

#[test]
fn redirects_of_pages_are_followed() {
    let site = Site::new();
    site.upload("a.txt", b"abc");
    let old = site.make("old");
    ok(&site.post(&format!("/v1/pages/{old}"), json!({"redirect": {"page": {"slug": "root"}}})));
    stored(&site, &by_url(&site, "old/.files/a.txt"));
}

#[test]
fn who_sends_the_bytes_is_a_setting() {
    let site = Site::set(json!({"download_redirects": true, "download_by_url_redirects": false}));
    let made = site.upload("a.txt", b"abc");
    let target = stored(&site, &site.ask("GET", &format!("{}/download", site.target(&made))));
    let answer = Request::new("GET", &target).send(site.portal.storage_address()).unwrap();
    assert_eq!((answer.body.as_slice(), answer.header("content-disposition")), (&b"abc"[..], Some("attachment")));
    let direct = by_url(&site, "root/.files/a.txt");
    assert_eq!((direct.status, direct.body), (200, b"abc".to_vec()));
}

#[test]
fn a_missing_preview_is_text_that_would_be_a_picture() {
    let site = Site::set(json!({"preview_s": 600}));
    let made = site.upload("a.png", b"abc");
    let target = format!("{}/preview", site.target(&made));
    let none = site.ask("GET", &target);
    assert!(none.status == 200 && none.body.starts_with(b"iVBORw0KGgo"), "{}", none.text());
    site.portal.advance(Duration::from_secs(600));
    assert_eq!(site.ask("GET", &target).body, b"abc");
}
