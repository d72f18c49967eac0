//! `uploadfs demo` as a newcomer runs it: what it says, what arrives, and what is left of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::support::daemon::is_mounted;
use super::support::program::until;

/// How long a line may take. Far above what is needed on a busy machine.
const LINE_LIMIT: Duration = Duration::from_secs(60);

/// A demo that runs. Dropped, it is killed, and its mount taken away.
struct Demo {
    child: Child,
    home: tempfile::TempDir,
    said: Receiver<String>,
}

fn lines(out: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.take_while(|line| sender.send(line.clone()).is_ok()).for_each(drop);
    });
    receiver
}

impl Demo {
    fn start(home: tempfile::TempDir, arguments: &[&str]) -> Demo {
        let dir = home.path().join("mnt");
        let _ = std::fs::create_dir(&dir);
        let mut child = Command::new(env!("CARGO_BIN_EXE_uploadfs"))
            .arg("demo")
            .arg(&dir)
            .args(arguments)
            .env("HOME", home.path())
            .env_remove("XDG_DATA_HOME")
            .env("XDG_CACHE_HOME", home.path().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = lines(child.stdout.take().unwrap());
        Demo { child, home, said }
    }

    fn dir(&self) -> std::path::PathBuf {
        self.home.path().join("mnt")
    }

    /// The next line that has these words.
    #[track_caller]
    fn hears(&self, words: &str) -> String {
        loop {
            let line = self.said.recv_timeout(LINE_LIMIT);
            let line = line.unwrap_or_else(|error| panic!("{words:?} was not said: {error}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Ctrl-C.
    fn interrupt(mut self) -> (bool, tempfile::TempDir) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.hears("the files are kept in ");
        let ended = self.child.wait().unwrap();
        assert!(!is_mounted(&self.dir()));
        (ended.success(), std::mem::replace(&mut self.home, tempfile::tempdir().unwrap()))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may be ending already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if is_mounted(&self.dir()) {
            let _ = Command::new("umount").arg("-l").arg(self.dir()).stderr(Stdio::null()).status();
        }
    }
}

fn sh(dir: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-euc", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_newcomer_sees_files_arrive_and_finds_them_again() {
    for (service, root, chunks) in [
        ("onlyoffice-g0", "/My documents", "3 chunks"),
        ("onlyoffice", "/My documents", "3 chunks"),
        ("yandex-wiki", "/root", "3 chunks"),
        ("yandex-wiki-cloud", "/root", "3 chunks"),
        ("yandex-cloud", "", "1 chunk"),
    ] {
        let demo = Demo::start(tempfile::tempdir().unwrap(), &["--service", service]);
        demo.hears("mounted on ");
        let page = demo.hears("shown on http://127.0.0.1:");
        sh(&demo.dir(), "echo hello > hello.txt; head -c 25000000 /dev/zero > zeros.bin");
        demo.hears(&format!("arrived: {root}/hello.txt, 6 bytes in 1 chunk, "));
        demo.hears(&format!("arrived: {root}/zeros.bin, 23.8 MiB in {chunks}, "));
        let page = page.split_once("shown on ").unwrap().1;
        let html = sh(&demo.dir(), &format!("curl -sf {page}"));
        assert!(html.contains("hello.txt") && html.contains("23.8 MiB"), "{html}");

        let (ended_well, home) = demo.interrupt();
        assert!(ended_well, "{service}");
        let again = Demo::start(home, &["--service", service]);
        again.hears("mounted on ");
        assert_eq!(sh(&again.dir(), "cat hello.txt; stat -c %s zeros.bin"), "hello\n25000000\n");
        assert!(again.interrupt().0);
    }
}

#[test]
fn files_are_kept_where_the_newcomer_says() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("kept");
    let demo = Demo::start(home, &["--store", store.to_str().unwrap()]);
    demo.hears("mounted on ");
    sh(&demo.dir(), "echo hello > hello.txt");
    demo.hears("arrived: ");
    assert!(store.join("index").exists() && !demo.home.path().join(".local").exists());
    // The same place twice is refused, and the first one goes on.
    let twice = Demo::start(tempfile::tempdir().unwrap(), &["--store", store.to_str().unwrap()]);
    let mut twice = twice;
    until("the second to end", || twice.child.try_wait().unwrap().is_some());
    assert!(!twice.child.wait().unwrap().success());
    assert_eq!(sh(&demo.dir(), "cat hello.txt"), "hello\n");
    assert!(demo.interrupt().0);
}

#[test]
fn somebody_elses_unmount_ends_it_too() {
    let mut demo = Demo::start(tempfile::tempdir().unwrap(), &[]);
    demo.hears("mounted on ");
    sh(demo.home.path(), "fusermount3 -u mnt");
    demo.hears("the files are kept in ");
    assert!(demo.child.wait().unwrap().success());
}
