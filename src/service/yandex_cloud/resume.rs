//! Uploads that another process has made, or has not: what this one finds out about them, with nothing in memory.
//!
//! The service takes a file in one request and tells nobody who made it. The labels of our uploads have names that ended
//! with the process that gave them, so a file is recognised by what it is: one of the name and the size of the upload, other
//! than the one that was to be replaced, is read through, and is the upload's if its SHA-1 is. In the native dialect only
//! files with a label of ours are looked at. What it was to replace is removed then, as after any upload.
//!
//! Without the SHA-1 nothing is recognised: a file of as many bytes may be anybody's. The file is sent again then, once the
//! first request cannot be running any more; what that may have made stays beside it, and no byte is lost.

use std::sync::Arc;

use super::Cloud;
use super::answers::Stored;
use super::attempts::Attempt;
use super::body::Seal;
use super::upload::OP;
use crate::error::{Kind, Result};
use crate::service::{Progress, Spec};

impl Cloud {
    /// What became of an upload that this process knows nothing of.
    pub(super) async fn probe_forgotten(&self, spec: &Spec) -> Result<Progress> {
        let path = spec.path.as_str();
        if let Some((attempt, file)) = self.look_for_content(spec).await? {
            return self.accept(&spec.path, &attempt, file).await.map(Progress::Finished);
        }
        if self.doubts.may_be_running(path, spec.size.unwrap_or(0)) {
            return Ok(Progress::Unknown);
        }
        self.doubts.settled(path);
        Ok(Progress::Gone)
    }

    /// The newest file of the name of `spec` that has its content, and the upload that made it, as far as that can be told.
    async fn look_for_content(&self, spec: &Spec) -> Result<Option<(Attempt, Stored)>> {
        let (Some(size), Some(sha1)) = (spec.size, spec.sha1) else { return Ok(None) };
        for echo in self.list_now(OP).await? {
            self.remove_quietly(&echo.id).await;
        }
        let replaced = spec.replaces.as_ref().map(|node| node.id.as_str());
        let is_ours = |file: &Arc<Stored>| file.upload.is_some() || !self.has_labels();
        let mut files = self.catalog.twins(&spec.path);
        let old = files.iter().find(|file| Some(file.id.as_str()) == replaced);
        let old = old.map(|old| (old.id.clone(), old.name.clone()));
        files.retain(|file| file.size == Some(size) && Some(file.id.as_str()) != replaced && is_ours(file));
        for file in files {
            match self.sha1_of(&file.id, size).await {
                Ok(found) if found == sha1 => {
                    let attempt = Attempt {
                        upload: file.upload.clone().unwrap_or_default(),
                        name: file.name.clone(),
                        size,
                        old: old.into_iter().collect(),
                        before: Vec::new(),
                        seal: Seal::default(),
                        made: Some(file.id.clone()),
                        is_settled: false,
                    };
                    return Ok(Some((attempt, file.as_ref().clone())));
                }
                // Another one, or gone meanwhile, or another size than its label says.
                Err(error) if !matches!(error.kind, Kind::NotFound | Kind::Conflict) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }
}
