//! Reading files by ranges, and how long they are. The bytes of one attachment never change, so its size is remembered
//! for good.
//!
//! **Roads.** The download by id counts. Nobody knows whether the service answers ranges of it: where it does not, a
//! reader that goes on where it stopped goes on with the same answer, and one that jumps far is sent to the object store
//! behind the wiki, by the file's address, once it is certain that the address is this file's. Whoever is sent to a store
//! goes there without a credential.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lru::LruCache;
use tokio::time::Instant;
use url::Url;

use super::Wiki;
use super::answers::{AttachmentDto, Check};
use super::slugs::percent_decoded;
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Answer, Method, Request, Rest};
use crate::path::RemotePath;
use crate::service::Node;

/// The operation, in errors.
const OP: &str = "read";
/// So many bytes are rather read and dropped than asked for anew.
const SKIP_MAX: u64 = 4 << 20;
/// Answers that are kept for whoever goes on reading.
const STREAMS_MAX: usize = 8;
/// An answer nobody went on with for so long is dropped.
const STREAM_IDLE_MAX: Duration = Duration::from_secs(10);
/// Sizes that are remembered.
const SIZES_MAX: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("not zero");
/// Addresses in the store that are remembered.
const ADDRESSES_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// A file that is read: the page it is attached to, and its number.
#[derive(Clone, Debug)]
pub(super) struct FileRef {
    pub(super) page: String,
    pub(super) file: String,
    /// In bytes.
    pub(super) size: u64,
}

impl FileRef {
    /// The file of a node.
    pub(super) fn of(node: &Node) -> Result<FileRef> {
        let (page, file) = node.id.split_once('/').ok_or_else(|| Error::new(Kind::IsDirectory, OP, "it is a page"))?;
        Ok(FileRef { page: page.to_owned(), file: file.to_owned(), size: node.size })
    }
}

/// An answer with the rest of a whole file.
struct Stream {
    file: String,
    /// The byte of the file that comes next.
    at: u64,
    answer: Answer,
    used: Instant,
}

/// What is known about downloads.
pub(super) struct Downloads {
    sizes: Mutex<LruCache<String, u64>>,
    /// Where in the store a file is; a proof by itself, good for a while.
    addresses: Mutex<LruCache<String, Url>>,
    streams: Mutex<Vec<Stream>>,
    /// The service was asked for a range and sent the whole file.
    knows_no_ranges: AtomicBool,
    /// The address of a file leads to no store that answers ranges.
    has_no_store: AtomicBool,
}

