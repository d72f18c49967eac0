//! What must be true of every service when a process takes over what another one has left: the cases, for a portal of any
//! service. Each client here is used by one process and knows nothing of the others; time is turned by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uploadfs::error::Error;
use uploadfs::path::RemotePath;
use uploadfs::portal::faults::{Fault, How, Rule, When};
use uploadfs::portal::{FileState, Portal, SessionState};
use uploadfs::service::{Node, Payload, Progress, Service};

use super::journal::{Digest, File, Journal, Writer, resume};
use crate::support::clock::{Line, turned};
use crate::support::desk::sha256;
use crate::support::upload::{any, content, text};

/// The name of the file.
const NAME: &str = "a.bin";
/// So many bytes of a request are not of the file, at most.
const HEAD_BYTES: u64 = 1500;

/// A service with accounts.
pub(super) trait Place {
    fn portal(&self) -> &Portal;

    /// A client of the usual account, for a process that knows nothing.
    async fn process(&self, line: &Line) -> Arc<dyn Service>;

    /// A client of somebody else.
    async fn stranger(&self, line: &Line) -> Arc<dyn Service>;

    /// How many versions a file has that was overwritten once.
    fn versions(&self) -> usize {
        1
    }

    /// The request that makes the file.
    fn last_request(&self) -> &'static str;
}

/// One that takes files in parts.
pub(super) trait Parts: Place {
    /// The size of a part, in bytes.
    const PART: u64;

    /// The size of files here, in bytes: six parts, the last of which is not full.
    const LARGE: u64 = 5 * Self::PART + 77;

    /// Whether parts are counted: one whose receipt is lost counts twice when it is sent again, and the last one makes the
    /// file.
    fn counts(&self) -> bool {
        false
    }

    /// The request that makes a file of parts.
    fn last_of_parts(&self) -> &'static str {
        self.last_request()
    }

    /// Sessions that are open now will not be there any more.
    fn expire(&self);

    /// A file of six parts, by the number of its content.
    fn text(&self, seed: u64) -> Bytes {
        bytes_of(Self::LARGE, seed)
    }

    /// The bytes of the last `parts` parts.
    fn missing(&self, parts: usize) -> u64 {
        Self::LARGE.saturating_sub((6 - parts as u64) * Self::PART)
    }

    /// How many parts make the file when they are sent.
    fn makers(&self) -> usize {
        usize::from(self.counts())
    }
}

/// What stands under the name before, of another content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// A file of the same size, which is replaced.
    SameSize,
}

impl Before {
    pub(super) const ALL: [Before; 2] = [Before::Nothing, Before::SameSize];
}

fn bytes_of(size: u64, seed: u64) -> Bytes {
    text(usize::try_from(size).unwrap(), seed)
}

pub(super) fn path() -> RemotePath {
    RemotePath::parse(NAME).unwrap()
}

/// Runs `case` for everything that may stand there before and everything that may be known.
pub(super) fn each<P: Place>(place: impl Fn() -> P, case: impl AsyncFn(&P, &Line, Before, Digest)) {
    for before in Before::ALL {
        for digest in Digest::ALL {
            let place = place();
            turned(place.portal(), async |line| case(&place, line, before, digest).await);
            assert_eq!(place.portal().violations(), [], "{before:?} {digest:?}");
        }
    }
}

/// A file of `size` bytes that is to be uploaded, and what stands there before.
pub(super) async fn file(place: &impl Place, line: &Line, size: u64, before: Before) -> File {
    let bytes = bytes_of(size, 1);
    let replaces = match before {
        Before::Nothing => None,
        Before::SameSize => Some(any(&*place.process(line).await, &path(), &bytes_of(size, 2)).await.unwrap()),
    };
    // Times are kept in whole seconds.
    place.portal().advance(Duration::from_secs(5));
    File { path: path(), bytes, replaces }
}

/// Everything the portal has.
pub(super) fn files(place: &impl Place) -> Vec<FileState> {
    place.portal().state().unwrap().files
}

/// The file is there, once, whole, in as many versions as it was made, and no session is left.
#[track_caller]
pub(super) fn assert_once(place: &impl Place, bytes: &Bytes, before: Before) {
    let versions = if before == Before::Nothing { 1 } else { place.versions() };
    let found = files(place);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].path.ends_with(&format!("/{NAME}")), "{found:?}");
    let got = (found[0].stored_bytes, found[0].versions, found[0].sha256.as_str());
    assert_eq!(got, (bytes.len() as u64, versions, sha256(bytes).as_str()));
    assert_no_session(place);
}

/// No session is left from which something could come. One that was given up may have a byte of each of its parts.
#[track_caller]
pub(super) fn assert_no_session(place: &impl Place) {
    let is_open = |session: &SessionState| session.commits == 0 && !(session.abandoned && session.bytes_held <= 6);
    let sessions: Vec<_> = place.portal().state().unwrap().sessions.into_iter().filter(is_open).collect();
    assert!(sessions.is_empty(), "{sessions:?}");
}

