//! Receiving chunks: out of the form, onto the disk, into the session. What a chunk means is in `commit`; in which
//! envelope it is answered, in `handler` and, for the newer calls, here.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use serde_json::{Value, json};

use super::calls::Step;
use super::commit::{Moment, Taken};
use super::envelope::{self, Reply};
use super::errors::{Failure, Message, NO_FILES, NO_VALUE, NULL_REFERENCE};
use super::framing;
use super::server::{Asked, Server};
use super::session::Session;
use crate::portal::faults::Injection;
use crate::portal::multipart::{FormError, Multipart, PartHead, boundary};
use crate::portal::store::Segment;

/// In the extensions of an answer to a chunk without a number: a client that does not get it cannot know whether the
/// chunk counts.
#[derive(Clone, Debug)]
pub(super) struct Doubt(pub(super) String);

/// So many bytes of a chunk in doubt may be sent to find out whether it was appended.
const PROBE_BYTES: u64 = 512;

/// Which part of a form is the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The first that is a file.
    FirstFile,
    /// The file of this name.
    Named(&'static str),
}

impl Wanted {
    pub(super) fn is(self, head: &PartHead) -> bool {
        let is_file = head.parameter("filename").is_some();
        match self {
            Wanted::FirstFile => is_file,
            Wanted::Named(name) => {
                is_file && head.parameter("name").is_some_and(|given| given.eq_ignore_ascii_case(name))
            }
        }
    }
}

/// A request for a chunk without a number is under way. Dropped, it is over.
struct UnderWay {
    server: Arc<Server>,
    session: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(session) = self.server.office().sessions.get_mut(&self.session) {
            session.plain_under_way -= 1;
        }
    }
}

/// A chunk with a number is being written. Dropped, it is not.
struct Writing {
    server: Arc<Server>,
    session: String,
    number: u32,
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(session) = self.server.office().sessions.get_mut(&self.session) {
            session.writing.remove(&self.number);
        }
    }
}

impl Asked {
    pub(super) fn moment(&self) -> Moment<'_> {
        let quota_is_used_up = self.injections.has(Injection::Quota);
        Moment { settings: &self.settings, now: self.now, quota_is_used_up }
    }
}

impl Server {
    /// A step of a session through the API of DocSpace 3.7.
    pub(super) async fn step_call(
        self: &Arc<Self>,
        asked: &Asked,
        id: &str,
        step: &Step,
        body: Body,
    ) -> Result<Response, Failure> {
        self.play_lost_session(asked, id).await?;
        let reply = match step {
            Step::Plain => {
                let taken = self.plain_chunk(asked, id, Wanted::Named("file"), body).await;
                let reply = self.taken_reply(asked, taken?);
                let mut answer = envelope::success(&asked.style(), reply);
                answer.extensions_mut().insert(Doubt(id.to_owned()));
                return Ok(answer);
            }
            Step::Numbered(_) => {
                let number = asked.query.number("chunkNumber").and_then(|number| u32::try_from(number).ok());
                self.formed_chunk(asked, id, number, body).await?;
                Reply::of(self.resumed(asked, id))
            }
            Step::Finalize => {
                let file = self.change(|office| office.finalize(id, &asked.moment())).await??;
                Reply::created(self.uploaded(asked, id, file, "providerKey"))
            }
            Step::Abort => {
                self.change(|office| office.abort(id, &asked.moment())).await??;
                Reply::of(Value::Null)
            }
        };
        Ok(envelope::success(&asked.style(), reply))
    }

    fn taken_reply(&self, asked: &Asked, taken: (Taken, Session)) -> Reply {
        let (taken, session) = taken;
        match taken {
            Taken::Finished(file) => Reply::created(self.uploaded_of(asked, &session, file, "providerKey")),
            Taken::More => {
                let mut value = self.uploaded_of(asked, &session, session.file.unwrap_or(0), "providerKey");
                value["uploaded"] = json!(false);
                Reply::of(value)
            }
        }
    }

    /// A session after a chunk; nothing where it is gone meanwhile.
    pub(super) fn resumed(&self, asked: &Asked, id: &str) -> Value {
        self.office().sessions.get(id).map_or(Value::Null, |session| asked.view().resumed(session))
    }

    /// The file that came out of a session that may be gone.
    pub(super) fn uploaded(&self, asked: &Asked, id: &str, file: u64, provider: &str) -> Value {
        let session = self.office().sessions.get(id).cloned();
        match session {
            Some(session) => self.uploaded_of(asked, &session, file, provider),
            None => self.stored_file(asked, file, provider),
        }
    }

    /// The file that came out of a session; a file of number 0 was never stored.
    pub(super) fn uploaded_of(&self, asked: &Asked, session: &Session, file: u64, provider: &str) -> Value {
        let office = self.office();
        if office.tree.file(file).is_some() {
            drop(office);
            return self.stored_file(asked, file, provider);
        }
        let view = asked.view();
        let mut value = json!({
            "id": 0,
            "folderId": view.folder_id(session.folder),
            "version": 1,
            "title": session.title,
            "uploaded": true,
        });
        if self.version.is_community() {
            value[provider] = Value::Null;
        } else {
            value["file"] = view.phantom(&office.tree, session);
        }
        value
    }

