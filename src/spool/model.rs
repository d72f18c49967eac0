//! A disk in memory that dies at a chosen step, and what is found on it afterwards: everything that was written, after
//! `kill -9`; only what was synced, and anything of the rest, after a power cut. For tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::disk::{Disk, DiskFile};

/// The steps of one life: of its disk, and of whatever else counts along. It ends at one of them.
pub(crate) struct Fate {
    taken: AtomicU64,
    last: u64,
    dead: watch::Sender<bool>,
}

impl Fate {
    /// A life of `steps` steps.
    pub(crate) fn after(steps: u64) -> Arc<Fate> {
        Arc::new(Fate { taken: AtomicU64::new(0), last: steps, dead: watch::Sender::new(false) })
    }

    /// One step more; whether it is still taken.
    pub(crate) fn step(&self) -> bool {
        let alive = self.taken.fetch_add(1, Ordering::SeqCst) < self.last;
        if !alive {
            self.dead.send_replace(true);
        }
        alive
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        *self.dead.borrow()
    }

    /// Waits for the end.
    pub(crate) async fn over(&self) {
        let mut dead = self.dead.subscribe();
        dead.wait_for(|dead| *dead).await.expect("the fate holds its own sender");
    }
}

/// What a file held, at some moment.
type Bytes = Vec<u8>;

#[derive(Default)]
struct State {
    /// The directory as it is, and as it was when it was last synced; by name, the number of the file.
    names: BTreeMap<String, u64>,
    synced_names: BTreeMap<String, u64>,
    /// The files as they are, and as they were when they were last synced.
    files: BTreeMap<u64, Bytes>,
    synced_files: BTreeMap<u64, Bytes>,
    last: u64,
}

/// The disk.
#[derive(Clone)]
pub(crate) struct Model {
    state: Arc<Mutex<State>>,
    fate: Arc<Fate>,
    /// Counts operations that may fail; the one with this number does, with this errno.
    fault: Arc<Mutex<Option<(u64, i32)>>>,
}

/// What the machine was doing when it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process was killed: the kernel writes everything.
    Killed,
    /// The power went: of what was not synced, each file and each name is there or not, by this seed; 0: nothing is.
    PowerCut(u64),
}

impl Model {
    /// An empty disk of a process with this fate.
    pub(crate) fn new(fate: Arc<Fate>) -> Model {
        Model { state: Arc::default(), fate, fault: Arc::default() }
    }

    /// The `nth` operation from now on, counted from 1, fails with `errno`.
    pub(crate) fn fail(&self, nth: u64, errno: i32) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some((nth, errno));
    }

    /// Whether the fault has not been met.
    pub(crate) fn is_fault_left(&self) -> bool {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The disk as the next process finds it.
    pub(crate) fn next_life(&self, end: End, fate: Arc<Fate>) -> Model {
        let state = self.state();
        let (names, files) = match end {
            End::Killed => (state.names.clone(), state.files.clone()),
            End::PowerCut(seed) => state.remains(seed),
        };
        let (synced_names, synced_files) = (names.clone(), files.clone());
        let state = State { names, synced_names, files, synced_files, last: state.last };
        Model { state: Arc::new(Mutex::new(state)), fate, fault: Arc::default() }
    }

    /// The names on it.
    pub(crate) fn listing(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Changes the bytes of a file behind everybody's back.
    pub(crate) fn damage(&self, name: &str, change: impl FnOnce(&mut Bytes)) {
        let mut state = self.state();
        let number = state.names[name];
        change(state.files.get_mut(&number).expect("a name has its file"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One operation: takes a step, and may fail.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        if !self.fate.step() {
            return Err(io::Error::other("the process is dead"));
        }
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((nth, errno)) = fault.as_mut() {
            *nth -= 1;
            if *nth == 0 {
                let errno = *errno;
                *fault = None;
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
        Ok(self.state())
    }
}

impl State {
    fn remains(&self, seed: u64) -> (BTreeMap<String, u64>, BTreeMap<u64, Bytes>) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut survives = move || seed != 0 && dice.bool();
        let mut names = self.synced_names.clone();
        for name in self.names.keys().chain(self.synced_names.keys()) {
            if self.names.get(name) != self.synced_names.get(name) && survives() {
                match self.names.get(name) {
                    Some(number) => names.insert(name.clone(), *number),
                    None => names.remove(name),
                };
            }
        }
        let mut files = BTreeMap::new();
        for (number, now) in &self.files {
            let synced = self.synced_files.get(number).cloned().unwrap_or_default();
            files.insert(*number, if survives() { now.clone() } else { synced });
        }
        (names, files)
    }
}

impl Disk for Model {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.operate()?;
        state.last += 1;
        let number = state.last;
        state.files.insert(number, Vec::new());
        state.names.insert(name.to_owned(), number);
        Ok(Arc::new(ModelFile { disk: self.clone(), number }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let number = self.state().names.get(name).copied();
        let number = number.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Arc::new(ModelFile { disk: self.clone(), number }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.operate()?;
        let number = state.names.remove(from).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        state.names.insert(to.to_owned(), number);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operate()?.names.remove(name);
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.listing())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.operate()?;
        state.synced_names = state.names.clone();
        Ok(())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

struct ModelFile {
    disk: Model,
    number: u64,
}

impl ModelFile {
    fn with<T>(&self, state: &mut State, work: impl FnOnce(&mut Bytes) -> T) -> T {
        work(state.files.entry(self.number).or_default())
    }
}

impl DiskFile for ModelFile {
    fn write_all_at(&self, data: &[u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let write = |bytes: &mut Bytes, data: &[u8]| {
            bytes.resize(bytes.len().max(at + data.len()), 0);
            bytes[at..at + data.len()].copy_from_slice(data);
        };
        match self.disk.operate() {
            Ok(mut state) => {
                self.with(&mut state, |bytes| write(bytes, data));
                Ok(())
            }
            Err(error) => {
                // As a real disk does, and as a process that dies in the middle: some of it was written.
                self.with(&mut self.disk.state(), |bytes| write(bytes, &data[..data.len() / 2]));
                Err(error)
            }
        }
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        self.with(&mut self.disk.state(), |bytes| {
            let found =
                bytes.get(at..at + buffer.len()).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            buffer.copy_from_slice(found);
            Ok(())
        })
    }

    fn set_len(&self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let mut state = self.disk.operate()?;
        self.with(&mut state, |bytes| bytes.resize(size, 0));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.with(&mut self.disk.state(), |bytes| bytes.len() as u64))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.operate()?;
        let now = state.files.get(&self.number).cloned().unwrap_or_default();
        state.synced_files.insert(self.number, now);
        Ok(())
    }
}
