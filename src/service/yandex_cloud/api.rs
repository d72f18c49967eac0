//! One call on the wire: the address, what goes with every request, the answer. A request that was not let in is signed
//! anew ([`Signer`]); nothing else is repeated here.

use std::time::Duration;

use serde::de::DeserializeOwned;
use url::Url;

use super::Dialect;
use super::codes::Refusal;
use super::credential::Look;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Client, JSON_BYTES_MAX, Method};
use crate::service::call::{self, Call, JSON};
use crate::service::signer::Signer;

/// Why a call brought nothing.
pub(super) type Trouble = call::Trouble<Refusal>;

/// The header with a name by which the service may recognise the same request again; of everything that is no question.
pub(super) const SAME_REQUEST: &str = "idempotency-key";

impl call::Refuses for Refusal {
    fn into_error(self, op: &'static str) -> Error {
        Refusal::into_error(self, op)
    }
}

/// Who asks, in which words, and for which cloud folder.
pub(super) struct Identity {
    pub(super) signer: Signer,
    /// What the token looks like, for people.
    pub(super) look: Look,
    pub(super) dialect: Dialect,
    /// The id of the cloud folder.
    pub(super) folder: String,
}

/// The service, as an account.
pub(super) struct Api {
    http: Client,
    base: Url,
    identity: Identity,
}

impl Api {
    /// Calls over `http`, whose address is that of the service.
    pub(super) fn new(http: Client, identity: Identity) -> Api {
        let mut base = http.base().clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Api { http, base, identity }
    }

    /// Who asks.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// `scheme://host:port` of the service, for messages.
    pub(super) fn origin(&self) -> String {
        self.http.origin()
    }

    /// The call of what lies at `path` below the files of the dialect.
    pub(super) fn call(&self, op: &'static str, method: Method, path: &[&str]) -> Call {
        let files: &[&str] = match self.identity.dialect {
            Dialect::Native => &["files", "v1", "files"],
            Dialect::OpenAi => &["v1", "files"],
        };
        self.call_at(op, method, &[files, path].concat())
    }

    /// The call that asks where a file can be downloaded; its address has a colon where others have a slash.
    pub(super) fn call_for_url(&self, op: &'static str, id: &str) -> Call {
        self.call_at(op, Method::Get, &["files", "v1", "files:getUrl"]).query([("fileId", id)])
    }

    fn call_at(&self, op: &'static str, method: Method, path: &[&str]) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        // Content may be private; the service keeps requests unless it is told not to.
        let call =
            Call::new(&self.http, op, method, url).header("accept", JSON).header("x-data-logging-enabled", "false");
        if self.identity.dialect != Dialect::OpenAi {
            return call;
        }
        let folder = &self.identity.folder;
        call.header("openai-project", folder).header("x-folder-id", folder)
    }

    /// Sends what `make` makes, again where it was not let in and there is another way; the answer as it came.
    pub(super) async fn send(&self, make: impl Fn() -> Call + Send + Sync) -> Result<Answer> {
        let mut pass = self.identity.signer.pass().await.map_err(|error| self.explained(error))?;
        loop {
            let Call { repeatable: only_reads, request, .. } = make();
            let answer = match pass.sign(request).send().await {
                Ok(answer) => answer,
                // Half a request is half a JSON or half a form: nothing can be made of it.
                Err(failure) if failure.body_cut && failure.error.in_doubt() => {
                    return Err(failure.error.retry(Retry::After(Duration::ZERO)));
                }
                Err(failure) => return Err(failure.error),
            };
            match answer.status() {
                401 => {
                    let refusal = Refusal::read(answer, only_reads).await;
                    let refused = self.identity.signer.refused(&pass, &refusal.message).await;
                    pass = refused.map_err(|error| self.explained(error))?;
                }
                500..=599 => return Ok(answer),
                _ => {
                    self.identity.signer.accepted(&pass);
                    return Ok(answer);
                }
            }
        }
    }

    /// The same, and reads the answer.
    pub(super) async fn exchange<T: DeserializeOwned>(
        &self,
        make: impl Fn() -> Call + Send + Sync,
    ) -> Result<T, Trouble> {
        let Call { op, repeatable: only_reads, .. } = make();
        let answer = self.send(&make).await?;
        if !(200..300).contains(&answer.status()) {
            return Err(Trouble::Refused(Refusal::read(answer, only_reads).await));
        }
        let doubt = if only_reads { Retry::After(Duration::ZERO) } else { Retry::AskFirst };
        let unlike = |why: String| {
            let error = Error::new(Kind::Protocol, op, format!("{} answers {why}", self.origin()));
            Trouble::Failed(error.retry(doubt).hint("is url the address of the API?"))
        };
        if answer.is_html() {
            return Err(unlike("with a web page".to_owned()));
        }
        let body = answer.body(JSON_BYTES_MAX).await.map_err(|error| match error.retry {
            Retry::Never => error,
            _ => error.retry(doubt),
        })?;
        serde_json::from_slice(&body).map_err(|error| unlike(format!("something else than expected: {error}")))
    }

    fn explained(&self, error: Error) -> Error {
        // What the signer says names the token file; what kind of token belongs there is said here.
        if error.kind != Kind::SignedOut {
            return error;
        }
        let advice = self.identity.look.advice();
        let hint = error.hint.as_ref().map_or(advice.to_owned(), |hint| format!("{hint}; {advice}"));
        error.hint(hint)
    }
}

/// A fresh UUID (version 4), as the service wants names of requests to look.
pub(super) fn uuid() -> String {
    let random = fastrand::u128(..);
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_requests_are_uuids() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        let lens: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lens, [8, 4, 4, 4, 12], "{one}");
        assert_eq!(&one[14..15], "4", "{one}");
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"), "{one}");
    }
}
