//! Uploads that another process has begun: what this one finds out about them, with nothing in memory.
//!
//! **The session tells most.** It is asked for by its id: one that is open has become no file. What it holds nobody tells, so
//! the journal of the other process is believed, and a part whose receipt is missing there is sent again under its number.
//! Of one that is not open any more, the attachments of the page tell the rest: what was not there before, has its name, its
//! size and its user, and is no older than the session. Where the SHA-1 of the upload is known, such a file is read through,
//! and only its content counts: the same person may have attached as many bytes by another client. Where it is not known,
//! the session must not say that it is still to be attached.
//!
//! **A session whose parts are ended, and of which nothing is attached,** is given up as soon as a lost request to attach it
//! cannot be running any more, and the file goes out again: the one thing that keeps it from being attached twice.
//!
//! **An upload in one go** keeps its session for itself; the road is taken by empty files. What it has made is recognised by
//! its content alone. Without the SHA-1 of a file that is not empty, it is sent again: a second attachment of the same
//! bytes, and none lost. A session that was left open by such an upload stays on the wiki, which does not list them.

use super::Wiki;
use super::answers::{AttachmentDto, Check, Status};
use super::read::FileRef;
use super::upload::{OP, Open};
use crate::error::{Kind, Result};
use crate::service::reread::Reread;
use crate::service::{Node, Progress, Sha1Digest, Spec};

impl Wiki {
    /// The file that `open` has become, as far as it can be told from as many bytes of somebody else. The page may be gone.
    pub(super) async fn look_if_told(&self, spec: &Spec, open: &Open, status: Option<Status>) -> Result<Option<Node>> {
        // By the wiki's word nothing is attached: what looks like it is not believed without a closer look.
        let is_told = self.begun.get(&open.id).is_some() || spec.sha1.is_some() || status != Some(Status::Finished);
        match is_told {
            true => match self.look(spec, open).await {
                Err(error) if error.kind == Kind::NotFound => Ok(None),
                found => found,
            },
            false => Ok(None),
        }
    }

    /// Whether `file`, which looks like that of `open`, is it.
    pub(super) async fn may_be_of(&self, spec: &Spec, open: &Open, file: &AttachmentDto) -> Result<bool> {
        let is_known = self.begun.get(&open.id).is_some() || self.made.get(&file.id).is_some_and(|by| by == open.id);
        match spec.sha1 {
            Some(sha1) if !is_known => self.has_content(open, file, sha1).await,
            _ => Ok(true),
        }
    }

    /// Whether a file of the size of `open` is what was sent: it is read through.
    async fn has_content(&self, open: &Open, file: &AttachmentDto, sha1: Sha1Digest) -> Result<bool> {
        if file.check() == Check::Bad {
            return Ok(false);
        }
        if let Some(known) = self.read_through.get(&file.id) {
            return Ok(known == sha1);
        }
        let source = FileRef { page: open.page.clone(), file: file.id.clone(), size: open.size };
        let mut reread = Reread::of(open.size);
        while let Some(range) = reread.next() {
            match self.read_range(&source, range).await {
                Ok(piece) => reread.push(&piece),
                // Somebody has removed it meanwhile, or it has another size after all.
                Err(error) if matches!(error.kind, Kind::NotFound | Kind::Conflict) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        let found = reread.digest();
        self.read_through.put(&file.id, found);
        Ok(found == sha1)
    }

    /// What became of an upload in one go that another process may have made.
    pub(super) async fn probe_forgotten(&self, spec: &Spec) -> Result<Progress> {
        if let Some(node) = self.look_for_content(spec).await? {
            return Ok(Progress::Finished(node));
        }
        // As it is called in the doubts, among sessions.
        let doubt = format!("/{}", spec.path.as_str());
        if self.doubts.may_be_running(&doubt, spec.size.unwrap_or(0)) {
            return Ok(Progress::Unknown);
        }
        self.doubts.settled(&doubt);
        Ok(Progress::Gone)
    }

    /// The newest file under the name of `spec` that has its content, and is not the one that was to be replaced; that one is
    /// removed, if it is still there.
    async fn look_for_content(&self, spec: &Spec) -> Result<Option<Node>> {
        let Some(size) = spec.size else { return Ok(None) };
        let nothing = (size == 0).then(|| Sha1Digest::of(b""));
        let Some(sha1) = spec.sha1.or(nothing) else { return Ok(None) };
        let holder = match self.holder_of(OP, &spec.path).await {
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            holder => holder?,
        };
        let Some(page) = holder.id else { return Ok(None) };
        let old = spec.replaces.as_ref().and_then(|node| node.id.split_once('/')).map(|(_, file)| file);
        let mut files = self.ask_files(OP, &page).await?;
        let open = Open {
            id: String::new(),
            page,
            name: spec.path.name().to_owned(),
            size,
            part_bytes: self.part_bytes,
            there: Vec::new(),
            replaces: files.iter().find(|file| Some(file.id.as_str()) == old).map(|file| file.id.clone()),
            created: None,
            user: None,
        };
        files.retain(|file| file.name == open.name && file.may_have(size) && Some(file.id.as_str()) != old);
        files.sort_by(|a, b| b.rank().cmp(&a.rank()));
        for file in files {
            let is_right = self.exact_size(OP, &open.page, &file).await? == Some(size);
            if is_right && self.has_content(&open, &file, sha1).await? {
                return self.accept(&open, file).await.map(Some);
            }
        }
        Ok(None)
    }
}
