//! The other dialect: sizes, forms, and nothing that can be changed.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn a_file_goes_as_a_form_of_known_length() {
    let fake = Fake::open_ai(|_| Act::Usual).await;
    fake.cloud.mkdir(&path("Папка")).await.unwrap();
    let node = put(&fake, "Папка/Отчёт за май.txt", &bytes(1000)).await.unwrap();
    let sent = fake.seen(Seen::creates).pop().unwrap();
    assert_eq!(sent.path, "/v1/files");
    assert_eq!(sent.header("content-length"), sent.body.len().to_string());
    assert_eq!(sent.field("purpose").as_deref(), Some("assistants"));
    assert_eq!(sent.field("expires_after[anchor]").as_deref(), Some("created_at"));
    assert_eq!(sent.field("expires_after[seconds]").as_deref(), Some("2592000"), "never more than 30 days");
    assert_eq!(fake.names(), ["Папка/Отчёт за май.txt"]);
    assert_eq!(node.expires, Some(node.modified + Duration::from_secs(30 * 86_400)));
    assert_eq!(content(&fake, "Папка/Отчёт за май.txt").await, bytes(1000));
}

#[tokio::test]
async fn every_request_names_the_folder() {
    let fake = Fake::open_ai(|_| Act::Usual).await;
    let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    fake.cloud.remove(&path("a.txt"), &node).await.unwrap();
    for seen in fake.seen(|_| true) {
        assert_eq!((seen.header("openai-project"), seen.header("x-folder-id")), ("b1gtest", "b1gtest"));
        assert_eq!(seen.header("x-data-logging-enabled"), "false");
        assert!(seen.path.starts_with("/v1/files"), "{}", seen.path);
        assert_eq!(seen.header("idempotency-key").is_empty(), seen.method == "GET");
    }
}

#[tokio::test]
async fn sizes_come_with_the_listing() {
    let fake = Fake::open_ai(|_| Act::Usual).await;
    fake.have("a.txt", b"12345");
    fake.have("empty", b"");
    let page = fake.cloud.list(&RemotePath::root(), None).await.unwrap();
    assert_eq!(page.nodes.iter().map(|node| node.size).collect::<Vec<_>>(), [5, 0]);
    let asked = fake.seen(|_| true);
    assert!(asked.iter().all(Seen::lists), "{asked:?}");
    assert_eq!((asked[0].query["order"].as_str(), asked[0].query["limit"].as_str()), ("desc", "10000"));
}

#[tokio::test]
async fn nothing_is_renamed() {
    let fake = Fake::open_ai(|_| Act::Usual).await;
    let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    assert!(!fake.cloud.capability().rename && !fake.cloud.capability().rename_replaces);
    let error = fake.cloud.rename(&path("a.txt"), &node, &path("b.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::CrossDevice);
    fake.cloud.cloud.refresh_due().await.unwrap();
    assert!(fake.seen(|seen| seen.method == "PATCH").is_empty());
}

#[tokio::test]
async fn names_that_no_form_can_carry_are_refused_before_a_byte_is_sent() {
    let fake = Fake::open_ai(|_| Act::Usual).await;
    assert_eq!(fake.cloud.check_name(&path("a\"b.txt")).unwrap_err().kind, Kind::BadName);
    assert_eq!(put(&fake, "a\\b.txt", &bytes(10)).await.unwrap_err().kind, Kind::BadName);
    assert!(fake.seen(|_| true).is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_found_by_what_is_new() {
    let count = AtomicUsize::new(0);
    let fake = Fake::open_ai(move |seen| match seen.creates() && count.fetch_add(1, Ordering::Relaxed) == 0 {
        true => Act::Lost,
        false => Act::Usual,
    })
    .await;
    // The same name and size, and older than the upload.
    fake.have("a.txt", &bytes(100));
    assert!(put(&fake, "a.txt", &bytes(100)).await.unwrap_err().in_doubt());
    match fake.cloud.probe(&spec("a.txt", 100), None).await.unwrap() {
        Progress::Finished(node) => assert_eq!(node.id, "fvt00000000000000002"),
        other => panic!("{other:?}"),
    }
    assert_eq!((fake.names().len(), fake.seen(Seen::creates).len()), (1, 1), "and the old one is gone");
}

#[tokio::test]
async fn an_overwrite_is_one_file_in_the_end() {
    let fake = Fake::open_ai(|_| Act::Usual).await;
    put(&fake, "a.txt", &bytes(100)).await.unwrap();
    put(&fake, "a.txt", &bytes(50)).await.unwrap();
    assert_eq!(fake.names(), ["a.txt"]);
    assert_eq!(content(&fake, "a.txt").await, bytes(50));
}

#[tokio::test]
async fn a_wrong_size_is_noticed() {
    let fake = Fake::open_ai(|seen| match seen.creates() {
        true => {
            let short = json!({"id": "fvt00000000000000001", "bytes": 9, "created_at": 1, "filename": "a.txt"});
            Act::Then(fake::reply(200, &short))
        }
        false => Act::Usual,
    })
    .await;
    assert_eq!(put(&fake, "a.txt", &bytes(10)).await.unwrap_err().kind, Kind::Corrupt);
    assert!(fake.names().is_empty());
}
