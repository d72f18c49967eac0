//! The calls of pages: looked up, made, changed, deleted, recovered, and walked through.

use serde_json::{Value, json};

use super::dto;
use super::errors::{Failure, Place};
use super::fields::Fields;
use super::pages::{Edit, Page};
use super::paging::{Key, Wanted};
use super::server::{Asked, Server};
use super::wiki::Wiki;

/// The longest title, in characters.
const TITLE_CHARS_MAX: usize = 255;

impl Server {
    pub(super) fn page_by_slug(&self, asked: &Asked) -> Result<Value, Failure> {
        let slug = slug_of(asked)?;
        let wiki = self.wiki();
        let page = wiki.page_at(&slug).ok_or_else(Failure::no_page)?;
        let followed = wiki.followed(page);
        if followed.id != page.id && asked.query.flag("raise_on_redirect")?.unwrap_or(false) {
            // The code is assumed.
            return Err(Failure::refused("PAGE_IS_REDIRECT", "The page redirects to another one"));
        }
        dto::page(&wiki, followed, &asked.query.words("fields")?)
    }

    pub(super) fn page(&self, asked: &Asked, page: u64) -> Result<Value, Failure> {
        let wiki = self.wiki();
        dto::page(&wiki, wiki.page(page)?, &asked.query.words("fields")?)
    }

    pub(super) async fn create_page(&self, asked: &Asked, fields: &Fields) -> Result<Value, Failure> {
        let title = fields.required("title", title_of(fields)?)?;
        let given = fields.required("slug", fields.text("slug")?)?;
        let slug = asked.slug(given).ok_or_else(|| fields.wrong("slug", "invalid slug", "value_error"))?;
        let content = fields.required("content", fields.text("content")?)?.to_owned();
        asked.check_writable(&slug)?;
        let (settings, user, now) = (&asked.settings, &asked.user.login, asked.now);
        let made = self.change(|wiki| {
            wiki.check_slug(&slug, settings)?;
            let id = wiki.make_page(&slug, &title, user, now);
            if !content.is_empty() {
                wiki.edit_page(id, Edit { content: Some(content), ..Edit::default() }, now)?;
            }
            Ok::<u64, Failure>(id)
        });
        let made = made.await??;
        self.page(asked, made)
    }

    pub(super) async fn update_page(&self, asked: &Asked, page: u64, fields: &Fields) -> Result<Value, Failure> {
        if fields.has("slug") {
            self.violation(asked, "a slug in an update of a page, which ignores it");
        }
        let slug = self.wiki().page(page)?.slug.clone();
        asked.check_writable(&slug)?;
        asked.check_blocked("CHANGES_CONFLICT")?;
        let obsolete =
            fields.get("actuality").map(|_| fields.word("actuality", &["actual", "obsolete"])).transpose()?;
        let edit = Edit {
            title: title_of(fields)?,
            content: fields.text("content")?.map(str::to_owned),
            obsolete: obsolete.map(|word| word == "obsolete"),
            redirect: self.redirect_of(asked, fields)?,
        };
        self.change(|wiki| wiki.edit_page(page, edit, asked.now)).await??;
        self.page(asked, page)
    }

    /// The target of a redirect that an update sets, or ends.
    fn redirect_of(&self, asked: &Asked, fields: &Fields) -> Result<Option<Option<u64>>, Failure> {
        let Some(redirect) = fields.get("redirect") else { return Ok(fields.has("redirect").then_some(None)) };
        let wiki = self.wiki();
        let target = &redirect["page"];
        let by_slug = || wiki.page_at(&asked.slug(target["slug"].as_str()?)?).map(|page| page.id);
        let id = target["id"].as_u64().filter(|id| wiki.pages.contains_key(id)).or_else(by_slug);
        id.map(|id| Some(Some(id))).ok_or_else(|| fields.wrong("redirect", "no such page", "value_error"))
    }

    pub(super) async fn delete_page(&self, asked: &Asked, page: u64) -> Result<Value, Failure> {
        let slug = self.wiki().page(page)?.slug.clone();
        asked.check_writable(&slug)?;
        asked.check_blocked("CLUSTER_BLOCKED")?;
        let wished = asked.query.flag("recursive")?.unwrap_or(false);
        let recursive = wished && asked.settings.recursive_delete;
        let token = self.change(|wiki| wiki.delete_page(page, recursive)).await??;
        Ok(json!({"recovery_token": token}))
    }

    pub(super) async fn recover(&self, asked: &Asked, token: &str) -> Result<Value, Failure> {
        let (id, count) = self.change(|wiki| wiki.recover(token)).await??;
        let page = self.page(asked, id)?;
        Ok(json!({"id": id, "slug": page["slug"], "pages_count": count}))
    }

    /// The pages below a slug; the empty one is above all.
    pub(super) fn descendants_by_slug(&self, asked: &Asked) -> Result<Value, Failure> {
        let wiki = self.wiki();
        if asked.query.text("slug")? == Some("") {
            return descendants(asked, &wiki, None);
        }
        let slug = slug_of(asked)?;
        descendants(asked, &wiki, Some(wiki.page_at(&slug).ok_or_else(Failure::no_page)?))
    }

    pub(super) fn descendants_of(&self, asked: &Asked, page: u64) -> Result<Value, Failure> {
        let wiki = self.wiki();
        descendants(asked, &wiki, Some(wiki.page(page)?))
    }
}

/// The slug in a query.
fn slug_of(asked: &Asked) -> Result<String, Failure> {
    let given = asked.query.required("slug", asked.query.text("slug")?)?;
    asked.slug(given).ok_or_else(|| Failure::field(Place::Query, "slug", "invalid slug", "value_error"))
}

fn title_of(fields: &Fields) -> Result<Option<String>, Failure> {
    let Some(title) = fields.text("title")? else { return Ok(None) };
    if (1..=TITLE_CHARS_MAX).contains(&title.chars().count()) {
        return Ok(Some(title.to_owned()));
    }
    let message = format!("ensure this value has 1 to {TITLE_CHARS_MAX} characters");
    Err(fields.wrong("title", &message, "value_error.any_str"))
}

/// The whole subtree, flat.
fn descendants(asked: &Asked, wiki: &Wiki, above: Option<&Page>) -> Result<Value, Failure> {
    let mut wanted = Wanted::read(&asked.query, &["slug"])?;
    if asked.settings.short_pages {
        // As if something had been left out of what was found.
        wanted.size -= wanted.size / 4;
    }
    let actuality = asked.query.text("actuality")?;
    if !matches!(actuality, None | Some("actual" | "obsolete")) {
        return Err(asked.query.wrong("actuality", "value is not a valid enumeration member", "type_error.enum"));
    }
    let with_self = asked.query.flag("include_self")?.unwrap_or(false);
    let fits = |page: &&Page| actuality.is_none_or(|word| page.obsolete == (word == "obsolete"));
    let below = wiki.below(above.map_or("", |page| &page.slug));
    let pages = above.into_iter().filter(|_| with_self).chain(below).filter(fits);
    let entries: Vec<(Key, &Page)> = pages.map(|page| ((page.slug.clone(), page.id), page)).collect();
    Ok(wanted.cut(entries, |page| json!({"id": page.id, "slug": page.slug})))
}
