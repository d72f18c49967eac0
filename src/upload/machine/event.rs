//! The vocabulary of the upload machine: what can happen to it and what it can ask for.

use std::ops::Range;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::service::{Begun, Node, Progress, Receipt, SessionToken};
use crate::upload::plan::Cut;

/// Names one request for a truthful answer (a close, an fsync). Unique for the life of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(pub u64);

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A program wrote `range`; the file has `size` bytes now.
    Wrote {
        /// The bytes.
        range: Range<u64>,
        /// Bytes of the file.
        size: u64,
    },
    /// The file was cut or extended to `size` bytes.
    Resized {
        /// Bytes of the file.
        size: u64,
    },
    /// The file is expected to get `size` bytes. A wrong promise costs one session, never a wrong file.
    Promised {
        /// Bytes of the file.
        size: u64,
    },
    /// The timer of [`Action::Age`] ran out.
    Aged,
    /// The file is complete as it is: make it so on the service and answer.
    Commit {
        /// Names the answer.
        id: CommitId,
    },
    /// The answer to [`Action::Begin`].
    Began {
        /// What the service said.
        result: Result<Begun>,
    },
    /// The answer to [`Action::Put`].
    Put {
        /// The part.
        index: u32,
        /// What the service said.
        result: Result<Receipt>,
    },
    /// The answer to [`Action::Finish`] or [`Action::Whole`].
    Finished {
        /// What the service said.
        result: Result<Node>,
    },
    /// The answer to [`Action::Probe`].
    Probed {
        /// What the service said.
        result: Result<Progress>,
    },
    /// The timer of [`Action::Wait`] ran out.
    Again,
    /// Nothing moved for as long as a program may be kept waiting.
    Deadline,
    /// The writer was killed: what it wrote is kept, and not published.
    Interrupted {
        /// What later commits are answered with until the file is reopened.
        error: Error,
    },
    /// A program opened the file for writing again: a failure is forgotten, the bytes are not.
    Reopen,
    /// The file has another name.
    Moved,
    /// The file is gone: nothing of it shall reach the service.
    Discard,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open a session, carrying the first part where the rules say so.
    Begin {
        /// The size to declare, where it must be.
        size: Option<u64>,
        /// The part to carry.
        first: Option<Cut>,
    },
    /// Send a part.
    Put {
        /// The session.
        token: SessionToken,
        /// The part.
        cut: Cut,
    },
    /// Make the file of the parts.
    Finish {
        /// The session.
        token: SessionToken,
        /// Everything the service holds.
        receipts: Vec<Receipt>,
        /// Bytes of the file.
        size: u64,
    },
    /// Send the file in one request.
    Whole {
        /// Bytes of the file.
        size: u64,
    },
    /// Ask what became of the upload.
    Probe {
        /// The session and what it is known to hold, if there is one.
        session: Option<(SessionToken, Vec<Receipt>)>,
    },
    /// Give the session up.
    Abort {
        /// The session.
        token: SessionToken,
    },
    /// Send [`Event::Aged`] in [`AGE`](crate::upload::AGE).
    Age,
    /// Send [`Event::Again`] after the delay.
    Wait {
        /// How long.
        delay: Duration,
    },
    /// These commits succeeded (there may be none, when the service confirmed late).
    Committed {
        /// The commits.
        ids: Vec<CommitId>,
        /// What there is now.
        outcome: Outcome,
    },
    /// These commits failed, and every later one will until the file is reopened.
    Failed {
        /// The commits.
        ids: Vec<CommitId>,
        /// Why.
        error: Error,
    },
}

/// A successful commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The file as the service confirmed it; `None` when there was nothing to send.
    pub node: Option<Node>,
    /// Whether the service has everything, so that the local bytes may be dropped.
    pub clean: bool,
}
