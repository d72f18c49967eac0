//! What programs can do while the service is away.

use std::sync::Arc;
use std::time::Duration;

use super::life::{Life, families, path, text, write};
use super::rig::Rig;
use crate::error::Kind;
use crate::file::{Close, OpenMode};
use crate::service::layer::fault::{Fault, Gate, When};
use crate::service::memory::MemoryConfig;
use crate::service::{Operation, Payload, Service, Spec};
use crate::spool::model::{End, Fate, Model};
use crate::tree::change::{At, IfExists};
use crate::tree::{Overrides, ROOT, Tree};

/// Somebody else writes a file.
fn write_elsewhere(rig: &Rig, name: &str, bytes: &[u8]) {
    let fate = Fate::after(u64::MAX);
    let other = Life::begin(&rig.memory, Model::new(fate.clone()), fate.clone(), Close::Remote);
    other.live(async |life| life.put(name, bytes, true).await.unwrap()).unwrap();
    other.end(End::Killed, fate);
}

async fn names(tree: &Tree) -> Vec<String> {
    tree.list(ROOT).await.unwrap().iter().map(|line| line.name.clone()).collect()
}

/// A mount of a service with the file `old`, which went away after somebody looked at the root.
fn left_alone(config: MemoryConfig, close: Close) -> Rig {
    let rig = Rig::closing(config, close);
    write_elsewhere(&rig, "old", &text(100, 1));
    rig.life
        .live(async |life| {
            assert_eq!(names(&life.tree).await, ["old"]);
            rig.go_away();
        })
        .unwrap();
    rig
}

#[test]
fn what_was_known_is_still_listed_and_found() {
    for close in [Close::Remote, Close::Local] {
        let rig = left_alone(MemoryConfig::whole(), close);
        rig.life
            .live(async |life| {
                assert_eq!(names(&life.tree).await, ["old"]);
                assert!(life.reach.offline().is_some());
                let old = life.tree.lookup(ROOT, "old").await.unwrap();
                assert_eq!((old.size, life.tree.attr_fresh(old.ino).await.unwrap().size), (100, 100));
                assert_eq!(life.tree.lookup(ROOT, "new").await.unwrap_err().kind, Kind::NotFound);
            })
            .unwrap();
    }
}

#[test]
fn what_was_never_known_is_not_made_up() {
    let rig = Rig::new(MemoryConfig::whole());
    rig.life
        .live(async |life| {
            rig.go_away();
            assert_eq!(life.tree.lookup(ROOT, "old").await.unwrap_err().kind, Kind::Unreachable);
            assert_eq!(life.tree.list(ROOT).await.unwrap_err().kind, Kind::Unreachable);
            // A file of this name may be there: what is appended must not take its place.
            assert_eq!(life.put("old", b"more", false).await.unwrap_err().kind, Kind::Unreachable);
        })
        .unwrap();
}

#[test]
fn with_local_closes_work_goes_on_and_arrives_when_the_service_is_back() {
    for (family, config) in families() {
        let rig = left_alone(config, Close::Local);
        rig.life
            .live(async |life| {
                life.put("new", &text(9_000, 2), true).await.unwrap();
                life.put("old", &text(5_000, 3), true).await.unwrap();
                life.put("name", &text(70, 4), true).await.unwrap();
                life.rename("name", "renamed").await.unwrap();
                assert_eq!(names(&life.tree).await, ["new", "old", "renamed"], "{family}");
                life.put("new", &text(10, 5), false).await.unwrap();
            })
            .unwrap();
        rig.come_back();
        rig.life.arrive();
        let arrived = ["new", "old", "renamed", "name"].map(|name| rig.content(name));
        let appended = [text(9_000, 2), text(10, 5)].concat();
        assert_eq!(arrived, [Some(appended), Some(text(5_000, 3)), Some(text(70, 4)), None], "{family}");
        assert_eq!(rig.life.disk.listing(), Vec::<String>::new(), "{family}");
        assert!(rig.life.reach.offline().is_none(), "{family}");
    }
}

#[test]
fn what_another_client_made_meanwhile_is_replaced_and_not_doubled() {
    for (family, config) in families() {
        let rig = left_alone(config, Close::Local);
        rig.life.live(async |life| life.put("new", &text(9_000, 2), true).await.unwrap()).unwrap();
        // The first try has failed by now, or has not begun.
        write_elsewhere(&rig, "new", &text(50, 9));
        rig.come_back();
        rig.life.arrive();
        assert_eq!((rig.content("new"), rig.versions("new")), (Some(text(9_000, 2)), 2), "{family}");
        assert_eq!(rig.memory.violations(), [""; 0], "{family}");
    }
}

