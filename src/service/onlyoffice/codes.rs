//! What a portal's refusals mean: the only table from its codes and words to kinds.
//!
//! The upload handler answers every error with 200 and a message in the user's language, and CommunityServer most of them
//! with 500. A few messages are never translated and are rules; the English words of the others are recognised where
//! they come, so that an English portal gets the better errno. Everything else is told to the person as it came.

use std::time::Duration;

use crate::error::{Error, Kind, Retry};

/// A refusal, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status; 200 from the upload handler.
    pub(super) status: u16,
    /// In the portal's words; empty where it said nothing.
    pub(super) message: String,
    /// How long the portal asks to wait.
    pub(super) wait: Option<Duration>,
    /// Whether the request changes nothing.
    pub(super) only_reads: bool,
}

/// What a message says, whatever the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The session is not there, or not any more.
    SessionGone,
    /// Either nobody is signed in, or the session is gone.
    SignedOutOrGone,
    /// The parts do not make up the file.
    Incomplete,
    /// Another request is still writing the same part.
    PartInUse,
    /// The parts stay where they are when a session is given up.
    NotEmpty,
    /// The session is there, and the request has no part for it.
    NoPart,
    /// A kind of refusal.
    Kind(Kind),
}

/// Never translated: these come from below the portal's own texts.
const FIXED: [(&str, Meaning); 6] = [
    ("uploadSize != bytesTotal", Meaning::Incomplete),
    ("Object reference not set", Meaning::SessionGone),
    ("session with specified upload id already expired", Meaning::SignedOutOrGone),
    ("being used by another process", Meaning::PartInUse),
    ("Directory not empty", Meaning::NotEmpty),
    ("HttpRequest.Files is empty", Meaning::NoPart),
];

/// English, where the portal or its user is.
const ENGLISH: [(&str, Meaning); 12] = [
    ("required file was not found", Meaning::SessionGone),
    ("required folder was not found", Meaning::Kind(Kind::NotFound)),
    ("maximum file size is exceeded", Meaning::Kind(Kind::TooLarge)),
    ("used storage size should not exceed", Meaning::Kind(Kind::ServerFull)),
    ("space quota exceeded", Meaning::Kind(Kind::Quota)),
    ("locked by another user", Meaning::Kind(Kind::Busy)),
    ("opened for editing", Meaning::Kind(Kind::Busy)),
    ("being edited", Meaning::Kind(Kind::Busy)),
    ("enough permission", Meaning::Kind(Kind::Denied)),
    ("format isn't supported", Meaning::Kind(Kind::Refused)),
    ("cannot be uploaded to this room", Meaning::Kind(Kind::Refused)),
    ("Empty file", Meaning::Kind(Kind::Unsupported)),
];

/// What a message says, if it is known.
pub(super) fn meaning(message: &str) -> Option<Meaning> {
    let known = FIXED.iter().chain(&ENGLISH).find(|(words, _)| message.contains(words));
    known.map(|(_, meaning)| *meaning)
}

impl Refusal {
    pub(super) fn meaning(&self) -> Option<Meaning> {
        meaning(&self.message)
    }

    /// Whether the portal may have forgotten who we are. A 403 may mean that as well as a missing right.
    pub(super) fn may_be_signed_out(&self) -> bool {
        matches!(self.status, 401 | 403) || self.meaning() == Some(Meaning::SignedOutOrGone)
    }

    /// The refusal of `op` as an error.
    pub(super) fn into_error(self, op: &'static str) -> Error {
        let (kind, retry) = self.judge();
        let said = match (self.message.as_str(), self.status) {
            ("", status) => format!("the portal answers HTTP {status}"),
            (message, 200) => format!("the portal says: {message}"),
            (message, status) => format!("the portal says: {message} (HTTP {status})"),
        };
        let error = Error::new(kind, op, said).retry(retry);
        match self.advice(kind) {
            Some(advice) => error.hint(advice),
            None => error,
        }
    }

