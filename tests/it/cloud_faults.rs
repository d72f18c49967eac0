//! A cloud folder behind a bad network: every request of an upload, of a rename and of a removal meets every fault, once
//! and for as long as it lasts, in both dialects. What counts is what the folder itself has afterwards (the right bytes,
//! in one file) and what the program was told. Time is turned by hand (`support::clock`).

use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::Result;
use uploadfs::path::RemotePath;
use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};
use uploadfs::service::yandex_cloud::Dialect;
use uploadfs::service::{Node, NodeKind, Service};

use crate::support::clock::turned;
use crate::support::cloud::{Cloud, DIALECTS};
use crate::support::desk::{Desk, NAME, each, path, sha256};
use crate::support::upload::{any, text};

/// A close waits so long, as in a mount that nobody configured.
const DEADLINE: Duration = Duration::from_secs(600);
/// Bytes of the file: some pieces, and nothing that groups of three end with.
const LEN: usize = 70_000;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// A new file.
    Create,
    /// A file over another one.
    Overwrite,
    /// A file gets another name.
    Rename,
    /// A file is removed.
    Remove,
}

impl Deed {
    /// What can be done in a dialect.
    fn all(dialect: Dialect) -> impl Iterator<Item = Deed> {
        let deeds = [Deed::Create, Deed::Overwrite, Deed::Rename, Deed::Remove];
        deeds.into_iter().filter(move |deed| dialect == Dialect::Native || *deed != Deed::Rename)
    }

    fn uploads(self) -> bool {
        matches!(self, Deed::Create | Deed::Overwrite)
    }
}

/// A deed, and the fault that it meets.
#[derive(Clone, Debug)]
struct Case {
    dialect: Dialect,
    deed: Deed,
    rule: Rule,
}

/// A folder in the middle of a case.
struct Site {
    cloud: Cloud,
    old: Bytes,
    new: Bytes,
}

impl Site {
    fn new(dialect: Dialect, deed: Deed) -> Site {
        let site = Site { cloud: Cloud::new(dialect), old: text(1000, 7), new: text(LEN, 1) };
        if deed != Deed::Create {
            turned(&site.cloud.portal, async |line| {
                any(&*site.cloud.client_through(line), &path(), &site.old).await.unwrap();
            });
        }
        site
    }

    /// Runs work on a mount of the folder, which looks into it first; `begin` is called after that look.
    fn run(&self, begin: impl FnOnce(), work: impl AsyncFnOnce(&Desk) -> Result<()>) -> (Result<()>, Result<()>) {
        turned(&self.cloud.portal, async |line| {
            let desk = Desk::new(self.cloud.client_through(line), DEADLINE);
            desk.service.list(&RemotePath::root(), None).await.unwrap();
            begin();
            let told = work(&desk).await;
            desk.drained().await;
            self.cloud.portal.clear_faults();
            // Whatever was told: the next one arrives.
            let next = desk.write(&text(LEN - 1, 2)).await;
            desk.drained().await;
            (told, next)
        })
    }

    /// Name and checksum of every file, sorted.
    fn files(&self) -> Vec<(String, String)> {
        let files = self.cloud.state().files.into_iter();
        let mut files: Vec<_> = files.map(|file| (file.path.trim_start_matches('/').to_owned(), file.sha256)).collect();
        files.sort();
        files
    }
}

async fn act(deed: Deed, desk: &Desk, new: &Bytes) -> Result<()> {
    let there = async || -> Result<Node> { desk.service.stat(&path()).await };
    match deed {
        Deed::Create | Deed::Overwrite => desk.write(new).await,
        Deed::Rename => desk.service.rename(&path(), &there().await?, &moved()).await.map(drop),
        Deed::Remove => desk.service.remove(&path(), &there().await?).await,
    }
}

fn moved() -> RemotePath {
    RemotePath::parse("moved.txt").unwrap()
}

