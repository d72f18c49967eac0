//! A complete service inside the process: what a newcomer mounts without an account, and the reference that everything
//! above a service is tested against. It can be any family of services ([`MemoryConfig`]) and is strict: whoever breaks
//! a rule that its [`Capability`] announces gets an error, and the record of broken rules grows by one
//! ([`Memory::record`]), so that a test sees even what a retry would hide.
//!
//! **Order and concurrency.** One lock over everything, held for memory work; bytes are received outside of it.
//! **Failure.** It fails only by what the caller does. Faults, latency and slow links are layers
//! ([`layer::fault`](super::layer)). **Crash.** Everything is gone; a token of another process is unknown here. An upload
//! without a session that is known is recognised by its SHA-1, never by its size alone.

mod config;
mod session;
mod state;
mod stored;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

pub use self::config::{Keep, MemoryConfig, Names};
use self::session::{Refusal, Session, rule, too_large};
use self::state::{Ended, State, exact_size};
pub use self::state::{OpenSession, Record, StoredFile};
use self::stored::{Gathering, receive};
use self::tree::Replaces;
use super::{
    Begun, Capability, Node, Operation, Page, Part, Payload, Progress, Receipt, Service, SessionToken, SizePolicy, Spec,
};
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;

/// A service in memory.
#[derive(Debug)]
pub struct Memory {
    config: MemoryConfig,
    state: Mutex<State>,
}

impl Memory {
    /// An empty service of this kind.
    pub fn new(config: MemoryConfig) -> Self {
        Memory { state: Mutex::new(State::new(&config)), config }
    }

    /// What has happened so far.
    pub fn record(&self) -> Record {
        self.state().record.clone()
    }

    /// The rules that a caller broke so far.
    pub fn violations(&self) -> Vec<String> {
        self.state().record.violations.clone()
    }

    /// How many requests of this kind came so far.
    pub fn requests(&self, operation: Operation) -> u64 {
        self.state().record.requests.get(&operation).copied().unwrap_or(0)
    }

    /// The committed files, in the order of their paths.
    pub fn files(&self) -> Vec<StoredFile> {
        let file = |(path, stored, versions): (_, &stored::Stored, _)| StoredFile {
            path,
            size: stored.size,
            versions,
            sha1: stored.sha1,
        };
        self.state().tree.files().map(file).collect()
    }

    /// The file at `path`.
    pub fn file(&self, path: &RemotePath) -> Option<StoredFile> {
        let path = self.config.names.canonical_path(path);
        self.files().into_iter().find(|file| file.path == path)
    }

    /// All bytes of the file at `path`, without asking as a client would.
    pub fn content(&self, path: &RemotePath) -> Option<Bytes> {
        let (stored, _) = self.state().tree.content(path).ok()?;
        stored.read(0..stored.size)
    }

    /// The sessions that are open, in the order they were opened.
    pub fn open_sessions(&self) -> Vec<OpenSession> {
        let state = self.state();
        let open = |session: &Session| OpenSession {
            path: session.path.clone(),
            parts: session.holds().len(),
            bytes: session.bytes(),
        };
        state.sessions.values().map(open).collect()
    }

    /// Drops all open sessions, as a service does with sessions that are too old.
    pub fn expire_sessions(&self) {
        let mut state = self.state();
        let open: Vec<u64> = state.sessions.keys().copied().collect();
        for number in open {
            state.end(number, Ended::Expired);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test inside the lock leaves a state that can still be looked at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, operation: Operation) -> MutexGuard<'_, State> {
        let mut state = self.state();
        *state.record.requests.entry(operation).or_default() += 1;
        state
    }

