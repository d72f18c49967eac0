//! The spool: the directory on local disk that takes what memory cannot hold.
//!
//! **Overview.** [`SpoolLock`] makes the directory fit for that and keeps every other daemon out of it. A spill file
//! (`spill.rs`) holds the bytes of one open file that the cache had to push out of memory; it has no name, so that a
//! crash leaves nothing behind.
//!
//! **Contract.** A spill file gives back exactly what was written to it, or an error; it never answers holes. What all
//! spill files take together never exceeds the limit, and a disk that is full for real is told in the same way.
//!
//! **Concurrency.** Everything but the lock does blocking I/O and belongs to the one thread `spool-io`, which the cache
//! runs; nothing in here locks, waits or knows what the bytes mean.
//!
//! **Failure.** Every failure is an [`Error`](crate::error::Error) of the kind `SpoolFull` or `Spool`; nothing is
//! retried here. **Crash.** Spill files vanish with the process; the lock is released by the kernel.

mod lock;
pub(crate) mod spill;

pub use self::lock::SpoolLock;
