//! What the errors of MediaWiki mean: one table from code and message key to kind, retry and advice. It is the only
//! place that knows the codes, but for those that steer a conversation (a lost session, a wrong offset), which have
//! names here.

use std::time::Duration;

use super::answers::ApiError;
use crate::error::{Error, Kind, Retry, printable};

/// Two versions of one file within one second are impossible; a little more than that.
const SAME_SECOND: Retry = Retry::After(Duration::from_millis(1200));
/// Server trouble that often passes.
const SOON: Retry = Retry::After(Duration::from_secs(2));
/// Trouble of the server that takes its time to pass.
const LATER: Retry = Retry::After(Duration::from_secs(30));
/// When the account's own window is not known.
const WINDOW: Retry = Retry::After(Duration::from_secs(60));
/// What a lagging replica asks for when it does not say.
const LAG: Retry = Retry::After(Duration::from_secs(5));

/// The wiki does not take us for who we said we are; nothing was done.
const SESSION_LOST: [&str; 7] = [
    "badtoken",
    "assertuserfailed",
    "assertnameduserfailed",
    "assertbotfailed",
    "mustbeloggedin",
    "notloggedin",
    "stashnotloggedin",
];

/// A row of the table. A `*` at the end of a code or key stands for anything.
struct Row {
    code: &'static str,
    key: &'static str,
    kind: Kind,
    retry: Retry,
    hint: &'static str,
}

const fn row(code: &'static str, kind: Kind, retry: Retry, hint: &'static str) -> Row {
    Row { code, key: "*", kind, retry, hint }
}

const fn stash(key: &'static str, kind: Kind, retry: Retry, hint: &'static str) -> Row {
    Row { code: "stashfailed", key, kind, retry, hint }
}

const CONTENT: &str = "the wiki checks contents: what looks like HTML or a script, or does not match its extension, is \
                       refused; an administrator can relax $wgVerifyMimeType and $wgDisableUploadScriptChecks";
const STASH_LOST: &str = "the wiki no longer has what was sent, or has already published it";
const RIGHTS: &str = "ask an administrator of the wiki for the right, and give a bot password the matching grant";

