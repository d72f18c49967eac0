//! The arithmetic of parts: where the next part of a file begins and ends. Pure; every number has its reason here, and
//! every rule is held by the property tests below. It does not know sessions, time or the network.

use std::ops::Range;

use crate::service::PartRules;

/// Part sizes double so many times on the way to the last allowed part: 1023/10 of the first size is the average, which
/// takes 8 MiB parts and 10,000 of them past 5 TiB.
const DOUBLINGS: u32 = 10;

/// A part as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The position of the part among the parts of its session, from 0.
    pub index: u32,
    /// The bytes of the file.
    pub range: Range<u64>,
    /// Whether the file ends with this part.
    pub last: bool,
}

/// How much of the file is ready to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// The writer is still at work; the bytes up to here are written.
    UpTo(u64),
    /// As [`Ready::UpTo`], and the bytes have waited so long that a smaller part may go.
    Waited(u64),
    /// The file is complete with this size.
    All(u64),
}

/// The size of part `index` in bytes, where the size of the file is not known.
pub fn part_bytes(rules: &PartRules, index: u32) -> u64 {
    let doublings = index / (rules.count_max / DOUBLINGS).max(1);
    let grown = rules.size.saturating_mul(1 << doublings.min(DOUBLINGS));
    let whole = round_up(grown, rules.multiple).clamp(rules.min, rules.max);
    match rules.first_max {
        Some(first_max) if index == 0 => whole.min(first_max).max(rules.min),
        _ => whole,
    }
}

/// The size in bytes of every part but the last, where the whole file has `total` bytes and the layout is fixed from
/// the start.
pub fn declared_part_bytes(rules: &PartRules, total: u64) -> u64 {
    let least = total.div_ceil(u64::from(rules.count_max));
    round_up(rules.size.max(least), rules.multiple).clamp(rules.min, rules.max)
}

/// Part `index` of a file of `total` bytes whose layout is fixed from the start; `None` past the end.
pub fn declared_cut(rules: &PartRules, total: u64, index: u32) -> Option<Cut> {
    let bytes = declared_part_bytes(rules, total);
    let start = bytes * u64::from(index);
    if start >= total {
        return None;
    }
    let end = (start + bytes).min(total);
    Some(Cut { index, range: start..end, last: end == total })
}

/// The next part of a stream, beginning at byte `at`, as part `index`; `None` when it has to wait for more bytes, or
/// when the file is complete and everything is cut.
pub fn next_cut(rules: &PartRules, index: u32, at: u64, ready: Ready) -> Option<Cut> {
    let full = part_bytes(rules, index);
    let (end, last) = match ready {
        Ready::All(total) => {
            let end = total.min(at + full);
            (end, end == total)
        }
        Ready::UpTo(to) | Ready::Waited(to) => {
            let have = to.saturating_sub(at).saturating_sub(rules.hold_back);
            let early = round_down(have, rules.multiple);
            // The first part opens the session: it goes as small as it may.
            let early_least = rules.early.map(|least| if index == 0 { rules.min } else { rules.min.max(least) });
            let waited = matches!(ready, Ready::Waited(_)) && early_least.is_some_and(|least| early >= least.max(1));
            if have >= full {
                (at + full, false)
            } else if waited {
                (at + early, false)
            } else {
                return None;
            }
        }
    };
    (at < end).then_some(Cut { index, range: at..end, last })
}

fn round_up(bytes: u64, multiple: u64) -> u64 {
    bytes.div_ceil(multiple.max(1)).saturating_mul(multiple.max(1))
}

