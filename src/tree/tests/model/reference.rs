//! A file system that could not be plainer: names lead to inodes, inodes have bytes. Beside what programs see it knows what
//! is left of each file when the process dies.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Kind;
use crate::tree::change::IfExists;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
    Update,
    Append,
    Truncate,
}

impl Mode {
    pub(super) fn writes(self) -> bool {
        self != Mode::Read
    }
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What is left when the process dies: what was last closed, or the version that it is to replace.
    committed: Option<Vec<u8>>,
    /// Whether a program has been told that it is safe as it was, and nobody has closed it since.
    synced: Option<Vec<u8>>,
    /// Whether it is not what was last closed.
    changed: bool,
    /// Whether a program wrote, and no close has answered for it.
    owed: bool,
    writers: usize,
    openers: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Reference {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    directories: BTreeSet<String>,
}

fn directory_of(name: &str) -> &str {
    name.split_once('/').map_or("", |(directory, _)| directory)
}

impl Reference {
    fn check_directory(&self, name: &str) -> Result<(), Kind> {
        let directory = directory_of(name);
        let is_there = directory.is_empty() || self.directories.contains(directory);
        is_there.then_some(()).ok_or(Kind::NotFound)
    }

    fn find(&self, name: &str) -> Result<usize, Kind> {
        self.check_directory(name)?;
        self.names.get(name).copied().ok_or(Kind::NotFound)
    }

    pub(super) fn open(&mut self, name: &str, mode: Mode) -> Result<usize, Kind> {
        let inode = match self.find(name) {
            Ok(inode) => inode,
            Err(kind) if mode == Mode::Read => return Err(kind),
            Err(_) => {
                self.check_directory(name)?;
                self.inodes.push(Inode { changed: true, ..Inode::default() });
                self.names.insert(name.to_owned(), self.inodes.len() - 1);
                self.inodes.len() - 1
            }
        };
        let file = &mut self.inodes[inode];
        file.openers += 1;
        file.writers += usize::from(mode.writes());
        if mode == Mode::Truncate {
            file.changed |= !file.bytes.is_empty();
            file.bytes.clear();
        }
        Ok(inode)
    }

    pub(super) fn write(&mut self, inode: usize, at: Option<u64>, bytes: &[u8]) {
        let file = &mut self.inodes[inode];
        let at = at.map_or(file.bytes.len(), |at| at as usize);
        let end = at + bytes.len();
        file.bytes.resize(file.bytes.len().max(end), 0);
        file.bytes[at..end].copy_from_slice(bytes);
        (file.changed, file.owed) = (true, true);
    }

    pub(super) fn resize(&mut self, inode: usize, size: u64) {
        let file = &mut self.inodes[inode];
        file.bytes.resize(size as usize, 0);
        (file.changed, file.owed) = (true, true);
    }

    pub(super) fn read(&self, inode: usize, at: u64, len: u64) -> Vec<u8> {
        let bytes = &self.inodes[inode].bytes;
        let end = bytes.len().min((at + len) as usize);
        bytes.get(at as usize..end).unwrap_or_default().to_vec()
    }

    pub(super) fn sync(&mut self, inode: usize) {
        let file = &mut self.inodes[inode];
        if file.changed {
            file.synced = Some(file.bytes.clone());
        }
    }

    pub(super) fn flush(&mut self, inode: usize, is_writable: bool) {
        if is_writable && self.inodes[inode].owed {
            self.commit(inode);
        }
    }

    pub(super) fn close(&mut self, inode: usize, mode: Mode) {
        self.flush(inode, mode.writes());
        let file = &mut self.inodes[inode];
        file.openers -= 1;
        file.writers -= usize::from(mode.writes());
        if mode.writes() && file.writers == 0 && file.changed {
            self.commit(inode);
        }
    }

    fn commit(&mut self, inode: usize) {
        let file = &mut self.inodes[inode];
        file.committed = Some(file.bytes.clone());
        file.synced = None;
        (file.changed, file.owed) = (false, false);
    }

    /// The name and what must be there, of a file that is as it was last closed.
    pub(super) fn committed(&self, inode: usize) -> Option<(String, Option<Vec<u8>>)> {
        let (name, _) = self.names.iter().find(|(_, named)| **named == inode)?;
        let file = &self.inodes[inode];
        (!file.changed).then(|| (name.clone(), file.committed.clone()))
    }

