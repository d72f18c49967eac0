//! From paths to pages and files, and what a directory shows: the pages below a page, and what is attached to it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::Wiki;
use super::answers::{AttachmentDto, BranchDto, MeDto, PageDto, ResultsDto};
use super::api::Trouble;
use super::index::{Children, Page, by_id, named, newest};
use super::slugs;
use crate::error::{Error, Kind, Result};
use crate::http::Method;
use crate::path::{RemotePath, is_entry_name};
use crate::service::{Node, NodeKind};

/// Results of one page: what an older text has for the most, and a newer one for the usual.
const PAGE_SIZE: &str = "50";
/// Pages on the way to a path are believed to be where they were for so long.
const WAY_BELIEVED: Duration = Duration::from_secs(5);
/// Sizes asked for at once for one listing.
const SIZES_AT_ONCE: usize = 8;
/// The documented address of the API, whose wiki people open at [`PEOPLE`].
const DOCUMENTED_HOST: &str = "https://api.wiki.yandex.net";
/// See [`DOCUMENTED_HOST`].
const PEOPLE: &str = "https://wiki.yandex.ru";

/// What stands under a name.
pub(super) enum Entry {
    Page(Page),
    File(File),
}

/// A file, the page it is attached to, and the name that listings show.
pub(super) struct File {
    pub(super) holder: Page,
    pub(super) dto: Box<AttachmentDto>,
    pub(super) name: String,
}

impl Wiki {
    /// The page at the root of the mount; asked for once.
    pub(super) async fn root(&self) -> Result<Page> {
        const OP: &str = "list";
        let page = self.root.get_or_try_init(|| async {
            let slug = match &self.root_slug {
                Some(slug) => slug.clone(),
                None => self.home(OP).await?,
            };
            let page = self.ask_page_or_its_target(OP, &slug).await?;
            page.ok_or_else(|| {
                let error = Error::new(Kind::NotFound, OP, format!("there is no page {slug:?}"));
                error.hint("make the page in a browser, or name another one as folder")
            })
        });
        page.await.cloned()
    }

    /// The page where the user's own pages are.
    async fn home(&self, op: &'static str) -> Result<String> {
        let me = self.me(op).await?;
        me.home_cluster.map(|slug| slug.trim_matches('/').to_owned()).filter(|slug| !slug.is_empty()).ok_or_else(|| {
            let error = Error::new(Kind::Invalid, op, "the wiki does not say which pages are the user's own");
            error.hint("name the page to mount: folder = \"users/LOGIN/notes\"")
        })
    }

    pub(super) async fn me(&self, op: &'static str) -> Result<MeDto> {
        let asked = self.api.exchange(|api| api.call(op, Method::Get, &["users", "me"])).await;
        asked.map_err(|trouble| trouble.into_error(op))
    }

