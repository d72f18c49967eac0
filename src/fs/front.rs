//! What requests need once they are decoded; shared with the tasks they become.

use std::sync::Arc;
use std::time::Duration;

use fuser::{Errno, FileHandle, FopenFlags, Generation, ReplyAttr, ReplyEmpty, ReplyEntry};
use tokio::sync::oneshot;

use super::FsConfig;
use super::coherence::{Coherence, CoherenceThread};
use super::control::{self, Control};
use super::handles::{DirectoryHandles, FileHandles};
use super::reply;
use crate::error::{Error, Kind, Result, printable};
use crate::file::{Files, Handle, OpenMode};
use crate::tree::change::{At, IfExists};
use crate::tree::{Attr, Overrides, Tree};

/// The state behind [`super::Fs`].
pub(super) struct Front {
    pub(super) tree: Arc<Tree>,
    pub(super) files: Arc<Files>,
    pub(super) handles: FileHandles,
    pub(super) directories: DirectoryHandles,
    pub(super) coherence: Coherence,
    pub(super) control: Control,
    pub(super) metadata_deadline: Duration,
}

impl Front {
    pub(super) fn new(tree: Arc<Tree>, files: Arc<Files>, config: FsConfig) -> (Arc<Self>, CoherenceThread) {
        let FsConfig { remote, reach, metadata_deadline } = config;
        let (handles, directories) = (FileHandles::new(), DirectoryHandles::new());
        let (coherence, thread) = Coherence::new();
        let control = Control::new(remote, reach);
        (Arc::new(Front { tree, files, handles, directories, coherence, control, metadata_deadline }), thread)
    }

    /// The result of `work`, or that it takes too long; the work itself goes on.
    pub(super) async fn in_time<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.files.uploads().spawn(async move {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(work.await);
        });
        match tokio::time::timeout(self.metadata_deadline, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::new(Kind::Corrupt, "request", "the request was lost inside uploadfs")),
            Err(_) => Err(Error::new(Kind::Timeout, "request", "the service did not answer in time")),
        }
    }

    /// Opens the file of an inode and gives it a number. `is_new` says that it has just been made.
    pub(super) async fn open(&self, ino: u64, tid: u32, mode: OpenMode, is_new: bool) -> Result<(u64, FopenFlags)> {
        if control::owns(ino) {
            return self.open_hidden(ino, mode);
        }
        let tree = self.tree.clone();
        let opening = async move {
            let file = tree.file_for_open(ino).await?;
            if mode.write && !is_new {
                tree.admit(&file).await?;
            }
            Ok(file)
        };
        let file = self.in_time(opening).await?;
        let handle = file.open(tid, mode).await?;
        // Measured: direct I/O more than doubles the throughput of a writer; a reader wants the page cache.
        let flags = if mode.write && !mode.read { FopenFlags::FOPEN_DIRECT_IO } else { FopenFlags::empty() };
        Ok((self.handles.add(Arc::new(handle)), flags))
    }

    pub(super) async fn create(
        &self,
        parent: u64,
        name: String,
        overrides: Overrides,
        if_exists: IfExists,
    ) -> Result<(Attr, bool)> {
        let tree = self.tree.clone();
        self.in_time(async move { tree.create(At { parent, name: &name }, overrides, if_exists).await }).await
    }

    /// An entry that was made without being opened: an empty file, which the service gets as after a `close`.
    pub(super) async fn open_and_close(&self, attr: Attr) -> Result<Attr> {
        let file = self.tree.file(attr.ino)?;
        let handle = file.open(0, OpenMode { read: false, write: true, truncate: true }).await?;
        self.files.uploads().spawn(file.release(Arc::new(handle)));
        Ok(attr)
    }

    /// `truncate(2)` and `ftruncate(2)`.
    pub(super) async fn resize(&self, ino: u64, handle: Option<FileHandle>, size: u64) -> Result<()> {
        if let Some(handle) = handle.and_then(|number| self.handles.get(number.0)) {
            return handle.file().truncate(size).await;
        }
        let tree = self.tree.clone();
        let file = self.in_time(async move { tree.file_for_open(ino).await }).await?;
        if !file.has_writers() {
            return file.truncate_closed(size).await;
        }
        file.truncate(size).await?;
        // The last writer may have gone while this waited for its commit.
        file.commit_unless_written().await
    }

    /// `fallocate(2)` up to `end`.
    pub(super) async fn allocate(&self, handle: &Handle, mode: i32, end: u64, reply: ReplyEmpty) {
        let result = match mode {
            0 => handle.file().allocate(end).await,
            // Nothing changes that a program could see, and it says nothing about the size: rsync asks for one byte
            // more or less than it will write.
            libc::FALLOC_FL_KEEP_SIZE => Ok(()),
            // Holes and shifted ranges: programs write zeros instead, and need no line in the log.
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        match result {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(reply::errno("allocate", handle.file().place().get(), &error)),
        }
    }

    pub(super) fn ttl(&self, name: &str) -> Duration {
        if self.tree.is_alias(name) { reply::ALIAS_TTL } else { reply::TTL }
    }

    pub(super) fn path_of(&self, ino: u64) -> String {
        self.tree.path(ino).map_or_else(|_| format!("inode {ino}"), |path| path.to_string())
    }

    pub(super) fn child(&self, at: At<'_>) -> String {
        format!("{}/{}", self.path_of(at.parent).trim_end_matches('/'), printable(at.name))
    }

    pub(super) fn answer_entry(&self, parent: u64, name: &str, result: Result<Attr>, reply: ReplyEntry) {
        match result {
            Ok(attr) => {
                let ttl = self.ttl(name);
                self.tree.refer(attr.ino);
                reply.entry(&ttl, &reply::attr(&attr), Generation(0));
            }
            Err(error) => reply.error(reply::errno("lookup", self.child(At { parent, name }), &error)),
        }
    }

    /// The kernel keeps each spelling of a name by itself; those that it is not told about are not remembered
    /// ([`reply::ALIAS_TTL`]), except the one that the service uses.
    pub(super) fn forget_spellings(&self, at: At<'_>) {
        if self.tree.is_alias(at.name) {
            self.coherence.renamed(at.parent, self.tree.canonical_spelling(at.name));
        }
    }

    pub(super) fn answer_attr(&self, ino: u64, result: Result<Attr>, reply: ReplyAttr) {
        match result {
            Ok(attr) => reply.attr(&reply::TTL, &reply::attr(&attr)),
            Err(error) => reply.error(reply::errno("stat", self.path_of(ino), &error)),
        }
    }

    pub(super) fn answer_empty(&self, op: &'static str, at: At<'_>, result: Result<()>, reply: ReplyEmpty) {
        match result {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(reply::errno(op, self.child(at), &error)),
        }
    }
}
