//! What is known of the files of the folder. The service finds files by id only, so every name goes through a listing of
//! everything; this is the memory of the last one, kept up to date with what is done through it. It asks nobody.
//!
//! **Names.** Of the files of one name the newest has it; the others, files whose name is a directory, and those whose name
//! is no path are shown with their id ([`names::with_id`]).
//!
//! **Directories** are there as long as a file is below them, and, as far as this mount is concerned, since somebody made
//! them, opened a file in them, or took one out, until somebody removes them: nothing on the service stands for them.
//!
//! **Freshness.** A listing is believed for five times as long as it took.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::answers::Stored;
use super::names::{self, Place};
use crate::path::RemotePath;
use crate::service::twins;

/// A listing is believed for so many times as long as it took.
const BELIEF_FACTOR: u32 = 5;
/// It is believed at least so long: programs look a name up several times before they make it.
const BELIEF_MIN: Duration = Duration::from_millis(100);
/// It is believed no longer.
const BELIEF_MAX: Duration = Duration::from_secs(30);

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file.
    File(Arc<Stored>),
    /// A directory, and when anything was last made in it.
    Directory(SystemTime),
}

/// A change that was made through this mount.
#[derive(Clone, Debug)]
enum Change {
    There(Box<Stored>),
    Gone(String),
}

/// The catalog of a remote. See the module.
pub(super) struct Catalog {
    /// The directory that is mounted.
    root: RemotePath,
    state: Mutex<State>,
}

/// A directory, by what is below it.
#[derive(Clone, Copy, Debug)]
struct Below {
    /// Files and made directories, at any depth.
    count: usize,
    newest: SystemTime,
}

#[derive(Default)]
struct State {
    files: HashMap<String, Arc<Stored>>,
    /// By path, the newest first.
    by_path: HashMap<String, Vec<Arc<Stored>>>,
    below: HashMap<String, Below>,
    /// Directories that stay without files.
    made: HashMap<String, SystemTime>,
    /// When the last complete listing was asked for, and for how long it is believed.
    listed: Option<(Instant, Duration)>,
    changes: Vec<(Instant, Change)>,
    /// Files in the whole folder, mounted or not.
    total: usize,
}

