//! The upload of files: what has to be sent, in which parts, what became of it.
//!
//! * [`plan`]: the arithmetic of parts. Pure.
//! * [`machine`]: events in, actions out; every rule about order, doubt, restarts and answers. Pure.
//! * [`source`]: the bytes of a file, wherever they are.
//! * [`driver`]: applies the machine's actions; one tracked task per request.
//!
//! **Contract.** [`Upload::begin_commit`] answers `Ok` when the service has confirmed the file as it was when the commit was
//! asked for. While a commit is under way the file does not change: writers wait for [`Upload::settled`].
//!
//! **Crash.** What was not committed is gone with the process, except where a later durable spool keeps it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::service::Service;

pub mod driver;
pub mod machine;
mod place;
pub mod plan;
pub mod source;

pub use self::driver::{CommitAnswer, Held, Upload};
pub use self::place::Place;
pub use self::source::Source;

/// How long bytes wait before a session is opened for them, or a part that is not full leaves.
pub const AGE: Duration = Duration::from_secs(1);

/// What all uploads of a mount share: the service, the runtime, the tasks under way.
pub struct Uploads {
    service: Arc<dyn Service>,
    runtime: Handle,
    tasks: TaskTracker,
}

impl Uploads {
    /// Uploads to `service`, on `runtime`.
    pub fn new(service: Arc<dyn Service>, runtime: Handle) -> Arc<Self> {
        Arc::new(Uploads { service, runtime, tasks: TaskTracker::new() })
    }

    /// The service.
    pub fn service(&self) -> &Arc<dyn Service> {
        &self.service
    }

    /// Runs `work` as a task that [`Uploads::drained`] waits for.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(work, &self.runtime);
    }

    /// Runs `work`, for which nobody waits.
    fn spawn_timer(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Waits until no task is under way. New ones may still come; the caller has made sure that none do.
    pub async fn drained(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// `delay`, up to a quarter longer: clients that were refused together do not come back together.
    fn jitter(&self, delay: Duration) -> Duration {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        delay + delay.mul_f64(f64::from(now.subsec_nanos() % 1000) / 4000.0)
    }
}
