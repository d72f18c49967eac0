//! What an earlier process left in the spool gets its names back, as if it had just been written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::{Inner, Ino, ROOT, Tree};
use crate::file::File;
use crate::path::RemotePath;
use crate::service::NodeKind;
use crate::spool::Found;

impl Tree {
    /// Makes an entry of each file in `found`, the oldest first, and of the directories above that are not known yet.
    /// Returns the files; nothing of them moves before [`File::go_on`].
    pub fn recover(&self, found: Vec<Found>) -> Vec<Arc<File>> {
        let mut files: BTreeMap<RemotePath, Vec<Found>> = BTreeMap::new();
        for entry in found {
            let path = self.canonical_path(&entry.info.path);
            files.entry(path).or_default().push(entry);
        }
        files.into_iter().filter_map(|(path, generations)| self.put_back(&path, generations)).collect()
    }

    fn put_back(&self, path: &RemotePath, generations: Vec<Found>) -> Option<Arc<File>> {
        let newest = generations.last()?;
        let (typed, base) = (newest.info.path.clone(), newest.info.base.as_ref().map(|base| base.node.clone()));
        let mut inner = self.inner();
        let parent = path.parent()?;
        let parent = parent.segments().fold(ROOT, |at, name| inner.directory(at, name));
        let mut entry = Entry::new(parent, path.name().to_owned(), NodeKind::File);
        entry.remote = base;
        let ino = inner.add(entry);
        let file = self.files.found(ino, typed, generations)?;
        inner.entries.get_mut(&ino)?.file = Some(file.clone());
        Some(file)
    }

    fn canonical_path(&self, path: &RemotePath) -> RemotePath {
        let service = self.service();
        path.segments().fold(RemotePath::root(), |above, name| above.join(&service.canonical_name(name)))
    }
}

impl Inner {
    /// The directory `name` in `parent`, which is believed to be there because a file was written below it.
    fn directory(&mut self, parent: Ino, name: &str) -> Ino {
        match self.names.get(&(parent, name.to_owned())) {
            Some(ino) => *ino,
            None => {
                let mut entry = Entry::new(parent, name.to_owned(), NodeKind::Directory);
                entry.anchor = true;
                self.add(entry)
            }
        }
    }
}
