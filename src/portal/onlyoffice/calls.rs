//! What a request asks for, by its method, path and query: the addresses of the API and of the two handlers. It decides
//! nothing about rights or about what exists.

use axum::http::Method;

use super::fields::Fields;
use super::generation::{Family, Version};

/// A folder as an address names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FolderName {
    /// By its number.
    Id(u64),
    /// A section: `@my`, `@trash`.
    Section(String),
}

/// What happens to entries, later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Move,
    Copy,
    Delete,
}

/// A step of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next chunk, without a number.
    Plain,
    /// The chunk of this number.
    Numbered(Option<u32>),
    Finalize,
    Abort,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Version,
    Settings,
    SignIn,
    SecondFactor(String),
    SignOut,
    Me,
    UpdateIfExist,
    Roots,
    Rooms,
    List(FolderName),
    FolderInfo(u64),
    MakeFolder(u64),
    RenameFolder(u64),
    DeleteFolder(u64),
    FileInfo(u64),
    History(u64),
    RenameFile(u64),
    DeleteFile(u64),
    CopyAs(u64),
    Lock(u64),
    EditSession(u64),
    CreateSession {
        folder: FolderName,
        wrapped: bool,
    },
    UploadCheck(u64),
    UploadWhole(FolderName),
    UpdateFile(u64),
    Step {
        session: String,
        step: Step,
    },
    Operate(Deed),
    Operations,
    /// The upload handler.
    Handler(Option<Step>),
    /// The upload handler is asked for a session.
    HandlerInitiate,
    /// The download handler.
    Download,
    Unknown,
}

impl Call {
    /// The kind, as the scripts of faults name it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Call::Version => "version",
            Call::Settings => "settings",
            Call::SignIn | Call::SecondFactor(_) => "sign_in",
            Call::SignOut => "sign_out",
            Call::Me => "self",
            Call::UpdateIfExist => "update_if_exist",
            Call::Roots | Call::Rooms | Call::List(_) => "list",
            Call::FolderInfo(_) => "folder_info",
            Call::MakeFolder(_) => "mkdir",
            Call::RenameFolder(_) | Call::RenameFile(_) => "rename",
            Call::DeleteFolder(_) | Call::DeleteFile(_) | Call::Operate(Deed::Delete) => "delete",
            Call::FileInfo(_) => "file_info",
            Call::History(_) => "history",
            Call::CopyAs(_) => "copy_as",
            Call::Lock(_) => "lock",
            Call::EditSession(_) => "edit_session",
            Call::CreateSession { .. } | Call::HandlerInitiate => "create_session",
            Call::UploadCheck(_) => "upload_check",
            Call::UploadWhole(_) => "upload_whole",
            Call::UpdateFile(_) => "update_file",
            Call::Step { step, .. } | Call::Handler(Some(step)) => match step {
                Step::Plain | Step::Numbered(_) => "chunk",
                Step::Finalize => "finalize",
                Step::Abort => "abort",
            },
            Call::Operate(Deed::Move) => "move",
            Call::Operate(Deed::Copy) => "copy",
            Call::Operations => "operations",
            Call::Download => "download",
            Call::Handler(None) | Call::Unknown => "unknown",
        }
    }
}

/// The call behind an address.
pub(super) fn route(version: Version, method: &Method, path: &str, query: &str) -> Call {
    let lower = path.to_lowercase();
    // Any path with this end is the handler's.
    if lower.ends_with("chunkeduploader.ashx") {
        return handler(version, &Fields::of_query(query));
    }
    if lower.ends_with("filehandler.ashx") {
        return Call::Download;
    }
    let Some(rest) = lower.strip_prefix("/api/2.0/") else { return Call::Unknown };
    let rest = match version.family() {
        Family::Community => rest.strip_suffix(".json").unwrap_or(rest),
        Family::Docspace => rest,
    };
    let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
    let verb = method.as_str();
    match (verb, segments.as_slice()) {
        ("GET", ["settings", "version", "build"]) => Call::Version,
        ("POST", ["authentication"]) => Call::SignIn,
        ("POST", ["authentication", "logout"]) => Call::SignOut,
        ("POST", ["authentication", code]) => Call::SecondFactor((*code).to_owned()),
        ("GET", ["people", "@self"]) => Call::Me,
        (_, ["files", rest @ ..]) => files(version, verb, rest),
        _ => Call::Unknown,
    }
}

