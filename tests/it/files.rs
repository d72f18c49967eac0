//! Bytes through the mount: what was written is read back, in the mount that wrote it and in a fresh one, whatever the
//! size, the order of the writes and the family of the service.

use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, presets};
use super::support::program::until;
use super::support::upload::text;

const MIB: usize = 1 << 20;

/// Around every border there is: of a page, of a chunk, of the first request with a session, of a part.
const SIZES: [usize; 9] = [0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 8 * MIB + 1];

#[test]
fn every_size_is_read_back() {
    for (name, config) in presets() {
        let empty_files = config.capability.empty_files;
        let mut rig = Rig::new(config);
        for size in SIZES {
            rig.put_local(&size.to_string(), &text(size, size as u64));
        }
        rig.ok(r#"for size in $(cd "$L"; ls -d [0-9]*); do cp "$L/$size" $size; cmp $size "$L/$size" || exit; done"#);
        for size in SIZES.into_iter().filter(|size| *size > 0 || empty_files) {
            until("the file", || rig.versions(&size.to_string()) > 0);
            rig.assert_has(&size.to_string(), &text(size, size as u64), 1);
        }
        if !empty_files {
            rig.ok("rm 0");
        }
        rig.remount();
        rig.ok(r#"for size in *; do cmp $size "$L/$size" || exit; done"#);
        assert_eq!(rig.ok("ls | wc -l").trim(), if empty_files { "9" } else { "8" }, "{name}");
    }
}

#[test]
fn any_range_is_read() {
    let bytes = text(9 * MIB + 77, 1);
    let mut rig = Rig::new(MemoryConfig::streamed_sequential());
    rig.put_local("f", &bytes);
    rig.ok(r#"cp "$L/f" f"#);
    rig.remount();
    rig.python(
        "
        import random
        dice = random.Random(7)
        ours, theirs = open(L + '/f', 'rb').read(), os.open('f', os.O_RDONLY)
        for _ in range(100):
            at, n = dice.randrange(len(ours) + 10), dice.choice([1, 100, 4096, 65537, 3 << 20])
            assert os.pread(theirs, n, at) == ours[at:at + n], (at, n)
        assert os.pread(theirs, 10, len(ours)) == b''
        ",
    );
    rig.ok(r#"tail -c 1000000 f | cmp - "$L/tail" 2>/dev/null || [ "$(tail -c 99 f)" = "$(tail -c 99 "$L/f")" ]"#);
    let before = rig.faults.count(uploadfs::service::Operation::Read);
    rig.ok("head -c 100 f; dd if=f bs=1M skip=4 count=1 status=none | wc -c");
    assert_eq!(rig.faults.count(uploadfs::service::Operation::Read), before, "what was read is in the cache");
}

#[test]
fn a_reader_sees_what_a_writer_has_written() {
    let rig = Rig::new(MemoryConfig::streamed_parallel());
    let mut python = rig.start_python(
        "
        f = os.open('f', os.O_WRONLY | os.O_CREAT)
        os.write(f, b'a' * 3000000)
        pause()
        os.write(f, b'b' * 7000000)
        pause()
        os.pwrite(f, b'c', 0)
        pause()
        ",
    );
    python.until_paused();
    assert_eq!(rig.ok("stat -c %s f; tr -d a < f | wc -c; wc -c < f"), "3000000\n0\n3000000\n");
    python.go();
    python.until_paused();
    until("the new size", || rig.size("f") == 10_000_000);
    assert_eq!(rig.ok("tr -d a < f | wc -c"), "7000000\n");
    python.go();
    python.until_paused();
    assert_eq!(rig.ok("head -c 2 f"), "ca");
    assert_eq!(rig.versions("f"), 0);
    python.go();
    python.wait().ok();
    assert_eq!(rig.content("f").unwrap().len(), 10_000_000);
    assert_eq!(rig.versions("f"), 1);
}

#[test]
fn files_are_overwritten_appended_to_and_changed_in_the_middle() {
    for (name, config) in presets() {
        let mut rig = Rig::new(config);
        let mut bytes = text(11 * MIB, 1).to_vec();
        rig.put_local("f", &bytes);
        rig.ok(r#"cp "$L/f" f"#);
        rig.remount();

        rig.python("f = open('f', 'r+b'); f.seek(5 << 20); f.write(b'MIDDLE'); f.close()");
        bytes[5 * MIB..5 * MIB + 6].copy_from_slice(b"MIDDLE");
        rig.assert_has("f", &bytes, 2);

        rig.remount();
        rig.ok("echo the end >> f");
        bytes.extend_from_slice(b"the end\n");
        rig.assert_has("f", &bytes, 3);
        rig.put_local("now", &bytes);
        rig.ok(r#"cmp f "$L/now""#);

        rig.remount();
        rig.ok("printf BEGIN | dd of=f conv=notrunc status=none");
        bytes[..5].copy_from_slice(b"BEGIN");
        rig.assert_has("f", &bytes, 4);

        rig.remount();
        rig.ok("echo short > f");
        rig.assert_has("f", b"short\n", 5);
        assert_eq!(rig.state("f"), "remote", "{name}");
    }
}

#[test]
fn a_header_that_is_patched_at_the_end_is_right() {
    for (name, config) in presets() {
        let rig = Rig::new(config);
        // As ffmpeg, zip and `wave` write: the length goes into the first bytes when everything else is there.
        rig.python(
            "
            f = open('f', 'wb')
            for _ in range(12):
                f.write(b'x' * (1 << 20))
            f.seek(0)
            f.write(b'HEAD')
            f.close()
            ",
        );
        let mut bytes = vec![b'x'; 12 * MIB];
        bytes[..4].copy_from_slice(b"HEAD");
        rig.assert_has("f", &bytes, 1);
        assert_eq!(rig.memory.open_sessions(), [], "{name}");
    }
}

#[test]
fn holes_read_as_zeros() {
    for (_, config) in presets() {
        let mut rig = Rig::new(config);
        rig.ok("printf end | dd of=f bs=1M seek=9 status=none; printf mid | dd of=f bs=1 seek=5000000 conv=notrunc status=none");
        let mut bytes = vec![0; 9 * MIB + 3];
        bytes[9 * MIB..].copy_from_slice(b"end");
        bytes[5_000_000..5_000_003].copy_from_slice(b"mid");
        rig.assert_has("f", &bytes, 2);
        rig.put_local("f", &bytes);
        rig.ok(r#"cmp f "$L/f"; truncate -s 3M empty; tr -d '\000' < empty | wc -c"#);
        rig.assert_has("empty", &vec![0; 3 * MIB], 1);
        rig.remount();
        rig.ok(r#"cmp f "$L/f"; cp --sparse=always "$L/f" copy; cmp copy f"#);
        rig.assert_has("copy", &bytes, 1);
    }
}

#[test]
fn what_is_cut_off_does_not_come_back() {
    for (_, config) in presets() {
        let mut rig = Rig::new(config);
        let bytes = text(10 * MIB, 1);
        rig.put_local("f", &bytes);
        rig.ok(r#"cp "$L/f" f"#);
        rig.remount();
        rig.python(
            "
            f = os.open('f', os.O_RDWR)
            os.ftruncate(f, 1000)
            os.ftruncate(f, 6 << 20)
            os.pwrite(f, b'late', 5 << 20)
            assert os.pread(f, 1010, 0)[1000:] == bytes(10)
            os.close(f)
            ",
        );
        let mut expected = vec![0; 6 * MIB];
        expected[..1000].copy_from_slice(&bytes[..1000]);
        expected[5 * MIB..5 * MIB + 4].copy_from_slice(b"late");
        rig.assert_has("f", &expected, 2);
        // Written, then cut: the cut is what counts (an editor that saves in place).
        rig.python("f = os.open('f', os.O_WRONLY); os.write(f, b'y' * 3000); os.ftruncate(f, 2999); os.close(f)");
        rig.assert_has("f", &[b'y'; 2999], 3);
    }
}

#[test]
fn the_log_of_a_rotated_file_begins_anew() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.python(
        "
        log = os.open('log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, b'before')
        os.truncate('log', 0)
        os.write(log, b'after')
        os.close(log)
        ",
    );
    assert_eq!(rig.content("log").unwrap(), "after");
}

#[test]
fn writers_that_append_together_lose_no_line() {
    let rig = Rig::new(MemoryConfig::friendly());
    let whole = |name: &str| {
        let content = rig.content(name).unwrap();
        let mut lines: Vec<&str> = std::str::from_utf8(&content).unwrap().lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert!(lines.iter().all(|line| line.len() == "writer 1 line 10".len()), "{lines:?}");
        lines.len()
    };
    // Opened for every line.
    rig.ok("for w in 1 2 3 4; do for n in $(seq 10 59); do echo writer $w line $n >> a || exit 1; done & done; wait");
    assert_eq!(whole("a"), 200);
    // Opened once.
    rig.ok("for w in 1 2 3 4; do (for n in $(seq 10 59); do echo writer $w line $n; done) >> b & done; wait");
    assert_eq!(whole("b"), 200);
}

#[test]
fn two_descriptors_share_one_file() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    rig.python(
        "
        a, b = open('f', 'w+b', 0), open('f', 'r+b', 0)
        a.write(b'0123456789')
        b.seek(5)
        b.write(b'abcde')
        a.seek(0)
        assert a.read() == b'01234abcde'
        b.close()
        a.write(b'!')
        a.close()
        ",
    );
    assert_eq!(rig.content("f").unwrap(), "01234abcde!");
}
