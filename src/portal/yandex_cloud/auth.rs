//! Who is asking, and for which folder. It decides nothing about what may be done.

use axum::http::{HeaderMap, header};

use super::calls::Dialect;
use super::config::{Account, AccountKind};
use super::errors::{Code, Failure};

/// Headers in which the OpenAI dialect names the folder.
const FOLDER_HEADERS: [&str; 2] = ["openai-project", "x-folder-id"];

/// What came to prove who asks, by the word before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credential {
    ApiKey(String),
    Bearer(String),
}

impl Credential {
    pub(super) fn text(&self) -> &str {
        match self {
            Credential::ApiKey(text) | Credential::Bearer(text) => text,
        }
    }
}

/// The credential of a request.
pub(super) fn credential(headers: &HeaderMap) -> Option<Credential> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?.to_str().ok()?, all.next()) else { return None };
    let (word, text) = value.split_once(' ')?;
    let text = text.trim();
    match word.to_ascii_lowercase().as_str() {
        _ if text.is_empty() => None,
        "api-key" => Some(Credential::ApiKey(text.to_owned())),
        "bearer" => Some(Credential::Bearer(text.to_owned())),
        _ => None,
    }
}

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner<'a> {
    pub(super) account: &'a Account,
    /// Whether it is an IAM token, which does not live long.
    pub(super) is_iam: bool,
}

/// The account that a credential belongs to, whether or not it is still good; `bearer_keys`: whether an API key may come
/// as `Bearer`, too.
pub(super) fn owner<'a>(credential: &Credential, accounts: &'a [Account], bearer_keys: bool) -> Option<Owner<'a>> {
    let by_key = |text: &str| accounts.iter().find(|account| account.api_key.as_deref() == Some(text));
    let by_token = |text: &str| {
        accounts.iter().find(|account| account.iam_token.as_ref().is_some_and(|begin| text.starts_with(begin)))
    };
    let key = |account| Owner { account, is_iam: false };
    match credential {
        Credential::ApiKey(text) => by_key(text).map(key),
        Credential::Bearer(text) => by_token(text)
            .map(|account| Owner { account, is_iam: true })
            .or_else(|| by_key(text).filter(|_| bearer_keys).map(key)),
    }
}

/// The folder that a request of the OpenAI dialect names.
pub(super) fn named_folder(headers: &HeaderMap) -> Option<&str> {
    let named = FOLDER_HEADERS.iter().find_map(|name| headers.get(*name))?;
    named.to_str().ok().filter(|folder| !folder.is_empty())
}

/// What a request says about its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderClaim<'a> {
    pub(super) dialect: Dialect,
    pub(super) named: Option<&'a str>,
    /// Whether a service account has to name the only one it has.
    pub(super) is_required: bool,
}

/// Whether an account may ask for a folder.
///
/// # Errors
/// It names none, or another one.
pub(super) fn check_folder(account: &Account, claim: &FolderClaim<'_>, folder: &str) -> Result<(), Failure> {
    let named = claim.named.filter(|named| !named.is_empty());
    match (named, account.kind) {
        (Some(named), _) if named == folder => Ok(()),
        (Some(named), AccountKind::Service) => {
            Err(Failure::refused(format!("Specified folder ID '{named}' does not match with service account")))
        }
        (Some(_), AccountKind::Person) => Err(Failure::said(Code::PermissionDenied, "Permission denied")),
        (None, _) if claim.dialect == Dialect::Native => Err(Failure::missing("folderId")),
        (None, AccountKind::Person) => {
            Err(Failure::field("OpenAI-Project", "You have to specify folder ID for user account"))
        }
        (None, AccountKind::Service) if claim.is_required => {
            Err(Failure::field("OpenAI-Project", "You have to specify folder ID"))
        }
        (None, AccountKind::Service) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::super::config::{API_KEY, FOLDER, IAM_TOKEN, PERSON_IAM_TOKEN, YandexCloudConfig};
    use super::super::errors::tests::code;
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        }
        headers
    }

    fn found(value: &str) -> Option<Credential> {
        credential(&headers(&[("authorization", value)]))
    }

    #[test]
    fn a_credential_has_a_word_before_it() {
        assert_eq!(found("Api-Key abc"), Some(Credential::ApiKey("abc".into())));
        assert_eq!(found("bearer abc"), Some(Credential::Bearer("abc".into())));
        for wrong in ["abc", "Api-Key", "Api-Key ", "OAuth abc", ""] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        assert_eq!(credential(&headers(&[("authorization", "Bearer a"), ("authorization", "Bearer a")])), None);
    }

    #[test]
    fn credentials_belong_to_somebody() {
        let accounts = YandexCloudConfig::default().accounts;
        let is_iam = |credential: &Credential, bearer_keys| {
            owner(credential, &accounts, bearer_keys).map(|owner| (owner.account.kind, owner.is_iam))
        };
        let key = Credential::ApiKey(API_KEY.into());
        assert_eq!(is_iam(&key, false), Some((AccountKind::Service, false)));
        for token in [IAM_TOKEN.to_owned(), format!("{IAM_TOKEN}.2")] {
            assert_eq!(is_iam(&Credential::Bearer(token), false), Some((AccountKind::Service, true)));
        }
        let person = Credential::Bearer(PERSON_IAM_TOKEN.into());
        assert_eq!(is_iam(&person, false), Some((AccountKind::Person, true)));
        let bearer = Credential::Bearer(API_KEY.into());
        assert_eq!((is_iam(&bearer, false), is_iam(&bearer, true)), (None, Some((AccountKind::Service, false))));
        assert_eq!(is_iam(&Credential::ApiKey(IAM_TOKEN.into()), true), None);
    }

    #[test]
    fn a_folder_is_named_where_it_has_to_be() {
        let accounts = YandexCloudConfig::default().accounts;
        let (service, person) = (&accounts[0], &accounts[1]);
        let check = |account, dialect, named, is_required| {
            code(check_folder(account, &FolderClaim { dialect, named, is_required }, FOLDER))
        };
        for account in [service, person] {
            assert_eq!(check(account, Dialect::Native, Some(FOLDER), true), 0);
            assert_eq!(check(account, Dialect::Native, None, false), 3);
            assert_eq!(check(account, Dialect::Native, Some(""), false), 3);
        }
        assert_eq!(check(service, Dialect::Native, Some("b1gother"), true), 3);
        assert_eq!(check(person, Dialect::Native, Some("b1gother"), true), 7);
        assert_eq!(check(service, Dialect::Openai, None, false), 0);
        assert_eq!(check(service, Dialect::Openai, None, true), 3);
        assert_eq!(check(person, Dialect::Openai, None, false), 3);
    }

    #[test]
    fn either_header_names_the_folder() {
        for name in ["OpenAI-Project", "x-folder-id"] {
            assert_eq!(named_folder(&headers(&[(name, "f")])), Some("f"));
        }
        assert_eq!(named_folder(&headers(&[("OpenAI-Project", "")])), None);
    }
}
