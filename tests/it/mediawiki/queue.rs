//! Large files through the wiki's job queue, on a server whose queue is worked only when a test says so.

use super::*;

/// Large enough for the queue.
fn large() -> Bytes {
    fresh(11 * MIB)
}

#[tokio::test]
async fn a_large_file_goes_through_the_queue() {
    let wiki = wide().await;
    let _on = wiki.switch("async");
    let (service, bytes) = (wiki.bot(), large());
    let mut upload = in_parts(&service, "queued.bin", &bytes, 8 * MIB).await;
    upload.put_next().await.unwrap();
    let error = upload.put_next().await.unwrap_err();
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    for _ in 0..3 {
        assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown), "nobody has worked on it");
    }
    wiki.manage(&["run-jobs"]);
    upload.receipts = held(probe(&upload, &bytes).await);
    let error = upload.finish(&bytes).await.unwrap_err();
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown));
    assert_eq!(service.stat(&path("queued.bin")).await.unwrap_err().kind, Kind::NotFound);
    wiki.manage(&["run-jobs"]);
    let Progress::Finished(node) = probe(&upload, &bytes).await else { panic!("it is published") };
    assert_eq!(node.sha1, Some(Sha1Digest::of(&bytes)));
    assert_eq!(content(&service, &path("queued.bin")).await.unwrap(), bytes);
}

#[tokio::test]
async fn another_process_takes_up_what_is_queued() {
    let wiki = wide().await;
    let _on = wiki.switch("async");
    let (service, other, bytes) = (wiki.bot(), wiki.bot(), large());
    let mut upload = in_parts(&service, "taken-up.bin", &bytes, 16 * MIB).await;
    upload.put_next().await.unwrap_err();
    upload.service = &other;
    assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown));
    wiki.manage(&["run-jobs"]);
    upload.receipts = held(probe(&upload, &bytes).await);
    upload.finish(&bytes).await.err();
    wiki.manage(&["run-jobs"]);
    assert!(matches!(probe(&upload, &bytes).await, Progress::Finished(_)));
}

#[tokio::test]
async fn what_the_queue_finds_out_about_a_file_is_said() {
    let wiki = Wiki::take(Which::Default).await;
    let _on = wiki.switch("async");
    let (service, bytes) = (wiki.bot(), large());
    // Text is no picture.
    let mut upload = in_parts(&service, "picture.png", &bytes, 16 * MIB).await;
    upload.put_next().await.unwrap_err();
    wiki.manage(&["run-jobs"]);
    let spec = spec("picture.png", &bytes);
    let error = service.probe(&spec, Some((&upload.token, &upload.receipts))).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
}

#[tokio::test]
async fn small_files_do_not_wait_for_a_queue() {
    let wiki = wide().await;
    let _on = wiki.switch("async");
    let (service, bytes) = (wiki.bot(), fresh(3 * MIB));
    by_session(&service, &path("small.bin"), &bytes).await.unwrap();
    assert_eq!(content(&service, &path("small.bin")).await.unwrap(), bytes);
}
