//! The floors: a file system that takes every write and forgets it, and one that copies it into memory first, as
//! everything must that answers a write before the bytes have gone somewhere. They negotiate what a real mount negotiates, so that
//! the kernel behaves alike; what is left of the difference to the second is ours.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyCreate, ReplyEmpty, ReplyEntry,
    ReplyWrite, Request, Session, WriteFlags,
};

/// As a real mount.
const WRITE_BYTES_MAX: u32 = 1 << 20;
/// Nothing changes; long enough for every run.
const TTL: Duration = Duration::from_secs(3600);
const FILE: INodeNo = INodeNo(2);

/// Event loops: one is the fastest for one writer.
const THREADS: usize = 1;
/// Memory that is copied into, round and round: as much as a mount has by default, and more than processors cache.
const MEMORY_BYTES: usize = 128 << 20;

/// What becomes of the bytes of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Forgotten,
    Copied,
}

/// Mounts the null file system on `dir`.
pub(crate) fn mount(dir: &Path, fate: Fate) -> BackgroundSession {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("null".into()),
        MountOption::DefaultPermissions,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoExec,
    ];
    config.n_threads = Some(THREADS);
    config.clone_fd = true;
    let memory = (fate == Fate::Copied).then(|| Mutex::new(Memory { bytes: vec![1; MEMORY_BYTES], at: 0 }));
    Session::new(Null { memory }, dir, &config).unwrap().spawn().unwrap()
}

struct Null {
    memory: Option<Mutex<Memory>>,
}

struct Memory {
    bytes: Vec<u8>,
    at: usize,
}

impl Memory {
    fn copy_in(&mut self, data: &[u8]) {
        if self.at + data.len() > self.bytes.len() {
            self.at = 0;
        }
        self.bytes[self.at..self.at + data.len()].copy_from_slice(data);
        self.at += data.len();
    }
}

fn attr(ino: INodeNo) -> FileAttr {
    let (kind, perm) = if ino == FILE { (FileType::RegularFile, 0o644) } else { (FileType::Directory, 0o755) };
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let time = SystemTime::UNIX_EPOCH;
    FileAttr {
        ino,
        size: 0,
        blocks: 0,
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm,
        nlink: 1,
        uid,
        gid,
        rdev: 0,
        blksize: WRITE_BYTES_MAX,
        flags: 0,
    }
}

impl Filesystem for Null {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = [
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ];
        for flag in wanted {
            let _ = config.add_capabilities(flag);
        }
        let _ = config.set_max_write(WRITE_BYTES_MAX);
        Ok(())
    }

    fn lookup(&self, _request: &Request, _parent: INodeNo, _name: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::ENOENT);
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attr(ino));
    }

    fn create(
        &self,
        _request: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        reply.created(&Duration::ZERO, &attr(FILE), Generation(0), FileHandle(1), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn write(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        if let Some(memory) = &self.memory {
            memory.lock().unwrap().copy_in(data);
        }
        reply.written(data.len() as u32);
    }

    fn flush(&self, _request: &Request, _ino: INodeNo, _fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }
}
