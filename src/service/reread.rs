//! What a service has of a file, read again piece by piece and hashed: the last word on whether it is what was sent, where
//! the service gives no checksum. It asks nobody itself.

use std::ops::Range;

use bytes::Bytes;
use sha1::{Digest, Sha1};

use super::Sha1Digest;

/// The most bytes of one piece: few requests for a large file, little memory.
const PIECE_BYTES: u64 = 4 << 20;

/// A file that is being read through.
pub(super) struct Reread {
    size: u64,
    at: u64,
    sha1: Sha1,
}

impl Reread {
    /// A file of `size` bytes, of which nothing has been read.
    pub(super) fn of(size: u64) -> Reread {
        Reread { size, at: 0, sha1: Sha1::new() }
    }

    /// The next piece to read; none after the last.
    pub(super) fn next(&self) -> Option<Range<u64>> {
        let end = self.size.min(self.at.saturating_add(PIECE_BYTES));
        (self.at < end).then_some(self.at..end)
    }

    /// Takes the piece that was asked for.
    pub(super) fn push(&mut self, piece: &Bytes) {
        self.at += piece.len() as u64;
        self.sha1.update(piece);
    }

    /// The SHA-1 of everything that was read.
    pub(super) fn digest(self) -> Sha1Digest {
        debug_assert_eq!(self.at, self.size, "a file is read through");
        Sha1Digest(self.sha1.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_through_in_pieces() {
        for size in [0, 1, PIECE_BYTES, 2 * PIECE_BYTES + 1] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let (mut reread, mut pieces) = (Reread::of(size), 0);
            while let Some(range) = reread.next() {
                let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
                reread.push(&Bytes::copy_from_slice(&bytes[start..end]));
                pieces += 1;
            }
            assert_eq!(pieces, size.div_ceil(PIECE_BYTES));
            assert_eq!(reread.digest(), Sha1Digest::of(&bytes));
        }
    }
}
