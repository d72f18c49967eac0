//! What the spool says of one upload: which file it is, which of its bytes lie here, what is to become of it, and what
//! is known of its way to the service. Plain data; how it gets to disk is in `journal.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use crate::path::RemotePath;
use crate::ranges::Ranges;
use crate::service::{Node, Receipt, SessionToken, Spec};

/// The format of this release. One that does not know it leaves the entry alone.
pub(super) const FORMAT: u32 = 1;

/// Names one entry, and the spill file with its bytes. No other one ever has the same in that spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId(pub u64);

impl EntryId {
    /// The file with the bytes.
    pub(super) fn data(self) -> String {
        format!("{self}.data")
    }

    /// The file with the [`Info`]; there is an entry where there is this file.
    pub(super) fn info(self) -> String {
        format!("{self}.info")
    }

    /// The file with the [`Record`]s.
    pub(super) fn log(self) -> String {
        format!("{self}.log")
    }

    /// The entry that a file name belongs to, and the ending of the name.
    pub(super) fn of(name: &str) -> Option<(EntryId, &str)> {
        let (id, ending) = name.split_once('.')?;
        let id = u64::from_str_radix(id, 16).ok().filter(|_| id.len() == 16)?;
        Some((EntryId(id), ending))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is to become of a file at the next mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its program had not closed it: it is kept, and not published.
    Open,
    /// Its program was told that it will be on the service.
    Closed,
    /// It could not be published, or was not to be; it waits for a person.
    Parked(Reason),
}

/// Why a file is parked: what of an [`Error`] outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which errno programs get.
    pub kind: Kind,
    /// What happened.
    pub what: String,
    /// What can be done.
    pub hint: Option<String>,
}

impl From<&Error> for Reason {
    fn from(error: &Error) -> Self {
        let hint = error.hint.as_ref().map(ToString::to_string);
        Reason { kind: error.kind, what: error.what.to_string(), hint }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        let error = Error::new(reason.kind, "upload", reason.what);
        match reason.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The service's version below the bytes that lie here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Where it stood.
    pub path: RemotePath,
    /// The version.
    pub node: Node,
    /// Its bytes from here on do not show through.
    pub visible: u64,
}

/// One file and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The remote, as the configuration names it.
    pub remote: String,
    /// Of two entries for one file, the one with the greater number is the newer.
    pub order: u64,
    /// Where the file goes.
    pub path: RemotePath,
    /// What is to become of it.
    pub fate: Fate,
    /// Its size in bytes.
    pub size: u64,
    /// Which of its bytes lie in the data file, at their own offsets.
    pub local: Ranges,
    /// Where the others come from; without it they are zeros.
    pub base: Option<Base>,
    /// When a program last wrote to it.
    #[serde(with = "crate::service::moment")]
    pub modified: SystemTime,
}

/// One step on the way to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The service has opened a session.
    Session {
        /// Which.
        token: SessionToken,
        /// The size it was told.
        total: Option<u64>,
        /// The name it was told.
        path: RemotePath,
    },
    /// A part leaves.
    Sent(Sent),
    /// The service has confirmed a part.
    Held(Receipt),
    /// The request that makes the file leaves: from now on the service may have it.
    Asked(Spec),
    /// That request has been answered, and the file was not made.
    Refused,
    /// The session is given up.
    Abandoned,
}

/// A part that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Its position among the parts, from 0.
    pub index: u32,
    /// Its bytes.
    pub range: Range<u64>,
    /// Whether the file ends with it.
    pub last: bool,
    /// It was sent with other bytes before: that the service has it says nothing about which.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rewritten: bool,
}

/// What the records of one entry come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The session that was open.
    pub session: Option<OpenSession>,
    /// What the service was last asked to make, and may have made.
    pub asked: Option<Spec>,
}

/// A session that was open, and what went into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub token: SessionToken,
    /// The size that the service was told.
    pub total: Option<u64>,
    /// The name that the service was told.
    pub path: RemotePath,
    /// The parts that were sent, by index.
    pub sent: BTreeMap<u32, Sent>,
    /// The parts that were confirmed, by index.
    pub held: BTreeMap<u32, Receipt>,
}

