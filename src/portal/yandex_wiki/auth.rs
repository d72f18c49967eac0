//! Who is asking: the token in one header, the organisation in exactly one of two others. It decides nothing about rights.

use axum::http::{HeaderMap, header};

use super::config::{Account, OrganisationKind, YandexWikiConfig};
use super::errors::Failure;
use super::settings::Settings;

/// The organisation's header at Yandex 360.
const ORGANISATION: &str = "x-org-id";
/// The organisation's header in the cloud.
const CLOUD_ORGANISATION: &str = "x-cloud-org-id";

/// A token, by the word before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    OAuth(String),
    Iam(String),
}

impl Token {
    pub(super) fn text(&self) -> &str {
        match self {
            Token::OAuth(text) | Token::Iam(text) => text,
        }
    }
}

/// The token of a request.
pub(super) fn token(headers: &HeaderMap) -> Option<Token> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (all.next()?.to_str().ok()?, all.next()) else { return None };
    let (word, text) = value.split_once(' ')?;
    let text = text.trim();
    match word.to_ascii_lowercase().as_str() {
        _ if text.is_empty() => None,
        "oauth" => Some(Token::OAuth(text.to_owned())),
        "bearer" => Some(Token::Iam(text.to_owned())),
        _ => None,
    }
}

/// The account that a token belongs to, whether or not it is still good.
pub(super) fn owner<'a>(token: &Token, accounts: &'a [Account]) -> Option<&'a Account> {
    accounts.iter().find(|account| match token {
        Token::OAuth(text) => account.oauth_token == *text,
        Token::Iam(text) => account.iam_token.as_ref().is_some_and(|begin| text.starts_with(begin)),
    })
}

/// Whether the organisation's headers are right.
///
/// # Errors
/// There is none, there are two, or they name another organisation.
pub(super) fn check_organisation(
    headers: &HeaderMap,
    token: &Token,
    config: &YandexWikiConfig,
    settings: &Settings,
    method: &str,
) -> Result<(), Failure> {
    let told = |name: &str| -> Vec<&str> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect()
    };
    let (plain, cloud) = (told(ORGANISATION), told(CLOUD_ORGANISATION));
    let (kind, id) = match (plain.as_slice(), cloud.as_slice()) {
        ([id], []) => (OrganisationKind::Yandex360, *id),
        ([], [id]) => (OrganisationKind::Cloud, *id),
        ([], []) if settings.missing_organisation_is_forbidden => return Err(Failure::forced_sync()),
        _ => return Err(Failure::unauthorized(method)),
    };
    // Only a cloud organisation knows IAM tokens.
    if matches!(token, Token::Iam(_)) && kind != OrganisationKind::Cloud {
        return Err(Failure::unauthorized(method));
    }
    if kind != config.kind || id != config.organisation {
        return Err(Failure::forced_sync());
    }
    Ok(())
}

/// How many headers name an organisation.
pub(super) fn organisation_count(headers: &HeaderMap) -> usize {
    [ORGANISATION, CLOUD_ORGANISATION].iter().map(|name| headers.get_all(*name).iter().count()).sum()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::super::config::{IAM_TOKEN, OAUTH_TOKEN};
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        }
        headers
    }

    fn found(value: &str) -> Option<Token> {
        token(&headers(&[("authorization", value)]))
    }

    #[test]
    fn a_token_has_a_word_before_it() {
        assert_eq!(found("OAuth abc"), Some(Token::OAuth("abc".into())));
        assert_eq!(found("bearer abc"), Some(Token::Iam("abc".into())));
        for wrong in ["abc", "OAuth", "OAuth ", "Basic abc", ""] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        assert_eq!(token(&headers(&[("authorization", "OAuth a"), ("authorization", "OAuth a")])), None);
        assert_eq!(token(&HeaderMap::new()), None);
    }

    #[test]
    fn tokens_belong_to_somebody() {
        let accounts = YandexWikiConfig::new(OrganisationKind::Cloud).accounts;
        let known = |token| owner(&token, &accounts).is_some();
        assert!(known(Token::OAuth(OAUTH_TOKEN.into())) && !known(Token::OAuth(format!("{OAUTH_TOKEN}x"))));
        assert!(known(Token::Iam(IAM_TOKEN.into())) && known(Token::Iam(format!("{IAM_TOKEN}.2"))));
        assert!(!known(Token::Iam(OAUTH_TOKEN.into())) && !known(Token::OAuth(IAM_TOKEN.into())));
    }

    /// The status of the refusal; 0 where there is none.
    fn status(kind: OrganisationKind, token: &Token, pairs: &[(&str, &str)], settings: &Settings) -> u16 {
        let config = YandexWikiConfig::new(kind);
        match check_organisation(&headers(pairs), token, &config, settings, "GET") {
            Ok(()) => 0,
            Err(Failure::Said { status, .. }) => status,
            Err(Failure::NoFile) => 404,
        }
    }

    #[test]
    fn exactly_one_header_names_the_organisation() {
        let (settings, forbidden) =
            (Settings::default(), Settings { missing_organisation_is_forbidden: true, ..Settings::default() });
        let (plain, cloud) = (("X-Org-Id", "7654321"), ("X-Cloud-Org-Id", "7654321"));
        let (oauth, iam) = (Token::OAuth("x".into()), Token::Iam("x".into()));
        let yandex = |pairs: &[_]| status(OrganisationKind::Yandex360, &oauth, pairs, &settings);
        assert_eq!(yandex(&[plain]), 0);
        assert_eq!(yandex(&[]), 401);
        assert_eq!(status(OrganisationKind::Yandex360, &oauth, &[], &forbidden), 403);
        assert_eq!(yandex(&[plain, cloud]), 401);
        assert_eq!(yandex(&[plain, plain]), 401);
        assert_eq!(yandex(&[cloud]), 403);
        assert_eq!(yandex(&[("X-Org-Id", "1")]), 403);
        assert_eq!(status(OrganisationKind::Yandex360, &iam, &[plain], &settings), 401);
        assert_eq!(status(OrganisationKind::Cloud, &iam, &[cloud], &settings), 0);
        assert_eq!(status(OrganisationKind::Cloud, &oauth, &[cloud], &settings), 0);
        assert_eq!(status(OrganisationKind::Cloud, &oauth, &[plain], &settings), 403);
        assert_eq!(organisation_count(&headers(&[plain, cloud, plain])), 3);
    }
}
