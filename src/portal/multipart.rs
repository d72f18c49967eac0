//! Reading a multipart form while it arrives: heads of parts as they stand, and their bytes without a copy. What a
//! service makes of the parts, and which of them it wants, is the service's affair.

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use memchr::memmem::Finder;

/// The most bytes that the head of a part may have; servers allow 16 KiB.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Why a form cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormError {
    /// It is no multipart form.
    NoForm,
    /// It ends before its closing boundary, or its connection does.
    Truncated,
    /// The head of a part is no head.
    BadHead,
}

/// The head of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartHead {
    /// The headers as they were sent, without the blanks around the values.
    pub(super) headers: Vec<(String, String)>,
}

impl PartHead {
    fn parse(bytes: &[u8]) -> Result<PartHead, FormError> {
        let text = std::str::from_utf8(bytes).map_err(|_| FormError::BadHead)?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':').ok_or(FormError::BadHead)?;
            Ok((name.to_owned(), value.trim().to_owned()))
        };
        let headers = text.split("\r\n").filter(|line| !line.is_empty()).map(header).collect::<Result<_, _>>()?;
        Ok(PartHead { headers })
    }

    /// A parameter of the content disposition: `name`, `filename`.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case("content-disposition"))?;
        parameter(value, name)
    }
}

/// The parameter `name` of a header value such as `form-data; name="file"; filename="a.bin"`.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let (key, after) = after.split_once('=')?;
        let after = after.trim_start();
        let (found, left) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(found);
        }
        rest = left;
    }
    None
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => text.push(character),
        }
    }
    None
}

/// A form that is being read.
pub(super) struct Multipart {
    stream: BodyDataStream,
    /// What separates parts, with the line break before it.
    delimiter: Finder<'static>,
    /// The bytes at hand.
    held: Bytes,
    /// Bytes before those at hand that may be the beginning of a delimiter.
    carry: BytesMut,
    state: Place,
}

/// Where the reading stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Inside of a part, or before the first one.
    Data,
    /// Behind a delimiter.
    Delimiter,
    /// Behind the last delimiter.
    End,
}

/// What was found in the bytes of a part.
enum Found {
    Bytes(Bytes),
    Delimiter,
}

impl Multipart {
    /// A reader of `body`, whose boundary stands in `content_type`.
    pub(super) fn new(content_type: &str, body: Body) -> Result<Multipart, FormError> {
        let boundary = boundary(content_type).ok_or(FormError::NoForm)?;
        let delimiter = format!("\r\n--{boundary}");
        Ok(Multipart {
            stream: body.into_data_stream(),
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            held: Bytes::new(),
            // The first delimiter needs no line break before it.
            carry: BytesMut::from("\r\n"),
            state: Place::Data,
        })
    }

    /// The head of the next part, whatever is left of the one before; `None` behind the last.
    pub(super) async fn next_part(&mut self) -> Result<Option<PartHead>, FormError> {
        while self.chunk().await?.is_some() {}
        if self.state == Place::End {
            return Ok(None);
        }
        let mut after = self.take_until(b"\r\n").await?;
        if after.starts_with(b"--") {
            self.state = Place::End;
            return Ok(None);
        }
        // Blanks may stand behind a delimiter; anything else was none.
        after.retain(|byte| !byte.is_ascii_whitespace());
        if !after.is_empty() {
            return Err(FormError::BadHead);
        }
        let mut head = Vec::new();
        loop {
            let line = self.take_until(b"\r\n").await?;
            if line.is_empty() {
                break;
            }
            head.extend_from_slice(&line);
            head.extend_from_slice(b"\r\n");
            if head.len() > HEAD_BYTES_MAX {
                return Err(FormError::BadHead);
            }
        }
        self.state = Place::Data;
        PartHead::parse(&head).map(Some)
    }

