//! An upload: a session with the exact size, its parts by number, the end of it, and the attaching, which alone makes it
//! a file. What it replaces is removed after the new file was seen to be right: a reader finds the old or the new.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answers::{AttachmentDto, Check, ResultsDto, SessionDto, Status};
use super::api::Trouble;
use super::codes::Refusal;
use super::entries::AGAIN as WAITS;
use super::index::Page;
use super::pages::Entry;
use super::{EmptyFiles, Wiki, slugs};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Body, Method};
use crate::path::RemotePath;
use crate::service::{Begun, Node, Part, Payload, Receipt, SessionToken, Spec};

/// The operation, in errors.
pub(super) const OP: &str = "upload";
/// An answer that makes a file may take so long: users of the store behind the wiki have waited for minutes.
const PATIENCE: Duration = Duration::from_secs(120);
/// The media type of a part; the service takes no other.
const BYTES: &str = "application/octet-stream";
/// When there may be room again that our own sessions take.
const ROOM_WAIT: Duration = Duration::from_millis(500);
/// How long the antivirus is waited for, where a file is to be replaced or nothing else is known of the new one: about half
/// a minute.
const CHECK_WAITS: [Duration; 9] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(6),
    Duration::from_secs(8),
    Duration::from_secs(8),
];
/// Nothing was done: it may be tried again.
const AGAIN: Retry = Retry::After(Duration::ZERO);

/// A session, as data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) id: String,
    /// The page the file is for.
    pub(super) page: String,
    /// The name it has in the mount, and on the service.
    pub(super) name: String,
    /// In bytes, as it was declared.
    pub(super) size: u64,
    /// The size of each part but the last, in bytes.
    pub(super) part_bytes: u64,
    /// The files of that name that were there before.
    pub(super) there: Vec<String>,
    /// The one of them that the new file replaces.
    pub(super) replaces: Option<String>,
    /// When the session was made, by the service's clock.
    pub(super) created: Option<String>,
    /// Whose it is.
    pub(super) user: Option<String>,
}

/// Where a file goes.
pub(super) struct Target {
    page: String,
    there: Vec<String>,
    replaces: Option<String>,
}

impl Wiki {
    /// Whether a file may be written at `path`, as far as the wiki tells before the first byte.
    pub(super) async fn admit_file(&self, path: &RemotePath) -> Result<()> {
        match self.entry_at("create", path).await? {
            (_, Some(Entry::Page(_))) => Err(is_page("create", path)),
            _ => Ok(()),
        }
    }

    /// Where a file goes, and what it replaces.
    async fn target(&self, spec: &Spec) -> Result<Target> {
        let path = &spec.path;
        let holder = self.holder_of(OP, path).await?;
        let page = match holder.id.clone() {
            Some(id) => id,
            None => self.make_real(&holder).await?,
        };
        // What is heard from an older listing would be replaced, and what is newer would stay.
        let files = self.ask_files(OP, &page).await?;
        let shown = match self.entry_at(OP, path).await? {
            (_, Some(Entry::Page(_))) => return Err(is_page(OP, path)),
            (_, Some(Entry::File(file))) => Some(file.dto.id),
            (_, None) => None,
        };
        // What the program has opened, while it is there: what somebody else has put beside it since is not its to remove.
        let opened = spec.replaces.as_ref().and_then(|node| node.id.split_once('/')).map(|(_, file)| file);
        let replaces = files.iter().find(|file| Some(file.id.as_str()) == opened).map(|file| file.id.clone()).or(shown);
        let there = files.iter().filter(|file| file.name == path.name()).map(|file| file.id.clone());
        Ok(Target { there: there.collect(), page, replaces })
    }

    /// Makes a page that others below it only spoke of.
    async fn make_real(&self, page: &Page) -> Result<String> {
        let made = self.make_page(OP, &page.slug, slugs::last(&page.slug)).await?;
        made.id.ok_or_else(|| Error::new(Kind::Protocol, OP, "the wiki makes a page without a number"))
    }

