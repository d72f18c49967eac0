//! The roads of an upload: one direct POST, or chunks into the stash and the publication of what the server assembled
//! from them. Each request is sent once; what is sent again within one call is what the server definitely did not take:
//! a piece larger than its limits (cut smaller), a piece it has already (skipped to the byte it wants).

use std::time::Duration;

use serde_json::json;

use super::MediaWiki;
use super::answers::{Image, Upload, UploadAnswer};
use super::api::{Call, Nature, Trouble, WEB_PAGE};
use super::codes;
use super::limits::share;
use crate::error::{Error, Kind, Result, Retry};
use crate::service::{Begun, Node, Part, Payload, Receipt, SessionToken, Sha1Digest, Spec};

/// The operation, in errors.
const OP: &str = "upload";
/// The base of the time for a request that makes the server assemble, hash or copy the whole file.
const WORK_WITHIN: Duration = Duration::from_secs(60);
/// What it takes per MiB, with a margin of four: up to 15 ms were measured.
const WORK_PER_MIB: Duration = Duration::from_millis(60);

/// How long the server may work on a file of `size` bytes.
fn work_within(size: u64) -> Duration {
    WORK_WITHIN + WORK_PER_MIB * u32::try_from(size >> 20).unwrap_or(u32::MAX / 128)
}

/// What a content must be on the server.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) size: u64,
    pub(super) sha1: Option<Sha1Digest>,
}

impl Wanted {
    /// Whether `image` is it. Without a checksum on either side the size has to do.
    pub(super) fn is(&self, image: &Image) -> bool {
        let same = |(mine, theirs)| mine == theirs;
        image.size == Some(self.size) && self.sha1.zip(image.digest()).is_none_or(same)
    }
}

/// What the server has after a part.
struct Sent {
    key: String,
    /// Of the assembled file, after the last part.
    image: Option<Image>,
}

impl Sent {
    fn receipt(self, part: &Part) -> Receipt {
        let state = match self.image {
            Some(image) => json!({ "key": self.key, "sha1": image.sha1 }),
            None => serde_json::Value::Null,
        };
        Receipt { index: part.index, range: part.payload.range(), state }
    }
}

/// The key of the assembled file and its SHA-1, from the receipts of a session whose last part went through.
pub(super) fn assembled(receipts: &[Receipt]) -> Option<(&str, Option<Sha1Digest>)> {
    receipts.iter().rev().find_map(|receipt| {
        let key = receipt.state.get("key")?.as_str()?;
        Some((key, receipt.state.get("sha1").and_then(|sha1| Sha1Digest::from_hex(sha1.as_str()?))))
    })
}

impl MediaWiki {
    /// Sends the first part, which makes the stash entry.
    pub(super) async fn open_stash(&self, spec: &Spec, first: Option<Part>) -> Result<Begun> {
        self.check_spec(spec).await?;
        let part = first.ok_or_else(|| Error::new(Kind::Invalid, OP, "a stash entry begins with a part"))?;
        let sent = self.send(spec, None, &part).await?;
        let token = SessionToken { id: sent.key.clone(), state: serde_json::Value::Null };
        Ok(Begun { token, receipt: Some(sent.receipt(&part)) })
    }

    /// Sends a later part.
    pub(super) async fn send_part(&self, spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        Ok(self.send(spec, Some(&token.id), &part).await?.receipt(&part))
    }

    /// Sends a part, in as many requests as the server's limits demand.
    async fn send(&self, spec: &Spec, key: Option<&str>, part: &Part) -> Result<Sent> {
        let range = part.payload.range();
        if range.is_empty() {
            // An empty last chunk destroys the upload.
            return Err(Error::new(Kind::Invalid, OP, "a wiki takes no empty parts"));
        }
        let (mut key, mut at) = (key.map(str::to_owned), range.start);
        loop {
            let len = share(range.end - at, self.limits.piece());
            let piece = part.payload.slice(at..at + len);
            let last = part.last && at + len == range.end;
            let sent = self.send_piece(spec, key.as_deref(), piece, last).await;
            match sent.map_err(|trouble| self.known_better(trouble, len)) {
                Ok(sent) => {
                    self.limits.accepted(len);
                    if at + len == range.end {
                        return Ok(sent);
                    }
                    (key, at) = (Some(sent.key), at + len);
                }
                Err(trouble) if is_boundary(&trouble, at) && self.boundaries.refused(&self.canonical(spec)) => {
                    return Err(begin_elsewhere(at, trouble.into()));
                }
                Err(trouble) => match self.go_on(&trouble, len) {
                    Next::Smaller => {}
                    // What the server has of this part came from an earlier attempt, byte for byte the same.
                    Next::At(offset) if at < offset && offset < range.end => at = offset,
                    Next::At(offset) if offset == range.end && !part.last && key.is_some() => {
                        return Ok(Sent { key: key.unwrap_or_default(), image: None });
                    }
                    Next::At(offset) => return Err(out_of_step(at, offset)),
                    Next::Stop => return Err(self.refine(trouble, "upload")),
                },
            }
        }
    }

