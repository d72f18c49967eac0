//! Writing a blob while it arrives: pieces are gathered and written by a thread that may wait for the disk, one batch
//! ahead of the network. At most two batches of a blob are in memory.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use axum::body::Bytes;
use tokio::task::JoinHandle;

use super::Segment;
use super::index::Remover;

/// Bytes of one batch: enough that handing it to a thread costs nothing beside writing it.
const BATCH_BYTES: usize = 1 << 20;

/// A blob that is being written. Dropped before [`BlobWriter::finish`], it is removed.
pub(in super::super) struct BlobWriter {
    number: u64,
    path: PathBuf,
    bytes: u64,
    batch: Vec<Bytes>,
    batch_bytes: usize,
    /// The batch that is being written, if there was one yet; it hands the file on.
    writing: Option<JoinHandle<io::Result<File>>>,
    remover: Option<Remover>,
}

impl BlobWriter {
    pub(super) fn new(number: u64, path: PathBuf, remover: Remover) -> Self {
        let (batch, remover) = (Vec::new(), Some(remover));
        BlobWriter { number, path, bytes: 0, batch, batch_bytes: 0, writing: None, remover }
    }

    /// Bytes so far.
    pub(in super::super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a piece; waits when the disk is slower than the network.
    pub(in super::super) async fn push(&mut self, piece: Bytes) -> io::Result<()> {
        self.bytes += piece.len() as u64;
        self.batch_bytes += piece.len();
        self.batch.push(piece);
        if self.batch_bytes >= BATCH_BYTES { self.write_batch().await } else { Ok(()) }
    }

    /// Everything is written: the blob exists.
    pub(in super::super) async fn finish(mut self) -> io::Result<Segment> {
        self.write_batch().await?;
        self.idle().await?;
        self.remover = None;
        Ok(Segment { blob: self.number, bytes: self.bytes })
    }

    /// Starts to write what was gathered, once the batch before is written.
    async fn write_batch(&mut self) -> io::Result<()> {
        let file = self.idle().await?;
        let path = self.path.clone();
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => File::create_new(path)?,
            };
            batch.iter().try_for_each(|piece| file.write_all(piece))?;
            Ok(file)
        }));
        Ok(())
    }

    /// The file when nobody writes to it any more; `None` before the first batch.
    async fn idle(&mut self) -> io::Result<Option<File>> {
        let Some(task) = &mut self.writing else { return Ok(None) };
        // Awaited in place: a caller who is dropped here must find the task still there, see `Drop`.
        let written = task.await;
        self.writing = None;
        written.map_err(io::Error::other)?.map(Some)
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let Some(remover) = self.remover.take() {
            remover.remove(self.number, self.writing.take());
        }
    }
}