fn handler(version: Version, query: &Fields) -> Call {
    let is = |name| query.text(name) == Some("true");
    let has_session = query.text("uid").is_some_and(|session| !session.is_empty());
    if is("initiate") && query.text("filetitle").is_some() && query.number("folderid").is_some() {
        return Call::HandlerInitiate;
    }
    if !has_session {
        return Call::Handler(None);
    }
    Call::Handler(Some(if is("abort") {
        Step::Abort
    } else if is("finalize") && version.numbers_chunks() {
        Step::Finalize
    } else if is("upload") && version.numbers_chunks() {
        Step::Numbered(query.number("chunknumber").and_then(|number| u32::try_from(number).ok()))
    } else {
        Step::Plain
    }))
}

fn folder_name(segment: &str) -> Option<FolderName> {
    if segment.starts_with('@') {
        return Some(FolderName::Section(segment.to_owned()));
    }
    Some(FolderName::Id(segment.parse().ok()?))
}

/// Below `files/`.
fn files(version: Version, verb: &str, segments: &[&str]) -> Call {
    match (verb, segments) {
        ("GET", ["settings"]) if !version.is_community() => Call::Settings,
        ("PUT", ["updateifexist"]) => Call::UpdateIfExist,
        ("GET", ["@root"]) => Call::Roots,
        ("GET", ["rooms"]) if !version.is_community() => Call::Rooms,
        ("GET", ["fileops"]) => Call::Operations,
        ("PUT", ["fileops", "move"]) => Call::Operate(Deed::Move),
        ("PUT", ["fileops", "copy"]) => Call::Operate(Deed::Copy),
        ("PUT", ["fileops", "delete"]) => Call::Operate(Deed::Delete),
        (_, ["folder", id]) => id.parse().map_or(Call::Unknown, |id| folder(verb, id)),
        (_, ["file", id, rest @ ..]) => id.parse().map_or(Call::Unknown, |id| file(verb, id, rest)),
        _ => below_folder(version, verb, segments),
    }
}

fn folder(verb: &str, id: u64) -> Call {
    match verb {
        "GET" => Call::FolderInfo(id),
        "POST" => Call::MakeFolder(id),
        "PUT" => Call::RenameFolder(id),
        "DELETE" => Call::DeleteFolder(id),
        _ => Call::Unknown,
    }
}

fn file(verb: &str, id: u64, rest: &[&str]) -> Call {
    match (verb, rest) {
        ("GET", []) => Call::FileInfo(id),
        ("PUT", []) => Call::RenameFile(id),
        ("DELETE", []) => Call::DeleteFile(id),
        ("GET", ["history"]) => Call::History(id),
        ("POST", ["copyas"]) => Call::CopyAs(id),
        ("PUT", ["lock"]) => Call::Lock(id),
        ("POST", ["edit_session"]) => Call::EditSession(id),
        ("PUT", ["saveediting"]) => Call::UpdateFile(id),
        _ => Call::Unknown,
    }
}

/// Addresses that begin with a folder, but for `files/{file}/update`.
fn below_folder(version: Version, verb: &str, segments: &[&str]) -> Call {
    let Some((first, rest)) = segments.split_first() else { return Call::Unknown };
    let Some(name) = folder_name(first) else { return Call::Unknown };
    let id = match name {
        FolderName::Id(id) => Some(id),
        FolderName::Section(_) => None,
    };
    match (verb, rest) {
        ("GET", []) => Call::List(name),
        ("POST", ["upload", "create_session"]) => Call::CreateSession { folder: name, wrapped: true },
        ("POST", ["upload", "check"]) if version.has_upload_check() => id.map_or(Call::Unknown, Call::UploadCheck),
        ("POST", ["upload" | "insert"]) => Call::UploadWhole(name),
        ("PUT", ["update"]) => id.map_or(Call::Unknown, Call::UpdateFile),
        (_, ["session", rest @ ..]) if version.has_session_calls() => session(verb, name, rest),
        _ => Call::Unknown,
    }
}

