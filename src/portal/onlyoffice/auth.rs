//! Who is asking: the ways in which a token, a key or a password may come with a request, and which of them count. It
//! decides nothing about rights.

use axum::http::{HeaderMap, header};
use time::OffsetDateTime;

use super::config::Account;
use super::fields::Fields;
use super::generation::Version;
use super::office::Token;

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Nobody who is known.
    Stranger,
    /// The user, and the key's scopes where it was a key.
    User { name: String, scopes: Option<Vec<String>> },
}

impl Who {
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Who::Stranger => None,
            Who::User { name, .. } => Some(name),
        }
    }
}

/// What came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Nothing,
    Token(String),
    Key(String),
    Password { user: String, password: String },
}

/// The cookie with the token, which is also a field of CommunityServer's forms and queries.
const COOKIE: &str = "asc_auth_key";
/// What a key begins with.
const KEY_PREFIX: &str = "sk-";

/// What came with a request, and what is wrong with it.
pub(super) fn proof(version: Version, headers: &HeaderMap, query: &Fields) -> (Proof, Option<&'static str>) {
    // The cookie wins over the header.
    if let Some(token) = cookie(headers) {
        let wrong = token.starts_with(KEY_PREFIX).then_some("an API key in the cookie, which takes login tokens only");
        return (Proof::Token(token), wrong);
    }
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header else {
        let field = query.text(COOKIE).filter(|_| version.is_community());
        return (field.map_or(Proof::Nothing, |token| Proof::Token(token.to_owned())), None);
    };
    if let Some(token) = strip_word(header, "Bearer") {
        let is_key = token.starts_with(KEY_PREFIX) && version.has_api_keys();
        return (if is_key { Proof::Key(token.to_owned()) } else { Proof::Token(token.to_owned()) }, None);
    }
    if let Some(encoded) = strip_word(header, "Basic") {
        return (password(encoded).unwrap_or(Proof::Nothing), None);
    }
    let wrong = header.starts_with(KEY_PREFIX).then_some("an API key without Bearer");
    (Proof::Token(header.to_owned()), wrong)
}

fn strip_word<'a>(header: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = header.split_once(' ')?;
    first.eq_ignore_ascii_case(word).then(|| rest.trim())
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

fn password(encoded: &str) -> Option<Proof> {
    let text = String::from_utf8(base64(encoded)?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Proof::Password { user: user.to_owned(), password: password.to_owned() })
}

/// Decodes base64 with or without padding; a crate for one header would be more to keep than this.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| -> Option<u32> {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    };
    let digits: Option<Vec<u32>> = text.trim_end_matches('=').bytes().map(digit).collect();
    let mut bytes = Vec::new();
    for group in digits?.chunks(4) {
        let bits = group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
        let decoded = bits.to_be_bytes();
        bytes.extend_from_slice(&decoded[1..group.len()]);
    }
    Some(bytes)
}

/// Who a proof makes somebody.
pub(super) fn identify(
    proof: &Proof,
    accounts: &[Account],
    token: impl Fn(&str) -> Option<Token>,
    now: OffsetDateTime,
) -> Who {
    let user = |account: &Account, scopes| Who::User { name: account.email.clone(), scopes };
    let found = match proof {
        Proof::Nothing => None,
        Proof::Token(text) => token(text)
            .filter(|token| token.expires > now)
            .and_then(|token| accounts.iter().find(|account| account.email == token.user))
            .map(|account| user(account, None)),
        Proof::Key(key) => accounts
            .iter()
            .find(|account| account.api_key.as_ref() == Some(key))
            .map(|account| user(account, Some(account.scopes.clone()))),
        Proof::Password { user: name, password } => {
            sign_in(accounts, name, password).map(|account| user(account, None))
        }
    };
    found.unwrap_or(Who::Stranger)
}

/// The account of a name and a password.
pub(super) fn sign_in<'a>(accounts: &'a [Account], name: &str, password: &str) -> Option<&'a Account> {
    accounts.iter().find(|account| account.email.eq_ignore_ascii_case(name) && account.password == password)
}

#[cfg(test)]
mod tests {
    use super::super::generation::Generation;
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect::<Vec<(header::HeaderName, header::HeaderValue)>>().into_iter().collect()
    }

    fn found(generation: Generation, pairs: &[(&str, &str)]) -> (Proof, bool) {
        let query = Fields::of_query("asc_auth_key=q");
        let (proof, wrong) = proof(generation.version(), &with(pairs), &query);
        (proof, wrong.is_some())
    }

    fn token(text: &str) -> Proof {
        Proof::Token(text.into())
    }

    #[test]
    fn every_way_of_proving_is_found() {
        let newest = Generation::G3;
        assert_eq!(found(newest, &[]), (Proof::Nothing, false), "DocSpace reads no query");
        assert_eq!(found(Generation::G0, &[]), (token("q"), false));
        assert_eq!(found(newest, &[("authorization", "abc")]), (token("abc"), false));
        assert_eq!(found(newest, &[("authorization", "bearer abc")]), (token("abc"), false));
        let both = [("authorization", "Bearer abc"), ("cookie", "a=b; asc_auth_key=c=d")];
        assert_eq!(found(newest, &both), (token("c=d"), false), "the cookie wins");
        let password = Proof::Password { user: "me@x".into(), password: "p:w".into() };
        assert_eq!(found(newest, &[("authorization", "Basic bWVAeDpwOnc=")]), (password, false));
        assert_eq!(found(newest, &[("authorization", "Basic ???")]), (Proof::Nothing, false));
    }

    #[test]
    fn keys_want_their_prefix() {
        let key = ("authorization", "Bearer sk-1");
        assert_eq!(found(Generation::G3, &[key]), (Proof::Key("sk-1".into()), false));
        assert_eq!(found(Generation::G1, &[key]), (token("sk-1"), false), "keys came later");
        assert_eq!(found(Generation::G3, &[("authorization", "sk-1")]), (token("sk-1"), true));
        assert_eq!(found(Generation::G3, &[("cookie", "asc_auth_key=sk-1")]), (token("sk-1"), true));
    }

    #[test]
    fn base64_is_decoded() {
        for (text, expected) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob")] {
            assert_eq!(base64(text).as_deref(), Some(expected.as_bytes()), "{text}");
        }
        assert_eq!(base64("a b"), None);
    }

    #[test]
    fn tokens_expire_and_belong_to_somebody() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let accounts = [Account { api_key: Some("sk-1".into()), ..Account::new("me@x", "pw") }];
        let tokens = |text: &str| {
            let lives = if text == "old" { 0 } else { 1 };
            let user = if text == "foreign" { "you@x" } else { "me@x" };
            Some(Token { user: user.into(), expires: now + time::Duration::seconds(lives) })
        };
        let who = |proof| identify(&proof, &accounts, tokens, now);
        let me = |scopes| Who::User { name: "me@x".into(), scopes };
        assert_eq!(who(token("new")), me(None));
        assert_eq!(who(token("old")), Who::Stranger);
        assert_eq!(who(token("foreign")), Who::Stranger);
        assert_eq!(who(Proof::Key("sk-1".into())), me(Some(vec!["*".into()])));
        assert_eq!(who(Proof::Password { user: "ME@x".into(), password: "pw".into() }), me(None));
        assert_eq!(who(Proof::Password { user: "me@x".into(), password: "PW".into() }), Who::Stranger);
    }
}
