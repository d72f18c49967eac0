//! The composition root and the life of the process: build the stack, mount, wait, drain.
//!
//! **Start.** Everything that can be refused is refused before mounting: the device, the mount point, the spool, the
//! account. **End.** On SIGINT or SIGTERM, or when somebody unmounts: new opens become impossible at once (the mount is
//! detached), programs that still have files open may close them, commits under way go on, all of it within `drain`.
//! What is not with the service then is left in the spool and named, one line each. A second signal ends at once.

mod ending;

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select, unbounded};
use fuser::{Config, MountOption, Session, SessionACL};
use futures_util::{StreamExt, stream};
use nix::errno::Errno;
use nix::mount::MntFlags;
use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use self::ending::{drain, leave, tell_manager, wait_for_programs};
use crate::cache::{Cache, CacheConfig, Usage};
use crate::config::{MountOptions, Place, Refusal};
use crate::file::process::{Device, fuse_is_mounted_on};
use crate::file::{Close, Files, FilesConfig};
use crate::fs::{Fs, FsConfig};
use crate::service::layer::{Reach, Stack};
use crate::tree::{Defaults, Tree};
use crate::upload::Uploads;

/// The device that FUSE is spoken through.
const DEVICE: &str = "/dev/fuse";

/// Threads that read requests from the kernel. None of them ever waits, so one will do. With two, the kernel wakes them in
/// turns, which costs a single writer a sixth of its speed at 4 KiB; only several writers in small steps gain by it.
const FUSE_THREADS: usize = 1;

/// Files of an earlier process that are looked at together.
const GOING_ON: usize = 32;

/// Threads of the runtime, for requests to the service and hashing.
const NETWORK_THREADS: usize = 2;

/// The runtime that a mount lives on; also for commands that only talk to the service.
///
/// # Errors
/// When the threads cannot be made.
pub fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .thread_name("network")
        .enable_all()
        .build()
}

/// Mounts the service of `stack` on `dir` and serves it until it is unmounted or the process is told to end. `announce`
/// tells that it is mounted to whoever started it.
///
/// # Errors
/// What keeps it from being mounted, in words for a person; or that files are left that the service does not have.
pub fn run(
    name: &str,
    stack: Stack,
    dir: &Path,
    options: &MountOptions,
    announce: impl FnOnce(&Path),
) -> anyhow::Result<()> {
    let (mount, signals) = Mount::begin(name, stack, dir, options, signals)?;
    announce(&mount.dir);
    tell_manager(&[NotifyState::Ready, NotifyState::Status("mounted")]);
    select! {
        recv(signals) -> _ => tracing::info!("told to end: no new files; waiting for those that are open"),
        recv(mount.ended) -> _ => {}
    }
    tell_manager(&[NotifyState::Stopping, NotifyState::Status("finishing uploads")]);
    mount.end(options.drain, &signals)
}

/// A live mount. It ends by [`Mount::end`]; dropped without, it stays until the process is gone.
pub struct Mount {
    runtime: Runtime,
    dir: PathBuf,
    device: Option<Device>,
    files: Arc<Files>,
    uploads: Arc<Uploads>,
    tree: Arc<Tree>,
    /// Told when the kernel has let go of the mount.
    ended: Receiver<()>,
}

impl Mount {
    /// Mounts the service of `stack` on `dir`; the mount is live when this returns.
    ///
    /// # Errors
    /// What keeps it from being mounted, in words for a person.
    pub fn start(name: &str, stack: Stack, dir: &Path, options: &MountOptions) -> anyhow::Result<Mount> {
        Mount::begin(name, stack, dir, options, |_| Ok(())).map(|(mount, ())| mount)
    }

