//! Renames and moves: titles, extensions, folders, and what stands in the way.

use super::*;

async fn rename(client: &Onlyoffice, from: &str, to: &str) -> Result<Node, Error> {
    let node = client.stat(&path(from)).await.unwrap();
    client.rename(&path(from), &node, &path(to)).await
}

/// What all clients see at a path.
async fn seen(office: &Office, name: &str) -> Bytes {
    content(&*connected(office).await, &path(name)).await.unwrap()
}

#[tokio::test]
async fn a_rename_is_the_same_file_under_another_name() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(100, 1));
        put(&client, "a.txt", &bytes).await;
        put(&client, "README", &bytes).await;
        let uploads = count(&office, "create_session");
        for (from, to) in [("a.txt", "b.txt"), ("b.txt", "B.txt"), ("README", "NOTES"), ("NOTES", "NOTES.md")] {
            let before = client.stat(&path(from)).await.unwrap();
            let after = rename(&client, from, to).await.unwrap();
            assert_eq!((after.id, after.name.as_str()), (before.id, to), "{generation:?}");
            assert_eq!(client.stat(&path(from)).await.unwrap_err().errno(), libc::ENOENT);
        }
        // Another case of the extension is no other name, but it is the one that was asked for.
        rename(&client, "B.txt", "B.TXT").await.unwrap();
        assert_eq!(fresh_names(&office).await, ["B.TXT", "NOTES.md"]);
        assert_eq!(client.stat(&path("B.txt")).await.unwrap().name, "B.TXT");
        assert_eq!(count(&office, "create_session"), uploads, "nothing was sent again");
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_name_without_an_extension_survives_a_rename_and_the_next_write() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        put(&client, "README", &text(10, 1)).await;
        rename(&client, "README", "NOTES").await.unwrap();
        let bytes = text(20, 2);
        put(&client, "NOTES", &bytes).await;
        assert_eq!(fresh_names(&office).await, ["NOTES"], "{generation:?}");
        assert_eq!(seen(&office, "NOTES").await, bytes);
        assert_eq!(files(&office).len(), 1);
    }
}

#[tokio::test]
async fn another_extension_is_another_file_with_the_content() {
    for generation in GENERATIONS {
        for size in [100, 2 * C + 1] {
            let office = Office::small(generation);
            let (client, bytes) = (connected(&office).await, text(size, 1));
            put(&client, "a.tmp", &bytes).await;
            put(&client, "b.txt", &text(5, 2)).await;
            for (from, to) in [("a.tmp", "a.txt"), ("a.txt", "a"), ("a", "a.md"), ("a.md", "b.txt")] {
                let node = rename(&client, from, to).await.unwrap();
                assert_eq!((node.name.as_str(), node.size), (to, size as u64), "{generation:?}");
                assert_eq!(client.stat(&path(from)).await.unwrap_err().errno(), libc::ENOENT);
                assert_eq!(seen(&office, to).await, bytes);
            }
            assert_eq!(fresh_names(&office).await, ["b.txt"]);
            assert_eq!(office.portal.violations(), []);
        }
    }
}

#[tokio::test]
async fn a_large_file_gets_no_other_extension() {
    let office = Office::with(Generation::G3, |_| {});
    let (client, bytes) = (connected(&office).await, text(33 << 20, 1));
    put(&client, "a.tmp", &bytes).await;
    let uploads = count(&office, "create_session");
    assert_eq!(rename(&client, "a.tmp", "a.txt").await.unwrap_err().errno(), libc::EXDEV);
    assert_eq!(fresh_names(&office).await, ["a.tmp"]);
    assert_eq!(count(&office, "create_session"), uploads);
}