/// Every fault of a service and of the way to it; those that differ little take turns.
fn faults(turn: usize) -> Vec<Fault> {
    let answer = |when, status: u16, wait: Option<u64>| {
        // A limiter says nothing, a gateway shows a page.
        let body = if status == 429 { String::new() } else { format!("<html>{status}</html>") };
        Fault::Answer { when, status, retry_after_s: wait, body }
    };
    let hows = [How::Reset, How::Close];
    vec![
        answer(When::Before, 429, Some(1)),
        answer(When::Before, [500, 502, 504][turn % 3], None),
        answer(When::Before, 503, [None, Some(2)][turn % 2]),
        answer(When::After, [500, 502, 503, 504][turn % 4], None),
        Fault::Drop { when: When::Before, how: hows[turn % 2] },
        Fault::Drop { when: When::After, how: hows[(turn + 1) % 2] },
        Fault::Drop { when: When::Before, how: How::Silence },
        Fault::Drop { when: When::After, how: How::Silence },
        Fault::Delay { when: [When::Before, When::After][turn % 2], ms: 3 },
        Fault::CutRequest { at: [0, 150, 50_000][turn % 3], how: hows[turn % 2] },
        Fault::CutAnswer { at: [0, 10][turn % 2], how: hows[(turn + 1) % 2] },
        Fault::Inject { what: Injection::Quota },
        Fault::Inject { what: Injection::Locked },
    ]
}

/// Whether a fault means anything to a request of this kind.
fn has_meaning(kind: &str, fault: &Fault) -> bool {
    match fault {
        Fault::Inject { what: Injection::Quota } => kind == "create",
        Fault::Inject { what: Injection::Locked } => matches!(kind, "update" | "delete"),
        Fault::CutRequest { .. } => kind == "create",
        _ => true,
    }
}

/// Every fault at every request of a deed, or at all of a kind where it lasts.
fn cases(dialect: Dialect, deed: Deed, times: u64) -> Vec<Case> {
    let site = Site::new(dialect, deed);
    let before = std::sync::Mutex::new(Default::default());
    let after = std::sync::Mutex::new(Default::default());
    let requests = || site.cloud.state().requests;
    let (told, _) = site.run(
        || *before.lock().unwrap() = requests(),
        async |desk| {
            let told = act(deed, desk, &site.new).await;
            *after.lock().unwrap() = requests();
            told
        },
    );
    told.unwrap();
    site.cloud.assert_clean();
    let (before, after) = (before.into_inner().unwrap(), after.into_inner().unwrap());
    let mut cases = Vec::new();
    for (turn, (kind, count)) in after.iter().enumerate() {
        let count = count - before.get(kind).copied().unwrap_or(0);
        let all = if times == 0 { 1..=count.min(1) } else { 1..=count };
        for nth in all {
            for fault in faults(turn + usize::try_from(nth).unwrap()) {
                if has_meaning(kind, &fault) {
                    cases.push(Case { dialect, deed, rule: Rule { kind: kind.clone(), nth, times, fault } });
                }
            }
        }
    }
    assert!(cases.len() > 10, "{dialect:?} {deed:?}: {after:?}");
    cases
}

/// What the folder may have of the deed, by what was told.
fn judge(case: &Case, site: &Site, told: &Result<()>) {
    let (old, new) = (sha256(&site.old), sha256(&site.new));
    let name = |name: &str, sum: &str| vec![(name.to_owned(), sum.to_owned())];
    let (before, done) = match case.deed {
        Deed::Create => (Vec::new(), name(NAME, &new)),
        Deed::Overwrite => (name(NAME, &old), name(NAME, &new)),
        Deed::Rename => (name(NAME, &old), name("moved.txt", &old)),
        Deed::Remove => (name(NAME, &old), Vec::new()),
    };
    let files = site.files();
    match told {
        Ok(()) => assert_eq!(files, done, "it was said to be done"),
        Err(error) => {
            // The old version goes last: who cannot remove it for as long as it lasts has both, the newer one in front.
            let mut both = [before.clone(), done.clone()].concat();
            both.sort();
            let may_be_both = case.deed == Deed::Overwrite && case.rule.times == 0 && files == both;
            assert!(files == before || files == done || may_be_both, "neither old nor new: {files:?}, told {error}");
        }
    }
}

