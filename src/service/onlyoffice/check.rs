//! What a person wants to know before mounting a folder of a portal. Lines of text; nothing is decided here.

use super::Onlyoffice;
use super::generation::Generation;
use crate::error::{Result, printable};

const MIB: f64 = (1 << 20) as f64;

impl Onlyoffice {
    pub(super) async fn report(&self) -> Result<Vec<String>> {
        let site = self.ask_site().await?;
        let account = self.sessions.account().await?;
        let root = self.root().await?;
        self.list_folder("check", &root).await?;
        let mut lines = vec![format!("portal: {} at {}", site.version, self.sessions.api().http().origin())];
        let name = [&account.display_name, &account.email].into_iter().find(|name| !name.is_empty());
        lines.push(format!("account: {}", printable(name.map_or("signed in", String::as_str))));
        let rights = match self.index.may_create(&root) {
            Some(false) => ", where this account may not put files",
            _ => "",
        };
        lines.push(format!("folder: {} (id {}){rights}", self.root, root.as_str()));
        let many = match site.version.generation().has_numbers() {
            true => format!("{} at once for each file", site.width),
            false => "one after the other".to_owned(),
        };
        lines.push(format!(
            "chunks: {:.1} MiB, {many}; the size of a file must be known first",
            site.chunk_bytes as f64 / MIB
        ));
        lines.push(match site.version.has_empty_files() {
            true => "empty files: kept by the portal".to_owned(),
            false => "empty files: not taken by this version; they stay local until something is written".to_owned(),
        });
        lines.push(match site.version.generation() {
            Generation::Community | Generation::Counting => {
                "overwriting: in place, without history; whoever reads meanwhile may see old and new".to_owned()
            }
            Generation::Numbered | Generation::Rest => {
                "overwriting: as a new version; the old ones stay in the history".to_owned()
            }
        });
        lines.push("removing: into the trash of the portal, which counts for its quota".to_owned());
        Ok(lines)
    }
}
