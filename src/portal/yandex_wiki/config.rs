//! Which Yandex Wiki this is: the organisation, who can sign in, and the address of the API. What may change while it runs
//! is in `settings`.

use super::settings::Settings;

/// The login of the account that is always there.
pub const LOGIN: &str = "user";
/// Its OAuth token.
pub const OAUTH_TOKEN: &str = "y0_portal";
/// What its IAM tokens begin with: this one, and every longer one, is good for a while from its first use on.
pub const IAM_TOKEN: &str = "t1.portal";
/// The organisation.
pub const ORGANISATION: &str = "7654321";
/// The slug of a page that is there from the beginning, to mount.
pub const ROOT_SLUG: &str = "root";
/// Where the documented API begins.
const BASE_PATH: &str = "/v1";

/// What kind of organisation it is, and with it, by which header it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrganisationKind {
    /// Yandex 360: `X-Org-Id`, and OAuth tokens only.
    Yandex360,
    /// Cloud organisation: `X-Cloud-Org-Id`, OAuth and IAM tokens.
    Cloud,
}

/// Somebody who can sign in. Always a person: there are no service accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The login.
    pub login: String,
    /// The OAuth token.
    pub oauth_token: String,
    /// What the IAM tokens begin with.
    pub iam_token: Option<String>,
    /// The scopes of the OAuth token.
    pub scopes: Vec<String>,
    /// Whether pages and attachments may be made and changed.
    pub may_write: bool,
    /// Whether the Wiki was ever opened in a browser; before that, the API knows nobody.
    pub has_opened_wiki: bool,
}

impl Account {
    /// An account with all rights.
    pub fn new(login: &str, oauth_token: &str) -> Account {
        Account {
            login: login.to_owned(),
            oauth_token: oauth_token.to_owned(),
            iam_token: None,
            scopes: vec!["wiki:read".to_owned(), "wiki:write".to_owned()],
            may_write: true,
            has_opened_wiki: true,
        }
    }
}

/// A Yandex Wiki.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YandexWikiConfig {
    /// What kind of organisation it is.
    pub kind: OrganisationKind,
    /// The organisation's id.
    pub organisation: String,
    /// Who can sign in.
    pub accounts: Vec<Account>,
    /// Where the API begins, without a slash at its end. Another contour has `/api/v2/public`.
    pub base_path: String,
    /// The page that a new store begins with.
    pub root_slug: String,
    /// What may change while it runs.
    pub settings: Settings,
}

impl YandexWikiConfig {
    /// A wiki with one account, [`LOGIN`], and one page, [`ROOT_SLUG`].
    pub fn new(kind: OrganisationKind) -> Self {
        let account = Account { iam_token: Some(IAM_TOKEN.to_owned()), ..Account::new(LOGIN, OAUTH_TOKEN) };
        YandexWikiConfig {
            kind,
            organisation: ORGANISATION.to_owned(),
            accounts: vec![account],
            base_path: BASE_PATH.to_owned(),
            root_slug: ROOT_SLUG.to_owned(),
            settings: Settings::default(),
        }
    }
}
