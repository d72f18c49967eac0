//! Which file a writing process is copying, if it copies one: what it has open and how far it has read says so. What
//! `/proc` tells is read here, and judged by functions that do not touch it.
//!
//! A *source* is a regular file that the process has open for reading only, whose first bytes are the first bytes of
//! the file being written, and which is read to shortly after the end of what was written. Who copies by `sendfile` or
//! `splice` may leave the position at 0. Exactly one source, or there is no answer.
//!
//! **Not touched** are files of the own mount: a question to it would be answered by the process that asks. So the
//! mount is compared before anything else, by its number in `fdinfo`; a number that is in nobody's table is left alone.
//!
//! **Failure.** Whatever cannot be seen (another user's process, another PID namespace, a process that is gone) is no
//! source.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;

use super::process::{Device, Tgid, field, flags, mounts_of};

/// How many of the first bytes are compared. Enough that two files of one format differ within them, few enough to be
/// within the first chunk in memory.
pub(super) const HEAD_BYTES: u64 = 64 << 10;

/// How far a copier reads ahead of what it writes, in bytes: `dd bs=64M` is the largest step that people use.
const AHEAD_BYTES_MAX: u64 = 64 << 20;

/// Descriptors that are looked at. A process with more of them is a server, and no copier.
const DESCRIPTORS_MAX: usize = 1024;

/// The file being written.
pub(super) struct Growing {
    /// The mounted file system.
    pub(super) device: Device,
    pub(super) ino: u64,
    /// It has at least so many bytes.
    pub(super) written: u64,
    /// The first of them.
    pub(super) head: Bytes,
}

/// One open file of a process, as `fdinfo` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptor {
    number: u32,
    position: u64,
    flags: i32,
    mount: u64,
    ino: u64,
}

/// Everything a process has open, and the mounts it sees.
#[derive(Default)]
struct Table {
    descriptors: Vec<Descriptor>,
    /// The numbers of all mounts.
    mounts: Vec<u64>,
    /// Those of them that are the own mount.
    own: Vec<u64>,
}

/// A source, once it has been touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    /// Device and inode.
    file: (u64, u64),
    size: u64,
}

/// The size of the file that `writer` is copying into `growing`, if it copies one. `reached` tells the size of the
/// growing file at this moment.
pub(super) fn size_of_source(writer: Tgid, growing: &Growing, reached: impl FnOnce() -> u64) -> Option<u64> {
    if !may_look(nix::unistd::geteuid().as_raw(), owner_of(writer)?) {
        return None;
    }
    let table = read_table(writer, growing.device)?;
    // The writer has gone on while its table was read, and its sources with it.
    let written = growing.written..=reached().saturating_add(AHEAD_BYTES_MAX);
    let plausible = table.plausible(growing.ino, |position| written.contains(&position));
    let sources: Vec<Source> = plausible.filter_map(|descriptor| touch(writer, descriptor, &growing.head)).collect();
    the_only(&sources, growing.written)
}

/// Whether a process of user `theirs` is looked at by one of user `own`. The kernel has the last word on that.
fn may_look(own: u32, theirs: u32) -> bool {
    own == 0 || own == theirs
}

impl Table {
    /// The descriptors that may be sources, by what `fdinfo` says; none if the process does not write the file `ino` of
    /// the own mount (any more): then it is not the one that was meant.
    fn plausible(&self, ino: u64, reads_along: impl Fn(u64) -> bool) -> impl Iterator<Item = &Descriptor> {
        let writes = |open: &&Descriptor| {
            self.own.contains(&open.mount) && open.ino == ino && open.flags & libc::O_ACCMODE != libc::O_RDONLY
        };
        let is_writer = self.descriptors.iter().find(writes).is_some();
        self.descriptors.iter().filter(move |open| {
            let foreign = self.mounts.contains(&open.mount) && !self.own.contains(&open.mount);
            // A process that can also write a file uses it for something else, a log or a database.
            let reads_only = open.flags & (libc::O_ACCMODE | libc::O_PATH | libc::O_DIRECTORY) == libc::O_RDONLY;
            is_writer && foreign && reads_only && (open.position == 0 || reads_along(open.position))
        })
    }
}

/// The size of the one file that all sources are. A file that has fewer bytes than the copy is not what is copied.
fn the_only(sources: &[Source], written: u64) -> Option<u64> {
    let (first, rest) = sources.split_first()?;
    let same = rest.iter().all(|other| other.file == first.file);
    (same && first.size >= written).then_some(first.size)
}

