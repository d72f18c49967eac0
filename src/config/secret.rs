//! Reads a secret from where a person put it: a file nobody else can read, a variable, a credential that systemd hands
//! over. Never from the command line. A secret is never part of a message, only the place it should be in.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use secrecy::SecretString;

use super::refusal::{Place, Refusal};

/// The largest secret, in bytes: tokens have some thousand, a longer file is something else.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Rights of others that make a file unfit for a secret.
const OPEN_TO_OTHERS: u32 = 0o077;
/// systemd gives a credential to an unprivileged service by an ACL, whose mask shows as rights of the group.
const OPEN_TO_EVERYONE: u32 = 0o007;

/// Reads the secret in the file `path`, which was named at `place`.
///
/// # Errors
/// Says what is wrong with the file, and with its mode when others can read it.
pub(super) fn from_file(path: &Path, place: &Place) -> Result<SecretString, Refusal> {
    read(path, OPEN_TO_OTHERS).map_err(|(what, instead)| Refusal::new(place.clone(), what, instead))
}

/// Reads the credential in the file `path`, which systemd made.
///
/// # Errors
/// Says what is wrong with the file.
pub(super) fn from_credential(path: &Path) -> Result<SecretString, Refusal> {
    let place = Place::Variable("CREDENTIALS_DIRECTORY");
    read(path, OPEN_TO_EVERYONE).map_err(|(what, instead)| Refusal::new(place, what, instead))
}

/// The secret in the variable `name`.
///
/// # Errors
/// When it has no text.
pub(super) fn from_variable(name: &'static str, text: String) -> Result<SecretString, Refusal> {
    one_line(text).ok_or_else(|| {
        Refusal::new(Place::Variable(name), "the secret is not one line of text", "give the secret and nothing else")
    })
}

/// What is wrong, and what to do instead.
type Problem = (String, String);

/// Looks at the opened file, not at whatever the path names a moment later.
fn read(path: &Path, forbidden: u32) -> Result<SecretString, Problem> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        (format!("the secret in {shown} cannot be read: {error}"), "name a file that only you can read".to_owned())
    };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() || about.size() > SECRET_BYTES_MAX {
        let what = format!("{shown} is not a file with a secret");
        return Err((what, "name a file with one line, the secret".to_owned()));
    }
    let mode = about.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        let what = format!("the secret in {shown} can be read or changed by others: its mode is {mode:04o}");
        return Err((what, format!("run: chmod 600 {shown}")));
    }
    let mut text = String::with_capacity(usize::try_from(about.size()).unwrap_or(0));
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    one_line(text).ok_or_else(|| {
        (format!("{shown} is not one line of text"), "write the secret into it and nothing else".to_owned())
    })
}

/// `text` without the line end that editors add; `None` when it is empty or has more lines.
fn one_line(mut text: String) -> Option<SecretString> {
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    let fits = !text.is_empty() && !text.chars().any(|c| matches!(c, '\r' | '\n' | '\0'));
    fits.then(|| SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use secrecy::ExposeSecret;

    use super::*;

    fn place() -> Place {
        Place::Variable("UPLOADFS_PASSWORD_FILE")
    }

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_secret_is_one_line_of_a_private_file() {
        for (content, mode) in [(&b"geheim\n"[..], 0o600), (b"geheim", 0o400), (b"geheim\r\n", 0o600)] {
            let secret = from_file(file(content, mode).path(), &place()).unwrap();
            assert_eq!(secret.expose_secret(), "geheim");
            assert!(!format!("{secret:?}").contains("geheim"));
        }
        let spaces = from_file(file(b" a b ", 0o600).path(), &place()).unwrap();
        assert_eq!(spaces.expose_secret(), " a b ", "spaces may belong to a password");
    }

    #[test]
    fn a_file_others_can_read_is_refused_with_path_and_mode() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o666] {
            let file = file(b"geheim", mode);
            let text = from_file(file.path(), &place()).unwrap_err().to_string();
            let path = file.path().display().to_string();
            assert!(text.contains(&path) && text.contains(&format!("0{mode:o}")), "{text}");
            assert!(text.contains("chmod 600") && !text.contains("geheim"), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_secret_is_refused() {
        for content in [&b""[..], b"\n", b"two\nlines\n", b"nul\0", b"\xff\xfe", &[b'x'; 70_000]] {
            from_file(file(content, 0o600).path(), &place()).unwrap_err();
        }
        from_file(Path::new("/"), &place()).unwrap_err();
        let missing = from_file(Path::new("/no/such/file"), &place()).unwrap_err().to_string();
        assert!(missing.contains("/no/such/file") && missing.contains("UPLOADFS_PASSWORD_FILE"), "{missing}");
        assert!(from_variable("UPLOADFS_PASSWORD", "a\nb".into()).is_err());
    }

    #[test]
    fn a_credential_may_show_rights_of_the_group() {
        assert_eq!(from_credential(file(b"geheim", 0o440).path()).unwrap().expose_secret(), "geheim");
        from_credential(file(b"geheim", 0o444).path()).unwrap_err();
    }
}
