//! Files that were saved as complete, and what may happen to them before the service has them.

use std::time::SystemTime;

use futures_util::FutureExt;

use super::life::{families, path, text};
use super::rig::Rig;
use crate::error::Kind;
use crate::service::Operation;
use crate::service::layer::fault::{Fault, When};
use crate::service::memory::MemoryConfig;

#[test]
fn a_close_does_not_wait_for_the_service() {
    for (family, config) in families() {
        let rig = Rig::new(config);
        let gate = rig.stall();
        rig.life.live(async |life| life.put("a", &text(30_000, 1), true).await.unwrap()).unwrap();
        assert_eq!(rig.versions("a"), 0, "{family}");
        assert_eq!(rig.life.unsettled(), [("a".to_owned(), text(30_000, 1))], "{family}");
        gate.open();
        rig.life.drain();
        assert_eq!((rig.content("a"), rig.versions("a")), (Some(text(30_000, 1)), 1), "{family}");
        assert_eq!(rig.life.disk.listing(), Vec::<String>::new(), "{family}");
    }
}

#[test]
fn a_later_write_is_another_generation_and_the_last_one_wins() {
    for (family, config) in families() {
        let rig = Rig::new(config);
        let gate = rig.stall();
        let all = [text(9_000, 1), text(5_000, 2), text(100, 3)];
        rig.life
            .live(async |life| {
                life.put("a", &all[0], true).await.unwrap();
                life.put("a", &all[1], false).await.unwrap();
                life.put("a", &all[2], false).await.unwrap();
            })
            .unwrap();
        assert_eq!(rig.life.unsettled(), [("a".to_owned(), all.concat())], "{family}");
        gate.open();
        rig.life.drain();
        assert_eq!(rig.content("a"), Some(all.concat()), "{family}");
        assert!(rig.versions("a") <= 2, "{family}: what nobody needs any more is not sent");
    }
}

#[test]
fn what_is_written_down_while_a_close_is_does_not_undo_it() {
    for (family, config) in families() {
        let rig = Rig::new(config);
        rig.life
            .live(async |life| {
                let file = life.file("a").await.unwrap();
                let mode = crate::file::OpenMode { read: false, write: true, truncate: false };
                std::mem::forget(file.open(std::process::id(), mode).await.unwrap());
                super::life::write(&file, &text(3000, 1)).await.unwrap();
                file.sync().await.unwrap();
                let (upload, now) = (file.upload(), SystemTime::now());
                let saving = upload.begin_save().expect("nobody else saves it");
                // The generation before it has reached the service: the spool is to say what this one rests on.
                let mut again = Box::pin(upload.save_again(None, now));
                assert!((&mut again).now_or_never().is_none(), "{family}: it waits");
                upload.end_save(saving, crate::spool::Fate::Closed, now).await.unwrap();
                again.await.unwrap();
                assert!(upload.is_closed(), "{family}");
            })
            .unwrap();
        let rig = rig.again();
        rig.life.arrive();
        assert_eq!((rig.content("a"), rig.versions("a")), (Some(text(3000, 1)), 1), "{family}");
    }
}

#[test]
fn what_is_said_late_of_an_earlier_generation_changes_nothing() {
    for (family, config) in families() {
        let rig = Rig::new(config);
        let gate = rig.stall();
        rig.life
            .live(async |life| {
                life.put("a", &text(100, 1), true).await.unwrap();
                let file = life.file("a").await.unwrap();
                let first = file.upload();
                life.put("a", &text(20_000, 2), false).await.unwrap();
                gate.open();
                while file.is_local() {
                    file.settle_generations();
                    tokio::task::yield_now().await;
                }
                let second = file.upload();
                assert!(!std::sync::Arc::ptr_eq(&first, &second), "{family}");
                let old = first.source().node().unwrap_or_else(|| second.source().node().unwrap());
                second.follows(&first, path("a"), crate::service::Node { size: 100, ..old });
                let bytes = file.read(0, file.size()).await.unwrap();
                assert_eq!(bytes, [text(100, 1), text(20_000, 2)].concat(), "{family}");
            })
            .unwrap();
    }
}

#[test]
fn a_generation_whose_writer_never_closes_it_does_not_hold_the_one_before() {
    for (family, config) in families() {
        let rig = Rig::new(config);
        let gate = rig.stall();
        let (complete, more) = (text(9_000, 1), text(5_000, 2));
        rig.life
            .live(async |life| {
                life.put("a", &complete, true).await.unwrap();
                let file = life.file("a").await.unwrap();
                let mode = crate::file::OpenMode { read: false, write: true, truncate: false };
                std::mem::forget(file.open(std::process::id(), mode).await.unwrap());
                super::life::write(&file, &more).await.unwrap();
                file.sync().await.unwrap();
            })
            .unwrap();
        gate.open();
        rig.life.drain();
        assert_eq!(rig.content("a"), Some(complete.clone()), "{family}");
        let rig = rig.again();
        rig.life.drain();
        assert_eq!((rig.content("a"), rig.versions("a")), (Some(complete.clone()), 1), "{family}");
        assert_eq!(rig.life.unsettled(), [("a".to_owned(), [complete, more].concat())], "{family}: it is parked");
    }
}

#[test]
fn a_file_is_renamed_and_removed_before_it_is_uploaded() {
    // A request that carries the whole file has its name: it is waited for.
    for (family, config) in families().into_iter().filter(|(family, _)| *family != "whole") {
        let rig = Rig::new(config);
        let gate = rig.stall();
        rig.life
            .live(async |life| {
                life.put("a", &text(9_000, 1), true).await.unwrap();
                life.put("b", &text(9_000, 2), true).await.unwrap();
                life.rename("a", "c").await.unwrap();
            })
            .unwrap();
        rig.life.live(async |life| life.remove("b").await.unwrap()).unwrap();
        gate.open();
        rig.life.drain();
        let there = ["a", "b", "c"].map(|name| rig.content(name));
        assert_eq!(there, [None, None, Some(text(9_000, 1))], "{family}");
        assert_eq!(rig.life.disk.listing(), Vec::<String>::new(), "{family}");
    }
}

#[test]
fn what_the_service_refuses_for_good_is_parked_and_stays_so() {
    let rig = Rig::new(MemoryConfig::whole());
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Quota));
    rig.life.live(async |life| life.put("a", &text(100, 1), true).await.unwrap()).unwrap();
    rig.life.drain();
    assert_eq!(rig.versions("a"), 0);
    let rig = rig.again();
    rig.life.drain();
    assert_eq!(rig.versions("a"), 0, "a person decides");
    let (_, file) = rig.life.tree.unsettled().remove(0);
    assert_eq!(file.upload().failure().unwrap().kind, Kind::Quota);
    assert_eq!(rig.life.unsettled(), [("a".to_owned(), text(100, 1))]);
}

#[test]
fn a_service_that_was_away_gets_everything_when_it_is_back() {
    let rig = Rig::new(MemoryConfig::whole());
    rig.faults.add(Operation::PutWhole, When::From(1), Fault::request_lost());
    rig.faults.add(Operation::Probe, When::From(1), Fault::request_lost());
    let names = ["a", "b", "c", "d"];
    rig.life
        .live(async |life| {
            for name in names {
                life.put(name, &text(100, name.as_bytes()[0]), true).await.unwrap();
            }
        })
        .unwrap();
    let rig = rig.again();
    rig.life.drain();
    for name in names {
        assert_eq!((rig.content(name), rig.versions(name)), (Some(text(100, name.as_bytes()[0])), 1));
    }
}
