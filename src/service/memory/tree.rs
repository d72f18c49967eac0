//! The committed files and the directories of a memory service, and what may be done with them. Synchronous and
//! without sessions: an upload shows here only once it is complete.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use super::config::Names;
use super::stored::Stored;
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::service::{Node, NodeKind, Page};

/// Where an entry is filed: the canonical path of its directory and its canonical name, so that the entries of one
/// directory lie side by side.
type Key = (RemotePath, String);

#[derive(Debug)]
struct Entry {
    /// As it was given, in the service's spelling.
    name: String,
    id: String,
    version: u64,
    modified: SystemTime,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Directory,
    File {
        stored: Arc<Stored>,
        /// How many times content was committed under this name since it came to be.
        versions: u64,
    },
}

impl Entry {
    fn node(&self) -> Node {
        let (kind, size, sha1) = match &self.body {
            Body::Directory => (NodeKind::Directory, 0, None),
            Body::File { stored, .. } => (NodeKind::File, stored.size, stored.sha1),
        };
        Node {
            name: self.name.clone(),
            kind,
            size,
            modified: self.modified,
            version: self.version.to_string(),
            id: self.id.clone(),
            url: None,
            sha1,
            expires: None,
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory)
    }
}

/// All entries below the root. The root itself is a directory that is always there.
#[derive(Debug)]
pub(super) struct Tree {
    entries: BTreeMap<Key, Entry>,
    names: Names,
    /// Counts changes; every new id and version is the next number.
    changes: u64,
}

impl Tree {
    pub(super) fn new(names: Names) -> Self {
        Tree { entries: BTreeMap::new(), names, changes: 0 }
    }

    pub(super) fn node(&self, path: &RemotePath) -> Result<Node> {
        if path.is_root() {
            return Ok(root());
        }
        self.entry(path).map(Entry::node)
    }

    /// The content of a file and its version.
    pub(super) fn content(&self, path: &RemotePath) -> Result<(Arc<Stored>, String)> {
        let entry = self.entry(path)?;
        match &entry.body {
            Body::File { stored, .. } => Ok((stored.clone(), entry.version.to_string())),
            Body::Directory => Err(refused(Kind::IsDirectory, path)),
        }
    }

    /// Up to `max` entries of the directory `path` behind the one named `cursor`.
    pub(super) fn list(&self, path: &RemotePath, cursor: Option<&str>, max: usize) -> Result<Page> {
        self.require_directory(path)?;
        let directory = self.names.canonical_path(path);
        let from = Bound::Excluded((directory.clone(), cursor.unwrap_or("").to_owned()));
        let mut here = self.entries.range((from, Bound::Unbounded)).take_while(|((at, _), _)| *at == directory);
        let mut page = Page::default();
        let mut last = None;
        for ((_, name), entry) in here.by_ref().take(max) {
            page.nodes.push(entry.node());
            last = Some(name.clone());
        }
        page.next = last.filter(|_| here.next().is_some());
        Ok(page)
    }

    pub(super) fn mkdir(&mut self, path: &RemotePath) -> Result<Node> {
        self.require_parent(path)?;
        if path.is_root() || self.entry(path).is_ok() {
            return Err(refused(Kind::Exists, path));
        }
        Ok(self.file_entry(path, Body::Directory))
    }

    /// Makes `stored` the content of the file `path`.
    pub(super) fn commit(&mut self, path: &RemotePath, stored: Stored) -> Result<Node> {
        self.require_place_for_file(path)?;
        let versions = 1 + self.versions(path);
        Ok(self.file_entry(path, Body::File { stored: Arc::new(stored), versions }))
    }

    /// Whether a file could be committed at `path`.
    pub(super) fn require_place_for_file(&self, path: &RemotePath) -> Result<()> {
        self.require_parent(path)?;
        match self.node(path) {
            Ok(node) if node.kind == NodeKind::Directory => Err(refused(Kind::IsDirectory, path)),
            _ => Ok(()),
        }
    }

    /// How many times content was committed at `path`; 0 where there is no file.
    pub(super) fn versions(&self, path: &RemotePath) -> u64 {
        match self.entry(path) {
            Ok(Entry { body: Body::File { versions, .. }, .. }) => *versions,
            _ => 0,
        }
    }

    pub(super) fn remove(&mut self, path: &RemotePath) -> Result<()> {
        if path.is_root() {
            return Err(refused(Kind::Busy, path));
        }
        if self.entry(path)?.is_directory() {
            self.require_empty(path)?;
        }
        self.entries.remove(&self.key(path));
        Ok(())
    }

    /// Moves the entry `from` to `to`, with everything below it. `replaces` says whether a target may be there.
    pub(super) fn rename(&mut self, from: &RemotePath, to: &RemotePath, replaces: Replaces) -> Result<Node> {
        let is_directory = self.entry(from)?.is_directory();
        self.require_parent(to)?;
        let (old, new) = (self.names.canonical_path(from), self.names.canonical_path(to));
        if to.is_root() || below(&new, &old) {
            return Err(refused(Kind::Invalid, to));
        }
        if old != new && self.entry(to).is_ok() {
            self.require_replaceable(to, is_directory, replaces)?;
        }
        let mut entry = self.entries.remove(&self.key(from)).expect("the entry was found above");
        entry.name = self.names.canonical(to.name());
        let node = entry.node();
        self.entries.insert(self.key(to), entry);
        self.move_below(&old, &new);
        Ok(node)
    }