fn parse(number: u32, fdinfo: &str) -> Option<Descriptor> {
    let [position, mount, ino] = ["pos:", "mnt_id:", "ino:"].map(|name| field(fdinfo, name));
    Some(Descriptor { number, position: position?, flags: flags(fdinfo)?, mount: mount?, ino: ino? })
}

/// The user whose process it is.
fn owner_of(process: Tgid) -> Option<u32> {
    fs::metadata(format!("/proc/{}", process.0)).ok().map(|about| about.uid())
}

fn read_table(process: Tgid, own: Device) -> Option<Table> {
    let mountinfo = fs::read_to_string(format!("/proc/{}/mountinfo", process.0)).ok()?;
    let number = |line: &str| line.split(' ').next()?.parse().ok();
    let mut table = Table {
        descriptors: Vec::new(),
        mounts: mountinfo.lines().filter_map(number).collect(),
        own: mounts_of(&mountinfo, own),
    };
    let folder = format!("/proc/{}/fdinfo", process.0);
    for entry in fs::read_dir(folder).ok()?.flatten() {
        if table.descriptors.len() == DESCRIPTORS_MAX {
            return None;
        }
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // One that was closed meanwhile is not open.
        let text = fs::read_to_string(entry.path());
        table.descriptors.extend(number.zip(text.ok()).and_then(|(number, text)| parse(number, &text)));
    }
    Some(table)
}

/// The source behind a descriptor; `None` when it is no regular file, cannot be read, or begins otherwise.
fn touch(process: Tgid, descriptor: &Descriptor, head: &[u8]) -> Option<Source> {
    let path = format!("/proc/{}/fd/{}", process.0, descriptor.number);
    let about = fs::metadata(&path).ok()?;
    let begins = about.is_file() && begins_with(Path::new(&path), head).unwrap_or(false);
    begins.then(|| Source { file: (about.dev(), about.ino()), size: about.len() })
}