impl Catalog {
    /// Nothing is known; `root` is the directory that is mounted.
    pub(super) fn new(root: RemotePath) -> Catalog {
        Catalog { root, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name on the service of what stands at `path`.
    pub(super) fn stored_name(&self, path: &RemotePath) -> String {
        names::stored(&self.root, path)
    }

    /// The directory that is mounted.
    pub(super) fn root(&self) -> &RemotePath {
        &self.root
    }

    /// Takes a complete listing that was asked for at `asked`. What was changed since then stays changed.
    pub(super) fn listed(&self, files: Vec<Stored>, asked: Instant) {
        let believed = (asked.elapsed() * BELIEF_FACTOR).clamp(BELIEF_MIN, BELIEF_MAX);
        let mut state = self.state();
        let mut fresh = State { total: files.len(), listed: Some((asked, believed)), ..State::default() };
        for (path, since) in std::mem::take(&mut state.made) {
            fresh.keep(&path, since);
        }
        for file in files {
            fresh.add(&self.root, file);
        }
        let mut changes = std::mem::take(&mut state.changes);
        changes.retain(|(at, _)| *at >= asked);
        for (_, change) in &changes {
            fresh.apply(&self.root, change.clone());
        }
        fresh.changes = changes;
        *state = fresh;
    }

    /// Whether what is known is fresh enough to be told.
    pub(super) fn is_believed(&self) -> bool {
        self.state().listed.is_some_and(|(asked, believed)| asked.elapsed() < believed)
    }

    /// Whether the last listing was asked for after `moment`.
    pub(super) fn is_listed_since(&self, moment: Instant) -> bool {
        self.state().listed.is_some_and(|(asked, _)| asked > moment)
    }

    /// The last listing is not to be believed any more.
    pub(super) fn doubt(&self) {
        if let Some((_, believed)) = &mut self.state().listed {
            *believed = Duration::ZERO;
        }
    }

    /// A file is there, or is now like this.
    pub(super) fn there(&self, file: Stored) {
        self.change(Change::There(Box::new(file)));
    }

    /// A file is gone.
    pub(super) fn gone(&self, id: &str) {
        self.change(Change::Gone(id.to_owned()));
    }

    fn change(&self, change: Change) {
        let mut state = self.state();
        state.apply(&self.root, change.clone());
        // Only a listing under way needs them, and none takes longer than this.
        state.changes.retain(|(at, _)| at.elapsed() < Duration::from_secs(600));
        state.changes.push((Instant::now(), change));
    }

    /// A directory is there, whether anything is in it or not.
    pub(super) fn keep(&self, path: &RemotePath) {
        self.state().keep(path.as_str(), SystemTime::now());
    }

    /// A directory is there only if something is in it.
    pub(super) fn let_go(&self, path: &RemotePath) {
        self.state().let_go(path.as_str());
    }

    /// What stands at `path`.
    pub(super) fn find(&self, path: &RemotePath) -> Option<Found> {
        self.state().find(&self.root, path)
    }

    /// All files of exactly this path, the newest first.
    pub(super) fn twins(&self, path: &RemotePath) -> Vec<Arc<Stored>> {
        self.state().by_path.get(path.as_str()).cloned().unwrap_or_default()
    }

    /// What is in the directory `path`, by name.
    pub(super) fn children(&self, path: &RemotePath) -> Vec<(String, Found)> {
        let state = self.state();
        let mut children = Vec::new();
        for file in state.files.values() {
            let Some(shown) = state.shown(&self.root, file) else { continue };
            if let Some(name) = name_in(path.as_str(), shown.as_str()) {
                children.push((name.to_owned(), Found::File(file.clone())));
            }
        }
        for directory in state.below.keys().chain(state.made.keys().filter(|made| !state.below.contains_key(*made))) {
            if let Some(name) = name_in(path.as_str(), directory) {
                children.push((name.to_owned(), Found::Directory(state.newest(directory))));
            }
        }
        children.sort_by(|a, b| a.0.cmp(&b.0));
        children
    }

    /// Whether nothing is in the directory `path`.
    pub(super) fn is_empty(&self, path: &RemotePath) -> bool {
        !self.state().below.contains_key(path.as_str())
    }

    /// All files below the directory `path`, with their paths; and the directories that somebody made there.
    pub(super) fn below(&self, path: &RemotePath) -> (Vec<(RemotePath, Arc<Stored>)>, Vec<RemotePath>) {
        let state = self.state();
        let start = format!("{}/", path.as_str());
        let parse = |text: &str| RemotePath::parse(text).ok().filter(|_| text.starts_with(&start));
        let files = state.by_path.iter().filter_map(|(at, files)| Some((parse(at)?, files)));
        let files = files.flat_map(|(at, files)| files.iter().map(move |file| (at.clone(), file.clone()))).collect();
        (files, state.made.keys().filter_map(|made| parse(made)).collect())
    }

    /// All files of the mount.
    pub(super) fn files(&self) -> Vec<Arc<Stored>> {
        self.state().files.values().cloned().collect()
    }

    /// How many files the whole folder has, mounted or not.
    pub(super) fn total(&self) -> usize {
        self.state().total
    }
}

impl State {
    fn apply(&mut self, root: &RemotePath, change: Change) {
        match change {
            Change::There(file) => {
                self.remove(root, &file.id);
                self.add(root, *file);
            }
            Change::Gone(id) => self.remove(root, &id),
        }
    }

    fn add(&mut self, root: &RemotePath, file: Stored) {
        let place = names::place(root, &file.name);
        if place == Place::Elsewhere {
            return;
        }
        let file = Arc::new(file);
        if let Some(other) = self.files.insert(file.id.clone(), file.clone()) {
            debug_assert_eq!(other.id, file.id, "a file is added once");
        }
        let Place::At(path) = place else { return };
        let twins = self.by_path.entry(path.as_str().to_owned()).or_default();
        let at = twins.iter().position(|other| file.is_newer_than(other)).unwrap_or(twins.len());
        twins.insert(at, file.clone());
        self.count(path.as_str(), file.created);
    }

    fn remove(&mut self, root: &RemotePath, id: &str) {
        let Some(file) = self.files.remove(id) else { return };
        let Place::At(path) = names::place(root, &file.name) else { return };
        if let Some(twins) = self.by_path.get_mut(path.as_str()) {
            twins.retain(|other| other.id != id);
            if twins.is_empty() {
                self.by_path.remove(path.as_str());
            }
        }
        self.uncount(path.as_str());
    }

    fn keep(&mut self, path: &str, since: SystemTime) {
        if !path.is_empty() && self.made.insert(path.to_owned(), since).is_none() {
            self.count(path, since);
        }
    }

    fn let_go(&mut self, path: &str) {
        if self.made.remove(path).is_some() {
            self.uncount(path);
        }
    }

    /// Something is at `path`: every directory above it has one more.
    fn count(&mut self, path: &str, when: SystemTime) {
        for directory in above(path) {
            let below = self.below.entry(directory.to_owned()).or_insert(Below { count: 0, newest: when });
            below.count += 1;
            below.newest = below.newest.max(when);
        }
        // The root holds everything, and is never asked about by name.
        let below = self.below.entry(String::new()).or_insert(Below { count: 0, newest: when });
        below.count += 1;
        below.newest = below.newest.max(when);
    }

    fn uncount(&mut self, path: &str) {
        for directory in above(path).chain(std::iter::once("")) {
            if let Some(below) = self.below.get_mut(directory) {
                below.count -= 1;
                if below.count == 0 {
                    self.below.remove(directory);
                }
            }
        }
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.below.contains_key(path) || self.made.contains_key(path)
    }

    fn newest(&self, directory: &str) -> SystemTime {
        let below = self.below.get(directory).map(|below| below.newest);
        below.max(self.made.get(directory).copied()).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Where a file is shown.
    fn shown(&self, root: &RemotePath, file: &Stored) -> Option<RemotePath> {
        match names::place(root, &file.name) {
            Place::Elsewhere => None,
            Place::Odd => Some(RemotePath::root().join(&names::with_id(&file.name, &file.id))),
            Place::At(path) => {
                let is_first = self.by_path.get(path.as_str()).and_then(|twins| twins.first());
                if is_first.is_some_and(|first| first.id == file.id) && !self.is_directory(path.as_str()) {
                    return Some(path);
                }
                Some(path.parent()?.join(&names::with_id(path.name(), &file.id)))
            }
        }
    }

    fn find(&self, root: &RemotePath, path: &RemotePath) -> Option<Found> {
        if self.is_directory(path.as_str()) {
            return Some(Found::Directory(self.newest(path.as_str())));
        }
        if let Some(first) = self.by_path.get(path.as_str()).and_then(|twins| twins.first()) {
            return Some(Found::File(first.clone()));
        }
        let file = self.files.get(twins::id_in(path.name())?)?;
        (self.shown(root, file).as_ref() == Some(path)).then(|| Found::File(file.clone()))
    }
}

/// The directories above `path`, the root left out.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// The name of `path` if it stands in `directory` itself.
fn name_in<'a>(directory: &str, path: &'a str) -> Option<&'a str> {
    let rest = match directory {
        "" => path,
        _ => path.strip_prefix(directory)?.strip_prefix('/')?,
    };
    (!rest.is_empty() && !rest.contains('/')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RemotePath {
        RemotePath::parse(text).unwrap()
    }

    fn file(id: &str, name: &str, second: u64) -> Stored {
        Stored {
            id: id.to_owned(),
            name: name.to_owned(),
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
            order: 0,
            expires: None,
            ttl_days: None,
            size: Some(1),
            upload: None,
        }
    }

    fn catalog(root: &str, files: &[(&str, &str, u64)]) -> Catalog {
        let catalog = Catalog::new(path(root));
        let files = files.iter().map(|(id, name, second)| file(id, name, *second)).collect();
        catalog.listed(files, Instant::now());
        catalog
    }

    fn id_at(catalog: &Catalog, at: &str) -> Option<String> {
        match catalog.find(&path(at))? {
            Found::File(file) => Some(file.id.clone()),
            Found::Directory(_) => Some("directory".to_owned()),
        }
    }

    fn names(catalog: &Catalog, at: &str) -> Vec<String> {
        let children = catalog.children(&path(at));
        for (name, found) in &children {
            assert_eq!(catalog.find(&path(at).join(name)).as_ref(), Some(found), "what is listed can be found: {name}");
        }
        children.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn slashes_are_directories() {
        let catalog = catalog("", &[("f1", "a/b/c.txt", 1), ("f2", "a/d.txt", 2), ("f3", "e.txt", 3)]);
        assert_eq!(names(&catalog, ""), ["a", "e.txt"]);
        assert_eq!(names(&catalog, "a"), ["b", "d.txt"]);
        assert_eq!(names(&catalog, "a/b"), ["c.txt"]);
        assert_eq!(id_at(&catalog, "a/b").as_deref(), Some("directory"));
        assert_eq!(id_at(&catalog, "a/b/c.txt").as_deref(), Some("f1"));
        assert_eq!(id_at(&catalog, "a/x"), None);
        assert!(!catalog.is_empty(&path("a")));
    }

    #[test]
    fn the_newest_of_a_name_has_it_and_the_others_have_ids() {
        let catalog = catalog("", &[("f1", "a.txt", 1), ("f3", "a.txt", 3), ("f2", "a.txt", 2)]);
        assert_eq!(names(&catalog, ""), ["a (id f1).txt", "a (id f2).txt", "a.txt"]);
        assert_eq!(id_at(&catalog, "a.txt").as_deref(), Some("f3"));
        assert_eq!(id_at(&catalog, "a (id f1).txt").as_deref(), Some("f1"));
        assert_eq!(id_at(&catalog, "a (id f3).txt"), None, "one name for each file");
        catalog.gone("f3");
        assert_eq!(names(&catalog, ""), ["a (id f1).txt", "a.txt"]);
        assert_eq!(id_at(&catalog, "a.txt").as_deref(), Some("f2"));
    }

    #[test]
    fn a_file_that_is_named_like_a_directory_gives_way() {
        let catalog = catalog("", &[("f1", "a", 9), ("f2", "a/b", 1), ("f3", "", 1), ("f4", "/x", 1)]);
        assert_eq!(names(&catalog, ""), ["a", "a (id f1)", "unnamed (id f3)", "x (id f4)"]);
        assert_eq!(id_at(&catalog, "a").as_deref(), Some("directory"));
    }

    #[test]
    fn a_directory_stays_when_its_last_file_goes() {
        let catalog = catalog("", &[("f1", "a/b/c.txt", 1)]);
        catalog.gone("f1");
        assert_eq!(id_at(&catalog, "a"), None, "somebody else has removed it");
        catalog.there(file("f1", "a/b/c.txt", 1));
        catalog.gone("f1");
        catalog.keep(&path("a/b"));
        assert_eq!(
            (names(&catalog, ""), names(&catalog, "a"), names(&catalog, "a/b").len()),
            (vec!["a".into()], vec!["b".into()], 0)
        );
        assert!(catalog.is_empty(&path("a/b")) && !catalog.is_empty(&path("a")));
        catalog.listed(Vec::new(), Instant::now());
        assert_eq!(names(&catalog, "a"), ["b"], "a listing knows nothing of it");
        catalog.let_go(&path("a/b"));
        catalog.keep(&path("a"));
        assert!(catalog.is_empty(&path("a")));
        catalog.let_go(&path("a"));
        assert_eq!(id_at(&catalog, "a"), None);
    }

    #[test]
    fn a_root_shows_its_own() {
        let catalog = catalog("team", &[("f1", "team/a", 1), ("f2", "b", 1), ("f3", "team//c", 1)]);
        assert_eq!(names(&catalog, ""), ["a", "c (id f3)"]);
        assert_eq!(catalog.total(), 3);
        assert_eq!(catalog.stored_name(&path("x/y")), "team/x/y");
    }

    #[test]
    fn what_was_changed_while_a_listing_was_under_way_stays_changed() {
        let catalog = catalog("", &[("f1", "a", 1), ("f2", "b", 1)]);
        let asked = Instant::now();
        catalog.gone("f1");
        catalog.there(file("f3", "c", 2));
        catalog.there(file("f2", "renamed", 1));
        catalog.listed(vec![file("f1", "a", 1), file("f2", "b", 1)], asked);
        assert_eq!(names(&catalog, ""), ["c", "renamed"]);
        catalog.listed(vec![file("f1", "a", 1)], Instant::now() + Duration::from_millis(1));
        assert_eq!(names(&catalog, ""), ["a"]);
    }

    #[test]
    fn a_doubt_makes_us_look_again() {
        let catalog = Catalog::new(RemotePath::root());
        assert!(!catalog.is_believed());
        catalog.listed(Vec::new(), Instant::now());
        assert!(catalog.is_believed());
        catalog.doubt();
        assert!(!catalog.is_believed());
    }

    #[test]
    fn everything_below_a_directory() {
        let catalog = catalog("", &[("f1", "a/b", 1), ("f2", "a/b", 2), ("f3", "a/c/d", 1), ("f4", "ab", 1)]);
        catalog.keep(&path("a/e"));
        let (files, made) = catalog.below(&path("a"));
        let mut ids: Vec<&str> = files.iter().map(|(_, file)| file.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!((ids, made), (vec!["f1", "f2", "f3"], vec![path("a/e")]));
    }
}
