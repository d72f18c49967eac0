//! Death while programs write, at a moment drawn by seed: several programs copy small files with `--close=local`, and
//! copy over some of them again. Every copy whose `cp` said 0 arrives, with the bytes it was last given.

use std::collections::BTreeMap;
use std::fs;

use uploadfs::portal::onlyoffice::Generation;
use uploadfs::service::yandex_cloud::Dialect;

use super::is_full_run;
use super::place::Place;
use crate::support::daemon::Daemon;
use crate::support::program::{Running, until};
use crate::support::proxy::{Fault, Gate, When};
use crate::support::upload::text;

/// Programs at once.
const PROGRAMS: usize = 4;
/// Files that each of them makes.
const FILES: usize = 10;
/// After so many files a program copies over the one before.
const AGAIN: usize = 3;
/// Sizes of sources in bytes; a portal's chunk is 4096.
const SIZES: [usize; 6] = [1, 700, 4095, 4096, 9000, 30_000];
/// More requests than these copies make at most services.
const REQUESTS: u64 = 200;

/// One copy that a program makes.
struct Step {
    name: String,
    source: usize,
}

/// What program number `program` does in the life of this seed, in order.
fn steps(seed: u64, program: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    for file in 0..FILES {
        let source = (program + file) % SIZES.len();
        steps.push(Step { name: format!("F{seed}-{program}-{file}.bin"), source });
        if file % AGAIN == AGAIN - 1 {
            let name = format!("F{seed}-{program}-{}.bin", file - 1);
            steps.push(Step { name, source: (source + 1) % SIZES.len() });
        }
    }
    steps
}

/// Writes down when it begins with a copy and when `cp` said 0; ends with the first that fails.
fn start(daemon: &Daemon, seed: u64, program: usize) -> Running {
    let line = |(number, step): (usize, &Step)| {
        let Step { name, source } = step;
        format!(
            "echo {number} >> $L/begun{program}; cp $L/source{source} {name} || exit 0; echo {number} >> $L/done{program}"
        )
    };
    let lines: Vec<String> = steps(seed, program).iter().enumerate().map(line).collect();
    daemon.shell(&lines.join("\n"))
}

/// How many lines a program has written so far.
fn lines(daemon: &Daemon, log: &str, program: usize) -> usize {
    let text = fs::read_to_string(daemon.local(&format!("{log}{program}"))).unwrap_or_default();
    text.matches('\n').count()
}

/// Which sources a file may be a copy of.
#[derive(Default)]
struct Told {
    /// The last that `cp` said 0 of.
    last: Option<usize>,
    /// The one that was under way.
    perhaps: Option<usize>,
}

fn told(daemon: &Daemon, seed: u64) -> BTreeMap<String, Told> {
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    for program in 0..PROGRAMS {
        let (begun, done) = (lines(daemon, "begun", program), lines(daemon, "done", program));
        for (number, step) in steps(seed, program).into_iter().take(begun).enumerate() {
            let about = told.entry(step.name).or_default();
            match number < done {
                true => about.last = Some(step.source),
                false => about.perhaps = Some(step.source),
            }
        }
    }
    told
}

/// Compares what is there with what programs were told.
fn compare(daemon: &Daemon, told: &BTreeMap<String, Told>, what: &str) {
    for (name, about) in told {
        let sources = about.last.iter().chain(&about.perhaps);
        let mut tests: Vec<String> = sources.map(|source| format!("cmp -s $L/source{source} {name}")).collect();
        if about.last.is_none() {
            tests.push(format!("test ! -e {name}"));
        }
        let seen = daemon.sh(&format!("{} || {{ ls -l {name}; exit 1; }}", tests.join(" || ")));
        let Told { last, perhaps } = about;
        assert!(seen.success(), "{what}: {name}, {last:?}, perhaps {perhaps:?}: {}{}", seen.out, seen.err);
    }
}

/// Dies once, by this seed; how many bytes arrived.
fn die(place: &Place, seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let (proxy, section) = place.proxied();
    let arguments = ["--close", "local"];
    let daemon = Daemon::mount_section(&section, &arguments);
    let put_sources = |daemon: &Daemon| {
        for (number, size) in SIZES.into_iter().enumerate() {
            fs::write(daemon.local(&format!("source{number}")), text(size, seed + number as u64)).unwrap();
        }
    };
    put_sources(&daemon);
    // Of half of them, uploads stand still sooner or later, so that much is in the spool when it dies.
    let hangs_from = random.bool().then(|| random.u64(1..REQUESTS / 2));
    if let Some(nth) = hangs_from {
        proxy.add(Place::uploads(), When::From(nth), Fault::HangBefore(Gate::new()));
    }
    let copies: usize = (0..PROGRAMS).map(|program| steps(seed, program).len()).sum();
    let (after_copies, after_requests) = match random.bool() {
        true => (random.usize(1..=copies), usize::MAX),
        false => (usize::MAX, random.usize(1..=REQUESTS as usize)),
    };
    let what = format!(
        "{}, seed {seed}: hangs from {hangs_from:?}, {after_copies} copies, {after_requests} requests",
        place.name
    );
    let mounted = proxy.seen().len();
    let mut programs: Vec<Running> = (0..PROGRAMS).map(|program| start(&daemon, seed, program)).collect();
    until(&what, || {
        let done: usize = (0..PROGRAMS).map(|program| lines(&daemon, "done", program)).sum();
        let all_ended = !programs.iter_mut().any(Running::is_running);
        done >= after_copies || proxy.seen().len() - mounted >= after_requests || all_ended
    });
    let daemon = daemon.die();
    programs.into_iter().for_each(|program| drop(program.wait()));
    proxy.heal();
    let daemon = daemon.mount_again(&section, &arguments);
    let told = told(&daemon, seed);
    compare(&daemon, &told, &format!("{what}: at once"));
    until("what was closed to arrive", || daemon.entries() == 0);
    assert!(daemon.end().success(), "{what}");
    // Nothing of it is remembered by another mount.
    let fresh = Daemon::mount_section(place.direct(), &[]);
    put_sources(&fresh);
    compare(&fresh, &told, &what);
    for (name, about) in &told {
        let files = place.files(name);
        assert!(files == 1 || files == 0 && about.last.is_none(), "{what}: {files} of {name}");
    }
    told.values().filter_map(|about| about.last).map(|source| SIZES[source]).sum()
}

/// Dies by each of so many seeds in front of these services; in a quick run, by a few in front of each.
fn die_by_seeds(places: &[Place], quick: u64, full: u64) {
    for place in places {
        let seeds = if is_full_run() { full } else { quick };
        let bytes: usize = (1..=seeds).map(|seed| die(place, seed)).sum();
        println!("{}: {seeds} kill points while {PROGRAMS} programs write; {bytes} bytes uploaded", place.name);
        place.assert_clean();
    }
}

#[test]
fn what_was_copied_to_portals_arrives() {
    die_by_seeds(&[Place::office(Generation::G1), Place::office(Generation::G3)], 2, 16);
}

#[test]
fn what_was_copied_to_other_services_arrives() {
    die_by_seeds(&[Place::yandex(), Place::cloud(Dialect::Native)], 2, 16);
}
