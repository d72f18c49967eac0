//! Folders and files as the portal's database has them: numbered, titled, with versions. Titles are not unique; where
//! one is looked up, the oldest wins.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::config::Collation;
use super::titles;
use crate::portal::journal::Journal;
use crate::portal::store::Content;

/// The sections that every user has. Their numbers are fixed; real portals have any.
pub(super) const MY: u64 = 1;
pub(super) const TRASH: u64 = 2;
pub(super) const COMMON: u64 = 3;
pub(super) const SHARE: u64 = 4;
pub(super) const PROJECTS: u64 = 5;
pub(super) const RECENT: u64 = 6;
pub(super) const FAVORITES: u64 = 7;
pub(super) const TEMPLATES: u64 = 8;
pub(super) const PRIVACY: u64 = 9;
pub(super) const ROOMS: u64 = 10;

/// Number, name in addresses, title, and the number of its kind.
pub(super) const SECTIONS: [(u64, &str, &str, u8); 10] = [
    (MY, "@my", "My documents", 5),
    (TRASH, "@trash", "Trash", 3),
    (COMMON, "@common", "Common", 1),
    (SHARE, "@share", "Shared with me", 6),
    (PROJECTS, "@projects", "In projects", 8),
    (RECENT, "@recent", "Recent", 11),
    (FAVORITES, "@favorites", "Favorites", 10),
    (TEMPLATES, "@templates", "Templates", 12),
    (PRIVACY, "@privacy", "Private Room", 13),
    (ROOMS, "@rooms", "Rooms", 14),
];

/// The first number of an entry that somebody made.
const FIRST_ID: u64 = 100;

/// A folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Folder {
    pub(super) id: u64,
    /// 0 for a section.
    pub(super) parent: u64,
    pub(super) title: String,
    pub(super) created: OffsetDateTime,
    pub(super) updated: OffsetDateTime,
}

/// The content of a file at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Revision {
    pub(super) version: u32,
    /// The size that the database has. It can differ from that of the content.
    pub(super) bytes: u64,
    pub(super) content: Content,
    pub(super) updated: OffsetDateTime,
    /// Who made it: the user's name. Nobody where a stranger may upload.
    pub(super) by: Option<String>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) id: u64,
    pub(super) folder: u64,
    pub(super) title: String,
    pub(super) created: OffsetDateTime,
    /// Who has locked it: the user's name.
    pub(super) locked_by: Option<String>,
    pub(super) encrypted: bool,
    /// The oldest first; never empty.
    pub(super) revisions: Vec<Revision>,
}

impl File {
    pub(super) fn current(&self) -> &Revision {
        self.revisions.last().expect("a file has a version")
    }

    pub(super) fn revision(&self, version: u32) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.version == version)
    }
}

/// All folders and files.
#[derive(Debug, Default)]
pub(super) struct Tree {
    folders: BTreeMap<u64, Folder>,
    files: BTreeMap<u64, File>,
    folders_in: HashMap<u64, BTreeSet<u64>>,
    files_in: HashMap<u64, BTreeSet<u64>>,
    last_id: u64,
}

impl Tree {
    /// The sections, and nothing in them.
    pub(super) fn new(now: OffsetDateTime) -> Tree {
        let mut tree = Tree { last_id: FIRST_ID - 1, ..Tree::default() };
        for (id, _, title, _) in SECTIONS {
            tree.insert_folder(Folder { id, parent: 0, title: title.into(), created: now, updated: now });
        }
        tree
    }

    /// Notes the sections, so that they look the same after a restart.
    pub(super) fn keep_sections(&self, journal: &mut Journal) {
        self.folders_in(0).for_each(|folder| journal.put(folder_key(folder.id), folder));
    }

    /// A folder from the disk.
    pub(super) fn insert_folder(&mut self, folder: Folder) {
        self.last_id = self.last_id.max(folder.id);
        self.folders_in.entry(folder.parent).or_default().insert(folder.id);
        self.folders.insert(folder.id, folder);
    }

