//! What became of an upload whose last answer was lost. Everything here only looks.
//!
//! The server goes on working after a client or a gateway has given up, and says nothing about it: while it assembles or
//! publishes, its state looks as if the request had never come. So "not there" is believed only after the time such work
//! can take (`service/doubts.rs`); until then the answer is [`Progress::Unknown`]. What *is* there is believed at once, by size and
//! SHA-1: the bytes count, not the road they came by.
//!
//! A direct upload in doubt is treated alike, but only while this process remembers the doubt. Sending it again while the
//! first one still runs would not harm the file: the second is refused as an exact duplicate, unless the two meet within
//! the same second. After a restart that second is over.
//!
//! **Another process** finds out all the same: keys belong to the account, the stash tells how far each has come, and every
//! content has its SHA-1, in the stash and under its name. Without a SHA-1 nothing is recognised; what is sent again then is
//! refused as an exact duplicate, and makes no second version. What is lost with the process is when a doubt began, so that
//! the time in which the server may be at work is waited once more, and which limits and chunk boundaries were refused.

use std::time::Duration;

use super::MediaWiki;
use super::answers::{ApiError, Image, Query, Stash, StashImages, Stashed, Upload, UploadAnswer};
use super::api::{Call, Nature, Trouble};
use super::codes;
use super::upload::{Wanted, assembled, came_through_queue, whole_doubt, work_within};
use crate::error::{Error, Kind, Result};
use crate::service::{Node, Progress, Receipt, SessionToken, Spec};

/// The operation, in errors.
const OP: &str = "recover";
/// The size that is assumed of a file when neither we nor the wiki know one.
const FILE_MAX: u64 = 8 << 30;
/// The most pages of stashed files that are read; 500 to 5000 each.
const PAGES_MAX: usize = 40;

impl MediaWiki {
    /// Finds out what the server holds.
    pub(super) async fn settle(&self, spec: &Spec, session: Option<(&SessionToken, &[Receipt])>) -> Result<Progress> {
        // The names of the wiki must be known to look for one.
        self.connect().await?;
        let all_sent = spec.size.map(|size| Wanted { size, sha1: spec.sha1 });
        let Some((token, receipts)) = session else {
            return match all_sent {
                Some(wanted) => self.settle_whole(spec, wanted).await,
                // A lost answer to the first chunk: at most an orphan in the stash, under a key nobody knows.
                None => Ok(Progress::Gone),
            };
        };
        if let Some((key, sha1)) = assembled(receipts) {
            let size = receipts.iter().map(|receipt| receipt.range.end).max().unwrap_or(0);
            let wanted = Wanted { size: spec.size.unwrap_or(size), sha1: spec.sha1.or(sha1) };
            return self.settle_publication(spec, key, wanted, receipts).await;
        }
        match all_sent.filter(|wanted| wanted.sha1.is_some()) {
            Some(wanted) => self.settle_assembly(spec, token, wanted).await,
            None => self.settle_chunk(token).await,
        }
    }

    /// A direct upload, or a first chunk that was also the last.
    async fn settle_whole(&self, spec: &Spec, wanted: Wanted) -> Result<Progress> {
        let doubt = whole_doubt(&self.canonical(spec), wanted.size);
        if let Some(node) = self.matching(OP, spec, wanted).await? {
            return Ok(self.finished(&doubt, node));
        }
        Ok(if self.doubts.is_fresh(&doubt, wanted.size) { Progress::Unknown } else { Progress::Gone })
    }

    /// A publication: the file is there, or its key still is, or the server is between the two.
    async fn settle_publication(
        &self,
        spec: &Spec,
        key: &str,
        wanted: Wanted,
        receipts: &[Receipt],
    ) -> Result<Progress> {
        if (self.jobs.has(key) || came_through_queue(receipts))
            && let Some(progress) = self.settle_queued_publication(spec, key, wanted).await?
        {
            return Ok(progress);
        }
        if let Some(node) = self.matching(OP, spec, wanted).await? {
            return Ok(self.finished(key, node));
        }
        if self.stashed().await?.iter().any(|stashed| stashed.filekey == key) {
            // The key stays listed while its publication runs. Of two publications of one key the server lets one win, so
            // after a restart nobody needs to wait.
            return Ok(match self.doubts.is_fresh(key, wanted.size) {
                true => Progress::Unknown,
                false => Progress::Holds(receipts.to_vec()),
            });
        }
        // It may have been published between the two looks.
        match self.matching(OP, spec, wanted).await? {
            Some(node) => Ok(self.finished(key, node)),
            None => Ok(self.unless_running(key, wanted)),
        }
    }

    fn finished(&self, doubt: &str, node: Node) -> Progress {
        self.doubts.settled(doubt);
        Progress::Finished(node)
    }

