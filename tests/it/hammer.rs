//! A crowd on one mount: nothing hangs, nobody hears what no file system says, and in the end the service has what the mount
//! shows.

use std::collections::BTreeMap;
use std::process::Command;

use uploadfs::service::memory::MemoryConfig;

use super::support::mount::Rig;

const PROGRAM: &str = include_str!("hammer.py");
const PROCESSES: &str = "64";
/// Set for the full run.
const FULL: &str = "FULL_RUN";
/// Seconds after which a process is said to hang.
const PATIENCE: &str = "900";

fn hammer(rig: &Rig) {
    let operations = if std::env::var_os(FULL).is_some() { "4000" } else { "150" };
    let seed = fastrand::u32(..).to_string();
    println!("{PROCESSES} processes, {operations} operations each, seed {seed}");
    let arguments = ["-c", PROGRAM, PROCESSES, operations, &seed, PATIENCE];
    let output = Command::new("python3").args(arguments).current_dir(rig.dir()).output().unwrap();
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// Every file of a mount and the sum of its bytes.
fn sums(rig: &Rig) -> BTreeMap<String, String> {
    let said = rig.ok("find . -type f | sort | xargs -r sha1sum");
    said.lines().filter_map(|line| line.split_once("  ./")).map(|(sum, name)| (name.into(), sum.into())).collect()
}

#[test]
fn a_crowd_gets_through() {
    let mut rig = Rig::new(MemoryConfig::friendly());
    hammer(&rig);
    let before = sums(&rig);
    rig.end().unwrap();
    rig.remount();
    assert_eq!(rig.entries(), 0, "everything has arrived");
    assert_eq!(sums(&rig), before);
}
