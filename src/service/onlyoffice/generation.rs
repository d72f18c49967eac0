//! What kind of portal this is: its version, and what follows from it. Versions come from
//! `GET api/2.0/settings/version/build`, which needs no account.

use std::fmt;

/// The protocol of a portal. The names are those of its products' versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    /// CommunityServer (Workspace): sessions are a counter of bytes, chunks are appended.
    Community,
    /// DocSpace 1.0 to 2.0: as CommunityServer, with other envelopes.
    Counting,
    /// DocSpace 2.5 to 3.6: chunks have numbers, a session is finalized.
    Numbered,
    /// DocSpace 3.7 and later: the same through calls that answer with status codes.
    Rest,
}

impl Generation {
    /// Whether chunks have numbers: they may be sent in any order, many at once, and again.
    pub(super) fn has_numbers(self) -> bool {
        self >= Generation::Numbered
    }

    /// Whether this is CommunityServer.
    pub(super) fn is_community(self) -> bool {
        self == Generation::Community
    }
}

/// A portal's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    community: bool,
    number: (u32, u32, u32),
}

impl Version {
    /// The version that a DocSpace tells of itself.
    pub(super) fn docspace(text: &str) -> Option<Version> {
        parse(text).map(|number| Version { community: false, number })
    }

    /// The version that a CommunityServer tells of itself.
    pub(super) fn community(text: &str) -> Option<Version> {
        parse(text).map(|number| Version { community: true, number })
    }

    pub(super) fn generation(self) -> Generation {
        match self.number {
            _ if self.community => Generation::Community,
            number if number >= (3, 7, 0) => Generation::Rest,
            number if number >= (2, 5, 0) => Generation::Numbered,
            _ => Generation::Counting,
        }
    }

    /// Whether a file may be empty.
    pub(super) fn has_empty_files(self) -> bool {
        !self.community && self.number >= (3, 6, 0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let product = if self.community { "CommunityServer" } else { "DocSpace" };
        let (major, minor, patch) = self.number;
        write!(f, "{product} {major}.{minor}.{patch}")
    }
}

/// The first three numbers of a version; what is missing is 0.
fn parse(text: &str) -> Option<(u32, u32, u32)> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let mut parts = text.trim().trim_start_matches(['v', 'V']).split('.');
    let major = digits(parts.next()?)?;
    let mut next = || parts.next().map_or(Some(0), digits);
    Some((major, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_tells_the_generation() {
        for (text, generation, empty_files) in [
            ("1.0.0", Generation::Counting, false),
            ("2.0.3", Generation::Counting, false),
            ("2.5.0", Generation::Numbered, false),
            ("3.5.1", Generation::Numbered, false),
            ("3.6.1", Generation::Numbered, true),
            ("3.7.2", Generation::Rest, true),
            ("3.10.0-rc1.5", Generation::Rest, true),
            ("v4", Generation::Rest, true),
        ] {
            let version = Version::docspace(text).unwrap();
            assert_eq!((version.generation(), version.has_empty_files()), (generation, empty_files), "{text}");
        }
        let community = Version::community("12.7.1.1942").unwrap();
        assert_eq!((community.generation(), community.has_empty_files()), (Generation::Community, false));
        assert_eq!(community.to_string(), "CommunityServer 12.7.1");
        for text in ["", "unknown", "3.x"] {
            assert_eq!(Version::docspace(text), None, "{text}");
        }
    }
}
