//! After an upload: whether the service has the file, as it was meant, and only it.
//!
//! **Accepted** is a file whose name came back, whose size the storage tells, and whose checksum, where the storage gives
//! one, is ours. Only then the file it replaces is removed, if it still has the name. A reader sees the old or the new one.
//!
//! **Doubt.** A lost answer is settled by looking for the name of the upload among the labels; where there are none, for a
//! file of this name and size that was not there before, and has the same content. Until then nothing is sent again; how
//! long one that is not there may still be in the making, says [`super::PACE`]. What an attempt that was given up makes
//! after all is removed. What another process has left is in `resume.rs`.

use super::Cloud;
use super::answers::Stored;
use super::attempts::Attempt;
use super::labels::hex;
use super::upload::OP;
use crate::error::{Error, Kind, Result, Retry};
use crate::path::RemotePath;
use crate::service::{Node, Progress, Spec};

/// Whether an error is the last word on a file. One about the account says nothing of the file, nor could the file be
/// removed: another key may settle it.
fn is_verdict(error: &Error) -> bool {
    error.retry == Retry::Never && error.kind != Kind::SignedOut
}

impl Cloud {
    /// The service says that `attempt` has become `file`: makes sure.
    pub(super) async fn accept(&self, path: &RemotePath, attempt: &Attempt, file: Stored) -> Result<Node> {
        self.attempts.made(path.as_str(), &attempt.upload, &file.id);
        match self.settle(path, attempt, file).await {
            Ok(node) => {
                self.attempts.settled(path.as_str(), &attempt.upload);
                self.doubts.settled(path.as_str());
                Ok(node)
            }
            Err(error) => {
                self.catalog.doubt();
                // The file may be there, and good: whoever hears this asks again before anything is sent.
                if is_verdict(&error) {
                    self.attempts.refused(path.as_str(), &attempt.upload);
                    return Err(error);
                }
                self.doubts.note(path.as_str());
                Err(error.retry(Retry::AskFirst))
            }
        }
    }

    /// The file as it was meant, and only it; what is certainly not that is removed again.
    async fn settle(&self, path: &RemotePath, attempt: &Attempt, file: Stored) -> Result<Node> {
        if let Err(error) = self.confirm(path, attempt, &file).await {
            if !is_verdict(&error) {
                return Err(error);
            }
            self.remove_quietly(&file.id).await;
            return Err(match error.kind {
                // What is missing is the new file: a program that writes one must not hear that there is none.
                Kind::NotFound => error.kind(Kind::Conflict),
                _ => error,
            });
        }
        Ok(file.node(path.name(), attempt.size))
    }

    async fn confirm(&self, path: &RemotePath, attempt: &Attempt, file: &Stored) -> Result<()> {
        if file.name != attempt.name {
            let name = crate::error::printable(&file.name).into_owned();
            return Err(Error::new(Kind::BadName, OP, format!("the service stores the file as {name:?}")));
        }
        self.verify(attempt, file).await?;
        // Before the old one goes: nobody shall find neither.
        self.links.note_size(&file.id, attempt.size);
        self.catalog.there(file.clone());
        self.remove_echoes(path, file).await?;
        self.remove_replaced(attempt, file).await
    }

    /// Whether the storage has what was sent.
    ///
    /// # Errors
    /// `Corrupt` when it has something else.
    async fn verify(&self, attempt: &Attempt, file: &Stored) -> Result<()> {
        let told = file.size.filter(|_| !self.has_labels());
        let (size, md5) = match told {
            Some(size) => (size, None),
            None => {
                let measured = self.measure(OP, &file.id).await?;
                (measured.size, measured.md5)
            }
        };
        if size != attempt.size {
            let what = format!("the service has {size} bytes of a file of {}", attempt.size);
            return Err(Error::new(Kind::Corrupt, OP, what));
        }
        let (Some(md5), Some(digests)) = (md5, attempt.seal.get()) else { return Ok(()) };
        if md5 == hex(&digests.md5) || !self.trusts_etags() {
            return Ok(());
        }
        // An encrypted object may have an ETag that only looks like a checksum: its content decides.
        if self.sha256_of(&file.id, size).await? == digests.sha256 {
            self.etags_are_no_checksums();
            return Ok(());
        }
        Err(Error::new(Kind::Corrupt, OP, "the service has other bytes than were sent"))
    }

