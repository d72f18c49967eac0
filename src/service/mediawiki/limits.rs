//! How large one request may be. The limits of PHP and of the web server are told by nobody in advance: they are
//! learned from refusals, and kept for the life of the mount. This is arithmetic and memory; it sends nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// The largest piece of a file in one request while nothing is known: above this, larger pieces gain nothing.
pub(super) const PIECE_MAX: u64 = 16 * 1024 * 1024;
/// A web server's limit is a round number and counts the whole body: this much is left for the fields beside the file
/// (about 1.6 KiB with a name of 240 bytes, more with a long summary).
const FIELDS_MAX: u64 = 8 * KIB;
/// What is tried after a refusal that names no limit, from large to small: the usual limits of bodies (8, 4, 2 and 1 MiB)
/// with room for the fields, then halves.
const LADDER: [u64; 14] = [
    8192 * KIB - FIELDS_MAX,
    4096 * KIB - FIELDS_MAX,
    2048 * KIB - FIELDS_MAX,
    1024 * KIB - FIELDS_MAX,
    512 * KIB,
    256 * KIB,
    128 * KIB,
    64 * KIB,
    32 * KIB,
    16 * KIB,
    8 * KIB,
    4 * KIB,
    2 * KIB,
    KIB,
];
const KIB: u64 = 1024;

/// A cut is never taken for a refusal up to this size: limits below it are rare, bad networks are not.
const CUT_MIN: u64 = 1024 * KIB - FIELDS_MAX;

/// What is known about one server.
#[derive(Debug)]
pub(super) struct Limits {
    /// Not refused yet.
    piece: AtomicU64,
    /// What `piece` was when something last went through: what is learned from refusals counts once a smaller piece is
    /// taken, and not when every size is refused.
    settled: AtomicU64,
    /// The largest one that went through.
    proven: AtomicU64,
    /// Size of the last unproven piece whose connection broke in mid-body; 0 when there is none.
    suspect: AtomicU64,
}

impl Limits {
    /// Nothing known.
    pub(super) fn new() -> Limits {
        let [piece, settled] = [PIECE_MAX, PIECE_MAX].map(AtomicU64::new);
        Limits { piece, settled, proven: AtomicU64::new(0), suspect: AtomicU64::new(0) }
    }

    /// How large a piece may be, as far as known.
    pub(super) fn piece(&self) -> u64 {
        self.piece.load(Ordering::Relaxed)
    }

    /// A piece of `len` bytes went through.
    pub(super) fn accepted(&self, len: u64) {
        self.proven.fetch_max(len, Ordering::Relaxed);
        self.settled.store(self.piece(), Ordering::Relaxed);
        self.suspect.store(0, Ordering::Relaxed);
    }

    /// Whether as many bytes went through before.
    pub(super) fn is_proven(&self, len: u64) -> bool {
        len <= self.proven.load(Ordering::Relaxed)
    }

    /// A piece of `len` bytes was refused for its size; `told` is the limit when the server names it. Answers whether
    /// smaller ones are worth trying: not when they would be below `least`.
    pub(super) fn refused(&self, len: u64, told: Option<u64>, least: u64) -> bool {
        let next = match told {
            Some(limit) if limit < len => limit,
            _ => LADDER.into_iter().find(|step| *step < len).unwrap_or(0),
        };
        if next < least.max(1) {
            // Even the least is refused: it was not the size. Kept, what was learned on the way down would make the mount send kilobytes for the
            // rest of its life.
            self.piece.store(self.settled.load(Ordering::Relaxed), Ordering::Relaxed);
            return false;
        }
        self.piece.fetch_min(next, Ordering::Relaxed);
        tracing::info!(refused = len, next, "the server takes only smaller requests");
        true
    }

    /// The connection broke while a piece of `len` bytes was under way. Some servers refuse what is too large by
    /// closing, and their answer is lost; but a network breaks, too. So it counts as a refusal only when it happens
    /// twice running, at a size that never went through.
    pub(super) fn is_refusal_by_cut(&self, len: u64) -> bool {
        if len <= self.proven.load(Ordering::Relaxed).max(CUT_MIN) {
            return false;
        }
        self.suspect.swap(len, Ordering::Relaxed) == len
    }
}

