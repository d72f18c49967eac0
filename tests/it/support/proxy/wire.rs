//! HTTP/1.1 as far as a proxy needs it: heads, and where bodies end. Bytes are passed on as they came; large bodies are
//! never held. It knows no faults.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The largest head, in bytes: eight times what common servers take.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most headers in one head, as common servers take them.
const HEADERS_MAX: usize = 100;
/// What is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// So many bytes of a request's content are read before it is decided what becomes of it: form fields that stand before
/// a file take about 2 KiB.
const PEEK_BYTES: usize = 4 * 1024;

/// One end of a connection.
pub(super) struct Side {
    pub(super) inlet: Inlet,
    pub(super) outlet: OwnedWriteHalf,
}

impl Side {
    pub(super) fn new(stream: TcpStream) -> Side {
        // What is small must not wait for more: it would look like a slow server.
        let _ = stream.set_nodelay(true);
        let (half, outlet) = stream.into_split();
        Side { inlet: Inlet { half, buffer: BytesMut::new() }, outlet }
    }

    /// Closes by a reset. In two halves a connection would be closed in order first.
    pub(super) fn reset(self) {
        let stream = self.inlet.half.reunite(self.outlet).expect("the halves are of one connection");
        // Nothing can be done about a socket that refuses; the test would see it.
        let _ = stream.set_zero_linger();
    }
}

/// What comes in on a connection.
pub(super) struct Inlet {
    half: OwnedReadHalf,
    buffer: BytesMut,
}

impl Inlet {
    /// Reads more; an end here is an error.
    async fn more(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_BYTES);
        match self.half.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next head as it came, and what `parse` makes of it. `None` when the connection ends before its first byte.
    async fn head<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> io::Result<Option<(usize, T)>>,
    ) -> io::Result<Option<(Bytes, T)>> {
        loop {
            if let Some((len, head)) = parse(&self.buffer)? {
                return Ok(Some((self.buffer.split_to(len).freeze(), head)));
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(broken("a head without an end"));
            }
            match self.more().await {
                Err(end) if end.kind() == ErrorKind::UnexpectedEof && self.buffer.is_empty() => return Ok(None),
                more => more?,
            }
        }
    }

    /// The next line with its end, as it came.
    async fn line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(at) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(self.buffer.split_to(at + 1).freeze());
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(broken("a line without an end"));
            }
            self.more().await?;
        }
    }
}

/// A request, up to the beginning of its content.
pub(super) struct RequestHead {
    /// As it came.
    pub(super) raw: Bytes,
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) content: Content,
}

impl RequestHead {
    /// The next request; `None` when the client has no more.
    pub(super) async fn read(inlet: &mut Inlet) -> io::Result<Option<RequestHead>> {
        let parse = |bytes: &[u8]| {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut request = httparse::Request::new(&mut headers);
            let len = match request.parse(bytes).map_err(broken)? {
                httparse::Status::Complete(len) => len,
                httparse::Status::Partial => return Ok(None),
            };
            let framing = framing(request.headers)?.unwrap_or(Framing::Length(0));
            let [method, uri] = [request.method, request.path].map(|text| text.unwrap_or_default().to_owned());
            Ok(Some((len, (method, uri, framing))))
        };
        let Some((raw, (method, uri, framing))) = inlet.head(parse).await? else { return Ok(None) };
        Ok(Some(RequestHead { raw, method, uri, content: Content::new(framing) }))
    }
}

/// An answer, up to its content.
pub(super) struct AnswerHead {
    /// As it came.
    pub(super) raw: Bytes,
    pub(super) status: u16,
    pub(super) content: Content,
    /// Whether the connection ends with this answer.
    pub(super) closes: bool,
}

impl AnswerHead {
    /// The next answer, to a request of this method.
    pub(super) async fn read(inlet: &mut Inlet, method: &str) -> io::Result<AnswerHead> {
        let parse = |bytes: &[u8]| {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut answer = httparse::Response::new(&mut headers);
            let len = match answer.parse(bytes).map_err(broken)? {
                httparse::Status::Complete(len) => len,
                httparse::Status::Partial => return Ok(None),
            };
            let status = answer.code.unwrap_or_default();
            let has_none = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
            let framing = match framing(answer.headers)? {
                _ if has_none => Framing::Length(0),
                framing => framing.unwrap_or(Framing::ToEnd),
            };
            let asks = tells(answer.headers, "connection", "close") || answer.version != Some(1);
            Ok(Some((len, (status, framing, asks || framing == Framing::ToEnd))))
        };
        let Some((raw, (status, framing, closes))) = inlet.head(parse).await? else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        Ok(AnswerHead { raw, status, content: Content::new(framing), closes })
    }
}

/// Where a body ends, and how far it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// After so many bytes more.
    Length(u64),
    /// Chunked: the line with the length of a chunk is next.
    ChunkSize,
    /// Chunked: so many bytes of a chunk are left, at least one.
    Chunk(u64),
    /// Chunked: the line end behind a chunk is next.
    ChunkEnd,
    /// Chunked: the lines behind the last chunk are next.
    Trailer,
    /// With the connection.
    ToEnd,
}

