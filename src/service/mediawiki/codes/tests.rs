//! The catalogue of the protocol sheet, row by row, and the words that people get.

use serde_json::json;

use super::*;

fn api_error(value: serde_json::Value) -> ApiError {
    serde_json::from_value(value).unwrap()
}

fn coded(code: &str, key: &str) -> Error {
    error("upload", &[api_error(json!({ "code": code, "key": key }))])
}

#[test]
fn every_known_code_has_its_errno() {
    let table: &[(i32, &[&str])] = &[
        (libc::EACCES, &["badtoken", "assertuserfailed", "assertnameduserfailed", "mustbeloggedin", "notloggedin"]),
        (libc::EACCES, &["stashnotloggedin", "permissiondenied", "readapidenied", "protectedpage", "blocked"]),
        (libc::EACCES, &["fileexists-forbidden", "fileexists-shared-forbidden", "titleblacklist-forbidden-edit"]),
        (libc::EACCES, &["autoblocked"]),
        (libc::EPERM, &["abusefilter-disallowed", "abusefilter-warning", "hookaborted", "filetype-missing"]),
        (libc::EPERM, &["filetype-banned", "filetype-banned-type", "filetype-unwanted-type", "verification-error"]),
        (libc::EPERM, &["filetype-badmime", "filetype-bad-ie-mime", "uploadscripted", "uploadvirus"]),
        (libc::EROFS, &["uploaddisabled", "readonly"]),
        (libc::EDQUOT, &["ratelimited", "actionthrottledtext"]),
        (libc::EBUSY, &["maxlag", "backend-fail-alreadyexists", "lockmanager-fail-conflict", "publishfailed"]),
        (libc::EINVAL, &["illegal-filename", "filename-tooshort", "invalidtitle", "imageinvalidfilename", "badtags"]),
        (libc::EINVAL, &["windows-nonascii-filename", "empty-file"]),
        (libc::ENAMETOOLONG, &["filename-toolong"]),
        (libc::EFBIG, &["file-too-large", "invalid-chunk"]),
        (libc::EIO, &["chunk-too-small", "missingresult", "uploadstash-file-not-found", "uploadstash-bad-path"]),
        (libc::EIO, &["uploadstash-exception", "uploadstash-wrong-owner", "invalid-file-key", "filekeyneeded"]),
        (libc::EIO, &["filekeynotallowed", "directorycreateerror", "backend-fail-internal", "stashfailed"]),
        (libc::EIO, &["internal_api_error_UploadChunkFileException", "internal_api_error_DBQueryError"]),
        (libc::ENOENT, &["missingtitle"]),
        (libc::EEXIST, &["articleexists", "redirectexists"]),
        (libc::EXDEV, &["filetypemismatch"]),
        (libc::EIO, &["a-code-of-an-extension"]),
    ];
    for (errno, codes) in table {
        for code in *codes {
            assert_eq!(coded(code, "").errno(), *errno, "{code}");
        }
    }
}

#[test]
fn one_code_of_many_meanings_is_told_apart_by_its_key() {
    let stash = |key| (coded("stashfailed", key).kind, coded("stashfailed", key).retry);
    for content in ["filetype-badmime", "filetype-bad-ie-mime", "uploadscripted", "verification-error", "uploadvirus"] {
        assert_eq!(stash(content), (Kind::Refused, Retry::Never), "{content}");
    }
    assert_eq!(stash("file-too-large"), (Kind::TooLarge, Retry::Never));
    for lost in ["apierror-stashfailed-complete", "apierror-stashfailed-nosession", "backend-fail-read", "anything"] {
        assert_eq!(stash(lost), (Kind::Server, Retry::AskFirst), "{lost}");
    }
    let empty = api_error(json!({ "code": "uploadstash-exception", "key": "uploadstash-exception",
        "params": ["UploadStashZeroLengthFileException", "File is zero length."] }));
    assert_eq!(error("upload", &[empty]).kind, Kind::Invalid);
    assert_eq!(coded("badupload", "paramvalidator-badupload-cantwrite").errno(), libc::ENOSPC);
}

