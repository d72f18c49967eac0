//! Tests of the cache as a whole, and what they share: small caches, a disk that fails on demand, whole reads.

mod model;
mod pieces;
mod room;
mod spilling;
mod stress;

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::content::Inner;
use super::worker::Message;
use super::{Cache, CacheConfig, CachedContent, Piece};
use crate::spool::Spool;
use crate::spool::disk::{Directory, Disk, DiskFile};

/// The chunk of all these tests: the smallest.
const CHUNK: u64 = 4096;
/// A spool that is never full.
const PLENTY: u64 = 1 << 30;

fn config(directory: &Path, buffers: u64, spool_bytes_max: u64) -> CacheConfig {
    CacheConfig { memory_bytes: buffers * CHUNK, chunk_bytes: CHUNK, spool_dir: directory.to_owned(), spool_bytes_max }
}

/// A cache of `buffers` buffers in a directory of its own.
fn cache(buffers: u64, spool_bytes_max: u64) -> (Arc<Cache>, TempDir) {
    let home = tempfile::tempdir().unwrap();
    (Cache::open(config(home.path(), buffers, spool_bytes_max)).unwrap(), home)
}

/// A cache over a disk that does as it is told.
fn cache_on_faulty_disk(buffers: u64) -> (Arc<Cache>, Arc<Faults>, TempDir) {
    let home = tempfile::tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let disk = FaultyDisk { real: Directory(home.path().to_owned()), faults: faults.clone() };
    let cache = Cache::with_spool(config(home.path(), buffers, PLENTY), || Spool::on(Arc::new(disk), None));
    (cache.unwrap(), faults, home)
}

/// Which errno each operation answers; 0 for none.
#[derive(Default)]
struct Faults {
    create: AtomicI32,
    write: AtomicI32,
    read: AtomicI32,
    /// How many writes were refused.
    refused: AtomicU64,
}

fn fail(errno: &AtomicI32) -> io::Result<()> {
    match errno.load(Ordering::SeqCst) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

struct FaultyDisk {
    real: Directory,
    faults: Arc<Faults>,
}

impl Disk for FaultyDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        fail(&self.faults.create)?;
        Ok(Arc::new(FaultyFile { real: self.real.create(name)?, faults: self.faults.clone() }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(FaultyFile { real: self.real.open(name)?, faults: self.faults.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.real.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.real.remove(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        self.real.names()
    }

    fn sync_names(&self) -> io::Result<()> {
        self.real.sync_names()
    }

    fn free(&self) -> io::Result<u64> {
        self.real.free()
    }
}

struct FaultyFile {
    real: Arc<dyn DiskFile>,
    faults: Arc<Faults>,
}

impl DiskFile for FaultyFile {
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        if let Err(error) = fail(&self.faults.write) {
            self.faults.refused.fetch_add(1, Ordering::SeqCst);
            // As a real disk does: some of it was written.
            self.real.write_all_at(&data[..data.len() / 2], at)?;
            return Err(error);
        }
        self.real.write_all_at(data, at)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        fail(&self.faults.read)?;
        self.real.read_exact_at(buffer, at)
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        self.real.set_len(size)
    }

    fn len(&self) -> io::Result<u64> {
        self.real.len()
    }

    fn sync(&self) -> io::Result<()> {
        self.real.sync()
    }
}

/// The byte that file `seed` has at `at`; unlike its neighbours and unlike the same place in other chunks and files.
fn byte(seed: u64, at: u64) -> u8 {
    let mixed = (at ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

fn bytes(seed: u64, range: Range<u64>) -> Vec<u8> {
    range.map(|at| byte(seed, at)).collect()
}

/// Writes all of `data`, waiting for room as often as it takes.
async fn write_all(content: &CachedContent, at: u64, data: &[u8]) {
    let mut done = 0;
    loop {
        done += content.write(at + done as u64, &data[done..]);
        if done == data.len() {
            return;
        }
        content.room().await.unwrap();
    }
}

/// All of `range`, none of which may be missing.
async fn read_all(content: &CachedContent, range: Range<u64>) -> Vec<u8> {
    let mut all = Vec::new();
    while (all.len() as u64) < range.end - range.start {
        let at = range.start + all.len() as u64;
        let part = content.read(at, range.end - at).await.unwrap();
        all.extend_from_slice(&part.unwrap_or_else(|| panic!("byte {at} is missing")));
    }
    all
}

/// Ends when the spool thread has done everything it was asked for before: with each message it also looks at one
/// chunk, and the caches of these tests have far fewer chunks than this sends messages.
async fn settle(cache: &Arc<Cache>) {
    for _ in 0..100 {
        let (reply, answer) = oneshot::channel();
        let content = Inner::new(0, cache.shared.clone());
        cache.send(Message::Read { content, range: 0..1, reply });
        assert!(answer.await.unwrap().unwrap().is_empty());
    }
}

/// How many bytes of `range` are in memory, spooled, missing. Not a use of the chunks.
fn places(content: &CachedContent, range: Range<u64>) -> (u64, u64, u64) {
    let (mut sums, mut at) = ((0, 0, 0), range.start);
    while at < range.end {
        let piece = content.piece(at, range.end - at);
        at += piece.len();
        match piece {
            Piece::Memory(_) => sums.0 += piece.len(),
            Piece::Spooled(_) => sums.1 += piece.len(),
            Piece::Missing(_) => sums.2 += piece.len(),
        }
    }
    sums
}