    pub(super) async fn begin_session(&self, spec: &Spec) -> Result<Begun> {
        let size = spec.size.ok_or_else(|| Error::new(Kind::Invalid, OP, "the wiki must know the size first"))?;
        if size > self.file_max {
            let what = format!("the file has {size} bytes, the wiki takes {}", self.file_max);
            return Err(Error::new(Kind::TooLarge, OP, what));
        }
        let target = self.target(spec).await?;
        let name = spec.path.name();
        let asked = self.api.exchange::<SessionDto>(|api| {
            let body = json!({"file_name": name, "file_size": size});
            api.call(OP, Method::Post, &["upload_sessions"]).json(&body)
        });
        let session = match asked.await {
            Ok(session) => session,
            Err(Trouble::Refused(refusal)) if size == 0 && refusal.may_be_about_emptiness() => {
                return Err(self.no_empty_files(&refusal).retry(AGAIN));
            }
            Err(trouble) => {
                let error = trouble.into_error(OP);
                // Sessions of our own take room, too, and give it back in a moment.
                let ours = error.kind == Kind::Quota && !self.begun.is_empty();
                return Err(if ours { error.retry(Retry::After(ROOM_WAIT)) } else { error });
            }
        };
        let open = Open {
            page: target.page,
            name: name.to_owned(),
            size,
            part_bytes: self.part_bytes,
            there: target.there,
            replaces: target.replaces,
            created: session.created_at.clone(),
            user: session.user().map(str::to_owned),
            id: session.session_id,
        };
        self.begun.put(&open.id, ());
        self.give_up_left().await;
        let state = serde_json::to_value(&open).map_err(|error| Error::new(Kind::Invalid, OP, error.to_string()))?;
        Ok(Begun { token: SessionToken { id: open.id, state }, receipt: None })
    }

    /// Sends a part. A number that comes twice counts once: it may be sent again whatever became of it.
    pub(super) async fn put_part(&self, token: &SessionToken, part: &Part) -> Result<Receipt> {
        let open = read(token)?;
        match self.send(&open.id, part.index + 1, &part.payload).await {
            Ok(_) => Ok(receipt(part.index, part.payload.range())),
            Err(Trouble::Refused(refusal)) if refusal.is_about_state() => {
                // Is it the part, or the session?
                let lost = self.session(&open.id).await?.is_none_or(|session| session.status() != Status::Open);
                let in_conflict = refusal.status == 409;
                let error = refusal.into_error(OP);
                Err(match (lost, in_conflict) {
                    (true, _) => error.kind(Kind::NotFound),
                    // With another part that is under way: it has its turn after that.
                    (false, true) => error.kind(Kind::Busy).retry(AGAIN),
                    (false, false) => error.kind(Kind::Protocol),
                })
            }
            Err(trouble) => Err(trouble.into_error(OP)),
        }
    }

    async fn send(&self, session: &str, number: u32, payload: &Payload) -> Result<Value, Trouble> {
        let number = number.to_string();
        let sent = self.api.exchange(|api| {
            let body = Body::stream(payload.stream(), payload.len());
            let call = api.call(OP, Method::Put, &["upload_sessions", session, "upload_part"]);
            let call = call.query([("part_number", number.as_str())]).header("content-type", BYTES);
            call.body(body).repeatable()
        });
        sent.await
    }

    /// The session, asked afresh; `None` when the service knows none.
    pub(super) async fn session(&self, id: &str) -> Result<Option<SessionDto>> {
        let asked = self.api.exchange(|api| api.call(OP, Method::Get, &["upload_sessions", id])).await;
        match asked {
            Ok(session) => Ok(Some(session)),
            Err(Trouble::Refused(refusal)) if matches!(refusal.status, 404 | 410) => Ok(None),
            Err(trouble) => Err(trouble.into_error(OP)),
        }
    }

    /// Makes the file of what was sent.
    pub(super) async fn finish_session(&self, spec: &Spec, token: &SessionToken) -> Result<Node> {
        let open = read(token)?;
        let size = spec.size.unwrap_or(open.size);
        if size != open.size {
            let what = format!("the session is for {} bytes, the file has {size}", open.size);
            return Err(Error::new(Kind::Invalid, OP, what));
        }
        if !self.end_parts(&open).await? {
            // An earlier attempt has come further than was heard of.
            return match self.look(spec, &open).await? {
                Some(node) => Ok(node),
                None => Err(Error::new(Kind::NotFound, OP, "the session has been used, and there is no file")),
            };
        }
        self.attach(spec, &open).await
    }

    /// Says that all parts were sent, once. Whether the session can be attached now; if not, it is attached already.
    async fn end_parts(&self, open: &Open) -> Result<bool> {
        if self.ended.get(&open.id).is_some() {
            return Ok(true);
        }
        let can_be_attached = self.try_end(open).await?;
        if can_be_attached {
            self.ended.put(&open.id, ());
        }
        Ok(can_be_attached)
    }

