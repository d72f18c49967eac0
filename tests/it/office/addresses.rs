//! Addresses that a portal gives: its own in another spelling are its own, others get nothing.

use super::*;

#[tokio::test]
async fn a_file_never_goes_to_another_host() {
    // The calls of DocSpace 3.7 need no address.
    for generation in [Generation::G0, Generation::G1, Generation::G2] {
        let office = Office::small(generation);
        let url = altered(&office, |port| (format!("//127.0.0.1:{port}/"), format!("//127.0.0.2:{port}/"))).await;
        let client = client_at(&office, url);
        client.connect().await.unwrap();
        for size in [10, 2 * C] {
            let error = any(&client, &path("a.bin"), &text(size, 1)).await.unwrap_err();
            assert_eq!(error.errno(), libc::EPROTO, "{error}");
            assert!(error.to_string().contains("127.0.0.2"), "{error}");
        }
        assert_eq!((count(&office, "chunk"), files(&office)), (0, vec![]));
    }
}

#[tokio::test]
async fn an_address_with_another_port_is_the_portal_behind_its_proxy() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let url = altered(&office, |port| {
            let inner = if port == 10_001 { 10_002 } else { 10_001 };
            (format!("//127.0.0.1:{port}/"), format!("//127.0.0.1:{inner}/"))
        });
        let (client, bytes) = (client_at(&office, url.await), text(2 * C + 7, 1));
        client.connect().await.unwrap();
        put(&client, "a.bin", &bytes).await;
        assert_eq!(content(&client, &path("a.bin")).await.unwrap(), bytes);
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_success_without_a_file_is_none() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        // The first file has this number.
        let url = altered(&office, |_| ("\"id\":100,".to_owned(), "\"id\":  0,".to_owned())).await;
        let client = client_at(&office, url);
        client.connect().await.unwrap();
        let error = any(&client, &path("a.bin"), &text(100, 1)).await.unwrap_err();
        assert_eq!((error.kind, error.errno()), (Kind::Corrupt, libc::EIO), "{generation:?} {error}");
    }
}
