//! Pages of results and the cursors between them. A cursor is opaque to clients; it names the last entry that was seen, so
//! that what comes and goes meanwhile makes nothing appear twice.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errors::Failure;
use super::fields::Fields;

/// The page size without a wish, and the largest.
const SIZE: i64 = 50;
const SIZE_MAX: i64 = 100;

/// What entries are sorted by; the number tells equal ones apart.
pub(super) type Key = (String, u64);

/// Which entries of a list are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What the list is sorted by.
    pub(super) order: &'static str,
    pub(super) descending: bool,
    pub(super) size: usize,
    cursor: Option<Cursor>,
}

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    order: String,
    descending: bool,
    backward: bool,
    key: Key,
}

impl Cursor {
    fn text(&self) -> String {
        let text = serde_json::to_vec(self).expect("a cursor is made of what JSON has");
        text.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(text: &str) -> Option<Cursor> {
        let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        serde_json::from_slice(&bytes?).ok()
    }
}

impl Wanted {
    /// What a query wants of a list that can be sorted by one of `orders`.
    ///
    /// # Errors
    /// There is no such order or size, or the cursor is not of such a list.
    pub(super) fn read(query: &Fields, orders: &[&'static str]) -> Result<Wanted, Failure> {
        let order = query.word("order_by", orders)?;
        let descending = query.word("order_direction", &["asc", "desc"])? == "desc";
        let size = query.integer("page_size", 1..=SIZE_MAX)?.unwrap_or(SIZE);
        let cursor = match query.text("cursor")? {
            None | Some("") => None,
            Some(text) => {
                let cursor =
                    Cursor::read(text).filter(|cursor| cursor.order == order && cursor.descending == descending);
                Some(cursor.ok_or_else(|| query.wrong("cursor", "invalid cursor", "value_error"))?)
            }
        };
        Ok(Wanted { order, descending, size: usize::try_from(size).unwrap_or(1), cursor })
    }

    /// The page of these entries, with its cursors.
    pub(super) fn cut<T>(&self, mut entries: Vec<(Key, T)>, show: impl Fn(T) -> Value) -> Value {
        entries.sort_by(|(a, _), (b, _)| if self.descending { b.cmp(a) } else { a.cmp(b) });
        // How many entries of the sorted list stand before a key.
        let before = |key: &Key, with_key: bool| {
            entries.partition_point(|(own, _)| {
                let earlier = if self.descending { own > key } else { own < key };
                earlier || (with_key && own == key)
            })
        };
        let (start, end) = match &self.cursor {
            None => (0, self.size),
            Some(cursor) if cursor.backward => {
                let end = before(&cursor.key, false);
                (end.saturating_sub(self.size), end)
            }
            Some(cursor) => {
                let start = before(&cursor.key, true);
                (start, start + self.size)
            }
        };
        let end = end.min(entries.len());
        let cursor = |at: usize, backward| {
            let (order, descending) = (self.order.to_owned(), self.descending);
            entries.get(at).map(|(key, _)| Cursor { order, descending, backward, key: key.clone() }.text())
        };
        let next = if end < entries.len() { end.checked_sub(1).and_then(|last| cursor(last, false)) } else { None };
        let previous = if start > 0 { cursor(start, true) } else { None };
        let results: Vec<Value> = entries.into_iter().take(end).skip(start).map(|(_, entry)| show(entry)).collect();
        json!({"results": results, "next_cursor": next, "prev_cursor": previous})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(query: &str) -> Result<Wanted, Failure> {
        Wanted::read(&Fields::of_query(query), &["created_at", "name"])
    }

    fn page(query: &str, names: &[&str]) -> Value {
        let entries = names.iter().enumerate().map(|(at, name)| (((*name).to_owned(), at as u64), *name)).collect();
        wanted(query).unwrap().cut(entries, |name| json!(name))
    }

    fn cursor(page: &Value, name: &str) -> String {
        page[name].as_str().unwrap().to_owned()
    }

    #[test]
    fn cursors_lead_there_and_back() {
        let names = ["b", "a", "c", "a", "d"];
        for (direction, expected) in [("asc", ["a", "a", "b", "c", "d"]), ("desc", ["d", "c", "b", "a", "a"])] {
            let query = format!("page_size=2&order_direction={direction}");
            let first = page(&query, &names);
            assert_eq!((&first["results"], &first["prev_cursor"]), (&json!(expected[..2]), &Value::Null));
            let second = page(&format!("{query}&cursor={}", cursor(&first, "next_cursor")), &names);
            assert_eq!(second["results"], json!(expected[2..4]));
            let third = page(&format!("{query}&cursor={}", cursor(&second, "next_cursor")), &names);
            assert_eq!((&third["results"], &third["next_cursor"]), (&json!(expected[4..]), &Value::Null));
            let back = page(&format!("{query}&cursor={}", cursor(&third, "prev_cursor")), &names);
            assert_eq!(back["results"], second["results"]);
        }
    }

    #[test]
    fn what_goes_meanwhile_moves_nothing() {
        let first = page("page_size=2", &["a", "b", "c", "d"]);
        // The entry of the cursor is gone, and so is one before it.
        let rest: Vec<(Key, &str)> = vec![(("c".into(), 2), "c"), (("d".into(), 3), "d")];
        let query = format!("page_size=2&cursor={}", cursor(&first, "next_cursor"));
        assert_eq!(wanted(&query).unwrap().cut(rest, |name| json!(name))["results"], json!(["c", "d"]));
    }

    proptest! {
        #[test]
        fn a_walk_finds_everything_once(names in prop::collection::vec("[ab]{0,2}", 0..20), size in 1..7_usize) {
            for direction in ["asc", "desc"] {
                let mut sorted: Vec<Key> =
                    names.iter().enumerate().map(|(at, name)| (name.clone(), at as u64)).collect();
                sorted.sort();
                if direction == "desc" {
                    sorted.reverse();
                }
                let (mut walked, mut cursor) = (Vec::new(), Some(String::new()));
                while let Some(at) = cursor {
                    let query = format!("page_size={size}&order_direction={direction}&cursor={at}");
                    let entries = sorted.iter().rev().map(|key| (key.clone(), key.1)).collect();
                    let page = wanted(&query).unwrap().cut(entries, |number| json!(number));
                    let found = page["results"].as_array().unwrap();
                    prop_assert!(found.len() <= size);
                    walked.extend(found.iter().map(|number| number.as_u64().unwrap()));
                    cursor = page["next_cursor"].as_str().map(str::to_owned);
                }
                prop_assert_eq!(walked, sorted.iter().map(|key| key.1).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn sizes_and_cursors_have_limits() {
        assert_eq!(wanted("").unwrap().size, 50);
        for wrong in ["page_size=0", "page_size=101", "page_size=x", "order_by=size", "order_direction=up", "cursor=zz"]
        {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
        let first = page("page_size=1", &["a", "b"]);
        let other = format!("order_by=name&cursor={}", cursor(&first, "next_cursor"));
        assert!(wanted(&other).is_err(), "the cursor of another order");
    }
}