    /// The files with their paths, in order.
    pub(super) fn files(&self) -> impl Iterator<Item = (RemotePath, &Stored, u64)> + '_ {
        self.entries.iter().filter_map(|((parent, name), entry)| match &entry.body {
            Body::File { stored, versions } => Some((parent.join(name), &**stored, *versions)),
            Body::Directory => None,
        })
    }

    fn key(&self, path: &RemotePath) -> Key {
        let path = self.names.canonical_path(path);
        (path.parent().unwrap_or_default(), path.name().to_owned())
    }

    fn entry(&self, path: &RemotePath) -> Result<&Entry> {
        self.entries.get(&self.key(path)).ok_or_else(|| refused(Kind::NotFound, path))
    }

    /// Files `body` under `path`; what was there keeps its id.
    fn file_entry(&mut self, path: &RemotePath, body: Body) -> Node {
        self.changes += 1;
        let key = self.key(path);
        let id = self.entries.get(&key).map_or_else(|| format!("entry-{}", self.changes), |entry| entry.id.clone());
        let entry = Entry { name: key.1.clone(), id, version: self.changes, modified: SystemTime::now(), body };
        let node = entry.node();
        self.entries.insert(key, entry);
        node
    }

    fn move_below(&mut self, old: &RemotePath, new: &RemotePath) {
        let moving: Vec<Key> =
            self.entries.keys().filter(|(parent, _)| parent == old || below(parent, old)).cloned().collect();
        for (parent, name) in moving {
            let rest = parent.as_str()[old.as_str().len()..].trim_start_matches('/');
            let target = rest.split('/').filter(|name| !name.is_empty()).fold(new.clone(), |at, name| at.join(name));
            let entry = self.entries.remove(&(parent, name.clone())).expect("the key was just read");
            self.entries.insert((target, name), entry);
        }
    }

    fn require_directory(&self, path: &RemotePath) -> Result<()> {
        match self.node(path)?.kind {
            NodeKind::Directory => Ok(()),
            NodeKind::File => Err(refused(Kind::NotDirectory, path)),
        }
    }

    fn require_parent(&self, path: &RemotePath) -> Result<()> {
        path.parent().map_or(Ok(()), |parent| self.require_directory(&parent))
    }

    fn require_empty(&self, path: &RemotePath) -> Result<()> {
        let page = self.list(path, None, 1)?;
        if page.nodes.is_empty() { Ok(()) } else { Err(refused(Kind::NotEmpty, path)) }
    }

    fn require_replaceable(&self, target: &RemotePath, by_directory: bool, replaces: Replaces) -> Result<()> {
        match (replaces, by_directory, self.entry(target)?.is_directory()) {
            (Replaces::No, ..) => Err(refused(Kind::Exists, target)),
            (Replaces::Yes, false, true) => Err(refused(Kind::IsDirectory, target)),
            (Replaces::Yes, true, false) => Err(refused(Kind::NotDirectory, target)),
            (Replaces::Yes, true, true) => self.require_empty(target),
            (Replaces::Yes, false, false) => Ok(()),
        }
    }
}

/// Whether a rename may replace what is at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaces {
    /// The target is replaced.
    Yes,
    /// A target that exists is a refusal.
    No,
}

impl From<bool> for Replaces {
    fn from(replaces: bool) -> Self {
        if replaces { Replaces::Yes } else { Replaces::No }
    }
}

