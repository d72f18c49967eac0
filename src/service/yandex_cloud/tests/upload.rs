//! What an upload is on the wire, and what is made of refusals.

use sha2::{Digest, Sha256};

use super::*;
use crate::service::yandex_cloud::attempts::Attempt;
use crate::service::yandex_cloud::body::Seal;
use crate::service::yandex_cloud::codes::Refusal;
use crate::service::yandex_cloud::labels::hex;

#[tokio::test]
async fn a_file_goes_in_one_request_of_known_length() {
    let fake = Fake::plain().await;
    for (number, len) in [1_usize, 2, 3, 4, 1023, 1024, 1025, 70_000].into_iter().enumerate() {
        let (name, content) = (format!("f{number}.txt"), bytes(len));
        let node = put(&fake, &name, &content).await.unwrap();
        assert_eq!((node.size, node.name.as_str(), node.kind), (len as u64, name.as_str(), NodeKind::File));
        let sent = fake.seen(Seen::creates).pop().unwrap();
        assert_eq!(sent.header("content-length"), sent.body.len().to_string());
        assert_eq!(sent.header("transfer-encoding"), "");
        assert_eq!(sent.header("content-type"), "application/json");
        assert_eq!(fake.state().files.last().unwrap().bytes, content);
    }
}

#[tokio::test]
async fn a_file_says_what_it_is_and_how_long_it_lives() {
    let fake = Fake::plain().await;
    let content = bytes(1000);
    put(&fake, "Отчёт \"1\".md", &content).await.unwrap();
    let sent = fake.seen(Seen::creates).pop().unwrap();
    let file = sent.json();
    assert_eq!((file["folderId"].as_str(), file["name"].as_str()), (Some("b1gtest"), Some("Отчёт \"1\".md")));
    assert_eq!(file["mimeType"], "text/markdown");
    assert_eq!(file["expirationConfig"], json!({"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": "60"}));
    let sha256 = hex(&Sha256::digest(&content));
    let labels = &file["labels"];
    assert_eq!(labels["uploadfs_size"], "1000");
    assert_eq!(labels["uploadfs_sha256_head"], sha256[..32]);
    assert_eq!(labels["uploadfs_sha256_tail"], sha256[32..]);
    assert_eq!(labels["uploadfs_id"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn every_request_is_signed_and_private_and_every_change_has_a_name() {
    let fake = Fake::plain().await;
    let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    let node = fake.cloud.rename(&path("a.txt"), &node, &path("b.txt")).await.unwrap();
    fake.cloud.remove(&path("b.txt"), &node).await.unwrap();
    let mut keys = Vec::new();
    for seen in fake.seen(|seen| !seen.is_storage) {
        assert_eq!(seen.header("authorization"), "Api-Key AQVNgeheim", "{} {}", seen.method, seen.path);
        assert_eq!(seen.header("x-data-logging-enabled"), "false");
        let key = seen.header("idempotency-key").to_owned();
        assert_eq!(key.is_empty(), seen.method == "GET", "{} {}", seen.method, seen.path);
        keys.push(key);
    }
    keys.retain(|key| !key.is_empty());
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!((count, keys.len()), (3, 3), "each change has its own");
    assert!(fake.seen(|seen| seen.is_storage && !seen.header("authorization").is_empty()).is_empty());
}

#[tokio::test]
async fn a_type_that_is_refused_is_left_to_the_service() {
    let fake = Fake::new(|seen| match seen.creates() && !seen.json()["mimeType"].is_null() {
        true => refuse(400, 3, "unsupported MIME type text/csv"),
        false => Act::Usual,
    })
    .await;
    put(&fake, "a.csv", &bytes(10)).await.unwrap();
    assert_eq!(fake.seen(Seen::creates).len(), 2);
    assert_eq!(fake.state().files[0].mime, "detected");
}

#[tokio::test]
async fn a_content_that_is_never_taken_is_said_in_the_services_words() {
    let fake = Fake::new(|seen| match seen.creates() {
        true => refuse(400, 3, "MIME type application/zip is not supported"),
        false => Act::Usual,
    })
    .await;
    let error = put(&fake, "a.txt", &bytes(10)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never));
    assert!(error.to_string().contains("application/zip is not supported"), "{error}");
    assert_eq!(fake.seen(Seen::creates).len(), 2, "with its type, and once without");
}

#[tokio::test]
async fn a_lifetime_that_is_refused_is_made_shorter_once() {
    let fake = Fake::new(|seen| match seen.creates() && seen.json()["expirationConfig"]["ttlDays"] == "60" {
        true => refuse(400, 3, "expiration_config.ttl_days must be at most 30"),
        false => Act::Usual,
    })
    .await;
    put(&fake, "a.txt", &bytes(10)).await.unwrap();
    put(&fake, "b.txt", &bytes(10)).await.unwrap();
    assert_eq!(fake.seen(Seen::creates).len(), 3, "the second file knows");
    assert_eq!(fake.state().files.iter().map(|file| file.ttl_days).collect::<Vec<_>>(), [30, 30]);
}

#[tokio::test]
async fn an_empty_file_is_sent_where_it_is_taken() {
    let fake = Fake::plain().await;
    let node = put(&fake, "empty", &Bytes::new()).await.unwrap();
    assert_eq!(node.size, 0);
    assert_eq!(fake.cloud.stat(&path("empty")).await.unwrap(), node);
    assert!(fake.cloud.capability().empty_files);
}

#[tokio::test]
async fn an_empty_file_that_is_refused_is_known_to_stay_here() {
    let fake = Fake::new(|seen| match seen.creates() && seen.json()["content"] == "" {
        true => refuse(400, 3, "content is required"),
        false => Act::Usual,
    })
    .await;
    let error = put(&fake, "empty", &Bytes::new()).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Unsupported, Retry::After(Duration::ZERO)));
    assert!(!fake.cloud.capability().empty_files);
    put(&fake, "full", &bytes(1)).await.unwrap();
}

