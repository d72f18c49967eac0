//! Changing settings by their names, for every service: what a change does not name stays, and what it names wrongly is
//! told.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// `settings` with what `changes` names changed.
///
/// # Errors
/// The reason, where there is no such setting, or no such value of it.
pub(super) fn changed<T: Serialize + DeserializeOwned>(settings: &T, changes: &Value) -> Result<T, String> {
    let own = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    let mut all: Map<String, Value> = serde_json::from_value(own).map_err(|error| error.to_string())?;
    all.extend(changes.as_object().ok_or("settings are an object")?.clone());
    serde_json::from_value(Value::Object(all)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Two {
        number: u8,
        text: String,
    }

    #[test]
    fn what_is_not_named_stays() {
        let two = || Two { number: 1, text: "a".into() };
        assert_eq!(changed(&two(), &json!({"number": 2})), Ok(Two { number: 2, ..two() }));
        assert_eq!(changed(&two(), &json!({})), Ok(two()));
        for wrong in [json!({"nummer": 2}), json!({"number": "x"}), json!([1]), json!(null)] {
            assert!(changed(&two(), &wrong).is_err(), "{wrong}");
        }
    }
}
