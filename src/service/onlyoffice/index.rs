//! What is known of the entries of folders: by folder, by name. Portals find entries by id only, so every name goes
//! through a listing; this is the memory of listings, kept up to date with what is done through it. It asks nobody.
//!
//! **Names.** Folders go before files, older entries before newer ones: the first of a name has the name, the others have
//! theirs with their id in it ([`names::with_id`]).
//!
//! **Freshness.** A listing is believed for five times as long as it took: a folder that one request lists is asked for
//! again after a moment, one with a hundred thousand entries is not listed for every file that is looked up in it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::answers::{FileDto, FolderDto, Id, moment, seconds};
use super::names;
use crate::service::{Node, NodeKind};

/// A listing is believed for so many times as long as it took.
const BELIEF_FACTOR: u32 = 5;
/// It is believed at least so long: programs look a name up several times before they make it.
const BELIEF_MIN: Duration = Duration::from_millis(100);
/// It is believed no longer.
const BELIEF_MAX: Duration = Duration::from_secs(30);
/// So old may what is known of a file be before it is asked about by its id.
const FRESH: Duration = Duration::from_secs(1);
/// Folders that are remembered.
const FOLDERS_MAX: NonZeroUsize = NonZeroUsize::new(128).expect("not zero");

/// An entry of a folder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) kind: NodeKind,
    /// As the portal has it.
    pub(super) title: String,
    /// As the mount shows it.
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    pub(super) version: i64,
    /// As the portal wrote it.
    pub(super) updated: String,
    /// Whether anybody has locked it.
    pub(super) locked: bool,
    /// Whether this account may change it, where the portal says so.
    pub(super) may_edit: Option<bool>,
    pub(super) url: Option<String>,
    /// When the portal said so.
    pub(super) asked: Instant,
    /// Equal for titles that a database may take for one ([`names::fold`]).
    fold: u64,
}

impl Entry {
    pub(super) fn of_file(file: FileDto) -> Entry {
        Entry {
            name: names::shown(&file.title).to_owned(),
            fold: fold_of(&file.title),
            id: file.id,
            kind: NodeKind::File,
            title: file.title,
            size: file.pure_content_length.unwrap_or(0),
            version: file.version,
            updated: file.updated,
            locked: file.locked,
            may_edit: file.security.and_then(|security| security.edit),
            url: file.web_url,
            asked: Instant::now(),
        }
    }

    pub(super) fn of_folder(folder: FolderDto) -> Entry {
        Entry {
            name: folder.title.clone(),
            fold: fold_of(&folder.title),
            id: folder.id,
            kind: NodeKind::Directory,
            title: folder.title,
            size: 0,
            version: 0,
            updated: folder.updated,
            locked: false,
            may_edit: None,
            url: None,
            asked: Instant::now(),
        }
    }

    /// What tells this content from any other: a save in place keeps the version, and the database keeps whole seconds.
    pub(super) fn stamp(&self) -> String {
        format!("{}.{}.{}", self.version, seconds(&self.updated), self.size)
    }

    /// As everyone else sees it.
    pub(super) fn node(&self) -> Node {
        let version = match self.kind {
            NodeKind::File => self.stamp(),
            NodeKind::Directory => String::new(),
        };
        Node {
            name: self.name.clone(),
            kind: self.kind,
            size: self.size,
            modified: moment(&self.updated),
            version,
            id: self.id.as_str().to_owned(),
            url: self.url.clone(),
            sha1: None,
            expires: None,
        }
    }

    /// Whether the portal said so a moment ago.
    pub(super) fn is_fresh(&self) -> bool {
        self.asked.elapsed() < FRESH
    }

    /// Folders first, then by age.
    fn rank(&self) -> (bool, (u64, &str)) {
        (self.kind == NodeKind::File, self.id.age())
    }
}

/// A number for a folded title: folders are large, and are gone through for each file.
fn fold_of(title: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    names::fold(title).hash(&mut hasher);
    hasher.finish()
}

/// A change that was made through this mount.
#[derive(Clone, Debug)]
enum Change {
    There(Box<Entry>),
    Gone(NodeKind, Id),
}

/// A folder as it was listed, with what was done since.
#[derive(Debug)]
struct Folder {
    /// By canonical name.
    entries: HashMap<String, Entry>,
    /// The canonical names by id; files and folders are numbered apart.
    keys: HashMap<(NodeKind, Id), String>,
    asked: Instant,
    believed: Duration,
    /// When something happened that makes it doubtful.
    doubted: Option<Instant>,
    /// Whether files may be made in it, where the portal says so.
    may_create: Option<bool>,
    changes: Vec<(Instant, Change)>,
}