/// What the headers say of the body; `None` when they say nothing.
fn framing(headers: &[httparse::Header<'_>]) -> io::Result<Option<Framing>> {
    if tells(headers, "transfer-encoding", "chunked") {
        return Ok(Some(Framing::ChunkSize));
    }
    let length = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let number = |header: &httparse::Header<'_>| std::str::from_utf8(header.value).ok()?.trim().parse().ok();
    match length.map(number) {
        None => Ok(None),
        Some(Some(length)) => Ok(Some(Framing::Length(length))),
        Some(None) => Err(broken("a length that is no number")),
    }
}

/// Whether one of the headers `name` has this word.
fn tells(headers: &[httparse::Header<'_>], name: &str, word: &str) -> bool {
    let named = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let mut values = named.map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase());
    values.any(|value| value.contains(word))
}

/// Bytes of a body as they came: content, or what frames it.
struct Piece {
    bytes: Bytes,
    is_content: bool,
}

/// The body of a request or an answer, read as far as somebody wanted.
pub(super) struct Content {
    /// Read already, and not yet passed on.
    start: VecDeque<Piece>,
    framing: Framing,
}

impl Content {
    fn new(framing: Framing) -> Content {
        Content { start: VecDeque::new(), framing }
    }

    /// The first content bytes; they are still passed on later.
    pub(super) async fn peek(&mut self, inlet: &mut Inlet) -> io::Result<Bytes> {
        let mut content = BytesMut::new();
        while content.len() < PEEK_BYTES {
            let Some(piece) = self.read(inlet).await? else { break };
            if piece.is_content {
                content.extend_from_slice(&piece.bytes);
            }
            self.start.push_back(piece);
        }
        content.truncate(PEEK_BYTES);
        Ok(content.freeze())
    }

    /// Reads on; `None` at the end.
    async fn read(&mut self, inlet: &mut Inlet) -> io::Result<Option<Piece>> {
        let piece = match self.framing {
            Framing::Length(0) => return Ok(None),
            Framing::Length(left) | Framing::Chunk(left) => {
                let bytes = some(inlet, left).await?;
                let left = left - bytes.len() as u64;
                self.framing = match self.framing {
                    Framing::Chunk(_) if left == 0 => Framing::ChunkEnd,
                    Framing::Chunk(_) => Framing::Chunk(left),
                    _ => Framing::Length(left),
                };
                Piece { bytes, is_content: true }
            }
            Framing::ToEnd => match some(inlet, u64::MAX).await {
                Err(end) if end.kind() == ErrorKind::UnexpectedEof => {
                    self.framing = Framing::Length(0);
                    return Ok(None);
                }
                bytes => Piece { bytes: bytes?, is_content: true },
            },
            Framing::ChunkSize => {
                let bytes = inlet.line().await?;
                self.framing = match httparse::parse_chunk_size(&bytes) {
                    Ok(httparse::Status::Complete((_, 0))) => Framing::Trailer,
                    Ok(httparse::Status::Complete((_, size))) => Framing::Chunk(size),
                    _ => return Err(broken("a chunk without a length")),
                };
                Piece { bytes, is_content: false }
            }
            Framing::ChunkEnd | Framing::Trailer => {
                let bytes = inlet.line().await?;
                self.framing = match self.framing {
                    Framing::ChunkEnd => Framing::ChunkSize,
                    _ if bytes == "\r\n" => Framing::Length(0),
                    trailer => trailer,
                };
                Piece { bytes, is_content: false }
            }
        };
        Ok(Some(piece))
    }

    async fn next(&mut self, inlet: &mut Inlet) -> io::Result<Option<Piece>> {
        match self.start.pop_front() {
            Some(piece) => Ok(Some(piece)),
            None => self.read(inlet).await,
        }
    }

    /// Passes the body on as it comes, at most `limit` bytes of content. Where nobody takes it any more it is still read
    /// to its end: a sender that is cut off in the middle may lose the answer that is on its way to it.
    pub(super) async fn pass(&mut self, inlet: &mut Inlet, outlet: &mut OwnedWriteHalf, limit: u64) -> io::Result<()> {
        let (mut left, mut taken) = (limit, Ok(()));
        while let Some(mut piece) = self.next(inlet).await? {
            if piece.is_content {
                let share = usize::try_from(left).unwrap_or(usize::MAX).min(piece.bytes.len());
                left -= share as u64;
                piece.bytes.truncate(share);
            }
            if taken.is_ok() {
                taken = outlet.write_all(&piece.bytes).await;
            }
            if left == 0 && limit < u64::MAX {
                break;
            }
        }
        taken
    }

    /// Reads the body to its end and keeps nothing.
    pub(super) async fn drain(&mut self, inlet: &mut Inlet) -> io::Result<()> {
        while self.next(inlet).await?.is_some() {}
        Ok(())
    }
}

/// Some of the next `most` bytes.
async fn some(inlet: &mut Inlet, most: u64) -> io::Result<Bytes> {
    if inlet.buffer.is_empty() {
        inlet.more().await?;
    }
    let len = usize::try_from(most).unwrap_or(usize::MAX).min(inlet.buffer.len());
    Ok(inlet.buffer.split_to(len).freeze())
}

fn broken(what: impl ToString) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_string())
}
