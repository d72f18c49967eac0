//! Other kinds of the same server: MariaDB, where writers meet that SQLite makes take turns, and MediaWiki 1.43, which
//! keeps the chunks of an assembly that dies. What counts is what the wiki itself says: every file once, with the bytes
//! that were written. Nothing here measures how fast it is.

use std::collections::HashSet;
use std::fs;

use bytes::Bytes;
use uploadfs::error::{Kind, Retry};
use uploadfs::path::RemotePath;
use uploadfs::service::{Part, Payload, Progress, Service, Sha1Digest, Spec};

use crate::support::daemon::Daemon;
use crate::support::program::{Running, until};
use crate::support::upload::{Upload, by_session, content, text, whole};
use crate::support::wiki::{Which, Wiki, steps};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// As many as a family of backup tools starts at once; the server has two PHP processes more.
const WRITERS: usize = 8;

/// Text that no other test and no other run has sent: equal contents are no new versions.
fn fresh(size: usize) -> Bytes {
    text(size, fastrand::u64(..))
}

fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

/// As the wiki spells it.
fn sha1(bytes: &[u8]) -> String {
    Sha1Digest::of(bytes).to_string()
}

/// The server, empty, and truly what the test is about.
async fn mariadb() -> Wiki {
    let wiki = Wiki::take(Which::MariaDb).await;
    wiki.empty().await;
    assert_eq!(wiki.siteinfo("dbtype"), "mysql");
    wiki
}

/// The same of MediaWiki 1.43, where there is one.
async fn release_143() -> Option<Wiki> {
    let wiki = Wiki::take_if_there(Which::Release143).await?;
    wiki.empty().await;
    let generator = wiki.siteinfo("generator");
    assert!(generator.starts_with("MediaWiki 1.43."), "{generator}");
    Some(wiki)
}

/// Every file is on the wiki, in one version, and another mount reads the same bytes.
fn arrived_once(wiki: &Wiki, files: &[(String, Bytes)]) {
    for (name, bytes) in files {
        assert_eq!(wiki.versions(name), [sha1(bytes)], "versions of {name}");
    }
    reads_back(wiki, files);
}

fn reads_back(wiki: &Wiki, files: &[(String, Bytes)]) {
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    for (name, bytes) in files {
        assert!(fs::read(daemon.dir().join(name)).unwrap() == *bytes, "{name} reads back as something else");
    }
    assert!(daemon.end().success());
}

// --- MariaDB --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn writers_that_meet_get_every_file_through_once() {
    let wiki = mariadb().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    // Two that go directly and one that streams, each of a size of its own.
    let sizes = |writer: usize| [1 + writer, 200 * KIB + writer, 3 * MIB + 256 * KIB * writer];
    let mut files = Vec::new();
    for writer in 0..WRITERS {
        for (number, size) in sizes(writer).into_iter().enumerate() {
            let (name, bytes) = (format!("Writer{writer}-{number}.txt"), fresh(size));
            fs::write(daemon.local(&name), &bytes).unwrap();
            files.push((name, bytes));
        }
    }
    let copy = |writer| format!("for n in 0 1 2; do cp $L/Writer{writer}-$n.txt . || exit 1; done");
    at_once(&daemon, copy);
    assert!(daemon.end().success());
    arrived_once(&wiki, &files);
    wiki.manage(&["clean", "--all"]);
}

/// All write the same bytes to one name through one mount: whoever opens it empties it for the others, and yet the wiki
/// never gets anything but the whole.
#[tokio::test]
async fn writers_of_the_same_bytes_to_one_name_make_one_version() {
    let wiki = mariadb().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let files = [("Small.txt".to_owned(), fresh(100 * KIB)), ("Streamed.txt".to_owned(), fresh(4 * MIB))];
    for (name, bytes) in &files {
        fs::write(daemon.local(name), bytes).unwrap();
    }
    // Not cp: it insists on making a file that was not there when it looked.
    at_once(&daemon, |_| "cat $L/Small.txt > Small.txt && cat $L/Streamed.txt > Streamed.txt".to_owned());
    assert!(daemon.end().success());
    arrived_once(&wiki, &files);
}

