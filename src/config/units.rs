//! Sizes, times and switches as people write them: `128M`, `1GiB`, `90s`, `10m`, `on`. What could mean two things is refused.

use std::time::Duration;

/// The units of sizes and their bytes. `M` means MiB, as in `dd` and `truncate`; `MB` is left out, because half of its
/// readers take it for something else.
const SIZES: [(&str, u64); 9] = [
    ("", 1),
    ("K", 1 << 10),
    ("KiB", 1 << 10),
    ("M", 1 << 20),
    ("MiB", 1 << 20),
    ("G", 1 << 30),
    ("GiB", 1 << 30),
    ("T", 1 << 40),
    ("TiB", 1 << 40),
];

/// The units of times and their milliseconds.
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// Parses what `--close` takes: whether it is answered from the local disk.
///
/// # Errors
/// Says what there is.
pub fn parse_close(text: &str) -> Result<bool, String> {
    match text {
        "local" => Ok(true),
        "remote" => Ok(false),
        _ => Err(format!("{text:?} is not a way to close: say remote or local")),
    }
}

/// Parses a number of bytes.
///
/// # Errors
/// Says how a size is written.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZES)
        .ok_or_else(|| format!("{text:?} is not a size: write bytes, or a number with K, M, G or T (128M)"))
}

/// Parses a time.
///
/// # Errors
/// Says how a time is written.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let milliseconds = if text == "0" { Some(0) } else { parse(text, &TIMES) };
    milliseconds
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a time: write a number with ms, s, m or h (90s, 10m)"))
}

/// Parses a choice between two things.
///
/// # Errors
/// Says how they are written.
pub fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text:?} is not a choice: write on or off")),
    }
}

/// A whole number and one of `units`, spelled in any case.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let number: u64 = digits.parse().ok()?;
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim_start()))?;
    number.checked_mul(*factor)
}

/// `bytes` as [`parse_size`] reads it, in the largest unit that is exact.
pub fn show_size(bytes: u64) -> String {
    let fits = |(name, factor): &&(&str, u64)| !name.contains('i') && bytes != 0 && bytes.is_multiple_of(*factor);
    let (name, factor) = SIZES.iter().rev().find(fits).unwrap_or(&SIZES[0]);
    format!("{}{name}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn switches() {
        assert_eq!((parse_switch("on"), parse_switch("off")), (Ok(true), Ok(false)));
        assert!(parse_switch("yes").unwrap_err().contains("write on or off"));
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("128M", 128 << 20),
            ("128m", 128 << 20),
            ("1MiB", 1 << 20),
            ("1 GiB", 1 << 30),
            ("64G", 64 << 30),
            ("2T", 2 << 40),
            ("3k", 3072),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "M", "-1", "1.5G", "1MB", "1 M B", "0x10", "１", "1M ", " 1", "16777216T", "99999999999999999999"]
        {
            assert!(parse_size(text).unwrap_err().contains("128M"), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, milliseconds) in
            [("0", 0), ("0s", 0), ("90s", 90_000), ("10m", 600_000), ("2h", 7_200_000), ("5ms", 5)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "90", "1d", "1.5s", "-1s", "s", "1m30s"] {
            assert!(parse_time(text).unwrap_err().contains("90s"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(bytes: u64, shift in 0..64u32) {
            let bytes = bytes >> shift << (shift / 2);
            prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn nothing_panics(text in ".{0,12}") {
            let _ = (parse_size(&text), parse_time(&text));
        }
    }
}
