//! Published files: their names, reading by ranges, moving, removing.

use super::*;

#[tokio::test]
async fn names_are_filed_as_computed() {
    let wiki = wide().await;
    let service = wiki.bot();
    service.connect().await.unwrap();
    for name in [
        "w low_er case.bin",
        "trail .bin",
        "a?b+c=d&e\"f'g*h.bin",
        "Ünï.bin",
        "ünder.bin",
        "日本.bin",
        "😀.bin",
        "e\u{301}cole.bin",
        "ßa.bin",
        "ǆ.bin",
        "ŉ.bin",
        "a.tar.gz",
        "a.b.c.d.bin",
        "a..bin",
        "..bin",
        "100% sure; really.txt",
        "(a) [no].txt",
        "A.BIN",
        "~tilde~~.txt",
        "@at`tick^.txt",
        &format!("{}.bin", "я".repeat(118)),
    ] {
        let (target, bytes) = (path(name), fresh(100));
        if let Err(error) = service.check_name(&target) {
            assert!(name.contains('['), "{name:?}: {error}");
            continue;
        }
        let node = whole(&service, &target, &bytes).await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert_eq!(node.name, service.canonical_name(name), "{name:?}");
        assert_eq!(service.stat(&target).await.unwrap(), node, "{name:?}");
        assert_eq!(content(&service, &target).await.unwrap(), bytes, "{name:?}");
        assert!(names(&service, &RemotePath::root()).await.unwrap().contains(&node.name), "{name:?}");
    }
    for name in ["a#b.bin", "a|b.bin", "small|other.bin", "File:a.bin", "a%41.bin", "a  b.bin", " a.bin", "a_.txt_"] {
        assert_eq!(service.stat(&path(name)).await.unwrap_err().kind, Kind::NotFound, "{name:?}");
    }
    assert_eq!(service.stat(&path("folder/file.bin")).await.unwrap_err().kind, Kind::NotFound);
    assert_eq!(service.list(&path("folder"), None).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn ranges_belong_to_one_version() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(200_000));
    let file = path("ranges.bin");
    let node = whole(&service, &file, &bytes).await.unwrap();
    let mark = wiki.mark().await;
    for range in [0..1, 199_999..200_000, 1000..150_000, 0..200_000, 7..7] {
        let part = bytes.slice(range.start as usize..range.end as usize);
        assert_eq!(service.read(&file, &node, range).await.unwrap(), part);
    }
    let log = wiki.since(mark).await;
    let looks = log.iter().filter(|line| line.contains("imageinfo")).count();
    assert_eq!((looks, log.len()), (1, 5), "the version is proven once: {log:?}");
    // Same size, other bytes: only the validator tells.
    next_second().await;
    whole(&wiki.bot(), &file, &fresh(200_000)).await.unwrap();
    assert_eq!(service.read(&file, &node, 0..10).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(wiki.bot().read(&file, &node, 0..10).await.unwrap_err().kind, Kind::Conflict);
    let now = service.stat(&file).await.unwrap();
    service.remove(&file, &now).await.unwrap();
    assert_eq!(service.read(&file, &now, 0..10).await.unwrap_err().kind, Kind::NotFound);
}

/// A private wiki hands out its files by a script that wants the cookies of the session, and knows no `ETag`.
#[tokio::test]
async fn files_behind_a_script_are_read_with_the_session() {
    let wiki = wide().await;
    let _on = wiki.switch("img-auth");
    let (service, bytes) = (wiki.user(), fresh(200_000));
    let file = path("private.bin");
    let node = whole(&service, &file, &bytes).await.unwrap();
    assert!(node.id.contains("img_auth.php"), "{node:?}");
    assert_eq!(content(&service, &file).await.unwrap(), bytes);
    assert_eq!(service.read(&file, &node, 1000..150_000).await.unwrap(), bytes.slice(1000..150_000));
    wiki.manage(&["expire-sessions"]);
    assert_eq!(service.read(&file, &node, 0..10).await.unwrap(), bytes.slice(0..10), "signed in again");
    // A bot password is for the API, and the script is not the API.
    let error = wiki.bot().read(&file, &node, 0..10).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied, "{error}");
    assert!(error.to_string().contains("the account's own password"), "{error}");
    next_second().await;
    whole(&wiki.bot(), &file, &fresh(200_000)).await.unwrap();
    assert_eq!(service.read(&file, &node, 0..10).await.unwrap_err().kind, Kind::Conflict);
}

#[tokio::test]
async fn moving_and_removing() {
    let wiki = wide().await;
    let service = wiki.bot();
    let node = whole(&service, &path("first.txt"), &fresh(100)).await.unwrap();
    let moved = service.rename(&path("first.txt"), &node, &path("second name.txt")).await.unwrap();
    assert_eq!(moved.name, "Second_name.txt");
    assert_eq!(service.stat(&path("first.txt")).await.unwrap_err().kind, Kind::NotFound);
    // Another spelling of the same name is no move.
    assert_eq!(service.rename(&path("Second name.txt"), &moved, &path("second_name.txt")).await.unwrap(), moved);
    let other = whole(&service, &path("other.txt"), &fresh(100)).await.unwrap();
    let rename = async |from: &str, to: &str| service.rename(&path(from), &other, &path(to)).await.unwrap_err().kind;
    assert_eq!(rename("other.txt", "second name.txt").await, Kind::Exists);
    assert_eq!(rename("other.txt", "other.png").await, Kind::CrossDevice);
    assert_eq!(rename("nothing.txt", "something.txt").await, Kind::NotFound);
    assert_eq!(rename("other.txt", "bad#name.txt").await, Kind::BadName);
    assert_eq!(rename("other.txt", "program.exe").await, Kind::Refused);
    // What the wiki does not recognise it does not move, not even within its extension.
    let strange: Bytes = [1, 0x53, 0x4d, 2].into_iter().chain((0..2000_u32).map(|n| ((n * 7919) >> 3) as u8)).collect();
    whole(&service, &path("strange.bin"), &strange).await.unwrap();
    assert_eq!(rename("strange.bin", "stranger.bin").await, Kind::CrossDevice);
    service.remove(&path("other.txt"), &other).await.unwrap();
    assert_eq!(service.remove(&path("other.txt"), &other).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn an_ordinary_account_leaves_a_redirect_that_is_no_file() {
    let wiki = wide().await;
    let service = wiki.user();
    let (bytes, old) = (fresh(100), path("old place.txt"));
    let node = whole(&service, &old, &bytes).await.unwrap();
    service.rename(&old, &node, &path("new place.txt")).await.unwrap();
    assert_eq!(service.stat(&old).await.unwrap_err().kind, Kind::NotFound, "a redirect answers with its target");
    assert_eq!(names(&service, &RemotePath::root()).await.unwrap(), ["New_place.txt"]);
    // A redirect in the way of a move is no file that exists: a copy works.
    let other = whole(&service, &path("third.txt"), &fresh(50)).await.unwrap();
    let error = service.rename(&path("third.txt"), &other, &old).await.unwrap_err();
    assert_eq!(error.kind, Kind::CrossDevice, "{error}");
    whole(&service, &old, &bytes).await.unwrap();
    assert_eq!(service.stat(&old).await.unwrap().name, "Old_place.txt");
    assert_eq!(service.remove(&old, &node).await.unwrap_err().kind, Kind::Denied);
}
