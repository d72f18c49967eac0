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
//! * Otherwise: commit, and answer when the service has confirmed; or, with [`Close::Local`], save the file as complete,
//!   answer, and leave the commit to `publish.rs`.
//!
//! The last release commits whatever is left; its failure can be told to nobody, so it is logged and the file parked.
//! What is parked is saved, too: it waits for a person, also at the next mount.

use std::sync::Arc;
use std::time::Duration;

use super::process::{self, Tgid};
use super::promise::Expectation;
use super::publish::may_pass;
use super::{Close, File, Handle, State};
use crate::error::{Error, Kind, Result};
use crate::spool::Fate;
use crate::upload::{CommitAnswer, RETRY_OR_DISCARD, Saving, Upload};

/// So long `/proc` may take. A program that is being replaced by another (`exec`) closes what is to be closed then, while
/// the kernel makes whoever reads its `/proc/<tid>/stat` wait until it has: each would wait for the other for ever. It is
/// not dying, and it does not hold the file any more.
const PROC_MAX: Duration = Duration::from_secs(5);

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
    pub(super) upload: Arc<Upload>,
    pub(super) step: Step,
}

pub(super) enum Step {
    /// There is nothing to do.
    Done(Result<()>),
    /// The service is asked.
    Wait(CommitAnswer),
    /// The file is saved as complete.
    Save(Saving),
}

