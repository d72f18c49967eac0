//! An upload that an earlier process, or an earlier generation of the file, left: what is known of it, and how it goes on.

use super::session::{Session, Stage};
use super::{Machine, SizePolicy};
use crate::error::Error;
use crate::path::RemotePath;
use crate::service::Capability;
use crate::spool::{OpenSession, Sent};
use crate::upload::plan::{self, Cut};

/// What is left of an upload.
#[derive(Debug, Default)]
pub struct Left {
    /// Bytes of the file.
    pub size: u64,
    /// The session that was open.
    pub session: Option<OpenSession>,
    /// Whether the service was asked to make the file, and its answer is not known.
    pub asked: bool,
    /// Whether the file may have changed since it was sent: what the service has of it is worth nothing then.
    pub changed: bool,
    /// Why it is not to be published.
    pub failed: Option<Error>,
}

impl Machine {
    /// The machine of a file that the service does not have as it is. Nothing is sent before a commit, and nothing at
    /// all before the service was asked what it has, where it may have something.
    pub fn resume(capability: Capability, left: Left) -> Self {
        let Left { size, session, asked, changed, failed } = left;
        let mut machine = Machine::new(capability, size);
        let doomed = session.as_ref().is_some_and(|session| changed || !machine.fits(session));
        machine.stage = if asked || session.is_some() { Stage::Unsettled } else { Stage::Idle };
        machine.session = session.map(Session::resume);
        machine.dirty = true;
        machine.late = true;
        machine.dirtied = changed;
        machine.doomed = doomed;
        machine.failed = failed;
        machine.check_invariants();
        machine
    }

    /// The session under way, as another process could go on with it; it was opened when the file stood at `path`.
    pub fn session(&self, path: RemotePath) -> Option<OpenSession> {
        let is_worthless = self.doomed || self.doubt_is_stale();
        self.session.as_ref().filter(|_| !is_worthless).map(|session| session.left(path))
    }

    /// Whether the service may have something of the file that is not what the file is now: to ask about it would bring an
    /// answer about other bytes.
    pub fn doubt_is_stale(&self) -> bool {
        self.in_doubt() && self.dirtied
    }

    /// Whether the parts of a session are those that would be sent today: the service, or whoever configures it, may have
    /// changed its mind about their size.
    fn fits(&self, session: &OpenSession) -> bool {
        match (self.capability.policy, session.total) {
            (SizePolicy::Declared(rules), Some(total)) => {
                let planned = |sent: &Sent| plan::declared_cut(&rules, total, sent.index);
                session.sent.values().all(|sent| planned(sent) == Some(Cut::from(sent.clone())))
            }
            (SizePolicy::Streamed(_), None) => true,
            _ => false,
        }
    }
}

impl From<Sent> for Cut {
    fn from(sent: Sent) -> Self {
        Cut { index: sent.index, range: sent.range, last: sent.last }
    }
}

impl From<Cut> for Sent {
    fn from(cut: Cut) -> Self {
        Sent { index: cut.index, range: cut.range, last: cut.last, rewritten: false }
    }
}
