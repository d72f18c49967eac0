//! The client against a scripted wiki: what a real server cannot be made to say, and what is on the wire.

mod account;
mod files;
mod queue;
mod recover;
mod upload;

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::error::Retry;
use crate::service::Sha1Digest;

/// A request as the wiki saw it.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    path: String,
    query: String,
    body: String,
    range: Option<String>,
    if_range: Option<String>,
    authorization: Option<String>,
    len: u64,
}

impl Seen {
    /// A field of a multipart body.
    fn field(&self, name: &str) -> Option<&str> {
        let (_, after) = self.body.split_once(&format!("name=\"{name}\""))?;
        Some(after.split_once("\r\n\r\n")?.1.split_once("\r\n--")?.0)
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).unwrap().parse().unwrap()
    }

    fn has(&self, text: &str) -> bool {
        self.query.contains(text)
    }
}

type Reply = Response<Body>;
/// What a file server says to a download.
type Download = fn(&Seen) -> Reply;

fn reply(status: u16, kind: &str, body: impl Into<Body>) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

fn ok(value: Value) -> Reply {
    reply(200, "application/json", value.to_string())
}

fn refuse(code: &str, key: &str, data: Value) -> Reply {
    ok(json!({ "errors": [{ "code": code, "key": key, "params": [], "data": data }] }))
}

/// A wiki that signs everybody in and leaves the rest to `script`.
struct Fake {
    wiki: MediaWiki,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    async fn new(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Fake {
        Fake::configured(config, script).await
    }

    /// With another configuration of the client.
    async fn configured(
        configure: impl Fn(&str) -> MediaWikiConfig,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Fake {
        Fake::all(configure, move |seen| sign_in(seen).unwrap_or_else(|| script(seen))).await
    }

    /// One that leaves even signing in to the script.
    async fn all(
        configure: impl Fn(&str) -> MediaWikiConfig,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Fake {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, script) = (seen.clone(), Arc::new(script));
        let app = Router::new().fallback(move |request: Request| {
            let (log, script) = (log.clone(), script.clone());
            async move {
                let seen = look(request).await;
                log.lock().unwrap().push(seen.clone());
                script(&seen)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/w/api.php", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Fake { wiki: MediaWiki::new(configure(&url)).unwrap(), seen }
    }

    /// What was asked, but for signing in.
    fn asked(&self) -> Vec<Seen> {
        let sign_in = |seen: &&Seen| seen.has("meta=tokens") || seen.has("action=login");
        self.seen.lock().unwrap().iter().filter(|seen| !sign_in(seen)).cloned().collect()
    }
}

fn config(url: &str) -> MediaWikiConfig {
    MediaWikiConfig {
        url: url.into(),
        user: "Admin@fuse".into(),
        password: Some("geheim".to_owned().into()),
        token: None,
        ca_file: None,
        proxy: None,
        comment: "why".into(),
        text: None,
        tags: Vec::new(),
        maxlag: None,
    }
}

async fn look(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    Seen {
        method: head.method.to_string(),
        path: head.uri.path().into(),
        query: head.uri.query().unwrap_or("").into(),
        body: String::from_utf8_lossy(&body).into_owned(),
        range: header("range"),
        if_range: header("if-range"),
        authorization: header("authorization"),
        len: body.len() as u64,
    }
}

fn sign_in(seen: &Seen) -> Option<Reply> {
    if seen.has("action=login") {
        return Some(ok(json!({ "login": { "result": "Success" } })));
    }
    if seen.has("type=login") {
        return Some(ok(json!({ "query": { "tokens": { "logintoken": "t+\\" } } })));
    }
    seen.has("userinfo").then(|| {
        ok(json!({ "query": {
            "tokens": { "csrftoken": "csrf+\\" },
            "userinfo": { "name": "Admin", "rights": ["upload"], "ratelimits": { "upload": { "user": { "hits": 2, "seconds": 90 } } } },
            "general": { "case": "first-letter", "uploadsenabled": true, "maxuploadsize": 1_u64 << 40, "minuploadchunksize": 1024 },
            "fileextensions": [{ "ext": "bin" }],
        } }))
    })
}

fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

fn spec(name: &str) -> Spec {
    Spec { path: path(name), size: None, sha1: None, replaces: None }
}

fn bytes(len: usize) -> Bytes {
    vec![b'x'; len].into()
}

fn part(len: usize, last: bool) -> Part {
    Part { index: 0, payload: Payload::from_bytes(bytes(len), 0), last }
}

fn sha1(len: usize) -> String {
    Sha1Digest::of(&bytes(len)).to_string()
}

/// Takes every chunk as a wiki does, and a last one as whatever `image` says.
fn taken(seen: &Seen, image: Value) -> Reply {
    let (offset, len) = (seen.number("offset"), seen.field("chunk").unwrap().len() as u64);
    if offset + len == seen.number("filesize") {
        return ok(json!({ "upload": { "result": "Success", "filekey": "new", "imageinfo": image } }));
    }
    ok(json!({ "upload": { "result": "Continue", "offset": offset + len, "filekey": "old" } }))
}

fn image(name: &str, size: usize) -> Value {
    json!({ "size": size, "sha1": sha1(size), "url": format!("/images/{name}"), "timestamp": "2026-11-20T05:02:06Z",
        "canonicaltitle": format!("File:{name}") })
}
