//! Everything fails once, or from then on: the disk at each of its operations, the service at each of its requests.
//! Whatever a program was told is true, and what it was not told is complete or not there.

use std::sync::{Arc, Mutex};

use super::life::{Life, families};
use super::script::{Ledger, Named, Pace, Script, compare};
use crate::error::Kind;
use crate::file::Close;
use crate::service::layer::Layered;
use crate::service::layer::fault::{Fault, Faults, When};
use crate::service::memory::Memory;
use crate::service::{Operation, Service};
use crate::spool::model::{End, Fate, Model};

/// Set for the full run: every operation, instead of some.
const FULL: &str = "FULL_RUN";

/// One life with everything that goes wrong in it, and the one after it, in which nothing does.
fn run(what: String, memory: &Arc<Memory>, service: Arc<dyn Service>, disk: Model, close: Close) {
    let _named = Named(what.clone());
    let ledger = Mutex::new(Ledger::default());
    let life = Life::before(service, disk, Fate::after(u64::MAX), close);
    life.live(async |life| Script { life, ledger: &ledger }.run(Pace::Calm).await);
    let fate = Fate::after(u64::MAX);
    let disk = life.end(End::Killed, fate.clone());
    let life = Life::begin(memory, disk, fate, close);
    life.arrive();
    compare(&what, memory, &life, &ledger.into_inner().unwrap(), true);
}

fn stride() -> u64 {
    if std::env::var_os(FULL).is_some() { 1 } else { 11 }
}

#[test]
fn every_operation_of_the_disk_may_fail() {
    let mut faults = 0;
    for close in [Close::Local, Close::Remote] {
        for errno in [libc::EIO, libc::ENOSPC] {
            for (number, (family, config)) in families().into_iter().enumerate() {
                for nth in (1 + number as u64..).step_by(stride() as usize) {
                    let disk = Model::new(Fate::after(u64::MAX));
                    disk.fail(nth, errno);
                    let memory = Arc::new(Memory::new(config.clone()));
                    let what = format!("{family}, {close:?} close, errno {errno} at operation {nth}");
                    run(what, &memory, memory.clone(), disk.clone(), close);
                    if disk.is_fault_left() {
                        break;
                    }
                    faults += 1;
                }
            }
        }
    }
    println!("{faults} faults of the disk");
    assert!(faults >= 50, "{faults}");
}

/// What goes wrong with a request, as often as `when` says.
fn faults_of_requests() -> [(&'static str, Fault); 4] {
    [
        ("lost", Fault::request_lost()),
        ("answer lost", Fault::AnswerLost),
        ("busy", Fault::busy(std::time::Duration::ZERO)),
        ("refused", Fault::refused(Kind::Denied)),
    ]
}

#[test]
fn every_request_may_fail() {
    let operations = [Operation::Begin, Operation::Put, Operation::Finish, Operation::PutWhole, Operation::Probe];
    let mut faults = 0;
    for (number, (family, config)) in families().into_iter().enumerate() {
        for (kind, (name, fault)) in faults_of_requests().into_iter().enumerate() {
            for (at, operation) in operations.into_iter().enumerate() {
                // A lost request is tried again after a while: in the quick run there are not many.
                let first = if stride() == 1 { 1 } else { 1 + (number + kind + at) as u64 % 3 };
                for nth in (first..).step_by(if stride() == 1 { 1 } else { 9 }) {
                    let (script, memory) = (Faults::new(), Arc::new(Memory::new(config.clone())));
                    script.add(operation, When::Nth(nth), fault.clone());
                    let what = format!("{family}, request {nth} of {operation:?}: {name}");
                    let service = Layered::wrap(memory.clone(), script.clone());
                    run(what, &memory, service, Model::new(Fate::after(u64::MAX)), Close::Local);
                    if !met(&memory, operation, nth) {
                        break;
                    }
                    faults += 1;
                }
            }
        }
    }
    println!("{faults} faults of requests, local close");
    assert!(faults >= 50, "{faults}");
}

/// Whether there were as many requests, those of the second life included, which only makes one run more.
fn met(memory: &Memory, operation: Operation, nth: u64) -> bool {
    memory.requests(operation) >= nth
}

#[test]
fn a_service_that_goes_away_for_good_loses_nothing() {
    for (family, config) in families() {
        for operation in [Operation::Begin, Operation::Put, Operation::Finish, Operation::PutWhole] {
            let (script, memory) = (Faults::new(), Arc::new(Memory::new(config.clone())));
            script.add(operation, When::From(2), Fault::refused(Kind::Unreachable));
            let service = Layered::wrap(memory.clone(), script.clone());
            let what = format!("{family}, {operation:?} refused from the second on");
            run(what, &memory, service, Model::new(Fate::after(u64::MAX)), Close::Local);
        }
    }
}
