//! What closing means. FUSE sends a flush for every `close` of a descriptor and says neither whether others exist nor
//! whether the caller is being killed; the rules here find out.
//!
//! * Nothing written since the last commit: answered at once, no request. (Every shell redirection flushes once before
//!   the first write.)
//! * A live process that opened or last wrote the file, the caller among them, still holds it open for writing: that
//!   close will commit. A child that inherited the descriptor must not publish a half-written file, nor must the parent
//!   of a child that still writes, nor a shell that closes its spare copy of a redirection after each command of a
//!   group. Readers do not count: a `tail -f` must not keep anything from being published.
//! * The caller is dying by a signal: nothing is published; what was written is parked as interrupted.
//! * Otherwise: commit, and answer when the service has confirmed.
//!
//! The last release commits whatever is left; its failure can be told to nobody, so it is logged and the file parked.

use std::sync::Arc;

use super::process::{self, Tgid};
use super::promise::Expectation;
use super::{File, Handle, State};
use crate::error::{Error, Kind, Result};
use crate::upload::CommitAnswer;

/// What a flush has to do.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Another close will tell.
    Defer,
    /// The caller is being killed by this signal.
    Park { signal: i64 },
    /// Tell the truth.
    Commit,
}

/// A commit that was decided.
pub(super) struct Commit {
    /// How many writes of the file it is about.
    pub(super) covers: u64,
    pub(super) step: Step,
}

pub(super) enum Step {
    /// There is nothing to send.
    Done(Result<()>),
    /// The service is asked.
    Wait(CommitAnswer),
}

/// The rules, without `/proc`.
fn verdict(still_held: bool, signal: Option<i64>) -> Verdict {
    match (still_held, signal) {
        (true, _) => Verdict::Defer,
        (false, Some(signal)) => Verdict::Park { signal },
        (false, None) => Verdict::Commit,
    }
}

impl File {
    /// Whether a flush has nothing to do, so that it can be answered at once.
    ///
    /// # Errors
    /// The sticky failure of the file, for a program that writes it.
    pub fn flush_now(&self, handle: &Handle) -> Option<Result<()>> {
        if !handle.is_writable() || !self.state().is_owed_an_answer() {
            return Some(Ok(()));
        }
        self.upload.failure().map(Err)
    }

    /// A descriptor of the file is closed by the thread `tid`.
    ///
    /// # Errors
    /// Why the service does not have the file.
    pub async fn flush(self: &Arc<Self>, tid: u32) -> Result<()> {
        loop {
            let seen = self.state().moment();
            let file = self.clone();
            let asked = tokio::task::spawn_blocking(move || file.verdict_for(tid)).await;
            match asked.unwrap_or(Verdict::Commit) {
                Verdict::Defer => return Ok(()),
                Verdict::Park { signal } => {
                    let what = format!("the program that wrote it was killed by signal {signal}");
                    if self.park(Error::new(Kind::Interrupted, "close", what), seen) {
                        return Ok(());
                    }
                }
                // Whoever opened the file meanwhile may have cut it: his half of a file is not to be published.
                Verdict::Commit => {
                    if let Some(commit) = self.begin_commit(|state| state.moment() == seen) {
                        return self.end_commit(commit).await;
                    }
                }
            }
        }
    }

    /// Reads `/proc`; the caller waits in `close` meanwhile, so what is read stays true.
    fn verdict_for(&self, tid: u32) -> Verdict {
        let processes: Vec<Tgid> = {
            let state = self.state();
            let writers = state.openers.iter().filter(|opener| opener.writable).map(|opener| opener.process);
            let mut all: Vec<Tgid> = writers.chain([state.last_writer, process::process_of(tid)]).flatten().collect();
            all.sort_by_key(|process| process.0);
            all.dedup();
            all
        };
        let holds = |process: &Tgid| {
            let device = self.files.device.get()?;
            process::holds_for_writing(*process, *device, self.ino)
        };
        // Where it cannot be seen, it is not held: a close that commits too early is repaired by the next one, a close
        // that commits too late is a lie.
        let still_held = processes.iter().any(|process| holds(process).unwrap_or(false));
        verdict(still_held, process::dies_by_signal(tid))
    }

