//! Renames: of a file, which is sent again and removed, and of a page, which the wiki moves with everything below it.

use super::*;

/// How a rename of a directory ends where the wiki cannot move pages, or will not.
async fn told_to_move(yandex: &Yandex) -> i32 {
    let client = yandex.client();
    client.mkdir(&path("a")).await.unwrap();
    put(&client, "a/x.txt", &text(5, 1)).await;
    let told = errno(rename(&client, "a", "b").await);
    assert_eq!(yandex.pages(), ["a"]);
    assert_eq!(fresh(yandex, "a/x.txt").await.unwrap(), text(5, 1));
    told
}

#[tokio::test]
async fn a_file_is_the_same_file_under_another_name() {
    for ranges in [false, true] {
        for size in [1, P, 3 * P + 7, 9 * P] {
            let yandex = Yandex::with(|settings| settings.ranges = ranges);
            let (client, bytes) = (yandex.client(), text(size, 1));
            client.mkdir(&path("d")).await.unwrap();
            put(&client, "a.bin", &bytes).await;
            for (from, to) in [("a.bin", "b"), ("b", "d/Отчёт 1.bin"), ("d/Отчёт 1.bin", "d/b.bin"), ("d/b.bin", "c")]
            {
                let node = rename(&yandex.client(), from, to).await.unwrap();
                assert_eq!((node.name.as_str(), node.size), (path(to).name(), size as u64));
                assert_eq!(errno(fresh(&yandex, from).await), libc::ENOENT, "{from}");
                assert_eq!(fresh(&yandex, to).await.unwrap(), bytes, "{size} bytes to {to}");
                assert_eq!(yandex.files(), [(to.to_owned(), size as u64)]);
            }
            yandex.assert_clean();
        }
    }
}

#[tokio::test]
async fn a_rename_onto_a_file_replaces_it() {
    let yandex = Yandex::small();
    let client = yandex.client();
    let (new, old) = (text(2 * P, 1), text(P + 9, 2));
    put(&client, "new.bin", &new).await;
    put(&client, "old.bin", &old).await;
    match rename(&client, "new.bin", "old.bin").await {
        Ok(_) => {
            assert!(client.capability().rename_replaces);
            assert_eq!(yandex.files(), [("old.bin".to_owned(), 2 * PART)]);
            assert_eq!(fresh(&yandex, "old.bin").await.unwrap(), new);
        }
        Err(error) => assert!(!client.capability().rename_replaces && error.kind == Kind::Exists, "{error}"),
    }
    yandex.assert_clean();
}

