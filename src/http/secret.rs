//! Where secrets come from: a file that only its owner can read, an environment variable, or a credential that systemd
//! hands over. Never the command line. A secret has no `Display`, its `Debug` shows nothing, and its memory is wiped.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroize;

use crate::error::{Error, Kind, Result};

/// The largest secret, in bytes: longer files are something else.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Rights of others that make a file unfit for a secret.
const OPEN_TO_OTHERS: u32 = 0o077;
/// systemd hands a credential to an unprivileged service by an ACL, whose mask shows up as rights of the group.
const OPEN_TO_EVERYONE: u32 = 0o007;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In this file, whose mode must be 0600 or 0400.
    File(PathBuf),
    /// In this environment variable.
    Environment(String),
    /// In the file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl Source {
    /// Reads the secret; one line end after it is dropped.
    ///
    /// # Errors
    /// `Invalid`, saying which file or variable and what is wrong with it; `Denied` when it cannot be read or others
    /// can.
    pub fn read(&self) -> Result<SecretString> {
        self.read_from(|name| std::env::var_os(name))
    }

    fn read_from(&self, environment: impl Fn(&str) -> Option<OsString>) -> Result<SecretString> {
        match self {
            Source::File(path) => from_file(path, OPEN_TO_OTHERS),
            Source::Environment(name) => {
                let value = environment(name).ok_or_else(|| invalid(format!("the variable {name} is not set")))?;
                let text = value.into_string().map_err(|_| invalid(format!("the variable {name} is not text")))?;
                secret(text, &format!("the variable {name}"))
            }
            Source::Credential(name) => {
                if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                    return Err(invalid(format!("{name:?} is not the name of a credential")));
                }
                let folder = environment("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| invalid(format!("no credential {name}: CREDENTIALS_DIRECTORY is not set")))?;
                from_file(&Path::new(&folder).join(name), OPEN_TO_EVERYONE)
            }
        }
    }
}

/// Reads a secret from `path`, after looking at the opened file, not at whatever the path names a moment later.
fn from_file(path: &Path, forbidden: u32) -> Result<SecretString> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| denied(format!("the secret in {shown} cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(invalid(format!("{shown} is not a regular file")));
    }
    let mode = about.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        let open = denied(format!("the secret in {shown} is open to others: its mode is {mode:04o}"));
        return Err(open.hint(format!("chmod 600 {shown}")));
    }
    if about.size() > SECRET_BYTES_MAX {
        return Err(invalid(format!("{shown} is too large for a secret")));
    }
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    secret(text, &shown.to_string())
}

/// Makes a secret of `text` and wipes `text`.
fn secret(mut text: String, from: &str) -> Result<SecretString> {
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let result = match line {
        "" => Err(invalid(format!("{from} holds no secret: it is empty"))),
        line if line.contains(['\n', '\r', '\0']) => Err(invalid(format!("{from} holds more than one line"))),
        line => Ok(SecretString::from(line)),
    };
    text.zeroize();
    result
}

fn invalid(what: String) -> Error {
    Error::new(Kind::Invalid, "credentials", what)
}

fn denied(what: String) -> Error {
    Error::new(Kind::Denied, "credentials", what)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn file(folder: &Path, text: &str, mode: u32) -> PathBuf {
        let path = folder.join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_a_file_of_the_owner_alone_will_do() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o400] {
            let path = file(folder.path(), "geheim\n", mode);
            assert_eq!(Source::File(path.clone()).read().unwrap().expose_secret(), "geheim");
            std::fs::remove_file(path).unwrap();
        }
        for mode in [0o644, 0o640, 0o620, 0o604] {
            let path = file(folder.path(), "geheim", mode);
            let error = Source::File(path.clone()).read().unwrap_err();
            assert_eq!(error.kind, Kind::Denied);
            let text = error.to_string();
            assert!(text.contains(&format!("{mode:04o}")) && text.contains(&path.display().to_string()), "{text}");
            assert!(!text.contains("geheim"), "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Source::File(folder.path().into()).read().unwrap_err().to_string().contains("not a regular file"));
        for text in ["", "\n", "a\nb"] {
            assert_eq!(Source::File(file(folder.path(), text, 0o600)).read().unwrap_err().kind, Kind::Invalid);
        }
        let missing = Source::File(folder.path().join("missing")).read().unwrap_err();
        assert!(missing.to_string().contains("missing"), "{missing}");
    }

    #[test]
    fn the_environment_and_systemd() {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "aus systemd", 0o440);
        let root = folder.path().as_os_str().to_owned();
        let environment = |name: &str| match name {
            "WIKI_PASSWORD" => Some("aus der Umgebung".into()),
            "CREDENTIALS_DIRECTORY" => Some(root.clone()),
            _ => None,
        };
        let read = |source: Source| source.read_from(environment);
        let text = |source| read(source).unwrap().expose_secret().to_owned();
        assert_eq!(text(Source::Environment("WIKI_PASSWORD".into())), "aus der Umgebung");
        assert_eq!(text(Source::Credential("secret".into())), "aus systemd");
        assert!(read(Source::Environment("NOT_SET".into())).unwrap_err().to_string().contains("NOT_SET"));
        for name in ["../secret", "", ".."] {
            assert_eq!(read(Source::Credential(name.into())).unwrap_err().kind, Kind::Invalid, "{name:?}");
        }
    }

    #[test]
    fn a_secret_shows_nothing() {
        let shown = format!("{:?}", SecretString::from("geheim"));
        assert!(!shown.contains("geheim"), "{shown}");
    }
}
