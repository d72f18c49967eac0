//! What pages, attachments, sessions and people look like in answers.

use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::attachments::Attachment;
use super::config::YandexWikiConfig;
use super::errors::Failure;
use super::names;
use super::pages::Page;
use super::session::Session;
use super::slugs;
use super::wiki::Wiki;

const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// What may be asked for beside the base of a page.
const FIELDS: [&str; 8] =
    ["redirect", "breadcrumbs", "attributes", "content", "access_policy", "access_lists", "owner", "actuality"];

/// A moment: whole seconds of UTC.
pub(super) fn date(moment: OffsetDateTime) -> String {
    moment.to_offset(UtcOffset::UTC).format(DATE).expect("a moment has every part of the format")
}

/// The number that stands for a login wherever the service has one.
fn uid(login: &str) -> u64 {
    login.bytes().fold(1_130_000_000, |sum, byte| sum * 31 % 9_000_000_000 + u64::from(byte))
}

fn identity(login: &str) -> Value {
    json!({"uid": uid(login).to_string(), "cloud_uid": format!("aje{:017x}", uid(login))})
}

/// Somebody.
pub(super) fn user(login: &str) -> Value {
    json!({
        "id": uid(login) % 100_000,
        "identity": identity(login),
        "username": login,
        "display_name": login,
        "is_dismissed": false,
        "affiliation": "external",
    })
}

/// Who asks.
pub(super) fn me(login: &str, config: &YandexWikiConfig) -> Value {
    json!({
        "username": login,
        "home_cluster": format!("users/{login}"),
        "identity": identity(login),
        "org": {"dir_id": config.organisation, "collab_id": config.organisation},
    })
}

pub(super) fn session(session: &Session) -> Value {
    json!({
        "session_id": session.id,
        "file_name": session.file_name,
        "file_size": session.file_size,
        "status": session.status.name(),
        "user": user(&session.user),
        "created_at": date(session.created_at),
        "finished_at": session.finished_at.map(date),
        "storage_type": session.storage_type,
    })
}

/// An attachment of the page at `slug`.
pub(super) fn attachment(attachment: &Attachment, slug: &str, now: OffsetDateTime) -> Value {
    json!({
        "id": attachment.id,
        "name": attachment.name,
        "download_url": format!("/{slug}/.files/{}", attachment.url_name),
        "size": names::megabytes(attachment.content.bytes()),
        "description": "",
        "created_at": date(attachment.created_at),
        "mimetype": attachment.mime(),
        "has_preview": attachment.has_preview(now),
        "check_status": attachment.check_status(now),
        "is_downloadable": attachment.is_downloadable(now),
        "user": user(&attachment.user),
    })
}

fn brief(page: &Page) -> Value {
    json!({"id": page.id, "slug": page.slug, "title": page.title, "page_type": "wysiwyg"})
}

/// A page with the fields that were asked for.
///
/// # Errors
/// There is no such field.
pub(super) fn page(wiki: &Wiki, page: &Page, fields: &[&str]) -> Result<Value, Failure> {
    let mut shown = brief(page);
    shown["active_revision"] = json!({"id": page.revision});
    for field in fields {
        if !FIELDS.contains(field) {
            let message = format!("Unknown field {field}; Allowed fields are {}", FIELDS.join(", "));
            return Err(Failure::bad_request(message));
        }
        shown[*field] = match *field {
            "redirect" => page
                .redirect
                .and_then(|target| wiki.pages.get(&target))
                .map_or(Value::Null, |target| json!({"page_id": target.id, "redirect_target": brief(target)})),
            "breadcrumbs" => breadcrumbs(wiki, &page.slug),
            "attributes" => attributes(page),
            "content" => json!(page.content),
            "access_policy" => json!("inherited"),
            "access_lists" => json!([]),
            "owner" => user(&page.owner),
            _ => json!(if page.obsolete { "obsolete" } else { "actual" }),
        };
    }
    Ok(shown)
}

fn attributes(page: &Page) -> Value {
    json!({
        "created_at": date(page.created_at),
        "modified_at": date(page.modified_at),
        "lang": "ru",
        "is_readonly": false,
        "comments_count": 0,
        "comments_enabled": true,
        "keywords": [],
        "is_collaborative": false,
        "is_draft": false,
    })
}

/// The pages above, of which some may not be there.
fn breadcrumbs(wiki: &Wiki, slug: &str) -> Value {
    let crumb = |slug: &str| match wiki.page_at(slug) {
        Some(page) => json!({"id": page.id, "slug": slug, "title": page.title, "page_exists": true}),
        None => json!({"slug": slug, "title": slug.rsplit('/').next(), "page_exists": false}),
    };
    slugs::ancestors(slug).chain(std::iter::once(slug)).map(crumb).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::super::session::tests::session as a_session;
    use super::*;
    use crate::portal::store::Records;

    #[test]
    fn moments_are_whole_seconds() {
        assert_eq!(date(datetime!(2026-05-13 13:00:01.9 +03:00)), "2026-05-13T10:00:01Z");
    }

    #[test]
    fn a_session_has_the_fields_of_the_reference() {
        let mut told = session(&a_session(30));
        assert!(told["user"]["identity"]["uid"].is_string() && told["user"]["affiliation"] == "external");
        told["user"] = Value::Null;
        let expected = json!({
            "session_id": "a",
            "file_name": "a.txt",
            "file_size": 30,
            "status": "in_progress",
            "user": null,
            "created_at": "1970-01-01T00:00:00Z",
            "finished_at": null,
            "storage_type": "s3",
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn a_page_shows_what_is_asked_for() {
        let mut wiki = Wiki::load(Records::new()).unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        let id = wiki.make_page("a/b/c", "C", "user", now);
        wiki.make_page("a", "A", "user", now);
        let of = |fields: &[&str]| page(&wiki, wiki.page(id).unwrap(), fields);
        let base = of(&[]).unwrap();
        assert_eq!(base.as_object().unwrap().len(), 5);
        assert_eq!((&base["slug"], &base["page_type"]), (&json!("a/b/c"), &json!("wysiwyg")));
        let all = of(&FIELDS).unwrap();
        assert!(FIELDS.iter().all(|field| all.get(field).is_some()));
        let crumbs: Vec<_> = all["breadcrumbs"].as_array().unwrap().iter().map(|crumb| &crumb["page_exists"]).collect();
        assert_eq!(crumbs, [true, false, true]);
        assert!(
            matches!(of(&["foo"]), Err(Failure::Said { status: 400, message, .. }) if message.contains("foo; Allowed"))
        );
    }

    #[test]
    fn people_differ() {
        assert_ne!(user("a")["identity"], user("b")["identity"]);
        let config = YandexWikiConfig::new(super::super::config::OrganisationKind::Cloud);
        let me = me("a", &config);
        assert_eq!((&me["home_cluster"], &me["org"]["dir_id"]), (&json!("users/a"), &json!("7654321")));
    }
}
