//! Uploads without faults: exactly the requests that a file needs, nothing left behind, no rule broken.

use bytes::Bytes;
use uploadfs::portal::onlyoffice::Generation;

use super::DEADLINE;
use super::site::{Before, Scene, Site, Size, write_into};
use crate::support::desk::Desk;
use crate::support::office::{CHUNK, GENERATIONS};
use crate::support::upload::text;

const C: usize = CHUNK as usize;

fn scene(generation: Generation, before: Before) -> Scene {
    Scene { generation, size: Size::Large, before }
}

/// How many requests of a kind came since `before` did.
fn count(site: &Site, kind: &str) -> u64 {
    site.office.state().requests.get(kind).copied().unwrap_or(0)
}

#[test]
fn a_file_takes_as_many_chunks_as_it_has_and_leaves_nothing_behind() {
    for generation in GENERATIONS {
        for size in [1, C - 1, C, C + 1, 3 * C, Size::Large.bytes()] {
            for before in [Before::Nothing, Before::Old] {
                let site = Site::new(scene(generation, before));
                let (chunks, finalizes) = (count(&site, "chunk"), count(&site, "finalize"));
                let bytes = text(size, 1);
                site.run(DEADLINE, async |desk| desk.write(&bytes).await.unwrap());
                let context = format!("{size} bytes over {before:?} on {generation:?}");
                assert_eq!(count(&site, "chunk") - chunks, (size as u64).div_ceil(CHUNK), "{context}");
                let has_end = site.scene.has_versions() && size >= C;
                assert_eq!(count(&site, "finalize") - finalizes, u64::from(has_end), "{context}");
                assert_eq!(count(&site, "abort"), 0, "{context}");
                assert_eq!(site.kept(), Some(site.replaced(site.untouched().as_ref(), &bytes)), "{context}");
                site.office.assert_clean();
            }
        }
    }
}

#[test]
fn an_empty_file_is_made_where_the_portal_can() {
    for generation in GENERATIONS {
        let site = Site::new(scene(generation, Before::Nothing));
        site.run(DEADLINE, async |desk| desk.write(&Bytes::new()).await.unwrap());
        assert_eq!(site.kept().is_some(), generation == Generation::G3, "{generation:?}");
        site.office.assert_clean();
    }
}

/// Writes the first two chunks and a half of a file whose size is known, and waits; how many chunks have left by then.
async fn left_early(site: &Site, desk: &Desk, bytes: &Bytes) -> u64 {
    let before = count(site, "chunk");
    let mut left = 0;
    let written = desk.write_with(async |file| {
        file.allocate(bytes.len() as u64).await?;
        let half = 5 * C / 2;
        write_into(file, &bytes[..half], 0).await?;
        tokio::time::sleep(DEADLINE).await;
        left = count(site, "chunk") - before;
        write_into(file, &bytes[half..], half as u64).await
    });
    written.await.unwrap();
    left
}

#[test]
fn with_a_promised_size_chunks_leave_while_the_file_is_written() {
    for generation in GENERATIONS {
        for before in [Before::Nothing, Before::Old] {
            let site = Site::new(scene(generation, before));
            let bytes = text(Size::Large.bytes(), 1);
            let left = site.run(DEADLINE, async |desk| left_early(&site, desk, &bytes).await);
            assert_eq!(left, 2, "{generation:?}");
            assert_eq!(site.kept(), Some(site.replaced(site.untouched().as_ref(), &bytes)));
            site.office.assert_clean();
        }
    }
}

#[test]
fn a_broken_promise_costs_one_session_and_a_byte_for_each_chunk() {
    for generation in GENERATIONS {
        // Of the first, a third chunk is complete before it is closed.
        for (size, sent) in [(Size::Large.bytes() - 900, 3), (C / 2, 2)] {
            let site = Site::new(scene(generation, Before::Nothing));
            let bytes = text(size, 1);
            site.run(DEADLINE, async |desk| {
                let written = desk.write_with(async |file| {
                    file.allocate(Size::Large.bytes() as u64).await?;
                    write_into(file, &text(2 * C + 5, 9), 0).await?;
                    tokio::time::sleep(DEADLINE).await;
                    file.truncate(size as u64).await?;
                    write_into(file, &bytes, 0).await
                });
                written.await.unwrap();
            });
            assert_eq!(site.kept(), Some(site.replaced(None, &bytes)), "{generation:?}");
            let state = site.office.state();
            assert_eq!(state.requests["create_session"], 2, "{generation:?}");
            assert_eq!(state.violations, [], "{generation:?}");
            // The chunks lie there for ever, each one byte long; older portals throw them away.
            assert_eq!(state.leaked_bytes, if site.scene.has_versions() { sent } else { 0 }, "{generation:?}");
        }
    }
}
