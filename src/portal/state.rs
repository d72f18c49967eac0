//! What a test wants to know about a portal, as one value and as one page of JSON: files with size, versions and
//! SHA-256, open sessions, lost bytes, requests by kind, broken rules.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use time::OffsetDateTime;

use super::store::{Content, Store};
use super::violations::Violation;

/// A portal at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct PortalState {
    /// The service, and its version: `onlyoffice 3.7.2`.
    pub service: String,
    /// Files, by their paths.
    pub files: Vec<FileState>,
    /// Folders that were made, by their paths.
    pub folders: Vec<String>,
    /// Upload sessions that exist, by their ids.
    pub sessions: Vec<SessionState>,
    /// Bytes that nobody will ever remove.
    pub leaked_bytes: u64,
    /// How many requests came, by kind.
    pub requests: BTreeMap<String, u64>,
    /// How many faults have struck.
    pub faults_struck: u64,
    /// Broken rules.
    pub violations: Vec<Violation>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// Folders and title.
    pub path: String,
    /// The service's id.
    pub id: String,
    /// The size that the service tells.
    pub bytes: u64,
    /// The bytes that are really there.
    pub stored_bytes: u64,
    /// How many versions there are.
    pub versions: usize,
    /// How many files have this path, this one among them: titles need not be unique.
    pub twins: usize,
    /// When the newest version was made, by the portal's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub updated: OffsetDateTime,
    /// Of the bytes that are there, in hexadecimal.
    pub sha256: String,
    /// What only this service knows of a file; null where that is nothing.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub notes: serde_json::Value,
}

/// An upload session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionState {
    /// The service's id.
    pub id: String,
    /// What it will make.
    pub title: String,
    /// The declared size.
    pub bytes_total: i64,
    /// The bytes it holds.
    pub bytes_held: u64,
    /// How many files or versions it has made; a session that has made one may stay until it expires.
    pub commits: u64,
    /// Whether its client gave it up, and the server could not.
    pub abandoned: bool,
    /// The service's word for where it stands; `None` where it has no words for that.
    pub status: Option<String>,
}

/// What a service knows by heart; digests and twins are added by the portal.
#[derive(Debug, Default)]
pub(super) struct ServiceState {
    pub(super) service: String,
    /// In the order of their making.
    pub(super) files: Vec<(FileState, Content)>,
    pub(super) folders: Vec<String>,
    pub(super) sessions: Vec<SessionState>,
    pub(super) leaked_bytes: u64,
}

/// Digests that were computed once. Blobs never change, so neither do they.
#[derive(Debug, Default)]
pub(super) struct Digests(Mutex<HashMap<Content, String>>);

impl Digests {
    pub(super) async fn of(&self, store: &Arc<Store>, content: &Content) -> io::Result<String> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(content) {
            return Ok(known.clone());
        }
        let digest = store.sha256(content).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(content.clone(), digest.clone());
        Ok(digest)
    }
}

impl PortalState {
    /// The only file of this path.
    pub fn file(&self, path: &str) -> Option<&FileState> {
        let mut found = self.files.iter().filter(|file| file.path == path);
        found.next().filter(|_| found.next().is_none())
    }
}
