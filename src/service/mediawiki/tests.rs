//! The client against a scripted wiki: what a real server cannot be made to say, and what is on the wire.

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
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, script) = (seen.clone(), Arc::new(script));
        let app = Router::new().fallback(move |request: Request| {
            let (log, script) = (log.clone(), script.clone());
            async move {
                let seen = look(request).await;
                log.lock().unwrap().push(seen.clone());
                sign_in(&seen).unwrap_or_else(|| script(&seen))
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/w/api.php", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Fake { wiki: MediaWiki::new(config(&url)).unwrap(), seen }
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

#[tokio::test]
async fn what_decides_is_in_the_url_and_what_is_secret_in_the_body() {
    let fake = Fake::new(|seen| taken(seen, image("A.bin", 3000))).await;
    fake.wiki.begin(&spec("a b.bin"), Some(part(3000, true))).await.unwrap();
    let asked = fake.asked();
    let post = &asked[0];
    assert_eq!((asked.len(), post.method.as_str()), (1, "POST"));
    assert_eq!(post.query, "action=upload&format=json&formatversion=2&errorformat=raw");
    for (field, value) in [
        ("token", "csrf+\\"),
        ("assertuser", "Admin"),
        ("stash", "1"),
        ("ignorewarnings", "1"),
        ("offset", "0"),
        ("filesize", "3000"),
        ("filename", "A_b.bin"),
    ] {
        assert_eq!(post.field(field), Some(value), "{field}");
    }
    assert!(post.body.contains("name=\"chunk\"; filename=\"content\""));
    for seen in fake.seen.lock().unwrap().iter() {
        assert!(!seen.query.contains("geheim") && !seen.query.contains("csrf%2B"), "{seen:?}");
    }
}

/// Sends a 3-MiB part to a wiki that refuses bodies above `limit` in its own way.
async fn against_a_limit(limit: u64, refusal: fn() -> Reply) -> (Result<Begun>, Vec<Seen>, u64) {
    let fake = Fake::new(move |seen| if seen.len > limit { refusal() } else { taken(seen, json!(null)) }).await;
    let begun = fake.wiki.begin(&spec("a.bin"), Some(part(3 << 20, false))).await;
    let taken = fake.asked().into_iter().filter(|seen| seen.len <= limit).collect();
    (begun, taken, fake.wiki.capability().whole_max)
}

#[tokio::test]
async fn every_way_to_refuse_a_large_body_leads_to_smaller_ones() {
    let ways: [fn() -> Reply; 4] = [
        || reply(413, "text/html", "<html>too large"),
        || reply(200, "text/html", "<html>help page"),
        || ok(json!({ "errors": [{ "code": "missingparam", "key": "k", "params": [{ "plaintext": "token" }] }] })),
        || refuse("badupload", "paramvalidator-badupload-inisize", json!({ "code": "inisize", "size": "900000" })),
    ];
    for (way, refusal) in ways.into_iter().enumerate() {
        let (begun, taken, learned) = against_a_limit(1 << 20, refusal).await;
        let begun = begun.unwrap();
        assert_eq!((begun.token.id.as_str(), begun.receipt.unwrap().range), ("old", 0..3 << 20), "{way}");
        assert_eq!(learned, if way == 3 { 900_000 } else { (1 << 20) - (8 << 10) });
        let mut at = 0;
        for seen in taken {
            let len = seen.field("chunk").unwrap().len() as u64;
            assert_eq!((seen.number("offset"), seen.number("filesize")), (at, at + len + 1), "{way}");
            assert_eq!(seen.field("filekey"), (at > 0).then_some("old"));
            at += len;
        }
        assert_eq!(at, 3 << 20);
    }
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_not_asked_for_ever() {
    let (begun, taken, _) = against_a_limit(0, || reply(413, "text/html", "no")).await;
    let error = begun.unwrap_err();
    assert_eq!((error.kind, error.retry, taken.len()), (Kind::TooLarge, Retry::Never, 0));
}

#[tokio::test]
async fn an_assembled_file_that_is_another_one_is_not_published() {
    for wrong in [
        json!({ "size": 2999, "sha1": sha1(3000), "url": "u" }),
        json!({ "size": 3000, "sha1": sha1(2999), "url": "u" }),
        json!({ "sha1": sha1(3000), "url": "u" }),
    ] {
        let fake = Fake::new(move |seen| taken(seen, wrong.clone())).await;
        let error = fake.wiki.begin(&spec("a.bin"), Some(part(3000, true))).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (Kind::Corrupt, Retry::Never));
    }
}

#[tokio::test]
async fn answers_that_cannot_be_are_errors_and_never_success() {
    for (answer, kind, retry) in [
        (json!({ "upload": { "result": "Continue", "offset": 5, "filekey": "k" } }), Kind::Server, Retry::AskFirst),
        (json!({ "upload": { "result": "Continue", "filekey": "k" } }), Kind::Protocol, Retry::Never),
        (json!({ "upload": { "result": "Warning", "warnings": {}, "filekey": "k" } }), Kind::Protocol, Retry::Never),
        (json!({ "upload": { "result": "Poll", "filekey": "k" } }), Kind::Protocol, Retry::AskFirst),
        (json!({ "upload": { "result": "Success", "filekey": "k" } }), Kind::Protocol, Retry::Never),
        (json!({}), Kind::Protocol, Retry::AskFirst),
        (json!([]), Kind::Protocol, Retry::AskFirst),
        (
            json!({ "error": { "code": "readonly", "info": "no" } }),
            Kind::ReadOnly,
            Retry::After(Duration::from_secs(30)),
        ),
    ] {
        let fake = Fake::new(move |_| ok(answer.clone())).await;
        let error = fake.wiki.begin(&spec("a.bin"), Some(part(3000, false))).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (kind, retry), "{error}");
    }
}

#[tokio::test]
async fn the_error_header_alone_makes_a_refusal() {
    let fake = Fake::new(|_| {
        let mut reply = ok(json!({ "upload": { "result": "Success" } }));
        reply.headers_mut().insert("mediawiki-api-error", "uploaddisabled".parse().unwrap());
        reply
    })
    .await;
    assert_eq!(fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err().kind, Kind::ReadOnly);
}

#[tokio::test]
async fn statuses_of_gateways() {
    for (status, kind, retry) in [
        (504, Kind::Timeout, Retry::AskFirst),
        (502, Kind::Timeout, Retry::AskFirst),
        (500, Kind::Server, Retry::AskFirst),
        (429, Kind::Throttled, Retry::After(Duration::from_secs(5))),
        (403, Kind::Denied, Retry::Never),
        (302, Kind::Protocol, Retry::Never),
    ] {
        let fake = Fake::new(move |_| reply(status, "text/html", "<html>")).await;
        let error = fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (kind, retry), "{status}: {error}");
        let error = fake.wiki.list(&RemotePath::root(), None).await.unwrap_err();
        assert_ne!(error.retry, Retry::AskFirst, "{status}: a question may be asked again");
    }
}

#[tokio::test]
async fn a_name_the_wiki_would_change_never_leaves() {
    let fake = Fake::new(|_| panic!("nothing is asked")).await;
    for name in ["a#b.bin", "a  b.bin", "a.txt", "a.exe", "folder/a.bin"] {
        fake.wiki.put_whole(&spec(name), part(9, true).payload).await.unwrap_err();
        fake.wiki.begin(&spec(name), Some(part(9, true))).await.unwrap_err();
        let token = SessionToken { id: "old".into(), state: json!(null) };
        let receipt = Receipt { index: 0, range: 0..9, state: json!({ "key": "new" }) };
        fake.wiki.finish(&spec(name), &token, &[receipt]).await.unwrap_err();
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_name_that_was_changed_is_not_a_success() {
    let answer = |name: &'static str| {
        move |_: &Seen| ok(json!({ "upload": { "result": "Success", "filename": name, "imageinfo": image(name, 9) } }))
    };
    let fake = Fake::new(answer("A-b.bin")).await;
    let error = fake.wiki.put_whole(&spec("a_b.bin"), part(9, true).payload).await.unwrap_err();
    assert_eq!(error.kind, Kind::BadName);
    assert!(error.to_string().contains("A-b.bin"), "{error}");
    let fake = Fake::new(answer("A_b.bin")).await;
    let node = fake.wiki.put_whole(&spec("a b.bin"), part(9, true).payload).await.unwrap();
    assert_eq!((node.name.as_str(), node.size), ("A_b.bin", 9));
}

#[tokio::test]
async fn a_part_the_server_has_already_is_skipped_to_what_it_wants() {
    for (wanted, expected) in [(1000, Some(vec![0, 1000])), (3000, Some(vec![0])), (4000, None)] {
        let fake = Fake::new(move |seen| match seen.number("offset") {
            0 => refuse("stashfailed", "invalid-chunk-offset", json!({ "offset": wanted.to_string() })),
            _ => taken(seen, json!(null)),
        })
        .await;
        let token = SessionToken { id: "old".into(), state: json!(null) };
        let put = fake.wiki.put(&spec("a.bin"), &token, part(3000, false)).await;
        match expected {
            Some(offsets) => {
                assert_eq!(put.unwrap().range, 0..3000);
                assert_eq!(fake.asked().iter().map(|seen| seen.number("offset")).collect::<Vec<_>>(), offsets);
            }
            None => assert_eq!(put.unwrap_err().retry, Retry::AskFirst),
        }
    }
}

#[tokio::test]
async fn a_used_up_quota_tells_its_window() {
    let fake = Fake::new(|_| refuse("ratelimited", "apierror-ratelimited", json!({}))).await;
    let error = fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Quota, Retry::After(Duration::from_secs(90))));
}

