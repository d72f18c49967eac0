//! Signing in: one attempt, by the road that fits the account, and what the wiki says to it. How often it may be tried,
//! and for whom, is decided in `session.rs`.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::answers::{ApiError, Query};
use super::api::{Api, Call, Nature, Trouble};
use super::codes;
use crate::error::{Error, Kind, Result, printable};

/// The operation, in errors.
pub(super) const OP: &str = "sign-in";
/// Length of the generated part of a bot password.
const BOT_PASSWORD_LEN: usize = 32;

/// The reason when there were too many attempts in five minutes.
const THROTTLED: &str = "login-throttled";

/// An account and how it proves itself.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: SecretString,
}

impl Credentials {
    /// Whether this is a bot password: `Name@bot` with the generated password, or `Name` with `bot@generated`.
    fn is_bot(&self) -> bool {
        let generated = self.password.expose_secret().rsplit_once('@').is_some_and(|(bot, password)| {
            !bot.is_empty() && password.len() == BOT_PASSWORD_LEN && password.bytes().all(|b| b.is_ascii_alphanumeric())
        });
        self.user.contains('@') || generated
    }
}

/// Why signing in failed.
pub(super) enum NotSignedIn {
    /// The wiki does not accept name and password: trying again is an attack.
    Rejected(Error),
    /// The wiki has had enough of this account's attempts, ours or others': even the right password fails for a while.
    Throttled(Error),
    /// Anything else: the network, maintenance.
    Failed(Error),
}

impl From<Trouble> for NotSignedIn {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused(op, errors) if is_rejection(&errors) => NotSignedIn::Rejected(codes::error(op, &errors)),
            other => NotSignedIn::Failed(other.into()),
        }
    }
}

/// Errors about the person rather than the moment.
fn is_rejection(errors: &[ApiError]) -> bool {
    errors.iter().any(|error| error.code.starts_with("mwoauth-") || error.code == "blocked")
}

/// Signs in once; the session is in the cookies afterwards.
pub(super) async fn sign_in(api: &Api, credentials: &Credentials) -> Result<(), NotSignedIn> {
    // Whatever is left of an old session only confuses the new one.
    api.http().forget_cookies();
    if credentials.is_bot() {
        return by_login(api, credentials).await;
    }
    match by_client_login(api, credentials).await? {
        Some(()) => Ok(()),
        // Wikis from before 2016.
        None => by_login(api, credentials).await,
    }
}

async fn login_token(api: &Api) -> Result<String, NotSignedIn> {
    let call = Call::query(OP).with("meta", "tokens").with("type", "login");
    let answer: Query<Tokens> = api.call(&call).await?;
    match answer.query.tokens.get("logintoken") {
        Some(token) => Ok(token.clone()),
        None => Err(NotSignedIn::Failed(Error::new(Kind::Protocol, OP, "the wiki gives no token to sign in with"))),
    }
}

/// `meta=tokens`.
#[derive(Debug, Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, String>,
}

/// `action=login`: bot passwords.
async fn by_login(api: &Api, credentials: &Credentials) -> Result<(), NotSignedIn> {
    let call = Call::new(OP, "login", Nature::Reads)
        .field("lgname", &credentials.user)
        .field("lgpassword", credentials.password.expose_secret())
        .field("lgtoken", login_token(api).await?);
    let answer: LoginAnswer = api.call(&call).await?;
    let login = answer.login;
    match login.result.as_str() {
        "Success" => Ok(()),
        // No error code tells these apart from a wrong password, but they say nothing about it.
        "NeedToken" | "WrongToken" => Err(NotSignedIn::Failed(
            Error::new(Kind::SignedOut, OP, "the wiki does not get its cookies back").hint("is a proxy removing them?"),
        )),
        _ => Err(rejected(credentials, &login.reason())),
    }
}

/// `action=clientlogin`: people's own accounts. `None` when the wiki does not know it.
async fn by_client_login(api: &Api, credentials: &Credentials) -> Result<Option<()>, NotSignedIn> {
    let call = Call::new(OP, "clientlogin", Nature::Reads)
        .field("username", &credentials.user)
        .field("password", credentials.password.expose_secret())
        .field("logintoken", login_token(api).await?)
        .field("loginreturnurl", api.http().base().as_str());
    let answer: ClientLoginAnswer = match api.call(&call).await {
        Ok(answer) => answer,
        Err(Trouble::Refused(_, errors)) if codes::is(&errors, "badvalue") => return Ok(None),
        Err(trouble) => return Err(trouble.into()),
    };
    let login = answer.clientlogin;
    match login.status.as_str() {
        "PASS" => Ok(Some(())),
        "FAIL" => Err(rejected(credentials, &login.messagecode)),
        _ => Err(NotSignedIn::Rejected(
            Error::new(Kind::SignedOut, OP, "this account needs a second step to sign in")
                .hint("make a bot password at Special:BotPasswords and use Name@bot"),
        )),
    }
}

fn rejected(credentials: &Credentials, reason: &str) -> NotSignedIn {
    let user = printable(&credentials.user).into_owned();
    let error = Error::new(Kind::SignedOut, OP, format!("the wiki does not let {user} in: {}", printable(reason)));
    if reason == THROTTLED {
        return NotSignedIn::Throttled(error.hint("too many attempts for this account, from here or elsewhere"));
    }
    NotSignedIn::Rejected(error.hint(match credentials.is_bot() {
        true => "bot passwords are made and renewed at Special:BotPasswords; the name is Account@bot",
        false => "check name and password; accounts with a second step need a bot password",
    }))
}

#[derive(Debug, Deserialize)]
struct LoginAnswer {
    login: Login,
}

#[derive(Debug, Deserialize)]
struct Login {
    result: String,
    /// An object with the raw message, or a text, by version.
    #[serde(default)]
    reason: serde_json::Value,
}

impl Login {
    fn reason(&self) -> String {
        let text = self.reason.get("code").or_else(|| self.reason.get("key")).unwrap_or(&self.reason);
        text.as_str().unwrap_or(&self.result).to_owned()
    }
}

#[derive(Debug, Deserialize)]
struct ClientLoginAnswer {
    clientlogin: ClientLogin,
}

#[derive(Debug, Deserialize)]
struct ClientLogin {
    status: String,
    #[serde(default)]
    messagecode: String,
}
