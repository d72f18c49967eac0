//! Names of files, which stay as they are, and slugs of pages, which the wiki makes of what it is given.

use super::*;

#[tokio::test]
async fn names_of_files_stay_as_they_are() {
    let names = [
        "two words.txt",
        "Отчёт за май (окончательный).pdf",
        "日本語.txt",
        "e\u{301}toile",
        "a&b#c%20d?e+f",
        "\"quoted\" 'single'",
        "back\\slash",
        "..dots..",
        ".hidden",
        " blank ",
        "-dash",
        "UPPER.TXT",
        "right\u{202e}left",
    ];
    for (url_names, download_redirects) in [(UrlNames::Latin, false), (UrlNames::AsIs, true)] {
        let yandex = Yandex::with(|settings| {
            settings.url_names = url_names;
            settings.download_redirects = download_redirects;
        });
        let client = yandex.client();
        for (number, name) in names.iter().enumerate() {
            let node = put(&client, name, &text(number + 1, number as u64)).await;
            assert_eq!(node.name, *name);
        }
        let mut expected: Vec<String> = names.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(seen(&yandex, "").await, expected);
        for (number, name) in names.iter().enumerate() {
            assert_eq!(fresh(&yandex, name).await.unwrap(), text(number + 1, number as u64), "{name}");
        }
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn case_and_accents_are_letters() {
    let yandex = Yandex::small();
    let client = yandex.client();
    for (number, name) in ["Report.txt", "report.txt", "Rêport.txt", "REPORT.TXT"].iter().enumerate() {
        put(&client, name, &text(number + 1, 1)).await;
    }
    assert_eq!(seen(&yandex, "").await, ["REPORT.TXT", "Report.txt", "Rêport.txt", "report.txt"]);
    for (number, name) in ["Report.txt", "report.txt", "Rêport.txt", "REPORT.TXT"].iter().enumerate() {
        assert_eq!(fresh(&yandex, name).await.unwrap().len(), number + 1);
    }
    yandex.assert_clean();
}

#[tokio::test]
async fn a_name_that_could_not_be_is_refused_before_anything_is_asked() {
    let yandex = Yandex::small();
    let client = yandex.client();
    for name in ["a b", ".hidden", "+plus", ":colon", "a,b", "a?", " a", "e\u{301}", "a(b)", "🎉"] {
        assert_eq!(errno(client.mkdir(&path(name)).await), libc::EINVAL, "{name:?}");
    }
    assert_eq!(yandex.count("create_page"), 0);
    for name in [" ", "   "] {
        assert_eq!(errno(client.admit(&path(name)).await), libc::EINVAL, "{name:?}");
    }
    client.admit(&path("a b,c?.txt")).await.unwrap();
    yandex.assert_clean();
}

#[tokio::test]
async fn a_slug_becomes_what_the_wiki_makes_of_it() {
    for (rule, typed, shown) in [
        (SlugRule::AsIs, "Заметки", "Заметки"),
        (SlugRule::LowerCase, "Заметки", "заметки"),
        (SlugRule::LowerCase, "v1.0-RC+2", "v1.0-rc+2"),
        (SlugRule::Latin, "Заметки", "zametki"),
        (SlugRule::Latin, "Ёлка_2", "elka_2"),
    ] {
        let yandex = Yandex::with(|settings| settings.slugs = rule);
        let (client, bytes) = (yandex.client(), text(P + 1, 1));
        let node = client.mkdir(&path(typed)).await.unwrap();
        assert_eq!((node.name.as_str(), node.kind), (shown, NodeKind::Directory), "{rule:?}");
        assert_eq!(seen(&yandex, "").await, [shown], "{rule:?}");
        // A program goes on with what it typed.
        for (spelling, name) in [(typed, "a.bin"), (shown, "b.bin")] {
            let inner = format!("{spelling}/{name}");
            put(&client, &inner, &bytes).await;
            assert_eq!(fresh(&yandex, &inner).await.unwrap(), bytes, "{rule:?}: {inner}");
        }
        assert_eq!(seen(&yandex, shown).await, ["a.bin", "b.bin"]);
        assert_eq!(client.stat(&path(typed)).await.unwrap().name, shown);
        assert_eq!(errno(client.mkdir(&path(typed)).await), libc::EEXIST);
        assert_eq!(errno(client.mkdir(&path(shown)).await), libc::EEXIST);
        assert_eq!(yandex.pages(), [shown]);
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn a_page_is_titled_as_it_was_typed() {
    let yandex = Yandex::small();
    let client = yandex.client();
    client.mkdir(&path("Планы-2026")).await.unwrap();
    let browser = yandex.browser();
    let shown = browser.call("GET", &format!("pages/{}?fields=content", browser.page("планы-2026")), &json!({}));
    assert_eq!((&shown["title"], &shown["content"]), (&json!("Планы-2026"), &json!("")));
    yandex.assert_clean();
}

#[tokio::test]
async fn what_the_wiki_refuses_to_name_is_said_so() {
    let yandex = Yandex::with(|settings| {
        settings.reserved_slugs = vec![format!("{ROOT_SLUG}/api")];
        settings.file_name_chars_max = 20;
    });
    let client = yandex.client();
    assert_eq!(errno(client.mkdir(&path("api")).await), libc::EINVAL);
    let error = any(&*client, &path(&"x".repeat(21)), &text(5, 1)).await.unwrap_err();
    assert!([libc::EINVAL, libc::ENAMETOOLONG].contains(&error.errno()), "{error}");
    assert_eq!((yandex.files(), yandex.pages()), (vec![], vec![]));
}
