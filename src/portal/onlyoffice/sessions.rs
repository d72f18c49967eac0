//! Opening upload sessions: for a folder and a title, or for a file.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::calls::FolderName;
use super::dates;
use super::envelope::Reply;
use super::errors::{Failure, Message};
use super::fields::Fields;
use super::metadata::folder_id;
use super::office::Office;
use super::server::{Asked, Server};
use super::session::{Session, is_chunked};
use super::titles;
use crate::portal::faults::Injection;

/// What a session is opened for.
struct Order<'a> {
    title: &'a str,
    bytes: i64,
    /// Folders below the one that was named, made where they are missing.
    below: &'a str,
    created_on: Option<OffsetDateTime>,
    encrypted: bool,
    /// Whether a file of the same title stays beside the new one.
    keeps_other: bool,
}

impl Server {
    pub(super) async fn create_session(
        &self,
        asked: &Asked,
        folder: &FolderName,
        wrapped: bool,
        fields: &Fields,
    ) -> Result<Reply, Failure> {
        if let FolderName::Section(section) = folder {
            self.violation(asked, format!("a session in {section}, which is no number"));
            return Err(Failure::FolderMissing);
        }
        let folder = folder_id(folder).ok_or(Failure::FolderMissing)?;
        let order = self.order(asked, fields)?;
        let data = self.change(|office| office.open(asked, folder, &order)).await??;
        // The newer call has no wrapper.
        Ok(Reply::of(if wrapped { json!({"success": true, "data": data}) } else { data }))
    }

    fn order<'a>(&self, asked: &Asked, fields: &'a Fields) -> Result<Order<'a>, Failure> {
        let title = fields.text("fileName").filter(|title| !title.trim().is_empty());
        let title =
            title.ok_or(Failure::Validation { field: "FileName", reason: "The FileName field is required." })?;
        let is_docspace = !self.version.is_community();
        let bytes = match fields.get("fileSize") {
            None => 0,
            Some(_) => fields.number("fileSize").ok_or(Failure::Validation {
                field: "$.fileSize",
                reason: "The JSON value could not be converted to System.Int64.",
            })?,
        };
        if bytes < 0 {
            self.violation(asked, format!("a size of {bytes}"));
        }
        let created_on = match fields.get("createOn").filter(|_| is_docspace) {
            None => None,
            Some(value) => {
                let date = value.as_str().and_then(dates::read);
                if date.is_none() {
                    self.violation(asked, format!("createOn is {value}, and must be a date as a text"));
                }
                let reason = "The JSON value could not be converted to ASC.Api.Core.ApiDateTime.";
                Some(date.ok_or(Failure::Validation { field: "$.createOn", reason })?)
            }
        };
        let keeps_other = self.keeps_other(asked, fields);
        let encrypted = fields.flag("encrypted").unwrap_or(false);
        let below = fields.text("relativePath").unwrap_or_default();
        Ok(Order { title, bytes, below, created_on, encrypted, keeps_other })
    }

    /// Whether a file of the same title stays: a parameter, or, before there was one, a setting of the user.
    pub(super) fn keeps_other(&self, asked: &Asked, fields: &Fields) -> bool {
        match self.version.has_create_new_if_exist() {
            true => fields.flag("createNewIfExist").unwrap_or(false),
            false => !self.office().replacers.contains(asked.user()),
        }
    }

    pub(super) async fn edit_session(&self, asked: &Asked, file: u64, fields: &Fields) -> Result<Reply, Failure> {
        // DocSpace reads the size from the query alone.
        let source = if self.version.is_community() { fields } else { &asked.query };
        let Some(bytes) = source.number("fileSize") else {
            self.violation(asked, "an edit session without a size in the query");
            return Err(Failure::Validation { field: "fileSize", reason: "The fileSize field is required." });
        };
        let data = self.change(|office| office.open_for_edit(asked, file, bytes)).await??;
        Ok(Reply::of(json!({"success": true, "data": data})))
    }

    /// The session that the upload handler opens by itself.
    pub(super) async fn initiate(&self, asked: &Asked) -> Result<Value, Failure> {
        let query = &asked.query;
        let folder = query.number("folderid").and_then(|id| u64::try_from(id).ok()).unwrap_or(0);
        let order = Order {
            title: query.text("filetitle").unwrap_or_default(),
            bytes: query.number("fileSize").unwrap_or(0),
            below: "",
            created_on: None,
            encrypted: query.flag("encrypted").unwrap_or(false),
            keeps_other: true,
        };
        self.change(|office| office.open(asked, folder, &order)).await?
    }
}

