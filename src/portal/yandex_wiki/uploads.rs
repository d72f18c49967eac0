//! The calls of upload sessions: opened, filled part by part, finished, looked at, given up.

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::dto;
use super::errors::{Failure, json_of};
use super::fields::Fields;
use super::server::{Asked, Server};
use super::session::{PARTS_MAX, Status};
use crate::portal::faults::Injection;
use crate::portal::serve::drain;
use crate::portal::store::Segment;

/// In the extensions of an answer to a finish: a client that does not get it cannot know whether the session is finished.
#[derive(Clone, Debug)]
pub(super) struct Doubt(pub(super) String);

/// The content type of a part.
const BYTES: &str = "application/octet-stream";

impl Server {
    pub(super) async fn create_session(&self, asked: &Asked, fields: &Fields) -> Result<Value, Failure> {
        let file_name = fields.required("file_name", fields.text("file_name")?)?;
        let file_size = fields.required("file_size", fields.integer("file_size", 0..=i64::MAX)?)?;
        let id = self.change(|wiki| wiki.open(file_name, file_size.unsigned_abs(), &asked.moment())).await??;
        self.shown(asked, &id)
    }

    /// What is told about a session.
    fn shown(&self, asked: &Asked, id: &str) -> Result<Value, Failure> {
        self.wiki().own_session(id, &asked.user.login).map(|session| dto::session(session))
    }

    /// Where a session stands; `None` where it is not there.
    fn status(&self, id: &str) -> Option<Status> {
        self.wiki().sessions.get(id).map(|session| session.status)
    }

    /// A fault: the session of this request is gone.
    async fn play_lost_session(&self, asked: &Asked, id: &str) -> Result<(), Failure> {
        if asked.injections.has(Injection::LostSession) {
            self.change(|wiki| wiki.lose_session(id)).await?;
        }
        Ok(())
    }

    pub(super) async fn session(&self, asked: &Asked, id: &str) -> Result<Value, Failure> {
        self.play_lost_session(asked, id).await?;
        self.wiki().own_session(id, &asked.user.login)?.in_doubt = false;
        self.shown(asked, id)
    }

    pub(super) async fn part(&self, asked: &Asked, id: &str, body: Body) -> Result<Value, Failure> {
        self.play_lost_session(asked, id).await?;
        let number = match part_number(asked) {
            Ok(number) => number,
            Err(failure) => {
                drain(body).await;
                return Err(failure);
            }
        };
        let part = self.receive(asked, body).await?;
        let taken = self.change(|wiki| wiki.take_part(id, number, part, &asked.moment())).await?;
        if taken.is_err() && matches!(self.status(id), Some(Status::Finished | Status::Used)) {
            self.violation(asked, "a part for a session that is finished");
        }
        taken?;
        self.shown(asked, id)
    }

    /// Writes a part to the disk; one that is too large is read to its end, and refused.
    async fn receive(&self, asked: &Asked, body: Body) -> Result<Segment, Failure> {
        let bytes_max = asked.settings.part_bytes_max;
        let (mut blob, mut bytes) = (self.core.store.blob(), 0);
        let mut stream = body.into_data_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| Failure::cut())?;
            bytes += piece.len() as u64;
            if bytes <= bytes_max {
                blob.push(piece).await?;
            }
        }
        if bytes > bytes_max {
            return Err(Failure::wrong_parts(format!("a part of {bytes} bytes, at most {bytes_max}")));
        }
        Ok(blob.finish().await?)
    }

    pub(super) async fn finish(&self, asked: &Asked, id: &str) -> Result<Response, Failure> {
        self.play_lost_session(asked, id).await?;
        let in_doubt = self.wiki().own_session(id, &asked.user.login)?.in_doubt;
        if in_doubt {
            self.violation(
                asked,
                "finish was sent again, after an answer that was lost, without a look at the session",
            );
        } else if matches!(self.status(id), Some(Status::Finished | Status::Used)) {
            self.violation(asked, "a session was finished twice");
        }
        self.change(|wiki| wiki.finish(id, &asked.moment())).await??;
        let mut answer = json_of(200, &self.shown(asked, id)?);
        answer.extensions_mut().insert(Doubt(id.to_owned()));
        Ok(answer)
    }

    pub(super) async fn abort(&self, asked: &Asked, id: &str) -> Result<Value, Failure> {
        self.play_lost_session(asked, id).await?;
        self.change(|wiki| wiki.abort(id, &asked.moment())).await??;
        self.shown(asked, id)
    }

    pub(super) async fn abort_all(&self, asked: &Asked) -> Result<Value, Failure> {
        let count = self.change(|wiki| wiki.abort_all(&asked.user.login)).await?;
        self.violation(asked, format!("abort-all was called: {count} sessions of the user, whoever made them"));
        Ok(json!({"status": "ok"}))
    }
}

/// The number of a part whose request is right otherwise, too.
fn part_number(asked: &Asked) -> Result<u32, Failure> {
    let number = asked.query.required("part_number", asked.query.integer("part_number", 1..=PARTS_MAX)?)?;
    let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
    let is_bytes = content_type.split(';').next().is_some_and(|mime| mime.trim().eq_ignore_ascii_case(BYTES));
    if !is_bytes && !asked.settings.any_content_type {
        return Err(Failure::bad_request(format!("Content-Type is {content_type:?} instead of {BYTES}")));
    }
    if asked.header(header::CONTENT_LENGTH).is_none() && !asked.settings.chunked_parts {
        return Err(Failure::no_length());
    }
    u32::try_from(number).map_err(|_| Failure::bad_request("part_number"))
}
