//! What the wiki answers, as far as it matters here. Whatever may be missing is allowed to be; ids are read from numbers
//! and from texts.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bytes of what the wiki calls a megabyte.
const MEGABYTE: f64 = 1_048_576.0;
/// By so much a size of two decimals may be wrong, in bytes: by one of the last decimal, as it is not known how it is
/// rounded, and a little for the arithmetic.
const ROUNDING_BYTES: f64 = MEGABYTE * 0.0101;

/// How far an upload session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Parts may come.
    Open,
    /// All parts are there, and nothing is attached yet.
    Finished,
    /// It has become an attachment.
    Used,
    /// Nothing will become of it.
    Gone,
}

/// An upload session.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SessionDto {
    #[serde(deserialize_with = "id")]
    pub(super) session_id: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    pub(super) created_at: Option<String>,
    #[serde(default)]
    user: Option<UserDto>,
}

impl SessionDto {
    /// How far it is. A status nobody knows is that of a session that still may become something.
    pub(super) fn status(&self) -> Status {
        match self.status.as_deref() {
            Some("finished") => Status::Finished,
            Some("used") => Status::Used,
            Some("aborted" | "cleanup") => Status::Gone,
            _ => Status::Open,
        }
    }

    /// Whose it is.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_ref().and_then(|user| user.username.as_deref())
    }
}

#[derive(Clone, Debug, Deserialize)]
struct UserDto {
    #[serde(default)]
    username: Option<String>,
}

/// A file of a page.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct AttachmentDto {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) download_url: Option<String>,
    #[serde(default)]
    size: Value,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    check_status: Option<String>,
    #[serde(default)]
    is_downloadable: Option<bool>,
    #[serde(default)]
    user: Option<UserDto>,
}

/// What the antivirus says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing against it.
    Good,
    /// It is being looked at.
    Pending,
    /// Nobody will get it.
    Bad,
}

impl AttachmentDto {
    /// The size as it is told: megabytes with two decimals, in bytes.
    pub(super) fn told_bytes(&self) -> Option<u64> {
        let megabytes = match &self.size {
            Value::String(text) => text.trim().parse::<f64>().ok()?,
            Value::Number(number) => number.as_f64()?,
            _ => return None,
        };
        let bytes = megabytes * MEGABYTE;
        // Whole bytes are meant, and no file comes near the end of the numbers.
        (bytes.is_finite() && bytes >= 0.0).then_some(bytes.round() as u64)
    }

    /// Whether the size that is told can be that of `bytes`.
    pub(super) fn may_have(&self, bytes: u64) -> bool {
        self.told_bytes().is_none_or(|told| (told as f64 - bytes as f64).abs() <= ROUNDING_BYTES)
    }

    pub(super) fn check(&self) -> Check {
        match (self.check_status.as_deref(), self.is_downloadable) {
            (Some("infected" | "error" | "deleted"), _) => Check::Bad,
            (Some("check"), _) | (_, Some(false)) => Check::Pending,
            _ => Check::Good,
        }
    }

    /// What the antivirus said, in its word.
    pub(super) fn verdict(&self) -> &str {
        self.check_status.as_deref().unwrap_or("not downloadable")
    }

    /// Whose it is.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_ref().and_then(|user| user.username.as_deref())
    }

    /// When it was attached, where that is understood.
    pub(super) fn created(&self) -> Option<SystemTime> {
        self.created_at.as_deref().and_then(moment)
    }

    /// Newer ones have higher ranks; of one second, those with the higher number.
    pub(super) fn rank(&self) -> (Option<SystemTime>, usize, &str) {
        (self.created(), self.id.len(), &self.id)
    }
}

/// One page of results.
#[derive(Debug, Deserialize)]
pub(super) struct ResultsDto<T> {
    #[serde(default = "Vec::new")]
    pub(super) results: Vec<T>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

/// A page of the wiki.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PageDto {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) slug: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) page_type: Option<String>,
    /// `None` where the wiki does not tell it.
    #[serde(default, deserialize_with = "told")]
    content: Option<Value>,
    #[serde(default)]
    pub(super) redirect: Value,
    #[serde(default)]
    attributes: Option<AttributesDto>,
}

#[derive(Clone, Debug, Deserialize)]
struct AttributesDto {
    #[serde(default)]
    modified_at: Option<String>,
    #[serde(default)]
    comments_count: Option<u64>,
}

impl PageDto {
    /// When its text last changed, where that was asked for.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.attributes.as_ref()?.modified_at.as_deref().and_then(moment)
    }

    /// Whether there is anything on it that a person wrote, or may be: what is not told is not nothing.
    pub(super) fn has_text(&self) -> bool {
        let is_plain = self.page_type.as_deref().is_none_or(|kind| matches!(kind, "page" | "wysiwyg"));
        let is_blank = match &self.content {
            Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            _ => false,
        };
        !(is_plain && is_blank)
    }

    /// Whether anybody has commented on it, where that was asked for.
    pub(super) fn has_comments(&self) -> bool {
        self.attributes.as_ref().and_then(|attributes| attributes.comments_count).is_some_and(|count| count > 0)
    }
}