impl Folder {
    /// A folder nobody has listed.
    fn unknown() -> Folder {
        let now = Instant::now();
        Folder {
            entries: HashMap::new(),
            keys: HashMap::new(),
            asked: now,
            believed: Duration::ZERO,
            doubted: Some(now),
            may_create: None,
            changes: Vec::new(),
        }
    }

    /// Adds an entry under the name that is free for it; whoever is there first keeps its own.
    fn add(&mut self, mut entry: Entry) {
        if !names::can_be_shown(&entry.title) {
            entry.name = names::with_id(&entry.title, entry.id.as_str());
        }
        let mut key = names::canonical(&entry.name);
        if self.entries.contains_key(&key) {
            entry.name = names::with_id(&entry.title, entry.id.as_str());
            key = names::canonical(&entry.name);
        }
        self.keys.insert((entry.kind, entry.id.clone()), key.clone());
        self.entries.insert(key, entry);
    }

    /// Takes an entry out. A twin that it hid gets the plain name with the next listing.
    fn remove(&mut self, kind: NodeKind, id: &Id) {
        if let Some(key) = self.keys.remove(&(kind, id.clone())) {
            self.entries.remove(&key);
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::There(entry) => {
                self.remove(entry.kind, &entry.id);
                self.add(entry.as_ref().clone());
            }
            Change::Gone(kind, id) => self.remove(*kind, id),
        }
    }

    fn find(&self, key: &str) -> Found {
        self.entries.get(key).map_or(Found::Nothing, |entry| Found::Entry(Box::new(entry.clone())))
    }

    fn is_believed(&self, now: Instant) -> bool {
        self.doubted.is_none() && now.duration_since(self.asked) < self.believed
    }
}

/// What a name is found to be.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// It is this.
    Entry(Box<Entry>),
    /// There is no such name.
    Nothing,
    /// The folder has to be listed.
    Unknown,
}

/// The folders of a remote. See the module.
pub(super) struct Index(Mutex<LruCache<Id, Folder>>);

impl Default for Index {
    fn default() -> Self {
        Index(Mutex::new(LruCache::new(FOLDERS_MAX)))
    }
}

impl Index {
    fn folders(&self) -> MutexGuard<'_, LruCache<Id, Folder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a complete listing that was asked for at `asked`. What was changed since then stays changed.
    pub(super) fn listed(&self, id: &Id, mut entries: Vec<Entry>, may_create: Option<bool>, asked: Instant) {
        entries.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let believed = (asked.elapsed() * BELIEF_FACTOR).clamp(BELIEF_MIN, BELIEF_MAX);
        let mut folders = self.folders();
        let known = folders.pop(id);
        // A doubt that arose meanwhile is about this listing as well.
        let doubted = known.as_ref().and_then(|known| known.doubted).filter(|at| *at > asked);
        let mut changes = known.map(|known| known.changes).unwrap_or_default();
        changes.retain(|(at, _)| *at >= asked);
        let mut folder = Folder {
            entries: HashMap::with_capacity(entries.len()),
            keys: HashMap::with_capacity(entries.len()),
            asked,
            believed,
            doubted,
            may_create,
            changes: Vec::new(),
        };
        entries.into_iter().for_each(|entry| folder.add(entry));
        for (_, change) in &changes {
            folder.apply(change);
        }
        folder.changes = changes;
        folders.put(id.clone(), folder);
    }

    /// The entry of this canonical name in a folder.
    pub(super) fn find(&self, folder: &Id, key: &str) -> Found {
        match self.folders().get(folder).filter(|known| known.is_believed(Instant::now())) {
            Some(known) => known.find(key),
            None => Found::Unknown,
        }
    }

    /// The same by the last listing, whatever its age: for whoever has just asked for it.
    pub(super) fn find_listed(&self, folder: &Id, key: &str) -> Found {
        self.folders().get(folder).map_or(Found::Unknown, |known| known.find(key))
    }

    /// Whether a folder was listed after `moment`.
    pub(super) fn is_listed_since(&self, folder: &Id, moment: Instant) -> bool {
        // One that began at the very moment may have been answered before it.
        self.folders().get(folder).is_some_and(|known| known.doubted.is_none() && known.asked > moment)
    }

    /// The folder of this canonical name in a folder, however old the listing is: folders seldom move.
    pub(super) fn subfolder(&self, folder: &Id, key: &str, age_max: Duration) -> Option<Id> {
        let mut folders = self.folders();
        let known = folders.get(folder).filter(|known| known.doubted.is_none() && known.asked.elapsed() < age_max)?;
        let entry = known.entries.get(key).filter(|entry| entry.kind == NodeKind::Directory)?;
        Some(entry.id.clone())
    }

