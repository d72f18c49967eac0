//! The versions of ONLYOFFICE portals and what changed between them. Everything that depends on the version is asked
//! here, by the name of the difference, so that no handler compares numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The two servers that speak the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// CommunityServer, sold as Workspace.
    Community,
    /// DocSpace.
    Docspace,
}

/// The generations of the upload protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// CommunityServer 8 to 12.7.
    G0,
    /// DocSpace 1.0 to 2.0.
    G1,
    /// DocSpace 2.5 to 3.6.
    G2,
    /// DocSpace 3.7 and later.
    G3,
}

impl Generation {
    /// A version of this generation that is in use.
    pub fn version(self) -> Version {
        match self {
            Generation::G0 => Version { major: 12, minor: 7, patch: 1 },
            Generation::G1 => Version { major: 2, minor: 0, patch: 3 },
            Generation::G2 => Version { major: 3, minor: 5, patch: 1 },
            Generation::G3 => Version { major: 3, minor: 7, patch: 2 },
        }
    }
}

/// A version of a portal. CommunityServer's begin at 8, where DocSpace has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

/// The first version of CommunityServer that has the protocol.
const COMMUNITY_FIRST: u16 = 8;

impl Version {
    /// `major.minor.patch`.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Version {
        Version { major, minor, patch }
    }

    /// The generation of the upload protocol.
    pub fn generation(self) -> Generation {
        if self.family() == Family::Community {
            Generation::G0
        } else if self < Version::new(2, 5, 0) {
            Generation::G1
        } else if self < Version::new(3, 7, 0) {
            Generation::G2
        } else {
            Generation::G3
        }
    }

    pub(super) fn family(self) -> Family {
        if self.major >= COMMUNITY_FIRST { Family::Community } else { Family::Docspace }
    }

    pub(super) fn is_community(self) -> bool {
        self.family() == Family::Community
    }

    fn since(self, major: u16, minor: u16) -> bool {
        self.family() == Family::Docspace && self >= Version::new(major, minor, 0)
    }

    /// Chunks have numbers, sessions live in a cache, and there is an explicit finalize.
    pub(super) fn numbers_chunks(self) -> bool {
        self.generation() >= Generation::G2
    }

    /// Sessions can be driven by API calls.
    pub(super) fn has_session_calls(self) -> bool {
        self.generation() >= Generation::G3
    }

    /// A chunk may be empty, and so may a file.
    pub(super) fn takes_empty_chunks(self) -> bool {
        self.since(3, 6)
    }

    /// `createNewIfExist` is a parameter; before it, a setting of the user decides.
    pub(super) fn has_create_new_if_exist(self) -> bool {
        self.since(2, 5)
    }

    /// A new file beside one of the same title gets another title.
    pub(super) fn appends_numbers(self) -> bool {
        self.since(3, 2)
    }

    /// A page of more than 100 entries is an error; before, it is cut at 1000.
    pub(super) fn refuses_large_pages(self) -> bool {
        self.since(3, 2)
    }

    /// Operations are checked before they are queued.
    pub(super) fn checks_operations_first(self) -> bool {
        self.since(3, 7)
    }

    /// Some reading calls let strangers in, who then have no right: 403 instead of 401.
    pub(super) fn lets_strangers_in(self) -> bool {
        self.since(2, 5)
    }

    /// A stranger who asks for a folder's information is told to sign in.
    pub(super) fn folder_info_wants_sign_in(self) -> bool {
        self.since(3, 7)
    }

    /// A folder's information answers 404 for what is missing; before, and on CommunityServer, 403.
    pub(super) fn folder_info_tells_missing(self) -> bool {
        self.since(3, 7)
    }

    /// Renaming a locked file fails as a fault of the server.
    pub(super) fn rename_of_locked_is_a_fault(self) -> bool {
        self.since(3, 7)
    }

    /// There are API keys.
    pub(super) fn has_api_keys(self) -> bool {
        self.since(3, 1)
    }

    /// There is `upload/check`.
    pub(super) fn has_upload_check(self) -> bool {
        self.since(2, 5)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let numbers: Option<Vec<u16>> = text.split('.').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[major, minor, patch]) if major > 0 => Ok(Version::new(major, minor, patch)),
            Some(&[major, minor]) if major > 0 => Ok(Version::new(major, minor, 0)),
            _ => Err(format!("{text:?} is not a version like 3.7.2")),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Version, String> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_belong_to_generations() {
        let generation = |text: &str| text.parse::<Version>().unwrap().generation();
        for (text, expected) in [
            ("8.0.0", Generation::G0),
            ("12.7.1", Generation::G0),
            ("1.0.0", Generation::G1),
            ("2.0.3", Generation::G1),
            ("2.5", Generation::G2),
            ("3.6.1", Generation::G2),
            ("3.7.0", Generation::G3),
            ("3.8", Generation::G3),
        ] {
            assert_eq!(generation(text), expected, "{text}");
        }
        for generation in [Generation::G0, Generation::G1, Generation::G2, Generation::G3] {
            assert_eq!(generation.version().generation(), generation);
        }
        assert!(
            "".parse::<Version>().is_err() && "0.1.2".parse::<Version>().is_err() && "3".parse::<Version>().is_err()
        );
    }

    #[test]
    fn a_high_number_of_the_other_family_is_not_newer() {
        let community = Version::new(12, 7, 1);
        assert!(!community.takes_empty_chunks() && !community.refuses_large_pages() && !community.numbers_chunks());
        assert!(Version::new(3, 6, 0).takes_empty_chunks() && !Version::new(3, 5, 9).takes_empty_chunks());
        assert!(!Version::new(3, 1, 1).refuses_large_pages() && Version::new(3, 2, 0).refuses_large_pages());
    }
}
