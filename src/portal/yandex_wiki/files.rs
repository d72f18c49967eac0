//! The calls of attachments but for their bytes: attached, listed, looked at, deleted.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::attachments::Attachment;
use super::dto;
use super::errors::{Failure, json_of};
use super::fields::Fields;
use super::paging::{Key, Wanted};
use super::server::{Asked, Server, empty};
use super::session::Status;

/// The longest search of resources, in characters.
const QUERY_CHARS_MAX: usize = 255;

impl Server {
    pub(super) async fn attach(&self, asked: &Asked, page: u64, fields: &Fields) -> Result<Value, Failure> {
        let ids = session_ids(fields, asked.settings.attach_max)?;
        let slug = self.wiki().page(page)?.slug.clone();
        asked.check_writable(&slug)?;
        asked.check_blocked("CLUSTER_BLOCKED")?;
        let is_used =
            |id: &&String| self.wiki().sessions.get(*id).is_some_and(|session| session.status == Status::Used);
        if ids.iter().any(|id| is_used(&id)) {
            self.violation(asked, "a session that is used was attached again");
        }
        let made = self.change(|wiki| wiki.attach(page, &ids, &asked.moment())).await??;
        let wiki = self.wiki();
        let shown = made.iter().filter_map(|id| wiki.attachments.get(id));
        let shown: Vec<Value> = shown.map(|made| dto::attachment(made, &slug, asked.now)).collect();
        Ok(json!({"results": shown}))
    }

    pub(super) fn attachments(&self, asked: &Asked, page: u64) -> Result<Value, Failure> {
        let wanted = Wanted::read(&asked.query, &["created_at", "name", "size"])?;
        let wiki = self.wiki();
        let slug = &wiki.page(page)?.slug;
        let entries = wiki.attachments_of(page).map(|file| (key(file, wanted.order), file)).collect();
        Ok(wanted.cut(entries, |file| dto::attachment(file, slug, asked.now)))
    }

    pub(super) fn attachment(&self, asked: &Asked, page: u64, file: u64) -> Result<Value, Failure> {
        let wiki = self.wiki();
        let slug = &wiki.page(page)?.slug;
        let found = wiki.attachment(page, file).ok_or_else(Failure::no_attachment)?;
        Ok(dto::attachment(found, slug, asked.now))
    }

    pub(super) async fn delete_attachment(&self, asked: &Asked, page: u64, file: u64) -> Result<Response, Failure> {
        let slug = self.wiki().page(page)?.slug.clone();
        asked.check_writable(&slug)?;
        asked.check_blocked("CLUSTER_BLOCKED")?;
        self.change(|wiki| wiki.delete_attachment(page, file)).await??;
        Ok(match asked.settings.delete_answers_braces {
            true => json_of(200, &json!({})),
            false => empty(StatusCode::NO_CONTENT),
        })
    }

    /// Attachments and grids; there are no grids here.
    pub(super) fn resources(&self, asked: &Asked, page: u64) -> Result<Value, Failure> {
        let wanted = Wanted::read(&asked.query, &["name_title", "created_at"])?;
        let types = asked.query.words("types")?;
        if let Some(unknown) = types.iter().find(|one| !matches!(**one, "attachment" | "grid")) {
            return Err(asked.query.wrong("types", &format!("no such type: {unknown}"), "type_error.enum"));
        }
        let search = asked.query.text("q")?.unwrap_or_default().to_lowercase();
        if search.chars().count() > QUERY_CHARS_MAX {
            let message = format!("ensure this value has at most {QUERY_CHARS_MAX} characters");
            return Err(asked.query.wrong("q", &message, "value_error.any_str.max_length"));
        }
        let wiki = self.wiki();
        let slug = &wiki.page(page)?.slug;
        let has_attachments = types.is_empty() || types.contains(&"attachment");
        let found = wiki.attachments_of(page);
        let found = found.filter(|file| has_attachments && file.name.to_lowercase().contains(&search));
        let entries = found.map(|file| (key(file, wanted.order), file)).collect();
        let show = |file| json!({"type": "attachment", "item": dto::attachment(file, slug, asked.now)});
        Ok(wanted.cut(entries, show))
    }
}

/// What an attachment is sorted by.
fn key(file: &Attachment, order: &str) -> Key {
    let text = match order {
        "size" => format!("{:020}", file.content.bytes()),
        "created_at" => format!("{:020}", file.created_at.unix_timestamp_nanos()),
        _ => file.name.clone(),
    };
    (text, file.id)
}

/// The sessions that are to be attached.
fn session_ids(fields: &Fields, count_max: usize) -> Result<Vec<String>, Failure> {
    let name = "upload_sessions";
    let listed = fields.required(name, fields.get(name))?;
    let listed = listed.as_array().ok_or_else(|| fields.wrong(name, "value is not a valid list", "type_error.list"))?;
    if listed.is_empty() || listed.len() > count_max {
        let message = format!("ensure this value has 1 to {count_max} items");
        return Err(fields.wrong(name, &message, "value_error.list"));
    }
    let id = |value: &Value| {
        let text = value.as_str().filter(|text| text.len() == 36);
        text.map(str::to_owned).ok_or_else(|| fields.wrong(name, "value is not a valid uuid", "type_error.uuid"))
    };
    listed.iter().map(id).collect()
}
