//! The end of a mount, by whoever ends it: what is closed is uploaded, what is open may be closed, nothing else is
//! unmounted, and what the service does not have is told.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, in_one_request, mounts_on};
use super::support::program::until;
use super::support::upload::text;

fn run(program: &str, arguments: &[&str], dir: &Path) {
    let output = Command::new(program).args(arguments).arg(dir).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}

/// A file system of the test's own, unmounted when it is dropped.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn on(dir: &'a Path) -> Self {
        run("mount", &["-t", "tmpfs", "tmpfs-of-a-test"], dir);
        Tmpfs(dir)
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        // Gone already when the test found what it looks for.
        let _ = Command::new("umount").args(["-l"]).arg(self.0).output();
    }
}

#[test]
fn anybody_may_unmount_an_idle_mount() {
    for (program, arguments) in
        [("umount", vec![]), ("umount", vec!["-l"]), ("fusermount3", vec!["-u"]), ("fusermount3", vec!["-u", "-z"])]
    {
        let mut rig = Rig::new(MemoryConfig::friendly());
        rig.ok("echo x > f");
        run(program, &arguments, &rig.dir());
        assert!(mounts_on(&rig.dir()) == 0);
        // Whoever mounts there next is left alone by the end of ours.
        let dir = rig.dir();
        let tmpfs = Tmpfs::on(&dir);
        rig.end().unwrap();
        assert!(mounts_on(&dir) == 1, "{program} {arguments:?}");
        drop(tmpfs);
        rig.assert_has("f", b"x\n", 1);
        rig.remount();
        assert_eq!(rig.ok("cat f"), "x\n");
    }
}

#[test]
fn what_lies_beneath_stays_mounted() {
    let mut rig = Rig::new(MemoryConfig::friendly());
    rig.end().unwrap();
    let dir = rig.dir();
    let _tmpfs = Tmpfs::on(&dir);
    for external in [true, false] {
        rig.remount();
        rig.ok("echo x > f");
        assert_eq!(mounts_on(&dir), 2);
        if external {
            run("umount", &[], &dir);
        }
        rig.end().unwrap();
        assert_eq!(mounts_on(&dir), 1, "external: {external}");
    }
}

#[test]
fn a_mount_in_use_is_not_unmounted_by_mistake() {
    let rig = Rig::new(MemoryConfig::friendly());
    let mut shell = rig.start("exec 3> f; echo x >&3; pause; exec 3>&-");
    shell.until_paused();
    assert!(!Command::new("umount").arg(rig.dir()).output().unwrap().status.success(), "it is busy");
    assert!(mounts_on(&rig.dir()) == 1);
    shell.go();
    shell.wait().ok();
    rig.assert_has("f", b"x\n", 1);
}

#[test]
fn a_copy_under_way_survives_a_lazy_unmount() {
    let bytes = text(11 << 20, 1);
    for config in [MemoryConfig::friendly(), MemoryConfig::streamed_sequential(), MemoryConfig::declared_parallel()] {
        let mut rig = Rig::new(config);
        rig.put_local("source", &bytes);
        let mut shell = rig
            .start(r#"exec 3> f; head -c 9000000 "$L/source" >&3; pause; tail -c +9000001 "$L/source" >&3; exec 3>&-"#);
        shell.until_paused();
        run("umount", &["-l"], &rig.dir());
        shell.go();
        shell.wait().ok();
        rig.end().unwrap();
        rig.assert_has("f", &bytes, 1);
    }
}

#[test]
fn the_end_waits_for_programs_and_for_the_service() {
    let mut rig = Rig::new(in_one_request());
    let gate = Gate::new();
    rig.faults.add(Operation::PutWhole, When::Always, Fault::StallBefore(gate.clone()));
    let mut shell = rig.start("exec 3> f; echo x >&3; pause; exec 3>&-");
    shell.until_paused();
    let dir = rig.dir();
    let (faults, mount) = (rig.faults.clone(), rig.take());
    let end = std::thread::spawn(move || mount.end(Duration::from_secs(30), &crossbeam_channel::never()));
    until("the mount to be detached", || mounts_on(&dir) == 0);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nobody can open anything any more");
    shell.go();
    until("the close to reach the service", || faults.count(Operation::PutWhole) == 1);
    assert!(!end.is_finished());
    gate.open();
    end.join().unwrap().unwrap();
    shell.wait().ok();
    rig.assert_has("f", b"x\n", 1);
}

#[test]
fn what_is_left_is_told() {
    let mut rig = Rig::new(MemoryConfig::friendly());
    rig.sh("{ echo begin; kill -9 $$; } > killed");
    rig.ok("echo fine > fine");
    rig.end().unwrap();
    assert_eq!((rig.versions("killed"), rig.entries()), (0, 1), "it is safe");
    rig.remount();
    assert_eq!(rig.ok("cat killed"), "begin\n");
    assert_eq!(rig.state("killed"), "parked");
    rig.end().unwrap();
    // Where nothing may be spooled, it cannot be kept.
    let mut rig = Rig::with(MemoryConfig::friendly(), |options| options.spool_bytes_max = 0);
    rig.sh("{ echo begin; kill -9 $$; } > killed");
    let left = rig.end().unwrap_err();
    assert!(left.to_string().contains("1 files were not uploaded and could not be kept"), "{left}");
}

#[test]
fn the_end_has_an_end() {
    // A program that never closes; and a service that never answers.
    let mut rig = Rig::new(MemoryConfig::friendly());
    let mut shell = rig.start("exec 3> f; echo x >&3; pause");
    shell.until_paused();
    let short = Duration::from_millis(200);
    rig.take().end(short, &crossbeam_channel::never()).unwrap();
    assert_eq!(rig.entries(), 1, "what was written until then is there for the next mount");
    assert!(mounts_on(&rig.dir()) == 0);
    drop(shell);

    let mut rig = Rig::new(in_one_request());
    rig.faults.add(Operation::PutWhole, When::Always, Fault::StallBefore(Gate::new()));
    let shell = rig.start("echo x > f");
    rig.until_asked(Operation::PutWhole, 1);
    let (tell, hurry) = crossbeam_channel::bounded(1);
    tell.send(()).unwrap();
    rig.take().end(Duration::from_secs(30), &hurry).unwrap();
    assert_eq!(rig.entries(), 1);
    // The close that waited for the service ends with it.
    shell.wait();
    assert_eq!(rig.versions("f"), 0);
}

#[test]
fn a_place_that_is_taken_is_refused() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo x > f");
    let refusal = rig.refused("mnt", "other-spool");
    assert!(refusal.contains("mounted"), "{refusal}");
    fs::create_dir(rig.dir().with_file_name("second")).unwrap();
    let refusal = rig.refused("second", "spool");
    assert!(refusal.contains("another daemon"), "{refusal}");
    for (point, spool, words) in [("missing", "other-spool", "mkdir"), ("local", "other-spool", "not empty")] {
        let refusal = rig.refused(point, spool);
        assert!(refusal.contains(words), "{point}: {refusal}");
    }
}
