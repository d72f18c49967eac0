//! Renaming files and directories.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn a_file_gets_another_name_and_stays_the_same_file() {
    let fake = Fake::plain().await;
    fake.cloud.mkdir(&path("d")).await.unwrap();
    let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    let renamed = fake.cloud.rename(&path("a.txt"), &node, &path("d/b.pdf")).await.unwrap();
    assert_eq!((&renamed.id, renamed.size, renamed.name.as_str()), (&node.id, 10, "b.pdf"));
    let change = fake.seen(|seen| seen.method == "PATCH")[0].json();
    assert_eq!(change, json!({"updateMask": "name", "name": "d/b.pdf"}));
    assert_eq!(fake.cloud.stat(&path("a.txt")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(fake.cloud.stat(&path("d/b.pdf")).await.unwrap(), renamed);
}

#[tokio::test]
async fn a_rename_replaces_without_a_gap() {
    let fake = Fake::plain().await;
    let source = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    let target = put(&fake, "b.txt", &bytes(20)).await.unwrap();
    fake.cloud.rename(&path("a.txt"), &source, &path("b.txt")).await.unwrap();
    assert_eq!(fake.names(), ["b.txt"]);
    assert_eq!(content(&fake, "b.txt").await, bytes(10));
    let changes: Vec<String> =
        fake.seen(|seen| seen.method != "GET" && !seen.creates()).iter().map(|seen| seen.method.clone()).collect();
    assert_eq!(changes, ["PATCH", "DELETE"], "named first, then removed: there is always one");
    assert_ne!(source.id, target.id);
}

#[tokio::test]
async fn a_replaced_file_that_cannot_be_removed_takes_the_rename_back() {
    let fake = Fake::new(|seen| match seen.method == "DELETE" {
        true => refuse(403, 7, "no"),
        false => Act::Usual,
    })
    .await;
    let source = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    put(&fake, "b.txt", &bytes(20)).await.unwrap();
    let error = fake.cloud.rename(&path("a.txt"), &source, &path("b.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied);
    assert_eq!(fake.names(), ["a.txt", "b.txt"]);
    assert_eq!((content(&fake, "a.txt").await.len(), content(&fake, "b.txt").await.len()), (10, 20));
}

#[tokio::test]
async fn a_third_file_of_the_name_is_left_to_a_copy() {
    let fake = Fake::plain().await;
    let source = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    fake.have("b.txt", b"one");
    fake.have("b.txt", b"two");
    fake.cloud.cloud.catalog.doubt();
    let error = fake.cloud.rename(&path("a.txt"), &source, &path("b.txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::CrossDevice, "the older of the two would come to light");
    assert_eq!(fake.names(), ["a.txt", "b.txt", "b.txt"]);
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_as_it_is() {
    let fake = Fake::plain().await;
    let file = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    fake.have("d/x", b"1");
    fake.have("e/x", b"1");
    fake.cloud.cloud.catalog.doubt();
    let directory = fake.cloud.stat(&path("d")).await.unwrap();
    let rename = async |from: &str, node: &Node, to: &str| {
        fake.cloud.rename(&path(from), node, &path(to)).await.unwrap_err().kind
    };
    assert_eq!(rename("a.txt", &file, "d").await, Kind::IsDirectory);
    assert_eq!(rename("a.txt", &file, "nowhere/a").await, Kind::NotFound);
    assert_eq!(rename("d", &directory, "a.txt").await, Kind::NotDirectory);
    assert_eq!(rename("d", &directory, "e").await, Kind::NotEmpty);
    assert_eq!(rename("x.txt", &file, "y.txt").await, Kind::NotFound);
    assert!(fake.seen(|seen| seen.method == "PATCH").is_empty());
}

#[tokio::test]
async fn a_directory_is_renamed_file_by_file() {
    let fake = Fake::plain().await;
    for name in ["old/a.txt", "old/b/c.txt", "old/b/c.txt", "older.txt"] {
        fake.have(name, b"1");
    }
    fake.cloud.stat(&path("old")).await.unwrap();
    fake.cloud.mkdir(&path("old/empty")).await.unwrap();
    let node = fake.cloud.stat(&path("old")).await.unwrap();
    let renamed = fake.cloud.rename(&path("old"), &node, &path("new")).await.unwrap();
    assert_eq!((renamed.kind, renamed.name.as_str()), (NodeKind::Directory, "new"));
    assert_eq!(fake.names(), ["new/a.txt", "new/b/c.txt", "new/b/c.txt", "older.txt"]);
    assert_eq!(names(&fake, "").await, ["new", "older.txt"]);
    assert_eq!(names(&fake, "new").await, ["a.txt", "b", "empty"]);
    fake.cloud.cloud.catalog.doubt();
    assert_eq!(names(&fake, "new/b").await.len(), 2);
}

#[tokio::test]
async fn an_empty_directory_is_renamed_here() {
    let fake = Fake::plain().await;
    fake.cloud.mkdir(&path("d")).await.unwrap();
    let node = fake.cloud.stat(&path("d")).await.unwrap();
    fake.cloud.rename(&path("d"), &node, &path("e")).await.unwrap();
    assert_eq!(names(&fake, "").await, ["e"]);
    assert!(fake.seen(|seen| seen.method == "PATCH").is_empty());
}

#[tokio::test]
async fn a_directory_that_cannot_be_renamed_as_a_whole_stays_as_it_was() {
    let count = AtomicUsize::new(0);
    let fake = Fake::new(move |seen| match seen.method == "PATCH" && seen.json()["name"] == "new/c" {
        true => {
            count.fetch_add(1, Ordering::Relaxed);
            refuse(403, 7, "no")
        }
        false => Act::Usual,
    })
    .await;
    for name in ["old/a", "old/b", "old/c", "old/d"] {
        fake.have(name, b"1");
    }
    let node = fake.cloud.stat(&path("old")).await.unwrap();
    let error = fake.cloud.rename(&path("old"), &node, &path("new")).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Denied, Retry::Never));
    assert_eq!(fake.names(), ["old/a", "old/b", "old/c", "old/d"]);
    assert_eq!(names(&fake, "old").await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_directory_with_too_many_files_is_left_to_a_copy() {
    let fake = Fake::plain().await;
    for number in 0..1001 {
        fake.state().add(&format!("d/{number}"), b"1", json!({"uploadfs_size": "1"}));
    }
    let node = fake.cloud.stat(&path("d")).await.unwrap();
    let error = fake.cloud.rename(&path("d"), &node, &path("e")).await.unwrap_err();
    assert_eq!(error.kind, Kind::CrossDevice);
    assert!(error.to_string().contains("1001 files") && error.to_string().contains("1000"), "{error}");
    assert!(fake.seen(|seen| seen.method == "PATCH").is_empty());
}

#[tokio::test]
async fn a_name_that_the_service_would_change_is_given_back() {
    let fake = Fake::new(|seen| match seen.method == "PATCH" && seen.json()["name"] == "b .txt" {
        true => {
            let stripped = json!({"id": "fvt00000000000000001", "name": "b.txt", "createdAt": "2026-06-01T00:00:00Z"});
            Act::Then(fake::reply(200, &stripped))
        }
        false => Act::Usual,
    })
    .await;
    let node = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    let error = fake.cloud.rename(&path("a.txt"), &node, &path("b .txt")).await.unwrap_err();
    assert_eq!(error.kind, Kind::BadName);
    assert_eq!(fake.names(), ["a.txt"]);
}