/// Each has its own bytes and writes them by one call over all that was there: any may be the last, but whatever is
/// published is what one of them wrote, and none twice.
#[tokio::test]
async fn writers_of_other_bytes_to_one_name_never_mix() {
    let wiki = mariadb().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let contents: Vec<Bytes> = (0..WRITERS).map(|_| fresh(100 * KIB)).collect();
    for (writer, bytes) in contents.iter().enumerate() {
        fs::write(daemon.local(&format!("own{writer}")), bytes).unwrap();
    }
    at_once(&daemon, |writer| format!("dd bs=100k if=$L/own{writer} of=shared.txt status=none"));
    assert!(daemon.end().success());
    let versions = wiki.versions("Shared.txt");
    let written: HashSet<String> = contents.iter().map(|bytes| sha1(bytes)).collect();
    let distinct: HashSet<String> = versions.iter().cloned().collect();
    assert!(!versions.is_empty() && distinct.is_subset(&written), "a mixture was published");
    assert_eq!(distinct.len(), versions.len(), "a version twice");
    let last = contents.into_iter().find(|bytes| sha1(bytes) == versions[0]).expect("it is one of them");
    reads_back(&wiki, &[("Shared.txt".to_owned(), last)]);
}

/// Two mounts know nothing of each other; the wiki refuses whoever comes second, for as long as it is busy.
#[tokio::test]
async fn two_mounts_that_write_one_name_both_get_through() {
    let wiki = mariadb().await;
    let daemons = [Daemon::mount(&wiki.remote(), &[]), Daemon::mount(&wiki.remote(), &[])];
    for round in 0..2 {
        let contents = [fresh(30 * KIB), fresh(2 * MIB)];
        let name = format!("Met{round}.txt");
        let start = |(daemon, bytes): (&Daemon, &Bytes)| {
            fs::write(daemon.local("own"), bytes).unwrap();
            daemon.shell(&format!("cp $L/own {name}"))
        };
        let running: Vec<Running> = daemons.iter().zip(&contents).map(start).collect();
        for writer in running {
            writer.wait().ok();
        }
        let mut versions = wiki.versions(&name);
        versions.sort();
        let mut written = contents.map(|bytes| sha1(&bytes));
        written.sort();
        assert_eq!(versions, written, "{name}");
    }
    for daemon in daemons {
        assert!(daemon.end().success());
    }
}

#[tokio::test]
async fn a_file_that_somebody_is_changing_is_waited_for() {
    let wiki = mariadb().await;
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    for (name, size) in [("direct.txt", 10 * KIB), ("streamed.txt", 3 * MIB)] {
        let bytes = fresh(size);
        fs::write(daemon.local(name), &bytes).unwrap();
        let mark = wiki.mark().await;
        let _busy = wiki.switch("backend-conflict-once");
        daemon.sh(&format!("cp $L/{name} .")).ok();
        let log = wiki.since(mark).await;
        let refused = log.iter().filter(|line| line.ends_with("lockmanager-fail-conflict")).count();
        assert_eq!((refused, steps(&log, "publish")), (1, 2), "{log:#?}");
        let published = name[..1].to_uppercase() + &name[1..];
        assert_eq!(wiki.versions(&published), [sha1(&bytes)]);
    }
    assert!(daemon.end().success());
}