    /// Mounts, and calls `arm` at the last moment before: from the first moment of a mount on, a signal must end it and not
    /// leave it behind; before that, it ends the process as ever.
    fn begin<T>(
        name: &str,
        stack: Stack,
        dir: &Path,
        options: &MountOptions,
        arm: impl FnOnce(&Runtime) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Mount, T)> {
        let dir = check_mount_point(dir)?;
        check_device()?;
        let Stack { service, reach } = stack;
        let runtime = runtime().context("cannot start the network threads")?;
        for line in runtime.block_on(service.check())? {
            tracing::info!("{line}");
        }
        let cache = Cache::open(CacheConfig {
            memory_bytes: options.memory_bytes,
            chunk_bytes: options.chunk_bytes,
            spool_dir: options.spool.clone(),
            spool_bytes_max: options.spool_bytes_max,
        })?;
        let kind = service.kind();
        let uploads = Uploads::new(service, runtime.handle().clone(), options.uploads);
        let about_files = FilesConfig {
            close: if options.close_locally { Close::Local } else { Close::Remote },
            close_deadline: options.close_deadline,
            size_promise: options.size_promise,
        };
        let left = cache.spool().recover(name)?;
        let files = Files::new(uploads.clone(), cache, about_files);
        let tree = Tree::new(files.clone(), defaults(), options.dir_cache, reach.clone());
        // Tasks may be begun from here on.
        let inside = runtime.enter();
        let recovered = tree.recover(left);
        drop(inside);

        let (ended_sender, ended) = unbounded();
        let about =
            FsConfig { remote: name.to_owned(), reach: reach.clone(), metadata_deadline: options.metadata_deadline };
        let (front, coherence) = Fs::new(tree.clone(), files.clone(), about, ended_sender);
        let armed = arm(&runtime)?;
        let session = Session::new(front, &dir, &fuse_config(name, options)).map_err(|error| explain(&dir, error))?;
        let device = Device::mounted_on(&dir);
        if let Some(device) = device {
            files.mounted(device);
        }
        coherence.start(session.notifier()).context("cannot start a thread")?;
        let background = session.spawn().context("cannot start the FUSE threads")?;
        // Dropped, it would unmount whatever is on `dir` by then: after somebody else's `umount` that is the file
        // system beneath. The mount is ended by `detach`, which looks first.
        std::mem::forget(background);
        tracing::info!(remote = name, service = kind, dir = %dir.display(), "mounted");
        if !recovered.is_empty() {
            tracing::info!(files = recovered.len(), "found in the spool; going on with them");
        }
        // Some at a time: each may have a question to the service, and there may be a hundred thousand.
        let all = stream::iter(recovered).for_each_concurrent(GOING_ON, async |file| file.go_on().await);
        uploads.spawn(all);
        tree.prepare();
        uploads.spawn_behind(wake_when_regained(reach, uploads.clone()));
        Ok((Mount { runtime, dir, device, files, uploads, tree, ended }, armed))
    }

    /// What its buffers take.
    pub fn usage(&self) -> Usage {
        self.files.cache().usage()
    }

    /// How often a writing program was looked at for the size of what it copies.
    pub fn looks(&self) -> u64 {
        self.files.looks()
    }

    /// Ends the mount: no new files; those that are open may be closed, and commits under way go on, for at most
    /// `limit`, or until `hurry` tells.
    ///
    /// # Errors
    /// When files are left that the service does not have.
    pub fn end(self, limit: Duration, hurry: &Receiver<()>) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        // Unmounted by somebody else, who may have mounted something of their own there since.
        let gone = self.ended.try_recv() != Err(TryRecvError::Empty);
        if !gone {
            detach(&self.dir, self.device)?;
        }
        let released = gone || wait_for_programs(&self, hurry, deadline);
        self.uploads.end();
        if released {
            drain(&self, hurry, deadline);
        }
        self.uploads.stop();
        // Also when all is quiet: what was parked or refused is with nobody but this mount.
        let result = leave(&self.runtime, &self.tree);
        // What still waits for the network waits in vain.
        self.runtime.shutdown_background();
        tracing::info!("unmounted");
        result
    }
}

/// Whatever notices that the service is back, uploads that wait for it go on at once.
async fn wake_when_regained(reach: Arc<Reach>, uploads: Arc<Uploads>) {
    loop {
        reach.lost().await;
        reach.regained().await;
        uploads.wake();
    }
}

/// The options that every mount has: nothing on it runs with other rights, and the kernel checks permission bits.
fn fuse_config(name: &str, options: &MountOptions) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(name.replace(',', "_")),
        MountOption::Subtype("uploadfs".into()),
        MountOption::DefaultPermissions,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoExec,
    ];
    config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
    config.n_threads = Some(FUSE_THREADS);
    config.clone_fd = true;
    config
}

fn defaults() -> Defaults {
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    Defaults { uid, gid, file_mode: 0o644, directory_mode: 0o755 }
}

fn check_device() -> anyhow::Result<()> {
    let metadata = fs::metadata(DEVICE).with_context(|| {
        format!(
            "{DEVICE} is missing: load the kernel module with `modprobe fuse`, or, in a container, pass the device in"
        )
    })?;
    if !metadata.file_type().is_char_device() {
        bail!("{DEVICE} is not a device");
    }
    match fs::OpenOptions::new().read(true).write(true).open(DEVICE) {
        Ok(_) => Ok(()),
        // An ordinary user may mount through fusermount3 although the device itself is closed to them.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{DEVICE} cannot be opened")),
    }
}

