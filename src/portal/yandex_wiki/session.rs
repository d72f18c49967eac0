//! An upload session and its rules; no lock, no disk, no clock. What it means for the wiki is in `sessions`.
//!
//! Parts have numbers and come in any order, also at once; a number that comes again replaces what it was. Whether they
//! make the declared file is seen when the session is finished, as in an S3 multipart upload.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::errors::Failure;
use super::settings::{EmptyFiles, Repeated, Settings, SizeCheck, Step};
use crate::portal::store::{Content, Segment};

/// The largest number of a part.
pub(super) const PARTS_MAX: i64 = 10_000;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    NotStarted,
    InProgress,
    /// The file is whole, and belongs to no page.
    Finished,
    Aborted,
    /// It was attached.
    Used,
    /// It was too old, and is removed.
    Cleanup,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::NotStarted => "not_started",
            Status::InProgress => "in_progress",
            Status::Finished => "finished",
            Status::Aborted => "aborted",
            Status::Used => "used",
            Status::Cleanup => "cleanup",
        }
    }

    /// Whether parts can come.
    pub(super) fn is_active(self) -> bool {
        matches!(self, Status::NotStarted | Status::InProgress)
    }

    /// Whether something can still come of it.
    pub(super) fn is_open(self) -> bool {
        self.is_active() || self == Status::Finished
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    /// The login of who made it.
    pub(super) user: String,
    pub(super) file_name: String,
    /// The declared size.
    pub(super) file_size: u64,
    pub(super) status: Status,
    pub(super) created_at: OffsetDateTime,
    pub(super) finished_at: Option<OffsetDateTime>,
    pub(super) storage_type: String,
    pub(super) parts: BTreeMap<u32, Segment>,
    /// What it was attached as.
    pub(super) attachments: Vec<u64>,
    /// Whether the client cannot know if it is finished, and has not looked since.
    #[serde(skip)]
    pub(super) in_doubt: bool,
}

impl Session {
    pub(super) fn held_bytes(&self) -> u64 {
        self.parts.values().map(|segment| segment.bytes).sum()
    }

    /// What the parts make.
    pub(super) fn content(&self) -> Content {
        Content(self.parts.values().copied().collect())
    }

    /// Whether a part may come.
    ///
    /// # Errors
    /// The session's state does not allow it, the part has a size that no part has, or makes the file too large where
    /// that is found out at once.
    pub(super) fn check_part(&self, number: u32, bytes: u64, settings: &Settings) -> Result<(), Failure> {
        if !self.status.is_active() {
            return Err(Failure::wrong_state(settings, format!("Upload session is {}", self.status.name())));
        }
        if bytes > settings.part_bytes_max {
            return Err(Failure::wrong_parts(format!("a part of {bytes} bytes, at most {}", settings.part_bytes_max)));
        }
        let is_empty_file = self.file_size == 0 && number == 1 && settings.empty_files != EmptyFiles::NoPart;
        if bytes == 0 && !is_empty_file {
            return Err(Failure::wrong_parts("an empty part"));
        }
        if settings.undersized_at == Step::Part {
            self.check_sizes_with(number, bytes, settings)?;
        }
        let others = self.held_bytes() - self.parts.get(&number).map_or(0, |segment| segment.bytes);
        let is_too_much = others + bytes > self.file_size && settings.size != SizeCheck::Lenient;
        if settings.size_at == Step::Part && is_too_much {
            return Err(Failure::wrong_parts(format!("more than the {} bytes of the file", self.file_size)));
        }
        Ok(())
    }

    /// Whether no part but the last so far is small, were there this one.
    fn check_sizes_with(&self, number: u32, bytes: u64, settings: &Settings) -> Result<(), Failure> {
        let mut sizes: BTreeMap<u32, u64> = self.parts.iter().map(|(number, part)| (*number, part.bytes)).collect();
        sizes.insert(number, bytes);
        check_sizes(&sizes, settings)
    }

    /// Puts a part where the one of its number was; the one that it replaces.
    pub(super) fn put(&mut self, number: u32, segment: Segment) -> Option<Segment> {
        self.status = Status::InProgress;
        self.parts.insert(number, segment)
    }

