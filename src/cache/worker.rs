//! The thread `spool-io`: the only one that touches spill files. Makes room when it is asked to, answers reads, gives
//! space back. Holds no lock while the disk works.
//!
//! Reads and evictions alternate, so that neither a long spill keeps readers waiting nor many readers keep memory full.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, TryRecvError};
use tokio::sync::oneshot;
use tracing::error;

use super::content::Inner;
use super::recency::Key;
use super::room::{Request, Shared};
use super::state::{Snapshot, SpillId};
use crate::error::{Error, Kind, Result};
use crate::spool::spill::{SpillFile, Store};

/// What the thread is asked for. The mailbox needs no bound of its own: there is at most one `MakeRoom` for the pool
/// and one for each content, a `Read` has somebody waiting, a `Discard` needs a spill file, a `Cut` a truncation.
pub(super) enum Message {
    /// Evict until there is room.
    MakeRoom(Request),
    /// Cut the spill file of a content that was truncated.
    Cut(Arc<Inner>),
    /// Read spilled bytes.
    Read { content: Arc<Inner>, range: Range<u64>, reply: oneshot::Sender<Result<Bytes>> },
    /// Drop a spill file.
    Discard(SpillId),
}

/// See the module.
pub(super) struct Worker {
    shared: Arc<Shared>,
    mailbox: Receiver<Message>,
    store: Box<dyn Store>,
    files: HashMap<SpillId, SpillFile>,
    last_spill: u64,
    requests: VecDeque<Request>,
    pass: Pass,
}

/// The chunks that are still to be looked at for one request.
#[derive(Default)]
struct Pass {
    candidates: VecDeque<Key>,
    wanted: usize,
    /// Whether the disk said no: from then on only what needs no disk is evicted.
    disk: Disk,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Disk {
    #[default]
    Takes,
    Refuses,
}

/// Why a chunk was not spilled.
enum Refusal {
    /// The spool may not grow so much.
    ByLimit(Error),
    /// The disk is full for real, or failed.
    ByDisk(Error),
}

/// What became of one chunk.
enum Evicted {
    Yes,
    No,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, mailbox: Receiver<Message>, store: Box<dyn Store>) -> Worker {
        let (files, requests) = (HashMap::new(), VecDeque::new());
        Worker { shared, mailbox, store, files, last_spill: 0, requests, pass: Pass::default() }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self) {
        loop {
            let message = if self.is_idle() {
                self.mailbox.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                self.mailbox.try_recv()
            };
            match message {
                Ok(message) => self.handle(message),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            self.step();
        }
    }

    fn is_idle(&self) -> bool {
        self.pass.wanted == 0 && self.requests.is_empty()
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::MakeRoom(request) => self.requests.push_back(request),
            Message::Cut(content) => {
                let cut = content.state().take_cut();
                if let Some((spill, size)) = cut {
                    self.cut(spill, size);
                    self.space_is_back();
                }
            }
            Message::Read { content, range, reply } => {
                // Whoever asked may have gone away.
                let _ = reply.send(self.read(&content, &range));
            }
            Message::Discard(spill) => {
                if self.files.remove(&spill).is_some() {
                    self.space_is_back();
                }
            }
        }
    }

    /// Writers who were told that nothing can be spilled have no reason to ask again by themselves.
    fn space_is_back(&mut self) {
        if self.shared.waiting() > 0 {
            self.shared.pool.wake();
        }
    }

    /// Looks at one chunk.
    fn step(&mut self) {
        if self.pass.wanted == 0 {
            let Some(request) = self.requests.pop_front() else { return };
            let (candidates, wanted) = self.shared.candidates(&request);
            let disk = Disk::Takes;
            self.pass = Pass { candidates: candidates.into(), wanted, disk };
        }
        match self.pass.candidates.pop_front().map(|key| self.evict(key)) {
            Some(Evicted::Yes) => self.pass.wanted -= 1,
            Some(Evicted::No) => {}
            None => self.pass.wanted = 0,
        }
    }

    fn evict(&mut self, key: Key) -> Evicted {
        let content = self.shared.recency().content(key);
        let Some(content) = content.and_then(|content| content.upgrade()) else { return Evicted::No };
        if content.forget_droppable(key.index) {
            self.shared.pool.wake();
            return Evicted::Yes;
        }
        if self.pass.disk == Disk::Refuses || self.shared.budget.is_full() {
            return Evicted::No;
        }
        let Some(snapshot) = content.snapshot(key.index, SpillId(self.last_spill + 1)) else { return Evicted::No };
        let outcome = self.spill(&snapshot);
        let gone = outcome.is_ok() && content.forget_spilled(key.index, &snapshot);
        self.report(outcome);
        // Even without success a writer may have waited for us to stop looking at the chunk.
        drop(snapshot);
        self.shared.pool.wake();
        if gone { Evicted::Yes } else { Evicted::No }
    }

    fn spill(&mut self, snapshot: &Snapshot) -> Result<(), Refusal> {
        self.last_spill = self.last_spill.max(snapshot.spill.0);
        if let Some(size) = snapshot.cut {
            self.cut(snapshot.spill, size);
        }
        let file = match self.files.entry(snapshot.spill) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(SpillFile::create(&*self.store, &self.shared.budget).map_err(Refusal::ByDisk)?)
            }
        };
        file.reserve(&snapshot.filled).map_err(Refusal::ByLimit)?;
        snapshot.parts().try_for_each(|(at, bytes)| file.write(at, bytes)).map_err(Refusal::ByDisk)
    }

    fn report(&mut self, outcome: Result<(), Refusal>) {
        let failure = match outcome {
            Ok(()) => None,
            // A smaller chunk may still fit.
            Err(Refusal::ByLimit(failure)) => Some(failure),
            // A disk that is full or broken is not asked again for each chunk.
            Err(Refusal::ByDisk(failure)) => {
                self.pass.disk = Disk::Refuses;
                error!("{failure}; the bytes stay in memory");
                Some(failure)
            }
        };
        self.shared.report(failure);
    }

    fn cut(&mut self, spill: SpillId, size: u64) {
        let Some(file) = self.files.get_mut(&spill) else { return };
        // Nothing is lost: the bytes are forgotten already, only their space stays taken until the file is dropped.
        if let Err(failure) = file.truncate(size) {
            error!("{failure}; its space stays taken until the file is closed");
        }
    }

    fn read(&self, content: &Inner, range: &Range<u64>) -> Result<Bytes> {
        // Not spilled any more is not an error: the bytes moved to memory or went away, and the reader looks again.
        let Some((spill, range)) = content.state().in_spill(range) else { return Ok(Bytes::new()) };
        let gone = || Error::new(Kind::Spool, "read", "the spill file is gone");
        // `release` may have come first; its `Discard` is behind us in the mailbox, so the file is still there.
        self.files.get(&spill).ok_or_else(gone)?.read(range).map(Bytes::from)
    }
}
