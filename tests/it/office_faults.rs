//! A portal behind a bad network: every request of an upload meets every fault, once and for ever, on every generation.
//! What counts is what the portal itself has afterwards (the right bytes, once, in the right number of versions) and
//! what the program was told.

mod expect;
mod site;

use std::time::Duration;

use uploadfs::portal::faults::{ANY, Fault, How, Injection, Random, Rule, When};
use uploadfs::portal::onlyoffice::Generation;

use self::expect::{Told, told};
use self::site::{Scene, Site, each};
use crate::support::office::GENERATIONS;
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

/// Every fault of a portal and of the way to it.
fn faults() -> Vec<Fault> {
    let answer = |when, status: u16, wait: Option<u64>| {
        let body = if status == 429 { String::new() } else { format!("<html>{status}</html>") };
        Fault::Answer { when, status, retry_after_s: wait, body }
    };
    let mut faults = vec![
        answer(When::Before, 429, Some(1)),
        answer(When::Before, 500, None),
        answer(When::Before, 502, None),
        answer(When::Before, 503, None),
        answer(When::Before, 503, Some(2)),
        answer(When::Before, 504, None),
        answer(When::After, 500, None),
        answer(When::After, 502, None),
        answer(When::After, 504, None),
    ];
    for when in [When::Before, When::After] {
        faults.extend([How::Reset, How::Close, How::Silence].map(|how| Fault::Drop { when, how }));
        faults.push(Fault::Delay { when, ms: 3 });
    }
    for at in [0, 150, 700] {
        faults.push(Fault::CutRequest { at, how: How::Reset });
    }
    for at in [0, 10] {
        faults.push(Fault::CutAnswer { at, how: How::Close });
    }
    let injections = [Injection::ExpiredToken, Injection::LostSession, Injection::Quota, Injection::Locked];
    faults.extend(injections.map(|what| Fault::Inject { what }));
    faults
}

/// The requests of an upload without faults, by kind.
fn requests(scene: Scene) -> Vec<(String, u64)> {
    let site = Site::new(scene);
    let before = site.requests();
    site.run(DEADLINE, async |desk| desk.write(&text(scene.size.bytes(), 1), false).await.unwrap());
    let now = site.requests();
    let more = |(kind, count): (String, u64)| {
        let more = count - before.get(&kind).copied().unwrap_or(0);
        (more > 0).then_some((kind, more))
    };
    now.into_iter().filter_map(more).collect()
}

/// Every fault at every request of an upload, `times` in a row.
fn cases(scene: Scene, times: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, count) in requests(scene) {
        for nth in (1..=count).filter(|nth| times == 1 || *nth == 1) {
            for fault in faults() {
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
        let told = desk.write(&new, false).await;
        let (untouched, kept) = (site.untouched(), site.kept());
        let whole = Some(site.replaced(untouched.as_ref(), &new));
        match &told {
            Ok(()) => assert_eq!(kept, whole, "it was said to be there"),
            Err(error) => assert!(kept == untouched || kept == whole, "neither old nor new: {kept:?} after {error}"),
        }
        case.told.check(&told);
        site.office.portal.clear_faults();
        desk.write(&newest, false).await.unwrap();
        assert_eq!(site.kept(), Some(site.replaced(kept.as_ref(), &newest)), "after {told:?}");
    });
    let forced = matches!(case.rule.fault, Fault::CutRequest { .. });
    let violations = site.office.portal.violations().into_iter();
    let violations: Vec<_> = violations.filter(|broken| !(forced && broken.what.starts_with("a request without"))).collect();
    assert_eq!(violations, []);
}

fn describe(case: &Case) -> String {
    format!("{:?} {:?} -> {:?}", case.scene, case.rule, case.told)
}

fn at_every_request(generation: Generation, times: u64) {
    let cases: Vec<Case> = Scene::all(generation).flat_map(|scene| cases(scene, times)).collect();
    eprintln!("{} cases", cases.len());
    each(&cases, run, describe);
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

#[test]
fn timing() {
    let start = std::time::Instant::now();
    for _ in 0..50 { let _ = crate::support::office::Office::small(Generation::G2); }
    eprintln!("office {:?}", start.elapsed() / 50);
    let office = crate::support::office::Office::small(Generation::G2);
    let start = std::time::Instant::now();
    for _ in 0..50 { let _ = office.client(); }
    eprintln!("client {:?}", start.elapsed() / 50);
    let start = std::time::Instant::now();
    for _ in 0..50 { let _ = office.state(); }
    eprintln!("state {:?}", start.elapsed() / 50);
    let scene = Scene { generation: Generation::G2, size: self::site::Size::Large, before: self::site::Before::Old };
    let start = std::time::Instant::now();
    for _ in 0..20 { let _ = Site::new(scene); }
    eprintln!("site {:?}", start.elapsed() / 20);
    let site = Site::new(scene);
    let start = std::time::Instant::now();
    for _ in 0..20 { site.run(DEADLINE, async |_| ()); }
    eprintln!("desk {:?}", start.elapsed() / 20);
    let start = std::time::Instant::now();
    for _ in 0..20 { site.run(DEADLINE, async |desk| desk.write(&text(scene.size.bytes(), 1), false).await.unwrap()); }
    eprintln!("write {:?}", start.elapsed() / 20);
}
