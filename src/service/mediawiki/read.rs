//! Reading a published file by ranges. The address of the current version stays the same while the content behind it
//! changes, so every answer must prove that it belongs to the version the reader knows: by the `ETag` that was seen
//! together with that version, sent back as `If-Range`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use url::Url;

use super::MediaWiki;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Method, Request, Rest};
use crate::path::RemotePath;
use crate::service::Node;

/// The operation, in errors.
const OP: &str = "read";
/// MediaWiki accepts bot passwords and OAuth tokens for its API alone; the script that guards the files of a private wiki is
/// not part of it.
const API_ONLY: &str = "a bot password or token opens the API only: where img_auth.php guards the files, sign in with the \
                        account's own password";
/// Versions whose validator is remembered; when full, all are forgotten, which costs one look each.
const COUNT_MAX: usize = 4096;

/// The validator (`ETag` or `Last-Modified`) that belongs to a version of a file, by address and version.
#[derive(Default)]
pub(super) struct Validators(Mutex<HashMap<(String, String), String>>);

impl Validators {
    fn get(&self, node: &Node) -> Option<String> {
        let key = (node.id.clone(), node.version.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn set(&self, node: &Node, validator: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= COUNT_MAX {
            known.clear();
        }
        known.insert((node.id.clone(), node.version.clone()), validator);
    }
}

impl MediaWiki {
    /// Exactly the bytes `range` of `node`.
    pub(super) async fn read_file(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        self.connect().await?;
        if range.end > node.size {
            return Err(Error::new(Kind::Invalid, OP, format!("{path} ends before byte {}", range.end)));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let known = self.validators.get(node);
        let mut answer = self.download(node, &range, known.as_deref())?.send().await?;
        if matches!(answer.status(), 401 | 403) {
            // The session may have ended while nobody asked the API, which renews it.
            self.find(OP, path.name()).await?;
            answer = self.download(node, &range, known.as_deref())?.send().await?;
        }
        let validator = validator(&answer);
        if known.is_some() && known != validator {
            return Err(changed(path));
        }
        let bytes = take(answer, path, node, &range).await?;
        if known.is_none() {
            self.prove(path, node, validator).await?;
        }
        Ok(bytes)
    }

    /// Was the answer, which came before this look, of the version that is known? If the wiki still has that version,
    /// it was.
    async fn prove(&self, path: &RemotePath, node: &Node, validator: Option<String>) -> Result<()> {
        match self.find(OP, path.name()).await? {
            Some(now) if now.version == node.version => {
                if let Some(validator) = validator {
                    self.validators.set(node, validator);
                }
                Ok(())
            }
            Some(_) => Err(changed(path)),
            None => Err(Error::new(Kind::NotFound, OP, format!("{path} is not there any more"))),
        }
    }

    /// The request for `range` of `node`, in the version that `validator` belongs to.
    fn download(&self, node: &Node, range: &Range<u64>, validator: Option<&str>) -> Result<Request> {
        let http = self.sessions.api().http();
        let url: Url = http.base().join(&node.id).map_err(|error| {
            Error::new(Kind::Protocol, OP, format!("the wiki gives an address that is none: {error}")).source(error)
        })?;
        let mut request = http.request(OP, Method::Get, url);
        request = request.header("range", &format!("bytes={}-{}", range.start, range.end - 1));
        if let Some(validator) = validator {
            request = request.header("if-range", validator);
        }
        Ok(match self.sessions.api().bearer() {
            Some(token) => request.bearer(token),
            None => request,
        })
    }
}

/// The bytes from an answer that says where they stand.
async fn take(answer: Answer, path: &RemotePath, node: &Node, range: &Range<u64>) -> Result<Bytes> {
    let len = usize::try_from(range.end - range.start)
        .map_err(|_| Error::new(Kind::Invalid, OP, "more bytes at once than memory can hold"))?;
    match answer.status() {
        206 => match answer.content_range() {
            Some((_, total)) if total != node.size => Err(changed(path)),
            Some((got, _)) if got == *range => answer.bytes(0, len, Rest::Nothing).await,
            _ => {
                Err(Error::new(Kind::Corrupt, OP, format!("{path}: the server sends other bytes than were asked for")))
            }
        },
        200 if wiki_page(&answer, node) => {
            Err(Error::new(Kind::Protocol, OP, format!("{path}: the server sends a web page instead of the file")))
        }
        // The server knows no ranges, or has another version than the validator says.
        200 => match answer.header("content-length").and_then(|len| len.parse::<u64>().ok()) {
            Some(total) if total != node.size => Err(changed(path)),
            _ => answer.bytes(range.start, len, Rest::Ignored).await,
        },
        404 | 410 => Err(Error::new(Kind::NotFound, OP, format!("{path}: the file is not where the wiki says"))),
        416 => Err(changed(path)),
        401 | 403 => {
            let error = Error::new(Kind::Denied, OP, format!("{path}: the server does not hand out the file"));
            Err(error.hint(API_ONLY))
        }
        301..=308 => Err(elsewhere(&answer, path)),
        status => {
            let retry = Retry::After(answer.retry_after().unwrap_or_default());
            Err(Error::new(Kind::Server, OP, format!("{path}: the server answers HTTP {status}")).retry(retry))
        }
    }
}

/// A page of a sign-in portal comes with another length than the file has; files that are web pages themselves do not.
fn wiki_page(answer: &Answer, node: &Node) -> bool {
    let len = answer.header("content-length").and_then(|len| len.parse::<u64>().ok());
    answer.is_html() && len != Some(node.size)
}

fn validator(answer: &Answer) -> Option<String> {
    let strong = answer.header("etag").filter(|etag| !etag.starts_with("W/"));
    strong.or_else(|| answer.header("last-modified")).map(str::to_owned)
}

fn changed(path: &RemotePath) -> Error {
    Error::new(Kind::Conflict, OP, format!("{path} has another version by now"))
}

fn elsewhere(answer: &Answer, path: &RemotePath) -> Error {
    let place = answer.header("location").unwrap_or("somewhere");
    let place = place.split(['?', '#']).next().unwrap_or(place);
    Error::new(Kind::Protocol, OP, format!("{path}: the server sends us on to {place}, and we do not follow"))
}
