//! Files that nobody wants any more while they are sent, to a service whose last part makes the file: what became of it is
//! known before anything else happens.

use super::*;

/// A portal that makes the file of the last part.
fn portal(last_makes_file: bool) -> Capability {
    let rules = PartRules { hold_back: 1, last_makes_file, ..*declared(Flow::Sequential).policy.rules().unwrap() };
    Capability { policy: SizePolicy::Declared(rules), ..declared(Flow::Sequential) }
}

/// A machine whose commit of 16 bytes has sent its last part, of two; nothing is known of that one.
fn with_last_part_sent(last_makes_file: bool) -> Machine {
    let mut machine = Machine::new(portal(last_makes_file), 0);
    machine.on(Event::Wrote { range: 0..16, size: 16 });
    machine.on(Event::Commit { id: CommitId(1) });
    let token = SessionToken { id: "s".into(), state: serde_json::Value::Null };
    machine.on(Event::Began { result: Ok(Begun { token, receipt: None }) });
    let actions = machine.on(Event::Put { index: 0, result: Ok(receipt(0, 0..8)) });
    assert!(matches!(&actions[..], [Action::Put { cut, .. }] if cut.last), "{actions:?}");
    machine
}

fn arrives(machine: &mut Machine) -> Vec<Action> {
    machine.on(Event::Put { index: 1, result: Ok(receipt(1, 8..16)) })
}

fn is_lost(machine: &mut Machine) -> Vec<Action> {
    let lost = Error::new(Kind::Unreachable, "upload", "the answer is lost").retry(Retry::AskFirst);
    machine.on(Event::Put { index: 1, result: Err(lost) })
}

#[test]
fn a_file_that_the_last_part_has_made_is_known_before_it_is_forgotten() {
    let mut machine = with_last_part_sent(true);
    assert!(machine.on(Event::Discard).is_empty());
    // Its program goes on writing what it has removed.
    assert!(machine.on(Event::Wrote { range: 16..20, size: 20 }).is_empty());
    let actions = arrives(&mut machine);
    assert!(matches!(&actions[..], [Action::Finish { size: 16, .. }]), "{actions:?}");
    assert!(machine.is_busy() && machine.in_doubt());
    let actions = machine.on(Event::Finished { result: Ok(node(1)) });
    let made = |outcome: &Outcome| outcome.clean && outcome.node.is_some();
    assert!(matches!(&actions[..], [Action::Committed { outcome, .. }] if made(outcome)), "{actions:?}");
    assert!(!machine.is_busy() && !machine.is_dirty() && !machine.in_doubt());
}

#[test]
fn a_last_part_whose_answer_is_lost_is_asked_about() {
    let gone = Ok(Progress::Gone);
    let holds = Ok(Progress::Holds(vec![receipt(0, 0..8)]));
    for (told, made, given_up) in
        [(Ok(Progress::Finished(node(1))), true, false), (gone, false, false), (holds, false, true)]
    {
        let mut machine = with_last_part_sent(true);
        machine.on(Event::Discard);
        let actions = is_lost(&mut machine);
        assert!(matches!(&actions[..], [Action::Probe { .. }]), "{actions:?}");
        let actions = machine.on(Event::Probed { result: told });
        let is_made = |action: &Action| matches!(action, Action::Committed { outcome, .. } if outcome.node.is_some());
        assert_eq!(actions.iter().any(is_made), made, "{actions:?}");
        assert_eq!(actions.iter().any(|action| matches!(action, Action::Abort { .. })), given_up, "{actions:?}");
        assert!(!machine.is_busy() && !machine.in_doubt());
    }
}

#[test]
fn what_came_too_late_for_its_program_is_known_as_well() {
    let mut machine = with_last_part_sent(true);
    let actions = machine.on(Event::Deadline);
    assert!(matches!(&actions[..], [Action::Failed { .. }]), "{actions:?}");
    let actions = arrives(&mut machine);
    assert!(matches!(&actions[..], [Action::Finish { .. }]), "{actions:?}");
    machine.on(Event::Finished { result: Ok(node(1)) });
    assert!(!machine.is_dirty() && machine.failure().is_none(), "the service has it after all");
}

#[test]
fn a_refusal_for_good_ends_it() {
    let mut machine = with_last_part_sent(true);
    machine.on(Event::Discard);
    arrives(&mut machine);
    let refused = Error::new(Kind::Corrupt, "upload", "another size").retry(Retry::Never);
    let actions = machine.on(Event::Finished { result: Err(refused) });
    assert!(actions.iter().any(|action| matches!(action, Action::Abort { .. })), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Finish { .. })) && !machine.is_busy());
}

#[test]
fn where_parts_make_nothing_they_are_given_up() {
    let mut machine = with_last_part_sent(false);
    machine.on(Event::Discard);
    let actions = arrives(&mut machine);
    assert!(matches!(&actions[..], [Action::Abort { .. }, Action::Committed { .. }]), "{actions:?}");
    assert!(!machine.is_busy());
}
