//! Work that the wiki leaves to its job queue. Where an administrator has switched that on, the last chunk and the
//! publication of a large file are answered at once with "Poll", and no gateway's patience decides about them. Nothing
//! announces it: it is asked for, and the answer tells.
//!
//! **A queue that nobody works.** The jobs of uploads run only where somebody has set them up; elsewhere they wait for ever. An
//! assembly that does not begin within [`QUEUED_MAX`] is given up: the file goes again, without asking for the queue, and so
//! do all files after it. A publication is left to the queue only when the queue has just assembled the same file, because
//! one that began late could put an old version over a newer one.
//!
//! This is memory and arithmetic; it sends nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Files from this size on may go through the queue: smaller ones are assembled before a queue gets to them.
const FROM_BYTES: u64 = 10 * 1024 * 1024;
/// So long may work wait before it is begun.
const QUEUED_MAX: Duration = Duration::from_secs(600);
/// Work remembered; the oldest is forgotten first.
const COUNT_MAX: usize = 1024;

/// The work of one wiki's queue that concerns us, by the key of the upload.
#[derive(Default)]
pub(super) struct Jobs {
    queued: Mutex<HashMap<String, Instant>>,
    /// Nobody works the queue.
    idle: AtomicBool,
}

impl Jobs {
    /// Whether the assembly of a file of `size` bytes is offered to the queue.
    pub(super) fn wanted(&self, size: u64) -> bool {
        size >= FROM_BYTES && !self.idle.load(Ordering::Relaxed)
    }

    /// The upload `key` was left to the queue.
    pub(super) fn queued(&self, key: &str) {
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        if queued.len() >= COUNT_MAX
            && let Some(oldest) = queued.iter().min_by_key(|(_, since)| **since).map(|(key, _)| key.clone())
        {
            queued.remove(&oldest);
        }
        queued.entry(key.to_owned()).or_insert_with(Instant::now);
    }

    /// Whether the upload `key` was left to the queue.
    pub(super) fn has(&self, key: &str) -> bool {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Whether the upload `key` has waited longer than any queue that is worked lets it.
    pub(super) fn is_overdue(&self, key: &str) -> bool {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        queued.get(key).is_some_and(|since| since.elapsed() >= QUEUED_MAX)
    }

    /// The queue is done with the upload `key`.
    pub(super) fn done(&self, key: &str) {
        self.queued.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Nobody works the queue: it is not asked any more.
    pub(super) fn give_up(&self, key: &str) {
        self.done(key);
        if !self.idle.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "nobody works the wiki's queue for uploads: files are sent again without it; its administrator runs \
                 the jobs AssembleUploadChunks and PublishStashedFile, or sets $wgEnableAsyncUploads to false"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_nobody_works_is_asked_no_more() {
        let jobs = Jobs::default();
        assert!(jobs.wanted(FROM_BYTES) && !jobs.wanted(FROM_BYTES - 1));
        jobs.queued("key");
        tokio::time::advance(QUEUED_MAX / 2).await;
        jobs.queued("key");
        assert!(jobs.has("key") && !jobs.is_overdue("key") && !jobs.is_overdue("other"));
        tokio::time::advance(QUEUED_MAX / 2).await;
        assert!(jobs.is_overdue("key"), "it counts from the first time");
        jobs.give_up("key");
        assert!(!jobs.has("key") && !jobs.wanted(1 << 40));
    }

    #[test]
    fn the_memory_is_bounded() {
        let jobs = Jobs::default();
        for number in 0..COUNT_MAX + 10 {
            jobs.queued(&number.to_string());
        }
        assert_eq!(jobs.queued.lock().unwrap().len(), COUNT_MAX);
    }
}
