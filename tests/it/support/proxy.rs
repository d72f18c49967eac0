//! A proxy that fails as told, between any HTTP/1.1 client and a real server: scripted faults by kind of request and
//! occurrence, random ones by seed, requests that hang until they are let go. It streams bodies and keeps the client's
//! connection, so that without faults nobody notices it; it changes nothing in what it passes on, not even the `Host`.
//! It does not judge: tests count what it has seen.
//!
//! What a fault in `src/service/layer/fault.rs` is to an operation, a fault here is to a request on the wire.

mod exchange;
mod script;
mod tests;
mod wire;

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::runtime::Runtime;

pub(crate) use self::script::{End, Fault, Gate, Page, Random, When};
use self::wire::RequestHead;

/// What can be told of a request before it is carried anywhere.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    /// The first KiB of the content.
    start: Bytes,
}

impl Request {
    /// An argument in the URL.
    pub(crate) fn argument(&self, name: &str) -> Option<String> {
        let (_, query) = self.uri.split_once('?')?;
        value(query.as_bytes(), name)
    }

    /// A field of a form, as long as it stands before a file.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        if !self.start.starts_with(b"--") {
            return value(&self.start, name);
        }
        let text = String::from_utf8_lossy(&self.start);
        let (_, rest) = text.split_once(&format!("name=\"{name}\"\r\n\r\n"))?;
        rest.split_once("\r\n--").map(|(value, _)| value.to_owned())
    }
}

/// The value of `name` in an ordinary form.
fn value(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form).find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// What the server had to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Nothing of it came there.
    Unasked,
    /// It got some or all of it, and has not answered.
    Silent,
    /// Its answer had this status.
    Answered(u16),
}

/// A request that came by.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What the test calls such requests.
    pub(crate) kind: &'static str,
    pub(crate) method: String,
    pub(crate) uri: String,
    /// The fault it met.
    pub(crate) fault: Option<String>,
    pub(crate) server: Server,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.fault.as_deref().unwrap_or("passed");
        write!(f, "{:12} {fault}; server: {:?}; {} {}", self.kind, self.server, self.method, self.uri)
    }
}

type Which = Box<dyn Fn(&Request, &str) -> bool + Send + Sync>;

/// One line of the script.
struct Rule {
    which: Which,
    when: When,
    fault: Fault,
    /// How many requests it was about so far.
    count: u64,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    random: Option<Random>,
    /// Of the faults by chance so far, for whoever wants to meet them again.
    seed: Option<u64>,
    seen: Vec<Seen>,
}

/// The place of a request among those seen.
type Entry = usize;

/// What all connections share.
struct Shared {
    upstream: SocketAddr,
    kind: Box<dyn Fn(&Request) -> &'static str + Send + Sync>,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request came: its place in the list, and what is to happen to it. The first rule that hits counts.
    fn note(&self, head: &RequestHead, start: Bytes) -> (Entry, Option<Fault>) {
        let request = Request { method: head.method.clone(), uri: head.uri.clone(), start };
        let kind = (self.kind)(&request);
        let mut state = self.state();
        let mut fault = None;
        for rule in state.rules.iter_mut().filter(|rule| (rule.which)(&request, kind)) {
            rule.count += 1;
            if fault.is_none() && rule.when.hits(rule.count) {
                fault = Some(rule.fault.clone());
            }
        }
        let count = state.seen.iter().filter(|seen| seen.kind == kind).count() as u64 + 1;
        let fault = fault.or_else(|| state.random.as_ref().and_then(|random| random.draw(kind, count)));
        let Request { method, uri, .. } = request;
        let met = fault.as_ref().map(Fault::name);
        state.seen.push(Seen { kind, method, uri, fault: met, server: Server::Unasked });
        (state.seen.len() - 1, fault)
    }

    fn tell(&self, entry: Entry, server: Server) {
        self.state().seen[entry].server = server;
    }
}

/// The proxy. Dropped, it closes every connection, those that hang included; in a test that fails it then says what it
/// has seen.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Of its own: tests wait for programs without giving theirs a chance to run.
    runtime: Option<Runtime>,
}

impl Proxy {
    /// A proxy before the server at `upstream`; `kind` says what the test calls a request.
    pub(crate) fn start(
        upstream: SocketAddr,
        kind: impl Fn(&Request) -> &'static str + Send + Sync + 'static,
    ) -> Proxy {
        let shared = Arc::new(Shared { upstream, kind: Box::new(kind), state: Mutex::default() });
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let for_clients = shared.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(exchange::serve(for_clients.clone(), stream));
            }
        });
        Proxy { address, shared, runtime: Some(runtime) }
    }

    /// `url` of the server, as it is reached through the proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        let mut url = url::Url::parse(url).unwrap();
        url.set_ip_host(self.address.ip()).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }

    /// Adds a fault for requests of a kind.
    pub(crate) fn add(&self, kind: &'static str, when: When, fault: Fault) {
        self.add_rule(Box::new(move |_, seen| seen == kind), when, fault);
    }

    /// Adds a fault for the requests that `which` picks.
    pub(crate) fn add_where(&self, which: impl Fn(&Request) -> bool + Send + Sync + 'static, when: When, fault: Fault) {
        self.add_rule(Box::new(move |request, _| which(request)), when, fault);
    }

    fn add_rule(&self, which: Which, when: When, fault: Fault) {
        self.shared.state().rules.push(Rule { which, when, fault, count: 0 });
    }

    /// From now on, requests that no rule hits meet faults by chance.
    pub(crate) fn random(&self, random: Random) {
        let mut state = self.shared.state();
        state.seed = Some(random.seed);
        state.random = Some(random);
    }

    /// From now on everything works: script and chance are forgotten, what hangs goes on hanging.
    pub(crate) fn heal(&self) {
        let mut state = self.shared.state();
        state.rules.clear();
        state.random = None;
    }

    /// Everything that came by.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.state().seen.clone()
    }

    /// How many requests of this kind came by.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.shared.state().seen.iter().filter(|seen| seen.kind == kind).count()
    }

    /// How many requests met a fault.
    pub(crate) fn faults(&self) -> usize {
        self.shared.state().seen.iter().filter(|seen| seen.fault.is_some()).count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Never waits, and may be called on a thread of another runtime.
            runtime.shutdown_background();
        }
        if std::thread::panicking() {
            let state = self.shared.state();
            let seed = state.seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
            let seen: Vec<String> = state.seen.iter().map(Seen::to_string).collect();
            eprintln!("--- requests through the proxy{seed} ---\n{}", seen.join("\n"));
        }
    }
}
