//! Before an upload: where it goes, under which title, and what stands there already. A portal decides by the title when
//! the session is opened; this decides so that it cannot hit another file than the one that is meant.

use serde::{Deserialize, Serialize};

use super::Onlyoffice;
use super::answers::Id;
use super::index::Entry;
use super::names;
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::service::NodeKind;

/// What an upload will do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The folder it goes to.
    pub(super) folder: Id,
    /// The title it is sent under.
    pub(super) title: String,
    /// The name it has in the mount.
    pub(super) name: String,
    pub(super) target: Target,
    /// Files whose titles a database may take for this one, and which are none of ours.
    pub(super) alike: Vec<Id>,
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
        let entry = self.find_in(op, &way.folder, &way.key).await?;
        let Some(entry) = entry else {
            if self.index.may_create(&way.folder) == Some(false) {
                let what = format!("this account may not put files into the folder of {path}");
                return Err(Error::new(Kind::Denied, op, what));
            }
            let title = names::title_of(path.name());
            let alike = self.index.alike(&way.folder, &title).into_iter().map(|entry| entry.id).collect();
            return Ok(Plan { folder: way.folder, title, name: way.key, target: Target::New, alike });
        };
        if entry.kind == NodeKind::Directory {
            return Err(Error::new(Kind::IsDirectory, op, format!("{path} is a directory")));
        }
        if entry.may_edit == Some(false) && !entry.locked {
            return Err(Error::new(Kind::Denied, op, format!("this account may not change {path}")));
        }
        let alike = self.index.alike(&way.folder, &entry.title).into_iter().map(|other| other.id);
        let alike: Vec<Id> = alike.filter(|id| *id != entry.id).collect();
        Ok(Plan {
            folder: way.folder,
            title: entry.title.clone(),
            name: entry.name.clone(),
            target: self.replace(&entry, &alike),
            alike,
        })
    }

    /// How a file is replaced. By its title, which keeps the old version, unless the title leads to more than one file, or
    /// the file is locked: then a portal would make a second file without a word, while by the id it refuses.
    fn replace(&self, entry: &Entry, alike: &[Id]) -> Target {
        let known = Known { id: entry.id.clone(), stamp: entry.stamp() };
        if !self.site().version.generation().has_numbers() || !alike.is_empty() || entry.locked {
            Target::InPlace(known)
        } else {
            Target::Version(known)
        }
    }
}
