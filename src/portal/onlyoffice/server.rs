//! Receives requests: who asks, may they, what do they ask, and in which envelope does the answer go. What is done is in
//! the modules of the calls.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Extensions, Method, Request, Uri, header};
use axum::response::Response;
use serde_json::Value;
use time::OffsetDateTime;

use super::auth::{Proof, Who, identify, proof};
use super::calls::{Call, FolderName, Step, route};
use super::config::{Account, OnlyofficeConfig, Settings};
use super::dto::View;
use super::envelope::{self, Reply, Style};
use super::errors::{Failure, Message};
use super::fields::Fields;
use super::generation::Version;
use super::limits::{Limiter, WRITES_AT_ONCE};
use super::office::Office;
use super::session::Session;
use super::tree::File;
use super::uploads::Doubt;
use crate::portal::core::{Core, Protocol};
use crate::portal::faults::Injection;
use crate::portal::faults::apply::Injections;
use crate::portal::state::{FileState, ServiceState, SessionState};
use crate::portal::storage::Stored;
use crate::portal::store::Records;

/// The most bytes of a body that is not a file.
const FIELDS_BYTES_MAX: usize = 1 << 20;

/// The portal as the server in front of it sees it.
pub(in super::super) struct Onlyoffice(Arc<Server>);

/// The portal as its calls see it.
pub(super) struct Server {
    pub(super) core: Arc<Core>,
    pub(super) version: Version,
    pub(super) accounts: Vec<Account>,
    settings: Mutex<Settings>,
    office: Mutex<Office>,
    limiter: Limiter,
}

/// A request that was looked at.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) who: Who,
    pub(super) query: Fields,
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) now: OffsetDateTime,
    pub(super) base: String,
    pub(super) injections: Injections,
    proof: Proof,
    version: Version,
    may_write: bool,
}

impl Asked {
    pub(super) fn style(&self) -> Style {
        Style {
            family: self.version.family(),
            language: self.settings.language,
            method: self.parts.method.clone(),
            href: format!("{}{}", self.base, self.parts.uri.path()),
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View { version: self.version, settings: &self.settings, base: &self.base, may_write: self.may_write }
    }

    /// The user's name; strangers have none.
    pub(super) fn user(&self) -> &str {
        self.who.name().unwrap_or_default()
    }

    /// What came with the request to prove who asks.
    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    pub(super) fn may_write(&self) -> bool {
        self.may_write
    }

    /// A header's value, where it is text.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Onlyoffice {
    /// A portal on what the store has.
    pub(in super::super) fn open(core: Arc<Core>, config: OnlyofficeConfig, records: Records) -> io::Result<Self> {
        let now = core.clock.now();
        let mut office = Office::load(config.version, &config.settings, records, now)?;
        core.store.sweep(&office.journal.held())?;
        office.tree.keep_sections(&mut office.journal);
        let (changes, garbage) = office.journal.take();
        // Nobody waits: what a start changes, the next start would change again.
        drop(core.store.submit(changes, garbage));
        Ok(Onlyoffice(Arc::new(Server {
            core,
            version: config.version,
            accounts: config.accounts,
            settings: Mutex::new(config.settings),
            office: Mutex::new(office),
            limiter: Limiter::default(),
        })))
    }
}

#[async_trait]
impl Protocol for Onlyoffice {
    fn kind(&self, method: &Method, uri: &Uri) -> &'static str {
        route(self.0.version, method, uri.path(), uri.query().unwrap_or_default()).kind()
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        self.0.answer(request).await
    }

    fn answer_lost(&self, extensions: &Extensions) {
        if let Some(Doubt(session)) = extensions.get() {
            self.0.doubt(session);
        }
    }

    fn request_lost(&self, method: &Method, uri: &Uri) {
        let query = uri.query().unwrap_or_default();
        match route(self.0.version, method, uri.path(), query) {
            Call::Handler(Some(Step::Plain)) => {
                self.0.doubt(Fields::of_query(query).text("uid").unwrap_or_default());
            }
            Call::Step { session, step: Step::Plain } => self.0.doubt(&session),
            _ => {}
        }
    }

    fn stored(&self, key: &str) -> Option<Stored> {
        self.0.stored(key)
    }

    fn state(&self) -> ServiceState {
        self.0.state()
    }

    fn settings(&self) -> Value {
        serde_json::to_value(self.0.settings()).expect("settings are made of what JSON has")
    }

    fn set(&self, changes: &Value) -> Result<(), String> {
        let mut settings = self.0.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *settings = settings.with(changes)?;
        Ok(())
    }
}

