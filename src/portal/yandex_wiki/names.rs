//! Names, sizes and types of attachments as the wiki tells them: a name as it was sent, a URL that it makes unique, a size
//! of two decimals, a type by the extension.

use super::settings::UrlNames;

/// Bytes of what the wiki calls a megabyte.
const MEGABYTE: f64 = 1_048_576.0;

/// The size as it is told: megabytes with two decimals.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / MEGABYTE)
}

/// The letters of Cyrillic from `а` to `я` in Latin.
const LATIN: [&str; 32] = [
    "a", "b", "v", "g", "d", "e", "zh", "z", "i", "j", "k", "l", "m", "n", "o", "p", "r", "s", "t", "u", "f", "h", "c",
    "ch", "sh", "shh", "", "y", "", "e", "ju", "ja",
];

/// `text` with Latin letters for Cyrillic ones; everything else stays.
pub(super) fn latin(text: &str) -> String {
    let letter = |c: char| {
        let small = c.to_lowercase().next().unwrap_or(c);
        let found = match small {
            'а'..='я' => LATIN[small as usize - 'а' as usize],
            'ё' => "e",
            _ => return c.to_string(),
        };
        match (c == small, found.split_at_checked(1)) {
            (false, Some((first, rest))) => first.to_uppercase() + rest,
            _ => found.to_owned(),
        }
    };
    text.chars().map(letter).collect()
}

/// What a name begins as in a URL.
fn url_base(name: &str, rule: UrlNames) -> String {
    match rule {
        UrlNames::AsIs => name.to_owned(),
        UrlNames::Latin => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            latin(name).chars().map(|c| if is_plain(c) { c } else { '-' }).collect()
        }
    }
}

/// The name of a file in its URL, which no other file of the page has: `foo.png`, `foo-1.png`, `foo-2.png`.
pub(super) fn url_name(name: &str, rule: UrlNames, is_taken: impl Fn(&str) -> bool) -> String {
    let base = url_base(name, rule);
    let (stem, extension) = match base.rfind('.') {
        Some(at) if at > 0 => base.split_at(at),
        _ => (base.as_str(), ""),
    };
    let numbered = (1..).map(|number: u64| format!("{stem}-{number}{extension}"));
    let mut candidates = std::iter::once(base.clone()).chain(numbered);
    candidates.find(|candidate| !is_taken(candidate)).expect("a page does not have every name")
}

/// Types by extension; a real wiki knows more of them.
const TYPES: [(&str, &str); 14] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("mp4", "video/mp4"),
];

/// The media type by the name.
pub(super) fn mime(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_lowercase();
    TYPES.iter().find(|(known, _)| *known == extension).map_or("application/octet-stream", |(_, mime)| mime)
}

/// What is wrong with the name of a file, if anything is.
pub(super) fn wrong(name: &str, chars_max: usize, any: bool) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("the name is empty")
    } else if name.chars().count() > chars_max {
        Some("the name is too long")
    } else if !any && name.contains(|c: char| c == '/' || c.is_control()) {
        Some("the name has a slash or a control character")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_megabytes_with_two_decimals() {
        for (bytes, expected) in [
            (0, "0.00"),
            (30, "0.00"),
            (5 * 1024, "0.00"),
            (5300, "0.01"),
            (300_000, "0.29"),
            (1 << 20, "1.00"),
            (2_139_095, "2.04"),
            (200_000_000, "190.73"),
        ] {
            assert_eq!(megabytes(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn urls_are_unique_and_names_are_not() {
        let taken = ["foo.png", "foo-1.png", "README"];
        let free = |name| url_name(name, UrlNames::Latin, |candidate| taken.contains(&candidate));
        assert_eq!(free("foo.png"), "foo-2.png");
        assert_eq!(free("bar.png"), "bar.png");
        assert_eq!(free("README"), "README-1");
        assert_eq!(free(".bashrc"), ".bashrc");
        assert_eq!(free("Отчёт за май.pdf"), "Otchet-za-maj.pdf");
        assert_eq!(free("a b/c"), "a-b-c");
        assert_eq!(url_name("Отчёт 1.pdf", UrlNames::AsIs, |_| false), "Отчёт 1.pdf");
    }

    #[test]
    fn letters_become_latin() {
        assert_eq!(latin("Щука, объём Ю ё – x"), "Shhuka, obem Ju e – x");
        assert_eq!(latin("日本"), "日本");
    }

    #[test]
    fn types_are_told_by_the_extension() {
        assert_eq!(
            (mime("a.PNG"), mime("b.tar.zip"), mime("c"), mime("d.")),
            ("image/png", "application/zip", "application/octet-stream", "application/octet-stream")
        );
    }

    #[test]
    fn names_have_limits() {
        assert_eq!(wrong("a b ё?.txt", 255, false), None);
        for name in ["", " ", "a/b", "a\nb", "\u{7f}"] {
            assert!(wrong(name, 255, false).is_some(), "{name:?}");
        }
        assert!(wrong(&"ё".repeat(255), 255, false).is_none() && wrong(&"ё".repeat(256), 255, false).is_some());
        assert_eq!(wrong("a/b", 255, true), None);
    }
}
