//! Who may have a buffer: the limits, what is forgotten at once to make room, and when the spool thread is asked for
//! more. Never does I/O and never waits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::content::Inner;
use super::pool::{Buffer, Pool};
use super::recency::{Keeping, Key, Recency};
use super::state::Need;
use crate::error::{Error, Kind};
use crate::spool::spill::Budget;

/// The least number of buffers with which the limits below mean something.
pub(super) const BUFFERS_MIN: u64 = 4;
/// One of so many buffers is the step of every margin: small enough to use nearly all memory, large enough that the
/// spool thread works in runs and has begun before a writer at full speed finds nothing.
const MARGIN_SHARE: usize = 16;
/// The most buffers that only `fill` may take: a few parallel reads; more would be taken from the writers for nothing.
const RESERVE_MAX: usize = 8;
/// One content may use all but one of so many parts of the buffers, so that a second writer always finds some.
const OTHERS_SHARE: usize = 4;

/// The limits, in buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Writes leave so many buffers free or forgettable.
    reserve: usize,
    /// With fewer free buffers than this, the spool thread begins to evict...
    low: usize,
    /// ...until there are so many.
    high: usize,
    /// The most chunks one content has in memory.
    content_max: usize,
    /// With more chunks than this, a content's own oldest chunks are evicted...
    content_high: usize,
    /// ...until it has so many.
    content_low: usize,
}

impl Limits {
    pub(super) fn of(buffers: usize) -> Limits {
        let margin = (buffers / MARGIN_SHARE).max(1);
        let reserve = margin.min(RESERVE_MAX);
        let content_max = buffers - buffers / OTHERS_SHARE;
        Limits {
            reserve,
            low: reserve + margin,
            high: reserve + 2 * margin,
            content_max,
            content_high: content_max - margin,
            content_low: content_max - 2 * margin,
        }
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Bytes of a program: they wait when there is no room.
    Write,
    /// Bytes of the service: they are not cached when there is no room, but may use the reserve.
    Fill,
}

/// What the spool thread is asked to make room in.
#[derive(Debug)]
pub(super) enum Request {
    /// In the pool.
    Pool,
    /// In one content that is near its limit.
    Content(Arc<Inner>),
}

/// What all contents and the spool thread share.
pub(super) struct Shared {
    pub(super) chunk_bytes: u64,
    pub(super) pool: Arc<Pool>,
    pub(super) budget: Arc<Budget>,
    limits: Limits,
    recency: Mutex<Recency>,
    /// Whether a request for the pool is in the mailbox already.
    asked: AtomicBool,
    waiting: AtomicUsize,
    trouble: Mutex<Trouble>,
}

/// What the spool last said.
#[derive(Default)]
struct Trouble {
    last: Option<Error>,
    /// How often the disk failed, as opposed to being full.
    failures: u64,
}

impl Shared {
    pub(super) fn new(buffers: usize, chunk_bytes: usize, budget: Arc<Budget>) -> Shared {
        Shared {
            chunk_bytes: chunk_bytes as u64,
            pool: Pool::new(buffers, chunk_bytes),
            budget,
            limits: Limits::of(buffers),
            recency: Mutex::new(Recency::new()),
            asked: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            trouble: Mutex::default(),
        }
    }

    pub(super) fn recency(&self) -> MutexGuard<'_, Recency> {
        self.recency.lock().expect("nothing panics while it orders chunks")
    }

    /// A buffer for `content`, if there is one now or one can be had by forgetting what the service has.
    pub(super) fn buffer(&self, content: &Inner, purpose: Purpose, need: Need) -> Option<Buffer> {
        if need == Need::Growth && content.state().chunks() >= self.limits.content_max {
            let made_room = self.forget_oldest_of(content);
            // Filling beyond the limit is left to the reserve: a reader must not fail because of the file's own writer.
            if !made_room && purpose == Purpose::Write {
                return None;
            }
        }
        loop {
            let droppable = self.recency().droppable();
            if let Some(buffer) = self.pool.take(self.keep_back(purpose, droppable)) {
                return Some(buffer);
            }
            // Checked before anything is forgotten, so that writers do not eat up what readers may use.
            if !self.has_spare(purpose, droppable) || !self.forget_oldest() {
                return None;
            }
        }
    }

