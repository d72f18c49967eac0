//! What the upload machine asks for, done: one tracked task per request, the answers fed back. Before a request leaves
//! that another process must know of, it is in the journal.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::driver::Core;
use super::machine::{Action, Event};
use super::plan::Cut;
use super::source::Outgoing;
use super::{AGE, Upload};
use crate::error::{Error, Kind, Result, Retry};
use crate::service::{Content, Part, Payload, Progress, Receipt, SessionToken, Spec};
use crate::spool::Record;

impl Upload {
    /// Starts the task of one action.
    pub(super) fn start(self: &Arc<Self>, core: &mut Core, action: Action) {
        match action {
            Action::Begin { size, first } => {
                core.outgoing = None;
                let sent = first.clone();
                let first = first.map(|cut| self.part(core, cut));
                self.spawn(async move |upload| {
                    let spec = upload.spec(size);
                    let result = upload.uploads.service().begin(&spec, first).await;
                    if let Ok(begun) = &result {
                        upload.core().begun_at = spec.path.clone();
                        let (token, path) = (begun.token.clone(), spec.path);
                        let session = Record::Session { token, total: size, path };
                        let sent = sent.map(|cut| Record::Sent(cut.into()));
                        let held = begun.receipt.clone().map(Record::Held);
                        upload.note_lightly([Some(session), sent, held].into_iter().flatten().collect()).await;
                    }
                    Event::Began { result }
                });
            }
            Action::Put { token, cut } => {
                let (index, sent) = (cut.index, Record::Sent(cut.clone().into()));
                let part = self.part(core, cut);
                self.spawn(async move |upload| {
                    let spec = upload.spec(part.last.then_some(part.payload.range().end));
                    upload.note_lightly(vec![sent]).await;
                    let result = upload.uploads.service().put(&spec, &token, part).await;
                    if let Ok(receipt) = &result {
                        upload.note_lightly(vec![Record::Held(receipt.clone())]).await;
                    }
                    Event::Put { index, result }
                });
            }
            Action::Finish { token, receipts, size } => {
                self.source.mark_complete();
                let outgoing = self.outgoing(core);
                self.uploads.spawn(self.clone().finish(token, receipts, size, outgoing));
            }
            Action::Whole { size } => {
                self.source.mark_complete();
                core.outgoing = None;
                let payload = Payload::new(self.outgoing(core), 0..size);
                self.uploads.spawn(self.clone().whole(payload, size));
            }
            Action::Probe { session } => {
                let asked = core.asked.clone();
                let sha1 = self.outgoing(core).sha1_to(core.machine.size());
                let known = sha1.map(|_| core.machine.size());
                self.spawn(async move |upload| {
                    let spec = asked.unwrap_or_else(|| Spec { sha1, ..upload.spec(known) });
                    let session = session.as_ref().map(|(token, receipts)| (token, receipts.as_slice()));
                    let spec = upload.recognisable(spec).await;
                    let result = upload.uploads.service().probe(&spec, session).await;
                    if matches!(result, Ok(Progress::Unknown)) {
                        // Work on the other side is progress too: whoever waits in a close goes on waiting.
                        upload.progress.fetch_add(1, Ordering::Relaxed);
                    }
                    Event::Probed { result }
                });
            }
            Action::Abort { token } => self.abandon(token),
            Action::Age => self.after(AGE, Event::Aged),
            Action::Wait { delay } => self.after(self.uploads.jitter(delay), Event::Again),
            Action::Committed { .. } | Action::Failed { .. } => unreachable!("handled under the lock"),
        }
    }

    /// Gives a session up.
    pub(super) fn abandon(self: &Arc<Self>, token: SessionToken) {
        let upload = self.clone();
        self.uploads.spawn(async move {
            upload.note_lightly(vec![Record::Abandoned]).await;
            if let Err(error) = upload.uploads.service().abort(&token).await {
                let path = upload.place.get();
                tracing::warn!(%path, %error, "an abandoned upload session is left to the service");
            }
        });
    }

