//! A network that fails as told: scripted faults by kind of request and occurrence, random ones by seed, requests that
//! stall until they are let go, a slow link. For tests and benchmarks; no mount has it in its stack.
//!
//! A scripted fault says whether the service had already carried the request out: that is the whole difference between
//! a request that was lost and an answer that was lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Answer, Call, Layer};
use crate::error::{Error, Kind, Result, Retry};
use crate::service::Operation;

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request never arrives, or is refused: this error, and nothing was done.
    Before(Error),
    /// The request is carried out, and its answer never comes.
    AnswerLost,
    /// The request is carried out after this time.
    Delay(Duration),
    /// The request waits at the gate, and is then carried out.
    StallBefore(Gate),
    /// The request is carried out, and its answer waits at the gate.
    StallAfter(Gate),
}

impl Fault {
    /// A definite refusal.
    pub fn refused(kind: Kind) -> Fault {
        Fault::Before(Error::new(kind, "fault", "refused, as told"))
    }

    /// Definitely not done; may be sent again after `wait`.
    pub fn busy(wait: Duration) -> Fault {
        let error = Error::new(Kind::Busy, "fault", "busy, as told");
        Fault::Before(error.retry(Retry::After(wait)))
    }

    /// Not done, but nobody can know.
    pub fn request_lost() -> Fault {
        Fault::Before(in_doubt())
    }
}

fn in_doubt() -> Error {
    Error::new(Kind::Timeout, "fault", "no answer, as told").retry(Retry::AskFirst)
}

/// Which requests of a kind a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only this one, counted from 1 and over everything the layer has seen.
    Nth(u64),
    /// This one and all after it.
    From(u64),
    /// All.
    Always,
}

impl When {
    fn hits(self, count: u64) -> bool {
        match self {
            When::Nth(nth) => count == nth,
            When::From(nth) => count >= nth,
            When::Always => true,
        }
    }
}

/// Where requests wait until a test lets them go.
#[derive(Clone, Debug)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
    arrived: Arc<watch::Sender<u64>>,
}

impl Gate {
    /// A closed gate.
    #[allow(clippy::new_without_default, reason = "a default that blocks would surprise")]
    pub fn new() -> Gate {
        Gate { open: Arc::new(watch::Sender::new(false)), arrived: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets everyone go, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until somebody waits here, or has.
    pub async fn reached(&self) {
        self.arrivals(1).await;
    }

    /// Waits until so many requests have come here.
    pub async fn arrivals(&self, count: u64) {
        let mut arrived = self.arrived.subscribe();
        arrived.wait_for(|have| *have >= count).await.expect("the gate holds its own sender");
    }

    async fn pass(&self) {
        self.arrived.send_modify(|count| *count += 1);
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.expect("the gate holds its own sender");
    }
}

/// What is to go wrong. The layer is shared: a test keeps a handle and changes its mind while requests run.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    script: Vec<(Operation, When, Fault)>,
    random: Option<Random>,
    counts: BTreeMap<Operation, u64>,
    latency: Duration,
    /// The rate of the link in bytes per second, and when it has sent what it was given.
    link: Option<(u64, Instant)>,
}

#[derive(Debug)]
struct Random {
    dice: fastrand::Rng,
    one_in: u32,
}

impl Random {
    fn draw(&mut self) -> Option<Fault> {
        if self.dice.u32(0..self.one_in) != 0 {
            return None;
        }
        let kinds = [Fault::request_lost(), Fault::AnswerLost, Fault::busy(Duration::ZERO)];
        self.dice.choice(kinds)
    }
}

impl Faults {
    /// A network that works.
    pub fn new() -> Arc<Faults> {
        let state =
            State { script: Vec::new(), random: None, counts: BTreeMap::new(), latency: Duration::ZERO, link: None };
        Arc::new(Faults { state: Mutex::new(state) })
    }

    /// Adds a fault to the script. Where several hit one request, the first added counts.
    pub fn add(&self, operation: Operation, when: When, fault: Fault) {
        self.state().script.push((operation, when, fault));
    }

    /// From now on one in `one_in` requests fails (lost request, lost answer, busy), the same ones for the same seed
    /// and the same order of requests.
    pub fn random(&self, seed: u64, one_in: u32) {
        self.state().random = Some(Random { dice: fastrand::Rng::with_seed(seed), one_in: one_in.max(1) });
    }

    /// From now on everything works: script and chance are forgotten, what stalls goes on stalling.
    pub fn heal(&self) {
        let mut state = self.state();
        state.script.clear();
        state.random = None;
    }

    /// From now on the bytes of all uploads share a link of this rate.
    pub fn bandwidth(&self, bytes_per_second: u64) {
        self.state().link = Some((bytes_per_second.max(1), Instant::now()));
    }

    /// From now on each request takes this long on top.
    pub fn latency(&self, latency: Duration) {
        self.state().latency = latency;
    }

