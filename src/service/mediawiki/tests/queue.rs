//! The wiki's job queue, worked and not; and chunks that are refused for how they begin.

use std::sync::atomic::{AtomicU32, Ordering};

use super::recover::pass;
use super::*;

/// A file that is large enough for the queue.
const LARGE: usize = 10 << 20;

fn token() -> SessionToken {
    SessionToken { id: "old".into(), state: json!(null) }
}

fn wanted() -> Spec {
    Spec { size: Some(LARGE as u64), sha1: Some(Sha1Digest::of(&bytes(LARGE))), ..spec("a.bin") }
}

fn poll(stage: &str) -> Reply {
    ok(json!({ "upload": { "result": "Poll", "stage": stage, "filekey": "old" } }))
}

/// A wiki without the file and with an empty stash, whose queue says `status` of an upload.
fn with_queue(seen: &Seen, status: impl Fn() -> Reply) -> Reply {
    if seen.has("mystashedfiles") {
        return ok(json!({ "query": { "mystashedfiles": [] } }));
    }
    if seen.has("imageinfo") {
        return ok(
            json!({ "query": { "pages": [{ "title": "File:A.bin", "missing": true, "imagerepository": "" }] } }),
        );
    }
    if seen.body.contains("checkstatus=1") {
        return status();
    }
    // As a field of a form, with a file and without.
    if seen.field("async") == Some("1") || seen.body.contains("async=1") {
        return poll("queued");
    }
    taken(seen, image("A.bin", LARGE))
}

#[tokio::test]
async fn what_is_left_to_the_queue_is_asked_for() {
    let asked = AtomicU32::new(0);
    let fake = Fake::new(move |seen| {
        with_queue(seen, || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => poll("queued"),
            1 => poll("assembling"),
            _ => ok(json!({ "upload": { "result": "Success", "stage": "assembling", "filekey": "new",
                "imageinfo": { "size": LARGE, "sha1": sha1(LARGE) } } })),
        })
    })
    .await;
    let error = fake.wiki.put(&wanted(), &token(), part(LARGE, true)).await.unwrap_err();
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let (session, token) = (wanted(), token());
    let probe = async || fake.wiki.probe(&session, Some((&token, &[]))).await.unwrap();
    assert!(matches!(probe().await, Progress::Unknown));
    assert!(matches!(probe().await, Progress::Unknown));
    let Progress::Holds(held) = probe().await else { panic!("it is assembled") };
    assert_eq!((held[0].range.end, &held[0].state["key"]), (LARGE as u64, &json!("new")));
    // The queue works: the publication is left to it as well.
    let error = fake.wiki.finish(&wanted(), &token, &held).await.unwrap_err();
    let publication = fake.asked().into_iter().rfind(|seen| seen.method == "POST").unwrap();
    assert_eq!((error.retry, publication.body.contains("async=1")), (Retry::AskFirst, true), "{error}");
}

#[tokio::test]
async fn a_queue_that_nobody_works_is_given_up() {
    let fake = Fake::new(|seen| with_queue(seen, || poll("queued"))).await;
    fake.wiki.put(&wanted(), &token(), part(LARGE, true)).await.unwrap_err();
    let (session, token) = (wanted(), token());
    let probe = async || fake.wiki.probe(&session, Some((&token, &[]))).await.unwrap();
    assert!(matches!(probe().await, Progress::Unknown));
    pass(Duration::from_secs(601)).await;
    assert!(matches!(probe().await, Progress::Gone));
    // From now on without the queue.
    fake.wiki.put(&wanted(), &token, part(LARGE, true)).await.unwrap();
}

#[tokio::test]
async fn work_that_has_begun_is_waited_for() {
    let fake = Fake::new(|seen| with_queue(seen, || poll("assembling"))).await;
    fake.wiki.put(&wanted(), &token(), part(LARGE, true)).await.unwrap_err();
    pass(Duration::from_secs(3600)).await;
    let (session, token) = (wanted(), token());
    let progress = fake.wiki.probe(&session, Some((&token, &[]))).await.unwrap();
    assert!(matches!(progress, Progress::Unknown));
}

#[tokio::test]
async fn a_publication_that_the_queue_does_not_begin_is_never_sent_twice() {
    let fake = Fake::new(|seen| with_queue(seen, || poll("queued"))).await;
    let state = json!({ "key": "old", "sha1": sha1(LARGE), "queue": true });
    let held = [Receipt { index: 0, range: 0..LARGE as u64, state }];
    fake.wiki.connect().await.unwrap();
    let _ = fake.wiki.finish(&wanted(), &token(), &held).await.unwrap_err();
    pass(Duration::from_secs(601)).await;
    let error = fake.wiki.probe(&wanted(), Some((&token(), &held))).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Timeout, Retry::Never), "{error}");
}

#[tokio::test]
async fn what_the_queue_refuses_is_refused() {
    let fake = Fake::new(|seen| with_queue(seen, || refuse("stashfailed", "filetype-mime-mismatch", json!({})))).await;
    fake.wiki.put(&wanted(), &token(), part(LARGE, true)).await.unwrap_err();
    let error = fake.wiki.probe(&wanted(), Some((&token(), &[]))).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
}

fn piece(at: u64) -> Part {
    Part { index: 1, payload: Payload::from_bytes(bytes(3000), at), last: false }
}

#[tokio::test]
async fn a_chunk_that_looks_bad_is_begun_elsewhere_some_times() {
    let fake =
        Fake::new(|seen| refuse("stashfailed", "filetype-badmime", json!({ "offset": seen.number("offset") }))).await;
    let mut firsts = vec![fake.wiki.capability().policy.rules().unwrap().first_max];
    for _ in 0..3 {
        let error = fake.wiki.put(&spec("a.bin"), &token(), piece(70_000)).await.unwrap_err();
        assert_eq!(error.kind, Kind::NotFound, "the session is worth nothing: {error}");
        firsts.push(fake.wiki.capability().policy.rules().unwrap().first_max);
    }
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 4, "other boundaries each time");
    let error = fake.wiki.put(&spec("a.bin"), &token(), piece(70_000)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
}

#[tokio::test]
async fn a_refusal_that_names_no_byte_is_about_the_file() {
    let fake = Fake::new(|_| refuse("stashfailed", "filetype-badmime", json!({}))).await;
    let error = fake.wiki.put(&spec("a.bin"), &token(), piece(70_000)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
    // How a file begins cannot be helped.
    let fake = Fake::new(|_| refuse("filetype-badmime", "filetype-badmime", json!({ "offset": 0 }))).await;
    let error = fake.wiki.begin(&spec("a.bin"), Some(part(3000, false))).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
}

#[tokio::test]
async fn a_server_that_lost_its_chunks_cannot_go_on() {
    let fake = Fake::new(|_| refuse("stashfailed", "backend-fail-read", json!({}))).await;
    let error = fake.wiki.put(&spec("a.bin"), &token(), part(3000, true)).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound, "{error}");
}
