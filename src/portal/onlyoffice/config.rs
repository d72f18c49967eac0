//! What kind of ONLYOFFICE portal this is. What is not known about real ones is a switch here (marked *unknown*), whose
//! default is the behaviour that is hardest on a client. Every setting but the version and the accounts may change while
//! the portal runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::generation::{Generation, Version};
use crate::portal::settings::changed;

/// The chunk size of a portal that nobody configured, in bytes.
pub const CHUNK_BYTES: u64 = 10 << 20;
/// The largest file by the tariff of a server of one's own, in bytes: 100 GiB.
const FILE_BYTES_MAX: u64 = 100 << 30;
/// The largest request of DocSpace's file service, in bytes.
const REQUEST_BYTES_MAX: u64 = 100 << 20;

/// Where the bytes of files are, as clients notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// On the server's disk: downloads come from the portal, and given-up sessions leave their bytes for ever.
    Disk,
    /// In an object store: downloads are redirected, and abort works.
    S3,
}

/// How titles are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collation {
    /// MySQL's `utf8_general_ci`: case, accents and blanks at the end do not count.
    Mysql,
    /// PostgreSQL: everything counts (*unknown* beyond that case does).
    Postgres,
}

/// The language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    En,
    /// German.
    De,
}

/// What becomes of a session with a size below -1 (*unknown*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeSize {
    /// The chunk is answered as finished, with id 0.
    IdZero,
    /// The chunk is an internal error.
    Fails,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What is typed as user name.
    pub email: String,
    /// What is typed as password.
    pub password: String,
    /// A key for DocSpace 3.1 and later, `sk-` and 64 hexadecimal digits.
    pub api_key: Option<String>,
    /// What the key may do; `*` is everything.
    pub scopes: Vec<String>,
    /// Whether a second factor is asked for: the code.
    pub second_factor: Option<String>,
    /// Whether files and folders may be made and changed.
    pub may_write: bool,
}

impl Account {
    /// An account with all rights.
    pub fn new(email: &str, password: &str) -> Account {
        Account {
            email: email.to_owned(),
            password: password.to_owned(),
            api_key: None,
            scopes: vec!["*".to_owned()],
            second_factor: None,
            may_write: true,
        }
    }
}

/// The limiter of hosted portals. Servers of one's own have it switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    /// Requests of a user in a minute.
    pub per_minute: u32,
    /// Reading requests of a user at once.
    pub concurrent_reads: u32,
    /// Other requests of a user at once.
    pub concurrent_writes: u32,
    /// POST and PUT requests of a user in a day.
    pub writes_per_day: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        RateLimit { per_minute: 1500, concurrent_reads: 50, concurrent_writes: 15, writes_per_day: 10_000 }
    }
}

/// The user name of the account that is always there.
pub const USER: &str = "user@portal.test";
/// Its password.
pub const PASSWORD: &str = "portal";
/// Its API key.
pub const API_KEY: &str = "sk-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An ONLYOFFICE portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlyofficeConfig {
    /// The version, and with it the generation.
    pub version: Version,
    /// Who can sign in.
    pub accounts: Vec<Account>,
    /// What may change while it runs.
    pub settings: Settings,
}

impl OnlyofficeConfig {
    /// A portal of this generation with one account, [`USER`].
    pub fn new(generation: Generation) -> Self {
        OnlyofficeConfig::of_version(generation.version())
    }

    /// A portal of this version with one account, [`USER`].
    pub fn of_version(version: Version) -> Self {
        let account = Account { api_key: Some(API_KEY.to_owned()), ..Account::new(USER, PASSWORD) };
        OnlyofficeConfig { version, accounts: vec![account], settings: Settings::default() }
    }
}

