//! What takes time: moving and cloning are asked for, done a moment later, and looked at by polling. An operation that a
//! restart interrupts is done at the start; only a dry run was never one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::calls::OperationKind;
use super::errors::Failure;
use super::fields::Fields;
use super::pages::Relocation;
use super::server::{Asked, Server};
use super::slugs;
use super::wiki::Wiki;
use crate::portal::faults::Injection;
use crate::portal::uuid::uuid;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Task {
    Move { relocations: Vec<Relocation> },
    Clone { page: u64, target: String, title: Option<String> },
}

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Progress {
    /// Nobody has asked for it yet.
    Scheduled,
    UnderWay,
    Done {
        pages: usize,
    },
    /// The code of what went wrong.
    Failed {
        code: String,
    },
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) task: Task,
    pub(super) progress: Progress,
    /// The login of who asked for it.
    user: String,
    asked_at: OffsetDateTime,
    /// A fault: it will not work.
    fails: bool,
}

impl Operation {
    fn kind(&self) -> OperationKind {
        match self.task {
            Task::Move { .. } => OperationKind::Move,
            Task::Clone { .. } => OperationKind::Clone,
        }
    }

    fn show(&self) -> Value {
        match &self.progress {
            Progress::Scheduled => json!({"status": "scheduled", "progress": 0, "result": null}),
            Progress::UnderWay => json!({"status": "in_progress", "progress": 50, "result": null}),
            // Without a progress, seen live.
            Progress::Done { pages } => json!({"status": "success", "result": {"page_count": pages}}),
            Progress::Failed { code } => json!({"status": "failed", "result": null, "error_code": code}),
        }
    }
}

impl Wiki {
    /// Does what was asked for, and notes how it ended.
    pub(super) fn perform(&mut self, id: &str) {
        let Some(mut operation) = self.operations.get(id).cloned() else { return };
        let done = match &operation.task {
            _ if operation.fails => Err(Failure::conflict("CLUSTER_BLOCKED", "Cluster is blocked")),
            Task::Move { relocations } => {
                relocations.iter().try_fold(0, |sum, relocation| Ok(sum + self.relocate(relocation)?))
            }
            Task::Clone { page, target, title } => {
                self.clone_page(*page, target, title.as_deref(), &operation.user, operation.asked_at);
                Ok(1)
            }
        };
        operation.progress = match done {
            Ok(pages) => Progress::Done { pages },
            Err(Failure::Said { code, .. }) => Progress::Failed { code: code.to_owned() },
            Err(Failure::NoFile) => Progress::Failed { code: "NOT_FOUND".to_owned() },
        };
        self.keep_operation(id, operation);
    }

    /// Does what a restart interrupted.
    pub(super) fn perform_interrupted(&mut self) {
        let open = |operation: &Operation| matches!(operation.progress, Progress::Scheduled | Progress::UnderWay);
        let ids: Vec<String> =
            self.operations.iter().filter(|(_, operation)| open(operation)).map(|(id, _)| id.clone()).collect();
        ids.iter().for_each(|id| self.perform(id));
    }
}

impl Server {
    pub(super) async fn move_pages(self: &Arc<Self>, asked: &Asked, fields: &Fields) -> Result<Value, Failure> {
        if !asked.settings.has_move {
            return Err(Failure::no_call());
        }
        let listed = fields.required("operations", fields.get("operations").and_then(Value::as_array))?;
        // Mandatory, though the document says otherwise.
        if fields.flag("copy_inherited_access")?.is_none() {
            let message = "copy_inherited_access is not given";
            return Err(Failure::refused("INHERITANCE_BEHAVIOR_IS_NOT_SPECIFIED", message));
        }
        let relocations: Vec<Relocation> =
            listed.iter().map(|one| self.relocation(asked, one)).collect::<Result<_, _>>()?;
        if relocations.is_empty() {
            return Err(fields.wrong("operations", "ensure this value has at least 1 items", "value_error.list"));
        }
        for relocation in &relocations {
            self.wiki().check_relocation(relocation)?;
            asked.check_writable(&relocation.source)?;
            asked.check_writable(&relocation.target)?;
        }
        let dry_run = asked.query.flag("dry_run")?.unwrap_or(false);
        self.begin(asked, Task::Move { relocations }, dry_run).await
    }

    fn relocation(&self, asked: &Asked, one: &Value) -> Result<Relocation, Failure> {
        let fields = Fields::of_body(one.to_string().as_bytes())?;
        let slug = |name: &str| {
            let given = fields.required(name, fields.text(name)?)?;
            asked.slug(given).ok_or_else(|| fields.wrong(name, "invalid slug", "value_error"))
        };
        let (source, target) = (slug("source")?, slug("target")?);
        if fields.has("next_to_slug") {
            let next_to = slug("next_to_slug")?;
            if slugs::parent(&next_to) != slugs::parent(&target) || self.wiki().page_at(&next_to).is_none() {
                return Err(Failure::refused("NEXT_TO_WRONG_CLUSTER", "Next to a page of another cluster"));
            }
        }
        Ok(Relocation { source, target })
    }

