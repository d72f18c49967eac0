//! Random schedules over the memory of the wiki, held against a model that knows only names and numbers: what is where,
//! which bytes somebody holds, and that a restart changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::session::Status;
use super::sessions::Moment;
use super::settings::Settings;
use super::wiki::Wiki;
use crate::portal::store::{Records, Segment};

/// The smallest part in here, in bytes; every file has two parts of it.
const PART: u64 = 5;
/// How long a session lives, in seconds.
const LIFE_S: u64 = 100;

/// What happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Part { session: usize, number: u32 },
    Finish { session: usize },
    Attach { session: usize, page: usize },
    Abort { session: usize },
    AbortAll,
    DeleteAttachment { file: usize },
    MakePage { slug: usize },
    DeletePage { page: usize },
    Recover { token: usize },
    Pass { seconds: i64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0..8_usize;
    prop_oneof![
        3 => Just(Step::Open),
        6 => (any.clone(), 1..3_u32).prop_map(|(session, number)| Step::Part { session, number }),
        3 => any.clone().prop_map(|session| Step::Finish { session }),
        3 => (any.clone(), any.clone()).prop_map(|(session, page)| Step::Attach { session, page }),
        1 => any.clone().prop_map(|session| Step::Abort { session }),
        1 => Just(Step::AbortAll),
        1 => any.clone().prop_map(|file| Step::DeleteAttachment { file }),
        2 => (0..4_usize).prop_map(|slug| Step::MakePage { slug }),
        1 => any.clone().prop_map(|page| Step::DeletePage { page }),
        1 => any.prop_map(|token| Step::Recover { token }),
        1 => (1..60_i64).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Restart),
    ]
}

/// The slugs there can be; the second lies below the first.
const SLUGS: [&str; 4] = ["a", "a/b", "c", "d"];

/// A session as the model knows it.
#[derive(Clone, Debug)]
struct Expected {
    status: Status,
    parts: BTreeMap<u32, u64>,
    created: OffsetDateTime,
}

/// The attachments of the model: the page and the bytes of each.
type Files = BTreeMap<u64, (u64, Vec<u64>)>;

/// The wiki and its model.
struct Bench {
    wiki: Wiki,
    settings: Settings,
    now: OffsetDateTime,
    sessions: Vec<(String, Expected)>,
    /// Those that are there.
    files: Files,
    /// Those that were deleted, by token.
    deleted: Vec<(String, Files)>,
    next_blob: u64,
    /// The blobs that were ever thrown away.
    thrown: HashSet<u64>,
    /// What is on the disk.
    records: Records,
}

fn picked<T: Clone>(all: &[T], at: usize) -> Option<T> {
    if all.is_empty() { None } else { all.get(at % all.len()).cloned() }
}

impl Bench {
    fn new() -> Bench {
        let settings = Settings {
            part_bytes_min: PART,
            part_bytes_max: PART,
            session_life_s: LIFE_S,
            sessions_max: 4,
            ..Settings::default()
        };
        Bench {
            wiki: Wiki::load(Records::new()).unwrap(),
            settings,
            now: OffsetDateTime::UNIX_EPOCH,
            sessions: Vec::new(),
            files: BTreeMap::new(),
            deleted: Vec::new(),
            next_blob: 0,
            thrown: HashSet::new(),
            records: Records::new(),
        }
    }

