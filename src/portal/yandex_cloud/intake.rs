//! A content on its way to the disk: counted, digested, its beginning remembered. What is beyond the largest size is
//! counted, and not written.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use md5::{Digest, Md5};

use super::errors::Failure;
use super::mime::{self, HEAD_BYTES};
use super::settings::Settings;
use crate::portal::store::{BlobWriter, Content};

/// A content that arrives.
pub(super) struct Intake {
    blob: BlobWriter,
    digest: Md5,
    head: Vec<u8>,
    bytes: u64,
    bytes_max: u64,
}

/// A content that is on the disk.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) content: Content,
    /// In hexadecimal.
    pub(super) md5: String,
}

impl Intake {
    pub(super) fn new(blob: BlobWriter, bytes_max: u64) -> Intake {
        Intake { blob, digest: Md5::default(), head: Vec::new(), bytes: 0, bytes_max }
    }

    pub(super) async fn push(&mut self, piece: Bytes) -> io::Result<()> {
        self.bytes += piece.len() as u64;
        if piece.is_empty() || self.bytes > self.bytes_max {
            return Ok(());
        }
        let missing = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend_from_slice(&piece[..piece.len().min(missing)]);
        self.digest.update(&piece);
        self.blob.push(piece).await
    }

    /// The type of what has come.
    pub(super) fn mime(&self) -> &'static str {
        mime::of_content(&self.head)
    }

    /// Whether what has come may be a file.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Failure> {
        if self.bytes > self.bytes_max {
            return Err(Failure::too_large(settings));
        }
        if self.bytes == 0 && !settings.empty_files {
            return Err(Failure::refused("content: must not be empty"));
        }
        Ok(())
    }

    pub(super) async fn finish(self) -> io::Result<Received> {
        let segment = self.blob.finish().await?;
        let md5 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Received { content: Content(vec![segment]), md5 })
    }
}

/// The body, which fails when it pauses for longer than a gateway would wait.
pub(super) fn impatient(body: Body, idle: Duration) -> Body {
    let pieces = futures_util::stream::unfold(Some(body.into_data_stream()), move |stream| async move {
        let mut stream = stream?;
        match tokio::time::timeout(idle, stream.next()).await {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(stream))),
            Ok(Some(Err(error))) => Some((Err(io::Error::other(error)), None)),
            Ok(None) => None,
            Err(_) => Some((Err(io::ErrorKind::TimedOut.into()), None)),
        }
    });
    // Whoever reads a form may ask once more behind its end.
    Body::from_stream(pieces.fuse())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::TryStreamExt;

    use super::super::errors::tests::code;
    use super::*;
    use crate::portal::store::Store;

    #[tokio::test]
    async fn what_arrives_is_counted_and_digested() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap().0);
        let settings = Settings::default();
        let mut intake = Intake::new(store.blob(), 9);
        assert_eq!(code(intake.check(&settings)), 3, "nothing is no content");
        assert_eq!(code(intake.check(&Settings { empty_files: true, ..Settings::default() })), 0);
        for piece in ["test", "", " file"] {
            intake.push(Bytes::from_static(piece.as_bytes())).await.unwrap();
        }
        assert_eq!((code(intake.check(&settings)), intake.mime()), (0, "text/plain"));
        let received = intake.finish().await.unwrap();
        assert_eq!((received.content.bytes(), received.md5.as_str()), (9, "f20d9f2072bbeb6691c0f9c5099b01f3"));

        let mut large = Intake::new(store.blob(), 9);
        large.push(Bytes::from_static(b"0123456789")).await.unwrap();
        assert_eq!((code(large.check(&settings)), large.blob.bytes()), (3, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_a_body() {
        let pieces = futures_util::stream::unfold(0, |at| async move {
            tokio::time::sleep(Duration::from_secs(at)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), at + 1))
        });
        let mut stream = impatient(Body::from_stream(pieces), Duration::from_millis(2500)).into_data_stream();
        let mut read = 0;
        let failed = loop {
            match stream.try_next().await {
                Ok(Some(piece)) => read += piece.len(),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert_eq!((read, failed), (3, true));
        for _ in 0..2 {
            assert!(stream.try_next().await.unwrap().is_none(), "it has ended");
        }
    }
}
