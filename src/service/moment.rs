//! Moments as they are written down: whole seconds since 1970, negative before it, and the nanoseconds that follow. Serde's
//! own form refuses what lies before 1970, and a service may say that of a file; nothing of the moment is lost in this one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds of a second.
const NANOS: u32 = 1_000_000_000;

/// Seconds since 1970 and the nanoseconds after them, fewer than a second's.
fn written(moment: SystemTime) -> (i64, u32) {
    let seconds = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(i64::MAX);
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => (seconds(after), after.subsec_nanos()),
        Err(error) => match error.duration() {
            before if before.subsec_nanos() == 0 => (-seconds(before), 0),
            before => (-seconds(before) - 1, NANOS - before.subsec_nanos()),
        },
    }
}

/// The moment of [`written`]; `None` when this machine cannot count that far.
fn read((seconds, nanos): (i64, u32)) -> Option<SystemTime> {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) }?;
    (nanos < NANOS).then(|| second.checked_add(Duration::from_nanos(nanos.into()))).flatten()
}

pub(crate) fn serialize<S: Serializer>(moment: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    written(*moment).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    read(Deserialize::deserialize(from)?).ok_or_else(|| D::Error::custom("not a moment"))
}

/// The same for a moment that may be missing.
pub(in crate::service) mod maybe {
    use super::{Deserialize, Deserializer, Serialize, Serializer, SystemTime, read, written};
    use serde::de::Error as _;

    pub(in crate::service) fn serialize<S: Serializer>(moment: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        moment.map(written).serialize(to)
    }

    pub(in crate::service) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
        let written: Option<(i64, u32)> = Deserialize::deserialize(from)?;
        written.map(|written| read(written).ok_or_else(|| D::Error::custom("not a moment"))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RemotePath;
    use crate::service::{Node, NodeKind, Sha1Digest, Spec};

    #[test]
    fn every_moment_survives_being_written_down() {
        for (seconds, nanos) in [(0, 0), (1_700_000_000, 123_456_789), (-1, 0), (-1, 999_999_999), (-62_135_596_800, 1)]
        {
            let moment = read((seconds, nanos)).unwrap();
            assert_eq!(written(moment), (seconds, nanos));
        }
        assert_eq!(read((0, NANOS)), None);
    }

    #[test]
    fn an_upload_survives_being_written_down() {
        let node = Node {
            name: "a б.txt".to_owned(),
            kind: NodeKind::File,
            size: 7,
            modified: UNIX_EPOCH - Duration::from_millis(1),
            version: "3".to_owned(),
            id: "17".to_owned(),
            url: Some("http://a/".to_owned()),
            sha1: Some(Sha1Digest::of(b"a")),
            expires: Some(UNIX_EPOCH + Duration::from_nanos(1)),
        };
        let path = RemotePath::parse("d/a б.txt").unwrap();
        let spec = Spec { path, size: Some(u64::MAX), sha1: node.sha1, replaces: Some(node) };
        let bare = Spec { size: None, sha1: None, replaces: None, ..spec.clone() };
        for spec in [spec, bare] {
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec, "{text}");
        }
    }
}
