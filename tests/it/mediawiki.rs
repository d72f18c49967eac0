//! The MediaWiki client against real servers: both roads under all limits, lost answers, lost sessions, names, reading,
//! moving, and every refusal a person may meet first.

use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::{Error, Kind, Retry};
use uploadfs::path::RemotePath;
use uploadfs::service::mediawiki::MediaWiki;
use uploadfs::service::{Part, Payload, Progress, Receipt, Service, Sha1Digest, Spec};

use crate::support::upload::{Upload, by_session, content, names, text, whole};
use crate::support::wiki::{Which, Wiki, steps};

const MIB: usize = 1 << 20;

fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

fn spec(name: &str, bytes: &Bytes) -> Spec {
    Spec { path: path(name), size: Some(bytes.len() as u64), sha1: Some(Sha1Digest::of(bytes)), replaces: None }
}

/// Text that no other test and no other run has sent: equal contents are no new versions.
fn fresh(size: usize) -> Bytes {
    text(size, fastrand::u64(..))
}

/// A wiki takes one version of a file per second, by its own clock.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

async fn wide() -> Wiki {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    wiki
}

/// Uploads by a session whose first part has 64 KiB and whose other parts have `part` bytes.
async fn in_parts<'a>(service: &'a MediaWiki, name: &str, bytes: &Bytes, part: usize) -> Upload<'a> {
    let mut upload = Upload::begin(service, &path(name), bytes).await.unwrap();
    let file = Payload::from_bytes(bytes.clone(), 0);
    let starts = (64 << 10..bytes.len()).step_by(part);
    upload.parts = starts
        .zip(1..)
        .map(|(start, index)| {
            let end = bytes.len().min(start + part);
            Part { index, payload: file.slice(start as u64..end as u64), last: end == bytes.len() }
        })
        .collect();
    upload
}

async fn probe(upload: &Upload<'_>, bytes: &Bytes) -> Progress {
    let all_sent = upload.parts.is_empty();
    let spec = if all_sent { spec(upload.spec.path.name(), bytes) } else { upload.spec.clone() };
    upload.service.probe(&spec, Some((&upload.token, &upload.receipts))).await.unwrap()
}

fn held(progress: Progress) -> Vec<Receipt> {
    match progress {
        Progress::Holds(receipts) => receipts,
        other => panic!("the session is alive, and the probe says {other:?}"),
    }
}

#[tokio::test]
async fn a_small_file_is_one_request() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(4096));
    service.connect().await.unwrap();
    let mark = wiki.mark().await;
    let node = whole(&service, &path("small file.txt"), &bytes).await.unwrap();
    let log = wiki.since(mark).await;
    assert_eq!((log.len(), steps(&log, "publish")), (1, 1), "{log:?}");
    assert_eq!((node.name.as_str(), node.sha1), ("Small_file.txt", Some(Sha1Digest::of(&bytes))));
    assert_eq!(service.stat(&path("small_file.txt")).await.unwrap(), node);
    assert_eq!(content(&service, &path("Small file.txt")).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_stream_is_chunks_one_assembly_and_one_publication() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(3 * MIB));
    service.connect().await.unwrap();
    let mark = wiki.mark().await;
    let mut upload = in_parts(&service, "stream.bin", &bytes, MIB).await;
    while upload.put_next().await.unwrap() {}
    let node = upload.finish(&bytes).await.unwrap();
    let log = wiki.since(mark).await;
    assert_eq!((steps(&log, "chunk"), steps(&log, "last-chunk"), steps(&log, "publish")), (3, 1, 1), "{log:?}");
    assert_eq!(log.len(), 5);
    assert_eq!(service.stat(&path("Stream.bin")).await.unwrap(), node);
    assert_eq!(content(&service, &path("stream.bin")).await.unwrap(), bytes);
}

