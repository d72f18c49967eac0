//! A live mount is asked and told: the hidden directory, the status in it, and the commands that send a parked file
//! again or throw it away.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use uploadfs::error::{Error, Kind};
use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::mount::{Rig, in_one_request};
use super::support::program::until;
use super::support::upload::text;

/// What every Python program here begins with.
const PYTHON: &str = "
def attempt(work, *args):
    try:
        work(*args)
        word = 'fine'
    except OSError as error:
        word = errno.errorcode[error.errno]
    # In one piece: threads say it, too.
    sys.stdout.write(word + '\\n')
def tell(name, word):
    attempt(os.setxattr, name, 'user.uploadfs.command', word.encode())
";

/// What a Python program says, line by line.
#[track_caller]
fn python(rig: &Rig, program: &str) -> Vec<String> {
    rig.python(&format!("{PYTHON}\n{program}")).lines().map(str::to_owned).collect()
}

/// What the mount answers to a command about a file.
#[track_caller]
fn tell(rig: &Rig, name: &str, word: &str) -> String {
    python(rig, &format!("tell({name:?}, {word:?})")).concat()
}

fn status(rig: &Rig) -> Value {
    let text = std::fs::read_to_string(rig.dir().join(".uploadfs/status")).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The state and the number of bytes that the status tells of a file.
fn listed(rig: &Rig, path: &str) -> Option<(String, u64)> {
    let status = status(rig);
    let file = status["files"].as_array().unwrap().iter().find(|file| file["path"] == path)?.clone();
    Some((file["state"].as_str().unwrap().to_owned(), file["bytes"].as_u64().unwrap()))
}

/// A mount whose service refuses every upload with this kind of error.
fn refusing(kind: Kind) -> Rig {
    let rig = Rig::new(in_one_request());
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(kind));
    rig
}

/// Writes a file that the service does not take; it is parked then.
#[track_caller]
fn park(rig: &Rig, name: &str, content: &str) {
    let heard = python(
        rig,
        &format!(
            "f = os.open({name:?}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC); os.write(f, b{content:?}); attempt(os.close, f)"
        ),
    );
    assert_ne!(heard, ["fine"], "the service was to refuse it");
    assert_eq!(rig.state(name), "parked");
}

#[test]
fn the_hidden_directory_is_there_and_not_listed() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo x > f; mkdir d");
    assert_eq!(rig.ok("ls -A; find . | sort"), "d\nf\n.\n./d\n./f\n");
    assert_eq!(rig.ok("ls -a .uploadfs"), ".\n..\nstatus\n");
    assert_eq!(rig.ok("cd .uploadfs && cd .. && ls"), "d\nf\n");
    assert_eq!(rig.ok("stat -c '%F %a %h' .uploadfs .uploadfs/status"), "directory 555 2\nregular empty file 444 1\n");
    assert_eq!(rig.ok("ls -i .uploadfs | cut -d' ' -f1 | uniq | wc -l").trim(), "1");
    rig.sh("ls d/.uploadfs").failed("No such file");
    rig.sh("cat .uploadfs/other").failed("No such file");
    rig.sh("cat .uploadfs").failed("Is a directory");
    assert_eq!(rig.ok("cat .uploadfs/status"), rig.ok("head -c 10000 < .uploadfs/status"));
    assert_eq!(
        rig.ok("cp .uploadfs/status \"$L/copy\"; cmp .uploadfs/status \"$L/copy\"; wc -l < \"$L/copy\"").trim(),
        "1"
    );
}

#[test]
fn a_status_says_what_there_is_to_say_of_an_idle_mount() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo x > f; cat f");
    let mut status = status(&rig);
    let used = status["memory"]["used"].take();
    assert!(used.as_u64().unwrap() <= 32 << 20);
    let expected = json!({
        "version": 1, "remote": "test", "service": "memory", "state": "online", "since": null, "error": null,
        "files": [], "totals": { "files": 0, "bytes": 0, "sent": 0, "parked": 0 },
        "memory": { "used": null, "max": 32 << 20 }, "spool": { "used": 0, "max": 1 << 30 },
    });
    assert_eq!(status, expected);
}

#[test]
fn one_reader_reads_one_text() {
    let rig = refusing(Kind::Denied);
    let mut reader = rig.start_python(
        "
        f = os.open('.uploadfs/status', os.O_RDONLY)
        first = os.read(f, 20)
        pause()
        rest = b''
        while piece := os.read(f, 7):
            rest += piece
        assert os.pread(f, 20, 0) == first and os.pread(f, 10, 1 << 40) == b''
        os.fsync(f)
        os.close(os.dup(f))
        print((first + rest).decode(), end='')
        ",
    );
    reader.until_paused();
    park(&rig, "f", "text");
    reader.go();
    let before: Value = serde_json::from_str(&reader.wait().ok()).unwrap();
    assert_eq!(before["files"], json!([]), "made when it was opened");
    assert_eq!(status(&rig)["files"].as_array().unwrap().len(), 1, "made anew at each open");
}

