//! A wiki behind a bad network: every request of an upload, a rename and a removal meets every fault. What counts is what
//! the wiki itself says afterwards, asked directly: the right bytes, as exactly one version more; and what the program
//! was told.
//!
//! What is not here: a server that is silent for longer than the client's own limits (45 s and more); the time of those is
//! tested with a clock that is turned by hand, in `src/http`.

mod local;
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uploadfs::service::Sha1Digest;

use self::site::{Met, PIECE, SMALL, Site, Target, Tools, all_at_once, each_at_once};
use crate::support::daemon::Daemon;
use crate::support::program::until;
use crate::support::proxy::{End, Fault, Gate, Page, Random, Request, When};
use crate::support::wiki::{Which, Wiki};

/// The first request of a kind meets a fault.
struct Step {
    kind: &'static str,
    fault: Fault,
    /// Where the request hangs, if that is the fault.
    gate: Option<Gate>,
}

/// One run of a program, and the faults it meets, in this order.
struct Case {
    steps: Vec<Step>,
}

impl Case {
    fn describe(&self) -> String {
        let steps: Vec<_> = self.steps.iter().map(|step| format!("{}: {}", step.kind, step.fault.name())).collect();
        steps.join(", ")
    }

    fn kind(&self) -> &'static str {
        self.steps[0].kind
    }

    /// Runs a program that meets the faults; it must succeed.
    fn survive(&self, site: &Site<'_>, script: &str) -> Met {
        let before = site.proxy.faults();
        for step in &self.steps {
            site.proxy.add(step.kind, When::Nth(1), step.fault.clone());
        }
        let mut program = site.shell(script);
        for (met, step) in self.steps.iter().enumerate() {
            if let Some(gate) = &step.gate {
                until("the request to hang", || site.proxy.faults() > before + met || !program.is_running());
                gate.open();
            }
        }
        program.wait().ok();
        if site.proxy.faults() == before + self.steps.len() { Met::Yes } else { Met::No }
    }
}

/// Every fault, at a request of `kind`.
fn every_fault(kind: &'static str) -> Vec<Step> {
    let page = Page::html;
    let (before, after) = (Gate::new(), Gate::new());
    let plain = [
        Fault::DropBefore(End::Fin),
        Fault::DropBefore(End::Reset),
        Fault::DropAfter(End::Fin),
        Fault::DropAfter(End::Reset),
        Fault::CutRequest(0),
        Fault::CutRequest(150),
        Fault::CutRequest(PIECE as u64 / 3),
        Fault::CutAnswer(0),
        Fault::CutAnswer(10),
        Fault::Status(page(500)),
        Fault::Status(page(502)),
        Fault::Status(page(503).header("Retry-After", 1)),
        Fault::StatusDuring(page(504)),
        Fault::StatusAfter(page(504)),
    ];
    let plain = plain.into_iter().map(|fault| Step { kind, fault, gate: None });
    let hangs = [(Fault::HangBefore(before.clone()), before), (Fault::HangAfter(after.clone()), after)];
    plain.chain(hangs.map(|(fault, gate)| Step { kind, fault, gate: Some(gate) })).collect()
}

/// Every fault, and a web page that calls itself a success: of a portal, or of a gateway that hides what went wrong. For
/// whoever only asks, that means that this is not the API.
fn every_fault_of_a_change(kind: &'static str) -> Vec<Step> {
    let pages = [Fault::Status(Page::html(200)), Fault::StatusAfter(Page::html(200))];
    let pages = pages.map(|fault| Step { kind, fault, gate: None });
    every_fault(kind).into_iter().chain(pages).collect()
}

/// One case for each step.
fn one_by_one(steps: Vec<Step>) -> impl Iterator<Item = Case> {
    steps.into_iter().map(|step| Case { steps: vec![step] })
}

