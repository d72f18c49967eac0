//! Signing in and out.

use serde_json::{Value, json};

use super::auth::{self, Proof};
use super::config::Account;
use super::dates;
use super::envelope::Reply;
use super::errors::{Failure, Message};
use super::fields::Fields;
use super::office::Token;
use super::server::{Asked, Server};

/// Characters of a token; those of real portals are longer and mean something to the server alone.
const TOKEN_LENGTH: usize = 64;

/// How long a wrong password counts.
const ATTEMPTS_COUNT_FOR: time::Duration = time::Duration::MINUTE;

impl Server {
    /// With a name and a password.
    pub(super) async fn sign_in(&self, asked: &Asked, fields: &Fields) -> Result<Reply, Failure> {
        let account = self.account(asked, fields)?;
        if account.second_factor.is_some() {
            return Ok(Reply::of(json!({"tfa": true, "confirmUrl": format!("{}/confirm", asked.base)})));
        }
        self.issue(asked, fields, &account).await
    }

    /// With the code of the second factor, and the name and password again.
    pub(super) async fn sign_in_again(&self, asked: &Asked, fields: &Fields, code: &str) -> Result<Reply, Failure> {
        let account = self.account(asked, fields)?;
        if account.second_factor.as_deref() != Some(code) {
            return Err(Failure::Authentication);
        }
        self.issue(asked, fields, &account).await
    }

    /// The token of this request is not valid any more.
    pub(super) async fn sign_out(&self, asked: &Asked) -> Result<Reply, Failure> {
        if let Proof::Token(token) = asked.proof() {
            self.change(|office| office.revoke_token(token)).await?;
        }
        Ok(Reply::of(Value::Null))
    }

    /// The account, unless there were too many wrong passwords a moment ago: then a right one is refused, too.
    fn account(&self, asked: &Asked, fields: &Fields) -> Result<Account, Failure> {
        let missing = Failure::Argument(Message::Fixed("userName"));
        let (Some(name), Some(password)) = (fields.text("userName"), fields.text("password")) else {
            return Err(missing);
        };
        let mut office = self.office();
        let attempts = office.wrong_passwords.entry(name.to_lowercase()).or_default();
        attempts.retain(|then| asked.now - *then < ATTEMPTS_COUNT_FOR);
        if attempts.len() >= asked.settings.login_attempts_max as usize {
            return Err(Failure::Security(Message::Fixed("Login Fail. Too many attempts")));
        }
        let account = auth::sign_in(&self.accounts, name, password).cloned();
        if account.is_none() {
            attempts.push(asked.now);
        }
        account.ok_or(Failure::Authentication)
    }

    async fn issue(&self, asked: &Asked, fields: &Fields, account: &Account) -> Result<Reply, Failure> {
        let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(TOKEN_LENGTH).collect();
        let life = i64::try_from(asked.settings.token_life_s).unwrap_or(i64::MAX);
        let expires = asked.now.saturating_add(time::Duration::seconds(life));
        let value = Token { user: account.email.clone(), expires };
        self.change(|office| office.add_token(&token, value)).await?;
        let mut answer = json!({"token": token});
        // A session's token does not say when it ends.
        if self.version.is_community() || fields.flag("session") != Some(true) {
            answer["expires"] = json!(dates::write(expires, asked.settings.utc_offset_min));
        }
        Ok(Reply::of(answer))
    }
}
