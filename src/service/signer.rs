//! Signing requests with a token that goes with one of two words: one for short-lived tokens (`Bearer`), another for the
//! kind that a person makes. A token tells by its look which it is; a service that refuses it is offered the other word,
//! and then the likelier one once more, as services err, too. Short-lived tokens are written into their file anew by
//! somebody else: a refusal makes us look there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::rejections::Rejections;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Request;
use crate::secret::Token;

/// The operation, in errors.
const OP: &str = "sign-in";
/// The word of short-lived tokens.
const BEARER: &str = "Bearer";
/// What the short-lived tokens of Yandex Cloud begin with.
const SHORT_LIVED: &str = "t1.";

/// What goes with a request: the word, the token.
#[derive(Clone)]
pub(super) struct Pass {
    /// Which one it is: later ones have higher numbers.
    number: u64,
    text: SecretString,
}

impl Pass {
    /// Signs `request`.
    pub(super) fn sign(&self, request: Request) -> Request {
        request.token(&self.text)
    }
}

/// How signing has gone so far.
struct Record {
    pass: Pass,
    standing: Standing,
    /// The token with the word it looks like, and with the other one unless it says itself what it goes with.
    texts: (SecretString, Option<SecretString>),
    rejections: Rejections,
    /// Whether there was nothing to offer any more after the present pass. Those who sent it at the same time count once.
    is_rejected: bool,
}

/// What is known of a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Not offered yet.
    New,
    /// The service has let it in.
    Proved,
    /// Refused, and offered once more.
    Doubted,
    /// The other word, after the first was refused.
    Other,
}

/// The token of a remote.
pub(super) struct Signer {
    token: Arc<Token>,
    /// The word of tokens that a person makes.
    word: &'static str,
    record: Mutex<Record>,
    /// One look into the file at a time. A permit, not a lock: it is held while the disk is waited for.
    turn: Semaphore,
}

impl Signer {
    /// Signs with `token`, which goes with `word` unless it looks short-lived, or says itself what it goes with.
    pub(super) fn new(token: Arc<Token>, word: &'static str) -> Signer {
        let texts = words(&token.current(), word);
        let pass = Pass { number: 0, text: texts.0.clone() };
        let record =
            Record { pass, standing: Standing::New, texts, rejections: Rejections::default(), is_rejected: false };
        Signer { token, word, record: Mutex::new(record), turn: Semaphore::new(1) }
    }

    /// What goes with the next request.
    ///
    /// # Errors
    /// The last rejection, while the service is left alone and no other token has come.
    pub(super) async fn pass(&self) -> Result<Pass> {
        let (pass, pause) = {
            let mut record = self.record();
            let pause = record.rejections.pause(Instant::now());
            if record.is_rejected && pause.is_none() {
                let text = record.pass.text.clone();
                record.take(text, Standing::Doubted);
            }
            (record.pass.clone(), pause)
        };
        match pause {
            None => Ok(pass),
            Some(error) => self.look_for_another(&pass).await?.ok_or(error),
        }
    }

    /// The service has let `pass` in.
    pub(super) fn accepted(&self, pass: &Pass) {
        let mut record = self.record();
        if record.pass.number == pass.number && record.standing != Standing::Proved {
            record.standing = Standing::Proved;
            record.is_rejected = false;
            record.rejections.accepted();
        }
    }

    /// The service has not let `pass` in, which it said in the words `said`: what to try instead. The refused request was
    /// not done.
    ///
    /// # Errors
    /// `SignedOut`, when there is nothing left to try.
    pub(super) async fn refused(&self, pass: &Pass, said: &str) -> Result<Pass> {
        if let Some(another) = self.look_for_another(pass).await? {
            return Ok(another);
        }
        let mut record = self.record();
        if record.pass.number != pass.number {
            return Ok(record.pass.clone());
        }
        if let Some(next) = record.next() {
            return Ok(next);
        }
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let error = Error::new(Kind::SignedOut, OP, format!("the service does not take the token (any more){said}"));
        let error = match self.token.path() {
            Some(path) => error.hint(format!("write a new one into {}; it is read again then", path.display())),
            None => error.hint("make a new one, and mount again; a token in a file is read again while mounted"),
        };
        if !std::mem::replace(&mut record.is_rejected, true) {
            record.rejections.rejected(&error, Instant::now());
        }
        Err(error)
    }