    /// Whether it may be finished; `false` where it is finished already and that is no matter.
    ///
    /// # Errors
    /// The state does not allow it, or the parts are not what makes a file.
    pub(super) fn check_finish(&self, settings: &Settings) -> Result<bool, Failure> {
        if self.status == Status::Finished && settings.second_finish == Repeated::Same {
            return Ok(false);
        }
        if !self.status.is_active() {
            return Err(Failure::wrong_state(settings, format!("Upload session is {}", self.status.name())));
        }
        let needs_none = matches!(settings.empty_files, EmptyFiles::NoPart | EmptyFiles::Either);
        if self.parts.is_empty() && !(self.file_size == 0 && needs_none) {
            return Err(Failure::wrong_parts("there are no parts"));
        }
        let last = self.parts.last_key_value().map_or(0, |(last, _)| *last);
        if !settings.gaps && usize::try_from(last) != Ok(self.parts.len()) {
            return Err(Failure::wrong_parts(format!("{} parts, the last of which is {last}", self.parts.len())));
        }
        // The size is what small parts are about; a setting decides only whether it is found out earlier.
        let sizes = self.parts.iter().map(|(number, part)| (*number, part.bytes)).collect();
        check_sizes(&sizes, settings)?;
        if settings.size_at != Step::Attach {
            self.check_total(settings)?;
        }
        self.check_oversize(Step::Finish, settings)?;
        Ok(true)
    }

    /// Whether the parts add up to the declared size.
    pub(super) fn check_total(&self, settings: &Settings) -> Result<(), Failure> {
        let held = self.held_bytes();
        let fits = match settings.size {
            SizeCheck::Strict => held == self.file_size,
            SizeCheck::UnderOk => held <= self.file_size,
            SizeCheck::Lenient => true,
        };
        let wrong = || Failure::wrong_parts(format!("{held} bytes of a file of {}", self.file_size));
        if fits { Ok(()) } else { Err(wrong()) }
    }

    /// Whether the file is small enough, where that is found out at this step.
    pub(super) fn check_oversize(&self, step: Step, settings: &Settings) -> Result<(), Failure> {
        let bytes = self.file_size.max(self.held_bytes());
        if settings.oversize_at == step && bytes > settings.file_bytes_max {
            return Err(Failure::too_large(settings.file_bytes_max));
        }
        Ok(())
    }
}