#[tokio::test]
async fn the_limit_is_the_safe_one_and_a_larger_one_is_given_up() {
    let fake = Fake::plain().await;
    assert_eq!(fake.cloud.capability().file_max, 128_000_000);
    assert_eq!(fake.cloud.capability().policy, SizePolicy::Whole { max: 128_000_000 });
    assert_eq!(put(&fake, "large.bin", &Bytes::from(vec![0; 128_000_001])).await.unwrap_err().kind, Kind::TooLarge);
    assert!(fake.seen(Seen::creates).is_empty(), "nothing is sent in vain");
    for refusal in [
        Refusal { status: 400, code: Some(3), ..Refusal::default() },
        Refusal { status: 413, ..Refusal::default() },
        Refusal { status: 429, code: Some(8), ..Refusal::default() },
    ] {
        let raised = |url: &str| YandexCloudConfig { file_max: FILE_MAX, ..fake::config(url) };
        let fake = Fake::configured(raised, fake::at_rest(), |_| Act::Usual).await;
        assert_eq!(fake.cloud.capability().file_max, 134_217_728);
        let error = fake.cloud.cloud.refused(&attempt(FILE_SAFE), refusal.clone());
        assert_eq!(error.kind == Kind::TooLarge, refusal.status == 413, "{error}");
        let error = fake.cloud.cloud.refused(&attempt(FILE_SAFE + 1), refusal);
        assert_eq!((error.kind, error.retry), (Kind::TooLarge, Retry::Never), "{error}");
        assert_eq!(fake.cloud.capability().file_max, 128_000_000);
    }
}

fn attempt(size: u64) -> Attempt {
    Attempt {
        upload: "u".to_owned(),
        name: "large.bin".to_owned(),
        size,
        old: Vec::new(),
        before: Vec::new(),
        seal: Seal::default(),
        made: None,
        is_settled: false,
    }
}

