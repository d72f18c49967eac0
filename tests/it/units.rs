//! The systemd unit: what it must say, and what it must never say. A directive that gives the daemon a mount namespace
//! of its own makes its mount invisible to everybody else, without an error; systemd itself finds nothing wrong with
//! that, so it is held here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directives that make systemd unshare the mount namespace of a service, or need it unshared.
const FORBIDDEN: [&str; 35] = [
    "BindPaths",
    "BindReadOnlyPaths",
    "DynamicUser",
    "ExecPaths",
    "ExtensionDirectories",
    "ExtensionImages",
    "IPCNamespacePath",
    "InaccessibleDirectories",
    "InaccessiblePaths",
    "LogNamespace",
    "MountAPIVFS",
    "MountFlags",
    "MountImages",
    "NoExecPaths",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyDirectories",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RootDirectory",
    "RootImage",
    "TemporaryFileSystem",
    "PrivatePIDs",
];

/// The exposure that `systemd-analyze security` may find, in tenths; a unit that says nothing has 96.
const EXPOSURE_MAX: u32 = 45;

/// The directives of a unit file by section.
struct Unit {
    path: PathBuf,
    /// Section, name, value.
    lines: Vec<(String, String, String)>,
}

impl Unit {
    fn shipped() -> Unit {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd/uploadfs@.service");
        let text = fs::read_to_string(&path).unwrap();
        Unit { path, lines: parse(&text) }
    }

    /// Every value of a directive of `[Service]`.
    fn all(&self, name: &str) -> Vec<&str> {
        let found = self.lines.iter().filter(|(section, found, _)| section == "Service" && found == name);
        found.map(|(_, _, value)| value.as_str()).collect()
    }

    /// The only value of a directive of `[Service]`.
    fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} stands once");
        all[0]
    }
}

fn parse(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?} is no directive"));
        lines.push((section.clone(), name.trim().to_owned(), value.trim().to_owned()));
    }
    lines
}

/// A time of the unit, in seconds.
fn seconds(text: &str) -> u64 {
    let (number, factor) = match text.strip_suffix("min").or(text.strip_suffix('m')) {
        Some(number) => (number, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    number.parse::<u64>().unwrap_or_else(|_| panic!("{text:?} is a time")) * factor
}

/// Whether systemd's own checker is here.
fn has_analyze() -> bool {
    Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A copy of the unit that starts a program which exists.
fn copy_to(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(Unit::shipped().path).unwrap();
    let copy = folder.join("uploadfs@.service");
    fs::write(&copy, text.replace("/usr/bin/uploadfs", env!("CARGO_BIN_EXE_uploadfs"))).unwrap();
    copy
}

#[test]
fn the_mount_stays_visible() {
    let unit = Unit::shipped();
    let hidden = unit.lines.iter().map(|(_, name, _)| name.as_str()).filter(|name| FORBIDDEN.contains(name));
    assert_eq!(hidden.collect::<Vec<_>>(), [""; 0], "these give the daemon a mount namespace of its own");
    for device in unit.all("DeviceAllow") {
        assert!(device.starts_with("/dev/fuse "), "{device}");
    }
    assert_eq!(unit.all("DeviceAllow").len(), 1, "closed to every device is closed to FUSE");
}

#[test]
fn the_daemon_may_do_what_it_has_to() {
    let unit = Unit::shipped();
    let capabilities: Vec<&str> = unit.one("CapabilityBoundingSet").split(' ').collect();
    assert!(capabilities.contains(&"CAP_SYS_ADMIN"), "it mounts");
    // Measured: without it a killed writer's file is published, and so is one that another process still writes.
    assert!(capabilities.contains(&"CAP_SYS_PTRACE"), "it reads /proc of the programs that write");
    assert!(unit.one("SystemCallFilter").split(' ').any(|set| set == "@mount"));
    assert!(unit.one("RestrictAddressFamilies").split(' ').any(|family| family == "AF_UNIX"), "it notifies systemd");
}

#[test]
fn its_life_fits_the_program() {
    let unit = Unit::shipped();
    assert_eq!(unit.one("Type"), "notify");
    assert_eq!(unit.one("KillSignal"), "SIGTERM");
    assert_eq!((unit.one("Restart"), unit.one("RestartPreventExitStatus")), ("on-failure", "2"));
    let drain = unit.one("Environment").strip_prefix("UPLOADFS_MOUNT_DRAIN=").expect("the drain is set");
    assert!(seconds(drain) + 10 < seconds(unit.one("TimeoutStopSec")), "systemd kills after the drain, not within it");
    assert!(seconds(unit.one("RestartSec")) > 60, "five sign-ins in five minutes lock an account");
    assert_eq!(unit.one("LoadCredential"), "password:/etc/uploadfs/%i.password");
    assert_eq!((unit.one("StateDirectory"), unit.one("StateDirectoryMode")), ("uploadfs/%i", "0700"));
}

#[test]
fn what_it_starts_is_what_can_be_typed() {
    let unit = Unit::shipped();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    fs::write(&config, "[x]\nservice = \"memory\"\n").unwrap();
    let start = unit.one("ExecStart").replace("/etc/uploadfs/config.toml", config.to_str().unwrap());
    let start = start.replace("/mnt/%i", folder.path().join("mnt").to_str().unwrap()).replace("%i", "x");
    let mut words = start.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/uploadfs"));
    // The mount point is not there: the command line was understood, and refused for that.
    let output = Command::new(env!("CARGO_BIN_EXE_uploadfs")).args(words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("mkdir -p"), "{said}");
    assert!(unit.all("ExecStartPre").iter().any(|line| line.ends_with("mkdir -p /mnt/%i")));
}

#[test]
fn only_a_dead_mount_is_cleared() {
    let unit = Unit::shipped();
    let script = unit.one("ExecStopPost").strip_prefix("-/bin/sh -c '").expect("a failure does not matter");
    let (script, rest) = script.split_once("' ").expect("the script ends");
    assert_eq!(rest, "sh /mnt/%i");
    // A directory that answers is nobody's dead mount: nothing is run on it.
    let folder = tempfile::tempdir().unwrap();
    let trap = folder.path().join("fusermount3");
    fs::write(&trap, "#!/bin/sh\necho called\n").unwrap();
    fs::set_permissions(&trap, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let script = script.replace("$$", "$");
    for (ls, called) in [(None, false), (Some("Transport endpoint is not connected"), true)] {
        if let Some(said) = ls {
            let fake = folder.path().join("ls");
            fs::write(&fake, format!("#!/bin/sh\necho 'ls: {said}' >&2\nexit 2\n")).unwrap();
            fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut shell = Command::new("/bin/sh");
        let output = shell.args(["-c", &script, "sh"]).arg(folder.path()).env("PATH", &path).output().unwrap();
        assert_eq!(output.stdout == b"called\n", called, "{ls:?}");
    }
}

#[test]
fn systemd_finds_nothing_wrong() {
    if !has_analyze() {
        eprintln!("not checked: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = copy_to(folder.path());
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("uploadfs@"), "{said}");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let mut analyze = Command::new("systemd-analyze");
    let output = analyze.args(["security", "--offline=true", "--no-pager", &threshold]).arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said.lines().last().unwrap_or_default());
}
