//! The envelopes around answers: those of DocSpace and those of CommunityServer, for successes and for failures.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::config::Language;
use super::errors::{Failure, Message};
use super::generation::Family;

/// A call that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    /// What stands in `response`; `Null` for nothing.
    pub(super) value: Value,
    /// Whether the status is 201 in any case.
    pub(super) created: bool,
    /// The length of the whole list where the value is a page of it.
    pub(super) total: Option<usize>,
}

impl Reply {
    pub(super) fn of(value: Value) -> Reply {
        Reply { value, created: false, total: None }
    }

    pub(super) fn created(value: Value) -> Reply {
        Reply { created: true, ..Reply::of(value) }
    }
}

/// What an envelope depends on.
#[derive(Clone, Debug)]
pub(super) struct Style {
    pub(super) family: Family,
    pub(super) language: Language,
    pub(super) method: Method,
    /// The address that was asked, for the links.
    pub(super) href: String,
}

/// The body of a success: DocSpace leaves out what is null.
pub(super) fn success(style: &Style, reply: Reply) -> Response {
    // CommunityServer's API answers every successful POST with 201.
    let created = reply.created || (style.family == Family::Community && style.method == Method::POST);
    let status = if created { 201 } else { 200 };
    let count = reply.value.as_array().map_or(1, Vec::len);
    let mut body = match style.family {
        Family::Docspace => {
            let links = json!([{"href": style.href, "action": style.method.as_str()}]);
            json!({"count": count, "links": links, "status": 0, "statusCode": status})
        }
        Family::Community => json!({"count": count, "status": 0, "statusCode": status}),
    };
    if let Some(total) = reply.total {
        body["total"] = json!(total);
    }
    if !reply.value.is_null() {
        body["response"] = reply.value;
    }
    json_answer(status, &body)
}

pub(super) fn failure(style: &Style, failure: &Failure) -> Response {
    let status = status(style.family, failure);
    match failure {
        Failure::Challenge if style.family == Family::Community => plain(status, "Unauthorized"),
        Failure::Challenge | Failure::Unpaid | Failure::Scope | Failure::NoSuchCall | Failure::RequestTooLarge => {
            plain(status, "")
        }
        Failure::Throttled { retry_after_s, limit } => throttled(status, *retry_after_s, *limit),
        Failure::Validation { field, reason } => validation(field, reason),
        _ => thrown(style, status, failure),
    }
}

/// The status of a failed call.
fn status(family: Family, failure: &Failure) -> u16 {
    let docspace = match failure {
        Failure::Missing(_) | Failure::NoSuchCall => return 404,
        Failure::Argument(_) | Failure::Validation { .. } => return 400,
        Failure::Security(_) | Failure::InvalidOperation(_) | Failure::Scope => return 403,
        Failure::Challenge => return 401,
        Failure::Unpaid => return 402,
        Failure::RequestTooLarge => return 413,
        Failure::Throttled { .. } => return 429,
        Failure::FileMissing | Failure::FolderMissing => 404,
        Failure::Quota(_) => 402,
        Failure::NotSupported(_) => 415,
        Failure::Authentication => 401,
        Failure::Fault(_) => 500,
    };
    // CommunityServer knows four exceptions by name; the rest is its own fault.
    if family == Family::Community { 500 } else { docspace }
}

/// The name of the exception and its number.
fn exception(failure: &Failure) -> (&'static str, i64) {
    match failure {
        Failure::Missing(_) => ("ASC.Api.Exceptions.ItemNotFoundException", -2_146_233_088),
        Failure::FileMissing => ("System.IO.FileNotFoundException", -2_147_024_894),
        Failure::FolderMissing => ("System.IO.DirectoryNotFoundException", -2_147_024_893),
        Failure::Argument(_) => ("System.ArgumentException", -2_147_024_809),
        Failure::Security(_) => ("System.Security.SecurityException", -2_146_233_078),
        Failure::InvalidOperation(_) => ("System.InvalidOperationException", -2_146_233_079),
        Failure::Quota(_) => ("ASC.Core.Tenants.TenantQuotaException", -2_146_233_088),
        Failure::NotSupported(_) => ("System.NotSupportedException", -2_146_233_067),
        Failure::Authentication => ("System.Security.Authentication.AuthenticationException", -2_146_233_087),
        _ => ("System.Exception", -2_146_233_088),
    }
}

fn thrown(style: &Style, status: u16, failure: &Failure) -> Response {
    let message = match (failure, style.family) {
        // DocSpace says nothing more about rights.
        (Failure::Security(_), Family::Docspace) => "Access denied".to_owned(),
        _ => failure.message().text(style.language),
    };
    let (kind, number) = exception(failure);
    let body = match style.family {
        Family::Docspace => {
            let stack = "   at ASC.Files.Api";
            let error = json!({"message": message, "type": kind, "stack": stack, "hresult": number});
            json!({"error": error, "status": 1, "statusCode": status})
        }
        Family::Community => {
            let error = json!({"message": message, "hresult": number, "data": {}});
            json!({"count": 0, "status": 1, "statusCode": status, "error": error})
        }
    };
    json_answer(status, &body)
}

fn validation(field: &str, reason: &str) -> Response {
    let body = json!({
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": {field: [reason]},
    });
    json_answer(400, &body)
}

