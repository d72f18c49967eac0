//! One request: what is sent, and how long its answer may take. Sending is the only thing here that touches the
//! network.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::body::Content;
use super::failure::{after_cut, translate};
use super::{Answer, Body, Client, Failure};
use crate::error::{Error, Kind, Retry};

/// An answer of an ordinary request begins within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(45);

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the head only.
    Head,
    /// Does something.
    Post,
    /// Stores something.
    Put,
    /// Changes some of what is known of something.
    Patch,
    /// Removes something.
    Delete,
}

impl Method {
    fn of(self) -> reqwest::Method {
        match self {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        }
    }
}

/// A request that has not been sent yet.
pub struct Request {
    client: Client,
    op: &'static str,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
    answer_within: Duration,
    repeatable: bool,
    secret_address: bool,
    invalid: Option<Error>,
}

impl Request {
    pub(super) fn new(client: Client, op: &'static str, method: Method, url: Url) -> Request {
        Request {
            client,
            op,
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::empty(),
            answer_within: ANSWER_WITHIN,
            repeatable: matches!(method, Method::Get | Method::Head),
            secret_address: false,
            invalid: None,
        }
    }

    /// Adds arguments to the URL.
    #[must_use]
    pub fn query<'a>(mut self, arguments: impl IntoIterator<Item = (&'a str, &'a str)>) -> Request {
        self.url.query_pairs_mut().extend_pairs(arguments);
        self
    }

    /// Sets a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Request {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(HeaderName::from_static(name), value);
            }
            Err(_) => {
                self.invalid = Some(Error::new(Kind::Invalid, self.op, format!("no value for {name}: {value:?}")))
            }
        }
        self
    }

    /// Signs the request with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &SecretString) -> Request {
        self.authorization(&format!("Bearer {}", token.expose_secret()))
    }

    /// Signs the request with a token that stands alone in the header.
    #[must_use]
    pub fn token(self, token: &SecretString) -> Request {
        self.authorization(token.expose_secret())
    }

    fn authorization(mut self, value: &str) -> Request {
        match HeaderValue::from_str(value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(AUTHORIZATION, value);
            }
            Err(_) => self.invalid = Some(Error::new(Kind::Invalid, self.op, "the token holds impossible characters")),
        }
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Request {
        self.body = body;
        self
    }

    /// How long after the last byte of the body the answer may take to begin.
    #[must_use]
    pub fn answer_within(mut self, limit: Duration) -> Request {
        self.answer_within = limit;
        self
    }

    /// The request changes nothing, although its method says it might: after a cut it may simply be sent again.
    #[must_use]
    pub fn only_reads(mut self) -> Request {
        self.repeatable = true;
        self
    }

    /// The address holds what a server accepts as a proof: it stays out of logs.
    #[must_use]
    pub fn secret_address(mut self) -> Request {
        self.secret_address = true;
        self
    }

    /// Sends the request and waits for the head of the answer, whatever its status.
    ///
    /// # Errors
    /// A [`Failure`] when there is no answer.
    pub async fn send(self) -> Result<Answer, Failure> {
        let (op, origin, cut) = (self.op, self.client.origin(), after_cut(self.repeatable));
        if let Some(error) = self.refusal() {
            return Err(Failure { error, body_cut: true });
        }
        let path = if self.secret_address { "" } else { self.url.path() };
        tracing::trace!(op, method = ?self.method, path, "request");
        let (client, meter, answer_within) = (self.client.inner.clone(), self.body.meter.clone(), self.answer_within);
        let request = self
            .into_inner(&client)
            .map_err(|error| Failure { error: translate(error, op, &origin, Retry::Never), body_cut: true })?;
        meter.touch();
        let sending = client.execute(request);
        tokio::pin!(sending);
        loop {
            let deadline = meter.deadline(answer_within);
            tokio::select! {
                biased;
                sent = &mut sending => return match sent {
                    Ok(answer) => Ok(Answer::new(answer, op, origin, cut)),
                    Err(error) => Err(Failure { error: translate(error, op, &origin, cut), body_cut: !meter.is_finished() }),
                },
                () = sleep_until(deadline) => if Instant::now() >= meter.deadline(answer_within) {
                    let body_cut = !meter.is_finished();
                    let what = if body_cut { "took no more of the request" } else { "did not answer in time" };
                    let error = Error::new(Kind::Timeout, op, format!("{origin} {what}")).retry(cut);
                    return Err(Failure { error, body_cut });
                }
            }
        }
    }

    /// Why this request must not leave the machine.
    fn refusal(&self) -> Option<Error> {
        if self.invalid.is_some() {
            return self.invalid.clone();
        }
        if self.client.is_home(&self.url) {
            return None;
        }
        let (there, home) = (self.url.origin().ascii_serialization(), self.client.origin());
        let error = Error::new(Kind::Protocol, self.op, format!("the server points to {there}, which is not {home}"));
        Some(error.hint("requests and credentials only ever go to the configured address"))
    }

    fn into_inner(self, client: &reqwest::Client) -> reqwest::Result<reqwest::Request> {
        let sends = matches!(self.method, Method::Post | Method::Put | Method::Patch);
        let builder = client.request(self.method.of(), self.url).headers(self.headers);
        match self.body.content {
            // Not every server takes "nothing" for "no bytes".
            Content::Empty if sends => builder.header(CONTENT_LENGTH, 0),
            Content::Empty => builder,
            Content::Bytes(kind, bytes) => builder.header(CONTENT_TYPE, kind).body(bytes),
            Content::Stream(body, length) => builder.header(CONTENT_LENGTH, length).body(body),
            Content::Multipart(form) => builder.multipart(form),
        }
        .build()
    }
}