#[test]
fn with_remote_closes_a_new_name_needs_the_service_and_an_old_one_is_parked() {
    let rig = left_alone(MemoryConfig::whole(), Close::Remote);
    rig.life
        .live(async |life| {
            let at = At { parent: ROOT, name: "lock" };
            let refused = life.tree.create(at, Overrides::default(), IfExists::Refuse).await.unwrap_err();
            assert_eq!(refused.kind, Kind::Unreachable, "nobody else may have it");
            let told = life.put("old", &text(5_000, 3), true).await.unwrap_err();
            assert_eq!(told.kind, Kind::Unreachable);
        })
        .unwrap();
    assert_eq!(rig.life.unsettled(), [("old".to_owned(), text(5_000, 3))]);
    rig.come_back();
    rig.life
        .live(async |life| {
            let ino = life.tree.lookup(ROOT, "old").await.unwrap().ino;
            life.tree.retry(ino).await.unwrap();
        })
        .unwrap();
    assert_eq!((rig.content("old"), rig.versions("old")), (Some(text(5_000, 3)), 2));
}

#[test]
fn one_question_at_a_time_finds_out_that_the_service_is_back() {
    let rig = left_alone(MemoryConfig::whole(), Close::Remote);
    rig.life
        .live(async |life| {
            names(&life.tree).await;
            // What fails at once is over before the next one asks; what hangs is asked once.
            let gate = Gate::new();
            rig.come_back();
            for operation in [Operation::Stat, Operation::List] {
                rig.faults.add(operation, When::Always, Fault::StallBefore(gate.clone()));
            }
            let count = || rig.faults.count(Operation::Stat) + rig.faults.count(Operation::List);
            let before = count();
            names(&life.tree).await;
            gate.reached().await;
            for _ in 0..10 {
                names(&life.tree).await;
                life.tree.lookup(ROOT, "old").await.unwrap();
            }
            assert_eq!(count(), before + 1);
            gate.open();
            life.reach.regained().await;
        })
        .unwrap();
    write_elsewhere(&rig, "other", &text(10, 1));
    rig.life.live(async |life| assert_eq!(names(&life.tree).await, ["old", "other"], "it is asked again")).unwrap();
}

#[test]
fn a_question_that_hangs_is_answered_from_memory() {
    let rig = Rig::closing(MemoryConfig::whole(), Close::Remote);
    write_elsewhere(&rig, "old", &text(100, 1));
    rig.life
        .live(async |life| {
            assert_eq!(names(&life.tree).await, ["old"]);
            let gate = Gate::new();
            rig.faults.add(Operation::List, When::Always, Fault::StallBefore(gate.clone()));
            tokio::select! {
                listed = names(&life.tree) => assert_eq!(listed, ["old"]),
                () = tokio::time::sleep(2 * crate::service::layer::SILENCE) => panic!("it waits"),
            }
            gate.open();
            life.reach.regained().await;
        })
        .unwrap();
}

#[test]
fn directories_that_are_used_are_known_when_the_service_goes_away() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.life
        .live(async |life| {
            let made = life.tree.mkdir(At { parent: ROOT, name: "deep" }, Overrides::default()).await.unwrap();
            for name in ["deep/a", "deep/b"] {
                let spec = Spec { path: path(name), size: Some(10), sha1: None, replaces: None };
                rig.memory.put_whole(&spec, Payload::from_bytes(text(10, 1).into(), 0)).await.unwrap();
            }
            life.tree.lookup(made.ino, "a").await.unwrap();
            // The listing comes behind the lookup.
            while life.tree.inner().entries[&made.ino].listed.is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            rig.go_away();
            assert_eq!(life.tree.lookup(made.ino, "b").await.unwrap().size, 10);
            assert_eq!(life.tree.lookup(made.ino, "c").await.unwrap_err().kind, Kind::NotFound);
        })
        .unwrap();
}

#[test]
fn a_long_write_with_a_local_close_outlasts_a_service_that_is_away() {
    for (family, config) in families() {
        let rig = left_alone(config, Close::Local);
        rig.life
            .live(async |life| {
                let file = life.file("long").await.unwrap();
                let mode = OpenMode { read: false, write: true, truncate: true };
                let handle = Arc::new(file.open(std::process::id(), mode).await.unwrap());
                for piece in 0..5 {
                    write(&file, &text(6_000, piece)).await.unwrap();
                    // What was begun to be sent has failed.
                    while file.upload().is_busy() {
                        tokio::task::yield_now().await;
                    }
                }
                file.sync().await.unwrap();
                assert!(file.flush_now(&handle).is_none(), "{family}");
                file.flush(std::process::id()).await.unwrap();
                file.release(handle).await;
            })
            .unwrap();
        rig.come_back();
        rig.life.arrive();
        assert_eq!(rig.content("long"), Some((0..5).flat_map(|piece| text(6_000, piece)).collect()), "{family}");
    }
}
