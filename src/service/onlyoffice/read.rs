//! Reading a file by ranges, in the version that is known. A portal whose files are in an object store sends readers
//! there, to an address that is a proof by itself: they go there without any of their own.

use std::ops::Range;

use bytes::Bytes;

use super::Onlyoffice;
use super::answers::Id;
use super::codes::Refusal;
use super::index::Entry;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Method, Rest};
use crate::path::RemotePath;
use crate::service::Node;

/// The operation, in errors.
const OP: &str = "read";

impl Onlyoffice {
    /// Exactly the bytes `range` of `node`.
    pub(super) async fn read_file(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        if range.end > node.size {
            return Err(Error::new(Kind::Invalid, OP, format!("{path} ends before byte {}", range.end)));
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let answer = self.download(node, &range).await?;
        let len = usize::try_from(range.end - range.start)
            .map_err(|_| Error::new(Kind::Invalid, OP, "more bytes at once than memory can hold"))?;
        match answer.status() {
            206 => match answer.content_range() {
                Some((_, total)) if total != node.size => Err(changed(path)),
                Some((got, _)) if got == range => answer.bytes(0, len, Rest::Nothing).await,
                _ => {
                    let what = format!("{path}: the portal sends other bytes than were asked for");
                    Err(Error::new(Kind::Corrupt, OP, what))
                }
            },
            // The whole file, or a server that knows no ranges.
            200 => match answer.header("content-length").and_then(|len| len.parse::<u64>().ok()) {
                Some(total) if total != node.size => Err(changed(path)),
                _ => answer.bytes(range.start, len, Rest::Ignored).await,
            },
            _ => Err(self.not_read(path, node, answer).await),
        }
    }

    /// Asks for the bytes, and goes where it is sent.
    async fn download(&self, node: &Node, range: &Range<u64>) -> Result<Answer> {
        let community = self.site().version.generation().is_community();
        let handler: &[&str] = match community {
            true => &["Products", "Files", "HttpHandlers", "filehandler.ashx"],
            false => &["filehandler.ashx"],
        };
        let span = format!("bytes={}-{}", range.start, range.end - 1);
        let version = node.version.split('.').next().unwrap_or_default();
        let answer = self.sessions.fetch(|api| {
            let call = api.call_to(OP, Method::Get, api.url(handler)).header("range", &span);
            call.query([("action", "download"), ("fileid", node.id.as_str()), ("version", version)])
        });
        let answer = answer.await?;
        match answer.status() {
            301..=303 | 307 | 308 => self.guests.follow(OP, &answer, |request| request.header("range", &span)).await,
            _ => Ok(answer),
        }
    }

    async fn not_read(&self, path: &RemotePath, node: &Node, answer: Answer) -> Error {
        let (status, wait) = (answer.status(), answer.retry_after());
        match status {
            404 | 410 => gone(path),
            // Beyond the end, among other things: is it another file by now?
            400 | 403 | 416 => match self.file_by_id(OP, &Id::new(&node.id)).await {
                Ok(None) => gone(path),
                Ok(Some(file)) if Entry::of_file(file.clone()).stamp() != node.version => changed(path),
                Ok(Some(_)) if status == 403 => {
                    Error::new(Kind::Denied, OP, format!("{path}: the portal does not hand out the file"))
                }
                Ok(Some(_)) => Error::new(Kind::Protocol, OP, format!("{path}: the portal answers HTTP {status}")),
                Err(error) => error,
            },
            _ => {
                let refusal = Refusal { status, message: String::new(), wait, only_reads: true };
                refusal.into_error(OP)
            }
        }
    }
}

fn changed(path: &RemotePath) -> Error {
    Error::new(Kind::Conflict, OP, format!("{path} has another version by now"))
}

fn gone(path: &RemotePath) -> Error {
    Error::new(Kind::NotFound, OP, format!("{path} is not there any more")).retry(Retry::Never)
}
