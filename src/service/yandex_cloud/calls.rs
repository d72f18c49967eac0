//! The calls of both dialects, as far as they differ in words only. A change whose answer is lost is looked at by the id of
//! its file before it is asked for again; creating is another matter (`upload.rs`).

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answers::{self, Listed, Stored, readable};
use super::api::{SAME_REQUEST, Trouble, uuid};
use super::{Cloud, Dialect};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::Method;

/// Files of one page in the native dialect: the most that the cloud's calls give.
const NATIVE_PAGE: &str = "1000";
/// Files of one page in the other dialect: all that a folder can have.
const OPEN_AI_PAGE: &str = "10000";
/// A longer wait that the service asks for is left to whoever asks again.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A listing whose pages get lost is begun anew so often.
const RESTARTS_MAX: u32 = 3;
/// The waits before a change is asked for again.
const WAITS: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(2)];

/// What can be changed about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Its name on the service.
    Name(String),
    /// How many days after it was made it is removed.
    TtlDays(u64),
}

impl Change {
    fn body(&self) -> Value {
        match self {
            Change::Name(name) => json!({"updateMask": "name", "name": name}),
            Change::TtlDays(days) => json!({
                "updateMask": "expirationConfig.ttlDays",
                "expirationConfig": {"ttlDays": days.to_string()},
            }),
        }
    }

    /// What the service has made of the change: never another name; how long a file lives is left to the caller.
    fn outcome(&self, op: &'static str, file: Stored) -> Result<Stored> {
        match self {
            Change::Name(name) if file.name != *name => {
                let kept = crate::error::printable(&file.name).into_owned();
                Err(Error::new(Kind::BadName, op, format!("the service keeps the name as {kept:?}")))
            }
            Change::Name(_) | Change::TtlDays(_) => Ok(file),
        }
    }

