//! A real daemon at work for a while: eight programs that write, one request in twenty that fails, a server that is killed
//! and comes back. At the end everything whose close answered 0 is there, and the daemon is as small as it was.
//!
//! Quick runs are bounded by the number of writes; with `FULL_RUN` set it is 15 minutes for both modes. The seed is told, and
//! `UPLOADFS_TEST_SEED` runs it again, as far as threads and time let it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::unistd::close;
use tempfile::TempDir;
use uploadfs::portal::onlyoffice::{PASSWORD, USER};

use super::support::daemon::{Daemon, Remote, Section};
use super::support::desk::sha256;
use super::support::program::until;
use super::support::proxy::{End, Fault, Page, Proxy, Random};

/// Programs that write.
const WRITERS: usize = 8;
/// Files of each.
const NAMES: usize = 4;
/// Writes of each in a quick run.
const WRITES: usize = 10;
/// How long a mode takes in a full run.
const FULL: Duration = Duration::from_secs(450);
/// The largest file, in bytes.
const SIZE_MAX: usize = 5 << 20;
/// The largest of most files, in bytes.
const SMALL_MAX: usize = 64 << 10;
/// The share of requests that fail.
const SHARE: f64 = 0.05;
/// A write that fails is made again; so often at most.
const TRIES_MAX: usize = 100;
/// So many writes lie between two deaths of the server.
const WRITES_PER_LIFE: usize = 35;
/// The memory for content, as it is typed, and in bytes.
const MEMORY: (&str, u64) = ("32M", 32 << 20);
/// More memory at the end than after the warm-up, in bytes: content, and what an allocator does not give back.
const RSS_MORE: u64 = MEMORY.1 + (32 << 20);
/// More descriptors: connections that are kept for a while.
const FDS_MORE: usize = 16;
/// More threads: those for blocking work end when they have been idle for some seconds.
const THREADS_MORE: usize = 4;

/// A portal in a process of its own; its store outlives it.
struct Server {
    child: Mutex<Child>,
    address: SocketAddr,
    store: TempDir,
}

impl Server {
    fn start() -> Server {
        let store = tempfile::tempdir().unwrap();
        let (child, address) = spawn(store.path(), 0);
        Server { child: Mutex::new(child), address, store }
    }

