//! What the wiki refuses: status, code, message and details, and the envelopes in which they go. Codes that no document and
//! no recorded answer has are marked *assumed*: a client must not read them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::settings::{ErrorShape, Settings};

/// The picture that stands for a file that is not there: one transparent pixel.
pub(super) const GIF: [u8; 43] = *b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\
                                    \x01\0\x01\0\0\x02\x02D\x01\0;";

/// The code of a size that must be greater than it is.
pub(super) const NO_EMPTY_FILES: &str = "value_error.number.not_gt";

/// A part of a request that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Body,
    Query,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// One with an envelope.
    Said { status: u16, code: &'static str, message: String, details: Value },
    /// A missing file: 404 with a picture.
    NoFile,
}

impl Failure {
    fn said(status: u16, code: &'static str, message: impl Into<String>) -> Failure {
        Failure::Said { status, code, message: message.into(), details: json!({}) }
    }

    /// Nobody, or nobody any more.
    pub(super) fn unauthorized(method: &str) -> Failure {
        Failure::said(401, "UNAUTHORIZED", format!("IAM authentication required;[{method}] - no valid token"))
    }

    /// Somebody whom this organisation's wiki does not know.
    pub(super) fn forced_sync() -> Failure {
        Failure::said(403, "FORCED_SYNC_REQUIRED", "User or organization is not synced")
    }

    /// A right is missing.
    pub(super) fn forbidden(message: &str) -> Failure {
        Failure::said(403, "FORBIDDEN", message)
    }

    /// A thing that is not there.
    pub(super) fn not_found(message: &str) -> Failure {
        Failure::said(404, "NOT_FOUND", message)
    }

    pub(super) fn no_page() -> Failure {
        Failure::not_found("По этому адресу ничего нет")
    }

    pub(super) fn no_attachment() -> Failure {
        Failure::not_found("No File matches the given query.")
    }

    pub(super) fn no_session() -> Failure {
        Failure::not_found("No UploadSession matches the given query.")
    }

    pub(super) fn no_call() -> Failure {
        Failure::not_found("Resource or it's component is missing")
    }

    /// The code is assumed.
    pub(super) fn wrong_method() -> Failure {
        Failure::said(405, "METHOD_NOT_ALLOWED", "Method Not Allowed")
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Failure {
        Failure::said(400, "BAD_REQUEST", message)
    }

    /// A field that is wrong, in the words of the server's validator.
    pub(super) fn field(place: Place, field: &str, message: &str, code: &str) -> Failure {
        let place = match place {
            Place::Body => "body",
            Place::Query => "query",
        };
        let details = json!({place: {field: [{"debug_message": message, "error_code": code}]}});
        Failure::Said { status: 400, code: "VALIDATION_ERROR", message: "Validation failed".to_owned(), details }
    }

    pub(super) fn missing(place: Place, field: &str) -> Failure {
        Failure::field(place, field, "field required", "value_error.missing")
    }

    /// The state of a session does not allow it. Status and code are assumed.
    pub(super) fn wrong_state(settings: &Settings, message: impl Into<String>) -> Failure {
        let status = if settings.wrong_state_is_conflict { 409 } else { 400 };
        Failure::said(status, "UPLOAD_SESSION_WRONG_STATUS", message)
    }

    /// The parts are not what makes a file. Status and code are assumed.
    pub(super) fn wrong_parts(message: impl Into<String>) -> Failure {
        Failure::said(400, "UPLOAD_SESSION_WRONG_PARTS", message)
    }

    /// The file is too large. Status and code are assumed.
    pub(super) fn too_large(bytes_max: u64) -> Failure {
        Failure::said(413, "FILE_TOO_LARGE", format!("File is larger than {bytes_max} bytes"))
    }

    /// No space. The code is known, the status assumed.
    pub(super) fn quota(message: &str) -> Failure {
        Failure::said(403, "QUOTA_EXCEEDED", message)
    }

    /// A conflict with what somebody else does. The status is assumed for all codes but `CONFLICTING_OPERATION`.
    pub(super) fn conflict(code: &'static str, message: &str) -> Failure {
        Failure::said(409, code, message)
    }

    /// A request about pages that makes no sense. The status is assumed.
    pub(super) fn refused(code: &'static str, message: &str) -> Failure {
        Failure::said(400, code, message)
    }

    /// The body of a part has no length. The code is assumed.
    pub(super) fn no_length() -> Failure {
        Failure::said(411, "LENGTH_REQUIRED", "Content-Length is required")
    }

    /// The body ended before its end; nobody reads this.
    pub(super) fn cut() -> Failure {
        Failure::said(400, "CLIENT_DISCONNECTED", "The body ended before its end")
    }

    /// The limiter refuses; nobody has seen it say when to come back. The code is assumed.
    pub(super) fn throttled() -> Failure {
        Failure::said(429, "TOO_MANY_REQUESTS", "Too many requests")
    }

    /// What the client did wrong, where it is the client that was wrong, and not the state of things.
    pub(super) fn clients_fault(&self) -> Option<String> {
        let Failure::Said { code, message, details, .. } = self else { return None };
        match *code {
            // Whether there are empty files is not known: whoever wants to know has to try.
            "VALIDATION_ERROR" if details.to_string().contains(NO_EMPTY_FILES) => None,
            "VALIDATION_ERROR" => Some(format!("{message}: {details}")),
            "BAD_REQUEST"
            | "METHOD_NOT_ALLOWED"
            | "UPLOAD_SESSION_WRONG_PARTS"
            | "FILE_TOO_LARGE"
            | "LENGTH_REQUIRED"
            | "INHERITANCE_BEHAVIOR_IS_NOT_SPECIFIED" => Some(format!("{code}: {message}")),
            _ => None,
        }
    }

    /// The answer.
    pub(super) fn answer(&self, shape: ErrorShape) -> Response {
        let Failure::Said { status, code, message, details } = self else { return picture() };
        let mut body = Map::new();
        body.insert("debug_message".to_owned(), json!(message));
        body.insert("error_code".to_owned(), json!(code));
        match shape {
            ErrorShape::Documented => {
                body.insert("details".to_owned(), details.clone());
            }
            ErrorShape::NullDetails => {
                body.insert("details".to_owned(), Value::Null);
            }
            ErrorShape::WithMessage => {
                body.insert("details".to_owned(), details.clone());
                body.insert("message".to_owned(), Value::Null);
            }
            ErrorShape::Listed => {
                body.insert("level".to_owned(), json!("ERROR"));
                body.insert("message".to_owned(), json!([message]));
            }
        }
        json_of(*status, &Value::Object(body))
    }
}

/// A disk that fails is nobody's fault but the server's.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::said(500, "INTERNAL_SERVER_ERROR", error.to_string())
    }
}

