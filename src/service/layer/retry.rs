//! Sends again what may be sent again, and only that. What decides is the error's [`Retry`] and the kind of request;
//! an upload in doubt is left to the upload machine, which asks the service before it sends.
//!
//! `begin`, `finish` and `put_whole` are never repeated here, not even when they were definitely not done: the machine
//! knows whether the name, the size or the session has changed meanwhile, this layer does not.
//!
//! A server that is in trouble is not helped by hundreds of requests that are each sent six times: repeating has a budget,
//! which every request of the mount draws on while nothing succeeds, and which the first success fills again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Answer, Call, Layer};
use crate::error::{Error, Result, Retry};
use crate::service::Operation;

/// How often and how long a request is tried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Attempts, the first one included.
    pub attempts_max: u32,
    /// No attempt begins later than this after the first one.
    pub total_max: Duration,
    /// The longest wait before the second attempt; it doubles with each further one.
    pub delay_first: Duration,
    /// The longest wait that is not the service's own wish.
    pub delay_max: Duration,
}

/// So many repetitions may come to nothing, over all requests, before none is made any more: what two uploads and two
/// questions that meet a dead server use up.
const FRUITLESS_MAX: u32 = 20;

/// The layer: a policy, and what the mount has used of its budget.
#[derive(Debug, Default)]
pub struct Retries {
    policy: RetryPolicy,
    /// Repetitions since a request last succeeded, or was refused for good.
    fruitless: AtomicU32,
}

impl Retries {
    /// Requests are repeated by `policy`.
    pub fn new(policy: RetryPolicy) -> Self {
        Retries { policy, fruitless: AtomicU32::new(0) }
    }

    /// The wait before a request that failed with `error` is repeated, if it is.
    fn wait_after(&self, attempt: u32, operation: Operation, error: &Error) -> Option<Duration> {
        if error.retry == Retry::Never {
            // Somebody is there, and answers.
            self.fruitless.store(0, Ordering::Relaxed);
        }
        let wait = self.policy.wait_after(attempt, operation, error)?;
        (self.fruitless.fetch_add(1, Ordering::Relaxed) < FRUITLESS_MAX).then_some(wait)
    }
}

