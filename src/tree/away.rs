//! Names while the service is away: what was known of them counts, however old it is, and one question at a time finds out
//! whether the service is back. What was never known is not made up: its question fails as it would have.
//!
//! With `--close=local` a program goes on making files meanwhile, so the mount sees to it that it knows the directories
//! that are used: each is listed once, behind the first question about a name in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Ino, Known, ROOT, Tree};
use crate::error::{Error, Kind, Result};
use crate::file::Close;
use crate::path::RemotePath;
use crate::service::NodeKind;
use crate::service::layer::Reach;

/// What a tree knows about the way to its service.
pub(super) struct Way {
    reach: Arc<Reach>,
    /// A question is under way that tells whether the service is back.
    asking: AtomicBool,
}

/// How much an answer from memory is worth to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// It is better than none.
    Memory,
    /// Only the service's own word will do.
    Service,
}

impl Way {
    pub(super) fn new(reach: Arc<Reach>) -> Self {
        Way { reach, asking: AtomicBool::new(false) }
    }

    fn is_lost(&self) -> bool {
        self.reach.offline().is_some()
    }
}

impl Tree {
    /// What stands under a name; `None` if nothing does. That there is nothing is believed for `missed`.
    ///
    /// # Errors
    /// Whatever the service says, unless it is away and `trust` makes do with what is known.
    pub(super) async fn look(
        &self,
        parent: Ino,
        canonical: &str,
        missed: Duration,
        trust: Trust,
    ) -> Result<Option<Ino>> {
        match self.inner().known(parent, canonical, self.dir_cache, missed) {
            Known::Entry(ino) => return Ok(Some(ino)),
            Known::Absent => return Ok(None),
            Known::Ask => {}
        }
        let remembered = || match self.inner().known(parent, canonical, Duration::MAX, Duration::MAX) {
            Known::Entry(ino) => Some(Some(ino)),
            Known::Absent => Some(None),
            Known::Ask => None,
        };
        let known = trust == Trust::Memory && remembered().is_some();
        let (tree, name) = (self.this(), canonical.to_owned());
        let question = async move {
            match tree?.ask(parent, &name).await {
                Ok(ino) => Ok(Some(ino)),
                Err(error) if error.kind == Kind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        };
        match self.unless_away(known, question).await? {
            Some(found) => {
                self.survey(parent);
                Ok(found)
            }
            // Between the two moments a removal may have come.
            None => Ok(remembered().flatten()),
        }
    }

    /// The answer to `question`; `None` if the service is away, or turns out to be, and something is `known` that will do.
    /// The question goes on then, unless another one is under way already.
    pub(super) async fn unless_away<T: Send + 'static>(
        &self,
        known: bool,
        question: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<Option<T>> {
        if !known {
            return question.await.map(Some);
        }
        let lost = self.way.is_lost();
        if lost && self.way.asking.swap(true, Ordering::AcqRel) {
            return Ok(None);
        }
        let (sender, receiver) = oneshot::channel();
        let tree = self.this();
        self.files.uploads().spawn_behind(async move {
            let answer = question.await;
            if let (true, Ok(tree)) = (lost, tree) {
                tree.way.asking.store(false, Ordering::Release);
            }
            // Whoever asked may have made do with what is known.
            let _ = sender.send(answer);
        });
        if lost {
            return Ok(None);
        }
        tokio::select! {
            answer = receiver => match answer {
                Ok(Err(error)) if error.kind.is_silence() => Ok(None),
                Ok(answer) => answer.map(Some),
                Err(_) => Err(Error::new(Kind::Corrupt, "lookup", "the question was lost inside uploadfs")),
            },
            () = self.way.reach.lost() => Ok(None),
        }
    }

    /// Whether this account may write the file, as far as can be known now; see [`crate::service::Service::admit`].
    ///
    /// # Errors
    /// What the service has against it. With `--close=local` a service that is away has nothing against it yet: what it says
    /// later parks the file.
    pub(super) async fn admit_path(&self, path: &RemotePath) -> Result<()> {
        let goes_on = self.files.close() == Close::Local;
        if goes_on && self.way.is_lost() {
            return Ok(());
        }
        match self.service().admit(path).await {
            Err(error) if goes_on && error.kind.is_silence() => Ok(()),
            answer => answer,
        }
    }

    /// What a file that must not exist yet is looked up by. Who is told at close that the service has the file has to know;
    /// who is told that the local disk has it goes on without the service.
    pub(super) fn trust_to_make(&self) -> Trust {
        match self.files.close() {
            Close::Remote => Trust::Service,
            Close::Local => Trust::Memory,
        }
    }

    /// Whether what was just said of names was said without the service.
    pub(super) fn is_away(&self) -> bool {
        self.way.is_lost()
    }

    /// Begins to know the root, so that programs can go on when the service goes away; see the module.
    pub fn prepare(&self) {
        self.survey(ROOT);
    }

    /// Lists a directory behind whoever uses it, once.
    fn survey(&self, directory: Ino) {
        if self.files.close() != Close::Local {
            return;
        }
        {
            let mut inner = self.inner();
            let Some(entry) = inner.entries.get_mut(&directory) else { return };
            if entry.kind != NodeKind::Directory
                || entry.listed.is_some()
                || std::mem::replace(&mut entry.surveyed, true)
            {
                return;
            }
        }
        let tree = self.this();
        self.files.uploads().spawn_behind(async move {
            let Ok(tree) = tree else { return };
            if let Err(error) = tree.list(directory).await {
                tracing::debug!(%error, "a directory is not known for the time when the service is away");
                if let Some(entry) = tree.inner().entries.get_mut(&directory) {
                    entry.surveyed = false;
                }
            }
        });
    }

    /// This tree, for work that goes on behind whoever asked for it.
    ///
    /// # Errors
    /// `Interrupted`: the mount has ended.
    pub(super) fn this(&self) -> Result<Arc<Tree>> {
        let ended = || Error::new(Kind::Interrupted, "lookup", "the mount has ended");
        self.this.upgrade().ok_or_else(ended)
    }
}
