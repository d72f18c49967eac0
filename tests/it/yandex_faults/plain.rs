//! Uploads without faults: exactly the requests that a file needs, nothing left behind, no rule broken.

use bytes::Bytes;

use super::DEADLINE;
use super::site::{Before, Desk, Scene, Site, Size, write_into};
use crate::support::desk::sha256;
use crate::support::upload::text;
use crate::support::yandex::PART;

const P: usize = PART as usize;

fn scene(before: Before) -> Scene {
    Scene { size: Size::Large, before }
}

#[test]
fn a_file_takes_as_many_parts_as_it_has_and_leaves_nothing_behind() {
    for size in [1, P - 1, P, P + 1, 3 * P, Size::Large.bytes()] {
        for before in [Before::Nothing, Before::Old] {
            let site = Site::new(scene(before));
            let kinds = ["create_session", "part", "finish", "attach", "abort", "delete_attachment"];
            let counts = kinds.map(|kind| site.yandex.count(kind));
            let bytes = text(size, 1);
            site.run(DEADLINE, async |desk| desk.write(&bytes).await.unwrap());
            let more: Vec<u64> =
                kinds.iter().zip(counts).map(|(kind, before)| site.yandex.count(kind) - before).collect();
            let replaced = u64::from(before == Before::Old);
            assert_eq!(more, [1, (size as u64).div_ceil(PART), 1, 1, 0, replaced], "{size} bytes over {before:?}");
            assert_eq!(site.kept(), [sha256(&bytes)]);
            site.yandex.assert_clean();
        }
    }
}

/// Writes the first two parts and a half of a file whose size is known, and waits; how many parts have left by then.
async fn left_early(site: &Site, desk: &Desk, bytes: &Bytes) -> u64 {
    let before = site.yandex.count("part");
    let mut left = 0;
    let written = desk.write_with(async |file| {
        file.allocate(bytes.len() as u64).await?;
        let half = 5 * P / 2;
        write_into(file, &bytes[..half], 0).await?;
        tokio::time::sleep(DEADLINE).await;
        left = site.yandex.count("part") - before;
        write_into(file, &bytes[half..], half as u64).await
    });
    written.await.unwrap();
    left
}

#[test]
fn with_a_promised_size_parts_leave_while_the_file_is_written() {
    for before in [Before::Nothing, Before::Old] {
        let site = Site::new(scene(before));
        let bytes = text(Size::Large.bytes(), 1);
        assert_eq!(site.run(DEADLINE, async |desk| left_early(&site, desk, &bytes).await), 2);
        assert_eq!(site.kept(), [sha256(&bytes)]);
        site.yandex.assert_clean();
    }
}

#[test]
fn a_broken_promise_costs_one_session() {
    for size in [Size::Large.bytes() - 900, P / 2] {
        let site = Site::new(scene(Before::Nothing));
        let bytes = text(size, 1);
        site.run(DEADLINE, async |desk| {
            let written = desk.write_with(async |file| {
                file.allocate(Size::Large.bytes() as u64).await?;
                write_into(file, &text(2 * P + 5, 9), 0).await?;
                tokio::time::sleep(DEADLINE).await;
                file.truncate(size as u64).await?;
                write_into(file, &bytes, 0).await
            });
            written.await.unwrap();
        });
        assert_eq!(site.kept(), [sha256(&bytes)]);
        assert_eq!((site.yandex.count("create_session"), site.yandex.count("abort")), (2, 1));
        site.yandex.assert_clean();
    }
}

#[test]
fn a_part_that_is_written_again_is_sent_again() {
    let site = Site::new(scene(Before::Nothing));
    let bytes = text(Size::Large.bytes(), 1);
    site.run(DEADLINE, async |desk| {
        let written = desk.write_with(async |file| {
            file.allocate(bytes.len() as u64).await?;
            write_into(file, &text(2 * P + 5, 9), 0).await?;
            tokio::time::sleep(DEADLINE).await;
            write_into(file, &bytes, 0).await
        });
        written.await.unwrap();
    });
    assert_eq!(site.kept(), [sha256(&bytes)]);
    assert_eq!(site.yandex.count("create_session"), 1, "a part may be replaced");
    site.yandex.assert_clean();
}
