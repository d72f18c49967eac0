//! Before an upload: where it goes, under which title, and what stands there already. A portal decides by the title when
//! the session is opened; this decides so that it cannot hit another file than the one that is meant.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Onlyoffice;
use super::answers::Id;
use super::folders::Way;
use super::index::Entry;
use super::names;
use crate::error::{Error, Kind, Result};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::NodeKind;

/// What an upload will do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The folder it goes to.
    pub(super) folder: Id,
    /// The title it shall have.
    pub(super) title: String,
    /// The title it is sent under: another one where the portal would take the right one for an existing file's.
    pub(super) sent_title: String,
    /// The name it has in the mount.
    pub(super) name: String,
    pub(super) target: Target,
    /// Files that were there before and could be taken for what this upload makes.
    pub(super) there: Vec<Id>,
}

/// What becomes of a file that stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    /// There is none: a new file.
    New,
    /// It gets a new version; found by its title.
    Version(Known),
    /// Its present version gets another content; found by its id. There is no history of it, and whoever reads meanwhile
    /// may see both.
    InPlace(Known),
}

/// A file as it was before the upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) id: Id,
    pub(super) version: i64,
    /// See [`Entry::stamp`].
    pub(super) stamp: String,
}

impl Target {
    /// The file that is replaced.
    pub(super) fn known(&self) -> Option<&Known> {
        match self {
            Target::New => None,
            Target::Version(known) | Target::InPlace(known) => Some(known),
        }
    }
}

impl Onlyoffice {
    /// Plans the upload to `path`.
    ///
    /// # Errors
    /// `IsDirectory`, `NotFound` (the folder), `Denied`, or what the portal says.
    pub(super) async fn plan(&self, op: &'static str, path: &RemotePath) -> Result<Plan> {
        let way = self.way(op, path).await?;
        let mut entry = self.find_in(op, &way.folder, &way.key).await?;
        if entry.is_none() && self.is_taken(op, &way, path).await? {
            entry = self.find_listed(op, &way).await?;
        }
        let Some(entry) = entry else {
            if self.index.may_create(&way.folder) == Some(false) {
                let what = format!("this account may not put files into the folder of {path}");
                return Err(Error::new(Kind::Denied, op, what));
            }
            let title = names::title_of(path.name());
            let alike = self.index.alike(&way.folder, &title);
            let sent_title = match alike.is_empty() || self.site().version.generation().has_numbers() {
                true => title.clone(),
                // Older portals replace what they take for the same title, where the user has set that.
                false => names::interim(&title),
            };
            let there = self.there(&way, &title, None);
            return Ok(Plan { folder: way.folder, title, sent_title, name: way.key, target: Target::New, there });
        };
        if entry.kind == NodeKind::Directory {
            return Err(Error::new(Kind::IsDirectory, op, format!("{path} is a directory")));
        }
        if entry.may_edit == Some(false) {
            let what = format!("this account may not change {path}");
            let error = Error::new(Kind::Denied, op, what);
            let locked = "somebody has locked it; it has to be unlocked there";
            return Err(if entry.locked { error.kind(Kind::Busy).hint(locked) } else { error });
        }
        let alike = self.index.alike(&way.folder, &entry.title).iter().any(|other| other.id != entry.id);
        let (title, name) = (entry.title.clone(), entry.name.clone());
        let there = self.there(&way, &title, Some(&entry.id));
        let target = self.replace(&entry, alike);
        Ok(Plan { folder: way.folder, sent_title: title.clone(), title, name, target, there })
    }

    /// Whether a title that is not known is taken after all. Only asked where the listing may be some time old.
    async fn is_taken(&self, op: &'static str, way: &Way, path: &RemotePath) -> Result<bool> {
        if !self.index.is_large(&way.folder) || !self.site().version.generation().has_numbers() {
            return Ok(false);
        }
        let body = json!({"filesTitle": [names::title_of(path.name())]});
        let asked = self.sessions.call::<Option<Vec<String>>>(|api| {
            api.call(op, Method::Post, &["files", way.folder.as_str(), "upload", "check"]).json(&body).repeatable()
        });
        let taken = asked.await.map_err(|trouble| trouble.into_error(op))?.unwrap_or_default();
        Ok(taken.iter().any(|title| names::canonical(names::shown(title)) == way.key))
    }

    /// The entry by a new listing.
    async fn find_listed(&self, op: &'static str, way: &Way) -> Result<Option<Entry>> {
        self.index.forget(&way.folder);
        self.find_in(op, &way.folder, &way.key).await
    }

    /// The files that could be taken for what an upload of this title makes.
    fn there(&self, way: &Way, title: &str, target: Option<&Id>) -> Vec<Id> {
        let could_be = self.index.could_be(&way.folder, title);
        could_be.into_iter().map(|entry| entry.id).chain(target.cloned()).collect()
    }

    /// How a file is replaced. By its title, which keeps the old version, unless the title leads to more than one file, or
    /// the file is locked: then a portal would make a second file without a word, while by the id it refuses.
    fn replace(&self, entry: &Entry, alike: bool) -> Target {
        let known = Known { id: entry.id.clone(), version: entry.version, stamp: entry.stamp() };
        if !self.site().version.generation().has_numbers() || alike || entry.locked {
            Target::InPlace(known)
        } else {
            Target::Version(known)
        }
    }
}
