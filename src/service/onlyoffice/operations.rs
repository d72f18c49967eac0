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
use super::answers::{DELETE, Id, MOVE, OperationDto};
use super::api::Api;
use super::codes::{Meaning, meaning};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;
use crate::service::NodeKind;
use crate::service::call::Call;

/// The first wait before an operation is asked about; it doubles.
const POLL_FIRST: Duration = Duration::from_millis(20);
/// The longest wait between two questions.
const POLL_MAX: Duration = Duration::from_secs(1);
/// The waits between looks at what an operation should have done.
const LOOKS: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// An operation takes no longer than this. Callers have their own, shorter deadlines.
const OVER_AFTER: Duration = Duration::from_secs(600);

/// An operation that is over, or of which nothing more is heard.
#[derive(Debug, Default)]
pub(super) struct Over {
    /// What the portal had against it, if it said so.
    complaint: Option<String>,
    /// Whether the answer to the request was lost: it may still be running.
    in_doubt: bool,
}

impl Over {
    fn note(&mut self, operation: OperationDto, running: &mut Vec<Id>) {
        if operation.finished {
            self.complaint = self.complaint.take().or(operation.error.filter(|error| !error.is_empty()));
        } else {
            running.push(operation.id);
        }
    }

    /// How long to look for what it should have done: it may go on for a moment after it is told to be over, and when its
    /// beginning was in doubt, after that.
    pub(super) fn looks(&self) -> &'static [Duration] {
        match (&self.complaint, self.in_doubt) {
            (Some(_), _) => &[],
            (None, false) => &LOOKS[..2],
            (None, true) => &LOOKS,
        }
    }

    /// Why it was not done, when a look shows that it was not.
    pub(super) fn into_error(self, op: &'static str) -> Error {
        let Some(complaint) = self.complaint else {
            let error = Error::new(Kind::Server, op, "the portal took the request, and did nothing");
            return if self.in_doubt { error.retry(Retry::AskFirst) } else { error };
        };
        let kind = match meaning(&complaint) {
            Some(Meaning::Kind(Kind::Denied)) | None => Kind::Refused,
            Some(Meaning::Kind(kind)) => kind,
            Some(_) => Kind::Refused,
        };
        Error::new(kind, op, format!("the portal says: {complaint}"))
    }
}

impl Onlyoffice {
    /// Has the portal throw an entry into its trash.
    ///
    /// # Errors
    /// What the portal has against it at once; then nothing was done.
    pub(super) async fn throw_away(&self, op: &'static str, kind: NodeKind, id: &Id) -> Result<Over> {
        let body = json!({
            "fileIds": ids(kind, NodeKind::File, id),
            "folderIds": ids(kind, NodeKind::Directory, id),
            // "Delete after" would keep the portal from telling that it is done.
            "deleteAfter": false,
            "immediately": false,
            "returnSingleOperation": true,
        });
        let call = |api: &Api| api.call(op, Method::Put, &["files", "fileops", "delete"]).json(&body);
        self.operate(op, DELETE, call).await
    }

    /// Has the portal move an entry into another folder, where nothing may have its title.
    ///
    /// # Errors
    /// As [`Onlyoffice::throw_away`].
    pub(super) async fn carry(&self, op: &'static str, kind: NodeKind, id: &Id, folder: &Id) -> Result<Over> {
        let body = json!({
            "fileIds": ids(kind, NodeKind::File, id),
            "folderIds": ids(kind, NodeKind::Directory, id),
            "destFolderId": folder.to_json(),
            // What stands in the way stays, and so does the entry: nothing is overwritten by surprise.
            "conflictResolveType": 0,
            "deleteAfter": false,
            "returnSingleOperation": true,
        });
        self.operate(op, MOVE, |api| api.call(op, Method::Put, &["files", "fileops", "move"]).json(&body)).await
    }

    async fn operate(&self, op: &'static str, kind: i64, call: impl Fn(&Api) -> Call) -> Result<Over> {
        let _turn = self.operating.acquire().await.expect("the turn is never closed");
        let started = self.sessions.call::<Value>(call).await;
        let operations = match started.map_err(|trouble| trouble.into_error(op)) {
            Ok(started) => read(started),
            // It may be running; the list would not say which one it is.
            Err(error) if error.in_doubt() => return Ok(Over { complaint: None, in_doubt: true }),
            Err(error) => return Err(error),
        };
        let is_ours = |operation: &OperationDto| operation.operation.is_none_or(|number| number == kind);
        let (mut over, mut running) = (Over::default(), Vec::new());
        for operation in operations.into_iter().filter(is_ours) {
            over.note(operation, &mut running);
        }
        let (deadline, mut wait) = (Instant::now() + OVER_AFTER, POLL_FIRST);
        while !running.is_empty() && Instant::now() < deadline {
            sleep(wait).await;
            wait = (wait * 2).min(POLL_MAX);
            // A question that fails is asked again: the operation goes on meanwhile.
            let Ok(listed) = self.poll(op, &running).await else { continue };
            let ours = std::mem::take(&mut running);
            for operation in listed.into_iter().filter(|operation| ours.contains(&operation.id)) {
                over.note(operation, &mut running);
            }
        }
        Ok(over)
    }

    /// The operations that are listed. One alone is asked for by its id where that can be done, so that the reports of
    /// others stay for them.
    async fn poll(&self, op: &'static str, running: &[Id]) -> Result<Vec<OperationDto>> {
        let community = self.site().version.generation().is_community();
        let asked = self.sessions.call::<Value>(|api| {
            let call = api.call(op, Method::Get, &["files", "fileops"]);
            match running {
                [one] if !community => call.query([("id", one.as_str())]),
                _ => call,
            }
        });
        let listed = asked.await.map(read).map_err(|trouble| trouble.into_error(op))?;
        if listed.is_empty() {
            // Whoever is not signed in is told that there is nothing.
            self.sessions.confirm().await?;
        }
        Ok(listed)
    }
}

/// The list of ids for entries of the kind `wanted`.
fn ids(kind: NodeKind, wanted: NodeKind, id: &Id) -> Vec<Value> {
    if kind == wanted { vec![id.to_json()] } else { Vec::new() }
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
        let kind = |complaint: Option<&str>| {
            Over { complaint: complaint.map(str::to_owned), in_doubt: false }.into_error("remove").kind
        };
        assert_eq!(kind(Some("The file is currently locked by another user")), Kind::Busy);
        assert_eq!(kind(Some("You don't have enough permission to delete the file")), Kind::Refused);
        assert_eq!(kind(Some("Die Datei ist gesperrt")), Kind::Refused);
        assert_eq!(kind(None), Kind::Server);
    }
}
