//! The folder as a process of its own: what it prints, that this is enough to use it, and that a large file does not pass
//! through its memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use uploadfs::portal::yandex_cloud::{API_KEY, FOLDER, IAM_TOKEN};

use super::{NATIVE, base64, noise, ok};
use crate::support::raw::Request;

/// `uploadfs portal` that runs. Dropped, it is killed.
struct Process {
    child: Child,
    said: Vec<String>,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Process {
    fn start() -> Process {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
        command.args(["portal", "--service", "yandex-cloud", "--port", "0", "--store"]).arg(folder.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Vec<String> = lines.take(5).map(Result::unwrap).collect();
        let address = said[1].strip_prefix("url: http://").unwrap().parse().unwrap();
        Process { child, said, address, _folder: folder }
    }

    /// The most memory that it ever had, in bytes.
    fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_how_it_can_be_used() {
    let process = Process::start();
    assert_eq!(process.said[0], "service: yandex-cloud");
    for word in [API_KEY, IAM_TOKEN, FOLDER] {
        assert!(process.said[2].contains(word), "{word} in {:?}", process.said);
    }
    for authorization in [format!("Api-Key {API_KEY}"), format!("Bearer {IAM_TOKEN}")] {
        let request = Request::new("GET", &format!("{NATIVE}?folderId={FOLDER}"));
        let answer = request.header("Authorization", &authorization).send(process.address).unwrap();
        assert_eq!(ok(&answer), serde_json::json!({}));
    }
}

/// How often the block of the large file is sent, and how long it is: three bytes are four characters.
const BLOCKS: usize = 42;
const BLOCK_BYTES: usize = 3_000_000;

/// What the portal may need, whatever the file: a fraction of it.
const PEAK_BYTES_MAX: u64 = 64 << 20;

#[test]
fn a_large_file_passes_by_its_memory() {
    let process = Process::start();
    let block = base64(&noise(BLOCK_BYTES));
    let (begin, end) = (format!("{{\"folderId\":\"{FOLDER}\",\"content\":\""), "\",\"name\":\"large\"}");
    let length = begin.len() + BLOCKS * block.len() + end.len();
    let mut stream = TcpStream::connect(process.address).unwrap();
    let head = format!(
        "POST {NATIVE} HTTP/1.1\r\nHost: {}\r\nAuthorization: Api-Key {API_KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{begin}",
        process.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..BLOCKS {
        stream.write_all(block.as_bytes()).unwrap();
    }
    stream.write_all(end.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let state = ok(&Request::new("GET", "/.portal/state").send(process.address).unwrap());
    assert_eq!(state["files"][0]["bytes"], BLOCKS * BLOCK_BYTES);
    let peak = process.peak_bytes();
    assert!(peak < PEAK_BYTES_MAX, "{peak} bytes");
}