    /// The service has the file when this returns `Ok`.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn commit(self: &Arc<Self>) -> Result<()> {
        match self.begin_commit(|_| true) {
            Some(commit) => self.end_commit(commit).await,
            None => Ok(()),
        }
    }

    /// Decides under the lock, so that nobody opens the file between the decision and the commit; `None` when `wanted`
    /// says no.
    fn begin_commit(self: &Arc<Self>, wanted: impl FnOnce(&State) -> bool) -> Option<Commit> {
        let state = self.state();
        if !wanted(&state) {
            return None;
        }
        let covers = state.writes;
        let parked = state.parked.clone().filter(|_| self.upload.is_dirty());
        let step = match parked {
            // Nobody wrote since: an `fsync` by somebody else does not make it a file to publish.
            Some(error) => Step::Done(Err(error)),
            None if !self.upload.is_dirty() && !self.upload.is_busy() => {
                Step::Done(self.upload.failure().map_or(Ok(()), Err))
            }
            None => Step::Wait(self.upload.begin_commit()),
        };
        Some(Commit { covers, step })
    }

    pub(super) async fn end_commit(self: &Arc<Self>, commit: Commit) -> Result<()> {
        let Commit { covers, step } = commit;
        let result = match step {
            Step::Done(result) => result,
            Step::Wait(answer) => {
                let result = self.upload.end_commit(answer, self.files.config.close_deadline).await.map(|_| ());
                if let Err(error) = &result {
                    let mut state = self.state();
                    // Unless another program has opened it for writing since: then it is a file like any other.
                    if self.upload.failure().is_some() {
                        state.parked = Some(error.clone());
                    }
                    // Whoever closes it next is told as well.
                    state.writes = state.writes.max(state.answered + 1);
                }
                result
            }
        };
        if result.is_ok() {
            let mut state = self.state();
            state.answered = state.answered.max(covers);
            if state.writes == covers {
                state.expectation = Expectation::Nothing;
            }
        }
        result
    }

    /// Takes `handle` off the list of who has the file open.
    pub(super) fn forget(&self, handle: &Handle) {
        let mut state = self.state();
        let at = state.openers.iter().position(|opener| *opener == handle.opener);
        at.map(|at| state.openers.swap_remove(at));
        state.readers -= u32::from(handle.readable);
    }

    /// The handle is gone; whoever closed it has been answered already.
    pub async fn release(self: Arc<Self>, handle: Arc<Handle>) {
        self.forget(&handle);
        if handle.opener.writable {
            // The upload logs a failure, and end_commit() parks the file.
            let _ = self.commit_unless_written().await;
        }
        // Only now: who waits for the last handle waits for its commit as well.
        self.files.open.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }

    /// Commits what nobody who still has the file open for writing will commit. Readers that stay have nothing to publish.
    ///
    /// # Errors
    /// Why the service does not have the file.
    pub async fn commit_unless_written(self: &Arc<Self>) -> Result<()> {
        let commit = self.begin_commit(|state| {
            let nobody_writes = !state.openers.iter().any(|opener| opener.writable);
            let failed = state.parked.is_some() || self.upload.failure().is_some();
            nobody_writes && !failed && self.upload.is_dirty()
        });
        match commit {
            Some(commit) => self.end_commit(commit).await,
            None => Ok(()),
        }
    }

    /// Keeps what was written out of the service until a program writes the file again; unless one did since `seen`.
    fn park(self: &Arc<Self>, error: Error, seen: (u64, u64)) -> bool {
        let mut state = self.state();
        if state.moment() != seen {
            return false;
        }
        tracing::warn!(path = %self.place.get(), %error, bytes = self.size(), "not uploaded; the bytes are kept");
        state.parked = Some(error.clone());
        self.upload.interrupt(error);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_writer_publishes_nothing_and_a_child_does_not_publish_for_its_parent() {
        assert_eq!(verdict(false, None), Verdict::Commit);
        assert_eq!(verdict(false, Some(2)), Verdict::Park { signal: 2 });
        assert_eq!(verdict(true, None), Verdict::Defer);
        assert_eq!(verdict(true, Some(9)), Verdict::Defer, "whoever still holds the file decides");
    }
}
