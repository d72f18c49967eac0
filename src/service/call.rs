//! A call of a service that speaks JSON: the request while it is put together, and why a call brought nothing. How it is
//! signed, and what its answer means, each client says for itself.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::error::Error;
use crate::http::{Body, Client, Method, Request};

/// The media type of requests and answers.
pub(super) const JSON: &str = "application/json";

/// What a service says when it refuses.
pub(super) trait Refuses {
    /// The refusal of `op` as an error.
    fn into_error(self, op: &'static str) -> Error;
}

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum Trouble<R> {
    /// The service refused.
    Refused(R),
    /// There is no answer, or none that can be understood.
    Failed(Error),
}

impl<R: Refuses> Trouble<R> {
    pub(super) fn into_error(self, op: &'static str) -> Error {
        match self {
            Trouble::Refused(refusal) => refusal.into_error(op),
            Trouble::Failed(error) => error,
        }
    }
}

impl<R> From<Error> for Trouble<R> {
    fn from(error: Error) -> Self {
        Trouble::Failed(error)
    }
}

/// A request that is not signed yet, of which nothing but its answer matters any more.
pub(super) struct Call {
    /// The operation, in errors.
    pub(super) op: &'static str,
    /// Whether it may be sent again whatever became of it.
    pub(super) repeatable: bool,
    pub(super) request: Request,
}

impl Call {
    /// A call of `url`.
    pub(super) fn new(http: &Client, op: &'static str, method: Method, url: Url) -> Call {
        Call { op, repeatable: matches!(method, Method::Get | Method::Head), request: http.request(op, method, url) }
    }

    /// With this body of JSON.
    #[must_use]
    pub(super) fn json(mut self, body: &Value) -> Call {
        self.request = self.request.body(Body::bytes(JSON, body.to_string()));
        self
    }

    /// With this body.
    #[must_use]
    pub(super) fn body(mut self, body: Body) -> Call {
        self.request = self.request.body(body);
        self
    }

    /// With these arguments.
    #[must_use]
    pub(super) fn query<'a>(mut self, arguments: impl IntoIterator<Item = (&'a str, &'a str)>) -> Call {
        self.request = self.request.query(arguments);
        self
    }

    /// With this header.
    #[must_use]
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Call {
        self.request = self.request.header(name, value);
        self
    }

    /// With an address that stays out of logs.
    #[must_use]
    pub(super) fn secret_address(mut self) -> Call {
        self.request = self.request.secret_address();
        self
    }

    /// With this time for the answer to begin.
    #[must_use]
    pub(super) fn answer_within(mut self, limit: Duration) -> Call {
        self.request = self.request.answer_within(limit);
        self
    }

    /// May be sent again after a cut: it changes nothing, or does the same thing to the same.
    #[must_use]
    pub(super) fn repeatable(mut self) -> Call {
        self.request = self.request.only_reads();
        self.repeatable = true;
        self
    }
}
