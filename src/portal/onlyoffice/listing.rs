//! A page of a folder: folders first, then files, sorted, filtered, and counted as one list.

use super::errors::{Failure, Message};
use super::fields::Fields;
use super::generation::Version;
use super::tree::{File, Folder, Tree};

/// The most entries of a page where more is an error, and what is sent to whoever does not say.
const PAGE_MAX: usize = 100;
/// The most entries of a page where more is cut.
const OLD_PAGE_MAX: usize = 1000;

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    start: usize,
    count: usize,
    sort: Sort,
    descending: bool,
    filter: Filter,
    /// In lower case.
    text: String,
    with_subfolders: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Changed,
    Created,
    Title,
    Size,
    Extension,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    All,
    Files,
    Folders,
}

/// What a page shows.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    pub(super) folders: Vec<&'a Folder>,
    pub(super) files: Vec<&'a File>,
    pub(super) start: usize,
    /// Of all pages.
    pub(super) total: usize,
}

impl Page {
    /// Whether the client asks for more than new versions send.
    pub(super) fn is_too_large(version: Version, query: &Fields) -> bool {
        version.refuses_large_pages() && query.number("count").is_some_and(|count| count > PAGE_MAX as i64)
    }

    /// The page that a query asks for.
    ///
    /// # Errors
    /// It is too large, for the versions that mind.
    pub(super) fn read(version: Version, query: &Fields) -> Result<Page, Failure> {
        if Page::is_too_large(version, query) {
            return Err(Failure::Validation { field: "Count", reason: "The field Count must be between 1 and 100." });
        }
        let max = if version.refuses_large_pages() { PAGE_MAX } else { OLD_PAGE_MAX };
        let number = |name| query.number(name).and_then(|number| usize::try_from(number).ok());
        let sort = match query.text("sortBy").map(str::to_lowercase).as_deref() {
            Some("az") => Sort::Title,
            Some("size") => Sort::Size,
            Some("type") => Sort::Extension,
            Some("dateandtimecreation") => Sort::Created,
            _ => Sort::Changed,
        };
        let descending = match query.text("sortOrder").map(str::to_lowercase) {
            Some(order) => order == "descending",
            // Without an order, dates begin with the newest.
            None => matches!(sort, Sort::Changed | Sort::Created),
        };
        let filter = match query.text("filterType").map(str::to_lowercase).as_deref() {
            Some("1" | "filesonly") => Filter::Files,
            Some("2" | "foldersonly") => Filter::Folders,
            None | Some("0" | "none") => Filter::All,
            Some(_) => return Err(Failure::Argument(Message::Fixed("filterType"))),
        };
        Ok(Page {
            start: number("startIndex").unwrap_or(0),
            count: number("count").filter(|count| *count > 0).unwrap_or(max).min(max),
            sort,
            descending,
            filter,
            text: query.text("filterValue").unwrap_or_default().to_lowercase(),
            with_subfolders: query.flag("withSubFolders").unwrap_or(true),
        })
    }

