//! Files of Yandex Cloud AI Studio: one flat cloud folder of files, as a directory tree by the slashes in their names.
//!
//! **Roads.** There is one: a request that carries the whole file, as base64 in JSON or in a form, made out of the payload
//! while it is sent. The content of a file never changes, so an overwrite is another file, and the old one is removed when
//! the new one was looked at. Names can be changed, in the native dialect.
//!
//! **Files.** `api.rs` is one call on the wire, `calls.rs` the calls of both dialects, `answers.rs` what comes back,
//! `codes.rs` the table of refusals, `credential.rs` what a token looks like. `names.rs` makes paths of names, `catalog.rs`
//! remembers the folder; `entries.rs` and `moves.rs` look, make, rename and remove. `upload.rs` sends, `body.rs` is what is
//! sent, `labels.rs` what it is marked with, `attempts.rs` what is remembered of it, `settle.rs` whether it arrived,
//! `resume.rs` whether that of another process did. `links.rs` finds the bytes, `read.rs` reads them, `streams.rs` where there
//! are no ranges. `lifetimes.rs` says how long files live, `refresh.rs` keeps them alive. `check.rs` is the report for people.
//!
//! **What the service cannot do.** No directories, no sizes and no checksums in the native dialect (our labels have them), no
//! finding by name, and no file for ever: each is removed some days after it was made.

mod answers;
mod api;
mod attempts;
mod body;
mod calls;
mod catalog;
mod check;
mod codes;
mod credential;
mod entries;
mod labels;
mod lifetimes;
mod links;
mod moves;
mod names;
mod read;
mod refresh;
mod resume;
mod settle;
mod streams;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

use self::api::{Api, Identity};
use self::attempts::Attempts;
use self::catalog::Catalog;
use self::credential::Look;
use self::lifetimes::Lifetimes;
pub use self::lifetimes::{DEFAULT_DAYS, OPEN_AI_DAYS_MAX};
use self::links::Links;
pub use self::refresh::Refresh;
use self::refresh::{Hopeless, Refresher};
use self::streams::Streams;
use crate::error::{Error, Kind, Result};
use crate::http::{Client, Cookies, Guests, Settings};
use crate::path::RemotePath;
use crate::secret::Token;
use crate::service::doubts::{Doubts, Pace};
use crate::service::recent::Recent;
use crate::service::signer::Signer;
use crate::service::{
    Begun, Capability, NamedAt, Node, Page, Part, Payload, Progress, Receipt, Service, SessionToken, Sha1Digest,
    SizePolicy, Spec,
};

/// Where the service is.
pub const URL: &str = "https://ai.api.cloud.yandex.net";
/// The largest file that is surely taken, in bytes: whether "128 MB" means this or [`FILE_MAX`] is not documented.
pub const FILE_SAFE: u64 = 128_000_000;
/// The largest file that may be taken, in bytes.
pub const FILE_MAX: u64 = 128 << 20;
/// How long the service may still be making a file after its answer was lost: it decodes it, looks for its type, and stores
/// it. A moment for the smallest, because a person waits; ten MiB in a second for the others.
const PACE: Pace = Pace { base: Duration::from_secs(3), per_mib: Duration::from_millis(100) };
/// The word of API keys.
const API_KEY: &str = "Api-Key";

/// In which words the service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Its own: labels, names that can be changed, lifetimes that can be made longer.
    Native,
    /// Like the API of OpenAI: sizes, and nothing that can be changed.
    OpenAi,
}

/// A cloud folder and an account in it. Has no `Debug`: it holds secrets.
pub struct YandexCloudConfig {
    /// The address of the service; [`URL`], or the older `https://rest-assistant.api.cloud.yandex.net`.
    pub url: String,
    /// In which words it is spoken to.
    pub dialect: Dialect,
    /// The id of the cloud folder.
    pub folder: String,
    /// The directory, by the slashes in names, that is mounted.
    pub root: RemotePath,
    /// An API key of a service account, or an IAM token.
    pub token: Arc<Token>,
    /// How long files are to live, in days; [`DEFAULT_DAYS`] is the longest that is known to be taken.
    pub ttl_days: u64,
    /// The largest file, in bytes; [`FILE_SAFE`] unless it was tried out that the service takes more.
    pub file_max: u64,
    /// Trust the certificates in this PEM file, and only them.
    pub ca_file: Option<PathBuf>,
    /// Go through this proxy.
    pub proxy: Option<String>,
}

