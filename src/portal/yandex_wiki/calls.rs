//! What a request asks for, by its method and path. It decides nothing about rights or about what exists.

use axum::http::Method;
use serde_json::{Value, json};

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Me,
    Openapi,
    CreateSession,
    Session(String),
    Part(String),
    Finish(String),
    Abort(String),
    AbortAll,
    Attach(u64),
    Attachments(u64),
    Attachment {
        page: u64,
        file: u64,
    },
    DeleteAttachment {
        page: u64,
        file: u64,
    },
    Download {
        page: u64,
        file: u64,
    },
    Preview {
        page: u64,
        file: u64,
    },
    DownloadByUrl,
    Resources(u64),
    PageBySlug,
    Page(u64),
    CreatePage,
    UpdatePage(u64),
    DeletePage(u64),
    Recover(String),
    DescendantsBySlug,
    Descendants(u64),
    Move,
    Clone(u64),
    Operation {
        kind: OperationKind,
        task: String,
    },
    /// An address that is there, with a method that is not.
    WrongMethod,
    Unknown,
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OperationKind {
    Move,
    Clone,
}

impl OperationKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            OperationKind::Move => "move",
            OperationKind::Clone => "clone",
        }
    }
}

impl Call {
    /// The kind, as the scripts of faults name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Call::Me => "me",
            Call::Openapi => "openapi",
            Call::CreateSession => "create_session",
            Call::Session(_) => "session",
            Call::Part(_) => "part",
            Call::Finish(_) => "finish",
            Call::Abort(_) => "abort",
            Call::AbortAll => "abort_all",
            Call::Attach(_) => "attach",
            Call::Attachments(_) => "attachments",
            Call::Attachment { .. } => "attachment",
            Call::DeleteAttachment { .. } => "delete_attachment",
            Call::Download { .. } => "download",
            Call::Preview { .. } => "preview",
            Call::DownloadByUrl => "download_by_url",
            Call::Resources(_) => "resources",
            Call::PageBySlug | Call::Page(_) => "page",
            Call::CreatePage => "create_page",
            Call::UpdatePage(_) => "update_page",
            Call::DeletePage(_) => "delete_page",
            Call::Recover(_) => "recover",
            Call::DescendantsBySlug | Call::Descendants(_) => "descendants",
            Call::Move => "move",
            Call::Clone(_) => "clone",
            Call::Operation { .. } => "operation",
            Call::WrongMethod | Call::Unknown => "unknown",
        }
    }

    /// Whether it changes anything.
    pub(super) fn writes(&self) -> bool {
        matches!(
            self,
            Call::CreateSession
                | Call::Part(_)
                | Call::Finish(_)
                | Call::Abort(_)
                | Call::AbortAll
                | Call::Attach(_)
                | Call::DeleteAttachment { .. }
                | Call::CreatePage
                | Call::UpdatePage(_)
                | Call::DeletePage(_)
                | Call::Recover(_)
                | Call::Move
                | Call::Clone(_)
        )
    }
}

/// Every address below the base, as the OpenAPI document of the service has them, and only those that are here.
const ADDRESSES: [(&str, &str); 26] = [
    ("get", "/users/me"),
    ("post", "/upload_sessions"),
    ("get", "/upload_sessions/{session_id}"),
    ("put", "/upload_sessions/{session_id}/upload_part"),
    ("post", "/upload_sessions/{session_id}/finish"),
    ("post", "/upload_sessions/{session_id}/abort"),
    ("post", "/upload_sessions/abort_active_uploads"),
    ("post", "/pages/{idx}/attachments"),
    ("get", "/pages/{idx}/attachments"),
    ("get", "/pages/{idx}/attachments/{file_id}"),
    ("delete", "/pages/{idx}/attachments/{file_id}"),
    ("get", "/pages/{idx}/attachments/{file_id}/download"),
    ("get", "/pages/{idx}/attachments/{file_id}/preview"),
    ("get", "/pages/attachments/download_by_url"),
    ("get", "/pages/{idx}/resources"),
    ("get", "/pages"),
    ("post", "/pages"),
    ("get", "/pages/{idx}"),
    ("post", "/pages/{idx}"),
    ("delete", "/pages/{idx}"),
    ("post", "/recovery_tokens/{token}/recover"),
    ("get", "/pages/descendants"),
    ("get", "/pages/{idx}/descendants"),
    ("post", "/pages/move"),
    ("post", "/pages/{idx}/clone"),
    ("get", "/operations/move/{task_id}"),
];

