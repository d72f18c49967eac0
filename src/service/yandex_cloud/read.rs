//! Reading a file by ranges. Its content never changes, so its id is its version.

use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Cloud;
use super::catalog::Found;
use super::streams::Stream;
use crate::error::{Error, Kind, Result};
use crate::http::Rest;
use crate::path::RemotePath;
use crate::service::reread::Reread;
use crate::service::{Node, Sha1Digest};

/// The operation, in errors.
const OP: &str = "read";
/// So much is read at once where a whole file is looked at, in bytes.
const PIECE: u64 = 4 << 20;

impl Cloud {
    /// Exactly the bytes `range` of `node`.
    pub(super) async fn read_file(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        if range.end > node.size {
            return Err(Error::new(Kind::Invalid, OP, format!("{path} ends before byte {}", range.end)));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match self.read_range(&node.id, node.size, range).await {
            Err(error) if error.kind == Kind::NotFound => Err(self.gone_or_replaced(path, &node.id).await),
            read => read,
        }
    }

    /// Bytes of the file `id`, which has `size` bytes.
    async fn read_range(&self, id: &str, size: u64, range: Range<u64>) -> Result<Bytes> {
        let len = usize::try_from(range.end - range.start)
            .map_err(|_| Error::new(Kind::Invalid, OP, "more bytes at once than memory can hold"))?;
        if let Some(stream) = self.streams.take(id, range.start) {
            match self.go_on(stream, range.clone(), size).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => tracing::debug!(%error, "an answer that was kept has ended; asking anew"),
            }
        }
        let answer = self.fetch(OP, id, Some(&range)).await?;
        let other_size = |total: u64| {
            // Whatever a label says: this is what there is.
            self.links.note_size(id, total);
            Error::new(Kind::Conflict, OP, format!("the file has {total} bytes, not {size}"))
        };
        match answer.status() {
            206 => match answer.content_range() {
                Some((_, total)) if total != size => Err(other_size(total)),
                Some((got, _)) if got == range => answer.bytes(0, len, Rest::Nothing).await,
                _ => Err(Error::new(Kind::Corrupt, OP, "the storage sends other bytes than were asked for")),
            },
            // The whole file, from a server that knows no ranges.
            200 => match answer.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
                Some(total) if total == size => {
                    self.go_on(Stream { id: id.to_owned(), at: 0, answer }, range, size).await
                }
                Some(total) if !answer.is_html() => Err(other_size(total)),
                None if range == (0..size) && !answer.is_html() => answer.bytes(0, len, Rest::Nothing).await,
                _ => Err(Error::new(Kind::Protocol, OP, "the storage sends something else than the file")),
            },
            416 => match self.measure(OP, id).await {
                Ok(measured) => Err(other_size(measured.size)),
                Err(error) => Err(error),
            },
            _ => Err(self.not_fetched(OP, id, answer).await),
        }
    }

    /// The bytes `range` of an answer that has the rest of a file of `size` bytes; what is behind them is kept.
    async fn go_on(&self, mut stream: Stream, range: Range<u64>, size: u64) -> Result<Bytes> {
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let bytes = stream.answer.take(range.start - stream.at, len).await?;
        stream.at = range.end;
        if stream.at < size {
            self.streams.keep(stream);
        }
        Ok(bytes)
    }

    /// The SHA-256 of a file of `size` bytes, as the storage gives it.
    pub(super) async fn sha256_of(&self, id: &str, size: u64) -> Result<[u8; 32]> {
        let (mut hasher, mut at) = (Sha256::new(), 0);
        while at < size {
            let end = size.min(at + PIECE);
            hasher.update(&self.read_range(id, size, at..end).await?);
            at = end;
        }
        Ok(hasher.finalize().into())
    }

    /// The SHA-1 of a file of `size` bytes, as the storage gives it.
    pub(super) async fn sha1_of(&self, id: &str, size: u64) -> Result<Sha1Digest> {
        if let Some(known) = self.read_through.get(id) {
            return Ok(known);
        }
        let mut reread = Reread::of(size);
        while let Some(range) = reread.next() {
            reread.push(&self.read_range(id, size, range).await?);
        }
        let found = reread.digest();
        self.read_through.put(id, found);
        Ok(found)
    }

    /// The file is gone: another one may stand in its place.
    async fn gone_or_replaced(&self, path: &RemotePath, id: &str) -> Error {
        self.forget(id);
        if let Err(error) = self.list_now(OP).await {
            return error;
        }
        match self.catalog.find(path) {
            Some(Found::File(_)) => Error::new(Kind::Conflict, OP, format!("{path} has another version by now")),
            _ => Error::new(Kind::NotFound, OP, format!("{path} is not there any more")),
        }
    }
}