fn round_down(bytes: u64, multiple: u64) -> u64 {
    bytes - bytes % multiple.max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::service::Flow;

    const MIB: u64 = 1 << 20;

    fn wiki() -> PartRules {
        PartRules {
            size: 16 * MIB,
            min: 1024,
            max: 64 * MIB,
            multiple: 1,
            count_max: u32::MAX,
            first_max: Some(64 << 10),
            hold_back: 1,
            open_after: MIB,
            early: Some(MIB),
            flow: Flow::Sequential,
            rewrite: false,
            opens_with_part: true,
            last_makes_file: false,
        }
    }

    fn s3() -> PartRules {
        PartRules {
            size: 8 * MIB,
            min: 5 * MIB,
            max: 5 << 30,
            count_max: 10_000,
            first_max: None,
            hold_back: 0,
            early: None,
            flow: Flow::Parallel(4),
            rewrite: true,
            opens_with_part: false,
            last_makes_file: false,
            ..wiki()
        }
    }

    #[test]
    fn a_wiki_gets_a_small_first_part_and_always_a_last_one() {
        let rules = wiki();
        assert_eq!(next_cut(&rules, 0, 0, Ready::UpTo(64 << 10)), None, "the last byte is held back");
        let first = next_cut(&rules, 0, 0, Ready::UpTo((64 << 10) + 1)).unwrap();
        assert_eq!(first, Cut { index: 0, range: 0..64 << 10, last: false });
        assert_eq!(next_cut(&rules, 1, 64 << 10, Ready::Waited(MIB)), None, "less than 1 MiB is not worth a request");
        let early = next_cut(&rules, 1, 64 << 10, Ready::Waited(3 * MIB)).unwrap();
        assert_eq!(early.range, 64 << 10..3 * MIB - 1);
        let last = next_cut(&rules, 2, 3 * MIB - 1, Ready::All(3 * MIB)).unwrap();
        assert_eq!(last, Cut { index: 2, range: 3 * MIB - 1..3 * MIB, last: true });
    }

    #[test]
    fn ten_thousand_parts_hold_five_tebibytes() {
        let rules = s3();
        let total: u64 = (0..rules.count_max).map(|index| part_bytes(&rules, index)).sum();
        assert!(total >= 5 << 40, "{total}");
        assert!((0..rules.count_max).all(|index| part_bytes(&rules, index) <= rules.max));
    }

    fn rules() -> impl Strategy<Value = PartRules> {
        let sizes = (1u64..50, 1u64..40, 1u64..4, 1u32..2000);
        let switches = (prop::option::of(1u64..30), 0u64..2, prop::option::of(1u64..9));
        (sizes, switches).prop_map(|((size, slack, multiple, count_max), (first_max, hold_back, early))| {
            let size = size * multiple;
            PartRules {
                size,
                min: (size / 3).max(1),
                max: size + slack * multiple * 1000,
                multiple,
                count_max,
                first_max: first_max.filter(|_| multiple == 1),
                hold_back,
                early,
                ..wiki()
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whatever the writer's pace, the parts of a stream tile the file, in order, within the rules, and the last
        /// one is never empty.
        #[test]
        fn streamed_parts_tile_the_file(rules in rules(), steps in prop::collection::vec((1u64..90, any::<bool>()), 1..40)) {
            let (mut written, mut at, mut cuts) = (0, 0, Vec::new());
            for (bytes, waited) in steps {
                written += bytes;
                let ready = if waited { Ready::Waited(written) } else { Ready::UpTo(written) };
                while let Some(cut) = next_cut(&rules, cuts.len() as u32, at, ready) {
                    prop_assert!(cut.range.end + rules.hold_back <= written);
                    prop_assert!(!cut.last);
                    at = cut.range.end;
                    cuts.push(cut);
                }
            }
            while let Some(cut) = next_cut(&rules, cuts.len() as u32, at, Ready::All(written)) {
                at = cut.range.end;
                cuts.push(cut);
            }
            prop_assert_eq!(at, written);
            let mut expect = 0;
            for (index, cut) in cuts.iter().enumerate() {
                prop_assert_eq!(cut.range.start, expect);
                expect = cut.range.end;
                let bytes = cut.range.end - cut.range.start;
                prop_assert!(bytes > 0 && bytes <= rules.max);
                prop_assert_eq!(cut.index as usize, index);
                if cut.last {
                    prop_assert_eq!(index + 1, cuts.len());
                } else {
                    prop_assert!(bytes >= rules.min.min(rules.first_max.unwrap_or(u64::MAX)).max(1) || index == 0);
                    prop_assert!(bytes >= rules.min, "{bytes} of at least {}", rules.min);
                    prop_assert_eq!(bytes % rules.multiple, 0);
                }
            }
            prop_assert!(rules.hold_back == 0 || cuts.last().is_some_and(|cut| cut.last));
        }

        /// A declared layout tiles the file with equal parts and stays within the count where the rules allow it.
        #[test]
        fn declared_parts_tile_the_file(rules in rules(), total in 1u64..100_000) {
            let cuts: Vec<Cut> = (0..).map_while(|index| declared_cut(&rules, total, index)).collect();
            let bytes = declared_part_bytes(&rules, total);
            prop_assert_eq!(cuts.last().map(|cut| (cut.range.end, cut.last)), Some((total, true)));
            for pair in cuts.windows(2) {
                prop_assert_eq!(pair[0].range.end, pair[1].range.start);
                prop_assert_eq!(pair[0].range.end - pair[0].range.start, bytes);
                prop_assert_eq!(bytes % rules.multiple, 0);
            }
            prop_assert!(bytes <= rules.max);
            let fits = u64::from(rules.count_max).saturating_mul(rules.max - rules.max % rules.multiple) >= total;
            prop_assert!(!fits || cuts.len() <= rules.count_max as usize);
        }
    }
}