    fn judge(&self) -> (Kind, Retry) {
        let again = Retry::After(self.wait.unwrap_or_default());
        // A request that only reads, or was not let in, may be sent again; what an inner failure left behind is unknown.
        let after_failure = if self.only_reads { again } else { Retry::AskFirst };
        match (self.status, self.meaning()) {
            (429, _) => (Kind::Throttled, again),
            (_, Some(Meaning::PartInUse)) => (Kind::Busy, again),
            (_, Some(Meaning::NoPart)) => (Kind::Protocol, Retry::Never),
            (_, Some(Meaning::SessionGone | Meaning::SignedOutOrGone)) => (Kind::NotFound, Retry::Never),
            (_, Some(Meaning::Incomplete)) => (Kind::NotFound, Retry::Never),
            (402, _) if self.message.is_empty() => (Kind::Denied, Retry::Never),
            (403, Some(Meaning::Kind(Kind::Busy))) => (Kind::Busy, Retry::Never),
            (200 | 400 | 402 | 500, Some(Meaning::Kind(kind))) => (kind, Retry::Never),
            (401, _) => (Kind::SignedOut, Retry::Never),
            (402, _) => (Kind::Quota, Retry::Never),
            (403, _) => (Kind::Denied, Retry::Never),
            (404, _) => (Kind::NotFound, Retry::Never),
            // The portal's own chunk size is too large for something before it: nothing is wrong with the file.
            (413, _) => (Kind::Server, Retry::Never),
            (415, _) => (Kind::Refused, Retry::Never),
            (400, _) => (Kind::Invalid, Retry::Never),
            // The proxy says that nobody is there yet, and when: the request went no further.
            (503, _) if self.wait.is_some() => (Kind::Busy, again),
            (502..=504, _) => (Kind::Unreachable, after_failure),
            (500..=599, _) => (Kind::Server, after_failure),
            (200, _) => (Kind::Server, Retry::Never),
            _ => (Kind::Protocol, Retry::Never),
        }
    }

    /// What a person can do.
    fn advice(&self, kind: Kind) -> Option<&'static str> {
        match (self.status, kind) {
            (402, Kind::Denied) => Some("the portal is not paid for: its owner has to look at it"),
            (413, _) => Some("a proxy in front of the portal takes smaller requests than the portal: raise its limit"),
            (_, Kind::SignedOut) => Some("check the account, its password or its key"),
            (_, Kind::Quota | Kind::ServerFull) => Some("make room on the portal, its trash included"),
            (_, Kind::Busy) => Some("somebody has it open or locked; close it there"),
            (301..=308, _) => Some("use the address it sends browsers to"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, message: &str) -> Refusal {
        Refusal { status, message: message.to_owned(), wait: None, only_reads: false }
    }

    fn kind(status: u16, message: &str) -> Kind {
        refusal(status, message).into_error("upload").kind
    }

    #[test]
    fn the_table_of_refusals() {
        for (status, message, expected) in [
            (401, "", Kind::SignedOut),
            (402, "", Kind::Denied),
            (402, "The used storage size should not exceed 2 GB", Kind::ServerFull),
            (402, "Der Speicherplatz reicht nicht", Kind::Quota),
            (402, "The maximum file size is exceeded (1 GB).", Kind::TooLarge),
            (403, "The file is currently locked by another user", Kind::Busy),
            (403, "", Kind::Denied),
            (404, "", Kind::NotFound),
            (413, "<html>", Kind::Server),
            (415, "Sorry, this file format isn't supported", Kind::Refused),
            (429, "", Kind::Throttled),
            (500, "Disk space quota exceeded", Kind::Quota),
            (500, "whatever", Kind::Server),
            (502, "", Kind::Unreachable),
            (200, "User space quota exceeded (2 GB)", Kind::Quota),
            (200, "Die Datei wurde nicht gefunden", Kind::Server),
            (200, "uploadSize != bytesTotal", Kind::NotFound),
            (200, "HttpRequest.Files is empty", Kind::Protocol),
            (500, "Object reference not set to an instance of an object.", Kind::NotFound),
            (302, "", Kind::Protocol),
        ] {
            assert_eq!(kind(status, message), expected, "{status} {message}");
        }
    }

    #[test]
    fn only_what_was_not_done_is_sent_again_unasked() {
        let again = |refusal: Refusal| refusal.into_error("x").retry;
        assert_eq!(again(refusal(502, "")), Retry::AskFirst);
        assert_eq!(again(refusal(500, "deadlock")), Retry::AskFirst);
        assert_eq!(again(Refusal { only_reads: true, ..refusal(502, "") }), Retry::After(Duration::ZERO));
        let wait = Some(Duration::from_secs(7));
        assert_eq!(again(Refusal { wait, ..refusal(429, "") }), Retry::After(Duration::from_secs(7)));
        assert_eq!(again(Refusal { wait, ..refusal(503, "") }), Retry::After(Duration::from_secs(7)));
        assert_eq!(again(refusal(403, "")), Retry::Never);
        assert_eq!(again(refusal(200, "The file is being used by another process.")), Retry::After(Duration::ZERO));
    }

    #[test]
    fn a_person_is_told_what_was_said_and_what_to_do() {
        let error = refusal(402, "").into_error("upload");
        assert!(error.to_string().contains("HTTP 402") && error.to_string().contains("not paid for"), "{error}");
        let error = refusal(200, "Nicht erlaubt").into_error("upload");
        assert!(error.to_string().contains("the portal says: Nicht erlaubt"), "{error}");
    }
}
