//! Changes of names: create, remove, rename, directories. Each asks the service first where the service knows the
//! name, and changes the tree only when it agreed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::away::Trust;
use super::entry::Entry;
use super::{Attr, Ino, MISS, Overrides, Tree, not_found, stale};
use crate::error::{Error, Kind, Result};
use crate::file::File;
use crate::path::RemotePath;
use crate::service::{Node, NodeKind};

/// What was asked so lately is the state of the service: programs look a name up right before they make it.
const JUST_NOW: Duration = Duration::from_millis(100);

/// Whether an existing name is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// `O_EXCL`, `RENAME_NOREPLACE`.
    Refuse,
    /// The usual.
    Accept,
}

/// One name in one directory.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The directory.
    pub parent: Ino,
    /// The name as the program typed it.
    pub name: &'a str,
}

/// What an entry is found to be before it is changed.
struct Target {
    ino: Ino,
    kind: NodeKind,
    node: Option<Node>,
}

impl Tree {
    /// Makes a file, or finds the one that is there.
    ///
    /// # Errors
    /// `Exists` when it must not exist; what the service has against the name; `IsDirectory`.
    pub async fn create(&self, at: At<'_>, overrides: Overrides, if_exists: IfExists) -> Result<(Attr, bool)> {
        let canonical = self.canonical(at.name)?;
        let path = self.path(at.parent)?.join(at.name);
        let found = match if_exists {
            // Whoever takes a lock by making a file must see the one that another client made a moment ago.
            IfExists::Refuse => self.find(at.parent, &canonical, JUST_NOW, self.trust_to_make()).await?,
            IfExists::Accept => self.find(at.parent, &canonical, MISS, Trust::Memory).await?,
        };
        match found {
            Some(_) if if_exists == IfExists::Refuse => Err(Error::new(Kind::Exists, "create", "the file exists")),
            Some(target) if target.kind == NodeKind::Directory => {
                Err(Error::new(Kind::IsDirectory, "create", "a directory has this name"))
            }
            Some(target) => Ok((self.attr(target.ino)?, false)),
            None => {
                // Most services would complain only when the last byte has been sent.
                self.admit_path(&path).await?;
                let mut inner = self.inner();
                // A listing may have come in meanwhile, or another program: a name has one entry.
                if let Some(ino) = inner.names.get(&(at.parent, canonical.clone())).copied() {
                    let attr = inner.attr(ino, &self.defaults)?;
                    return match (if_exists, attr.kind) {
                        (IfExists::Refuse, _) => Err(Error::new(Kind::Exists, "create", "the file exists")),
                        (_, NodeKind::Directory) => {
                            Err(Error::new(Kind::IsDirectory, "create", "a directory has this name"))
                        }
                        _ => Ok((attr, false)),
                    };
                }
                let mut entry = Entry::new(at.parent, canonical, NodeKind::File);
                entry.overrides = overrides;
                let ino = inner.add(entry);
                Ok((inner.attr(ino, &self.defaults)?, true))
            }
        }
    }