/// A page that was removed.
#[derive(Debug, Deserialize)]
pub(super) struct RemovedDto {
    #[serde(default)]
    pub(super) recovery_token: Option<String>,
}

/// A page in the tree.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct BranchDto {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) slug: String,
}

/// Who asks.
#[derive(Debug, Deserialize)]
pub(super) struct MeDto {
    #[serde(default)]
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) home_cluster: Option<String>,
}

/// A move that was asked for.
#[derive(Debug, Deserialize)]
pub(super) struct MoveDto {
    #[serde(default)]
    pub(super) operation: Option<OperationDto>,
}

#[derive(Debug, Deserialize)]
pub(super) struct OperationDto {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
}

/// How far a move is.
#[derive(Debug, Deserialize)]
pub(super) struct MovingDto {
    #[serde(default)]
    pub(super) status: String,
}

/// An id: a number or a text.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Number(number) => Ok(number.to_string()),
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err(serde::de::Error::custom("an id is a number or a text")),
    }
}

/// A value that was told, `null` included.
fn told<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A moment as the wiki writes it; `None` where it is not understood.
pub(super) fn moment(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attachment(size: Value) -> AttachmentDto {
        serde_json::from_value(json!({"id": 5, "name": "a.txt", "size": size})).unwrap()
    }

    #[test]
    fn a_size_of_two_decimals_fits_what_it_was_made_of() {
        for bytes in [0_u64, 1, 5_000, 5_243, 300_000, 1 << 20, 12_345_678, 199_999_999] {
            let told = format!("{:.2}", bytes as f64 / MEGABYTE);
            assert!(attachment(json!(told)).may_have(bytes), "{bytes} as {told}");
            // Cut instead of rounded.
            let cut = format!("{:.2}", (bytes as f64 / MEGABYTE * 100.0).floor() / 100.0);
            assert!(attachment(json!(cut)).may_have(bytes), "{bytes} as {cut}");
        }
        assert!(!attachment(json!("0.29")).may_have(330_000));
        assert!(!attachment(json!("0.00")).may_have(20_000));
        assert!(attachment(json!(null)).may_have(20_000) && attachment(json!("?")).may_have(1), "nothing is told");
    }

    #[test]
    fn the_antivirus_has_the_last_word() {
        let check = |value: Value| serde_json::from_value::<AttachmentDto>(value).unwrap().check();
        assert_eq!(check(json!({"id": 1, "name": "a"})), Check::Good);
        assert_eq!(
            check(json!({"id": 1, "name": "a", "check_status": "check", "is_downloadable": true})),
            Check::Pending
        );
        assert_eq!(
            check(json!({"id": 1, "name": "a", "check_status": "ready", "is_downloadable": false})),
            Check::Pending
        );
        assert_eq!(check(json!({"id": 1, "name": "a", "check_status": "infected"})), Check::Bad);
    }

    #[test]
    fn statuses_nobody_knows_are_not_the_end() {
        let status = |status: Value| {
            serde_json::from_value::<SessionDto>(json!({"session_id": "u", "status": status})).unwrap().status()
        };
        assert_eq!(status(json!("not_started")), Status::Open);
        assert_eq!(status(json!("in_progress")), Status::Open);
        assert_eq!(status(json!("finished")), Status::Finished);
        assert_eq!(status(json!("used")), Status::Used);
        assert_eq!((status(json!("aborted")), status(json!("cleanup"))), (Status::Gone, Status::Gone));
        assert_eq!((status(json!("later")), status(json!(null))), (Status::Open, Status::Open));
    }

    #[test]
    fn a_page_has_text_when_somebody_wrote_some() {
        let has_text = |value: Value| serde_json::from_value::<PageDto>(value).unwrap().has_text();
        assert!(!has_text(json!({"id": 1, "slug": "a", "content": " \n", "page_type": "wysiwyg"})));
        assert!(!has_text(json!({"id": 1, "slug": "a", "content": null})));
        assert!(has_text(json!({"id": 1, "slug": "a", "page_type": "page"})), "it is not told");
        assert!(has_text(json!({"id": 1, "slug": "a", "content": "x"})));
        assert!(has_text(json!({"id": 1, "slug": "a", "content": "", "page_type": "grid"})), "a table is not nothing");
        assert!(has_text(json!({"id": 1, "slug": "a", "content": {"rows": []}})));
    }

    #[test]
    fn ids_are_numbers_or_texts() {
        let branch = |id: Value| serde_json::from_value::<BranchDto>(json!({"id": id, "slug": "a"}));
        assert_eq!(branch(json!(7)).unwrap().id, branch(json!("7")).unwrap().id);
        assert!(branch(json!(null)).is_err() && branch(json!("")).is_err());
    }
}
