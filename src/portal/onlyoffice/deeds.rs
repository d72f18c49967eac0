//! Moving, copying and deleting: asked for, queued, done a moment later, and reported by polling.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::calls::{Call, Deed};
use super::config::{Collation, Language};
use super::dates;
use super::envelope::Reply;
use super::errors::{Failure, Message};
use super::fields::Fields;
use super::office::Office;
use super::operations::Operation;
use super::server::{Asked, Server};
use super::tree::{File, Revision, TRASH};
use crate::portal::faults::Injection;

/// What to do where a title is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conflict {
    Skip,
    Overwrite,
    Duplicate,
}

/// What is to be done.
#[derive(Clone, Debug)]
struct Task {
    deed: Deed,
    files: Vec<u64>,
    folders: Vec<u64>,
    /// Where to; 0 for a deletion.
    target: u64,
    conflict: Conflict,
    /// Without the detour through the trash.
    immediately: bool,
    collation: Collation,
    user: String,
    may_write: bool,
    language: Language,
    /// A fault: every file is locked.
    locked: bool,
    now: OffsetDateTime,
}

impl Server {
    /// Queues an operation, and answers the list.
    pub(super) async fn operate(self: &Arc<Self>, asked: &Asked, fields: &Fields) -> Result<Reply, Failure> {
        let task = task(asked, fields)?;
        if self.version.checks_operations_first() {
            self.office().check(&task)?;
        }
        let id = format!("{:032x}", fastrand::u128(..));
        let held = !fields.flag("deleteAfter").unwrap_or(false);
        let shown = {
            let mut office = self.office();
            let (user, files, folders) = (task.user.clone(), task.files.clone(), task.folders.clone());
            let operation = Operation { id: id.clone(), user, deed: task.deed, outcome: None, held, files, folders };
            office.operations.add(operation);
            // Only the new one where that is asked for; else all, which uses up the reports of those that are over.
            let single = fields.flag("returnSingleOperation").or(asked.query.flag("returnSingleOperation"));
            let only = single.unwrap_or(false).then_some(id.as_str());
            office.operations.report(asked.user(), only)
        };
        let (server, time) = (self.clone(), asked.settings.operation_time());
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            let done = server.change(|office| office.perform(&id, &task)).await;
            if let Err(error) = done {
                tracing::error!(%error, "an operation was not kept");
            }
        });
        Ok(Reply::of(shown.iter().map(|operation| operation.show(self.version)).collect()))
    }

    /// The list.
    pub(super) fn operations(&self, asked: &Asked) -> Reply {
        let id = asked.query.text("id").filter(|_| !self.version.is_community());
        let report = self.office().operations.report(asked.user(), id);
        Reply::of(Value::Array(report.iter().map(|operation| operation.show(self.version)).collect()))
    }
}

fn task(asked: &Asked, fields: &Fields) -> Result<Task, Failure> {
    let (deed, files, folders) = match asked.call {
        Call::DeleteFile(id) => (Deed::Delete, vec![id], Vec::new()),
        Call::DeleteFolder(id) => (Deed::Delete, Vec::new(), vec![id]),
        Call::Operate(deed) => (deed, fields.ids("fileIds"), fields.ids("folderIds")),
        ref other => unreachable!("{other:?} is no operation"),
    };
    let target = fields.number("destFolderId").and_then(|id| u64::try_from(id).ok());
    let conflict = conflict(fields).ok_or(Failure::Argument(Message::Fixed("conflictResolveType")))?;
    let target = match deed {
        Deed::Delete => 0,
        Deed::Move | Deed::Copy => target.ok_or(Failure::Argument(Message::Fixed("destFolderId")))?,
    };
    Ok(Task {
        deed,
        files,
        folders,
        target,
        conflict,
        immediately: fields.flag("immediately").unwrap_or(false),
        collation: asked.settings.collation,
        user: asked.user().to_owned(),
        may_write: asked.may_write(),
        language: asked.settings.language,
        locked: asked.injections.has(Injection::Locked),
        now: dates::to_seconds(asked.now),
    })
}

/// What to do where a title is taken: a number, or its name, as the vendor's SDK sends it.
fn conflict(fields: &Fields) -> Option<Conflict> {
    let name = fields.text("conflictResolveType").map(str::to_lowercase);
    match (fields.number("conflictResolveType"), name.as_deref()) {
        (None, None) | (Some(0), _) | (_, Some("skip")) => Some(Conflict::Skip),
        (Some(1), _) | (_, Some("overwrite")) => Some(Conflict::Overwrite),
        (Some(2), _) | (_, Some("duplicate")) => Some(Conflict::Duplicate),
        _ => None,
    }
}

impl Office {
    /// What DocSpace 3.7 refuses before it queues.
    fn check(&self, task: &Task) -> Result<(), Failure> {
        if !task.may_write {
            return Err(Failure::Security(Message::NoDelete));
        }
        for file in &task.files {
            let file = self.tree.file(*file).ok_or(Failure::FileMissing)?;
            if task.deed != Deed::Copy && is_locked(task, file) {
                return Err(Failure::Security(Message::Locked));
            }
        }
        if task.folders.iter().any(|folder| self.tree.folder(*folder).is_none()) {
            return Err(Failure::FolderMissing);
        }
        if task.deed != Deed::Delete && self.tree.folder(task.target).is_none() {
            return Err(Failure::FolderMissing);
        }
        Ok(())
    }

