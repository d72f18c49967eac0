//! Media types: those that the service documents, and what it makes of bytes that nobody has named.

/// What stands for bytes that are nothing in particular.
pub(super) const BYTES: &str = "application/octet-stream";

/// How many bytes of a file are looked at.
pub(super) const HEAD_BYTES: usize = 512;

/// The types that the vendor lists by name.
const LISTED: [&str; 14] = [
    "application/json",
    "application/jsonl",
    "application/jsonlines",
    "application/msword",
    "application/pdf",
    "application/rtf",
    "application/x-latex",
    "application/xhtml+xml",
    "application/xml",
    "text/csv",
    "text/html",
    "text/markdown",
    "text/plain",
    "text/xml",
];

/// What the listed types of offices, sound and film begin with.
const LISTED_FAMILIES: [&str; 4] =
    ["application/vnd.ms-", "application/vnd.openxmlformats-officedocument.", "audio/", "video/"];

/// What files of a type begin with.
const MAGIC: [(&[u8], &str); 10] = [
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"\xd0\xcf\x11\xe0", "application/msword"),
];

/// The type without its parameters, in small letters.
fn plain(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether the vendor lists a type.
pub(super) fn is_listed(mime: &str) -> bool {
    let mime = plain(mime);
    LISTED.contains(&mime.as_str()) || LISTED_FAMILIES.iter().any(|family| mime.starts_with(family))
}

/// The type of bytes that begin so.
pub(super) fn of_content(head: &[u8]) -> &'static str {
    if let Some((_, mime)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return mime;
    }
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut where the head ends.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return BYTES,
    };
    if valid.contains(|c: char| c.is_control() && !c.is_ascii_whitespace()) {
        return BYTES;
    }
    let start = valid.trim_start().to_ascii_lowercase();
    match start.as_str() {
        _ if start.starts_with("<?xml") => "text/xml",
        _ if start.starts_with("<!doctype html") || start.starts_with("<html") => "text/html",
        _ => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_types_are_listed() {
        for mime in [
            "text/plain",
            "Text/Plain; charset=utf-8",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "audio/mpeg",
            "video/mp4",
        ] {
            assert!(is_listed(mime), "{mime}");
        }
        for mime in [BYTES, "application/zip", "image/png", "", "text/x-rust"] {
            assert!(!is_listed(mime), "{mime}");
        }
    }

    #[test]
    fn bytes_show_what_they_are() {
        for (head, expected) in [
            (&b"test file"[..], "text/plain"),
            (b"", "text/plain"),
            ("Привет".as_bytes(), "text/plain"),
            (&"Привет".as_bytes()[..5], "text/plain"),
            (b" <!DOCTYPE HTML>", "text/html"),
            (b"<?xml version=\"1.0\"?>", "text/xml"),
            (b"%PDF-1.7\n\xff", "application/pdf"),
            (b"PK\x03\x04rest", "application/zip"),
            (b"a\0b", BYTES),
            (b"\xff\xfe\xfd", BYTES),
        ] {
            assert_eq!(of_content(head), expected, "{head:?}");
        }
    }
}
