//! Everything an ONLYOFFICE portal remembers, in memory and behind one lock: entries, sessions, tokens, operations. It
//! is loaded from the store's records and tells its journal what changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::config::{Settings, Storage};
use super::dates;
use super::errors::{Failure, Message, NULL_REFERENCE};
use super::generation::Version;
use super::operations::Operations;
use super::session::{LIFE, Session};
use super::tree::{self, Tree};
use crate::portal::arrivals::Arrival;
use crate::portal::journal::Journal;
use crate::portal::store::{Content, Records};

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Token {
    /// Whose it is.
    pub(super) user: String,
    pub(super) expires: OffsetDateTime,
}

/// The memory of a portal.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) version: Version,
    pub(super) tree: Tree,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) tokens: BTreeMap<String, Token>,
    /// Users for whom an upload replaces a file of the same title, where that is a setting.
    pub(super) replacers: BTreeSet<String>,
    pub(super) operations: Operations,
    /// When wrong passwords came, by user.
    pub(super) wrong_passwords: HashMap<String, Vec<OffsetDateTime>>,
    /// What sessions left behind on the disk for ever, by session.
    leaks: BTreeMap<String, Content>,
    pub(super) journal: Journal,
    /// What sessions have made, until it is durable.
    pub(super) arrived: Vec<Arrival>,
}

const SESSION_PREFIX: &str = "session/";
const TOKEN_PREFIX: &str = "token/";
const REPLACER_PREFIX: &str = "replacer/";
const LEAK_PREFIX: &str = "leak/";

impl Office {
    /// The memory of a portal that starts on these records.
    pub(super) fn load(
        version: Version,
        settings: &Settings,
        records: Records,
        now: OffsetDateTime,
    ) -> io::Result<Office> {
        let mut office = Office {
            version,
            tree: Tree::new(dates::to_seconds(now)),
            sessions: BTreeMap::new(),
            tokens: BTreeMap::new(),
            replacers: BTreeSet::new(),
            operations: Operations::default(),
            wrong_passwords: HashMap::new(),
            leaks: BTreeMap::new(),
            journal: Journal::default(),
            arrived: Vec::new(),
        };
        for (key, value) in records {
            office.load_record(&key, value).map_err(|error| io::Error::other(format!("record {key}: {error}")))?;
        }
        office.survive_restart(settings, now);
        Ok(office)
    }

    fn load_record(&mut self, key: &str, value: serde_json::Value) -> serde_json::Result<()> {
        fn read<T: DeserializeOwned>(value: serde_json::Value) -> serde_json::Result<T> {
            serde_json::from_value(value)
        }
        if key == tree::LAST_ID_KEY {
            self.tree.skip_ids(read(value)?);
        } else if key.starts_with(tree::FOLDER_PREFIX) {
            self.tree.insert_folder(read(value)?);
        } else if key.starts_with(tree::FILE_PREFIX) {
            let file: tree::File = read(value)?;
            file.revisions.iter().for_each(|revision| self.journal.hold(&revision.content));
            self.tree.insert_file(file);
        } else if let Some(id) = key.strip_prefix(SESSION_PREFIX) {
            let session: Session = read(value)?;
            session.objects.values().for_each(|segment| self.journal.hold_one(segment));
            self.sessions.insert(id.to_owned(), session);
        } else if let Some(token) = key.strip_prefix(TOKEN_PREFIX) {
            self.tokens.insert(token.to_owned(), read(value)?);
        } else if let Some(user) = key.strip_prefix(REPLACER_PREFIX) {
            self.replacers.insert(user.to_owned());
        } else if let Some(id) = key.strip_prefix(LEAK_PREFIX) {
            let content: Content = read(value)?;
            self.journal.hold(&content);
            self.leaks.insert(id.to_owned(), content);
        }
        Ok(())
    }

