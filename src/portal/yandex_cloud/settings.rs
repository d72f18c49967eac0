//! The switches of the Files API. Nearly all of them are about what nobody knows of the real one (marked *unknown*); their
//! defaults are the behaviour that is hardest on a client, as far as one can still work with it. Every one may change while
//! the portal runs.

use serde::{Deserialize, Serialize};

use crate::portal::settings::changed;

/// The largest file, in bytes: of the two readings of 128 MB the smaller. The other is 128 << 20.
const FILE_BYTES_MAX: u64 = 128_000_000;
/// The most files.
const FILES_MAX: usize = 10_000;
/// The longest life that a file may be given, in days: the longest that anybody was seen to ask for.
const TTL_DAYS_MAX: i64 = 60;
/// How long a request may pause, in milliseconds: what gateways commonly allow.
const BODY_IDLE_MS: u64 = 60_000;
/// How long an IAM token is good, in seconds: the documented 12 hours.
const IAM_LIFE_S: u64 = 12 * 60 * 60;
/// Files in a page of the native list, without a wish, and at most.
const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 1000;
/// Files in a page of the OpenAI list, without a wish and at most.
const LIMIT_MAX: usize = 10_000;

/// How a file that is too large is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oversize {
    /// 400, INVALID_ARGUMENT.
    InvalidArgument,
    /// 413 of a gateway, which is no JSON.
    TooLarge,
    /// 429, RESOURCE_EXHAUSTED.
    ResourceExhausted,
}

/// Which media types have to be among the documented ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MimeCheck {
    /// Every file's, also where the service has found out the type itself.
    Every,
    /// Those that a client declares; `application/octet-stream` in a form declares nothing.
    Declared,
    /// None.
    Never,
}

/// What an update without a mask does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingMask {
    /// Nothing: it is refused.
    Refused,
    /// It changes what is in it.
    Sent,
}

/// What an update makes of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelPatch {
    /// The new ones are all there are.
    Replace,
    /// Those that are not named stay.
    Merge,
}

/// From when the life of a file is counted that is given another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeFrom {
    /// From its making, as recorded.
    Created,
    /// From the update, which would be activity.
    Updated,
}

/// How long files of the OpenAI dialect live that were given no expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenaiLife {
    /// Seven days, as those of the native dialect do.
    SevenDays,
    /// For ever, and those with the purpose `batch` 30 days, as OpenAI's text has it.
    Documented,
}

/// What an error of the OpenAI dialect looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// `{"error": {"message": …}}`.
    Nested,
    /// `{"message": …}`.
    Flat,
    /// The status of the native dialect.
    Status,
}

/// What the address of a file is that has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiredUrl {
    /// Not found.
    NotFound,
    /// An address behind which is nothing.
    Signed,
}

