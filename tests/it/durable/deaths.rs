//! Death at each request of an upload, to every service, with both ways to close. What a program was told is true
//! afterwards: a file whose close was answered is there; one whose close was not is there in full, or not at all. Nothing
//! is there twice.

use std::fs;

use uploadfs::portal::onlyoffice::Generation;
use uploadfs::service::yandex_cloud::Dialect;

use super::is_full_run;
use super::place::Place;
use crate::support::daemon::Daemon;
use crate::support::program::until;
use crate::support::proxy::{Fault, Gate, Proxy, Seen, Server, When};
use crate::support::upload::text;

/// When a daemon dies.
#[derive(Clone, Copy, Debug)]
enum At {
    /// The request has left, and never arrives.
    Before,
    /// The service has done it, and its answer is not heard.
    After,
}

/// When a close is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    Local,
    Remote,
}

impl Close {
    fn arguments(self) -> [&'static str; 2] {
        ["--close", if self == Close::Local { "local" } else { "remote" }]
    }
}

/// Which requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requests {
    /// Those that an upload is made of.
    Uploads,
    /// All that are made once it is mounted: looking names up, and looking at what became of an upload, too.
    Every,
}

impl Requests {
    fn add(self, proxy: &Proxy, when: When, fault: Fault) {
        match self {
            Requests::Uploads => proxy.add(Place::uploads(), when, fault),
            Requests::Every => proxy.add_where(|_| true, when, fault),
        }
    }
}

/// One death: at the `nth` request of the upload of a file of `size` bytes.
#[derive(Clone, Copy, Debug)]
struct Death {
    close: Close,
    requests: Requests,
    size: usize,
    at: At,
    nth: u64,
}

/// What became of a copy.
struct Copy {
    name: String,
    size: usize,
    seed: u64,
    /// Whether the program was told that it is there.
    acknowledged: bool,
    what: String,
}

impl Copy {
    fn new(size: usize, what: String) -> Copy {
        let seed = fastrand::u64(..);
        Copy { name: format!("Death-{seed:016x}.bin"), size, seed, acknowledged: false, what }
    }

    fn put_local(&self, daemon: &Daemon) {
        fs::write(daemon.local(&self.name), text(self.size, self.seed)).unwrap();
    }
}

/// The requests that `fault` held.
fn held(proxy: &Proxy) -> Option<Seen> {
    proxy.seen().into_iter().find(|seen| seen.fault.is_some())
}

/// Whether it has come to where the daemon is to die.
fn stands_still(proxy: &Proxy, at: At) -> bool {
    let held = held(proxy);
    held.is_some_and(|seen| matches!((at, seen.server), (At::Before, _) | (At::After, Server::Answered(_))))
}

/// Copies a file, dies, mounts again; `None` if there was no such request.
fn die(place: &Place, death: Death) -> Option<Copy> {
    let (proxy, section) = place.proxied();
    let arguments = death.close.arguments();
    let daemon = Daemon::mount_section(&section, &arguments);
    let mut copy = Copy::new(death.size, format!("{}, {death:?}", place.name));
    copy.put_local(&daemon);
    let gate = Gate::new();
    let fault = match death.at {
        At::Before => Fault::HangBefore(gate),
        At::After => Fault::HangAfter(gate),
    };
    death.requests.add(&proxy, When::From(death.nth), fault);
    let name = copy.name.clone();
    let mut copying = Some(daemon.shell(&format!("exec cp $L/{name} {name}")));
    until(&copy.what, || {
        let copying = copying.as_mut().expect("it was started").is_running();
        stands_still(&proxy, death.at) || !copying && daemon.entries() == 0
    });
    let met = held(&proxy);
    if death.close == Close::Local && met.as_ref().is_some_and(|seen| seen.kind == Place::uploads()) {
        copying.take().expect("it was started").wait().ok();
        copy.acknowledged = true;
    }
    let daemon = daemon.die();
    if let Some(copying) = copying {
        copy.acknowledged = copying.wait().success();
    }
    met?;
    // What hangs never arrives: requests that arrive late are for other tests.
    proxy.heal();
    let daemon = daemon.mount_again(place.later(&section), &arguments);
    let compare = format!("cmp $L/{name} {name}");
    if copy.acknowledged {
        daemon.sh(&compare).ok();
    }
    until("the upload to go on", || daemon.entries() == 0);
    let there = place.versions(&name);
    let Copy { what, acknowledged, .. } = &copy;
    assert!(there <= 1 && (there == 1 || !acknowledged), "{there} versions: {what}");
    let seen = daemon.sh(&format!("test ! -e {name} || {compare}"));
    assert!(seen.success(), "neither whole nor absent: {what}: {}", seen.err);
    if !acknowledged {
        // Whoever tries again succeeds.
        daemon.sh(&format!("cp $L/{name} {name}")).ok();
        until("the second try to arrive", || daemon.entries() == 0);
    }
    assert!(daemon.end().success(), "{what}");
    Some(copy)
}

