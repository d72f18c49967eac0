//! Yandex Wiki: a page as a directory, the pages below it as directories in it, its attachments as its files.
//!
//! **Road.** The wiki must know the exact size before the first byte. A session takes parts by number, several at once and
//! each of them again; it is ended, and attached to a page, which alone makes it a file. A file that is replaced is removed
//! after its successor was seen to be right.
//!
//! **Files.** `api.rs` is one call on the wire, `answers.rs` what comes back, `codes.rs` the table of refusals. `slugs.rs`
//! is what names of pages can be, `index.rs` remembers listings, `pages.rs` goes from paths to pages and files, `entries.rs`
//! makes and removes, `moves.rs` renames. `upload.rs` is the road, `settle.rs` what became of it when an answer was lost,
//! `resume.rs` when it was another process that did not hear it. `read.rs` reads, `check.rs` is the report for people.
//!
//! **What the wiki cannot do.** No exact sizes in listings, no checksums, no rename of a file, no replacing, and nobody
//! knows whether it takes empty files: the first one is tried.

mod answers;
mod api;
mod check;
mod codes;
mod entries;
mod index;
mod moves;
mod pages;
mod read;
mod resume;
mod settle;
mod slugs;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OnceCell;

use self::api::Api;
use self::index::Index;
use self::read::Downloads;
use crate::error::{Error, Kind, Result};
use crate::http::{Client, Cookies, Guests, Settings};
use crate::path::RemotePath;
use crate::secret::Token;
use crate::service::doubts::{Doubts, Pace};
use crate::service::recent::Recent;
use crate::service::signer::Signer;
use crate::service::{
    Begun, Capability, Flow, NamedAt, Node, Page, Part, PartRules, Payload, Progress, Receipt, Service, SessionToken,
    Sha1Digest, SizePolicy, Spec,
};

/// The address of the documented API.
pub const DEFAULT_URL: &str = "https://api.wiki.yandex.net";
/// The size of a part, in bytes: between both readings of the wiki's 5 and 16 MB.
pub const PART_BYTES: u64 = 8 << 20;
/// The smallest part that every reading of "5 MB" allows, in bytes.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// The largest part that every reading of "16 MB" allows, in bytes.
pub const PART_BYTES_MAX: u64 = 15 << 20;
/// Parts of one file under way at once.
pub const PARTS_AT_ONCE: usize = 4;
/// The largest file, in bytes: the smaller reading of 200 MB.
pub const FILE_BYTES_MAX: u64 = 200_000_000;
/// The most parts of a session.
const PARTS_MAX: u32 = 10_000;
/// The longest name of a file, in characters: that of most systems; the wiki's own limit is not known.
const NAME_CHARS_MAX: usize = 255;
/// How long the wiki may be attaching a session after the answer was lost.
const PACE: Pace = Pace { base: Duration::from_secs(2), per_mib: Duration::from_millis(50) };
/// The word of tokens that people make.
const OAUTH: &str = "OAuth";

/// The organisation whose wiki it is, by the kind of its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Organisation {
    /// Of Yandex 360.
    Yandex360(String),
    /// Of Yandex Cloud (Identity Hub).
    Cloud(String),
}

impl Organisation {
    /// The header that names it, and its id.
    fn header(&self) -> (&'static str, &str) {
        match self {
            Organisation::Yandex360(id) => ("x-org-id", id),
            Organisation::Cloud(id) => ("x-cloud-org-id", id),
        }
    }
}

/// A wiki and an account on it. Has no `Debug`: the proxy may hold a password.
#[derive(Clone)]
pub struct YandexWikiConfig {
    /// The address of the API, [`DEFAULT_URL`] usually. One without a path gets the documented one.
    pub url: String,
    /// An OAuth or IAM token, always that of a person.
    pub token: Arc<Token>,
    /// Whose wiki it is.
    pub organisation: Organisation,
    /// The slug of the page to mount, or its address in a browser; the user's own pages where it is not given.
    pub root: Option<String>,
    /// The size of a part, in bytes.
    pub part_bytes: u64,
    /// Parts of one file under way at once.
    pub parts_at_once: usize,
    /// The largest file, in bytes.
    pub file_max: u64,
    /// Trust the certificates in this PEM file, and only them.
    pub ca_file: Option<PathBuf>,
    /// Go through this proxy.
    pub proxy: Option<String>,
}

/// Whether the wiki takes files of no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EmptyFiles {
    /// Nobody has tried.
    Unknown,
    Taken,
    /// It wants an empty part of them.
    TakenWithPart,
    Refused,
}

/// The service.
pub struct YandexWiki(Arc<Wiki>);

/// What the parts of the client share.
struct Wiki {
    api: Api,
    guests: Guests,
    root_slug: Option<String>,
    root: OnceCell<index::Page>,
    index: Index,
    downloads: Downloads,
    part_bytes: u64,
    parts_at_once: usize,
    file_max: u64,
    empty_files: AtomicU8,
    /// Sessions whose attaching is in doubt.
    doubts: Doubts,
    /// Sessions of this process that have not become a file yet.
    begun: Recent<()>,
    /// Sessions that could not be given up: the next upload tries again.
    left: Recent<()>,
    /// How often sessions of this process were asked to be attached.
    asked: Recent<u32>,
    /// Sessions whose parts are known to be all there: nobody says so twice.
    ended: Recent<()>,
    /// Which session has become which file, for those of late.
    made: Recent<String>,
    /// The content of files that were read through lately.
    read_through: Recent<Sha1Digest>,
}

