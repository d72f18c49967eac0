//! What a mount says about itself in `.uploadfs/status`: which of its files the service does not have as they are, and
//! whether the service can be reached. Data and arithmetic only; `control.rs` gathers the facts, and the commands for a
//! live mount read the text.
//!
//! **Schema**, version 1. One object in one line of JSON:
//!
//! | key       | value                                                                                           |
//! |-----------|-------------------------------------------------------------------------------------------------|
//! | `version` | 1. It grows when a key changes its meaning or goes; new keys may come at any time               |
//! | `remote`  | the name of the remote                                                                          |
//! | `service` | its kind, as in the configuration                                                               |
//! | `state`   | `online`, or `offline`: the last request got no answer                                          |
//! | `since`   | when the service first gave no answer (RFC 3339, UTC, to the second); null while online          |
//! | `error`   | what became of the last request; null while online                                              |
//! | `files`   | everything that the service does not have as it is, by path, see below                          |
//! | `totals`  | over `files`: `files` how many, `bytes`, `sent`, and `parked`, how many of them are parked      |
//! | `memory`  | `used` and `max`: bytes of memory for contents                                                   |
//! | `spool`   | `used` and `max`: bytes on the disk of the spool                                                 |
//!
//! A file has its `path` in the mount (with a slash before), its `state` ([`FileState`]), its size in `bytes`, how many
//! of them the service holds of this version (`sent`), and, while it is parked, why (`error`, otherwise null).

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::file::Health;
use crate::path::RemotePath;
use crate::service::layer::Offline;

/// The version of the schema.
pub const VERSION: u32 = 1;

/// The schema; see the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the schema.
    pub version: u32,
    /// The name of the remote.
    pub remote: String,
    /// The kind of the service.
    pub service: String,
    /// Whether the service can be reached.
    pub state: Reachable,
    /// Since when it cannot be.
    pub since: Option<String>,
    /// Why it cannot be.
    pub error: Option<String>,
    /// What the service does not have as it is.
    pub files: Vec<FileStatus>,
    /// Sums over `files`.
    pub totals: Totals,
    /// Memory for contents.
    pub memory: Space,
    /// Disk space for contents.
    pub spool: Space,
}

/// Whether the service can be reached, as far as requests have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reachable {
    /// It answers.
    Online,
    /// It does not.
    Offline,
}

/// One file that the service does not have as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// The path in the mount, with a slash before.
    pub path: String,
    /// What is the matter with it.
    pub state: FileState,
    /// Its size.
    pub bytes: u64,
    /// Bytes the service holds of this version.
    pub sent: u64,
    /// Why it is parked.
    pub error: Option<String>,
}

/// What is the matter with a file; the words of `user.uploadfs.state`, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// A program has it open for writing, and nothing failed.
    Open,
    /// It is complete, and waits for its turn to be sent.
    Waiting,
    /// It is complete, and on its way.
    Uploading,
    /// It could not be sent, or was not to be: somebody has to decide.
    Parked,
    /// It stays in the mount: the service takes no empty files.
    Local,
}

/// Sums over files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of these the service holds.
    pub sent: u64,
    /// How many of the files are parked.
    pub parked: u64,
}

/// Room, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// In use.
    pub used: u64,
    /// What may be used.
    pub max: u64,
}

/// What a status is made of.
pub(super) struct Facts<'a> {
    pub(super) remote: &'a str,
    pub(super) service: &'a str,
    pub(super) offline: Option<Offline>,
    /// Any files: those that the service has are left out.
    pub(super) files: Vec<Fact>,
    pub(super) memory: Space,
    pub(super) spool: Space,
}

/// What is known of a file.
pub(super) struct Fact {
    pub(super) path: RemotePath,
    pub(super) bytes: u64,
    pub(super) health: Health,
}

impl Status {
    pub(super) fn of(facts: Facts<'_>) -> Status {
        let mut files: Vec<FileStatus> = facts.files.into_iter().filter_map(FileStatus::of).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let totals = Totals::over(&files);
        let (state, since, error) = match facts.offline {
            None => (Reachable::Online, None, None),
            Some(Offline { since, error }) => (Reachable::Offline, moment(since), Some(error.to_string())),
        };
        Status {
            version: VERSION,
            remote: facts.remote.to_owned(),
            service: facts.service.to_owned(),
            state,
            since,
            error,
            files,
            totals,
            memory: facts.memory,
            spool: facts.spool,
        }
    }

    /// The text of the file: one line.
    pub(super) fn text(&self) -> String {
        let mut text = serde_json::to_string(self).expect("strings, numbers and lists are JSON");
        text.push('\n');
        text
    }
}

impl FileStatus {
    fn of(fact: Fact) -> Option<FileStatus> {
        let state = FileState::of(&fact.health)?;
        let sent = fact.health.sent();
        let error = match &fact.health {
            Health::Parked(error) => Some(error.to_string()),
            _ => None,
        };
        Some(FileStatus { path: format!("/{}", fact.path.as_str()), state, bytes: fact.bytes, sent, error })
    }
}

