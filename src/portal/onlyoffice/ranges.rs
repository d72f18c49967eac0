//! Ranges of downloads as the servers read them: one range with a beginning. Suffixes, lists, and what begins behind the
//! end are errors, and not of the kind that HTTP has for them.

use std::ops::Range;

/// The bytes that a `Range` header asks for, of a file with `bytes`; `None` where the server chokes on it.
pub(super) fn read(header: &str, bytes: u64) -> Option<Range<u64>> {
    let mut parts = header.split(['=', '-']).skip(1);
    let start: u64 = parts.next()?.trim().parse().ok()?;
    let end = match parts.next() {
        None | Some("") => bytes,
        Some(last) => last.trim().parse::<u64>().ok()?.saturating_add(1).min(bytes),
    };
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_with_a_beginning_is_read() {
        for (header, expected) in [
            ("bytes=0-", Some(0..10)),
            ("bytes=3-5", Some(3..6)),
            ("bytes=3-3", Some(3..4)),
            ("bytes=3-99", Some(3..10)),
            ("bytes=9-", Some(9..10)),
            ("bytes=10-", None),
            ("bytes=5-3", None),
            ("bytes=-3", None),
            ("bytes=0-1,3-4", None),
            ("bytes", None),
            ("bytes=x-", None),
        ] {
            assert_eq!(read(header, 10), expected, "{header}");
        }
        assert_eq!(read("bytes=0-", 0), None, "an empty file has no range");
    }
}
