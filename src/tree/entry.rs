//! One name in the tree: what is known of it, locally and remotely. Plain data; the tree's lock guards it.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crate::file::File;
use crate::service::{Node, NodeKind};

/// An inode number. The root is 1, as FUSE has it.
pub type Ino = u64;

/// The root directory.
pub const ROOT: Ino = 1;

/// What programs see of an entry.
#[derive(Clone, Debug)]
pub struct Attr {
    /// The inode number.
    pub ino: Ino,
    /// File or directory.
    pub kind: NodeKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access, as far as a program set it.
    pub accessed: SystemTime,
    /// Last change of the content.
    pub modified: SystemTime,
}

/// What a program set; kept for the life of the mount.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Permission bits.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Last access.
    pub accessed: Option<SystemTime>,
    /// Last change of the content.
    pub modified: Option<SystemTime>,
}

impl Overrides {
    /// Takes over what `new` sets.
    pub fn merge(&mut self, new: Overrides) {
        self.mode = new.mode.or(self.mode);
        self.uid = new.uid.or(self.uid);
        self.gid = new.gid.or(self.gid);
        self.accessed = new.accessed.or(self.accessed);
        self.modified = new.modified.or(self.modified);
    }
}

/// One name.
pub(super) struct Entry {
    pub(super) parent: Ino,
    pub(super) name: String,
    pub(super) kind: NodeKind,
    /// The service's word, and when it was given.
    pub(super) remote: Option<Node>,
    pub(super) fetched: Instant,
    /// When it was made here; the time shown for what has no other.
    pub(super) made: SystemTime,
    pub(super) overrides: Overrides,
    /// The file, once it was opened; it stays while the kernel or anybody else knows the inode.
    pub(super) file: Option<Arc<File>>,
    /// References the kernel holds.
    pub(super) lookups: u64,
    /// For a directory: when it was listed completely.
    pub(super) listed: Option<Instant>,
    /// For a directory: it is being listed, or was, so that its names are known when the service is away.
    pub(super) surveyed: bool,
    /// A directory that nobody asked the service for, because a file from the spool stands in it.
    pub(super) anchor: bool,
    /// The name is gone; only open handles still reach the entry.
    pub(super) removed: bool,
}

impl Entry {
    pub(super) fn new(parent: Ino, name: String, kind: NodeKind) -> Self {
        Entry {
            parent,
            name,
            kind,
            remote: None,
            fetched: Instant::now(),
            made: SystemTime::now(),
            overrides: Overrides::default(),
            file: None,
            lookups: 0,
            listed: None,
            surveyed: false,
            anchor: false,
            removed: false,
        }
    }

    /// Whether the mount knows more of it than the service does.
    pub(super) fn is_local(&self) -> bool {
        let unpublished = self.kind == NodeKind::File && self.node().is_none();
        let known_here = (unpublished || self.anchor) && !self.removed;
        self.file.as_ref().is_some_and(|file| file.is_local()) || known_here
    }

    /// Whether something newer is known than what the service answered to a question asked at `asked`.
    pub(super) fn is_newer_than(&self, asked: Instant) -> bool {
        self.fetched > asked || self.file.as_ref().is_some_and(|file| file.committed_since(asked))
    }

    /// The service's version of it, by the latest word of a commit or a listing.
    pub(super) fn node(&self) -> Option<Node> {
        match &self.file {
            Some(file) => file.upload().source().node(),
            None => self.remote.clone(),
        }
    }

    pub(super) fn attr(&self, ino: Ino, defaults: &Defaults) -> Attr {
        let node = self.node();
        let size = match (&self.file, &node) {
            (Some(file), _) => file.size(),
            (None, Some(node)) => node.size,
            (None, None) => 0,
        };
        let written = self.file.as_ref().and_then(|file| file.modified());
        let modified = written.or(self.overrides.modified);
        let modified = modified.or(node.map(|node| node.modified)).unwrap_or(self.made);
        let mode = match self.kind {
            NodeKind::File => defaults.file_mode,
            NodeKind::Directory => defaults.directory_mode,
        };
        Attr {
            ino,
            kind: self.kind,
            size: if self.kind == NodeKind::Directory { 0 } else { size },
            mode: self.overrides.mode.unwrap_or(mode),
            uid: self.overrides.uid.unwrap_or(defaults.uid),
            gid: self.overrides.gid.unwrap_or(defaults.gid),
            accessed: self.overrides.accessed.unwrap_or(modified),
            modified,
        }
    }
}

/// What entries look like unless a program said otherwise.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits of files.
    pub file_mode: u16,
    /// Permission bits of directories.
    pub directory_mode: u16,
}