    /// A last chunk: the assembled file has a new key, which only its content tells.
    async fn settle_assembly(&self, spec: &Spec, token: &SessionToken, wanted: Wanted) -> Result<Progress> {
        if self.jobs.has(&token.id)
            && let Some(progress) = self.settle_queued_assembly(token, wanted).await?
        {
            return Ok(progress);
        }
        let stash = self.stashed().await?;
        let same_size = |stashed: &&Stashed| stashed.status == "finished" && stashed.size == Some(wanted.size);
        // The newest is listed last.
        for candidate in stash.iter().rev().filter(same_size) {
            if self.stashed_image(&candidate.filekey).await?.is_some_and(|image| wanted.is(&image)) {
                self.doubts.settled(&token.id);
                return Ok(Progress::Holds(vec![whole_receipt(&candidate.filekey, wanted, false)]));
            }
        }
        if self.doubts.may_be_running(&token.id, wanted.size) {
            return Ok(Progress::Unknown);
        }
        if stash.iter().any(|stashed| stashed.filekey == token.id) {
            return self.settle_chunk(token).await;
        }
        // Nothing in the stash: it was published before, or it is lost.
        Ok(match self.matching(OP, spec, wanted).await? {
            Some(node) => Progress::Finished(node),
            None => Progress::Gone,
        })
    }

    /// A chunk in the middle: the server tells which byte it wants.
    async fn settle_chunk(&self, token: &SessionToken) -> Result<Progress> {
        let upload = match self.status(&token.id).await? {
            Ok(upload) => upload,
            Err(errors) if is_dead(&errors) => return Ok(Progress::Gone),
            Err(errors) => return Err(codes::error(OP, &errors)),
        };
        match (upload.result.as_str(), upload.offset) {
            // The progress outlives the data: after a clean-up of the stash it still says Continue.
            ("Continue", Some(_)) if !self.stashed().await?.iter().any(|stashed| stashed.filekey == token.id) => {
                Ok(Progress::Gone)
            }
            ("Continue", Some(offset)) => {
                let state = serde_json::Value::Null;
                Ok(Progress::Holds(vec![Receipt { index: 0, range: 0..offset, state }]))
            }
            // Left to the wiki's job queue, before this process knew of it.
            ("Poll", _) => {
                self.jobs.queued(&token.id);
                // How large it is, nobody knows here: longer than for the largest file it is not waited for.
                Ok(self.waiting(&token.id, &upload, self.site().file_max.min(FILE_MAX)).unwrap_or(Progress::Gone))
            }
            ("Success", _) => match (upload.filekey, upload.imageinfo) {
                (Some(key), Some(Image { size: Some(size), sha1, .. })) => {
                    let wanted = Wanted { size, sha1: crate::service::Sha1Digest::from_hex(&sha1) };
                    Ok(Progress::Holds(vec![whole_receipt(&key, wanted, true)]))
                }
                _ => Ok(Progress::Gone),
            },
            (other, _) => Err(Error::new(Kind::Protocol, OP, format!("the wiki answers {other:?} about an upload"))),
        }
    }

    /// An assembly that was left to the job queue; `None` when the queue no longer knows of it.
    async fn settle_queued_assembly(&self, token: &SessionToken, wanted: Wanted) -> Result<Option<Progress>> {
        let upload = match self.status(&token.id).await? {
            Ok(upload) if upload.is_queued() => {
                let waiting = self.waiting(&token.id, &upload, wanted.size);
                if waiting.is_none() {
                    self.jobs.give_up(&token.id);
                }
                return Ok(Some(waiting.unwrap_or(Progress::Gone)));
            }
            Ok(upload) => upload,
            Err(errors) => {
                self.jobs.done(&token.id);
                let error = codes::error(OP, &errors);
                return if error.in_doubt() { Ok(None) } else { Err(error) };
            }
        };
        self.jobs.done(&token.id);
        match (upload.result.as_str(), upload.filekey, upload.imageinfo) {
            ("Success", Some(key), Some(image)) if wanted.is(&image) => {
                Ok(Some(Progress::Holds(vec![whole_receipt(&key, wanted, true)])))
            }
            _ => Ok(None),
        }
    }

