//! What the wiki refuses, as what a program can act on: too large, no room, too many pages, no right.

use super::*;

/// Uploads what must be refused, and gives the session up as an upload does; what was said.
async fn refused(yandex: &Yandex, client: &YandexWiki, size: usize) -> Error {
    let (path, bytes) = (path("a.bin"), text(size, 1));
    let mut upload = match Upload::begin(client, &path, &bytes).await {
        Ok(upload) => upload,
        Err(error) => return error,
    };
    let told = async {
        while upload.put_next().await? {}
        upload.finish(&bytes).await
    };
    let error = told.await.unwrap_err();
    client.abort(&upload.token).await.unwrap();
    assert_eq!((yandex.files(), yandex.state().sessions), (vec![], vec![]), "{error}");
    error
}

#[tokio::test]
async fn a_file_above_the_limit_is_refused_before_anything_is_asked() {
    let yandex = Yandex::small();
    let client = yandex.client_with(|config| config.file_max = 2 * PART);
    assert_eq!(client.capability().file_max, 2 * PART);
    assert_eq!(refused(&yandex, &client, 2 * P + 1).await.errno(), libc::EFBIG);
    assert_eq!(yandex.count("create_session"), 0);
    put(&client, "a.bin", &text(2 * P, 1)).await;
    yandex.assert_clean();
}

#[tokio::test]
async fn what_is_too_large_for_the_wiki_is_told_wherever_it_finds_out() {
    for step in [Step::Create, Step::Finish, Step::Attach] {
        let yandex = Yandex::with(|settings| {
            settings.file_bytes_max = PART;
            settings.oversize_at = step;
        });
        let error = refused(&yandex, &yandex.client(), P + 1).await;
        assert_eq!((error.errno(), error.retry), (libc::EFBIG, Retry::Never), "{step:?}: {error}");
        put(&yandex.client(), "a.bin", &text(P, 1)).await;
    }
}

#[tokio::test]
async fn no_room_is_told_wherever_the_wiki_finds_out() {
    for sessions_reserve in [true, false] {
        let yandex = Yandex::with(|settings| {
            settings.total_bytes = 3 * PART;
            settings.sessions_reserve = sessions_reserve;
        });
        let client = yandex.client();
        let error = refused(&yandex, &client, 3 * P + 1).await;
        assert_eq!((error.errno(), error.retry), (libc::EDQUOT, Retry::Never), "{error}");
        put(&client, "a.bin", &text(3 * P, 1)).await;
        yandex.assert_clean();
    }
    for kind in ["create_session", "finish", "attach"] {
        let yandex = Yandex::small();
        yandex.portal.add_fault(Rule::once(kind, Fault::Inject { what: Injection::Quota }));
        assert_eq!(refused(&yandex, &yandex.client(), 2 * P).await.errno(), libc::EDQUOT, "{kind}");
    }
}

#[tokio::test]
async fn sessions_that_are_too_many_are_no_room() {
    let yandex = Yandex::with(|settings| settings.sessions_max = 2);
    let (client, bytes) = (yandex.client(), text(P, 1));
    let first = Upload::begin(&*client, &path("1"), &bytes).await.unwrap();
    let second = Upload::begin(&*client, &path("2"), &bytes).await.unwrap();
    assert_eq!(errno(any(&*client, &path("a.bin"), &bytes).await), libc::EDQUOT);
    client.abort(&first.token).await.unwrap();
    put(&client, "a.bin", &bytes).await;
    client.abort(&second.token).await.unwrap();
    yandex.assert_clean();
}

#[tokio::test]
async fn pages_that_are_too_many_are_told() {
    let yandex = Yandex::small();
    let client = yandex.client();
    client.mkdir(&path("a")).await.unwrap();
    yandex.portal.set(&json!({"pages_max": 1})).unwrap();
    assert_eq!(errno(client.mkdir(&path("b")).await), libc::EDQUOT);
    assert_eq!(yandex.pages(), ["a"]);
    yandex.assert_clean();
}

#[tokio::test]
async fn without_the_right_to_write_everything_can_be_read() {
    let mut config = small(OrganisationKind::Yandex360);
    config.accounts.push(Account { may_write: false, ..Account::new("reader", "y0_reader") });
    let yandex = Yandex::of(config);
    let (writer, bytes) = (yandex.client(), text(P + 1, 1));
    writer.mkdir(&path("d")).await.unwrap();
    put(&writer, "a.bin", &bytes).await;
    yandex.renew("y0_reader");
    let reader = yandex.client();
    assert_eq!(seen(&yandex, "").await, ["a.bin", "d"]);
    assert_eq!(content(&*reader, &path("a.bin")).await.unwrap(), bytes);
    for (what, told, expected) in [
        ("a new file", errno(any(&*reader, &path("b.bin"), &bytes).await), libc::EACCES),
        ("another content", errno(any(&*reader, &path("a.bin"), &bytes).await), libc::EACCES),
        ("a removal", errno(remove(&reader, "a.bin").await), libc::EPERM),
        ("a directory", errno(reader.mkdir(&path("e")).await), libc::EACCES),
        ("no directory", errno(remove(&reader, "d").await), libc::EPERM),
        ("a rename", errno(rename(&reader, "a.bin", "b.bin").await), libc::EACCES),
        ("a move", errno(rename(&reader, "d", "e").await), libc::EACCES),
    ] {
        assert_eq!(told, expected, "{what}");
    }
    assert_eq!((yandex.files().len(), yandex.pages()), (1, vec!["d".to_owned()]));
    yandex.assert_clean();
}

#[tokio::test]
async fn pages_that_nobody_may_change_are_told() {
    let yandex = Yandex::small();
    let client = yandex.client();
    client.mkdir(&path("d")).await.unwrap();
    put(&client, "d/a.bin", &text(5, 1)).await;
    yandex.portal.set(&json!({"read_only_slugs": [format!("{ROOT_SLUG}/d")]})).unwrap();
    let (path, bytes) = (path("d/b.bin"), text(P + 1, 2));
    let mut upload = Upload::begin(&*client, &path, &bytes).await.unwrap();
    while upload.put_next().await.unwrap() {}
    assert_eq!(errno(upload.finish(&bytes).await), libc::EACCES);
    client.abort(&upload.token).await.unwrap();
    assert_eq!(errno(remove(&client, "d/a.bin").await), libc::EPERM);
    assert_eq!(errno(client.mkdir(&super::path("d/e")).await), libc::EACCES);
    assert_eq!(yandex.files(), [("d/a.bin".to_owned(), 5)]);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_limiter_says_come_back() {
    let yandex = Yandex::small();
    let client = yandex.client();
    put(&client, "a.bin", &text(5, 1)).await;
    yandex.portal.set(&json!({"requests_per_minute": 0})).unwrap();
    let error = client.mkdir(&path("d")).await.unwrap_err();
    assert_eq!(error.errno(), libc::EAGAIN);
    assert!(matches!(error.retry, Retry::After(_)), "{error:?}");
}
