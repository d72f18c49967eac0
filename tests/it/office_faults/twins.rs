//! A second file that the portal made, because the first was locked meanwhile: whatever happens on the way, it goes.

use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};
use uploadfs::portal::onlyoffice::Generation;

use super::DEADLINE;
use super::site::{Before, Scene, Site, Size, each};
use crate::support::upload::text;

/// Trouble that passes.
fn faults() -> Vec<Fault> {
    let page = |when, status| Fault::Answer { when, status, retry_after_s: None, body: String::new() };
    vec![
        page(When::Before, 502),
        page(When::After, 500),
        Fault::Drop { when: When::Before, how: How::Reset },
        Fault::Drop { when: When::After, how: How::Close },
        Fault::Drop { when: When::After, how: How::Silence },
    ]
}

#[test]
fn a_second_file_goes_whatever_happens() {
    let mut cases = Vec::new();
    for generation in [Generation::G2, Generation::G3] {
        for size in Size::ALL {
            for kind in ["chunk", "finalize", "file_info", "delete", "operations", "list"] {
                let scene = Scene { generation, size, before: Before::Old };
                cases.extend(faults().into_iter().map(|fault| (scene, kind, fault)));
            }
        }
    }
    let run = |(scene, kind, fault): &(Scene, &str, Fault)| {
        let (new, site) = (text(scene.size.bytes(), 1), Site::new(*scene));
        site.run(DEADLINE, async |desk| {
            let locked = Fault::Inject { what: Injection::Locked };
            site.office.portal.add_fault(Rule::once("create_session", locked));
            site.office.portal.add_fault(Rule::nth(kind, if *kind == "list" { 2 } else { 1 }, fault.clone()));
            let told = desk.write(&new).await;
            // A chunk or an end that never arrived is sent again, into the file that is not locked any more.
            let errno = told.as_ref().err().map(uploadfs::error::Error::errno);
            assert!(errno.is_none_or(|errno| errno == libc::EBUSY), "{told:?}");
            let kept = site.judge(site.untouched().as_ref(), &new, &told);
            site.office.portal.clear_faults();
            let newest = text(scene.size.bytes() - 1, 2);
            desk.write(&newest).await.unwrap();
            assert_eq!(site.kept(), Some(site.replaced(kept.as_ref(), &newest)), "after {told:?}");
        });
        site.assert_no_violations(false);
    };
    each(&cases, run, |case| format!("{case:?}"));
}