/// The file at the name is `bytes` for whoever looks.
pub(super) async fn assert_content(place: &impl Place, line: &Line, bytes: &Bytes) {
    assert_eq!(content(&*place.process(line).await, &path()).await.unwrap(), *bytes);
}

/// The next request of this kind, or the answer to it, gets lost.
pub(super) fn lose(place: &impl Place, kind: &str, when: When) {
    place.portal().add_fault(Rule::once(kind, Fault::Drop { when, how: How::Reset }));
}

/// No request of this kind gets through until the faults are cleared.
pub(super) fn block(place: &impl Place, kind: &str) {
    place.portal().add_fault(Rule::always(kind, Fault::Drop { when: When::Before, how: How::Reset }));
}

pub(super) fn assert_doubt<T: std::fmt::Debug>(told: Result<T, Error>) {
    assert!(told.as_ref().is_err_and(Error::in_doubt), "{told:?}");
}

pub(super) fn a_session_is_gone_on_with_wherever_it_was_left<P: Parts>(place: impl Fn() -> P) {
    for left in 1..=5 {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, P::LARGE, before).await;
            let first = place.process(line).await;
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            writer.put_all_but(left).await.unwrap();
            let journal = writer.end();
            drop(first);
            let (missing, before_it) = (place.missing(left), line.sent_bytes());
            let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
            resumed.assert_gone_on(missing);
            let requests = 16 + left as u64;
            let sent = line.sent_bytes() - before_it;
            assert!(sent <= missing + requests * HEAD_BYTES, "{sent} bytes instead of {missing}");
            assert_once(place, &file.bytes, before);
        });
    }
}

pub(super) fn a_receipt_that_was_not_written_down_costs_one_part<P: Parts>(place: impl Fn() -> P) {
    for left in [0, 1, 3] {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, P::LARGE, before).await;
            let first = place.process(line).await;
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            writer.put_all_but(left).await.unwrap();
            writer.lose_receipt();
            let journal = writer.end();
            drop(first);
            let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
            if left == 0 && place.counts() {
                resumed.assert_finished();
            } else if place.counts() {
                // Found out by the first bytes of the next part.
                assert!(matches!(resumed.told, Progress::Holds(_)), "{:?}", resumed.told);
                assert!(resumed.sent_bytes > file.bytes.len() as u64);
            } else {
                resumed.assert_gone_on(place.missing(left + 1));
            }
            assert_once(place, &file.bytes, before);
        });
    }
}

pub(super) fn a_file_that_was_made_is_there<P: Parts>(place: impl Fn() -> P) {
    for is_answered in [true, false] {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, P::LARGE, before).await;
            let first = place.process(line).await;
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            writer.put_all_but(place.makers()).await.unwrap();
            if !is_answered {
                lose(place, place.last_of_parts(), When::After);
            }
            if writer.parts_left() > 0 {
                // Sent and heard of or not, it is not written down.
                let told = writer.put().await;
                assert_eq!(told.is_ok(), is_answered, "{told:?}");
                if is_answered {
                    writer.lose_receipt();
                }
            } else if is_answered {
                writer.finish().await.unwrap();
            } else {
                assert_doubt(writer.finish().await);
            }
            let journal = writer.end();
            drop(first);
            let made = sha256(&file.bytes);
            assert!(files(place).iter().any(|file| file.sha256 == made), "the first process has made it");
            let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
            resumed.assert_finished();
            assert_once(place, &file.bytes, before);
            assert_content(place, line, &file.bytes).await;
        });
    }
}

pub(super) fn a_file_that_was_only_going_to_be_made_is_made<P: Parts>(place: impl Fn() -> P) {
    for others in [false, true] {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, P::LARGE, before).await;
            let first = place.process(line).await;
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            writer.put_all_but(place.makers()).await.unwrap();
            writer.note_finish();
            let (left, journal) = (writer.parts_left(), writer.end());
            drop(first);
            if others {
                // As many bytes, in the place of the file, by somebody else.
                any(&*place.stranger(line).await, &path(), &place.text(3)).await.unwrap();
            }
            let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
            // Where somebody has made a file of the name meanwhile, the session may be given up for one that replaces it.
            let is_overtaken = others && before == Before::Nothing && matches!(resumed.told, Progress::Gone);
            assert!(is_overtaken || matches!(resumed.told, Progress::Holds(_)), "{:?}", resumed.told);
            assert_content(place, line, &file.bytes).await;
            assert_no_session(place);
            if !others {
                resumed.assert_gone_on(place.missing(left));
                assert_once(place, &file.bytes, before);
            }
        });
    }
}

