//! What clients send as JSON, read as the JSON form of protocol buffers is: names in either spelling, numbers of 64 bits as
//! text, `null` for what is not there, and nothing that the message does not have.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::errors::Failure;
use super::file::{Life, Policy};
use super::settings::{MissingMask, Settings};

/// The body of a create. The content is not in it any more; whether there was one is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateRequest {
    #[serde(alias = "folder_id")]
    pub(super) folder_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    #[serde(alias = "mime_type")]
    pub(super) mime_type: Option<String>,
    pub(super) content: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(alias = "expiration_config")]
    pub(super) expiration_config: Option<LifeRequest>,
}

/// The body of an update.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateRequest {
    #[serde(alias = "update_mask")]
    update_mask: Option<String>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    #[serde(alias = "expiration_config")]
    pub(super) expiration_config: Option<LifeRequest>,
}

/// How long a file shall live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LifeRequest {
    #[serde(alias = "expiration_policy")]
    expiration_policy: Option<NamedPolicy>,
    #[serde(alias = "ttl_days", deserialize_with = "int64")]
    ttl_days: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
enum NamedPolicy {
    #[serde(rename = "EXPIRATION_POLICY_UNSPECIFIED")]
    Unspecified,
    #[serde(rename = "STATIC")]
    Static,
    #[serde(rename = "SINCE_LAST_ACTIVE")]
    SinceLastActive,
}

/// A number of 64 bits, as text or as a number.
fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Int64 {
        Number(i64),
        Text(String),
    }
    match Option::<Int64>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Int64::Number(number)) => Ok(Some(number)),
        Some(Int64::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// The message in a body.
///
/// # Errors
/// It is none.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // A list would be taken for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::field("body", "an object is expected"));
    }
    serde_json::from_slice(body).map_err(|error| Failure::field("body", error.to_string()))
}

impl LifeRequest {
    /// Whether nothing of it is left to the service.
    pub(super) fn is_explicit(&self) -> bool {
        self.policy().is_some() && self.days().is_some()
    }

    fn policy(&self) -> Option<Policy> {
        match self.expiration_policy? {
            NamedPolicy::Unspecified => None,
            NamedPolicy::Static => Some(Policy::Static),
            NamedPolicy::SinceLastActive => Some(Policy::SinceLastActive),
        }
    }

    /// Nought is what is not there, in this form of JSON.
    fn days(&self) -> Option<i64> {
        self.ttl_days.filter(|days| *days != 0)
    }

    /// The life with what this names.
    ///
    /// # Errors
    /// It is too short or too long.
    pub(super) fn over(&self, life: Life, settings: &Settings) -> Result<Life, Failure> {
        let days = self.days().unwrap_or(life.ttl_days);
        if days < 0 {
            return Err(Failure::field("expirationConfig.ttlDays", "must be positive"));
        }
        if days > settings.ttl_days_max {
            return Err(Failure::refused(format!("ttlDays must not exceed {}", settings.ttl_days_max)));
        }
        Ok(Life { policy: self.policy().unwrap_or(life.policy), ttl_days: days })
    }
}

/// A field that an update can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Name,
    Description,
    Labels,
    Life,
    TtlDays,
    Policy,
}

impl Path {
    fn read(path: &str) -> Option<Path> {
        match path {
            "name" => Some(Path::Name),
            "description" => Some(Path::Description),
            "labels" => Some(Path::Labels),
            "expirationConfig" => Some(Path::Life),
            "expirationConfig.ttlDays" => Some(Path::TtlDays),
            "expirationConfig.expirationPolicy" => Some(Path::Policy),
            _ => None,
        }
    }
}

impl UpdateRequest {
    /// What it changes.
    ///
    /// # Errors
    /// There is no mask, or no such field.
    pub(super) fn paths(&self, settings: &Settings) -> Result<Vec<Path>, Failure> {
        let mask = self.update_mask.as_deref().unwrap_or_default();
        let named: Vec<&str> = mask.split(',').map(str::trim).filter(|path| !path.is_empty()).collect();
        if named.is_empty() {
            return match settings.missing_mask {
                MissingMask::Refused => Err(Failure::missing("updateMask")),
                MissingMask::Sent => Ok(self.sent()),
            };
        }
        let read = |path| Path::read(path).ok_or_else(|| Failure::field("updateMask", format!("unknown path {path}")));
        named.into_iter().map(read).collect()
    }

    fn sent(&self) -> Vec<Path> {
        let sent = [
            (self.name.is_some(), Path::Name),
            (self.description.is_some(), Path::Description),
            (self.labels.is_some(), Path::Labels),
            (self.expiration_config.is_some(), Path::Life),
        ];
        sent.into_iter().filter_map(|(is_sent, path)| is_sent.then_some(path)).collect()
    }

