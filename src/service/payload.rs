//! The bytes of a request: a range of a file's content, read while it is being sent. A part is never joined in memory,
//! and a request that has to be sent again reads again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::error::Result;

/// A SHA-1 as the services speak it. Used to compare, never to trust. Written down, it is its 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha1Digest(pub [u8; 20]);

impl Sha1Digest {
    /// The SHA-1 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Sha1Digest(Sha1::digest(bytes).into())
    }

    /// Parses 40 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 40 || !text.is_ascii() {
            return None;
        }
        let mut digest = [0; 20];
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Sha1Digest(digest))
    }
}

impl TryFrom<String> for Sha1Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Sha1Digest::from_hex(&text).ok_or("not the 40 hexadecimal digits of a SHA-1")
    }
}

impl From<Sha1Digest> for String {
    fn from(digest: Sha1Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Sha1Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha1Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The content of a file that is being uploaded.
#[async_trait]
pub trait Content: Send + Sync {
    /// Between 1 and `max` bytes of the file from `at` on. The caller stays below the size of the file.
    async fn read(&self, at: u64, max: u64) -> Result<Bytes>;

    /// SHA-1 of the bytes `0..end`, when they have been read through in order; `None` when that is not known.
    fn sha1_to(&self, end: u64) -> Option<Sha1Digest>;
}

/// A range of a file's content on its way out.
#[derive(Clone)]
pub struct Payload {
    content: Arc<dyn Content>,
    range: Range<u64>,
}

impl Payload {
    /// The bytes `range` of `content`.
    pub fn new(content: Arc<dyn Content>, range: Range<u64>) -> Self {
        Payload { content, range }
    }

    /// A payload that is in memory already and begins at byte `at` of its file.
    pub fn from_bytes(bytes: Bytes, at: u64) -> Self {
        let end = at + bytes.len() as u64;
        Payload { content: Arc::new(InMemory { bytes, at }), range: at..end }
    }

    /// Where the bytes stand in the file.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// How many bytes.
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The part of this payload that stands at `range` of the file.
    pub fn slice(&self, range: Range<u64>) -> Payload {
        assert!(self.range.start <= range.start && range.end <= self.range.end, "a slice lies within its payload");
        Payload { content: self.content.clone(), range }
    }

    /// SHA-1 of the file up to the end of this payload, once everything before was read through in order.
    pub fn sha1_to_end(&self) -> Option<Sha1Digest> {
        self.content.sha1_to(self.range.end)
    }

    /// The bytes, piece by piece, exactly [`Payload::len`] of them; each call reads anew.
    pub fn stream(&self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let (content, end) = (self.content.clone(), self.range.end);
        try_unfold(self.range.start, move |at| {
            let content = content.clone();
            async move {
                if at == end {
                    return Ok(None);
                }
                let piece = content.read(at, end - at).await?;
                assert!(!piece.is_empty() && piece.len() as u64 <= end - at, "content answers what it was asked");
                let next = at + piece.len() as u64;
                Ok(Some((piece, next)))
            }
        })
    }

    /// All bytes at once; for small payloads and tests.
    pub async fn bytes(&self) -> Result<Bytes> {
        let mut all = Vec::with_capacity(usize::try_from(self.len()).unwrap_or(0));
        let mut at = self.range.start;
        while at < self.range.end {
            let piece = self.content.read(at, self.range.end - at).await?;
            at += piece.len() as u64;
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({:?})", self.range)
    }
}

/// Content that is in memory; its SHA-1 is known only when it begins at byte 0.
struct InMemory {
    bytes: Bytes,
    at: u64,
}

#[async_trait]
impl Content for InMemory {
    async fn read(&self, at: u64, max: u64) -> Result<Bytes> {
        let from = usize::try_from(at - self.at).expect("a payload in memory fits into memory");
        let to = self.bytes.len().min(from.saturating_add(usize::try_from(max).unwrap_or(usize::MAX)));
        Ok(self.bytes.slice(from..to))
    }

    fn sha1_to(&self, end: u64) -> Option<Sha1Digest> {
        if self.at != 0 {
            return None;
        }
        let end = usize::try_from(end).ok()?.min(self.bytes.len());
        Some(Sha1Digest::of(&self.bytes[..end]))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_payload_reads_its_range_and_again() {
        let payload = Payload::from_bytes(Bytes::from_static(b"0123456789"), 100);
        let part = payload.slice(103..107);
        for _ in 0..2 {
            let pieces: Vec<Bytes> = part.stream().try_collect().await.unwrap();
            assert_eq!(pieces.concat(), b"3456");
        }
        assert_eq!(part.bytes().await.unwrap().as_ref(), b"3456");
        assert_eq!(part.sha1_to_end(), None);
    }

    #[test]
    fn sha1_is_spoken_in_hex() {
        let digest = Sha1Digest::of(b"hello");
        assert_eq!(digest.to_string(), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        assert_eq!(Sha1Digest::from_hex(&digest.to_string()), Some(digest));
        assert_eq!(Sha1Digest::from_hex("xyz"), None);
        assert_eq!(Sha1Digest::from_hex(&"ü".repeat(20)), None);
    }

    #[test]
    fn sha1_is_written_down_in_hex() {
        let digest = Sha1Digest::of(b"hello");
        let written = serde_json::to_string(&digest).unwrap();
        assert_eq!(written, "\"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d\"");
        assert_eq!(serde_json::from_str::<Sha1Digest>(&written).unwrap(), digest);
        assert!(serde_json::from_str::<Sha1Digest>("\"aaf4\"").is_err());
    }
}
