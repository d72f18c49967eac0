//! The machine against a model of a service, on random schedules: writers that rewrite and cut, answers that are
//! late, lost before or lost after the service acted, sessions that vanish, refusals for a moment and for good.
//!
//! What must hold is asserted at every step: order and width, no part missing or altered in a committed file, no second
//! finish without a probe or a definite refusal between, exactly one answer per commit, no session left behind but
//! those whose `begin` answer was lost. Processes die in between, and others go on with what their journals say
//! (`crash.rs`).

mod crash;
mod lost;
mod patience;
mod promised;
mod schedule;
mod unwanted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use self::schedule::*;
use super::*;
use crate::error::{Kind, Result, Retry};
use crate::path::RemotePath;
use crate::service::{Begun, Flow, Node, NodeKind, PartRules, Progress, SessionToken};
use crate::spool::OpenSession;

/// One stamp per byte: every write brings a new one, so that any mixture of versions shows.
type Bytes = Vec<u32>;

/// A request under way.
#[derive(Clone, Debug)]
enum Request {
    Begin { size: Option<u64>, first: Option<Cut> },
    Put { token: SessionToken, cut: Cut },
    Finish { token: SessionToken, receipts: Vec<Receipt>, size: u64, snapshot: Bytes },
    Whole { snapshot: Bytes },
    Probe { session: Option<(SessionToken, Vec<Receipt>)> },
    Timer,
}

/// The service: sessions with parts, and versions of the one file.
#[derive(Default)]
struct Service {
    sessions: BTreeMap<String, BTreeMap<u64, (u32, Bytes)>>,
    /// Sessions whose `begin` answer was lost.
    orphans: BTreeSet<String>,
    declared: BTreeMap<String, u64>,
    versions: Vec<Bytes>,
    /// How many versions each session made; more than one would be a double finish.
    finished: BTreeSet<String>,
    count: u64,
}

struct World {
    machine: Machine,
    capability: Capability,
    service: Service,
    content: Bytes,
    stamp: u32,
    under_way: Vec<Request>,
    ageing: bool,
    asked: BTreeSet<CommitId>,
    answered: BTreeSet<CommitId>,
    next_commit: u64,
    /// A finish or whole upload went out and its outcome was neither heard, nor refused, nor asked for.
    in_doubt: bool,
    /// What the file was when the last finish or whole upload went out.
    snapshot: Bytes,
    /// Writes that came after a commit was asked for, or after a discard, lift the promise that it is the last word.
    discarded: bool,
    /// Whether the file is not what it was when a program last closed it.
    changed: bool,
    /// It was closed in another life, and is not on the service yet: nothing changes it.
    sealed: bool,
    /// What the journal was told of the session when the file was closed.
    journal: Option<OpenSession>,
}

impl World {
    fn new(capability: Capability) -> Self {
        World {
            machine: Machine::new(capability.clone(), 0),
            capability,
            service: Service::default(),
            content: Vec::new(),
            stamp: 0,
            under_way: Vec::new(),
            ageing: false,
            asked: BTreeSet::new(),
            answered: BTreeSet::new(),
            next_commit: 0,
            in_doubt: false,
            snapshot: Vec::new(),
            discarded: false,
            changed: false,
            sealed: false,
            journal: None,
        }
    }

    fn rules(&self) -> Option<&PartRules> {
        self.capability.policy.rules()
    }

    fn step(&mut self, step: Step) {
        self.sealed &= self.machine.is_dirty();
        match step {
            Step::Append(_) | Step::Rewrite(..) | Step::Resize(_) | Step::Interrupt if self.sealed => {}
            Step::Append(len) => self.write(self.content.len(), len),
            Step::Rewrite(at, len) => self.write(at.min(self.content.len()), len),
            Step::Resize(size) => {
                self.changed = true;
                self.content.resize(size, 0);
                self.feed(Event::Resized { size: size as u64 });
            }
            Step::Promise(size) => self.feed(Event::Promised { size: size as u64 }),
            Step::Commit => {
                let id = CommitId(self.next_commit);
                self.next_commit += 1;
                self.asked.insert(id);
                self.changed = false;
                self.journal = self.machine.session(RemotePath::root());
                self.feed(Event::Commit { id });
            }
            Step::Age if self.ageing => {
                self.ageing = false;
                self.feed(Event::Aged);
            }
            Step::Age => {}
            Step::Land(n, fate) if !self.under_way.is_empty() => {
                let request = self.under_way.remove(n % self.under_way.len());
                self.land(request, fate);
            }
            Step::Land(..) => {}
            Step::Deadline => self.feed(Event::Deadline),
            Step::Reopen => self.feed(Event::Reopen),
            Step::Interrupt => {
                self.feed(Event::Interrupted { error: Error::new(Kind::Interrupted, "test", "killed") });
            }
            Step::Discard => {
                self.discarded = true;
                self.feed(Event::Discard);
            }
            Step::Crash(done, journalled) => self.crash(done, journalled),
        }
    }

