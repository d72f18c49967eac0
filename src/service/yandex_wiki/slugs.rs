//! Slugs: the addresses of pages, which are the directories of a mount. Pure.
//!
//! A slug is segments with slashes between them. A segment begins with a letter of any script, a digit, `_` or `-`, and goes
//! on with these and `.`, `:`, `+`. The service makes slugs of what it is given by a rule that nobody knows: what it answers
//! counts, and what is given is never repaired here.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;

/// The operation, in errors.
const OP: &str = "name";

/// Whether `name` can be the segment of a slug.
pub(super) fn is_segment(name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut letters = name.chars();
    letters.next().is_some_and(is_word) && letters.all(|c| is_word(c) || matches!(c, '.' | ':' | '+'))
}

/// Whether a page can be named so.
///
/// # Errors
/// `BadName`, with what would work.
pub(super) fn check_segment(name: &str) -> Result<()> {
    if is_segment(name) {
        return Ok(());
    }
    let error = Error::new(Kind::BadName, OP, format!("{name:?} cannot be the address of a page"));
    Err(error.hint("letters and digits of any script, _ and -; after the first one also . : and +; no spaces"))
}

/// The slug that a configured text means: a slug, with or without slashes around it, or the address of the page in a
/// browser.
///
/// # Errors
/// `BadName` for what is neither.
pub(super) fn parse_root(text: &str) -> Result<String> {
    let path = match Url::parse(text) {
        Ok(url) if url.has_host() => percent_decoded(url.path()),
        _ => text.to_owned(),
    };
    let slug = path.trim_matches('/');
    for segment in slug.split('/') {
        check_segment(segment)?;
    }
    Ok(slug.to_owned())
}

/// The slug of what stands at `path` below `root`, as it was typed.
pub(super) fn join(root: &str, path: &RemotePath) -> String {
    match path.is_root() {
        true => root.to_owned(),
        false => format!("{root}/{}", path.as_str()),
    }
}

/// Whether every name on the way to `path`, and its own, can be the segment of a slug.
pub(super) fn is_slug(path: &RemotePath) -> bool {
    path.is_root() || path.as_str().split('/').all(is_segment)
}

/// The last segment.
pub(super) fn last(slug: &str) -> &str {
    slug.rsplit_once('/').map_or(slug, |(_, last)| last)
}

/// Everything but the last segment.
pub(super) fn parent(slug: &str) -> Option<&str> {
    slug.rsplit_once('/').map(|(parent, _)| parent)
}

/// What stands between `above` and the end of `slug`, if it lies below.
pub(super) fn below<'a>(slug: &'a str, above: &str) -> Option<&'a str> {
    slug.strip_prefix(above)?.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// `text` with its `%` sequences decoded; as it is where that makes no text.
pub(super) fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_those_of_the_documented_expression() {
        for good in ["notes", "заметки", "2026", "_x", "-x", "a.b", "a:b", "a+b", "v1.0-rc+2"] {
            check_segment(good).unwrap();
        }
        for bad in ["", ".a", "+a", ":a", "a b", " a", "a/b", "a?", "a\n", "ё\u{301}", "a,b"] {
            let error = check_segment(bad).unwrap_err();
            assert_eq!(error.kind, Kind::BadName, "{bad:?}");
            assert!(error.to_string().contains("letters and digits"), "{error}");
        }
    }

    #[test]
    fn a_root_is_a_slug_or_the_address_of_a_page() {
        for (text, slug) in [
            ("users/me/notes", "users/me/notes"),
            ("/homepage/", "homepage"),
            ("https://wiki.yandex.ru/tech-doc/ml/", "tech-doc/ml"),
            ("https://wiki.yandex.ru/%D0%B7%D0%B0%D0%BC%D0%B5%D1%82%D0%BA%D0%B8", "заметки"),
        ] {
            assert_eq!(parse_root(text).unwrap(), slug);
        }
        for bad in ["", "/", "a//b", "a b", "../x", "https://wiki.yandex.ru/"] {
            parse_root(bad).unwrap_err();
        }
    }

    #[test]
    fn the_tree_is_in_the_slugs() {
        let path = RemotePath::parse("a/b").unwrap();
        assert_eq!(join("root", &path), "root/a/b");
        assert_eq!(join("root", &RemotePath::root()), "root");
        assert_eq!((last("a/b/c"), parent("a/b/c"), parent("a")), ("c", Some("a/b"), None));
        assert_eq!((below("a/b/c", "a"), below("ab", "a"), below("a", "a")), (Some("b/c"), None, None));
        assert!(is_slug(&path) && !is_slug(&RemotePath::parse("a/b c").unwrap()) && is_slug(&RemotePath::root()));
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(percent_decoded("a%20b%"), "a b%");
        assert_eq!(percent_decoded("%zz%C3"), "%zz%C3");
        assert_eq!(percent_decoded("100%25"), "100%");
    }
}
