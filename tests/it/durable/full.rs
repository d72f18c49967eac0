//! A disk below the spool that is full for real. Who needs room on it is told so; everybody else goes on; nothing that was
//! acknowledged is lost, also when the daemon dies in that state; and once there is room, everything goes on.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::place::Place;
use crate::support::daemon::{Daemon, entries};
use crate::support::program::until;
use crate::support::proxy::{Fault, Gate, When};
use crate::support::upload::text;

/// The size of the disk in bytes.
const DISK: u64 = 24 << 20;
/// The size of the files that fill it, in bytes.
const FILE: usize = 3 << 20;
/// More files than the disk can hold.
const FILES_MAX: u64 = 12;
/// What the mounts here are given: little memory, so that the disk is needed, and no limit of their own.
const ROOM: [&str; 6] = ["--chunk", "64K", "--memory", "4M", "--spool-max", "1G"];
const NO_SPACE: &str = "No space left on device";

/// A small disk. Dropped, it is unmounted, whoever still uses it.
struct Disk {
    home: TempDir,
}

impl Disk {
    /// A file system of its own on a loop device, or in memory where there is none; `None`, and a line about it, for a
    /// user who may not mount those.
    fn small() -> Option<Disk> {
        let disk = Disk { home: tempfile::tempdir().unwrap() };
        fs::create_dir(disk.dir()).unwrap();
        if disk.mount_loop() || disk.mount_memory() {
            return Some(disk);
        }
        eprintln!("not run: this user may not mount a small disk");
        None
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("disk")
    }

    fn mount_loop(&self) -> bool {
        let image = self.home.path().join("image");
        File::create(&image).unwrap().set_len(DISK).unwrap();
        let ran = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        ran(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))
            && ran(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(self.dir()))
    }

    fn mount_memory(&self) -> bool {
        let size = format!("size={DISK}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(self.dir()).status();
        mounted.is_ok_and(|status| status.success())
    }

    fn spool(&self) -> PathBuf {
        self.dir().join("spool")
    }

    /// The arguments of a mount that has its spool here.
    fn arguments(&self, close: &'static str) -> Vec<String> {
        let spool = self.spool().to_str().unwrap().to_owned();
        let of_spool = ["--spool".to_owned(), spool, "--close".to_owned(), close.to_owned()];
        ROOM.map(str::to_owned).into_iter().chain(of_spool).collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where it was never mounted, there is nothing to be said.
        let _ = Command::new("umount").arg("-l").arg(self.dir()).output();
    }
}

fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// A line of shell in which `$U` is the program.
fn with_program(script: &str) -> String {
    format!("U='{}'; {script}", env!("CARGO_BIN_EXE_uploadfs"))
}

/// What happens while the disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The service comes back.
    Goes,
    /// The daemon dies, and the next one finds the disk as full as it was.
    Dies,
}

