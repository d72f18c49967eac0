//! Removing and moving a file when the answer is lost: whether it was done is seen by looking, and what was not done is
//! sent again. Neither can be done twice: the wiki refuses the second request, which is then looked into. It knows
//! nothing of uploads; `recover.rs` does.

use std::time::Duration;

use serde::de::IgnoredAny;
use tokio::time::sleep;

use super::MediaWiki;
use super::api::{Call, Trouble};
use crate::error::{Error, Result};
use crate::service::Node;

/// So often a change is sent. A program waits for it, so a network that loses every answer is not fought for long.
const SENDS_MAX: u32 = 3;
/// So often a look that brings no answer is repeated.
const LOOKS_MAX: u32 = 5;
/// The wait after the first look without an answer; it doubles: 3 s in all.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// A change of one file, which is `node` before it.
pub(super) enum Change<'a> {
    Remove { name: &'a str, node: &'a Node },
    Move { from: &'a str, to: &'a str, node: &'a Node },
}

/// What the wiki shows of a change.
enum Seen {
    /// It was made; the file, if there is one afterwards.
    Made(Option<Node>),
    /// It was not, or not yet.
    NotMade,
    /// Somebody else is at the same files: nothing follows from what is there.
    Unclear,
}

impl MediaWiki {
    /// Makes the change that `call` asks for; the file as it is then, if it was looked at.
    pub(super) async fn make(&self, call: Call, change: &Change<'_>) -> Result<Option<Node>, Trouble> {
        let mut answer = self.sessions.call::<IgnoredAny>(call.clone()).await;
        for _ in 1..SENDS_MAX {
            if !answer.as_ref().is_err_and(is_doubt) {
                break;
            }
            match self.look(call.op, change).await {
                Some(Seen::Made(node)) => return Ok(node),
                Some(Seen::NotMade) => {}
                Some(Seen::Unclear) | None => break,
            }
            answer = match self.sessions.call::<IgnoredAny>(call.clone()).await {
                // The first request was still under way, and what is refused is to do it twice.
                Err(Trouble::Refused(op, errors)) => match self.look(op, change).await {
                    Some(Seen::Made(node)) => return Ok(node),
                    _ => return Err(Trouble::Refused(op, errors)),
                },
                answer => answer,
            };
        }
        let in_doubt = answer.as_ref().is_err_and(is_doubt);
        if in_doubt || (answer.is_ok() && matches!(change, Change::Move { .. })) {
            // A move is over only when the file is seen: asking for it may not end in a second move.
            if let Some(Seen::Made(node)) = self.look(call.op, change).await {
                return Ok(node);
            }
        }
        answer.map(|_| None)
    }

    /// What became of the change; `None` when the wiki does not answer.
    async fn look(&self, op: &'static str, change: &Change<'_>) -> Option<Seen> {
        let mut pause = PAUSE_FIRST;
        for _ in 1..LOOKS_MAX {
            match self.seen(op, change).await {
                Ok(seen) => return Some(seen),
                Err(error) => tracing::debug!(op, %error, "no answer about a change; looking again"),
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.seen(op, change).await.ok()
    }

    async fn seen(&self, op: &'static str, change: &Change<'_>) -> Result<Seen> {
        let is_old = |now: &Node, node: &Node| now.version == node.version;
        match change {
            Change::Remove { name, node } => Ok(match self.find(op, name).await? {
                None => Seen::Made(None),
                Some(now) if is_old(&now, node) => Seen::NotMade,
                Some(_) => Seen::Unclear,
            }),
            Change::Move { from, to, node } => match self.find(op, from).await? {
                Some(now) if is_old(&now, node) => Ok(Seen::NotMade),
                Some(_) => Ok(Seen::Unclear),
                None => Ok(match self.find(op, to).await? {
                    Some(now) if is_old(&now, node) => Seen::Made(Some(now)),
                    _ => Seen::Unclear,
                }),
            },
        }
    }
}

fn is_doubt(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Other(error) if Error::in_doubt(error))
}
