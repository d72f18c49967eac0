//! Closes that cannot wait any longer, outages in the middle of an upload, and many files at once.

use std::time::Duration;

use uploadfs::portal::faults::{ANY, Fault, How, Injection, Rule, When};
use uploadfs::portal::onlyoffice::Generation;

use super::DEADLINE;
use super::site::{Before, Scene, Site, Size, each};
use crate::support::office::GENERATIONS;
use crate::support::upload::text;

fn scenes() -> Vec<Scene> {
    GENERATIONS.into_iter().flat_map(Scene::all).collect()
}

/// Requests that a portal never answers, by the scenes that have them.
fn silences() -> Vec<(Scene, &'static str, When)> {
    let mut silences = Vec::new();
    for scene in scenes() {
        for kind in ["chunk", "finalize", "file_info"] {
            if kind != "finalize" || (scene.has_versions() && scene.size == Size::Large) {
                silences.extend([When::Before, When::After].map(|when| (scene, kind, when)));
            }
        }
    }
    silences
}

#[test]
fn a_close_that_cannot_wait_any_longer_is_answered_and_the_doubt_ends_in_one_version() {
    let run = |&(scene, kind, when): &(Scene, &str, When)| {
        let (new, newest) = (text(scene.size.bytes(), 1), text(scene.size.bytes() - 1, 2));
        let site = Site::new(scene);
        site.run(Duration::from_secs(20), async |desk| {
            site.office.portal.add_fault(Rule::always(kind, Fault::Drop { when, how: How::Silence }));
            let told = desk.write(&new).await;
            assert_eq!(told.as_ref().unwrap_err().errno(), libc::ETIMEDOUT, "{told:?}");
            let kept = site.judge(site.untouched().as_ref(), &new, &told);
            site.office.portal.clear_faults();
            // A request that is under way is waited for, and has more patience than this close.
            tokio::time::sleep(Duration::from_secs(120)).await;
            desk.write(&newest).await.unwrap();
            assert_eq!(site.kept(), Some(site.replaced(kept.as_ref(), &newest)));
        });
        site.assert_no_violations(false);
    };
    each(&silences(), run, |silence| format!("{silence:?}"));
}

#[test]
fn an_outage_in_the_middle_of_an_upload_is_waited_for() {
    let outage = |status| Fault::Answer { when: When::Before, status, retry_after_s: None, body: String::new() };
    let faults = [Fault::Drop { when: When::Before, how: How::Reset }, outage(502), outage(500)];
    let cases: Vec<(Scene, Fault)> =
        scenes().into_iter().flat_map(|scene| faults.clone().map(|fault| (scene, fault))).collect();
    let run = |(scene, fault): &(Scene, Fault)| {
        let (new, site) = (text(scene.size.bytes(), 1), Site::new(*scene));
        let portal = &site.office.portal;
        site.run(DEADLINE, async |desk| {
            // From the second request for a chunk on, or the first where there is only one.
            portal.add_fault(Rule::nth("chunk", scene.size.chunks().min(2), fault.clone()));
            let outage = async {
                until_struck(&site, 1).await;
                portal.add_fault(Rule::always(ANY, fault.clone()));
                until_struck(&site, 6).await;
                portal.clear_faults();
            };
            let (told, ()) = tokio::join!(desk.write(&new), outage);
            told.unwrap();
        });
        assert_eq!(site.kept(), Some(site.replaced(site.untouched().as_ref(), &new)));
        site.assert_no_violations(false);
    };
    each(&cases, run, |case| format!("{case:?}"));
}

/// Waits until so many faults have struck.
async fn until_struck(site: &Site, count: u64) {
    while site.office.portal.faults_struck() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_write_that_is_given_up_leaves_one_byte_of_each_chunk() {
    for generation in [Generation::G2, Generation::G3] {
        let site = Site::new(Scene { generation, size: Size::Large, before: Before::Nothing });
        let new = text(Size::Large.bytes(), 1);
        site.run(DEADLINE, async |desk| {
            // All chunks are there when the quota is found to be used up, and are gone with that.
            site.office.portal.add_fault(Rule::once("finalize", Fault::Inject { what: Injection::Quota }));
            assert_eq!(desk.write(&new).await.unwrap_err().errno(), libc::EDQUOT);
        });
        let state = site.office.state();
        assert!(state.leaked_bytes <= Size::Large.chunks(), "{generation:?}: {state:?}");
        assert_eq!((site.kept(), state.violations), (None, vec![]));
    }
}
