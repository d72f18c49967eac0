//! What can go wrong, said once: the kind of a failure, whether trying again can help, and the only table that turns a
//! kind into an errno. Services map their own codes to a [`Kind`] in their own folders; nothing else in the project
//! knows numbers of errors.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Result with the project's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, in the words of a file system. The errno is [`Kind::errno`]. The names are written to the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The file, page or session does not exist.
    NotFound,
    /// The name is taken.
    Exists,
    /// The account has no right to do this.
    Denied,
    /// The service does not know us any more, or never let us in.
    SignedOut,
    /// The service, or this account on it, cannot be written to now.
    ReadOnly,
    /// The name cannot be used on the service.
    BadName,
    /// The name is longer than the service allows.
    NameTooLong,
    /// The file, or one request that carries it, is larger than the service takes.
    TooLarge,
    /// A quota of space or of uploads per time is used up.
    Quota,
    /// The disk of the service is full.
    ServerFull,
    /// The local spool is full.
    SpoolFull,
    /// The service has no such operation.
    Unsupported,
    /// The service refuses this content or this kind of file, whoever asks.
    Refused,
    /// Another client changed the file meanwhile.
    Conflict,
    /// The service is busy with this very file or with maintenance; it may work in a moment.
    Busy,
    /// Too many requests.
    Throttled,
    /// The server cannot be reached.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The server says it failed itself.
    Server,
    /// The answer was not understood: not the API, or not the API this client knows.
    Protocol,
    /// Bytes are not what they should be.
    Corrupt,
    /// The directory still has entries.
    NotEmpty,
    /// A directory was needed.
    NotDirectory,
    /// A file was needed.
    IsDirectory,
    /// The service cannot do this in one step; the program has to copy.
    CrossDevice,
    /// The request makes no sense.
    Invalid,
    /// The writer was killed, or the mount is going away.
    Interrupted,
    /// Reading or writing the local spool failed.
    Spool,
}

impl Kind {
    /// Whether it says that nobody has answered.
    pub const fn is_silence(self) -> bool {
        matches!(self, Kind::Unreachable | Kind::Timeout)
    }

    /// The errno a program gets. Sources: the errno proposals of the services' own error tables, and what programs are
    /// known to survive (`link` and `symlink` answer EPERM, never EOPNOTSUPP).
    pub const fn errno(self) -> i32 {
        match self {
            Kind::NotFound => libc::ENOENT,
            Kind::Exists => libc::EEXIST,
            Kind::Denied | Kind::SignedOut => libc::EACCES,
            Kind::ReadOnly => libc::EROFS,
            Kind::BadName | Kind::Invalid => libc::EINVAL,
            Kind::NameTooLong => libc::ENAMETOOLONG,
            Kind::TooLarge => libc::EFBIG,
            Kind::Quota => libc::EDQUOT,
            Kind::ServerFull | Kind::SpoolFull => libc::ENOSPC,
            Kind::Unsupported => libc::EOPNOTSUPP,
            Kind::Refused => libc::EPERM,
            Kind::Conflict => libc::ESTALE,
            Kind::Busy => libc::EBUSY,
            Kind::Throttled => libc::EAGAIN,
            Kind::Unreachable => libc::EHOSTUNREACH,
            Kind::Timeout => libc::ETIMEDOUT,
            Kind::Protocol => libc::EPROTO,
            Kind::Server | Kind::Corrupt | Kind::Spool => libc::EIO,
            Kind::NotEmpty => libc::ENOTEMPTY,
            Kind::NotDirectory => libc::ENOTDIR,
            Kind::IsDirectory => libc::EISDIR,
            Kind::CrossDevice => libc::EXDEV,
            Kind::Interrupted => libc::ECANCELED,
        }
    }
}

/// Whether and how the same request may be sent again. This is the only thing a retry looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A definite refusal: sending it again brings the same answer.
    Never,
    /// Definitely not done; may be sent again after the wait the service asked for (zero: at the caller's own pace).
    After(Duration),
    /// Nobody knows whether it was done (cut connection, time-out after send, 504): ask the service what it holds
    /// before sending anything again.
    AskFirst,
}

/// One failure, ready for a program (errno), for a log line (what, on which file, what to do) and for a retry.
#[derive(Clone, Debug)]
pub struct Error {
    /// The kind, which fixes the errno.
    pub kind: Kind,
    /// Whether trying again can help.
    pub retry: Retry,
    /// What was being done: `upload`, `login`, `list`.
    pub op: &'static str,
    /// What happened, in words for a person; what the service said is part of it.
    pub what: Cow<'static, str>,
    /// What the person can do next, when there is something.
    pub hint: Option<Cow<'static, str>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A final failure of `op`.
    pub fn new(kind: Kind, op: &'static str, what: impl Into<Cow<'static, str>>) -> Self {
        Error { kind, retry: Retry::Never, op, what: what.into(), hint: None, source: None }
    }

    /// The same failure with another answer to "may it be sent again".
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same failure as another kind: what it means to whoever asked.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same failure with advice for the person who reads it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with the error below it.
    #[must_use]
    pub fn source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// A failure of the local spool: `ENOSPC` and `EDQUOT` of the disk stay what they are, the rest is EIO.
    pub fn spool(op: &'static str, error: std::io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => Kind::SpoolFull,
            _ => Kind::Spool,
        };
        Error::new(kind, op, format!("the local spool failed: {error}")).source(error)
    }

    /// The errno a program gets.
    pub fn errno(&self) -> i32 {
        self.kind.errno()
    }

    /// Whether the outcome of the request is unknown.
    pub fn in_doubt(&self) -> bool {
        self.retry == Retry::AskFirst
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, printable(&self.what))?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Longest text of a server that reaches a log line, in characters.
const PRINTABLE_MAX: usize = 400;

/// `text` as one log line: control characters and direction overrides escaped, length capped, so that neither a file
/// name nor a server can forge a line or a terminal sequence.
pub fn printable(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.len() <= PRINTABLE_MAX && text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == PRINTABLE_MAX {
            line.push('…');
            break;
        }
        if harmless(c) { line.push(c) } else { line.extend(c.escape_unicode()) }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_server_stays_one_line() {
        assert_eq!(printable("plain text, ü 日本"), "plain text, ü 日本");
        assert_eq!(printable("a\nb\x1b[31m"), "a\\u{a}b\\u{1b}[31m");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert!(printable(&"x".repeat(1 << 20)).len() < 500);
    }

    #[test]
    fn a_message_says_what_and_what_next() {
        let error =
            Error::new(Kind::Denied, "upload", "the wiki says: permissiondenied").hint("ask for the upload right");
        assert_eq!(error.to_string(), "upload: the wiki says: permissiondenied (ask for the upload right)");
        assert_eq!(error.errno(), libc::EACCES);
        assert!(!error.in_doubt());
        assert!(error.retry(Retry::AskFirst).in_doubt());
    }

    #[test]
    fn a_full_disk_is_said_to_be_full() {
        let full = Error::spool("write", std::io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(full.errno(), libc::ENOSPC);
        let broken = Error::spool("write", std::io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(broken.errno(), libc::EIO);
    }
}
