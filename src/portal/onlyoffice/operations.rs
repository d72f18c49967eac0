//! The list of operations on entries that are under way, and its trap: a finished one is reported once and forgotten.

use serde_json::{Value, json};

use super::calls::Deed;
use super::generation::Version;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) user: String,
    pub(super) deed: Deed,
    /// `Some` when it is over: what went wrong, or nothing.
    pub(super) outcome: Option<String>,
    /// Whether it is kept until it was reported.
    pub(super) held: bool,
    pub(super) files: Vec<u64>,
    pub(super) folders: Vec<u64>,
}

impl Operation {
    pub(super) fn show(&self, version: Version) -> Value {
        let number = match self.deed {
            Deed::Move => 0,
            Deed::Copy => 1,
            Deed::Delete => 2,
        };
        // DocSpace writes this one with a capital.
        let name = if version.is_community() { "operation" } else { "Operation" };
        let finished = self.outcome.is_some();
        let entries = self.files.len() + self.folders.len();
        json!({
            "id": self.id,
            name: number,
            "progress": if finished { 100 } else { 0 },
            "error": self.outcome.as_deref().unwrap_or_default(),
            "processed": if finished { entries.to_string() } else { "0".to_owned() },
            "finished": finished,
            "status": if finished { 2 } else { 1 },
            "files": [],
            "folders": [],
        })
    }
}

/// All operations, in the order they began.
#[derive(Debug, Default)]
pub(super) struct Operations(Vec<Operation>);

impl Operations {
    pub(super) fn add(&mut self, operation: Operation) {
        self.0.push(operation);
    }

    /// Ends an operation; one that nobody holds is forgotten at once.
    pub(super) fn finish(&mut self, id: &str, outcome: String) {
        if let Some(operation) = self.0.iter_mut().find(|operation| operation.id == id) {
            operation.outcome = Some(outcome);
        }
        self.0.retain(|operation| operation.held || operation.outcome.is_none());
    }

    /// The operations of a user, or one of them. Those that are over are forgotten.
    pub(super) fn report(&mut self, user: &str, id: Option<&str>) -> Vec<Operation> {
        let is_asked = |operation: &Operation| operation.user == user && id.is_none_or(|id| operation.id == id);
        let report: Vec<Operation> = self.0.iter().filter(|operation| is_asked(operation)).cloned().collect();
        self.0.retain(|operation| !(is_asked(operation) && operation.outcome.is_some()));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::super::generation::Generation;
    use super::*;

    fn operation(id: &str, held: bool) -> Operation {
        let (user, files) = ("u".to_owned(), vec![7]);
        Operation { id: id.into(), user, deed: Deed::Delete, outcome: None, held, files, folders: vec![] }
    }

    fn ids(report: &[Operation]) -> Vec<&str> {
        report.iter().map(|operation| operation.id.as_str()).collect()
    }

    #[test]
    fn a_finished_operation_is_reported_once() {
        let mut operations = Operations::default();
        operations.add(operation("a", true));
        operations.add(operation("b", true));
        assert_eq!(ids(&operations.report("u", None)), ["a", "b"]);
        operations.finish("a", String::new());
        assert_eq!(operations.report("you", None), []);
        assert_eq!(ids(&operations.report("u", Some("b"))), ["b"]);
        assert_eq!(ids(&operations.report("u", None)), ["a", "b"]);
        assert_eq!(ids(&operations.report("u", None)), ["b"]);
    }

    #[test]
    fn one_that_nobody_holds_is_never_reported_as_finished() {
        let mut operations = Operations::default();
        operations.add(operation("a", false));
        assert_eq!(operations.report("u", None)[0].outcome, None);
        operations.finish("a", String::new());
        assert_eq!(operations.report("u", None), []);
    }

    #[test]
    fn the_families_write_it_differently() {
        let mut operation = operation("a", true);
        assert_eq!(operation.show(Generation::G0.version())["operation"], 2);
        operation.outcome = Some("locked".into());
        let shown = operation.show(Generation::G3.version());
        assert_eq!(
            (&shown["Operation"], &shown["finished"], &shown["error"]),
            (&json!(2), &json!(true), &json!("locked"))
        );
        assert_eq!((&shown["progress"], &shown["processed"]), (&json!(100), &json!("1")));
    }
}
