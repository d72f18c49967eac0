//! What sessions mean for the wiki: making them, their space and their age, parts that come and are replaced, their end.

use time::{Duration, OffsetDateTime};

use super::errors::{Failure, NO_EMPTY_FILES, Place};
use super::names;
use super::session::{Session, Status};
use super::settings::{EmptyFiles, Settings, Step};
use super::wiki::{Wiki, uuid};
use crate::portal::store::Segment;

/// Who asks when, and by which rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) settings: &'a Settings,
    /// The login.
    pub(super) user: &'a str,
    pub(super) now: OffsetDateTime,
    /// A fault: there is no space left.
    pub(super) quota_is_used_up: bool,
}

impl Wiki {
    /// Makes a session; its id.
    pub(super) fn open(&mut self, file_name: &str, file_size: u64, moment: &Moment<'_>) -> Result<String, Failure> {
        let settings = moment.settings;
        if let Some(wrong) = names::wrong(file_name, settings.file_name_chars_max, settings.any_file_name) {
            return Err(Failure::field(Place::Body, "file_name", wrong, "value_error"));
        }
        if file_size == 0 && settings.empty_files == EmptyFiles::Refused {
            let message = "ensure this value is greater than 0";
            return Err(Failure::field(Place::Body, "file_size", message, NO_EMPTY_FILES));
        }
        let session = Session {
            id: uuid(),
            user: moment.user.to_owned(),
            file_name: file_name.to_owned(),
            file_size,
            status: if settings.begins_not_started { Status::NotStarted } else { Status::InProgress },
            created_at: moment.now,
            finished_at: None,
            storage_type: settings.storage_type.clone(),
            parts: Default::default(),
            attachments: Vec::new(),
            in_doubt: false,
        };
        session.check_oversize(Step::Create, settings)?;
        let own = |other: &&Session| other.user == session.user && other.status.is_active();
        if self.sessions.values().filter(own).count() >= settings.sessions_max {
            return Err(Failure::quota("Too many active upload sessions"));
        }
        if settings.sessions_reserve {
            self.check_space(file_size, moment)?;
        }
        let id = session.id.clone();
        self.sessions.insert(id.clone(), session);
        self.keep_session(&id);
        Ok(id)
    }

    /// Whether there is space for so many bytes more.
    pub(super) fn check_space(&self, bytes: u64, moment: &Moment<'_>) -> Result<(), Failure> {
        let open = self.sessions.values().filter(|session| session.status.is_open());
        let reserved: u64 =
            if moment.settings.sessions_reserve { open.map(|session| session.file_size).sum() } else { 0 };
        let used = self.used_bytes().saturating_add(reserved).saturating_add(bytes);
        if moment.quota_is_used_up || used > moment.settings.total_bytes {
            return Err(Failure::quota("Organization storage limit is exceeded"));
        }
        Ok(())
    }

    /// The user's session.
    pub(super) fn own_session(&mut self, id: &str, user: &str) -> Result<&mut Session, Failure> {
        let own = self.sessions.get_mut(id).filter(|session| session.user == user);
        own.ok_or_else(Failure::no_session)
    }

    /// Takes a part whose bytes are on the disk. Whatever is answered, the bytes have found their place, or are gone.
    pub(super) fn take_part(
        &mut self,
        id: &str,
        number: u32,
        part: Segment,
        moment: &Moment<'_>,
    ) -> Result<(), Failure> {
        self.journal.hold_one(&part);
        let taken = match self.own_session(id, moment.user) {
            Ok(session) => session.check_part(number, part.bytes, moment.settings).map(|()| session.put(number, part)),
            Err(failure) => Err(failure),
        };
        match taken {
            Ok(replaced) => {
                replaced.iter().for_each(|replaced| self.journal.release_one(replaced));
                self.keep_session(id);
                Ok(())
            }
            Err(failure) => {
                self.journal.release_one(&part);
                Err(failure)
            }
        }
    }