#[test]
fn a_status_shows_files_from_their_first_byte_to_their_last() {
    let rig = Rig::new(MemoryConfig::streamed_sequential());
    let gate = Gate::new();
    rig.faults.add(Operation::Finish, When::Nth(1), Fault::StallBefore(gate.clone()));
    let mut writer =
        rig.start(r#"exec 3> "big file"; dd if=/dev/zero bs=1M count=11 status=none >&3; pause; exec 3>&-"#);
    writer.until_paused();
    assert_eq!(listed(&rig, "/big file"), Some(("open".to_owned(), 11 << 20)));
    assert_eq!(rig.state("big file"), "open");
    until("parts of it to arrive", || status(&rig)["files"][0]["sent"].as_u64() > Some(0));
    writer.go();
    rig.until_asked(Operation::Finish, 1);
    until("the close", || listed(&rig, "/big file") == Some(("uploading".to_owned(), 11 << 20)));
    let totals = status(&rig)["totals"].clone();
    assert_eq!(totals, json!({ "files": 1, "bytes": 11 << 20, "sent": 11 << 20, "parked": 0 }));
    assert_eq!(rig.xattr("big file", "user.uploadfs.progress").unwrap(), format!("{0}/{0}", 11 << 20));
    gate.open();
    writer.wait().ok();
    assert_eq!(status(&rig)["files"], json!([]));
}

#[test]
fn a_status_shows_what_is_parked_and_why() {
    let rig = refusing(Kind::Quota);
    rig.ok("mkdir d");
    park(&rig, "d/second", "1234");
    park(&rig, "first", "123");
    let status = status(&rig);
    let file = |path, bytes| {
        let error = "fault: refused, as told";
        json!({ "path": path, "state": "parked", "bytes": bytes, "sent": 0, "error": error })
    };
    assert_eq!(status["files"], json!([file("/d/second", 4), file("/first", 3)]));
    assert_eq!(status["totals"], json!({ "files": 2, "bytes": 7, "sent": 0, "parked": 2 }));
    assert_eq!(status["state"], "online", "a refusal is an answer");
    rig.ok("rm first; mv d/second d/third");
    assert_eq!(listed(&rig, "/first"), None);
    assert_eq!(listed(&rig, "/d/third"), Some(("parked".to_owned(), 4)));
}

#[test]
fn what_stays_in_the_mount_is_local() {
    let mut config = in_one_request();
    config.capability.empty_files = false;
    let rig = Rig::new(config);
    rig.ok(": > empty");
    until("the end of the program", || listed(&rig, "/empty") == Some(("local".to_owned(), 0)));
    assert_eq!(tell(&rig, "empty", "retry"), "EINVAL");
    assert_eq!(tell(&rig, "empty", "discard"), "EINVAL");
}

#[test]
fn an_outage_shows_from_its_first_silence_to_the_first_answer() {
    let rig = Rig::new(MemoryConfig::friendly());
    let before = SystemTime::now() - Duration::from_secs(1);
    let unreachable = Error::new(Kind::Unreachable, "stat", "no route to host");
    rig.faults.add(Operation::Stat, When::Always, Fault::Before(unreachable));
    rig.sh("cat missing").failed("No route to host");
    let status_then = status(&rig);
    assert_eq!((&status_then["state"], &status_then["error"]), (&json!("offline"), &json!("stat: no route to host")));
    let since = status_then["since"].as_str().unwrap().to_owned();
    let format = &time::format_description::well_known::Rfc3339;
    let moment = SystemTime::from(time::OffsetDateTime::parse(&since, format).unwrap());
    assert!(moment >= before - Duration::from_secs(1) && moment <= SystemTime::now(), "{since}");
    rig.sh("cat missing").failed("No route to host");
    assert_eq!(status(&rig)["since"], since.as_str());
    rig.faults.heal();
    rig.sh("cat missing").failed("No such file");
    let status = status(&rig);
    assert_eq!((&status["state"], &status["since"], &status["error"]), (&json!("online"), &Value::Null, &Value::Null));
}

#[test]
fn a_status_is_there_while_the_service_is_silent() {
    let rig = Rig::new(in_one_request());
    let gate = Gate::new();
    for operation in [Operation::List, Operation::PutWhole] {
        rig.faults.add(operation, When::Always, Fault::StallBefore(gate.clone()));
    }
    let writer = rig.start("ls & echo x > f; wait");
    until("the upload", || listed(&rig, "/f").is_some_and(|(state, _)| state == "uploading"));
    assert_eq!(rig.faults.count(Operation::Check), 1, "of the mount itself");
    gate.open();
    writer.wait().ok();
}

#[test]
fn nothing_can_be_changed_in_the_hidden_directory() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo x > f; mkdir d");
    let heard = python(
        &rig,
        "
H, S = '.uploadfs', '.uploadfs/status'
for work, *args in (
    (os.open, S, os.O_WRONLY), (os.open, S, os.O_RDWR), (os.truncate, S, 0), (os.open, S, os.O_RDONLY | os.O_TRUNC),
    (os.chmod, S, 0o777), (os.utime, S), (os.chown, H, 1, 1), (os.unlink, S), (os.rename, S, 'f2'),
    (os.open, H + '/new', os.O_WRONLY | os.O_CREAT), (os.mkdir, H + '/new'), (os.rename, 'f', H + '/new'),
    (os.symlink, 'f', H + '/new'), (os.link, 'f', H + '/new'), (os.mknod, H + '/new'), (os.rename, 'f', S),
    (os.rmdir, H), (os.rename, H, 'h2'), (os.rename, H, 'd/h'), (os.rename, 'd', H),
    (os.rename, 'f', '.UploadFS'), (os.mkdir, '.UPLOADFS'), (os.open, '.UploadFs', os.O_WRONLY | os.O_CREAT),
    (os.setxattr, S, 'user.uploadfs.command', b'retry'), (os.setxattr, H, 'user.uploadfs.command', b'discard'),
    (os.setxattr, H, 'user.x', b'1'),
):
    attempt(work, *args)
",
    );
    assert_eq!(heard, vec!["EPERM"; 26]);
    let heard = python(
        &rig,
        "
H, S = '.uploadfs', '.uploadfs/status'
# These the kernel answers by itself, because the name stands for a directory.
attempt(os.mkdir, H)
attempt(os.unlink, H)
attempt(os.rename, 'f', H)
attempt(os.open, H, os.O_WRONLY | os.O_CREAT)
attempt(os.getxattr, S, 'user.uploadfs.state')
attempt(os.getxattr, H, 'user.x')
print(os.listxattr(S))
",
    );
    assert_eq!(heard, ["EEXIST", "EISDIR", "EISDIR", "EISDIR", "ENODATA", "ENOTSUP", "[]"]);
    assert_eq!(
        rig.ok("ls -A; cat f; mkdir d/.uploadfs; echo y > d/.uploadfs/status; cat d/.uploadfs/status"),
        "d\nf\nx\ny\n"
    );
}

