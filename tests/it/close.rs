//! What closing a file means, by real programs: who publishes, when, and how many versions. Each test asks the service
//! itself, at the moment when the program was told that its file is closed.

use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, presets};
use super::support::program::until;
use super::support::upload::text;

#[test]
fn a_redirection_has_uploaded_when_the_command_is_over() {
    for (name, config) in presets() {
        let rig = Rig::new(config);
        // The shell that wrote is still alive: nothing happened at its exit.
        let mut shell = rig.start("echo one > f; pause; echo two > f; pause");
        shell.until_paused();
        rig.assert_has("f", b"one\n", 1);
        shell.go();
        shell.until_paused();
        rig.assert_has("f", b"two\n", 2);
        shell.go();
        shell.wait().ok();
        rig.assert_has("f", b"two\n", 2);
        assert_eq!(rig.state("f"), "remote", "{name}");
    }
}

/// A line of shell that copies `$L/source` to `$f`, for each program that does it in its own way.
const COPIERS: [&str; 8] = [
    r#"dd if="$L/source" of=$f bs=64k status=none"#,
    r#"dd if="$L/source" of=$f bs=4M status=none"#,
    r#"cp "$L/source" $f"#,
    r#"cat "$L/source" > $f"#,
    r#"tee $f < "$L/source" > /dev/null"#,
    r#"cp "$L/source" "$L/moved"; mv "$L/moved" $f"#,
    r#"install -m 600 "$L/source" $f"#,
    r#"python3 -c "import shutil; shutil.copyfile('$L/source', '$f')""#,
];

#[test]
fn large_files_of_every_copier_are_one_version() {
    let bytes = text(11 << 20, 1);
    for (name, config) in presets() {
        let rig = Rig::new(config);
        rig.put_local("source", &bytes);
        // Every copier on one family, a small step and a large one on all.
        let copiers = if name == "friendly" { 0..COPIERS.len() } else { 0..3 };
        for copier in copiers {
            rig.ok(&format!("f=copy{copier}; {}", COPIERS[copier]));
            rig.assert_has(&format!("copy{copier}"), &bytes, 1);
            assert_eq!(rig.state(&format!("copy{copier}")), "remote", "{name}: {}", COPIERS[copier]);
        }
        assert_eq!(rig.memory.open_sessions(), [], "{name}");
    }
}

#[test]
fn programs_that_share_a_redirection_make_one_version() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo old > f");
    rig.put_local("more", b"three\n");
    let mut shell = rig.start(r#"( /bin/echo one; /bin/echo two; pause; cat "$L/more"; pause; /bin/echo four ) > f"#);
    for _ in 0..2 {
        // Three programs have closed the file by now, and none of them published the half of it.
        shell.until_paused();
        rig.assert_has("f", b"old\n", 1);
        shell.go();
    }
    shell.wait().ok();
    rig.assert_has("f", b"one\ntwo\nthree\nfour\n", 2);
}

#[test]
fn a_pipeline_into_a_file_is_one_version() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    rig.ok("seq 1 400000 | sort -rn | tee copy | tail -c 2000000 > f");
    assert_eq!(rig.content("f").unwrap().len(), 2_000_000);
    assert_eq!((rig.versions("f"), rig.versions("copy")), (1, 1));
}

#[test]
fn a_duplicate_descriptor_keeps_the_file_open() {
    let rig = Rig::new(MemoryConfig::friendly());
    let mut python = rig.start_python(
        "
        first = os.open('f', os.O_WRONLY | os.O_CREAT)
        second = os.dup(first)
        os.write(first, b'one')
        os.close(first)
        pause()
        os.write(second, b'two')
        os.close(second)
        pause()
        ",
    );
    python.until_paused();
    assert_eq!(rig.versions("f"), 0, "whoever still holds it will tell");
    python.go();
    python.until_paused();
    rig.assert_has("f", b"onetwo", 1);
    python.go();
    python.wait().ok();
    rig.assert_has("f", b"onetwo", 1);
}

