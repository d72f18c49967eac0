//! The fields of a request, of its query or of its JSON body, and what the server's validator says about them.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::errors::{Failure, Place};

/// Fields by their names. What nobody asks for is ignored, as in the service: another contour sends more than is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fields {
    place: Place,
    values: Map<String, Value>,
}

impl Fields {
    /// Those of a query; the last of a name counts.
    pub(super) fn of_query(query: &str) -> Fields {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let values = pairs.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned()))).collect();
        Fields { place: Place::Query, values }
    }

    /// Those of a body; one of no bytes has none.
    ///
    /// # Errors
    /// It is no JSON object.
    pub(super) fn of_body(body: &[u8]) -> Result<Fields, Failure> {
        if body.is_empty() {
            return Ok(Fields { place: Place::Body, values: Map::new() });
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => Ok(Fields { place: Place::Body, values }),
            _ => Err(Failure::field(Place::Body, "__root__", "Expecting value: an object", "value_error.jsondecode")),
        }
    }

    /// The value, `None` for `null`, too.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Whether the name is there, be it with `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A refusal of this field.
    pub(super) fn wrong(&self, name: &str, message: &str, code: &str) -> Failure {
        Failure::field(self.place, name, message, code)
    }

    /// What was found, or that it is missing.
    pub(super) fn required<T>(&self, name: &str, found: Option<T>) -> Result<T, Failure> {
        found.ok_or_else(|| Failure::missing(self.place, name))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "str type expected", "type_error.str")),
        }
    }

    /// A whole number within `range`. In a body, only a number is one.
    pub(super) fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = match (self.place, value) {
            (Place::Query, Value::String(text)) => text.parse().ok(),
            _ => value.as_i64(),
        };
        match number {
            None => Err(self.wrong(name, "value is not a valid integer", "type_error.integer")),
            Some(number) if number < *range.start() => {
                let message = format!("ensure this value is greater than or equal to {}", range.start());
                Err(self.wrong(name, &message, "value_error.number.not_ge"))
            }
            Some(number) if number > *range.end() => {
                let message = format!("ensure this value is less than or equal to {}", range.end());
                Err(self.wrong(name, &message, "value_error.number.not_le"))
            }
            number => Ok(number),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "True" | "1") => Ok(Some(true)),
            Some(Value::String(text)) if matches!(text.as_str(), "false" | "False" | "0") => Ok(Some(false)),
            Some(_) => Err(self.wrong(name, "value could not be parsed to a boolean", "type_error.bool")),
        }
    }

    /// One of these words; the first where none is given.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Failure> {
        let Some(given) = self.text(name)? else { return Ok(words[0]) };
        let found = words.iter().find(|word| **word == given);
        found.copied().ok_or_else(|| {
            let message = format!("value is not a valid enumeration member; permitted: {words:?}");
            self.wrong(name, &message, "type_error.enum")
        })
    }

    /// The words of a list with commas.
    pub(super) fn words(&self, name: &str) -> Result<Vec<&str>, Failure> {
        let text = self.text(name)?.unwrap_or_default();
        Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code<T: std::fmt::Debug>(answer: Result<T, Failure>, place: &str, field: &str) -> String {
        match answer {
            Err(Failure::Said { status: 400, code: "VALIDATION_ERROR", details, .. }) => {
                details[place][field][0]["error_code"].as_str().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_has_types() {
        let body = json!({"name": "a", "size": 5, "text": "5", "half": 0.5, "no": null, "yes": true, "list": [1]});
        let fields = Fields::of_body(body.to_string().as_bytes()).unwrap();
        assert_eq!((fields.text("name"), fields.integer("size", 0..=9)), (Ok(Some("a")), Ok(Some(5))));
        assert_eq!((fields.text("no"), fields.has("no"), fields.has("other")), (Ok(None), true, false));
        assert_eq!(fields.flag("yes"), Ok(Some(true)));
        assert_eq!(code(fields.text("size"), "body", "size"), "type_error.str");
        for wrong in ["text", "half", "yes", "list"] {
            assert_eq!(code(fields.integer(wrong, 0..=9), "body", wrong), "type_error.integer");
        }
        assert_eq!(code(fields.integer("size", 6..=9), "body", "size"), "value_error.number.not_ge");
        assert_eq!(code(fields.integer("size", 0..=4), "body", "size"), "value_error.number.not_le");
        assert_eq!(code(fields.required("x", None::<u8>), "body", "x"), "value_error.missing");
    }

    #[test]
    fn a_query_is_text() {
        let fields = Fields::of_query("n=5&f=true&w=b&l=a,%20b,,c&x=y");
        assert_eq!((fields.integer("n", 1..=9), fields.flag("f")), (Ok(Some(5)), Ok(Some(true))));
        assert_eq!((fields.word("w", &["a", "b"]), fields.word("v", &["a", "b"])), (Ok("b"), Ok("a")));
        assert_eq!(fields.words("l"), Ok(vec!["a", "b", "c"]));
        assert_eq!(code(fields.integer("x", 1..=9), "query", "x"), "type_error.integer");
        assert_eq!(code(fields.flag("x"), "query", "x"), "type_error.bool");
        assert_eq!(code(fields.word("x", &["a"]), "query", "x"), "type_error.enum");
    }

    #[test]
    fn a_body_is_an_object_or_nothing() {
        assert_eq!(Fields::of_body(b"").unwrap().get("a"), None);
        for wrong in ["[]", "1", "{", "null", "\"a\""] {
            assert_eq!(code(Fields::of_body(wrong.as_bytes()), "body", "__root__"), "value_error.jsondecode");
        }
    }
}
