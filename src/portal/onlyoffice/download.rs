//! Downloads: the handler, its ranges, and what the object store behind it has.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::auth::Who;
use super::config::Storage;
use super::envelope;
use super::ranges;
use super::server::{Asked, Server};
use crate::portal::storage::Stored;
use crate::portal::store::Content;

impl Server {
    /// `filehandler.ashx?action=download&fileid=...`.
    pub(super) fn download(&self, asked: &Asked) -> Response {
        let action = asked.query.text("action").unwrap_or_default().to_lowercase();
        if !matches!(action.as_str(), "download" | "view" | "stream") {
            return refused(StatusCode::BAD_REQUEST, "<p>There is no such action</p>");
        }
        if asked.who == Who::Stranger {
            return refused(StatusCode::FORBIDDEN, "You don't have enough permission to perform the operation");
        }
        let office = self.office();
        let number = |name| asked.query.number(name).and_then(|number| u64::try_from(number).ok());
        let file = number("fileid").and_then(|id| office.tree.file(id));
        let revision = file.and_then(|file| match number("version").filter(|version| *version > 0) {
            None => Some(file.current()),
            Some(version) => file.revision(u32::try_from(version).ok()?),
        });
        let (Some(file), Some(revision)) = (file, revision) else {
            return refused(StatusCode::NOT_FOUND, "");
        };
        let (content, title) = (revision.content.clone(), file.title.clone());
        let key = format!("{}-{}", file.id, revision.version);
        drop(office);
        match asked.settings.storage {
            Storage::Disk => self.send(asked, &content, &title),
            Storage::S3 => self.redirect(asked, &key),
        }
    }

    /// The bytes, or a range of them.
    fn send(&self, asked: &Asked, content: &Content, title: &str) -> Response {
        let bytes = content.bytes();
        let range = match asked.header(header::RANGE) {
            None => 0..bytes,
            Some(text) => match ranges::read(text, bytes) {
                Some(range) => range,
                None => {
                    self.violation(asked, format!("the range {text:?} of {bytes} bytes"));
                    return refused(StatusCode::BAD_REQUEST, "<p>The requested range is not satisfiable</p>");
                }
            },
        };
        let is_part = range.end - range.start < bytes;
        let mut answer = Response::new(Body::from_stream(self.core.store.read(content, range.clone())));
        let is_community = self.version.is_community();
        if is_part {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        let headers = answer.headers_mut();
        // DocSpace tells the range of a part only.
        if bytes > 0 && (is_part || is_community) {
            let text = format!("bytes {}-{}/{bytes}", range.start, range.end - 1);
            headers.insert(header::CONTENT_RANGE, text.parse().expect("numbers are a header's value"));
        }
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let name: String = url::form_urlencoded::byte_serialize(title.as_bytes()).collect();
        let disposition = format!("attachment; filename*=UTF-8''{}", name.replace('+', "%20"));
        headers.insert(header::CONTENT_DISPOSITION, disposition.parse().expect("it is percent-encoded"));
        answer
    }

    /// To the object store, which is another host, as far as a client can tell.
    fn redirect(&self, asked: &Asked, key: &str) -> Response {
        let address = self.core.storage.presigned(key, "attachment", asked.now);
        let mut answer = refused(StatusCode::FOUND, "");
        answer.headers_mut().insert(header::LOCATION, address.parse().expect("it is made of plain characters"));
        answer
    }

    /// What the object store has behind a key: a file's number and a version.
    pub(super) fn stored(&self, key: &str) -> Option<Stored> {
        let (file, version) = key.split_once('-')?;
        let (file, version) = (file.parse().ok()?, version.parse().ok()?);
        let office = self.office();
        let content = office.tree.file(file)?.revision(version)?.content.clone();
        Some(Stored { content, mime: "application/octet-stream".to_owned(), md5: None, modified: None })
    }
}

fn refused(status: StatusCode, text: &str) -> Response {
    let mut answer = envelope::plain(status.as_u16(), text);
    if text.starts_with('<') {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    }
    answer
}