    /// Dies, and comes back under its address.
    fn restart(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill().unwrap();
        child.wait().unwrap();
        *child = spawn(self.store.path(), self.address.port()).0;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn spawn(store: &Path, port: u16) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
    command.args(["portal", "--service", "onlyoffice-3.6.1", "--port", &port.to_string(), "--store"]).arg(store);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = said.find_map(|line| line.unwrap().strip_prefix("url: http://").map(str::to_owned)).unwrap();
    (child, address.parse().unwrap())
}

fn section(url: &str) -> Section {
    let url = url.trim_end_matches('/').to_owned();
    let remote = Remote { service: "onlyoffice", url, user: USER.to_owned(), password: PASSWORD.to_owned() };
    let section = remote.section();
    Section { lines: format!("{}chunk_size = \"1M\"\n", section.lines), ..section }
}

/// Whatever a network and what stands in it do to a request.
fn faults() -> Vec<Fault> {
    vec![
        Fault::DropBefore(End::Fin),
        Fault::DropAfter(End::Reset),
        Fault::CutRequest(1000),
        Fault::CutAnswer(10),
        Fault::Delay(Duration::from_millis(50)),
        Fault::Status(Page::html(500)),
        Fault::Status(Page::html(503).header("Retry-After", 1)),
        Fault::Status(Page::html(429).header("Retry-After", 1)),
        Fault::StatusAfter(Page::html(502)),
    ]
}

/// What the daemon holds of the machine.
#[derive(Clone, Copy, Debug)]
struct Held {
    rss_bytes: u64,
    fds: usize,
    threads: usize,
}

impl Held {
    fn by(daemon: &Daemon) -> Held {
        let proc = Path::new("/proc").join(daemon.pid().to_string());
        let status = fs::read_to_string(proc.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let rss_bytes = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024;
        let count = |name: &str| fs::read_dir(proc.join(name)).unwrap().count();
        Held { rss_bytes, fds: count("fd"), threads: count("task") }
    }

    fn is_about(&self, base: &Held) -> bool {
        self.rss_bytes <= base.rss_bytes + RSS_MORE
            && self.fds <= base.fds + FDS_MORE
            && self.threads <= base.threads + THREADS_MORE
    }
}

/// What all writers share.
struct Work<'a> {
    daemon: &'a Daemon,
    server: &'a Server,
    seed: u64,
    ends: Option<Instant>,
    /// Checksums of what was acknowledged last, by name.
    acknowledged: Mutex<HashMap<String, String>>,
    writes: AtomicUsize,
    failed: AtomicUsize,
    restarts: AtomicUsize,
    bytes: AtomicU64,
}

impl Work<'_> {
    /// One program.
    fn write_on(&self, writer: usize) {
        let mut dice = fastrand::Rng::with_seed(self.seed ^ (writer as u64) << 32);
        let goes_on = |round: usize| self.ends.map_or(round < WRITES, |ends| Instant::now() < ends);
        for _ in (0..).take_while(|round| goes_on(*round)) {
            let name = format!("w{writer}-{}.bin", dice.usize(..NAMES));
            let size_max = if dice.u8(..10) < 7 { SMALL_MAX } else { SIZE_MAX };
            let size = dice.usize(..=size_max);
            let mut bytes = vec![0; size];
            dice.fill(&mut bytes);
            let path = self.daemon.dir().join(&name);
            let tries = (0..TRIES_MAX).take_while(|_| write(&path, &bytes).is_err()).count();
            assert!(tries < TRIES_MAX, "{name} is never taken");
            self.failed.fetch_add(tries, Ordering::Relaxed);
            self.bytes.fetch_add(size as u64, Ordering::Relaxed);
            // Who reads it may be told of trouble, and of nothing else than what was written.
            if dice.u8(..5) == 0
                && let Ok(read) = fs::read(&path)
            {
                assert!(read == bytes, "{name}: {} bytes are read of {size}", read.len());
            }
            self.acknowledged.lock().unwrap().insert(name, sha256(&bytes));
            if (self.writes.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(WRITES_PER_LIFE) {
                self.server.restart();
                self.restarts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Writes a file and closes it.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    for piece in bytes.chunks(100_000) {
        file.write_all(piece)?;
    }
    Ok(close(file)?)
}

/// What `uploadfs wait` says.
fn wait(daemon: &Daemon) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_uploadfs")).arg("wait").arg(daemon.dir()).output().unwrap()
}

fn soak(close: &str) {
    let seed = std::env::var("UPLOADFS_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("--close={close}: UPLOADFS_TEST_SEED={seed}");
    let begun = Instant::now();
    let server = Server::start();
    let proxy = Proxy::start(server.address, |_| "any");
    let url = format!("http://{}", server.address);
    let arguments = ["--close", close, "--memory", MEMORY.0];
    let daemon = Daemon::mount_section(&section(&proxy.url(&url)), &arguments);
    // The warm-up: as many large files at once as there will be writers.
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = daemon.dir().join(format!("warm-{writer}.bin"));
            scope.spawn(move || write(&path, &vec![u8::try_from(writer).unwrap(); SIZE_MAX]).unwrap());
        }
    });
    assert!(wait(&daemon).status.success());
    let base = Held::by(&daemon);
    proxy.random(Random { seed, share: SHARE, faults: faults() });
    let ends = std::env::var_os("FULL_RUN").map(|_| Instant::now() + FULL);
    let work = Work {
        daemon: &daemon,
        server: &server,
        seed,
        ends,
        acknowledged: Mutex::default(),
        writes: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        restarts: AtomicUsize::new(0),
        bytes: AtomicU64::new(0),
    };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let work = &work;
            scope.spawn(move || work.write_on(writer));
        }
    });
    proxy.heal();
    let waited = wait(&daemon);
    assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stdout));
    assert_eq!(daemon.entries(), 0, "files in the spool");
    until("the daemon to be as small as it was", || Held::by(&daemon).is_about(&base));
    let end = Held::by(&daemon);
    let fresh = Daemon::mount_section(&section(&url), &[]);
    let acknowledged = work.acknowledged.lock().unwrap();
    for (name, sum) in &*acknowledged {
        assert_eq!(sha256(&fs::read(fresh.dir().join(name)).unwrap()), *sum, "{name}");
    }
    let there = fs::read_dir(fresh.dir()).unwrap().count();
    assert_eq!(there, acknowledged.len() + WRITERS, "names at the portal");
    println!(
        "--close={close}: {} writes of {} MiB, {} failed and were made again, {} faults, {} restarts, {:?}; {base:?}, {end:?}",
        work.writes.load(Ordering::Relaxed),
        work.bytes.load(Ordering::Relaxed) >> 20,
        work.failed.load(Ordering::Relaxed),
        proxy.faults(),
        work.restarts.load(Ordering::Relaxed),
        begun.elapsed(),
    );
    assert!(daemon.end().success());
}

#[test]
fn eight_programs_that_wait_for_the_service_lose_nothing() {
    soak("remote");
}

#[test]
fn eight_programs_that_do_not_wait_for_the_service_lose_nothing() {
    soak("local");
}
