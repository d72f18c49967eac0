//! Files that cannot be replaced: locked, or opened in an editor. A portal makes a second file of the title then, without
//! a word.

use uploadfs::portal::faults::{Fault, Injection, Rule};

use super::*;

#[tokio::test]
async fn a_file_that_is_locked_meanwhile_is_busy_and_gets_no_twin() {
    for generation in [Generation::G2, Generation::G3] {
        for size in [100, 3 * C] {
            let office = Office::small(generation);
            let (client, old) = (connected(&office).await, text(50, 1));
            put(&client, "a.txt", &old).await;
            // Locked between the look at the folder and the session.
            office.portal.add_fault(Rule::once("create_session", Fault::Inject { what: Injection::Locked }));
            let error = any(&*client, &path("a.txt"), &text(size, 2)).await.unwrap_err();
            assert_eq!(error.errno(), libc::EBUSY, "{generation:?} {error}");
            assert_eq!(files(&office), [("a.txt".to_owned(), 1)]);
            assert_eq!(content(&*client, &path("a.txt")).await.unwrap(), old);
            // And unlocked again.
            put(&client, "a.txt", &text(size, 2)).await;
            assert_eq!(files(&office), [("a.txt".to_owned(), 2)]);
        }
    }
}

#[tokio::test]
async fn a_file_that_somebody_has_locked_is_busy_before_anything_is_sent() {
    for generation in GENERATIONS {
        let office = two_users(generation);
        let (client, old) = (connected(&office).await, text(50, 1));
        let node = put(&client, "a.txt", &old).await;
        let (chunks, other) = (count(&office, "chunk"), Other::sign_in(&office, OTHER));
        let lock = |on: bool| other.call("PUT", &format!("file/{}/lock", node.id), &json!({"lockFile": on}));
        lock(true);
        for client in [&client, &connected(&office).await] {
            // Known to be locked, and not.
            let error = any(&**client, &path("a.txt"), &text(2 * C, 2)).await.unwrap_err();
            let sent = count(&office, "chunk") - chunks;
            // Only a client that does not know yet sends it, and takes its twin away.
            assert_eq!(error.errno(), libc::EBUSY, "{generation:?} {error}");
            assert!(sent == 0 || sent == 2, "{generation:?}: {sent}");
            assert_eq!(files(&office), [("a.txt".to_owned(), 1)], "{generation:?}");
        }
        assert_eq!(content(&*client, &path("a.txt")).await.unwrap(), old);
        lock(false);
        put(&*connected(&office).await, "a.txt", &text(2 * C, 2)).await;
        assert_eq!(files(&office).len(), 1);
    }
}

#[tokio::test]
async fn titles_that_a_database_takes_for_one_are_two_files() {
    for generation in GENERATIONS {
        for collation in [Collation::Mysql, Collation::Postgres] {
            let office = small_with(generation, |settings| settings.collation = collation);
            let client = connected(&office).await;
            // Names that differ in case or accents, small and large, new and over what is there.
            let mut expected = Vec::new();
            for round in 0..2 {
                for (number, name) in ["Report.txt", "report.txt", "Rêport.txt", "REPORT.txt"].into_iter().enumerate()
                {
                    let size = if (round + number) % 2 == 0 { 3 * C + 1 } else { 100 };
                    let bytes = text(size + number, (round * 10 + number) as u64);
                    put(&client, name, &bytes).await;
                    expected.retain(|(known, _)| *known != name);
                    expected.push((name, bytes));
                    for (name, bytes) in &expected {
                        let there = content(&*client, &path(name)).await.unwrap();
                        assert_eq!(there, *bytes, "{name} on {generation:?}, {collation:?}");
                    }
                }
            }
            assert_eq!(fresh_names(&office).await, ["REPORT.txt", "Report.txt", "Rêport.txt", "report.txt"]);
            assert_eq!(office.portal.violations(), []);
        }
    }
}

#[tokio::test]
async fn twins_are_shown_apart_and_written_apart() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let other = Other::sign_in(&office, USER);
        let (one, two) = (text(10, 1), text(20, 2));
        let first = other.make(MY, "a.txt", &one);
        let second = other.make(MY, "b.txt", &two);
        // A rename asks nobody whether the title is taken.
        other.call("PUT", &format!("file/{}", second["id"]), &json!({"title": "a.txt", "lastVersion": 0}));
        let twin = format!("a (id {}).txt", second["id"]);
        assert_eq!(fresh_names(&office).await, [twin.as_str(), "a.txt"]);
        let client = connected(&office).await;
        assert_eq!(content(&*client, &path(&twin)).await.unwrap(), two);
        let three = text(2 * C, 3);
        put(&client, &twin, &three).await;
        assert_eq!(content(&*client, &path("a.txt")).await.unwrap(), one, "{generation:?}");
        assert_eq!(content(&*connected(&office).await, &path(&twin)).await.unwrap(), three);
        assert_eq!(files(&office).len(), 2);
        let node = client.stat(&path(&twin)).await.unwrap();
        client.remove(&path(&twin), &node).await.unwrap();
        let left = office.state().files.into_iter().find(|file| file.path == "/My documents/a.txt").unwrap();
        assert_eq!(left.id, first["id"].to_string());
    }
}
