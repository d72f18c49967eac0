//! Which folder of the cloud this is, and who can use it. What may change while it runs is in `settings`.

use super::settings::Settings;

/// The API key of the service account that is always there.
pub const API_KEY: &str = "AQVN-portal";
/// What its IAM tokens begin with: this one, and every longer one, is good for a while from its first use on.
pub const IAM_TOKEN: &str = "t1.portal";
/// What the IAM tokens of the person begin with who is always there, too.
pub const PERSON_IAM_TOKEN: &str = "t1.person";
/// The folder.
pub const FOLDER: &str = "b1gportalportalporta";

/// What kind of account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// One that belongs to the folder.
    Service,
    /// A person, who may belong to many folders, and has to say which is meant.
    Person,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The id: `aje` and 17 characters.
    pub id: String,
    /// What kind of account it is.
    pub kind: AccountKind,
    /// The API key; people have none.
    pub api_key: Option<String>,
    /// What the IAM tokens begin with.
    pub iam_token: Option<String>,
    /// Whether it has the role `ai.assistants.editor`, without which there is nothing to be done.
    pub has_role: bool,
}

/// A folder with the Files API of AI Studio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YandexCloudConfig {
    /// The folder's id.
    pub folder: String,
    /// Who can sign in.
    pub accounts: Vec<Account>,
    /// What may change while it runs.
    pub settings: Settings,
}

impl Default for YandexCloudConfig {
    /// A folder with a service account ([`API_KEY`], [`IAM_TOKEN`]) and a person ([`PERSON_IAM_TOKEN`]).
    fn default() -> Self {
        let service = Account {
            id: "ajeservice0000000000".to_owned(),
            kind: AccountKind::Service,
            api_key: Some(API_KEY.to_owned()),
            iam_token: Some(IAM_TOKEN.to_owned()),
            has_role: true,
        };
        let person = Account {
            id: "ajeperson00000000000".to_owned(),
            kind: AccountKind::Person,
            api_key: None,
            iam_token: Some(PERSON_IAM_TOKEN.to_owned()),
            has_role: true,
        };
        YandexCloudConfig { folder: FOLDER.to_owned(), accounts: vec![service, person], settings: Settings::default() }
    }
}
