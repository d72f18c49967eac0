//! The upload machine: what is to be done next for one file. Pure: events in, actions out, no clock, no socket, no
//! lock; the driver applies the actions and feeds what came of them back.
//!
//! **Contract.** Every [`Event::Commit`] gets exactly one [`Action::Answer`]. It says `Ok` only after the service
//! confirmed the whole file as it was when the commit came, or later.
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
//! without progress are repeated at most [`TRIES_MAX`] times.

mod event;
mod session;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

pub use self::event::{Action, CommitId, Event, Outcome};
use self::session::{Session, Stage};
use super::plan::{self, Cut, Ready};
use crate::error::{Error, Kind, Result, Retry};
use crate::ranges::Ranges;
use crate::service::{Begun, Capability, Flow, Node, Progress, Receipt, SizePolicy};

/// Sessions begun for one commit before it is given up: the first, one for a write into sent bytes, and two that the
/// service may lose.
pub const ATTEMPTS_MAX: u32 = 4;

/// Requests without progress before a commit is given up. With [`wait`] between them this is about half a minute: a
/// server that is restarted comes back within it, a person in front of `cp` still learns what is wrong.
pub const TRIES_MAX: u32 = 8;

/// The first wait between two tries; it doubles. Jitter is the driver's.
const WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait of our own; a service may ask for more.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The upload of one file. See the module.
#[derive(Debug)]
pub struct Machine {
    capability: Capability,
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
    /// Commits that wait for an answer; not empty means: the file is complete as it is.
    commits: Vec<CommitId>,
    attempts: u32,
    tries: u32,
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
            commits: Vec::new(),
            attempts: 0,
            tries: 0,
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