    /// Whether a rename would put a file that nobody closed in the place of another one.
    pub(super) fn replaces_unsaved(&self, from: &str, to: &str) -> bool {
        let is_unsaved = |inode: &usize| self.inodes[*inode].committed.is_none();
        self.names.contains_key(to) && self.names.get(from).is_some_and(is_unsaved)
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, if_exists: IfExists) -> Result<(), Kind> {
        self.check_directory(from)?;
        self.check_directory(to)?;
        let inode = self.find(from)?;
        let target = self.names.get(to).copied();
        if target.is_some() && if_exists == IfExists::Refuse {
            return Err(Kind::Exists);
        }
        if target == Some(inode) {
            return Ok(());
        }
        self.names.remove(from);
        self.names.insert(to.to_owned(), inode);
        if let Some(target) = target {
            let old = self.inodes[target].committed.take();
            let file = &mut self.inodes[inode];
            file.committed = file.committed.take().or(old);
        }
        Ok(())
    }

    pub(super) fn unlink(&mut self, name: &str) -> Result<(), Kind> {
        self.find(name)?;
        self.names.remove(name);
        Ok(())
    }

    pub(super) fn make_directory(&mut self, name: &str) -> Result<(), Kind> {
        if self.directories.insert(name.to_owned()) { Ok(()) } else { Err(Kind::Exists) }
    }

    fn is_empty(&self, directory: &str) -> bool {
        !self.names.keys().any(|name| directory_of(name) == directory)
    }

    fn check_empty(&self, directory: &str) -> Result<(), Kind> {
        if self.is_empty(directory) { Ok(()) } else { Err(Kind::NotEmpty) }
    }

    pub(super) fn remove_directory(&mut self, name: &str) -> Result<(), Kind> {
        if !self.directories.contains(name) {
            return Err(Kind::NotFound);
        }
        self.check_empty(name)?;
        self.directories.remove(name);
        Ok(())
    }

    pub(super) fn rename_directory(&mut self, from: &str, to: &str) -> Result<(), Kind> {
        if !self.directories.contains(from) {
            return Err(Kind::NotFound);
        }
        if from == to {
            return Ok(());
        }
        if self.directories.contains(to) {
            self.check_empty(to)?;
        }
        self.directories.remove(from);
        self.directories.insert(to.to_owned());
        let moved: Vec<_> = self.names.keys().filter(|name| directory_of(name) == from).cloned().collect();
        for name in moved {
            let inode = self.names.remove(&name).expect("it was just there");
            self.names.insert(name.replacen(from, to, 1), inode);
        }
        Ok(())
    }

    pub(super) fn look(&self, name: &str) -> Result<Vec<u8>, Kind> {
        Ok(self.inodes[self.find(name)?].bytes.clone())
    }

    pub(super) fn list(&self, directory: &str) -> Result<Vec<String>, Kind> {
        if !directory.is_empty() && !self.directories.contains(directory) {
            return Err(Kind::NotFound);
        }
        let files = self.names.keys().filter(|name| directory_of(name) == directory);
        let directories = self.directories.iter().filter(|_| directory.is_empty());
        let mut names: Vec<_> = files.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()).collect();
        names.extend(directories.cloned());
        names.sort();
        Ok(names)
    }

    /// Another client writes a file, unless somebody here has more to say about it; whether it does.
    pub(super) fn write_elsewhere(&mut self, name: &str, bytes: &[u8]) -> bool {
        let Ok(inode) = self.find(name) else { return false };
        let file = &mut self.inodes[inode];
        if file.openers > 0 || file.changed {
            return false;
        }
        file.bytes = bytes.to_vec();
        file.committed = Some(bytes.to_vec());
        true
    }

    /// The same for a removal.
    pub(super) fn remove_elsewhere(&mut self, name: &str) -> bool {
        let Ok(inode) = self.find(name) else { return false };
        let file = &self.inodes[inode];
        let does = file.openers == 0 && !file.changed;
        if does {
            self.names.remove(name);
        }
        does
    }

    /// The process dies. The names and bytes of files that were synced and not closed, which are parked; they are taken for
    /// published from then on.
    pub(super) fn die(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut parked = Vec::new();
        let mut names = BTreeMap::new();
        for (name, inode) in std::mem::take(&mut self.names) {
            let file = self.inodes[inode].clone();
            parked.extend(file.synced.clone().map(|bytes| (name.clone(), bytes)));
            let Some(bytes) = file.synced.or(file.committed) else { continue };
            self.inodes.push(Inode { committed: Some(bytes.clone()), bytes, ..Inode::default() });
            names.insert(name, self.inodes.len() - 1);
        }
        self.names = names;
        parked
    }
}
