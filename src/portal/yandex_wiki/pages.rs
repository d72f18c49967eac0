//! Pages and the tree that their slugs make: making, changing, deleting and recovering, moving and cloning. A page above
//! another need not be there.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::errors::Failure;
use super::settings::Settings;
use super::slugs;
use super::wiki::{Deleted, Wiki};
use crate::portal::uuid::uuid;

/// A page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) id: u64,
    pub(super) slug: String,
    pub(super) title: String,
    pub(super) content: String,
    pub(super) created_at: OffsetDateTime,
    pub(super) modified_at: OffsetDateTime,
    /// Grows with every change.
    pub(super) revision: u64,
    /// The owner's login.
    pub(super) owner: String,
    /// Whether it is marked as out of date.
    pub(super) obsolete: bool,
    /// The page that whoever looks for this one gets.
    pub(super) redirect: Option<u64>,
}

/// What a change of a page says; what it does not say stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Edit {
    pub(super) title: Option<String>,
    pub(super) content: Option<String>,
    pub(super) obsolete: Option<bool>,
    /// `Some(None)` ends a redirect.
    pub(super) redirect: Option<Option<u64>>,
}

/// A move of a page with everything below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Relocation {
    pub(super) source: String,
    pub(super) target: String,
}

impl Wiki {
    /// The page of this slug.
    pub(super) fn page_at(&self, slug: &str) -> Option<&Page> {
        self.pages.values().find(|page| page.slug == slug)
    }

    pub(super) fn page(&self, id: u64) -> Result<&Page, Failure> {
        self.pages.get(&id).ok_or_else(Failure::no_page)
    }

    /// The pages below a slug, in the order of their slugs.
    pub(super) fn below(&self, slug: &str) -> Vec<&Page> {
        let mut pages: Vec<&Page> = self.pages.values().filter(|page| slugs::is_below(&page.slug, slug)).collect();
        pages.sort_by(|a, b| a.slug.cmp(&b.slug));
        pages
    }

    /// Makes a page, whose slug is free.
    pub(super) fn make_page(&mut self, slug: &str, title: &str, user: &str, now: OffsetDateTime) -> u64 {
        let id = self.next_id();
        self.keep_page(Page {
            id,
            slug: slug.to_owned(),
            title: title.to_owned(),
            content: String::new(),
            created_at: now,
            modified_at: now,
            revision: 1,
            owner: user.to_owned(),
            obsolete: false,
            redirect: None,
        });
        id
    }

    /// Whether a page can be made here.
    ///
    /// # Errors
    /// The slug is taken, nobody may use it, or there are too many pages.
    pub(super) fn check_slug(&self, slug: &str, settings: &Settings) -> Result<(), Failure> {
        let is_reserved = |reserved: &String| slug == reserved || slugs::is_below(slug, reserved);
        if settings.reserved_slugs.iter().any(is_reserved) {
            return Err(Failure::refused("SLUG_RESERVED", "Slug is reserved"));
        }
        if self.page_at(slug).is_some() {
            return Err(Failure::refused("SLUG_OCCUPIED", "Slug is occupied"));
        }
        if self.pages.len() >= settings.pages_max {
            return Err(Failure::quota("Organization page limit is exceeded"));
        }
        Ok(())
    }

    /// Changes a page; every change is a new revision, also one that says nothing.
    pub(super) fn edit_page(&mut self, id: u64, edit: Edit, now: OffsetDateTime) -> Result<(), Failure> {
        let old = self.page(id)?.clone();
        self.keep_page(Page {
            title: edit.title.unwrap_or(old.title),
            content: edit.content.unwrap_or(old.content),
            obsolete: edit.obsolete.unwrap_or(old.obsolete),
            redirect: edit.redirect.unwrap_or(old.redirect),
            modified_at: now,
            revision: old.revision + 1,
            ..old
        });
        Ok(())
    }

