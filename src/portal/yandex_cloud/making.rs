//! A new file, whatever dialect it is told in: the rules of what may be one, and what is wrong with how it was asked for.

use std::collections::BTreeMap;

use axum::http::header;
use axum::response::Response;
use time::Duration;

use super::calls::Dialect;
use super::cloud::{Created, Draft, Made};
use super::dto;
use super::errors::{Failure, json_of};
use super::file::{File, Life, Policy, check_labels, check_name, kept};
use super::intake::Intake;
use super::mime;
use super::server::{Asked, Doubt, Server};
use super::settings::MimeCheck;
use crate::portal::arrivals::Arrival;
use crate::portal::faults::Injection;
use crate::portal::store::Content;
use crate::portal::uuid::is_uuid;

/// Seconds of a day.
const DAY_S: i64 = 24 * 60 * 60;

/// How long a new file lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasting {
    /// As the native dialect says it.
    Life(Life),
    /// So many seconds, as the OpenAI dialect says it.
    Seconds(i64),
    Forever,
}

impl Lasting {
    /// How the native dialect tells it.
    fn life(self) -> Option<Life> {
        match self {
            Lasting::Life(life) => Some(life),
            // Whole days that are not over before the file is.
            Lasting::Seconds(seconds) => Some(Life { policy: Policy::Static, ttl_days: (seconds + DAY_S - 1) / DAY_S }),
            Lasting::Forever => None,
        }
    }
}

/// What a client tells about a new file.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) description: String,
    /// The declared type, if there is one.
    pub(super) mime: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) lasting: Lasting,
    pub(super) purpose: String,
}

impl Server {
    /// Whether a create says how long its body is.
    pub(super) fn check_length(asked: &Asked) -> Result<(), Failure> {
        if asked.header(header::CONTENT_LENGTH).is_none() && !asked.settings.chunked_bodies {
            return Err(Failure::no_length());
        }
        Ok(())
    }

    /// Makes a file of what was told and what has come.
    pub(super) async fn make(&self, asked: &Asked, told: Told, intake: Intake) -> Result<Response, Failure> {
        let settings = &asked.settings;
        intake.check(settings)?;
        check_name(&told.name, settings)?;
        check_labels(&told.labels, settings)?;
        let mime = media_type(told.mime.as_deref(), intake.mime(), settings.mime)?;
        let received = intake.finish().await?;
        let (now, account) = (kept(self.core.clock.now()), &asked.account.id);
        let life = told.lasting.life();
        let file = File {
            id: String::new(),
            name: told.name,
            description: told.description,
            mime,
            labels: told.labels,
            created_by: account.clone(),
            created_at: now,
            updated_by: account.clone(),
            updated_at: now,
            life,
            expires_at: match told.lasting {
                Lasting::Seconds(seconds) => Some(now.saturating_add(Duration::seconds(seconds))),
                _ => life.map(|life| life.end(now)),
            },
            dialect: asked.call.dialect,
            purpose: told.purpose,
            content: received.content,
            md5: received.md5,
        };
        self.keep(asked, file).await
    }

    async fn keep(&self, asked: &Asked, file: File) -> Result<Response, Failure> {
        let arrival = arrival(asked, &file);
        let quota_is_used_up = asked.injections.has(Injection::Quota);
        let draft = Draft { file, key: self.key(asked), quota_is_used_up };
        let created = self.change(|cloud| {
            let created = cloud.create(draft, &asked.settings)?;
            if let Created::New { id, .. } = &created {
                cloud.arrived.push(Arrival { session: id.clone(), ..arrival });
            }
            Ok::<_, Failure>(created)
        });
        let id = match created.await?? {
            Created::New { id, was_in_doubt } => {
                if was_in_doubt {
                    self.violation(
                        asked,
                        "a file was sent again, after an answer that was lost, without a look at the list",
                    );
                }
                id
            }
            Created::Earlier { id, is_same } => {
                if !is_same {
                    self.violation(asked, "an Idempotency-Key was used for two files");
                }
                id
            }
        };
        let cloud = self.cloud();
        // Somebody may have been quick to delete it.
        let file = cloud.files.get(&id).ok_or_else(|| Failure::no_file(&id))?;
        let mut answer = json_of(200, &self.shown(asked, file));
        answer.extensions_mut().insert(Doubt(Made::of(file)));
        Ok(answer)
    }

    /// What is told about a file, in the dialect of the request.
    pub(super) fn shown(&self, asked: &Asked, file: &File) -> serde_json::Value {
        match asked.call.dialect {
            Dialect::Native => dto::native(file, &self.config.folder, asked.settings.print_empty_fields),
            Dialect::Openai => dto::openai(file),
        }
    }

    /// The `Idempotency-Key`, where it counts.
    fn key(&self, asked: &Asked) -> Option<String> {
        let key = asked.header("idempotency-key")?;
        if !is_uuid(key) {
            self.violation(asked, format!("the Idempotency-Key {key:?} is no UUID"));
        }
        asked.settings.idempotency.then(|| key.to_owned())
    }
}

fn arrival(asked: &Asked, file: &File) -> Arrival {
    Arrival {
        path: format!("/{}", file.name),
        bytes: Content::bytes(&file.content),
        version: 1,
        session: String::new(),
        chunks: 1,
        took: (file.created_at - asked.now).try_into().unwrap_or_default(),
    }
}

/// The type of a file that was declared so, and looks so.
fn media_type(declared: Option<&str>, found: &str, check: MimeCheck) -> Result<String, Failure> {
    let mime = declared.unwrap_or(found);
    let is_checked = match check {
        MimeCheck::Every => true,
        MimeCheck::Declared => declared.is_some(),
        MimeCheck::Never => false,
    };
    if is_checked && !mime::is_listed(mime) {
        return Err(Failure::refused(format!("mimeType: {mime} is not supported")));
    }
    Ok(mime.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::errors::tests::code;
    use super::*;

    #[test]
    fn seconds_are_days_that_are_not_over_before() {
        for (seconds, days) in [(3600, 1), (DAY_S, 1), (DAY_S + 1, 2), (30 * DAY_S, 30)] {
            assert_eq!(Lasting::Seconds(seconds).life().unwrap().ttl_days, days, "{seconds}");
        }
        assert_eq!(Lasting::Forever.life(), None);
        assert_eq!(Lasting::Life(Life::default()).life(), Some(Life::default()));
    }

    #[test]
    fn types_are_declared_or_found() {
        let (zip, text) = ("application/zip", "text/plain");
        for (declared, found, every, declared_only, never) in
            [(None, text, 0, 0, 0), (None, zip, 3, 0, 0), (Some(zip), text, 3, 3, 0), (Some(text), zip, 0, 0, 0)]
        {
            for (check, expected) in
                [(MimeCheck::Every, every), (MimeCheck::Declared, declared_only), (MimeCheck::Never, never)]
            {
                assert_eq!(code(media_type(declared, found, check)), expected, "{declared:?} {found} {check:?}");
            }
        }
        assert_eq!(media_type(Some(text), zip, MimeCheck::Every), Ok(text.to_owned()));
        assert_eq!(media_type(None, zip, MimeCheck::Never), Ok(zip.to_owned()));
    }
}
