//! Renaming. An attachment has its name for ever: the file is sent again under the new one, out of the wiki, and the old
//! one removed after that. A page is moved with all that is on it and below it, where the wiki has that call.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::Wiki;
use super::answers::{MoveDto, MovingDto, PageDto};
use super::api::Trouble;
use super::entries::refused;
use super::index::Page;
use super::pages::{Entry, missing};
use super::read::FileRef;
use super::slugs;
use super::upload::is_page;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::path::RemotePath;
use crate::service::{Content, Node, NodeKind, Payload, Sha1Digest, Spec};

/// The operation, in errors.
const OP: &str = "rename";
/// So much of a file that is sent again is read at once, in bytes.
const PIECE: u64 = 1 << 20;
/// The first wait between two looks at a move that is under way; it doubles.
const LOOK_FIRST: Duration = Duration::from_millis(20);
/// The longest wait.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// A move is looked at so often: about half a minute.
const LOOKS_MAX: u32 = 35;

impl Wiki {
    pub(super) async fn rename_entry(
        self: &Arc<Self>,
        from: &RemotePath,
        node: &Node,
        to: &RemotePath,
    ) -> Result<Node> {
        match node.kind {
            NodeKind::File => self.rename_file(from, node, to).await,
            NodeKind::Directory => self.move_page(from, node, to).await,
        }
    }

    /// Sends the file again under its new name. Until the old one is removed there are two; never none.
    async fn rename_file(self: &Arc<Self>, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        let old = FileRef::of(node)?;
        if let (_, Some(Entry::Page(_))) = self.entry_at(OP, to).await? {
            return Err(is_page(OP, to));
        }
        let content = Arc::new(Remote { wiki: self.clone(), file: old.clone() });
        let spec = Spec { path: to.clone(), size: Some(node.size), sha1: None, replaces: None };
        let made = self.upload_all(&spec, &Payload::new(content, 0..node.size)).await.map_err(|error| {
            let error = once(error);
            if error.kind == Kind::NotFound { error.hint(format!("{from} could not be read")) } else { error }
        })?;
        match self.delete_file(OP, &old.page, &old.file).await {
            Err(error) if error.kind != Kind::NotFound => Err(once(refused(error)).hint("both files are there now")),
            _ => Ok(made),
        }
    }

    async fn move_page(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        slugs::check_segment(to.name())?;
        let (_, Some(Entry::Page(page))) = self.entry_at(OP, from).await? else { return Err(missing(OP, from)) };
        let Some(id) = page.id.clone() else {
            let what = format!("there is no page {from}, only pages below it");
            return Err(Error::new(Kind::CrossDevice, OP, what));
        };
        if id != node.id {
            return Err(Error::new(Kind::Conflict, OP, format!("{from} is another page by now")));
        }
        let (holder, there) = self.entry_at(OP, to).await?;
        let mut replaced = None;
        match there {
            Some(Entry::File(..)) => return Err(Error::new(Kind::NotDirectory, OP, format!("{to} is a file"))),
            // The same page by another spelling of its slug.
            Some(Entry::Page(other)) if other.id.as_deref() == Some(id.as_str()) => {}
            Some(Entry::Page(other)) => {
                self.check_bare(OP, to, &other).await?;
                replaced = self.make_room(to, &other).await?;
            }
            None => {}
        }
        let target = format!("{}/{}", holder.slug, to.name());
        let moved = self.ask_move(&page, &id, &target).await;
        self.index.forget_tree();
        if let Err(error) = moved {
            if let Some(token) = replaced
                && let Err(error) = self.recover_page(OP, &token).await
            {
                tracing::warn!(%error, "the empty page that was to be replaced could not be brought back");
            }
            return Err(once(error));
        }
        let now = self.page_by_id(&id).await.map_err(once)?.ok_or_else(|| missing(OP, to))?;
        let now = self.retitle(now, from.name(), to.name()).await;
        Ok(self.page_node(&now, slugs::last(&now.slug)))
    }

    /// Removes an empty page that another one shall replace; what can bring it back.
    async fn make_room(&self, to: &RemotePath, page: &Page) -> Result<Option<String>> {
        match &page.id {
            Some(id) => self.delete_page(OP, id).await.map_err(refused),
            None => Err(Error::new(Kind::NotEmpty, OP, format!("there are pages below {to}"))),
        }
    }

