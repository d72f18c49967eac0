//! What an upload leaves in the wiki's log and pages: summary, page text, change tags. Templates are filled in here; a tag
//! that the wiki does not have costs one warning, never an upload.

use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use super::answers::ApiError;
use super::codes;
use crate::path::RemotePath;

/// The notes of one remote.
pub(super) struct Notes {
    comment: String,
    text: Option<String>,
    /// Those the wiki has not refused.
    tags: Mutex<Vec<String>>,
}

impl Notes {
    pub(super) fn new(comment: String, text: Option<String>, tags: Vec<String>) -> Notes {
        Notes { comment, text, tags: Mutex::new(tags) }
    }

    /// The summary of something done to `path` by `account`.
    pub(super) fn comment(&self, path: &RemotePath, account: &str) -> String {
        fill(&self.comment, path, account, OffsetDateTime::now_utc())
    }

    /// The text of the page of a new file.
    pub(super) fn text(&self, path: &RemotePath, account: &str) -> Option<String> {
        self.text.as_ref().map(|text| fill(text, path, account, OffsetDateTime::now_utc()))
    }

    /// The tags, as a field has them; nothing when there are none.
    pub(super) fn tags(&self) -> Option<String> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        (!tags.is_empty()).then(|| tags.join("|"))
    }

    /// The wiki refused a request for its tags: whether it is worth sending with fewer.
    pub(super) fn drop_tags(&self, errors: &[ApiError]) -> bool {
        let Some(error) = errors.iter().find(|error| error.code == "badtags") else { return false };
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if tags.is_empty() {
            return false;
        }
        let refused = &error.data.disallowedtags;
        let keep = |tag: &String| !refused.is_empty() && !refused.contains(tag);
        let (kept, dropped): (Vec<_>, Vec<_>) = tags.drain(..).partition(keep);
        // A wiki that names others than ours would be asked for ever.
        *tags = if dropped.is_empty() { Vec::new() } else { kept };
        let why = codes::error("tags", std::slice::from_ref(error));
        tracing::warn!(?dropped, %why, "the wiki does not take these tags; they are left out from now on");
        true
    }
}

/// `template` with `{path}`, `{user}` and `{date}` filled in; all other braces stay, because wikis are full of them.
fn fill(template: &str, path: &RemotePath, account: &str, now: OffsetDateTime) -> String {
    let date = || format!("{:04}-{:02}-{:02}", now.year(), u8::from(now.month()), now.day());
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    // One pass: what a file is called is no template.
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let known: [(&str, &dyn Fn() -> String); 3] =
            [("{path}", &|| path.to_string()), ("{user}", &|| account.to_owned()), ("{date}", &date)];
        match known.into_iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                filled.push_str(&value());
                rest = &rest[name.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn badtags(refused: &[&str]) -> Vec<ApiError> {
        serde_json::from_value(json!([{ "code": "badtags", "data": { "disallowedtags": refused } }])).unwrap()
    }

    #[test]
    fn templates_are_filled_in_once() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let filled = |template, name| fill(template, &RemotePath::parse(name).unwrap(), "Me", now);
        assert_eq!(filled("{path} by {user} on {date}", "a.txt"), "/a.txt by Me on 2027-01-15");
        assert_eq!(filled("{{Information|source={path}}}", "a.txt"), "{{Information|source=/a.txt}}");
        assert_eq!(filled("{path}", "{user}.txt"), "/{user}.txt", "a name is no template");
        assert_eq!(filled("{nothing} {", "a.txt"), "{nothing} {");
    }

    #[test]
    fn refused_tags_are_left_out() {
        let notes = |tags: &[&str]| Notes::new(String::new(), None, tags.iter().map(|t| (*t).to_owned()).collect());
        let some = notes(&["a", "b"]);
        assert!(some.drop_tags(&badtags(&["b"])));
        assert_eq!(some.tags().as_deref(), Some("a"));
        assert!(!some.drop_tags(&[]), "another refusal");
        let unnamed = notes(&["a", "b"]);
        assert!(unnamed.drop_tags(&badtags(&[])) && unnamed.tags().is_none());
        let strange = notes(&["a"]);
        assert!(strange.drop_tags(&badtags(&["z"])) && strange.tags().is_none());
        assert!(!strange.drop_tags(&badtags(&["z"])), "there is an end");
    }
}
