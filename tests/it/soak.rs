//! A real daemon at work for a while: eight programs that write, one request in twenty that fails, a server that is killed
//! and comes back. At the end everything whose close answered 0 is there, and the daemon is as small as it was.
//!
//! Quick runs are bounded by the number of writes; with `FULL_RUN` set it is 15 minutes for both modes. The seed is told, and
//! `UPLOADFS_TEST_SEED` runs it again, as far as threads and time let it.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use uploadfs::portal::onlyoffice::{PASSWORD, USER};

use super::support::daemon::{Daemon, Remote, Section};
use super::support::desk::sha256;
use super::support::program::{Running, until};
use super::support::proxy::{End, Fault, Page, Proxy, Random};

/// Programs that write.
const WRITERS: usize = 8;
/// Files of each.
const NAMES: usize = 4;
/// Writes of each in a quick run.
const WRITES: usize = 20;
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
/// So often the programs are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// The memory for content, as it is typed, and in bytes.
const MEMORY: (&str, u64) = ("32M", 32 << 20);
/// More memory at the end than after the warm-up, in bytes: content, and what an allocator does not give back.
const RSS_MORE: u64 = MEMORY.1 + (32 << 20);
/// More descriptors: connections that are kept for a while.
const FDS_MORE: usize = 16;
/// More threads: those for blocking work end when they have been idle for some seconds.
const THREADS_MORE: usize = 4;

/// Starts a portal, and kills and starts it again for every line that it reads. A program that has a file of the mount open
/// must not do that: what it forks closes the file once more, and would wait for the service that it is to become.
const SUPERVISOR: &str = r#"
up() { "$@" >> "$SAID" & pid=$!; }
up "$@"
while read _; do kill -9 $pid; wait $pid; up "$@"; done 2> /dev/null
kill -9 $pid"#;

/// A portal in a process of its own; its store outlives it.
struct Server {
    supervisor: Child,
    url: String,
    _home: TempDir,
}

impl Server {
    fn start() -> Server {
        let home = tempfile::tempdir().unwrap();
        // Free now, and taken in a moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("sh");
        command
            .args(["-c", SUPERVISOR, "sh", env!("CARGO_BIN_EXE_uploadfs"), "portal"])
            .args(["--port", &port.to_string()]);
        command.args(["--service", "onlyoffice-3.6.1", "--store"]).arg(home.path().join("store"));
        let said = home.path().join("said");
        let supervisor = command.env("SAID", &said).stdin(Stdio::piped()).spawn().unwrap();
        until("the portal", || fs::read_to_string(&said).is_ok_and(|said| said.contains("page:")));
        Server { supervisor, url: format!("http://127.0.0.1:{port}"), _home: home }
    }

    fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    /// Dies, and comes back under its address.
    fn restart(&mut self) {
        self.supervisor.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
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

/// One program: writes, closes, until it is told that the file is taken; reads some of them; and notes what it was told.
const WRITER: &str = r#"
import hashlib, random, time
writer, seed, writes, seconds = WRITER, SEED, WRITES, SECONDS
dice, begun, done = random.Random(seed), time.monotonic(), 0
notes = open('%s/notes-%d' % (L, writer), 'w')
def write(name, data):
    f = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for at in range(0, len(data), 100000):
            piece = data[at:at + 100000]
            assert os.write(f, piece) == len(piece)
    except OSError:
        try: os.close(f)
        except OSError: pass
        raise
    os.close(f)
while time.monotonic() - begun < seconds if seconds else done < writes:
    done += 1
    name = 'w%d-%d.bin' % (writer, dice.randrange(NAMES))
    data = dice.randbytes(dice.randrange((SMALL_MAX if dice.randrange(10) < 7 else SIZE_MAX) + 1))
    tries = 0
    while True:
        try:
            write(name, data)
            break
        except OSError as e:
            tries += 1
            if tries == TRIES_MAX: raise
    if dice.randrange(5) == 0:
        # Who reads may be told of trouble, and of nothing else than what was written.
        try: same = open(name, 'rb').read() == data
        except OSError: same = True
        assert same, name
    print(name, hashlib.sha256(data).hexdigest(), len(data), tries, file=notes, flush=True)
"#;

/// What programs have noted.
#[derive(Default)]
struct Notes {
    /// Checksums of what was acknowledged last, by name.
    acknowledged: HashMap<String, String>,
    writes: usize,
    failed: usize,
    bytes: u64,
}

impl Notes {
    fn of(daemon: &Daemon) -> Notes {
        let mut notes = Notes::default();
        for writer in 0..WRITERS {
            let text = fs::read_to_string(daemon.local(&format!("notes-{writer}"))).unwrap_or_default();
            for line in text.lines() {
                let [name, sum, bytes, tries] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
                let (Ok(bytes), Ok(tries)) = (bytes.parse::<u64>(), tries.parse::<usize>()) else { continue };
                notes.acknowledged.insert(name.to_owned(), sum.to_owned());
                notes.writes += 1;
                notes.failed += tries;
                notes.bytes += bytes;
            }
        }
        notes
    }
}

fn writer(daemon: &Daemon, seed: u64, number: usize) -> Running {
    let seconds = if std::env::var_os("FULL_RUN").is_some() { FULL.as_secs() } else { 0 };
    let program = WRITER.replace("WRITER", &number.to_string()).replace("WRITES", &WRITES.to_string());
    let program = program.replace("SEED", &(seed ^ number as u64).to_string());
    let program = program.replace("SECONDS", &seconds.to_string()).replace("NAMES", &NAMES.to_string());
    let program = program.replace("SMALL_MAX", &SMALL_MAX.to_string()).replace("SIZE_MAX", &SIZE_MAX.to_string());
    daemon.python(&program.replace("TRIES_MAX", &TRIES_MAX.to_string()))
}

/// What `uploadfs wait` says.
fn wait(daemon: &Daemon) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_uploadfs")).arg("wait").arg(daemon.dir()).output().unwrap()
}

fn soak(close: &str) {
    let seed = std::env::var("UPLOADFS_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("--close={close}: UPLOADFS_TEST_SEED={seed}");
    let begun = Instant::now();
    let mut server = Server::start();
    let proxy = Proxy::start(server.address(), |_| "any");
    let arguments = ["--close", close, "--memory", MEMORY.0];
    let daemon = Daemon::mount_section(&section(&proxy.url(&server.url)), &arguments);
    // The warm-up: as many large files at once as there will be writers.
    let warm = format!("for i in 1 2 3 4 5 6 7 8; do head -c {SIZE_MAX} /dev/urandom > warm-$i.bin & done; wait");
    daemon.sh(&warm).ok();
    assert!(wait(&daemon).status.success());
    let base = Held::by(&daemon);
    proxy.random(Random { seed, share: SHARE, faults: faults() });
    let mut writers: Vec<Running> = (0..WRITERS).map(|number| writer(&daemon, seed, number)).collect();
    let mut restarts = 0;
    while writers.iter_mut().any(Running::is_running) {
        if Notes::of(&daemon).writes >= (restarts + 1) * WRITES_PER_LIFE {
            server.restart();
            restarts += 1;
        }
        std::thread::sleep(LOOK);
    }
    writers.into_iter().for_each(|writer| drop(writer.wait().ok()));
    proxy.heal();
    let waited = wait(&daemon);
    assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stdout));
    assert_eq!(daemon.entries(), 0, "files in the spool");
    until("the daemon to be as small as it was", || Held::by(&daemon).is_about(&base));
    let end = Held::by(&daemon);
    let fresh = Daemon::mount_section(&section(&server.url), &[]);
    let notes = Notes::of(&daemon);
    for (name, sum) in &notes.acknowledged {
        assert_eq!(sha256(&fs::read(fresh.dir().join(name)).unwrap()), *sum, "{name}");
    }
    let there = fs::read_dir(fresh.dir()).unwrap().count();
    assert_eq!(there, notes.acknowledged.len() + WRITERS, "names at the portal");
    println!(
        "--close={close}: {} writes of {} MiB, {} failed and were made again, {} faults, {restarts} restarts, {:?}; {base:?}, \
         {end:?}",
        notes.writes,
        notes.bytes >> 20,
        notes.failed,
        proxy.faults(),
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
