//! What a memory service holds, behind one lock: the tree, the sessions, how ended sessions ended, and the record that
//! tests ask for. Everything here is memory work.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use super::config::MemoryConfig;
use super::session::{Refusal, Session, rule};
use super::stored::Stored;
use super::tree::Tree;
use crate::error::{Error, Kind};
use crate::path::RemotePath;
use crate::service::{NamedAt, Node, Operation, Progress, Receipt, SessionToken, Sha1Digest, Spec};

/// Ended sessions that are remembered, to answer for them; older ones are unknown, as on every real service.
const ENDED_MAX: usize = 10_000;

/// How a session ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The file was made.
    Finished(Node),
    /// The caller gave it up, or lost it by a broken rule.
    Aborted,
    /// The service dropped it.
    Expired,
}

/// An upload in one request, as it was asked for, and what it has made.
#[derive(Debug)]
struct Whole {
    size: Option<u64>,
    /// The version that it was to replace.
    replaces: Option<String>,
    /// The version that it made.
    made: String,
}

impl Whole {
    fn of(spec: &Spec, made: &Node) -> Self {
        let replaces = spec.replaces.as_ref().map(|node| node.version.clone());
        Whole { size: spec.size, replaces, made: made.version.clone() }
    }

    /// Whether it was asked for as `spec`, and `node` is what it made.
    fn is(&self, spec: &Spec, node: &Node) -> bool {
        let replaces = spec.replaces.as_ref().map(|node| &node.version);
        self.size == spec.size && self.replaces.as_ref() == replaces && self.made == node.version
    }
}

/// Everything a memory service holds.
#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    pub(super) sessions: BTreeMap<u64, Session>,
    ended: BTreeMap<u64, Ended>,
    /// What was last made in one request, by path.
    wholes: BTreeMap<RemotePath, Whole>,
    /// Sets this service apart from one of another process, whose tokens must not fit here.
    instance: u64,
    pub(super) record: Record,
}

/// What has happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Rules that a caller broke, in words. Empty after every correct upload.
    pub violations: Vec<String>,
    /// Requests by kind, refused ones too.
    pub requests: BTreeMap<Operation, u64>,
    /// Sessions opened.
    pub begun: u64,
    /// Sessions that became files.
    pub finished: u64,
    /// Sessions given up by the caller, or lost by a broken rule.
    pub aborted: u64,
}

impl State {
    pub(super) fn new(config: &MemoryConfig) -> Self {
        State {
            tree: Tree::new(config.names.clone()),
            sessions: BTreeMap::new(),
            ended: BTreeMap::new(),
            wholes: BTreeMap::new(),
            instance: RandomState::new().hash_one(0),
            record: Record::default(),
        }
    }

    pub(super) fn open(&mut self, session: Session) -> SessionToken {
        self.record.begun += 1;
        let number = self.record.begun;
        self.sessions.insert(number, session);
        SessionToken { id: format!("{:016x}-{number}", self.instance), state: serde_json::Value::Null }
    }

    /// The number of the session that `token` names; a number that no session has when it was never opened here.
    pub(super) fn number(&self, token: &SessionToken) -> u64 {
        let ours = |(instance, number): (&str, &str)| {
            (instance == format!("{:016x}", self.instance)).then(|| number.parse().ok()).flatten()
        };
        token.id.split_once('-').and_then(ours).unwrap_or(0)
    }

    /// The open session `number`, or why there is none.
    pub(super) fn session(&mut self, number: u64) -> Result<&mut Session, Refusal> {
        let gone = match self.ended.get(&number) {
            Some(Ended::Finished(_)) => rule("the session is finished"),
            Some(Ended::Aborted) => rule("the session was given up"),
            Some(Ended::Expired) => Refusal::Plain(Error::new(Kind::NotFound, "memory", "the session has expired")),
            None => Refusal::Rule(Error::new(Kind::NotFound, "memory", "no such session")),
        };
        self.sessions.get_mut(&number).ok_or(gone)
    }

    /// Takes the open session `number` away; without effect when it is not open.
    pub(super) fn end(&mut self, number: u64, how: Ended) {
        if self.sessions.remove(&number).is_some() {
            self.remember(number, how);
        }
    }

