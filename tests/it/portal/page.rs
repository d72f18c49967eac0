//! The page for people, over HTTP and without a browser: what it lists, what its links give, who is answered, and what
//! the headers forbid. What a browser makes of it is in `browser`.

use std::fs;
use std::path::Path;

use serde_json::json;
use uploadfs::portal::faults::{ANY, Fault, Rule, When};
use uploadfs::portal::onlyoffice::{Generation, OnlyofficeConfig, PASSWORD, USER};
use uploadfs::portal::{Portal, PortalConfig, ServiceConfig};

use super::client::{Answer, Request, form};
use super::{ALL, C, Site, noise, sign_in, target};

/// Every address of the page; the last one is of a file that is there.
const ADDRESSES: [&str; 5] = ["", "page.css", "page.js", "files/4711", "files/100"];

/// A request without a token, as a browser sends it.
fn ask(site: &Site, method: &str, what: &str) -> Answer {
    Request::new(method, &format!("/.portal/{what}")).send(site.address).unwrap()
}

#[track_caller]
fn page(site: &Site) -> String {
    let answer = ask(site, "GET", "");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    String::from_utf8(answer.body).unwrap()
}

/// The entries of the page, files and uploads, as they stand there.
fn entries(page: &str) -> Vec<&str> {
    page.split("<li id=\"").skip(1).map(|rest| &rest[..rest.find("</li>").unwrap()]).collect()
}

/// The link of the only file of this title.
#[track_caller]
fn link<'a>(page: &'a str, title: &str) -> &'a str {
    let mut found = entries(page).into_iter().filter(|entry| entry.contains(&format!("<bdi>{title}</bdi></a>")));
    let entry = found.next().unwrap_or_else(|| panic!("no {title} in {page}"));
    assert_eq!(found.next(), None);
    entry.split("href=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn files_are_listed_and_given_to_anybody() {
    for generation in ALL {
        let site = Site::new(generation);
        assert!(entries(&page(&site)).is_empty());
        let bytes = noise(2 * C + 7);
        site.upload("old.bin", &bytes);
        let folder = site.call("POST", "/api/2.0/files/folder/1", json!({"title": "Inner & outer"}));
        let folder = folder.response(site.posted())["id"].clone();
        let body = json!({"fileName": "new.bin", "fileSize": 3});
        let made = site.call("POST", &format!("/api/2.0/files/{folder}/upload/create_session"), body);
        site.put(&made.response(site.posted())["data"], b"abc").data(201);

        let page = page(&site);
        let listed = entries(&page);
        assert_eq!(listed.len(), 2);
        for word in [">new.bin<", ">/My documents/Inner &amp; outer/<", "3 bytes · <time datetime=\"20"] {
            assert!(listed[0].contains(word), "{word}: {}", listed[0]);
        }
        assert!(listed[1].contains(">old.bin<") && listed[1].contains("1.9 KiB"), "{}", listed[1]);
        assert!(page.contains("2 files, 0 on the way"));
        let answer = Request::new("GET", link(&page, "old.bin")).send(site.address).unwrap();
        assert_eq!((answer.status, answer.body), (200, bytes));
        site.in_order();
    }
}

#[test]
fn a_new_version_is_the_newest() {
    let site = Site::new(Generation::G3);
    let first = site.upload("a.bin", b"abc");
    site.upload("b.bin", b"abc");
    site.portal.advance(std::time::Duration::from_secs(60));
    let update = site.request("PUT", &format!("/api/2.0/files/{}/update", first["id"])).body("hello");
    assert_eq!(site.send(&update.header("Content-Type", "application/octet-stream")).status, 200);
    let page = page(&site);
    assert!(entries(&page)[0].contains(">a.bin<") && entries(&page)[0].contains(" · 2 versions"), "{page}");
    let answer = Request::new("GET", link(&page, "a.bin")).send(site.address).unwrap();
    assert_eq!(answer.body, b"hello");
}

