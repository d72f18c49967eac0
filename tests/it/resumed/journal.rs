//! A process that uploads and writes down what it does, and the one that finds what it has written: nothing else passes
//! between them. Shares no code with the upload machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uploadfs::error::{Kind, Result};
use uploadfs::path::RemotePath;
use uploadfs::service::{
    Content, Flow, Node, Part, PartRules, Payload, Progress, Receipt, Service, SessionToken, Sha1Digest, SizePolicy,
    Spec,
};

use crate::support::upload::{plan, settled, through_json};

/// A file that is to be uploaded.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: RemotePath,
    pub(super) bytes: Bytes,
    /// What stands there.
    pub(super) replaces: Option<Node>,
}

/// Whether a process knows the SHA-1 of what it uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Known,
    /// Unless the service asks for it.
    Unknown,
}

impl Digest {
    pub(super) const ALL: [Digest; 2] = [Digest::Known, Digest::Unknown];
}

impl File {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What is asked of the service when everything was sent.
    pub(super) fn spec(&self, service: &dyn Service, digest: Digest) -> Spec {
        let is_known = digest == Digest::Known || service.capability().sha1;
        let sha1 = is_known.then(|| Sha1Digest::of(&self.bytes));
        Spec { path: self.path.clone(), size: Some(self.size()), sha1, replaces: self.replaces.clone() }
    }
}

/// What a process has written down about one upload when it ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    /// As it was asked last.
    pub(super) spec: Spec,
    pub(super) token: Option<SessionToken>,
    pub(super) receipts: Vec<Receipt>,
}

impl Journal {
    /// Of an upload in one request.
    pub(super) fn of_whole(spec: &Spec) -> Journal {
        through_json(&Journal { spec: spec.clone(), token: None, receipts: Vec::new() })
    }

    pub(super) fn session(&self) -> Option<(&SessionToken, &[Receipt])> {
        self.token.as_ref().map(|token| (token, self.receipts.as_slice()))
    }
}

/// The bytes of a file, counted while they are read.
struct Counted {
    bytes: Bytes,
    read: AtomicU64,
}

#[async_trait]
impl Content for Counted {
    async fn read(&self, at: u64, max: u64) -> Result<Bytes> {
        let from = usize::try_from(at).unwrap();
        let to = self.bytes.len().min(from + usize::try_from(max).unwrap());
        self.read.fetch_add((to - from) as u64, Ordering::Relaxed);
        Ok(self.bytes.slice(from..to))
    }

    fn sha1_to(&self, end: u64) -> Option<Sha1Digest> {
        Some(Sha1Digest::of(&self.bytes[..usize::try_from(end).unwrap()]))
    }
}

/// How parts are cut: by the rules of the service, or smaller where it takes any.
fn rules(service: &dyn Service, part_bytes: Option<u64>) -> (PartRules, bool) {
    let policy = service.capability().policy;
    let mut rules = *policy.rules().expect("a service with parts");
    if let Some(bytes) = part_bytes {
        (rules.size, rules.first_max) = (bytes, rules.first_max.map(|max| max.min(bytes)));
    }
    (rules, matches!(policy, SizePolicy::Declared(_)))
}

/// A process in the middle of an upload.
pub(super) struct Writer<'a> {
    service: &'a dyn Service,
    digest: Digest,
    file: File,
    parts: VecDeque<Part>,
    journal: Journal,
}

impl<'a> Writer<'a> {
    /// Opens a session. Where the service takes parts of any size, they have `part_bytes`.
    pub(super) async fn begin(
        service: &'a dyn Service,
        file: &File,
        digest: Digest,
        part_bytes: Option<u64>,
    ) -> Result<Writer<'a>> {
        let (rules, is_declared) = rules(service, part_bytes);
        let whole = Payload::from_bytes(file.bytes.clone(), 0);
        let part = |(range, index): (std::ops::Range<u64>, u32)| Part {
            index,
            last: range.end == file.size(),
            payload: whole.slice(range),
        };
        let mut parts: VecDeque<Part> = plan(file.size(), &rules).into_iter().zip(0..).map(part).collect();
        let size = is_declared.then(|| file.size());
        let spec = Spec { size, sha1: None, ..file.spec(service, digest) };
        let first = rules.opens_with_part.then(|| parts.pop_front().expect("a file has a part"));
        let begun = service.begin(&spec, first).await?;
        let journal = Journal { spec, token: Some(begun.token), receipts: begun.receipt.into_iter().collect() };
        Ok(Writer { service, digest, file: file.clone(), parts, journal })
    }

    /// How many parts were not sent yet.
    pub(super) fn parts_left(&self) -> usize {
        self.parts.len()
    }

    /// And how many bytes they have.
    pub(super) fn bytes_left(&self) -> u64 {
        self.parts.iter().map(|part| part.payload.len()).sum()
    }

    /// Sends a part.
    pub(super) async fn put(&mut self) -> Result<()> {
        let part = self.parts.pop_front().expect("a part that was not sent yet");
        if part.last {
            // Whoever sends the end of a file knows all of it.
            self.journal.spec = self.file.spec(self.service, self.digest);
        }
        let token = self.journal.token.clone().expect("a session is open");
        self.journal.receipts.push(self.service.put(&self.journal.spec, &token, part).await?);
        Ok(())
    }

    /// Sends all parts but `left`.
    pub(super) async fn put_all_but(&mut self, left: usize) -> Result<()> {
        while self.parts.len() > left {
            self.put().await?;
        }
        Ok(())
    }

    /// The last receipt is not written down.
    pub(super) fn lose_receipt(&mut self) {
        self.journal.receipts.pop().expect("a part was sent");
    }

    /// Writes down that the file is to be made.
    pub(super) fn note_finish(&mut self) {
        self.journal.spec = self.file.spec(self.service, self.digest);
    }

    /// Makes the file.
    pub(super) async fn finish(&mut self) -> Result<Node> {
        self.note_finish();
        let token = self.journal.token.as_ref().expect("a session is open");
        self.service.finish(&self.journal.spec, token, &self.journal.receipts).await
    }

    /// The process ends; what it has written down is left.
    pub(super) fn end(self) -> Journal {
        through_json(&self.journal)
    }
}

