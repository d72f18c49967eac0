//! Closes that cannot wait any longer, and outages in the middle of an upload.

use std::time::Duration;

use uploadfs::portal::faults::{ANY, Fault, How, Rule, When};

use super::DEADLINE;
use super::site::{Scene, Site, each};
use crate::support::desk::sha256;
use crate::support::upload::text;

#[test]
fn a_close_that_cannot_wait_any_longer_is_answered_and_the_doubt_ends_in_one_file() {
    let mut silences = Vec::new();
    for scene in Scene::all() {
        for kind in ["part", "finish", "attach"] {
            silences.extend([When::Before, When::After].map(|when| (scene, kind, when)));
        }
    }
    let run = |&(scene, kind, when): &(Scene, &str, When)| {
        let (new, newest) = (text(scene.size.bytes(), 1), text(scene.size.bytes() - 1, 2));
        let site = Site::new(scene);
        site.run(Duration::from_secs(20), async |desk| {
            site.yandex.portal.add_fault(Rule::always(kind, Fault::Drop { when, how: How::Silence }));
            let told = desk.write(&new).await;
            assert_eq!(told.as_ref().unwrap_err().errno(), libc::ETIMEDOUT, "{told:?}");
            let kept = site.judge(&site.untouched(), &new, &told);
            site.yandex.portal.clear_faults();
            // A request that is under way is waited for, and has more patience than this close.
            tokio::time::sleep(Duration::from_secs(600)).await;
            desk.write(&newest).await.unwrap();
            site.assert_settled(&kept, &newest);
        });
        site.assert_in_order(0);
    };
    each(&silences, run, |silence| format!("{silence:?}"));
}

#[test]
fn an_outage_in_the_middle_of_an_upload_is_waited_for() {
    let outage = |status| Fault::Answer { when: When::Before, status, retry_after_s: None, body: String::new() };
    let faults = [Fault::Drop { when: When::Before, how: How::Reset }, outage(502), outage(500)];
    let cases: Vec<(Scene, Fault)> =
        Scene::all().flat_map(|scene| faults.clone().map(|fault| (scene, fault))).collect();
    let run = |(scene, fault): &(Scene, Fault)| {
        let (new, site) = (text(scene.size.bytes(), 1), Site::new(*scene));
        let portal = &site.yandex.portal;
        site.run(DEADLINE, async |desk| {
            // From the second request for a part on, or the first where there is only one.
            portal.add_fault(Rule::nth("part", scene.size.parts().min(2), fault.clone()));
            let outage = async {
                until_struck(&site, 1).await;
                portal.add_fault(Rule::always(ANY, fault.clone()));
                until_struck(&site, 6).await;
                portal.clear_faults();
            };
            let (told, ()) = tokio::join!(desk.write(&new), outage);
            told.unwrap();
        });
        assert_eq!(site.kept(), [sha256(&new)]);
        site.assert_in_order(0);
    };
    each(&cases, run, |case| format!("{case:?}"));
}

/// Waits until so many faults have struck.
async fn until_struck(site: &Site, count: u64) {
    while site.yandex.portal.faults_struck() < count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