impl History {
    /// One step more.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Session { token, total, path } => {
                let (sent, held) = (BTreeMap::new(), BTreeMap::new());
                self.session = Some(OpenSession { token, total, path, sent, held });
            }
            Record::Sent(mut sent) => {
                if let Some(session) = &mut self.session {
                    // Whatever was said of that part before was said of other bytes.
                    session.held.remove(&sent.index);
                    sent.rewritten |= session.sent.get(&sent.index).is_some_and(|before| before.rewritten);
                    session.sent.insert(sent.index, sent);
                }
            }
            Record::Held(receipt) => {
                if let Some(session) = &mut self.session {
                    if let Some(sent) = session.sent.get_mut(&receipt.index) {
                        sent.rewritten = false;
                    }
                    session.held.insert(receipt.index, receipt);
                }
            }
            Record::Asked(spec) => self.asked = Some(spec),
            Record::Refused => self.asked = None,
            Record::Abandoned => self.session = None,
        }
    }

    /// The records that come to this.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(OpenSession { token, total, path, sent, held }) = &self.session {
            records.push(Record::Session { token: token.clone(), total: *total, path: path.clone() });
            records.extend(sent.values().cloned().map(Record::Sent));
            records.extend(held.values().cloned().map(Record::Held));
        }
        records.extend(self.asked.clone().map(Record::Asked));
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str) -> SessionToken {
        SessionToken { id: id.into(), state: serde_json::Value::Null }
    }

    fn sent(index: u32, range: Range<u64>) -> Record {
        Record::Sent(Sent { index, range, last: false, rewritten: false })
    }

    fn held(index: u32, range: Range<u64>) -> Record {
        Record::Held(Receipt { index, range, state: serde_json::Value::Null })
    }

    fn history(records: impl IntoIterator<Item = Record>) -> History {
        let mut history = History::default();
        records.into_iter().for_each(|record| history.add(record));
        history
    }

    #[test]
    fn names_lead_back_to_their_entry() {
        let id = EntryId(0x2a);
        assert_eq!(id.info(), "000000000000002a.info");
        for (name, ending) in [(id.info(), "info"), (id.data(), "data"), (id.log(), "log")] {
            assert_eq!(EntryId::of(&name), Some((id, ending)));
        }
        for other in ["lock", "2a.info", "000000000000002g.info", "000000000000002a"] {
            assert_eq!(EntryId::of(other), None, "{other}");
        }
    }

    #[test]
    fn records_come_to_a_history_and_back() {
        let session = Record::Session { token: token("s"), total: Some(30), path: RemotePath::root() };
        let steps = [session, sent(0, 0..10), held(0, 0..10), sent(1, 10..20), sent(2, 20..30), held(2, 20..30)];
        let whole = history(steps);
        let session = whole.session.as_ref().unwrap();
        assert_eq!(session.sent.len(), 3);
        assert_eq!(session.held.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(history(whole.records()), whole);
    }

    #[test]
    fn what_was_said_of_other_bytes_no_longer_counts() {
        let session = Record::Session { token: token("s"), total: None, path: RemotePath::root() };
        let rewritten = history([session.clone(), sent(0, 0..10), held(0, 0..10), sent(0, 0..10)]);
        assert!(rewritten.session.unwrap().held.is_empty());
        let again = Record::Sent(Sent { index: 0, range: 0..10, last: false, rewritten: true });
        let in_doubt = history([session.clone(), again.clone(), sent(0, 0..10)]);
        assert!(in_doubt.session.unwrap().sent[&0].rewritten, "nobody knows which bytes the service has");
        let confirmed = history([session.clone(), again, held(0, 0..10)]);
        assert!(!confirmed.session.unwrap().sent[&0].rewritten);
        let another = history([
            session,
            sent(0, 0..10),
            Record::Session { token: token("t"), total: None, path: RemotePath::root() },
        ]);
        assert_eq!(another.session.map(|session| (session.token.id, session.sent.len())), Some(("t".into(), 0)));
        assert_eq!(history([held(0, 0..10), Record::Abandoned, Record::Refused]), History::default());
    }

    #[test]
    fn a_reason_is_the_error_again() {
        let error = Error::new(Kind::Quota, "upload", "no space left").hint("buy some");
        let again = Error::from(Reason::from(&error));
        assert_eq!((again.kind, again.to_string()), (error.kind, error.to_string()));
    }
}
