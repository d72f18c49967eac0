//! Receives requests: who asks, may they, and what do they ask. What is done is in the modules of the calls.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::Response;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::attachments::Attachment;
use super::auth::{self, Token};
use super::calls::{self, Call, route};
use super::config::{Account, YandexWikiConfig};
use super::dto;
use super::errors::{Failure, json_of};
use super::fields::Fields;
use super::rate::Limiter;
use super::session::Session;
use super::sessions::Moment;
use super::settings::Settings;
use super::slugs;
use super::uploads::Doubt;
use super::wiki::Wiki;
use crate::portal::core::{Core, Protocol};
use crate::portal::faults::Injection;
use crate::portal::faults::apply::Injections;
use crate::portal::serve::drain;
use crate::portal::state::{FileState, ServiceState, SessionState};
use crate::portal::storage::Stored;
use crate::portal::store::Records;

/// The most bytes of a body of JSON; the content of a page is in one.
const JSON_BYTES_MAX: usize = 10 << 20;

/// The wiki as the server in front of it sees it.
pub(in super::super) struct YandexWiki(Arc<Server>);

/// The wiki as its calls see it.
pub(super) struct Server {
    pub(super) core: Arc<Core>,
    pub(super) config: YandexWikiConfig,
    settings: Mutex<Settings>,
    wiki: Mutex<Wiki>,
    limiter: Limiter,
}

/// A request that was looked at, and may be answered.
pub(super) struct Asked {
    pub(super) call: Call,
    pub(super) user: Account,
    pub(super) query: Fields,
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) now: OffsetDateTime,
    pub(super) injections: Injections,
}

impl Asked {
    pub(super) fn moment(&self) -> Moment<'_> {
        let quota_is_used_up = self.injections.has(Injection::Quota);
        Moment { settings: &self.settings, user: &self.user.login, now: self.now, quota_is_used_up }
    }

    /// The slug that `given` becomes.
    pub(super) fn slug(&self, given: &str) -> Option<String> {
        slugs::normalised(given, self.settings.slugs)
    }

    /// Whether pages may be changed at this slug.
    pub(super) fn check_writable(&self, slug: &str) -> Result<(), Failure> {
        let covers = |above: &String| slug == above || slugs::is_below(slug, above);
        match self.settings.read_only_slugs.iter().any(covers) {
            true => Err(Failure::forbidden("You have no rights to edit this page")),
            false => Ok(()),
        }
    }

    /// A fault: somebody else is changing what this request wants to change.
    pub(super) fn check_blocked(&self, code: &'static str) -> Result<(), Failure> {
        match self.injections.has(Injection::Locked) {
            true => Err(Failure::conflict(code, "Somebody else is changing this")),
            false => Ok(()),
        }
    }

    /// A header's value, where it is text.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl YandexWiki {
    /// A wiki on what the store has; a new one has the page to mount and the personal areas.
    pub(in super::super) fn open(core: Arc<Core>, config: YandexWikiConfig, records: Records) -> io::Result<Self> {
        let now = core.clock.now();
        let mut wiki = Wiki::load(records)?;
        core.store.sweep(&wiki.journal.held())?;
        if wiki.is_new() {
            let owner = config.accounts.first().map_or("", |account| account.login.as_str());
            wiki.make_page(&config.root_slug, &config.root_slug, owner, now);
            for account in &config.accounts {
                wiki.make_page(&format!("users/{}", account.login), &account.login, &account.login, now);
            }
        }
        wiki.perform_interrupted();
        let (changes, garbage) = wiki.journal.take();
        // Nobody waits: what a start changes, the next start would change again.
        drop(core.store.submit(changes, garbage));
        let (settings, wiki) = (Mutex::new(config.settings.clone()), Mutex::new(wiki));
        Ok(YandexWiki(Arc::new(Server { core, config, settings, wiki, limiter: Limiter::default() })))
    }
}