#[tokio::test]
async fn a_session_the_wiki_never_keeps_is_given_up() {
    let fake = Fake::new(|_| refuse("badtoken", "apierror-badtoken", json!({}))).await;
    let error = fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err();
    assert_eq!((error.kind, fake.asked().len()), (Kind::SignedOut, 3));
}

#[tokio::test]
async fn a_listing_goes_on_where_it_stopped_and_shows_only_what_can_be_opened() {
    let fake = Fake::new(|seen| {
        if !seen.has("aicontinue") {
            let names = ["A.bin", "..", "", "a/b", "c\nd", "."].map(|name| image(name, 1).as_object().unwrap().clone());
            let mut images: Vec<Value> = names.into_iter().map(Value::Object).collect();
            for (image, name) in images.iter_mut().zip(["A.bin", "..", "", "a/b", "c\nd", "."]) {
                image["name"] = json!(name);
            }
            images.push(json!({ "name": "No_size.bin", "url": "u" }));
            return ok(json!({ "continue": { "aicontinue": "B.bin" }, "query": { "allimages": images } }));
        }
        ok(json!({ "continue": { "aicontinue": "B.bin" }, "query": { "allimages": [] } }))
    })
    .await;
    let root = RemotePath::root();
    let page = fake.wiki.list(&root, None).await.unwrap();
    assert_eq!(page.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["A.bin"]);
    let error = fake.wiki.list(&root, page.next.as_deref()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol, "a listing in circles");
}

