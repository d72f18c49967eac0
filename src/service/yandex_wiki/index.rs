//! What is known of pages: which slugs lead to which, what is attached to them, which are below them. The wiki finds
//! attachments by number only, so every name of a file goes through a listing; this is the memory of listings, kept up to
//! date with what is done through it. It asks nobody.
//!
//! **Freshness.** A listing is believed for five times as long as it took, within limits: what one request lists is asked
//! for again after a moment, a large tree is not listed for every name that is looked up in it.
//!
//! **Names.** Of attachments of one name the newest has it, the others are shown with their id in theirs, as is one whose
//! name is no file name, or that of a page below.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lru::LruCache;
use tokio::time::Instant;

use super::answers::{AttachmentDto, BranchDto};
use super::slugs;
use crate::path::is_entry_name;
use crate::service::twins;

/// A listing is believed for so many times as long as it took.
const BELIEF_FACTOR: u32 = 5;
/// It is believed at least so long: programs look a name up several times before they make it.
const BELIEF_MIN: Duration = Duration::from_millis(100);
/// It is believed no longer.
const BELIEF_MAX: Duration = Duration::from_secs(30);
/// That there is no page at a slug is believed for so long.
const MISS_BELIEVED: Duration = Duration::from_secs(1);
/// Pages that are remembered.
const PAGES_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// A page, as a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// `None` for a page that only those below it speak of.
    pub(super) id: Option<String>,
    /// As the wiki has it.
    pub(super) slug: String,
    /// When its text last changed, where that is known.
    pub(super) modified: Option<SystemTime>,
}

/// Something that was listed, and for how long that is believed.
#[derive(Debug)]
struct Listed<T> {
    content: T,
    asked: Instant,
    believed: Duration,
}

impl<T> Listed<T> {
    /// What came now, and was asked for at `asked`.
    fn new(content: T, asked: Instant) -> Listed<T> {
        let believed = (asked.elapsed() * BELIEF_FACTOR).clamp(BELIEF_MIN, BELIEF_MAX);
        Listed { content, asked, believed }
    }

    fn believed(&self) -> Option<&T> {
        (self.asked.elapsed() < self.believed).then_some(&self.content)
    }
}

/// The attachments of one page, and what was done to them lately.
#[derive(Debug, Default)]
struct Files {
    listed: Option<Listed<Vec<AttachmentDto>>>,
    /// A listing that was on its way meanwhile must not undo these.
    changes: Vec<(Instant, Change)>,
}

#[derive(Clone, Debug)]
enum Change {
    There(Box<AttachmentDto>),
    Gone(String),
}

impl Change {
    fn apply(&self, files: &mut Vec<AttachmentDto>) {
        match self {
            Change::There(file) => {
                files.retain(|other| other.id != file.id);
                files.push(file.as_ref().clone());
            }
            Change::Gone(id) => files.retain(|other| other.id != *id),
        }
    }
}

/// The pages below one, by the segment they have there.
pub(super) type Children = BTreeMap<String, Page>;

/// See the module.
pub(super) struct Index {
    /// By the slug as it was asked for; `None` where there is none.
    pages: Mutex<LruCache<String, (Option<Page>, Instant)>>,
    /// By the id of the page.
    files: Mutex<LruCache<String, Files>>,
    /// By the slug of the page.
    children: Mutex<LruCache<String, Listed<Children>>>,
    /// By the slug of the page: the segments below it at which no page is, only pages further below.
    holes: Mutex<LruCache<String, BTreeSet<String>>>,
}

