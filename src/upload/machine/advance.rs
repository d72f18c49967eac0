//! What the machine starts next: a session, parts, the finish, a question; or nothing.

use super::session::{Session, Stage};
use super::{Action, Machine, Outcome};
use crate::error::{Error, Kind};
use crate::service::{Capability, SizePolicy};
use crate::upload::plan;

impl Machine {
    /// Starts whatever can be started now.
    pub(super) fn advance(&mut self, out: &mut Vec<Action>) {
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

    pub(super) fn advance_idle(&mut self, out: &mut Vec<Action>) {
        self.doomed = false;
        self.lost = None;
        if let Some(learned) = self.learned.take() {
            self.capability = Capability { whole_max: learned.whole_max.min(self.whole_max), ..learned };
        }
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
        let whole_max = self.capability.whole_max;
        // A service without that road has it for no file, not even an empty one.
        matches!(self.capability.policy, SizePolicy::Whole { .. }) || (whole_max > 0 && self.size <= whole_max)
    }

    /// Whether a session may be opened while the writer still writes.
    fn may_open(&self) -> bool {
        if self.late || !self.dirty {
            return false;
        }
        let Some(rules) = self.capability.policy.rules() else { return false };
        let ready = self.written.end_of_run(0);
        match self.capability.policy {
            SizePolicy::Streamed(_) => ready > rules.open_after || (self.waited && ready > 0),
            // The parts have their sizes: that the writer takes its time makes none of them complete.
            SizePolicy::Declared(_) => {
                ready > rules.open_after && self.promised.is_some_and(|total| total > self.capability.whole_max)
            }
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

    pub(super) fn advance_open(&mut self, out: &mut Vec<Action>) {
        let session = self.session.as_ref().expect("an open session");
        let committing = !self.commits.is_empty();
        // Whatever its program does to a file that is not wanted any more, it does to nobody's.
        let broken = !self.discarded
            && session.total.is_some_and(|total| self.size > total || (committing && self.size != total));
        // No service makes an empty file out of a session without parts.
        let empty = !self.discarded
            && committing
            && self.size == 0
            && (self.capability.whole_max > 0 || !self.capability.empty_files);
        let unwanted = self.failed.is_some() || self.discarded;
        if (unwanted && !self.may_be_file()) || self.doomed || broken || empty {
            return self.give_up(out);
        }
        if session.unsure {
            if session.flying.is_empty() {
                self.ask(out);
            }
            return;
        }
        if !unwanted {
            self.send_parts(out);
        }
        let session = self.session.as_ref().expect("an open session");
        // The program that removed its own file may have made another size of it since.
        let size = session.total.filter(|_| unwanted).unwrap_or(self.size);
        if (unwanted || !self.commits.is_empty()) && session.flying.is_empty() && session.complete(size) {
            let (token, receipts) = (session.token.clone(), session.receipts());
            self.stage = Stage::Finishing;
            self.dirtied = false;
            out.push(Action::Finish { token, receipts, size });
        }
    }

    /// Whether there may be a file although nobody has asked for it: the part that makes it was sent, and the service has
    /// not said what it thinks of it. What is not wanted any more is not given up then: it would stay, unknown to
    /// everybody, and the next upload would make a second one beside it.
    fn may_be_file(&self) -> bool {
        let last_makes_file = self.capability.policy.rules().is_some_and(|rules| rules.last_makes_file);
        let sent = |session: &Session| {
            let arrived = session.complete(session.total.unwrap_or(self.size));
            session.ended && !session.refused && (session.unsure || arrived || !session.flying.is_empty())
        };
        last_makes_file && self.session.as_ref().is_some_and(sent)
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
            let changed = "the file changed while it was being sent, again and again";
            let error = self.lost.take().unwrap_or_else(|| Error::new(Kind::Conflict, "upload", changed));
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
}

fn too_large(size: u64, max: u64) -> Error {
    Error::new(Kind::TooLarge, "upload", format!("the file has {size} bytes, the service takes at most {max}"))
}
