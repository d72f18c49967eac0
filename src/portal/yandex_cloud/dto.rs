//! What a file looks like in answers, in either dialect.

use serde_json::{Map, Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use super::file::File;
use super::list;

const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A moment: microseconds of UTC.
pub(super) fn date(moment: OffsetDateTime) -> String {
    moment.to_offset(UtcOffset::UTC).format(DATE).expect("a moment has every part of the format")
}

/// Whether protocol buffers take a value for none.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A message; fields without a value are left out unless they are to be printed.
fn message(fields: Value, print_empty: bool) -> Value {
    match fields {
        Value::Object(fields) if !print_empty => {
            Value::Object(fields.into_iter().filter(|(_, value)| !is_empty(value)).collect::<Map<_, _>>())
        }
        fields => fields,
    }
}

/// A file as the native dialect has it: with neither size nor checksum.
pub(super) fn native(file: &File, folder: &str, print_empty: bool) -> Value {
    let life = file.life.map(|life| json!({"expirationPolicy": life.policy, "ttlDays": life.ttl_days.to_string()}));
    let fields = json!({
        "id": file.id,
        "folderId": folder,
        "name": file.name,
        "description": file.description,
        "mimeType": file.mime,
        "createdBy": file.created_by,
        "createdAt": date(file.created_at),
        "updatedBy": file.updated_by,
        "updatedAt": date(file.updated_at),
        "expirationConfig": life,
        "expiresAt": file.expires_at.map(date),
        "labels": file.labels,
    });
    message(fields, print_empty)
}

/// A page of the native list. Only one without files has no token.
pub(super) fn native_list(files: &[&File], folder: &str, print_empty: bool) -> Value {
    let shown: Vec<Value> = files.iter().map(|file| native(file, folder, print_empty)).collect();
    let token = files.last().map(|last| list::token(last)).unwrap_or_default();
    message(json!({"files": shown, "nextPageToken": token}), print_empty)
}

/// A file as the OpenAI dialect has it.
pub(super) fn openai(file: &File) -> Value {
    let mut fields = json!({
        "id": file.id,
        "object": "file",
        "bytes": file.content.bytes(),
        "created_at": file.created_at.unix_timestamp(),
        "filename": file.name,
        "purpose": file.purpose,
        "status": "processed",
    });
    if let Some(end) = file.expires_at {
        fields["expires_at"] = json!(end.unix_timestamp());
    }
    fields
}

/// A page of the OpenAI list.
pub(super) fn openai_list(files: &[&File], has_more: bool) -> Value {
    json!({
        "object": "list",
        "data": files.iter().map(|file| openai(file)).collect::<Vec<_>>(),
        "first_id": files.first().map(|file| &file.id),
        "last_id": files.last().map(|file| &file.id),
        "has_more": has_more,
    })
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::file as a_file;
    use super::*;

    fn file() -> File {
        File { name: String::new(), ..a_file("fvt1") }
    }

    #[test]
    fn a_native_file_is_as_recorded() {
        let expected = json!({
            "id": "fvt1",
            "folderId": "b1g",
            "mimeType": "text/plain",
            "createdBy": "aje",
            "createdAt": "1970-01-01T00:00:00.000000Z",
            "updatedBy": "aje",
            "updatedAt": "1970-01-01T00:00:00.000000Z",
            "expirationConfig": {"expirationPolicy": "SINCE_LAST_ACTIVE", "ttlDays": "7"},
            "expiresAt": "1970-01-08T00:00:00.000000Z",
        });
        assert_eq!(native(&file(), "b1g", false), expected);
        let all = native(&File { life: None, expires_at: None, ..file() }, "b1g", true);
        assert_eq!(all.as_object().unwrap().len(), 12);
        assert_eq!((&all["name"], &all["labels"], &all["expiresAt"]), (&json!(""), &json!({}), &Value::Null));
    }

    #[test]
    fn a_list_ends_with_nothing() {
        assert_eq!(native_list(&[], "b1g", false), json!({}));
        assert_eq!(native_list(&[], "b1g", true), json!({"files": [], "nextPageToken": ""}));
        let one = native_list(&[&file()], "b1g", false);
        assert!(one["files"].as_array().unwrap().len() == 1 && one["nextPageToken"].is_string());
    }

    #[test]
    fn the_other_dialect_has_sizes_and_seconds() {
        let told = openai(&a_file("fvt1"));
        assert_eq!(
            (&told["bytes"], &told["expires_at"], &told["filename"]),
            (&json!(3), &json!(604_800), &json!("a.txt"))
        );
        assert_eq!(openai(&File { expires_at: None, ..file() }).get("expires_at"), None);
        let list = openai_list(&[&a_file("fvt1"), &a_file("fvt2")], true);
        assert_eq!(
            (&list["first_id"], &list["last_id"], &list["has_more"]),
            (&json!("fvt1"), &json!("fvt2"), &json!(true))
        );
        assert_eq!(openai_list(&[], false)["first_id"], Value::Null);
    }
}