/// The OpenAPI document, without the schemas.
pub(super) fn openapi(base: &str) -> Value {
    let mut paths = json!({});
    for (method, path) in ADDRESSES {
        paths[format!("{base}{path}")][method] = json!({"responses": {"200": {"description": "OK"}}});
    }
    json!({"openapi": "3.1.0", "info": {"title": "Wiki Public API", "version": "1.0.0"}, "paths": paths})
}

/// What answers at an address: calls by method.
type Offered = Vec<(Method, Call)>;

/// The call behind an address below `base`. HEAD is the call of GET.
pub(super) fn route(base: &str, method: &Method, path: &str) -> Call {
    let Some(rest) = path.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) else { return Call::Unknown };
    let segments: Vec<&str> = rest.split('/').collect();
    let offered = match segments.as_slice() {
        ["openapi.json"] => vec![(Method::GET, Call::Openapi)],
        ["users", "me"] => vec![(Method::GET, Call::Me)],
        ["upload_sessions", rest @ ..] => session(rest),
        ["pages", rest @ ..] => pages(rest),
        ["recovery_tokens", token, "recover"] => vec![(Method::POST, Call::Recover((*token).to_owned()))],
        ["operations", kind @ ("move" | "clone"), task] => {
            let kind = if *kind == "move" { OperationKind::Move } else { OperationKind::Clone };
            vec![(Method::GET, Call::Operation { kind, task: (*task).to_owned() })]
        }
        _ => Vec::new(),
    };
    if offered.is_empty() {
        return Call::Unknown;
    }
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    offered.into_iter().find(|(known, _)| known == method).map_or(Call::WrongMethod, |(_, call)| call)
}

fn session(segments: &[&str]) -> Offered {
    let own = |id: &&str| (*id).to_owned();
    match segments {
        [] => vec![(Method::POST, Call::CreateSession)],
        ["abort_active_uploads"] => vec![(Method::POST, Call::AbortAll)],
        [id] => vec![(Method::GET, Call::Session(own(id)))],
        [id, "upload_part"] => vec![(Method::PUT, Call::Part(own(id)))],
        [id, "finish"] => vec![(Method::POST, Call::Finish(own(id)))],
        [id, "abort"] => vec![(Method::POST, Call::Abort(own(id)))],
        _ => Vec::new(),
    }
}

fn pages(segments: &[&str]) -> Offered {
    match segments {
        [] => vec![(Method::GET, Call::PageBySlug), (Method::POST, Call::CreatePage)],
        ["descendants"] => vec![(Method::GET, Call::DescendantsBySlug)],
        ["move"] => vec![(Method::POST, Call::Move)],
        ["attachments", "download_by_url"] => vec![(Method::GET, Call::DownloadByUrl)],
        [page, rest @ ..] => page.parse().map_or_else(|_| Vec::new(), |page| of_page(page, rest)),
    }
}

