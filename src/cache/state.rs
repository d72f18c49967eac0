//! What is held of one content, and where: chunks in memory, ranges in the spill file. Pure memory work under the lock
//! of the content; gets the buffers it needs from its caller and does not know the order of use, other contents or the
//! disk.
//!
//! Invariant: a byte is in memory, or spilled, or missing; never two of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::pool::Buffer;
use super::recency::Keeping;
use crate::ranges::Ranges;
use crate::spool::EntryId;

/// Some bytes of a content, by where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// In memory: the bytes themselves, shared with the cache and unchanged by later writes.
    Memory(bytes::Bytes),
    /// In the spool: these bytes of the file, never more than a chunk of them. `read_spooled` gets them.
    Spooled(Range<u64>),
    /// Not held: the caller gets these bytes of the file from the service or takes zeros for them.
    Missing(Range<u64>),
}

impl Piece {
    /// How many bytes.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Memory(bytes) => bytes.len() as u64,
            Piece::Spooled(range) | Piece::Missing(range) => range.end - range.start,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How bytes were put into a chunk, or what is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// There was nothing to do.
    Nothing,
    /// Into a chunk that was in memory.
    Touched,
    /// Into a new chunk.
    Added,
    /// Nowhere: a buffer is needed first.
    Needs(Need),
}

/// What a buffer is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// For a chunk more.
    Growth,
    /// For a copy of the chunk of this index, which somebody is looking at.
    Copy(u64),
}

/// A chunk as it was when it was taken to be spilled.
pub(super) struct Snapshot {
    buffer: Arc<Buffer>,
    pub(super) filled: Ranges,
    pub(super) spill: EntryId,
    /// The spill file has to be cut here before anything is written to it.
    pub(super) cut: Option<u64>,
    stamp: u64,
    /// Where the chunk begins in the file.
    base: u64,
}

impl Snapshot {
    /// The filled parts, and where they stand in the file.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u64, &[u8])> + '_ {
        let bytes =
            |range: &Range<u64>| &self.buffer.bytes()[offset(range.start - self.base)..offset(range.end - self.base)];
        self.filled.iter().map(move |range| (range.start, bytes(&range)))
    }
}

/// What a truncation leaves to be done.
pub(super) struct Truncated {
    /// The chunks that left memory.
    pub(super) gone: Vec<(u64, Arc<Buffer>)>,
    /// Whether the spill file has to be cut, and nobody was told yet.
    pub(super) must_cut: bool,
}

struct Chunk {
    buffer: Arc<Buffer>,
    /// Which bytes of the file are in the buffer; never empty.
    filled: Ranges,
    /// Changes with each change of the chunk.
    stamp: u64,
}

/// See the module.
pub(super) struct State {
    chunk_bytes: u64,
    chunks: BTreeMap<u64, Chunk>,
    spilled: Ranges,
    /// A content gets a new spill file each time it is kept anew, so that late work on the old one cannot hurt.
    spill: Option<EntryId>,
    cut: Option<u64>,
    keeping: Keeping,
    last_stamp: u64,
    /// Why the last write stopped short.
    pub(super) blocked: Option<Need>,
}

impl State {
    pub(super) fn new(chunk_bytes: u64) -> State {
        State {
            chunk_bytes,
            chunks: BTreeMap::new(),
            spilled: Ranges::new(),
            spill: None,
            cut: None,
            keeping: Keeping::Droppable,
            last_stamp: 0,
            blocked: None,
        }
    }

