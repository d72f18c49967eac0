//! The page for people, below the control address: what was uploaded and what is on the way, and the files themselves,
//! without signing in. It only shows: whatever changes something is a client's request, or the control address's.
//!
//! **Names are hostile.** Titles come from whoever uploads. They are cleaned and escaped where text becomes HTML or a
//! header (`text`), and nowhere else; the policy in the headers lets no script run but the page's own file. A file is
//! never shown in place, only saved: what is HTML in it has no origin to act in.

mod download;
mod html;
pub(super) mod text;
mod view;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use self::view::View;
use super::control::PREFIX;
use super::serve::Served;

/// The page's own files, and a picture without content, which keeps browsers from asking the service for one.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Something of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The page's address without the slash at its end.
    Slashless,
    /// The page itself.
    Page,
    /// Its style sheet.
    Style,
    /// Its script.
    Script,
    /// A file, by the end of its link.
    File(String),
}

/// The part that answers to `path`, if one does.
pub(super) fn part(path: &str) -> Option<Part> {
    let Some(rest) = path.strip_prefix(PREFIX) else { return Some(Part::Slashless) };
    match rest {
        "" => Some(Part::Page),
        "page.css" => Some(Part::Style),
        "page.js" => Some(Part::Script),
        _ => rest.strip_prefix("files/").map(|file| Part::File(file.to_owned())),
    }
}

pub(super) fn answer(served: &Served, part: Part, request: &Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "this is for looking only");
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    match part {
        Part::Slashless => {
            let mut answer = plain(StatusCode::PERMANENT_REDIRECT, "");
            answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(PREFIX));
            answer
        }
        Part::Page => page(served, request),
        Part::Style => text_of("text/css; charset=utf-8", include_str!("page/page.css").into()),
        Part::Script => text_of("text/javascript; charset=utf-8", include_str!("page/page.js").into()),
        Part::File(file) => {
            download::answer(served, &file).unwrap_or_else(|| plain(StatusCode::NOT_FOUND, "there is no such file"))
        }
    }
}

fn page(served: &Served, request: &Request) -> Response {
    // Known to be there, and to name this machine.
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let view = View::of(served.protocol.state());
    let mut answer = text_of("text/html; charset=utf-8", html::page(&view, &format!("http://{host}")));
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

fn text_of(content_type: &'static str, text: String) -> Response {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut answer = text_of("text/plain; charset=utf-8", format!("{text}\n"));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lies_beside_the_control_address() {
        assert_eq!(part("/.portal"), Some(Part::Slashless));
        assert_eq!(part("/.portal/"), Some(Part::Page));
        assert_eq!(part("/.portal/page.js"), Some(Part::Script));
        assert_eq!(part("/.portal/files/7"), Some(Part::File("7".into())));
        for other in ["/.portal/state", "/.portal/page.html", "/.portal/files", "/.portal//"] {
            assert_eq!(part(other), None, "{other}");
        }
    }
}
