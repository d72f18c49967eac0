//! What the kernel tells about the processes that use a file: FUSE names a thread, and says neither whether it is dying
//! nor whether somebody else holds the file open. `/proc` does.
//!
//! Where `/proc` cannot be read (another pid namespace, missing rights) the answers are "unknown", and the caller does
//! what it would do without asking.

use std::fs;
use std::path::{Path, PathBuf};

/// A thread group (a process), as the pid of its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tgid(pub u32);

/// `PF_EXITING`: the task is past the point of no return in `exit`. From the kernel's `include/linux/sched.h`.
const PF_EXITING: u64 = 0x4;

/// The signal's number in a wait status.
const SIGNAL_MASK: i64 = 0x7f;

/// The process that the thread `tid` belongs to; `None` for requests of the kernel itself (pid 0) or when unknown.
pub fn process_of(tid: u32) -> Option<Tgid> {
    if tid == 0 {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok().map(Tgid)
}

/// Whether there is such a process.
pub fn is_alive(process: Tgid) -> bool {
    Path::new(&format!("/proc/{}", process.0)).exists()
}

/// The signal that is killing the thread `tid`, if one is.
pub fn dies_by_signal(tid: u32) -> Option<i64> {
    killed_by(&fs::read_to_string(format!("/proc/{tid}/stat")).ok()?)
}

/// Reads `/proc/<tid>/stat`: the 9th field holds the flags, the 52nd the exit code.
fn killed_by(stat: &str) -> Option<i64> {
    // The 2nd field is the program's name in parentheses, and may itself hold blanks and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let flags: u64 = fields.nth(9 - 3)?.parse().ok()?;
    let exit_code: i64 = fields.nth(52 - 10)?.parse().ok()?;
    let signal = exit_code & SIGNAL_MASK;
    (flags & PF_EXITING != 0 && signal != 0).then_some(signal)
}

/// Whether the process holds the file `ino` of the file system `device` open for writing; `None` when that cannot be
/// seen. A descriptor that is being closed is not held any more.
pub fn holds_for_writing(process: Tgid, device: Device, ino: u64) -> Option<bool> {
    let mounts = mounts_of(&fs::read_to_string(format!("/proc/{}/mountinfo", process.0)).ok()?, device);
    let fdinfo = fs::read_dir(format!("/proc/{}/fdinfo", process.0)).ok()?;
    for entry in fdinfo.flatten() {
        // A descriptor that was closed meanwhile is not held.
        if let Ok(text) = fs::read_to_string(entry.path())
            && let (Some(mount), Some(inode)) = (field(&text, "mnt_id:"), field(&text, "ino:"))
            && inode == ino
            && mounts.contains(&mount)
            && may_write(&text)
        {
            return Some(true);
        }
    }
    Some(false)
}

/// Whether a descriptor can write. Unreadable flags are taken for a writer's, as a file was before they were looked at.
fn may_write(fdinfo: &str) -> bool {
    flags(fdinfo).is_none_or(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// The `flags:` line of an `fdinfo`, which is octal.
pub(super) fn flags(fdinfo: &str) -> Option<i32> {
    let line = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"))?;
    i32::from_str_radix(line.trim(), 8).ok()
}

/// The number behind `name` in a table of `name:\tvalue` lines.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// A file system, as `major:minor` of its anonymous device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    major: u32,
    minor: u32,
}

impl Device {
    /// The file system that is mounted on `dir`, in the mount namespace of this process. The directory itself is not
    /// touched: asking it would be asking ourselves.
    pub fn mounted_on(dir: &Path) -> Option<Device> {
        mounted_on(&fs::read_to_string("/proc/self/mountinfo").ok()?, dir)
    }
}

/// Whether a FUSE file system is mounted on `dir`.
pub fn fuse_is_mounted_on(dir: &Path) -> bool {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let top = mountinfo.lines().rev().find(|line| mounted_on(line, dir).is_some());
    let kind = top.and_then(|line| line.split_once(" - ")?.1.split(' ').next());
    kind.is_some_and(|kind| kind.starts_with("fuse"))
}

/// The mount points of the file systems of this kind that this process sees, whole ones only.
pub fn mounts_of_kind(kind: &str) -> Vec<PathBuf> {
    points_of(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), kind)
}

fn points_of(mountinfo: &str, kind: &str) -> Vec<PathBuf> {
    let point = |line: &str| {
        let (mount, about) = line.split_once(" - ")?;
        (about.split(' ').next() == Some(kind)).then_some(())?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (root == "/").then(|| unescape(point).into())
    };
    mountinfo.lines().filter_map(point).collect()
}

/// `/proc/<pid>/mountinfo`: mount id, parent id, major:minor, root, mount point, ... The last mount on a point wins.
fn mounted_on(mountinfo: &str, dir: &Path) -> Option<Device> {
    let parse = |line: &str| {
        let mut fields = line.split(' ').skip(2);
        let (major, minor) = fields.next()?.split_once(':')?;
        let point = unescape(fields.nth(1)?);
        (Path::new(&point) == dir).then_some(Device { major: major.parse().ok()?, minor: minor.parse().ok()? })
    };
    mountinfo.lines().rev().find_map(parse)
}

/// The ids of the mounts of `device`.
pub(super) fn mounts_of(mountinfo: &str, device: Device) -> Vec<u64> {
    let wanted = format!("{}:{}", device.major, device.minor);
    let parse = |line: &str| {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        (fields.nth(1)? == wanted).then_some(id)
    };
    mountinfo.lines().filter_map(parse).collect()
}

/// Undoes the kernel's octal escapes (`\040` for a blank) in a mount point.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let octal = (*byte == b'\\').then(|| tail.get(..3)).flatten();
        let code = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        rest = if code.is_some() { &tail[3..] } else { tail };
        bytes.push(code.unwrap_or(*byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_thread_belongs_to_this_process() {
        let me = std::process::id();
        assert_eq!(process_of(me), Some(Tgid(me)));
        assert_eq!(process_of(0), None);
        let task = std::thread::spawn(|| {
            let tid = fs::read_link("/proc/thread-self").unwrap();
            tid.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap()
        });
        assert_ne!(process_of(task.join().unwrap()), Some(Tgid(0)));
        assert_eq!(dies_by_signal(me), None);
    }

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let fields = |flags: u64, exit: i64| {
            let middle = (10..52).map(|_| "1").collect::<Vec<_>>().join(" ");
            format!("12 (a) b (c) S 1 1 1 0 -1 {flags} {middle} {exit}")
        };
        assert_eq!(killed_by(&fields(PF_EXITING, 2)), Some(2), "SIGINT");
        assert_eq!(killed_by(&fields(PF_EXITING, 9 | 0x80)), Some(9), "with a core dump");
        assert_eq!(killed_by(&fields(PF_EXITING, 1 << 8)), None, "exit(1)");
        assert_eq!(killed_by(&fields(0, 2)), None, "still alive");
    }

    /// A zombie has not been reaped: its stat still tells how it died.
    #[test]
    fn a_killed_process_is_told_from_one_that_exits() {
        // Not SIGINT: whoever was started in the background by a shell ignores it, and so do all its children.
        for (script, signal) in [("kill -TERM $$", Some(15)), ("exit 3", None)] {
            let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
            let mut end = Vec::new();
            child.stdout.take().unwrap().read_to_end(&mut end).unwrap();
            // Its descriptors are closed; it becomes a zombie within the same exit.
            while !fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z") {
                std::thread::yield_now();
            }
            assert_eq!(dies_by_signal(child.id()), signal);
            assert_eq!(child.wait().unwrap().signal().map(i64::from), signal);
        }
    }

    #[test]
    fn mount_tables_are_read() {
        let table = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                     90 22 0:55 / /mnt/my\\040wiki rw - fuse.uploadfs wiki rw\n\
                     91 22 0:55 / /srv rw - fuse.uploadfs wiki rw\n\
                     92 22 0:56 /sub /opt rw - fuse other rw\n";
        let device = mounted_on(table, Path::new("/mnt/my wiki")).unwrap();
        assert_eq!(device, Device { major: 0, minor: 55 });
        assert_eq!(mounts_of(table, device), [90, 91]);
        assert_eq!(mounted_on(table, Path::new("/mnt")), None);
        assert_eq!(points_of(table, "fuse.uploadfs"), [Path::new("/mnt/my wiki"), Path::new("/srv")]);
        assert!(points_of(table, "fuse").is_empty(), "a part of a mount has no hidden directory");
        assert_eq!(unescape("a\\b\\04"), "a\\b\\04");
    }

    #[test]
    fn an_open_file_is_seen_in_fdinfo() {
        use std::os::unix::fs::MetadataExt;
        let named = tempfile::NamedTempFile::new().unwrap();
        let file = named.as_file();
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).unwrap();
        let mount = field(&text, "mnt_id:").unwrap();
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = table.lines().find(|line| line.starts_with(&format!("{mount} "))).unwrap();
        let (major, minor) = line.split(' ').nth(2).unwrap().split_once(':').unwrap();
        let device = Device { major: major.parse().unwrap(), minor: minor.parse().unwrap() };
        let (me, ino) = (Tgid(std::process::id()), file.metadata().unwrap().ino());
        assert_eq!(holds_for_writing(me, device, ino), Some(true));
        let reader = fs::File::open(named.path()).unwrap();
        drop(named);
        assert_eq!(reader.metadata().unwrap().ino(), ino);
        assert_eq!(holds_for_writing(me, device, ino), Some(false), "a reader has nothing to publish");
        assert_eq!(holds_for_writing(Tgid(u32::MAX - 1), device, ino), None);
    }
}
