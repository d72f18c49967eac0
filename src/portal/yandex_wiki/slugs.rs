//! Slugs: segments with slashes between them. What a segment may be is documented; what the server makes of slugs that are
//! given to it is not, and is a switch.

use super::names::latin;
use super::settings::SlugRule;

/// Whether `segment` is one by the documented expression, `(\w|\-)[\w\-\.:\+]*`.
fn is_segment(segment: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut characters = segment.chars();
    characters.next().is_some_and(is_word) && characters.all(|c| is_word(c) || matches!(c, '.' | ':' | '+'))
}

/// The slug that `given` becomes; `None` where it is none.
pub(super) fn normalised(given: &str, rule: SlugRule) -> Option<String> {
    // One slash at its end is in the documented expression, one at the beginning is not.
    let given = given.strip_suffix('/').unwrap_or(given);
    if !given.split('/').all(is_segment) {
        return None;
    }
    Some(match rule {
        SlugRule::AsIs => given.to_owned(),
        SlugRule::LowerCase => given.to_lowercase(),
        SlugRule::Latin => latin(&given.to_lowercase()),
    })
}

/// The slug above, if there is one.
pub(super) fn parent(slug: &str) -> Option<&str> {
    slug.rsplit_once('/').map(|(parent, _)| parent)
}

/// The slugs from the first segment on, without the whole.
pub(super) fn ancestors(slug: &str) -> impl Iterator<Item = &str> {
    slug.match_indices('/').map(|(at, _)| &slug[..at])
}

/// Whether `slug` lies below `above`; everything lies below the empty one.
pub(super) fn is_below(slug: &str, above: &str) -> bool {
    above.is_empty() || slug.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// A page's slug and the name of a file in the URL of an attachment, `<slug>/.files/<name>`, by the documented expression.
pub(super) fn split_url(url: &str) -> Option<(&str, &str)> {
    let (tag, name) = url.split_once("/.files/")?;
    let plain = tag.strip_suffix('/').unwrap_or(tag);
    let (first, rest) = plain.split_once('/').map_or((plain, None), |(first, rest)| (first, Some(rest)));
    let is_template = first
        .strip_prefix(".templates.")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    let fits = (is_template || is_segment(first)) && rest.is_none_or(|rest| rest.split('/').all(is_segment));
    (fits && !name.is_empty() && !name.contains('\n')).then_some((plain, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_words() {
        for good in ["homepage", "users/login/notes", "users/ян/заметки", "-a", "_", "a.b:c+d", "1/2", "a/"] {
            assert!(normalised(good, SlugRule::AsIs).is_some(), "{good}");
        }
        for bad in ["", "/", "/a", "a//b", "a//", "a b", ".a", "a/.b", "+a", "a/b c", "a?", "a\n", "ё́"] {
            assert_eq!(normalised(bad, SlugRule::AsIs), None, "{bad}");
        }
    }

    #[test]
    fn a_rule_makes_a_slug_of_what_was_given() {
        let given = "Users/Ян/Заметки.2/";
        assert_eq!(normalised(given, SlugRule::AsIs).unwrap(), "Users/Ян/Заметки.2");
        assert_eq!(normalised(given, SlugRule::LowerCase).unwrap(), "users/ян/заметки.2");
        assert_eq!(normalised(given, SlugRule::Latin).unwrap(), "users/jan/zametki.2");
    }

    #[test]
    fn the_tree_is_in_the_slugs() {
        assert_eq!((parent("a/b/c"), parent("a")), (Some("a/b"), None));
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert!(is_below("a/b", "a") && is_below("a", "") && is_below("a/b/c", "a"));
        assert!(!is_below("a", "a") && !is_below("ab", "a") && !is_below("a", "a/b"));
    }

    #[test]
    fn urls_of_files_fit_their_expression() {
        for (url, expected) in [
            ("a/.files/x.png", Some(("a", "x.png"))),
            ("a/b/.files/x y/z", Some(("a/b", "x y/z"))),
            ("a//.files/x", Some(("a", "x"))),
            (".templates.12/a/.files/x", Some((".templates.12/a", "x"))),
            ("/a/.files/x", None),
            ("a/.files/", None),
            ("a/x", None),
            (".templates/.files/x", None),
            (".hidden/.files/x", None),
            ("", None),
        ] {
            assert_eq!(split_url(url), expected, "{url}");
        }
    }
}
