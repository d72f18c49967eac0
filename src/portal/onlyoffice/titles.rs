//! What becomes of titles: invalid characters, lengths, extensions, comparison. Lengths are counted in UTF-16 units, as
//! the servers count them.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::config::Collation;

/// The longest title of an upload; longer ones are cut.
const TITLE_UNITS_MAX: usize = 170;
/// The longest title of a folder, or of a rename; longer ones are refused.
pub(super) const GIVEN_TITLE_UNITS_MAX: usize = 165;
/// An extension up to about this long survives the cut.
const KEPT_EXTENSION_UNITS: usize = 20;
/// What no title may have, beside everything outside of the first plane of Unicode.
const INVALID: &str = "\t*+:\"<>?|\\/";

/// The title that a session or a new folder gets for what was asked: trimmed, cut, and without invalid characters.
pub(super) fn sanitize(title: &str) -> String {
    let units: Vec<u16> = title.trim().encode_utf16().collect();
    let units = cut(units);
    // Halves of a pair are two characters to the servers, and neither is valid.
    let character = |unit: u16| char::from_u32(u32::from(unit)).filter(|c| !INVALID.contains(*c)).unwrap_or('_');
    units.into_iter().map(character).collect()
}

fn cut(mut units: Vec<u16>) -> Vec<u16> {
    if units.len() <= TITLE_UNITS_MAX {
        return units;
    }
    let dot = units.iter().rposition(|unit| *unit == u16::from(b'.'));
    match dot {
        Some(dot) if dot > TITLE_UNITS_MAX - KEPT_EXTENSION_UNITS && units.len() - dot <= TITLE_UNITS_MAX => {
            let extension = units.split_off(dot);
            units.truncate(TITLE_UNITS_MAX - extension.len());
            units.extend(extension);
        }
        _ => units.truncate(TITLE_UNITS_MAX),
    }
    units
}

/// Whether a title is too long for a folder or a rename.
pub(super) fn is_too_long(title: &str) -> bool {
    title.encode_utf16().count() > GIVEN_TITLE_UNITS_MAX
}

/// The extension with its dot, as written; empty without one, and for a dot at the end.
pub(super) fn extension(title: &str) -> &str {
    match title.rfind('.') {
        Some(dot) if dot + 1 < title.len() => &title[dot..],
        _ => "",
    }
}

/// The title without its extension, and without a dot at its end.
pub(super) fn stem(title: &str) -> &str {
    title.rfind('.').map_or(title, |dot| &title[..dot])
}

/// The title as a save stores it: the extension in lower case, and always a dot.
pub(super) fn saved(title: &str) -> String {
    let extension = extension(title).trim_start_matches('.').to_lowercase();
    format!("{}.{extension}", stem(title))
}

/// The title after a rename of `old` to `wanted`: the extension cannot change, but a title without one can get one.
pub(super) fn renamed(old: &str, wanted: &str) -> String {
    let kept = extension(old);
    if kept.is_empty() || kept.eq_ignore_ascii_case(extension(wanted)) {
        wanted.to_owned()
    } else {
        format!("{wanted}{kept}")
    }
}

/// `title` with a number before its extension: `a (1).bin`.
pub(super) fn numbered(title: &str, number: u32) -> String {
    let extension = extension(title);
    let stem = &title[..title.len() - extension.len()];
    format!("{stem} ({number}){extension}")
}

/// Whether a database takes two titles for one.
pub(super) fn same(a: &str, b: &str, collation: Collation) -> bool {
    // Most titles are ASCII, and a folder has many.
    if collation == Collation::Mysql && a.is_ascii() && b.is_ascii() {
        return a.trim_end_matches(' ').eq_ignore_ascii_case(b.trim_end_matches(' '));
    }
    key(a, collation) == key(b, collation)
}

/// What two equal titles have in common.
fn key(title: &str, collation: Collation) -> String {
    match collation {
        Collation::Postgres => title.to_owned(),
        Collation::Mysql => {
            let plain = title.trim_end_matches(' ').nfd().filter(|character| !is_combining_mark(*character));
            plain.flat_map(char::to_uppercase).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_characters_become_underscores() {
        assert_eq!(sanitize(" a\tb*c+d:e\"f<g>h?i|j\\k/l.bin "), "a_b_c_d_e_f_g_h_i_j_k_l.bin");
        assert_eq!(sanitize("wow 🎉.txt"), "wow __.txt");
        assert_eq!(sanitize("Grüße.txt"), "Grüße.txt");
    }

    #[test]
    fn long_titles_are_cut_before_a_short_extension() {
        let title = format!("{}.tar", "ü".repeat(200));
        assert_eq!(sanitize(&title), format!("{}.tar", "ü".repeat(166)));
        assert_eq!(sanitize(&"x".repeat(171)), "x".repeat(170));
        assert_eq!(sanitize(&format!("a.{}", "b".repeat(300))), format!("a.{}", "b".repeat(168)));
        assert_eq!(sanitize(&format!("{}.{}", "a".repeat(200), "b".repeat(300))).len(), 170);
        assert!(is_too_long(&"ü".repeat(166)) && !is_too_long(&"ü".repeat(165)) && is_too_long(&"🎉".repeat(83)));
    }

    #[test]
    fn saving_lowers_the_extension_and_adds_a_dot() {
        for (title, expected) in [
            ("Photo.JPG", "Photo.jpg"),
            ("README", "README."),
            ("README.", "README."),
            ("a.TAR.GZ", "a.TAR.gz"),
            (".bashrc", ".bashrc"),
            ("x.ÄÖ", "x.äö"),
        ] {
            assert_eq!(saved(title), expected);
        }
    }

    #[test]
    fn a_rename_keeps_the_extension() {
        for (old, wanted, expected) in [
            ("x.tmp", "x.txt", "x.txt.tmp"),
            ("x.tmp", "y.TMP", "y.TMP"),
            ("x.tmp", "y", "y.tmp"),
            ("README.", "notes.md", "notes.md"),
            ("README.", "notes", "notes"),
        ] {
            assert_eq!(renamed(old, wanted), expected);
        }
    }

    #[test]
    fn numbers_stand_before_the_extension() {
        assert_eq!(numbered("a.b.bin", 1), "a.b (1).bin");
        assert_eq!(numbered("README", 2), "README (2)");
    }

    #[test]
    fn databases_compare_differently() {
        assert!(same("Résumé.PDF", "resume.pdf", Collation::Mysql));
        assert!(same("a ", "A", Collation::Mysql) && !same("a", "b", Collation::Mysql));
        assert!(!same("a", "A", Collation::Postgres) && same("a", "a", Collation::Postgres));
    }
}
