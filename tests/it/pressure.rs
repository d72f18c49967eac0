//! More bytes than there is room for: memory is bounded whatever programs do, the spool takes what memory cannot hold,
//! and whoever is refused is told, while everybody else goes on.

use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, presets};
use super::support::program::until;
use super::support::upload::text;

const MIB: u64 = 1 << 20;

#[test]
fn a_writer_that_is_faster_than_the_service_spills() {
    let bytes = text(24 << 20, 1);
    for (name, config) in presets() {
        let rig = Rig::with(config, |options| options.memory_bytes = 8 * MIB);
        rig.put_local("source", &bytes);
        rig.faults.bandwidth(100 * MIB);
        let mut cp = rig.start(r#"cp "$L/source" f"#);
        let (mut most, mut spooled) = (0, 0);
        until("cp to end", || {
            let usage = rig.usage();
            most = most.max(usage.memory_bytes);
            spooled = spooled.max(usage.spooled_bytes);
            !cp.is_running()
        });
        cp.wait().ok();
        rig.assert_has("f", &bytes, 1);
        assert!(most <= 8 * MIB, "{name}: {most} bytes of memory");
        assert!(spooled > 0, "{name}: what memory cannot hold is on disk");
        rig.ok(r#"cmp f "$L/source""#);
        until("the spool to be given back", || rig.usage().spooled_bytes == 0);
    }
}

#[test]
fn a_full_spool_refuses_one_writer_and_not_the_others() {
    let rig = Rig::with(MemoryConfig::whole(), |options| {
        options.memory_bytes = 8 * MIB;
        options.spool_bytes_max = 8 * MIB;
    });
    rig.ok("echo before > before");
    let mut dd = rig.start("exec dd if=/dev/zero of=big bs=1M count=64 status=none");
    until("the writer to wait", || rig.usage().writers_waiting > 0);
    assert!(dd.is_running());
    rig.ok("echo small > small; cat before; ls; dd if=/dev/urandom of=other bs=100k count=5 status=none");
    rig.assert_has("small", b"small\n", 1);
    dd.wait().failed("No space left on device");
    assert!(rig.usage().memory_bytes <= 8 * MIB && rig.usage().spooled_bytes <= 8 * MIB);
    rig.ok("rm big; dd if=/dev/zero of=next bs=1M count=6 status=none");
    assert_eq!(rig.content("next").unwrap().len(), 6 << 20);
}

#[test]
fn many_open_files_share_little_memory() {
    for (name, config) in [("friendly", MemoryConfig::friendly()), ("wiki", MemoryConfig::streamed_sequential())] {
        let rig = Rig::with(config, |options| (options.memory_bytes, options.chunk_bytes) = (4 * MIB, 256 << 10));
        rig.python(
            "
            fds = [os.open('f%d' % n, os.O_RDWR | os.O_CREAT) for n in range(300)]
            for round in range(3):
                for n, f in enumerate(fds):
                    os.write(f, b'%d' % n * 500)
            for n, f in enumerate(fds):
                assert os.pread(f, 10000, 0) == b'%d' % n * 1500
            for f in fds:
                os.close(f)
            ",
        );
        for number in 0..300 {
            rig.assert_has(&format!("f{number}"), number.to_string().repeat(1500).as_bytes(), 1);
        }
        assert!(rig.usage().memory_bytes <= 4 * MIB, "{name}");
    }
}

#[test]
fn many_writers_at_once_are_all_uploaded() {
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.memory_bytes = 16 * MIB);
    rig.put_local("source", &text(5 << 20, 3));
    rig.ok(r#"for n in $(seq 16); do cp "$L/source" f$n & done; wait"#);
    for number in 1..=16 {
        rig.assert_has(&format!("f{number}"), &text(5 << 20, 3), 1);
    }
}

#[test]
fn readers_do_not_wait_behind_a_writer_that_waits() {
    let bytes = text(3 << 20, 1);
    let mut rig = Rig::with(MemoryConfig::streamed_parallel(), |options| {
        options.memory_bytes = 8 * MIB;
        options.spool_bytes_max = 4 * MIB;
    });
    rig.put_local("old", &bytes);
    rig.ok(r#"cp "$L/old" old"#);
    rig.remount();
    let gate = Gate::new();
    rig.faults.add(Operation::Put, When::Always, Fault::StallBefore(gate.clone()));
    let mut dd = rig.start("exec dd if=/dev/zero of=big bs=1M count=64 status=none");
    until("the writer to wait", || rig.usage().writers_waiting > 0);
    rig.ok(r#"cmp old "$L/old"; ls -l"#);
    assert!(dd.is_running());
    gate.open();
}
