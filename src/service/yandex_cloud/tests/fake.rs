//! A cloud in a few lines: one folder, both dialects, a storage on a port of its own, and a script that may answer instead
//! of it. It takes what is sent as it is and notes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;

use super::super::*;
use crate::service::yandex_cloud::labels::hex;

pub(super) type Reply = Response<Body>;

/// A request as the cloud saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    /// Whether it came to the storage.
    pub(super) is_storage: bool,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Method and path, for short.
    pub(super) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path.contains(part)
    }

    pub(super) fn creates(&self) -> bool {
        self.method == "POST"
    }

    pub(super) fn lists(&self) -> bool {
        self.method == "GET" && self.path.ends_with("/files")
    }

    /// A field of a form.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        let (_, after) = body.split_once(&format!("name=\"{name}\""))?;
        Some(after.split_once("\r\n\r\n")?.1.split_once("\r\n--")?.0.to_owned())
    }
}

/// What the script has the cloud do.
pub(super) enum Act {
    /// What it always does.
    Usual,
    /// This, and nothing else.
    Instead(Reply),
    /// What it always does, and then this answer.
    Then(Reply),
    /// Nothing, and the connection ends.
    Cut,
    /// What it always does, and the answer is lost.
    Lost,
}

/// A file of the cloud.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) created: SystemTime,
    pub(super) ttl_days: u64,
    pub(super) labels: Value,
    pub(super) mime: String,
}

/// What the cloud has, and what it saw.
#[derive(Default)]
pub(super) struct State {
    pub(super) files: Vec<Kept>,
    pub(super) seen: Vec<Seen>,
    pub(super) made: u64,
    /// ETags of the storage that are no checksums.
    pub(super) odd_etags: bool,
    /// Answered by the next requests with an address that has expired.
    pub(super) stale_links: u64,
    storage: String,
}

type Script = dyn Fn(&Seen) -> Act + Send + Sync;

/// The cloud and a client of it.
pub(super) struct Fake {
    pub(super) cloud: YandexCloud,
    state: Arc<Mutex<State>>,
}

pub(super) fn config(url: &str) -> YandexCloudConfig {
    YandexCloudConfig {
        url: url.to_owned(),
        dialect: Dialect::Native,
        folder: "b1gtest".to_owned(),
        root: RemotePath::root(),
        token: Arc::new(Token::fixed("AQVNgeheim".into())),
        ttl_days: DEFAULT_DAYS,
        file_max: FILE_SAFE,
        ca_file: None,
        proxy: None,
    }
}

pub(super) fn reply(status: u16, body: &Value) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Response::builder().status(status).header("content-type", "application/json").body(body.to_string().into()).unwrap()
}

pub(super) fn refuse(status: u16, code: u64, message: &str) -> Act {
    Act::Instead(reply(status, &json!({"code": code, "message": message, "details": []})))
}

/// Looks after files by a clock that stands.
pub(super) fn at_rest() -> Refresh {
    Refresh { now: Arc::new(epoch), ..Refresh::default() }
}

/// The moment at which the cloud began, by its clock.
pub(super) fn epoch() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000)
}

impl Fake {
    /// A cloud that does what it always does.
    pub(super) async fn plain() -> Fake {
        Fake::new(|_| Act::Usual).await
    }

