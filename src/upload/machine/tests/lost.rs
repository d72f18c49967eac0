//! Parts whose answers are lost, again and again: what arrived is no failure, what did not is not fought for without a
//! pause.

use super::*;

/// A wiki that takes so little at once that a file has more parts than there are tries.
fn small_parts() -> Capability {
    let mut wiki = like_a_wiki();
    let rules = PartRules { size: 4, ..*wiki.policy.rules().unwrap() };
    wiki.policy = SizePolicy::Streamed(rules);
    wiki
}

/// A wiki's file of 60 bytes, sent while every answer to a part is lost. The service has the part all the same if
/// `arrives`. What the machine did: the parts it sent, the pauses it made, and how it ended.
fn send(arrives: bool) -> (u32, Vec<Duration>, bool) {
    let mut machine = Machine::new(small_parts(), 0);
    let mut actions = machine.on(Event::Wrote { range: 0..60, size: 60 });
    actions.extend(machine.on(Event::Commit { id: CommitId(1) }));
    let (mut has, mut sent, mut pauses) = (0, 0, Vec::new());
    while !actions.is_empty() {
        let event = match actions.remove(0) {
            Action::Begin { first, .. } => {
                has = first.map_or(0, |cut| cut.range.end);
                let token = SessionToken { id: "s".into(), state: serde_json::Value::Null };
                Event::Began { result: Ok(Begun { token, receipt: Some(receipt(0, 0..has)) }) }
            }
            Action::Put { cut, .. } => {
                sent += 1;
                has = if arrives { cut.range.end } else { has };
                let lost = Error::new(Kind::Unreachable, "upload", "the answer is lost").retry(Retry::AskFirst);
                Event::Put { index: cut.index, result: Err(lost) }
            }
            Action::Probe { .. } => Event::Probed { result: Ok(Progress::Holds(vec![receipt(0, 0..has)])) },
            Action::Finish { .. } => Event::Finished { result: Ok(node(1)) },
            Action::Wait { delay } => {
                pauses.push(delay);
                Event::Again
            }
            Action::Committed { .. } => return (sent, pauses, true),
            Action::Failed { .. } => return (sent, pauses, false),
            Action::Age | Action::Abort { .. } | Action::Whole { .. } => continue,
        };
        actions.extend(machine.on(event));
    }
    panic!("the commit was never answered");
}

#[test]
fn a_network_that_loses_every_answer_does_not_stop_a_file_that_arrives() {
    let (sent, pauses, done) = send(true);
    assert!(done && sent > TRIES_MAX && pauses.is_empty(), "{sent} parts, {pauses:?}");
}

#[test]
fn a_part_that_never_arrives_is_sent_again_with_growing_pauses_and_then_given_up() {
    let (sent, pauses, done) = send(false);
    assert!(!done);
    assert_eq!(sent, TRIES_MAX + 1);
    assert!(pauses.is_sorted() && pauses.len() as u32 == TRIES_MAX - 1, "{pauses:?}");
    assert!(pauses.iter().sum::<Duration>() >= Duration::from_secs(20), "a server may be restarted: {pauses:?}");
}

#[test]
fn a_session_that_is_lost_under_several_parts_is_said_to_be_lost() {
    let mut machine = Machine::new(declared(Flow::Parallel(3)), 0);
    let mut actions = machine.on(Event::Wrote { range: 0..90, size: 90 });
    actions.extend(machine.on(Event::Commit { id: CommitId(1) }));
    let mut flying = Vec::new();
    let error = loop {
        let event = match actions.pop() {
            Some(Action::Begin { .. }) => {
                let token = SessionToken { id: "s".into(), state: serde_json::Value::Null };
                Event::Began { result: Ok(Begun { token, receipt: None }) }
            }
            Some(Action::Put { cut, .. }) => {
                flying.push(cut.index);
                continue;
            }
            Some(Action::Failed { error, .. }) => break error,
            Some(_) => continue,
            // All parts are under way before the first is answered.
            None => {
                let index = flying.pop().expect("the commit is answered in the end");
                Event::Put { index, result: Err(Error::new(Kind::NotFound, "put", "no such session")) }
            }
        };
        actions.extend(machine.on(event));
    };
    assert_eq!((error.kind, &*error.what), (Kind::Server, "no such session"));
}
