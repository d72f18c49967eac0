//! `uploadfs check REMOTE`: signs in and prints what the service says about the account, so that a wrong password or
//! a missing right shows before anything is mounted. Without retries: the answer is about now.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::config::Sources;
use crate::open::open_service;

/// How long the service may take: a sign-in is three requests, on a slow wiki a few seconds each.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is typed after `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The name of the remote
    #[arg(value_name = "REMOTE")]
    remote: String,
}

pub(super) fn run(arguments: &CheckArgs, sources: &Sources) -> anyhow::Result<()> {
    let remote = sources.remote(&arguments.remote)?;
    let service = open_service(&remote)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let answer = runtime.block_on(async { tokio::time::timeout(DEADLINE, service.check()).await });
    let lines = answer.with_context(|| format!("{}: no answer within {DEADLINE:?}", remote.name))??;
    let mut stdout = std::io::stdout().lock();
    for line in lines {
        writeln!(stdout, "{line}").context("stdout")?;
    }
    Ok(())
}
