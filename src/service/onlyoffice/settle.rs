//! After an upload: whether the portal has the file, as it was meant. A portal tells nothing about its sessions, so what
//! became of one is seen by looking at the folder.
//!
//! **Accepted** is a file whose id, size and name were read back. A second file that the portal made instead of a new
//! version is removed, and so is one that an earlier attempt made after all; never anything that may be somebody else's:
//! what was there before the upload, what another upload made, what has more than one version.
//!
//! **Doubt.** A file that is there as it should be is believed at once. One that is not may still be in the making: how
//! long, says [`super::PACE`].

use serde_json::json;

use super::Onlyoffice;
use super::answers::{FileDto, Id};
use super::chunks::{Open, Origin};
use super::index::Entry;
use super::names;
use super::plan::Target;
use super::resume::Owner;
use super::upload::{doubt, read};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::service::{Node, NodeKind, Progress, Receipt, SessionToken, Spec};

/// The operation, in errors.
const OP: &str = "upload";

impl Onlyoffice {
    /// The portal says that `open` has become the file `id`: reads it back and makes sure.
    pub(super) async fn accept(&self, spec: &Spec, open: &Open, id: &Id) -> Result<Node> {
        self.journals.close(&open.id);
        let file = if id.is_none() { None } else { self.read_back(open, id).await? };
        let Some(file) = file else {
            self.index.forget(&open.plan.folder);
            return Err(Error::new(Kind::Corrupt, OP, "the portal says that it has the file, and has none"));
        };
        if open.plan.target.known().map(|known| &known.id) != Some(id) && open.plan.there.contains(id) {
            return Err(self.wrong_file(open, file).await);
        }
        let size = file.pure_content_length.unwrap_or(0);
        if size != open.total {
            self.remove_own(open, &file).await?;
            let what = format!("the portal has {size} bytes of a file of {}", open.total);
            return Err(Error::new(Kind::Corrupt, OP, what));
        }
        if open.plan.target.known().is_some_and(|known| known.id != *id) {
            return Err(self.twin(open, &file).await);
        }
        let entry = self.settle_name(open, file).await?;
        if !matches!(open.plan.target, Target::InPlace(_)) && self.doubts.is_noted(&doubt(spec)) {
            self.remove_echoes(open, id).await?;
        }
        self.note_accepted(open, &entry, &doubt(spec));
        Ok(entry.node())
    }

    /// The file is there as it should be: nothing about it is in doubt any more.
    fn note_accepted(&self, open: &Open, entry: &Entry, doubt: &str) {
        self.journals.close(&open.id);
        self.doubts.settled(doubt);
        self.doubts.settled(&open.id);
        self.wholes.forget(doubt);
        self.note_seen(entry.size);
        self.accepted.put(entry.id.as_str(), open.id.clone());
        self.index.there(&open.plan.folder, entry.clone());
    }

    /// The file by its id. That it cannot be read back changes nothing: whatever the reason, it is asked about again
    /// before anything else is sent, and what was known of the folder does not count.
    async fn read_back(&self, open: &Open, id: &Id) -> Result<Option<FileDto>> {
        self.file_by_id(OP, id).await.map_err(|error| {
            self.index.forget(&open.plan.folder);
            error.retry(Retry::AskFirst)
        })
    }

    /// The portal took another file for the one that was meant. Its old version is made the present one again.
    async fn wrong_file(&self, open: &Open, file: FileDto) -> Error {
        self.index.forget(&open.plan.folder);
        let title = crate::error::printable(&file.title).into_owned();
        let restored = match file.version {
            2.. => {
                let body = json!({"title": file.title, "lastVersion": file.version - 1});
                let call = self.sessions.call::<FileDto>(|api| {
                    api.call(OP, Method::Put, &["files", "file", file.id.as_str()]).json(&body).repeatable()
                });
                call.await.is_ok()
            }
            _ => false,
        };
        let what = match restored {
            true => format!("the portal put the content into {title:?}, whose old version was restored"),
            false => format!("the portal put the content into {title:?}"),
        };
        tracing::error!("{what}; its history has the old version");
        Error::new(Kind::Conflict, OP, what).hint("rename one of the two files on the portal")
    }