    /// Asks for the move, and waits for its end.
    async fn ask_move(&self, page: &Page, id: &str, target: &str) -> Result<()> {
        // What a page inherits it gets from where it is, as a directory does.
        let operations = json!([{"source": page.slug, "target": target}]);
        let body = json!({"operations": operations, "copy_inherited_access": false});
        let asked =
            self.api.exchange::<MoveDto>(|api| api.call(OP, Method::Post, &["pages", "move"]).json(&body)).await;
        match asked {
            Ok(moving) => self.await_move(page, id, moving).await,
            // The call itself may be missing: then the page is where it was.
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 404 | 405 | 501) => {
                match self.page_by_id(id).await.map_err(once)? {
                    Some(now) if now.slug == page.slug => {
                        let error = Error::new(Kind::CrossDevice, OP, "this wiki cannot move pages by its API");
                        Err(error.hint("mv copies instead, without the text of the page"))
                    }
                    _ => Err(refusal.into_error(OP)),
                }
            }
            Err(trouble) => {
                let error = trouble.into_error(OP);
                match error.in_doubt() && self.has_left(page, id).await {
                    true => Ok(()),
                    false => Err(once(error)),
                }
            }
        }
    }

    async fn await_move(&self, page: &Page, id: &str, moving: MoveDto) -> Result<()> {
        let mut wait = LOOK_FIRST;
        for _ in 0..LOOKS_MAX {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LOOK_MAX);
            let Some(operation) = &moving.operation else {
                if self.page_by_id(id).await.map_err(once)?.is_some_and(|now| now.slug != page.slug) {
                    return Ok(());
                }
                continue;
            };
            let asked = self
                .api
                .exchange::<MovingDto>(|api| api.call(OP, Method::Get, &["operations", "move", &operation.id]))
                .await
                .map_err(|trouble| trouble.into_error(OP));
            match asked {
                Ok(MovingDto { status }) if status == "success" => return Ok(()),
                Ok(MovingDto { status }) if status == "failed" => {
                    return Err(Error::new(Kind::Server, OP, "the wiki could not move the page"));
                }
                Ok(_) => {}
                Err(error) if matches!(error.retry, Retry::After(_)) => {}
                // It may be over, and forgotten.
                Err(error) if error.kind == Kind::NotFound && self.has_left(page, id).await => return Ok(()),
                Err(error) => return Err(once(error)),
            }
        }
        let error = Error::new(Kind::Timeout, OP, "the wiki does not come to an end with moving the page");
        Err(error.hint("look again later: it may have moved by then"))
    }

    /// Whether a page whose move is in doubt leaves its place.
    async fn has_left(&self, page: &Page, id: &str) -> bool {
        for wait in [LOOK_FIRST * 5, LOOK_FIRST * 20, LOOK_MAX] {
            tokio::time::sleep(wait).await;
            if let Ok(Some(now)) = self.page_by_id(id).await
                && now.slug != page.slug
            {
                return true;
            }
        }
        false
    }

    async fn page_by_id(&self, id: &str) -> Result<Option<PageDto>> {
        let asked = self
            .api
            .exchange::<PageDto>(|api| api.call(OP, Method::Get, &["pages", id]).query([("fields", "attributes")]));
        match asked.await {
            Ok(page) => Ok(Some(page)),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 404 | 410) => Ok(None),
            Err(trouble) => Err(trouble.into_error(OP)),
        }
    }

    /// A page that was titled by its old name is titled by its new one. That it was moved does not depend on it.
    async fn retitle(&self, dto: PageDto, old: &str, new: &str) -> Page {
        if dto.title == old && old != new {
            let body = json!({"title": new});
            let id = dto.id.as_str();
            let asked = self.api.exchange::<Value>(|api| api.call(OP, Method::Post, &["pages", id]).json(&body));
            if let Err(trouble) = asked.await {
                tracing::info!(error = %trouble.into_error(OP), "the page keeps its title");
            }
        }
        Page { modified: dto.modified(), id: Some(dto.id), slug: dto.slug }
    }
}

/// A file on the wiki, as content to be sent.
struct Remote {
    wiki: Arc<Wiki>,
    file: FileRef,
}

#[async_trait]
impl Content for Remote {
    async fn read(&self, at: u64, max: u64) -> Result<Bytes> {
        let end = self.file.size.min(at + max.min(PIECE));
        self.wiki.read_range(&self.file, at..end).await
    }

    fn sha1_to(&self, _end: u64) -> Option<Sha1Digest> {
        None
    }
}

/// The failure of something that must not be done from its beginning again.
fn once(error: Error) -> Error {
    match error.retry {
        Retry::After(_) => error.retry(Retry::Never),
        Retry::Never | Retry::AskFirst => error,
    }
}
