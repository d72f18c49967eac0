//! The bytes of one file, wherever they are: in the cache, in the spool, in the service's version below, or nowhere (a
//! hole, which reads as zeros). Programs that read and uploads that send both read here.
//!
//! **Order.** Writers are serialised by the upload's lock; readers may come at any time and see, byte by byte, the old
//! or the new.
//!
//! **Failure.** A byte that cannot be had is an error, never a zero.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha1::{Digest, Sha1};

use crate::cache::{Cache, CachedContent, Piece, Synced};
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::ranges::Ranges;
use crate::service::{Content, Node, Service, Sha1Digest};
use crate::spool;
use crate::spool::spill::SpillFile;

/// Bytes asked from the service at once for a program that reads in sequence: on the services measured a request costs
/// 2-20 ms, so that this keeps a gigabit line busy; more would be memory outside the budget of the cache. Everybody else
/// gets one chunk, which a slow line brings within the deadline of a read.
const READ_AHEAD_BYTES: u64 = 4 << 20;

/// A program that closes a file waits so long for bytes of the version below it; without them the file still rests on it.
const BELOW_MAX: Duration = Duration::from_secs(10);

/// Zeros for holes.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The bytes of one file. See the module.
pub struct Source {
    service: Arc<dyn Service>,
    cache: Arc<Cache>,
    cached: CachedContent,
    base: Mutex<Base>,
    /// One request for bytes at a time: a second reader of the same place finds them in the cache.
    fetching: tokio::sync::Mutex<()>,
}

/// The service's version below what is held locally.
#[derive(Default)]
struct Base {
    node: Option<(RemotePath, Node)>,
    /// Bytes of the base from here on were cut off, and read as zeros if the file grew again.
    visible: u64,
    /// The lowest cut since the version that is being committed was complete.
    cut_since: u64,
    /// Counts the versions: bytes that were asked for before the last change of it belong to another file.
    generation: u64,
}

impl Source {
    /// The bytes of a file, over the service's version of it, if there is one.
    pub fn new(service: Arc<dyn Service>, cache: &Arc<Cache>, node: Option<(RemotePath, Node)>) -> Self {
        let visible = node.as_ref().map_or(0, |(_, node)| node.size);
        Source::over(service, cache.clone(), Base { node, visible, cut_since: u64::MAX, generation: 0 })
    }

    fn over(service: Arc<dyn Service>, cache: Arc<Cache>, base: Base) -> Self {
        let (cached, base, fetching) = (cache.content(), Mutex::new(base), tokio::sync::Mutex::new(()));
        Source { service, cache, cached, base, fetching }
    }

    fn base(&self) -> std::sync::MutexGuard<'_, Base> {
        self.base.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of an entry that was found, or of a copy of one: those that `file` has, over `base`.
    pub(super) fn of_entry(
        service: Arc<dyn Service>,
        cache: &Arc<Cache>,
        file: SpillFile,
        local: &Ranges,
        base: Option<spool::Base>,
    ) -> Self {
        let visible = base.as_ref().map_or(0, |base| base.visible);
        let node = base.map(|base| (base.path, base.node));
        let source = Source::over(service, cache.clone(), Base { node, visible, cut_since: u64::MAX, generation: 0 });
        source.cached.adopt(file, local);
        source
    }