    /// All entries of a folder, if its listing is believed.
    pub(super) fn entries(&self, folder: &Id) -> Option<Vec<Entry>> {
        let mut folders = self.folders();
        let known = folders.get(folder).filter(|known| known.is_believed(Instant::now()))?;
        Some(known.entries.values().cloned().collect())
    }

    /// All entries of a folder by its last listing, whatever its age; `None` when none is remembered.
    pub(super) fn entries_listed(&self, folder: &Id) -> Option<Vec<Entry>> {
        let mut folders = self.folders();
        let known = folders.get(folder).filter(|known| known.believed > Duration::ZERO)?;
        Some(known.entries.values().cloned().collect())
    }

    /// Whether a folder has so many entries that its listing is believed for long.
    pub(super) fn is_large(&self, folder: &Id) -> bool {
        self.folders().get(folder).is_some_and(|known| known.believed > FRESH)
    }

    /// The files of a folder, as far as they are known, that have `title`, or it with a number: portals number what they
    /// take for taken.
    pub(super) fn could_be(&self, folder: &Id, title: &str) -> Vec<Entry> {
        let mut folders = self.folders();
        let Some(known) = folders.get(folder) else { return Vec::new() };
        let (wanted, folded) = (fold_of(title), names::fold(title));
        let files = known.entries.values().filter(|entry| entry.kind == NodeKind::File);
        let could_be = |entry: &&Entry| {
            (entry.fold == wanted && names::fold(&entry.title) == folded) || names::is_numbered(&entry.title, title)
        };
        files.filter(could_be).cloned().collect()
    }

    /// The files of a folder, as far as they are known, whose titles a database may take for `title`.
    pub(super) fn alike(&self, folder: &Id, title: &str) -> Vec<Entry> {
        let (wanted, folded) = (fold_of(title), names::fold(title));
        let mut folders = self.folders();
        let Some(known) = folders.get(folder) else { return Vec::new() };
        let files = known.entries.values().filter(|entry| entry.kind == NodeKind::File);
        let alike = files.filter(|entry| entry.fold == wanted && names::fold(&entry.title) == folded);
        alike.cloned().collect()
    }

    /// Whether files may be made in a folder, where the portal says so.
    pub(super) fn may_create(&self, folder: &Id) -> Option<bool> {
        self.folders().get(folder)?.may_create
    }

    /// An entry was made or changed in a folder.
    pub(super) fn there(&self, folder: &Id, entry: Entry) {
        self.change(folder, Change::There(Box::new(entry)));
    }

    /// An entry is not in a folder any more.
    pub(super) fn gone(&self, folder: &Id, kind: NodeKind, entry: &Id) {
        self.change(folder, Change::Gone(kind, entry.clone()));
    }

    fn change(&self, folder: &Id, change: Change) {
        let mut folders = self.folders();
        // Also while it is listed for the first time, or after everything was doubted: the listing must not undo this.
        let known = folders.get_or_insert_mut(folder.clone(), Folder::unknown);
        known.apply(&change);
        let now = Instant::now();
        // A listing takes no longer than it is believed.
        known.changes.retain(|(at, _)| now.duration_since(*at) < BELIEF_MAX);
        known.changes.push((now, change));
    }

    /// What was known of a folder is doubtful.
    pub(super) fn forget(&self, folder: &Id) {
        if let Some(known) = self.folders().get_mut(folder) {
            known.doubted = Some(Instant::now());
        }
    }

