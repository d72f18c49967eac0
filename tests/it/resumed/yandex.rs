//! Yandex Wikis. A session tells how it stands; whether it has become a file, the attachments of the page tell. Only empty
//! files go in one request.

use uploadfs::portal::faults::When;
use uploadfs::portal::yandex_wiki::{Account, EmptyFiles, OrganisationKind};
use uploadfs::secret::Token;
use uploadfs::service::Payload;

use super::cases::*;
use super::journal::{Digest, File, Journal, Writer, resume};
use super::*;
use crate::support::clock::turned;
use crate::support::upload::{any, content};
use crate::support::yandex::{PART, Yandex, small};

/// The token of somebody else.
const OTHER: &str = "y0_other";

impl Place for Yandex {
    fn portal(&self) -> &Portal {
        &self.portal
    }

    async fn process(&self, line: &Line) -> Arc<dyn Service> {
        self.client_through(line)
    }

    async fn stranger(&self, line: &Line) -> Arc<dyn Service> {
        self.client_with(|config| {
            config.url = line.url();
            config.token = Arc::new(Token::fixed(OTHER.into()));
        })
    }

    fn last_request(&self) -> &'static str {
        "attach"
    }
}

impl Parts for Yandex {
    const PART: u64 = PART;

    fn expire(&self) {
        self.portal.advance(Duration::from_secs(25 * 3600));
    }
}

/// A wiki of small parts and two people.
fn wiki() -> Yandex {
    let mut config = small(OrganisationKind::Yandex360);
    config.accounts.push(Account::new("other", OTHER));
    config.settings.empty_files = EmptyFiles::Either;
    Yandex::of(config)
}

#[test]
fn a_session_is_gone_on_with_wherever_it_was_left_off() {
    a_session_is_gone_on_with_wherever_it_was_left(wiki);
}

#[test]
fn a_receipt_that_was_not_written_down_costs_its_part() {
    a_receipt_that_was_not_written_down_costs_one_part(wiki);
}

#[test]
fn a_file_that_was_attached_is_there() {
    a_file_that_was_made_is_there(wiki);
}

#[test]
fn a_file_that_was_only_going_to_be_attached_is_attached() {
    a_file_that_was_only_going_to_be_made_is_made(wiki);
}

#[test]
fn a_session_that_is_too_old_is_begun_again() {
    a_session_that_has_expired_is_begun_again(wiki);
}

#[test]
fn as_many_bytes_of_the_same_person_are_another_file() {
    as_many_bytes_of_the_same_account_are_another_file(wiki);
}

#[test]
fn asking_does_not_change_anything() {
    asking_changes_nothing(wiki);
}

/// A session whose parts are ended could be attached by a request that nobody heard of: it is given up.
#[test]
fn what_was_ended_and_not_attached_is_sent_again() {
    for (kind, when) in [("finish", When::After), ("attach", When::Before)] {
        each(wiki, async |wiki, line, before, digest| {
            let file = file(wiki, line, Yandex::LARGE, before).await;
            let first = wiki.process(line).await;
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            writer.put_all_but(0).await.unwrap();
            lose(wiki, kind, when);
            assert_doubt(writer.finish().await);
            let journal = writer.end();
            drop(first);
            resume(&*wiki.process(line).await, &file, &journal, None).await.assert_begun_again(&file);
            assert_once(wiki, &file.bytes, before);
            assert_eq!(wiki.count("attach"), 1 + u64::from(before == Before::SameSize) + u64::from(kind == "attach"));
        });
    }
}

/// The wiki says that the session is still to be attached, so it is not what looks like its file.
#[test]
fn what_was_ended_is_not_taken_for_what_the_same_person_has_attached() {
    each(wiki, async |wiki, line, before, digest| {
        let file = file(wiki, line, Yandex::LARGE, before).await;
        let first = wiki.process(line).await;
        let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        lose(wiki, "finish", When::After);
        assert_doubt(writer.finish().await);
        let journal = writer.end();
        drop(first);
        any(&*wiki.process(line).await, &path(), &wiki.text(3)).await.unwrap();
        resume(&*wiki.process(line).await, &file, &journal, None).await.assert_begun_again(&file);
        assert_content(wiki, line, &file.bytes).await;
        assert_no_session(wiki);
    });
}

