//! Both roads of an upload under all limits.

use super::*;

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
