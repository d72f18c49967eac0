//! Cloud folders, in both dialects. A file goes in one request, and is recognised by its content.

use uploadfs::service::yandex_cloud::Dialect;

use super::cases::*;
use super::journal::{Digest, Journal, resume};
use super::*;
use crate::support::clock::turned;
use crate::support::cloud::{Cloud, DIALECTS};

/// The size of files here, in bytes.
const SIZE: u64 = 3000;

impl Place for Cloud {
    fn portal(&self) -> &Portal {
        &self.portal
    }

    async fn process(&self, line: &Line) -> Arc<dyn Service> {
        self.client_through(line)
    }

    async fn stranger(&self, line: &Line) -> Arc<dyn Service> {
        // A folder knows accounts only by what they may do.
        self.client_through(line)
    }

    fn last_request(&self) -> &'static str {
        "create"
    }
}

fn in_each_dialect(case: impl Fn(Dialect)) {
    DIALECTS.into_iter().for_each(case);
}

#[test]
fn a_file_that_was_made_is_there() {
    in_each_dialect(|dialect| a_file_of_one_request_is_there_if_it_was_made(|| Cloud::new(dialect), SIZE));
}

#[test]
fn a_file_that_was_not_sent_is_sent() {
    in_each_dialect(|dialect| a_file_of_one_request_that_was_not_sent_is_sent(|| Cloud::new(dialect), SIZE));
}

#[test]
fn what_was_to_be_replaced_and_is_still_there_is_removed() {
    in_each_dialect(|dialect| {
        let cloud = Cloud::new(dialect);
        turned(cloud.portal(), async |line| {
            let file = file(&cloud, line, SIZE, Before::SameSize).await;
            block(&cloud, "delete");
            let (told, journal) = send_whole(&cloud, line, &file, Digest::Known).await;
            assert_doubt(told);
            cloud.portal.clear_faults();
            assert_eq!(files(&cloud).len(), 2);
            resume(&*cloud.process(line).await, &file, &journal, None).await.assert_finished();
            assert_once(&cloud, &file.bytes, Before::SameSize);
        });
        cloud.assert_clean();
    });
}

/// What has the name and the size, and is somebody else's, is not removed either.
#[test]
fn as_many_bytes_of_somebody_else_stay() {
    in_each_dialect(|dialect| {
        let cloud = Cloud::new(dialect);
        turned(cloud.portal(), async |line| {
            let file = file(&cloud, line, SIZE, Before::Nothing).await;
            let theirs = super::journal::File { bytes: crate::support::upload::text(3000, 5), ..file.clone() };
            send_whole(&cloud, line, &theirs, Digest::Known).await.0.unwrap();
            let journal = Journal::of_whole(&file.spec(&*cloud.process(line).await, Digest::Known));
            let client = cloud.process(line).await;
            let progress = crate::support::upload::settled(&*client, &journal.spec, None).await;
            assert!(matches!(progress, uploadfs::service::Progress::Gone), "{progress:?}");
            assert_once(&cloud, &theirs.bytes, Before::Nothing);
            // The same content is what was asked for, whoever has sent it.
            let same = Journal::of_whole(&theirs.spec(&*client, Digest::Known));
            resume(&*cloud.process(line).await, &theirs, &same, None).await.assert_finished();
        });
        cloud.assert_clean();
    });
}
