//! What is left of a name when the local version of its parked file is thrown away: the service's older version, or
//! nothing.
//!
//! The older version becomes another inode. Programs may still read the bytes that are thrown away, and the kernel keeps
//! pages by inode: one number for two contents would mix them.

use std::sync::Arc;

use super::change::settled;
use super::entry::Entry;
use super::{Inner, Ino, Tree, stale};
use crate::error::{Error, Kind, Result};
use crate::file::File;
use crate::service::NodeKind;

/// A name that stands for something else now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The directory.
    pub parent: Ino,
    /// The name, in each spelling that a listing or a lookup may have told.
    pub names: Vec<String>,
}

impl Tree {
    /// Sends the parked file of an inode as it is; see [`File::retry`](crate::file::File::retry).
    ///
    /// # Errors
    /// `Conflict` for a file that was removed, `IsDirectory`, or whatever keeps the service from having the file.
    pub async fn retry(&self, ino: Ino) -> Result<()> {
        self.check_named(ino)?;
        // A file that nobody has opened since mounting is as the service has it.
        match self.opened_file(ino) {
            Some(file) => file.retry().await,
            None => self.file(ino).map(drop),
        }
    }

    /// Throws away what the mount has of a parked file, and shows what the service has. Whoever stops waiting has
    /// changed nothing.
    ///
    /// # Errors
    /// `Conflict` for a file that was removed, `IsDirectory`, `Invalid` for a file that is not parked, `Busy` for one that a
    /// program has open for writing.
    pub async fn discard_local(&self, ino: Ino) -> Result<Renewed> {
        self.check_named(ino)?;
        let file = self.file(ino)?;
        // A request that nobody waits for any more may still bring the file to the service.
        let _settled = settled(&file).await;
        let told = self.throw_away(ino, &file)?;
        // Not before it cannot come back by itself: a next mount that finds it shows it as parked, no more.
        file.upload().forget_saved().await?;
        Ok(told)
    }

    fn throw_away(&self, ino: Ino, file: &Arc<File>) -> Result<Renewed> {
        let mut inner = self.inner();
        let entry = inner.named(ino)?;
        let mut renewed = Entry::new(entry.parent, entry.name.clone(), NodeKind::File);
        renewed.overrides = entry.overrides.clone();
        // The older version has its own time, and is believed for no longer than it was.
        renewed.overrides.modified = None;
        renewed.fetched = entry.fetched;
        file.discard_local()?;
        renewed.remote = file.upload().source().node();
        let shown = renewed.remote.as_ref().map(|node| node.name.clone());
        let names = [Some(renewed.name.clone()), shown.filter(|shown| *shown != renewed.name)];
        let told = Renewed { parent: renewed.parent, names: names.into_iter().flatten().collect() };
        inner.detach(ino);
        if renewed.remote.is_some() {
            inner.add(renewed);
        }
        Ok(told)
    }

    /// # Errors
    /// `Conflict` for what lost its name: the kernel then looks the name up again.
    fn check_named(&self, ino: Ino) -> Result<()> {
        self.inner().named(ino).map(drop)
    }
}

impl Inner {
    fn named(&self, ino: Ino) -> Result<&Entry> {
        let entry = self.entries.get(&ino).ok_or_else(stale)?;
        if entry.removed { Err(Error::new(Kind::Conflict, "lookup", "the file was removed")) } else { Ok(entry) }
    }
}
