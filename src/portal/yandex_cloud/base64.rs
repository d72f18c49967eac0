//! Base64 (RFC 4648, standard alphabet, padded), decoded while it arrives. Whatever is not exactly that is wrong: the
//! service's reference says no more than "base64".

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What stands for no character of the alphabet.
const NONE: u8 = 0xff;

/// The values of characters.
static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
}

/// It is no base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotBase64;

/// Decodes pieces of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder {
    /// The bits of the group so far.
    bits: u32,
    /// The characters of the group so far, padding among them.
    count: u32,
    padding: u32,
}

impl Decoder {
    /// Decodes a piece onto `out`.
    pub(super) fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), NotBase64> {
        out.reserve(text.len() / 4 * 3 + 3);
        let mut rest = text;
        while let Some((character, after)) = rest.split_first() {
            if self.count == 0 && self.padding == 0 {
                rest = whole_groups(rest, out);
                if rest.len() < 4 {
                    rest.iter().try_for_each(|character| self.character(*character, out))?;
                    return Ok(());
                }
                // What begins here has padding in it, or is wrong.
                let (group, after) = rest.split_at(4);
                group.iter().try_for_each(|character| self.character(*character, out))?;
                rest = after;
            } else {
                self.character(*character, out)?;
                rest = after;
            }
        }
        Ok(())
    }

    fn character(&mut self, character: u8, out: &mut Vec<u8>) -> Result<(), NotBase64> {
        let value = VALUES[usize::from(character)];
        if character == b'=' && self.count >= 2 {
            self.padding += 1;
        } else if value == NONE || self.padding > 0 {
            return Err(NotBase64);
        }
        self.bits = self.bits << 6 | if self.padding > 0 { 0 } else { u32::from(value) };
        self.count += 1;
        if self.count < 4 {
            return Ok(());
        }
        let [_, bytes @ ..] = self.bits.to_be_bytes();
        let (kept, dropped) = bytes.split_at(3 - self.padding as usize);
        if dropped.iter().any(|byte| *byte != 0) {
            return Err(NotBase64);
        }
        out.extend_from_slice(kept);
        // Padding stays: nothing may follow it.
        (self.bits, self.count) = (0, 0);
        Ok(())
    }

    /// Whether the text may end here.
    pub(super) fn finish(&self) -> Result<(), NotBase64> {
        if self.count == 0 { Ok(()) } else { Err(NotBase64) }
    }
}

/// Decodes the groups without padding at the beginning of `text`; what is left of it.
fn whole_groups<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut rest = text;
    while let Some((group, after)) = rest.split_first_chunk::<4>() {
        let values = group.map(|character| VALUES[usize::from(character)]);
        if values.contains(&NONE) {
            break;
        }
        let bits = values.iter().fold(0, |bits, value| bits << 6 | u32::from(*value));
        out.extend_from_slice(&bits.to_be_bytes()[1..]);
        rest = after;
    }
    rest
}

/// The bytes of a whole text.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, NotBase64> {
    let (mut decoder, mut bytes) = (Decoder::default(), Vec::new());
    decoder.feed(text.as_bytes(), &mut bytes)?;
    decoder.finish()?;
    Ok(bytes)
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let value = (bits >> (18 - 6 * at)) as usize & 63;
            text.push(if at <= group.len() { char::from(ALPHABET[value]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("test file", "dGVzdCBmaWxl"),
        ] {
            assert_eq!((encode(bytes.as_bytes()).as_str(), decode(text)), (text, Ok(bytes.as_bytes().to_vec())));
        }
    }

    #[test]
    fn everything_else_is_wrong() {
        for text in [
            "Zg",
            "Zg=",
            "Z",
            "Z===",
            "====",
            "=",
            "Zg==Zg==",
            "Zm9v=",
            "Zm9vZg==Zm9v",
            "Zg==\n",
            "Zm 9v",
            "Zm9-",
            "Zm9_",
            "Zh==",
            "Zm9=",
            "Zg=g",
            "Zm9v\0",
            "Zmé=",
        ] {
            assert_eq!(decode(text), Err(NotBase64), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in prop::collection::vec(any::<u8>(), 0..100), length in 1_usize..40) {
            let text = encode(&bytes);
            let (mut decoder, mut decoded) = (Decoder::default(), Vec::new());
            for piece in text.as_bytes().chunks(length) {
                decoder.feed(piece, &mut decoded).unwrap();
            }
            decoder.finish().unwrap();
            prop_assert_eq!(decoded, bytes);
        }
    }
}
