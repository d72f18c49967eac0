//! Downloads: the handler, its ranges, and the object store behind it with its presigned addresses.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::auth::Who;
use super::calls::STORED_PREFIX;
use super::config::Storage;
use super::envelope;
use super::ranges;
use super::server::{Asked, Server};
use crate::portal::store::Content;

/// How long a presigned address is good, in seconds.
const PRESIGNED_S: i64 = 3600;

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
        let host = foreign_host(&asked.base);
        let expires = asked.now.unix_timestamp() + PRESIGNED_S;
        let address =
            format!("{host}{STORED_PREFIX}{key}?X-Amz-Expires={expires}&X-Amz-Signature={}", signature(key, expires));
        let mut answer = refused(StatusCode::FOUND, "");
        answer.headers_mut().insert(header::LOCATION, address.parse().expect("it is made of plain characters"));
        answer
    }

    /// A presigned address.
    pub(super) fn stored(&self, asked: &Asked) -> Response {
        if asked.parts.headers.contains_key(header::AUTHORIZATION) || asked.parts.headers.contains_key(header::COOKIE) {
            self.violation(asked, "credentials were sent to the object store");
            return refused(StatusCode::BAD_REQUEST, "<Error><Code>InvalidArgument</Code></Error>");
        }
        let key = asked.parts.uri.path().strip_prefix(STORED_PREFIX).unwrap_or_default();
        let expires = asked.query.number("X-Amz-Expires").unwrap_or(0);
        let is_signed = asked.query.text("X-Amz-Signature") == Some(signature(key, expires).as_str());
        if !is_signed || expires < asked.now.unix_timestamp() {
            return refused(StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>");
        }
        let found = key.split_once('-').and_then(|(file, version)| {
            let (file, version) = (file.parse().ok()?, version.parse().ok()?);
            let office = self.office();
            let file = office.tree.file(file)?;
            Some((file.revision(version)?.content.clone(), file.title.clone()))
        });
        match found {
            Some((content, title)) => self.send(asked, &content, &title),
            None => refused(StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>"),
        }
    }
}

/// The same server by another name.
fn foreign_host(base: &str) -> String {
    if base.contains("127.0.0.1") {
        base.replace("127.0.0.1", "localhost")
    } else {
        base.replace("localhost", "127.0.0.1")
    }
}

/// Tells a presigned address from an invented one; it is no secret.
fn signature(key: &str, expires: i64) -> String {
    let text = format!("{key}:{expires}");
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{sum:016x}")
}

fn refused(status: StatusCode, text: &str) -> Response {
    let mut answer = envelope::plain(status.as_u16(), text);
    if text.starts_with('<') {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_store_is_another_host() {
        assert_eq!(foreign_host("http://127.0.0.1:80"), "http://localhost:80");
        assert_eq!(foreign_host("http://localhost:80"), "http://127.0.0.1:80");
    }

    #[test]
    fn a_signature_is_of_its_key_and_time() {
        assert_eq!(signature("1-1", 5), signature("1-1", 5));
        assert_ne!(signature("1-1", 5), signature("1-2", 5));
        assert_ne!(signature("1-1", 5), signature("1-1", 6));
    }
}
