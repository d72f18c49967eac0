//! The roads of a file to a portal: one chunk for what is smaller than a chunk, a session of chunks for the rest.

use std::time::Duration;

use serde_json::json;

use super::Onlyoffice;
use super::answers::Id;
use super::api::Trouble;
use super::chunks::{Open, Origin, Sent};
use super::codes::{Meaning, Refusal};
use crate::error::{Error, Kind, Result, Retry};
use crate::service::{Begun, Node, Part, Payload, Receipt, SessionToken, Spec};

/// The operation, in errors.
const OP: &str = "upload";
/// Nothing was done: it may be tried again.
const AGAIN: Retry = Retry::After(Duration::ZERO);

impl Onlyoffice {
    /// Opens a session with the exact size.
    pub(super) async fn begin_session(&self, spec: &Spec) -> Result<Begun> {
        let total = spec.size.ok_or_else(|| Error::new(Kind::Invalid, OP, "a portal must know the size first"))?;
        let plan = self.plan(OP, &spec.path).await?;
        let open = self.open(plan, total).await?;
        self.journals.with(&open.id, |journal| journal.origin = Origin::Begun);
        let state = serde_json::to_value(&open).map_err(|error| Error::new(Kind::Invalid, OP, error.to_string()))?;
        Ok(Begun { token: SessionToken { id: open.id, state }, receipt: None })
    }

    /// Sends a chunk.
    pub(super) async fn put_chunk(&self, spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        let open = read(token)?;
        let number = part.index + 1;
        let numbered = open.has_numbers().then_some(number);
        let range = part.payload.range();
        let (counted, may_have_more, is_first) = self.journals.with(&open.id, |journal| {
            journal.ended |= part.last;
            (journal.counted, journal.may_have_more, journal.numbers.insert(number))
        });
        let payload = match counted {
            _ if open.has_numbers() => part.payload,
            counted if counted < range.start => {
                return Err(Error::new(Kind::NotFound, OP, "how far the session has come is not known any more"));
            }
            // It would be counted again.
            counted if counted >= range.end => return Ok(Receipt { index: part.index, range, state: json!({}) }),
            counted => {
                let rest = part.payload.slice(counted..range.end);
                if may_have_more { self.send_sample(&open, rest).await? } else { rest }
            }
        };
        let sent = match self.send(&open, numbered, &payload).await {
            Ok(sent) => sent,
            Err(trouble) => {
                if is_first && matches!(&trouble, Trouble::Refused(refusal) if refusal.status < 500) {
                    // There is nothing of it that would have to be made small.
                    self.journals.with(&open.id, |journal| journal.numbers.remove(&number));
                }
                let error = self.judge(&open, trouble).await;
                if error.in_doubt() {
                    self.journals.with(&open.id, |journal| journal.in_doubt = true);
                    if part.last {
                        // It may be the file by now.
                        self.doubts.note(&doubt(spec));
                        self.doubts.note(&open.id);
                    }
                }
                return Err(error);
            }
        };
        self.journals.with(&open.id, |journal| journal.counted = range.end);
        if open.has_numbers() {
            return Ok(Receipt { index: part.index, range, state: json!({}) });
        }
        let counted = sent.chunk.bytes_uploaded.filter(|_| !sent.is_file);
        match (sent.is_file, part.last) {
            (true, true) => Ok(Receipt { index: part.index, range, state: json!({"file": sent.chunk.id}) }),
            (false, false) if counted.is_none_or(|bytes| bytes == range.end) => {
                Ok(Receipt { index: part.index, range, state: json!({}) })
            }
            _ => Err(self.counted_otherwise(&open, sent).await),
        }
    }

    /// A chunk was counted twice: what was made of it, or would be, is not the file.
    pub(super) async fn counted_otherwise(&self, open: &Open, sent: Sent) -> Error {
        match sent.is_file {
            true => self.remove_corrupt(open, sent.chunk.id).await,
            false => self.give_up_quietly(open).await,
        }
        Error::new(Kind::NotFound, OP, "the portal has counted other bytes than were sent")
    }

