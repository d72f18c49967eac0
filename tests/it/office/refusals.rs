//! Refusals: quota, size, rights, money, kinds of files; each with its errno, at the first call that can know.

use super::*;

/// Uploads that must be refused: how, and how many chunks were sent before.
async fn refused(office: &Office, client: &Onlyoffice, name: &str, size: usize) -> (Error, u64) {
    let before = count(office, "chunk");
    let error = any(client, &path(name), &text(size, 9)).await.expect_err(name);
    (error, count(office, "chunk") - before)
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_before_it_is_sent() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.file_bytes_max = 2 * CHUNK);
        let (error, chunks) = refused(&office, &*connected(&office).await, "a.bin", 2 * C + 1).await;
        assert_eq!((error.errno(), chunks), (libc::EFBIG, 0), "{generation:?}: {error}");
        put(&*connected(&office).await, "a.bin", &text(2 * C, 1)).await;
    }
}

#[tokio::test]
async fn a_file_that_was_not_too_large_before_finds_no_room() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.total_bytes = Some(10 * CHUNK));
        let client = connected(&office).await;
        put(&client, "a.bin", &text(6 * C, 1)).await;
        let (error, chunks) = refused(&office, &client, "b.bin", 6 * C).await;
        assert_eq!((error.errno(), chunks), (libc::EDQUOT, 0), "{generation:?}: {error}");
        // A client that has only seen it in a listing knows as much.
        let client = connected(&office).await;
        client.list(&RemotePath::root(), None).await.unwrap();
        assert_eq!(refused(&office, &client, "b.bin", 6 * C).await.0.errno(), libc::EDQUOT);
    }
}

#[tokio::test]
async fn a_room_that_is_full_is_found_at_the_end() {
    for generation in GENERATIONS {
        for size in [100, 3 * C] {
            let office = small_with(generation, |settings| settings.room_bytes = Some(CHUNK));
            let client = connected(&office).await;
            put(&client, "a.bin", &text(2 * C - 50, 1)).await;
            let (error, _) = refused(&office, &client, "b.bin", size).await;
            assert_eq!(error.errno(), libc::EDQUOT, "{generation:?}: {error}");
            assert_eq!(files(&office), [("a.bin".to_owned(), 1)]);
        }
    }
}

#[tokio::test]
async fn a_kind_of_file_that_is_not_taken() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.extensions = vec![".txt".to_owned()]);
        let client = connected(&office).await;
        put(&client, "a.txt", &text(10, 1)).await;
        for size in [10, 2 * C] {
            let (error, chunks) = refused(&office, &client, "a.bin", size).await;
            assert_eq!((error.errno(), chunks), (libc::EPERM, 0), "{generation:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_portal_that_is_not_paid_for_says_so() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let node = put(&client, "a.txt", &text(10, 1)).await;
        office.portal.set(&json!({"paid": false})).unwrap();
        let errors = [
            client.mkdir(&path("d")).await.unwrap_err(),
            client.read(&path("a.txt"), &node, 0..10).await.unwrap_err(),
            any(&*client, &path("b.bin"), &text(10, 1)).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.errno(), libc::EACCES, "{generation:?}: {error}");
            assert!(error.to_string().contains("not paid for"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_account_that_may_not_write_learns_it_when_it_opens_a_file() {
    for generation in GENERATIONS {
        let mut config = PortalSettings::new(generation);
        config.accounts.push(Account { may_write: false, ..Account::new(OTHER, PASSWORD) });
        config.settings.chunk_bytes = CHUNK;
        let office = Office::of(config);
        let bytes = text(10, 1);
        put(&*connected(&office).await, "a.txt", &bytes).await;
        let config = OnlyofficeConfig { user: OTHER.to_owned(), ..office.config("@my") };
        let client = Onlyoffice::new(config).unwrap();
        client.connect().await.unwrap();
        assert_eq!(content(&client, &path("a.txt")).await.unwrap(), bytes);
        // CommunityServer says nothing about rights.
        if generation != Generation::G0 {
            assert_eq!(client.admit(&path("new.txt")).await.unwrap_err().errno(), libc::EACCES, "{generation:?}");
            assert_eq!(client.admit(&path("a.txt")).await.unwrap_err().errno(), libc::EACCES, "{generation:?}");
        }
        for name in ["new.txt", "a.txt"] {
            let (error, chunks) = refused(&office, &client, name, 2 * C).await;
            assert_eq!((error.errno(), chunks), (libc::EACCES, 0), "{generation:?}: {error}");
        }
        let node = client.stat(&path("a.txt")).await.unwrap();
        for error in [
            client.remove(&path("a.txt"), &node).await.unwrap_err(),
            client.rename(&path("a.txt"), &node, &path("b.txt")).await.unwrap_err(),
            client.mkdir(&path("d")).await.unwrap_err(),
        ] {
            assert!([libc::EACCES, libc::EPERM].contains(&error.errno()), "{generation:?}: {error}");
        }
        assert_eq!(files(&office), [("a.txt".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_proxy_that_takes_less_than_a_chunk_is_said_to() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.request_bytes_max = CHUNK);
        let (error, _) = refused(&office, &*connected(&office).await, "a.bin", 2 * C).await;
        assert_eq!(error.errno(), libc::EIO, "{generation:?}: nothing is wrong with the file: {error}");
        assert!(error.to_string().contains("proxy"), "{error}");
        assert_eq!(files(&office), []);
    }
}

#[tokio::test]
async fn empty_files_are_taken_by_those_that_can() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let can = generation == Generation::G3;
        assert_eq!(client.capability().empty_files, can, "{generation:?}");
        match whole(&*client, &path("a.txt"), &Bytes::new()).await {
            Ok(node) => assert!(can && node.size == 0),
            Err(error) => assert!(!can && error.errno() == libc::EOPNOTSUPP, "{generation:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_is_not_found() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        client.mkdir(&path("d")).await.unwrap();
        let folder = client.stat(&path("d")).await.unwrap();
        client.list(&path("d"), None).await.unwrap();
        Other::sign_in(&office, USER).call("DELETE", &format!("folder/{}", folder.id), &json!({"immediately": true}));
        crate::support::program::until("the folder to go", || office.state().folders.is_empty());
        let error = any(&*client, &path("d/a.txt"), &text(2 * C, 1)).await.unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT, "{generation:?}: {error}");
    }
}