/// An answer with this body.
pub(super) fn json_of(status: u16, body: &Value) -> Response {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("the wiki answers with statuses of HTTP");
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn picture() -> Response {
    let mut answer = Response::new(Body::from(&GIF[..]));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/gif"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(failure: &Failure, shape: ErrorShape) -> (u16, Value) {
        let answer = failure.answer(shape);
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_missing_field_is_told_as_documented() {
        let failure = Failure::missing(Place::Body, "file_size");
        let expected = json!({
            "debug_message": "Validation failed",
            "error_code": "VALIDATION_ERROR",
            "details": {"body": {"file_size": [
                {"debug_message": "field required", "error_code": "value_error.missing"}
            ]}},
        });
        assert_eq!(read(&failure, ErrorShape::Documented).await, (400, expected));
    }

    #[tokio::test]
    async fn every_shape_was_seen() {
        let failure = Failure::no_call();
        let shaped = async |shape| read(&failure, shape).await.1;
        assert_eq!(shaped(ErrorShape::NullDetails).await["details"], Value::Null);
        let with_message = shaped(ErrorShape::WithMessage).await;
        assert!(with_message["message"].is_null() && with_message.get("message").is_some());
        let listed = shaped(ErrorShape::Listed).await;
        assert_eq!(listed["message"], json!(["Resource or it's component is missing"]));
        assert_eq!((&listed["level"], listed.get("details")), (&json!("ERROR"), None));
    }

    #[tokio::test]
    async fn a_missing_file_is_a_picture() {
        let answer = Failure::NoFile.answer(ErrorShape::Documented);
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (404, &"image/gif".parse().unwrap()));
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(bytes.starts_with(b"GIF89a") && bytes.ends_with(b";") && bytes.len() == GIF.len());
    }

    #[test]
    fn a_wrong_state_is_a_conflict_or_not() {
        let status = |settings: &Settings| match Failure::wrong_state(settings, "x") {
            Failure::Said { status, .. } => status,
            Failure::NoFile => 0,
        };
        let mut settings = Settings::default();
        assert_eq!(status(&settings), 409);
        settings.wrong_state_is_conflict = false;
        assert_eq!(status(&settings), 400);
    }
}