    /// A file came of it before all was sent. One that was there before keeps the wrong content until the next attempt.
    async fn remove_corrupt(&self, open: &Open, file: Option<Id>) {
        self.journals.close(&open.id);
        let Some(id) = file.filter(|id| !id.is_none()) else { return };
        match self.file_by_id(OP, &id).await {
            Ok(Some(file)) => {
                if let Err(error) = self.remove_own(open, &file).await {
                    tracing::warn!(%error, "the portal keeps a file that is not what was sent");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the portal keeps a file that is not what was sent"),
        }
    }

    /// Makes the file of what was sent.
    pub(super) async fn finish_session(&self, spec: &Spec, token: &SessionToken, receipts: &[Receipt]) -> Result<Node> {
        let open = read(token)?;
        let size = spec.size.unwrap_or(open.total);
        if size != open.total {
            let what = format!("the session is for {} bytes, the file has {size}", open.total);
            return Err(Error::new(Kind::Invalid, OP, what));
        }
        if !open.has_numbers() {
            let made = receipts.iter().find_map(|receipt| receipt.state.get("file").cloned());
            let made = made.and_then(|id| serde_json::from_value::<Id>(id).ok());
            let Some(id) = made else {
                return Err(Error::new(Kind::NotFound, OP, "the portal has not said that there is a file"));
            };
            return self.accept(spec, &open, &id).await;
        }
        match self.finalize(&open).await {
            Ok(Sent { is_file: true, chunk }) => {
                let id = chunk.id.unwrap_or_else(|| Id::new(""));
                self.accept(spec, &open, &id).await
            }
            Ok(_) => {
                Err(Error::new(Kind::Protocol, OP, "the portal ends the upload without a file").retry(Retry::AskFirst))
            }
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Some(Meaning::Incomplete) => {
                // Chunks have expired, or never arrived: nothing can be made of this session.
                self.give_up_quietly(&open).await;
                Err(refusal.into_error(OP))
            }
            // An earlier answer was lost, or the session was. After a doubt the words do not matter: what failed once on the
            // portal's side cannot be repeated.
            Err(Trouble::Refused(refusal)) if is_session_gone(&refusal) || self.is_repeated(&open, &refusal) => {
                match self.look(spec, &open).await? {
                    Some(node) => Ok(node),
                    None => Err(refusal.into_error(OP).kind(Kind::NotFound).retry(Retry::Never)),
                }
            }
            Err(trouble) => {
                let error = trouble.into_error(OP);
                if error.in_doubt() {
                    self.doubts.note(&doubt(spec));
                    self.doubts.note(&open.id);
                }
                Err(error)
            }
        }
    }

    /// A file below the chunk size: a session and one chunk.
    pub(super) async fn put_one_chunk(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        if payload.len() >= self.site().chunk_bytes {
            // Decided before the portal was asked what it takes.
            return Err(Error::new(Kind::TooLarge, OP, "the file is no smaller than a chunk").retry(AGAIN));
        }
        let plan = self.plan(OP, &spec.path).await?;
        // Without a chunk there is no file: a session whose opening is in doubt harms nobody.
        let not_begun = |error: Error| if error.in_doubt() { error.retry(AGAIN) } else { error };
        let open = self.open(plan, payload.len()).await.map_err(not_begun)?;
        self.wholes.put(&doubt(spec), open.clone());
        match self.send(&open, None, &payload).await {
            Ok(Sent { is_file: true, chunk }) => {
                let id = chunk.id.unwrap_or_else(|| Id::new(""));
                self.accept(spec, &open, &id).await
            }
            Ok(_) => {
                self.give_up_quietly(&open).await;
                Err(Error::new(Kind::Protocol, OP, "the portal has the whole file, and makes none of it"))
            }
            Err(trouble) => {
                let error = self.judge(&open, trouble).await;
                if error.in_doubt() {
                    self.doubts.note(&doubt(spec));
                }
                // Also in doubt: what has not been made into a file by now shall not become one later.
                self.give_up_quietly(&open).await;
                Err(match error.kind {
                    // The session is not the caller's business: another one may do.
                    Kind::NotFound => error.kind(Kind::Server).retry(AGAIN),
                    _ => error,
                })
            }
        }
    }

    /// Uploads by whichever road the size has.
    pub(super) async fn upload_all(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        let chunk = self.site().chunk_bytes;
        if payload.len() < chunk {
            return self.put_one_chunk(spec, payload).await;
        }
        let begun = self.begin_session(spec).await?;
        let (mut receipts, mut at, end) = (Vec::new(), payload.range().start, payload.range().end);
        while at < end {
            let to = end.min(at + chunk);
            let index = u32::try_from(receipts.len()).unwrap_or(u32::MAX);
            let part = Part { index, payload: payload.slice(at..to), last: to == end };
            match self.put_chunk(spec, &begun.token, part).await {
                Ok(receipt) => receipts.push(receipt),
                Err(error) => {
                    self.give_up_quietly(&read(&begun.token)?).await;
                    return Err(error);
                }
            }
            at = to;
        }
        self.finish_session(spec, &begun.token, &receipts).await
    }

    /// Whether a refusal without known words answers the second attempt to finish a session.
    fn is_repeated(&self, open: &Open, refusal: &Refusal) -> bool {
        matches!(refusal.status, 200 | 500) && refusal.meaning().is_none() && self.doubts.is_noted(&open.id)
    }

    /// The error of a chunk. A handler says everything in words: whether the session is gone is then asked by giving it up.
    pub(super) async fn judge(&self, open: &Open, trouble: Trouble) -> Error {
        if let Trouble::Refused(refusal) = &trouble
            && refusal.status == 200
            && refusal.meaning().is_none()
            && self.has_lost(open).await
        {
            return trouble.into_error(OP).kind(Kind::NotFound);
        }
        trouble.into_error(OP)
    }

    pub(super) async fn abort_session(&self, token: &SessionToken) -> Result<()> {
        self.give_up(&read(token)?).await
    }

    pub(super) async fn give_up_quietly(&self, open: &Open) {
        if let Err(error) = self.give_up(open).await {
            tracing::debug!(%error, "an abandoned upload session is left to the portal");
        }
    }
}

/// The session of a token.
pub(super) fn read(token: &SessionToken) -> Result<Open> {
    let unreadable = |error: serde_json::Error| Error::new(Kind::Invalid, OP, format!("not a session: {error}"));
    serde_json::from_value(token.state.clone()).map_err(unreadable)
}

/// What a doubt about a file is called.
pub(super) fn doubt(spec: &Spec) -> String {
    format!("/{}", spec.path.as_str())
}

fn is_session_gone(refusal: &Refusal) -> bool {
    matches!(refusal.meaning(), Some(Meaning::SessionGone | Meaning::SignedOutOrGone))
}
