//! A person with a wiki: the real MediaWiki, the real daemon, real programs. What counts is what the wiki itself says of
//! size and SHA-1 after `cp` returned 0, and that another mount reads back the same bytes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use uploadfs::path::RemotePath;
use uploadfs::service::{Service, Sha1Digest};

use crate::support::daemon::Daemon;
use crate::support::program::until;
use crate::support::wiki::{Which, Wiki, steps};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the daemon may use beside the content it buffers, in bytes.
const BESIDE_CONTENT: u64 = 64 * MIB;

/// A file of `size` bytes that no two places of look alike, and its SHA-1.
fn make_file(path: &Path, size: u64, seed: u64) -> Sha1Digest {
    use sha1::Digest;
    let mut file = File::create(path).unwrap();
    let (mut hasher, mut state, mut left) = (sha1::Sha1::new(), seed | 1, size);
    let mut block = vec![0; MIB as usize];
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            // xorshift64: fast, and without a period that any chunk size would meet.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let bytes = &block[..left.min(MIB) as usize];
        hasher.update(bytes);
        file.write_all(bytes).unwrap();
        left -= bytes.len() as u64;
    }
    Sha1Digest(hasher.finalize().into())
}

/// What the wiki itself says of a file.
async fn on_the_wiki(wiki: &Wiki, name: &str) -> Option<(u64, Sha1Digest)> {
    let node = wiki.bot().stat(&RemotePath::parse(name).unwrap()).await.ok()?;
    Some((node.size, node.sha1.expect("a wiki knows the SHA-1")))
}

/// Copies files of these sizes in, asks the wiki, and compares through a fresh mount.
async fn copies_arrive(wiki: &Wiki, sizes: &[u64], arguments: &[&str]) {
    let daemon = Daemon::mount(&wiki.remote(), arguments);
    let mut names = Vec::new();
    for size in sizes {
        let name = format!("Size{size}.dat");
        let sha1 = make_file(&daemon.local(&name), *size, size + 77);
        let copied = daemon.sh(&format!("cp \"$L/{name}\" ."));
        // A copy of half a second on a fast machine may take its time on a busy one, but it says how it went.
        copied.ok();
        assert_eq!(on_the_wiki(wiki, &name).await, Some((*size, sha1)), "{name}");
        names.push(name);
    }
    let fresh = Daemon::mount(&wiki.remote(), arguments);
    for name in names {
        let (source, copy) = (daemon.local(&name), fresh.dir().join(&name));
        fresh.sh(&format!("cmp {source:?} {copy:?}")).ok();
        fs::remove_file(source).unwrap();
    }
    assert!(fresh.end().success());
    assert!(daemon.end().success());
}

const SMALL: [u64; 7] = [1, 1023, 1024, 1025, 65_535, 65_536, 65_537];

#[tokio::test]
async fn files_of_every_size_arrive_as_they_are() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    copies_arrive(&wiki, &SMALL, &[]).await;
    let chunk = [MIB - 1, MIB, MIB + 1, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1];
    copies_arrive(&wiki, &chunk, &[]).await;
    wiki.manage(&["clean", "--all"]);
}

#[tokio::test]
async fn files_arrive_within_the_limits_of_php() {
    let wiki = Wiki::take(Which::Php).await;
    wiki.empty().await;
    copies_arrive(&wiki, &SMALL, &[]).await;
    copies_arrive(&wiki, &[MIB, 2 * MIB, 2 * MIB + 1, 8 * MIB, 16 * MIB + 1, 20 * MIB], &[]).await;
    wiki.manage(&["clean", "--all"]);
}

/// nginx takes 1 MiB a request, and the wiki checks contents: random bytes would be refused now and then for looking
/// like something, so this is text.
#[tokio::test]
async fn files_arrive_within_the_limits_of_a_bare_server() {
    let wiki = Wiki::take(Which::Default).await;
    wiki.empty().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    for size in [1, KIB, 64 * KIB + 1, MIB - 1, MIB, MIB + 1, 5 * MIB, 20 * MIB] {
        let name = format!("Text{size}.txt");
        let line = b"The quick brown fox jumps over the lazy dog again and again.\n";
        let text: Vec<u8> = line.iter().copied().cycle().take(size as usize).collect();
        fs::write(daemon.local(&name), &text).unwrap();
        daemon.sh(&format!("cp \"$L/{name}\" . && cmp \"$L/{name}\" {name}")).ok();
        assert_eq!(on_the_wiki(&wiki, &name).await, Some((size, Sha1Digest::of(&text))), "{name}");
    }
    assert!(daemon.end().success());
    wiki.manage(&["clean", "--all"]);
}