    /// A publication that was left to the job queue; `None` when the queue no longer knows of it.
    async fn settle_queued_publication(&self, spec: &Spec, key: &str, wanted: Wanted) -> Result<Option<Progress>> {
        let refused = match self.status(key).await? {
            Ok(upload) if upload.is_queued() => {
                self.jobs.queued(key);
                let waiting = self.waiting(key, &upload, wanted.size);
                if waiting.is_none() {
                    self.jobs.publishes_late();
                }
                // Given up, it might begin after all, and put this version over a newer one: better to be told.
                let late = "the wiki's job queue has not published the file; it may still do so";
                let hint = "save it under another name, and ask the wiki's administrator whether jobs are run";
                return waiting.map(Some).ok_or_else(|| Error::new(Kind::Timeout, OP, late).hint(hint));
            }
            Ok(upload) if upload.result == "Success" => {
                self.jobs.done(key);
                // As it was published; another client may have made a newer version since.
                let name = upload.filename.unwrap_or_default();
                let image = upload.imageinfo.filter(|image| wanted.sha1.is_some() && wanted.is(image));
                let node = image.and_then(|image| image.node(name));
                return Ok(node.map(|node| self.finished(key, node)));
            }
            Ok(_) => {
                Error::new(Kind::Denied, OP, "the wiki's job queue may not publish the file, and does not say why")
            }
            Err(errors) => codes::error(OP, &errors),
        };
        self.jobs.done(key);
        // Whatever the queue says of it: an exact duplicate is a failure to it, and what we want.
        match self.matching(OP, spec, wanted).await? {
            Some(node) => Ok(Some(self.finished(key, node))),
            None if refused.in_doubt() => Ok(None),
            None => Err(refused),
        }
    }

    /// The queue is still at it; `None` when it will not do a file of `size` bytes any more.
    fn waiting(&self, key: &str, upload: &Upload, size: u64) -> Option<Progress> {
        let work = if upload.stage == "queued" { Duration::ZERO } else { work_within(size) };
        (!self.jobs.is_overdue(key, work)).then_some(Progress::Unknown)
    }

    /// What the wiki knows of an upload; its refusals are answers here.
    async fn status(&self, key: &str) -> Result<Result<Upload, Vec<ApiError>>> {
        let call = Call::new(OP, "upload", Nature::Reads).field("checkstatus", "1").field("filekey", key);
        match self.sessions.call::<UploadAnswer>(call).await {
            Ok(answer) => Ok(Ok(answer.upload)),
            Err(Trouble::Refused(_, errors)) => Ok(Err(errors)),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// Gone, once nothing can be running any more.
    fn unless_running(&self, doubt: &str, wanted: Wanted) -> Progress {
        if self.doubts.may_be_running(doubt, wanted.size) {
            return Progress::Unknown;
        }
        self.doubts.settled(doubt);
        Progress::Gone
    }

    /// The file under the name of `spec`, if it has the wanted content. Without a SHA-1 nothing is recognised: a size
    /// alone proves nothing.
    pub(super) async fn matching(&self, op: &'static str, spec: &Spec, wanted: Wanted) -> Result<Option<Node>> {
        let found = self.find(op, spec.path.name()).await?;
        Ok(found.filter(|node| wanted.sha1.is_some() && node.sha1 == wanted.sha1 && node.size == wanted.size))
    }

    /// Everything this account has in the stash, oldest first.
    async fn stashed(&self) -> Result<Vec<Stashed>> {
        let (mut all, mut more) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let mut call =
                Call::query(OP).with("list", "mystashedfiles").with("msfprop", "size").with("msflimit", "max");
            if let Some(from) = more.take() {
                call = call.with("msfcontinue", from);
            }
            let page: Query<Stash> = self.sessions.call(call).await?;
            all.extend(page.query.mystashedfiles);
            more = page.more.and_then(|more| more.msfcontinue);
            if more.is_none() {
                return Ok(all);
            }
        }
        Err(Error::new(Kind::Protocol, OP, "the stash of this account has no end"))
    }

    /// Size and SHA-1 of a stashed file; the server hashes it for the answer.
    async fn stashed_image(&self, key: &str) -> Result<Option<Image>> {
        let call = Call::query(OP)
            .with("prop", "stashimageinfo")
            .with("siifilekey", key)
            .with("siiprop", "size|sha1")
            .answer_within(super::api::ANSWER_TO_PIECE_WITHIN);
        match self.sessions.call::<Query<StashImages>>(call).await {
            Ok(answer) => Ok(answer.query.stashimageinfo.into_iter().next()),
            Err(Trouble::Refused(_, errors)) if is_dead(&errors) => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }
}

/// The receipt for a file that was assembled as a whole, by the job queue or at once.
fn whole_receipt(key: &str, wanted: Wanted, queue: bool) -> Receipt {
    let sha1 = wanted.sha1.map(|sha1| sha1.to_string());
    let mut state = serde_json::json!({ "key": key, "sha1": sha1 });
    if queue {
        state["queue"] = true.into();
    }
    Receipt { index: 0, range: 0..wanted.size, state }
}

/// Whether the wiki says that there is nothing under this key to go on with.
fn is_dead(errors: &[ApiError]) -> bool {
    [
        "missingresult",
        "stashfailed",
        "uploadstash-wrong-owner",
        "uploadstash-file-not-found",
        "uploadstash-bad-path",
        "uploadstash-bad-path-bad-format",
        "invalid-file-key",
    ]
    .iter()
    .any(|code| codes::is(errors, code))
}