    async fn try_end(&self, open: &Open) -> Result<bool> {
        let has_empty_part = open.size == 0 && self.empty_files() == EmptyFiles::TakenWithPart;
        let ended = match has_empty_part {
            true => self.end_with_empty_part(open).await,
            false => self.ask_end(open).await,
        };
        let mut refused = match ended {
            Ok(()) => return Ok(true),
            Err(Trouble::Refused(refusal)) if refusal.is_definite() => refusal,
            Err(trouble) => return Err(trouble.into_error(OP)),
        };
        if open.size == 0 && !has_empty_part && refused.is_about_state() {
            match self.end_with_empty_part(open).await {
                Ok(()) => {
                    self.set_empty_files(EmptyFiles::TakenWithPart);
                    return Ok(true);
                }
                Err(Trouble::Refused(refusal)) if refusal.is_definite() => refused = refusal,
                Err(trouble) => return Err(trouble.into_error(OP)),
            }
        }
        // An answer may have been lost, or the session.
        match self.session(&open.id).await?.map(|session| session.status()) {
            Some(Status::Finished) => Ok(true),
            Some(Status::Used) => Ok(false),
            Some(Status::Open) if open.size == 0 && refused.may_be_about_emptiness() => {
                self.give_up(open).await;
                // Whoever hears that the session is gone begins again, and knows by then.
                Err(self.no_empty_files(&refused).kind(Kind::NotFound))
            }
            // Parts are missing, or not what they should be: nothing can be made of it.
            Some(Status::Open) if refused.is_about_state() => {
                self.give_up(open).await;
                Err(refused.into_error(OP).kind(Kind::NotFound))
            }
            Some(Status::Open) => Err(refused.into_error(OP)),
            // Sessions that were used may be cleaned up.
            Some(Status::Gone) | None if !self.is_unattached(open) => Ok(false),
            Some(Status::Gone) | None => Err(refused.into_error(OP).kind(Kind::NotFound)),
        }
    }

    async fn ask_end(&self, open: &Open) -> Result<(), Trouble> {
        let asked = self.api.exchange::<Value>(|api| {
            api.call(OP, Method::Post, &["upload_sessions", &open.id, "finish"]).answer_within(PATIENCE)
        });
        let answer = asked.await?;
        if let Ok(session) = serde_json::from_value::<SessionDto>(answer)
            && session.status() == Status::Open
        {
            let error = Error::new(Kind::Protocol, OP, "the wiki ends the upload, and leaves it open");
            return Err(error.retry(Retry::AskFirst).into());
        }
        Ok(())
    }

    /// An empty file of one empty part, where it does not go without.
    async fn end_with_empty_part(&self, open: &Open) -> Result<(), Trouble> {
        self.send(&open.id, 1, &Payload::from_bytes(Default::default(), 0)).await?;
        self.ask_end(open).await
    }

    /// The wiki takes no empty files. From now on this is known, and they stay local.
    fn no_empty_files(&self, refusal: &Refusal) -> Error {
        self.set_empty_files(EmptyFiles::Refused);
        let what = format!("the wiki takes no empty files, they stay local: {}", refusal.message);
        Error::new(Kind::Unsupported, OP, what)
    }

    /// Makes the session a file of the page.
    async fn attach(&self, spec: &Spec, open: &Open) -> Result<Node> {
        if self.doubts.is_noted(&open.id)
            && let Some(node) = self.look(spec, open).await?
        {
            // It was attached, whatever its session says.
            return Ok(node);
        }
        let before = self.asked.get(&open.id).unwrap_or(0);
        self.asked.put(&open.id, before + 1);
        let asked = self.api.exchange::<ResultsDto<AttachmentDto>>(|api| {
            let body = json!({"upload_sessions": [open.id]});
            api.call(OP, Method::Post, &["pages", &open.page, "attachments"]).json(&body).answer_within(PATIENCE)
        });
        let refused = match asked.await {
            Ok(attached) => {
                let Some(file) = attached.results.into_iter().next() else {
                    self.doubts.note(&open.id);
                    let error = Error::new(Kind::Protocol, OP, "the wiki attaches the file, and does not show it");
                    return Err(error.retry(Retry::AskFirst));
                };
                return self.accept(open, file).await;
            }
            Err(Trouble::Refused(refusal)) if refusal.is_definite() => refusal,
            Err(trouble) => {
                let error = trouble.into_error(OP);
                return Err(if error.in_doubt() { self.look_again(open, error) } else { error });
            }
        };
        match self.session(&open.id).await?.map(|session| session.status()) {
            Some(Status::Finished) if refused.status == 404 => {
                let error = Error::new(Kind::NotFound, OP, "the page was removed meanwhile");
                self.give_up(open).await;
                Err(error)
            }
            Some(Status::Finished) => Err(refused.into_error(OP)),
            // An earlier attempt may have been heard, and its session cleaned up.
            _ => match self.look(spec, open).await? {
                Some(node) => Ok(node),
                None => Err(refused.into_error(OP).kind(Kind::NotFound)),
            },
        }
    }

