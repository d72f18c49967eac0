//! What the wiki's refusals mean: the only table from its statuses and codes to kinds. Most codes are not documented:
//! the status decides where the code says nothing.

use std::time::Duration;

use crate::error::{Error, Kind, Retry};

/// A refusal, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The word for programs; empty where there is none.
    pub(super) code: String,
    /// The words for people; empty where there are none.
    pub(super) message: String,
    /// The fields of the request that are wrong.
    pub(super) fields: Vec<String>,
    /// How long the service asks to wait.
    pub(super) wait: Option<Duration>,
    /// Whether the request may be sent again whatever became of it.
    pub(super) repeatable: bool,
}

/// Codes that say more than their status.
const CODES: [(&str, Kind); 11] = [
    ("QUOTA_EXCEEDED", Kind::Quota),
    ("FILE_TOO_LARGE", Kind::TooLarge),
    ("SLUG_OCCUPIED", Kind::Exists),
    ("SLUG_RESERVED", Kind::BadName),
    ("HAS_CHILDREN", Kind::NotEmpty),
    ("NO_PARENT_PAGE", Kind::NotFound),
    ("CHANGES_CONFLICT", Kind::Busy),
    ("CONFLICTING_OPERATION", Kind::Busy),
    ("IS_CLOUD_PAGE", Kind::Refused),
    ("CLUSTER_BLOCKED", Kind::Busy),
    ("FORBIDDEN", Kind::Denied),
];
/// The user was never seen by this organisation's wiki.
pub(super) const NOT_SYNCED: &str = "FORCED_SYNC_REQUIRED";

impl Refusal {
    /// Whether the service has decided, and not only failed.
    pub(super) fn is_definite(&self) -> bool {
        (400..500).contains(&self.status) && self.status != 429
    }

    /// Whether it is about the state of things, not about rights or room: what was meant is not possible now.
    pub(super) fn is_about_state(&self) -> bool {
        let known = CODES.iter().any(|(code, _)| *code == self.code);
        matches!(self.status, 400 | 404 | 409 | 410 | 412 | 422) && !known
    }

    /// Whether it may be that an empty file is not welcome: another field that is wrong has nothing to do with that.
    pub(super) fn may_be_about_emptiness(&self) -> bool {
        let about_size = self.fields.is_empty() || self.fields.iter().any(|field| field == "file_size");
        matches!(self.status, 400 | 422) && self.is_about_state() && about_size
    }

    /// The refusal of `op` as an error.
    pub(super) fn into_error(self, op: &'static str) -> Error {
        let (kind, retry) = self.judge();
        let words = [self.message.as_str(), self.code.as_str()].into_iter().find(|words| !words.is_empty());
        let said = match words {
            Some(words) => format!("the wiki says: {words} (HTTP {})", self.status),
            None => format!("the wiki answers HTTP {}", self.status),
        };
        let error = Error::new(kind, op, said).retry(retry);
        match self.advice(kind) {
            Some(advice) => error.hint(advice),
            None => error,
        }
    }

    fn judge(&self) -> (Kind, Retry) {
        let again = Retry::After(self.wait.unwrap_or_default());
        let after_failure = if self.repeatable { again } else { Retry::AskFirst };
        if let Some((_, kind)) = CODES.iter().find(|(code, _)| *code == self.code) {
            return (*kind, Retry::Never);
        }
        match self.status {
            429 => (Kind::Throttled, again),
            401 => (Kind::SignedOut, Retry::Never),
            403 => (Kind::Denied, Retry::Never),
            404 | 410 => (Kind::NotFound, Retry::Never),
            405 | 501 => (Kind::Unsupported, Retry::Never),
            409 => (Kind::Conflict, Retry::Never),
            413 => (Kind::TooLarge, Retry::Never),
            400 | 422 if self.fields.iter().any(|field| matches!(field.as_str(), "file_name" | "slug" | "title")) => {
                (Kind::BadName, Retry::Never)
            }
            400 | 422 if self.fields.iter().any(|field| field == "file_size") => (Kind::TooLarge, Retry::Never),
            400..=499 => (Kind::Invalid, Retry::Never),
            // The proxy says that nobody is there yet, and when. Whether the request went further is not known.
            503 if self.wait.is_some() && self.repeatable => (Kind::Busy, again),
            502..=504 => (Kind::Unreachable, after_failure),
            500..=599 => (Kind::Server, after_failure),
            _ => (Kind::Protocol, Retry::Never),
        }
    }

