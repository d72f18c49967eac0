//! What an earlier process left: entries to go on with, damage to set aside, rests to sweep away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::disk::Disk;
use super::entry::{EntryId, FORMAT, Fate, History, Info, Record};
use super::journal::{Journal, Versioned};
use super::{Spool, line};
use crate::error::{Error, Kind, Result};
use crate::service::Spec;

/// What is added to the names of files that cannot be read.
const ASIDE: &str = ".damaged";

/// The most bytes an [`Info`] can have; a larger file is none.
const INFO_BYTES_MAX: u64 = 64 << 20;

/// The most bytes of records that are read: 16 GiB in parts of 64 KiB.
const LOG_BYTES_MAX: u64 = 256 << 20;

/// One entry that was found.
pub struct Found {
    /// Where its further life is written down.
    pub journal: Journal,
    /// The file.
    pub info: Info,
    /// How far it came.
    pub history: History,
}

/// What is the matter with an entry.
enum Trouble {
    /// It cannot be read, or its bytes are not there.
    Damaged(String),
    /// Another release wrote it.
    Foreign(u32),
    /// The disk does not let us read.
    Disk(std::io::Error),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Trouble::Disk(error)
    }
}

impl Spool {
    /// Everything that an earlier process was told to keep for `remote`, the oldest first. To be called once, before
    /// anything is spilled.
    ///
    /// # Errors
    /// `Busy` when it holds files for another remote; `Spool` when the directory cannot be read. An entry that cannot be read is told in the log, set aside, and is no
    /// error: the others are found all the same.
    pub fn recover(self: &Arc<Self>, remote: &str) -> Result<Vec<Found>> {
        // Of one process, one remote.
        let _ = self.remote.set(remote.to_owned());
        let failed = |error| Error::spool("recover", error);
        let mut entries: BTreeMap<EntryId, Vec<String>> = BTreeMap::new();
        for name in self.disk.names().map_err(failed)? {
            if let Some((id, _)) = EntryId::of(&name).filter(|(_, ending)| !ending.ends_with(ASIDE)) {
                entries.entry(id).or_default().push(name);
            }
        }
        let mut found = Vec::new();
        for (id, names) in entries {
            if !names.contains(&id.info()) {
                names.iter().for_each(|name| self.sweep(name));
                continue;
            }
            self.sweep(&format!("{}.new", id.info()));
            match self.read(id) {
                Ok(entry) => found.push(entry),
                Err(Trouble::Damaged(why)) => self.set_aside(id, &names, &why),
                Err(Trouble::Foreign(format)) => {
                    tracing::error!(entry = %id, format, "another release of uploadfs wrote it; it is left as it is");
                }
                Err(Trouble::Disk(error)) => return Err(failed(error)),
            }
        }
        if let Some(other) = found.iter().find(|entry| entry.info.remote != remote) {
            return Err(foreign(&other.info.remote, found.len()));
        }
        found.sort_by_key(|entry| entry.info.order);
        self.last.fetch_max(found.last().map_or(0, |entry| entry.info.order), Ordering::Relaxed);
        Ok(found)
    }

    fn read(self: &Arc<Self>, id: EntryId) -> Result<Found, Trouble> {
        let damaged = |why: &str| Trouble::Damaged(why.to_owned());
        let bytes = read_all(&*self.disk, &id.info(), INFO_BYTES_MAX)?.ok_or_else(|| damaged("it is too large"))?;
        let text = bytes.strip_suffix(b"\n").ok_or_else(|| damaged("it is cut off"))?;
        // The number of the format is read by itself: what follows it may be anything.
        let (format, _): Versioned<serde_json::Value> =
            line::decode(text).ok_or_else(|| damaged("its checksum is wrong"))?;
        if format != FORMAT {
            return Err(Trouble::Foreign(format));
        }
        let (_, mut info): Versioned<Info> = line::decode(text).ok_or_else(|| damaged("it says nothing sensible"))?;
        self.check_bytes(id, &mut info)?;
        let (history, end) = self.history(id, &info)?;
        Ok(Found { journal: Journal::found(self.clone(), id, end), info, history })
    }

    /// Whether the bytes are there that `info` speaks of. Those of a file that was open may have been cut since.
    fn check_bytes(&self, id: EntryId, info: &mut Info) -> Result<(), Trouble> {
        let len = match self.disk.open(&id.data()).and_then(|data| data.len()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Trouble::Damaged("the file with its bytes is gone".to_owned()));
            }
            len => len?,
        };
        if info.fate == Fate::Open {
            info.local.truncate(len);
        }
        if info.local.end() > len {
            let what = format!("{} of its bytes are missing", info.local.end() - len);
            return Err(Trouble::Damaged(what));
        }
        if info.local.end() > info.size {
            return Err(Trouble::Damaged("it has bytes behind its end".to_owned()));
        }
        Ok(())
    }

    /// What the log comes to, and how long its good part is; `None` where there is none.
    fn history(&self, id: EntryId, info: &Info) -> Result<(History, Option<u64>), Trouble> {
        let bytes = match read_all(&*self.disk, &id.log(), LOG_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((History::default(), None)),
            read => read?,
        };
        let bytes = bytes.unwrap_or_default();
        let (mut history, mut end) = (History::default(), 0);
        let mut lines = line::lines(&bytes).peekable();
        while let Some(text) = lines.next() {
            match line::decode::<Record>(text) {
                Some(record) => {
                    history.add(record);
                    end += text.len() as u64 + 1;
                }
                // The last write, when the power went.
                None if lines.peek().is_none() => break,
                None => {
                    tracing::warn!(entry = %id, path = %info.path, "its log is damaged: the service is asked what it has");
                    let replaces = info.base.as_ref().map(|base| base.node.clone());
                    let asked = Spec { path: info.path.clone(), size: Some(info.size), sha1: None, replaces };
                    return Ok((History { session: None, asked: Some(asked) }, Some(end)));
                }
            }
        }
        Ok((history, Some(end)))
    }

    fn sweep(&self, name: &str) {
        if let Err(error) = self.disk.remove(name) {
            tracing::warn!(name, %error, "a rest in the spool cannot be removed");
        }
    }

    fn set_aside(&self, id: EntryId, names: &[String], why: &str) {
        tracing::error!(entry = %id, why, "an entry of the spool is damaged; its files are kept as *{ASIDE}");
        for name in names.iter().filter(|name| EntryId::of(name).is_some()) {
            if let Err(error) = self.disk.rename(name, &format!("{name}{ASIDE}")) {
                tracing::error!(name, %error, "it cannot be renamed");
            }
        }
    }
}

fn foreign(remote: &str, files: usize) -> Error {
    let what = format!("the spool holds {files} files for the remote {remote:?}, which are not on its service yet");
    Error::new(Kind::Busy, "spool", what).hint("mount that one with this spool first, or name another --spool")
}

/// All bytes of a file; `None` when it has more than `max`.
fn read_all(disk: &dyn Disk, name: &str, max: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = disk.open(name)?;
    let len = file.len()?;
    if len > max {
        return Ok(None);
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Some(bytes))
}
