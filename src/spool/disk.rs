//! The directory of the spool as the rest of it sees it: flat, names of our own, and an explicit step for everything that
//! must survive a power cut. A trait, so that tests can put a disk in its place that fails, or that forgets what was
//! not synced.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

/// What is kept passes through here in clear text: for the user alone.
const FILE_MODE: u32 = 0o600;

/// A flat directory.
pub(crate) trait Disk: Send + Sync {
    /// A new, empty file. Survives a power cut once [`Disk::sync_names`] has answered.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// A file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what has that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; one that is not there is removed already.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// All names, in no order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Every name that was made, changed or removed before is so after a power cut.
    fn sync_names(&self) -> io::Result<()>;
    /// Bytes that can still be written.
    fn free(&self) -> io::Result<u64>;
}

/// A file of a [`Disk`].
pub(crate) trait DiskFile: Send + Sync {
    /// Writes all of `data` at `at`.
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()>;
    /// Fills all of `buffer` from `at` on.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, size: u64) -> io::Result<()>;
    /// Its size in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Every byte that was written before is there after a power cut.
    fn sync(&self) -> io::Result<()>;
}

/// A real directory.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Disk for Directory {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        // What has the name was left by a process that died before it meant anything.
        self.remove(name)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE).custom_flags(libc::O_NOFOLLOW);
        Ok(Arc::new(options.open(self.0.join(name))?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
        Ok(Arc::new(options.open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            // Names of ours are ASCII.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let space = nix::sys::statvfs::statvfs(&self.0)?;
        Ok(space.blocks_available().saturating_mul(space.fragment_size()))
    }
}

impl DiskFile for File {
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, data, at)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, at)
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        File::set_len(self, size)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
