//! `uploadfs discard FILE...`: throws away what a mount has of parked files. It asks nothing, and touches nothing else.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use super::mounted::{self, check_ours, shown};
use super::retry::why_not;
use super::status::{files, say};

/// What is typed after `discard`.
#[derive(Args, Debug)]
pub(super) struct DiscardArgs {
    /// Parked files; what the service has of them stays
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(arguments: &DiscardArgs) -> anyhow::Result<()> {
    for path in &arguments.files {
        check_ours(path)?;
    }
    let mut kept = 0;
    for path in &arguments.files {
        let line = match mounted::command(path, "discard") {
            Ok(()) => what_is_left(path),
            Err(errno) => {
                kept += 1;
                format!("not discarded: {}", why_not(path, errno))
            }
        };
        say(&format!("{}: {line}\n", shown(path)))?;
    }
    if kept > 0 { bail!("{} not discarded", files(kept)) } else { Ok(()) }
}

/// What is under the name by then. Opened, because an open is answered by the mount, and a look may be by the kernel,
/// which is told a moment later.
fn what_is_left(path: &Path) -> String {
    match std::fs::File::open(path) {
        Ok(_) => "discarded; the service's older version is there again".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "discarded; the service has no older version".to_owned()
        }
        Err(error) => format!("discarded; the service's version cannot be opened: {error}"),
    }
}
