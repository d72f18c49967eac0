//! Names on a wiki. A wiki silently changes what it does not like in a name, and with `ignorewarnings=1` it does not
//! even say so; so the client computes the name, treats harmless changes as aliases and refuses all others.
//!
//! **Spelling.** A name is shown with underscores (`Annual_report.pdf`), as the wiki's listings, its upload answers and
//! its download addresses have it. Aliases of one file: a space or an underscore, the case of the first letter where the
//! wiki capitalises, and composed or decomposed accents.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Kind, Result};

/// The most bytes of a file name on a wiki.
const NAME_BYTES_MAX: usize = 240;
/// Extensions that MediaWiki forbids at every dot of a name (`$wgProhibitedFileExtensions` by default): what a browser or
/// a web server might run.
const PROHIBITED: [&str; 34] = [
    "html", "htm", "js", "jsb", "mhtml", "mht", "xhtml", "xht", "php", "phtml", "php3", "php4", "php5", "phps", "phar",
    "shtml", "jhtml", "pl", "py", "cgi", "exe", "scr", "dll", "msi", "vbs", "bat", "com", "pif", "cmd", "vxd", "cpl",
    "xml", // In later versions.
    "php7", "pht",
];
/// Languages whose wikis capitalise `i` as `İ`.
const DOTTED_CAPITAL_I: [&str; 3] = ["tr", "az", "kaa"];

/// The rules of one wiki.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Whether titles begin with whatever letter they were given.
    case_sensitive: bool,
    dotted_capital_i: bool,
    /// What may be uploaded; nothing is known when empty.
    extensions: BTreeSet<String>,
}

impl Names {
    /// Rules from what the wiki says about itself.
    pub(super) fn new(capitalises: bool, language: &str, extensions: BTreeSet<String>) -> Names {
        Names { case_sensitive: !capitalises, dotted_capital_i: DOTTED_CAPITAL_I.contains(&language), extensions }
    }

    /// The extensions the wiki takes; empty while not known.
    pub(super) fn extensions(&self) -> &BTreeSet<String> {
        &self.extensions
    }

    /// The name as the wiki files it.
    pub(super) fn canonical(&self, name: &str) -> String {
        let name: String = name.nfc().map(|c| if c == ' ' { '_' } else { c }).collect();
        let mut rest = name.chars();
        let Some(first) = rest.next() else { return name };
        let capital: String = match first {
            _ if self.case_sensitive => return name,
            'i' if self.dotted_capital_i => "İ".into(),
            first => first.to_uppercase().collect(),
        };
        // Upper case may compose anew with what follows.
        format!("{capital}{}", rest.as_str()).nfc().collect()
    }

    /// Whether the wiki would take `name` for exactly this title: what it would change or read as something else (a
    /// fragment, another namespace, two titles) names no file.
    pub(super) fn is_title(&self, name: &str) -> bool {
        change(&self.canonical(name)).is_none()
    }

    /// Whether a file of this name could be uploaded.
    ///
    /// # Errors
    /// `BadName`, `NameTooLong` or `Refused`, with a name that would work where there is one.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let canonical = self.canonical(name);
        if let Some(why) = change(&canonical) {
            let error = bad(Kind::BadName, format!("the wiki would not keep the name {name:?}: {why}"));
            return Err(match self.suggestion(name) {
                Some(better) => error.hint(format!("{better:?} would work")),
                None => error,
            });
        }
        if canonical.len() > NAME_BYTES_MAX {
            let len = canonical.len();
            return Err(bad(
                Kind::NameTooLong,
                format!("a name on a wiki has at most {NAME_BYTES_MAX} bytes, not {len}"),
            ));
        }
        self.check_extensions(&canonical)
    }

    /// Every part behind a dot counts for what is forbidden, the last one for what is allowed.
    fn check_extensions(&self, name: &str) -> Result<()> {
        let parts: Vec<String> = name.split('.').skip(1).map(str::to_lowercase).collect();
        let last = parts.last().map_or("", String::as_str);
        if last.is_empty() {
            return Err(self.refused(format!("{name:?} has no extension, and a wiki wants one")));
        }
        if parts.len() == 1 && name.starts_with('.') {
            return Err(bad(Kind::BadName, format!("{name:?} is nothing but an extension")));
        }
        if let Some(part) = parts.iter().find(|part| PROHIBITED.contains(&part.as_str())) {
            return Err(self.refused(format!("wikis never take files with .{part} in their name")));
        }
        if !self.extensions.is_empty() && !self.extensions.contains(last) {
            return Err(self.refused(format!("this wiki takes no .{last} files")));
        }
        Ok(())
    }

    fn refused(&self, what: String) -> Error {
        let error = bad(Kind::Refused, what);
        if self.extensions.is_empty() {
            return error;
        }
        let all: Vec<&str> = self.extensions.iter().map(String::as_str).collect();
        error.hint(format!("it takes {}", all.join(", ")))
    }

    /// A name near `name` that the wiki would keep.
    fn suggestion(&self, name: &str) -> Option<String> {
        let mut better = String::new();
        for c in name.nfc() {
            match c {
                ' ' | '_' if better.ends_with([' ', '_']) || better.is_empty() => {}
                c if is_blank(c) => better.push(' '),
                c if is_invisible(c) => {}
                c if is_forbidden(c) || c == '%' || c == '&' || c == '~' => better.push('-'),
                c => better.push(c),
            }
        }
        let better = better.trim_end_matches([' ', '_']).to_owned();
        // Not `check`: it makes suggestions itself, and one that cannot be mended would be mended for ever.
        (!better.is_empty() && change(&self.canonical(&better)).is_none()).then_some(better)
    }
}

