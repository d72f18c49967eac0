//! Death at every step. A process lives through a script of what programs do, and dies at step 0, 1, 2, ... of its disk
//! and its requests: killed, or by a power cut. The next one goes on with what it finds. Whatever a program was told is
//! true then, and no file is there twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::life::{Life, families, path, text, write};
use crate::file::{Close, OpenMode};
use crate::service::memory::{Memory, MemoryConfig};
use crate::spool::model::{End, Fate, Model};

/// Set for the full run: every step, instead of one in [`STRIDE`].
const FULL: &str = "UPLOADFS_TEST_FULL";
/// A number that shares no factor with the period of anything in the script.
const STRIDE: u64 = 7;

/// What programs were told, and what else may have become of a name.
#[derive(Default, Debug)]
struct Ledger {
    names: BTreeMap<&'static str, Name>,
    /// Bytes that a program was told to be on disk, of a file it did not close.
    synced: Option<Vec<u8>>,
}

#[derive(Default, Debug)]
struct Name {
    /// What the last call that returned 0 left: bytes, or nothing.
    acknowledged: Option<Vec<u8>>,
    /// What calls that did not return may have left.
    possible: Vec<Option<Vec<u8>>>,
    /// How many closes were begun.
    closes: u64,
}

impl Name {
    fn may_be(&self, found: Option<&[u8]>) -> bool {
        found == self.acknowledged.as_deref() || self.possible.iter().any(|possible| possible.as_deref() == found)
    }
}

/// Writes the ledger while the script goes on.
struct Script<'a> {
    life: &'a Life,
    ledger: &'a Mutex<Ledger>,
}

impl Script<'_> {
    fn note(&self, name: &'static str, change: impl FnOnce(&mut Name)) {
        change(self.ledger.lock().unwrap().names.entry(name).or_default());
    }

    async fn put(&self, name: &'static str, bytes: Vec<u8>, truncate: bool) {
        let before = self.ledger.lock().unwrap().names.get(name).and_then(|name| name.acknowledged.clone());
        let after = if truncate { bytes.clone() } else { [before.unwrap_or_default(), bytes.clone()].concat() };
        self.note(name, |name| {
            name.possible.push(Some(after.clone()));
            name.closes += 1;
        });
        if self.life.put(name, &bytes, truncate).await.is_ok() {
            self.acknowledge(name, Some(after));
        }
    }

    fn acknowledge(&self, name: &'static str, what: Option<Vec<u8>>) {
        // The dead are told nothing.
        if !self.life.fate.is_over() {
            self.note(name, |name| {
                name.acknowledged = what;
                name.possible.clear();
            });
        }
    }

    async fn rename(&self, from: &'static str, to: &'static str) {
        let (moved, closes) = {
            let ledger = self.ledger.lock().unwrap();
            (ledger.names[from].acknowledged.clone(), ledger.names[from].closes)
        };
        self.note(from, |name| name.possible.push(None));
        self.note(to, |name| {
            name.possible.push(moved.clone());
            name.closes += closes;
        });
        if self.life.rename(from, to).await.is_ok() {
            self.acknowledge(from, None);
            self.acknowledge(to, moved);
        }
    }

    async fn remove(&self, name: &'static str) {
        self.note(name, |name| name.possible.push(None));
        if self.life.remove(name).await.is_ok() {
            self.acknowledge(name, None);
        }
    }

    /// What the programs do.
    async fn run(&self) {
        self.put("a", text(30_000, 1), true).await;
        self.put("b", text(100, 2), true).await;
        self.put("a", text(20_000, 3), true).await;
        self.put("b", text(9_000, 4), false).await;
        self.put("b", text(300, 5), false).await;
        self.put("c", text(12_345, 6), true).await;
        self.rename("b", "d").await;
        self.put("e", text(7_000, 7), true).await;
        self.rename("e", "c").await;
        self.put("f", text(11_000, 8), true).await;
        self.remove("f").await;
        self.sync_and_write_on("g").await;
        // What waits arrives while the process still lives.
        if !self.life.fate.is_over() {
            self.life.uploads.end();
            self.life.uploads.drained().await;
        }
    }

    /// A database: it syncs, writes on, and never closes.
    async fn sync_and_write_on(&self, name: &'static str) {
        let Ok(file) = self.life.file(name).await else { return };
        let mode = OpenMode { read: false, write: true, truncate: true };
        let Ok(handle) = file.open(std::process::id(), mode).await else { return };
        let bytes = text(15_000, 9);
        if write(&file, &bytes).await.is_ok() && file.sync().await.is_ok() && !self.life.fate.is_over() {
            self.ledger.lock().unwrap().synced = Some(bytes);
        }
        let _ = write(&file, &text(5_000, 10)).await;
        std::mem::forget(handle);
    }
}

/// How one run goes.
#[derive(Clone, Copy, Debug)]
struct Plan {
    close: Close,
    steps: u64,
    end: End,
    /// When the process that takes over dies, too.
    second: Option<u64>,
}

