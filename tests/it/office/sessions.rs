//! Upload sessions that go wrong: counted twice, lost, incomplete, given up.

use std::time::Duration;

use uploadfs::portal::faults::{Fault, Injection, Rule};

use super::*;

const COUNTING: [Generation; 2] = [Generation::G0, Generation::G1];
const NUMBERED: [Generation; 2] = [Generation::G2, Generation::G3];

fn inject(office: &Office, kind: &str, what: Injection) {
    office.portal.add_fault(Rule::once(kind, Fault::Inject { what }));
}

#[tokio::test]
async fn a_file_that_is_finished_too_early_is_corrupt_and_removed() {
    for generation in COUNTING {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(2 * C, 1));
        let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
        // As if the first chunk had been counted twice.
        Other::sign_in(&office, USER).chunk(&upload.token.id, &bytes[..C]).data(200);
        let error = upload.put_next().await.unwrap_err();
        assert_eq!(error.kind, Kind::NotFound, "the session is worth nothing: {error}");
        assert_eq!(files(&office), []);
    }
}

#[tokio::test]
async fn a_chunk_that_is_counted_twice_ends_the_session() {
    for generation in COUNTING {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(3 * C + 1, 1));
        let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
        Other::sign_in(&office, USER).chunk(&upload.token.id, &bytes[..C]).data(200);
        assert_eq!(upload.put_next().await.unwrap_err().kind, Kind::NotFound);
        assert_eq!((files(&office), office.state().sessions), (vec![], vec![]));
    }
}

#[tokio::test]
async fn a_session_that_is_gone_is_gone() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(2 * C, 1));
        let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
        inject(&office, "chunk", Injection::LostSession);
        assert_eq!(upload.put_next().await.unwrap_err().kind, Kind::NotFound, "{generation:?}");
        client.abort(&upload.token).await.unwrap();
        by_session(&*client, &path("a.bin"), &bytes).await.unwrap();
        assert_eq!(files(&office), [("a.bin".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_small_file_whose_session_is_lost_may_be_sent_again() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(100, 1));
        inject(&office, "chunk", Injection::LostSession);
        let error = whole(&*client, &path("a.bin"), &bytes).await.unwrap_err();
        assert_eq!(error.errno(), libc::EIO, "not that there is no file: {error}");
        whole(&*client, &path("a.bin"), &bytes).await.unwrap();
        assert_eq!(files(&office), [("a.bin".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_session_that_lacks_chunks_is_given_up_for_a_byte_each() {
    for generation in NUMBERED {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(4 * C, 1));
        let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
        for _ in 0..3 {
            upload.put_next().await.unwrap();
        }
        assert_eq!(upload.finish(&bytes).await.unwrap_err().kind, Kind::NotFound);
        assert_eq!((office.state().leaked_bytes, files(&office)), (3, vec![]), "{generation:?}");
        assert_eq!(office.portal.violations(), []);
    }
}

#[tokio::test]
async fn what_is_given_up_leaves_a_byte_for_each_chunk_on_a_disk_and_nothing_elsewhere() {
    let portals = [(Generation::G2, Storage::Disk, 2), (Generation::G3, Storage::Disk, 2)];
    let elsewhere = [(Generation::G2, Storage::S3, 0), (Generation::G3, Storage::S3, 0)];
    let older = [(Generation::G0, Storage::Disk, 0), (Generation::G1, Storage::Disk, 0)];
    for (generation, storage, leaked) in portals.into_iter().chain(elsewhere).chain(older) {
        let office = small_with(generation, |settings| settings.storage = storage);
        let (client, bytes) = (connected(&office).await, text(4 * C, 1));
        let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
        upload.put_next().await.unwrap();
        upload.put_next().await.unwrap();
        client.abort(&upload.token).await.unwrap();
        assert_eq!(office.state().leaked_bytes, leaked, "{generation:?} {storage:?}");
        // Giving up once more harms nothing.
        client.abort(&upload.token).await.unwrap();
        assert_eq!(office.portal.violations(), [], "{generation:?} {storage:?}");
    }
}

#[tokio::test]
async fn chunks_that_are_too_old_make_no_file() {
    for generation in NUMBERED {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(3 * C, 1));
        let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
        upload.put_next().await.unwrap();
        // The session lives on with its second chunk, the first chunk does not.
        for _ in 0..2 {
            office.portal.advance(Duration::from_secs(7 * 3600));
            upload.put_next().await.unwrap();
        }
        assert_eq!(upload.finish(&bytes).await.unwrap_err().kind, Kind::NotFound, "{generation:?}");
        assert_eq!(files(&office), []);
    }
}

#[tokio::test]
async fn a_chunk_that_is_still_written_is_waited_for() {
    let office = Office::small(Generation::G2);
    let (client, bytes) = (connected(&office).await, text(2 * C, 1));
    let upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
    let address = office.portal.address();
    let (content_type, body) = crate::portal::client::form(&bytes[..C]);
    let target = format!("/ChunkedUploader.ashx?uid={}&chunkNumber=1&upload=true", upload.token.id);
    let request = Other::sign_in(&office, USER).request("POST", &target).header("Content-Type", &content_type);
    let held = request.body(body).begin(address);
    crate::support::program::until("the chunk to be written", || office.portal.work().under_way == 1);
    let part = upload.parts[0].clone();
    let error = client.put(&upload.spec, &upload.token, part).await.unwrap_err();
    assert!(matches!(error.retry, uploadfs::error::Retry::After(_)) && error.kind == Kind::Busy, "{error}");
    assert_eq!(held.finish().unwrap().status, 200);
}
