//! Removing, and the operations behind it: reports that others use up, files that are locked, words in other languages.

use std::sync::atomic::{AtomicBool, Ordering};

use uploadfs::portal::onlyoffice::Language;

use super::*;

#[tokio::test]
async fn what_is_removed_lies_in_the_trash() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let node = put(&client, "a.txt", &text(10, 1)).await;
        client.mkdir(&path("d")).await.unwrap();
        let folder = client.stat(&path("d")).await.unwrap();
        assert_eq!(folder.kind, NodeKind::Directory);
        client.remove(&path("a.txt"), &node).await.unwrap();
        client.remove(&path("d"), &folder).await.unwrap();
        assert_eq!(fresh_names(&office).await, [""; 0]);
        let state = office.state();
        assert_eq!((state.files[0].path.as_str(), state.folders[0].as_str()), ("/Trash/a.txt", "/Trash/d"));
        assert_eq!(client.remove(&path("a.txt"), &node).await.unwrap_err().errno(), libc::ENOENT);
        // A file in the trash can still be asked for, and is not there.
        let error = client.read(&path("a.txt"), &node, 0..10).await;
        assert!(error.is_ok() || error.unwrap_err().errno() == libc::ENOENT);
        office.assert_clean();
    }
}

#[test]
fn a_report_that_another_client_has_used_up_is_not_waited_for() {
    for generation in GENERATIONS {
        let office = small_with(generation, |settings| settings.operation_ms = 5);
        let other = Other::sign_in(&office, USER);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Asks all the time, so that it gets most reports.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    other.request("GET", "/api/2.0/files/fileops").send(other.address).unwrap();
                }
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                runtime.block_on(async {
                    let client = connected(&office).await;
                    client.mkdir(&path("d")).await.unwrap();
                    for number in 0..5 {
                        let (name, moved) = (format!("{number}.txt"), format!("d/{number}.txt"));
                        let node = put(&client, &name, &text(10, number)).await;
                        let node = client.rename(&path(&name), &node, &path(&moved)).await.unwrap();
                        client.remove(&path(&moved), &node).await.unwrap();
                    }
                });
            }));
            over.store(true, Ordering::Relaxed);
            done.unwrap();
        });
        assert_eq!(files(&office), []);
    }
}

#[tokio::test]
async fn a_locked_file_is_busy_in_every_language() {
    for generation in GENERATIONS {
        for language in [Language::En, Language::De] {
            let office = two_users(generation);
            office.portal.set(&json!({"language": language})).unwrap();
            let client = connected(&office).await;
            let node = put(&client, "a.txt", &text(10, 1)).await;
            let other = Other::sign_in(&office, OTHER);
            let lock = |on: bool| other.call("PUT", &format!("file/{}/lock", node.id), &json!({"lockFile": on}));
            lock(true);
            let error = client.remove(&path("a.txt"), &node).await.unwrap_err();
            assert_eq!(error.errno(), libc::EBUSY, "{generation:?} {language:?}: {error}");
            assert_eq!(fresh_names(&office).await, ["a.txt"]);
            lock(false);
            client.remove(&path("a.txt"), &node).await.unwrap();
            assert_eq!(fresh_names(&office).await, [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_folder_with_something_in_it_stays() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        client.mkdir(&path("d")).await.unwrap();
        client.list(&path("d"), None).await.unwrap();
        // Somebody else puts a file into it meanwhile.
        let folder = client.stat(&path("d")).await.unwrap();
        Other::sign_in(&office, USER).make(folder.id.parse().unwrap(), "x.txt", &text(1, 1));
        let error = client.remove(&path("d"), &folder).await.unwrap_err();
        assert_eq!(error.errno(), libc::ENOTEMPTY, "{generation:?}: {error}");
        assert_eq!(office.state().folders, ["/My documents/d"]);
    }
}

#[tokio::test]
async fn what_somebody_else_removed_is_gone_already() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let node = put(&client, "a.txt", &text(10, 1)).await;
        let gone = connected(&office).await;
        gone.remove(&path("a.txt"), &gone.stat(&path("a.txt")).await.unwrap()).await.unwrap();
        let removed = client.remove(&path("a.txt"), &node).await;
        assert!(
            removed.is_ok() || removed.as_ref().unwrap_err().errno() == libc::ENOENT,
            "{generation:?}: {removed:?}"
        );
        assert_eq!(fresh_names(&office).await, [""; 0]);
    }
}