    /// What a person can do.
    fn advice(&self, kind: Kind) -> Option<&'static str> {
        if self.code == NOT_SYNCED {
            return Some(
                "open the wiki once in a browser as this user, and check org_id (Yandex 360) or cloud_org_id (Yandex \
                 Cloud): the token's user must belong to that organisation",
            );
        }
        match kind {
            Kind::Denied => {
                Some("ask for the right to change this page; an administrator may also have disabled the API")
            }
            Kind::Quota => Some("delete attachments, or ask the administrator for more room"),
            Kind::TooLarge => Some("the wiki takes files of up to 200 MB"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        let (code, message) = (code.to_owned(), String::new());
        Refusal { status, code, message, fields: Vec::new(), wait: None, repeatable: false }
    }

    #[test]
    fn every_refusal_has_its_kind() {
        let again = Retry::After(Duration::ZERO);
        for (status, code, kind, retry) in [
            (400, "VALIDATION_ERROR", Kind::Invalid, Retry::Never),
            (400, "SLUG_RESERVED", Kind::BadName, Retry::Never),
            (400, "HAS_CHILDREN", Kind::NotEmpty, Retry::Never),
            (401, "UNAUTHORIZED", Kind::SignedOut, Retry::Never),
            (403, "FORCED_SYNC_REQUIRED", Kind::Denied, Retry::Never),
            (403, "QUOTA_EXCEEDED", Kind::Quota, Retry::Never),
            (400, "QUOTA_EXCEEDED", Kind::Quota, Retry::Never),
            (403, "", Kind::Denied, Retry::Never),
            (404, "NOT_FOUND", Kind::NotFound, Retry::Never),
            (409, "CONFLICTING_OPERATION", Kind::Busy, Retry::Never),
            (409, "", Kind::Conflict, Retry::Never),
            (413, "", Kind::TooLarge, Retry::Never),
            (429, "", Kind::Throttled, again),
            (500, "", Kind::Server, Retry::AskFirst),
            (503, "", Kind::Unreachable, Retry::AskFirst),
            (302, "", Kind::Protocol, Retry::Never),
        ] {
            let error = refusal(status, code).into_error("upload");
            assert_eq!((error.kind, error.retry), (kind, retry), "{status} {code}");
        }
        let read = Refusal { repeatable: true, ..refusal(502, "") };
        assert_eq!(read.into_error("stat").retry, again);
    }

    #[test]
    fn the_service_may_say_when() {
        let wait = Some(Duration::from_secs(7));
        for status in [429, 503] {
            let error = Refusal { wait, repeatable: true, ..refusal(status, "") }.into_error("upload");
            assert_eq!(error.retry, Retry::After(Duration::from_secs(7)), "{status}");
        }
        let error = Refusal { wait, ..refusal(503, "") }.into_error("upload");
        assert_eq!(error.retry, Retry::AskFirst, "it may have been done all the same");
    }

    #[test]
    fn a_wrong_field_says_what_is_wrong() {
        for (field, kind) in [("file_name", Kind::BadName), ("slug", Kind::BadName), ("file_size", Kind::TooLarge)] {
            let refusal = Refusal { fields: vec![field.to_owned()], ..refusal(400, "VALIDATION_ERROR") };
            assert_eq!(refusal.into_error("upload").kind, kind, "{field}");
        }
    }

    #[test]
    fn an_unknown_user_hears_what_to_do() {
        let error = refusal(403, NOT_SYNCED).into_error("check");
        let hint = error.to_string();
        assert!(hint.contains("browser") && hint.contains("cloud_org_id") && hint.contains(NOT_SYNCED), "{hint}");
    }

    #[test]
    fn rights_and_room_are_no_matter_of_state() {
        assert!(refusal(409, "").is_about_state() && refusal(400, "BAD_REQUEST").is_about_state());
        assert!(!refusal(403, "").is_about_state() && !refusal(409, "QUOTA_EXCEEDED").is_about_state());
        assert!(!refusal(429, "").is_definite() && !refusal(500, "").is_definite() && refusal(404, "").is_definite());
    }
}
