//! The storage port: the second address of a portal, where a service that keeps its files in an object store sends those
//! who download. What it answers, it answers to signed addresses, for an hour, and to nobody who shows a credential: the
//! signature is the credential, and a client that sends its own has told it to a stranger.
//!
//! A service describes what lies behind a key ([`Stored`]) and signs addresses ([`StoragePort::presigned`]); the rest is
//! here. The answers are those of S3. Requests are of the kind `stored` for faults and counters.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::ranges;
use super::serve::Served;
use super::store::Content;

/// The kind of every request to the port.
pub(super) const KIND: &str = "stored";

/// How long an address is good.
const LIFE: Duration = Duration::HOUR;

/// How signed addresses write the moment of their making.
const DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// How answers write a moment.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Something that a service keeps behind the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) content: Content,
    /// The media type.
    pub(super) mime: String,
    /// The MD5 of the content in hexadecimal, where the service knows it: the ETag of what was put in one piece.
    pub(super) md5: Option<String>,
    /// When it was put, where the service tells.
    pub(super) modified: Option<OffsetDateTime>,
}

/// The port, with what its signatures are made of.
#[derive(Debug)]
pub(super) struct StoragePort {
    address: SocketAddr,
    secret: u128,
}

impl StoragePort {
    pub(super) fn new(address: SocketAddr) -> Self {
        StoragePort { address, secret: fastrand::u128(..) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address from which everybody can read what lies behind `key` during the next hour, with this
    /// Content-Disposition, or with none where it is empty.
    pub(super) fn presigned(&self, key: &str, disposition: &str, now: OffsetDateTime) -> String {
        let date = now.format(DATE).expect("a moment has every part of the format");
        let signature = self.signature(key, disposition, &date);
        let disposition: String = match disposition {
            "" => String::new(),
            some => {
                let some: String = url::form_urlencoded::byte_serialize(some.as_bytes()).collect();
                format!("response-content-disposition={some}&")
            }
        };
        format!(
            "http://{}/{key}?{disposition}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-Expires={}\
             &X-Amz-SignedHeaders=host&X-Amz-Signature={signature}",
            self.address,
            LIFE.whole_seconds(),
        )
    }

    /// Tells a signed address from an invented one.
    fn signature(&self, key: &str, disposition: &str, date: &str) -> String {
        let digest = Sha256::digest(format!("{:x}\n{key}\n{disposition}\n{date}", self.secret));
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key and the disposition of an address, if it is signed and still good.
    ///
    /// # Errors
    /// S3's code for what is wrong with it.
    fn open(&self, request: &Request<Body>, now: OffsetDateTime) -> Result<(String, String), &'static str> {
        let uri = request.uri();
        let (mut disposition, mut date, mut signature) = (String::new(), String::new(), String::new());
        for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "response-content-disposition" => disposition = value.into_owned(),
                "X-Amz-Date" => date = value.into_owned(),
                "X-Amz-Signature" => signature = value.into_owned(),
                _ => {}
            }
        }
        let key = uri.path().trim_start_matches('/').to_owned();
        // Only GET is signed.
        if signature != self.signature(&key, &disposition, &date) || request.method() != Method::GET {
            return Err("SignatureDoesNotMatch");
        }
        let made = PrimitiveDateTime::parse(&date, DATE).map_err(|_| "AccessDenied")?.assume_utc();
        if now - made >= LIFE { Err("AccessDenied") } else { Ok((key, disposition)) }
    }
}

/// The answer to a request at the port.
pub(super) fn answer(served: &Served, request: &Request<Body>) -> Response {
    let Served { core, protocol } = served;
    if shows_a_credential(request.headers()) {
        core.violations.record(KIND, "a credential was sent to the storage port");
        return refused(StatusCode::BAD_REQUEST, "InvalidArgument", "Only one auth mechanism allowed");
    }
    let (key, disposition) = match core.storage.open(request, core.clock.now()) {
        Ok(opened) => opened,
        Err(code) => return refused(StatusCode::FORBIDDEN, code, "Access Denied"),
    };
    let Some(stored) = protocol.stored(&key) else {
        return refused(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
    };
    let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
    let asked = ranges::read(range, stored.content.bytes());
    if asked == ranges::Asked::Behind {
        let message = "The requested range is not satisfiable";
        return refused(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message);
    }
    let mut answer = ranges::answer(&core.store, &stored.content, asked);
    let headers = answer.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let modified = stored.modified.and_then(|moment| moment.to_offset(UtcOffset::UTC).format(HTTP_DATE).ok());
    for (name, value) in [
        (header::CONTENT_TYPE, Some(stored.mime)),
        (header::CONTENT_DISPOSITION, Some(disposition).filter(|disposition| !disposition.is_empty())),
        (header::ETAG, stored.md5.map(|md5| format!("\"{md5}\""))),
        (header::LAST_MODIFIED, modified),
    ] {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    answer
}

fn shows_a_credential(headers: &HeaderMap) -> bool {
    [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE].iter().any(|name| headers.contains_key(name))
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn port() -> StoragePort {
        StoragePort::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))
    }

    fn open(port: &StoragePort, method: &str, address: &str, now: OffsetDateTime) -> Result<String, &'static str> {
        let request = Request::builder().method(method).uri(address).body(Body::empty()).unwrap();
        port.open(&request, now).map(|(key, disposition)| format!("{key} {disposition}"))
    }

    #[test]
    fn a_signed_address_is_good_for_an_hour() {
        let port = port();
        let address = port.presigned("files/7", "inline; filename=\"a b\"", NOW);
        assert!(address.starts_with("http://127.0.0.1:80/files/7?"), "{address}");
        let expected = Ok("files/7 inline; filename=\"a b\"".to_owned());
        assert_eq!(open(&port, "GET", &address, NOW + LIFE - Duration::SECOND), expected);
        assert_eq!(open(&port, "GET", &address, NOW + LIFE), Err("AccessDenied"));
    }

    #[test]
    fn everything_in_an_address_is_signed() {
        let port = port();
        let address = port.presigned("files/7", "inline", NOW);
        for wrong in [
            address.replace("files/7", "files/8"),
            address.replace("inline", "attachment"),
            address.replace("19700101", "20700101"),
            address.replace("X-Amz-Signature", "X-Signature"),
        ] {
            assert_eq!(open(&port, "GET", &wrong, NOW), Err("SignatureDoesNotMatch"), "{wrong}");
        }
        assert_eq!(open(&port, "HEAD", &address, NOW), Err("SignatureDoesNotMatch"));
        let other = StoragePort::new(port.address());
        assert_eq!(open(&other, "GET", &address, NOW), Err("SignatureDoesNotMatch"), "every port has its own secret");
    }

    #[test]
    fn the_headers_that_are_credentials() {
        for (name, expected) in [("authorization", true), ("cookie", true), ("x-org-id", false)] {
            let headers: HeaderMap = [(name.parse().unwrap(), HeaderValue::from_static("x"))].into_iter().collect();
            assert_eq!(shows_a_credential(&headers), expected, "{name}");
        }
    }
}
