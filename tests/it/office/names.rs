//! Names as the portal has them and as the mount shows them.

use super::*;

#[tokio::test]
async fn a_name_without_an_extension_has_no_dot_here() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let node = put(&client, "README", &text(10, 1)).await;
        assert_eq!(node.name, "README");
        assert_eq!(files(&office), [("README.".to_owned(), 1)]);
        assert_eq!(fresh_names(&office).await, ["README"]);
        // Both spellings are the file, and so they are when it is written again.
        let large = text(2 * C + 1, 2);
        put(&client, "README.", &large).await;
        for name in ["README", "README."] {
            assert_eq!(content(&*connected(&office).await, &path(name)).await.unwrap(), large, "{generation:?} {name}");
        }
        assert_eq!(files(&office).len(), 1);
        office.assert_clean();
    }
}

#[tokio::test]
async fn the_case_of_an_extension_is_the_portals() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        put(&client, "Photo.JPG", &text(10, 1)).await;
        let bytes = text(20, 2);
        put(&client, "Photo.jpg", &bytes).await;
        assert_eq!(fresh_names(&office).await, ["Photo.jpg"]);
        assert_eq!(content(&*client, &path("Photo.Jpg")).await.unwrap(), bytes);
        assert_eq!(files(&office).len(), 1, "{generation:?}");
        office.assert_clean();
    }
}

#[tokio::test]
async fn what_a_portal_would_change_is_refused_before_anything_is_asked() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let before = office.state().requests;
        for name in ["a*b", "a+b", "a:b", "a\"b", "a<b", "a>b", "a?b", "a|b", "a\\b", " a", "a ", "🎉.txt"] {
            assert_eq!(client.admit(&path(name)).await.unwrap_err().errno(), libc::EINVAL, "{name:?}");
            assert_eq!(client.mkdir(&path(name)).await.unwrap_err().errno(), libc::EINVAL, "{name:?}");
        }
        assert_eq!(client.admit(&path(&"x".repeat(170))).await.unwrap_err().errno(), libc::ENAMETOOLONG);
        assert_eq!(client.mkdir(&path(&"x".repeat(166))).await.unwrap_err().errno(), libc::ENAMETOOLONG);
        assert_eq!(office.state().requests, before);
    }
}

#[tokio::test]
async fn the_longest_names_arrive_as_they_are() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        let long = [format!("{}.txt", "x".repeat(166)), "y".repeat(169), format!("{}.b", "z".repeat(168))];
        for name in &long {
            put(&client, name, &text(10, 1)).await;
        }
        let folder = "d".repeat(165);
        client.mkdir(&path(&folder)).await.unwrap();
        let mut expected: Vec<String> = long.into_iter().chain([folder]).collect();
        expected.sort();
        assert_eq!(fresh_names(&office).await, expected, "{generation:?}");
        office.assert_clean();
    }
}

#[tokio::test]
async fn a_folder_of_a_taken_name_is_not_made() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = connected(&office).await;
        put(&client, "README", &text(10, 1)).await;
        client.mkdir(&path("d")).await.unwrap();
        for name in ["d", "README", "README."] {
            assert_eq!(client.mkdir(&path(name)).await.unwrap_err().errno(), libc::EEXIST, "{name}");
        }
        assert_eq!(office.state().folders, ["/My documents/d"]);
        // Titles of folders keep their case, and a dot.
        client.mkdir(&path("D.OLD")).await.unwrap();
        assert_eq!(office.state().folders, ["/My documents/D.OLD", "/My documents/d"]);
    }
}
