//! An upload session and the arithmetic of its chunks, for all generations; no lock, no disk, no clock. What it means
//! for the files of the portal is in `commit`.
//!
//! CommunityServer and DocSpace before 2.5 append chunks and count bytes. DocSpace since 2.5 keeps each chunk as an
//! object, and a note of its length in a cache; the file is finished when the lengths of chunks 1 to n, up to the first
//! missing one, add up to the declared size. Files below the chunk size are never cut: each chunk is the file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::portal::store::{Content, Segment};

/// How long a session lives after the last chunk, and a chunk after it was written.
pub(super) const LIFE: Duration = Duration::hours(12);

/// The size that means "not known": only the server's own backup can use it.
const SIZE_UNKNOWN: i64 = -1;

/// What the cache knows about a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The length as the server computed it.
    pub(super) bytes: i64,
    pub(super) written: OffsetDateTime,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    /// Who opened it.
    pub(super) user: Option<String>,
    pub(super) folder: u64,
    /// The file that will get a new content; `None` makes a new one.
    pub(super) file: Option<u64>,
    pub(super) title: String,
    /// The declared size; 0 is replaced by the length of the first chunk.
    pub(super) total: i64,
    /// Whether there is more than one chunk. Decided when the session is opened.
    pub(super) chunked: bool,
    pub(super) created: OffsetDateTime,
    /// When the last chunk came.
    pub(super) touched: OffsetDateTime,
    /// Whether the version stays.
    pub(super) keeps_version: bool,
    pub(super) encrypted: bool,
    /// When the file says it was created.
    pub(super) created_on: Option<OffsetDateTime>,
    /// Bytes that were appended.
    pub(super) uploaded: i64,
    /// Chunks without a number that were taken.
    pub(super) counter: u32,
    pub(super) entries: BTreeMap<u32, Entry>,
    /// The chunks on disk, or what was appended.
    pub(super) objects: BTreeMap<u32, Segment>,
    /// Files or versions that came out of it.
    pub(super) commits: u64,
    /// Whether its client gave it up, and the server could not.
    pub(super) abandoned: bool,
    /// Chunks that are being written now.
    #[serde(skip)]
    pub(super) writing: BTreeSet<u32>,
    /// Requests for chunks without a number that are under way.
    #[serde(skip)]
    pub(super) plain_under_way: u32,
    /// Whether the client cannot know what became of its last chunk without a number.
    #[serde(skip)]
    pub(super) in_doubt: bool,
}