#[tokio::test]
async fn a_name_that_is_changed_makes_no_file() {
    let cutting = Fake::new(|seen| match seen.creates() {
        true => {
            let renamed = json!({"id": "fvt00000000000000001", "name": "cut", "createdAt": "2026-06-01T00:00:00Z"});
            Act::Then(fake::reply(200, &renamed))
        }
        false => Act::Usual,
    })
    .await;
    let error = put(&cutting, "cut off.txt", &bytes(10)).await.unwrap_err();
    assert_eq!(error.kind, Kind::BadName);
    assert!(cutting.names().is_empty(), "nothing is left of it");
}

#[tokio::test]
async fn an_overwrite_is_another_file_and_then_the_old_one_goes() {
    let fake = Fake::plain().await;
    let before = put(&fake, "a.txt", &bytes(300)).await.unwrap();
    let after = put(&fake, "a.txt", &bytes(200)).await.unwrap();
    assert_ne!(before.version, after.version);
    assert_eq!(fake.names(), ["a.txt"]);
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap(), after);
    assert_eq!(content(&fake, "a.txt").await, bytes(200));
    let order: Vec<String> =
        fake.state().seen.iter().map(|seen| format!("{} {}", seen.method, seen.is_storage)).collect();
    let last = order.len() - order.iter().rev().position(|what| what.starts_with("POST")).unwrap();
    let looked = order[last..].iter().position(|what| what == "GET true").unwrap();
    let removed = order[last..].iter().position(|what| what.starts_with("DELETE")).unwrap();
    assert!(looked < removed, "the new one is looked at before the old one is removed");
}

#[tokio::test]
async fn a_file_that_arrived_wrong_is_removed_and_the_old_one_stays() {
    let fake = Fake::new(|seen| match seen.is_storage && seen.path.ends_with('2') {
        true => {
            let range = axum::http::Response::builder().status(206).header("content-range", "bytes 0-0/199");
            Act::Instead(range.body("a".into()).unwrap())
        }
        false => Act::Usual,
    })
    .await;
    put(&fake, "a.txt", &bytes(300)).await.unwrap();
    let error = put(&fake, "a.txt", &bytes(200)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Corrupt, Retry::Never));
    assert_eq!(fake.names(), ["a.txt"]);
    assert_eq!(content(&fake, "a.txt").await, bytes(300));
}

#[tokio::test]
async fn a_file_that_can_never_be_looked_at_is_removed_and_the_old_one_stays() {
    let fake = Fake::new(|seen| match seen.is_storage && seen.path.ends_with('2') {
        true => Act::Instead(axum::http::Response::builder().status(403).body("blocked".into()).unwrap()),
        false => Act::Usual,
    })
    .await;
    put(&fake, "a.txt", &bytes(300)).await.unwrap();
    let error = put(&fake, "a.txt", &bytes(200)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Denied, Retry::Never), "nobody waits for what does not change");
    assert_eq!(content(&fake, "a.txt").await, bytes(300));
    assert_eq!(fake.names(), ["a.txt"]);
}

#[tokio::test]
async fn other_bytes_of_the_same_number_are_noticed() {
    let spoiled = Fake::new(|seen| match seen.is_storage {
        true => {
            let text = format!("bytes {}/50", seen.header("range").strip_prefix("bytes=").unwrap());
            let answer = axum::http::Response::builder().status(206).header("content-range", text);
            let len = if seen.header("range").ends_with("-0") { 1 } else { 50 };
            Act::Instead(answer.header("etag", format!("\"{}\"", "f".repeat(32))).body(vec![b'?'; len].into()).unwrap())
        }
        false => Act::Usual,
    })
    .await;
    assert_eq!(put(&spoiled, "a.txt", &bytes(50)).await.unwrap_err().kind, Kind::Corrupt);
    assert!(spoiled.names().is_empty());
}