    /// Turns a refusal into the caller's error, noting broken rules. Fatal ones end the session `number`.
    fn settle<T>(&self, operation: Operation, number: u64, result: Result<T, Refusal>) -> Result<T> {
        let refusal = match result {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        let mut state = self.state();
        if matches!(refusal, Refusal::Fatal(_)) {
            state.end(number, Ended::Aborted);
        }
        let mut error = match refusal {
            Refusal::Plain(error) => error,
            Refusal::Rule(error) | Refusal::Fatal(error) => {
                state.record.violations.push(format!("{operation}: {}", error.what));
                error
            }
        };
        error.op = operation.name();
        Err(error)
    }

    fn try_begin(&self, spec: &Spec, first: Option<&Part>) -> Result<SessionToken, Refusal> {
        let mut state = self.count(Operation::Begin);
        let capability = &self.config.capability;
        self.config.check_name(&spec.path)?;
        let session = Session::open(&capability.policy, capability.file_max, spec, self.config.keep)?;
        let carried = capability.policy.rules().is_some_and(|rules| rules.opens_with_part);
        if carried != first.is_some() {
            return Err(rule("the first part comes with begin exactly where the rules say so"));
        }
        state.tree.require_place_for_file(&spec.path)?;
        Ok(state.open(session))
    }

    /// Takes a part in. The lock is not held while its bytes come.
    async fn try_put(&self, number: u64, part: &Part) -> Result<Receipt, Refusal> {
        let hash = self.state().session(number)?.admit(part)?;
        let under_way = UnderWay { memory: self, number };
        let received = receive(&part.payload, self.config.keep, hash).await?;
        let receipt = self.state().session(number)?.accept(part.index, part.last, received);
        drop(under_way);
        Ok(receipt)
    }

    async fn try_put_whole(&self, spec: &Spec, payload: &Payload) -> Result<Node, Refusal> {
        let capability = &self.config.capability;
        let size = exact_size(spec)?;
        self.config.check_name(&spec.path)?;
        self.state().check_size(&self.config, size)?;
        if size > whole_max(capability) {
            return Err(too_large(format!("one request carries at most {} bytes", whole_max(capability))));
        }
        if payload.range() != (0..size) {
            return Err(rule(format!("the payload {:?} is not the file of {size} bytes", payload.range())));
        }
        let mut gathering = Gathering::new(self.config.keep);
        gathering.add(0, receive(payload, self.config.keep, gathering.hash_at(0)).await?);
        // The SHA-1 may become known with the last byte only.
        let spec = Spec { sha1: spec.sha1.or_else(|| payload.sha1_to_end()), ..spec.clone() };
        if capability.sha1 && spec.sha1.is_none() {
            return Err(rule("a file without the SHA-1 that the service asks for"));
        }
        self.state().commit_whole(&spec, gathering.into_file())
    }
}

/// The most bytes one request carries.
fn whole_max(capability: &Capability) -> u64 {
    match capability.policy {
        SizePolicy::Whole { max } => max,
        SizePolicy::Streamed(_) | SizePolicy::Declared(_) => capability.whole_max,
    }
}

/// A part on its way in; dropped when it is there or when its sender has gone.
struct UnderWay<'a> {
    memory: &'a Memory,
    number: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.memory.state().sessions.get_mut(&self.number) {
            session.arrived();
        }
    }
}

