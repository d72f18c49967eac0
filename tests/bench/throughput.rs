//! The benchmark: how much of what the machine can do is left to programs that write to a mount. Run it by
//! `tests/bench/run`; it measures and prints, and decides nothing.
//!
//! **How to read it.** Absolute figures say something about the machine and the minute; what counts is the last column,
//! the ratio to the *floor* measured in the same run, in turns, so that a noisy neighbour hits both.
//!
//! * *Writing, nothing kept*: a mount of the memory service that only counts, against two file systems with the same
//!   options (`null.rs`): one that answers every write at once, and one that copies it into memory first, which is the
//!   least that must be done before a write may be answered. `CPU` is what the daemon used, in seconds for each GiB.
//!   Files that fit into `--memory` show the path of a write; the one large file also shows the spool, which takes what
//!   does not fit. A mount that hashes cannot be faster than SHA-1.
//! * *Copying to MediaWiki*: `cp` to a mount against clients that send the file straight from the disk, in one POST and
//!   in chunks. What the mount does is the second, so a ratio of 1.00 means that it costs nothing.
//! * *Copying 200 files of 4 KiB to MediaWiki*: `cp` into a mount against a client that only posts: what a file costs that
//!   is no more than one request. The mount looks each name up before it makes the file.
//! * *Writing to a portal*: a program that writes at 60 MB/s, over a line of 50 MB/s and 20 ms, against the slower of the
//!   two; and `cp` without a line, against a client that sends the same chunks straight from the disk.
//! * *Reading from MediaWiki*: a program that reads the file through the mount against `curl`.
//!
//! The best of all rounds counts: the others say what else the machine did.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails here has said where")]

mod child;
mod direct;
mod mounted;
mod null;
mod portal;
mod small;
mod table;
mod wiki;
mod writing;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["write", path, files, bytes, block] => {
            child::write(Path::new(path), files.parse().unwrap(), bytes.parse().unwrap(), block.parse().unwrap());
        }
        ["copy", from, to] => child::copy(Path::new(from), Path::new(to)),
        ["paced", from, to, bytes, rate] => {
            child::paced(from, Path::new(to), bytes.parse().unwrap(), rate.parse().unwrap());
        }
        ["read", path] => child::read(Path::new(path)),
        [] => {
            writing::run();
            portal::run();
            match std::env::var_os("UPLOADFS_BENCH_WIKI") {
                Some(wiki) => {
                    wiki::run(Path::new(&wiki));
                    small::run(Path::new(&wiki));
                }
                None => println!("no wiki: UPLOADFS_BENCH_WIKI is not set"),
            }
        }
        ["writing"] => writing::run(),
        ["portal"] => portal::run(),
        ["wiki", dir] => wiki::run(Path::new(dir)),
        ["small", dir] => small::run(Path::new(dir)),
        _ => panic!("usage: throughput [writing | portal | wiki DIR | small DIR]"),
    }
}
