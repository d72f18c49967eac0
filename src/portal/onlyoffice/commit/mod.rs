//! What a chunk does to its session and to the files of the portal, for each generation: the rules of the upload,
//! without the network and the disk around them. Chunks come as blobs that are written already.

#[cfg(test)]
mod tests;

use time::OffsetDateTime;

use super::config::{NegativeSize, Settings, Storage};
use super::dates;
use super::errors::{Failure, INCOMPLETE, Message, NULL_REFERENCE};
use super::office::Office;
use super::session::{Entry, Session};
use super::titles;
use super::tree::{File, Revision};
use crate::portal::arrivals::Arrival;
use crate::portal::store::{Content, Segment};

/// The most bytes that are taken without a declared size, in any generation.
const UNDECLARED_BYTES_MAX: i64 = 100 << 20;

/// What the rules depend on, at this moment.
pub(super) struct Moment<'a> {
    pub(super) settings: &'a Settings,
    pub(super) now: OffsetDateTime,
    /// A fault: the quota is used up when the file is made.
    pub(super) quota_is_used_up: bool,
}

/// What became of a chunk without a number, or of a finalize.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The session goes on.
    More,
    /// There is a file; 0 is one that was never stored.
    Finished(u64),
}

impl Office {
    /// Takes a chunk without a number. The blob belongs to the portal from here on, whatever the answer.
    pub(super) fn take_plain(&mut self, id: &str, chunk: Segment, moment: &Moment<'_>) -> Result<Taken, Failure> {
        self.journal.hold_one(&chunk);
        let checked = self.session(id, moment.settings.storage, moment.now).map(|session| session.chunked);
        let taken = match (checked, self.check_chunk(id, chunk.bytes, moment)) {
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
            (Ok(chunked), Ok(())) => match (self.version.numbers_chunks(), chunked) {
                (true, true) => return self.take_next(id, chunk, moment),
                (true, false) => return self.take_whole(id, chunk, moment),
                (false, _) => return self.append(id, chunk, moment),
            },
        };
        self.journal.release_one(&chunk);
        taken
    }

    /// Takes chunk `number`, which the server believes to have `computed` bytes. DocSpace 2.5 and later.
    pub(super) fn take_numbered(
        &mut self,
        id: &str,
        (number, chunk, computed): (u32, Segment, i64),
        moment: &Moment<'_>,
    ) -> Result<(), Failure> {
        self.journal.hold_one(&chunk);
        let chunked = match self.session(id, moment.settings.storage, moment.now) {
            Ok(session) => session.chunked,
            Err(failure) => {
                self.journal.release_one(&chunk);
                return Err(failure);
            }
        };
        let bytes = u64::try_from(computed).unwrap_or(0);
        if let Err(failure) = self.check_chunk(id, bytes, moment) {
            self.journal.release_one(&chunk);
            return Err(failure);
        }
        if !chunked {
            return self.take_whole(id, chunk, moment).map(|_| ());
        }
        self.put_chunk(id, (number, chunk), Some(Entry { bytes: computed, written: moment.now }));
        self.touch(id, moment.now);
        Ok(())
    }

    /// Half of a chunk stays on the disk when its request is cut; nobody notes its length.
    pub(super) fn keep_half(&mut self, id: &str, number: u32, half: Segment) {
        self.journal.hold_one(&half);
        if self.sessions.get(id).is_some_and(|session| session.chunked) {
            self.put_chunk(id, (number, half), None);
            self.keep_session(id);
        } else {
            self.journal.release_one(&half);
        }
    }

    /// Makes the file of the chunks with numbers.
    pub(super) fn finalize(&mut self, id: &str, moment: &Moment<'_>) -> Result<u64, Failure> {
        let chunk_bytes = moment.settings.chunk_bytes;
        let session = self.session(id, moment.settings.storage, moment.now)?;
        if !session.chunked {
            return Ok(session.file.unwrap_or(0));
        }
        let (last, bytes) = session.counted(chunk_bytes, moment.now);
        if bytes != session.total {
            return Err(Failure::Argument(INCOMPLETE));
        }
        let content = session.content(last);
        if content.0.len() != usize::try_from(last).unwrap_or(usize::MAX) {
            // An earlier attempt has joined and removed the chunks, and failed afterwards.
            return Err(Failure::FileMissing);
        }
        let objects = std::mem::take(&mut session.objects);
        let (session, recorded) = (session.clone(), session.total);
        for (number, segment) in objects {
            if number > last {
                self.journal.release_one(&segment);
            }
        }
        match self.commit(&session, content.clone(), recorded, moment) {
            Ok(file) => {
                self.take_session(id);
                Ok(file)
            }
            Err(failure) => {
                // The chunks are gone already when the rest fails.
                self.journal.release(&content);
                self.keep_session(id);
                Err(failure)
            }
        }
    }

