//! What a change of the state means for the disk: the records that come and go, and the blobs that nobody holds any
//! more. Gathered under the lock as memory work; the store writes it afterwards.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::store::{Change, Content, Segment};

/// Changes since the last hand-over, and who holds which blob.
#[derive(Debug, Default)]
pub(super) struct Journal {
    changes: Vec<Change>,
    garbage: Vec<u64>,
    /// How many versions and sessions hold each blob: a copy shares those of its source.
    holders: HashMap<u64, u32>,
}

impl Journal {
    pub(super) fn put(&mut self, key: String, value: &impl Serialize) {
        self.changes.push(Change::put(key, value));
    }

    pub(super) fn remove(&mut self, key: String) {
        self.changes.push(Change::remove(key));
    }

    pub(super) fn hold(&mut self, content: &Content) {
        content.0.iter().for_each(|segment| self.hold_one(segment));
    }

    pub(super) fn hold_one(&mut self, segment: &Segment) {
        *self.holders.entry(segment.blob).or_default() += 1;
    }

    pub(super) fn release(&mut self, content: &Content) {
        content.0.iter().for_each(|segment| self.release_one(segment));
    }

    /// Lets go of a blob; the last holder's goes into the garbage.
    pub(super) fn release_one(&mut self, segment: &Segment) {
        let holders = self.holders.get_mut(&segment.blob).expect("whoever lets go has held");
        *holders -= 1;
        if *holders == 0 {
            self.holders.remove(&segment.blob);
            self.garbage.push(segment.blob);
        }
    }

    /// The blobs that somebody holds.
    pub(super) fn held(&self) -> HashSet<u64> {
        self.holders.keys().copied().collect()
    }

    /// Everything since the last time.
    pub(super) fn take(&mut self) -> (Vec<Change>, Vec<u64>) {
        (std::mem::take(&mut self.changes), std::mem::take(&mut self.garbage))
    }
}

#[cfg(test)]
impl Journal {
    /// The records that the changes since the last time have made.
    pub(super) fn take_records(&mut self) -> super::store::Records {
        let changes = serde_json::to_value(self.take().0).unwrap();
        let mut records = super::store::Records::new();
        for change in changes.as_array().unwrap() {
            let key = change["key"].as_str().unwrap().to_owned();
            match change.get("value") {
                Some(value) => records.insert(key, value.clone()),
                None => records.remove(&key),
            };
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_garbage_when_the_last_holder_lets_go() {
        let (one, two) = (Segment { blob: 1, bytes: 5 }, Segment { blob: 2, bytes: 5 });
        let mut journal = Journal::default();
        journal.hold(&Content(vec![one, two]));
        journal.hold_one(&one);
        journal.release(&Content(vec![one, two]));
        assert_eq!(journal.held(), HashSet::from([1]));
        journal.put("a".into(), &1);
        assert_eq!(journal.take(), (vec![Change::put("a", &1)], vec![2]));
        journal.release_one(&one);
        assert_eq!(journal.take(), (vec![], vec![1]));
    }
}
