//! The Yandex Wiki client against wikis, call by call: uploads and what they replace, twins, names and slugs, pages that are
//! directories, moves, listings, downloads, limits, tokens, empty files, the antivirus, sessions that age. Faults over a
//! whole upload are in `yandex_faults`.

mod antivirus;
mod auth;
mod directories;
mod empty;
mod limits;
mod listings;
mod moves;
mod names;
mod overwrites;
mod reading;
mod sessions;
mod twins;
mod uploads;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::json;
use uploadfs::error::{Error, Kind, Result, Retry};
use uploadfs::path::RemotePath;
use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};
use uploadfs::portal::yandex_wiki::{
    Account, EmptyFiles, IAM_TOKEN, OAUTH_TOKEN, OrganisationKind, ROOT_SLUG, SlugRule, Step, UrlNames, Verdict,
};
use uploadfs::service::yandex_wiki::{Organisation, YandexWiki, YandexWikiConfig};
use uploadfs::service::{Flow, Node, NodeKind, Progress, Service, SizePolicy, Spec};

use crate::support::upload::{Upload, any, by_session, content, names, settled, text};
use crate::support::yandex::{FILE_MAX, PART, WIDTH, Yandex, small};

/// The size of a part, in bytes.
const P: usize = PART as usize;

fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

/// The names in a directory as a client that knows nothing yet sees them, in order.
async fn seen(yandex: &Yandex, directory: &str) -> Vec<String> {
    let mut names = names(&*yandex.client(), &path(directory)).await.unwrap();
    names.sort();
    names
}

/// What a client that knows nothing yet reads.
async fn fresh(yandex: &Yandex, name: &str) -> Result<Bytes> {
    content(&*yandex.client(), &path(name)).await
}

/// Uploads in the way that the size has.
async fn put(client: &YandexWiki, name: &str, bytes: &Bytes) -> Node {
    any(client, &path(name), bytes).await.unwrap()
}

async fn remove(client: &YandexWiki, name: &str) -> Result<()> {
    let node = client.stat(&path(name)).await?;
    client.remove(&path(name), &node).await
}

async fn rename(client: &YandexWiki, from: &str, to: &str) -> Result<Node> {
    let node = client.stat(&path(from)).await?;
    client.rename(&path(from), &node, &path(to)).await
}

/// Lets time pass for clients.
async fn pass(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

/// What is said as an errno.
fn errno<T: std::fmt::Debug>(answer: Result<T>) -> i32 {
    answer.unwrap_err().errno()
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Answer { when: When::Before, status, retry_after_s: None, body: body.to_owned() }
}