    /// What earlier attempts have made after all is removed.
    async fn remove_echoes(&self, path: &RemotePath, file: &Stored) -> Result<()> {
        let earlier = self.attempts.earlier(path.as_str());
        if earlier.is_empty() {
            return Ok(());
        }
        let mut echoes = self.list_now(OP).await?;
        if !self.has_labels() {
            for other in self.catalog.twins(path).iter().filter(|other| other.id != file.id) {
                for attempt in earlier.iter().filter(|attempt| attempt.may_have_made(other, false)) {
                    if self.has_content_of(attempt, other).await? {
                        echoes.push(other.as_ref().clone());
                        break;
                    }
                }
            }
        }
        for echo in echoes.iter().filter(|echo| echo.id != file.id) {
            self.remove_if_there(&echo.id).await?;
        }
        Ok(())
    }

    /// The files that this one replaces are removed, if they still have its name.
    ///
    /// # Errors
    /// What keeps one of them: the old file stays then, and not the new one.
    async fn remove_replaced(&self, attempt: &Attempt, file: &Stored) -> Result<()> {
        for (old, name) in attempt.old.iter().filter(|(old, _)| *old != file.id) {
            match self.by_id(OP, old).await? {
                Some(there) if there.name == *name => {
                    let removed = self.remove_if_there(old).await;
                    removed.map_err(|error| match is_verdict(&error) {
                        true => error.hint("the old version cannot be removed, so the new one was"),
                        false => error,
                    })?;
                }
                // It is somebody else's business by now.
                Some(renamed) => self.catalog.there(renamed),
                None => self.forget(old),
            }
        }
        Ok(())
    }

    async fn remove_if_there(&self, id: &str) -> Result<()> {
        match self.delete(OP, id).await {
            Err(error) if error.kind != Kind::NotFound => Err(error),
            _ => {
                self.forget(id);
                Ok(())
            }
        }
    }

    /// What became of an upload in doubt.
    pub(super) async fn probe_upload(&self, spec: &Spec) -> Result<Progress> {
        let path = spec.path.as_str();
        let last = self.attempts.last(path).filter(|attempt| spec.size.is_none_or(|size| size == attempt.size));
        let Some(attempt) = last else { return self.probe_forgotten(spec).await };
        let found = match &attempt.made {
            Some(id) => self.by_id(OP, id).await?,
            None => self.look(&attempt).await?,
        };
        match found {
            Some(file) if attempt.is_settled => Ok(Progress::Finished(file.node(spec.path.name(), attempt.size))),
            Some(file) => self.accept(&spec.path, &attempt, file).await.map(Progress::Finished),
            None if attempt.made.is_some() => {
                // It was there, and somebody has removed it.
                self.attempts.refused(path, &attempt.upload);
                Ok(Progress::Gone)
            }
            None if self.doubts.is_fresh(path, attempt.size) => Ok(Progress::Unknown),
            None => Ok(Progress::Gone),
        }
    }

    /// The file of an upload, if it is there.
    async fn look(&self, attempt: &Attempt) -> Result<Option<Stored>> {
        for echo in self.list_now(OP).await? {
            self.remove_quietly(&echo.id).await;
        }
        let mut files = self.catalog.files();
        files.retain(|file| attempt.may_have_made(file, self.has_labels()));
        // Of two that look alike the newer one is what was sent last.
        files.sort_by(|a, b| b.is_newer_than(a).cmp(&a.is_newer_than(b)));
        for file in files {
            if self.has_labels() || self.has_content_of(attempt, &file).await? {
                return Ok(Some(file.as_ref().clone()));
            }
        }
        Ok(None)
    }

    /// Whether a file that looks like that of `attempt` is it: without labels, only its content tells. What was not sent to
    /// its last byte has become no file.
    async fn has_content_of(&self, attempt: &Attempt, file: &Stored) -> Result<bool> {
        let Some(digests) = attempt.seal.get() else { return Ok(false) };
        match self.sha256_of(&file.id, attempt.size).await {
            Ok(sha256) => Ok(sha256 == digests.sha256),
            Err(error) if error.kind == Kind::NotFound || error.kind == Kind::Corrupt => Ok(false),
            Err(error) => Err(error),
        }
    }
}
