//! Paths on a service: UTF-8, relative to the root of the remote, `/` between the names, no name that could lead
//! anywhere else. A path is a value; it does not say whether anything is there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Most bytes of one name that Linux passes on (`NAME_MAX`).
pub const NAME_BYTES_MAX: usize = 255;

/// A path below the root of a remote. The empty path is the root itself. Written down, it is its text, which is parsed
/// again on the way in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemotePath(String);

impl RemotePath {
    /// The root of the remote.
    pub fn root() -> Self {
        RemotePath(String::new())
    }

    /// The path of `name` in this directory.
    pub fn join(&self, name: &str) -> RemotePath {
        debug_assert!(is_entry_name(name), "a name that cannot be a directory entry: {name:?}");
        if self.is_root() { RemotePath(name.to_owned()) } else { RemotePath(format!("{}/{name}", self.0)) }
    }

    /// Parses `a/b/c`; leading and trailing slashes are dropped.
    ///
    /// # Errors
    /// `BadName` when a segment cannot be a directory entry (empty, `.`, `..`, control characters, too long).
    pub fn parse(text: &str) -> Result<RemotePath> {
        let mut path = RemotePath::root();
        for segment in text.trim_matches('/').split('/').filter(|_| !text.trim_matches('/').is_empty()) {
            if !is_entry_name(segment) {
                return Err(Error::new(Kind::BadName, "path", format!("{segment:?} cannot be a name in a path")));
            }
            path = path.join(segment);
        }
        Ok(path)
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<RemotePath> {
        if self.is_root() {
            return None;
        }
        Some(RemotePath(self.0.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())))
    }

    /// The names on the way, from the root.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// The path as text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RemotePath {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        RemotePath::parse(&text)
    }
}

impl From<RemotePath> for String {
    fn from(path: RemotePath) -> Self {
        path.0
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", crate::error::printable(&self.0))
    }
}

/// Whether a name that a server sent may become a directory entry: nothing that is empty, `.` or `..`, holds a `/`, a
/// NUL or a control character, or is longer than Linux can pass on.
pub fn is_entry_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(|c| c == '/' || c.is_control())
}

/// The extension of a name in lower case, without the dot; `None` when there is none.
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then(|| extension.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_names() {
        let path = RemotePath::parse("/a/b/c.txt/").unwrap();
        assert_eq!(path.as_str(), "a/b/c.txt");
        assert_eq!(path.name(), "c.txt");
        assert_eq!(path.parent().unwrap().as_str(), "a/b");
        assert_eq!(RemotePath::parse("x").unwrap().parent(), Some(RemotePath::root()));
        assert_eq!(RemotePath::root().parent(), None);
        assert_eq!(RemotePath::parse("/").unwrap(), RemotePath::root());
    }

    #[test]
    fn nothing_leads_out() {
        for bad in ["a/../b", "..", "a//b", "a/./b", "a\0b", "a\nb"] {
            assert_eq!(RemotePath::parse(bad).unwrap_err().kind, Kind::BadName, "{bad:?}");
        }
        assert!(!is_entry_name(&"x".repeat(256)));
        assert!(is_entry_name("..."));
    }

    #[test]
    fn a_path_that_was_written_down_is_parsed_again() {
        for text in ["", "a", "a/б c.txt"] {
            let path = RemotePath::parse(text).unwrap();
            let written = serde_json::to_string(&path).unwrap();
            assert_eq!(written, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<RemotePath>(&written).unwrap(), path);
        }
        assert!(serde_json::from_str::<RemotePath>("\"a/../b\"").is_err());
        assert!(serde_json::from_str::<RemotePath>("7").is_err());
    }

    #[test]
    fn extensions() {
        assert_eq!(extension("a.tar.GZ").as_deref(), Some("gz"));
        assert_eq!(extension(".bashrc"), None);
        assert_eq!(extension("a."), None);
        assert_eq!(extension("a"), None);
    }
}
