//! Reading through addresses that are proofs by themselves.

use super::*;

#[tokio::test]
async fn ranges_are_exact_and_the_address_is_asked_for_once() {
    let fake = Fake::plain().await;
    let content = bytes(10_000);
    let node = put(&fake, "a.txt", &content).await.unwrap();
    for range in [0..1, 0..10_000, 4_095..4_097, 9_999..10_000, 5_000..5_000] {
        let part = content.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        assert_eq!(fake.cloud.read(&path("a.txt"), &node, range.clone()).await.unwrap(), part, "{range:?}");
    }
    assert_eq!(fake.cloud.read(&path("a.txt"), &node, 9_999..10_001).await.unwrap_err().kind, Kind::Invalid);
    assert_eq!(fake.seen(|seen| seen.path.ends_with(":getUrl")).len(), 1);
}

#[tokio::test]
async fn an_address_that_has_expired_is_asked_for_again_once() {
    let fake = Fake::plain().await;
    fake.have("a.txt", b"12345");
    fake.state().stale_links = 1;
    assert_eq!(content(&fake, "a.txt").await, "12345");
    assert_eq!(fake.seen(|seen| seen.path.ends_with(":getUrl")).len(), 2);

    let fake = Fake::plain().await;
    fake.have("a.txt", b"12345");
    fake.state().stale_links = 100;
    let error = fake.cloud.stat(&path("a.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied);
    assert_eq!(fake.seen(|seen| seen.path.ends_with(":getUrl")).len(), 2, "no more than that");
    assert!(!error.to_string().contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_know_the_call_is_no_missing_file() {
    let fake = Fake::new(|seen| match seen.path.ends_with(":getUrl") {
        true => refuse(404, 5, "Not Found"),
        false => Act::Usual,
    })
    .await;
    let id = fake.have("a.txt", b"12345");
    let error = fake.cloud.stat(&path("a.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    assert!(error.to_string().contains("rest-assistant"), "{error}");
    fake.state().files.retain(|file| file.id != id);
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_storage_that_knows_no_ranges_is_read_all_the_same() {
    let fake = Fake::new(|seen| match seen.is_storage {
        true => Act::Instead(axum::http::Response::builder().body("0123456789".into()).unwrap()),
        false => Act::Usual,
    })
    .await;
    fake.have("a.txt", b"0123456789");
    let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
    assert_eq!(node.size, 10);
    let before = fake.seen(|seen| seen.is_storage).len();
    for (range, part) in [(3..6, "345"), (6..7, "6"), (8..10, "89"), (0..2, "01"), (2..10, "23456789")] {
        assert_eq!(fake.cloud.read(&path("a.txt"), &node, range).await.unwrap(), part);
    }
    assert_eq!(fake.seen(|seen| seen.is_storage).len() - before, 2, "a reader that goes on needs no new answer");
}

#[tokio::test]
async fn a_wrong_label_is_found_out_by_reading() {
    let fake = Fake::plain().await;
    fake.state().add("a.txt", b"0123456789", json!({"uploadfs_size": "7"}));
    let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
    assert_eq!(node.size, 7);
    assert_eq!(fake.cloud.read(&path("a.txt"), &node, 0..7).await.unwrap_err().kind, Kind::Conflict);
    let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
    assert_eq!(node.size, 10);
    assert_eq!(fake.cloud.read(&path("a.txt"), &node, 0..10).await.unwrap(), "0123456789");

    fake.state().add("b.txt", b"012", json!({"uploadfs_size": "7"}));
    fake.cloud.cloud.catalog.doubt();
    let node = fake.cloud.stat(&path("b.txt")).await.unwrap();
    assert_eq!(fake.cloud.read(&path("b.txt"), &node, 5..7).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(fake.cloud.stat(&path("b.txt")).await.unwrap().size, 3);
}

#[tokio::test]
async fn a_file_that_was_replaced_or_removed_meanwhile_says_so() {
    let fake = Fake::plain().await;
    let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    fake.state().files.clear();
    fake.have("a.txt", b"another");
    assert_eq!(fake.cloud.read(&path("a.txt"), &node, 0..5).await.unwrap_err().kind, Kind::Conflict);
    fake.state().files.clear();
    assert_eq!(fake.cloud.read(&path("a.txt"), &node, 0..5).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn more_or_other_bytes_are_no_content() {
    for (range, body) in [("bytes 0-4/10", "0123456789"), ("bytes 1-5/10", "12345"), ("nonsense", "01234")] {
        let fake = Fake::new(move |seen| match seen.is_storage && seen.header("range") == "bytes=0-4" {
            true => {
                let answer = axum::http::Response::builder().status(206).header("content-range", range);
                Act::Instead(answer.body(body.into()).unwrap())
            }
            false => Act::Usual,
        })
        .await;
        fake.have("a.txt", b"0123456789");
        let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
        let error = fake.cloud.read(&path("a.txt"), &node, 0..5).await.unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt, "{range}: {error}");
    }
}
