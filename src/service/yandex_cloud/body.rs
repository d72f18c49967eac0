//! Bodies that carry a file: JSON with the content in base64, made while it is sent. Never more than one piece of the file
//! and its digits are in memory. What is only known after the last byte, the checksum among the labels, stands behind the
//! content; its length is known before.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::{Stream, StreamExt, TryStreamExt, once};
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::labels;
use crate::error::Result;
use crate::http::Body;
use crate::service::Payload;

/// The checksums of a file that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha256: [u8; 32],
    pub(super) md5: [u8; 16],
}

/// Where the checksums of a file are found when its last byte was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seal(Arc<Mutex<Option<Digests>>>);

impl Seal {
    /// The checksums of the last time that the file was read through.
    pub(super) fn get(&self) -> Option<Digests> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, digests: Digests) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(digests);
    }
}

/// The members of `about`, then the content of `payload`, then the labels of the upload `upload`.
pub(super) fn json(about: &Value, payload: &Payload, upload: &str, seal: &Seal) -> Body {
    let head = about.to_string();
    let head = format!("{},\"content\":\"", head.strip_suffix('}').unwrap_or(&head));
    let size = payload.len();
    let upload = upload.to_owned();
    let tail =
        move |digests: Digests| format!("\",\"labels\":{}}}", json!(labels::write(&upload, size, &digests.sha256)));
    let blank = Digests { sha256: [0; 32], md5: [0; 16] };
    let length = head.len() as u64 + size.div_ceil(3) * 4 + tail(blank).len() as u64;

    let encoder = Arc::new(Mutex::new(Encoder::default()));
    let (hasher, seal) = (encoder.clone(), seal.clone());
    let content = payload.stream().map_ok(move |piece| with(&hasher, |encoder| encoder.push(&piece)));
    let end = once(async move {
        let (rest, digests) = with(&encoder, Encoder::finish);
        seal.set(digests);
        Ok(Bytes::from(rest + &tail(digests)))
    });
    Body::stream(once(async move { Ok(Bytes::from(head)) }).chain(content).chain(end), length)
}

/// The content of `payload` as it is, with the checksums of what went through.
pub(super) fn sealed(payload: &Payload, seal: &Seal) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let hashers = Arc::new(Mutex::new((Sha256::new(), Md5::new())));
    let (hashing, seal) = (hashers.clone(), seal.clone());
    let content = payload.stream().map_ok(move |piece| {
        let mut hashers = hashing.lock().unwrap_or_else(PoisonError::into_inner);
        hashers.0.update(&piece);
        hashers.1.update(&piece);
        piece
    });
    let end = once(async move {
        let mut hashers = hashers.lock().unwrap_or_else(PoisonError::into_inner);
        seal.set(Digests { sha256: hashers.0.finalize_reset().into(), md5: hashers.1.finalize_reset().into() });
        Ok(Bytes::new())
    });
    // Nothing is sent after the last byte: the checksums are taken while it leaves.
    content.chain(end).try_filter(|piece| ready(!piece.is_empty()))
}

fn with<T>(encoder: &Mutex<Encoder>, act: impl FnOnce(&mut Encoder) -> T) -> T {
    act(&mut encoder.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Base64 over the borders of pieces, and the checksums of what went through.
#[derive(Default)]
struct Encoder {
    /// At most two bytes that wait for the third.
    carry: Vec<u8>,
    sha256: Sha256,
    md5: Md5,
}

impl Encoder {
    /// The digits of all complete groups of three bytes.
    fn push(&mut self, piece: &[u8]) -> Bytes {
        self.sha256.update(piece);
        self.md5.update(piece);
        let mut digits = String::with_capacity((self.carry.len() + piece.len()).div_ceil(3) * 4);
        let missing = (3 - self.carry.len()) % 3;
        let (first, rest) = piece.split_at(missing.min(piece.len()));
        self.carry.extend_from_slice(first);
        if self.carry.len() == 3 {
            STANDARD.encode_string(&self.carry, &mut digits);
            self.carry.clear();
        }
        let (groups, rest) = rest.split_at(rest.len() / 3 * 3);
        STANDARD.encode_string(groups, &mut digits);
        self.carry.extend_from_slice(rest);
        digits.into()
    }

    /// The digits of what is left, and the checksums of everything.
    fn finish(&mut self) -> (String, Digests) {
        let rest = STANDARD.encode(std::mem::take(&mut self.carry));
        let digests = Digests { sha256: self.sha256.finalize_reset().into(), md5: self.md5.finalize_reset().into() };
        (rest, digests)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(pieces: &[Vec<u8>]) -> (String, Digests) {
        let mut encoder = Encoder::default();
        let mut digits = String::new();
        for piece in pieces {
            digits.push_str(std::str::from_utf8(&encoder.push(piece)).unwrap());
            assert!(encoder.carry.len() < 3);
        }
        let (rest, digests) = encoder.finish();
        (digits + &rest, digests)
    }

    #[test]
    fn the_recorded_file_is_encoded_as_it_was() {
        let (digits, digests) = encoded(&[b"te".to_vec(), b"st fil".to_vec(), b"e".to_vec()]);
        assert_eq!(digits, "dGVzdCBmaWxl");
        assert_eq!(labels::hex(&digests.md5), "f20d9f2072bbeb6691c0f9c5099b01f3");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9)) {
            let all = pieces.concat();
            let (digits, digests) = encoded(&pieces);
            prop_assert_eq!(digits.len() as u64, (all.len() as u64).div_ceil(3) * 4);
            prop_assert_eq!(digits, STANDARD.encode(&all));
            prop_assert_eq!(digests.sha256, <[u8; 32]>::from(Sha256::digest(&all)));
        }
    }
}
