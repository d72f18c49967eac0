//! The real `uploadfs` as a process of its own, mounted on a directory; for tests that look at its memory, its log, its
//! exit code, or that want two mounts of one service. Dropped, it is taken away whatever state it is in.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use super::program::{Ended, Running, until};

/// A mounted daemon.
pub(crate) struct Daemon {
    child: Child,
    /// Holds the mount point, the spool, the log, the configuration, and a directory for programs.
    home: TempDir,
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
    fn section(&self) -> Section {
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
        let mut daemon = Daemon::start_section(section, arguments);
        until("the mount", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", daemon.log());
            is_mounted(&daemon.dir())
        });
        daemon
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
        let config = home.path().join("config.toml");
        write_private(&home.path().join("secret"), &section.secret);
        fs::write(&config, format!("[remote]\n{}", section.lines)).unwrap();
        let log = File::create(home.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_uploadfs"))
            .args(["mount", "-v", "remote"])
            .arg(home.path().join("mnt"))
            .arg("--config")
            .arg(config)
            .arg("--spool")
            .arg(home.path().join("spool"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { child, home }
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
