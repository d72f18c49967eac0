//! Everything a wiki remembers, in memory and behind one lock: pages, attachments, sessions, what was deleted and can come
//! back, operations, tokens. It is loaded from the store's records and tells its journal what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::attachments::Attachment;
use super::operations::Operation;
use super::pages::Page;
use super::session::Session;
use crate::portal::arrivals::Arrival;
use crate::portal::journal::Journal;
use crate::portal::store::Records;

/// Pages that were deleted together, with what was attached to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Deleted {
    /// The page that was named; the others lay below it.
    pub(super) root: u64,
    pub(super) pages: Vec<Page>,
    pub(super) attachments: Vec<Attachment>,
}

/// The memory of a wiki.
#[derive(Debug, Default)]
pub(super) struct Wiki {
    pub(super) pages: BTreeMap<u64, Page>,
    pub(super) attachments: BTreeMap<u64, Attachment>,
    pub(super) sessions: BTreeMap<String, Session>,
    /// By their recovery tokens.
    pub(super) deleted: BTreeMap<String, Deleted>,
    pub(super) operations: BTreeMap<String, Operation>,
    /// Tokens that are not good any more.
    pub(super) revoked: BTreeSet<String>,
    /// When IAM tokens were used first.
    pub(super) iam_tokens: BTreeMap<String, OffsetDateTime>,
    last_id: u64,
    pub(super) journal: Journal,
    /// What arrived and was not told yet.
    pub(super) arrived: Vec<Arrival>,
}

const PAGE_PREFIX: &str = "page/";
const ATTACHMENT_PREFIX: &str = "attachment/";
const SESSION_PREFIX: &str = "session/";
const DELETED_PREFIX: &str = "deleted/";
const OPERATION_PREFIX: &str = "operation/";
const REVOKED_PREFIX: &str = "revoked/";
const IAM_PREFIX: &str = "iam/";
const LAST_ID_KEY: &str = "last_id";

/// The number before the first id; real ones have eight digits.
const FIRST_ID: u64 = 1000;

impl Wiki {
    /// The memory of a wiki that starts on these records.
    pub(super) fn load(records: Records) -> io::Result<Wiki> {
        let mut wiki = Wiki { last_id: FIRST_ID, ..Wiki::default() };
        for (key, value) in records {
            wiki.load_record(&key, value).map_err(|error| io::Error::other(format!("record {key}: {error}")))?;
        }
        Ok(wiki)
    }