/// Whether `path` lies somewhere below `directory`.
fn below(path: &RemotePath, directory: &RemotePath) -> bool {
    path.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

fn root() -> Node {
    Node {
        name: String::new(),
        kind: NodeKind::Directory,
        size: 0,
        modified: SystemTime::UNIX_EPOCH,
        version: String::new(),
        id: "root".to_owned(),
        url: None,
        sha1: None,
        expires: None,
    }
}

fn refused(kind: Kind, path: &RemotePath) -> Error {
    let what = match kind {
        Kind::NotFound => "is not there",
        Kind::Exists => "is there already",
        Kind::IsDirectory => "is a directory",
        Kind::NotDirectory => "is not a directory",
        Kind::NotEmpty => "is not empty",
        Kind::Busy => "is the root, which stays",
        _ => "cannot go there",
    };
    Error::new(kind, "memory", format!("{path} {what}"))
}

#[cfg(test)]
mod tests {
    use super::super::config::Keep;
    use super::super::stored::Gathering;
    use super::*;

    fn path(text: &str) -> RemotePath {
        RemotePath::parse(text).unwrap()
    }

    fn empty() -> Stored {
        Gathering::new(Keep::Bytes).into_file()
    }

    fn tree(directories: &[&str], files: &[&str]) -> Tree {
        let mut tree = Tree::new(Names::default());
        directories.iter().for_each(|at| drop(tree.mkdir(&path(at)).unwrap()));
        files.iter().for_each(|at| drop(tree.commit(&path(at), empty()).unwrap()));
        tree
    }

    fn names(tree: &Tree) -> Vec<String> {
        tree.files().map(|(at, ..)| at.as_str().to_owned()).collect()
    }

    #[test]
    fn a_listing_has_the_entries_of_its_directory_only() {
        let tree = tree(&["a", "a/b", "ab"], &["a/1", "a/2", "a/b/3", "ab/4", "z"]);
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = tree.list(&path("a"), cursor.as_deref(), 2).unwrap();
            seen.extend(page.nodes.into_iter().map(|node| node.name));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["1", "2", "b"]);
        assert_eq!(tree.list(&RemotePath::root(), None, 10).unwrap().nodes.len(), 3);
        assert_eq!(tree.list(&path("z"), None, 10).unwrap_err().kind, Kind::NotDirectory);
        assert_eq!(tree.list(&path("no"), None, 10).unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn the_last_page_is_known_to_be_the_last() {
        let tree = tree(&[], &["1", "2"]);
        assert_eq!(tree.list(&RemotePath::root(), None, 2).unwrap().next, None);
    }

    #[test]
    fn a_directory_moves_with_everything_below_it() {
        let mut tree = tree(&["a", "a/b", "ab", "t"], &["a/1", "a/b/2", "ab/3"]);
        tree.rename(&path("a"), &path("t/new"), Replaces::No).unwrap();
        assert_eq!(names(&tree), ["ab/3", "t/new/1", "t/new/b/2"]);
        let inside = tree.rename(&path("t"), &path("t/new/x"), Replaces::Yes).unwrap_err();
        assert_eq!(inside.kind, Kind::Invalid);
    }

    #[test]
    fn rename_replaces_like_with_like_only() {
        let mut tree = tree(&["d", "e"], &["d/1", "f", "g"]);
        let mut kind = |from, to, replaces| tree.rename(&path(from), &path(to), replaces).map_err(|error| error.kind);
        assert_eq!(kind("f", "g", Replaces::No).unwrap_err(), Kind::Exists);
        assert_eq!(kind("f", "d", Replaces::Yes).unwrap_err(), Kind::IsDirectory);
        assert_eq!(kind("d", "f", Replaces::Yes).unwrap_err(), Kind::NotDirectory);
        assert_eq!(kind("e", "d", Replaces::Yes).unwrap_err(), Kind::NotEmpty);
        assert_eq!(kind("no", "d", Replaces::Yes).unwrap_err(), Kind::NotFound);
        assert_eq!(kind("f", "no/f", Replaces::Yes).unwrap_err(), Kind::NotFound);
        assert_eq!(kind("f", "g", Replaces::Yes).unwrap().name, "g");
        assert_eq!(kind("g", "g", Replaces::No).unwrap().name, "g");
        assert_eq!(names(&tree), ["g", "d/1"]);
    }

    #[test]
    fn a_commit_is_one_more_version_of_the_same_file() {
        let mut tree = tree(&["d"], &["f"]);
        let first = tree.node(&path("f")).unwrap();
        let second = tree.commit(&path("f"), empty()).unwrap();
        assert_eq!((tree.versions(&path("f")), &second.id), (2, &first.id));
        assert_ne!(second.version, first.version);
        assert_eq!(tree.commit(&path("d"), empty()).unwrap_err().kind, Kind::IsDirectory);
        assert_eq!(tree.commit(&path("f/x"), empty()).unwrap_err().kind, Kind::NotDirectory);
        assert_eq!(tree.commit(&RemotePath::root(), empty()).unwrap_err().kind, Kind::IsDirectory);
    }

    #[test]
    fn only_what_is_empty_goes() {
        let mut tree = tree(&["d"], &["d/f"]);
        assert_eq!(tree.remove(&path("d")).unwrap_err().kind, Kind::NotEmpty);
        tree.remove(&path("d/f")).unwrap();
        tree.remove(&path("d")).unwrap();
        assert_eq!(tree.remove(&path("d")).unwrap_err().kind, Kind::NotFound);
        assert_eq!(tree.remove(&RemotePath::root()).unwrap_err().kind, Kind::Busy);
        assert_eq!(tree.mkdir(&RemotePath::root()).unwrap_err().kind, Kind::Exists);
    }

    #[test]
    fn two_spellings_of_one_name_are_one_file() {
        let mut tree = Tree::new(Names { capitalise: true, ..Names::default() });
        tree.commit(&path("report.pdf"), empty()).unwrap();
        assert_eq!(tree.node(&path("Report.pdf")).unwrap().name, "Report.pdf");
        tree.commit(&path("Report.pdf"), empty()).unwrap();
        assert_eq!(tree.versions(&path("report.pdf")), 2);
    }
}
