//! The MediaWiki client against real servers: both roads under all limits, lost answers, lost sessions, names, reading,
//! moving, and every refusal a person may meet first.

mod boundaries;
mod early;
mod errors;
mod files;
mod lost;
mod queue;
mod refusals;
mod roads;

use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::{Error, Kind, Retry};
use uploadfs::path::RemotePath;
use uploadfs::service::mediawiki::MediaWiki;
use uploadfs::service::{Part, Payload, Progress, Receipt, Service, Sha1Digest, Spec};

use crate::support::upload::{Upload, by_session, content, names, text, whole};
use crate::support::wiki::{Which, Wiki, steps};

/// Bytes.
const MIB: usize = 1 << 20;

fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

fn spec(name: &str, bytes: &Bytes) -> Spec {
    Spec { path: path(name), size: Some(bytes.len() as u64), sha1: Some(Sha1Digest::of(bytes)), replaces: None }
}

/// Text that no other test and no other run has sent: equal contents are no new versions.
fn fresh(size: usize) -> Bytes {
    text(size, fastrand::u64(..))
}

/// A wiki takes one version of a file per second, by its own clock.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1200)).await;
}

async fn wide() -> Wiki {
    let wiki = Wiki::take(Which::Wide).await;
    wiki.empty().await;
    wiki
}

/// Uploads by a session whose first part has 64 KiB and whose other parts have `part` bytes.
async fn in_parts<'a>(service: &'a MediaWiki, name: &str, bytes: &Bytes, part: usize) -> Upload<'a> {
    let mut upload = Upload::begin(service, &path(name), bytes).await.unwrap();
    let file = Payload::from_bytes(bytes.clone(), 0);
    let starts = (64 << 10..bytes.len()).step_by(part);
    upload.parts = starts
        .zip(1..)
        .map(|(start, index)| {
            let end = bytes.len().min(start + part);
            Part { index, payload: file.slice(start as u64..end as u64), last: end == bytes.len() }
        })
        .collect();
    upload
}

async fn probe(upload: &Upload<'_>, bytes: &Bytes) -> Progress {
    let all_sent = upload.parts.is_empty();
    let spec = if all_sent { spec(upload.spec.path.name(), bytes) } else { upload.spec.clone() };
    upload.service.probe(&spec, Some((&upload.token, &upload.receipts))).await.unwrap()
}

fn held(progress: Progress) -> Vec<Receipt> {
    match progress {
        Progress::Holds(receipts) => receipts,
        other => panic!("the session is alive, and the probe says {other:?}"),
    }
}
