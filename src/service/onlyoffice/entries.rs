//! Looking at entries, making folders, throwing entries away.

use serde_json::json;

use super::Onlyoffice;
use super::answers::{FileDto, FolderDto, Id};
use super::api::Trouble;
use super::codes::Refusal;
use super::folders::Way;
use super::index::Entry;
use super::names;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::{Node, NodeKind, Page};

/// The number of the kind of section that the trash is.
const TRASH: i64 = 3;

impl Onlyoffice {
    pub(super) async fn stat_entry(&self, path: &RemotePath) -> Result<Node> {
        if path.is_root() {
            let id = self.root().await?;
            return Ok(root_node(&id));
        }
        let way = self.way("stat", path).await?;
        let entry = self.find_in("stat", &way.folder, &way.key).await?;
        entry.map(|entry| entry.node()).ok_or_else(|| missing("stat", path))
    }

    pub(super) async fn list_entries(&self, path: &RemotePath) -> Result<Page> {
        let folder = self.folder(path).await?;
        let entries = match self.index.entries(&folder) {
            Some(entries) => entries,
            None => self.entries_of("list", &folder).await?,
        };
        Ok(Page { nodes: entries.iter().map(Entry::node).collect(), next: None })
    }

    /// The entry at `path`, found by its id where that is known: whoever changes it means this one.
    pub(super) async fn entry(&self, op: &'static str, path: &RemotePath, node: &Node) -> Result<(Way, Entry)> {
        let way = self.way(op, path).await?;
        match self.find_in(op, &way.folder, &way.key).await? {
            Some(entry) if entry.id.as_str() == node.id && entry.kind == node.kind => Ok((way, entry)),
            // Another stands under the name by now, or none.
            Some(_) => Err(Error::new(Kind::Conflict, op, format!("{path} is another entry by now"))),
            None => Err(missing(op, path)),
        }
    }

    /// A file by its id, asked afresh; `None` when it is gone or thrown away.
    pub(super) async fn file_by_id(&self, op: &'static str, id: &Id) -> Result<Option<FileDto>> {
        let asked = self.sessions.call::<FileDto>(|api| api.call(op, Method::Get, &["files", "file", id.as_str()]));
        match asked.await {
            Ok(file) if file.root_folder_type == Some(TRASH) => Ok(None),
            Ok(file) => Ok(Some(file)),
            // CommunityServer says 403 to what is not there; that we are signed in has been made sure of.
            Err(Trouble::Refused(Refusal { status: 403 | 404, .. })) => Ok(None),
            Err(trouble) => Err(trouble.into_error(op)),
        }
    }

    /// `error`, or that the file is locked, if that is why: portals say so in their user's language, or "access denied" as
    /// to everything else.
    pub(super) async fn or_locked(&self, error: Error, id: &Id) -> Error {
        if !matches!(error.kind, Kind::Denied | Kind::Refused | Kind::Server) {
            return error;
        }
        match self.file_by_id(error.op, id).await {
            Ok(Some(FileDto { locked: true, .. })) => {
                error.kind(Kind::Busy).retry(Retry::Never).hint("somebody has locked it on the portal; unlock it there")
            }
            _ => error,
        }
    }

    /// The same of an entry; folders cannot be locked.
    pub(super) async fn or_entry_locked(&self, error: Error, kind: NodeKind, id: &Id) -> Error {
        match kind {
            NodeKind::File => self.or_locked(error, id).await,
            NodeKind::Directory => error,
        }
    }

