//! Downloads: addresses, and what is behind them at the storage port.

use std::time::Duration;

use serde_json::json;
use uploadfs::portal::yandex_cloud::API_KEY;

use super::{NATIVE, Site, assert_refused, noise, ok, target};
use crate::support::raw::Request;

#[test]
fn an_address_has_the_bytes_and_their_digest() {
    let site = Site::new();
    let made = site.upload("a", b"test file");
    let url = site.url(&made["id"]);
    assert!(url.starts_with(&format!("/{}?X-Amz-Algorithm=", made["id"].as_str().unwrap())), "{url}");
    assert!(url.contains("X-Amz-Expires=3600&") && url.contains("X-Amz-SignedHeaders=host"), "{url}");
    let answer = site.stored(&Request::new("GET", &url));
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"test file"[..]));
    for (name, value) in [
        ("etag", "\"f20d9f2072bbeb6691c0f9c5099b01f3\""),
        ("accept-ranges", "bytes"),
        ("content-type", "text/plain"),
        ("content-length", "9"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(answer.header("last-modified").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(answer.header("content-disposition"), None);
    let colon = format!("{}?fileId={}", NATIVE.to_owned() + "%3AgetUrl", made["id"].as_str().unwrap());
    assert!(site.get(&colon)["url"].is_string());
    site.in_order();
}

#[test]
fn storage_knows_ranges() {
    let (site, bytes) = (Site::new(), noise(10_000));
    let url = site.url(&site.upload("a", &bytes)["id"]);
    for (range, expected) in [("bytes=0-0", 0..1), ("bytes=100-199", 100..200), ("bytes=-1", 9999..10_000)] {
        let answer = site.stored(&Request::new("GET", &url).header("Range", range));
        assert_eq!((answer.status, answer.body.as_slice()), (206, &bytes[expected.clone()]), "{range}");
        let told = format!("bytes {}-{}/10000", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), Some(told.as_str()));
    }
    assert_eq!(site.stored(&Request::new("GET", &url).header("Range", "bytes=10000-")).status, 416);
    site.in_order();
}

#[test]
fn storage_wants_a_signature_and_no_credential() {
    let site = Site::new();
    let made = site.upload("a", b"abc");
    let url = site.url(&made["id"]);
    let shown = site.stored(&Request::new("GET", &url).header("Authorization", &format!("Api-Key {API_KEY}")));
    assert_eq!(shown.status, 400);
    site.violated("a credential was sent to the storage port");
    let status = |target: &str| site.stored(&Request::new("GET", target)).status;
    assert_eq!(status(url.split('?').next().unwrap()), 403);
    assert_eq!(site.stored(&Request::new("HEAD", &url)).status, 403);
    site.portal.advance(Duration::from_secs(3599));
    assert_eq!(status(&url), 200);
    site.portal.advance(Duration::from_secs(1));
    assert_eq!(status(&url), 403);
    assert_eq!(status(&site.url(&made["id"])), 200);
    site.in_order();
}

#[test]
fn an_address_outlives_its_file_by_nothing() {
    let site = Site::new();
    let made = site.upload("a", b"abc");
    site.portal.advance(Duration::from_secs(30 * 86_400 - 60));
    let url = site.url(&made["id"]);
    assert_eq!(site.stored(&Request::new("GET", &url)).body, b"abc");
    site.portal.advance(Duration::from_secs(60));
    assert_eq!(site.stored(&Request::new("GET", &url)).status, 404);
    let get_url = format!("{NATIVE}:getUrl?fileId={}", made["id"].as_str().unwrap());
    assert_refused(&site.ask("GET", &get_url), 404, 5);
    site.change(json!({"expired_url": "signed"}));
    assert!(ok(&site.ask("GET", &get_url))["url"].is_string());
    assert_eq!(site.stored(&Request::new("GET", &site.url(&made["id"]))).status, 404);
    assert_refused(&site.ask("GET", &format!("{NATIVE}:getUrl?fileId=fvtnever")), 404, 5);
    assert_refused(&site.ask("GET", &target(&made["id"])), 404, 5);
    site.in_order();
}
