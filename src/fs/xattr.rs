//! Extended attributes of a file: what is the matter with it. Read only, and not listed, so that `cp -a` does not carry
//! them away.

use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::file::Health;
use crate::service::Node;

/// Every attribute begins so; names of others do not exist here.
pub(super) const PREFIX: &str = "user.uploadfs.";

/// What an attribute is computed from.
pub(super) struct Subject {
    /// The state, `None` for a file that was not opened since mounting, or a directory.
    pub(super) health: Option<Health>,
    /// The size of the file, in bytes.
    pub(super) size: u64,
    /// The service's version of it.
    pub(super) node: Option<Node>,
}

/// The value of an attribute; `None` when it has none now.
pub(super) fn value(name: &str, subject: &Subject) -> Option<String> {
    match name.strip_prefix(PREFIX)? {
        "state" => Some(state(subject).to_owned()),
        "url" => subject.node.as_ref()?.url.clone(),
        "expires_at" => moment(subject.node.as_ref()?.expires?),
        "progress" => Some(progress(subject)),
        "error" => match &subject.health {
            Some(Health::Parked(error)) => Some(error.to_string()),
            _ => None,
        },
        _ => None,
    }
}

fn state(subject: &Subject) -> &'static str {
    match &subject.health {
        Some(Health::Uploading { .. }) => "uploading",
        Some(Health::Parked(_)) => "parked",
        Some(Health::Dirty) => "local",
        Some(Health::Clean) | None if subject.node.is_none() => "local",
        Some(Health::Clean) | None => "remote",
    }
}

/// As in RFC 3339, to the second, in UTC; nothing for a moment that no calendar has.
fn moment(at: SystemTime) -> Option<String> {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    moment.format(&Rfc3339).ok()
}

/// `bytes the service has / bytes of the file`.
fn progress(subject: &Subject) -> String {
    let sent = match &subject.health {
        Some(Health::Uploading { sent }) => *sent,
        Some(Health::Dirty | Health::Parked(_)) => 0,
        Some(Health::Clean) | None => subject.node.as_ref().map_or(0, |node| node.size),
    };
    format!("{sent}/{}", subject.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn a_moment_is_written_as_everywhere() {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_785_000_000_900);
        assert_eq!(moment(at).as_deref(), Some("2026-07-25T17:20:00Z"));
        assert_eq!(moment(SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(1)), None);
        let parked = subject(None);
        assert_eq!(value("user.uploadfs.expires_at", &parked), None, "nothing is known of it");
    }

    fn subject(health: Option<Health>) -> Subject {
        Subject { health, size: 10, node: None }
    }

    #[test]
    fn a_parked_file_says_why() {
        let error = Error::new(Kind::Denied, "upload", "no right");
        let parked = subject(Some(Health::Parked(error)));
        assert_eq!(value("user.uploadfs.state", &parked).as_deref(), Some("parked"));
        assert_eq!(value("user.uploadfs.error", &parked).as_deref(), Some("upload: no right"));
        assert_eq!(value("user.uploadfs.progress", &parked).as_deref(), Some("0/10"));
        assert_eq!(value("user.other", &parked), None);
    }

    #[test]
    fn a_file_under_way_says_how_far() {
        let uploading = subject(Some(Health::Uploading { sent: 4 }));
        assert_eq!(value("user.uploadfs.state", &uploading).as_deref(), Some("uploading"));
        assert_eq!(value("user.uploadfs.progress", &uploading).as_deref(), Some("4/10"));
        assert_eq!(value("user.uploadfs.url", &uploading), None);
        assert_eq!(value("user.uploadfs.state", &subject(None)).as_deref(), Some("local"));
    }
}
