//! `uploadfs mount REMOTE DIR`: the options of a mount, and what they resolve to. Mounting itself is in `mount`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::units::{parse_close, parse_size, parse_switch, parse_time};
use crate::config::{MountChoices, MountOptions, Refusal, Remote, Sources};
use crate::mount::{self, check_mount_point};
use crate::open::open_service;
use crate::service::layer::stack;

/// How to read the options.
const UNITS: &str = "\
SIZE: a number of bytes, or with K, M, G, T (powers of 1024): 128M, 1GiB
TIME: a number with ms, s, m, h: 90s, 10m";

/// What is typed after `mount`.
#[derive(Args, Debug)]
#[command(after_help = UNITS)]
pub struct MountArgs {
    /// The name of the remote; `memory` is always there
    #[arg(value_name = "REMOTE")]
    remote: String,
    /// The directory to mount on
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Memory for buffered bytes, at least 16 chunks [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, env = "UPLOADFS_MOUNT_MEMORY")]
    memory: Option<u64>,
    /// Size of one chunk, a power of two from 64K to 16M [default: 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, env = "UPLOADFS_MOUNT_CHUNK")]
    chunk: Option<u64>,
    /// Directory for what memory cannot hold and for what must survive, for one mount at a time [default:
    /// $STATE_DIRECTORY, or ~/.local/state/uploadfs/REMOTE; /var/lib/uploadfs/REMOTE for root]
    #[arg(long, value_name = "DIR", env = "UPLOADFS_MOUNT_SPOOL")]
    spool: Option<PathBuf>,
    /// The most bytes in the spool [default: 64G]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, env = "UPLOADFS_MOUNT_SPOOL_MAX")]
    spool_max: Option<u64>,
    /// How long a listing is believed; 0 asks every time [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "UPLOADFS_MOUNT_DIR_CACHE")]
    dir_cache: Option<Duration>,
    /// How long close(2) may wait for the service [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "UPLOADFS_MOUNT_CLOSE_DEADLINE")]
    close_deadline: Option<Duration>,
    /// How long every other operation may wait for the service [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "UPLOADFS_MOUNT_METADATA_DEADLINE")]
    metadata_deadline: Option<Duration>,
    /// When close(2) answers: when the file is on the service (remote), or when it is safe on the local disk, and the
    /// upload goes on behind it (local) [default: remote]
    #[arg(long, value_name = "remote|local", value_parser = parse_close, env = "UPLOADFS_MOUNT_CLOSE")]
    close: Option<bool>,
    /// The most uploads at a time that no program waits for [default: 8]
    #[arg(long, value_name = "NUMBER", env = "UPLOADFS_MOUNT_UPLOADS")]
    uploads: Option<usize>,
    /// How long open files and uploads may go on after the unmount; what is left then goes on with the next mount
    /// [default: 90s]
    #[arg(long, value_name = "TIME", value_parser = parse_time, env = "UPLOADFS_MOUNT_DRAIN")]
    drain: Option<Duration>,
    /// Begin uploads early at services that must know the size first, where the writer announces it (ftruncate,
    /// fallocate) or copies a file [default: on]
    #[arg(long, value_name = "on|off", value_parser = parse_switch, env = "UPLOADFS_MOUNT_SIZE_PROMISE")]
    size_promise: Option<bool>,
    /// Let other users use the mount, by the usual permissions
    #[arg(long)]
    allow_other: bool,
}

impl MountArgs {
    /// What is to be mounted, how, and where.
    ///
    /// # Errors
    /// Everything that can be refused before mounting is refused here.
    pub fn resolve(self, sources: &Sources) -> Result<(Remote, MountOptions, PathBuf), Refusal> {
        let dir = check_mount_point(&self.dir)?;
        let remote = sources.remote(&self.remote)?;
        let choices = MountChoices {
            memory_bytes: self.memory,
            chunk_bytes: self.chunk,
            spool: self.spool,
            spool_bytes_max: self.spool_max,
            dir_cache: self.dir_cache,
            close_deadline: self.close_deadline,
            metadata_deadline: self.metadata_deadline,
            drain: self.drain,
            close_locally: self.close,
            uploads: self.uploads,
            size_promise: self.size_promise,
            allow_other: self.allow_other,
        };
        let options = MountOptions::resolve(&remote.name, &dir, choices, &sources.environment)?;
        Ok((remote, options, dir))
    }
}

