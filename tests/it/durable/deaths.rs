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

/// The request at which a process dies, counted from 1.
#[derive(Clone, Copy, Debug)]
struct Moment {
    requests: Requests,
    at: At,
    nth: u64,
}

impl Moment {
    /// From here on the proxy holds that request and all after it. Those that hang already hang for ever: requests that
    /// arrive late are for other tests.
    fn arm(self, proxy: &Proxy) -> Armed<'_> {
        proxy.heal();
        let armed = Armed { proxy, at: self.at, since: proxy.seen().len() };
        let (when, gate) = (When::From(self.nth), Gate::new());
        let fault = match self.at {
            At::Before => Fault::HangBefore(gate),
            At::After => Fault::HangAfter(gate),
        };
        match self.requests {
            Requests::Uploads => proxy.add(Place::uploads(), when, fault),
            Requests::Every => proxy.add_where(|_| true, when, fault),
        }
        armed
    }
}

/// A proxy that waits for a [`Moment`].
struct Armed<'a> {
    proxy: &'a Proxy,
    at: At,
    since: usize,
}

impl Armed<'_> {
    /// The first request that was held.
    fn held(&self) -> Option<Seen> {
        self.proxy.seen().into_iter().skip(self.since).find(|seen| seen.fault.is_some())
    }

    /// Whether it has come to where the process is to die.
    fn has_come(&self) -> bool {
        self.held()
            .is_some_and(|seen| matches!((self.at, seen.server), (At::Before, _) | (At::After, Server::Answered(_))))
    }
}

/// How a file of `size` bytes is copied, and who dies when.
#[derive(Clone, Copy, Debug)]
struct Death {
    close: Close,
    size: usize,
    moment: Moment,
    /// When the next one dies, too.
    again: Option<Moment>,
}

/// What became of a copy.
struct Copy {
    name: String,
    size: usize,
    seed: u64,
    /// Whether the program was told that it is there.
    acknowledged: bool,
    /// How many daemons have died of it.
    deaths: usize,
    what: String,
}

impl Copy {
    fn new(size: usize, what: String) -> Copy {
        let seed = fastrand::u64(..);
        Copy { name: format!("Death-{seed:016x}.bin"), size, seed, acknowledged: false, deaths: 0, what }
    }

    fn put_local(&self, daemon: &Daemon) {
        fs::write(daemon.local(&self.name), text(self.size, self.seed)).unwrap();
    }
}

/// Copies a file, dies, mounts again; `None` if there was no such request.
fn die(place: &Place, death: Death) -> Option<Copy> {
    let (proxy, section) = place.proxied();
    let arguments = death.close.arguments();
    let daemon = Daemon::mount_section(&section, &arguments);
    let mut copy = Copy::new(death.size, format!("{}, {death:?}", place.name));
    copy.put_local(&daemon);
    let armed = death.moment.arm(&proxy);
    let name = copy.name.clone();
    let mut copying = Some(daemon.shell(&format!("exec cp $L/{name} {name}")));
    until(&copy.what, || {
        let copying = copying.as_mut().expect("it was started").is_running();
        armed.has_come() || !copying && daemon.entries() == 0
    });
    let met = armed.held();
    if death.close == Close::Local && met.as_ref().is_some_and(|seen| seen.kind == Place::uploads()) {
        copying.take().expect("it was started").wait().ok();
        copy.acknowledged = true;
    }
    let mut dead = daemon.die();
    if let Some(copying) = copying {
        copy.acknowledged = copying.wait().success();
    }
    met?;
    copy.deaths = 1;
    if let Some(again) = death.again {
        let armed = again.arm(&proxy);
        let daemon = dead.mount_again(&section, &arguments);
        until(&copy.what, || armed.has_come() || daemon.entries() == 0);
        copy.deaths += usize::from(armed.held().is_some());
        dead = daemon.die();
    }
    proxy.heal();
    let daemon = dead.mount_again(place.later(&section), &arguments);
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

/// How many such requests a copy makes that nothing disturbs.
fn count(place: &Place, close: Close, size: usize, requests: Requests) -> u64 {
    let (proxy, section) = place.proxied();
    let daemon = Daemon::mount_section(&section, &close.arguments());
    let before = proxy.seen().len();
    let copy = Copy::new(size, format!("{}, undisturbed", place.name));
    copy.put_local(&daemon);
    daemon.sh(&format!("cp $L/{0} {0}", copy.name)).ok();
    until("the upload to be done", || daemon.entries() == 0);
    let seen = proxy.seen();
    let counted = |seen: &&Seen| requests == Requests::Every || seen.kind == Place::uploads();
    seen[before..].iter().filter(counted).count() as u64
}

fn both_sides(requests: Requests, count: u64) -> impl Iterator<Item = Moment> {
    (1..=count).flat_map(move |nth| [At::Before, At::After].map(|at| Moment { requests, at, nth }))
}

/// The deaths of a copy: the two that leave most in doubt, or, in the full run, all of them, and with `--close=local` after
/// those two the deaths of the next one.
fn deaths(place: &Place, close: Close, size: usize) -> Vec<Death> {
    let requests = Requests::Uploads;
    let uploads = count(place, close, size, requests);
    let in_doubt =
        [Moment { requests, at: At::Before, nth: uploads / 2 + 1 }, Moment { requests, at: At::After, nth: uploads }];
    let once = |moment| Death { close, size, moment, again: None };
    if !is_full_run() {
        return in_doubt.map(once).into();
    }
    let requests = Requests::Every;
    let mut deaths: Vec<Death> = both_sides(requests, count(place, close, size, requests)).map(once).collect();
    if close == Close::Local {
        for moment in in_doubt {
            let twice = |again| Death { again: Some(again), ..once(moment) };
            deaths.extend(both_sides(Requests::Uploads, uploads).map(twice));
        }
    }
    deaths
}

/// Every death in front of these services, at least `least` of them.
fn die_everywhere(places: &[Place], least: usize) {
    for place in places {
        let of_close = |close| place.sizes.map(|size| deaths(place, close, size)).concat();
        let deaths = [Close::Local, Close::Remote].map(of_close).concat();
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
        let points: usize = copies.iter().map(|copy| copy.deaths).sum();
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
