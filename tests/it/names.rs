//! Names, directories and attributes through the mount: moves, removals, aliases, what is refused and with which errno.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use uploadfs::error::Kind;
use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, presets};
use super::support::program::until;
use super::support::upload::{text, whole};

fn files(rig: &Rig) -> Vec<String> {
    rig.memory.files().iter().map(|file| file.path.as_str().to_owned()).collect()
}

#[test]
fn a_file_is_moved() {
    for (name, config) in presets() {
        let in_place = config.capability.rename;
        let rig = Rig::new(config);
        rig.ok("echo one > a; mv a b; cat b");
        rig.sh("cat a").failed("No such file");
        assert_eq!(files(&rig), ["b"], "{name}");
        assert_eq!(rig.content("b").unwrap(), "one\n");
        // Where the service cannot rename, mv copies.
        assert_eq!(rig.memory.requests(Operation::Rename) > 0, in_place, "{name}");
        rig.ok("echo two > c; mv c b; cat b");
        assert_eq!(files(&rig), ["b"], "{name}");
        assert_eq!(rig.content("b").unwrap(), "two\n", "{name}");
        rig.ok("echo three > c; mv -n c b; ls");
        assert_eq!(rig.content("b").unwrap(), "two\n", "{name}");
        assert_eq!(rig.ok("cat c"), "three\n");
    }
}

#[test]
fn a_file_that_is_being_written_is_moved() {
    let bytes = text(11 << 20, 1);
    for (name, config) in presets() {
        let rig = Rig::new(config);
        rig.put_local("source", &bytes);
        let mut python = rig.start_python(
            "
            source = open(L + '/source', 'rb').read()
            f = os.open('before', os.O_WRONLY | os.O_CREAT)
            os.write(f, source[:9 << 20])
            pause()
            os.rename('before', 'after')
            for at in range(9 << 20, 11 << 20, 1 << 20):
                os.write(f, source[at:at + (1 << 20)])
            os.close(f)
            ",
        );
        python.until_paused();
        python.go();
        python.wait().ok();
        rig.assert_has("after", &bytes, 1);
        assert_eq!(files(&rig), ["after"], "{name}");
        assert_eq!(rig.ok("ls"), "after\n", "{name}");
        assert_eq!(rig.state("after"), "remote", "{name}");
        until("sessions under the old name to be given up", || rig.memory.open_sessions().is_empty());
    }
}

#[test]
fn a_new_file_is_moved_over_an_old_one_while_it_is_written() {
    for (name, config) in presets() {
        let rig = Rig::new(config);
        rig.ok("echo old > target");
        rig.python("f = open('new', 'w'); f.write('new'); f.flush(); os.rename('new', 'target'); f.close()");
        rig.assert_has("target", b"new", 2);
        assert_eq!(files(&rig), ["target"], "{name}");
        assert_eq!(rig.ok("cat target; ls"), "newtarget\n", "{name}");
    }
}

#[test]
fn a_file_that_is_removed_while_it_is_written_never_appears() {
    for (name, config) in presets() {
        let rig = Rig::new(config);
        rig.python(
            "
            f = os.open('f', os.O_RDWR | os.O_CREAT)
            os.write(f, b'x' * (9 << 20))
            os.unlink('f')
            os.write(f, b'more')
            assert os.pread(f, 4, 9 << 20) == b'more'
            os.close(f)
            ",
        );
        assert_eq!(rig.ok("ls -A"), "", "{name}");
        until("the session to be given up", || rig.memory.open_sessions().is_empty());
        assert_eq!(files(&rig), [""; 0], "{name}");
        rig.ok("echo again > f");
        rig.assert_has("f", b"again\n", 1);
        rig.ok("rm f");
        assert_eq!(files(&rig), [""; 0], "{name}");
    }
}

