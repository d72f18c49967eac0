//! The cache: the content of open files in aligned chunks, in one LRU over all of them, within a byte budget.
//!
//! **Overview.** A [`CachedContent`] is the current view of one file's bytes. What programs write and what was read
//! from the service lie side by side in its chunks; what is neither in memory nor in the spool is *missing*, and the layer
//! above gets it from the service or takes zeros. Contents are *kept* (uncommitted: this is the only copy) or
//! *droppable* (the service has it). When memory runs low, the chunks that were not used for the longest time go first:
//! droppable ones are forgotten, kept ones are written to a spill file ([`crate::spool`]) and read from there again.
//!
//! **Contract.** A kept byte is never missing and never altered until it is overwritten, truncated or released. A
//! droppable byte is right or missing. `fill` never overwrites. A [`bytes::Bytes`] handed out never changes under its
//! holder. Memory never exceeds its limit, however many files there are and however large; views that were handed out
//! count. Bytes read back from the spool are the reader's own, at most a chunk for each read under way.
//!
//! **Order and concurrency.** Every method takes `&self`. A writer never waits: it takes what there is room for and is
//! told to await `room`. Locks are held for memory work only, in this order: content, recency, pool. Nobody holds two
//! contents. A chunk never moves while it is copied, because its content is locked: a reader sees each byte old or new,
//! never missing. One thread, `spool-io`, does all disk work; it copies nothing and locks nothing while the disk works,
//! but takes a view of the chunk, so that a writer who comes meanwhile goes on in a copy and the result is not used.
//! A part of the buffers is left to readers, and one content cannot take all: see `room.rs`.
//!
//! **Failure.** A chunk that cannot be spilled stays in memory. Its writer hears of it only when there is no other
//! room.
//! **Cancellation.** Dropping the future of `room` or `read_spooled` at any point is harmless.
//! **Crash.** What [`CachedContent::sync`] brought to disk survives if a journal says what it is; nothing else does.

mod content;
mod pool;
mod recency;
mod room;
mod state;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;

use self::content::Inner;
pub use self::content::{CachedContent, ROOM_WAIT};
use self::room::{BUFFERS_MIN, Shared};
pub use self::state::Piece;
pub use self::worker::Synced;
use self::worker::{Message, Worker};
use crate::error::{Error, Kind, Result};
use crate::ranges::Ranges;
use crate::spool::spill::{Budget, SpillFile};
use crate::spool::{EntryId, Spool};

/// The least size of a chunk in bytes: a page, below which the bookkeeping costs more than the bytes.
const CHUNK_BYTES_MIN: u64 = 4096;

/// Bytes copied at once from one spill file to another.
const COPY_BYTES: usize = 1 << 20;

/// How much the cache may use, and where it spills.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Memory for content, in bytes. At least four chunks.
    pub memory_bytes: u64,
    /// The size of a chunk in bytes: a power of two, at least 4096.
    pub chunk_bytes: u64,
    /// The directory that spill files are made in.
    pub spool_dir: PathBuf,
    /// Disk space for spill files, in bytes. 0: nothing is spilled.
    pub spool_bytes_max: u64,
}

impl CacheConfig {
    /// The default memory in bytes: two seconds of a fast disk's writing, little on any machine that copies files.
    pub const MEMORY_BYTES: u64 = 128 << 20;
    /// The default chunk in bytes: the largest write request of the kernel, so that a request is one copy.
    pub const CHUNK_BYTES: u64 = 1 << 20;
}

/// What is in use of what, in bytes; for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Memory in use by chunks and views of them.
    pub memory_bytes: u64,
    /// Memory that may be used.
    pub memory_bytes_max: u64,
    /// Disk space taken by spill files.
    pub spooled_bytes: u64,
    /// Disk space that may be taken.
    pub spooled_bytes_max: u64,
    /// How many writers are waiting for room.
    pub writers_waiting: usize,
}

/// Room for bytes that the service does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes when nothing is in use.
    pub bytes_max: u64,
    /// Bytes that are free.
    pub bytes_free: u64,
}

/// All content that is held. The spool thread ends when the cache and all its contents are dropped.
pub struct Cache {
    shared: Arc<Shared>,
    mailbox: Sender<Message>,
    last_content: AtomicU64,
    buffers: u64,
    spool: Arc<Spool>,
}

impl Cache {
    /// Takes the spool directory and starts the spool thread.
    ///
    /// # Errors
    /// `Invalid` for sizes that cannot work; those of [`Spool::open`].
    pub fn open(config: CacheConfig) -> Result<Arc<Cache>> {
        let spool = config.spool_dir.clone();
        Cache::with_spool(config, || Spool::open(&spool))
    }