/// At a server that takes only so much at once, both roads end well, and what was learned is used from then on.
async fn limits_are_learned(which: Which, piece: u64) {
    let wiki = Wiki::take(which).await;
    let (service, bytes) = (wiki.bot(), fresh(5 * MIB));
    let mut upload = in_parts(&service, "limits.txt", &bytes, 4 * MIB).await;
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
    assert_eq!(content(&service, &path("Limits.txt")).await.unwrap(), bytes);
    assert_eq!(service.capability().whole_max, piece);
    assert_eq!(service.capability().policy.rules().unwrap().size, piece);

    // From now on nothing is refused.
    let mark = wiki.mark().await;
    let bytes = fresh(3 * MIB);
    by_session(&service, &path("limits-2.txt"), &bytes).await.unwrap();
    let refused =
        |line: &String| line.contains(" 413 ") || line.ends_with("badupload") || line.contains("missingparam");
    let log = wiki.since(mark).await;
    assert!(!log.iter().any(refused), "{log:?}");
    let mark = wiki.mark().await;
    let error = whole(&service, &path("limits-3.txt"), &bytes).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::TooLarge, Retry::After(Duration::ZERO)));
    assert_eq!(wiki.since(mark).await.len(), 0, "what cannot pass is not sent");
    whole(&service, &path("limits-3.txt"), &fresh(usize::try_from(piece).unwrap())).await.unwrap();
}

#[tokio::test]
async fn the_limits_of_a_bare_server_are_learned() {
    limits_are_learned(Which::Default, (1 << 20) - (8 << 10)).await;
}

#[tokio::test]
async fn the_limits_of_php_are_learned() {
    limits_are_learned(Which::Php, 2 << 20).await;
}

#[tokio::test]
async fn a_body_that_php_drops_is_too_large() {
    let wiki = Wiki::take(Which::Php).await;
    let (service, bytes) = (wiki.bot(), fresh(9 * MIB));
    // 9 MiB is beyond the limit of bodies, 8 MiB less a little beyond that of files.
    for _ in 0..2 {
        let error = whole(&service, &path("dropped.txt"), &bytes).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (Kind::TooLarge, Retry::After(Duration::ZERO)), "{error}");
    }
    assert_eq!(service.capability().whole_max, (8 << 20) - (8 << 10));
    by_session(&service, &path("dropped.txt"), &bytes).await.unwrap();
    assert_eq!(content(&service, &path("dropped.txt")).await.unwrap(), bytes);
}

#[tokio::test]
async fn an_overwrite_is_a_version_and_the_same_content_is_none() {
    let wiki = wide().await;
    let service = wiki.bot();
    let (old, new) = (fresh(2000), fresh(3000));
    let first = whole(&service, &path("version.txt"), &old).await.unwrap();
    let second = by_session(&service, &path("version.txt"), &new).await.unwrap();
    assert_ne!(first.version, second.version);
    // Two versions within a second are refused, and it is said when to come back.
    let error = whole(&service, &path("version.txt"), &fresh(10)).await.err();
    assert!(
        error.is_none_or(
            |e| e.kind == Kind::Busy && matches!(e.retry, Retry::After(wait) if wait > Duration::from_secs(1))
        )
    );
    next_second().await;
    let current = content(&service, &path("version.txt")).await.unwrap();
    assert_eq!(whole(&service, &path("version.txt"), &current).await.unwrap().sha1, Some(Sha1Digest::of(&current)));
    next_second().await;
    assert_eq!(by_session(&service, &path("Version.txt"), &current).await.unwrap().size, current.len() as u64);
}

