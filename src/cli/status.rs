//! `uploadfs status [MOUNTPOINT]`: what is not on the service, as a table; one line for each file, and the sums. It
//! looks once.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::mounted::{Mounted, refusal, shown};
use crate::error::printable;
use crate::fs::status::{Reachable, Status};

/// What is typed after `status`.
#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    /// The mount point; every mount where none is given
    #[arg(value_name = "MOUNTPOINT")]
    dir: Option<PathBuf>,
    /// Print the mount's own text: one line of JSON for each mount
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &StatusArgs) -> anyhow::Result<()> {
    if let Some(dir) = &arguments.dir {
        return show(&Mounted::at(dir)?, arguments);
    }
    let dirs = Mounted::points();
    if dirs.is_empty() {
        return Err(refusal("nothing is mounted", "run: uploadfs mount REMOTE DIR").into());
    }
    let mut silent = 0;
    for dir in dirs {
        // One mount that does not answer says nothing about the others.
        let shown = Mounted::at(&dir).map_err(anyhow::Error::from).and_then(|mounted| show(&mounted, arguments));
        if let Err(error) = shown {
            eprintln!("uploadfs: {}", super::one_line(&error));
            silent += 1;
        }
    }
    if silent > 0 { bail!("{silent} mounts did not answer") } else { Ok(()) }
}

fn show(mounted: &Mounted, arguments: &StatusArgs) -> anyhow::Result<()> {
    let text = if arguments.json { mounted.text()? } else { page(&mounted.status()?, mounted.dir()) };
    say(&text)
}

/// Says it on stdout.
///
/// # Errors
/// When nobody takes it.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("stdout")
}

/// A mount for people: its heading, its files, its sums.
fn page(status: &Status, dir: &Path) -> String {
    let reachable = match status.state {
        Reachable::Online => "online".to_owned(),
        Reachable::Offline => {
            let since = status.since.as_deref().unwrap_or("an unknown time");
            format!("offline since {since}: {}", printable(status.error.as_deref().unwrap_or("no reason is known")))
        }
    };
    let heading = format!("{} ({}) on {}: {reachable}\n", printable(&status.remote), status.service, shown(dir));
    let totals = &status.totals;
    let sums = match totals.files {
        0 => "everything is on the service\n".to_owned(),
        _ => format!(
            "not on the service: {}, {}, {} of that are sent; {} parked\n",
            files(totals.files),
            bytes(totals.bytes),
            bytes(totals.sent),
            totals.parked
        ),
    };
    let room = |used, max| format!("{} of {}", bytes(used), bytes(max));
    let (memory, spool) = (&status.memory, &status.spool);
    let rooms = format!("memory {}, spool {}\n", room(memory.used, memory.max), room(spool.used, spool.max));
    [heading, table(status, dir), sums, rooms].concat()
}

/// The files as lines with columns, under a heading; nothing when there are none.
pub(super) fn table(status: &Status, dir: &Path) -> String {
    if status.files.is_empty() {
        return String::new();
    }
    let mut text = format!("{:<10}{:>11}{:>11}  FILE\n", "STATE", "SIZE", "SENT");
    for file in &status.files {
        let path = shown(&dir.join(file.path.trim_start_matches('/')));
        let reason = file.error.as_deref().map_or(String::new(), |error| format!(": {}", printable(error)));
        let (size, sent) = (bytes(file.bytes), bytes(file.sent));
        text.push_str(&format!("{:<10}{size:>11}{sent:>11}  {path}{reason}\n", file.state.name()));
    }
    text
}

/// A number of files in words.
pub(super) fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// A number of bytes as people read it: with one decimal, in the largest unit that leaves something before the point.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let Some(power) = bytes.checked_ilog2().map(|log| log as usize / 10).filter(|power| *power > 0) else {
        return format!("{bytes} B");
    };
    format!("{:.1} {}", bytes as f64 / f64::from(1 << 10u32).powi(power as i32), units[power - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: serde_json::Value) -> Status {
        serde_json::from_value(json).unwrap()
    }

    fn sample() -> Status {
        status(serde_json::json!({
            "version": 1, "remote": "wiki", "service": "memory", "state": "online", "since": null, "error": null,
            "files": [
                { "path": "/a b.pdf", "state": "parked", "bytes": 1_258_291, "sent": 0, "error": "upload: no right" },
                { "path": "/dir/b", "state": "uploading", "bytes": 10 << 20, "sent": 4 << 20, "error": null },
            ],
            "totals": { "files": 2, "bytes": 11_744_051, "sent": 4 << 20, "parked": 1 },
            "memory": { "used": 3 << 20, "max": 128 << 20 }, "spool": { "used": 0, "max": 64u64 << 30 },
        }))
    }

    #[test]
    fn a_page_has_a_line_for_each_file_and_the_sums() {
        let expected = "\
wiki (memory) on /mnt/wiki: online
STATE            SIZE       SENT  FILE
parked        1.2 MiB        0 B  /mnt/wiki/a b.pdf: upload: no right
uploading    10.0 MiB    4.0 MiB  /mnt/wiki/dir/b
not on the service: 2 files, 11.2 MiB, 4.0 MiB of that are sent; 1 parked
memory 3.0 MiB of 128.0 MiB, spool 0 B of 64.0 GiB
";
        assert_eq!(page(&sample(), Path::new("/mnt/wiki")), expected);
    }

    #[test]
    fn nothing_to_tell_is_told_and_an_outage_has_its_reason() {
        let mut status = sample();
        status.files.clear();
        status.totals = Default::default();
        status.state = Reachable::Offline;
        status.since = Some("2026-07-25T17:20:00Z".into());
        status.error = Some("stat: no\nroute".into());
        let expected = "\
wiki (memory) on /m: offline since 2026-07-25T17:20:00Z: stat: no\\u{a}route
everything is on the service
memory 3.0 MiB of 128.0 MiB, spool 0 B of 64.0 GiB
";
        assert_eq!(page(&status, Path::new("/m")), expected);
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        let mut status = sample();
        status.files[0].path = "/a\u{202e}\u{2028}b".into();
        let text = table(&status, Path::new("/m"));
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert!(text.contains("\\u{202e}"), "{text:?}");
    }

    #[test]
    fn bytes_are_short() {
        let cases = [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (31_744, "31.0 KiB"),
            (1 << 40, "1.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!((files(1), files(2)), ("1 file".to_owned(), "2 files".to_owned()));
    }
}
