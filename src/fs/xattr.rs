//! Extended attributes of a file: what is the matter with it. Read only, and not listed, so that `cp -a` does not carry
//! them away.

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