    /// Everything that was known is doubtful.
    pub(super) fn forget_all(&self) {
        let now = Instant::now();
        self.folders().iter_mut().for_each(|(_, known)| known.doubted = Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: u32, title: &str) -> Entry {
        let dto = serde_json::json!({"id": id, "title": title, "version": 1, "pureContentLength": 5});
        Entry::of_file(serde_json::from_value(dto).unwrap())
    }

    fn folder(id: u32, title: &str) -> Entry {
        Entry::of_folder(serde_json::from_value(serde_json::json!({"id": id, "title": title})).unwrap())
    }

    fn names(index: &Index, id: &Id) -> Vec<String> {
        let mut names: Vec<String> = index.entries_listed(id).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    fn index(entries: Vec<Entry>) -> (Index, Id) {
        let (index, id) = (Index::default(), Id::new("1"));
        index.listed(&id, entries, None, Instant::now());
        (index, id)
    }

    fn id_of(index: &Index, folder: &Id, key: &str) -> Option<String> {
        match index.find(folder, key) {
            Found::Entry(entry) => Some(entry.id.as_str().to_owned()),
            Found::Nothing | Found::Unknown => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_a_name_has_it() {
        let (index, id) = index(vec![file(30, "a.txt"), file(9, "a.txt"), file(10, "A.TXT"), file(11, "a.TXT")]);
        assert_eq!(names(&index, &id), ["A.TXT", "a (id 11).TXT", "a (id 30).txt", "a.txt"]);
        assert_eq!(id_of(&index, &id, "a.txt").unwrap(), "9");
        assert_eq!(id_of(&index, &id, "A.txt").unwrap(), "10");
        assert_eq!(id_of(&index, &id, &names::canonical("a (id 11).TXT")).unwrap(), "11");
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_goes_before_a_file() {
        let (index, id) = index(vec![file(3, "README."), folder(5, "README")]);
        assert_eq!(names(&index, &id), ["README", "README (id 3)"]);
        assert_eq!(index.subfolder(&id, "README", BELIEF_MAX), Some(Id::new("5")));
    }

    #[tokio::test(start_paused = true)]
    async fn titles_that_are_no_names_can_be_reached() {
        let (index, id) = index(vec![folder(3, ".."), folder(4, "a/b"), file(5, &format!("{}.docx", "я".repeat(165)))]);
        let names = names(&index, &id);
        assert_eq!(&names[..2], [". (id 3).", "a_b (id 4)"]);
        assert!(names[2].ends_with("(id 5).docx"), "{names:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_ages() {
        let (index, id) = (Index::default(), Id::new("1"));
        assert!(matches!(index.find(&id, "a.txt"), Found::Unknown));
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        index.listed(&id, vec![file(1, "a.txt"), folder(2, "d")], None, asked);
        assert!(matches!(index.find(&id, "b.txt"), Found::Nothing));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(matches!(index.find(&id, "b.txt"), Found::Unknown), "five times as long as it took");
        assert!(index.subfolder(&id, "d", Duration::from_secs(20)).is_some());
        assert!(index.subfolder(&id, "a.txt", Duration::from_secs(20)).is_none(), "a file is no folder");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_while_a_listing_was_on_its_way_counts() {
        let (index, id) = index(vec![file(1, "old.txt"), file(2, "kept.txt")]);
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        index.there(&id, file(3, "new.txt"));
        index.gone(&id, NodeKind::File, &Id::new("1"));
        assert_eq!(names(&index, &id), ["kept.txt", "new.txt"]);
        index.listed(&id, vec![file(1, "old.txt"), file(2, "kept.txt")], None, asked);
        assert_eq!(names(&index, &id), ["kept.txt", "new.txt"]);
        tokio::time::advance(Duration::from_secs(1)).await;
        index.listed(&id, vec![file(1, "old.txt")], None, Instant::now());
        assert_eq!(names(&index, &id), ["old.txt"], "a later listing knows better");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_before_anything_was_known_counts_too() {
        let (index, id) = (Index::default(), Id::new("1"));
        let asked = Instant::now();
        index.there(&id, file(3, "new.txt"));
        assert!(index.entries_listed(&id).is_none(), "one entry is no listing");
        assert!(matches!(index.find(&id, "new.txt"), Found::Unknown));
        index.listed(&id, Vec::new(), None, asked);
        assert_eq!(names(&index, &id), ["new.txt"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_doubt_outlives_the_listing_that_was_on_its_way() {
        let (index, id) = index(vec![file(1, "a.txt")]);
        let asked = Instant::now();
        tokio::time::advance(Duration::from_millis(10)).await;
        index.forget_all();
        index.listed(&id, vec![file(1, "a.txt")], None, asked);
        assert!(matches!(index.find(&id, "a.txt"), Found::Unknown));
        index.listed(&id, vec![file(1, "a.txt")], None, Instant::now());
        assert!(matches!(index.find(&id, "a.txt"), Found::Entry(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_entry_replaces_itself() {
        let (index, id) = index(vec![file(1, "a.txt")]);
        index.there(&id, Entry { size: 9, version: 2, ..file(1, "b.txt") });
        assert_eq!(names(&index, &id), ["b.txt"]);
        let Found::Entry(entry) = index.find(&id, "b.txt") else { panic!("lost") };
        assert_eq!((entry.size, entry.version), (9, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn databases_take_more_for_one_than_programs_do() {
        let (index, id) =
            index(vec![file(1, "Élan.txt"), file(2, "elan.TXT"), file(3, "elans.txt"), folder(4, "elan.txt")]);
        let mut alike: Vec<String> = index.alike(&id, "ELAN.txt").into_iter().map(|entry| entry.title).collect();
        alike.sort();
        assert_eq!(alike, ["elan.TXT", "Élan.txt"]);
    }
}