fn bad(kind: Kind, what: String) -> Error {
    Error::new(kind, "name", what)
}

/// Characters that end a title, begin another namespace or are replaced by `-`.
fn is_forbidden(c: char) -> bool {
    matches!(c, '#' | '<' | '>' | '[' | ']' | '|' | '{' | '}' | ':' | '/' | '\\' | '\u{fffd}')
        || c.is_control()
        || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// Characters that a wiki drops from titles: marks of direction.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
}

/// Characters that a wiki turns into a space.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

/// Why the wiki would change the canonical name `name`, or refuse it as a title.
fn change(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("it is empty".into());
    }
    if let Some(c) = name.chars().find(|c| is_forbidden(*c)) {
        return Some(if c.is_control() { "it holds a control character".into() } else { format!("it holds {c:?}") });
    }
    if let Some(c) = name.chars().find(|c| is_invisible(*c) || is_blank(*c)) {
        return Some(format!("it holds {}, which wikis drop or replace", c.escape_unicode()));
    }
    if name.starts_with('_') || name.ends_with('_') {
        return Some("it begins or ends with a space or an underscore".into());
    }
    if name.contains("__") {
        return Some("it holds several spaces or underscores in a row".into());
    }
    if name == "." || name == ".." {
        return Some("it is a directory".into());
    }
    if name.contains("~~~") {
        return Some("it holds ~~~, which is a signature".into());
    }
    if has_percent_code(name) {
        return Some("it holds a % followed by two hexadecimal digits".into());
    }
    has_entity(name).then(|| "it holds an HTML entity".into())
}

fn has_percent_code(name: &str) -> bool {
    name.as_bytes().windows(3).any(|w| w[0] == b'%' && w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit())
}

