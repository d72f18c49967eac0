//! One content: the current bytes of one file, as far as they are held. What programs wrote and what was read from the
//! service are the same here. Knows no size of the file and no zeros: what is not held is missing.

use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Cache;
use super::pool::Buffer;
use super::recency::{Keeping, Key};
use super::room::{Purpose, Request, Shared};
use super::state::{Piece, Put, Snapshot, State};
use super::worker::{Message, Synced};
use crate::error::{Error, Kind, Result};
use crate::ranges::Ranges;
use crate::spool::EntryId;
use crate::spool::spill::SpillFile;

/// How long a parked writer waits without a single buffer becoming free: long enough for the finish of an upload that
/// releases its content, shorter than the minute after which people kill a program that hangs.
pub const ROOM_WAIT: Duration = Duration::from_secs(30);

/// What a content shares with the spool thread and with whoever needs room.
pub(super) struct Inner {
    pub(super) id: u64,
    pub(super) shared: Arc<Shared>,
    /// Whether a request for this content is in the mailbox already.
    pub(super) asked: AtomicBool,
    state: Mutex<State>,
    itself: Weak<Inner>,
}

impl Inner {
    pub(super) fn new(id: u64, shared: Arc<Shared>) -> Arc<Inner> {
        let state = Mutex::new(State::new(shared.chunk_bytes));
        Arc::new_cyclic(|itself| Inner { id, shared, asked: AtomicBool::new(false), state, itself: itself.clone() })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it changes a content")
    }

    fn key(&self, index: u64) -> Key {
        Key { content: self.id, index }
    }

    /// Forgets a chunk if that loses nothing.
    pub(super) fn forget_droppable(&self, index: u64) -> bool {
        let gone = {
            let mut state = self.state();
            if state.keeping() == Keeping::Kept {
                return false;
            }
            self.shared.recency().remove(self.key(index));
            state.forget(index)
        };
        gone.is_some()
    }

    /// A chunk has been spilled: it leaves memory unless it changed meanwhile.
    pub(super) fn forget_spilled(&self, index: u64, snapshot: &Snapshot) -> bool {
        let gone = {
            let mut state = self.state();
            let gone = state.spilled(index, snapshot);
            if gone.is_some() {
                self.shared.recency().remove(self.key(index));
            }
            gone
        };
        gone.is_some()
    }

    /// A chunk as it is, to be spilled.
    pub(super) fn snapshot(&self, index: u64, new_spill: EntryId) -> Option<Snapshot> {
        self.state().snapshot(index, new_spill)
    }

    /// Puts `data`, which lies within one chunk, as far as that goes with `spare`.
    fn put(&self, purpose: Purpose, at: u64, data: &[u8], spare: &mut Option<Buffer>) -> Put {
        let mut state = self.state();
        let put = match purpose {
            Purpose::Write => state.write(at, data, spare),
            Purpose::Fill => state.fill(at, data, spare),
        };
        let key = self.key(at / self.shared.chunk_bytes);
        match put {
            Put::Touched => self.shared.recency().touch(key),
            Put::Added => self.shared.recency().insert(key, self.itself.clone(), state.keeping()),
            Put::Nothing | Put::Needs(_) => {}
        }
        put
    }

    fn set_keeping(&self, state: &State) {
        let mut recency = self.shared.recency();
        for index in state.indices() {
            recency.set_keeping(self.key(index), state.keeping());
        }
    }
}

/// The bytes of one file, as far as they are held. New ones are empty and droppable. Dropping it forgets them.
///
/// The caller serialises those who change it (`write`, `truncate`, `keep`, `release`) and does not `fill` with bytes
/// that were asked for before a change. Everything else may be called at any time.
pub struct CachedContent {
    inner: Arc<Inner>,
    cache: Arc<Cache>,
}

impl CachedContent {
    pub(super) fn new(inner: Arc<Inner>, cache: Arc<Cache>) -> CachedContent {
        CachedContent { inner, cache }
    }

    /// Copies as much of `data` as there is room at this moment, and says how many bytes that were. Never blocks; after less
    /// than everything the caller awaits [`CachedContent::room`] and goes on with the rest.
    pub fn write(&self, at: u64, data: &[u8]) -> usize {
        self.put_all(Purpose::Write, at, data)
    }