impl Server {
    pub(super) fn office(&self) -> MutexGuard<'_, Office> {
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client of a session cannot know what became of its last chunk without a number.
    fn doubt(&self, session: &str) {
        if let Some(session) = self.office().sessions.get_mut(session) {
            session.in_doubt = true;
        }
    }

    /// Notes a broken rule of the request's kind.
    pub(super) fn violation(&self, asked: &Asked, what: impl Into<String>) {
        self.core.violations.record(asked.call.kind(), what);
    }

    /// Changes the memory, and waits until the disk has the change, too.
    pub(super) async fn change<T>(&self, work: impl FnOnce(&mut Office) -> T) -> io::Result<T> {
        let (answer, arrived, receipt) = {
            let mut office = self.office();
            let answer = work(&mut office);
            let arrived = std::mem::take(&mut office.arrived);
            let (changes, garbage) = office.journal.take();
            if changes.is_empty() && garbage.is_empty() {
                return Ok(answer);
            }
            // Under the lock, so that the disk has the changes in the order of the memory.
            (answer, arrived, self.core.store.submit(changes, garbage))
        };
        receipt.await?;
        self.core.arrivals.tell(arrived);
        Ok(answer)
    }

    async fn answer(self: &Arc<Self>, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let asked = match self.look(parts).await {
            Ok(asked) => asked,
            Err(error) => return envelope::plain(500, &error.to_string()),
        };
        let limit = asked.settings.rate_limit.filter(|_| !self.version.is_community());
        let user = asked.user();
        let permit = match self.limiter.enter(user, &asked.parts.method, limit.as_ref(), asked.now) {
            Ok(permit) => permit,
            Err(failure) => return envelope::failure(&asked.style(), &failure),
        };
        if permit.writes > WRITES_AT_ONCE {
            self.violation(&asked, format!("{} writing requests at once, more than {WRITES_AT_ONCE}", permit.writes));
        }
        let length = asked.header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > asked.settings.request_bytes_max) {
            self.violation(&asked, format!("a request of {length:?} bytes"));
            return envelope::failure(&asked.style(), &Failure::RequestTooLarge);
        }
        self.dispatch(&asked, body).await
    }

    async fn dispatch(self: &Arc<Self>, asked: &Asked, body: Body) -> Response {
        match &asked.call {
            Call::Handler(_) | Call::HandlerInitiate => self.upload_handler(asked, body).await,
            _ if !asked.settings.paid => envelope::failure(&asked.style(), &Failure::Unpaid),
            Call::Download => self.download(asked),
            _ => match self.api(asked, body).await {
                Ok(answer) => answer,
                Err(failure) => envelope::failure(&asked.style(), &failure),
            },
        }
    }

    /// Finds out who asks for what.
    async fn look(&self, parts: Parts) -> io::Result<Asked> {
        let query_text = parts.uri.query().unwrap_or_default();
        let call = route(self.version, &parts.method, parts.uri.path(), query_text);
        let query = Fields::of_query(query_text);
        let (proof, wrong) = proof(self.version, &parts.headers, &query);
        if let Some(wrong) = wrong {
            self.core.violations.record(call.kind(), wrong);
        }
        let injections = parts.extensions.get::<Injections>().cloned().unwrap_or_default();
        let now = self.core.clock.now();
        let who = if injections.has(Injection::ExpiredToken) {
            self.forget(&proof).await?;
            Who::Stranger
        } else {
            let office = self.office();
            identify(&proof, &self.accounts, |token| office.tokens.get(token).cloned(), now)
        };
        let account = who.name().and_then(|name| self.accounts.iter().find(|account| account.email == name));
        let may_write = account.is_some_and(|account| account.may_write);
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let base = format!("http://{host}");
        let (settings, version) = (self.settings(), self.version);
        Ok(Asked { call, who, query, parts, settings, now, base, injections, proof, version, may_write })
    }

    /// A token is not valid any more.
    async fn forget(&self, proof: &Proof) -> io::Result<()> {
        match proof {
            Proof::Token(token) => self.change(|office| office.revoke_token(token)).await,
            _ => Ok(()),
        }
    }

    /// A call of the API.
    async fn api(self: &Arc<Self>, asked: &Asked, body: Body) -> Result<Response, Failure> {
        if let Some(reply) = self.admit(asked)? {
            return Ok(envelope::success(&asked.style(), reply));
        }
        match &asked.call {
            Call::Step { session, step } => self.step_call(asked, session, step, body).await,
            Call::UploadWhole(folder) => self.upload_whole(asked, folder, body).await,
            Call::UpdateFile(file) => self.update_file(asked, *file, body).await,
            _ => {
                let fields = self.fields(asked, body).await?;
                let reply = self.call(asked, &fields).await?;
                Ok(envelope::success(&asked.style(), reply))
            }
        }
    }

    /// Lets somebody in, or answers at once.
    fn admit(&self, asked: &Asked) -> Result<Option<Reply>, Failure> {
        if let Who::User { scopes: Some(scopes), .. } = &asked.who {
            let wanted = scope(asked);
            if !scopes.iter().any(|scope| scope == "*" || scope == wanted) {
                return Err(Failure::Scope);
            }
        }
        if asked.call == Call::Unknown {
            self.violation(asked, format!("no such address: {} {}", asked.parts.method, asked.parts.uri.path()));
            return Err(Failure::NoSuchCall);
        }
        if asked.who != Who::Stranger {
            return Ok(None);
        }
        let strangers = self.version.lets_strangers_in();
        match &asked.call {
            Call::Version | Call::Settings | Call::SignIn | Call::SecondFactor(_) => Ok(None),
            // The method itself is reached, and finds that nobody may create here.
            Call::CreateSession { .. } | Call::EditSession(_) if self.version.is_community() => {
                Err(Failure::Security(Message::NoCreate))
            }
            Call::FolderInfo(_) if self.version.folder_info_wants_sign_in() => Err(Failure::Challenge),
            Call::List(FolderName::Id(_))
            | Call::FolderInfo(_)
            | Call::FileInfo(_)
            | Call::History(_)
            | Call::RenameFile(_)
                if strangers =>
            {
                Err(Failure::Security(Message::NoView))
            }
            Call::Operations if strangers => Ok(Some(Reply::of(Value::Array(Vec::new())))),
            _ => Err(Failure::Challenge),
        }
    }

    /// The fields of a body that is not a file, over those of the query.
    async fn fields(&self, asked: &Asked, body: Body) -> Result<Fields, Failure> {
        let bytes = axum::body::to_bytes(body, FIELDS_BYTES_MAX).await.map_err(|_| Failure::RequestTooLarge)?;
        if bytes.is_empty() {
            return Ok(asked.query.clone());
        }
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default().to_lowercase();
        let fields = if content_type.starts_with("application/x-www-form-urlencoded") {
            Some(Fields::of_query(&String::from_utf8_lossy(&bytes)))
        } else {
            Fields::of_json(&bytes)
        };
        let fields =
            fields.ok_or(Failure::Validation { field: "$", reason: "The JSON value could not be converted." })?;
        // DocSpace binds a body or a query, never a mixture.
        Ok(if self.version.is_community() { fields.over(asked.query.clone()) } else { fields })
    }

    fn state(&self) -> ServiceState {
        let (storage, now) = (self.settings().storage, self.core.clock.now());
        let mut office = self.office();
        office.lose_expired(storage, now);
        let file = |file: &File| {
            let current = file.current();
            let state = FileState {
                path: format!("{}/{}", office.tree.path_text(file.folder), file.title),
                id: file.id.to_string(),
                bytes: current.bytes,
                stored_bytes: current.content.bytes(),
                versions: file.revisions.len(),
                twins: 1,
                updated: current.updated,
                sha256: String::new(),
                notes: Value::Null,
            };
            (state, current.content.clone())
        };
        let session = |session: &Session| SessionState {
            id: session.id.clone(),
            title: session.title.clone(),
            bytes_total: session.total,
            bytes_held: session.held_bytes(),
            commits: session.commits,
            abandoned: session.abandoned,
            status: None,
        };
        let mut folders: Vec<String> = office
            .tree
            .folders()
            .filter(|folder| folder.parent != 0)
            .map(|folder| office.tree.path_text(folder.id))
            .collect();
        folders.sort();
        ServiceState {
            service: format!("onlyoffice {}", self.version),
            files: office.tree.files().map(file).collect(),
            folders,
            sessions: office.sessions.values().map(session).collect(),
            leaked_bytes: office.leaked_bytes(),
        }
    }
}

/// The scope that an API key needs for a request.
fn scope(asked: &Asked) -> &'static str {
    match (&asked.call, asked.parts.method == Method::GET) {
        (Call::Rooms, true) => "rooms:read",
        (_, true) => "files:read",
        (_, false) => "files:write",
    }
}
