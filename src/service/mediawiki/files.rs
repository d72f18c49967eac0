//! Published files: looking one up, listing, deleting, moving. A wiki is one flat directory.

use std::time::{Duration, SystemTime};

use super::MediaWiki;
use super::answers::{AllImages, Entry, FilePage, Image, Pages, Query};
use super::api::{Call, Nature, Trouble};
use super::changes::Change;
use super::{codes, rights};
use crate::error::{Error, Kind, Result};
use crate::path::{RemotePath, is_entry_name};
use crate::service::{Node, NodeKind, Page, Service};

/// What is asked about a file. `canonicaltitle` tells a file from a redirect to another one.
const IMAGE_PROPS: &str = "url|size|sha1|timestamp|mime|canonicaltitle|user";
/// The same for listings.
const LIST_PROPS: &str = "url|size|sha1|timestamp|mime";
/// Deleting and moving touch every version of a file on the server.
const CHANGE_WITHIN: Duration = Duration::from_secs(180);

impl MediaWiki {
    pub(super) async fn stat_file(&self, path: &RemotePath) -> Result<Node> {
        if path.is_root() {
            return Ok(root());
        }
        let name = self.file_name("stat", path)?;
        self.connect().await?;
        self.find("stat", name).await?.ok_or_else(|| Error::new(Kind::NotFound, "stat", format!("{path} is not there")))
    }

    /// The file of this name; `None` when there is none, or when there cannot be one.
    pub(super) async fn find(&self, op: &'static str, name: &str) -> Result<Option<Node>> {
        if !self.site().names.is_title(name) {
            // It would be read as something else: another title, two titles, a part of one.
            return Ok(None);
        }
        let call = Call::query(op)
            .with("prop", "imageinfo|info")
            .with("titles", title(name))
            .with("iiprop", IMAGE_PROPS)
            .with("intestactions", rights::ACTIONS)
            .with("intestactionsdetail", "full");
        let answer: Query<Pages> = self.sessions.call(call).await?;
        let Some(page) = answer.query.pages.into_iter().next() else { return Ok(None) };
        if let Some(session) = self.sessions.known() {
            self.rights.note(&self.canonical_of(name), rights::against(&page, &session.account));
        }
        Ok(file_of(page))
    }

    /// Whether the account may write the file at `path`: by what the wiki said of it a moment ago, or by asking.
    pub(super) async fn admit_file(&self, path: &RemotePath) -> Result<()> {
        self.connect().await?;
        match self.judge(path).await {
            Err(error) if error.kind == Kind::Denied => {
                // The account may have got the right since it signed in.
                self.sessions.refresh().await?;
                self.rights.forget(&self.canonical_of(path.name()));
                self.judge(path).await
            }
            judged => judged,
        }
    }

