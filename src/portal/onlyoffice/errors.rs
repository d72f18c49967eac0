//! What the servers throw, by the names of their exceptions, and the messages in the languages of their users. Which
//! HTTP status an exception becomes is in `envelope`.

use super::config::Language;

/// The text of a failure. Those that come out of the servers' resources are translated, the others never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    EmptyFile,
    FileNotFound,
    FolderNotFound,
    NoCreate,
    NoEdit,
    NoView,
    NoDelete,
    Locked,
    TitleTooLong,
    Format,
    /// The largest file, in bytes.
    FileTooLarge(u64),
    /// The space of the portal, in bytes.
    Total(u64),
    /// The space of the room or user, in bytes.
    Room(u64),
    BadLogin,
    /// Not translated.
    Fixed(&'static str),
    /// Not translated.
    Said(String),
}

/// The sum of the chunks is not the declared size.
pub(super) const INCOMPLETE: Message = Message::Fixed("uploadSize != bytesTotal");
/// What a missing session looks like since sessions live in a cache.
pub(super) const NULL_REFERENCE: Message = Message::Fixed("Object reference not set to an instance of an object.");
/// No part of the form is a file.
pub(super) const NO_FILES: Message = Message::Fixed("HttpRequest.Files is empty");
/// A nullable number that is not there.
pub(super) const NO_VALUE: Message = Message::Fixed("Nullable object must have a value.");
/// A stranger at the upload handler of DocSpace.
pub(super) const STRANGER_DOCSPACE: Message =
    Message::Fixed("Not authorized or session with specified upload id already expired");
/// A stranger at the upload handler of CommunityServer.
pub(super) const STRANGER_COMMUNITY: Message = Message::Fixed(
    "Can't authorize given initiate session request or session with specified upload id already expired",
);

impl Message {
    pub(super) fn text(&self, language: Language) -> String {
        let (english, german) = match self {
            Message::EmptyFile => ("Empty file", "Leere Datei"),
            Message::FileNotFound => ("The required file was not found", "Die gewünschte Datei wurde nicht gefunden"),
            Message::FolderNotFound => {
                ("The required folder was not found", "Der gewünschte Ordner wurde nicht gefunden")
            }
            Message::NoCreate => {
                ("You don't have enough permission to create", "Sie haben keine Berechtigung zum Erstellen")
            }
            Message::NoEdit => {
                ("You don't have enough permission to edit the file", "Sie dürfen diese Datei nicht bearbeiten")
            }
            Message::NoView => (
                "You don't have enough permission to view the folder content",
                "Sie dürfen den Inhalt dieses Ordners nicht ansehen",
            ),
            Message::NoDelete => {
                ("You don't have enough permission to delete the file", "Sie dürfen diese Datei nicht löschen")
            }
            Message::Locked => (
                "The file is currently locked by another user",
                "Die Datei ist zurzeit von einem anderen Benutzer gesperrt",
            ),
            Message::TitleTooLong => ("The title is too long", "Der Titel ist zu lang"),
            Message::Format => {
                ("Sorry, this file format isn't supported", "Dieses Dateiformat wird leider nicht unterstützt")
            }
            Message::BadLogin => ("User authentication failed", "Die Anmeldung ist fehlgeschlagen"),
            Message::FileTooLarge(bytes) => return too_large(*bytes, language),
            Message::Total(bytes) => return total(*bytes, language),
            Message::Room(bytes) => return room(*bytes, language),
            Message::Fixed(text) => return (*text).to_owned(),
            Message::Said(text) => return text.clone(),
        };
        match language {
            Language::En => english,
            Language::De => german,
        }
        .to_owned()
    }
}

fn too_large(bytes: u64, language: Language) -> String {
    match language {
        Language::En => format!("The maximum file size is exceeded ({}).", human(bytes)),
        Language::De => format!("Die maximale Dateigröße ist überschritten ({}).", human(bytes)),
    }
}

fn total(bytes: u64, language: Language) -> String {
    match language {
        Language::En => format!("The used storage size should not exceed {}", human(bytes)),
        Language::De => format!("Der belegte Speicherplatz darf {} nicht überschreiten", human(bytes)),
    }
}

