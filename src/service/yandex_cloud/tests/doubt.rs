//! Lost answers: what was done is found by looking, and nothing is made twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

/// Does `act` at the first request that matches, and nothing else.
fn once(matches: fn(&Seen) -> bool, act: fn() -> Act) -> impl Fn(&Seen) -> Act + Send + Sync {
    let count = AtomicUsize::new(0);
    move |seen| match matches(seen) && count.fetch_add(1, Ordering::Relaxed) == 0 {
        true => act(),
        false => Act::Usual,
    }
}

fn gateway() -> Act {
    Act::Then(fake::reply(504, &json!({"code": 4, "message": "deadline exceeded"})))
}

async fn settle(fake: &Fake, at: &str, size: usize) -> Node {
    match fake.cloud.probe(&spec(at, size), None).await.unwrap() {
        Progress::Finished(node) => node,
        other => panic!("the file is there, and the service says {other:?}"),
    }
}

#[tokio::test]
async fn a_lost_answer_is_found_by_its_label() {
    for lost in [|| Act::Lost, gateway] {
        let fake = Fake::new(once(Seen::creates, lost)).await;
        let error = put(&fake, "a.txt", &bytes(100)).await.unwrap_err();
        assert!(error.in_doubt(), "{error}");
        fake.have("a.txt", &bytes(100));
        let node = settle(&fake, "a.txt", 100).await;
        assert_eq!(node.id, "fvt00000000000000001", "ours, not the one that looks like it");
        assert_eq!(fake.seen(Seen::creates).len(), 1, "nothing is sent again");
    }
}

#[tokio::test]
async fn a_lost_answer_to_an_overwrite_removes_the_old_version_then() {
    let count = AtomicUsize::new(0);
    let fake = Fake::new(move |seen| match seen.creates() && count.fetch_add(1, Ordering::Relaxed) == 1 {
        true => Act::Lost,
        false => Act::Usual,
    })
    .await;
    put(&fake, "a.txt", &bytes(300)).await.unwrap();
    assert!(put(&fake, "a.txt", &bytes(200)).await.unwrap_err().in_doubt());
    assert_eq!(fake.names(), ["a.txt", "a.txt"]);
    let node = settle(&fake, "a.txt", 200).await;
    assert_eq!(fake.names(), ["a.txt"]);
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap(), node);
}

#[tokio::test]
async fn a_request_that_never_arrived_is_known_after_a_while() {
    let fake = Fake::new(once(Seen::creates, || Act::Cut)).await;
    assert!(put(&fake, "a.txt", &bytes(100)).await.unwrap_err().in_doubt());
    let progress = fake.cloud.probe(&spec("a.txt", 100), None).await.unwrap();
    assert!(matches!(progress, Progress::Unknown), "it may still be in the making: {progress:?}");
    fake.cloud.cloud.doubts.settled("a.txt");
    let progress = fake.cloud.probe(&spec("a.txt", 100), None).await.unwrap();
    assert!(matches!(progress, Progress::Gone), "{progress:?}");
    put(&fake, "a.txt", &bytes(100)).await.unwrap();
    assert_eq!(fake.names(), ["a.txt"]);
}

#[tokio::test]
async fn what_a_given_up_attempt_makes_after_all_is_removed() {
    let fake = Fake::new(once(Seen::creates, || Act::Cut)).await;
    assert!(put(&fake, "a.txt", &bytes(100)).await.unwrap_err().in_doubt());
    let lost = fake.seen(Seen::creates)[0].json();
    // It turns up between the second attempt and the look after it.
    fake.state().add("a.txt", &bytes(100), lost["labels"].clone());
    let node = put(&fake, "a.txt", &bytes(50)).await.unwrap();
    assert_eq!(fake.names(), ["a.txt"]);
    assert_eq!(fake.state().files[0].id, node.id);
    // And long after, when somebody looks into the folder.
    fake.state().add("a.txt", &bytes(100), lost["labels"].clone());
    fake.cloud.cloud.catalog.doubt();
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap(), node, "the newest is not the one that is wanted");
    assert_eq!(fake.names(), ["a.txt"]);
}