impl Default for Index {
    fn default() -> Index {
        Index {
            pages: Mutex::new(LruCache::new(PAGES_MAX)),
            files: Mutex::new(LruCache::new(PAGES_MAX)),
            children: Mutex::new(LruCache::new(PAGES_MAX)),
            holes: Mutex::new(LruCache::new(PAGES_MAX)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    /// The page at `slug`, if it was heard of no longer ago than `age_max`.
    pub(super) fn page(&self, slug: &str, age_max: Duration) -> Option<Page> {
        let mut pages = lock(&self.pages);
        let (page, asked) = pages.get(slug)?;
        page.clone().filter(|_| asked.elapsed() < age_max)
    }

    /// Whether there was no page at `slug` a moment ago.
    pub(super) fn is_missing(&self, slug: &str) -> bool {
        lock(&self.pages).get(slug).is_some_and(|(page, asked)| page.is_none() && asked.elapsed() < MISS_BELIEVED)
    }

    /// The wiki has this page at `slug`, or none.
    pub(super) fn page_heard_of(&self, slug: &str, page: Option<Page>) {
        lock(&self.pages).put(slug.to_owned(), (page, Instant::now()));
    }

    /// A page was made, moved or removed: what is known of the tree is doubtful.
    pub(super) fn forget_tree(&self) {
        lock(&self.pages).clear();
        lock(&self.children).clear();
    }

    /// The pages below `slug`, if that was listed lately enough.
    pub(super) fn children(&self, slug: &str) -> Option<Children> {
        lock(&self.children).get(slug)?.believed().cloned()
    }

    /// Whether only those below it spoke of a page when the page above was last listed, however long ago; `None` where that
    /// was never listed.
    pub(super) fn was_hole(&self, slug: &str) -> Option<bool> {
        let parent = slugs::parent(slug)?;
        lock(&self.holes).get(parent).map(|holes| holes.contains(slugs::last(slug)))
    }

    /// Takes all pages below `slug`, asked for at `asked`.
    pub(super) fn children_listed(&self, slug: &str, branches: &[BranchDto], asked: Instant) -> Children {
        let children = children_of(slug, branches);
        let holes = children.iter().filter(|(_, page)| page.id.is_none()).map(|(name, _)| name.clone());
        lock(&self.holes).put(slug.to_owned(), holes.collect());
        lock(&self.children).put(slug.to_owned(), Listed::new(children.clone(), asked));
        children
    }

    /// The attachments of a page, if they were listed lately enough.
    pub(super) fn files(&self, page: &str) -> Option<Vec<AttachmentDto>> {
        lock(&self.files).get(page)?.listed.as_ref()?.believed().cloned()
    }

    /// Takes all attachments of a page, asked for at `asked`. What was changed since then stays changed.
    pub(super) fn files_listed(
        &self,
        page: &str,
        mut listed: Vec<AttachmentDto>,
        asked: Instant,
    ) -> Vec<AttachmentDto> {
        let mut files = lock(&self.files);
        let known = files.get_or_insert_mut(page.to_owned(), Files::default);
        for (_, change) in known.changes.iter().filter(|(at, _)| *at >= asked) {
            change.apply(&mut listed);
        }
        // One that was asked for later, and answered sooner, knows better.
        if known.listed.as_ref().is_none_or(|held| held.asked <= asked) {
            known.listed = Some(Listed::new(listed.clone(), asked));
        }
        listed
    }

    /// A file was attached to a page.
    pub(super) fn file_there(&self, page: &str, file: AttachmentDto) {
        self.change(page, Change::There(Box::new(file)));
    }

    /// A file of a page was removed.
    pub(super) fn file_gone(&self, page: &str, id: &str) {
        self.change(page, Change::Gone(id.to_owned()));
    }

    /// What is known of the attachments of a page is doubtful.
    pub(super) fn forget_files(&self, page: &str) {
        if let Some(known) = lock(&self.files).get_mut(page) {
            known.listed = None;
        }
    }

    fn change(&self, page: &str, change: Change) {
        let mut files = lock(&self.files);
        let known = files.get_or_insert_mut(page.to_owned(), Files::default);
        if let Some(listed) = &mut known.listed {
            change.apply(&mut listed.content);
        }
        // A listing takes no longer than it is believed.
        known.changes.retain(|(at, _)| at.elapsed() < BELIEF_MAX);
        known.changes.push((Instant::now(), change));
    }
}

/// The pages right below `slug`. One between them and a page further below need not exist.
fn children_of(slug: &str, branches: &[BranchDto]) -> Children {
    let mut children = Children::new();
    for branch in branches {
        let Some(rest) = slugs::below(&branch.slug, slug) else { continue };
        let (segment, is_right_below) = rest.split_once('/').map_or((rest, true), |(first, _)| (first, false));
        if !is_entry_name(segment) {
            continue;
        }
        let child = children.entry(segment.to_owned()).or_insert_with(|| Page {
            id: None,
            slug: format!("{slug}/{segment}"),
            modified: None,
        });
        if is_right_below {
            child.id = Some(branch.id.clone());
        }
    }
    children
}

/// The names under which `files` are shown beside pages that are called `pages`: each with its file.
pub(super) fn named<'a>(files: &'a [AttachmentDto], pages: &BTreeSet<&str>) -> Vec<(String, &'a AttachmentDto)> {
    let mut newest: BTreeMap<&str, &AttachmentDto> = BTreeMap::new();
    for file in files {
        let first = newest.entry(&file.name).or_insert(file);
        if file.rank() > first.rank() {
            *first = file;
        }
    }
    let shown = |file: &'a AttachmentDto| {
        let has_name = newest.get(file.name.as_str()).is_some_and(|first| first.id == file.id);
        let is_plain = has_name && is_entry_name(&file.name) && !pages.contains(file.name.as_str());
        let name = if is_plain { file.name.clone() } else { twin_name(files, file) };
        (name, file)
    };
    files.iter().map(shown).collect()
}

/// The newest file of `files` that is called `name`.
pub(super) fn newest<'a>(files: &'a [AttachmentDto], name: &str) -> Option<&'a AttachmentDto> {
    files.iter().filter(|file| file.name == name).max_by(|a, b| a.rank().cmp(&b.rank()))
}

