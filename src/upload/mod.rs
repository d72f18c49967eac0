//! The upload of files: what has to be sent, in which parts, what became of it.
//!
//! * [`plan`]: the arithmetic of parts. Pure.
//! * [`machine`]: events in, actions out; every rule about order, doubt, restarts and answers. Pure.
//! * [`source`]: the bytes of a file, wherever they are.
//! * [`driver`]: one file and its machine; `requests.rs`: one tracked task for each request it asks for.
//! * `saved.rs`: what of it outlives the process.
//!
//! **Contract.** [`Upload::begin_commit`] answers `Ok` when the service has confirmed the file as it was when the commit was
//! asked for. While a commit is under way the file does not change: writers wait for [`Upload::settled`].
//!
//! **Crash.** What was saved ([`Upload::save`]) is found by the next process, with what the service had of it by then;
//! what was not is gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::service::Service;

pub mod driver;
pub mod machine;
mod place;
pub mod plan;
mod requests;
mod saved;
pub mod source;

pub use self::driver::{CommitAnswer, Held, Upload};
pub use self::place::Place;
pub use self::saved::{RETRY_OR_DISCARD, Saving};
pub use self::source::Source;

/// How long bytes wait before a session is opened for them, or a part that is not full leaves.
pub const AGE: Duration = Duration::from_secs(1);

/// What all uploads of a mount share: the service, the runtime, the tasks under way.
pub struct Uploads {
    service: Arc<dyn Service>,
    runtime: Handle,
    tasks: TaskTracker,
    /// For uploads that nobody waits for.
    slots: Semaphore,
    /// Told when a pause may be over early.
    awake: Notify,
    /// The mount ends: nothing is begun any more that would wait for better times.
    ending: CancellationToken,
}

impl Uploads {
    /// Uploads to `service`, on `runtime`; of those that nobody waits for, `parallel` at a time.
    pub fn new(service: Arc<dyn Service>, runtime: Handle, parallel: usize) -> Arc<Self> {
        Arc::new(Uploads {
            service,
            runtime,
            tasks: TaskTracker::new(),
            slots: Semaphore::new(parallel.max(1)),
            awake: Notify::new(),
            ending: CancellationToken::new(),
        })
    }

    /// A turn for an upload that nobody waits for; `None` at the end of the mount.
    pub async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }

    /// Waits for better times: for `pause` at most, and not at all at the end of the mount; whether to go on.
    pub async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.ending.cancelled() => false,
            () = self.awake.notified() => true,
            () = tokio::time::sleep(self.jitter(pause)) => true,
        }
    }

    /// Times are better: the service has answered, or somebody wants it tried now.
    pub fn wake(&self) {
        self.awake.notify_waiters();
    }

    /// The mount ends: what waits for better times is left to the next one.
    pub fn end(&self) {
        self.ending.cancel();
    }

    /// Nothing is begun any more.
    pub fn stop(&self) {
        self.ending.cancel();
        self.slots.close();
    }

    /// The service.
    pub fn service(&self) -> &Arc<dyn Service> {
        &self.service
    }

    /// Runs `work` as a task that [`Uploads::drained`] waits for.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Runs `work`, for which nobody waits, not even the end of the mount.
    pub fn spawn_behind(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Waits until no task is under way. New ones may still come; the caller has made sure that none do.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// `delay`, up to a quarter longer: clients that were refused together do not come back together. Never shorter, because
    /// it may be the service's own wish, and because the tries of an upload are to bridge the restart of a server, which a
    /// few short waits would not; not much longer, because a person waits in front of `cp`.
    fn jitter(&self, delay: Duration) -> Duration {
        delay.mul_f64(1.0 + fastrand::f64() / 4.0)
    }
}