/// How many requests a copy makes that nothing disturbs.
fn requests(place: &Place, death: Death) -> u64 {
    let (proxy, section) = place.proxied();
    let daemon = Daemon::mount_section(&section, &death.close.arguments());
    let before = proxy.seen().len();
    let copy = Copy::new(death.size, format!("{}, undisturbed", place.name));
    copy.put_local(&daemon);
    daemon.sh(&format!("cp $L/{0} {0}", copy.name)).ok();
    until("the upload to be done", || daemon.entries() == 0);
    let seen = proxy.seen();
    let counted = |seen: &&Seen| death.requests == Requests::Every || seen.kind == Place::uploads();
    seen[before..].iter().filter(counted).count() as u64
}

/// The deaths of one place: all of them, or the two that leave most in doubt.
fn deaths(place: &Place) -> Vec<Death> {
    let requests_of = if is_full_run() { Requests::Every } else { Requests::Uploads };
    let mut deaths = Vec::new();
    for close in [Close::Local, Close::Remote] {
        for size in place.sizes {
            let death = Death { close, requests: requests_of, size, at: At::Before, nth: 1 };
            let count = requests(place, death);
            match is_full_run() {
                true => deaths
                    .extend((1..=count).flat_map(|nth| [At::Before, At::After].map(|at| Death { at, nth, ..death }))),
                false => {
                    deaths.push(Death { at: At::Before, nth: count / 2 + 1, ..death });
                    deaths.push(Death { at: At::After, nth: count, ..death });
                }
            }
        }
    }
    deaths
}

/// Every death in front of these services, at least `least` of them.
fn die_everywhere(places: &[Place], least: usize) {
    for place in places {
        let deaths = deaths(place);
        let copies: Vec<Copy> = deaths.into_iter().filter_map(|death| die(place, death)).collect();
        // Nothing of it is remembered by another mount.
        let fresh = Daemon::mount_section(place.direct(), &[]);
        for copy in &copies {
            copy.put_local(&fresh);
            let compared = fresh.sh(&format!("cmp $L/{0} {0}", copy.name));
            assert!(compared.success(), "{}: {}", copy.what, compared.err);
            assert_eq!(place.files(&copy.name), 1, "{}", copy.what);
        }
        place.assert_clean();
        let acknowledged = copies.iter().filter(|copy| copy.acknowledged).count();
        let bytes: usize = copies.iter().map(|copy| copy.size).sum();
        let points = copies.len();
        println!(
            "{}: {points} kill points, {acknowledged} of them after the close; {bytes} bytes uploaded",
            place.name
        );
        assert!(points >= least, "{}: {points} kill points", place.name);
    }
}

/// How many kill points there are at least: two for each way to close and each size.
const LEAST: usize = 8;

#[test]
fn in_front_of_old_portals() {
    die_everywhere(&[Place::office(Generation::G0), Place::office(Generation::G1)], LEAST);
}

#[test]
fn in_front_of_new_portals() {
    die_everywhere(&[Place::office(Generation::G2), Place::office(Generation::G3)], LEAST);
}

#[test]
fn in_front_of_a_yandex_wiki() {
    die_everywhere(&[Place::yandex()], LEAST);
}

#[test]
fn in_front_of_cloud_folders() {
    die_everywhere(&[Place::cloud(Dialect::Native), Place::cloud(Dialect::OpenAi)], LEAST);
}

#[test]
fn in_front_of_a_real_mediawiki() {
    die_everywhere(&[Place::wiki()], LEAST);
}
