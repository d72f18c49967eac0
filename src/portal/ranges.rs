//! Ranges of answers as RFC 9110 has them, for servers that keep to it: one range is a part, what begins behind the end is
//! refused, and whatever is not understood is ignored.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::store::{Content, Store};

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Everything: there is no header, or none that is understood.
    Whole,
    /// These bytes; never none.
    Part(Range<u64>),
    /// Bytes that are not there.
    Behind,
}

/// Reads the header for something of `bytes`. Lists of ranges count as not understood.
pub(super) fn read(header: Option<&str>, bytes: u64) -> Asked {
    let Some((first, last)) = header.and_then(|header| header.trim().strip_prefix("bytes=")?.split_once('-')) else {
        return Asked::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (number(first), number(last)) {
        (None, Some(length)) if first.trim().is_empty() => (bytes.saturating_sub(length), bytes),
        (Some(start), None) if last.trim().is_empty() => (start, bytes),
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(bytes)),
        _ => return Asked::Whole,
    };
    if start < end { Asked::Part(start..end) } else { Asked::Behind }
}

/// `content`, or what was asked for of it, with the headers that say so.
pub(super) fn answer(store: &Arc<Store>, content: &Content, asked: Asked) -> Response {
    let bytes = content.bytes();
    let range = match asked {
        Asked::Whole => 0..bytes,
        Asked::Part(range) => range,
        Asked::Behind => {
            let mut answer = Response::default();
            *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            answer.headers_mut().insert(header::CONTENT_RANGE, text(format!("bytes */{bytes}")));
            return answer;
        }
    };
    let length = range.end - range.start;
    let mut answer = Response::new(Body::from_stream(store.read(content, range.clone())));
    if length < bytes {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let told = text(format!("bytes {}-{}/{bytes}", range.start, range.end - 1));
        answer.headers_mut().insert(header::CONTENT_RANGE, told);
    }
    answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    answer
}

fn text(text: String) -> HeaderValue {
    text.parse().expect("numbers are a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        for (header, expected) in [
            ("bytes=0-", Asked::Part(0..10)),
            ("bytes=3-5", Asked::Part(3..6)),
            ("bytes=9-99", Asked::Part(9..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=10-", Asked::Behind),
            ("bytes=-0", Asked::Behind),
            ("bytes=5-3", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("lines=1-2", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(read(Some(header), 10), expected, "{header}");
        }
        assert_eq!(read(None, 10), Asked::Whole);
        assert_eq!(read(Some("bytes=0-"), 0), Asked::Behind);
    }
}
