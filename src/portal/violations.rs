//! What a client did that real servers break on, or that only the benevolence of this one lets pass. Tests assert that
//! the list is empty; a server's answer alone would let a retry hide the mistake.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The kind of request.
    pub kind: String,
    /// What was wrong with it.
    pub what: String,
}

/// A client that breaks one rule in a loop must not fill the memory; a thousand say as much as a million.
const KEPT_MAX: usize = 1000;

/// The list.
#[derive(Debug, Default)]
pub(super) struct Violations(Mutex<Vec<Violation>>);

impl Violations {
    pub(super) fn record(&self, kind: &str, what: impl Into<String>) {
        let what = what.into();
        tracing::warn!(kind, what, "violation");
        let mut list = self.list();
        if list.len() < KEPT_MAX {
            list.push(Violation { kind: kind.to_owned(), what });
        }
    }

    pub(super) fn all(&self) -> Vec<Violation> {
        self.list().clone()
    }

    pub(super) fn clear(&self) {
        self.list().clear();
    }

    fn list(&self) -> MutexGuard<'_, Vec<Violation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded() {
        let violations = Violations::default();
        (0..KEPT_MAX + 10).for_each(|number| violations.record("chunk", format!("number {number}")));
        assert_eq!(violations.all().len(), KEPT_MAX);
        assert_eq!(violations.all()[1], Violation { kind: "chunk".into(), what: "number 1".into() });
        violations.clear();
        assert_eq!(violations.all(), []);
    }
}
