//! What is the matter with a file, for people: what `status` shows and the attributes of a file tell.

use super::File;
use crate::error::Error;

/// What is the matter with a file, for people.
#[derive(Clone, Debug)]
pub enum Health {
    /// The service has it as it is.
    Clean,
    /// A program has it open for writing, and nothing failed.
    Open {
        /// Bytes the service holds of the version under way.
        sent: u64,
    },
    /// It is complete, and waits for its turn to be sent.
    Waiting,
    /// It is complete, and on its way.
    Uploading {
        /// Bytes the service holds of the version under way.
        sent: u64,
    },
    /// It has changes that the service does not have, and nothing will send them: an empty file where there are none.
    Local,
    /// Not published, see [`File`].
    Parked(Error),
}

impl Health {
    /// Bytes the service holds of the version under way.
    pub fn sent(&self) -> u64 {
        match self {
            Health::Open { sent } | Health::Uploading { sent } => *sent,
            Health::Clean | Health::Waiting | Health::Local | Health::Parked(_) => 0,
        }
    }
}

impl File {
    /// What is the matter with it.
    pub fn health(&self) -> Health {
        if let Some(error) = self.parked_by(&self.state()) {
            return Health::Parked(error);
        }
        let upload = self.upload();
        let sent = upload.sent();
        match (upload.is_dirty(), upload.is_busy()) {
            (false, false) => Health::Clean,
            // Whoever waits in a close has it open, too.
            (true, _) if !upload.is_committing() && self.has_writers() => Health::Open { sent },
            (_, true) => Health::Uploading { sent },
            (true, false) if upload.is_closed() && !self.stays_local() => Health::Waiting,
            (true, false) => Health::Local,
        }
    }
}
