//! What became of an upload whose answer was lost. The session says how far it is; whether it has become a file, the
//! newest attachments of the page say. Nothing is attached twice.

use std::time::Duration;

use super::Wiki;
use super::answers::{AttachmentDto, ResultsDto, Status, moment};
use super::upload::{OP, Open, read, receipt};
use crate::error::{Error, Kind, Result};
use crate::http::Method;
use crate::service::{Node, Progress, Receipt, SessionToken, Spec};

/// The newest attachments that are looked through: others may attach at the same time, not so many.
const NEWEST: &str = "100";
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
    pub(super) async fn probe_upload(&self, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        // Without a session there is nothing that could become a file.
        let Some((token, receipts)) = session else { return Ok(Progress::Gone) };
        let open = read(token)?;
        let status = self.session(&open.id).await?.map(|session| session.status());
        if status == Some(Status::Finished) {
            self.ended.put(&open.id, ());
        }
        match status {
            Some(Status::Open) => return Ok(Progress::Holds(receipts.to_vec())),
            // Only the answer to the end of the parts was lost: nothing has been attached.
            Some(Status::Finished) if self.is_unattached(&open) => return Ok(Progress::Holds(all_parts(&open))),
            None if self.is_unattached(&open) => return Ok(Progress::Gone),
            Some(Status::Gone) => return Ok(Progress::Gone),
            Some(Status::Finished | Status::Used) | None => {}
        }
        // What another process has asked for may be running from now on.
        let may_be_running = self.doubts.may_be_running(&open.id, open.size);
        Ok(match (self.look(&open).await?, status) {
            (Some(node), _) => Progress::Finished(node),
            (None, _) if may_be_running => Progress::Unknown,
            (None, Some(Status::Finished)) => Progress::Holds(all_parts(&open)),
            (None, _) => Progress::Gone,
        })
    }

    /// Whether it is certain that nobody has asked to attach the session without hearing an answer.
    fn is_unattached(&self, open: &Open) -> bool {
        self.begun.get(&open.id).is_some() && !self.doubts.is_noted(&open.id)
    }

    /// The file that `open` has become, if it has. A second one of the same session is removed.
    pub(super) async fn look(&self, open: &Open) -> Result<Option<Node>> {
        let mut made = Vec::new();
        for file in self.made_by(open).await? {
            // Of another size it is somebody else's, and none of our business.
            let size = self.exact_size(OP, &open.page, &file).await?;
            if size.is_none_or(|size| size == open.size) {
                made.push((file, size));
            }
        }
        if made.is_empty() {
            return Ok(None);
        }
        let (kept, _) = made.remove(0);
        let node = self.accept(open, kept).await?;
        for (echo, size) in made {
            if size == Some(open.size) {
                tracing::info!(name = open.name, "the wiki has attached the file twice; removing the second");
                self.delete_file(OP, &open.page, &echo.id).await?;
            }
        }
        Ok(Some(node))
    }

    /// Files that the session may have become, oldest first: of its name, its user and its size, not there before, and of
    /// no other upload of this mount.
    async fn made_by(&self, open: &Open) -> Result<Vec<AttachmentDto>> {
        let asked = self.api.exchange::<ResultsDto<AttachmentDto>>(|api| {
            api.call(OP, Method::Get, &["pages", &open.page, "attachments"]).query([
                ("order_by", "created_at"),
                ("order_direction", "desc"),
                ("page_size", NEWEST),
            ])
        });
        let newest = asked.await.map_err(|trouble| trouble.into_error(OP))?.results;
        let begun = open.created.as_deref().map(moment);
        let is_it = |file: &AttachmentDto| {
            let of_another = self.made.get(&file.id).is_some_and(|session| session != open.id);
            let is_later = begun.is_none_or(|begun| file.created_at.is_none() || file.created() >= begun);
            let of_user = open.user.is_none() || file.user().is_none() || file.user() == open.user.as_deref();
            let new = !open.there.contains(&file.id) && !of_another && is_later && of_user;
            file.name == open.name && new && file.may_have(open.size)
        };
        let mut made: Vec<AttachmentDto> = newest.into_iter().filter(is_it).collect();
        made.sort_by(|a, b| a.rank().cmp(&b.rank()));
        Ok(made)
    }

    /// Asks until it is known what became of a session whose end is in doubt; `error` if it never is.
    pub(super) async fn settle(&self, spec: &Spec, token: &SessionToken, mut error: Error) -> Result<Node> {
        for wait in WAITS {
            tokio::time::sleep(wait).await;
            match self.probe_upload(Some((token, &[]))).await {
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
