//! Looking at entries, making directories, removing entries.

use std::time::SystemTime;

use futures_util::stream::{StreamExt, iter};
use tokio::time::Instant;

use super::Cloud;
use super::answers::Stored;
use super::catalog::Found;
use super::names;
use crate::error::{Error, Kind, Result, Retry};
use crate::path::RemotePath;
use crate::service::{Node, NodeKind, Page, twins};

/// So many files of others are asked for their sizes at once.
const MEASURED_AT_ONCE: usize = 8;

impl Cloud {
    /// Lists the folder into the catalog; files that an abandoned upload has made after all are left out, and returned.
    /// Listings wait for one another and share what comes.
    pub(super) async fn list_now(&self, op: &'static str) -> Result<Vec<Stored>> {
        let asked = Instant::now();
        self.list_unless(op, || self.catalog.is_listed_since(asked)).await
    }

    /// The same, unless somebody else's listing is `enough`.
    async fn list_unless(&self, op: &'static str, enough: impl Fn() -> bool) -> Result<Vec<Stored>> {
        let _turn = self.listing.acquire().await.expect("the turn is never closed");
        if enough() {
            return Ok(Vec::new());
        }
        let asked = Instant::now();
        let files = self.everything(op).await?;
        let (echoes, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.upload.as_ref().is_some_and(|id| self.attempts.is_abandoned(id)));
        self.catalog.listed(files, asked);
        Ok(echoes)
    }

    /// Makes sure that the catalog can be believed.
    pub(super) async fn known(&self, op: &'static str) -> Result<()> {
        if self.catalog.is_believed() {
            return Ok(());
        }
        for echo in self.list_unless(op, || self.catalog.is_believed()).await? {
            self.remove_quietly(&echo.id).await;
        }
        Ok(())
    }

    /// A file is gone.
    pub(super) fn forget(&self, id: &str) {
        self.catalog.gone(id);
        self.links.forget(id);
    }

    /// Removes what an upload of ours has made and nobody wants; what has to stay is told in the log.
    pub(super) async fn remove_quietly(&self, id: &str) {
        match self.delete("remove", id).await {
            Err(error) if error.kind != Kind::NotFound => {
                tracing::warn!(%error, id, "the service keeps a file that is not what was meant");
            }
            _ => self.forget(id),
        }
    }

    pub(super) async fn stat_entry(&self, path: &RemotePath) -> Result<Node> {
        const OP: &str = "stat";
        self.known(OP).await?;
        match self.catalog.find(path) {
            Some(Found::File(file)) => match self.size_of(OP, &file).await {
                Ok(size) => Ok(file.node(path.name(), size)),
                Err(error) => {
                    if error.kind == Kind::NotFound {
                        self.forget(&file.id);
                    }
                    Err(error)
                }
            },
            Some(Found::Directory(newest)) => Ok(directory_node(path, newest)),
            None => Err(missing(OP, path)),
        }
    }

    pub(super) async fn list_entries(&self, path: &RemotePath) -> Result<Page> {
        const OP: &str = "list";
        self.known(OP).await?;
        match self.catalog.find(path) {
            Some(Found::Directory(_)) => {}
            Some(Found::File(_)) => return Err(Error::new(Kind::NotDirectory, OP, format!("{path} is a file"))),
            None => return Err(missing(OP, path)),
        }
        let nodes = iter(self.catalog.children(path)).map(async |(name, found)| match found {
            Found::Directory(newest) => Ok(Some(directory_node(&path.join(&name), newest))),
            Found::File(file) => Ok(self.listed_size(OP, &file).await?.map(|size| file.node(&name, size))),
        });
        let nodes: Vec<Result<Option<Node>>> = nodes.buffered(MEASURED_AT_ONCE).collect().await;
        let nodes: Result<Vec<Option<Node>>> = nodes.into_iter().collect();
        Ok(Page { nodes: nodes?.into_iter().flatten().collect(), next: None })
    }

