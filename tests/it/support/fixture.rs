//! A service to run the conformance suite against, and what the suite must know about it beyond its capability.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uploadfs::path::RemotePath;
use uploadfs::service::layer::stack;
use uploadfs::service::memory::{Memory, MemoryConfig};
use uploadfs::service::{PartRules, Service, SizePolicy};

/// Asks a service which rules its callers broke.
type Violations = Box<dyn Fn() -> Vec<String> + Send + Sync>;

/// A service under test. A new service fills in `service` and, where it has them, the rest.
pub(crate) struct Fixture {
    pub(crate) service: Arc<dyn Service>,
    /// An extension that the service takes.
    pub(crate) extension: &'static str,
    /// Names that the service must refuse.
    pub(crate) refused: Vec<&'static str>,
    violations: Violations,
    forgiven: AtomicBool,
    /// Whatever must live as long as the service: a server, a directory.
    _guard: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    pub(crate) fn new(service: Arc<dyn Service>, guard: impl Any + Send + Sync) -> Self {
        Fixture {
            service,
            extension: "txt",
            refused: Vec::new(),
            violations: Box::new(Vec::new),
            forgiven: AtomicBool::new(false),
            _guard: Box::new(guard),
        }
    }

    /// Asks `violations` which rules were broken.
    pub(crate) fn watch(&mut self, violations: impl Fn() -> Vec<String> + Send + Sync + 'static) {
        self.violations = Box::new(violations);
    }

    /// A path of this stem that the service takes.
    pub(crate) fn path(&self, stem: &str) -> RemotePath {
        RemotePath::parse(&format!("{stem}.{}", self.extension)).expect("a stem is a name")
    }

    /// From now on the test breaks rules on purpose.
    pub(crate) fn forgive(&self) {
        self.forgiven.store(true, Ordering::Relaxed);
    }

    /// Nothing that the test did may have broken a rule.
    pub(crate) fn assert_no_violations(&self) {
        if !self.forgiven.load(Ordering::Relaxed) {
            assert_eq!((self.violations)(), [""; 0], "rules the service announced were broken");
        }
    }
}

/// A memory service, which notices every broken rule.
pub(crate) async fn memory(mut config: MemoryConfig) -> Fixture {
    // Small pages, so that a handful of files is a long listing.
    config.page_entries = 3;
    config.names.refused = &["exe"];
    config.names.forbidden = "|";
    let memory = Arc::new(Memory::new(config));
    let watched = memory.clone();
    Fixture {
        refused: vec!["program.exe", "PROGRAM.EXE", "a|b.txt"],
        violations: Box::new(move || watched.violations()),
        ..Fixture::new(memory, ())
    }
}

/// The same service with the layers of a mount around it.
pub(crate) async fn stacked(fixture: impl Future<Output = Fixture>) -> Fixture {
    let fixture = fixture.await;
    Fixture { service: stack(fixture.service).service, ..fixture }
}

/// The same service with parts of some KiB, so that small files have many.
pub(crate) fn small_parts(config: MemoryConfig) -> MemoryConfig {
    let fixed = matches!(config.capability.policy, SizePolicy::Declared(_));
    let mut config = config.with_rules(|rules| {
        let (size, min, multiple) = if fixed { (4096, 4096, 4096) } else { (4096, 1024, 1) };
        let max = if fixed { size } else { 2 * size };
        *rules = PartRules { size, min, max, multiple, first_max: rules.first_max.map(|_| 1024), ..*rules };
    });
    config.capability.whole_max = config.capability.whole_max.min(2000);
    config
}
