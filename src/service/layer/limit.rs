//! Bounds how many requests a mount has under way. Uploads and everything else have permits of their own, so that `ls`
//! never waits behind parts. It says nothing about the width of one upload: that is the upload's own rule.

use tokio::sync::Semaphore;

use super::{Answer, Call, Layer};
use crate::error::Result;
use crate::service::Operation;

/// Uploads at once: enough to fill a link with a round trip of 100 ms, few enough for the connection limits of small
/// servers.
const UPLOADS: usize = 8;
/// Other requests at once: what a file manager that opens a directory asks for.
const QUESTIONS: usize = 16;

/// The permits of one mount.
#[derive(Debug)]
pub struct Limit {
    uploads: Semaphore,
    questions: Semaphore,
}

impl Limit {
    /// So many requests at once that carry an upload on, and so many others.
    pub fn new(uploads: usize, questions: usize) -> Self {
        Limit { uploads: Semaphore::new(uploads.max(1)), questions: Semaphore::new(questions.max(1)) }
    }

    fn lane(&self, operation: Operation) -> &Semaphore {
        match operation {
            Operation::Begin | Operation::Put | Operation::PutWhole | Operation::Finish => &self.uploads,
            Operation::Check
            | Operation::Admit
            | Operation::Stat
            | Operation::List
            | Operation::Read
            | Operation::Mkdir
            | Operation::Remove
            | Operation::Rename
            | Operation::Probe
            | Operation::Abort => &self.questions,
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Limit::new(UPLOADS, QUESTIONS)
    }
}

impl Layer for Limit {
    async fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T> {
        let _permit = self.lane(call.operation).acquire().await.expect("the permits are never closed");
        run().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fault::{Fault, Faults, Gate, When};
    use super::super::{Layered, Retries};
    use super::*;
    use crate::path::RemotePath;
    use crate::service::memory::{Memory, MemoryConfig};
    use crate::service::{Payload, Service, Spec};

    fn path(text: &str) -> RemotePath {
        RemotePath::parse(text).unwrap()
    }

    async fn upload(service: Arc<dyn Service>, name: &str) -> Result<()> {
        let spec = Spec { path: path(name), size: Some(1), sha1: None, replaces: None };
        service.put_whole(&spec, Payload::from_bytes("x".into(), 0)).await.map(drop)
    }

    #[tokio::test]
    async fn a_listing_does_not_wait_behind_uploads_and_uploads_wait_for_each_other() {
        let (faults, gate) = (Faults::new(), Gate::new());
        faults.add(Operation::PutWhole, When::Nth(1), Fault::StallBefore(gate.clone()));
        let memory = Arc::new(Memory::new(MemoryConfig::friendly()));
        let service = Layered::wrap(Layered::wrap(memory.clone(), faults.clone()), Limit::new(1, 1));
        let first = tokio::spawn(upload(service.clone(), "a"));
        gate.reached().await;
        let second = tokio::spawn(upload(service.clone(), "b"));
        service.list(&RemotePath::root(), None).await.unwrap();
        // The runtime has one thread: by now the second upload has gone as far as it can.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(faults.count(Operation::PutWhole), 1, "the second upload waits for the permit of the first");
        gate.open();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(memory.files().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_sleeps_before_its_next_attempt_holds_no_permit() {
        let faults = Faults::new();
        let pause = std::time::Duration::from_secs(5);
        faults.add(Operation::Stat, When::Nth(1), Fault::busy(pause));
        let memory = Arc::new(Memory::new(MemoryConfig::friendly()));
        let limited = Layered::wrap(Layered::wrap(memory, faults.clone()), Limit::new(1, 1));
        let service = Layered::wrap(limited, Retries::default());
        let sleeper = service.clone();
        let sleeper = tokio::spawn(async move { sleeper.stat(&RemotePath::root()).await.map(drop) });
        while faults.count(Operation::Stat) == 0 {
            tokio::task::yield_now().await;
        }
        let before = tokio::time::Instant::now();
        service.list(&RemotePath::root(), None).await.unwrap();
        assert_eq!(before.elapsed(), std::time::Duration::ZERO, "the listing waited for the sleeper");
        sleeper.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_gives_its_permit_back() {
        let (faults, gate) = (Faults::new(), Gate::new());
        faults.add(Operation::Stat, When::Nth(1), Fault::StallBefore(gate.clone()));
        let memory = Arc::new(Memory::new(MemoryConfig::friendly()));
        let service = Layered::wrap(Layered::wrap(memory, faults), Limit::new(1, 1));
        let stuck = service.clone();
        let stuck = tokio::spawn(async move { stuck.stat(&RemotePath::root()).await.map(drop) });
        gate.reached().await;
        stuck.abort();
        service.stat(&RemotePath::root()).await.unwrap();
    }
}
