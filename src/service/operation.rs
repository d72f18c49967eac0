//! The kinds of request a [`Service`](super::Service) answers, as a value: what layers decide by, what counters count
//! and what log lines name. It carries nothing of a request.

use std::fmt;

/// One method of [`Service`](super::Service) that asks the service something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Sign in and describe the account.
    Check,
    /// Ask whether a file may be written.
    Admit,
    /// One entry.
    Stat,
    /// One page of a directory.
    List,
    /// Bytes of a file.
    Read,
    /// Make a directory.
    Mkdir,
    /// Remove a file or an empty directory.
    Remove,
    /// Rename a file or a directory.
    Rename,
    /// Open an upload session.
    Begin,
    /// Send a part.
    Put,
    /// Make the file out of the parts.
    Finish,
    /// Ask what became of an upload.
    Probe,
    /// Give a session up.
    Abort,
    /// Upload a file in one request.
    PutWhole,
}

impl Operation {
    /// The word in messages and log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Check => "check",
            Operation::Admit => "admit",
            Operation::Stat => "stat",
            Operation::List => "list",
            Operation::Read => "read",
            Operation::Mkdir => "mkdir",
            Operation::Remove => "remove",
            Operation::Rename => "rename",
            Operation::Begin => "begin",
            Operation::Put => "put",
            Operation::Finish => "finish",
            Operation::Probe => "probe",
            Operation::Abort => "abort",
            Operation::PutWhole => "put_whole",
        }
    }

    /// Whether the request changes nothing, so that asking twice is the same as asking once.
    pub const fn only_asks(self) -> bool {
        use Operation::{Admit, Check, List, Probe, Read, Stat};
        matches!(self, Check | Admit | Stat | List | Read | Probe)
    }

    /// Whether the request carries the bytes of a file.
    pub const fn carries_bytes(self) -> bool {
        matches!(self, Operation::Begin | Operation::Put | Operation::PutWhole)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