/// Whether every part but the last has the smallest size.
fn check_sizes(sizes: &BTreeMap<u32, u64>, settings: &Settings) -> Result<(), Failure> {
    let mut before_last = sizes.iter().rev().skip(1);
    match before_last.find(|(_, bytes)| **bytes < settings.part_bytes_min) {
        None => Ok(()),
        Some((number, bytes)) => Err(Failure::wrong_parts(format!(
            "part {number} has {bytes} bytes, at least {} where others follow",
            settings.part_bytes_min
        ))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The smallest and the largest part in here, in bytes.
    const MIN: u64 = 5;
    const MAX: u64 = 16;

    pub(in super::super) fn session(file_size: u64) -> Session {
        Session {
            id: "a".into(),
            user: "user".into(),
            file_name: "a.txt".into(),
            file_size,
            status: Status::InProgress,
            created_at: OffsetDateTime::UNIX_EPOCH,
            finished_at: None,
            storage_type: "s3".into(),
            parts: BTreeMap::new(),
            attachments: Vec::new(),
            in_doubt: false,
        }
    }

    fn small() -> Settings {
        Settings { part_bytes_min: MIN, part_bytes_max: MAX, file_bytes_max: 100, ..Settings::default() }
    }

    /// A session with parts of these numbers and sizes.
    fn with(file_size: u64, parts: &[(u32, u64)]) -> Session {
        let mut session = session(file_size);
        for (number, bytes) in parts {
            session.put(*number, Segment { blob: u64::from(*number), bytes: *bytes });
        }
        session
    }

    fn status(answer: Result<impl Sized, Failure>) -> u16 {
        match answer {
            Ok(_) => 200,
            Err(Failure::Said { status, .. }) => status,
            Err(Failure::NoFile) => 404,
        }
    }

    #[test]
    fn parts_have_a_largest_size() {
        let (session, settings) = (with(20, &[]), small());
        assert_eq!(status(session.check_part(1, MAX, &settings)), 200);
        assert_eq!(status(session.check_part(1, MAX + 1, &settings)), 400);
        assert_eq!(status(session.check_part(1, 1, &settings)), 200, "it may be the last");
        assert_eq!(status(session.check_part(1, 0, &settings)), 400);
    }

    #[test]
    fn a_small_part_is_the_last_one() {
        let settings = small();
        assert_eq!(status(with(11, &[(1, 5), (2, 5), (3, 1)]).check_finish(&settings)), 200);
        assert_eq!(status(with(14, &[(1, 5), (2, 4), (3, 5)]).check_finish(&settings)), 400);
        let early = Settings { undersized_at: Step::Part, ..settings.clone() };
        assert_eq!(status(with(14, &[(1, 4)]).check_part(2, 5, &settings)), 200);
        assert_eq!(status(with(14, &[(1, 4)]).check_part(2, 5, &early)), 400);
        assert_eq!(status(with(14, &[(2, 5)]).check_part(1, 4, &early)), 400);
        assert_eq!(status(with(14, &[(1, 4)]).check_part(1, 3, &early)), 200);
    }

    #[test]
    fn numbers_have_no_gaps() {
        let settings = small();
        assert_eq!(status(with(15, &[(3, 5), (1, 5), (2, 5)]).check_finish(&settings)), 200, "in any order");
        for parts in [&[(1, 5), (3, 5)][..], &[(2, 5), (3, 5)], &[]] {
            assert_eq!(status(with(10, parts).check_finish(&settings)), 400, "{parts:?}");
        }
        let gaps = Settings { gaps: true, ..settings };
        assert_eq!(status(with(10, &[(2, 5), (5, 5)]).check_finish(&gaps)), 200);
    }

    #[test]
    fn the_last_part_of_a_number_counts() {
        let mut session = with(5, &[(1, 9)]);
        let replaced = session.put(1, Segment { blob: 7, bytes: 5 });
        assert_eq!((replaced, session.held_bytes()), (Some(Segment { blob: 1, bytes: 9 }), 5));
        assert_eq!(session.content(), Content(vec![Segment { blob: 7, bytes: 5 }]));
        assert_eq!(status(session.check_finish(&small())), 200);
    }

    #[test]
    fn the_declared_size_counts_as_told() {
        for (size, held, expected) in [
            (SizeCheck::Strict, 9, 400),
            (SizeCheck::Strict, 10, 200),
            (SizeCheck::Strict, 11, 400),
            (SizeCheck::UnderOk, 9, 200),
            (SizeCheck::UnderOk, 11, 400),
            (SizeCheck::Lenient, 11, 200),
        ] {
            let settings = Settings { size, ..small() };
            assert_eq!(status(with(10, &[(1, held)]).check_finish(&settings)), expected, "{size:?} {held}");
            let late = Settings { size_at: Step::Attach, ..settings.clone() };
            assert_eq!(status(with(10, &[(1, held)]).check_finish(&late)), 200);
            assert_eq!(status(with(10, &[(1, held)]).check_total(&late)), expected);
            let early = Settings { size_at: Step::Part, ..settings };
            let at_part = if held > 10 { expected } else { 200 };
            assert_eq!(status(with(10, &[]).check_part(1, held, &early)), at_part);
            assert_eq!(status(with(10, &[(1, 16)]).check_part(1, held, &early)), at_part, "it replaces");
        }
    }

    #[test]
    fn a_file_of_no_bytes_is_a_matter_of_taste() {
        for (empty_files, with_part, without) in
            [(EmptyFiles::OnePart, 200, 400), (EmptyFiles::NoPart, 400, 200), (EmptyFiles::Either, 200, 200)]
        {
            let settings = Settings { empty_files, ..small() };
            assert_eq!(status(with(0, &[]).check_part(1, 0, &settings)), with_part, "{empty_files:?}");
            assert_eq!(status(with(0, &[]).check_finish(&settings)), without, "{empty_files:?}");
            assert_eq!(status(with(0, &[]).check_part(2, 0, &settings)), 400);
            assert_eq!(status(with(5, &[]).check_finish(&settings)), 400);
        }
    }

    #[test]
    fn only_what_is_under_way_takes_parts_and_an_end() {
        let mut session = with(5, &[(1, 5)]);
        for state in [Status::Finished, Status::Aborted, Status::Used, Status::Cleanup] {
            session.status = state;
            assert_eq!(status(session.check_part(2, 5, &small())), 409, "{state:?}");
            assert_eq!(status(session.check_finish(&small())), 409, "{state:?}");
        }
        session.status = Status::Finished;
        let same = Settings { second_finish: Repeated::Same, ..small() };
        assert_eq!(session.check_finish(&same), Ok(false));
        session.status = Status::NotStarted;
        assert_eq!(session.check_finish(&small()), Ok(true));
    }

    #[test]
    fn too_much_is_found_out_where_the_setting_says() {
        let session = with(101, &[(1, 16)]);
        for step in [Step::Create, Step::Finish, Step::Attach] {
            let settings = Settings { oversize_at: step, ..small() };
            assert_eq!(status(session.check_oversize(step, &settings)), 413);
            assert_eq!(status(session.check_oversize(step, &Settings { oversize_at: Step::Never, ..settings })), 200);
        }
        let (declared_less, settings) = (with(10, &[(1, 101)]), Settings { oversize_at: Step::Finish, ..small() });
        assert_eq!(status(declared_less.check_oversize(Step::Finish, &settings)), 413, "what is there counts, too");
    }
}