#[tokio::test]
async fn a_lost_answer_to_a_chunk_is_found_out_and_nothing_is_doubled() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "lost-chunk.bin", &bytes, 256 << 10).await;
    let again = upload.parts[0].clone();
    let error = {
        let _lost = wiki.switch("lose-chunk-answer");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let got = held(probe(&upload, &bytes).await);
    assert_eq!((got.len(), got[0].range.clone()), (1, 0..again.payload.range().end));
    // Sending it again all the same changes nothing.
    upload.put(again).await.unwrap();
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
    assert_eq!(content(&service, &path("lost-chunk.bin")).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_lost_answer_to_the_first_chunk_means_to_begin_again() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    service.connect().await.unwrap();
    let error = {
        let _lost = wiki.switch("lose-chunk-answer");
        Upload::begin(&service, &path("orphan.bin"), &bytes).await.err().unwrap()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let unknown = Spec { size: None, sha1: None, ..spec("orphan.bin", &bytes) };
    assert!(matches!(service.probe(&unknown, None).await.unwrap(), Progress::Gone));
    by_session(&service, &path("orphan.bin"), &bytes).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_to_the_last_chunk_leads_to_the_new_key() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "lost-last.bin", &bytes, 512 << 10).await;
    upload.put_next().await.unwrap();
    let error = {
        let _lost = wiki.switch("lose-last-chunk-answer");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let mark = wiki.mark().await;
    upload.receipts = held(probe(&upload, &bytes).await);
    assert_eq!(upload.receipts[0].range, 0..bytes.len() as u64);
    upload.finish(&bytes).await.unwrap();
    assert_eq!(steps(&wiki.since(mark).await, "last-chunk"), 0, "never sent again");
    assert_eq!(content(&service, &path("lost-last.bin")).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_lost_answer_to_the_publication_is_a_success() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "lost-publish.bin", &bytes, MIB).await;
    while upload.put_next().await.unwrap() {}
    let error = {
        let _lost = wiki.switch("lose-publish-answer");
        upload.finish(&bytes).await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let progress = probe(&upload, &bytes).await;
    let node = service.stat(&path("lost-publish.bin")).await.unwrap();
    assert!(matches!(progress, Progress::Finished(found) if found == node));
    // A second publication finds nothing to publish, and says that one has to look.
    assert_eq!(upload.finish(&bytes).await.unwrap_err().retry, Retry::AskFirst);
}

#[tokio::test]
async fn a_lost_answer_to_a_direct_upload_is_a_success() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(5000));
    service.connect().await.unwrap();
    let error = {
        let _lost = wiki.switch("lose-publish-answer");
        whole(&service, &path("lost.bin"), &bytes).await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let progress = service.probe(&spec("lost.bin", &bytes), None).await.unwrap();
    assert!(matches!(progress, Progress::Finished(node) if node.sha1 == Some(Sha1Digest::of(&bytes))));
}

#[tokio::test]
async fn an_assembly_that_dies_is_not_believed_dead_at_once() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "killed.bin", &bytes, MIB).await;
    let error = {
        let _kill = wiki.switch("kill-in-assembly");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown));
}

#[tokio::test]
async fn a_session_that_is_lost_in_mid_upload_is_renewed_and_the_upload_goes_on() {
    let wiki = wide().await;
    for service in [wiki.bot(), wiki.user()] {
        let bytes = fresh(MIB);
        let mut upload = in_parts(&service, "expired.bin", &bytes, 256 << 10).await;
        let key = upload.token.id.clone();
        upload.put_next().await.unwrap();
        wiki.manage(&["expire-sessions"]);
        while upload.put_next().await.unwrap() {}
        wiki.manage(&["expire-sessions"]);
        upload.finish(&bytes).await.unwrap();
        assert_eq!(upload.token.id, key);
        assert_eq!(content(&service, &path("expired.bin")).await.unwrap(), bytes);
        next_second().await;
    }
}

#[tokio::test]
async fn many_requests_that_find_the_session_lost_sign_in_once() {
    let wiki = wide().await;
    let service = wiki.bot();
    service.connect().await.unwrap();
    wiki.manage(&["expire-sessions"]);
    let mark = wiki.mark().await;
    let (root, file) = (RemotePath::root(), path("nothing.txt"));
    let (a, b, c, d) =
        tokio::join!(service.list(&root, None), service.stat(&file), service.list(&root, None), service.stat(&file));
    assert!(a.is_ok() && c.is_ok());
    assert!([b, d].into_iter().all(|gone| gone.unwrap_err().kind == Kind::NotFound));
    let log = wiki.since(mark).await;
    assert_eq!(log.iter().filter(|line| line.contains("action=login")).count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_stash_that_is_lost_is_gone() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "forgotten.bin", &bytes, 256 << 10).await;
    wiki.manage(&["forget-progress"]);
    assert_eq!(upload.put_next().await.unwrap_err().retry, Retry::AskFirst);
    assert!(matches!(probe(&upload, &bytes).await, Progress::Gone));

    // The progress entry outlives the data, and is not believed.
    let mut upload = in_parts(&service, "purged.bin", &bytes, 256 << 10).await;
    wiki.manage(&["age-stash"]);
    assert_eq!(upload.put_next().await.unwrap_err().retry, Retry::AskFirst);
    assert!(matches!(probe(&upload, &bytes).await, Progress::Gone));

    let mut upload = in_parts(&service, "purged.bin", &bytes, 512 << 10).await;
    while upload.put_next().await.unwrap() {}
    wiki.manage(&["age-stash"]);
    assert_eq!(upload.finish(&bytes).await.unwrap_err().retry, Retry::AskFirst);
    // Gone after a while; until then the publication might still be running.
    assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown));
}

