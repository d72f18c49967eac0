//! Uploads in one request: a new file out of a form, and a new content for a file. The size comes from what arrives, so
//! the request may be of unknown length; in exchange there is a limit of 100 MiB.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use futures_util::StreamExt;

use super::calls::FolderName;
use super::commit::Moment;
use super::dates;
use super::envelope::{self, Reply};
use super::errors::{Failure, Message};
use super::metadata::folder_id;
use super::office::Office;
use super::server::{Asked, Server};
use super::titles;
use super::tree::{File, Revision};
use super::uploads::Wanted;
use crate::portal::multipart::{Multipart, parameter};
use crate::portal::store::{Content, Segment};

/// The largest file in one request.
const WHOLE_BYTES_MAX: u64 = 100 << 20;

/// Where a new file goes.
struct Place<'a> {
    folder: u64,
    title: &'a str,
    /// Whether a file of the same title stays beside it.
    keeps_other: bool,
}

impl Server {
    /// `files/{folder}/upload` and `insert`.
    pub(super) async fn upload_whole(
        self: &Arc<Self>,
        asked: &Asked,
        folder: &FolderName,
        body: Body,
    ) -> Result<Response, Failure> {
        let folder = folder_id(folder).ok_or(Failure::FolderMissing)?;
        let (title, content) = self.receive_whole(asked, body).await?;
        let title = asked.query.text("title").map(str::to_owned).or(title).unwrap_or_default();
        let keeps_other = self.keeps_other(asked, &asked.query);
        let place = Place { folder, title: &title, keeps_other };
        let id = self.change(|office| office.add_whole(asked, &place, content)).await??;
        self.whole_reply(asked, id)
    }

    /// `files/{file}/update` and `files/file/{file}/saveediting`: always a new version.
    pub(super) async fn update_file(
        self: &Arc<Self>,
        asked: &Asked,
        file: u64,
        body: Body,
    ) -> Result<Response, Failure> {
        let (_, content) = self.receive_whole(asked, body).await?;
        self.change(|office| office.update_whole(asked, file, content)).await??;
        self.whole_reply(asked, file)
    }

    fn whole_reply(&self, asked: &Asked, id: u64) -> Result<Response, Failure> {
        let office = self.office();
        let file = office.tree.file(id).ok_or(Failure::FileMissing)?;
        Ok(envelope::success(&asked.style(), Reply::of(asked.view().file(&office.tree, file))))
    }

    /// The file in a form with its name, or a body that is the file.
    async fn receive_whole(&self, asked: &Asked, body: Body) -> Result<(Option<String>, Segment), Failure> {
        let content_type = asked.header(header::CONTENT_TYPE).unwrap_or_default();
        let named = |value: &str| parameter(value, "filename");
        let title = asked.header(header::CONTENT_DISPOSITION).and_then(named);
        if !content_type.to_lowercase().starts_with("multipart/") {
            return Ok((title, self.receive_raw(body).await?));
        }
        let mut form = Multipart::new(content_type, body)?;
        let mut found = None;
        while let Some(head) = form.next_part().await? {
            if found.is_some() || !Wanted::FirstFile.is(&head) {
                continue;
            }
            let mut blob = self.core.store.blob();
            while let Some(piece) = form.chunk().await? {
                blob.push(piece).await?;
                if blob.bytes() > WHOLE_BYTES_MAX {
                    return Err(Failure::RequestTooLarge);
                }
            }
            found = Some((head.parameter("filename"), blob.finish().await?));
        }
        form.drain().await?;
        found.ok_or(Failure::Argument(Message::EmptyFile))
    }

    async fn receive_raw(&self, body: Body) -> Result<Segment, Failure> {
        let (mut stream, mut blob) = (body.into_data_stream(), self.core.store.blob());
        while let Some(piece) = stream.next().await {
            blob.push(piece.map_err(|error| Failure::Fault(Message::Said(error.to_string())))?).await?;
            if blob.bytes() > WHOLE_BYTES_MAX {
                return Err(Failure::RequestTooLarge);
            }
        }
        Ok(blob.finish().await?)
    }
}

impl Office {
    /// The blob belongs to the portal from here on, whatever the answer.
    fn add_whole(&mut self, asked: &Asked, place: &Place<'_>, segment: Segment) -> Result<u64, Failure> {
        self.journal.hold_one(&segment);
        let added = self.try_add_whole(asked, place, segment);
        if added.is_err() {
            self.journal.release_one(&segment);
        }
        added
    }

    fn try_add_whole(&mut self, asked: &Asked, place: &Place<'_>, segment: Segment) -> Result<u64, Failure> {
        self.check_whole(segment, &asked.moment())?;
        if self.tree.folder(place.folder).is_none() {
            return Err(Failure::FolderMissing);
        }
        self.check_create(asked, place.folder)?;
        let title = titles::sanitize(place.title);
        if title.is_empty() {
            return Err(Failure::Argument(Message::Fixed("title")));
        }
        let other = self.tree.file_titled(place.folder, &title, asked.settings.collation);
        if let Some(id) = other.filter(|file| !place.keeps_other && self.may_edit(asked, file)).map(|file| file.id) {
            self.add_revision(id, segment, asked);
            return Ok(id);
        }
        let now = dates::to_seconds(asked.now);
        let id = self.tree.next_id(&mut self.journal);
        let content = Content(vec![segment]);
        let by = asked.who.name().map(str::to_owned);
        let revisions = vec![Revision { version: 1, bytes: segment.bytes, content, updated: now, by }];
        let (title, folder) = (titles::saved(&title), place.folder);
        let file = File { id, folder, title, created: now, locked_by: None, encrypted: false, revisions };
        self.tree.add_file(file, &mut self.journal);
        Ok(id)
    }

    fn update_whole(&mut self, asked: &Asked, id: u64, segment: Segment) -> Result<(), Failure> {
        self.journal.hold_one(&segment);
        let checked = self.check_whole(segment, &asked.moment()).and_then(|()| {
            let file = self.tree.file(id).ok_or(Failure::FileMissing)?;
            if self.may_edit(asked, file) { Ok(()) } else { Err(Failure::Security(Message::NoEdit)) }
        });
        if checked.is_err() {
            self.journal.release_one(&segment);
            return checked;
        }
        self.add_revision(id, segment, asked);
        Ok(())
    }

    fn add_revision(&mut self, id: u64, segment: Segment, asked: &Asked) {
        let (now, by) = (dates::to_seconds(asked.now), asked.who.name().map(str::to_owned));
        self.tree.change_file(id, &mut self.journal, |file, _| {
            let version = file.current().version + 1;
            let content = Content(vec![segment]);
            file.title = titles::saved(&file.title);
            file.revisions.push(Revision { version, bytes: segment.bytes, content, updated: now, by });
        });
    }

    fn check_whole(&self, segment: Segment, moment: &Moment<'_>) -> Result<(), Failure> {
        if segment.bytes == 0 {
            return Err(Failure::Fault(Message::EmptyFile));
        }
        self.check_size(i64::try_from(segment.bytes).unwrap_or(i64::MAX), moment.settings)?;
        self.check_quota(segment.bytes, moment)
    }
}
