//! The rules of the upload, generation by generation, without network and disk: each row of the table of declared
//! against real sizes, retries, expiries, quotas.

use time::{Duration, OffsetDateTime};

use super::*;
use crate::portal::onlyoffice::generation::{Generation, Version};
use crate::portal::onlyoffice::session::LIFE;
use crate::portal::onlyoffice::session::tests::session;
use crate::portal::onlyoffice::tree::MY;
use crate::portal::store::Records;

const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
/// The chunk size in here.
const C: u64 = 10;

/// A portal with one session.
struct Bench {
    office: Office,
    settings: Settings,
    now: OffsetDateTime,
    quota_is_used_up: bool,
    id: String,
    blobs: u64,
}

impl Bench {
    fn new(version: Version, total: i64) -> Bench {
        let settings = Settings { chunk_bytes: C, ..Settings::default() };
        let office = Office::load(version, &settings, Records::new(), NOW).unwrap();
        let mut bench = Bench { office, settings, now: NOW, quota_is_used_up: false, id: String::new(), blobs: 0 };
        bench.open(total);
        bench
    }

    fn of(generation: Generation, total: i64) -> Bench {
        Bench::new(generation.version(), total)
    }

    fn open(&mut self, total: i64) {
        self.open_with(total, |_| {});
    }

    fn open_with(&mut self, total: i64, change: impl FnOnce(&mut Session)) {
        let mut session = session(total, C);
        session.id = format!("{:032x}", fastrand::u128(..));
        (session.created, session.touched) = (self.now, self.now);
        change(&mut session);
        self.id = session.id.clone();
        self.office.add_session(session);
    }