#[tokio::test]
async fn a_rename_onto_a_file_replaces_it() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(100, 1));
        put(&client, "new.txt", &bytes).await;
        put(&client, "old.txt", &text(50, 2)).await;
        rename(&client, "new.txt", "old.txt").await.unwrap();
        assert_eq!(files(&office), [("old.txt".to_owned(), 1)], "{generation:?}");
        assert_eq!(seen(&office, "old.txt").await, bytes);
        // What was there is not lost.
        assert!(office.state().files.iter().any(|file| file.path == "/Trash/old.txt"), "{:?}", office.state().files);
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_move_finds_its_way_past_what_is_there() {
    for generation in GENERATIONS {
        for (taken, to) in [
            (&[][..], "d/a.txt"),
            (&[][..], "d/b.txt"),
            (&["a.txt"][..], "d/a.txt"),
            (&["a.txt"][..], "d/b.txt"),
            (&["a.txt", "b.txt"][..], "d/b.txt"),
            (&["A.TXT", "B.txt"][..], "d/b.txt"),
        ] {
            let office = Office::small(generation);
            let (client, bytes) = (connected(&office).await, text(100, 1));
            client.mkdir(&path("d")).await.unwrap();
            put(&client, "a.txt", &bytes).await;
            for name in taken {
                put(&client, &format!("d/{name}"), &text(7, 7)).await;
            }
            rename(&client, "a.txt", to).await.unwrap();
            let context = format!("{generation:?}: {taken:?}, {to}");
            assert_eq!(seen(&office, to).await, bytes, "{context}");
            let replaced = taken.iter().filter(|name| to == format!("d/{name}")).count();
            assert_eq!(files(&office).len(), 1 + taken.len() - replaced, "{context}");
            for name in taken.iter().filter(|name| to != format!("d/{name}")) {
                assert_eq!(seen(&office, &format!("d/{name}")).await, text(7, 7), "{context}");
            }
            office.assert_clean();
        }
    }
}

#[tokio::test]
async fn folders_are_renamed_and_moved_with_what_is_in_them() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let (client, bytes) = (connected(&office).await, text(100, 1));
        for name in ["a", "b", "empty"] {
            client.mkdir(&path(name)).await.unwrap();
        }
        put(&client, "a/f.txt", &bytes).await;
        rename(&client, "a", "c.old").await.unwrap();
        assert_eq!(seen(&office, "c.old/f.txt").await, bytes);
        rename(&client, "c.old", "b/d").await.unwrap();
        assert_eq!(seen(&office, "b/d/f.txt").await, bytes);
        // Onto an empty folder, as rename(2) does.
        rename(&client, "b/d", "empty").await.unwrap();
        assert_eq!(content(&*client, &path("empty/f.txt")).await.unwrap(), bytes, "{generation:?}");
        assert_eq!(fresh_names(&office).await, ["b", "empty"]);
        office.assert_clean();
    }
}

#[tokio::test]
async fn what_rename_refuses() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        for name in ["d", "full"] {
            client.mkdir(&path(name)).await.unwrap();
        }
        put(&client, "full/x.txt", &text(1, 1)).await;
        put(&client, "f.txt", &text(10, 1)).await;
        for (from, to, errno) in [
            ("d", "full", libc::ENOTEMPTY),
            ("f.txt", "d", libc::EISDIR),
            ("d", "f.txt", libc::ENOTDIR),
            ("f.txt", "a:b.txt", libc::EINVAL),
            ("f.txt", "missing/f.txt", libc::ENOENT),
        ] {
            let error = rename(&client, from, to).await.unwrap_err();
            assert_eq!(error.errno(), errno, "{generation:?}: {from} to {to}: {error}");
        }
        let long = format!("{}.txt", "x".repeat(162));
        assert_eq!(rename(&client, "f.txt", &long).await.unwrap_err().errno(), libc::ENAMETOOLONG);
        let gone = client.stat(&path("f.txt")).await.unwrap();
        client.remove(&path("f.txt"), &gone).await.unwrap();
        let error = client.rename(&path("f.txt"), &gone, &path("g.txt")).await.unwrap_err();
        assert_eq!(error.errno(), libc::ENOENT);
        put(&client, "f.txt", &text(20, 1)).await;
        let error = client.rename(&path("f.txt"), &gone, &path("g.txt")).await.unwrap_err();
        assert_eq!(error.errno(), libc::ESTALE, "another file by now: {error}");
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_file_that_somebody_has_locked_keeps_its_name() {
    for generation in GENERATIONS {
        let office = two_users(generation);
        let client = connected(&office).await;
        let node = put(&client, "a.txt", &text(10, 1)).await;
        put(&client, "b.txt", &text(20, 1)).await;
        client.mkdir(&path("d")).await.unwrap();
        Other::sign_in(&office, OTHER).call("PUT", &format!("file/{}/lock", node.id), &json!({"lockFile": true}));
        for (from, to) in [("a.txt", "c.txt"), ("a.txt", "d/a.txt"), ("b.txt", "a.txt")] {
            let error = rename(&client, from, to).await.unwrap_err();
            assert_eq!(error.errno(), libc::EBUSY, "{generation:?}: {from} to {to}: {error}");
            assert_eq!(fresh_names(&office).await, ["a.txt", "b.txt", "d"], "{generation:?}: {from} to {to}");
        }
        assert_eq!(seen(&office, "a.txt").await, text(10, 1));
    }
}
