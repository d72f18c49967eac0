//! What a person wants to know before mounting a wiki: who we are there, what we may do, and what each missing right
//! will mean. Lines of text; nothing is decided here.

use super::limits::{Limits, PIECE_MAX};
use super::session::{Account, Session};
use super::site::Site;
use crate::error::{Error, Kind, Result, printable};

const MIB: u64 = 1024 * 1024;

/// What the lack of a right means.
const RIGHTS: [(&str, &str); 6] = [
    ("edit", "nothing can be uploaded (EACCES)"),
    ("createpage", "only files that exist can be uploaded, as new versions (EACCES)"),
    ("reupload", "files of others cannot be replaced (EACCES)"),
    ("delete", "files cannot be removed (EACCES)"),
    ("movefile", "renaming a file uploads it again (mv copies)"),
    ("suppressredirect", "renaming a file leaves a redirect page under the old name"),
];

/// The report.
///
/// # Errors
/// `ReadOnly` and `Denied` when nothing could ever be uploaded.
pub(super) fn report(session: &Session, limits: &Limits) -> Result<Vec<String>> {
    let (site, account) = (&session.site, &session.account);
    if !site.uploads {
        let error =
            Error::new(Kind::ReadOnly, "check", format!("uploads are switched off on {}", printable(&site.name)));
        return Err(error.hint("the wiki's administrator sets $wgEnableUploads"));
    }
    if let Some(reason) = &account.blockreason {
        let reason = printable(reason).into_owned();
        return Err(Error::new(Kind::Denied, "check", format!("the account {} is blocked: {reason}", account.name)));
    }
    if !account.may("upload") {
        return Err(no_upload_right(&account.name));
    }
    let mut lines = vec![
        format!("wiki: {} ({})", printable(&site.name), printable(&site.generator)),
        format!("account: {}", printable(&account.name)),
    ];
    lines.extend(rights(account));
    lines.extend(site_lines(site));
    lines.push(match limits.piece() {
        PIECE_MAX => {
            "requests: up to 16 MiB are tried; smaller limits of the server are learned from its refusals".into()
        }
        learned => format!("requests: this server takes {} KiB at once", learned / 1024),
    });
    lines.extend(rates(account));
    Ok(lines)
}

/// The refusal for an account that may not upload at all.
pub(super) fn no_upload_right(account: &str) -> Error {
    Error::new(Kind::Denied, "check", format!("{} may not upload files to this wiki", printable(account)))
        .hint("the account needs the right `upload`; a bot password also needs the grant \"Upload new files\"")
}

fn rights(account: &Account) -> Vec<String> {
    let (have, lack): (Vec<_>, Vec<_>) = RIGHTS.iter().partition(|(right, _)| account.may(right));
    let have: Vec<&str> = std::iter::once("upload").chain(have.iter().map(|(right, _)| *right)).collect();
    let mut lines = vec![format!("rights: {}", have.join(", "))];
    lines.extend(lack.iter().map(|(right, means)| format!("no right `{right}`: {means}")));
    lines
}

fn site_lines(site: &Site) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(reason) = &site.read_only {
        lines.push(format!("the wiki is read-only now: {}", printable(reason)));
    }
    lines.push(match site.file_max {
        u64::MAX => "largest file: the wiki does not say".into(),
        bytes => format!("largest file: {} MiB", bytes / MIB),
    });
    let extensions: Vec<&str> = site.names.extensions().iter().map(String::as_str).collect();
    lines.push(format!("file types: {}", extensions.join(", ")));
    lines.push("contents: a wiki refuses empty files, and what looks like HTML, a script, or another type".into());
    lines
}

fn rates(account: &Account) -> Vec<String> {
    let line =
        |what: &str| account.limit(what).map(|(hits, seconds)| format!("rate: {hits} of `{what}` in {seconds} s"));
    ["upload", "move", "delete"].into_iter().filter_map(line).collect()
}
