//! One life in front of a service that can be made to wait, to fail and to go away.

use std::sync::Arc;

use super::life::{Life, path};
use crate::error::Kind;
use crate::file::Close;
use crate::service::Operation;
use crate::service::layer::Layered;
use crate::service::layer::fault::{Fault, Faults, Gate, When};
use crate::service::memory::{Memory, MemoryConfig};
use crate::spool::model::{End, Fate, Model};

/// One life in front of a service that can be made to wait and to fail.
pub(super) struct Rig {
    pub(super) memory: Arc<Memory>,
    pub(super) faults: Arc<Faults>,
    pub(super) life: Life,
    close: Close,
}

impl Rig {
    /// With `--close=local`.
    pub(super) fn new(config: MemoryConfig) -> Rig {
        Rig::closing(config, Close::Local)
    }

    pub(super) fn closing(config: MemoryConfig, close: Close) -> Rig {
        let fate = Fate::after(u64::MAX);
        Rig::on(Arc::new(Memory::new(config)), Model::new(fate.clone()), fate, close)
    }

    fn on(memory: Arc<Memory>, disk: Model, fate: Arc<Fate>, close: Close) -> Rig {
        let faults = Faults::new();
        let service = Layered::wrap(memory.clone(), faults.clone());
        Rig { memory, faults, life: Life::before(service, disk, fate, close), close }
    }

    /// Every upload waits from now on, until the gate opens.
    pub(super) fn stall(&self) -> Gate {
        let gate = Gate::new();
        for operation in [Operation::Begin, Operation::PutWhole] {
            self.faults.add(operation, When::Always, Fault::StallBefore(gate.clone()));
        }
        gate
    }

    pub(super) fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.memory.content(&path(name)).map(|bytes| bytes.to_vec())
    }

    pub(super) fn versions(&self, name: &str) -> u64 {
        self.memory.file(&path(name)).map_or(0, |file| file.versions)
    }

    /// The next process, after `kill -9`.
    pub(super) fn again(self) -> Rig {
        let fate = Fate::after(u64::MAX);
        let disk = self.life.end(End::Killed, fate.clone());
        Rig::on(self.memory, disk, fate, self.close)
    }

    /// Nobody answers any more.
    pub(super) fn go_away(&self) {
        for operation in ALL {
            self.faults.add(operation, When::Always, Fault::refused(Kind::Unreachable));
        }
    }

    /// The service is there again.
    pub(super) fn come_back(&self) {
        self.faults.heal();
    }
}

/// Whatever a mount asks.
const ALL: [Operation; 13] = [
    Operation::Admit,
    Operation::Stat,
    Operation::List,
    Operation::Read,
    Operation::Mkdir,
    Operation::Remove,
    Operation::Rename,
    Operation::Begin,
    Operation::Put,
    Operation::Finish,
    Operation::Probe,
    Operation::Abort,
    Operation::PutWhole,
];
