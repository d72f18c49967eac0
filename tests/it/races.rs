//! What happens at the same time: a listing, a rename, a commit, another client. A gate holds one request of the service
//! where it hurts most; the service's truth is looked at when all of them are through.

use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::{Error, Kind, Retry};
use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, in_one_request};
use super::support::program::until;

/// Waits until a request stands at the gate.
fn reached(gate: &Gate) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(gate.reached());
}

/// A mount that asks the service every time.
fn curious() -> Rig {
    Rig::with(MemoryConfig::friendly(), |options| options.dir_cache = Duration::ZERO)
}

#[test]
fn an_append_goes_behind_what_another_client_wrote() {
    let rig = curious();
    rig.ok("echo ours > f");
    rig.write_elsewhere("f", b"theirs\n");
    until("the other client's version", || rig.ok("cat f") == "theirs\n");
    rig.ok("echo more >> f");
    assert_eq!(rig.content("f").unwrap(), "theirs\nmore\n");
}

#[test]
fn a_file_is_cut_by_its_name_while_somebody_reads_it() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo 123456789 > f");
    rig.python("f = os.open('f', os.O_RDONLY); os.truncate('f', 4); os.close(f)");
    rig.assert_has("f", b"1234", 2);
}

#[test]
fn a_listing_during_a_rename_loses_neither_the_file_nor_the_mount() {
    let rig = curious();
    rig.write_elsewhere("a", b"text");
    rig.ok("cat a");
    let gate = Gate::new();
    rig.faults.add(Operation::Rename, When::Always, Fault::StallAfter(gate.clone()));
    let renaming = rig.start_python("os.rename('a', 'b')");
    reached(&gate);
    let lists = rig.faults.count(Operation::List);
    let listing = rig.start("ls");
    // The kernel may hold the listing back until the rename is through; where it does not, it goes first.
    let asked = || rig.faults.count(Operation::List) > lists;
    for _ in 0..100 {
        if asked() {
            break;
        }
        std::thread::yield_now();
    }
    gate.open();
    renaming.wait().ok();
    listing.wait().ok();
    until("the new name", || rig.sh("ls").out == "b\n");
    assert_eq!(rig.ok("cat b"), "text");
    assert_eq!(rig.ok("ls; cat b"), "b\ntext");
}

#[test]
fn a_rename_onto_a_file_waits_for_its_commit() {
    let rig = Rig::new(in_one_request());
    rig.ok("echo source > s; echo old > t");
    let gate = Gate::new();
    let nth = rig.faults.count(Operation::PutWhole) + 1;
    rig.faults.add(Operation::PutWhole, When::Nth(nth), Fault::StallBefore(gate.clone()));
    let writer = rig.start("echo target > t");
    reached(&gate);
    let renaming = rig.start("mv s t");
    gate.open();
    writer.wait().ok();
    renaming.wait().ok();
    assert_eq!(rig.content("t").unwrap(), "source\n");
    assert!(rig.content("s").is_none());
    assert_eq!(rig.ok("cat t"), "source\n");
}

#[test]
fn a_directory_is_renamed_after_the_commits_below_it() {
    let rig = Rig::new(in_one_request());
    rig.ok("mkdir -p d/deep; echo old > d/deep/other");
    let gate = Gate::new();
    let nth = rig.faults.count(Operation::PutWhole) + 1;
    rig.faults.add(Operation::PutWhole, When::Nth(nth), Fault::StallBefore(gate.clone()));
    let writer = rig.start("echo text > d/deep/f");
    reached(&gate);
    let renaming = rig.start("mv d e");
    gate.open();
    writer.wait().ok();
    renaming.wait().ok();
    assert_eq!(rig.content("e/deep/f").unwrap(), "text\n");
    assert!(rig.content("d/deep/f").is_none());
    assert_eq!(rig.ok("cat e/deep/f e/deep/other; echo more >> e/deep/f; cat e/deep/f"), "text\nold\ntext\nmore\n");
}

