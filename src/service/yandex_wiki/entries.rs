//! Making pages, removing pages and files.

use serde_json::{Value, json};

use super::Wiki;
use super::answers::PageDto;
use super::api::Trouble;
use super::index::Page;
use super::pages::{Entry, missing};
use super::slugs;
use crate::error::{Error, Kind, Result};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::{Node, NodeKind};

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
                self.index.page_there(slug, page.clone());
                self.index.page_there(&page.slug.clone(), page.clone());
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
        match self.ask_removal(op, id).await {
            // Removed twice is removed.
            Err(error) if error.in_doubt() => match self.ask_removal(op, id).await {
                Err(error) if error.kind == Kind::NotFound => {}
                removed => removed?,
            },
            removed => removed?,
        }
        Ok(())
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
        let asked = self.api.exchange::<PageDto>(|api| {
            api.call(op, Method::Get, &["pages", id]).query([("fields", "content,redirect")])
        });
        let dto = asked.await.map_err(|trouble| trouble.into_error(op))?;
        if dto.has_text() {
            let error = Error::new(Kind::NotEmpty, op, format!("there is text on the page of {path}"));
            return Err(error.hint("it would be lost: delete the page in a browser if nobody needs it"));
        }
        if dto.id != id || dto.redirect.is_object() {
            return not_bare("a redirect to another page");
        }
        Ok(())
    }

    async fn ask_removal(&self, op: &'static str, page: &str) -> Result<()> {
        let asked = self
            .api
            .exchange::<Value>(|api| api.call(op, Method::Delete, &["pages", page]).query([("recursive", "false")]));
        let removed = asked.await;
        self.index.forget_tree();
        removed.map(drop).map_err(|trouble| trouble.into_error(op))
    }

    /// Removes a file for ever.
    pub(super) async fn delete_file(&self, op: &'static str, page: &str, file: &str) -> Result<()> {
        let deleted = match self.ask_deletion(op, page, file).await {
            // Removed twice is removed.
            Err(error) if error.in_doubt() => match self.ask_deletion(op, page, file).await {
                Err(error) if error.kind == Kind::NotFound => Ok(()),
                deleted => deleted,
            },
            deleted => deleted,
        };
        match &deleted {
            Ok(()) => self.index.file_gone(page, file),
            Err(error) if error.kind == Kind::NotFound => self.index.file_gone(page, file),
            Err(_) => self.index.forget_files(page),
        }
        deleted
    }

    async fn ask_deletion(&self, op: &'static str, page: &str, file: &str) -> Result<()> {
        let asked =
            self.api.exchange::<Value>(|api| api.call(op, Method::Delete, &["pages", page, "attachments", file])).await;
        asked.map(drop).map_err(|trouble: Trouble| trouble.into_error(op))
    }
}

/// What may not be done to an entry is EPERM to programs; EACCES would be about the bits of its directory.
pub(super) fn refused(error: Error) -> Error {
    if error.kind == Kind::Denied { error.kind(Kind::Refused) } else { error }
}
