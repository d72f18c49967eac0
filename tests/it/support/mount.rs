//! A mount for tests: a memory service behind a network that fails as told, mounted in the test's own process, and real
//! programs that use it. Whatever a test does, dropping the [`Rig`] takes the mount away and waits for nothing without
//! a limit. It does not judge: tests ask the service for its truth.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use uploadfs::cache::Usage;
use uploadfs::config::MountOptions;
use uploadfs::mount::Mount;
use uploadfs::path::RemotePath;
use uploadfs::service::layer::fault::Faults;
use uploadfs::service::layer::{Layered, Stack, stack};
use uploadfs::service::memory::{Memory, MemoryConfig};
use uploadfs::service::{Operation, Service, SizePolicy};

use super::program::{Ended, Running, until};
use super::upload::whole;

/// How long a mount that was well may take to end.
const END: Duration = Duration::from_secs(20);

/// How long the end of a test waits: what is still under way then was left hanging on purpose.
const DROP: Duration = Duration::from_secs(2);

/// A mounted memory service.
pub(crate) struct Rig {
    pub(crate) memory: Arc<Memory>,
    pub(crate) faults: Arc<Faults>,
    stack: Stack,
    mount: Option<Mount>,
    options: MountOptions,
    /// Holds the mount point, the spool, and a directory beside them for sources and results.
    home: TempDir,
}

impl Rig {
    /// A service of this kind, mounted with room for everything.
    pub(crate) fn new(config: MemoryConfig) -> Rig {
        Rig::with(config, |_| {})
    }

    /// A service of this kind, mounted with other options.
    pub(crate) fn with(config: MemoryConfig, change: impl FnOnce(&mut MountOptions)) -> Rig {
        let home = tempfile::tempdir().unwrap();
        for name in ["mnt", "local"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        let mut options = MountOptions {
            memory_bytes: 32 << 20,
            chunk_bytes: 1 << 20,
            spool: home.path().join("spool"),
            spool_bytes_max: 1 << 30,
            dir_cache: Duration::from_secs(5),
            close_deadline: Duration::from_secs(30),
            metadata_deadline: Duration::from_secs(15),
            drain: Duration::from_secs(20),
            close_locally: false,
            uploads: 8,
            size_promise: true,
            allow_other: false,
        };
        change(&mut options);
        let (memory, faults) = (Arc::new(Memory::new(config)), Faults::new());
        let stack = stack(Layered::wrap(memory.clone(), faults.clone()));
        let mut rig = Rig { memory, faults, stack, mount: None, options, home };
        rig.mount();
        rig
    }

    fn mount(&mut self) {
        let mount = Mount::start("test", self.stack.clone(), &self.dir(), &self.options);
        self.mount = Some(mount.expect("these tests need a kernel with FUSE, and the right to mount"));
    }

    /// The mount point.
    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("mnt")
    }

    /// A path beside the mount; programs know the directory as `$L`.
    pub(crate) fn local(&self, name: &str) -> PathBuf {
        self.home.path().join("local").join(name)
    }

    /// Makes a file beside the mount.
    pub(crate) fn put_local(&self, name: &str, bytes: &[u8]) {
        fs::write(self.local(name), bytes).unwrap();
    }

    /// Starts a line of shell in the mount.
    pub(crate) fn start(&self, script: &str) -> Running {
        Running::shell(script, &self.dir(), &self.local(""))
    }

    /// Starts a Python program in the mount.
    pub(crate) fn start_python(&self, program: &str) -> Running {
        Running::python(program, &self.dir(), &self.local(""))
    }

    /// Runs a line of shell in the mount to its end.
    pub(crate) fn sh(&self, script: &str) -> Ended {
        self.start(script).wait()
    }

