//! What the tests of faults share: a mount that reaches its wiki through a proxy of its own, what its requests are
//! called, what the wiki says of a file when it is asked directly, and cases that run many at once.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use uploadfs::service::Sha1Digest;

use crate::support::daemon::{Daemon, Remote};
use crate::support::program::Running;
use crate::support::proxy::{Proxy, Request};
use crate::support::upload::text;
use crate::support::wiki::Wiki;

/// What the client sends at once to a server that takes 1 MiB per request, in bytes.
pub(super) const PIECE: usize = (1 << 20) - (8 << 10);
/// The first chunk, in bytes.
const FIRST: usize = 64 << 10;
/// The size of a file that goes to such a server as a small first chunk, three full ones, and four tenths of one.
const LARGE: usize = FIRST + 34 * PIECE / 10;
/// The size of a file that goes in one request.
pub(super) const SMALL: usize = 5000;
/// So many cases run at once: they wait more than they work.
const WIDTH: usize = 16;
/// So often a case may miss its faults.
const ATTEMPTS_MAX: usize = 3;

/// Sends what is parked.
pub(super) const RETRY: &str = concat!(env!("CARGO_BIN_EXE_uploadfs"), " retry NAME");

/// What a request is to the wiki; `large` is the size of the file that goes in chunks.
fn kind(request: &Request, large: usize) -> &'static str {
    match (request.argument("action").as_deref(), request.argument("prop")) {
        (Some("query"), Some(prop)) if prop.starts_with("imageinfo") => "look",
        (Some("query"), _) if request.argument("meta").is_some() => "sign-in",
        (Some("query"), _) => "ask",
        (Some("login"), _) => "sign-in",
        (Some("delete"), _) => "delete",
        (Some("move"), _) => "move",
        (Some("upload"), _) => upload_kind(request, large),
        _ => "other",
    }
}

fn upload_kind(request: &Request, large: usize) -> &'static str {
    let number = |name: &str| request.field(name).and_then(|text| text.parse::<usize>().ok());
    match number("offset") {
        Some(_) if number("filesize") == Some(large) => "last chunk",
        Some(offset) if offset < FIRST => "first chunk",
        // Where one chunk is twice as large, the second is called the third.
        Some(offset) => ["chunk 1", "chunk 2", "chunk 3"].get((offset - FIRST) / PIECE).unwrap_or(&"chunk"),
        None if request.field("checkstatus").is_some() => "ask",
        None if request.field("filekey").is_some() => "publish",
        None => "whole",
    }
}

/// A wiki as its address and account; unlike [`Wiki`] it can be shared by threads.
pub(super) struct Target {
    remote: Remote,
    port: u16,
}

impl Target {
    pub(super) fn of(wiki: &Wiki) -> Target {
        Target { remote: wiki.remote(), port: wiki.env("MW_PORT").parse().unwrap() }
    }

    /// A proxy before the wiki, and the wiki as it is reached through it.
    pub(super) fn through_proxy(&self, large: &Arc<AtomicUsize>) -> (Proxy, Remote) {
        let large = large.clone();
        let kind = move |request: &Request| kind(request, large.load(Ordering::Relaxed));
        let proxy = Proxy::start(([127, 0, 0, 1], self.port).into(), kind);
        let remote = Remote { url: proxy.url(&self.remote.url), ..self.remote.clone() };
        (proxy, remote)
    }

    /// A mount that reaches the wiki through a proxy of its own.
    pub(super) fn site(&self, arguments: &[&str]) -> Site<'_> {
        let large = Arc::default();
        let (proxy, remote) = self.through_proxy(&large);
        let daemon = Daemon::mount(&remote, arguments);
        Site { target: self, proxy, daemon, large, name: new_name() }
    }

    /// The SHA-1 of all versions that the wiki has of a file, the newest first.
    pub(super) fn versions(&self, name: &str) -> Vec<Sha1Digest> {
        let title = format!("titles=File:{name}");
        let output = Command::new("curl")
            .args(["-sf", "--get", &self.remote.url, "--data-urlencode", &title])
            .args(["-d", "action=query&format=json&formatversion=2&prop=imageinfo&iiprop=sha1&iilimit=max"])
            .output()
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let versions = answer["query"]["pages"][0]["imageinfo"].as_array().cloned().unwrap_or_default();
        let sha1 = |version: &serde_json::Value| Sha1Digest::from_hex(version["sha1"].as_str().unwrap()).unwrap();
        versions.iter().map(sha1).collect()
    }
}

