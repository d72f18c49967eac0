//! The error catalogue, row by row, as the real server says it: what each refusal becomes for a program (the errno) and
//! for a person (the code, and what to do). Rows with a story of their own (lost answers, limits of bodies, names) are in
//! the files beside this one.

use super::*;

/// A way to meet a refusal.
#[derive(Clone, Copy, Debug)]
enum By {
    /// One direct upload.
    Whole,
    /// The first chunk.
    Chunk,
    /// A complete session.
    Session,
    Remove,
    Rename,
}

async fn meet(service: &MediaWiki, by: By, name: &str) -> Error {
    let (file, bytes) = (path(name), fresh(70_000));
    let result = match by {
        By::Whole => whole(service, &file, &bytes).await.map(drop),
        By::Chunk => Upload::begin(service, &file, &bytes).await.map(drop),
        By::Session => by_session(service, &file, &bytes).await.map(drop),
        By::Remove | By::Rename => {
            let node = service.stat(&file).await.unwrap();
            match by {
                By::Remove => service.remove(&file, &node).await,
                _ => service.rename(&file, &node, &path("elsewhere.txt")).await.map(drop),
            }
        }
    };
    result.expect_err(name)
}

#[tokio::test]
async fn each_refusal_has_its_errno() {
    let wiki = wide().await;
    let bot = wiki.bot();
    whole(&bot, &path("there.txt"), &fresh(100)).await.unwrap();
    for (switch, by, code, errno) in [
        ("no-upload-right", By::Whole, "permissiondenied", libc::EACCES),
        ("no-edit", By::Whole, "permissiondenied", libc::EACCES),
        ("no-create", By::Whole, "cantcreate", libc::EACCES),
        ("no-delete", By::Remove, "permissiondenied", libc::EACCES),
        ("no-movefile", By::Rename, "cantmovefile", libc::EXDEV),
        ("blocked", By::Session, "blocked", libc::EACCES),
        ("titleblacklist", By::Session, "titleblacklist-forbidden-edit", libc::EACCES),
        ("abusefilter", By::Session, "abusefilter-disallowed", libc::EPERM),
        ("hookaborted", By::Chunk, "hookaborted", libc::EPERM),
        ("uploaddisabled", By::Chunk, "uploaddisabled", libc::EROFS),
        ("readonly", By::Chunk, "readonly", libc::EROFS),
        ("few-extensions", By::Whole, "filetype-banned", libc::EPERM),
        ("few-extensions", By::Chunk, "illegal-filename", libc::EINVAL),
        ("disk-full", By::Chunk, "UploadStashFileException", libc::EIO),
        ("directory-unwritable", By::Whole, "directorycreateerror", libc::EIO),
        ("db-error", By::Chunk, "DBQueryError", libc::EIO),
        ("db-gone", By::Chunk, "HTTP 500", libc::EIO),
        ("backend-conflict", By::Whole, "lockmanager-fail-conflict", libc::EBUSY),
        ("unavailable", By::Whole, "HTTP 503", libc::EIO),
    ] {
        // Who was in before it began: the account and the wiki are known as they were.
        let service = wiki.bot();
        service.connect().await.unwrap();
        let _on = wiki.switch(switch);
        let name = match (switch, by) {
            (_, By::Remove | By::Rename) => "there.txt",
            ("titleblacklist", _) => "bad.txt",
            _ => "refused.txt",
        };
        let error = meet(&service, by, name).await;
        assert_eq!(error.errno(), errno, "{switch}: {error}");
        assert!(error.to_string().contains(code), "{switch}: {error}");
    }
    assert_eq!(names(&bot, &RemotePath::root()).await.unwrap(), ["There.txt"], "nothing came of any of them");
}

