//! What became of an upload whose answer was lost. The session says how far it is; whether it has become a file, the
//! attachments of the page say. Nothing is attached twice. What another process has left is in `resume.rs`.

use std::time::Duration;

use super::Wiki;
use super::answers::{AttachmentDto, Status, moment};
use super::upload::{OP, Open, read, receipt};
use crate::error::{Error, Kind, Result};
use crate::service::{Node, Progress, Receipt, SessionToken, Spec};

/// The clocks of sessions and attachments may differ by so much.
const CLOCKS_APART: Duration = Duration::from_secs(300);
/// The waits between two questions, where nobody else asks them.
const WAITS: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(3),
    Duration::from_secs(3),
];

impl Wiki {
    /// What became of an upload in doubt.
    pub(super) async fn probe_upload(
        &self,
        spec: &Spec,
        session: Option<(&SessionToken, &[Receipt])>,
    ) -> Result<Progress> {
        let Some((token, receipts)) = session else { return self.probe_forgotten(spec).await };
        let open = read(token)?;
        let status = self.session(&open.id).await?.map(|session| session.status());
        if status == Some(Status::Finished) {
            self.ended.put(&open.id, ());
        }
        match status {
            Some(Status::Open) => return Ok(Progress::Holds(receipts.to_vec())),
            // Only the answer to the end of the parts was lost: nothing has been attached.
            Some(Status::Finished) if self.is_unattached(&open) => return Ok(Progress::Holds(all_parts(&open))),
            Some(Status::Gone) | None if self.is_unattached(&open) => return Ok(Progress::Gone),
            // Sessions that were used may be cleaned up.
            Some(Status::Finished | Status::Used | Status::Gone) | None => {}
        }
        // What another process has asked for may be running from now on.
        let may_be_running = self.doubts.may_be_running(&open.id, open.size);
        Ok(match (self.look_if_told(spec, &open, status).await?, status) {
            (Some(node), _) => Progress::Finished(node),
            (None, _) if may_be_running => Progress::Unknown,
            (None, Some(Status::Finished)) => self.end_doubt(&open).await?,
            (None, _) => Progress::Gone,
        })
    }

    /// Makes certain that a session is not attached any more by a request of which nothing was heard: what is given up
    /// cannot be. Where the wiki does not give it up, the time that has passed must do.
    async fn end_doubt(&self, open: &Open) -> Result<Progress> {
        let token = SessionToken { id: open.id.clone(), state: serde_json::Value::Null };
        self.abort_session(&token).await?;
        Ok(match self.session(&open.id).await?.map(|session| session.status()) {
            Some(Status::Finished) => Progress::Holds(all_parts(open)),
            // It was quicker.
            Some(Status::Used) => Progress::Unknown,
            _ => Progress::Gone,
        })
    }

    /// Whether it is certain that nobody has asked to attach the session without hearing an answer.
    pub(super) fn is_unattached(&self, open: &Open) -> bool {
        self.begun.get(&open.id).is_some() && !self.doubts.is_noted(&open.id)
    }

    /// The file that `open` has become, if it has. What was attached once more because an answer was lost is removed.
    pub(super) async fn look(&self, spec: &Spec, open: &Open) -> Result<Option<Node>> {
        let mut made = self.made_by(spec, open).await?;
        let times = self.asked.get(&open.id).unwrap_or(0);
        // Asked once, one of them is ours, and a reader finds the newest; more than once, the first is, and so are others.
        let kept = match times > 1 && !made.is_empty() {
            true => Some(made.remove(0)),
            false => made.pop(),
        };
        let Some(kept) = kept else { return Ok(None) };
        let node = self.accept(open, kept).await?;
        for echo in made.into_iter().take(usize::try_from(times.saturating_sub(1)).unwrap_or(0)) {
            tracing::info!(name = open.name, "the wiki has attached the file once more; removing the second");
            self.delete_file(OP, &open.page, &echo.id).await?;
        }
        Ok(Some(node))
    }

    /// Files that the session may have become, oldest first: of its name, its user and its size, not there before, and of
    /// no other upload of this mount. Where another process may have sent it, also of its content, if that is known.
    async fn made_by(&self, spec: &Spec, open: &Open) -> Result<Vec<AttachmentDto>> {
        let begun = open.created.as_deref().and_then(moment);
        let is_it = |file: &AttachmentDto| {
            let of_another = self.made.get(&file.id).is_some_and(|session| session != open.id);
            let is_earlier = begun.zip(file.created()).is_some_and(|(begun, created)| created + CLOCKS_APART < begun);
            let of_other_user = open.user.as_deref().zip(file.user()).is_some_and(|(ours, theirs)| ours != theirs);
            let is_new = !open.there.contains(&file.id) && !of_another && !is_earlier && !of_other_user;
            file.name == open.name && is_new && file.may_have(open.size)
        };
        let mut made = Vec::new();
        for file in self.ask_files(OP, &open.page).await?.into_iter().filter(is_it) {
            let is_right = self.exact_size(OP, &open.page, &file).await?.is_none_or(|size| size == open.size);
            if is_right && self.may_be_of(spec, open, &file).await? {
                made.push(file);
            }
        }
        made.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Ok(made)
    }

    /// Asks until it is known what became of a session whose end is in doubt; `error` if it never is.
    pub(super) async fn settle(&self, spec: &Spec, token: &SessionToken, mut error: Error) -> Result<Node> {
        for wait in WAITS {
            tokio::time::sleep(wait).await;
            match self.probe_upload(spec, Some((token, &[]))).await {
                Ok(Progress::Finished(node)) => return Ok(node),
                Ok(Progress::Holds(_)) => match self.finish_session(spec, token).await {
                    Err(again) if again.in_doubt() => error = again,
                    finished => return finished,
                },
                Ok(Progress::Gone) => return Err(error.kind(Kind::Server)),
                Ok(Progress::Unknown) => {}
                Err(unasked) => error = unasked,
            }
        }
        Err(error)
    }
}

/// Receipts for every part of a session that has them all.
fn all_parts(open: &Open) -> Vec<Receipt> {
    let step = usize::try_from(open.part_bytes.max(1)).unwrap_or(usize::MAX);
    let parts = (0..open.size).step_by(step).zip(0..);
    parts.map(|(at, index)| receipt(index, at..open.size.min(at.saturating_add(open.part_bytes)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(size: u64) -> Open {
        Open {
            id: "u".into(),
            page: "1".into(),
            name: "a".into(),
            size,
            part_bytes: 10,
            there: Vec::new(),
            replaces: None,
            created: None,
            user: None,
        }
    }

    #[test]
    fn a_finished_session_has_all_its_parts() {
        let ranges = |size| all_parts(&open(size)).into_iter().map(|part| (part.index, part.range)).collect::<Vec<_>>();
        assert_eq!(ranges(25), [(0, 0..10), (1, 10..20), (2, 20..25)]);
        assert_eq!(ranges(20), [(0, 0..10), (1, 10..20)]);
        assert_eq!(ranges(0), []);
    }
}