    /// The page of a folder.
    pub(super) fn list<'a>(&self, tree: &'a Tree, folder: u64) -> Listed<'a> {
        let (mut folders, mut files) = self.gather(tree, folder);
        if self.filter == Filter::Files {
            folders.clear();
        }
        if self.filter == Filter::Folders {
            files.clear();
        }
        folders.sort_by(|a, b| self.order(self.compare_folders(a, b)).then(a.id.cmp(&b.id)));
        files.sort_by(|a, b| self.order(self.compare_files(a, b)).then(a.id.cmp(&b.id)));
        let total = folders.len() + files.len();
        let skipped = self.start.saturating_sub(folders.len());
        let folders: Vec<&Folder> = folders.into_iter().skip(self.start).take(self.count).collect();
        let room = self.count - folders.len();
        Listed { files: files.into_iter().skip(skipped).take(room).collect(), folders, start: self.start, total }
    }

    /// Everything that may be shown. Subfolders are searched only when there is something to search for.
    fn gather<'a>(&self, tree: &'a Tree, folder: u64) -> (Vec<&'a Folder>, Vec<&'a File>) {
        let fits = |title: &str| self.text.is_empty() || title.to_lowercase().contains(&self.text);
        let mut folders: Vec<&Folder> = tree.folders_in(folder).filter(|folder| fits(&folder.title)).collect();
        let mut files: Vec<&File> = tree.files_in(folder).filter(|file| fits(&file.title)).collect();
        if self.with_subfolders && !self.text.is_empty() {
            for below in tree.folders_in(folder) {
                let (more_folders, more_files) = self.gather(tree, below.id);
                folders.extend(more_folders);
                files.extend(more_files);
            }
        }
        (folders, files)
    }

    fn order(&self, order: std::cmp::Ordering) -> std::cmp::Ordering {
        if self.descending { order.reverse() } else { order }
    }

    fn compare_folders(&self, a: &Folder, b: &Folder) -> std::cmp::Ordering {
        match self.sort {
            Sort::Changed => a.updated.cmp(&b.updated),
            Sort::Created => a.created.cmp(&b.created),
            Sort::Title | Sort::Size | Sort::Extension => a.title.to_lowercase().cmp(&b.title.to_lowercase()),
        }
    }

    fn compare_files(&self, a: &File, b: &File) -> std::cmp::Ordering {
        let by_title = || a.title.to_lowercase().cmp(&b.title.to_lowercase());
        match self.sort {
            Sort::Changed => a.current().updated.cmp(&b.current().updated),
            Sort::Created => a.created.cmp(&b.created),
            Sort::Title => by_title(),
            Sort::Size => a.current().bytes.cmp(&b.current().bytes),
            Sort::Extension => {
                let extension = |file: &File| super::titles::extension(&file.title).to_lowercase();
                extension(a).cmp(&extension(b)).then_with(by_title)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::generation::Generation;
    use super::super::tree::{MY, Revision};
    use super::*;
    use crate::portal::journal::Journal;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn tree() -> Tree {
        let (mut tree, mut journal) = (Tree::new(NOW), Journal::default());
        let inner = tree.make_folder(MY, "z", NOW, &mut journal);
        tree.make_folder(MY, "Y", NOW, &mut journal);
        for (folder, title, bytes) in [(MY, "b.txt", 1), (MY, "A.bin", 3), (MY, "c.bin", 2), (inner, "deep.bin", 9)] {
            let id = tree.next_id(&mut journal);
            let revisions = vec![Revision { version: 1, bytes, content: Default::default(), updated: NOW, by: None }];
            let file = File {
                id,
                folder,
                title: title.into(),
                created: NOW + time::Duration::seconds(i64::try_from(id).unwrap()),
                locked_by: None,
                encrypted: false,
                revisions,
            };
            tree.add_file(file, &mut journal);
        }
        tree
    }

    fn titles(query: &str) -> (Vec<String>, usize) {
        let tree = tree();
        let page = Page::read(Generation::G3.version(), &Fields::of_query(query)).unwrap();
        let listed = page.list(&tree, MY);
        let folders = listed.folders.iter().map(|folder| folder.title.clone());
        (folders.chain(listed.files.iter().map(|file| file.title.clone())).collect(), listed.total)
    }

    #[test]
    fn pages_count_folders_first() {
        let all = ["Y", "z", "A.bin", "b.txt", "c.bin"];
        for start in 0..6 {
            for count in 1..6 {
                let end = all.len().min(start + count);
                let expected = all.get(start..end).unwrap_or_default();
                let query = format!("startIndex={start}&count={count}&sortBy=AZ&sortOrder=ascending");
                assert_eq!(titles(&query), (expected.iter().map(|title| (*title).to_owned()).collect(), 5), "{query}");
            }
        }
    }

    #[test]
    fn entries_are_sorted_and_filtered() {
        let found = |query: &str| titles(query).0;
        assert_eq!(found("sortBy=Size&sortOrder=descending&filterType=1"), ["A.bin", "c.bin", "b.txt"]);
        assert_eq!(found("sortBy=Type&filterType=FilesOnly"), ["A.bin", "c.bin", "b.txt"]);
        assert_eq!(found("filterType=2&sortBy=AZ"), ["Y", "z"]);
        assert_eq!(found("sortBy=DateAndTimeCreation&filterType=1"), ["c.bin", "A.bin", "b.txt"]);
        assert_eq!(found("filterValue=BIN&withSubFolders=false&sortBy=AZ"), ["A.bin", "c.bin"]);
        assert_eq!(found("filterValue=BIN&sortBy=AZ"), ["A.bin", "c.bin", "deep.bin"]);
    }

    #[test]
    fn large_pages_are_refused_or_cut() {
        let read = |generation: Generation, count| {
            Page::read(generation.version(), &Fields::of_query(&format!("count={count}"))).map(|page| page.count)
        };
        assert_eq!(read(Generation::G3, 100), Ok(100));
        assert!(matches!(read(Generation::G3, 101), Err(Failure::Validation { .. })));
        assert_eq!(read(Generation::G1, 5000), Ok(1000));
        assert_eq!(read(Generation::G0, 101), Ok(101));
    }
}
