//! Writers that are killed publish nothing: the old version stays, what was written is kept in the mount and parked,
//! and only somebody who writes the file again publishes it.

use std::io::Write;

use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, presets};
use super::support::program::{Running, until};
use super::support::upload::text;

/// Bytes that a killed `cp` has copied: enough that every family that can has opened a session by then.
const HALF: usize = 9 << 20;

/// A `cp` of something without an end, in the middle of it.
fn copy_without_end(rig: &Rig, half: &[u8]) -> (Running, std::fs::File) {
    let cp = rig.start(r#"exec cp "$P/pipe" f"#);
    let mut pipe = cp.open_pipe();
    pipe.write_all(half).unwrap();
    until("cp to have written that", || rig.size("f") == half.len() as u64);
    (cp, pipe)
}

#[test]
fn a_cp_that_is_interrupted_or_killed_publishes_nothing() {
    let (old, half, new) = (text(100, 1), text(HALF, 2), text(200, 3));
    let signals = [("INT", 2), ("KILL", 9)].into_iter().cycle();
    for ((name, config), (signal, number)) in presets().into_iter().zip(signals) {
        let rig = Rig::new(config);
        rig.put_local("new", &new);
        rig.put_local("old", &old);
        rig.ok(r#"cp "$L/old" f"#);
        let (cp, pipe) = copy_without_end(&rig, &half);
        cp.send(signal);
        assert_eq!(cp.wait().signal(), Some(number));
        drop(pipe);
        rig.assert_has("f", &old, 1);
        assert_eq!(rig.state("f"), "parked", "{name}");
        assert!(rig.xattr("f", "user.uploadfs.error").unwrap().contains("killed"), "{name}");
        assert_eq!(rig.ok("sha1sum < f").split(' ').next().unwrap(), sha1(&half), "what it wrote is kept");

        rig.ok("touch f; chmod 600 f; cat f > /dev/null; : >> f");
        rig.assert_has("f", &old, 1);
        assert_eq!(rig.state("f"), "parked", "{name}");

        rig.ok(r#"cp "$L/new" f"#);
        rig.assert_has("f", &new, 2);
        assert_eq!(rig.state("f"), "remote", "{name}");
        until("the session to be given up", || rig.memory.open_sessions().is_empty());
    }
}

#[test]
fn a_new_file_of_a_killed_writer_never_appears() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    let (cp, _pipe) = copy_without_end(&rig, &text(HALF, 1));
    until("the session", || rig.memory.record().begun == 1);
    cp.send("KILL");
    cp.wait();
    until("the session to be given up", || rig.memory.record().aborted == 1);
    assert_eq!(rig.versions("f"), 0);
    assert_eq!(rig.ok("ls; rm f; ls"), "f\n");
    assert_eq!(rig.versions("f"), 0);
}

#[test]
fn a_part_on_its_way_does_not_hold_a_killed_program() {
    let rig = Rig::new(MemoryConfig::streamed_parallel());
    let gate = Gate::new();
    rig.faults.add(Operation::Put, When::Always, Fault::StallBefore(gate.clone()));
    let (cp, _pipe) = copy_without_end(&rig, &text(HALF, 1));
    rig.until_asked(Operation::Put, 1);
    cp.send("INT");
    assert_eq!(cp.wait().signal(), Some(2), "it is gone although the service answers nothing");
    assert_eq!(rig.state("f"), "parked");
    gate.open();
    until("the session to be given up", || rig.memory.record().aborted == 1);
    assert_eq!(rig.versions("f"), 0);
}

#[test]
fn a_program_that_a_broken_pipe_kills_publishes_nothing() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("seq 1 400000 | tee f | head -n 1");
    assert_eq!(rig.versions("f"), 0);
    assert_eq!(rig.state("f"), "parked");
}

#[test]
fn a_killed_child_leaves_it_to_its_parent() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("{ echo begin; sh -c 'echo child; kill -9 $$'; echo end; } > f");
    rig.assert_has("f", b"begin\nchild\nend\n", 1);
}

#[test]
fn a_writer_that_goes_on_with_a_parked_file_publishes_it() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.sh("{ echo begin; kill -9 $$; } > f");
    assert_eq!((rig.versions("f"), rig.state("f").as_str()), (0, "parked"));
    rig.ok("echo end >> f");
    rig.assert_has("f", b"begin\nend\n", 1);
}

fn sha1(bytes: &[u8]) -> String {
    uploadfs::service::Sha1Digest::of(bytes).to_string()
}
