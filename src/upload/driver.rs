//! Applies what the upload machine asks for: one tracked task per request, the answers fed back. The lock of an upload
//! is held for memory work only (a step of the machine, a copy into the cache); requests, disk and callers' code run
//! outside of it.
//!
//! **Failure.** A failed commit is logged once, with the path, and kept for [`Upload::failure`].
//!
//! **Cancellation.** A caller that stops waiting changes nothing: the commit goes on and the file learns its result.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::machine::{Action, CommitId, Event, Machine, Outcome};
use super::plan::Cut;
use super::source::{Outgoing, Source};
use super::{AGE, Place, Uploads};
use crate::error::{Error, Kind, Result, Retry};
use crate::path::RemotePath;
use crate::service::{Content, Node, Part, Payload, Progress, Receipt, SessionToken, Sha1Digest, Spec};

/// The upload of one file: its bytes, and what the service has of them.
pub struct Upload {
    uploads: Arc<Uploads>,
    place: Arc<Place>,
    source: Arc<Source>,
    core: Mutex<Core>,
    /// Told whenever a commit ends: writers that came meanwhile go on.
    settled: Notify,
    /// Bytes handed to requests; a close waits as long as this moves.
    progress: Arc<AtomicU64>,
}

/// What the lock guards.
struct Core {
    machine: Machine,
    waiting: HashMap<CommitId, oneshot::Sender<Result<Outcome>>>,
    next_commit: u64,
    /// The bytes on their way for the current session.
    outgoing: Arc<Outgoing>,
    /// What the last finish or whole upload was to be; a probe asks about that.
    asked: Option<Spec>,
    /// When the service last confirmed a version.
    committed: Option<Instant>,
}

/// Why a change of a file was not made.
#[derive(Debug)]
pub enum Held {
    /// A commit is under way: wait for [`Upload::settled`] and try again.
    Committing,
    /// The upload failed; the same answer comes until the file is reopened.
    Failed(Error),
}

/// What [`Upload::begin_commit`] will be answered.
pub struct CommitAnswer(oneshot::Receiver<Result<Outcome>>);