    /// Deletes a page with its attachments, and those below it where that is wished; the token to recover them.
    pub(super) fn delete_page(&mut self, id: u64, recursive: bool) -> Result<String, Failure> {
        let slug = self.page(id)?.slug.clone();
        let below: Vec<u64> = self.below(&slug).iter().map(|page| page.id).collect();
        if !below.is_empty() && !recursive {
            return Err(Failure::refused("HAS_CHILDREN", "Page has children"));
        }
        let mut deleted = Deleted { root: id, pages: Vec::new(), attachments: Vec::new() };
        for id in std::iter::once(id).chain(below) {
            let files: Vec<u64> = self.attachments_of(id).map(|attachment| attachment.id).collect();
            deleted.attachments.extend(files.into_iter().filter_map(|file| self.take_attachment(file)));
            deleted.pages.extend(self.take_page(id));
        }
        let token = uuid();
        self.keep_deleted(&token, deleted);
        Ok(token)
    }

    /// Brings back what was deleted; the page that was named, and how many there are.
    pub(super) fn recover(&mut self, token: &str) -> Result<(u64, usize), Failure> {
        let deleted = self.deleted.get(token).ok_or_else(Failure::no_page)?;
        if deleted.pages.iter().any(|page| self.page_at(&page.slug).is_some()) {
            return Err(Failure::refused("SLUG_OCCUPIED", "Slug is occupied"));
        }
        let deleted = self.take_deleted(token).ok_or_else(Failure::no_page)?;
        let count = deleted.pages.len();
        deleted.pages.into_iter().for_each(|page| self.keep_page(page));
        deleted.attachments.into_iter().for_each(|attachment| self.keep_attachment(attachment));
        Ok((deleted.root, count))
    }

    /// Whether a page can be moved so.
    pub(super) fn check_relocation(&self, relocation: &Relocation) -> Result<(), Failure> {
        let Relocation { source, target } = relocation;
        self.page_at(source).ok_or_else(Failure::no_page)?;
        if slugs::parent(target).is_some_and(|parent| self.page_at(parent).is_none()) {
            return Err(Failure::refused("NO_PARENT_PAGE", "There is no parent page"));
        }
        if slugs::is_below(target, source) {
            return Err(Failure::bad_request("A page cannot be moved below itself"));
        }
        if target != source && self.page_at(target).is_some() {
            return Err(Failure::refused("SLUG_OCCUPIED", "Slug is occupied"));
        }
        Ok(())
    }

    /// Moves a page with those below it; how many there are. What is attached to them stays with them.
    pub(super) fn relocate(&mut self, relocation: &Relocation) -> Result<usize, Failure> {
        self.check_relocation(relocation)?;
        let Relocation { source, target } = relocation;
        let moved = self.pages.values().filter(|page| page.slug == *source || slugs::is_below(&page.slug, source));
        let moved: Vec<Page> = moved.cloned().collect();
        let count = moved.len();
        for page in moved {
            let slug = format!("{target}{}", &page.slug[source.len()..]);
            self.keep_page(Page { slug, ..page });
        }
        Ok(count)
    }

