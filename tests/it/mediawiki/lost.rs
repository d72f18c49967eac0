//! Lost answers, lost sessions, lost stashes: nothing is doubled and nothing is believed too early.

use super::*;

#[tokio::test]
async fn a_lost_answer_to_a_chunk_is_found_out_and_nothing_is_doubled() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "lost-chunk.bin", &bytes, 256 << 10).await;
    let again = upload.parts[0].clone();
    let error = {
        let _lost = wiki.switch("lose-chunk-answer");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let got = held(probe(&upload, &bytes).await);
    assert_eq!((got.len(), got[0].range.clone()), (1, 0..again.payload.range().end));
    // Sending it again all the same changes nothing.
    upload.put(again).await.unwrap();
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
    assert_eq!(content(&service, &path("lost-chunk.bin")).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_lost_answer_to_the_first_chunk_means_to_begin_again() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    service.connect().await.unwrap();
    let error = {
        let _lost = wiki.switch("lose-chunk-answer");
        Upload::begin(&service, &path("orphan.bin"), &bytes).await.err().unwrap()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let unknown = Spec { size: None, sha1: None, ..spec("orphan.bin", &bytes) };
    assert!(matches!(service.probe(&unknown, None).await.unwrap(), Progress::Gone));
    by_session(&service, &path("orphan.bin"), &bytes).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_to_the_last_chunk_leads_to_the_new_key() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "lost-last.bin", &bytes, 512 << 10).await;
    upload.put_next().await.unwrap();
    let error = {
        let _lost = wiki.switch("lose-last-chunk-answer");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let mark = wiki.mark().await;
    upload.receipts = held(probe(&upload, &bytes).await);
    assert_eq!(upload.receipts[0].range, 0..bytes.len() as u64);
    upload.finish(&bytes).await.unwrap();
    assert_eq!(steps(&wiki.since(mark).await, "last-chunk"), 0, "never sent again");
    assert_eq!(content(&service, &path("lost-last.bin")).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_lost_answer_to_the_publication_is_a_success() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "lost-publish.bin", &bytes, MIB).await;
    while upload.put_next().await.unwrap() {}
    let error = {
        let _lost = wiki.switch("lose-publish-answer");
        upload.finish(&bytes).await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let progress = probe(&upload, &bytes).await;
    let node = service.stat(&path("lost-publish.bin")).await.unwrap();
    assert!(matches!(progress, Progress::Finished(found) if found == node));
    // A second publication finds nothing to publish, and says that one has to look.
    assert_eq!(upload.finish(&bytes).await.unwrap_err().retry, Retry::AskFirst);
}

#[tokio::test]
async fn a_lost_answer_to_a_direct_upload_is_a_success() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(5000));
    service.connect().await.unwrap();
    let error = {
        let _lost = wiki.switch("lose-publish-answer");
        whole(&service, &path("lost.bin"), &bytes).await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    let progress = service.probe(&spec("lost.bin", &bytes), None).await.unwrap();
    assert!(matches!(progress, Progress::Finished(node) if node.sha1 == Some(Sha1Digest::of(&bytes))));
}

#[tokio::test]
async fn an_assembly_that_dies_is_not_believed_dead_at_once() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "killed.bin", &bytes, MIB).await;
    let error = {
        let _kill = wiki.switch("kill-in-assembly");
        upload.put_next().await.unwrap_err()
    };
    assert_eq!(error.retry, Retry::AskFirst, "{error}");
    assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown));
}

#[tokio::test]
async fn a_session_that_is_lost_in_mid_upload_is_renewed_and_the_upload_goes_on() {
    let wiki = wide().await;
    for service in [wiki.bot(), wiki.user()] {
        let bytes = fresh(MIB);
        let mut upload = in_parts(&service, "expired.bin", &bytes, 256 << 10).await;
        let key = upload.token.id.clone();
        upload.put_next().await.unwrap();
        wiki.manage(&["expire-sessions"]);
        while upload.put_next().await.unwrap() {}
        wiki.manage(&["expire-sessions"]);
        upload.finish(&bytes).await.unwrap();
        assert_eq!(upload.token.id, key);
        assert_eq!(content(&service, &path("expired.bin")).await.unwrap(), bytes);
        next_second().await;
    }
}

#[tokio::test]
async fn many_requests_that_find_the_session_lost_sign_in_once() {
    let wiki = wide().await;
    let service = wiki.bot();
    service.connect().await.unwrap();
    wiki.manage(&["expire-sessions"]);
    let mark = wiki.mark().await;
    let (root, file) = (RemotePath::root(), path("nothing.txt"));
    let (a, b, c, d) =
        tokio::join!(service.list(&root, None), service.stat(&file), service.list(&root, None), service.stat(&file));
    assert!(a.is_ok() && c.is_ok());
    assert!([b, d].into_iter().all(|gone| gone.unwrap_err().kind == Kind::NotFound));
    let log = wiki.since(mark).await;
    assert_eq!(log.iter().filter(|line| line.contains("action=login")).count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_stash_that_is_lost_is_gone() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(MIB));
    let mut upload = in_parts(&service, "forgotten.bin", &bytes, 256 << 10).await;
    wiki.manage(&["forget-progress"]);
    assert_eq!(upload.put_next().await.unwrap_err().retry, Retry::AskFirst);
    assert!(matches!(probe(&upload, &bytes).await, Progress::Gone));

    // The progress entry outlives the data, and is not believed.
    let mut upload = in_parts(&service, "purged.bin", &bytes, 256 << 10).await;
    wiki.manage(&["age-stash"]);
    assert_eq!(upload.put_next().await.unwrap_err().retry, Retry::AskFirst);
    assert!(matches!(probe(&upload, &bytes).await, Progress::Gone));

    let mut upload = in_parts(&service, "purged.bin", &bytes, 512 << 10).await;
    while upload.put_next().await.unwrap() {}
    wiki.manage(&["age-stash"]);
    assert_eq!(upload.finish(&bytes).await.unwrap_err().retry, Retry::AskFirst);
    // Gone after a while; until then the publication might still be running.
    assert!(matches!(probe(&upload, &bytes).await, Progress::Unknown));
}
