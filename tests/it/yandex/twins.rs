//! Attachments of one name: the newest has it, the others have their number in theirs; none is ever taken for another.

use super::*;

#[tokio::test]
async fn the_newest_has_the_name() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let root = browser.page("");
    let contents: Vec<Bytes> = (0..3).map(|seed| text(10 + seed as usize, seed)).collect();
    let ids: Vec<u64> = contents.iter().map(|bytes| browser.attach(root, "a.txt", bytes)).collect();
    let twin = |at: usize| format!("a (id {}).txt", ids[at]);
    let mut expected = vec!["a.txt".to_owned(), twin(0), twin(1)];
    expected.sort();
    assert_eq!(seen(&yandex, "").await, expected);
    for (name, bytes) in [("a.txt".to_owned(), &contents[2]), (twin(0), &contents[0]), (twin(1), &contents[1])] {
        assert_eq!(fresh(&yandex, &name).await.unwrap(), *bytes, "{name}");
        assert_eq!(yandex.client().stat(&path(&name)).await.unwrap().name, name);
    }
}

#[tokio::test]
async fn names_without_an_extension_and_with_dots_have_twins_too() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let root = browser.page("");
    for (name, twin) in [
        ("README", "README (id #)"),
        (".profile", ".profile (id #)"),
        ("a.tar.gz", "a.tar (id #).gz"),
        ("Отчёт за май.pdf", "Отчёт за май (id #).pdf"),
    ] {
        let id = browser.attach(root, name, &text(5, 1));
        browser.attach(root, name, &text(6, 2));
        let twin = twin.replace('#', &id.to_string());
        assert_eq!(fresh(&yandex, &twin).await.unwrap(), text(5, 1), "{twin}");
        assert_eq!(fresh(&yandex, name).await.unwrap(), text(6, 2), "{name}");
    }
    yandex.assert_clean();
}

#[tokio::test]
async fn a_twin_is_written_and_removed_by_itself() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let root = browser.page("");
    let (one, two) = (text(10, 1), text(20, 2));
    let id = browser.attach(root, "a.txt", &one);
    browser.attach(root, "a.txt", &two);
    remove(&client, &format!("a (id {id}).txt")).await.unwrap();
    assert_eq!(seen(&yandex, "").await, ["a.txt"]);
    assert_eq!(fresh(&yandex, "a.txt").await.unwrap(), two);
    // With the newest gone, the one before has its name again.
    let id = browser.attach(root, "a.txt", &one);
    remove(&yandex.client(), "a.txt").await.unwrap();
    assert_eq!(fresh(&yandex, "a.txt").await.unwrap(), two);
    assert_eq!(errno(fresh(&yandex, &format!("a (id {id}).txt")).await), libc::ENOENT);
    yandex.assert_clean();
}

#[tokio::test]
async fn an_overwrite_replaces_the_newest_and_leaves_its_twins() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let root = browser.page("");
    let (one, two, three) = (text(10, 1), text(20, 2), text(P + 30, 3));
    let id = browser.attach(root, "a.txt", &one);
    browser.attach(root, "a.txt", &two);
    put(&yandex.client(), "a.txt", &three).await;
    let twin = format!("a (id {id}).txt");
    assert_eq!(seen(&yandex, "").await, [twin.as_str(), "a.txt"]);
    assert_eq!(fresh(&yandex, &twin).await.unwrap(), one);
    assert_eq!(fresh(&yandex, "a.txt").await.unwrap(), three);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_file_that_is_called_like_a_twin_is_itself() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let root = browser.page("");
    let id = browser.attach(root, "a.txt", &text(10, 1));
    browser.attach(root, "a.txt", &text(20, 2));
    // Somebody gave a file the very name under which the twin is shown.
    let name = format!("a (id {id}).txt");
    browser.attach(root, &name, &text(30, 3));
    let listed = seen(&yandex, "").await;
    assert_eq!(listed.len(), 3, "each file once: {listed:?}");
    let mut contents = Vec::new();
    for name in &listed {
        contents.push(fresh(&yandex, name).await.unwrap().len());
    }
    contents.sort_unstable();
    assert_eq!(contents, [10, 20, 30], "{listed:?}");
    assert_eq!(fresh(&yandex, &name).await.unwrap().len(), 30, "the name is the one it has");
}

#[tokio::test]
async fn a_page_has_the_name_before_a_file() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let root = browser.page("");
    browser.make_page("notes", "");
    let id = browser.attach(root, "notes", &text(10, 1));
    let shown = format!("notes (id {id})");
    assert_eq!(seen(&yandex, "").await, ["notes", shown.as_str()]);
    assert_eq!(client.stat(&path("notes")).await.unwrap().kind, NodeKind::Directory);
    assert_eq!(fresh(&yandex, &shown).await.unwrap(), text(10, 1));
    assert_eq!(errno(any(&*client, &path("notes"), &text(10, 2)).await), libc::EISDIR);
    put(&client, "notes/notes", &text(10, 3)).await;
    assert_eq!(fresh(&yandex, "notes/notes").await.unwrap(), text(10, 3));
    // And a page is not made where a file is.
    put(&client, "plan", &text(10, 4)).await;
    assert_eq!(errno(client.mkdir(&path("plan")).await), libc::EEXIST);
    assert_eq!(yandex.pages(), ["notes"]);
    yandex.assert_clean();
}