/// The server assembles and publishes slower than `cp` writes: memory stays within its budget all the same.
#[tokio::test]
async fn large_files_arrive_in_bounded_memory() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    copies_arrive(&wiki, &[300 * MIB], &[]).await;
    wiki.manage(&["clean", "--all"]);
    let daemon = Daemon::mount(&wiki.remote(), &["--memory", "128M"]);
    let sha1 = make_file(&daemon.local("large.dat"), GIB, 4);
    // `cp` waits for the wiki to assemble and publish a gigabyte, longer than any other program here may take.
    let copied = std::process::Command::new("cp").arg(daemon.local("large.dat")).arg(daemon.dir()).status().unwrap();
    assert!(copied.success());
    assert_eq!(on_the_wiki(&wiki, "Large.dat").await, Some((GIB, sha1)));
    let peak = daemon.peak_bytes();
    assert!(peak < 128 * MIB + BESIDE_CONTENT, "{} MiB at the peak", peak / MIB);
    let fresh = Daemon::mount(&wiki.remote(), &[]);
    let (mut ours, mut theirs) =
        (File::open(daemon.local("large.dat")).unwrap(), File::open(fresh.dir().join("Large.dat")).unwrap());
    let (mut a, mut b) = (vec![0; MIB as usize], vec![0; MIB as usize]);
    for block in 0..GIB / MIB {
        ours.read_exact(&mut a).unwrap();
        theirs.read_exact(&mut b).unwrap();
        assert!(a == b, "MiB {block} differs");
    }
    drop(theirs);
    assert!(fresh.end().success());
    assert!(daemon.end().success());
    wiki.manage(&["clean", "--all"]);
}

/// The session opens on the first write, and chunks arrive while a slow writer is still at it.
#[tokio::test]
async fn a_slow_writer_is_uploaded_while_it_writes() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let mark = wiki.mark().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let mut writer = daemon.python(
        "with open('slow.dat', 'wb', buffering=0) as f:
             f.write(b'first bytes' * 1000)
             pause()
             f.write(b'x' * (2 << 20))
             pause()
             f.write(b'end')",
    );
    writer.until_paused();
    // Eleven kilobytes are less than a part; they leave because they have waited.
    let log = || fs::read_to_string(wiki.env("MW_ACCESS_LOG")).unwrap();
    let chunks = || steps(&log().lines().skip(mark).map(str::to_owned).collect::<Vec<_>>(), "chunk");
    until("the first chunk", || chunks() == 1);
    assert!(on_the_wiki(&wiki, "Slow.dat").await.is_none(), "nothing is published before close");
    writer.go();
    writer.until_paused();
    until("the second chunk", || chunks() == 2);
    writer.go();
    writer.wait().ok();
    let all = [b"first bytes".repeat(1000), vec![b'x'; 2 << 20], b"end".to_vec()].concat();
    assert_eq!(on_the_wiki(&wiki, "Slow.dat").await, Some((all.len() as u64, Sha1Digest::of(&all))));
    assert!(daemon.end().success());
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_is_taken_up_again() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let mark = wiki.mark().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let mut writer = daemon.python(
        "with open('long.dat', 'wb', buffering=0) as f:
             f.write(b'a' * (3 << 20))
             pause()
             f.write(b'b' * (3 << 20))",
    );
    writer.until_paused();
    let log = || fs::read_to_string(wiki.env("MW_ACCESS_LOG")).unwrap();
    let chunks = || steps(&log().lines().skip(mark).map(str::to_owned).collect::<Vec<_>>(), "chunk");
    until("a chunk", || chunks() >= 1);
    wiki.manage(&["expire-sessions"]);
    writer.go();
    writer.wait().ok();
    let all = [vec![b'a'; 3 << 20], vec![b'b'; 3 << 20]].concat();
    assert_eq!(on_the_wiki(&wiki, "Long.dat").await, Some((all.len() as u64, Sha1Digest::of(&all))));
    let lines = wiki.since(mark).await;
    assert_eq!(steps(&lines, "publish"), 1, "one version");
    assert!(daemon.end().success());
}