/// The first row that fits counts.
const TABLE: &[Row] = &[
    // Who we are.
    row("badtoken", Kind::SignedOut, Retry::Never, "the wiki keeps forgetting the session"),
    row("assert*", Kind::SignedOut, Retry::Never, "the wiki keeps forgetting the session"),
    row("mustbeloggedin*", Kind::SignedOut, Retry::Never, "this wiki wants an account"),
    row("notloggedin", Kind::SignedOut, Retry::Never, "this wiki wants an account"),
    row("stashnotloggedin", Kind::SignedOut, Retry::Never, "this wiki wants an account"),
    row("mwoauth-*", Kind::SignedOut, Retry::Never, "the wiki does not accept the OAuth token"),
    row("readapidenied", Kind::Denied, Retry::Never, "the wiki is private and the account may not read it"),
    row("permissiondenied", Kind::Denied, Retry::Never, RIGHTS),
    row("cantcreate*", Kind::Denied, Retry::Never, RIGHTS),
    row("protected*", Kind::Denied, Retry::Never, "the page of this file is protected"),
    row("cascadeprotected", Kind::Denied, Retry::Never, "the page of this file is protected"),
    row("fileexists-shared-forbidden", Kind::Denied, Retry::Never, "a shared repository has a file of this name"),
    row("fileexists-forbidden", Kind::Denied, Retry::Never, "the account may not replace files of others (`reupload`)"),
    row("titleblacklist-*", Kind::Denied, Retry::Never, "the wiki forbids this title; try another name"),
    row("blocked", Kind::Denied, Retry::Never, "the account is blocked on this wiki"),
    row("autoblocked", Kind::Denied, Retry::Never, "the account or its address is blocked on this wiki"),
    row("abusefilter-*", Kind::Refused, Retry::Never, "a filter of the wiki forbids this"),
    row("hookaborted", Kind::Refused, Retry::Never, "an extension of the wiki forbids this"),
    // What the wiki can do now.
    row("uploaddisabled", Kind::ReadOnly, Retry::Never, "uploads are switched off on this wiki ($wgEnableUploads)"),
    row("readonly", Kind::ReadOnly, SOON, "the wiki is under maintenance; try again in some minutes"),
    row("ratelimited", Kind::Quota, WINDOW, "the account may only do so much in a given time"),
    row("actionthrottledtext", Kind::Quota, WINDOW, "the account may only do so much in a given time"),
    row("maxlag", Kind::Busy, LAG, ""),
    // Names.
    row("illegal-filename", Kind::BadName, Retry::Never, ""),
    row("filename-tooshort", Kind::BadName, Retry::Never, ""),
    row("badfilename", Kind::BadName, Retry::Never, ""),
    row("invalidtitle", Kind::BadName, Retry::Never, ""),
    row("imageinvalidfilename", Kind::BadName, Retry::Never, ""),
    row("nonfilenamespace", Kind::BadName, Retry::Never, ""),
    row("windows-nonascii-filename", Kind::BadName, Retry::Never, "this server stores only ASCII names"),
    row("filename-toolong", Kind::NameTooLong, Retry::Never, "names may have 240 bytes"),
    row("filetype-missing", Kind::Refused, Retry::Never, "the name needs an extension the wiki allows"),
    row("filetype-banned*", Kind::Refused, Retry::Never, "the wiki forbids this kind of file"),
    row("filetype-unwanted-type", Kind::Refused, Retry::Never, "the wiki does not want this kind of file"),
    row("badtags", Kind::Invalid, Retry::Never, ""),
    // Contents.
    row("verification-error", Kind::Refused, Retry::Never, CONTENT),
    row("filetype-bad*", Kind::Refused, Retry::Never, CONTENT),
    row("uploadscripted", Kind::Refused, Retry::Never, CONTENT),
    row("uploadvirus", Kind::Refused, Retry::Never, "the wiki's virus scanner refuses the content"),
    row("empty-file", Kind::Invalid, Retry::Never, "a wiki has no empty files"),
    row("file-too-large", Kind::TooLarge, Retry::Never, "larger than the wiki's $wgMaxUploadSize"),
    row("invalid-chunk", Kind::TooLarge, Retry::Never, "larger than the wiki's $wgMaxUploadSize"),
    row("chunk-too-small", Kind::Server, Retry::Never, ""),
    // One request. What is too large for the web server is handled where it is sent.
    Row {
        code: "badupload",
        key: "paramvalidator-badupload-cantwrite",
        kind: Kind::ServerFull,
        retry: LATER,
        hint: "the wiki's \
        temporary disk is full",
    },
    Row {
        code: "badupload",
        key: "paramvalidator-badupload-inisize",
        kind: Kind::TooLarge,
        retry: Retry::Never,
        hint: "",
    },
    row("badupload", Kind::Server, SOON, ""),
    // The stash.
    stash("filetype-*", Kind::Refused, Retry::Never, CONTENT),
    stash("uploadscripted*", Kind::Refused, Retry::Never, CONTENT),
    stash("verification-error", Kind::Refused, Retry::Never, CONTENT),
    stash("uploadvirus", Kind::Refused, Retry::Never, CONTENT),
    stash("file-too-large", Kind::TooLarge, Retry::Never, "larger than the wiki's $wgMaxUploadSize"),
    stash("*", Kind::Server, Retry::AskFirst, STASH_LOST),
    row("missingresult", Kind::Server, Retry::AskFirst, STASH_LOST),
    row("uploadstash-file-not-found", Kind::Server, Retry::AskFirst, STASH_LOST),
    row("uploadstash-bad-path*", Kind::Server, Retry::AskFirst, STASH_LOST),
    Row {
        code: "uploadstash-exception",
        key: "*ZeroLength*",
        kind: Kind::Invalid,
        retry: Retry::Never,
        hint: "a wiki has no \
        empty files",
    },
    row("uploadstash-exception", Kind::Server, SOON, "the wiki could not store the data; its disk may be full"),
    row("uploadstash-wrong-owner", Kind::Server, Retry::AskFirst, "the upload was begun by another account"),
    row("invalid-file-key", Kind::Server, Retry::Never, ""),
    row("filekey*", Kind::Server, Retry::Never, ""),
    row("publishfailed", Kind::Busy, Retry::AskFirst, "the wiki is still publishing this file"),
    // Two at once.
    row("backend-fail-alreadyexists", Kind::Busy, SAME_SECOND, "the wiki takes one version per second"),
    row("lockmanager-fail-conflict", Kind::Busy, SAME_SECOND, "somebody else is changing this file"),
    row("editconflict", Kind::Busy, SAME_SECOND, ""),
    // The server itself.
    row("directorycreateerror", Kind::Server, SOON, "the wiki cannot write to its upload directory"),
    row("backend-fail-*", Kind::Server, SOON, "the wiki's file store fails"),
    row(
        "internal_api_error_UploadChunkFileException",
        Kind::Server,
        SOON,
        "the wiki could not store the data; its disk \
        may be full",
    ),
    row(
        "internal_api_error_*",
        Kind::Server,
        SOON,
        "the wiki failed inside; its administrator finds the reason in its log",
    ),
    // Deleting and moving.
    row("missingtitle", Kind::NotFound, Retry::Never, ""),
    row("cantdelete", Kind::NotFound, Retry::Never, ""),
    row("articleexists", Kind::Exists, Retry::Never, ""),
    row("redirectexists", Kind::Exists, Retry::Never, "a redirect page has this name"),
    row("filetypemismatch", Kind::CrossDevice, Retry::Never, "the wiki only renames files whose type it recognises"),
];