    /// Makes sure that a file is what was sent, removes what it replaces, and takes it into what is known. What is not what
    /// was sent is removed, where it is certain whose it is.
    pub(super) async fn accept(&self, open: &Open, file: AttachmentDto) -> Result<Node> {
        self.index.file_there(&open.page, file.clone());
        if file.name != open.name {
            let what = format!("the wiki stores the file as {:?}", file.name);
            return Err(self.take_back(open, &file, Error::new(Kind::BadName, OP, what)).await);
        }
        let (file, size) = self.await_check(open, file).await.map_err(|error| self.look_again(open, error))?;
        if file.check() == Check::Bad {
            let what = format!("the wiki's antivirus does not let the file through: {}", file.verdict());
            return Err(self.take_back(open, &file, Error::new(Kind::Corrupt, OP, what)).await);
        }
        let is_right = size.map_or_else(|| file.may_have(open.size), |size| size == open.size);
        if !is_right {
            let has = size.map_or_else(|| "another size".to_owned(), |size| format!("{size} bytes"));
            let what = format!("the wiki has {has} of {} bytes", open.size);
            return Err(self.take_back(open, &file, Error::new(Kind::Corrupt, OP, what)).await);
        }
        self.downloads.note_size(&file.id, open.size);
        match (&open.replaces, file.check()) {
            (Some(_), Check::Pending) => {
                tracing::warn!(
                    name = open.name,
                    "the antivirus has not come to an end; the old file stays beside the new one"
                );
            }
            (Some(old), _) => self.remove_replaced(open, old).await?,
            (None, _) => {}
        }
        self.doubts.settled(&open.id);
        self.begun.forget(&open.id);
        self.asked.forget(&open.id);
        self.made.put(&file.id, open.id.clone());
        if open.size == 0 && self.empty_files() != EmptyFiles::TakenWithPart {
            self.set_empty_files(EmptyFiles::Taken);
        }
        Ok(self.node_of(&open.page, &file, &open.name, open.size))
    }

    /// Waits for the antivirus, where the old file depends on its word, or the size of the new one. The file as it is then,
    /// and its size, where that is known.
    async fn await_check(&self, open: &Open, mut file: AttachmentDto) -> Result<(AttachmentDto, Option<u64>)> {
        let mut waits = CHECK_WAITS.iter();
        loop {
            let size = match self.exact_size(OP, &open.page, &file).await {
                // The file is there, whatever is wrong with its download.
                Err(error) if error.retry == Retry::Never => None,
                size => size?,
            };
            let is_enough = file.check() != Check::Pending || (size.is_some() && open.replaces.is_none());
            let Some(wait) = waits.next().filter(|_| !is_enough) else { return Ok((file, size)) };
            tokio::time::sleep(*wait).await;
            let files = self.ask_files(OP, &open.page).await?;
            if let Some(now) = files.into_iter().find(|other| other.id == file.id) {
                file = now;
            }
        }
    }

    async fn remove_replaced(&self, open: &Open, old: &str) -> Result<()> {
        match self.delete_file(OP, &open.page, old).await {
            Err(error) if error.kind == Kind::NotFound => Ok(()),
            // Somebody is changing something else there.
            Err(error) if error.kind == Kind::Busy => Err(self.look_again(open, error.retry(AGAIN))),
            // About the account: another token may remove it.
            Err(error) if error.kind == Kind::SignedOut => Err(self.look_again(open, error.retry(AGAIN))),
            Err(error) if error.retry == Retry::Never => {
                tracing::warn!(%error, name = open.name, "the new file is there; the old one stays beside it");
                Ok(())
            }
            removed => removed.map_err(|error| self.look_again(open, error)),
        }
    }

