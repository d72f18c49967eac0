//! Listings over many pages, and where a mount may begin.

use uploadfs::portal::faults::{Fault, Rule, When};

use super::*;

/// A client whose root is this.
async fn at(office: &Office, root: &str) -> Arc<Onlyoffice> {
    let client = office.client_at(root);
    client.connect().await.unwrap();
    client
}

/// Entries of a large folder.
const ENTRIES: usize = 260;

/// A portal with a large folder; the ids of what is in it, in the order of names.
fn crowd(generation: Generation) -> (Office, Other, Vec<u64>) {
    let office = Office::small(generation);
    let other = Other::sign_in(&office, USER);
    let make = |number: usize| {
        let made = other.call("POST", &format!("folder/{MY}"), &json!({"title": format!("folder {number:03}")}));
        made["id"].as_u64().unwrap()
    };
    let ids = (0..ENTRIES).map(make).collect();
    (office, other, ids)
}

fn expected(without: usize) -> Vec<String> {
    (0..ENTRIES).filter(|number| *number != without).map(|number| format!("folder {number:03}")).collect()
}

#[tokio::test]
async fn a_large_folder_is_listed_to_its_end() {
    for generation in GENERATIONS {
        let (office, ..) = crowd(generation);
        assert_eq!(fresh_names(&office).await, expected(ENTRIES), "{generation:?}");
        assert_eq!(office.portal.violations(), []);
    }
}

#[test]
fn what_changes_while_a_folder_is_listed_hides_nothing() {
    for generation in GENERATIONS {
        let (office, other, ids) = crowd(generation);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = office.client();
        runtime.block_on(client.stat(&RemotePath::root())).unwrap();
        let before = count(&office, "list");
        // The second page waits until an entry of the first is gone: everything moves up by one.
        office.portal.add_fault(Rule::nth("list", 2, Fault::Delay { when: When::Before, ms: 300 }));
        let names = std::thread::scope(|scope| {
            scope.spawn(|| {
                crate::support::program::until("the second page", || count(&office, "list") >= before + 2);
                other.call("DELETE", &format!("folder/{}", ids[5]), &json!({"immediately": true}));
            });
            runtime.block_on(names(&*client, &RemotePath::root())).unwrap()
        });
        let mut names: Vec<String> = names.into_iter().filter(|name| name != "folder 005").collect();
        names.sort();
        assert_eq!(names, expected(5), "{generation:?}");
    }
}

#[tokio::test]
async fn a_mount_begins_where_it_is_told_to() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        client.mkdir(&path("sub")).await.unwrap();
        client.mkdir(&path("sub/deep")).await.unwrap();
        let id = client.stat(&path("sub")).await.unwrap().id;
        let bytes = text(2 * C + 1, 1);
        for (root, place) in [
            ("@my", "/My documents/"),
            ("@common", "/Common/"),
            ("sub/deep", "/My documents/sub/deep/"),
            ("@my/sub", "/My documents/sub/"),
            (id.as_str(), "/My documents/sub/"),
            (&format!("{id}/deep"), "/My documents/sub/deep/"),
        ] {
            let name = format!("of {}.bin", root.replace('/', "-"));
            by_session(&*at(&office, root).await, &path(&name), &bytes).await.unwrap();
            let found = office.state().file(&format!("{place}{name}")).cloned();
            assert_eq!(found.map(|file| file.bytes), Some(bytes.len() as u64), "{generation:?}: {root}");
        }
        for root in ["sub/missing", "4711", "@nowhere"] {
            let error = at(&office, root).await.list(&RemotePath::root(), None).await.unwrap_err();
            let missing = [libc::ENOENT, libc::EACCES].contains(&error.errno());
            assert!(missing, "{generation:?}: {root}: {error}");
        }
        office.assert_clean();
    }
}

#[tokio::test]
async fn rooms_are_folders() {
    for generation in [Generation::G1, Generation::G2, Generation::G3] {
        let office = Office::small(generation);
        let rooms = at(&office, "rooms").await;
        let root = rooms.stat(&RemotePath::root()).await.unwrap();
        assert_eq!(names(&*rooms, &RemotePath::root()).await.unwrap(), [""; 0]);
        // Nobody makes a room by making a folder: one is put there.
        let other = Other::sign_in(&office, USER);
        let team = other.call("POST", &format!("folder/{MY}"), &json!({"title": "Team"}))["id"].clone();
        let id: u64 = root.id.parse().unwrap();
        other.call("PUT", "fileops/move", &json!({"folderIds": [team], "fileIds": [], "destFolderId": id}));
        crate::support::program::until("the room", || office.state().folders == ["/Rooms/Team"]);
        let bytes = text(2 * C, 1);
        by_session(&*at(&office, "rooms/Team").await, &path("a.bin"), &bytes).await.unwrap();
        assert_eq!(content(&*at(&office, "rooms").await, &path("Team/a.bin")).await.unwrap(), bytes, "{generation:?}");
        office.assert_clean();
    }
    let error = at(&Office::small(Generation::G0), "rooms").await.list(&RemotePath::root(), None).await.unwrap_err();
    assert!(error.to_string().contains("rooms"), "{error}");
}