#[tokio::test]
async fn files_of_other_wikis_and_redirects_are_not_there() {
    let page = |repository: &'static str, canonical: &'static str| {
        move |_: &Seen| {
            let image = json!({ "size": 1, "url": "u", "canonicaltitle": canonical });
            ok(
                json!({ "query": { "pages": [{ "title": "Datei:A b.bin", "imagerepository": repository, "imageinfo": [image] }] } }),
            )
        }
    };
    let stat = async |script| Fake::new(script).await.wiki.stat(&path("a_b.bin")).await.map(|node| node.name);
    assert_eq!(stat(page("local", "Datei:A b.bin")).await.unwrap(), "A_b.bin");
    assert_eq!(stat(page("shared", "Datei:A b.bin")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(stat(page("local", "Datei:C.bin")).await.unwrap_err().kind, Kind::NotFound);
}

/// Reads bytes 2 to 5 of a file of 10 bytes from a server that answers with `file`.
async fn read(file: Download) -> (Result<Bytes>, Vec<Seen>) {
    let fake = Fake::new(move |seen| match seen.path.as_str() {
        "/w/api.php" => ok(json!({ "query": { "pages": [{ "title": "File:A.bin", "imagerepository": "local",
            "imageinfo": [image("A.bin", 10)] }] } })),
        _ => file(seen),
    })
    .await;
    let node = fake.wiki.stat(&path("a.bin")).await.unwrap();
    let first = fake.wiki.read(&path("a.bin"), &node, 2..6).await;
    if first.is_ok() {
        assert_eq!(fake.wiki.read(&path("a.bin"), &node, 2..6).await.unwrap(), first.clone().unwrap());
    }
    let downloads = fake.asked().into_iter().filter(|seen| seen.path != "/w/api.php").collect();
    (first, downloads)
}

fn partial(range: &str, body: &'static str) -> Reply {
    let mut reply = reply(206, "application/octet-stream", body);
    reply.headers_mut().insert("content-range", format!("bytes {range}").parse().unwrap());
    reply.headers_mut().insert("etag", "\"v1\"".parse().unwrap());
    reply
}

#[tokio::test]
async fn a_read_is_exactly_what_was_asked_for() {
    let (got, downloads) = read(|_| partial("2-5/10", "2345")).await;
    assert_eq!(got.unwrap(), "2345");
    assert_eq!(downloads[0].range.as_deref(), Some("bytes=2-5"));
    assert_eq!((downloads[0].if_range.as_deref(), downloads[1].if_range.as_deref()), (None, Some("\"v1\"")));
    let (got, _) = read(|_| reply(200, "application/octet-stream", "0123456789")).await;
    assert_eq!(got.unwrap(), "2345", "a server that knows no ranges");
    let wrong: [(Download, Kind); 7] = [
        (|_| partial("2-5/11", "2345"), Kind::Conflict),
        (|_| partial("3-6/10", "3456"), Kind::Corrupt),
        (|_| partial("2-5/10", "234"), Kind::Corrupt),
        (|_| partial("2-5/10", "23456"), Kind::Corrupt),
        (|_| reply(200, "application/octet-stream", "012"), Kind::Conflict),
        (|_| reply(200, "text/html", "<html>sign in"), Kind::Protocol),
        (|_| reply(404, "text/html", "gone"), Kind::NotFound),
    ];
    for (number, (file, kind)) in wrong.into_iter().enumerate() {
        assert_eq!(read(file).await.0.unwrap_err().kind, kind, "{number}");
    }
}

#[tokio::test]
async fn bytes_are_fetched_from_the_wiki_only() {
    static CANARY: OnceLock<String> = OnceLock::new();
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    CANARY.set(canary.local_addr().unwrap().to_string()).unwrap();
    let fake = Fake::new(|_| panic!("nothing is asked")).await;
    fake.wiki.connect().await.unwrap();
    let urls =
        [format!("http://{}/x", CANARY.get().unwrap()), "file:///etc/passwd".into(), "https://good@evil/".into()];
    for url in urls {
        let node = Node {
            id: url.clone(),
            ..serde_json::from_value::<answers::Image>(image("A.bin", 10)).unwrap().node("A.bin".into()).unwrap()
        };
        let error = fake.wiki.read(&path("a.bin"), &node, 0..5).await.unwrap_err();
        assert_eq!(error.kind, Kind::Protocol, "{url}");
    }
    assert!(fake.asked().is_empty());
    assert!(tokio::time::timeout(Duration::from_millis(1), canary.accept()).await.is_err());
}

/// Lets so much time pass at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn wanted(len: usize) -> Spec {
    Spec { size: Some(len as u64), sha1: Some(Sha1Digest::of(&bytes(len))), ..spec("a.bin") }
}

/// A wiki without the file, with `stash` in the stash.
fn without_file(seen: &Seen, stash: &Value) -> Reply {
    if seen.has("mystashedfiles") {
        return ok(json!({ "query": { "mystashedfiles": stash } }));
    }
    if seen.has("imageinfo") && !seen.has("stashimageinfo") {
        return ok(
            json!({ "query": { "pages": [{ "title": "File:A.bin", "missing": true, "imagerepository": "" }] } }),
        );
    }
    if seen.has("stashimageinfo") {
        let size = if seen.has("siifilekey=right") { 3000 } else { 1 };
        return ok(json!({ "query": { "stashimageinfo": [{ "size": 3000, "sha1": sha1(size) }] } }));
    }
    ok(json!({ "upload": { "result": "Continue", "stage": "uploading", "offset": 2000 } }))
}

#[tokio::test]
async fn a_last_chunk_in_doubt_is_waited_for_and_then_sent_again() {
    let stash = json!([{ "filekey": "old", "status": "chunks", "size": 2000 }]);
    let fake = Fake::new(move |seen| without_file(seen, &stash)).await;
    let token = SessionToken { id: "old".into(), state: json!(null) };
    let probe = async || fake.wiki.probe(&wanted(3000), Some((&token, &[]))).await.unwrap();
    assert!(matches!(probe().await, Progress::Unknown));
    pass(Duration::from_secs(9)).await;
    assert!(matches!(probe().await, Progress::Unknown));
    pass(Duration::from_secs(2)).await;
    assert!(matches!(probe().await, Progress::Holds(held) if held[0].range == (0..2000)));
}

#[tokio::test]
async fn an_assembled_file_is_known_by_its_content() {
    let stash = json!([
        { "filekey": "right", "status": "finished", "size": 3000 },
        { "filekey": "wrong", "status": "finished", "size": 3000 },
        { "filekey": "other", "status": "finished", "size": 5 },
    ]);
    let fake = Fake::new(move |seen| without_file(seen, &stash)).await;
    let token = SessionToken { id: "old".into(), state: json!(null) };
    let Progress::Holds(held) = fake.wiki.probe(&wanted(3000), Some((&token, &[]))).await.unwrap() else { panic!() };
    assert_eq!((held[0].range.clone(), &held[0].state["key"]), (0..3000, &json!("right")));
    let hashed = fake.asked().iter().filter(|seen| seen.has("stashimageinfo")).count();
    assert_eq!(hashed, 2, "the server hashes only what has the right size, the newest first");
}

#[tokio::test]
async fn what_is_nowhere_is_gone_after_a_while() {
    let fake = Fake::new(|seen| without_file(seen, &json!([]))).await;
    let token = SessionToken { id: "old".into(), state: json!(null) };
    let receipt = Receipt { index: 0, range: 0..3000, state: json!({ "key": "new", "sha1": sha1(3000) }) };
    for receipts in [vec![], vec![receipt]] {
        let probe = async || fake.wiki.probe(&wanted(3000), Some((&token, &receipts))).await.unwrap();
        assert!(matches!(probe().await, Progress::Unknown));
        pass(Duration::from_secs(11)).await;
        assert!(matches!(probe().await, Progress::Gone));
    }
}

#[tokio::test]
async fn a_direct_upload_in_doubt_is_waited_for_only_by_those_who_remember() {
    let fake = Fake::new(|seen| match seen.method.as_str() {
        "POST" => reply(504, "text/html", "<html>"),
        _ => without_file(seen, &json!([])),
    })
    .await;
    let probe = async || fake.wiki.probe(&wanted(3000), None).await.unwrap();
    assert!(matches!(probe().await, Progress::Gone), "another process may send it again");
    let error = fake.wiki.put_whole(&wanted(3000), part(3000, true).payload).await.unwrap_err();
    assert_eq!(error.retry, Retry::AskFirst);
    assert!(matches!(probe().await, Progress::Unknown));
    pass(Duration::from_secs(11)).await;
    assert!(matches!(probe().await, Progress::Gone));
}

#[tokio::test]
async fn a_publication_in_doubt_is_not_repeated_while_it_may_run() {
    let stash = json!([{ "filekey": "new", "status": "finished", "size": 3000 }]);
    let fake = Fake::new(move |seen| match seen.method.as_str() {
        "POST" => reply(504, "text/html", "<html>"),
        _ => without_file(seen, &stash),
    })
    .await;
    let token = SessionToken { id: "old".into(), state: json!(null) };
    let receipts = [Receipt { index: 0, range: 0..3000, state: json!({ "key": "new", "sha1": sha1(3000) }) }];
    let probe = async || fake.wiki.probe(&wanted(3000), Some((&token, &receipts))).await.unwrap();
    assert!(matches!(probe().await, Progress::Holds(_)), "nothing was published yet");
    fake.wiki.finish(&wanted(3000), &token, &receipts).await.unwrap_err();
    assert!(matches!(probe().await, Progress::Unknown));
    pass(Duration::from_secs(11)).await;
    assert!(matches!(probe().await, Progress::Holds(held) if held == receipts));
}

#[test]
fn a_configuration_without_credentials_is_refused() {
    let without = MediaWikiConfig { password: None, ..config("https://wiki.example.org/w/api.php") };
    assert_eq!(MediaWiki::new(without).err().unwrap().kind, Kind::Invalid);
    let nobody = MediaWikiConfig { user: String::new(), ..config("https://wiki.example.org/w/api.php") };
    assert_eq!(MediaWiki::new(nobody).err().unwrap().kind, Kind::Invalid);
}
