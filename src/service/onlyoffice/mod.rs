//! ONLYOFFICE portals: CommunityServer (Workspace) and DocSpace, a folder of one as a directory.
//!
//! **Roads.** A portal must know the exact size before the first byte. What is smaller than a chunk goes as one; the rest as
//! a session of chunks of exactly the portal's size, which newer portals take by number, several at once and again, and
//! older ones strictly one after the other. Whatever the portal says, the file is read back: id, size, name.
//!
//! **Files.** `api.rs` is one call on the wire, `answers.rs` what comes back, `codes.rs` the table of refusals,
//! `session.rs` keeps us signed in, `generation.rs` and `site.rs` say what kind of portal it is, `names.rs` what it makes
//! of names. `folders.rs` goes from paths to ids, `index.rs` remembers listings; `entries.rs`, `moves.rs` and
//! `operations.rs` look, make, move and throw away. `plan.rs` decides where an upload goes, `chunks.rs` is a session on the
//! wire, `upload.rs` the roads, `settle.rs` whether it arrived, `resume.rs` what another process has left. `read.rs` reads,
//! `check.rs` is the report for people.
//!
//! **What a portal cannot do.** No checksums, no times of files, no rename that changes an extension, no replacing by rename,
//! and before DocSpace 3.6 no empty files. What is removed goes to the portal's trash.

mod answers;
mod api;
mod check;
mod chunks;
mod codes;
mod entries;
mod folders;
mod generation;
mod index;
mod moves;
mod names;
mod operations;
mod plan;
mod read;
mod resume;
mod session;
mod settle;
mod site;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;
use tokio::sync::{OnceCell, Semaphore};

use self::answers::Id;
use self::api::Api;
use self::chunks::{Journals, Open};
use self::folders::Listings;
pub use self::folders::Root;
use self::index::Index;
use self::session::{Credentials, Sessions};
use self::site::Site;
use crate::error::{Error, Kind, Result};
use crate::http::{Client, Cookies, Guests, Settings};
use crate::path::RemotePath;
use crate::service::doubts::{Doubts, Pace};
use crate::service::recent::Recent;
use crate::service::{
    Begun, Capability, Flow, NamedAt, Node, Page, Part, PartRules, Payload, Progress, Receipt, Service, SessionToken,
    Sha1Digest, SizePolicy, Spec,
};

/// How long a portal may still be making a file of its chunks after its answer was lost: it copies them one by one. A
/// moment for the smallest, because a person waits; a disk that copies 16 MiB/s for the others.
const PACE: Pace = Pace { base: Duration::from_secs(2), per_mib: Duration::from_millis(60) };

/// A portal and an account on it. Has no `Debug`: it holds secrets.
pub struct OnlyofficeConfig {
    /// The address of the portal, as a browser opens it.
    pub url: String,
    /// The account's user name, which is an address of mail. Not used with a token.
    pub user: String,
    /// Its password. One of password and token must be there.
    pub password: Option<SecretString>,
    /// A key (`sk-…`, DocSpace 3.1 and later) or another token, instead of user and password.
    pub token: Option<SecretString>,
    /// The folder to mount.
    pub root: Root,
    /// The chunk size of a portal that does not tell (CommunityServer), in bytes; 10 MiB unless its administrator changed it.
    pub chunk_bytes: Option<u64>,
    /// Trust the certificates in this PEM file, and only them.
    pub ca_file: Option<PathBuf>,
    /// Go through this proxy.
    pub proxy: Option<String>,
}

/// The service.
pub struct Onlyoffice {
    sessions: Sessions,
    site: OnceCell<Site>,
    root: Root,
    chunk_bytes: Option<u64>,
    root_id: OnceCell<Id>,
    index: Index,
    listings: Listings,
    /// One operation on entries at a time.
    operating: Semaphore,
    guests: Guests,
    journals: Journals,
    doubts: Doubts,
    wholes: Recent<Open>,
    /// Which session made a file, for the files that were made lately.
    accepted: Recent<String>,
    /// The content of versions that were read through lately.
    read_through: Recent<Sha1Digest>,
    /// The largest file that was ever seen here, in bytes.
    seen: AtomicU64,
}

impl Onlyoffice {
    /// A client for the portal; nothing is sent before it is needed.
    ///
    /// # Errors
    /// `Invalid` when the configuration cannot work.
    pub fn new(config: OnlyofficeConfig) -> Result<Onlyoffice> {
        let settings =
            Settings { url: config.url, ca_file: config.ca_file, proxy: config.proxy, cookies: Cookies::Ignore };
        let credentials = match (config.token, config.password) {
            (Some(token), _) => Credentials::Token(token),
            (None, Some(password)) if !config.user.is_empty() => Credentials::Password { user: config.user, password },
            _ => {
                let what = "a portal needs a user and a password, or a token";
                return Err(Error::new(Kind::Invalid, "configuration", what));
            }
        };
        let guests = Guests::of(&settings);
        Ok(Onlyoffice {
            sessions: Sessions::new(Api::new(Client::new(&settings)?), credentials),
            site: OnceCell::new(),
            root: config.root,
            chunk_bytes: config.chunk_bytes,
            root_id: OnceCell::new(),
            index: Index::default(),
            listings: Listings::default(),
            operating: Semaphore::new(1),
            guests,
            journals: Journals::default(),
            doubts: Doubts::new(PACE),
            wholes: Recent::default(),
            accepted: Recent::default(),
            read_through: Recent::default(),
            seen: AtomicU64::new(0),
        })
    }

