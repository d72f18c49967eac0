//! MediaWiki: files of a wiki as files of a directory, by `action=upload` and its stash.
//!
//! **Roads.** A file that is complete and small goes by one direct POST. Everything else streams: a small first chunk
//! opens the stash entry, later chunks follow in order, the last one makes the server assemble the file and answer with a
//! *new* key, and only that key is ever published. Size and SHA-1 are compared after assembling and after publishing.
//!
//! **Files.** `api.rs` is one call on the wire, `session.rs` and `login.rs` keep us signed in, `codes.rs` is the table of
//! errors, `site.rs` and `names.rs` what the wiki says of itself and of names, `limits.rs` how large a request may be,
//! `boundaries.rs` where chunks begin, `upload.rs` the roads, `notes.rs` what an upload leaves in the wiki's log,
//! `jobs.rs` and `recover.rs` what becomes of an upload whose outcome is not known, `files.rs`, `changes.rs` and `read.rs`
//! published files, `rights.rs` what may be written, `check.rs` the report for people.
//!
//! **What a wiki cannot do.** No directories, no empty files, no time stamps, no rename of files whose type it does not
//! recognise, no way to delete a stash entry: abandoned ones wait for the wiki's own clean-up.

mod answers;
mod api;
mod boundaries;
mod changes;
mod check;
mod codes;
mod files;
mod jobs;
mod limits;
mod login;
mod names;
mod notes;
mod read;
mod recover;
mod rights;
mod session;
mod site;
mod upload;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use secrecy::SecretString;

use self::api::Api;
use self::boundaries::Boundaries;
use self::jobs::Jobs;
use self::limits::{Limits, PIECE_MAX};
use self::login::Credentials;
use self::notes::Notes;
use self::read::Validators;
use self::rights::Rights;
use self::session::Sessions;
use self::site::Site;
use crate::error::{Error, Kind, Result};
use crate::http::{Client, Cookies, Settings};
use crate::path::RemotePath;
use crate::service::doubts::{Doubts, Pace};
use crate::service::{
    Begun, Capability, EARLY_BYTES, Flow, NamedAt, Node, OPEN_AFTER_BYTES, Page, Part, PartRules, Payload, Progress,
    Receipt, Service, SessionToken, SizePolicy, Spec,
};

/// The largest part that is taken at once; it is cut to what the server accepts.
const PART_MAX: u64 = 64 * 1024 * 1024;

/// How long a wiki may assemble or publish a file: 10 s for the smallest on a busy server, and for each MiB four times the
/// 12 ms that were measured for the slower of the two.
const PACE: Pace = Pace { base: Duration::from_secs(10), per_mib: Duration::from_millis(50) };

/// A wiki and an account on it. Has no `Debug`: it holds secrets.
pub struct MediaWikiConfig {
    /// The address of the API, `https://…/api.php`.
    pub url: String,
    /// The account; `Name@bot` for a bot password. Not used with a token.
    pub user: String,
    /// Its password. One of password and token must be there.
    pub password: Option<SecretString>,
    /// An OAuth 2 access token, instead of user and password.
    pub token: Option<SecretString>,
    /// Trust the certificates in this PEM file, and only them.
    pub ca_file: Option<PathBuf>,
    /// Go through this proxy.
    pub proxy: Option<String>,
    /// The summary of every upload, deletion and move. In this and in `text`, `{path}`, `{user}` (the account) and
    /// `{date}` (UTC) are filled in.
    pub comment: String,
    /// The text of the pages of new files.
    pub text: Option<String>,
    /// The change tags of every upload; those that the wiki does not have are left out.
    pub tags: Vec<String>,
    /// Do not write while the wiki's databases lag by more seconds than this; some wikis ask that of robots.
    pub maxlag: Option<i64>,
}

/// The service.
pub struct MediaWiki {
    sessions: Sessions,
    limits: Limits,
    boundaries: Boundaries,
    doubts: Doubts,
    jobs: Jobs,
    notes: Notes,
    validators: Validators,
    rights: Rights,
}

impl MediaWiki {
    /// A client for the wiki; nothing is sent before it is needed.
    ///
    /// # Errors
    /// `Invalid` when the configuration cannot work.
    pub fn new(config: MediaWikiConfig) -> Result<MediaWiki> {
        let settings =
            Settings { url: config.url, ca_file: config.ca_file, proxy: config.proxy, cookies: Cookies::Keep };
        let client = Client::new(&settings)?;
        let credentials = match (&config.token, config.password) {
            (Some(_), _) => None,
            (None, Some(password)) if !config.user.is_empty() => Some(Credentials { user: config.user, password }),
            _ => {
                return Err(Error::new(
                    Kind::Invalid,
                    "configuration",
                    "a wiki needs a user and a password, or a token",
                ));
            }
        };
        Ok(MediaWiki {
            sessions: Sessions::new(Api::new(client, config.token, config.maxlag), credentials),
            limits: Limits::new(),
            boundaries: Boundaries::default(),
            doubts: Doubts::new(PACE),
            jobs: Jobs::default(),
            notes: Notes::new(config.comment, config.text, config.tags),
            validators: Validators::default(),
            rights: Rights::default(),
        })
    }