#[test]
fn what_is_on_the_way_has_a_bar() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("big.bin", 2 * C as i64 + 500);
        let bytes = noise(2 * C + 500);
        let mut bars = Vec::new();
        for chunk in bytes.chunks(C) {
            let page = page(&site);
            assert!(page.contains("0 files, 1 on the way"), "{page}");
            let bar = page.split("<progress ").nth(1).unwrap().split('>').next().unwrap().to_owned();
            bars.push(bar.split_once("max=").unwrap().1.to_owned());
            assert_eq!(entries(&page).len(), 1);
            site.put(&session, chunk);
        }
        assert_eq!(bars, ["0", "1000", "2000"].map(|held| format!("\"2500\" value=\"{held}\"")));
        let page = page(&site);
        assert!(page.contains("1 file, 0 on the way") && !page.contains("<progress"), "{page}");
    }
}

#[test]
fn what_was_given_up_is_not_on_the_way() {
    let site = Site::new(Generation::G3);
    let session = site.open("big.bin", 3 * C as i64);
    site.put(&session, &noise(C));
    site.abort(&session);
    assert!(page(&site).contains("0 files, 0 on the way"));
}

#[test]
fn the_headers_forbid_what_nobody_needs() {
    let site = Site::new(Generation::G3);
    site.upload("a b\"é.html", b"<script>alert(1)</script>");
    for what in ADDRESSES.into_iter().chain(["state", "violations", "nonsense"]) {
        let request = Request::new("GET", &format!("/.portal/{what}")).header("Origin", "http://example.org");
        let answer = request.send(site.address).unwrap();
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{what}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{what}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(what.is_empty(), !policy.contains("sandbox"), "{what}");
        let cross: Vec<_> = answer.headers.iter().filter(|(name, _)| name.starts_with("access-control")).collect();
        assert!(cross.is_empty(), "{what}: {cross:?}");
    }
    let page = page(&site);
    // Titles of this service have no quotes.
    let answer = Request::new("GET", link(&page, "a b_é.html")).send(site.address).unwrap();
    let expected = "attachment; filename=\"a b__.html\"; filename*=UTF-8''a%20b_%C3%A9.html";
    assert_eq!(answer.header("content-disposition"), Some(expected));
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
}

#[test]
fn it_is_for_looking_only() {
    let site = Site::new(Generation::G3);
    site.upload("a.bin", &noise(10));
    for what in ADDRESSES {
        let get = ask(&site, "GET", what);
        assert_eq!(get.status, if what == "files/4711" { 404 } else { 200 }, "{what}");
        // The client takes an answer whose length is not that of its body for one that was cut.
        let head = ask_head(&site, what);
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", get.status)), "{head}");
        assert!(head.contains(&format!("content-length: {}\r\n", get.body.len())), "{what}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{head}");
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let answer = ask(&site, method, what);
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {what}");
        }
    }
    let moved = Request::new("GET", "/.portal").send(site.address).unwrap();
    assert_eq!((moved.status, moved.header("location")), (308, Some("/.portal/")));
    for wrong in ["files/", "files/100/", "files/%31%30%30", "files/../state", "files/100%2f", "files/a/b"] {
        assert_eq!(ask(&site, "GET", wrong).status, 404, "{wrong}");
    }
}

