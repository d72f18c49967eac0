//! A configuration that cannot work: where it was written, what is wrong with it, and what to write instead.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In this file, on this line (from 1).
    File(PathBuf, usize),
    /// In this environment variable.
    Variable(&'static str),
    /// On the command line.
    Arguments,
    /// Nowhere: a remote that needs no file.
    BuiltIn,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Variable(name) => f.write_str(name),
            Place::Arguments => f.write_str("the command line"),
            Place::BuiltIn => f.write_str("built in"),
        }
    }
}

/// Why a configuration is refused. Says what to write instead; never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    place: Place,
    what: String,
    instead: String,
}

impl Refusal {
    /// `what` is wrong at `place`; the person should do `instead`.
    pub fn new(place: Place, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Refusal { place, what: what.into(), instead: instead.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Arguments => {}
            place => write!(f, "{place}: ")?,
        }
        write!(f, "{}; {}", self.what, self.instead)
    }
}

impl std::error::Error for Refusal {}