    /// Signs in now, so that rights, limits and the rules for names are known before the first file; otherwise the first
    /// call does it.
    ///
    /// # Errors
    /// What keeps us out, in words for a person.
    pub async fn connect(&self) -> Result<()> {
        self.sessions.current().await.map(drop)
    }

    /// The account that is signed in.
    fn account(&self) -> String {
        self.sessions.known().map(|session| session.account.name.clone()).unwrap_or_default()
    }

    fn site(&self) -> Arc<Site> {
        self.sessions.known_site().unwrap_or_else(|| Arc::new(Site::unknown()))
    }

    /// The name of the file at `path`; there are no directories.
    fn file_name<'a>(&self, op: &'static str, path: &'a RemotePath) -> Result<&'a str> {
        match path.parent() {
            Some(parent) if parent.is_root() => Ok(path.name()),
            Some(_) => Err(Error::new(Kind::NotFound, op, format!("{path}: a wiki has no directories"))),
            None => Err(Error::new(Kind::IsDirectory, op, "the root is a directory")),
        }
    }
}

#[async_trait]
impl Service for MediaWiki {
    fn kind(&self) -> &'static str {
        "mediawiki"
    }

    fn capability(&self) -> Capability {
        let (site, piece) = (self.site(), self.limits.piece());
        Capability {
            policy: SizePolicy::Streamed(PartRules {
                size: piece,
                min: site.chunk_min,
                max: PART_MAX,
                multiple: 1,
                count_max: u32::MAX,
                first_max: Some(self.boundaries.first_max()),
                hold_back: 1,
                open_after: OPEN_AFTER_BYTES,
                early: Some(EARLY_BYTES),
                flow: Flow::Sequential,
                rewrite: false,
                opens_with_part: true,
                last_makes_file: false,
            }),
            file_max: site.file_max,
            whole_max: piece.min(PIECE_MAX),
            named_at: NamedAt::Finish,
            empty_files: false,
            directories: false,
            rename: true,
            rename_replaces: false,
            sha1: true,
        }
    }

    fn check_name(&self, path: &RemotePath) -> Result<()> {
        if path.parent().is_none_or(|parent| !parent.is_root()) {
            return Err(Error::new(Kind::BadName, "name", format!("{path}: a wiki has no directories")));
        }
        let site = self.site();
        site.names.check(path.name())?;
        if !site.uploads {
            return Err(Error::new(Kind::ReadOnly, "name", "uploads are switched off on this wiki"));
        }
        match self.sessions.known() {
            Some(session) if !session.account.may("upload") => Err(check::no_upload_right(&session.account.name)),
            _ => Ok(()),
        }
    }

    async fn admit(&self, path: &RemotePath) -> Result<()> {
        self.admit_file(path).await
    }

    fn canonical_name(&self, name: &str) -> String {
        self.site().names.canonical(name)
    }

    async fn check(&self) -> Result<Vec<String>> {
        let session = self.sessions.refresh().await?;
        check::report(&session, &self.limits)
    }

    async fn stat(&self, path: &RemotePath) -> Result<Node> {
        self.stat_file(path).await
    }

    async fn list(&self, path: &RemotePath, cursor: Option<&str>) -> Result<Page> {
        self.list_files(path, cursor).await
    }

    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        self.read_file(path, node, range).await
    }

    async fn mkdir(&self, path: &RemotePath) -> Result<Node> {
        Err(Error::new(Kind::Unsupported, "mkdir", format!("{path}: a wiki has no directories")))
    }

    async fn remove(&self, path: &RemotePath, node: &Node) -> Result<()> {
        self.delete_file(path, node).await
    }

    async fn rename(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        self.move_file(from, node, to).await
    }

    async fn begin(&self, spec: &Spec, first: Option<Part>) -> Result<Begun> {
        self.open_stash(spec, first).await
    }

    async fn put(&self, spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        self.send_part(spec, token, part).await
    }

    async fn finish(&self, spec: &Spec, _token: &SessionToken, receipts: &[Receipt]) -> Result<Node> {
        self.publish(spec, receipts).await
    }

    async fn probe(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        self.settle(spec, session).await
    }

    async fn abort(&self, _token: &SessionToken) -> Result<()> {
        // There is no call for it; the wiki's clean-up removes stash entries after six hours.
        Ok(())
    }

    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        self.upload_whole(spec, payload).await
    }
}

#[cfg(test)]
mod tests;