#[tokio::test]
async fn a_rename_that_fails_leaves_the_file() {
    let bytes = text(2 * P + 1, 1);
    for kind in ["download", "create_session", "part", "finish", "attach"] {
        let yandex = Yandex::small();
        put(&yandex.client(), "a.bin", &bytes).await;
        yandex.portal.add_fault(Rule::always(kind, answer(403, "")));
        let told = errno(rename(&yandex.client(), "a.bin", "b.bin").await);
        assert!([libc::EACCES, libc::EIO].contains(&told), "{kind}: {told}");
        yandex.portal.clear_faults();
        assert_eq!(yandex.files(), [("a.bin".to_owned(), bytes.len() as u64)], "{kind}");
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn a_twin_gets_its_own_name() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let root = browser.page("");
    let id = browser.attach(root, "a.txt", &text(10, 1));
    browser.attach(root, "a.txt", &text(20, 2));
    rename(&yandex.client(), &format!("a (id {id}).txt"), "b.txt").await.unwrap();
    assert_eq!(seen(&yandex, "").await, ["a.txt", "b.txt"]);
    assert_eq!(fresh(&yandex, "a.txt").await.unwrap(), text(20, 2));
    assert_eq!(fresh(&yandex, "b.txt").await.unwrap(), text(10, 1));
    yandex.assert_clean();
}

#[tokio::test]
async fn a_directory_moves_with_everything_on_and_below_it() {
    let yandex = Yandex::small();
    let (client, bytes) = (yandex.client(), text(P + 1, 1));
    for name in ["a", "a/sub", "b"] {
        client.mkdir(&path(name)).await.unwrap();
    }
    put(&client, "a/x.bin", &bytes).await;
    put(&client, "a/sub/y.bin", &bytes).await;
    let sessions = yandex.count("create_session");
    let before = client.stat(&path("a")).await.unwrap();
    for (from, to) in [("a", "Новый"), ("Новый", "b/новый"), ("b/новый", "b/c")] {
        let node = rename(&client, from, to).await.unwrap();
        assert_eq!((node.id.as_str(), node.kind), (before.id.as_str(), NodeKind::Directory), "{from} to {to}");
        assert_eq!(errno(yandex.client().stat(&path(from)).await), libc::ENOENT);
        for client in [&client, &yandex.client()] {
            for inner in ["x.bin", "sub/y.bin"] {
                assert_eq!(content(&**client, &path(&format!("{to}/{inner}"))).await.unwrap(), bytes, "{to}/{inner}");
            }
        }
    }
    assert_eq!(yandex.pages(), ["b", "b/c", "b/c/sub"]);
    assert_eq!(yandex.count("create_session"), sessions, "nothing was sent again");
    // What was there is not remembered by anybody.
    client.mkdir(&path("a")).await.unwrap();
    assert_eq!(names(&*client, &path("a")).await.unwrap(), [""; 0]);
    yandex.assert_clean();
}

#[tokio::test]
async fn what_a_rename_refuses() {
    let yandex = Yandex::small();
    let (client, bytes) = (yandex.client(), text(5, 1));
    for name in ["d", "full", "text"] {
        client.mkdir(&path(name)).await.unwrap();
    }
    put(&client, "full/x.txt", &bytes).await;
    put(&client, "f.txt", &bytes).await;
    let browser = yandex.browser();
    browser.call("POST", &format!("pages/{}", browser.page("text")), &json!({"content": "words"}));
    for (from, to, expected) in [
        ("d", "full", &[libc::ENOTEMPTY, libc::EEXIST][..]),
        ("d", "text", &[libc::ENOTEMPTY, libc::EEXIST]),
        ("f.txt", "d", &[libc::EISDIR, libc::EEXIST]),
        ("d", "f.txt", &[libc::ENOTDIR, libc::EEXIST]),
        ("d", "a b", &[libc::EINVAL]),
        ("d", "missing/d", &[libc::ENOENT]),
        ("f.txt", "missing/f.txt", &[libc::ENOENT]),
        ("f.txt", " ", &[libc::EINVAL]),
    ] {
        let told = errno(rename(&client, from, to).await);
        assert!(expected.contains(&told), "{from} to {to}: {told}");
    }
    let gone = client.stat(&path("f.txt")).await.unwrap();
    client.remove(&path("f.txt"), &gone).await.unwrap();
    assert_eq!(errno(client.rename(&path("f.txt"), &gone, &path("g.txt")).await), libc::ENOENT);
    assert_eq!(yandex.pages(), ["d", "full", "text"]);
    assert_eq!(yandex.files(), [("full/x.txt".to_owned(), 5)]);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_wiki_that_cannot_move_leaves_it_to_the_program() {
    let yandex = Yandex::with(|settings| settings.has_move = false);
    assert_eq!(told_to_move(&yandex).await, libc::EXDEV);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_move_that_fails_later_is_told() {
    let yandex = Yandex::small();
    yandex.portal.add_fault(Rule::once("move", Fault::Inject { what: Injection::Locked }));
    let told = told_to_move(&yandex).await;
    assert!([libc::EBUSY, libc::EIO, libc::EXDEV].contains(&told), "{told}");
    yandex.assert_clean();
}

#[tokio::test]
async fn a_move_takes_its_time_and_is_waited_for() {
    let yandex = Yandex::with(|settings| settings.operation_ms = 300);
    let client = yandex.client();
    client.mkdir(&path("a")).await.unwrap();
    put(&client, "a/x.txt", &text(5, 1)).await;
    rename(&client, "a", "b").await.unwrap();
    assert_eq!(yandex.pages(), ["b"], "it is there when it is said to be");
    assert!(yandex.count("operation") >= 1);
    yandex.assert_clean();
}