    /// More bytes of the part; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        while self.state == Place::Data {
            match self.search().await? {
                Found::Bytes(bytes) if bytes.is_empty() => {}
                Found::Bytes(bytes) => return Ok(Some(bytes)),
                Found::Delimiter => self.state = Place::Delimiter,
            }
        }
        Ok(None)
    }

    /// Reads what is left, so that the client has sent everything when it is answered.
    pub(super) async fn drain(mut self) -> Result<(), FormError> {
        while self.next_part().await?.is_some() {}
        while let Some(next) = self.stream.next().await {
            next.map_err(|_| FormError::Truncated)?;
        }
        Ok(())
    }

    /// The next bytes that are no delimiter, or the delimiter.
    async fn search(&mut self) -> Result<Found, FormError> {
        let length = self.delimiter.needle().len();
        if !self.carry.is_empty() {
            return self.search_carry().await;
        }
        if self.held.is_empty() {
            self.fill().await?;
        }
        if let Some(at) = self.delimiter.find(&self.held) {
            if at == 0 {
                self.held = self.held.slice(length..);
                return Ok(Found::Delimiter);
            }
            return Ok(Found::Bytes(self.held.split_to(at)));
        }
        let end = self.held.len() - self.beginning_at_end();
        let bytes = self.held.split_to(end);
        self.carry.extend_from_slice(&std::mem::take(&mut self.held));
        Ok(Found::Bytes(bytes))
    }

    /// [`Multipart::search`] where bytes from before may begin a delimiter that ends in the bytes at hand.
    async fn search_carry(&mut self) -> Result<Found, FormError> {
        let needle = self.delimiter.needle();
        let mut joined = self.carry.to_vec();
        joined.extend_from_slice(&self.held[..self.held.len().min(needle.len())]);
        if joined.starts_with(needle) {
            self.held = self.held.slice(needle.len() - self.carry.len()..);
            self.carry.clear();
            return Ok(Found::Delimiter);
        }
        if needle.starts_with(&joined) {
            // Still undecided: everything at hand is carried.
            self.carry.extend_from_slice(&std::mem::take(&mut self.held));
            self.fill().await?;
            return Ok(Found::Bytes(Bytes::new()));
        }
        // The first byte begins none. A later one of those carried may.
        let from = (1..self.carry.len()).find(|at| {
            let rest = &joined[*at..];
            needle.starts_with(&rest[..rest.len().min(needle.len())])
        });
        let bytes = self.carry.split_to(from.unwrap_or(self.carry.len()));
        Ok(Found::Bytes(bytes.freeze()))
    }

    /// How many bytes at the end of those at hand may begin a delimiter.
    fn beginning_at_end(&self) -> usize {
        let needle = self.delimiter.needle();
        let longest = self.held.len().min(needle.len() - 1);
        let tail = &self.held[self.held.len() - longest..];
        let starts = memchr::memchr_iter(b'\r', tail);
        starts.map(|at| &tail[at..]).find(|rest| needle.starts_with(rest)).map_or(0, <[u8]>::len)
    }

    /// Takes the bytes before `end`, and `end`. Only for heads, which are short.
    async fn take_until(&mut self, end: &[u8]) -> Result<Vec<u8>, FormError> {
        if let Some(at) = memchr::memmem::find(&self.held, end) {
            let taken = self.held.split_to(at).to_vec();
            self.held = self.held.slice(end.len()..);
            return Ok(taken);
        }
        let mut taken = Vec::new();
        loop {
            taken.extend_from_slice(&std::mem::take(&mut self.held));
            if let Some(at) = memchr::memmem::find(&taken, end) {
                self.held = Bytes::from(taken.split_off(at + end.len()));
                taken.truncate(at);
                return Ok(taken);
            }
            if taken.len() > HEAD_BYTES_MAX {
                return Err(FormError::BadHead);
            }
            // A closing delimiter may be the end of the body.
            match self.fill().await {
                Err(_) if taken == b"--" => return Ok(taken),
                filled => filled?,
            }
        }
    }

    /// More bytes at hand.
    async fn fill(&mut self) -> Result<(), FormError> {
        let next = self.stream.next().await.ok_or(FormError::Truncated)?.map_err(|_| FormError::Truncated)?;
        if self.held.is_empty() {
            self.held = next;
        } else {
            self.held = Bytes::from([&self.held[..], &next].concat());
        }
        Ok(())
    }
}