    pub(super) async fn clone_page(
        self: &Arc<Self>,
        asked: &Asked,
        page: u64,
        fields: &Fields,
    ) -> Result<Value, Failure> {
        let given = fields.required("target", fields.text("target")?)?;
        let target = asked.slug(given).ok_or_else(|| fields.wrong("target", "invalid slug", "value_error"))?;
        let title = fields.text("title")?.map(str::to_owned);
        self.wiki().page(page)?;
        asked.check_writable(&target)?;
        self.wiki().check_slug(&target, &asked.settings)?;
        self.begin(asked, Task::Clone { page, target, title }, false).await
    }

    /// Queues an operation; what is told about it.
    async fn begin(self: &Arc<Self>, asked: &Asked, task: Task, dry_run: bool) -> Result<Value, Failure> {
        let (id, user) = (uuid(), asked.user.login.clone());
        let fails = asked.injections.has(Injection::Locked);
        let operation = Operation { task, progress: Progress::Scheduled, user, asked_at: asked.now, fails };
        let kind = operation.kind().name();
        if !dry_run {
            self.change(|wiki| wiki.keep_operation(&id, operation)).await?;
            let (server, id, ms) = (self.clone(), id.clone(), asked.settings.operation_ms);
            tokio::spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
                if let Err(error) = server.change(|wiki| wiki.perform(&id)).await {
                    tracing::error!(%error, "an operation was not kept");
                }
            });
        }
        let status_url = format!("{}/operations/{kind}/{id}", self.config.base_path);
        Ok(json!({"dry_run": dry_run, "operation": {"id": id, "type": kind}, "status_url": status_url}))
    }

    /// How an operation is getting on. A dry run is none.
    pub(super) fn operation(&self, kind: OperationKind, id: &str) -> Result<Value, Failure> {
        let mut wiki = self.wiki();
        let found = wiki.operations.get_mut(id).filter(|operation| operation.kind() == kind);
        let operation = found.ok_or_else(|| Failure::not_found("No Operation matches the given query."))?;
        let shown = operation.show();
        // Not kept: whoever asks after a restart finds it done.
        if operation.progress == Progress::Scheduled {
            operation.progress = Progress::UnderWay;
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::portal::store::Records;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn operation(task: Task, fails: bool) -> Operation {
        Operation { task, progress: Progress::Scheduled, user: "user".into(), asked_at: NOW, fails }
    }

    fn relocation(source: &str, target: &str) -> Relocation {
        Relocation { source: source.into(), target: target.into() }
    }

    #[test]
    fn what_a_restart_interrupts_is_done() {
        let mut wiki = Wiki::load(Records::new()).unwrap();
        let page = wiki.make_page("a", "A", "user", NOW);
        let moving = Task::Move { relocations: vec![relocation("a", "b")] };
        wiki.keep_operation("1", operation(moving, false));
        wiki.keep_operation("2", operation(Task::Clone { page, target: "c".into(), title: None }, false));
        let mut wiki = Wiki::load(wiki.journal.take_records()).unwrap();
        wiki.perform_interrupted();
        assert_eq!(wiki.operations["1"].progress, Progress::Done { pages: 1 });
        let slugs: Vec<&str> = wiki.below("").iter().map(|page| page.slug.as_str()).collect();
        assert_eq!(slugs, ["b", "c"]);
        wiki.perform_interrupted();
        assert_eq!(wiki.pages.len(), 2, "nothing is done twice");
    }

    #[test]
    fn an_operation_can_fail() {
        let mut wiki = Wiki::load(Records::new()).unwrap();
        wiki.make_page("a", "A", "user", NOW);
        for (id, source, fails, expected) in [("1", "x", false, "NOT_FOUND"), ("2", "a", true, "CLUSTER_BLOCKED")] {
            let task = Task::Move { relocations: vec![relocation(source, "b")] };
            wiki.keep_operation(id, operation(task, fails));
            wiki.perform(id);
            assert_eq!(wiki.operations[id].progress, Progress::Failed { code: expected.into() });
            assert_eq!(wiki.operations[id].show()["status"], "failed");
        }
    }

    #[test]
    fn only_what_is_under_way_has_a_progress() {
        let mut moving = operation(Task::Move { relocations: vec![] }, false);
        assert_eq!(moving.show()["status"], "scheduled");
        moving.progress = Progress::UnderWay;
        assert!(moving.show()["progress"].is_number());
        moving.progress = Progress::Done { pages: 3 };
        assert_eq!(moving.show(), json!({"status": "success", "result": {"page_count": 3}}));
    }
}
