//! Answers that are kept for whoever goes on reading: where the service knows no ranges, every answer is a whole file, and
//! a file that is read in pieces would come once for each of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::http::Answer;

/// Answers that are kept.
const STREAMS_MAX: usize = 8;
/// So many bytes are rather read and dropped than asked for anew.
const SKIP_MAX: u64 = 4 << 20;
/// An answer nobody went on with for so long is dropped.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// An answer with the rest of a file.
pub(super) struct Stream {
    /// Of the file.
    pub(super) id: String,
    /// The byte of the file that comes next.
    pub(super) at: u64,
    pub(super) answer: Answer,
}

/// The answers of a remote that have more to say.
#[derive(Default)]
pub(super) struct Streams(Mutex<Vec<(Instant, Stream)>>);

impl Streams {
    fn kept(&self) -> MutexGuard<'_, Vec<(Instant, Stream)>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(used, _)| used.elapsed() < IDLE_MAX);
        kept
    }

    /// The answer that comes to byte `at` of the file soon.
    pub(super) fn take(&self, id: &str, at: u64) -> Option<Stream> {
        let mut kept = self.kept();
        let fits = |stream: &Stream| stream.id == id && stream.at <= at && at - stream.at <= SKIP_MAX;
        let found = kept.iter().position(|(_, stream)| fits(stream))?;
        Some(kept.swap_remove(found).1)
    }

    /// Keeps an answer, in place of the one that was used the longest time ago.
    pub(super) fn keep(&self, stream: Stream) {
        let mut kept = self.kept();
        if kept.len() >= STREAMS_MAX {
            let oldest = (0..kept.len()).min_by_key(|at| kept[*at].0);
            oldest.map(|at| kept.swap_remove(at));
        }
        kept.push((Instant::now(), stream));
    }
}
