//! Overwrites: the new file is there, whole and looked at, before the old one goes; a reader finds one of them always.

use super::*;

/// What the wiki is about to be asked when `kind` is asked for next: everything after that is refused, so that the files
/// of that moment can be looked at.
async fn stopped_at(yandex: &Yandex, kind: &str, new: &Bytes) -> (Result<Node>, Vec<(String, u64)>) {
    yandex.portal.add_fault(Rule::always(kind, answer(403, "")));
    let told = any(&*yandex.client(), &path("a.bin"), new).await;
    let files = yandex.files();
    yandex.portal.clear_faults();
    (told, files)
}

#[tokio::test]
async fn the_old_file_goes_last() {
    let (old, new) = (text(P + 1, 1), text(2 * P + 2, 2));
    let [kept, made] = [&old, &new].map(|bytes| ("a.bin".to_owned(), bytes.len() as u64));
    for (kind, expected) in [
        ("create_session", vec![kept.clone()]),
        ("part", vec![kept.clone()]),
        ("finish", vec![kept.clone()]),
        ("attach", vec![kept.clone()]),
        ("delete_attachment", vec![kept, made]),
    ] {
        let yandex = Yandex::small();
        put(&yandex.client(), "a.bin", &old).await;
        let (told, files) = stopped_at(&yandex, kind, &new).await;
        assert_eq!(files, expected, "before {kind}: {told:?}");
        let is_there = kind == "delete_attachment";
        // Whoever looks sees the newest of what is there.
        assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), if is_there { new.clone() } else { old.clone() });
        assert!(is_there || told.is_err(), "{kind}: {told:?}");
    }
}

#[tokio::test]
async fn an_overwrite_leaves_one_file() {
    for sizes in [[P + 1, 7], [7, 3 * P], [P, P], [1, 1]] {
        let yandex = Yandex::small();
        let client = yandex.client();
        let mut versions = Vec::new();
        for (seed, size) in sizes.into_iter().cycle().take(4).enumerate() {
            let bytes = text(size, seed as u64);
            versions.push(put(&client, "a.bin", &bytes).await.version);
            assert_eq!(yandex.files(), [("a.bin".to_owned(), size as u64)]);
            assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes);
        }
        versions.sort();
        versions.dedup();
        assert_eq!(versions.len(), 4, "each is another version");
        assert_eq!((yandex.count("attach"), yandex.count("delete_attachment")), (4, 3));
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn what_somebody_else_put_there_meanwhile_is_not_removed() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let root = browser.page("");
    let before = put(&client, "a.bin", &text(10, 1)).await;
    let (foreign, new) = (text(20, 2), text(P + 3, 3));
    let mut upload = Upload::begin(&*client, &path("a.bin"), &new).await.unwrap();
    upload.spec.replaces = Some(before);
    let id = browser.attach(root, "a.bin", &foreign);
    while upload.put_next().await.unwrap() {}
    upload.finish(&new).await.unwrap();
    assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), new, "the newest has the name");
    assert_eq!(fresh(&yandex, &format!("a (id {id}).bin")).await.unwrap(), foreign);
    assert_eq!(yandex.files(), [("a.bin".to_owned(), 20), ("a.bin".to_owned(), new.len() as u64)]);
    yandex.assert_clean();
}

#[tokio::test]
async fn an_old_file_that_is_gone_already_is_no_failure() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let old = put(&client, "a.bin", &text(10, 1)).await;
    let id: u64 =
        browser.call("GET", &format!("pages/{}/attachments", browser.page("")), &json!({}))["results"][0]["id"]
            .as_u64()
            .unwrap();
    let new = text(P + 3, 3);
    let mut upload = Upload::begin(&*client, &path("a.bin"), &new).await.unwrap();
    upload.spec.replaces = Some(old);
    browser.delete(browser.page(""), id);
    while upload.put_next().await.unwrap() {}
    upload.finish(&new).await.unwrap();
    assert_eq!(yandex.files(), [("a.bin".to_owned(), new.len() as u64)]);
    assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), new);
    yandex.assert_clean();
}
