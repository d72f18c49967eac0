//! The two ends of the proxy's own tests: a server that writes down what reaches it, and a client that says what it
//! gets. They share no code with the proxy, so that a mistake there is not repeated here.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::super::Proxy;
use crate::support::program::until;

/// How long a client of these tests waits for a byte; far above what is needed on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What reached the server: the first line of each request, and its content; cut ones too.
pub(super) type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A server that answers by the path: `/plain`, `/chunked`, `/to-end`, `/empty`, `/early`, `/interim`.
pub(super) struct Tiny {
    address: SocketAddr,
    pub(super) heard: Heard,
}

impl Tiny {
    pub(super) fn start() -> Tiny {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tiny = Tiny { address: listener.local_addr().unwrap(), heard: Heard::default() };
        let heard = tiny.heard.clone();
        // It ends with the process; it holds nothing that others want.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let heard = heard.clone();
                thread::spawn(move || answer(stream.unwrap(), &heard));
            }
        });
        tiny
    }

    pub(super) fn proxy(&self) -> Proxy {
        Proxy::start(self.address, |request| match request.field("what").as_deref() {
            Some("small") => "small",
            Some("large") => "large",
            _ => "other",
        })
    }

    pub(super) fn heard(&self) -> Vec<(String, Vec<u8>)> {
        self.heard.lock().unwrap().clone()
    }

    /// The content of each request that reached the server, once there are so many.
    #[track_caller]
    pub(super) fn contents(&self, count: usize) -> Vec<Vec<u8>> {
        until("the server to hear it", || self.heard().len() >= count);
        let contents: Vec<_> = self.heard().into_iter().map(|(_, content)| content).collect();
        assert_eq!(contents.len(), count);
        contents
    }
}

/// Serves one request. What was heard is written down before it is answered.
fn answer(mut stream: TcpStream, heard: &Heard) {
    let mut wire = Reader { stream: stream.try_clone().unwrap(), have: Vec::new() };
    let Some(head) = wire.head() else { return };
    let line = head.lines().next().unwrap().to_owned();
    if line.contains("/early") {
        stream.write_all(b"HTTP/1.1 413 Too large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").unwrap();
    }
    let (content, complete) = wire.content(&head);
    heard.lock().unwrap().push((line.clone(), content.clone()));
    if !complete || line.contains("/early") {
        return;
    }
    let told = format!("{} bytes", content.len());
    let answer = match line.split(' ').nth(1).unwrap().split('?').next().unwrap() {
        "/chunked" => format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nfirst\r\n{:x}\r\n{told}\r\n0\r\nX-After: 1\r\n\r\n",
            told.len()
        ),
        "/to-end" => format!("HTTP/1.0 200 OK\r\n\r\n{told}"),
        "/empty" => "HTTP/1.1 204 Nothing\r\n\r\n".into(),
        "/interim" => {
            format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}", told.len())
        }
        _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}", told.len()),
    };
    // The proxy may be gone, as told.
    let _ = stream.write_all(answer.as_bytes());
}

/// A reader that shares nothing with the proxy's own.
pub(super) struct Reader {
    pub(super) stream: TcpStream,
    pub(super) have: Vec<u8>,
}

impl Reader {
    /// Whether more came.
    pub(super) fn more(&mut self) -> std::io::Result<bool> {
        let mut block = [0; 4096];
        let len = self.stream.read(&mut block)?;
        self.have.extend_from_slice(&block[..len]);
        Ok(len > 0)
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.have.drain(..len).collect()
    }

    fn head(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.have.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(String::from_utf8(self.take(at + 4)).unwrap());
            }
            if !self.more().ok()? {
                return None;
            }
        }
    }

    /// The content as it was meant, and whether it was complete.
    fn content(&mut self, head: &str) -> (Vec<u8>, bool) {
        let lower = head.to_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            let mut all = Vec::new();
            loop {
                let Some(line) = self.line() else { return (all, false) };
                let len = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
                if len == 0 {
                    while self.line().is_some_and(|line| line != "\r\n") {}
                    return (all, true);
                }
                let (chunk, complete) = self.exactly(len);
                all.extend(chunk);
                if !complete || self.line().is_none() {
                    return (all, false);
                }
            }
        }
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
        match length {
            Some(length) => self.exactly(length.parse().unwrap()),
            None if head.starts_with("HTTP/1.0") => {
                while self.more().unwrap_or(false) {}
                let len = self.have.len();
                (self.take(len), true)
            }
            None => (Vec::new(), true),
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.have.iter().position(|byte| *byte == b'\n') {
                return Some(String::from_utf8(self.take(at + 1)).unwrap());
            }
            if !self.more().unwrap_or(false) {
                return None;
            }
        }
    }

    fn exactly(&mut self, len: usize) -> (Vec<u8>, bool) {
        while self.have.len() < len {
            if !self.more().unwrap_or(false) {
                let have = self.have.len();
                return (self.take(have), false);
            }
        }
        (self.take(len), true)
    }
}

/// What a client gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// An answer, complete.
    Answer(u16, String),
    /// A head and a part of its content.
    Part(u16, String),
    /// An end in order.
    Fin,
    /// A reset.
    Reset,
}

/// A client that keeps its connection.
pub(super) struct Client(pub(super) Reader);

impl Client {
    pub(super) fn of(proxy: &Proxy) -> Client {
        let stream = TcpStream::connect(proxy.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(Reader { stream, have: Vec::new() })
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        // The proxy may be gone, as told; what it did shows when the answer is read.
        let _ = self.0.stream.write_all(bytes);
    }

    pub(super) fn post(&mut self, path: &str, content: &[u8]) -> Got {
        self.start(path, content);
        self.got()
    }

    pub(super) fn start(&mut self, path: &str, content: &[u8]) {
        let head = format!("POST {path} HTTP/1.1\r\nHost: it\r\nContent-Length: {}\r\n\r\n", content.len());
        self.send(&[head.as_bytes(), content].concat());
    }

    pub(super) fn got(&mut self) -> Got {
        while !self.0.have.windows(4).any(|four| four == b"\r\n\r\n") {
            match self.0.more() {
                Ok(true) => {}
                Ok(false) => return Got::Fin,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Got::Reset,
                Err(error) => panic!("{error}"),
            }
        }
        let head = self.0.head().unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let (content, complete) = self.0.content(&head);
        let content = String::from_utf8(content).unwrap();
        if complete { Got::Answer(status, content) } else { Got::Part(status, content) }
    }
}