    fn remember(&mut self, number: u64, how: Ended) {
        match how {
            Ended::Finished(_) => self.record.finished += 1,
            Ended::Aborted => self.record.aborted += 1,
            Ended::Expired => {}
        }
        self.ended.insert(number, how);
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_first();
        }
    }

    pub(super) fn finish(
        &mut self,
        config: &MemoryConfig,
        spec: &Spec,
        (number, receipts): (u64, &[Receipt]),
    ) -> Result<Node, Refusal> {
        let size = exact_size(spec)?;
        let session = self.session(number)?;
        if config.capability.named_at == NamedAt::Begin && session.path != spec.path {
            return Err(rule(format!("the name was fixed as {} and is now {}", session.path, spec.path)));
        }
        session.check_finish(size, receipts)?;
        self.check_size(config, size)?;
        if config.capability.sha1 && spec.sha1.is_none() {
            return Err(rule("finish without the SHA-1 that the service asks for"));
        }
        self.tree.require_place_for_file(&spec.path)?;
        let file = self.sessions.remove(&number).expect("the session was found above").into_file();
        let committed = self.commit(spec, file);
        // A session whose bytes turn out wrong is lost: there is nothing it could be finished as.
        let how = committed.as_ref().map_or(Ended::Aborted, |node| Ended::Finished(node.clone()));
        self.remember(number, how);
        committed
    }

    /// Makes `file` the content under the name of `spec`, if it is what `spec` says.
    pub(super) fn commit(&mut self, spec: &Spec, file: Stored) -> Result<Node, Refusal> {
        if let (Some(expected), Some(found)) = (spec.sha1, file.sha1)
            && expected != found
        {
            let what = format!("the SHA-1 is {found}, not {expected}");
            return Err(Refusal::Rule(Error::new(Kind::Corrupt, "memory", what)));
        }
        Ok(self.tree.commit(&spec.path, file)?)
    }

    /// The same of a file that came in one request.
    pub(super) fn commit_whole(&mut self, spec: &Spec, file: Stored) -> Result<Node, Refusal> {
        let node = self.commit(spec, file)?;
        self.wholes.insert(spec.path.clone(), Whole::of(spec, &node));
        Ok(node)
    }

    /// Whether a complete file may have `size` bytes.
    pub(super) fn check_size(&self, config: &MemoryConfig, size: u64) -> Result<(), Refusal> {
        if size == 0 && !config.capability.empty_files {
            let what = "the service has no empty files";
            return Err(Refusal::Rule(Error::new(Kind::Refused, "memory", what)));
        }
        if size > config.capability.file_max {
            return Err(super::session::too_large("the file is larger than announced"));
        }
        Ok(())
    }

    pub(super) fn probe(&self, spec: &Spec, session: Option<&SessionToken>) -> Progress {
        let number = session.map(|token| self.number(token));
        if let Some(session) = number.and_then(|number| self.sessions.get(&number)) {
            return Progress::Holds(session.holds());
        }
        match number.and_then(|number| self.ended.get(&number)) {
            Some(Ended::Finished(node)) => return Progress::Finished(node.clone()),
            // Whatever stands under its name now.
            Some(Ended::Aborted | Ended::Expired) => return Progress::Gone,
            None => {}
        }
        match self.tree.node(&spec.path) {
            Ok(node) if self.is_what_was_sent(spec, &node) => Progress::Finished(node),
            _ => Progress::Gone,
        }
    }

    /// Whether `node` can only be the result of the upload `spec`: it is not what stood there before, and it has the size and
    /// the SHA-1. As many bytes may be somebody else's: where no SHA-1 is known, it must have been made in one request that
    /// was asked for in the same words.
    fn is_what_was_sent(&self, spec: &Spec, node: &Node) -> bool {
        let old = spec.replaces.as_ref().is_some_and(|replaced| replaced.version == node.version);
        let is_it = match spec.sha1 {
            Some(expected) => node.sha1 == Some(expected),
            None => self.wholes.get(&spec.path).is_some_and(|whole| whole.is(spec, node)),
        };
        !old && spec.size == Some(node.size) && is_it
    }
}

pub(super) fn exact_size(spec: &Spec) -> Result<u64, Refusal> {
    spec.size.ok_or_else(|| rule("the exact size must be known here"))
}

/// What tests see of an open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The name at `begin`.
    pub path: RemotePath,
    /// Parts held.
    pub parts: usize,
    /// Bytes held.
    pub bytes: u64,
}

/// What tests see of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Where it is.
    pub path: RemotePath,
    /// In bytes.
    pub size: u64,
    /// How many times content was committed under this name.
    pub versions: u64,
    /// Of the content; `None` where [`Keep::Digest`](super::Keep::Digest) let go of bytes that were then replaced, and
    /// with [`Keep::Size`](super::Keep::Size).
    pub sha1: Option<Sha1Digest>,
}
