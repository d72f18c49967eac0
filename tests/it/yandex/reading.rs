//! Downloads: sizes that no listing tells, ranges where the wiki knows them and one stream where it does not, redirects to
//! storage without a credential, and what is no file.

use super::*;

/// The size that most files here have, in bytes.
const SIZE: usize = 12 * P - 5;

/// A wiki with these settings and a file that its client did not upload.
async fn with_file(changes: serde_json::Value) -> (Yandex, Bytes) {
    let yandex = Yandex::small();
    yandex.portal.set(&changes).unwrap();
    let bytes = text(SIZE, 1);
    put(&yandex.client(), "a.bin", &bytes).await;
    (yandex, bytes)
}

#[tokio::test]
async fn every_range_is_exact_however_downloads_are_answered() {
    for changes in [
        json!({}),
        json!({"ranges": true}),
        json!({"ranges": true, "head": true}),
        json!({"download_redirects": true}),
        json!({"download_redirects": true, "ranges": true}),
        json!({"download_by_url_redirects": false}),
    ] {
        let (yandex, bytes) = with_file(changes.clone()).await;
        let client = yandex.client();
        let node = client.stat(&path("a.bin")).await.unwrap();
        assert_eq!(node.size, SIZE as u64, "{changes}");
        let end = SIZE as u64;
        for range in [0..1, 5..4100, 0..end, end - 1..end, 3000..3000, 100..200, 4096..8192, 0..10] {
            let read = client.read(&path("a.bin"), &node, range.clone()).await.unwrap();
            assert!(read == bytes[range.start as usize..range.end as usize], "{changes}: {range:?}");
        }
        for beyond in [end - 1..end + 1, end + 5..end + 6] {
            client.read(&path("a.bin"), &node, beyond).await.expect_err("bytes that the file does not have");
        }
        // Storage notes credentials as a broken rule.
        yandex.assert_clean();
        let is_redirected = changes["download_redirects"] == json!(true);
        assert_eq!(yandex.count("stored") > 0, is_redirected, "{changes}");
    }
}

#[tokio::test]
async fn a_file_that_is_read_in_order_is_one_stream_where_there_are_no_ranges() {
    let (yandex, bytes) = with_file(json!({})).await;
    let client = yandex.client();
    let node = client.stat(&path("a.bin")).await.unwrap();
    let before = yandex.count("download");
    let mut read = Vec::new();
    for at in (0..SIZE).step_by(1000) {
        let range = at as u64..(at + 1000).min(SIZE) as u64;
        read.extend_from_slice(&client.read(&path("a.bin"), &node, range).await.unwrap());
    }
    assert!(read == bytes);
    let downloads = yandex.count("download") - before;
    assert!(downloads <= 2, "{downloads} downloads for one file");
    yandex.assert_clean();
}

#[tokio::test]
async fn ranges_are_asked_for_where_they_are_answered() {
    for changes in [json!({"ranges": true}), json!({"download_redirects": true})] {
        let (yandex, bytes) = with_file(changes.clone()).await;
        let client = yandex.client();
        let node = client.stat(&path("a.bin")).await.unwrap();
        // From the end to the beginning: no stream does that.
        for at in (0..10).rev() {
            let range = at * 1000..at * 1000 + 1000;
            let read = client.read(&path("a.bin"), &node, range.clone()).await.unwrap();
            assert!(read == bytes[range.start as usize..range.end as usize], "{changes}");
        }
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn signed_addresses_end_and_are_asked_for_again() {
    let (yandex, bytes) = with_file(json!({"download_redirects": true})).await;
    let client = yandex.client();
    let node = client.stat(&path("a.bin")).await.unwrap();
    for at in 0..3_u64 {
        let read = client.read(&path("a.bin"), &node, at * 5000..at * 5000 + 5000).await.unwrap();
        assert!(read == bytes[at as usize * 5000..][..5000]);
        yandex.portal.advance(Duration::from_secs(2 * 3600));
    }
    yandex.assert_clean();
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_found_though_it_is_a_picture() {
    for changes in [json!({}), json!({"ranges": true}), json!({"download_redirects": true})] {
        let (yandex, _) = with_file(changes).await;
        let client = yandex.client();
        let node = client.stat(&path("a.bin")).await.unwrap();
        client.read(&path("a.bin"), &node, 0..10).await.unwrap();
        remove(&yandex.client(), "a.bin").await.unwrap();
        let fresh = yandex.client();
        assert_eq!(errno(fresh.read(&path("a.bin"), &node, 5..SIZE as u64).await), libc::ENOENT);
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn the_version_that_was_opened_is_read_or_said_to_be_gone() {
    let (yandex, _) = with_file(json!({})).await;
    let client = yandex.client();
    let node = client.stat(&path("a.bin")).await.unwrap();
    let new = text(SIZE, 2);
    put(&yandex.client(), "a.bin", &new).await;
    let told = errno(client.read(&path("a.bin"), &node, 0..10).await);
    assert!([libc::ESTALE, libc::ENOENT].contains(&told), "{told}");
    assert!(fresh(&yandex, "a.bin").await.unwrap() == new);
}

#[tokio::test]
async fn what_is_no_file_is_never_content() {
    let page = "<html><body>Sign in, please.</body></html>".repeat(400);
    for changes in [json!({}), json!({"ranges": true}), json!({"download_redirects": true})] {
        for kind in ["download", "stored"] {
            for fault in [answer(200, &page), answer(206, &page), answer(302, ""), answer(200, "")] {
                let (yandex, bytes) = with_file(changes.clone()).await;
                let client = yandex.client();
                let node = client.stat(&path("a.bin")).await.unwrap();
                yandex.portal.add_fault(Rule::once(kind, fault.clone()));
                let read = client.read(&path("a.bin"), &node, 0..SIZE as u64).await;
                assert!(read.is_err() || read.unwrap() == bytes, "{changes}: {kind}, {fault:?}");
                yandex.portal.clear_faults();
                assert!(client.read(&path("a.bin"), &node, 0..SIZE as u64).await.unwrap() == bytes);
            }
        }
    }
}

#[tokio::test]
async fn a_download_that_is_cut_is_not_a_short_file() {
    for (changes, kind) in [
        (json!({}), "download"),
        (json!({"ranges": true}), "download"),
        (json!({"download_redirects": true}), "stored"),
    ] {
        for at in [0, 1, 5000] {
            let (yandex, bytes) = with_file(changes.clone()).await;
            let client = yandex.client();
            let node = client.stat(&path("a.bin")).await.unwrap();
            let whole = 0..SIZE as u64;
            yandex.portal.add_fault(Rule::once(kind, Fault::CutAnswer { at, how: How::Close }));
            let read = client.read(&path("a.bin"), &node, whole.clone()).await;
            assert!(read.is_err() || read.unwrap() == bytes, "{changes} cut at {at}");
            assert!(client.read(&path("a.bin"), &node, whole).await.unwrap() == bytes);
            yandex.assert_clean();
        }
    }
}