    pub(super) fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// How many chunks are in memory.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = u64> + '_ {
        self.chunks.keys().copied()
    }

    /// How many bytes are held.
    pub(super) fn held(&self) -> u64 {
        self.chunks.values().map(|chunk| chunk.filled.len()).sum::<u64>() + self.spilled.len()
    }

    /// Whether nobody looks at the chunk, so that it can be written to in place.
    pub(super) fn is_unshared(&self, index: u64) -> bool {
        self.chunks.get(&index).is_some_and(|chunk| Arc::strong_count(&chunk.buffer) == 1)
    }

    /// Writes `data`, which lies within one chunk, at `at`.
    pub(super) fn write(&mut self, at: u64, data: &[u8], spare: &mut Option<Buffer>) -> Put {
        let range = at..at + data.len() as u64;
        let put = self.prepare(at / self.chunk_bytes, range.clone(), spare);
        if let Put::Touched | Put::Added = put {
            self.copy_in(range.clone(), data);
            if self.spilled.touches(range.clone()) {
                self.spilled.remove(range);
            }
        }
        put
    }

    /// Puts those bytes of `data`, which lies within one chunk, that are not held.
    pub(super) fn fill(&mut self, at: u64, data: &[u8], spare: &mut Option<Buffer>) -> Put {
        let range = at..at + data.len() as u64;
        let gaps = self.gaps(range);
        if gaps.is_empty() {
            return Put::Nothing;
        }
        // Nothing is overwritten, so a copy of a chunk that is looked at carries everything over.
        let put = self.prepare(at / self.chunk_bytes, 0..0, spare);
        if let Put::Touched | Put::Added = put {
            for gap in gaps.iter() {
                let part = &data[offset(gap.start - at)..offset(gap.end - at)];
                self.copy_in(gap, part);
            }
        }
        put
    }

    /// What is held at `at`, or what is missing there; the end is not after `end`.
    pub(super) fn piece(&self, at: u64, end: u64) -> Piece {
        debug_assert!(at < end, "a piece of nothing");
        let index = at / self.chunk_bytes;
        if let Some(chunk) = self.chunks.get(&index) {
            let run = chunk.filled.end_of_run(at).min(end);
            if run > at {
                let base = index * self.chunk_bytes;
                return Piece::Memory(Buffer::view(&chunk.buffer, offset(at - base)..offset(run - base)));
            }
        }
        let run = self.spilled.end_of_run(at).min(end);
        if run > at {
            return Piece::Spooled(at..run.min(at.saturating_add(self.chunk_bytes)));
        }
        let in_memory = self.chunks.range(index..).find_map(|(_, chunk)| chunk.filled.next_from(at));
        let next = in_memory.into_iter().chain(self.spilled.next_from(at)).min().unwrap_or(end);
        Piece::Missing(at..next.min(end))
    }

    /// Forgets everything from `size` on.
    pub(super) fn truncate(&mut self, size: u64) -> Truncated {
        let (stamp, cut) = (self.next_stamp(), size / self.chunk_bytes);
        let mut gone = self.chunks.split_off(&cut);
        if let Some(mut first) = gone.remove(&cut) {
            first.filled.truncate(size);
            first.stamp = stamp;
            let side = if first.filled.is_empty() { &mut gone } else { &mut self.chunks };
            side.insert(cut, first);
        }
        self.spilled.truncate(size);
        let must_cut = self.spill.is_some() && self.cut.is_none();
        if self.spill.is_some() {
            self.cut = Some(self.cut.map_or(size, |cut| cut.min(size)));
        }
        Truncated { gone: gone.into_iter().map(|(index, chunk)| (index, chunk.buffer)).collect(), must_cut }
    }

    /// From now on kept.
    pub(super) fn keep(&mut self) {
        self.keeping = Keeping::Kept;
    }

    /// From now on droppable: what is spilled is missing. Answers the spill file that has become useless.
    pub(super) fn release(&mut self) -> Option<EntryId> {
        self.keeping = Keeping::Droppable;
        self.spilled.clear();
        self.cut = None;
        self.spill.take()
    }

    /// Takes a chunk out of memory and forgets it.
    pub(super) fn forget(&mut self, index: u64) -> Option<Arc<Buffer>> {
        self.chunks.remove(&index).map(|chunk| chunk.buffer)
    }

    /// A chunk as it is, to be spilled; to `new_spill` when there is no spill file yet. `None` when there is nothing to
    /// spill.
    pub(super) fn snapshot(&mut self, index: u64, new_spill: EntryId) -> Option<Snapshot> {
        let chunk = self.chunks.get(&index).filter(|_| self.keeping == Keeping::Kept)?;
        let (buffer, filled, stamp) = (chunk.buffer.clone(), chunk.filled.clone(), chunk.stamp);
        let spill = *self.spill.get_or_insert(new_spill);
        Some(Snapshot { buffer, filled, spill, cut: self.cut.take(), stamp, base: index * self.chunk_bytes })
    }

    /// The chunk was written to the spill file. It leaves memory unless it changed meanwhile.
    pub(super) fn spilled(&mut self, index: u64, snapshot: &Snapshot) -> Option<Arc<Buffer>> {
        let same = self.chunks.get(&index).is_some_and(|chunk| chunk.stamp == snapshot.stamp);
        if !same || self.spill != Some(snapshot.spill) {
            return None;
        }
        for range in snapshot.filled.iter() {
            self.spilled.insert(range);
        }
        self.forget(index)
    }

    /// Everything that is kept was spilled: to which file, and which bytes. To `new_spill` when there was nothing.
    pub(super) fn synced(&mut self, new_spill: EntryId) -> (EntryId, Ranges) {
        (*self.spill.get_or_insert(new_spill), self.spilled.clone())
    }

    /// Takes the bytes of an entry for its own, and keeps them. Holds nothing yet.
    pub(super) fn adopt(&mut self, spill: EntryId, spilled: Ranges) {
        debug_assert!(self.chunks.is_empty() && self.spill.is_none(), "only an empty content adopts");
        self.keeping = Keeping::Kept;
        self.spill = Some(spill);
        self.spilled = spilled;
    }

    /// The spill file and the place where it has to be cut, once.
    pub(super) fn take_cut(&mut self) -> Option<(EntryId, u64)> {
        Some((self.spill?, self.cut.take()?))
    }

    /// The spill file and how many bytes from `range.start` on are in it.
    pub(super) fn in_spill(&self, range: &Range<u64>) -> Option<(EntryId, Range<u64>)> {
        let end = self.spilled.end_of_run(range.start).min(range.end);
        self.spill.filter(|_| end > range.start).map(|spill| (spill, range.start..end))
    }

    /// Makes the chunk exist and be ours alone. What is in `overwritten` need not survive.
    fn prepare(&mut self, index: u64, overwritten: Range<u64>, spare: &mut Option<Buffer>) -> Put {
        let Some(chunk) = self.chunks.get_mut(&index) else {
            let Some(buffer) = spare.take() else { return Put::Needs(Need::Growth) };
            self.chunks.insert(index, Chunk { buffer: Arc::new(buffer), filled: Ranges::new(), stamp: 0 });
            return Put::Added;
        };
        if Arc::get_mut(&mut chunk.buffer).is_none() {
            let Some(mut fresh) = spare.take() else { return Put::Needs(Need::Copy(index)) };
            let mut staying = chunk.filled.clone();
            staying.remove(overwritten);
            let base = index * self.chunk_bytes;
            for part in staying.iter() {
                let part = offset(part.start - base)..offset(part.end - base);
                fresh.bytes_mut()[part.clone()].copy_from_slice(&chunk.buffer.bytes()[part]);
            }
            chunk.buffer = Arc::new(fresh);
        }
        Put::Touched
    }

    /// Copies `data` to `range` of the chunk that was prepared for it.
    fn copy_in(&mut self, range: Range<u64>, data: &[u8]) {
        let stamp = self.next_stamp();
        let index = range.start / self.chunk_bytes;
        let base = index * self.chunk_bytes;
        let chunk = self.chunks.get_mut(&index).expect("a chunk is prepared before it is written to");
        let buffer = Arc::get_mut(&mut chunk.buffer).expect("a prepared chunk has no other holder");
        buffer.bytes_mut()[offset(range.start - base)..offset(range.end - base)].copy_from_slice(data);
        chunk.filled.insert(range);
        chunk.stamp = stamp;
    }

    /// What is missing of `range`, which lies within one chunk.
    fn gaps(&self, range: Range<u64>) -> Ranges {
        let mut gaps = Ranges::from_iter([range.clone()]);
        if let Some(chunk) = self.chunks.get(&(range.start / self.chunk_bytes)) {
            chunk.filled.within(range.clone()).for_each(|held| gaps.remove(held));
        }
        self.spilled.within(range).for_each(|held| gaps.remove(held));
        gaps
    }

    fn next_stamp(&mut self) -> u64 {
        self.last_stamp += 1;
        self.last_stamp
    }
}

/// An offset within a chunk, which is in memory.
fn offset(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a chunk fits into memory")
}
