//! The right to use a spool directory: that it is ours alone, and that one daemon at a time uses it. Says nothing about
//! what is kept in it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// The directory is for the user alone: file contents pass through it.
const DIRECTORY_MODE: u32 = 0o700;
/// The lock file needs no reader but us.
const LOCK_MODE: u32 = 0o600;
/// Write permission for group and others: with it, somebody else could put files in our way.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// How long a second daemon waits: `umount` returns a moment before the daemon behind the mount is gone, and whoever
/// mounts again at once should not be refused. A person notices nothing yet.
const LOCK_WAIT: Duration = Duration::from_millis(800);
/// How often it looks meanwhile.
const LOCK_TICK: Duration = Duration::from_millis(20);
/// The file in the directory that is locked; its content means nothing.
const LOCK_NAME: &str = "lock";

/// Holds a spool directory for this process. Dropping it lets the next daemon in.
#[derive(Debug)]
pub struct SpoolLock {
    directory: PathBuf,
    /// The kernel's lock lives exactly as long as this descriptor.
    _file: File,
}

impl SpoolLock {
    /// Makes `directory` where it is missing, checks that nobody else can write to it, and locks it.
    ///
    /// # Errors
    /// `Busy` when another daemon holds it, `Denied` when it is not ours alone, `Spool` or `SpoolFull` when the disk
    /// does not let us.
    pub fn acquire(directory: &Path) -> Result<SpoolLock> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(|error| refused(directory, error))?;
        // The link itself would be swapped more easily than the directory behind it, hence no following.
        let metadata = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
            .open(directory)
            .and_then(|opened| opened.metadata())
            .map_err(|error| refused(directory, error))?;
        check_private(directory, &metadata)?;
        let file = lock(directory)?;
        check_owner(directory, &metadata)?;
        Ok(SpoolLock { directory: directory.to_owned(), _file: file })
    }

    /// The directory that is held.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

fn refused(directory: &Path, error: std::io::Error) -> Error {
    let what = format!("the spool directory {} cannot be used: {error}", directory.display());
    let kind = Error::spool("spool", std::io::Error::from(error.kind())).kind;
    Error::new(kind, "spool", what).source(error).hint("choose another directory with --spool")
}

fn check_private(directory: &Path, metadata: &Metadata) -> Result<()> {
    if metadata.mode() & WRITABLE_BY_OTHERS == 0 {
        return Ok(());
    }
    let what = format!("other users can write to the spool directory {}", directory.display());
    Err(Error::new(Kind::Denied, "spool", what).hint("chmod 700 it, or choose another directory with --spool"))
}

/// Whether the directory belongs to the user we write as. Asked by making a file there, because that is the question
/// that counts (set-uid, user namespaces) and the answer of `geteuid` would need `unsafe`.
fn check_owner(directory: &Path, metadata: &Metadata) -> Result<()> {
    let probe = tempfile::tempfile_in(directory).and_then(|file| file.metadata());
    if probe.map_err(|error| refused(directory, error))?.uid() == metadata.uid() {
        return Ok(());
    }
    let what = format!("the spool directory {} belongs to another user", directory.display());
    Err(Error::new(Kind::Denied, "spool", what).hint("choose another directory with --spool"))
}

fn lock(directory: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(LOCK_MODE)
        .custom_flags(libc::O_NOFOLLOW)
        .open(directory.join(LOCK_NAME))
        .map_err(|error| refused(directory, error))?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_TICK),
            Err(TryLockError::WouldBlock) => {
                let what = format!("another daemon uses the spool directory {}", directory.display());
                let hint = "unmount it first, or give this mount its own --spool";
                return Err(Error::new(Kind::Busy, "spool", what).hint(hint));
            }
            Err(TryLockError::Error(error)) => return Err(refused(directory, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_daemon_that_is_about_to_end_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let lock = SpoolLock::acquire(home.path()).unwrap();
        let directory = home.path().to_owned();
        let next = std::thread::spawn(move || SpoolLock::acquire(&directory).map(|_| ()));
        drop(lock);
        next.join().unwrap().unwrap();
    }

    #[test]
    fn the_directory_is_made_private_and_locked_once() {
        let home = tempfile::tempdir().unwrap();
        let spool = home.path().join("a/spool");
        let lock = SpoolLock::acquire(&spool).unwrap();
        assert_eq!(lock.directory(), spool);
        assert_eq!(mode(&spool), 0o700);
        assert_eq!(mode(&spool.join(LOCK_NAME)), 0o600);

        let second = SpoolLock::acquire(&spool).unwrap_err();
        assert_eq!(second.kind, Kind::Busy);
        assert!(second.what.contains(spool.to_str().unwrap()), "{second}");

        drop(lock);
        SpoolLock::acquire(&spool).unwrap();
    }

    #[test]
    fn a_directory_others_can_write_to_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for open in [0o770, 0o702] {
            fs::set_permissions(home.path(), Permissions::from_mode(open)).unwrap();
            assert_eq!(SpoolLock::acquire(home.path()).unwrap_err().kind, Kind::Denied);
        }
        assert!(!home.path().join(LOCK_NAME).exists(), "nothing is made in a directory that is refused");
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        SpoolLock::acquire(home.path()).unwrap();
    }

    #[test]
    fn links_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(SpoolLock::acquire(&link).unwrap_err().kind, Kind::Spool);

        symlink(home.path().join("elsewhere"), real.join(LOCK_NAME)).unwrap();
        assert_eq!(SpoolLock::acquire(&real).unwrap_err().kind, Kind::Spool);
        assert!(!home.path().join("elsewhere").exists());
    }

    #[test]
    fn a_file_is_not_a_directory() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, b"x").unwrap();
        let error = SpoolLock::acquire(&file).unwrap_err();
        assert_eq!(error.kind, Kind::Spool);
        assert!(error.hint.is_some());
    }
}