    fn stored_file(&self, asked: &Asked, file: u64, provider: &str) -> Value {
        let (office, view) = (self.office(), asked.view());
        let Some(file) = office.tree.file(file) else { return Value::Null };
        let mut value = json!({
            "id": file.id,
            "folderId": view.folder_id(file.folder),
            "version": file.current().version,
            "title": file.title,
            "uploaded": true,
        });
        if self.version.is_community() {
            value[provider] = Value::Null;
        } else {
            value["file"] = view.file(&office.tree, file);
        }
        value
    }

    /// Takes a chunk without a number; the session as it was left.
    pub(super) async fn plain_chunk(
        self: &Arc<Self>,
        asked: &Asked,
        id: &str,
        wanted: Wanted,
        body: Body,
    ) -> Result<(Taken, Session), Failure> {
        let _under_way = self.begin_plain(asked, id)?;
        let chunk = self.receive(asked, body, wanted).await?;
        self.inspect_plain(asked, id, chunk);
        self.change(|office| {
            let before = office.sessions.get(id).cloned();
            let taken = office.take_plain(id, chunk, &asked.moment())?;
            let session = office.sessions.get(id).cloned().or(before).ok_or(Failure::FileMissing)?;
            Ok((taken, session))
        })
        .await?
    }

    fn begin_plain(self: &Arc<Self>, asked: &Asked, id: &str) -> Result<UnderWay, Failure> {
        let others = {
            let mut office = self.office();
            let session = office.session(id, asked.settings.storage, asked.now)?;
            session.plain_under_way += 1;
            session.plain_under_way - 1
        };
        if others > 0 {
            self.violation(asked, "two chunks without numbers at once in one session");
        }
        Ok(UnderWay { server: self.clone(), session: id.to_owned() })
    }

    /// Notes what is wrong with a chunk without a number, whatever the answer will be.
    fn inspect_plain(&self, asked: &Asked, id: &str, chunk: Segment) {
        let chunk_bytes = asked.settings.chunk_bytes;
        let wrong = {
            let mut office = self.office();
            let Some(session) = office.sessions.get_mut(id) else { return };
            let numbers = self.version.numbers_chunks();
            let in_doubt = std::mem::take(&mut session.in_doubt);
            let may_probe = !numbers && chunk.bytes == PROBE_BYTES;
            if in_doubt && !may_probe {
                Some("a chunk without a number after an answer that was lost: it may count twice".to_owned())
            } else if chunk.bytes > chunk_bytes {
                Some(format!("a chunk of {} bytes, at most {chunk_bytes}", chunk.bytes))
            } else if numbers {
                wrong_length(session, session.counter + 1, chunk.bytes, chunk_bytes)
            } else {
                let after = session.uploaded.saturating_add_unsigned(chunk.bytes);
                let overshoots = session.total > 0 && after > session.total;
                overshoots.then(|| format!("{after} bytes of a file of {}", session.total))
            }
        };
        wrong.into_iter().for_each(|wrong| self.violation(asked, wrong));
    }

    /// Takes the chunk of this number through the API, which measures it.
    async fn formed_chunk(
        self: &Arc<Self>,
        asked: &Asked,
        id: &str,
        number: Option<u32>,
        body: Body,
    ) -> Result<(), Failure> {
        self.office().session(id, asked.settings.storage, asked.now)?;
        let chunk = self.receive(asked, body, Wanted::Named("file")).await?;
        let number = self.number(asked, id, number)?;
        let computed = i64::try_from(chunk.bytes).unwrap_or(i64::MAX);
        self.inspect_numbered(asked, id, number, chunk.bytes);
        self.change(|office| office.take_numbered(id, (number, chunk, computed), &asked.moment())).await?
    }

    /// Takes the chunk of this number through the upload handler, which computes its length.
    pub(super) async fn framed_chunk(
        self: &Arc<Self>,
        asked: &Asked,
        id: &str,
        number: Option<u32>,
        body: Body,
    ) -> Result<(), Failure> {
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        let boundary = boundary(content_type).ok_or(FormError::NoForm)?;
        if boundary.chars().count() > framing::BOUNDARY_MAX {
            let reason = "Multipart boundary length limit 100 exceeded.";
            return Err(Failure::Fault(Message::Fixed(reason)));
        }
        let number = self.number(asked, id, number)?;
        let _writing = self.begin_writing(asked, id, number)?;
        let mut form = Multipart::new(content_type, body)?;
        let Some(head) = form.next_part().await? else { return Err(Failure::Fault(NULL_REFERENCE)) };
        let length = asked.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let Some(length) = length else {
            self.violation(asked, "a numbered chunk without Content-Length");
            return Err(Failure::Fault(NO_VALUE));
        };
        let computed = framing::computed_bytes(length, &boundary, &head.headers);
        let chunk = self.write_part(&mut form, id, number).await?;
        form.drain().await?;
        if i64::try_from(chunk.bytes) != Ok(computed) {
            let wrong = format!("a frame of which the server computes {computed} bytes, and it has {}", chunk.bytes);
            self.violation(asked, wrong);
        }
        self.inspect_numbered(asked, id, number, chunk.bytes);
        self.change(|office| office.take_numbered(id, (number, chunk, computed), &asked.moment())).await?
    }

