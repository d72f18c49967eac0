//! Everything a folder remembers, in memory and behind one lock: files, the keys of creates, tokens, what has expired. It
//! is loaded from the store's records and tells its journal what changes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;

use super::calls::Dialect;
use super::errors::Failure;
use super::file::{File, new_id};
use super::settings::Settings;
use crate::portal::arrivals::Arrival;
use crate::portal::journal::Journal;
use crate::portal::store::Records;

const FILE_PREFIX: &str = "file/";
const KEY_PREFIX: &str = "key/";
const EXPIRED_PREFIX: &str = "expired/";
const REVOKED_PREFIX: &str = "revoked/";
const IAM_PREFIX: &str = "iam/";

/// What a create would make again if it were sent again: whose, which name, which content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Made {
    pub(super) account: String,
    pub(super) name: String,
    pub(super) md5: String,
}

impl Made {
    pub(super) fn of(file: &File) -> Made {
        Made { account: file.created_by.clone(), name: file.name.clone(), md5: file.md5.clone() }
    }
}

/// What a create has come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Created {
    /// A new file, with what was wrong with asking for it.
    New { id: String, was_in_doubt: bool },
    /// The file of an earlier create with the same key, and whether it has the same content.
    Earlier { id: String, is_same: bool },
}

/// A file that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Without an id.
    pub(super) file: File,
    /// The `Idempotency-Key`, where it counts.
    pub(super) key: Option<String>,
    /// A fault: there is room for no more files.
    pub(super) quota_is_used_up: bool,
}

/// The memory of a folder.
#[derive(Debug, Default)]
pub(super) struct Cloud {
    pub(super) files: BTreeMap<String, File>,
    /// The files of creates, by account and key.
    keys: BTreeMap<String, String>,
    /// The ids of files that have expired.
    pub(super) expired: BTreeSet<String>,
    /// Credentials that are not good any more.
    pub(super) revoked: BTreeSet<String>,
    /// When IAM tokens were used first.
    iam_tokens: BTreeMap<String, OffsetDateTime>,
    /// Creates whose client cannot know that they were done.
    pub(super) doubts: BTreeSet<Made>,
    /// What has arrived since the last time that somebody asked.
    pub(super) arrived: Vec<Arrival>,
    pub(super) journal: Journal,
}

impl Cloud {
    /// The memory of a folder that starts on these records.
    pub(super) fn load(records: Records) -> io::Result<Cloud> {
        let mut cloud = Cloud::default();
        for (key, value) in records {
            cloud.load_record(&key, value).map_err(|error| io::Error::other(format!("record {key}: {error}")))?;
        }
        Ok(cloud)
    }

