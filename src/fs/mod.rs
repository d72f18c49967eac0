//! The FUSE front: decode a request, call the tree or a file, answer. The only place that knows `fuser`.
//!
//! **Concurrency.** The threads that read requests never wait for the network, the disk or a commit: what cannot be
//! answered from memory goes on in a task, with the reply.
//!
//! **Deadlines.** Every such task answers in time: metadata within `metadata_deadline`; closes and writes are bounded
//! by the files below (nothing moved for `close_deadline`). A change that the deadline overtakes goes on behind it.
//!
//! **Failure.** One line in the log for each errno a program would not expect. A reply that is dropped answers EIO.
//!
//! **Control.** A hidden directory tells the status of the mount, and an attribute takes commands (`control.rs`).

mod coherence;
mod control;
mod directory;
mod front;
mod handles;
#[macro_use]
mod refused;
mod reply;
pub mod status;
mod xattr;

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossbeam_channel::Sender;
use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, Generation, INodeNo, InitFlags, KernelConfig, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};

pub use self::coherence::CoherenceThread;
use self::control::Command;
use self::front::Front;
use self::reply::{made_by, mode_of};
use crate::error::{Error, Kind, Result};
use crate::file::{Files, OpenMode};
use crate::path::NAME_BYTES_MAX;
use crate::service::layer::Reach;
use crate::tree::change::{At, IfExists};
use crate::tree::{Overrides, Tree};

/// The largest write request, in bytes: what kernels up to 6.18 send at most without a raised `max_pages_limit`.
const WRITE_BYTES_MAX: u32 = 1 << 20;

/// The unit of `statfs`, in bytes.
const STATFS_BLOCK_BYTES: u32 = 4096;

/// What the front must know beside files and names.
pub struct FsConfig {
    /// The name of the remote, for people.
    pub remote: String,
    /// Whether the service can be reached.
    pub reach: Arc<Reach>,
    /// How long everything but closes and writes may wait for the service.
    pub metadata_deadline: Duration,
}

/// The file system as FUSE sees it.
pub struct Fs {
    front: Arc<Front>,
    /// Told when the kernel has let go of the mount.
    ended: Sender<()>,
}

impl Fs {
    /// The front of `tree`; `ended` is told when the mount is gone.
    /// The second value is a thread to be started when there is a mount.
    pub fn new(tree: Arc<Tree>, files: Arc<Files>, config: FsConfig, ended: Sender<()>) -> (Self, CoherenceThread) {
        let (front, thread) = Front::new(tree, files, config);
        (Fs { front, ended }, thread)
    }

    /// Changes a name in the background, and answers.
    fn change(
        &self,
        op: &'static str,
        at: (u64, String),
        work: impl Future<Output = Result<()>> + Send + 'static,
        reply: ReplyEmpty,
    ) {
        self.spawn(async move |front| {
            let result = front.in_time(work).await;
            let at = At { parent: at.0, name: &at.1 };
            front.answer_empty(op, at, result, reply);
            front.forget_spellings(at);
        });
    }

    /// Runs `work` with the reply it owns.
    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, work: impl FnOnce(Arc<Front>) -> F) {
        let work = work(self.front.clone());
        self.front.files.uploads().spawn(work);
    }
}

/// Answers with an error and its log line.
macro_rules! refuse {
    ($front:expr, $reply:expr, $op:literal, $ino:expr, $error:expr) => {
        $reply.error(reply::errno($op, $front.path_of($ino), &$error))
    };
}

/// A name that is to change in a directory, as the services speak; others cannot exist.
macro_rules! decoded {
    ($parent:expr, $name:expr, $reply:expr) => {
        match reply::name($name) {
            Ok(name) if control::guards($parent.0, name) => return $reply.error(Errno::EPERM),
            Ok(name) => name.to_owned(),
            Err(errno) => return $reply.error(errno),
        }
    };
}

/// The open file behind a number.
macro_rules! opened {
    ($fs:expr, $number:expr, $reply:expr) => {
        match $fs.front.handles.get($number.0) {
            Some(handle) => handle,
            None => return $reply.error(Errno::EBADF),
        }
    };
}

