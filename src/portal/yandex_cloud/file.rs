//! A file, how long it lives, and what it may be called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::calls::Dialect;
use super::errors::Failure;
use super::settings::Settings;
use crate::portal::store::Content;

/// What ids begin with, and how many characters follow.
const ID_PREFIX: &str = "fvt";
const ID_DICE: usize = 17;

/// How many labels there may be, and how long they are, where they are narrow.
const LABELS_MAX: usize = 64;
const LABEL_CHARS_MAX: usize = 63;

/// Nanoseconds of the grain of moments.
const MICROSECOND: u32 = 1000;

/// By what a life is counted. Nobody has seen a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Policy {
    Static,
    SinceLastActive,
}

/// How long a file lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) policy: Policy,
    pub(super) ttl_days: i64,
}

impl Default for Life {
    fn default() -> Self {
        Life { policy: Policy::SinceLastActive, ttl_days: 7 }
    }
}

impl Life {
    /// When it ends that began at this moment.
    pub(super) fn end(&self, start: OffsetDateTime) -> OffsetDateTime {
        start.saturating_add(Duration::days(self.ttl_days))
    }
}

/// A file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) mime: String,
    pub(super) labels: BTreeMap<String, String>,
    /// The account that made it.
    pub(super) created_by: String,
    pub(super) created_at: OffsetDateTime,
    pub(super) updated_by: String,
    pub(super) updated_at: OffsetDateTime,
    /// `None` where it lives for ever.
    pub(super) life: Option<Life>,
    pub(super) expires_at: Option<OffsetDateTime>,
    /// The dialect that it was made in.
    pub(super) dialect: Dialect,
    /// What it is for, in the dialect of OpenAI.
    pub(super) purpose: String,
    pub(super) content: Content,
    /// Of the content, in hexadecimal.
    pub(super) md5: String,
}

/// A moment as the service keeps it: in microseconds.
pub(super) fn kept(moment: OffsetDateTime) -> OffsetDateTime {
    let nanosecond = moment.nanosecond() / MICROSECOND * MICROSECOND;
    moment.replace_nanosecond(nanosecond).unwrap_or(moment)
}

/// The id of a new file.
pub(super) fn new_id() -> String {
    let dice = std::iter::repeat_with(|| fastrand::digit(32)).take(ID_DICE);
    ID_PREFIX.chars().chain(dice).collect()
}

/// Whether a name may be one.
pub(super) fn check_name(name: &str, settings: &Settings) -> Result<(), Failure> {
    match settings.name_chars_max {
        Some(chars_max) if name.chars().count() > chars_max => {
            Err(Failure::refused(format!("name: the length must not exceed {chars_max}")))
        }
        _ => Ok(()),
    }
}

/// Whether these may be the labels of a file.
pub(super) fn check_labels(labels: &BTreeMap<String, String>, settings: &Settings) -> Result<(), Failure> {
    if !settings.narrow_labels {
        return Ok(());
    }
    if labels.len() > LABELS_MAX {
        return Err(Failure::refused(format!("labels: there must not be more than {LABELS_MAX}")));
    }
    let is_narrow = |text: &str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        text.len() <= LABEL_CHARS_MAX && text.chars().all(is_plain)
    };
    let wrong = labels.iter().find(|(key, value)| {
        !(key.starts_with(|c: char| c.is_ascii_lowercase()) && is_narrow(key) && is_narrow(value))
    });
    match wrong {
        Some((key, _)) => Err(Failure::refused(format!("labels: {key} does not match the pattern"))),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;

    use super::super::errors::tests::code;
    use super::*;
    use crate::portal::store::Segment;

    /// A file of three bytes that was made at the beginning of time.
    pub(in super::super) fn file(id: &str) -> File {
        let now = OffsetDateTime::UNIX_EPOCH;
        let life = Life::default();
        File {
            id: id.to_owned(),
            name: "a.txt".into(),
            description: String::new(),
            mime: "text/plain".into(),
            labels: BTreeMap::new(),
            created_by: "aje".into(),
            created_at: now,
            updated_by: "aje".into(),
            updated_at: now,
            life: Some(life),
            expires_at: Some(life.end(now)),
            dialect: Dialect::Native,
            purpose: "assistants".into(),
            content: Content(vec![Segment { blob: 1, bytes: 3 }]),
            md5: "900150983cd24fb0d6963f7d28e17f72".into(),
        }
    }

    #[test]
    fn ids_are_of_one_form() {
        for _ in 0..100 {
            let id = new_id();
            let dice = id.strip_prefix("fvt").unwrap();
            assert!(dice.len() == 17 && dice.chars().all(|c| matches!(c, '0'..='9' | 'a'..='v')), "{id}");
        }
    }

    #[test]
    fn moments_have_microseconds() {
        let moment = datetime!(2025-07-24 14:21:41.238314999 UTC);
        assert_eq!(kept(moment), datetime!(2025-07-24 14:21:41.238314 UTC));
        assert_eq!(Life::default().end(kept(moment)), datetime!(2025-07-31 14:21:41.238314 UTC));
    }

    #[test]
    fn names_and_labels_are_free_unless_they_are_not() {
        let free = Settings::default();
        let narrow = Settings { name_chars_max: Some(3), narrow_labels: true, ..Settings::default() };
        for (name, expected) in [("", 0), ("äöü", 0), ("äöüx", 3)] {
            assert_eq!((code(check_name(name, &free)), code(check_name(name, &narrow))), (0, expected), "{name}");
        }
        let long = "x".repeat(64);
        for (key, value, expected) in
            [("size", "3", 0), ("a-b_1", "", 0), ("1a", "", 3), ("A", "", 3), ("a", "/x", 3), ("a", long.as_str(), 3)]
        {
            let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            assert_eq!(
                (code(check_labels(&labels, &free)), code(check_labels(&labels, &narrow))),
                (0, expected),
                "{key}"
            );
        }
        let many = (0..65).map(|number| (format!("a{number}"), String::new())).collect();
        assert_eq!(code(check_labels(&many, &narrow)), 3);
    }
}
