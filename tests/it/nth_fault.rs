//! Uploads that nobody waits for (`--close=local`), on a bad network: the n-th request of an upload fails in each way there
//! is, once, or from then on, for n = 1, 2, 3, ... until a run has no such request. One script for all services; what counts is
//! what the service itself has, what a program reads meanwhile, and what the spool keeps. Time is turned by hand
//! (`support::clock`). The same of a wiki is in `wiki_faults/local.rs`: that needs a real server, and real time.

mod places;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use uploadfs::file::{Close, Health};
use uploadfs::portal::faults::{ANY, Fault, How, Injection, Rule, When};
use uploadfs::portal::onlyoffice::Generation;
use uploadfs::service::yandex_cloud::Dialect;

use self::places::{Place, Scene, What};
use crate::support::desk::{Desk, each, sha256, write_into};
use crate::support::upload::text;

/// A request without an answer for so long ends a try, as in a mount that nobody configured.
const DEADLINE: Duration = Duration::from_secs(600);
/// So long a file may take to arrive once nothing keeps it: services that have rejected an account are left alone for up
/// to 80 minutes.
const ARRIVAL: Duration = Duration::from_secs(3 * 3600);
/// So long a fault lasts that does not end: the tries of one turn are used up by then, and others have begun.
const OUTAGE: Duration = Duration::from_secs(500);
/// More requests than any upload here makes.
const REQUESTS_MAX: u64 = 60;

/// How a request fails.
fn modes() -> Vec<Fault> {
    let answer = |when, status, wait| Fault::Answer { when, status, retry_after_s: wait, body: String::new() };
    vec![
        Fault::Drop { when: When::Before, how: How::Reset },
        Fault::Drop { when: When::After, how: How::Close },
        Fault::CutRequest { at: 150, how: How::Close },
        Fault::CutAnswer { at: 10, how: How::Reset },
        answer(When::Before, 500, None),
        answer(When::Before, 503, Some(2)),
        answer(When::After, 502, None),
        answer(When::Before, 429, Some(1)),
        answer(When::Before, 401, None),
        Fault::Drop { when: When::Before, how: How::Silence },
        Fault::Drop { when: When::After, how: How::Silence },
    ]
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    Once,
    FromThenOn,
}

/// All n of one way to fail.
#[derive(Clone, Debug)]
struct Case {
    scene: Scene,
    fault: Fault,
    lasts: Lasts,
}

impl Case {
    fn rule(&self, nth: u64) -> Rule {
        Rule { kind: ANY.to_owned(), nth, times: u64::from(self.lasts == Lasts::Once), fault: self.fault.clone() }
    }

    /// The n-th request fails; whether there was one.
    fn play(&self, nth: u64) -> bool {
        let place = Place::new(self.scene);
        let new = text(self.scene.size, nth);
        let met = place.run(async |line| {
            let desk = Desk::closing(Close::Local, place.client(line), DEADLINE);
            place.renew();
            let told = desk.write_with(async |file| {
                // Everything before is asked for the name, and nobody is told that it is safe.
                place.portal().add_fault(self.rule(nth));
                write_into(file, &new, 0).await
            });
            told.await.unwrap();
            let health = match self.lasts {
                Lasts::Once => desk.health_within(ARRIVAL, is_over).await,
                Lasts::FromThenOn => desk.health_within(OUTAGE, is_over).await,
            };
            let met = place.portal().faults_struck() > 0;
            match self.lasts {
                Lasts::Once => assert!(matches!(health, Health::Clean), "{health:?}"),
                Lasts::FromThenOn => outlast(&place, &desk, health, &new).await,
            }
            place.heal();
            place.assert_has(&new, &format!("{:?}, request {nth}", self.rule(nth)));
            assert_eq!((desk.entries(), desk.read().await == new), (0, true));
            desk.drained().await;
            met
        });
        place.assert_in_order();
        met
    }
}

/// Whether nothing more happens to a file by itself.
fn is_over(health: &Health) -> bool {
    matches!(health, Health::Clean | Health::Parked(_))
}

/// The file waits, whole, for as long as the fault lasts; then it arrives, by itself, or, where it was parked, when a person
/// says so.
async fn outlast(place: &Place, desk: &Desk, health: Health, new: &Bytes) {
    place.assert_old_or_new(new);
    if !matches!(health, Health::Clean) {
        assert_eq!(sha256(&desk.read().await), sha256(new), "what is read while it waits");
    }
    match health {
        Health::Clean => {}
        Health::Parked(reason) => {
            assert_eq!(desk.entries(), 1, "parked: {reason}");
            PARKED.fetch_add(1, Ordering::Relaxed);
            place.heal();
            desk.retry().await.unwrap();
        }
        Health::Waiting | Health::Uploading { .. } => {
            assert_eq!(desk.entries(), 1, "{health:?}");
            WAITED.fetch_add(1, Ordering::Relaxed);
            place.heal();
            let health = desk.health_within(ARRIVAL, is_over).await;
            assert!(matches!(health, Health::Clean), "after the fault: {health:?}");
        }
        health => panic!("{health:?} while the fault lasts"),
    }
}

