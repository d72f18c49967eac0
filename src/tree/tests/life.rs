//! One life of a process: everything between FUSE and the service, over a disk in memory. It dies at a chosen step of
//! its disk or of its requests; the service and the disk go on without it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::cache::{Cache, CacheConfig};
use crate::error::Result;
use crate::file::{Close, File, Files, FilesConfig, OpenMode};
use crate::path::RemotePath;
use crate::service::Service;
use crate::service::layer::{Answer, Call, Layer, Layered, Reach, Retries};
use crate::service::memory::{Memory, MemoryConfig};
use crate::spool::Spool;
use crate::spool::model::{End, Fate, Model};
use crate::tree::change::{At, IfExists};
use crate::tree::{Defaults, Overrides, ROOT, Tree};
use crate::upload::Uploads;

/// The remote of all lives.
const REMOTE: &str = "memory";
/// No life of a test takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every family of services, with parts so small that small files have several.
pub(super) fn families() -> Vec<(&'static str, MemoryConfig)> {
    let small = |config: MemoryConfig| {
        let mut config = config.with_rules(|rules| {
            rules.size = 8 << 10;
            rules.min = 1;
            rules.max = 64 << 10;
            rules.multiple = 1;
            rules.open_after = 4 << 10;
            rules.early = None;
            rules.first_max = rules.first_max.map(|_| 2 << 10);
        });
        config.capability.whole_max = config.capability.whole_max.min(6 << 10);
        config
    };
    vec![
        ("streamed_sequential", small(MemoryConfig::streamed_sequential())),
        ("streamed_parallel", small(MemoryConfig::streamed_parallel())),
        ("declared_sequential", small(MemoryConfig::declared_sequential())),
        ("declared_parallel", small(MemoryConfig::declared_parallel())),
        ("whole", MemoryConfig::whole()),
    ]
}

/// Requests are steps, too: one when they leave, one when their answer comes. The dead neither send nor hear.
struct Mortal(Arc<Fate>);

impl Layer for Mortal {
    async fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T> {
        if !self.0.step() {
            std::future::pending::<()>().await;
        }
        tracing::debug!(operation = %call.operation, subject = %call.subject, "request");
        let answer = run().await;
        tracing::debug!(operation = %call.operation, subject = %call.subject, error = ?answer.as_ref().err(), "answer");
        if !self.0.step() {
            std::future::pending::<()>().await;
        }
        answer
    }
}

/// A process.
pub(super) struct Life {
    pub(super) tree: Arc<Tree>,
    pub(super) uploads: Arc<Uploads>,
    pub(super) reach: Arc<Reach>,
    pub(super) disk: Model,
    pub(super) fate: Arc<Fate>,
    runtime: Option<Runtime>,
}

impl Life {
    /// Begins on `disk`, in front of `memory`.
    pub(super) fn begin(memory: &Arc<Memory>, disk: Model, fate: Arc<Fate>, close: Close) -> Life {
        Life::before(memory.clone(), disk, fate, close)
    }

    /// The same in front of any service.
    pub(super) fn before(service: Arc<dyn Service>, disk: Model, fate: Arc<Fate>, close: Close) -> Life {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = CacheConfig {
            memory_bytes: 32 << 12,
            chunk_bytes: 1 << 12,
            spool_dir: "/nonexistent".into(),
            spool_bytes_max: 1 << 30,
        };
        let on = disk.clone();
        let cache = Cache::with_spool(config, || Spool::on(Arc::new(on), None)).unwrap();
        let mortal = Layered::wrap(service, Mortal(fate.clone()));
        let reach = Arc::new(Reach::default());
        let heard = Layered::wrap(Layered::wrap(mortal, Retries::default()), reach.clone());
        let uploads = Uploads::new(heard, runtime.handle().clone(), 8);
        let config = FilesConfig { close, close_deadline: PATIENCE, size_promise: false };
        let spool = cache.spool().clone();
        let files = Files::new(uploads.clone(), cache, config);
        let defaults = Defaults { uid: 0, gid: 0, file_mode: 0o644, directory_mode: 0o755 };
        let tree = Tree::new(files, defaults, Duration::ZERO, reach.clone());
        let inside = runtime.enter();
        let recovered = tree.recover(spool.recover(REMOTE).unwrap());
        drop(inside);
        for file in recovered {
            uploads.spawn(async move { file.go_on().await });
        }
        Life { tree, uploads, reach, disk, fate, runtime: Some(runtime) }
    }