#[async_trait]
impl Service for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn capability(&self) -> Capability {
        self.config.capability.clone()
    }

    fn check_name(&self, path: &RemotePath) -> Result<()> {
        self.config.check_name(path)
    }

    fn canonical_name(&self, name: &str) -> String {
        self.config.names.canonical(name)
    }

    async fn admit(&self, path: &RemotePath) -> Result<()> {
        drop(self.count(Operation::Admit));
        self.config.check_name(path)
    }

    async fn check(&self) -> Result<Vec<String>> {
        let files = self.count(Operation::Check).tree.files().count();
        let kept = match self.config.keep {
            Keep::Bytes => "files live in this process and are gone when it ends",
            Keep::Digest => "only sizes and checksums are kept",
            Keep::Size => "only sizes are kept",
        };
        Ok(vec![format!("memory: {kept}"), format!("files: {files}")])
    }

    async fn stat(&self, path: &RemotePath) -> Result<Node> {
        let node = self.count(Operation::Stat).tree.node(path);
        self.settle(Operation::Stat, 0, node.map_err(Refusal::from))
    }

    async fn list(&self, path: &RemotePath, cursor: Option<&str>) -> Result<Page> {
        let page = self.count(Operation::List).tree.list(path, cursor, self.config.page_entries);
        self.settle(Operation::List, 0, page.map_err(Refusal::from))
    }

    async fn read(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        let content = self.count(Operation::Read).tree.content(path);
        let (stored, version) = self.settle(Operation::Read, 0, content.map_err(Refusal::from))?;
        if version != node.version {
            return Err(Error::new(Kind::Conflict, "read", format!("{path} has another version by now")));
        }
        if range.start > range.end || range.end > stored.size {
            return Err(Error::new(Kind::Invalid, "read", format!("{path} has no bytes {range:?}")));
        }
        let kept = stored.read(range);
        kept.ok_or_else(|| Error::new(Kind::Unsupported, "read", "this service does not keep the bytes"))
    }

    async fn mkdir(&self, path: &RemotePath) -> Result<Node> {
        let mut state = self.count(Operation::Mkdir);
        if !self.config.capability.directories {
            return Err(Error::new(Kind::Unsupported, "mkdir", "the service has no directories"));
        }
        let made = self.config.check_name(path).and_then(|()| state.tree.mkdir(path));
        drop(state);
        self.settle(Operation::Mkdir, 0, made.map_err(Refusal::from))
    }

    async fn remove(&self, path: &RemotePath, _node: &Node) -> Result<()> {
        let removed = self.count(Operation::Remove).tree.remove(path);
        self.settle(Operation::Remove, 0, removed.map_err(Refusal::from))
    }

    async fn rename(&self, from: &RemotePath, _node: &Node, to: &RemotePath) -> Result<Node> {
        let mut state = self.count(Operation::Rename);
        let capability = &self.config.capability;
        if !capability.rename {
            return Err(Error::new(Kind::CrossDevice, "rename", "the service cannot rename"));
        }
        let replaces = Replaces::from(capability.rename_replaces);
        let renamed = self.config.check_name(to).and_then(|()| state.tree.rename(from, to, replaces));
        drop(state);
        self.settle(Operation::Rename, 0, renamed.map_err(Refusal::from))
    }

    async fn begin(&self, spec: &Spec, first: Option<Part>) -> Result<Begun> {
        let token = self.try_begin(spec, first.as_ref());
        let token = self.settle(Operation::Begin, 0, token)?;
        let Some(part) = first else {
            return Ok(Begun { token, receipt: None });
        };
        let number = self.state().number(&token);
        let receipt = self.try_put(number, &part).await;
        if receipt.is_err() {
            // There is no session without its first part.
            self.state().end(number, Ended::Aborted);
        }
        Ok(Begun { token, receipt: Some(self.settle(Operation::Begin, number, receipt)?) })
    }

    async fn put(&self, _spec: &Spec, token: &SessionToken, part: Part) -> Result<Receipt> {
        let number = self.count(Operation::Put).number(token);
        let receipt = self.try_put(number, &part).await;
        self.settle(Operation::Put, number, receipt)
    }

    async fn finish(&self, spec: &Spec, token: &SessionToken, receipts: &[Receipt]) -> Result<Node> {
        let mut state = self.count(Operation::Finish);
        let number = state.number(token);
        let checked = self.config.check_name(&spec.path).map_err(Refusal::from);
        let node = checked.and_then(|()| state.finish(&self.config, spec, (number, receipts)));
        drop(state);
        self.settle(Operation::Finish, number, node)
    }

    async fn probe(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        Ok(self.count(Operation::Probe).probe(spec, session.map(|(token, _)| token)))
    }

    async fn abort(&self, token: &SessionToken) -> Result<()> {
        let mut state = self.count(Operation::Abort);
        let number = state.number(token);
        // Nothing to give up is what the caller wants; a finished upload stays what it is.
        state.end(number, Ended::Aborted);
        Ok(())
    }

    async fn put_whole(&self, spec: &Spec, payload: Payload) -> Result<Node> {
        drop(self.count(Operation::PutWhole));
        let node = self.try_put_whole(spec, &payload).await;
        self.settle(Operation::PutWhole, 0, node)
    }
}