    /// Makes a page with the content of another. What is attached stays where it is.
    pub(super) fn clone_page(&mut self, id: u64, target: &str, title: Option<&str>, user: &str, now: OffsetDateTime) {
        let Some(source) = self.pages.get(&id).cloned() else { return };
        let made = self.make_page(target, title.unwrap_or(&source.title), user, now);
        if let Some(page) = self.pages.get(&made).cloned() {
            self.keep_page(Page { content: source.content, ..page });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::store::Records;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn wiki(slugs: &[&str]) -> Wiki {
        let mut wiki = Wiki::load(Records::new()).unwrap();
        slugs.iter().for_each(|slug| {
            wiki.make_page(slug, slug, "user", NOW);
        });
        wiki
    }

    fn slugs(wiki: &Wiki) -> Vec<&str> {
        wiki.below("").iter().map(|page| page.slug.as_str()).collect()
    }

    fn id(wiki: &Wiki, slug: &str) -> u64 {
        wiki.page_at(slug).unwrap().id
    }

    fn code(answer: Result<impl Sized, Failure>) -> &'static str {
        match answer {
            Ok(_) => "",
            Err(Failure::Said { code, .. }) => code,
            Err(Failure::NoFile) => "picture",
        }
    }

    fn relocation(source: &str, target: &str) -> Relocation {
        Relocation { source: source.into(), target: target.into() }
    }

    #[test]
    fn the_tree_is_flat_and_has_holes() {
        let wiki = wiki(&["a", "a/b/c", "ab", "a/b/d"]);
        let below: Vec<&str> = wiki.below("a").iter().map(|page| page.slug.as_str()).collect();
        assert_eq!(below, ["a/b/c", "a/b/d"]);
        assert_eq!(slugs(&wiki), ["a", "a/b/c", "a/b/d", "ab"]);
    }

    #[test]
    fn slugs_are_taken_reserved_and_counted() {
        let wiki = wiki(&["a", "b"]);
        let settings = Settings { reserved_slugs: vec!["api".into()], pages_max: 2, ..Settings::default() };
        assert_eq!(code(wiki.check_slug("api/x", &settings)), "SLUG_RESERVED");
        assert_eq!(code(wiki.check_slug("a", &settings)), "SLUG_OCCUPIED");
        assert_eq!(code(wiki.check_slug("c", &settings)), "QUOTA_EXCEEDED");
        assert_eq!(code(wiki.check_slug("c", &Settings::default())), "");
    }

    #[test]
    fn a_change_says_only_what_changes() {
        let mut wiki = wiki(&["a"]);
        let (page, later) = (id(&wiki, "a"), NOW + time::Duration::HOUR);
        wiki.edit_page(page, Edit { content: Some("x".into()), ..Edit::default() }, NOW).unwrap();
        wiki.edit_page(page, Edit::default(), later).unwrap();
        let edited = wiki.page(page).unwrap();
        assert_eq!((edited.title.as_str(), edited.content.as_str()), ("a", "x"));
        assert_eq!((edited.revision, edited.modified_at, edited.created_at), (3, later, NOW));
        assert_eq!(code(wiki.edit_page(4711, Edit::default(), NOW)), "NOT_FOUND");
    }

    #[test]
    fn what_was_deleted_comes_back_also_after_a_restart() {
        let mut wiki = wiki(&["a", "a/b", "c"]);
        let page = id(&wiki, "a");
        assert_eq!(code(wiki.delete_page(page, false)), "HAS_CHILDREN");
        let token = wiki.delete_page(page, true).unwrap();
        assert_eq!((slugs(&wiki), code(wiki.page(page))), (vec!["c"], "NOT_FOUND"));
        let mut wiki = Wiki::load(wiki.journal.take_records()).unwrap();
        let other = wiki.make_page("a/b", "x", "user", NOW);
        assert_eq!(code(wiki.recover(&token)), "SLUG_OCCUPIED");
        wiki.delete_page(other, false).unwrap();
        assert_eq!(wiki.recover(&token), Ok((page, 2)));
        assert_eq!(slugs(&wiki), ["a", "a/b", "c"]);
        assert_eq!(code(wiki.recover(&token)), "NOT_FOUND");
    }

    #[test]
    fn a_page_moves_with_all_below_it() {
        let mut wiki = wiki(&["a", "a/b", "a/b/c", "d"]);
        let page = id(&wiki, "a/b");
        assert_eq!(wiki.relocate(&relocation("a/b", "d/e")), Ok(2));
        assert_eq!(slugs(&wiki), ["a", "d", "d/e", "d/e/c"]);
        assert_eq!(id(&wiki, "d/e"), page);
        for (source, target, expected) in [
            ("x", "y", "NOT_FOUND"),
            ("a", "x/y", "NO_PARENT_PAGE"),
            ("d", "d/e/f", "BAD_REQUEST"),
            ("a", "d", "SLUG_OCCUPIED"),
        ] {
            assert_eq!(code(wiki.relocate(&relocation(source, target))), expected);
        }
    }

    #[test]
    fn a_clone_has_the_content() {
        let mut wiki = wiki(&["a"]);
        let page = id(&wiki, "a");
        wiki.edit_page(page, Edit { content: Some("x".into()), ..Edit::default() }, NOW).unwrap();
        wiki.clone_page(page, "b", None, "user", NOW);
        wiki.clone_page(page, "c", Some("C"), "user", NOW);
        let titles = ["b", "c"].map(|slug| wiki.page_at(slug).map(|page| (page.title.as_str(), page.content.as_str())));
        assert_eq!(titles, [Some(("a", "x")), Some(("C", "x"))]);
    }
}