#[test]
fn an_offset_is_wanted_only_by_a_chunk_out_of_step() {
    let chunk = |key: &str, offset: serde_json::Value| {
        wanted_offset(&[api_error(json!({ "code": "stashfailed", "key": key, "data": { "offset": offset } }))])
    };
    assert_eq!(chunk("invalid-chunk-offset", json!("4096")), Some(4096));
    assert_eq!(chunk("invalid-chunk-offset", json!(4096)), Some(4096));
    assert_eq!(chunk("invalid-chunk-offset", json!("x")), None);
    assert_eq!(chunk("filetype-badmime", json!("3000")), None, "refused for its content");
    assert_eq!(wanted_offset(&[]), None);
}

#[test]
fn what_is_too_large_is_recognised() {
    let inisize = api_error(json!({ "code": "badupload", "key": "paramvalidator-badupload-inisize",
        "data": { "code": "inisize", "size": 2_097_152 } }));
    assert_eq!(file_limit(&[inisize]), Some(2 << 20));
    let dropped = json!({ "code": "missingparam", "key": "paramvalidator-missingparam",
        "params": [{ "plaintext": "token" }], "module": "upload" });
    assert!(is_body_dropped(&[api_error(dropped)]));
    let other = json!({ "code": "missingparam", "params": [{ "plaintext": "filename" }] });
    assert!(!is_body_dropped(&[api_error(other)]));
}

#[test]
fn retries_are_as_long_as_they_must_be() {
    let after = |code| match coded(code, "").retry {
        Retry::After(wait) => wait,
        other => panic!("{code}: {other:?}"),
    };
    assert!(after("backend-fail-alreadyexists") > Duration::from_secs(1), "archive names have seconds");
    assert!(after("lockmanager-fail-conflict") > Duration::from_secs(1));
    assert!(after("readonly") <= Duration::from_secs(5), "a person waits in front of it, several times over");
    assert!(after("ratelimited") >= Duration::from_secs(60));
}

#[test]
fn people_are_told_what_the_wiki_said_and_what_to_do() {
    let readonly =
        json!({ "code": "readonly", "key": "apierror-readonly", "data": { "readonlyreason": "moving house" } });
    let text = error("upload", &[api_error(readonly)]).to_string();
    assert!(text.contains("readonly: moving house (the wiki is under maintenance"), "{text}");
    let blocked = json!({ "code": "blocked", "key": "apierror-blocked",
        "data": { "blockinfo": { "blockreason": "spam", "blockexpiry": "infinity", "blockid": null } } });
    let text = error("upload", &[api_error(blocked)]).to_string();
    assert!(text.contains("spam") && text.contains("until infinity"), "{text}");
    let verification =
        json!({ "code": "verification-error", "key": "filetype-mime-mismatch", "params": ["png", "text/plain"] });
    let text = error("upload", &[api_error(verification)]).to_string();
    assert!(text.contains("filetype-mime-mismatch: png, text/plain"), "{text}");
    let hostile = json!({ "code": "x", "info": format!("a\n\u{1b}[31m{}", "y".repeat(100_000)) });
    let text = error("upload", &[api_error(hostile)]).to_string();
    assert!(!text.contains('\n') && !text.contains('\u{1b}') && text.len() < 1000, "{text}");
}

#[test]
fn of_several_errors_the_known_one_counts() {
    let errors = ["strange", "articleexists", "filetypemismatch"].map(|code| api_error(json!({ "code": code })));
    assert_eq!(error("rename", &errors).kind, Kind::Exists);
    assert_eq!(error("rename", &[]).kind, Kind::Protocol);
}

#[test]
fn lost_sessions_are_recognised_wherever_they_stand() {
    assert!(is_session_lost(&[api_error(json!({ "code": "badtoken" }))]));
    assert!(is_session_lost(&[
        api_error(json!({ "code": "x" })),
        api_error(json!({ "code": "assertnameduserfailed" }))
    ]));
    assert!(!is_session_lost(&[api_error(json!({ "code": "permissiondenied" }))]));
}