    pub(super) async fn new(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Fake {
        Fake::configured(config, at_rest(), script).await
    }

    pub(super) async fn open_ai(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Fake {
        let configure = |url: &str| YandexCloudConfig { dialect: Dialect::OpenAi, ..config(url) };
        Fake::configured(configure, at_rest(), script).await
    }

    pub(super) async fn configured(
        configure: impl Fn(&str) -> YandexCloudConfig,
        refresh: Refresh,
        script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> Fake {
        let state: Arc<Mutex<State>> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let storage = serve(state.clone(), script.clone(), true).await;
        state.lock().unwrap().storage = storage;
        let url = serve(state.clone(), script, false).await;
        Fake { cloud: YandexCloud::refreshing(configure(&url), refresh).unwrap(), state }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A file that somebody else has made, without labels.
    pub(super) fn have(&self, name: &str, bytes: &[u8]) -> String {
        self.state().add(name, bytes, json!({}))
    }

    /// The names of all files, in the order they were made.
    pub(super) fn names(&self) -> Vec<String> {
        self.state().files.iter().map(|file| file.name.clone()).collect()
    }

    /// The requests that match.
    pub(super) fn seen(&self, matches: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        self.state().seen.iter().filter(|seen| matches(seen)).cloned().collect()
    }
}

/// Serves on a free port; the address.
async fn serve(state: Arc<Mutex<State>>, script: Arc<Script>, is_storage: bool) -> String {
    let app = Router::new().fallback(move |request: Request| {
        let (state, script) = (state.clone(), script.clone());
        async move {
            let Some(seen) = look(request, is_storage).await else { return cut() };
            state.lock().unwrap().seen.push(seen.clone());
            let act = script(&seen);
            let mut state = state.lock().unwrap();
            match act {
                Act::Usual => state.answer(&seen),
                Act::Instead(reply) => reply,
                Act::Then(reply) => {
                    state.answer(&seen);
                    reply
                }
                Act::Cut => cut(),
                Act::Lost => {
                    state.answer(&seen);
                    cut()
                }
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// An answer that announces more than comes.
fn cut() -> Reply {
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
    Response::builder().header("content-length", "100").body(Body::from_stream(broken)).unwrap()
}

async fn look(request: Request, is_storage: bool) -> Option<Seen> {
    let (head, body) = request.into_parts();
    let pairs = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()));
    Some(Seen {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: pairs.into_owned().collect(),
        headers: headers.collect(),
        body: axum::body::to_bytes(body, usize::MAX).await.ok()?.to_vec(),
        is_storage,
    })
}

impl State {
    pub(super) fn add(&mut self, name: &str, bytes: &[u8], labels: Value) -> String {
        self.made += 1;
        let id = format!("fvt{:017}", self.made);
        let created = epoch() + Duration::from_secs(self.made);
        let (name, bytes, mime) = (name.to_owned(), bytes.to_vec(), String::new());
        self.files.push(Kept { id: id.clone(), name, bytes, created, ttl_days: 7, labels, mime });
        id
    }

    pub(super) fn get(&mut self, id: &str) -> Option<&mut Kept> {
        self.files.iter_mut().find(|file| file.id == id)
    }

    fn answer(&mut self, seen: &Seen) -> Reply {
        if seen.is_storage {
            return self.give(seen);
        }
        let segments: Vec<&str> = seen.path.trim_matches('/').split('/').collect();
        match (seen.method.as_str(), segments.as_slice()) {
            ("POST", ["files", "v1", "files"]) => self.create(&seen.json()),
            ("GET", ["files", "v1", "files"]) => self.list(&seen.query),
            ("GET", ["files", "v1", "files:getUrl"]) => self.link(&seen.query["fileId"]),
            ("PATCH", ["files", "v1", "files", id]) => self.patch(id, &seen.json()),
            ("POST", ["v1", "files"]) => self.create_by_form(seen),
            ("GET", ["v1", "files"]) => {
                let files: Vec<Value> = self.files.iter().rev().map(open_ai).collect();
                reply(200, &json!({"object": "list", "data": files, "has_more": false}))
            }
            ("GET", ["v1", "files", id, "content"]) => match self.get(id) {
                Some(file) => part(&file.bytes.clone(), seen, "plain"),
                None => reply(404, &json!({"error": {"message": "no such file"}})),
            },
            ("GET", ["files", "v1", "files", id]) => self.one(id, native),
            ("GET", ["v1", "files", id]) => self.one(id, open_ai),
            ("DELETE", [.., id]) => {
                let had = self.files.len();
                self.files.retain(|file| file.id != *id);
                if self.files.len() < had { reply(200, &json!({})) } else { missing() }
            }
            _ => panic!("no such call: {seen:?}"),
        }
    }

    fn one(&mut self, id: &str, show: impl Fn(&Kept) -> Value) -> Reply {
        self.get(id).map_or_else(missing, |file| reply(200, &show(file)))
    }

    fn create(&mut self, file: &Value) -> Reply {
        let bytes = STANDARD.decode(file["content"].as_str().unwrap()).unwrap();
        let id = self.add(file["name"].as_str().unwrap(), &bytes, file["labels"].clone());
        let kept = self.get(&id).unwrap();
        kept.ttl_days = file["expirationConfig"]["ttlDays"].as_str().map_or(7, |days| days.parse().unwrap());
        kept.mime = file["mimeType"].as_str().unwrap_or("detected").to_owned();
        reply(200, &native(kept))
    }

    fn create_by_form(&mut self, seen: &Seen) -> Reply {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        let name = body.split_once("filename=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        let id = self.add(&name, seen.field("file").unwrap().as_bytes(), json!({}));
        let days = seen.field("expires_after[seconds]").map_or(7, |seconds| seconds.parse::<u64>().unwrap() / 86_400);
        let kept = self.get(&id).unwrap();
        kept.ttl_days = days;
        reply(200, &open_ai(kept))
    }

    /// Pages of three, with a token on each that has files.
    fn list(&mut self, query: &BTreeMap<String, String>) -> Reply {
        assert_eq!(query["folderId"], "b1gtest");
        let from = query.get("pageToken").map_or(0, |token| token.parse::<usize>().unwrap());
        let files: Vec<Value> = self.files.iter().rev().skip(from).take(3).map(native).collect();
        if files.is_empty() {
            return reply(200, &json!({}));
        }
        reply(200, &json!({"files": files, "nextPageToken": (from + files.len()).to_string()}))
    }

    fn patch(&mut self, id: &str, change: &Value) -> Reply {
        let Some(file) = self.get(id) else { return missing() };
        for path in change["updateMask"].as_str().unwrap().split(',') {
            match path {
                "name" => file.name = change["name"].as_str().unwrap().to_owned(),
                "expirationConfig.ttlDays" => {
                    file.ttl_days = change["expirationConfig"]["ttlDays"].as_str().unwrap().parse().unwrap();
                }
                other => panic!("no such field: {other}"),
            }
        }
        reply(200, &native(file))
    }

    fn link(&mut self, id: &str) -> Reply {
        if self.get(id).is_none() {
            return missing();
        }
        let state = if self.stale_links > 0 { "stale" } else { "good" };
        self.stale_links = self.stale_links.saturating_sub(1);
        let url = format!("{}/{id}?X-Amz-Expires=3600&X-Amz-Signature=geheim-{state}", self.storage);
        reply(200, &json!({ "url": url }))
    }

    /// The storage.
    fn give(&mut self, seen: &Seen) -> Reply {
        assert_eq!(seen.header("authorization"), "", "no credential ever comes here");
        if seen.query["X-Amz-Signature"] != "geheim-good" {
            return Response::builder().status(403).body("<Error/>".into()).unwrap();
        }
        let odd = self.odd_etags;
        match self.get(seen.path.trim_matches('/')) {
            Some(file) => {
                let md5 = if odd { "0".repeat(32) } else { hex(&Md5::digest(&file.bytes)) };
                part(&file.bytes.clone(), seen, &md5)
            }
            None => Response::builder().status(404).body("<Error/>".into()).unwrap(),
        }
    }
}

fn missing() -> Reply {
    reply(404, &json!({"code": 5, "message": "file not found"}))
}

fn moment(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(&Rfc3339).unwrap()
}

fn native(file: &Kept) -> Value {
    json!({
        "id": file.id, "folderId": "b1gtest", "name": file.name, "mimeType": file.mime,
        "createdAt": moment(file.created),
        "expirationConfig": {"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": file.ttl_days.to_string()},
        "expiresAt": moment(file.created + Duration::from_secs(file.ttl_days * 86_400)),
        "labels": file.labels,
    })
}

fn open_ai(file: &Kept) -> Value {
    let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    json!({
        "id": file.id, "object": "file", "filename": file.name, "bytes": file.bytes.len(), "purpose": "assistants",
        "created_at": seconds(file.created), "expires_at": seconds(file.created) + file.ttl_days * 86_400,
    })
}

/// The bytes that a request asks for.
fn part(bytes: &[u8], seen: &Seen, etag: &str) -> Reply {
    let span = seen.header("range").strip_prefix("bytes=").and_then(|span| span.split_once('-'));
    let reply = Response::builder().header("etag", format!("\"{etag}\""));
    let Some((first, last)) = span else { return reply.status(200).body(bytes.to_vec().into()).unwrap() };
    let (first, last) = (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap());
    if first >= bytes.len() {
        let range = format!("bytes */{}", bytes.len());
        return reply.status(416).header("content-range", range).body(Body::empty()).unwrap();
    }
    let last = last.min(bytes.len() - 1);
    let range = format!("bytes {first}-{last}/{}", bytes.len());
    reply.status(206).header("content-range", range).body(bytes[first..=last].to_vec().into()).unwrap()
}
