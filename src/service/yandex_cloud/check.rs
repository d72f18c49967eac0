//! What a person wants to know before mounting. Lines of text; nothing is decided here.

use super::{Cloud, Dialect};
use crate::error::Result;

/// The most files of a folder.
const FILES_MAX: usize = 10_000;

impl Cloud {
    pub(super) async fn report(&self) -> Result<Vec<String>> {
        for echo in self.list_now("check").await? {
            self.remove_quietly(&echo.id).await;
        }
        let identity = self.api.identity();
        let dialect = match identity.dialect {
            Dialect::Native => "its own API",
            Dialect::OpenAi => "the API like OpenAI's",
        };
        let days = self.lifetimes.of_a_new_file();
        let mut lines = vec![
            format!("service: {}, {dialect}", self.api.origin()),
            format!("signed in with {}", identity.look.name()),
            format!("folder: {}, {} files of at most {FILES_MAX}", identity.folder, self.catalog.total()),
        ];
        if !self.catalog.root().is_root() {
            lines.push(format!("mounted: the files whose names begin with {}/", self.catalog.root().as_str()));
        }
        lines.push(format!("largest file: {} bytes, in one request, sent when it is closed", self.file_max()));
        lines.push(match identity.dialect {
            Dialect::Native => format!(
                "lifetime: the service removes a file {days} days after it was made; while it is mounted, that is put off"
            ),
            Dialect::OpenAi => {
                format!("lifetime: the service removes a file {days} days after it was made, and nothing puts that off")
            }
        });
        lines.push(match identity.dialect {
            Dialect::Native => "renaming: by changing the name; a directory file by file".to_owned(),
            Dialect::OpenAi => "renaming: not in this dialect; mv copies".to_owned(),
        });
        lines.push("overwriting: a new file, and then the old one is removed; there is no history".to_owned());
        lines.push("directories: by slashes in names; an empty one exists in the mount only".to_owned());
        Ok(lines)
    }
}
