//! Receives requests: who asks, may they, and what do they ask. What is done is in the modules of the dialects.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri, header};
use axum::response::Response;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::auth::{self, Credential, FolderClaim};
use super::calls::{Action, Call, Dialect, route};
use super::cloud::{Cloud, Made};
use super::config::{Account, YandexCloudConfig};
use super::dto;
use super::errors::{Code, Failure};
use super::file::File;
use super::intake::impatient;
use super::settings::Settings;
use crate::portal::core::{Core, Protocol};
use crate::portal::faults::Injection;
use crate::portal::faults::apply::Injections;
use crate::portal::serve::drain;
use crate::portal::state::{FileState, ServiceState};
use crate::portal::storage::Stored;
use crate::portal::store::Records;
use crate::portal::uuid::uuid;

/// The most bytes of a body that is not a file.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Headers that the support asks for.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_ID: HeaderName = HeaderName::from_static("x-server-trace-id");

/// In the extensions of an answer to a create: a client that does not get it cannot know whether there is a file.
#[derive(Clone, Debug)]
pub(super) struct Doubt(pub(super) Made);

/// The folder as the server in front of it sees it.
pub(in super::super) struct YandexCloud(Arc<Server>);

/// The folder as its calls see it.
pub(super) struct Server {
    pub(super) core: Arc<Core>,
    pub(super) config: YandexCloudConfig,
    settings: Mutex<Settings>,
    cloud: Mutex<Cloud>,
}

/// A request that was looked at, and may be answered.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) account: Account,
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) now: OffsetDateTime,
    pub(super) injections: Injections,
}

impl Asked {
    /// A parameter of the query, `None` for an empty one, too.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.parts.uri.query().unwrap_or_default().as_bytes());
        pairs.filter(|(own, value)| own == name && !value.is_empty()).last().map(|(_, value)| value.into_owned())
    }

    /// A header's value, where it is text.
    pub(super) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A fault: somebody else is changing what this request wants to change.
    pub(super) fn check_unlocked(&self) -> Result<(), Failure> {
        if self.injections.has(Injection::Locked) { Err(Failure::aborted()) } else { Ok(()) }
    }
}

impl YandexCloud {
    /// A folder on what the store has.
    pub(in super::super) fn open(core: Arc<Core>, config: YandexCloudConfig, records: Records) -> io::Result<Self> {
        let cloud = Cloud::load(records)?;
        core.store.sweep(&cloud.journal.held())?;
        let (settings, cloud) = (Mutex::new(config.settings.clone()), Mutex::new(cloud));
        Ok(YandexCloud(Arc::new(Server { core, config, settings, cloud })))
    }
}

