//! How a remote is mounted: buffers, spool, deadlines. Chosen on the command line or by default, checked against each
//! other here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::Environment;
use super::refusal::{Place, Refusal};
use super::units::show_size;

/// What holds unless something else is chosen.
pub mod defaults {
    use std::time::Duration;

    /// Memory for buffered bytes. Four parts of 16 MiB under way, as much again being written, and reads.
    pub const MEMORY_BYTES: u64 = 128 << 20;
    /// One chunk: the largest write request of the kernel.
    pub const CHUNK_BYTES: u64 = 1 << 20;
    /// The most bytes in the spool: the largest file a service takes in many parts, with room for others.
    pub const SPOOL_BYTES_MAX: u64 = 64 << 30;
    /// How long a listing is believed: short enough for two people who work on one place.
    pub const DIR_CACHE: Duration = Duration::from_secs(5);
    /// How long `close` may wait: services assemble a file of some GiB in minutes.
    pub const CLOSE_DEADLINE: Duration = Duration::from_secs(600);
    /// How long any other operation may wait for the service.
    pub const METADATA_DEADLINE: Duration = Duration::from_secs(30);
    /// How long uploads may go on at the end: the time systemd gives a service before it kills it.
    pub const DRAIN: Duration = Duration::from_secs(90);
    /// Uploads at a time that nobody waits for: enough to hide the round trips of small files, few enough for any service.
    pub const UPLOADS: usize = 8;
    /// Whether sizes are promised: it saves the time of an upload, and a wrong promise costs a part or a few.
    pub const SIZE_PROMISE: bool = true;
}

/// The least a chunk may have: below, bookkeeping costs more than copying.
const CHUNK_BYTES_MIN: u64 = 64 << 10;
/// The most a chunk may have: more would make small files expensive.
const CHUNK_BYTES_MAX: u64 = 16 << 20;
/// The fewest chunks in memory: one part being filled, one under way, and reads beside them.
const CHUNKS_MIN: u64 = 16;

/// What was chosen, and `None` where nothing was.
#[derive(Clone, Debug, Default)]
pub struct MountChoices {
    /// See [`MountOptions::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// See [`MountOptions::chunk_bytes`].
    pub chunk_bytes: Option<u64>,
    /// See [`MountOptions::spool`].
    pub spool: Option<PathBuf>,
    /// See [`MountOptions::spool_bytes_max`].
    pub spool_bytes_max: Option<u64>,
    /// See [`MountOptions::dir_cache`].
    pub dir_cache: Option<Duration>,
    /// See [`MountOptions::close_deadline`].
    pub close_deadline: Option<Duration>,
    /// See [`MountOptions::metadata_deadline`].
    pub metadata_deadline: Option<Duration>,
    /// See [`MountOptions::drain`].
    pub drain: Option<Duration>,
    /// See [`MountOptions::close_locally`].
    pub close_locally: Option<bool>,
    /// See [`MountOptions::uploads`].
    pub uploads: Option<usize>,
    /// See [`MountOptions::size_promise`].
    pub size_promise: Option<bool>,
    /// See [`MountOptions::allow_other`].
    pub allow_other: bool,
}

/// How a remote is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountOptions {
    /// The most bytes buffered in memory.
    pub memory_bytes: u64,
    /// The size of one chunk, in bytes.
    pub chunk_bytes: u64,
    /// The directory for what memory cannot hold and for what must survive.
    pub spool: PathBuf,
    /// The most bytes in the spool.
    pub spool_bytes_max: u64,
    /// How long a listing is believed.
    pub dir_cache: Duration,
    /// How long `close` may wait for the service.
    pub close_deadline: Duration,
    /// How long every other operation may wait for the service.
    pub metadata_deadline: Duration,
    /// How long uploads may go on after the mount has ended.
    pub drain: Duration,
    /// Whether `close` is answered when the file is safe on the local disk, and the upload goes on behind it.
    pub close_locally: bool,
    /// The most uploads at a time that no program waits for.
    pub uploads: usize,
    /// Whether a service that must know the size of a file first is told the one that its writer announces, or copies.
    pub size_promise: bool,
    /// Whether other users may use the mount.
    pub allow_other: bool,
}

