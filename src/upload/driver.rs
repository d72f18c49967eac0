//! One file and its machine: what programs and commits want of it, applied step by step. The lock of an upload is held
//! for memory work only (a step of the machine, a copy into the cache); requests (`requests.rs`), disk (`saved.rs`) and
//! callers' code run outside of it.
//!
//! **Failure.** A failed commit is logged once, with the path, and kept for [`Upload::failure`].
//!
//! **Cancellation.** A caller that stops waiting changes nothing: the commit goes on and the file learns its result.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, oneshot};

use super::machine::{Action, CommitId, Event, Machine, Outcome};
use super::saved::Seal;
use super::source::{Outgoing, Source};
use super::{Place, Uploads};
use crate::error::{Error, Result};
use crate::path::RemotePath;
use crate::service::{Node, Spec};
use crate::spool::Journal;

/// The upload of one file: its bytes, and what the service has of them.
pub struct Upload {
    pub(super) uploads: Arc<Uploads>,
    pub(super) place: Arc<Place>,
    pub(super) source: Arc<Source>,
    core: Mutex<Core>,
    /// Told whenever a commit ends, or the file has been saved: writers that came meanwhile go on.
    pub(super) settled: Notify,
    /// Held by whoever saves the file or ends its entry.
    pub(super) journaling: tokio::sync::Mutex<()>,
    /// The generation after this one, until this one is over.
    pub(super) next: Mutex<Option<Arc<Upload>>>,
    /// Bytes handed to requests; a close waits as long as this moves.
    pub(super) progress: Arc<AtomicU64>,
    /// Greater than those of all that were made before.
    pub(super) number: u64,
    /// The file was removed while nobody knew whether the service would have it.
    unwanted: AtomicBool,
}

/// Numbers uploads, from 1 on.
static UPLOADS: AtomicU64 = AtomicU64::new(1);

/// What the lock guards.
pub(super) struct Core {
    pub(super) machine: Machine,
    pub(super) waiting: HashMap<CommitId, oneshot::Sender<Result<Outcome>>>,
    pub(super) next_commit: u64,
    /// The bytes on their way for the current session, once there was one.
    pub(super) outgoing: Option<Arc<Outgoing>>,
    /// What the last finish or whole upload was to be; a probe asks about that.
    pub(super) asked: Option<Spec>,
    /// Where the file stood when the session under way was opened.
    pub(super) begun_at: RemotePath,
    /// When the service last confirmed a version.
    pub(super) committed: Option<Instant>,
    /// The number of the generation that was last heard to be on the service before this one.
    pub(super) followed: u64,
    /// Where it is written down what another process needs to go on, once the file was saved.
    pub(super) journal: Option<Arc<Journal>>,
    /// See [`Info::order`](crate::spool::Info::order).
    pub(super) order: u64,
    /// When a program last wrote to what was saved.
    pub(super) modified: SystemTime,
    /// Another process began it.
    pub(super) resumed: bool,
    /// Whether the bytes may change.
    pub(super) seal: Seal,
    /// The entry is being taken from the disk.
    pub(super) retiring: bool,
    /// The journal speaks of other bytes than these.
    pub(super) stale: bool,
}

impl Core {
    fn is_naming(&self) -> bool {
        let awaited = self.machine.is_committing() && self.seal != Seal::Closed;
        awaited || self.machine.is_naming()
    }

    pub(super) fn of(machine: Machine) -> Self {
        Core {
            machine,
            waiting: HashMap::new(),
            next_commit: 0,
            outgoing: None,
            asked: None,
            begun_at: RemotePath::root(),
            committed: None,
            followed: 0,
            journal: None,
            order: 0,
            modified: SystemTime::UNIX_EPOCH,
            resumed: false,
            seal: Seal::None,
            retiring: false,
            stale: false,
        }
    }
}

/// Why a change of a file was not made.
#[derive(Debug)]
pub enum Held {
    /// A commit is under way, or the file is being saved: wait for [`Upload::settled`] and try again.
    Committing,
    /// The file was saved as complete: its next generation can be written to, or it must be said that it is not complete.
    Sealed,
    /// The upload failed; the same answer comes until the file is reopened.
    Failed(Error),
}

/// Somebody who waits for a commit, and what he is told.
pub(super) type Answer = (oneshot::Sender<Result<Outcome>>, Result<Outcome>);

/// What [`Upload::begin_commit`] will be answered.
pub struct CommitAnswer(oneshot::Receiver<Result<Outcome>>);

impl Upload {
    /// The upload of the file whose bytes are `source`, `size` of them, all as the service has them.
    pub fn new(uploads: Arc<Uploads>, place: Arc<Place>, source: Source, size: u64) -> Arc<Self> {
        let machine = Machine::new(uploads.service().capability(), size);
        Upload::with(uploads, place, source, Core::of(machine))
    }

