//! Keeps files alive while they are mounted: those that this program has made get a longer life before theirs ends. Files
//! of others are left as their makers wanted them.
//!
//! One task for each mount, from the first look into it to its end. It lists the folder now and then, and asks for one
//! change at a time, with a pause after each.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;

use super::Cloud;
use super::answers::Stored;
use super::calls::Change;
use crate::error::{Error, Kind, Result, Retry};

/// The operation, in errors.
const OP: &str = "refresh";

/// When files are looked after, and by which clock.
#[derive(Clone)]
pub struct Refresh {
    /// The time.
    pub now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// How often the folder is looked through.
    pub every: Duration,
    /// The pause after each change.
    pub pause: Duration,
}

impl Default for Refresh {
    /// Once in an hour, because the shortest life that can be configured is a day; one change in a second, so that the ten
    /// thousand files of a full folder take three hours and nobody notices.
    fn default() -> Self {
        let (every, pause) = (Duration::from_secs(3600), Duration::from_secs(1));
        Refresh { now: Arc::new(SystemTime::now), every, pause }
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("every", &self.every).field("pause", &self.pause).finish_non_exhaustive()
    }
}

/// The task of a mount. It ends with this.
#[derive(Default)]
pub(super) struct Refresher(OnceLock<AbortHandle>);

impl Refresher {
    /// Begins, unless it has begun.
    pub(super) fn start(&self, cloud: &Arc<Cloud>) {
        self.0.get_or_init(|| tokio::spawn(look_after(Arc::downgrade(cloud))).abort_handle());
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

async fn look_after(cloud: Weak<Cloud>) {
    loop {
        let Some(here) = cloud.upgrade() else { return };
        if let Err(error) = here.refresh_due().await {
            tracing::warn!(%error, "files could not be kept alive; this is tried again");
        }
        let every = here.refresh.every;
        drop(here);
        tokio::time::sleep(every).await;
    }
}

/// Files whose life cannot be made longer, so that it is told once.
#[derive(Default)]
pub(super) struct Hopeless(Mutex<HashSet<String>>);

impl Hopeless {
    fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn add(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }
}

impl Cloud {
    /// Gives every file of ours that needs it a longer life.
    ///
    /// # Errors
    /// What keeps the folder from being listed, or the service from answering.
    pub(super) async fn refresh_due(&self) -> Result<()> {
        if !self.can_rename() {
            // The other dialect changes nothing about a file.
            return Ok(());
        }
        self.known(OP).await?;
        let files = self.catalog.files();
        for file in files.iter().filter(|file| file.upload.is_some() && !self.hopeless.has(&file.id)) {
            let Some(days) = self.lifetimes.due(file, (self.refresh.now)()) else { continue };
            match self.prolong(file, days).await {
                Ok(true) => {}
                Ok(false) => {
                    self.hopeless.add(&file.id);
                    let name = crate::error::printable(&file.name).into_owned();
                    let days = file.ttl_days.unwrap_or_default();
                    tracing::warn!(name, "the service removes this file {days} days after it was made; copy it anew");
                }
                Err(error) if error.kind == Kind::NotFound => self.forget(&file.id),
                // It is about all files.
                Err(error) if error.retry != Retry::Never || error.kind == Kind::SignedOut => return Err(error),
                Err(error) => {
                    self.hopeless.add(&file.id);
                    let name = crate::error::printable(&file.name).into_owned();
                    tracing::warn!(%error, name, "the life of this file cannot be made longer; copy it anew");
                }
            }
            tokio::time::sleep(self.refresh.pause).await;
        }
        Ok(())
    }

    /// Has a file live for `days` after it was made, or for as long as it may; whether its end has been put off.
    async fn prolong(&self, file: &Stored, days: u64) -> Result<bool> {
        let (has, mut wanted) = (file.ttl_days.unwrap_or_default(), Some(days));
        while let Some(days) = wanted {
            match self.alter(OP, &file.id, &Change::TtlDays(days)).await {
                Ok(mut changed) => {
                    changed.order = file.order;
                    let (got, is_later) = (changed.ttl_days.unwrap_or_default(), changed.expires > file.expires);
                    self.catalog.there(changed);
                    if got < days {
                        // It gives what it gives to everyone: asking for less would make that shorter.
                        self.lifetimes.gives_at_most(got);
                    }
                    return Ok(is_later);
                }
                Err(Error { kind: Kind::Invalid, .. }) => wanted = self.lifetimes.halfway(has, days),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
