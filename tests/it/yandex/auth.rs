//! Tokens and organisations: which word goes with a token, tokens that end and are renewed in their file, and everything
//! that keeps a client out, in words that a person can act on.

use super::*;

/// The life of an IAM token.
const LIFE: Duration = Duration::from_secs(12 * 3600);

/// Asks for something ten times, and must be refused each time; the last refusal.
async fn knock(client: &YandexWiki) -> Error {
    let mut last = None;
    for _ in 0..10 {
        let error = client.stat(&path("a.txt")).await.unwrap_err();
        assert_eq!((error.kind, error.errno()), (Kind::SignedOut, libc::EACCES), "{error}");
        last = Some(error);
    }
    last.unwrap()
}

/// What `check` says against this wiki.
async fn complaint(client: &YandexWiki) -> String {
    let error = client.check().await.unwrap_err();
    assert_eq!(error.errno(), libc::EACCES, "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_token_goes_with_its_word() {
    for (kind, token) in [
        (OrganisationKind::Yandex360, OAUTH_TOKEN),
        (OrganisationKind::Cloud, OAUTH_TOKEN),
        (OrganisationKind::Cloud, IAM_TOKEN),
        (OrganisationKind::Cloud, "t1.portal.0123456789abcdef"),
    ] {
        let yandex = Yandex::of(small(kind));
        yandex.renew(token);
        let (client, bytes) = (yandex.client(), text(P + 1, 1));
        put(&client, "a.bin", &bytes).await;
        assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes);
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_not_tried_for_ever() {
    let yandex = Yandex::small();
    yandex.renew("y0_somebody_elses");
    let client = yandex.client();
    let error = knock(&client).await;
    assert!(error.to_string().contains(&yandex.token_file().display().to_string()), "{error}");
    assert!(!error.to_string().contains("somebody"), "a token is never said: {error}");
    let requests: u64 = yandex.state().requests.values().sum();
    assert!(requests <= 8, "{:?}", yandex.state().requests);
    // Until there is another one.
    yandex.renew(OAUTH_TOKEN);
    put(&client, "a.txt", &text(5, 1)).await;
    yandex.assert_clean();
}

#[tokio::test]
async fn uploads_go_on_with_the_token_that_was_renewed() {
    let yandex = Yandex::cloud();
    let (client, bytes) = (yandex.client(), text(3 * P + 5, 1));
    put(&client, "before.bin", &bytes).await;
    for round in 0..3 {
        let paths: Vec<RemotePath> = (0..4).map(|number| path(&format!("{round}-{number}.bin"))).collect();
        let begun = paths.iter().map(|path| Upload::begin(&*client, path, &bytes));
        let mut uploads = try_join_all(begun).await.unwrap();
        // In the middle of everything: it ends here, and another one is in the file.
        try_join_all(uploads.iter_mut().map(Upload::put_next)).await.unwrap();
        yandex.renew(&format!("{IAM_TOKEN}.{round}"));
        yandex.portal.advance(LIFE);
        for _ in 0..3 {
            try_join_all(uploads.iter_mut().map(Upload::put_next)).await.unwrap();
        }
        for upload in &mut uploads {
            assert_eq!(upload.finish(&bytes).await.unwrap().size, bytes.len() as u64);
        }
    }
    assert_eq!(yandex.files().len(), 13);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_token_that_ended_is_told_until_it_is_renewed() {
    let yandex = Yandex::cloud();
    let client = yandex.client();
    put(&client, "a.txt", &text(5, 1)).await;
    yandex.portal.advance(LIFE);
    // What was listed a moment ago is believed.
    pass(Duration::from_secs(60)).await;
    knock(&client).await;
    yandex.renew(&format!("{IAM_TOKEN}.2"));
    assert_eq!(content(&*client, &path("a.txt")).await.unwrap(), text(5, 1));
    yandex.assert_clean();
}

#[tokio::test]
async fn a_token_that_is_revoked_once_is_renewed_at_every_call() {
    for kind in ["create_session", "part", "finish", "attach", "attachments", "page", "download", "delete_attachment"] {
        let yandex = Yandex::cloud();
        let client = yandex.client();
        put(&client, "a.txt", &text(5, 1)).await;
        yandex.renew(&format!("{IAM_TOKEN}.2"));
        yandex.portal.add_fault(Rule::once(kind, Fault::Inject { what: Injection::ExpiredToken }));
        pass(Duration::from_secs(60)).await;
        let bytes = text(P + 9, 2);
        put(&client, "a.txt", &bytes).await;
        assert_eq!(content(&*client, &path("a.txt")).await.unwrap(), bytes, "{kind}");
        assert_eq!(yandex.portal.faults_struck(), 1, "{kind}");
        assert_eq!(fresh(&yandex, "a.txt").await.unwrap(), bytes, "{kind}");
        assert_eq!(yandex.files().len(), 1, "{kind}");
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn who_never_opened_the_wiki_is_told_to() {
    let mut config = small(OrganisationKind::Yandex360);
    config.accounts[0].has_opened_wiki = false;
    let yandex = Yandex::of(config);
    let said = complaint(&yandex.client()).await;
    assert!(said.contains("browser") && said.contains("org_id"), "{said}");
}

#[tokio::test]
async fn a_wrong_organisation_is_told() {
    let [plain, cloud] = [OrganisationKind::Yandex360, OrganisationKind::Cloud].map(small);
    for (config, organisation) in [
        (plain.clone(), Organisation::Yandex360("1".to_owned())),
        (plain.clone(), Organisation::Cloud(plain.organisation.clone())),
        (cloud.clone(), Organisation::Yandex360(cloud.organisation.clone())),
    ] {
        let yandex = Yandex::of(config);
        yandex.renew(OAUTH_TOKEN);
        let client = yandex.client_with(|config| config.organisation = organisation);
        let said = complaint(&client).await;
        assert!(said.contains("org_id") && said.contains("cloud_org_id"), "{said}");
        assert_eq!(errno(client.stat(&path("a")).await), libc::EACCES);
        assert_eq!(errno(client.mkdir(&path("a")).await), libc::EACCES);
        assert_eq!(yandex.portal.violations(), []);
    }
}

#[tokio::test]
async fn an_iam_token_at_yandex_360_is_told() {
    let yandex = Yandex::small();
    yandex.renew(IAM_TOKEN);
    let said = complaint(&yandex.client()).await;
    assert!(said.contains("token"), "{said}");
}

#[tokio::test]
async fn an_api_that_is_disabled_is_told() {
    let yandex = Yandex::with(|settings| settings.api_enabled = false);
    let said = complaint(&yandex.client()).await;
    assert!(said.contains("API") && said.contains("administrator"), "{said}");
}

#[tokio::test]
async fn a_check_says_who_and_where() {
    for yandex in [Yandex::small(), Yandex::cloud()] {
        let lines = yandex.client().check().await.unwrap().join("\n");
        for word in ["user", ROOT_SLUG] {
            assert!(lines.contains(word), "no {word} in {lines}");
        }
        assert!(!lines.contains(OAUTH_TOKEN) && !lines.contains(IAM_TOKEN), "{lines}");
        yandex.assert_clean();
    }
}
