//! Uploads that outlive the process: saved to the spool, taken over from there, followed by another generation of the
//! same file, and ended.
//!
//! **Order.** Bytes before the word on them; the word before the answer to the program; the question to the service in
//! the journal before it leaves; the end of the entry before the program that closed the file hears of success. Saving and
//! ending one upload exclude one another.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use super::driver::{Answer, Core, tell};
use super::machine::{Left, Machine};
use super::{Place, Source, Upload, Uploads};
use crate::cache::Cache;
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::ranges::Ranges;
use crate::service::{NamedAt, Node};
use crate::spool::{Fate, Found, History, Info, Journal, OpenSession, Record};

/// Whether the bytes of an upload may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Seal {
    /// They may.
    #[default]
    None,
    /// Not while they are written to the spool.
    Saving,
    /// Not before the journal says that they do: they wait for a person.
    Parked,
    /// Never: a program was told that they will be on the service. A change makes another generation.
    Closed,
}

/// A file that is being saved, and does not change meanwhile.
pub struct Saving {
    upload: Arc<Upload>,
    /// What holds when it is over.
    after: Seal,
}

impl Drop for Saving {
    fn drop(&mut self) {
        {
            let mut core = self.upload.core();
            // What the service has may be changed.
            core.seal = if core.machine.is_dirty() { self.after } else { Seal::None };
        }
        self.upload.settled.notify_waiters();
    }
}

impl Seal {
    fn of(fate: &Fate) -> Self {
        match fate {
            Fate::Open => Seal::None,
            Fate::Closed => Seal::Closed,
            Fate::Parked(_) => Seal::Parked,
        }
    }
}

impl Upload {
    /// Brings the file to disk as it is, and what is to become of it. Nothing is done about a file that the service has.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`: then the next process finds what was saved before, if anything.
    pub async fn save(self: &Arc<Self>, fate: Fate, modified: SystemTime) -> Result<()> {
        loop {
            if let Some(saving) = self.begin_save() {
                return self.end_save(saving, fate, modified).await;
            }
            self.settled().await;
        }
    }

    /// The file is complete as it is: nothing changes it until the answer is given up. `None` while somebody else saves.
    pub fn begin_save(self: &Arc<Self>) -> Option<Saving> {
        let mut core = self.core();
        if core.seal == Seal::Saving {
            return None;
        }
        let before = std::mem::replace(&mut core.seal, Seal::Saving);
        Some(Saving { upload: self.clone(), after: before })
    }

    /// See [`Upload::save`].
    ///
    /// # Errors
    /// As there.
    pub async fn end_save(self: &Arc<Self>, mut saving: Saving, fate: Fate, modified: SystemTime) -> Result<()> {
        let _one = self.journaling.lock().await;
        if !self.is_dirty() {
            return Ok(());
        }
        let seal = Seal::of(&fate);
        self.write_down(fate, modified).await?;
        saving.after = seal;
        // A commit that was under way may be done by now, before there was an entry that it could end.
        self.retire(|core| core.journal.clone().filter(|_| !core.machine.is_dirty())).await
    }

    /// Takes the entry from the disk that `over` names; whoever calls it journals. Until it is gone the file counts as saved:
    /// who removed or renamed it in between without waiting for this would meet it again at the next mount.
    async fn retire(&self, over: impl FnOnce(&Core) -> Option<Arc<Journal>>) -> Result<()> {
        let journal = {
            let mut core = self.core();
            let Some(journal) = over(&core) else { return Ok(()) };
            // It may have another one by now.
            core.journal.take_if(|known| known.id() == journal.id());
            core.retiring = true;
            journal
        };
        let retired = blocking(move || journal.retire()).await;
        self.core().retiring = false;
        retired
    }

