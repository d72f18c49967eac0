//! Services around a service: what every service needs and none should write itself. A layer sees each request once,
//! in [`Layer::around`], and decides when and how often the request runs; [`Layered`] is the only delegation.
//!
//! **Order** ([`stack`]), from the outside: [`Trace`] sees what the caller sees, one line per operation however often
//! it was tried. [`Reach`] hears the same: an attempt that another one makes good is no news. [`Retries`] is outside of [`Limit`], so that a request that sleeps before its next attempt holds no
//! permit. [`fault`], in tests, is innermost: it plays the network.
//!
//! **Failure.** A layer decides by an error's [`Retry`](crate::error::Retry) and by the [`Operation`], never by text.
//! **Cancellation.** Dropping a call drops the request under way and gives its permit back.

pub mod fault;
mod limit;
mod reach;
mod retry;
mod trace;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::limit::Limit;
pub use self::reach::{Offline, Reach, SILENCE};
pub use self::retry::{Retries, RetryPolicy};
pub use self::trace::Trace;
use super::{Begun, Capability, Node, Operation, Page, Part, Payload, Progress, Receipt, Service, SessionToken, Spec};
use crate::error::Result;
use crate::path::RemotePath;

/// A service with everything a mount wants around it, and what is learned by that.
#[derive(Clone)]
pub struct Stack {
    /// The service in its layers.
    pub service: Arc<dyn Service>,
    /// Whether it can be reached.
    pub reach: Arc<Reach>,
}

/// `service` with everything a mount wants around it. The module tells why in this order.
pub fn stack(service: Arc<dyn Service>) -> Stack {
    let limited = Layered::wrap(service, Limit::default());
    let persistent = Layered::wrap(limited, Retries::default());
    let reach = Arc::new(Reach::default());
    let heard = Layered::wrap(persistent, reach.clone());
    Stack { service: Layered::wrap(heard, Trace), reach }
}

/// One request, as layers see it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The kind of service, for log lines.
    pub service: &'static str,
    /// What it is about, for log lines.
    pub subject: Subject<'a>,
    /// Bytes of the file that travel with the request.
    pub bytes: u64,
}

/// What a request is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// The account.
    Account,
    /// An entry.
    Path(&'a RemotePath),
    /// An upload session whose file is not known any more.
    Session(&'a SessionToken),
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Account => f.write_str("the account"),
            Subject::Path(path) => fmt::Display::fmt(path, f),
            // The id may be what a server accepts as proof of ownership: it stays out of logs.
            Subject::Session(_) => f.write_str("an upload session"),
        }
    }
}

/// A request under way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What happens around each request of a service.
pub trait Layer: Send + Sync + 'static {
    /// Runs the request, by calling `run` once for each attempt.
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a;
}

/// A layer that others hold on to as well.
impl<L: Layer> Layer for Arc<L> {
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> impl Future<Output = Result<T>> + Send + 'a {
        L::around(self, call, run)
    }
}

/// A service with a layer around it.
pub struct Layered<L> {
    inner: Arc<dyn Service>,
    layer: L,
}

impl<L: Layer> Layered<L> {
    /// `layer` around `inner`.
    pub fn wrap(inner: Arc<dyn Service>, layer: L) -> Arc<dyn Service> {
        Arc::new(Layered { inner, layer })
    }

    fn call<'a>(&self, operation: Operation, subject: Subject<'a>) -> Call<'a> {
        Call { operation, service: self.inner.kind(), subject, bytes: 0 }
    }
}

#[async_trait]
impl<L: Layer> Service for Layered<L> {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn check_name(&self, path: &RemotePath) -> Result<()> {
        self.inner.check_name(path)
    }

    fn canonical_name(&self, name: &str) -> String {
        self.inner.canonical_name(name)
    }

    async fn check(&self) -> Result<Vec<String>> {
        let call = self.call(Operation::Check, Subject::Account);
        self.layer.around(call, || self.inner.check()).await
    }

    async fn admit(&self, path: &RemotePath) -> Result<()> {
        let call = self.call(Operation::Admit, Subject::Path(path));
        self.layer.around(call, || self.inner.admit(path)).await
    }

    async fn stat(&self, path: &RemotePath) -> Result<Node> {
        let call = self.call(Operation::Stat, Subject::Path(path));
        self.layer.around(call, || self.inner.stat(path)).await
    }

    async fn list(&self, path: &RemotePath, cursor: Option<&str>) -> Result<Page> {
        let call = self.call(Operation::List, Subject::Path(path));
        self.layer.around(call, || self.inner.list(path, cursor)).await
    }

    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        let call = self.call(Operation::Read, Subject::Path(path));
        self.layer.around(call, || self.inner.read(path, node, range.clone())).await
    }

    async fn mkdir(&self, path: &RemotePath) -> Result<Node> {
        let call = self.call(Operation::Mkdir, Subject::Path(path));
        self.layer.around(call, || self.inner.mkdir(path)).await
    }

    async fn remove(&self, path: &RemotePath, node: &Node) -> Result<()> {
        let call = self.call(Operation::Remove, Subject::Path(path));
        self.layer.around(call, || self.inner.remove(path, node)).await
    }

    async fn rename(&self, from: &RemotePath, node: &Node, to: &RemotePath) -> Result<Node> {
        let call = self.call(Operation::Rename, Subject::Path(from));
        self.layer.around(call, || self.inner.rename(from, node, to)).await
    }

    async fn begin(&self, spec: &Spec, first: Option<Part>) -> Result<Begun> {
        let bytes = first.as_ref().map_or(0, |part| part.payload.len());
        let call = Call { bytes, ..self.call(Operation::Begin, Subject::Path(&spec.path)) };
        self.layer.around(call, || self.inner.begin(spec, first.clone())).await
    }

    async fn put(&self, spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        let call = Call { bytes: part.payload.len(), ..self.call(Operation::Put, Subject::Path(&spec.path)) };
        self.layer.around(call, || self.inner.put(spec, token, part.clone())).await
    }

    async fn finish(&self, spec: &Spec, token: &SessionToken, receipts: &[Receipt]) -> Result<Node> {
        let call = self.call(Operation::Finish, Subject::Path(&spec.path));
        self.layer.around(call, || self.inner.finish(spec, token, receipts)).await
    }

    async fn probe(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        let call = self.call(Operation::Probe, Subject::Path(&spec.path));
        self.layer.around(call, || self.inner.probe(spec, session)).await
    }

    async fn abort(&self, token: &SessionToken) -> Result<()> {
        let call = self.call(Operation::Abort, Subject::Session(token));
        self.layer.around(call, || self.inner.abort(token)).await
    }

    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        let call = Call { bytes: payload.len(), ..self.call(Operation::PutWhole, Subject::Path(&spec.path)) };
        self.layer.around(call, || self.inner.put_whole(spec, payload.clone())).await
    }
}
