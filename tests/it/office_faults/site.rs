//! What the tests of faults share: a portal, a program that writes a file through the whole stack of a mount but the
//! kernel's part, what the portal itself has afterwards, and cases that run on all processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use uploadfs::cache::{Cache, CacheConfig};
use uploadfs::error::Result;
use uploadfs::file::{File, Files, FilesConfig, OpenMode};
use uploadfs::path::RemotePath;
use uploadfs::portal::onlyoffice::Generation;
use uploadfs::service::layer::stack;
use uploadfs::service::{Node, Service};
use uploadfs::upload::Uploads;

use crate::support::clock::turned;
use crate::support::office::{CHUNK, Office, quick_folder};
use crate::support::upload::{any, text};

/// The file that all of them write.
pub(super) const NAME: &str = "report.txt";
/// So many cases run at once: they wait more than they work.
const WIDTH: usize = 8;
/// The size of a file in 3.4 chunks, in bytes.
const LARGE: usize = (34 * CHUNK / 10) as usize;
/// The size of a file below a chunk, in bytes.
const SMALL: usize = (CHUNK * 6 / 10) as usize;

/// So much is written at once, in bytes: nothing that chunks begin or end with.
const PIECE: usize = 3000;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// One chunk, not full.
    Small,
    /// 3.4 chunks.
    Large,
}

impl Size {
    pub(super) const ALL: [Size; 2] = [Size::Small, Size::Large];

    pub(super) fn bytes(self) -> usize {
        match self {
            Size::Small => SMALL,
            Size::Large => LARGE,
        }
    }

    /// How many chunks it has.
    pub(super) fn chunks(self) -> u64 {
        (self.bytes() as u64).div_ceil(CHUNK)
    }
}

/// What stands there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// Another file of the name.
    Old,
}

/// One upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) generation: Generation,
    pub(super) size: Size,
    pub(super) before: Before,
}

impl Scene {
    /// Every upload there is.
    pub(super) fn all(generation: Generation) -> impl Iterator<Item = Scene> {
        let befores = [Before::Nothing, Before::Old];
        let each = move |before| Size::ALL.map(|size| Scene { generation, size, before });
        befores.into_iter().flat_map(each)
    }

    /// Whether an upload makes a new version of what is there.
    pub(super) fn has_versions(self) -> bool {
        matches!(self.generation, Generation::G2 | Generation::G3)
    }
}

/// What the portal has of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) sha256: String,
    pub(super) versions: usize,
}

/// A portal in the middle of a case.
pub(super) struct Site {
    pub(super) office: Office,
    pub(super) scene: Scene,
    old: Bytes,
}

impl Site {
    /// A portal with what stands there before, written by somebody else.
    pub(super) fn new(scene: Scene) -> Site {
        let office = Office::small(scene.generation);
        let old = text(1000, 7);
        if scene.before == Before::Old {
            turned(&office.portal, async |line| {
                let client = office.client_through(line);
                client.connect().await.unwrap();
                any(&*client, &path(), &old).await.unwrap();
            });
        }
        Site { office, scene, old }
    }

    /// Runs programs that use a mount of the portal, on a clock that is turned by hand.
    pub(super) fn run<T>(&self, deadline: Duration, work: impl AsyncFnOnce(&Desk) -> T) -> T {
        turned(&self.office.portal, async |line| {
            let desk = Desk::new(self.office.client_through(line), deadline);
            let done = work(&desk).await;
            desk.uploads.drained().await;
            done
        })
    }

    /// What the portal has; at most one file, whole, under exactly this title.
    #[track_caller]
    pub(super) fn kept(&self) -> Option<Kept> {
        let files = self.office.state().files.into_iter().filter(|file| file.path.starts_with("/My documents/"));
        let files: Vec<_> = files.collect();
        assert!(files.len() <= 1, "more than one file: {files:?}");
        let file = files.into_iter().next()?;
        assert_eq!(file.path, format!("/My documents/{NAME}"));
        assert_eq!(file.bytes, file.stored_bytes, "a size that is not true");
        Some(Kept { sha256: file.sha256, versions: file.versions })
    }

    /// What the portal has after somebody wrote `bytes` over `before` and was told this: old or new, and new where it was
    /// said so.
    #[track_caller]
    pub(super) fn judge(&self, before: Option<&Kept>, bytes: &[u8], told: &Result<()>) -> Option<Kept> {
        let (kept, whole) = (self.kept(), self.replaced(before, bytes));
        match told {
            Ok(()) => assert_eq!(kept, Some(whole), "it was said to be there"),
            Err(error) => {
                let is_old = kept.as_ref() == before;
                assert!(is_old || kept == Some(whole), "neither old nor new: {kept:?} over {before:?}, told {error}");
            }
        }
        kept
    }

    /// The client broke no rule, but for what a fault forces on it: forms whose bodies were cut, and chunks of one byte in
    /// place of those of which it cannot know whether they are there.
    #[track_caller]
    pub(super) fn assert_no_violations(&self, forced: bool) {
        let is_forced = |what: &str| what.starts_with("a request without the file") || what.contains("has 1 bytes");
        let mut violations = self.office.portal.violations();
        violations.retain(|broken| !(forced && is_forced(&broken.what)));
        assert_eq!(violations, []);
    }

    /// What the portal had before anybody wrote.
    pub(super) fn untouched(&self) -> Option<Kept> {
        (self.scene.before == Before::Old).then(|| Kept { sha256: sha256(&self.old), versions: 1 })
    }

    /// What it has after `bytes` came over `before`.
    pub(super) fn replaced(&self, before: Option<&Kept>, bytes: &[u8]) -> Kept {
        let versions = match before {
            None => 1,
            Some(kept) => kept.versions + usize::from(self.scene.has_versions()),
        };
        Kept { sha256: sha256(bytes), versions }
    }
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the file is, for the client.
pub(super) fn path() -> RemotePath {
    RemotePath::parse(NAME).unwrap()
}

/// A mount without a kernel: the service in its layers, the cache, and open files above them.
pub(super) struct Desk {
    pub(super) service: Arc<dyn Service>,
    uploads: Arc<Uploads>,
    files: Arc<Files>,
    file: Mutex<Option<Arc<File>>>,
    _spool: TempDir,
}

impl Desk {
    fn new(service: Arc<dyn Service>, close_deadline: Duration) -> Desk {
        let spool = quick_folder();
        let config = CacheConfig {
            memory_bytes: 1 << 20,
            chunk_bytes: 4096,
            spool_dir: spool.path().join("spool"),
            spool_bytes_max: 0,
        };
        let cache = Cache::open(config).unwrap();
        let service = stack(service);
        let uploads = Uploads::new(service.clone(), tokio::runtime::Handle::current());
        let files = Files::new(uploads.clone(), cache, FilesConfig { close_deadline, size_promise: true });
        Desk { service, uploads, files, file: Mutex::default(), _spool: spool }
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
    pub(super) async fn write(&self, bytes: &Bytes) -> Result<()> {
        self.write_with(async |file| write_into(file, bytes, 0).await).await
    }

    /// The same with other writes than those of the bytes in order.
    ///
    /// # Errors
    /// As [`Desk::write`].
    pub(super) async fn write_with(&self, write: impl AsyncFnOnce(&Arc<File>) -> Result<()>) -> Result<()> {
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
pub(super) async fn write_into(file: &Arc<File>, bytes: &[u8], mut at: u64) -> Result<()> {
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
pub(super) fn each<T: Sync>(cases: &[T], run: impl Fn(&T) + Sync, describe: impl Fn(&T) -> String + Sync) {
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
