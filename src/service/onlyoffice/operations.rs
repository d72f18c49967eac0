//! Operations that go on after their request: moving and throwing away. Asked for, then polled to their end.
//!
//! A portal reports a finished operation once and forgets it, to whoever of the same user asks first. One that is not in
//! the list is over, with a result nobody knows. So the list only says *when* to look; whether it was done is seen by
//! looking at the entry, which is the caller's part, and the words of an operation only explain why it was not.
//!
//! One operation of a mount at a time: otherwise they would use up each other's reports.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Onlyoffice;
use super::answers::{Id, OperationDto};
use super::api::{Api, Call};
use super::codes::{Meaning, meaning};
use crate::error::{Error, Kind, Result};
use crate::http::Method;
use crate::service::NodeKind;

/// The first wait before an operation is asked about; it doubles.
const POLL_FIRST: Duration = Duration::from_millis(20);
/// The longest wait between two questions.
const POLL_MAX: Duration = Duration::from_secs(1);
/// An operation takes no longer than this. Callers have their own, shorter deadlines.
const OVER_AFTER: Duration = Duration::from_secs(600);

/// An operation that is over.
#[derive(Debug)]
pub(super) struct Over {
    /// What the portal had against it, if it said so.
    complaint: Option<String>,
}

impl Over {
    /// Why it was not done, when a look shows that it was not.
    pub(super) fn into_error(self, op: &'static str) -> Error {
        let Some(complaint) = self.complaint else {
            return Error::new(Kind::Server, op, "the portal took the request, and did nothing");
        };
        let kind = match meaning(&complaint) {
            Some(Meaning::Kind(kind)) => kind,
            _ => Kind::Refused,
        };
        Error::new(kind, op, format!("the portal says: {complaint}"))
    }
}

impl Onlyoffice {
    /// Has the portal throw an entry into its trash.
    ///
    /// # Errors
    /// What the portal has against it at once.
    pub(super) async fn throw_away(&self, op: &'static str, kind: NodeKind, id: &Id) -> Result<Over> {
        let part = if kind == NodeKind::File { "file" } else { "folder" };
        // "Delete after" would keep the portal from telling that it is done.
        let body = json!({"deleteAfter": false, "immediately": false});
        self.operate(op, |api| api.call(op, Method::Delete, &["files", part, id.as_str()]).json(&body)).await
    }

    /// Has the portal move an entry into another folder, where nothing may have its title.
    ///
    /// # Errors
    /// As [`Onlyoffice::throw_away`].
    pub(super) async fn carry(&self, op: &'static str, kind: NodeKind, id: &Id, folder: &Id) -> Result<Over> {
        let ids = |wanted| if kind == wanted { vec![id.to_json()] } else { Vec::new() };
        let body = json!({
            "fileIds": ids(NodeKind::File),
            "folderIds": ids(NodeKind::Directory),
            "destFolderId": folder.to_json(),
            // What stands in the way stays, and so does the entry: nothing is overwritten by surprise.
            "conflictResolveType": 0,
            "deleteAfter": false,
            "returnSingleOperation": true,
        });
        self.operate(op, |api| api.call(op, Method::Put, &["files", "fileops", "move"]).json(&body)).await
    }

    async fn operate(&self, op: &'static str, call: impl Fn(&Api) -> Call) -> Result<Over> {
        let _turn = self.operating.acquire().await.expect("the turn is never closed");
        let started = self.sessions.call::<Value>(call).await;
        let mut operations = read(started.map_err(|trouble| trouble.into_error(op))?);
        // All of this user that are not over; other clients' are waited for as well, because nothing tells them apart.
        let mut complaint = None;
        let mut running: Vec<Id> = Vec::new();
        let (deadline, mut wait) = (Instant::now() + OVER_AFTER, POLL_FIRST);
        loop {
            let first = running.is_empty();
            let mut still = Vec::new();
            for operation in operations.into_iter().filter(|one| first || running.contains(&one.id)) {
                match operation.finished {
                    true => complaint = complaint.or(operation.error.filter(|error| !error.is_empty())),
                    false => still.push(operation.id),
                }
            }
            running = still;
            if running.is_empty() {
                return Ok(Over { complaint });
            }
            if Instant::now() > deadline {
                return Err(Error::new(Kind::Timeout, op, "the portal does not come to an end with it"));
            }
            sleep(wait).await;
            wait = (wait * 2).min(POLL_MAX);
            let listed = self.sessions.call::<Value>(|api| api.call(op, Method::Get, &["files", "fileops"])).await;
            operations = read(listed.map_err(|trouble| trouble.into_error(op))?);
        }
    }
}

/// The operations of an answer, which is a list of them or a single one.
fn read(answer: Value) -> Vec<OperationDto> {
    let one_by_one = match answer {
        Value::Array(operations) => operations,
        other => vec![other],
    };
    one_by_one.into_iter().filter_map(|operation| serde_json::from_value(operation).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_list_or_one() {
        let one = json!({"id": "ab", "Operation": 2, "progress": 100, "error": "", "finished": true});
        assert_eq!(read(one.clone()).len(), 1);
        assert_eq!(read(json!([one, {"id": 7, "finished": false}])).len(), 2);
        assert_eq!(read(Value::Null).len(), 0);
    }

    #[test]
    fn a_complaint_is_understood_as_far_as_it_can_be() {
        let kind = |complaint: Option<&str>| Over { complaint: complaint.map(str::to_owned) }.into_error("remove").kind;
        assert_eq!(kind(Some("The file is currently locked by another user")), Kind::Busy);
        assert_eq!(kind(Some("You don't have enough permission to delete the file")), Kind::Denied);
        assert_eq!(kind(Some("Die Datei ist gesperrt")), Kind::Refused);
        assert_eq!(kind(None), Kind::Server);
    }
}
