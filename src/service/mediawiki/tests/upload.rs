//! Uploads: what is on the wire, and answers that must not pass for success.

use super::*;

#[tokio::test]
async fn what_decides_is_in_the_url_and_what_is_secret_in_the_body() {
    let fake = Fake::new(|seen| taken(seen, image("A.bin", 3000))).await;
    fake.wiki.begin(&spec("a b.bin"), Some(part(3000, true))).await.unwrap();
    let asked = fake.asked();
    let post = &asked[0];
    assert_eq!((asked.len(), post.method.as_str()), (1, "POST"));
    assert_eq!(post.query, "action=upload&format=json&formatversion=2&errorformat=raw");
    for (field, value) in [
        ("token", "csrf+\\"),
        ("assertuser", "Admin"),
        ("stash", "1"),
        ("ignorewarnings", "1"),
        ("offset", "0"),
        ("filesize", "3000"),
        ("filename", "A_b.bin"),
    ] {
        assert_eq!(post.field(field), Some(value), "{field}");
    }
    assert!(post.body.contains("name=\"chunk\"; filename=\"content\""));
    for seen in fake.seen.lock().unwrap().iter() {
        assert!(!seen.query.contains("geheim") && !seen.query.contains("csrf%2B"), "{seen:?}");
    }
}

/// Sends a 3-MiB part to a wiki that refuses bodies above `limit` in its own way.
async fn against_a_limit(limit: u64, refusal: fn() -> Reply) -> (Result<Begun>, Vec<Seen>, u64) {
    let fake = Fake::new(move |seen| if seen.len > limit { refusal() } else { taken(seen, json!(null)) }).await;
    let begun = fake.wiki.begin(&spec("a.bin"), Some(part(3 << 20, false))).await;
    let taken = fake.asked().into_iter().filter(|seen| seen.len <= limit).collect();
    (begun, taken, fake.wiki.capability().whole_max)
}

#[tokio::test]
async fn every_way_to_refuse_a_large_body_leads_to_smaller_ones() {
    let ways: [fn() -> Reply; 4] = [
        || reply(413, "text/html", "<html>too large"),
        || reply(200, "text/html", "<html>help page"),
        || ok(json!({ "errors": [{ "code": "missingparam", "key": "k", "params": [{ "plaintext": "token" }] }] })),
        || refuse("badupload", "paramvalidator-badupload-inisize", json!({ "code": "inisize", "size": "900000" })),
    ];
    for (way, refusal) in ways.into_iter().enumerate() {
        let (begun, taken, learned) = against_a_limit(1 << 20, refusal).await;
        let begun = begun.unwrap();
        assert_eq!((begun.token.id.as_str(), begun.receipt.unwrap().range), ("old", 0..3 << 20), "{way}");
        assert_eq!(learned, if way == 3 { 900_000 } else { (1 << 20) - (8 << 10) });
        let mut at = 0;
        for seen in taken {
            let len = seen.field("chunk").unwrap().len() as u64;
            assert_eq!((seen.number("offset"), seen.number("filesize")), (at, at + len + 1), "{way}");
            assert_eq!(seen.field("filekey"), (at > 0).then_some("old"));
            at += len;
        }
        assert_eq!(at, 3 << 20);
    }
}

#[tokio::test]
async fn a_server_that_takes_nothing_is_not_asked_for_ever() {
    let (begun, taken, _) = against_a_limit(0, || reply(413, "text/html", "no")).await;
    let error = begun.unwrap_err();
    assert_eq!((error.kind, error.retry, taken.len()), (Kind::TooLarge, Retry::Never, 0));
}

#[tokio::test]
async fn an_assembled_file_that_is_another_one_is_not_published() {
    for wrong in [
        json!({ "size": 2999, "sha1": sha1(3000), "url": "u" }),
        json!({ "size": 3000, "sha1": sha1(2999), "url": "u" }),
        json!({ "sha1": sha1(3000), "url": "u" }),
    ] {
        let fake = Fake::new(move |seen| taken(seen, wrong.clone())).await;
        let error = fake.wiki.begin(&spec("a.bin"), Some(part(3000, true))).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (Kind::Corrupt, Retry::Never));
    }
}

#[tokio::test]
async fn answers_that_cannot_be_are_errors_and_never_success() {
    for (answer, kind, retry) in [
        (json!({ "upload": { "result": "Continue", "offset": 5, "filekey": "k" } }), Kind::Server, Retry::AskFirst),
        (json!({ "upload": { "result": "Continue", "filekey": "k" } }), Kind::Protocol, Retry::Never),
        (json!({ "upload": { "result": "Warning", "warnings": {}, "filekey": "k" } }), Kind::Protocol, Retry::Never),
        (json!({ "upload": { "result": "Poll", "filekey": "k" } }), Kind::Protocol, Retry::AskFirst),
        (json!({ "upload": { "result": "Success", "filekey": "k" } }), Kind::Protocol, Retry::Never),
        (json!({}), Kind::Protocol, Retry::AskFirst),
        (json!([]), Kind::Protocol, Retry::AskFirst),
        (
            json!({ "error": { "code": "readonly", "info": "no" } }),
            Kind::ReadOnly,
            Retry::After(Duration::from_secs(2)),
        ),
    ] {
        let fake = Fake::new(move |_| ok(answer.clone())).await;
        let error = fake.wiki.begin(&spec("a.bin"), Some(part(3000, false))).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (kind, retry), "{error}");
    }
}

