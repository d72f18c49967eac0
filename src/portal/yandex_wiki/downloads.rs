//! The bytes of attachments: from the wiki itself by id, from storage by URL, and their previews.

use axum::body::Body;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;

use super::attachments::Attachment;
use super::errors::Failure;
use super::pages::Page;
use super::server::{Asked, Server, redirect};
use super::slugs;
use super::wiki::Wiki;
use crate::portal::ranges;
use crate::portal::storage::Stored;

/// What keys of the storage port begin with.
const KEY_PREFIX: &str = "attachments/";

/// How many redirects of pages are followed.
const REDIRECTS_MAX: usize = 10;

/// What stands for a missing preview: a picture of one pixel, as text.
const NO_PREVIEW: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";

impl Server {
    pub(super) fn download(&self, asked: &Asked, page: u64, file: u64) -> Result<Response, Failure> {
        let found = self.wiki().attachment(page, file).cloned().ok_or(Failure::NoFile)?;
        check_downloadable(asked, &found)?;
        if asked.settings.download_redirects {
            return Ok(self.redirected(asked, &found, "attachment"));
        }
        Ok(self.send(asked, &found))
    }

    pub(super) fn download_by_url(&self, asked: &Asked) -> Result<Response, Failure> {
        let url = asked.query.required("url", asked.query.text("url")?.filter(|url| !url.is_empty()))?;
        let wrong = || asked.query.wrong("url", "string does not match regex", "value_error.str.regex");
        let (slug, name) = slugs::split_url(url).ok_or_else(wrong)?;
        let disposition = if asked.query.flag("download")?.unwrap_or(false) { "attachment" } else { "inline" };
        let found = {
            let wiki = self.wiki();
            let slug = asked.slug(slug).ok_or_else(wrong)?;
            let page = wiki.page_at(&slug).map(|page| wiki.followed(page)).ok_or_else(Failure::no_page)?;
            let mut files = wiki.attachments_of(page.id);
            files.find(|file| file.url_name == name).cloned().ok_or(Failure::NoFile)?
        };
        check_downloadable(asked, &found)?;
        if asked.settings.download_by_url_redirects {
            return Ok(self.redirected(asked, &found, disposition));
        }
        Ok(self.send(asked, &found))
    }

    pub(super) fn preview(&self, asked: &Asked, page: u64, file: u64) -> Result<Response, Failure> {
        let found = self.wiki().attachment(page, file).cloned().ok_or(Failure::NoFile)?;
        if found.has_preview(asked.now) {
            return Ok(self.send(asked, &found));
        }
        let mut answer = Response::new(Body::from(NO_PREVIEW));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
        Ok(answer)
    }

    /// The bytes; a range of them, where the wiki knows ranges.
    fn send(&self, asked: &Asked, file: &Attachment) -> Response {
        let range = asked.header(header::RANGE).filter(|_| asked.settings.ranges && asked.parts.method == Method::GET);
        let asked_for = ranges::read(range, file.content.bytes());
        let mut answer = ranges::answer(&self.core.store, &file.content, asked_for);
        let headers = answer.headers_mut();
        if asked.settings.ranges {
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.mime()));
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        answer
    }

    fn redirected(&self, asked: &Asked, file: &Attachment, disposition: &str) -> Response {
        redirect(&self.core.storage.presigned(&format!("{KEY_PREFIX}{}", file.id), disposition, asked.now))
    }

    /// What storage has behind a key.
    pub(super) fn stored(&self, key: &str) -> Option<Stored> {
        let id = key.strip_prefix(KEY_PREFIX)?.parse().ok()?;
        let wiki = self.wiki();
        let file = wiki.attachments.get(&id)?;
        Some(Stored {
            content: file.content.clone(),
            mime: file.mime().to_owned(),
            md5: None,
            modified: Some(file.created_at),
        })
    }
}

impl Wiki {
    /// The page at the end of redirects.
    pub(super) fn followed<'a>(&'a self, page: &'a Page) -> &'a Page {
        let next = |page: &Page| page.redirect.and_then(|target| self.pages.get(&target));
        (0..REDIRECTS_MAX).fold(page, |page, _| next(page).unwrap_or(page))
    }
}

/// Whether the antivirus lets it out. The status of a refusal is assumed.
fn check_downloadable(asked: &Asked, file: &Attachment) -> Result<(), Failure> {
    match file.is_downloadable(asked.now) {
        true => Ok(()),
        false => Err(Failure::forbidden(&format!("The file is not downloadable: {}", file.check_status(asked.now)))),
    }
}