    fn write(&mut self, at: usize, len: usize) {
        let end = (at + len).min(FILE_MAX);
        if at >= end {
            return;
        }
        self.stamp += 1;
        self.changed = true;
        self.content.resize(self.content.len().max(end), 0);
        self.content[at..end].fill(self.stamp);
        self.feed(Event::Wrote { range: at as u64..end as u64, size: self.content.len() as u64 });
    }

    fn feed(&mut self, event: Event) {
        for action in self.machine.on(event) {
            self.apply(action);
        }
        self.check_width();
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::Begin { size, first } => {
                let rules = *self.rules().expect("only where there are parts");
                assert_eq!(first.is_some(), rules.opens_with_part);
                assert_eq!(size.is_some(), matches!(self.capability.policy, SizePolicy::Declared(_)));
                self.under_way.push(Request::Begin { size, first });
            }
            Action::Put { token, cut } => self.under_way.push(Request::Put { token, cut }),
            Action::Finish { token, receipts, size } => {
                assert!(!self.in_doubt, "a second finish without a probe or a definite refusal");
                assert_eq!(size as usize, self.content.len());
                self.in_doubt = true;
                self.snapshot = self.content.clone();
                self.under_way.push(Request::Finish { token, receipts, size, snapshot: self.content.clone() });
            }
            Action::Whole { size } => {
                assert!(!self.in_doubt, "a second whole upload without a probe or a definite refusal");
                assert_eq!(size as usize, self.content.len());
                self.in_doubt = true;
                self.snapshot = self.content.clone();
                self.under_way.push(Request::Whole { snapshot: self.content.clone() });
            }
            Action::Probe { session } => self.under_way.push(Request::Probe { session }),
            Action::Abort { token } => {
                self.service.sessions.remove(&token.id);
            }
            Action::Age => {
                assert!(!self.ageing, "one age timer at a time");
                self.ageing = true;
            }
            Action::Wait { .. } => self.under_way.push(Request::Timer),
            Action::Committed { ids, outcome } => {
                for id in &ids {
                    assert!(self.asked.contains(id) && self.answered.insert(*id), "one answer per commit");
                }
                if let Some(_node) = &outcome.node {
                    assert_eq!(self.service.versions.last(), Some(&self.snapshot), "the file as it was, nothing else");
                }
                if outcome.clean && !self.discarded && (outcome.node.is_some() || !self.service.versions.is_empty()) {
                    assert_eq!(self.service.versions.last(), Some(&self.content), "clean means: the service has it");
                }
                if !ids.is_empty() && !self.discarded && !self.content.is_empty() {
                    assert_eq!(self.service.versions.last(), Some(&self.content), "an answer is for the file as it is");
                }
            }
            Action::Failed { ids, .. } => {
                assert!(!ids.is_empty());
                for id in ids {
                    assert!(self.asked.contains(&id) && self.answered.insert(id), "one answer per commit");
                }
            }
        }
    }

    fn check_width(&self) {
        let puts = self.under_way.iter().filter(|request| matches!(request, Request::Put { .. })).count();
        assert!(puts <= self.rules().map_or(0, |rules| rules.flow.width()), "too many parts at once");
        let rest = self.under_way.len() - puts;
        assert!(rest <= 1, "requests whose order matters are never under way together: {:?}", self.under_way);
        assert!(puts == 0 || rest == 0, "{:?}", self.under_way);
    }

    fn bytes(&self, range: &std::ops::Range<u64>) -> Bytes {
        // A part is read while it is sent: what a concurrent writer does shows. The file may have been cut meanwhile.
        (range.start..range.end).map(|at| self.content.get(at as usize).copied().unwrap_or(0)).collect()
    }

    fn land(&mut self, request: Request, fate: Fate) {
        let event = match request {
            Request::Timer => Event::Again,
            Request::Begin { size, first } => Event::Began { result: self.begin(size, first, fate) },
            Request::Put { token, cut } => Event::Put { index: cut.index, result: self.put(&token, &cut, fate) },
            Request::Finish { token, receipts, size, snapshot } => {
                Event::Finished { result: self.finish(&token, &receipts, size, &snapshot, fate) }
            }
            Request::Whole { snapshot } => {
                let fate = if fate == Fate::Vanished { Fate::NotNow } else { fate };
                if matches!(fate, Fate::Done | Fate::DoneUnheard) {
                    // One request: its bytes are those of the moment it was sent, or the server would refuse the size.
                    self.service.versions.push(snapshot);
                }
                self.in_doubt = matches!(fate, Fate::DoneUnheard | Fate::LostUnheard);
                Event::Finished { result: said(fate, || node(self.service.versions.len())) }
            }
            Request::Probe { session } => Event::Probed { result: self.probe(session, fate) },
        };
        self.feed(event);
    }

    fn begin(&mut self, size: Option<u64>, first: Option<Cut>, fate: Fate) -> Result<Begun> {
        let fate = if fate == Fate::Vanished { Fate::NotNow } else { fate };
        let id = format!("session-{}", self.service.count);
        let begun = |receipt| Begun { token: SessionToken { id: id.clone(), state: serde_json::Value::Null }, receipt };
        if !matches!(fate, Fate::Done | Fate::DoneUnheard) {
            return said(fate, || begun(None));
        }
        self.service.count += 1;
        let mut parts = BTreeMap::new();
        if let Some(cut) = &first {
            parts.insert(cut.range.start, (cut.index, self.bytes(&cut.range)));
        }
        if let Some(size) = size {
            self.service.declared.insert(id.clone(), size);
        }
        self.service.sessions.insert(id.clone(), parts);
        if fate == Fate::DoneUnheard {
            self.service.orphans.insert(id.clone());
        }
        said(fate, || begun(first.map(|cut| receipt(cut.index, cut.range))))
    }

    fn put(&mut self, token: &SessionToken, cut: &Cut, fate: Fate) -> Result<Receipt> {
        let rules = *self.rules().expect("parts");
        let bytes = self.bytes(&cut.range);
        let len = cut.range.end - cut.range.start;
        assert!(len > 0 && len <= rules.max && (cut.last || len >= rules.min && len.is_multiple_of(rules.multiple)));
        let known = self.service.sessions.contains_key(&token.id);
        if fate == Fate::Vanished || !known {
            self.service.sessions.remove(&token.id);
            return Err(Error::new(Kind::NotFound, "put", "no such session"));
        }
        if matches!(fate, Fate::Done | Fate::DoneUnheard) {
            let parts = self.service.sessions.get_mut(&token.id).expect("known");
            if rules.flow == Flow::Sequential {
                let end = parts.iter().map(|(at, (_, bytes))| at + bytes.len() as u64).max().unwrap_or(0);
                assert_eq!(end, cut.range.start, "parts of a sequence come in order");
            }
            if !rules.rewrite && rules.flow == Flow::Sequential {
                assert!(!parts.contains_key(&cut.range.start), "a part is sent once");
            }
            if let Some(total) = self.service.declared.get(&token.id) {
                assert!(cut.range.end <= *total && cut.last == (cut.range.end == *total));
            }
            parts.insert(cut.range.start, (cut.index, bytes));
        } else if fate == Fate::LostUnheard && rules.flow == Flow::Sequential && !rules.multiple.is_multiple_of(8) {
            let piece = bytes[..bytes.len() / 2].to_vec();
            if !piece.is_empty() {
                let parts = self.service.sessions.get_mut(&token.id).expect("known");
                parts.insert(cut.range.start, (cut.index, piece));
            }
        }
        said(fate, || receipt(cut.index, cut.range.clone()))
    }

    fn finish(
        &mut self,
        token: &SessionToken,
        receipts: &[Receipt],
        size: u64,
        snapshot: &Bytes,
        fate: Fate,
    ) -> Result<Node> {
        self.in_doubt = matches!(fate, Fate::DoneUnheard | Fate::LostUnheard);
        if fate == Fate::Vanished || !self.service.sessions.contains_key(&token.id) {
            self.service.sessions.remove(&token.id);
            return Err(Error::new(Kind::NotFound, "finish", "no such session"));
        }
        if matches!(fate, Fate::Done | Fate::DoneUnheard) {
            let parts = self.service.sessions.remove(&token.id).expect("known");
            let mut file = Bytes::new();
            for receipt in receipts {
                let (index, bytes) = &parts[&receipt.range.start];
                assert_eq!((*index, file.len() as u64), (receipt.index, receipt.range.start), "receipts tile the file");
                file.extend(bytes);
            }
            assert_eq!(file.len() as u64, size, "no part is missing");
            assert_eq!(&file, snapshot, "no part is altered");
            assert!(self.service.finished.insert(token.id.clone()), "a session makes one file");
            self.service.versions.push(file);
        }
        said(fate, || node(self.service.versions.len()))
    }

    fn probe(&mut self, session: Option<(SessionToken, Vec<Receipt>)>, fate: Fate) -> Result<Progress> {
        if fate != Fate::Done {
            let fate = if matches!(fate, Fate::DoneUnheard | Fate::Vanished) { Fate::LostUnheard } else { fate };
            return said(fate, || Progress::Unknown);
        }
        self.in_doubt = false;
        let matches = self.service.versions.last() == Some(&self.snapshot) && !self.snapshot.is_empty();
        let Some((token, _)) = session else {
            let progress = if matches { Progress::Finished(node(self.service.versions.len())) } else { Progress::Gone };
            return Ok(progress);
        };
        if self.service.finished.contains(&token.id) {
            return Ok(Progress::Finished(node(self.service.versions.len())));
        }
        let Some(parts) = self.service.sessions.get(&token.id) else { return Ok(Progress::Gone) };
        let held = parts.iter().map(|(at, (index, bytes))| receipt(*index, *at..*at + bytes.len() as u64));
        Ok(Progress::Holds(held.collect()))
    }

    /// The network is well again and nobody writes any more: everything must come to an end.
    fn settle(&mut self) {
        for _ in 0..400 {
            if self.under_way.is_empty() {
                break;
            }
            self.step(Step::Land(0, Fate::Done));
        }
        assert!(self.under_way.is_empty(), "it ends: {:?} {:?}", self.under_way, self.machine);
        assert_eq!(self.answered, self.asked, "every commit was answered");
        assert!(!self.machine.is_committing());
    }

    /// A last close on a service that works: the file must be there, and nothing else.
    fn finish_well(&mut self) {
        self.step(Step::Reopen);
        self.step(Step::Commit);
        self.settle();
        let left: Vec<_> =
            self.service.sessions.keys().filter(|id| !self.service.orphans.contains(*id)).cloned().collect();
        assert!(left.is_empty(), "no session is left behind: {left:?} {:?}", self.machine);
        if self.discarded {
            return;
        }
        assert!(self.machine.failure().is_none(), "{:?}", self.machine.failure());
        if !self.content.is_empty() {
            assert_eq!(self.service.versions.last(), Some(&self.content));
            assert!(!self.machine.is_dirty());
        }
    }
}

