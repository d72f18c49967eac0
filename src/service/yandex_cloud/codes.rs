//! What the service's refusals mean: the only table from its codes to kinds.
//!
//! The native dialect speaks `google.rpc.Status` (a code, a message, details), the other one an `error` with a message;
//! where no code comes, the HTTP status stands for it. What the vendor leaves open (which code a file too large, a type not
//! taken, or a lifetime too long gets) is told by words where there are any, and otherwise by what the caller asked for.

use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Kind, Retry};
use crate::http::{Answer, JSON_BYTES_MAX};

const CANCELLED: u64 = 1;
const UNKNOWN: u64 = 2;
const INVALID_ARGUMENT: u64 = 3;
const DEADLINE_EXCEEDED: u64 = 4;
const NOT_FOUND: u64 = 5;
const ALREADY_EXISTS: u64 = 6;
const PERMISSION_DENIED: u64 = 7;
const RESOURCE_EXHAUSTED: u64 = 8;
const FAILED_PRECONDITION: u64 = 9;
const ABORTED: u64 = 10;
const OUT_OF_RANGE: u64 = 11;
const UNIMPLEMENTED: u64 = 12;
const INTERNAL: u64 = 13;
const UNAVAILABLE: u64 = 14;
const DATA_LOSS: u64 = 15;
const UNAUTHENTICATED: u64 = 16;

/// Words about a file that is too large.
const ABOUT_SIZE: [&str; 7] =
    ["too large", "too big", "larger than", "file size", "size limit", "maximum size", "content size"];
/// Words about a type that is not taken.
const ABOUT_TYPE: [&str; 4] = ["mime", "media type", "content type", "file type"];
/// Words about how long a file lives.
const ABOUT_LIFETIME: [&str; 3] = ["ttl", "expir", "lifetime"];

/// A refusal, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The code of `google.rpc.Status`, where one came.
    pub(super) code: Option<u64>,
    /// In the service's words, what it says of single fields included; empty where it said nothing.
    pub(super) message: String,
    /// The service's name for the request, for its support.
    pub(super) request: Option<String>,
    /// How long the service asks to wait.
    pub(super) wait: Option<Duration>,
    /// Whether the request changes nothing.
    pub(super) only_reads: bool,
    /// Whether a page for people came: somebody else answers.
    pub(super) is_html: bool,
}

impl Refusal {
    /// Reads the refusal in `answer`; a body that cannot be read says nothing.
    pub(super) async fn read(answer: Answer, only_reads: bool) -> Refusal {
        let request = answer.header("x-request-id").map(str::to_owned);
        let (status, wait, is_html) = (answer.status(), answer.retry_after(), answer.is_html());
        let body = answer.body(JSON_BYTES_MAX).await.unwrap_or_default();
        let refusal = Refusal { status, wait, request, only_reads, is_html, ..Refusal::default() };
        match serde_json::from_slice::<Value>(&body) {
            Ok(value) => refusal.with(&value),
            Err(_) if is_html || body.trim_ascii_start().starts_with(b"<") => Refusal { is_html: true, ..refusal },
            Err(_) => Refusal { message: String::from_utf8_lossy(&body).trim().to_owned(), ..refusal },
        }
    }

    /// With what the body says.
    fn with(mut self, body: &Value) -> Refusal {
        let text = |place: &str| body.pointer(place).and_then(Value::as_str);
        let number = |place: &str| body.pointer(place).and_then(Value::as_u64);
        let known = CANCELLED..=UNAUTHENTICATED;
        let grpc = [number("/code"), number("/error/code"), number("/error/grpcCode")];
        self.code = grpc.into_iter().flatten().find(|code| known.contains(code));
        let said = [text("/message"), text("/error/message"), text("/error")].into_iter().flatten().next();
        self.message = said.unwrap_or_default().to_owned();
        for detail in body.pointer("/details").and_then(Value::as_array).into_iter().flatten() {
            if let Some(request) = detail.get("requestId").and_then(Value::as_str) {
                self.request.get_or_insert_with(|| request.to_owned());
            }
            for field in detail.get("fieldViolations").and_then(Value::as_array).into_iter().flatten() {
                let part = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default();
                self.message.push_str(&format!("; {}: {}", part("field"), part("description")));
            }
        }
        self
    }

