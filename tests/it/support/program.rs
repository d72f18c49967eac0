//! Real programs: started in a directory, stopped where a test wants to look, ended within a limit. Each runs in a
//! process group of its own, so that none outlives its test.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a program, or anything else a test waits for, may take. Far above what is needed on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(2);

/// How often one program can pause.
const PAUSES: u32 = 4;

/// What every line of shell begins with. `pause` stops until the test has looked. Each pause has a pipe of its own:
/// another test's `fork` may keep the one before open for a moment.
const SHELL: &str = r#"pause() { pauses=$((pauses + 1)); : > "$P/paused"; read _ < "$P/go$pauses"; };"#;

/// The same for Python.
const PYTHON: &str = r#"
import os, sys, subprocess, threading, errno
L, P = os.environ['L'], os.environ['P']
pauses = 0
def pause():
    global pauses
    pauses += 1
    open(P + '/paused', 'w').close()
    open(P + '/go%d' % pauses).readline()
"#;

/// Numbers the files that take what programs say.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(TICK);
    }
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn success(&self) -> bool {
        self.status.success()
    }

    /// What it said; it must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert!(self.success(), "{self:?}");
        self.out
    }

    /// It must have failed, with these words among what it said.
    #[track_caller]
    pub(crate) fn failed(self, words: &str) {
        assert!(!self.success() && self.err.contains(words), "not {words:?}: {self:?}");
    }

    /// The signal that killed it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// A program that runs. Dropped, it is killed with everything it started.
pub(crate) struct Running {
    child: Child,
    /// What it says, and its pipes; programs know the directory as `$P`.
    own: PathBuf,
    pauses: u32,
    reaped: bool,
}

impl Running {
    pub(crate) fn shell(script: &str, dir: &Path, local: &Path) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{SHELL} {script}")]);
        Running::start(command, dir, local)
    }

    pub(crate) fn python(program: &str, dir: &Path, local: &Path) -> Running {
        let mut command = Command::new("python3");
        command.args(["-c", &format!("{PYTHON}\n{}", dedent(program))]);
        Running::start(command, dir, local)
    }

    fn start(mut command: Command, dir: &Path, local: &Path) -> Running {
        let own = local.join(format!("run-{}", RUNS.fetch_add(1, Ordering::Relaxed)));
        make_pipes(&own);
        let [out, err] = ["out", "err"].map(|name| File::create(own.join(name)).unwrap());
        // System programs before anybody's wrappers around them.
        let search = format!("/usr/bin:/bin:{}", std::env::var("PATH").unwrap_or_default());
        command.current_dir(dir).env("L", local).env("P", &own).env("LC_ALL", "C.UTF-8").env("PATH", search);
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().unwrap();
        Running { child, own, pauses: 0, reaped: false }
    }

    /// Waits until the program stands in `pause`.
    #[track_caller]
    pub(crate) fn until_paused(&mut self) {
        let paused = self.own.join("paused");
        until("the program to pause", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() || paused.exists(), "ended without a pause: {:?}", self.said(ended.unwrap()));
            paused.exists()
        });
        fs::remove_file(paused).unwrap();
    }

    /// Lets it go on.
    #[track_caller]
    pub(crate) fn go(&mut self) {
        self.pauses += 1;
        assert!(self.pauses <= PAUSES, "more pauses than there are pipes");
        self.say(&format!("go{}", self.pauses), b"go\n");
    }

    /// Writes into the pipe `name` once somebody reads from it.
    #[track_caller]
    pub(crate) fn say(&self, name: &str, bytes: &[u8]) {
        self.until_read(name).write_all(bytes).unwrap();
    }

    /// The pipe that the program reads from as `$P/pipe`; a write waits while it is full.
    #[track_caller]
    pub(crate) fn open_pipe(&self) -> File {
        // Held until the second is open: the reader must not see an end in between.
        let _impatient = self.until_read("pipe");
        OpenOptions::new().write(true).open(self.own.join("pipe")).unwrap()
    }

    #[track_caller]
    fn until_read(&self, name: &str) -> File {
        let mut pipe = None;
        until("somebody who reads", || {
            // Without a reader the open fails at once.
            pipe = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(self.own.join(name)).ok();
            pipe.is_some()
        });
        pipe.expect("it was opened")
    }

    /// Sends a signal to the program, and to it alone.
    pub(crate) fn send(&self, signal: &str) {
        send(signal, &self.child.id().to_string());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.reaped = true;
                return self.said(status);
            }
            assert!(Instant::now() < deadline, "the program hangs");
            sleep(TICK);
        }
    }

    fn said(&self, status: ExitStatus) -> Ended {
        let [out, err] = ["out", "err"].map(|name| {
            let bytes = fs::read(self.own.join(name)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ended { status, out, err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        send("KILL", &format!("-{}", self.child.id()));
        // A program inside a call of the mount ends when the mount answers; nobody waits for that here.
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline && !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            sleep(TICK);
        }
    }
}

/// Makes the directory of one program, with the pipes that it pauses at and one (`pipe`) for whatever a test wants.
fn make_pipes(own: &Path) {
    fs::create_dir(own).unwrap();
    let names = (1..=PAUSES).map(|number| own.join(format!("go{number}"))).chain([own.join("pipe")]);
    assert!(Command::new("mkfifo").args(names).status().unwrap().success());
}

/// `kill`: to a process, or to the group of a negative number.
fn send(signal: &str, to: &str) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([&format!("-{signal}"), "--", to]).stderr(Stdio::null()).status();
}

/// `program` without the indentation that its lines share.
fn dedent(program: &str) -> String {
    let indents = program.lines().filter(|line| !line.trim().is_empty());
    let indent = indents.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    program.lines().map(|line| line.get(indent..).unwrap_or("")).collect::<Vec<_>>().join("\n")
}
