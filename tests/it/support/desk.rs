//! A mount without a kernel, for tests of faults: a program that writes a file through the service in its layers, the cache
//! and the open files above them; and cases that run on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uploadfs::cache::{Cache, CacheConfig};
use uploadfs::error::Result;
use uploadfs::file::{Close, File, Files, FilesConfig, Health, OpenMode};
use uploadfs::path::RemotePath;
use uploadfs::service::layer::stack;
use uploadfs::service::{Node, Service};
use uploadfs::upload::Uploads;

use super::daemon::entries;
use super::office::quick_folder;

/// The file that all of them write.
pub(crate) const NAME: &str = "report.txt";
/// So many cases run at once: they wait more than they work.
const WIDTH: usize = 8;
/// So much is written at once, in bytes: nothing that parts begin or end with.
const PIECE: usize = 3000;
/// Disk space for what waits, in bytes: more than any test writes.
const SPOOL_BYTES: u64 = 64 << 20;
/// So often somebody looks what has become of a file, on the clock of the runtime.
const LOOK: Duration = Duration::from_millis(200);

/// What a close answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// That the file is there.
    Success,
    /// One of these.
    Errno(&'static [i32]),
    /// That the file is there, or one of these.
    Either(&'static [i32]),
}

impl Told {
    #[track_caller]
    pub(crate) fn check(self, told: &Result<()>) {
        let is_right = match (self, told) {
            (Told::Success | Told::Either(_), Ok(())) => true,
            (Told::Errno(errnos) | Told::Either(errnos), Err(error)) => errnos.contains(&error.errno()),
            (Told::Errno(_), Ok(())) | (Told::Success, Err(_)) => false,
        };
        assert!(is_right, "{self:?}, and it was {told:?}");
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the file is, for the client.
pub(crate) fn path() -> RemotePath {
    RemotePath::parse(NAME).unwrap()
}

/// A mount without a kernel: the service in its layers, the cache, and open files above them.
pub(crate) struct Desk {
    pub(crate) service: Arc<dyn Service>,
    uploads: Arc<Uploads>,
    files: Arc<Files>,
    file: Mutex<Option<Arc<File>>>,
    /// Whether the last program that wrote came to its close with all of it.
    closed: AtomicBool,
    spool: TempDir,
}

impl Desk {
    /// At `service`, without layers; a close waits for it, and so long.
    pub(crate) fn new(service: Arc<dyn Service>, close_deadline: Duration) -> Desk {
        Desk::closing(Close::Remote, service, close_deadline)
    }

    /// The same with closes that may wait for something else.
    pub(crate) fn closing(close: Close, service: Arc<dyn Service>, close_deadline: Duration) -> Desk {
        let spool = quick_folder();
        let config = CacheConfig {
            memory_bytes: 1 << 20,
            chunk_bytes: 4096,
            spool_dir: spool.path().join("spool"),
            spool_bytes_max: SPOOL_BYTES,
        };
        let cache = Cache::open(config).unwrap();
        let service = stack(service).service;
        let uploads = Uploads::new(service.clone(), tokio::runtime::Handle::current(), 8);
        let files = Files::new(uploads.clone(), cache, FilesConfig { close, close_deadline, size_promise: true });
        Desk { service, uploads, files, file: Mutex::default(), closed: AtomicBool::default(), spool }
    }

    /// Waits until nothing is under way any more.
    pub(crate) async fn drained(&self) {
        self.uploads.drained().await;
    }

    /// How many files the spool keeps for the next mount.
    pub(crate) fn entries(&self) -> usize {
        entries(&self.spool.path().join("spool"))
    }

    /// The file that was written.
    fn written(&self) -> Arc<File> {
        self.file.lock().unwrap().clone().expect("it was opened")
    }

    /// What is the matter with it.
    pub(crate) fn health(&self) -> Health {
        self.written().health()
    }

    /// Waits for so long at most until the file is in a state that `wanted` takes; the state that it is in then.
    pub(crate) async fn health_within(&self, limit: Duration, wanted: impl Fn(&Health) -> bool) -> Health {
        let until = tokio::time::Instant::now() + limit;
        loop {
            let health = self.health();
            if wanted(&health) || tokio::time::Instant::now() >= until {
                return health;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What programs read.
    pub(crate) async fn read(&self) -> Vec<u8> {
        self.written().read(0, u64::MAX).await.unwrap()
    }

    /// What `uploadfs retry` does with the file.
    ///
    /// # Errors
    /// Those of [`File::retry`].
    pub(crate) async fn retry(&self) -> Result<()> {
        self.written().retry().await
    }

    /// What a close that was answered so leaves of `bytes`: where it failed, a file that is parked with that reason, can
    /// be read, and is in the spool. Whether it is parked; it is not where nothing came to be written, and where the
    /// service has confirmed the file after its program was told that it does not.
    pub(crate) async fn is_parked(&self, bytes: &[u8], told: &Result<()>) -> bool {
        let Err(error) = told else { return false };
        if !self.closed.load(Ordering::Relaxed) {
            return false;
        }
        match self.health() {
            Health::Clean => false,
            Health::Parked(reason) => {
                assert_eq!(self.read().await, bytes, "what is kept after {error}");
                assert_eq!(reason.errno(), error.errno(), "parked because {reason}, and told {error}");
                assert_eq!(self.entries(), 1, "files in the spool after {error}");
                true
            }
            health => panic!("{health:?} after {error}"),
        }
    }

    /// The file as a directory hands it out: looked up, or asked for whether it may be made.
    async fn file(&self) -> Result<Arc<File>> {
        if let Some(file) = &*self.file.lock().unwrap() {
            return Ok(file.clone());
        }
        let node: Option<Node> = match self.service.stat(&path()).await {
            Ok(node) => Some(node),
            Err(error) if error.errno() == libc::ENOENT => None,
            Err(error) => return Err(error),
        };
        self.service.admit(&path()).await?;
        let file = self.files.file(1, path(), node);
        *self.file.lock().unwrap() = Some(file.clone());
        Ok(file)
    }

    /// What `cp` does: looks the file up, opens it, writes it anew, closes it.
    ///
    /// # Errors
    /// What the first of these that fails says; of the close, if none.
    pub(crate) async fn write(&self, bytes: &Bytes) -> Result<()> {
        self.write_with(async |file| write_into(file, bytes, 0).await).await
    }

    /// The same with other writes than those of the bytes in order.
    ///
    /// # Errors
    /// As [`Desk::write`].
    pub(crate) async fn write_with(&self, write: impl AsyncFnOnce(&Arc<File>) -> Result<()>) -> Result<()> {
        let thread = std::process::id();
        self.closed.store(false, Ordering::Relaxed);
        let file = self.file().await?;
        let handle = Arc::new(file.open(thread, OpenMode { read: false, write: true, truncate: true }).await?);
        let written = write(&file).await;
        self.closed.store(written.is_ok(), Ordering::Relaxed);
        let answer = match file.flush_now(&handle) {
            Some(answer) => answer,
            None => file.flush(thread).await,
        };
        file.release(handle).await;
        written.and(answer)
    }
}

/// Writes `bytes` from `at` on, in pieces.
pub(crate) async fn write_into(file: &Arc<File>, bytes: &[u8], mut at: u64) -> Result<()> {
    let thread = std::process::id();
    for piece in bytes.chunks(PIECE) {
        let taken = file.write_now(thread, Some(at), piece)?;
        if taken < piece.len() {
            let rest = Bytes::copy_from_slice(&piece[taken..]);
            file.write_rest(thread, Some(at + taken as u64), rest).await?;
        }
        at += piece.len() as u64;
    }
    Ok(())
}

/// Runs all cases, some at once, and then says which failed.
pub(crate) fn each<T: Sync>(cases: &[T], run: impl Fn(&T) + Sync, describe: impl Fn(&T) -> String + Sync) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WIDTH.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if catch_unwind(AssertUnwindSafe(|| run(case))).is_err() {
                        failed.lock().unwrap().push(describe(case));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
