//! Open files: write, read, and what closing means.
//!
//! **Contract.** A flush that answers `Ok` after something was written means that the service has confirmed the file,
//! or that another process still holds it open and its close will tell (`close.rs`). A failed upload is sticky: every
//! later write, fsync and flush of that file gives the same answer until the file is opened for writing again.
//!
//! **Failure.** What could not be uploaded, and what a killed program left, is *parked*: readable in the mount, not
//! published; the next write to it makes it an ordinary file again. A person may send it as it is, or throw it away
//! (`parked.rs`).
//!
//! **Size.** What can be known of the size that a file will have is found out while it is written (`promise.rs`).

mod close;
mod copying;
mod generations;
mod health;
mod parked;
pub mod process;
mod promise;
mod publish;
mod reading;
mod recovered;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Notify;

use self::generations::Generations;
pub use self::health::Health;
use self::process::{Device, Tgid};
use self::promise::Expectation;
use crate::cache::Cache;
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::service::Node;
use crate::upload::{Held, Place, Source, Upload, Uploads};

/// What a program that closes a file waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Close {
    /// The service: it has the file.
    #[default]
    Remote,
    /// The local disk: the file, and that it is to be uploaded, survive `kill -9` and power cuts.
    Local,
}

/// How the files of a mount behave.
#[derive(Clone, Copy, Debug)]
pub struct FilesConfig {
    /// What closing waits for.
    pub close: Close,
    /// A close is answered when nothing moved for so long.
    pub close_deadline: Duration,
    /// Whether the size of a file may be declared before it is complete.
    pub size_promise: bool,
}

/// What all open files of a mount share.
pub struct Files {
    uploads: Arc<Uploads>,
    cache: Arc<Cache>,
    config: FilesConfig,
    /// How often a writing process was looked at for the size of what it copies.
    looks: AtomicU64,
    /// How many handles are open.
    open: AtomicUsize,
    /// The mounted file system, once it is known; before that nobody has a file open.
    device: std::sync::OnceLock<Device>,
}

impl Files {
    /// Files of `uploads`, cached in `cache`.
    pub fn new(uploads: Arc<Uploads>, cache: Arc<Cache>, config: FilesConfig) -> Arc<Self> {
        let (looks, open, device) = (AtomicU64::new(0), AtomicUsize::new(0), std::sync::OnceLock::new());
        Arc::new(Files { uploads, cache, config, looks, open, device })
    }

    /// The mount is live, as this file system.
    pub fn mounted(&self, device: Device) {
        // A mount has one device for life.
        let _ = self.device.set(device);
    }

    /// Whether any program has a file open.
    pub fn any_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// What a program that closes a file waits for.
    pub fn close(&self) -> Close {
        self.config.close
    }

    /// How often a writing process has been looked at for the size of what it copies.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// The uploads below.
    pub fn uploads(&self) -> &Arc<Uploads> {
        &self.uploads
    }

    /// The cache below.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The file of inode `ino` at `path`, in the service's version `node`, if there is one.
    pub fn file(self: &Arc<Self>, ino: u64, path: RemotePath, node: Option<Node>) -> Arc<File> {
        let size = node.as_ref().map_or(0, |node| node.size);
        let place = Arc::new(Place::new(path.clone()));
        let base = node.map(|node| (path, node));
        let source = Source::new(self.uploads.service().clone(), &self.cache, base);
        let upload = Upload::new(self.uploads.clone(), place.clone(), source, size);
        self.file_of(ino, place, upload, Vec::new())
    }

    fn file_of(
        self: &Arc<Self>,
        ino: u64,
        place: Arc<Place>,
        current: Arc<Upload>,
        earlier: Vec<Arc<Upload>>,
    ) -> Arc<File> {
        Arc::new(File {
            files: self.clone(),
            ino,
            place,
            generations: Mutex::new(Generations { current, earlier, published: None }),
            unsealing: tokio::sync::Mutex::new(()),
            turn: Notify::new(),
            left: AtomicBool::new(false),
            base_in_doubt: AtomicBool::new(false),
            state: Mutex::default(),
        })
    }
}

/// One file that is, or was, open. Shared by all its handles.
pub struct File {
    files: Arc<Files>,
    ino: u64,
    place: Arc<Place>,
    generations: Mutex<Generations>,
    /// Held by whoever makes a sealed file one that can be changed.
    unsealing: tokio::sync::Mutex<()>,
    /// Told when a generation is over.
    turn: Notify,
    /// One of its generations waits for the next mount.
    left: AtomicBool,
    /// The service was away when somebody last looked: it may have another version under the name by now.
    base_in_doubt: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who opened the handles that are open.
    openers: Vec<Opener>,
    /// How many handles there ever were.
    handles: u64,
    /// How many of the handles read through the kernel's pages.
    readers: u32,
    last_writer: Option<Tgid>,
    /// The thread and process that wrote last, so that `/proc` is asked once per writer and not once per write.
    known_thread: Option<(u32, Option<Tgid>)>,
    /// How often it was opened for writing.
    opened: u64,
    /// How often programs wrote to it. Truncation by `open` alone does not count.
    writes: u64,
    /// How many of the `writes` some close or `fsync` has told the truth about.
    answered: u64,
    /// The processes that wrote since the last commit.
    writers: Vec<Tgid>,
    parked: Option<Error>,
    /// The moment in which a writer was killed and the file parked for that.
    killed_at: Option<(u64, u64)>,
    /// The bytes were thrown away: the name stands for another file, or for none. Nobody may open this one any more.
    thrown_away: bool,
    modified: Option<SystemTime>,
    expectation: Expectation,
}

