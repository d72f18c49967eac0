//! What the account may do with one title: protected pages, forbidden titles, files of somebody else. The wiki would say
//! so only when it publishes, after the last byte; asked together with the file itself it says so when the file is opened.
//! Answers are remembered for a moment, because programs look a name up right before they write it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::answers::{ApiError, FilePage};
use super::codes;
use super::session::Account;
use crate::error::{Error, Retry};

/// The operation, in errors.
const OP: &str = "open";
/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(3);
/// Answers remembered; when full, all are forgotten, which costs one question each.
const COUNT_MAX: usize = 4096;

/// What is tested with a page: writing it, uploading over it, making it.
pub(super) const ACTIONS: &str = "edit|upload|create";

/// What was lately found out, by canonical name; an error says why the file may not be written.
#[derive(Default)]
pub(super) struct Rights(Mutex<HashMap<String, (Instant, Option<Error>)>>);

impl Rights {
    /// What the wiki said of this name a moment ago.
    pub(super) fn get(&self, name: &str) -> Option<Option<Error>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, answer) = known.get(name)?;
        (asked.elapsed() < FRESH).then(|| answer.clone())
    }

    /// The wiki said this of the name.
    pub(super) fn note(&self, name: &str, answer: Option<Error>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= COUNT_MAX {
            known.clear();
        }
        known.insert(name.to_owned(), (Instant::now(), answer));
    }
}

/// Why `account` may not write the file of `page`; nothing when it may, or when the wiki does not say.
pub(super) fn against(page: &FilePage, account: &Account) -> Option<Error> {
    let create = page.missing.then_some("create");
    let tested = ["edit", "upload"].into_iter().chain(create);
    let refused: Vec<ApiError> = tested.filter_map(|action| page.actions.get(action)).flatten().cloned().collect();
    if !refused.is_empty() {
        // What passes by itself (a wiki that is read-only for a minute) may be over when the file is closed.
        return Some(codes::error(OP, &refused)).filter(|error| error.retry == Retry::Never);
    }
    overwrite(page, account).map(|code| codes::error(OP, &[code]))
}

/// The right to replace a file is no matter of its page: the wiki tests it only when it publishes.
fn overwrite(page: &FilePage, account: &Account) -> Option<ApiError> {
    let refused = |code: &str| serde_json::from_value(json!({ "code": code })).ok();
    let image = page.imageinfo.first()?;
    match page.imagerepository.as_str() {
        "local" if account.may("reupload") => None,
        "local" if account.may("reupload-own") && image.user == account.name => None,
        "local" => refused("fileexists-forbidden"),
        "" => None,
        _ if account.may("reupload-shared") => None,
        _ => refused("fileexists-shared-forbidden"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn page(json: serde_json::Value) -> FilePage {
        serde_json::from_value(json).unwrap()
    }

    fn account(rights: &[&str]) -> Account {
        let rights = rights.iter().map(|right| (*right).to_owned()).collect();
        let mut account = Account::default();
        (account.name, account.rights) = ("Me".into(), rights);
        account
    }

    #[test]
    fn what_the_wiki_refuses_is_refused() {
        let refused = |code: &str| json!({ "code": code, "key": code });
        let page_with = |actions| page(json!({ "title": "File:A.txt", "missing": true, "actions": actions }));
        let me = account(&["upload"]);
        let kind = |actions| against(&page_with(actions), &me).map(|error| error.kind);
        assert_eq!(kind(json!({ "edit": [], "upload": [], "create": [] })), None);
        assert_eq!(kind(json!({ "create": [refused("protectedtitle")] })), Some(Kind::Denied));
        assert_eq!(kind(json!({ "upload": [refused("permissiondenied")] })), Some(Kind::Denied));
        assert_eq!(kind(json!({ "edit": [refused("titleblacklist-forbidden-edit")] })), Some(Kind::Denied));
        assert_eq!(kind(json!({ "edit": [refused("readonly")] })), None, "it may be over by the close");
        assert_eq!(kind(json!({})), None, "an old wiki says nothing");
    }

    #[test]
    fn a_page_that_is_there_need_not_be_made() {
        let json = json!({ "title": "File:A.txt", "imagerepository": "local", "imageinfo": [{ "user": "Me" }],
            "actions": { "edit": [], "create": [{ "code": "protectedtitle" }] } });
        assert!(against(&page(json), &account(&["reupload"])).is_none());
    }

    #[test]
    fn files_of_others_need_a_right() {
        let of = |user: &str, repository: &str| {
            page(json!({ "title": "File:A.txt", "imagerepository": repository, "imageinfo": [{ "user": user }] }))
        };
        let may = |page: &FilePage, rights: &[&str]| against(page, &account(rights)).is_none();
        assert!(may(&of("Me", "local"), &["reupload-own"]) && may(&of("Else", "local"), &["reupload"]));
        assert!(!may(&of("Else", "local"), &["reupload-own"]) && !may(&of("Me", "local"), &[]));
        assert!(!may(&of("Else", "shared"), &["reupload"]) && may(&of("Else", "shared"), &["reupload-shared"]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_counts_for_a_moment() {
        let rights = Rights::default();
        assert!(rights.get("A.txt").is_none());
        rights.note("A.txt", None);
        assert!(matches!(rights.get("A.txt"), Some(None)));
        tokio::time::advance(FRESH).await;
        assert!(rights.get("A.txt").is_none());
    }
}
