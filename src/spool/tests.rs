//! The journal and what is found of it: every moment to die at, every kind of damage.

use std::sync::Arc;
use std::time::SystemTime;

use super::model::{End, Fate as Life, Model};
use super::*;
use crate::error::Kind;
use crate::path::RemotePath;
use crate::ranges::Ranges;
use crate::service::{Receipt, SessionToken, Spec};

const REMOTE: &str = "wiki";

fn spool_on(disk: &Model) -> Arc<Spool> {
    Spool::on(Arc::new(disk.clone()), None).unwrap()
}

fn found_on(disk: &Model) -> Vec<Found> {
    spool_on(disk).recover(REMOTE).unwrap()
}

fn immortal() -> Model {
    Model::new(Life::after(u64::MAX))
}

fn info(path: &str, order: u64, size: u64) -> Info {
    Info {
        remote: REMOTE.into(),
        order,
        path: RemotePath::parse(path).unwrap(),
        fate: Fate::Closed,
        size,
        local: if size > 0 { std::iter::once(0..size).collect() } else { Ranges::new() },
        base: None,
        modified: SystemTime::UNIX_EPOCH,
    }
}

/// What the upload does: bytes, their sync, the word on them.
fn write(spool: &Arc<Spool>, path: &str, bytes: &[u8]) -> Result<Journal> {
    let id = spool.next_id();
    let failed = |error| Error::spool("test", error);
    let data = spool.disk().create(&id.data()).map_err(failed)?;
    data.write_all_at(bytes, 0).and_then(|()| data.sync()).map_err(failed)?;
    let journal = Journal::new(spool.clone(), id);
    journal.begin(Vec::new())?;
    journal.store(&info(path, spool.next_order(), bytes.len() as u64))?;
    Ok(journal)
}

fn asked(path: &str) -> Record {
    Record::Asked(Spec { path: RemotePath::parse(path).unwrap(), size: Some(4), sha1: None, replaces: None })
}

fn paths(found: &[Found]) -> Vec<&str> {
    found.iter().map(|entry| entry.info.path.as_str()).collect()
}

#[test]
fn what_was_confirmed_is_found_after_every_end_at_every_step() {
    let mut points = 0;
    for end in [End::Killed, End::PowerCut(0), End::PowerCut(1), End::PowerCut(2), End::PowerCut(3)] {
        for steps in 0.. {
            let disk = Model::new(Life::after(steps));
            let spool = spool_on(&disk);
            let mut confirmed = Vec::new();
            let lived = (|| {
                let a = write(&spool, "a", b"aaaa")?;
                confirmed.push("a");
                a.append(&[asked("a")], true)?;
                confirmed.push("asked a");
                write(&spool, "b", b"bb")?;
                confirmed.push("b");
                a.retire()?;
                confirmed.push("no a");
                Ok::<_, Error>(())
            })();
            let found = found_on(&disk.next_life(end, Life::after(u64::MAX)));
            let has = |path: &str| found.iter().find(|entry| entry.info.path.as_str() == path);
            let was = |what: &str| confirmed.contains(&what);
            let at = format!("{end:?} after {steps} steps");
            assert!(!was("a") || has("a").is_some() || was("b"), "{at}: a is lost");
            assert!(!was("b") || has("b").is_some(), "{at}: b is lost");
            assert!(!was("no a") || has("a").is_none(), "{at}: a is back");
            if let Some(a) = has("a").filter(|_| was("asked a")) {
                assert!(a.history.asked.is_some(), "{at}: nobody knows that the service was asked");
            }
            points += 1;
            if lived.is_ok() {
                break;
            }
        }
    }
    println!("{points} kill points of the journal");
    assert!(points > 5 * 15, "{points}: it has more steps than that");
}

#[test]
fn what_has_no_word_is_swept_away() {
    let disk = immortal();
    let spool = spool_on(&disk);
    let id = spool.next_id();
    spool.disk().create(&id.data()).unwrap();
    Journal::new(spool.clone(), id).begin(vec![Record::Abandoned]).unwrap();
    spool.disk().create(&format!("{}.new", id.info())).unwrap();
    let kept = write(&spool, "kept", b"kept").unwrap().id();
    let found = found_on(&disk);
    assert_eq!(paths(&found), ["kept"]);
    assert_eq!(disk.listing(), [kept.data(), kept.info()]);
}

