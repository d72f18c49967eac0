//! Visits to other origins: a service may send readers on to an object store, with an address that is a proof by itself.
//! Whoever goes there takes nothing along: no credential, no cookie, no header but those asked for here.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use url::Url;

use super::{Answer, Client, Cookies, Method, Request, Settings};
use crate::error::{Error, Kind, Result};

/// So many origins are remembered; services use one or two.
const ORIGINS_MAX: usize = 16;

/// Clients without credentials, one for each origin.
pub struct Guests {
    ca_file: Option<PathBuf>,
    proxy: Option<String>,
    /// Whether the service itself is reached without TLS; then others may be.
    plain: bool,
    clients: Mutex<HashMap<String, Client>>,
}

impl Guests {
    /// Visits on behalf of the service at `home`, whose trust and proxy they share.
    pub fn of(home: &Settings) -> Guests {
        let plain = home.url.starts_with("http://");
        let (ca_file, proxy) = (home.ca_file.clone(), home.proxy.clone());
        Guests { ca_file, proxy, plain, clients: Mutex::default() }
    }

    /// Goes where `answer` points to; once.
    ///
    /// # Errors
    /// `Protocol` when it points nowhere, or from TLS to no TLS; whatever keeps the place from answering.
    pub async fn follow(
        &self,
        op: &'static str,
        answer: &Answer,
        with: impl FnOnce(Request) -> Request,
    ) -> Result<Answer> {
        let Some(url) = answer.place() else {
            return Err(Error::new(Kind::Protocol, op, "the server sends us on, and does not say where to"));
        };
        self.get(op, url, with).await
    }

    /// Asks for what is at `url`.
    ///
    /// # Errors
    /// As [`Guests::follow`].
    pub async fn get(&self, op: &'static str, url: Url, with: impl FnOnce(Request) -> Request) -> Result<Answer> {
        let client = self.client(op, &url)?;
        let request = client.request(op, Method::Get, url);
        Ok(with(request).send().await?)
    }

    fn client(&self, op: &'static str, url: &Url) -> Result<Client> {
        let origin = url.origin().ascii_serialization();
        if url.scheme() != "https" && !(url.scheme() == "http" && self.plain) {
            let what = format!("the server sends us on to {origin}, which is not encrypted");
            return Err(Error::new(Kind::Protocol, op, what));
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&origin) {
            return Ok(client.clone());
        }
        let settings = Settings {
            url: origin.clone(),
            ca_file: self.ca_file.clone(),
            proxy: self.proxy.clone(),
            cookies: Cookies::Ignore,
        };
        let client = Client::new(&settings)?;
        if clients.len() >= ORIGINS_MAX {
            clients.clear();
        }
        clients.insert(origin, client.clone());
        Ok(client)
    }
}
