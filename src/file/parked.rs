//! What a person may do with a parked file, besides writing it anew: send it as it is, or throw away what the mount has
//! of it.
//!
//! **Contract.** Both are for files that nobody has open for writing. [`File::retry`] answers as a close does. What
//! [`File::discard_local`] has thrown away reaches the service no more, unless a request that was under way before
//! carries it there; readers that have the file open go on reading it, and nobody opens it again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::close::{Commit, Step};
use super::{File, State};
use crate::error::{Error, Kind, Result};

impl State {
    /// # Errors
    /// `Conflict` when the bytes were thrown away: the kernel then looks the name up again.
    pub(super) fn check_kept(&self) -> Result<()> {
        if self.thrown_away { Err(thrown_away()) } else { Ok(()) }
    }

    fn check_unwritten(&self, op: &'static str) -> Result<()> {
        self.check_kept()?;
        if self.openers.iter().any(|opener| opener.writable) {
            return Err(Error::new(Kind::Busy, op, "a program has the file open for writing"));
        }
        Ok(())
    }
}

impl File {
    /// Why the file is parked, if it is.
    pub(super) fn parked_by(&self, state: &State) -> Option<Error> {
        let upload = self.upload();
        // What nobody waits for is tried again by itself.
        let failure = || upload.failure().filter(|_| !upload.is_closed());
        let error = state.parked.clone().or_else(failure);
        // The service may confirm a file after its program was told that it does not.
        error.filter(|_| upload.is_dirty())
    }

    /// Sends a parked file as it is, complete or not; the service has it when this returns `Ok`. It has nothing to do
    /// for a file that the service has.
    ///
    /// # Errors
    /// Why the service does not have it: the file is parked again. `Busy` while a program has it open for writing,
    /// `Invalid` for one that is not parked, `Conflict` for one that was thrown away.
    pub async fn retry(self: &Arc<Self>) -> Result<()> {
        if self.base_in_doubt.load(Ordering::Acquire) {
            self.look_again(&self.upload()).await;
        }
        let commit = {
            let mut state = self.state();
            state.check_unwritten("retry")?;
            if self.parked_by(&state).is_none() {
                let settled = !self.upload().is_dirty() && !self.upload().is_busy();
                return if settled { Ok(()) } else { Err(not_parked("retry")) };
            }
            if self.has_earlier() {
                return Err(Error::new(Kind::Busy, "retry", "an earlier version of the file is still on its way"));
            }
            state.parked = None;
            self.upload().reopen();
            let upload = self.upload();
            // Under the lock: nobody opens the file between the decision and the commit.
            let step = Step::Wait(upload.begin_commit());
            Commit { covers: state.writes, upload, step }
        };
        self.end_commit(commit).await
    }

    /// Throws away what is local of a parked file. The caller takes it out of the tree, and has seen to it that nothing
    /// is being committed.
    ///
    /// # Errors
    /// As [`File::retry`], and nothing has happened then.
    pub fn discard_local(self: &Arc<Self>) -> Result<()> {
        let mut state = self.state();
        state.check_unwritten("discard")?;
        let error = self.parked_by(&state).ok_or_else(|| not_parked("discard"))?;
        tracing::info!(path = %self.place.get(), bytes = self.size(), %error, "thrown away, as told");
        state.thrown_away = true;
        self.upload().discard();
        Ok(())
    }
}

fn not_parked(op: &'static str) -> Error {
    Error::new(Kind::Invalid, op, "the file is not parked")
}

fn thrown_away() -> Error {
    Error::new(Kind::Conflict, "open", "what the mount had of the file was thrown away")
}
