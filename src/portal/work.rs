//! Whether a portal has anything to do: requests that came and are not answered, and those of them that a fault keeps
//! silent. For whoever waits until everything that can happen by itself has happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a portal has to do at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkState {
    /// Requests that are not answered, silent ones included.
    pub under_way: usize,
    /// Requests that will not be answered before their client gives up.
    pub silent: usize,
}

/// Counts the work of a portal.
#[derive(Clone, Debug, Default)]
pub(super) struct Work(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    under_way: AtomicUsize,
    silent: AtomicUsize,
}

/// A request; dropped, it is answered.
#[derive(Debug)]
pub(super) struct Busy(Work);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A silence; dropped, it is over.
#[derive(Debug)]
pub(super) struct Silence(Work);

impl Drop for Silence {
    fn drop(&mut self) {
        self.0.0.silent.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work {
    /// A request has come.
    pub(super) fn begin(&self) -> Busy {
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        Busy(self.clone())
    }

    /// A request that has come is kept silent.
    pub(super) fn silence(&self) -> Silence {
        self.0.silent.fetch_add(1, Ordering::SeqCst);
        Silence(self.clone())
    }

    pub(super) fn state(&self) -> WorkState {
        WorkState { under_way: self.0.under_way.load(Ordering::SeqCst), silent: self.0.silent.load(Ordering::SeqCst) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_while_it_is_done() {
        let work = Work::default();
        let (first, second, silence) = (work.begin(), work.begin(), work.silence());
        assert_eq!(work.state(), WorkState { under_way: 2, silent: 1 });
        drop(silence);
        drop(first);
        assert_eq!(work.state(), WorkState { under_way: 1, silent: 0 });
        drop(second);
        assert_eq!(work.state(), WorkState { under_way: 0, silent: 0 });
    }
}
