//! What a person may meet first: wrong passwords and addresses, rights, policies, limits, contents.

use super::*;

#[tokio::test]
async fn a_wrong_password_is_tried_three_times_and_no_more() {
    let wiki = Wiki::take(Which::Default).await;
    let wrong = [(wiki.env("MW_BOT_USER"), "0123456789abcdef0123456789abcdeX"), (wiki.env("MW_USER"), "falsch")];
    for (user, password) in wrong {
        let service = wiki.client(user, password);
        let mark = wiki.mark().await;
        for _ in 0..10 {
            let error = service.stat(&path("x.txt")).await.unwrap_err();
            assert_eq!((error.kind, error.retry), (Kind::SignedOut, Retry::Never), "{error}");
            assert!(error.to_string().contains(user) && !error.to_string().contains(password), "{error}");
        }
        let log = wiki.since(mark).await;
        let tries = log.iter().filter(|line| line.contains("POST")).count();
        assert_eq!(tries, 3, "{log:?}");
        let error = service.stat(&path("x.txt")).await.unwrap_err();
        assert!(error.to_string().contains("not trying again for"), "{error}");
    }
}

#[tokio::test]
async fn the_account_is_described() {
    let wiki = wide().await;
    let lines = wiki.bot().check().await.unwrap().join("\n");
    for word in ["TestWiki", "MediaWiki 1.", "Admin", "largest file: 5120 MiB", "bin", "suppressredirect"] {
        assert!(lines.contains(word), "{word} in {lines}");
    }
    assert!(!lines.contains("no right"), "{lines}");
    let lines = wiki.user().check().await.unwrap().join("\n");
    assert!(lines.contains("no right `delete`") && lines.contains("no right `suppressredirect`"), "{lines}");
    assert!(lines.contains("rate: 8 of `move` in 60 s"), "{lines}");
    let service = wiki.bot();
    service.connect().await.unwrap();
    assert_eq!(service.capability().file_max, 5 << 30);
}

/// What a person sees who is kept out: kind, retry and words.
async fn kept_out(service: &MediaWiki, expected: (Kind, bool), words: &[&str]) -> Error {
    let error = service.check().await.unwrap_err();
    assert_eq!((error.kind, error.retry == Retry::Never), expected, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} in {error}");
    }
    error
}

#[tokio::test]
async fn wrong_addresses_are_explained() {
    let wiki = wide().await;
    let base = wiki.env("MW_URL").replace("/w/api.php", "");
    for wrong in ["/w/index.php", "/w/nothing.php", "/"] {
        let service = wiki.client_at(&format!("{base}{wrong}"), wiki.env("MW_BOT_USER"), wiki.env("MW_BOT_PASS"));
        let error = kept_out(&service, (Kind::Protocol, true), &[]).await;
        assert!(error.to_string().contains("/w/api.php"), "{wrong}: {error}");
    }
    let service = wiki.client_at("http://127.0.0.1:9/w/api.php", "a@b", "c");
    kept_out(&service, (Kind::Unreachable, false), &["127.0.0.1:9", "refused"]).await;
}

#[tokio::test]
async fn wikis_that_take_nothing_say_why() {
    let wiki = wide().await;
    let bytes = fresh(2000);
    for (switch, kind, word) in [
        ("readonly", Kind::ReadOnly, "maintenance now"),
        ("uploaddisabled", Kind::ReadOnly, "switched off"),
        ("no-upload-right", Kind::Denied, "upload"),
        ("blocked", Kind::Denied, "blocked"),
        ("unavailable", Kind::Server, "503"),
    ] {
        let on = wiki.switch(switch);
        let error = wiki.user().check().await.unwrap_err();
        assert_eq!(error.kind, kind, "{switch}: {error}");
        assert!(error.to_string().contains(word), "{switch}: {error}");
        drop(on);
        // One who was in before it began.
        let service = wiki.user();
        service.connect().await.unwrap();
        let _on = wiki.switch(switch);
        for error in [
            whole(&service, &path("no.txt"), &bytes).await.unwrap_err(),
            by_session(&service, &path("no.txt"), &bytes).await.unwrap_err(),
        ] {
            assert_eq!(error.kind, kind, "{switch}: {error}");
        }
    }
}

