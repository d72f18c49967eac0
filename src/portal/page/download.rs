//! A file as the page's links give it: the newest version, whole, to be saved. Ranges are for clients of the service.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::text;
use super::view;
use crate::portal::serve::Served;

/// The file whose link ends so.
pub(super) fn answer(served: &Served, link_end: &str) -> Option<Response> {
    // Ids are compared as links have them, so that nothing from an address is ever decoded.
    let is_asked = |id: &str| text::percent_encoded(id) == link_end;
    let (file, content) = served.protocol.state().files.into_iter().find(|(file, _)| is_asked(&file.id))?;
    let bytes = content.bytes();
    let mut answer = Response::new(Body::from_stream(served.core.store.read(&content, 0..bytes)));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    // Whatever the name says it is.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    let (_, title) = view::split(&file.path);
    headers.insert(header::CONTENT_DISPOSITION, text::attachment(title));
    Some(answer)
}