#[tokio::test]
async fn what_is_published_is_what_was_assembled() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "unfinished.bin", &bytes, 512 << 10).await;
    upload.put_next().await.unwrap();
    // Publishing the key of the session would publish the first chunk only, and the wiki would say Success.
    let error = upload.finish(&bytes).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    upload.put_next().await.unwrap();
    let other = fresh(MIB);
    assert_eq!(upload.finish(&other).await.unwrap_err().kind, Kind::Corrupt);
    assert_eq!(service.stat(&path("unfinished.bin")).await.unwrap_err().kind, Kind::NotFound);
    upload.finish(&bytes).await.unwrap();
}

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

#[tokio::test]
async fn a_wrong_password_is_tried_three_times_and_no_more() {
    let wiki = Wiki::take(Which::Default).await;
    let wrong = [(wiki.env("MW_BOT_USER"), "0123456789abcdef0123456789abcdeX"), (wiki.env("MW_USER"), "falsch")];
    for (user, password) in wrong {
        let service = wiki.client(user, password);
        let mark = wiki.mark().await;
        for _ in 0..10 {
            let error = service.stat(&path("x.txt")).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (Kind::SignedOut, Retry::Never), "{error}");
            assert!(error.to_string().contains(user) && !error.to_string().contains(password), "{error}");
        }
        let log = wiki.since(mark).await;
        let tries = log.iter().filter(|line| line.contains("POST")).count();
        assert_eq!(tries, 3, "{log:?}");
        let error = service.stat(&path("x.txt")).await.unwrap_err();
        assert!(error.to_string().contains("not trying again for"), "{error}");
    }
}

#[tokio::test]
async fn the_account_is_described() {
    let wiki = wide().await;
    let lines = wiki.bot().check().await.unwrap().join("\n");
    for word in ["TestWiki", "MediaWiki 1.", "Admin", "largest file: 5120 MiB", "bin", "suppressredirect"] {
        assert!(lines.contains(word), "{word} in {lines}");
    }
    assert!(!lines.contains("no right"), "{lines}");
    let lines = wiki.user().check().await.unwrap().join("\n");
    assert!(lines.contains("no right `delete`") && lines.contains("no right `suppressredirect`"), "{lines}");
    assert!(lines.contains("rate: 8 of `move` in 60 s"), "{lines}");
    let service = wiki.bot();
    service.connect().await.unwrap();
    assert_eq!(service.capability().file_max, 5 << 30);
}

/// What a person sees who is kept out: kind, retry and words.
async fn kept_out(service: &MediaWiki, expected: (Kind, bool), words: &[&str]) -> Error {
    let error = service.check().await.unwrap_err();
    assert_eq!((error.kind, error.retry == Retry::Never), expected, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} in {error}");
    }
    error
}

#[tokio::test]
async fn wrong_addresses_are_explained() {
    let wiki = wide().await;
    let base = wiki.env("MW_URL").replace("/w/api.php", "");
    for wrong in ["/w/index.php", "/w/nothing.php", "/"] {
        let service = wiki.client_at(&format!("{base}{wrong}"), wiki.env("MW_BOT_USER"), wiki.env("MW_BOT_PASS"));
        let error = kept_out(&service, (Kind::Protocol, true), &[]).await;
        assert!(error.to_string().contains("/w/api.php"), "{wrong}: {error}");
    }
    let service = wiki.client_at("http://127.0.0.1:9/w/api.php", "a@b", "c");
    kept_out(&service, (Kind::Unreachable, false), &["127.0.0.1:9", "refused"]).await;
}

