//! One spill file: a sparse file without a name that holds bytes of one open file at their own offsets. Does blocking
//! I/O; does not know which of its bytes are current (the cache does).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Kind, Result};
use crate::ranges::Ranges;

/// What a disk allocates at least, in bytes. Accounting in blocks keeps many tiny spills from taking more of the disk
/// than the limit says; the file system's own count would need a call per write and lags behind on delayed allocation.
const BLOCK_BYTES: u64 = 4096;

/// Where spill files come from. A trait so that a test can put a failing disk in its place.
pub(crate) trait Store: Send {
    /// A new, empty file.
    fn create(&self) -> io::Result<Box<dyn Backing>>;
}

/// What a spill file asks of the disk.
pub(crate) trait Backing: Send {
    /// Writes all of `data` at `at`.
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()>;
    /// Fills all of `buffer` from `at` on.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
    /// Cuts the file at `size`.
    fn set_len(&self, size: u64) -> io::Result<()>;
}

/// The store of a spool directory.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Store for Directory {
    fn create(&self) -> io::Result<Box<dyn Backing>> {
        Ok(Box::new(tempfile::tempfile_in(&self.0)?))
    }
}

impl Backing for File {
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, data, at)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, at)
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        File::set_len(self, size)
    }
}

/// The disk space that all spill files share.
#[derive(Debug)]
pub(crate) struct Budget {
    max: u64,
    used: AtomicU64,
}

impl Budget {
    /// Nothing used of `max` bytes.
    pub(crate) fn new(max: u64) -> Arc<Budget> {
        Arc::new(Budget { max, used: AtomicU64::new(0) })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit in bytes.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Whether not even one more block fits.
    pub(crate) fn is_full(&self) -> bool {
        self.used().saturating_add(BLOCK_BYTES) > self.max
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(Kind::SpoolFull, "spill", "the spool is at its limit")),
        }
    }

    fn give(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "a spill file gives back what it took");
    }
}

/// A spill file. Dropping it gives its space back, which may take the disk a while.
pub(crate) struct SpillFile {
    backing: Box<dyn Backing>,
    /// The blocks that are accounted for. A failed write may leave blocks in here that the disk never allocated: they
    /// are counted until the file is cut or dropped, since assuming the opposite could break the limit.
    blocks: Ranges,
    budget: Arc<Budget>,
}

impl SpillFile {
    /// A new, empty file.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`.
    pub(crate) fn create(store: &dyn Store, budget: &Arc<Budget>) -> Result<SpillFile> {
        let backing = store.create().map_err(|error| Error::spool("spill", error))?;
        Ok(SpillFile { backing, blocks: Ranges::new(), budget: budget.clone() })
    }

    /// Sets space aside for `ranges`, for all of them or for none, so that a chunk is not spilled by halves.
    ///
    /// # Errors
    /// `SpoolFull` when the limit does not allow it.
    pub(crate) fn reserve(&mut self, ranges: &Ranges) -> Result<()> {
        let before = self.blocks.len();
        let mut blocks = self.blocks.clone();
        for range in ranges.iter() {
            blocks.insert(blocks_of(range));
        }
        self.budget.take(blocks.len() - before)?;
        self.blocks = blocks;
        Ok(())
    }

    /// Writes `data` at `at`, for which space was set aside.
    ///
    /// # Errors
    /// `SpoolFull` when the disk is full for real, `Spool`.
    pub(crate) fn write(&mut self, at: u64, data: &[u8]) -> Result<()> {
        debug_assert!(self.blocks.covers(at..at + data.len() as u64), "space is set aside before it is used");
        self.backing.write_all_at(data, at).map_err(|error| Error::spool("spill", error))
    }

    /// The bytes `range`, all of which were written before.
    ///
    /// # Errors
    /// `Spool` when the disk fails or the file is shorter than it should be.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let len = usize::try_from(range.end - range.start).expect("a spilled piece fits into memory");
        let mut bytes = vec![0; len];
        self.backing.read_exact_at(&mut bytes, range.start).map_err(|error| Error::spool("read", error))?;
        Ok(bytes)
    }

    /// Gives the space from `size` on back.
    ///
    /// # Errors
    /// `Spool`; the space then stays counted.
    pub(crate) fn truncate(&mut self, size: u64) -> Result<()> {
        let end = size.checked_next_multiple_of(BLOCK_BYTES).unwrap_or(u64::MAX);
        if self.blocks.end() <= end {
            return Ok(());
        }
        self.backing.set_len(size).map_err(|error| Error::spool("truncate", error))?;
        let before = self.blocks.len();
        self.blocks.truncate(end);
        self.budget.give(before - self.blocks.len());
        Ok(())
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.budget.give(self.blocks.len());
    }
}

fn blocks_of(range: Range<u64>) -> Range<u64> {
    range.start / BLOCK_BYTES * BLOCK_BYTES..range.end.next_multiple_of(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(max: u64) -> (SpillFile, Arc<Budget>, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let budget = Budget::new(max);
        let file = SpillFile::create(&Directory(home.path().to_owned()), &budget).unwrap();
        (file, budget, home)
    }

    fn put(file: &mut SpillFile, at: u64, data: &[u8]) -> Result<()> {
        file.reserve(&std::iter::once(at..at + data.len() as u64).collect())?;
        file.write(at, data)
    }

    #[test]
    fn bytes_come_back_and_leave_no_name() {
        let (mut file, budget, home) = file(1 << 20);
        put(&mut file, 1_000_000_000, b"far away").unwrap();
        put(&mut file, 10, b"near").unwrap();
        assert_eq!(file.read(1_000_000_004..1_000_000_008).unwrap(), b"away");
        assert_eq!(file.read(10..14).unwrap(), b"near");
        assert_eq!(budget.used(), 2 * BLOCK_BYTES);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
        drop(file);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_limit_counts_blocks_and_the_same_block_once() {
        let (mut file, budget, _home) = file(2 * BLOCK_BYTES);
        put(&mut file, 0, b"x").unwrap();
        put(&mut file, 1, &[7; 4000]).unwrap();
        assert_eq!(budget.used(), BLOCK_BYTES);
        assert!(!budget.is_full());
        let two = put(&mut file, BLOCK_BYTES, &[7; BLOCK_BYTES as usize + 1]).unwrap_err();
        assert_eq!(two.kind, Kind::SpoolFull);
        assert_eq!(budget.used(), BLOCK_BYTES, "all or nothing");
        put(&mut file, BLOCK_BYTES, &[7; BLOCK_BYTES as usize]).unwrap();
        assert!(budget.is_full());
    }

    #[test]
    fn cutting_gives_space_back() {
        let (mut file, budget, _home) = file(1 << 20);
        put(&mut file, 0, &[1; 3 * BLOCK_BYTES as usize]).unwrap();
        file.truncate(BLOCK_BYTES + 1).unwrap();
        assert_eq!(budget.used(), 2 * BLOCK_BYTES);
        assert_eq!(file.read(0..BLOCK_BYTES + 1).unwrap().len(), BLOCK_BYTES as usize + 1);
        let beyond = file.read(0..2 * BLOCK_BYTES).unwrap_err();
        assert_eq!(beyond.kind, Kind::Spool, "a short file is damage, not zeros");
        file.truncate(0).unwrap();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_limit_of_nothing_takes_nothing() {
        let (mut file, budget, _home) = file(0);
        assert!(budget.is_full());
        assert_eq!(put(&mut file, 0, b"x").unwrap_err().kind, Kind::SpoolFull);
    }
}