/// What came of the wish to commit.
enum Decision {
    /// It was not to be.
    Unwanted,
    /// Somebody saves the file at this moment: decide again afterwards.
    Busy(Arc<Upload>),
    Commit(Commit),
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
        {
            let mut state = self.state();
            let opener = state.openers.iter_mut().find(|opener| opener.number == handle.opener.number);
            opener.into_iter().for_each(|opener| opener.flushed = true);
            if !handle.is_writable() || !state.is_owed_an_answer() {
                return Some(Ok(()));
            }
        }
        // What failed before it was closed is brought to disk before anybody hears of it.
        self.failure().filter(|_| self.upload().is_saved()).map(Err)
    }

    /// A descriptor of the file is closed by the thread `tid`.
    ///
    /// # Errors
    /// Why the service does not have the file.
    pub async fn flush(self: &Arc<Self>, tid: u32) -> Result<()> {
        loop {
            let seen = self.state().moment();
            let file = self.clone();
            let asked = tokio::task::spawn_blocking(move || file.verdict_for(tid));
            let asked = tokio::time::timeout(PROC_MAX, asked).await;
            match asked.unwrap_or(Ok(Verdict::Commit)).unwrap_or(Verdict::Commit) {
                Verdict::Defer => {
                    // Whoever closes it last hears it as well.
                    let Some(error) = self.failure() else { return Ok(()) };
                    self.not_uploaded(&self.upload(), &error).await;
                    return Err(error);
                }
                Verdict::Park { signal } => {
                    let what = format!("the program that wrote it was killed by signal {signal}");
                    if self.park(Error::new(Kind::Interrupted, "close", what).hint(RETRY_OR_DISCARD), seen).await {
                        return Ok(());
                    }
                }
                // Whoever opened the file meanwhile may have cut it: his half of a file is not to be published.
                Verdict::Commit => {
                    self.until_turn().await?;
                    self.take_back(tid, seen);
                    match self.begin_commit(|state| state.moment() == seen) {
                        Decision::Unwanted => {}
                        Decision::Busy(upload) => upload.settled().await,
                        Decision::Commit(commit) => return self.end_commit(commit).await,
                    }
                }
            }
        }
    }

    /// A program that is in the middle of its own close cannot be seen to hold the file. If another writer was killed just then,
    /// the file was parked for that: but the one that closes it wrote, too, and says that it is complete.
    fn take_back(&self, tid: u32, seen: (u64, u64)) {
        let caller = process::process_of(tid);
        let mut state = self.state();
        let is_writer = caller.is_some_and(|process| state.writers.contains(&process));
        if is_writer && state.moment() == seen && state.killed_at == Some(seen) {
            state.killed_at = None;
            state.parked = None;
            self.upload().reopen();
        }
    }

    /// Reads `/proc`; the caller waits in `close` meanwhile, so what is read stays true.
    fn verdict_for(&self, tid: u32) -> Verdict {
        let caller = process::process_of(tid);
        let (processes, newcomers) = {
            let state = self.state();
            let writers = || state.openers.iter().filter(|opener| opener.writable);
            let all = writers().map(|opener| opener.process);
            let mut all: Vec<Tgid> = all.chain([state.last_writer, caller]).flatten().collect();
            all.sort_by_key(|process| process.0);
            all.dedup();
            // The descriptor of a program that is still in `open` cannot be seen yet; one that nobody ever closed a copy of
            // is not one that was handed on to the caller.
            let newcomers = writers().filter(|opener| !opener.flushed).filter_map(|opener| opener.process);
            (all, newcomers.filter(|process| Some(*process) != caller).collect::<Vec<_>>())
        };
        let holds = |process: &Tgid| {
            let device = self.files.device.get()?;
            process::holds_for_writing(*process, *device, self.ino)
        };
        // Where it cannot be seen, it is not held: a close that commits too early is repaired by the next one, a close
        // that commits too late is a lie.
        let still_held = processes.iter().any(|process| holds(process).unwrap_or(false));
        let signal = process::dies_by_signal(tid);
        verdict(still_held || (signal.is_some() && newcomers.into_iter().any(process::is_alive)), signal)
    }

    /// What a close would do, whoever has the file open.
    ///
    /// # Errors
    /// Why the service does not have it, or, with [`Close::Local`], the disk.
    pub async fn commit(self: &Arc<Self>) -> Result<()> {
        self.commit_if(|_| true).await
    }

    async fn commit_if(self: &Arc<Self>, wanted: impl Fn(&State) -> bool) -> Result<()> {
        loop {
            self.until_turn().await?;
            match self.begin_commit(&wanted) {
                Decision::Unwanted => return Ok(()),
                Decision::Busy(upload) => upload.settled().await,
                Decision::Commit(commit) => return self.end_commit(commit).await,
            }
        }
    }

    /// Waits until the file itself is next, where a program waits for the service. (The others are saved in any case.)
    async fn until_turn(&self) -> Result<()> {
        if self.files.config.close == Close::Local {
            return Ok(());
        }
        let upload = self.upload();
        let turn = tokio::time::timeout(self.files.config.close_deadline, self.until_first(&upload));
        let late = |_| Error::new(Kind::Timeout, "close", "an earlier version of the file is still on its way");
        turn.await.map_err(late).map(|_| ())
    }

    /// Decides under the lock, so that nobody opens the file between the decision and the commit.
    fn begin_commit(self: &Arc<Self>, wanted: impl FnOnce(&State) -> bool) -> Decision {
        let state = self.state();
        if !wanted(&state) {
            return Decision::Unwanted;
        }
        let (covers, upload) = (state.writes, self.upload());
        let parked = state.parked.clone().filter(|_| upload.is_dirty());
        let step = match parked {
            // Nobody wrote since: a close by somebody else does not make it a file to publish.
            Some(error) => Step::Done(Err(error)),
            None if upload.is_closed() => Step::Done(Ok(())),
            None if !upload.is_dirty() && !upload.is_busy() => Step::Done(upload.failure().map_or(Ok(()), Err)),
            None if self.is_for_later(upload.failure()) => match upload.begin_save() {
                Some(saving) => Step::Save(saving),
                None => return Decision::Busy(upload),
            },
            None => Step::Wait(upload.begin_commit()),
        };
        Decision::Commit(Commit { covers, upload, step })
    }

    /// Whether a close is answered by the local disk: also of a file that has met trouble on its way already, if that may
    /// pass.
    fn is_for_later(&self, failure: Option<Error>) -> bool {
        self.files.config.close == Close::Local && failure.is_none_or(|error| may_pass(error.kind))
    }

    pub(super) async fn end_commit(self: &Arc<Self>, commit: Commit) -> Result<()> {
        let Commit { covers, upload, step } = commit;
        let result = match step {
            Step::Done(result) => result,
            Step::Save(saving) => {
                let saved = upload.end_save(saving, Fate::Closed, self.written_at()).await;
                match &saved {
                    Ok(()) => {
                        self.supersede(&upload);
                        self.publish(upload);
                    }
                    Err(error) => {
                        tracing::error!(path = %self.place.get(), %error, "not saved; it is kept in memory only");
                        self.state().parked = Some(error.clone());
                        upload.interrupt(error.clone());
                    }
                }
                saved
            }
            Step::Wait(answer) => {
                let result = upload.end_commit(answer, self.files.config.close_deadline).await.map(|_| ());
                match &result {
                    Ok(()) => self.supersede(&upload),
                    Err(error) => self.not_uploaded(&upload, error).await,
                }
                result
            }
        };
        let mut state = self.state();
        if result.is_ok() {
            state.answered = state.answered.max(covers);
            if state.writes == covers {
                state.writers.clear();
                state.expectation = Expectation::Nothing;
            }
        } else {
            // Whoever closes it next is told as well.
            state.writes = state.writes.max(state.answered + 1);
        }
        drop(state);
        result
    }

    /// A commit failed, and its program is about to hear of it: the file is kept for whoever wants it.
    async fn not_uploaded(self: &Arc<Self>, upload: &Arc<Upload>, error: &Error) {
        // Unless another program has opened it for writing since: then it is a file like any other.
        if upload.failure().is_some() {
            self.keep_back(upload, error.clone()).await;
        }
    }

    /// Brings what was written to disk, with the intent to upload it once it is closed.
    ///
    /// # Errors
    /// The sticky failure of the file; `SpoolFull`, `Spool`.
    pub async fn sync(self: &Arc<Self>) -> Result<()> {
        let upload = self.upload();
        upload.settled().await;
        let parked = self.state().parked.clone().filter(|_| upload.is_dirty());
        if let Some(error) = parked.or_else(|| self.failure()) {
            return Err(error);
        }
        if upload.is_sealed() { Ok(()) } else { upload.save(Fate::Open, self.written_at()).await }
    }

    /// Takes `handle` off the list of who has the file open.
    pub(super) fn forget(&self, handle: &Handle) {
        let mut state = self.state();
        let at = state.openers.iter().position(|opener| opener.number == handle.opener.number);
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
        self.commit_if(|state| {
            let upload = self.upload();
            let nobody_writes = !state.openers.iter().any(|opener| opener.writable);
            let failed = state.parked.is_some() || upload.failure().is_some();
            nobody_writes && !failed && upload.is_dirty() && !upload.is_closed()
        })
        .await
    }

    /// Keeps what was written out of the service until a program writes the file again; unless one did since `seen`.
    async fn park(self: &Arc<Self>, error: Error, seen: (u64, u64)) -> bool {
        let upload = self.upload();
        {
            let mut state = self.state();
            if state.moment() != seen {
                return false;
            }
            tracing::warn!(path = %self.place.get(), %error, bytes = self.size(), "not uploaded; the bytes are kept");
            state.parked = Some(error.clone());
            state.killed_at = Some(seen);
            upload.interrupt(error.clone());
        }
        self.keep_back(&upload, error).await;
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
