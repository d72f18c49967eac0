//! Very many files that wait in a spool: the next mount finds them all, shows them, and goes on with them. How long that
//! takes is told and not judged.

use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use uploadfs::path::RemotePath;
use uploadfs::portal::onlyoffice::Generation;
use uploadfs::spool::{Fate, Info, Journal, Spool};

use super::is_full_run;
use super::place::Place;
use crate::support::daemon::{Daemon, entries};
use crate::support::office::quick_folder;
use crate::support::program::until;
use crate::support::proxy::{Fault, Gate, When};

/// Files in the full run, and in the quick one.
const FULL: usize = 100_000;
const QUICK: usize = 2000;
/// So many of them are seen to arrive.
const ARRIVE: usize = 50;

fn content(number: usize) -> String {
    format!("file number {number}\n")
}

/// What a daemon leaves that was told to close locally, and died before anything of it was uploaded.
fn leave(directory: &Path, count: usize) {
    let spool = Spool::open(directory).unwrap();
    for number in 0..count {
        let (id, content) = (spool.next_id(), content(number));
        fs::write(directory.join(format!("{id}.data")), &content).unwrap();
        let journal = Journal::new(spool.clone(), id);
        journal.begin(Vec::new()).unwrap();
        let size = content.len() as u64;
        let info = Info {
            remote: "remote".to_owned(),
            order: spool.next_order(),
            path: RemotePath::parse(&format!("f{number}")).unwrap(),
            fate: Fate::Closed,
            size,
            local: std::iter::once(0..size).collect(),
            base: None,
            modified: SystemTime::now(),
        };
        journal.store(&info).unwrap();
    }
}

#[test]
fn a_spool_with_very_many_files_is_gone_on_with() {
    let count = if is_full_run() { FULL } else { QUICK };
    // In memory: syncing so many entries would take longer than everything else.
    let home = quick_folder();
    let spool = home.path().join("spool");
    leave(&spool, count);
    assert_eq!(entries(&spool), count);

    let place = Place::office(Generation::G3);
    let (proxy, section) = place.proxied();
    let gate = Gate::new();
    proxy.add(Place::uploads(), When::Always, Fault::HangBefore(gate.clone()));
    let begun = Instant::now();
    let daemon = Daemon::mount_section(&section, &["--close", "local", "--spool", spool.to_str().unwrap()]);
    let mounted = begun.elapsed();
    let mounted_mib = daemon.peak_bytes() >> 20;
    assert_eq!(daemon.sh("ls | wc -l").ok().trim(), count.to_string());
    let listed = begun.elapsed();
    let last = count - 1;
    assert_eq!(daemon.sh(&format!("cat f{last}")).ok(), content(last));
    until("the first uploads to begin", || proxy.faults() > 0);
    let uploading = begun.elapsed();
    let peak_mib = daemon.peak_bytes() >> 20;
    println!(
        "{count} files in a spool: mounted after {mounted:?} with {mounted_mib} MiB, listed {listed:?}, uploading \
         {uploading:?} with {peak_mib} MiB"
    );
    proxy.heal();
    gate.open();
    until("some of them to arrive", || entries(&spool) <= count - ARRIVE);
    daemon.die();
    place.assert_clean();
}