    /// The cache, and the spool below.
    pub(super) fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// Brings every local byte to disk, except for the last step, which is the caller's: [`Synced::wait`].
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`.
    pub(super) async fn sync(&self) -> Result<Synced> {
        self.cached.sync().await
    }

    /// What lies below the local bytes, to be written down.
    pub(super) fn below(&self) -> Option<spool::Base> {
        let base = self.base();
        let (path, node) = base.node.clone()?;
        Some(spool::Base { path, node, visible: base.visible })
    }

    /// The generation before this one is on the service as `node`: it has the same bytes wherever this one has none of its own.
    pub(super) fn rebase(&self, path: RemotePath, node: Node) {
        let mut base = self.base();
        base.visible = base.visible.min(node.size);
        base.node = Some((path, node));
        base.generation += 1;
    }

    /// The service's version below the local bytes.
    pub fn node(&self) -> Option<Node> {
        self.base().node.as_ref().map(|(_, node)| node.clone())
    }

    /// The service renamed the file: same bytes, another handle on them.
    pub fn renamed(&self, path: RemotePath, node: Node) {
        self.base().node = Some((path, node));
    }

    /// A directory above was renamed: the version below has another path, too.
    pub fn moved(&self, path: RemotePath) {
        if let Some((at, _)) = &mut self.base().node {
            *at = path;
        }
    }

    /// A file that the service does not have yet will replace `node` at `path`. None of its bytes show through.
    pub fn replaces(&self, path: RemotePath, node: Node) {
        let mut base = self.base();
        base.node = Some((path, node));
        base.visible = 0;
    }

    /// Makes the file independent of the service's version below: what shows through of it is held here afterwards, as if a
    /// program had written it. Nobody changes the file meanwhile.
    ///
    /// # Errors
    /// `Timeout` when nothing comes for [`BELOW_MAX`]; `SpoolFull`, `Spool`; whatever the service says.
    pub(super) async fn complete(&self) -> Result<()> {
        let missing = |piece| match piece {
            Piece::Missing(range) => Some(range),
            Piece::Memory(_) | Piece::Spooled(_) => None,
        };
        let visible = self.base().visible;
        let missing: Vec<_> = self.cached.pieces(0..visible).into_iter().filter_map(missing).collect();
        for range in missing {
            let mut at = range.start;
            while at < range.end {
                let silent = |_| Error::new(Kind::Timeout, "close", "the service does not send its older version");
                let bytes = tokio::time::timeout(BELOW_MAX, self.read(at, range.end - at)).await.map_err(silent)??;
                at += self.keep_all(at, &bytes).await?;
            }
        }
        Ok(())
    }

    async fn keep_all(&self, at: u64, bytes: &[u8]) -> Result<u64> {
        let mut kept = 0;
        while kept < bytes.len() {
            match self.cached.write(at + kept as u64, &bytes[kept..]) {
                0 => self.room().await?,
                taken => kept += taken,
            }
        }
        Ok(kept as u64)
    }

    /// Whether nothing of the service's version below shows through.
    pub fn is_complete(&self) -> bool {
        let visible = self.base().visible;
        self.cached.holds(0..visible)
    }

    /// Takes what there is room for of `data`; how many bytes.
    pub(super) fn write(&self, at: u64, data: &[u8]) -> usize {
        self.cached.write(at, data)
    }

    /// Waits until a write can take something.
    ///
    /// # Errors
    /// `SpoolFull` or `Spool`, see the cache.
    pub async fn room(&self) -> Result<()> {
        self.cached.room().await
    }

    /// The bytes and what shows through below them are cut in one step: a fetch that ends in between would bring back
    /// what was cut off.
    pub(super) fn truncate(&self, size: u64) {
        let mut base = self.base();
        base.visible = base.visible.min(size);
        base.cut_since = base.cut_since.min(size);
        self.cached.truncate(size);
    }

    /// The local bytes are the only copy from now on.
    pub(super) fn keep(&self) {
        self.cached.keep();
    }

    /// The version being committed is complete; what is cut from now on is cut from the version after it.
    pub(super) fn mark_complete(&self) {
        self.base().cut_since = u64::MAX;
    }

    /// The service has `node` now. `clean`: the file is exactly that.
    pub(super) fn committed(&self, path: RemotePath, node: Node, clean: bool) {
        let mut base = self.base();
        base.visible = if clean { node.size } else { node.size.min(base.cut_since) };
        base.node = Some((path, node));
        base.generation += 1;
        if clean {
            self.cached.release();
        }
    }

    /// Nothing of the file is local; the service's version is `node`.
    pub(super) fn reset(&self, path: RemotePath, node: Node) {
        let mut base = self.base();
        let generation = base.generation + 1;
        *base = Base { visible: node.size, node: Some((path, node)), cut_since: u64::MAX, generation };
        self.cached.truncate(0);
        self.cached.release();
    }

    /// Nothing came of the write that asked to keep the bytes.
    pub(super) fn release(&self) {
        self.cached.release();
    }

    /// The bytes at `at`, at most `max`, if they are in memory; a program's read that need not wait.
    pub fn at_hand(&self, at: u64, max: u64) -> Option<Bytes> {
        match self.cached.piece(at, max) {
            Piece::Memory(bytes) => Some(bytes),
            Piece::Spooled(_) | Piece::Missing(_) => None,
        }
    }

    /// Between 1 and `max` bytes from `at` on. The caller stays below the size of the file.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being had: the spool, the service, a version that changed meanwhile.
    pub async fn read(&self, at: u64, max: u64) -> Result<Bytes> {
        loop {
            if let Some(bytes) = self.cached.read(at, max).await? {
                return Ok(bytes);
            }
            if at >= self.base().visible {
                let Piece::Missing(hole) = self.cached.piece(at, max) else { continue };
                let len = (hole.end - hole.start).min(ZEROS.len() as u64) as usize;
                return Ok(Bytes::from_static(&ZEROS[..len]));
            }
            let _one_at_a_time = self.fetching.lock().await;
            if let Some(bytes) = self.cached.read(at, max).await? {
                return Ok(bytes);
            }
            let Piece::Missing(missing) = self.cached.piece(at, max) else { continue };
            if let Some(bytes) = self.fetch(at, self.cache.chunk_bytes()).await? {
                return Ok(bytes.slice(..bytes.len().min((missing.end - missing.start) as usize)));
            }
        }
    }

    /// Up to `max` bytes of the base, from the chunk of `at` on, into the cache; those from `at` on are the answer.
    /// `None` when the file is another one by the time they come.
    async fn fetch(&self, at: u64, max: u64) -> Result<Option<Bytes>> {
        let (node, visible, generation) = {
            let base = self.base();
            (base.node.clone(), base.visible, base.generation)
        };
        let Some((path, node)) = node else {
            return Err(Error::new(Kind::Corrupt, "read", "bytes below a file that has no version on the service"));
        };
        if at >= visible {
            return Ok(None);
        }
        let start = at - at % self.cache.chunk_bytes();
        let end = (start + max).min(node.size);
        let bytes = self.service.read(&path, &node, start..end).await?;
        if bytes.len() as u64 != end - start {
            return Err(Error::new(Kind::Corrupt, "read", "the service sent another number of bytes than announced"));
        }
        // Held while the bytes go into the cache: whoever cuts or replaces the file meanwhile waits for this copy.
        let base = self.base();
        if base.generation != generation || base.visible <= at {
            return Ok(None);
        }
        let bytes = bytes.slice(..(base.visible.min(end) - start) as usize);
        self.cached.fill(start, &bytes);
        Ok(Some(bytes.slice((at - start) as usize..)))
    }

    /// Whether a program that reads in sequence and has reached `at` should find more in the cache than there is.
    pub fn wants_read_ahead(&self, at: u64) -> bool {
        // Half of it left: the next request is under way while the program works on the rest.
        let soon = at + READ_AHEAD_BYTES / 2;
        soon < self.base().visible && matches!(self.cached.piece(soon, 1), Piece::Missing(_))
    }

    /// Brings the bytes after `at` into the cache while the program works on those before; best effort.
    pub async fn read_ahead(&self, at: u64) {
        let _one_at_a_time = self.fetching.lock().await;
        if !self.wants_read_ahead(at) {
            return;
        }
        let end = (at + READ_AHEAD_BYTES).min(self.base().visible);
        let missing = self.cached.pieces(at..end).into_iter().find_map(|piece| match piece {
            Piece::Missing(range) => Some(range.start),
            Piece::Memory(_) | Piece::Spooled(_) => None,
        });
        if let Some(start) = missing
            && let Err(error) = self.fetch(start, READ_AHEAD_BYTES.max(self.cache.chunk_bytes())).await
        {
            tracing::debug!(%error, "read-ahead");
        }
    }
}

/// The bytes of a file on their way to one session: counted, and hashed where the service compares a SHA-1.
pub(super) struct Outgoing {
    source: Arc<Source>,
    progress: Arc<AtomicU64>,
    hash: Option<Mutex<HashFrontier>>,
}

/// A hash that grows with the bytes that were read in order; bytes that are read again are passed over.
struct HashFrontier {
    hasher: Sha1,
    reached: u64,
}

impl Outgoing {
    pub(super) fn new(source: Arc<Source>, progress: Arc<AtomicU64>, wants_sha1: bool) -> Self {
        let hash = wants_sha1.then(|| Mutex::new(HashFrontier { hasher: Sha1::new(), reached: 0 }));
        Outgoing { source, progress, hash }
    }

    /// SHA-1 of the whole file of `size` bytes, where the service compares it. Reads what was sent by an earlier process.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being had.
    pub(super) async fn sha1_of(&self, size: u64) -> Result<Option<Sha1Digest>> {
        while let Some(reached) = self.reached().filter(|reached| *reached < size) {
            self.read(reached, size - reached).await?;
        }
        Ok(self.sha1_to(size))
    }

    fn reached(&self) -> Option<u64> {
        Some(self.hash.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).reached)
    }
}

#[async_trait]
impl Content for Outgoing {
    async fn read(&self, at: u64, max: u64) -> Result<Bytes> {
        let bytes = self.source.read(at, max).await?;
        self.progress.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(hash) = &self.hash {
            let mut hash = hash.lock().unwrap_or_else(PoisonError::into_inner);
            let end = at + bytes.len() as u64;
            if at <= hash.reached && hash.reached < end {
                let known = (hash.reached - at) as usize;
                hash.hasher.update(&bytes[known..]);
                hash.reached = end;
            }
        }
        Ok(bytes)
    }

    fn sha1_to(&self, end: u64) -> Option<Sha1Digest> {
        let hash = self.hash.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        (hash.reached == end).then(|| Sha1Digest(hash.hasher.clone().finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheConfig;
    use crate::service::layer::Layered;
    use crate::service::layer::fault::{Fault, Faults, Gate, When};
    use crate::service::memory::{Memory, MemoryConfig};
    use crate::service::{Operation, Payload, Spec};

    /// A file of 2 MiB on a service whose first answer to a read waits at a gate.
    struct Stalled {
        memory: Arc<Memory>,
        source: Arc<Source>,
        gate: Gate,
        path: RemotePath,
        _spool: tempfile::TempDir,
    }

    const SIZE: usize = 2 << 20;

    impl Stalled {
        async fn new() -> Stalled {
            let mut config = MemoryConfig::friendly();
            config.capability.whole_max = 1 << 30;
            let (memory, faults, gate) = (Arc::new(Memory::new(config)), Faults::new(), Gate::new());
            let path = RemotePath::parse("f").unwrap();
            let node = upload(&memory, &path, b'o').await;
            faults.add(Operation::Read, When::Nth(1), Fault::StallAfter(gate.clone()));
            let spool = tempfile::tempdir().unwrap();
            let cache = Cache::open(CacheConfig {
                memory_bytes: CacheConfig::MEMORY_BYTES,
                chunk_bytes: CacheConfig::CHUNK_BYTES,
                spool_dir: spool.path().to_owned(),
                spool_bytes_max: 0,
            });
            let service = Layered::wrap(memory.clone(), faults);
            let source = Arc::new(Source::new(service, &cache.unwrap(), Some((path.clone(), node))));
            Stalled { memory, source, gate, path, _spool: spool }
        }

        /// A reader of the first bytes, whose request has been answered, but not heard.
        async fn reader(&self) -> tokio::task::JoinHandle<Result<Bytes>> {
            let source = self.source.clone();
            let reader = tokio::spawn(async move { source.read(0, 100).await });
            self.gate.reached().await;
            reader
        }
    }

    async fn upload(memory: &Memory, path: &RemotePath, byte: u8) -> Node {
        let spec = Spec { path: path.clone(), size: Some(SIZE as u64), sha1: None, replaces: None };
        memory.put_whole(&spec, Payload::from_bytes(vec![byte; SIZE].into(), 0)).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_of_an_old_version_that_come_late_are_not_taken() {
        let stalled = Stalled::new().await;
        let reader = stalled.reader().await;
        let node = upload(&stalled.memory, &stalled.path, b'n').await;
        stalled.source.reset(stalled.path.clone(), node);
        stalled.gate.open();
        assert_eq!(reader.await.unwrap().unwrap()[0], b'n', "the reader asks again");
        for at in [0, 4096, SIZE as u64 - 1] {
            assert_eq!(stalled.source.read(at, 1).await.unwrap()[0], b'n');
        }
    }

    #[tokio::test]
    async fn bytes_that_were_cut_off_meanwhile_do_not_come_back() {
        let stalled = Stalled::new().await;
        let reader = stalled.reader().await;
        stalled.source.truncate(10);
        stalled.gate.open();
        assert_eq!(reader.await.unwrap().unwrap(), vec![b'o'; 10]);
        // The file grows again: what was cut off reads as zeros.
        assert_eq!(stalled.source.read(10, 1).await.unwrap()[0], 0);
        assert_eq!(stalled.source.read(4096, 1).await.unwrap()[0], 0);
    }

    #[tokio::test]
    async fn bytes_asked_for_before_a_commit_are_not_taken_after_it() {
        let stalled = Stalled::new().await;
        let reader = stalled.reader().await;
        stalled.source.keep();
        assert_eq!(stalled.source.write(50, b"local"), 5);
        let node = upload(&stalled.memory, &stalled.path, b'n').await;
        stalled.source.committed(stalled.path.clone(), node, true);
        stalled.gate.open();
        assert_ne!(reader.await.unwrap().unwrap()[0], b'o');
    }
}
