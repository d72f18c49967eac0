//! What can be typed: `uploadfs COMMAND`, one file per command. It turns arguments into values and errors into exit
//! codes; what the values mean is in `config`.
//!
//! **Exit codes.** 0: done. 1: it failed. 2: it cannot work as typed or configured, and trying again will not help;
//! a service manager should not restart it.

mod check;
mod demo;
mod discard;
mod export;
mod mount;
mod mounted;
mod portal;
mod retry;
mod status;
mod wait;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use self::mount::MountArgs;
use crate::config::{Environment, Refusal, Sources};
use crate::error::{Error, Kind, printable};

/// It failed.
const FAILURE: u8 = 1;
/// It cannot work as typed or configured.
const USAGE: u8 = 2;

/// Mounts a remote service as a directory and uploads on write: when `cp` returns 0, the file is on the service.
#[derive(Debug, Parser)]
#[command(name = "uploadfs", version, max_term_width = 100, after_help = REMOTES)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// What every help text ends with.
const REMOTES: &str = "\
A remote is a table in ~/.config/uploadfs/config.toml or /etc/uploadfs/config.toml:

  [wiki]
  service = \"mediawiki\"
  url = \"https://wiki.example.org/w/api.php\"
  user = \"Name@bot\"
  password_file = \"~/.config/uploadfs/wiki.password\"   # mode 0600

Every key can be set by a variable (UPLOADFS_URL, UPLOADFS_USER, ...), the secrets themselves by UPLOADFS_PASSWORD and \
UPLOADFS_TOKEN. The remote `memory` needs no configuration: uploadfs mount memory DIR

Exit codes: 0 done, 1 failed, 2 cannot work as typed or configured";

/// Options of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
struct GlobalArgs {
    /// Read remotes from this file only
    #[arg(long, value_name = "FILE", global = true, env = "UPLOADFS_CONFIG")]
    config: Option<PathBuf>,
    /// Log more: once for every request, twice for everything
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// Log less: once for problems only, twice for errors only
    #[arg(short, long, action = ArgAction::Count, global = true, conflicts_with = "verbose")]
    quiet: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mount a remote on a directory, until it is unmounted or gets SIGTERM or SIGINT
    Mount(MountArgs),
    /// Connect to a remote and tell account, rights and limits
    Check(check::CheckArgs),
    /// Show what is not on the service
    Status(status::StatusArgs),
    /// Wait until everything is on the service
    Wait(wait::WaitArgs),
    /// Send parked files again, as they are
    Retry(retry::RetryArgs),
    /// Throw away what a mount has of parked files
    Discard(discard::DiscardArgs),
    /// Copy a file out of a mount, also one that is parked
    Export(export::ExportArgs),
    /// Mount a server of our own, and watch files arrive: no account, no configuration
    Demo(demo::DemoArgs),
    /// Run a server that speaks the protocol of a service, for trials and tests
    Portal(portal::PortalArgs),
}

/// Runs what `arguments` say; the exit code of the process.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout and is a success; nothing can be done about a closed terminal.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    log(&cli.global, &cli.command);
    let sources = Sources::new(cli.global.config, Environment::of_process());
    let done = match cli.command {
        Command::Mount(arguments) => mount::run(arguments, &sources),
        Command::Check(arguments) => check::run(&arguments, &sources),
        Command::Status(arguments) => status::run(&arguments),
        Command::Wait(arguments) => wait::run(&arguments),
        Command::Retry(arguments) => retry::run(&arguments),
        Command::Discard(arguments) => discard::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Demo(arguments) => demo::run(arguments, &sources),
        Command::Portal(arguments) => portal::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("uploadfs: {}", one_line(&error));
            ExitCode::from(if cannot_work(&error) { USAGE } else { FAILURE })
        }
    }
}

/// Whether the same call will fail again. A wrong password is among it: a service manager that tries it again and again
/// gets the account locked.
fn cannot_work(error: &anyhow::Error) -> bool {
    let signed_out = error.downcast_ref::<Error>().is_some_and(|error| error.kind == Kind::SignedOut);
    error.is::<Refusal>() || signed_out
}

/// An error with its causes as one line, each of them escaped.
fn one_line(error: &anyhow::Error) -> String {
    let mut line: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = printable(&cause.to_string()).into_owned();
        // A message that already quotes its cause is not followed by it.
        if !line.last().is_some_and(|above| above.contains(&text)) {
            line.push(text);
        }
    }
    line.join(": ")
}

/// Log lines go to stderr, and only our own: the libraries below would log headers, which hold secrets.
fn log(global: &GlobalArgs, command: &Command) {
    let level = match (global.quiet, global.verbose) {
        // It tells what happens itself.
        (0, 0) if matches!(command, Command::Demo(_)) => LevelFilter::WARN,
        (0, 0) => LevelFilter::INFO,
        (0, 1) => LevelFilter::DEBUG,
        (0, _) => LevelFilter::TRACE,
        (1, _) => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    let ours = Targets::new().with_target("uploadfs", level);
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second call keeps the first subscriber, as tests in one process want it.
    let _ = tracing_subscriber::registry().with(stderr).with(ours).try_init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_takes_a_secret() {
        let command = Cli::command();
        let arguments = command.get_subcommands().chain([&command]).flat_map(clap::Command::get_arguments);
        for argument in arguments {
            let name = argument.get_id().as_str();
            assert!(!["password", "token", "secret"].iter().any(|word| name.contains(word)), "{name}");
        }
    }

    #[test]
    fn an_error_is_one_line() {
        let cause = std::io::Error::other("disk\nfull");
        let error = anyhow::Error::new(Error::new(Kind::Spool, "write", "it failed").source(cause)).context("outer");
        assert_eq!(one_line(&error), "outer: write: it failed: disk\\u{a}full");
        let quoting = Error::spool("write", std::io::Error::other("broken"));
        assert_eq!(one_line(&quoting.into()), "write: the local spool failed: broken");
    }
}
