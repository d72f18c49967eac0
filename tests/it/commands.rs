//! The commands that talk to a live mount, with the real binary: what they print, and what scripts go by, their exit
//! codes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use uploadfs::error::Kind;
use uploadfs::service::Operation;
use uploadfs::service::layer::fault::{Fault, Gate, When};
use uploadfs::service::memory::MemoryConfig;

use super::support::daemon::{Daemon, Section};
use super::support::mount::{Rig, in_one_request};
use super::support::program::{Ended, Running};
use super::support::upload::text;

/// A line of shell in which `$U` is the program.
fn with_program(script: &str) -> String {
    format!("U='{}'; {script}", env!("CARGO_BIN_EXE_uploadfs"))
}

fn start(rig: &Rig, script: &str) -> Running {
    rig.start(&with_program(script))
}

fn sh(rig: &Rig, script: &str) -> Ended {
    start(rig, script).wait()
}

/// It ended with this code, said nothing but these lines on stdout, and has these words among its errors.
#[track_caller]
fn assert_ended(ended: &Ended, code: i32, out: &str, err: &str) {
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    assert_eq!(ended.out, out, "{ended:?}");
    assert!(ended.err.contains(err) && (code != 0 || ended.err.is_empty()), "not {err:?}: {ended:?}");
}

/// It was refused as typed, in one line with these words.
#[track_caller]
fn assert_refused(ended: &Ended, words: &str) {
    assert_ended(ended, 2, "", words);
    assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
}

/// A mount whose service refuses every upload, and two files that it has not taken.
fn with_parked_files() -> Rig {
    let rig = Rig::new(in_one_request());
    rig.ok("echo old > 'second file'");
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Quota));
    rig.put_local("first", b"first\n");
    rig.put_local("second", b"second\n");
    rig.sh(r#"cp "$L/first" first; cp "$L/second" 'second file'"#).failed("Disk quota exceeded");
    rig
}

const HEADING: &str = "STATE            SIZE       SENT  FILE\n";

/// The lines of a table about the two files.
fn table(dir: &str) -> String {
    let why = "fault: refused, as told";
    format!(
        "{HEADING}parked            6 B        0 B  {dir}/first: {why}\n\
         parked            7 B        0 B  {dir}/second file: {why}\n"
    )
}

