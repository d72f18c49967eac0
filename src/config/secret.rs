//! Takes a secret from where a person put it: a file, a variable, a credential that systemd hands over. Never from the
//! command line. What makes a file fit for a secret is in [`crate::secret`]; here its place becomes part of the refusal.

use std::path::PathBuf;

use super::refusal::{Place, Refusal};
use crate::secret::{Keeper, Problem, Token, one_line};

/// The token in the file `path`, which was named at `place`.
///
/// # Errors
/// Says what is wrong with the file, and with its mode when others can read it.
pub(super) fn from_file(path: PathBuf, place: &Place) -> Result<Token, Refusal> {
    Token::of_file(path, Keeper::Person).map_err(|problem| refusal(place.clone(), problem))
}

/// The credential in the file `path`, which systemd made.
///
/// # Errors
/// Says what is wrong with the file.
pub(super) fn from_credential(path: PathBuf) -> Result<Token, Refusal> {
    let place = Place::Variable("CREDENTIALS_DIRECTORY");
    Token::of_file(path, Keeper::Systemd).map_err(|problem| refusal(place, problem))
}

/// The secret in the variable `name`.
///
/// # Errors
/// When it has no text.
pub(super) fn from_variable(name: &'static str, text: String) -> Result<Token, Refusal> {
    one_line(text).map(Token::fixed).ok_or_else(|| {
        Refusal::new(Place::Variable(name), "the secret is not one line of text", "give the secret and nothing else")
    })
}

/// The problem of a secret, as a refusal of what named it.
fn refusal(place: Place, problem: Problem) -> Refusal {
    Refusal::new(place, problem.what, problem.instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_place_and_the_file() {
        let place = Place::Variable("UPLOADFS_PASSWORD_FILE");
        let missing = from_file("/no/such/file".into(), &place).unwrap_err().to_string();
        assert!(missing.contains("/no/such/file") && missing.contains("UPLOADFS_PASSWORD_FILE"), "{missing}");
        let missing = from_credential("/no/such/file".into()).unwrap_err().to_string();
        assert!(missing.contains("/no/such/file") && missing.contains("CREDENTIALS_DIRECTORY"), "{missing}");
        assert!(from_variable("UPLOADFS_PASSWORD", "a\nb".into()).is_err());
    }
}
