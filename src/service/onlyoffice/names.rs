//! Names and titles. A portal stores a file's title with its extension in lower case, and with a dot at the end where
//! there is none; titles need not be unique, and its database may compare them without case and accents. Pure.
//!
//! A *title* is what the portal stores, a *name* what the mount shows: `README` is the name of the title `README.`.
//! Names that differ only in the case of the extension are one file ([`canonical`]). Anything else that a portal would
//! change is refused ([`check`]).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, Kind, Result};
use crate::path::is_entry_name;
use crate::service::twins;

/// The longest title of an upload, in UTF-16 units; longer ones are cut without a word.
const TITLE_UNITS_MAX: usize = 170;
/// The longest title that a folder or a rename may get; longer ones are refused.
const GIVEN_UNITS_MAX: usize = 165;
/// Characters that a portal replaces, beside everything outside of the first plane of Unicode.
const REPLACED: &str = "\t*+:\"<>?|\\/";
/// What the id of a title begins with that a file has only on its way to another one.
const INTERIM: &str = "upload-";
/// The operation, in errors.
const OP: &str = "name";

/// The name that stands for all spellings of `name`.
pub(super) fn canonical(name: &str) -> String {
    let name = shown(name);
    match name.rfind('.') {
        Some(dot) if name[dot..].chars().any(|c| lower(c) != c) => {
            name[..dot].chars().chain(name[dot..].chars().map(lower)).collect()
        }
        _ => name.to_owned(),
    }
}

/// The title under which a portal stores a file of this name.
pub(super) fn title_of(name: &str) -> String {
    let name = canonical(name);
    if name.contains('.') { name } else { format!("{name}.") }
}

/// The name of a title: without the dot that stands for "no extension". A dot after another one is part of the name.
pub(super) fn shown(title: &str) -> &str {
    match title.strip_suffix('.') {
        Some(stem) if !stem.is_empty() && !stem.contains('.') => stem,
        _ => title,
    }
}

/// The extension with its dot, in lower case; empty where there is none.
pub(super) fn extension(title: &str) -> String {
    match title.rfind('.') {
        Some(dot) if dot + 1 < title.len() => title[dot..].chars().map(lower).collect(),
        _ => String::new(),
    }
}

/// What two titles have in common that a portal's database may take for one: case, accents and blanks at the end do not
/// count in MySQL, and a sharp s is one s or two, by the collation. More titles count as one here than in any database,
/// never fewer.
pub(super) fn fold(title: &str) -> String {
    let plain = title.trim_end().nfkd().filter(|c| !is_combining_mark(*c));
    // Up first: several small letters have one capital.
    let mut folded: Vec<char> = plain.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    folded.dedup_by(|a, b| *a == 's' && *b == 's');
    folded.into_iter().collect()
}