impl Filesystem for Fs {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Without KILLPRIV_V2 the kernel asks for an attribute before every buffered write. Kernels that lack one of
        // these work without it.
        let wanted = [
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_AUTO_INVAL_DATA,
        ];
        for flag in wanted {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "this kernel does not have it");
            }
        }
        if let Err(most) = config.set_max_write(WRITE_BYTES_MAX) {
            tracing::debug!(most, "smaller write requests");
        }
        Ok(())
    }

    fn destroy(&mut self) {
        // The other side may have gone first.
        let _ = self.ended.send(());
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = match reply::name(name) {
            Ok(name) => name.to_owned(),
            Err(_) => return reply.error(Errno::ENOENT),
        };
        match self.front.lookup_now(parent.0, &name) {
            Some(result) => self.front.answer_entry(parent.0, &name, result, reply),
            None => self.spawn(async move |front| {
                let (tree, wanted) = (front.tree.clone(), name.clone());
                let result = front.in_time(async move { tree.lookup(parent.0, &wanted).await }).await;
                front.answer_entry(parent.0, &name, result, reply);
            }),
        }
    }

    fn forget(&self, _request: &Request, ino: INodeNo, nlookup: u64) {
        self.front.tree.forget(ino.0, nlookup);
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.front.attr_now(ino.0) {
            Some(result) => self.front.answer_attr(ino.0, result, reply),
            None => self.spawn(async move |front| {
                let tree = front.tree.clone();
                let result = front.in_time(async move { tree.attr_fresh(ino.0).await }).await;
                front.answer_attr(ino.0, result, reply);
            }),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if control::owns(ino.0) {
            return reply.error(Errno::EPERM);
        }
        let overrides = Overrides {
            mode: mode.map(|mode| (mode & 0o7777) as u16),
            uid,
            gid,
            accessed: atime.map(reply::time),
            modified: mtime.map(reply::time),
        };
        let Some(size) = size else {
            let result = self.front.tree.set(ino.0, overrides);
            return self.front.answer_attr(ino.0, result, reply);
        };
        self.spawn(async move |front| {
            let result = front.resize(ino.0, fh, size).await;
            let result = result.and_then(|()| front.tree.set(ino.0, overrides));
            front.answer_attr(ino.0, result, reply);
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        if mode & libc::S_IFMT != libc::S_IFREG && mode & libc::S_IFMT != 0 {
            return reply.error(Errno::EPERM);
        }
        let name = decoded!(parent, name, reply);
        let overrides = made_by(request, mode, umask);
        self.spawn(async move |front| {
            let result = front.create(parent.0, name.clone(), overrides, IfExists::Refuse).await;
            let result = match result {
                // A node that nobody opens is an empty file.
                Ok((attr, _)) => front.open_and_close(attr).await,
                Err(error) => Err(error),
            };
            front.answer_entry(parent.0, &name, result, reply);
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let name = decoded!(parent, name, reply);
        let if_exists = if flags & libc::O_EXCL != 0 { IfExists::Refuse } else { IfExists::Accept };
        let (overrides, tid) = (made_by(request, mode, umask), request.pid());
        let mode = mode_of(OpenFlags(flags));
        self.spawn(async move |front| {
            let at = At { parent: parent.0, name: &name };
            let created = match front.create(parent.0, name.clone(), overrides, if_exists).await {
                Ok((attr, is_new)) => {
                    // A new file is empty, and differs from what the service has: nothing.
                    let mode = OpenMode { truncate: mode.truncate || is_new, ..mode };
                    front.open(attr.ino, tid, mode, is_new).await.map(|(handle, flags)| (attr, handle, flags))
                }
                Err(error) => Err(error),
            };
            match created {
                Ok((attr, handle, flags)) => {
                    let attr = front.tree.attr(attr.ino).unwrap_or(attr);
                    let ttl = front.ttl(&name);
                    front.tree.refer(attr.ino);
                    reply.created(&ttl, &reply::attr(&attr), Generation(0), FileHandle(handle), flags);
                }
                Err(error) => reply.error(reply::errno("create", front.child(at), &error)),
            }
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (tid, mode) = (request.pid(), mode_of(flags));
        self.spawn(async move |front| match front.open(ino.0, tid, mode, false).await {
            Ok((handle, flags)) => reply.opened(FileHandle(handle), flags),
            Err(error) => refuse!(front, reply, "open", ino.0, error),
        });
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(handle) = self.front.handles.get(fh.0) else {
            return self.front.control.read(fh.0, offset, size, reply);
        };
        let len = u64::from(size);
        handle.note_read(offset, len);
        if let Some(bytes) = handle.file().read_now(offset, len) {
            return reply.data(&bytes);
        }
        self.spawn(async move |front| {
            let read = tokio::time::timeout(front.metadata_deadline, handle.file().read(offset, len)).await;
            match read.unwrap_or_else(|_| Err(Error::new(Kind::Timeout, "read", "the service did not answer in time")))
            {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => refuse!(front, reply, "read", ino.0, error),
            }
        });
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let handle = opened!(self, fh, reply);
        // Of several writers that append, each knows only where it was last; the page cache knows where its bytes go.
        let appends = flags.0 & libc::O_APPEND != 0 && !write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let at = (!appends).then_some(offset);
        let tid = request.pid();
        let taken = match handle.file().write_now(tid, at, data) {
            Ok(taken) => taken,
            Err(error) => return refuse!(self.front, reply, "write", ino.0, error),
        };
        if handle.file().has_readers() {
            self.front.coherence.written(ino.0);
        }
        if taken == data.len() {
            return reply.written(data.len() as u32);
        }
        let rest = Bytes::copy_from_slice(&data[taken..]);
        let (at, all) = (at.map(|at| at + taken as u64), data.len() as u32);
        self.spawn(async move |front| match handle.file().write_rest(tid, at, rest).await {
            Ok(()) => {
                if handle.file().has_readers() {
                    front.coherence.written(ino.0);
                }
                reply.written(all);
            }
            Err(error) => refuse!(front, reply, "write", ino.0, error),
        });
    }

    fn flush(&self, request: &Request, ino: INodeNo, fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        let Some(handle) = self.front.handles.get(fh.0) else { return self.front.control.flush(fh.0, reply) };
        let tid = request.pid();
        match handle.file().flush_now(&handle) {
            Some(Ok(())) => reply.ok(),
            Some(Err(error)) => refuse!(self.front, reply, "close", ino.0, error),
            None => self.spawn(async move |front| match handle.file().flush(tid).await {
                Ok(()) => reply.ok(),
                Err(error) => refuse!(front, reply, "close", ino.0, error),
            }),
        }
    }

    fn fsync(&self, _request: &Request, ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let Some(handle) = self.front.handles.get(fh.0) else { return self.front.control.flush(fh.0, reply) };
        self.spawn(async move |front| match handle.file().sync().await {
            Ok(()) => reply.ok(),
            Err(error) => refuse!(front, reply, "fsync", ino.0, error),
        });
    }

    fn release(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if let Some(handle) = self.front.handles.remove(fh.0) {
            let file = handle.file().clone();
            self.front.files.uploads().spawn(file.release(handle));
        }
        self.front.control.release(fh.0);
        reply.ok();
    }

    fn opendir(&self, _request: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.spawn(async move |front| front.open_directory(ino.0, reply).await);
    }

    fn readdir(&self, _request: &Request, ino: INodeNo, fh: FileHandle, offset: u64, reply: ReplyDirectory) {
        self.front.read_directory(ino.0, fh.0, offset, reply);
    }

    fn readdirplus(&self, _request: &Request, ino: INodeNo, fh: FileHandle, offset: u64, reply: ReplyDirectoryPlus) {
        self.front.read_directory_plus(ino.0, fh.0, offset, reply);
    }

    fn releasedir(&self, _request: &Request, _ino: INodeNo, fh: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.front.directories.remove(fh.0);
        reply.ok();
    }

    fn fsyncdir(&self, _request: &Request, _ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        // Names are on the service when their call returns.
        reply.ok();
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let name = decoded!(parent, name, reply);
        let overrides = made_by(request, mode, umask);
        self.spawn(async move |front| {
            let (tree, typed) = (front.tree.clone(), name.clone());
            let work = async move { tree.mkdir(At { parent: parent.0, name: &typed }, overrides).await };
            match front.in_time(work).await {
                Err(error) => {
                    reply.error(reply::errno("mkdir", front.child(At { parent: parent.0, name: &name }), &error))
                }
                result => front.answer_entry(parent.0, &name, result, reply),
            }
        });
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = decoded!(parent, name, reply);
        let (tree, typed) = (self.front.tree.clone(), name.clone());
        let work = async move { tree.unlink(At { parent: parent.0, name: &typed }).await };
        self.change("remove", (parent.0, name), work, reply);
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = decoded!(parent, name, reply);
        let (tree, typed) = (self.front.tree.clone(), name.clone());
        let work = async move { tree.rmdir(At { parent: parent.0, name: &typed }).await };
        self.change("rmdir", (parent.0, name), work, reply);
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (old, new) = (decoded!(parent, name, reply), decoded!(newparent, newname, reply));
        if flags.intersects(RenameFlags::RENAME_EXCHANGE | RenameFlags::RENAME_WHITEOUT) {
            return reply.error(Errno::EINVAL);
        }
        let refuse = flags.contains(RenameFlags::RENAME_NOREPLACE);
        let if_exists = if refuse { IfExists::Refuse } else { IfExists::Accept };
        let (front, tree, shown) = (self.front.clone(), self.front.tree.clone(), new.clone());
        let work = async move {
            let (from, to) = (At { parent: parent.0, name: &old }, At { parent: newparent.0, name: &new });
            let renamed = tree.rename(from, to, if_exists).await;
            front.forget_spellings(from);
            renamed
        };
        self.change("rename", (newparent.0, shown), work, reply);
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        // What bounds a writer here is the space that unsent bytes may take; the services do not tell theirs.
        let space = self.front.files.cache().space();
        let (blocks, free) =
            (space.bytes_max / u64::from(STATFS_BLOCK_BYTES), space.bytes_free / u64::from(STATFS_BLOCK_BYTES));
        reply.statfs(blocks, free, free, 0, 0, STATFS_BLOCK_BYTES, NAME_BYTES_MAX as u32, STATFS_BLOCK_BYTES);
    }

    fn access(&self, _request: &Request, _ino: INodeNo, _mask: AccessFlags, reply: ReplyEmpty) {
        // The kernel has checked the permission bits (`default_permissions`); the service's rights are asked by use.
        reply.ok();
    }

    fn getxattr(&self, _request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.front.get_attribute(ino.0, name, size, reply);
    }

    fn setxattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        _flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        match Command::decode(ino.0, name, value) {
            Ok(command) => self.spawn(async move |front| front.obey(ino.0, command, reply).await),
            Err(errno) => reply.error(errno),
        }
    }

    fn fallocate(
        &self,
        _request: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let (handle, end) = (opened!(self, fh, reply), offset.saturating_add(length));
        self.spawn(async move |front| front.allocate(&handle, mode, end, reply).await);
    }

    refused_operations!();
}