impl Default for Downloads {
    fn default() -> Downloads {
        Downloads {
            sizes: Mutex::new(LruCache::new(SIZES_MAX)),
            addresses: Mutex::new(LruCache::new(ADDRESSES_MAX)),
            streams: Mutex::default(),
            knows_no_ranges: AtomicBool::new(false),
            has_no_store: AtomicBool::new(false),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Downloads {
    /// The file has so many bytes.
    pub(super) fn note_size(&self, file: &str, bytes: u64) {
        lock(&self.sizes).put(file.to_owned(), bytes);
    }

    fn size(&self, file: &str) -> Option<u64> {
        lock(&self.sizes).get(file).copied()
    }

    /// The answer that comes to byte `at` of the file soon.
    fn take_stream(&self, file: &str, at: u64) -> Option<Stream> {
        let mut streams = lock(&self.streams);
        streams.retain(|stream| stream.used.elapsed() < STREAM_IDLE_MAX);
        let fits = |stream: &Stream| stream.file == file && stream.at <= at && at - stream.at <= SKIP_MAX;
        let found = streams.iter().position(fits)?;
        Some(streams.swap_remove(found))
    }

    fn keep_stream(&self, stream: Stream) {
        let mut streams = lock(&self.streams);
        if streams.len() >= STREAMS_MAX
            && let Some(oldest) = (0..streams.len()).min_by_key(|at| streams[*at].used)
        {
            streams.swap_remove(oldest);
        }
        streams.push(stream);
    }
}

/// What a store or the service sent.
enum Got {
    Bytes(Bytes),
    /// The whole file, from its first byte on.
    Whole(Answer),
    /// Something else.
    Not(Answer),
}

impl Wiki {
    /// Exactly the bytes `range` of `node`.
    pub(super) async fn read_file(&self, path: &RemotePath, node: &Node, range: Range<u64>) -> Result<Bytes> {
        if range.end > node.size {
            return Err(Error::new(Kind::Invalid, OP, format!("{path} ends before byte {}", range.end)));
        }
        self.read_range(&FileRef::of(node)?, range).await
    }

    /// Exactly the bytes `range` of `file`, which has them.
    pub(super) async fn read_range(&self, file: &FileRef, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        if let Some(mut stream) = self.downloads.take_stream(&file.file, range.start) {
            match stream.answer.take(range.start - stream.at, length(&range)?).await {
                Ok(bytes) => {
                    self.keep(Stream { at: range.end, used: Instant::now(), ..stream }, file.size);
                    return Ok(bytes);
                }
                Err(error) => tracing::debug!(%error, "an answer that was kept has ended; asking anew"),
            }
        }
        let known = lock(&self.downloads.addresses).get(&file.file).cloned();
        if let Some(url) = known {
            match self.ask_store(url, file, &range).await {
                Ok(Got::Bytes(bytes)) => return Ok(bytes),
                Ok(_) => self.forget_address(file),
                Err(error) => {
                    self.forget_address(file);
                    tracing::debug!(%error, "the store does not answer; asking the wiki again");
                }
            }
        }
        let jumps = range.start > SKIP_MAX;
        if jumps
            && self.downloads.knows_no_ranges.load(Ordering::Relaxed)
            && let Some(bytes) = self.by_address(file, &range).await?
        {
            return Ok(bytes);
        }
        let mut got = self.by_id(file, &range).await?;
        if let Got::Not(answer) = &got
            && matches!(answer.status(), 403 | 409 | 423)
        {
            if let Some(error) = self.kept_back(file).await {
                return Err(error);
            }
            // The antivirus may have come to its end meanwhile.
            got = self.by_id(file, &range).await?;
        }
        match got {
            Got::Bytes(bytes) => Ok(bytes),
            Got::Whole(answer) => {
                if jumps && let Some(bytes) = self.by_address(file, &range).await? {
                    return Ok(bytes);
                }
                let mut stream = Stream { file: file.file.clone(), at: range.end, answer, used: Instant::now() };
                let bytes = stream.answer.take(range.start, length(&range)?).await?;
                stream.used = Instant::now();
                self.keep(stream, file.size);
                Ok(bytes)
            }
            Got::Not(answer) => Err(self.not_read(answer).await),
        }
    }

    /// Keeps an answer that has more to say.
    fn keep(&self, stream: Stream, size: u64) {
        if stream.at < size {
            self.downloads.keep_stream(stream);
        }
    }

    fn forget_address(&self, file: &FileRef) {
        lock(&self.downloads.addresses).pop(&file.file);
    }

    /// By the file's number; the service may send us on to its store.
    async fn by_id(&self, file: &FileRef, range: &Range<u64>) -> Result<Got> {
        let answer = self.download(&file.page, &file.file, &span(range)).await?;
        if !is_redirect(&answer) {
            let got = judge(answer, file, range).await?;
            if matches!(got, Got::Whole(_)) {
                self.downloads.knows_no_ranges.store(true, Ordering::Relaxed);
            }
            return Ok(got);
        }
        let url = self.place_of(&answer)?;
        let got = self.ask_store(url.clone(), file, range).await?;
        if matches!(got, Got::Bytes(_)) {
            lock(&self.downloads.addresses).put(file.file.clone(), url);
        }
        Ok(got)
    }

    /// By the address of the file, which leads to the store, where it is certain that it is this file's: addresses are used
    /// again when a file is gone. `None` where that road ends.
    async fn by_address(&self, file: &FileRef, range: &Range<u64>) -> Result<Option<Bytes>> {
        if self.downloads.has_no_store.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(address) = self.address_of(file, false).await? else { return Ok(None) };
        let answer = self
            .api
            .fetch(|api| {
                let call = api.call(OP, Method::Get, &["pages", "attachments", "download_by_url"]);
                call.query([("url", address.as_str()), ("download", "true")])
            })
            .await?;
        if !is_redirect(&answer) {
            self.downloads.has_no_store.store(answer.status() == 200, Ordering::Relaxed);
            return Ok(None);
        }
        let url = self.place_of(&answer)?;
        if self.address_of(file, true).await? != Some(address) {
            return Ok(None);
        }
        match self.ask_store(url.clone(), file, range).await? {
            Got::Bytes(bytes) => {
                lock(&self.downloads.addresses).put(file.file.clone(), url);
                Ok(Some(bytes))
            }
            Got::Whole(_) => {
                self.downloads.has_no_store.store(true, Ordering::Relaxed);
                Ok(None)
            }
            Got::Not(_) => Ok(None),
        }
    }

    /// The address of a file as the service takes it: without the slash before it.
    async fn address_of(&self, file: &FileRef, afresh: bool) -> Result<Option<String>> {
        let known = if afresh { None } else { self.index.files(&file.page) };
        let files = match known {
            Some(files) => files,
            None => self.ask_files(OP, &file.page).await?,
        };
        let found = files.into_iter().find(|other| other.id == file.file).and_then(|found| found.download_url);
        Ok(found.map(|path| percent_decoded(path.trim_start_matches('/'))))
    }

    async fn download(&self, page: &str, file: &str, span: &str) -> Result<Answer> {
        let call = ["pages", page, "attachments", file, "download"];
        self.api.fetch(|api| api.call(OP, Method::Get, &call).header("range", span)).await
    }

    /// Where an answer sends us.
    fn place_of(&self, answer: &Answer) -> Result<Url> {
        answer.place().ok_or_else(|| Error::new(Kind::Protocol, OP, "the wiki sends us on, and does not say where to"))
    }

    async fn ask_store(&self, url: Url, file: &FileRef, range: &Range<u64>) -> Result<Got> {
        let span = span(range);
        let answer = self.guests.get(OP, url, |request| request.header("range", &span).secret_address()).await?;
        judge(answer, file, range).await
    }

    async fn not_read(&self, answer: Answer) -> Error {
        match answer.status() {
            // A picture stands for it, or it was moved to where we may not look.
            404 | 410 => Error::new(Kind::NotFound, OP, "the file is not there any more, or may not be downloaded"),
            416 => Error::new(Kind::Conflict, OP, "the file is shorter by now"),
            _ => self.api.refusal(answer).await.into_error(OP),
        }
    }

    /// Why the antivirus does not let a file out, if that is why.
    async fn kept_back(&self, file: &FileRef) -> Option<Error> {
        let files = self.ask_files(OP, &file.page).await.ok()?;
        let found = files.into_iter().find(|other| other.id == file.file)?;
        match found.check() {
            Check::Good => None,
            Check::Pending => {
                let error = Error::new(Kind::Busy, OP, "the wiki's antivirus is still looking at the file");
                Some(error.retry(Retry::After(Duration::ZERO)))
            }
            Check::Bad => {
                let what = format!("the wiki's antivirus does not let the file through: {}", found.verdict());
                Some(Error::new(Kind::Refused, OP, what))
            }
        }
    }

    /// How many bytes a file has; `None` when nobody gets to know that, because nobody gets its bytes.
    pub(super) async fn exact_size(&self, op: &'static str, page: &str, file: &AttachmentDto) -> Result<Option<u64>> {
        if let Some(size) = self.downloads.size(&file.id) {
            return Ok(Some(size));
        }
        if file.check() == Check::Bad {
            return Ok(None);
        }
        let size = self.ask_size(op, page, &file.id).await?;
        if let Some(size) = size {
            self.downloads.note_size(&file.id, size);
        }
        Ok(size)
    }

    /// Asks for the first byte, and where that tells nothing, for all of them, of which none is read that need not be.
    async fn ask_size(&self, op: &'static str, page: &str, file: &str) -> Result<Option<u64>> {
        for span in [Some("bytes=0-0"), None] {
            let answer = self.begin_download(op, page, file, span).await?;
            match answer.status() {
                206 => match answer.content_range() {
                    Some((_, total)) => return Ok(Some(total)),
                    None => continue,
                },
                200 => {
                    let told = answer.header("content-length").and_then(|length| length.parse().ok());
                    return match told {
                        Some(length) => Ok(Some(length)),
                        None => answer.count().await.map(Some),
                    };
                }
                // There is no first byte.
                416 if answer.header("content-range").is_some_and(|range| range.trim() == "bytes */0") => {
                    return Ok(Some(0));
                }
                403 | 404 | 409 | 410 | 423 | 451 => return Ok(None),
                400..=499 | 501 if span.is_some() => {}
                _ => return Err(self.api.refusal(answer).await.into_error(op)),
            }
        }
        Ok(None)
    }

    /// An answer with bytes of a file, from wherever the wiki sends us.
    async fn begin_download(&self, op: &'static str, page: &str, file: &str, span: Option<&str>) -> Result<Answer> {
        let call = ["pages", page, "attachments", file, "download"];
        let answer = self
            .api
            .fetch(|api| {
                let call = api.call(op, Method::Get, &call);
                match span {
                    Some(span) => call.header("range", span),
                    None => call,
                }
            })
            .await?;
        if !is_redirect(&answer) {
            return Ok(answer);
        }
        let with = |request: Request| match span {
            Some(span) => request.header("range", span).secret_address(),
            None => request.secret_address(),
        };
        self.guests.follow(op, &answer, with).await
    }
}

/// What an answer brings.
async fn judge(answer: Answer, file: &FileRef, range: &Range<u64>) -> Result<Got> {
    let other = |what: String| Err(Error::new(Kind::Corrupt, OP, what));
    match answer.status() {
        206 => match answer.content_range() {
            Some((got, total)) if got == *range && total == file.size => {
                Ok(Got::Bytes(answer.bytes(0, length(range)?, Rest::Nothing).await?))
            }
            found => other(format!("the wiki sends other bytes than were asked for: {found:?}")),
        },
        200 => match answer.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
            Some(total) if total != file.size => {
                other(format!("the wiki sends {total} bytes for a file of {}", file.size))
            }
            _ => Ok(Got::Whole(answer)),
        },
        _ => Ok(Got::Not(answer)),
    }
}

fn is_redirect(answer: &Answer) -> bool {
    matches!(answer.status(), 301..=303 | 307 | 308)
}

fn span(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}

fn length(range: &Range<u64>) -> Result<usize> {
    let length = usize::try_from(range.end - range.start);
    length.map_err(|_| Error::new(Kind::Invalid, OP, "more bytes at once than memory can hold"))
}