/// What a program may be told.
fn check(case: &Case, told: &Result<()>) {
    let Err(error) = told else {
        let is_final = case.rule.times == 0 && matches!(case.rule.fault, Fault::Inject { .. });
        assert!(!is_final, "it was never done, and said to be");
        return;
    };
    assert!(case.rule.times == 0, "one fault is survived: {error}");
    let may_be: &[i32] = match &case.rule.fault {
        Fault::Inject { what: Injection::Quota } => &[libc::EDQUOT],
        Fault::Answer { status: 429, .. } => &[libc::EAGAIN],
        Fault::Delay { .. } => &[],
        _ => &[libc::EHOSTUNREACH, libc::ETIMEDOUT, libc::EIO],
    };
    assert!(may_be.contains(&error.errno()), "errno {}: {error}", error.errno());
}

fn run(case: &Case) {
    let site = Site::new(case.dialect, case.deed);
    let begin = || site.cloud.portal.add_fault(case.rule.clone());
    let (told, next) = site.run(begin, async |desk| {
        let told = act(case.deed, desk, &site.new).await;
        desk.drained().await;
        judge(case, &site, &told);
        let is_parked = case.deed.uploads() && desk.is_parked(&site.new, &told).await;
        site.cloud.portal.clear_faults();
        if is_parked {
            // A person sends what a failed close has left: it arrives, once.
            desk.retry().await.unwrap();
            assert_eq!(site.files(), [(NAME.to_owned(), sha256(&site.new))], "sent again after {told:?}");
            assert_eq!(desk.entries(), 0);
        }
        told
    });
    check(case, &told);
    next.unwrap();
    let mut files = site.files();
    files.retain(|(name, _)| name != "moved.txt");
    assert_eq!(files, [(NAME.to_owned(), sha256(&text(LEN - 1, 2)))], "after {told:?}");
    site.cloud.assert_clean();
}

fn at_every_request(times: u64) {
    let mut all = Vec::new();
    for dialect in DIALECTS {
        Deed::all(dialect).for_each(|deed| all.extend(cases(dialect, deed, times)));
    }
    each(&all, run, |case| format!("{case:?}"));
}

#[test]
fn every_request_may_meet_every_fault() {
    at_every_request(1);
}

#[test]
fn a_fault_that_lasts_is_told_and_nothing_is_half_done() {
    at_every_request(0);
}

#[test]
fn without_faults_a_file_takes_what_it_needs_and_no_more() {
    for dialect in DIALECTS {
        for deed in Deed::all(dialect).filter(|deed| deed.uploads()) {
            let site = Site::new(dialect, deed);
            let created = site.cloud.state().requests.get("create").copied().unwrap_or(0);
            let (told, next) = site.run(|| {}, async |desk| act(deed, desk, &site.new).await);
            told.and(next).unwrap();
            assert_eq!(site.cloud.state().requests["create"] - created, 2, "{dialect:?} {deed:?}: one for each file");
            site.cloud.assert_clean();
        }
    }
}

#[test]
fn a_directory_is_renamed_whole_or_not_at_all() {
    let faults = [
        Fault::Answer { when: When::Before, status: 403, retry_after_s: None, body: String::new() },
        Fault::Answer { when: When::After, status: 502, retry_after_s: None, body: String::new() },
        Fault::Drop { when: When::Before, how: How::Silence },
    ];
    for (nth, fault) in (1..=5).flat_map(|nth| faults.clone().map(|fault| (nth, fault))) {
        let cloud = Cloud::new(Dialect::Native);
        let rule = Rule { kind: "update".to_owned(), nth, times: 1, fault };
        let told = turned(&cloud.portal, async |line| {
            let client = cloud.client_through(line);
            let (from, to) = (RemotePath::parse("from").unwrap(), RemotePath::parse("to").unwrap());
            client.mkdir(&from).await.unwrap();
            for number in 0..5 {
                any(&*client, &from.join(&format!("{number}.txt")), &text(100, number)).await.unwrap();
            }
            cloud.portal.add_fault(rule.clone());
            let node = client.stat(&from).await.unwrap();
            assert_eq!(node.kind, NodeKind::Directory);
            client.rename(&from, &node, &to).await.map(drop)
        });
        let directory = if told.is_ok() { "to" } else { "from" };
        let expected: Vec<String> = (0..5).map(|number| format!("/{directory}/{number}.txt")).collect();
        assert_eq!(cloud.names(), expected, "{rule:?}: {told:?}");
        cloud.assert_clean();
    }
}
