//! The way of a file to the service after its program has been answered from local disk (`--close=local`), and of what an
//! earlier process left. Nobody waits for it, so that it has time: what may pass is tried again for as long as the mount
//! lives, and by the next one; what will not is parked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Close, File};
use crate::error::{Error, Kind, Result};
use crate::service::Node;
use crate::spool::Fate;
use crate::upload::Upload;
use crate::upload::machine::Outcome;

/// The pause after the first time that all tries of an upload were in vain; it doubles.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// The longest pause. A service that comes back is noticed by the first upload that succeeds, which wakes all others.
const PAUSE_MAX: Duration = Duration::from_secs(30);

impl File {
    /// The sticky failure that a program hears of. With [`Close::Local`] none of them waits for the service: what may pass
    /// is forgotten here, and tried again once the file is complete.
    pub(super) fn failure(&self) -> Option<Error> {
        let upload = self.upload();
        let error = upload.failure()?;
        if self.files.config.close == Close::Local && may_pass(error.kind) {
            upload.reopen();
            return None;
        }
        Some(error)
    }

    /// Brings `upload`, which was saved as complete, to the service; in a task that the end of the mount waits for.
    pub(super) fn publish(self: &Arc<Self>, upload: Arc<Upload>) {
        let file = self.clone();
        self.files.uploads.spawn(async move { file.publish_now(upload).await });
    }

    async fn publish_now(self: Arc<Self>, upload: Arc<Upload>) {
        let uploads = self.files.uploads.clone();
        let mut pause = PAUSE_FIRST;
        loop {
            if !self.until_first(&upload).await {
                return;
            }
            if upload.is_over() {
                break;
            }
            tracing::debug!(path = %self.place.get(), "it is its turn");
            let result = {
                let Some(_slot) = uploads.slot().await else { return self.leave_waiting() };
                // In a box that is made only now: a hundred thousand of them may wait.
                Box::pin(self.try_now(&upload)).await
            };
            match result {
                Ok(outcome) => {
                    uploads.wake();
                    if let Some(node) = outcome.node.filter(|_| upload.is_unwanted()) {
                        self.remove_after_all(&node).await;
                    }
                    break;
                }
                Err(error) if may_pass(error.kind) || upload.is_discarded() => {
                    tracing::info!(path = %self.place.get(), %error, ?pause, "it is tried again");
                    if error.kind.is_silence() {
                        self.doubt_base();
                    }
                    if !uploads.pause(pause).await {
                        return self.leave_waiting();
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                    upload.reopen();
                }
                Err(error) => {
                    self.keep_back(&upload, error).await;
                    break;
                }
            }
        }
        if upload.is_over()
            && let Err(error) = upload.forget_saved().await
        {
            tracing::warn!(path = %self.place.get(), %error, "the next mount finds an old version of it, too");
        }
        tracing::debug!(path = %self.place.get(), over = upload.is_over(), "it has had its turn");
        self.settle_generations();
    }

    async fn try_now(&self, upload: &Arc<Upload>) -> Result<Outcome> {
        if self.base_in_doubt.load(Ordering::Acquire) {
            self.look_again(upload).await;
        }
        let commit = upload.begin_commit();
        upload.end_commit(commit, self.files.config.close_deadline).await
    }

    /// The file was removed while nobody knew whether the service had it; it has.
    async fn remove_after_all(&self, node: &Node) {
        let (path, service) = (self.place.get(), self.files.uploads.service());
        // By now the name may be that of another file.
        let is_it = |there: Node| (there.id, there.version) == (node.id.clone(), node.version.clone());
        if !service.stat(&path).await.is_ok_and(is_it) {
            return;
        }
        if let Err(error) = service.remove(&path, node).await {
            tracing::error!(%path, %error, "it was removed here, and is on the service after all");
        }
    }

    /// The file waits for a person from now on, also at the next mount.
    pub(super) async fn keep_back(self: &Arc<Self>, upload: &Arc<Upload>, error: Error) {
        if Arc::ptr_eq(upload, &self.upload()) {
            self.state().parked = Some(error.clone());
        }
        let fate = Fate::Parked((&error).into());
        if let Err(error) = upload.save(fate, self.written_at()).await {
            tracing::error!(path = %self.place.get(), %error, "it is kept in memory only, until the unmount");
        }
        self.settle_generations();
    }
}

/// Whether the same upload may succeed later without anybody doing anything about the file.
pub(super) fn may_pass(kind: Kind) -> bool {
    match kind {
        Kind::Unreachable | Kind::Timeout | Kind::Server | Kind::Throttled | Kind::Busy => true,
        // A page of somebody else instead of an answer: a proxy, a portal that wants a login for the network.
        Kind::Protocol => true,
        // About the account or the local disk, not about the file: somebody will see to it for all files.
        Kind::SignedOut | Kind::Spool | Kind::SpoolFull => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_about_the_file_may_pass() {
        assert!([Kind::Unreachable, Kind::Timeout, Kind::SignedOut, Kind::SpoolFull].into_iter().all(may_pass));
        assert!(![Kind::Denied, Kind::TooLarge, Kind::BadName, Kind::Quota, Kind::Refused].into_iter().any(may_pass));
    }
}
