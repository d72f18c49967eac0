//! Listings over many pages of results, some of them short, and where a mount may begin.

use super::*;

/// More than two pages of results.
const MANY: usize = 230;

fn root(slug: Option<&str>) -> impl FnOnce(&mut YandexWikiConfig) {
    let slug = slug.map(str::to_owned);
    move |config| config.root = slug
}

#[tokio::test]
async fn a_page_with_many_attachments_is_listed_to_its_end() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let page = browser.page("");
    let mut expected: Vec<String> = (0..MANY).map(|number| format!("файл {number:03}.txt")).collect();
    for name in &expected {
        browser.attach(page, name, b"x");
    }
    // Twins far apart.
    let id = browser.attach(page, "файл 000.txt", b"xx");
    assert!(id > 0);
    let listed = seen(&yandex, "").await;
    assert_eq!(listed.len(), MANY + 1);
    expected.sort();
    let plain: Vec<String> = listed.iter().filter(|name| !name.contains("(id ")).cloned().collect();
    assert_eq!(plain, expected);
    assert_eq!(fresh(&yandex, "файл 000.txt").await.unwrap(), "xx");
    yandex.assert_clean();
}

#[tokio::test]
async fn many_pages_are_listed_though_results_are_short() {
    for short_pages in [true, false] {
        let yandex = Yandex::with(|settings| settings.short_pages = short_pages);
        let browser = yandex.browser();
        for number in 0..MANY {
            browser.make_page(&format!("page-{number:03}"), "");
            if number % 10 == 0 {
                browser.make_page(&format!("page-{number:03}/below"), "");
            }
        }
        // A neighbour whose slug begins in the same way.
        browser.call("POST", "pages", &json!({"title": "x", "slug": format!("{ROOT_SLUG}-2"), "content": ""}));
        let expected: Vec<String> = (0..MANY).map(|number| format!("page-{number:03}")).collect();
        assert_eq!(seen(&yandex, "").await, expected, "short: {short_pages}");
        assert_eq!(seen(&yandex, "page-120").await, ["below"]);
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn pages_that_are_out_of_date_are_directories_too() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let page = browser.make_page("old", "");
    browser.make_page("new", "");
    browser.call("POST", &format!("pages/{page}"), &json!({"actuality": "obsolete"}));
    assert_eq!(seen(&yandex, "").await, ["new", "old"]);
    yandex.assert_clean();
}

#[tokio::test]
async fn everything_listed_has_its_size_and_its_kind() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    let page = browser.page("");
    browser.make_page("d", "some text");
    let sizes = [1, 100, 5_000, 5_300, 12_288];
    for size in sizes {
        browser.attach(page, &format!("{size}.bin"), &text(size, size as u64));
    }
    let client = yandex.client();
    for _ in 0..3 {
        let nodes = client.list(&RemotePath::root(), None).await.unwrap().nodes;
        assert_eq!(nodes.len(), sizes.len() + 1);
        for node in nodes {
            let expected = node.name.trim_end_matches(".bin").parse::<u64>().unwrap_or(0);
            assert_eq!(node.size, expected, "{node:?}");
            assert_eq!(node.kind == NodeKind::Directory, node.name == "d");
            assert_eq!(client.stat(&path(&node.name)).await.unwrap(), node);
        }
    }
    // What an attachment has is asked for once.
    assert!(yandex.count("download") <= sizes.len() as u64, "{}", yandex.count("download"));
    yandex.assert_clean();
}

#[tokio::test]
async fn a_mount_begins_where_it_is_told_to() {
    let yandex = Yandex::small();
    let browser = yandex.browser();
    browser.make_page("Sub", "");
    browser.make_page("sub/deep", "");
    let bytes = text(2 * P + 1, 1);
    for (slug, place) in [
        (Some("root"), "/root/"),
        (Some("root/sub/deep"), "/root/sub/deep/"),
        (Some("/root/Sub/"), "/root/sub/"),
        (Some("users/user"), "/users/user/"),
        // Nobody says where: at home.
        (None, "/users/user/"),
    ] {
        let client = yandex.client_with(root(slug));
        put(&client, "a.bin", &bytes).await;
        let found = yandex.state().file(&format!("{place}a.bin")).map(|file| file.bytes);
        assert_eq!(found, Some(bytes.len() as u64), "{slug:?}");
        remove(&client, "a.bin").await.unwrap();
    }
    for slug in ["missing", "root/missing"] {
        let client = yandex.client_with(root(Some(slug)));
        assert_eq!(errno(client.list(&RemotePath::root(), None).await), libc::ENOENT, "{slug}");
        assert!(client.check().await.unwrap_err().to_string().contains(slug));
    }
    for wrong in ["a b", "a//b", "../x"] {
        let mut config = yandex.config();
        root(Some(wrong))(&mut config);
        assert_eq!(YandexWiki::new(config).err().unwrap().errno(), libc::EINVAL, "{wrong}");
    }
    yandex.assert_clean();
}
