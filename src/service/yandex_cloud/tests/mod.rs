//! The client against a small cloud in this process: what is on the wire, and what a real service cannot be made to say.

mod account;
mod doubt;
mod entries;
mod fake;
mod life;
mod moves;
mod open_ai;
mod reading;
mod upload;

use std::time::SystemTime;

use serde_json::json;

use self::fake::{Act, Fake, Seen, refuse};
use super::*;
use crate::error::Retry;
use crate::service::NodeKind;

fn path(text: &str) -> RemotePath {
    RemotePath::parse(text).unwrap()
}

fn spec(at: &str, size: usize) -> Spec {
    Spec { path: path(at), size: Some(size as u64), sha1: None, replaces: None }
}

fn bytes(len: usize) -> Bytes {
    (0..len).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect::<Vec<u8>>().into()
}

async fn put(fake: &Fake, at: &str, content: &Bytes) -> Result<Node> {
    fake.cloud.put_whole(&spec(at, content.len()), Payload::from_bytes(content.clone(), 0)).await
}

async fn content(fake: &Fake, at: &str) -> Bytes {
    let node = fake.cloud.stat(&path(at)).await.unwrap();
    fake.cloud.read(&path(at), &node, 0..node.size).await.unwrap()
}

async fn names(fake: &Fake, at: &str) -> Vec<String> {
    let page = fake.cloud.list(&path(at), None).await.unwrap();
    page.nodes.into_iter().map(|node| node.name).collect()
}