    /// What a start does to sessions: a cache in memory has lost them; session files are removed when they are old.
    fn survive_restart(&mut self, settings: &Settings, now: OffsetDateTime) {
        let numbers = self.version.numbers_chunks();
        let is_lost = |session: &Session| match numbers {
            true => !settings.sessions_survive,
            false => now - session.created >= LIFE,
        };
        let lost: Vec<String> =
            self.sessions.values().filter(|session| is_lost(session)).map(|session| session.id.clone()).collect();
        for id in lost {
            self.lose_session(&id, settings.storage);
        }
    }

    /// The session, if it is alive.
    ///
    /// # Errors
    /// What the generation says about a session that it does not know.
    pub(super) fn session(&mut self, id: &str, storage: Storage, now: OffsetDateTime) -> Result<&mut Session, Failure> {
        if self.version.numbers_chunks() && self.sessions.get(id).is_some_and(|session| session.is_expired(now)) {
            self.lose_session(id, storage);
        }
        let gone = self.gone();
        self.sessions.get_mut(id).ok_or(gone)
    }

    /// What the generation says about a session that it does not know.
    pub(super) fn gone(&self) -> Failure {
        if self.version.numbers_chunks() { Failure::Fault(NULL_REFERENCE) } else { Failure::FileMissing }
    }

    /// Notes the session's present state.
    pub(super) fn keep_session(&mut self, id: &str) {
        if let Some(session) = self.sessions.get(id) {
            self.journal.put(format!("{SESSION_PREFIX}{id}"), session);
        }
    }

    pub(super) fn add_session(&mut self, session: Session) {
        let id = session.id.clone();
        self.sessions.insert(id.clone(), session);
        self.keep_session(&id);
    }

    /// Forgets a session; its chunks stay with the caller.
    pub(super) fn take_session(&mut self, id: &str) -> Option<Session> {
        let session = self.sessions.remove(id)?;
        self.journal.remove(format!("{SESSION_PREFIX}{id}"));
        Some(session)
    }

    /// Removes a session with its chunks.
    pub(super) fn drop_session(&mut self, id: &str) {
        if let Some(session) = self.take_session(id) {
            session.objects.values().for_each(|segment| self.journal.release_one(segment));
        }
    }

    /// The portal forgets a session without cleaning up. On a disk its chunks stay for ever where chunks are objects;
    /// elsewhere somebody collects them.
    pub(super) fn lose_session(&mut self, id: &str, storage: Storage) {
        if !self.version.numbers_chunks() || storage == Storage::S3 {
            self.drop_session(id);
            return;
        }
        let Some(session) = self.take_session(id) else { return };
        let content = Content(session.objects.into_values().collect());
        if content.bytes() > 0 {
            self.journal.put(format!("{LEAK_PREFIX}{id}"), &content);
            self.leaks.insert(id.to_owned(), content);
        } else {
            self.journal.release(&content);
        }
    }

    /// Forgets every session whose time is over.
    pub(super) fn lose_expired(&mut self, storage: Storage, now: OffsetDateTime) {
        if !self.version.numbers_chunks() {
            return;
        }
        let expired: Vec<String> = self
            .sessions
            .values()
            .filter(|session| session.is_expired(now))
            .map(|session| session.id.clone())
            .collect();
        expired.iter().for_each(|id| self.lose_session(id, storage));
    }

    /// Bytes that nobody will remove: those of lost sessions, and those of sessions whose abort failed.
    pub(super) fn leaked_bytes(&self) -> u64 {
        let abandoned = self.sessions.values().filter(|session| session.abandoned);
        let abandoned: u64 = abandoned.map(Session::held_bytes).sum();
        abandoned + self.leaks.values().map(Content::bytes).sum::<u64>()
    }

    pub(super) fn add_token(&mut self, token: &str, value: Token) {
        self.journal.put(format!("{TOKEN_PREFIX}{token}"), &value);
        self.tokens.insert(token.to_owned(), value);
    }

    pub(super) fn revoke_token(&mut self, token: &str) {
        if self.tokens.remove(token).is_some() {
            self.journal.remove(format!("{TOKEN_PREFIX}{token}"));
        }
    }