/// The calls of DocSpace 3.7. The folder in them selects a kind of id, and nothing else.
fn session(verb: &str, folder: FolderName, rest: &[&str]) -> Call {
    let step = |session: &str, step| Call::Step { session: session.to_owned(), step };
    match (verb, rest) {
        ("POST", []) => Call::CreateSession { folder, wrapped: false },
        ("POST", [session]) => step(session, Step::Plain),
        // The number stands in the query, which the handler of the call reads.
        ("POST", [session, "upload"]) => step(session, Step::Numbered(None)),
        ("PUT", [session, "finalize"]) => step(session, Step::Finalize),
        ("DELETE", [session]) => step(session, Step::Abort),
        _ => Call::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::generation::Generation;
    use super::*;

    fn call(generation: Generation, request: &str) -> Call {
        let (method, address) = request.split_once(' ').unwrap();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        route(generation.version(), &method.parse().unwrap(), path, query)
    }

    fn handled(step: Step) -> Call {
        Call::Handler(Some(step))
    }

    #[test]
    fn the_handler_dispatches_in_its_order() {
        let newest = |query: &str| call(Generation::G3, &format!("POST /any/where/ChunkedUploader.ashx?{query}"));
        assert_eq!(newest("uid=a"), handled(Step::Plain));
        assert_eq!(newest("uid=a&chunkNumber=3&upload=true"), handled(Step::Numbered(Some(3))));
        assert_eq!(newest("uid=a&chunkNumber=3"), handled(Step::Plain), "a number alone is ignored");
        assert_eq!(newest("uid=a&upload=true"), handled(Step::Numbered(None)));
        assert_eq!(newest("uid=a&upload=true&finalize=true"), handled(Step::Finalize));
        assert_eq!(newest("uid=a&upload=true&finalize=true&abort=true"), handled(Step::Abort));
        assert_eq!(newest("uid=a&abort=true&initiate=true&folderid=3&filetitle=x"), Call::HandlerInitiate);
        assert_eq!(newest("upload=true"), Call::Handler(None));
    }

    #[test]
    fn older_generations_know_no_numbers() {
        for generation in [Generation::G0, Generation::G1] {
            for query in ["chunkNumber=3&upload=true", "finalize=true"] {
                let request = format!("POST /Products/Files/ChunkedUploader.ashx?uid=a&{query}");
                assert_eq!(call(generation, &request), handled(Step::Plain));
            }
            let request = "POST /ChunkedUploader.ashx?uid=a&abort=true";
            assert_eq!(call(generation, request), handled(Step::Abort));
        }
    }

    #[test]
    fn session_calls_came_with_the_last_generation() {
        let open = "POST /api/2.0/files/7/session";
        let folder = FolderName::Id(7);
        assert_eq!(call(Generation::G3, open), Call::CreateSession { folder, wrapped: false });
        assert_eq!(call(Generation::G2, open), Call::Unknown);
        for (request, step) in [
            ("POST /api/2.0/files/7/session/ab", Step::Plain),
            ("POST /api/2.0/files/7/session/ab/upload?ChunkNumber=2", Step::Numbered(None)),
            ("PUT /api/2.0/files/7/session/ab/finalize", Step::Finalize),
            ("DELETE /api/2.0/files/7/session/ab", Step::Abort),
        ] {
            assert_eq!(call(Generation::G3, request), Call::Step { session: "ab".into(), step }, "{request}");
        }
    }

    #[test]
    fn addresses_are_found_in_any_case_and_with_a_suffix_where_it_is_taken() {
        let create = |folder| Call::CreateSession { folder: FolderName::Id(folder), wrapped: true };
        assert_eq!(call(Generation::G0, "POST /api/2.0/files/5/upload/create_session.json"), create(5));
        assert_eq!(call(Generation::G2, "POST /API/2.0/Files/5/Upload/Create_Session"), create(5));
        assert_eq!(call(Generation::G2, "POST /api/2.0/files/5/upload/create_session.json"), Call::Unknown);
        assert_eq!(call(Generation::G0, "GET /api/2.0/files/@my.json"), Call::List(FolderName::Section("@my".into())));
        assert_eq!(call(Generation::G0, "GET /api/2.0/files/settings"), Call::Unknown);
        assert_eq!(call(Generation::G3, "GET /api/2.0/files/settings"), Call::Settings);
        assert_eq!(call(Generation::G3, "GET /api/2.0/files/nonsense"), Call::Unknown);
        assert_eq!(call(Generation::G3, "GET /"), Call::Unknown);
    }

    #[test]
    fn kinds_name_what_is_done_and_not_how() {
        for request in [
            "POST /ChunkedUploader.ashx?uid=a",
            "POST /ChunkedUploader.ashx?uid=a&chunkNumber=1&upload=true",
            "POST /api/2.0/files/7/session/ab/upload",
        ] {
            assert_eq!(call(Generation::G3, request).kind(), "chunk");
        }
        assert_eq!(call(Generation::G3, "PUT /api/2.0/files/7/session/ab/finalize").kind(), "finalize");
        assert_eq!(call(Generation::G3, "DELETE /api/2.0/files/file/9").kind(), "delete");
        assert_eq!(call(Generation::G3, "GET /filehandler.ashx?action=download&fileid=1").kind(), "download");
    }
}