    /// Whether a write that stopped for `blocked` would now get on.
    pub(super) fn has_room(&self, content: &Inner) -> bool {
        let (blocked, at_limit, keeping) = {
            let state = content.state();
            if let Some(Need::Copy(index)) = state.blocked
                && state.is_unshared(index)
            {
                return true;
            }
            (state.blocked, state.chunks() >= self.limits.content_max, state.keeping())
        };
        let limited = at_limit && keeping == Keeping::Kept && !matches!(blocked, Some(Need::Copy(_)));
        !limited && self.has_spare(Purpose::Write, self.recency().droppable())
    }

    fn keep_back(&self, purpose: Purpose, droppable: usize) -> usize {
        match purpose {
            Purpose::Write => self.limits.reserve.saturating_sub(droppable),
            Purpose::Fill => 0,
        }
    }

    fn has_spare(&self, purpose: Purpose, droppable: usize) -> bool {
        let kept_for_readers = match purpose {
            Purpose::Write => self.limits.reserve,
            Purpose::Fill => 0,
        };
        self.pool.free() + droppable > kept_for_readers
    }

    fn forget_oldest(&self) -> bool {
        loop {
            let oldest = self.recency().oldest_droppable();
            let Some((key, content)) = oldest else { return false };
            let Some(content) = content.upgrade() else {
                self.recency().remove(key);
                continue;
            };
            // If that one was gone or kept, somebody was faster, and there is another oldest one by now.
            if content.forget_droppable(key.index) {
                return true;
            }
        }
    }

    fn forget_oldest_of(&self, content: &Inner) -> bool {
        let oldest = self.recency().oldest_of(content.id);
        oldest.is_some_and(|key| content.forget_droppable(key.index))
    }

    /// Whether the spool thread should make room in the pool, and is not asked to yet.
    pub(super) fn should_ask(&self) -> bool {
        (self.pool.free() < self.limits.low) && !self.asked.swap(true, Ordering::AcqRel)
    }

    /// Whether the spool thread should make room in `content`, and is not asked to yet.
    pub(super) fn should_ask_for(&self, content: &Inner) -> bool {
        content.state().chunks() > self.limits.content_high && !content.asked.swap(true, Ordering::AcqRel)
    }

    /// The chunks to look at for a request, the oldest first, and how many of them should go.
    pub(super) fn candidates(&self, request: &Request) -> (Vec<Key>, usize) {
        match request {
            Request::Pool => {
                self.asked.store(false, Ordering::Release);
                let wanted = self.limits.high.saturating_sub(self.pool.free());
                (if wanted > 0 { self.recency().oldest_first(None) } else { Vec::new() }, wanted)
            }
            Request::Content(content) => {
                content.asked.store(false, Ordering::Release);
                let wanted = content.state().chunks().saturating_sub(self.limits.content_low);
                (if wanted > 0 { self.recency().oldest_first(Some(content.id)) } else { Vec::new() }, wanted)
            }
        }
    }

    /// Counts a parked writer for as long as the answer lives.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(&self.waiting)
    }

    /// How many writers are parked.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// A chunk was spilled (`None`) or could not be.
    pub(super) fn report(&self, outcome: Option<Error>) {
        let failed = outcome.as_ref().is_some_and(|error| error.kind == Kind::Spool);
        let mut trouble = self.trouble();
        trouble.failures += u64::from(failed);
        trouble.last = outcome;
        drop(trouble);
        if failed {
            self.pool.wake();
        }
    }

    /// How often the disk failed so far, and what the spool said last.
    pub(super) fn last_report(&self) -> (u64, Option<Error>) {
        let trouble = self.trouble();
        (trouble.failures, trouble.last.clone())
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().expect("nothing panics while it notes an error")
    }
}

/// A parked writer.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