fn room(bytes: u64, language: Language) -> String {
    match language {
        Language::En => format!("Room space quota exceeded ({}).", human(bytes)),
        Language::De => format!("Das Speicherkontingent des Raums ist überschritten ({}).", human(bytes)),
    }
}

/// A size as people read it: `24 MB`, `1.5 GB`.
pub(super) fn human(bytes: u64) -> String {
    let mut unit = 0;
    let mut rest = bytes as f64;
    while rest >= 1024.0 && unit < UNITS.len() - 1 {
        rest /= 1024.0;
        unit += 1;
    }
    let text = format!("{rest:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} {}", UNITS[unit])
}

const UNITS: [&str; 5] = ["bytes", "KB", "MB", "GB", "TB"];

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// `ItemNotFoundException`.
    Missing(Message),
    /// `FileNotFoundException`.
    FileMissing,
    /// `DirectoryNotFoundException`.
    FolderMissing,
    /// `ArgumentException`.
    Argument(Message),
    /// `SecurityException`.
    Security(Message),
    /// `InvalidOperationException`.
    InvalidOperation(Message),
    /// `TenantQuotaException`.
    Quota(Message),
    /// `NotSupportedException`.
    NotSupported(Message),
    /// `AuthenticationException`: a wrong password.
    Authentication,
    /// Any other exception.
    Fault(Message),
    /// Nobody is signed in; the answer has no message.
    Challenge,
    /// Nobody pays; the answer is empty.
    Unpaid,
    /// The API key has no such scope; the answer is empty.
    Scope,
    /// A field is missing or has the wrong type.
    Validation { field: &'static str, reason: &'static str },
    /// No such address; the answer is empty.
    NoSuchCall,
    /// The request is larger than the server takes.
    RequestTooLarge,
    /// The limiter refuses.
    Throttled { retry_after_s: u64, limit: u32 },
}

impl Failure {
    pub(super) fn message(&self) -> Message {
        match self {
            Failure::Missing(message)
            | Failure::Argument(message)
            | Failure::Security(message)
            | Failure::InvalidOperation(message)
            | Failure::Quota(message)
            | Failure::NotSupported(message)
            | Failure::Fault(message) => message.clone(),
            Failure::FileMissing => Message::FileNotFound,
            Failure::FolderMissing => Message::FolderNotFound,
            Failure::Authentication => Message::BadLogin,
            Failure::Validation { reason, .. } => Message::Fixed(reason),
            Failure::Challenge
            | Failure::Unpaid
            | Failure::Scope
            | Failure::NoSuchCall
            | Failure::RequestTooLarge
            | Failure::Throttled { .. } => Message::Fixed(""),
        }
    }
}

/// A disk that fails is nobody's fault but the server's.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Fault(Message::Said(error.to_string()))
    }
}

/// Reading a form failed.
impl From<crate::portal::multipart::FormError> for Failure {
    fn from(error: crate::portal::multipart::FormError) -> Self {
        use crate::portal::multipart::FormError;
        Failure::Fault(match error {
            FormError::NoForm => Message::Fixed("Missing content-type boundary."),
            FormError::Truncated => Message::Fixed(
                "Unexpected end of Stream, the content may have already been read by another component. ",
            ),
            FormError::BadHead => Message::Fixed("Invalid header line"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_read_them() {
        for (bytes, expected) in
            [(0, "0 bytes"), (1023, "1023 bytes"), (1 << 30, "1 GB"), (24 << 20, "24 MB"), (1 << 60, "1048576 TB")]
        {
            assert_eq!(human(bytes), expected);
        }
        assert_eq!(human(1536), "1.5 KB");
    }

    #[test]
    fn only_resources_are_translated() {
        assert_eq!(Message::EmptyFile.text(Language::De), "Leere Datei");
        assert_eq!(Message::FileTooLarge(1 << 30).text(Language::En), "The maximum file size is exceeded (1 GB).");
        for message in [INCOMPLETE, NULL_REFERENCE, NO_FILES, STRANGER_DOCSPACE, STRANGER_COMMUNITY] {
            assert_eq!(message.text(Language::En), message.text(Language::De));
        }
    }
}
