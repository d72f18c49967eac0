//! Bodies of requests: bytes, forms, and streams of a known length. Every body announces its exact length
//! (`Content-Length`); chunked encoding is never used, because several services and proxies refuse it. A stream that
//! turns out shorter or longer than announced is an error, never padding.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::try_unfold;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use super::STALL_MAX;
use crate::error::{Error, Kind, Result};

/// A stream is handed over in pieces of at most this size, so that progress can be seen on slow lines: at 64 KiB/s one
/// piece takes 4 s. Cutting a piece copies nothing.
const PIECE_BYTES: usize = 256 * 1024;

/// The type of a file in a form, whatever is in it: services look for themselves. It is never left out, because there are
/// servers that compute the length of the file from the usual two headers of its part.
const BYTES: &str = "application/octet-stream";

/// The body of a request.
pub struct Body {
    pub(super) content: Content,
    pub(super) meter: Arc<Meter>,
}

/// What a body is made of.
pub(super) enum Content {
    /// No body.
    Empty,
    /// Bytes of one type.
    Bytes(&'static str, Bytes),
    /// A stream of exactly so many bytes.
    Stream(reqwest::Body, u64),
    /// Fields and at most one file.
    Multipart(reqwest::multipart::Form),
}

impl Body {
    /// No body.
    pub(super) fn empty() -> Body {
        Body::of(Content::Empty)
    }

    /// `bytes` of the media type `kind`.
    pub fn bytes(kind: &'static str, bytes: impl Into<Bytes>) -> Body {
        Body::of(Content::Bytes(kind, bytes.into()))
    }

    /// An ordinary form: `application/x-www-form-urlencoded`.
    pub fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Body {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        Body::bytes("application/x-www-form-urlencoded", form.finish())
    }

    /// Exactly `length` bytes from `stream`.
    pub fn stream(stream: impl Stream<Item = Result<Bytes>> + Send + 'static, length: u64) -> Body {
        let meter = Arc::new(Meter::waiting());
        let content = Content::Stream(reqwest::Body::wrap_stream(metered(stream, length, meter.clone())), length);
        Body { content, meter }
    }

    fn of(content: Content) -> Body {
        Body { content, meter: Arc::new(Meter::finished()) }
    }
}

/// A `multipart/form-data` body: text fields first, then at most one file.
#[derive(Default)]
pub struct Multipart {
    form: reqwest::multipart::Form,
    meter: Option<Arc<Meter>>,
}

impl Multipart {
    /// Adds a text field.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: &str) -> Multipart {
        self.form = self.form.text(name, value.to_owned());
        self
    }

    /// The body that ends with a file of exactly `length` bytes in the field `name`. `file_name` is what the header of
    /// the field says; callers send a harmless constant there and the real name in a field of its own where they can.
    pub fn file(
        mut self,
        name: &'static str,
        file_name: &str,
        stream: impl Stream<Item = Result<Bytes>> + Send + 'static,
        length: u64,
    ) -> Body {
        let meter = Arc::new(Meter::waiting());
        let body = reqwest::Body::wrap_stream(metered(stream, length, meter.clone()));
        let part = reqwest::multipart::Part::stream_with_length(body, length).file_name(header_safe(file_name));
        self.form = self.form.part(name, part.mime_str(BYTES).expect("a media type"));
        self.meter = Some(meter);
        self.build()
    }

    /// The body without a file.
    pub fn build(self) -> Body {
        let meter = self.meter.unwrap_or_else(|| Arc::new(Meter::finished()));
        Body { content: Content::Multipart(self.form), meter }
    }
}

/// A file name as browsers write it into a multipart header: quotes and line ends as `%22`, `%0D`, `%0A`, so that a
/// name cannot end the header or begin another one. (The library would write a bare line end.)
fn header_safe(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A").replace('\\', "%5C")
}

/// How far a body has got. Shared by the body and whoever waits for the answer.
pub(super) struct Meter {
    start: Instant,
    /// Milliseconds from `start` to the last progress.
    moved_ms: AtomicU64,
    /// Whether everything was handed to the connection.
    finished: AtomicBool,
}

impl Meter {
    fn waiting() -> Meter {
        Meter { start: Instant::now(), moved_ms: AtomicU64::new(0), finished: AtomicBool::new(false) }
    }

