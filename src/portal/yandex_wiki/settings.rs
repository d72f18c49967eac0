//! The switches of the wiki. Nearly all of them are about what nobody knows of the real one (marked *unknown*); their
//! defaults are the behaviour that is hardest on a client. Every one may change while the portal runs.

use serde::{Deserialize, Serialize};

use crate::portal::settings::changed;

/// The smallest part but for the last one, in bytes: the vendor's example takes MB for MiB here, which is the larger.
const PART_BYTES_MIN: u64 = 5 << 20;
/// The largest part, in bytes: of the two readings of 16 MB the smaller.
const PART_BYTES_MAX: u64 = 16_000_000;
/// The largest file, in bytes: of the two readings of 200 MB the smaller.
const FILE_BYTES_MAX: u64 = 200_000_000;
/// The attachments of an organisation, in bytes: of the two readings of 5 GB the smaller.
const TOTAL_BYTES: u64 = 5_000_000_000;
/// The pages of an organisation.
const PAGES_MAX: usize = 10_000;
/// How long a session lives that nobody attaches, in seconds: a day.
const SESSION_LIFE_S: u64 = 24 * 60 * 60;
/// How long an IAM token is good, in seconds: the documented 12 hours.
const IAM_LIFE_S: u64 = 12 * 60 * 60;
/// After how many seconds an image has a preview.
const PREVIEW_S: u64 = 3;
/// How long moving and cloning take, in milliseconds: long enough that a client that does not poll is found out.
const OPERATION_MS: u64 = 40;

/// The step of an upload at which something is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// When the session is made.
    Create,
    /// When a part comes.
    Part,
    /// When the session is finished.
    Finish,
    /// When it is attached to a page.
    Attach,
    /// Not at all.
    Never,
}

/// What the parts may add up to, seen from the declared size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeCheck {
    /// To that size.
    Strict,
    /// To that size or less.
    UnderOk,
    /// To anything.
    Lenient,
}

/// How a file of no bytes is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyFiles {
    /// Not at all: a size of 0 is refused.
    Refused,
    /// With one empty part.
    OnePart,
    /// Without a part; an empty one is refused.
    NoPart,
    /// Either way.
    Either,
}

/// What a step that was done already answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeated {
    /// A refusal.
    Refused,
    /// What it answered the first time.
    Same,
    /// It is done again: attaching makes another attachment.
    Again,
}

/// What becomes of slugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlugRule {
    /// They stay as they are.
    AsIs,
    /// Letters become small.
    LowerCase,
    /// Letters become small and Latin.
    Latin,
}

/// What the name of a file becomes in its URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlNames {
    /// It stays.
    AsIs,
    /// Latin letters; dashes for what is no letter.
    Latin,
}

/// What the antivirus thinks of a new attachment when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found.
    Ready,
    /// It has a virus.
    Infected,
    /// It could not be checked.
    Error,
}

/// What an error looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorShape {
    /// As documented.
    Documented,
    /// With `details: null`.
    NullDetails,
    /// With `message: null`, seen live.
    WithMessage,
    /// With a list of messages and a level, seen live.
    Listed,
}

