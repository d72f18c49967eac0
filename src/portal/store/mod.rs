//! The directory a portal lives in: the bytes of files in numbered blobs, and an index of small records that says what
//! they mean. Both know nothing of a service.
//!
//! **Contract.** A blob is written once and never changed. What the index has acknowledged ([`Receipt`]) is there after
//! a restart, however the process ended, and so are the blobs it names. The content of a file is a list of blobs, so
//! that making a file of a hundred parts moves no byte.
//!
//! **Order.** Records are written in the order of [`Store::submit`], which is memory work and may be called under a
//! lock; blobs that a change makes useless are removed after it is written, never before.
//!
//! **Crash.** What a dead process was still writing is swept away at the next start. The power failing is not
//! provided for: nothing is synced, because this is a server for trials and must not be slower than what it measures.

mod blob;
mod index;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) use self::blob::BlobWriter;
use self::index::Index;
pub(super) use self::index::{Change, Receipt};

/// A piece of a file's content: a whole blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Segment {
    /// The number of the blob.
    pub(super) blob: u64,
    /// Its length.
    pub(super) bytes: u64,
}

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Content(pub(super) Vec<Segment>);

impl Content {
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|segment| segment.bytes).sum()
    }
}

/// Every record, by its key.
pub(super) type Records = BTreeMap<String, serde_json::Value>;

/// How much of a blob is read at once.
const READ_BYTES: u64 = 1 << 20;

/// Where blobs are, below the directory of the store.
const BLOBS: &str = "blobs";
/// The file that is locked while a portal uses the directory.
const LOCK: &str = "lock";

/// The directory of one portal.
#[derive(Debug)]
pub(super) struct Store {
    blobs: PathBuf,
    next: AtomicU64,
    index: Index,
    /// The kernel's lock lives as long as this descriptor.
    _lock: File,
}

impl Store {
    /// Opens the store in `directory`, which is made where it is missing.
    pub(super) fn open(directory: &Path) -> io::Result<(Store, Records)> {
        let blobs = directory.join(BLOBS);
        fs::create_dir_all(&blobs)?;
        let lock = lock(&directory.join(LOCK))?;
        let mut last = 0;
        for entry in fs::read_dir(&blobs)? {
            last = last.max(number(&entry?.path()).unwrap_or(0));
        }
        let (index, records) = Index::open(directory, blobs.clone())?;
        Ok((Store { blobs, next: AtomicU64::new(last + 1), index, _lock: lock }, records))
    }

