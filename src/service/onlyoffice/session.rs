//! Who we are at the portal, and how a lost session is renewed.
//!
//! **Single flight.** Whoever finds the session missing or lost waits for one turn; the first renews it, the others find
//! it renewed. **No hammering.** A portal blocks accounts that knock too often (`service/rejections.rs`). **Nothing is
//! lost.** Upload sessions belong to the account, not to its token: after a renewal the same request goes on.
//!
//! **403.** Portals answer some calls with 403 where others say 401, so a 403 is asked about once (`files/@my`) before it is
//! told to anybody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answers::{SelfDto, TokenDto};
use super::api::{Api, Pass, Trouble};
use super::codes::Refusal;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Method};
use crate::service::call::Call;
use crate::service::rejections::Rejections;

/// The operation, in errors.
const OP: &str = "sign-in";
/// What a key of DocSpace begins with.
const KEY_PREFIX: &str = "sk-";

/// How an account proves itself.
pub(super) enum Credentials {
    /// By name and password, for a token.
    Password { user: String, password: SecretString },
    /// By a key or token that somebody made.
    Token(SecretString),
}

/// A session: a number, to see whether it was renewed meanwhile, and what goes with each request.
struct Session {
    number: u64,
    pass: Pass,
    /// Whether the portal has let it in; a key or token is only believed to be good at first.
    proved: AtomicBool,
}

/// How signing in has gone so far.
#[derive(Default)]
struct Record {
    current: Option<Arc<Session>>,
    numbers: u64,
    rejections: Rejections,
}

/// The one session of a remote.
pub(super) struct Sessions {
    api: Api,
    credentials: Credentials,
    /// Whether the portal is known to be a CommunityServer.
    community: AtomicBool,
    record: Mutex<Record>,
    /// One sign-in at a time. A permit, not a lock: it is held while the portal is asked.
    turn: Semaphore,
}

/// Why signing in failed.
enum NotSignedIn {
    /// Name and password are wrong.
    Rejected(Error),
    /// Asked too often.
    Throttled(Error),
    /// Something else.
    Failed(Error),
}