    pub(crate) fn with_spool(config: CacheConfig, open: impl FnOnce() -> Result<Arc<Spool>>) -> Result<Arc<Cache>> {
        let invalid = |what: &'static str| Error::new(Kind::Invalid, "cache", what);
        if !config.chunk_bytes.is_power_of_two() || config.chunk_bytes < CHUNK_BYTES_MIN {
            return Err(invalid("the chunk size must be a power of two and at least 4096 bytes"));
        }
        let buffers = config.memory_bytes / config.chunk_bytes;
        if buffers < BUFFERS_MIN {
            return Err(invalid("the memory for content must be at least four chunks"));
        }
        let in_memory = |count: u64| usize::try_from(count).map_err(|_| invalid("so much memory cannot be addressed"));
        let (buffer_count, chunk_bytes) = (in_memory(buffers)?, in_memory(config.chunk_bytes)?);

        let spool = open()?;
        let shared = Arc::new(Shared::new(buffer_count, chunk_bytes, Budget::new(config.spool_bytes_max)));
        let (mailbox, messages) = crossbeam_channel::unbounded();
        let worker = Worker::new(shared.clone(), messages, spool.clone());
        std::thread::Builder::new()
            .name("spool-io".into())
            .spawn(move || worker.run())
            .map_err(|error| Error::spool("cache", error))?;
        Ok(Arc::new(Cache { shared, mailbox, last_content: AtomicU64::new(0), buffers, spool }))
    }

    /// A new, empty content; droppable until it is told to keep.
    pub fn content(self: &Arc<Self>) -> CachedContent {
        let id = self.last_content.fetch_add(1, Ordering::Relaxed) + 1;
        CachedContent::new(Inner::new(id, self.shared.clone()), self.clone())
    }

    /// The spool below.
    pub fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// The spill file of an entry that was found, with the bytes `local`; it counts from now on.
    pub(crate) fn spill_file(&self, id: EntryId, local: &Ranges) -> SpillFile {
        SpillFile::found(self.spool.disk(), id, local, &self.shared.budget)
    }

    /// A new spill file with a copy of the bytes `keep` of another one. Blocks.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`.
    pub(crate) fn copy_of(&self, synced: &Synced, keep: &Ranges) -> Result<SpillFile> {
        let mut copy = SpillFile::create(self.spool.disk(), self.spool.next_id(), &self.shared.budget)?;
        copy.reserve(keep)?;
        let mut buffer = vec![0; COPY_BYTES];
        for range in keep.iter() {
            let mut at = range.start;
            while at < range.end {
                let part = &mut buffer[..COPY_BYTES.min(usize::try_from(range.end - at).unwrap_or(COPY_BYTES))];
                synced.read(part, at)?;
                copy.write(at, part)?;
                at += part.len() as u64;
            }
        }
        Ok(copy)
    }

    /// The size of a chunk in bytes.
    pub fn chunk_bytes(&self) -> u64 {
        self.shared.chunk_bytes
    }

    /// What is in use.
    pub fn usage(&self) -> Usage {
        Usage {
            memory_bytes: self.shared.pool.used() as u64 * self.shared.chunk_bytes,
            memory_bytes_max: self.buffers * self.shared.chunk_bytes,
            spooled_bytes: self.shared.budget.used(),
            spooled_bytes_max: self.shared.budget.max(),
            writers_waiting: self.shared.waiting(),
        }
    }

    /// What bounds a writer: the limit of the spool, or what its disk still has. Where nothing may be spooled, memory. Asks
    /// the disk, which answers from memory.
    pub fn space(&self) -> Space {
        let usage = self.usage();
        if usage.spooled_bytes_max == 0 {
            let bytes_free = usage.memory_bytes_max.saturating_sub(usage.memory_bytes);
            return Space { bytes_max: usage.memory_bytes_max, bytes_free };
        }
        let on_disk = self.spool.free().unwrap_or(u64::MAX);
        let bytes_free = usage.spooled_bytes_max.saturating_sub(usage.spooled_bytes).min(on_disk);
        let bytes_max = usage.spooled_bytes_max.min(usage.spooled_bytes.saturating_add(on_disk));
        Space { bytes_max, bytes_free }
    }

    fn send(&self, message: Message) {
        // Without the thread there is nobody to work: a reader notices by its reply, a writer by its wait.
        let _ = self.mailbox.send(message);
    }
}
