//! Faults by the dice, at any request, one after another. The seed of a run that fails is told; `UPLOADFS_TEST_SEED` runs
//! it again.

use uploadfs::portal::faults::{Fault, How, Injection, Random, When};

use super::DEADLINE;
use super::site::{Before, Scene, Site, Size, each};
use crate::support::upload::text;

/// So many runs.
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
    faults.extend([0, 40, 3000].map(|at| Fault::CutRequest { at, how: How::Close }));
    faults.push(Fault::CutAnswer { at: 9, how: How::Reset });
    faults.push(Fault::Inject { what: Injection::LostSession });
    faults
}

/// The upload of a seed.
fn scene(seed: u64) -> Scene {
    let before = if seed.is_multiple_of(3) { Before::Nothing } else { Before::Old };
    Scene { size: Size::Large, before }
}

fn run(seed: u64) {
    let site = Site::new(scene(seed));
    site.run(DEADLINE, async |desk| {
        site.yandex.portal.set_random(Some(Random { seed, per_mille: PER_MILLE, kinds: vec![], faults: faults() }));
        let mut kept = site.untouched();
        for write in 0..WRITES {
            let size = if (seed >> write) & 1 == 0 { Size::Large } else { Size::Small };
            let bytes = text(size.bytes() + usize::try_from(write).unwrap(), seed ^ write);
            let told = desk.write(&bytes).await;
            kept = site.judge(&kept, &bytes, &told);
            desk.is_parked(&bytes, &told).await;
        }
        site.yandex.portal.clear_faults();
        let last = text(Size::Large.bytes(), seed ^ WRITES);
        desk.write(&last).await.unwrap();
        site.assert_settled(&kept, &last);
    });
    // Whose making or whose end was answered to nobody, the dice know.
    site.assert_in_order(usize::MAX);
}

/// Many runs, or the one that is asked for.
#[test]
fn faults_by_chance_lose_nothing_and_double_nothing() {
    let given = std::env::var("UPLOADFS_TEST_SEED").map(|seed| vec![seed.parse().unwrap()]);
    let seeds: Vec<u64> = given.unwrap_or_else(|_| std::iter::repeat_with(|| fastrand::u64(..)).take(RUNS).collect());
    each(&seeds, |seed| run(*seed), |seed| format!("UPLOADFS_TEST_SEED={seed}"));
}
