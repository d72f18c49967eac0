//! What the settings mean: named remotes out of files and environment, mount options out of flags, and every refusal
//! before anything is mounted. Flags count over environment, environment over file, file over default. What can be
//! typed is in `cli`; opening a service is in `open`.
//!
//! Remotes are looked for in `~/.config/uploadfs/config.toml`, then in `/etc/uploadfs/config.toml`; `--config` names
//! the only file. The remote `memory` is there without any file, and where `UPLOADFS_SERVICE` is set, a remote may
//! exist by environment alone.

mod environment;
mod file;
mod options;
mod refusal;
mod remote;
mod secret;
pub mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::environment::Environment;
use self::file::Section;
pub use self::options::{MountChoices, MountOptions, defaults};
pub use self::refusal::{Place, Refusal};
pub use self::remote::{Remote, ServiceKind};

/// The file for all users.
const SYSTEM_FILE: &str = "/etc/uploadfs/config.toml";
/// The remote that needs no file.
const BUILT_IN: &str = "memory";

/// Where settings come from.
pub struct Sources {
    /// The files to look in, the first that knows a remote counts.
    files: Vec<PathBuf>,
    /// Whether the files were named by a person, and so must exist.
    named: bool,
    /// The surroundings.
    pub environment: Environment,
}

impl Sources {
    /// The usual files, or only `config` where it is given.
    pub fn new(config: Option<PathBuf>, environment: Environment) -> Self {
        let named = config.is_some();
        let usual = || environment.config_home().map(|home| home.join("uploadfs/config.toml")).into_iter();
        let files = config.map_or_else(|| usual().chain([SYSTEM_FILE.into()]).collect(), |file| vec![file]);
        Sources { files, named, environment }
    }

    /// The remote `name`, complete with its secrets.
    ///
    /// # Errors
    /// Says where the mistake is and what to write instead.
    pub fn remote(&self, name: &str) -> Result<Remote, Refusal> {
        let mut known = vec![BUILT_IN.to_owned()];
        for file in &self.files {
            let Some(mut sections) = self.read(file)? else { continue };
            if let Some(section) = sections.remove(name) {
                return Remote::resolve(name, Some(section), &self.environment);
            }
            known.extend(sections.into_keys());
        }
        if name == BUILT_IN || self.environment.text("UPLOADFS_SERVICE")?.is_some() {
            file::check_name(name, &Place::Arguments)?;
            return Remote::resolve(name, None, &self.environment);
        }
        let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        let what = format!("there is no remote {name:?} in {}", files.join(" or "));
        Err(Refusal::new(Place::Arguments, what, format!("add a table [NAME], or use one of: {}", known.join(", "))))
    }

    fn read(&self, path: &Path) -> Result<Option<BTreeMap<String, Section>>, Refusal> {
        let sections = file::read(path)?;
        if sections.is_none() && self.named {
            let what = format!("there is no file {}", path.display());
            return Err(Refusal::new(Place::Arguments, what, "name an existing file with --config"));
        }
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "[wiki]\nservice = \"memory\"\n";

    fn in_home(config: &str) -> (tempfile::TempDir, Sources) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/uploadfs");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.toml"), config).unwrap();
        let environment = Environment::of([("HOME", home.path().to_str().unwrap())]);
        (home, Sources::new(None, environment))
    }

    #[test]
    fn a_remote_is_found_by_name() {
        let (_home, sources) = in_home(USER);
        assert_eq!(sources.remote("wiki").unwrap().service, ServiceKind::Memory);
        assert_eq!(sources.remote("memory").unwrap().service, ServiceKind::Memory);
        let text = sources.remote("wikki").unwrap_err().to_string();
        for part in ["\"wikki\"", ".config/uploadfs/config.toml", "/etc/uploadfs/config.toml", "memory, wiki"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }

    #[test]
    fn a_named_file_is_the_only_one_and_must_exist() {
        let (home, sources) = in_home(USER);
        let other = home.path().join("other.toml");
        let named = Sources::new(Some(other.clone()), sources.environment.clone());
        assert!(named.remote("wiki").unwrap_err().to_string().contains("no file"));
        std::fs::write(&other, "[b]\nservice = \"memory\"\n").unwrap();
        named.remote("b").unwrap();
        named.remote("wiki").unwrap_err();
    }

    #[test]
    fn a_remote_may_exist_by_environment_alone() {
        let environment = Environment::of([("UPLOADFS_SERVICE", "memory")]);
        let sources = Sources::new(None, environment);
        assert_eq!(sources.remote("anything").unwrap().service, ServiceKind::Memory);
        assert!(sources.remote("../x").unwrap_err().to_string().contains("cannot be the name"));
    }

    #[test]
    fn a_mistake_in_the_file_is_told_whatever_remote_is_asked_for() {
        let (_home, sources) = in_home("[wiki]\nservce = \"memory\"\n");
        assert!(sources.remote("memory").unwrap_err().to_string().contains("config.toml:2: unknown field `servce`"));
    }
}
