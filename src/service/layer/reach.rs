//! Remembers whether the service can be reached, by what its callers get to hear: a request whose final result is that
//! nobody answered means that it cannot, since the first such result; so does a question that nobody has answered for
//! [`SILENCE`]. Any other answer means that it can. It changes no request and asks nothing by itself, so on a mount that
//! nobody uses it knows what was true when somebody last did.
//!
//! **Concurrency.** The result that comes last counts.

use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;

use super::{Answer, Call, Layer};
use crate::error::{Error, Kind, Result};
use crate::service::Operation;

/// A question that takes so long is one that nobody answers, as far as a program at a prompt can tell. Tries that fail
/// quickly are over before.
pub const SILENCE: Duration = Duration::from_secs(10);

/// What is known of the way to a service. A mount reads it, the layer writes it.
#[derive(Debug)]
pub struct Reach {
    offline: watch::Sender<Option<Offline>>,
}

/// The service does not answer.
#[derive(Clone, Debug)]
pub struct Offline {
    /// When a request first got no answer.
    pub since: SystemTime,
    /// What became of the last one.
    pub error: Error,
}

/// What a result says about the way to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The service has answered.
    Reached,
    /// Nobody has answered.
    Unreachable,
    /// Nothing: nobody was asked.
    Nothing,
}

impl Default for Reach {
    fn default() -> Self {
        Reach { offline: watch::Sender::new(None) }
    }
}

impl Reach {
    /// Since when, and why, the service cannot be reached; `None` when it can, as far as is known.
    pub fn offline(&self) -> Option<Offline> {
        self.offline.borrow().clone()
    }

    /// Waits until the service cannot be reached.
    pub async fn lost(&self) {
        self.until(|offline| offline.is_some()).await;
    }

    /// Waits until the service can be reached.
    pub async fn regained(&self) {
        self.until(|offline| offline.is_none()).await;
    }

    async fn until(&self, is_so: impl FnMut(&Option<Offline>) -> bool) {
        // The sender lives as long as this does.
        let _ = self.offline.subscribe().wait_for(is_so).await;
    }

    fn note(&self, operation: Operation, error: Option<&Error>) {
        match (word(operation, error.map(|error| error.kind)), error) {
            (Word::Unreachable, Some(error)) => self.offline.send_modify(|offline| {
                let since = offline.as_ref().map_or_else(SystemTime::now, |offline| offline.since);
                *offline = Some(Offline { since, error: error.clone() });
            }),
            (Word::Reached, _) => {
                self.offline.send_if_modified(|offline| offline.take().is_some());
            }
            (Word::Unreachable | Word::Nothing, _) => {}
        }
    }
}

fn word(operation: Operation, failure: Option<Kind>) -> Word {
    match failure {
        Some(kind) if kind.is_silence() => Word::Unreachable,
        // Most clients answer this one by what they know of names and rights.
        _ if operation == Operation::Admit => Word::Nothing,
        // Said on this machine, before a request or instead of one.
        Some(
            Kind::BadName
            | Kind::NameTooLong
            | Kind::Invalid
            | Kind::Unsupported
            | Kind::CrossDevice
            | Kind::Spool
            | Kind::SpoolFull
            | Kind::Interrupted,
        ) => Word::Nothing,
        _ => Word::Reached,
    }
}

