//! The one road of a file to the service: a request that carries all of it. What the vendor leaves open, which types,
//! lifetimes, sizes and empty files are taken, is learned from refusals, each of which costs one more request at most.

use std::time::Duration;

use serde_json::{Value, json};

use super::answers::Stored;
use super::api::{SAME_REQUEST, Trouble, uuid};
use super::attempts::Attempt;
use super::body::{self, Seal};
use super::catalog::Found;
use super::codes::Refusal;
use super::{Cloud, Dialect, FILE_SAFE};
use crate::error::{Error, Kind, Result, Retry};
use crate::http::{Method, Multipart};
use crate::service::call::{Call, JSON};
use crate::service::{Node, Payload, Spec};

/// The operation, in errors.
pub(super) const OP: &str = "upload";
/// How long the service may take to answer after the last byte, whatever the size.
const ANSWER_BASE: Duration = Duration::from_secs(60);
/// And for each MiB: it decodes the file and stores it first.
const ANSWER_PER_MIB: Duration = Duration::from_secs(1);
/// What files are for, in the other dialect: any of its words would do, and this is the one the vendor's guide uses.
const PURPOSE: &str = "assistants";

/// Types that the vendor names, by extension; of any other the service finds out by itself.
const TYPES: [(&str, &str); 10] = [
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("json", "application/json"),
    ("pdf", "application/pdf"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];

/// What is said about a file when it is created.
struct About<'a> {
    attempt: &'a Attempt,
    kind: Option<&'static str>,
    /// Days that the file lives.
    days: u64,
    /// The name of the request.
    key: String,
}

impl Cloud {
    /// Uploads a file.
    pub(super) async fn upload(&self, spec: &Spec, payload: &Payload) -> Result<Node> {
        let size = payload.len();
        if spec.size.is_some_and(|said| said != size) || payload.range().start != 0 {
            return Err(Error::new(Kind::Invalid, OP, "one request carries the whole file"));
        }
        if size > self.file_max() {
            let what = format!("the file has {size} bytes, the service takes at most {}", self.file_max());
            return Err(Error::new(Kind::TooLarge, OP, what));
        }
        let attempt = self.plan(spec, size).await?;
        let path = spec.path.as_str();
        self.attempts.begin(path, attempt.clone());
        match self.create(&attempt, payload).await {
            Ok(file) => self.accept(&spec.path, &attempt, file).await,
            Err(error) if error.in_doubt() => {
                self.doubts.note(path);
                Err(error)
            }
            Err(error) => {
                self.attempts.refused(path, &attempt.upload);
                Err(error)
            }
        }
    }

    /// Looks where the file goes, and what it replaces.
    async fn plan(&self, spec: &Spec, size: u64) -> Result<Attempt> {
        match self.has_labels() {
            true => self.known(OP).await?,
            // What was there before is how a file is recognised, should the answer be lost.
            false => drop(self.list_now(OP).await?),
        }
        self.check_parent(OP, &spec.path)?;
        let shown = match self.catalog.find(&spec.path) {
            Some(Found::Directory(_)) => {
                return Err(Error::new(Kind::IsDirectory, OP, format!("{} is a directory", spec.path)));
            }
            Some(Found::File(file)) => Some(file),
            None => None,
        };
        let twins = self.catalog.twins(&spec.path);
        let opened = spec.replaces.as_ref().and_then(|node| twins.iter().find(|twin| twin.id == node.id)).cloned();
        // What the program has opened, while it is there: what somebody else has put beside it since is not its to remove.
        let last = self.attempts.last(spec.path.as_str());
        let is_ours = |file: &Stored| last.as_ref().is_some_and(|last| last.may_have_made(file, self.has_labels()));
        let shown = shown.filter(|file| opened.is_none() || is_ours(file));
        let mut old: Vec<(String, String)> = Vec::new();
        for file in shown.into_iter().chain(opened) {
            if old.iter().all(|(id, _)| *id != file.id) {
                old.push((file.id.clone(), file.name.clone()));
            }
        }
        Ok(Attempt {
            upload: uuid(),
            name: self.catalog.stored_name(&spec.path),
            size,
            old,
            before: twins.iter().map(|twin| twin.id.clone()).collect(),
            seal: Seal::default(),
            made: None,
            is_settled: false,
        })
    }

