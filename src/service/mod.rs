//! A service: a place that files are uploaded to. One trait, one folder per service, layers that are services around a
//! service, and one conformance suite (`tests/it/conformance.rs`) that each of them passes.
//!
//! **Contract.** A method answers when the service has answered. `Ok` means the service confirmed it. An error says by
//! its [`Retry`](crate::error::Retry) whether the request was refused for good, was definitely not done, or is in
//! doubt; a method never repeats a request that is in doubt. Nothing in here knows chunks, inodes or FUSE.
//!
//! **Sessions are data.** [`Spec`], [`SessionToken`] and [`Receipt`] are plain values: they can be journalled and
//! finished by another process. After any doubt the caller asks [`Service::probe`] before it sends again.
//!
//! **Concurrency.** Every method may be called from many tasks at once; the limits of one upload (order, width) are
//! the caller's duty, by [`PartRules`].
//!
//! **Cancellation.** Dropping a future may leave the request half sent: the caller must treat that as doubt.

mod call;
pub mod capability;
mod doubts;
pub mod layer;
pub mod mediawiki;
pub mod memory;
pub(crate) mod moment;
pub mod onlyoffice;
pub mod operation;
mod payload;
mod recent;
mod rejections;
mod reread;
mod signer;
mod twins;
pub mod yandex_cloud;
pub mod yandex_wiki;

use std::ops::Range;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::capability::{Capability, EARLY_BYTES, Flow, NamedAt, OPEN_AFTER_BYTES, PartRules, SizePolicy};
pub use self::operation::Operation;
pub use self::payload::{Content, Payload, Sha1Digest};
use crate::error::Result;
use crate::path::RemotePath;

/// One entry on the service, as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The name as the service has it.
    pub name: String,
    /// File or directory.
    pub kind: NodeKind,
    /// Bytes; 0 for a directory.
    pub size: u64,
    /// When the content last changed, by the service's clock.
    #[serde(with = "moment")]
    pub modified: SystemTime,
    /// Changes whenever the content changes (a checksum, a version number, an ETag).
    pub version: String,
    /// The service's own handle on the entry (an id, a title), opaque to everyone else.
    pub id: String,
    /// An address a person can open, where there is one. Never holds a secret.
    pub url: Option<String>,
    /// SHA-1 of the content, where the service tells.
    pub sha1: Option<Sha1Digest>,
    /// When the service removes the file by itself, where it does.
    #[serde(default, with = "moment::maybe")]
    pub expires: Option<SystemTime>,
}

/// The kind of a [`Node`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The entries of this page, in the service's order.
    pub nodes: Vec<Node>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// What an upload will be. It can be journalled: the process that takes an upload over asks [`Service::probe`] with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Where the file goes. Until the name is fixed ([`NamedAt`]) this is the best-known name.
    pub path: RemotePath,
    /// The size in bytes: exact for `finish`, `put_whole` and, under [`SizePolicy::Declared`], `begin`; else `None`.
    pub size: Option<u64>,
    /// SHA-1 of the whole file, once known and where [`Capability::sha1`] asks for it.
    pub sha1: Option<Sha1Digest>,
    /// What stands under the name now, as far as known: the upload replaces it.
    pub replaces: Option<Node>,
}

/// A session of a service, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionToken {
    /// The service's name for the session.
    pub id: String,
    /// What else the service's client must remember; never a secret.
    pub state: serde_json::Value,
}

/// The service's word that it holds some bytes of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The position of the part among the parts of the session, from 0.
    pub index: u32,
    /// The bytes of the file.
    pub range: Range<u64>,
    /// What `finish` needs to know of it (an ETag, the key of the assembled file).
    pub state: serde_json::Value,
}

/// One part on its way out.
#[derive(Clone, Debug)]
pub struct Part {
    /// The position of the part among the parts of the session, from 0.
    pub index: u32,
    /// The bytes, and where in the file they stand.
    pub payload: Payload,
    /// Whether the file ends with this part.
    pub last: bool,
}

/// The answer to `begin`.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The session.
    pub token: SessionToken,
    /// For the part that `begin` carried, where it carries one.
    pub receipt: Option<Receipt>,
}

