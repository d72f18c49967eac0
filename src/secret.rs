//! Secrets that lie in files: taken only from files that nobody else can read or change, and taken again when somebody
//! has written a new one, as refreshers of short-lived tokens do. A secret is never part of a message, only its file is.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

/// The largest secret, in bytes: tokens have some thousand, a longer file is something else.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What is wrong with a secret, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// What to do instead.
    pub instead: String,
}

/// Who made the file of a secret, which decides what others may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A person: nobody else may have any right.
    Person,
    /// systemd, which gives a credential to an unprivileged service by an ACL, whose mask shows as rights of the group.
    Systemd,
}

impl Keeper {
    /// The rights of others that make a file unfit.
    fn forbidden(self) -> u32 {
        match self {
            Keeper::Person => 0o077,
            Keeper::Systemd => 0o007,
        }
    }
}

/// Reads the secret in the file `path`. Looks at the opened file, not at whatever the path names a moment later.
///
/// # Errors
/// Says what is wrong with the file, and with its mode when others can read it.
pub fn read(path: &Path, keeper: Keeper) -> Result<SecretString, Problem> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Problem {
        what: format!("the secret in {shown} cannot be read: {error}"),
        instead: "name a file that only you can read".to_owned(),
    };
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() || about.size() > SECRET_BYTES_MAX {
        let what = format!("{shown} is not a file with a secret");
        return Err(Problem { what, instead: "name a file with one line, the secret".to_owned() });
    }
    let mode = about.permissions().mode() & 0o7777;
    if mode & keeper.forbidden() != 0 {
        let what = format!("the secret in {shown} can be read or changed by others: its mode is {mode:04o}");
        return Err(Problem { what, instead: format!("run: chmod 600 {shown}") });
    }
    let mut text = String::with_capacity(usize::try_from(about.size()).unwrap_or(0));
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    one_line(text).ok_or_else(|| Problem {
        what: format!("{shown} is not one line of text"),
        instead: "write the secret into it and nothing else".to_owned(),
    })
}

/// `text` without the line end that editors add; `None` when it is empty or has more lines.
pub fn one_line(mut text: String) -> Option<SecretString> {
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    let fits = !text.is_empty() && !text.chars().any(|c| matches!(c, '\r' | '\n' | '\0'));
    fits.then(|| SecretString::from(text))
}

/// A token, and where a newer one may be found. `Debug` shows no secret.
pub struct Token {
    file: Option<(PathBuf, Keeper)>,
    current: Mutex<SecretString>,
}

impl Token {
    /// A token that stays as it is.
    pub fn fixed(secret: SecretString) -> Token {
        Token { file: None, current: Mutex::new(secret) }
    }

    /// The token in a file, which may be written anew while we run.
    ///
    /// # Errors
    /// As [`read`].
    pub fn of_file(path: PathBuf, keeper: Keeper) -> Result<Token, Problem> {
        let current = Mutex::new(read(&path, keeper)?);
        Ok(Token { file: Some((path, keeper)), current })
    }

    /// The token as it was last read.
    pub fn current(&self) -> SecretString {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file it comes from.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Reads the file again: whether there is another token than before. Waits for the disk.
    ///
    /// # Errors
    /// As [`read`]; the token stays as it was.
    pub fn read_again(&self) -> Result<bool, Problem> {
        let Some((path, keeper)) = &self.file else { return Ok(false) };
        let found = read(path, *keeper)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = found.expose_secret() != current.expose_secret();
        if is_new {
            *current = found;
        }
        Ok(is_new)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("path", &self.path()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn file(content: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    fn read_text(content: &[u8], mode: u32, keeper: Keeper) -> Result<String, Problem> {
        let file = file(content, mode);
        let secret = read(file.path(), keeper)?;
        assert!(!format!("{secret:?}").contains("geheim"));
        Ok(secret.expose_secret().to_owned())
    }

    #[test]
    fn a_secret_is_one_line_of_a_private_file() {
        for (content, mode) in [(&b"geheim\n"[..], 0o600), (b"geheim", 0o400), (b"geheim\r\n", 0o600)] {
            assert_eq!(read_text(content, mode, Keeper::Person).unwrap(), "geheim");
        }
        let spaces = read_text(b" a b ", 0o600, Keeper::Person).unwrap();
        assert_eq!(spaces, " a b ", "spaces may belong to a password");
    }

    #[test]
    fn a_file_others_can_read_is_refused_with_path_and_mode() {
        for mode in [0o644, 0o640, 0o604, 0o620, 0o666] {
            let file = file(b"geheim", mode);
            let problem = read(file.path(), Keeper::Person).unwrap_err();
            let path = file.path().display().to_string();
            assert!(problem.what.contains(&path) && problem.what.contains(&format!("0{mode:o}")), "{problem:?}");
            assert!(problem.instead.contains("chmod 600") && !problem.what.contains("geheim"), "{problem:?}");
        }
    }

    #[test]
    fn what_is_not_a_secret_is_refused() {
        for content in [&b""[..], b"\n", b"two\nlines\n", b"nul\0", b"\xff\xfe", &[b'x'; 70_000]] {
            read_text(content, 0o600, Keeper::Person).unwrap_err();
        }
        read(Path::new("/"), Keeper::Person).unwrap_err();
        assert!(one_line("a\nb".into()).is_none());
    }

    #[test]
    fn a_credential_may_show_rights_of_the_group() {
        assert_eq!(read_text(b"geheim", 0o440, Keeper::Systemd).unwrap(), "geheim");
        read_text(b"geheim", 0o444, Keeper::Systemd).unwrap_err();
    }

    #[test]
    fn a_token_that_was_written_anew_is_found() {
        let file = file(b"first\n", 0o600);
        let token = Token::of_file(file.path().to_owned(), Keeper::Person).unwrap();
        assert_eq!(token.read_again(), Ok(false));
        std::fs::write(file.path(), "second\n").unwrap();
        assert_eq!(token.current().expose_secret(), "first", "nothing is read unasked");
        assert_eq!(token.read_again(), Ok(true));
        assert_eq!(token.current().expose_secret(), "second");
        assert!(!format!("{token:?}").contains("second"));
    }

    #[test]
    fn a_token_outlives_a_file_that_cannot_be_read() {
        let file = file(b"first\n", 0o600);
        let token = Token::of_file(file.path().to_owned(), Keeper::Person).unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
        assert!(token.read_again().unwrap_err().what.contains("0644"));
        assert_eq!(token.current().expose_secret(), "first");
        assert_eq!(Token::fixed("x".into()).read_again(), Ok(false));
    }
}