impl Office {
    fn open(&mut self, asked: &Asked, folder: u64, order: &Order<'_>) -> Result<Value, Failure> {
        let (settings, now) = (&asked.settings, asked.now);
        let title = titles::sanitize(order.title);
        let extension = titles::extension(&title).to_lowercase();
        if !settings.extensions.is_empty() && !settings.extensions.contains(&extension) {
            return Err(Failure::NotSupported(Message::Format));
        }
        if self.tree.folder(folder).is_none() {
            return Err(Failure::FolderMissing);
        }
        self.check_create(asked, folder)?;
        self.check_size(order.bytes, settings)?;
        let folder = self.folder_below(folder, order.below, asked);
        let other = self.tree.file_titled(folder, &title, settings.collation);
        // One that may not be changed is left alone, and gets a twin, without a word.
        let replaced = other.filter(|file| !order.keeps_other && self.may_edit(asked, file)).map(|file| file.id);
        let title = match other {
            Some(_) if order.keeps_other && self.version.appends_numbers() => self.free_title(folder, &title, asked),
            _ => title,
        };
        let session = Session {
            file: replaced,
            encrypted: order.encrypted,
            created_on: order.created_on,
            ..new_session(asked, folder, title, order.bytes)
        };
        let data = asked.view().opened(&self.tree, &session);
        self.lose_expired(settings.storage, now);
        self.add_session(session);
        Ok(data)
    }

    fn open_for_edit(&mut self, asked: &Asked, id: u64, bytes: i64) -> Result<Value, Failure> {
        let file = self.tree.file(id).ok_or(Failure::FileMissing)?;
        self.check_size(bytes, &asked.settings)?;
        if !self.may_edit(asked, file) {
            let locked = self.is_locked(asked, file);
            return Err(Failure::Security(if locked { Message::Locked } else { Message::NoEdit }));
        }
        let session = Session {
            file: Some(id),
            keeps_version: true,
            ..new_session(asked, file.folder, file.title.clone(), bytes)
        };
        let data = asked.view().opened(&self.tree, &session);
        self.lose_expired(asked.settings.storage, asked.now);
        self.add_session(session);
        Ok(data)
    }

    /// The folder at the end of a path below `folder`; an empty segment ends the path.
    fn folder_below(&mut self, mut folder: u64, path: &str, asked: &Asked) -> u64 {
        let now = dates::to_seconds(asked.now);
        for segment in path.split('/').map(titles::sanitize).take_while(|segment| !segment.is_empty()) {
            let found = self.tree.folder_titled(folder, &segment, asked.settings.collation).map(|folder| folder.id);
            folder = match found {
                Some(found) => found,
                None => self.tree.make_folder(folder, &segment, now, &mut self.journal),
            };
        }
        folder
    }

    /// The first title with a number that the folder does not have.
    fn free_title(&self, folder: u64, title: &str, asked: &Asked) -> String {
        let is_taken = |title: &String| self.tree.file_titled(folder, title, asked.settings.collation).is_some();
        let mut candidates = (1..).map(|number| titles::numbered(title, number));
        candidates.find(|title| !is_taken(title)).expect("a folder does not have every title")
    }
}

fn new_session(asked: &Asked, folder: u64, title: String, total: i64) -> Session {
    Session {
        id: format!("{:032x}", fastrand::u128(..)),
        user: asked.who.name().map(str::to_owned),
        folder,
        file: None,
        title,
        total,
        chunked: is_chunked(total, asked.settings.chunk_bytes),
        created: asked.now,
        touched: asked.now,
        keeps_version: false,
        encrypted: false,
        created_on: None,
        uploaded: 0,
        counter: 0,
        entries: Default::default(),
        objects: Default::default(),
        commits: 0,
        abandoned: false,
        writing: Default::default(),
        plain_under_way: 0,
        in_doubt: false,
    }
}

impl Server {
    /// A fault: the session of this request is gone.
    pub(super) async fn play_lost_session(&self, asked: &Asked, session: &str) -> Result<(), Failure> {
        if asked.injections.has(Injection::LostSession) {
            let storage = asked.settings.storage;
            self.change(|office| office.lose_session(session, storage)).await?;
        }
        Ok(())
    }
}
