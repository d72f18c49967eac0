//! A portal behind a bad network: every request of an upload meets every fault, once and for ever, on every generation.
//! What counts is what the portal itself has afterwards (the right bytes, once, in the right number of versions) and
//! what the program was told. Time is turned by hand (`support::clock`): a minute of silence takes milliseconds.

mod chance;
mod expect;
mod patience;
mod plain;
mod site;
mod twins;

use std::time::Duration;

use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};
use uploadfs::portal::onlyoffice::Generation;

use self::expect::{Told, told};
use self::site::{Before, Scene, Site, Size, each};
use crate::support::upload::text;

/// A close waits so long, as in a mount that nobody configured.
const DEADLINE: Duration = Duration::from_secs(600);
/// What a client asks before its first upload only.
const FIRST: [&str; 3] = ["version", "settings", "sign_in"];

/// An upload, and the fault that it meets.
#[derive(Clone, Debug)]
struct Case {
    scene: Scene,
    rule: Rule,
    told: Told,
}

/// Every fault of a portal and of the way to it; those that differ little take turns.
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
        Fault::CutRequest { at: [0, 150, 700][turn % 3], how: hows[turn % 2] },
        Fault::CutAnswer { at: [0, 10][turn % 2], how: hows[(turn + 1) % 2] },
    ];
    let injections = [Injection::ExpiredToken, Injection::LostSession, Injection::Quota, Injection::Locked];
    faults.extend(injections.map(|what| Fault::Inject { what }));
    faults
}

/// The requests of an upload without faults, by kind.
fn requests(scene: Scene) -> Vec<(String, u64)> {
    let site = Site::new(scene);
    let before = site.office.state().requests;
    site.run(DEADLINE, async |desk| desk.write(&text(scene.size.bytes(), 1)).await.unwrap());
    let more = |(kind, count): (String, u64)| {
        let more = count - before.get(&kind).copied().unwrap_or(0);
        (more > 0).then_some((kind, more))
    };
    site.office.state().requests.into_iter().filter_map(more).collect()
}

/// Every fault at every request of an upload, or at all of a kind where it lasts.
fn cases(scene: Scene, times: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    let is_first = scene.size == Size::Small && scene.before == Before::Nothing;
    let kinds = requests(scene).into_iter().filter(|(kind, _)| is_first || !FIRST.contains(&kind.as_str()));
    for (turn, (kind, count)) in kinds.enumerate() {
        let all = if times == 0 { 1..=1 } else { 1..=count };
        for nth in all {
            let turn = turn + usize::try_from(nth).unwrap() + scene.size.bytes();
            for fault in faults(turn) {
                let rule = Rule { kind: kind.clone(), nth, times, fault };
                if let Some(told) = told(scene, &rule, count) {
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
        site.office.portal.add_fault(case.rule.clone());
        let told = desk.write(&new).await;
        let kept = site.judge(site.untouched().as_ref(), &new, &told);
        case.told.check(&told);
        let kept = site.recovered(desk, kept, &new, &told).await;
        desk.write(&newest).await.unwrap();
        assert_eq!(site.kept(), Some(site.replaced(kept.as_ref(), &newest)), "after {told:?}");
    });
    site.assert_no_violations(matches!(case.rule.fault, Fault::CutRequest { .. }));
}

fn at_every_request(generation: Generation, times: u64) {
    let cases: Vec<Case> = Scene::all(generation).flat_map(|scene| cases(scene, times)).collect();
    each(&cases, run, |case| format!("{:?} {:?}: {:?}", case.scene, case.rule, case.told));
}

macro_rules! on_each_generation {
    ($($name:ident => $generation:expr;)*) => {
        $(
            mod $name {
                use super::*;

                #[test]
                fn every_request_of_an_upload_may_meet_every_fault() {
                    at_every_request($generation, 1);
                }

                #[test]
                fn a_fault_that_lasts_is_told_and_nothing_is_half_done() {
                    at_every_request($generation, 0);
                }

                #[test]
                fn faults_by_chance_lose_nothing_and_double_nothing() {
                    chance::runs($generation);
                }
            }
        )*
    };
}

on_each_generation! {
    community => Generation::G0;
    docspace_1 => Generation::G1;
    docspace_2 => Generation::G2;
    docspace_3 => Generation::G3;
}