#[test]
fn a_namesake_on_the_service_does_not_show() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.write_elsewhere(".uploadfs", b"of somebody else");
    rig.write_elsewhere("other", b"x");
    assert_eq!(rig.ok("ls -A"), "other\n");
    assert_eq!(status(&rig)["files"], json!([]));
    assert_eq!(rig.content(".uploadfs").unwrap(), "of somebody else", "and is left alone");
}

#[test]
fn a_parked_file_is_sent_again_as_it_is() {
    let bytes = text(11 << 20, 1);
    let roads = [
        MemoryConfig::streamed_sequential(),
        MemoryConfig::streamed_parallel(),
        MemoryConfig::declared_parallel(),
        MemoryConfig::whole(),
    ];
    for config in roads {
        let rig = Rig::new(config);
        rig.put_local("source", &bytes);
        for operation in [Operation::Finish, Operation::PutWhole] {
            rig.faults.add(operation, When::Always, Fault::refused(Kind::Quota));
        }
        rig.sh(r#"cp "$L/source" f"#).failed("Disk quota exceeded");
        assert_eq!(tell(&rig, "f", "retry"), "EDQUOT", "the service says no again");
        assert_eq!((rig.state("f").as_str(), rig.versions("f")), ("parked", 0));
        rig.faults.heal();
        assert_eq!(tell(&rig, "f", "retry"), "fine");
        rig.assert_has("f", &bytes, 1);
        assert_eq!(rig.state("f"), "remote");
        assert_eq!(status(&rig)["files"], json!([]));
        assert_eq!(tell(&rig, "f", "retry"), "fine", "the service has it");
        rig.assert_has("f", &bytes, 1);
    }
}

#[test]
fn what_a_killed_writer_left_is_published_when_somebody_says_so() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.ok("echo old > f");
    rig.sh("{ echo begin; kill -9 $$; } > f");
    assert_eq!(rig.state("f"), "parked");
    rig.assert_has("f", b"old\n", 1);
    assert_eq!(tell(&rig, "f", "retry"), "fine");
    rig.assert_has("f", b"begin\n", 2);
}