#[tokio::test]
async fn wikis_that_take_nothing_say_why() {
    let wiki = wide().await;
    let bytes = fresh(2000);
    for (switch, kind, word) in [
        ("readonly", Kind::ReadOnly, "maintenance now"),
        ("uploaddisabled", Kind::ReadOnly, "switched off"),
        ("no-upload-right", Kind::Denied, "upload"),
        ("blocked", Kind::Denied, "blocked"),
        ("unavailable", Kind::Server, "503"),
    ] {
        let on = wiki.switch(switch);
        let error = wiki.user().check().await.unwrap_err();
        assert_eq!(error.kind, kind, "{switch}: {error}");
        assert!(error.to_string().contains(word), "{switch}: {error}");
        drop(on);
        // One who was in before it began.
        let service = wiki.user();
        service.connect().await.unwrap();
        let _on = wiki.switch(switch);
        for error in [
            whole(&service, &path("no.txt"), &bytes).await.unwrap_err(),
            by_session(&service, &path("no.txt"), &bytes).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, kind, "{switch}: {error}");
        }
    }
}

#[tokio::test]
async fn policies_of_a_wiki_have_their_own_errors() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(3000));
    service.connect().await.unwrap();
    let refused = async |switch: &'static str, name: &str| {
        let _on = wiki.switch(switch);
        let by_one = whole(&service, &path(name), &bytes).await.unwrap_err();
        let by_parts = by_session(&service, &path(name), &bytes).await.unwrap_err();
        assert_eq!(by_one.kind, by_parts.kind, "{by_one}; {by_parts}");
        by_one
    };
    assert_eq!(refused("abusefilter", "filtered.txt").await.kind, Kind::Refused);
    assert_eq!(refused("titleblacklist", "bad.txt").await.kind, Kind::Denied);
    whole(&service, &path("mine.txt"), &fresh(10)).await.unwrap();
    let user = wiki.user();
    let _on = wiki.switch("no-reupload");
    let error = whole(&user, &path("mine.txt"), &bytes).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied, "{error}");
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back_and_the_stash_survives() {
    let wiki = wide().await;
    let _on = wiki.switch("ratelimited");
    let service = wiki.user();
    for count in 0..2 {
        whole(&service, &path(&format!("rate-{count}.txt")), &fresh(100)).await.unwrap();
    }
    let (bytes, name) = (fresh(100_000), path("rate.txt"));
    let error = by_session(&service, &name, &bytes).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Quota, Retry::After(Duration::from_secs(60))), "{error}");
    assert!(error.to_string().contains("2 times in 60 s"), "{error}");
}

#[tokio::test]
async fn a_private_wiki_is_read_with_the_session() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(1000));
    let _on = wiki.switch("private");
    whole(&service, &path("private.txt"), &bytes).await.unwrap();
    wiki.manage(&["expire-sessions"]);
    assert_eq!(content(&service, &path("private.txt")).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_is_too_large_for_the_wiki_is_too_large() {
    let wiki = wide().await;
    let _on = wiki.switch("max-3m");
    let (service, bytes) = (wiki.bot(), fresh(4 * MIB));
    service.connect().await.unwrap();
    assert_eq!(service.capability().file_max, 3 << 20);
    for error in [
        whole(&service, &path("large.txt"), &bytes).await.unwrap_err(),
        by_session(&service, &path("large.txt"), &bytes).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, error.retry), (Kind::TooLarge, Retry::Never), "{error}");
    }
}

#[tokio::test]
async fn contents_the_wiki_does_not_want_are_refused() {
    let wiki = Wiki::take(Which::Default).await;
    let service = wiki.bot();
    let page = Bytes::from(format!("<html><script>{}</script>", "x".repeat(3000)));
    for error in [
        whole(&service, &path("page.txt"), &page).await.unwrap_err(),
        by_session(&service, &path("page.txt"), &page).await.unwrap_err(),
        // Text is no picture; the whole file is judged by its last name.
        by_session(&service, &path("picture.png"), &fresh(3000)).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
    }
}

#[tokio::test]
async fn empty_things_never_leave() {
    let wiki = wide().await;
    let service = wiki.bot();
    let error = whole(&service, &path("empty.txt"), &Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    let bytes = fresh(100_000);
    let mut upload = in_parts(&service, "empty.bin", &bytes, MIB).await;
    let nothing = Part { index: 9, payload: Payload::from_bytes(bytes.clone(), 0).slice(5..5), last: true };
    assert_eq!(upload.put(nothing).await.unwrap_err().kind, Kind::Invalid);
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
}
