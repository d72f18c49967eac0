//! What is known before the first byte: rights for one title, files of others; and what goes with an upload: tags, notes,
//! the patience that a wiki asks for.

use uploadfs::service::mediawiki::MediaWikiConfig;

use super::*;

async fn admitted(service: &MediaWiki, name: &str) -> Result<(), Error> {
    service.admit(&path(name)).await
}

#[tokio::test]
async fn rights_are_asked_before_the_first_byte() {
    let wiki = wide().await;
    let (bot, user) = (wiki.bot(), wiki.user());
    whole(&bot, &path("of the bot.txt"), &fresh(10)).await.unwrap();
    whole(&user, &path("of the user.txt"), &fresh(10)).await.unwrap();
    for name in ["of the bot.txt", "of the user.txt", "new.txt"] {
        admitted(&user, name).await.unwrap();
    }
    let kind = async |service: &MediaWiki, name: &str| admitted(service, name).await.err().map(|error| error.kind);
    let on = wiki.switch("no-reupload");
    let user = wiki.user();
    assert_eq!(kind(&user, "of the bot.txt").await, Some(Kind::Denied));
    assert_eq!(kind(&user, "of the user.txt").await, None, "one's own may be replaced");
    assert_eq!(kind(&user, "new.txt").await, None);
    drop(on);
    // The account was told otherwise when it signed in.
    let user = wiki.user();
    user.connect().await.unwrap();
    for (switch, name) in [("no-upload-right", "a.txt"), ("blocked", "b.txt")] {
        let _on = wiki.switch(switch);
        assert_eq!(kind(&user, name).await, Some(Kind::Denied), "{switch}");
    }
    let bot = wiki.bot();
    let _on = wiki.switch("titleblacklist");
    let error = admitted(&bot, "bad name.txt").await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied, "{error}");
    assert!(error.to_string().contains("titleblacklist"), "{error}");
    assert_eq!(kind(&bot, "good name.txt").await, None);
}

#[tokio::test]
async fn who_looked_a_name_up_a_moment_ago_knows_its_rights() {
    let wiki = wide().await;
    let service = wiki.user();
    service.connect().await.unwrap();
    let mark = wiki.mark().await;
    assert_eq!(service.stat(&path("new.txt")).await.unwrap_err().kind, Kind::NotFound);
    admitted(&service, "New.txt").await.unwrap();
    assert_eq!(wiki.since(mark).await.len(), 1);
}

#[tokio::test]
async fn what_passes_is_waited_for_at_close_and_not_refused_at_open() {
    let wiki = wide().await;
    let service = wiki.bot();
    service.connect().await.unwrap();
    let _on = wiki.switch("readonly");
    admitted(&service, "later.txt").await.unwrap();
}

#[tokio::test]
async fn a_wiki_that_lags_is_not_written_to() {
    let wiki = wide().await;
    // The lag of a single database counts as -1.
    let service = wiki.configured(|config| MediaWikiConfig { maxlag: Some(-2), ..config });
    let error = whole(&service, &path("late.txt"), &fresh(100)).await.unwrap_err();
    assert_eq!((error.kind, error.retry), (Kind::Busy, Retry::After(Duration::from_secs(5))), "{error}");
    assert_eq!(service.stat(&path("late.txt")).await.unwrap_err().kind, Kind::NotFound, "reading goes on");
    let patient = wiki.configured(|config| MediaWikiConfig { maxlag: Some(5), ..config });
    whole(&patient, &path("late.txt"), &fresh(100)).await.unwrap();
}

#[tokio::test]
async fn unknown_tags_cost_no_upload() {
    let wiki = wide().await;
    let service = wiki.configured(|config| MediaWikiConfig {
        comment: "{path} by {user}".into(),
        text: Some("It was {path}.".into()),
        tags: vec!["no-such-tag".into(), "nor-this".into()],
        ..config
    });
    let mark = wiki.mark().await;
    for name in ["tagged.txt", "tagged-2.txt"] {
        whole(&service, &path(name), &fresh(100)).await.unwrap();
    }
    by_session(&service, &path("tagged-3.txt"), &fresh(MIB)).await.unwrap();
    let log = wiki.since(mark).await;
    assert_eq!(log.iter().filter(|line| line.ends_with("badtags")).count(), 1, "{log:?}");
    let page = wiki.api("action=query&prop=revisions&rvprop=comment|content&rvslots=main&titles=File:Tagged.txt");
    for words in ["/tagged.txt by Admin", "It was /tagged.txt."] {
        assert!(page.contains(words), "{words} in {page}");
    }
}