    pub(super) fn with(uploads: Arc<Uploads>, place: Arc<Place>, source: Source, core: Core) -> Arc<Self> {
        Arc::new(Upload {
            uploads,
            place,
            source: Arc::new(source),
            core: Mutex::new(core),
            settled: Notify::new(),
            journaling: tokio::sync::Mutex::new(()),
            next: Mutex::new(None),
            progress: Arc::new(AtomicU64::new(0)),
            number: UPLOADS.fetch_add(1, Ordering::Relaxed),
            unwanted: AtomicBool::new(false),
        })
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
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

    /// Whether a commit waits for its answer, with a program behind it that cannot do anything else.
    pub fn is_committing(&self) -> bool {
        let core = self.core();
        core.machine.is_committing() && core.seal != Seal::Closed
    }

    /// Whether a rename or a removal has to wait: somebody waits for a commit, or a request is under way that is about
    /// the name.
    pub fn is_naming(&self) -> bool {
        self.core().is_naming()
    }

    /// Whether nothing of it can reach the service any more: it has it, or shall not have it, and there is no doubt.
    pub fn is_over(&self) -> bool {
        let core = self.core();
        !core.machine.is_dirty() && !core.machine.in_doubt() && !core.machine.is_busy()
    }

    /// Whether it will not reach the service unless somebody does something about it.
    pub fn has_given_up(&self) -> bool {
        let core = self.core();
        core.machine.failure().is_some() && !core.machine.in_doubt()
    }

    /// Whether nothing of it shall reach the service any more.
    pub fn is_discarded(&self) -> bool {
        self.core().machine.is_discarded()
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
        match core.seal {
            _ if core.machine.is_committing() && core.seal != Seal::Closed => return Err(Held::Committing),
            Seal::Saving => return Err(Held::Committing),
            Seal::Parked | Seal::Closed => return Err(Held::Sealed),
            Seal::None => {}
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

    /// Waits until no commit is under way, and the file is not being saved.
    pub async fn settled(&self) {
        loop {
            let told = self.settled.notified();
            {
                let core = self.core();
                let committing = core.machine.is_committing() && core.seal != Seal::Closed;
                if !committing && core.seal != Seal::Saving {
                    return;
                }
            }
            told.await;
        }
    }

    /// Waits until [`Upload::is_naming`] says no.
    pub async fn named(&self) {
        loop {
            let told = self.settled.notified();
            if !self.is_naming() {
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

    /// The file is about to be removed, and the service may have it in a moment: then it is to be removed there as well. (What
    /// the service had before was removed by whoever removed the file, or another file has taken its place.)
    pub fn remove_if_made(&self) {
        self.unwanted.store(true, Ordering::Release);
    }

    /// See [`Upload::remove_if_made`].
    pub fn is_unwanted(&self) -> bool {
        self.unwanted.load(Ordering::Acquire)
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

    pub(super) fn event(self: &Arc<Self>, event: Event) {
        self.step(self.core(), event);
    }

    fn step(self: &Arc<Self>, mut core: MutexGuard<'_, Core>, event: Event) {
        let before = (core.machine.is_committing(), core.is_naming());
        core.machine.learn(self.uploads.service().capability());
        let actions = core.machine.on(event);
        if before != (core.machine.is_committing(), core.is_naming()) {
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
                    if outcome.clean {
                        core.seal = if core.seal == Seal::Saving { Seal::Saving } else { Seal::None };
                    }
                    // It stays known until it is gone: a removal or a rename meanwhile has to wait for that.
                    let ended = core.journal.clone().filter(|_| outcome.clean);
                    let told = answers(&mut core, ids, &Ok(outcome));
                    match ended {
                        // Nobody hears of success while the next process would still find the file.
                        Some(journal) => self.uploads.spawn(self.clone().end_entry(journal, told)),
                        None => later.extend(told),
                    }
                }
                Action::Failed { ids, error } => {
                    tracing::error!(path = %self.place.get(), %error, "upload failed; the bytes are kept");
                    later.extend(answers(&mut core, ids, &Err(error)));
                }
                action => self.start(&mut core, action),
            }
        }
        drop(core);
        tell(later);
    }
}

/// The answers for `ids`, to be sent outside of the lock.
fn answers(core: &mut Core, ids: Vec<CommitId>, result: &Result<Outcome>) -> Vec<Answer> {
    ids.into_iter().filter_map(|id| Some((core.waiting.remove(&id)?, result.clone()))).collect()
}

fn note_committed(path: &RemotePath, node: &Node) {
    let sha1 = node.sha1.map(tracing::field::display);
    tracing::info!(%path, bytes = node.size, sha1, "uploaded");
}

pub(super) fn tell(answers: Vec<Answer>) {
    for (waiting, result) in answers {
        // A caller that went away has no use for the answer.
        let _ = waiting.send(result);
    }
}