impl YandexWiki {
    /// A client for the wiki; nothing is sent before it is needed.
    ///
    /// # Errors
    /// `Invalid` when the configuration cannot work, `BadName` when the page to mount has no slug.
    pub fn new(config: YandexWikiConfig) -> Result<YandexWiki> {
        let settings =
            Settings { url: config.url, ca_file: config.ca_file, proxy: config.proxy, cookies: Cookies::Ignore };
        if config.part_bytes == 0 {
            return Err(Error::new(Kind::Invalid, "configuration", "parts must have bytes"));
        }
        let guests = Guests::of(&settings);
        let api = Api::new(Client::new(&settings)?, config.organisation, Signer::new(config.token, OAUTH));
        Ok(YandexWiki(Arc::new(Wiki {
            api,
            guests,
            root_slug: config.root.as_deref().map(slugs::parse_root).transpose()?,
            root: OnceCell::new(),
            index: Index::default(),
            downloads: Downloads::default(),
            part_bytes: config.part_bytes,
            parts_at_once: config.parts_at_once,
            file_max: config.file_max,
            empty_files: AtomicU8::new(EmptyFiles::Unknown as u8),
            doubts: Doubts::new(PACE),
            begun: Recent::default(),
            left: Recent::default(),
            asked: Recent::default(),
            ended: Recent::default(),
            made: Recent::default(),
            read_through: Recent::default(),
        })))
    }
}

impl Wiki {
    fn empty_files(&self) -> EmptyFiles {
        let now = self.empty_files.load(Ordering::Relaxed);
        let known = [EmptyFiles::Taken, EmptyFiles::TakenWithPart, EmptyFiles::Refused]
            .into_iter()
            .find(|known| *known as u8 == now);
        known.unwrap_or(EmptyFiles::Unknown)
    }

    fn set_empty_files(&self, known: EmptyFiles) {
        self.empty_files.store(known as u8, Ordering::Relaxed);
    }
}

#[async_trait]
impl Service for YandexWiki {
    fn kind(&self) -> &'static str {
        "yandex-wiki"
    }

    fn capability(&self) -> Capability {
        let Wiki { part_bytes, parts_at_once, file_max, .. } = *self.0;
        Capability {
            policy: SizePolicy::Declared(PartRules {
                size: part_bytes,
                min: part_bytes,
                max: part_bytes,
                multiple: 1,
                count_max: PARTS_MAX,
                first_max: None,
                hold_back: 0,
                // A session takes room from the organisation while it is open: none before there is a part to send.
                open_after: part_bytes - 1,
                early: None,
                flow: Flow::Parallel(parts_at_once),
                rewrite: true,
                opens_with_part: false,
                last_makes_file: false,
            }),
            file_max,
            whole_max: 0,
            named_at: NamedAt::Begin,
            empty_files: self.0.empty_files() != EmptyFiles::Refused,
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
        if path.name().trim().is_empty() {
            return Err(Error::new(Kind::BadName, "name", "the wiki takes no names of blanks only"));
        }
        let chars = path.name().chars().count();
        if chars > NAME_CHARS_MAX {
            let what = format!("the name has {chars} characters, the wiki takes {NAME_CHARS_MAX}");
            return Err(Error::new(Kind::NameTooLong, "name", what));
        }
        Ok(())
    }

    async fn admit(&self, path: &RemotePath) -> Result<()> {
        self.check_name(path)?;
        self.0.admit_file(path).await
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.0.report().await
    }

    async fn stat(&self, path: &RemotePath) -> Result<Node> {
        self.0.stat_entry(path).await
    }

    async fn list(&self, path: &RemotePath, _cursor: Option<&str>) -> Result<Page> {
        Ok(Page { nodes: self.0.list_entries(path).await?, next: None })
    }

    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        self.0.read_file(path, node, range).await
    }

    async fn mkdir(&self, path: &RemotePath) -> Result<Node> {
        self.0.make_directory(path).await
    }

    async fn remove(&self, path: &RemotePath, node: &Node) -> Result<()> {
        self.0.remove_entry(path, node).await
    }

    async fn rename(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        self.check_name(to)?;
        self.0.rename_entry(from, node, to).await
    }

    async fn begin(&self, spec: &Spec, _first: Option<Part>) -> Result<Begun> {
        self.0.begin_session(spec).await
    }

    async fn put(&self, _spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        self.0.put_part(token, &part).await
    }

    async fn finish(&self, spec: &Spec, token: &SessionToken, _receipts: &[Receipt]) -> Result<Node> {
        self.0.finish_session(spec, token).await
    }

    async fn probe(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        self.0.probe_upload(spec, session).await
    }

    async fn abort(&self, token: &SessionToken) -> Result<()> {
        self.0.abort_session(token).await
    }

    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        self.0.upload_all(spec, &payload).await
    }
}