    /// A file from the disk.
    pub(super) fn insert_file(&mut self, file: File) {
        self.last_id = self.last_id.max(file.id);
        self.files_in.entry(file.folder).or_default().insert(file.id);
        self.files.insert(file.id, file);
    }

    /// Numbers up to this one were used, by entries that are gone.
    pub(super) fn skip_ids(&mut self, last_id: u64) {
        self.last_id = self.last_id.max(last_id);
    }

    pub(super) fn next_id(&mut self, journal: &mut Journal) -> u64 {
        self.last_id += 1;
        journal.put(LAST_ID_KEY.to_owned(), &self.last_id);
        self.last_id
    }

    pub(super) fn folder(&self, id: u64) -> Option<&Folder> {
        self.folders.get(&id)
    }

    pub(super) fn file(&self, id: u64) -> Option<&File> {
        self.files.get(&id)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values()
    }

    pub(super) fn folders_in(&self, folder: u64) -> impl Iterator<Item = &Folder> {
        self.folders_in.get(&folder).into_iter().flatten().filter_map(|id| self.folders.get(id))
    }

    pub(super) fn files_in(&self, folder: u64) -> impl Iterator<Item = &File> {
        self.files_in.get(&folder).into_iter().flatten().filter_map(|id| self.files.get(id))
    }

    /// The oldest file of this title in a folder.
    pub(super) fn file_titled(&self, folder: u64, title: &str, collation: Collation) -> Option<&File> {
        self.files_in(folder).find(|file| titles::same(&file.title, title, collation))
    }

    /// The oldest folder of this title in a folder.
    pub(super) fn folder_titled(&self, parent: u64, title: &str, collation: Collation) -> Option<&Folder> {
        self.folders_in(parent).find(|folder| titles::same(&folder.title, title, collation))
    }

    /// The folders from the section down to `id`, both included; empty where there is no such folder.
    pub(super) fn path(&self, id: u64) -> Vec<&Folder> {
        let mut path: Vec<&Folder> =
            std::iter::successors(self.folder(id), |folder| self.folder(folder.parent)).collect();
        path.reverse();
        path
    }

    /// The titles on the way to a folder, each with a slash before it.
    pub(super) fn path_text(&self, id: u64) -> String {
        self.path(id).iter().map(|folder| format!("/{}", folder.title)).collect()
    }

    /// The section that `id` lies in.
    pub(super) fn section(&self, id: u64) -> u64 {
        self.path(id).first().map_or(0, |folder| folder.id)
    }

    /// Makes a folder.
    pub(super) fn make_folder(&mut self, parent: u64, title: &str, now: OffsetDateTime, journal: &mut Journal) -> u64 {
        let id = self.next_id(journal);
        let folder = Folder { id, parent, title: title.to_owned(), created: now, updated: now };
        journal.put(folder_key(id), &folder);
        self.insert_folder(folder);
        id
    }

    /// Adds a new file, whose content the caller holds already.
    pub(super) fn add_file(&mut self, file: File, journal: &mut Journal) {
        journal.put(file_key(file.id), &file);
        self.insert_file(file);
    }

    /// Changes a folder, its place too.
    pub(super) fn change_folder(&mut self, id: u64, journal: &mut Journal, change: impl FnOnce(&mut Folder)) {
        let Some(mut folder) = self.folders.remove(&id) else { return };
        if let Some(siblings) = self.folders_in.get_mut(&folder.parent) {
            siblings.remove(&id);
        }
        change(&mut folder);
        journal.put(folder_key(id), &folder);
        self.insert_folder(folder);
    }

    /// Changes a file, its place too.
    pub(super) fn change_file(&mut self, id: u64, journal: &mut Journal, change: impl FnOnce(&mut File, &mut Journal)) {
        let Some(mut file) = self.files.remove(&id) else { return };
        if let Some(siblings) = self.files_in.get_mut(&file.folder) {
            siblings.remove(&id);
        }
        change(&mut file, journal);
        journal.put(file_key(id), &file);
        self.insert_file(file);
    }