    /// The code, or the one that the status stands for.
    fn code(&self) -> Option<u64> {
        self.code.or(match self.status {
            400 => Some(INVALID_ARGUMENT),
            401 => Some(UNAUTHENTICATED),
            403 => Some(PERMISSION_DENIED),
            404 | 410 => Some(NOT_FOUND),
            409 => Some(ABORTED),
            // A limiter says nothing; the service says which limit it is.
            429 if !self.message.is_empty() => Some(RESOURCE_EXHAUSTED),
            499 => Some(CANCELLED),
            500 => Some(INTERNAL),
            501 => Some(UNIMPLEMENTED),
            503 => Some(UNAVAILABLE),
            504 => Some(DEADLINE_EXCEEDED),
            _ => None,
        })
    }

    fn speaks_of(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    /// Whether something in the request is what the service does not take.
    pub(super) fn is_about_the_request(&self) -> bool {
        matches!(self.code(), Some(INVALID_ARGUMENT | OUT_OF_RANGE | FAILED_PRECONDITION))
    }

    /// Whether it is the type of the file that the service does not take.
    pub(super) fn is_about_type(&self) -> bool {
        self.status == 415 || self.is_about_the_request() && self.speaks_of(&ABOUT_TYPE)
    }

    /// Whether it is how long the file is to live.
    pub(super) fn is_about_lifetime(&self) -> bool {
        self.is_about_the_request() && self.speaks_of(&ABOUT_LIFETIME)
    }

    /// Whether it may be that an empty file is not welcome: what speaks of something else has nothing to do with that.
    pub(super) fn may_be_about_emptiness(&self) -> bool {
        let other = ["name", "label", "folder", "mask"];
        let about_other = self.speaks_of(&other) || self.is_about_type() || self.is_about_lifetime();
        self.is_about_the_request() && (self.speaks_of(&["content", "empty"]) || !about_other)
    }

    /// Whether it is, or may be, the size of the file. Which code that has nobody knows: only who sends a file larger than
    /// is surely taken asks.
    pub(super) fn may_be_about_size(&self) -> bool {
        let exhausted = self.code() == Some(RESOURCE_EXHAUSTED) && self.wait.is_none();
        self.status == 413 || self.is_about_the_request() || exhausted
    }

    /// Whether the thing asked about does not exist.
    pub(super) fn is_missing(&self) -> bool {
        self.code() == Some(NOT_FOUND) && !self.is_html
    }

    /// The refusal of `op` as an error.
    pub(super) fn into_error(self, op: &'static str) -> Error {
        let (kind, retry) = self.judge();
        let number = self.request.as_ref().map(|request| format!(", request {request}")).unwrap_or_default();
        let said = match self.message.as_str() {
            "" => format!("the service answers HTTP {}{number}", self.status),
            message => format!("the service says: {message} (HTTP {}{number})", self.status),
        };
        let error = Error::new(kind, op, said).retry(retry);
        match self.advice(kind) {
            Some(advice) => error.hint(advice),
            None => error,
        }
    }

    fn judge(&self) -> (Kind, Retry) {
        let again = Retry::After(self.wait.unwrap_or_default());
        // What only reads may be sent again; what a failure within left behind is unknown.
        let after_failure = if self.only_reads { again } else { Retry::AskFirst };
        match (self.code(), self.status) {
            // These come from a gateway, which speaks to people, if at all.
            (_, 413) => (Kind::TooLarge, Retry::Never),
            // The request did not come to its end.
            (_, 408) => (Kind::Timeout, again),
            (None, 429) => (Kind::Throttled, again),
            (_, status) if self.is_html && status < 500 => (Kind::Protocol, Retry::Never),
            (_, 415) => (Kind::Refused, Retry::Never),
            (Some(INVALID_ARGUMENT | OUT_OF_RANGE), _) if self.speaks_of(&ABOUT_SIZE) => (Kind::TooLarge, Retry::Never),
            (Some(INVALID_ARGUMENT), _) if self.speaks_of(&ABOUT_TYPE) => (Kind::Refused, Retry::Never),
            (Some(INVALID_ARGUMENT | OUT_OF_RANGE), _) => (Kind::Invalid, Retry::Never),
            (Some(UNAUTHENTICATED), _) => (Kind::SignedOut, Retry::Never),
            (Some(NOT_FOUND), _) => (Kind::NotFound, Retry::Never),
            (Some(ALREADY_EXISTS), _) => (Kind::Exists, Retry::Never),
            (Some(PERMISSION_DENIED), _) => (Kind::Denied, Retry::Never),
            // A rate or a quota: the first passes while it is tried again, the second does not.
            (Some(RESOURCE_EXHAUSTED), _) => (Kind::Quota, again),
            (Some(FAILED_PRECONDITION), _) => (Kind::Server, Retry::Never),
            (Some(UNIMPLEMENTED), _) => (Kind::Unsupported, Retry::Never),
            (Some(DATA_LOSS), _) => (Kind::Corrupt, Retry::Never),
            (Some(DEADLINE_EXCEEDED), _) => (Kind::Timeout, after_failure),
            (Some(CANCELLED | UNKNOWN | ABORTED | INTERNAL | UNAVAILABLE), _) => (Kind::Server, after_failure),
            (_, 502) => (Kind::Unreachable, after_failure),
            (_, 500..=599) => (Kind::Server, after_failure),
            _ => (Kind::Protocol, Retry::Never),
        }
    }

    /// What a person can do.
    fn advice(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::Invalid | Kind::Denied | Kind::NotFound if self.speaks_of(&["folder"]) => {
                Some("folder is the id of the cloud folder that the service account belongs to (b1g...), not its name")
            }
            Kind::Denied => Some("the account needs the role ai.assistants.editor in the folder"),
            Kind::Quota => Some("a folder has at most 10,000 files: remove some, or wait where it is a rate"),
            Kind::TooLarge => Some("the service takes files of up to 128 MB"),
            Kind::Protocol if self.is_html || (300..400).contains(&self.status) => {
                Some("is url the address of the API, https://ai.api.cloud.yandex.net?")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, body: Value) -> Refusal {
        Refusal { status, ..Refusal::default() }.with(&body)
    }

    fn judged(status: u16, code: u64, message: &str) -> (Kind, Retry) {
        let error = refusal(status, json!({"code": code, "message": message})).into_error("upload");
        (error.kind, error.retry)
    }

    #[test]
    fn the_table_of_codes() {
        let never = Retry::Never;
        for (status, code, kind, retry) in [
            (499, 1, Kind::Server, Retry::AskFirst),
            (500, 2, Kind::Server, Retry::AskFirst),
            (400, 3, Kind::Invalid, never),
            (504, 4, Kind::Timeout, Retry::AskFirst),
            (404, 5, Kind::NotFound, never),
            (409, 6, Kind::Exists, never),
            (403, 7, Kind::Denied, never),
            (429, 8, Kind::Quota, Retry::After(Duration::ZERO)),
            (400, 9, Kind::Server, never),
            (409, 10, Kind::Server, Retry::AskFirst),
            (400, 11, Kind::Invalid, never),
            (501, 12, Kind::Unsupported, never),
            (500, 13, Kind::Server, Retry::AskFirst),
            (503, 14, Kind::Server, Retry::AskFirst),
            (500, 15, Kind::Corrupt, never),
            (401, 16, Kind::SignedOut, never),
        ] {
            assert_eq!(judged(status, code, ""), (kind, retry), "{code}");
            let by_status = Refusal { status, ..Refusal::default() }.into_error("upload").kind;
            if !matches!(code, 2 | 6 | 8 | 9 | 11 | 15) {
                assert_eq!(by_status, kind, "HTTP {status} alone");
            }
        }
        let gateway = |status: u16, is_html: bool| Refusal { status, is_html, ..Refusal::default() }.into_error("x");
        for is_html in [false, true] {
            assert_eq!(gateway(413, is_html).kind, Kind::TooLarge);
            assert_eq!(gateway(408, is_html).retry, Retry::After(Duration::ZERO), "it was not complete");
            assert_eq!(gateway(429, is_html).kind, Kind::Throttled);
            assert_eq!(gateway(502, is_html).kind, Kind::Unreachable);
        }
        assert_eq!(gateway(404, true).kind, Kind::Protocol);
        let quota = Refusal { status: 429, message: "The limit is exceeded".to_owned(), ..Refusal::default() };
        assert_eq!(quota.into_error("x").kind, Kind::Quota, "in the words of the other dialect");
    }

    #[test]
    fn a_question_may_be_asked_again_and_a_wish_is_kept() {
        let asked = Refusal { status: 503, only_reads: true, ..Refusal::default() };
        assert_eq!(asked.into_error("list").retry, Retry::After(Duration::ZERO));
        let wait = Some(Duration::from_secs(7));
        let busy = Refusal { status: 429, wait, ..Refusal::default() };
        assert_eq!(busy.into_error("upload").retry, Retry::After(Duration::from_secs(7)));
    }

    #[test]
    fn both_dialects_say_it_in_words() {
        let native = refusal(
            401,
            json!({"code": 16, "message": "Token is invalid or has expired.",
                "details": [{"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "e38e71c3"}]}),
        );
        let text = native.into_error("list").to_string();
        assert!(text.contains("Token is invalid") && text.contains("request e38e71c3"), "{text}");
        let open = refusal(400, json!({"error": {"message": "no such purpose", "code": "invalid_request"}}));
        assert_eq!((open.code, open.message.as_str()), (None, "no such purpose"));
        let field = refusal(
            400,
            json!({"code": 3, "message": "bad", "details": [{"fieldViolations": [
                {"field": "expiration_config.ttl_days", "description": "must be at most 60"}]}]}),
        );
        assert!(field.is_about_lifetime() && !field.is_about_type());
        assert!(field.message.contains("ttl_days: must be at most 60"), "{}", field.message);
        assert_eq!(refusal(500, json!({"error": "plain"})).message, "plain");
    }

    #[test]
    fn words_tell_what_codes_do_not() {
        assert_eq!(judged(400, 3, "file is too large").0, Kind::TooLarge);
        assert_eq!(judged(400, 3, "MIME type application/zip is not supported").0, Kind::Refused);
        assert!(refusal(400, json!({"code": 3, "message": "unsupported mime_type"})).is_about_type());
        assert!(!refusal(500, json!({"code": 13, "message": "mime"})).is_about_type());
        for (status, code) in [(400, 3), (413, 3), (429, 8)] {
            assert!(refusal(status, json!({"code": code})).may_be_about_size(), "{status}");
        }
        assert!(!refusal(403, json!({"code": 7})).may_be_about_size());
    }

    #[test]
    fn a_person_is_told_what_to_do() {
        let hint = |status: u16, code: u64, message: &str| {
            refusal(status, json!({"code": code, "message": message})).into_error("check").to_string()
        };
        let folder = hint(400, 3, "Specified folder ID does not match with service account folder ID");
        assert!(folder.contains("not its name"), "{folder}");
        assert!(hint(403, 7, "Permission denied").contains("ai.assistants.editor"));
        assert!(hint(429, 8, "").contains("10,000"));
        let page = Refusal { status: 404, is_html: true, ..Refusal::default() };
        assert!(!page.is_missing());
        let error = page.into_error("list");
        assert!(error.kind == Kind::Protocol && error.to_string().contains("address of the API"), "{error}");
    }
}
