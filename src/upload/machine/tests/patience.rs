//! How long the machine waits: for a service that is still at work, and for one that is not there.

use super::*;
use crate::upload::machine::answers::UNKNOWNS_COUNTED;
use crate::upload::machine::{TRIES_MAX, UNKNOWNS_MAX};

/// A machine whose one whole upload is in doubt.
fn in_doubt() -> Machine {
    let mut machine = Machine::new(whole_only(), 0);
    machine.on(Event::Wrote { range: 0..10, size: 10 });
    let asked = machine.on(Event::Commit { id: CommitId(1) });
    assert!(matches!(asked[..], [Action::Whole { size: 10 }]), "{asked:?}");
    let silence = Error::new(Kind::Timeout, "test", "silence").retry(Retry::AskFirst);
    let asked = machine.on(Event::Finished { result: Err(silence) });
    assert!(matches!(asked[..], [Action::Probe { .. }]), "{asked:?}");
    machine
}

/// Answers one probe; what the machine does then, after its wait.
fn probed(machine: &mut Machine, result: Result<Progress>) -> Vec<Action> {
    let actions = machine.on(Event::Probed { result });
    match actions[..] {
        [Action::Wait { .. }] => machine.on(Event::Again),
        _ => actions,
    }
}

#[test]
fn a_service_that_says_it_is_at_work_is_waited_for() {
    let mut machine = in_doubt();
    for _ in 0..20 * TRIES_MAX {
        let actions = probed(&mut machine, Ok(Progress::Unknown));
        assert!(matches!(actions[..], [Action::Probe { .. }]), "{actions:?}");
    }
    let actions = probed(&mut machine, Ok(Progress::Finished(node(1))));
    assert!(matches!(actions[..], [Action::Committed { .. }]), "{actions:?}");
    assert!(!machine.is_dirty());
}

/// A network that loses every publication: each time the service is asked until it cannot be at work any more.
#[test]
fn doubts_that_end_in_nothing_have_an_end() {
    let mut machine = in_doubt();
    let mut sent = 1;
    loop {
        for _ in 0..UNKNOWNS_COUNTED {
            let actions = probed(&mut machine, Ok(Progress::Unknown));
            assert!(matches!(actions[..], [Action::Probe { .. }]), "{actions:?}");
        }
        let actions = probed(&mut machine, Ok(Progress::Gone));
        assert!(matches!(actions[..], [Action::Whole { .. }]), "{actions:?}");
        sent += 1;
        let silence = Error::new(Kind::Timeout, "test", "silence").retry(Retry::AskFirst);
        let mut actions = machine.on(Event::Finished { result: Err(silence) });
        if matches!(actions[..], [Action::Wait { .. }]) {
            actions = machine.on(Event::Again);
        }
        match &actions[..] {
            [Action::Probe { .. }] => {}
            [Action::Failed { error, .. }] if error.kind == Kind::Timeout => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, 4);
}

#[test]
fn one_that_never_says_anything_else_is_not() {
    let mut machine = in_doubt();
    for _ in 0..UNKNOWNS_MAX {
        let actions = probed(&mut machine, Ok(Progress::Unknown));
        assert!(matches!(actions[..], [Action::Probe { .. }]), "{actions:?}");
    }
    let actions = probed(&mut machine, Ok(Progress::Unknown));
    assert!(matches!(&actions[..], [Action::Failed { error, .. }] if error.kind == Kind::Timeout), "{actions:?}");
    assert!(machine.is_dirty());
}

#[test]
fn one_that_is_not_there_is_given_up_after_some_tries() {
    let mut machine = in_doubt();
    let away = || Err(Error::new(Kind::Unreachable, "test", "no route").retry(Retry::After(Duration::ZERO)));
    for _ in 1..TRIES_MAX {
        let actions = probed(&mut machine, away());
        assert!(matches!(actions[..], [Action::Probe { .. }]), "{actions:?}");
        // A word in between does not make it wait for ever.
        probed(&mut machine, Ok(Progress::Unknown));
    }
    let actions = probed(&mut machine, away());
    assert!(matches!(&actions[..], [Action::Failed { error, .. }] if error.kind == Kind::Unreachable), "{actions:?}");
}