    /// Puts bytes of the service where none are held. Best effort: what does not fit now is not cached.
    pub fn fill(&self, at: u64, data: &[u8]) {
        self.put_all(Purpose::Fill, at, data);
    }

    /// Waits until [`CachedContent::write`] would take something.
    ///
    /// # Errors
    /// `SpoolFull` when the spool is at its limit and nothing became free for [`ROOM_WAIT`]; `Spool` when the disk
    /// failed and there is no other room. Nothing that was written is lost by either.
    pub async fn room(&self) -> Result<()> {
        let result = self.until_room().await;
        self.inner.state().blocked = None;
        result
    }

    async fn until_room(&self) -> Result<()> {
        let shared = &self.inner.shared;
        let _waiting = shared.wait();
        let (failures_before, _) = shared.last_report();
        loop {
            let mut freed = pin!(shared.pool.freed());
            freed.as_mut().enable();
            if shared.has_room(&self.inner) {
                return Ok(());
            }
            let (failures, last) = shared.last_report();
            if let Some(error) = last
                && failures > failures_before
            {
                return Err(error);
            }
            self.ask_for_room();
            if timeout(ROOM_WAIT, freed).await.is_err() {
                return Err(self.no_room());
            }
        }
    }

    /// What is held of `range`, in order and without gaps. Counts as a use of the chunks.
    pub fn pieces(&self, range: Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = range.start;
        let state = self.inner.state();
        while at < range.end {
            let piece = state.piece(at, range.end);
            if let Piece::Memory(_) = piece {
                self.inner.shared.recency().touch(self.inner.key(at / self.inner.shared.chunk_bytes));
            }
            at += piece.len();
            pieces.push(piece);
        }
        pieces
    }

    /// The first piece at `at`, of at most `max` bytes, which is not 0. Does not count as a use: an upload reads each
    /// chunk once, and would otherwise push out what it reads next.
    pub fn piece(&self, at: u64, max: u64) -> Piece {
        self.inner.state().piece(at, at.saturating_add(max))
    }

