//! The fields of a request: of its query, its JSON or its form, found whatever the case of their names, as ASP.NET finds
//! them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields by their names in lower case. Those of the body count over those of the query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// Those of a query or of a form.
    pub(super) fn of_query(query: &str) -> Fields {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Fields(pairs.map(|(name, value)| (name.to_lowercase(), Value::from(value.into_owned()))).collect())
    }

    /// Those of a JSON object, `None` for anything else.
    pub(super) fn of_json(body: &[u8]) -> Option<Fields> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let fields = value.as_object()?;
        Some(Fields(fields.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect()))
    }

    /// These, and `others` where these say nothing.
    pub(super) fn over(mut self, others: Fields) -> Fields {
        for (name, value) in others.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// The value, `None` for `null`, too.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(&name.to_lowercase()).filter(|value| !value.is_null())
    }

    /// A text; nothing else is one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A whole number, or a text that is one.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        number(self.get(name)?)
    }

    /// A truth, or a text that is one.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }

    /// The ids in a list of numbers or texts.
    pub(super) fn ids(&self, name: &str) -> Vec<u64> {
        let list = self.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|id| u64::try_from(number(id)?).ok()).collect()
    }

    /// The texts in a list.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case() {
        let body = br#"{"FileName": "a", "filesize": "12", "CreateNewIfExist": true, "x": null, "ids": [1, "2", "z"]}"#;
        let fields = Fields::of_json(body).unwrap();
        assert_eq!(fields.text("fileName"), Some("a"));
        assert_eq!((fields.number("fileSize"), fields.number("fileName")), (Some(12), None));
        assert_eq!((fields.flag("createNewIfExist"), fields.get("X")), (Some(true), None));
        assert_eq!(fields.ids("IDS"), [1, 2]);
        assert_eq!(fields.texts("ids"), ["2", "z"]);
        assert_eq!(Fields::of_json(b"[]"), None);
    }

    #[test]
    fn a_body_counts_over_a_query() {
        let query = Fields::of_query("fileSize=5&Encrypted=TRUE&title=a%20b");
        let fields = Fields::of_json(b"{\"filesize\": 7}").unwrap().over(query);
        assert_eq!((fields.number("fileSize"), fields.flag("encrypted")), (Some(7), Some(true)));
        assert_eq!(fields.text("title"), Some("a b"));
    }
}