#[test]
fn a_retry_waits_no_longer_than_a_close() {
    let rig = Rig::with(in_one_request(), |options| options.close_deadline = Duration::from_secs(1));
    rig.faults.add(Operation::PutWhole, When::Nth(1), Fault::refused(Kind::Denied));
    park(&rig, "f", "text");
    let gate = Gate::new();
    rig.faults.add(Operation::PutWhole, When::Nth(2), Fault::StallBefore(gate.clone()));
    assert_eq!(tell(&rig, "f", "retry"), "ETIMEDOUT");
    assert_eq!(rig.state("f"), "parked");
    gate.open();
    until("the late confirmation", || rig.state("f") == "remote");
    rig.assert_has("f", b"text", 1);
}

#[test]
fn commands_are_for_parked_files_that_nobody_writes() {
    let rig = refusing(Kind::Denied);
    rig.ok("mkdir d");
    rig.write_elsewhere("never opened", b"x");
    park(&rig, "f", "text");
    let heard = python(
        &rig,
        "
for name in ('never opened', 'd', 'missing'):
    tell(name, 'retry')
    tell(name, 'discard')
for word in ('', 'Retry', 'retry\\n', 'forget'):
    tell('f', word)
attempt(os.setxattr, 'f', 'user.uploadfs.state', b'remote')
attempt(os.removexattr, 'f', 'user.uploadfs.command')
attempt(os.getxattr, 'f', 'user.uploadfs.command')
f = os.open('f', os.O_WRONLY)
tell('f', 'retry')
tell('f', 'discard')
os.close(f)
g = os.open('g', os.O_WRONLY | os.O_CREAT)
os.write(g, b'x')
tell('g', 'retry')
tell('g', 'discard')
attempt(os.close, g)
",
    );
    let expected = [
        vec!["fine", "EINVAL", "EISDIR", "EISDIR", "ENOENT", "ENOENT"],
        vec!["EINVAL"; 4],
        vec!["ENOTSUP", "ENOTSUP", "ENODATA"],
        vec!["EBUSY"; 4],
        vec!["EACCES"],
    ];
    assert_eq!(heard, expected.concat());
    assert_eq!(rig.faults.count(Operation::PutWhole), 2, "no command sent anything");
    assert_eq!((rig.state("f").as_str(), rig.ok("cat f").as_str()), ("parked", "text"), "nothing has happened to it");
}

#[test]
fn a_command_needs_write_permission_and_a_status_none() {
    let rig = Rig::with(in_one_request(), |options| options.allow_other = true);
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Denied));
    park(&rig, "f", "text");
    park(&rig, "g", "text");
    // The directories above belong to the test alone; whoever is inside may go on.
    let heard = python(
        &rig,
        "
os.chmod('g', 0o666)
os.setuid(65534)
for name in ('f', 'g'):
    tell(name, 'discard')
print(len(open('.uploadfs/status').read()) > 0)
",
    );
    assert_eq!(heard, ["EACCES", "fine", "True"]);
    assert_eq!(rig.state("f"), "parked");
}

