//! Renaming. A file is renamed by one change of its name; a directory by one for each file below it, which is no single
//! step: where one of them fails, those before are taken back.
//!
//! **Replacing.** For a moment two files have the name, and a reader sees one or the other; then the replaced one goes. A
//! third file of that name which is newer than the renamed one would hide it: that is left to `mv`, which copies.

use std::sync::Arc;

use futures_util::stream::{StreamExt, iter};

use super::Cloud;
use super::answers::Stored;
use super::calls::Change;
use super::catalog::Found;
use super::names;
use crate::error::{Error, Kind, Result, Retry};
use crate::path::RemotePath;
use crate::service::{Node, NodeKind};

/// The operation, in errors.
const OP: &str = "rename";
/// The most files of a directory that is renamed: some ten seconds, while every program that looks into the directory
/// waits.
const FILES_MAX: usize = 1000;
/// So many files of a directory are renamed at once.
const RENAMED_AT_ONCE: usize = 8;

impl Cloud {
    pub(super) async fn rename_entry(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        if !self.can_rename() {
            return Err(Error::new(Kind::CrossDevice, OP, "this dialect of the service renames nothing"));
        }
        names::check(to, self.in_forms())?;
        self.known(OP).await?;
        self.check_parent(OP, to)?;
        match node.kind {
            NodeKind::File => self.rename_file(from, node, to).await,
            NodeKind::Directory => self.rename_directory(from, to).await,
        }
    }

    async fn rename_file(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        let file = self.file_at(OP, from, node).await?;
        let replaced = match self.catalog.find(to) {
            Some(Found::Directory(_)) => {
                return Err(Error::new(Kind::IsDirectory, OP, format!("{to} is a directory")));
            }
            Some(Found::File(there)) => Some(there).filter(|there| there.id != file.id),
            None => None,
        };
        let hides = |other: &Arc<Stored>| {
            let is_replaced = replaced.as_ref().is_some_and(|replaced| replaced.id == other.id);
            other.id != file.id && !is_replaced && other.is_newer_than(&file)
        };
        if self.catalog.twins(to).iter().any(hides) {
            let what = format!("another file that is called {to} is newer than {from}");
            return Err(Error::new(Kind::CrossDevice, OP, what));
        }
        let size = self.size_of(OP, &file).await?;
        let renamed = self.give_name(&file, to).await.map_err(once)?;
        if let Some(replaced) = replaced {
            match self.delete(OP, &replaced.id).await {
                Err(error) if error.kind != Kind::NotFound => {
                    self.give_back(&[file]).await;
                    return Err(once(error));
                }
                _ => self.forget(&replaced.id),
            }
        }
        self.keep_parent(from);
        Ok(renamed.node(to.name(), size))
    }

    /// Gives a file the name that stands for `to`.
    async fn give_name(&self, file: &Stored, to: &RemotePath) -> Result<Stored> {
        let name = self.catalog.stored_name(to);
        let mut renamed = match self.alter(OP, &file.id, &Change::Name(name)).await {
            Ok(renamed) => renamed,
            Err(error) => {
                // Whatever it is called now.
                self.catalog.doubt();
                if error.kind == Kind::BadName {
                    self.give_back(std::slice::from_ref(file)).await;
                }
                return Err(error);
            }
        };
        renamed.order = file.order;
        self.catalog.there(renamed.clone());
        Ok(renamed)
    }

    /// Gives files their old names back; what fails here is told by the error that led here.
    async fn give_back(&self, files: &[Stored]) {
        let work = iter(files.to_vec()).map(async |file| {
            match self.alter(OP, &file.id, &Change::Name(file.name.clone())).await {
                Ok(_) => self.catalog.there(file),
                Err(error) => tracing::warn!(%error, id = file.id, "a file keeps its new name after a failed rename"),
            }
        });
        work.buffer_unordered(RENAMED_AT_ONCE).collect::<()>().await;
    }

    async fn rename_directory(&self, from: &RemotePath, to: &RemotePath) -> Result<Node> {
        // Every file that is below it counts, also one that came a moment ago.
        self.list_now(OP).await?;
        match self.catalog.find(from) {
            Some(Found::Directory(_)) => {}
            _ => return Err(super::entries::missing(OP, from)),
        }
        match self.catalog.find(to) {
            Some(Found::Directory(_)) if !self.catalog.is_empty(to) => {
                return Err(Error::new(Kind::NotEmpty, OP, format!("{to} is not empty")));
            }
            Some(Found::File(_)) => return Err(Error::new(Kind::NotDirectory, OP, format!("{to} is a file"))),
            Some(Found::Directory(_)) | None => {}
        }
        let (files, made) = self.catalog.below(from);
        if files.len() > FILES_MAX {
            let what = format!("{from} has {} files, and at most {FILES_MAX} are renamed at once", files.len());
            return Err(Error::new(Kind::CrossDevice, OP, what).hint("mv copies them instead"));
        }
        let results: Vec<_> = iter(files.clone())
            .map(async |(path, file)| match moved(&path, from, to) {
                Some(target) => self.give_name(&file, &target).await.map(drop),
                None => Ok(()),
            })
            .buffered(RENAMED_AT_ONCE)
            .collect()
            .await;
        // A file that somebody has removed meanwhile is no obstacle.
        let is_real = |result: &Result<()>| result.as_ref().is_err_and(|error| error.kind != Kind::NotFound);
        if results.iter().any(is_real) {
            // One whose answer was lost may have its new name as well.
            let may_be_done = |result: &Result<()>| result.as_ref().map_or_else(Error::in_doubt, |()| true);
            let done = files.iter().zip(&results).filter(|(_, result)| may_be_done(result));
            let done: Vec<Stored> = done.map(|((_, file), _)| file.as_ref().clone()).collect();
            self.give_back(&done).await;
            let error = results.into_iter().find(is_real).and_then(Result::err);
            return Err(once(error.unwrap_or_else(|| Error::new(Kind::Server, OP, "a file could not be renamed"))));
        }
        for path in made {
            if let Some(target) = moved(&path, from, to) {
                self.catalog.keep(&target);
            }
            self.catalog.let_go(&path);
        }
        if files.is_empty() {
            self.catalog.keep(to);
        }
        self.keep_parent(from);
        self.catalog.let_go(from);
        self.stat_entry(to).await
    }
}

/// Where `path` is when the directory `from` has become `to`.
fn moved(path: &RemotePath, from: &RemotePath, to: &RemotePath) -> Option<RemotePath> {
    let rest = path.as_str().strip_prefix(from.as_str())?.strip_prefix('/')?;
    RemotePath::parse(&format!("{}/{rest}", to.as_str())).ok()
}

/// The failure of something that must not be done from its beginning again.
fn once(error: Error) -> Error {
    match error.retry {
        Retry::After(_) => error.retry(Retry::Never),
        Retry::Never | Retry::AskFirst => error,
    }
}
