//! The journal of one entry: writes what has to outlive the process, in the order that makes every moment a good one to
//! die at.
//!
//! * The bytes are synced before the [`Info`] that speaks of them.
//! * The info is written beside the old one, synced, and takes its place; then the directory is synced. There is an
//!   entry from then on, with its old info or its new one, never with half of one.
//! * [`Record`]s are appended. Those that a second upload could come of if they were lost are synced before the request
//!   leaves; the others cost a question to the service at most.
//! * An entry ends with its info; its other files are swept away behind it, at the latest by the next mount.
//!
//! Does blocking I/O, and may be called from any thread; calls for one entry follow one another.

use std::sync::{Arc, Mutex, PoisonError};

use super::Spool;
use super::entry::{EntryId, FORMAT, Info, Record};
use super::line;
use crate::error::{Error, Kind, Result};

/// What stands before an [`Info`] in its file, so that another release knows whether it can read on.
pub(super) type Versioned<T> = (u32, T);

/// How often it is tried to end an entry.
const RETIRE_TRIES: u32 = 3;

/// The journal of one entry.
pub struct Journal {
    spool: Arc<Spool>,
    id: EntryId,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// What was appended before [`Journal::begin`] said what had happened until then. Nothing of it has to survive yet:
    /// there is no entry.
    early: Option<Vec<Record>>,
    /// Where the next record goes; what is behind was torn.
    end: u64,
    exists: bool,
    /// Whether its name survives a power cut.
    named: bool,
}

impl Journal {
    /// The journal of an entry that has none yet. [`Journal::begin`] comes next.
    pub fn new(spool: Arc<Spool>, id: EntryId) -> Self {
        let log = Log { early: Some(Vec::new()), ..Log::default() };
        Journal { spool, id, log: Mutex::new(log) }
    }

    /// Writes down what had happened when the journal was made, and what was appended since.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn begin(&self, before: Vec<Record>) -> Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let records = [before, log.early.clone().unwrap_or_default()].concat();
        if !records.is_empty() {
            self.append_to(&mut log, &records, true)?;
        }
        log.early = None;
        Ok(())
    }

    /// The journal of an entry that was found, whose log has `end` good bytes.
    pub(super) fn found(spool: Arc<Spool>, id: EntryId, end: Option<u64>) -> Self {
        let log = Log { end: end.unwrap_or(0), exists: end.is_some(), named: end.is_some(), early: None };
        Journal { spool, id, log: Mutex::new(log) }
    }

    /// The entry.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Makes the entry say `info`. The bytes that it speaks of have been synced.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`; the entry then says what it said before, or the new thing.
    pub fn store(&self, info: &Info) -> Result<()> {
        let text = encode(&(FORMAT, info))?;
        let (disk, name) = (&self.spool.disk, self.id.info());
        let beside = format!("{name}.new");
        let written = disk.create(&beside).and_then(|file| {
            file.write_all_at(text.as_bytes(), 0)?;
            file.sync()
        });
        written.and_then(|()| disk.rename(&beside, &name)).and_then(|()| disk.sync_names()).map_err(failed)
    }

    /// Appends `records`. `synced` says whether they must survive a power cut.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`; none of them may be counted on then.
    pub fn append(&self, records: &[Record], synced: bool) -> Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut log.early {
            Some(early) => early.extend_from_slice(records),
            None => self.append_to(&mut log, records, synced)?,
        }
        Ok(())
    }

    fn append_to(&self, log: &mut Log, records: &[Record], synced: bool) -> Result<()> {
        let mut text = String::new();
        for record in records {
            text.push_str(&encode(record)?);
        }
        let (disk, name) = (&self.spool.disk, self.id.log());
        let file = if log.exists { disk.open(&name) } else { disk.create(&name) }.map_err(failed)?;
        log.exists = true;
        file.write_all_at(text.as_bytes(), log.end).map_err(failed)?;
        if synced {
            file.sync().and_then(|()| if log.named { Ok(()) } else { disk.sync_names() }).map_err(failed)?;
            log.named = true;
        }
        log.end += text.len() as u64;
        Ok(())
    }

    /// Ends the entry: nothing of it is needed any more.
    ///
    /// # Errors
    /// `Spool`; the entry may come back at the next mount.
    pub fn retire(&self) -> Result<()> {
        let disk = &self.spool.disk;
        let remove = || disk.remove(&self.id.info()).and_then(|()| disk.sync_names());
        // What comes back may be uploaded again under a name that it no longer has.
        let mut removed = remove();
        for _ in 1..RETIRE_TRIES {
            removed = removed.or_else(|_| remove());
        }
        removed.map_err(failed)?;
        for rest in [self.id.data(), self.id.log()] {
            if let Err(error) = disk.remove(&rest) {
                tracing::debug!(%rest, %error, "left to the next mount");
            }
        }
        Ok(())
    }
}

fn encode(value: &impl serde::Serialize) -> Result<String> {
    // Keys are strings and no number is odd: it cannot fail. If it does, it is a mistake of ours.
    line::encode(value).map_err(|error| Error::new(Kind::Spool, "spool", format!("cannot be written down: {error}")))
}

fn failed(error: std::io::Error) -> Error {
    Error::spool("spool", error)
}