pub(super) fn run(arguments: MountArgs, sources: &Sources) -> anyhow::Result<()> {
    let (remote, options, dir) = arguments.resolve(sources)?;
    let stack = stack(open_service(&remote)?);
    mount::run(&remote.name, stack, &dir, &options, mount::announce)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::config::units::show_size;
    use crate::config::{Environment, defaults};

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        mount: MountArgs,
    }

    fn resolve(arguments: &[&str]) -> Result<(Remote, MountOptions, PathBuf), String> {
        let typed = Typed::try_parse_from([&["mount"], arguments].concat()).map_err(|error| error.to_string())?;
        let sources = Sources::new(None, Environment::of([("HOME", "/nonexistent")]));
        typed.mount.resolve(&sources).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_is_typed_is_what_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let spool = ["--spool", "/var/spool/x", "--spool-max", "2G"];
        let times = ["--dir-cache", "0", "--close-deadline", "2m", "--metadata-deadline", "9s", "--drain", "500ms"];
        let sizes = ["memory", path, "--memory", "64M", "--chunk", "2MiB", "--size-promise", "off", "--allow-other"];
        let ways = ["--close", "local", "--uploads", "3"];
        let (remote, options, at) = resolve(&[&sizes[..], &spool, &times, &ways].concat()).unwrap();
        assert_eq!((remote.name.as_str(), at), ("memory", dir.path().canonicalize().unwrap()));
        let expected = MountOptions {
            memory_bytes: 64 << 20,
            chunk_bytes: 2 << 20,
            spool: "/var/spool/x".into(),
            spool_bytes_max: 2 << 30,
            dir_cache: Duration::ZERO,
            close_deadline: Duration::from_secs(120),
            metadata_deadline: Duration::from_secs(9),
            drain: Duration::from_millis(500),
            close_locally: true,
            uploads: 3,
            size_promise: false,
            allow_other: true,
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn where_nothing_can_be_mounted_is_said_with_a_way_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = resolve(&["memory", file.path().to_str().unwrap()]).unwrap_err();
        assert!(refused.contains("is not a directory"), "{refused}");
        let refused = resolve(&["memory", "/no/such/dir"]).unwrap_err();
        assert!(refused.contains("mkdir -p /no/such/dir"), "{refused}");
    }

    #[test]
    fn the_defaults_in_the_help_are_the_defaults() {
        let help = Typed::command().render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        let sizes = [defaults::MEMORY_BYTES, defaults::CHUNK_BYTES, defaults::SPOOL_BYTES_MAX].map(show_size);
        let times = [
            ("5s", defaults::DIR_CACHE),
            ("10m", defaults::CLOSE_DEADLINE),
            ("30s", defaults::METADATA_DEADLINE),
            ("90s", defaults::DRAIN),
        ];
        for size in sizes {
            assert!(help.contains(&format!("[default: {size}]")), "{size}");
        }
        for (text, time) in times {
            assert_eq!(parse_time(text), Ok(time));
            assert!(help.contains(&format!("[default: {text}]")), "{text}");
        }
    }

    #[test]
    fn a_size_that_is_none_is_refused() {
        for wrong in [
            ["--memory", "lots"],
            ["--drain", "90"],
            ["--chunk", "1MB"],
            ["--size-promise", "maybe"],
            ["--close", "soon"],
        ] {
            let refused = resolve(&[&["memory", "/tmp"], &wrong[..]].concat()).unwrap_err();
            assert!(refused.contains(wrong[0]) && refused.contains("is not a"), "{refused}");
        }
    }
}
