//! The answers of the API as types: only the members that are used, numbers as strings or as numbers, and entries of a
//! list each on its own, so that one bad entry never hides the rest.

use std::time::SystemTime;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::service::{Node, NodeKind, Sha1Digest};

/// The part of any answer that says it is a refusal.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Errors {
    /// `errorformat=raw`.
    #[serde(default)]
    pub(super) errors: Vec<ApiError>,
    /// The older shape, which a few answers keep whatever was asked for.
    #[serde(default)]
    pub(super) error: Option<ApiError>,
}

/// One error of the API.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ApiError {
    pub(super) code: String,
    /// The message key: it tells apart what shares a code, in every language.
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) params: Vec<serde_json::Value>,
    /// A text, in the older shape only.
    #[serde(default)]
    pub(super) info: String,
    #[serde(default)]
    pub(super) data: ErrorData,
}

/// What comes with an error. Siblings not named here are not used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorData {
    /// The byte the server wants next.
    #[serde(deserialize_with = "number")]
    pub(super) offset: Option<u64>,
    /// The limit in bytes, with `code` "inisize".
    #[serde(deserialize_with = "number")]
    pub(super) size: Option<u64>,
    /// What kind of `badupload`.
    pub(super) code: Option<String>,
    /// With `badtags`.
    pub(super) disallowedtags: Vec<String>,
    pub(super) readonlyreason: Option<String>,
    pub(super) blockinfo: Option<BlockInfo>,
}

/// Why an account is blocked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BlockInfo {
    pub(super) blockreason: String,
    pub(super) blockexpiry: String,
}

/// An answer of `action=upload`.
#[derive(Debug, Deserialize)]
pub(super) struct UploadAnswer {
    pub(super) upload: Upload,
}

/// What became of an upload request.
#[derive(Debug, Deserialize)]
pub(super) struct Upload {
    pub(super) result: String,
    /// Of what is left to the job queue: `queued`, then what is being done.
    #[serde(default)]
    pub(super) stage: String,
    #[serde(default)]
    pub(super) filekey: Option<String>,
    #[serde(default)]
    pub(super) filename: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub(super) offset: Option<u64>,
    #[serde(default)]
    pub(super) imageinfo: Option<Image>,
}

impl Upload {
    /// Whether it was left to the wiki's job queue.
    pub(super) fn is_queued(&self) -> bool {
        self.result == "Poll"
    }
}

/// A file, from an upload answer, `imageinfo`, `allimages` or `stashimageinfo`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Image {
    /// In `allimages` only; with underscores.
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, deserialize_with = "number")]
    pub(super) size: Option<u64>,
    #[serde(default)]
    pub(super) sha1: String,
    #[serde(default)]
    pub(super) timestamp: String,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) descriptionurl: String,
    #[serde(default)]
    pub(super) canonicaltitle: String,
    /// Who uploaded it.
    #[serde(default)]
    pub(super) user: String,
}

impl Image {
    /// The SHA-1, when there is one.
    pub(super) fn digest(&self) -> Option<Sha1Digest> {
        Sha1Digest::from_hex(&self.sha1)
    }

    /// The file as the rest of the program sees it; `None` when size or address are missing.
    pub(super) fn node(&self, name: String) -> Option<Node> {
        if self.url.is_empty() {
            return None;
        }
        Some(Node {
            name,
            kind: NodeKind::File,
            size: self.size?,
            modified: time_of(&self.timestamp),
            // The content, not the moment: a new version with the same bytes is the same to every reader.
            version: self.sha1.clone(),
            id: self.url.clone(),
            url: (!self.descriptionurl.is_empty()).then(|| self.descriptionurl.clone()),
            sha1: self.digest(),
            expires: None,
        })
    }
}

/// The server's clock; the epoch when it makes no sense, because a file with a strange date is still a file.
fn time_of(timestamp: &str) -> SystemTime {
    OffsetDateTime::parse(timestamp, &Rfc3339).map_or(SystemTime::UNIX_EPOCH, Into::into)
}

