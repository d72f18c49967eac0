//! What programs do in one life, what they were told, and what must be true of it afterwards.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use super::life::{Life, path, text, write};
use crate::file::OpenMode;
use crate::service::memory::Memory;

/// So many milliseconds are enough for everything here to arrive, unless something fails.
const WAITS: u32 = 100;

/// Whether programs wait for what they did before to arrive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    Calm,
    Hurried,
}

/// What programs were told, and what else may have become of a name.
#[derive(Default, Debug)]
pub(super) struct Ledger {
    names: BTreeMap<&'static str, Name>,
    /// Bytes that a program was told to be on disk, of a file it did not close.
    synced: Option<Vec<u8>>,
}

#[derive(Default, Debug)]
struct Name {
    /// What the last call that returned 0 left: bytes, or nothing; several, where calls before it had failed.
    acknowledged: Vec<Option<Vec<u8>>>,
    /// What calls that did not return 0 may have left.
    possible: Vec<Option<Vec<u8>>>,
    /// What calls before the last one had left. The service's version, which may be an older one, and the one that waits are
    /// renamed one after the other; an end in between leaves them under two names.
    earlier: Vec<Option<Vec<u8>>>,
    /// How many closes were begun.
    closes: u64,
}

impl Name {
    fn may_be(&self, found: Option<&[u8]>) -> bool {
        self.all().any(|possible| possible.as_deref() == found)
    }

    fn all(&self) -> impl Iterator<Item = &Option<Vec<u8>>> {
        let nothing = self.acknowledged.is_empty().then_some(&None);
        nothing.into_iter().chain(&self.acknowledged).chain(&self.possible)
    }

    /// The lengths of what is right, for messages.
    fn lengths(&self) -> Vec<Option<usize>> {
        self.all().map(|bytes| bytes.as_ref().map(Vec::len)).collect()
    }
}

/// Writes the ledger while the script goes on.
pub(super) struct Script<'a> {
    pub(super) life: &'a Life,
    pub(super) ledger: &'a Mutex<Ledger>,
}

impl Script<'_> {
    fn note(&self, name: &'static str, change: impl FnOnce(&mut Name)) {
        change(self.ledger.lock().unwrap().names.entry(name).or_default());
    }

    fn may_be(&self, name: &'static str) -> Vec<Option<Vec<u8>>> {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.names.entry(name).or_default().all().cloned().collect()
    }

    async fn put(&self, name: &'static str, bytes: Vec<u8>, truncate: bool) {
        let before = if truncate { vec![None] } else { self.may_be(name) };
        let behind = |before: Option<Vec<u8>>| Some([before.unwrap_or_default(), bytes.clone()].concat());
        let after: Vec<_> = before.into_iter().map(behind).collect();
        self.note(name, |name| {
            name.possible.extend(after.clone());
            name.closes += 1;
        });
        tracing::debug!(name, bytes = bytes.len(), truncate, "put");
        if self.life.put(name, &bytes, truncate).await.is_ok() {
            self.acknowledge(name, after);
        }
    }

    fn acknowledge(&self, name: &'static str, what: Vec<Option<Vec<u8>>>) {
        // The dead are told nothing.
        if !self.life.fate.is_over() {
            self.note(name, |name| {
                name.earlier.extend(std::mem::replace(&mut name.acknowledged, what));
                name.possible.clear();
            });
        }
    }

    async fn rename(&self, from: &'static str, to: &'static str) {
        tracing::debug!(from, to, "rename");
        let mut moved = self.may_be(from);
        if self.ledger.lock().unwrap().names[from].possible.iter().any(Option::is_some) {
            // A file whose close failed is parked, and what it replaces stays until somebody publishes it.
            moved.extend(self.may_be(to));
        }
        let (closes, older) = {
            let ledger = self.ledger.lock().unwrap();
            (ledger.names[from].closes, ledger.names[from].earlier.clone())
        };
        self.note(from, |name| {
            name.possible.push(None);
            name.possible.extend(older.clone());
        });
        self.note(to, |name| {
            name.possible.extend(moved.clone());
            name.possible.extend(older);
            name.closes += closes;
        });
        if self.life.rename(from, to).await.is_ok() {
            self.acknowledge(from, vec![None]);
            self.acknowledge(to, moved);
        }
    }

    async fn remove(&self, name: &'static str) {
        self.note(name, |name| name.possible.push(None));
        if self.life.remove(name).await.is_ok() {
            self.acknowledge(name, vec![None]);
        }
    }

    /// What the programs do.
    pub(super) async fn run(&self, pace: Pace) {
        match pace {
            Pace::Calm => self.run_calmly().await,
            Pace::Hurried => self.run_hurriedly().await,
        }
    }

    /// Files are changed, renamed and removed while they wait.
    async fn run_hurriedly(&self) {
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
        self.arrived().await;
    }

    async fn run_calmly(&self) {
        self.put("a", text(30_000, 1), true).await;
        self.put("b", text(100, 2), true).await;
        self.put("c", text(12_345, 6), true).await;
        self.arrived().await;
        self.put("a", text(20_000, 3), true).await;
        self.put("b", text(9_000, 4), false).await;
        self.arrived().await;
        self.rename("b", "d").await;
        self.put("e", text(7_000, 7), true).await;
        self.put("f", text(11_000, 8), true).await;
        self.arrived().await;
        self.remove("f").await;
        self.sync_and_write_on("g").await;
        // What waits arrives while the process still lives.
        self.arrived().await;
    }

    /// Waits until the service has everything, or for a while where something keeps it from that.
    async fn arrived(&self) {
        for _ in 0..WAITS {
            let waits = self.life.tree.unsettled().iter().any(|(path, _)| path.as_str() != "g");
            if !waits || self.life.fate.is_over() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
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

/// Compares what is there with what programs were told.
///
/// `parked`: the service refused something for good, so that a file may be kept here instead.
pub(super) fn compare(at: &str, memory: &Memory, life: &Life, ledger: &Ledger, parked: bool) {
    assert_eq!(memory.violations(), Vec::<String>::new(), "{at}");
    for (name, expected) in &ledger.names {
        let content = memory.content(&path(name));
        let found = content.as_deref();
        let (len, right) = (found.map(<[u8]>::len), expected.lengths());
        let all = || ledger.names.keys().map(|name| (*name, memory.content(&path(name)).map(|bytes| bytes.len())));
        let here = || life.unsettled().into_iter().map(|(name, bytes)| (name, bytes.len()));
        assert!(
            expected.may_be(found) || (parked && here().any(|(here, _)| here == **name)),
            "{at}: {name} has {len:?} bytes, and {right:?} are right; service {:?}, mount {:?}",
            all().collect::<Vec<_>>(),
            life.tree
                .unsettled()
                .iter()
                .map(|(name, file)| (name.clone(), file.size(), file.health()))
                .collect::<Vec<_>>(),
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

/// Says in which run a test failed.
pub(super) struct Named(pub(super) String);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was: {}", self.0);
        }
    }
}
