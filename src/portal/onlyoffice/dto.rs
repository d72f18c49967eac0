//! Entries and sessions as the API shows them.

use serde_json::{Value, json};

use super::config::Settings;
use super::dates;
use super::errors::human;
use super::generation::{Family, Version};
use super::metadata::person;
use super::session::{LIFE, Session};
use super::titles;
use super::tree::{File, Folder, Revision, SECTIONS, TRASH, Tree};

/// What the look of an entry depends on.
pub(super) struct View<'a> {
    pub(super) version: Version,
    pub(super) settings: &'a Settings,
    /// The address of the portal as the client wrote it.
    pub(super) base: &'a str,
    /// Whether whoever looks may write.
    pub(super) may_write: bool,
}

impl View<'_> {
    fn moment(&self, moment: time::OffsetDateTime) -> String {
        dates::write(moment, self.settings.utc_offset_min)
    }

    /// The number of the kind of section that a folder lies in.
    fn root_kind(&self, section: u64) -> u8 {
        SECTIONS.iter().find(|(id, ..)| *id == section).map_or(0, |(.., kind)| *kind)
    }

    /// The address of a file's content.
    pub(super) fn download_url(&self, file: u64) -> String {
        let handler = match self.version.family() {
            Family::Docspace => "filehandler.ashx",
            Family::Community => "Products/Files/HttpHandlers/filehandler.ashx",
        };
        format!("{}/{handler}?action=download&fileid={file}", self.base)
    }

    /// A file in its present version.
    pub(super) fn file(&self, tree: &Tree, file: &File) -> Value {
        self.revision(tree, file, file.current())
    }

    /// A file in one of its versions.
    pub(super) fn revision(&self, tree: &Tree, file: &File, revision: &Revision) -> Value {
        let section = tree.section(file.folder);
        let mut value = json!({
            "id": file.id,
            "folderId": file.folder,
            "title": file.title,
            "version": revision.version,
            "versionGroup": revision.version,
            "contentLength": human(revision.bytes),
            "fileExst": titles::extension(&file.title).to_lowercase(),
            "fileType": 0,
            "fileStatus": 0,
            "created": self.moment(file.created),
            "updated": self.moment(revision.updated),
            "viewUrl": self.download_url(file.id),
            "webUrl": format!("{}/doceditor?fileid={}", self.base, file.id),
            "access": 0,
            "shared": false,
            "mute": false,
            "encrypted": file.encrypted,
            "locked": file.locked_by.is_some(),
            "providerItem": false,
            "rootFolderId": section,
            "rootFolderType": self.root_kind(section),
            "fileEntryType": 2,
        });
        if let Some(user) = &revision.by {
            value["updatedBy"] = json!({"id": person(user), "displayName": user});
        }
        // DocSpace leaves out a length of 0, as it does with nulls.
        if revision.bytes > 0 || self.version.is_community() {
            value["pureContentLength"] = json!(revision.bytes);
        }
        if !self.version.is_community() {
            value["security"] = self.security(section);
        }
        value
    }

    /// A file that was never stored.
    pub(super) fn phantom(&self, tree: &Tree, session: &Session) -> Value {
        let file = File {
            id: 0,
            folder: session.folder,
            title: session.title.clone(),
            created: session.created,
            locked_by: None,
            encrypted: false,
            revisions: vec![Revision {
                version: 1,
                bytes: u64::try_from(session.total).unwrap_or(0),
                content: Default::default(),
                updated: session.created,
                by: session.user.clone(),
            }],
        };
        self.file(tree, &file)
    }

    pub(super) fn folder(&self, tree: &Tree, folder: &Folder) -> Value {
        let section = tree.section(folder.id);
        let mut value = json!({
            "id": folder.id,
            "parentId": folder.parent,
            "title": folder.title,
            "filesCount": tree.files_in(folder.id).count(),
            "foldersCount": tree.folders_in(folder.id).count(),
            "created": self.moment(folder.created),
            "updated": self.moment(folder.updated),
            "access": 0,
            "shared": false,
            "mute": false,
            "providerItem": false,
            "rootFolderId": section,
            "rootFolderType": self.root_kind(section),
            "fileEntryType": 1,
        });
        if !self.version.is_community() {
            value["security"] = self.security(section);
        }
        value
    }

    fn security(&self, section: u64) -> Value {
        let may = self.may_write;
        let may_change = may && section != TRASH;
        json!({
            "Read": true, "Create": may_change, "Edit": may_change, "Rename": may_change, "Delete": may,
            "Lock": may_change, "Copy": true, "CopyTo": may_change, "Move": may, "MoveTo": may_change, "Download": true,
        })
    }

    /// The folders from the section down, as a listing shows them.
    pub(super) fn path_parts(&self, tree: &Tree, folder: u64) -> Value {
        let path = tree.path(folder);
        match self.version.family() {
            Family::Docspace => path.iter().map(|folder| json!({"id": folder.id, "title": folder.title})).collect(),
            Family::Community => path.iter().map(|folder| json!(folder.id)).collect(),
        }
    }

    /// A session when it is opened.
    pub(super) fn opened(&self, tree: &Tree, session: &Session) -> Value {
        let path = tree.path(session.folder).iter().map(|folder| json!(folder.id)).collect();
        self.session(session, path)
    }

    /// A session after a chunk: only the folder is told, and CommunityServer tells it as a text.
    pub(super) fn resumed(&self, session: &Session) -> Value {
        self.session(session, json!([self.folder_id(session.folder)]))
    }

    fn session(&self, session: &Session, path: Value) -> Value {
        let handler = match self.version.family() {
            Family::Docspace => "ChunkedUploader.ashx",
            Family::Community => "Products/Files/ChunkedUploader.ashx",
        };
        let mut value = json!({
            "id": session.id,
            "path": path,
            "created": dates::write(session.created, 0),
            "expired": dates::write(session.touched + LIFE, 0),
            "location": format!("{}/{handler}?uid={}", self.base, session.id),
            "bytes_total": session.total,
        });
        if !self.version.numbers_chunks() {
            value["bytes_uploaded"] = json!(session.uploaded);
        }
        value
    }

    /// A folder's number in the answers of CommunityServer's upload handler is a text.
    pub(super) fn folder_id(&self, folder: u64) -> Value {
        match self.version.family() {
            Family::Docspace => json!(folder),
            Family::Community => json!(folder.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::generation::Generation;
    use super::super::session::tests::session;
    use super::super::tree::MY;
    use super::*;
    use crate::portal::journal::Journal;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn look<T>(generation: Generation, look: impl FnOnce(&View<'_>) -> T) -> T {
        let settings = Settings::default();
        let version = generation.version();
        look(&View { version, settings: &settings, base: "http://p", may_write: true })
    }

    fn file(bytes: u64) -> (Tree, File) {
        let mut tree = Tree::new(NOW);
        let revisions = vec![Revision { version: 3, bytes, content: Default::default(), updated: NOW, by: None }];
        let (title, id) = ("a.Bin".into(), tree.next_id(&mut Journal::default()));
        (tree, File { id, folder: MY, title, created: NOW, locked_by: None, encrypted: false, revisions })
    }

    #[test]
    fn docspace_omits_a_length_of_zero() {
        let (tree, empty) = file(0);
        let (_, full) = file(1536);
        let value = look(Generation::G3, |view| view.file(&tree, &empty));
        assert!(value.get("pureContentLength").is_none());
        let value = look(Generation::G3, |view| view.file(&tree, &full));
        assert_eq!((&value["pureContentLength"], &value["contentLength"]), (&json!(1536), &json!("1.5 KB")));
        assert_eq!(
            (&value["fileExst"], &value["rootFolderType"], &value["version"]),
            (&json!(".bin"), &json!(5), &json!(3))
        );
        assert_eq!(value["updated"], "1970-01-01T00:00:00.0000000Z");
        let value = look(Generation::G0, |view| view.file(&tree, &empty));
        assert_eq!(value["pureContentLength"], 0);
        assert!(
            value["viewUrl"].as_str().unwrap().starts_with("http://p/Products/Files/HttpHandlers/filehandler.ashx?")
        );
    }

    #[test]
    fn sessions_tell_their_progress_in_old_generations_only() {
        let tree = Tree::new(NOW);
        let session = session(24, 10);
        let (opened, resumed) = look(Generation::G0, |view| (view.opened(&tree, &session), view.resumed(&session)));
        assert_eq!((&opened["bytes_uploaded"], &opened["path"]), (&json!(0), &json!([MY])));
        assert_eq!(resumed["path"], json!(["1"]));
        assert!(opened["location"].as_str().unwrap().starts_with("http://p/Products/Files/ChunkedUploader.ashx?uid=0"));
        let opened = look(Generation::G2, |view| view.opened(&tree, &session));
        assert!(opened.get("bytes_uploaded").is_none());
        assert_eq!(opened["expired"], "1970-01-01T12:00:00.0000000Z");
        assert!(opened["location"].as_str().unwrap().starts_with("http://p/ChunkedUploader.ashx?uid=0"));
    }
}
