//! Sessions that age, are lost, are given up, or whose answers do not come.

use super::*;

/// How long a session lives that nobody attaches.
const LIFE: Duration = Duration::from_secs(24 * 3600);

fn lost(when: When) -> Fault {
    Fault::Drop { when, how: How::Close }
}

fn spec(name: &str, size: usize) -> Spec {
    Spec { path: path(name), size: Some(size as u64), sha1: None, replaces: None }
}

/// What is said when the wiki is asked what became of an upload.
async fn probed(upload: &Upload<'_>) -> Progress {
    upload.service.probe(&upload.spec, Some((&upload.token, &upload.receipts))).await.unwrap()
}

#[tokio::test]
async fn a_session_that_is_too_old_is_gone() {
    let yandex = Yandex::small();
    let (client, bytes) = (yandex.client(), text(2 * P, 1));
    for sent in 0..=2 {
        let name = path("a.bin");
        let mut upload = Upload::begin(&*client, &name, &bytes).await.unwrap();
        for _ in 0..sent {
            upload.put_next().await.unwrap();
        }
        yandex.portal.advance(LIFE);
        let error = match sent {
            2 => upload.finish(&bytes).await.unwrap_err(),
            _ => upload.put_next().await.unwrap_err(),
        };
        assert_eq!(error.kind, Kind::NotFound, "the session is worth nothing: {error}");
        assert!(matches!(probed(&upload).await, Progress::Gone));
        client.abort(&upload.token).await.expect("there is nothing to give up");
        assert_eq!(yandex.files(), []);
    }
    by_session(&*client, &path("a.bin"), &bytes).await.unwrap();
    assert_eq!(yandex.state().sessions, []);
}

#[tokio::test]
async fn a_session_that_is_lost_is_gone() {
    for kind in ["part", "finish"] {
        let yandex = Yandex::small();
        let (client, bytes) = (yandex.client(), text(2 * P, 1));
        let name = path("a.bin");
        let mut upload = Upload::begin(&*client, &name, &bytes).await.unwrap();
        yandex.portal.add_fault(Rule::once(kind, Fault::Inject { what: Injection::LostSession }));
        let error = match kind {
            "part" => upload.put_next().await.unwrap_err(),
            _ => {
                while upload.put_next().await.unwrap() {}
                upload.finish(&bytes).await.unwrap_err()
            }
        };
        assert_eq!(error.kind, Kind::NotFound, "{kind}: {error}");
        assert!(matches!(probed(&upload).await, Progress::Gone), "{kind}");
        client.abort(&upload.token).await.unwrap();
        by_session(&*client, &name, &bytes).await.unwrap();
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn a_session_is_given_up_by_itself() {
    let yandex = Yandex::small();
    let (client, bytes) = (yandex.client(), text(2 * P, 1));
    let [first, second] = [path("1"), path("2")];
    let mut kept = Upload::begin(&*client, &first, &bytes).await.unwrap();
    let mut given_up = Upload::begin(&*client, &second, &bytes).await.unwrap();
    given_up.put_next().await.unwrap();
    for _ in 0..2 {
        client.abort(&given_up.token).await.unwrap();
    }
    assert_eq!(yandex.state().sessions.len(), 1);
    while kept.put_next().await.unwrap() {}
    kept.finish(&bytes).await.unwrap();
    // Also one that is not there any more, or never was.
    client.abort(&kept.token).await.unwrap();
    assert_eq!(yandex.files(), [("1".to_owned(), 2 * PART)]);
    yandex.assert_clean();
}

#[tokio::test]
async fn an_end_whose_answer_is_lost_is_looked_at() {
    for (kind, when) in
        [("finish", When::Before), ("finish", When::After), ("attach", When::Before), ("attach", When::After)]
    {
        for second_attach in ["refused", "again"] {
            let yandex = Yandex::small();
            yandex.portal.set(&json!({"second_attach": second_attach})).unwrap();
            let (client, bytes) = (yandex.client(), text(2 * P + 5, 1));
            let old = put(&client, "a.bin", &text(7, 2)).await;
            let name = path("a.bin");
            let mut upload = Upload::begin(&*client, &name, &bytes).await.unwrap();
            upload.spec.replaces = Some(old);
            while upload.put_next().await.unwrap() {}
            yandex.portal.add_fault(Rule::once(kind, lost(when)));
            let mut told = upload.finish(&bytes).await;
            // As an upload does: after a doubt it asks, and does what it is told.
            for _ in 0..10 {
                match &told {
                    Ok(_) => break,
                    Err(error) => assert!(error.in_doubt(), "{kind} {when:?}: {error}"),
                }
                told = match probed(&upload).await {
                    Progress::Finished(node) => Ok(node),
                    Progress::Holds(_) => upload.finish(&bytes).await,
                    Progress::Unknown => {
                        pass(Duration::from_secs(1)).await;
                        continue;
                    }
                    // It was given up, so that nothing comes of it any more.
                    Progress::Gone => by_session(&*client, &name, &bytes).await,
                };
            }
            assert_eq!(told.unwrap().size, bytes.len() as u64, "{kind} {when:?}");
            assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes);
            assert_eq!(yandex.files(), [("a.bin".to_owned(), bytes.len() as u64)], "{kind} {when:?}");
            yandex.assert_clean();
        }
    }
}

#[tokio::test]
async fn what_others_attach_meanwhile_is_not_taken_for_it() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let (bytes, foreign) = (text(2 * P, 1), text(2 * P - 1, 2));
    let name = path("a.bin");
    let mut upload = Upload::begin(&*client, &name, &bytes).await.unwrap();
    while upload.put_next().await.unwrap() {}
    yandex.portal.add_fault(Rule::once("attach", lost(When::Before)));
    assert!(upload.finish(&bytes).await.unwrap_err().in_doubt());
    // Of the same name, by the same user, a moment later, and of the same size as far as a listing tells.
    let id = browser.attach(browser.page(""), "a.bin", &foreign);
    let node = match probed(&upload).await {
        Progress::Finished(node) => node,
        _ => upload.finish(&bytes).await.unwrap(),
    };
    let read = client.read(&name, &node, 0..node.size).await.unwrap();
    assert_eq!(read, bytes);
    assert_eq!(fresh(&yandex, &format!("a (id {id}).bin")).await.unwrap(), foreign, "it is left alone");
    yandex.assert_clean();
}

#[tokio::test]
async fn nothing_was_sent_so_nothing_is_there() {
    let yandex = Yandex::small();
    let client = yandex.client();
    assert!(matches!(settled(&*client, &spec("a.bin", 10), None).await, Progress::Gone));
    put(&client, "a.bin", &text(10, 1)).await;
    yandex.portal.add_fault(Rule::once("create_session", lost(When::After)));
    assert!(Upload::begin(&*client, &path("b.bin"), &text(P, 1)).await.err().unwrap().in_doubt());
    assert!(matches!(settled(&*client, &spec("b.bin", P), None).await, Progress::Gone));
    // Nobody can find it again; it is the only orphan there may be.
    assert_eq!(yandex.state().sessions.len(), 1);
}