    /// Does `work`, unless it dies before.
    pub(super) fn live<T>(&self, work: impl AsyncFnOnce(&Life) -> T) -> Option<T> {
        let runtime = self.runtime.as_ref().expect("it lives");
        runtime.block_on(async {
            tokio::select! {
                done = work(self) => Some(done).filter(|_| !self.fate.is_over()),
                () = self.fate.over() => None,
                () = tokio::time::sleep(PATIENCE) => panic!("it hangs"),
            }
        })
    }

    /// Waits until everything has arrived that can, however often it is tried, unless it dies before.
    pub(super) fn arrive(&self) {
        self.live(async |life| life.uploads.drained().await);
    }

    /// Waits until nothing is under way any more, and tries nothing twice; unless it dies before.
    pub(super) fn drain(&self) {
        self.live(async |life| {
            life.uploads.end();
            life.uploads.drained().await;
        });
    }

    /// It ends; what the next one finds on the disk.
    pub(super) fn end(mut self, end: End, next: Arc<Fate>) -> Model {
        let disk = self.disk.next_life(end, next);
        // What it sent is over with it: the next one does not meet its requests.
        self.runtime.take().expect("it lived").shutdown_timeout(PATIENCE);
        disk
    }

    /// The file of that name, made where there is none.
    pub(super) async fn file(&self, name: &str) -> Result<Arc<File>> {
        let at = At { parent: ROOT, name };
        let (attr, _) = self.tree.create(at, Overrides::default(), IfExists::Accept).await?;
        self.tree.file_for_open(attr.ino).await
    }

    /// What `cp` does, or, without `truncate`, `cat >>`.
    pub(super) async fn put(&self, name: &str, bytes: &[u8], truncate: bool) -> Result<()> {
        let thread = std::process::id();
        let file = self.file(name).await?;
        let handle = Arc::new(file.open(thread, OpenMode { read: false, write: true, truncate }).await?);
        let written = write(&file, bytes).await;
        let answer = match file.flush_now(&handle) {
            Some(answer) => answer,
            None => file.flush(thread).await,
        };
        file.release(handle).await;
        written.and(answer)
    }

    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let (from, to) = (At { parent: ROOT, name: from }, At { parent: ROOT, name: to });
        self.tree.rename(from, to, IfExists::Accept).await
    }

    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        self.tree.unlink(At { parent: ROOT, name }).await
    }

    /// The names and bytes of what the service does not have.
    pub(super) fn unsettled(&self) -> Vec<(String, Vec<u8>)> {
        self.live(async |life| {
            let mut all = Vec::new();
            for (path, file) in life.tree.unsettled() {
                all.push((path.as_str().to_owned(), file.read(0, file.size()).await.expect("its bytes are here")));
            }
            all
        })
        .unwrap_or_default()
    }
}

/// Appends `bytes` in pieces.
pub(super) async fn write(file: &Arc<File>, bytes: &[u8]) -> Result<()> {
    let thread = std::process::id();
    for piece in bytes.chunks(5000) {
        let taken = file.write_now(thread, None, piece)?;
        file.write_rest(thread, None, bytes::Bytes::copy_from_slice(&piece[taken..])).await?;
    }
    Ok(())
}

/// `len` bytes that no other `seed` has at the same place.
pub(super) fn text(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed)).collect()
}

pub(super) fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}
