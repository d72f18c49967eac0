//! What a person wants to know before mounting a page of the wiki. Lines of text; nothing is decided here.

use super::{EmptyFiles, Wiki};
use crate::error::{Result, printable};

const MIB: f64 = (1 << 20) as f64;

impl Wiki {
    pub(super) async fn report(&self) -> Result<Vec<String>> {
        const OP: &str = "check";
        let me = self.me(OP).await?;
        let root = self.root().await?;
        let files = self.files_of(OP, &root).await?;
        let (header, id) = self.api.organisation().header();
        let mut lines = vec![format!("wiki: {}, organisation {} ({header})", self.api.origin(), printable(id))];
        lines.push(format!("account: {}", printable(me.username.as_deref().unwrap_or("signed in"))));
        lines.push(format!("page: {} (id {})", printable(&root.slug), root.id.as_deref().unwrap_or("none")));
        lines.push(format!("files of the page: {}", files.len()));
        lines.push("rights: the wiki tells them at the first upload".to_owned());
        lines.push(format!(
            "parts: {:.1} MiB, {} at once for each file; the size of a file must be known first",
            self.part_bytes as f64 / MIB,
            self.parts_at_once
        ));
        lines.push(format!("largest file: {} bytes", self.file_max));
        lines.push(match self.empty_files() {
            EmptyFiles::Refused => "empty files: not taken; they stay local until something is written".to_owned(),
            EmptyFiles::Unknown => "empty files: tried with the first one".to_owned(),
            EmptyFiles::Taken | EmptyFiles::TakenWithPart => "empty files: kept by the wiki".to_owned(),
        });
        lines.push(
            "overwriting: the new file is attached, then the old one deleted; its number and address change".into(),
        );
        lines.push("removing: for ever".to_owned());
        Ok(lines)
    }
}