    /// The page at a slug, or the one to which it leads, asked afresh; `None` when there is none.
    async fn ask_page_or_its_target(&self, op: &'static str, slug: &str) -> Result<Option<Page>> {
        match self.get_page(op, slug, "false").await {
            Ok(page) => Ok(Some(page)),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 400 | 404 | 410 | 422) => Ok(None),
            Err(trouble) => Err(trouble.into_error(op)),
        }
    }

    /// The page at a slug, asked afresh; `None` when there is none. One that leads to another is itself: the other has its
    /// own place.
    pub(super) async fn ask_page(&self, op: &'static str, slug: &str) -> Result<Option<Page>> {
        match self.get_page(op, slug, "true").await {
            Ok(page) => {
                self.index.page_heard_of(slug, Some(page.clone()));
                Ok(Some(page))
            }
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 404 | 410) => {
                self.index.page_heard_of(slug, None);
                Ok(None)
            }
            // A page that leads to another, or what the wiki takes for no slug; listings do not follow.
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 300..=399 | 400 | 409 | 422) => {
                let Some(above) = slugs::parent(slug) else { return Ok(None) };
                let above = Page { id: None, slug: above.to_owned(), modified: None };
                let children = self.children_of(op, &above).await?;
                Ok(children.get(slugs::last(slug)).filter(|page| page.id.is_some()).cloned())
            }
            Err(trouble) => Err(trouble.into_error(op)),
        }
    }

    async fn get_page(&self, op: &'static str, slug: &str, raise_on_redirect: &str) -> Result<Page, Trouble> {
        let dto: PageDto = self
            .api
            .exchange(|api| {
                let call = api.call(op, Method::Get, &["pages"]);
                call.query([("slug", slug), ("fields", "attributes"), ("raise_on_redirect", raise_on_redirect)])
            })
            .await?;
        Ok(Page { modified: dto.modified(), id: Some(dto.id), slug: dto.slug })
    }

    /// The page at a slug of which only pages below it speak: it is found in listings alone. The page above is listed for
    /// that once, and again where there was such a page.
    async fn ask_hole(&self, op: &'static str, slug: &str) -> Result<Option<Page>> {
        let Some(above) = slugs::parent(slug) else { return Ok(None) };
        if self.index.was_hole(slug) == Some(false) {
            return Ok(None);
        }
        let above = Page { id: None, slug: above.to_owned(), modified: None };
        let children = self.children_of(op, &above).await?;
        Ok(children.get(slugs::last(slug)).filter(|page| page.id.is_none()).cloned())
    }

    /// The page of the directory at `path`.
    ///
    /// # Errors
    /// `NotFound`, or what the wiki says.
    pub(super) async fn page_of(&self, op: &'static str, path: &RemotePath) -> Result<Page> {
        let root = self.root().await?;
        if path.is_root() {
            return Ok(root);
        }
        if !slugs::is_slug(path) {
            return Err(missing(op, path));
        }
        let slug = slugs::join(&root.slug, path);
        if let Some(page) = self.index.page(&slug, WAY_BELIEVED) {
            return Ok(page);
        }
        match self.ask_page(op, &slug).await? {
            Some(page) => Ok(page),
            None => self.ask_hole(op, &slug).await?.ok_or_else(|| missing(op, path)),
        }
    }

    /// The page that holds the entry at `path`.
    ///
    /// # Errors
    /// As [`Wiki::page_of`]; `IsDirectory` for the root.
    pub(super) async fn holder_of(&self, op: &'static str, path: &RemotePath) -> Result<Page> {
        let parent = path.parent().ok_or_else(|| Error::new(Kind::IsDirectory, op, "the root is a directory"))?;
        self.page_of(op, &parent).await
    }

    /// What stands at `path`, which is not the root; and the page that holds it.
    pub(super) async fn entry_at(&self, op: &'static str, path: &RemotePath) -> Result<(Page, Option<Entry>)> {
        let holder = self.holder_of(op, path).await?;
        let name = path.name();
        let (page, files) = tokio::join!(self.page_in(op, &holder, name), self.files_of(op, &holder));
        let page = page?;
        if page.as_ref().is_some_and(|page| slugs::last(&page.slug) == name) {
            return Ok((holder, page.map(Entry::Page)));
        }
        let files = files?;
        if let Some(dto) = newest(&files, name).cloned() {
            let file = File { holder: holder.clone(), dto: Box::new(dto), name: name.to_owned() };
            return Ok((holder, Some(Entry::File(file))));
        }
        if let Some(page) = page {
            // Its slug is what the wiki made of that name.
            return Ok((holder, Some(Entry::Page(page))));
        }
        let Some(dto) = by_id(&files, name).cloned() else { return Ok((holder, None)) };
        let is_newest = newest(&files, &dto.name).is_some_and(|newest| newest.id == dto.id) && is_entry_name(&dto.name);
        let shown = match is_newest && self.page_in(op, &holder, &dto.name).await?.is_none() {
            true => dto.name.clone(),
            false => name.to_owned(),
        };
        Ok((holder.clone(), Some(Entry::File(File { holder, dto: Box::new(dto), name: shown }))))
    }

    /// The page called `name` below `holder`.
    async fn page_in(&self, op: &'static str, holder: &Page, name: &str) -> Result<Option<Page>> {
        if !slugs::is_segment(name) {
            return Ok(None);
        }
        let slug = format!("{}/{name}", holder.slug);
        let listed = self.index.children(&holder.slug);
        if let Some(page) = listed.and_then(|children| children.get(name).cloned()) {
            return Ok(Some(page));
        }
        if self.index.is_missing(&slug) {
            return self.ask_hole(op, &slug).await;
        }
        match self.ask_page(op, &slug).await? {
            Some(page) => Ok(Some(page)),
            None => self.ask_hole(op, &slug).await,
        }
    }

    pub(super) async fn stat_entry(&self, path: &RemotePath) -> Result<Node> {
        const OP: &str = "stat";
        if path.is_root() {
            return Ok(self.page_node(&self.root().await?, ""));
        }
        match self.entry_at(OP, path).await? {
            (_, Some(Entry::Page(page))) => Ok(self.page_node(&page, slugs::last(&page.slug))),
            (_, Some(Entry::File(file))) => self.file_node(OP, &file.holder, &file.dto, &file.name).await,
            (_, None) => Err(missing(OP, path)),
        }
    }

    pub(super) async fn list_entries(&self, path: &RemotePath) -> Result<Vec<Node>> {
        const OP: &str = "list";
        let page = self.page_of(OP, path).await?;
        let (children, files) = tokio::join!(self.children_of(OP, &page), self.files_of(OP, &page));
        let (children, files) = (children?, files?);
        let mut nodes: Vec<Node> = children.iter().map(|(name, page)| self.child_node(page, name)).collect();
        let pages: BTreeSet<&str> = children.keys().map(String::as_str).collect();
        let sizing: Vec<_> =
            named(&files, &pages).into_iter().map(|(name, file)| self.named_node(&page, file, name)).collect();
        let sized: Vec<Node> = stream::iter(sizing).buffer_unordered(SIZES_AT_ONCE).try_collect().await?;
        nodes.extend(sized);
        Ok(nodes)
    }

    /// The pages right below `page`.
    pub(super) async fn children_of(&self, op: &'static str, page: &Page) -> Result<Children> {
        match self.index.children(&page.slug) {
            Some(children) => Ok(children),
            None => self.ask_children(op, page).await,
        }
    }

    /// The same, asked afresh. Below a page that is not there, everything below one above it is asked for.
    pub(super) async fn ask_children(&self, op: &'static str, page: &Page) -> Result<Children> {
        let asked = Instant::now();
        let mut above = page.slug.as_str();
        loop {
            match self.branches(op, above).await {
                Ok(branches) => return Ok(self.index.children_listed(&page.slug, &branches, asked)),
                Err(Trouble::Refused(refusal)) if refusal.status == 404 && page.id.is_none() => {
                    above = slugs::parent(above).ok_or_else(|| Trouble::Refused(refusal).into_error(op))?;
                }
                Err(trouble) => return Err(trouble.into_error(op)),
            }
        }
    }

    /// All pages below a slug, however deep.
    async fn branches(&self, op: &'static str, slug: &str) -> Result<Vec<BranchDto>, Trouble> {
        self.results(op, &["pages", "descendants"], &[("slug", slug)]).await
    }

    /// The files of a page; none where there is no page.
    pub(super) async fn files_of(&self, op: &'static str, page: &Page) -> Result<Vec<AttachmentDto>> {
        let Some(id) = &page.id else { return Ok(Vec::new()) };
        match self.index.files(id) {
            Some(files) => Ok(files),
            None => self.ask_files(op, id).await,
        }
    }

    /// The same, asked afresh.
    pub(super) async fn ask_files(&self, op: &'static str, page: &str) -> Result<Vec<AttachmentDto>> {
        let asked = Instant::now();
        let listed = self.results(op, &["pages", page, "attachments"], &[]).await;
        let listed: Vec<AttachmentDto> = listed.map_err(|trouble| trouble.into_error(op))?;
        // Entries that move while they are listed are listed twice.
        let mut seen = BTreeSet::new();
        let listed = listed.into_iter().filter(|file| seen.insert(file.id.clone())).collect();
        Ok(self.index.files_listed(page, listed, asked))
    }

    /// All results of a listing in pages. A page may hold fewer than it could; only the last one says that it is.
    async fn results<T: serde::de::DeserializeOwned>(
        &self,
        op: &'static str,
        path: &[&str],
        arguments: &[(&str, &str)],
    ) -> Result<Vec<T>, Trouble> {
        let (mut results, mut seen, mut cursor) = (Vec::new(), BTreeSet::new(), String::new());
        loop {
            let page: ResultsDto<T> = self
                .api
                .exchange(|api| {
                    let call = api.call(op, Method::Get, path).query([("page_size", PAGE_SIZE)]);
                    let call = call.query(arguments.iter().copied());
                    if cursor.is_empty() { call } else { call.query([("cursor", cursor.as_str())]) }
                })
                .await?;
            results.extend(page.results);
            match page.next_cursor.filter(|cursor| !cursor.is_empty()) {
                None => return Ok(results),
                Some(next) if seen.insert(next.clone()) => cursor = next,
                Some(_) => return Err(Error::new(Kind::Protocol, op, "the wiki's listing goes in circles").into()),
            }
        }
    }

    /// A page as a directory.
    pub(super) fn page_node(&self, page: &Page, name: &str) -> Node {
        Node {
            name: name.to_owned(),
            kind: NodeKind::Directory,
            size: 0,
            modified: page.modified.unwrap_or(SystemTime::UNIX_EPOCH),
            version: String::new(),
            id: page.id.clone().unwrap_or_default(),
            url: self.for_people(&format!("/{}", page.slug)),
            sha1: None,
            expires: None,
        }
    }

    /// The same for a listing, which one file that is out of order does not hide.
    async fn named_node(&self, page: &Page, file: &AttachmentDto, name: String) -> Result<Node> {
        match self.file_node("list", page, file, &name).await {
            Err(error) if matches!(error.kind, Kind::Server | Kind::Protocol | Kind::Invalid | Kind::Unsupported) => {
                tracing::info!(%error, name, "the size of the file cannot be known");
                Ok(self.node_of_unknown(page.id.as_deref().unwrap_or_default(), file, &name))
            }
            node => node,
        }
    }

    /// A page below another, which is listed without its moment.
    fn child_node(&self, page: &Page, name: &str) -> Node {
        let modified = page.modified.or_else(|| self.index.page(&page.slug, Duration::MAX)?.modified);
        self.page_node(&Page { modified, ..page.clone() }, name)
    }

    /// A file, with its exact size.
    pub(super) async fn file_node(
        &self,
        op: &'static str,
        page: &Page,
        file: &AttachmentDto,
        name: &str,
    ) -> Result<Node> {
        let page = page.id.as_deref().unwrap_or_default();
        match self.exact_size(op, page, file).await? {
            Some(size) => Ok(self.node_of(page, file, name, size)),
            None => Ok(self.node_of_unknown(page, file, name)),
        }
    }

    /// A file whose bytes nobody gets, at least now. It is not shown as empty: who reads it shall hear why, and not nothing.
    fn node_of_unknown(&self, page: &str, file: &AttachmentDto, name: &str) -> Node {
        let node = self.node_of(page, file, name, file.told_bytes().unwrap_or(0).max(1));
        // Once it is known, it is another version.
        Node { version: format!("{}?", file.id), ..node }
    }

    pub(super) fn node_of(&self, page: &str, file: &AttachmentDto, name: &str, size: u64) -> Node {
        Node {
            name: name.to_owned(),
            kind: NodeKind::File,
            size,
            modified: file.created().unwrap_or(SystemTime::UNIX_EPOCH),
            // Its bytes never change.
            version: file.id.clone(),
            id: format!("{page}/{}", file.id),
            url: file.download_url.as_deref().and_then(|path| self.for_people(path)),
            sha1: None,
            expires: None,
        }
    }

    /// Where a person opens what is at `path` of the wiki, where that is known.
    fn for_people(&self, path: &str) -> Option<String> {
        (self.api.origin() == DOCUMENTED_HOST && path.starts_with('/')).then(|| format!("{PEOPLE}{path}"))
    }
}

pub(super) fn missing(op: &'static str, path: &RemotePath) -> Error {
    Error::new(Kind::NotFound, op, format!("there is no {path}"))
}
