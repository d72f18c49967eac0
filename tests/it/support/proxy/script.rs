//! What is to go wrong, as values: faults, when they hit, gates, chance. Nothing here touches a connection.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The whole request is taken from the client, nothing reaches the server, the connection is closed.
    DropBefore(End),
    /// The server acts and answers; the client's connection is closed instead of an answer.
    DropAfter(End),
    /// So many bytes of the content reach the server, then both connections are closed.
    CutRequest(u64),
    /// The server acts and answers; the client gets the head and so many bytes of the content.
    CutAnswer(u64),
    /// The request goes to the server after this time.
    Delay(Duration),
    /// The request waits at the gate, and then goes to the server, whether or not the client still waits.
    HangBefore(Gate),
    /// The server acts and answers; the answer waits at the gate.
    HangAfter(Gate),
    /// The client gets this, and nothing reaches the server.
    Status(Page),
    /// The server has the whole request, and the client gets this while the server works.
    StatusDuring(Page),
    /// The server acts and answers; the client gets this instead.
    StatusAfter(Page),
}

impl Fault {
    /// The word for it in what was seen.
    pub(crate) fn name(&self) -> String {
        match self {
            Fault::DropBefore(end) => format!("dropped before, {end:?}"),
            Fault::DropAfter(end) => format!("dropped after, {end:?}"),
            Fault::CutRequest(bytes) => format!("request cut after {bytes} bytes"),
            Fault::CutAnswer(bytes) => format!("answer cut after {bytes} bytes"),
            Fault::Delay(time) => format!("delayed {time:?}"),
            Fault::HangBefore(_) => "hung before".to_owned(),
            Fault::HangAfter(_) => "hung after".to_owned(),
            Fault::Status(page) => format!("{} instead", page.status),
            Fault::StatusDuring(page) => format!("{} meanwhile", page.status),
            Fault::StatusAfter(page) => format!("{} afterwards", page.status),
        }
    }
}

/// How a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    Fin,
    /// By a reset.
    Reset,
}

/// The answer of a gateway: a small web page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Page {
    /// A page as gateways show it.
    pub(crate) fn html(status: u16) -> Page {
        let body = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\r\n");
        Page { status, headers: vec![("Content-Type", "text/html".into())], body }
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Page {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// As it stands on the wire.
impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP/1.1 {} As told\r\nContent-Length: {}\r\n", self.status, self.body.len())?;
        for (name, value) in &self.headers {
            write!(f, "{name}: {value}\r\n")?;
        }
        write!(f, "\r\n{}", self.body)
    }
}

/// Which requests of a kind a fault hits, counted from 1 and from the moment the fault was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Only this one.
    Nth(u64),
    /// This one and all after it.
    From(u64),
    /// All.
    Always,
}

impl When {
    pub(super) fn hits(self, count: u64) -> bool {
        match self {
            When::Nth(nth) => count == nth,
            When::From(nth) => count >= nth,
            When::Always => true,
        }
    }
}

/// Where requests wait until a test lets them go.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    pub(crate) fn new() -> Gate {
        Gate(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everyone go, now and later.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        let mut open = self.0.subscribe();
        open.wait_for(|open| *open).await.expect("the gate holds its own sender");
    }
}

/// Faults by chance.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    /// The same requests, counted by kind, meet the same faults for the same seed.
    pub(crate) seed: u64,
    /// How probable a fault is, for each request.
    pub(crate) share: f64,
    /// One of these, each as probable as the others.
    pub(crate) faults: Vec<Fault>,
}

impl Random {
    /// What happens to request number `count` of `kind`. Other kinds do not change it: they may come in any order.
    pub(super) fn draw(&self, kind: &str, count: u64) -> Option<Fault> {
        let mut hasher = DefaultHasher::new();
        (self.seed, kind, count).hash(&mut hasher);
        let mut dice = fastrand::Rng::with_seed(hasher.finish());
        if dice.f64() >= self.share {
            return None;
        }
        dice.choice(&self.faults).cloned()
    }
}
