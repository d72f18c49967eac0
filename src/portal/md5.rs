//! MD5 (RFC 1321), piece by piece: object stores tell it as the ETag of what was put in one piece. It protects nothing.

/// Bytes of a block.
const BLOCK: usize = 64;

/// How far each step rotates, four for each round.
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// The digest of what has come so far.
#[derive(Clone, Debug)]
pub(super) struct Md5 {
    state: [u32; 4],
    /// The constant of each step.
    table: [u32; 64],
    /// The beginning of a block.
    held: Vec<u8>,
    bytes: u64,
}

impl Default for Md5 {
    fn default() -> Self {
        // The RFC defines the table by the sine; the factor is 2 to the power of 32.
        let table = std::array::from_fn(|step| (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32);
        let state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
        Md5 { state, table, held: Vec::with_capacity(BLOCK), bytes: 0 }
    }
}

impl Md5 {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let mut rest = bytes;
        if !self.held.is_empty() {
            let taken = rest.len().min(BLOCK - self.held.len());
            self.held.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if self.held.len() < BLOCK {
                return;
            }
            let block = std::mem::take(&mut self.held);
            self.mix(&block);
        }
        let blocks = rest.chunks_exact(BLOCK);
        self.held.extend_from_slice(blocks.remainder());
        blocks.for_each(|block| self.mix(block));
    }

    /// In hexadecimal.
    pub(super) fn finish(mut self) -> String {
        let bits = self.bytes.wrapping_mul(8);
        let zeros = (BLOCK + BLOCK - 9 - self.held.len()) % BLOCK;
        self.update(&[&[0x80][..], &vec![0; zeros], &bits.to_le_bytes()].concat());
        self.state.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
    }

    fn mix(&mut self, block: &[u8]) {
        let words: [u32; 16] = std::array::from_fn(|at| {
            block[4 * at..4 * at + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
        });
        let [mut a, mut b, mut c, mut d] = self.state;
        for step in 0..64 {
            let (mixed, word) = match step / 16 {
                0 => ((b & c) | (!b & d), step),
                1 => ((b & d) | (c & !d), 5 * step + 1),
                2 => (b ^ c ^ d, 3 * step + 5),
                _ => (c ^ (b | !d), 7 * step),
            };
            let sum = a.wrapping_add(mixed).wrapping_add(self.table[step]).wrapping_add(words[word % 16]);
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[step / 16][step % 4]));
        }
        for (word, added) in self.state.iter_mut().zip([a, b, c, d]) {
            *word = word.wrapping_add(added);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(pieces: &[&[u8]]) -> String {
        let mut digest = Md5::default();
        pieces.iter().for_each(|piece| digest.update(piece));
        digest.finish()
    }

    #[test]
    fn the_test_suite_of_the_rfc() {
        for (text, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
            ("test file", "f20d9f2072bbeb6691c0f9c5099b01f3"),
        ] {
            assert_eq!(md5(&[text.as_bytes()]), expected, "{text}");
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        let bytes: Vec<u8> = (0..300_u32).map(|number| number as u8).collect();
        for length in [0, 1, 55, 56, 63, 64, 65, 119, 128, 300] {
            let whole = md5(&[&bytes[..length]]);
            for cut in 0..length {
                assert_eq!(md5(&[&bytes[..cut], &bytes[cut..length]]), whole, "{length} cut at {cut}");
            }
        }
    }
}
