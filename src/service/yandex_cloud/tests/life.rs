//! Keeping files alive.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::fake::epoch;
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A clock that stands until it is set.
#[derive(Clone)]
struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn new() -> Clock {
        Clock(Arc::new(Mutex::new(epoch())))
    }

    fn go_on(&self, days: u32) {
        *self.0.lock().unwrap() += DAY * days;
    }

    fn refresh(&self) -> Refresh {
        let time = self.0.clone();
        Refresh { now: Arc::new(move || *time.lock().unwrap()), every: DAY, pause: Duration::ZERO }
    }
}

async fn at_day(days: u32, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> (Fake, Clock) {
    let clock = Clock::new();
    let fake = Fake::configured(fake::config, clock.refresh(), script).await;
    put(&fake, "a.txt", &bytes(10)).await.unwrap();
    clock.go_on(days);
    (fake, clock)
}

/// Looks at what there is now.
async fn refresh(fake: &Fake) {
    fake.cloud.cloud.catalog.doubt();
    fake.cloud.cloud.refresh_due().await.unwrap();
}

fn lives(fake: &Fake) -> Vec<u64> {
    fake.state().files.iter().map(|file| file.ttl_days).collect()
}

#[tokio::test]
async fn the_end_of_a_file_is_shown() {
    let (fake, _) = at_day(0, |_| Act::Usual).await;
    let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
    assert_eq!(node.expires, Some(node.modified + DAY * 60));
}

#[tokio::test]
async fn a_file_of_ours_lives_on_and_on() {
    let (fake, clock) = at_day(29, |_| Act::Usual).await;
    refresh(&fake).await;
    assert_eq!(lives(&fake), [60], "there is time enough");
    for life in [90, 121, 152] {
        clock.go_on(31);
        refresh(&fake).await;
        let has = lives(&fake)[0];
        assert!(has.abs_diff(life) <= 31 && has > 60, "raised, counted from when it was made: {has}");
    }
    let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
    assert!(node.expires.unwrap() > epoch() + DAY * (29 + 3 * 31 + 28), "and it is shown");
}

#[tokio::test]
async fn files_of_others_are_left_as_they_were_meant() {
    let (fake, _) = at_day(40, |_| Act::Usual).await;
    fake.have("foreign.txt", b"1");
    refresh(&fake).await;
    assert_eq!(lives(&fake), [100, 7]);
    assert_eq!(fake.seen(|seen| seen.method == "PATCH").len(), 1);
}

#[tokio::test]
async fn a_life_that_is_refused_is_taken_as_long_as_it_is_given() {
    let (fake, clock) = at_day(40, |seen| {
        let days = |seen: &Seen| seen.json()["expirationConfig"]["ttlDays"].as_str().map(|days| days.parse::<u64>());
        match seen.method == "PATCH" && days(seen).unwrap().unwrap() > 75 {
            true => refuse(400, 3, "ttl_days must be at most 75"),
            false => Act::Usual,
        }
    })
    .await;
    refresh(&fake).await;
    let has = lives(&fake)[0];
    assert!((61..=75).contains(&has), "{has}");
    clock.go_on(20);
    for _ in 0..6 {
        refresh(&fake).await;
    }
    let asked = fake.seen(|seen| seen.method == "PATCH").len();
    refresh(&fake).await;
    assert_eq!(fake.seen(|seen| seen.method == "PATCH").len(), asked, "what is refused is not asked for for ever");
    assert_eq!(lives(&fake), [75], "as long as it may");
}

#[tokio::test]
async fn a_life_that_is_counted_from_the_change_is_given_again() {
    let (fake, clock) = at_day(40, |seen| match seen.method == "PATCH" {
        true if seen.json()["expirationConfig"]["ttlDays"] != "60" => refuse(400, 3, "ttl_days: at most 60"),
        true => {
            let file = json!({"id": "fvt00000000000000001", "name": "a.txt", "createdAt": "2026-05-28T20:26:41Z",
                "expirationConfig": {"ttlDays": "60"}, "expiresAt": "2099-01-01T00:00:00Z",
                "labels": {"uploadfs_id": "u", "uploadfs_size": "10"}});
            Act::Instead(fake::reply(200, &file))
        }
        false => Act::Usual,
    })
    .await;
    refresh(&fake).await;
    let asked = fake.seen(|seen| seen.method == "PATCH").len();
    let node = fake.cloud.stat(&path("a.txt")).await.unwrap();
    assert!(node.expires.unwrap() > epoch() + DAY * 1000);
    clock.go_on(1);
    refresh(&fake).await;
    assert_eq!(fake.seen(|seen| seen.method == "PATCH").len(), asked + 1, "what is refused is known");
}

#[tokio::test]
async fn a_file_that_is_gone_meanwhile_is_no_obstacle() {
    let (fake, _) = at_day(40, |seen| match seen.is("PATCH", "0001") {
        true => refuse(404, 5, "file not found"),
        false => Act::Usual,
    })
    .await;
    put(&fake, "b.txt", &bytes(10)).await.unwrap();
    refresh(&fake).await;
    assert_eq!(lives(&fake), [60, 100]);
}

#[tokio::test]
async fn a_mount_looks_after_its_files_by_itself_and_stops_with_it() {
    let (told, clock) = (Arc::new(Notify::new()), Clock::new());
    let tells = told.clone();
    let fake = Fake::configured(fake::config, clock.refresh(), move |seen| {
        if seen.method == "PATCH" {
            tells.notify_one();
        }
        Act::Usual
    })
    .await;
    put(&fake, "a.txt", &bytes(10)).await.unwrap();
    clock.go_on(50);
    assert!(fake.seen(|seen| seen.method == "PATCH").is_empty());
    fake.cloud.stat(&path("a.txt")).await.unwrap();
    told.notified().await;
    let shared = Arc::downgrade(&fake.cloud.cloud);
    drop(fake);
    while shared.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
