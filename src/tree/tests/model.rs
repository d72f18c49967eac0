//! Random sequences of what programs do, what other clients do and what becomes of the process, on everything between FUSE
//! and the service, against the plainest model of a file system there is ([`reference`]).

mod reference;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use self::reference::{Mode, Reference};
use super::life::{Life, path};
use crate::error::Result;
use crate::file::{Close, File, Handle, Health, OpenMode};
use crate::service::memory::{Memory, MemoryConfig};
use crate::service::{Payload, Service, Spec};
use crate::spool::model::{End, Fate, Model};
use crate::tree::change::{At, IfExists};
use crate::tree::{Ino, Overrides, ROOT, Tree};

/// Set for the full run: so many sequences for each service and each way to close.
const FULL: (&str, u32) = ("FULL_RUN", 12_500);
/// Sequences otherwise.
const QUICK: u32 = 250;

/// The names that files may have, some of them in directories that may not be there.
const NAMES: [&str; 6] = ["a", "b", "c", "d/a", "d/b", "e/a"];
const DIRECTORIES: [&str; 2] = ["d", "e"];
/// Descriptors.
const SLOTS: usize = 4;
/// Where writes begin at most, and how long they are: some parts, some chunks.
const AT_MAX: u64 = 20_000;
const LEN_MAX: usize = 9_000;

