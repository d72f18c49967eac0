//! What the service refuses: codes of `google.rpc`, their statuses of HTTP, details, and the shapes in which they go. Codes
//! that no document and no recorded answer has are marked *assumed*: a client must not count on them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::calls::Dialect;
use super::settings::{ErrorShape, Oversize, Settings};

/// A code of `google.rpc`, as far as the service needs it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Aborted,
    Unimplemented,
    Internal,
    Unauthenticated,
}

impl Code {
    /// The number, and the status of HTTP.
    fn numbers(self) -> (u32, u16) {
        match self {
            Code::InvalidArgument => (3, 400),
            Code::NotFound => (5, 404),
            Code::PermissionDenied => (7, 403),
            Code::ResourceExhausted => (8, 429),
            Code::Aborted => (10, 409),
            Code::Unimplemented => (12, 501),
            Code::Internal => (13, 500),
            Code::Unauthenticated => (16, 401),
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The service's own.
    Said { code: Code, message: String },
    /// The request has a field that is wrong by the reference, whatever the state of things.
    Field { name: String, message: String },
    /// A gateway before the service: no JSON.
    Gateway { status: u16 },
}

impl Failure {
    pub(super) fn said(code: Code, message: impl Into<String>) -> Failure {
        Failure::Said { code, message: message.into() }
    }

    pub(super) fn field(name: &str, message: impl Into<String>) -> Failure {
        Failure::Field { name: name.to_owned(), message: message.into() }
    }

    pub(super) fn missing(name: &str) -> Failure {
        Failure::field(name, "Field is required")
    }

    /// Nobody, or nobody any more.
    pub(super) fn unauthenticated() -> Failure {
        Failure::said(Code::Unauthenticated, "Token is invalid or has expired.")
    }

    /// A file that is not there. The words are assumed.
    pub(super) fn no_file(id: &str) -> Failure {
        Failure::said(Code::NotFound, format!("File with id {id} not found"))
    }

    /// An argument that another server would take. The words are assumed.
    pub(super) fn refused(message: impl Into<String>) -> Failure {
        Failure::said(Code::InvalidArgument, message)
    }

    /// The file is too large. Everything about this is assumed.
    pub(super) fn too_large(settings: &Settings) -> Failure {
        let message = format!("File is larger than {} bytes", settings.file_bytes_max);
        match settings.oversize {
            Oversize::InvalidArgument => Failure::refused(message),
            Oversize::TooLarge => Failure::Gateway { status: 413 },
            Oversize::ResourceExhausted => Failure::said(Code::ResourceExhausted, message),
        }
    }

    /// There are too many files. The code is assumed.
    pub(super) fn quota() -> Failure {
        Failure::said(Code::ResourceExhausted, "The limit on the number of files is exceeded")
    }

    /// Somebody else is changing it. The code is assumed.
    pub(super) fn aborted() -> Failure {
        Failure::said(Code::Aborted, "The file was changed by another request")
    }

    /// The body has no length. Assumed.
    pub(super) fn no_length() -> Failure {
        Failure::Gateway { status: 411 }
    }

    /// The body did not come to its end: a pause was too long. Where its connection has ended, nobody reads this.
    pub(super) fn cut() -> Failure {
        Failure::Gateway { status: 408 }
    }

    /// What the client did wrong, where it is the client that was wrong, and not the state of things.
    pub(super) fn clients_fault(&self) -> Option<String> {
        match self {
            Failure::Field { name, message } => Some(format!("{name}: {message}")),
            Failure::Said { code: Code::Unimplemented, message } => Some(message.clone()),
            Failure::Gateway { status: 411 } => Some("a content without a length".to_owned()),
            _ => None,
        }
    }

    /// The answer to the request with this id.
    pub(super) fn answer(&self, dialect: Dialect, shape: ErrorShape, request_id: &str) -> Response {
        let (code, message) = match self {
            Failure::Said { code, message } => (*code, message.clone()),
            Failure::Field { name, message } => (Code::InvalidArgument, format!("{name}: {message}")),
            Failure::Gateway { status } => return gateway(*status),
        };
        let (number, status) = code.numbers();
        let body = match shape {
            _ if dialect == Dialect::Native => self.status(number, &message, request_id),
            ErrorShape::Status => self.status(number, &message, request_id),
            ErrorShape::Flat => json!({"message": message}),
            ErrorShape::Nested => {
                let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
                json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
            }
        };
        json_of(status, &body)
    }

    /// A `google.rpc.Status`.
    fn status(&self, number: u32, message: &str, request_id: &str) -> Value {
        let mut details = vec![json!({
            "@type": "type.googleapis.com/google.rpc.RequestInfo",
            "requestId": request_id,
        })];
        if let Failure::Field { name, message } = self {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": name, "description": message}],
            }));
        }
        json!({"code": number, "message": message, "details": details})
    }
}

/// A disk that fails is nobody's fault but the server's.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::said(Code::Internal, error.to_string())
    }
}

/// An answer with this body.
pub(super) fn json_of(status: u16, body: &Value) -> Response {
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("the service answers with statuses of HTTP");
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// What a gateway says by itself.
fn gateway(status: u16) -> Response {
    let status = StatusCode::from_u16(status).expect("gateways answer with statuses of HTTP");
    let mut answer = Response::new(Body::from(format!("<html><head><title>{status}</title></head></html>\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The number of the code of a refusal, 0 where there is none, and the status of a gateway's.
    pub(in super::super) fn code<T: std::fmt::Debug>(answer: Result<T, Failure>) -> u32 {
        match answer {
            Ok(_) => 0,
            Err(Failure::Said { code, .. }) => code.numbers().0,
            Err(Failure::Field { .. }) => Code::InvalidArgument.numbers().0,
            Err(Failure::Gateway { status }) => u32::from(status),
        }
    }

    async fn body(failure: &Failure, dialect: Dialect, shape: ErrorShape) -> (u16, Value) {
        let answer = failure.answer(dialect, shape, "r");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn a_status_has_a_code_a_message_and_details() {
        let info = json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": "r"});
        let expected = json!({"code": 16, "message": "Token is invalid or has expired.", "details": [info]});
        let (native, nested) = (Dialect::Native, ErrorShape::Nested);
        assert_eq!(body(&Failure::unauthenticated(), native, nested).await, (401, expected));
        let (status, said) = body(&Failure::missing("folderId"), native, nested).await;
        assert_eq!((status, &said["code"]), (400, &json!(3)));
        let field = json!({"field": "folderId", "description": "Field is required"});
        assert_eq!(said["details"][1]["fieldViolations"], json!([field]));
        assert_eq!(body(&Failure::cut(), native, nested).await, (408, Value::Null));
    }

    #[tokio::test]
    async fn the_other_dialect_has_three_shapes() {
        let failure = Failure::no_file("x");
        for (shape, pointer) in
            [(ErrorShape::Nested, "/error/message"), (ErrorShape::Flat, "/message"), (ErrorShape::Status, "/message")]
        {
            let (status, said) = body(&failure, Dialect::Openai, shape).await;
            assert_eq!((status, said.pointer(pointer)), (404, Some(&json!("File with id x not found"))));
            assert_eq!(said.get("code").is_some(), shape == ErrorShape::Status);
        }
    }

    #[test]
    fn who_is_too_large_is_told_so_in_three_ways() {
        for (oversize, expected) in
            [(Oversize::InvalidArgument, 3), (Oversize::TooLarge, 413), (Oversize::ResourceExhausted, 8)]
        {
            let settings = Settings { oversize, ..Settings::default() };
            assert_eq!(code::<()>(Err(Failure::too_large(&settings))), expected);
        }
    }
}
