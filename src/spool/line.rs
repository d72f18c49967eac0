//! One line of the journal: a value as JSON behind the checksum of its bytes. A line that was torn by a power cut, or
//! altered since, is not a line.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Digits of the checksum.
const SUM_DIGITS: usize = 8;

/// `value` as a line, its end included.
pub(super) fn encode(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    Ok(format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes())))
}

/// The value of a line without its end; `None` when it is none.
pub(super) fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = line.get(SUM_DIGITS + 1..).filter(|_| line[SUM_DIGITS] == b' ')?;
    let sum = std::str::from_utf8(&line[..SUM_DIGITS]).ok()?;
    (u32::from_str_radix(sum, 16).ok()? == crc32fast::hash(text)).then(|| serde_json::from_slice(text).ok())?
}

/// The complete lines of `bytes`; what is behind the last end of a line was torn off.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
    bytes[..end].split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_back() {
        let line = encode(&("a\nb", 7)).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(decode::<(String, u32)>(line.trim_end().as_bytes()), Some(("a\nb".into(), 7)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let line = encode(&["some", "thing"]).unwrap().into_bytes();
        let line = &line[..line.len() - 1];
        for bit in 0..line.len() * 8 {
            let mut broken = line.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            let read = decode::<Vec<String>>(&broken);
            // A checksum in capital letters is the same number.
            assert!(read.is_none() || bit / 8 < SUM_DIGITS && broken.eq_ignore_ascii_case(line), "bit {bit}");
        }
        (0..line.len()).for_each(|end| assert!(decode::<Vec<String>>(&line[..end]).is_none(), "cut at {end}"));
    }

    #[test]
    fn what_was_torn_off_is_not_a_line() {
        let found: Vec<&[u8]> = lines(b"one\ntwo\nthr").collect();
        assert_eq!(found, [b"one".as_slice(), b"two"]);
        assert_eq!(lines(b"thr").count(), 0);
        assert_eq!(lines(b"").count(), 0);
    }
}