/// The mount point, absolute; refused when mounting there would hide something or cannot work.
///
/// # Errors
/// Says what is wrong with it and what to do.
pub fn check_mount_point(dir: &Path) -> Result<PathBuf, Refusal> {
    let shown = dir.display();
    let refuse = |what: String, instead: String| Err(Refusal::new(Place::Arguments, what, instead));
    let is_dead = |error: &io::Error| error.raw_os_error() == Some(libc::ENOTCONN);
    let dead = || {
        refuse(
            format!("{shown} is a dead mount: the process behind it has gone"),
            format!("run: fusermount3 -uz {shown}"),
        )
    };
    let real = match dir.canonicalize().and_then(|real| Ok((fs::metadata(&real)?, real))) {
        Ok((about, real)) if about.is_dir() => real,
        Ok(_) => return refuse(format!("{shown} is not a directory"), "mount on a directory".into()),
        Err(error) if is_dead(&error) => return dead(),
        Err(error) => {
            return refuse(format!("{shown} cannot be mounted on: {error}"), format!("run: mkdir -p {shown}"));
        }
    };
    // Asked by opening: the kernel still knows the attributes of a mount that died a moment ago.
    match fs::read_dir(&real).map(|mut entries| entries.next().is_some()) {
        Err(error) if is_dead(&error) => dead(),
        Err(error) => refuse(format!("{shown} cannot be read: {error}"), "mount on a directory of your own".into()),
        Ok(_) if fuse_is_mounted_on(&real) => {
            refuse(format!("something is mounted on {shown} already"), format!("run: fusermount3 -u {shown}"))
        }
        Ok(true) => refuse(
            format!("{shown} is not empty, and mounting would hide what is in it"),
            "mount on an empty directory".into(),
        ),
        Ok(false) => Ok(real),
    }
}

/// Why a mount failed, and what to do.
fn explain(dir: &Path, error: io::Error) -> anyhow::Error {
    let shown = dir.display();
    let advice = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "mounting needs root, or the program fusermount3 (package fuse3) and write permission on the mount point"
        }
        Some(libc::EBUSY) => "the mount point is in use",
        _ if error.kind() == io::ErrorKind::PermissionDenied => {
            "`--allow-other` needs the line `user_allow_other` in /etc/fuse.conf"
        }
        _ if error.kind() == io::ErrorKind::NotFound => "the program fusermount3 (package fuse3) is missing",
        _ => "see the message before",
    };
    anyhow::Error::new(error).context(format!("cannot mount on {shown}: {advice}"))
}

/// SIGINT and SIGTERM, to a thread that waits.
fn signals(runtime: &Runtime) -> anyhow::Result<Receiver<()>> {
    // Two: the one that ends the mount, and the one that ends the wait.
    let (sender, receiver) = bounded(2);
    let _inside = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let stream = signal(kind).context("cannot listen to signals")?;
        runtime.spawn(forward(stream, sender.clone()));
    }
    Ok(receiver)
}

async fn forward(mut stream: tokio::signal::unix::Signal, sender: Sender<()>) {
    while stream.recv().await.is_some() {
        // A third signal adds nothing.
        let _ = sender.try_send(());
    }
}

/// Detaches the mount, unless something else is on the mount point by now.
fn detach(dir: &Path, device: Option<Device>) -> anyhow::Result<()> {
    // The kernel gives the number of a device that is gone to the next one: the type is asked as well.
    if device.is_none() || Device::mounted_on(dir) != device || !fuse_is_mounted_on(dir) {
        return Ok(());
    }
    match nix::mount::umount2(dir, MntFlags::MNT_DETACH) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => {
            let status = std::process::Command::new("fusermount3").args(["-u", "-z", "--"]).arg(dir).status();
            let status = status.context("cannot unmount: the program fusermount3 (package fuse3) is missing")?;
            if status.success() { Ok(()) } else { bail!("fusermount3 could not unmount {}", dir.display()) }
        }
        Err(error) => Err(error).with_context(|| format!("cannot unmount {}", dir.display())),
    }
}

/// A hint for a person who started it by hand.
pub fn announce(dir: &Path) {
    if io::stderr().is_terminal() {
        eprintln!("mounted on {}; Ctrl-C unmounts", dir.display());
    }
}
