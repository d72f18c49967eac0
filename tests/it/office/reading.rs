//! Downloads: ranges, versions, object stores, and files that change or go meanwhile.

use super::*;

#[tokio::test]
async fn an_object_store_is_asked_without_credentials() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.storage = Storage::S3);
        let (client, bytes) = (connected(&office).await, text(3 * C + 1, 1));
        let node = put(&client, "a.bin", &bytes).await;
        for range in [0..1, 5..4100, 0..bytes.len() as u64, bytes.len() as u64 - 1..bytes.len() as u64] {
            let got = client.read(&path("a.bin"), &node, range.clone()).await.unwrap();
            assert_eq!(got, bytes.slice(range.start as usize..range.end as usize), "{generation:?}: {range:?}");
        }
        assert!(count(&office, "stored") > 0);
        // The store notes credentials as a broken rule.
        office.assert_clean();
    }
}

#[tokio::test]
async fn the_version_that_was_opened_is_read_or_said_to_be_gone() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let (client, old) = (connected(&office).await, text(2 * C, 1));
        let node = put(&client, "a.bin", &old).await;
        put(&*connected(&office).await, "a.bin", &text(C + 1, 2)).await;
        let read = client.read(&path("a.bin"), &node, 0..10).await;
        match generation {
            // The old version stays in the history.
            Generation::G2 | Generation::G3 => assert_eq!(read.unwrap(), old.slice(0..10)),
            Generation::G0 | Generation::G1 => assert_eq!(read.unwrap_err().errno(), libc::ESTALE, "{generation:?}"),
        }
        let beyond = client.read(&path("a.bin"), &node, 2 * CHUNK - 1..2 * CHUNK).await;
        match generation {
            Generation::G2 | Generation::G3 => assert_eq!(beyond.unwrap().len(), 1),
            Generation::G0 | Generation::G1 => assert_eq!(beyond.unwrap_err().errno(), libc::ESTALE, "{generation:?}"),
        }
    }
}

#[tokio::test]
async fn a_file_that_was_removed_for_good_is_not_found() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let node = put(&client, "a.bin", &text(100, 1)).await;
        let other = Other::sign_in(&office, USER);
        other.call("DELETE", &format!("file/{}", node.id), &json!({"immediately": true}));
        crate::support::program::until("the file to go", || office.state().files.is_empty());
        let error = client.read(&path("a.bin"), &node, 0..10).await.unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT, "{generation:?}: {error}");
    }
}
