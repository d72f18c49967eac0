//! One call of the API: how it is put on the wire, and what an answer is. What decides (action, format) stands in the
//! URL, because a body that is too large is dropped whole; everything else, the token above all, stands in the body.
//! Sessions, tokens and the meaning of errors are not known here.

use std::time::Duration;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use super::answers::{ApiError, Errors};
use super::codes;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Body, Client, Failure, JSON_BYTES_MAX, Method, Multipart};
use crate::service::Payload;

/// Ordinary calls answer in milliseconds; a busy SQLite wiki lets them wait for a big file to be assembled.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);
/// A call that carries a piece of a file: a full socket buffer (4 MiB) takes a minute on a line of 64 KiB/s.
pub(super) const ANSWER_TO_PIECE_WITHIN: Duration = Duration::from_secs(90);
/// The name of the file part: a constant, because names beyond ASCII are misread there; the real one is a field.
const FILE_NAME: &str = "content";
/// What is said of a web page instead of an answer. It may be a body that was thrown away for its size, or a portal.
pub(super) const WEB_PAGE: &str = "it answers with a web page";
/// When the server asks for patience without saying how much.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a call does to the wiki.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Nothing: it may be repeated at will.
    Reads,
    /// Something: an answer that is lost is a doubt.
    Writes,
}