    /// The size of a file for a listing, which never shows a wrong one: a file that is gone, or that the service does not
    /// hand out, is not listed.
    async fn listed_size(&self, op: &'static str, file: &Stored) -> Result<Option<u64>> {
        match self.size_of(op, file).await {
            Ok(size) => Ok(Some(size)),
            Err(error) if error.kind == Kind::NotFound => {
                self.forget(&file.id);
                Ok(None)
            }
            // Who asks, or the way to the storage: that is about all files, and a listing without them would be wrong.
            Err(error) if matches!(error.kind, Kind::SignedOut | Kind::Unreachable | Kind::Denied | Kind::Protocol) => {
                Err(error)
            }
            Err(error) if error.retry == Retry::Never => {
                tracing::warn!(%error, id = file.id, "a file is not listed: its size cannot be found");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The directory that is to hold `path` is there.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`.
    pub(super) fn check_parent(&self, op: &'static str, path: &RemotePath) -> Result<()> {
        let parent = path.parent().unwrap_or_default();
        match self.catalog.find(&parent) {
            Some(Found::Directory(_)) => Ok(()),
            Some(Found::File(_)) => Err(Error::new(Kind::NotDirectory, op, format!("{parent} is a file"))),
            None => Err(missing(op, &parent)),
        }
    }

    pub(super) async fn make_directory(&self, path: &RemotePath) -> Result<Node> {
        const OP: &str = "mkdir";
        names::check(path, self.in_forms())?;
        self.known(OP).await?;
        self.check_parent(OP, path)?;
        if self.catalog.find(path).is_some() {
            return Err(Error::new(Kind::Exists, OP, format!("{path} exists")));
        }
        self.catalog.keep(path);
        Ok(directory_node(path, SystemTime::now()))
    }

    /// The file at `path`, which is the one that is meant.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when another one stands there by now.
    pub(super) async fn file_at(&self, op: &'static str, path: &RemotePath, node: &Node) -> Result<Stored> {
        self.known(op).await?;
        match self.catalog.find(path) {
            Some(Found::File(file)) if file.id == node.id => Ok(file.as_ref().clone()),
            // A twin has another name in the mount as soon as the one before it is gone.
            found => match (self.twin_of(path, node), found) {
                (Some(twin), _) => Ok(twin),
                (None, Some(_)) => Err(Error::new(Kind::Conflict, op, format!("{path} is another entry by now"))),
                (None, None) => Err(missing(op, path)),
            },
        }
    }

    /// The file of `node`, if it was shown at `path` because others had its name, and lies in that directory.
    fn twin_of(&self, path: &RemotePath, node: &Node) -> Option<Stored> {
        let file = self.catalog.files().into_iter().find(|file| file.id == node.id)?;
        let directory = |name: &str| name.rsplit_once('/').map(|(directory, _)| directory.to_owned());
        let is_here = directory(&file.name) == directory(&self.catalog.stored_name(path));
        let was_shown = twins::id_in(path.name()) == Some(file.id.as_str());
        (is_here && was_shown).then(|| file.as_ref().clone())
    }

    pub(super) async fn remove_entry(&self, path: &RemotePath, node: &Node) -> Result<()> {
        const OP: &str = "remove";
        if node.kind == NodeKind::Directory {
            // Somebody may have put a file into it a moment ago.
            self.list_now(OP).await?;
            return match self.catalog.find(path) {
                Some(Found::Directory(_)) if self.catalog.is_empty(path) => {
                    self.keep_parent(path);
                    self.catalog.let_go(path);
                    Ok(())
                }
                Some(Found::Directory(_)) => Err(Error::new(Kind::NotEmpty, OP, format!("{path} is not empty"))),
                Some(Found::File(_)) => Err(Error::new(Kind::NotDirectory, OP, format!("{path} is a file"))),
                None => Err(missing(OP, path)),
            };
        }
        let file = self.file_at(OP, path, node).await?;
        match self.delete(OP, &file.id).await {
            Ok(()) => {
                self.keep_parent(path);
                self.forget(&file.id);
                Ok(())
            }
            Err(error) => {
                if error.kind == Kind::NotFound {
                    self.forget(&file.id);
                }
                Err(error)
            }
        }
    }

    /// Whoever takes the last entry out of a directory does not expect it to vanish.
    pub(super) fn keep_parent(&self, path: &RemotePath) {
        if let Some(parent) = path.parent() {
            self.catalog.keep(&parent);
        }
    }
}

/// A directory as an entry.
fn directory_node(path: &RemotePath, newest: SystemTime) -> Node {
    Node {
        name: path.name().to_owned(),
        kind: NodeKind::Directory,
        size: 0,
        modified: newest,
        version: String::new(),
        id: path.as_str().to_owned(),
        url: None,
        sha1: None,
        expires: None,
    }
}

pub(super) fn missing(op: &'static str, path: &RemotePath) -> Error {
    Error::new(Kind::NotFound, op, format!("there is no {path}"))
}
