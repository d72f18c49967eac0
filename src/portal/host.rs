//! Whether a request was meant for this machine. A web page of somebody else can make its own name point at loopback
//! (DNS rebinding) and read what answers there; the name in the request gives it away. It is no protection against
//! programs, which can claim any name.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::http::uri::Authority;
use axum::http::{Request, header};

/// Whether every name that the request has for its server is one of loopback, and there is one.
pub(super) fn is_this_machine(request: &Request<Body>) -> bool {
    let mut told = request.headers().get_all(header::HOST).iter().peekable();
    let is_told = told.peek().is_some();
    let all_ours = told.all(|host| host.to_str().is_ok_and(is_loopback));
    // An absolute address counts over the header.
    let address = request.uri().authority().is_none_or(|authority| is_loopback(authority.as_str()));
    is_told && all_ours && address
}

/// Whether `host`, with or without a port, is loopback. The port may be any: it may have been forwarded.
fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    // What stands before `@` is no part of a name, and no browser sends it.
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_few_names() {
        for host in ["127.0.0.1", "127.0.0.1:80", "localhost", "LOCALHOST:8080", "[::1]", "[::1]:65535", "127.1.2.3"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "127.0.0.1.example.org",
            "localhost.example.org:80",
            "localhost.",
            "192.168.0.1",
            "0.0.0.0",
            "[::2]",
            "127.0.0.1@example.org",
            "example.org@127.0.0.1",
            "127.0.0.1 example.org",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    fn request(uri: &str, hosts: &[&str]) -> Request<Body> {
        let builder = hosts.iter().fold(Request::builder().uri(uri), |builder, host| builder.header("host", *host));
        builder.body(Body::empty()).unwrap()
    }

    #[test]
    fn every_name_in_a_request_counts() {
        assert!(is_this_machine(&request("/", &["localhost:80"])));
        assert!(is_this_machine(&request("http://127.0.0.1/", &["localhost:80"])));
        assert!(!is_this_machine(&request("/", &[])));
        assert!(!is_this_machine(&request("/", &["localhost", "example.org"])));
        assert!(!is_this_machine(&request("http://example.org/", &["localhost"])));
    }
}
