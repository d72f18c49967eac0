//! MediaWiki on its real servers. The stash tells how far a session has come, and every content has its SHA-1: nothing is
//! taken for something else, whoever asks.

use uploadfs::error::Error;
use uploadfs::path::RemotePath;
use uploadfs::service::{Node, Payload, Progress, Sha1Digest};

use super::cases::Before;
use super::journal::{Digest, File, Journal, Resumed, Writer, resume};
use super::*;
use crate::support::upload::{content, text};
use crate::support::wiki::{Which, Wiki, steps};

/// The size of parts but the first, in bytes.
const PART: u64 = 256 << 10;
/// The size of files here, in bytes: a first part of 64 KiB, and four others.
const SIZE: usize = 1 << 20;
/// The name of the file. A wiki has capitals.
const NAME: &str = "Resumed.bin";
/// Longer than the wiki may be at work on such a file.
const LONG: Duration = Duration::from_secs(12);

fn path() -> RemotePath {
    RemotePath::parse(NAME).unwrap()
}

async fn wide() -> Wiki {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    wiki
}

/// A wiki takes one version of a file per second, by its own clock.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

/// Content that no other run has sent: a wiki keeps what was removed.
fn fresh(size: usize) -> bytes::Bytes {
    text(size, fastrand::u64(..))
}

/// Puts other bytes in the place of the file.
async fn overwrite(wiki: &Wiki, size: usize) -> Node {
    let bytes = fresh(size);
    let spec = Spec { path: path(), size: Some(size as u64), sha1: Some(Sha1Digest::of(&bytes)), replaces: None };
    let node = wiki.user().put_whole(&spec, Payload::from_bytes(bytes, 0)).await.unwrap();
    next_second().await;
    node
}

async fn file(wiki: &Wiki, size: usize, before: Before) -> File {
    let replaces = match before {
        Before::Nothing => None,
        Before::SameSize => Some(overwrite(wiki, size).await),
    };
    File { path: path(), bytes: fresh(size), replaces }
}

/// A process that has sent all parts but the last `left`.
async fn left_with(wiki: &Wiki, file: &File, left: usize) -> Journal {
    let first = wiki.bot();
    let mut writer = Writer::begin(&first, file, Digest::Known, Some(PART)).await.unwrap();
    assert_eq!(writer.parts_left(), 4);
    writer.put_all_but(left).await.unwrap();
    writer.end()
}

/// Another process takes over; the time in which something might still be running passes at once.
async fn taken_over(wiki: &Wiki, file: &File, journal: &Journal) -> Resumed {
    let service = wiki.bot();
    while matches!(service.probe(&journal.spec, journal.session()).await.unwrap(), Progress::Unknown) {
        tokio::time::pause();
        tokio::time::advance(LONG).await;
        tokio::time::resume();
    }
    resume(&service, file, journal, Some(PART)).await
}

/// The file is there, once, in as many versions as it was made.
async fn assert_versions(wiki: &Wiki, file: &File, versions: usize) {
    let found = wiki.versions(NAME);
    assert_eq!((found.len(), found[0].as_str()), (versions, Sha1Digest::of(&file.bytes).to_string().as_str()));
    assert_eq!(content(&wiki.bot(), &path()).await.unwrap(), file.bytes);
}

/// How many versions a file has that was made once more.
fn versions(before: Before) -> usize {
    if before == Before::Nothing { 1 } else { 2 }
}

fn assert_doubt<T: std::fmt::Debug>(told: Result<T, Error>) {
    assert!(told.as_ref().is_err_and(Error::in_doubt), "{told:?}");
}

#[tokio::test]
async fn a_session_is_gone_on_with_wherever_it_was_left() {
    let wiki = wide().await;
    for (left, before) in [(4, Before::Nothing), (2, Before::SameSize), (1, Before::Nothing)] {
        wiki.empty().await;
        let file = file(&wiki, SIZE, before).await;
        let journal = left_with(&wiki, &file, left).await;
        let mark = wiki.mark().await;
        let resumed = taken_over(&wiki, &file, &journal).await;
        resumed.assert_gone_on(SIZE as u64 - (64 << 10) - (4 - left as u64) * PART);
        let lines = wiki.since(mark).await;
        assert_eq!((steps(&lines, "chunk"), steps(&lines, "last-chunk"), steps(&lines, "publish")), (left - 1, 1, 1));
        assert_versions(&wiki, &file, versions(before)).await;
    }
}

/// The wiki knows what it has: no byte of a part is sent twice because a receipt was lost.
#[tokio::test]
async fn a_receipt_that_was_not_written_down_costs_nothing() {
    let wiki = wide().await;
    for left in [0, 1, 3] {
        wiki.empty().await;
        let file = file(&wiki, SIZE, Before::SameSize).await;
        let first = wiki.bot();
        let mut writer = Writer::begin(&first, &file, Digest::Known, Some(PART)).await.unwrap();
        writer.put_all_but(left).await.unwrap();
        writer.lose_receipt();
        let journal = writer.end();
        let missing = if left == 0 { 0 } else { SIZE as u64 - (64 << 10) - (4 - left as u64) * PART };
        taken_over(&wiki, &file, &journal).await.assert_gone_on(missing);
        assert_versions(&wiki, &file, 2).await;
    }
}