    async fn write_down(self: &Arc<Self>, fate: Fate, modified: SystemTime) -> Result<()> {
        if fate == Fate::Closed
            && let Err(error) = self.source.complete().await
        {
            // It is safe all the same, unless somebody takes that version away before it is uploaded.
            tracing::info!(path = %self.place.get(), %error, "it rests on the service's older version");
        }
        let synced = self.source.sync().await?;
        let spool = self.source.cache().spool().clone();
        let (journal, records, is_new) = {
            let mut core = self.core();
            match core.journal.clone().filter(|journal| journal.id() == synced.id) {
                Some(journal) => (journal, Vec::new(), false),
                None => {
                    let journal = Arc::new(Journal::new(spool.clone(), synced.id));
                    core.journal = Some(journal.clone());
                    core.order = spool.next_order();
                    (journal, core.history().records(), true)
                }
            }
        };
        let records = if std::mem::take(&mut self.core().stale) { STALE.to_vec() } else { records };
        self.core().modified = modified;
        let info = self.info(fate, modified, synced.local.clone());
        let written = blocking(move || {
            synced.wait()?;
            if is_new {
                journal.begin(records)?;
            } else if !records.is_empty() {
                journal.append(&records, true)?;
            }
            let stored = journal.store(&info);
            if stored.is_err() && is_new {
                // Its program hears that it failed; half done, it would be published by the next mount.
                journal.retire()?;
            }
            stored
        })
        .await;
        if written.is_err() && is_new {
            self.core().journal = None;
        }
        written
    }

    fn info(&self, fate: Fate, modified: SystemTime, local: Ranges) -> Info {
        let core = self.core();
        Info {
            remote: self.source.cache().spool().remote().to_owned(),
            order: core.order,
            path: self.place.get(),
            fate,
            size: core.machine.size(),
            local,
            base: self.source.below(),
            modified,
        }
    }

    /// Holds every byte of the file here from now on, whatever becomes of the service's version.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being had.
    pub async fn keep_all(&self) -> Result<()> {
        self.source.keep();
        self.source.complete().await
    }

    /// Whether the spool knows of the file.
    pub fn is_saved(&self) -> bool {
        let core = self.core();
        core.journal.is_some() || core.retiring
    }

    /// Whether its bytes may not change as it is.
    pub fn is_sealed(&self) -> bool {
        matches!(self.core().seal, Seal::Closed | Seal::Parked)
    }

    /// Whether a program was told that the file will be on the service.
    pub fn is_closed(&self) -> bool {
        self.core().seal == Seal::Closed
    }

    /// Writes down that the file has another name, or another fate; from then on it is the newest of that name. Nothing is
    /// done about a file that the spool does not know.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`.
    pub async fn save_again(self: &Arc<Self>, fate: Option<Fate>, modified: SystemTime) -> Result<()> {
        if !self.is_saved() {
            return Ok(());
        }
        if !self.is_dirty() {
            // The service has it, under whatever name: what the spool says of it is over.
            return self.forget_saved().await;
        }
        let saving = loop {
            match self.begin_save() {
                Some(saving) => break saving,
                None => self.settled().await,
            }
        };
        // Not before it is the only one that saves: whoever was first may have closed the file.
        let known = match saving.after {
            Seal::Closed => Fate::Closed,
            Seal::Parked => Fate::Parked((&self.failure().unwrap_or_else(kept_back)).into()),
            Seal::None | Seal::Saving => Fate::Open,
        };
        self.core().order = self.source.cache().spool().next_order();
        self.end_save(saving, fate.unwrap_or(known), modified).await
    }

    /// Ends the entry of the file, if it has one: nothing of it will be found again. It is as it was otherwise.
    ///
    /// # Errors
    /// `Spool`.
    pub async fn forget_saved(self: &Arc<Self>) -> Result<()> {
        let _one = self.journaling.lock().await;
        self.retire(|core| core.journal.clone()).await
    }

    /// The service has the file: its entry ends, and then whoever waits is told.
    pub(super) async fn end_entry(self: Arc<Self>, journal: Arc<Journal>, told: Vec<Answer>) {
        let _one = self.journaling.lock().await;
        self.tell_next().await;
        if let Err(error) = self.retire(|_| Some(journal)).await {
            tracing::error!(path = %self.place.get(), %error, "uploaded; the next mount may find it in the spool again");
        }
        tell(told);
    }

