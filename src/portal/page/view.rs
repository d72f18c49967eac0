//! What the page shows of a portal: the newest files, and the uploads on the way, in words. No HTML, no clock.

use std::cmp::Reverse;

use super::text;
use crate::portal::state::{FileState, ServiceState, SessionState};

/// The most entries of a list. A page of all files of a long test would be read again every second.
const SHOWN_MAX: usize = 500;

/// The page's content. Names in it can be seen, and are not escaped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) service: String,
    /// Everything in one line.
    pub(super) summary: String,
    pub(super) on_the_way: Vec<Upload>,
    /// The newest first.
    pub(super) files: Vec<Entry>,
    /// What does not fit, in words; empty where everything does.
    pub(super) rest: String,
}

/// An upload on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) bytes_held: u64,
    /// `None` where nobody said how many there will be.
    pub(super) bytes_total: Option<u64>,
    /// `5.0 MiB of 9.5 MiB`.
    pub(super) progress: String,
}

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) title: String,
    /// With a slash at its end.
    pub(super) folder: String,
    pub(super) size: String,
    /// When the newest version was made, for people and for programs.
    pub(super) updated: (String, String),
    /// What else there is to say; mostly nothing.
    pub(super) notes: Vec<String>,
}

impl View {
    pub(super) fn of(state: ServiceState) -> View {
        let mut files: Vec<FileState> = state.files.into_iter().map(|(file, _)| file).collect();
        // Services keep whole seconds; within one of them, what was made last is the newest.
        files.reverse();
        files.sort_by_key(|file| Reverse(file.updated));
        // A session that has made its file may stay for hours, and so may one that nobody could remove.
        let is_on_the_way = |session: &SessionState| session.commits == 0 && !session.abandoned;
        let mut sessions: Vec<SessionState> = state.sessions.into_iter().filter(is_on_the_way).collect();
        // Ids are dice: by them alone the list would be in no order at all.
        sessions.sort_by(|a, b| (&a.title, &a.id).cmp(&(&b.title, &b.id)));
        let (file_count, session_count) = (files.len(), sessions.len());
        files.truncate(SHOWN_MAX);
        sessions.truncate(SHOWN_MAX);
        View {
            service: state.service,
            summary: format!("{}, {session_count} on the way", text::counted(file_count as u64, "file")),
            rest: rest(file_count - files.len(), session_count - sessions.len()),
            files: files.iter().map(Entry::of).collect(),
            on_the_way: sessions.iter().map(Upload::of).collect(),
        }
    }
}

fn rest(files: usize, sessions: usize) -> String {
    match (files, sessions) {
        (0, 0) => String::new(),
        _ => format!("Not shown: {} that are older, {sessions} on the way.", text::counted(files as u64, "file")),
    }
}

impl Entry {
    fn of(file: &FileState) -> Entry {
        let (folder, title) = split(&file.path);
        let mut notes = Vec::new();
        if file.versions > 1 {
            notes.push(text::counted(file.versions as u64, "version"));
        }
        if file.bytes != file.stored_bytes {
            notes.push(format!("damaged: {} are there", text::size(file.stored_bytes)));
        }
        Entry {
            id: file.id.clone(),
            title: text::visible(title),
            folder: text::visible(folder),
            size: text::size(file.bytes),
            updated: text::moment(file.updated),
            notes,
        }
    }
}

impl Upload {
    fn of(session: &SessionState) -> Upload {
        // A client may declare what it does not know as nothing, or as less than nothing.
        let bytes_total = u64::try_from(session.bytes_total).ok().filter(|bytes| *bytes > 0);
        let held = text::size(session.bytes_held);
        Upload {
            id: session.id.clone(),
            title: text::visible(&session.title),
            bytes_held: session.bytes_held,
            bytes_total,
            progress: bytes_total.map_or(held.clone(), |total| format!("{held} of {}", text::size(total))),
        }
    }
}

/// A path as its folder, with the slash, and its title.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |slash| slash + 1))
}

#[cfg(test)]
pub(super) mod tests {
    use time::{Duration, OffsetDateTime};

    use super::*;
    use crate::portal::store::Content;

    pub(in super::super) fn file(id: u64, path: &str) -> FileState {
        FileState {
            path: path.into(),
            id: id.to_string(),
            bytes: 3,
            stored_bytes: 3,
            versions: 1,
            twins: 1,
            updated: OffsetDateTime::UNIX_EPOCH,
            sha256: String::new(),
            notes: serde_json::Value::Null,
        }
    }

    pub(in super::super) fn session(id: &str, title: &str, bytes_total: i64) -> SessionState {
        let (id, title) = (id.into(), title.into());
        SessionState { id, title, bytes_total, bytes_held: 1024, commits: 0, abandoned: false, status: None }
    }

    pub(in super::super) fn view(files: Vec<FileState>, sessions: Vec<SessionState>) -> View {
        let files = files.into_iter().map(|file| (file, Content::default())).collect();
        View::of(ServiceState { service: "service 1".into(), files, sessions, ..ServiceState::default() })
    }

    fn titles(view: &View) -> Vec<&str> {
        view.files.iter().map(|file| file.title.as_str()).collect()
    }

    #[test]
    fn the_newest_is_first() {
        let mut files = vec![file(1, "/a"), file(2, "/b"), file(3, "/c"), file(10, "/d")];
        files[0].updated += Duration::SECOND;
        assert_eq!(titles(&view(files, vec![])), ["a", "d", "c", "b"]);
    }

    #[test]
    fn a_file_says_what_is_special_about_it() {
        let mut files = vec![file(1, "/My documents/x/a\nb.txt")];
        (files[0].versions, files[0].bytes) = (2, 2048);
        let view = view(files, vec![]);
        let entry = &view.files[0];
        assert_eq!((entry.folder.as_str(), entry.title.as_str()), ("/My documents/x/", "a�b.txt"));
        assert_eq!(
            (entry.size.as_str(), entry.notes.join("; ")),
            ("2.0 KiB", "2 versions; damaged: 3 bytes are there".into())
        );
        assert_eq!(split("no slash"), ("", "no slash"));
    }

    #[test]
    fn only_what_can_still_come_is_on_the_way() {
        let (mut made, mut left) = (session("1", "made", 5), session("2", "left", 5));
        (made.commits, left.abandoned) = (1, true);
        let unknown = ["0", "-1"].map(|bytes| session(bytes, bytes, bytes.parse().unwrap()));
        let [zero, negative] = unknown;
        let view =
            view(vec![], vec![made, left, session("3", "z", 2048), zero, negative, session("9", "a\u{202E}", 1024)]);
        let shown: Vec<_> = view.on_the_way.iter().map(|upload| (upload.title.as_str(), upload.bytes_total)).collect();
        assert_eq!(shown, [("-1", None), ("0", None), ("a�", Some(1024)), ("z", Some(2048))]);
        assert_eq!(
            (view.on_the_way[3].progress.as_str(), view.on_the_way[0].progress.as_str()),
            ("1.0 KiB of 2.0 KiB", "1.0 KiB")
        );
        assert_eq!((view.summary.as_str(), view.rest.as_str()), ("0 files, 4 on the way", ""));
    }

    #[test]
    fn a_list_has_an_end() {
        let count = SHOWN_MAX as u64 + 2;
        let view = view((0..count).map(|id| file(id, &format!("/{id}"))).collect(), vec![]);
        assert_eq!((view.files.len(), view.files[0].title.as_str()), (SHOWN_MAX, "501"));
        assert_eq!(view.summary, "502 files, 0 on the way");
        assert_eq!(view.rest, "Not shown: 2 files that are older, 0 on the way.");
    }
}