#[test]
fn two_that_retry_at_once_make_one_version() {
    let rig = refusing(Kind::Denied);
    park(&rig, "f", "text");
    rig.faults.heal();
    let heard = python(
        &rig,
        "
threads = [threading.Thread(target=tell, args=('f', 'retry')) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
",
    );
    // Whoever comes while it is under way hears that it is not parked; whoever comes later, that the service has it.
    assert!(heard.iter().any(|word| word == "fine"), "{heard:?}");
    assert!(heard.iter().all(|word| word == "fine" || word == "EINVAL"), "{heard:?}");
    rig.assert_has("f", b"text", 1);
}

#[test]
fn a_new_file_that_is_discarded_is_gone() {
    let rig = refusing(Kind::Denied);
    park(&rig, "f", "text");
    let requests = rig.faults.count(Operation::Remove);
    assert_eq!(tell(&rig, "f", "discard"), "fine");
    rig.sh("cat f").failed("No such file");
    until("the name to be forgotten", || rig.ok("ls -A").is_empty());
    assert_eq!(status(&rig)["files"], json!([]));
    assert_eq!(rig.faults.count(Operation::Remove), requests, "there was nothing to remove");
    until("its bytes to be let go", || rig.usage().memory_bytes == 0);
    rig.faults.heal();
    rig.ok("echo new > f");
    rig.assert_has("f", b"new\n", 1);
}

#[test]
fn the_older_version_comes_back_when_the_newer_one_is_discarded() {
    let mut rig = Rig::new(in_one_request());
    rig.ok("mkdir d; echo old > d/f; chmod 600 d/f");
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Quota));
    park(&rig, "d/f", "newer and longer");
    let mut reader =
        rig.start_python("f = open('d/f'); f.read(3); pause(); print(f.read()); f.seek(0); print(f.read())");
    reader.until_paused();
    assert_eq!(tell(&rig, "d/f", "discard"), "fine");
    assert_eq!(rig.ok("cat d/f"), "old\n");
    until("the attributes of the older version", || rig.ok("stat -c '%s %a' d/f") == "4 600\n");
    assert_eq!((rig.ok("ls d").as_str(), rig.state("d/f").as_str()), ("f\n", "remote"));
    reader.go();
    assert_eq!(reader.wait().ok(), "er and longer\nnewer and longer\n", "who has it open goes on reading it");
    assert_eq!(rig.ok("cat d/f"), "old\n");
    rig.assert_has("d/f", b"old\n", 1);
    rig.faults.heal();
    rig.ok("echo more >> d/f");
    rig.assert_has("d/f", b"old\nmore\n", 2);
    rig.remount();
    assert_eq!(rig.ok("cat d/f"), "old\nmore\n");
}

#[test]
fn what_another_client_has_written_meanwhile_is_what_comes_back() {
    let rig = Rig::with(in_one_request(), |options| options.dir_cache = Duration::ZERO);
    rig.ok("echo old > changed; echo old > removed");
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Quota));
    park(&rig, "changed", "mine");
    park(&rig, "removed", "mine");
    rig.write_elsewhere("changed", b"of another client");
    rig.remove_elsewhere("removed");
    for name in ["changed", "removed"] {
        assert_eq!(tell(&rig, name, "discard"), "fine");
    }
    assert_eq!(rig.ok("cat changed"), "of another client");
    rig.sh("cat removed").failed("No such file");
}

#[test]
fn a_session_of_what_is_discarded_is_given_up() {
    let rig = Rig::new(MemoryConfig::streamed_parallel());
    rig.put_local("source", &text(11 << 20, 1));
    rig.faults.add(Operation::Finish, When::Always, Fault::refused(Kind::Denied));
    rig.sh(r#"cp "$L/source" f"#).failed("Permission denied");
    assert_eq!(tell(&rig, "f", "discard"), "fine");
    until("the session to be given up", || rig.memory.open_sessions().is_empty());
    assert_eq!(rig.versions("f"), 0);
}

#[test]
fn what_is_still_under_way_is_not_thrown_away() {
    let rig = Rig::with(in_one_request(), |options| {
        options.close_deadline = Duration::from_secs(1);
        options.metadata_deadline = Duration::from_secs(1);
    });
    let gate = Gate::new();
    rig.faults.add(Operation::PutWhole, When::Nth(1), Fault::StallAfter(gate.clone()));
    park(&rig, "f", "text");
    assert_eq!(tell(&rig, "f", "discard"), "ETIMEDOUT", "the service has not said yet what became of it");
    assert_eq!((rig.state("f").as_str(), rig.ok("cat f").as_str()), ("parked", "text"));
    gate.open();
    until("the late confirmation", || rig.state("f") == "remote");
    assert_eq!(tell(&rig, "f", "discard"), "EINVAL", "it is on the service by now");
    rig.assert_has("f", b"text", 1);
}

#[test]
fn nobody_writes_into_what_is_thrown_away() {
    let rig = refusing(Kind::Denied);
    for round in 0..20 {
        park(&rig, "f", "text");
        // One throws it away while another opens it: either it is too late for the one, or the other gets a new file.
        let program = "
word = []
def discard():
    try:
        os.setxattr('f', 'user.uploadfs.command', b'discard')
        word.append('discarded')
    except OSError as error:
        word.append(errno.errorcode[error.errno])
thread = threading.Thread(target=discard)
thread.start()
f = os.open('f', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
thread.join()
os.write(f, b'more')
attempt(os.close, f)
print(word[0], open('f').read())
";
        let heard = python(&rig, program);
        assert_eq!(heard[0], "EACCES", "{round}: a close that answers 0 would be a lie: {heard:?}");
        assert!(
            ["discarded more", "EBUSY textmore", "EINVAL textmore"].contains(&heard[1].as_str()),
            "{round}: {heard:?}"
        );
    }
}
