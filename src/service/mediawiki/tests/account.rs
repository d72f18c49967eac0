//! Who we are and how politely we write: OAuth tokens, lag, throttles, tags.

use super::*;

fn with_token(url: &str) -> MediaWikiConfig {
    let token = Some("bearer-geheim".to_owned().into());
    MediaWikiConfig { user: String::new(), password: None, token, ..config(url) }
}

#[tokio::test]
async fn a_token_signs_every_request_and_nothing_else_does() {
    let fake = Fake::configured(with_token, |seen| taken(seen, image("A.bin", 3000))).await;
    fake.wiki.begin(&spec("a.bin"), Some(part(3000, true))).await.unwrap();
    let seen = fake.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|seen| seen.authorization.as_deref() == Some("Bearer bearer-geheim")), "{seen:?}");
    assert!(!seen.iter().any(|seen| seen.has("action=login") || seen.has("type=login")), "nobody signs in");
    let post = fake.asked().pop().unwrap();
    assert_eq!((post.field("token"), post.field("assertuser")), (Some("csrf+\\"), Some("Admin")), "as with a password");
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_said_to_be_so() {
    let no = || refuse("mwoauth-invalid-authorization", "mwoauth-invalid-authorization-invalid-user", json!({}));
    let fake = Fake::all(with_token, move |_| no()).await;
    let error = fake.wiki.connect().await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::SignedOut, Retry::Never));
    assert!(error.to_string().contains("OAuth") && !error.to_string().contains("geheim"), "{error}");
    // A wiki that ignores the header takes us for nobody.
    let nobody =
        || ok(json!({ "query": { "tokens": { "csrftoken": "+\\" }, "userinfo": { "anon": true }, "general": {} } }));
    let fake = Fake::all(with_token, move |_| nobody()).await;
    let error = fake.wiki.connect().await.unwrap_err();
    assert_eq!(error.kind, Kind::SignedOut);
    assert!(error.to_string().contains("is it still valid"), "{error}");
}

#[tokio::test]
async fn a_wiki_that_lags_says_when_to_come_back() {
    let polite = |url: &str| MediaWikiConfig { maxlag: Some(5), ..config(url) };
    let fake = Fake::configured(polite, |seen| {
        let mut reply = refuse("maxlag", "apierror-maxlag", json!({ "lag": 9.5, "host": "db" }));
        reply.headers_mut().insert("retry-after", "7".parse().unwrap());
        if seen.has("maxlag=5") { reply } else { ok(json!({ "query": { "allimages": [] } })) }
    })
    .await;
    let error = fake.wiki.put_whole(&spec("a.bin"), Payload::from_bytes(bytes(10), 0)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Busy, Retry::After(Duration::from_secs(7))), "{error}");
    // Reading waits for no replica.
    fake.wiki.list(&RemotePath::root(), None).await.unwrap();
    let impolite = Fake::new(|seen| taken(seen, image("A.bin", 3000))).await;
    impolite.wiki.begin(&spec("a.bin"), Some(part(3000, true))).await.unwrap();
    assert!(impolite.asked().iter().all(|seen| !seen.has("maxlag")));
}

#[tokio::test]
async fn an_account_that_is_locked_for_a_while_is_left_alone() {
    let fake = Fake::all(config, |seen| match seen.has("type=login") {
        true => ok(json!({ "query": { "tokens": { "logintoken": "t+\\" } } })),
        false => ok(json!({ "login": { "result": "Failed", "reason": { "key": "login-throttled", "params": [] } } })),
    })
    .await;
    for _ in 0..5 {
        let error = fake.wiki.connect().await.unwrap_err();
        assert_eq!((error.kind, error.retry), (Kind::SignedOut, Retry::Never), "{error}");
    }
    let logins = fake.seen.lock().unwrap().iter().filter(|seen| seen.has("action=login")).count();
    assert_eq!(logins, 1, "one is enough");
}

#[tokio::test]
async fn tags_and_notes_go_with_what_is_published() {
    let noted = |url: &str| MediaWikiConfig {
        comment: "{path} by {user}".into(),
        text: Some("from {path}".into()),
        tags: vec!["known".into(), "unknown".into()],
        ..config(url)
    };
    let fake = Fake::configured(noted, |seen| match seen.field("tags") {
        Some(tags) if tags.contains("unknown") => {
            refuse("badtags", "tags-apply-not-allowed-one", json!({ "disallowedtags": ["unknown"] }))
        }
        _ => ok(json!({ "upload": { "result": "Success", "filename": "A.bin", "imageinfo": image("A.bin", 10) } })),
    })
    .await;
    for _ in 0..2 {
        fake.wiki.put_whole(&spec("a.bin"), Payload::from_bytes(bytes(10), 0)).await.unwrap();
    }
    let tags: Vec<_> = fake.asked().iter().map(|seen| seen.field("tags").unwrap().to_owned()).collect();
    assert_eq!(tags, ["known|unknown", "known", "known"], "left out from then on");
    let last = fake.asked().pop().unwrap();
    assert_eq!((last.field("comment"), last.field("text")), (Some("/a.bin by Admin"), Some("from /a.bin")));
    assert_eq!(last.field("watchlist"), Some("nochange"));
}
