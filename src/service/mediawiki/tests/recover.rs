//! What a probe says, over time.

use super::*;

/// Lets so much time pass at once.
pub(super) async fn pass(time: Duration) {
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