    pub(super) fn set_replacer(&mut self, user: &str, replaces: bool) {
        let key = format!("{REPLACER_PREFIX}{user}");
        if replaces {
            self.journal.put(key, &true);
            self.replacers.insert(user.to_owned());
        } else {
            self.journal.remove(key);
            self.replacers.remove(user);
        }
    }

    /// The largest file that would be taken now, and whether it is.
    ///
    /// # Errors
    /// The size exceeds the largest file or the free space: the servers say the same of both.
    pub(super) fn check_size(&self, bytes: i64, settings: &Settings) -> Result<(), Failure> {
        let free = settings.total_bytes.map_or(u64::MAX, |total| total.saturating_sub(self.tree.used_bytes()));
        let max = settings.file_bytes_max.min(free);
        if u64::try_from(bytes).is_ok_and(|bytes| bytes > max) {
            return Err(Failure::Quota(Message::FileTooLarge(max)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::generation::Generation;
    use super::super::session::tests::session;
    use super::*;
    use crate::portal::store::Segment;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn office(generation: Generation) -> Office {
        Office::load(generation.version(), &Settings::default(), Records::new(), NOW).unwrap()
    }

    fn with_chunk(office: &mut Office) -> String {
        let mut session = session(24, 10);
        let segment = Segment { blob: 5, bytes: 10 };
        office.journal.hold_one(&segment);
        session.append(segment);
        let id = session.id.clone();
        office.add_session(session);
        id
    }

    #[test]
    fn an_expired_session_leaves_its_chunks_on_a_disk() {
        for (storage, leaked) in [(Storage::Disk, 10), (Storage::S3, 0)] {
            let mut office = office(Generation::G2);
            let id = with_chunk(&mut office);
            assert!(office.session(&id, storage, NOW + LIFE - time::Duration::SECOND).is_ok());
            assert_eq!(office.session(&id, storage, NOW + LIFE), Err(Failure::Fault(NULL_REFERENCE)));
            assert_eq!(office.leaked_bytes(), leaked);
            assert_eq!(office.journal.held().contains(&5), storage == Storage::Disk);
        }
    }

    #[test]
    fn sessions_in_files_do_not_expire_while_the_portal_runs() {
        let mut office = office(Generation::G0);
        let id = with_chunk(&mut office);
        assert!(office.session(&id, Storage::Disk, NOW + LIFE * 9).is_ok());
        assert_eq!(office.session("other", Storage::Disk, NOW), Err(Failure::FileMissing));
    }

    #[test]
    fn a_restart_keeps_what_a_real_portal_keeps() {
        let cases = [
            (Generation::G3, false, NOW, (0, 10)),
            (Generation::G3, true, NOW, (1, 0)),
            (Generation::G1, false, NOW, (1, 0)),
            (Generation::G1, false, NOW + LIFE, (0, 0)),
        ];
        for (generation, sessions_survive, now, expected) in cases {
            let mut before = office(generation);
            with_chunk(&mut before);
            before.tree.make_folder(tree::MY, "kept", NOW, &mut before.journal);
            before.add_token("t", Token { user: "u".into(), expires: NOW });
            before.set_replacer("u", true);
            let settings = Settings { sessions_survive, ..Settings::default() };
            let after = Office::load(generation.version(), &settings, before.journal.take_records(), now).unwrap();
            assert_eq!((after.sessions.len(), after.leaked_bytes()), expected, "{generation:?}");
            assert_eq!((after.tokens.len(), after.replacers.len()), (1, 1));
            assert_eq!(after.tree.folders_in(tree::MY).count(), 1);
        }
    }

    #[test]
    fn the_free_space_limits_the_largest_file() {
        let office = office(Generation::G3);
        let settings = Settings { file_bytes_max: 100, total_bytes: Some(50), ..Settings::default() };
        assert_eq!(office.check_size(50, &settings), Ok(()));
        assert_eq!(office.check_size(51, &settings), Err(Failure::Quota(Message::FileTooLarge(50))));
        assert_eq!(office.check_size(-9, &settings), Ok(()), "no size is too small");
    }
}
