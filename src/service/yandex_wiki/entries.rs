//! Making pages, removing pages and files.

use std::time::Duration;

use serde_json::{Value, json};

use super::Wiki;
use super::answers::{PageDto, RemovedDto, ResultsDto};
use super::api::Trouble;
use super::index::Page;
use super::pages::{Entry, missing};
use super::slugs;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::{Node, NodeKind};

/// The waits before something is asked for again that may be asked for any number of times.
pub(super) const AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

impl Wiki {
    /// Makes a page; its title is the name as it was typed.
    pub(super) async fn make_directory(&self, path: &RemotePath) -> Result<Node> {
        const OP: &str = "mkdir";
        slugs::check_segment(path.name())?;
        let (holder, there) = self.entry_at(OP, path).await?;
        if there.is_some() {
            return Err(Error::new(Kind::Exists, OP, format!("{path} exists")));
        }
        let page = self.make_page(OP, &format!("{}/{}", holder.slug, path.name()), path.name()).await?;
        Ok(self.page_node(&page, slugs::last(&page.slug)))
    }

    /// Makes a page without text at a slug where there is none. The wiki may make another slug of it.
    pub(super) async fn make_page(&self, op: &'static str, slug: &str, title: &str) -> Result<Page> {
        let body = json!({"title": title, "slug": slug, "content": ""});
        let asked = self.api.exchange::<PageDto>(|api| {
            api.call(op, Method::Post, &["pages"]).query([("fields", "attributes")]).json(&body)
        });
        let made = asked.await;
        self.index.forget_tree();
        match made {
            Ok(dto) => {
                let page = Page { modified: dto.modified(), id: Some(dto.id), slug: dto.slug };
                self.index.page_heard_of(slug, Some(page.clone()));
                self.index.page_heard_of(&page.slug, Some(page.clone()));
                Ok(page)
            }
            Err(trouble) => {
                let error = trouble.into_error(op);
                if !error.in_doubt() {
                    return Err(error);
                }
                // It was not there before: if it is now, the request did it.
                match self.ask_page(op, slug).await {
                    Ok(Some(page)) => Ok(page),
                    _ => Err(error),
                }
            }
        }
    }

    /// Removes a file, or a page on which there is nothing and below which there is nothing.
    pub(super) async fn remove_entry(&self, path: &RemotePath, node: &Node) -> Result<()> {
        const OP: &str = "remove";
        if node.kind == NodeKind::File {
            let (page, file) = node.id.split_once('/').ok_or_else(|| missing(OP, path))?;
            return self.delete_file(OP, page, file).await.map_err(refused);
        }
        let (_, entry) = self.entry_at(OP, path).await?;
        let Some(Entry::Page(page)) = entry else { return Err(missing(OP, path)) };
        self.remove_page(OP, path, &page, node).await.map_err(refused)
    }

    async fn remove_page(&self, op: &'static str, path: &RemotePath, page: &Page, node: &Node) -> Result<()> {
        let Some(id) = page.id.as_deref() else {
            // It is there because of what is below it.
            return Err(Error::new(Kind::NotEmpty, op, format!("there are pages below {path}")));
        };
        if id != node.id && !node.id.is_empty() {
            return Err(Error::new(Kind::Conflict, op, format!("{path} is another page by now")));
        }
        self.check_bare(op, path, page).await?;
        self.delete_page(op, id).await.map(drop)
    }

    /// Removes a page below which there is nothing; what can bring it back, where the wiki tells that.
    pub(super) async fn delete_page(&self, op: &'static str, id: &str) -> Result<Option<String>> {
        let removed = persist(|| async {
            let asked = self.api.exchange::<Option<RemovedDto>>(|api| {
                api.call(op, Method::Delete, &["pages", id]).query([("recursive", "false")]).repeatable()
            });
            asked.await.map_err(|trouble| trouble.into_error(op))
        });
        let removed = removed.await;
        self.index.forget_tree();
        Ok(removed?.flatten().and_then(|dto| dto.recovery_token))
    }