    fn is_done(&self, file: &Stored) -> bool {
        match self {
            Change::Name(name) => file.name == *name,
            Change::TtlDays(days) => file.ttl_days == Some(*days),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NativePage {
    files: Option<Vec<Value>>,
    next_page_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenAiPage {
    data: Option<Vec<Value>>,
    last_id: Option<String>,
    has_more: Option<bool>,
}

impl Cloud {
    /// A file in an answer.
    pub(super) fn file(&self, op: &'static str, value: Value) -> Result<Stored> {
        match self.dialect() {
            Dialect::Native => answers::native(op, value),
            Dialect::OpenAi => answers::open_ai(op, value),
        }
    }

    /// One page of the folder, newest first.
    async fn page(&self, op: &'static str, cursor: Option<&str>) -> Result<Listed> {
        let one = |value| self.file(op, value);
        match self.dialect() {
            Dialect::Native => {
                let folder = self.api.identity().folder.as_str();
                let size = ("pageSize", NATIVE_PAGE);
                let from = [Some(("folderId", folder)), cursor.map(|token| ("pageToken", token))];
                let page: NativePage = self.page_of(op, size, &from).await?;
                let files = page.files.unwrap_or_default();
                // A token comes with every page that has files, the last one too.
                let next = page.next_page_token.filter(|token| !token.is_empty() && !files.is_empty());
                Ok(Listed { files: readable(files, one), next })
            }
            Dialect::OpenAi => {
                let from = [Some(("order", "desc")), cursor.map(|last| ("after", last))];
                let page: OpenAiPage = self.page_of(op, ("limit", OPEN_AI_PAGE), &from).await?;
                let values = page.data.unwrap_or_default();
                let last = page.last_id.or_else(|| Some(values.last()?.get("id")?.as_str()?.to_owned()));
                let next = last.filter(|_| page.has_more == Some(true) && !values.is_empty());
                Ok(Listed { files: readable(values, one), next })
            }
        }
    }

    /// A page of the size that is wished for, or of the service's own where it does not take the wish.
    async fn page_of<T: DeserializeOwned>(
        &self,
        op: &'static str,
        size: (&str, &str),
        from: &[Option<(&str, &str)>],
    ) -> Result<T> {
        let listing = |wish: Option<(&str, &str)>| {
            self.api.call(op, Method::Get, &[]).query(from.iter().copied().chain([wish]).flatten())
        };
        let asked = match self.takes_wishes() {
            true => self.api.exchange(|| listing(Some(size))).await,
            false => self.api.exchange(|| listing(None)).await,
        };
        let asked = match asked {
            Err(Trouble::Refused(refusal)) if refusal.is_about_the_request() && self.takes_wishes() => {
                let asked = self.api.exchange(|| listing(None)).await;
                if asked.is_ok() {
                    self.takes_no_wishes();
                }
                asked
            }
            asked => asked,
        };
        asked.map_err(|trouble| trouble.into_error(op))
    }

    /// All files of the folder.
    pub(super) async fn everything(&self, op: &'static str) -> Result<Vec<Stored>> {
        let (mut files, mut ids) = (Vec::<Stored>::new(), std::collections::HashSet::new());
        let (mut cursor, mut restarts): (Option<String>, _) = (None, 0);
        loop {
            let page = match self.page(op, cursor.as_deref()).await {
                // The file that the page was to follow may be gone.
                Err(error) if is_lost(&error) && cursor.is_some() && restarts < RESTARTS_MAX => {
                    (files, ids, cursor) = Default::default();
                    restarts += 1;
                    continue;
                }
                page => page?,
            };
            let known = files.len();
            for mut file in page.files {
                if ids.insert(file.id.clone()) {
                    file.order = -i64::try_from(files.len()).unwrap_or(i64::MAX) - 1;
                    files.push(file);
                }
            }
            match page.next {
                // One without news would come for ever.
                Some(next) if files.len() > known && cursor.as_ref() != Some(&next) => cursor = Some(next),
                Some(_) => return Err(Error::new(Kind::Protocol, op, "the service repeats a page")),
                None => return Ok(files),
            }
        }
    }

    /// The file of this id, asked afresh; `None` when there is none.
    pub(super) async fn by_id(&self, op: &'static str, id: &str) -> Result<Option<Stored>> {
        match self.api.exchange::<Value>(|| self.api.call(op, Method::Get, &[id])).await {
            Ok(value) => self.file(op, value).map(Some),
            Err(Trouble::Refused(refusal)) if refusal.is_missing() => Ok(None),
            Err(trouble) => Err(trouble.into_error(op)),
        }
    }

    /// Changes a file, and makes sure.
    ///
    /// # Errors
    /// `NotFound` when it is gone; whatever the service says.
    pub(super) async fn alter(&self, op: &'static str, id: &str, change: &Change) -> Result<Stored> {
        let (key, body) = (uuid(), change.body());
        let patch = || self.api.call(op, Method::Patch, &[id]).header(SAME_REQUEST, &key).json(&body);
        let mut waits = WAITS.iter();
        loop {
            let altered = self.api.exchange::<Value>(patch).await.map_err(|trouble| trouble.into_error(op));
            let error = match altered.and_then(|value| self.file(op, value)) {
                Ok(file) => return change.outcome(op, file),
                Err(error) if error.retry == Retry::Never && error.kind != Kind::Protocol => return Err(error),
                Err(error) => error,
            };
            match self.by_id(op, id).await {
                Ok(Some(file)) if change.is_done(&file) => return Ok(file),
                Ok(None) => return Err(gone(op)),
                // Not done, or not known: doing it twice is doing it once.
                Ok(Some(_)) | Err(_) => {}
            }
            match waits.next().filter(|_| asked(&error) <= WAIT_MAX) {
                Some(wait) => tokio::time::sleep(asked(&error).max(*wait)).await,
                None => return Err(error),
            }
        }
    }

    /// Removes a file, and makes sure.
    ///
    /// # Errors
    /// `NotFound` when it was gone before; whatever the service says; in doubt when nobody knows.
    pub(super) async fn delete(&self, op: &'static str, id: &str) -> Result<()> {
        let key = uuid();
        let mut waits = WAITS.iter();
        loop {
            let is_first = waits.len() == WAITS.len();
            let error = match self
                .api
                .exchange::<Value>(|| self.api.call(op, Method::Delete, &[id]).header(SAME_REQUEST, &key))
                .await
            {
                Ok(_) => return Ok(()),
                Err(Trouble::Refused(refusal)) if refusal.is_missing() => {
                    return if is_first { Err(gone(op)) } else { Ok(()) };
                }
                Err(trouble) => trouble.into_error(op),
            };
            if error.retry == Retry::Never {
                return Err(error);
            }
            if let Ok(None) = self.by_id(op, id).await {
                return Ok(());
            }
            match waits.next().filter(|_| asked(&error) <= WAIT_MAX) {
                Some(wait) => tokio::time::sleep(asked(&error).max(*wait)).await,
                None => return Err(error),
            }
        }
    }
}

/// Whether a page cannot be had because of what it was to follow.
fn is_lost(error: &Error) -> bool {
    matches!(error.kind, Kind::Invalid | Kind::NotFound)
}

/// How long the service asks to wait.
fn asked(error: &Error) -> Duration {
    match error.retry {
        Retry::After(wait) => wait,
        Retry::Never | Retry::AskFirst => Duration::ZERO,
    }
}

/// Somebody else was quicker.
pub(super) fn gone(op: &'static str) -> Error {
    Error::new(Kind::NotFound, op, "the file is not there any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_what_it_changes() {
        let name = Change::Name("a/b".to_owned());
        assert_eq!(name.body(), json!({"updateMask": "name", "name": "a/b"}));
        let life = Change::TtlDays(90).body();
        assert_eq!(life["updateMask"], "expirationConfig.ttlDays");
        assert_eq!(life["expirationConfig"]["ttlDays"], "90", "whole numbers of 64 bits are text");
    }
}