impl FileState {
    /// `None` for a file that the service has.
    pub(super) fn of(health: &Health) -> Option<FileState> {
        match health {
            Health::Clean => None,
            Health::Open { .. } => Some(FileState::Open),
            Health::Waiting => Some(FileState::Waiting),
            Health::Uploading { .. } => Some(FileState::Uploading),
            Health::Parked(_) => Some(FileState::Parked),
            Health::Local => Some(FileState::Local),
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            FileState::Open => "open",
            FileState::Waiting => "waiting",
            FileState::Uploading => "uploading",
            FileState::Parked => "parked",
            FileState::Local => "local",
        }
    }

    /// Whether the file comes to the service by itself, or will be if its program closes it.
    pub fn moves(self) -> bool {
        matches!(self, FileState::Open | FileState::Waiting | FileState::Uploading)
    }
}

impl Totals {
    fn over(files: &[FileStatus]) -> Totals {
        files.iter().fold(Totals::default(), |sum, file| Totals {
            files: sum.files + 1,
            bytes: sum.bytes + file.bytes,
            sent: sum.sent + file.sent,
            parked: sum.parked + u64::from(file.state == FileState::Parked),
        })
    }
}

/// As in RFC 3339, to the second, in UTC; nothing for a moment that no calendar has.
pub(super) fn moment(at: SystemTime) -> Option<String> {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    moment.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::error::{Error, Kind};

    fn fact(path: &str, bytes: u64, health: Health) -> Fact {
        Fact { path: RemotePath::parse(path).unwrap(), bytes, health }
    }

    fn status(offline: Option<Offline>, files: Vec<Fact>) -> Status {
        let (memory, spool) = (Space { used: 1 << 20, max: 128 << 20 }, Space { used: 0, max: 64 << 30 });
        Status::of(Facts { remote: "wiki", service: "memory", offline, files, memory, spool })
    }

    fn parsed(status: &Status) -> serde_json::Value {
        serde_json::from_str(&status.text()).unwrap()
    }

    #[test]
    fn a_mount_with_nothing_to_do_says_so() {
        let expected = json!({
            "version": 1, "remote": "wiki", "service": "memory", "state": "online", "since": null, "error": null,
            "files": [], "totals": { "files": 0, "bytes": 0, "sent": 0, "parked": 0 },
            "memory": { "used": 1_048_576, "max": 134_217_728u64 }, "spool": { "used": 0, "max": 68_719_476_736u64 },
        });
        assert_eq!(parsed(&status(None, Vec::new())), expected);
    }

    #[test]
    fn every_file_has_its_state_and_the_sums_are_right() {
        let denied = Error::new(Kind::Denied, "upload", "no right").hint("ask for it");
        let files = vec![
            fact("z", 10, Health::Parked(denied)),
            fact("dir/b", 7, Health::Uploading { sent: 5 }),
            fact("clean", 100, Health::Clean),
            fact("a", 3, Health::Open { sent: 1 }),
            fact("empty", 0, Health::Local),
            fact("next", 20, Health::Waiting),
        ];
        let status = parsed(&status(None, files));
        let none = serde_json::Value::Null;
        let expected = json!([
            { "path": "/a", "state": "open", "bytes": 3, "sent": 1, "error": none },
            { "path": "/dir/b", "state": "uploading", "bytes": 7, "sent": 5, "error": none },
            { "path": "/empty", "state": "local", "bytes": 0, "sent": 0, "error": none },
            { "path": "/next", "state": "waiting", "bytes": 20, "sent": 0, "error": none },
            { "path": "/z", "state": "parked", "bytes": 10, "sent": 0, "error": "upload: no right (ask for it)" },
        ]);
        assert_eq!(status["files"], expected, "by path, without what the service has");
        assert_eq!(status["totals"], json!({ "files": 5, "bytes": 40, "sent": 6, "parked": 1 }));
    }

    #[test]
    fn an_outage_has_its_beginning_and_its_reason() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_785_000_000_900);
        let error = Error::new(Kind::Unreachable, "stat", "no route\nto \u{202e}host");
        let status = parsed(&status(Some(Offline { since, error }), Vec::new()));
        assert_eq!(status["state"], "offline");
        assert_eq!(status["since"], "2026-07-25T17:20:00Z");
        assert_eq!(status["error"], "stat: no route\\u{a}to \\u{202e}host");
    }

    #[test]
    fn it_is_one_line_and_names_are_whole() {
        let long = format!("{}/\u{202e}\"quoted\" \u{85}", "d".repeat(200)).replace('\u{85}', "\u{2028}");
        let status = status(None, vec![fact(&long, 1, Health::Local)]);
        let text = status.text();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with('\n'));
        let read: Status = serde_json::from_str(&text).unwrap();
        assert_eq!(read, status, "who reads it gets what was written");
        assert_eq!(read.files[0].path, format!("/{long}"), "to be opened, not only to be shown");
    }

    #[test]
    fn keys_that_came_later_do_not_disturb() {
        let mut value = parsed(&status(None, Vec::new()));
        value["new"] = json!({ "key": 1 });
        assert!(serde_json::from_value::<Status>(value).is_ok());
    }

    #[test]
    fn words_are_said_as_they_are_written() {
        use FileState::{Local, Open, Parked, Uploading, Waiting};
        for state in [Open, Waiting, Uploading, Parked, Local] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
            assert_eq!(state.moves(), !matches!(state, Parked | Local));
        }
    }

    #[test]
    fn a_moment_is_written_as_everywhere() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_785_000_000_900);
        assert_eq!(moment(at).as_deref(), Some("2026-07-25T17:20:00Z"));
        assert_eq!(moment(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