/// `&name;`, `&#123;` or `&#xAB;`.
fn has_entity(name: &str) -> bool {
    name.split('&').skip(1).any(|after| {
        let Some((entity, _)) = after.split_once(';') else { return false };
        match (entity.strip_prefix("#x").or(entity.strip_prefix("#X")), entity.strip_prefix('#')) {
            (Some(digits), _) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
            (None, Some(digits)) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
            (None, None) => !entity.is_empty() && entity.chars().all(|c| c.is_ascii_alphanumeric() || !c.is_ascii()),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        let extensions = ["bin", "txt", "gz", "pdf"].map(str::to_owned);
        Names::new(true, "en", extensions.into())
    }

    #[test]
    fn aliases_are_one_file() {
        for (given, filed) in [
            ("report.txt", "Report.txt"),
            ("Report.txt", "Report.txt"),
            ("a b c.txt", "A_b_c.txt"),
            ("a_b c.txt", "A_b_c.txt"),
            ("ßa.bin", "SSa.bin"),
            ("e\u{301}.bin", "É.bin"),
            ("é.bin", "É.bin"),
            ("日本.bin", "日本.bin"),
            ("😀.bin", "😀.bin"),
            ("1a.bin", "1a.bin"),
            ("trail .bin", "Trail_.bin"),
        ] {
            assert_eq!(names().canonical(given), filed);
            names().check(given).unwrap();
        }
        let wiktionary = Names::new(false, "en", BTreeSet::new());
        assert_eq!(wiktionary.canonical("report x.txt"), "report_x.txt");
        assert_eq!(Names::new(true, "tr", BTreeSet::new()).canonical("izmir.txt"), "İzmir.txt");
    }

    #[test]
    fn what_the_wiki_keeps() {
        for name in [
            "a?b+c=d&e\"f'g*h.bin",
            "a.tar.gz",
            "a.b.c.d.bin",
            "a..bin",
            "..bin",
            "A.BIN",
            "100% sure.txt",
            "a&b;c.txt",
        ] {
            let known = Names::new(true, "en", BTreeSet::new());
            // "&b;" is an entity by its shape, whether or not it exists.
            assert_eq!(known.check(name).is_ok(), name != "a&b;c.txt", "{name}");
        }
    }

    #[test]
    fn what_the_wiki_would_change_is_refused_with_a_name_that_works() {
        for (name, better) in [
            ("a:b.bin", "a-b.bin"),
            ("a\\b.bin", "a-b.bin"),
            ("a#b.bin", "a-b.bin"),
            ("a<b>.bin", "a-b-.bin"),
            ("a[b].bin", "a-b-.bin"),
            ("a{b}|c.bin", "a-b--c.bin"),
            ("a\tb.bin", "a-b.bin"),
            ("File:q.bin", "File-q.bin"),
            ("a  b.bin", "a b.bin"),
            ("a__b.bin", "a_b.bin"),
            (" lead.bin", "lead.bin"),
            ("_lead.bin", "lead.bin"),
            ("a%41b.bin", "a-41b.bin"),
            ("a%20b.bin", "a-20b.bin"),
            ("a&amp;b.bin", "a-amp;b.bin"),
            ("a&#65;b.bin", "a--65;b.bin"),
            ("a~~~b.bin", "a---b.bin"),
            ("a\u{200e}b.bin", "ab.bin"),
            ("a\u{a0}b.bin", "a b.bin"),
            ("a.bin ", "a.bin"),
        ] {
            let error = names().check(name).unwrap_err();
            assert_eq!(error.kind, Kind::BadName, "{name:?}");
            assert!(error.to_string().contains(&format!("{better:?} would work")), "{name:?}: {error}");
            names().check(better).unwrap();
            assert!(!names().is_title(name), "{name:?}");
        }
    }

    #[test]
    fn extensions() {
        for (name, kind, word) in [
            ("name", Kind::Refused, "no extension"),
            ("a.bin.", Kind::Refused, "no extension"),
            ("a.xyz", Kind::Refused, "bin, gz, pdf, txt"),
            ("x.exe", Kind::Refused, ".exe"),
            ("x.php.bin", Kind::Refused, ".php"),
            ("x.PHP.bin", Kind::Refused, ".php"),
            (".bin", Kind::BadName, "extension"),
        ] {
            let error = names().check(name).unwrap_err();
            assert_eq!(error.kind, kind, "{name}");
            assert!(error.to_string().contains(word), "{name}: {error}");
        }
        names().check("php.bin").unwrap();
        names().check("a.PDF").unwrap();
        // Nothing is known yet: only what no wiki takes is refused.
        let unknown = Names::default();
        unknown.check("a.xyz").unwrap();
        unknown.check("a.exe").unwrap_err();
    }

    #[test]
    fn two_hundred_and_forty_bytes() {
        let name = |letters: usize| format!("{}.bin", "я".repeat(letters));
        names().check(&name(118)).unwrap();
        assert_eq!(names().check(&name(119)).unwrap_err().kind, Kind::NameTooLong);
    }

    proptest! {
        #[test]
        fn a_filed_name_files_as_itself(name in "\\PC{1,20}", capitalises: bool) {
            let names = Names::new(capitalises, "en", BTreeSet::new());
            let filed = names.canonical(&name);
            prop_assert_eq!(names.canonical(&filed), filed.clone());
            prop_assert_eq!(names.check(&name).is_ok(), names.check(&filed).is_ok());
        }

        /// Whatever a program comes up with gets an answer.
        #[test]
        fn any_name_is_judged(name in "[%&~a#41 _;\u{200e}.]{0,12}") {
            let _ = names().check(&name);
        }

        #[test]
        fn a_suggestion_works_or_is_not_made(name in "[ -~\u{a0}\u{200e}äß]{1,12}\\.txt") {
            if let Err(error) = names().check(&name)
                && let Some(hint) = error.hint
                && let Some((better, _)) = hint.split_once(" would work")
            {
                let better: String = serde_json::from_str(better).unwrap_or_default();
                prop_assert!(better.is_empty() || names().is_title(&better), "{:?} for {:?}", better, name);
            }
        }
    }
}
