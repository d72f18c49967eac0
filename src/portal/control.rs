//! The control address, `/.portal/`: state, faults, line, clock and settings over HTTP, for tests that run the portal as
//! a process of its own; and the page for people. It has no password: the portal is for loopback. What a browser may
//! make of its answers is said in their headers, and it answers to the names of this machine only.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::faults::{Random, Rule};
use super::link::Link;
use super::serve::Served;
use super::{host, page};

/// Where the control address begins. No service has such a path.
pub(super) const PREFIX: &str = "/.portal/";

/// What a browser may do with an answer that says nothing else: nothing.
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// A script of faults is small.
const BODY_BYTES_MAX: usize = 1 << 20;

pub(super) fn is_control(path: &str) -> bool {
    path.starts_with(PREFIX) || path == PREFIX.trim_end_matches('/')
}

/// The body of `POST clock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_s: u64,
}

/// Why a control request is refused.
struct Refused(StatusCode, String);

pub(super) async fn answer(served: &Served, request: Request) -> Response {
    let mut answer = if !host::is_this_machine(&request) {
        json_of(Err(Refused(StatusCode::MISDIRECTED_REQUEST, "this is not the name of this machine".into())))
    } else if let Some(part) = page::part(request.uri().path()) {
        page::answer(served, part, &request)
    } else {
        json_of(control(served, request).await)
    };
    let headers = answer.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NO_CONTENT));
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another site's page may not even show it as a picture.
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn json_of(result: Result<Value, Refused>) -> Response {
    let (status, value) = match result {
        Ok(value) => (StatusCode::OK, value),
        Err(Refused(status, reason)) => (status, json!({"error": reason})),
    };
    let mut answer = Response::new(Body::from(format!("{value:#}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

async fn control(served: &Served, request: Request) -> Result<Value, Refused> {
    let Served { core, protocol } = served;
    let (parts, body) = request.into_parts();
    let what = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let done = json!({"done": true});
    match (&parts.method, what) {
        (&Method::GET, "state") => {
            let state = core.state(protocol.as_ref()).await;
            let state = state.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            serde_json::to_value(state).map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
        }
        (&Method::GET, "violations") => Ok(json!(core.violations.all())),
        (&Method::DELETE, "violations") => {
            core.violations.clear();
            Ok(done)
        }
        (&Method::GET, "faults") => Ok(json!({"rules": core.faults.rules(), "struck": core.faults.struck()})),
        (&Method::POST, "faults") => {
            read::<Vec<Rule>>(body).await?.into_iter().for_each(|rule| core.faults.add(rule));
            Ok(done)
        }
        (&Method::PUT, "faults/random") => {
            core.faults.set_random(Some(read::<Random>(body).await?));
            Ok(done)
        }
        (&Method::DELETE, "faults") => {
            core.faults.clear();
            Ok(done)
        }
        (&Method::GET, "link") => Ok(json!(core.line.link())),
        (&Method::PUT, "link") => {
            core.line.set(read::<Link>(body).await?);
            Ok(done)
        }
        (&Method::POST, "clock") => {
            core.clock.advance(std::time::Duration::from_secs(read::<Advance>(body).await?.advance_s));
            Ok(done)
        }
        (&Method::GET, "settings") => Ok(protocol.settings()),
        (&Method::PUT, "settings") => {
            let changes = read::<Value>(body).await?;
            protocol.set(&changes).map_err(|reason| Refused(StatusCode::BAD_REQUEST, reason))?;
            Ok(done)
        }
        _ => Err(Refused(StatusCode::NOT_FOUND, format!("nothing answers to {} {PREFIX}{what}", parts.method))),
    }
}

async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let refused = |reason: String| Refused(StatusCode::BAD_REQUEST, reason);
    let bytes = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| refused(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))
}
