//! Copying to a real MediaWiki and reading back, against clients without a file system between.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use uploadfs::service::mediawiki::{MediaWiki, MediaWikiConfig};

use crate::direct::Direct;
use crate::mounted::{Mounted, processor_time};
use crate::{child, table};

/// The file that is copied.
const FILE_BYTES: u64 = 256 << 20;
/// Rounds; each runs every way once, in turns.
const ROUNDS: usize = 3;

/// The ways of one round.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    Post,
    Chunks,
    Cp,
    Copy,
    /// What of [`Way::Copy`] was spent in `close`.
    Close,
    Curl,
    Read,
}

/// The best of each way.
#[derive(Default)]
struct Times {
    total: HashMap<Way, Duration>,
    cpu: HashMap<Way, Duration>,
}

impl Times {
    fn add(&mut self, way: Way, total: Duration) {
        let best = self.total.entry(way).or_insert(total);
        *best = total.min(*best);
    }

    fn add_cpu(&mut self, way: Way, since: Duration) {
        let cpu = processor_time() - since;
        let best = self.cpu.entry(way).or_insert(cpu);
        *best = cpu.min(*best);
    }
}

/// Measures and prints. `wiki` is the directory of a running instance of `tests/servers/mediawiki`.
pub(crate) fn run(wiki: &Path) {
    let env = read_env(wiki);
    let room = tempfile::tempdir().unwrap();
    let (source, mut direct) = (room.path().join("source"), sign_in(&env));
    let mount = Mounted::start(Arc::new(MediaWiki::new(config(&env)).unwrap()));
    let mut times = Times::default();
    for round in 0..ROUNDS {
        // New bytes for each way and round: a wiki that knows a content already may take a shorter road.
        let fresh = |way: &str| {
            std::fs::write(&source, random(FILE_BYTES)).unwrap();
            format!("Bench{round}{way}.bin")
        };
        let name = fresh("post");
        times.add(Way::Post, timed(|| direct.by_curl(&source, &name)));

        let (name, mut url) = (fresh("chunks"), String::new());
        times.add(Way::Chunks, timed(|| url = direct.by_chunks(&source, &name)));

        let (copied, before) = (fresh("cp"), processor_time());
        times.add(Way::Cp, timed(|| cp(&source, &mount.dir().join(&copied))));
        times.add_cpu(Way::Cp, before);
        assert_eq!(direct.size(&copied), Some(FILE_BYTES), "cp returned, so the wiki has it");

        let copied = mount.dir().join(fresh("copy"));
        let copy = child::run(&["copy", source.to_str().unwrap(), copied.to_str().unwrap()]);
        times.add(Way::Copy, copy.total);
        times.add(Way::Close, copy.closing);

        times.add(Way::Curl, timed(|| curl(&url)));
        let (path, before) = (mount.dir().join(&name), processor_time());
        times.add(Way::Read, child::run(&["read", path.to_str().unwrap()]).total);
        times.add_cpu(Way::Read, before);

        clean(&env);
    }
    print(&times);
    mount.end();
}

fn print(times: &Times) {
    table::head("Copying 256 MiB to MediaWiki", ["s", "MiB/s", "CPU s/GiB", "time/floor"]);
    let names = [
        (Way::Chunks, "chunks, straight from the disk", Way::Chunks),
        (Way::Post, "one POST by curl", Way::Chunks),
        (Way::Cp, "cp to the mount, until close has returned", Way::Chunks),
        (Way::Copy, "the same by a program that takes the time...", Way::Chunks),
        (Way::Close, "  ...of its close", Way::Chunks),
        (Way::Curl, "reading: curl", Way::Curl),
        (Way::Read, "reading: through the mount", Way::Curl),
    ];
    for (way, name, floor) in names {
        let (total, floor) = (times.total[&way], times.total[&floor]);
        let cpu = times.cpu.get(&way).map(|cpu| cpu.as_secs_f64() * (1_u64 << 30) as f64 / FILE_BYTES as f64);
        let ratio = total.as_secs_f64() / floor.as_secs_f64();
        table::line(name, [Some(total.as_secs_f64()), Some(table::rate(FILE_BYTES, total)), cpu, Some(ratio)]);
    }
}

pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn cp(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success(), "cp failed");
}

fn curl(url: &str) {
    let mut command = Command::new("curl");
    let command = command.args(["-s", "-f", "--noproxy", "*", "-o", "/dev/null", url]);
    assert!(command.status().unwrap().success(), "curl failed");
}

/// Frees the disk: everything that was published.
pub(crate) fn clean(env: &HashMap<String, String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mediawiki");
    let status = Command::new(script).args(["clean", &env["MW_ROOT"], "--all"]).stdout(Stdio::null()).status();
    assert!(status.unwrap().success(), "the wiki was not cleaned");
}

fn random(bytes: u64) -> Vec<u8> {
    let mut data = vec![0; usize::try_from(bytes).unwrap()];
    fastrand::fill(&mut data);
    data
}

/// What the instance says of itself: `KEY=VALUE` lines.
pub(crate) fn read_env(wiki: &Path) -> HashMap<String, String> {
    let text = std::fs::read_to_string(wiki.join("env")).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(crate) fn sign_in(env: &HashMap<String, String>) -> Direct {
    Direct::sign_in(&env["MW_URL"], &env["MW_USER_BOT"], &env["MW_USER_BOT_PASS"])
}

pub(crate) fn config(env: &HashMap<String, String>) -> MediaWikiConfig {
    MediaWikiConfig {
        url: env["MW_URL"].clone(),
        user: env["MW_USER_BOT"].clone(),
        password: Some(SecretString::from(env["MW_USER_BOT_PASS"].clone())),
        token: None,
        ca_file: None,
        proxy: None,
        comment: "benchmark".into(),
        text: None,
        tags: Vec::new(),
        maxlag: None,
    }
}