    /// The commit itself: nobody renames or removes the file meanwhile.
    async fn finish(self: Arc<Self>, token: SessionToken, receipts: Vec<Receipt>, size: u64, outgoing: Arc<Outgoing>) {
        let sha1 = outgoing.sha1_of(size).await;
        let _settled = self.place.hold().await;
        if self.core().machine.is_doomed() || self.core().machine.is_discarded() {
            return self.event(Event::Finished { result: Err(overtaken()) });
        }
        let result = match sha1 {
            Ok(sha1) => {
                let spec = Spec { sha1, ..self.spec(Some(size)) };
                match self.ask(&spec).await {
                    Ok(()) => self.uploads.service().finish(&spec, &token, &receipts).await,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        self.forget_asked(&result).await;
        self.event(Event::Finished { result });
    }

    /// What another process asked for can be recognised by its content only: this one has none of its memories. Without
    /// the content (the service's older version that it rests on is gone) the service is asked all the same.
    async fn recognisable(&self, spec: Spec) -> Spec {
        let (Some(size), None, true) = (spec.size, spec.sha1, self.core().resumed) else { return spec };
        let content = Outgoing::new(self.source.clone(), self.progress.clone(), true);
        let sha1 = content.sha1_of(size).await.unwrap_or_else(|error| {
            tracing::debug!(path = %spec.path, %error, "asked about without a checksum");
            None
        });
        Spec { sha1, ..spec }
    }

    /// From here on the service may have the file: whoever goes on with it must ask first.
    async fn ask(&self, spec: &Spec) -> Result<()> {
        self.core().asked = Some(spec.clone());
        self.note(vec![Record::Asked(spec.clone())], true).await
    }

    async fn whole(self: Arc<Self>, payload: Payload, size: u64) {
        let _settled = self.place.hold().await;
        if self.core().machine.is_discarded() {
            return self.event(Event::Finished { result: Err(overtaken()) });
        }
        let spec = self.spec(Some(size));
        let result = match self.ask(&spec).await {
            Ok(()) => self.uploads.service().put_whole(&spec, payload.clone()).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.core().asked = Some(Spec { sha1: payload.sha1_to_end(), ..spec });
        }
        self.forget_asked(&result).await;
        self.event(Event::Finished { result });
    }

    /// A definite answer leaves nothing to ask about.
    async fn forget_asked<T>(&self, result: &Result<T>) {
        if result.as_ref().is_err_and(Error::in_doubt) {
            return;
        }
        self.core().asked = None;
        if result.is_err() {
            self.note_lightly(vec![Record::Refused]).await;
        }
    }

    /// The bytes on their way for the session under way, or for the one that begins.
    fn outgoing(&self, core: &mut Core) -> Arc<Outgoing> {
        let new = || {
            let wants_sha1 = self.uploads.service().capability().sha1;
            Arc::new(Outgoing::new(self.source.clone(), self.progress.clone(), wants_sha1))
        };
        core.outgoing.get_or_insert_with(new).clone()
    }

    fn part(&self, core: &mut Core, cut: Cut) -> Part {
        let range: Range<u64> = cut.range;
        Part { index: cut.index, payload: Payload::new(self.outgoing(core), range), last: cut.last }
    }

    fn spec(&self, size: Option<u64>) -> Spec {
        Spec { path: self.place.get(), size, sha1: None, replaces: self.source.node() }
    }

    /// Feeds `event` back after a while. Nobody waits for a timer at the end of a mount.
    fn after(self: &Arc<Self>, delay: Duration, event: Event) {
        let upload = self.clone();
        self.uploads.spawn_behind(async move {
            tokio::time::sleep(delay).await;
            upload.event(event);
        });
    }

    /// A tracked task whose event is fed back.
    fn spawn<F>(self: &Arc<Self>, work: impl FnOnce(Arc<Upload>) -> F)
    where
        F: Future<Output = Event> + Send + 'static,
    {
        let (upload, work) = (self.clone(), work(self.clone()));
        self.uploads.spawn(async move {
            let event = work.await;
            upload.event(event);
        });
    }
}

/// The file was removed, or renamed under a session that has the old name, while its commit waited for that.
fn overtaken() -> Error {
    let error = Error::new(Kind::Conflict, "upload", "the file was renamed or removed while it was being sent");
    error.retry(Retry::After(Duration::ZERO))
}
