//! The antivirus of the wiki: it takes its time, lets a file through or not, and never costs what was there before.

use std::sync::Arc;

use super::*;
use crate::support::clock::turned;
use crate::support::yandex::hurried;

/// How long it looks at a file.
const CHECK: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_file_that_is_not_let_through_is_told_and_the_old_one_stays() {
    for verdict in [Verdict::Infected, Verdict::Error] {
        let yandex = Yandex::small();
        let (client, old) = (yandex.client(), text(P + 1, 1));
        put(&client, "a.bin", &old).await;
        yandex.portal.set(&json!({"verdict": verdict})).unwrap();
        for name in ["a.bin", "b.bin"] {
            let error = any(&*client, &path(name), &text(2 * P, 2)).await.unwrap_err();
            assert_eq!((error.errno(), error.retry), (libc::EIO, Retry::Never), "{verdict:?}: {error}");
            assert!(error.to_string().contains("antivirus"), "{error}");
        }
        assert_eq!(yandex.files(), [("a.bin".to_owned(), old.len() as u64)], "{verdict:?}");
        assert_eq!(content(&*client, &path("a.bin")).await.unwrap(), old);
        assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), old);
        yandex.assert_clean();
    }
}

#[test]
fn an_antivirus_that_does_not_come_to_an_end_costs_nothing() {
    let yandex = Yandex::small();
    let (old, new) = (text(P + 1, 1), text(2 * P + 1, 2));
    turned(&yandex.portal, async |line| {
        let client = yandex.client_through(line);
        put(&client, "a.bin", &old).await;
        yandex.portal.set(&json!({"check_s": 3600})).unwrap();
        let node = put(&client, "a.bin", &new).await;
        assert_eq!(client.stat(&path("a.bin")).await.unwrap(), node, "its size is known to who sent it");
        let error = client.read(&path("a.bin"), &node, 0..10).await.unwrap_err();
        assert_eq!(error.errno(), libc::EBUSY, "{error}");
        assert!(matches!(error.retry, Retry::After(_)), "it comes by itself: {error:?}");
    });
    let sizes = [&old, &new].map(|bytes| ("a.bin".to_owned(), bytes.len() as u64));
    assert_eq!(yandex.files(), sizes, "nobody can read the new one yet");
    yandex.portal.advance(Duration::from_secs(3600));
    turned(&yandex.portal, async |line| {
        let client = yandex.client_through(line);
        assert_eq!(content(&*client, &path("a.bin")).await.unwrap(), new);
    });
    yandex.assert_clean();
}

#[tokio::test]
async fn what_is_found_in_the_end_does_not_cost_the_old_file() {
    let yandex = Arc::new(Yandex::with(|settings| settings.check_s = CHECK.as_secs()));
    let _hurry = hurried(&yandex);
    let (client, old) = (yandex.client(), text(P + 1, 1));
    put(&client, "a.bin", &old).await;
    for (verdict, expected) in [(Verdict::Infected, 1), (Verdict::Error, 1), (Verdict::Ready, 2)] {
        yandex.portal.set(&json!({"verdict": verdict})).unwrap();
        let told = any(&*client, &path("a.bin"), &text(2 * P, 2)).await;
        let size = expected * P as u64 + u64::from(expected == 1);
        assert_eq!((told.is_ok(), yandex.files()), (expected == 2, vec![("a.bin".to_owned(), size)]), "{verdict:?}");
    }
    yandex.assert_clean();
}

#[tokio::test]
async fn a_size_that_nobody_knows_yet_is_not_made_up_for_good() {
    let yandex = Yandex::with(|settings| settings.check_s = CHECK.as_secs());
    let browser = yandex.browser();
    browser.attach(browser.page(""), "a.bin", &text(3000, 1));
    let client = yandex.client();
    // Whatever is shown meanwhile, there are no bytes of it.
    if let Ok(node) = client.stat(&path("a.bin")).await
        && node.size > 0
    {
        client.read(&path("a.bin"), &node, 0..node.size).await.expect_err("nobody gets it yet");
    }
    yandex.portal.advance(CHECK);
    // A listing is believed for a moment only.
    pass(Duration::from_secs(60)).await;
    assert_eq!(client.stat(&path("a.bin")).await.unwrap().size, 3000);
    assert_eq!(content(&*client, &path("a.bin")).await.unwrap(), text(3000, 1));
    yandex.assert_clean();
}

#[tokio::test]
async fn a_foreign_file_with_a_virus_is_listed_and_not_read() {
    let yandex = Yandex::with(|settings| settings.verdict = Verdict::Infected);
    let (client, browser) = (yandex.client(), yandex.browser());
    browser.attach(browser.page(""), "bad.bin", &text(3000, 1));
    yandex.portal.set(&json!({"verdict": "ready"})).unwrap();
    put(&client, "good.bin", &text(5, 1)).await;
    assert_eq!(seen(&yandex, "").await, ["bad.bin", "good.bin"]);
    let node = client.stat(&path("bad.bin")).await.unwrap();
    for range in [0..1, 0..3000] {
        client.read(&path("bad.bin"), &node, range).await.expect_err("nobody gets it");
    }
    remove(&client, "bad.bin").await.unwrap();
    assert_eq!(seen(&yandex, "").await, ["good.bin"]);
    yandex.assert_clean();
}
