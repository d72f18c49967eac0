//! The spool: the directory on local disk that takes what memory cannot hold, and what must outlive the process.
//!
//! **Overview.** [`SpoolLock`] makes the directory fit for that and keeps every other daemon out of it. A spill file
//! (`spill.rs`) holds the bytes of one open file that the cache had to push out of memory, or that somebody wants to be
//! safe. It becomes an *entry* when its [`Journal`] says what it is ([`Info`]) and how far it came ([`Record`]). What
//! has no such word is swept away by the next mount.
//!
//! The directory is flat. For each entry, by its number: `N.data`, the bytes at their own offsets, sparse; `N.info`, one
//! line; `N.log`, a line each step. Every line carries a checksum. One directory for each entry was rejected: it costs
//! two more syncs for each file, and there is one moment more to die at.
//!
//! **Contract.** A spill file gives back exactly what was written to it, or an error; it never answers holes. What all
//! spill files take together never exceeds the limit, and a disk that is full for real is told in the same way. What the
//! journal has confirmed is found by [`Spool::recover`] after `kill -9` and power cuts. What cannot be read is set
//! aside and told, never dropped, and keeps no other entry from being found.
//!
//! **Concurrency.** Everything but the lock does blocking I/O. The bytes belong to the one thread `spool-io`, which the cache
//! runs; journals are written from threads for blocking work, so that a sync keeps no reader waiting.
//!
//! **Failure.** Every failure is an [`Error`] of the kind `SpoolFull` or `Spool`; nothing is
//! retried here. **Crash.** Spill files without an entry are swept away; the lock is released by the kernel.

pub(crate) mod disk;
mod entry;
mod journal;
mod line;
mod lock;
#[cfg(test)]
pub(crate) mod model;
mod recover;
pub(crate) mod spill;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use self::disk::{Directory, Disk};
pub use self::entry::{Base, EntryId, Fate, History, Info, OpenSession, Reason, Record, Sent};
pub use self::journal::Journal;
pub use self::lock::SpoolLock;
pub use self::recover::Found;
use crate::error::{Error, Result};

/// A spool that this process holds.
pub struct Spool {
    disk: Arc<dyn Disk>,
    /// The last number that was given out.
    last: AtomicU64,
    /// The remote that this process keeps files for.
    remote: OnceLock<String>,
    _lock: Option<SpoolLock>,
}

impl Spool {
    /// Takes the spool in `directory`, which is made where it is missing.
    ///
    /// # Errors
    /// Those of [`SpoolLock::acquire`]; `Spool` when it cannot be read.
    pub fn open(directory: &Path) -> Result<Arc<Spool>> {
        let lock = SpoolLock::acquire(directory)?;
        Spool::on(Arc::new(Directory(directory.to_owned())), Some(lock))
    }

    pub(crate) fn on(disk: Arc<dyn Disk>, lock: Option<SpoolLock>) -> Result<Arc<Spool>> {
        let names = disk.names().map_err(|error| Error::spool("spool", error))?;
        // Also those of files that were set aside: a number means one thing for as long as the spool lives.
        let last = names.iter().filter_map(|name| EntryId::of(name)).map(|(id, _)| id.0).max().unwrap_or(0);
        Ok(Arc::new(Spool { disk, last: AtomicU64::new(last), remote: OnceLock::new(), _lock: lock }))
    }

    /// A number that no entry has had.
    pub fn next_id(&self) -> EntryId {
        EntryId(self.next_order())
    }

    /// A number greater than all before; see [`Info::order`].
    pub fn next_order(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The remote that this process keeps files for; empty before [`Spool::recover`].
    pub fn remote(&self) -> &str {
        self.remote.get().map_or("", String::as_str)
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Bytes that the disk below still has; `None` when it does not say.
    pub fn free(&self) -> Option<u64> {
        self.disk.free().ok()
    }
}