    pub(super) fn finish(&mut self, id: &str, moment: &Moment<'_>) -> Result<(), Failure> {
        let session = self.own_session(id, moment.user)?;
        if !session.check_finish(moment.settings)? {
            return Ok(());
        }
        if moment.quota_is_used_up {
            return Err(Failure::quota("Organization storage limit is exceeded"));
        }
        session.status = Status::Finished;
        session.finished_at = Some(moment.now);
        self.keep_session(id);
        Ok(())
    }

    /// Gives a session up.
    pub(super) fn abort(&mut self, id: &str, moment: &Moment<'_>) -> Result<(), Failure> {
        let session = self.own_session(id, moment.user)?;
        if !session.status.is_open() {
            let message = format!("Upload session is {}", session.status.name());
            return Err(Failure::wrong_state(moment.settings, message));
        }
        self.end(id, Status::Aborted);
        Ok(())
    }

    /// Gives up every session of a user that is under way; how many there were.
    pub(super) fn abort_all(&mut self, user: &str) -> usize {
        let own = |session: &&Session| session.user == user && session.status.is_active();
        let ids: Vec<String> = self.sessions.values().filter(own).map(|session| session.id.clone()).collect();
        ids.iter().for_each(|id| self.end(id, Status::Aborted));
        ids.len()
    }

    /// Removes the bytes of sessions that are too old.
    pub(super) fn clean_up(&mut self, life_s: u64, now: OffsetDateTime) {
        let life = Duration::seconds(i64::try_from(life_s).unwrap_or(i64::MAX));
        let is_old = |session: &&Session| session.status.is_open() && now - session.created_at >= life;
        let ids: Vec<String> = self.sessions.values().filter(is_old).map(|session| session.id.clone()).collect();
        ids.iter().for_each(|id| self.end(id, Status::Cleanup));
    }

    /// Ends a session with its bytes.
    pub(super) fn end(&mut self, id: &str, status: Status) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let content = session.content();
        session.parts.clear();
        session.status = status;
        self.journal.release(&content);
        self.keep_session(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::store::Records;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn moment<'a>(settings: &'a Settings, user: &'a str) -> Moment<'a> {
        Moment { settings, user, now: NOW, quota_is_used_up: false }
    }

    fn wiki() -> Wiki {
        Wiki::load(Records::new()).unwrap()
    }

    fn code(answer: Result<impl Sized, Failure>) -> &'static str {
        match answer {
            Ok(_) => "",
            Err(Failure::Said { code, .. }) => code,
            Err(Failure::NoFile) => "picture",
        }
    }

    #[test]
    fn a_session_needs_a_name_and_a_size() {
        let (mut wiki, settings) = (wiki(), Settings::default());
        let moment = moment(&settings, "a");
        assert_eq!(code(wiki.open("", 5, &moment)), "VALIDATION_ERROR");
        assert_eq!(code(wiki.open("a/b", 5, &moment)), "VALIDATION_ERROR");
        assert_eq!(code(wiki.open("a", 0, &moment)), "VALIDATION_ERROR");
        assert_eq!(code(wiki.open("a", 200_000_001, &moment)), "FILE_TOO_LARGE");
        let id = wiki.open("a", 200_000_000, &moment).unwrap();
        assert_eq!(wiki.sessions[&id].status, Status::InProgress);
        let settings = Settings { begins_not_started: true, empty_files: EmptyFiles::Either, ..Settings::default() };
        let id = wiki.open("a", 0, &Moment { settings: &settings, ..moment }).unwrap();
        assert_eq!(wiki.sessions[&id].status, Status::NotStarted);
    }

