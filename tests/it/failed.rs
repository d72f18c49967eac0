//! What a program hears when the service does not take its file, and what becomes of the file then.

use std::time::Duration;

use uploadfs::error::Kind;
use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, in_one_request, presets};
use super::support::program::until;
use super::support::upload::text;

/// What a Python program prints about a call that fails.
const TRY: &str = "
def attempt(work, *args):
    try:
        work(*args)
        print('fine')
    except OSError as error:
        print(errno.errorcode[error.errno])
";

/// One family for each road that a file takes to its service.
fn roads() -> [(&'static str, MemoryConfig); 4] {
    [
        ("streamed_sequential", MemoryConfig::streamed_sequential()),
        ("streamed_parallel", MemoryConfig::streamed_parallel()),
        ("declared_parallel", MemoryConfig::declared_parallel()),
        ("whole", MemoryConfig::whole()),
    ]
}

fn python(rig: &Rig, program: &str) -> Vec<String> {
    rig.python(&format!("{TRY}\n{program}")).lines().map(str::to_owned).collect()
}

#[test]
fn close_says_why_the_service_does_not_have_the_file() {
    let reasons = [
        (Kind::Denied, "EACCES", "Permission denied"),
        (Kind::SignedOut, "EACCES", "Permission denied"),
        (Kind::ReadOnly, "EROFS", "Read-only file system"),
        (Kind::Quota, "EDQUOT", "Disk quota exceeded"),
        (Kind::TooLarge, "EFBIG", "File too large"),
        (Kind::Refused, "EPERM", "Operation not permitted"),
        (Kind::Conflict, "ESTALE", "Stale file handle"),
        (Kind::Corrupt, "EIO", "Input/output error"),
    ];
    let rig = Rig::new(in_one_request());
    rig.put_local("source", b"text");
    for (kind, code, words) in reasons {
        rig.ok("echo old > f");
        let before = rig.versions("f");
        rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(kind));
        rig.sh(r#"cp "$L/source" f"#).failed(words);
        rig.sh(r#"dd if="$L/source" of=f status=none"#).failed(words);
        let program = "f = os.open('f', os.O_WRONLY | os.O_TRUNC); os.write(f, b'x'); attempt(os.close, f)";
        assert_eq!(python(&rig, program), [code], "{kind:?}");
        rig.assert_has("f", b"old\n", before);
        assert_eq!(rig.state("f"), "parked", "{kind:?}");
        rig.faults.heal();
        rig.ok(r#"cp "$L/source" f"#);
        rig.assert_has("f", b"text", before + 1);
        assert_eq!(rig.state("f"), "remote", "{kind:?}");
    }
}

#[test]
fn every_request_of_an_upload_may_fail() {
    let bytes = text(11 << 20, 1);
    for (name, config) in roads() {
        let rig = Rig::new(config);
        rig.put_local("source", &bytes);
        for operation in [Operation::Begin, Operation::Put, Operation::Finish, Operation::PutWhole] {
            rig.faults.add(operation, When::Always, Fault::refused(Kind::Quota));
            let ended = rig.sh(r#"cp "$L/source" f"#);
            if rig.faults.count(operation) > 0 {
                ended.failed("Disk quota exceeded");
                assert_eq!(rig.state("f"), "parked", "{name}: {operation}");
            }
            rig.faults.heal();
            rig.ok(r#"rm -f f; cp "$L/source" f; cmp f "$L/source""#);
            rig.assert_has("f", &bytes, 1);
            rig.ok("rm f");
        }
    }
}

#[test]
fn a_failure_stays_until_the_file_is_opened_again() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    rig.faults.add(Operation::Begin, When::Always, Fault::refused(Kind::Denied));
    // The session is refused while the program still writes.
    let heard = python(
        &rig,
        "
f = os.open('f', os.O_WRONLY | os.O_CREAT)
g = os.dup(f)
try:
    while True:
        os.write(f, b'one' * 100000)
except OSError:
    pass
attempt(os.write, f, b'two')
attempt(os.fsync, f)
attempt(os.ftruncate, f, 1)
attempt(os.close, f)
attempt(os.close, g)
",
    );
    assert_eq!(heard, ["EACCES", "EACCES", "EACCES", "EACCES", "EACCES"]);
    assert_eq!(rig.faults.count(Operation::Begin), 1, "a refusal is final: the service is not asked again");
    rig.faults.heal();
    rig.ok("touch f");
    assert_eq!(rig.versions("f"), 0, "touching publishes nothing");
    assert_eq!(rig.ok("head -c 6 f"), "oneone", "the bytes are kept");
    rig.ok("echo two >> f; tail -c 7 f");
    assert!(rig.content("f").unwrap().ends_with(b"oneonetwo\n"));
    assert_eq!(rig.versions("f"), 1);
}

#[test]
fn a_file_that_is_too_large_is_refused_at_the_write_that_crosses_the_limit() {
    let mut config = MemoryConfig::friendly();
    config.capability.file_max = 3 << 20;
    let rig = Rig::new(config);
    rig.sh("dd if=/dev/zero of=f bs=1M count=10 status=none").failed("File too large");
    rig.sh("truncate -s 4M g").failed("File too large");
    rig.ok("dd if=/dev/zero of=h bs=1M count=3 status=none; truncate -s 3M h");
    rig.assert_has("h", &vec![0; 3 << 20], 1);
}

#[test]
fn names_the_service_does_not_take_are_refused_before_a_byte_is_written() {
    let mut config = MemoryConfig::streamed_sequential();
    config.names.forbidden = "#<>";
    config.names.refused = &["exe"];
    config.names.bytes_max = 40;
    let rig = Rig::new(config);
    rig.ok("echo x > fine.txt");
    rig.sh("echo x > 'a#b.txt'").failed("Invalid argument");
    rig.sh("echo x > a.EXE").failed("Operation not permitted");
    rig.sh("echo x > a.exe").failed("Operation not permitted");
    rig.sh("echo x > $(printf %041d 0)").failed("File name too long");
    assert_eq!(rig.ok("ls"), "fine.txt\n");
    assert_eq!(rig.memory.files().len(), 1);
}

#[test]
fn a_lost_answer_makes_no_second_version() {
    let (small, large) = (text(1000, 1), text(11 << 20, 2));
    for (name, config) in presets() {
        let rig = Rig::new(config);
        rig.put_local("small", &small);
        rig.put_local("large", &large);
        for operation in [Operation::Finish, Operation::PutWhole, Operation::Put, Operation::Begin] {
            rig.faults.add(operation, When::Nth(rig.faults.count(operation) + 1), Fault::AnswerLost);
        }
        rig.ok(r#"cp "$L/large" large; cp "$L/small" small"#);
        rig.assert_has("large", &large, 1);
        rig.assert_has("small", &small, 1);
        assert_eq!(rig.state("large"), "remote", "{name}");
        rig.faults.heal();
        let count = |operation| rig.faults.count(operation) + 1;
        for operation in [Operation::Finish, Operation::PutWhole] {
            rig.faults.add(operation, When::Nth(count(operation)), Fault::request_lost());
        }
        rig.ok(r#"cp "$L/small" large; cp "$L/large" small; cmp small "$L/large""#);
        rig.assert_has("large", &small, 2);
        rig.assert_has("small", &large, 2);
    }
}

#[test]
fn a_service_that_is_busy_is_waited_for() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    rig.put_local("source", &text(3 << 20, 1));
    for operation in [Operation::Begin, Operation::Put, Operation::Finish, Operation::PutWhole, Operation::Stat] {
        rig.faults.add(operation, When::Nth(1), Fault::busy(Duration::ZERO));
    }
    rig.ok(r#"cp "$L/source" large; echo small > small; cat small"#);
    rig.assert_has("large", &text(3 << 20, 1), 1);
    rig.assert_has("small", b"small\n", 1);
}

#[test]
fn a_file_that_may_not_be_written_is_refused_at_open() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo old > f");
    rig.faults.add(Operation::Admit, When::Always, Fault::refused(Kind::Denied));
    let heard = python(
        &rig,
        "
attempt(os.open, 'new', os.O_WRONLY | os.O_CREAT)
attempt(os.open, 'f', os.O_WRONLY)
attempt(os.open, 'f', os.O_RDWR | os.O_TRUNC)
attempt(os.open, 'f', os.O_RDONLY)
",
    );
    assert_eq!(heard, ["EACCES", "EACCES", "EACCES", "fine"]);
    assert_eq!(rig.ok("ls; cat f"), "f\nold\n", "nothing is left of the attempts");
    rig.assert_has("f", b"old\n", 1);
    rig.faults.heal();
    rig.ok("echo new > f; echo new > new");
    rig.assert_has("f", b"new\n", 2);
}

/// A mount whose closes give up soon, and yet not because the machine is busy.
fn impatient(config: MemoryConfig) -> Rig {
    Rig::with(config, |options| options.close_deadline = Duration::from_secs(1))
}

#[test]
fn a_service_that_falls_silent_holds_no_program_for_ever() {
    let bytes = text(11 << 20, 1);
    for (name, config) in roads() {
        let healthy = Rig::new(config.clone());
        healthy.put_local("source", &bytes);
        healthy.ok(r#"cp "$L/source" f"#);
        let all = [Operation::Begin, Operation::Put, Operation::Finish, Operation::PutWhole];
        for operation in all.into_iter().filter(|operation| healthy.faults.count(*operation) > 0) {
            let rig = impatient(config.clone());
            rig.put_local("source", &bytes);
            let gate = Gate::new();
            rig.faults.add(operation, When::Always, Fault::StallBefore(gate.clone()));
            rig.sh(r#"cp "$L/source" f"#).failed("timed out");
            assert_eq!(rig.versions("f"), 0, "{name}: {operation}");
            assert_eq!(rig.state("f"), "parked", "{name}: {operation}");
            rig.ok(r#"cmp f "$L/source""#);
            gate.open();
            until("the doubt to be settled", || rig.memory.open_sessions().is_empty());
            rig.faults.heal();
            // What the program was told is not what the service has, but a whole file, or none.
            until("a calm file", || rig.state("f") != "uploading");
            if let Some(content) = rig.content("f") {
                assert!(content == bytes, "{name}: {operation}");
            }
            rig.ok(r#"echo new > f"#);
            assert_eq!(rig.content("f").unwrap(), "new\n", "{name}: {operation}");
            assert_eq!(rig.state("f"), "remote", "{name}: {operation}");
        }
    }
}

#[test]
fn what_the_service_confirms_late_is_no_longer_parked() {
    let rig = impatient(in_one_request());
    let gate = Gate::new();
    rig.faults.add(Operation::PutWhole, When::Nth(1), Fault::StallAfter(gate.clone()));
    rig.sh("echo x > f").ok();
    let heard = python(&rig, "f = os.open('g', os.O_WRONLY | os.O_CREAT); os.write(f, b'x'); attempt(os.close, f)");
    assert_eq!(heard, ["fine"]);
    assert_eq!(rig.state("f"), "parked");
    gate.open();
    until("the late confirmation", || rig.state("f") == "remote");
    rig.assert_has("f", b"x\n", 1);
    rig.ok("echo y > f");
    rig.assert_has("f", b"y\n", 2);
}