#[tokio::test]
async fn the_error_header_alone_makes_a_refusal() {
    let fake = Fake::new(|_| {
        let mut reply = ok(json!({ "upload": { "result": "Success" } }));
        reply.headers_mut().insert("mediawiki-api-error", "uploaddisabled".parse().unwrap());
        reply
    })
    .await;
    assert_eq!(fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err().kind, Kind::ReadOnly);
}

#[tokio::test]
async fn statuses_of_gateways() {
    for (status, kind, retry) in [
        (504, Kind::Timeout, Retry::AskFirst),
        (502, Kind::Timeout, Retry::AskFirst),
        (500, Kind::Server, Retry::AskFirst),
        (429, Kind::Quota, Retry::After(Duration::from_secs(5))),
        (403, Kind::Denied, Retry::Never),
        (302, Kind::Protocol, Retry::Never),
    ] {
        let fake = Fake::new(move |_| reply(status, "text/html", "<html>")).await;
        let error = fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err();
        assert_eq!((error.kind, error.retry), (kind, retry), "{status}: {error}");
        let error = fake.wiki.list(&RemotePath::root(), None).await.unwrap_err();
        assert_ne!(error.retry, Retry::AskFirst, "{status}: a question may be asked again");
    }
}

#[tokio::test]
async fn a_name_the_wiki_would_change_never_leaves() {
    let fake = Fake::new(|_| panic!("nothing is asked")).await;
    for name in ["a#b.bin", "a  b.bin", "a.txt", "a.exe", "folder/a.bin"] {
        fake.wiki.put_whole(&spec(name), part(9, true).payload).await.unwrap_err();
        fake.wiki.begin(&spec(name), Some(part(9, true))).await.unwrap_err();
        let token = SessionToken { id: "old".into(), state: json!(null) };
        let receipt = Receipt { index: 0, range: 0..9, state: json!({ "key": "new" }) };
        fake.wiki.finish(&spec(name), &token, &[receipt]).await.unwrap_err();
    }
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_name_that_was_changed_is_not_a_success() {
    let answer = |name: &'static str| {
        move |_: &Seen| ok(json!({ "upload": { "result": "Success", "filename": name, "imageinfo": image(name, 9) } }))
    };
    let fake = Fake::new(answer("A-b.bin")).await;
    let error = fake.wiki.put_whole(&spec("a_b.bin"), part(9, true).payload).await.unwrap_err();
    assert_eq!(error.kind, Kind::BadName);
    assert!(error.to_string().contains("A-b.bin"), "{error}");
    let fake = Fake::new(answer("A_b.bin")).await;
    let node = fake.wiki.put_whole(&spec("a b.bin"), part(9, true).payload).await.unwrap();
    assert_eq!((node.name.as_str(), node.size), ("A_b.bin", 9));
}

#[tokio::test]
async fn a_part_the_server_has_already_is_skipped_to_what_it_wants() {
    for (wanted, expected) in [(1000, Some(vec![0, 1000])), (3000, Some(vec![0])), (4000, None)] {
        let fake = Fake::new(move |seen| match seen.number("offset") {
            0 => refuse("stashfailed", "invalid-chunk-offset", json!({ "offset": wanted.to_string() })),
            _ => taken(seen, json!(null)),
        })
        .await;
        let token = SessionToken { id: "old".into(), state: json!(null) };
        let put = fake.wiki.put(&spec("a.bin"), &token, part(3000, false)).await;
        match expected {
            Some(offsets) => {
                assert_eq!(put.unwrap().range, 0..3000);
                assert_eq!(fake.asked().iter().map(|seen| seen.number("offset")).collect::<Vec<_>>(), offsets);
            }
            None => assert_eq!(put.unwrap_err().retry, Retry::AskFirst),
        }
    }
}

#[tokio::test]
async fn a_used_up_quota_tells_its_window() {
    let fake = Fake::new(|_| refuse("ratelimited", "apierror-ratelimited", json!({}))).await;
    let error = fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Quota, Retry::After(Duration::from_secs(90))));
}

#[tokio::test]
async fn a_session_the_wiki_never_keeps_is_given_up() {
    let fake = Fake::new(|_| refuse("badtoken", "apierror-badtoken", json!({}))).await;
    let error = fake.wiki.put_whole(&spec("a.bin"), part(9, true).payload).await.unwrap_err();
    assert_eq!((error.kind, fake.asked().len()), (Kind::SignedOut, 3));
}

#[test]
fn a_configuration_without_credentials_is_refused() {
    let without = MediaWikiConfig { password: None, ..config("https://wiki.example.org/w/api.php") };
    assert_eq!(MediaWiki::new(without).err().unwrap().kind, Kind::Invalid);
    let nobody = MediaWikiConfig { user: String::new(), ..config("https://wiki.example.org/w/api.php") };
    assert_eq!(MediaWiki::new(nobody).err().unwrap().kind, Kind::Invalid);
}