/// Everything that comes back for a HEAD.
fn ask_head(site: &Site, what: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(site.address).unwrap();
    let head = format!("HEAD /.portal/{what} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", site.address);
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn only_the_names_of_this_machine_are_answered() {
    let site = Site::new(Generation::G3);
    site.upload("secret.bin", &noise(10));
    let with = |what: &str, host: &str| {
        Request::new("GET", &format!("/.portal/{what}")).header("Host", host).send(site.address).unwrap()
    };
    for what in ADDRESSES.into_iter().chain(["state", "faults", "settings"]) {
        let known = if what == "files/4711" { 404 } else { 200 };
        for host in ["127.0.0.1", "localhost:8080", "LocalHost", "[::1]:1"] {
            assert_eq!(with(what, host).status, known, "{what} at {host}");
        }
        for host in ["example.org", "127.0.0.1.example.org", "localhost.example.org", "10.0.0.1", "[2001:db8::1]", ""] {
            let answer = with(what, host);
            assert_eq!((answer.status, answer.header("cache-control")), (421, Some("no-store")), "{what} at {host}");
            assert!(!answer.text().contains("secret"), "{}", answer.text());
        }
    }
    // The service itself is another matter: a real portal has any name.
    let service = Request::new("GET", "/api/2.0/settings/version/build").header("Host", "example.org");
    assert_eq!(service.send(site.address).unwrap().status, 200);
}

#[test]
fn the_page_is_no_part_of_the_service() {
    for generation in ALL {
        let site = Site::new(generation);
        let fault = Fault::Answer { when: When::Before, status: 503, body: String::new(), retry_after_s: None };
        site.portal.add_fault(Rule::always(ANY, fault));
        let before = site.state().requests;
        for what in ADDRESSES {
            assert_ne!(ask(&site, "GET", what).status, 503, "{what}");
        }
        assert_eq!(site.state().requests, before);
        site.portal.clear_faults();
        site.in_order();
        // Real portals have a page of their own there, and a client that asks for it is lost.
        assert_eq!(Request::new("GET", "/").send(site.address).unwrap().status, 404);
        site.violated("no such address: GET /");
    }
}

/// A portal whose store has a file of this title in a folder of this title. Since no upload could give it one, the
/// store's log is changed: other services, and other versions, clean titles less.
pub(super) fn with_title(folder: &Path, title: &str) -> Portal {
    let config = || {
        let service = ServiceConfig::Onlyoffice(OnlyofficeConfig::new(Generation::G3));
        PortalConfig::new(folder, service)
    };
    let portal = Portal::start(config()).unwrap();
    let token = sign_in(portal.address(), USER, PASSWORD);
    let call = |target: &str, body| {
        let request = Request::new("POST", target).header("Authorization", &token).json(&body);
        request.send(portal.address()).unwrap().response(200)
    };
    let id = call("/api/2.0/files/folder/1", json!({"title": "title to change"}))["id"].clone();
    let body = json!({"fileName": "title to change.", "fileSize": 3});
    let session = call(&format!("/api/2.0/files/{id}/upload/create_session"), body)["data"].clone();
    let (content_type, body) = form(b"abc");
    let chunk = Request::new("POST", &target(&session)).header("Authorization", &token);
    chunk.header("Content-Type", &content_type).body(body).send(portal.address()).unwrap().data(201);
    portal.stop();
    let index = folder.join("index");
    let text = fs::read_to_string(&index).unwrap();
    let changed = serde_json::to_string(title).unwrap();
    let text = text.replace("\"title to change.\"", &changed).replace("\"title to change\"", &changed);
    fs::write(&index, text).unwrap();
    Portal::start(config()).unwrap()
}

#[test]
fn a_hostile_title_is_only_text() {
    let title = "<script>alert(1)<\\script>\" onclick='x' {{files}} &lt;\r\nSet-Cookie: a=b\u{202E}gpj.exe";
    let folder = tempfile::tempdir().unwrap();
    let portal = with_title(folder.path(), title);
    let page = Request::new("GET", "/.portal/").send(portal.address()).unwrap().text();
    let shown =
        "&lt;script&gt;alert(1)&lt;\\script&gt;&quot; onclick=&#39;x&#39; {{files}} &amp;lt;��Set-Cookie: a=b�gpj.exe";
    assert_eq!(page.matches(shown).count(), 2, "{page}");
    assert_eq!(page.matches("<script").count(), 1, "its own: {page}");
    assert!(!page.contains('\u{202E}') && !page.contains("onclick='"), "{page}");
    let answer = Request::new("GET", link(&page, shown)).send(portal.address()).unwrap();
    assert_eq!((answer.body.as_slice(), answer.header("set-cookie")), (&b"abc"[..], None));
    let name = answer.header("content-disposition").unwrap();
    let plain = "<script>alert(1)<_script>_ onclick='x' {{files}} &lt;__Set-Cookie: a=b_gpj.exe";
    assert!(name.starts_with(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''%3Cscript%3E")), "{name}");
}