    /// Removes a file that is not what was sent; the old one stays.
    async fn take_back(&self, open: &Open, file: &AttachmentDto, error: Error) -> Error {
        match self.delete_file(OP, &open.page, &file.id).await {
            Err(failed) if failed.kind != Kind::NotFound => {
                tracing::warn!(error = %failed, name = open.name, "the wiki keeps a file that is not what was sent");
            }
            _ => {}
        }
        error
    }

    /// The file may be there: whoever hears this asks again before anything is sent.
    fn look_again(&self, open: &Open, error: Error) -> Error {
        self.doubts.note(&open.id);
        match error.retry {
            Retry::Never => error,
            Retry::After(_) | Retry::AskFirst => error.retry(Retry::AskFirst),
        }
    }

    /// Uploads in one go, part after part.
    pub(super) async fn upload_all(&self, spec: &Spec, payload: &Payload) -> Result<Node> {
        let begun = self.begin_session(spec).await?;
        let sent = self.send_all(spec, &begun.token, payload).await;
        if sent.is_err() {
            // Also in doubt: what has not become a file by now shall not become one later.
            self.give_up(&read(&begun.token)?).await;
        }
        sent
    }

    async fn send_all(&self, spec: &Spec, token: &SessionToken, payload: &Payload) -> Result<Node> {
        let (mut index, mut at, end) = (0, payload.range().start, payload.range().end);
        while at < end {
            let to = end.min(at + self.part_bytes);
            let part = Part { index, payload: payload.slice(at..to), last: to == end };
            self.put_part_again(token, &part).await?;
            (index, at) = (index + 1, to);
        }
        match self.finish_session(spec, token).await {
            Err(error) if error.in_doubt() => self.settle(spec, token, error).await,
            finished => finished,
        }
    }

    /// Sends a part until it is there, where nobody else would.
    async fn put_part_again(&self, token: &SessionToken, part: &Part) -> Result<Receipt> {
        for wait in WAITS {
            match self.put_part(token, part).await {
                Err(Error { retry: Retry::After(asked), .. }) => tokio::time::sleep(wait.max(asked)).await,
                put => return put,
            }
        }
        self.put_part(token, part).await
    }

    /// Gives a session up. One that the wiki does not hear of is given up with the next upload.
    pub(super) async fn abort_session(&self, token: &SessionToken) -> Result<()> {
        let aborted = self.ask_abort(&token.id).await;
        match &aborted {
            Ok(()) => self.left.forget(&token.id),
            Err(_) => self.left.put(&token.id, ()),
        }
        aborted
    }

    /// Gives up what could not be given up before. The wiki has answered a moment ago.
    async fn give_up_left(&self) {
        let mut is_heard = true;
        for session in self.left.take_names() {
            let token = SessionToken { id: session, state: Value::Null };
            is_heard = is_heard && self.abort_session(&token).await.is_ok();
            if !is_heard {
                self.left.put(&token.id, ());
            }
        }
    }

    async fn ask_abort(&self, session: &str) -> Result<()> {
        let asked = self
            .api
            .exchange::<Value>(|api| api.call(OP, Method::Post, &["upload_sessions", session, "abort"]).repeatable());
        match asked.await {
            // Used, given up, or gone: there is nothing left of it.
            Err(Trouble::Refused(refusal)) if refusal.is_about_state() => {}
            asked => drop(asked.map_err(|trouble| trouble.into_error(OP))?),
        }
        self.begun.forget(session);
        Ok(())
    }

    pub(super) async fn give_up(&self, open: &Open) {
        let token = SessionToken { id: open.id.clone(), state: Value::Null };
        let mut waits = WAITS.iter();
        while let Err(error) = self.abort_session(&token).await {
            match waits.next().filter(|_| error.retry != Retry::Never) {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return tracing::warn!(%error, "an abandoned upload session is left to the wiki"),
            }
        }
    }
}

/// The session of a token.
pub(super) fn read(token: &SessionToken) -> Result<Open> {
    let unreadable = |error: serde_json::Error| Error::new(Kind::Invalid, OP, format!("not a session: {error}"));
    serde_json::from_value(token.state.clone()).map_err(unreadable)
}

pub(super) fn receipt(index: u32, range: std::ops::Range<u64>) -> Receipt {
    Receipt { index, range, state: Value::Null }
}

pub(super) fn is_page(op: &'static str, path: &RemotePath) -> Error {
    Error::new(Kind::IsDirectory, op, format!("{path} is a page, which is a directory here"))
}
