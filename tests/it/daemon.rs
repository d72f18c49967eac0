//! The real daemon, as a service manager runs it: it ends when it is told to and when somebody unmounts, waits for
//! programs that still write, and says by its exit code whether the service has everything.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::support::mount::mounts_on;
use super::support::program::{Running, until};

/// A daemon that serves the remote `memory`. Dropped, it is killed and what it leaves is unmounted.
struct Daemon {
    child: Child,
    home: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Daemon {
        let home = tempfile::tempdir().unwrap();
        for name in ["mnt", "local"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let log = fs::File::create(home.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_uploadfs"))
            .args(["mount", "memory"])
            .arg(home.path().join("mnt"))
            .args(["--memory", "16M", "--drain", "20s", "--spool"])
            .arg(home.path().join("spool"))
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut daemon = Daemon { child, home };
        until("the mount", || {
            assert!(daemon.child.try_wait().unwrap().is_none(), "it ended: {}", daemon.log());
            mounts_on(&daemon.dir()) == 1
        });
        daemon
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    fn shell(&self, script: &str) -> Running {
        Running::shell(script, &self.dir(), &self.home.path().join("local"))
    }

    fn terminate(&self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the daemon to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(mounts_on(&self.dir()), 0);
        status.expect("it ended")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both did their work already when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("umount").arg("-l").arg(self.dir()).stderr(Stdio::null()).status();
    }
}

#[test]
fn it_ends_when_it_is_told_to() {
    let mut daemon = Daemon::start();
    daemon.shell("echo x > f; cat f; dd if=/dev/zero of=g bs=1M count=20 status=none").wait().ok();
    daemon.terminate();
    assert!(daemon.ended().success(), "{}", daemon.log());
}

#[test]
fn it_ends_when_it_is_unmounted() {
    for arguments in [vec![], vec!["-l"]] {
        let mut daemon = Daemon::start();
        daemon.shell("echo x > f").wait().ok();
        assert!(Command::new("umount").args(arguments).arg(daemon.dir()).status().unwrap().success());
        assert!(daemon.ended().success(), "{}", daemon.log());
    }
}

#[test]
fn a_mount_whose_daemon_was_killed_is_told_from_one_that_lives() {
    let mut daemon = Daemon::start();
    // The kernel knows the attributes of the root for a second: they must not pass for a sign of life.
    daemon.shell("echo x > f; ls -la").wait().ok();
    let mount_again = |daemon: &Daemon| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
        let output = command.args(["mount", "memory"]).arg(daemon.dir()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = mount_again(&daemon);
    assert!(code == Some(2) && said.contains("is mounted on") && said.contains("already"), "{said}");
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    let (code, said) = mount_again(&daemon);
    assert!(code == Some(2) && said.contains("is a dead mount") && said.contains("fusermount3 -uz"), "{said}");
}

#[test]
fn it_waits_for_a_program_that_still_writes() {
    let mut daemon = Daemon::start();
    let mut shell = daemon.shell("exec 3> f; echo begin >&3; pause; echo end >&3 && exec 3>&- && echo closed");
    shell.until_paused();
    daemon.terminate();
    until("the mount to be detached", || mounts_on(&daemon.dir()) == 0);
    assert!(daemon.child.try_wait().unwrap().is_none(), "a program still writes");
    shell.go();
    assert_eq!(shell.wait().ok(), "closed\n");
    assert!(daemon.ended().success(), "{}", daemon.log());
}

#[test]
fn what_the_service_does_not_have_is_named_and_kept() {
    let mut daemon = Daemon::start();
    daemon.shell("{ echo begin; kill -9 $$; } > killed.txt").wait();
    daemon.terminate();
    assert!(daemon.ended().success(), "nothing is lost");
    assert!(
        daemon.log().lines().any(|line| line.contains("killed.txt") && line.contains("not uploaded")),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut daemon = Daemon::start();
    let mut shell = daemon.shell("exec 3> f; echo begin >&3; pause");
    shell.until_paused();
    daemon.terminate();
    until("the mount to be detached", || mounts_on(&daemon.dir()) == 0);
    daemon.terminate();
    assert!(daemon.ended().success(), "what is left is in the spool");
    assert!(daemon.log().contains("1 files (6) were not uploaded"), "{}", daemon.log());
}
