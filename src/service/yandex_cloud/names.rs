//! Names. The service has one flat folder of files whose names need not be unique, may be empty and may hold anything; a
//! `/` in a name makes directories of it here. Pure.

use crate::error::{Error, Kind, Result};
use crate::path::{NAME_BYTES_MAX, RemotePath, is_entry_name};

/// What comes before the id in the name of a file that cannot be shown by its own.
const BEFORE_ID: &str = " (id ";
/// What a file without a name is called, before its id.
const NAMELESS: &str = "unnamed";

/// Where a file of the service stands in a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At this path, if nothing else has it.
    At(RemotePath),
    /// Its name is no path: at the root, by name and id.
    Odd,
    /// Outside of what is mounted.
    Elsewhere,
}

/// Where the file `name` stands in a mount of `root`.
pub(super) fn place(root: &RemotePath, name: &str) -> Place {
    let below = match root.is_root() {
        true => Some(name),
        false => name.strip_prefix(root.as_str()).and_then(|rest| rest.strip_prefix('/')),
    };
    let Some(below) = below else { return Place::Elsewhere };
    match RemotePath::parse(below) {
        Ok(path) if path.as_str() == below && !path.is_root() => Place::At(path),
        _ => Place::Odd,
    }
}

/// The name on the service of what stands at `path` in a mount of `root`.
pub(super) fn stored(root: &RemotePath, path: &RemotePath) -> String {
    match root.is_root() {
        true => path.as_str().to_owned(),
        false => format!("{}/{}", root.as_str(), path.as_str()),
    }
}

/// A name that can be shown for a file that is not the newest of its name, or whose name is none: with its id.
pub(super) fn with_id(name: &str, id: &str) -> String {
    let last = name.trim_matches('/').rsplit('/').next().unwrap_or_default();
    let plain: String = last.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let plain = if plain.is_empty() { NAMELESS.to_owned() } else { plain };
    let (stem, extension) = match plain.rfind('.') {
        Some(dot) if dot > 0 && plain.len() - dot <= 20 => plain.split_at(dot),
        _ => (plain.as_str(), ""),
    };
    let suffix = format!("{BEFORE_ID}{id}){extension}");
    let mut stem = stem;
    while !stem.is_empty() && stem.len() + suffix.len() > NAME_BYTES_MAX {
        stem = &stem[..stem.char_indices().next_back().map_or(0, |(at, _)| at)];
    }
    format!("{stem}{suffix}")
}

/// The id in a name that was made by [`with_id`].
pub(super) fn id_in(name: &str) -> Option<&str> {
    let (_, rest) = name.rsplit_once(BEFORE_ID)?;
    let (id, _) = rest.split_once(')')?;
    (!id.is_empty()).then_some(id)
}

/// Whether a file of this path can be made.
///
/// # Errors
/// `BadName`; `NameTooLong`.
pub(super) fn check(path: &RemotePath, in_a_form: bool) -> Result<()> {
    let refuse = |what: String| Err(Error::new(Kind::BadName, "name", what));
    if path.is_root() {
        return refuse("the root is not a file".to_owned());
    }
    if let Some(bad) = path.as_str().split('/').find(|name| !is_entry_name(name)) {
        return refuse(format!("{bad:?} cannot be a name"));
    }
    // The header of a form has no way to write them that every server reads back.
    if let Some(bad) = path.as_str().chars().find(|c| in_a_form && matches!(c, '"' | '\\')) {
        return refuse(format!("{:?} has the character {bad:?}", path.name()))
            .map_err(|error| error.hint("use another name, or the native dialect"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn root(text: &str) -> RemotePath {
        RemotePath::parse(text).unwrap()
    }

    #[test]
    fn a_slash_in_a_name_makes_directories() {
        let at = |text: &str| Place::At(root(text));
        for (name, expected) in [
            ("report.pdf", at("report.pdf")),
            ("a/b/c.txt", at("a/b/c.txt")),
            ("Отчёт за март.txt", at("Отчёт за март.txt")),
            ("", Place::Odd),
            ("/a", Place::Odd),
            ("a/", Place::Odd),
            ("a//b", Place::Odd),
            ("../a", Place::Odd),
            ("a\nb", Place::Odd),
        ] {
            assert_eq!(place(&RemotePath::root(), name), expected, "{name:?}");
        }
        assert_eq!(place(&RemotePath::root(), &"x".repeat(300)), Place::Odd);
    }

    #[test]
    fn a_root_shows_what_is_below_it() {
        let mount = root("team/docs");
        assert_eq!(place(&mount, "team/docs/a.txt"), Place::At(root("a.txt")));
        assert_eq!(place(&mount, "team/docs//a"), Place::Odd);
        for name in ["team/docs", "team/docs2/a", "a.txt", ""] {
            assert_eq!(place(&mount, name), Place::Elsewhere, "{name:?}");
        }
        assert_eq!(stored(&mount, &root("a/b")), "team/docs/a/b");
        assert_eq!(stored(&RemotePath::root(), &root("a/b")), "a/b");
    }

    #[test]
    fn a_twin_has_a_name_of_its_own() {
        for (name, shown) in [
            ("report.pdf", "report (id fvt1).pdf"),
            ("README", "README (id fvt1)"),
            ("", "unnamed (id fvt1)"),
            ("..", ". (id fvt1)."),
            ("a//b.txt", "b (id fvt1).txt"),
            (".bashrc", ".bashrc (id fvt1)"),
            ("a\nb", "a_b (id fvt1)"),
        ] {
            assert_eq!(with_id(name, "fvt1"), shown, "{name:?}");
            assert_eq!(id_in(shown), Some("fvt1"));
        }
        assert_eq!(id_in("report.pdf"), None);
        assert_eq!(id_in("report (id ).pdf"), None);
    }

    #[test]
    fn names_that_cannot_be_made_are_refused() {
        for path in ["a.txt", "a/b c/ü.txt", "a?b*c:d<e>|f"] {
            check(&root(path), true).unwrap();
        }
        assert_eq!(check(&RemotePath::root(), false).unwrap_err().kind, Kind::BadName);
        for path in ["a\"b", "a\\b"] {
            check(&root(path), false).unwrap();
            assert_eq!(check(&root(path), true).unwrap_err().kind, Kind::BadName);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_service_has_can_be_shown(name in "\\PC{0,300}|[a-z/.]{0,20}", id in "[a-z0-9]{1,40}") {
            let shown = with_id(&name, &id);
            prop_assert!(is_entry_name(&shown), "{shown}");
            prop_assert_eq!(id_in(&shown), Some(id.as_str()));
        }

        #[test]
        fn a_place_leads_back_to_its_name(name in "[a-z/. ]{0,20}", below in any::<bool>()) {
            let mount = if below { root("a/b") } else { RemotePath::root() };
            if let Place::At(path) = place(&mount, &name) {
                prop_assert_eq!(stored(&mount, &path), name);
            }
        }
    }
}
