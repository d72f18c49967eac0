//! The errors that a person with a wiki meets first: what the program is told (errno), and what the log or the command
//! says to do about it. On the real MediaWiki, which is switched into each kind of trouble.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::daemon::{Daemon, Remote};
use crate::support::program::until;
use crate::support::wiki::{Which, Wiki};

/// A wiki of this test alone, which can be stopped.
struct OwnWiki {
    folder: TempDir,
}

impl OwnWiki {
    fn start() -> OwnWiki {
        let wiki = OwnWiki { folder: tempfile::tempdir().unwrap() };
        wiki.manage("start", &["--verify", "no"]);
        wiki
    }

    fn manage(&self, verb: &str, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mediawiki");
        let output = Command::new(script).arg(verb).arg(self.dir()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("wiki")
    }

    fn remote(&self) -> Remote {
        let text = fs::read_to_string(self.dir().join("env")).unwrap();
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_else(|| panic!("no {key}")).to_owned()
        };
        Remote {
            service: "mediawiki",
            url: value("MW_URL"),
            user: value("MW_BOT_USER"),
            password: value("MW_BOT_PASS"),
        }
    }
}

impl Drop for OwnWiki {
    fn drop(&mut self) {
        self.manage("stop", &[]);
    }
}

#[tokio::test]
async fn each_refusal_of_the_wiki_has_its_errno_and_its_advice() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let text = vec![b'x'; 4 << 20];
    fs::write(daemon.local("large.txt"), &text).unwrap();
    for (trouble, errno, advice) in [
        ("uploaddisabled", "Read-only file system", "uploads are switched off"),
        ("no-upload-right", "Permission denied", "the account needs the right `upload`"),
        ("blocked", "Permission denied", "the account is blocked"),
        ("abusefilter", "Operation not permitted", "a filter of the wiki forbids this"),
        ("max-3m", "File too large", "larger than the wiki"),
    ] {
        let _on = wiki.switch(trouble);
        daemon.sh(&format!("cp $L/large.txt {trouble}.txt")).failed(errno);
        assert!(daemon.log().contains(advice), "{trouble}: {}", daemon.log());
    }
    // The trouble is over: the same copies go through, and nothing of the failed ones is in the way.
    daemon
        .sh("for f in blocked abusefilter; do cp $L/large.txt $f.txt && cmp $L/large.txt $f.txt || exit 1; done")
        .ok();
    drop(daemon);
    wiki.manage(&["clean", "--all"]);
}

#[tokio::test]
async fn names_that_a_wiki_cannot_have_are_refused_before_a_byte_is_written() {
    let wiki = Wiki::take(Which::Wide).await;
    let mark = wiki.mark().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let long = format!("{}.txt", "n".repeat(240));
    for (name, errno, advice) in [
        ("program.exe", "Operation not permitted", "exe"),
        ("no-extension", "Operation not permitted", "has no extension"),
        ("a#b.txt", "Invalid argument", "would work"),
        ("two  blanks.txt", "Invalid argument", "would work"),
        (long.as_str(), "File name too long", "240 bytes"),
    ] {
        let made = daemon.python(&format!("os.close(os.open({name:?}, os.O_WRONLY | os.O_CREAT))")).wait();
        assert!(made.err.contains(errno), "{name}: {made:?}");
        assert!(daemon.log().contains(advice), "{name}: {}", daemon.log());
    }
    daemon.sh("mkdir folder").failed("Operation not permitted");
    assert!(daemon.end().success());
    let sent = wiki.since(mark).await;
    assert!(sent.iter().all(|line| !line.contains("action=upload")), "{sent:#?}");
}

#[tokio::test]
async fn what_keeps_a_wiki_from_being_mounted_is_said_in_words() {
    let wiki = Wiki::take(Which::Wide).await;
    let right = wiki.remote();
    let page = right.url.replace("api.php", "index.php");
    let nobody = "http://127.0.0.1:9/w/api.php".to_owned();
    for (remote, code, words) in [
        (Remote { password: "wrong".into(), ..right.clone() }, 2, "password"),
        (Remote { url: page, ..right.clone() }, 1, "api.php"),
        (Remote { url: nobody, ..right.clone() }, 1, "127.0.0.1:9"),
    ] {
        let mut daemon = Daemon::start(&remote, &[]);
        let status = daemon.wait();
        assert_eq!(status.code(), Some(code), "{}", daemon.log());
        let said = daemon.log();
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("uploadfs: ") && last.contains(words), "{said}");
        assert!(!said.contains(&right.password), "a secret in the log");
    }
    let _off = wiki.switch("uploaddisabled");
    let mut daemon = Daemon::start(&right, &[]);
    assert_eq!(daemon.wait().code(), Some(1));
    assert!(daemon.log().contains("uploads are switched off"), "{}", daemon.log());
}

#[tokio::test]
async fn a_server_that_is_gone_is_said_to_be_gone_and_one_that_comes_back_is_used() {
    let wiki = OwnWiki::start();
    let daemon = Daemon::mount(&wiki.remote(), &["--dir-cache", "0"]);
    daemon.sh("echo before > a.txt").ok();
    let mut writer = daemon.python(
        "with open('b.txt', 'wb', buffering=0) as f:
             f.write(b'1' * (3 << 20))
             pause()
             f.write(b'2' * (3 << 20))",
    );
    writer.until_paused();
    until("some of it on its way", || daemon.log().contains("put done"));
    wiki.manage("stop", &[]);
    assert_eq!(daemon.sh("ls").ok(), "A.txt\nB.txt\n", "what Python has listed is known");
    daemon.sh("echo x > c.txt").failed("No route to host");
    writer.go();
    wiki.manage("start", &["--verify", "no"]);
    // The writer's close waits for the server, which is back by now or soon.
    writer.wait().ok();
    let fresh = Daemon::mount(&wiki.remote(), &[]);
    assert_eq!(fresh.sh("ls; cat A.txt; wc -c < B.txt").ok(), "A.txt\nB.txt\nbefore\n6291456\n");
    drop(fresh);
    assert!(daemon.end().success());
}
