//! Attachments: what sessions become, twins and all. Nothing ever changes one; a name says nothing about which it is.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::errors::{Failure, Place};
use super::names;
use super::session::{Session, Status};
use super::sessions::Moment;
use super::settings::{Repeated, Step, Verdict};
use super::wiki::Wiki;
use crate::portal::arrivals::Arrival;
use crate::portal::store::Content;

/// An attachment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Attachment {
    pub(super) id: u64,
    /// The page it belongs to.
    pub(super) page: u64,
    /// As it was sent; others may have the same.
    pub(super) name: String,
    /// The end of its URL, which no other of the page has.
    pub(super) url_name: String,
    pub(super) created_at: OffsetDateTime,
    /// The login of who attached it.
    pub(super) user: String,
    pub(super) content: Content,
    /// When the antivirus is done.
    pub(super) checked_at: OffsetDateTime,
    /// What it will have found.
    pub(super) verdict: Verdict,
    /// When there is a preview, if there will be one.
    pub(super) previewed_at: Option<OffsetDateTime>,
}

impl Attachment {
    /// What the antivirus says.
    pub(super) fn check_status(&self, now: OffsetDateTime) -> &'static str {
        match self.verdict {
            _ if now < self.checked_at => "check",
            Verdict::Ready => "ready",
            Verdict::Infected => "infected",
            Verdict::Error => "error",
        }
    }

    pub(super) fn is_downloadable(&self, now: OffsetDateTime) -> bool {
        self.check_status(now) == "ready"
    }

    pub(super) fn has_preview(&self, now: OffsetDateTime) -> bool {
        self.is_downloadable(now) && self.previewed_at.is_some_and(|then| then <= now)
    }

    pub(super) fn mime(&self) -> &'static str {
        names::mime(&self.name)
    }
}

