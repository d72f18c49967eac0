//! Pages as directories: made, listed, removed when there is nothing on them and below them; and trees with holes.

use super::*;

#[tokio::test]
async fn a_page_is_a_directory() {
    let yandex = Yandex::small();
    let client = yandex.client();
    for name in ["a", "a/b", "a/b/c", "ab"] {
        let node = client.mkdir(&path(name)).await.unwrap();
        assert_eq!((node.kind, node.size), (NodeKind::Directory, 0), "{name}");
    }
    let bytes = text(P + 1, 1);
    put(&client, "a/b/x.bin", &bytes).await;
    put(&client, "a/x.bin", &text(5, 2)).await;
    assert_eq!(yandex.pages(), ["a", "a/b", "a/b/c", "ab"]);
    for (directory, expected) in [("", vec!["a", "ab"]), ("a", vec!["b", "x.bin"]), ("a/b", vec!["c", "x.bin"])] {
        assert_eq!(seen(&yandex, directory).await, expected, "{directory}");
    }
    assert_eq!(seen(&yandex, "a/b/c").await, [""; 0]);
    assert_eq!(fresh(&yandex, "a/b/x.bin").await.unwrap(), bytes);
    for (name, expected) in [("a/missing", libc::ENOENT), ("missing/x", libc::ENOENT), ("a/x.bin/y", libc::ENOENT)] {
        let told = errno(yandex.client().stat(&path(name)).await);
        assert!(told == expected || (name == "a/x.bin/y" && told == libc::ENOTDIR), "{name}: {told}");
    }
    assert_eq!(errno(client.mkdir(&path("missing/x")).await), libc::ENOENT);
    assert_eq!(errno(any(&*client, &path("missing/x.bin"), &bytes).await), libc::ENOENT);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_directory_is_removed_when_there_is_nothing_on_it_and_below_it() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    client.mkdir(&path("d")).await.unwrap();
    let page = browser.page("d");
    // Everything in the way came after this client had looked.
    let file = browser.attach(page, "x.txt", &text(5, 1));
    assert_eq!(errno(remove(&client, "d").await), libc::ENOTEMPTY);
    browser.delete(page, file);
    browser.make_page("d/sub", "");
    assert_eq!(errno(remove(&client, "d").await), libc::ENOTEMPTY);
    remove(&client, "d/sub").await.unwrap();
    browser.call("POST", &format!("pages/{page}"), &json!({"content": "Somebody wrote this."}));
    let error = remove(&client, "d").await.unwrap_err();
    assert_eq!(error.errno(), libc::ENOTEMPTY);
    assert!(error.to_string().contains("text"), "{error}");
    browser.call("POST", &format!("pages/{page}"), &json!({"content": " \n"}));
    remove(&client, "d").await.unwrap();
    assert_eq!(yandex.pages(), [""; 0]);
    assert_eq!(errno(client.stat(&path("d")).await), libc::ENOENT);
    client.mkdir(&path("d")).await.expect("the slug is free again");
    yandex.assert_clean();
}

#[tokio::test]
async fn what_comes_at_the_last_moment_keeps_its_page() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    client.mkdir(&path("d")).await.unwrap();
    let node = client.stat(&path("d")).await.unwrap();
    browser.make_page("d/sub", "");
    // Even if every look had been before that: the wiki is never told to remove what lies below.
    assert_eq!(errno(client.remove(&path("d"), &node).await), libc::ENOTEMPTY);
    assert_eq!(yandex.pages(), ["d", "d/sub"]);
    let root = client.stat(&RemotePath::root()).await.unwrap();
    client.remove(&RemotePath::root(), &root).await.expect_err("the root stays");
    yandex.assert_clean();
}

#[tokio::test]
async fn a_tree_with_holes_can_be_walked() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let deep = browser.make_page("a/b/c", "");
    browser.attach(deep, "x.txt", &text(7, 1));
    assert_eq!(seen(&yandex, "").await, ["a"]);
    assert_eq!(seen(&yandex, "a").await, ["b"]);
    assert_eq!(seen(&yandex, "a/b").await, ["c"]);
    for name in ["a", "a/b", "a/b/c"] {
        assert_eq!(client.stat(&path(name)).await.unwrap().kind, NodeKind::Directory, "{name}");
    }
    assert_eq!(fresh(&yandex, "a/b/c/x.txt").await.unwrap(), text(7, 1));
    // There is something below.
    assert_eq!(errno(remove(&client, "a").await), libc::ENOTEMPTY);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_page_that_leads_elsewhere_is_not_what_it_leads_to() {
    let yandex = Yandex::small();
    let (client, browser) = (yandex.client(), yandex.browser());
    let real = browser.make_page("real", "");
    let alias = browser.make_page("alias", "");
    browser.call("POST", &format!("pages/{alias}"), &json!({"redirect": {"page": {"id": real}}}));
    assert_eq!(seen(&yandex, "").await, ["alias", "real"]);
    // Whatever becomes of the one, the other stays.
    let _ = remove(&client, "alias").await;
    assert!(yandex.pages().contains(&"real".to_owned()), "{:?}", yandex.pages());
    yandex.assert_clean();
}

#[tokio::test]
async fn files_and_directories_are_not_taken_for_one_another() {
    let yandex = Yandex::small();
    let client = yandex.client();
    client.mkdir(&path("d")).await.unwrap();
    let bytes = text(10, 1);
    put(&client, "f", &bytes).await;
    assert_eq!(errno(any(&*client, &path("d"), &bytes).await), libc::EISDIR);
    assert_eq!(errno(client.mkdir(&path("f")).await), libc::EEXIST);
    let node = client.stat(&path("f")).await.unwrap();
    client.remove(&path("f"), &node).await.unwrap();
    assert_eq!(errno(client.remove(&path("f"), &node).await), libc::ENOENT);
    assert_eq!(seen(&yandex, "").await, ["d"]);
    yandex.assert_clean();
}
