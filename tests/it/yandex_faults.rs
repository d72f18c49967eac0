//! A Yandex Wiki behind a bad network: every request of an upload meets every fault, once and for ever. What counts is what
//! the wiki itself has afterwards (the right bytes, attached once, no session, no credential at its storage) and what the
//! program was told. Time is turned by hand (`support::clock`): a minute of silence takes milliseconds.

mod chance;
mod expect;
mod patience;
mod plain;
mod site;

use std::time::Duration;

use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};

use self::expect::{Told, orphans_max, told};
use self::site::{Old, Scene, Site, each};
use crate::support::upload::text;

/// A close waits so long, as in a mount that nobody configured.
const DEADLINE: Duration = Duration::from_secs(600);

/// An upload, and the fault that it meets.
#[derive(Clone, Debug)]
struct Case {
    scene: Scene,
    rule: Rule,
    told: Told,
}

/// Every fault of a wiki and of the way to it; those that differ little take turns.
fn faults(turn: usize) -> Vec<Fault> {
    let answer = |when, status: u16, wait: Option<u64>| {
        // A limiter says nothing, a gateway shows a page.
        let body = if status == 429 { String::new() } else { format!("<html>{status}</html>") };
        Fault::Answer { when, status, retry_after_s: wait, body }
    };
    let hows = [How::Reset, How::Close];
    let mut faults = vec![
        answer(When::Before, 429, Some(1)),
        answer(When::Before, 500, None),
        answer(When::Before, [502, 504][turn % 2], None),
        answer(When::Before, 503, [None, Some(2)][turn % 2]),
        answer(When::After, [500, 502, 504][turn % 3], None),
        Fault::Drop { when: When::Before, how: hows[turn % 2] },
        Fault::Drop { when: When::After, how: hows[(turn + 1) % 2] },
        Fault::Drop { when: When::Before, how: How::Silence },
        Fault::Drop { when: When::After, how: How::Silence },
        Fault::Delay { when: [When::Before, When::After][turn % 2], ms: 3 },
        Fault::CutRequest { at: [0, 20, 700][turn % 3], how: hows[turn % 2] },
        Fault::CutAnswer { at: [0, 10][turn % 2], how: hows[(turn + 1) % 2] },
    ];
    let injections = [Injection::ExpiredToken, Injection::LostSession, Injection::Quota, Injection::Locked];
    faults.extend(injections.map(|what| Fault::Inject { what }));
    faults
}

/// The requests of an upload without faults, by kind.
fn requests(scene: Scene) -> Vec<(String, u64)> {
    let site = Site::new(scene);
    let before = site.yandex.state().requests;
    site.run(DEADLINE, async |desk| desk.write(&text(scene.size.bytes(), 1)).await.unwrap());
    let more = |(kind, count): (String, u64)| {
        let more = count - before.get(&kind).copied().unwrap_or(0);
        (more > 0).then_some((kind, more))
    };
    site.yandex.state().requests.into_iter().filter_map(more).collect()
}

/// Every fault at every request of an upload, or at all of a kind where it lasts.
fn cases(scene: Scene, times: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (turn, (kind, count)) in requests(scene).into_iter().enumerate() {
        let all = if times == 0 { 1..=1 } else { 1..=count };
        for nth in all {
            let turn = turn + usize::try_from(nth).unwrap() + scene.size.bytes();
            for fault in faults(turn) {
                let rule = Rule { kind: kind.clone(), nth, times, fault };
                if let Some(told) = told(&rule) {
                    cases.push(Case { scene, rule, told });
                }
            }
        }
    }
    cases
}

fn run(case: &Case) {
    let (scene, site) = (case.scene, Site::new(case.scene));
    let (new, newest) = (text(scene.size.bytes(), 1), text(scene.size.bytes() - 1, 2));
    site.run(DEADLINE, async |desk| {
        site.yandex.portal.add_fault(case.rule.clone());
        let told = desk.write(&new).await;
        let is_kept_from_going = case.rule.kind == "delete_attachment" && case.rule.times == 0;
        let old = if is_kept_from_going { Old::MayStay } else { Old::Goes };
        let kept = site.judge_with(&site.untouched(), &new, &told, old);
        case.told.check(&told);
        let kept = site.recovered(desk, kept, &new, &told).await;
        desk.write(&newest).await.unwrap();
        site.assert_settled(&kept, &newest);
    });
    site.assert_in_order(orphans_max(&case.rule));
}

fn at_every_request(times: u64) {
    let cases: Vec<Case> = Scene::all().flat_map(|scene| cases(scene, times)).collect();
    each(&cases, run, |case| format!("{:?} {:?}: {:?}", case.scene, case.rule, case.told));
}

#[test]
fn every_request_of_an_upload_may_meet_every_fault() {
    at_every_request(1);
}

#[test]
fn a_fault_that_lasts_is_told_and_nothing_is_half_done() {
    at_every_request(0);
}
