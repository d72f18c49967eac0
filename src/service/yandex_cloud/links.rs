//! Where the bytes of files lie: addresses that are a proof by themselves and live for an hour, to which nothing of ours
//! goes along; and the sizes that were found there, which hold as long as the file, whose content never changes.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::answers::Stored;
use super::api::Trouble;
use super::calls::gone;
use super::codes::Refusal;
use super::{Cloud, Dialect};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Method, Request};

/// Addresses and sizes that are remembered: more than a folder has files.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// How long an address is good that does not say it.
const GOOD_FOR: Duration = Duration::from_secs(3600);
/// An address is not used in its last moments: reading takes time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(120);
/// A label may say anything; the service takes no file larger than this, in bytes.
const LABEL_MAX: u64 = 134_217_728;

/// What is remembered of the bytes of files.
pub(super) struct Links {
    links: Mutex<LruCache<String, Link>>,
    sizes: Mutex<LruCache<String, u64>>,
}

#[derive(Clone)]
struct Link {
    url: Url,
    until: Instant,
}

impl Default for Links {
    fn default() -> Self {
        Links { links: Mutex::new(LruCache::new(REMEMBERED_MAX)), sizes: Mutex::new(LruCache::new(REMEMBERED_MAX)) }
    }
}

impl Links {
    fn links(&self) -> MutexGuard<'_, LruCache<String, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sizes(&self) -> MutexGuard<'_, LruCache<String, u64>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of a file was seen, in bytes.
    pub(super) fn note_size(&self, id: &str, size: u64) {
        self.sizes().put(id.to_owned(), size);
    }

    /// The file does not exist any more.
    pub(super) fn forget(&self, id: &str) {
        self.links().pop(id);
        self.sizes().pop(id);
    }
}

/// What the storage says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// In bytes.
    pub(super) size: u64,
    /// Its ETag, if that looks like an MD5: 32 digits.
    pub(super) md5: Option<String>,
}

#[derive(Deserialize)]
struct UrlDto {
    url: String,
}

impl Cloud {
    /// The size of a file, if nobody has to be asked.
    pub(super) fn known_size(&self, file: &Stored) -> Option<u64> {
        let seen = self.links.sizes().get(&file.id).copied();
        seen.or(file.size.filter(|size| self.dialect() == Dialect::OpenAi || *size <= LABEL_MAX))
    }

    /// The size of a file. Asked once for a file of others, who leave no label.
    ///
    /// # Errors
    /// `NotFound` when it is gone; whatever keeps the storage from telling.
    pub(super) async fn size_of(&self, op: &'static str, file: &Stored) -> Result<u64> {
        match self.known_size(file) {
            Some(size) => Ok(size),
            None => self.measure(op, &file.id).await.map(|measured| measured.size),
        }
    }

