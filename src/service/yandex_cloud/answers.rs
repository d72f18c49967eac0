//! What the service answers, as far as a client needs it. Empty fields are left out, whole numbers of 64 bits come as text,
//! and the two dialects speak of the same files in different words: [`Stored`] is what they have in common.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::labels;
use crate::error::{Error, Kind, Result};
use crate::service::{Node, NodeKind};

/// A file as the service has it. Its content never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: String,
    /// As the service has it: the whole path.
    pub(super) name: String,
    pub(super) created: SystemTime,
    /// Where it stands among the files made in the same second: newer ones are higher.
    pub(super) order: i64,
    pub(super) expires: Option<SystemTime>,
    /// How long it lives after it was made, in days.
    pub(super) ttl_days: Option<u64>,
    /// In bytes, as the service or our label says.
    pub(super) size: Option<u64>,
    /// The upload of ours that made it.
    pub(super) upload: Option<String>,
}

impl Stored {
    /// As everyone else sees it, under the name it is shown by.
    pub(super) fn node(&self, name: &str, size: u64) -> Node {
        Node {
            name: name.to_owned(),
            kind: NodeKind::File,
            size,
            modified: self.created,
            // Other content is another file.
            version: self.id.clone(),
            id: self.id.clone(),
            url: None,
            sha1: None,
            expires: self.expires,
        }
    }

    /// Newest first.
    pub(super) fn is_newer_than(&self, other: &Stored) -> bool {
        (self.created, self.order, &self.id) > (other.created, other.order, &other.id)
    }
}

/// One page of a listing, and where the next begins.
pub(super) struct Listed {
    pub(super) files: Vec<Stored>,
    pub(super) next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeFile {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    created_at: String,
    expires_at: Option<String>,
    expiration_config: Option<ExpirationConfig>,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExpirationConfig {
    #[serde(default, deserialize_with = "or_text")]
    ttl_days: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct OpenAiFile {
    id: String,
    #[serde(default, deserialize_with = "or_default")]
    filename: String,
    #[serde(default, deserialize_with = "or_text")]
    bytes: Option<u64>,
    #[serde(default, deserialize_with = "or_text")]
    created_at: Option<u64>,
    #[serde(default, deserialize_with = "or_text")]
    expires_at: Option<u64>,
}

/// A null is nothing.
fn or_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number, or a text that is one; a null is nothing.
fn or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let unlike = |value: &Value| D::Error::custom(format!("no number: {value}"));
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|_| unlike(&Value::String(text))),
        value => value.as_u64().map(Some).ok_or_else(|| unlike(&value)),
    }
}

/// A file in the native dialect.
///
/// # Errors
/// `Protocol` for what is none.
pub(super) fn native(op: &'static str, value: Value) -> Result<Stored> {
    let file: NativeFile = read(op, value)?;
    let noted = labels::read(&file.labels);
    checked(
        op,
        Stored {
            id: file.id,
            name: file.name,
            created: moment(&file.created_at).unwrap_or(SystemTime::UNIX_EPOCH),
            order: 0,
            expires: file.expires_at.as_deref().and_then(moment),
            ttl_days: file.expiration_config.and_then(|config| config.ttl_days),
            size: noted.size,
            upload: noted.upload,
        },
    )
}

/// A file in the other dialect.
///
/// # Errors
/// As [`native`].
pub(super) fn open_ai(op: &'static str, value: Value) -> Result<Stored> {
    let file: OpenAiFile = read(op, value)?;
    let seconds = |seconds: u64| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    checked(
        op,
        Stored {
            id: file.id,
            name: file.filename,
            created: file.created_at.and_then(seconds).unwrap_or(SystemTime::UNIX_EPOCH),
            order: 0,
            expires: file.expires_at.and_then(seconds),
            ttl_days: None,
            size: file.bytes,
            upload: None,
        },
    )
}

fn read<T: for<'de> Deserialize<'de>>(op: &'static str, value: Value) -> Result<T> {
    let unlike = |error| Error::new(Kind::Protocol, op, format!("the service answers with no file: {error}"));
    serde_json::from_value(value).map_err(unlike)
}

