//! Upload sessions on the wire: open, send, finalize, give up, in the three forms that portals have.
//!
//! | generation      | chunk                              | end                     |
//! |-----------------|------------------------------------|-------------------------|
//! | `Community`, `Counting` | handler, in order, counted as it comes | the last chunk answers 201 |
//! | `Numbered`      | handler, by number, in any order   | handler, `finalize`     |
//! | `Rest`          | call, by number, in any order      | call, `finalize`        |
//!
//! A file below the chunk size is one chunk without a number in all of them, and its answer is 201.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Onlyoffice;
use super::answers::{ChunkDto, SessionDto};
use super::api::{Api, Trouble};
use super::codes::{Meaning, Refusal};
use super::generation::Generation;
use super::plan::{Plan, Target};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Method, Multipart};
use crate::service::Payload;
use crate::service::call::Call;

/// The operation, in errors.
const OP: &str = "upload";
/// An answer that makes a file of chunks may take so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// And so much longer for each MiB of the file: a disk that copies 16 MiB/s.
const PATIENCE_PER_MIB: Duration = Duration::from_millis(60);

/// A session, as data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) id: String,
    /// Path and query of the handler; empty where it is not told, and the generation sends nothing there.
    handler: String,
    form: Form,
    /// The size that was declared, in bytes.
    pub(super) total: u64,
    /// The most bytes of a chunk.
    pub(super) chunk_bytes: u64,
    /// When it was opened, as the portal wrote it.
    pub(super) created: Option<String>,
    pub(super) plan: Plan,
}

/// How the chunks of a session travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Form {
    Counting,
    Numbered,
    Rest,
}

impl Open {
    /// Whether chunks have numbers.
    pub(super) fn has_numbers(&self) -> bool {
        self.form != Form::Counting
    }
}

/// What a chunk, or the end, brought.
#[derive(Debug)]
pub(super) struct Sent {
    /// Whether the portal says that there is a file now.
    pub(super) is_file: bool,
    pub(super) chunk: ChunkDto,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody has asked about it in this process.
    #[default]
    Unknown,
    /// Opened by this process, which knows all that was sent.
    Begun,
    /// Opened by another process, and found to be there.
    Resumed,
}

/// Which chunks of a session have been sent, as far as this process knows, and whether the fate of one is unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal {
    pub(super) origin: Origin,
    /// Whether the portal may have counted more than [`Journal::counted`]: the next chunk tells.
    pub(super) may_have_more: bool,
    pub(super) numbers: BTreeSet<u32>,
    /// Bytes that the portal has counted, where it counts them.
    pub(super) counted: u64,
    pub(super) in_doubt: bool,
    /// Whether the last chunk was sent.
    pub(super) ended: bool,
}

/// The journals of sessions that are open.
#[derive(Default)]
pub(super) struct Journals(Mutex<HashMap<String, Journal>>);

impl Journals {
    pub(super) fn with<T>(&self, session: &str, change: impl FnOnce(&mut Journal) -> T) -> T {
        let mut journals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(journals.entry(session.to_owned()).or_default())
    }

    pub(super) fn get(&self, session: &str) -> Option<Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned()
    }

    /// Whether this process has opened the session.
    pub(super) fn is_begun_here(&self, session: &str) -> bool {
        self.get(session).is_some_and(|journal| journal.origin == Origin::Begun)
    }

    pub(super) fn close(&self, session: &str) -> Option<Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session)
    }
}

/// How long an answer about a file of `bytes` may take.
fn patience(bytes: u64) -> Duration {
    PATIENCE + PATIENCE_PER_MIB * u32::try_from(bytes >> 20).unwrap_or(u32::MAX / 64)
}

