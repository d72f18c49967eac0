//! The same several hundred steps (`posix.py`) in a mount of a service that can do everything and in a directory of the
//! local disk: what programs see is the same, but for what is listed here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use uploadfs::service::memory::MemoryConfig;

use super::support::mount::Rig;

const STEPS: &str = include_str!("posix.py");

/// Steps that may differ, by the beginning of their names, and why.
const DIFFERENCES: [(&str, &str); 10] = [
    ("make, a newline", "control characters in names: a listing of a service that showed them could not be trusted"),
    ("mkdir, a newline", "the same"),
    ("rename to, a newline", "the same"),
    (
        "a_temporary_file_without_a_name",
        "O_TMPFILE: the kernel's FUSE asks for it, and no service has files without names",
    ),
    ("move, exchange", "RENAME_EXCHANGE: no service swaps two names in one step"),
    ("removed_while_open", "the number of links of a removed file: it stays 1, as FUSE has it"),
    ("a_symbolic_link", "no service has them"),
    ("a_hard_link", "no service has them"),
    ("a_pipe_with_a_name", "no service has them"),
    ("an_attribute", "no service stores attributes of programs"),
];

/// What each step said in `dir`.
fn run(dir: &Path) -> BTreeMap<String, String> {
    let output = Command::new("python3").args(["-c", STEPS]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().filter_map(|line| line.split_once(": ")).map(|(step, said)| (step.into(), said.into())).collect()
}

#[test]
fn a_mount_is_like_a_local_directory() {
    compare(&Rig::new(MemoryConfig::friendly()));
}

#[test]
fn a_mount_that_closes_locally_is_like_a_local_directory() {
    compare(&Rig::with(MemoryConfig::friendly(), |options| options.close_locally = true));
}

fn compare(rig: &Rig) {
    let local = tempfile::tempdir().unwrap();
    let expected = run(local.path());
    assert!(expected.len() > 400, "{} steps", expected.len());
    let found = run(&rig.dir());
    let differs = |step: &&String| expected.get(*step) != found.get(*step);
    let different: Vec<_> = expected.keys().chain(found.keys()).filter(differs).collect();
    let allowed = |step: &&&String| DIFFERENCES.iter().any(|(allowed, _)| step.starts_with(allowed));
    for step in different.iter().filter(|step| !allowed(step)) {
        let said = |lines: &BTreeMap<String, String>| lines.get(step.as_str()).cloned().unwrap_or_default();
        println!("{step}\n   local: {}\n   mount: {}", said(&expected), said(&found));
    }
    assert_eq!(different.iter().filter(|step| !allowed(step)).count(), 0, "see above");
    for (step, _) in DIFFERENCES {
        assert!(different.iter().any(|different| different.starts_with(step)), "{step:?} does not differ any more");
    }
    assert_eq!(fs::read_dir(rig.dir()).unwrap().count(), 0, "every step cleans up");
}