    fn load_record(&mut self, key: &str, value: Value) -> serde_json::Result<()> {
        fn read<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
            serde_json::from_value(value)
        }
        if let Some(id) = key.strip_prefix(FILE_PREFIX) {
            let file: File = read(value)?;
            self.journal.hold(&file.content);
            self.files.insert(id.to_owned(), file);
        } else if let Some(key) = key.strip_prefix(KEY_PREFIX) {
            self.keys.insert(key.to_owned(), read(value)?);
        } else if let Some(id) = key.strip_prefix(EXPIRED_PREFIX) {
            self.expired.insert(id.to_owned());
        } else if let Some(text) = key.strip_prefix(REVOKED_PREFIX) {
            self.revoked.insert(text.to_owned());
        } else if let Some(token) = key.strip_prefix(IAM_PREFIX) {
            self.iam_tokens.insert(token.to_owned(), read(value)?);
        }
        Ok(())
    }

    /// Puts a file in, or what it has become; whoever puts a new one in holds its content for it.
    fn keep(&mut self, file: File) {
        self.journal.put(format!("{FILE_PREFIX}{}", file.id), &file);
        self.files.insert(file.id.clone(), file);
    }

    /// Takes a file out, with everything that leads to it.
    fn take(&mut self, id: &str) -> Option<File> {
        let file = self.files.remove(id)?;
        self.journal.remove(format!("{FILE_PREFIX}{id}"));
        self.journal.release(&file.content);
        let keys: Vec<String> = self.keys.iter().filter(|(_, of)| *of == id).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.keys.remove(&key);
            self.journal.remove(format!("{KEY_PREFIX}{key}"));
        }
        Some(file)
    }

    /// Makes a file. Where it makes none, the content that was written for it is garbage.
    pub(super) fn create(&mut self, draft: Draft, settings: &Settings) -> Result<Created, Failure> {
        let Draft { mut file, key, quota_is_used_up } = draft;
        self.journal.hold(&file.content);
        let key = key.map(|key| format!("{}/{key}", file.created_by));
        if let Some(earlier) = key.as_ref().and_then(|key| self.files.get(self.keys.get(key)?)) {
            let created = Created::Earlier { id: earlier.id.clone(), is_same: Made::of(earlier) == Made::of(&file) };
            self.journal.release(&file.content);
            // The answer tells as much as a look would.
            self.doubts.remove(&Made::of(&file));
            return Ok(created);
        }
        if quota_is_used_up || self.files.len() >= settings.files_max {
            self.journal.release(&file.content);
            return Err(Failure::quota());
        }
        let was_in_doubt = self.doubts.remove(&Made::of(&file));
        file.id = new_id();
        let id = file.id.clone();
        if let Some(key) = key {
            self.journal.put(format!("{KEY_PREFIX}{key}"), &id);
            self.keys.insert(key, id.clone());
        }
        self.keep(file);
        Ok(Created::New { id, was_in_doubt })
    }

    /// A file that this dialect knows.
    pub(super) fn file(&self, id: &str, dialect: Dialect, settings: &Settings) -> Result<&File, Failure> {
        let is_known = |file: &&File| !settings.dialects_apart || file.dialect == dialect;
        self.files.get(id).filter(is_known).ok_or_else(|| Failure::no_file(id))
    }

    /// Changes a file.
    pub(super) fn update(&mut self, id: &str, change: impl FnOnce(&mut File)) {
        if let Some(mut file) = self.files.get(id).cloned() {
            change(&mut file);
            self.keep(file);
        }
    }

    /// Removes a file.
    pub(super) fn delete(&mut self, id: &str) {
        self.take(id);
    }

    /// Removes the files whose time has come.
    pub(super) fn expire(&mut self, now: OffsetDateTime) {
        let is_over = |file: &&File| file.expires_at.is_some_and(|end| end <= now);
        let over: Vec<String> = self.files.values().filter(is_over).map(|file| file.id.clone()).collect();
        for id in over {
            self.take(&id);
            self.journal.put(format!("{EXPIRED_PREFIX}{id}"), &true);
            self.expired.insert(id);
        }
    }

    pub(super) fn revoke(&mut self, credential: &str) {
        self.journal.put(format!("{REVOKED_PREFIX}{credential}"), &true);
        self.revoked.insert(credential.to_owned());
    }

    /// When an IAM token was used first; now, where it never was.
    pub(super) fn first_use(&mut self, token: &str, now: OffsetDateTime) -> OffsetDateTime {
        if !self.iam_tokens.contains_key(token) {
            self.journal.put(format!("{IAM_PREFIX}{token}"), &now);
        }
        *self.iam_tokens.entry(token.to_owned()).or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::super::errors::tests::code;
    use super::super::file::tests::file;
    use super::*;
    use crate::portal::store::{Content, Segment};

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn draft(blob: u64, key: Option<&str>) -> Draft {
        let content = Content(vec![Segment { blob, bytes: 3 }]);
        Draft { file: File { content, ..file("") }, key: key.map(str::to_owned), quota_is_used_up: false }
    }

    /// The id of a file that was made anew.
    #[track_caller]
    fn new(cloud: &mut Cloud, draft: Draft) -> String {
        match cloud.create(draft, &Settings::default()) {
            Ok(Created::New { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything_is_there_after_a_restart() {
        let mut cloud = Cloud::default();
        let id = new(&mut cloud, draft(1, Some("k")));
        let gone = new(&mut cloud, draft(2, None));
        cloud.update(&gone, |file| file.expires_at = Some(NOW));
        cloud.expire(NOW);
        cloud.revoke("old");
        cloud.first_use("t1", NOW);
        let mut after = Cloud::load(cloud.journal.take_records()).unwrap();
        assert_eq!((&after.files, &after.keys, &after.expired), (&cloud.files, &cloud.keys, &cloud.expired));
        assert_eq!((after.journal.held(), after.expired.contains(&gone)), ([1].into(), true));
        assert!(after.revoked.contains("old") && after.first_use("t1", NOW + Duration::HOUR) == NOW);
        after.delete(&id);
        assert_eq!(after.journal.take().1, [1]);
        assert_eq!(after.keys, BTreeMap::new());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_told() {
        let records = Records::from([("file/7".to_owned(), serde_json::json!({"id": 1}))]);
        assert!(Cloud::load(records).unwrap_err().to_string().contains("file/7"));
    }

    #[test]
    fn the_same_name_twice_makes_two() {
        let mut cloud = Cloud::default();
        assert_ne!(new(&mut cloud, draft(1, None)), new(&mut cloud, draft(2, None)));
        assert_eq!((cloud.files.len(), cloud.journal.take().1), (2, vec![]));
    }

    #[test]
    fn the_same_key_twice_makes_one() {
        let (mut cloud, settings) = (Cloud::default(), Settings::default());
        let id = new(&mut cloud, draft(1, Some("k")));
        let again = cloud.create(draft(2, Some("k")), &settings).unwrap();
        assert_eq!(again, Created::Earlier { id: id.clone(), is_same: true });
        let mut other = draft(3, Some("k"));
        other.file.md5 = "x".into();
        assert_eq!(cloud.create(other, &settings).unwrap(), Created::Earlier { id: id.clone(), is_same: false });
        assert_eq!(cloud.journal.take().1, [2, 3], "their contents are garbage");
        let mut stranger = draft(4, Some("k"));
        stranger.file.created_by = "other".into();
        new(&mut cloud, stranger);
        cloud.delete(&id);
        new(&mut cloud, draft(5, Some("k")));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let (mut cloud, settings) = (Cloud::default(), Settings { files_max: 1, ..Settings::default() });
        let id = new(&mut cloud, draft(1, None));
        assert_eq!(code(cloud.create(draft(2, None), &settings)), 8);
        cloud.delete(&id);
        let full = Draft { quota_is_used_up: true, ..draft(3, None) };
        assert_eq!(code(cloud.create(full, &settings)), 8);
        assert_eq!((cloud.journal.take().1, cloud.files.len()), (vec![2, 1, 3], 0));
    }

    #[test]
    fn files_go_when_their_time_has_come() {
        let mut cloud = Cloud::default();
        let id = new(&mut cloud, draft(1, None));
        cloud.expire(NOW + Duration::days(7) - Duration::SECOND);
        assert!(cloud.files.contains_key(&id));
        cloud.expire(NOW + Duration::days(7));
        assert!(cloud.files.is_empty() && cloud.expired.contains(&id));
        assert_eq!(cloud.journal.take().1, [1]);
    }

    #[test]
    fn a_create_that_is_sent_again_in_doubt_is_noticed() {
        let mut cloud = Cloud::default();
        let id = new(&mut cloud, draft(1, None));
        cloud.doubts.insert(Made::of(&cloud.files[&id]));
        for expected in [true, false] {
            let created = cloud.create(draft(2, None), &Settings::default()).unwrap();
            assert!(matches!(created, Created::New { was_in_doubt, .. } if was_in_doubt == expected));
        }
        let keyed = new(&mut cloud, draft(3, Some("k")));
        cloud.doubts.insert(Made::of(&cloud.files[&keyed]));
        cloud.create(draft(4, Some("k")), &Settings::default()).unwrap();
        assert!(cloud.doubts.is_empty(), "the key has told");
    }

    #[test]
    fn dialects_may_be_strangers() {
        let mut cloud = Cloud::default();
        let id = new(&mut cloud, draft(1, None));
        let apart = Settings { dialects_apart: true, ..Settings::default() };
        assert_eq!(code(cloud.file(&id, Dialect::Openai, &Settings::default())), 0);
        assert_eq!(code(cloud.file(&id, Dialect::Openai, &apart)), 5);
        assert_eq!(code(cloud.file(&id, Dialect::Native, &apart)), 0);
    }
}