fn a_full_disk_loses_nothing_that_was_closed(then: Then) {
    let Some(disk) = Disk::small() else { return };
    let place = Place::yandex();
    let (proxy, section) = place.proxied();
    let arguments = disk.arguments("local");
    let daemon = Daemon::mount_section(&section, &strs(&arguments));
    daemon.sh("echo old > old").ok();
    until("it to arrive", || entries(&disk.spool()) == 0);
    let gate = Gate::new();
    proxy.add(Place::uploads(), When::Always, Fault::HangBefore(gate.clone()));

    // The service is away, and the disk takes what it can.
    let (mut kept, mut refused) = (Vec::new(), None);
    for number in 0..FILES_MAX {
        let name = format!("f{number}");
        fs::write(daemon.local(&name), text(FILE, number)).unwrap();
        let copied = daemon.sh(&format!("cp $L/{name} {name}"));
        if !copied.success() {
            copied.failed(NO_SPACE);
            refused = Some(name);
            break;
        }
        kept.push(name);
    }
    let refused = refused.expect("the disk is smaller than these files");
    assert!(kept.len() >= 3, "{kept:?}");
    for name in &kept {
        daemon.sh(&format!("cmp $L/{name} {name}")).ok();
    }
    assert_eq!(daemon.sh("cat old").ok(), "old\n");
    let listed = daemon.sh("ls").ok();
    assert!(kept.iter().all(|name| listed.lines().any(|line| line == name)), "{listed}");

    // Room is made by throwing away what was refused; then there is room for something small.
    daemon.sh(&with_program(&format!(r#""$U" discard {refused} || rm -f {refused}"#))).ok();
    until("room on the disk", || daemon.sh("echo small > small").success());

    let daemon = match then {
        Then::Goes => {
            proxy.heal();
            gate.open();
            daemon
        }
        Then::Dies => {
            // The last free byte goes, so that the next one cannot write down anything.
            let daemon = daemon.die();
            let fill = disk.dir().join("fill");
            let filled = Command::new("dd").args(["if=/dev/zero", "bs=4k", &format!("of={}", fill.display())]).output();
            assert!(!filled.unwrap().status.success(), "the disk is full");
            proxy.heal();
            daemon.mount_again(&section, &strs(&arguments))
        }
    };
    until("all of them to arrive", || entries(&disk.spool()) == 0);
    kept.push("small".to_owned());
    fs::write(daemon.local("small"), "small\n").unwrap();
    let _ = fs::remove_file(disk.dir().join("fill"));
    daemon.sh(&format!("cp $L/{refused} {refused}")).ok();
    kept.push(refused);
    until("the last to arrive", || entries(&disk.spool()) == 0);
    let fresh = Daemon::mount_section(place.direct(), &[]);
    for name in &kept {
        daemon.sh(&format!("cmp $L/{name} {name}")).ok();
        fs::copy(daemon.local(name), fresh.local(name)).unwrap();
        fresh.sh(&format!("cmp $L/{name} {name}")).ok();
        assert_eq!(place.files(name), 1, "{then:?}: {name}");
    }
    assert!(daemon.end().success());
    place.assert_clean();
}

#[test]
fn a_full_disk_loses_nothing_when_the_service_comes_back() {
    a_full_disk_loses_nothing_that_was_closed(Then::Goes);
}

#[test]
fn a_full_disk_loses_nothing_when_the_daemon_dies() {
    a_full_disk_loses_nothing_that_was_closed(Then::Dies);
}

#[test]
fn a_full_disk_refuses_who_needs_it_and_nobody_else() {
    let Some(disk) = Disk::small() else { return };
    let place = Place::yandex();
    let arguments = disk.arguments("remote");
    let daemon = Daemon::mount_section(place.direct(), &strs(&arguments));
    daemon.sh("echo old > old").ok();
    // Nothing of it leaves before its close: the wiki must know the size first.
    let program = "
f = os.open('big', os.O_WRONLY | os.O_CREAT)
written = 0
try:
    while written < 64 << 20:
        written += os.write(f, b'x' * 65536)
except OSError as error:
    assert error.errno == errno.ENOSPC, error
else:
    sys.exit('nobody said that the disk is full')
pause()
try:
    os.close(f)
    print('closed', written)
except OSError as error:
    print(error.errno)";
    let mut writer = daemon.python(program);
    writer.until_paused();
    // Others read, list, and write what memory holds.
    assert_eq!(daemon.sh("cat old; ls").ok(), "old\nbig\nold\n");
    for number in 0..3 {
        daemon.sh(&format!("echo {number} > small{number} && cat small{number}")).ok();
        assert_eq!(place.files(&format!("small{number}")), 1);
    }
    writer.go();
    let said = writer.wait().ok();
    let there = place.files("big");
    match said.trim().strip_prefix("closed ") {
        // What it was told is written is what there is.
        Some(written) => assert_eq!((daemon.sh("stat -c %s big").ok().trim(), there), (written, 1)),
        None => assert_eq!(there, 0, "{said}"),
    }
    daemon.sh(&with_program(r#""$U" discard big || rm big"#)).ok();
    // There is room again, also for what memory does not hold.
    fs::write(daemon.local("next"), text(2 * FILE, 7)).unwrap();
    daemon.sh("cp $L/next next && cmp $L/next next").ok();
    assert_eq!(place.files("next"), 1);
    assert!(daemon.end().success());
    place.assert_clean();
}