pub(super) fn a_session_that_has_expired_is_begun_again<P: Parts>(place: impl Fn() -> P) {
    for (left, others) in [(5, false), (1, false), (0, false), (0, true)] {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, P::LARGE, before).await;
            let first = place.process(line).await;
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            let left = left.max(place.makers());
            writer.put_all_but(left).await.unwrap();
            if left <= 1 {
                writer.note_finish();
            }
            let journal = writer.end();
            drop(first);
            if others {
                any(&*place.stranger(line).await, &path(), &place.text(3)).await.unwrap();
            }
            place.expire();
            let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
            resumed.assert_begun_again(&file);
            assert_content(place, line, &file.bytes).await;
            assert_no_session(place);
            if !others {
                assert_once(place, &file.bytes, before);
            }
        });
    }
}

/// As many bytes of the same account by another client are told apart where the SHA-1 is known.
pub(super) fn as_many_bytes_of_the_same_account_are_another_file<P: Parts>(place: impl Fn() -> P) {
    each(&place, async |place, line, before, _| {
        let file = file(place, line, P::LARGE, before).await;
        let first = place.process(line).await;
        let mut writer = Writer::begin(&*first, &file, Digest::Known, None).await.unwrap();
        writer.put_all_but(place.makers()).await.unwrap();
        writer.note_finish();
        let journal = writer.end();
        drop(first);
        any(&*place.process(line).await, &path(), &place.text(3)).await.unwrap();
        place.expire();
        let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
        resumed.assert_begun_again(&file);
        assert_content(place, line, &file.bytes).await;
    });
}

/// Whether a session is gone on with after some time, and one that was asked for its progress often.
pub(super) fn asking_changes_nothing<P: Parts>(place: impl Fn() -> P) {
    each(&place, async |place, line, before, digest| {
        let file = file(place, line, P::LARGE, before).await;
        let first = place.process(line).await;
        let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
        writer.put_all_but(2).await.unwrap();
        let journal = writer.end();
        drop(first);
        let before_it = place.portal().state().unwrap();
        for _ in 0..3 {
            let client = place.process(line).await;
            let session = journal.token.as_ref().map(|token| (token, journal.receipts.as_slice()));
            for _ in 0..3 {
                let progress = client.probe(&journal.spec, session).await.unwrap();
                assert!(matches!(progress, Progress::Unknown | Progress::Holds(_)), "{progress:?}");
                tokio::time::sleep(Duration::from_secs(20)).await;
            }
        }
        let now = place.portal().state().unwrap();
        assert_eq!((now.sessions, now.files), (before_it.sessions, before_it.files));
        resume(&*place.process(line).await, &file, &journal, None).await.assert_gone_on(place.missing(2));
        assert_once(place, &file.bytes, before);
    });
}

/// Sends `file` in one request, and ends.
pub(super) async fn send_whole(
    place: &impl Place,
    line: &Line,
    file: &File,
    digest: Digest,
) -> (Result<Node, Error>, Journal) {
    let first = place.process(line).await;
    let spec = file.spec(&*first, digest);
    let told = first.put_whole(&spec, Payload::from_bytes(file.bytes.clone(), 0)).await;
    (told, Journal::of_whole(&spec))
}

pub(super) fn a_file_of_one_request_is_there_if_it_was_made<P: Place>(place: impl Fn() -> P, size: u64) {
    for is_answered in [true, false] {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, size, before).await;
            if !is_answered {
                lose(place, place.last_request(), When::After);
            }
            let (told, journal) = send_whole(place, line, &file, digest).await;
            assert_eq!(told.is_ok(), is_answered, "{told:?}");
            let resumed = resume(&*place.process(line).await, &file, &journal, None).await;
            if digest == Digest::Known {
                resumed.assert_finished();
                assert_once(place, &file.bytes, before);
            } else {
                // Nothing tells it from as many bytes of somebody else: it is sent again, and nothing is lost.
                resumed.assert_begun_again(&file);
            }
            assert_content(place, line, &file.bytes).await;
            assert_no_session(place);
        });
    }
}

pub(super) fn a_file_of_one_request_that_was_not_sent_is_sent<P: Place>(place: impl Fn() -> P, size: u64) {
    for others in [false, true] {
        each(&place, async |place, line, before, digest| {
            let file = file(place, line, size, before).await;
            let spec = file.spec(&*place.process(line).await, digest);
            if others {
                any(&*place.stranger(line).await, &path(), &bytes_of(size, 3)).await.unwrap();
            }
            let resumed = resume(&*place.process(line).await, &file, &Journal::of_whole(&spec), None).await;
            resumed.assert_begun_again(&file);
            assert_content(place, line, &file.bytes).await;
            if !others {
                assert_once(place, &file.bytes, before);
            }
            assert_no_session(place);
        });
    }
}
