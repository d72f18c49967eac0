//! Signing in, and everything that keeps a client out.

use std::time::Duration;

use futures_util::future::{join_all, try_join_all};

use super::*;

/// A client with a key or token instead of a password.
fn with_token(office: &Office, token: &str) -> Onlyoffice {
    let config = OnlyofficeConfig { token: Some(token.into()), password: None, ..office.config("@my") };
    Onlyoffice::new(config).unwrap()
}

/// Asks for something ten times, and must be refused each time; the last refusal.
async fn knock(client: &Onlyoffice) -> Error {
    let mut last = None;
    for _ in 0..10 {
        let error = client.stat(&path("a.txt")).await.unwrap_err();
        assert_eq!((error.kind, error.errno()), (Kind::SignedOut, libc::EACCES), "{error}");
        last = Some(error);
    }
    last.unwrap()
}

#[tokio::test]
async fn uploads_whose_token_expires_sign_in_once_and_go_on() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.token_life_s = 3600);
        let (client, bytes) = (connected(&office).await, text(2 * C + 5, 1));
        let paths: Vec<RemotePath> = (0..4).map(|number| path(&format!("{number}.bin"))).collect();
        let begun = paths.iter().map(|path| Upload::begin(&*client, path, &bytes));
        let mut uploads = try_join_all(begun).await.unwrap();
        office.portal.advance(Duration::from_secs(3600));
        for _ in 0..3 {
            try_join_all(uploads.iter_mut().map(Upload::put_next)).await.unwrap();
        }
        let nodes = join_all(uploads.iter_mut().map(|upload| upload.finish(&bytes))).await;
        assert!(nodes.iter().all(|node| node.as_ref().is_ok_and(|node| node.size == bytes.len() as u64)));
        assert_eq!(count(&office, "sign_in"), 2, "{generation:?}");
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_403_may_mean_that_nobody_is_signed_in() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.token_life_s = 3600);
        let client = connected(&office).await;
        let node = put(&client, "a.txt", &text(10, 1)).await;
        office.portal.advance(Duration::from_secs(3600));
        // Newer portals let strangers as far as the question whether they may.
        client.rename(&path("a.txt"), &node, &path("b.txt")).await.unwrap();
        assert_eq!(count(&office, "sign_in"), 2, "{generation:?}");
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_403_that_is_meant_so_is_asked_about_once() {
    for generation in GENERATIONS {
        let office = two_users(generation);
        let client = connected(&office).await;
        let node = put(&client, "a.txt", &text(10, 1)).await;
        let other = Other::sign_in(&office, OTHER);
        other.call("PUT", &format!("file/{}/lock", node.id), &json!({"lockFile": true}));
        client.rename(&path("a.txt"), &node, &path("b.txt")).await.unwrap_err();
        // The other one and we.
        assert_eq!(count(&office, "sign_in"), 2, "{generation:?}");
        assert!(count(&office, "self") <= 1, "{generation:?}");
    }
}

#[tokio::test]
async fn a_key_signs_in_by_itself() {
    let office = Office::small(Generation::G3);
    let client = with_token(&office, API_KEY);
    client.connect().await.unwrap();
    let bytes = text(3 * C, 1);
    by_session(&client, &path("a.bin"), &bytes).await.unwrap();
    assert_eq!(content(&client, &path("a.bin")).await.unwrap(), bytes);
    assert_eq!(count(&office, "sign_in"), 0);
    office.assert_clean();
}

#[tokio::test]
async fn a_key_that_is_not_taken_is_not_tried_for_ever() {
    let office = Office::small(Generation::G3);
    let client = with_token(&office, &format!("sk-{}", "0".repeat(64)));
    let error = knock(&client).await;
    assert!(error.to_string().contains("key"), "{error}");
    let requests: u64 = office.state().requests.values().sum();
    assert!(requests <= 6, "{:?}", office.state().requests);
}

#[tokio::test]
async fn a_key_that_may_only_read_reads() {
    let mut config = PortalSettings::new(Generation::G3);
    config.accounts[0].scopes = vec!["files:read".to_owned()];
    config.settings.chunk_bytes = CHUNK;
    let office = Office::of(config);
    let bytes = text(100, 1);
    put(&*connected(&office).await, "a.txt", &bytes).await;
    let client = with_token(&office, API_KEY);
    assert_eq!(content(&client, &path("a.txt")).await.unwrap(), bytes);
    let error = any(&client, &path("b.txt"), &bytes).await.unwrap_err();
    assert_eq!(error.errno(), libc::EACCES, "{error}");
    assert_eq!(files(&office).len(), 1);
}

#[tokio::test]
async fn a_second_factor_is_told_and_not_tried_again() {
    for generation in GENERATIONS {
        let mut config = PortalSettings::new(generation);
        config.accounts[0].second_factor = Some("123456".to_owned());
        let office = Office::of(config);
        let error = knock(&office.client()).await;
        assert!(error.to_string().contains("second factor") && error.to_string().contains("key"), "{error}");
        assert_eq!(count(&office, "sign_in"), 1, "{generation:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_does_not_lock_the_account() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let config = OnlyofficeConfig { password: Some("falsch".into()), ..office.config("@my") };
        let error = knock(&Onlyoffice::new(config).unwrap()).await;
        assert!(error.to_string().contains(USER), "{error}");
        assert!(count(&office, "sign_in") <= 3, "{generation:?}");
        connected(&office).await.list(&RemotePath::root(), None).await.unwrap();
    }
}

#[tokio::test]
async fn an_account_that_is_blocked_is_left_alone() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.login_attempts_max = 0);
        let error = knock(&office.client()).await;
        assert!(error.to_string().contains("any more"), "{error}");
        assert_eq!(count(&office, "sign_in"), 1, "{generation:?}");
    }
}
