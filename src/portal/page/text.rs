//! How names, sizes and times become text that can be shown, put into HTML, and put into a header. What is hostile in a
//! name ends here.

use axum::http::HeaderValue;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// To the minute: what was uploaded a second earlier stands lower in the list anyway.
const MOMENT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");

/// What stands for a character that must not be shown.
const MASK: char = '\u{FFFD}';

/// `name` with a mark in place of everything that cannot be seen or moves other characters about: control characters,
/// and the marks that turn the direction of writing, by which `exe.gpj` is made to look like something else. Joiners
/// stay: some scripts cannot be written without them.
pub(super) fn visible(name: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')
            || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{E0000}'..='\u{E007F}')
    };
    name.chars().map(|c| if is_unseen(c) { MASK } else { c }).collect()
}

/// `text` as HTML has it between tags and between quotes of either kind.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `text` with everything but the unreserved characters of RFC 3986 in percent-encoding.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The Content-Disposition (RFC 6266) by which a browser saves a file of this title: in ASCII, then as it is.
pub(super) fn attachment(title: &str) -> HeaderValue {
    let is_separator = |c: char| matches!(c, '/' | '\\' | MASK);
    let name = visible(title).replace(is_separator, "_");
    // `%` would be decoded by some browsers, a quote would end the name.
    let is_plain = |c: char| (c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '%');
    let ascii: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let text = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", percent_encoded(&name));
    text.parse().expect("it is made of printable ASCII")
}

/// `bytes` for people: the largest unit of which there is one, cut to tenths.
pub(in crate::portal) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return counted(bytes, "byte");
    }
    // 2^10 is in the first unit, 2^63 in the last.
    let unit = bytes.ilog2() / 10;
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit as usize - 1])
}

/// `count` with its noun: `1 file`, `2 files`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A moment for people, and for programs.
pub(super) fn moment(moment: OffsetDateTime) -> (String, String) {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    // A clock that was moved past the year 9999 has no such text.
    let program = moment.format(&Rfc3339).unwrap_or_default();
    (moment.format(MOMENT).expect("a moment has every part of the format"), program)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn what_cannot_be_seen_is_marked() {
        assert_eq!(visible("a\nb\r\tc\0\u{7f}\u{85}"), "a�b��c���");
        assert_eq!(visible("photo\u{202E}gpj.exe \u{2066}x\u{2069}\u{200F}\u{FEFF}"), "photo�gpj.exe �x���");
        for kept in ["Отчёт 1.pdf", "דוח.pdf", "می\u{200C}خواهم", "👩\u{200D}🔬.png", "<&>\"'"] {
            assert_eq!(visible(kept), kept);
        }
    }

    #[test]
    fn nothing_in_a_name_is_html() {
        let name = "<script>alert('1')</script>\" onload=\"x&lt;";
        let expected = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=&quot;x&amp;lt;";
        assert_eq!(escaped(name), expected);
        assert_eq!(escaped("Отчёт"), "Отчёт");
    }

    #[test]
    fn a_file_is_saved_under_its_name() {
        for (title, expected) in [
            ("a b.bin", "attachment; filename=\"a b.bin\"; filename*=UTF-8''a%20b.bin"),
            ("q\"100%.txt", "attachment; filename=\"q_100_.txt\"; filename*=UTF-8''q%22100%25.txt"),
            ("é;.txt", "attachment; filename=\"_;.txt\"; filename*=UTF-8''%C3%A9%3B.txt"),
            (
                "../\\x\r\nSet-Cookie: a",
                "attachment; filename=\"..__x__Set-Cookie: a\"; filename*=UTF-8''..__x__Set-Cookie%3A%20a",
            ),
            ("a\u{202E}b", "attachment; filename=\"a_b\"; filename*=UTF-8''a_b"),
        ] {
            assert_eq!(attachment(title), expected);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1535, "1.4 KiB"),
            ((1 << 20) - 1, "1023.9 KiB"),
            (1 << 20, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_moment_is_told_twice() {
        let told = moment(datetime!(2026-07-01 13:05:59 +03:00));
        assert_eq!(told, ("2026-07-01 10:05 UTC".to_owned(), "2026-07-01T10:05:59Z".to_owned()));
    }
}
