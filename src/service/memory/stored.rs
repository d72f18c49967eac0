//! Bytes that have arrived: the pieces of one part, the running SHA-1 over the parts of a session, and the content of
//! a finished file. It knows neither names nor rules.
//!
//! A piece is copied once, when it is kept. Keeping the piece itself would be cheaper and wrong: it is on loan from the
//! writer's bounded buffers, and a service that never gives a buffer back stops the writer for good. What is hashed in
//! order and not kept is not copied at all.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use futures_util::TryStreamExt;
use sha1::{Digest, Sha1};

use super::config::Keep;
use crate::error::Result;
use crate::service::{Payload, Sha1Digest};

/// The content of a finished file.
#[derive(Debug)]
pub(super) struct Stored {
    /// In bytes.
    pub(super) size: u64,
    /// `None` when nothing was hashed, or when a part was replaced after its bytes had been let go.
    pub(super) sha1: Option<Sha1Digest>,
    /// Where each piece begins, and its bytes; `None` when the bytes were not kept.
    pieces: Option<Vec<(u64, Bytes)>>,
}

impl Stored {
    /// The bytes `range`; `None` when they were not kept. Free of copies when the range lies within one piece.
    pub(super) fn read(&self, range: Range<u64>) -> Option<Bytes> {
        let pieces = self.pieces.as_ref()?;
        let first = pieces.partition_point(|(at, bytes)| at + bytes.len() as u64 <= range.start);
        let mut found = Vec::new();
        for (at, bytes) in pieces[first..].iter().take_while(|(at, _)| *at < range.end) {
            let from = range.start.saturating_sub(*at);
            let to = (range.end - at).min(bytes.len() as u64);
            found.push(bytes.slice(index(from)..index(to)));
        }
        Some(if found.len() == 1 { found.swap_remove(0) } else { found.concat().into() })
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset into a piece in memory fits into usize")
}

/// A payload that has arrived.
#[derive(Debug)]
pub(super) struct Received {
    /// Which bytes of the file.
    pub(super) range: Range<u64>,
    /// Its pieces in order; empty when they were hashed on the way and not kept, or not even hashed.
    pieces: Vec<Bytes>,
    /// The SHA-1 of the file up to the end of this part, where the part continued `hash`.
    hash: Option<Sha1>,
}

/// Takes `payload` in, continuing `hash` when it has one to continue.
pub(super) async fn receive(payload: &Payload, keep: Keep, mut hash: Option<Sha1>) -> Result<Received> {
    let kept = match keep {
        Keep::Bytes => true,
        Keep::Digest => hash.is_none(),
        Keep::Size => false,
    };
    let mut pieces = Vec::new();
    let mut stream = std::pin::pin!(payload.stream());
    while let Some(piece) = stream.try_next().await? {
        if let Some(hash) = &mut hash {
            hash.update(&piece);
        }
        if kept {
            pieces.push(Bytes::copy_from_slice(&piece));
        }
    }
    Ok(Received { range: payload.range(), pieces, hash })
}

/// The parts of one file as they come in, in any order, and the SHA-1 over those that are complete from the start.
#[derive(Debug)]
pub(super) struct Gathering {
    keep: Keep,
    parts: BTreeMap<u32, Received>,
    hash: Sha1,
    /// The file is hashed up to here.
    hashed_to: u64,
    /// Whether a part that had been hashed was replaced.
    spoiled: bool,
}

impl Gathering {
    pub(super) fn new(keep: Keep) -> Self {
        Gathering { keep, parts: BTreeMap::new(), hash: Sha1::new(), hashed_to: 0, spoiled: false }
    }

    /// The hash that a part beginning at byte `at` would continue.
    pub(super) fn hash_at(&self, at: u64) -> Option<Sha1> {
        (self.keep != Keep::Size && at == self.hashed_to && !self.spoiled).then(|| self.hash.clone())
    }

    pub(super) fn add(&mut self, index: u32, part: Received) {
        if self.keep == Keep::Size {
            self.parts.insert(index, part);
            return;
        }
        if part.range.start < self.hashed_to {
            self.spoiled = true;
        }
        self.parts.insert(index, part);
        self.hash_on(index);
    }

    /// Hashes part `index` and those that were waiting for it.
    fn hash_on(&mut self, index: u32) {
        for (_, part) in self.parts.range_mut(index..) {
            if part.range.start != self.hashed_to || self.spoiled {
                return;
            }
            match part.hash.take() {
                Some(hash) => self.hash = hash,
                None => part.pieces.iter().for_each(|piece| self.hash.update(piece)),
            }
            self.hashed_to = part.range.end;
            if self.keep == Keep::Digest {
                part.pieces.clear();
            }
        }
    }

    /// Which bytes part `index` has, where it has arrived.
    pub(super) fn range_of(&self, index: u32) -> Option<Range<u64>> {
        self.parts.get(&index).map(|part| part.range.clone())
    }

    /// Where the part with the highest index ends.
    pub(super) fn end(&self) -> u64 {
        self.parts.last_key_value().map_or(0, |(_, part)| part.range.end)
    }