fn said<T>(fate: Fate, value: impl FnOnce() -> T) -> Result<T> {
    match fate {
        Fate::Done => Ok(value()),
        Fate::DoneUnheard | Fate::LostUnheard => {
            Err(Error::new(Kind::Timeout, "test", "no answer").retry(Retry::AskFirst))
        }
        Fate::NotNow => Err(Error::new(Kind::Busy, "test", "not now").retry(Retry::After(Duration::ZERO))),
        Fate::Never | Fate::Vanished => Err(Error::new(Kind::Refused, "test", "never")),
    }
}

fn receipt(index: u32, range: std::ops::Range<u64>) -> Receipt {
    Receipt { index, range, state: serde_json::Value::Null }
}

fn node(version: usize) -> Node {
    Node {
        name: "f".into(),
        kind: NodeKind::File,
        size: 0,
        modified: std::time::UNIX_EPOCH,
        version: version.to_string(),
        id: "f".into(),
        url: None,
        sha1: None,
        expires: None,
    }
}

fn run(capability: Capability, steps: Vec<Step>, discard: bool) {
    let mut world = World::new(capability);
    for step in steps {
        world.step(step);
    }
    if discard {
        world.step(Step::Discard);
    }
    world.settle();
    world.finish_well();
}

macro_rules! schedules {
    ($($name:ident: $capability:expr;)*) => { $(
        proptest! {
            #![proptest_config(ProptestConfig { cases: 20_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]
            #[test]
            fn $name(steps in prop::collection::vec(step(), 1..60), discard in prop::bool::weighted(0.05)) {
                run($capability, steps, discard);
            }
        }
    )* };
}

schedules! {
    streamed_in_sequence_like_a_wiki: like_a_wiki();
    streamed_in_parallel_with_rewrite_like_s3: like_s3();
    streamed_in_parallel_without_rewrite: capability(SizePolicy::Streamed(rules()));
    declared_in_sequence: declared(Flow::Sequential);
    declared_in_parallel: declared(Flow::Parallel(3));
    whole_files_only: whole_only();
}