    /// Gives a session up.
    pub(super) fn abort(&mut self, id: &str, moment: &Moment<'_>) -> Result<(), Failure> {
        let leaks = self.version.numbers_chunks() && moment.settings.storage == Storage::Disk;
        let session = self.session(id, moment.settings.storage, moment.now)?;
        if leaks && !session.objects.is_empty() {
            session.abandoned = true;
            self.keep_session(id);
            let path = format!("Directory not empty : '/var/www/data/files_temp/{id}chunks'");
            return Err(Failure::Fault(Message::Said(path)));
        }
        self.drop_session(id);
        Ok(())
    }

    fn check_chunk(&mut self, id: &str, bytes: u64, moment: &Moment<'_>) -> Result<(), Failure> {
        if bytes == 0 && !self.version.takes_empty_chunks() {
            return Err(Failure::Fault(Message::EmptyFile));
        }
        if bytes > moment.settings.chunk_bytes {
            return Err(Failure::Quota(Message::FileTooLarge(moment.settings.file_bytes_max)));
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let is_too_much = |session: &Session| session.uploaded.saturating_add(bytes) > UNDECLARED_BYTES_MAX;
        if self.sessions.get(id).is_some_and(|session| session.is_for_the_server_itself() && is_too_much(session)) {
            self.drop_session(id);
            return Err(Failure::Quota(Message::FileTooLarge(UNDECLARED_BYTES_MAX.unsigned_abs())));
        }
        Ok(())
    }

    /// Notes a chunk in place of the one of its number.
    fn put_chunk(&mut self, id: &str, (number, chunk): (u32, Segment), entry: Option<Entry>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if let Some(entry) = entry {
            session.entries.insert(number, entry);
        }
        if let Some(replaced) = session.put(number, chunk) {
            self.journal.release_one(&replaced);
        }
    }

    fn touch(&mut self, id: &str, now: OffsetDateTime) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.touched = now;
        }
        self.keep_session(id);
    }

    /// DocSpace 2.5 and later, a file of several chunks: a chunk without a number gets the next one.
    fn take_next(&mut self, id: &str, chunk: Segment, moment: &Moment<'_>) -> Result<Taken, Failure> {
        let Some(session) = self.sessions.get_mut(id) else { return Err(self.gone()) };
        session.counter += 1;
        let number = session.counter;
        let bytes = i64::try_from(chunk.bytes).unwrap_or(i64::MAX);
        self.put_chunk(id, (number, chunk), Some(Entry { bytes, written: moment.now }));
        self.touch(id, moment.now);
        let session = self.session(id, moment.settings.storage, moment.now)?;
        let (_, counted) = session.counted(moment.settings.chunk_bytes, moment.now);
        if counted == session.total { self.finalize(id, moment).map(Taken::Finished) } else { Ok(Taken::More) }
    }

    /// DocSpace 2.5 and later, a file below the chunk size: every chunk is the file, and the session stays.
    fn take_whole(&mut self, id: &str, chunk: Segment, moment: &Moment<'_>) -> Result<Taken, Failure> {
        let bytes = i64::try_from(chunk.bytes).unwrap_or(i64::MAX);
        let Some(session) = self.sessions.get_mut(id) else { return Err(self.gone()) };
        if session.total == 0 {
            session.total = bytes;
        }
        session.touched = moment.now;
        let session = session.clone();
        if bytes > session.total {
            self.journal.release_one(&chunk);
            self.keep_session(id);
            if session.total < 0 && moment.settings.negative_size == NegativeSize::Fails {
                return Err(Failure::Fault(NULL_REFERENCE));
            }
            return Ok(Taken::Finished(session.file.unwrap_or(0)));
        }
        let content = Content(vec![chunk]);
        match self.commit(&session, content.clone(), session.total, moment) {
            Ok(file) => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.file = Some(file);
                    session.commits += 1;
                }
                self.keep_session(id);
                Ok(Taken::Finished(file))
            }
            Err(failure) => {
                self.journal.release(&content);
                Err(failure)
            }
        }
    }

    /// CommunityServer and DocSpace before 2.5: bytes are appended and counted.
    fn append(&mut self, id: &str, chunk: Segment, moment: &Moment<'_>) -> Result<Taken, Failure> {
        let bytes = i64::try_from(chunk.bytes).unwrap_or(i64::MAX);
        let Some(session) = self.sessions.get_mut(id) else { return Err(self.gone()) };
        if session.total == 0 {
            session.total = bytes;
        }
        session.touched = moment.now;
        if !session.chunked && bytes > session.total {
            // Ignored without a word.
            self.journal.release_one(&chunk);
            self.keep_session(id);
            return Ok(Taken::More);
        }
        session.append(chunk);
        session.uploaded = session.uploaded.saturating_add(bytes);
        if session.uploaded != session.total {
            self.keep_session(id);
            return Ok(Taken::More);
        }
        let session = self.take_session(id).expect("it was there a moment ago");
        let content = Content(session.objects.values().copied().collect());
        let committed = self.commit(&session, content.clone(), session.total, moment);
        if committed.is_err() {
            self.journal.release(&content);
        }
        committed.map(Taken::Finished)
    }

    /// Makes a file, a version, or another content of the same version. The caller holds the content, and goes on
    /// holding it when this fails.
    pub(super) fn commit(
        &mut self,
        session: &Session,
        content: Content,
        recorded: i64,
        moment: &Moment<'_>,
    ) -> Result<u64, Failure> {
        let bytes = u64::try_from(recorded).unwrap_or(0);
        self.check_quota(bytes, moment)?;
        let chunks = content.0.len();
        let file = self.place(session, content, bytes, dates::to_seconds(moment.now))?;
        self.arrive(session, file, chunks, moment.now);
        Ok(file)
    }

    /// For those who watch.
    fn arrive(&mut self, session: &Session, file: u64, chunks: usize, now: OffsetDateTime) {
        let Some(file) = self.tree.file(file) else { return };
        let arrival = Arrival {
            path: format!("{}/{}", self.tree.path_text(file.folder), file.title),
            bytes: file.current().bytes,
            version: u64::from(file.current().version),
            session: session.id.clone(),
            chunks,
            took: (now - session.created).try_into().unwrap_or_default(),
        };
        self.arrived.push(arrival);
    }

    /// Puts the content where it belongs; the file.
    fn place(&mut self, session: &Session, content: Content, bytes: u64, now: OffsetDateTime) -> Result<u64, Failure> {
        let Some(file) = session.file else {
            let id = self.tree.next_id(&mut self.journal);
            let file = File {
                id,
                folder: session.folder,
                title: titles::saved(&session.title),
                created: session.created_on.unwrap_or(now),
                locked_by: None,
                encrypted: session.encrypted,
                revisions: vec![Revision { version: 1, bytes, content, updated: now, by: session.user.clone() }],
            };
            self.tree.add_file(file, &mut self.journal);
            return Ok(id);
        };
        if self.tree.file(file).is_none() {
            return Err(Failure::FileMissing);
        }
        let keeps_version = session.keeps_version;
        self.tree.change_file(file, &mut self.journal, |file, journal| {
            let mut version = file.current().version + 1;
            if keeps_version {
                let replaced = file.revisions.pop().expect("a file has a version");
                journal.release(&replaced.content);
                version = replaced.version;
            }
            file.title = titles::saved(&file.title);
            let by = session.user.clone();
            file.revisions.push(Revision { version, bytes, content, updated: now, by });
        });
        Ok(file)
    }

    pub(super) fn check_quota(&self, bytes: u64, moment: &Moment<'_>) -> Result<(), Failure> {
        let used = self.tree.used_bytes();
        let after = used.saturating_add(bytes);
        if let Some(total) = moment.settings.total_bytes.filter(|total| after > *total) {
            return Err(Failure::Quota(Message::Total(total)));
        }
        // One file may exceed the quota of a room, while less than twice of it is used.
        let room = moment.settings.room_bytes;
        let exceeded = room.is_some_and(|room| used >= room || after > room.saturating_mul(2));
        if exceeded || moment.quota_is_used_up {
            return Err(Failure::Quota(Message::Room(room.unwrap_or(used))));
        }
        Ok(())
    }
}