    fn with<T>(&mut self, work: impl FnOnce(&mut Office, &str, &Moment<'_>) -> T) -> T {
        let moment = Moment { settings: &self.settings, now: self.now, quota_is_used_up: self.quota_is_used_up };
        work(&mut self.office, &self.id, &moment)
    }

    fn blob(&mut self, bytes: u64) -> Segment {
        self.blobs += 1;
        Segment { blob: self.blobs, bytes }
    }

    fn plain(&mut self, bytes: u64) -> Result<Taken, Failure> {
        let chunk = self.blob(bytes);
        self.with(|office, id, moment| office.take_plain(id, chunk, moment))
    }

    fn numbered(&mut self, number: u32, bytes: u64) -> Result<(), Failure> {
        let chunk = self.blob(bytes);
        let computed = i64::try_from(bytes).unwrap();
        self.with(|office, id, moment| office.take_numbered(id, (number, chunk, computed), moment))
    }

    fn finalize(&mut self) -> Result<u64, Failure> {
        self.with(|office, id, moment| office.finalize(id, moment))
    }

    fn abort(&mut self) -> Result<(), Failure> {
        self.with(|office, id, moment| office.abort(id, moment))
    }

    /// Told size, real size, and number of versions of each file.
    fn files(&self) -> Vec<(u64, u64, usize)> {
        let file = |file: &File| (file.current().bytes, file.current().content.bytes(), file.revisions.len());
        self.office.tree.files().map(file).collect()
    }

    fn is_open(&self) -> bool {
        self.office.sessions.contains_key(&self.id)
    }

    /// How many blobs somebody holds.
    fn held(&self) -> usize {
        self.office.journal.held().len()
    }
}

const APPENDING: [Generation; 2] = [Generation::G0, Generation::G1];
const NUMBERING: [Generation; 2] = [Generation::G2, Generation::G3];

fn finished(taken: Result<Taken, Failure>) -> bool {
    matches!(taken, Ok(Taken::Finished(id)) if id > 0)
}

#[test]
fn a_large_file_is_finished_by_its_last_chunk() {
    for generation in [Generation::G0, Generation::G1, Generation::G2, Generation::G3] {
        let mut bench = Bench::of(generation, 24);
        assert_eq!((bench.plain(10), bench.plain(10)), (Ok(Taken::More), Ok(Taken::More)));
        assert!(finished(bench.plain(4)), "{generation:?}");
        assert_eq!((bench.files(), bench.is_open()), (vec![(24, 24, 1)], false));
        let gone = bench.office.gone();
        assert_eq!(bench.plain(1), Err(gone));
        assert_eq!(bench.held(), 3);
    }
}

#[test]
fn old_generations_take_chunks_of_any_length() {
    for generation in APPENDING {
        let mut bench = Bench::of(generation, 12);
        for bytes in [1, 5, 3] {
            assert_eq!(bench.plain(bytes), Ok(Taken::More));
        }
        assert!(finished(bench.plain(3)));
        // Small files, too.
        bench.open(6);
        assert_eq!(bench.plain(2), Ok(Taken::More));
        assert!(finished(bench.plain(4)));
        assert_eq!(bench.files(), [(12, 12, 1), (6, 6, 1)]);
    }
}

#[test]
fn numbered_chunks_come_in_any_order_and_again() {
    for generation in NUMBERING {
        let mut bench = Bench::of(generation, 24);
        bench.numbered(3, 4).unwrap();
        assert_eq!(bench.finalize(), Err(Failure::Argument(INCOMPLETE)), "a premature finalize is a harmless question");
        for number in [1, 2, 2, 1] {
            bench.numbered(number, 10).unwrap();
        }
        // One that the size does not have is stored and does not count.
        bench.numbered(4, 10).unwrap();
        assert!(bench.finalize().is_ok());
        assert_eq!((bench.files(), bench.is_open(), bench.held()), (vec![(24, 24, 1)], false, 3));
    }
}

#[test]
fn chunks_that_are_too_small_never_finish() {
    let mut bench = Bench::of(Generation::G2, 24);
    (1..=4).for_each(|number| bench.numbered(number, 6).unwrap());
    assert_eq!(bench.finalize(), Err(Failure::Argument(INCOMPLETE)), "only three of them count");
    assert!(bench.is_open());
}

#[test]
fn a_chunk_counted_twice_finishes_early_with_a_broken_file() {
    for generation in [Generation::G0, Generation::G1, Generation::G2, Generation::G3] {
        // The size is a multiple of the chunk size: three chunks, one of them twice, and the last never sent.
        let mut bench = Bench::of(generation, 30);
        bench.plain(10).unwrap();
        bench.plain(10).unwrap();
        assert!(finished(bench.plain(10)), "the third was the second again");
        // Otherwise it never finishes.
        bench.open(24);
        for bytes in [10, 10, 10, 4] {
            assert_eq!(bench.plain(bytes), Ok(Taken::More), "{generation:?}");
        }
        assert!(bench.is_open());
    }
}

#[test]
fn a_size_of_zero_becomes_that_of_the_first_chunk() {
    for generation in APPENDING {
        let mut bench = Bench::of(generation, 0);
        assert!(finished(bench.plain(7)));
        assert_eq!(bench.plain(7), Err(Failure::FileMissing));
    }
    for generation in NUMBERING {
        let mut bench = Bench::of(generation, 0);
        assert!(finished(bench.plain(7)));
        assert_eq!(bench.files(), [(7, 7, 1)]);
        // The session stays: less becomes another version, more is ignored with a 201.
        assert!(finished(bench.plain(3)));
        assert_eq!(bench.files(), [(7, 3, 2)]);
        assert!(finished(bench.plain(8)));
        assert_eq!((bench.files(), bench.is_open()), (vec![(7, 3, 2)], true));
    }
}

#[test]
fn empty_files_came_late() {
    for version in [Version::new(12, 7, 1), Version::new(2, 0, 3), Version::new(3, 5, 1)] {
        assert_eq!(Bench::new(version, 0).plain(0), Err(Failure::Fault(Message::EmptyFile)));
    }
    for version in [Version::new(3, 6, 0), Version::new(3, 7, 2)] {
        let mut bench = Bench::new(version, 0);
        assert!(finished(bench.plain(0)));
        assert_eq!(bench.files(), [(0, 0, 1)]);
        bench.open(0);
        bench.numbered(1, 0).unwrap();
        assert!(bench.finalize().is_ok_and(|file| file > 0));
    }
}

#[test]
fn sizes_below_zero_lead_nowhere() {
    for generation in APPENDING {
        let mut bench = Bench::of(generation, -1);
        assert_eq!((bench.plain(10), bench.plain(10)), (Ok(Taken::More), Ok(Taken::More)));
        bench.settings.chunk_bytes = u64::MAX;
        assert!(matches!(bench.plain(100 << 20), Err(Failure::Quota(_))));
        assert!(!bench.is_open(), "too much without a size ends the session");
        bench.open(-5);
        assert_eq!(bench.plain(3), Ok(Taken::More));
        assert_eq!(bench.office.sessions[&bench.id].uploaded, 0);
    }
    for generation in NUMBERING {
        let mut bench = Bench::of(generation, -1);
        bench.numbered(1, 10).unwrap();
        assert_eq!((bench.plain(10), bench.finalize()), (Ok(Taken::More), Err(Failure::Argument(INCOMPLETE))));
        bench.open(-5);
        assert_eq!(bench.plain(3), Err(Failure::Fault(NULL_REFERENCE)));
        bench.settings.negative_size = NegativeSize::IdZero;
        assert_eq!(bench.plain(3), Ok(Taken::Finished(0)));
        assert_eq!(bench.files(), []);
    }
}

#[test]
fn a_small_file_that_is_cut_is_wrong_at_once() {
    for generation in NUMBERING {
        let mut bench = Bench::of(generation, 8);
        assert!(finished(bench.plain(5)));
        assert_eq!(bench.files(), [(8, 5, 1)], "the size is the declared one, the bytes are not");
        assert!(finished(bench.plain(3)));
        assert_eq!(bench.files(), [(8, 3, 2)]);
    }
}

#[test]
fn a_small_file_that_is_too_long_is_stored_nowhere() {
    for generation in NUMBERING {
        let mut bench = Bench::of(generation, 5);
        assert_eq!(bench.plain(6), Ok(Taken::Finished(0)));
        bench.numbered(1, 6).unwrap();
        assert_eq!((bench.finalize(), bench.files(), bench.held()), (Ok(0), vec![], 0));
    }
    for generation in APPENDING {
        let mut bench = Bench::of(generation, 5);
        assert_eq!(bench.plain(6), Ok(Taken::More), "ignored");
        assert!(finished(bench.plain(5)));
        assert_eq!(bench.files(), [(5, 5, 1)]);
    }
}

#[test]
fn more_than_declared_is_cut_off_or_never_ends() {
    for generation in APPENDING {
        let mut bench = Bench::of(generation, 20);
        bench.plain(10).unwrap();
        assert!(finished(bench.plain(10)));
        assert_eq!(bench.plain(5), Err(Failure::FileMissing), "the rest finds no session");
        bench.open(15);
        bench.plain(10).unwrap();
        assert_eq!((bench.plain(10), bench.plain(10)), (Ok(Taken::More), Ok(Taken::More)));
    }
    let mut bench = Bench::of(Generation::G3, 20);
    (1..=3).for_each(|number| bench.numbered(number, 10).unwrap());
    assert!(bench.finalize().is_ok());
    assert_eq!(bench.files(), [(20, 20, 1)]);
}

#[test]
fn a_chunk_above_the_chunk_size_is_refused() {
    for generation in [Generation::G0, Generation::G1, Generation::G2, Generation::G3] {
        let mut bench = Bench::of(generation, 30);
        assert_eq!(bench.plain(11), Err(Failure::Quota(Message::FileTooLarge(bench.settings.file_bytes_max))));
        assert_eq!((bench.held(), bench.is_open()), (0, true));
    }
}

#[test]
fn everything_has_to_happen_within_the_life_of_the_first_chunk() {
    let mut bench = Bench::of(Generation::G3, 24);
    for (number, bytes) in [(1, 10), (2, 10), (3, 4)] {
        bench.numbered(number, bytes).unwrap();
        bench.now += Duration::hours(5);
    }
    assert_eq!(bench.finalize(), Err(Failure::Argument(INCOMPLETE)), "the first one is forgotten by now");
    bench.numbered(1, 10).unwrap();
    assert!(bench.finalize().is_ok());
    bench.open(24);
    bench.now += LIFE;
    assert_eq!(bench.numbered(1, 10), Err(Failure::Fault(NULL_REFERENCE)));
}

#[test]
fn a_session_cannot_be_given_up_on_a_disk_that_has_its_chunks() {
    for generation in NUMBERING {
        let mut bench = Bench::of(generation, 24);
        bench.numbered(1, 10).unwrap();
        let Err(Failure::Fault(message)) = bench.abort() else { panic!("it was given up") };
        assert!(message.text(crate::portal::onlyoffice::Language::De).starts_with("Directory not empty : '"));
        assert_eq!((bench.is_open(), bench.office.leaked_bytes()), (true, 10));
        // One byte over each chunk is what is left to do.
        bench.numbered(1, 1).unwrap();
        assert_eq!((bench.office.leaked_bytes(), bench.held()), (1, 1));
        bench.open(24);
        assert_eq!((bench.abort(), bench.is_open()), (Ok(()), false));
        bench.settings.storage = Storage::S3;
        bench.open(24);
        bench.numbered(1, 10).unwrap();
        assert_eq!((bench.abort(), bench.is_open(), bench.held()), (Ok(()), false, 1));
    }
    for generation in APPENDING {
        let mut bench = Bench::of(generation, 24);
        bench.plain(10).unwrap();
        assert_eq!((bench.abort(), bench.is_open(), bench.held()), (Ok(()), false, 0));
        assert_eq!(bench.abort(), Err(Failure::FileMissing));
    }
}

#[test]
fn a_finalize_that_failed_cannot_be_repeated() {
    let mut bench = Bench::of(Generation::G3, 20);
    (1..=2).for_each(|number| bench.numbered(number, 10).unwrap());
    bench.quota_is_used_up = true;
    assert!(matches!(bench.finalize(), Err(Failure::Quota(Message::Room(_)))));
    bench.quota_is_used_up = false;
    assert_eq!(bench.finalize(), Err(Failure::FileMissing), "the chunks are gone");
    assert_eq!((bench.files(), bench.held()), (vec![], 0));
}

#[test]
fn quotas_are_checked_when_the_file_is_made() {
    let mut bench = Bench::of(Generation::G3, 8);
    bench.settings.room_bytes = Some(10);
    assert!(finished(bench.plain(8)));
    bench.open(9);
    assert!(finished(bench.plain(9)), "one file may exceed it");
    bench.open(1);
    assert_eq!(bench.plain(1), Err(Failure::Quota(Message::Room(10))));
    bench.settings = Settings { chunk_bytes: C, total_bytes: Some(17), ..Settings::default() };
    assert_eq!(bench.plain(1), Err(Failure::Quota(Message::Total(17))));
    assert_eq!(bench.held(), 2);
}

#[test]
fn a_new_content_makes_a_version_or_keeps_it() {
    for generation in [Generation::G0, Generation::G1, Generation::G2, Generation::G3] {
        let mut bench = Bench::of(generation, 20);
        bench.plain(10).unwrap();
        let Ok(Taken::Finished(id)) = bench.plain(10) else { panic!("it is complete") };
        bench.open_with(5, |session| session.file = Some(id));
        assert_eq!(bench.plain(5), Ok(Taken::Finished(id)));
        bench.open_with(6, |session| (session.file, session.keeps_version) = (Some(id), true));
        assert_eq!(bench.plain(6), Ok(Taken::Finished(id)));
        assert_eq!(bench.files(), [(6, 6, 2)]);
        assert_eq!(bench.office.tree.file(id).unwrap().current().version, 2);
        assert_eq!(bench.held(), 3, "the replaced content is gone, the old version is not");
    }
}

#[test]
fn the_rules_of_titles_apply_at_every_save() {
    let mut bench = Bench::of(Generation::G3, 3);
    bench.open_with(3, |session| session.title = "README".into());
    let Ok(Taken::Finished(id)) = bench.plain(3) else { panic!("it is complete") };
    let title = |bench: &Bench| bench.office.tree.file(id).unwrap().title.clone();
    assert_eq!(title(&bench), "README.");
    let office = &mut bench.office;
    office.tree.change_file(id, &mut office.journal, |file, _| file.title = "Photo.JPG".into());
    bench.open_with(3, |session| session.file = Some(id));
    bench.plain(3).unwrap();
    assert_eq!(title(&bench), "Photo.jpg");
}

#[test]
fn a_file_that_is_gone_gets_no_version() {
    let mut bench = Bench::of(Generation::G3, 3);
    bench.open_with(3, |session| session.file = Some(4711));
    assert_eq!(bench.plain(3), Err(Failure::FileMissing));
    assert_eq!(bench.held(), 0);
}

#[test]
fn half_a_chunk_stays_and_is_replaced() {
    let mut bench = Bench::of(Generation::G3, 20);
    bench.numbered(2, 10).unwrap();
    let half = bench.blob(4);
    bench.with(|office, id, _| office.keep_half(id, 1, half));
    assert_eq!(bench.finalize(), Err(Failure::Argument(INCOMPLETE)), "nobody noted its length");
    bench.numbered(1, 10).unwrap();
    bench.finalize().unwrap();
    assert_eq!((bench.files(), bench.held()), (vec![(20, 20, 1)], 2));
    assert_eq!(bench.office.tree.files_in(MY).count(), 1);
}