#[test]
fn numbers_are_never_given_out_twice() {
    let disk = immortal();
    let first = write(&spool_on(&disk), "a", b"a").unwrap();
    let spool = spool_on(&disk);
    let order = spool.recover(REMOTE).unwrap()[0].info.order;
    assert!(spool.next_order() > order && spool.next_id().0 > first.id().0);
}

#[test]
fn the_oldest_is_found_first() {
    let disk = immortal();
    let spool = spool_on(&disk);
    let first = write(&spool, "first", b"1").unwrap();
    write(&spool, "second", b"2").unwrap();
    assert_eq!(paths(&found_on(&disk)), ["first", "second"]);
    // Renamed: its word is the newer one now.
    first.store(&info("renamed", spool.next_order(), 1)).unwrap();
    assert_eq!(paths(&found_on(&disk)), ["second", "renamed"]);
}

#[test]
fn the_way_to_the_service_is_found_again() {
    let disk = immortal();
    let journal = write(&spool_on(&disk), "a", b"aaaa").unwrap();
    let token = SessionToken { id: "s".into(), state: serde_json::json!({"key": 1}) };
    let sent = Sent { index: 0, range: 0..2, last: false, rewritten: false };
    let receipt = Receipt { index: 0, range: 0..2, state: serde_json::Value::Null };
    journal
        .append(&[Record::Session { token: token.clone(), total: Some(4), path: RemotePath::root() }], true)
        .unwrap();
    journal.append(&[Record::Sent(sent), Record::Held(receipt)], false).unwrap();
    let entry = found_on(&disk).remove(0);
    let session = entry.history.session.unwrap();
    assert_eq!((session.token, session.held.len()), (token, 1));
    // The next process goes on in the same log.
    entry.journal.append(&[asked("a")], true).unwrap();
    let history = found_on(&disk).remove(0).history;
    assert!(history.asked.is_some() && history.session.is_some());
}

#[test]
fn what_happens_while_an_entry_is_made_follows_what_had_happened() {
    let disk = immortal();
    let spool = spool_on(&disk);
    let journal = Journal::new(spool.clone(), spool.next_id());
    spool.disk().create(&journal.id().data()).unwrap();
    journal.append(&[asked("a")], true).unwrap();
    assert_eq!(disk.listing(), [journal.id().data()], "there is no entry that it would be about");
    let token = SessionToken { id: "s".into(), state: serde_json::Value::Null };
    journal.begin(vec![asked("z"), Record::Session { token, total: None, path: RemotePath::root() }]).unwrap();
    journal.store(&info("a", 1, 0)).unwrap();
    let history = found_on(&disk).remove(0).history;
    assert_eq!(history.asked.unwrap().path.as_str(), "a", "the later word");
    assert!(history.session.is_some());
}

#[test]
fn a_torn_record_is_overwritten_by_the_next() {
    let disk = immortal();
    let journal = write(&spool_on(&disk), "a", b"aaaa").unwrap();
    journal.append(&[Record::Abandoned, asked("a")], true).unwrap();
    disk.damage(&journal.id().log(), |bytes| bytes.truncate(bytes.len() - 7));
    let entry = found_on(&disk).remove(0);
    assert_eq!(entry.history.asked, None, "it was never confirmed");
    entry.journal.append(&[asked("b")], true).unwrap();
    assert_eq!(found_on(&disk)[0].history.asked.as_ref().unwrap().path.as_str(), "b");
}

#[test]
fn a_log_that_is_damaged_in_the_middle_leaves_a_question() {
    let disk = immortal();
    let journal = write(&spool_on(&disk), "a", b"aaaa").unwrap();
    journal.append(&[asked("a"), Record::Refused, Record::Abandoned], true).unwrap();
    disk.damage(&journal.id().log(), |bytes| bytes[12] ^= 1);
    let asked = found_on(&disk).remove(0).history.asked.unwrap();
    assert_eq!((asked.path.as_str(), asked.size), ("a", Some(4)), "the service is asked before anything is sent");
}

