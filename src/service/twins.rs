//! Entries of one name: services that allow them show all under that name, a directory cannot. One of them keeps the name,
//! the others are shown with their id in it. Pure.

use crate::path::NAME_BYTES_MAX;

/// So much of an id is part of a name, in bytes.
const ID_SHOWN_MAX: usize = 64;
/// An extension that is longer, with its dot, is part of the stem.
const EXTENSION_BYTES_MAX: usize = 20;

/// A name that can be shown for an entry that is not the first of its name, or whose name is no file name.
pub(super) fn with_id(name: &str, id: &str) -> String {
    let plain: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    // Ids of storages elsewhere are as long as paths; their end tells them apart.
    let id = &id[id.len().saturating_sub(ID_SHOWN_MAX)..];
    let (mut stem, extension) = match plain.rfind('.') {
        Some(dot) if dot > 0 && plain.len() - dot <= EXTENSION_BYTES_MAX => plain.split_at(dot),
        _ => (plain.as_str(), ""),
    };
    let suffix = format!(" (id {id}){extension}");
    while !stem.is_empty() && stem.len() + suffix.len() > NAME_BYTES_MAX {
        stem = &stem[..stem.char_indices().next_back().map_or(0, |(at, _)| at)];
    }
    format!("{stem}{suffix}")
}

/// The id that a name of [`with_id`] tells.
pub(super) fn id_in(name: &str) -> Option<&str> {
    let (_, rest) = name.rsplit_once(" (id ")?;
    rest.split_once(')').map(|(id, _)| id).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::path::is_entry_name;

    #[test]
    fn a_twin_has_a_name_of_its_own() {
        assert_eq!(with_id("report.pdf", "77"), "report (id 77).pdf");
        assert_eq!(with_id(".bashrc", "7"), ".bashrc (id 7)");
        assert_eq!(with_id("a/b\nc.txt", "7"), "a_b_c (id 7).txt");
        assert_eq!(with_id("..", "7"), ". (id 7).", "never a way up");
        let long = with_id(&format!("{}.docx", "я".repeat(165)), "sbox-12/../x");
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with(" (id sbox-12x).docx"), "{long}");
    }

    #[test]
    fn a_name_may_tell_an_id() {
        assert_eq!(id_in("report (id 77).pdf"), Some("77"));
        assert_eq!(id_in("a (id 1) (id 2)"), Some("2"));
        assert_eq!((id_in("report.pdf"), id_in("a (id )"), id_in("a (id 5")), (None, None, None));
    }

    proptest! {
        #[test]
        fn whatever_a_service_sends_can_be_shown(name in "\\PC{0,200}", id in "[a-z0-9-]{1,100}") {
            let shown = with_id(&name, &id);
            prop_assert!(is_entry_name(&shown), "{}", shown);
            prop_assert_eq!(id_in(&shown), Some(&id[id.len().saturating_sub(ID_SHOWN_MAX)..]));
        }
    }
}
