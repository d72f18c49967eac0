//! Real threads on a small cache: two writers, a reader of both, and one who releases what is finished.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Files that each writer writes one after the other.
const FILES: u64 = 12;
/// Bytes of each file; twice the memory of the cache.
const FILE_BYTES: u64 = 24 * CHUNK + 77;
const BUFFERS: u64 = 12;

/// A file that is being written.
struct File {
    content: CachedContent,
    seed: u64,
    /// Everything before this is written.
    written: AtomicU64,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn write_files(cache: &Arc<Cache>, seeds: Range<u64>, step: u64, share: &crossbeam_channel::Sender<Arc<File>>) {
    let runtime = runtime();
    for seed in seeds {
        let content = cache.content();
        content.keep();
        let file = Arc::new(File { content, seed, written: AtomicU64::new(0) });
        share.send(file.clone()).unwrap();
        let mut at = 0;
        while at < FILE_BYTES {
            let end = (at + step).min(FILE_BYTES);
            runtime.block_on(write_all(&file.content, at, &bytes(seed, at..end)));
            // Overwriting with the same bytes must not show either.
            let back = at / 2;
            runtime.block_on(write_all(&file.content, back, &bytes(seed, back..back + 10.min(end))));
            file.written.store(end, Ordering::Release);
            at = end;
        }
    }
}

/// Reads a file that is being written until all of it is there.
fn follow(file: &File) {
    let runtime = runtime();
    loop {
        let written = file.written.load(Ordering::Acquire);
        let mut at = 0;
        while at < written {
            let part = runtime.block_on(file.content.read(at, written - at)).unwrap();
            let part = part.unwrap_or_else(|| panic!("byte {at} of file {} is missing", file.seed));
            assert!(part.iter().zip(at..).all(|(have, at)| *have == byte(file.seed, at)), "file {}", file.seed);
            at += part.len() as u64;
        }
        if written == FILE_BYTES {
            return;
        }
        std::thread::yield_now();
    }
}

fn release(file: &File) {
    let content = &file.content;
    content.release();
    let mut at = 0;
    for piece in content.pieces(0..FILE_BYTES) {
        match &piece {
            Piece::Memory(bytes) => assert!(bytes.iter().zip(at..).all(|(have, at)| *have == byte(file.seed, at))),
            Piece::Spooled(range) => panic!("{range:?} is still spooled"),
            Piece::Missing(_) => {}
        }
        at += piece.len();
    }
}

#[test]
fn threads_do_not_disturb_each_other() {
    let (cache, _home) = cache(BUFFERS, PLENTY);
    let (share, shared) = crossbeam_channel::bounded::<Arc<File>>(4);
    let (done, finished) = crossbeam_channel::bounded::<Arc<File>>(2);
    std::thread::scope(|scope| {
        let (cache, second) = (&cache, share.clone());
        scope.spawn(move || write_files(cache, 0..FILES, 1000, &share));
        scope.spawn(move || write_files(cache, FILES..2 * FILES, 3 * CHUNK, &second));
        scope.spawn(move || {
            for file in shared {
                follow(&file);
                // A reader fills what it finds missing; nothing of this may show.
                file.content.fill(0, &vec![0xff; FILE_BYTES as usize]);
                follow(&file);
                done.send(file).unwrap();
            }
        });
        scope.spawn(move || finished.iter().for_each(|file| release(&file)));
    });
    runtime().block_on(settle(&cache));
    assert_eq!((cache.usage().memory_bytes, cache.usage().spooled_bytes), (0, 0));
}