/// Says in front of which plan a test failed.
struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was: {}", self.0);
        }
    }
}

/// Lives and dies by the plan, takes over, and compares; whether the script came to its end.
fn run(family: &str, config: &MemoryConfig, plan: Plan) -> bool {
    let _named = Named(format!("{family}, {plan:?}"));
    let memory = Arc::new(Memory::new(config.clone()));
    let (fate, ledger) = (Fate::after(plan.steps), Mutex::new(Ledger::default()));
    let life = Life::begin(&memory, Model::new(fate.clone()), fate, plan.close);
    life.live(async |life| Script { life, ledger: &ledger }.run().await);
    let survived = !life.fate.is_over();
    let mut disk = life.end(plan.end, Fate::after(plan.second.unwrap_or(u64::MAX)));
    if let Some(steps) = plan.second {
        let fate = Fate::after(steps);
        let life = Life::begin(&memory, disk.next_life(End::Killed, fate.clone()), fate, plan.close);
        life.drain();
        disk = life.end(plan.end, Fate::after(u64::MAX));
    }
    let fate = Fate::after(u64::MAX);
    let orphans = memory.open_sessions().len();
    let life = Life::begin(&memory, disk.next_life(End::Killed, fate.clone()), fate, plan.close);
    life.drain();
    // Those of files that nobody had saved are left to the service's own clean-up; no other one is.
    assert!(memory.open_sessions().len() <= orphans, "{family}, {plan:?}: a session is left over");
    compare(&format!("{family}, {plan:?}"), &memory, &life, &ledger.into_inner().unwrap());
    life.end(End::Killed, Fate::after(0));
    survived
}

fn compare(at: &str, memory: &Memory, life: &Life, ledger: &Ledger) {
    assert_eq!(memory.violations(), Vec::<String>::new(), "{at}");
    for (name, expected) in &ledger.names {
        let content = memory.content(&path(name));
        let found = content.as_deref();
        let lengths: Vec<_> = expected.possible.iter().map(|bytes| bytes.as_ref().map(Vec::len)).collect();
        assert!(
            expected.may_be(found),
            "{at}: {name} has {:?} bytes; acknowledged are {:?}, possible {lengths:?}",
            found.map(<[u8]>::len),
            expected.acknowledged.as_ref().map(Vec::len),
        );
        let versions = memory.file(&path(name)).map_or(0, |file| file.versions);
        assert!(versions <= expected.closes, "{at}: {name} was made {versions} times of {} closes", expected.closes);
    }
    let unsettled = life.unsettled();
    for (name, bytes) in &unsettled {
        let complete = ledger.names.get(name.as_str()).is_some_and(|name| name.may_be(Some(bytes)));
        let synced = ledger.synced.as_ref().is_some_and(|synced| bytes.starts_with(synced));
        // What a killed program left of a file is at most the beginning of what it wrote.
        assert!(complete || synced || name == "g", "{at}: {name} is kept with {} other bytes", bytes.len());
    }
    if let Some(synced) = &ledger.synced {
        let kept = unsettled.iter().find(|(name, _)| name == "g");
        assert!(
            kept.is_some_and(|(_, bytes)| bytes.starts_with(synced)),
            "{at}: what was synced is lost: {unsettled:?}"
        );
        assert!(memory.file(&path("g")).is_none(), "{at}: nobody has closed it");
    }
    // What the service has leaves nothing behind.
    let entries = life.disk.listing().iter().filter(|name| name.ends_with(".info")).count();
    assert_eq!(entries, unsettled.len(), "{at}: {:?}", life.disk.listing());
}

/// All steps of one way to die, or some of them; how many deaths.
fn every_step(close: Close, end: End, second: Option<u64>) -> u64 {
    let full = std::env::var_os(FULL).is_some();
    let mut deaths = 0;
    for (number, (family, config)) in families().into_iter().enumerate() {
        let (first, stride) = if full { (0, 1) } else { (number as u64, STRIDE) };
        let mut steps = first;
        while !run(family, &config, Plan { close, steps, end, second }) {
            deaths += 1;
            steps += stride;
        }
    }
    println!("{deaths} deaths: {close:?} close, {end:?}, second life {second:?}");
    deaths
}

#[test]
fn a_killed_process_has_told_the_truth_of_files_it_saved() {
    assert!(every_step(Close::Local, End::Killed, None) > 50);
}

#[test]
fn a_power_cut_takes_nothing_that_was_saved() {
    assert!(every_step(Close::Local, End::PowerCut(0), None) > 50);
    assert!(every_step(Close::Local, End::PowerCut(5), None) > 50);
}

#[test]
fn a_killed_process_has_told_the_truth_of_files_it_uploaded() {
    assert!(every_step(Close::Remote, End::Killed, None) > 50);
    assert!(every_step(Close::Remote, End::PowerCut(0), None) > 50);
}

#[test]
fn whoever_takes_over_may_die_as_well() {
    for second in [1, 3, 8, 14, 25] {
        assert!(every_step(Close::Local, End::PowerCut(second), Some(second)) > 50);
    }
}