#[tokio::test]
async fn policies_of_a_wiki_have_their_own_errors() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(3000));
    service.connect().await.unwrap();
    let refused = async |switch: &'static str, name: &str| {
        let _on = wiki.switch(switch);
        let by_one = whole(&service, &path(name), &bytes).await.unwrap_err();
        let by_parts = by_session(&service, &path(name), &bytes).await.unwrap_err();
        assert_eq!(by_one.kind, by_parts.kind, "{by_one}; {by_parts}");
        by_one
    };
    assert_eq!(refused("abusefilter", "filtered.txt").await.kind, Kind::Refused);
    assert_eq!(refused("titleblacklist", "bad.txt").await.kind, Kind::Denied);
    whole(&service, &path("mine.txt"), &fresh(10)).await.unwrap();
    let user = wiki.user();
    let _on = wiki.switch("no-reupload");
    let error = whole(&user, &path("mine.txt"), &bytes).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied, "{error}");
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back_and_the_stash_survives() {
    let wiki = wide().await;
    let _on = wiki.switch("ratelimited");
    let service = wiki.user();
    for count in 0..2 {
        whole(&service, &path(&format!("rate-{count}.txt")), &fresh(100)).await.unwrap();
    }
    let (bytes, name) = (fresh(100_000), path("rate.txt"));
    let error = by_session(&service, &name, &bytes).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Quota, Retry::After(Duration::from_secs(60))), "{error}");
    assert!(error.to_string().contains("2 times in 60 s"), "{error}");
}

#[tokio::test]
async fn a_private_wiki_is_read_with_the_session() {
    let wiki = wide().await;
    let (service, bytes) = (wiki.bot(), fresh(1000));
    let _on = wiki.switch("private");
    whole(&service, &path("private.txt"), &bytes).await.unwrap();
    wiki.manage(&["expire-sessions"]);
    assert_eq!(content(&service, &path("private.txt")).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_is_too_large_for_the_wiki_is_too_large() {
    let wiki = wide().await;
    let _on = wiki.switch("max-3m");
    let (service, bytes) = (wiki.bot(), fresh(4 * MIB));
    service.connect().await.unwrap();
    assert_eq!(service.capability().file_max, 3 << 20);
    for error in [
        whole(&service, &path("large.txt"), &bytes).await.unwrap_err(),
        by_session(&service, &path("large.txt"), &bytes).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, error.retry), (Kind::TooLarge, Retry::Never), "{error}");
    }
}

#[tokio::test]
async fn contents_the_wiki_does_not_want_are_refused() {
    let wiki = Wiki::take(Which::Default).await;
    let service = wiki.bot();
    let page = Bytes::from(format!("<html><script>{}</script>", "x".repeat(3000)));
    for error in [
        whole(&service, &path("page.txt"), &page).await.unwrap_err(),
        by_session(&service, &path("page.txt"), &page).await.unwrap_err(),
        // Text is no picture; the whole file is judged by its last name.
        by_session(&service, &path("picture.png"), &fresh(3000)).await.unwrap_err(),
    ] {
        assert_eq!((error.kind, error.retry), (Kind::Refused, Retry::Never), "{error}");
    }
}

#[tokio::test]
async fn empty_things_never_leave() {
    let wiki = wide().await;
    let service = wiki.bot();
    let error = whole(&service, &path("empty.txt"), &Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
    let bytes = fresh(100_000);
    let mut upload = in_parts(&service, "empty.bin", &bytes, MIB).await;
    let nothing = Part { index: 9, payload: Payload::from_bytes(bytes.clone(), 0).slice(5..5), last: true };
    assert_eq!(upload.put(nothing).await.unwrap_err().kind, Kind::Invalid);
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
}