#[test]
fn a_shell_that_keeps_a_file_open_publishes_it_once() {
    let rig = Rig::new(MemoryConfig::friendly());
    let mut shell = rig.start("exec 3> f; for i in 1 2 3; do echo $i >&3; done; /bin/echo 4 >&3; exec 3>&-; pause");
    shell.until_paused();
    rig.assert_has("f", b"1\n2\n3\n4\n", 1);
    shell.go();
    shell.wait().ok();
}

#[test]
fn every_append_is_published() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("for i in 1 2 3 4 5; do echo $i >> f; done");
    rig.assert_has("f", b"1\n2\n3\n4\n5\n", 5);
    rig.ok("/bin/echo 6 >> f; echo 7 | tee -a f");
    rig.assert_has("f", b"1\n2\n3\n4\n5\n6\n7\n", 7);
}

#[test]
fn a_child_that_still_writes_is_waited_for() {
    let rig = Rig::new(MemoryConfig::friendly());
    let mut python = rig.start_python(
        "
        with open('f', 'w') as f:
            child = subprocess.Popen(['sh', '-c', 'echo first; read _ < \"$P/pipe\"; echo last'], stdout=f)
            while os.path.getsize('f') == 0:
                pass
        open(P + '/paused', 'w').close()
        child.wait()
        pause()
        ",
    );
    python.until_paused();
    assert_eq!(rig.versions("f"), 0, "the parent has closed, its child has not");
    python.say("pipe", b"go\n");
    python.until_paused();
    rig.assert_has("f", b"first\nlast\n", 1);
    python.go();
    python.wait().ok();
}

#[test]
fn a_child_does_not_publish_what_its_parent_still_writes() {
    let rig = Rig::new(MemoryConfig::friendly());
    let mut python = rig.start_python(
        "
        with open('f', 'w') as f:
            subprocess.run(['echo', 'child'], stdout=f, check=True)
            pause()
            f.write('parent\\n')
        pause()
        ",
    );
    python.until_paused();
    assert_eq!(rig.versions("f"), 0, "the child is gone, its parent writes on");
    python.go();
    python.until_paused();
    rig.assert_has("f", b"child\nparent\n", 1);
    python.go();
    python.wait().ok();
}

#[test]
fn a_reader_does_not_keep_a_file_from_being_published() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo old > f");
    let mut python = rig.start_python("held = open('f'); pause()");
    python.until_paused();
    let mut shell = rig.start("exec 4< f; tail -n 5 -f f > \"$L/tail\" & echo new >> f; pause; kill $!");
    shell.until_paused();
    rig.assert_has("f", b"old\nnew\n", 2);
    until("the reader to see it", || std::fs::read(rig.local("tail")).is_ok_and(|seen| seen.ends_with(b"new\n")));
    shell.go();
    shell.wait();
    python.go();
    python.wait().ok();
    // One that reads what it writes itself, with a descriptor of its own, is no other writer either.
    rig.python(
        "r = open('g', 'w+'); r.close(); r = open('g'); w = open('g', 'w'); w.write('x'); w.close(); os.stat('g')",
    );
    rig.assert_has("g", b"x", rig.versions("g"));
}

#[test]
fn any_thread_may_close() {
    let rig = Rig::new(MemoryConfig::friendly());
    let mut python = rig.start_python(
        "
        fd = os.open('f', os.O_WRONLY | os.O_CREAT)
        def in_thread(work, *args):
            thread = threading.Thread(target=work, args=args)
            thread.start()
            thread.join()
        for part in (b'one ', b'two ', b'three'):
            in_thread(os.write, fd, part)
        in_thread(os.close, fd)
        pause()
        ",
    );
    python.until_paused();
    rig.assert_has("f", b"one two three", 1);
    python.go();
    python.wait().ok();
}

#[test]
fn a_program_that_becomes_another_one_publishes_and_does_not_hang() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.python(
        "
f = os.open('f', os.O_WRONLY | os.O_CREAT)
os.write(f, b'text')
os.execv('/bin/true', ['true'])",
    );
    rig.assert_has("f", b"text", 1);
}

