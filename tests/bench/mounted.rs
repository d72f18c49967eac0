//! A real mount in this process, in a directory that goes with it; and what it costs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;
use uploadfs::config::MountOptions;
use uploadfs::mount::Mount;
use uploadfs::service::Service;
use uploadfs::service::layer::stack;

/// The default of the command line.
const MEMORY_BYTES: u64 = 128 << 20;
const CHUNK_BYTES: u64 = 1 << 20;
/// More than any file here.
const SPOOL_BYTES_MAX: u64 = 8 << 30;
/// Longer than any step here should take; a mount that hangs ends the run.
const PATIENCE: Duration = Duration::from_secs(60);

/// A mount. Ends by [`Mounted::end`].
pub(crate) struct Mounted {
    mount: Mount,
    room: TempDir,
}

impl Mounted {
    /// Mounts `service` with the options and layers of the command line.
    pub(crate) fn start(service: Arc<dyn Service>) -> Mounted {
        let room = tempfile::tempdir().unwrap();
        let dir = room.path().join("mount");
        std::fs::create_dir(&dir).unwrap();
        let options = MountOptions {
            memory_bytes: MEMORY_BYTES,
            chunk_bytes: CHUNK_BYTES,
            spool: room.path().join("spool"),
            spool_bytes_max: SPOOL_BYTES_MAX,
            dir_cache: Duration::ZERO,
            close_deadline: PATIENCE,
            metadata_deadline: PATIENCE,
            drain: PATIENCE,
            close_locally: false,
            uploads: 8,
            size_promise: true,
            allow_other: false,
        };
        let mount = Mount::start("bench", stack(service), &dir, &options).unwrap();
        Mounted { mount, room }
    }

    /// Where it is mounted.
    pub(crate) fn dir(&self) -> PathBuf {
        self.room.path().join("mount")
    }

    /// Unmounts.
    pub(crate) fn end(self) {
        let (_never, hurry) = crossbeam_channel::bounded(1);
        self.mount.end(PATIENCE, &hurry).unwrap();
    }
}

/// Processor time of this process so far: the daemon's, since the programs are children.
pub(crate) fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs()) + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}