/// What a service says when it is asked about an upload in doubt.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The session is alive and holds exactly these bytes; what is missing may be sent, what is complete may be
    /// finished.
    Holds(Vec<Receipt>),
    /// The file is there, complete, as the spec says.
    Finished(Node),
    /// The session does not exist (any more) and the file is not there: begin again.
    Gone,
    /// The service is still working on it, or cannot tell yet: ask again. A client says so no longer than such work can
    /// take; a close waits meanwhile.
    Unknown,
}

/// A place that files are uploaded to. See the module for the contract.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The kind of service, as in the configuration: `mediawiki`, `memory`.
    fn kind(&self) -> &'static str;

    /// What it can do, now.
    fn capability(&self) -> Capability;

    /// Whether a file of this name could exist on the service, by everything the client knows without asking.
    ///
    /// # Errors
    /// `BadName`, `NameTooLong`, `Refused` (a forbidden type), `Denied` (no right to upload), `ReadOnly`.
    fn check_name(&self, path: &RemotePath) -> Result<()>;

    /// Whether this account may create the file at `path`, or replace the one that is there, as far as the service says
    /// so before the first byte; most would otherwise say it after the last one. May ask the service.
    ///
    /// # Errors
    /// As [`Service::check_name`]; `Denied` and `Refused` for this one file (a protected page, a forbidden title, a file of
    /// somebody else).
    async fn admit(&self, path: &RemotePath) -> Result<()> {
        self.check_name(path)
    }

    /// The name under which the service would file `name`: two names with the same canonical name are one file.
    fn canonical_name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Signs in if needed and tells what a person wants to know before mounting: account, rights, limits and what they
    /// mean, a line each.
    async fn check(&self) -> Result<Vec<String>>;

    /// The entry at `path`, fresh from the service.
    async fn stat(&self, path: &RemotePath) -> Result<Node>;

    /// One page of the directory `path`; `cursor` is [`Page::next`] of the page before.
    async fn list(&self, path: &RemotePath, cursor: Option<&str>) -> Result<Page>;

    /// Exactly the bytes `range` of the file at `path`, in the version of `node`.
    ///
    /// # Errors
    /// `Conflict` when the service has another version by now; `Corrupt` when it sends another number of bytes.
    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes>;

    /// Makes a directory.
    async fn mkdir(&self, path: &RemotePath) -> Result<Node>;

    /// Removes a file or an empty directory.
    async fn remove(&self, path: &RemotePath, node: &Node) -> Result<()>;

    /// Renames a committed file or a directory.
    ///
    /// # Errors
    /// `CrossDevice` when the service cannot do it in one step; `Exists` when the target exists and the service does
    /// not replace.
    async fn rename(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node>;

    /// Opens a session. `first` is given exactly when [`PartRules::opens_with_part`].
    async fn begin(&self, spec: &Spec, first: Option<Part>) -> Result<Begun>;

    /// Sends a part.
    async fn put(&self, spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt>;

    /// Makes the file out of the parts. `Ok` only when the service confirmed name, size and, where it gives one, checksum.
    async fn finish(&self, spec: &Spec, token: &SessionToken, receipts: &[Receipt]) -> Result<Node>;

    /// Asks what became of an upload whose last request is in doubt. `session` is `None` when there was none (a lost
    /// answer to `begin` or `put_whole`). `spec.size` and `spec.sha1` are set when everything was sent.
    ///
    /// Also asked by a process that takes an upload over from another one, with nothing but what that has written down: the
    /// spec as it was asked last, and the session. `Finished` then means that the file can only be this one, never that it
    /// looks like it: an upload that cannot be recognised is `Gone`, and is sent again. Where a service has no checksums,
    /// and above all where there was no session, the content tells, and is read back for that: whoever has the bytes sets
    /// `spec.sha1`, whether [`Capability::sha1`] asks for it or not.
    async fn probe(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress>;

    /// Gives a session up. Sessions the service has no way to delete are left to its own clean-up.
    async fn abort(&self, token: &SessionToken) -> Result<()>;

    /// Uploads a complete file in one request.
    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node>;
}
