//! `uploadfs wait MOUNTPOINT`: returns when everything is on the service, or when what is not will not go there by
//! itself. Scripts stand on its exit code.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use super::mounted::Mounted;
use super::status::{files, say, table};
use crate::fs::status::Status;

/// How often the mount is asked: soon enough for a person, seldom enough that a mount with a million names does not
/// notice.
const TICK: Duration = Duration::from_millis(200);

/// What is typed after `wait`.
#[derive(Args, Debug)]
pub(super) struct WaitArgs {
    /// The mount point
    #[arg(value_name = "MOUNTPOINT")]
    dir: PathBuf,
    /// Wait no longer than this; 0 looks once [default: no limit]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// What a status means to who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Everything is on the service.
    Done,
    /// Something is on its way, or a program will close it.
    Moving,
    /// What is left will not go by itself.
    Stuck,
}

fn look(status: &Status) -> Look {
    match () {
        () if status.files.is_empty() => Look::Done,
        () if status.files.iter().any(|file| file.state.moves()) => Look::Moving,
        () => Look::Stuck,
    }
}

pub(super) fn run(arguments: &WaitArgs) -> anyhow::Result<()> {
    let mounted = Mounted::at(&arguments.dir)?;
    let begun = Instant::now();
    let limit = arguments.timeout.map(Duration::from_secs);
    let mut stuck: Option<Status> = None;
    loop {
        let status = mounted.status()?;
        match look(&status) {
            Look::Done => return Ok(()),
            // A file may look so for a moment, between the end of its program and its upload: two looks decide.
            Look::Stuck if stuck.as_ref().is_some_and(|before| before.files == status.files) => {
                say(&table(&status, mounted.dir()))?;
                let help = match status.totals.parked {
                    0 => "the service takes no empty files",
                    _ => "`uploadfs retry` sends parked files again",
                };
                bail!("{} will not go to the service by waiting: {help}", files(status.totals.files));
            }
            Look::Stuck => stuck = Some(status.clone()),
            Look::Moving => stuck = None,
        }
        if limit.is_some_and(|limit| begun.elapsed() >= limit) {
            say(&table(&status, mounted.dir()))?;
            bail!("{} not on the service after {} s", are(status.totals.files), begun.elapsed().as_secs());
        }
        let left = limit.map_or(TICK, |limit| limit.saturating_sub(begun.elapsed()));
        std::thread::sleep(TICK.min(left));
    }
}

fn are(count: u64) -> String {
    format!("{} {}", files(count), if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(states: &[&str]) -> Status {
        let file = |state: &&str| serde_json::json!({ "path": "/f", "state": state, "bytes": 1, "sent": 0 });
        let room = serde_json::json!({ "used": 0, "max": 1 });
        serde_json::from_value(serde_json::json!({
            "version": 1, "remote": "r", "service": "memory", "state": "online", "since": null, "error": null,
            "files": states.iter().map(file).collect::<Vec<_>>(),
            "totals": { "files": states.len(), "bytes": 1, "sent": 0, "parked": 0 }, "memory": room, "spool": room,
        }))
        .unwrap()
    }

    #[test]
    fn whoever_waits_knows_when_it_is_in_vain() {
        assert_eq!(look(&with(&[])), Look::Done);
        for moving in ["open", "waiting", "uploading"] {
            assert_eq!(look(&with(&[moving])), Look::Moving, "{moving}");
            assert_eq!(look(&with(&["parked", moving])), Look::Moving, "{moving}");
        }
        assert_eq!(look(&with(&["parked", "local"])), Look::Stuck);
        assert_eq!((are(1), are(2)), ("1 file is".to_owned(), "2 files are".to_owned()));
    }
}