/// Cases that meet a fault at the request of each kind; over all cases, every fault at each kind.
fn in_a_row(kinds: &[&'static str]) -> Vec<Case> {
    let turned = |(turn, kind): (usize, &&'static str)| {
        let mut steps = every_fault_of_a_change(kind);
        steps.rotate_left(turn);
        steps
    };
    let mut columns: Vec<_> = kinds.iter().enumerate().map(|column| turned(column).into_iter()).collect();
    let mut cases = Vec::new();
    while let Some(steps) = columns.iter_mut().map(Iterator::next).collect() {
        cases.push(Case { steps });
    }
    cases
}

#[tokio::test]
async fn every_request_of_an_upload_in_chunks_may_meet_every_fault() {
    let wiki = Wiki::take(Which::Default).await;
    let target = Target::of(&wiki);
    // Those first after which the wiki is waited for.
    let waits = ["last chunk", "publish"].into_iter().flat_map(|kind| one_by_one(every_fault_of_a_change(kind)));
    let cases: Vec<Case> = waits.chain(in_a_row(&["first chunk", "chunk 1", "chunk 2", "chunk 3"])).collect();
    let run = |site: &Site<'_>, case: &Case| {
        let (old, new) = (site.make("old", SMALL), site.make_large("new"));
        site.shell("cp $L/old NAME").wait().ok();
        let met = case.survive(site, "cp $L/new NAME");
        assert_eq!(site.versions(), [new, old]);
        met
    };
    all_at_once(&cases, || taught(&target, &[]), run, Case::describe);
    wiki.manage(&["clean", "--all"]);
}

#[tokio::test]
async fn a_direct_upload_a_rename_and_a_removal_may_meet_every_fault() {
    let wiki = Wiki::take(Which::Wide).await;
    let target = Target::of(&wiki);
    let changes = ["whole", "move", "delete"].into_iter().flat_map(every_fault_of_a_change);
    let cases: Vec<Case> = one_by_one(changes.chain(every_fault("look")).collect()).collect();
    let run = |site: &Site<'_>, case: &Case| {
        let (old, new) = (site.make("old", SMALL), site.make("new", SMALL));
        match case.kind() {
            "look" => {
                let met = case.survive(site, "cp $L/new NAME");
                assert_eq!(site.versions(), [new]);
                met
            }
            "whole" => {
                site.shell("cp $L/old NAME").wait().ok();
                let met = case.survive(site, "cp $L/new NAME");
                assert_eq!(site.versions(), [new, old]);
                met
            }
            "move" => {
                site.shell("cp $L/new NAME").wait().ok();
                let met = case.survive(site, MOVE);
                assert_eq!((site.versions(), site.moved_versions()), (vec![], vec![new]));
                met
            }
            _ => {
                site.shell("cp $L/new NAME").wait().ok();
                let met = case.survive(site, "rm NAME && ! test -e NAME");
                assert_eq!(site.versions(), []);
                met
            }
        }
    };
    all_at_once(&cases, || target.site(&[]), run, Case::describe);
    wiki.manage(&["clean", "--all"]);
}

/// A rename, and that it is one.
const MOVE: &str = "mv NAME Moved-NAME && test -s Moved-NAME && ! test -e NAME";

/// The last thing that a rename asks is where the file is now: a lost answer to that must not make it a second rename.
#[tokio::test]
async fn a_rename_that_was_made_stays_made_when_the_look_at_it_fails() {
    let wiki = Wiki::take(Which::Default).await;
    let target = Target::of(&wiki);
    let faults = every_fault("look").into_iter().filter(|step| step.gate.is_none()).map(|step| step.fault);
    let faults: Vec<Fault> = faults.collect();
    let run = |site: &Site<'_>, fault: &Fault| {
        let (new, before) = (site.make("new", SMALL), site.proxy.faults());
        site.shell("cp $L/new NAME").wait().ok();
        let moved = AtomicBool::new(false);
        let after_the_move = move |request: &Request| {
            let is_move = request.argument("action").as_deref() == Some("move");
            moved.fetch_or(is_move, Ordering::Relaxed) && !is_move
        };
        site.proxy.add_where(after_the_move, When::Nth(1), fault.clone());
        site.shell(MOVE).wait().ok();
        assert_eq!((site.versions(), site.moved_versions()), (vec![], vec![new]));
        if site.proxy.faults() == before + 1 { Met::Yes } else { Met::No }
    };
    all_at_once(&faults, || target.site(&[]), run, Fault::name);
    wiki.manage(&["clean", "--all"]);
}