/// The boundary of a multipart form.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let is_form = content_type.trim_start().get(..10)?.eq_ignore_ascii_case("multipart/");
    parameter(content_type, "boundary").filter(|boundary| is_form && !boundary.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A body that arrives in pieces of these lengths, over and over.
    fn body(bytes: &[u8], lengths: &[usize]) -> Body {
        let mut pieces: Vec<Result<Bytes, std::io::Error>> = Vec::new();
        let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(rest.len().min(*lengths.next().unwrap()));
            pieces.push(Ok(Bytes::copy_from_slice(piece)));
            rest = left;
        }
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    async fn parts(body: Body) -> Result<Vec<(PartHead, Vec<u8>)>, FormError> {
        let mut form = Multipart::new("multipart/form-data; boundary=B", body)?;
        let mut parts = Vec::new();
        while let Some(head) = form.next_part().await? {
            let mut bytes = Vec::new();
            while let Some(chunk) = form.chunk().await? {
                bytes.extend_from_slice(&chunk);
            }
            parts.push((head, bytes));
        }
        form.drain().await?;
        Ok(parts)
    }

    fn form(contents: &[&[u8]], end: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for content in contents {
            bytes.extend_from_slice(b"--B\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n");
            bytes.extend_from_slice(content);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(end.as_bytes());
        bytes
    }

    #[tokio::test]
    async fn parts_are_found_however_they_arrive() {
        let contents: [&[u8]; 5] = [b"", b"abc", b"\r\n--", b"\r\n--A\r\n\r\n--\r\r\n-", b"--B--"];
        for end in ["--B--\r\n", "--B--", "--B-- \r\nepilogue\r\n--B\r\n"] {
            for length in 1..40 {
                let found = parts(body(&form(&contents, end), &[length])).await.unwrap();
                let bytes: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
                assert_eq!(bytes, contents, "pieces of {length}");
            }
        }
    }

    #[tokio::test]
    async fn what_stands_before_the_first_part_is_skipped() {
        let text = b"preamble\r\n--B\r\nA: b\r\nC:d\r\n\r\nx\r\n--B--";
        let found = parts(body(text, &[3])).await.unwrap();
        let headers = vec![("A".to_owned(), "b".to_owned()), ("C".to_owned(), "d".to_owned())];
        assert_eq!(found, [(PartHead { headers }, b"x".to_vec())]);
    }

    #[tokio::test]
    async fn half_a_form_is_an_error() {
        let whole = form(&[b"abc"], "--B--\r\n");
        for length in 0..whole.len() - 4 {
            assert_eq!(parts(body(&whole[..length], &[7])).await, Err(FormError::Truncated), "{length}");
        }
        assert_eq!(parts(body(b"--B\r\nno head\r\n\r\nx\r\n--B--", &[9])).await, Err(FormError::BadHead));
        assert!(Multipart::new("application/json", Body::empty()).is_err());
    }

    #[test]
    fn parameters_are_read_as_they_are_quoted() {
        let value = r#"form-data; name="a;b"; filename="x\"y.bin"; size=5"#;
        assert_eq!(parameter(value, "NAME").as_deref(), Some("a;b"));
        assert_eq!(parameter(value, "filename").as_deref(), Some("x\"y.bin"));
        assert_eq!(parameter(value, "size").as_deref(), Some("5"));
        assert_eq!(parameter(value, "form-data"), None);
        assert_eq!(boundary("Multipart/Form-Data; charset=x; boundary=\"a b\""), Some("a b".into()));
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("text/plain; boundary=B"), None);
    }

    proptest! {
        #[test]
        fn any_content_survives(
            contents in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\r\n-BA".to_vec()), 0..30), 1..4),
            lengths in prop::collection::vec(1usize..20, 1..5),
        ) {
            // A content that has the delimiter in it would be no content.
            prop_assume!(contents.iter().all(|content| {
                memchr::memmem::find(content, b"\r\n--B").is_none()
            }));
            let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = runtime.block_on(parts(body(&form(&slices, "--B--\r\n"), &lengths))).unwrap();
            let found: Vec<Vec<u8>> = found.into_iter().map(|(_, bytes)| bytes).collect();
            prop_assert_eq!(found, contents);
        }
    }
}