    /// Removes a file for ever.
    pub(super) fn remove_file(&mut self, id: u64, journal: &mut Journal) {
        let Some(file) = self.files.remove(&id) else { return };
        if let Some(siblings) = self.files_in.get_mut(&file.folder) {
            siblings.remove(&id);
        }
        file.revisions.iter().for_each(|revision| journal.release(&revision.content));
        journal.remove(file_key(id));
    }

    /// Removes a folder for ever, with everything in it.
    pub(super) fn remove_folder(&mut self, id: u64, journal: &mut Journal) {
        let files: Vec<u64> = self.files_in(id).map(|file| file.id).collect();
        let folders: Vec<u64> = self.folders_in(id).map(|folder| folder.id).collect();
        files.into_iter().for_each(|file| self.remove_file(file, journal));
        folders.into_iter().for_each(|folder| self.remove_folder(folder, journal));
        if let Some(folder) = self.folders.remove(&id) {
            if let Some(siblings) = self.folders_in.get_mut(&folder.parent) {
                siblings.remove(&id);
            }
            journal.remove(folder_key(id));
        }
    }

    /// The bytes of all versions of all files, as the quota counts them.
    pub(super) fn used_bytes(&self) -> u64 {
        self.files().flat_map(|file| &file.revisions).map(|revision| revision.bytes).sum()
    }
}

/// The record of the last number.
pub(super) const LAST_ID_KEY: &str = "last_id";
/// What the records of folders begin with.
pub(super) const FOLDER_PREFIX: &str = "folder/";
/// What the records of files begin with.
pub(super) const FILE_PREFIX: &str = "file/";

fn folder_key(id: u64) -> String {
    format!("{FOLDER_PREFIX}{id}")
}

fn file_key(id: u64) -> String {
    format!("{FILE_PREFIX}{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::store::Segment;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn file(tree: &mut Tree, folder: u64, title: &str, journal: &mut Journal) -> u64 {
        let id = tree.next_id(journal);
        let content = Content(vec![Segment { blob: id, bytes: 3 }]);
        journal.hold(&content);
        let revisions = vec![Revision { version: 1, bytes: 3, content, updated: NOW, by: None }];
        let file = File { id, folder, title: title.into(), created: NOW, locked_by: None, encrypted: false, revisions };
        tree.add_file(file, journal);
        id
    }

    #[test]
    fn the_oldest_of_a_title_is_found() {
        let (mut tree, mut journal) = (Tree::new(NOW), Journal::default());
        let first = file(&mut tree, MY, "A.bin", &mut journal);
        let second = file(&mut tree, MY, "a.bin", &mut journal);
        let found = |tree: &Tree, collation| tree.file_titled(MY, "a.bin", collation).map(|file| file.id);
        assert_eq!(found(&tree, Collation::Mysql), Some(first));
        assert_eq!(found(&tree, Collation::Postgres), Some(second));
        tree.change_file(first, &mut journal, |file, _| file.folder = TRASH);
        assert_eq!(found(&tree, Collation::Mysql), Some(second));
        assert_eq!((tree.files_in(TRASH).count(), tree.section(TRASH)), (1, TRASH));
    }

    #[test]
    fn a_folder_goes_with_what_is_in_it() {
        let (mut tree, mut journal) = (Tree::new(NOW), Journal::default());
        let outer = tree.make_folder(MY, "outer", NOW, &mut journal);
        let inner = tree.make_folder(outer, "inner", NOW, &mut journal);
        let lost = file(&mut tree, inner, "x", &mut journal);
        let path: Vec<u64> = tree.path(inner).iter().map(|folder| folder.id).collect();
        assert_eq!((path, tree.used_bytes()), (vec![MY, outer, inner], 3));
        tree.remove_folder(outer, &mut journal);
        assert!(tree.folder(inner).is_none() && tree.file(lost).is_none());
        assert_eq!(journal.take().1, [lost]);
        assert!(tree.path(inner).is_empty());
        assert!(tree.next_id(&mut journal) > lost, "numbers are not used again");
    }
}
