//! Tells the kernel what it remembers wrongly: pages of a file that one program writes past (direct I/O) while another
//! reads through them (kernels from 6.6 on drop these themselves), and a name that was changed by another spelling.
//!
//! Telling may wait for a page that a read holds, and that read may wait for us: so it is done by a thread of its own.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;

use crossbeam_channel::{Receiver, Sender, bounded};
use fuser::{INodeNo, Notifier};

/// Most news that wait to be told; more are not remembered. What stays is dropped at the next open, or after a second.
const WAITING_MAX: usize = 1024;

/// What the kernel remembers wrongly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    /// The pages of this inode.
    Pages(u64),
    /// What this name stands for in this directory.
    Name(u64, String),
}

/// The mailbox of the thread.
pub(super) struct Coherence {
    news: Sender<Stale>,
}

/// The thread, not yet started: it needs the mount.
pub struct CoherenceThread {
    news: Receiver<Stale>,
}

impl Coherence {
    pub(super) fn new() -> (Self, CoherenceThread) {
        let (sender, receiver) = bounded(WAITING_MAX);
        (Coherence { news: sender }, CoherenceThread { news: receiver })
    }

    /// The pages of `ino` are old. Never waits.
    pub(super) fn written(&self, ino: u64) {
        // Full: the thread has enough to do, and most of it for the same files.
        let _ = self.news.try_send(Stale::Pages(ino));
    }

    /// `name` in the directory `parent` stands for something else. Never waits.
    pub(super) fn renamed(&self, parent: u64, name: String) {
        // Full: the kernel asks again in a second.
        let _ = self.news.try_send(Stale::Name(parent, name));
    }
}

impl CoherenceThread {
    /// Starts the thread; it ends with the front that it belongs to.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(self, notifier: Notifier) -> io::Result<()> {
        let run = move || {
            while let Ok(first) = self.news.recv() {
                // A writer in small steps is told about once per round, not once per write.
                let round: BTreeSet<Stale> = std::iter::once(first).chain(self.news.try_iter()).collect();
                for stale in round {
                    let told = match &stale {
                        Stale::Pages(ino) => notifier.inval_inode(INodeNo(*ino), 0, 0),
                        Stale::Name(parent, name) => notifier.inval_entry(INodeNo(*parent), OsStr::new(name)),
                    };
                    if let Err(error) = told {
                        tracing::debug!(?stale, %error, "the kernel did not know");
                    }
                }
            }
        };
        std::thread::Builder::new().name("coherence".into()).spawn(run).map(|_| ())
    }
}
