//! The real `uploadfs` as a process of its own, mounted on a directory; for tests that look at its memory, its log, its
//! exit code, or that want two mounts of one service. Dropped, it is taken away whatever state it is in.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::program::{Ended, Running, until};

/// The socket of the service manager, in the home of a daemon.
const MANAGER: &str = "manager";

/// A mounted daemon.
pub(crate) struct Daemon {
    child: Child,
    /// Holds the mount point, the spool, the log, the configuration, and a directory for programs.
    home: Arc<TempDir>,
}

/// What is left of a daemon that is gone: its spool, its log, its files.
pub(crate) struct Dead {
    home: Arc<TempDir>,
}

/// What a remote is configured to be.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) service: &'static str,
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// A remote as it is written down: what its section of the configuration says, and the secret in the file beside it that
/// is called `secret`.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) lines: String,
    pub(crate) secret: String,
}

impl Remote {
    pub(crate) fn section(&self) -> Section {
        let lines = format!(
            "service = {:?}\nurl = {:?}\nuser = {:?}\npassword_file = \"secret\"\n",
            self.service, self.url, self.user
        );
        Section { lines, secret: self.password.clone() }
    }
}

impl Daemon {
    /// Mounts a remote.
    #[track_caller]
    pub(crate) fn mount(remote: &Remote, arguments: &[&str]) -> Daemon {
        Daemon::mount_section(&remote.section(), arguments)
    }

    /// Mounts what a section of a configuration says.
    #[track_caller]
    pub(crate) fn mount_section(section: &Section, arguments: &[&str]) -> Daemon {
        Daemon::start_section(section, arguments).until_mounted()
    }

    #[track_caller]
    fn until_mounted(mut self) -> Daemon {
        until("the mount", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", self.log());
            is_mounted(&self.dir())
        });
        self
    }

    /// Starts the daemon without waiting for the mount.
    pub(crate) fn start(remote: &Remote, arguments: &[&str]) -> Daemon {
        Daemon::start_section(&remote.section(), arguments)
    }

    fn start_section(section: &Section, arguments: &[&str]) -> Daemon {
        let home = tempfile::tempdir().unwrap();
        for name in ["mnt", "local"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        write_private(&home.path().join("secret"), &section.secret);
        Daemon::start_in(Arc::new(home), section, arguments)
    }

    fn start_in(home: Arc<TempDir>, section: &Section, arguments: &[&str]) -> Daemon {
        let config = home.path().join("config.toml");
        fs::write(&config, format!("[remote]\n{}", section.lines)).unwrap();
        // What the one before said is shown when the test fails.
        let _ = fs::rename(home.path().join("log"), home.path().join("log.before"));
        let log = File::create(home.path().join("log")).unwrap();
        let child = command(&home, "remote", "mnt", arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child, home }
    }

    /// How many files the spool keeps for the next mount.
    pub(crate) fn entries(&self) -> usize {
        entries(&self.home.path().join("spool"))
    }

    /// Kills it, and takes the dead mount away.
    #[track_caller]
    pub(crate) fn die(mut self) -> Dead {
        self.send("KILL");
        self.wait();
        Dead { home: self.home.clone() }
    }

    /// Ends it by a line of shell, in which `$D` is the mount point and `$PID` the process; its log.
    #[track_caller]
    pub(crate) fn end_by(mut self, script: &str) -> (Dead, String) {
        let (dir, pid) = (self.dir(), self.child.id().to_string());
        let ended = Command::new("sh").args(["-c", script]).env("D", dir).env("PID", pid).status().unwrap();
        assert!(ended.success(), "{script}");
        self.wait();
        (Dead { home: self.home.clone() }, self.log())
    }

    /// What a second daemon says that is to use the same spool.
    #[track_caller]
    pub(crate) fn rival(&self, remote: &str) -> String {
        rival(&self.home, remote)
    }

    /// The mount point.
    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    /// A path beside the mount; programs know the directory as `$L`.
    pub(crate) fn local(&self, name: &str) -> PathBuf {
        self.home.path().join("local").join(name)
    }

    /// Writes another secret where it found the first, as a refresher does.
    pub(crate) fn renew(&self, secret: &str) {
        let new = self.home.path().join("secret.new");
        write_private(&new, secret);
        fs::rename(new, self.home.path().join("secret")).unwrap();
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Starts a line of shell in the mount.
    pub(crate) fn shell(&self, script: &str) -> Running {
        Running::shell(script, &self.dir(), &self.local(""))
    }

    /// Starts a Python program in the mount.
    pub(crate) fn python(&self, program: &str) -> Running {
        Running::python(program, &self.dir(), &self.local(""))
    }

    /// Runs a line of shell in the mount to its end.
    pub(crate) fn sh(&self, script: &str) -> Ended {
        self.shell(script).wait()
    }

    /// What a service manager would hear from now on.
    pub(crate) fn manager(&self) -> UnixDatagram {
        UnixDatagram::bind(self.home.path().join(MANAGER)).unwrap()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever had, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Tells it to end as a service manager does, and waits.
    #[track_caller]
    pub(crate) fn end(mut self) -> ExitStatus {
        self.send("TERM");
        self.wait()
    }

    pub(crate) fn send(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the daemon to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it ended")
    }
}

impl Dead {
    /// The next daemon, with the same spool.
    #[track_caller]
    pub(crate) fn mount_again(self, section: &Section, arguments: &[&str]) -> Daemon {
        Daemon::start_in(self.home.clone(), section, arguments).until_mounted()
    }

    /// What a daemon for another remote says that is to use the same spool.
    #[track_caller]
    pub(crate) fn rival(&self, remote: &str) -> String {
        rival(&self.home, remote)
    }
}

/// The command that mounts a remote.
fn command(home: &TempDir, remote: &str, dir: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
    command.args(["mount", "-v", remote]).arg(home.path().join(dir));
    command.arg("--config").arg(home.path().join("config.toml")).args(arguments);
    // There is a socket of this name once a test listens.
    command.env("NOTIFY_SOCKET", home.path().join(MANAGER));
    if !arguments.contains(&"--spool") {
        command.arg("--spool").arg(home.path().join("spool"));
    }
    command
}

/// A daemon that must not come to mount anything.
#[track_caller]
fn rival(home: &TempDir, remote: &str) -> String {
    let dir = home.path().join("rival");
    fs::create_dir_all(&dir).unwrap();
    let output = command(home, remote, "rival", &[]).output().unwrap();
    assert!(!output.status.success() && !is_mounted(&dir));
    String::from_utf8(output.stderr).unwrap()
}

/// How many files a spool keeps for the next mount.
pub(crate) fn entries(spool: &Path) -> usize {
    let names = fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".info")).count()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may be ending already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if is_mounted(&self.dir()) {
            let _ = Command::new("umount").arg("-l").arg(self.dir()).stderr(Stdio::null()).status();
        }
        if std::thread::panicking() {
            if let Ok(before) = fs::read_to_string(self.home.path().join("log.before")) {
                eprintln!("--- log of the daemon before ---\n{before}");
            }
            eprintln!("--- log of the daemon ---\n{}", self.log());
        }
    }
}

/// Whether something is mounted on `dir`. The directory itself is not asked: a dead mount would answer for it.
pub(crate) fn is_mounted(dir: &Path) -> bool {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().any(|line| line.split(' ').nth(4) == dir.to_str())
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