    /// Removes every blob that is not among `used`: what a process that died was still writing.
    pub(super) fn sweep(&self, used: &HashSet<u64>) -> io::Result<()> {
        for entry in fs::read_dir(&self.blobs)? {
            let path = entry?.path();
            if number(&path).is_none_or(|number| !used.contains(&number)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// A new blob to write to.
    pub(super) fn blob(&self) -> BlobWriter {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        BlobWriter::new(number, self.path(number), self.index.remover())
    }

    /// Records `changes` as one step, then removes the blobs `garbage`. Returns at once.
    pub(super) fn submit(&self, changes: Vec<Change>, garbage: Vec<u64>) -> Receipt {
        self.index.submit(changes, garbage)
    }

    /// The bytes `range` of `content`; it ends early where the content does.
    pub(super) fn read(
        self: &Arc<Self>,
        content: &Content,
        range: Range<u64>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (store, mut pieces) = (self.clone(), Vec::new());
        let mut start = 0;
        for segment in &content.0 {
            let end = start + segment.bytes;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                pieces.push((segment.blob, from - start..to - start));
            }
            start = end;
        }
        pieces.reverse();
        futures_util::stream::try_unfold(pieces, move |mut pieces| {
            let store = store.clone();
            async move {
                let Some((blob, range)) = pieces.pop() else { return Ok(None) };
                let end = range.end.min(range.start + READ_BYTES);
                if end < range.end {
                    pieces.push((blob, end..range.end));
                }
                let path = store.path(blob);
                let bytes = blocking(move || read_exact(&path, range.start..end)).await?;
                Ok(Some((bytes, pieces)))
            }
        })
    }

    /// The SHA-256 of `content`, in hexadecimal.
    pub(super) async fn sha256(&self, content: &Content) -> io::Result<String> {
        let paths: Vec<PathBuf> = content.0.iter().map(|segment| self.path(segment.blob)).collect();
        blocking(move || {
            let mut digest = Sha256::new();
            for path in paths {
                let mut file = io::BufReader::with_capacity(READ_BYTES as usize, File::open(path)?);
                loop {
                    let bytes = io::BufRead::fill_buf(&mut file)?;
                    let length = bytes.len();
                    if length == 0 {
                        break;
                    }
                    digest.update(bytes);
                    io::BufRead::consume(&mut file, length);
                }
            }
            Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
        })
        .await
    }

    fn path(&self, blob: u64) -> PathBuf {
        self.blobs.join(blob.to_string())
    }
}

/// Runs disk work where it may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn read_exact(path: &Path, range: Range<u64>) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    File::open(path)?.read_exact_at(&mut bytes, range.start)?;
    Ok(bytes.into())
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another portal uses this directory"))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::TryStreamExt;
    use serde_json::json;

    use super::*;

    async fn write(store: &Store, pieces: &[&'static [u8]]) -> Segment {
        let mut blob = store.blob();
        for piece in pieces {
            blob.push(Bytes::from_static(piece)).await.unwrap();
        }
        blob.finish().await.unwrap()
    }

    fn blobs(dir: &Path) -> usize {
        fs::read_dir(dir.join(BLOBS)).unwrap().count()
    }

    #[tokio::test]
    async fn content_is_read_across_blobs() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap().0);
        let content = Content(vec![write(&store, &[b"012", b"34"]).await, write(&store, &[b"56789"]).await]);
        assert_eq!(content.bytes(), 10);
        for (range, expected) in [(0..10, "0123456789"), (3..7, "3456"), (5..6, "5"), (4..4, ""), (8..99, "89")] {
            let pieces: Vec<Bytes> = store.read(&content, range.clone()).try_collect().await.unwrap();
            assert_eq!(pieces.concat(), expected.as_bytes(), "{range:?}");
        }
        let digest = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";
        assert_eq!(store.sha256(&content).await.unwrap(), digest);
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let kept = {
            let store = Arc::new(Store::open(dir.path()).unwrap().0);
            let [kept, dropped] = [write(&store, &[b"kept"]).await, write(&store, &[b"dropped"]).await];
            let put = |key: &str, value| Change::put(key, &value);
            store.submit(vec![put("a", json!(kept.blob)), put("b", json!(1))], vec![]).await.unwrap();
            store.submit(vec![Change::remove("b"), put("c", json!({"d": [2]}))], vec![dropped.blob]).await.unwrap();
            // Never finished: its writer forgets it.
            store.blob().push(Bytes::from_static(b"half")).await.unwrap();
            assert_eq!(Store::open(dir.path()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
            kept
        };
        let (store, records) = Store::open(dir.path()).unwrap();
        assert_eq!(records, Records::from([("a".into(), json!(kept.blob)), ("c".into(), json!({"d": [2]}))]));
        store.sweep(&HashSet::from([kept.blob])).unwrap();
        assert_eq!(blobs(dir.path()), 1);
        assert!(write(&store, &[b"x"]).await.blob > kept.blob, "numbers are not used again");
    }

    #[tokio::test]
    async fn a_blob_nobody_finishes_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap().0;
        let mut blob = store.blob();
        blob.push(Bytes::from(vec![0; 5 << 20])).await.unwrap();
        drop(blob);
        // The index removes in order, so that an acknowledged change after it means that it is gone.
        store.submit(vec![], vec![]).await.unwrap();
        assert_eq!(blobs(dir.path()), 0);
        poll_fn(|_| std::task::Poll::Ready(())).await;
    }
}
