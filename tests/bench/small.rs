//! Many small files to a real MediaWiki: `cp` into a mount against a client that posts each file directly, one after the
//! other and eight at a time.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use uploadfs::service::mediawiki::MediaWiki;

use crate::mounted::Mounted;
use crate::wiki::{clean, config, read_env, sign_in, timed};
use crate::{direct, table};

/// Files in one run, and their size.
const FILES: usize = 200;
const FILE_BYTES: u64 = 4096;
/// Copies at a time.
const WIDTH: usize = 8;
/// Rounds; each runs every way once, in turns.
const ROUNDS: usize = 2;

/// Measures and prints. `wiki` is the directory of a running instance of `tests/servers/mediawiki`.
pub(crate) fn run(wiki: &Path) {
    let env = read_env(wiki);
    let mount = Mounted::start(Arc::new(MediaWiki::new(config(&env)).unwrap()));
    let mut best: HashMap<(bool, usize), Duration> = HashMap::new();
    for round in 0..ROUNDS {
        for width in [1, WIDTH] {
            for mounted in [false, true] {
                let room = tempfile::tempdir().unwrap();
                let parts = sources(room.path(), &format!("Small{round}w{width}m{mounted}"), width);
                let took = match mounted {
                    true => timed(|| all(parts.iter().map(|part| cp(part, &mount.dir())).collect())),
                    false => timed(|| posts(&env, &parts)),
                };
                let time = best.entry((mounted, width)).or_insert(took);
                *time = took.min(*time);
            }
        }
        clean(&env);
    }
    mount.end();
    print(&best);
}

fn print(best: &HashMap<(bool, usize), Duration>) {
    table::head("Copying 200 files of 4 KiB to MediaWiki", ["s", "ms/file", "files/s", "time/floor"]);
    for width in [1, WIDTH] {
        for (mounted, name) in [(false, "direct POSTs"), (true, "cp to the mount")] {
            let (took, floor) = (best[&(mounted, width)].as_secs_f64(), best[&(false, width)].as_secs_f64());
            let files = FILES as f64;
            let values = [took, took * 1000.0 / files, files / took, took / floor];
            table::line(&format!("{name}, {width} at a time"), values.map(Some));
        }
    }
}

/// The files in `width` directories below `room`, with new contents.
fn sources(room: &Path, prefix: &str, width: usize) -> Vec<std::path::PathBuf> {
    let parts: Vec<_> = (0..width).map(|part| room.join(part.to_string())).collect();
    for part in &parts {
        std::fs::create_dir(part).unwrap();
    }
    for file in 0..FILES {
        let mut data = vec![0; usize::try_from(FILE_BYTES).unwrap()];
        fastrand::fill(&mut data);
        std::fs::write(parts[file % width].join(format!("{prefix}n{file}.bin")), data).unwrap();
    }
    parts
}

/// Starts one `cp` of everything in `part`.
fn cp(part: &Path, to: &Path) -> Child {
    Command::new("cp").arg("-rT").arg(part).arg(to).spawn().unwrap()
}

fn all(children: Vec<Child>) {
    for mut child in children {
        assert!(child.wait().unwrap().success(), "cp failed");
    }
}

/// One signed-in client for each part, all at the same time.
fn posts(env: &HashMap<String, String>, parts: &[std::path::PathBuf]) {
    let clients: Vec<direct::Direct> = parts.iter().map(|_| sign_in(env)).collect();
    std::thread::scope(|scope| {
        for (mut client, part) in clients.into_iter().zip(parts) {
            scope.spawn(move || {
                for entry in std::fs::read_dir(part).unwrap() {
                    let path = entry.unwrap().path();
                    client.by_post(&std::fs::read(&path).unwrap(), path.file_name().unwrap().to_str().unwrap());
                }
            });
        }
    });
}