/// Ids become parts of addresses: nothing in them may lead elsewhere.
fn checked(op: &'static str, file: Stored) -> Result<Stored> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !file.id.is_empty() && file.id.len() <= 128 && file.id.chars().all(fits) {
        return Ok(file);
    }
    Err(Error::new(Kind::Protocol, op, format!("the service gives an id that is none: {:?}", file.id)))
}

/// The files among `values`; one that cannot be read does not hide the others.
pub(super) fn readable(values: Vec<Value>, one: impl Fn(Value) -> Result<Stored>) -> Vec<Stored> {
    let known = values.into_iter().filter_map(|value| match one(value) {
        Ok(file) => Some(file),
        Err(error) => {
            tracing::warn!(%error, "a file of the service is not listed: it cannot be read");
            None
        }
    });
    known.collect()
}

/// A moment in RFC 3339, with up to nine digits of a second.
fn moment(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn days(from: SystemTime, days: u64) -> SystemTime {
        from + Duration::from_secs(days * 86_400)
    }

    #[test]
    fn a_native_file_as_it_was_recorded() {
        let file = native(
            "list",
            json!({"id": "fvtsrv819cscn7ogtlmd", "folderId": "b1g", "mimeType": "text/plain",
                "createdAt": "2025-07-24T14:21:41.238314Z", "updatedAt": "2025-07-24T14:21:41.238314Z",
                "expirationConfig": {"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": "7"},
                "expiresAt": "2025-07-31T14:21:41.238314Z"}),
        )
        .unwrap();
        assert_eq!((file.name.as_str(), file.size, file.upload.as_deref()), ("", None, None));
        assert_eq!(file.ttl_days, Some(7));
        assert_eq!(file.expires, Some(days(file.created, 7)));
    }

    #[test]
    fn labels_tell_the_size() {
        let file = json!({"id": "fvt1", "name": "a", "createdAt": "2026-01-01T00:00:00Z", "expirationConfig": null,
            "labels": {"uploadfs_size": "9", "uploadfs_id": "u"}, "expiresAt": null});
        let file = native("list", file).unwrap();
        assert_eq!((file.size, file.upload.as_deref(), file.expires), (Some(9), Some("u"), None));
        let bare = native("list", json!({"id": "fvt1", "labels": null, "name": null})).unwrap();
        assert_eq!((bare.size, bare.created), (None, SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn the_other_dialect_tells_the_size_itself() {
        let file = json!({"id": "fvt1", "bytes": 9, "created_at": 1_782_900_000_u64, "filename": "a/b.txt",
            "object": "file", "purpose": "assistants", "status": "processed", "expires_at": 1_782_986_400_u64});
        let file = open_ai("list", file).unwrap();
        assert_eq!((file.name.as_str(), file.size), ("a/b.txt", Some(9)));
        assert_eq!(file.expires, Some(days(file.created, 1)));
        assert_eq!(open_ai("list", json!({"id": "fvt1", "bytes": "7"})).unwrap().size, Some(7));
    }

    #[test]
    fn what_is_no_file_hides_no_other() {
        let values = vec![json!({"id": "../x"}), json!(null), json!({"name": "a"}), json!({"id": "fvt1"})];
        let files = readable(values, |value| native("list", value));
        assert_eq!(files.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["fvt1"]);
        for id in ["", ".", "a/b", "a?b", "ü"] {
            assert_eq!(native("list", json!({"id": id})).unwrap_err().kind, Kind::Protocol, "{id:?}");
        }
    }

    #[test]
    fn the_newest_is_told_by_time_and_order() {
        let at = |created: &str, order: i64| {
            let file = native("list", json!({"id": "fvt1", "createdAt": created})).unwrap();
            Stored { order, ..file }
        };
        assert!(at("2026-01-01T00:00:00.000001Z", -5).is_newer_than(&at("2026-01-01T00:00:00Z", 0)));
        assert!(at("2026-01-01T00:00:00Z", 0).is_newer_than(&at("2026-01-01T00:00:00Z", -1)));
        assert!(!at("2026-01-01T00:00:00Z", 0).is_newer_than(&at("2026-01-01T00:00:00Z", 0)));
    }
}