#[async_trait]
impl Protocol for YandexWiki {
    fn kind(&self, method: &Method, uri: &Uri) -> &'static str {
        self.0.route(method, uri).kind()
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
        if let Call::Finish(session) = self.0.route(method, uri) {
            self.0.doubt(&session);
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
    pub(super) fn wiki(&self) -> MutexGuard<'_, Wiki> {
        self.wiki.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn route(&self, method: &Method, uri: &Uri) -> Call {
        route(&self.config.base_path, method, uri.path())
    }

    /// The client of a session cannot know whether it is finished.
    fn doubt(&self, session: &str) {
        if let Some(session) = self.wiki().sessions.get_mut(session) {
            session.in_doubt = true;
        }
    }

    /// Notes a broken rule of the request's kind.
    pub(super) fn violation(&self, asked: &Asked, what: impl Into<String>) {
        self.core.violations.record(asked.call.kind(), what);
    }

    /// Changes the memory, and waits until the disk has the change, too.
    pub(super) async fn change<T>(&self, work: impl FnOnce(&mut Wiki) -> T) -> io::Result<T> {
        let (answer, arrived, receipt) = {
            let mut wiki = self.wiki();
            let answer = work(&mut wiki);
            let arrived = std::mem::take(&mut wiki.arrived);
            let (changes, garbage) = wiki.journal.take();
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
        let (call, settings) = (self.route(&parts.method, &parts.uri), self.settings());
        if call == Call::Openapi {
            return json_of(200, &calls::openapi(&self.config.base_path));
        }
        let (kind, shape) = (call.kind(), settings.error_shape);
        let answered = match self.look(call, parts, settings).await {
            Ok(asked) => self.dispatch(&asked, body).await,
            Err(failure) => {
                drain(body).await;
                Err(failure)
            }
        };
        answered.unwrap_or_else(|failure| {
            if let Some(what) = failure.clients_fault() {
                self.core.violations.record(kind, what);
            }
            failure.answer(shape)
        })
    }

    /// Finds out who asks, and whether they may.
    async fn look(&self, call: Call, parts: Parts, settings: Settings) -> Result<Asked, Failure> {
        let now = self.core.clock.now();
        let life_s = settings.session_life_s;
        self.change(|wiki| wiki.clean_up(life_s, now)).await?;
        let injections = parts.extensions.get::<Injections>().cloned().unwrap_or_default();
        let method = parts.method.as_str();
        if auth::organisation_count(&parts.headers) > 1 {
            self.core.violations.record(call.kind(), "two headers name an organisation");
        }
        let token = auth::token(&parts.headers).ok_or_else(|| Failure::unauthorized(method))?;
        let user = auth::owner(&token, &self.config.accounts).ok_or_else(|| Failure::unauthorized(method))?.clone();
        auth::check_organisation(&parts.headers, &token, &self.config, &settings, method)?;
        if !self.is_good(&token, &injections, &settings, now).await? {
            return Err(Failure::unauthorized(method));
        }
        if !user.has_opened_wiki {
            return Err(Failure::forced_sync());
        }
        if !settings.api_enabled {
            return Err(Failure::forbidden("API access is disabled by the administrator"));
        }
        if settings.requests_per_minute.is_some_and(|limit| !self.limiter.lets_in(&user.login, limit, now)) {
            return Err(Failure::throttled());
        }
        let query = Fields::of_query(parts.uri.query().unwrap_or_default());
        let asked = Asked { call, user, query, parts, settings, now, injections };
        self.admit(&asked, &token)?;
        Ok(asked)
    }

    /// Whether a token that was given to somebody is still good.
    async fn is_good(
        &self,
        token: &Token,
        injections: &Injections,
        settings: &Settings,
        now: OffsetDateTime,
    ) -> Result<bool, Failure> {
        let text = token.text();
        if injections.has(Injection::ExpiredToken) {
            self.change(|wiki| wiki.revoke(text)).await?;
        }
        if self.wiki().revoked.contains(text) {
            return Ok(false);
        }
        if matches!(token, Token::OAuth(_)) {
            return Ok(true);
        }
        let life = Duration::seconds(i64::try_from(settings.iam_life_s).unwrap_or(i64::MAX));
        let first_use = self.change(|wiki| wiki.first_use(text, now)).await?;
        Ok(now - first_use < life)
    }

    /// Whether somebody who is known may do this.
    fn admit(&self, asked: &Asked, token: &Token) -> Result<(), Failure> {
        match &asked.call {
            Call::Unknown => {
                self.violation(asked, format!("no such address: {} {}", asked.parts.method, asked.parts.uri.path()));
                return Err(Failure::no_call());
            }
            Call::WrongMethod => return Err(Failure::wrong_method()),
            Call::Download { .. } | Call::DownloadByUrl if asked.settings.head => {}
            _ if asked.parts.method == Method::HEAD => return Err(Failure::wrong_method()),
            _ => {}
        }
        let writes = asked.call.writes();
        let scope = if writes { "wiki:write" } else { "wiki:read" };
        let has_scope = matches!(token, Token::Iam(_)) || asked.user.scopes.iter().any(|one| one == scope);
        if asked.settings.scopes_count && !has_scope {
            return Err(Failure::forbidden("The token has no such scope"));
        }
        if writes && !asked.user.may_write {
            return Err(Failure::forbidden("You have no rights to edit"));
        }
        Ok(())
    }

    async fn dispatch(self: &Arc<Self>, asked: &Asked, body: Body) -> Result<Response, Failure> {
        let shown = match &asked.call {
            Call::Part(id) => self.part(asked, id, body).await?,
            Call::CreateSession => self.create_session(asked, &self.fields(asked, body).await?).await?,
            Call::Attach(page) => self.attach(asked, *page, &self.fields(asked, body).await?).await?,
            Call::CreatePage => self.create_page(asked, &self.fields(asked, body).await?).await?,
            Call::UpdatePage(page) => self.update_page(asked, *page, &self.fields(asked, body).await?).await?,
            Call::Move => self.move_pages(asked, &self.fields(asked, body).await?).await?,
            Call::Clone(page) => self.clone_page(asked, *page, &self.fields(asked, body).await?).await?,
            _ => {
                drain(body).await;
                return self.dispatch_without_body(asked).await;
            }
        };
        Ok(json_of(200, &shown))
    }

    async fn dispatch_without_body(self: &Arc<Self>, asked: &Asked) -> Result<Response, Failure> {
        let shown = match &asked.call {
            Call::Me => dto::me(&asked.user.login, &self.config),
            Call::Session(id) => self.session(asked, id).await?,
            Call::Finish(id) => return self.finish(asked, id).await,
            Call::Abort(id) => self.abort(asked, id).await?,
            Call::AbortAll => self.abort_all(asked).await?,
            Call::Attachments(page) => self.attachments(asked, *page)?,
            Call::Attachment { page, file } => self.attachment(asked, *page, *file)?,
            Call::DeleteAttachment { page, file } => return self.delete_attachment(asked, *page, *file).await,
            Call::Resources(page) => self.resources(asked, *page)?,
            Call::Download { page, file } => return self.download(asked, *page, *file),
            Call::DownloadByUrl => return self.download_by_url(asked),
            Call::Preview { page, file } => return self.preview(asked, *page, *file),
            Call::PageBySlug => self.page_by_slug(asked)?,
            Call::Page(page) => self.page(asked, *page)?,
            Call::DeletePage(page) => self.delete_page(asked, *page).await?,
            Call::Recover(token) => self.recover(asked, token).await?,
            Call::DescendantsBySlug => self.descendants_by_slug(asked)?,
            Call::Descendants(page) => self.descendants_of(asked, *page)?,
            Call::Operation { kind, task } => self.operation(*kind, task)?,
            other => unreachable!("{other:?} is not answered here"),
        };
        Ok(json_of(200, &shown))
    }

    /// The fields of a body of JSON.
    async fn fields(&self, asked: &Asked, body: Body) -> Result<Fields, Failure> {
        let bytes = axum::body::to_bytes(body, JSON_BYTES_MAX).await.map_err(|_| Failure::cut())?;
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        if !content_type.starts_with("application/json") {
            self.violation(asked, format!("JSON with the content type {content_type:?}"));
        }
        Fields::of_body(&bytes)
    }

    fn state(&self) -> ServiceState {
        let (life_s, now) = (self.settings().session_life_s, self.core.clock.now());
        let mut wiki = self.wiki();
        wiki.clean_up(life_s, now);
        let slug = |page: u64| wiki.pages.get(&page).map_or("", |page| page.slug.as_str());
        let file = |attachment: &Attachment| {
            let bytes = attachment.content.bytes();
            let state = FileState {
                path: format!("/{}/{}", slug(attachment.page), attachment.name),
                id: attachment.id.to_string(),
                bytes,
                stored_bytes: bytes,
                versions: 1,
                twins: 1,
                updated: attachment.created_at,
                sha256: String::new(),
                notes: Value::Null,
            };
            (state, attachment.content.clone())
        };
        let session = |session: &Session| SessionState {
            id: session.id.clone(),
            title: session.file_name.clone(),
            bytes_total: i64::try_from(session.file_size).unwrap_or(i64::MAX),
            bytes_held: session.held_bytes(),
            commits: 0,
            abandoned: false,
            status: Some(session.status.name().to_owned()),
        };
        let open = wiki.sessions.values().filter(|session| session.status.is_open());
        ServiceState {
            service: "yandex-wiki".to_owned(),
            files: wiki.attachments.values().map(file).collect(),
            folders: wiki.below("").iter().map(|page| format!("/{}", page.slug)).collect(),
            sessions: open.map(session).collect(),
            leaked_bytes: 0,
        }
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut answer = Response::default();
    *answer.status_mut() = status;
    answer
}

/// A redirect to this address.
pub(super) fn redirect(address: &str) -> Response {
    let mut answer = empty(StatusCode::FOUND);
    let location: HeaderValue = address.parse().expect("an address is made of plain characters");
    answer.headers_mut().insert(header::LOCATION, location);
    answer
}
