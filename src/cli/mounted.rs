//! What the commands need that talk to a live mount: the status it tells, the commands it takes, and whether something
//! is a mount of ours at all. They go through files and attributes of the mount, as any program could.
//!
//! Nothing is asked or told before it is known to be ours: another file system would keep a command as an attribute of
//! its own, and that would look like a success.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::errno::Errno;

use crate::config::{Place, Refusal};
use crate::error::printable;
use crate::file::process::mounts_of_kind;
use crate::fs::status::{FileStatus, Status, VERSION};

/// What the kernel calls the mounts of an ordinary user.
const KIND: &str = "fuse.uploadfs";

/// What it calls those of root, and others.
const ANY_KIND: &str = "fuse";

/// Where a mount tells its status.
const STATUS: &str = ".uploadfs/status";

/// Attributes of files in a mount.
const STATE: &str = "user.uploadfs.state";
const ERROR: &str = "user.uploadfs.error";
const COMMAND: &str = "user.uploadfs.command";

/// Longest value of an attribute that is looked at, in bytes: an error is one line of at most 400 characters, with its
/// advice.
const VALUE_BYTES_MAX: usize = 8192;

/// A live mount.
#[derive(Debug)]
pub(super) struct Mounted {
    dir: PathBuf,
}

impl Mounted {
    /// The mount on `dir`.
    ///
    /// # Errors
    /// When `dir` is not the mount point of a live mount of ours.
    pub(super) fn at(dir: &Path) -> Result<Mounted, Refusal> {
        check_ours(dir)?;
        match std::fs::metadata(dir.join(STATUS)) {
            Ok(_) => Ok(Mounted { dir: dir.to_owned() }),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                let what = format!("{} lies in a mount and is not its mount point", shown(dir));
                Err(refusal(what, "name the directory that is mounted on"))
            }
            Err(error) => Err(cannot_be_asked(dir, &error)),
        }
    }

    /// The mount points of all mounts on this machine, also of those that do not answer, as far as they are known to be
    /// ours.
    pub(super) fn points() -> Vec<PathBuf> {
        let mut points = mounts_of_kind(KIND);
        points.extend(mounts_of_kind(ANY_KIND).into_iter().filter(|point| is_ours(point).unwrap_or(false)));
        points.sort();
        points.dedup();
        points
    }

    /// Where it is mounted.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its status, as it writes it.
    ///
    /// # Errors
    /// When it has gone.
    pub(super) fn text(&self) -> anyhow::Result<String> {
        let path = self.dir.join(STATUS);
        std::fs::read_to_string(path).with_context(|| format!("the mount on {} has gone", shown(&self.dir)))
    }

    /// Its status.
    ///
    /// # Errors
    /// When it has gone, or is of another version.
    pub(super) fn status(&self) -> anyhow::Result<Status> {
        parse(&self.text()?).with_context(|| format!("{} cannot be asked", shown(&self.dir)))
    }

    /// A file of its status, to be opened.
    pub(super) fn path_of(&self, file: &FileStatus) -> PathBuf {
        self.dir.join(file.path.trim_start_matches('/'))
    }
}

fn parse(text: &str) -> anyhow::Result<Status> {
    let value: serde_json::Value = serde_json::from_str(text).context("its status is no JSON")?;
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let said = version.map_or("none".to_owned(), |version| version.to_string());
        bail!("it was mounted by another version of uploadfs (its status has version {said}, not {VERSION})");
    }
    serde_json::from_value(value).context("its status is not what it should be")
}

/// Whether `path` lies in a mount of ours.
///
/// # Errors
/// When nothing is there, or the mount is dead.
pub(super) fn is_ours(path: &Path) -> io::Result<bool> {
    match attribute(path, STATE) {
        Ok(_) => Ok(true),
        // Other file systems have no such attribute, and ours says of every entry what its state is.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EOPNOTSUPP | libc::EPERM)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses what does not lie in a mount of ours.
///
/// # Errors
/// Says what it is instead.
pub(super) fn check_ours(path: &Path) -> Result<(), Refusal> {
    match is_ours(path) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let what = format!("{} is not a mount of uploadfs, and lies in none", shown(path));
            Err(refusal(what, "`uploadfs status` lists the mounts"))
        }
        Err(error) => Err(cannot_be_asked(path, &error)),
    }
}

/// Tells the mount of a file what to do with it; answers when it is done.
///
/// # Errors
/// The errno of the mount.
pub(super) fn command(path: &Path, word: &str) -> Result<(), Errno> {
    let flags = rustix::fs::XattrFlags::empty();
    let told = rustix::fs::setxattr(path, COMMAND, word.as_bytes(), flags);
    told.map_err(|error| Errno::from_raw(error.raw_os_error()))
}

/// The state of a file in a mount.
pub(super) fn state_of(path: &Path) -> String {
    attribute(path, STATE).unwrap_or_else(|_| "gone".into())
}

/// Why a file is parked.
pub(super) fn reason_of(path: &Path) -> Option<String> {
    attribute(path, ERROR).ok()
}

fn attribute(path: &Path, name: &str) -> io::Result<String> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut value = vec![0; VALUE_BYTES_MAX];
    let len = rustix::fs::getxattr(&path, name, &mut value[..])?;
    Ok(String::from_utf8_lossy(&value[..len]).into_owned())
}

/// An errno as programs say it.
pub(super) fn words(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// A path as a line of text holds it.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}

/// A refusal of what was typed.
pub(super) fn refusal(what: impl Into<String>, instead: impl Into<String>) -> Refusal {
    Refusal::new(Place::Arguments, what, instead)
}

fn cannot_be_asked(path: &Path, error: &io::Error) -> Refusal {
    let shown = shown(path);
    match error.raw_os_error() {
        Some(libc::ENOTCONN) => refusal(
            format!("{shown} is a dead mount: the process behind it has gone"),
            format!("run: fusermount3 -uz {shown}"),
        ),
        Some(code) => {
            let instead = match code {
                libc::EACCES => "ask as the user who has mounted it",
                _ => "name a file in a mount, or a mount point",
            };
            refusal(format!("{shown}: {}", words(Errno::from_raw(code))), instead)
        }
        None => refusal(format!("{shown}: {error}"), "name a file in a mount, or a mount point"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mount_is_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "x").unwrap();
        for path in [dir.path(), &file] {
            let refused = Mounted::at(path).unwrap_err().to_string();
            assert!(refused.contains("is not a mount of uploadfs"), "{refused}");
        }
        let missing = check_ours(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
        let nul = check_ours(Path::new("a\0b")).unwrap_err().to_string();
        assert!(nul.contains("a\\u{0}b"), "{nul}");
    }

    #[test]
    fn a_directory_that_only_looks_like_it_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".uploadfs")).unwrap();
        std::fs::write(dir.path().join(STATUS), "{}").unwrap();
        assert!(Mounted::at(dir.path()).is_err());
    }

    #[test]
    fn another_version_is_told_from_nonsense() {
        let said = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(said("{\"version\":2}").contains("another version"));
        assert!(said("{}").contains("version none"));
        assert!(said("text").contains("no JSON"));
        assert_eq!(words(Errno::EDQUOT), "Disk quota exceeded");
        assert!(said("{\"version\":1}").contains("remote"), "{}", said("{\"version\":1}"));
    }
}