impl Onlyoffice {
    /// Opens a session for a file of `total` bytes.
    pub(super) async fn open(&self, plan: Plan, total: u64) -> Result<Open> {
        let generation = self.site().version.generation();
        let elsewhere = plan.folder.is_word();
        if elsewhere && total >= self.site().chunk_bytes && generation.has_numbers() && !self.root_is_elsewhere() {
            let what = "files of several chunks go to a storage elsewhere only by a mount of a folder of it";
            return Err(Error::new(Kind::Unsupported, OP, what).hint("name the folder's id as `folder` of the remote"));
        }
        let form = match generation {
            _ if elsewhere => Form::Counting,
            Generation::Community | Generation::Counting => Form::Counting,
            Generation::Numbered => Form::Numbered,
            Generation::Rest => Form::Rest,
        };
        let opened = self.sessions.call::<SessionDto>(|api| opening(api, generation, &plan, total)).await;
        let session = match opened {
            Ok(session) => session,
            Err(trouble) => return Err(self.not_opened(&plan, trouble, total).await),
        };
        let nowhere = || Error::new(Kind::Protocol, OP, "the portal does not say where the file goes");
        let location = session.location.as_deref().ok_or_else(nowhere);
        let handler = match location.and_then(|location| self.sessions.api().home(OP, location)) {
            Ok(home) => home[url::Position::BeforePath..].to_owned(),
            // Only asked whether the session is there.
            Err(_) if form == Form::Rest => String::new(),
            Err(error) => return Err(error),
        };
        let chunk_bytes = self.site().chunk_bytes;
        Ok(Open { id: session.id, handler, form, total, chunk_bytes, created: session.created, plan })
    }

    /// The portal says the same of files that are too large for it and of files that are too large for the space that is
    /// left: what has been there once is not too large.
    async fn not_opened(&self, plan: &Plan, trouble: Trouble, total: u64) -> Error {
        let Trouble::Refused(refusal) = trouble else { return trouble.into_error(OP) };
        let about_size = match refusal.meaning() {
            Some(Meaning::Kind(kind)) => kind == Kind::TooLarge,
            _ => refusal.status == 402 && !refusal.message.is_empty(),
        };
        // CommunityServer says 500 to whatever it has against a file, in the user's language.
        let refused = self.site().version.generation().is_community() && refusal.status == 500;
        let refused = refused && !refusal.message.is_empty();
        let mut error = refusal.into_error(OP);
        if refused {
            error = error.retry(Retry::Never);
        }
        if about_size {
            error.kind = if self.has_seen(total) { Kind::Quota } else { Kind::TooLarge };
        }
        match plan.target.known() {
            Some(known) => self.or_locked(error, &known.id).await,
            None => error,
        }
    }

    /// Whether the portal still knows a session. Asked by giving it up, so that nothing comes of it later.
    pub(super) async fn has_lost(&self, open: &Open) -> bool {
        let given_up = self.sessions.call::<Value>(|api| open.call(api, Step::Abort).repeatable()).await;
        self.journals.close(&open.id);
        // Whatever a portal says to the end of a session that is not there, it says no.
        matches!(given_up, Err(Trouble::Refused(refusal)) if refusal.meaning() != Some(Meaning::NotEmpty))
    }

    /// Whether the portal has a session, or had a moment ago. Asked by a chunk without a file, which every generation refuses
    /// in words that are never translated, but only after it has looked for the session. Nothing is changed by that.
    pub(super) async fn is_there(&self, open: &Open) -> Result<bool> {
        if open.handler.is_empty() {
            // Not told where to ask: whoever sends a chunk learns it.
            return Ok(true);
        }
        let asked = self
            .sessions
            .call::<Value>(|api| api.call_to(OP, Method::Post, api.at(&open.handler)).secret_address().repeatable());
        match asked.await {
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Some(Meaning::NoPart) => Ok(true),
            // CommunityServer says it in the user's language.
            Err(Trouble::Refused(refusal)) if refusal.status == 200 || is_gone(&refusal) => Ok(false),
            Err(trouble) => Err(trouble.into_error(OP)),
            Ok(_) => Err(Error::new(Kind::Protocol, OP, "the portal takes a chunk without bytes")),
        }
    }

    /// Sends a chunk, with its number (from 1) where chunks have one.
    pub(super) async fn send(&self, open: &Open, number: Option<u32>, payload: &Payload) -> Result<Sent, Trouble> {
        let step = number.map_or(Step::Chunk, Step::Numbered);
        let answer = self.sessions.call_with_status::<Option<ChunkDto>>(|api| {
            let body = Multipart::default().file("file", "blob", payload.stream(), payload.len());
            let call = open.call(api, step).body(body).answer_within(patience(open.total));
            // The same bytes under the same number are the same chunk.
            if number.is_some() { call.repeatable() } else { call }
        });
        answer.await.map(|(status, chunk)| Sent { is_file: status == 201, chunk: chunk.unwrap_or_default() })
    }