/// Whether `title` is `wanted` with a number: `a (1).txt`.
pub(super) fn is_numbered(title: &str, wanted: &str) -> bool {
    // Most titles are not: folders are large, and are gone through for each file.
    if !title.contains(" (") {
        return false;
    }
    let extension = extension(wanted);
    let stem = |title: &str| fold(title).strip_suffix(&fold(&extension)).map(str::to_owned);
    let (Some(title), Some(wanted)) = (stem(title), stem(wanted.trim_end_matches('.'))) else { return false };
    let rest = title.trim_end_matches('.').strip_prefix(&wanted).and_then(|rest| rest.strip_prefix(" ("));
    let number = rest.and_then(|rest| rest.strip_suffix(')'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A name that can be shown for an entry that is not the first of its title, or whose title is no file name.
pub(super) fn with_id(title: &str, id: &str) -> String {
    twins::with_id(shown(title), id)
}

/// A title that nothing has, for a file on its way to `title`.
pub(super) fn interim(title: &str) -> String {
    with_id(title, &format!("{INTERIM}{:08x}", fastrand::u32(..)))
}

/// Whether `found` is a title of [`interim`] on the way to `title`.
pub(super) fn is_interim(found: &str, title: &str) -> bool {
    let id = twins::id_in(found).filter(|id| id.starts_with(INTERIM));
    id.is_some_and(|id| fold(found) == fold(&with_id(title, id)))
}

/// Whether a title can be shown as it is.
pub(super) fn can_be_shown(title: &str) -> bool {
    is_entry_name(shown(title))
}

/// Whether a portal keeps this name.
///
/// # Errors
/// `BadName`, `NameTooLong`.
pub(super) fn check(name: &str) -> Result<()> {
    let refuse = |what: String, hint: &'static str| Err(Error::new(Kind::BadName, OP, what).hint(hint));
    if let Some(bad) = name.chars().find(|c| REPLACED.contains(*c)) {
        let hint = "the portal would replace it: none of * + : \" < > ? | \\ can be part of a name";
        return refuse(format!("{name:?} has the character {bad:?}"), hint);
    }
    if let Some(bad) = name.chars().find(|c| c.len_utf16() > 1) {
        return refuse(
            format!("{name:?} has the character {bad:?}"),
            "the portal would replace it: write it in letters",
        );
    }
    if name.trim() != name {
        return refuse(format!("{name:?} begins or ends with a blank"), "the portal would drop it");
    }
    let units = title_of(name).encode_utf16().count();
    if units > TITLE_UNITS_MAX {
        let what = format!("the name has {units} characters, the portal takes {TITLE_UNITS_MAX}");
        return Err(Error::new(Kind::NameTooLong, OP, what));
    }
    Ok(())
}

/// Whether a portal gives this title to a folder, or to an entry that is renamed.
///
/// # Errors
/// As [`check`].
pub(super) fn check_given(title: &str) -> Result<()> {
    check(title)?;
    let units = title.encode_utf16().count();
    if units > GIVEN_UNITS_MAX {
        let what = format!("the name has {units} characters; a folder or a renamed file has at most {GIVEN_UNITS_MAX}");
        return Err(Error::new(Kind::NameTooLong, OP, what));
    }
    Ok(())
}

/// One character to one, as the servers do it.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_and_its_title() {
        for (name, canonical_name, title) in [
            ("report.pdf", "report.pdf", "report.pdf"),
            ("Photo.JPG", "Photo.jpg", "Photo.jpg"),
            ("README", "README", "README."),
            ("README.", "README", "README."),
            ("a.tar.GZ", "a.tar.gz", "a.tar.gz"),
            (".Bashrc", ".bashrc", ".bashrc"),
            ("a.b.", "a.b.", "a.b."),
            ("README..", "README..", "README.."),
            ("Отчёт.ДОК", "Отчёт.док", "Отчёт.док"),
            ("v1.0-RC", "v1.0-rc", "v1.0-rc"),
        ] {
            assert_eq!(canonical(name), canonical_name);
            assert_eq!(title_of(name), title);
        }
    }

    #[test]
    fn what_would_be_changed_is_refused() {
        let hard =
            ["a*b", "a+b", "a:b", "a\"b", "a<b", "a>b", "a?b", "a|b", "a\\b", "a\tb", " a", "a ", "party 🎉.txt"];
        for name in hard {
            assert_eq!(check(name).unwrap_err().kind, Kind::BadName, "{name:?}");
        }
        for name in ["a b.txt", "a&b;c=d'%20#{}[]~^`$.txt", "..dots..", "e\u{301}toile", "日本語"] {
            check(name).unwrap();
        }
    }

    #[test]
    fn lengths_count_as_the_portal_counts() {
        check(&format!("{}.txt", "ü".repeat(166))).unwrap();
        assert_eq!(check(&format!("{}.txt", "ü".repeat(167))).unwrap_err().kind, Kind::NameTooLong);
        assert_eq!(check(&"x".repeat(170)).unwrap_err().kind, Kind::NameTooLong, "the dot counts");
        check_given(&"x".repeat(165)).unwrap();
        assert_eq!(check_given(&"x".repeat(166)).unwrap_err().kind, Kind::NameTooLong);
    }

    #[test]
    fn what_a_database_takes_for_one() {
        assert_eq!(fold("Report.PDF"), fold("report.pdf"));
        for (a, b) in [("Straße", "strasse"), ("Straße", "STRASE"), ("ΛΌΓΟΣ", "Λόγος"), ("ıI", "Ii"), ("ﬁn", "FIN")]
        {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_eq!(fold("Grüße.txt "), fold("grusse.TXT"));
        assert_eq!(fold("Élan."), fold("elan."));
        assert_ne!(fold("a.txt"), fold("b.txt"));
    }

    #[test]
    fn a_twin_has_a_name_of_its_own() {
        assert_eq!(with_id("report.pdf", "77"), "report (id 77).pdf");
        assert_eq!(with_id("README.", "77"), "README (id 77)");
    }

    #[test]
    fn an_interim_title_leads_to_the_one_it_is_for() {
        for title in ["report.pdf", "README.", "a (id 5).txt", "Élan.TXT"] {
            let interim = interim(title);
            assert!(is_interim(&interim, title), "{interim}");
            assert!(!is_interim(&interim, "other.pdf") && !is_interim(title, title), "{interim}");
        }
        assert!(!is_interim("report (id 77).pdf", "report.pdf"));
    }

    #[test]
    fn a_numbered_title_is_recognised() {
        for (title, wanted) in
            [("a (1).txt", "a.txt"), ("A (12).TXT", "a.txt"), ("README (1).", "README."), ("x.y (3).z", "x.y.z")]
        {
            assert!(is_numbered(title, wanted), "{title} {wanted}");
        }
        for (title, wanted) in
            [("a (1).txt", "a.pdf"), ("a (b).txt", "a.txt"), ("a.txt", "a.txt"), ("ab (1).txt", "a.txt")]
        {
            assert!(!is_numbered(title, wanted), "{title} {wanted}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_name_stands_for_itself(name in "[A-Za-zäÖßİΣ. ]{1,12}") {
            let once = canonical(&name);
            prop_assert_eq!(canonical(&once), once.clone());
            // What the portal makes of it leads back to it.
            prop_assert_eq!(canonical(&title_of(&once)), once);
        }

        #[test]
        fn whatever_a_portal_sends_can_be_shown(title in "\\PC{0,200}", id in "\\PC{1,300}") {
            prop_assert!(is_entry_name(&with_id(&title, &id)), "{}", with_id(&title, &id));
        }
    }
}
