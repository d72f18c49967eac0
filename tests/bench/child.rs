//! The programs that write to and read from a mount: this binary again, as a process of its own, so that their
//! processor time is not the daemon's. What they measured goes to the parent in one line.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes a reader asks for at once: what `cat` and `cp` use.
const READ_BYTES: usize = 128 << 10;

/// Bytes a copier moves at once: `cp` takes the `st_blksize` of the mount.
const COPY_BYTES: usize = 1 << 20;

/// What a child measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    /// From before the first `open` to after the last `close`.
    pub(crate) total: Duration,
    /// What of it was spent in `close`.
    pub(crate) closing: Duration,
}

/// As the child: writes `files` files of `bytes` each into the directory `dir`, `block` at a time.
pub(crate) fn write(dir: &Path, files: u32, bytes: u64, block: usize) {
    let data: Vec<u8> = (0..block).map(|at| at as u8).collect();
    let (start, mut closing) = (Instant::now(), Duration::ZERO);
    for number in 0..files {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).open(dir.join(format!("{number}.bin"))).unwrap();
        let mut left = bytes;
        while left > 0 {
            let len = left.min(block as u64) as usize;
            file.write_all(&data[..len]).unwrap();
            left -= len as u64;
        }
        let closed = Instant::now();
        // A dropped file closes without telling; what comes after would then be measured wrongly, but not here: the
        // parent asks the service.
        drop(file);
        closing += closed.elapsed();
    }
    report(start.elapsed(), closing);
}

/// As the child: copies a file as `cp` does, 1 MiB at a time.
pub(crate) fn copy(from: &Path, to: &Path) {
    let start = Instant::now();
    let (mut from, mut to, mut data) = (File::open(from).unwrap(), File::create_new(to).unwrap(), vec![0; COPY_BYTES]);
    loop {
        let len = from.read(&mut data).unwrap();
        if len == 0 {
            break;
        }
        to.write_all(&data[..len]).unwrap();
    }
    let closed = Instant::now();
    drop(to);
    report(start.elapsed(), closed.elapsed());
}

/// As the child: writes `bytes` bytes of a file, or of its own where `from` is `-`, at `rate` bytes per second.
pub(crate) fn paced(from: &str, to: &Path, bytes: u64, rate: u64) {
    let start = Instant::now();
    let mut from = (from != "-").then(|| File::open(from).unwrap());
    let (mut to, mut data, mut done) = (File::create_new(to).unwrap(), vec![7; COPY_BYTES], 0);
    while done < bytes {
        let len = match &mut from {
            Some(from) => from.read(&mut data).unwrap(),
            None => data.len().min(usize::try_from(bytes - done).unwrap()),
        };
        to.write_all(&data[..len]).unwrap();
        done += len as u64;
        let due = Duration::from_secs_f64(done as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    let closed = Instant::now();
    drop(to);
    report(start.elapsed(), closed.elapsed());
}

/// As the child: reads the file to its end.
pub(crate) fn read(path: &Path) {
    let mut data = vec![0; READ_BYTES];
    let start = Instant::now();
    let mut file = File::open(path).unwrap();
    while file.read(&mut data).unwrap() > 0 {}
    drop(file);
    report(start.elapsed(), Duration::ZERO);
}

fn report(total: Duration, closing: Duration) {
    println!("{} {}", total.as_nanos(), closing.as_nanos());
}

/// As the parent: runs this binary with `arguments` as a child.
pub(crate) fn run(arguments: &[&str]) -> Timed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the child {arguments:?} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|number| Duration::from_nanos(number.parse().unwrap()));
    Timed { total: numbers.next().unwrap(), closing: numbers.next().unwrap() }
}