    /// How many requests of this kind came so far.
    pub fn count(&self, operation: Operation) -> u64 {
        self.state().counts.get(&operation).copied().unwrap_or(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test inside the lock leaves a script that is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the request; what goes wrong with it, and when its bytes have passed the link.
    fn meet(&self, call: &Call<'_>) -> (Option<Fault>, Instant) {
        let mut state = self.state();
        let count = state.counts.entry(call.operation).or_default();
        *count += 1;
        let count = *count;
        let scripted =
            state.script.iter().find(|(operation, when, _)| *operation == call.operation && when.hits(count));
        let fault = scripted.map(|(_, _, fault)| fault.clone());
        let fault = fault.or_else(|| state.random.as_mut().and_then(Random::draw));
        let mut arrives = Instant::now();
        if let Some((rate, free_at)) = state.link.as_mut().filter(|_| call.bytes > 0) {
            let takes = Duration::from_secs_f64(call.bytes as f64 / *rate as f64);
            *free_at = arrives.max(*free_at) + takes;
            arrives = *free_at;
        }
        (fault, arrives + state.latency)
    }
}

impl Layer for Faults {
    async fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        run: impl Fn() -> Answer<'a, T> + Send + Sync + 'a,
    ) -> Result<T> {
        let (fault, arrives) = self.meet(&call);
        if arrives > Instant::now() {
            sleep_until(arrives).await;
        }
        match fault {
            None => run().await,
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::AnswerLost) => {
                // Even a refusal is lost on its way back.
                drop(run().await);
                Err(in_doubt())
            }
            Some(Fault::Delay(time)) => {
                sleep(time).await;
                run().await
            }
            Some(Fault::StallBefore(gate)) => {
                gate.pass().await;
                run().await
            }
            Some(Fault::StallAfter(gate)) => {
                let answer = run().await;
                gate.pass().await;
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layered;
    use super::*;
    use crate::path::RemotePath;
    use crate::service::memory::{Memory, MemoryConfig};
    use crate::service::{Payload, Service, Spec};

    fn rig() -> (Arc<Memory>, Arc<Faults>, Arc<dyn Service>) {
        let (memory, faults) = (Arc::new(Memory::new(MemoryConfig::friendly())), Faults::new());
        (memory.clone(), faults.clone(), Layered::wrap(memory, faults))
    }

    async fn upload(service: &Arc<dyn Service>, size: u64) -> Result<()> {
        let spec = Spec { path: RemotePath::parse("f").unwrap(), size: Some(size), sha1: None, replaces: None };
        let bytes = vec![0; usize::try_from(size).unwrap()];
        service.put_whole(&spec, Payload::from_bytes(bytes.into(), 0)).await.map(drop)
    }

    #[tokio::test]
    async fn a_fault_hits_the_occurrence_it_names() {
        let (_, faults, service) = rig();
        faults.add(Operation::Stat, When::Nth(2), Fault::refused(Kind::Denied));
        faults.add(Operation::Stat, When::From(4), Fault::refused(Kind::Quota));
        let mut kinds = Vec::new();
        for _ in 0..5 {
            kinds.push(service.stat(&RemotePath::root()).await.err().map(|error| error.kind));
        }
        assert_eq!(kinds, [None, Some(Kind::Denied), None, Some(Kind::Quota), Some(Kind::Quota)]);
        service.list(&RemotePath::root(), None).await.unwrap();
        faults.heal();
        service.stat(&RemotePath::root()).await.unwrap();
        assert_eq!(faults.count(Operation::Stat), 6);
    }

    #[tokio::test]
    async fn a_lost_answer_was_done_and_a_lost_request_was_not() {
        for (fault, files) in [(Fault::AnswerLost, 1), (Fault::request_lost(), 0)] {
            let (memory, faults, service) = rig();
            faults.add(Operation::PutWhole, When::Nth(1), fault);
            assert!(upload(&service, 1).await.unwrap_err().in_doubt());
            assert_eq!(memory.files().len(), files);
        }
    }

    #[tokio::test]
    async fn a_gate_holds_before_or_after_the_work() {
        for (after, files) in [(false, 0), (true, 1)] {
            let (memory, faults, service) = rig();
            let gate = Gate::new();
            let fault = if after { Fault::StallAfter(gate.clone()) } else { Fault::StallBefore(gate.clone()) };
            faults.add(Operation::PutWhole, When::Always, fault);
            let task = tokio::spawn(async move { upload(&service, 1).await });
            gate.reached().await;
            assert_eq!(memory.files().len(), files);
            gate.open();
            task.await.unwrap().unwrap();
            assert_eq!(memory.files().len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_uploads_share_one_link() {
        let (_, faults, service) = rig();
        faults.bandwidth(1000);
        let start = Instant::now();
        let (a, b) = tokio::join!(upload(&service, 500), upload(&service, 1500));
        a.and(b).unwrap();
        assert_eq!(start.elapsed().as_millis(), 2000);
        service.stat(&RemotePath::root()).await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 2000, "a question does not wait for the link");
    }

    #[tokio::test(start_paused = true)]
    async fn latency_and_delay_are_waited() {
        let (_, faults, service) = rig();
        faults.latency(Duration::from_millis(100));
        faults.add(Operation::Stat, When::Nth(1), Fault::Delay(Duration::from_secs(1)));
        let start = Instant::now();
        service.stat(&RemotePath::root()).await.unwrap();
        assert_eq!(start.elapsed().as_millis(), 1100);
    }

    #[tokio::test]
    async fn chance_repeats_itself_by_seed() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let (_, faults, service) = rig();
            faults.random(7, 4);
            let mut failed = Vec::new();
            for count in 0..200 {
                if service.stat(&RemotePath::root()).await.is_err() {
                    failed.push(count);
                }
            }
            runs.push(failed);
        }
        assert_eq!(runs[0], runs[1]);
        assert!((20..=90).contains(&runs[0].len()), "{}", runs[0].len());
    }
}