    fn finished() -> Meter {
        Meter { finished: AtomicBool::new(true), ..Meter::waiting() }
    }

    /// Bytes moved, or waiting began.
    pub(super) fn touch(&self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Ordering::Relaxed);
    }

    /// Whether every byte was handed over. If not, the server cannot have the whole request.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    /// When to give up, as things stand.
    pub(super) fn deadline(&self, answer_within: Duration) -> Instant {
        let wait = if self.is_finished() { answer_within } else { STALL_MAX };
        self.start + Duration::from_millis(self.moved_ms.load(Ordering::Relaxed)) + wait
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// `stream` in pieces of at most [`PIECE_BYTES`], exactly `length` bytes of it, telling `meter`.
fn metered(
    stream: impl Stream<Item = Result<Bytes>> + Send + 'static,
    length: u64,
    meter: Arc<Meter>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let pieces: Pieces = Box::pin(stream.fuse());
    try_unfold((pieces, Bytes::new(), length), move |(mut pieces, mut rest, left)| {
        let meter = meter.clone();
        async move {
            meter.touch();
            while rest.is_empty() {
                match pieces.next().await.transpose()? {
                    Some(piece) => rest = piece,
                    None if left == 0 => {
                        meter.finished.store(true, Ordering::Relaxed);
                        return Ok(None);
                    }
                    None => return Err(wrong_length("shorter")),
                }
            }
            let piece = rest.split_to(rest.len().min(PIECE_BYTES));
            let left = left.checked_sub(piece.len() as u64).ok_or_else(|| wrong_length("longer"))?;
            if left == 0 {
                // Nobody asks for more than was announced: what else there is must be found before the last piece goes.
                while rest.is_empty()
                    && let Some(more) = pieces.next().await.transpose()?
                {
                    rest = more;
                }
                if !rest.is_empty() {
                    return Err(wrong_length("longer"));
                }
                meter.finished.store(true, Ordering::Relaxed);
            }
            meter.touch();
            Ok(Some((piece, (pieces, rest, left))))
        }
    })
}

fn wrong_length(how: &str) -> Error {
    Error::new(Kind::Corrupt, "send", format!("the content is {how} than announced"))
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt, stream};

    use super::*;

    async fn through(pieces: &[usize], length: u64) -> (Result<Vec<Bytes>>, bool) {
        let meter = Arc::new(Meter::waiting());
        let pieces: Vec<_> = pieces.iter().map(|len| Ok(Bytes::from(vec![7; *len]))).collect();
        let got = metered(stream::iter(pieces), length, meter.clone()).try_collect().await;
        (got, meter.is_finished())
    }

    #[tokio::test]
    async fn large_pieces_are_cut_and_nothing_is_lost() {
        let (got, finished) = through(&[3, 0, PIECE_BYTES * 2 + 1], PIECE_BYTES as u64 * 2 + 4).await;
        let lens: Vec<_> = got.unwrap().iter().map(Bytes::len).collect();
        assert_eq!(lens, [3, PIECE_BYTES, PIECE_BYTES, 1]);
        assert!(finished);
    }

    #[tokio::test]
    async fn a_wrong_length_is_an_error_and_never_finished() {
        for (pieces, length) in [(&[3, 3][..], 7), (&[3, 5], 7), (&[3, 4, 0, 1], 7), (&[], 1)] {
            let (got, finished) = through(pieces, length).await;
            assert_eq!(got.unwrap_err().kind, Kind::Corrupt);
            assert!(!finished);
        }
    }

    #[test]
    fn the_answer_is_waited_for_from_the_last_byte_on() {
        let answer = Duration::from_secs(5);
        let meter = Meter::waiting();
        assert_eq!(meter.deadline(answer), meter.start + STALL_MAX);
        meter.moved_ms.store(40_000, Ordering::Relaxed);
        assert_eq!(meter.deadline(answer), meter.start + Duration::from_secs(40) + STALL_MAX);
        meter.finished.store(true, Ordering::Relaxed);
        assert_eq!(meter.deadline(answer), meter.start + Duration::from_secs(45));
    }

    #[test]
    fn a_file_name_stays_in_its_header() {
        assert_eq!(header_safe("x\"\r\nContent-Type: a"), "x%22%0D%0AContent-Type: a");
    }
}
