//! A process dies, and another one goes on with what the journal says.

use super::*;

impl World {
    /// See [`Step::Crash`].
    pub(super) fn crash(&mut self, done: u8, journalled: u8) {
        if self.discarded {
            // Its entry is gone.
            return;
        }
        let (session, stale) = (self.machine.session(RemotePath::root()), self.machine.doubt_is_stale());
        for (number, request) in std::mem::take(&mut self.under_way).into_iter().enumerate() {
            let is_done = done >> (number % 8) & 1 == 1;
            self.end_unheard(request, if is_done { Fate::DoneUnheard } else { Fate::LostUnheard });
        }
        (self.ageing, self.sealed) = (false, false);
        // The dead are told nothing.
        self.answered = self.asked.clone();
        self.machine = if self.machine.is_dirty() || self.in_doubt {
            self.resume(session, stale, journalled)
        } else {
            Machine::new(self.capability.clone(), self.content.len() as u64)
        };
    }

    fn resume(&mut self, session: Option<OpenSession>, stale: bool, journalled: u8) -> Machine {
        let kept = session.as_ref().filter(|_| !self.changed).map(|session| session.token.id.clone());
        // Whatever the journal does not name is left to the service's own clean-up.
        let left = self.service.sessions.keys().filter(|id| Some(*id) != kept.as_ref()).cloned();
        self.service.orphans.extend(left);
        let size = self.content.len() as u64;
        if self.changed {
            // Nobody closed it: what the service has of it is of no use, and a person decides.
            self.in_doubt = false;
            let failed = Some(Error::new(Kind::Interrupted, "test", "nobody closed it"));
            return Machine::resume(self.capability.clone(), Left { size, changed: true, failed, ..Left::default() });
        }
        let session = session.map(|session| self.journalled(session, journalled));
        // From here on it changes only in another generation, which has a machine of its own.
        self.sealed = true;
        self.in_doubt &= !stale;
        let left = Left { size, session, asked: self.in_doubt, changed: false, failed: None };
        Machine::resume(self.capability.clone(), left)
    }

    /// What the journal knows of the session: what it was told at the close, and some of what came after.
    fn journalled(&self, mut session: OpenSession, journalled: u8) -> OpenSession {
        let before = self.journal.as_ref().filter(|before| before.token == session.token);
        let is_noted = |index: &u32| journalled >> (index % 8) & 1 == 1;
        session.sent.retain(|index, _| is_noted(index));
        session.held.retain(|index, _| is_noted(index));
        if let Some(OpenSession { sent, held, .. }) = before.cloned() {
            session.sent = sent.into_iter().chain(session.sent).collect();
            session.held = held.into_iter().chain(session.held).collect();
        }
        session
    }

    /// What the service makes of a request whose sender is dead.
    fn end_unheard(&mut self, request: Request, fate: Fate) {
        match request {
            Request::Timer | Request::Probe { .. } => {}
            Request::Begin { size, first } => drop(self.begin(size, first, fate)),
            Request::Put { token, cut } => drop(self.put(&token, &cut, fate)),
            Request::Finish { token, receipts, size, snapshot } => {
                drop(self.finish(&token, &receipts, size, &snapshot, fate));
            }
            Request::Whole { snapshot } => {
                if fate == Fate::DoneUnheard {
                    self.service.versions.push(snapshot);
                }
            }
        }
    }
}