    /// The bytes `range` of a [`Piece::Spooled`], wherever they are by now. All of them, unless some went missing
    /// meanwhile by `release` or `truncate`: then those before, possibly none, and the caller asks for pieces anew.
    ///
    /// # Errors
    /// `Spool` when the disk fails or does not have the bytes.
    pub async fn read_spooled(&self, range: Range<u64>) -> Result<Bytes> {
        let mut parts: Vec<Bytes> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let part = match self.piece(at, range.end - at) {
                Piece::Memory(bytes) => bytes,
                Piece::Spooled(part) => self.read_part(part).await?,
                Piece::Missing(_) => break,
            };
            at += part.len() as u64;
            parts.push(part);
        }
        // Nearly always it is one part, which needs no copy.
        Ok(if parts.len() == 1 { parts.remove(0) } else { parts.concat().into() })
    }

    /// Up to `max` bytes from `at` on from memory or the spool; `None` when the byte at `at` is missing.
    ///
    /// # Errors
    /// As [`CachedContent::read_spooled`].
    pub async fn read(&self, at: u64, max: u64) -> Result<Option<Bytes>> {
        match self.piece(at, max) {
            Piece::Memory(bytes) => Ok(Some(bytes)),
            Piece::Spooled(range) => Ok(Some(self.read_spooled(range).await?).filter(|bytes| !bytes.is_empty())),
            Piece::Missing(_) => Ok(None),
        }
    }

    /// Forgets everything from `size` on.
    pub fn truncate(&self, size: u64) {
        let truncated = {
            let mut state = self.inner.state();
            let truncated = state.truncate(size);
            let mut recency = self.inner.shared.recency();
            truncated.gone.iter().for_each(|(index, _)| recency.remove(self.inner.key(*index)));
            truncated
        };
        if truncated.must_cut {
            self.cache.send(Message::Cut(self.inner.clone()));
        }
        drop(truncated);
        self.inner.shared.pool.wake();
    }

    /// From now on the bytes held here are the only copy: they are spooled before they leave memory.
    pub fn keep(&self) {
        let mut state = self.inner.state();
        state.keep();
        self.inner.set_keeping(&state);
    }

    /// From now on the service has these bytes: they may be forgotten. What is spooled is missing at once.
    pub fn release(&self) {
        let useless = {
            let mut state = self.inner.state();
            let useless = state.release();
            self.inner.set_keeping(&state);
            useless
        };
        if let Some(spill) = useless {
            self.cache.send(Message::Discard(spill));
        }
        self.inner.shared.pool.wake();
    }

    /// Writes everything that is kept to the spill file, which from now on outlives the process; the caller syncs it and
    /// gives it a journal. The bytes leave memory. Nobody may change the content meanwhile.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`; nothing is lost by either.
    pub async fn sync(&self) -> Result<Synced> {
        let (reply, answer) = oneshot::channel();
        self.cache.send(Message::Sync { content: self.inner.clone(), reply });
        answer.await.unwrap_or_else(|_| Err(thread_is_gone("sync")))
    }

    /// Takes the bytes `local` of a spill file that was filled elsewhere, and keeps them. The content is empty.
    pub(crate) fn adopt(&self, file: SpillFile, local: &Ranges) {
        let id = file.id();
        self.cache.send(Message::Adopt(file));
        self.inner.state().adopt(id, local.clone());
    }

    /// How many bytes are held, in memory and in the spool.
    pub fn held(&self) -> u64 {
        self.inner.state().held()
    }

    /// Whether nothing of `range` is missing.
    pub fn holds(&self, range: Range<u64>) -> bool {
        let state = self.inner.state();
        let mut at = range.start;
        while at < range.end {
            match state.piece(at, range.end) {
                Piece::Missing(_) => return false,
                piece => at += piece.len(),
            }
        }
        true
    }

    fn put_all(&self, purpose: Purpose, at: u64, data: &[u8]) -> usize {
        let chunk_bytes = self.inner.shared.chunk_bytes;
        let mut taken = 0;
        while taken < data.len() {
            let at = at + taken as u64;
            let to_chunk_end = usize::try_from(chunk_bytes - at % chunk_bytes).unwrap_or(usize::MAX);
            let part = &data[taken..data.len().min(taken.saturating_add(to_chunk_end))];
            if !self.put(purpose, at, part) {
                break;
            }
            taken += part.len();
        }
        taken
    }

    /// Puts `data`, which lies within one chunk, or says that there is no room for it.
    fn put(&self, purpose: Purpose, at: u64, data: &[u8]) -> bool {
        let mut spare = None;
        while let Put::Needs(need) = self.inner.put(purpose, at, data, &mut spare) {
            // Without a lock, because somebody else's chunk may have to be forgotten for it.
            spare = self.inner.shared.buffer(&self.inner, purpose, need);
            self.ask_for_room();
            if spare.is_none() {
                if purpose == Purpose::Write {
                    self.inner.state().blocked = Some(need);
                }
                return false;
            }
        }
        true
    }

    fn ask_for_room(&self) {
        if self.inner.shared.should_ask() {
            self.cache.send(Message::MakeRoom(Request::Pool));
        }
        if self.inner.shared.should_ask_for(&self.inner) {
            self.cache.send(Message::MakeRoom(Request::Content(self.inner.clone())));
        }
    }

    fn no_room(&self) -> Error {
        let (_, last) = self.inner.shared.last_report();
        last.unwrap_or_else(|| Error::new(Kind::SpoolFull, "write", "memory is full and nothing of it can be spooled"))
            .hint("raise --spool-max, or wait until other uploads are done")
    }

    async fn read_part(&self, range: Range<u64>) -> Result<Bytes> {
        let (reply, answer) = oneshot::channel();
        self.cache.send(Message::Read { content: self.inner.clone(), range, reply });
        answer.await.unwrap_or_else(|_| Err(thread_is_gone("read")))
    }
}

fn thread_is_gone(op: &'static str) -> Error {
    Error::new(Kind::Spool, op, "the spool thread is gone")
}

impl Drop for CachedContent {
    fn drop(&mut self) {
        self.release();
        self.truncate(0);
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "content {}", self.id)
    }
}
