//! The barest HTTP client: what is written here goes out byte by byte, and nothing is repeated, followed or guessed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take. Far above what is needed on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether Content-Length is sent.
    tells_length: bool,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Request {
        let line = format!("{method} {target} HTTP/1.1");
        Request { line, headers: Vec::new(), body: Vec::new(), tells_length: true }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, value: &Value) -> Request {
        self.header("Content-Type", "application/json").body(value.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// The same body as one piece of chunked transfer coding.
    pub(crate) fn without_length(mut self) -> Request {
        let mut body = format!("{:x}\r\n", self.body.len()).into_bytes();
        body.append(&mut self.body);
        body.extend_from_slice(b"\r\n0\r\n\r\n");
        self.tells_length = false;
        self.header("Transfer-Encoding", "chunked").body(body)
    }

    /// Everything that goes over the wire.
    fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{}\r\nConnection: close\r\n", self.line);
        if self.headers.iter().all(|(name, _)| name != "Host") {
            head.push_str(&format!("Host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.tells_length {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it.
    ///
    /// # Errors
    /// The connection ends before the answer does.
    pub(crate) fn send(&self, address: SocketAddr) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        // A server may answer before it has read everything; the answer counts.
        let written = stream.write_all(&self.bytes(address));
        read(&mut stream).and_then(|answer| answer.ok_or_else(|| written.err().unwrap_or(ended())))
    }

    /// Sends it, all but the last `missing` bytes, and goes away.
    pub(crate) fn send_half(&self, address: SocketAddr, missing: usize) {
        let bytes = self.bytes(address);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&bytes[..bytes.len() - missing]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Until the server has noticed: what it makes of the half is there afterwards.
        let _ = stream.read_to_end(&mut Vec::new());
    }

    /// Sends all but the last byte, and holds the connection.
    pub(crate) fn begin(&self, address: SocketAddr) -> Held {
        let bytes = self.bytes(address);
        let (last, first) = bytes.split_last().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(first).unwrap();
        Held { stream, last: *last }
    }
}

/// A request of which the last byte is missing.
pub(crate) struct Held {
    stream: TcpStream,
    last: u8,
}

impl Held {
    pub(crate) fn finish(mut self) -> io::Result<Answer> {
        self.stream.write_all(&[self.last])?;
        read(&mut self.stream)?.ok_or_else(ended)
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "there is no answer")
}

/// The answer; `None` when there is not even a beginning of one.
fn read(stream: &mut TcpStream) -> io::Result<Option<Answer>> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        return read.map(|_| None);
    }
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(ended)?;
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let answer = Answer { status: status.ok_or_else(ended)?, headers, body: bytes.split_off(head + 4) };
    let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
    match length {
        Some(length) if length > answer.body.len() => Err(ended()),
        _ => Ok(Some(answer)),
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    /// What stands in `response`; the status must be this one.
    #[track_caller]
    pub(crate) fn response(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()["response"].clone()
    }

    /// What stands in `data` of the upload handler's answer; the status must be this one.
    #[track_caller]
    pub(crate) fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["success"], true, "{}", self.text());
        body["data"].clone()
    }

    /// The message of the upload handler, which must have refused.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        let body = self.json();
        assert_eq!(body["success"], false, "{}", self.text());
        body["message"].as_str().unwrap().to_owned()
    }

    /// The message of a failed call, whose status must be this one.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A form with one file in it, as a browser sends it.
pub(crate) fn form(bytes: &[u8]) -> (String, Vec<u8>) {
    form_with(&["Content-Disposition: form-data; name=\"file\"; filename=\"blob\"", TYPE], bytes, "\r\n")
}

/// What a browser says about bytes.
pub(crate) const TYPE: &str = "Content-Type: application/octet-stream";

/// A form of one part with these headers, and this behind its last delimiter.
pub(crate) fn form_with(headers: &[&str], bytes: &[u8], end: &str) -> (String, Vec<u8>) {
    let boundary = "----portal-test-boundary";
    let mut body = format!("--{boundary}\r\n{}\r\n\r\n", headers.join("\r\n")).into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--{end}").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
