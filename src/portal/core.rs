//! What every service of a portal shares: store, faults, line, clock, counters; and the face a service shows to the
//! server ([`Protocol`]).

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Extensions, Method, Request, Uri};
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::clock::Clock;
use super::faults::Faults;
use super::link::Line;
use super::state::{Digests, PortalState, ServiceState};
use super::storage::{StoragePort, Stored};
use super::store::Store;
use super::violations::Violations;
use super::work::Work;

/// How often the state is taken anew when files go away meanwhile; more than a client removes in that time.
const STATE_ATTEMPTS: u32 = 50;

/// The shared things of one portal.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) store: Arc<Store>,
    pub(super) faults: Faults,
    pub(super) line: Arc<Line>,
    pub(super) violations: Violations,
    pub(super) arrivals: Arrivals,
    pub(super) clock: Clock,
    pub(super) storage: StoragePort,
    /// Fires when the portal ends.
    pub(super) stopping: CancellationToken,
    /// How many requests it is at work on.
    pub(super) work: Work,
    requests: Mutex<BTreeMap<String, u64>>,
    digests: Digests,
}

impl Core {
    pub(super) fn new(store: Arc<Store>, storage: StoragePort, faults: Faults, line: Line) -> Self {
        Core {
            store,
            faults,
            line: Arc::new(line),
            violations: Violations::default(),
            arrivals: Arrivals::default(),
            clock: Clock::default(),
            storage,
            stopping: CancellationToken::new(),
            work: Work::default(),
            requests: Mutex::default(),
            digests: Digests::default(),
        }
    }

    pub(super) fn count(&self, kind: &str) {
        *self.requests().entry(kind.to_owned()).or_default() += 1;
    }

    /// Everything that is known, digests included.
    pub(super) async fn state(&self, protocol: &dyn Protocol) -> io::Result<PortalState> {
        for _ in 1..STATE_ATTEMPTS {
            match self.digested(protocol.state()).await {
                // A file was removed while its bytes were looked at: what there is now is something else.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        self.digested(protocol.state()).await
    }

    async fn digested(&self, service: ServiceState) -> io::Result<PortalState> {
        let mut files = Vec::with_capacity(service.files.len());
        for (mut file, content) in service.files {
            file.sha256 = self.digests.of(&self.store, &content).await?;
            files.push(file);
        }
        files.sort_by(|a, b| (&a.path, &a.id).cmp(&(&b.path, &b.id)));
        for same in files.chunk_by_mut(|a, b| a.path == b.path) {
            let count = same.len();
            same.iter_mut().for_each(|file| file.twins = count);
        }
        Ok(PortalState {
            service: service.service,
            files,
            folders: service.folders,
            sessions: service.sessions,
            leaked_bytes: service.leaked_bytes,
            requests: self.requests().clone(),
            faults_struck: self.faults.struck(),
            violations: self.violations.all(),
        })
    }

    fn requests(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A service behind a portal.
#[async_trait]
pub(super) trait Protocol: Send + Sync + 'static {
    /// The kind of a request, as rules of faults and counters name it.
    fn kind(&self, method: &Method, uri: &Uri) -> &'static str;

    /// The answer to a request; what it changes is durable when this returns.
    async fn answer(&self, request: Request<Body>) -> Response;

    /// The answer with these extensions never reached, or will not reach, the client.
    fn answer_lost(&self, extensions: &Extensions);

    /// A request was swallowed whole: the client cannot know whether it was applied.
    fn request_lost(&self, method: &Method, uri: &Uri);

    /// What lies behind a key of the storage port; services that do not use it have nothing there.
    fn stored(&self, _key: &str) -> Option<Stored> {
        None
    }

    /// What there is.
    fn state(&self) -> ServiceState;

    /// The settings that may change while it runs, as JSON.
    fn settings(&self) -> serde_json::Value;

    /// Changes the settings that `changes` names; the reason where that makes no sense.
    fn set(&self, changes: &serde_json::Value) -> Result<(), String>;
}