fn after(now: OffsetDateTime, seconds: u64) -> OffsetDateTime {
    now.saturating_add(Duration::seconds(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

impl Wiki {
    /// Attaches sessions to a page that is there; what they have become. All of them, or none.
    pub(super) fn attach(&mut self, page: u64, ids: &[String], moment: &Moment<'_>) -> Result<Vec<u64>, Failure> {
        for (at, id) in ids.iter().enumerate() {
            if ids[..at].contains(id) {
                let message = "the same session twice";
                return Err(Failure::field(Place::Body, "upload_sessions", message, "value_error"));
            }
            self.check_attach(id, moment)?;
        }
        let mut attached = Vec::new();
        for id in ids {
            let session = self.sessions.get(id).cloned().ok_or_else(Failure::no_session)?;
            if session.status == Status::Used && moment.settings.second_attach == Repeated::Same {
                attached.extend(session.attachments);
            } else {
                attached.push(self.attach_one(page, &session, moment));
            }
        }
        Ok(attached)
    }

    fn check_attach(&mut self, id: &str, moment: &Moment<'_>) -> Result<(), Failure> {
        let settings = moment.settings;
        let session = self.own_session(id, moment.user)?;
        let again = session.status == Status::Used && settings.second_attach != Repeated::Refused;
        if session.status != Status::Finished && !again {
            return Err(Failure::wrong_state(settings, format!("Upload session is {}", session.status.name())));
        }
        if again {
            return Ok(());
        }
        if settings.size_at == Step::Attach {
            session.check_total(settings)?;
        }
        session.check_oversize(Step::Attach, settings)?;
        // What is reserved for the session is its own.
        let bytes = if settings.sessions_reserve { 0 } else { session.held_bytes() };
        self.check_space(bytes, moment)
    }

    fn attach_one(&mut self, page: u64, session: &Session, moment: &Moment<'_>) -> u64 {
        let (settings, now) = (moment.settings, moment.now);
        // A used session has no parts any more; what it became has its bytes.
        let earlier = session.attachments.iter().find_map(|id| self.attachments.get(id));
        let content = earlier.map_or_else(|| session.content(), |earlier| earlier.content.clone());
        self.journal.hold(&content);
        let id = self.next_id();
        let name = session.file_name.clone();
        let is_taken =
            |candidate: &str| self.attachments.values().any(|other| other.page == page && other.url_name == candidate);
        let url_name = names::url_name(&name, settings.url_names, is_taken);
        let previewed_at = names::mime(&name).starts_with("image/").then(|| after(now, settings.preview_s));
        self.arrived.push(Arrival {
            path: format!("/{}/{name}", self.pages.get(&page).map_or("", |page| page.slug.as_str())),
            bytes: content.bytes(),
            version: 1,
            session: session.id.clone(),
            chunks: content.0.len(),
            took: (now - session.created_at).try_into().unwrap_or_default(),
        });
        self.keep_attachment(Attachment {
            id,
            page,
            name,
            url_name,
            created_at: now,
            user: session.user.clone(),
            content,
            checked_at: after(now, settings.check_s),
            verdict: settings.verdict,
            previewed_at,
        });
        if let Some(used) = self.sessions.get_mut(&session.id) {
            used.attachments.push(id);
        }
        self.end(&session.id, Status::Used);
        id
    }

    /// The attachment of a page.
    pub(super) fn attachment(&self, page: u64, id: u64) -> Option<&Attachment> {
        self.attachments.get(&id).filter(|attachment| attachment.page == page)
    }

    /// The attachments of a page, in the order of their making.
    pub(super) fn attachments_of(&self, page: u64) -> impl Iterator<Item = &Attachment> {
        self.attachments.values().filter(move |attachment| attachment.page == page)
    }

    /// Removes an attachment for ever.
    pub(super) fn delete_attachment(&mut self, page: u64, id: u64) -> Result<(), Failure> {
        self.attachment(page, id).ok_or_else(Failure::no_attachment)?;
        let attachment = self.take_attachment(id).ok_or_else(Failure::no_attachment)?;
        self.journal.release(&attachment.content);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;
    use crate::portal::store::{Records, Segment};

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn moment(settings: &Settings) -> Moment<'_> {
        Moment { settings, user: "a", now: NOW, quota_is_used_up: false }
    }

    fn wiki() -> (Wiki, u64) {
        let mut wiki = Wiki::load(Records::new()).unwrap();
        let page = wiki.make_page("root", "Root", "a", NOW);
        (wiki, page)
    }

    /// A finished session of five bytes.
    fn finished(wiki: &mut Wiki, name: &str, blob: u64, moment: &Moment<'_>) -> String {
        let id = wiki.open(name, 5, moment).unwrap();
        wiki.take_part(&id, 1, Segment { blob, bytes: 5 }, moment).unwrap();
        wiki.finish(&id, moment).unwrap();
        id
    }

    fn code(answer: Result<impl Sized, Failure>) -> &'static str {
        match answer {
            Ok(_) => "",
            Err(Failure::Said { code, .. }) => code,
            Err(Failure::NoFile) => "picture",
        }
    }

    #[test]
    fn the_same_name_twice_makes_two() {
        let ((mut wiki, page), settings) = (wiki(), Settings::default());
        let moment = moment(&settings);
        let ids = [1, 2].map(|blob| finished(&mut wiki, "a.png", blob, &moment));
        let made = wiki.attach(page, &ids, &moment).unwrap();
        let url = |at: usize| wiki.attachments[&made[at]].url_name.clone();
        assert_eq!((url(0), url(1)), ("a.png".into(), "a-1.png".into()));
        assert_eq!(wiki.attachments_of(page).filter(|attachment| attachment.name == "a.png").count(), 2);
        assert!(ids.iter().all(|id| wiki.sessions[id].status == Status::Used));
        wiki.delete_attachment(page, made[0]).unwrap();
        assert_eq!((wiki.journal.take().1, wiki.used_bytes()), (vec![1], 5));
        assert_eq!(code(wiki.delete_attachment(page, made[0])), "NOT_FOUND");
        assert_eq!(code(wiki.delete_attachment(page + 1, made[1])), "NOT_FOUND", "it belongs to its page");
    }

    #[test]
    fn only_finished_sessions_are_attached_and_all_or_none() {
        let ((mut wiki, page), settings) = (wiki(), Settings::default());
        let moment = moment(&settings);
        let good = finished(&mut wiki, "a", 1, &moment);
        let open = wiki.open("b", 5, &moment).unwrap();
        assert_eq!(code(wiki.attach(page, &[good.clone(), open], &moment)), "UPLOAD_SESSION_WRONG_STATUS");
        assert_eq!(code(wiki.attach(page, &[good.clone(), good.clone()], &moment)), "VALIDATION_ERROR");
        assert_eq!(code(wiki.attach(page, &[good.clone(), "x".into()], &moment)), "NOT_FOUND");
        assert_eq!(wiki.attachments.len(), 0);
        wiki.attach(page, &[good], &moment).unwrap();
    }

    #[test]
    fn a_second_attach_is_what_the_setting_says() {
        for (second_attach, expected) in [(Repeated::Refused, 1), (Repeated::Same, 1), (Repeated::Again, 2)] {
            let ((mut wiki, page), settings) = (wiki(), Settings { second_attach, ..Settings::default() });
            let moment = moment(&settings);
            let id = [finished(&mut wiki, "a", 1, &moment)];
            let first = wiki.attach(page, &id, &moment).unwrap();
            let second = wiki.attach(page, &id, &moment);
            assert_eq!(second.is_ok(), second_attach != Repeated::Refused);
            assert_eq!(second.is_ok_and(|second| second == first), second_attach == Repeated::Same);
            assert_eq!(wiki.attachments.len(), expected);
            for made in wiki.attachments.keys().copied().collect::<Vec<_>>() {
                assert_eq!(wiki.attachments[&made].content.bytes(), 5);
                assert_eq!(wiki.journal.take().1, [0; 0], "somebody holds the bytes");
                wiki.delete_attachment(page, made).unwrap();
            }
            assert_eq!(wiki.journal.take().1, [1]);
        }
    }

    #[test]
    fn space_and_sizes_are_found_out_here_too() {
        let full = Settings { total_bytes: 4, sessions_reserve: false, ..Settings::default() };
        let large = Settings { oversize_at: Step::Attach, file_bytes_max: 4, ..Settings::default() };
        let wrong = Settings { size_at: Step::Attach, ..Settings::default() };
        for (settings, expected) in [(full, "QUOTA_EXCEEDED"), (large, "FILE_TOO_LARGE"), (wrong, "")] {
            let (mut wiki, page) = wiki();
            let moment = moment(&settings);
            let id = finished(&mut wiki, "a", 1, &moment);
            assert_eq!(code(wiki.attach(page, &[id], &moment)), expected);
        }
        let ((mut wiki, page), settings) = (wiki(), Settings { size_at: Step::Attach, ..Settings::default() });
        let moment = moment(&settings);
        let id = wiki.open("a", 6, &moment).unwrap();
        wiki.take_part(&id, 1, Segment { blob: 1, bytes: 5 }, &moment).unwrap();
        wiki.finish(&id, &moment).unwrap();
        assert_eq!(code(wiki.attach(page, &[id], &moment)), "UPLOAD_SESSION_WRONG_PARTS");
    }

    #[test]
    fn the_antivirus_and_the_preview_take_their_time() {
        for (verdict, expected) in
            [(Verdict::Ready, "ready"), (Verdict::Infected, "infected"), (Verdict::Error, "error")]
        {
            let ((mut wiki, page), settings) = (wiki(), Settings { check_s: 5, verdict, ..Settings::default() });
            let moment = moment(&settings);
            let ids = ["a.png", "a.txt"].map(|name| finished(&mut wiki, name, 1, &moment));
            let made = wiki.attach(page, &ids, &moment).unwrap();
            let (image, text) = (&wiki.attachments[&made[0]], &wiki.attachments[&made[1]]);
            let (during, then) = (NOW + Duration::seconds(4), NOW + Duration::seconds(5));
            assert_eq!((image.check_status(during), image.check_status(then)), ("check", expected));
            assert!(!image.is_downloadable(during) && !image.has_preview(during));
            let is_ready = verdict == Verdict::Ready;
            assert_eq!((image.is_downloadable(then), image.has_preview(then)), (is_ready, is_ready));
            assert!(!text.has_preview(then));
        }
    }
}