    /// Makes the file.
    async fn create(&self, attempt: &Attempt, payload: &Payload) -> Result<Stored> {
        let mut kind = type_of(&attempt.name).filter(|_| self.dialect() == Dialect::Native);
        loop {
            let days = self.lifetimes.of_a_new_file();
            // Another name than the one before: what was refused is not to be recognised.
            let about = About { attempt, kind, days, key: uuid() };
            let refusal = match self.api.exchange::<Value>(|| self.creation(&about, payload)).await {
                Ok(value) => return self.file(OP, value).map_err(|error| error.retry(Retry::AskFirst)),
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Refused(refusal)) => refusal,
            };
            let may_be_about_type = refusal.is_about_type() || refusal.is_about_the_request();
            if kind.is_some() && may_be_about_type && !refusal.is_about_lifetime() {
                tracing::debug!(?kind, "the service does not take the type: sending the file without one");
                kind = None;
            } else if !(refusal.is_about_lifetime() && self.lifetimes.is_refused(days)) {
                return Err(self.refused(attempt, refusal));
            }
        }
    }

    /// The request that makes a file.
    fn creation(&self, about: &About<'_>, payload: &Payload) -> Call {
        let (attempt, days) = (about.attempt, about.days);
        let mib = u32::try_from(payload.len() >> 20).unwrap_or(u32::MAX);
        let call = self.api.call(OP, Method::Post, &[]).header(SAME_REQUEST, &about.key);
        let call = call.answer_within(ANSWER_BASE + ANSWER_PER_MIB * mib);
        match self.dialect() {
            Dialect::Native => {
                let mut file = json!({
                    "folderId": self.api.identity().folder,
                    "name": attempt.name,
                    // Never shorter than the other policy: use puts the end off, if it does anything.
                    "expirationConfig": {"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": days.to_string()},
                });
                if let Some(kind) = about.kind {
                    file["mimeType"] = kind.into();
                }
                call.header("content-type", JSON).body(body::json(&file, payload, &attempt.upload, &attempt.seal))
            }
            Dialect::OpenAi => {
                let seconds = (days * 86_400).to_string();
                let form = Multipart::default()
                    .text("purpose", PURPOSE)
                    .text("expires_after[anchor]", "created_at")
                    .text("expires_after[seconds]", &seconds);
                let content = body::sealed(payload, &attempt.seal);
                call.body(form.file("file", &attempt.name, content, payload.len()))
            }
        }
    }

    /// What a refusal to make a file means.
    pub(super) fn refused(&self, attempt: &Attempt, refusal: Refusal) -> Error {
        if attempt.size == 0 && refusal.may_be_about_emptiness() {
            self.takes_no_empty_files();
            // Asked again, it hears that such files stay here.
            let error = refusal.into_error(OP).kind(Kind::Unsupported);
            return error.retry(Retry::After(Duration::ZERO));
        }
        if attempt.size > FILE_SAFE && refusal.may_be_about_size() {
            self.takes_no_more_than(FILE_SAFE);
            let hint = "the service takes 128,000,000 bytes at most: leave file_max out of the configuration";
            return refusal.into_error(OP).kind(Kind::TooLarge).retry(Retry::Never).hint(hint);
        }
        refusal.into_error(OP)
    }
}

/// The type of a file, by the extension of its name.
fn type_of(name: &str) -> Option<&'static str> {
    let extension = crate::path::extension(name.rsplit('/').next()?)?;
    TYPES.iter().find(|(known, _)| *known == extension).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_the_vendor_names_are_declared() {
        assert_eq!(type_of("a/b/Report.PDF"), Some("application/pdf"));
        assert_eq!(type_of("notes.md"), Some("text/markdown"));
        for name in ["a.zip", "a.bin", "README", "a.pdf/b", ".txt"] {
            assert_eq!(type_of(name), None, "{name}");
        }
    }
}
