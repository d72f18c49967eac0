//! Credentials, and what `check` makes of wrong ones.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::secret::Keeper;

async fn with_token(token: &'static str, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Fake {
    let configure =
        move |url: &str| YandexCloudConfig { token: Arc::new(Token::fixed(token.into())), ..fake::config(url) };
    Fake::configured(configure, fake::at_rest(), script).await
}

fn stranger(_: &Seen) -> Act {
    refuse(401, 16, "Token is invalid or has expired.")
}

#[tokio::test]
async fn a_report_says_what_a_person_wants_to_know() {
    let fake = Fake::plain().await;
    fake.have("a.txt", b"1");
    let lines = fake.cloud.check().await.unwrap().join("\n");
    for part in ["an API key", "folder: b1gtest, 1 files of at most 10000", "128000000 bytes", "60 days"] {
        assert!(lines.contains(part), "{part:?} in\n{lines}");
    }
    assert!(!lines.contains("geheim"));
    let other = Fake::open_ai(|_| Act::Usual).await;
    let lines = other.cloud.check().await.unwrap().join("\n");
    assert!(lines.contains("30 days") && lines.contains("mv copies"), "{lines}");
}

#[tokio::test]
async fn each_kind_of_token_goes_with_its_word() {
    for (token, header) in [
        ("AQVNgeheim", "Api-Key AQVNgeheim"),
        ("t1.geheim", "Bearer t1.geheim"),
        ("Bearer geheim", "Bearer geheim"),
        ("Api-Key geheim", "Api-Key geheim"),
    ] {
        let fake = with_token(token, |_| Act::Usual).await;
        names(&fake, "").await;
        assert_eq!(fake.seen(|_| true)[0].header("authorization"), header);
    }
}

#[tokio::test]
async fn a_wrong_kind_of_token_is_told_by_its_look() {
    for (token, advice) in [
        ("y0_geheim", "exchange it for an IAM token"),
        ("t1.geheim", "12 hours"),
        ("AQVNgeheim", "check the API key"),
        ("ajeu95ukfl5udg1gv4vb", "the id of a key"),
    ] {
        let fake = with_token(token, stranger).await;
        let error = fake.cloud.check().await.unwrap_err();
        assert_eq!(error.kind, Kind::SignedOut);
        let text = error.to_string();
        assert!(text.contains(advice) && text.contains("invalid or has expired"), "{text}");
        assert!(!text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_folder_and_a_missing_role_are_told_apart() {
    let check = async |status: u16, code: u64, message: &'static str| {
        let fake = Fake::new(move |_| refuse(status, code, message)).await;
        fake.cloud.check().await.unwrap_err()
    };
    let folder = check(400, 3, "Specified folder ID does not match with service account folder ID").await;
    assert!(folder.to_string().contains("the id of the cloud folder"), "{folder}");
    let unknown = check(404, 5, "Folder b1gtest not found").await;
    assert!(unknown.kind == Kind::NotFound && unknown.to_string().contains("not its name"), "{unknown}");
    let role = check(403, 7, "Permission denied").await;
    assert!(role.kind == Kind::Denied && role.to_string().contains("ai.assistants.editor"), "{role}");
}

#[tokio::test]
async fn a_page_for_people_is_no_service() {
    let fake = Fake::new(|_| {
        let page = axum::http::Response::builder().status(200).header("content-type", "text/html");
        Act::Instead(page.body("<html>Sign in".into()).unwrap())
    })
    .await;
    let error = fake.cloud.check().await.unwrap_err();
    assert!(error.kind == Kind::Protocol && error.to_string().contains("address of the API"), "{error}");
}

#[tokio::test]
async fn a_token_that_was_written_anew_is_used_and_the_file_arrives() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(file.path(), "t1.old\n").unwrap();
    let token = Arc::new(Token::of_file(file.path().to_owned(), Keeper::Person).unwrap());
    let configure = move |url: &str| YandexCloudConfig { token: token.clone(), ..fake::config(url) };
    let (refreshed, at) = (file.path().to_owned(), file);
    let fake = Fake::configured(configure, fake::at_rest(), move |seen| {
        match seen.creates() && seen.header("authorization") == "Bearer t1.old" {
            true => {
                std::fs::write(&refreshed, "t1.new\n").unwrap();
                stranger(seen)
            }
            false => Act::Usual,
        }
    })
    .await;
    let node = put(&fake, "a.txt", &bytes(70_000)).await.unwrap();
    assert_eq!((node.size, fake.names().len()), (70_000, 1));
    let sent = fake.seen(Seen::creates);
    assert_eq!(sent.len(), 2, "read again, and sent again");
    assert_eq!(sent[0].body, sent[1].body);
    drop(at);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    let refused = |change: fn(&mut YandexCloudConfig)| {
        let mut config = fake::config("https://ai.example");
        change(&mut config);
        YandexCloud::new(config).err().map(|error| error.kind)
    };
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|config| config.folder.clear()), Some(Kind::Invalid));
    assert_eq!(refused(|config| config.ttl_days = 0), Some(Kind::Invalid));
    assert_eq!(refused(|config| config.file_max = FILE_MAX + 1), Some(Kind::Invalid));
    assert_eq!(refused(|config| config.url = "nowhere".to_owned()), Some(Kind::Invalid));
}
