//! Files that an earlier process left in the spool, and files that this one leaves there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{File, Files};
use crate::error::{Error, Kind, Result};
use crate::path::RemotePath;
use crate::service::NodeKind;
use crate::spool::{Fate, Found};
use crate::upload::{Place, RETRY_OR_DISCARD, Upload};

impl Files {
    /// The file of inode `ino` at `path`, of which an earlier process left `generations`, the oldest first. Nothing of it
    /// moves before [`File::go_on`].
    pub fn found(self: &Arc<Self>, ino: u64, path: RemotePath, generations: Vec<Found>) -> Option<Arc<File>> {
        let place = Arc::new(Place::new(path));
        let modified = generations.last().map(|newest| newest.info.modified);
        let found = |found| Upload::found(self.uploads.clone(), place.clone(), &self.cache, found);
        let mut uploads: Vec<_> = generations.into_iter().map(found).collect();
        let current = uploads.pop()?;
        let file = self.file_of(ino, place, current, uploads);
        file.state().modified = modified;
        file.state().parked = file.upload().failure();
        file.doubt_base();
        Some(file)
    }
}

impl File {
    /// Takes up what an earlier process left: what was closed goes on its way, what was not is parked.
    pub async fn go_on(self: &Arc<Self>) {
        let uploads = self.uploads();
        if let Some(newest) = uploads.iter().rev().find(|upload| upload.is_closed()) {
            self.supersede(newest);
        }
        let newest = self.upload();
        if newest.is_closed() {
            self.look_again(&newest).await;
        }
        for upload in uploads {
            if upload.is_closed() || upload.is_discarded() {
                self.publish(upload);
            } else if let Some(error) = upload.failure().filter(|_| !upload.is_sealed()) {
                self.keep_back(&upload, error).await;
            }
        }
    }

    /// Asks the service what stands under the name by now, for `upload` to replace: an upload of a process that died may
    /// have ended after it, another client may have written while the service was away. Without an answer it goes by what
    /// it knew.
    pub(super) async fn look_again(&self, upload: &Upload) {
        let path = self.place.get();
        self.base_in_doubt.store(false, Ordering::Release);
        if !upload.source().is_complete() {
            return;
        }
        if let Ok(node) = self.files.uploads.service().stat(&path).await
            && node.kind == NodeKind::File
        {
            upload.source().replaces(path, node);
        }
    }

    /// The mount ends: makes sure that the next one has the file. What becomes of it there, for people.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`: it will not have it.
    pub async fn leave(self: &Arc<Self>) -> Result<&'static str> {
        let upload = self.upload();
        if upload.is_closed() {
            return Ok("and the next mount goes on with it");
        }
        if !upload.is_sealed() && upload.is_dirty() {
            let ended = Error::new(Kind::Interrupted, "close", "the mount ended before the service had it");
            let error = upload.failure().unwrap_or_else(|| ended.hint(RETRY_OR_DISCARD));
            upload.save(Fate::Parked((&error).into()), self.written_at()).await?;
        }
        Ok("parked")
    }
}