/// A mount that knows the limits of its server.
fn taught<'a>(target: &'a Target, arguments: &[&str]) -> Site<'a> {
    let site = target.site(arguments);
    site.teach();
    site
}

/// A new version whose upload has a request of this kind.
fn new_for(site: &Site<'_>, kind: &str) -> Sha1Digest {
    if kind == "whole" { site.make("new", SMALL) } else { site.make_large("new") }
}

/// What a program may be told when nothing is certain but that it did not work: who has to wait and try again reads all
/// of them alike.
const TROUBLE: &[&str] = &["No route to host", "Connection timed out", "Input/output error"];

/// A fault that every request of a kind meets.
struct Lasting {
    kind: &'static str,
    fault: Fault,
    /// What `cp` says, one of these; nothing when it succeeds.
    told: &'static [&'static str],
}

#[tokio::test]
async fn a_fault_that_lasts_is_told_and_the_old_version_stays() {
    let wiki = Wiki::take(Which::Php).await;
    let target = Target::of(&wiki);
    let page = Page::html;
    let case = |kind, fault, told| Lasting { kind, fault, told };
    // Those first that take longest to be believed.
    let mut cases = vec![
        case("first chunk", Fault::DropBefore(End::Fin), TROUBLE),
        case("publish", Fault::Status(page(503).header("Retry-After", 1)), TROUBLE),
        case("last chunk", Fault::DropBefore(End::Reset), TROUBLE),
        case("chunk 1", Fault::CutRequest(100_000), TROUBLE),
        case("whole", Fault::DropBefore(End::Fin), TROUBLE),
        case("publish", Fault::Status(page(200)), &["Protocol error", "Connection timed out"]),
        case("chunk 1", Fault::Status(page(413)), &["File too large"]),
    ];
    for kind in ["first chunk", "chunk 1", "last chunk", "publish", "whole"] {
        cases.push(case(kind, Fault::Status(page(403)), &["Permission denied"]));
    }
    // What is lost is only the answer: the wiki is asked, and has it.
    for kind in ["chunk 1", "last chunk", "publish", "whole"] {
        cases.push(case(kind, Fault::DropAfter(End::Fin), &[]));
        cases.push(case(kind, Fault::StatusAfter(page(200)), &[]));
    }
    let run = |site: &Site<'_>, Lasting { kind, fault, told }: &Lasting| {
        let (old, new) = (site.make("old", SMALL), new_for(site, kind));
        site.shell("cp $L/old NAME").wait().ok();
        let before = site.proxy.faults();
        site.proxy.add(kind, When::Always, fault.clone());
        let ended = site.shell("cp $L/new NAME").wait();
        if site.proxy.faults() == before {
            return Met::No;
        }
        if told.is_empty() {
            assert!(ended.success(), "{ended:?}");
            assert_eq!(site.versions(), [new, old]);
        } else {
            assert!(!ended.success() && told.iter().any(|words| ended.err.contains(words)), "{ended:?}");
            assert_eq!(site.versions(), [old]);
        }
        site.proxy.heal();
        site.shell("cp $L/new NAME").wait().ok();
        assert_eq!(site.versions(), [new, old]);
        Met::Yes
    };
    all_at_once(&cases, || taught(&target, &[]), run, |case| format!("{}: {}", case.kind, case.fault.name()));
    wiki.manage(&["clean", "--all"]);
}

