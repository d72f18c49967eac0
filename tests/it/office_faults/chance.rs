//! Faults by the dice, at any request, one after another. The seed of a run that fails is told; `UPLOADFS_TEST_SEED` runs
//! it again.

use uploadfs::portal::faults::{Fault, How, Injection, Random, When};
use uploadfs::portal::onlyoffice::Generation;

use super::DEADLINE;
use super::site::{Before, Scene, Site, Size, each};
use crate::support::upload::text;

/// So many runs on a generation.
const RUNS: usize = 60;
/// So often a run writes the file while there are faults.
const WRITES: u64 = 3;
/// So many of a thousand requests meet a fault.
const PER_MILLE: u32 = 180;

/// What the dice choose from: whatever leaves a client in doubt.
fn faults() -> Vec<Fault> {
    let page = |when, status| Fault::Answer { when, status, retry_after_s: None, body: String::new() };
    let limiter = Fault::Answer { when: When::Before, status: 429, retry_after_s: Some(1), body: String::new() };
    let mut faults = vec![limiter, page(When::Before, 502), page(When::Before, 500)];
    faults.extend([500, 504].map(|status| page(When::After, status)));
    for when in [When::Before, When::After] {
        faults.extend([How::Reset, How::Close, How::Silence].map(|how| Fault::Drop { when, how }));
    }
    faults.extend([0, 700, 3000].map(|at| Fault::CutRequest { at, how: How::Close }));
    faults.push(Fault::CutAnswer { at: 9, how: How::Reset });
    let injections = [Injection::ExpiredToken, Injection::LostSession];
    faults.extend(injections.map(|what| Fault::Inject { what }));
    faults
}

/// The upload of a seed.
fn scene(generation: Generation, seed: u64) -> Scene {
    let before = if seed.is_multiple_of(3) { Before::Nothing } else { Before::Old };
    Scene { generation, size: Size::Large, before }
}

fn run(generation: Generation, seed: u64) {
    let site = Site::new(scene(generation, seed));
    site.run(DEADLINE, async |desk| {
        site.office.portal.set_random(Some(Random { seed, per_mille: PER_MILLE, kinds: vec![], faults: faults() }));
        let mut kept = site.untouched();
        for write in 0..WRITES {
            let size = if (seed >> write) & 1 == 0 { Size::Large } else { Size::Small };
            let bytes = text(size.bytes() + usize::try_from(write).unwrap(), seed ^ write);
            let told = desk.write(&bytes).await;
            kept = site.judge(kept.as_ref(), &bytes, &told);
            desk.is_parked(&bytes, &told).await;
        }
        site.office.portal.clear_faults();
        let last = text(Size::Large.bytes(), seed ^ WRITES);
        desk.write(&last).await.unwrap();
        assert_eq!(site.kept(), Some(site.replaced(kept.as_ref(), &last)));
    });
    site.assert_no_violations(true);
}

/// Many runs, or the one that is asked for.
pub(super) fn runs(generation: Generation) {
    let given = std::env::var("UPLOADFS_TEST_SEED").map(|seed| vec![seed.parse().unwrap()]);
    let seeds: Vec<u64> = given.unwrap_or_else(|_| std::iter::repeat_with(|| fastrand::u64(..)).take(RUNS).collect());
    each(&seeds, |seed| run(generation, *seed), |seed| format!("UPLOADFS_TEST_SEED={seed}"));
}