/// What may change while the portal runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The largest file, in bytes (*unknown*: 128 MB or 128 MiB).
    pub file_bytes_max: u64,
    /// How a larger one is refused (*unknown*).
    pub oversize: Oversize,
    /// The most files.
    pub files_max: usize,
    /// Whether a file may have no bytes (*unknown*).
    pub empty_files: bool,
    /// Which media types have to be documented ones (*unknown*).
    pub mime: MimeCheck,
    /// The longest name, in characters, `None` without a limit (*unknown*; others of the vendor's services have 64).
    pub name_chars_max: Option<usize>,
    /// Whether labels have to be as in the vendor's other services: 64 of them, small letters, digits, `-` and `_`, 63
    /// characters (*unknown*; the reference of this one has no such rule).
    pub narrow_labels: bool,
    /// The longest life that a file may be given, in days (*unknown*).
    pub ttl_days_max: i64,
    /// Whether fields without a value are told, too (*unknown*).
    pub print_empty_fields: bool,
    /// Whether a create with the `Idempotency-Key` of an earlier one is the earlier one (*unknown*).
    pub idempotency: bool,
    /// Whether a content may come in chunked transfer coding, without a length (*unknown*).
    pub chunked_bodies: bool,
    /// How long a request may pause, in milliseconds (*unknown*).
    pub body_idle_ms: u64,
    /// What an update without a mask does (*unknown*).
    pub missing_mask: MissingMask,
    /// What an update makes of labels (*unknown*).
    pub label_patch: LabelPatch,
    /// From when a life is counted that an update gives.
    pub life_from: LifeFrom,
    /// What the address of a file is that has expired (*unknown*).
    pub expired_url: ExpiredUrl,
    /// Whether the native dialect takes an API key as `Bearer`, as the OpenAI dialect does (*unknown*).
    pub bearer_api_key: bool,
    /// Files in a page of the native list that asks for no number (*unknown*: 21 or more).
    pub page_size: usize,
    /// The most files that a page of the native list may be asked for (*unknown*).
    pub page_size_max: usize,
    /// The most files in a page of the OpenAI list, and how many there are without a wish.
    pub limit_max: usize,
    /// The most files that are told at once, whatever was asked for, `None` without a limit.
    pub told_max: Option<usize>,
    /// Whether the files of one dialect are unknown to the other (*unknown*).
    pub dialects_apart: bool,
    /// How long files of the OpenAI dialect live without an expiry (*unknown*).
    pub openai_life: OpenaiLife,
    /// Whether the OpenAI dialect wants an expiry: the reference says so, and the guides leave it out.
    pub openai_wants_expiry: bool,
    /// Whether the OpenAI dialect wants to be told the folder of a service account, which has but one (*unknown*).
    pub openai_wants_folder: bool,
    /// What errors of the OpenAI dialect look like (*unknown*).
    pub openai_errors: ErrorShape,
    /// Whether the OpenAI dialect keeps of a file name only what is behind its last slash (*unknown*).
    pub openai_base_names: bool,
    /// Whether the OpenAI dialect answers ranges of contents (*unknown*).
    pub openai_ranges: bool,
    /// How long an IAM token is good from its first use on, in seconds.
    pub iam_life_s: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            file_bytes_max: FILE_BYTES_MAX,
            oversize: Oversize::InvalidArgument,
            files_max: FILES_MAX,
            empty_files: false,
            mime: MimeCheck::Declared,
            name_chars_max: None,
            narrow_labels: false,
            ttl_days_max: TTL_DAYS_MAX,
            print_empty_fields: false,
            idempotency: false,
            chunked_bodies: false,
            body_idle_ms: BODY_IDLE_MS,
            missing_mask: MissingMask::Refused,
            label_patch: LabelPatch::Replace,
            life_from: LifeFrom::Created,
            expired_url: ExpiredUrl::NotFound,
            bearer_api_key: false,
            page_size: PAGE_SIZE,
            page_size_max: PAGE_SIZE_MAX,
            limit_max: LIMIT_MAX,
            told_max: None,
            dialects_apart: false,
            openai_life: OpenaiLife::SevenDays,
            openai_wants_expiry: false,
            openai_wants_folder: true,
            openai_errors: ErrorShape::Nested,
            openai_base_names: false,
            openai_ranges: false,
            iam_life_s: IAM_LIFE_S,
        }
    }
}

impl Settings {
    /// These settings with what `changes` names changed.
    pub(super) fn with(&self, changes: &serde_json::Value) -> Result<Settings, String> {
        let settings: Settings = changed(self, changes)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let sizes = [self.page_size, self.page_size_max, self.limit_max, self.told_max.unwrap_or(1)];
        if sizes.contains(&0) {
            return Err("a page has room for something".to_owned());
        }
        if self.ttl_days_max < 1 {
            return Err("a file lives for a day at least".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_change_by_name() {
        let settings = Settings::default();
        let changes = json!({"oversize": "too_large", "mime": "every", "idempotency": true, "told_max": 2});
        let changed = Settings {
            oversize: Oversize::TooLarge,
            mime: MimeCheck::Every,
            idempotency: true,
            told_max: Some(2),
            ..settings.clone()
        };
        assert_eq!(settings.with(&changes), Ok(changed));
        for wrong in [
            json!({"oversized": "too_large"}),
            json!({"oversize": "silence"}),
            json!({"page_size": 0}),
            json!({"told_max": 0}),
            json!({"ttl_days_max": 0}),
            json!([1]),
        ] {
            assert!(settings.with(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_default_can_be_set() {
        let settings = Settings::default();
        assert_eq!(settings.with(&serde_json::to_value(&settings).unwrap()), Ok(settings));
    }
}
