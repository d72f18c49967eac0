//! Calls that look at entries or change one of them: listings, information, folders, renames, locks.

use std::sync::Arc;

use serde_json::{Value, json};

use super::calls::{Call, FolderName};
use super::dates;
use super::envelope::Reply;
use super::errors::{Failure, Message};
use super::fields::Fields;
use super::listing::Page;
use super::office::Office;
use super::server::{Asked, Server};
use super::titles;
use super::tree::{COMMON, File, MY, ROOMS, Revision, SECTIONS, TRASH};
use crate::portal::faults::Injection;

impl Server {
    /// Any call that is not an upload.
    pub(super) async fn call(self: &Arc<Self>, asked: &Asked, fields: &Fields) -> Result<Reply, Failure> {
        match &asked.call {
            Call::Version => Ok(self.versions()),
            Call::Settings => Ok(Reply::of(self.files_settings(asked))),
            Call::SignIn => self.sign_in(asked, fields).await,
            Call::SecondFactor(code) => self.sign_in_again(asked, fields, code).await,
            Call::SignOut => self.sign_out(asked).await,
            Call::Operate(_) | Call::DeleteFile(_) | Call::DeleteFolder(_) => self.operate(asked, fields).await,
            Call::Operations => Ok(self.operations(asked)),
            Call::CreateSession { folder, wrapped } => self.create_session(asked, folder, *wrapped, fields).await,
            Call::EditSession(file) => self.edit_session(asked, *file, fields).await,
            _ => {
                self.inspect(asked, fields);
                self.change(|office| office.metadata(asked, fields)).await?
            }
        }
    }

    fn versions(&self) -> Reply {
        let name = if self.version.is_community() { "communityServer" } else { "docSpace" };
        Reply::of(json!({name: self.version.to_string()}))
    }

    fn files_settings(&self, asked: &Asked) -> Value {
        let mut settings = json!({"storeOriginalFiles": true, "confirmDelete": true, "maxUploadThreadCount": 15});
        if self.version.numbers_chunks() || asked.settings.g1_tells_chunk_size {
            settings["chunkUploadSize"] = json!(asked.settings.chunk_bytes);
        }
        settings
    }

    /// Notes what the call will be refused for, where a client should know better.
    fn inspect(&self, asked: &Asked, fields: &Fields) {
        match &asked.call {
            Call::List(_) if Page::is_too_large(self.version, &asked.query) => {
                self.violation(asked, "a page of more than 100 entries");
            }
            Call::MakeFolder(_) | Call::RenameFolder(_) | Call::RenameFile(_)
                if fields.text("title").is_some_and(titles::is_too_long) =>
            {
                self.violation(asked, "a title of more than 165 characters");
            }
            _ => {}
        }
    }
}

/// The number of a folder as an address names it.
pub(super) fn folder_id(name: &FolderName) -> Option<u64> {
    match name {
        FolderName::Id(id) => Some(*id),
        FolderName::Section(section) => SECTIONS.iter().find(|(_, name, ..)| name == section).map(|(id, ..)| *id),
    }
}

impl Office {
    fn metadata(&mut self, asked: &Asked, fields: &Fields) -> Result<Reply, Failure> {
        match &asked.call {
            Call::Me => Ok(Reply::of(me(asked.user()))),
            Call::UpdateIfExist => Ok(self.set_update_if_exist(asked, fields)),
            Call::Roots => {
                let page = Page::read(self.version, &asked.query)?;
                let roots = SECTIONS.iter().filter(|(id, ..)| *id != ROOMS || !self.version.is_community());
                Ok(Reply::of(roots.map(|(id, ..)| self.content(asked, *id, &page)).collect()))
            }
            Call::Rooms => self.list(asked, ROOMS),
            Call::List(name) => self.list(asked, folder_id(name).ok_or(Failure::Missing(Message::FolderNotFound))?),
            Call::FolderInfo(id) => self.folder_info(asked, *id),
            Call::MakeFolder(parent) => self.make_folder(asked, *parent, fields),
            Call::RenameFolder(id) => self.rename_folder(asked, *id, fields),
            Call::FileInfo(id) => self.file_info(asked, *id),
            Call::History(id) => self.history(asked, *id),
            Call::RenameFile(id) => self.rename_file(asked, *id, fields),
            Call::CopyAs(id) => self.copy_as(asked, *id, fields),
            Call::Lock(id) => self.lock(asked, *id, fields),
            Call::UploadCheck(folder) => Ok(self.upload_check(asked, *folder, fields)),
            other => unreachable!("{other:?} is not answered here"),
        }
    }

    fn set_update_if_exist(&mut self, asked: &Asked, fields: &Fields) -> Reply {
        let set = fields.flag("set").unwrap_or(false);
        self.set_replacer(asked.user(), set);
        Reply::of(json!(set))
    }