fn of_page(page: u64, segments: &[&str]) -> Offered {
    match segments {
        [] => vec![
            (Method::GET, Call::Page(page)),
            (Method::POST, Call::UpdatePage(page)),
            (Method::DELETE, Call::DeletePage(page)),
        ],
        ["descendants"] => vec![(Method::GET, Call::Descendants(page))],
        ["clone"] => vec![(Method::POST, Call::Clone(page))],
        ["resources"] => vec![(Method::GET, Call::Resources(page))],
        ["attachments"] => vec![(Method::GET, Call::Attachments(page)), (Method::POST, Call::Attach(page))],
        ["attachments", file, rest @ ..] => {
            let Ok(file) = file.parse() else { return Vec::new() };
            match rest {
                [] => vec![
                    (Method::GET, Call::Attachment { page, file }),
                    (Method::DELETE, Call::DeleteAttachment { page, file }),
                ],
                ["download"] => vec![(Method::GET, Call::Download { page, file })],
                ["preview"] => vec![(Method::GET, Call::Preview { page, file })],
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(request: &str) -> Call {
        let (method, path) = request.split_once(' ').unwrap();
        route("/v1", &method.parse().unwrap(), path)
    }

    #[test]
    fn every_documented_address_is_known() {
        let id = || "ab-c".to_owned();
        for (request, expected) in [
            ("GET /v1/users/me", Call::Me),
            ("GET /v1/openapi.json", Call::Openapi),
            ("POST /v1/upload_sessions", Call::CreateSession),
            ("GET /v1/upload_sessions/ab-c", Call::Session(id())),
            ("PUT /v1/upload_sessions/ab-c/upload_part", Call::Part(id())),
            ("POST /v1/upload_sessions/ab-c/finish", Call::Finish(id())),
            ("POST /v1/upload_sessions/ab-c/abort", Call::Abort(id())),
            ("POST /v1/upload_sessions/abort_active_uploads", Call::AbortAll),
            ("POST /v1/pages/7/attachments", Call::Attach(7)),
            ("GET /v1/pages/7/attachments", Call::Attachments(7)),
            ("GET /v1/pages/7/attachments/9", Call::Attachment { page: 7, file: 9 }),
            ("DELETE /v1/pages/7/attachments/9", Call::DeleteAttachment { page: 7, file: 9 }),
            ("GET /v1/pages/7/attachments/9/download", Call::Download { page: 7, file: 9 }),
            ("HEAD /v1/pages/7/attachments/9/download", Call::Download { page: 7, file: 9 }),
            ("GET /v1/pages/7/attachments/9/preview", Call::Preview { page: 7, file: 9 }),
            ("GET /v1/pages/attachments/download_by_url", Call::DownloadByUrl),
            ("GET /v1/pages/7/resources", Call::Resources(7)),
            ("GET /v1/pages", Call::PageBySlug),
            ("GET /v1/pages/7", Call::Page(7)),
            ("POST /v1/pages", Call::CreatePage),
            ("POST /v1/pages/7", Call::UpdatePage(7)),
            ("DELETE /v1/pages/7", Call::DeletePage(7)),
            ("POST /v1/recovery_tokens/ab-c/recover", Call::Recover(id())),
            ("GET /v1/pages/descendants", Call::DescendantsBySlug),
            ("GET /v1/pages/7/descendants", Call::Descendants(7)),
            ("POST /v1/pages/move", Call::Move),
            ("POST /v1/pages/7/clone", Call::Clone(7)),
            ("GET /v1/operations/move/ab-c", Call::Operation { kind: OperationKind::Move, task: id() }),
        ] {
            assert_eq!(call(request), expected, "{request}");
        }
    }

    #[test]
    fn everything_else_is_unknown_or_has_another_method() {
        for request in ["PATCH /v1/pages/7", "PUT /v1/pages/7", "POST /v1/upload_sessions/a/upload_part"] {
            assert_eq!(call(request), Call::WrongMethod, "{request}");
        }
        for request in [
            "GET /",
            "GET /v1",
            "GET /v2/users/me",
            "GET /v1/users/me/",
            "POST /v1/pages/7/files",
            "GET /v1/pages/seven",
            "GET /v1/operations/delete/a",
        ] {
            assert_eq!(call(request), Call::Unknown, "{request}");
        }
        assert_eq!(route("/api/v2/public", &Method::GET, "/api/v2/public/users/me"), Call::Me);
    }

    #[test]
    fn the_document_names_what_answers() {
        let document = openapi("/v1");
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.values().map(|path| path.as_object().unwrap().len()).sum::<usize>(), ADDRESSES.len());
        for (method, path) in ADDRESSES {
            let path = ["{session_id}", "{idx}", "{file_id}", "{token}", "{task_id}"]
                .iter()
                .fold(path.to_owned(), |path, variable| path.replace(variable, "7"));
            let found = call(&format!("{} /v1{path}", method.to_uppercase()));
            assert!(!matches!(found, Call::Unknown | Call::WrongMethod), "{method} {path}");
        }
    }

    #[test]
    fn kinds_name_what_is_done() {
        assert_eq!(call("PUT /v1/upload_sessions/a/upload_part").kind(), "part");
        assert_eq!(call("GET /v1/pages/7").kind(), call("GET /v1/pages").kind());
        assert!(call("POST /v1/pages/7").writes() && !call("GET /v1/pages/7").writes());
    }
}