#[tokio::test]
async fn a_file_that_was_published_is_there() {
    let wiki = wide().await;
    for (is_answered, before) in [(true, Before::Nothing), (false, Before::SameSize)] {
        wiki.empty().await;
        let file = file(&wiki, SIZE, before).await;
        let first = wiki.bot();
        let mut writer = Writer::begin(&first, &file, Digest::Known, Some(PART)).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        if is_answered {
            writer.finish().await.unwrap();
        } else {
            let _lost = wiki.switch("lose-publish-answer");
            assert_doubt(writer.finish().await);
        }
        let journal = writer.end();
        taken_over(&wiki, &file, &journal).await.assert_finished();
        assert_versions(&wiki, &file, versions(before)).await;
    }
}

#[tokio::test]
async fn a_file_that_was_only_going_to_be_published_is_published() {
    let wiki = wide().await;
    for (others, before) in [(false, Before::Nothing), (false, Before::SameSize), (true, Before::SameSize)] {
        wiki.empty().await;
        let file = file(&wiki, SIZE, before).await;
        let first = wiki.bot();
        let mut writer = Writer::begin(&first, &file, Digest::Known, Some(PART)).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        writer.note_finish();
        let journal = writer.end();
        if others {
            overwrite(&wiki, SIZE).await;
        }
        taken_over(&wiki, &file, &journal).await.assert_gone_on(0);
        assert_versions(&wiki, &file, versions(before) + usize::from(others)).await;
    }
}

#[tokio::test]
async fn a_stash_that_was_purged_is_filled_again() {
    let wiki = wide().await;
    for left in [2, 0] {
        wiki.empty().await;
        let file = file(&wiki, SIZE, Before::SameSize).await;
        let journal = left_with(&wiki, &file, left).await;
        wiki.manage(&["age-stash"]);
        taken_over(&wiki, &file, &journal).await.assert_begun_again(&file);
        assert_versions(&wiki, &file, 2).await;
    }
}

/// With the SHA-1 it is recognised; without it, it is sent again, and the wiki says that it has it.
#[tokio::test]
async fn a_file_of_one_request_is_there_if_it_was_made() {
    let wiki = wide().await;
    for (digest, before) in [(Digest::Known, Before::SameSize), (Digest::Unknown, Before::Nothing)] {
        wiki.empty().await;
        let file = file(&wiki, 5000, before).await;
        let first = wiki.bot();
        let known = file.spec(&first, Digest::Known);
        let spec = if digest == Digest::Known { known } else { Spec { sha1: None, ..known } };
        {
            let _lost = wiki.switch("lose-publish-answer");
            assert_doubt(first.put_whole(&spec, Payload::from_bytes(file.bytes.clone(), 0)).await);
        }
        let resumed = taken_over(&wiki, &file, &Journal::of_whole(&spec)).await;
        match digest {
            Digest::Known => resumed.assert_finished(),
            Digest::Unknown => resumed.assert_begun_again(&file),
        }
        assert_versions(&wiki, &file, versions(before)).await;
    }
}

#[tokio::test]
async fn a_file_of_one_request_that_was_not_sent_is_sent() {
    let wiki = wide().await;
    for (others, before) in [(false, Before::Nothing), (false, Before::SameSize), (true, Before::Nothing)] {
        wiki.empty().await;
        let file = file(&wiki, 5000, before).await;
        let spec = file.spec(&wiki.bot(), Digest::Known);
        if others {
            overwrite(&wiki, 5000).await;
        }
        taken_over(&wiki, &file, &Journal::of_whole(&spec)).await.assert_begun_again(&file);
        assert_versions(&wiki, &file, versions(before) + usize::from(others)).await;
    }
}

/// A first part whose answer was lost is in the stash under a key that nobody knows.
#[tokio::test]
async fn a_first_part_that_nobody_heard_of_is_sent_again() {
    let wiki = wide().await;
    let file = file(&wiki, SIZE, Before::SameSize).await;
    let (first, digest) = (wiki.bot(), Digest::Known);
    first.connect().await.unwrap();
    {
        let _lost = wiki.switch("lose-chunk-answer");
        assert!(Writer::begin(&first, &file, digest, Some(PART)).await.is_err());
    }
    for spec in [file.spec(&first, digest), Spec { size: None, sha1: None, ..file.spec(&first, digest) }] {
        let progress = wiki.bot().probe(&spec, None).await.unwrap();
        assert!(matches!(progress, Progress::Gone), "{progress:?}");
    }
    let journal = Journal::of_whole(&file.spec(&first, digest));
    taken_over(&wiki, &file, &journal).await.assert_begun_again(&file);
    assert_versions(&wiki, &file, 2).await;
}
