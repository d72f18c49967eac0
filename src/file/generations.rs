//! The generations of a file. There is one, unless a program was told that the file will be on the service
//! (`--close=local`) and writes to it again before it is: then the earlier one goes on to the service as it was, and a new
//! one takes what is written. At most one of them travels at a time, the oldest first, so that a newer version never loses
//! to an older one; once a newer one is saved as complete, the older ones are given up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::File;
use crate::error::Result;
use crate::path::RemotePath;
use crate::service::Node;
use crate::spool::Fate;
use crate::upload::Upload;

/// See the module.
pub(super) struct Generations {
    /// What programs read and write.
    pub(super) current: Arc<Upload>,
    /// Those before it that are not over, the oldest first.
    pub(super) earlier: Vec<Arc<Upload>>,
    /// When one of the earlier ones reached the service.
    pub(super) published: Option<Instant>,
}

impl File {
    pub(super) fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes that programs read and write, and their way to the service.
    pub fn upload(&self) -> Arc<Upload> {
        self.generations().current.clone()
    }

    /// All generations that are not over, the oldest first.
    pub fn uploads(&self) -> Vec<Arc<Upload>> {
        let generations = self.generations();
        generations.earlier.iter().chain([&generations.current]).cloned().collect()
    }

    /// Whether the service has, or had, confirmed a version after `moment`.
    pub fn committed_since(&self, moment: Instant) -> bool {
        let generations = self.generations();
        generations.published.is_some_and(|published| published > moment) || generations.current.committed_since(moment)
    }

    /// When a program last wrote to it, or now.
    pub(super) fn written_at(&self) -> SystemTime {
        self.modified().unwrap_or_else(SystemTime::now)
    }

    /// Makes a file that was saved as complete one that can be changed; its first `keep` bytes stay.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`: it stays as it is then.
    pub(super) async fn unseal(&self, keep: u64) -> Result<()> {
        let _one = self.unsealing.lock().await;
        let upload = self.upload();
        if !upload.is_closed() {
            // Nobody counts on it. Before a byte of it changes, the journal says that it is being written.
            return if upload.is_sealed() {
                upload.save_again(Some(Fate::Open), self.written_at()).await
            } else {
                Ok(())
            };
        }
        let next = upload.next_generation(keep.min(upload.size())).await?;
        if !upload.is_closed() {
            // The service has it by now: it can be changed as it is.
            return Ok(());
        }
        tracing::debug!(path = %self.place.get(), "written again while it waits: another generation");
        {
            let mut generations = self.generations();
            generations.current = next;
            generations.earlier.push(upload);
        }
        self.settle_generations();
        Ok(())
    }

    /// Whether a generation before the current one is on its way.
    pub(super) fn has_earlier(&self) -> bool {
        let generations = self.generations();
        generations.earlier.iter().any(|older| !older.is_over() && !older.has_given_up())
    }

    /// Takes those generations off the list that are over, and tells the others what the service has now.
    pub fn settle_generations(&self) {
        let mut generations = self.generations();
        let Generations { current, earlier, published } = &mut *generations;
        for at in 0..earlier.len() {
            if !earlier[at].is_over() {
                break;
            }
            if let Some(node) = earlier[at].source().node() {
                let path = self.place.get();
                earlier[at + 1..]
                    .iter()
                    .chain([&*current])
                    .for_each(|later| later.follows(&earlier[at], path.clone(), node.clone()));
            }
            *published = Some(Instant::now());
        }
        // Whoever renames or removes the file has to know of those that the spool still has.
        earlier.retain(|older| !older.is_over() || older.is_saved());
        drop(generations);
        self.turn.notify_waiters();
    }

    /// The mount ends, and a generation is left to the next one; so are those after it.
    pub(super) fn leave_waiting(&self) {
        self.left.store(true, Ordering::Release);
        self.turn.notify_waiters();
    }

    /// Waits until no generation before `upload` can reach the service any more; whether that is to be expected.
    pub(super) async fn until_first(&self, upload: &Arc<Upload>) -> bool {
        loop {
            let told = self.turn.notified();
            let before = self.uploads().into_iter().take_while(|other| !Arc::ptr_eq(other, upload));
            if before.filter(|older| !older.is_over() && !older.has_given_up()).count() == 0 {
                return true;
            }
            if self.left.load(Ordering::Acquire) {
                return false;
            }
            told.await;
        }
    }

    /// Gives up what is older than `upload`, which has been saved as complete.
    pub(super) fn supersede(self: &Arc<Self>, upload: &Arc<Upload>) {
        let earlier: Vec<_> = self.uploads().into_iter().take_while(|other| !Arc::ptr_eq(other, upload)).collect();
        // Their entries end when they are over: until then the service may make a version of them, and the next mount
        // must know what it was.
        for older in earlier {
            let waits_for_nobody = older.has_given_up();
            older.discard();
            if waits_for_nobody {
                self.publish(older);
            }
        }
        self.files.uploads.wake();
        self.settle_generations();
    }

    /// The file is gone: nothing of it shall reach the service, now or at the next mount. What the service may have made of
    /// it in a moment of doubt is removed as soon as that is known.
    pub async fn discard(self: &Arc<Self>) {
        for upload in self.uploads() {
            let (on_its_way, in_doubt) = (upload.is_closed(), !upload.is_over());
            if in_doubt {
                upload.remove_if_made();
            }
            upload.discard();
            if let Err(error) = upload.forget_saved().await {
                tracing::error!(path = %self.place.get(), %error, "removed; the next mount may find it in the spool");
            }
            if !upload.is_over() && !on_its_way {
                self.publish(upload);
            }
        }
        self.files.uploads.wake();
        self.settle_generations();
    }

    /// The service renamed the file to `path`, where it is `node` now.
    pub fn renamed(&self, path: &RemotePath, node: &Node) {
        for upload in self.uploads() {
            upload.source().renamed(path.clone(), node.clone());
        }
    }

    /// The file has another name by now: its place says which.
    pub fn moved(&self) {
        for upload in self.uploads() {
            upload.source().moved(self.place.get());
            upload.moved();
        }
    }

    /// Writes down that the file has another name, where it is written down at all.
    ///
    /// # Errors
    /// `SpoolFull`, `Spool`: the next mount finds it under its old name.
    pub async fn save_name(&self) -> Result<()> {
        for upload in self.uploads() {
            upload.save_again(None, self.written_at()).await?;
        }
        Ok(())
    }

    /// Whether a request is under way whose answer depends on the name of the file.
    pub fn is_naming(&self) -> bool {
        self.uploads().iter().any(|upload| upload.is_naming())
    }

    /// Waits until [`File::is_naming`] may have changed.
    pub async fn until_named(&self) {
        for upload in self.uploads() {
            upload.named().await;
        }
    }
}