    /// The number of a chunk; without one, it is the next.
    fn number(&self, asked: &Asked, id: &str, number: Option<u32>) -> Result<u32, Failure> {
        let mut office = self.office();
        let session = office.session(id, asked.settings.storage, asked.now)?;
        let next = session.counter + 1;
        if number.is_none() {
            session.counter = next;
        }
        Ok(number.unwrap_or(next))
    }

    fn begin_writing(self: &Arc<Self>, asked: &Asked, id: &str, number: u32) -> Result<Writing, Failure> {
        let mut office = self.office();
        let session = office.session(id, asked.settings.storage, asked.now)?;
        if !session.writing.insert(number) && asked.settings.chunks_are_exclusive {
            let path = format!("/var/www/data/files_temp/{id}chunks/{number}");
            let text =
                format!("The process cannot access the file '{path}' because it is being used by another process.");
            return Err(Failure::Fault(Message::Said(text)));
        }
        Ok(Writing { server: self.clone(), session: id.to_owned(), number })
    }

    /// Writes the chunk where it belongs while it arrives. What came before a cut stays.
    async fn write_part(&self, form: &mut Multipart, id: &str, number: u32) -> Result<Segment, Failure> {
        let mut blob = self.core.store.blob();
        loop {
            match form.chunk().await {
                Ok(Some(piece)) => blob.push(piece).await?,
                Ok(None) => return Ok(blob.finish().await?),
                Err(error) => {
                    let half = blob.finish().await?;
                    self.change(|office| office.keep_half(id, number, half)).await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Notes what is wrong with a chunk with a number, whatever the answer will be.
    fn inspect_numbered(&self, asked: &Asked, id: &str, number: u32, bytes: u64) {
        let wrong = {
            let office = self.office();
            let Some(session) = office.sessions.get(id) else { return };
            // A chunk that is overwritten with one byte is how a session is given up at little cost.
            let is_given_up = bytes == 1 && session.objects.contains_key(&number);
            match is_given_up {
                true => None,
                false => wrong_length(session, number, bytes, asked.settings.chunk_bytes),
            }
        };
        wrong.into_iter().for_each(|wrong| self.violation(asked, wrong));
    }

    /// Receives a form, and writes the part that is wanted. A form is read to its end before anything of it counts.
    pub(super) async fn receive(&self, asked: &Asked, body: Body, wanted: Wanted) -> Result<Segment, Failure> {
        let nothing = match wanted {
            Wanted::FirstFile => Failure::Fault(NO_FILES),
            Wanted::Named(_) => Failure::Fault(NULL_REFERENCE),
        };
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        let received = match Multipart::new(content_type, body) {
            Ok(form) => self.receive_form(form, wanted).await,
            Err(error) => Err(error.into()),
        };
        match received {
            Ok(Some(segment)) => Ok(segment),
            // Whatever is wrong with the form, it has no file. Whoever sends no form at all asks whether the session is there.
            Ok(None) | Err(_) => {
                if !content_type.is_empty() {
                    self.violation(asked, "a request without the file that it should have");
                }
                Err(nothing)
            }
        }
    }

    async fn receive_form(&self, mut form: Multipart, wanted: Wanted) -> Result<Option<Segment>, Failure> {
        let mut found = None;
        while let Some(head) = form.next_part().await? {
            if found.is_some() || !wanted.is(&head) {
                continue;
            }
            let mut blob = self.core.store.blob();
            while let Some(piece) = form.chunk().await? {
                blob.push(piece).await?;
            }
            found = Some(blob);
        }
        form.drain().await?;
        Ok(match found {
            Some(blob) => Some(blob.finish().await?),
            None => None,
        })
    }
}

/// What is wrong with the length of a chunk in DocSpace 2.5 and later: all but the last have the chunk size, and a small
/// file has one chunk.
fn wrong_length(session: &Session, number: u32, bytes: u64, chunk_bytes: u64) -> Option<String> {
    if !session.chunked {
        let declared = u64::try_from(session.total).ok();
        return if session.commits > 0 {
            Some("a second chunk of a small file: it makes another version".to_owned())
        } else if session.total != 0 && declared != Some(bytes) {
            Some(format!("a chunk of {bytes} bytes for a small file of {}", session.total))
        } else {
            None
        };
    }
    match session.expected_bytes(number, chunk_bytes) {
        None => Some(format!("chunk {number} of a file of {} bytes", session.total)),
        Some(expected) if expected != bytes => Some(format!("chunk {number} has {bytes} bytes instead of {expected}")),
        Some(_) => None,
    }
}