impl State {
    /// Whether a program wrote and was not yet told whether the service has it.
    fn is_owed_an_answer(&self) -> bool {
        self.writes > self.answered
    }

    /// Changes whenever a program opens the file for writing, or writes.
    fn moment(&self) -> (u64, u64) {
        (self.opened, self.writes)
    }
}

/// Who opened a handle, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Opener {
    /// Which handle of the file it is.
    number: u64,
    process: Option<Tgid>,
    writable: bool,
    /// A descriptor of it was closed: it is, or was, in the hands of programs.
    flushed: bool,
}

/// One open of a file.
pub struct Handle {
    file: Arc<File>,
    opener: Opener,
    readable: bool,
    /// Where the last read ended, to see reading in sequence.
    read_to: AtomicU64,
}

impl Handle {
    /// The file.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Whether it was opened for writing.
    pub fn is_writable(&self) -> bool {
        self.opener.writable
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenMode {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Cutting it to nothing first.
    pub truncate: bool,
}

impl File {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it stands.
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Its size, in bytes.
    pub fn size(&self) -> u64 {
        self.upload().size()
    }

    /// When a program last wrote to it through this mount.
    pub fn modified(&self) -> Option<SystemTime> {
        self.state().modified
    }

    /// The time of the last write no longer counts: a program set another, or another client's version has its own.
    pub fn forget_modified(&self) {
        self.state().modified = None;
    }

    /// What the service has under the name is known from before it went away.
    pub fn doubt_base(&self) {
        self.base_in_doubt.store(true, Ordering::Release);
    }

    /// Whether any handle is open.
    pub fn is_open(&self) -> bool {
        !self.state().openers.is_empty()
    }

    /// Whether a program has the file open for writing.
    pub fn has_writers(&self) -> bool {
        self.state().openers.iter().any(|opener| opener.writable)
    }

    /// Whether a program reads the file through the kernel's pages.
    pub fn has_readers(&self) -> bool {
        self.state().readers > 0
    }

    /// Whether the mount knows more of it than the service: it is open, changed, parked, or the spool still has it. (Whoever
    /// removes or renames it then must meet this file and not another one of the same name, or the next mount would find
    /// it as it was.)
    pub fn is_local(&self) -> bool {
        let is_known_here = |upload: &Arc<Upload>| upload.is_dirty() || upload.is_busy() || upload.is_saved();
        self.is_open() || self.uploads().iter().any(is_known_here)
    }

    /// Whether it is empty, and the service has no empty files.
    fn stays_local(&self) -> bool {
        self.size() == 0 && !self.files.uploads.service().capability().empty_files
    }

    /// Whether the service does not have it as it is.
    pub fn is_dirty(&self) -> bool {
        self.uploads().iter().any(|upload| upload.is_dirty())
    }

    /// Opens the file for the thread `tid`.
    ///
    /// # Errors
    /// `Busy` when it is to be truncated and a commit does not end; `Conflict` when its bytes were thrown away.
    pub async fn open(self: &Arc<Self>, tid: u32, mode: OpenMode) -> Result<Handle> {
        let process = process::process_of(tid);
        let opener;
        {
            // Before anything changes: a close that finds nobody else with the file open may publish it as it is, and the end
            // of a program that is killed may park it.
            let mut state = self.state();
            state.check_kept()?;
            self.files.open.fetch_add(1, Ordering::Relaxed);
            state.handles += 1;
            opener = Opener { number: state.handles, process, writable: mode.write, flushed: false };
            state.openers.push(opener);
            state.readers += u32::from(mode.read);
            if mode.write {
                let upload = self.upload();
                if let Some(error) = upload.failure().filter(|_| upload.is_dirty() && !upload.is_closed()) {
                    // It stays parked until somebody writes.
                    state.parked.get_or_insert(error);
                }
                upload.reopen();
                state.opened += 1;
                if state.parked.is_some() {
                    // What is parked stays parked until somebody writes; a `touch` must not publish it.
                    state.answered = state.writes;
                }
            }
        }
        let handle = Handle { file: self.clone(), opener, readable: mode.read, read_to: AtomicU64::new(0) };
        if mode.truncate {
            if let Err(error) = self.resize(0).await {
                self.forget(&handle);
                // While it waited, others took it for a writer who would commit.
                let _ = self.commit_unless_written().await;
                self.files.open.fetch_sub(1, Ordering::Relaxed);
                return Err(error);
            }
            let mut state = self.state();
            state.parked = None;
            state.opened += 1;
            state.expectation = self.expect_of_nothing();
        }
        Ok(handle)
    }

    /// Waits until the file may change. Of a file that was saved as complete, the first `keep` bytes are to stay.
    async fn until_settled<T>(&self, keep: u64, mut change: impl FnMut(&Arc<Upload>) -> Result<T, Held>) -> Result<T> {
        loop {
            let upload = self.upload();
            match change(&upload) {
                Ok(value) => return Ok(value),
                Err(Held::Failed(_)) => self.failure().map_or(Ok(()), Err)?,
                Err(Held::Sealed) => self.unseal(keep).await?,
                Err(Held::Committing) => {
                    let settled = tokio::time::timeout(self.files.config.close_deadline, upload.settled());
                    settled.await.map_err(|_| Error::new(Kind::Busy, "write", "the file is being committed"))?;
                }
            }
        }
    }

    async fn resize(&self, size: u64) -> Result<()> {
        self.check_end(size)?;
        self.until_settled(size, |upload| upload.resize(size)).await?;
        self.state().modified = Some(SystemTime::now());
        Ok(())
    }

    /// Cuts or extends an open file.
    ///
    /// # Errors
    /// The sticky failure of the file; `TooLarge`; `Busy`.
    pub async fn truncate(&self, size: u64) -> Result<()> {
        let before = self.size();
        self.resize(size).await?;
        self.note_resize(before..size);
        Ok(())
    }

    /// Extends an open file to `size` bytes; one that has as many stays as it is.
    ///
    /// # Errors
    /// As [`File::truncate`].
    pub async fn allocate(&self, size: u64) -> Result<()> {
        self.check_end(size)?;
        let before = self.size();
        if size > before {
            self.until_settled(u64::MAX, |upload| upload.extend(size)).await?;
            self.note_resize(before..size);
        }
        Ok(())
    }

    /// A program has given the file another size.
    fn note_resize(&self, sizes: Range<u64>) {
        let mut state = self.state();
        state.writes += 1;
        state.parked = None;
        state.modified = Some(SystemTime::now());
        self.expect_resized(&mut state, sizes);
    }

    /// Cuts or extends a file that nobody has open: the service has it when this returns.
    ///
    /// # Errors
    /// As [`File::truncate`], and whatever keeps the service from having it.
    pub async fn truncate_closed(self: &Arc<Self>, size: u64) -> Result<()> {
        self.upload().reopen();
        self.truncate(size).await?;
        self.commit().await?;
        self.state().check_kept()
    }

    fn check_end(&self, end: u64) -> Result<()> {
        let max = self.files.uploads.service().capability().file_max;
        if end > max {
            let what = format!("the file would have {end} bytes, the service takes at most {max}");
            return Err(Error::new(Kind::TooLarge, "write", what));
        }
        Ok(())
    }

    /// Writes what can be taken at once; how many bytes. `at` is `None` for an append.
    ///
    /// # Errors
    /// The sticky failure of the file; `TooLarge`.
    pub fn write_now(self: &Arc<Self>, tid: u32, at: Option<u64>, data: &[u8]) -> Result<usize> {
        self.check_end(at.unwrap_or_else(|| self.size()).saturating_add(data.len() as u64))?;
        let taken = match self.upload().write(at, data) {
            Ok(taken) => taken,
            Err(Held::Committing | Held::Sealed) => 0,
            Err(Held::Failed(_)) => self.failure().map_or(Ok(0), Err)?,
        };
        if taken > 0 {
            self.note_write(tid);
        }
        Ok(taken)
    }

    /// Writes the rest of what [`File::write_now`] could not take; waits for room and for commits.
    ///
    /// # Errors
    /// As [`File::write_now`]; `SpoolFull`.
    pub async fn write_rest(self: &Arc<Self>, tid: u32, at: Option<u64>, data: Bytes) -> Result<()> {
        let mut done = 0;
        while done < data.len() {
            let offset = at.map(|at| at + done as u64);
            let taken = self.until_settled(u64::MAX, |upload| upload.write(offset, &data[done..])).await?;
            if taken == 0 {
                self.upload().source().room().await?;
            }
            done += taken;
        }
        self.note_write(tid);
        Ok(())
    }

    fn note_write(self: &Arc<Self>, tid: u32) {
        let mut state = self.state();
        // Requests from the page cache carry pid 0: they say nothing about who wrote.
        if tid != 0 {
            let process = match state.known_thread {
                Some((known, process)) if known == tid => process,
                _ => process::process_of(tid),
            };
            state.known_thread = Some((tid, process));
            if state.last_writer != process || state.writers.is_empty() {
                state.last_writer = process;
                let new = process.filter(|process| !state.writers.contains(process));
                state.writers.extend(new);
            }
        }
        state.writes += 1;
        state.parked = None;
        state.modified = Some(SystemTime::now());
        self.expect_written(&mut state);
    }
}