/// A call that can be sent, and sent again.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) op: &'static str,
    action: &'static str,
    nature: Nature,
    query: Vec<(&'static str, String)>,
    pub(super) fields: Vec<(&'static str, String)>,
    file: Option<(&'static str, Payload)>,
    answer_within: Duration,
}

impl Call {
    /// `action=query` by GET.
    pub(super) fn query(op: &'static str) -> Call {
        Call::new(op, "query", Nature::Reads)
    }

    /// `action` by POST.
    pub(super) fn new(op: &'static str, action: &'static str, nature: Nature) -> Call {
        let (query, fields) = (Vec::new(), Vec::new());
        Call { op, action, nature, query, fields, file: None, answer_within: ANSWER_WITHIN }
    }

    /// Adds an argument to the URL.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a field to the body.
    pub(super) fn field(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds bytes of a file to the body.
    pub(super) fn file(mut self, name: &'static str, payload: Payload) -> Call {
        self.file = Some((name, payload));
        self.answer_within(ANSWER_TO_PIECE_WITHIN)
    }

    /// How long the answer may take.
    pub(super) fn answer_within(mut self, limit: Duration) -> Call {
        self.answer_within = limit;
        self
    }

    /// Whether this goes by GET.
    pub(super) fn is_query(&self) -> bool {
        self.action == "query"
    }

    fn body(&self) -> Body {
        let Some((name, payload)) = &self.file else {
            return Body::form(self.fields.iter().map(|(name, value)| (*name, value.as_str())));
        };
        let form = self.fields.iter().fold(Multipart::default(), |form, (name, value)| form.text(name, value));
        form.file(name, FILE_NAME, payload.stream(), payload.len())
    }
}

/// A call without the answer it was made for.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The wiki answered with errors: the call was understood and not done.
    Refused(&'static str, Vec<ApiError>),
    /// The request is larger than the server takes; nothing was done.
    TooLarge {
        /// The operation.
        op: &'static str,
        /// The limit for the file, when the server told.
        limit: Option<u64>,
        /// What the server did.
        said: &'static str,
    },
    /// The connection broke before the whole body was handed over; a wiki never acts on half a request.
    Cut(Error),
    /// Anything else.
    Other(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Other(error)
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Error {
        match trouble {
            Trouble::Refused(op, errors) => codes::error(op, &errors),
            Trouble::TooLarge { op, said, .. } => {
                Error::new(Kind::TooLarge, op, format!("the server takes no request of this size: {said}"))
            }
            Trouble::Cut(error) => error.retry(Retry::After(Duration::ZERO)),
            Trouble::Other(error) => error,
        }
    }
}

/// The API of one wiki.
pub(super) struct Api {
    http: Client,
    endpoint: Url,
    bearer: Option<SecretString>,
    maxlag: Option<i64>,
}

impl Api {
    pub(super) fn new(http: Client, bearer: Option<SecretString>, maxlag: Option<i64>) -> Api {
        let endpoint = http.base().clone();
        Api { http, endpoint, bearer, maxlag }
    }

    /// The client, for plain downloads.
    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    /// The token that signs every request, where there is one.
    pub(super) fn bearer(&self) -> Option<&SecretString> {
        self.bearer.as_ref()
    }

    /// Makes `call` and parses its answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Trouble> {
        let method = if call.is_query() { Method::Get } else { Method::Post };
        let fixed = [("action", call.action), ("format", "json"), ("formatversion", "2"), ("errorformat", "raw")];
        let mut request = self
            .http
            .request(call.op, method, self.endpoint.clone())
            .query(fixed)
            .query(call.query.iter().map(|(name, value)| (*name, value.as_str())))
            .answer_within(call.answer_within);
        if let Some(seconds) = self.maxlag
            && call.nature == Nature::Writes
        {
            request = request.query([("maxlag", seconds.to_string().as_str())]);
        }
        if let Some(token) = &self.bearer {
            request = request.bearer(token);
        }
        if !call.is_query() {
            request = request.body(call.body());
        }
        if call.nature == Nature::Reads {
            request = request.only_reads();
        }
        match request.send().await {
            Ok(answer) => self.understand(call, answer).await,
            // A request that is refused before anything is sent is no cut.
            Err(Failure { error, body_cut: true }) if error.retry == Retry::AskFirst => Err(Trouble::Cut(error)),
            Err(failure) => Err(Trouble::Other(failure.error)),
        }
    }

    async fn understand<T: DeserializeOwned>(&self, call: &Call, answer: Answer) -> Result<T, Trouble> {
        let (op, carries_file) = (call.op, call.file.is_some());
        let doubt = if call.nature == Nature::Reads { Retry::After(Duration::ZERO) } else { Retry::AskFirst };
        // Whoever only asks learns from a web page that this is not the API. Whoever changes something may have met a
        // gateway that shows one instead of the answer.
        let page_means = if call.nature == Nature::Reads { Retry::Never } else { Retry::AskFirst };
        let origin = self.http.origin();
        match answer.status() {
            200 => {}
            413 if carries_file => return Err(Trouble::TooLarge { op, limit: None, said: "HTTP 413" }),
            status => return Err(Trouble::Other(by_status(status, &answer, &origin, doubt).labelled(op))),
        }
        let code = answer.header("mediawiki-api-error").map(str::to_owned);
        let asked_to_wait = answer.retry_after();
        if answer.is_html() {
            // A captive portal, a sign-in page, or a server that threw a large body away.
            return Err(match carries_file {
                true => Trouble::TooLarge { op, limit: None, said: WEB_PAGE },
                false => Trouble::Other(not_the_api(op, &origin).retry(page_means)),
            });
        }
        let body = answer.body(JSON_BYTES_MAX).await?;
        let odd = |error: serde_json::Error| {
            if body.trim_ascii_start().first() == Some(&b'<') {
                return Trouble::Other(not_the_api(op, &origin).retry(page_means));
            }
            let what = format!("{origin} answers with something else than expected: {error}");
            Trouble::Other(Error::new(Kind::Protocol, op, what).retry(doubt))
        };
        let told: Errors = serde_json::from_slice(&body).map_err(odd)?;
        let errors = all_errors(told, code);
        if errors.is_empty() {
            return serde_json::from_slice(&body).map_err(odd);
        }
        if carries_file && codes::is_body_dropped(&errors) {
            return Err(Trouble::TooLarge { op, limit: None, said: "it drops the body" });
        }
        if let Some(limit) = codes::file_limit(&errors) {
            return Err(Trouble::TooLarge { op, limit: Some(limit), said: "it names a limit" });
        }
        match asked_to_wait {
            // Only the header says for how long.
            Some(wait) if codes::is(&errors, "maxlag") => {
                Err(Trouble::Other(codes::error(op, &errors).retry(Retry::After(wait))))
            }
            _ => Err(Trouble::Refused(op, errors)),
        }
    }
}

/// The errors of an answer, in whatever shape; the header alone is enough to make an answer a refusal.
fn all_errors(told: Errors, header: Option<String>) -> Vec<ApiError> {
    let mut errors = told.errors;
    errors.extend(told.error);
    if errors.is_empty()
        && let Some(code) = header
    {
        errors.push(ApiError { code, ..ApiError::default() });
    }
    errors
}

/// An error that does not know its operation yet.
struct Unlabelled {
    kind: Kind,
    retry: Retry,
    what: String,
    hint: &'static str,
}

impl Unlabelled {
    fn labelled(self, op: &'static str) -> Error {
        let error = Error::new(self.kind, op, self.what).retry(self.retry);
        if self.hint.is_empty() { error } else { error.hint(self.hint) }
    }
}

/// What a status other than 200 means: it comes from a web server or a gateway, hardly ever from MediaWiki.
fn by_status(status: u16, answer: &Answer, origin: &str, doubt: Retry) -> Unlabelled {
    let code = answer.header("mediawiki-api-error").map(|code| format!(" ({code})")).unwrap_or_default();
    let failed = |kind, retry, what: String, hint| Unlabelled { kind, retry, what, hint };
    let wait = Retry::After(answer.retry_after().unwrap_or(PATIENCE));
    match status {
        300..=399 => {
            let place = answer.header("location").unwrap_or("somewhere");
            let place = place.split(['?', '#']).next().unwrap_or(place);
            failed(
                Kind::Protocol,
                Retry::Never,
                format!("{origin} sends us on to {place}"),
                "use the address it points to",
            )
        }
        401 | 403 | 407 => failed(
            Kind::Denied,
            Retry::Never,
            format!("the web server of {origin} refuses access: HTTP {status}{code}"),
            "this is not the wiki's own sign-in: a gateway or the web server wants something else",
        ),
        404 | 405 | 410 => failed(Kind::Protocol, Retry::Never, format!("there is no API: HTTP {status}"), API_ADDRESS),
        413 => failed(Kind::TooLarge, Retry::Never, format!("the request is too large for {origin}"), ""),
        // Uploads are counted; who only looks is told to slow down.
        429 if doubt == Retry::AskFirst => {
            failed(Kind::Quota, wait, format!("{origin} takes no more uploads at the moment"), "")
        }
        429 => failed(Kind::Throttled, wait, format!("{origin} gets too many requests from here"), ""),
        502 | 504 => {
            failed(Kind::Timeout, doubt, format!("a gateway of {origin} gave up waiting: HTTP {status}{code}"), "")
        }
        500..=599 => failed(Kind::Server, doubt, format!("{origin} failed: HTTP {status}{code}"), ""),
        _ => failed(Kind::Protocol, doubt, format!("{origin} answers HTTP {status}{code}"), API_ADDRESS),
    }
}

const API_ADDRESS: &str =
    "the address of a wiki's API usually ends in /w/api.php or /api.php; Special:Version names it";

fn not_the_api(op: &'static str, origin: &str) -> Error {
    Error::new(Kind::Protocol, op, format!("{origin} answers with a web page: this address is not the API"))
        .hint(API_ADDRESS)
}