/// An answer of `action=query`.
#[derive(Debug, Deserialize)]
pub(super) struct Query<T> {
    pub(super) query: T,
    #[serde(rename = "continue", default)]
    pub(super) more: Option<Continue>,
}

/// Where a list goes on.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Continue {
    pub(super) aicontinue: Option<String>,
    pub(super) msfcontinue: Option<String>,
}

/// An entry of a list, or something that was not understood.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Entry<T> {
    Good(T),
    Bad(IgnoredAny),
}

impl<T> Entry<T> {
    pub(super) fn good(self) -> Option<T> {
        match self {
            Entry::Good(entry) => Some(entry),
            Entry::Bad(_) => None,
        }
    }
}

/// `list=allimages`.
#[derive(Debug, Deserialize)]
pub(super) struct AllImages {
    pub(super) allimages: Vec<Entry<Image>>,
}

/// `prop=imageinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct Pages {
    #[serde(default)]
    pub(super) pages: Vec<FilePage>,
}

/// One page of the File namespace.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FilePage {
    pub(super) title: String,
    pub(super) missing: bool,
    /// What would be said to an action on the page, by action; empty for what is allowed.
    /// Older wikis say true or false instead.
    pub(super) actions: serde_json::Value,
    /// `local`, `shared` (another wiki's file shown here), or empty.
    pub(super) imagerepository: String,
    pub(super) imageinfo: Vec<Image>,
}

/// `list=mystashedfiles`.
#[derive(Debug, Deserialize)]
pub(super) struct Stash {
    #[serde(default)]
    pub(super) mystashedfiles: Vec<Stashed>,
}

/// One stashed file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stashed {
    pub(super) filekey: String,
    /// `chunks` or `finished`.
    pub(super) status: String,
    #[serde(deserialize_with = "number")]
    pub(super) size: Option<u64>,
}

/// `prop=stashimageinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct StashImages {
    #[serde(default)]
    pub(super) stashimageinfo: Vec<Image>,
}

/// A number that may come as a string; nothing when it is neither, or not a size.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
        Other(IgnoredAny),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Number(number) => Some(number),
        Either::Text(text) => text.parse().ok(),
        Either::Other(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn numbers_come_in_both_shapes() {
        let offset = |json: &str| serde_json::from_str::<ErrorData>(json).unwrap().offset;
        assert_eq!(offset(r#"{"offset":"4096"}"#), Some(4096));
        assert_eq!(offset(r#"{"offset":4096}"#), Some(4096));
        for odd in [r#"{}"#, r#"{"offset":-1}"#, r#"{"offset":"12x"}"#, r#"{"offset":null}"#, r#"{"offset":1.5}"#] {
            assert_eq!(offset(odd), None, "{odd}");
        }
    }

    #[test]
    fn one_bad_entry_does_not_hide_the_rest() {
        let json = r#"{"allimages":[{"name":"A.bin","size":1},{"name":7},null,"x",{"name":"B.bin","size":"2"}]}"#;
        let names: Vec<_> = serde_json::from_str::<AllImages>(json)
            .unwrap()
            .allimages
            .into_iter()
            .filter_map(Entry::good)
            .map(|image| (image.name, image.size))
            .collect();
        assert_eq!(names, [("A.bin".to_owned(), Some(1)), ("B.bin".to_owned(), Some(2))]);
    }

    #[test]
    fn a_strange_date_is_not_the_end_of_a_file() {
        assert_eq!(time_of("1970-01-01T00:00:10Z"), SystemTime::UNIX_EPOCH + Duration::from_secs(10));
        for odd in ["", "infinity", "9999999-01-01T00:00:00Z"] {
            assert_eq!(time_of(odd), SystemTime::UNIX_EPOCH);
        }
    }
}