/// A name that no other case has, and no earlier run left on the wiki.
pub(super) fn new_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("Faults-{:x}-{}.txt", fastrand::u32(..), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A mount behind a proxy, and the file it is about.
pub(super) struct Site<'a> {
    pub(super) target: &'a Target,
    pub(super) proxy: Proxy,
    pub(super) daemon: Daemon,
    pub(super) name: String,
    /// The size of the last file that was made to go in chunks.
    large: Arc<AtomicUsize>,
}

impl Site<'_> {
    /// Makes a file of the given size beside the mount, unlike all others.
    pub(super) fn make(&self, name: &str, size: usize) -> Sha1Digest {
        let bytes = text(size, fastrand::u64(..));
        fs::write(self.daemon.local(name), &bytes).unwrap();
        Sha1Digest::of(&bytes)
    }

    /// The same for a file that goes in chunks. No two have the same size: after a lost answer the client looks into
    /// every file of the right size that lies in the account's stash.
    pub(super) fn make_large(&self, name: &str) -> Sha1Digest {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let size = LARGE - COUNT.fetch_add(1, Ordering::Relaxed);
        self.large.store(size, Ordering::Relaxed);
        self.make(name, size)
    }

    /// Teaches the client how much the server takes per request.
    pub(super) fn teach(&self) {
        self.make("teaching", LARGE);
        self.shell("cp $L/teaching Taught-NAME").wait().ok();
    }

    /// Starts a line of shell in the mount; NAME is the name of the file.
    pub(super) fn shell(&self, script: &str) -> Running {
        self.daemon.shell(&script.replace("NAME", &self.name))
    }

    pub(super) fn versions(&self) -> Vec<Sha1Digest> {
        self.target.versions(&self.name)
    }

    /// Those of the name that the file is moved to.
    pub(super) fn moved_versions(&self) -> Vec<Sha1Digest> {
        self.target.versions(&format!("Moved-{}", self.name))
    }

    /// What the mount says of the file.
    pub(super) fn state(&self) -> String {
        self.shell("getfattr --only-values -n user.uploadfs.state NAME").wait().ok()
    }

    /// A clean end: nothing is left to send or to find out.
    pub(super) fn end(self) {
        let status = self.daemon.end();
        assert!(status.success(), "{status}");
    }
}

/// Whether a case was about what it is meant to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Yes,
    /// The faults were not met: on a machine that stands still for a second, a small file goes in chunks, and chunks have
    /// other sizes.
    No,
}

/// Runs all cases, many at once, on mounts that `mount` makes. A mount serves one case after the other, each with a name of
/// its own, until one fails. A case that did not meet its faults is run again.
pub(super) fn all_at_once<'a, T: Sync>(
    cases: &[T],
    mount: impl Fn() -> Site<'a> + Sync,
    run: impl Fn(&Site<'a>, &T) -> Met + Sync,
    describe: impl Fn(&T) -> String + Sync,
) {
    let run = |site: &mut Site<'a>, case: &T| {
        for _ in 0..ATTEMPTS_MAX {
            site.name = new_name();
            let met = run(site, case);
            site.proxy.heal();
            if met == Met::Yes {
                return;
            }
        }
        panic!("the faults are never met");
    };
    each_at_once(cases, Tools { start: mount, run, end: Site::end }, describe);
}

/// What cases are run with.
pub(super) struct Tools<S, R, E> {
    /// Makes what several cases use one after the other.
    pub(super) start: S,
    pub(super) run: R,
    /// Ends it; not after a case that failed.
    pub(super) end: E,
}

/// Runs all cases, many at once, and then says which failed.
pub(super) fn each_at_once<T: Sync, U>(
    cases: &[T],
    tools: Tools<impl Fn() -> U + Sync, impl Fn(&mut U, &T) + Sync, impl Fn(U) + Sync>,
    describe: impl Fn(&T) -> String + Sync,
) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        let mut free = None;
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut used: Option<U> = free.take();
            // What a failed case used goes down with it, and says what it saw.
            let done = catch_unwind(AssertUnwindSafe(|| {
                let mut used = used.take().unwrap_or_else(&tools.start);
                (tools.run)(&mut used, case);
                used
            }));
            match done {
                Ok(used) => free = Some(used),
                Err(_) => failed.lock().unwrap().push(describe(case)),
            }
        }
        if let Some(used) = free {
            (tools.end)(used);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WIDTH.min(cases.len()) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