    /// What stands under a name, as fresh as a change needs it; see [`Tree::look`].
    async fn find(&self, parent: Ino, canonical: &str, missed: Duration, trust: Trust) -> Result<Option<Target>> {
        let Some(ino) = self.look(parent, canonical, missed, trust).await? else { return Ok(None) };
        let inner = self.inner();
        let entry = inner.entries.get(&ino).ok_or_else(stale)?;
        Ok(Some(Target { ino, kind: entry.kind, node: entry.node() }))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, `IsDirectory`, or whatever the service says.
    pub async fn unlink(&self, at: At<'_>) -> Result<()> {
        let canonical = self.canonical(at.name)?;
        let target = self.find(at.parent, &canonical, MISS, Trust::Memory).await?.ok_or_else(not_found)?;
        if target.kind == NodeKind::Directory {
            return Err(Error::new(Kind::IsDirectory, "remove", "it is a directory"));
        }
        let file = self.file(target.ino)?;
        let _settled = settled(&file).await;
        self.still_named(at.parent, target.ino)?;
        // A commit that was under way may have made a version meanwhile.
        if let Some(node) = file.upload().source().node() {
            file.keep_for_readers().await;
            self.remove_remote(&file.place().get(), &node).await?;
        }
        // Not before: a file that the service does not let go stays a file, and what is written to it must arrive.
        file.discard().await;
        self.inner().detach(target.ino);
        Ok(())
    }

    /// While a change waited, another may have moved or removed its entry.
    fn still_named(&self, parent: Ino, ino: Ino) -> Result<()> {
        let inner = self.inner();
        let entry = inner.entries.get(&ino).filter(|entry| entry.parent == parent).ok_or_else(not_found)?;
        let named = inner.names.get(&(parent, entry.name.clone())) == Some(&ino);
        named.then_some(()).ok_or_else(not_found)
    }

    async fn remove_remote(&self, path: &RemotePath, node: &Node) -> Result<()> {
        match self.service().remove(path, node).await {
            // Somebody else was quicker.
            Err(error) if error.kind == Kind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// `Refused` where the service has no directories; `Exists`; whatever the service says.
    pub async fn mkdir(&self, at: At<'_>, overrides: Overrides) -> Result<Attr> {
        let canonical = self.canonical(at.name)?;
        if !self.service().capability().directories {
            let what = format!("{} has no directories", self.service().kind());
            return Err(Error::new(Kind::Refused, "mkdir", what).hint("put the files into the mount itself"));
        }
        if self.find(at.parent, &canonical, MISS, Trust::Memory).await?.is_some() {
            return Err(Error::new(Kind::Exists, "mkdir", "the name is taken"));
        }
        let path = self.path(at.parent)?.join(at.name);
        self.service().check_name(&path)?;
        let asked = Instant::now();
        let node = self.service().mkdir(&path).await?;
        let real = self.real_name(&canonical, &node);
        let mut inner = self.inner();
        inner.learn(at.parent, &canonical, &real);
        let ino = inner.upsert(at.parent, real, node, asked);
        if let Some(entry) = inner.entries.get_mut(&ino) {
            entry.overrides.merge(overrides);
        }
        inner.attr(ino, &self.defaults)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotEmpty`, `NotDirectory`, `NotFound`, or whatever the service says.
    pub async fn rmdir(&self, at: At<'_>) -> Result<()> {
        let canonical = self.canonical(at.name)?;
        let target = self.find(at.parent, &canonical, MISS, Trust::Memory).await?.ok_or_else(not_found)?;
        if target.kind != NodeKind::Directory {
            return Err(Error::new(Kind::NotDirectory, "rmdir", "it is not a directory"));
        }
        if !self.list(target.ino).await?.is_empty() {
            return Err(Error::new(Kind::NotEmpty, "rmdir", "the directory is not empty"));
        }
        let path = self.path(target.ino)?;
        if let Some(node) = &target.node {
            self.remove_remote(&path, node).await?;
        }
        self.inner().detach(target.ino);
        Ok(())
    }

    /// Renames a file or a directory.
    ///
    /// # Errors
    /// `CrossDevice` when the service cannot do it in one step, so that `mv` copies; `Exists` when the target must not
    /// exist; `NotFound`; what the service has against the new name; whatever else it says.
    pub async fn rename(&self, from: At<'_>, to: At<'_>, if_exists: IfExists) -> Result<()> {
        let (old, new) = (self.canonical(from.name)?, self.canonical(to.name)?);
        let source = self.find(from.parent, &old, MISS, Trust::Memory).await?.ok_or_else(not_found)?;
        let target = self.find(to.parent, &new, MISS, Trust::Memory).await?;
        if target.as_ref().is_some_and(|target| target.ino == source.ino) {
            // Two spellings of one name.
            return if if_exists == IfExists::Refuse { Err(exists()) } else { Ok(()) };
        }
        if target.is_some() && if_exists == IfExists::Refuse {
            return Err(exists());
        }
        self.check_kinds(&source, target.as_ref()).await?;
        self.check_not_inside(source.ino, to.parent)?;
        let directory = self.path(to.parent)?;
        if source.kind == NodeKind::File {
            self.service().check_name(&directory.join(to.name))?;
        }
        let path = directory.join(to.name);
        // The files are held, so that no commit of theirs names a file meanwhile; always in the same order, so that two
        // renames across each other do not wait for one another.
        let mut files = Vec::new();
        for target in [Some(&source), target.as_ref()].into_iter().flatten().filter(|t| t.kind == NodeKind::File) {
            files.push((target.ino, self.file(target.ino)?));
        }
        if source.kind == NodeKind::Directory {
            // A commit below it would end under the old name, and make the directory again.
            files.extend(self.opened_below(source.ino));
        }
        files.sort_by_key(|(ino, _)| *ino);
        let mut held = Vec::new();
        for (_, file) in &files {
            held.push(settled(file).await);
        }
        self.still_named(from.parent, source.ino)?;
        let replaced = target.as_ref().and_then(|target| self.node(target.ino));
        for (_, file) in files.iter().filter(|(ino, _)| target.as_ref().is_some_and(|target| target.ino == *ino)) {
            file.keep_for_readers().await;
        }
        let moved = self.rename_remote(source.ino, replaced.as_ref(), &path).await?;
        if let Some((_, file)) = files.iter().find(|(ino, _)| *ino == source.ino) {
            match (&moved, replaced) {
                (Some(node), _) => file.renamed(&path, node),
                // Not on the service yet: its commit will replace what stands under the new name.
                (None, Some(replaced)) => file.upload().source().replaces(path.clone(), replaced),
                (None, None) => {}
            }
            file.place().set(path);
            file.moved();
        }
        let real = moved.as_ref().map_or_else(|| new.clone(), |node| self.real_name(&new, node));
        self.inner().learn(to.parent, &new, &real);
        let (replaced, below) = self.relocate(source.ino, to.parent, real, moved);
        // The name first: a next mount that finds both takes the newer word.
        for file in files.iter().map(|(_, file)| file).chain(&below) {
            if replaced.as_ref().is_none_or(|replaced| !Arc::ptr_eq(replaced, file)) {
                file.save_name().await?;
            }
        }
        if let Some(replaced) = replaced {
            replaced.discard().await;
        }
        Ok(())
    }

    async fn check_kinds(&self, source: &Target, target: Option<&Target>) -> Result<()> {
        let Some(target) = target else { return Ok(()) };
        match (source.kind, target.kind) {
            (NodeKind::File, NodeKind::Directory) => {
                Err(Error::new(Kind::IsDirectory, "rename", "the target is a directory"))
            }
            (NodeKind::Directory, NodeKind::File) => {
                Err(Error::new(Kind::NotDirectory, "rename", "the target is not a directory"))
            }
            (NodeKind::Directory, NodeKind::Directory) if !self.list(target.ino).await?.is_empty() => {
                Err(Error::new(Kind::NotEmpty, "rename", "the target is not empty"))
            }
            _ => Ok(()),
        }
    }

    /// The files below a directory that were opened.
    fn opened_below(&self, directory: Ino) -> Vec<(Ino, Arc<File>)> {
        let inner = self.inner();
        let is_below = |ino: &Ino| {
            let parents = std::iter::successors(Some(*ino), |at| {
                let parent = inner.entries.get(at).filter(|_| *at != super::ROOT)?.parent;
                Some(parent)
            });
            parents.skip(1).any(|parent| parent == directory)
        };
        let opened = inner.entries.iter().filter_map(|(ino, entry)| Some((*ino, entry.file.clone()?)));
        opened.filter(|(ino, _)| is_below(ino)).collect()
    }

    /// A directory cannot go into itself.
    fn check_not_inside(&self, ino: Ino, parent: Ino) -> Result<()> {
        let inner = self.inner();
        let mut at = parent;
        while at != super::ROOT {
            if at == ino {
                return Err(Error::new(Kind::Invalid, "rename", "a directory cannot be moved into itself"));
            }
            at = inner.entries.get(&at).ok_or_else(stale)?.parent;
        }
        Ok(())
    }

    /// Has the service rename what it knows; `None` when it does not know the source yet.
    async fn rename_remote(&self, ino: Ino, replaced: Option<&Node>, path: &RemotePath) -> Result<Option<Node>> {
        let Some(node) = self.node(ino) else { return Ok(None) };
        let capability = self.service().capability();
        if !capability.rename || (replaced.is_some() && !capability.rename_replaces) {
            let what = "the service cannot put a file over another one in one step";
            return Err(Error::new(Kind::CrossDevice, "rename", what));
        }
        let from = self.path(ino)?;
        self.service().rename(&from, &node, path).await.map(Some)
    }

    /// Moves the entry in the tree; whatever stands under the new name by now is detached. The file that stood there, and
    /// those that moved along.
    fn relocate(
        &self,
        ino: Ino,
        parent: Ino,
        name: String,
        moved: Option<Node>,
    ) -> (Option<Arc<File>>, Vec<Arc<File>>) {
        let mut inner = self.inner();
        let key = (parent, name);
        let mut replaced = None;
        if let Some(there) = inner.names.get(&key).copied().filter(|there| *there != ino) {
            replaced = inner.entries.get(&there).and_then(|entry| entry.file.clone());
            inner.detach(there);
        }
        let Some(entry) = inner.entries.get_mut(&ino) else { return (replaced, Vec::new()) };
        let old = (entry.parent, std::mem::replace(&mut entry.name, key.1.clone()));
        entry.parent = parent;
        entry.fetched = Instant::now();
        // A listing that was under way may have missed it under either name.
        entry.removed = false;
        if moved.is_some() {
            entry.remote = moved;
        }
        if inner.names.get(&old) == Some(&ino) {
            inner.names.remove(&old);
        }
        inner.miss(old, Instant::now());
        inner.misses.remove(&key);
        inner.names.insert(key, ino);
        let below = inner.move_places(ino);
        drop(inner);
        below.iter().for_each(|file| file.moved());
        (replaced, below)
    }
}

impl super::Inner {
    /// The name is gone; open handles still reach the entry.
    pub(super) fn detach(&mut self, ino: Ino) {
        let Some(entry) = self.entries.get_mut(&ino) else { return };
        entry.removed = true;
        let key = (entry.parent, entry.name.clone());
        let unknown_to_kernel = entry.lookups == 0;
        if self.names.get(&key) == Some(&ino) {
            self.names.remove(&key);
            self.miss(key, Instant::now());
        }
        if unknown_to_kernel {
            self.entries.remove(&ino);
        }
    }

    /// Tells every open file below `ino` where it stands now; which ones that were.
    fn move_places(&self, ino: Ino) -> Vec<Arc<File>> {
        let mut moved = Vec::new();
        for (other, entry) in &self.entries {
            if let (Some(file), Some(path)) = (&entry.file, self.path(*other))
                && *other != ino
                && !entry.removed
                && file.place().get() != path
            {
                file.place().set(path);
                moved.push(file.clone());
            }
        }
        moved
    }
}

/// Waits until no commit of the file is under way, and keeps the next one from naming it while the guard lives. A
/// commit in doubt lets go of the name between its questions, and its answer is about the name it had.
pub(super) async fn settled(file: &File) -> tokio::sync::MutexGuard<'_, ()> {
    loop {
        file.until_named().await;
        let guard = file.place().hold().await;
        if !file.is_naming() {
            // What became of earlier generations is known by now, and decides what the service has under the name.
            file.settle_generations();
            return guard;
        }
    }
}

fn exists() -> Error {
    Error::new(Kind::Exists, "rename", "the target exists")
}