#[tokio::test]
async fn protected_pages_are_told_at_open_and_at_the_end() {
    let wiki = wide().await;
    let _on = wiki.switch("protected");
    for name in ["protected.txt", "locked.txt"] {
        let service = wiki.bot();
        let early = service.admit(&path(name)).await.unwrap_err();
        let late = meet(&service, By::Session, name).await;
        for error in [early, late] {
            assert_eq!(error.kind, Kind::Denied, "{name}: {error}");
            assert!(error.to_string().contains("protected"), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_wiki_that_may_not_be_read_says_so() {
    let wiki = wide().await;
    let _on = wiki.switch("no-read-right");
    let error = wiki.bot().stat(&path("a.txt")).await.unwrap_err();
    assert_eq!((error.kind, error.errno()), (Kind::Denied, libc::EACCES), "{error}");
    assert!(error.to_string().contains("private"), "{error}");
}

#[tokio::test]
async fn an_account_that_others_have_locked_is_left_alone() {
    let wiki = wide().await;
    let _on = wiki.switch("login-throttle-low");
    for _ in 0..3 {
        // Somebody else, with a wrong password.
        let error = wiki.client(wiki.env("MW_USER"), "falsch").stat(&path("a.txt")).await.unwrap_err();
        assert_eq!(error.kind, Kind::SignedOut, "{error}");
    }
    let (service, mark) = (wiki.user(), wiki.mark().await);
    for _ in 0..3 {
        let error = service.stat(&path("a.txt")).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (Kind::SignedOut, Retry::Never), "{error}");
        assert!(error.to_string().contains("login-throttled"), "the right password, and yet: {error}");
    }
    let log = wiki.since(mark).await;
    assert_eq!(log.iter().filter(|line| line.contains("POST")).count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_stash_of_somebody_else_is_begun_again() {
    let wiki = wide().await;
    let (bot, user, bytes) = (wiki.bot(), wiki.user(), fresh(MIB));
    for key in ["another account's", "no key at all"] {
        let mut upload = in_parts(&bot, "mine.bin", &bytes, 256 << 10).await;
        upload.service = &user;
        if key == "no key at all" {
            upload.token.id = "nonsense".into();
        }
        let error = upload.put_next().await.unwrap_err();
        assert_eq!(error.errno(), libc::EIO, "{key}: {error}");
        assert_eq!(error.retry, Retry::AskFirst, "{key}: {error}");
        assert!(matches!(probe(&upload, &bytes).await, Progress::Gone), "{key}");
    }
}

#[tokio::test]
async fn a_publication_under_way_is_not_begun_twice() {
    let wiki = wide().await;
    let _on = wiki.switch("async");
    let (service, bytes) = (wiki.bot(), fresh(11 * MIB));
    let mut upload = in_parts(&service, "twice.bin", &bytes, 16 * MIB).await;
    upload.put_next().await.unwrap_err();
    wiki.manage(&["run-jobs"]);
    upload.receipts = held(probe(&upload, &bytes).await);
    upload.finish(&bytes).await.unwrap_err();
    let error = upload.finish(&bytes).await.unwrap_err();
    assert!(error.to_string().contains("publishfailed"), "{error}");
    assert_eq!((error.kind, error.retry), (Kind::Busy, Retry::AskFirst), "{error}");
    wiki.manage(&["run-jobs"]);
    assert!(matches!(probe(&upload, &bytes).await, Progress::Finished(_)));
}

#[tokio::test]
async fn a_full_disk_of_the_wiki_costs_no_session() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "room.bin", &bytes, 256 << 10).await;
    let part = upload.parts[0].clone();
    let error = {
        let _full = wiki.switch("disk-full");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.errno(), libc::EIO, "{error}");
    assert!(matches!(error.retry, Retry::After(_)) && error.to_string().contains("disk may be full"), "{error}");
    // There is room again: the same chunk goes through.
    upload.put(part).await.unwrap();
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
    assert_eq!(content(&service, &path("room.bin")).await.unwrap(), bytes);
}

/// Warnings never stand in the way of a chunk, whatever is unusual about the file.
#[tokio::test]
async fn warnings_stop_nothing() {
    let wiki = wide().await;
    let service = wiki.bot();
    let bytes = fresh(MIB);
    whole(&service, &path("original.txt"), &bytes).await.unwrap();
    for switch in ["large-file-warning", "unwanted-type-warning"] {
        let _on = wiki.switch(switch);
        // A duplicate, large, of an unwanted kind, under a name that was there before.
        let node = by_session(&service, &path(&format!("{switch}.txt")), &bytes).await.unwrap();
        service.remove(&path(&node.name), &node).await.unwrap();
        by_session(&service, &path(&format!("{switch}.txt")), &bytes).await.unwrap();
    }
}
