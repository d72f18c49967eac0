//! From paths to the ids of folders, and from folders to listings. The root of a remote is a section (`@my`, `@common`,
//! `rooms`), the id of a folder, or a path below one of these.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Onlyoffice;
use super::answers::{FolderDto, Id, PageDto, readable};
use super::api::Trouble;
use super::codes::Refusal;
use super::index::{Entry, Found};
use super::names;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::NodeKind;

/// Entries of one page; newer portals refuse to send more.
const PAGE_ENTRIES: u64 = 100;
/// A folder whose entries change while they are listed is listed again so often.
const LISTINGS_MAX: u32 = 3;
/// Folders on the way to a path are believed to be where they were for so long.
const WAY_BELIEVED: Duration = Duration::from_secs(5);
/// The number of the kind of section that the trash is.
const TRASH: i64 = 3;

/// Where a mount begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// A section with its sign (`@my`), `rooms`, or the id of a folder.
    start: String,
    /// Folders below it.
    below: RemotePath,
}

impl Root {
    /// Understands `@my`, `@common/reports`, `rooms/Team`, `1234`, `1234/2026`; without a section or an id, a path is one
    /// below `@my`.
    ///
    /// # Errors
    /// `BadName` for what is no path.
    pub fn parse(text: &str) -> Result<Root> {
        let text = text.trim_matches('/');
        let (first, rest) = text.split_once('/').unwrap_or((text, ""));
        let is_id = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
        if first.starts_with('@') || is_id || first == "rooms" {
            return Ok(Root { start: first.to_owned(), below: RemotePath::parse(rest)? });
        }
        Ok(Root { start: "@my".to_owned(), below: RemotePath::parse(text)? })
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.below.is_root() {
            true => f.write_str(&self.start),
            false => write!(f, "{}{}", self.start, self.below),
        }
    }
}

/// The folder that a path leads to, and its entry there.
pub(super) struct Way {
    /// The id of the folder that holds it.
    pub(super) folder: Id,
    /// Its canonical name in there.
    pub(super) key: String,
}

impl Onlyoffice {
    /// The folder at the root of the mount; asked for once.
    pub(super) async fn root(&self) -> Result<Id> {
        self.ask_site().await?;
        let id = self.root_id.get_or_try_init(|| async {
            // Whoever writes has looked first: from here on it is known how files are cut.
            self.ask_site().await?;
            let mut at = if self.root.start.bytes().all(|byte| byte.is_ascii_digit()) {
                Id::new(&self.root.start)
            } else {
                self.section("list", &self.root.start).await?
            };
            for name in self.root.below.as_str().split('/').filter(|name| !name.is_empty()) {
                let missing = |error: Error| match error.kind {
                    Kind::NotFound => error.hint("make the folder on the portal, or name another one as `folder`"),
                    _ => error,
                };
                at = self.enter(&at, name, Duration::ZERO).await.map_err(missing)?;
            }
            Ok(at)
        });
        id.await.cloned()
    }

    /// The folder of a section.
    async fn section(&self, op: &'static str, section: &str) -> Result<Id> {
        let asked = self.sessions.call::<PageDto>(|api| {
            let call = api.call(op, Method::Get, &["files", section]);
            call.query([("startIndex", "0"), ("count", "1"), ("withSubFolders", "false")])
        });
        match asked.await {
            Ok(page) => Ok(page.current.id),
            Err(Trouble::Refused(Refusal { status: 404, .. })) => {
                let error = Error::new(Kind::NotFound, op, format!("the portal has no section {section}"));
                Err(error.hint("there are @my, @common and rooms, where the portal has them, or the id of a folder"))
            }
            Err(trouble) => Err(trouble.into_error(op)),
        }
    }

    /// The folder `name` in the folder `at`.
    async fn enter(&self, at: &Id, name: &str, believed: Duration) -> Result<Id> {
        let key = names::canonical(name);
        if let Some(known) = self.index.subfolder(at, &key, believed) {
            return Ok(known);
        }
        match self.find_in("list", at, &key).await? {
            Some(entry) if entry.kind == NodeKind::Directory => Ok(entry.id),
            Some(_) => Err(Error::new(Kind::NotDirectory, "list", format!("{name:?} is a file"))),
            None => Err(Error::new(Kind::NotFound, "list", format!("there is no folder {name:?}"))),
        }
    }

    /// The id of the folder at `path`.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`; whatever the portal says.
    pub(super) async fn folder(&self, path: &RemotePath) -> Result<Id> {
        let mut at = self.root().await?;
        for name in path.as_str().split('/').filter(|name| !name.is_empty()) {
            at = self.enter(&at, name, WAY_BELIEVED).await?;
        }
        Ok(at)
    }

    /// The folder that holds the entry at `path`, and the entry's key in it.
    ///
    /// # Errors
    /// As [`Onlyoffice::folder`]; `IsDirectory` for the root.
    pub(super) async fn way(&self, op: &'static str, path: &RemotePath) -> Result<Way> {
        let parent = path.parent().ok_or_else(|| Error::new(Kind::IsDirectory, op, "the root is a directory"))?;
        Ok(Way { folder: self.folder(&parent).await?, key: names::canonical(path.name()) })
    }