    fn list(&self, asked: &Asked, folder: u64) -> Result<Reply, Failure> {
        let page = Page::read(self.version, &asked.query)?;
        if self.tree.folder(folder).is_none() {
            return Err(self.no_entry(Message::FolderNotFound));
        }
        Ok(Reply::of(self.content(asked, folder, &page)))
    }

    /// What a missing entry is to whoever looks: CommunityServer says that there is no right to see it.
    fn no_entry(&self, message: Message) -> Failure {
        if self.version.is_community() { Failure::Security(Message::NoView) } else { Failure::Missing(message) }
    }

    fn content(&self, asked: &Asked, folder: u64, page: &Page) -> Value {
        let view = asked.view();
        let listed = page.list(&self.tree, folder);
        let files: Vec<Value> = listed.files.iter().map(|file| view.file(&self.tree, file)).collect();
        let folders: Vec<Value> = listed.folders.iter().map(|folder| view.folder(&self.tree, folder)).collect();
        let count = files.len() + folders.len();
        json!({
            "files": files,
            "folders": folders,
            "current": self.tree.folder(folder).map(|folder| view.folder(&self.tree, folder)),
            "pathParts": view.path_parts(&self.tree, folder),
            "startIndex": listed.start,
            "count": count,
            "total": listed.total,
            "new": 0,
        })
    }

    fn folder_info(&self, asked: &Asked, id: u64) -> Result<Reply, Failure> {
        match self.tree.folder(id) {
            Some(folder) => Ok(Reply::of(asked.view().folder(&self.tree, folder))),
            None if self.version.folder_info_tells_missing() => Err(Failure::Missing(Message::FolderNotFound)),
            None => Err(Failure::Security(Message::NoView)),
        }
    }

    fn make_folder(&mut self, asked: &Asked, parent: u64, fields: &Fields) -> Result<Reply, Failure> {
        let title = given_title(fields)?;
        if self.tree.folder(parent).is_none() {
            return Err(Failure::InvalidOperation(Message::FolderNotFound));
        }
        self.check_create(asked, parent)?;
        // Nothing asks whether there is one of this title.
        let id = self.tree.make_folder(parent, &title, dates::to_seconds(asked.now), &mut self.journal);
        self.folder_info(asked, id)
    }

    /// Whether files and folders may be made in a folder that exists.
    pub(super) fn check_create(&self, asked: &Asked, folder: u64) -> Result<(), Failure> {
        let section = self.tree.section(folder);
        let takes = match section {
            MY | COMMON => true,
            // The list of rooms has rooms only.
            ROOMS => folder != ROOMS,
            _ => false,
        };
        if takes && asked.may_write() { Ok(()) } else { Err(Failure::Security(Message::NoCreate)) }
    }

    fn rename_folder(&mut self, asked: &Asked, id: u64, fields: &Fields) -> Result<Reply, Failure> {
        let title = given_title(fields)?;
        match self.tree.folder(id) {
            None => return Err(self.no_entry(Message::FolderNotFound)),
            Some(folder) if folder.parent == 0 => return Err(Failure::Security(Message::NoEdit)),
            Some(_) => self.check_create(asked, id)?,
        }
        let now = dates::to_seconds(asked.now);
        self.tree.change_folder(id, &mut self.journal, |folder| {
            folder.title = title;
            folder.updated = now;
        });
        self.folder_info(asked, id)
    }

    /// The file, wherever it is: one in the trash still answers.
    pub(super) fn existing(&self, id: u64) -> Result<&File, Failure> {
        self.tree.file(id).ok_or_else(|| self.no_entry(Message::FileNotFound))
    }

    fn file_info(&self, asked: &Asked, id: u64) -> Result<Reply, Failure> {
        let file = self.existing(id)?;
        let revision = match asked.query.number("version").filter(|version| *version > 0) {
            None => file.current(),
            Some(version) => {
                let version = u32::try_from(version).ok().and_then(|version| file.revision(version));
                version.ok_or_else(|| self.no_entry(Message::FileNotFound))?
            }
        };
        Ok(Reply::of(asked.view().revision(&self.tree, file, revision)))
    }

    fn history(&self, asked: &Asked, id: u64) -> Result<Reply, Failure> {
        let (file, view) = (self.existing(id)?, asked.view());
        let newest_first = file.revisions.iter().rev();
        Ok(Reply::of(newest_first.map(|revision| view.revision(&self.tree, file, revision)).collect()))
    }

    /// Whether this user may change the file's content or title.
    pub(super) fn may_edit(&self, asked: &Asked, file: &File) -> bool {
        !self.is_locked(asked, file) && self.tree.section(file.folder) != TRASH && asked.may_write()
    }

