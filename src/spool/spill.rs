//! One spill file: a sparse file that holds bytes of one file at their own offsets. Does blocking I/O; does not know
//! which of its bytes are current (the cache does), nor what they are for (the journal does).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::EntryId;
use super::disk::{Disk, DiskFile};
use crate::error::{Error, Kind, Result};
use crate::ranges::Ranges;

/// What a disk allocates at least, in bytes. Accounting in blocks keeps many tiny spills from taking more of the disk
/// than the limit says; the file system's own count would need a call per write and lags behind on delayed allocation.
const BLOCK_BYTES: u64 = 4096;

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

    /// Counts what is on the disk already, whatever the limit.
    fn count(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "a spill file gives back what it took");
    }
}

/// A spill file. Dropping it gives its space back, which may take the disk a while; unless it belongs to an entry: then
/// it ends with that.
pub(crate) struct SpillFile {
    id: EntryId,
    disk: Arc<dyn Disk>,
    /// `None` while it rests: there may be more entries than a process may have open files.
    open: Option<Arc<dyn DiskFile>>,
    /// Whether an entry speaks of it, or is about to.
    safe: bool,
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
    pub(crate) fn create(disk: &Arc<dyn Disk>, id: EntryId, budget: &Arc<Budget>) -> Result<SpillFile> {
        let file = disk.create(&id.data()).map_err(|error| Error::spool("spill", error))?;
        let (disk, blocks, budget) = (disk.clone(), Ranges::new(), budget.clone());
        Ok(SpillFile { id, disk, open: Some(file), safe: false, blocks, budget })
    }

    /// The file of an entry that was found, with the bytes `local`. It counts against the limit, also beyond it.
    pub(crate) fn found(disk: &Arc<dyn Disk>, id: EntryId, local: &Ranges, budget: &Arc<Budget>) -> SpillFile {
        let blocks: Ranges = local.iter().map(blocks_of).collect();
        budget.count(blocks.len());
        SpillFile { id, disk: disk.clone(), open: None, safe: true, blocks, budget: budget.clone() }
    }

    /// Its number.
    pub(crate) fn id(&self) -> EntryId {
        self.id
    }

    /// From now on the file outlives this process. The handle is for syncing it.
    ///
    /// # Errors
    /// `Spool`.
    pub(crate) fn make_safe(&mut self) -> Result<Arc<dyn DiskFile>> {
        self.safe = true;
        self.file("sync")
    }

    /// Closes a file that can be opened again.
    pub(crate) fn rest(&mut self) {
        if self.safe {
            self.open = None;
        }
    }

    fn file(&mut self, op: &'static str) -> Result<Arc<dyn DiskFile>> {
        let file = match self.open.take() {
            Some(file) => file,
            None => self.disk.open(&self.id.data()).map_err(|error| Error::spool(op, error))?,
        };
        self.open = Some(file.clone());
        Ok(file)
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
        self.file("spill")?.write_all_at(data, at).map_err(|error| Error::spool("spill", error))
    }

    /// The bytes `range`, all of which were written before.
    ///
    /// # Errors
    /// `Spool` when the disk fails or the file is shorter than it should be.
    pub(crate) fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        let len = usize::try_from(range.end - range.start).expect("a spilled piece fits into memory");
        let mut bytes = vec![0; len];
        self.file("read")?.read_exact_at(&mut bytes, range.start).map_err(|error| Error::spool("read", error))?;
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
        self.file("truncate")?.set_len(size).map_err(|error| Error::spool("truncate", error))?;
        let before = self.blocks.len();
        self.blocks.truncate(end);
        self.budget.give(before - self.blocks.len());
        Ok(())
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        self.budget.give(self.blocks.len());
        if !self.safe
            && let Err(error) = self.disk.remove(&self.id.data())
        {
            tracing::warn!(file = self.id.data(), %error, "a spill file stays until the next mount");
        }
    }
}

fn blocks_of(range: Range<u64>) -> Range<u64> {
    range.start / BLOCK_BYTES * BLOCK_BYTES..range.end.next_multiple_of(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::disk::Directory;

    fn file(max: u64) -> (SpillFile, Arc<Budget>, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let budget = Budget::new(max);
        let file = SpillFile::create(&disk(home.path()), EntryId(1), &budget).unwrap();
        (file, budget, home)
    }

    fn disk(home: &std::path::Path) -> Arc<dyn Disk> {
        Arc::new(Directory(home.to_owned()))
    }

    fn put(file: &mut SpillFile, at: u64, data: &[u8]) -> Result<()> {
        file.reserve(&std::iter::once(at..at + data.len() as u64).collect())?;
        file.write(at, data)
    }

    #[test]
    fn bytes_come_back_and_leave_nothing() {
        let (mut file, budget, home) = file(1 << 20);
        put(&mut file, 1_000_000_000, b"far away").unwrap();
        put(&mut file, 10, b"near").unwrap();
        assert_eq!(file.read(1_000_000_004..1_000_000_008).unwrap(), b"away");
        assert_eq!(file.read(10..14).unwrap(), b"near");
        assert_eq!(budget.used(), 2 * BLOCK_BYTES);
        drop(file);
        assert_eq!(budget.used(), 0);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_made_safe_outlives_its_handle_and_counts_when_it_is_found() {
        let (mut file, budget, home) = file(2 * BLOCK_BYTES);
        put(&mut file, BLOCK_BYTES, b"kept").unwrap();
        file.make_safe().unwrap().sync().unwrap();
        file.rest();
        assert_eq!(file.read(BLOCK_BYTES..BLOCK_BYTES + 4).unwrap(), b"kept", "it is opened again");
        drop(file);
        assert_eq!(budget.used(), 0);

        let budget = Budget::new(0);
        let local = std::iter::once(BLOCK_BYTES..BLOCK_BYTES + 4).collect();
        let mut found = SpillFile::found(&disk(home.path()), EntryId(1), &local, &budget);
        assert_eq!((budget.used(), budget.is_full()), (BLOCK_BYTES, true), "beyond the limit, and counted");
        assert_eq!(found.read(BLOCK_BYTES + 1..BLOCK_BYTES + 4).unwrap(), b"ept");
        assert_eq!(put(&mut found, 9 * BLOCK_BYTES, b"x").unwrap_err().kind, Kind::SpoolFull);
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
