//! What the process was given besides its arguments: environment variables and whether it is root. A value, so that
//! tests need not change the process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::refusal::{Place, Refusal};

/// The surroundings of the process.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    /// Whether the process has the rights of root.
    pub root: bool,
}

impl Environment {
    /// That of this process.
    pub fn of_process() -> Self {
        // The owner of /proc/self is the effective user: no system call of our own is needed.
        let root = std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
        Environment { variables: std::env::vars_os().collect(), root }
    }

    /// These variables, and the rights of a user.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Environment { variables, root: false }
    }

    /// The text of a variable; `None` when it is not set or empty.
    ///
    /// # Errors
    /// When it is not text.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, Refusal> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let text = value.to_owned().into_string().map_err(|_| {
            Refusal::new(Place::Variable(name), "the value is not UTF-8", "set it to text, or unset it")
        })?;
        Ok(Some(text))
    }

    /// The absolute path in a variable; `None` when it is not set, empty or relative.
    pub fn path(&self, name: &'static str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// `path` with a leading `~/` replaced by the home directory.
    pub fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.path("HOME")) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// Where a person keeps configuration files.
    pub fn config_home(&self) -> Option<PathBuf> {
        self.path("XDG_CONFIG_HOME").or_else(|| self.path("HOME").map(|home| home.join(".config")))
    }

    fn value(&self, name: &'static str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn empty_is_not_set() {
        let environment = Environment::of([("A", ""), ("B", "b"), ("HOME", "/home/me"), ("R", "relative")]);
        assert_eq!(environment.text("A"), Ok(None));
        assert_eq!(environment.text("B"), Ok(Some("b".to_owned())));
        assert_eq!(environment.path("R"), None);
        assert_eq!(environment.expand("~/x"), PathBuf::from("/home/me/x"));
        assert_eq!(environment.expand("~other/x"), PathBuf::from("~other/x"));
    }

    #[test]
    fn what_is_not_text_is_refused_without_being_shown() {
        let mut environment = Environment::default();
        environment.variables.insert("UPLOADFS_PASSWORD".into(), OsString::from_vec(b"geheim\xff".to_vec()));
        let text = environment.text("UPLOADFS_PASSWORD").unwrap_err().to_string();
        assert!(text.contains("UPLOADFS_PASSWORD") && !text.contains("geheim"), "{text}");
    }
}
