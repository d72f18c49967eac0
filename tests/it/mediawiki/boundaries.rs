//! Chunks that are refused for how they begin, on the server that checks contents.

use super::*;

/// Where the second chunk begins.
const SECOND: usize = 64 << 10;

/// An archive of `size` bytes with web pages at these places. Of text the wiki would look at every byte; of anything else
/// it looks at the beginning.
fn with_pages(size: usize, places: impl IntoIterator<Item = usize>) -> Bytes {
    let seed = fastrand::u32(..);
    let word = |n: u32| [[1, 0x53, 0x4d, 2], (n ^ seed).to_le_bytes()].concat();
    let mut bytes: Vec<u8> = (0..).flat_map(word).take(size).collect();
    for at in places {
        bytes[at..at + 28].copy_from_slice(b"<html><head><title>x</title>");
    }
    bytes.into()
}

#[tokio::test]
async fn a_chunk_that_looks_like_a_page_is_refused_and_the_session_with_it() {
    let wiki = Wiki::take(Which::Default).await;
    let (service, bytes) = (wiki.bot(), with_pages(MIB, [SECOND]));
    let error = by_session(&service, &path("pages.dat"), &bytes).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound, "{error}");
    // Begun again, the page stands in the middle of a chunk.
    by_session(&service, &path("pages.dat"), &bytes).await.unwrap();
    assert_eq!(content(&service, &path("pages.dat")).await.unwrap(), bytes);
}

#[tokio::test]
async fn through_a_mount_nobody_notices() {
    let wiki = Wiki::take(Which::Default).await;
    let daemon = crate::support::daemon::Daemon::mount(&wiki.remote(), &[]);
    let bytes = with_pages(5 * MIB, [SECOND]);
    std::fs::write(daemon.local("pages.tar"), &bytes).unwrap();
    daemon.sh("cp $L/pages.tar archive.dat && cmp $L/pages.tar archive.dat").ok();
    assert_eq!(content(&wiki.bot(), &path("archive.dat")).await.unwrap(), bytes);
    assert!(daemon.log().contains("looks like something"), "{}", daemon.log());
    // Pages everywhere: no boundary helps, and the program is told so.
    let pages = with_pages(2 * MIB, (1..500).map(|n| n * 4096).filter(|at| *at < 2 * MIB - 28));
    std::fs::write(daemon.local("pages.txt"), &pages).unwrap();
    daemon.sh("cp $L/pages.txt pages-only.dat").failed("Operation not permitted");
}