#[test]
fn damage_is_set_aside_and_the_others_are_found() {
    type Damage = fn(&Model, EntryId);
    let damages: [(&str, Damage); 6] = [
        ("a flipped bit", |disk, id| disk.damage(&id.info(), |bytes| bytes[20] ^= 1)),
        ("cut off", |disk, id| disk.damage(&id.info(), |bytes| bytes.truncate(20))),
        ("empty", |disk, id| disk.damage(&id.info(), Vec::clear)),
        ("no text", |disk, id| disk.damage(&id.info(), |bytes| bytes.fill(0xff))),
        ("bytes missing", |disk, id| disk.damage(&id.data(), |bytes| bytes.truncate(3))),
        ("all bytes missing", |disk, id| Disk::remove(disk, &id.data()).unwrap()),
    ];
    for (what, damage) in damages {
        let disk = immortal();
        let spool = spool_on(&disk);
        let hurt = write(&spool, "hurt", b"hurt").unwrap().id();
        write(&spool, "well", b"well").unwrap();
        damage(&disk, hurt);
        assert_eq!(paths(&found_on(&disk)), ["well"], "{what}");
        assert!(disk.listing().contains(&format!("{}.damaged", hurt.info())), "{what}: {:?}", disk.listing());
        // It stays aside, and its number is not used again.
        let again = spool_on(&disk);
        assert_eq!(paths(&again.recover(REMOTE).unwrap()), ["well"], "{what}");
        assert!(again.next_id() > hurt);
    }
}

#[test]
fn bytes_of_a_file_that_was_open_may_have_been_cut() {
    let disk = immortal();
    let spool = spool_on(&disk);
    let journal = write(&spool, "a", b"aaaa").unwrap();
    journal.store(&Info { fate: Fate::Open, ..info("a", 9, 4) }).unwrap();
    disk.damage(&journal.id().data(), |bytes| bytes.truncate(2));
    let found = found_on(&disk);
    assert_eq!(found[0].info.local, std::iter::once(0..2).collect());
    assert_eq!(found[0].info.size, 4);
}

#[test]
fn what_another_release_wrote_is_left_as_it_is() {
    let disk = immortal();
    let spool = spool_on(&disk);
    let id = write(&spool, "a", b"aaaa").unwrap().id();
    let text = line::encode(&(99, ["something", "else"])).unwrap();
    disk.damage(&id.info(), |bytes| *bytes = text.into_bytes());
    write(&spool, "b", b"b").unwrap();
    let before = disk.listing();
    assert_eq!(paths(&found_on(&disk)), ["b"]);
    assert_eq!(disk.listing(), before);
}

#[test]
fn files_for_another_remote_are_not_uploaded_to_this_one() {
    let disk = immortal();
    write(&spool_on(&disk), "a", b"aaaa").unwrap();
    let error = spool_on(&disk).recover("other").err().unwrap();
    assert_eq!(error.kind, Kind::Busy);
    assert!(error.to_string().contains("\"wiki\"") && error.hint.is_some(), "{error}");
    assert_eq!(paths(&found_on(&disk)), ["a"]);
}

#[test]
fn a_step_that_fails_says_so_and_leaves_the_old_word() {
    for nth in 1.. {
        let disk = immortal();
        let spool = spool_on(&disk);
        let journal = write(&spool, "old", b"old!").unwrap();
        disk.fail(nth, libc::ENOSPC);
        let stored = journal.store(&info("new", spool.next_order(), 4));
        if disk.is_fault_left() {
            assert!(nth > 4, "an info takes more steps than {nth}");
            break;
        }
        assert_eq!(stored.unwrap_err().kind, Kind::SpoolFull, "step {nth}");
        let found = found_on(&disk);
        assert_eq!(found.len(), 1, "step {nth}");
        assert!(["old", "new"].contains(&found[0].info.path.as_str()));
    }
}