#[test]
fn a_file_opened_while_it_is_renamed_is_written_under_its_new_name() {
    for (flags, expected) in [("os.O_WRONLY | os.O_APPEND", "text\nmore\n"), ("os.O_WRONLY | os.O_TRUNC", "more\n")] {
        let rig = Rig::with(MemoryConfig::friendly(), |options| options.dir_cache = Duration::from_secs(60));
        rig.write_elsewhere("a", b"text\n");
        rig.ok("stat a");
        let gate = Gate::new();
        rig.faults.add(Operation::Rename, When::Always, Fault::StallBefore(gate.clone()));
        let mut writer = rig.start_python(&format!(
            "
             pause()
             f = os.open('a', {flags}); os.write(f, b'more\\n'); os.close(f)"
        ));
        writer.until_paused();
        let renaming = rig.start("mv a b");
        reached(&gate);
        writer.go();
        gate.open();
        renaming.wait().ok();
        let ended = writer.wait();
        if ended.success() {
            // It came in before the rename, or during it: in both cases it is the file that is `b` now.
            assert_eq!(rig.content("b").unwrap(), expected, "{flags}");
        } else {
            assert!(ended.err.contains("No such file"), "{ended:?}");
            assert_eq!(rig.content("b").unwrap(), "text\n");
        }
        assert!(rig.content("a").is_none(), "{flags}");
    }
}

#[test]
fn a_body_that_was_given_up_is_not_changed_under_way() {
    let rig = Rig::with(in_one_request(), |options| options.close_deadline = Duration::from_secs(1));
    let gate = Gate::new();
    rig.faults.add(Operation::PutWhole, When::Nth(1), Fault::StallBefore(gate.clone()));
    rig.put_local("s", b"AAAAAAAAAA");
    rig.sh(r#"cp "$L/s" f"#).failed("timed out");
    let program = "
        f = os.open('f', os.O_WRONLY)
        try:
            os.write(f, b'BBB')
        except OSError as error:
            print(errno.errorcode[error.errno])";
    let writer = rig.start_python(program);
    until("an answer or the gate", || true);
    gate.open();
    writer.wait().ok();
    until("the end of the upload", || rig.versions("f") >= 1);
    let first = rig.memory.content(&super::support::mount::path("f")).unwrap();
    assert!([&b"AAAAAAAAAA"[..], b"BBBAAAAAAA"].contains(&&first[..]), "a mixture: {first:?}");
}

#[test]
fn a_question_nobody_waits_for_is_not_asked_for_ever() {
    let rig = Rig::with(in_one_request(), |options| options.close_deadline = Duration::from_secs(1));
    rig.faults.add(Operation::PutWhole, When::Always, Fault::request_lost());
    let down = Error::new(Kind::Unreachable, "probe", "down").retry(Retry::AskFirst);
    rig.faults.add(Operation::Probe, When::Always, Fault::Before(down));
    rig.put_local("s", b"AAAAAAAAAA");
    rig.sh(r#"cp "$L/s" f"#).failed("timed out");
    // Whatever was under way ends, and then there is silence.
    let mut last = rig.faults.count(Operation::Probe);
    let mut quiet = 0;
    until("silence", || {
        std::thread::sleep(Duration::from_millis(100));
        let now = rig.faults.count(Operation::Probe);
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        quiet >= 30
    });
    // The service is well again: the next close settles the doubt first, then sends what there is. The short deadline
    // may pass once more on a busy machine.
    rig.faults.heal();
    let mut copies = 0;
    until("a copy that succeeds", || {
        copies += 1;
        rig.sh(r#"cp "$L/s" f"#).success()
    });
    assert_eq!(rig.content("f").unwrap(), Bytes::from_static(b"AAAAAAAAAA"));
    assert!((1..=copies).contains(&rig.versions("f")), "{copies} copies, {} versions", rig.versions("f"));
}

#[test]
fn a_lock_that_another_client_has_just_taken_is_seen() {
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.dir_cache = Duration::from_secs(60));
    let take = "
        time.sleep(0.15)   # what was looked up longer than a tenth of a second ago is asked for again
        try:
            os.close(os.open(NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            print('taken')
        except FileExistsError:
            print('held')";
    let take = |name: &str| format!("\n        import time{}", take.replace("NAME", &format!("{name:?}")));
    // Looked for in vain, and listed as missing.
    rig.sh("ls; cat miss");
    for name in ["miss", "listed"] {
        rig.write_elsewhere(name, b"another client");
        assert_eq!(rig.python(&take(name)), "held\n", "{name}");
    }
    assert_eq!(rig.python(&take("free")), "taken\n");
    assert_eq!(rig.python(&take("free")), "held\n");
}

#[test]
fn removed_files_give_back_what_they_took() {
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.memory_bytes = 16 << 20);
    rig.python(
        "for i in range(4):
             f = os.open('t', os.O_RDWR | os.O_CREAT)
             for _ in range(20): os.write(f, b'x' * (1 << 20))
             os.unlink('t')
             os.close(f)",
    );
    until("empty buffers", || rig.usage().spooled_bytes == 0 && rig.usage().memory_bytes == 0);
}
