//! Uploads that another process has begun: what this one finds out about them, with nothing in memory.
//!
//! **The session tells most.** A portal says nothing about a session but whether it is there ([`Onlyoffice::is_there`]), and
//! it removes one in the moment in which it has made the file. One that is there has made nothing, whatever looks like its
//! file; one that is gone has made it, or has expired.
//!
//! **Its file** is the one it was for, in another version than before, or a new one under its title; of its size, made after
//! the session was opened, by this account. That is believed where nothing better is known. Where the SHA-1 of the upload is
//! known, the file is read through, and only its content counts: another client of the same account may have saved as
//! many bytes.
//!
//! **A file of one chunk** has no session that anybody could ask for. It is recognised by its content alone: without the
//! SHA-1 it is sent again, which makes another version of the same bytes and loses none.
//!
//! **Portals that count** append whatever comes. What they have is known as far as their answers were noted; whether the
//! one after that was lost is found out with the next chunk, of which a few bytes go ahead ([`Onlyoffice::send_sample`]):
//! if a chunk too many was counted, that session is given up, and the file goes out from its first byte.
//!
//! **Not found out** is that chunks have expired under a session that lives on (12 hours after each of them): the end of
//! the session says so, and the upload begins again.

use std::time::Duration;

use super::Onlyoffice;
use super::answers::{FileDto, Id, moment};
use super::chunks::{Open, Origin, Sent};
use super::index::Entry;
use super::names;
use super::settle::held_of;
use super::upload::doubt;
use crate::error::{Kind, Result};
use crate::service::reread::Reread;
use crate::service::{Node, NodeKind, Payload, Progress, Receipt, Sha1Digest, Spec};

/// The operation, in errors.
const OP: &str = "upload";
/// So many bytes of a chunk go ahead of it, where the portal may have counted more than is known.
const SAMPLE_BYTES: u64 = 512;
/// The portal's database keeps whole seconds, and may round.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// What tells whether a file is that of a session.
pub(super) enum Owner {
    /// This process has sent it, and knows what was there before.
    ThisProcess,
    /// Another process has: the content tells.
    Content(Sha1Digest),
    /// The same, and the content is not known: this account, at this time.
    Account { id: Option<Id>, since: Option<String> },
}

impl Onlyoffice {
    /// What to recognise the file of `open` by.
    pub(super) async fn owner_of(&self, spec: &Spec, open: &Open) -> Result<Owner> {
        let is_whole = self.wholes.get(&doubt(spec)).is_some_and(|whole| whole.id == open.id);
        if is_whole || self.journals.is_begun_here(&open.id) {
            return Ok(Owner::ThisProcess);
        }
        if let Some(sha1) = spec.sha1 {
            return Ok(Owner::Content(sha1));
        }
        let id = match self.sessions.account().await {
            Ok(account) => account.id,
            // A key need not have the right to ask that.
            Err(error) if matches!(error.kind, Kind::Denied | Kind::NotFound) => None,
            Err(error) => return Err(error),
        };
        Ok(Owner::Account { id, since: open.created.clone() })
    }

    /// Whether `file`, which is where that of the session should be, is it.
    pub(super) async fn is_of(&self, owner: &Owner, spec: &Spec, file: &FileDto) -> Result<bool> {
        match owner {
            Owner::ThisProcess => Ok(true),
            Owner::Content(sha1) => self.has_content(spec, file, *sha1).await,
            Owner::Account { id, since } => {
                let by = file.updated_by.as_ref().and_then(|person| person.id.as_ref());
                let is_by_us = id.as_ref().zip(by).is_none_or(|(ours, theirs)| ours == theirs);
                let is_later = |since: &String| moment(&file.updated) + CLOCK_SLACK >= moment(since);
                Ok(is_by_us && since.as_ref().is_none_or(is_later))
            }
        }
    }

