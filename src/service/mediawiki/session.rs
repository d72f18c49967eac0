//! The session with a wiki: who we are, the token that every writing call carries, and how a lost session is renewed.
//!
//! **Single flight.** Whoever finds the session missing or lost waits for one turn; the first renews it, the others find
//! it renewed. **No hammering.** After rejected sign-ins the last answer is given again, without a request, for a while
//! (`service/rejections.rs`); wikis lock accounts after five attempts in five minutes.
//! **Nothing is lost.** Stashed data belong to the account, not to the session: after a renewal the same call goes on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answers::Query;
use super::api::{Api, Call, Trouble};
use super::codes;
use super::login::{Credentials, NotSignedIn, OP, Tokens, sign_in};
use super::site::{Site, SiteAnswer};
use crate::error::{Error, Kind, Result, Retry};
use crate::service::rejections::Rejections;

/// So often one call is sent with a renewed session.
const RENEWALS_MAX: u32 = 2;

/// The account that is signed in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Account {
    pub(super) name: String,
    anon: bool,
    pub(super) rights: Vec<String>,
    ratelimits: serde_json::Value,
    /// Only blocked accounts have one; the block's number may be missing even so.
    pub(super) blockreason: Option<String>,
}

impl Account {
    pub(super) fn may(&self, right: &str) -> bool {
        self.rights.iter().any(|have| have == right)
    }

    /// How many of `what` in how many seconds, by the narrowest limit that applies.
    pub(super) fn limit(&self, what: &str) -> Option<(u64, u64)> {
        let limits = self.ratelimits.get(what)?.as_object()?;
        let limits =
            limits.values().filter_map(|limit| Some((limit.get("hits")?.as_u64()?, limit.get("seconds")?.as_u64()?)));
        limits.min_by(|a, b| (a.0 * b.1.max(1)).cmp(&(b.0 * a.1.max(1))))
    }
}

/// A session. Never holds the password.
pub(super) struct Session {
    number: u64,
    token: String,
    pub(super) account: Account,
    pub(super) site: Arc<Site>,
}

/// How signing in has gone so far.
#[derive(Default)]
struct Record {
    current: Option<Arc<Session>>,
    /// What the wiki said about itself last, kept when the session is lost.
    site: Option<Arc<Site>>,
    numbers: u64,
    rejections: Rejections,
}

/// The one session of a remote.
pub(super) struct Sessions {
    api: Api,
    credentials: Option<Credentials>,
    record: Mutex<Record>,
    /// One sign-in at a time. A permit, not a lock: it is held while the wiki is asked.
    turn: Semaphore,
}

impl Sessions {
    pub(super) fn new(api: Api, credentials: Option<Credentials>) -> Sessions {
        Sessions { api, credentials, record: Mutex::default(), turn: Semaphore::new(1) }
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    /// What is known of the wiki, without asking.
    pub(super) fn known_site(&self) -> Option<Arc<Site>> {
        self.record().site.clone()
    }

    /// What is known of the account, without asking.
    pub(super) fn known(&self) -> Option<Arc<Session>> {
        self.record().current.clone()
    }

    /// The session, opened if there is none.
    pub(super) async fn current(&self) -> Result<Arc<Session>> {
        match self.known() {
            Some(session) => Ok(session),
            None => self.renew(None).await,
        }
    }

    /// Asks the wiki about itself and the account again.
    pub(super) async fn refresh(&self) -> Result<Arc<Session>> {
        self.renew(self.known().as_deref().map(|session| session.number)).await
    }

    /// Makes a call as the account that is signed in; a session the wiki has lost is renewed.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, Trouble> {
        let mut session = self.current().await?;
        let mut renewals = 0;
        loop {
            let signed = call.clone().with_account(&session);
            match self.api.call(&signed).await {
                Err(Trouble::Refused(_, errors)) if codes::is_session_lost(&errors) && renewals < RENEWALS_MAX => {
                    tracing::info!(op = call.op, "the wiki has lost the session; signing in again");
                    renewals += 1;
                    session = self.renew(Some(session.number)).await?;
                }
                answer => return answer,
            }
        }
    }

    /// A new session in place of number `stale`; whoever comes late gets the one that is new already.
    async fn renew(&self, stale: Option<u64>) -> Result<Arc<Session>> {
        let _turn = self.turn.acquire().await.expect("the turnstile is never closed");
        if let Some(session) = self.known()
            && Some(session.number) != stale
        {
            return Ok(session);
        }
        if let Some(error) = self.record().rejections.pause(Instant::now()) {
            return Err(error);
        }
        let opened = self.open(stale.is_some()).await;
        self.record().note(opened, Instant::now())
    }

