//! A mount without a kernel, for tests of faults: a program that writes a file through the service in its layers, the cache
//! and the open files above them; and cases that run on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uploadfs::cache::{Cache, CacheConfig};
use uploadfs::error::Result;
use uploadfs::file::{Close, File, Files, FilesConfig, OpenMode};
use uploadfs::path::RemotePath;
use uploadfs::service::layer::stack;
use uploadfs::service::{Node, Service};
use uploadfs::upload::Uploads;

use super::office::quick_folder;

/// The file that all of them write.
pub(crate) const NAME: &str = "report.txt";
/// So many cases run at once: they wait more than they work.
const WIDTH: usize = 8;
/// So much is written at once, in bytes: nothing that parts begin or end with.
const PIECE: usize = 3000;

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
    _spool: TempDir,
}

impl Desk {
    /// At `service`, without layers; a close waits so long.
    pub(crate) fn new(service: Arc<dyn Service>, close_deadline: Duration) -> Desk {
        let spool = quick_folder();
        let config = CacheConfig {
            memory_bytes: 1 << 20,
            chunk_bytes: 4096,
            spool_dir: spool.path().join("spool"),
            spool_bytes_max: 0,
        };
        let cache = Cache::open(config).unwrap();
        let service = stack(service).service;
        let uploads = Uploads::new(service.clone(), tokio::runtime::Handle::current(), 8);
        let files = Files::new(
            uploads.clone(),
            cache,
            FilesConfig { close: Close::Remote, close_deadline, size_promise: true },
        );
        Desk { service, uploads, files, file: Mutex::default(), _spool: spool }
    }

    /// Waits until nothing is under way any more.
    pub(crate) async fn drained(&self) {
        self.uploads.drained().await;
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
        let file = self.file().await?;
        let handle = Arc::new(file.open(thread, OpenMode { read: false, write: true, truncate: true }).await?);
        let written = write(&file).await;
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