/// The meaning of a code nobody here has heard of: a definite refusal.
const UNKNOWN: Row = row("*", Kind::Server, Retry::Never, "");

/// Whether the wiki has lost our session: nothing was done, and a new sign-in helps.
pub(super) fn is_session_lost(errors: &[ApiError]) -> bool {
    errors.iter().any(|error| SESSION_LOST.contains(&error.code.as_str()))
}

/// The byte the wiki wants next, when the request was refused for standing at another one. A chunk refused for its
/// content has the same code, but another key.
pub(super) fn wanted_offset(errors: &[ApiError]) -> Option<u64> {
    let error = errors.first()?;
    (error.code == "stashfailed" && error.key == "invalid-chunk-offset").then_some(error.data.offset)?
}

/// The byte at which a chunk was refused for its content: there it began.
pub(super) fn refused_beginning(errors: &[ApiError]) -> Option<u64> {
    let error = errors.first().filter(|error| error.code == "stashfailed" && error.key != "invalid-chunk-offset")?;
    let told = self::error("upload", std::slice::from_ref(error));
    (told.kind == Kind::Refused).then_some(error.data.offset)?
}

/// Whether the server cannot read a chunk that it has confirmed.
pub(super) fn is_chunk_lost(errors: &[ApiError]) -> bool {
    errors.first().is_some_and(|error| error.code == "stashfailed" && error.key.starts_with("backend-fail-"))
}

/// The largest file in one request, when the server says so.
pub(super) fn file_limit(errors: &[ApiError]) -> Option<u64> {
    let error = errors.iter().find(|error| error.code == "badupload")?;
    (error.data.code.as_deref() == Some("inisize")).then_some(error.data.size)?
}

/// Whether the body was dropped by the server before MediaWiki saw it: even the token is missing.
pub(super) fn is_body_dropped(errors: &[ApiError]) -> bool {
    errors.iter().any(|error| {
        error.code == "missingparam" && error.params.iter().any(|param| param.to_string().contains("\"token\""))
    })
}

/// Whether the first error has this code.
pub(super) fn is(errors: &[ApiError], code: &str) -> bool {
    errors.first().is_some_and(|error| error.code == code)
}

/// The error of `op` that the answer means. Of several errors the first one that is in the table counts.
pub(super) fn error(op: &'static str, errors: &[ApiError]) -> Error {
    let found = errors.iter().find_map(|error| TABLE.iter().find(|row| fits(row, error)).map(|row| (row, error)));
    let Some((row, error)) = found.or_else(|| errors.first().map(|error| (&UNKNOWN, error))) else {
        return Error::new(Kind::Protocol, op, "the wiki reports a failure without saying which");
    };
    let told = Error::new(row.kind, op, describe(error)).retry(row.retry);
    if row.hint.is_empty() { told } else { told.hint(row.hint) }
}

fn fits(row: &Row, error: &ApiError) -> bool {
    matches(row.code, &error.code)
        && (matches(row.key, &error.key) || error.params.iter().any(|param| matches(row.key, &param.to_string())))
}

/// Whether `text` is `pattern`, in which a `*` at either end stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(tail), Some(_)) => text.contains(tail.trim_end_matches('*')),
        (Some(tail), None) => text.ends_with(tail),
        (None, Some(head)) => text.starts_with(head),
        (None, None) => text == pattern,
    }
}

/// What the wiki said, in one line.
fn describe(error: &ApiError) -> String {
    let mut text = format!("the wiki says {}", error.code);
    let key = error.key.trim_start_matches("apierror-");
    if !key.is_empty() && key != error.code {
        text.push_str(&format!(", {key}"));
    }
    let params: Vec<String> = error.params.iter().filter_map(param).collect();
    let block = error.data.blockinfo.as_ref();
    let details = [
        params.join(", "),
        error.info.clone(),
        error.data.readonlyreason.clone().unwrap_or_default(),
        block.map(|block| block.blockreason.clone()).unwrap_or_default(),
        block
            .filter(|block| !block.blockexpiry.is_empty())
            .map(|b| format!("until {}", b.blockexpiry))
            .unwrap_or_default(),
    ];
    for detail in details.iter().filter(|detail| !detail.is_empty()) {
        text.push_str(&format!(": {detail}"));
    }
    printable(&text).into_owned()
}

/// A parameter of a message in words; what is nested deeper tells people nothing.
fn param(param: &serde_json::Value) -> Option<String> {
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    plain(param).or_else(|| plain(param.as_object()?.get("key").or_else(|| param.as_object()?.values().next())?))
}

#[cfg(test)]
mod tests;
