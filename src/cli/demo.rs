//! `uploadfs demo DIR`: a portal and a mount of it in one process, so that somebody without an account can watch a file
//! being uploaded. What arrives is told line by line on stdout, and shown on the portal's page.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use anyhow::Context;
use clap::Args;

use super::portal::Spoken;
use crate::config::{Environment, MountChoices, MountOptions, Place, Refusal, Sources};
use crate::error::printable;
use crate::mount::{self, check_mount_point};
use crate::open::open_service;
use crate::portal::{Arrival, Portal, PortalConfig};
use crate::service::layer::stack;

/// The name of the remote, for the spool's directory and the table of mounts.
const NAME: &str = "demo";
/// As many characters of a session's id as tell sessions apart.
const SESSION_SHOWN: usize = 8;

/// What is typed after `demo`.
#[derive(Args, Debug)]
pub(super) struct DemoArgs {
    /// The directory to mount on
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// What the portal speaks, as for `uploadfs portal`
    #[arg(long, value_name = "SERVICE", default_value = "onlyoffice")]
    service: Spoken,
    /// The directory to keep files in, for one portal at a time [default: ~/.local/share/uploadfs/SERVICE]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(super) fn run(arguments: DemoArgs, sources: &Sources) -> anyhow::Result<()> {
    let dir = check_mount_point(&arguments.dir)?;
    let store = match arguments.store {
        Some(store) => store,
        None => default_store(&arguments.service, &sources.environment)?,
    };
    let options = MountOptions::resolve(NAME, &dir, MountChoices::default(), &sources.environment)?;
    let config = PortalConfig::new(&store, arguments.service.config());
    let portal = Portal::start(config).with_context(|| format!("no portal in {}", store.display()))?;
    let remote = arguments.service.remote(NAME, portal.url().parse()?);
    let stack = stack(open_service(&remote)?);
    let arrivals = portal.arrivals();
    let teller = std::thread::Builder::new().name("demo".into()).spawn(move || tell(&arrivals));
    let teller = teller.context("cannot start a thread")?;

    let result = mount::run(NAME, stack, &dir, &options, |dir| say(&welcome(&arguments.service, dir, &portal)));
    portal.stop();
    // It ends with the portal; a panic in it has been reported.
    let _ = teller.join();
    if result.is_ok() {
        say(&format!("unmounted; the files are kept in {}, and the next demo shows them again\n", store.display()));
    }
    result
}

/// Where demos keep files: what a person did with it yesterday is still there.
fn default_store(service: &Spoken, environment: &Environment) -> Result<PathBuf, Refusal> {
    let data = environment.path("XDG_DATA_HOME");
    let data = data.or_else(|| environment.path("HOME").map(|home| home.join(".local/share")));
    let data = data.ok_or_else(|| {
        Refusal::new(Place::Arguments, "there is no home directory to keep files in", "name one with --store DIR")
    })?;
    Ok(data.join("uploadfs").join(service.file_name()))
}

/// What to do first.
fn welcome(service: &Spoken, dir: &Path, portal: &Portal) -> String {
    let (dir, url) = (dir.display(), portal.url());
    format!(
        "{service}, mounted on {dir}. Try in another terminal:\n\
         \n\
         \x20   cp report.pdf {dir}/          when cp returns, the file is on the portal\n\
         \x20   cp -r folder {dir}/           folders, too\n\
         \x20   seq 9999999 > {dir}/numbers   a size that nobody knows before the end\n\
         \n\
         What arrives is told here, and shown on {url}/.portal/\n\
         Ctrl-C unmounts.\n"
    )
}

/// Tells what arrives, until the portal ends.
fn tell(arrivals: &Receiver<Arrival>) {
    for arrival in arrivals {
        say(&line(&arrival));
    }
}

/// One arrival as a line.
fn line(arrival: &Arrival) -> String {
    let chunks = match arrival.chunks {
        1 => "1 chunk".to_owned(),
        many => format!("{many} chunks"),
    };
    let version = match arrival.version {
        1 => String::new(),
        version => format!(", version {version}"),
    };
    let session: String = arrival.session.chars().take(SESSION_SHOWN).collect();
    format!(
        "arrived: {}, {} in {chunks}, {:.1} s, session {session}{version}\n",
        printable(&arrival.path),
        arrival.size(),
        arrival.took.as_secs_f64(),
    )
}

/// Says it; who closed the terminal does not want to hear it.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_arrival_is_a_line() {
        let arrival = Arrival {
            path: "/My documents/a\nb.bin".into(),
            bytes: 35_651_584,
            version: 1,
            session: "0af4bc0d9a9d450ca72bf14d9ac55c89".into(),
            chunks: 4,
            took: Duration::from_millis(1250),
        };
        let expected = "arrived: /My documents/a\\u{a}b.bin, 34.0 MiB in 4 chunks, 1.2 s, session 0af4bc0d\n";
        assert_eq!(line(&arrival), expected);
        let second = line(&Arrival { version: 2, chunks: 1, bytes: 3, ..arrival });
        assert!(second.contains("3 bytes in 1 chunk, ") && second.ends_with(", version 2\n"), "{second}");
    }

    #[test]
    fn files_are_kept_at_home() {
        let service: Spoken = "onlyoffice-g0".parse().unwrap();
        let store = |variables: &[(&str, &str)]| default_store(&service, &Environment::of(variables.iter().copied()));
        let (data, home) = (("XDG_DATA_HOME", "/data"), ("HOME", "/home/me"));
        assert_eq!(store(&[data, home]).unwrap(), Path::new("/data/uploadfs").join(service.file_name()));
        assert!(store(&[home]).unwrap().starts_with("/home/me/.local/share/uploadfs"));
        assert!(store(&[]).unwrap_err().to_string().contains("--store"));
    }
}
