//! What a portal answers, as far as a client needs it. Ids are numbers or strings, nulls are left out, and a length of
//! zero is left out too.

use std::time::{Duration, SystemTime};

use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The id of a file, a folder or an operation; of storages elsewhere it is a word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(super) struct Id(String);

impl Id {
    pub(super) fn new(text: &str) -> Id {
        Id(text.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As the calls take it: a number where it is one.
    pub(super) fn to_json(&self) -> Value {
        self.number().map_or_else(|| Value::from(self.0.as_str()), Value::from)
    }

    fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// Whether it belongs to a storage elsewhere.
    pub(super) fn is_word(&self) -> bool {
        self.number().is_none()
    }

    /// Orders ids by age: later entries have higher numbers.
    pub(super) fn age(&self) -> (u64, &str) {
        (self.number().unwrap_or(u64::MAX), &self.0)
    }

    /// Whether an answer names no entry: a session that stored nothing answers with 0.
    pub(super) fn is_none(&self) -> bool {
        matches!(self.0.as_str(), "" | "0")
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Id(text)),
            Value::Number(number) => Ok(Id(number.to_string())),
            other => Err(D::Error::custom(format!("no id: {other}"))),
        }
    }
}

/// A file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileDto {
    pub(super) id: Id,
    pub(super) folder_id: Option<Id>,
    pub(super) title: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) version: i64,
    pub(super) pure_content_length: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) updated: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) locked: bool,
    pub(super) security: Option<Security>,
    pub(super) root_folder_type: Option<i64>,
    pub(super) web_url: Option<String>,
    /// Who made the version.
    pub(super) updated_by: Option<PersonDto>,
}

/// Somebody who has an account.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PersonDto {
    pub(super) id: Option<Id>,
}

/// A folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FolderDto {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) title: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) updated: String,
    pub(super) security: Option<Security>,
    pub(super) root_folder_type: Option<i64>,
}

/// What may be done with an entry; portals before DocSpace do not say.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Security {
    #[serde(alias = "Edit")]
    pub(super) edit: Option<bool>,
    #[serde(alias = "Create")]
    pub(super) create: Option<bool>,
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
pub(super) struct PageDto {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) files: Vec<Value>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) folders: Vec<Value>,
    pub(super) current: FolderDto,
    pub(super) total: Option<u64>,
}

/// The entries that can be read; one that cannot does not hide the others.
pub(super) fn readable<T: DeserializeOwned>(entries: Vec<Value>) -> impl Iterator<Item = T> {
    entries.into_iter().filter_map(|entry| match serde_json::from_value(entry) {
        Ok(entry) => Some(entry),
        Err(error) => {
            tracing::warn!(%error, "an entry of the portal is not listed: it cannot be read");
            None
        }
    })
}

/// A null is nothing.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An upload session.
#[derive(Debug, Deserialize)]
pub(super) struct SessionDto {
    pub(super) id: String,
    pub(super) location: Option<String>,
    /// When it was opened, by the portal's clock.
    pub(super) created: Option<String>,
}

/// What a chunk, or the end of a session, brings.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ChunkDto {
    /// Of the file once it is made, before that of the session.
    pub(super) id: Option<Id>,
    /// Told by the generations that count bytes.
    pub(super) bytes_uploaded: Option<u64>,
}

/// An operation on entries that goes on after its request.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct OperationDto {
    pub(super) id: Id,
    pub(super) error: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) finished: bool,
    /// What it does: see [`DELETE`] and [`MOVE`].
    #[serde(alias = "Operation")]
    pub(super) operation: Option<i64>,
}

/// The number of moving, among operations.
pub(super) const MOVE: i64 = 0;
/// The number of deleting.
pub(super) const DELETE: i64 = 2;

/// What signing in brings.
#[derive(Deserialize)]
pub(super) struct TokenDto {
    pub(super) token: Option<String>,
    #[serde(default)]
    pub(super) tfa: bool,
    #[serde(default)]
    pub(super) sms: bool,
}

/// Who is signed in.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SelfDto {
    pub(super) id: Option<Id>,
    pub(super) display_name: String,
    pub(super) email: String,
}

/// Which version a portal has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionDto {
    pub(super) doc_space: Option<String>,
    pub(super) community_server: Option<String>,
}

/// What a portal says about uploads.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SettingsDto {
    pub(super) chunk_upload_size: Option<u64>,
    pub(super) max_upload_thread_count: Option<usize>,
}

/// A moment as portals write it: RFC 3339 with the portal's offset; the epoch where it is not understood.
pub(super) fn moment(text: &str) -> SystemTime {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    parsed.map_or(SystemTime::UNIX_EPOCH, SystemTime::from)
}

/// The same in whole seconds: what a database keeps of it.
pub(super) fn seconds(text: &str) -> u64 {
    let since = moment(text).duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_numbers_or_words() {
        let id = |value: Value| serde_json::from_value::<Id>(value).unwrap();
        assert_eq!(id(json!(77)), id(json!("77")));
        assert_eq!(id(json!(77)).to_json(), json!(77));
        assert_eq!(id(json!("sbox-1")).to_json(), json!("sbox-1"));
        assert!(id(json!(9)).age() < id(json!(10)).age());
        assert!(id(json!(0)).is_none() && !id(json!(1)).is_none());
        assert!(serde_json::from_value::<Id>(json!({})).is_err());
    }

    #[test]
    fn a_file_without_a_length_is_empty() {
        let file: FileDto = serde_json::from_value(json!({"id": 5, "title": "a."})).unwrap();
        assert_eq!(file.pure_content_length, None);
    }

    #[test]
    fn nulls_and_strangers_do_no_harm() {
        let file = json!({"id": 5, "title": "a.txt", "updated": null, "locked": null, "version": null});
        let read: Vec<FileDto> = readable(vec![json!({"id": 7}), file, json!(null)]).collect();
        assert_eq!((read.len(), read[0].version, read[0].locked), (1, 0, false));
        let page: PageDto = serde_json::from_value(json!({"files": null, "current": {"id": 1}})).unwrap();
        assert_eq!((page.files.len(), page.total), (0, None));
    }

    #[test]
    fn moments_have_offsets() {
        assert_eq!(seconds("2026-07-01T10:00:00.9999999Z"), 1_782_900_000);
        assert_eq!(moment("2026-07-01T13:00:00.0000000+03:00"), moment("2026-07-01T10:00:00Z"));
        assert_eq!(moment("yesterday"), SystemTime::UNIX_EPOCH);
    }
}