#[test]
fn a_file_that_comes_and_goes_at_once_leaves_nothing() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("for n in $(seq 30); do touch lock && rm lock || exit 1; done");
    until("calm", || files(&rig).is_empty());
    assert_eq!(rig.ok("ls -A"), "");
    rig.python(
        "
        for n in range(20):
            f = os.open('lock', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            try:
                os.open('lock', os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                assert False
            except FileExistsError:
                pass
            os.write(f, b'pid')
            os.unlink('lock')
            os.close(f)
        ",
    );
    assert_eq!(files(&rig), [""; 0]);
}

#[test]
fn directories_are_made_listed_moved_and_removed() {
    let mut rig = Rig::new(MemoryConfig::friendly());
    rig.ok("mkdir -p a/b/c; echo x > a/b/c/f; echo y > a/g");
    assert_eq!(rig.ok("ls -R"), ".:\na\n\n./a:\nb\ng\n\n./a/b:\nc\n\n./a/b/c:\nf\n");
    rig.sh("mkdir a").failed("File exists");
    rig.sh("rmdir a").failed("not empty");
    rig.sh("mv a a/b/").failed("subdirectory of itself");
    rig.sh("rmdir a/g").failed("Not a directory");
    rig.sh("cat a").failed("Is a directory");
    rig.sh("echo x > a").failed("irectory");
    rig.ok("mv a/b d; mv a/g d/c");
    assert_eq!(files(&rig), ["d/c/f", "d/c/g"]);
    rig.remount();
    assert_eq!(rig.ok("find . -type f | sort; cat d/c/g"), "./d/c/f\n./d/c/g\ny\n");
    rig.ok("rm -r d; rmdir a");
    assert_eq!(rig.ok("ls -A"), "");
    assert_eq!(files(&rig), [""; 0]);
}

#[test]
fn what_the_service_cannot_have_is_refused_as_programs_expect_it() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    rig.ok("echo x > f");
    for script in ["mkdir d", "ln f g", "ln -s f g", "mkfifo p", "mknod n c 1 3"] {
        rig.sh(script).failed("Operation not permitted");
    }
    assert_eq!(rig.ok("ls -A"), "f\n");
    // Copiers and archivers go on after those answers.
    rig.put_local("source", b"text");
    rig.ok(r#"chmod 600 "$L/source"; cp -p "$L/source" p; cp -a "$L/source" a; install -m 640 "$L/source" i"#);
    rig.ok("fallocate -x -l 100 f 2>/dev/null; true");
    assert_eq!(rig.ok("stat -c %a p a i"), "600\n600\n640\n");
}

#[test]
fn attributes_are_kept_as_long_as_the_mount() {
    // The service is asked again for every look.
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.dir_cache = Duration::ZERO);
    rig.put_local("source", b"text");
    rig.ok(r#"touch -d 2001-02-03T04:05:06Z "$L/source"; chmod 751 "$L/source"; cp -p "$L/source" copy"#);
    assert_eq!(rig.ok("stat -c '%a %Y %s' copy"), "751 981173106 4\n");
    rig.ok("echo x > f; chmod 600 f; touch -d @1000000000 f; echo y >> f");
    rig.ok("touch -d @1000000001.5 f; chown 12:34 f");
    let metadata = std::fs::metadata(rig.dir().join("f")).unwrap();
    assert_eq!(
        (metadata.mode() & 0o7777, metadata.mtime(), metadata.uid(), metadata.gid()),
        (0o600, 1_000_000_001, 12, 34)
    );
    assert_eq!(rig.versions("f"), 2, "attributes make no version");
    // A change of the content is a change of the time.
    rig.ok("touch -d @1000000000 g; echo new > g; test $(stat -c %Y g) -gt 1500000000");
    // Set before the last descriptor is closed, as tar and rsync do.
    rig.python("f = open('t', 'w'); f.write('x'); f.flush(); os.utime(f.fileno(), (5, 5)); os.fchmod(f.fileno(), 0o640); f.close()");
    assert_eq!(rig.ok("stat -c '%a %Y' t"), "640 5\n");
    rig.assert_has("t", b"x", 1);
}

#[test]
fn archivers_and_mirrors_find_what_they_wrote() {
    let mut rig = Rig::new(MemoryConfig::friendly());
    rig.ok(
        r#"mkdir "$L/tree" "$L/tree/d"; for n in $(seq 40); do seq $n > "$L/tree/d/$n.txt"; done; : > "$L/tree/empty""#,
    );
    rig.ok(r#"cp -a "$L/tree" cp; diff -r "$L/tree" cp"#);
    rig.ok(r#"tar -C "$L" -c tree | tar -x; diff -r "$L/tree" tree"#);
    if std::path::Path::new("/usr/bin/rsync").exists() {
        rig.ok(r#"rsync -a "$L/tree/" rsync; diff -r "$L/tree" rsync"#);
        // The second run finds nothing to do: times and sizes are as the first one left them.
        assert_eq!(rig.ok(r#"rsync -ain "$L/tree/" rsync"#), "");
        assert!(files(&rig).iter().all(|path| !path.contains("/.")), "no temporary name stays");
    }
    until("everything to be uploaded", || {
        rig.ok("find . -type f | wc -l").trim() == rig.memory.files().len().to_string()
    });
    rig.remount();
    rig.ok(r#"diff -r "$L/tree" cp; diff -r "$L/tree" tree"#);
}

#[test]
fn extended_attributes_tell_the_state_and_nothing_else() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo x > f");
    let said = rig.python(
        "
        print(os.listxattr('f'), os.getxattr('f', 'user.uploadfs.progress').decode())
        for call in (lambda: os.setxattr('f', 'user.x', b'1'), lambda: os.getxattr('f', 'user.x'),
                     lambda: os.getxattr('f', 'user.uploadfs.error'), lambda: os.removexattr('f', 'user.x')):
            try:
                call()
            except OSError as error:
                print(errno.errorcode[error.errno])
        ",
    );
    assert_eq!(said, "[] 2/2\nENOTSUP\nENOTSUP\nENODATA\nENOTSUP\n");
    let mut python = rig.start_python("f = open('g', 'w'); f.write('x' * 1000); f.flush(); pause()");
    python.until_paused();
    assert_eq!(rig.state("g"), "open");
    python.go();
    python.wait().ok();
    assert_eq!(rig.state("g"), "remote");
}

#[test]
fn the_room_for_unsent_bytes_is_what_df_shows() {
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.spool_bytes_max = 1 << 30);
    assert_eq!(
        rig.ok("df -B1 --output=size,avail,target . | tail -n 1").split_whitespace().take(2).collect::<Vec<_>>(),
        ["1073741824"; 2]
    );
    assert_eq!(rig.ok("stat -f -c %l ."), "255\n");
}

#[test]
fn every_name_that_linux_has_is_kept() {
    let mut rig = Rig::new(MemoryConfig::friendly());
    let long = "я".repeat(127) + "x";
    let names = [
        "с пробелами и ё.txt",
        "a&b#c%20d?e+f;g=h@i!$",
        "-n",
        "quote\"'s",
        "日本語.pdf",
        "back\\slash",
        ".hidden",
        &long,
    ];
    for name in names {
        std::fs::write(rig.dir().join(name), name).unwrap();
        assert_eq!(rig.content(name).unwrap(), name);
    }
    rig.remount();
    let mut listed: Vec<String> =
        std::fs::read_dir(rig.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    listed.sort_unstable();
    let mut expected = names.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for name in names {
        assert_eq!(std::fs::read_to_string(rig.dir().join(name)).unwrap(), name);
    }
}

#[test]
fn names_that_no_service_could_have_are_refused() {
    let rig = Rig::new(MemoryConfig::friendly());
    let said = rig.python(
        r"
        for name in (b'bad\xff', b'x' * 256, b'new\nline', b'tab\t'):
            for work in (lambda: os.open(name, os.O_WRONLY | os.O_CREAT), lambda: os.mkdir(name), lambda: os.stat(name)):
                try:
                    work()
                    print('fine', end=' ')
                except OSError as error:
                    print(errno.errorcode[error.errno], end=' ')
            print()
        ",
    );
    assert_eq!(
        said,
        "EILSEQ EILSEQ ENOENT \nENAMETOOLONG ENAMETOOLONG ENAMETOOLONG \nEINVAL EINVAL ENOENT \nEINVAL EINVAL ENOENT \n"
    );
    assert_eq!(rig.ok("ls -A"), "");
}

#[test]
fn two_spellings_of_one_name_are_one_file() {
    let mut config = MemoryConfig::streamed_sequential();
    config.names.capitalise = true;
    let mut rig = Rig::new(config);
    rig.ok("echo one > a.txt; cat A.txt a.txt");
    assert_eq!(rig.ok("ls"), "A.txt\n");
    assert_eq!(rig.ok("stat -c %i a.txt A.txt | uniq | wc -l").trim(), "1");
    rig.ok("echo two > A.txt");
    assert_eq!(rig.ok("cat a.txt"), "two\n");
    rig.assert_has("A.txt", b"two\n", 2);
    rig.ok("echo three >> a.txt");
    assert_eq!(rig.ok("cat A.txt; ls"), "two\nthree\nA.txt\n");
    rig.sh("set -C; echo x > b; echo y > B").failed("File exists");
    rig.remount();
    assert_eq!(rig.ok("cat a.txt; cat A.txt"), "two\nthree\ntwo\nthree\n");
    rig.ok("rm a.txt");
    rig.sh("cat A.txt").failed("No such file");
    assert_eq!(rig.content("A.txt"), None);
}

#[test]
fn a_large_directory_is_listed_whole() {
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.dir_cache = Duration::ZERO);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut names: Vec<String> = (0..2000).map(|number| format!("file number {number:04} with a long name")).collect();
    for name in &names {
        let path = super::support::mount::path(name);
        runtime.block_on(whole(&*rig.memory, &path, &text(number_of(name), 1))).unwrap();
    }
    assert_eq!(rig.ok("ls | wc -l; ls -l | wc -l; find . -type f -size 1c | wc -l"), "2000\n2001\n2\n");
    names.push("one more".into());
    rig.ok("echo x > 'one more'; rm *0007*");
    names.remove(7);
    assert_eq!(rig.ok("ls"), names.join("\n") + "\n");
}

/// Sizes that tell the files apart: the number, in bytes.
fn number_of(name: &str) -> usize {
    let number: usize = name.split(' ').nth(2).unwrap().parse().unwrap();
    1 + number % 1000
}

/// Ordinary users of a wiki may not delete: `rm` fails, and the file goes on to be one.
#[test]
fn a_file_that_may_not_be_removed_can_still_be_written() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo old > f");
    rig.faults.add(Operation::Remove, When::Always, Fault::refused(Kind::Denied));
    rig.sh("rm f").failed("Permission denied");
    rig.assert_has("f", b"old\n", 1);
    rig.ok("echo new > f && echo more >> f");
    rig.assert_has("f", b"new\nmore\n", 3);
    rig.faults.heal();
    rig.ok("rm f && test ! -e f");
    assert!(rig.content("f").is_none());
}

/// What was made here is looked at again like everything else: another client may change it.
#[test]
fn a_file_made_here_and_changed_elsewhere_is_seen_as_it_is_there() {
    let rig = Rig::with(MemoryConfig::friendly(), |options| options.dir_cache = Duration::ZERO);
    rig.ok("echo ours > f");
    rig.write_elsewhere("f", b"theirs, and longer\n");
    until("the other client's version", || rig.ok("cat f") == "theirs, and longer\n");
    rig.remove_elsewhere("f");
    until("its removal", || !rig.sh("cat f").success());
}