fn throttled(status: u16, retry_after_s: u64, limit: u32) -> Response {
    let mut answer = plain(status, "");
    let headers = answer.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
    headers.insert("x-ratelimit-limit", HeaderValue::from(limit));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(0));
    answer
}

/// The body of the upload handler, which has envelopes of its own. A failure is a 200.
pub(super) fn handler_success(family: Family, created: bool, data: Option<Value>) -> Response {
    let status = if created { 201 } else { 200 };
    handler_answer(family, status, json!({"success": true, "data": data, "message": ""}))
}

/// A failure of the upload handler.
pub(super) fn handler_failure(style: &Style, message: &Message) -> Response {
    let body = json!({"success": false, "data": null, "message": message.text(style.language)});
    handler_answer(style.family, 200, body)
}

fn handler_answer(family: Family, status: u16, mut body: Value) -> Response {
    if family == Family::Docspace && body["data"].is_null() {
        body.as_object_mut().expect("it is an object").remove("data");
    }
    json_answer(status, &body)
}

fn json_answer(status: u16, body: &Value) -> Response {
    let mut answer = plain(status, &body.to_string());
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

/// An answer that is text, or nothing.
pub(super) fn plain(status: u16, text: &str) -> Response {
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("only known statuses are answered");
    if !text.is_empty() {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(family: Family, method: Method) -> Style {
        Style { family, language: Language::En, method, href: "http://p/api/2.0/x".into() }
    }

    async fn read(answer: Response) -> (u16, Value) {
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn successes_are_wrapped_by_family() {
        let answer = success(&style(Family::Docspace, Method::POST), Reply::of(json!({"id": 1})));
        let links = json!([{"href": "http://p/api/2.0/x", "action": "POST"}]);
        let expected = json!({"response": {"id": 1}, "count": 1, "links": links, "status": 0, "statusCode": 200});
        assert_eq!(read(answer).await, (200, expected));
        let answer = success(&style(Family::Community, Method::POST), Reply::of(json!([1, 2])));
        assert_eq!(read(answer).await, (201, json!({"response": [1, 2], "count": 2, "status": 0, "statusCode": 201})));
        let answer = success(&style(Family::Community, Method::GET), Reply { total: Some(9), ..Reply::of(json!([])) });
        assert_eq!(
            read(answer).await,
            (200, json!({"response": [], "count": 0, "total": 9, "status": 0, "statusCode": 200}))
        );
        let (_, empty) = read(success(&style(Family::Docspace, Method::DELETE), Reply::of(Value::Null))).await;
        assert!(empty.get("response").is_none());
    }

    #[tokio::test]
    async fn failures_have_the_status_of_their_family() {
        let quota = Failure::Quota(Message::Total(1 << 30));
        let cases = [
            (Failure::FileMissing, 404, 500),
            (Failure::Missing(Message::FileNotFound), 404, 404),
            (Failure::Argument(Message::EmptyFile), 400, 400),
            (Failure::Security(Message::NoCreate), 403, 403),
            (quota, 402, 500),
            (Failure::NotSupported(Message::Format), 415, 500),
            (Failure::Authentication, 401, 500),
            (Failure::Fault(Message::EmptyFile), 500, 500),
        ];
        for (thrown, docspace, community) in cases {
            let (status, body) = read(failure(&style(Family::Docspace, Method::GET), &thrown)).await;
            assert_eq!((status, &body["statusCode"], &body["status"]), (docspace, &json!(docspace), &json!(1)));
            assert!(body["error"]["type"].is_string() && body.get("count").is_none(), "{body}");
            let (status, body) = read(failure(&style(Family::Community, Method::GET), &thrown)).await;
            assert_eq!((status, &body["statusCode"], &body["count"]), (community, &json!(community), &json!(0)));
            assert!(body["error"]["message"].is_string() && body["error"].get("type").is_none(), "{body}");
        }
    }

    #[tokio::test]
    async fn filters_answer_without_an_envelope() {
        for (thrown, expected) in
            [(Failure::Challenge, 401), (Failure::Unpaid, 402), (Failure::Scope, 403), (Failure::NoSuchCall, 404)]
        {
            let answer = failure(&style(Family::Docspace, Method::GET), &thrown);
            assert_eq!(answer.status(), expected);
            assert!(axum::body::to_bytes(answer.into_body(), 1).await.unwrap().is_empty());
        }
        let answer = failure(&style(Family::Community, Method::GET), &Failure::Challenge);
        assert_eq!(axum::body::to_bytes(answer.into_body(), 99).await.unwrap(), "Unauthorized");
    }

    #[tokio::test]
    async fn the_handler_answers_failures_with_200() {
        let message = Message::EmptyFile;
        let (status, body) = read(handler_failure(&style(Family::Docspace, Method::POST), &message)).await;
        assert_eq!((status, body), (200, json!({"success": false, "message": "Empty file"})));
        let (status, body) = read(handler_failure(&style(Family::Community, Method::POST), &message)).await;
        assert_eq!((status, body), (200, json!({"success": false, "data": null, "message": "Empty file"})));
        let (status, body) = read(handler_success(Family::Docspace, true, Some(json!({"id": 7})))).await;
        assert_eq!((status, body), (201, json!({"success": true, "data": {"id": 7}, "message": ""})));
    }
}