    /// What becomes of a life, if this changes it.
    ///
    /// # Errors
    /// It would be too short or too long.
    pub(super) fn life(&self, paths: &[Path], life: Life, settings: &Settings) -> Result<Option<Life>, Failure> {
        let sent = self.expiration_config.unwrap_or_default();
        let mut changed = None;
        for path in paths {
            let current = changed.unwrap_or(life);
            let (wanted, base) = match path {
                Path::Life => (sent, Life::default()),
                Path::TtlDays => {
                    let base = Life { ttl_days: Life::default().ttl_days, ..current };
                    (LifeRequest { expiration_policy: None, ..sent }, base)
                }
                Path::Policy => {
                    let base = Life { policy: Life::default().policy, ..current };
                    (LifeRequest { ttl_days: None, ..sent }, base)
                }
                _ => continue,
            };
            changed = Some(wanted.over(base, settings)?);
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::errors::tests::code;
    use super::*;

    fn update(body: serde_json::Value) -> UpdateRequest {
        read(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn names_have_two_spellings_and_numbers_too() {
        let camel = json!({"folderId": "f", "mimeType": "m", "expirationConfig": {"ttlDays": "9"}, "content": ""});
        let snake = json!({"folder_id": "f", "mime_type": "m", "expiration_config": {"ttl_days": 9}, "content": ""});
        let [camel, snake] = [camel, snake].map(|body| read::<CreateRequest>(body.to_string().as_bytes()).unwrap());
        assert_eq!(camel, snake);
        assert_eq!(camel.expiration_config.unwrap().ttl_days, Some(9));
        let nothing: CreateRequest = read(br#"{"name": null, "labels": null}"#).unwrap();
        assert_eq!(nothing, CreateRequest::default());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for wrong in [
            &br#"{"size": 1}"#[..],
            br#"{"name": 1}"#,
            br#"{"labels": {"a": 1}}"#,
            br#"{"expirationConfig": {"expirationPolicy": "NEVER"}}"#,
            br#"{"expirationConfig": {"ttlDays": "soon"}}"#,
            br#"{"name": "a""#,
            br#"{} {}"#,
            b"[]",
            b"",
        ] {
            assert_eq!(code(read::<CreateRequest>(wrong)), 3, "{}", String::from_utf8_lossy(wrong));
        }
        assert_eq!(code(read::<UpdateRequest>(br#"{"updateMask": "name", "content": "Zg=="}"#)), 3);
    }

    #[test]
    fn a_life_is_explicit_or_the_services() {
        let settings = Settings::default();
        let life = |text: &str| {
            let request: LifeRequest = read(text.as_bytes()).unwrap();
            (request.is_explicit(), request.over(Life::default(), &settings).map(|life| (life.policy, life.ttl_days)))
        };
        assert_eq!(life("{}"), (false, Ok((Policy::SinceLastActive, 7))));
        assert_eq!(life(r#"{"expirationPolicy": "STATIC"}"#), (false, Ok((Policy::Static, 7))));
        let unspecified = r#"{"expirationPolicy": "EXPIRATION_POLICY_UNSPECIFIED", "ttlDays": "0"}"#;
        assert_eq!(life(unspecified), (false, Ok((Policy::SinceLastActive, 7))));
        assert_eq!(life(r#"{"expirationPolicy": "STATIC", "ttlDays": "60"}"#), (true, Ok((Policy::Static, 60))));
        for wrong in [r#"{"ttlDays": "61"}"#, r#"{"ttlDays": -1}"#] {
            assert_eq!(code(life(wrong).1), 3, "{wrong}");
        }
    }

    #[test]
    fn a_mask_says_what_changes() {
        let (settings, lenient) =
            (Settings::default(), Settings { missing_mask: MissingMask::Sent, ..Settings::default() });
        let both = update(json!({"updateMask": "name, labels", "description": "d"}));
        assert_eq!(both.paths(&settings), Ok(vec![Path::Name, Path::Labels]));
        let none = update(json!({"name": "a", "expirationConfig": {}}));
        assert_eq!(code(none.paths(&settings)), 3);
        assert_eq!(none.paths(&lenient), Ok(vec![Path::Name, Path::Life]));
        for mask in ["content", "mimeType", "expiration_config", "labels.a", "*"] {
            assert_eq!(code(update(json!({"updateMask": mask})).paths(&lenient)), 3, "{mask}");
        }
    }

    #[test]
    fn a_life_changes_in_whole_or_in_part() {
        let (settings, old) = (Settings::default(), Life { policy: Policy::Static, ttl_days: 3 });
        let request = update(json!({"expirationConfig": {"ttlDays": "9"}}));
        let changed =
            |paths: &[Path]| request.life(paths, old, &settings).unwrap().map(|life| (life.policy, life.ttl_days));
        assert_eq!(changed(&[Path::Name]), None);
        assert_eq!(changed(&[Path::TtlDays]), Some((Policy::Static, 9)));
        assert_eq!(changed(&[Path::Life]), Some((Policy::SinceLastActive, 9)), "what is not named is the default");
        assert_eq!(changed(&[Path::Policy]), Some((Policy::SinceLastActive, 3)));
        assert_eq!(changed(&[Path::TtlDays, Path::Policy]), Some((Policy::SinceLastActive, 9)));
    }
}