    /// Runs a line of shell that must succeed; what it says.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        self.sh(script).ok()
    }

    /// Runs a Python program that must succeed; what it says.
    #[track_caller]
    pub(crate) fn python(&self, program: &str) -> String {
        self.start_python(program).wait().ok()
    }

    /// All bytes of a file, as the service has it.
    pub(crate) fn content(&self, name: &str) -> Option<Bytes> {
        self.memory.content(&path(name))
    }

    /// How often the service made a version of a file.
    pub(crate) fn versions(&self, name: &str) -> u64 {
        self.memory.file(&path(name)).map_or(0, |file| file.versions)
    }

    /// The service has exactly these bytes under the name, and they are its version number `versions`.
    #[track_caller]
    pub(crate) fn assert_has(&self, name: &str, bytes: &[u8], versions: u64) {
        let content = self.content(name).unwrap_or_else(|| panic!("the service has no {name}"));
        assert!(content == bytes, "{name} is {} on the service, not {}", shown(&content), shown(bytes));
        assert_eq!(self.versions(name), versions, "versions of {name}");
    }

    /// Another client writes a file.
    pub(crate) fn write_elsewhere(&self, name: &str, bytes: &'static [u8]) {
        alone(async { whole(&*self.memory, &path(name), &Bytes::from_static(bytes)).await }).unwrap();
    }

    /// Another client removes a file.
    pub(crate) fn remove_elsewhere(&self, name: &str) {
        let path = path(name);
        alone(async { self.memory.remove(&path, &self.memory.stat(&path).await?).await }).unwrap();
    }

    /// The size of a file in the mount.
    pub(crate) fn size(&self, name: &str) -> u64 {
        fs::metadata(self.dir().join(name)).map_or(0, |metadata| metadata.len())
    }

    /// The state of a file as the mount tells it.
    pub(crate) fn state(&self, name: &str) -> String {
        self.xattr(name, "user.uploadfs.state").unwrap()
    }

    /// An attribute of a file.
    pub(crate) fn xattr(&self, name: &str, attribute: &str) -> Option<String> {
        let program = format!("import os; print(os.getxattr({name:?}, {attribute:?}).decode(), end='')");
        let ended = self.start_python(&program).wait();
        ended.success().then_some(ended.out)
    }

    /// Waits until so many requests of a kind have reached the network.
    #[track_caller]
    pub(crate) fn until_asked(&self, operation: Operation, count: u64) {
        until(&format!("{count} {operation} requests"), || self.faults.count(operation) >= count);
    }

    /// How many files the spool keeps for the next mount.
    pub(crate) fn entries(&self) -> usize {
        super::daemon::entries(&self.options.spool)
    }

    /// What the buffers of the mount take.
    pub(crate) fn usage(&self) -> Usage {
        self.mount.as_ref().expect("the mount is live").usage()
    }

    /// How often a writer was looked at for the size of what it copies.
    pub(crate) fn looks(&self) -> u64 {
        self.mount.as_ref().expect("the mount is live").looks()
    }

    /// Ends the mount as a person does who wants everything uploaded.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.take().end(END, &crossbeam_channel::never())
    }

    /// The mount itself, for a test that ends it in its own way.
    pub(crate) fn take(&mut self) -> Mount {
        self.mount.take().expect("the mount is live")
    }

    /// Mounts the service anew, with nothing remembered.
    pub(crate) fn remount(&mut self) {
        if self.mount.is_some() {
            self.end().unwrap();
        }
        // The spool is free once the last task of the mount before has gone.
        until("a free spool", || match Mount::start("test", self.stack.clone(), &self.dir(), &self.options) {
            Ok(mount) => {
                self.mount = Some(mount);
                true
            }
            Err(error) => {
                assert!(error.to_string().contains("another daemon"), "{error:#}");
                false
            }
        });
    }

    /// Why the service is not mounted so, on directories below the rig's own.
    pub(crate) fn refused(&self, point: &str, spool: &str) -> String {
        let options = MountOptions { spool: self.home.path().join(spool), ..self.options.clone() };
        match Mount::start("test", self.stack.clone(), &self.home.path().join(point), &options) {
            Ok(_) => panic!("mounted on {point} with {spool}"),
            Err(error) => format!("{error:#}"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(mount) = self.mount.take() {
            // Tests of failures leave files that the service does not have.
            let _ = mount.end(DROP, &crossbeam_channel::never());
        }
        if !std::thread::panicking() {
            assert_eq!(self.memory.violations(), [""; 0], "rules the service announced were broken");
        }
    }
}

/// Runs a request of another client to its end.
fn alone<T>(request: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(request)
}

/// Every family of services.
pub(crate) fn presets() -> [(&'static str, MemoryConfig); 6] {
    [
        ("friendly", MemoryConfig::friendly()),
        ("streamed_sequential", MemoryConfig::streamed_sequential()),
        ("streamed_parallel", MemoryConfig::streamed_parallel()),
        ("declared_sequential", MemoryConfig::declared_sequential()),
        ("declared_parallel", MemoryConfig::declared_parallel()),
        ("whole", MemoryConfig::whole()),
    ]
}

/// The friendly service, where every file is one request at its close: on no machine is the writer so slow that some of
/// it leaves earlier.
pub(crate) fn in_one_request() -> MemoryConfig {
    let mut config = MemoryConfig::friendly();
    config.capability.policy = SizePolicy::Whole { max: config.capability.file_max };
    config
}

pub(crate) fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

/// Enough of some bytes to see what they are.
fn shown(bytes: &[u8]) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    format!("{start:?} ({} bytes)", bytes.len())
}

/// How many file systems are mounted on `dir`, one above the other.
pub(crate) fn mounts_on(dir: &Path) -> usize {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter(|line| line.split(' ').nth(4) == dir.to_str()).count()
}