    /// Opens a session: first by what the cookies still say, where there was one, else by signing in.
    async fn open(&self, was_in: bool) -> Result<Opened, NotSignedIn> {
        if was_in && let Ok(opened) = self.look().await {
            return Ok(opened);
        }
        if let Some(credentials) = &self.credentials {
            sign_in(&self.api, credentials).await?;
        }
        self.look().await
    }

    /// Who the wiki thinks we are.
    async fn look(&self) -> Result<Opened, NotSignedIn> {
        let call = Call::query(OP)
            .with("meta", "tokens|userinfo|siteinfo")
            .with("uiprop", "rights|ratelimits|blockinfo")
            .with("siprop", "general|fileextensions");
        let answer: Query<Looked> = self.api.call(&call).await?;
        let Looked { tokens, userinfo: account, site } = answer.query;
        if account.anon {
            let error = Error::new(Kind::SignedOut, OP, "the wiki does not keep us signed in");
            let hint = "with an OAuth token: is it still valid, and meant for this wiki?";
            return Err(NotSignedIn::Failed(error.hint(hint)));
        }
        match tokens.tokens.get("csrftoken") {
            Some(token) => Ok(Opened { token: token.clone(), account, site: site.into() }),
            None => Err(NotSignedIn::Failed(Error::new(Kind::Protocol, OP, "the wiki gives no token to write with"))),
        }
    }

    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fresh session consists of.
struct Opened {
    token: String,
    account: Account,
    site: Site,
}

#[derive(Deserialize)]
struct Looked {
    #[serde(flatten)]
    tokens: Tokens,
    #[serde(default)]
    userinfo: Account,
    #[serde(flatten)]
    site: SiteAnswer,
}

impl Record {
    /// Keeps the outcome of opening a session.
    fn note(&mut self, opened: Result<Opened, NotSignedIn>, now: Instant) -> Result<Arc<Session>> {
        match opened {
            Ok(Opened { token, account, site }) => {
                self.numbers += 1;
                self.rejections.accepted();
                let site = Arc::new(site);
                self.site = Some(site.clone());
                let session = Arc::new(Session { number: self.numbers, token, account, site });
                self.current = Some(session.clone());
                Ok(session)
            }
            Err(NotSignedIn::Rejected(error)) => {
                self.current = None;
                self.rejections.rejected(&error, now);
                Err(error.retry(Retry::Never))
            }
            Err(NotSignedIn::Throttled(error)) => {
                self.current = None;
                self.rejections.throttled(&error, now);
                Err(error.retry(Retry::Never))
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

impl Call {
    /// The call as `session` makes it: with the token, and with the account it must not be done without.
    fn with_account(self, session: &Session) -> Call {
        let name = session.account.name.clone();
        if self.is_query() {
            return self.with("assertuser", name);
        }
        self.field("assertuser", name).field("token", session.token.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rejected() -> Result<Opened, NotSignedIn> {
        Err(NotSignedIn::Rejected(Error::new(Kind::SignedOut, OP, "wrong password")))
    }

    #[test]
    fn a_wrong_password_is_not_tried_for_ever() {
        let (mut record, now) = (Record::default(), Instant::now());
        for _ in 0..3 {
            assert!(record.rejections.pause(now).is_none());
            assert_eq!(record.note(rejected(), now).err().unwrap().retry, Retry::Never);
        }
        assert!(record.rejections.pause(now).is_some());
        let (mut record, throttled) = (Record::default(), Error::new(Kind::SignedOut, OP, "too many attempts"));
        assert_eq!(record.note(Err(NotSignedIn::Throttled(throttled)), now).err().unwrap().retry, Retry::Never);
        assert!(record.rejections.pause(now).is_some());
    }

    #[test]
    fn a_network_that_fails_is_no_rejection() {
        let (mut record, now) = (Record::default(), Instant::now());
        for _ in 0..10 {
            let doubt = Error::new(Kind::Timeout, OP, "silence").retry(Retry::AskFirst);
            let error = record.note(Err(NotSignedIn::Failed(doubt)), now).err().unwrap();
            assert_eq!(error.retry, Retry::After(Duration::ZERO), "the call itself was never sent");
            assert!(record.rejections.pause(now).is_none());
        }
    }

    #[test]
    fn the_narrowest_limit_counts() {
        let limits =
            json!({ "upload": { "user": { "hits": 380, "seconds": 4320 }, "newbie": { "hits": 8, "seconds": 300 } } });
        let account = Account { ratelimits: limits, ..Account::default() };
        assert_eq!(account.limit("upload"), Some((8, 300)));
        assert_eq!(account.limit("move"), None);
        assert_eq!(Account { ratelimits: json!([]), ..Account::default() }.limit("upload"), None);
    }
}
