//! Keeps the kernel's pages of a file true while one program writes past them (direct I/O) and another reads through
//! them. Kernels from 6.6 on drop the pages themselves; older ones must be told.
//!
//! Telling may wait for a page that a read holds, and that read may wait for us: so it is done by a thread of its own.

use std::collections::BTreeSet;
use std::io;

use crossbeam_channel::{Receiver, Sender, bounded};
use fuser::{INodeNo, Notifier};

/// Most inodes that wait to be told about; more are not remembered. A page that stays is dropped at the next open.
const WAITING_MAX: usize = 1024;

/// The mailbox of the thread.
pub(super) struct Coherence {
    written: Sender<u64>,
}

/// The thread, not yet started: it needs the mount.
pub struct CoherenceThread {
    written: Receiver<u64>,
}

impl Coherence {
    pub(super) fn new() -> (Self, CoherenceThread) {
        let (sender, receiver) = bounded(WAITING_MAX);
        (Coherence { written: sender }, CoherenceThread { written: receiver })
    }

    /// The pages of `ino` are old. Never waits.
    pub(super) fn written(&self, ino: u64) {
        // Full: the thread has enough to do, and most of it for the same files.
        let _ = self.written.try_send(ino);
    }
}

impl CoherenceThread {
    /// Starts the thread; it ends with the front that it belongs to.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(self, notifier: Notifier) -> io::Result<()> {
        let run = move || {
            while let Ok(first) = self.written.recv() {
                // A writer in small steps is told about once per round, not once per write.
                let inodes: BTreeSet<u64> = std::iter::once(first).chain(self.written.try_iter()).collect();
                for ino in inodes {
                    if let Err(error) = notifier.inval_inode(INodeNo(ino), 0, 0) {
                        tracing::debug!(ino, %error, "the kernel's pages were not dropped");
                    }
                }
            }
        };
        std::thread::Builder::new().name("coherence".into()).spawn(run).map(|_| ())
    }
}