#[test]
fn status_is_a_table_for_people_and_json_for_programs() {
    let rig = with_parked_files();
    let ended = sh(&rig, r#""$U" status ."#);
    let out = ended.out.clone();
    assert_ended(&ended, 0, &out, "");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "test (memory) on .: online");
    assert!(out.contains(&table(".")), "{out}");
    assert_eq!(lines[4], "not on the service: 2 files, 13 B, 0 B of that are sent; 2 parked");
    assert!(lines[5].starts_with("memory ") && lines[5].contains(" of 32.0 MiB, spool 8.0 KiB of 1.0 GiB"), "{out}");
    assert_eq!(lines.len(), 6, "{out}");
    assert_eq!(sh(&rig, r#""$U" status --json ."#).ok(), rig.ok("cat .uploadfs/status"));

    rig.faults.heal();
    rig.ok("rm first; echo new > 'second file'");
    let out = sh(&rig, r#""$U" status "$PWD/""#).ok();
    assert!(out.contains("\neverything is on the service\n") && !out.contains("STATE"), "{out}");
    let all = sh(&rig, r#""$U" status"#);
    let mine = format!("test (memory) on {}: online\n", rig.dir().display());
    assert!(all.out.contains(&mine), "among all mounts: {all:?}");
}

#[test]
fn an_outage_is_in_the_heading() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.faults.add(Operation::Stat, When::Always, Fault::refused(Kind::Unreachable));
    rig.sh("cat missing").failed("No route to host");
    let out = sh(&rig, r#""$U" status ."#).ok();
    let heading = out.lines().next().unwrap();
    let parts = ["test (memory) on .: offline since 20", "Z: fault: refused, as told"];
    assert!(heading.starts_with(parts[0]) && heading.ends_with(parts[1]), "{heading}");
}

#[test]
fn what_is_no_mount_is_refused_and_not_touched() {
    let rig = Rig::new(MemoryConfig::friendly());
    rig.put_local("f", b"x");
    rig.ok("mkdir d; echo x > f");
    for command in ["status", "wait", "retry", "discard"] {
        assert_refused(&sh(&rig, &format!(r#""$U" {command} "$L""#)), "is not a mount of uploadfs");
        assert_refused(&sh(&rig, &format!(r#""$U" {command} "$L/f""#)), "is not a mount of uploadfs");
        assert_refused(&sh(&rig, &format!(r#""$U" {command} "$L/missing""#)), "No such file or directory");
    }
    assert_refused(&sh(&rig, r#""$U" export "$L/f" "$L/g""#), "is not a mount of uploadfs");
    assert!(!rig.local("g").exists());
    assert_eq!(rig.python("print(os.listxattr(L + '/f'), os.listxattr(L))"), "[] []\n", "no command was left there");
    for command in ["status", "wait", "retry"] {
        assert_refused(&sh(&rig, &format!(r#""$U" {command} d"#)), "d lies in a mount and is not its mount point");
    }
    assert_refused(&sh(&rig, r#""$U" wait f"#), "f lies in a mount and is not its mount point");
}

#[test]
fn a_dead_mount_is_said_to_be_dead() {
    let section = Section { lines: "service = \"memory\"\n".to_owned(), secret: String::new() };
    let mut daemon = Daemon::mount_section(&section, &[]);
    let run = |daemon: &Daemon, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_uploadfs")).args(arguments).arg(daemon.dir()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&daemon, &["wait"]), (Some(0), String::new()));
    daemon.send("KILL");
    daemon.wait();
    for command in ["status", "wait", "retry"] {
        let (code, said) = run(&daemon, &[command]);
        assert!(code == Some(2) && said.contains("is a dead mount") && said.contains("fusermount3 -uz"), "{said}");
    }
}

#[test]
fn wait_ends_when_everything_is_on_the_service() {
    let rig = Rig::new(in_one_request());
    assert_ended(&sh(&rig, r#""$U" wait ."#), 0, "", "");
    let gate = Gate::new();
    rig.faults.add(Operation::PutWhole, When::Always, Fault::StallBefore(gate.clone()));
    let writer = rig.start("echo x > f");
    rig.until_asked(Operation::PutWhole, 1);
    let ended = sh(&rig, r#""$U" wait . --timeout 0"#);
    let out = format!("{HEADING}uploading         2 B        0 B  ./f\n");
    assert_ended(&ended, 1, &out, "1 file is not on the service after 0 s");
    assert_ended(&sh(&rig, r#""$U" wait . --timeout 1"#), 1, &out, "after 1 s");
    let mut waiting = start(&rig, r#""$U" wait ."#);
    assert!(waiting.is_running());
    gate.open();
    assert_ended(&waiting.wait(), 0, "", "");
    writer.wait().ok();
    rig.assert_has("f", b"x\n", 1);
}

#[test]
fn wait_waits_for_programs_that_write() {
    let rig = Rig::new(in_one_request());
    let mut writer = rig.start("exec 3> f; echo x >&3; pause; exec 3>&-");
    writer.until_paused();
    assert_ended(
        &sh(&rig, r#""$U" wait . --timeout 0"#),
        1,
        &format!("{HEADING}open              2 B        0 B  ./f\n"),
        "1 file is not on the service",
    );
    let waiting = start(&rig, r#""$U" wait . --timeout 60"#);
    writer.go();
    assert_ended(&waiting.wait(), 0, "", "");
    writer.wait().ok();
}

#[test]
fn wait_does_not_wait_for_what_will_not_go() {
    let rig = with_parked_files();
    let ended = sh(&rig, r#""$U" wait ."#);
    assert_ended(&ended, 1, &table("."), "2 files will not go to the service by waiting: `uploadfs retry`");
    // While something else moves, it waits.
    let gate = Gate::new();
    rig.faults.heal();
    rig.faults.add(Operation::PutWhole, When::Always, Fault::StallBefore(gate.clone()));
    let writer = rig.start("echo x > f");
    rig.until_asked(Operation::PutWhole, rig.faults.count(Operation::PutWhole).max(4));
    let waiting = start(&rig, r#""$U" wait ."#);
    gate.open();
    assert_ended(&waiting.wait(), 1, &table("."), "2 files");
    writer.wait().ok();

    let mut config = in_one_request();
    config.capability.empty_files = false;
    let rig = Rig::new(config);
    rig.ok(": > empty");
    let out = format!("{HEADING}local             0 B        0 B  ./empty\n");
    assert_ended(&sh(&rig, r#""$U" wait ."#), 1, &out, "the service takes no empty files");
}

#[test]
fn wait_notices_that_its_mount_has_gone() {
    let mut rig = Rig::new(in_one_request());
    let mut writer = rig.start("exec 3> f; echo x >&3; pause");
    writer.until_paused();
    let script = with_program(&format!(r#"exec "$U" wait '{}'"#, rig.dir().display()));
    let waiting = Running::shell(&script, Path::new("/"), &rig.local(""));
    rig.take().end(Duration::ZERO, &crossbeam_channel::never()).unwrap();
    let ended = waiting.wait();
    // It may not have looked before the end.
    let expected = [(Some(1), "has gone"), (Some(2), "is not a mount of uploadfs")];
    assert!(
        expected.iter().any(|(code, words)| ended.status.code() == *code && ended.err.contains(words)),
        "{ended:?}"
    );
    let late = Running::shell(&script, Path::new("/"), &rig.local("")).wait();
    assert_refused(&late, "is not a mount of uploadfs");
}

#[test]
fn retry_sends_what_is_named_or_all_that_is_parked() {
    let rig = with_parked_files();
    let ended = sh(&rig, r#""$U" retry ."#);
    let still = "still parked: Disk quota exceeded: fault: refused, as told";
    let out = format!("./first: {still}\n./second file: {still}\n");
    assert_ended(&ended, 1, &out, "2 files could not be sent");

    rig.faults.heal();
    assert_ended(&sh(&rig, r#""$U" retry first"#), 0, "first: on the service\n", "");
    rig.assert_has("first", b"first\n", 1);
    rig.assert_has("second file", b"old\n", 1);
    assert_ended(&sh(&rig, r#""$U" retry . first"#), 0, "./second file: on the service\nfirst: on the service\n", "");
    rig.assert_has("second file", b"second\n", 2);
    rig.assert_has("first", b"first\n", 1);
    assert_ended(&sh(&rig, r#""$U" retry ."#), 0, "nothing is parked\n", "");

    rig.sh("{ echo begin; kill -9 $$; } > killed");
    assert_ended(&sh(&rig, r#""$U" retry . "$L/first""#), 2, "", "is not a mount of uploadfs");
    assert_eq!(rig.versions("killed"), 0, "what was typed wrongly is refused before anything is published");
    let mut writer = rig.start("exec 3>> killed; exec 4> new; echo x >&4; pause");
    writer.until_paused();
    let ended = sh(&rig, r#""$U" retry killed new"#);
    let busy = "busy: a program has it open for writing, or the service is at work on it";
    assert_ended(&ended, 1, &format!("killed: {busy}\nnew: {busy}\n"), "2 files could not be sent");
    writer.go();
    writer.wait().ok();
}

#[test]
fn discard_throws_away_what_is_named_and_parked() {
    let rig = with_parked_files();
    rig.write_elsewhere("fine", b"x");
    let ended = sh(&rig, r#""$U" discard first fine 'second file'"#);
    let out = "first: discarded; the service has no older version\n\
               fine: not discarded: is not parked: its state is `remote`\n\
               second file: discarded; the service's older version is there again\n";
    assert_ended(&ended, 1, out, "1 file not discarded");
    assert_eq!(rig.ok("cat 'second file' fine"), "old\nx");
    rig.sh("cat first").failed("No such file");
    assert_ended(&sh(&rig, r#""$U" wait ."#), 0, "", "");
    assert_refused(&sh(&rig, r#""$U" discard first"#), "No such file");
}

/// A file system of the test's own, unmounted when it is dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn on(dir: PathBuf, options: &str) -> Tmpfs {
        fs::create_dir(&dir).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs-of-a-test"]).arg(&dir).status();
        assert!(mounted.unwrap().success());
        Tmpfs(dir)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Nothing more can be done about one that stays.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn names(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn export_copies_what_the_mount_has() {
    let rig = Rig::new(in_one_request());
    // More than fits into memory: some of it is in the spool.
    let bytes = text(40 << 20, 1);
    rig.put_local("source", &bytes);
    rig.ok("echo remote > remote; chmod 640 remote");
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Quota));
    rig.sh(r#"cp "$L/source" parked"#).failed("Disk quota exceeded");
    fs::create_dir(rig.local("out")).unwrap();
    let said = sh(&rig, r#""$U" export parked "$L/out/a b""#).ok();
    assert!(said.ends_with(&format!("/out/a b: {} bytes\n", bytes.len())), "{said}");
    assert!(fs::read(rig.local("out/a b")).unwrap() == bytes);
    assert_eq!(rig.state("parked"), "parked", "it stays where it is");
    sh(&rig, r#"cd "$L/out" && "$U" export "$OLDPWD/remote" remote"#).ok();
    assert_eq!(fs::read(rig.local("out/remote")).unwrap(), b"remote\n");
    assert_eq!(fs::metadata(rig.local("out/remote")).unwrap().permissions().mode() & 0o777, 0o640);

    let taken = sh(&rig, r#""$U" export remote "$L/out/a b""#);
    assert_refused(&taken, "exists; name another, or replace it with --force");
    assert!(fs::read(rig.local("out/a b")).unwrap() == bytes);
    sh(&rig, r#""$U" export --force remote "$L/out/a b""#).ok();
    assert_eq!(fs::read(rig.local("out/a b")).unwrap(), b"remote\n");
    assert_refused(&sh(&rig, r#""$U" export --force remote "$L/out""#), "is a directory");
    assert_refused(&sh(&rig, r#""$U" export remote copy"#), "copy lies in a mount");
    assert_refused(&sh(&rig, r#""$U" export missing "$L/x""#), "No such file");
    assert_ended(&sh(&rig, r#""$U" export . "$L/x""#), 1, "", "it is not a file");
    assert_eq!(rig.ok("ls"), "parked\nremote\n");
    let mut left = names(&rig.local("out"));
    left.sort();
    assert_eq!(left, ["a b", "remote"], "no other names are left");
}

#[test]
fn an_export_that_cannot_be_says_so_and_leaves_nothing() {
    let rig = Rig::new(in_one_request());
    let bytes = text(4 << 20, 1);
    rig.put_local("source", &bytes);
    rig.faults.add(Operation::PutWhole, When::Always, Fault::refused(Kind::Quota));
    rig.sh(r#"cp "$L/source" f"#).failed("Disk quota exceeded");

    let full = Tmpfs::on(rig.local("full"), "size=1M");
    fs::write(full.0.join("there"), "old").unwrap();
    let ended = sh(&rig, r#""$U" export --force f "$L/full/there""#);
    assert_ended(&ended, 1, "", "No space left on device");
    assert!(ended.err.contains("is as it was"), "{ended:?}");
    assert_eq!(fs::read(full.0.join("there")).unwrap(), b"old");
    assert_ended(&sh(&rig, r#""$U" export f "$L/full/new""#), 1, "", "No space left on device");
    assert_eq!(names(&full.0), ["there"], "nothing is left of the attempts");

    let read_only = Tmpfs::on(rig.local("ro"), "ro");
    assert_ended(&sh(&rig, r#""$U" export f "$L/ro/f""#), 1, "", "Read-only file system");
    assert_eq!(names(&read_only.0), [""; 0]);
    assert_ended(&sh(&rig, r#""$U" export f "$L/no/such/f""#), 1, "", "nothing can be written in");

    // The older half of a file that was appended to is on the service, and that does not answer.
    rig.write_elsewhere("appended", b"older half, ");
    rig.put_local("newer", b"newer half\n");
    rig.sh(r#"dd if="$L/newer" of=appended oflag=append conv=notrunc status=none"#).failed("Disk quota exceeded");
    rig.faults.add(Operation::Read, When::Always, Fault::refused(Kind::Unreachable));
    let ended = sh(&rig, r#""$U" export appended "$L/appended""#);
    assert_ended(&ended, 1, "", "is not exported");
    assert!(!rig.local("appended").exists());
    rig.faults.heal();
    sh(&rig, r#""$U" export appended "$L/appended""#).ok();
    assert_eq!(fs::read(rig.local("appended")).unwrap(), b"older half, newer half\n");
    assert!(names(&rig.local("")).iter().all(|name| !name.starts_with(".uploadfs")), "nothing is left beside it");
}