    /// Another pass than the refused one, if there is one by now: somebody else has found it, or it is in the file.
    async fn look_for_another(&self, refused: &Pass) -> Result<Option<Pass>> {
        let _turn = self.turn.acquire().await.expect("the turn is never closed");
        {
            let record = self.record();
            if record.pass.number > refused.number {
                return Ok(Some(record.pass.clone()));
            }
        }
        let token = self.token.clone();
        let found = tokio::task::spawn_blocking(move || token.read_again()).await;
        match found {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(None),
            Ok(Err(problem)) => {
                // It may be about to be replaced; the request that wanted it was not sent, or not done.
                let error = Error::new(Kind::SignedOut, OP, problem.what).hint(problem.instead);
                return Err(error.retry(Retry::Never));
            }
            Err(error) => return Err(Error::new(Kind::SignedOut, OP, format!("the token cannot be read: {error}"))),
        }
        tracing::info!("another token stands in its file; going on with that");
        let mut record = self.record();
        record.texts = words(&self.token.current(), self.word);
        record.rejections = Rejections::default();
        let text = record.texts.0.clone();
        Ok(Some(record.take(text, Standing::New)))
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// What to offer after the present pass was refused.
    fn next(&mut self) -> Option<Pass> {
        match (self.standing, self.texts.1.clone()) {
            (Standing::Proved, _) => Some(self.take(self.pass.text.clone(), Standing::Doubted)),
            (Standing::New, Some(other)) => Some(self.take(other, Standing::Other)),
            // The likelier one once more, as services err too.
            (Standing::New, None) | (Standing::Other, _) => Some(self.take(self.texts.0.clone(), Standing::Doubted)),
            (Standing::Doubted, _) => None,
        }
    }

    /// Goes on with another pass.
    fn take(&mut self, text: SecretString, standing: Standing) -> Pass {
        self.pass = Pass { number: self.pass.number + 1, text };
        self.standing = standing;
        self.is_rejected = false;
        self.pass.clone()
    }
}

/// The token with the word it looks like, and with the other one; a token that has a word before it goes as it is.
fn words(token: &SecretString, word: &'static str) -> (SecretString, Option<SecretString>) {
    let text = token.expose_secret().trim();
    if text.starts_with(&format!("{word} ")) || text.starts_with(&format!("{BEARER} ")) {
        return (SecretString::from(text.to_owned()), None);
    }
    let with = |word: &str| SecretString::from(format!("{word} {text}"));
    match text.starts_with(SHORT_LIVED) {
        true => (with(BEARER), Some(with(word))),
        false => (with(word), Some(with(BEARER))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::secret::Keeper;

    fn signer(token: &str) -> Signer {
        Signer::new(Arc::new(Token::fixed(token.into())), "OAuth")
    }

    fn text(pass: &Pass) -> &str {
        pass.text.expose_secret()
    }

    #[tokio::test]
    async fn a_token_tells_by_its_look_what_it_goes_with() {
        for (token, header) in [
            ("y0_AgAAAA", "OAuth y0_AgAAAA"),
            ("t1.9euelZ", "Bearer t1.9euelZ"),
            ("Bearer abc", "Bearer abc"),
            ("OAuth t1.abc", "OAuth t1.abc"),
        ] {
            assert_eq!(text(&signer(token).pass().await.unwrap()), header);
        }
    }

    #[tokio::test]
    async fn the_other_word_is_tried_once_and_the_likelier_one_twice() {
        let signer = signer("opaque");
        let first = signer.pass().await.unwrap();
        let second = signer.refused(&first, "no").await.unwrap();
        assert_eq!(text(&second), "Bearer opaque");
        let late = signer.refused(&first, "no").await.unwrap();
        assert_eq!(text(&late), "Bearer opaque", "who comes late goes on with what was found");
        let third = signer.refused(&second, "no").await.unwrap();
        assert_eq!(text(&third), "OAuth opaque", "services err, too");
        let error = signer.refused(&third, "IAM authentication required").await.err().unwrap();
        assert_eq!(error.kind, Kind::SignedOut);
        assert!(error.to_string().contains("IAM authentication required"), "{error}");
    }

    #[tokio::test]
    async fn a_token_that_was_good_is_offered_once_more_as_it_is() {
        let signer = signer("opaque");
        let pass = signer.pass().await.unwrap();
        signer.accepted(&pass);
        let again = signer.refused(&pass, "").await.unwrap();
        assert_eq!(text(&again), "OAuth opaque");
        assert!(signer.refused(&again, "").await.is_err());
        signer.accepted(&again);
        assert!(signer.refused(&again, "").await.is_ok(), "it was let in meanwhile");
    }

    #[tokio::test]
    async fn a_rejected_token_is_left_alone_until_another_one_stands_in_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(file.path(), "Bearer old\n").unwrap();
        let token = Token::of_file(file.path().to_owned(), Keeper::Person).unwrap();
        let signer = Signer::new(Arc::new(token), "OAuth");
        let first = signer.pass().await.unwrap();
        signer.refused(&first, "expired").await.unwrap();
        for _ in 0..3 {
            let pass = signer.pass().await.unwrap();
            let error = signer.refused(&pass, "expired").await.err().unwrap();
            assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
        }
        let error = signer.pass().await.err().unwrap();
        assert!(error.to_string().contains("not trying again"), "{error}");
        std::fs::write(file.path(), "Bearer new\n").unwrap();
        let pass = signer.pass().await.unwrap();
        assert_eq!(text(&pass), "Bearer new");
        signer.accepted(&pass);
        assert_eq!(text(&signer.pass().await.unwrap()), "Bearer new");
    }

    #[tokio::test]
    async fn requests_that_were_under_way_together_are_rejected_together() {
        let signer = signer("Bearer gone");
        let first = signer.pass().await.unwrap();
        let second = signer.refused(&first, "").await.unwrap();
        for _ in 0..10 {
            assert!(signer.refused(&second, "").await.is_err());
        }
        assert!(signer.pass().await.is_ok(), "that was one rejection");
    }

    #[tokio::test]
    async fn hundreds_that_wait_need_one_look() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(file.path(), "t1.old").unwrap();
        let token = Token::of_file(file.path().to_owned(), Keeper::Person).unwrap();
        let signer = Arc::new(Signer::new(Arc::new(token), "OAuth"));
        let old = signer.pass().await.unwrap();
        signer.accepted(&old);
        std::fs::write(file.path(), "t1.new").unwrap();
        let refused = (0..200).map(|_| async { signer.refused(&old, "").await.unwrap() });
        for pass in futures_util::future::join_all(refused).await {
            assert_eq!((text(&pass), pass.number), ("Bearer t1.new", 1));
        }
    }

    #[test]
    fn nothing_shows_the_token() {
        let pass = Pass { number: 0, text: "OAuth geheim".into() };
        assert!(!format!("{:?}", pass.text).contains("geheim"));
    }
}
