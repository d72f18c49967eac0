//! Requests over HTTP: one [`Client`] per remote, bound to one origin. Everything a service wants of HTTP is here, and
//! nothing of the library below shows: services speak of requests, bodies, answers and failures.
//!
//! **Contract.** A request goes to the configured origin (scheme, host and port) or nowhere: cookies and credentials
//! never reach another one, and a redirect is an answer, never followed, but by a [`Guests`], which has no credentials. Nothing is sent twice: repeating is the
//! business of the layers above, which decide by [`Retry`](crate::error::Retry).
//!
//! **Time.** There is no total time for an upload. A request fails when its body makes no progress for [`STALL_MAX`],
//! or when its answer does not begin within the time the service gave for it, counted from the last byte handed over.
//! The library's own read timeout is not used: it counts from the start of the request, uploads included.
//!
//! **Failure.** See `failure.rs`: what was certainly not done is told apart from what is in doubt.
//!
//! **Cancellation.** Dropping the future closes the connection; whether the server acts on what it got is unknown.

mod answer;
mod body;
mod failure;
mod guests;
mod request;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::HeaderValue;
use url::Url;

pub use self::answer::{Answer, JSON_BYTES_MAX, Rest};
pub use self::body::{Body, Multipart};
pub use self::failure::Failure;
pub use self::guests::Guests;
pub use self::request::{Method, Request};
use crate::error::{Error, Kind, Result};

/// So long may a body, in either direction, stand still before the connection is given up.
pub const STALL_MAX: Duration = Duration::from_secs(60);
/// So long may it take to connect, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(15);
/// An unused connection is dropped before the server does it (Apache: 5 s, nginx: 65 s): a request that meets a
/// connection just being closed is in doubt, and a new connection is cheaper than a doubt.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// So many unused connections are kept.
const IDLE_COUNT_MAX: usize = 8;
/// A silent connection is probed after this long, so that a dead peer is noticed while a server works on its answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What a client needs to know. Has no `Debug`: a proxy address may hold a password.
pub struct Settings {
    /// The address of the service; its origin is the only place requests go to.
    pub url: String,
    /// Trust the certificates in this PEM file, and only them.
    pub ca_file: Option<PathBuf>,
    /// Go through this proxy; without it the usual environment variables decide.
    pub proxy: Option<String>,
    /// Whether cookies are part of the protocol.
    pub cookies: Cookies,
}

/// Whether a client keeps cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookies {
    /// Kept in memory and sent back to the origin.
    Keep,
    /// Ignored.
    Ignore,
}

/// A client of one origin. Clones share connections and cookies.
#[derive(Clone)]
pub struct Client {
    base: Url,
    inner: reqwest::Client,
    jar: Option<Arc<SwapJar>>,
}

impl Client {
    /// A client for `settings`. Does no I/O but reading the CA file.
    ///
    /// # Errors
    /// `Invalid` with the reason when the address, the proxy or the CA file cannot be used.
    pub fn new(settings: &Settings) -> Result<Client> {
        let base = base_url(&settings.url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(user_agent())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // One connection per upload: a broken one then takes no other upload with it, and a small request does not
            // wait behind the bytes of a large one.
            .http1_only()
            .https_only(base.scheme() == "https")
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_user_timeout(STALL_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_COUNT_MAX);
        builder = trust(builder, settings, &base)?;
        builder = route(builder, settings, &base)?;
        let jar = (settings.cookies == Cookies::Keep).then(|| Arc::new(SwapJar::default()));
        if let Some(jar) = &jar {
            builder = builder.cookie_provider(jar.clone());
        }
        let inner =
            builder.build().map_err(|error| invalid(format!("cannot set up HTTP: {}", failure::chain(&error))))?;
        Ok(Client { base, inner, jar })
    }

    /// The address the client was made for.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// `scheme://host:port` of the configured address, for messages.
    pub fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Whether `url` lies at the configured origin.
    pub fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.base.origin() && url.username().is_empty() && url.password().is_none()
    }

    /// A request of `op` to `url`.
    pub fn request(&self, op: &'static str, method: Method, url: Url) -> Request {
        Request::new(self.clone(), op, method, url)
    }

    /// Forgets all cookies, so that the next sign-in starts from nothing.
    pub fn forget_cookies(&self) {
        if let Some(jar) = &self.jar {
            jar.replace();
        }
    }
}

/// Parses the configured address.
fn base_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|error| invalid(format!("the address {text:?} is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid(format!("the address {text:?} does not begin with https://")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("the address of the service holds a user name or password; they belong elsewhere".into()));
    }
    Ok(url)
}

/// Whose certificates count. `ca_file` replaces the system's authorities, as in curl: who names one means that one.
fn trust(builder: reqwest::ClientBuilder, settings: &Settings, base: &Url) -> Result<reqwest::ClientBuilder> {
    if base.scheme() == "http" {
        // No TLS at all: do not load the system's certificates, and do not fail where there are none.
        return Ok(builder.tls_certs_only([]));
    }
    let Some(path) = &settings.ca_file else { return Ok(builder) };
    let unusable = |why: String| invalid(format!("the CA file {} cannot be used: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(failure::chain(&error)))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate".into()));
    }
    Ok(builder.tls_certs_only(certificates))
}

/// Which proxy, if any. Loopback is never behind one, whatever the environment says.
fn route(builder: reqwest::ClientBuilder, settings: &Settings, base: &Url) -> Result<reqwest::ClientBuilder> {
    let loopback = match base.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match &settings.proxy {
        Some(proxy) => {
            // The text of the proxy stays out of the message: it may hold a password.
            let proxy = reqwest::Proxy::all(proxy).map_err(|_| invalid("the proxy address is not a URL".into()))?;
            Ok(builder.proxy(proxy))
        }
        None if loopback => Ok(builder.no_proxy()),
        None => Ok(builder),
    }
}

fn invalid(what: String) -> Error {
    Error::new(Kind::Invalid, "configuration", what)
}

/// Who we say we are: the program and its version, and where to read about it once the package names a place. Nothing
/// about the machine or the user.
fn user_agent() -> String {
    let home = env!("CARGO_PKG_REPOSITORY");
    let about = if home.is_empty() { String::new() } else { format!(" (+{home})") };
    format!("uploadfs/{}{about}", env!("CARGO_PKG_VERSION"))
}

/// A cookie jar that can be emptied: the library's own only ever fills.
#[derive(Default)]
struct SwapJar(RwLock<Arc<Jar>>);

impl SwapJar {
    fn jar(&self) -> Arc<Jar> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }
}

impl CookieStore for SwapJar {
    fn set_cookies(&self, headers: &mut dyn Iterator<Item = &HeaderValue>, url: &Url) {
        self.jar().set_cookies(headers, url);
    }

    fn cookies(&self, url: &Url) -> Option<HeaderValue> {
        self.jar().cookies(url)
    }
}

#[cfg(test)]
mod tests;