/// What may change while a wiki runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The smallest part but for the last one, in bytes.
    pub part_bytes_min: u64,
    /// The largest part, in bytes (*unknown*: 16 MB or 16 MiB).
    pub part_bytes_max: u64,
    /// The largest file, in bytes (*unknown*: 200 MB or 200 MiB).
    pub file_bytes_max: u64,
    /// The space for attachments, in bytes.
    pub total_bytes: u64,
    /// The most pages.
    pub pages_max: usize,
    /// Where a file that is too large is found out (*unknown*).
    pub oversize_at: Step,
    /// Where a small part before the last is found out (*unknown*): `part` or `finish`.
    pub undersized_at: Step,
    /// What the parts may add up to (*unknown*).
    pub size: SizeCheck,
    /// Where it is found out that they do not (*unknown*): `part`, which can only find too much, `finish` or `attach`.
    pub size_at: Step,
    /// How files of no bytes are uploaded (*unknown*).
    pub empty_files: EmptyFiles,
    /// Whether numbers of parts may be left out (*unknown*).
    pub gaps: bool,
    /// Whether a part may come with another content type, or none (*unknown*).
    pub any_content_type: bool,
    /// Whether a part may come in chunked transfer coding, without a length (*unknown*).
    pub chunked_parts: bool,
    /// Whether a session says `not_started` until its first part comes, as the reference has it.
    pub begins_not_started: bool,
    /// The status of a step that the session's state does not allow (*unknown*): 409, or else 400.
    pub wrong_state_is_conflict: bool,
    /// A second finish (*unknown*).
    pub second_finish: Repeated,
    /// A second attach of a session (*unknown*).
    pub second_attach: Repeated,
    /// The most sessions in one attach (*unknown*).
    pub attach_max: usize,
    /// How long a session lives that nobody attaches, in seconds (*unknown*).
    pub session_life_s: u64,
    /// The most sessions of a user that are under way (*unknown*).
    pub sessions_max: usize,
    /// Whether sessions under way take their declared sizes out of the space (*unknown*).
    pub sessions_reserve: bool,
    /// Where sessions say that their bytes are: `mds`, `s3`, `custom_s3` (*unknown*).
    pub storage_type: String,
    /// The longest file name, in characters (*unknown*).
    pub file_name_chars_max: usize,
    /// Whether file names may have slashes and control characters (*unknown*).
    pub any_file_name: bool,
    /// What names become in URLs (*unknown* in detail).
    pub url_names: UrlNames,
    /// How long the antivirus checks, in seconds (*unknown*).
    pub check_s: u64,
    /// What it finds.
    pub verdict: Verdict,
    /// After how many seconds an image has a preview.
    pub preview_s: u64,
    /// Whether a download by id is redirected to storage, too; the reference says it is not.
    pub download_redirects: bool,
    /// Whether a download by URL is redirected; one page of the reference says that it is not.
    pub download_by_url_redirects: bool,
    /// Whether the service itself answers ranges of downloads (*unknown*).
    pub ranges: bool,
    /// Whether HEAD is answered for downloads (*unknown*).
    pub head: bool,
    /// Whether a deleted attachment is answered with 200 and `{}` instead of an empty 204.
    pub delete_answers_braces: bool,
    /// What becomes of slugs (*unknown*).
    pub slugs: SlugRule,
    /// Slugs that nobody may use (*unknown* which).
    pub reserved_slugs: Vec<String>,
    /// Slugs at and below which nobody may write.
    pub read_only_slugs: Vec<String>,
    /// Whether a page may be deleted with those below it: `recursive` is known from one document only.
    pub recursive_delete: bool,
    /// Whether pages can be moved: the call is known from one document only.
    pub has_move: bool,
    /// How long moving and cloning take, in milliseconds.
    pub operation_ms: u64,
    /// Whether pages of results may hold fewer than was asked for, though there are more.
    pub short_pages: bool,
    /// Whether a missing organisation is 403 `FORCED_SYNC_REQUIRED` instead of 401.
    pub missing_organisation_is_forbidden: bool,
    /// Whether the scopes of tokens count; live, they do not.
    pub scopes_count: bool,
    /// How long an IAM token is good from its first use on, in seconds.
    pub iam_life_s: u64,
    /// Whether the administrator lets anybody use the API.
    pub api_enabled: bool,
    /// Requests of a user in a minute, `None` without a limit (*unknown*).
    pub requests_per_minute: Option<u32>,
    /// What errors look like.
    pub error_shape: ErrorShape,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            part_bytes_min: PART_BYTES_MIN,
            part_bytes_max: PART_BYTES_MAX,
            file_bytes_max: FILE_BYTES_MAX,
            total_bytes: TOTAL_BYTES,
            pages_max: PAGES_MAX,
            oversize_at: Step::Create,
            undersized_at: Step::Finish,
            size: SizeCheck::Strict,
            size_at: Step::Finish,
            empty_files: EmptyFiles::Refused,
            gaps: false,
            any_content_type: false,
            chunked_parts: false,
            begins_not_started: false,
            wrong_state_is_conflict: true,
            second_finish: Repeated::Refused,
            second_attach: Repeated::Refused,
            attach_max: 10,
            session_life_s: SESSION_LIFE_S,
            sessions_max: 100,
            sessions_reserve: true,
            storage_type: "s3".to_owned(),
            file_name_chars_max: 255,
            any_file_name: false,
            url_names: UrlNames::Latin,
            check_s: 0,
            verdict: Verdict::Ready,
            preview_s: PREVIEW_S,
            download_redirects: false,
            download_by_url_redirects: true,
            ranges: false,
            head: false,
            delete_answers_braces: false,
            slugs: SlugRule::LowerCase,
            reserved_slugs: Vec::new(),
            read_only_slugs: Vec::new(),
            recursive_delete: true,
            has_move: true,
            operation_ms: OPERATION_MS,
            short_pages: true,
            missing_organisation_is_forbidden: false,
            scopes_count: false,
            iam_life_s: IAM_LIFE_S,
            api_enabled: true,
            requests_per_minute: None,
            error_shape: ErrorShape::Documented,
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
        if !["mds", "s3", "custom_s3"].contains(&self.storage_type.as_str()) {
            return Err(format!("{} is no storage type", self.storage_type));
        }
        for (name, step, possible) in [
            ("oversize_at", self.oversize_at, &[Step::Create, Step::Finish, Step::Attach, Step::Never][..]),
            ("undersized_at", self.undersized_at, &[Step::Part, Step::Finish]),
            ("size_at", self.size_at, &[Step::Part, Step::Finish, Step::Attach]),
        ] {
            if !possible.contains(&step) {
                return Err(format!("{name} cannot be {step:?}"));
            }
        }
        if self.second_finish == Repeated::Again {
            return Err("a session is finished once".to_owned());
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
        let changes = json!({"size": "under_ok", "oversize_at": "attach", "verdict": "infected", "gaps": true});
        let changed = Settings {
            size: SizeCheck::UnderOk,
            oversize_at: Step::Attach,
            verdict: Verdict::Infected,
            gaps: true,
            ..settings.clone()
        };
        assert_eq!(settings.with(&changes), Ok(changed));
        for wrong in [
            json!({"sizes": "strict"}),
            json!({"size": "loose"}),
            json!({"storage_type": "disk"}),
            json!({"oversize_at": "part"}),
            json!({"undersized_at": "attach"}),
            json!({"size_at": "never"}),
            json!({"second_finish": "again"}),
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

    #[test]
    fn parts_fit_both_readings_of_a_megabyte() {
        let settings = Settings::default();
        assert!(settings.part_bytes_min >= 5_000_000 && settings.part_bytes_max <= 16 << 20);
        assert!(settings.file_bytes_max <= 200 << 20);
    }
}