impl Sessions {
    pub(super) fn new(api: Api, credentials: Credentials) -> Sessions {
        let community = AtomicBool::new(false);
        Sessions { api, credentials, community, record: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The portal turned out to be a CommunityServer.
    pub(super) fn is_community(&self) {
        self.community.store(true, Ordering::Relaxed);
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// Makes a call as the account.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: impl Fn(&Api) -> Call) -> Result<T, Trouble> {
        self.call_with_status(call).await.map(|(_, value)| value)
    }

    /// The same, with the status of the success.
    pub(super) async fn call_with_status<T: DeserializeOwned>(
        &self,
        call: impl Fn(&Api) -> Call,
    ) -> Result<(u16, T), Trouble> {
        let mut session = self.current().await?;
        let mut renewed = false;
        loop {
            let answer = self.api.exchange_with_status(call(&self.api), Some(&session.pass)).await;
            match answer {
                Err(Trouble::Refused(refusal)) if !renewed && self.is_lost(&session, &refusal).await? => {
                    session = self.renew(Some(session.number)).await?;
                    renewed = true;
                }
                // Where that is said in the words of "there is no such file", nobody shall believe them.
                Err(Trouble::Refused(refusal))
                    if renewed && refusal.status != 401 && self.is_lost(&session, &refusal).await? =>
                {
                    let error = Error::new(Kind::SignedOut, OP, "the portal forgets every session at once");
                    return Err(Trouble::Failed(error.retry(Retry::Never)));
                }
                answer => {
                    if answer.is_ok() {
                        self.prove(&session);
                    }
                    return answer;
                }
            }
        }
    }

    /// Asks for bytes as the account; the answer as it came, whatever its status.
    pub(super) async fn fetch(&self, call: impl Fn(&Api) -> Call) -> Result<Answer> {
        let mut session = self.current().await?;
        let mut renewed = false;
        loop {
            let answer = self.api.send(call(&self.api), Some(&session.pass)).await?;
            let refusal = Refusal { status: answer.status(), message: String::new(), wait: None, only_reads: true };
            if renewed || !self.is_lost(&session, &refusal).await? {
                return Ok(answer);
            }
            session = self.renew(Some(session.number)).await?;
            renewed = true;
        }
    }

    /// Makes sure that we are signed in.
    ///
    /// # Errors
    /// What keeps us out, or the portal from saying so.
    pub(super) async fn confirm(&self) -> Result<()> {
        let asked = self.call::<Value>(|api| api.call(OP, Method::Get, &["files", "@my"]).query([("count", "1")]));
        match asked.await {
            Ok(_) => Ok(()),
            // Signed in, and not allowed to see that.
            Err(Trouble::Refused(Refusal { status: 402..=404, .. })) => Ok(()),
            Err(trouble) => Err(trouble.into_error(OP)),
        }
    }

    /// The portal has let `session` in.
    fn prove(&self, session: &Session) {
        if !session.proved.swap(true, Ordering::Relaxed) {
            self.record().rejections.accepted();
        }
    }

    /// Who is signed in.
    pub(super) async fn account(&self) -> Result<SelfDto> {
        let asked = self.call(|api| api.call(OP, Method::Get, &["people", "@self"])).await;
        asked.map_err(|trouble| trouble.into_error(OP))
    }

    /// Whether `refusal` means that the portal has forgotten `session`.
    ///
    /// # Errors
    /// What keeps the portal from saying so. The refused call was not done.
    async fn is_lost(&self, session: &Session, refusal: &Refusal) -> Result<bool> {
        if !refusal.may_be_signed_out() {
            return Ok(false);
        }
        if refusal.status == 401 {
            return Ok(true);
        }
        // A call that every key may make, and that says 401 to whoever is not signed in.
        let call = self.api.call(OP, Method::Get, &["files", "@my"]).query([("count", "1")]);
        match self.api.exchange::<Value>(call, Some(&session.pass)).await {
            Ok(_) => Ok(false),
            Err(Trouble::Refused(Refusal { status: 401, .. })) => Ok(true),
            Err(Trouble::Refused(Refusal { status: 400..=428, .. })) => Ok(false),
            Err(trouble) => {
                let error = trouble.into_error(OP);
                let retry = if error.in_doubt() { Retry::After(Duration::ZERO) } else { error.retry };
                Err(error.retry(retry))
            }
        }
    }

    async fn current(&self) -> Result<Arc<Session>> {
        let current = self.record().current.clone();
        match current {
            Some(session) => Ok(session),
            None => self.renew(None).await,
        }
    }

    /// A new session in place of number `stale`; whoever comes late gets the one that is new already.
    async fn renew(&self, stale: Option<u64>) -> Result<Arc<Session>> {
        let _turn = self.turn.acquire().await.expect("the turn is never closed");
        let current = self.record().current.clone();
        if let Some(session) = current
            && stale.is_none_or(|stale| session.number > stale)
        {
            return Ok(session);
        }
        if let Some(error) = self.record().rejections.pause(Instant::now()) {
            return Err(error);
        }
        if stale.is_some() {
            tracing::info!("the portal has forgotten the session; signing in again");
        }
        let opened = self.sign_in(stale.is_some()).await;
        self.record().note(opened)
    }

    async fn sign_in(&self, was_refused: bool) -> Result<Pass, NotSignedIn> {
        match &self.credentials {
            Credentials::Token(_) if was_refused => {
                let error = Error::new(Kind::SignedOut, OP, "the portal does not take the key or token (any more)");
                Err(NotSignedIn::Rejected(error.hint("make a new one, and write it into the file of the old one")))
            }
            Credentials::Token(token) => Ok(pass(token)),
            Credentials::Password { user, password } => {
                let body = json!({"userName": user, "password": password.expose_secret()});
                let call = self.api.call(OP, Method::Post, &["authentication"]).json(&body).repeatable();
                let answer: Result<TokenDto, Trouble> = self.api.exchange(call, None).await;
                judge(user, answer, self.community.load(Ordering::Relaxed)).map(|token| Pass::Token(token.into()))
            }
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key goes with the word `Bearer`, without which it does not count, and so do tokens of three parts (JWT); the token of
/// a sign-in stands alone.
fn pass(token: &SecretString) -> Pass {
    let text = token.expose_secret();
    let is_jwt = text.starts_with("ey") && text.split('.').count() == 3;
    if text.starts_with(KEY_PREFIX) || is_jwt { Pass::Bearer(token.clone()) } else { Pass::Token(token.clone()) }
}

/// The token, or why there is none.
fn judge(user: &str, answer: Result<TokenDto, Trouble>, community: bool) -> Result<String, NotSignedIn> {
    let refusal = match answer {
        Ok(TokenDto { token: Some(token), tfa: false, sms: false }) if !token.is_empty() => return Ok(token),
        Ok(TokenDto { tfa, sms, .. }) if tfa || sms => {
            let error = Error::new(Kind::SignedOut, OP, format!("the account {user} has a second factor"));
            let hint = "a mount cannot type codes: use an API key (DocSpace 3.1 and later), or an account without one";
            return Err(NotSignedIn::Throttled(error.hint(hint)));
        }
        Ok(_) => {
            return Err(NotSignedIn::Failed(Error::new(Kind::Protocol, OP, "the portal gives no token")));
        }
        Err(Trouble::Failed(error)) => return Err(NotSignedIn::Failed(error)),
        Err(Trouble::Refused(refusal)) => refusal,
    };
    let said = match refusal.message.as_str() {
        "" => format!("HTTP {}", refusal.status),
        message => message.to_owned(),
    };
    let error = |what: String| Error::new(Kind::SignedOut, OP, what);
    match refusal.status {
        // CommunityServer answers a wrong password with 500, like everything else, and says so; a proxy says nothing.
        500 if !community || refusal.message.is_empty() => Err(NotSignedIn::Failed(refusal.into_error(OP))),
        401 | 500 => {
            let what = format!("the portal does not let {user} in: {said}");
            Err(NotSignedIn::Rejected(error(what).hint("check user and password")))
        }
        403 => {
            let what = format!("the portal does not let {user} in any more: {said}");
            let hint = "too many attempts, or the account is blocked: wait, or ask its administrator";
            Err(NotSignedIn::Throttled(error(what).hint(hint)))
        }
        404 => {
            let what = "there is no portal at this address";
            Err(NotSignedIn::Failed(Error::new(Kind::Protocol, OP, what).hint("check the host name in url")))
        }
        _ => Err(NotSignedIn::Failed(refusal.into_error(OP))),
    }
}

impl Record {
    /// Keeps the outcome of signing in.
    fn note(&mut self, opened: Result<Pass, NotSignedIn>) -> Result<Arc<Session>> {
        let now = Instant::now();
        match opened {
            Ok(pass) => {
                self.numbers += 1;
                let proved = AtomicBool::new(false);
                let session = Arc::new(Session { number: self.numbers, pass, proved });
                self.current = Some(session.clone());
                Ok(session)
            }
            Err(NotSignedIn::Rejected(error)) => {
                self.rejections.rejected(&error, now);
                self.current = None;
                Err(error)
            }
            Err(NotSignedIn::Throttled(error)) => {
                self.rejections.throttled(&error, now);
                self.current = None;
                Err(error)
            }
            Err(NotSignedIn::Failed(error)) => {
                self.current = None;
                // The call that wanted the session was not sent, whatever became of signing in.
                let retry = if error.in_doubt() { Retry::After(Duration::ZERO) } else { error.retry };
                Err(error.retry(retry))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Result<TokenDto, Trouble> {
        let message = "User authentication failed".to_owned();
        Err(Trouble::Refused(Refusal { status, message, wait: None, only_reads: true }))
    }

    #[test]
    fn what_comes_of_a_sign_in() {
        let answer = |text| Ok(serde_json::from_str::<TokenDto>(text).unwrap());
        assert_eq!(judge("me", answer(r#"{"token":"t","expires":"2027-01-01"}"#), false).ok().unwrap(), "t");
        for second in [r#"{"tfa":true,"tfaKey":"x"}"#, r#"{"sms":true,"phoneNoise":"x"}"#] {
            let Err(NotSignedIn::Throttled(error)) = judge("me", answer(second), false) else { panic!("let in") };
            assert!(error.to_string().contains("second factor"), "{error}");
        }
        for wrong in [401, 500] {
            let Err(NotSignedIn::Rejected(error)) = judge("me", refused(wrong), true) else { panic!("let in") };
            assert!(error.to_string().contains("User authentication failed"), "{error}");
        }
        let restarting = judge("me", refused(500), false);
        assert!(matches!(restarting, Err(NotSignedIn::Failed(_))), "DocSpace says 401 to a wrong password");
        assert!(matches!(judge("me", refused(403), false), Err(NotSignedIn::Throttled(_))));
        let proxy = Refusal { status: 500, message: String::new(), wait: None, only_reads: true };
        let answer = judge("me", Err(Trouble::Refused(proxy)), true);
        let Err(NotSignedIn::Failed(error)) = answer else { panic!("no password") };
        assert_eq!((error.kind, error.retry), (Kind::Server, Retry::After(Duration::ZERO)));
        assert!(
            matches!(judge("me", refused(502), false), Err(NotSignedIn::Failed(error)) if error.kind == Kind::Unreachable)
        );
    }

    #[test]
    fn keys_have_their_word_and_tokens_stand_alone() {
        let is_bearer = |text: &str| matches!(pass(&text.into()), Pass::Bearer(_));
        assert!(is_bearer("sk-0123"));
        assert!(is_bearer("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"));
        assert!(!is_bearer("AbC+/=="));
    }

    #[test]
    fn a_wrong_password_is_not_tried_for_ever() {
        let mut record = Record::default();
        for _ in 0..3 {
            assert!(record.rejections.pause(Instant::now()).is_none());
            let error = Error::new(Kind::SignedOut, OP, "wrong password");
            assert!(record.note(Err(NotSignedIn::Rejected(error))).is_err());
        }
        assert!(record.rejections.pause(Instant::now()).is_some());
    }

    #[test]
    fn a_network_that_fails_is_no_rejection() {
        let mut record = Record::default();
        for _ in 0..10 {
            let doubt = Error::new(Kind::Timeout, OP, "silence").retry(Retry::AskFirst);
            let error = record.note(Err(NotSignedIn::Failed(doubt))).err().unwrap();
            assert_eq!(error.retry, Retry::After(Duration::ZERO), "the call itself was never sent");
            assert!(record.rejections.pause(Instant::now()).is_none());
        }
    }
}
