//! What an upload notes in the labels of its file: the size, which the service does not tell; the SHA-256, for people and
//! other programs; and a name of the upload, by which a file whose answer was lost is recognised. Pure.
//!
//! Values of labels have at most 63 characters of `[-_0-9a-z]` by the vendor's general rule, so the 64 digits of a SHA-256
//! stand in two halves.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The name of the upload.
const UPLOAD: &str = "uploadfs_id";
/// The size of the file, in bytes.
const SIZE: &str = "uploadfs_size";
/// The first 32 digits of the SHA-256.
const SHA256_HEAD: &str = "uploadfs_sha256_head";
/// The other 32.
const SHA256_TAIL: &str = "uploadfs_sha256_tail";

/// What a file's labels say about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// The name of the upload that made it.
    pub(super) upload: Option<String>,
    /// In bytes.
    pub(super) size: Option<u64>,
}

/// Reads the labels of a file; what is none of ours, or makes no sense, says nothing.
pub(super) fn read(labels: &BTreeMap<String, String>) -> Noted {
    let is_number = |text: &&String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    Noted {
        upload: labels.get(UPLOAD).cloned(),
        size: labels.get(SIZE).filter(is_number).and_then(|size| size.parse().ok()),
    }
}

/// The labels of an upload.
pub(super) fn write(upload: &str, size: u64, sha256: &[u8; 32]) -> BTreeMap<&'static str, String> {
    let (head, tail) = sha256.split_at(16);
    BTreeMap::from([
        (UPLOAD, upload.to_owned()),
        (SIZE, size.to_string()),
        (SHA256_HEAD, hex(head)),
        (SHA256_TAIL, hex(tail)),
    ])
}

/// Bytes as two digits each.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::yandex_cloud::api::uuid;

    #[test]
    fn labels_come_back_and_keep_the_vendors_rule() {
        let upload = uuid();
        let labels = write(&upload, u64::MAX, &[0xab; 32]);
        let fits =
            |text: &str| text.len() <= 63 && text.chars().all(|c| matches!(c, '-' | '_' | '0'..='9' | 'a'..='z'));
        for (key, value) in &labels {
            assert!(fits(key) && fits(value) && key.starts_with(|c: char| c.is_ascii_lowercase()), "{key}={value}");
        }
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(read(&labels), Noted { upload: Some(upload), size: Some(u64::MAX) });
    }

    #[test]
    fn labels_of_others_say_nothing() {
        let labels = |size: &str| BTreeMap::from([(SIZE.to_owned(), size.to_owned()), ("size".into(), "9".into())]);
        for size in ["", "-1", "+9", "9 ", "big", "99999999999999999999"] {
            assert_eq!(read(&labels(size)), Noted::default(), "{size:?}");
        }
        assert_eq!(read(&labels("0")).size, Some(0));
    }
}
