//! Files of no bytes, of which nobody knows whether the wiki takes them, and how.

use super::*;
use crate::support::yandex::is_an_attempt;

#[tokio::test]
async fn an_empty_file_is_made_in_the_way_the_wiki_takes() {
    for empty_files in [EmptyFiles::OnePart, EmptyFiles::NoPart, EmptyFiles::Either] {
        let yandex = Yandex::with(|settings| settings.empty_files = empty_files);
        let client = yandex.client();
        for name in ["a.txt", "b.txt", "a.txt"] {
            let node = put(&client, name, &Bytes::new()).await;
            assert_eq!((node.name.as_str(), node.size), (name, 0), "{empty_files:?}");
        }
        assert!(client.capability().empty_files);
        assert_eq!(yandex.files(), [("a.txt".to_owned(), 0), ("b.txt".to_owned(), 0)], "{empty_files:?}");
        for client in [&client, &yandex.client()] {
            assert_eq!(client.stat(&path("a.txt")).await.unwrap().size, 0);
            assert_eq!(content(&**client, &path("a.txt")).await.unwrap(), "");
        }
        // Bytes come, and go again.
        put(&client, "a.txt", &text(P + 1, 1)).await;
        put(&client, "a.txt", &Bytes::new()).await;
        rename(&client, "a.txt", "c.txt").await.unwrap();
        assert_eq!(yandex.files(), [("b.txt".to_owned(), 0), ("c.txt".to_owned(), 0)], "{empty_files:?}");
        let state = yandex.state();
        assert_eq!(state.sessions, [], "{empty_files:?}");
        // What it has to try, it tries once.
        let attempts = state.violations.iter().filter(|broken| is_an_attempt(&broken.what)).count();
        assert!(attempts <= 1 && attempts == state.violations.len(), "{empty_files:?}: {:?}", state.violations);
    }
}

#[tokio::test]
async fn a_wiki_without_empty_files_is_asked_once() {
    let yandex = Yandex::small();
    let client = yandex.client();
    assert!(client.capability().empty_files, "nobody knows yet");
    let error = any(&*client, &path("a.txt"), &Bytes::new()).await.unwrap_err();
    assert!(!matches!(error.retry, Retry::Never), "with the other capability it is another matter: {error:?}");
    assert!(!client.capability().empty_files);
    let violations = yandex.portal.violations();
    assert_eq!(violations, [], "a wiki may be asked that");
    assert_eq!((yandex.files(), yandex.state().sessions), (vec![], vec![]));
    put(&client, "a.txt", &text(1, 1)).await;
    assert_eq!(yandex.count("create_session"), 2);
}
