//! The end of a mount: it waits for programs, for uploads, and leaves the rest to the next one.

use std::time::{Duration, Instant};

use anyhow::bail;
use crossbeam_channel::{Receiver, select};
use sd_notify::NotifyState;
use tokio::runtime::Runtime;

use super::Mount;
use crate::config::units::show_size;
use crate::file::File;
use crate::tree::Tree;

/// How often the wait for the end looks whether it is over.
const TICK: Duration = Duration::from_millis(50);

/// How often it looks whether uploads get on.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The service manager is asked for so much more time, in microseconds: enough for some looks without progress, so that
/// one slow answer of a service does not end it.
const EXTENSION_US: u32 = 30_000_000;

/// Waits until the kernel has let go of the mount, or no program has a file open (one that only stands in a directory
/// of the mount has nothing to lose); whether it came to that.
pub(super) fn wait_for_programs(mount: &Mount, hurry: &Receiver<()>, deadline: Instant) -> bool {
    while mount.files.any_open() {
        select! {
            recv(mount.ended) -> _ => return true,
            recv(hurry) -> _ => return false,
            recv(crossbeam_channel::after(TICK)) -> _ => {}
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
    true
}

/// Waits until no upload is under way, or for as long as there is. The service manager, which would kill a service that
/// takes long to stop, is asked for more time while files arrive.
pub(super) fn drain(mount: &Mount, hurry: &Receiver<()>, deadline: Instant) {
    let mut progress = Progress::default();
    loop {
        if let Some((left, status)) = progress.look(|| Left::of(&mount.tree), Instant::now()) {
            tracing::debug!(files = left.files, bytes = left.bytes, "uploading what is left");
            tell_manager(&[NotifyState::Status(&status), NotifyState::ExtendTimeoutUsec(EXTENSION_US)]);
        }
        let tick = TICK.min(deadline.saturating_duration_since(Instant::now()));
        if mount.runtime.block_on(async { tokio::time::timeout(tick, mount.uploads.drained()).await }).is_ok() {
            return;
        }
        if hurry.try_recv().is_ok() || Instant::now() >= deadline {
            return;
        }
    }
}

/// What the service does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    files: usize,
    bytes: u64,
}

impl Left {
    fn of(tree: &Tree) -> Left {
        let files = tree.unsettled();
        let rest = |file: &File| file.size().saturating_sub(file.health().sent());
        Left { files: files.len(), bytes: files.iter().map(|(_, file)| rest(file)).sum() }
    }
}

/// Whether uploads get on.
#[derive(Debug, Default)]
struct Progress {
    last: Option<(Instant, Left)>,
}

impl Progress {
    /// What is left, and how to put it, if less is than at the last look; the first look counts as progress.
    fn look(&mut self, left: impl FnOnce() -> Left, now: Instant) -> Option<(Left, String)> {
        let before = match self.last {
            Some((at, _)) if now < at + LOOK_EVERY => return None,
            Some((_, before)) => Some(before),
            None => None,
        };
        let left = left();
        self.last = Some((now, left));
        let status = format!("finishing uploads: {} files, {} left", left.files, show_size(left.bytes));
        (before != Some(left)).then_some((left, status))
    }
}

/// Leaves every file that the service does not have as it is to the next mount, and says so.
pub(super) fn leave(runtime: &Runtime, tree: &Tree) -> anyhow::Result<()> {
    let (mut left, mut bytes, mut lost) = (0, 0, 0);
    for (path, file) in tree.unsettled() {
        match runtime.block_on(file.leave()) {
            Ok(how) => {
                tracing::warn!(%path, bytes = file.size(), "not uploaded; in the spool, {how}");
                left += 1;
                bytes += file.size();
            }
            Err(error) => {
                tracing::error!(%path, bytes = file.size(), %error, "not uploaded, and lost with this mount");
                lost += 1;
            }
        }
    }
    if left > 0 {
        let bytes = show_size(bytes);
        tracing::warn!("{left} files ({bytes}) were not uploaded; the next mount with this spool has them");
    }
    if lost == 0 {
        return Ok(());
    }
    bail!("{lost} files were not uploaded and could not be kept")
}

/// Tells the service manager, if there is one.
pub(super) fn tell_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_time_is_asked_for_only_while_less_is_left() {
        let (start, mut progress) = (Instant::now(), Progress::default());
        let mut look = |looks: u32, files, bytes| {
            let told = progress.look(|| Left { files, bytes }, start + looks * LOOK_EVERY);
            told.map(|(_, status)| status)
        };
        assert_eq!(look(0, 3, 5 << 20).unwrap(), "finishing uploads: 3 files, 5M left");
        assert_eq!(look(1, 3, 5 << 20), None, "nothing moved");
        assert_eq!(look(2, 3, 4 << 20).unwrap(), "finishing uploads: 3 files, 4M left");
        assert_eq!(look(2, 3, 3 << 20), None, "not so often");
        assert_eq!(look(3, 2, 4 << 20).unwrap(), "finishing uploads: 2 files, 4M left");
    }
}