    /// Whether a file is what was sent: it is read through.
    async fn has_content(&self, spec: &Spec, file: &FileDto, sha1: Sha1Digest) -> Result<bool> {
        let node = Entry::of_file(file.clone()).node();
        // Asked several times, it is read once. A save in place of the same second is missed then, and made again.
        let version = format!("{}/{}", node.id, node.version);
        if let Some(known) = self.read_through.get(&version) {
            return Ok(known == sha1);
        }
        let mut reread = Reread::of(node.size);
        while let Some(range) = reread.next() {
            match self.read_file(&spec.path, &node, range).await {
                Ok(piece) => reread.push(&piece),
                // Somebody has replaced or removed it meanwhile.
                Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let found = reread.digest();
        self.read_through.put(&version, found);
        Ok(found == sha1)
    }

    /// What became of a session of another process.
    pub(super) async fn probe_inherited(&self, spec: &Spec, open: &Open, receipts: &[Receipt]) -> Result<Progress> {
        if !self.is_there(open).await? {
            return match self.look(spec, open).await {
                Ok(Some(node)) => Ok(Progress::Finished(node)),
                Ok(None) => Ok(Progress::Gone),
                // With its folder.
                Err(error) if error.kind == Kind::NotFound => Ok(Progress::Gone),
                Err(error) => Err(error),
            };
        }
        let held = held_of(receipts);
        let rest = open.total.saturating_sub(held);
        // What the other process has asked for last may still be done: to make the file, or to count a chunk.
        let work = match open.has_numbers() {
            true => (rest == 0).then_some(open.total),
            false if rest <= open.chunk_bytes => Some(open.total),
            false => Some(open.chunk_bytes),
        };
        if work.is_some_and(|bytes| self.doubts.may_be_running(&open.id, bytes)) {
            return Ok(Progress::Unknown);
        }
        // What has to be made small, should it be given up.
        let numbers: Vec<u32> = receipts.iter().map(|receipt| receipt.index + 1).collect();
        self.journals.with(&open.id, |journal| journal.numbers.extend(numbers));
        if self.is_overtaken(open).await? {
            self.give_up_quietly(open).await;
            return Ok(Progress::Gone);
        }
        let journal = self.journals.get(&open.id).unwrap_or_default();
        if journal.in_doubt && !open.has_numbers() {
            // A chunk that may have been counted cannot be sent again.
            self.give_up_quietly(open).await;
            return Ok(Progress::Gone);
        }
        if journal.origin == Origin::Unknown {
            self.journals.with(&open.id, |journal| {
                journal.origin = Origin::Resumed;
                journal.counted = held;
                // Had the last chunk been counted, the session would be gone.
                journal.may_have_more = rest > open.chunk_bytes;
            });
        }
        Ok(Progress::Holds(receipts.to_vec()))
    }

    /// Whether a session would not make any more what it was opened for: somebody has made a file of the name meanwhile,
    /// beside which it would make a second one, or removed what it replaces, or the folder. The next session knows better.
    async fn is_overtaken(&self, open: &Open) -> Result<bool> {
        if let Some(known) = open.plan.target.known() {
            return Ok(self.file_by_id(OP, &known.id).await?.is_none());
        }
        let is_same = |entry: &Entry| entry.kind == NodeKind::File && names::canonical(&entry.name) == open.plan.name;
        match self.entries_of(OP, &open.plan.folder).await {
            Ok(entries) => Ok(entries.iter().any(is_same)),
            Err(error) if error.kind == Kind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Sends the first bytes of the next chunk by themselves, to a portal that may have counted a chunk nobody knows of: they
    /// cannot be the end of the file, whatever it has. What is left of the chunk.
    pub(super) async fn send_sample(&self, open: &Open, chunk: Payload) -> Result<Payload> {
        let range = chunk.range();
        // Even if only the last chunk is missing, they are not all of it.
        let last = open.total.saturating_sub(1) % open.chunk_bytes + 1;
        let bytes = if last > 1 { SAMPLE_BYTES.min(last - 1) } else { 2 };
        let bytes = bytes.min(chunk.len() / 2);
        let end = range.start + bytes;
        match self.send(open, None, &chunk.slice(range.start..end)).await {
            Ok(Sent { is_file: false, chunk: counted }) if counted.bytes_uploaded.is_none_or(|bytes| bytes == end) => {
                self.journals.with(&open.id, |journal| (journal.may_have_more, journal.counted) = (false, end));
                Ok(chunk.slice(end..range.end))
            }
            Ok(sent) => Err(self.counted_otherwise(open, sent).await),
            Err(trouble) => {
                let error = self.judge(open, trouble).await;
                if error.in_doubt() {
                    self.journals.with(&open.id, |journal| journal.in_doubt = true);
                }
                Err(error)
            }
        }
    }

    /// What became of a file of one chunk that another process may have sent.
    pub(super) async fn probe_forgotten(&self, spec: &Spec) -> Result<Progress> {
        let doubt = doubt(spec);
        if let Some(node) = self.look_for_content(spec).await? {
            self.doubts.settled(&doubt);
            return Ok(Progress::Finished(node));
        }
        if self.doubts.may_be_running(&doubt, spec.size.unwrap_or(0)) {
            return Ok(Progress::Unknown);
        }
        self.doubts.settled(&doubt);
        Ok(Progress::Gone)
    }

    /// The file under the name of `spec` that has its content. That it may be the one that was to be replaced is no matter.
    async fn look_for_content(&self, spec: &Spec) -> Result<Option<Node>> {
        let (Some(size), Some(sha1)) = (spec.size, spec.sha1) else { return Ok(None) };
        let way = match self.way(OP, &spec.path).await {
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            way => way?,
        };
        let title = names::title_of(spec.path.name());
        let entries = self.entries_of(OP, &way.folder).await?;
        let is_named = |entry: &Entry| names::canonical(&entry.name) == way.key;
        let is_taken = entries.iter().any(is_named);
        for entry in entries.into_iter().filter(|entry| entry.kind == NodeKind::File && entry.size == size) {
            let is_interim = !is_taken && names::is_interim(&entry.title, &title);
            if !is_interim && !is_named(&entry) {
                continue;
            }
            let Some(file) = self.file_by_id(OP, &entry.id).await? else { continue };
            if self.has_content(spec, &file, sha1).await? {
                self.note_seen(size);
                return Ok(Some(match is_interim {
                    true => self.retitle(&way.folder, &entry, &title).await?.node(),
                    false => entry.node(),
                }));
            }
        }
        Ok(None)
    }
}