    /// Makes the file out of the chunks.
    pub(super) async fn finalize(&self, open: &Open) -> Result<Sent, Trouble> {
        let answer = self.sessions.call_with_status::<Option<ChunkDto>>(|api| {
            open.call(api, Step::Finalize).answer_within(patience(open.total))
        });
        answer.await.map(|(status, chunk)| Sent { is_file: status == 201, chunk: chunk.unwrap_or_default() })
    }

    /// Gives a session up. A portal that keeps files on its disk cannot remove the chunks of one, and keeps them for ever:
    /// there each chunk is replaced by a single byte.
    pub(super) async fn give_up(&self, open: &Open) -> Result<()> {
        let journal = self.journals.close(&open.id).unwrap_or_default();
        let given_up = self.sessions.call::<Value>(|api| open.call(api, Step::Abort).repeatable()).await;
        match given_up {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(refusal)) if is_gone(&refusal) => Ok(()),
            Err(Trouble::Refused(_)) if open.has_numbers() && !journal.numbers.is_empty() => {
                for number in journal.numbers {
                    let byte = Payload::from_bytes(Bytes::from_static(b"\0"), 0);
                    self.send(open, Some(number), &byte).await.map_err(|trouble| trouble.into_error("abort"))?;
                }
                Ok(())
            }
            // Nothing was sent, or it is small already.
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Some(Meaning::NotEmpty) => Ok(()),
            Err(trouble) => Err(trouble.into_error("abort")),
        }
    }
}

/// Whether there is no such session.
fn is_gone(refusal: &Refusal) -> bool {
    let meaning = refusal.meaning();
    refusal.status == 404 || matches!(meaning, Some(Meaning::SessionGone | Meaning::SignedOutOrGone))
}

/// The call that opens a session.
fn opening(api: &Api, generation: Generation, plan: &Plan, total: u64) -> Call {
    if let Target::InPlace(known) = &plan.target {
        let size = total.to_string();
        // DocSpace reads the query, CommunityServer either.
        let call = api.call(OP, Method::Post, &["files", "file", known.id.as_str(), "edit_session"]);
        return call.query([("fileSize", size.as_str())]).json(&json!({"fileSize": total}));
    }
    let folder = plan.folder.as_str();
    let path: &[&str] = match generation {
        Generation::Rest => &["files", folder, "session"],
        _ => &["files", folder, "upload", "create_session"],
    };
    let mut body = json!({"fileName": plan.sent_title, "fileSize": total});
    if generation.has_numbers() {
        // Never over a file that only looks alike.
        body["createNewIfExist"] = json!(plan.target == Target::New);
    }
    api.call(OP, Method::Post, path).json(&body)
}

/// A step of a session.
#[derive(Clone, Copy, Debug)]
enum Step {
    Chunk,
    Numbered(u32),
    Finalize,
    Abort,
}

impl Open {
    /// The call of a step.
    fn call(&self, api: &Api, step: Step) -> Call {
        // Whoever knows a session's id may add to it.
        if self.form == Form::Rest {
            return self.rest_call(api, step).secret_address();
        }
        let call = api.call_to(OP, Method::Post, api.at(&self.handler));
        match step {
            Step::Chunk => call,
            Step::Numbered(number) => call.query([("chunkNumber", number.to_string().as_str()), ("upload", "true")]),
            Step::Finalize => call.query([("finalize", "true")]),
            Step::Abort => call.query([("abort", "true")]),
        }
    }

    fn rest_call(&self, api: &Api, step: Step) -> Call {
        let (folder, id) = (self.plan.folder.as_str(), self.id.as_str());
        let session = ["files", folder, "session", id];
        match step {
            Step::Chunk => api.call(OP, Method::Post, &session),
            Step::Numbered(number) => {
                let call = api.call(OP, Method::Post, &[&session[..], &["upload"]].concat());
                call.query([("chunkNumber", number.to_string().as_str())])
            }
            Step::Finalize => api.call(OP, Method::Put, &[&session[..], &["finalize"]].concat()),
            Step::Abort => api.call(OP, Method::Delete, &session),
        }
    }
}
