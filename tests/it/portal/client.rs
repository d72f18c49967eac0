//! What the tests of this portal add to the barest HTTP client: forms, and the envelopes of its answers.

use serde_json::Value;

pub(crate) use crate::support::raw::{Answer, Request};

impl Answer {
    /// What stands in `response`; the status must be this one.
    #[track_caller]
    pub(crate) fn response(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()["response"].clone()
    }

    /// What stands in `data` of the upload handler's answer; the status must be this one.
    #[track_caller]
    pub(crate) fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["success"], true, "{}", self.text());
        body["data"].clone()
    }

    /// The message of the upload handler, which must have refused.
    #[track_caller]
    pub(crate) fn refusal(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        let body = self.json();
        assert_eq!(body["success"], false, "{}", self.text());
        body["message"].as_str().unwrap().to_owned()
    }

    /// The message of a failed call, whose status must be this one.
    #[track_caller]
    pub(crate) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A form with one file in it, as a browser sends it.
pub(crate) fn form(bytes: &[u8]) -> (String, Vec<u8>) {
    form_with(&["Content-Disposition: form-data; name=\"file\"; filename=\"blob\"", TYPE], bytes, "\r\n")
}

/// What a browser says about bytes.
pub(crate) const TYPE: &str = "Content-Type: application/octet-stream";

/// A form of one part with these headers, and this behind its last delimiter.
pub(crate) fn form_with(headers: &[&str], bytes: &[u8], end: &str) -> (String, Vec<u8>) {
    let boundary = "----portal-test-boundary";
    let mut body = format!("--{boundary}\r\n{}\r\n\r\n", headers.join("\r\n")).into_bytes();
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--{end}").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