/// The length of the next request of the bytes that are `left`, when each may have `max`: pieces of equal size, so that
/// none but the last of a file falls below the server's minimum.
pub(super) fn share(left: u64, max: u64) -> u64 {
    left.div_ceil(left.div_ceil(max.max(1)).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAST: u64 = 1024;

    /// What a client ends up with at a server that takes bodies of `body_max`, and after how many refusals.
    fn learn(body_max: u64) -> (u64, u32) {
        let (limits, mut refusals) = (Limits::new(), 0);
        while limits.piece() + 1600 > body_max {
            assert!(limits.refused(limits.piece(), None, LEAST));
            refusals += 1;
        }
        (limits.piece(), refusals)
    }

    #[test]
    fn the_usual_limits_are_found_and_used_well() {
        assert_eq!(learn(1 << 20), ((1 << 20) - FIELDS_MAX, 4));
        assert_eq!(learn(8 << 20), ((8 << 20) - FIELDS_MAX, 1));
        assert_eq!(learn(1_000_000), (512 << 10, 5));
        assert_eq!(learn(10_000), (8 << 10, 11));
    }

    #[test]
    fn a_limit_that_is_told_is_taken() {
        let limits = Limits::new();
        assert!(limits.refused(PIECE_MAX, Some(2 << 20), LEAST));
        assert_eq!(limits.piece(), 2 << 20);
        // Nonsense: the limit is not below what was refused.
        assert!(limits.refused(2 << 20, Some(3 << 20), LEAST));
        assert_eq!(limits.piece(), (2 << 20) - FIELDS_MAX);
    }

    #[test]
    fn there_is_an_end() {
        let limits = Limits::new();
        assert!(!limits.refused(1024, None, LEAST));
        assert!(!limits.refused(1000, Some(10), LEAST));
        assert_eq!(limits.piece(), PIECE_MAX);
    }

    #[test]
    fn a_server_that_refuses_everything_teaches_nothing() {
        let limits = Limits::new();
        while limits.refused(limits.piece(), None, LEAST) {}
        assert_eq!(limits.piece(), PIECE_MAX);
        assert!(limits.refused(PIECE_MAX, Some(2 << 20), LEAST));
        limits.accepted(2 << 20);
        while limits.refused(limits.piece(), None, LEAST) {}
        assert_eq!(limits.piece(), 2 << 20, "what was learned before is kept");
    }

    #[test]
    fn a_cut_is_a_refusal_the_second_time_and_only_where_nothing_went_through() {
        let (limits, mib) = (Limits::new(), 1 << 20);
        assert!(!limits.is_refusal_by_cut(2 * mib));
        assert!(!limits.is_refusal_by_cut(3 * mib), "another size");
        assert!(limits.is_refusal_by_cut(3 * mib));
        assert!(!limits.is_refusal_by_cut(2 * mib));
        limits.accepted(2 * mib);
        assert!(!limits.is_refusal_by_cut(2 * mib) && !limits.is_refusal_by_cut(2 * mib), "that much is known to pass");
        assert!(!limits.is_refusal_by_cut(3 * mib));
        limits.accepted(10);
        assert!(!limits.is_refusal_by_cut(3 * mib), "something went through in between");
        let fresh = Limits::new();
        assert!(!fresh.is_refusal_by_cut(CUT_MIN) && !fresh.is_refusal_by_cut(CUT_MIN), "a bad network, not a limit");
    }

    proptest! {
        #[test]
        fn shares_are_equal_and_within_the_limit(total in 1_u64..1 << 30, max in 2048_u64..1 << 26) {
            let (mut left, mut shares) = (total, Vec::new());
            while left > 0 {
                let len = share(left, max);
                prop_assert!(len > 0 && len <= max);
                shares.push(len);
                left -= len;
            }
            prop_assert_eq!(shares.len() as u64, total.div_ceil(max));
            if shares.len() > 1 {
                prop_assert!(shares.iter().min() >= Some(&(max / 2)), "{:?}", shares);
            }
        }
    }
}
