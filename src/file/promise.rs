//! The size promise: some services must know the size of a file before its first byte. So that its parts can travel
//! while it is still written, the size is taken from whoever knows it: a program that gives an empty file its size
//! before it writes, or the file that the writer is copying (`copying.rs`).
//!
//! **Contract.** A promise is never more than a guess: the upload compares it with the real size, and a wrong one costs
//! one session. No promise is made where nobody could use it: the service needs none, or the mount was told not to.
//!
//! **Cost.** The writer is looked at when it has written more than a session is opened for, so that small files pay
//! nothing; at most [`LOOKS_MAX`] times for one file; and never on the thread that takes its writes.
//!
//! **Concurrency.** What a look finds counts only if the file is still the one that the look was about: it was neither
//! cut nor committed meanwhile.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::copying::{self, Growing};
use super::process::Tgid;
use super::{File, State};
use crate::service::SizePolicy;

/// How often the writer of one file is looked at. The first look may come before a copier with a large buffer has
/// written what it has read: the later ones see it.
const LOOKS_MAX: u32 = 3;

/// By how much the file has grown when the writer is looked at again: the looks are at about 1, 8 and 64 MiB. Past that,
/// a promise would come too late to be worth much.
const LOOK_GROWTH: u64 = 8;

/// How long a look may take, before it is about a source that hangs.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);

/// What is expected of the size of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Expectation {
    /// Nothing, and nothing is done about it.
    #[default]
    Nothing,
    /// The file began empty: its writer is looked at when there are more bytes than `after`, at most so many times.
    Look { after: u64, looks_left: u32 },
    /// A look is under way since this write.
    Looking { since: u64, looks_left: u32 },
    /// A program said the size, and has not begun to write.
    Told,
}

impl Expectation {
    /// A file has been written up to `end` by its write number `write`; whether its writer is to be looked at now.
    fn written(&mut self, end: u64, write: u64) -> bool {
        match *self {
            Expectation::Look { after, looks_left } if end > after => {
                *self = Expectation::Looking { since: write, looks_left: looks_left - 1 };
                true
            }
            Expectation::Told => {
                *self = Expectation::Nothing;
                false
            }
            _ => false,
        }
    }

    /// The look that began at write number `write`, when the file had `end` bytes, is over; whether it still counts.
    fn looked(&mut self, write: u64, end: u64, found: bool) -> bool {
        match *self {
            Expectation::Looking { since, looks_left } if since == write => {
                *self = match looks_left {
                    1.. if !found => Expectation::Look { after: end.saturating_mul(LOOK_GROWTH), looks_left },
                    _ => Expectation::Nothing,
                };
                found
            }
            _ => false,
        }
    }

    /// A program has given the file another size; whether it is a promise.
    fn resized(&mut self, sizes: &Range<u64>) -> bool {
        let unwritten = match self {
            Expectation::Told => true,
            Expectation::Look { .. } => sizes.start == 0,
            Expectation::Nothing | Expectation::Looking { .. } => false,
        };
        if unwritten {
            *self = Expectation::Told;
        }
        unwritten
    }
}

impl File {
    /// What is expected of a file that has just been made, or cut to nothing.
    pub(super) fn expect_of_nothing(&self) -> Expectation {
        let service = self.files.uploads.service();
        match service.capability().policy {
            SizePolicy::Declared(rules) if self.files.config.size_promise => {
                Expectation::Look { after: rules.open_after, looks_left: LOOKS_MAX }
            }
            // They take the parts as they come, or all of the file at once.
            _ => Expectation::Nothing,
        }
    }

    /// A program has given the file the size `sizes.end`; it had `sizes.start`.
    pub(super) fn expect_resized(&self, state: &mut State, sizes: Range<u64>) {
        if sizes.end == 0 {
            state.expectation = self.expect_of_nothing();
        } else if state.expectation.resized(&sizes) {
            self.promise(sizes.end);
        }
    }

