//! The upload machine: what is to be done next for one file. Pure: events in, actions out, no clock, no socket, no
//! lock; the driver applies the actions and feeds what came of them back.
//!
//! **Contract.** Every [`Event::Commit`] gets exactly one answer. It is [`Action::Committed`] only after the
//! service confirmed the whole file as it was when the commit came, or later; else [`Action::Failed`].
//!
//! **Order.** Parts go out by the rules of the service: in order and one at a time, or by width. A request in flight is
//! always waited for; the machine never has two requests under way whose order matters.
//!
//! **Doubt.** A request whose outcome is unknown is followed by a probe before anything is sent again. There is no
//! second `finish` (or whole upload) without a probe or a definite refusal between. Only a lost answer to `begin` is
//! followed by another `begin`: the orphan is invisible and the service clears it away.
//!
//! **Change.** A write into bytes that were sent makes the session worthless (or, where the service can rewrite, the
//! part): what is in flight is waited for, the session is given up, and the file goes out from its first byte *at
//! close*: from then on it is `late`.
//!
//! **Failure** is sticky: after a final refusal every commit is answered with it until [`Event::Reopen`].
//!
//! **Restart.** A session that the service lost is begun again at most [`ATTEMPTS_MAX`] times for one commit; requests
//! without progress are repeated at most [`TRIES_MAX`] times. A service that says it is still at work
//! ([`Progress::Unknown`]) is asked again for as long as it says so, up to [`UNKNOWNS_MAX`] times.

mod advance;
mod answers;
mod event;
mod resume;
mod session;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

pub use self::event::{Action, CommitId, Event, Outcome};
pub use self::resume::Left;
use self::session::{Session, Stage};
use super::plan::{Cut, Ready};
use crate::error::Error;
use crate::ranges::Ranges;
#[cfg(doc)]
use crate::service::Progress;
use crate::service::{Capability, NamedAt, Receipt, SizePolicy};

/// Sessions begun for one commit before it is given up: the first, one for a write into sent bytes, and two that the
/// service may lose or refuse to go on with.
pub const ATTEMPTS_MAX: u32 = 4;

/// Requests without progress before a commit is given up. With the growing waits between them this is about half a minute: a
/// server that is restarted comes back within it, a person in front of `cp` still learns what is wrong.
pub const TRIES_MAX: u32 = 8;

/// So often a service may say that it still works on an upload: an hour and a half. The service's client knows better how
/// long such work can take, and says so earlier; this is for one that does not.
pub const UNKNOWNS_MAX: u32 = 1800;

/// The upload of one file. See the module.
#[derive(Debug)]
pub struct Machine {
    /// What the session under way goes by.
    capability: Capability,
    /// What the next one will go by.
    learned: Option<Capability>,
    /// The service has refused more than this in one request, whatever it says it takes.
    whole_max: u64,
    /// The size of the file now.
    size: u64,
    /// The size that a writer announced, for services that must know it before the first byte.
    promised: Option<u64>,
    /// What was written since the last commit.
    written: Ranges,
    /// Whether the service's version is older than the file.
    dirty: bool,
    /// Whether writes came since the stage became one whose content is fixed (finishing, whole).
    dirtied: bool,
    /// Streaming is over for this file until it is committed: everything goes at close.
    late: bool,
    /// Bytes have waited for [`super::AGE`].
    waited: bool,
    /// An age timer is running.
    ageing: bool,
    stage: Stage,
    session: Option<Session>,
    /// Bytes that were sent have changed: the session, or what is in flight, is worth nothing.
    doomed: bool,
    /// The service lost the session while parts of it were in flight.
    lost: Option<Error>,
    /// Commits that wait for an answer; not empty means: the file is complete as it is.
    commits: Vec<CommitId>,
    attempts: u32,
    tries: u32,
    /// Probes that came back with "still at work", one after another.
    unknowns: u32,
    /// A pause that begins when everything in flight has landed.
    pause: Option<Duration>,
    failed: Option<Error>,
    discarded: bool,
}

