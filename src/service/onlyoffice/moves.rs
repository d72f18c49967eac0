//! Renaming and moving. A portal renames without looking whether the title is taken, moves only under the same title, and
//! never changes an extension.
//!
//! **Replacing.** The entry gets the title of the one it replaces, which is then thrown away: for a moment there are two,
//! never none. **Extensions.** A file whose extension changes is sent again under the new name and the old one thrown
//! away, where it is small enough to do so while a program waits; larger ones are left to `mv`, which copies.

use std::time::Duration;

use serde_json::json;

use super::Onlyoffice;
use super::answers::{FileDto, FolderDto, Id};
use super::api::Api;
use super::entries::denied_is_refused;
use super::folders::Way;
use super::index::Entry;
use super::names;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::{Node, NodeKind, Payload, Spec};

/// The operation, in errors.
const OP: &str = "rename";
/// The largest file that is sent again for a rename, in bytes: a few seconds on an ordinary line, while every program that
/// looks into the directory waits.
const RESEND_MAX: u64 = 32 << 20;
/// The waits before a title is asked for again.
const RETITLE_WAITS: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(300), Duration::from_secs(1)];
/// So much of it is read at once.
const PIECE: u64 = 4 << 20;

impl Onlyoffice {
    pub(super) async fn rename_entry(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        names::check_given(to.name())?;
        let (old, entry) = self.entry(OP, from, node).await?;
        let new = self.way(OP, to).await?;
        let is_other = |other: &Entry| (other.kind, &other.id) != (entry.kind, &entry.id);
        let replaced = self.find_in(OP, &new.folder, &new.key).await?.filter(is_other);
        self.check_replaced(&entry, replaced.as_ref(), to).await?;
        let title = wanted_title(&entry, to.name());
        if entry.kind == NodeKind::File && !keeps_extension(&entry.title, &title) {
            return self.resend(from, node, to, &old, &entry).await;
        }
        // From here on something may have been done, and doing all of it again is not the same as once.
        let moved = self.relocate(&old, &new, &entry, &title).await.map_err(once)?;
        if let Some(replaced) = replaced
            && let Err(error) = self.remove_by_id(OP, &new.folder, replaced.kind, &replaced.id).await
            && error.kind != Kind::NotFound
        {
            self.undo(&old, &new, &entry, &moved).await;
            return Err(once(error));
        }
        self.index.gone(&old.folder, entry.kind, &entry.id);
        self.index.there(&new.folder, moved.clone());
        Ok(moved.node())
    }

    async fn check_replaced(&self, entry: &Entry, replaced: Option<&Entry>, to: &RemotePath) -> Result<()> {
        let Some(replaced) = replaced else { return Ok(()) };
        match (entry.kind, replaced.kind) {
            (NodeKind::File, NodeKind::File) => Ok(()),
            (NodeKind::File, NodeKind::Directory) => {
                Err(Error::new(Kind::IsDirectory, OP, format!("{to} is a directory")))
            }
            (NodeKind::Directory, NodeKind::File) => Err(Error::new(Kind::NotDirectory, OP, format!("{to} is a file"))),
            (NodeKind::Directory, NodeKind::Directory) => {
                if self.entries_of(OP, &replaced.id).await?.is_empty() {
                    return Ok(());
                }
                Err(Error::new(Kind::NotEmpty, OP, format!("{to} is not empty")))
            }
        }
    }