    /// The trouble with a piece of `len` bytes, known better: a web page instead of an answer is no refusal for size where
    /// as much went through before. It is a portal or a gateway, and what was done behind it is not known.
    fn known_better(&self, trouble: Trouble, len: u64) -> Trouble {
        match trouble {
            Trouble::TooLarge { op, said: WEB_PAGE, .. } if self.limits.is_proven(len) => {
                let what = format!("the server does not take what it took before: {WEB_PAGE}");
                Trouble::Other(Error::new(Kind::Protocol, op, what).retry(Retry::AskFirst))
            }
            trouble => trouble,
        }
    }

    /// What to do after a piece of `len` bytes did not go through.
    fn go_on(&self, trouble: &Trouble, len: u64) -> Next {
        let least = self.site().chunk_min;
        let smaller = match trouble {
            Trouble::Refused(_, errors) => return codes::wanted_offset(errors).map_or(Next::Stop, Next::At),
            Trouble::TooLarge { limit, .. } => self.limits.refused(len, *limit, least),
            Trouble::Cut(_) => self.limits.is_refusal_by_cut(len) && self.limits.refused(len, None, least),
            Trouble::Other(_) => false,
        };
        if smaller { Next::Smaller } else { Next::Stop }
    }

    /// One request of the chunk protocol.
    async fn send_piece(&self, spec: &Spec, key: Option<&str>, piece: Payload, last: bool) -> Result<Sent, Trouble> {
        let (range, digest) = (piece.range(), piece.clone());
        // The total is compared within each request only and need not be known: one byte more says "not the last".
        let claimed = if last { range.end } else { range.end + 1 };
        let mut call = Call::new(OP, "upload", Nature::Writes)
            .field("stash", "1")
            .field("ignorewarnings", "1")
            .field("filename", self.canonical(spec))
            .field("offset", range.start.to_string())
            .field("filesize", claimed.to_string());
        if let Some(key) = key {
            call = call.field("filekey", key);
        }
        call = call.file("chunk", piece);
        if !last {
            return continued(self.sessions.call::<UploadAnswer>(call).await?.upload, range.end);
        }
        if self.jobs.wanted(range.end) {
            call = call.field("async", "1");
        }
        let answer = self.sessions.call::<UploadAnswer>(call.answer_within(work_within(range.end))).await;
        self.boundaries.passed(&self.canonical(spec));
        if let Some(key) = key {
            self.remember(key, &answer);
        }
        let wanted = Wanted { size: range.end, sha1: digest.sha1_to_end().or(spec.sha1) };
        match answer {
            Ok(answer) => {
                if let Some(key) = key.filter(|_| answer.upload.is_queued()) {
                    self.jobs.queued(key);
                }
                finished(answer.upload, wanted)
            }
            // The server has lost chunks of it, in an assembly that was killed: it can never be completed.
            Err(Trouble::Refused(op, errors)) if codes::is_chunk_lost(&errors) => {
                let mut error = codes::error(op, &errors);
                error.kind = Kind::NotFound;
                Err(error.into())
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Publishes what the server assembled from the parts.
    pub(super) async fn publish(&self, spec: &Spec, receipts: &[Receipt]) -> Result<Node> {
        let (key, sha1) = assembled(receipts)
            .ok_or_else(|| Error::new(Kind::Invalid, OP, "the last part was not sent: there is no file to publish"))?;
        let size = receipts.iter().map(|receipt| receipt.range.end).max().unwrap_or(0);
        let wanted = Wanted { size: spec.size.unwrap_or(size), sha1: spec.sha1.or(sha1) };
        if wanted.size != size || sha1.is_some_and(|sha1| wanted.sha1 != Some(sha1)) {
            // Looked at before publishing: afterwards the wrong file would be there.
            return Err(corrupt("assembled"));
        }
        self.check_spec(spec).await?;
        let mut call = self.publication(spec).field("filekey", key).answer_within(work_within(wanted.size));
        if came_through_queue(receipts) {
            call = call.field("async", "1");
        }
        let answer = self.send_noted(call).await;
        if matches!(&answer, Ok(UploadAnswer { upload }) if upload.is_queued()) {
            self.jobs.queued(key);
        }
        self.remember(key, &answer);
        self.published(spec, wanted, answer).await
    }

    /// Uploads a complete file by one direct POST.
    pub(super) async fn upload_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        let size = payload.len();
        if payload.is_empty() {
            return Err(Error::new(Kind::Invalid, OP, "a wiki has no empty files"));
        }
        if size > self.limits.piece() {
            return Err(too_large_at_once());
        }
        self.check_spec(spec).await?;
        let digest = payload.clone();
        let call = self.publication(spec).file("file", payload).answer_within(work_within(size));
        let answer = self.send_noted(call).await;
        let answer = answer.map_err(|trouble| self.known_better(trouble, size));
        // Known only now: the bytes are hashed while they are sent.
        let wanted = Wanted { size, sha1: digest.sha1_to_end().or(spec.sha1) };
        self.remember(&whole_doubt(&self.canonical(spec), size), &answer);
        match answer {
            Err(trouble) if matches!(self.go_on(&trouble, size), Next::Smaller) => Err(too_large_at_once()),
            Ok(answer) => {
                self.limits.accepted(size);
                self.published(spec, wanted, Ok(answer)).await
            }
            refused => self.published(spec, wanted, refused).await,
        }
    }

    /// Whether the file may have its name, before anything is sent: the wiki would change a bad one without a word. What
    /// the wiki makes of names is known only once we are signed in.
    async fn check_spec(&self, spec: &Spec) -> Result<()> {
        self.connect().await?;
        self.file_name(OP, &spec.path)?;
        self.site().names.check(spec.path.name())
    }

    /// The fields of a request that publishes, but for the tags.
    fn publication(&self, spec: &Spec) -> Call {
        let account = self.account();
        let call = Call::new(OP, "upload", Nature::Writes)
            .field("ignorewarnings", "1")
            .field("watchlist", "nochange")
            .field("filename", self.canonical(spec))
            .field("comment", self.notes.comment(&spec.path, &account));
        match self.notes.text(&spec.path, &account) {
            Some(text) => call.field("text", text),
            None => call,
        }
    }

    /// Sends a request that publishes, with the tags that the wiki takes.
    async fn send_noted(&self, call: Call) -> Result<UploadAnswer, Trouble> {
        loop {
            let tagged = match self.notes.tags() {
                Some(tags) => call.clone().field("tags", tags),
                None => call.clone(),
            };
            match self.sessions.call(tagged).await {
                Err(Trouble::Refused(_, errors)) if self.notes.drop_tags(&errors) => {}
                answer => return answer,
            }
        }
    }

    /// The published file, after looking whether it is ours in name, size and checksum.
    async fn published(&self, spec: &Spec, wanted: Wanted, answer: Result<UploadAnswer, Trouble>) -> Result<Node> {
        let upload = match answer {
            Ok(answer) => answer.upload,
            // The current version has this very content: so it shall be.
            Err(Trouble::Refused(_, errors)) if codes::is(&errors, "fileexists-no-change") => {
                return match self.matching(OP, spec, wanted).await? {
                    Some(node) => Ok(node),
                    None => Err(codes::error(OP, &errors).retry(Retry::AskFirst)),
                };
            }
            Err(trouble) => return Err(self.refine(trouble, "upload")),
        };
        let (name, expected) = (upload.filename.clone().unwrap_or_default(), self.canonical(spec));
        if upload.result != "Success" {
            return Err(unexpected(&upload));
        }
        if self.canonical_of(&name) != expected {
            return Err(Error::new(Kind::BadName, OP, format!("the wiki filed {expected:?} under the name {name:?}")));
        }
        let image = upload.imageinfo.unwrap_or_default();
        if !wanted.is(&image) {
            return Err(corrupt("published"));
        }
        image.node(name).ok_or_else(|| Error::new(Kind::Protocol, OP, "the wiki does not say where the file is"))
    }

    /// Keeps in mind whether a request is in doubt.
    fn remember<T>(&self, what: &str, answer: &Result<T, Trouble>) {
        match answer {
            Err(Trouble::Other(error)) if error.in_doubt() => self.doubts.note(what),
            _ => self.doubts.settled(what),
        }
    }

    /// The name the file will have.
    pub(super) fn canonical(&self, spec: &Spec) -> String {
        self.canonical_of(spec.path.name())
    }

    pub(super) fn canonical_of(&self, name: &str) -> String {
        self.site().names.canonical(name)
    }

    /// A used-up quota says nothing of its window; the account's own limits do.
    pub(super) fn refine(&self, trouble: Trouble, what: &str) -> Error {
        let told = matches!(trouble, Trouble::Refused(..));
        let error = Error::from(trouble);
        let limit = self.sessions.known().and_then(|session| session.account.limit(what));
        match limit {
            Some((hits, seconds)) if told && error.kind == Kind::Quota => {
                let hint = format!("the account may do this {hits} times in {seconds} s");
                error.retry(Retry::After(Duration::from_secs(seconds))).hint(hint)
            }
            _ => error,
        }
    }
}

/// After a piece that did not go through.
enum Next {
    /// Try again with less.
    Smaller,
    /// The server wants this byte.
    At(u64),
    /// Give up.
    Stop,
}

/// What a direct upload is in doubt about.
pub(super) fn whole_doubt(name: &str, size: u64) -> String {
    format!("{name}|{size}")
}

/// Whether the chunk at byte `at` was refused for how it begins, and not for where it stands. The whole file is checked
/// after its last chunk; that refusal names no byte.
fn is_boundary(trouble: &Trouble, at: u64) -> bool {
    at > 0 && matches!(trouble, Trouble::Refused(_, errors) if codes::refused_beginning(errors) == Some(at))
}

/// The session can only be given up: the same byte would begin the next chunk.
fn begin_elsewhere(at: u64, refused: Error) -> Error {
    tracing::info!(at, %refused, "a chunk looks like something that the wiki does not take; beginning again with other ones");
    Error::new(Kind::NotFound, OP, format!("the wiki refuses a chunk that begins at byte {at}: {refused}"))
}

/// Whether the wiki's queue has put the file together.
fn came_through_queue(receipts: &[Receipt]) -> bool {
    receipts.iter().any(|receipt| receipt.state.get("queue").is_some())
}

/// The answer to a chunk that was not the last.
fn continued(upload: Upload, end: u64) -> Result<Sent, Trouble> {
    match upload {
        Upload { result, offset: Some(offset), filekey: Some(key), .. } if result == "Continue" && offset == end => {
            Ok(Sent { key, image: None })
        }
        Upload { result, offset: Some(offset), .. } if result == "Continue" => Err(out_of_step(end, offset).into()),
        other => Err(unexpected(&other).into()),
    }
}

/// The answer to the last chunk: the whole file under a new key.
fn finished(upload: Upload, wanted: Wanted) -> Result<Sent, Trouble> {
    match upload {
        Upload { result, filekey: Some(key), imageinfo: Some(image), .. } if result == "Success" => {
            if wanted.is(&image) { Ok(Sent { key, image: Some(image) }) } else { Err(corrupt("assembled").into()) }
        }
        other => Err(unexpected(&other).into()),
    }
}

fn unexpected(upload: &Upload) -> Error {
    // "Poll": the server works on it, and the probe finds out.
    let retry = if upload.result == "Poll" { Retry::AskFirst } else { Retry::Never };
    let result = crate::error::printable(&upload.result).into_owned();
    Error::new(Kind::Protocol, OP, format!("the wiki answers {result:?} where that cannot be")).retry(retry)
}

fn corrupt(what: &str) -> Error {
    Error::new(Kind::Corrupt, OP, format!("the file that the wiki {what} differs from the one that was sent"))
}

fn out_of_step(at: u64, wanted: u64) -> Error {
    Error::new(Kind::Server, OP, format!("the wiki wants byte {wanted}, not byte {at}")).retry(Retry::AskFirst)
}

fn too_large_at_once() -> Error {
    Error::new(Kind::TooLarge, OP, "the server does not take this file in one request")
        .retry(Retry::After(Duration::ZERO))
}