#[tokio::test]
async fn the_everyday_commands_work() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    daemon.sh("echo one > report.txt && echo two >> report.txt").ok();
    assert_eq!(daemon.sh("cat report.txt Report.txt").ok(), "one\ntwo\none\ntwo\n", "two spellings of one name");
    assert_eq!(daemon.sh("ls").ok(), "Report.txt\n", "listed once, as the wiki has it");
    daemon.sh("cp report.txt 'with blank.txt' && mv report.txt moved.txt").ok();
    assert_eq!(daemon.sh("ls").ok(), "Moved.txt\nWith_blank.txt\n");
    assert_eq!(on_the_wiki(&wiki, "Moved.txt").await, Some((8, Sha1Digest::of(b"one\ntwo\n"))));
    // The wiki does not rename what it does not recognise: mv copies.
    daemon
        .sh("head -c 3000000 /dev/urandom > raw.dat && cp raw.dat $L/raw && mv raw.dat new.dat && cmp new.dat $L/raw")
        .ok();
    assert_eq!(daemon.sh("ls").ok(), "Moved.txt\nNew.dat\nWith_blank.txt\n");
    // Onto a name that is taken.
    daemon.sh("mv with\\ blank.txt moved.txt && rm new.dat").ok();
    assert_eq!(daemon.sh("ls").ok(), "Moved.txt\n");
    daemon.sh("touch empty.txt && test -e empty.txt && test ! -s empty.txt && echo x > empty.txt").ok();
    assert_eq!(on_the_wiki(&wiki, "Empty.txt").await, Some((2, Sha1Digest::of(b"x\n"))));
    daemon.sh("getfattr --only-values -n user.uploadfs.url empty.txt | grep -q Empty.txt").ok();
    assert!(daemon.end().success());
}

#[tokio::test]
async fn looking_at_the_directory_again_and_again_is_cheap() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let daemon = Daemon::mount(&wiki.remote(), &["--dir-cache", "60s"]);
    daemon.sh("for i in 1 2 3 4 5; do echo $i > file$i.txt; done").ok();
    let mark = wiki.mark().await;
    for _ in 0..20 {
        daemon.sh("ls -l").ok();
    }
    let lines = wiki.since(mark).await;
    assert!(lines.len() <= 1, "one listing serves them all: {lines:#?}");
    assert!(daemon.end().success());
}

#[tokio::test]
async fn a_server_that_dies_while_it_assembles_costs_another_try() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    fs::write(daemon.local("big.dat"), vec![b'b'; 5 << 20]).unwrap();
    let _kill = wiki.switch("kill-in-assembly-once");
    let mark = wiki.mark().await;
    daemon.sh("cat < $L/big.dat > big.dat && cmp $L/big.dat big.dat").ok();
    let log = wiki.since(mark).await;
    // It died, was asked until it could not be at work any more, and had lost everything that it had confirmed.
    assert_eq!(log.iter().filter(|line| line.contains(" 502 ")).count(), 1, "{log:#?}");
    assert_eq!(steps(&log, "publish"), 1, "{log:#?}");
    let sha1 = Sha1Digest::of(&vec![b'b'; 5 << 20]);
    assert_eq!(on_the_wiki(&wiki, "Big.dat").await, Some((5 << 20, sha1)));
    assert!(daemon.end().success());
}

#[tokio::test]
async fn a_private_wiki_is_a_directory_like_any_other() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let _on = wiki.switch("img-auth");
    let daemon = Daemon::mount(&wiki.remote_of_user(), &[]);
    daemon.sh("seq 100000 > a.txt && seq 100000 | cmp - a.txt && cp a.txt b.txt && ls").ok();
    let other = Daemon::mount(&wiki.remote_of_user(), &[]);
    assert_eq!(other.sh("tail -n 1 A.txt; cmp A.txt B.txt && ls").ok(), "100000\nA.txt\nB.txt\n");
}

#[tokio::test]
async fn a_killed_copy_is_never_published() {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    daemon.sh("echo old > kept.dat").ok();
    for signal in ["INT", "KILL"] {
        let writer = daemon.shell("exec cat $P/pipe > kept.dat");
        // Held open: `cat` gets the end of the pipe only with the signal.
        let mut pipe = writer.open_pipe();
        pipe.write_all(&vec![b'n'; 5 << 20]).unwrap();
        until("some of it in the mount", || fs::metadata(daemon.dir().join("kept.dat")).unwrap().len() > 4);
        writer.send(signal);
        let ended = writer.wait();
        drop(pipe);
        assert!(ended.signal().is_some(), "{ended:?}");
        let state = daemon.sh("getfattr --only-values -n user.uploadfs.state kept.dat").ok();
        assert_eq!(state, "parked");
        assert_eq!(on_the_wiki(&wiki, "Kept.dat").await, Some((4, Sha1Digest::of(b"old\n"))), "after SIG{signal}");
    }
    daemon.sh("echo new > kept.dat").ok();
    assert_eq!(on_the_wiki(&wiki, "Kept.dat").await, Some((4, Sha1Digest::of(b"new\n"))));
    assert!(daemon.end().success());
}