    /// Gives an entry another title, another folder, or both. A move needs a title that nothing has in the new folder, so
    /// the title changes before it or after it, or, where both are taken there, is one that nobody has.
    async fn relocate(&self, old: &Way, new: &Way, entry: &Entry, title: &str) -> Result<Entry> {
        if old.folder == new.folder {
            return self.retitle(&new.folder, entry, title).await;
        }
        let there = self.entries_of(OP, &new.folder).await?;
        let taken = |title: &str| {
            let title = names::fold(title);
            there.iter().any(|other| names::fold(&other.title) == title)
        };
        let on_the_way = if !taken(&entry.title) {
            entry.title.clone()
        } else if !taken(title) {
            title.to_owned()
        } else {
            names::with_id(&format!("moving{}", names::extension(&entry.title)), entry.id.as_str())
        };
        let mut moving = entry.clone();
        if on_the_way != moving.title {
            moving = self.retitle(&old.folder, &moving, &on_the_way).await?;
        }
        let over = match self.carry(OP, entry.kind, &entry.id, &new.folder).await {
            Ok(over) => over,
            Err(error) => {
                self.back_to(&old.folder, &moving, &entry.title).await;
                return Err(denied_is_refused(self.or_entry_locked(error, entry.kind, &entry.id).await));
            }
        };
        let mut waits = over.looks().iter();
        while !self.is_in(&new.folder, &moving).await? {
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => {
                    self.back_to(&old.folder, &moving, &entry.title).await;
                    return Err(self.or_entry_locked(over.into_error(OP), entry.kind, &entry.id).await);
                }
            }
        }
        if moving.title != title {
            moving = self.retitle(&new.folder, &moving, title).await?;
        }
        Ok(moving)
    }

    /// Whether an entry is in a folder by now.
    async fn is_in(&self, folder: &Id, entry: &Entry) -> Result<bool> {
        if entry.kind == NodeKind::File {
            let file = self.file_by_id(OP, &entry.id).await?;
            return Ok(file.is_some_and(|file| file.folder_id.as_ref() == Some(folder)));
        }
        let entries = self.entries_of(OP, folder).await?;
        Ok(entries.iter().any(|other| other.kind == entry.kind && other.id == entry.id))
    }

    /// Gives an entry another title in its folder.
    pub(super) async fn retitle(&self, folder: &Id, entry: &Entry, title: &str) -> Result<Entry> {
        if entry.title == title {
            return Ok(entry.clone());
        }
        let changed = self.ask_for_title(folder, entry, title).await?;
        self.index.there(folder, changed.clone());
        if changed.title == title {
            return Ok(changed);
        }
        // Never silently another name.
        self.back_to(folder, &changed, &entry.title).await;
        let what = format!("the portal would call it {:?} instead of {title:?}", changed.title);
        Err(Error::new(Kind::CrossDevice, OP, what))
    }

    /// Asks for another title, again where that may help: the same title twice is the same.
    async fn ask_for_title(&self, folder: &Id, entry: &Entry, title: &str) -> Result<Entry> {
        let (id, mut waits) = (entry.id.as_str(), RETITLE_WAITS.iter());
        loop {
            let asked = match entry.kind {
                NodeKind::File => {
                    let body = json!({"title": title, "lastVersion": 0});
                    let call = |api: &Api| api.call(OP, Method::Put, &["files", "file", id]).json(&body).repeatable();
                    self.sessions.call::<FileDto>(call).await.map(Entry::of_file)
                }
                NodeKind::Directory => {
                    let body = json!({"title": title});
                    let call = |api: &Api| api.call(OP, Method::Put, &["files", "folder", id]).json(&body).repeatable();
                    self.sessions.call::<FolderDto>(call).await.map(Entry::of_folder)
                }
            };
            let error = match asked {
                Ok(entry) => return Ok(entry),
                Err(trouble) => trouble.into_error(OP),
            };
            self.index.forget(folder);
            let again = match error.retry {
                Retry::After(asked) => waits.next().map(|wait| asked.max(*wait)),
                Retry::Never | Retry::AskFirst => None,
            };
            match again {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(denied_is_refused(self.or_entry_locked(error, entry.kind, &entry.id).await)),
            }
        }
    }

    /// Gives an entry its old title back; what fails here is told by the error that led here.
    async fn back_to(&self, folder: &Id, entry: &Entry, title: &str) {
        if entry.title != title
            && let Err(error) = Box::pin(self.retitle(folder, entry, title)).await
        {
            tracing::warn!(%error, title = %crate::error::printable(&entry.title), "an entry keeps the wrong title");
        }
    }

    /// The target could not be removed: back to where it came from.
    async fn undo(&self, old: &Way, new: &Way, entry: &Entry, moved: &Entry) {
        let back = Box::pin(self.relocate(new, old, moved, &entry.title)).await;
        self.index.forget(&old.folder);
        self.index.forget(&new.folder);
        if let Err(error) = back {
            tracing::warn!(%error, "a rename that failed halfway could not be taken back");
        }
    }

    /// The content under another name, as a new file, and the old one thrown away.
    async fn resend(&self, from: &RemotePath, node: &Node, to: &RemotePath, old: &Way, entry: &Entry) -> Result<Node> {
        if node.size > RESEND_MAX || (node.size == 0 && !self.site().version.has_empty_files()) {
            let what = format!("the portal cannot change the extension of {from}");
            return Err(Error::new(Kind::CrossDevice, OP, what));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(node.size).unwrap_or(0));
        while (bytes.len() as u64) < node.size {
            let at = bytes.len() as u64;
            bytes.extend_from_slice(&self.read_file(from, node, at..node.size.min(at + PIECE)).await?);
        }
        let spec = Spec { path: to.clone(), size: Some(node.size), sha1: None, replaces: None };
        let made = self.upload_all(&spec, Payload::from_bytes(bytes.into(), 0)).await.map_err(once)?;
        // Both are there now: a failure leaves two, and says so.
        match self.remove_by_id(OP, &old.folder, entry.kind, &entry.id).await {
            Err(error) if error.kind != Kind::NotFound => Err(once(error)),
            _ => Ok(made),
        }
    }
}

/// The title for a name: a rename stores it as it is, so a name without extension needs no dot.
fn wanted_title(entry: &Entry, name: &str) -> String {
    match entry.kind {
        NodeKind::File if names::shown(&entry.title) == name => entry.title.clone(),
        _ => name.to_owned(),
    }
}

/// The failure of something that must not be done from its beginning again.
fn once(error: Error) -> Error {
    match error.retry {
        Retry::After(_) => error.retry(Retry::Never),
        Retry::Never | Retry::AskFirst => error,
    }
}

/// Whether a rename leaves the extension as it is; a file without one may get one.
fn keeps_extension(old: &str, new: &str) -> bool {
    let kept = names::extension(old);
    kept.is_empty() || kept == names::extension(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_can_be_given_and_never_taken() {
        assert!(keeps_extension("a.txt", "b.TXT"));
        assert!(keeps_extension("README.", "README.md"));
        assert!(keeps_extension("README", "NOTES"));
        assert!(!keeps_extension("a.tmp", "a.txt"));
        assert!(!keeps_extension("a.tmp", "a"));
    }
}
