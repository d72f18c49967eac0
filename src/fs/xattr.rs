//! Extended attributes of a file: what is the matter with it. Not listed, so that `cp -a` does not carry them away. The
//! one that can be written is in `control.rs`.

use std::ffi::OsStr;

use fuser::{Errno, ReplyXattr};

use super::control;
use super::front::Front;
use super::status::{FileState, moment};
use crate::file::Health;
use crate::service::Node;

/// Every attribute begins so; names of others do not exist here.
const PREFIX: &str = "user.uploadfs.";

/// What an attribute is computed from.
struct Subject {
    /// The state, `None` for a file that was not opened since mounting, or a directory.
    health: Option<Health>,
    /// The size of the file, in bytes.
    size: u64,
    /// The service's version of it.
    node: Option<Node>,
}

impl Front {
    pub(super) fn get_attribute(&self, ino: u64, name: &OsStr, size: u32, reply: ReplyXattr) {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            return reply.error(Errno::EOPNOTSUPP);
        };
        if control::owns(ino) {
            return reply.error(Errno::NO_XATTR);
        }
        let Ok(attr) = self.tree.attr(ino) else { return reply.error(Errno::ENOENT) };
        let health = self.tree.opened_file(ino).map(|file| file.health());
        let subject = Subject { health, size: attr.size, node: self.tree.node(ino) };
        match value(name, &subject) {
            None => reply.error(Errno::NO_XATTR),
            Some(value) if size == 0 => reply.size(value.len() as u32),
            Some(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
            Some(value) => reply.data(value.as_bytes()),
        }
    }
}

/// The value of an attribute; `None` when it has none now.
fn value(name: &str, subject: &Subject) -> Option<String> {
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
    match subject.health.as_ref().and_then(FileState::of) {
        Some(state) => state.name(),
        None if subject.node.is_none() => FileState::Local.name(),
        None => "remote",
    }
}

/// `bytes the service has / bytes of the file`.
fn progress(subject: &Subject) -> String {
    let sent = match &subject.health {
        Some(Health::Clean) | None => subject.node.as_ref().map_or(0, |node| node.size),
        Some(health) => health.sent(),
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
        let open = subject(Some(Health::Open { sent: 3 }));
        assert_eq!(value("user.uploadfs.state", &open).as_deref(), Some("open"));
        assert_eq!(value("user.uploadfs.progress", &open).as_deref(), Some("3/10"));
        assert_eq!(value("user.uploadfs.state", &subject(Some(Health::Clean))).as_deref(), Some("local"));
        assert_eq!(value("user.uploadfs.state", &subject(None)).as_deref(), Some("local"));
        assert_eq!(value("user.uploadfs.command", &open), None, "what was written is no state");
    }
}