#[test]
fn an_exit_without_close_publishes() {
    let rig = Rig::new(MemoryConfig::friendly());
    for (name, exit) in [("a", "os._exit(0)"), ("b", "os._exit(3)"), ("c", "sys.exit(1)")] {
        let program = format!("f = os.open('{name}', os.O_WRONLY | os.O_CREAT); os.write(f, b'done'); {exit}");
        rig.start_python(&program).wait();
        rig.assert_has(name, b"done", 1);
    }
}

#[test]
fn truncation_by_open_alone_is_published_when_the_file_is_let_go() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo old > f; : > f");
    until("the empty version", || rig.content("f").is_some_and(|content| content.is_empty()));
    rig.assert_has("f", b"", 2);
    assert_eq!(rig.ok("wc -c < f").trim(), "0");
}

#[test]
fn an_empty_file_is_uploaded_where_there_are_empty_files() {
    for (name, config) in presets() {
        let can = config.capability.empty_files;
        let rig = Rig::new(config);
        rig.ok("touch new; : > other; cp /dev/null copy; true >> last; ls new other copy last");
        if can {
            until("the empty files", || rig.memory.files().len() == 4);
            rig.assert_has("new", b"", 1);
            until("the files to be settled", || rig.state("new") == "remote");
        } else {
            assert_eq!(rig.state("new"), "local", "{name}");
            assert_eq!(rig.ok("cat new; wc -c < new").trim(), "0");
            rig.ok("rm other");
            rig.sh("ls other").failed("No such file");
        }
        rig.ok("echo text > new");
        assert_eq!(rig.content("new").unwrap(), "text\n", "{name}");
        assert_eq!(rig.memory.file(&super::support::mount::path("other")).is_some(), can, "{name}");
    }
}

#[test]
fn a_file_that_is_closed_can_be_cut_by_its_name() {
    for (name, config) in presets() {
        let rig = Rig::new(config);
        rig.ok("echo 0123456789 > f");
        let mut python = rig.start_python("os.truncate('f', 4); pause(); os.truncate('f', 6); pause()");
        python.until_paused();
        rig.assert_has("f", b"0123", 2);
        python.go();
        python.until_paused();
        rig.assert_has("f", b"0123\0\0", 3);
        python.go();
        python.wait().ok();
        rig.ok("truncate -s 2 f");
        rig.assert_has("f", b"01", 4);
        assert_eq!(rig.state("f"), "remote", "{name}");
    }
}

#[test]
fn fsync_brings_to_disk_and_publishes_nothing() {
    for (_, config) in presets() {
        let rig = Rig::new(config);
        let mut python = rig.start_python(
            "
            f = os.open('f', os.O_WRONLY | os.O_CREAT)
            os.write(f, b'one')
            os.fsync(f)
            pause()
            os.fsync(f)
            os.write(f, b'two')
            os.fdatasync(f)
            pause()
            os.write(f, b'three')
            os.close(f)
            ",
        );
        python.until_paused();
        assert_eq!((rig.versions("f"), rig.entries()), (0, 1), "it is in the spool");
        python.go();
        python.until_paused();
        assert_eq!((rig.versions("f"), rig.entries()), (0, 1));
        python.go();
        python.wait().ok();
        rig.assert_has("f", b"onetwothree", 1);
        assert_eq!(rig.entries(), 0, "what the service has is not kept");
        rig.ok("sync -d f; sync f; dd if=/dev/zero of=g bs=1k count=3 conv=fsync status=none");
        rig.assert_has("g", &[0; 3072], 1);
    }
}

#[test]
fn bytes_of_a_mapping_are_published() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.python(
        "
        import mmap
        f = os.open('f', os.O_RDWR | os.O_CREAT)
        os.ftruncate(f, 10000)
        m = mmap.mmap(f, 10000)
        m[0:5] = b'begin'
        os.close(f)
        m[9997:10000] = b'end'
        m.flush()
        m.close()
        ",
    );
    let mut bytes = vec![0; 10000];
    bytes[..5].copy_from_slice(b"begin");
    bytes[9997..].copy_from_slice(b"end");
    until("the last pages", || rig.content("f").is_some_and(|content| content == bytes));
    until("the file to be settled", || rig.state("f") == "remote");
}