impl Upload {
    /// The upload of the file whose bytes are `source`, `size` of them, all as the service has them.
    pub fn new(uploads: Arc<Uploads>, place: Arc<Place>, source: Arc<Source>, size: u64) -> Arc<Self> {
        let capability = uploads.service().capability();
        let progress = Arc::new(AtomicU64::new(0));
        let outgoing = Arc::new(Outgoing::new(source.clone(), progress.clone(), capability.sha1));
        let core = Core {
            machine: Machine::new(capability, size),
            waiting: HashMap::new(),
            next_commit: 0,
            outgoing,
            asked: None,
            committed: None,
        };
        Arc::new(Upload { uploads, place, source, core: Mutex::new(core), settled: Notify::new(), progress })
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of the file.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The size of the file, in bytes.
    pub fn size(&self) -> u64 {
        self.core().machine.size()
    }

    /// Whether the service's version is older than the file.
    pub fn is_dirty(&self) -> bool {
        self.core().machine.is_dirty()
    }

    /// Whether anything is under way for this file.
    pub fn is_busy(&self) -> bool {
        self.core().machine.is_busy()
    }

    /// Whether a commit waits for its answer.
    pub fn is_committing(&self) -> bool {
        self.core().machine.is_committing()
    }

    /// The failure that every commit is answered with until the file is reopened.
    pub fn failure(&self) -> Option<Error> {
        self.core().machine.failure().cloned()
    }

    /// Whether the service confirmed a version after `moment`.
    pub fn committed_since(&self, moment: Instant) -> bool {
        self.core().committed.is_some_and(|committed| committed > moment)
    }

    /// Bytes the service holds of the session under way.
    pub fn sent(&self) -> u64 {
        self.core().machine.sent()
    }

    /// Writes what there is room for; how many bytes were taken. `at` is `None` for an append.
    ///
    /// # Errors
    /// [`Held`]: a commit is under way, or the upload failed.
    pub fn write(self: &Arc<Self>, at: Option<u64>, data: &[u8]) -> Result<usize, Held> {
        self.change(|core, source| {
            let at = at.unwrap_or(core.machine.size());
            let taken = source.write(at, data);
            let end = at + taken as u64;
            let size = core.machine.size().max(end);
            let event = (taken > 0).then_some(Event::Wrote { range: at..end, size });
            (taken, event)
        })
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// As [`Upload::write`].
    pub fn resize(self: &Arc<Self>, size: u64) -> Result<(), Held> {
        self.change(|_, source| {
            source.truncate(size);
            ((), Some(Event::Resized { size }))
        })
    }

    /// Extends the file to `size` bytes, unless it has as many.
    ///
    /// # Errors
    /// As [`Upload::write`].
    pub fn extend(self: &Arc<Self>, size: u64) -> Result<(), Held> {
        self.change(|core, source| {
            let event = (size > core.machine.size()).then(|| {
                source.truncate(size);
                Event::Resized { size }
            });
            ((), event)
        })
    }

    /// A change of the bytes and the machine's knowledge of it are one step: a part that is cut in between would carry
    /// bytes the machine does not know of.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut Core, &Source) -> (T, Option<Event>)) -> Result<T, Held> {
        let mut core = self.core();
        if let Some(error) = core.machine.failure() {
            return Err(Held::Failed(error.clone()));
        }
        if core.machine.is_committing() {
            return Err(Held::Committing);
        }
        if !core.machine.is_dirty() {
            // Before the first byte: nothing of it may be dropped.
            self.source.keep();
            core.machine.learn(self.uploads.service().capability());
        }
        let (value, event) = change(&mut core, &self.source);
        let actions = event.map(|event| core.machine.on(event)).unwrap_or_default();
        if !core.machine.is_dirty() && !core.machine.is_discarded() {
            // Nothing came of it, and the service has everything. (Of a removed file it has nothing.)
            self.source.release();
        }
        self.apply(core, actions);
        Ok(value)
    }

    /// Waits until no commit is under way.
    pub async fn settled(&self) {
        loop {
            let told = self.settled.notified();
            if !self.core().machine.is_committing() {
                return;
            }
            told.await;
        }
    }

    /// The file is complete as it is: makes it so on the service, whatever happens to it from here on.
    pub fn begin_commit(self: &Arc<Self>) -> CommitAnswer {
        let mut core = self.core();
        let id = CommitId(core.next_commit);
        core.next_commit += 1;
        let (sender, receiver) = oneshot::channel();
        core.waiting.insert(id, sender);
        self.step(core, Event::Commit { id });
        CommitAnswer(receiver)
    }

    /// Answers when the service has confirmed, or when nothing moved for `patience`.
    ///
    /// # Errors
    /// Why the service does not have the file.
    pub async fn end_commit(self: &Arc<Self>, mut commit: CommitAnswer, patience: Duration) -> Result<Outcome> {
        loop {
            let before = self.progress.load(Ordering::Relaxed);
            match tokio::time::timeout(patience, &mut commit.0).await {
                Ok(Ok(result)) => return result,
                Ok(Err(_)) => unreachable!("the machine answers every commit"),
                Err(_) if self.progress.load(Ordering::Relaxed) != before => {}
                Err(_) => self.event(Event::Deadline),
            }
        }
    }

    /// A program opened the file for writing again.
    pub fn reopen(self: &Arc<Self>) {
        self.event(Event::Reopen);
    }

    /// The file will have `size` bytes, it is said.
    pub fn promise(self: &Arc<Self>, size: u64) {
        self.event(Event::Promised { size });
    }

    /// The file has another name by now: [`Place`] says which.
    pub fn moved(self: &Arc<Self>) {
        self.event(Event::Moved);
    }

    /// The file is gone: nothing of it shall reach the service.
    pub fn discard(self: &Arc<Self>) {
        self.event(Event::Discard);
    }

    /// The writer was killed: what it wrote is not published, and not forgotten.
    pub fn interrupt(self: &Arc<Self>, error: Error) {
        self.event(Event::Interrupted { error });
    }

    /// Takes the service's version `node` as the file, unless there are local changes; whether it did.
    pub fn adopt(&self, node: Node) -> bool {
        let mut core = self.core();
        if core.machine.is_dirty() || core.machine.is_busy() {
            return false;
        }
        core.machine = Machine::new(self.uploads.service().capability(), node.size);
        self.source.reset(self.place.get(), node);
        true
    }

    fn event(self: &Arc<Self>, event: Event) {
        self.step(self.core(), event);
    }

    fn step(self: &Arc<Self>, mut core: MutexGuard<'_, Core>, event: Event) {
        let was_committing = core.machine.is_committing();
        core.machine.learn(self.uploads.service().capability());
        let actions = core.machine.on(event);
        if was_committing && !core.machine.is_committing() {
            self.settled.notify_waiters();
        }
        self.apply(core, actions);
    }

    /// What the machine asks for; what concerns the bytes is done under the lock, everything else after it.
    fn apply(self: &Arc<Self>, mut core: MutexGuard<'_, Core>, actions: Vec<Action>) {
        let mut later = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::Committed { ids, outcome } => {
                    if let Some(node) = &outcome.node {
                        core.committed = Some(Instant::now());
                        let path = self.place.get();
                        note_committed(&path, node);
                        self.source.committed(path, node.clone(), outcome.clean);
                    }
                    later.extend(answers(&mut core, ids, &Ok(outcome)));
                }
                Action::Failed { ids, error } => {
                    tracing::error!(path = %self.place.get(), %error, "upload failed; the bytes are kept");
                    later.extend(answers(&mut core, ids, &Err(error)));
                }
                action => self.start(&mut core, action),
            }
        }
        drop(core);
        for (waiting, result) in later {
            // A caller that went away has no use for the answer.
            let _ = waiting.send(result);
        }
    }

    /// Starts the task of one action.
    fn start(self: &Arc<Self>, core: &mut Core, action: Action) {
        match action {
            Action::Begin { size, first } => {
                core.outgoing = self.new_outgoing();
                let first = first.map(|cut| part(core, cut));
                self.spawn(async move |upload| {
                    let spec = upload.spec(size);
                    Event::Began { result: upload.uploads.service().begin(&spec, first).await }
                });
            }
            Action::Put { token, cut } => {
                let (index, part) = (cut.index, part(core, cut));
                self.spawn(async move |upload| {
                    let spec = upload.spec(part.last.then_some(part.payload.range().end));
                    Event::Put { index, result: upload.uploads.service().put(&spec, &token, part).await }
                });
            }
            Action::Finish { token, receipts, size } => {
                self.source.mark_complete();
                let sha1 = core.outgoing.sha1_to(size);
                self.uploads.spawn(self.clone().finish(token, receipts, size, sha1));
            }
            Action::Whole { size } => {
                self.source.mark_complete();
                core.outgoing = self.new_outgoing();
                let payload = Payload::new(core.outgoing.clone(), 0..size);
                self.uploads.spawn(self.clone().whole(payload, size));
            }
            Action::Probe { session } => {
                let asked = core.asked.clone();
                let sha1 = core.outgoing.sha1_to(core.machine.size());
                let known = sha1.map(|_| core.machine.size());
                self.spawn(async move |upload| {
                    let spec = asked.unwrap_or_else(|| Spec { sha1, ..upload.spec(known) });
                    let session = session.as_ref().map(|(token, receipts)| (token, receipts.as_slice()));
                    let result = upload.uploads.service().probe(&spec, session).await;
                    if matches!(result, Ok(Progress::Unknown)) {
                        // Work on the other side is progress too: whoever waits in a close goes on waiting.
                        upload.progress.fetch_add(1, Ordering::Relaxed);
                    }
                    Event::Probed { result }
                });
            }
            Action::Abort { token } => {
                let (uploads, place) = (self.uploads.clone(), self.place.clone());
                self.uploads.spawn(async move {
                    if let Err(error) = uploads.service().abort(&token).await {
                        tracing::warn!(path = %place.get(), %error, "an abandoned upload session is left to the service");
                    }
                });
            }
            Action::Age => self.after(AGE, Event::Aged),
            Action::Wait { delay } => self.after(self.uploads.jitter(delay), Event::Again),
            Action::Committed { .. } | Action::Failed { .. } => unreachable!("handled under the lock"),
        }
    }

    /// The commit itself: nobody renames or removes the file meanwhile.
    async fn finish(self: Arc<Self>, token: SessionToken, receipts: Vec<Receipt>, size: u64, sha1: Option<Sha1Digest>) {
        let _settled = self.place.hold().await;
        if self.core().machine.is_doomed() || self.core().machine.is_discarded() {
            return self.event(Event::Finished { result: Err(overtaken()) });
        }
        let spec = Spec { sha1, ..self.spec(Some(size)) };
        self.core().asked = Some(spec.clone());
        let result = self.uploads.service().finish(&spec, &token, &receipts).await;
        self.forget_asked(&result);
        self.event(Event::Finished { result });
    }

    async fn whole(self: Arc<Self>, payload: Payload, size: u64) {
        let _settled = self.place.hold().await;
        if self.core().machine.is_discarded() {
            return self.event(Event::Finished { result: Err(overtaken()) });
        }
        let spec = self.spec(Some(size));
        self.core().asked = Some(spec.clone());
        let result = self.uploads.service().put_whole(&spec, payload.clone()).await;
        if result.is_err() {
            self.core().asked = Some(Spec { sha1: payload.sha1_to_end(), ..spec });
        }
        self.forget_asked(&result);
        self.event(Event::Finished { result });
    }

    /// A definite answer leaves nothing to ask about.
    fn forget_asked<T>(&self, result: &Result<T>) {
        if !result.as_ref().is_err_and(Error::in_doubt) {
            self.core().asked = None;
        }
    }

    fn new_outgoing(&self) -> Arc<Outgoing> {
        let wants_sha1 = self.uploads.service().capability().sha1;
        Arc::new(Outgoing::new(self.source.clone(), self.progress.clone(), wants_sha1))
    }

    fn spec(&self, size: Option<u64>) -> Spec {
        Spec { path: self.place.get(), size, sha1: None, replaces: self.source.node() }
    }

    /// Feeds `event` back after a while. Nobody waits for a timer at the end of a mount.
    fn after(self: &Arc<Self>, delay: Duration, event: Event) {
        let upload = self.clone();
        self.uploads.spawn_timer(async move {
            tokio::time::sleep(delay).await;
            upload.event(event);
        });
    }

    /// A tracked task whose event is fed back.
    fn spawn<F>(self: &Arc<Self>, work: impl FnOnce(Arc<Upload>) -> F)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let (upload, work) = (self.clone(), work(self.clone()));
        self.uploads.spawn(async move {
            let event = work.await;
            upload.event(event);
        });
    }
}

/// The file was removed, or renamed under a session that has the old name, while its commit waited for that.
fn overtaken() -> Error {
    let error = Error::new(Kind::Conflict, "upload", "the file was renamed or removed while it was being sent");
    error.retry(Retry::After(Duration::ZERO))
}

/// The answers for `ids`, to be sent outside of the lock.
fn answers(
    core: &mut Core,
    ids: Vec<CommitId>,
    result: &Result<Outcome>,
) -> Vec<(oneshot::Sender<Result<Outcome>>, Result<Outcome>)> {
    ids.into_iter().filter_map(|id| Some((core.waiting.remove(&id)?, result.clone()))).collect()
}

fn note_committed(path: &RemotePath, node: &Node) {
    let sha1 = node.sha1.map(|sha1| sha1.to_string()).unwrap_or_default();
    tracing::info!(%path, bytes = node.size, sha1, "uploaded");
}

fn part(core: &Core, cut: Cut) -> Part {
    let range: Range<u64> = cut.range;
    Part { index: cut.index, payload: Payload::new(core.outgoing.clone(), range), last: cut.last }
}