/// How many chunks of at most `chunk_bytes` a size has.
pub(super) fn chunk_count(total: i64, chunk_bytes: u64) -> u32 {
    let count = u64::try_from(total).unwrap_or(0).div_ceil(chunk_bytes);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Whether a session of this size takes more than one chunk.
pub(super) fn is_chunked(total: i64, chunk_bytes: u64) -> bool {
    i64::try_from(chunk_bytes).is_ok_and(|chunk_bytes| total >= chunk_bytes) || total == SIZE_UNKNOWN
}

impl Session {
    /// Whether its cache entry, or its note about it, has run out.
    pub(super) fn is_expired(&self, now: OffsetDateTime) -> bool {
        now - self.touched >= LIFE
    }

    /// Whether its size is one that no client may declare.
    pub(super) fn is_for_the_server_itself(&self) -> bool {
        self.total == SIZE_UNKNOWN
    }

    /// The number of the last chunk that counts, and the bytes up to it.
    pub(super) fn counted(&self, chunk_bytes: u64, now: OffsetDateTime) -> (u32, i64) {
        let (mut last, mut bytes) = (0, 0_i64);
        for number in 1..=chunk_count(self.total, chunk_bytes) {
            match self.entries.get(&number) {
                Some(entry) if now - entry.written < LIFE => {
                    (last, bytes) = (number, bytes.saturating_add(entry.bytes));
                }
                _ => break,
            }
        }
        (last, bytes)
    }

    /// What the chunks 1 to `last` make.
    pub(super) fn content(&self, last: u32) -> Content {
        Content(self.objects.range(1..=last).map(|(_, segment)| *segment).collect())
    }

    /// Puts a chunk where the one of its number was; the one that it replaces.
    pub(super) fn put(&mut self, number: u32, segment: Segment) -> Option<Segment> {
        self.objects.insert(number, segment)
    }

    /// Puts a chunk behind all others.
    pub(super) fn append(&mut self, segment: Segment) {
        let next = self.objects.last_key_value().map_or(1, |(last, _)| last + 1);
        self.objects.insert(next, segment);
    }

    /// The bytes that it holds.
    pub(super) fn held_bytes(&self) -> u64 {
        self.objects.values().map(|segment| segment.bytes).sum()
    }

    /// The length that chunk `number` should have, `None` where there should be no such chunk.
    pub(super) fn expected_bytes(&self, number: u32, chunk_bytes: u64) -> Option<u64> {
        let total = u64::try_from(self.total).ok()?;
        let before = u64::from(number.checked_sub(1)?) * chunk_bytes;
        (before < total || (before == 0 && total == 0)).then(|| (total - before).min(chunk_bytes))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    pub(in super::super) fn session(total: i64, chunk_bytes: u64) -> Session {
        Session {
            id: "0".repeat(32),
            user: Some("u".into()),
            folder: 1,
            file: None,
            title: "a.bin".into(),
            total,
            chunked: is_chunked(total, chunk_bytes),
            created: NOW,
            touched: NOW,
            keeps_version: false,
            encrypted: false,
            created_on: None,
            uploaded: 0,
            counter: 0,
            entries: BTreeMap::new(),
            objects: BTreeMap::new(),
            commits: 0,
            abandoned: false,
            writing: BTreeSet::new(),
            plain_under_way: 0,
            in_doubt: false,
        }
    }

    fn note(session: &mut Session, number: u32, bytes: u64, written: OffsetDateTime) {
        session.entries.insert(number, Entry { bytes: i64::try_from(bytes).unwrap(), written });
        session.put(number, Segment { blob: u64::from(number), bytes });
    }

    #[test]
    fn chunks_are_counted_to_the_first_hole() {
        let mut session = session(24, 10);
        for (number, expected) in [(3, (0, 0)), (1, (1, 10)), (2, (3, 24))] {
            note(&mut session, number, if number == 3 { 4 } else { 10 }, NOW);
            assert_eq!(session.counted(10, NOW), expected);
        }
        // More than the size has are stored, and not counted.
        note(&mut session, 4, 10, NOW);
        assert_eq!(session.counted(10, NOW), (3, 24));
        assert_eq!(session.content(3).bytes(), 24);
        assert_eq!(session.held_bytes(), 34);
    }

    #[test]
    fn chunks_expire_by_themselves() {
        let mut session = session(24, 10);
        note(&mut session, 1, 10, NOW);
        note(&mut session, 2, 10, NOW + LIFE / 2);
        session.touched = NOW + LIFE / 2;
        assert_eq!(session.counted(10, NOW + LIFE - Duration::SECOND), (2, 20));
        assert_eq!(session.counted(10, NOW + LIFE), (0, 0), "the first one is a hole now");
        assert!(!session.is_expired(NOW + LIFE) && session.is_expired(NOW + LIFE + LIFE / 2));
    }

    #[test]
    fn small_sizes_are_not_chunked_and_odd_ones_count_no_chunk() {
        assert!(!is_chunked(9, 10) && is_chunked(10, 10) && is_chunked(-1, 10) && !is_chunked(-2, 10));
        assert!(!is_chunked(0, 10));
        for (total, expected) in [(0, 0), (-1, 0), (-9, 0), (1, 1), (10, 1), (11, 2), (i64::MAX, u32::MAX)] {
            assert_eq!(chunk_count(total, 10), expected, "{total}");
        }
    }

    #[test]
    fn every_chunk_has_one_right_length() {
        let session = session(24, 10);
        let lengths: Vec<_> = (0..6).map(|number| session.expected_bytes(number, 10)).collect();
        assert_eq!(lengths, [None, Some(10), Some(10), Some(4), None, None]);
        assert_eq!(self::session(20, 10).expected_bytes(3, 10), None);
        assert_eq!(self::session(0, 10).expected_bytes(1, 10), Some(0));
        assert_eq!(self::session(-1, 10).expected_bytes(1, 10), None);
    }
}