/// The service.
pub struct YandexCloud {
    cloud: Arc<Cloud>,
    refresher: Refresher,
}

/// What the service and its task share.
struct Cloud {
    api: Api,
    guests: Guests,
    catalog: Catalog,
    /// One listing at a time.
    listing: Semaphore,
    links: Links,
    streams: Streams,
    attempts: Attempts,
    doubts: Doubts,
    lifetimes: Lifetimes,
    refresh: Refresh,
    hopeless: Hopeless,
    /// The content of files that were read through lately.
    read_through: Recent<Sha1Digest>,
    /// The largest file, in bytes, as far as is known.
    file_max: AtomicU64,
    /// Whether files without content have been refused.
    refuses_empty: AtomicBool,
    /// Whether the wish for larger pages has been refused.
    has_small_pages: AtomicBool,
    /// Whether ETags of the storage have turned out to be no checksums.
    has_odd_etags: AtomicBool,
}

impl YandexCloud {
    /// A client for the folder; nothing is sent before it is needed.
    ///
    /// # Errors
    /// `Invalid` when the configuration cannot work.
    pub fn new(config: YandexCloudConfig) -> Result<YandexCloud> {
        YandexCloud::refreshing(config, Refresh::default())
    }

    /// The same, with files looked after as `refresh` says.
    ///
    /// # Errors
    /// As [`YandexCloud::new`].
    pub fn refreshing(config: YandexCloudConfig, refresh: Refresh) -> Result<YandexCloud> {
        let invalid = |what: &'static str| Err(Error::new(Kind::Invalid, "configuration", what));
        if config.folder.is_empty() {
            return invalid("the service needs the id of a cloud folder");
        }
        if config.ttl_days == 0 || config.file_max == 0 || config.file_max > FILE_MAX {
            return invalid("a file lives for a day at least, and has 134217728 bytes at most");
        }
        let settings =
            Settings { url: config.url, ca_file: config.ca_file, proxy: config.proxy, cookies: Cookies::Ignore };
        let identity = Identity {
            look: Look::of(config.token.current().expose_secret()),
            signer: Signer::new(config.token, API_KEY),
            dialect: config.dialect,
            folder: config.folder,
        };
        let cloud = Cloud {
            guests: Guests::of(&settings),
            api: Api::new(Client::new(&settings)?, identity),
            catalog: Catalog::new(config.root),
            listing: Semaphore::new(1),
            links: Links::default(),
            streams: Streams::default(),
            attempts: Attempts::default(),
            doubts: Doubts::new(PACE),
            lifetimes: Lifetimes::new(config.ttl_days, config.dialect),
            refresh,
            hopeless: Hopeless::default(),
            read_through: Recent::default(),
            file_max: AtomicU64::new(config.file_max),
            refuses_empty: AtomicBool::new(false),
            has_small_pages: AtomicBool::new(false),
            has_odd_etags: AtomicBool::new(false),
        };
        Ok(YandexCloud { cloud: Arc::new(cloud), refresher: Refresher::default() })
    }
}

impl Cloud {
    fn dialect(&self) -> Dialect {
        self.api.identity().dialect
    }

    /// Whether files carry what we note about them.
    fn has_labels(&self) -> bool {
        self.dialect() == Dialect::Native
    }

    /// Whether anything about a file can be changed.
    fn can_rename(&self) -> bool {
        self.dialect() == Dialect::Native
    }

    /// Whether names travel in the header of a form.
    fn in_forms(&self) -> bool {
        self.dialect() == Dialect::OpenAi
    }

    fn file_max(&self) -> u64 {
        self.file_max.load(Ordering::Relaxed)
    }