    #[test]
    fn sessions_hold_the_space_they_declare() {
        let (mut wiki, settings) = (wiki(), Settings { total_bytes: 100, sessions_max: 2, ..Settings::default() });
        let moment = moment(&settings, "a");
        let first = wiki.open("a", 60, &moment).unwrap();
        assert_eq!(code(wiki.open("b", 41, &moment)), "QUOTA_EXCEEDED");
        wiki.open("b", 40, &moment).unwrap();
        assert_eq!(code(wiki.open("c", 1, &moment)), "QUOTA_EXCEEDED", "two are under way");
        wiki.abort(&first, &moment).unwrap();
        wiki.open("c", 60, &moment).unwrap();
        let settings = Settings { total_bytes: 100, sessions_reserve: false, ..Settings::default() };
        wiki.open("d", 100, &Moment { settings: &settings, ..moment }).unwrap();
    }

    #[test]
    fn a_session_is_its_users_own() {
        let (mut wiki, settings) = (wiki(), Settings::default());
        let id = wiki.open("a", 5, &moment(&settings, "a")).unwrap();
        let other = moment(&settings, "b");
        let part = Segment { blob: 1, bytes: 5 };
        assert_eq!(code(wiki.take_part(&id, 1, part, &other)), "NOT_FOUND");
        assert_eq!(wiki.journal.take().1, [1], "its bytes go");
        assert_eq!((code(wiki.finish(&id, &other)), code(wiki.abort(&id, &other))), ("NOT_FOUND", "NOT_FOUND"));
        assert_eq!((wiki.abort_all("b"), wiki.abort_all("a"), wiki.abort_all("a")), (0, 1, 0));
        assert_eq!(wiki.sessions[&id].status, Status::Aborted);
    }

    #[test]
    fn parts_find_their_place_or_go() {
        let (mut wiki, settings) = (wiki(), Settings::default());
        let moment = moment(&settings, "a");
        let id = wiki.open("a", 5, &moment).unwrap();
        for blob in [1, 2] {
            wiki.take_part(&id, 1, Segment { blob, bytes: 5 }, &moment).unwrap();
        }
        assert_eq!((wiki.journal.take().1, wiki.journal.held()), (vec![1], [2].into()));
        wiki.finish(&id, &moment).unwrap();
        assert_eq!(wiki.sessions[&id].finished_at, Some(NOW));
        let late = Segment { blob: 3, bytes: 5 };
        assert_eq!(code(wiki.take_part(&id, 1, late, &moment)), "UPLOAD_SESSION_WRONG_STATUS");
        assert_eq!(wiki.journal.take().1, [3]);
        wiki.abort(&id, &moment).unwrap();
        assert_eq!((wiki.journal.take().1, code(wiki.abort(&id, &moment))), (vec![2], "UPLOAD_SESSION_WRONG_STATUS"));
    }

    #[test]
    fn old_sessions_are_cleaned_up_but_used_ones() {
        let (mut wiki, settings) = (wiki(), Settings::default());
        let moment = moment(&settings, "a");
        let [young, used] = [(); 2].map(|()| wiki.open("a", 5, &moment).unwrap());
        wiki.take_part(&young, 1, Segment { blob: 1, bytes: 5 }, &moment).unwrap();
        wiki.end(&used, Status::Used);
        wiki.clean_up(100, NOW + Duration::seconds(99));
        assert_eq!(wiki.sessions[&young].status, Status::InProgress);
        wiki.clean_up(100, NOW + Duration::seconds(100));
        assert_eq!((wiki.sessions[&young].status, wiki.sessions[&used].status), (Status::Cleanup, Status::Used));
        assert_eq!(wiki.journal.take().1, [1]);
    }

    #[test]
    fn a_quota_can_be_found_used_up_at_the_end() {
        let (mut wiki, settings) = (wiki(), Settings::default());
        let moment = moment(&settings, "a");
        let id = wiki.open("a", 5, &moment).unwrap();
        wiki.take_part(&id, 1, Segment { blob: 1, bytes: 5 }, &moment).unwrap();
        let full = Moment { quota_is_used_up: true, ..moment };
        assert_eq!(code(wiki.finish(&id, &full)), "QUOTA_EXCEEDED");
        wiki.finish(&id, &moment).unwrap();
    }
}