    /// The last writer has written; looks at it where that is worth it.
    pub(super) fn expect_written(self: &Arc<Self>, state: &mut State) {
        if state.expectation == Expectation::Nothing {
            return;
        }
        let (end, write) = (self.size(), state.writes);
        if let Some(writer) = state.last_writer
            && state.expectation.written(end, write)
        {
            self.files.uploads.spawn(self.clone().look(writer, end, write));
        }
    }

    async fn look(self: Arc<Self>, writer: Tgid, end: u64, write: u64) {
        let file = self.clone();
        let looking = tokio::task::spawn_blocking(move || file.size_of_what_is_copied_by(writer, end));
        let found = tokio::time::timeout(LOOK_DEADLINE, looking).await.ok().and_then(Result::ok).flatten();
        {
            let mut state = self.state();
            if state.expectation.looked(write, end, found.is_some())
                && let Some(size) = found
            {
                tracing::debug!(path = %self.place.get(), size, "the file is expected to get the size of its source");
                self.promise(size);
            }
        }
        self.files.looks.fetch_add(1, Ordering::Relaxed);
    }

    fn size_of_what_is_copied_by(&self, writer: Tgid, written: u64) -> Option<u64> {
        let head = self.upload().source().at_hand(0, copying::HEAD_BYTES)?;
        let growing = Growing { device: *self.files.device.get()?, ino: self.ino, written, head };
        copying::size_of_source(writer, &growing, || self.size())
    }

    /// A size that the service would not take is left for `close` to complain about: it may be wrong.
    fn promise(&self, size: u64) {
        if size <= self.files.uploads.service().capability().file_max {
            self.upload().promise(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn fresh() -> Expectation {
        Expectation::Look { after: MIB, looks_left: LOOKS_MAX }
    }

    #[test]
    fn a_small_file_is_not_looked_at() {
        let mut expectation = fresh();
        assert!(!expectation.written(MIB, 1));
        assert_eq!(expectation, fresh());
        assert!(expectation.written(MIB + 1, 2));
        assert!(!expectation.written(2 * MIB, 3), "one look at a time");
    }

    #[test]
    fn a_look_in_vain_is_repeated_when_the_file_has_grown_and_not_for_ever() {
        let mut expectation = fresh();
        let (mut looks, mut ends) = (0, Vec::new());
        for write in 1..2000 {
            if expectation.written(write * MIB, write) {
                looks += 1;
                ends.push(write);
                assert!(!expectation.looked(write, write * MIB, false));
            }
        }
        assert_eq!((looks, ends), (LOOKS_MAX, vec![2, 17, 137]));
        assert_eq!(expectation, Expectation::Nothing);
    }

    #[test]
    fn what_is_found_counts_once_and_for_the_file_it_was_looked_for() {
        let mut expectation = fresh();
        assert!(expectation.written(2 * MIB, 7));
        assert!(!expectation.looked(6, MIB, true), "a look of before");
        assert!(expectation.looked(7, 2 * MIB, true));
        assert_eq!(expectation, Expectation::Nothing);
        assert!(!expectation.looked(7, 2 * MIB, true));
        // Cut to nothing while the look was under way.
        let mut expectation = fresh();
        assert!(!expectation.looked(7, 2 * MIB, true));
        assert_eq!(expectation, fresh());
    }

    #[test]
    fn a_size_is_a_promise_until_something_is_written() {
        let mut expectation = fresh();
        assert!(expectation.resized(&(0..5)) && expectation.resized(&(5..7)), "the last word counts");
        assert!(!expectation.written(7, 1));
        assert!(!expectation.resized(&(7..9)), "cut to size after writing");
        let mut expectation = fresh();
        assert!(!expectation.written(5, 1) && !expectation.resized(&(5..9)), "written before");
        assert!(!Expectation::Nothing.resized(&(0..5)), "where nobody could use it");
    }
}