impl MountOptions {
    /// The options for the remote `name` at `mount_point`: what was chosen, and defaults for the rest.
    ///
    /// # Errors
    /// When the choices do not fit together.
    pub fn resolve(
        name: &str,
        mount_point: &Path,
        choices: MountChoices,
        environment: &Environment,
    ) -> Result<Self, Refusal> {
        let spool = match choices.spool {
            Some(spool) => spool,
            None => default_spool(name, environment)?,
        };
        let options = MountOptions {
            memory_bytes: choices.memory_bytes.unwrap_or(defaults::MEMORY_BYTES),
            chunk_bytes: choices.chunk_bytes.unwrap_or(defaults::CHUNK_BYTES),
            spool,
            spool_bytes_max: choices.spool_bytes_max.unwrap_or(defaults::SPOOL_BYTES_MAX),
            dir_cache: choices.dir_cache.unwrap_or(defaults::DIR_CACHE),
            close_deadline: choices.close_deadline.unwrap_or(defaults::CLOSE_DEADLINE),
            metadata_deadline: choices.metadata_deadline.unwrap_or(defaults::METADATA_DEADLINE),
            drain: choices.drain.unwrap_or(defaults::DRAIN),
            close_locally: choices.close_locally.unwrap_or(false),
            uploads: choices.uploads.unwrap_or(defaults::UPLOADS),
            size_promise: choices.size_promise.unwrap_or(defaults::SIZE_PROMISE),
            allow_other: choices.allow_other,
        };
        options.check(mount_point)?;
        Ok(options)
    }

    fn check(&self, mount_point: &Path) -> Result<(), Refusal> {
        let refuse = |what: String, instead: String| Err(Refusal::new(Place::Arguments, what, instead));
        let chunk = self.chunk_bytes;
        if !chunk.is_power_of_two() || !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk) {
            let (min, max) = (show_size(CHUNK_BYTES_MIN), show_size(CHUNK_BYTES_MAX));
            let what = format!("a chunk cannot have {}", show_size(chunk));
            return refuse(what, format!("give --chunk a power of two from {min} to {max}"));
        }
        let least = CHUNKS_MIN * chunk;
        if self.memory_bytes < least {
            let what = format!("{} of memory hold fewer than {CHUNKS_MIN} chunks", show_size(self.memory_bytes));
            return refuse(what, format!("give --memory at least {}", show_size(least)));
        }
        if self.close_deadline.is_zero() || self.metadata_deadline.is_zero() {
            let what = "a deadline of 0 fails everything".to_owned();
            return refuse(what, "give --close-deadline and --metadata-deadline some time".to_owned());
        }
        if self.uploads == 0 {
            return refuse(
                "with no upload at a time nothing is uploaded".to_owned(),
                "give --uploads 1 or more".to_owned(),
            );
        }
        if self.close_locally && self.spool_bytes_max == 0 {
            let what = "--close=local keeps files in the spool, and --spool-max 0 lets none in".to_owned();
            return refuse(what, "give --spool-max some space".to_owned());
        }
        if absolute(&self.spool).starts_with(absolute(mount_point)) {
            let what = format!("the spool {} lies inside the mount", self.spool.display());
            return refuse(what, "name another directory with --spool".to_owned());
        }
        Ok(())
    }
}

/// `path` without links, as far as it exists.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for existing in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (existing.canonicalize(), path.strip_prefix(existing)) {
            return real.join(rest);
        }
    }
    path
}

