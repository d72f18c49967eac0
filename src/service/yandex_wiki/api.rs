//! One call to the wiki on the wire: the address, the organisation, the proof of who asks, the envelope of a refusal. What
//! the service did not let in is sent again with another pass, where there is one; nothing else is repeated here.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::Organisation;
use super::codes::Refusal;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Client, JSON_BYTES_MAX, Method};
use crate::service::call::{self, Call};
use crate::service::signer::Signer;

/// Where the documented API begins at an address that names only a host.
const PREFIX: &str = "v1";
/// The most of a refusal that is read, in bytes.
const REFUSAL_BYTES_MAX: u64 = 1 << 20;

/// Why a call brought nothing.
pub(super) type Trouble = call::Trouble<Refusal>;

impl call::Refuses for Refusal {
    fn into_error(self, op: &'static str) -> Error {
        Refusal::into_error(self, op)
    }
}

/// The service.
pub(super) struct Api {
    http: Client,
    base: Url,
    organisation: Organisation,
    signer: Signer,
}

impl Api {
    /// Calls over `http`. An address without a path is that of the documented API; any other is taken as it is.
    pub(super) fn new(http: Client, organisation: Organisation, signer: Signer) -> Api {
        let mut base = http.base().clone();
        if base.path().trim_matches('/').is_empty() {
            base.set_path(PREFIX);
        }
        Api { http, base, organisation, signer }
    }

    /// `scheme://host:port`, for people.
    pub(super) fn origin(&self) -> String {
        self.http.origin()
    }

    pub(super) fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// The call of `path`; its segments come from us or from answers and are not trusted to be plain.
    pub(super) fn call(&self, op: &'static str, method: Method, path: &[&str]) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let (name, id) = self.organisation.header();
        Call::new(&self.http, op, method, url).header(name, id)
    }

    /// Makes a call; the answer as it came, whatever its status. A pass that was not let in is replaced where it can be.
    ///
    /// # Errors
    /// A refusal of every pass there is, with the service's words; whatever keeps the answer from coming.
    pub(super) async fn fetch(&self, call: impl Fn(&Api) -> Call) -> Result<Answer> {
        let mut pass = self.signer.pass().await?;
        loop {
            let answer = pass.sign(call(self).request).send().await?;
            if answer.status() != 401 {
                if answer.status() < 500 {
                    self.signer.accepted(&pass);
                }
                return Ok(answer);
            }
            let said = Words::of(&answer.body(REFUSAL_BYTES_MAX).await.unwrap_or_default());
            pass = self.signer.refused(&pass, &said.message).await?;
        }
    }

    /// Makes a call and understands its answer; no body at all is `null`.
    pub(super) async fn exchange<T: DeserializeOwned>(&self, call: impl Fn(&Api) -> Call) -> Result<T, Trouble> {
        let Call { op, repeatable, .. } = call(self);
        let answer = self.fetch(call).await?;
        let (status, wait, is_html) = (answer.status(), answer.retry_after(), answer.is_html());
        let doubt = if repeatable { Retry::After(Duration::ZERO) } else { Retry::AskFirst };
        if !(200..300).contains(&status) {
            let words = Words::of(&answer.body(REFUSAL_BYTES_MAX).await.unwrap_or_default());
            return Err(Trouble::Refused(words.refusal(status, wait, repeatable)));
        }
        let body = answer.body(JSON_BYTES_MAX).await?;
        let unlike = |why: String| {
            let error = Error::new(Kind::Protocol, op, format!("{} answers {why}", self.http.origin()));
            error.retry(doubt).hint("is url the address of the wiki's API?")
        };
        if is_html {
            return Err(unlike("with a web page".to_owned()).into());
        }
        let body: &[u8] = if body.trim_ascii().is_empty() { b"null" } else { &body };
        serde_json::from_slice(body).map_err(|error| unlike(format!("something unexpected: {error}")).into())
    }

    /// What an answer that was not asked for as JSON refuses.
    pub(super) async fn refusal(&self, answer: Answer) -> Refusal {
        let (status, wait) = (answer.status(), answer.retry_after());
        Words::of(&answer.body(REFUSAL_BYTES_MAX).await.unwrap_or_default()).refusal(status, wait, true)
    }
}

/// The words of a refusal. Not every refusal has them: a missing file is a picture.
#[derive(Debug, Default, PartialEq)]
struct Words {
    code: String,
    message: String,
    /// Names of fields that are wrong.
    fields: Vec<String>,
}

/// The envelope, of which two forms were seen, and in which anything may be missing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    error_code: Option<String>,
    debug_message: Option<String>,
    message: Value,
    details: Value,
}

impl Words {
    fn of(body: &[u8]) -> Words {
        let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else { return Words::default() };
        let shown = match &envelope.message {
            Value::String(text) => Some(text.clone()),
            Value::Array(texts) => texts.first().and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        let debug = envelope.debug_message.filter(|text| !text.is_empty());
        let (mut fields, mut reasons) = (Vec::new(), Vec::new());
        for place in ["body", "query"] {
            let Some(Value::Object(wrong)) = envelope.details.get(place) else { continue };
            for (field, why) in wrong {
                fields.push(field.clone());
                if let Some(text) = why.pointer("/0/debug_message").and_then(Value::as_str) {
                    reasons.push(format!("{field}: {text}"));
                }
            }
        }
        let mut message = debug.or(shown).unwrap_or_default();
        if !reasons.is_empty() {
            message = format!("{message} ({})", reasons.join("; "));
        }
        Words { code: envelope.error_code.unwrap_or_default(), message, fields }
    }

    fn refusal(self, status: u16, wait: Option<Duration>, repeatable: bool) -> Refusal {
        Refusal { status, code: self.code, message: self.message, fields: self.fields, wait, repeatable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_understood_in_all_its_forms() {
        let validation = br#"{"debug_message":"Validation failed","error_code":"VALIDATION_ERROR","details":{"body":{
            "file_size":[{"debug_message":"field required","error_code":"value_error.missing"}]}}}"#;
        let words = Words::of(validation);
        assert_eq!((words.code.as_str(), words.fields.as_slice()), ("VALIDATION_ERROR", &["file_size".to_owned()][..]));
        assert_eq!(words.message, "Validation failed (file_size: field required)");
        let listed = br#"{"debug_message":"","error_code":"X","level":"ERROR","message":["first","second"]}"#;
        assert_eq!(Words::of(listed).message, "first");
        let null = br#"{"debug_message":"no","error_code":"NOT_FOUND","details":null,"message":null}"#;
        assert_eq!(Words::of(null), Words { code: "NOT_FOUND".into(), message: "no".into(), fields: Vec::new() });
        for nothing in [&b"GIF89a\x01\0"[..], b"", b"[1]", b"<html>", b"{}"] {
            assert_eq!(Words::of(nothing), Words::default());
        }
    }
}