/// What another process has made of an upload that was left.
#[derive(Debug)]
pub(super) struct Resumed {
    /// What it was told first.
    pub(super) told: Progress,
    pub(super) node: Node,
    /// Bytes of the file that it has sent.
    pub(super) sent_bytes: u64,
}

impl Resumed {
    /// Nothing had to be done.
    #[track_caller]
    pub(super) fn assert_finished(&self) {
        assert!(matches!(&self.told, Progress::Finished(node) if *node == self.node), "{:?}", self.told);
        assert_eq!(self.sent_bytes, 0);
    }

    /// The session was gone on with: `bytes` were missing.
    #[track_caller]
    pub(super) fn assert_gone_on(&self, bytes: u64) {
        assert!(matches!(self.told, Progress::Holds(_)), "{:?}", self.told);
        assert_eq!(self.sent_bytes, bytes);
    }

    /// All of `file` went out again, because nothing of it was there.
    #[track_caller]
    pub(super) fn assert_begun_again(&self, file: &File) {
        assert!(matches!(self.told, Progress::Gone), "{:?}", self.told);
        assert_eq!(self.sent_bytes, file.size());
    }
}

/// Another process takes the upload over, and brings it to its end.
pub(super) async fn resume(service: &dyn Service, file: &File, journal: &Journal, part_bytes: Option<u64>) -> Resumed {
    let counted = Arc::new(Counted { bytes: file.bytes.clone(), read: AtomicU64::new(0) });
    let told = settled(service, &journal.spec, journal.session()).await;
    let node = match told.clone() {
        Progress::Finished(node) => node,
        Progress::Holds(held) => match go_on(service, journal, &counted, held, part_bytes).await {
            // As an upload does that has lost its session.
            Err(error) if error.kind == Kind::NotFound => again(service, file, &counted, part_bytes).await,
            node => node.unwrap(),
        },
        Progress::Gone => again(service, file, &counted, part_bytes).await,
        Progress::Unknown => unreachable!("it is settled"),
    };
    Resumed { told, node, sent_bytes: counted.read.load(Ordering::Relaxed) }
}

/// Sends what the session does not hold, and makes the file.
async fn go_on(
    service: &dyn Service,
    journal: &Journal,
    counted: &Arc<Counted>,
    mut held: Vec<Receipt>,
    part_bytes: Option<u64>,
) -> Result<Node> {
    let (rules, _) = rules(service, part_bytes);
    let (size, token) = (counted.bytes.len() as u64, journal.token.as_ref().expect("only a session holds anything"));
    held.sort_by_key(|receipt| receipt.range.start);
    let mut missing: Vec<(u32, std::ops::Range<u64>)> = Vec::new();
    if rules.flow == Flow::Sequential {
        let mut at = held.last().map_or(0, |receipt| receipt.range.end);
        let mut index = held.iter().map(|receipt| receipt.index + 1).max().unwrap_or(0);
        while at < size {
            let end = size.min(at + rules.size);
            missing.push((index, at..end));
            (index, at) = (index + 1, end);
        }
    } else {
        let parts = (0..).zip(plan(size, &rules));
        missing.extend(parts.filter(|(_, range)| held.iter().all(|receipt| receipt.range != *range)));
    }
    let whole = Spec { size: Some(size), sha1: Some(Sha1Digest::of(&counted.bytes)), ..journal.spec.clone() };
    for (index, range) in missing {
        let last = range.end == size;
        let part = Part { index, last, payload: Payload::new(counted.clone(), range) };
        let spec = if last { &whole } else { &journal.spec };
        held.push(service.put(spec, token, part).await?);
    }
    held.sort_by_key(|receipt| receipt.range.start);
    service.finish(&whole, token, &held).await
}

/// Uploads the file from its first byte.
async fn again(service: &dyn Service, file: &File, counted: &Arc<Counted>, part_bytes: Option<u64>) -> Node {
    let spec = file.spec(service, Digest::Unknown);
    let payload = Payload::new(counted.clone(), 0..file.size());
    if file.size() <= crate::support::upload::whole_max(service) {
        return service.put_whole(&spec, payload).await.unwrap();
    }
    let (rules, is_declared) = rules(service, part_bytes);
    let size = is_declared.then(|| file.size());
    let mut ranges: VecDeque<_> = plan(file.size(), &rules).into_iter().zip(0..).collect();
    let mut next = || {
        let (range, index) = ranges.pop_front()?;
        Some(Part { index, last: range.end == file.size(), payload: payload.slice(range) })
    };
    let first = if rules.opens_with_part { next() } else { None };
    let begun = service.begin(&Spec { size, sha1: None, ..spec.clone() }, first).await.unwrap();
    let mut receipts: Vec<Receipt> = begun.receipt.into_iter().collect();
    while let Some(part) = next() {
        receipts.push(service.put(&spec, &begun.token, part).await.unwrap());
    }
    service.finish(&spec, &begun.token, &receipts).await.unwrap()
}
