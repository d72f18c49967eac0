//! The portal as a client sees it: every row of what is known about ONLYOFFICE servers, over HTTP, with a client that
//! knows nothing. Each module has the rows of one part of the protocol.

mod auth;
mod browser;
mod chunks;
pub(crate) mod client;
mod curl;
mod entries;
mod envelopes;
mod faults;
mod lifetimes;
mod numbered;
mod page;
mod process;
mod reading;
mod sdk;
mod session_calls;
mod sessions;

use std::net::SocketAddr;

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::{Generation, OnlyofficeConfig, PASSWORD, USER};
use uploadfs::portal::{FileState, Portal, PortalConfig, PortalState, ServiceConfig};

use self::client::{Answer, Request, form};

/// The chunk size in here, in bytes: small, so that large files are.
const C: usize = 1000;

/// The section "My documents".
const MY: u64 = 1;

const ALL: [Generation; 4] = [Generation::G0, Generation::G1, Generation::G2, Generation::G3];

/// A portal with somebody signed in.
struct Site {
    portal: Portal,
    address: SocketAddr,
    token: String,
    generation: Generation,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new(generation: Generation) -> Site {
        Site::with(OnlyofficeConfig::new(generation))
    }

    fn with(mut config: OnlyofficeConfig) -> Site {
        config.settings.chunk_bytes = C as u64;
        config.settings.operation_ms = 1;
        let generation = config.version.generation();
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let portal = Portal::start(PortalConfig::new(store, ServiceConfig::Onlyoffice(config))).unwrap();
        let address = portal.address();
        let token = sign_in(address, USER, PASSWORD);
        Site { portal, address, token, generation, _folder: folder }
    }

    fn is_docspace(&self) -> bool {
        self.generation != Generation::G0
    }

    /// A request of the one who is signed in.
    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).header("Authorization", &self.token)
    }

    #[track_caller]
    fn send(&self, request: &Request) -> Answer {
        request.send(self.address).unwrap()
    }

    #[track_caller]
    fn get(&self, target: &str) -> Answer {
        self.send(&self.request("GET", target))
    }

    #[track_caller]
    fn call(&self, method: &str, target: &str, body: Value) -> Answer {
        self.send(&self.request(method, target).json(&body))
    }

    /// The status of a POST that worked.
    fn posted(&self) -> u16 {
        if self.is_docspace() { 200 } else { 201 }
    }

    /// Opens a session in "My documents"; its data.
    #[track_caller]
    fn open(&self, title: &str, bytes: i64) -> Value {
        self.open_with(json!({"fileName": title, "fileSize": bytes}))
    }

    #[track_caller]
    fn open_with(&self, body: Value) -> Value {
        let answer = self.call("POST", &format!("/api/2.0/files/{MY}/upload/create_session"), body);
        let response = answer.response(self.posted());
        assert_eq!(response["success"], true);
        response["data"].clone()
    }

    /// The request for a chunk without a number.
    fn plain(&self, session: &Value, bytes: &[u8]) -> Request {
        let (content_type, body) = form(bytes);
        self.request("POST", &target(session)).header("Content-Type", &content_type).body(body)
    }

    #[track_caller]
    fn put(&self, session: &Value, bytes: &[u8]) -> Answer {
        self.send(&self.plain(session, bytes))
    }

    /// The request for the chunk of this number.
    fn numbered(&self, session: &Value, number: u32, bytes: &[u8]) -> Request {
        let (content_type, body) = form(bytes);
        let target = format!("{}&chunkNumber={number}&upload=true", target(session));
        self.request("POST", &target).header("Content-Type", &content_type).body(body)
    }

    #[track_caller]
    fn put_numbered(&self, session: &Value, number: u32, bytes: &[u8]) -> Answer {
        self.send(&self.numbered(session, number, bytes))
    }

    #[track_caller]
    fn finalize(&self, session: &Value) -> Answer {
        self.send(&self.request("POST", &format!("{}&finalize=true", target(session))))
    }

    #[track_caller]
    fn abort(&self, session: &Value) -> Answer {
        self.send(&self.request("POST", &format!("{}&abort=true", target(session))))
    }

    /// Uploads a file in chunks without numbers; the answer to the last one.
    #[track_caller]
    fn upload(&self, title: &str, bytes: &[u8]) -> Value {
        let session = self.open(title, i64::try_from(bytes.len()).unwrap());
        let answers: Vec<Answer> = bytes.chunks(C).map(|chunk| self.put(&session, chunk)).collect();
        answers.last().unwrap().data(201)
    }

    fn state(&self) -> PortalState {
        self.portal.state().unwrap()
    }

    /// The only file of this title in "My documents".
    #[track_caller]
    fn file(&self, title: &str) -> FileState {
        let state = self.state();
        state.file(&format!("/My documents/{title}")).cloned().unwrap_or_else(|| panic!("no {title} in {state:?}"))
    }

    #[track_caller]
    fn download(&self, id: &Value) -> Vec<u8> {
        let handler = if self.is_docspace() { "" } else { "/Products/Files/HttpHandlers" };
        let answer = self.get(&format!("{handler}/filehandler.ashx?action=download&fileid={id}"));
        assert_eq!(answer.status, 200);
        answer.body
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

pub(crate) fn sign_in(address: SocketAddr, user: &str, password: &str) -> String {
    let request =
        Request::new("POST", "/api/2.0/authentication").json(&json!({"userName": user, "password": password}));
    let answer = request.send(address).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
    answer.json()["response"]["token"].as_str().unwrap().to_owned()
}

/// Where the chunks of a session go.
fn target(session: &Value) -> String {
    let location = session["location"].as_str().unwrap();
    let (_, rest) = location.split_once("://").unwrap();
    rest[rest.find('/').unwrap()..].to_owned()
}

/// Bytes that look like nothing.
fn noise(length: usize) -> Vec<u8> {
    let mut dice = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
}
