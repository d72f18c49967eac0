//! One call to a portal on the wire: the address, the proof of who asks, the envelope of the answer. Nothing is repeated
//! here.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use url::Url;

use super::codes::Refusal;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Client, Failure, JSON_BYTES_MAX, Method};
use crate::service::call::{self, Call, JSON};

/// Hosted portals take 15 requests of one user at once that are not reading, and refuse the others.
const WRITES_MAX: usize = 15;

/// How a request proves who asks.
pub(super) enum Pass {
    /// The token of a signed-in user, which stands alone.
    Token(SecretString),
    /// A key or a token from elsewhere, with the word `Bearer`, which keys must have.
    Bearer(SecretString),
}

/// Why a call brought nothing.
pub(super) type Trouble = call::Trouble<Refusal>;

impl call::Refuses for Refusal {
    fn into_error(self, op: &'static str) -> Error {
        Refusal::into_error(self, op)
    }
}

/// A portal.
pub(super) struct Api {
    http: Client,
    base: Url,
    writes: Semaphore,
}

impl Api {
    /// Calls over `http`; its address is that of the portal.
    pub(super) fn new(http: Client) -> Api {
        let mut base = http.base().clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Api { http, base, writes: Semaphore::new(WRITES_MAX) }
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    /// The call of `api/2.0/path`; the segments of the path come from us or from answers and are not trusted to be plain.
    pub(super) fn call(&self, op: &'static str, method: Method, path: &[&str]) -> Call {
        let url = self.url(&[&["api", "2.0"], path].concat());
        self.call_to(op, method, url)
    }

    /// The address of `path` below the portal's.
    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// A call of an address at the portal.
    pub(super) fn call_to(&self, op: &'static str, method: Method, url: Url) -> Call {
        Call::new(&self.http, op, method, url)
    }

    /// An address the portal gave for itself: behind a proxy it may have another scheme or port in it, never another host.
    ///
    /// # Errors
    /// `Protocol` for an address elsewhere.
    pub(super) fn home(&self, op: &'static str, address: &str) -> Result<Url> {
        let url = self.base.join(address).map_err(|error| {
            Error::new(Kind::Protocol, op, format!("the portal gives an address that is none: {error}"))
        })?;
        if url.host_str() != self.base.host_str() {
            let there = url.host_str().unwrap_or("nowhere");
            let what = format!("the portal sends the file to another host, {there}");
            return Err(Error::new(Kind::Protocol, op, what).hint("files only ever go to the configured address"));
        }
        Ok(self.at(&url[url::Position::BeforePath..]))
    }

    /// The address of this path and query at the portal.
    pub(super) fn at(&self, path_and_query: &str) -> Url {
        let (path, query) =
            path_and_query.split_once('?').map_or((path_and_query, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Sends it as whoever `pass` is; the answer as it came.
    pub(super) async fn send(&self, call: Call, pass: Option<&Pass>) -> Result<Answer, Failure> {
        let request = match pass {
            Some(Pass::Token(token)) => call.request.token(token),
            Some(Pass::Bearer(token)) => call.request.bearer(token),
            None => call.request,
        };
        let _permit = match call.repeatable {
            true => None,
            false => Some(self.writes.acquire().await.expect("the permits are never closed")),
        };
        request.header("accept", JSON).send().await
    }

    /// Sends it and opens the envelope.
    pub(super) async fn exchange<T: DeserializeOwned>(&self, call: Call, pass: Option<&Pass>) -> Result<T, Trouble> {
        self.exchange_with_status(call, pass).await.map(|(_, value)| value)
    }

    /// The same, with the status of the success.
    pub(super) async fn exchange_with_status<T: DeserializeOwned>(
        &self,
        call: Call,
        pass: Option<&Pass>,
    ) -> Result<(u16, T), Trouble> {
        let (op, only_reads) = (call.op, call.repeatable);
        let answer = self.send(call, pass).await.map_err(|failure| Trouble::Failed(failure.error))?;
        let (status, wait, is_html) = (answer.status(), answer.retry_after(), answer.is_html());
        let doubt = if only_reads { Retry::After(Duration::ZERO) } else { Retry::AskFirst };
        let body = answer.body(JSON_BYTES_MAX).await?;
        let refused = |message| Trouble::Refused(Refusal { status, message, wait, only_reads });
        if !(200..300).contains(&status) {
            return Err(refused(message(&body)));
        }
        let unlike = |why: String| {
            let error = Error::new(Kind::Protocol, op, format!("{} answers {why}", self.http.origin()));
            error.retry(doubt).hint("is this the address of a portal?")
        };
        if is_html {
            return Err(unlike("with a web page".to_owned()).into());
        }
        let envelope: Envelope =
            serde_json::from_slice(&body).map_err(|error| unlike(format!("something else than expected: {error}")))?;
        let content = envelope.open().map_err(refused)?;
        let value = T::deserialize(content).map_err(|error| unlike(format!("something unexpected: {error}")))?;
        Ok((status, value))
    }
}

/// What is around an answer: `response` from the calls, `data` from the upload handler, and for sessions one within the
/// other.
#[derive(Debug, Deserialize)]
struct Envelope {
    #[serde(default)]
    response: Option<Value>,
    success: Option<bool>,
    #[serde(default)]
    data: Option<Value>,
    message: Option<String>,
}

impl Envelope {
    /// What is in it, or the message of a refusal.
    fn open(self) -> Result<Value, String> {
        match (self.success, self.response) {
            (Some(false), _) => Err(self.message.unwrap_or_default()),
            (Some(true), _) => Ok(self.data.unwrap_or_default()),
            (None, Some(inner)) if inner.get("success").is_some_and(Value::is_boolean) => {
                serde_json::from_value::<Envelope>(inner).map_err(|error| error.to_string())?.open()
            }
            (None, response) => Ok(response.unwrap_or_default()),
        }
    }
}

/// The words of a refusal; a page of a proxy has none that are worth showing.
fn message(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        let text = String::from_utf8_lossy(body);
        return if text.trim_start().starts_with('<') { String::new() } else { text.trim().to_owned() };
    };
    let candidates = ["/error/message", "/response/error/message", "/message", "/response/title", "/title", "/error"];
    let found = candidates.iter().find_map(|place| value.pointer(place).and_then(Value::as_str));
    found.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::{Cookies, Settings};

    fn api(url: &str) -> Api {
        let settings = Settings { url: url.to_owned(), ca_file: None, proxy: None, cookies: Cookies::Ignore };
        Api::new(Client::new(&settings).unwrap())
    }

    fn open(value: Value) -> Result<Value, String> {
        serde_json::from_value::<Envelope>(value).unwrap().open()
    }

    #[test]
    fn an_envelope_has_its_content_in_one_of_three_places() {
        assert_eq!(open(json!({"response": {"id": 1}, "count": 1, "status": 0})), Ok(json!({"id": 1})));
        assert_eq!(open(json!({"success": true, "data": {"id": 2}, "message": ""})), Ok(json!({"id": 2})));
        assert_eq!(open(json!({"response": {"success": true, "data": {"id": 3}}})), Ok(json!({"id": 3})));
        assert_eq!(open(json!({"success": false, "data": null, "message": "nein"})), Err("nein".to_owned()));
        assert_eq!(open(json!({"success": true, "message": ""})), Ok(Value::Null));
        assert_eq!(open(json!({"count": 0, "status": 0})), Ok(Value::Null));
    }

    #[test]
    fn a_refusal_says_it_in_its_own_words() {
        assert_eq!(message(br#"{"error":{"message":"no","type":"X"},"statusCode":400}"#), "no");
        assert_eq!(
            message(br#"{"response":{"title":"One or more validation errors"},"status":1}"#),
            "One or more validation errors"
        );
        assert_eq!(message(b"Unauthorized"), "Unauthorized");
        assert_eq!(message(b"<html>502</html>"), "");
        assert_eq!(message(b""), "");
    }

    #[test]
    fn addresses_stay_at_home() {
        let api = api("https://office.example.org/portal");
        assert_eq!(
            api.url(&["api", "2.0", "files", "@my"]).as_str(),
            "https://office.example.org/portal/api/2.0/files/@my"
        );
        assert_eq!(api.url(&["files", "a/../b"]).as_str(), "https://office.example.org/portal/files/a%2F..%2Fb");
        let home = |address: &str| api.home("upload", address).map(|url| url.to_string());
        let location = "http://office.example.org:8092/ChunkedUploader.ashx?uid=ab";
        assert_eq!(home(location).unwrap(), "https://office.example.org/ChunkedUploader.ashx?uid=ab");
        for elsewhere in
            ["https://other.example.org/ChunkedUploader.ashx?uid=ab", "//evil.example.org/x", "https://:80"]
        {
            assert_eq!(home(elsewhere).unwrap_err().kind, Kind::Protocol, "{elsewhere}");
        }
    }
}
