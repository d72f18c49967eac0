//! Reading open files, ahead of programs that read in sequence, and on when the file is removed.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::{File, Handle};
use crate::error::Result;

/// A file of so many bytes is fetched when its name goes while a program has it open; with a larger one the program that
/// removes it would wait too long.
const KEPT_BYTES_MAX: u64 = 32 << 20;

impl File {
    /// The bytes `at..at+len` if they are in memory.
    pub fn read_now(&self, at: u64, len: u64) -> Option<Bytes> {
        let end = self.size().min(at.saturating_add(len));
        if at >= end {
            return Some(Bytes::new());
        }
        self.upload().source().at_hand(at, end - at).filter(|bytes| bytes.len() as u64 == end - at)
    }

    /// The bytes `at..at+len`, fewer at the end of the file.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being had.
    pub async fn read(&self, at: u64, len: u64) -> Result<Vec<u8>> {
        let end = self.size().min(at.saturating_add(len));
        let mut bytes = Vec::with_capacity(end.saturating_sub(at) as usize);
        let mut from = at;
        while from < end {
            let piece = self.upload().source().read(from, end - from).await?;
            from += piece.len() as u64;
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The service is about to lose the bytes: programs that have the file open go on reading them, unless there are too
    /// many. Best effort.
    pub async fn keep_for_readers(&self) {
        if self.is_open()
            && self.size() <= KEPT_BYTES_MAX
            && let Err(error) = self.upload().keep_all().await
        {
            tracing::info!(path = %self.place.get(), %error, "whoever still reads it cannot go on");
        }
    }
}

impl Handle {
    /// Tells that a program read `at..at+len`; whoever reads in sequence gets the next bytes fetched ahead.
    pub fn note_read(&self, at: u64, len: u64) {
        let before = self.read_to.swap(at + len, Ordering::Relaxed);
        if before != at && at != 0 {
            return;
        }
        let (source, reached) = (self.file.upload().source().clone(), at + len);
        if source.wants_read_ahead(reached) {
            self.file.files.uploads.spawn(async move { source.read_ahead(reached).await });
        }
    }
}
