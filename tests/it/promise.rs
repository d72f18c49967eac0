//! The size promise, by real programs, on services that must know the size of a file before its first byte: whose
//! copies begin to travel while they are still being written, whose do not, and what a wrong guess costs. Programs stand
//! still in the middle of a file while the service is asked what it has heard.

use std::fs::OpenOptions;
use std::io::Write;

use bytes::Bytes;
use uploadfs::error::Kind;
use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::Rig;
use super::support::program::{Running, until};
use super::support::slow::Slow;
use super::support::upload::text;

/// 1 MiB, in bytes.
const MIB: usize = 1 << 20;

/// Bytes of the files: more than one part of 10 MiB, and an end that fills none.
const BYTES: usize = 13 * MIB + 17;

/// A source can be read up to here: the first part is complete, the file is not.
const GATE: u64 = 12 << 20;

/// What a program has written when it pauses: more than a session is opened for.
const PAUSED: usize = 3 * MIB;

/// The families that must know the size.
fn declared() -> [MemoryConfig; 2] {
    [MemoryConfig::declared_sequential(), MemoryConfig::declared_parallel()]
}

/// A line of shell that copies `$D/source` to `$f`, for each program that does it in its own way.
const COPIERS: [&str; 12] = [
    r#"cp "$D/source" $f"#,
    // By read and write, where the kernel would copy otherwise.
    r#"cp --sparse=always "$D/source" $f"#,
    r#"mv "$D/source" $f"#,
    r#"install -m 600 "$D/source" $f"#,
    r#"dd if="$D/source" of=$f bs=4M status=none"#,
    r#"dd if="$D/source" of=$f bs=64k status=none"#,
    r#"cat "$D/source" > $f"#,
    r#"tee $f < "$D/source" > /dev/null"#,
    r#"python3 -c "import shutil; shutil.copy('$D/source', '$f')""#,
    r#"python3 -c "import shutil; shutil.copyfileobj(open('$D/source', 'rb'), open('$f', 'wb'))""#,
    r#"gio copy "$D/source" $f"#,
    r#"printf 'source\nno other\n' > "$L/list"; while read x; do cp "$D/$x" $f; break; done < "$L/list""#,
];

#[test]
fn every_copier_is_uploaded_while_it_copies() {
    let bytes = text(BYTES, 1);
    for config in declared() {
        let rig = Rig::new(config);
        for (number, copier) in COPIERS.iter().enumerate() {
            let slow = Slow::mount(&rig.local(&format!("slow{number}")), bytes.clone(), GATE);
            let (begun, put) = (rig.faults.count(Operation::Begin), rig.faults.count(Operation::Put));
            let name = format!("copy{number}");
            let mut program = rig.start(&format!("D=$L/slow{number}; f={name}; {copier}"));
            rig.until_asked(Operation::Begin, begun + 1);
            rig.until_asked(Operation::Put, put + 1);
            assert!(program.is_running() && rig.versions(&name) == 0, "{copier}");
            assert!(rig.size(&name) < BYTES as u64, "{copier}: still being copied");
            slow.go();
            program.wait().ok();
            rig.assert_has(&name, &bytes, 1);
            let record = rig.memory.record();
            assert_eq!((record.begun, record.aborted), (begun + 1, 0), "{copier}");
        }
    }
}

