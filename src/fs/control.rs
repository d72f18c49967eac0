//! How people control a mount without a socket: a directory `.uploadfs` in its root that can be entered and is not
//! listed, with the file `status` in it, and commands that are written into the attribute `user.uploadfs.command` of a
//! file.
//!
//! **Contract.** The text of `status` is made when it is opened, from memory alone; whoever reads it gets one
//! consistent text, and no request leaves for it. Nothing in the directory can be changed, and nothing else can get its name: a
//! service that has an entry of this name in its root does not show it here.
//!
//! **Permissions.** Whoever may use the mount may read `status`. A command needs write permission on its file; the
//! kernel has checked that.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{Errno, FopenFlags, ReplyData, ReplyEmpty};

use super::front::Front;
use super::handles::Handles;
use super::reply;
use super::status::{Fact, Facts, Space, Status};
use crate::error::{Error, Kind, Result};
use crate::file::OpenMode;
use crate::service::NodeKind;
use crate::service::layer::Reach;
use crate::tree::{Attr, Listed, ROOT};

/// The name of the directory.
const NAME: &str = ".uploadfs";

/// The name of the file in it.
const STATUS_NAME: &str = "status";

/// The inode of the directory. The tree counts from below and never comes so far.
const DIRECTORY: u64 = u64::MAX - 1;

/// The inode of the file.
const STATUS: u64 = u64::MAX - 2;

/// Open texts are numbered from here, so that none has the number of an open file.
const FIRST_TEXT: u64 = 1 << 63;

/// The attribute that commands are written to.
const COMMAND: &str = "user.uploadfs.command";

/// What the hidden directory knows.
pub(super) struct Control {
    remote: String,
    reach: Arc<Reach>,
    /// When the mount began: the time of what never changes.
    begun: SystemTime,
    /// The open texts.
    texts: Handles<String>,
}

/// What a person tells a mount to do with a parked file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Send it as it is.
    Retry,
    /// Throw away what the mount has of it.
    Discard,
}

impl Control {
    /// The directory of a mount of the remote of this name.
    pub(super) fn new(remote: String, reach: Arc<Reach>) -> Self {
        Control { remote, reach, begun: SystemTime::now(), texts: Handles::from(FIRST_TEXT) }
    }

    /// An open text was closed.
    pub(super) fn release(&self, number: u64) {
        self.texts.remove(number);
    }

    /// A descriptor of an open text is closed or synced: there is nothing to do.
    pub(super) fn flush(&self, number: u64, reply: ReplyEmpty) {
        if self.texts.get(number).is_some() { reply.ok() } else { reply.error(Errno::EBADF) }
    }

    /// Answers a read of an open text.
    pub(super) fn read(&self, number: u64, offset: u64, size: u32, reply: ReplyData) {
        let Some(text) = self.texts.get(number) else { return reply.error(Errno::EBADF) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        let end = start.saturating_add(size as usize).min(text.len());
        reply.data(&text.as_bytes()[start..end]);
    }
}

impl Command {
    /// What is meant by an attribute that somebody sets on the inode `ino`.
    ///
    /// # Errors
    /// EOPNOTSUPP for every other attribute, EINVAL for another word, EPERM in the hidden directory.
    pub(super) fn decode(ino: u64, name: &OsStr, value: &[u8]) -> Result<Command, Errno> {
        match value {
            _ if owns(ino) => Err(Errno::EPERM),
            _ if name != COMMAND => Err(Errno::EOPNOTSUPP),
            b"retry" => Ok(Command::Retry),
            b"discard" => Ok(Command::Discard),
            _ => Err(Errno::EINVAL),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Command::Retry => "retry",
            Command::Discard => "discard",
        }
    }
}

/// Whether an inode is the hidden directory or lies in it.
pub(super) fn owns(ino: u64) -> bool {
    ino == DIRECTORY || ino == STATUS
}

/// Whether nothing may be made, renamed or removed under this name. No other spelling of the directory's name can be
/// used either: to some services it would be the same.
pub(super) fn guards(parent: u64, name: &str) -> bool {
    owns(parent) || (parent == ROOT && name.eq_ignore_ascii_case(NAME))
}

/// What is listed of a directory: all of it, but for a namesake of the hidden one.
pub(super) fn without_namesake(ino: u64, listed: Arc<Vec<Listed>>) -> Arc<Vec<Listed>> {
    if ino != ROOT || !listed.iter().any(|line| line.name == NAME) {
        return listed;
    }
    Arc::new(listed.iter().filter(|line| line.name != NAME).cloned().collect())
}

/// What is in the hidden directory; `None` for any other inode.
pub(super) fn listing(ino: u64) -> Option<Arc<Vec<Listed>>> {
    let status = Listed { ino: STATUS, name: STATUS_NAME.to_owned(), kind: NodeKind::File };
    (ino == DIRECTORY).then(|| Arc::new(vec![status]))
}

impl Front {
    /// The entry of `name` in `parent`, if that can be said without asking the service.
    pub(super) fn lookup_now(&self, parent: u64, name: &str) -> Option<Result<Attr>> {
        let hidden = match (parent, name) {
            (ROOT, NAME) => DIRECTORY,
            (DIRECTORY, STATUS_NAME) => STATUS,
            (DIRECTORY | STATUS, _) => return Some(Err(Error::new(Kind::NotFound, "lookup", "there is no such file"))),
            _ => return self.tree.lookup_now(parent, name),
        };
        Some(self.attr(hidden))
    }