/// Files that waited until a fault had ended, and files that were parked by one; for people.
static WAITED: AtomicUsize = AtomicUsize::new(0);
static PARKED: AtomicUsize = AtomicUsize::new(0);

/// Plays all requests of all cases.
fn play(what: What, lasts: Lasts) {
    let begun = std::time::Instant::now();
    let runs = AtomicUsize::new(0);
    let scenes = Scene::all(what, lasts == Lasts::Once || std::env::var_os("FULL_RUN").is_some());
    let of = |scene: Scene| modes().into_iter().map(move |fault| Case { scene, fault, lasts });
    let cases: Vec<Case> = scenes.into_iter().flat_map(of).collect();
    let run = |case: &Case| {
        let met = (1..=REQUESTS_MAX).take_while(|nth| case.play(*nth)).count();
        assert!((1..60).contains(&met), "{met} requests");
        runs.fetch_add(met + 1, Ordering::Relaxed);
    };
    each(&cases, run, |case| format!("{case:?}"));
    let (runs, waited, parked) = (runs.into_inner(), WAITED.load(Ordering::Relaxed), PARKED.load(Ordering::Relaxed));
    println!("{what:?}, {lasts:?}: {runs} runs in {:?}; so far {waited} waited, {parked} were parked", begun.elapsed());
}

/// Half a file is written, and the other half when its upload, which began before, has failed long ago.
#[test]
fn what_fails_while_a_file_is_written_is_not_told_to_who_does_not_wait_for_the_service() {
    let answer = |status| Fault::Answer { when: When::Before, status, retry_after_s: None, body: String::new() };
    for fault in [answer(500), answer(401), answer(429), Fault::Drop { when: When::Before, how: How::Reset }] {
        for what in [What::Office(Generation::G3), What::Wiki] {
            let scene = Scene::all(what, false)[0];
            let (place, new) = (Place::new(scene), text(scene.size, 1));
            place.run(async |line| {
                let desk = Desk::closing(Close::Local, place.client(line), DEADLINE);
                let told = desk.write_with(async |file| {
                    file.allocate(new.len() as u64).await?;
                    place.portal().add_fault(Rule::always(ANY, fault.clone()));
                    let (first, second) = new.split_at(new.len() / 2);
                    write_into(file, first, 0).await?;
                    tokio::time::sleep(OUTAGE * 2).await;
                    write_into(file, second, first.len() as u64).await
                });
                told.await.unwrap();
                assert!(place.portal().faults_struck() > 0, "{fault:?}: nothing left early");
                assert_eq!((desk.entries(), desk.read().await == new), (1, true), "{fault:?}");
                place.heal();
                let health = desk.health_within(ARRIVAL, is_over).await;
                assert!(matches!(health, Health::Clean), "{fault:?}: {health:?}");
                place.assert_has(&new, "written over a long time");
                desk.drained().await;
            });
        }
    }
}

/// Who waits for the service hears of it from the next write, or from the close; what there is of the file is kept then.
#[test]
fn what_fails_while_a_file_is_written_is_in_the_spool_when_its_close_is_answered() {
    for half in [true, false] {
        let scene = Scene::all(What::Wiki, false)[0];
        let (place, new) = (Place::new(scene), text(scene.size, 1));
        place.run(async |line| {
            let desk = Desk::new(place.client(line), DEADLINE);
            let first = if half { new.len() / 2 } else { new.len() };
            let told = desk.write_with(async |file| {
                file.allocate(new.len() as u64).await?;
                let quota = Fault::Inject { what: Injection::Quota };
                place.portal().add_fault(Rule::always("create_session", quota));
                write_into(file, &new[..first], 0).await?;
                tokio::time::sleep(OUTAGE).await;
                write_into(file, &new[first..], first as u64).await
            });
            assert_eq!(told.await.unwrap_err().errno(), libc::EDQUOT);
            assert!(matches!(desk.health(), Health::Parked(_)), "{:?}", desk.health());
            assert_eq!((desk.entries(), desk.read().await[..first] == new[..first]), (1, true));
            desk.drained().await;
        });
    }
}

macro_rules! at_each_service {
    ($($name:ident => $what:expr;)*) => {
        $(
            mod $name {
                use super::*;

                #[test]
                fn a_file_that_was_closed_survives_a_fault_at_any_request() {
                    play($what, Lasts::Once);
                }

                #[test]
                fn a_file_that_was_closed_outlasts_any_fault() {
                    play($what, Lasts::FromThenOn);
                }
            }
        )*
    };
}

at_each_service! {
    community => What::Office(Generation::G0);
    docspace => What::Office(Generation::G3);
    yandex_wiki => What::Wiki;
    cloud_native => What::Cloud(Dialect::Native);
    cloud_openai => What::Cloud(Dialect::OpenAi);
}
