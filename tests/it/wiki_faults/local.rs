//! Uploads to a wiki that nobody waits for (`--close=local`): the n-th request after a file was made fails in each way there
//! is, once, or from then on, for n = 1, 2, 3, ... until a run has no such request. Real time, so that a lasting fault ends
//! after a few tries.

use std::fs;

use uploadfs::service::Sha1Digest;

use super::site::{RETRY, SMALL, Site, Target, Tools, each_at_once, new_name};
use crate::support::program::until;
use crate::support::proxy::{End, Fault, Gate, Page, When};
use crate::support::wiki::{Which, Wiki};

/// More requests than any upload here makes.
const REQUESTS_MAX: u64 = 40;
/// So many tries a fault that lasts sees; of those that leave a doubt, one.
const TRIES: usize = 3;

/// All n of one way to fail.
struct Case {
    fault: fn(&Gate) -> Fault,
    lasts: bool,
    is_large: bool,
}

/// How a request fails; those last that are left out of quick runs where they last.
const MODES: [fn(&Gate) -> Fault; 11] = [
    |_| Fault::DropBefore(End::Fin),
    |_| Fault::Status(Page::html(503).header("Retry-After", 1)),
    |_| Fault::DropAfter(End::Reset),
    |_| Fault::Status(Page::html(500)),
    |_| Fault::CutAnswer(10),
    |gate| Fault::HangBefore(gate.clone()),
    |_| Fault::CutRequest(150),
    |_| Fault::StatusAfter(Page::html(504)),
    |_| Fault::Status(Page::html(429).header("Retry-After", 1)),
    |_| Fault::Status(Page::html(401)),
    |gate| Fault::HangAfter(gate.clone()),
];
/// So many of them last in quick runs.
const LASTING: usize = 2;

/// Throws away what is parked.
const DISCARD: &str = concat!(env!("CARGO_BIN_EXE_uploadfs"), " discard NAME");

/// Its file is made before the fault, and written and closed after it began.
const WRITER: &str = "
data = open(L + '/new', 'rb').read()
f = os.open('NAME', os.O_WRONLY | os.O_CREAT)
pause()
while data: data = data[os.write(f, data):]
os.close(f)";

impl Case {
    fn describe(&self) -> String {
        let (size, how_long) = (if self.is_large { "large" } else { "small" }, if self.lasts { "on" } else { "once" });
        format!("{size}, {how_long}: {}", (self.fault)(&Gate::new()).name())
    }

    /// The n-th request fails; whether there was one.
    fn play(&self, site: &mut Site<'_>, nth: u64) -> bool {
        // What teaches the mount is on its way as well.
        until("the mount to be idle", || site.daemon.entries() == 0);
        site.name = new_name();
        let new = if self.is_large { site.make_large("new") } else { site.make("new", SMALL) };
        let bytes = fs::read(site.daemon.local("new")).unwrap();
        let (gate, before) = (Gate::new(), site.proxy.faults());
        // A process of its own: what the test itself has open, everything that it starts would have, too.
        let mut program = site.daemon.python(&WRITER.replace("NAME", &site.name));
        program.until_paused();
        let fault = (self.fault)(&gate);
        let is_final = matches!(&fault, Fault::Status(page) if page.status() == 401);
        let is_doubt = !matches!(&fault, Fault::Status(_) | Fault::DropBefore(_));
        site.proxy.add_where(|_| true, if self.lasts { When::From(nth) } else { When::Nth(nth) }, fault);
        program.go();
        let ended = program.wait();
        // The web server in front of a wiki that wants another account means it: that is told as soon as it is known.
        assert!(ended.success() || (is_final && ended.err.contains("Permission denied")), "{ended:?}");
        if !ended.success() {
            // In the middle of writing: what was written until then is kept, and nobody publishes half of a file.
            site.proxy.heal();
            assert_eq!((site.state().as_str(), site.versions()), ("parked", Vec::new()), "request {nth}");
            site.shell(DISCARD).wait().ok();
            return true;
        }
        let wanted = if self.lasts && !is_doubt { TRIES } else { 1 };
        until("the fault, or the end", || site.proxy.faults() >= before + wanted || site.daemon.entries() == 0);
        let met = site.proxy.faults() > before;
        let mut is_parked = false;
        if is_final {
            until("the refusal, or the end", || ["parked", "remote"].contains(&site.state().as_str()));
        }
        if (self.lasts || is_final) && met && site.daemon.entries() > 0 {
            is_parked = waits(site, &bytes, &new);
        }
        if self.lasts {
            site.proxy.heal();
        }
        gate.open();
        if is_parked {
            site.shell(RETRY).wait().ok();
        }
        until("the file to arrive", || site.daemon.entries() == 0);
        site.proxy.heal();
        assert_eq!(site.versions(), [new], "request {nth}");
        assert_eq!(site.state(), "remote");
        met
    }
}

/// A file that does not arrive while a fault lasts: it is whole here, and not there at all, or whole. Whether it is parked.
fn waits(site: &Site<'_>, bytes: &[u8], new: &Sha1Digest) -> bool {
    site.shell("cmp $L/new NAME").wait().ok();
    assert_eq!(fs::metadata(site.daemon.dir().join(&site.name)).unwrap().len(), bytes.len() as u64);
    let versions = site.versions();
    assert!(versions.is_empty() || versions == [*new], "{versions:?}");
    let state = site.state();
    assert!(["waiting", "uploading", "parked", "remote"].contains(&state.as_str()), "{state}");
    state == "parked"
}

#[tokio::test]
async fn a_file_that_was_closed_arrives_whatever_request_fails() {
    let wiki = Wiki::take(Which::Default).await;
    let target = Target::of(&wiki);
    let is_full = std::env::var_os("FULL_RUN").is_some();
    let mut cases: Vec<Case> = Vec::new();
    for (number, fault) in MODES.into_iter().enumerate() {
        if is_full || number < LASTING {
            cases.push(Case { fault, lasts: true, is_large: true });
        }
        cases.extend([true, false].map(|is_large| Case { fault, lasts: false, is_large }));
        if is_full {
            cases.push(Case { fault, lasts: true, is_large: false });
        }
    }
    let mount = || {
        let site = target.site(&["--close", "local"]);
        site.teach();
        site
    };
    let runs = std::sync::atomic::AtomicU64::new(0);
    let run = |site: &mut Site<'_>, case: &Case| {
        let met = (1..=REQUESTS_MAX).take_while(|nth| case.play(site, *nth)).count() as u64;
        assert!((1..REQUESTS_MAX).contains(&met), "{met} requests");
        runs.fetch_add(met + 1, std::sync::atomic::Ordering::Relaxed);
    };
    let begun = std::time::Instant::now();
    each_at_once(&cases, Tools { start: mount, run, end: Site::end }, Case::describe);
    println!("wiki: {} cases, {} runs in {:?}", cases.len(), runs.into_inner(), begun.elapsed());
    wiki.manage(&["clean", "--all"]);
}
