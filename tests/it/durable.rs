//! What outlives the process: the real daemon in front of a service, killed with SIGKILL at each of its requests
//! (`deaths`) and while programs write (`writing`), and what the next one makes of it; a disk that is full (`full`), a
//! spool with very many files (`many`), and a service that is away (`away`). (The same at each step of the disk is in
//! `src/tree/tests/crash.rs`.)

mod away;
mod deaths;
mod full;
mod many;
mod place;
mod writing;

use std::fs;

use uploadfs::portal::onlyoffice::Generation;

use self::place::Place;
use super::support::daemon::Daemon;
use super::support::program::until;
use super::support::proxy::{Fault, Gate, When};
use super::support::upload::text;

/// Set for the full run: every moment to die at, and a hundred thousand files.
const FULL: &str = "FULL_RUN";

fn is_full_run() -> bool {
    std::env::var_os(FULL).is_some()
}

/// The most parts that any of the services takes at once.
const PARTS_AT_ONCE: usize = 8;

#[test]
fn what_was_synced_survives_and_is_parked() {
    let place = Place::office(Generation::G3);
    let daemon = Daemon::mount_section(place.direct(), &[]);
    let program = "
f = os.open('f', os.O_WRONLY | os.O_CREAT)
os.write(f, b'synced')
os.fsync(f)
pause()";
    let mut writer = daemon.python(program);
    writer.until_paused();
    let daemon = daemon.die();
    drop(writer);
    let daemon = daemon.mount_again(place.direct(), &[]);
    assert_eq!(daemon.sh("cat f").ok(), "synced");
    let attribute = |name: &str| daemon.sh(&format!("getfattr --only-values -n user.uploadfs.{name} f")).ok();
    assert_eq!(attribute("state"), "parked");
    assert!(attribute("error").contains("never closed it"), "{}", attribute("error"));
    assert_eq!(place.versions("f"), 0, "nobody publishes half a file");
    // Whoever writes it anew makes it a file like any other.
    daemon.sh("echo new > f").ok();
    assert_eq!(attribute("state"), "remote");
    assert_eq!((daemon.entries(), place.versions("f")), (0, 1));
}

#[test]
fn a_half_sent_upload_goes_on() {
    for place in [Place::office(Generation::G3), Place::yandex()] {
        let (proxy, section) = place.proxied();
        let daemon = Daemon::mount_section(&section, &["--close", "local", "--size-promise", "off"]);
        let size = place.sizes[0];
        fs::write(daemon.local("f"), text(size, 1)).unwrap();
        let gate = Gate::new();
        // The session, and one part; of the others nothing arrives.
        proxy.add(Place::uploads(), When::From(3), Fault::HangBefore(gate.clone()));
        daemon.sh("cp $L/f f").ok();
        until("the upload to stand still", || proxy.faults() > 0);
        until("the first part to be confirmed", || proxy.count(Place::uploads()) >= 3);
        let before = proxy.count(Place::uploads()) - proxy.faults();
        let daemon = daemon.die();
        drop(proxy);
        let (proxy, section) = place.proxied();
        let daemon = daemon.mount_again(&section, &["--close", "local"]);
        until("the upload to go on", || daemon.entries() == 0);
        let (with, without) = (before + proxy.count(Place::uploads()), whole_upload(&place, size));
        // What was under way at the end arrives again; at most so many parts are at once.
        assert!(with <= without + PARTS_AT_ONCE, "{}: {with} requests in two lives, {without} in one", place.name);
        daemon.sh("cmp $L/f f").ok();
        assert_eq!(place.versions("f"), 1);
    }
}

/// How many requests an upload takes that nothing disturbs.
fn whole_upload(place: &Place, size: usize) -> usize {
    let (proxy, section) = place.proxied();
    let daemon = Daemon::mount_section(&section, &["--size-promise", "off"]);
    fs::write(daemon.local("g"), text(size, 1)).unwrap();
    daemon.sh("cp $L/g g").ok();
    proxy.count(Place::uploads())
}

#[test]
fn a_failed_close_leaves_the_file_for_the_next_mount() {
    let place = Place::office(Generation::G3);
    let (proxy, section) = place.proxied();
    let daemon = Daemon::mount_section(&section, &[]);
    let bytes = text(700_000, 1);
    fs::write(daemon.local("f"), &bytes).unwrap();
    proxy.add(Place::uploads(), When::From(1), Fault::DropBefore(super::support::proxy::End::Reset));
    let copied = daemon.sh("cp $L/f f");
    copied.failed("cp");
    assert_eq!(daemon.entries(), 1);
    let daemon = daemon.die().mount_again(place.direct(), &[]);
    assert_eq!(daemon.sh("getfattr --only-values -n user.uploadfs.state f").ok(), "parked");
    daemon.sh("cmp $L/f f").ok();
    assert_eq!(place.versions("f"), 0, "its program was told that it is not there");
}

#[test]
fn a_mount_that_ends_in_mid_upload_leaves_the_rest_to_the_next() {
    for how in ["kill -TERM $PID", "umount $D", "umount -l $D", "fusermount3 -u $D"] {
        let place = Place::office(Generation::G3);
        let (proxy, section) = place.proxied();
        let daemon = Daemon::mount_section(&section, &["--close", "local", "--drain", "1s"]);
        let gate = Gate::new();
        proxy.add(Place::uploads(), When::From(2), Fault::HangBefore(gate.clone()));
        for name in ["a", "b", "c"] {
            fs::write(daemon.local(name), text(300_000, u64::from(name.as_bytes()[0]))).unwrap();
            daemon.sh(&format!("cp $L/{name} .")).ok();
        }
        let (daemon, log) = daemon.end_by(how);
        assert!(log.contains("3 files") && log.contains("the next mount"), "{how}: {log}");
        drop(proxy);
        let daemon = daemon.mount_again(place.direct(), &["--close", "local"]);
        until("the rest to arrive", || daemon.entries() == 0);
        for name in ["a", "b", "c"] {
            daemon.sh(&format!("cmp $L/{name} {name}")).ok();
            assert_eq!(place.versions(name), 1, "{how}");
        }
    }
}

#[test]
fn two_daemons_do_not_share_a_spool_and_one_remote_is_not_taken_for_another() {
    let place = Place::office(Generation::G3);
    let (proxy, section) = place.proxied();
    let daemon = Daemon::mount_section(&section, &["--close", "local"]);
    proxy.add(Place::uploads(), When::From(1), Fault::HangBefore(Gate::new()));
    daemon.sh("echo text > f").ok();
    let daemon = daemon.die();
    let refused = daemon.rival("memory");
    assert!(refused.contains("holds 1 files for the remote \"remote\""), "{refused}");
    drop(proxy);
    let daemon = daemon.mount_again(place.direct(), &[]);
    until("the file to arrive", || daemon.entries() == 0);
    let refused = daemon.rival("remote");
    assert!(refused.contains("another daemon uses the spool"), "{refused}");
}
