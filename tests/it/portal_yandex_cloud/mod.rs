//! The Files API of the portal as a client sees it: every row of what is known about the service, in both dialects, over
//! HTTP, with a client that knows nothing. Each module has the rows of one part of the protocol.

mod auth;
mod contents;
mod curl;
mod downloads;
mod faults;
mod lifetimes;
mod lists;
mod native;
mod openai;
mod process;
mod state;

use std::net::SocketAddr;

use serde_json::{Value, json};
use uploadfs::portal::yandex_cloud::{API_KEY, FOLDER, YandexCloudConfig};
use uploadfs::portal::{Portal, PortalConfig, PortalState, ServiceConfig};

use crate::support::raw::{Answer, Request};

/// The native address.
const NATIVE: &str = "/files/v1/files";
/// The address in the dialect of OpenAI.
const OPENAI: &str = "/v1/files";

/// The boundary of forms.
const BOUNDARY: &str = "boundary-7";

/// A folder with somebody who is let in.
struct Site {
    portal: Portal,
    address: SocketAddr,
    authorization: String,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Site {
        Site::with(YandexCloudConfig::default())
    }

    fn with(config: YandexCloudConfig) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        Site::on(folder, &store, config)
    }

    /// A folder on a store that may be there already; the directory lives as long as the site.
    fn on(folder: tempfile::TempDir, store: &std::path::Path, config: YandexCloudConfig) -> Site {
        let portal = Portal::start(PortalConfig::new(store, ServiceConfig::YandexCloud(config))).unwrap();
        let (address, authorization) = (portal.address(), format!("Api-Key {API_KEY}"));
        Site { portal, address, authorization, _folder: folder }
    }

    /// A folder of which these settings are changed.
    fn set(changes: Value) -> Site {
        let site = Site::new();
        site.change(changes);
        site
    }

    #[track_caller]
    fn change(&self, changes: Value) {
        self.portal.set(&changes).unwrap();
    }

    /// A request of the one who is let in, who names the folder where that is done in a header.
    fn request(&self, method: &str, target: &str) -> Request {
        let request = Request::new(method, target).header("Authorization", &self.authorization);
        if target.starts_with(OPENAI) { request.header("OpenAI-Project", FOLDER) } else { request }
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

    /// A native create of this body.
    fn creating(&self, body: &Value) -> Request {
        self.request("POST", NATIVE).json(body)
    }

    #[track_caller]
    fn create(&self, body: &Value) -> Answer {
        self.send(&self.creating(body))
    }

    /// A native file; what it looks like.
    #[track_caller]
    fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        ok(&self.create(&document(name, bytes)))
    }

    #[track_caller]
    fn patch(&self, id: &Value, body: Value) -> Answer {
        self.send(&self.request("PATCH", &target(id)).json(&body))
    }

    /// A create of this form.
    fn posting(&self, form: &[u8]) -> Request {
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        self.request("POST", OPENAI).header("Content-Type", &content_type).body(form)
    }

    /// A file of the OpenAI dialect that expires in an hour; what it looks like.
    #[track_caller]
    fn post(&self, name: &str, bytes: &[u8]) -> Value {
        ok(&self.send(&self.posting(&form(&[HOUR[0], HOUR[1], ("purpose", "assistants")], name, bytes))))
    }

    /// The path and query of the address of a file at the storage port.
    #[track_caller]
    fn url(&self, id: &Value) -> String {
        let url = self.get(&format!("{NATIVE}:getUrl?fileId={}", id.as_str().unwrap()))["url"].clone();
        let host = format!("http://{}", self.portal.storage_address());
        url.as_str().and_then(|url| url.strip_prefix(&host)).unwrap_or_else(|| panic!("{url}")).to_owned()
    }

    /// A request to the storage port.
    #[track_caller]
    fn stored(&self, request: &Request) -> Answer {
        request.send(self.portal.storage_address()).unwrap()
    }

    /// The bytes of a file, by its address.
    #[track_caller]
    fn download(&self, id: &Value) -> Vec<u8> {
        let answer = self.stored(&Request::new("GET", &self.url(id)));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.body
    }

    /// The ids that a walk through the native list finds, and how many answers it took.
    #[track_caller]
    fn walk(&self, query: &str) -> (Vec<Value>, usize) {
        let (mut ids, mut answers, mut token) = (Vec::new(), 0, String::new());
        loop {
            let page = self.get(&format!("{NATIVE}?folderId={FOLDER}&{query}&pageToken={token}"));
            answers += 1;
            let Some(files) = page["files"].as_array() else { return (ids, answers) };
            ids.extend(files.iter().map(|file| file["id"].clone()));
            token = encoded(page["nextPageToken"].as_str().expect("a token comes with every page that has files"));
        }
    }

    fn state(&self) -> PortalState {
        self.portal.state().unwrap()
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

/// An expiry as forms have it.
const HOUR: [(&str, &str); 2] = [("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")];

/// The body of a native create that leaves nothing to the service.
fn document(name: &str, bytes: &[u8]) -> Value {
    json!({
        "folderId": FOLDER,
        "name": name,
        "content": base64(bytes),
        "expirationConfig": {"expirationPolicy": "STATIC", "ttlDays": "30"},
    })
}

/// A form with these fields, and behind them a file.
fn form(fields: &[(&str, &str)], name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut form = Vec::new();
    for (field, value) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
        form.extend_from_slice(part.as_bytes());
    }
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(bytes);
    form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    form
}

/// Where a native file is.
fn target(id: &Value) -> String {
    format!("{NATIVE}/{}", id.as_str().unwrap())
}

/// Where a file is in the dialect of OpenAI.
fn openai(id: &Value) -> String {
    format!("{OPENAI}/{}", id.as_str().unwrap())
}

/// The body of an answer that must have worked.
#[track_caller]
fn ok(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Asserts that a request was refused with this status and this code of `google.rpc`.
#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: u64) {
    let body = answer.json();
    assert_eq!((answer.status, body["code"].as_u64()), (status, Some(code)), "{}", answer.text());
    let info = &body["details"][0];
    assert!(body["message"].is_string() && info["requestId"].as_str() == answer.header("x-request-id"), "{body}");
}

/// Asserts that the dialect of OpenAI refused a request with this status, in these words.
#[track_caller]
fn assert_denied(answer: &Answer, status: u16, words: &str) {
    let message = answer.json()["error"]["message"].clone();
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(message.as_str().is_some_and(|message| message.contains(words)), "not {words:?}: {}", answer.text());
}

/// As an address has it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric().then(|| char::from(byte).to_string());
    text.bytes().map(|byte| plain(byte).unwrap_or_else(|| format!("%{byte:02X}"))).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let [a, b, c] = three;
        for value in [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63] {
            text.push(char::from(ALPHABET[usize::from(value)]));
        }
    }
    let padding = (3 - bytes.len() % 3) % 3;
    text.truncate(text.len() - padding);
    text + &"=".repeat(padding)
}

/// Bytes that look like nothing.
fn noise(length: usize) -> Vec<u8> {
    let mut dice = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
}