/// No thread takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
enum Op {
    Open(usize, &'static str, Mode),
    /// At this place, or, for a descriptor that appends, at the end.
    Write(usize, u64, usize),
    Resize(usize, u64),
    Read(usize, u64, u64),
    Sync(usize),
    /// A copy of the descriptor is closed.
    Flush(usize),
    Close(usize),
    Rename(&'static str, &'static str, IfExists),
    Unlink(&'static str),
    MakeDirectory(&'static str),
    RemoveDirectory(&'static str),
    RenameDirectory(&'static str, &'static str),
    Look(&'static str),
    List(&'static str),
    WriteElsewhere(&'static str, usize),
    RemoveElsewhere(&'static str),
    /// Everything waits until the service has what it can get.
    Arrive,
    /// The process is killed, or the power goes; the next one goes on.
    Die(End),
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn directory() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&DIRECTORIES[..])
}

fn op() -> impl Strategy<Value = Op> {
    let slot = 0..SLOTS;
    let modes = vec![Mode::Read, Mode::Write, Mode::Update, Mode::Append, Mode::Truncate];
    prop_oneof![
        10 => (slot.clone(), name(), prop::sample::select(modes)).prop_map(|(slot, name, mode)| Op::Open(slot, name, mode)),
        12 => (slot.clone(), 0..AT_MAX, 1..LEN_MAX).prop_map(|(slot, at, len)| Op::Write(slot, at, len)),
        2 => (slot.clone(), 0..AT_MAX).prop_map(|(slot, size)| Op::Resize(slot, size)),
        4 => (slot.clone(), 0..AT_MAX, 1..AT_MAX).prop_map(|(slot, at, len)| Op::Read(slot, at, len)),
        1 => slot.clone().prop_map(Op::Sync),
        1 => slot.clone().prop_map(Op::Flush),
        8 => slot.prop_map(Op::Close),
        3 => (name(), name(), prop::bool::weighted(0.2)).prop_map(|(from, to, refuse)| {
            Op::Rename(from, to, if refuse { IfExists::Refuse } else { IfExists::Accept })
        }),
        3 => name().prop_map(Op::Unlink),
        3 => directory().prop_map(Op::MakeDirectory),
        1 => directory().prop_map(Op::RemoveDirectory),
        1 => (directory(), directory()).prop_map(|(from, to)| Op::RenameDirectory(from, to)),
        3 => name().prop_map(Op::Look),
        1 => prop::sample::select(vec!["", "d", "e"]).prop_map(Op::List),
        2 => (name(), 1..6_000usize).prop_map(|(name, len)| Op::WriteElsewhere(name, len)),
        1 => name().prop_map(Op::RemoveElsewhere),
        1 => Just(Op::Arrive),
        1 => prop::sample::select(vec![End::Killed, End::PowerCut(1)]).prop_map(Op::Die),
    ]
}

/// A descriptor.
struct Slot {
    file: Arc<File>,
    handle: Arc<Handle>,
    inode: usize,
    mode: Mode,
}

struct World {
    memory: Arc<Memory>,
    close: Close,
    life: Option<Life>,
    reference: Reference,
    slots: [Option<Slot>; SLOTS],
    /// No two writes leave the same bytes.
    stamp: u8,
}

impl World {
    fn new(config: MemoryConfig, close: Close) -> World {
        let (memory, fate) = (Arc::new(Memory::new(config)), Fate::after(u64::MAX));
        let life = Some(Life::begin(&memory, Model::new(fate.clone()), fate, close));
        World { memory, close, life, reference: Reference::default(), slots: [const { None }; SLOTS], stamp: 0 }
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("it lives")
    }

    fn live<T>(&self, work: impl AsyncFnOnce(&Life) -> T) -> T {
        self.life().live(work).expect("it lives on")
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.stamp = self.stamp.wrapping_add(1);
        super::life::text(len, self.stamp)
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Open(slot, name, mode) => {
                self.close_slot(slot);
                self.open(slot, name, mode);
            }
            Op::Write(slot, at, len) => self.write(slot, at, len),
            Op::Resize(slot, size) => {
                let Some(Slot { file, inode, .. }) = self.slots[slot].as_ref().filter(|slot| slot.mode.writes()) else {
                    return;
                };
                self.live(async |_| file.truncate(size).await).unwrap();
                self.reference.resize(*inode, size);
            }
            Op::Read(slot, at, len) => {
                let Some(Slot { file, inode, .. }) = &self.slots[slot] else { return };
                let found = self.live(async |_| file.read(at, len).await).unwrap();
                assert_eq!(found, self.reference.read(*inode, at, len), "{len} bytes at {at}");
            }
            Op::Sync(slot) => {
                let Some(Slot { file, inode, .. }) = self.slots[slot].as_ref().filter(|slot| slot.mode.writes()) else {
                    return;
                };
                self.live(async |_| file.sync().await).unwrap();
                self.reference.sync(*inode);
            }
            Op::Flush(slot) => {
                let Some(Slot { file, handle, inode, .. }) = &self.slots[slot] else { return };
                self.live(async |_| flush(file, handle).await).unwrap();
                self.reference.flush(*inode, handle.is_writable());
            }
            Op::Close(slot) => self.close_slot(slot),
            Op::Rename(from, to, if_exists) => self.rename(from, to, if_exists),
            Op::Unlink(name) => {
                let told = self.live(async |life| life.tree.unlink(at(&life.tree, name).await?.at()).await);
                assert_eq!(told.map_err(|error| error.kind), self.reference.unlink(name), "{name}");
            }
            Op::MakeDirectory(name) => {
                let made = async |life: &Life| life.tree.mkdir(At { parent: ROOT, name }, Overrides::default()).await;
                let told = self.live(made).map(drop);
                assert_eq!(told.map_err(|error| error.kind), self.reference.make_directory(name), "{name}");
            }
            Op::RemoveDirectory(name) => {
                let told = self.live(async |life| life.tree.rmdir(At { parent: ROOT, name }).await);
                assert_eq!(told.map_err(|error| error.kind), self.reference.remove_directory(name), "{name}");
            }
            Op::RenameDirectory(from, to) => {
                let (source, target) = (At { parent: ROOT, name: from }, At { parent: ROOT, name: to });
                let told = self.live(async |life| life.tree.rename(source, target, IfExists::Accept).await);
                assert_eq!(told.map_err(|error| error.kind), self.reference.rename_directory(from, to), "{from} {to}");
            }
            Op::Look(name) => self.look(name),
            Op::List(directory) => self.list(directory),
            Op::WriteElsewhere(name, len) => self.write_elsewhere(name, len),
            Op::RemoveElsewhere(name) => self.remove_elsewhere(name),
            Op::Arrive => self.life().arrive(),
            Op::Die(end) => self.die(end),
        }
    }

    fn open(&mut self, slot: usize, name: &'static str, mode: Mode) {
        let opened = self.live(async |life| open(&life.tree, name, mode).await);
        let expected = self.reference.open(name, mode);
        match (opened, expected) {
            (Ok((file, handle)), Ok(inode)) => {
                self.slots[slot] = Some(Slot { file, handle: Arc::new(handle), inode, mode });
            }
            (told, expected) => {
                assert_eq!(told.map(drop).map_err(|error| error.kind), expected.map(drop), "{name} {mode:?}");
            }
        }
    }

    fn write(&mut self, slot: usize, at: u64, len: usize) {
        let bytes = self.bytes(len);
        let Some(Slot { file, inode, mode, .. }) = self.slots[slot].as_ref().filter(|slot| slot.mode.writes()) else {
            return;
        };
        let place = (*mode != Mode::Append).then_some(at);
        let written = self.live(async |_| {
            let tid = std::process::id();
            let taken = file.write_now(tid, place, &bytes)?;
            let rest = bytes::Bytes::copy_from_slice(&bytes[taken..]);
            file.write_rest(tid, place.map(|at| at + taken as u64), rest).await
        });
        written.unwrap();
        self.reference.write(*inode, place, &bytes);
    }

    fn close_slot(&mut self, slot: usize) {
        let Some(Slot { file, handle, inode, mode }) = self.slots[slot].take() else { return };
        let told = self.live(async |_| {
            let told = flush(&file, &handle).await;
            file.release(handle).await;
            told
        });
        told.unwrap();
        self.reference.close(inode, mode);
        self.check_committed(inode);
    }

    /// What a close was answered 0 for is on the service by then, or, with a local close, on its way.
    fn check_committed(&self, inode: usize) {
        let Some((name, Some(content))) = self.reference.committed(inode) else { return };
        if self.close == Close::Remote {
            assert!(self.memory.content(&path(&name)).is_some_and(|there| there == content), "{name} is not there");
        }
    }

    fn rename(&mut self, from: &'static str, to: &'static str, if_exists: IfExists) {
        if self.reference.replaces_unsaved(from, to) {
            // What becomes of the old version when the process dies depends on whether it had arrived.
            self.life().arrive();
        }
        let told = self.live(async |life| {
            let (from, to) = (at(&life.tree, from).await?, at(&life.tree, to).await?);
            life.tree.rename(from.at(), to.at(), if_exists).await
        });
        let expected = self.reference.rename(from, to, if_exists);
        assert_eq!(told.map_err(|error| error.kind), expected, "{from} {to} {if_exists:?}");
    }

    fn look(&self, name: &'static str) {
        let found = self.live(async |life| {
            let file = open(&life.tree, name, Mode::Read).await;
            let Ok((file, handle)) = file else { return file.map(|_| Vec::new()) };
            let bytes = file.read(0, file.size()).await;
            file.release(Arc::new(handle)).await;
            bytes
        });
        assert_eq!(found.map_err(|error| error.kind), self.reference.look(name), "{name}");
    }

    fn list(&self, directory: &'static str) {
        let found = self.live(async |life| {
            let ino = match directory {
                "" => ROOT,
                name => life.tree.lookup(ROOT, name).await?.ino,
            };
            let names = life.tree.list(ino).await?;
            Ok::<_, crate::error::Error>(names.iter().map(|line| line.name.clone()).collect::<Vec<_>>())
        });
        assert_eq!(found.map_err(|error| error.kind), self.reference.list(directory), "{directory}");
    }

    fn write_elsewhere(&mut self, name: &'static str, len: usize) {
        self.life().arrive();
        let bytes = self.bytes(len);
        // A name that was just missed may be missed for a second more: that is another test.
        if self.reference.write_elsewhere(name, &bytes) {
            let spec = Spec { path: path(name), size: Some(len as u64), sha1: None, replaces: None };
            let payload = Payload::from_bytes(bytes.into(), 0);
            self.live(async |_| self.memory.put_whole(&spec, payload).await).unwrap();
        }
    }

    fn remove_elsewhere(&mut self, name: &'static str) {
        self.life().arrive();
        if self.reference.remove_elsewhere(name) {
            let path = path(name);
            let removed = async |_: &Life| self.memory.remove(&path, &self.memory.stat(&path).await?).await;
            self.live(removed).unwrap();
        }
    }

    fn die(&mut self, end: End) {
        // Descriptors die with their programs.
        self.slots.iter_mut().for_each(|slot| std::mem::forget(slot.take()));
        let fate = Fate::after(u64::MAX);
        let disk = self.life.take().expect("it lives").end(end, fate.clone());
        self.life = Some(Life::begin(&self.memory, disk, fate, self.close));
        self.life().arrive();
        for (name, synced) in self.reference.die() {
            self.publish_parked(&name, synced);
        }
        for name in NAMES {
            self.look(name);
        }
    }

    /// A file that was synced and never closed is parked, as it was. A person publishes it.
    fn publish_parked(&mut self, name: &str, synced: Vec<u8>) {
        let found = self.live(async |life| {
            let at = at(&life.tree, name).await.unwrap();
            let ino = life.tree.lookup(at.parent, &at.name).await.unwrap().ino;
            let file = life.tree.file(ino).unwrap();
            let (bytes, health) = (file.read(0, file.size()).await.unwrap(), file.health());
            life.tree.retry(ino).await.unwrap();
            (bytes, health)
        });
        assert!(matches!(found.1, Health::Parked(_)), "{name}: {:?}", found.1);
        assert_eq!(found.0, synced, "{name}");
    }

    /// Everything is closed and has arrived: the service has what the model has.
    fn finish(mut self) {
        for slot in 0..SLOTS {
            self.close_slot(slot);
        }
        self.life().arrive();
        let there = |name: &&str| self.memory.content(&path(name)).map(|bytes| bytes.to_vec());
        for name in NAMES {
            assert_eq!(there(&name), self.reference.look(name).ok(), "{name} on the service");
        }
        for directory in ["", "d", "e"] {
            self.list(directory);
        }
        assert_eq!(self.memory.violations(), [""; 0]);
        // A thread of its own removes files, when it comes to it.
        let deadline = Instant::now() + PATIENCE;
        while !self.life().disk.listing().is_empty() {
            assert!(Instant::now() < deadline, "left in the spool: {:?}", self.life().disk.listing());
            std::thread::sleep(Duration::from_millis(1));
        }
        self.life.take().expect("it lives").end(End::Killed, Fate::after(0));
    }
}

/// A name and the directory it is in.
struct Place {
    parent: Ino,
    name: String,
}

impl Place {
    fn at(&self) -> At<'_> {
        At { parent: self.parent, name: &self.name }
    }
}

async fn at(tree: &Tree, name: &str) -> Result<Place> {
    match name.split_once('/') {
        Some((directory, name)) => {
            let parent = tree.lookup(ROOT, directory).await?.ino;
            Ok(Place { parent, name: name.to_owned() })
        }
        None => Ok(Place { parent: ROOT, name: name.to_owned() }),
    }
}

async fn open(tree: &Tree, name: &str, mode: Mode) -> Result<(Arc<File>, Handle)> {
    let place = at(tree, name).await?;
    let (ino, is_new) = if mode.writes() {
        let (attr, is_new) = tree.create(place.at(), Overrides::default(), IfExists::Accept).await?;
        (attr.ino, is_new)
    } else {
        (tree.lookup(place.parent, &place.name).await?.ino, false)
    };
    let file = tree.file_for_open(ino).await?;
    let truncate = mode == Mode::Truncate || is_new;
    let mode = OpenMode { read: mode != Mode::Write, write: mode.writes(), truncate };
    let handle = file.open(std::process::id(), mode).await?;
    Ok((file, handle))
}

async fn flush(file: &Arc<File>, handle: &Handle) -> Result<()> {
    match file.flush_now(handle) {
        Some(told) => told,
        None => file.flush(std::process::id()).await,
    }
}

/// Services that differ in how they are sent to, and can do everything else.
fn services() -> Vec<MemoryConfig> {
    let able = |mut config: MemoryConfig| {
        let capability = &mut config.capability;
        capability.whole_max = 6 << 10;
        (capability.empty_files, capability.directories) = (true, true);
        (capability.rename, capability.rename_replaces) = (true, true);
        config.names = MemoryConfig::friendly().names;
        config
    };
    super::life::families().into_iter().map(|(_, config)| able(config)).collect()
}

fn run(service: usize, close: Close) {
    let cases = if std::env::var_os(FULL.0).is_some() { FULL.1 } else { QUICK };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let services = services();
    proptest!(config, |(ops in prop::collection::vec(op(), 1..40))| {
        let mut world = World::new(services[service].clone(), close);
        ops.into_iter().for_each(|op| world.step(op));
        world.finish();
    });
}

macro_rules! sequences {
    ($($name:ident: $service:expr, $close:expr;)*) => { $(
        #[test]
        fn $name() {
            run($service, $close);
        }
    )* };
}

sequences! {
    streamed_in_sequence: 0, Close::Remote;
    streamed_in_parallel: 1, Close::Remote;
    declared_in_sequence: 2, Close::Remote;
    declared_in_parallel: 3, Close::Remote;
    streamed_in_sequence_behind_a_local_close: 0, Close::Local;
    streamed_in_parallel_behind_a_local_close: 1, Close::Local;
    declared_in_parallel_behind_a_local_close: 3, Close::Local;
    whole_files_behind_a_local_close: 4, Close::Local;
}
