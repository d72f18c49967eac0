//! What it means when a request brings no answer: told from the error of the library below, once for all services.
//!
//! | what happened                              | kind          | may it be sent again            |
//! |--------------------------------------------|---------------|---------------------------------|
//! | name not found, refused, cannot connect    | `Unreachable` | yes: nothing was sent           |
//! | TLS: certificate, version, not TLS at all  | `Unreachable` | no: a person must look          |
//! | cut or silent while or after sending       | `Unreachable`, `Timeout` | ask first; a request that only reads: yes |
//! | reading our own content failed             | its own       | as it says                      |

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use crate::error::{Error, Kind, Retry};

/// A request without an answer.
#[derive(Debug)]
pub struct Failure {
    /// What happened.
    pub error: Error,
    /// The body was not handed over completely: the server cannot have the whole request. What that is worth depends on
    /// the service; where it never acts on half a request, this is "definitely not done".
    pub body_cut: bool,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        failure.error
    }
}

/// What may be done after a connection broke, by what the request does.
pub(super) fn after_cut(repeatable: bool) -> Retry {
    if repeatable { Retry::After(Duration::ZERO) } else { Retry::AskFirst }
}

/// Tells what `error` of the request `op` to `origin` means.
pub(super) fn translate(error: reqwest::Error, op: &'static str, origin: &str, cut: Retry) -> Error {
    // Addresses may hold what logs must not show.
    let error = error.without_url();
    if let Some(own) = own_error(&error) {
        return own.clone();
    }
    if error.is_builder() {
        return Error::new(Kind::Invalid, op, format!("the request cannot be made: {}", chain(&error)));
    }
    if error.is_connect() {
        return not_connected(error, op, origin);
    }
    if error.is_timeout() {
        return Error::new(Kind::Timeout, op, format!("{origin} fell silent")).retry(cut).source(error);
    }
    Error::new(Kind::Unreachable, op, format!("the connection to {origin} broke: {}", chain(&error)))
        .retry(cut)
        .source(error)
}

fn not_connected(error: reqwest::Error, op: &'static str, origin: &str) -> Error {
    let again = Retry::After(Duration::ZERO);
    if error.is_dns() {
        return Error::new(Kind::Unreachable, op, format!("there is no address for {origin}"))
            .retry(again)
            .hint("check the host name and the network")
            .source(error);
    }
    let why = chain(&error);
    let failed = Error::new(Kind::Unreachable, op, format!("cannot connect to {origin}: {why}"));
    if !is_tls(&error) {
        return failed.retry(again).source(error);
    }
    match tls_advice(&why) {
        Some(advice) => failed.hint(advice).source(error),
        None => failed.source(error),
    }
}

/// What a person can do about a certificate, by the words of the TLS library.
fn tls_advice(why: &str) -> Option<&'static str> {
    let advice = [
        ("UnknownIssuer", "if the certificate is from an authority of your own, name its file as `ca_file`"),
        ("CaUsedAsEndEntity", "the server shows an authority's certificate as its own: it needs one with CA:FALSE"),
        ("xpired", "the server's certificate is out of date, or the clock here is wrong"),
        ("NotValidForName", "the certificate belongs to another host name: use the name it was made for"),
        ("not valid for name", "the certificate belongs to another host name: use the name it was made for"),
        ("InvalidContentType", "the server does not speak TLS on this port: is it http:// or another port?"),
    ];
    advice.into_iter().find(|(word, _)| why.contains(word)).map(|(_, advice)| advice)
}

/// Whether connecting failed because of what TLS found: its errors come as `InvalidData`, unlike those of the network.
/// One `io::Error` may hide within another, which `source` skips.
fn is_tls(error: &reqwest::Error) -> bool {
    let invalid = |cause: &io::Error| cause.kind() == io::ErrorKind::InvalidData;
    let within = |cause: &io::Error| cause.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(invalid);
    sources(error).filter_map(|cause| cause.downcast_ref()).any(|cause| invalid(cause) || within(cause))
}

/// Our own error, when reading the content of the body is what failed.
fn own_error(error: &reqwest::Error) -> Option<&Error> {
    sources(error).find_map(|cause| cause.downcast_ref::<Error>())
}

fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| (*cause).source())
}

/// The deepest cause in words: the layers above it only say "error sending request".
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let deepest = sources(error).last().unwrap_or(error);
    crate::error::printable(&deepest.to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_with_advice() {
        assert!(tls_advice("invalid peer certificate: UnknownIssuer").unwrap().contains("ca_file"));
        assert!(tls_advice("invalid peer certificate: Expired").unwrap().contains("clock"));
        assert!(tls_advice("received corrupt message of type InvalidContentType").unwrap().contains("http://"));
        assert_eq!(tls_advice("received fatal alert: ProtocolVersion"), None);
    }
}
