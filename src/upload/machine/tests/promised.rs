//! Sizes that were promised: when they open a session, and what becomes of wrong ones.

use super::*;

/// A machine of a service that must know the size, with 20 bytes written and `size` promised; what it did about it.
fn promised(size: u64) -> (Machine, Vec<Action>) {
    let mut machine = Machine::new(declared(Flow::Parallel(3)), 0);
    assert!(!begins(&machine.on(Event::Wrote { range: 0..20, size: 20 })), "the size is not known");
    let actions = machine.on(Event::Promised { size });
    (machine, actions)
}

fn begins(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Begin { .. }))
}

fn begun() -> Event {
    let token = SessionToken { id: "s".into(), state: serde_json::Value::Null };
    Event::Began { result: Ok(Begun { token, receipt: None }) }
}

fn refused(kind: Kind) -> Event {
    Event::Began { result: Err(Error::new(kind, "test", "refused")) }
}

#[test]
fn a_promise_opens_a_session_at_once() {
    let (mut machine, actions) = promised(30);
    assert!(matches!(actions[..], [Action::Begin { size: Some(30), .. }]), "{actions:?}");
    let actions = machine.on(begun());
    let puts = actions.iter().filter(|action| matches!(action, Action::Put { .. })).count();
    assert_eq!(puts, 2, "the parts that are complete: {actions:?}");
}

#[test]
fn what_was_promised_before_the_file_was_cut_does_not_count() {
    let mut machine = Machine::new(declared(Flow::Sequential), 0);
    machine.on(Event::Resized { size: 30 });
    machine.on(Event::Promised { size: 30 });
    machine.on(Event::Resized { size: 0 });
    assert!(!begins(&machine.on(Event::Wrote { range: 0..20, size: 20 })));
    assert!(begins(&machine.on(Event::Promised { size: 25 })));
}

#[test]
fn a_refusal_that_may_be_about_the_size_is_not_about_the_file() {
    for kind in [Kind::TooLarge, Kind::Quota, Kind::ServerFull] {
        let (mut machine, _) = promised(900);
        assert!(!begins(&machine.on(refused(kind))), "not while it is written");
        assert!(machine.failure().is_none());
        let actions = machine.on(Event::Commit { id: CommitId(1) });
        assert!(matches!(actions[..], [Action::Begin { size: Some(20), .. }]), "{actions:?}");
        // Of the true size it is the last word.
        let actions = machine.on(refused(kind));
        assert!(matches!(&actions[..], [Action::Failed { error, .. }] if error.kind == kind), "{actions:?}");
    }
    let (mut machine, _) = promised(900);
    machine.on(refused(Kind::Denied));
    assert_eq!(machine.failure().map(|error| error.kind), Some(Kind::Denied), "whatever its size");
}