#[tokio::test]
async fn nothing_that_was_not_sent_is_found() {
    let fake = Fake::plain().await;
    // Another process may have sent it a moment ago.
    assert!(matches!(fake.cloud.probe(&spec("a.txt", 9), None).await.unwrap(), Progress::Unknown));
    let node = put(&fake, "a.txt", &bytes(9)).await.unwrap();
    assert_eq!(settle(&fake, "a.txt", 9).await, node);
    fake.cloud.remove(&path("a.txt"), &node).await.unwrap();
    assert!(matches!(fake.cloud.probe(&spec("a.txt", 9), None).await.unwrap(), Progress::Gone));
}

#[tokio::test]
async fn a_look_at_the_new_file_that_fails_is_a_doubt_and_no_loss() {
    for matches in [|seen: &Seen| seen.path.ends_with(":getUrl"), |seen: &Seen| seen.is_storage] {
        let act = || Act::Instead(fake::reply(503, &json!({"code": 14, "message": "later"})));
        let fake = Fake::new(once(matches, act)).await;
        assert!(put(&fake, "a.txt", &bytes(100)).await.unwrap_err().in_doubt());
        let node = settle(&fake, "a.txt", 100).await;
        assert_eq!((node.size, fake.seen(Seen::creates).len()), (100, 1));
        assert_eq!(fake.names(), ["a.txt"]);
    }
}

/// A key that is not taken any more says nothing of the file that was made with it: it could not even be removed again.
#[tokio::test]
async fn a_key_that_is_refused_after_the_file_was_made_leaves_a_doubt_and_no_second_file() {
    let (created, is_refused) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let refuses = is_refused.clone();
    let fake = Fake::new(move |seen| {
        if seen.creates() {
            refuses.store(created.fetch_add(1, Ordering::Relaxed) == 1, Ordering::Relaxed);
        } else if refuses.load(Ordering::Relaxed) && !seen.is_storage {
            return fake::refuse(401, 16, "The token is invalid");
        }
        Act::Usual
    })
    .await;
    put(&fake, "a.txt", &bytes(300)).await.unwrap();
    let error = put(&fake, "a.txt", &bytes(200)).await.unwrap_err();
    assert!(error.kind == Kind::SignedOut && error.in_doubt(), "{error}");
    assert_eq!(fake.names(), ["a.txt", "a.txt"]);
    is_refused.store(false, Ordering::Relaxed);
    let node = settle(&fake, "a.txt", 200).await;
    assert_eq!((fake.names(), fake.seen(Seen::creates).len()), (vec!["a.txt".to_owned()], 2));
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap(), node);
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_has_happened() {
    for lost in [|| Act::Lost, gateway, || Act::Cut] {
        let fake = Fake::new(once(|seen| seen.method == "DELETE", lost)).await;
        let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
        fake.cloud.remove(&path("a.txt"), &node).await.unwrap();
        assert!(fake.names().is_empty());
        assert_eq!(fake.cloud.remove(&path("a.txt"), &node).await.unwrap_err().kind, Kind::NotFound);
    }
}

#[tokio::test]
async fn a_rename_whose_answer_is_lost_has_happened_once() {
    for lost in [|| Act::Lost, gateway, || Act::Cut] {
        let fake = Fake::new(once(|seen| seen.method == "PATCH", lost)).await;
        let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
        let renamed = fake.cloud.rename(&path("a.txt"), &node, &path("b.txt")).await.unwrap();
        assert_eq!((renamed.name.as_str(), renamed.id), ("b.txt", node.id));
        assert_eq!(fake.names(), ["b.txt"]);
    }
}

#[tokio::test]
async fn half_a_request_makes_nothing_and_may_be_sent_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let got = stream.read(&mut head).await.unwrap();
            if head[..got].starts_with(b"GET") {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            // Whatever comes after the head of an upload is not read.
        }
    });
    let cloud = YandexCloud::new(fake::config(&url)).unwrap();
    let content = bytes(8 << 20);
    let error = cloud.put_whole(&spec("a.bin", content.len()), Payload::from_bytes(content, 0)).await.unwrap_err();
    assert_eq!(error.retry, Retry::After(Duration::ZERO), "{error}");
}