    /// Whether somebody else has locked it.
    pub(super) fn is_locked(&self, asked: &Asked, file: &File) -> bool {
        let by_other = file.locked_by.as_deref().is_some_and(|user| user != asked.user());
        by_other || asked.injections.has(Injection::Locked)
    }

    fn rename_file(&mut self, asked: &Asked, id: u64, fields: &Fields) -> Result<Reply, Failure> {
        let file = self.existing(id)?;
        if self.is_locked(asked, file) {
            return Err(match self.version.rename_of_locked_is_a_fault() {
                true => Failure::Fault(Message::Locked),
                false => Failure::InvalidOperation(Message::Locked),
            });
        }
        if !self.may_edit(asked, file) {
            return Err(Failure::Security(Message::NoEdit));
        }
        let version = fields.number("lastVersion").and_then(|version| u32::try_from(version).ok()).unwrap_or(0);
        let restored = match version {
            0 => None,
            version => Some(file.revision(version).cloned().ok_or(Failure::FileMissing)?),
        };
        let title = match fields.text("title").filter(|title| !title.is_empty()) {
            None => None,
            Some(_) => Some(titles::renamed(&file.title, &given_title(fields)?)),
        };
        let now = dates::to_seconds(asked.now);
        self.tree.change_file(id, &mut self.journal, |file, journal| {
            file.title = title.unwrap_or_else(|| file.title.clone());
            if let Some(restored) = restored {
                journal.hold(&restored.content);
                let version = file.current().version + 1;
                file.revisions.push(Revision {
                    version,
                    updated: now,
                    by: asked.who.name().map(str::to_owned),
                    ..restored
                });
            }
        });
        self.renamed(asked, id)
    }

    fn renamed(&self, asked: &Asked, id: u64) -> Result<Reply, Failure> {
        Ok(Reply::of(asked.view().file(&self.tree, self.existing(id)?)))
    }

    /// A copy under another title, extension included. Formats that a real portal would convert are copied, too.
    fn copy_as(&mut self, asked: &Asked, id: u64, fields: &Fields) -> Result<Reply, Failure> {
        let source = self.existing(id)?.current().clone();
        let title = fields.text("destTitle").ok_or(Failure::Argument(Message::Fixed("destTitle")))?;
        let title = titles::saved(&titles::sanitize(title));
        let folder = fields.number("destFolderId").and_then(|id| u64::try_from(id).ok());
        let folder = folder.filter(|id| self.tree.folder(*id).is_some()).ok_or(Failure::FolderMissing)?;
        self.check_create(asked, folder)?;
        let now = dates::to_seconds(asked.now);
        self.journal.hold(&source.content);
        let id = self.tree.next_id(&mut self.journal);
        let by = asked.who.name().map(str::to_owned);
        let revisions = vec![Revision { version: 1, updated: now, by, ..source }];
        let file = File { id, folder, title, created: now, locked_by: None, encrypted: false, revisions };
        self.tree.add_file(file, &mut self.journal);
        self.renamed(asked, id)
    }

    fn lock(&mut self, asked: &Asked, id: u64, fields: &Fields) -> Result<Reply, Failure> {
        let file = self.existing(id)?;
        if self.is_locked(asked, file) || !asked.may_write() {
            return Err(Failure::Security(Message::NoEdit));
        }
        let by = fields.flag("lockFile").unwrap_or(false).then(|| asked.user().to_owned());
        self.tree.change_file(id, &mut self.journal, |file, _| file.locked_by = by);
        self.renamed(asked, id)
    }

    /// The titles of a list that the folder has.
    fn upload_check(&self, asked: &Asked, folder: u64, fields: &Fields) -> Reply {
        let collation = asked.settings.collation;
        let mut titles = fields.texts("filesTitle");
        titles.retain(|title| self.tree.file_titled(folder, title, collation).is_some());
        Reply::of(json!(titles))
    }
}

/// The title of a folder or a rename.
fn given_title(fields: &Fields) -> Result<String, Failure> {
    let title = fields.text("title").unwrap_or_default();
    if title.trim().is_empty() {
        return Err(Failure::Argument(Message::Fixed("title")));
    }
    if titles::is_too_long(title) {
        return Err(Failure::Argument(Message::TitleTooLong));
    }
    Ok(titles::sanitize(title))
}

/// The user.
fn me(user: &str) -> Value {
    json!({
        "id": person(user),
        "userName": user.split('@').next(),
        "displayName": user,
        "email": user,
        "isAdmin": false,
    })
}

/// The id of a user. Whatever identifies them: real portals have a GUID that clients do not look into.
pub(super) fn person(user: &str) -> String {
    let number: u64 = user.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    format!("00000000-0000-0000-{:04x}-{:012x}", number >> 48, number & 0xffff_ffff_ffff)
}