#[tokio::test]
async fn an_etag_that_only_looks_like_a_checksum_harms_nothing() {
    let fake = Fake::plain().await;
    fake.state().odd_etags = true;
    put(&fake, "a.txt", &bytes(50)).await.unwrap();
    let looked = fake.seen(|seen| seen.is_storage).len();
    assert_eq!(looked, 2, "its first byte, and all of it");
    put(&fake, "b.txt", &bytes(50)).await.unwrap();
    assert_eq!(fake.seen(|seen| seen.is_storage).len(), 3, "it is known now");
}

#[tokio::test]
async fn an_old_version_that_cannot_be_removed_stays_and_the_new_one_goes() {
    let fake = Fake::new(|seen| match seen.is("DELETE", "0001") {
        true => refuse(403, 7, "no right to delete"),
        false => Act::Usual,
    })
    .await;
    put(&fake, "a.txt", &bytes(300)).await.unwrap();
    let error = put(&fake, "a.txt", &bytes(200)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Denied, Retry::Never));
    assert_eq!(content(&fake, "a.txt").await, bytes(300));
    assert_eq!(fake.names(), ["a.txt"]);
}

#[tokio::test]
async fn an_old_version_that_was_renamed_meanwhile_is_somebody_elses() {
    let fake = Fake::plain().await;
    put(&fake, "a.txt", &bytes(300)).await.unwrap();
    fake.state().files[0].name = "kept.txt".to_owned();
    put(&fake, "a.txt", &bytes(200)).await.unwrap();
    assert_eq!(fake.names(), ["kept.txt", "a.txt"]);
    assert_eq!(names(&fake, "").await, ["a.txt", "kept.txt"]);
}

#[tokio::test]
async fn a_quota_is_tried_again_and_then_told() {
    let fake = Fake::new(|seen| match seen.creates() {
        true => refuse(429, 8, "The limit on number of files has been exceeded"),
        false => Act::Usual,
    })
    .await;
    let error = put(&fake, "a.txt", &bytes(10)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Quota, Retry::After(Duration::ZERO)));
    assert!(error.to_string().contains("10,000"), "{error}");
}

#[tokio::test]
async fn a_file_goes_into_a_directory_that_is_there() {
    let fake = Fake::plain().await;
    let error = put(&fake, "d/a.txt", &bytes(10)).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    fake.cloud.mkdir(&path("d")).await.unwrap();
    put(&fake, "d/a.txt", &bytes(10)).await.unwrap();
    // A directory that was there when the file was made stays there, whoever empties it.
    fake.have("e/other.txt", b"1");
    fake.cloud.cloud.catalog.doubt();
    fake.cloud.admit(&path("e/new.txt")).await.unwrap();
    fake.state().files.retain(|file| file.name != "e/other.txt");
    fake.cloud.cloud.catalog.doubt();
    put(&fake, "e/new.txt", &bytes(10)).await.unwrap();
    fake.state().files.retain(|file| file.name != "e/new.txt");
    assert_eq!(put(&fake, "d/a.txt/b", &bytes(10)).await.unwrap_err().kind, Kind::NotDirectory);
    assert_eq!(put(&fake, "d", &bytes(10)).await.unwrap_err().kind, Kind::IsDirectory);
    assert_eq!(fake.names(), ["d/a.txt"]);
}

#[tokio::test]
async fn only_a_whole_file_is_sent() {
    let fake = Fake::plain().await;
    let short = spec("a", 9);
    let error = fake.cloud.put_whole(&short, Payload::from_bytes(bytes(10), 0)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    let error = fake.cloud.put_whole(&spec("a", 10), Payload::from_bytes(bytes(10), 5)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    assert_eq!(fake.cloud.begin(&short, None).await.unwrap_err().kind, Kind::Unsupported);
    assert!(fake.seen(Seen::creates).is_empty());
}