    /// Whether a commit waits for its answer.
    pub fn is_committing(&self) -> bool {
        !self.commits.is_empty()
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

    /// Takes in what the service can do by now; asked for before every new session.
    pub fn learn(&mut self, capability: Capability) {
        if self.session.is_none() && !self.in_flight() {
            self.capability = capability;
        }
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

    // ---- changes of the file ----

    fn wrote(&mut self, range: Range<u64>, size: u64) {
        if self.discarded {
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
        if self.discarded || (size == self.size && !self.dirty && size != 0) {
            return;
        }
        let cut_off = size.min(self.size)..u64::MAX;
        if size != self.size && (self.end_is_sent() || self.touches_sent(&cut_off)) {
            self.doomed = true;
        }
        self.dirty = true;
        self.dirtied = true;
        self.size = size;
        self.written.truncate(size);
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

    // ---- answers of the service ----

    fn began(&mut self, result: Result<Begun>, out: &mut Vec<Action>) {
        let Stage::Opening { cut, total } = std::mem::replace(&mut self.stage, Stage::Idle) else {
            unreachable!("an answer to begin comes while a session is opened")
        };
        match result {
            Ok(begun) => {
                self.tries = 0;
                let mut session = Session::new(begun.token, total);
                if let (Some(cut), Some(receipt)) = (cut, begun.receipt) {
                    session.opened_with(&cut, receipt);
                }
                self.session = Some(session);
                self.stage = Stage::Open;
            }
            // A lost `begin` leaves at most an orphan that nobody sees: begin again.
            Err(error) => self.refused(error, out),
        }
    }

    fn put(&mut self, index: u32, result: Result<Receipt>, out: &mut Vec<Action>) {
        let session = self.session.as_mut().expect("a part is sent within a session");
        let cut = session.landed(index);
        match result {
            Ok(receipt) => {
                self.tries = 0;
                session.hold(&cut, receipt);
            }
            Err(_) if self.doomed => {}
            Err(error) if error.kind == Kind::NotFound => self.lost(error, out),
            Err(error) if error.in_doubt() => {
                session.doubt(cut);
                self.tries += 1;
                if self.tries > TRIES_MAX {
                    self.out_of_tries(error, out);
                }
            }
            Err(error) => {
                session.unsent(cut);
                self.refused(error, out);
            }
        }
    }

    fn finished(&mut self, result: Result<Node>, out: &mut Vec<Action>) {
        let whole = self.stage == Stage::Whole;
        // A write that came meanwhile was for the version after this one; if there is no this one, the session is stale.
        self.doomed |= result.is_err() && self.dirtied;
        match result {
            Ok(node) => self.committed(node, out),
            Err(error) if whole && error.kind == Kind::TooLarge && error.retry != Retry::Never => {
                // The service takes less in one request than it was thought to: take the road by parts.
                self.capability.whole_max = self.capability.whole_max.min(self.size.saturating_sub(1));
                self.stage = Stage::Idle;
            }
            Err(error) if error.in_doubt() => {
                self.stage = Stage::Probing { asked: false };
                self.tries += 1;
                if self.tries > TRIES_MAX {
                    self.out_of_tries(error, out);
                }
            }
            Err(error) if !whole && error.kind == Kind::NotFound => {
                self.stage = Stage::Open;
                self.lost(error, out);
            }
            Err(error) => {
                self.stage = if whole { Stage::Idle } else { Stage::Open };
                self.refused(error, out);
            }
        }
    }

    fn probed(&mut self, result: Result<Progress>, out: &mut Vec<Action>) {
        self.stage = Stage::Probing { asked: false };
        match result {
            Ok(Progress::Finished(node)) => self.committed(node, out),
            Ok(Progress::Holds(receipts)) if self.session.is_some() => {
                let sequential = self.capability.policy.rules().is_some_and(|rules| rules.flow == Flow::Sequential);
                if let Some(session) = &mut self.session {
                    session.holds(receipts, sequential);
                }
                self.stage = Stage::Open;
            }
            Ok(Progress::Gone | Progress::Holds(_)) => {
                self.stage = Stage::Idle;
                if self.session.take().is_some() {
                    let error = Error::new(Kind::Server, "upload", "the service lost the upload session");
                    self.begin_again(error, out);
                }
            }
            Ok(Progress::Unknown) => {
                let error = Error::new(Kind::Timeout, "upload", "the service does not say what became of the upload");
                self.refused(error.retry(Retry::AskFirst), out);
            }
            Err(error) => self.refused(error, out),
        }
    }

    /// The wait is over.
    fn again(&mut self) {
        if let Stage::Waiting { next } = &self.stage {
            self.stage = (**next).clone();
        }
    }

    /// The caller of the commits cannot wait any longer.
    fn deadline(&mut self, out: &mut Vec<Action>) {
        if self.commits.is_empty() {
            return;
        }
        let error = Error::new(Kind::Timeout, "upload", "the service did not confirm the file in time")
            .hint("the bytes are kept; write the file again when the service answers");
        self.failed = Some(error);
        self.answer_failure(out);
    }

    // ---- what follows ----

    /// The service confirmed the file.
    fn committed(&mut self, node: Node, out: &mut Vec<Action>) {
        self.session = None;
        self.stage = Stage::Idle;
        self.attempts = 0;
        self.tries = 0;
        self.waited = false;
        self.doomed = false;
        self.promised = None;
        self.dirty = self.dirtied && !self.discarded;
        self.late = self.dirty;
        if !self.dirty {
            self.written.clear();
            self.failed = None;
        } else if !self.commits.is_empty() {
            // The service has a version, but not yet the one these commits are about: the next upload answers them.
            return;
        }
        let ids = std::mem::take(&mut self.commits);
        out.push(Action::Committed { ids, outcome: Outcome { node: Some(node), clean: !self.dirty } });
    }

    /// A definite refusal, or a doubt that a probe cannot settle yet: wait and try again, or give up.
    fn refused(&mut self, error: Error, out: &mut Vec<Action>) {
        let asked = match error.retry {
            Retry::Never => return self.fail(error, out),
            Retry::After(asked) => asked,
            Retry::AskFirst => Duration::ZERO,
        };
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return self.out_of_tries(error, out);
        }
        self.pause = Some(wait(self.tries).max(asked));
    }

    fn out_of_tries(&mut self, error: Error, out: &mut Vec<Action>) {
        if !self.commits.is_empty() || matches!(self.stage, Stage::Probing { .. }) {
            return self.fail(error, out);
        }
        // Nobody waits for an answer yet: give the session up and try again from the start at close.
        self.late = true;
        self.doomed = true;
        self.tries = 0;
    }

    /// The service lost the session.
    fn lost(&mut self, error: Error, out: &mut Vec<Action>) {
        if self.in_flight_parts() {
            self.doomed = true;
            return;
        }
        self.session = None;
        self.stage = Stage::Idle;
        self.begin_again(error, out);
    }

    /// The next session starts from the first byte; too many of them end the commit.
    fn begin_again(&mut self, error: Error, out: &mut Vec<Action>) {
        self.doomed = false;
        self.late = true;
        self.attempts += 1;
        if self.attempts >= ATTEMPTS_MAX {
            self.fail(error, out);
        }
    }

    /// A final failure. What is in flight lands later; a doubt stays a doubt and is settled before the next upload.
    fn fail(&mut self, error: Error, out: &mut Vec<Action>) {
        self.failed = Some(error.retry(Retry::Never));
        self.late = true;
        if matches!(self.stage, Stage::Probing { .. }) {
            self.stage = Stage::Unsettled;
        }
        self.answer_failure(out);
    }

    fn answer_failure(&mut self, out: &mut Vec<Action>) {
        if let Some(error) = &self.failed
            && !self.commits.is_empty()
        {
            out.push(Action::Failed { ids: std::mem::take(&mut self.commits), error: error.clone() });
        }
        self.attempts = 0;
        self.tries = 0;
    }

    /// Starts whatever can be started now.
    fn advance(&mut self, out: &mut Vec<Action>) {
        if self.failed.is_some() {
            self.answer_failure(out);
        }
        if let Some(delay) = self.pause
            && !self.in_flight()
        {
            self.pause = None;
            self.stage = Stage::Waiting { next: Box::new(self.stage.clone()) };
            out.push(Action::Wait { delay });
        }
        if self.stage == Stage::Unsettled && self.failed.is_none() && !self.commits.is_empty() {
            self.stage = Stage::Probing { asked: false };
        }
        match &self.stage {
            Stage::Idle => self.advance_idle(out),
            Stage::Open if self.pause.is_none() => self.advance_open(out),
            Stage::Probing { asked: false } => self.ask(out),
            _ => {}
        }
        self.start_ageing(out);
    }

    fn advance_idle(&mut self, out: &mut Vec<Action>) {
        self.doomed = false;
        if self.failed.is_some() || self.discarded {
            if self.discarded && !self.commits.is_empty() {
                let ids = std::mem::take(&mut self.commits);
                out.push(Action::Committed { ids, outcome: Outcome { node: None, clean: true } });
            }
            return;
        }
        let committing = !self.commits.is_empty();
        if committing && (!self.dirty || (self.size == 0 && !self.capability.empty_files)) {
            // Nothing to say to the service: it has the file, or cannot hold an empty one.
            let ids = std::mem::take(&mut self.commits);
            out.push(Action::Committed { ids, outcome: Outcome { node: None, clean: !self.dirty } });
        } else if committing && self.size > self.capability.file_max {
            self.fail(too_large(self.size, self.capability.file_max), out);
        } else if committing && self.goes_whole() {
            self.stage = Stage::Whole;
            self.dirtied = false;
            out.push(Action::Whole { size: self.size });
        } else if (committing || self.may_open()) && self.dirty {
            self.open(out);
        }
    }

    fn goes_whole(&self) -> bool {
        matches!(self.capability.policy, SizePolicy::Whole { .. }) || self.size <= self.capability.whole_max
    }

    /// Whether a session may be opened while the writer still writes.
    fn may_open(&self) -> bool {
        if self.late || !self.dirty {
            return false;
        }
        let Some(rules) = self.capability.policy.rules() else { return false };
        let ready = self.written.end_of_run(0);
        let due = ready > rules.open_after || (self.waited && ready > 0);
        due && match self.capability.policy {
            SizePolicy::Streamed(_) => true,
            SizePolicy::Declared(_) => self.promised.is_some_and(|total| total > self.capability.whole_max),
            SizePolicy::Whole { .. } => false,
        }
    }

    fn open(&mut self, out: &mut Vec<Action>) {
        let rules = *self.capability.policy.rules().expect("a session is opened only where there are parts");
        let cut = if rules.opens_with_part {
            match plan::next_cut(&rules, 0, 0, self.ready(0)) {
                None => return,
                cut => cut,
            }
        } else {
            None
        };
        self.waited = false;
        let total = self.declared_total();
        self.stage = Stage::Opening { cut: cut.clone(), total };
        out.push(Action::Begin { size: total, first: cut });
    }

    fn advance_open(&mut self, out: &mut Vec<Action>) {
        let session = self.session.as_ref().expect("an open session");
        let committing = !self.commits.is_empty();
        let broken = session.total.is_some_and(|total| self.size > total || (committing && self.size != total));
        // No service makes an empty file out of a session without parts.
        let empty = committing && self.size == 0 && (self.capability.whole_max > 0 || !self.capability.empty_files);
        if self.failed.is_some() || self.discarded || self.doomed || broken || empty {
            return self.give_up(out);
        }
        if session.unsure {
            if session.flying.is_empty() {
                self.ask(out);
            }
            return;
        }
        self.send_parts(out);
        let session = self.session.as_ref().expect("an open session");
        if !self.commits.is_empty() && session.flying.is_empty() && session.complete(self.size) {
            let (token, receipts) = (session.token.clone(), session.receipts());
            self.stage = Stage::Finishing;
            self.dirtied = false;
            out.push(Action::Finish { token, receipts, size: self.size });
        }
    }

    fn send_parts(&mut self, out: &mut Vec<Action>) {
        let rules = *self.capability.policy.rules().expect("a session has parts");
        loop {
            let session = self.session.as_ref().expect("an open session");
            if session.flying.len() >= rules.flow.width() {
                break;
            }
            let Some(cut) = session.next(&rules, |at| self.ready(at)) else { break };
            let session = self.session.as_mut().expect("an open session");
            session.fly(cut.clone());
            self.waited = false;
            out.push(Action::Put { token: session.token.clone(), cut });
        }
    }

    /// Ends the session without a file. What is in flight lands first.
    fn give_up(&mut self, out: &mut Vec<Action>) {
        let session = self.session.take().expect("an open session");
        if !session.flying.is_empty() {
            self.session = Some(session);
            return;
        }
        self.stage = Stage::Idle;
        out.push(Action::Abort { token: session.token });
        if self.failed.is_none() && !self.discarded {
            let error =
                Error::new(Kind::Conflict, "upload", "the file changed while it was being sent, again and again");
            self.promised = None;
            self.begin_again(error, out);
        }
        self.advance_idle(out);
    }

    /// Keeps the age timer running while bytes wait for a reason to leave.
    fn start_ageing(&mut self, out: &mut Vec<Action>) {
        let streams = !matches!(self.capability.policy, SizePolicy::Whole { .. });
        let waits = self.dirty && !self.late && self.failed.is_none() && self.commits.is_empty() && !self.discarded;
        if streams && waits && !self.ageing && !self.waited {
            self.ageing = true;
            out.push(Action::Age);
        }
    }

    // ---- small questions ----

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

/// The wait before try number `tries` (from 1).
fn wait(tries: u32) -> Duration {
    WAIT_FIRST.saturating_mul(1 << (tries.saturating_sub(1)).min(16)).min(WAIT_MAX)
}

fn too_large(size: u64, max: u64) -> Error {
    Error::new(Kind::TooLarge, "upload", format!("the file has {size} bytes, the service takes at most {max}"))
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
