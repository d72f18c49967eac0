//! A file system with one file, `source`, that can be read up to a gate: whoever copies it stands in the middle of its
//! work until a test has looked. It knows nothing of ours; it is a disk, only slower.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, Request, Session,
};

/// Nothing changes but by the kernel's own requests.
const TTL: Duration = Duration::from_secs(3600);
const FILE: INodeNo = INodeNo(2);
const NAME: &str = "source";

/// The mounted file system; it lets everybody go and unmounts when it is dropped.
pub(crate) struct Slow {
    gate: Arc<Mutex<Gate>>,
    _session: BackgroundSession,
}

/// Reads from `at` on wait until it is `open`.
struct Gate {
    at: u64,
    open: bool,
    waiting: Vec<(ReplyData, Bytes)>,
}

impl Slow {
    /// Mounts on the new directory `dir` a source of these bytes that can be read up to about `gate`.
    pub(crate) fn mount(dir: &Path, bytes: Bytes, gate: u64) -> Slow {
        std::fs::create_dir(dir).unwrap();
        let gate = Arc::new(Mutex::new(Gate { at: gate, open: false, waiting: Vec::new() }));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("slow".into())];
        let files = SlowFiles { bytes, gate: gate.clone() };
        let session = Session::new(files, dir, &config).unwrap().spawn().unwrap();
        Slow { gate, _session: session }
    }

    /// Lets everybody read on.
    pub(crate) fn go(&self) {
        let mut gate = lock(&self.gate);
        gate.open = true;
        for (reply, bytes) in gate.waiting.drain(..) {
            reply.data(&bytes);
        }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.go();
    }
}

struct SlowFiles {
    bytes: Bytes,
    gate: Arc<Mutex<Gate>>,
}

fn lock(gate: &Mutex<Gate>) -> MutexGuard<'_, Gate> {
    gate.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SlowFiles {
    fn attr(&self, ino: INodeNo) -> FileAttr {
        let (kind, perm) = if ino == FILE { (FileType::RegularFile, 0o644) } else { (FileType::Directory, 0o755) };
        let time = SystemTime::UNIX_EPOCH;
        FileAttr {
            ino,
            size: if ino == FILE { self.bytes.len() as u64 } else { 0 },
            // A copier that looks for holes finds none.
            blocks: self.bytes.len().div_ceil(512) as u64,
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for SlowFiles {
    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME {
            reply.entry(&TTL, &self.attr(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attr(ino));
    }

    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // As on a disk: a second open leaves the pages alone, even those that somebody waits for.
        reply.opened(FileHandle(1), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let start = self.bytes.len().min(offset as usize);
        let bytes = self.bytes.slice(start..self.bytes.len().min(start + size as usize));
        let mut gate = lock(&self.gate);
        if gate.open || offset < gate.at {
            reply.data(&bytes);
        } else {
            gate.waiting.push((reply, bytes));
        }
    }

    fn unlink(&self, _request: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEmpty) {
        // `mv` removes what it has copied.
        reply.ok();
    }
}
