//! Listings, directories, twins, and sizes of files that nobody has labelled.

use super::*;

#[tokio::test]
async fn a_flat_folder_is_a_tree() {
    let fake = Fake::plain().await;
    for name in ["a/b/c.txt", "a/d.txt", "e f.txt", "Папка/Отчёт.txt"] {
        fake.have(name, b"12345");
    }
    assert_eq!(names(&fake, "").await, ["a", "e f.txt", "Папка"]);
    assert_eq!(names(&fake, "a").await, ["b", "d.txt"]);
    assert_eq!(names(&fake, "Папка").await, ["Отчёт.txt"]);
    assert_eq!(fake.cloud.stat(&path("a/b")).await.unwrap().kind, NodeKind::Directory);
    assert_eq!(fake.cloud.stat(&RemotePath::root()).await.unwrap().kind, NodeKind::Directory);
    assert_eq!(fake.cloud.stat(&path("a/x")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(fake.cloud.list(&path("e f.txt"), None).await.unwrap_err().kind, Kind::NotDirectory);
    assert_eq!(fake.cloud.list(&path("x"), None).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_listing_goes_through_all_pages_and_asks_once() {
    let fake = Fake::plain().await;
    for number in 0..10 {
        fake.have(&format!("f{number}"), b"x");
    }
    assert_eq!(names(&fake, "").await.len(), 10);
    let pages = fake.seen(Seen::lists);
    assert_eq!(pages.len(), 5, "three on a page, and one that is empty");
    assert_eq!(pages[0].query.get("pageSize").map(String::as_str), Some("1000"));
}

#[tokio::test]
async fn pages_are_as_large_as_the_service_has_them() {
    let fake = Fake::new(|seen| match seen.lists() && seen.query.contains_key("pageSize") {
        true => refuse(400, 3, "pageSize: must be in 0-100"),
        false => Act::Usual,
    })
    .await;
    for number in 0..4 {
        fake.have(&format!("f{number}"), b"x");
    }
    assert_eq!(names(&fake, "").await.len(), 4);
    assert_eq!(fake.seen(|seen| seen.query.contains_key("pageSize")).len(), 1, "asked for once");
}

#[tokio::test]
async fn a_service_that_repeats_itself_does_not_hold_us() {
    let same = json!({"files": [{"id": "fvt1", "name": "a", "labels": {"uploadfs_size": "1"}}], "nextPageToken": "t"});
    let fake = Fake::new(move |seen| match seen.lists() {
        true => Act::Instead(fake::reply(200, &same)),
        false => Act::Usual,
    })
    .await;
    let error = fake.cloud.list(&RemotePath::root(), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol, "half a listing is none");
}

#[tokio::test]
async fn files_of_others_get_their_size_from_the_storage_once() {
    let fake = Fake::plain().await;
    fake.have("a.txt", b"12345");
    fake.have("empty.txt", b"");
    fake.have("d/b.txt", b"1234567");
    let sizes = async |at: &str| {
        let page = fake.cloud.list(&path(at), None).await.unwrap();
        page.nodes.iter().filter(|node| node.kind == NodeKind::File).map(|node| node.size).collect::<Vec<_>>()
    };
    assert_eq!(sizes("").await, [5, 0]);
    assert_eq!(fake.seen(|seen| seen.is_storage).len(), 2, "not of files in other directories");
    fake.cloud.cloud.catalog.doubt();
    assert_eq!(sizes("").await, [5, 0]);
    assert_eq!(fake.seen(|seen| seen.is_storage).len(), 2);
    assert_eq!(sizes("d").await, [7]);
}

#[tokio::test]
async fn our_own_files_need_no_look() {
    let fake = Fake::plain().await;
    put(&fake, "a.txt", &bytes(100)).await.unwrap();
    // As another mount sees it.
    let label = fake.state().files[0].labels.clone();
    let other = Fake::plain().await;
    other.state().add("a.txt", &bytes(100), label);
    assert_eq!(other.cloud.stat(&path("a.txt")).await.unwrap().size, 100);
    assert!(other.seen(|seen| seen.is_storage).is_empty());
}

#[tokio::test]
async fn a_size_that_cannot_be_found_is_never_0() {
    let fake = Fake::new(|seen| match seen.is_storage && seen.path.ends_with('1') {
        true => Act::Instead(axum::http::Response::builder().status(400).body("".into()).unwrap()),
        false => Act::Usual,
    })
    .await;
    fake.have("hidden.txt", b"12345");
    fake.have("a.txt", b"123");
    assert_eq!(names(&fake, "").await, ["a.txt"]);
    fake.cloud.stat(&path("hidden.txt")).await.expect_err("its size is not known");

    let busy = Fake::new(|seen| match seen.is_storage {
        true => Act::Instead(axum::http::Response::builder().status(503).body("".into()).unwrap()),
        false => Act::Usual,
    })
    .await;
    busy.have("a.txt", b"123");
    let error = busy.cloud.list(&RemotePath::root(), None).await.unwrap_err();
    assert!(matches!(error.retry, Retry::After(_)), "the listing is asked for again: {error}");
}

#[tokio::test]
async fn a_label_that_cannot_be_right_is_not_believed() {
    let fake = Fake::plain().await;
    fake.state().add("a.txt", b"123", json!({"uploadfs_size": "99999999999"}));
    fake.state().add("b.txt", b"123", json!({"uploadfs_size": "many"}));
    for name in ["a.txt", "b.txt"] {
        assert_eq!(fake.cloud.stat(&path(name)).await.unwrap().size, 3);
    }
}

#[tokio::test]
async fn the_newest_of_a_name_has_it() {
    let fake = Fake::plain().await;
    fake.have("a.txt", b"old");
    fake.have("a.txt", b"newer");
    fake.have("", b"nameless");
    assert_eq!(
        names(&fake, "").await,
        ["a (id fvt00000000000000001).txt", "a.txt", "unnamed (id fvt00000000000000003)"]
    );
    assert_eq!(content(&fake, "a.txt").await, "newer");
    assert_eq!(content(&fake, "a (id fvt00000000000000001).txt").await, "old");
    let old = path("a (id fvt00000000000000001).txt");
    let node = fake.cloud.stat(&old).await.unwrap();
    fake.cloud.remove(&old, &node).await.unwrap();
    assert_eq!(content(&fake, "a.txt").await, "newer");
    assert_eq!(fake.names().len(), 2);
}

#[tokio::test]
async fn a_directory_without_files_is_only_here() {
    let fake = Fake::plain().await;
    let node = fake.cloud.mkdir(&path("d")).await.unwrap();
    assert_eq!(fake.cloud.mkdir(&path("d")).await.unwrap_err().kind, Kind::Exists);
    assert_eq!(fake.cloud.mkdir(&path("x/y")).await.unwrap_err().kind, Kind::NotFound);
    fake.cloud.cloud.catalog.doubt();
    assert_eq!((names(&fake, "").await, names(&fake, "d").await.len()), (vec!["d".to_owned()], 0));
    assert!(fake.names().is_empty(), "nothing stands for it on the service");
    let file = put(&fake, "d/a.txt", &bytes(10)).await.unwrap();
    assert_eq!(fake.cloud.remove(&path("d"), &node).await.unwrap_err().kind, Kind::NotEmpty);
    fake.cloud.remove(&path("d/a.txt"), &file).await.unwrap();
    fake.cloud.remove(&path("d"), &node).await.unwrap();
    assert_eq!(fake.cloud.stat(&path("d")).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_tree_is_removed_from_its_leaves() {
    let fake = Fake::plain().await;
    fake.have("a/b/c.txt", b"1");
    let file = fake.cloud.stat(&path("a/b/c.txt")).await.unwrap();
    fake.cloud.remove(&path("a/b/c.txt"), &file).await.unwrap();
    for directory in ["a/b", "a"] {
        let node = fake.cloud.stat(&path(directory)).await.unwrap();
        fake.cloud.remove(&path(directory), &node).await.unwrap();
    }
    assert!(names(&fake, "").await.is_empty());
}

#[tokio::test]
async fn a_directory_into_which_somebody_has_put_a_file_is_not_removed() {
    let fake = Fake::plain().await;
    let node = fake.cloud.mkdir(&path("d")).await.unwrap();
    fake.have("d/new.txt", b"1");
    assert_eq!(fake.cloud.remove(&path("d"), &node).await.unwrap_err().kind, Kind::NotEmpty);
}

#[tokio::test]
async fn only_the_file_that_is_meant_is_removed() {
    let fake = Fake::plain().await;
    let old = put(&fake, "a.txt", &bytes(10)).await.unwrap();
    fake.have("a.txt", b"of somebody else");
    fake.cloud.cloud.catalog.doubt();
    assert_eq!(fake.cloud.remove(&path("a.txt"), &old).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(fake.names().len(), 2);
}

#[tokio::test]
async fn a_root_is_a_part_of_the_folder() {
    let rooted = |url: &str| YandexCloudConfig { root: path("team/docs"), ..fake::config(url) };
    let fake = Fake::configured(rooted, fake::at_rest(), |_| Act::Usual).await;
    fake.have("team/docs/a.txt", b"1");
    fake.have("elsewhere.txt", b"1");
    assert_eq!(names(&fake, "").await, ["a.txt"]);
    put(&fake, "b.txt", &bytes(5)).await.unwrap();
    assert_eq!(fake.names(), ["team/docs/a.txt", "elsewhere.txt", "team/docs/b.txt"]);
    assert_eq!(names(&fake, "").await, ["a.txt", "b.txt"]);
}