    /// The service has refused a larger file.
    fn takes_no_more_than(&self, bytes: u64) {
        self.file_max.fetch_min(bytes, Ordering::Relaxed);
    }

    /// The service has refused a file without content.
    fn takes_no_empty_files(&self) {
        self.refuses_empty.store(true, Ordering::Relaxed);
    }

    /// Whether pages may be asked for by size.
    fn takes_wishes(&self) -> bool {
        !self.has_small_pages.load(Ordering::Relaxed)
    }

    /// The service has pages of its own size.
    fn takes_no_wishes(&self) {
        self.has_small_pages.store(true, Ordering::Relaxed);
    }

    /// Whether what looks like a checksum of the storage is believed to be one.
    fn trusts_etags(&self) -> bool {
        !self.has_odd_etags.load(Ordering::Relaxed)
    }

    /// The content was right, and what looked like its checksum was not.
    fn etags_are_no_checksums(&self) {
        self.has_odd_etags.store(true, Ordering::Relaxed);
    }
}

/// There are no sessions.
fn no_sessions<T>() -> Result<T> {
    Err(Error::new(Kind::Unsupported, upload::OP, "the service takes a file in one request"))
}

#[async_trait]
impl Service for YandexCloud {
    fn kind(&self) -> &'static str {
        "yandex-cloud"
    }

    fn capability(&self) -> Capability {
        let max = self.cloud.file_max();
        Capability {
            policy: SizePolicy::Whole { max },
            file_max: max,
            whole_max: max,
            named_at: NamedAt::Begin,
            empty_files: !self.cloud.refuses_empty.load(Ordering::Relaxed),
            directories: true,
            rename: self.cloud.can_rename(),
            rename_replaces: self.cloud.can_rename(),
            sha1: false,
        }
    }

    fn check_name(&self, path: &RemotePath) -> Result<()> {
        names::check(path, self.cloud.in_forms())
    }

    async fn admit(&self, path: &RemotePath) -> Result<()> {
        self.check_name(path)?;
        self.cloud.known("create").await?;
        self.cloud.check_parent("create", path)?;
        // Whoever takes the last file out of it meanwhile does not take the place of this one.
        self.cloud.keep_parent(path);
        Ok(())
    }

    async fn check(&self) -> Result<Vec<String>> {
        // A mount that nobody looks into keeps its files alive, too.
        self.refresher.start(&self.cloud);
        self.cloud.report().await
    }

    async fn stat(&self, path: &RemotePath) -> Result<Node> {
        self.refresher.start(&self.cloud);
        self.cloud.stat_entry(path).await
    }

    async fn list(&self, path: &RemotePath, _cursor: Option<&str>) -> Result<Page> {
        self.refresher.start(&self.cloud);
        self.cloud.list_entries(path).await
    }

    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        self.cloud.read_file(path, node, range).await
    }

    async fn mkdir(&self, path: &RemotePath) -> Result<Node> {
        self.cloud.make_directory(path).await
    }

    async fn remove(&self, path: &RemotePath, node: &Node) -> Result<()> {
        self.cloud.remove_entry(path, node).await
    }

    async fn rename(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        self.cloud.rename_entry(from, node, to).await
    }

    async fn begin(&self, _spec: &Spec, _first: Option<Part>) -> Result<Begun> {
        no_sessions()
    }

    async fn put(&self, _spec: &Spec, _token: &SessionToken, _part: Part) -> Result<Receipt> {
        no_sessions()
    }

    async fn finish(&self, _spec: &Spec, _token: &SessionToken, _receipts: &[Receipt]) -> Result<Node> {
        no_sessions()
    }

    async fn probe(&self, spec: &Spec, _session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        self.cloud.probe_upload(spec).await
    }

    async fn abort(&self, _token: &SessionToken) -> Result<()> {
        Ok(())
    }

    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        self.check_name(&spec.path)?;
        self.cloud.upload(spec, &payload).await
    }
}

#[cfg(test)]
mod tests;
