//! The service in memory, of every family. Its sessions are there for as long as it is, whoever asks: it stands for a
//! service that never forgets a session by itself.

use uploadfs::path::RemotePath;
use uploadfs::service::memory::{Memory, MemoryConfig};
use uploadfs::service::{Node, Payload, Progress};

use super::cases::Before;
use super::journal::{Digest, File, Journal, Writer, resume};
use crate::support::fixture::small_parts;
use crate::support::upload::{any, text};

/// The size of files that go in parts, in bytes.
const LARGE: usize = 20_001;
/// The size of files that go in one request, in bytes.
const SMALL: usize = 1500;

fn path() -> RemotePath {
    RemotePath::parse("a.txt").unwrap()
}

/// Every family that takes files in parts.
fn in_parts() -> [MemoryConfig; 5] {
    [
        MemoryConfig::friendly(),
        MemoryConfig::streamed_sequential(),
        MemoryConfig::streamed_parallel(),
        MemoryConfig::declared_sequential(),
        MemoryConfig::declared_parallel(),
    ]
    .map(small_parts)
}

async fn file(memory: &Memory, size: usize, before: Before) -> File {
    let replaces = match before {
        Before::Nothing => None,
        Before::SameSize => Some(overwrite(memory, size, 2).await),
    };
    File { path: path(), bytes: text(size, 1), replaces }
}

/// Puts as many other bytes in the place of the file.
async fn overwrite(memory: &Memory, size: usize, seed: u64) -> Node {
    any(memory, &path(), &text(size, seed)).await.unwrap()
}

/// Runs `case` on every family, with everything that may stand there before and everything that may be known.
async fn each(configs: impl IntoIterator<Item = MemoryConfig>, case: impl AsyncFn(&Memory, Before, Digest)) {
    for config in configs {
        for before in Before::ALL {
            for digest in Digest::ALL {
                let memory = Memory::new(config.clone());
                case(&memory, before, digest).await;
                assert_eq!(memory.violations(), [""; 0]);
                assert_eq!(memory.open_sessions(), []);
            }
        }
    }
}

#[track_caller]
fn assert_versions(memory: &Memory, file: &File, versions: u64) {
    let found = memory.file(&path()).unwrap();
    assert_eq!((found.versions, memory.files().len()), (versions, 1));
    assert_eq!(memory.content(&path()).unwrap(), file.bytes);
}

fn versions(before: Before) -> u64 {
    if before == Before::Nothing { 1 } else { 2 }
}

#[tokio::test]
async fn a_session_is_gone_on_with_wherever_it_was_left() {
    for loses_receipt in [false, true] {
        for left in 0..=3 {
            each(in_parts(), async |memory, before, digest| {
                let file = file(memory, LARGE, before).await;
                let mut writer = Writer::begin(memory, &file, digest, None).await.unwrap();
                writer.put_all_but(left).await.unwrap();
                let missing = writer.bytes_left();
                if loses_receipt {
                    // The service knows what it has.
                    writer.lose_receipt();
                }
                writer.note_finish();
                resume(memory, &file, &writer.end(), None).await.assert_gone_on(missing);
                assert_versions(memory, &file, versions(before));
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_file_that_was_made_is_there() {
    each(in_parts(), async |memory, before, digest| {
        let file = file(memory, LARGE, before).await;
        let mut writer = Writer::begin(memory, &file, digest, None).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        writer.finish().await.unwrap();
        resume(memory, &file, &writer.end(), None).await.assert_finished();
        assert_versions(memory, &file, versions(before));
    })
    .await;
}

/// As many bytes in the place of the file are not the file, whether the session is there or not.
#[tokio::test]
async fn a_file_that_was_only_going_to_be_made_is_made() {
    for expires in [false, true] {
        each(in_parts(), async |memory, before, digest| {
            let file = file(memory, LARGE, before).await;
            let mut writer = Writer::begin(memory, &file, digest, None).await.unwrap();
            writer.put_all_but(0).await.unwrap();
            writer.note_finish();
            let journal = writer.end();
            overwrite(memory, LARGE, 3).await;
            if expires {
                memory.expire_sessions();
            }
            let resumed = resume(memory, &file, &journal, None).await;
            match expires {
                true => resumed.assert_begun_again(&file),
                false => resumed.assert_gone_on(0),
            }
            assert_versions(memory, &file, versions(before) + 1);
        })
        .await;
    }
}

#[tokio::test]
async fn a_file_of_one_request_is_there_if_it_was_made() {
    let configs = [MemoryConfig::whole(), MemoryConfig::friendly(), MemoryConfig::streamed_sequential()];
    for is_sent in [true, false] {
        each(configs.clone(), async |memory, before, digest| {
            let file = file(memory, SMALL, before).await;
            let spec = file.spec(memory, digest);
            if is_sent {
                let payload = Payload::from_bytes(file.bytes.clone(), 0);
                uploadfs::service::Service::put_whole(memory, &spec, payload).await.unwrap();
            }
            let resumed = resume(memory, &file, &Journal::of_whole(&spec), None).await;
            match is_sent {
                true => resumed.assert_finished(),
                false => resumed.assert_begun_again(&file),
            }
            assert_versions(memory, &file, versions(before));
        })
        .await;
    }
}

/// As many bytes in its place, in one request of others or in parts, are not the file.
#[tokio::test]
async fn a_file_of_one_request_that_was_not_sent_is_no_other() {
    let configs = [MemoryConfig::friendly(), MemoryConfig::streamed_sequential()];
    each(configs, async |memory, before, digest| {
        let file = file(memory, SMALL, before).await;
        let spec = file.spec(memory, digest);
        let theirs = File { bytes: text(SMALL, 3), ..file.clone() };
        let mut writer = Writer::begin(memory, &theirs, digest, None).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        writer.finish().await.unwrap();
        resume(memory, &file, &Journal::of_whole(&spec), None).await.assert_begun_again(&file);
        assert_versions(memory, &file, versions(before) + 1);
    })
    .await;
}

/// Another process of another service: a token says nothing there, and a checksum does.
#[tokio::test]
async fn a_service_that_has_forgotten_everything_goes_by_the_content() {
    for config in in_parts() {
        let first = Memory::new(config.clone());
        let file = file(&first, LARGE, Before::Nothing).await;
        let mut writer = Writer::begin(&first, &file, Digest::Known, None).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        writer.finish().await.unwrap();
        let journal = writer.end();
        let second = Memory::new(config);
        overwrite(&second, LARGE, 3).await;
        let told = uploadfs::service::Service::probe(&second, &journal.spec, journal.session()).await.unwrap();
        assert!(matches!(told, Progress::Gone), "{told:?}");
        let node = overwrite(&second, LARGE, 1).await;
        let told = uploadfs::service::Service::probe(&second, &journal.spec, journal.session()).await.unwrap();
        assert!(matches!(told, Progress::Finished(found) if found == node));
    }
}