    async fn judge(&self, path: &RemotePath) -> Result<()> {
        self.check_name(path)?;
        let name = self.canonical_of(path.name());
        if self.rights.get(&name).is_none() {
            self.find("open", path.name()).await?;
        }
        match self.rights.get(&name).flatten() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(super) async fn list_files(&self, path: &RemotePath, cursor: Option<&str>) -> Result<Page> {
        if !path.is_root() {
            return Err(Error::new(Kind::NotFound, "list", format!("{path}: a wiki has no directories")));
        }
        let mut call = Call::query("list").with("list", "allimages").with("ailimit", "max").with("aiprop", LIST_PROPS);
        if let Some(cursor) = cursor {
            call = call.with("aicontinue", cursor);
        }
        let answer: Query<AllImages> = self.sessions.call(call).await?;
        let next = answer.more.and_then(|more| more.aicontinue);
        if next.is_some() && next.as_deref() == cursor {
            return Err(Error::new(Kind::Protocol, "list", "the listing of the wiki does not come to an end"));
        }
        let entries = answer.query.allimages.into_iter().filter_map(Entry::good);
        Ok(Page { nodes: entries.filter_map(entry_of).collect(), next })
    }

    pub(super) async fn delete_file(&self, path: &RemotePath, node: &Node) -> Result<()> {
        let name = self.existing("remove", path).await?;
        let call = Call::new("remove", "delete", Nature::Writes)
            .field("title", title(name))
            .field("reason", self.notes.comment(path, &self.account()))
            .field("watchlist", "nochange")
            .answer_within(CHANGE_WITHIN);
        match self.make(call, &Change::Remove { name, node }).await {
            Ok(_) => Ok(()),
            Err(trouble) => Err(self.refine(trouble, "delete")),
        }
    }

    /// Moves a file. What a wiki will not move, for its type or for lack of a right, can still be copied.
    pub(super) async fn move_file(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        let (name, target) = (self.existing("rename", from).await?, self.file_name("rename", to)?);
        self.site().names.check(target)?;
        if self.canonical_of(name) == self.canonical_of(target) {
            return self.stat_file(to).await;
        }
        let call = Call::new("rename", "move", Nature::Writes)
            .field("from", title(name))
            .field("to", title(target))
            .field("reason", self.notes.comment(from, &self.account()))
            .field("noredirect", "1")
            .field("watchlist", "nochange")
            .answer_within(CHANGE_WITHIN);
        match self.make(call, &Change::Move { from: name, to: target, node }).await {
            Ok(Some(moved)) => Ok(moved),
            Ok(None) => self.stat_file(to).await,
            Err(Trouble::Refused(op, errors)) => {
                let mut error = self.refine(Trouble::Refused(op, errors.clone()), "move");
                // A page without a file is in the way, a redirect perhaps: a copy goes onto it.
                let no_file = error.kind == Kind::Exists && self.find(op, target).await?.is_none();
                let no_right =
                    ["permissiondenied", "cantmove", "cantmovefile"].iter().any(|code| codes::is(&errors, code));
                if no_file || no_right {
                    error.kind = Kind::CrossDevice;
                }
                Err(error)
            }
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// The name of a file that may exist.
    async fn existing<'a>(&self, op: &'static str, path: &'a RemotePath) -> Result<&'a str> {
        let name = self.file_name(op, path)?;
        self.connect().await?;
        match self.site().names.is_title(name) {
            true => Ok(name),
            false => Err(Error::new(Kind::NotFound, op, format!("{path} is not there"))),
        }
    }
}

/// The title of a file. The wiki capitalises it itself.
fn title(name: &str) -> String {
    format!("File:{name}")
}

/// A title without its namespace, whose name depends on the language, and as listings spell it.
fn name_of(title: &str) -> String {
    title.split_once(':').map_or(title, |(_, name)| name).replace(' ', "_")
}

/// The file of a page. None for missing pages, for files of other wikis that are only shown here, and for redirects,
/// which answer with the file they point to.
fn file_of(page: FilePage) -> Option<Node> {
    let image = page.imageinfo.first().filter(|_| page.imagerepository == "local")?;
    if is_redirect(&page, image) {
        return None;
    }
    entry_of(Image { name: name_of(&page.title), ..image.clone() })
}

/// Whether `image` is what the page redirects to.
pub(super) fn is_redirect(page: &FilePage, image: &Image) -> bool {
    !image.canonicaltitle.is_empty() && name_of(&image.canonicaltitle) != name_of(&page.title)
}

/// A file that may become a directory entry.
fn entry_of(image: Image) -> Option<Node> {
    let name = image.name.clone();
    is_entry_name(&name).then(|| image.node(name))?
}

/// The only directory.
fn root() -> Node {
    Node {
        name: String::new(),
        kind: NodeKind::Directory,
        size: 0,
        modified: SystemTime::UNIX_EPOCH,
        version: String::new(),
        id: String::new(),
        url: None,
        sha1: None,
        expires: None,
    }
}