/// MariaDB takes an identical chunk twice when both arrive at once, and the file is right all the same.
#[tokio::test]
async fn a_chunk_that_arrives_twice_at_once_counts_once() {
    let wiki = mariadb().await;
    let service = wiki.bot();
    for round in 0..3 {
        let (name, bytes) = (format!("Twice{round}.txt"), fresh(2 * MIB));
        let mut upload = Upload::begin(&service, &path(&name), &bytes).await.unwrap();
        let rest = Payload::from_bytes(bytes.clone(), 0);
        let first = upload.receipts[0].range.end;
        let half = Part { index: 1, payload: rest.slice(first..1 << 20), last: false };
        upload.parts = vec![Part { index: 2, payload: rest.slice(1 << 20..2 << 20), last: true }];
        let spec = upload.spec.clone();
        let (one, other) =
            tokio::join!(service.put(&spec, &upload.token, half.clone()), service.put(&spec, &upload.token, half));
        upload.receipts.push(one.unwrap());
        other.unwrap();
        while upload.put_next().await.unwrap() {}
        upload.finish(&bytes).await.unwrap();
        assert_eq!(wiki.versions(&name), [sha1(&bytes)]);
        assert!(content(&service, &path(&name)).await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn a_key_that_is_published_twice_at_once_is_published_once() {
    let wiki = mariadb().await;
    let service = wiki.bot();
    for round in 0..3 {
        let (name, bytes) = (format!("Once{round}.txt"), fresh(2 * MIB));
        let mut upload = Upload::begin(&service, &path(&name), &bytes).await.unwrap();
        while upload.put_next().await.unwrap() {}
        let sha1_of_all = Some(Sha1Digest::of(&bytes));
        let spec = Spec { size: Some(bytes.len() as u64), sha1: sha1_of_all, ..upload.spec.clone() };
        let publish = || service.finish(&spec, &upload.token, &upload.receipts);
        let (one, other) = tokio::join!(publish(), publish());
        assert!(one.is_ok() || other.is_ok(), "{one:?}, {other:?}");
        for error in [one, other].into_iter().filter_map(Result::err) {
            // Either the key was gone already, which may be anything; or the file was busy, which is definite.
            assert!(error.retry == Retry::AskFirst || error.kind == Kind::Busy, "{error}");
            let progress = service.probe(&spec, Some((&upload.token, &upload.receipts))).await.unwrap();
            assert!(matches!(progress, Progress::Finished(_)), "{progress:?}");
        }
        assert_eq!(wiki.versions(&name), [sha1(&bytes)]);
    }
}

// --- MediaWiki 1.43 -------------------------------------------------------------------------------------------------

#[tokio::test]
async fn release_1_43_is_mounted_and_used() {
    let Some(wiki) = release_143().await else { return };
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let mut files = Vec::new();
    for size in [1, KIB, 64 * KIB + 1, MIB + 1, 3 * MIB, 20 * MIB] {
        let (name, bytes) = (format!("Size{size}.txt"), fresh(size));
        fs::write(daemon.local(&name), &bytes).unwrap();
        daemon.sh(&format!("cp $L/{name} .")).ok();
        files.push((name, bytes));
    }
    arrived_once(&wiki, &files);

    // Over what is there, by both roads.
    let mut replaced = Vec::new();
    for (name, new) in [("Size1.txt", fresh(2 * MIB)), ("Size3145728.txt", fresh(2 * KIB))] {
        let (_, old) = files.iter().find(|(have, _)| have == name).expect("it was copied");
        fs::write(daemon.local("new"), &new).unwrap();
        daemon.sh(&format!("cp $L/new {name}")).ok();
        assert_eq!(wiki.versions(name), [sha1(&new), sha1(old)], "{name}");
        replaced.push((name.to_owned(), new));
    }
    reads_back(&wiki, &replaced);

    daemon.sh("rm Size1.txt Size1024.txt && mv Size65537.txt Moved.txt").ok();
    assert_eq!(daemon.sh("ls").ok(), "Moved.txt\nSize1048577.txt\nSize20971520.txt\nSize3145728.txt\n");
    assert_eq!(wiki.versions("Size1.txt"), [""; 0]);
    assert_eq!(wiki.versions("Moved.txt"), [sha1(&files[2].1)]);
    assert!(daemon.end().success());
}

/// The chunks of an assembly that dies are kept, so that only the last of them is sent again.
#[tokio::test]
async fn an_assembly_that_dies_on_release_1_43_is_resumed() {
    let Some(wiki) = release_143().await else { return };
    let daemon = Daemon::mount(&wiki.remote(), &[]);
    let bytes = fresh(5 * MIB);
    fs::write(daemon.local("Killed.txt"), &bytes).unwrap();
    let mark = wiki.mark().await;
    let kill = wiki.switch("kill-in-assembly");
    let writer = daemon.shell("cp $L/Killed.txt .");
    until("the assembly to die", || wiki.since_so_far(mark).iter().any(|line| line.contains(" 502 ")));
    let before = wiki.since(mark).await;
    drop(kill);
    writer.wait().ok();
    let log = wiki.since(mark).await;
    assert_eq!(steps(&log, "chunk"), steps(&before, "chunk"), "not from the beginning: {log:#?}");
    // Whoever is killed leaves no step in the log.
    assert_eq!((steps(&log, "last-chunk"), steps(&log, "publish")), (1, 1), "{log:#?}");
    assert!(daemon.end().success());
    arrived_once(&wiki, &[("Killed.txt".to_owned(), bytes)]);
}

#[tokio::test]
async fn both_roads_work_on_release_1_43_without_a_mount() {
    let Some(wiki) = release_143().await else { return };
    let service = wiki.bot();
    let (small, large) = (fresh(5 * KIB), fresh(3 * MIB));
    whole(&service, &path("whole.txt"), &small).await.unwrap();
    by_session(&service, &path("session.txt"), &large).await.unwrap();
    assert_eq!(content(&service, &path("Whole.txt")).await.unwrap(), small);
    assert!(content(&service, &path("Session.txt")).await.unwrap() == large);
}

// --- tools ----------------------------------------------------------------------------------------------------------

/// Runs the lines of all writers at once; all must succeed.
#[track_caller]
fn at_once(daemon: &Daemon, line: impl Fn(usize) -> String) {
    let writers: Vec<Running> = (0..WRITERS).map(|writer| daemon.shell(&line(writer))).collect();
    for writer in writers {
        writer.wait().ok();
    }
}
