//! A set of byte ranges: sorted, disjoint, never touching. The cache (what is filled), the spool (what is on disk) and
//! the upload machine (what is written, what is sent) share it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A set of bytes, kept as the fewest ranges. Written down, it is the list of them; on the way in they are put together
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Range<u64>>")]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// No bytes.
    pub const fn new() -> Self {
        Ranges(Vec::new())
    }

    /// Adds the bytes of `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // The common case first: a writer that goes on where it stopped.
        if let Some(last) = self.0.last_mut()
            && last.start <= range.start
            && range.start <= last.end
        {
            last.end = last.end.max(range.end);
            return;
        }
        let from = self.0.partition_point(|have| have.end < range.start);
        let to = self.0.partition_point(|have| have.start <= range.end);
        let merged = self.0[from..to].iter().fold(range, |all, have| all.start.min(have.start)..all.end.max(have.end));
        self.0.splice(from..to, [merged]);
    }

    /// Takes the bytes of `range` out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|have| have.end <= range.start);
        let to = self.0.partition_point(|have| have.start < range.end);
        let mut rest = Vec::with_capacity(2);
        for have in &self.0[from..to] {
            if have.start < range.start {
                rest.push(have.start..range.start);
            }
            if have.end > range.end {
                rest.push(range.end..have.end);
            }
        }
        self.0.splice(from..to, rest);
    }

    /// Takes everything from `size` on out.
    pub fn truncate(&mut self, size: u64) {
        self.remove(size..u64::MAX);
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether every byte of `range` is in the set.
    pub fn covers(&self, range: Range<u64>) -> bool {
        range.is_empty() || self.end_of_run(range.start) >= range.end
    }

    /// Whether any byte of `range` is in the set.
    pub fn touches(&self, range: Range<u64>) -> bool {
        if range.is_empty() {
            return false;
        }
        let at = self.0.partition_point(|have| have.end <= range.start);
        self.0.get(at).is_some_and(|have| have.start < range.end)
    }

    /// The end of the run of bytes that holds `at`; `at` itself when it is not in the set.
    pub fn end_of_run(&self, at: u64) -> u64 {
        let index = self.0.partition_point(|have| have.end <= at);
        self.0.get(index).filter(|have| have.start <= at).map_or(at, |have| have.end)
    }

    /// The first byte of the set that is not before `at`.
    pub fn next_from(&self, at: u64) -> Option<u64> {
        let index = self.0.partition_point(|have| have.end <= at);
        self.0.get(index).map(|have| have.start.max(at))
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// One past the last byte; 0 when empty.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |range| range.end)
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// The parts of `range` that are in the set.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let from = self.0.partition_point(|have| have.end <= range.start);
        self.0[from..]
            .iter()
            .take_while(move |have| have.start < range.end)
            .map(move |have| have.start.max(range.start)..have.end.min(range.end))
            .filter(|part| !part.is_empty())
    }
}

impl From<Vec<Range<u64>>> for Ranges {
    fn from(ranges: Vec<Range<u64>>) -> Self {
        ranges.into_iter().filter(|range| range.start < range.end).collect()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Ranges::new();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that the model and the tests speak about.
    const UNIVERSE: u64 = 64;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(Range<u64>),
        Remove(Range<u64>),
        Truncate(u64),
    }

    fn range() -> impl Strategy<Value = Range<u64>> {
        (0..UNIVERSE, 0..UNIVERSE / 3).prop_map(|(start, len)| start..(start + len).min(UNIVERSE))
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => range().prop_map(Op::Insert),
            2 => range().prop_map(Op::Remove),
            1 => (0..UNIVERSE).prop_map(Op::Truncate),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn behaves_like_a_bitmap(ops in prop::collection::vec(op(), 1..30), probe in range()) {
            let mut set = Ranges::new();
            let mut model = [false; UNIVERSE as usize];
            for op in ops {
                match op {
                    Op::Insert(r) => { set.insert(r.clone()); model[r.start as usize..r.end as usize].fill(true) }
                    Op::Remove(r) => { set.remove(r.clone()); model[r.start as usize..r.end as usize].fill(false) }
                    Op::Truncate(size) => { set.truncate(size); model[size as usize..].fill(false) }
                }
                let have: Vec<_> = set.iter().collect();
                prop_assert!(have.iter().all(|r| r.start < r.end));
                prop_assert!(have.windows(2).all(|w| w[0].end < w[1].start), "touching: {have:?}");
                let mut bits = [false; UNIVERSE as usize];
                for r in have { bits[r.start as usize..r.end as usize].fill(true) }
                prop_assert_eq!(bits, model);
            }
            let bits = &model[probe.start as usize..probe.end as usize];
            prop_assert_eq!(set.covers(probe.clone()), bits.iter().all(|b| *b));
            prop_assert_eq!(set.touches(probe.clone()), bits.iter().any(|b| *b));
            prop_assert_eq!(set.within(probe.clone()).map(|r| r.end - r.start).sum::<u64>(),
                bits.iter().filter(|b| **b).count() as u64);
            prop_assert_eq!(set.len(), model.iter().filter(|b| **b).count() as u64);
            let run = model[probe.start as usize..].iter().take_while(|b| **b).count() as u64;
            prop_assert_eq!(set.end_of_run(probe.start), probe.start + run);
            let next = model[probe.start as usize..].iter().position(|b| *b).map(|n| probe.start + n as u64);
            prop_assert_eq!(set.next_from(probe.start), next);
        }
    }
}