    /// Does it, and notes how it ended. What can be done is done, whatever else fails.
    fn perform(&mut self, id: &str, task: &Task) {
        let mut outcome = String::new();
        for file in &task.files {
            if let Err(message) = self.perform_on_file(*file, task.target, task) {
                outcome = message.text(task.language);
            }
        }
        for folder in &task.folders {
            if let Err(message) = self.perform_on_folder(*folder, task.target, task) {
                outcome = message.text(task.language);
            }
        }
        self.operations.finish(id, outcome);
    }

    fn perform_on_file(&mut self, id: u64, target: u64, task: &Task) -> Result<(), Message> {
        let file = self.tree.file(id).ok_or(Message::FileNotFound)?;
        if !task.may_write {
            return Err(Message::NoDelete);
        }
        if task.deed != Deed::Copy && is_locked(task, file) {
            return Err(Message::Locked);
        }
        if task.deed == Deed::Delete {
            if task.immediately || self.tree.section(file.folder) == TRASH {
                self.tree.remove_file(id, &mut self.journal);
            } else {
                self.tree.change_file(id, &mut self.journal, |file, _| file.folder = TRASH);
            }
            return Ok(());
        }
        if self.tree.folder(target).is_none() {
            return Err(Message::FolderNotFound);
        }
        let other = self.tree.file_titled(target, &file.title, task.collation).filter(|other| other.id != id);
        match (other.map(|other| other.id), task.conflict) {
            (Some(_), Conflict::Skip) => {}
            (Some(other), Conflict::Overwrite) => self.overwrite(id, other, task),
            (None, _) | (_, Conflict::Duplicate) if task.deed == Deed::Move => {
                self.tree.change_file(id, &mut self.journal, |file, _| file.folder = target);
            }
            _ => self.copy_file(id, target, task.now),
        }
        Ok(())
    }

    /// The content of one file becomes a new version of another.
    fn overwrite(&mut self, id: u64, other: u64, task: &Task) {
        let Some(source) = self.tree.file(id).map(|file| file.current().clone()) else { return };
        self.tree.change_file(other, &mut self.journal, |file, journal| {
            journal.hold(&source.content);
            let version = file.current().version + 1;
            let by = Some(task.user.clone());
            file.revisions.push(Revision { version, updated: task.now, by, ..source });
        });
        if task.deed == Deed::Move {
            self.tree.remove_file(id, &mut self.journal);
        }
    }

    fn copy_file(&mut self, id: u64, folder: u64, now: OffsetDateTime) {
        let Some(source) = self.tree.file(id).cloned() else { return };
        let revision = Revision { version: 1, updated: now, ..source.current().clone() };
        self.journal.hold(&revision.content);
        let id = self.tree.next_id(&mut self.journal);
        let copy = File { id, folder, created: now, locked_by: None, revisions: vec![revision], ..source };
        self.tree.add_file(copy, &mut self.journal);
    }

    fn perform_on_folder(&mut self, id: u64, target: u64, task: &Task) -> Result<(), Message> {
        let folder = self.tree.folder(id).filter(|folder| folder.parent != 0).ok_or(Message::FolderNotFound)?;
        if !task.may_write {
            return Err(Message::NoDelete);
        }
        if task.deed == Deed::Delete {
            if task.immediately || self.tree.section(id) == TRASH {
                self.tree.remove_folder(id, &mut self.journal);
            } else {
                self.tree.change_folder(id, &mut self.journal, |folder| folder.parent = TRASH);
            }
            return Ok(());
        }
        if self.tree.folder(target).is_none() || self.tree.path(target).iter().any(|above| above.id == id) {
            return Err(Message::FolderNotFound);
        }
        let other = self.tree.folder_titled(target, &folder.title, task.collation).filter(|other| other.id != id);
        let other = other.filter(|_| task.conflict != Conflict::Duplicate).map(|other| other.id);
        if other.is_none() && task.deed == Deed::Move {
            self.tree.change_folder(id, &mut self.journal, |folder| folder.parent = target);
            return Ok(());
        }
        let title = folder.title.clone();
        let into = match other {
            Some(other) => other,
            None => self.tree.make_folder(target, &title, task.now, &mut self.journal),
        };
        self.merge(id, into, task)
    }

    /// What is in one folder goes into another, each by itself; an empty one that was moved goes away.
    fn merge(&mut self, id: u64, into: u64, task: &Task) -> Result<(), Message> {
        let files: Vec<u64> = self.tree.files_in(id).map(|file| file.id).collect();
        let folders: Vec<u64> = self.tree.folders_in(id).map(|folder| folder.id).collect();
        for file in files {
            self.perform_on_file(file, into, task)?;
        }
        for folder in folders {
            self.perform_on_folder(folder, into, task)?;
        }
        let is_empty = self.tree.files_in(id).next().is_none() && self.tree.folders_in(id).next().is_none();
        if task.deed == Deed::Move && is_empty {
            self.tree.remove_folder(id, &mut self.journal);
        }
        Ok(())
    }
}

fn is_locked(task: &Task, file: &File) -> bool {
    task.locked || file.locked_by.as_ref().is_some_and(|user| *user != task.user)
}
