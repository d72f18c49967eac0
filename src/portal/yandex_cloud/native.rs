//! The calls of the native dialect.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::json;

use super::auth::{FolderClaim, check_folder};
use super::calls::Dialect;
use super::dto;
use super::errors::{Failure, json_of};
use super::file::{Life, check_labels, check_name, kept};
use super::intake::Intake;
use super::list;
use super::making::{Lasting, Told};
use super::messages::{self, CreateRequest, Path, UpdateRequest};
use super::server::{Asked, Server};
use super::settings::{ExpiredUrl, LabelPatch, LifeFrom};
use super::strainer::{Strainer, Unusable};
use crate::portal::serve::drain;

/// What files of this dialect are for in the other one.
const PURPOSE: &str = "assistants";

impl Server {
    pub(super) async fn create(&self, asked: &Asked, body: Body) -> Result<Response, Failure> {
        self.check_json(asked);
        if let Err(failure) = Server::check_length(asked) {
            drain(body).await;
            return Err(failure);
        }
        let mut intake = Intake::new(self.core.store.blob(), asked.settings.file_bytes_max);
        let request: CreateRequest = messages::read(&strain(body, &mut intake).await?)?;
        self.check_native_folder(asked, request.folder_id.as_deref())?;
        if request.content.is_none() && !asked.settings.empty_files {
            return Err(Failure::missing("content"));
        }
        let asked_life = request.expiration_config.unwrap_or_default();
        if !asked_life.is_explicit() {
            self.violation(asked, "created without an explicit expirationConfig");
        }
        let told = Told {
            name: request.name.unwrap_or_default(),
            description: request.description.unwrap_or_default(),
            mime: request.mime_type.filter(|mime| !mime.is_empty()),
            labels: request.labels.unwrap_or_default(),
            lasting: Lasting::Life(asked_life.over(Life::default(), &asked.settings)?),
            purpose: PURPOSE.to_owned(),
        };
        self.make(asked, told, intake).await
    }

    fn check_native_folder(&self, asked: &Asked, named: Option<&str>) -> Result<(), Failure> {
        let claim = FolderClaim { dialect: Dialect::Native, named, is_required: true };
        check_folder(&asked.account, &claim, &self.config.folder)
    }

    pub(super) fn get(&self, asked: &Asked, id: &str) -> Result<Response, Failure> {
        let cloud = self.cloud();
        let file = cloud.file(id, asked.call.dialect, &asked.settings)?;
        Ok(json_of(200, &self.shown(asked, file)))
    }

    pub(super) fn list(&self, asked: &Asked) -> Result<Response, Failure> {
        self.check_native_folder(asked, asked.parameter("folderId").as_deref())?;
        let (settings, mut cloud) = (&asked.settings, self.cloud());
        // Whoever looks knows what has become of a create.
        cloud.doubts.retain(|made| made.account != asked.account.id);
        let known = cloud.files.values().filter(|file| !settings.dialects_apart || file.dialect == Dialect::Native);
        let (size, token) = (asked.parameter("pageSize"), asked.parameter("pageToken"));
        let page = list::page(known, size.as_deref(), token.as_deref(), settings)?;
        Ok(json_of(200, &dto::native_list(&page, &self.config.folder, settings.print_empty_fields)))
    }

    pub(super) fn get_url(&self, asked: &Asked) -> Result<Response, Failure> {
        let id = asked.parameter("fileId").ok_or_else(|| Failure::missing("fileId"))?;
        let cloud = self.cloud();
        let has_expired = asked.settings.expired_url == ExpiredUrl::Signed && cloud.expired.contains(&id);
        if !has_expired {
            cloud.file(&id, Dialect::Native, &asked.settings)?;
        }
        Ok(json_of(200, &json!({"url": self.core.storage.presigned(&id, "", asked.now)})))
    }

    pub(super) async fn update(&self, asked: &Asked, id: &str, body: Body) -> Result<Response, Failure> {
        let request: UpdateRequest = messages::read(&self.json(asked, body).await?)?;
        asked.check_unlocked()?;
        let settings = &asked.settings;
        let paths = request.paths(settings)?;
        check_name(request.name.as_deref().unwrap_or_default(), settings)?;
        check_labels(&request.labels.clone().unwrap_or_default(), settings)?;
        let old = self.cloud().file(id, Dialect::Native, settings)?.life.unwrap_or_default();
        let life = request.life(&paths, old, settings)?;
        let (now, account) = (kept(asked.now), &asked.account.id);
        self.change(|cloud| {
            cloud.update(id, |file| {
                for path in &paths {
                    match path {
                        Path::Name => file.name = request.name.clone().unwrap_or_default(),
                        Path::Description => file.description = request.description.clone().unwrap_or_default(),
                        Path::Labels => {
                            if settings.label_patch == LabelPatch::Replace {
                                file.labels.clear();
                            }
                            file.labels.extend(request.labels.clone().unwrap_or_default());
                        }
                        Path::Life | Path::TtlDays | Path::Policy => {}
                    }
                }
                if let Some(life) = life {
                    let start = if settings.life_from == LifeFrom::Created { file.created_at } else { now };
                    (file.life, file.expires_at) = (Some(life), Some(life.end(start)));
                }
                (file.updated_at, file.updated_by) = (now, account.clone());
            });
        })
        .await?;
        let cloud = self.cloud();
        let file = cloud.file(id, Dialect::Native, settings)?;
        if file.expires_at.is_some_and(|end| end <= now) {
            self.violation(asked, "an update gave a file a life that is over: it is counted from its making");
        }
        Ok(json_of(200, &self.shown(asked, file)))
    }

    pub(super) async fn delete(&self, asked: &Asked, id: &str) -> Result<Response, Failure> {
        asked.check_unlocked()?;
        let dialect = asked.call.dialect;
        self.change(|cloud| {
            cloud.file(id, dialect, &asked.settings)?;
            cloud.delete(id);
            Ok::<_, Failure>(())
        })
        .await??;
        Ok(json_of(
            200,
            &match dialect {
                Dialect::Native => json!({}),
                Dialect::Openai => json!({"id": id, "object": "file", "deleted": true}),
            },
        ))
    }
}

/// Reads a body, whose content goes into `intake`; what is left of it.
async fn strain(body: Body, intake: &mut Intake) -> Result<Vec<u8>, Failure> {
    let (mut strainer, mut stream) = (Strainer::default(), body.into_data_stream());
    while let Some(piece) = stream.next().await {
        let piece: Bytes = piece.map_err(|_| Failure::cut())?;
        let mut decoded = Vec::new();
        strainer.feed(&piece, &mut decoded);
        // What cannot be used is read to its end, so that the client has sent everything when it is answered.
        if !strainer.is_wrong() {
            intake.push(decoded.into()).await?;
        }
    }
    strainer.finish().map_err(|unusable| match unusable {
        Unusable::Content => Failure::field("content", "illegal base64 data"),
        Unusable::Twice => Failure::field("content", "duplicate field"),
        Unusable::TooLong => Failure::field("body", "too much beside the content"),
    })
}