fn begins_with(path: &Path, head: &[u8]) -> std::io::Result<bool> {
    // By now the number may belong to another file, even to a pipe, whose opening would wait.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let mut bytes = vec![0; head.len()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes == head)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::fd::AsRawFd;
    use std::process::{Command, Stdio};

    use super::*;

    /// The own mount, and another one.
    const OWN: u64 = 90;
    const DISK: u64 = 22;
    /// The file being written.
    const INO: u64 = 5;
    const WRITTEN: u64 = 1 << 20;

    fn open(number: u32, position: u64, (mount, ino): (u64, u64)) -> Descriptor {
        Descriptor { number, position, flags: libc::O_RDONLY | libc::O_CLOEXEC, mount, ino }
    }

    /// The numbers of the plausible sources among these and the growing file itself.
    fn plausible(descriptors: &[Descriptor]) -> Vec<u32> {
        let writer = Descriptor { flags: libc::O_WRONLY, ..open(1, WRITTEN, (OWN, INO)) };
        let descriptors = [&[writer], descriptors].concat();
        let table = Table { descriptors, mounts: vec![DISK, OWN], own: vec![OWN] };
        let along = WRITTEN..=WRITTEN + AHEAD_BYTES_MAX;
        table.plausible(INO, |position| along.contains(&position)).map(|open| open.number).collect()
    }

    #[test]
    fn a_source_is_read_along_or_has_no_position() {
        let at = |position| plausible(&[open(3, position, (DISK, 7))]);
        for position in [0, WRITTEN, WRITTEN + 1, WRITTEN + AHEAD_BYTES_MAX] {
            assert_eq!(at(position), [3], "{position}");
        }
        for position in [1, WRITTEN - 1, WRITTEN + AHEAD_BYTES_MAX + 1, u64::MAX] {
            assert_eq!(at(position), [0; 0], "{position}");
        }
    }

    #[test]
    fn a_list_that_is_read_beside_the_source_is_none() {
        assert_eq!(plausible(&[open(0, 70, (DISK, 6)), open(3, WRITTEN, (DISK, 7))]), [3]);
    }

    #[test]
    fn the_own_mount_and_what_no_table_knows_are_left_alone() {
        assert_eq!(plausible(&[open(3, WRITTEN, (OWN, 7)), open(4, WRITTEN, (OWN, INO))]), [0; 0]);
        assert_eq!(plausible(&[open(3, 0, (14, 7))]), [0; 0], "a pipe");
    }

    #[test]
    fn what_can_be_written_and_what_cannot_be_read_is_no_source() {
        for flags in [libc::O_RDWR, libc::O_WRONLY, libc::O_PATH, libc::O_RDONLY | libc::O_DIRECTORY] {
            assert_eq!(plausible(&[Descriptor { flags, ..open(3, WRITTEN, (DISK, 7)) }]), [0; 0], "{flags:o}");
        }
    }

    #[test]
    fn a_process_that_does_not_write_the_file_is_not_asked() {
        let reader = open(1, WRITTEN, (OWN, INO));
        let other = Descriptor { flags: libc::O_WRONLY, ..open(2, WRITTEN, (OWN, INO + 1)) };
        for descriptors in [vec![], vec![reader], vec![other]] {
            let descriptors = [descriptors, vec![open(3, WRITTEN, (DISK, 7))]].concat();
            let table = Table { descriptors, mounts: vec![DISK, OWN], own: vec![OWN] };
            assert_eq!(table.plausible(INO, |_| true).count(), 0);
        }
    }

    #[test]
    fn two_sources_are_none_and_one_source_twice_is_one() {
        let source = |ino, size| Source { file: (8, ino), size };
        assert_eq!(the_only(&[], 0), None);
        assert_eq!(the_only(&[source(1, 100)], 50), Some(100));
        assert_eq!(the_only(&[source(1, 100), source(1, 100)], 50), Some(100));
        assert_eq!(the_only(&[source(1, 100), source(2, 100)], 50), None);
        assert_eq!(the_only(&[source(1, 100)], 101), None, "more was written than it has");
    }

    #[test]
    fn only_root_looks_at_other_users() {
        assert!(may_look(0, 1000) && may_look(1000, 1000) && may_look(0, 0));
        assert!(!may_look(1000, 1001) && !may_look(1000, 0));
    }

    #[test]
    fn fdinfo_is_read() {
        let text = "pos:\t1048576\nflags:\t0100000\nmnt_id:\t22\nino:\t7\nlock:\t1: FLOCK\n";
        assert_eq!(parse(3, text), Some(Descriptor { flags: 0o100_000, ..open(3, 1 << 20, (22, 7)) }));
        for missing in ["pos:", "flags:", "mnt_id:", "ino:"] {
            assert_eq!(parse(3, &text.replace(missing, "x:")), None, "{missing}");
        }
    }

    #[test]
    fn what_this_process_has_open_is_seen_and_compared() {
        let mut named = tempfile::NamedTempFile::new().unwrap();
        named.write_all(&[7; 3000]).unwrap();
        let mut reader = fs::File::open(named.path()).unwrap();
        reader.seek(SeekFrom::Start(2000)).unwrap();
        let me = Tgid(std::process::id());
        let nowhere = Device::mounted_on(Path::new("/proc")).unwrap();
        let table = read_table(me, nowhere).unwrap();
        let number = reader.as_raw_fd() as u32;
        let seen = *table.descriptors.iter().find(|open| open.number == number).unwrap();
        assert_eq!((seen.position, seen.flags & libc::O_ACCMODE), (2000, libc::O_RDONLY));
        assert!(table.mounts.contains(&seen.mount) && !table.own.contains(&seen.mount));
        assert_eq!(touch(me, &seen, &[7; 1000]).map(|source| source.size), Some(3000));
        assert_eq!(touch(me, &seen, &[8; 1000]), None, "other bytes");
        assert_eq!(touch(me, &seen, &[7; 3001]), None, "more bytes than it has");
        assert_eq!(owner_of(me), Some(nix::unistd::geteuid().as_raw()));
    }

    #[test]
    fn a_pipe_is_touched_without_waiting() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let descriptor = open(reader.as_raw_fd() as u32, 0, (DISK, 7));
        assert_eq!(touch(Tgid(std::process::id()), &descriptor, b"x"), None);
        let (mut reader, writer) = std::io::pipe().unwrap();
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert_eq!(begins_with(Path::new("/dev/null"), b"x").ok(), None);
    }

    #[test]
    fn a_process_that_is_gone_copies_nothing() {
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let gone = Tgid(child.id());
        child.wait().unwrap();
        let device = Device::mounted_on(Path::new("/proc")).unwrap();
        let growing = Growing { device, ino: INO, written: WRITTEN, head: Bytes::from_static(b"x") };
        assert_eq!(size_of_source(gone, &growing, || WRITTEN), None);
    }
}