impl Default for RetryPolicy {
    /// Six attempts bridge the restart of a web server (about 5 s); 60 s is longer than a metadata reply may take, so
    /// that the caller's deadline decides and not this one.
    fn default() -> Self {
        RetryPolicy {
            attempts_max: 6,
            total_max: Duration::from_secs(60),
            delay_first: Duration::from_millis(250),
            delay_max: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// The wait after attempt `attempt` (from 1) failed with `error`; `None` when the error is final.
    fn wait_after(&self, attempt: u32, operation: Operation, error: &Error) -> Option<Duration> {
        if attempt >= self.attempts_max || !may_repeat(operation, error.retry) {
            return None;
        }
        let asked = match error.retry {
            Retry::After(wait) => wait,
            Retry::AskFirst | Retry::Never => Duration::ZERO,
        };
        Some(asked.max(self.backoff(attempt)))
    }

    /// Full jitter: anything up to the doubled limit, so that many clients of one restarted server spread out.
    fn backoff(&self, attempt: u32) -> Duration {
        let doubled = self.delay_first.saturating_mul(1 << attempt.saturating_sub(1).min(16));
        doubled.min(self.delay_max).mul_f64(fastrand::f64())
    }
}

/// Whether a request that failed so may be sent again without asking first.
fn may_repeat(operation: Operation, retry: Retry) -> bool {
    match retry {
        Retry::Never => false,
        // Doubt about a question is harmless: it is asked again.
        Retry::AskFirst => operation.only_asks(),
        // Definitely not done.
        Retry::After(_) => !matches!(operation, Operation::Begin | Operation::Finish | Operation::PutWhole),
    }
}

impl Layer for Retries {
    async fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T> {
        let deadline = Instant::now() + self.policy.total_max;
        let mut attempt = 1;
        loop {
            let error = match run().await {
                Ok(answer) => {
                    self.fruitless.store(0, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let wait = self.wait_after(attempt, call.operation, &error);
            let Some(wait) = wait.filter(|wait| Instant::now() + *wait <= deadline) else {
                return Err(counted(error, attempt));
            };
            tracing::debug!(operation = %call.operation, subject = %call.subject, attempt, ?wait, "{error}: trying again");
            sleep(wait).await;
            attempt += 1;
        }
    }
}

/// `error` with the number of attempts in its words, when there was more than one.
fn counted(mut error: Error, attempts: u32) -> Error {
    if attempts > 1 {
        error.what = format!("{} (after {attempts} attempts)", error.what).into();
    }
    error
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Layered;
    use super::super::fault::{Fault, Faults, When};
    use super::*;
    use crate::error::Kind;
    use crate::path::RemotePath;
    use crate::service::memory::{Memory, MemoryConfig};
    use crate::service::{Part, Payload, Service, Spec};

    const ALL: [Operation; 13] = [
        Operation::Check,
        Operation::Stat,
        Operation::List,
        Operation::Read,
        Operation::Mkdir,
        Operation::Remove,
        Operation::Rename,
        Operation::Begin,
        Operation::Put,
        Operation::Finish,
        Operation::Probe,
        Operation::Abort,
        Operation::PutWhole,
    ];

    struct Rig {
        memory: Arc<Memory>,
        faults: Arc<Faults>,
        service: Arc<dyn Service>,
    }

    fn rig(policy: RetryPolicy) -> Rig {
        let memory = Arc::new(Memory::new(MemoryConfig::friendly()));
        let faults = Faults::new();
        let service = Layered::wrap(Layered::wrap(memory.clone(), faults.clone()), Retries::new(policy));
        Rig { memory, faults, service }
    }

    fn spec() -> Spec {
        Spec { path: RemotePath::parse("f").unwrap(), size: Some(4), sha1: None, replaces: None }
    }

    /// Runs each operation on a service where it would succeed; whether it did.
    async fn run(service: &Arc<dyn Service>, operation: Operation) -> Result<()> {
        let (root, file, other) = (RemotePath::root(), spec().path, RemotePath::parse("other").unwrap());
        let payload = Payload::from_bytes("text".into(), 0);
        let node = service.put_whole(&spec(), payload.clone()).await?;
        let token = service.begin(&spec(), None).await?.token;
        let part = Part { index: 0, payload: payload.clone(), last: true };
        match operation {
            Operation::Check => service.check().await.map(drop),
            Operation::Stat => service.stat(&file).await.map(drop),
            Operation::List => service.list(&root, None).await.map(drop),
            Operation::Read => service.read(&file, &node, 0..4).await.map(drop),
            Operation::Mkdir => service.mkdir(&other).await.map(drop),
            Operation::Remove => service.remove(&file, &node).await,
            Operation::Rename => service.rename(&file, &node, &other).await.map(drop),
            Operation::Put => service.put(&spec(), &token, part).await.map(drop),
            Operation::Finish => {
                let receipt = service.put(&spec(), &token, part).await?;
                service.finish(&spec(), &token, &[receipt]).await.map(drop)
            }
            Operation::Probe => service.probe(&spec(), Some((&token, &[]))).await.map(drop),
            Operation::Abort => service.abort(&token).await,
            Operation::Admit | Operation::Begin | Operation::PutWhole => Ok(()),
        }
    }

    /// Which operations succeed although their first attempt fails with `fault`.
    async fn repeated(fault: impl Fn() -> Fault) -> Vec<Operation> {
        let mut survivors = Vec::new();
        for operation in ALL {
            let rig = rig(RetryPolicy::default());
            rig.faults.add(operation, When::Nth(1), fault());
            if run(&rig.service, operation).await.is_ok() {
                survivors.push(operation);
            }
            assert_eq!(rig.memory.violations(), [""; 0]);
        }
        survivors
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_done_is_done_again_except_the_steps_of_the_upload_machine() {
        let survivors = repeated(|| Fault::busy(Duration::ZERO)).await;
        let left_to_the_machine = [Operation::Begin, Operation::Finish, Operation::PutWhole];
        assert_eq!(survivors, ALL.into_iter().filter(|op| !left_to_the_machine.contains(op)).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn in_doubt_only_questions_are_asked_again() {
        let questions = ALL.into_iter().filter(|operation| operation.only_asks()).collect::<Vec<_>>();
        assert_eq!(questions.len(), 5);
        assert_eq!(repeated(|| Fault::AnswerLost).await, questions);
        assert_eq!(repeated(Fault::request_lost).await, questions);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final() {
        assert_eq!(repeated(|| Fault::refused(Kind::Denied)).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded_and_counted() {
        let rig = rig(RetryPolicy { attempts_max: 3, ..RetryPolicy::default() });
        rig.faults.add(Operation::Stat, When::Always, Fault::busy(Duration::ZERO));
        let error = rig.service.stat(&RemotePath::root()).await.unwrap_err();
        assert!(error.to_string().contains("after 3 attempts"), "{error}");
        assert_eq!(rig.faults.count(Operation::Stat), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_succeeds_nothing_is_repeated_for_long() {
        let rig = rig(RetryPolicy::default());
        let root = RemotePath::root();
        rig.faults.add(Operation::Stat, When::Always, Fault::busy(Duration::ZERO));
        let asked = async |times: u64| {
            let before = rig.faults.count(Operation::Stat);
            for _ in 0..times {
                rig.service.stat(&root).await.unwrap_err();
            }
            rig.faults.count(Operation::Stat) - before
        };
        assert_eq!(asked(20).await, 20 + u64::from(FRUITLESS_MAX));
        assert_eq!(asked(20).await, 20, "one attempt each");
        rig.service.list(&root, None).await.unwrap();
        assert_eq!(asked(1).await, 6, "something has succeeded");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_a_sign_of_life() {
        let rig = rig(RetryPolicy::default());
        let root = RemotePath::root();
        rig.faults.add(Operation::Stat, When::Always, Fault::busy(Duration::ZERO));
        for _ in 0..20 {
            rig.service.stat(&root).await.unwrap_err();
        }
        rig.faults.add(Operation::List, When::Always, Fault::refused(Kind::Denied));
        rig.service.list(&root, None).await.unwrap_err();
        let before = rig.faults.count(Operation::Stat);
        rig.service.stat(&root).await.unwrap_err();
        assert_eq!(rig.faults.count(Operation::Stat) - before, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_is_given_the_time_it_asks_for_but_not_more_than_there_is() {
        let rig = rig(RetryPolicy { total_max: Duration::from_secs(60), ..RetryPolicy::default() });
        let start = Instant::now();
        rig.faults.add(Operation::Stat, When::Nth(1), Fault::busy(Duration::from_secs(30)));
        rig.service.stat(&RemotePath::root()).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 30);
        rig.faults.add(Operation::List, When::Nth(1), Fault::busy(Duration::from_secs(61)));
        let start = Instant::now();
        rig.service.list(&RemotePath::root(), None).await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::ZERO, "a wait that cannot help is not waited");
    }

    #[test]
    fn the_wait_grows_to_its_limit_and_no_further() {
        let policy = RetryPolicy::default();
        for attempt in 1..100 {
            let most = policy.delay_first.as_secs_f64() * 2f64.powi(attempt - 1);
            let wait = policy.backoff(u32::try_from(attempt).unwrap());
            assert!(wait <= policy.delay_max && wait.as_secs_f64() <= most, "{attempt}: {wait:?}");
        }
    }
}