impl Machine {
    /// The machine of a file of `size` bytes that is as the service has it.
    pub fn new(capability: Capability, size: u64) -> Self {
        Machine {
            capability,
            learned: None,
            whole_max: u64::MAX,
            size,
            promised: None,
            written: Ranges::new(),
            dirty: false,
            dirtied: false,
            late: false,
            waited: false,
            ageing: false,
            stage: Stage::Idle,
            session: None,
            doomed: false,
            lost: None,
            commits: Vec::new(),
            attempts: 0,
            tries: 0,
            unknowns: 0,
            pause: None,
            failed: None,
            discarded: false,
        }
    }

    /// Whether the service's version is older than the file.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether a request is under way or a commit waits.
    pub fn is_busy(&self) -> bool {
        !self.commits.is_empty() || self.in_flight() || self.session.is_some()
    }

    /// Whether the file must not change: a commit waits for its answer, or one that ran out of patience still sends.
    pub fn is_committing(&self) -> bool {
        !self.commits.is_empty() || self.stage == Stage::Whole
    }

    /// Whether a request is out, or about to be, whose answer depends on the name of the file.
    pub fn is_naming(&self) -> bool {
        self.stage.is_naming()
    }

    /// Whether the service may have something of the file that nobody knows of.
    pub fn in_doubt(&self) -> bool {
        self.stage == Stage::Unsettled || self.stage.is_naming()
    }

    /// Whether nothing of the file shall reach the service any more.
    pub fn is_discarded(&self) -> bool {
        self.discarded
    }

    /// Whether the session under way is worth nothing any more.
    pub fn is_doomed(&self) -> bool {
        self.doomed
    }

    /// The failure that every commit is answered with until the file is reopened.
    pub fn failure(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// The size of the file, in bytes, as the machine knows it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes the service has confirmed for the session under way.
    pub fn sent(&self) -> u64 {
        self.session.as_ref().map_or(0, Session::held_bytes)
    }

    /// What the service can do by now; the next session goes by it.
    pub fn learn(&mut self, capability: Capability) {
        self.learned = Some(capability);
    }

    /// One event; what is to be done about it.
    pub fn on(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Wrote { range, size } => self.wrote(range, size),
            Event::Resized { size } => self.resized(size),
            Event::Promised { size } => self.promised = Some(size),
            Event::Aged => {
                self.ageing = false;
                self.waited = true;
            }
            Event::Commit { id } => self.commits.push(id),
            Event::Began { result } => self.began(result, &mut out),
            Event::Put { index, result } => self.put(index, result, &mut out),
            Event::Finished { result } => self.finished(result, &mut out),
            Event::Probed { result } => self.probed(result, &mut out),
            Event::Again => self.again(),
            Event::Deadline => self.deadline(&mut out),
            Event::Interrupted { error } => self.fail(error, &mut out),
            Event::Reopen => {
                self.failed = None;
                self.late = self.late || self.dirty;
            }
            Event::Moved => self.moved(),
            Event::Discard => {
                self.discarded = true;
                self.dirty = false;
                self.written.clear();
            }
        }
        self.advance(&mut out);
        self.check_invariants();
        out
    }

    fn wrote(&mut self, range: Range<u64>, size: u64) {
        if self.discarded {
            // Nobody will send them, but the program that removed its own file may read them.
            self.size = size;
            return;
        }
        if size != self.size && self.end_is_sent() {
            self.doomed = true;
        } else if self.touches_sent(&range) {
            self.altered(&range);
        }
        self.dirty = true;
        self.dirtied = true;
        self.size = size;
        self.written.insert(range);
    }