    /// The entry of this key in a folder. A file that was heard of some time ago is asked about by its id.
    pub(super) async fn find_in(&self, op: &'static str, folder: &Id, key: &str) -> Result<Option<Entry>> {
        match self.index.find(folder, key) {
            Found::Entry(entry) if entry.is_fresh() => return Ok(Some(*entry)),
            Found::Entry(entry) if entry.kind == NodeKind::File => {
                let now = self.file_by_id(op, &entry.id).await?;
                let same_place =
                    now.filter(|file| file.folder_id.as_ref() == Some(folder) && file.title == entry.title);
                if let Some(file) = same_place {
                    let mut now = Entry::of_file(file);
                    now.name = entry.name;
                    self.index.there(folder, now.clone());
                    return Ok(Some(now));
                }
            }
            Found::Nothing => return Ok(None),
            Found::Entry(_) | Found::Unknown => {}
        }
        self.list_folder(op, folder).await?;
        match self.index.find_listed(folder, key) {
            Found::Entry(entry) => Ok(Some(*entry)),
            Found::Nothing => Ok(None),
            Found::Unknown => Err(too_many(op)),
        }
    }

    /// All entries of a folder, listed now.
    pub(super) async fn entries_of(&self, op: &'static str, folder: &Id) -> Result<Vec<Entry>> {
        self.list_folder(op, folder).await?;
        self.index.entries_listed(folder).ok_or_else(|| too_many(op))
    }

    /// Lists a folder into the index. Listings of one folder wait for one another and share what comes.
    pub(super) async fn list_folder(&self, op: &'static str, folder: &Id) -> Result<()> {
        let asked = Instant::now();
        let turn = self.listings.turn(folder);
        let _turn = turn.lock().await;
        if self.index.is_listed_since(folder, asked) {
            return Ok(());
        }
        let mut attempt = 1;
        loop {
            let asked = Instant::now();
            let (entries, current, is_steady) = self.pages(op, folder).await?;
            if is_steady || attempt == LISTINGS_MAX {
                let may_create = current.security.and_then(|security| security.create);
                self.note_seen(entries.iter().map(|entry| entry.size).max().unwrap_or(0));
                self.index.listed(folder, entries, may_create, asked);
                if !is_steady {
                    // It serves whoever asked, and nobody after that.
                    self.index.forget(folder);
                }
                return Ok(());
            }
            attempt += 1;
        }
    }

    /// All pages of a listing, and whether the folder kept still meanwhile.
    async fn pages(&self, op: &'static str, folder: &Id) -> Result<(Vec<Entry>, FolderDto, bool)> {
        let (mut entries, mut ids) = (Vec::new(), std::collections::HashSet::new());
        let (mut start, mut totals) = (0, None);
        let mut is_steady = true;
        loop {
            let (from, count) = (start.to_string(), PAGE_ENTRIES.to_string());
            let asked = self.sessions.call::<PageDto>(|api| {
                api.call(op, Method::Get, &["files", folder.as_str()]).query([
                    ("startIndex", from.as_str()),
                    ("count", count.as_str()),
                    ("sortBy", "AZ"),
                    ("sortOrder", "ascending"),
                    ("withSubFolders", "false"),
                ])
            });
            let page = match asked.await {
                Ok(page) => page,
                Err(trouble) => return Err(self.no_listing(op, folder, trouble).await),
            };
            // What was thrown away can still be asked for by its id.
            if page.current.root_folder_type == Some(TRASH) {
                return Err(Error::new(Kind::NotFound, op, "the folder is in the trash"));
            }
            is_steady &= totals.is_none_or(|total| total == page.total);
            totals = Some(page.total);
            let got = (page.folders.len() + page.files.len()) as u64;
            let folders = readable(page.folders).map(Entry::of_folder);
            for entry in folders.chain(readable(page.files).map(Entry::of_file)) {
                if ids.insert((entry.kind, entry.id.clone())) {
                    entries.push(entry);
                } else {
                    is_steady = false;
                }
            }
            start += got;
            // Where the portal does not count, a page that is not full is the last.
            let is_over = page.total.map_or(got < PAGE_ENTRIES, |total| start >= total);
            if got == 0 || is_over {
                return Ok((entries, page.current, is_steady && is_over));
            }
        }
    }

    /// A folder cannot be listed: it is gone, or may not be seen. CommunityServer says 403 to both.
    async fn no_listing(&self, op: &'static str, folder: &Id, trouble: Trouble) -> Error {
        self.index.forget_all();
        let community = self.site().version.generation().is_community();
        match trouble {
            Trouble::Refused(Refusal { status: 404, .. }) => Error::new(Kind::NotFound, op, "the folder is gone"),
            Trouble::Refused(refusal) if refusal.status == 403 && community => {
                let is_root = self.root_id.get() == Some(folder);
                let error = refusal.into_error(op);
                if is_root { error } else { error.kind(Kind::NotFound) }
            }
            trouble => trouble.into_error(op),
        }
    }
}

/// More folders are in use at once than are remembered.
fn too_many(op: &'static str) -> Error {
    Error::new(Kind::Busy, op, "too many folders at once").retry(Retry::After(Duration::ZERO))
}

/// One listing of a folder at a time.
#[derive(Default)]
pub(super) struct Listings(std::sync::Mutex<std::collections::HashMap<Id, std::sync::Weak<tokio::sync::Mutex<()>>>>);

impl Listings {
    fn turn(&self, folder: &Id) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(turn) = turns.get(folder).and_then(std::sync::Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(folder.clone(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_section_an_id_or_a_path() {
        for (text, start, below) in [
            ("@my", "@my", ""),
            ("/@common/reports/2026/", "@common", "reports/2026"),
            ("rooms/Team", "rooms", "Team"),
            ("1234", "1234", ""),
            ("1234/a b", "1234", "a b"),
            ("backup/2026", "@my", "backup/2026"),
            ("", "@my", ""),
        ] {
            let root = Root::parse(text).unwrap();
            assert_eq!((root.start.as_str(), root.below.as_str()), (start, below), "{text}");
        }
        assert_eq!(Root::parse("@my/../x").unwrap_err().kind, Kind::BadName);
    }
}