fn default_spool(name: &str, environment: &Environment) -> Result<PathBuf, Refusal> {
    // systemd gives a list where a unit has several directories; the first one is the unit's own.
    if let Some(states) = environment.text("STATE_DIRECTORY")?
        && let Some(state) = states.split(':').next().filter(|state| state.starts_with('/'))
    {
        return Ok(state.into());
    }
    // Not a cache: it may hold the only copy of a file.
    let state = match environment.path("XDG_STATE_HOME") {
        Some(state) => Some(state),
        None if environment.root => Some("/var/lib".into()),
        None => environment.path("HOME").map(|home| home.join(".local/state")),
    };
    state.map(|state| state.join("uploadfs").join(name)).ok_or_else(|| {
        let what = "there is no home directory to keep the spool in";
        Refusal::new(Place::Variable("HOME"), what, "set it, or name a directory with --spool")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(choices: MountChoices) -> Result<MountOptions, String> {
        let environment = Environment::of([("HOME", "/home/me")]);
        MountOptions::resolve("w", Path::new("/mnt/w"), choices, &environment).map_err(|refusal| refusal.to_string())
    }

    fn spool(variables: &[(&str, &str)], root: bool) -> String {
        let mut environment = Environment::of(variables.iter().copied());
        environment.root = root;
        default_spool("w", &environment).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn defaults_fit_together() {
        let options = resolve(MountChoices::default()).unwrap();
        assert_eq!((options.memory_bytes, options.chunk_bytes), (128 << 20, 1 << 20));
        assert_eq!(options.spool, Path::new("/home/me/.local/state/uploadfs/w"));
        assert!(!options.allow_other && options.size_promise);
    }

    #[test]
    fn the_spool_is_where_the_surroundings_say() {
        let home = ("HOME", "/home/me");
        let state = ("STATE_DIRECTORY", "/var/lib/uploadfs/w:/var/lib/other");
        assert_eq!(spool(&[home, state, ("XDG_STATE_HOME", "/c")], true), "/var/lib/uploadfs/w");
        assert_eq!(spool(&[home, ("XDG_STATE_HOME", "/c")], true), "/c/uploadfs/w");
        assert_eq!(spool(&[home], true), "/var/lib/uploadfs/w");
        assert_eq!(spool(&[home], false), "/home/me/.local/state/uploadfs/w");
        assert!(default_spool("w", &Environment::of([])).unwrap_err().to_string().contains("--spool"));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        let none = MountChoices::default;
        for (choices, about) in [
            (
                MountChoices { chunk_bytes: Some(3 << 20), ..none() },
                "a chunk cannot have 3M; give --chunk a power of two",
            ),
            (MountChoices { chunk_bytes: Some(4096), ..none() }, "from 64K to 16M"),
            (MountChoices { memory_bytes: Some(15 << 20), ..none() }, "give --memory at least 16M"),
            (MountChoices { close_deadline: Some(Duration::ZERO), ..none() }, "a deadline of 0"),
            (MountChoices { metadata_deadline: Some(Duration::ZERO), ..none() }, "a deadline of 0"),
            (MountChoices { uploads: Some(0), ..none() }, "give --uploads 1"),
            (
                MountChoices { close_locally: Some(true), spool_bytes_max: Some(0), ..none() },
                "give --spool-max some space",
            ),
            (MountChoices { spool: Some("/mnt/w/spool".into()), ..none() }, "lies inside the mount"),
            (MountChoices { spool: Some("/mnt/w".into()), ..none() }, "lies inside the mount"),
        ] {
            let text = resolve(choices).unwrap_err();
            assert!(text.contains(about), "{text}");
        }
        resolve(MountChoices { spool: Some("/mnt/wiki".into()), dir_cache: Some(Duration::ZERO), ..none() }).unwrap();
    }

    #[test]
    fn a_link_into_the_mount_is_seen_through() {
        let folder = tempfile::tempdir().unwrap();
        let (mount, link) = (folder.path().join("mount"), folder.path().join("link"));
        std::fs::create_dir(&mount).unwrap();
        std::os::unix::fs::symlink(&mount, &link).unwrap();
        let choices = MountChoices { spool: Some(link.join("spool")), ..MountChoices::default() };
        let environment = Environment::of([]);
        MountOptions::resolve("w", &mount, choices, &environment).unwrap_err();
    }
}