    fn resized(&mut self, size: u64) {
        if self.discarded {
            self.size = size;
            return;
        }
        if size == self.size && !self.dirty && size != 0 {
            return;
        }
        // What was said about the file before it was cut or extended was said about another one.
        self.promised = None;
        // What is held back must stay behind what was sent: a session that ends where its parts end has no last one.
        let hold_back = self.capability.policy.rules().map_or(0, |rules| rules.hold_back);
        let cut_off = size.min(self.size).saturating_sub(hold_back)..u64::MAX;
        if size != self.size && (self.end_is_sent() || self.touches_sent(&cut_off)) {
            self.doomed = true;
        }
        self.dirty = true;
        self.dirtied = true;
        self.size = size;
        self.written.truncate(size);
    }

    /// A service that fixed the name when the session was opened needs another session.
    fn moved(&mut self) {
        let opened = self.session.is_some() || matches!(self.stage, Stage::Opening { .. });
        self.doomed |= opened && self.capability.named_at == NamedAt::Begin;
    }

    /// Bytes that were sent have changed.
    fn altered(&mut self, range: &Range<u64>) {
        let rewrite = self.capability.policy.rules().is_some_and(|rules| rules.rewrite);
        match &mut self.session {
            Some(session) if rewrite && self.stage == Stage::Open => session.rewrite(range),
            _ => self.doomed = true,
        }
    }

    /// Whether bytes of `range` are on their way to, or held by, the service for a version not yet committed.
    fn touches_sent(&self, range: &Range<u64>) -> bool {
        match &self.stage {
            // The content of these is complete: a write now belongs to the version after it.
            Stage::Finishing | Stage::Whole | Stage::Idle => false,
            Stage::Opening { cut, .. } => cut.as_ref().is_some_and(|cut| overlap(&cut.range, range)),
            Stage::Open | Stage::Probing { .. } | Stage::Unsettled | Stage::Waiting { .. } => {
                self.session.as_ref().is_some_and(|session| session.touches(range))
            }
        }
    }

    /// Whether the service was told where the file ends.
    fn end_is_sent(&self) -> bool {
        self.stage != Stage::Finishing && self.session.as_ref().is_some_and(|session| session.ended)
    }

    fn ready(&self, at: u64) -> Ready {
        if !self.commits.is_empty() {
            Ready::All(self.size)
        } else if self.waited {
            Ready::Waited(self.written.end_of_run(at))
        } else {
            Ready::UpTo(self.written.end_of_run(at))
        }
    }

    fn declared_total(&self) -> Option<u64> {
        match self.capability.policy {
            SizePolicy::Declared(_) if !self.commits.is_empty() => Some(self.size),
            SizePolicy::Declared(_) => self.promised,
            _ => None,
        }
    }

    fn ask(&mut self, out: &mut Vec<Action>) {
        self.stage = Stage::Probing { asked: true };
        out.push(Action::Probe { session: self.session_so_far() });
    }

    fn session_so_far(&self) -> Option<(crate::service::SessionToken, Vec<Receipt>)> {
        self.session.as_ref().map(|session| (session.token.clone(), session.receipts()))
    }

    fn in_flight_parts(&self) -> bool {
        self.session.as_ref().is_some_and(|session| !session.flying.is_empty())
    }

    fn in_flight(&self) -> bool {
        let asking = matches!(
            self.stage,
            Stage::Opening { .. } | Stage::Finishing | Stage::Whole | Stage::Probing { asked: true }
        );
        asking || self.in_flight_parts()
    }

    fn check_invariants(&self) {
        debug_assert!(self.failed.is_none() || self.commits.is_empty(), "a failed file answers every commit");
        debug_assert!(self.stage != Stage::Open || self.session.is_some(), "an open stage has a session");
        debug_assert!(self.written.end() <= self.size, "written bytes lie within the file");
        if let Some(session) = &self.session {
            let width = self.capability.policy.rules().map_or(0, |rules| rules.flow.width());
            debug_assert!(session.flying.len() <= width, "more parts in flight than the service takes");
        }
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// A planned part as text, for logs.
impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "part {} ({}..{}{})",
            self.index,
            self.range.start,
            self.range.end,
            if self.last { ", last" } else { "" }
        )
    }
}
