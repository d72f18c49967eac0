//! Answers: the head at once, the body when asked for and never more of it than was asked for. A body that is too
//! long, that stands still or that trickles is an error; so is a page for people where an answer of an API was due.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::STALL_MAX;
use super::failure::translate;
use crate::error::{Error, Kind, Result, Retry};

/// The most bytes of JSON that are read: a page of the largest listing (5000 names of 240 bytes, each several times and
/// percent-encoded) stays below half of it.
pub const JSON_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// An answer that comes slower than this, in bytes per second, is given up: a server must not hold us with a trickle.
const RATE_MIN: u64 = 4 * 1024;

/// What may follow the bytes that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: more is an error.
    Nothing,
    /// More may come; it is not read.
    Ignored,
}

/// An answer whose head has come.
pub struct Answer {
    inner: reqwest::Response,
    op: &'static str,
    origin: String,
    cut: Retry,
    give_up: Instant,
    received: u64,
    /// What came and was not taken yet.
    left: Bytes,
}

impl Answer {
    pub(super) fn new(inner: reqwest::Response, op: &'static str, origin: String, cut: Retry) -> Answer {
        Answer { inner, op, origin, cut, give_up: Instant::now() + STALL_MAX, received: 0, left: Bytes::new() }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// Where it sends us on to, if it does.
    pub fn place(&self) -> Option<Url> {
        self.inner.url().join(self.header("location")?).ok()
    }

    /// A header, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// How long the server asks to wait (`Retry-After` in seconds).
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }

    /// The first and last byte and the total size that a `Content-Range` header states.
    pub fn content_range(&self) -> Option<(Range<u64>, u64)> {
        let (range, total) = self.header("content-range")?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let end = last.parse::<u64>().ok()?.checked_add(1)?;
        Some((first.parse().ok()?..end, total.parse().ok()?))
    }

    /// The whole body, at most `max` bytes.
    ///
    /// # Errors
    /// `Protocol` when it is longer.
    pub async fn body(mut self, max: u64) -> Result<Bytes> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            if self.received > max {
                return Err(self.failed(Kind::Protocol, "an answer without end").retry(self.cut));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// `Protocol` when it is HTML ("not the API"), when it is not the JSON expected, or when it is too long.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let (op, origin, cut) = (self.op, self.origin.clone(), self.cut);
        let is_html = self.is_html();
        let body = self.body(JSON_BYTES_MAX).await?;
        parse(&body, is_html).map_err(|why| Error::new(Kind::Protocol, op, format!("{origin} {why}")).retry(cut))
    }

    /// Whether the server says that this is a page for people.
    pub fn is_html(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"))
    }

    /// `len` bytes of the body after the first `skip` ones.
    ///
    /// # Errors
    /// `Corrupt` when there are fewer, or more where nothing may follow.
    pub async fn bytes(mut self, skip: u64, len: usize, rest: Rest) -> Result<Bytes> {
        let mut wanted = Vec::with_capacity(len);
        while wanted.len() < len || rest == Rest::Nothing {
            let Some(mut piece) = self.piece().await? else { break };
            let before = self.received - piece.len() as u64;
            let unwanted = skip.saturating_sub(before).min(piece.len() as u64);
            let _ = piece.split_to(usize::try_from(unwanted).expect("no longer than the piece"));
            if wanted.is_empty() && piece.len() == len {
                // The usual case of a small range: one piece, nothing to copy.
                return self.end(piece, rest).await;
            }
            if piece.len() > len - wanted.len() && rest == Rest::Nothing {
                return Err(self.failed(Kind::Corrupt, "more bytes than were asked for"));
            }
            wanted.extend_from_slice(&piece[..piece.len().min(len - wanted.len())]);
        }
        if wanted.len() < len {
            return Err(self.failed(Kind::Corrupt, "fewer bytes than were asked for").retry(self.cut));
        }
        Ok(wanted.into())
    }

    /// The next `len` bytes of the body after `skip` more of them. What follows stays, for the next call of this; nothing
    /// else may read the body then.
    ///
    /// # Errors
    /// `Corrupt` when the body ends before that.
    pub async fn take(&mut self, mut skip: u64, len: usize) -> Result<Bytes> {
        let mut wanted = Vec::new();
        loop {
            let mut piece = match std::mem::take(&mut self.left) {
                left if !left.is_empty() => left,
                _ => match self.piece().await? {
                    Some(piece) => piece,
                    None => return Err(self.failed(Kind::Corrupt, "fewer bytes than were asked for").retry(self.cut)),
                },
            };
            let unwanted = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
            let _ = piece.split_to(unwanted);
            skip -= unwanted as u64;
            let taken = piece.split_to(piece.len().min(len - wanted.len()));
            self.left = piece;
            if wanted.is_empty() && taken.len() == len {
                return Ok(taken);
            }
            wanted.extend_from_slice(&taken);
            if skip == 0 && wanted.len() == len {
                return Ok(wanted.into());
            }
        }
    }

    /// How many bytes the body has: it is read to its end, and dropped.
    ///
    /// # Errors
    /// Whatever keeps it from ending.
    pub async fn count(mut self) -> Result<u64> {
        while self.piece().await?.is_some() {}
        Ok(self.received)
    }

    async fn end(mut self, bytes: Bytes, rest: Rest) -> Result<Bytes> {
        while rest == Rest::Nothing
            && let Some(piece) = self.piece().await?
        {
            if !piece.is_empty() {
                return Err(self.failed(Kind::Corrupt, "more bytes than were asked for"));
            }
        }
        Ok(bytes)
    }

    /// The next piece of the body, in time.
    async fn piece(&mut self) -> Result<Option<Bytes>> {
        let deadline = self.give_up + Duration::from_secs(self.received / RATE_MIN);
        let deadline = deadline.min(Instant::now() + STALL_MAX);
        match timeout_at(deadline, self.inner.chunk()).await {
            Ok(Ok(piece)) => {
                self.received += piece.as_ref().map_or(0, |piece| piece.len() as u64);
                Ok(piece)
            }
            Ok(Err(error)) => Err(translate(error, self.op, &self.origin, self.cut)),
            Err(_) => Err(self.failed(Kind::Timeout, "an answer that does not come to an end").retry(self.cut)),
        }
    }

    fn failed(&self, kind: Kind, what: &str) -> Error {
        Error::new(kind, self.op, format!("{} sends {what}", self.origin))
    }
}

/// Parses JSON, or says in words why the body is none.
fn parse<T: DeserializeOwned>(body: &[u8], is_html: bool) -> Result<T, String> {
    let begins_like_html = body.trim_ascii_start().first() == Some(&b'<');
    if is_html || begins_like_html {
        return Err("answers with a web page: it is not the API".into());
    }
    serde_json::from_slice(body).map_err(|error| format!("answers with something else than expected: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_people_is_never_an_answer() {
        let page = |body: &str| parse::<serde_json::Value>(body.as_bytes(), false).unwrap_err();
        assert!(page("\n <!DOCTYPE html><p>Sign in").contains("not the API"));
        assert!(parse::<serde_json::Value>(b"{}", true).unwrap_err().contains("not the API"));
        assert!(page("").contains("expected"));
        assert!(page(&"[".repeat(200_000)).contains("recursion"));
        assert!(page("{\"size\":1e400}").contains("out of range"));
    }
}
