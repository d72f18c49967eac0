//! After an upload: whether the portal has the file, as it was meant. A portal tells nothing about its sessions, so what
//! became of one is seen by looking at the folder.
//!
//! **Accepted** is a file whose id, size and name were read back. A second file that the portal made instead of a new
//! version is removed, and so is one that an earlier attempt made after all.
//!
//! **Doubt.** A file that is there as it should be is believed at once. One that is not may still be in the making: how
//! long, says [`super::PACE`].

use super::Onlyoffice;
use super::answers::{FileDto, Id};
use super::chunks::Open;
use super::index::Entry;
use super::names;
use super::plan::Target;
use super::upload::{doubt, read};
use crate::error::{Error, Kind, Result, Retry};
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
        let size = file.pure_content_length.unwrap_or(0);
        if size != open.total {
            self.remove_unless_known(open, id).await;
            let what = format!("the portal has {size} bytes of a file of {}", open.total);
            return Err(Error::new(Kind::Corrupt, OP, what));
        }
        if let Some(known) = open.plan.target.known().filter(|known| known.id != *id) {
            return Err(self.twin(open, &known.id, id).await);
        }
        let entry = self.settle_name(open, file).await?;
        if !matches!(open.plan.target, Target::InPlace(_)) && self.doubts.is_noted(&doubt(spec)) {
            self.remove_echoes(open, id).await?;
        }
        self.doubts.settled(&doubt(spec));
        self.doubts.settled(&open.id);
        self.wholes.take(&doubt(spec));
        self.note_seen(size);
        self.index.there(&open.plan.folder, entry.clone());
        Ok(entry.node())
    }

    /// The file by its id. That it cannot be read back changes nothing: whatever the reason, it is asked about again
    /// before anything else is sent, and what was known of the folder does not count.
    async fn read_back(&self, open: &Open, id: &Id) -> Result<Option<FileDto>> {
        self.file_by_id(OP, id).await.map_err(|error| {
            self.index.forget(&open.plan.folder);
            error.retry(Retry::AskFirst)
        })
    }

    /// The portal made a second file instead of a new version, as it does when the first one is being edited.
    async fn twin(&self, open: &Open, old: &Id, new: &Id) -> Error {
        self.index.forget(&open.plan.folder);
        if let Err(error) = self.remove_second(open, new).await {
            return error;
        }
        tracing::info!(old = old.as_str(), new = new.as_str(), "the portal made a second file, which was removed");
        let what = "the portal cannot replace the file: somebody edits it, or has locked it";
        Error::new(Kind::Busy, OP, what).hint("close it there, and write it again")
    }

    /// Throws a second file away. While that cannot be done, the upload is in doubt; one that has to stay is told in the log.
    async fn remove_second(&self, open: &Open, id: &Id) -> Result<()> {
        match self.remove_by_id(OP, &open.plan.folder, NodeKind::File, id).await {
            Err(error) if error.retry == Retry::Never => {
                tracing::warn!(%error, id = id.as_str(), "a second file of the same title is left");
                Ok(())
            }
            removed => removed.map_err(|error| error.retry(Retry::AskFirst)),
        }
    }

    /// What this upload made, unless it was there before.
    async fn remove_unless_known(&self, open: &Open, id: &Id) {
        if open.plan.target.known().is_some_and(|known| known.id == *id) {
            return;
        }
        if let Err(error) = self.remove_by_id(OP, &open.plan.folder, NodeKind::File, id).await {
            tracing::warn!(%error, "the portal keeps a file that is not what was sent");
        }
    }

    /// The entry under the name it was meant to have. A portal that found the title taken has added a number to it.
    async fn settle_name(&self, open: &Open, file: FileDto) -> Result<Entry> {
        let mut entry = Entry::of_file(file);
        if open.plan.target.known().is_some() {
            // It keeps the name it has in the mount, whatever else has its title.
            entry.name = open.plan.name.clone();
            return Ok(entry);
        }
        if names::canonical(&entry.name) == open.plan.name {
            return Ok(entry);
        }
        match self.retitle(&open.plan.folder, &entry, &open.plan.title).await {
            Ok(entry) => Ok(entry),
            Err(error) => {
                self.remove_unless_known(open, &entry.id).await;
                let what = format!("the portal stores the file as {:?}: {}", entry.title, error.what);
                Err(Error::new(Kind::BadName, OP, what))
            }
        }
    }

    /// An earlier attempt may have made the file after all; one is enough.
    async fn remove_echoes(&self, open: &Open, kept: &Id) -> Result<()> {
        let made = self.made_by(open).await.map_err(|error| error.retry(Retry::AskFirst))?;
        for entry in made.into_iter().filter(|entry| entry.id != *kept) {
            self.remove_second(open, &entry.id).await?;
        }
        Ok(())
    }

    /// The file of `open`, if it is there.
    pub(super) async fn look(&self, open: &Open) -> Result<Option<Node>> {
        let found = match open.plan.target.known() {
            Some(known) => {
                let file = self.file_by_id(OP, &known.id).await?.map(Entry::of_file);
                let changed = file.filter(|entry| entry.stamp() != known.stamp && entry.size == open.total);
                if changed.is_none()
                    && let Target::Version(_) = open.plan.target
                    && let Some(twin) = self.made_by(open).await?.first()
                {
                    return Err(self.twin(open, &known.id, &twin.id).await);
                }
                changed
            }
            None => self.made_by(open).await?.into_iter().next(),
        };
        let Some(entry) = found else { return Ok(None) };
        let Some(file) = self.file_by_id(OP, &entry.id).await? else { return Ok(None) };
        if open.plan.target == Target::New {
            self.remove_echoes(open, &entry.id).await?;
        }
        let entry = self.settle_name(open, file).await?;
        self.journals.close(&open.id);
        self.note_seen(entry.size);
        self.index.there(&open.plan.folder, entry.clone());
        Ok(Some(entry.node()))
    }

    /// Second files that the session may have made, and the first of a new file: of its size, under its title or that title
    /// with a number, and not there before.
    async fn made_by(&self, open: &Open) -> Result<Vec<Entry>> {
        let folder = &open.plan.folder;
        self.list_folder(OP, folder).await?;
        let (title, known) = (names::fold(&open.plan.title), open.plan.target.known());
        let is_old = |id: &Id| open.plan.alike.contains(id) || known.is_some_and(|known| known.id == *id);
        let entries = self.index.entries_listed(folder).into_iter().filter(|entry| {
            let is_it = names::fold(&entry.title) == title || is_numbered(&entry.title, &open.plan.title);
            entry.kind == NodeKind::File && is_it && entry.size == open.total && !is_old(&entry.id)
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(|a, b| a.id.age().cmp(&b.id.age()));
        Ok(entries)
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
        let held: u64 = receipts.iter().map(|receipt| receipt.range.end - receipt.range.start).sum();
        let journal = self.journals.get(&open.id);
        let in_doubt = journal.as_ref().is_none_or(|journal| journal.in_doubt);
        if open.has_numbers() {
            if held < open.total {
                // Chunks are sent again, whatever became of them; a session that is gone says so then.
                return Ok(Progress::Holds(receipts.to_vec()));
            }
        } else if !in_doubt && held < open.total {
            return Ok(Progress::Holds(receipts.to_vec()));
        }
        if let Some(node) = self.look(&open).await? {
            return Ok(Progress::Finished(node));
        }
        if self.doubts.is_fresh(&open.id, open.total) {
            return Ok(Progress::Unknown);
        }
        if open.has_numbers() {
            return Ok(Progress::Holds(receipts.to_vec()));
        }
        // A chunk that may have been counted cannot be sent again, and nothing shall come of it later.
        if let Err(error) = self.give_up(&open).await {
            tracing::debug!(%error, "an abandoned upload session is left to the portal");
        }
        Ok(Progress::Gone)
    }

    async fn probe_whole(&self, spec: &Spec) -> Result<Progress> {
        let Some(open) = self.wholes.get(&doubt(spec)) else { return Ok(Progress::Gone) };
        match self.look(&open).await? {
            Some(node) => {
                self.wholes.take(&doubt(spec));
                self.doubts.settled(&doubt(spec));
                Ok(Progress::Finished(node))
            }
            None if self.doubts.is_fresh(&doubt(spec), open.total) => Ok(Progress::Unknown),
            None => Ok(Progress::Gone),
        }
    }
}

/// Whether `title` is `wanted` with a number: `a (1).txt`.
fn is_numbered(title: &str, wanted: &str) -> bool {
    let extension = names::extension(wanted);
    let stem = |title: &str| names::fold(title).strip_suffix(&names::fold(&extension)).map(str::to_owned);
    let (Some(title), Some(wanted)) = (stem(title), stem(wanted.trim_end_matches('.'))) else { return false };
    let rest = title.trim_end_matches('.').strip_prefix(&wanted).and_then(|rest| rest.strip_prefix(" ("));
    let number = rest.and_then(|rest| rest.strip_suffix(')'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_title_is_recognised() {
        for (title, wanted) in
            [("a (1).txt", "a.txt"), ("A (12).TXT", "a.txt"), ("README (1).", "README."), ("x.y (3).z", "x.y.z")]
        {
            assert!(is_numbered(title, wanted), "{title} {wanted}");
        }
        for (title, wanted) in
            [("a (1).txt", "a.pdf"), ("a (b).txt", "a.txt"), ("a.txt", "a.txt"), ("ab (1).txt", "a.txt")]
        {
            assert!(!is_numbered(title, wanted), "{title} {wanted}");
        }
    }
}