    /// Asks the storage about a file.
    ///
    /// # Errors
    /// As [`Cloud::size_of`].
    pub(super) async fn measure(&self, op: &'static str, id: &str) -> Result<Measured> {
        // An address is signed for reading, not for asking: the first byte comes along.
        let mut answer = self.fetch(op, id, Some(&(0..1))).await?;
        if answer.status() == 416 {
            // There is no first byte, so there is nothing; which is worth a second look.
            answer = self.fetch(op, id, None).await?;
        }
        let size = match answer.status() {
            206 => answer.content_range().map(|(_, total)| total),
            200 => answer.header("content-length").and_then(|length| length.parse().ok()).filter(|_| !answer.is_html()),
            _ => return Err(self.not_fetched(op, id, answer).await),
        };
        let Some(size) = size else {
            return Err(Error::new(Kind::Protocol, op, "the storage does not say how large the file is"));
        };
        let md5 = answer.header("etag").map(|etag| etag.trim_matches('"').to_lowercase());
        let md5 = md5.filter(|etag| etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit()));
        self.links.note_size(id, size);
        Ok(Measured { size, md5 })
    }

    /// Asks for bytes of a file, or for all of them; the answer as it came.
    pub(super) async fn fetch(&self, op: &'static str, id: &str, range: Option<&Range<u64>>) -> Result<Answer> {
        let span = range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let spanned = |request: Request| match &span {
            Some(span) => request.header("range", span),
            None => request,
        };
        if self.dialect() == Dialect::OpenAi {
            let asked = || {
                let call = self.api.call(op, Method::Get, &[id, "content"]);
                match &span {
                    Some(span) => call.header("range", span),
                    None => call,
                }
            };
            let answer = self.api.send(asked).await?;
            return match answer.status() {
                301..=303 | 307 | 308 => self.guests.follow(op, &answer, spanned).await,
                _ => Ok(answer),
            };
        }
        let (mut url, mut is_new) = (self.known_link(id), false);
        loop {
            let at = match url.take() {
                Some(url) => url,
                None => self.new_link(op, id).await?,
            };
            let answer = self.guests.get(op, at, |request| spanned(request).secret_address()).await?;
            if answer.status() != 403 || is_new {
                return Ok(answer);
            }
            // It has lived too long, or the clocks differ.
            self.links.links().pop(id);
            is_new = true;
        }
    }

    fn known_link(&self, id: &str) -> Option<Url> {
        let mut links = self.links.links();
        links.get(id).filter(|link| Instant::now() < link.until).map(|link| link.url.clone())
    }

    /// Asks where the bytes of a file lie.
    async fn new_link(&self, op: &'static str, id: &str) -> Result<Url> {
        let asked = Instant::now();
        let told = self.api.exchange::<UrlDto>(|| self.api.call_for_url(op, id)).await;
        let told = match told {
            Err(Trouble::Refused(refusal)) if refusal.is_missing() => return Err(self.no_link(op, id).await),
            told => told.map_err(|trouble| trouble.into_error(op))?,
        };
        let unlike = |_| Error::new(Kind::Protocol, op, "the service gives an address that is none");
        let url = Url::parse(&told.url).map_err(unlike)?;
        let until = asked + lifetime(&url);
        self.links.links().put(id.to_owned(), Link { url: url.clone(), until });
        Ok(url)
    }

    /// There is no address: the file is gone, or the host does not know the call.
    async fn no_link(&self, op: &'static str, id: &str) -> Error {
        match self.by_id(op, id).await {
            Ok(None) => gone(op),
            Ok(Some(_)) => {
                let error =
                    Error::new(Kind::Unsupported, op, "the service has the file, and does not say where its bytes are");
                error.hint(
                    "name another address of the API as url, https://rest-assistant.api.cloud.yandex.net for example",
                )
            }
            Err(error) => error,
        }
    }

    /// The storage does not give what the service says it has.
    pub(super) async fn not_fetched(&self, op: &'static str, id: &str, answer: Answer) -> Error {
        let (status, wait) = (answer.status(), answer.retry_after());
        match status {
            404 | 410 => match self.by_id(op, id).await {
                Ok(None) => gone(op),
                Ok(Some(_)) => {
                    let error = Error::new(Kind::Server, op, "the service has the file, and its storage has not");
                    error.retry(Retry::After(Duration::ZERO))
                }
                Err(error) => error,
            },
            403 => {
                let error = Error::new(Kind::Denied, op, "the storage does not hand out the file");
                error.hint("is the clock right, and does nothing between change the address?")
            }
            _ => Refusal { status, wait, only_reads: true, ..Refusal::default() }.into_error(op),
        }
    }
}

/// For how long an address can be used.
fn lifetime(url: &Url) -> Duration {
    let told = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-expires"));
    let told = told.and_then(|(_, seconds)| seconds.parse().ok()).map_or(GOOD_FOR, Duration::from_secs);
    // Nobody keeps an address longer than an hour, whatever it says of itself.
    let told = told.min(GOOD_FOR);
    told.saturating_sub(MARGIN.min(told / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_long_it_is_good() {
        let seconds = |query: &str| lifetime(&Url::parse(&format!("https://s.example/f?{query}")).unwrap()).as_secs();
        assert_eq!(seconds("X-Amz-Expires=3600&X-Amz-Signature=a"), 3480);
        assert_eq!(seconds("X-Amz-Expires=40"), 30);
        assert_eq!(seconds("X-Amz-Expires=0"), 0);
        assert_eq!(seconds("a=b"), 3480);
        assert_eq!(seconds("X-Amz-Expires=999999"), 3480);
    }
}