    /// How many bytes have arrived.
    pub(super) fn bytes(&self) -> u64 {
        self.parts.values().map(|part| part.range.end - part.range.start).sum()
    }

    pub(super) fn count(&self) -> usize {
        self.parts.len()
    }

    /// The file out of its parts, which lie one after the other.
    pub(super) fn into_file(self) -> Stored {
        let size = self.parts.values().map(|part| part.range.end).max().unwrap_or(0);
        let whole = self.keep != Keep::Size && self.hashed_to == size && !self.spoiled;
        let mut pieces = Vec::new();
        let mut hash = Sha1::new();
        for part in self.parts.into_values() {
            let mut at = part.range.start;
            for piece in part.pieces {
                if !whole {
                    hash.update(&piece);
                }
                let end = at + piece.len() as u64;
                pieces.push((at, piece));
                at = end;
            }
        }
        let kept = self.keep == Keep::Bytes;
        let sha1 = if whole { Some(self.hash) } else { kept.then_some(hash) };
        Stored { size, sha1: sha1.map(|hash| Sha1Digest(hash.finalize().into())), pieces: kept.then_some(pieces) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"0123456789abcdef";

    async fn part(gathering: &Gathering, range: Range<usize>, keep: Keep) -> Received {
        let at = range.start as u64;
        let payload = Payload::from_bytes(Bytes::from_static(&TEXT[range]), at);
        receive(&payload, keep, gathering.hash_at(at)).await.unwrap()
    }

    async fn gather(order: &[(u32, Range<usize>)], keep: Keep) -> Stored {
        let mut gathering = Gathering::new(keep);
        for (index, range) in order {
            let part = part(&gathering, range.clone(), keep).await;
            gathering.add(*index, part);
        }
        gathering.into_file()
    }

    #[tokio::test]
    async fn every_order_makes_the_same_file() {
        for keep in [Keep::Bytes, Keep::Digest] {
            for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
                let parts = [0..5, 5..9, 9..16];
                let order: Vec<_> = order.iter().map(|i| (*i as u32 * 3, parts[*i].clone())).collect();
                let file = gather(&order, keep).await;
                assert_eq!(file.size, 16);
                assert_eq!(file.sha1, Some(Sha1Digest::of(TEXT)), "{order:?} {keep:?}");
                assert_eq!(file.read(3..10).as_deref(), (keep == Keep::Bytes).then_some(&TEXT[3..10]));
            }
        }
    }

    #[tokio::test]
    async fn a_range_within_one_piece_is_not_copied() {
        let file = gather(&[(0, 0..8), (1, 8..16)], Keep::Bytes).await;
        let (whole, inner) = (file.read(0..8).unwrap(), file.read(2..4).unwrap());
        assert_eq!(inner.as_ptr(), whole[2..].as_ptr());
        assert_eq!(file.read(8..8).as_deref(), Some(&b""[..]));
        assert_eq!(file.read(0..16).as_deref(), Some(TEXT));
    }

    #[tokio::test]
    async fn a_part_that_is_replaced_counts_in_its_new_form() {
        for (keep, known) in [(Keep::Bytes, true), (Keep::Digest, false)] {
            let mut gathering = Gathering::new(keep);
            let wrong =
                receive(&Payload::from_bytes(Bytes::from_static(b"wrong"), 0), keep, gathering.hash_at(0)).await;
            gathering.add(0, wrong.unwrap());
            for (index, range) in [(1, 5..16), (0, 0..5)] {
                let part = part(&gathering, range, keep).await;
                gathering.add(index, part);
            }
            assert_eq!(gathering.count(), 2);
            let file = gathering.into_file();
            assert_eq!(file.sha1, known.then(|| Sha1Digest::of(TEXT)));
            assert_eq!(file.read(0..16).as_deref(), known.then_some(TEXT));
        }
    }

    #[tokio::test]
    async fn what_is_not_kept_takes_no_memory() {
        let mut gathering = Gathering::new(Keep::Digest);
        let late = part(&gathering, 5..16, Keep::Digest).await;
        assert_eq!(late.pieces.len(), 1, "a part that came early waits for its hash");
        gathering.add(1, late);
        let first = part(&gathering, 0..5, Keep::Digest).await;
        assert!(first.pieces.is_empty());
        gathering.add(0, first);
        assert!(gathering.parts.values().all(|part| part.pieces.is_empty()));
    }

    #[tokio::test]
    async fn of_what_is_only_counted_the_size_is_known_in_every_order() {
        for order in [[0, 1], [1, 0]] {
            let parts = [0..5, 5..16];
            let order: Vec<_> = order.iter().map(|i| (*i as u32, parts[*i].clone())).collect();
            let file = gather(&order, Keep::Size).await;
            assert_eq!((file.size, file.sha1, file.read(0..16)), (16, None, None), "{order:?}");
        }
        let file = Gathering::new(Keep::Size).into_file();
        assert_eq!((file.size, file.sha1), (0, None));
    }

    #[test]
    fn an_empty_file_has_a_digest() {
        let file = Gathering::new(Keep::Digest).into_file();
        assert_eq!((file.size, file.sha1), (0, Some(Sha1Digest::of(b""))));
    }
}
