//! Copying to an ONLYOFFICE portal, DocSpace 3.7 in this process: over a line, from a program that is a little faster than
//! it, against the time that the slower of the two takes by itself; and without a line, against a client without a file
//! system between that sends the same chunks as wide.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use uploadfs::portal::link::Link;
use uploadfs::portal::onlyoffice::{CHUNK_BYTES, Generation, OnlyofficeConfig as Settings, PASSWORD, USER};
use uploadfs::portal::{Portal, PortalConfig, ServiceConfig};
use uploadfs::service::onlyoffice::{Onlyoffice, OnlyofficeConfig, Root};

use crate::mounted::Mounted;
use crate::wiki::timed;
use crate::{child, table};

/// The file that is copied.
const FILE_BYTES: u64 = 512 << 20;
/// The line: bytes per second, and the milliseconds of a round trip.
const LINE_RATE: u64 = 50_000_000;
const LINE_LATENCY_MS: u64 = 20;
/// What the program writes in a second.
const WRITER_RATE: u64 = 60_000_000;
/// Chunks at once: what the mount sends.
const WIDTH: usize = 3;
/// Rounds without a line; each runs every way once, in turns.
const ROUNDS: usize = 3;
/// "My documents".
const FOLDER: u64 = 1;

/// Measures and prints.
pub(crate) fn run() {
    let room = tempfile::tempdir().unwrap();
    let config = ServiceConfig::Onlyoffice(Settings::new(Generation::G3));
    let portal = Portal::start(PortalConfig::new(room.path().join("store"), config)).unwrap();
    let service = Onlyoffice::new(OnlyofficeConfig {
        url: portal.url(),
        user: USER.to_owned(),
        password: Some(PASSWORD.into()),
        token: None,
        root: Root::parse("@my").unwrap(),
        chunk_bytes: None,
        ca_file: None,
        proxy: None,
    });
    let mount = Mounted::start(Arc::new(service.unwrap()));
    let source = room.path().join("source");
    std::fs::write(&source, random()).unwrap();
    over_a_line(&portal, &mount, &source);
    without_a_line(&portal, &mount, &source);
    mount.end();
    portal.stop();
}

fn over_a_line(portal: &Portal, mount: &Mounted, source: &Path) {
    portal.set_link(Link { up_bytes_per_s: Some(LINE_RATE), down_bytes_per_s: None, latency_ms: LINE_LATENCY_MS });
    let paced = |from: &str, to: &str| {
        let (to, rate) = (mount.dir().join(to), WRITER_RATE.to_string());
        let arguments = ["paced", from, to.to_str().unwrap(), &FILE_BYTES.to_string(), &rate];
        child::run(&arguments).total
    };
    let copied = paced(source.to_str().unwrap(), "copied.bin");
    let made = paced("-", "made.bin");
    portal.set_link(Link::default());
    for name in ["copied.bin", "made.bin"] {
        assert_eq!(std::fs::metadata(mount.dir().join(name)).unwrap().len(), FILE_BYTES);
    }
    let seconds = |rate: u64| Duration::from_secs_f64(FILE_BYTES as f64 / rate as f64);
    let (writer, line) = (seconds(WRITER_RATE), seconds(LINE_RATE));
    table::head("Writing 512 MiB to a portal over 50 MB/s and 20 ms", ["s", "MiB/s", "", "time/floor"]);
    print("the writer alone, 60 MB/s (computed)", writer, writer.max(line));
    print("the line alone (computed)", line, writer.max(line));
    print("a copy: travels while it is written", copied, writer.max(line));
    print("bytes of unknown number: travel at close", made, writer.max(line));
}

fn without_a_line(portal: &Portal, mount: &Mounted, source: &Path) {
    let direct = Direct::sign_in(portal.address());
    let (mut sent, mut copied) = (Duration::MAX, Duration::MAX);
    for round in 0..ROUNDS {
        sent = sent.min(timed(|| direct.send(source, &format!("direct{round}.bin"))));
        let to = mount.dir().join(format!("mounted{round}.bin"));
        copied = copied.min(timed(|| assert!(Command::new("cp").arg(source).arg(to).status().unwrap().success())));
    }
    table::head("Copying 512 MiB to a portal without a line between", ["s", "MiB/s", "", "time/floor"]);
    print("a direct client, 3 chunks at once", sent, sent);
    print("cp to the mount", copied, sent);
}

fn print(name: &str, took: Duration, floor: Duration) {
    let ratio = took.as_secs_f64() / floor.as_secs_f64();
    table::line(name, [Some(took.as_secs_f64()), Some(table::rate(FILE_BYTES, took)), None, Some(ratio)]);
}

fn random() -> Vec<u8> {
    let mut data = vec![0; usize::try_from(FILE_BYTES).unwrap()];
    fastrand::fill(&mut data);
    data
}

/// A client that knows nothing but the way of a file in chunks.
struct Direct {
    address: SocketAddr,
    token: String,
}

impl Direct {
    fn sign_in(address: SocketAddr) -> Direct {
        let mut client = Direct { address, token: String::new() };
        let body = json!({"userName": USER, "password": PASSWORD}).to_string();
        let answer = client.json("POST", "/api/2.0/authentication", body.as_bytes());
        client.token = answer["token"].as_str().unwrap().to_owned();
        client
    }

    /// Sends a file, straight from the disk.
    fn send(&self, source: &Path, name: &str) {
        let body = json!({"fileName": name, "fileSize": FILE_BYTES, "createNewIfExist": true}).to_string();
        let session = self.json("POST", &format!("/api/2.0/files/{FOLDER}/session"), body.as_bytes());
        let session = format!("/api/2.0/files/{FOLDER}/session/{}", session["id"].as_str().unwrap());
        let (next, count) = (AtomicU64::new(0), FILE_BYTES.div_ceil(CHUNK_BYTES));
        std::thread::scope(|scope| {
            for _ in 0..WIDTH {
                scope.spawn(|| {
                    let (mut file, mut chunk) = (File::open(source).unwrap(), Vec::new());
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count {
                            return;
                        }
                        file.seek(SeekFrom::Start(index * CHUNK_BYTES)).unwrap();
                        chunk.clear();
                        Read::by_ref(&mut file).take(CHUNK_BYTES).read_to_end(&mut chunk).unwrap();
                        self.chunk(&format!("{session}/upload?chunkNumber={}", index + 1), &chunk);
                    }
                });
            }
        });
        self.json("PUT", &format!("{session}/finalize"), b"");
    }

    fn chunk(&self, target: &str, bytes: &[u8]) {
        const BOUNDARY: &str = "7f1d6bd2a0c94e1c8f5d3e2b1a";
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"blob\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{BOUNDARY}--\r\n");
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.request("POST", target, &kind, &[head.as_bytes(), bytes, tail.as_bytes()]);
    }

    fn json(&self, method: &str, target: &str, body: &[u8]) -> Value {
        let answer = self.request(method, target, "application/json", &[body]);
        let value: Value = serde_json::from_str(&answer).unwrap();
        value["response"].clone()
    }

    /// One request; the connection ends with the answer, so that the answer has no framing to be parsed.
    fn request(&self, method: &str, target: &str, kind: &str, pieces: &[&[u8]]) -> String {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: {}\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
            self.address, self.token
        );
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        pieces.iter().for_each(|piece| stream.write_all(piece).unwrap());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{answer}");
        body.to_owned()
    }
}
