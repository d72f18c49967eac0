//! What a request asks for, by its method and path, and in which of the two dialects. It decides nothing about rights or
//! about what exists.

use axum::http::Method;
use serde::{Deserialize, Serialize};

/// The two ways in which the same store is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dialect {
    /// The vendor's own.
    Native,
    /// That of OpenAI.
    Openai,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    List,
    Get(String),
    GetUrl,
    Update(String),
    Delete(String),
    Content(String),
    /// An address that is there, with a method that is not.
    WrongMethod,
    Unknown,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) dialect: Dialect,
    pub(super) action: Action,
}

impl Call {
    /// The kind, as the scripts of faults name it: the same in both dialects.
    pub(super) fn kind(&self) -> &'static str {
        match self.action {
            Action::Create => "create",
            Action::List => "list",
            Action::Get(_) => "get",
            Action::GetUrl => "get_url",
            Action::Update(_) => "update",
            Action::Delete(_) => "delete",
            Action::Content(_) => "content",
            Action::WrongMethod | Action::Unknown => "unknown",
        }
    }
}

/// Where the native files are, and below them, one of them.
const NATIVE: &str = "/files/v1/files";
/// The same in the dialect of OpenAI.
const OPENAI: &str = "/v1/files";
/// What the path of a call for an address ends with.
const GET_URL: &str = ":getUrl";

/// The call behind a path.
pub(super) fn route(method: &Method, path: &str) -> Call {
    // Some clients write the colon with an escape.
    let path = path.replace("%3A", ":").replace("%3a", ":");
    if let Some(rest) = path.strip_prefix(NATIVE) {
        return Call { dialect: Dialect::Native, action: native(method, rest) };
    }
    if let Some(rest) = path.strip_prefix(OPENAI) {
        return Call { dialect: Dialect::Openai, action: openai(method, rest) };
    }
    // What is not there is missed in the words of whoever has the neighbours.
    let dialect = if path.starts_with("/v1/") { Dialect::Openai } else { Dialect::Native };
    Call { dialect, action: Action::Unknown }
}

fn native(method: &Method, rest: &str) -> Action {
    let offered = match rest {
        "" => vec![(Method::GET, Action::List), (Method::POST, Action::Create)],
        GET_URL => vec![(Method::GET, Action::GetUrl)],
        _ => match id(rest) {
            Some(id) => vec![
                (Method::GET, Action::Get(id.clone())),
                (Method::PATCH, Action::Update(id.clone())),
                (Method::DELETE, Action::Delete(id)),
            ],
            None => return Action::Unknown,
        },
    };
    choose(offered, method)
}

fn openai(method: &Method, rest: &str) -> Action {
    let offered = match rest.strip_suffix("/content").and_then(id) {
        Some(id) => vec![(Method::GET, Action::Content(id))],
        None if rest.is_empty() => vec![(Method::GET, Action::List), (Method::POST, Action::Create)],
        None => match id(rest) {
            Some(id) => vec![(Method::GET, Action::Get(id.clone())), (Method::DELETE, Action::Delete(id))],
            None => return Action::Unknown,
        },
    };
    choose(offered, method)
}

/// The only segment of a path.
fn id(rest: &str) -> Option<String> {
    let id = rest.strip_prefix('/')?;
    (!id.is_empty() && !id.contains(['/', ':'])).then(|| id.to_owned())
}

fn choose(offered: Vec<(Method, Action)>, method: &Method) -> Action {
    offered.into_iter().find(|(own, _)| own == method).map_or(Action::WrongMethod, |(_, action)| action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(request: &str) -> (Dialect, Action) {
        let (method, path) = request.split_once(' ').unwrap();
        let call = route(&method.parse().unwrap(), path);
        (call.dialect, call.action)
    }

    #[test]
    fn every_address_has_its_call() {
        let id = || "fvt1".to_owned();
        let (native, openai) = (Dialect::Native, Dialect::Openai);
        for (request, expected) in [
            ("POST /files/v1/files", (native, Action::Create)),
            ("GET /files/v1/files", (native, Action::List)),
            ("GET /files/v1/files:getUrl", (native, Action::GetUrl)),
            ("GET /files/v1/files%3AgetUrl", (native, Action::GetUrl)),
            ("GET /files/v1/files/fvt1", (native, Action::Get(id()))),
            ("PATCH /files/v1/files/fvt1", (native, Action::Update(id()))),
            ("DELETE /files/v1/files/fvt1", (native, Action::Delete(id()))),
            ("POST /v1/files", (openai, Action::Create)),
            ("GET /v1/files", (openai, Action::List)),
            ("GET /v1/files/fvt1", (openai, Action::Get(id()))),
            ("GET /v1/files/fvt1/content", (openai, Action::Content(id()))),
            ("DELETE /v1/files/fvt1", (openai, Action::Delete(id()))),
        ] {
            assert_eq!(action(request), expected, "{request}");
        }
    }

    #[test]
    fn everything_else_is_unknown_or_has_another_method() {
        for request in [
            "PUT /files/v1/files/fvt1",
            "HEAD /files/v1/files/fvt1",
            "POST /files/v1/files:getUrl",
            "PATCH /v1/files/fvt1",
            "POST /v1/files/fvt1/content",
        ] {
            assert_eq!(action(request).1, Action::WrongMethod, "{request}");
        }
        for request in [
            "GET /",
            "GET /files/v1/files/",
            "GET /files/v1/files/fvt1/content",
            "GET /files/v1/files/fvt1:getUrl",
            "GET /files/v1/filesystem",
            "POST /v1/uploads",
            "GET /v1/files//content",
            "GET /v2/files",
        ] {
            assert_eq!(action(request).1, Action::Unknown, "{request}");
        }
        assert_eq!((action("GET /nothing").0, action("GET /v1/nothing").0), (Dialect::Native, Dialect::Openai));
        assert_eq!(route(&Method::PATCH, "/files/v1/files/a").kind(), "update");
        assert_eq!(route(&Method::GET, "/files/v1/files").kind(), route(&Method::GET, "/v1/files").kind());
    }
}