    /// The portal made a second file instead of a new version, as it does when the first one is being edited.
    async fn twin(&self, open: &Open, twin: &FileDto) -> Error {
        self.index.forget(&open.plan.folder);
        if let Err(error) = self.remove_own(open, twin).await {
            return error;
        }
        let what = "the portal cannot replace the file: somebody edits it, or has locked it";
        Error::new(Kind::Busy, OP, what).hint("close it there, and write it again")
    }

    /// Removes what this upload made, and only that. What has to stay is told in the log.
    ///
    /// # Errors
    /// In doubt, while it cannot be removed: it is looked for again.
    pub(super) async fn remove_own(&self, open: &Open, file: &FileDto) -> Result<()> {
        let foreign = open.plan.there.contains(&file.id) || self.is_of_another(open, &file.id) || file.version > 1;
        let removed = match foreign {
            true => Err(Error::new(Kind::Conflict, OP, "it may be somebody else's")),
            false => self.remove_by_id(OP, &open.plan.folder, NodeKind::File, &file.id).await,
        };
        match removed {
            Err(error) if error.kind == Kind::NotFound => Ok(()),
            Err(error) if error.retry == Retry::Never => {
                tracing::warn!(%error, id = file.id.as_str(), "the portal keeps a file that is not what was meant");
                Ok(())
            }
            removed => removed.map_err(|error| error.retry(Retry::AskFirst)),
        }
    }

    /// Whether another upload of this mount has made the file.
    fn is_of_another(&self, open: &Open, id: &Id) -> bool {
        self.accepted.get(id.as_str()).is_some_and(|session| session != open.id)
    }

    /// The entry under the name it was meant to have. A portal that found the title taken has added a number to it.
    async fn settle_name(&self, open: &Open, file: FileDto) -> Result<Entry> {
        let mut entry = Entry::of_file(file.clone());
        if open.plan.target.known().is_some() {
            // It keeps the name it has in the mount, whatever else has its title.
            entry.name = open.plan.name.clone();
            return Ok(entry);
        }
        if names::canonical(&entry.name) == open.plan.name {
            return Ok(entry);
        }
        // Taken by what only looks alike, which is no matter; or by a file that came meanwhile, which is to be replaced.
        let there = self.entries_of(OP, &open.plan.folder).await.map_err(look_again)?;
        let is_same = |other: &Entry| {
            other.kind == NodeKind::File && other.id != entry.id && names::canonical(&other.name) == open.plan.name
        };
        if there.iter().any(is_same) {
            self.remove_own(open, &file).await?;
            return Err(Error::new(Kind::NotFound, OP, "another client has made the file meanwhile"));
        }
        match self.retitle(&open.plan.folder, &entry, &open.plan.title).await {
            Ok(entry) => Ok(entry),
            Err(error) if error.retry == Retry::Never => {
                self.remove_own(open, &file).await?;
                let what = format!("the portal stores the file as {:?}: {}", entry.title, error.what);
                Err(Error::new(Kind::BadName, OP, what))
            }
            // It is there, under another name as yet.
            Err(error) => Err(look_again(error)),
        }
    }

    /// An earlier attempt may have made the file after all; one is enough.
    async fn remove_echoes(&self, open: &Open, kept: &Id) -> Result<()> {
        let made = self.made_by(open).await.map_err(|error| error.retry(Retry::AskFirst))?;
        for entry in made.into_iter().filter(|entry| entry.id != *kept) {
            if let Some(file) = self.read_back(open, &entry.id).await? {
                self.remove_own(open, &file).await?;
            }
        }
        Ok(())
    }

    /// The file of `open`, if it is there.
    ///
    /// # Errors
    /// `Busy` when the portal made a second file of it.
    pub(super) async fn look(&self, spec: &Spec, open: &Open) -> Result<Option<Node>> {
        let owner = self.owner_of(spec, open).await?;
        let is_done = |entry: &Entry| {
            let changed = match &open.plan.target {
                Target::New => true,
                Target::Version(known) => entry.version > known.version,
                // Two saves of one second look alike; by their content they do not.
                Target::InPlace(known) => entry.stamp() != known.stamp || matches!(owner, Owner::Content(_)),
            };
            changed && entry.size == open.total
        };
        let replaced = match open.plan.target.known() {
            Some(known) => self.file_by_id(OP, &known.id).await?.filter(|file| is_done(&Entry::of_file(file.clone()))),
            None => None,
        };
        let file = match replaced {
            Some(file) if self.is_of(&owner, spec, &file).await? => file,
            _ if matches!(open.plan.target, Target::InPlace(_)) => return Ok(None),
            _ => {
                let Some(file) = self.first_made(spec, open, &owner).await? else { return Ok(None) };
                if open.plan.target != Target::New {
                    return Err(self.twin(open, &file).await);
                }
                file
            }
        };
        if open.plan.target == Target::New {
            self.remove_echoes(open, &file.id).await?;
        }
        let entry = self.settle_name(open, file).await?;
        self.note_accepted(open, &entry, &doubt(spec));
        Ok(Some(entry.node()))
    }