    /// What is known of an inode, if it is fresh enough.
    pub(super) fn attr_now(&self, ino: u64) -> Option<Result<Attr>> {
        if owns(ino) { Some(self.attr(ino)) } else { self.tree.attr_now(ino) }
    }

    /// What is known of an inode, without asking.
    pub(super) fn attr(&self, ino: u64) -> Result<Attr> {
        let (kind, mode, time) = match ino {
            DIRECTORY => (NodeKind::Directory, 0o555, self.control.begun),
            // As in /proc: how long the text is shows when it is read.
            STATUS => (NodeKind::File, 0o444, SystemTime::now()),
            _ => return self.tree.attr(ino),
        };
        Ok(Attr { ino, kind, size: 0, mode, accessed: time, modified: time, ..self.tree.attr(ROOT)? })
    }

    /// Opens the file in the hidden directory, and makes its text.
    ///
    /// # Errors
    /// `Refused` when it is to be written, `IsDirectory`.
    pub(super) fn open_hidden(&self, ino: u64, mode: OpenMode) -> Result<(u64, FopenFlags)> {
        if ino == DIRECTORY {
            return Err(Error::new(Kind::IsDirectory, "open", "it is a directory"));
        }
        if mode.write || mode.truncate {
            return Err(Error::new(Kind::Refused, "open", "the status of a mount cannot be written"));
        }
        // Past the kernel's pages, which would be those of the text before.
        Ok((self.control.texts.add(Arc::new(self.status().text())), FopenFlags::FOPEN_DIRECT_IO))
    }

    fn status(&self) -> Status {
        let usage = self.files.cache().usage();
        let files = self.tree.unsettled().into_iter();
        let fact = |(path, file): (_, Arc<crate::file::File>)| Fact { path, bytes: file.size(), health: file.health() };
        Status::of(Facts {
            remote: &self.control.remote,
            service: self.files.uploads().service().kind(),
            offline: self.control.reach.offline(),
            files: files.map(fact).collect(),
            memory: Space { used: usage.memory_bytes, max: usage.memory_bytes_max },
            spool: Space { used: usage.spooled_bytes, max: usage.spooled_bytes_max },
        })
    }

    /// Does what a person has told, and answers.
    pub(super) async fn obey(&self, ino: u64, command: Command, reply: ReplyEmpty) {
        let path = self.path_of(ino);
        let result = match command {
            // It waits as a close does, and no longer.
            Command::Retry => self.tree.retry(ino).await,
            Command::Discard => self.discard(ino).await,
        };
        match result {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(reply::errno(command.name(), path, &error)),
        }
    }

    async fn discard(&self, ino: u64) -> Result<()> {
        // Not by `in_time`, whose work goes on: nobody is to lose a file after having been told that it is kept.
        let discarded = tokio::time::timeout(self.metadata_deadline, self.tree.discard_local(ino)).await;
        let renewed = discarded.unwrap_or_else(|_| {
            Err(Error::new(Kind::Timeout, "discard", "the service has not said yet what became of the file"))
        })?;
        for name in renewed.names {
            self.coherence.renamed(renewed.parent, name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(ino: u64, name: &str, value: &[u8]) -> Result<Command, i32> {
        Command::decode(ino, OsStr::new(name), value).map_err(Errno::code)
    }

    #[test]
    fn a_command_is_one_of_two_words() {
        assert_eq!(decode(7, COMMAND, b"retry"), Ok(Command::Retry));
        assert_eq!(decode(7, COMMAND, b"discard"), Ok(Command::Discard));
        for wrong in [&b""[..], b"Retry", b"retry\n", b"retry ", b"\xff"] {
            assert_eq!(decode(7, COMMAND, wrong), Err(libc::EINVAL), "{wrong:?}");
        }
        for other in ["user.uploadfs.state", "user.uploadfs.commands", "user.x", "security.capability"] {
            assert_eq!(decode(7, other, b"retry"), Err(libc::EOPNOTSUPP), "{other}");
        }
        for ino in [DIRECTORY, STATUS] {
            assert_eq!(decode(ino, COMMAND, b"discard"), Err(libc::EPERM));
        }
    }

    #[test]
    fn the_name_is_guarded_in_the_root_and_nowhere_else() {
        assert!(guards(ROOT, ".uploadfs") && guards(ROOT, ".UploadFS"));
        assert!(!guards(7, ".uploadfs") && !guards(ROOT, "uploadfs") && !guards(ROOT, ".uploadfs2"));
        assert!(guards(DIRECTORY, "x") && guards(STATUS, "x"));
        assert!(owns(DIRECTORY) && owns(STATUS) && !owns(ROOT) && !owns(u64::MAX));
    }

    #[test]
    fn a_namesake_is_not_listed() {
        let line = |ino, name: &str| Listed { ino, name: name.to_owned(), kind: NodeKind::File };
        let listed = Arc::new(vec![line(2, "a"), line(3, NAME), line(4, "b")]);
        let names = |listed: &[Listed]| listed.iter().map(|line| line.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&without_namesake(ROOT, listed.clone())), ["a", "b"]);
        assert_eq!(
            names(&without_namesake(9, listed.clone())),
            ["a", NAME, "b"],
            "elsewhere it is a name like any other"
        );
        assert_eq!(names(&listing(DIRECTORY).unwrap()), [STATUS_NAME]);
        assert!(listing(ROOT).is_none() && listing(STATUS).is_none());
    }
}
