//! Between the project's words and FUSE's: attributes, errors, names, times.

use std::ffi::OsStr;
use std::time::{Duration, SystemTime};

use fuser::{Errno, FileAttr, FileType, INodeNo, OpenAccMode, OpenFlags, Request, TimeOrNow};

use crate::error::{Error, Kind};
use crate::file::OpenMode;
use crate::service::NodeKind;
use crate::tree::{Attr, Overrides};

/// How long the kernel believes attributes and names: long enough that the lookups around one `open` are one, short
/// enough that nothing looks old.
pub(super) const TTL: Duration = Duration::from_secs(1);

/// An alias is asked for every time: the kernel would keep two names for one file apart.
pub(super) const ALIAS_TTL: Duration = Duration::ZERO;

/// `st_blksize`: programs that go by it (cp, cat, tar) write 1 MiB at a time, the largest request there is.
const BLOCK_BYTES: u32 = 1 << 20;

/// The unit of `st_blocks`, by POSIX.
const STAT_BLOCK_BYTES: u64 = 512;

pub(super) fn attr(attr: &Attr) -> FileAttr {
    let (kind, nlink) = match attr.kind {
        NodeKind::File => (FileType::RegularFile, 1),
        NodeKind::Directory => (FileType::Directory, 2),
    };
    FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.size.div_ceil(STAT_BLOCK_BYTES),
        atime: attr.accessed,
        mtime: attr.modified,
        ctime: attr.modified,
        crtime: attr.modified,
        kind,
        perm: attr.mode,
        nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

pub(super) fn file_type(kind: NodeKind) -> FileType {
    match kind {
        NodeKind::File => FileType::RegularFile,
        NodeKind::Directory => FileType::Directory,
    }
}

/// The errno of a failure, with its line in the log. What programs ask all day long is no failure.
pub(super) fn errno(op: &'static str, what: impl std::fmt::Display, error: &Error) -> Errno {
    let errno = Errno::from_i32(error.errno());
    match error.kind {
        Kind::NotFound | Kind::Exists | Kind::NotEmpty | Kind::IsDirectory | Kind::NotDirectory | Kind::CrossDevice => {
            tracing::debug!(op, %what, %error);
        }
        _ => tracing::warn!(op, file = %what, %error, errno = error.errno(), "refused"),
    }
    errno
}

/// A name as the services speak: UTF-8.
pub(super) fn name(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EILSEQ)
}

pub(super) fn time(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

/// How a program opens a file.
pub(super) fn mode_of(flags: OpenFlags) -> OpenMode {
    let access = flags.acc_mode();
    OpenMode {
        read: access != OpenAccMode::O_WRONLY,
        write: access != OpenAccMode::O_RDONLY,
        truncate: flags.0 & libc::O_TRUNC != 0,
    }
}

/// What a new entry looks like: as the program that makes it asks.
pub(super) fn made_by(request: &Request, mode: u32, umask: u32) -> Overrides {
    Overrides {
        mode: Some((mode & !umask & 0o7777) as u16),
        uid: Some(request.uid()),
        gid: Some(request.gid()),
        ..Overrides::default()
    }
}