    /// The oldest file that the session can only have made, if there is one.
    async fn first_made(&self, spec: &Spec, open: &Open, owner: &Owner) -> Result<Option<FileDto>> {
        for made in self.made_by(open).await? {
            if let Some(file) = self.file_by_id(OP, &made.id).await?
                && self.is_of(owner, spec, &file).await?
            {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Files that the session may have made: of its size, under its title or that title with a number, not there before,
    /// and of no other upload.
    async fn made_by(&self, open: &Open) -> Result<Vec<Entry>> {
        let titles = [names::fold(&open.plan.title), names::fold(&open.plan.sent_title)];
        let is_it = |entry: &Entry| {
            let titled = titles.contains(&names::fold(&entry.title))
                || names::is_numbered(&entry.title, &open.plan.title)
                || names::is_numbered(&entry.title, &open.plan.sent_title);
            let before = open.plan.there.contains(&entry.id) || self.is_of_another(open, &entry.id);
            entry.kind == NodeKind::File && titled && !before && entry.size == open.total && entry.version <= 1
        };
        let entries = self.entries_of(OP, &open.plan.folder).await?;
        let mut made: Vec<Entry> = entries.into_iter().filter(is_it).collect();
        made.sort_by(|a, b| a.id.age().cmp(&b.id.age()));
        Ok(made)
    }

    /// What became of an upload in doubt.
    pub(super) async fn probe_upload(
        &self,
        spec: &Spec,
        session: Option<(&SessionToken, &[Receipt])>,
    ) -> Result<Progress> {
        let Some((token, receipts)) = session else {
            return self.probe_whole(spec).await;
        };
        let open = read(token)?;
        let held = held_of(receipts);
        let journal = self.journals.get(&open.id).filter(|journal| journal.origin == Origin::Begun);
        let Some(journal) = journal else {
            return self.probe_inherited(spec, &open, receipts).await;
        };
        let all_sent = held >= open.total || journal.ended;
        if held < open.total && (open.has_numbers() || !journal.in_doubt) {
            // Numbered chunks are sent again, whatever became of them; a session that is gone says so then.
            return Ok(Progress::Holds(receipts.to_vec()));
        }
        if all_sent {
            if let Some(node) = self.look(spec, &open).await? {
                return Ok(Progress::Finished(node));
            }
            if self.doubts.is_fresh(&open.id, open.total) {
                return Ok(Progress::Unknown);
            }
        }
        if open.has_numbers() {
            return Ok(Progress::Holds(receipts.to_vec()));
        }
        // A chunk that may have been counted cannot be sent again, and nothing shall come of it later.
        self.give_up_quietly(&open).await;
        Ok(Progress::Gone)
    }

    async fn probe_whole(&self, spec: &Spec) -> Result<Progress> {
        let known = self.wholes.get(&doubt(spec)).filter(|open| spec.size.is_none_or(|size| size == open.total));
        let Some(open) = known else { return self.probe_forgotten(spec).await };
        match self.look(spec, &open).await? {
            Some(node) => Ok(Progress::Finished(node)),
            None if self.doubts.is_fresh(&doubt(spec), open.total) => Ok(Progress::Unknown),
            None => Ok(Progress::Gone),
        }
    }
}

/// How many bytes these are the portal's word for.
pub(super) fn held_of(receipts: &[Receipt]) -> u64 {
    receipts.iter().map(|receipt| receipt.range.end - receipt.range.start).sum()
}

/// The file may be there: whoever hears this asks again before anything is sent.
fn look_again(error: Error) -> Error {
    match error.retry {
        Retry::After(_) => error.retry(Retry::AskFirst),
        Retry::Never | Retry::AskFirst => error,
    }
}