/// A page that was made anew is another one.
#[test]
fn a_page_that_is_gone_takes_its_sessions_along() {
    for (left, is_ended) in [(2, false), (0, false), (0, true)] {
        each(wiki, async |wiki, line, before, digest| {
            if before == Before::SameSize {
                return;
            }
            let first = wiki.process(line).await;
            let directory = uploadfs::path::RemotePath::parse("d").unwrap();
            let node = first.mkdir(&directory).await.unwrap();
            let file = File { path: directory.join("a.bin"), bytes: wiki.text(1), replaces: None };
            let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
            writer.put_all_but(left).await.unwrap();
            if is_ended {
                lose(wiki, "finish", When::After);
                assert_doubt(writer.finish().await);
            }
            let journal = writer.end();
            first.remove(&directory, &node).await.unwrap();
            first.mkdir(&directory).await.unwrap();
            drop(first);
            let second = wiki.process(line).await;
            resume(&*second, &file, &journal, None).await;
            assert_eq!(content(&*second, &file.path).await.unwrap(), file.bytes);
            assert_no_session(wiki);
        });
    }
}

#[test]
fn what_was_to_be_replaced_and_is_still_there_is_removed() {
    each(wiki, async |wiki, line, before, digest| {
        if before == Before::Nothing {
            return;
        }
        let file = file(wiki, line, Yandex::LARGE, before).await;
        let first = wiki.process(line).await;
        let mut writer = Writer::begin(&*first, &file, digest, None).await.unwrap();
        writer.put_all_but(0).await.unwrap();
        block(wiki, "delete_attachment");
        assert_doubt(writer.finish().await);
        wiki.portal.clear_faults();
        assert_eq!(files(wiki).len(), 2);
        let journal = writer.end();
        drop(first);
        resume(&*wiki.process(line).await, &file, &journal, None).await.assert_finished();
        assert_once(wiki, &file.bytes, before);
    });
}

/// An empty file has the content it should have, whoever has made it.
#[test]
fn an_empty_file_is_recognised_without_a_checksum() {
    for is_sent in [true, false] {
        each(wiki, async |wiki, line, before, digest| {
            let mut file = file(wiki, line, 0, Before::Nothing).await;
            if before == Before::SameSize {
                // Of another size: none is empty in another way.
                file.replaces = Some(any(&*wiki.process(line).await, &path(), &wiki.text(2)).await.unwrap());
            }
            let journal = match is_sent {
                true => send_whole(wiki, line, &file, digest).await.1,
                false => Journal::of_whole(&file.spec(&*wiki.process(line).await, digest)),
            };
            let resumed = resume(&*wiki.process(line).await, &file, &journal, None).await;
            match is_sent {
                true => resumed.assert_finished(),
                false => resumed.assert_begun_again(&file),
            }
            assert_once(wiki, &file.bytes, before);
        });
    }
}

/// A road that only moves take: nothing tells the file from as many bytes of somebody else but its content.
#[test]
fn a_file_that_went_in_one_go_is_recognised_by_its_content() {
    for digest in Digest::ALL {
        let wiki = wiki();
        turned(wiki.portal(), async |line| {
            let file = file(&wiki, line, Yandex::LARGE, Before::SameSize).await;
            let (told, journal) = send_whole(&wiki, line, &file, digest).await;
            told.unwrap();
            let resumed = resume(&*wiki.process(line).await, &file, &journal, None).await;
            match digest {
                Digest::Known => resumed.assert_finished(),
                Digest::Unknown => resumed.assert_begun_again(&file),
            }
            assert_once(&wiki, &file.bytes, Before::SameSize);
            // Asked about what was never sent, it finds as many bytes, and not these.
            let other = File { bytes: wiki.text(9), ..file };
            let spec = other.spec(&*wiki.process(line).await, Digest::Known);
            let resumed = resume(&*wiki.process(line).await, &other, &Journal::of_whole(&spec), None).await;
            resumed.assert_begun_again(&other);
        });
    }
}

/// Two processes of one account, one after the other, each with a file of its own: nothing is mixed up.
#[test]
fn many_that_were_left_are_all_gone_on_with() {
    let wiki = wiki();
    turned(wiki.portal(), async |line| {
        let first = wiki.process(line).await;
        let mut left = Vec::new();
        for number in 0..5_usize {
            let path = uploadfs::path::RemotePath::parse(&format!("file-{number}.bin")).unwrap();
            let file = File { path, bytes: wiki.text(number as u64), replaces: None };
            let mut writer = Writer::begin(&*first, &file, Digest::Unknown, None).await.unwrap();
            writer.put_all_but(number).await.unwrap();
            left.push((file, writer.end(), number));
        }
        drop(first);
        let second = wiki.process(line).await;
        for (file, journal, parts) in &left {
            resume(&*second, file, journal, None).await.assert_gone_on(wiki.missing(*parts));
        }
        for (file, ..) in &left {
            assert_eq!(content(&*second, &file.path).await.unwrap(), file.bytes);
        }
        assert_no_session(&wiki);
        // What is taken over may also be dropped.
        let spec = left[0].0.spec(&*second, Digest::Unknown);
        second.put_whole(&spec, Payload::from_bytes(left[0].0.bytes.clone(), 0)).await.unwrap();
    });
    assert_eq!(wiki.portal().violations(), []);
}
