//! Requests in doubt, and since when. The server may still be working on a request whose answer was lost, and nothing
//! it says then tells "working" from "never got it": only time does. This is the memory of that; it sends nothing and
//! is lost with the process, which then waits once more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Doubts remembered; the oldest is forgotten first.
const COUNT_MAX: usize = 1024;

/// How long a service may work on a request after its answer was lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// On the smallest file, on a busy server.
    pub(super) base: Duration,
    /// On each MiB.
    pub(super) per_mib: Duration,
}

impl Pace {
    /// After this long without an outcome, a request for `size` bytes is not running any more.
    fn settle(self, size: u64) -> Duration {
        self.base + self.per_mib * u32::try_from(size >> 20).unwrap_or(u32::MAX / 64)
    }
}

/// The doubts of one remote, by what they are about.
pub(super) struct Doubts {
    pace: Pace,
    since: Mutex<HashMap<String, Instant>>,
}

impl Doubts {
    /// No doubts, about a service of this pace.
    pub(super) fn new(pace: Pace) -> Self {
        Doubts { pace, since: Mutex::default() }
    }

    /// A request about `what` has just gone into doubt.
    pub(super) fn note(&self, what: &str) {
        self.note_at(what, Instant::now());
    }

    fn note_at(&self, what: &str, now: Instant) {
        let mut doubts = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if doubts.len() >= COUNT_MAX
            && let Some(oldest) = doubts.iter().min_by_key(|(_, since)| **since).map(|(what, _)| what.clone())
        {
            doubts.remove(&oldest);
        }
        doubts.insert(what.to_owned(), now);
    }

    /// Whether the server may still be at work on `what`, a file of `size` bytes. A doubt that is new to this process
    /// begins now.
    pub(super) fn may_be_running(&self, what: &str, size: u64) -> bool {
        self.may_be_running_at(what, size, Instant::now())
    }

    fn may_be_running_at(&self, what: &str, size: u64, now: Instant) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).get(what).copied();
        match since {
            Some(since) => now.duration_since(since) < self.pace.settle(size),
            None => {
                self.note_at(what, now);
                true
            }
        }
    }

    /// Whether a request about `what` went into doubt in this process, so recently that it may still be running.
    pub(super) fn is_fresh(&self, what: &str, size: u64) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).get(what).copied();
        since.is_some_and(|since| since.elapsed() < self.pace.settle(size))
    }

    /// Whether a request about `what` went into doubt in this process, and nobody has settled that.
    pub(super) fn is_noted(&self, what: &str) -> bool {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).contains_key(what)
    }

    /// The doubt about `what` is over.
    pub(super) fn settled(&self, what: &str) {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { base: Duration::from_secs(10), per_mib: Duration::from_millis(50) };

    #[test]
    fn a_doubt_lasts_as_long_as_the_work_may() {
        let (doubts, start) = (Doubts::new(PACE), Instant::now());
        doubts.note_at("key", start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(doubts.may_be_running_at("key", 0, after(9)));
        assert!(!doubts.may_be_running_at("key", 0, after(11)));
        assert!(doubts.may_be_running_at("key", 1 << 30, after(60)));
        assert!(!doubts.may_be_running_at("key", 1 << 30, after(62)));
    }

    #[test]
    fn a_doubt_of_another_process_begins_when_it_is_seen() {
        let (doubts, start) = (Doubts::new(PACE), Instant::now());
        assert!(doubts.may_be_running_at("key", 0, start));
        assert!(!doubts.may_be_running_at("key", 0, start + PACE.base));
        assert!(doubts.is_noted("key"), "however old");
        doubts.settled("key");
        assert!(!doubts.is_noted("key"));
        assert!(doubts.may_be_running_at("key", 0, start + PACE.base));
    }

    #[test]
    fn the_memory_is_bounded() {
        let (doubts, start) = (Doubts::new(PACE), Instant::now());
        for number in 0..COUNT_MAX + 10 {
            doubts.note_at(&number.to_string(), start + Duration::from_millis(number as u64));
        }
        assert_eq!(doubts.since.lock().unwrap().len(), COUNT_MAX);
        assert!(doubts.since.lock().unwrap().contains_key(&(COUNT_MAX + 9).to_string()));
    }

    #[test]
    fn absurd_sizes_do_not_overflow() {
        assert!(PACE.settle(u64::MAX) > PACE.settle(1 << 40));
    }
}
