//! Where chunks begin. A wiki checks every chunk as if it were a whole file, so bytes in the middle of an archive or of a
//! mailbox can be refused because they look like a web page; the byte that stands there must then begin the next chunk,
//! whatever its size. Only other boundaries from the start of the file can help: the first chunk becomes smaller, and all
//! boundaries after it move. This is memory and arithmetic; it sends nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The first chunk at most: every later request copies and hashes it again on the server, so it is small.
const FIRST_MAX: u64 = 64 * 1024;
/// What it loses at each refusal; no fraction of anything that contents are made of.
const STEP: u64 = 12_289;
/// The different first chunks there are: none smaller than a quarter of the largest.
const SHIFTS: u64 = 4;
/// So often one file is sent again for this reason.
const RESTARTS_MAX: u32 = 3;
/// Files remembered; when full, all are forgotten, which costs a few more tries.
const COUNT_MAX: usize = 1024;

/// The boundaries in use, and the files that were refused for theirs.
#[derive(Default)]
pub(super) struct Boundaries {
    shift: AtomicU64,
    refused: Mutex<HashMap<String, u32>>,
}

impl Boundaries {
    /// The size of the first chunk, at most.
    pub(super) fn first_max(&self) -> u64 {
        FIRST_MAX - STEP * self.shift.load(Ordering::Relaxed)
    }

    /// A chunk of the file `name` was refused for its beginning; whether other boundaries are worth a try. They are in use
    /// from now on, for all files: one is as good as another.
    pub(super) fn refused(&self, name: &str) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= COUNT_MAX {
            refused.clear();
        }
        let times = refused.entry(name.to_owned()).or_default();
        if *times >= RESTARTS_MAX {
            refused.remove(name);
            return false;
        }
        *times += 1;
        // Two files refused at once may move twice, which is as good as once.
        let shift = self.shift.load(Ordering::Relaxed);
        self.shift.store((shift + 1) % SHIFTS, Ordering::Relaxed);
        true
    }

    /// All chunks of the file went through.
    pub(super) fn passed(&self, name: &str) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_restart_has_other_boundaries_and_there_is_an_end() {
        let boundaries = Boundaries::default();
        let mut firsts = BTreeSet::from([boundaries.first_max()]);
        for _ in 0..RESTARTS_MAX {
            assert!(boundaries.refused("a.tar"));
            assert!(firsts.insert(boundaries.first_max()), "used before");
        }
        assert!(!boundaries.refused("a.tar"), "enough");
        assert!(boundaries.refused("b.tar"), "another file");
        assert_eq!((firsts.first(), firsts.last()), (Some(&(FIRST_MAX - 3 * STEP)), Some(&FIRST_MAX)));
        boundaries.passed("b.tar");
        assert!(boundaries.refused.lock().unwrap().is_empty());
    }
}
