//! What has arrived: a line for each file or version that a session has made, for whoever watches. Nobody has to.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::page::text;

/// A file that is there, durable, as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Folders and title.
    pub path: String,
    /// In bytes.
    pub bytes: u64,
    /// Which version of the file it is, from 1.
    pub version: u64,
    /// The upload session that made it.
    pub session: String,
    /// How many chunks it came in.
    pub chunks: usize,
    /// From the opening of the session to this moment, by the portal's clock.
    pub took: Duration,
}

impl Arrival {
    /// The size in words.
    pub fn size(&self) -> String {
        text::size(self.bytes)
    }
}

/// Those who watch.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Vec<Sender<Arrival>>>);

impl Arrivals {
    /// From now on, everything that arrives.
    pub(super) fn watch(&self) -> Receiver<Arrival> {
        let (sender, receiver) = channel();
        self.watchers().push(sender);
        receiver
    }

    /// Tells those who still watch.
    pub(super) fn tell(&self, arrived: Vec<Arrival>) {
        if !arrived.is_empty() {
            self.watchers().retain(|watcher| arrived.iter().all(|arrival| watcher.send(arrival.clone()).is_ok()));
        }
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.watchers().clear();
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Sender<Arrival>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_watches_is_told_until_the_end() {
        let arrivals = Arrivals::default();
        let arrival = |bytes| Arrival {
            path: "/a".into(),
            bytes,
            version: 1,
            session: "s".into(),
            chunks: 1,
            took: Duration::ZERO,
        };
        arrivals.tell(vec![arrival(1)]);
        let (first, gone) = (arrivals.watch(), arrivals.watch());
        drop(gone);
        arrivals.tell(vec![arrival(2), arrival(3)]);
        arrivals.end();
        assert_eq!(first.iter().map(|arrival| arrival.bytes).collect::<Vec<_>>(), [2, 3]);
    }
}
