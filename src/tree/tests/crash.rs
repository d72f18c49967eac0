//! Death at every step. A process lives through a script of what programs do, and dies at step 0, 1, 2, ... of its disk
//! and its requests: killed, or by a power cut. The next one goes on with what it finds. Whatever a program was told is
//! true then, and no file is there twice.

use std::sync::{Arc, Mutex};

use super::life::{Life, families};
use super::script::{Ledger, Named, Pace, Script, compare};
use crate::file::Close;
use crate::service::memory::{Memory, MemoryConfig};
use crate::spool::model::{End, Fate, Model};

/// Set for the full run: every step, instead of one in [`STRIDE`].
const FULL: &str = "FULL_RUN";
/// A number that shares no factor with the period of anything in the script.
const STRIDE: u64 = 7;

/// How one run goes.
#[derive(Clone, Copy, Debug)]
struct Plan {
    close: Close,
    pace: Pace,
    steps: u64,
    end: End,
    /// When the process that takes over dies, too.
    second: Option<u64>,
}

/// Lives and dies by the plan, takes over, and compares; whether the script came to its end.
fn run(family: &str, config: &MemoryConfig, plan: Plan) -> bool {
    let _named = Named(format!("{family}, {plan:?}"));
    let memory = Arc::new(Memory::new(config.clone()));
    let (fate, ledger) = (Fate::after(plan.steps), Mutex::new(Ledger::default()));
    let life = Life::begin(&memory, Model::new(fate.clone()), fate, plan.close);
    life.live(async |life| Script { life, ledger: &ledger }.run(plan.pace).await);
    let survived = !life.fate.is_over();
    let mut disk = life.end(plan.end, Fate::after(plan.second.unwrap_or(u64::MAX)));
    if let Some(steps) = plan.second {
        let fate = Fate::after(steps);
        let life = Life::begin(&memory, disk.next_life(End::Killed, fate.clone()), fate, plan.close);
        life.drain();
        disk = life.end(plan.end, Fate::after(u64::MAX));
    }
    let fate = Fate::after(u64::MAX);
    tracing::debug!(names = ?disk.listing(), "it is dead");
    let orphans = memory.open_sessions().len();
    let life = Life::begin(&memory, disk.next_life(End::Killed, fate.clone()), fate, plan.close);
    life.arrive();
    compare(&format!("{family}, {plan:?}"), &memory, &life, &ledger.into_inner().unwrap(), false);
    // Those of files that nobody had saved are left to the service's own clean-up; no other one is.
    assert!(memory.open_sessions().len() <= orphans, "{family}, {plan:?}: a session is left over");
    life.end(End::Killed, Fate::after(0));
    survived
}

/// All steps of one way to die, or some of them; how many deaths.
fn every_step(close: Close, pace: Pace, end: End, second: Option<u64>) -> u64 {
    let full = std::env::var_os(FULL).is_some();
    let mut deaths = 0;
    for (number, (family, config)) in families().into_iter().enumerate() {
        let (first, stride) = if full { (0, 1) } else { (number as u64, STRIDE) };
        let mut steps = first;
        while !run(family, &config, Plan { close, pace, steps, end, second }) {
            deaths += 1;
            steps += stride;
        }
    }
    println!("{deaths} deaths: {close:?} close, {pace:?}, {end:?}, second life {second:?}");
    deaths
}

#[test]
fn a_killed_process_has_told_the_truth_of_files_it_saved() {
    assert!(every_step(Close::Local, Pace::Calm, End::Killed, None) > 50);
}

#[test]
fn a_power_cut_takes_nothing_that_was_saved() {
    assert!(every_step(Close::Local, Pace::Calm, End::PowerCut(0), None) > 50);
    assert!(every_step(Close::Local, Pace::Calm, End::PowerCut(5), None) > 50);
}

#[test]
fn files_that_change_while_they_wait_arrive_as_they_were_last() {
    assert!(every_step(Close::Local, Pace::Hurried, End::Killed, None) > 50);
    assert!(every_step(Close::Local, Pace::Hurried, End::PowerCut(0), None) > 50);
}

#[test]
fn a_killed_process_has_told_the_truth_of_files_it_uploaded() {
    assert!(every_step(Close::Remote, Pace::Calm, End::Killed, None) > 50);
    assert!(every_step(Close::Remote, Pace::Calm, End::PowerCut(0), None) > 50);
}

#[test]
fn whoever_takes_over_may_die_as_well() {
    for second in [1, 3, 8, 14, 25] {
        assert!(every_step(Close::Local, Pace::Calm, End::PowerCut(second), Some(second)) > 50);
    }
}