#[tokio::test]
async fn a_close_that_cannot_wait_any_longer_is_answered_and_the_doubt_ends_in_one_version() {
    let wiki = Wiki::take(Which::Php).await;
    let target = Target::of(&wiki);
    let kinds = ["publish", "last chunk", "whole", "chunk 1", "first chunk"];
    let cases: Vec<(&str, bool)> = kinds.into_iter().flat_map(|kind| [(kind, true), (kind, false)]).collect();
    let run = |site: &Site<'_>, &(kind, before): &(&'static str, bool)| {
        let (old, new) = (site.make("old", SMALL), new_for(site, kind));
        site.shell("cp $L/old NAME").wait().ok();
        let gate = Gate::new();
        let fault = if before { Fault::HangBefore(gate.clone()) } else { Fault::HangAfter(gate.clone()) };
        let met = site.proxy.faults();
        site.proxy.add(kind, When::Nth(1), fault);
        let ended = site.shell("cp $L/new NAME").wait();
        if site.proxy.faults() == met {
            return Met::No;
        }
        ended.failed("Connection timed out");
        let versions = site.versions();
        assert!(versions == [old] || (!before && versions == [new, old]), "{versions:?}");
        // The request goes on to the wiki, and its answer comes; the program tries again meanwhile.
        gate.open();
        site.shell("cp $L/new NAME").wait().ok();
        assert_eq!(site.versions(), [new, old]);
        Met::Yes
    };
    // Long enough for a busy machine to answer everything else.
    let mount = || taught(&target, &["--close-deadline", "15s"]);
    all_at_once(&cases, mount, run, |(kind, before)| format!("{kind}, hangs before: {before}"));
    wiki.manage(&["clean", "--all"]);
}

#[tokio::test]
async fn an_outage_in_the_middle_of_an_upload_is_waited_for() {
    let wiki = Wiki::take(Which::Wide).await;
    let target = Target::of(&wiki);
    let cases = [
        Fault::DropBefore(End::Fin),
        Fault::DropBefore(End::Reset),
        Fault::Status(Page::html(502)),
        Fault::Status(Page::html(503).header("Retry-After", 1)),
    ];
    let run = |site: &Site<'_>, fault: &Fault| {
        let new = site.make_large("new");
        site.proxy.add("last chunk", When::Nth(1), fault.clone());
        let program = site.shell("cp $L/new NAME");
        until("the upload to meet the outage", || site.proxy.faults() > 0);
        site.proxy.add_where(|_| true, When::Always, fault.clone());
        until("several tries", || site.proxy.faults() >= 6);
        site.proxy.heal();
        program.wait().ok();
        assert_eq!(site.versions(), [new]);
        Met::Yes
    };
    all_at_once(&cases, || target.site(&[]), run, Fault::name);
    wiki.manage(&["clean", "--all"]);
}

/// The assembled file of a lost answer is found by its content, which here is that of the other file as well.
#[tokio::test]
async fn two_files_of_the_same_content_both_arrive_when_their_answers_are_lost() {
    let wiki = Wiki::take(Which::Wide).await;
    let target = Target::of(&wiki);
    let site = target.site(&[]);
    let new = site.make_large("new");
    site.proxy.add("last chunk", When::Always, Fault::DropAfter(End::Fin));
    site.proxy.add("publish", When::Nth(1), Fault::DropAfter(End::Fin));
    let copies = ["cp $L/new NAME", "cp $L/new Other-NAME"].map(|script| site.shell(script));
    for copy in copies {
        copy.wait().ok();
    }
    assert_eq!((site.versions(), target.versions(&format!("Other-{}", site.name))), (vec![new], vec![new]));
    site.end();
    wiki.manage(&["clean", "--all"]);
}

#[tokio::test]
async fn signing_in_survives_every_fault() {
    let wiki = Wiki::take(Which::Default).await;
    let target = Target::of(&wiki);
    let cases: Vec<(u64, Step)> =
        (1..=3).flat_map(|at| every_fault("sign-in").into_iter().map(move |s| (at, s))).collect();
    let run = |(): &mut (), (at, step): &(u64, Step)| {
        let (proxy, remote) = target.through_proxy(&Arc::default());
        proxy.add(step.kind, When::Nth(*at), step.fault.clone());
        if let Some(gate) = &step.gate {
            gate.open();
        }
        let daemon = Daemon::mount(&remote, &[]);
        assert_eq!(proxy.faults(), 1, "the fault was met once");
        daemon.sh("ls").ok();
    };
    let describe = |(at, step): &(u64, Step)| format!("request {at}: {}", step.fault.name());
    each_at_once(&cases, Tools { start: || (), run, end: |()| {} }, describe);
}

