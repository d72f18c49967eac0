//! What the answers of the service mean for the machine: progress, doubt, a pause, another attempt, the end.

use std::time::Duration;

use super::session::{Session, Stage};
use super::{ATTEMPTS_MAX, Action, Machine, Outcome, TRIES_MAX, UNKNOWNS_MAX};
use crate::error::{Error, Kind, Result, Retry};
use crate::service::{Begun, Flow, Node, Progress, Receipt};

/// The first wait between two tries; it doubles. Jitter is the driver's.
const WAIT_FIRST: Duration = Duration::from_millis(250);

/// The longest wait of our own; a service may ask for more.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest wait while the service says that it is at work: the answer is near, and a person waits for it.
const UNKNOWN_WAIT_MAX: Duration = Duration::from_secs(3);

/// So many answers of "still at work" cost as much patience as one try, and so many count, however long the work may take.
const UNKNOWNS_PER_TRY: u32 = 3;
pub(super) const UNKNOWNS_COUNTED: u32 = 6;

impl Machine {
    pub(super) fn began(&mut self, result: Result<Begun>, out: &mut Vec<Action>) {
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
            // The size was only promised, and may be wrong: whether the service takes the file is asked at close.
            Err(error) if total.is_some_and(|total| total != self.size) && is_about_size(error.kind) => {
                self.promised = None;
                self.late = true;
            }
            // A lost `begin` leaves at most an orphan that nobody sees: begin again.
            Err(error) => self.refused(error, out),
        }
    }

    pub(super) fn put(&mut self, index: u32, result: Result<Receipt>, out: &mut Vec<Action>) {
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
                } else if self.tries > 1 {
                    // Once is chance. A server that fails again gets the time it may need; so does its work on the first.
                    self.pause = Some(wait(self.tries - 1));
                }
            }
            Err(error) => {
                session.unsent(cut);
                self.refused(error, out);
            }
        }
    }

    pub(super) fn finished(&mut self, result: Result<Node>, out: &mut Vec<Action>) {
        let whole = self.stage == Stage::Whole;
        // A write that came meanwhile was for the version after this one; if there is no this one, the session is stale.
        self.doomed |= result.is_err() && self.dirtied;
        match result {
            Ok(node) => self.committed(node, out),
            Err(error) if whole && error.kind == Kind::TooLarge && error.retry != Retry::Never => {
                // The service takes less in one request than it was thought to: take the road by parts.
                self.whole_max = self.size.saturating_sub(1);
                self.capability.whole_max = self.capability.whole_max.min(self.whole_max);
                self.stage = Stage::Idle;
            }
            Err(error) if error.in_doubt() => {
                self.stage = Stage::Probing { asked: false };
                self.tries += 1;
                if self.tries > TRIES_MAX {
                    self.out_of_tries(error, out);
                } else if self.tries > 1 {
                    // As with a part.
                    self.pause = Some(wait(self.tries - 1));
                }
            }
            Err(error) if !whole && error.kind == Kind::NotFound => {
                self.stage = Stage::Open;
                self.lost(error, out);
            }
            Err(error) => {
                self.stage = if whole { Stage::Idle } else { Stage::Open };
                if let Some(session) = &mut self.session {
                    session.refused |= error.retry == Retry::Never;
                }
                self.refused(error, out);
            }
        }
    }

    pub(super) fn probed(&mut self, result: Result<Progress>, out: &mut Vec<Action>) {
        self.stage = Stage::Probing { asked: false };
        if !matches!(result, Ok(Progress::Unknown)) {
            // Whoever waited for the end of a doubt has waited as long as for several tries. What comes of it may be
            // progress; if not, there is an end after about half a minute all the same.
            self.tries += std::mem::take(&mut self.unknowns).min(UNKNOWNS_COUNTED) / UNKNOWNS_PER_TRY;
        }
        match result {
            Ok(Progress::Finished(node)) => self.committed(node, out),
            Ok(Progress::Holds(receipts)) if self.session.is_some() => {
                let sequential = self.capability.policy.rules().is_some_and(|rules| rules.flow == Flow::Sequential);
                if let Some(session) = &mut self.session {
                    let before = session.held_bytes();
                    session.holds(receipts, sequential);
                    if session.held_bytes() > before {
                        // The answer was lost, not the part.
                        self.tries = 0;
                    }
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
            Ok(Progress::Unknown) => self.asked_in_vain(out),
            Err(error) => self.refused(error, out),
        }
    }

    /// The service is still at work, for no longer than it may be: that is no failure, and not a try.
    fn asked_in_vain(&mut self, out: &mut Vec<Action>) {
        self.unknowns += 1;
        if self.unknowns > UNKNOWNS_MAX || self.failed.is_some() {
            let error = Error::new(Kind::Timeout, "upload", "the service does not say what became of the upload");
            if self.failed.is_none() {
                self.tries = TRIES_MAX;
            }
            self.unknowns = 0;
            return self.refused(error.retry(Retry::AskFirst), out);
        }
        self.pause = Some(wait(self.unknowns).min(UNKNOWN_WAIT_MAX));
    }

    /// The wait is over.
    pub(super) fn again(&mut self) {
        if let Stage::Waiting { next } = &self.stage {
            self.stage = (**next).clone();
        }
    }

    /// The caller of the commits cannot wait any longer.
    pub(super) fn deadline(&mut self, out: &mut Vec<Action>) {
        if self.commits.is_empty() {
            return;
        }
        let error = Error::new(Kind::Timeout, "upload", "the service did not confirm the file in time")
            .hint("the bytes are kept; write the file again when the service answers");
        self.failed = Some(error);
        self.answer_failure(out);
    }

    /// The service confirmed the file.
    pub(super) fn committed(&mut self, node: Node, out: &mut Vec<Action>) {
        self.session = None;
        self.stage = Stage::Idle;
        self.attempts = 0;
        self.tries = 0;
        self.waited = false;
        self.doomed = false;
        self.promised = None;
        self.whole_max = u64::MAX;
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
    pub(super) fn refused(&mut self, error: Error, out: &mut Vec<Action>) {
        if self.failed.is_some() && self.stage == (Stage::Probing { asked: false }) {
            // Nobody waits for the answer: it is asked for again by the next commit.
            self.stage = Stage::Unsettled;
            return;
        }
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

    pub(super) fn out_of_tries(&mut self, error: Error, out: &mut Vec<Action>) {
        if !self.commits.is_empty() || matches!(self.stage, Stage::Probing { .. }) {
            return self.fail(error, out);
        }
        // Nobody waits for an answer yet: give the session up and try again from the start at close.
        self.late = true;
        self.doomed = true;
        self.tries = 0;
    }

    /// The service lost the session.
    pub(super) fn lost(&mut self, mut error: Error, out: &mut Vec<Action>) {
        // What is missing is the session: a program that asks for its file must not hear that there is none.
        error.kind = Kind::Server;
        if self.in_flight_parts() {
            self.doomed = true;
            self.lost = Some(error);
            return;
        }
        self.session = None;
        self.stage = Stage::Idle;
        self.begin_again(error, out);
    }

    /// The next session starts from the first byte; too many of them end the commit.
    pub(super) fn begin_again(&mut self, error: Error, out: &mut Vec<Action>) {
        self.doomed = false;
        self.late = true;
        self.attempts += 1;
        if self.attempts >= ATTEMPTS_MAX {
            self.fail(error, out);
        }
    }

    /// A final failure. What is in flight lands later; a doubt stays a doubt and is settled before the next upload.
    pub(super) fn fail(&mut self, error: Error, out: &mut Vec<Action>) {
        self.failed = Some(error.retry(Retry::Never));
        self.late = true;
        if self.stage == (Stage::Probing { asked: false }) {
            self.stage = Stage::Unsettled;
        }
        self.answer_failure(out);
    }

    pub(super) fn answer_failure(&mut self, out: &mut Vec<Action>) {
        if let Some(error) = &self.failed
            && !self.commits.is_empty()
        {
            out.push(Action::Failed { ids: std::mem::take(&mut self.commits), error: error.clone() });
            self.attempts = 0;
            self.tries = 0;
        }
    }
}

/// Whether a file of another size might not be refused.
fn is_about_size(kind: Kind) -> bool {
    matches!(kind, Kind::TooLarge | Kind::Quota | Kind::ServerFull)
}

/// The wait before try number `tries` (from 1).
fn wait(tries: u32) -> Duration {
    WAIT_FIRST.saturating_mul(1 << (tries.saturating_sub(1)).min(16)).min(WAIT_MAX)
}