    fn load_record(&mut self, key: &str, value: Value) -> serde_json::Result<()> {
        fn read<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
            serde_json::from_value(value)
        }
        if key == LAST_ID_KEY {
            self.last_id = read(value)?;
        } else if key.starts_with(PAGE_PREFIX) {
            let page: Page = read(value)?;
            self.pages.insert(page.id, page);
        } else if key.starts_with(ATTACHMENT_PREFIX) {
            let attachment: Attachment = read(value)?;
            self.journal.hold(&attachment.content);
            self.attachments.insert(attachment.id, attachment);
        } else if let Some(id) = key.strip_prefix(SESSION_PREFIX) {
            let session: Session = read(value)?;
            self.journal.hold(&session.content());
            self.sessions.insert(id.to_owned(), session);
        } else if let Some(token) = key.strip_prefix(DELETED_PREFIX) {
            let deleted: Deleted = read(value)?;
            deleted.attachments.iter().for_each(|attachment| self.journal.hold(&attachment.content));
            self.deleted.insert(token.to_owned(), deleted);
        } else if let Some(id) = key.strip_prefix(OPERATION_PREFIX) {
            self.operations.insert(id.to_owned(), read(value)?);
        } else if let Some(token) = key.strip_prefix(REVOKED_PREFIX) {
            self.revoked.insert(token.to_owned());
        } else if let Some(token) = key.strip_prefix(IAM_PREFIX) {
            self.iam_tokens.insert(token.to_owned(), read(value)?);
        }
        Ok(())
    }

    /// Whether nothing was ever in it.
    pub(super) fn is_new(&self) -> bool {
        self.last_id == FIRST_ID
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.journal.put(LAST_ID_KEY.to_owned(), &self.last_id);
        self.last_id
    }

    /// Notes the session's present state.
    pub(super) fn keep_session(&mut self, id: &str) {
        if let Some(session) = self.sessions.get(id) {
            self.journal.put(format!("{SESSION_PREFIX}{id}"), session);
        }
    }

    /// Forgets a session as if it had never been.
    pub(super) fn lose_session(&mut self, id: &str) {
        if let Some(session) = self.sessions.remove(id) {
            self.journal.release(&session.content());
            self.journal.remove(format!("{SESSION_PREFIX}{id}"));
        }
    }

    /// Puts a page in, or what it has become.
    pub(super) fn keep_page(&mut self, page: Page) {
        self.journal.put(format!("{PAGE_PREFIX}{}", page.id), &page);
        self.pages.insert(page.id, page);
    }

    pub(super) fn take_page(&mut self, id: u64) -> Option<Page> {
        let page = self.pages.remove(&id)?;
        self.journal.remove(format!("{PAGE_PREFIX}{id}"));
        Some(page)
    }

    /// Puts an attachment in; whoever does holds its content for it.
    pub(super) fn keep_attachment(&mut self, attachment: Attachment) {
        self.journal.put(format!("{ATTACHMENT_PREFIX}{}", attachment.id), &attachment);
        self.attachments.insert(attachment.id, attachment);
    }

    /// Takes an attachment out; its content stays held, for the caller.
    pub(super) fn take_attachment(&mut self, id: u64) -> Option<Attachment> {
        let attachment = self.attachments.remove(&id)?;
        self.journal.remove(format!("{ATTACHMENT_PREFIX}{id}"));
        Some(attachment)
    }

    pub(super) fn keep_deleted(&mut self, token: &str, deleted: Deleted) {
        self.journal.put(format!("{DELETED_PREFIX}{token}"), &deleted);
        self.deleted.insert(token.to_owned(), deleted);
    }

    pub(super) fn take_deleted(&mut self, token: &str) -> Option<Deleted> {
        let deleted = self.deleted.remove(token)?;
        self.journal.remove(format!("{DELETED_PREFIX}{token}"));
        Some(deleted)
    }

    pub(super) fn keep_operation(&mut self, id: &str, operation: Operation) {
        self.journal.put(format!("{OPERATION_PREFIX}{id}"), &operation);
        self.operations.insert(id.to_owned(), operation);
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.journal.put(format!("{REVOKED_PREFIX}{token}"), &true);
        self.revoked.insert(token.to_owned());
    }

    /// When an IAM token was used first; now, where it never was.
    pub(super) fn first_use(&mut self, token: &str, now: OffsetDateTime) -> OffsetDateTime {
        if !self.iam_tokens.contains_key(token) {
            self.journal.put(format!("{IAM_PREFIX}{token}"), &now);
        }
        *self.iam_tokens.entry(token.to_owned()).or_insert(now)
    }

    /// The bytes of all attachments.
    pub(super) fn used_bytes(&self) -> u64 {
        self.attachments.values().map(|attachment| attachment.content.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::session::tests::session;
    use super::*;
    use crate::portal::store::Segment;

    #[test]
    fn everything_is_there_after_a_restart() {
        let mut wiki = Wiki::load(Records::new()).unwrap();
        assert!(wiki.is_new());
        let now = OffsetDateTime::UNIX_EPOCH;
        let page = wiki.make_page("a/b", "B", "user", now);
        let mut held = session(10);
        held.put(1, Segment { blob: 5, bytes: 10 });
        wiki.journal.hold(&held.content());
        wiki.sessions.insert(held.id.clone(), held);
        wiki.keep_session("a");
        wiki.revoke("old");
        assert_eq!(wiki.first_use("t1", now), now);
        assert_eq!(wiki.first_use("t1", now + time::Duration::HOUR), now);

        let mut after = Wiki::load(wiki.journal.take_records()).unwrap();
        assert!(!after.is_new());
        assert_eq!((&after.pages, &after.sessions), (&wiki.pages, &wiki.sessions));
        assert_eq!(after.journal.held(), [5].into());
        assert!(after.revoked.contains("old") && after.iam_tokens.contains_key("t1"));
        assert!(after.next_id() > page, "ids are not used again");
        after.lose_session("a");
        assert_eq!(after.journal.take().1, [5]);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_told() {
        let records = Records::from([("page/7".to_owned(), serde_json::json!({"id": "x"}))]);
        assert!(Wiki::load(records).unwrap_err().to_string().contains("page/7"));
    }
}