    /// Brings a page back.
    pub(super) async fn recover_page(&self, op: &'static str, token: &str) -> Result<()> {
        let asked =
            self.api.exchange::<Value>(|api| api.call(op, Method::Post, &["recovery_tokens", token, "recover"])).await;
        self.index.forget_tree();
        asked.map(drop).map_err(|trouble| trouble.into_error(op))
    }

    /// Whether nothing would be lost with a page: no page below it, no file, no text.
    pub(super) async fn check_bare(&self, op: &'static str, path: &RemotePath, page: &Page) -> Result<()> {
        let Some(id) = page.id.as_deref() else { return Ok(()) };
        let not_bare = |what: &str| Err(Error::new(Kind::NotEmpty, op, format!("{path} has {what}")));
        if !self.ask_children(op, page).await?.is_empty() {
            return not_bare("pages below it");
        }
        if !self.ask_files(op, id).await?.is_empty() {
            return not_bare("files");
        }
        if self.has_tables(op, id).await? {
            return not_bare("tables");
        }
        let asked = self.api.exchange::<PageDto>(|api| {
            api.call(op, Method::Get, &["pages", id]).query([("fields", "content,redirect,attributes")])
        });
        let dto = asked.await.map_err(|trouble| trouble.into_error(op))?;
        if dto.has_comments() {
            return not_bare("comments");
        }
        if dto.has_text() {
            let error = Error::new(Kind::NotEmpty, op, format!("there is text on the page of {path}"));
            return Err(error.hint("it would be lost: delete the page in a browser if nobody needs it"));
        }
        if dto.id != id || dto.redirect.is_object() {
            return not_bare("a redirect to another page");
        }
        Ok(())
    }

    /// Whether tables hang on a page, which are no attachments. A wiki that does not know the question has none.
    async fn has_tables(&self, op: &'static str, id: &str) -> Result<bool> {
        let asked = self.api.exchange::<ResultsDto<Value>>(|api| {
            api.call(op, Method::Get, &["pages", id, "resources"]).query([("types", "grid"), ("page_size", "1")])
        });
        match asked.await {
            Ok(page) => Ok(!page.results.is_empty()),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 400 | 404 | 405 | 422 | 501) => Ok(false),
            Err(trouble) => Err(trouble.into_error(op)),
        }
    }

    /// Removes a file for ever.
    pub(super) async fn delete_file(&self, op: &'static str, page: &str, file: &str) -> Result<()> {
        let deleted = persist(|| async {
            let asked = self.api.exchange::<Value>(|api| {
                api.call(op, Method::Delete, &["pages", page, "attachments", file]).repeatable()
            });
            asked.await.map(drop).map_err(|trouble| trouble.into_error(op))
        });
        let deleted = deleted.await.map(drop);
        match &deleted {
            Ok(()) => self.index.file_gone(page, file),
            Err(error) if error.kind == Kind::NotFound => self.index.file_gone(page, file),
            Err(_) => self.index.forget_files(page),
        }
        deleted
    }
}

/// Asks for a removal until it is known what came of it: what an earlier attempt may have removed is not missing. `None`
/// when it was such an attempt.
async fn persist<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<Option<T>> {
    let mut waits = AGAIN.iter();
    let mut is_first = true;
    loop {
        match ask().await {
            Ok(done) => return Ok(Some(done)),
            Err(error) if error.kind == Kind::NotFound && !is_first => return Ok(None),
            Err(error) if error.retry == Retry::Never => return Err(error),
            Err(error) => match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(error),
            },
        }
        is_first = false;
    }
}

/// What may not be done to an entry is EPERM to programs; EACCES would be about the bits of its directory.
pub(super) fn refused(error: Error) -> Error {
    if error.kind == Kind::Denied { error.kind(Kind::Refused) } else { error }
}
