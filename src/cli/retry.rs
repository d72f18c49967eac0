//! `uploadfs retry FILE|MOUNTPOINT...`: has parked files sent again, as they are, and tells what became of each.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use nix::errno::Errno;

use super::mounted::{self, Mounted, check_ours, shown};
use super::status::{files, say};
use crate::fs::status::FileState;

/// What to know before.
const AS_THEY_ARE: &str = "\
A parked file is published as it is. What a program left that was killed, or that gave up when a write failed, may be \
the half of a file: `uploadfs status` tells why each of them is parked.";

/// What is typed after `retry`.
#[derive(Args, Debug)]
#[command(after_help = AS_THEY_ARE)]
pub(super) struct RetryArgs {
    /// Parked files, or mount points for all that are parked there
    #[arg(value_name = "FILE|MOUNTPOINT", required = true)]
    paths: Vec<PathBuf>,
}

pub(super) fn run(arguments: &RetryArgs) -> anyhow::Result<()> {
    // Whatever was typed wrongly is refused before anything is published.
    for path in &arguments.paths {
        check_ours(path)?;
    }
    let mut parked = Vec::new();
    for path in &arguments.paths {
        match path.is_dir() {
            true => parked.extend(parked_below(&Mounted::at(path)?)?),
            false => parked.push(path.clone()),
        }
    }
    if parked.is_empty() {
        return say("nothing is parked\n");
    }
    let mut failed = 0;
    for path in &parked {
        let line = match mounted::command(path, "retry") {
            Ok(()) => "on the service".to_owned(),
            Err(errno) => {
                failed += 1;
                why_not(path, errno)
            }
        };
        say(&format!("{}: {line}\n", shown(path)))?;
    }
    if failed > 0 { bail!("{} could not be sent", files(failed)) } else { Ok(()) }
}

fn parked_below(mounted: &Mounted) -> anyhow::Result<Vec<PathBuf>> {
    let status = mounted.status()?;
    let parked = status.files.iter().filter(|file| file.state == FileState::Parked);
    Ok(parked.map(|file| mounted.path_of(file)).collect())
}

/// Why a command was not carried out.
pub(super) fn why_not(path: &Path, errno: Errno) -> String {
    let state = mounted::state_of(path);
    let parked = state == FileState::Parked.name();
    match errno {
        Errno::EINVAL if !parked => format!("is not parked: its state is `{state}`"),
        // The mount says so of a file that is open for writing; a service, of one that it works on.
        Errno::EBUSY => "busy: a program has it open for writing, or the service is at work on it".to_owned(),
        _ => match mounted::reason_of(path).filter(|_| parked) {
            Some(reason) => format!("still parked: {}: {}", mounted::words(errno), crate::error::printable(&reason)),
            None => mounted::words(errno),
        },
    }
}