    fn moment(settings: &Settings, now: OffsetDateTime) -> Moment<'_> {
        Moment { settings, user: "user", now, quota_is_used_up: false }
    }

    fn take(&mut self, step: Step) {
        let moment = Bench::moment(&self.settings, self.now);
        match step {
            Step::Open => {
                let active = self.sessions.iter().filter(|(_, session)| session.status.is_active()).count();
                let opened = self.wiki.open("x.txt", 2 * PART, &moment);
                assert_eq!(opened.is_ok(), active < self.settings.sessions_max);
                let new = Expected { status: Status::InProgress, parts: BTreeMap::new(), created: self.now };
                self.sessions.extend(opened.ok().map(|id| (id, new)));
            }
            Step::Part { session, number } => {
                let Some((id, _)) = picked(&self.sessions, session) else { return };
                self.next_blob += 1;
                let part = Segment { blob: self.next_blob, bytes: PART };
                let taken = self.wiki.take_part(&id, number, part, &moment).is_ok();
                let expected = self.expected(&id);
                assert_eq!(taken, expected.status.is_active());
                if taken {
                    expected.parts.insert(number, part.blob);
                }
            }
            Step::Finish { session } => {
                let Some((id, before)) = picked(&self.sessions, session) else { return };
                let finished = self.wiki.finish(&id, &moment).is_ok();
                assert_eq!(finished, before.status.is_active() && before.parts.len() == 2);
                if finished {
                    self.expected(&id).status = Status::Finished;
                }
            }
            Step::Attach { session, page } => self.attach(session, page),
            Step::Abort { session } => {
                let Some((id, before)) = picked(&self.sessions, session) else { return };
                assert_eq!(self.wiki.abort(&id, &moment).is_ok(), before.status.is_open());
                self.end(|other, expected| other == id && expected.status.is_open(), Status::Aborted);
            }
            Step::AbortAll => {
                self.wiki.abort_all("user");
                self.end(|_, expected| expected.status.is_active(), Status::Aborted);
            }
            Step::DeleteAttachment { file } => {
                let Some(id) = picked(&self.files.keys().copied().collect::<Vec<_>>(), file) else { return };
                let page = self.files.remove(&id).unwrap().0;
                self.wiki.delete_attachment(page, id).unwrap();
                assert!(self.wiki.delete_attachment(page, id).is_err());
            }
            Step::MakePage { slug } => {
                if self.wiki.check_slug(SLUGS[slug], &self.settings).is_ok() {
                    self.wiki.make_page(SLUGS[slug], "x", "user", self.now);
                }
            }
            Step::DeletePage { page } => self.delete_page(page),
            Step::Recover { token } => self.recover(token),
            Step::Pass { seconds } => {
                self.now += Duration::seconds(seconds);
                let now = self.now;
                self.wiki.clean_up(LIFE_S, now);
                let life = Duration::seconds(LIFE_S as i64);
                self.end(|_, expected| expected.status.is_open() && now - expected.created >= life, Status::Cleanup);
            }
            Step::Restart => {
                self.write();
                self.wiki = Wiki::load(self.records.clone()).unwrap();
            }
        }
    }

    fn expected(&mut self, id: &str) -> &mut Expected {
        self.sessions.iter_mut().find(|(other, _)| other == id).map(|(_, expected)| expected).unwrap()
    }

    /// Ends sessions of the model.
    fn end(&mut self, which: impl Fn(&str, &Expected) -> bool, status: Status) {
        for (id, expected) in &mut self.sessions {
            if which(id, expected) {
                expected.status = status;
                expected.parts.clear();
            }
        }
    }

    fn attach(&mut self, session: usize, page: usize) {
        let pages: Vec<u64> = self.wiki.pages.keys().copied().collect();
        let (Some((id, before)), Some(page)) = (picked(&self.sessions, session), picked(&pages, page)) else { return };
        let moment = Bench::moment(&self.settings, self.now);
        let made = self.wiki.attach(page, std::slice::from_ref(&id), &moment);
        assert_eq!(made.is_ok(), before.status == Status::Finished);
        if let Ok(made) = made {
            assert_eq!(made.len(), 1);
            self.files.insert(made[0], (page, before.parts.into_values().collect()));
            self.end(|other, _| other == id, Status::Used);
        }
    }

    fn delete_page(&mut self, page: usize) {
        let Some(page) = picked(&self.wiki.pages.keys().copied().collect::<Vec<_>>(), page) else { return };
        let slug = self.wiki.pages[&page].slug.clone();
        let gone: BTreeSet<u64> =
            std::iter::once(page).chain(self.wiki.below(&slug).iter().map(|page| page.id)).collect();
        assert_eq!(self.wiki.delete_page(page, false).is_ok(), gone.len() == 1);
        if gone.len() > 1 {
            self.wiki.delete_page(page, true).unwrap();
        }
        let is_new = |token: &&String| self.deleted.iter().all(|(known, _)| known != *token);
        let token = self.wiki.deleted.keys().find(is_new).cloned().unwrap();
        let (gone, left) = std::mem::take(&mut self.files).into_iter().partition(|(_, (page, _))| gone.contains(page));
        self.files = left;
        self.deleted.push((token, gone));
    }

    fn recover(&mut self, token: usize) {
        let Some((token, files)) = picked(&self.deleted, token) else { return };
        let slugs: Vec<String> = self.wiki.deleted[&token].pages.iter().map(|page| page.slug.clone()).collect();
        let is_free = slugs.iter().all(|slug| self.wiki.page_at(slug).is_none());
        let recovered = self.wiki.recover(&token);
        assert_eq!(recovered.ok().map(|(_, count)| count), is_free.then_some(slugs.len()));
        if is_free {
            self.files.extend(files);
            self.deleted.retain(|(known, _)| *known != token);
        }
    }

    /// Writes what has changed to the disk.
    fn write(&mut self) {
        let (changes, garbage) = self.wiki.journal.take();
        for change in serde_json::to_value(changes).unwrap().as_array().unwrap() {
            let key = change["key"].as_str().unwrap().to_owned();
            match change.get("value") {
                Some(value) => self.records.insert(key, value.clone()),
                None => self.records.remove(&key),
            };
        }
        for blob in garbage {
            assert!(self.thrown.insert(blob), "blob {blob} is thrown away once");
        }
    }

    fn check(&mut self) {
        self.write();
        for (id, expected) in &self.sessions {
            let session = &self.wiki.sessions[id];
            assert_eq!(session.status, expected.status);
            let parts: BTreeMap<u32, u64> =
                session.parts.iter().map(|(number, segment)| (*number, segment.blob)).collect();
            assert_eq!(parts, expected.parts);
            assert_eq!(session.attachments.len(), usize::from(expected.status == Status::Used));
        }
        let blobs =
            |id: &u64| -> Vec<u64> { self.wiki.attachments[id].content.0.iter().map(|segment| segment.blob).collect() };
        assert_eq!(self.wiki.attachments.len(), self.files.len());
        assert!(self.files.iter().all(|(id, (page, held))| {
            self.wiki.attachments[id].page == *page && self.wiki.pages.contains_key(page) && blobs(id) == *held
        }));
        let urls: BTreeSet<(u64, &str)> =
            self.wiki.attachments.values().map(|file| (file.page, file.url_name.as_str())).collect();
        assert_eq!(urls.len(), self.files.len(), "URLs are unique");
        assert_eq!(self.wiki.used_bytes(), self.files.len() as u64 * 2 * PART);
        self.check_blobs();
    }

    /// Everything that came is held by somebody or thrown away, and never both.
    fn check_blobs(&self) {
        let of_sessions = self.sessions.iter().flat_map(|(_, session)| session.parts.values().copied());
        let of_deleted = self.deleted.iter().flat_map(|(_, files)| files.values());
        let of_files = self.files.values().chain(of_deleted).flat_map(|(_, blobs)| blobs.iter().copied());
        let held: HashSet<u64> = of_sessions.chain(of_files).collect();
        assert_eq!(self.wiki.journal.held(), held);
        let thrown: HashSet<u64> = (1..=self.next_blob).filter(|blob| !held.contains(blob)).collect();
        assert_eq!(self.thrown, thrown);
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_stays(steps in prop::collection::vec(step(), 1..80)) {
        let mut bench = Bench::new();
        for step in steps {
            bench.take(step);
            bench.check();
        }
    }
}