    pub(super) async fn make_folder(&self, path: &RemotePath) -> Result<Node> {
        const OP: &str = "mkdir";
        names::check_given(path.name())?;
        let way = self.way(OP, path).await?;
        // A portal would make a second one of the same title.
        if self.find_in(OP, &way.folder, &way.key).await?.is_some() {
            return Err(Error::new(Kind::Exists, OP, format!("{path} exists")));
        }
        let body = json!({"title": path.name()});
        let made = self
            .sessions
            .call::<FolderDto>(|api| api.call(OP, Method::Post, &["files", "folder", way.folder.as_str()]).json(&body));
        let entry = match made.await {
            Ok(folder) => Entry::of_folder(folder),
            Err(trouble) => {
                self.index.forget(&way.folder);
                let error = trouble.into_error(OP);
                if !error.in_doubt() {
                    return Err(error);
                }
                // It was not there before: if it is now, the request did it.
                match self.find_in(OP, &way.folder, &way.key).await {
                    Ok(Some(entry)) if entry.kind == NodeKind::Directory => entry,
                    _ => return Err(error),
                }
            }
        };
        self.index.there(&way.folder, entry.clone());
        if entry.title != path.name() {
            let what = format!("the portal made the folder {:?} instead of {:?}", entry.title, path.name());
            return Err(Error::new(Kind::BadName, OP, what));
        }
        Ok(entry.node())
    }

    pub(super) async fn remove_entry(&self, path: &RemotePath, node: &Node) -> Result<()> {
        const OP: &str = "remove";
        let (way, entry) = self.entry(OP, path, node).await?;
        if entry.kind == NodeKind::Directory && !self.entries_of(OP, &entry.id).await?.is_empty() {
            return Err(Error::new(Kind::NotEmpty, OP, format!("{path} is not empty")));
        }
        self.remove_by_id(OP, &way.folder, entry.kind, &entry.id).await
    }

    /// Throws away the entry of this id, and makes sure that it is gone from its folder.
    pub(super) async fn remove_by_id(&self, op: &'static str, folder: &Id, kind: NodeKind, id: &Id) -> Result<()> {
        match self.try_to_remove(op, folder, kind, id).await {
            // The request never arrived; thrown away twice is thrown away.
            Err(error) if error.in_doubt() => self.try_to_remove(op, folder, kind, id).await,
            removed => removed,
        }
    }

    async fn try_to_remove(&self, op: &'static str, folder: &Id, kind: NodeKind, id: &Id) -> Result<()> {
        let over = match self.throw_away(op, kind, id).await {
            Ok(over) => over,
            Err(error) if error.kind == Kind::NotFound => {
                self.index.gone(folder, kind, id);
                return Err(error);
            }
            // What may not be removed is EPERM to programs; EACCES would be about the directory's bits.
            Err(error) => return Err(denied_is_refused(self.or_entry_locked(error, kind, id).await)),
        };
        let mut waits = over.looks().iter();
        loop {
            if self.is_gone(op, folder, kind, id).await? {
                self.index.gone(folder, kind, id);
                return Ok(());
            }
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(self.or_entry_locked(over.into_error(op), kind, id).await),
            }
        }
    }

    async fn is_gone(&self, op: &'static str, folder: &Id, kind: NodeKind, id: &Id) -> Result<bool> {
        match kind {
            NodeKind::File => {
                let file = self.file_by_id(op, id).await?;
                Ok(file.is_none_or(|file| file.folder_id.is_some_and(|now| now != *folder)))
            }
            NodeKind::Directory => {
                let entries = self.entries_of(op, folder).await?;
                Ok(!entries.iter().any(|entry| entry.kind == kind && entry.id == *id))
            }
        }
    }
}

/// The root as an entry.
fn root_node(id: &Id) -> Node {
    Node {
        name: String::new(),
        kind: NodeKind::Directory,
        size: 0,
        modified: std::time::SystemTime::UNIX_EPOCH,
        version: String::new(),
        id: id.as_str().to_owned(),
        url: None,
        sha1: None,
        expires: None,
    }
}

/// What may not be done to an entry is EPERM to programs; EACCES would be about the bits of its directory.
pub(super) fn denied_is_refused(error: Error) -> Error {
    if error.kind == Kind::Denied { error.kind(Kind::Refused) } else { error }
}

pub(super) fn missing(op: &'static str, path: &RemotePath) -> Error {
    Error::new(Kind::NotFound, op, format!("there is no {path}"))
}