    /// Asks the portal what it is, so that its chunk size is known before the first file; otherwise the first call does it.
    ///
    /// # Errors
    /// What keeps us out, in words for a person.
    pub async fn connect(&self) -> Result<()> {
        self.ask_site().await.map(drop)
    }

    async fn ask_site(&self) -> Result<Site> {
        let site = *self.site.get_or_try_init(|| Site::ask(self.sessions.api(), self.chunk_bytes)).await?;
        if site.version.generation().is_community() {
            self.sessions.is_community();
        }
        Ok(site)
    }

    /// What is known of the portal, without asking.
    fn site(&self) -> Site {
        self.site.get().copied().unwrap_or_else(Site::unknown)
    }

    /// Whether the mount is a folder of a storage elsewhere.
    fn root_is_elsewhere(&self) -> bool {
        self.root_id.get().is_some_and(Id::is_word)
    }

    /// A file of so many bytes has been on the portal.
    fn note_seen(&self, bytes: u64) {
        self.seen.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Whether a file of so many bytes, or a larger one, has been on the portal.
    fn has_seen(&self, bytes: u64) -> bool {
        self.seen.load(Ordering::Relaxed) >= bytes
    }
}

#[async_trait]
impl Service for Onlyoffice {
    fn kind(&self) -> &'static str {
        "onlyoffice"
    }

    fn capability(&self) -> Capability {
        let site = self.site();
        // Storages elsewhere, whose folders have words for ids, take one chunk after the other.
        let has_numbers = site.version.generation().has_numbers() && !self.root_is_elsewhere();
        let chunk = site.chunk_bytes;
        Capability {
            policy: SizePolicy::Declared(PartRules {
                size: chunk,
                min: chunk,
                max: chunk,
                multiple: 1,
                count_max: u32::MAX,
                first_max: None,
                // Without numbers the last chunk makes the file: it stays until the file is closed.
                hold_back: u64::from(!has_numbers),
                // An abandoned session may stay on the portal for ever: none before there is a chunk to send.
                open_after: chunk - 1,
                early: None,
                flow: if has_numbers { Flow::Parallel(site.width) } else { Flow::Sequential },
                rewrite: has_numbers,
                opens_with_part: false,
                last_makes_file: !has_numbers,
            }),
            // Only administrators are told how large a file may be; the portal says so when the session is opened.
            file_max: u64::MAX >> 1,
            whole_max: chunk - 1,
            named_at: NamedAt::Begin,
            empty_files: site.version.has_empty_files(),
            directories: true,
            rename: true,
            rename_replaces: true,
            sha1: false,
        }
    }

    fn check_name(&self, path: &RemotePath) -> Result<()> {
        if path.is_root() {
            return Err(Error::new(Kind::BadName, "name", "the root is not a file"));
        }
        names::check(path.name())
    }

    async fn admit(&self, path: &RemotePath) -> Result<()> {
        self.check_name(path)?;
        self.ask_site().await?;
        self.plan("create", path).await.map(drop)
    }

    fn canonical_name(&self, name: &str) -> String {
        names::canonical(name)
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.report().await
    }

    async fn stat(&self, path: &RemotePath) -> Result<Node> {
        self.stat_entry(path).await
    }

    async fn list(&self, path: &RemotePath, _cursor: Option<&str>) -> Result<Page> {
        self.list_entries(path).await
    }

    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        self.ask_site().await?;
        self.read_file(path, node, range).await
    }

    async fn mkdir(&self, path: &RemotePath) -> Result<Node> {
        self.make_folder(path).await
    }

    async fn remove(&self, path: &RemotePath, node: &Node) -> Result<()> {
        self.remove_entry(path, node).await
    }

    async fn rename(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        self.ask_site().await?;
        self.rename_entry(from, node, to).await
    }

    async fn begin(&self, spec: &Spec, _first: Option<Part>) -> Result<Begun> {
        self.ask_site().await?;
        self.begin_session(spec).await
    }

    async fn put(&self, spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        self.put_chunk(spec, token, part).await
    }

    async fn finish(&self, spec: &Spec, token: &SessionToken, receipts: &[Receipt]) -> Result<Node> {
        self.finish_session(spec, token, receipts).await
    }

    async fn probe(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        self.ask_site().await?;
        self.probe_upload(spec, session).await
    }

    async fn abort(&self, token: &SessionToken) -> Result<()> {
        self.abort_session(token).await
    }

    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        self.ask_site().await?;
        self.put_one_chunk(spec, payload).await
    }
}