/// What may change while a portal runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The largest chunk, in bytes.
    pub chunk_bytes: u64,
    /// The largest file, in bytes.
    pub file_bytes_max: u64,
    /// The space of the whole portal, in bytes; `None` for as much as there is.
    pub total_bytes: Option<u64>,
    /// The space of a room or user, in bytes, checked when a file is made of its parts; one file may exceed it while
    /// less than twice of it is used.
    pub room_bytes: Option<u64>,
    /// The largest request, in bytes.
    pub request_bytes_max: u64,
    /// Where the bytes are.
    pub storage: Storage,
    /// How titles are compared.
    pub collation: Collation,
    /// The language of the messages that have one.
    pub language: Language,
    /// How many minutes the portal's clock is ahead of UTC; times are told with this offset, or with `Z` at 0.
    pub utc_offset_min: i16,
    /// Whether sessions of DocSpace 2.5 and later survive a restart: they do in Redis, and not in memory.
    pub sessions_survive: bool,
    /// Whether a second request for a chunk that is still being written fails, as files in use do.
    pub chunks_are_exclusive: bool,
    /// Sizes below -1 (*unknown*).
    pub negative_size: NegativeSize,
    /// Whether DocSpace before 2.5 tells its chunk size (*unknown*).
    pub g1_tells_chunk_size: bool,
    /// The only extensions that are taken, with their dots, in lower case; empty for all.
    pub extensions: Vec<String>,
    /// The limiter.
    pub rate_limit: Option<RateLimit>,
    /// How long a token is valid, in seconds.
    pub token_life_s: u64,
    /// Wrong passwords of a user in a minute, before even the right one is refused.
    pub login_attempts_max: u32,
    /// How long an operation on files takes, in milliseconds.
    pub operation_ms: u64,
    /// Whether the portal is paid for; where not, everything answers 402.
    pub paid: bool,
}

/// The default of [`Settings::token_life_s`]: a year.
const TOKEN_LIFE_S: u64 = 365 * 24 * 60 * 60;
/// The default of [`Settings::login_attempts_max`].
const LOGIN_ATTEMPTS_MAX: u32 = 5;
/// The default of [`Settings::operation_ms`]: long enough that a client that does not poll is found out.
const OPERATION_MS: u64 = 40;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            chunk_bytes: CHUNK_BYTES,
            file_bytes_max: FILE_BYTES_MAX,
            total_bytes: None,
            room_bytes: None,
            request_bytes_max: REQUEST_BYTES_MAX,
            storage: Storage::Disk,
            collation: Collation::Mysql,
            language: Language::En,
            utc_offset_min: 0,
            sessions_survive: false,
            chunks_are_exclusive: true,
            negative_size: NegativeSize::Fails,
            g1_tells_chunk_size: false,
            extensions: Vec::new(),
            rate_limit: None,
            token_life_s: TOKEN_LIFE_S,
            login_attempts_max: LOGIN_ATTEMPTS_MAX,
            operation_ms: OPERATION_MS,
            paid: true,
        }
    }
}

impl Settings {
    /// These settings with what `changes` names changed.
    pub(super) fn with(&self, changes: &serde_json::Value) -> Result<Settings, String> {
        let settings: Settings = changed(self, changes)?;
        if settings.chunk_bytes == 0 {
            return Err("a chunk has at least one byte".to_owned());
        }
        Ok(settings)
    }

    pub(super) fn operation_time(&self) -> Duration {
        Duration::from_millis(self.operation_ms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_change_by_name() {
        let settings = Settings::default();
        let changed = settings.with(&json!({"chunk_bytes": 512, "storage": "s3", "rate_limit": {"per_minute": 3}}));
        let limit = RateLimit { per_minute: 3, ..RateLimit::default() };
        let expected = Settings { chunk_bytes: 512, storage: Storage::S3, rate_limit: Some(limit), ..settings.clone() };
        assert_eq!(changed, Ok(expected));
        assert!(settings.with(&json!({"chunk_size": 512})).is_err());
        assert!(settings.with(&json!({"chunk_bytes": 0})).is_err());
        assert!(settings.with(&json!([1])).is_err());
    }

    #[test]
    fn the_key_is_a_key() {
        assert_eq!(API_KEY.len(), 3 + 64);
        assert!(API_KEY.strip_prefix("sk-").unwrap().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