/// How often each file is written in a run of faults by chance.
const ROUNDS: usize = 2;
/// How many files are written at once in such a run.
const WRITERS: usize = 3;

/// Everything that can go wrong without a gate.
fn by_chance(seed: u64) -> Random {
    let page = Page::html;
    let faults = vec![
        Fault::DropBefore(End::Fin),
        Fault::DropBefore(End::Reset),
        Fault::DropAfter(End::Fin),
        Fault::DropAfter(End::Reset),
        Fault::CutRequest(100),
        Fault::CutRequest(30_000),
        Fault::CutAnswer(10),
        Fault::Delay(Duration::from_millis(300)),
        Fault::Status(page(500)),
        Fault::Status(page(503).header("Retry-After", 1)),
        Fault::StatusDuring(page(504)),
        Fault::StatusAfter(page(502)),
        Fault::StatusAfter(page(200)),
    ];
    Random { seed, share: 0.2, faults }
}

/// What one writer did to its file: the contents it gave to `cp`, and whether `cp` said that they arrived.
struct Written {
    name: String,
    tries: Vec<(Sha1Digest, bool)>,
}

/// Writes a file again and again, whatever becomes of it.
fn write_often(site: &Site<'_>, writer: usize) -> Written {
    let mut written = Written { name: format!("W{writer}-{}", site.name), tries: Vec::new() };
    for round in 0..ROUNDS {
        let source = format!("new{writer}");
        let sha1 = match (writer + round) % 3 {
            0 => site.make(&source, SMALL),
            1 => site.make_large(&source),
            _ => site.make(&source, 2 * PIECE),
        };
        let ended = site.shell(&format!("cp $L/{source} W{writer}-NAME")).wait();
        written.tries.push((sha1, ended.success()));
    }
    written
}

impl Written {
    /// Every content that arrived is a version, none is a version twice, and nothing else is; in the order of writing.
    fn check(&self, target: &Target) {
        let mut versions = target.versions(&self.name);
        versions.reverse();
        let of = |version: &Sha1Digest| self.tries.iter().position(|(sha1, _)| sha1 == version);
        let found: Vec<Option<usize>> = versions.iter().map(of).collect();
        let said: Vec<bool> = self.tries.iter().map(|(_, arrived)| *arrived).collect();
        let context = format!("{}: versions {found:?} of the tries {said:?}", self.name);
        assert!(found.iter().all(Option::is_some), "a version that nobody wrote: {context}");
        assert!(found.is_sorted_by(|a, b| a < b), "doubled, or out of order: {context}");
        let lost = said.iter().enumerate().find(|(at, arrived)| **arrived && !found.contains(&Some(*at)));
        assert!(lost.is_none(), "cp said that it arrived: {context}");
    }
}

#[tokio::test]
async fn faults_by_chance_lose_nothing_and_double_nothing() {
    let wiki = Wiki::take(Which::Wide).await;
    let target = Target::of(&wiki);
    // New ones each time, unless somebody wants to see those of a failure again.
    let given = std::env::var("UPLOADFS_TEST_SEED").map(|seed| vec![seed.parse().unwrap()]);
    let seeds: Vec<u64> = given.unwrap_or_else(|_| (0..6).map(|_| fastrand::u64(..)).collect());
    let run = |site: &Site<'_>, seed: &u64| {
        site.proxy.random(by_chance(*seed));
        let mut all: Vec<Written> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write_often(site, writer))).collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        // The network is well again: everything arrives, and with it what was still in doubt is settled.
        site.proxy.heal();
        for written in &mut all {
            let sha1 = site.make("last", SMALL);
            site.shell(&format!("cp $L/last {}", written.name)).wait().ok();
            written.tries.push((sha1, true));
            written.check(&target);
        }
        Met::Yes
    };
    // No cp may wait for longer than a program of these tests may take.
    all_at_once(&seeds, || target.site(&["--close-deadline", "20s"]), run, |seed| format!("seed {seed}"));
    wiki.manage(&["clean", "--all"]);
}
