//! Whether a portal has anything to do: requests that came and are not answered, without those that a fault keeps
//! silent. For whoever waits until everything that can happen by itself has happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts the work of a portal.
#[derive(Clone, Debug, Default)]
pub(super) struct Work(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    under_way: AtomicUsize,
}

/// A piece of work; dropped, it is done.
#[derive(Debug)]
pub(super) struct Busy(Work);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A piece of work that rests; dropped, it goes on.
#[derive(Debug)]
pub(super) struct Resting(Work);

impl Drop for Resting {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_add(1, Ordering::SeqCst);
    }
}

impl Work {
    /// Something is to be done.
    pub(super) fn begin(&self) -> Busy {
        self.0.begun.fetch_add(1, Ordering::SeqCst);
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        Busy(self.clone())
    }

    /// A piece of work that has begun, and not more than it, rests.
    pub(super) fn rest(&self) -> Resting {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        Resting(self.clone())
    }

    /// How many pieces of work have begun, and how many are under way.
    pub(super) fn counts(&self) -> (u64, usize) {
        // In this order: what begins in between is seen as begun the next time.
        (self.0.begun.load(Ordering::SeqCst), self.0.under_way.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_while_it_is_done() {
        let work = Work::default();
        let (first, second) = (work.begin(), work.begin());
        assert_eq!(work.counts(), (2, 2));
        let resting = work.rest();
        assert_eq!(work.counts(), (2, 1));
        drop(first);
        drop(resting);
        assert_eq!(work.counts(), (2, 1));
        drop(second);
        assert_eq!(work.counts(), (2, 0));
    }
}