    /// The generation after this one takes some of its bytes from what the service has now. It must be written down before
    /// this one's entry ends: a process that finds only the later one asks for them there.
    async fn tell_next(&self) {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(next), Some(node)) = (next, self.source.node()) {
            next.follows(self, self.place.get(), node);
            let modified = next.core().modified;
            if let Err(error) = Box::pin(next.save_again(None, modified)).await {
                tracing::warn!(path = %self.place.get(), %error, "the spool does not say what a later version rests on");
            }
        }
    }

    /// Writes `records` into the journal, if there is one. `synced`: they must survive a power cut before this returns.
    pub(super) async fn note(&self, records: Vec<Record>, synced: bool) -> Result<()> {
        let Some(journal) = self.core().journal.clone() else { return Ok(()) };
        blocking(move || journal.append(&records, synced)).await
    }

    /// As [`Upload::note`], where losing the records costs a question at most.
    pub(super) async fn note_lightly(&self, records: Vec<Record>) {
        if let Err(error) = self.note(records, false).await {
            tracing::warn!(path = %self.place.get(), %error, "the journal of the upload has a gap");
        }
    }

    /// The upload of an entry that was found.
    pub fn found(uploads: Arc<Uploads>, place: Arc<Place>, cache: &Arc<Cache>, found: Found) -> Arc<Upload> {
        let Found { journal, info, history } = found;
        let named_at = uploads.service().capability().named_at;
        let is_renamed = |session: &OpenSession| named_at == NamedAt::Begin && session.path != info.path;
        let (history, abandoned) = match info.fate {
            // What was sent may be other bytes than what is here.
            Fate::Open => (History::default(), history.session),
            _ if history.session.as_ref().is_some_and(is_renamed) => {
                (History { session: None, asked: history.asked }, history.session)
            }
            _ => (history, None),
        };
        let (failed, changed, seal) = match info.fate {
            Fate::Open => {
                let what = "the program that wrote it never closed it";
                (Some(Error::new(Kind::Interrupted, "close", what).hint(RETRY_OR_DISCARD)), true, Seal::None)
            }
            Fate::Parked(reason) => (Some(Error::from(reason)), false, Seal::Parked),
            Fate::Closed => (None, false, Seal::Closed),
        };
        let file = cache.spill_file(journal.id(), &info.local);
        let source = Source::of_entry(uploads.service().clone(), cache, file, &info.local, info.base);
        let begun_at = history.session.as_ref().map_or_else(RemotePath::root, |session| session.path.clone());
        let asked = history.asked.clone();
        let left = Left { size: info.size, session: history.session, asked: asked.is_some(), changed, failed };
        let machine = Machine::resume(uploads.service().capability(), left);
        let core = Core {
            begun_at,
            resumed: true,
            journal: Some(Arc::new(journal)),
            order: info.order,
            seal,
            asked,
            stale: changed,
            ..Core::of(machine)
        };
        let upload = Upload::with(uploads, place, source, core);
        if let Some(session) = abandoned {
            upload.abandon(session.token);
        }
        upload
    }

    /// The next generation of a file whose bytes may not change any more: its own copy of the first `keep` bytes.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`.
    pub async fn next_generation(self: &Arc<Self>, keep: u64) -> Result<Arc<Upload>> {
        let synced = self.source.sync().await?;
        let (cache, mut local) = (self.source.cache().clone(), synced.local.clone());
        local.truncate(keep);
        let (from, kept) = (cache.clone(), local.clone());
        let file = blocking(move || from.copy_of(&synced, &kept)).await?;
        let mut base = self.source.below();
        if let Some(base) = &mut base {
            base.visible = base.visible.min(keep);
        }
        let service = self.uploads.service();
        let source = Source::of_entry(service.clone(), &cache, file, &local, base);
        let left = Left { size: keep, changed: true, ..Left::default() };
        let machine = Machine::resume(service.capability(), left);
        let next = Upload::with(self.uploads.clone(), self.place.clone(), source, Core::of(machine));
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.clone());
        Ok(next)
    }

    /// The generation `before` this one is on the service as `node`. It may be said late, and more than once: what this one
    /// knows of itself, or of one in between, is newer.
    pub fn follows(&self, before: &Upload, path: RemotePath, node: Node) {
        let mut core = self.core();
        if core.committed.is_none() && core.followed < before.number {
            core.followed = before.number;
            self.source.rebase(path, node);
        }
    }
}

impl Core {
    /// What another process needs to go on from here.
    fn history(&self) -> History {
        let asked = self.asked.clone().filter(|_| !self.machine.doubt_is_stale());
        History { session: self.machine.session(self.begun_at.clone()), asked }
    }
}

/// What was journalled of the way to the service is about other bytes.
const STALE: [Record; 2] = [Record::Abandoned, Record::Refused];

/// What can be done about a file that was not published.
pub const RETRY_OR_DISCARD: &str = "`uploadfs retry` publishes it as it is, `uploadfs discard` throws it away";

fn kept_back() -> Error {
    Error::new(Kind::Interrupted, "close", "it was kept back").hint(RETRY_OR_DISCARD)
}

/// Runs disk work on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let lost = |_| Error::new(Kind::Spool, "spool", "the thread that wrote to the spool is gone");
    tokio::task::spawn_blocking(work).await.map_err(lost)?
}