/// The file of `files` whose name with its id in it is `name`; the newest of its name can be called so, too.
pub(super) fn by_id<'a>(files: &'a [AttachmentDto], name: &str) -> Option<&'a AttachmentDto> {
    let id = twins::id_in(name)?;
    files.iter().find(|file| file.id == id && twin_name(files, file) == name)
}

/// The name of `file` with its id in it; twice where somebody gave another file of `files` that very name.
fn twin_name(files: &[AttachmentDto], file: &AttachmentDto) -> String {
    let name = twins::with_id(&file.name, &file.id);
    let is_taken = files.iter().any(|other| other.id != file.id && other.name == name);
    if is_taken { twins::with_id(&name, &file.id) } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(id: u32, name: &str, second: u32) -> AttachmentDto {
        let created = format!("2026-05-13T10:00:{second:02}Z");
        serde_json::from_value(json!({"id": id, "name": name, "size": "0.00", "created_at": created})).unwrap()
    }

    fn branch(id: u32, slug: &str) -> BranchDto {
        serde_json::from_value(json!({"id": id, "slug": slug})).unwrap()
    }

    fn ids(files: &[AttachmentDto]) -> Vec<&str> {
        files.iter().map(|file| file.id.as_str()).collect()
    }

    #[test]
    fn the_newest_of_a_name_has_it() {
        let files = [file(9, "a.txt", 1), file(10, "a.txt", 1), file(3, "a.txt", 2), file(4, "b", 0)];
        let pages = BTreeSet::from(["b"]);
        let names: Vec<String> = named(&files, &pages).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a (id 9).txt", "a (id 10).txt", "a.txt", "b (id 4)"]);
        for (name, file) in named(&files, &BTreeSet::new()) {
            let found = newest(&files, &name).or_else(|| by_id(&files, &name));
            assert_eq!(found.unwrap().id, file.id, "{name}");
        }
        assert_eq!(by_id(&files, "a (id 3).txt").unwrap().id, "3");
        assert!(by_id(&files, "a (id 4).txt").is_none() && newest(&files, "c").is_none());
    }

    #[test]
    fn a_file_that_is_called_like_a_twin_keeps_its_name() {
        let files = [file(1, "a.txt", 1), file(2, "a.txt", 2), file(3, "a (id 1).txt", 3)];
        let names: Vec<String> = named(&files, &BTreeSet::new()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a (id 1) (id 1).txt", "a.txt", "a (id 1).txt"]);
        for (name, file) in named(&files, &BTreeSet::new()) {
            let found = newest(&files, &name).or_else(|| by_id(&files, &name));
            assert_eq!(found.unwrap().id, file.id, "{name}");
        }
    }

    #[test]
    fn names_that_are_none_are_shown_otherwise() {
        let files = [file(1, "../x", 0), file(2, "..", 0), file(3, "a\nb", 0)];
        for (name, file) in named(&files, &BTreeSet::new()) {
            assert!(is_entry_name(&name), "{name:?}");
            assert_eq!(by_id(&files, &name).unwrap().id, file.id);
        }
    }

    #[test]
    fn a_tree_may_have_holes() {
        let branches = [branch(1, "r/a"), branch(2, "r/a/x"), branch(3, "r/b/c"), branch(4, "rr/z"), branch(5, "r")];
        let children = children_of("r", &branches);
        let shown: Vec<_> = children.iter().map(|(name, page)| (name.as_str(), page.id.as_deref())).collect();
        assert_eq!(shown, [("a", Some("1")), ("b", None)]);
        assert_eq!(children["b"].slug, "r/b");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_outlives_a_listing_that_was_on_its_way() {
        let index = Index::default();
        let asked = Instant::now();
        tokio::time::advance(Duration::from_millis(10)).await;
        index.file_there("1", file(2, "new", 0));
        index.file_gone("1", "1");
        assert!(index.files("1").is_none(), "changes are no listing");
        let listed = index.files_listed("1", vec![file(1, "old", 0)], asked);
        assert_eq!(ids(&listed), ["2"]);
        tokio::time::advance(Duration::from_millis(10)).await;
        assert_eq!(ids(&index.files("1").unwrap()), ["2"]);
        index.file_there("1", file(3, "newer", 0));
        assert_eq!(ids(&index.files("1").unwrap()), ["2", "3"]);
        tokio::time::advance(BELIEF_MIN).await;
        assert!(index.files("1").is_none(), "a quick listing is believed for a moment");
        let later = index.files_listed("1", vec![file(7, "other", 0)], Instant::now());
        assert_eq!(ids(&later), ["7"], "a later listing knows better");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_listings_at_once_the_later_one_counts() {
        let index = Index::default();
        let (early, step) = (Instant::now(), Duration::from_millis(10));
        tokio::time::advance(step).await;
        index.file_there("1", file(2, "new", 0));
        tokio::time::advance(step).await;
        index.files_listed("1", vec![file(2, "new", 0)], Instant::now());
        let slow = index.files_listed("1", vec![file(1, "old", 0)], early);
        assert_eq!(ids(&slow), ["1", "2"], "what was done since counts for it, too");
        assert_eq!(ids(&index.files("1").unwrap()), ["2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn that_nothing_is_there_is_believed_for_a_moment() {
        let index = Index::default();
        index.page_heard_of("r/a", None);
        assert!(index.is_missing("r/a") && index.page("r/a", BELIEF_MAX).is_none());
        tokio::time::advance(MISS_BELIEVED).await;
        assert!(!index.is_missing("r/a") && !index.is_missing("r/b"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_listing_is_believed_for_longer() {
        let index = Index::default();
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        index.children_listed("r", &[branch(1, "r/a")], asked);
        tokio::time::advance(Duration::from_secs(7)).await;
        assert!(index.children("r").is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(index.children("r").is_none());
        index.children_listed("r", &[branch(1, "r/a"), branch(2, "r/b/c")], asked);
        index.forget_tree();
        assert!(index.children("r").is_none());
        let holes = ["r/a", "r/b", "r/x", "r/b/c"].map(|slug| index.was_hole(slug));
        assert_eq!(holes, [Some(false), Some(true), Some(false), None], "whether to ask is known for longer");
    }
}
