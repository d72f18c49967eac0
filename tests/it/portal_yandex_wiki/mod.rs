//! The Yandex Wiki of the portal as a client sees it: every row of what is known about the service, over HTTP, with a
//! client that knows nothing. Each module has the rows of one part of the protocol.

mod attachments;
mod auth;
mod downloads;
mod envelopes;
mod faults;
mod lifetimes;
mod moves;
mod pages;
mod parts;
mod process;
mod sessions;
mod state;
mod tree;

use std::net::SocketAddr;

use serde_json::{Value, json};
use uploadfs::portal::yandex_wiki::{OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, YandexWikiConfig};
use uploadfs::portal::{FileState, Portal, PortalConfig, PortalState, ServiceConfig};

use crate::support::raw::{Answer, Request};

/// The smallest part in here, in bytes: small, so that large files are.
const MIN: usize = 1000;
/// The largest part in here, in bytes.
const MAX: usize = 3200;
/// The largest file in here, in bytes.
const FILE_MAX: usize = 40_000;

/// A wiki with somebody who is let in.
struct Site {
    portal: Portal,
    address: SocketAddr,
    authorization: String,
    /// The number of the root page.
    root: u64,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        Site::with(small())
    }

    fn with(config: YandexWikiConfig) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        Site::on(folder, &store, config)
    }

    /// A wiki on a store that may be there already; `folder` lives as long as the site.
    fn on(folder: tempfile::TempDir, store: &std::path::Path, config: YandexWikiConfig) -> Site {
        let portal = Portal::start(PortalConfig::new(store, ServiceConfig::YandexWiki(config))).unwrap();
        let (address, authorization) = (portal.address(), format!("OAuth {OAUTH_TOKEN}"));
        let mut site = Site { portal, address, authorization, root: 0, _folder: folder };
        site.root = site.page(ROOT_SLUG);
        site
    }

    /// A wiki of which these settings are changed.
    fn set(changes: Value) -> Site {
        let site = Site::new();
        site.portal.set(&changes).unwrap();
        site
    }

    /// A request of the one who is let in.
    fn request(&self, method: &str, target: &str) -> Request {
        let request = Request::new(method, target).header("Authorization", &self.authorization);
        request.header("X-Org-Id", ORGANISATION)
    }

    #[track_caller]
    fn send(&self, request: &Request) -> Answer {
        request.send(self.address).unwrap()
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str) -> Answer {
        self.send(&self.request(method, target))
    }

    #[track_caller]
    fn get(&self, target: &str) -> Value {
        ok(&self.ask("GET", target))
    }

    #[track_caller]
    fn post(&self, target: &str, body: Value) -> Answer {
        self.send(&self.request("POST", target).json(&body))
    }

    /// The number of the page at a slug.
    #[track_caller]
    fn page(&self, slug: &str) -> u64 {
        self.get(&format!("/v1/pages?slug={}", encoded(slug)))["id"].as_u64().unwrap()
    }

    /// Makes a page; its number.
    #[track_caller]
    fn make(&self, slug: &str) -> u64 {
        let made = self.post("/v1/pages", json!({"title": slug, "slug": slug, "content": ""}));
        ok(&made)["id"].as_u64().unwrap()
    }

    #[track_caller]
    fn create(&self, name: &str, bytes: usize) -> Answer {
        self.post("/v1/upload_sessions", json!({"file_name": name, "file_size": bytes}))
    }

    /// Opens a session; its id.
    #[track_caller]
    fn open(&self, name: &str, bytes: usize) -> String {
        ok(&self.create(name, bytes))["session_id"].as_str().unwrap().to_owned()
    }

    fn part(&self, session: &str, number: i64, bytes: &[u8]) -> Request {
        let target = format!("/v1/upload_sessions/{session}/upload_part?part_number={number}");
        self.request("PUT", &target).header("Content-Type", "application/octet-stream").body(bytes)
    }

    #[track_caller]
    fn put(&self, session: &str, number: i64, bytes: &[u8]) -> Answer {
        self.send(&self.part(session, number, bytes))
    }

    #[track_caller]
    fn finish(&self, session: &str) -> Answer {
        self.ask("POST", &format!("/v1/upload_sessions/{session}/finish"))
    }

    #[track_caller]
    fn status(&self, session: &str) -> String {
        self.get(&format!("/v1/upload_sessions/{session}"))["status"].as_str().unwrap().to_owned()
    }

    /// A session with these parts in it.
    #[track_caller]
    fn filled(&self, name: &str, declared: usize, parts: &[usize]) -> String {
        let session = self.open(name, declared);
        for (number, length) in (1..).zip(parts) {
            ok(&self.put(&session, number, &noise(*length)));
        }
        session
    }

    /// A session that is finished.
    #[track_caller]
    fn finished(&self, name: &str, bytes: &[u8]) -> String {
        let session = self.open(name, bytes.len());
        for (number, part) in (1..).zip(bytes.chunks(MAX)) {
            ok(&self.put(&session, number, part));
        }
        ok(&self.finish(&session));
        session
    }

    #[track_caller]
    fn attach(&self, page: u64, sessions: &[&str]) -> Answer {
        self.post(&format!("/v1/pages/{page}/attachments"), json!({"upload_sessions": sessions}))
    }

    /// Uploads a file to the root page; what the attachment looks like.
    #[track_caller]
    fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let session = self.finished(name, bytes);
        let results = ok(&self.attach(self.root, &[&session]))["results"].clone();
        assert_eq!(results.as_array().unwrap().len(), 1);
        results[0].clone()
    }

    /// Where an attachment of the root page is.
    fn target(&self, attachment: &Value) -> String {
        format!("/v1/pages/{}/attachments/{}", self.root, attachment["id"])
    }

    fn state(&self) -> PortalState {
        self.portal.state().unwrap()
    }

    /// The only file of this name at the root page.
    #[track_caller]
    fn file(&self, name: &str) -> FileState {
        let state = self.state();
        state.file(&format!("/{ROOT_SLUG}/{name}")).cloned().unwrap_or_else(|| panic!("no {name} in {state:?}"))
    }

    /// Asserts that exactly one rule was broken, with these words, and forgets it.
    #[track_caller]
    fn violated(&self, words: &str) {
        let violations = self.portal.violations();
        assert!(violations.len() == 1 && violations[0].what.contains(words), "not {words:?}: {violations:?}");
        self.portal.clear_violations();
    }

    #[track_caller]
    fn in_order(&self) {
        assert_eq!(self.portal.violations(), []);
    }
}

/// A wiki of small parts and files.
fn small() -> YandexWikiConfig {
    let mut config = YandexWikiConfig::new(OrganisationKind::Yandex360);
    config.settings.part_bytes_min = MIN as u64;
    config.settings.part_bytes_max = MAX as u64;
    config.settings.file_bytes_max = FILE_MAX as u64;
    config.settings.operation_ms = 1;
    config
}

/// The body of an answer that must have worked.
#[track_caller]
fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// The status and the code of a refusal.
#[track_caller]
fn refused(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert!(answer.status >= 400 && body["debug_message"].is_string(), "{}", answer.text());
    (answer.status, body["error_code"].as_str().unwrap().to_owned())
}

/// Asserts that a request was refused with this status and code.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(refused(answer), (status, code.to_owned()), "{}", answer.text());
}

/// As an address has it.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Bytes that look like nothing.
fn noise(length: usize) -> Vec<u8> {
    let mut dice = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
}
