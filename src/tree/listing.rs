//! Listings: the service's pages merged with what is known only here.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::entry::Entry;
use super::{Inner, Ino, ROOT, Tree, stale};
use crate::error::{Error, Kind, Result};
use crate::path;
use crate::service::{Node, NodeKind};

/// Most entries of one directory, and thereby of memory for one listing: ten times the largest directory the project
/// promises to list.
const ENTRIES_MAX: usize = 1_000_000;

/// One line of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The inode.
    pub ino: Ino,
    /// The name.
    pub name: String,
    /// File or directory.
    pub kind: NodeKind,
}

impl Tree {
    /// What is in a directory, as of now or of `dir_cache` ago; as it was last seen, while the service is away.
    ///
    /// # Errors
    /// `NotDirectory`, or whatever the service says.
    pub async fn list(&self, ino: Ino) -> Result<Arc<Vec<Listed>>> {
        let listed = {
            let inner = self.inner();
            let entry = inner.entries.get(&ino).ok_or_else(stale)?;
            if entry.kind != NodeKind::Directory {
                return Err(Error::new(Kind::NotDirectory, "list", "it is not a directory"));
            }
            entry.listed
        };
        if listed.is_none_or(|since| since.elapsed() >= self.dir_cache) {
            let tree = self.this();
            self.unless_away(listed.is_some(), async move { tree?.ask_for_names(ino).await }).await?;
        }
        Ok(Arc::new(self.inner().children(ino)))
    }

    async fn ask_for_names(&self, ino: Ino) -> Result<()> {
        let path = self.path(ino)?;
        let asked = Instant::now();
        let nodes = self.all_pages(&path).await?;
        self.merge(ino, nodes, asked);
        Ok(())
    }

    async fn all_pages(&self, path: &path::RemotePath) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.service().list(path, cursor.as_deref()).await?;
            nodes.extend(page.nodes);
            if nodes.len() > ENTRIES_MAX {
                return Err(Error::new(Kind::TooLarge, "list", "the directory has more entries than can be listed"));
            }
            match page.next {
                // A server that sends the same cursor again would send the same page for ever.
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                Some(_) => return Err(Error::new(Kind::Protocol, "list", "the service repeats a page")),
                None => return Ok(nodes),
            }
        }
    }

    fn merge(&self, parent: Ino, nodes: Vec<Node>, asked: Instant) {
        let service = self.service();
        let mut inner = self.inner();
        let mut seen = HashSet::with_capacity(nodes.len());
        for node in nodes {
            if !path::is_entry_name(&node.name) {
                tracing::warn!(name = %crate::error::printable(&node.name), "not listed: no file name");
                continue;
            }
            let canonical = service.canonical_name(&node.name);
            // What was removed here while the listing was under way does not come back.
            let removed_since = inner.misses.get(&(parent, canonical.clone())).is_some_and(|since| *since >= asked);
            if !removed_since && seen.insert(canonical.clone()) {
                inner.upsert(parent, canonical, node, asked);
            }
        }
        inner.drop_unseen(parent, &seen, asked);
        if let Some(directory) = inner.entries.get_mut(&parent) {
            directory.listed = Some(asked);
        }
    }
}

impl Inner {
    /// Takes out what a complete listing did not show.
    fn drop_unseen(&mut self, parent: Ino, seen: &HashSet<String>, asked: Instant) {
        let gone = |entry: &Entry| !entry.is_local() && entry.fetched < asked && !entry.is_newer_than(asked);
        let unseen: Vec<(Ino, String)> = self
            .names
            .iter()
            .filter(|((directory, name), ino)| {
                *directory == parent && !seen.contains(name) && self.entries.get(ino).is_none_or(gone)
            })
            .map(|((_, name), ino)| (*ino, name.clone()))
            .collect();
        for (ino, name) in unseen {
            self.names.remove(&(parent, name));
            let Some(entry) = self.entries.get_mut(&ino) else { continue };
            entry.removed = true;
            if entry.lookups == 0 {
                self.entries.remove(&ino);
            }
        }
    }

    fn children(&self, parent: Ino) -> Vec<Listed> {
        let mine = self.names.iter().filter(|((directory, _), _)| *directory == parent);
        let mut children: Vec<Listed> = mine
            .filter_map(|((_, name), ino)| {
                let entry = self.entries.get(ino)?;
                // As the service spells it; the key stands for all spellings.
                let name = entry.node().map_or_else(|| name.clone(), |node| node.name);
                Some(Listed { ino: *ino, name, kind: entry.kind })
            })
            .filter(|child| child.ino != ROOT)
            .collect();
        children.sort_by(|a, b| a.name.cmp(&b.name));
        children
    }
}
