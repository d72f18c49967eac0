//! Writing into a service that keeps nothing, against the null file system.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use uploadfs::service::memory::{Keep, Memory, MemoryConfig};

use crate::child::{self, Timed};
use crate::mounted::{Mounted, processor_time};
use crate::null::{self, Fate};
use crate::table;

const MIB: u64 = 1 << 20;

/// Rounds; each runs everything once, in turns.
const ROUNDS: usize = 7;

/// What is written in one run.
struct Load {
    name: &'static str,
    block: u64,
    files: u64,
    file_bytes: u64,
}

/// Files of 64 MiB fit into the memory of a mount; the number of them makes a run long enough to be measured.
const LOADS: [Load; 4] = [
    Load { name: "4 KiB writes, files of 64 MiB", block: 4 << 10, files: 2, file_bytes: 64 * MIB },
    Load { name: "128 KiB writes, files of 64 MiB", block: 128 << 10, files: 12, file_bytes: 64 * MIB },
    Load { name: "1 MiB writes, files of 64 MiB", block: MIB, files: 12, file_bytes: 64 * MIB },
    Load { name: "1 MiB writes, one file of 768 MiB", block: MIB, files: 1, file_bytes: 768 * MIB },
];

impl Load {
    fn bytes(&self) -> u64 {
        self.files * self.file_bytes
    }
}

/// The best of several runs: each value for itself.
#[derive(Clone, Copy)]
struct Best {
    total: Duration,
    cpu: Duration,
}

impl Best {
    const NONE: Best = Best { total: Duration::MAX, cpu: Duration::MAX };

    fn add(&mut self, timed: Timed, cpu: Duration) {
        self.total = self.total.min(timed.total);
        self.cpu = self.cpu.min(cpu);
    }
}

/// Measures and prints.
pub(crate) fn run() {
    let (null_dir, copy_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let null = null::mount(null_dir.path(), Fate::Forgotten);
    let copy = null::mount(copy_dir.path(), Fate::Copied);
    let plain = Arc::new(Memory::new(MemoryConfig::friendly().keeping(Keep::Size)));
    let hashed = Arc::new(Memory::new(MemoryConfig::streamed_sequential().keeping(Keep::Size)));
    let (plain_mount, hashed_mount) = (Mounted::start(plain.clone()), Mounted::start(hashed.clone()));
    let dirs = [null_dir.path().to_owned(), copy_dir.path().to_owned(), plain_mount.dir(), hashed_mount.dir()];

    table::head("Writing, nothing kept", ["MiB/s", "CPU s/GiB", "of null", "of copy"]);
    for load in &LOADS {
        let mut best = [Best::NONE; 4];
        for _ in 0..ROUNDS {
            for (best, dir) in best.iter_mut().zip(&dirs) {
                measure(load, dir, best);
            }
        }
        for memory in [&plain, &hashed] {
            let files = memory.files();
            assert!(files.iter().all(|file| file.size >= load.file_bytes.min(64 * MIB)), "{files:?}");
            assert_eq!(memory.violations(), [""; 0]);
        }
        let names = [
            "a file system that does nothing",
            "a file system that copies into memory",
            "a mount",
            "a mount that hashes, parts in sequence",
        ];
        println!("{}", load.name);
        for (name, own) in names.iter().zip(&best) {
            let cpu = own.cpu.as_secs_f64() / (load.bytes() as f64 / (1024.0 * MIB as f64));
            let of = |floor: &Best| Some(floor.total.as_secs_f64() / own.total.as_secs_f64());
            let rate = table::rate(load.bytes(), own.total);
            table::line(&format!("  {name}"), [Some(rate), Some(cpu), of(&best[0]), of(&best[1])]);
        }
    }
    plain_mount.end();
    hashed_mount.end();
    for floor in [null, copy] {
        floor.umount_and_join().unwrap();
    }
}

fn measure(load: &Load, dir: &Path, best: &mut Best) {
    let (files, bytes, block) = (load.files.to_string(), load.file_bytes.to_string(), load.block.to_string());
    let before = processor_time();
    let timed = child::run(&["write", dir.to_str().unwrap(), &files, &bytes, &block]);
    best.add(timed, processor_time() - before);
}