/// Starts a Python program with `source`, a file of these bytes, at hand, and waits until it pauses. It has `f`, the file
/// to write, and writes the first of the bytes with `begin` and the others with `end`.
fn start(rig: &Rig, bytes: &[u8], program: &str) -> Running {
    rig.put_local("source", bytes);
    let common = format!(
        "
import os
def read(fd, size):
    parts = []
    while size > 0:
        part = os.read(fd, min(size, {MIB}))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b''.join(parts)
def write(data):
    for at in range(0, len(data), {MIB}):
        os.write(f, data[at:at + {MIB}])
def source(flags=os.O_RDONLY, name='/source'):
    return os.open(L + name, flags)
def copy(fd, size):
    while size > 0:
        data = read(fd, min(size, {MIB}))
        if not data:
            break
        write(data)
        size -= len(data)
f = os.open('f', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
PAUSED, ALL = {PAUSED}, 1 << 40
"
    );
    let lines: Vec<&str> = program.lines().map(str::trim_start).collect();
    let mut program = rig.start_python(&format!("{common}{}", lines.join("\n")));
    program.until_paused();
    program
}

/// The service has heard nothing of a file whose writer was looked at `looks` times; when it closes, one session makes
/// it what it is.
#[track_caller]
fn assert_begun_at_close(rig: &Rig, mut program: Running, (looks, bytes): (u64, &[u8])) {
    until("the looks at the writer", || rig.looks() >= looks);
    assert_eq!((rig.looks(), rig.faults.count(Operation::Begin)), (looks, 0));
    program.go();
    program.wait().ok();
    rig.assert_has("f", bytes, 1);
    let record = rig.memory.record();
    assert_eq!((record.begun, record.finished, record.aborted), (1, 1, 0));
}

#[test]
fn what_only_resembles_a_copy_promises_nothing() {
    let bytes = text(5 * MIB, 2);
    for (what, program) in [
        (
            "two files that could be the source",
            "os.system('cp $L/source $L/twin'); a = source(); b = source(name='/twin')
            for _ in range(3): data = read(a, 1 << 20); read(b, 1 << 20); write(data)
            pause(); copy(a, ALL)",
        ),
        ("a file that the program itself appends to", "s = source(os.O_RDWR); copy(s, PAUSED); pause(); copy(s, ALL)"),
        (
            "a position behind",
            "s = source(); data = read(s, ALL); os.lseek(s, 5, 0); write(data[:PAUSED]); pause(); write(data[PAUSED:])",
        ),
        (
            "a position far ahead",
            "s = source(); data = read(s, ALL); os.lseek(s, 99 << 20, 0); write(data[:PAUSED])
            pause(); write(data[PAUSED:])",
        ),
        (
            "a source that is closed already",
            "s = source(); data = read(s, ALL); os.close(s); write(data[:PAUSED]); pause(); write(data[PAUSED:])",
        ),
        (
            "a pipe",
            "s = subprocess.Popen(['cat', L + '/source'], stdout=subprocess.PIPE).stdout.fileno()
            copy(s, PAUSED); pause(); copy(s, ALL)",
        ),
    ] {
        let rig = Rig::new(MemoryConfig::declared_sequential());
        println!("{what}");
        assert_begun_at_close(&rig, start(&rig, &bytes, program), (1, &bytes));
    }
}

#[test]
fn a_copy_within_the_mount_promises_nothing() {
    let bytes = text(5 * MIB, 12);
    let rig = Rig::new(MemoryConfig::declared_sequential());
    rig.put_local("source", &bytes);
    rig.ok("dd if=\"$L/source\" of=g bs=1M conv=notrunc status=none");
    let (begun, looks) = (rig.faults.count(Operation::Begin), rig.looks());
    // A question to the own mount would be answered by the process that asks.
    let program = "s = os.open('g', os.O_RDONLY); copy(s, PAUSED); pause(); copy(s, ALL)";
    let mut program = start(&rig, &bytes, program);
    until("the look at the writer", || rig.looks() > looks);
    assert_eq!(rig.faults.count(Operation::Begin), begun);
    program.go();
    program.wait().ok();
    rig.assert_has("f", &bytes, 1);
    assert_eq!((rig.memory.record().begun, rig.memory.record().aborted), (begun + 1, 0));
}

#[test]
fn a_program_that_makes_other_bytes_of_what_it_reads_promises_nothing() {
    let bytes = text(5 * MIB, 3);
    let upper = bytes.to_ascii_uppercase();
    let rig = Rig::new(MemoryConfig::declared_parallel());
    let program = "s = source(); write(read(s, PAUSED).upper()); pause(); write(read(s, ALL).upper())";
    assert_begun_at_close(&rig, start(&rig, &bytes, program), (1, &upper));
}

#[test]
fn a_copier_with_a_large_buffer_is_looked_at_again() {
    let bytes = text(20 * MIB, 4);
    let rig = Rig::new(MemoryConfig::declared_sequential());
    // Read beyond what a copier does at first; the second look, past 8 MiB, finds it where it may be.
    let program = "s = source(); data = read(s, ALL); os.lseek(s, 70 << 20, 0); write(data[:PAUSED]); pause()
        write(data[PAUSED:18 << 20]); pause(); write(data[18 << 20:])";
    let mut program = start(&rig, &bytes, program);
    until("the first look", || rig.looks() == 1);
    assert_eq!(rig.faults.count(Operation::Begin), 0);
    // The source has grown to what the position says.
    OpenOptions::new().write(true).open(rig.local("source")).unwrap().set_len(70 << 20).unwrap();
    program.go();
    program.until_paused();
    rig.until_asked(Operation::Begin, 1);
    program.go();
    program.wait().ok();
    rig.assert_has("f", &bytes, 1);
    assert_eq!(rig.looks(), 2);
}

/// A session was opened for a size that the file did not get.
#[track_caller]
fn assert_broken_once(rig: &Rig, program: Running, bytes: &[u8]) {
    program.wait().ok();
    rig.assert_has("f", bytes, 1);
    let record = rig.memory.record();
    assert_eq!((record.begun, record.finished, record.aborted), (2, 1, 1));
    assert_eq!(rig.memory.open_sessions(), []);
}

#[test]
fn a_wrong_promise_costs_one_session_and_never_a_wrong_file() {
    let bytes = text(BYTES, 5);
    let more = text(2 * MIB, 6);
    let longer: Bytes = [&bytes[..], &more].concat().into();
    let copy = "s = source(); copy(s, PAUSED); pause(); copy(s, ALL)";
    let stop = "s = source(); copy(s, PAUSED); pause(); copy(s, 8 << 20)";
    let other = "s = source(); copy(s, PAUSED); pause(); copy(s, ALL); os.pwrite(f, b'tail', os.fstat(f).st_size)";
    let cut = "s = source(); copy(s, PAUSED); pause(); copy(s, ALL); os.ftruncate(f, 4 << 20)";
    for config in declared() {
        let begin = |program: &str| {
            let rig = Rig::new(config.clone());
            let program = start(&rig, &bytes, program);
            rig.until_asked(Operation::Begin, 1);
            (rig, program)
        };
        // The source grows.
        let (rig, mut program) = begin(copy);
        OpenOptions::new().append(true).open(rig.local("source")).unwrap().write_all(&more).unwrap();
        program.go();
        assert_broken_once(&rig, program, &longer);
        // The source shrinks.
        let (rig, mut program) = begin(copy);
        OpenOptions::new().write(true).open(rig.local("source")).unwrap().set_len(7 << 20).unwrap();
        program.go();
        assert_broken_once(&rig, program, &bytes[..7 << 20]);
        // A part of the source is copied.
        let (rig, mut program) = begin(stop);
        program.go();
        assert_broken_once(&rig, program, &bytes[..11 << 20]);
        // Something follows the copy.
        let (rig, mut program) = begin(other);
        program.go();
        assert_broken_once(&rig, program, &[&bytes[..], b"tail"].concat());
        // The copy is cut.
        let (rig, mut program) = begin(cut);
        program.go();
        assert_broken_once(&rig, program, &bytes[..4 << 20]);
    }
}

#[test]
fn a_size_that_a_program_sets_before_it_writes_is_a_promise() {
    let bytes = text(BYTES, 7);
    for config in declared() {
        for set in ["os.ftruncate(f, SIZE)", "os.posix_fallocate(f, 0, SIZE)", "os.truncate('f', SIZE)"] {
            let rig = Rig::new(config.clone());
            let set = set.replace("SIZE", &BYTES.to_string());
            // The source is closed: nobody could see what is copied.
            let program = format!(
                "s = source(); data = read(s, ALL); os.close(s); {set}
                write(data[:PAUSED]); pause(); write(data[PAUSED:])"
            );
            let mut program = start(&rig, &bytes, &program);
            rig.until_asked(Operation::Begin, 1);
            program.go();
            program.wait().ok();
            rig.assert_has("f", &bytes, 1);
            let record = rig.memory.record();
            assert_eq!((record.begun, record.aborted, rig.looks()), (1, 0, 0), "{set}");
        }
    }
}

#[test]
fn a_size_that_is_set_and_not_kept_costs_one_session() {
    let bytes = text(BYTES, 8);
    let rig = Rig::new(MemoryConfig::declared_parallel());
    let program = "s = source(); os.posix_fallocate(f, 0, 50 << 20); copy(s, PAUSED); pause()
        copy(s, ALL); os.ftruncate(f, os.lseek(f, 0, 1))";
    let mut program = start(&rig, &bytes, program);
    rig.until_asked(Operation::Begin, 1);
    program.go();
    assert_broken_once(&rig, program, &bytes);
}

#[test]
fn a_promised_size_that_the_service_refuses_is_asked_again_at_close() {
    let bytes = text(5 * MIB, 9);
    for kind in [Kind::Quota, Kind::TooLarge, Kind::ServerFull] {
        let rig = Rig::new(MemoryConfig::declared_sequential());
        rig.faults.add(Operation::Begin, When::Nth(1), Fault::refused(kind));
        let program = "s = source(); os.ftruncate(f, 0); copy(s, PAUSED); pause(); copy(s, 2 << 20)";
        let mut program = start(&rig, &[&bytes[..], &bytes].concat(), program);
        rig.until_asked(Operation::Begin, 1);
        program.go();
        program.wait().ok();
        rig.assert_has("f", &bytes, 1);
        assert_eq!(rig.faults.count(Operation::Begin), 2);
    }
}

#[test]
fn rsync_that_reserves_space_is_right() {
    let bytes = text(BYTES, 10);
    for config in declared() {
        let rig = Rig::new(config);
        rig.put_local("source", &bytes);
        // What it reserves is one byte more or less than what it writes: no promise.
        let ended = rig.sh(r#"rsync --preallocate "$L/source" f"#);
        assert_eq!((ended.success(), ended.err.as_str()), (true, ""));
        rig.assert_has("f", &bytes, 1);
        rig.ok(r#"rsync --inplace --preallocate "$L/source" g"#);
        rig.assert_has("g", &bytes, 1);
        assert_eq!(rig.memory.record().aborted, 0);
    }
}

#[test]
fn reserving_space_extends_and_never_cuts() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo 0123456789 > f; fallocate -l 4 f");
    rig.assert_has("f", b"0123456789\n", 1);
    rig.ok("fallocate -n -l 100 f");
    rig.assert_has("f", b"0123456789\n", 1);
    rig.ok("fallocate -l 14 f");
    rig.assert_has("f", b"0123456789\n\0\0\0", 2);
    rig.ok("fallocate -o 14 -l 2 f");
    rig.assert_has("f", b"0123456789\n\0\0\0\0\0", 3);
    rig.sh("fallocate -p -o 0 -l 4 f").failed("unsupported");
    let mut small = MemoryConfig::friendly();
    small.capability.file_max = 1000;
    let rig = Rig::new(small);
    rig.sh("echo x > f; fallocate -l 1001 f").failed("File too large");
    rig.assert_has("f", b"x\n", 1);
}

#[test]
fn nobody_is_looked_at_where_it_is_of_no_use() {
    let bytes = text(5 * MIB, 11);
    // The service needs no size, or the mount was told not to look.
    for (config, size_promise) in [(MemoryConfig::friendly(), true), (MemoryConfig::declared_parallel(), false)] {
        let rig = Rig::with(config, |options| options.size_promise = size_promise);
        let program =
            "s = source(); os.ftruncate(f, 5 << 20); os.ftruncate(f, 0); copy(s, PAUSED); pause(); copy(s, ALL)";
        let mut program = start(&rig, &bytes, program);
        if !size_promise {
            assert_eq!(rig.faults.count(Operation::Begin), 0);
        }
        program.go();
        program.wait().ok();
        rig.assert_has("f", &bytes, 1);
        assert_eq!(rig.looks(), 0);
    }
    // Small files go at close in any case; a file that did not begin empty cannot travel early.
    let rig = Rig::new(MemoryConfig::declared_parallel());
    rig.put_local("small", &bytes[..MIB]);
    rig.put_local("source", &bytes);
    rig.ok(r#"cp "$L/small" f; dd if="$L/source" of=f bs=1M conv=notrunc status=none"#);
    rig.assert_has("f", &bytes, 2);
    assert_eq!(rig.looks(), 0);
}