#[async_trait]
impl Protocol for YandexCloud {
    fn kind(&self, method: &Method, uri: &Uri) -> &'static str {
        route(method, uri.path()).kind()
    }

    async fn answer(&self, request: Request<Body>) -> Response {
        self.0.answer(request).await
    }

    fn answer_lost(&self, extensions: &Extensions) {
        if let Some(Doubt(made)) = extensions.get() {
            self.0.cloud().doubts.insert(made.clone());
        }
    }

    /// Nobody knows what was in it.
    fn request_lost(&self, _method: &Method, _uri: &Uri) {}

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
    pub(super) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a broken rule of the request's kind.
    pub(super) fn violation(&self, asked: &Asked, what: impl Into<String>) {
        self.core.violations.record(asked.call.kind(), what);
    }

    /// Changes the memory, and waits until the disk has the change, too.
    pub(super) async fn change<T>(&self, work: impl FnOnce(&mut Cloud) -> T) -> io::Result<T> {
        let (answer, arrived, receipt) = {
            let mut cloud = self.cloud();
            let answer = work(&mut cloud);
            let arrived = std::mem::take(&mut cloud.arrived);
            let (changes, garbage) = cloud.journal.take();
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

    async fn answer(&self, request: Request<Body>) -> Response {
        let (parts, body) = request.into_parts();
        let (call, settings) = (route(&parts.method, parts.uri.path()), self.settings());
        let (kind, dialect, shape) = (call.kind(), call.dialect, settings.openai_errors);
        let idle = std::time::Duration::from_millis(settings.body_idle_ms);
        let body = impatient(body, idle);
        let answered = match self.look(call, parts, settings).await {
            Ok(asked) => self.dispatch(&asked, body).await,
            Err(failure) => {
                drain(body).await;
                Err(failure)
            }
        };
        let request_id = uuid();
        let mut answer = answered.unwrap_or_else(|failure| {
            if let Some(what) = failure.clients_fault() {
                self.core.violations.record(kind, what);
            }
            failure.answer(dialect, shape, &request_id)
        });
        for (name, id) in [(REQUEST_ID, request_id), (TRACE_ID, uuid())] {
            answer.headers_mut().insert(name, HeaderValue::try_from(id).expect("an id is plain text"));
        }
        answer
    }

    /// Finds out who asks, and whether they may.
    async fn look(&self, call: Call, parts: Parts, settings: Settings) -> Result<Asked, Failure> {
        let now = self.core.clock.now();
        self.change(|cloud| cloud.expire(now)).await?;
        let injections = parts.extensions.get::<Injections>().cloned().unwrap_or_default();
        let credential = auth::credential(&parts.headers).ok_or_else(Failure::unauthenticated)?;
        let bearer_keys = call.dialect == Dialect::Openai || settings.bearer_api_key;
        let owner = auth::owner(&credential, &self.config.accounts, bearer_keys);
        let owner = owner.ok_or_else(Failure::unauthenticated)?;
        if injections.has(Injection::ExpiredToken) {
            self.change(|cloud| cloud.revoke(credential.text())).await?;
        }
        if !self.is_good(&credential, owner.is_iam, &settings, now).await? {
            return Err(Failure::unauthenticated());
        }
        if !owner.account.has_role {
            return Err(Failure::said(Code::PermissionDenied, "Permission denied"));
        }
        match call.action {
            Action::Unknown => {
                self.core
                    .violations
                    .record(call.kind(), format!("no such address: {} {}", parts.method, parts.uri.path()));
                return Err(Failure::said(Code::NotFound, "Not Found"));
            }
            Action::WrongMethod => return Err(Failure::said(Code::Unimplemented, "Method Not Allowed")),
            _ => {}
        }
        if call.dialect == Dialect::Openai {
            let named = auth::named_folder(&parts.headers);
            let claim = FolderClaim { dialect: call.dialect, named, is_required: settings.openai_wants_folder };
            auth::check_folder(owner.account, &claim, &self.config.folder)?;
        }
        Ok(Asked { call, account: owner.account.clone(), parts, settings, now, injections })
    }

    /// Whether a credential that was given to somebody is still good.
    async fn is_good(
        &self,
        credential: &Credential,
        is_iam: bool,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        if self.cloud().revoked.contains(credential.text()) {
            return Ok(false);
        }
        if !is_iam {
            return Ok(true);
        }
        let life = Duration::seconds(i64::try_from(settings.iam_life_s).unwrap_or(i64::MAX));
        let first_use = self.change(|cloud| cloud.first_use(credential.text(), now)).await?;
        Ok(now - first_use < life)
    }

    async fn dispatch(&self, asked: &Asked, body: Body) -> Result<Response, Failure> {
        let dialect = asked.call.dialect;
        match &asked.call.action {
            Action::Create if dialect == Dialect::Native => return self.create(asked, body).await,
            Action::Create => return self.create_of_form(asked, body).await,
            Action::Update(id) => return self.update(asked, id, body).await,
            _ => drain(body).await,
        }
        match &asked.call.action {
            Action::List if dialect == Dialect::Native => self.list(asked),
            Action::List => self.openai_list(asked),
            Action::Get(id) => self.get(asked, id),
            Action::GetUrl => self.get_url(asked),
            Action::Delete(id) => self.delete(asked, id).await,
            Action::Content(id) => self.content(asked, id),
            other => unreachable!("{other:?} is not answered here"),
        }
    }

    /// A body of JSON that is not a file.
    pub(super) async fn json(&self, asked: &Asked, body: Body) -> Result<Vec<u8>, Failure> {
        self.check_json(asked);
        let bytes = axum::body::to_bytes(body, JSON_BYTES_MAX).await.map_err(|_| Failure::cut())?;
        Ok(bytes.to_vec())
    }

    /// JSON should say that it is JSON.
    pub(super) fn check_json(&self, asked: &Asked) {
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        if !content_type.starts_with("application/json") {
            self.violation(asked, format!("JSON with the content type {content_type:?}"));
        }
    }

    fn stored(&self, key: &str) -> Option<Stored> {
        let now = self.core.clock.now();
        let cloud = self.cloud();
        let file = cloud.files.get(key).filter(|file| file.expires_at.is_none_or(|end| now < end))?;
        Some(Stored {
            content: file.content.clone(),
            mime: file.mime.clone(),
            md5: Some(file.md5.clone()),
            modified: Some(file.created_at),
        })
    }

    fn state(&self) -> ServiceState {
        let now = self.core.clock.now();
        let mut cloud = self.cloud();
        cloud.expire(now);
        let file = |file: &File| {
            let bytes = file.content.bytes();
            let state = FileState {
                path: format!("/{}", file.name),
                id: file.id.clone(),
                bytes,
                stored_bytes: bytes,
                versions: 1,
                twins: 1,
                updated: file.updated_at,
                sha256: String::new(),
                notes: notes(file),
            };
            (state, file.content.clone())
        };
        let mut files: Vec<&File> = cloud.files.values().collect();
        files.sort_by_key(|file| file.created_at);
        ServiceState {
            service: "yandex-cloud".to_owned(),
            files: files.into_iter().map(file).collect(),
            ..ServiceState::default()
        }
    }
}

/// What else there is to know about a file.
fn notes(file: &File) -> Value {
    json!({
        "dialect": file.dialect,
        "mime": file.mime,
        "labels": file.labels,
        "created": dto::date(file.created_at),
        "expires": file.expires_at.map(dto::date),
        "life": file.life,
        "md5": file.md5,
    })
}