impl Layer for Reach {
    async fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T> {
        let mut running = run();
        // What carries bytes, or makes a file of them, may take its time, and the upload machine watches over it.
        let is_quick = matches!(call.operation, Operation::Check | Operation::Stat | Operation::List);
        let answer = tokio::select! {
            answer = &mut running => answer,
            () = sleep(SILENCE), if is_quick => {
                let silent = Error::new(Kind::Timeout, "ask", format!("no answer for {} s", SILENCE.as_secs()));
                self.note(call.operation, Some(&silent));
                running.await
            }
        };
        self.note(call.operation, answer.as_ref().err());
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::fault::{Fault, Faults, Gate, When};
    use super::super::{Layered, Retries};
    use super::*;
    use crate::path::RemotePath;
    use crate::service::memory::{Memory, MemoryConfig};
    use crate::service::{Payload, Service, Spec};

    struct Rig {
        faults: Arc<Faults>,
        reach: Arc<Reach>,
        service: Arc<dyn Service>,
    }

    fn rig() -> Rig {
        let (faults, reach) = (Faults::new(), Arc::new(Reach::default()));
        let memory = Arc::new(Memory::new(MemoryConfig::friendly()));
        let persistent = Layered::wrap(Layered::wrap(memory, faults.clone()), Retries::default());
        Rig { faults, service: Layered::wrap(persistent, reach.clone()), reach }
    }

    fn failure(kind: Kind) -> Fault {
        Fault::Before(Error::new(kind, "fault", format!("{kind:?}, as told")))
    }

    impl Rig {
        /// Asks for the root, which fails so.
        async fn stat(&self, kind: Kind) {
            self.faults.add(Operation::Stat, When::Always, failure(kind));
            self.service.stat(&RemotePath::root()).await.unwrap_err();
            self.faults.heal();
        }
    }

    #[tokio::test]
    async fn a_service_that_nobody_asked_is_not_called_offline() {
        assert!(rig().reach.offline().is_none());
    }

    #[tokio::test]
    async fn it_is_offline_from_the_first_silence_to_the_first_answer() {
        let rig = rig();
        let before = SystemTime::now();
        rig.stat(Kind::Unreachable).await;
        let first = rig.reach.offline().unwrap();
        assert!(first.since >= before && first.since <= SystemTime::now());
        rig.stat(Kind::Timeout).await;
        let second = rig.reach.offline().unwrap();
        assert_eq!(second.since, first.since, "it is the same silence");
        assert_eq!(second.error.kind, Kind::Timeout, "and its last word");
        rig.service.stat(&RemotePath::root()).await.unwrap();
        assert!(rig.reach.offline().is_none());
    }

    #[tokio::test]
    async fn a_refusal_is_an_answer() {
        for kind in [Kind::Denied, Kind::NotFound, Kind::Throttled, Kind::Server, Kind::Protocol, Kind::Quota] {
            let rig = rig();
            rig.stat(Kind::Unreachable).await;
            rig.stat(kind).await;
            assert!(rig.reach.offline().is_none(), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn what_nobody_was_asked_for_says_nothing() {
        let rig = rig();
        let path = RemotePath::parse("f").unwrap();
        rig.service.admit(&path).await.unwrap();
        rig.stat(Kind::Unreachable).await;
        rig.service.admit(&path).await.unwrap();
        for kind in [Kind::BadName, Kind::SpoolFull, Kind::CrossDevice] {
            rig.stat(kind).await;
        }
        assert!(rig.reach.offline().is_some(), "no request has left since");
        rig.faults.add(Operation::Admit, When::Always, failure(Kind::Denied));
        rig.service.admit(&path).await.unwrap_err();
        assert!(rig.reach.offline().is_some(), "a rule that is known");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_a_retry_bridges_is_none() {
        let rig = rig();
        rig.faults.add(Operation::Stat, When::Nth(1), Fault::request_lost());
        rig.service.stat(&RemotePath::root()).await.unwrap();
        assert!(rig.reach.offline().is_none());
        assert_eq!(rig.faults.count(Operation::Stat), 2);
    }

    #[tokio::test]
    async fn an_upload_counts_like_a_question() {
        let rig = rig();
        let path = RemotePath::parse("f").unwrap();
        let spec = Spec { path, size: Some(1), sha1: None, replaces: None };
        rig.faults.add(Operation::PutWhole, When::Nth(1), Fault::AnswerLost);
        let payload = Payload::from_bytes("x".into(), 0);
        rig.service.put_whole(&spec, payload.clone()).await.unwrap_err();
        assert_eq!(rig.reach.offline().unwrap().error.kind, Kind::Timeout);
        rig.service.put_whole(&spec, payload).await.unwrap();
        assert!(rig.reach.offline().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_says_nothing() {
        let (rig, gate) = (rig(), Gate::new());
        rig.faults.add(Operation::Stat, When::Always, Fault::StallBefore(gate));
        let root = RemotePath::root();
        tokio::time::timeout(Duration::from_secs(1), rig.service.stat(&root)).await.unwrap_err();
        assert!(rig.reach.offline().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_without_an_answer_tells_before_anybody_gives_up() {
        let (rig, gate) = (rig(), Gate::new());
        rig.faults.add(Operation::Stat, When::Always, Fault::StallBefore(gate.clone()));
        let service = rig.service.clone();
        let asking = tokio::spawn(async move { service.stat(&RemotePath::root()).await });
        rig.reach.lost().await;
        assert!(!asking.is_finished(), "the question goes on");
        assert_eq!(rig.reach.offline().unwrap().error.kind, Kind::Timeout);
        gate.open();
        asking.await.unwrap().unwrap();
        rig.reach.regained().await;
        assert!(rig.reach.offline().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_take_its_time() {
        let (rig, gate) = (rig(), Gate::new());
        let spec = Spec { path: RemotePath::parse("f").unwrap(), size: Some(1), sha1: None, replaces: None };
        rig.faults.add(Operation::PutWhole, When::Always, Fault::StallBefore(gate));
        let upload = rig.service.put_whole(&spec, Payload::from_bytes("x".into(), 0));
        tokio::time::timeout(10 * SILENCE, upload).await.unwrap_err();
        assert!(rig.reach.offline().is_none());
    }
}
