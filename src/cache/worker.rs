//! The thread `spool-io`: the only one that touches spill files. Makes room when it is asked to, brings contents to
//! disk, answers reads, gives space back. Holds no lock while the disk works.
//!
//! Reads and evictions alternate, so that neither a long spill keeps readers waiting nor many readers keep memory full.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, TryRecvError};
use lru::LruCache;
use tokio::sync::oneshot;
use tracing::error;

use super::content::Inner;
use super::recency::Key;
use super::room::{Request, Shared};
use super::state::{Need, Snapshot};
use crate::error::{Error, Kind, Result};
use crate::ranges::Ranges;
use crate::spool::disk::DiskFile;
use crate::spool::spill::SpillFile;
use crate::spool::{EntryId, Spool};

/// What the thread is asked for. The mailbox needs no bound of its own: there is at most one `MakeRoom` for the pool
/// and one for each content, a `Read` has somebody waiting, a `Discard` needs a spill file, a `Cut` a truncation.
pub(super) enum Message {
    /// Evict until there is room.
    MakeRoom(Request),
    /// Cut the spill file of a content that was truncated.
    Cut(Arc<Inner>),
    /// Read spilled bytes.
    Read { content: Arc<Inner>, range: Range<u64>, reply: oneshot::Sender<Result<Bytes>> },
    /// Write everything that a content keeps, and make it safe.
    Sync { content: Arc<Inner>, reply: oneshot::Sender<Result<Synced>> },
    /// Know a spill file that was there before.
    Adopt(SpillFile),
    /// Drop a spill file.
    Discard(EntryId),
}

/// A content whose bytes are all in its spill file, which is not synced yet.
pub struct Synced {
    /// The spill file.
    pub id: EntryId,
    /// Its bytes.
    pub local: Ranges,
    file: Arc<dyn DiskFile>,
}

impl Synced {
    /// Fills all of `buffer` with bytes that are in [`Synced::local`].
    pub(super) fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.file.read_exact_at(buffer, at).map_err(|error| Error::spool("read", error))
    }

    /// Waits for the disk.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`.
    pub fn wait(&self) -> Result<()> {
        self.file.sync().map_err(|error| Error::spool("sync", error))
    }
}

/// So many files of entries are kept open for reading. There may be more entries than open files are allowed.
const OPEN_FILES_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");

/// So often a chunk is written again that changed while it was being synced: reading may add to one.
const SYNC_TRIES: u32 = 100;

/// See the module.
pub(super) struct Worker {
    shared: Arc<Shared>,
    mailbox: Receiver<Message>,
    spool: Arc<Spool>,
    files: HashMap<EntryId, SpillFile>,
    /// The files of entries that are open, by their last use.
    open: LruCache<EntryId, ()>,
    /// The number of the next spill file.
    next: EntryId,
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
    pub(super) fn new(shared: Arc<Shared>, mailbox: Receiver<Message>, spool: Arc<Spool>) -> Worker {
        let (files, open, next) = (HashMap::new(), LruCache::new(OPEN_FILES_MAX), spool.next_id());
        Worker { shared, mailbox, spool, files, open, next, requests: VecDeque::new(), pass: Pass::default() }
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
            Message::Sync { content, reply } => {
                // As above.
                let _ = reply.send(self.sync(&content));
                self.space_is_back();
            }
            Message::Adopt(file) => {
                self.files.insert(file.id(), file);
            }
            Message::Discard(spill) => {
                self.open.pop(&spill);
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
        let Some(snapshot) = content.snapshot(key.index, self.next) else { return Evicted::No };
        let outcome = self.spill(&snapshot);
        let spilled = outcome.is_ok();
        let gone = spilled && content.forget_spilled(key.index, &snapshot);
        self.report(outcome);
        // Even without success a writer may have waited for us to stop looking at the chunk. Nobody else is woken then:
        // whoever finds no room asks again, and a full disk would be asked for as long as somebody waits, who never
        // heard of it.
        drop(snapshot);
        if spilled || content.state().blocked == Some(Need::Copy(key.index)) {
            self.shared.pool.wake();
        }
        if gone { Evicted::Yes } else { Evicted::No }
    }

    fn spill(&mut self, snapshot: &Snapshot) -> Result<(), Refusal> {
        if let Some(size) = snapshot.cut {
            self.cut(snapshot.spill, size);
        }
        let file = self.file(snapshot.spill).map_err(Refusal::ByDisk)?;
        file.reserve(&snapshot.filled).map_err(Refusal::ByLimit)?;
        snapshot.parts().try_for_each(|(at, bytes)| file.write(at, bytes)).map_err(Refusal::ByDisk)
    }

    /// The spill file of that number; a new one where there is none.
    fn file(&mut self, spill: EntryId) -> Result<&mut SpillFile> {
        if spill == self.next {
            self.next = self.spool.next_id();
        }
        match self.files.entry(spill) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(SpillFile::create(self.spool.disk(), spill, &self.shared.budget)?)),
        }
    }

    fn sync(&mut self, content: &Inner) -> Result<Synced> {
        let indices: Vec<u64> = content.state().indices().collect();
        for index in indices {
            self.sync_chunk(content, index)?;
        }
        let ((id, local), cut) = {
            let mut state = content.state();
            (state.synced(self.next), state.take_cut())
        };
        let file = self.file(id)?;
        if let Some((_, size)) = cut {
            file.truncate(size)?;
        }
        let file = file.make_safe()?;
        self.used(id);
        Ok(Synced { id, local, file })
    }

    fn sync_chunk(&mut self, content: &Inner, index: u64) -> Result<()> {
        for _ in 0..SYNC_TRIES {
            let Some(snapshot) = content.snapshot(index, self.next) else { return Ok(()) };
            self.spill(&snapshot).map_err(|refusal| match refusal {
                Refusal::ByLimit(error) | Refusal::ByDisk(error) => error,
            })?;
            if content.forget_spilled(index, &snapshot) {
                return Ok(());
            }
        }
        Err(Error::new(Kind::Spool, "sync", "the file changed while it was being written to the spool"))
    }

    /// The file of an entry was used: others rest.
    fn used(&mut self, spill: EntryId) {
        if let Some((other, ())) = self.open.push(spill, ())
            && other != spill
            && let Some(file) = self.files.get_mut(&other)
        {
            file.rest();
        }
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

    fn cut(&mut self, spill: EntryId, size: u64) {
        let Some(file) = self.files.get_mut(&spill) else { return };
        // Nothing is lost: the bytes are forgotten already, only their space stays taken until the file is dropped.
        if let Err(failure) = file.truncate(size) {
            error!("{failure}; its space stays taken until the file is closed");
        }
    }

    fn read(&mut self, content: &Inner, range: &Range<u64>) -> Result<Bytes> {
        // Not spilled any more is not an error: the bytes moved to memory or went away, and the reader looks again.
        let Some((spill, range)) = content.state().in_spill(range) else { return Ok(Bytes::new()) };
        let gone = || Error::new(Kind::Spool, "read", "the spill file is gone");
        // `release` may have come first; its `Discard` is behind us in the mailbox, so the file is still there.
        let bytes = self.files.get_mut(&spill).ok_or_else(gone)?.read(range).map(Bytes::from);
        self.used(spill);
        bytes
    }
}
