//! ONLYOFFICE portals for tests, and the client of the project on them. Each test has a portal of its own, on a free port.

use std::sync::Arc;

use tempfile::TempDir;
use uploadfs::portal::onlyoffice::{Generation, OnlyofficeConfig as PortalSettings, PASSWORD, Settings, USER};
use uploadfs::portal::{Portal, PortalConfig, PortalState, ServiceConfig};
use uploadfs::service::Service;
use uploadfs::service::onlyoffice::{Onlyoffice, OnlyofficeConfig, Root};

use super::clock::Line;
use super::fixture::Fixture;

/// The chunk size of small portals, in bytes: small, so that large files are.
pub(crate) const CHUNK: u64 = 4096;

pub(crate) const GENERATIONS: [Generation; 4] = [Generation::G0, Generation::G1, Generation::G2, Generation::G3];

/// A folder in memory, where the system has a place for that: nobody waits for a disk there.
pub(crate) fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A portal of its own.
pub(crate) struct Office {
    pub(crate) portal: Portal,
    pub(crate) generation: Generation,
    _folder: TempDir,
}

impl Office {
    /// A portal with small chunks and quick operations.
    pub(crate) fn small(generation: Generation) -> Office {
        Office::with(generation, |settings| settings.chunk_bytes = CHUNK)
    }

    /// A portal with these settings, and quick operations.
    pub(crate) fn with(generation: Generation, change: impl FnOnce(&mut Settings)) -> Office {
        let mut config = PortalSettings::new(generation);
        config.settings.operation_ms = 1;
        change(&mut config.settings);
        Office::of(config)
    }

    pub(crate) fn of(config: PortalSettings) -> Office {
        let folder = quick_folder();
        let generation = config.version.generation();
        let config = PortalConfig::new(folder.path().join("store"), ServiceConfig::Onlyoffice(config));
        Office { portal: Portal::start(config).unwrap(), generation, _folder: folder }
    }

    /// A client signed in with the usual password, at the usual root.
    pub(crate) fn client(&self) -> Arc<Onlyoffice> {
        self.client_at("@my")
    }

    pub(crate) fn client_at(&self, root: &str) -> Arc<Onlyoffice> {
        Arc::new(Onlyoffice::new(self.config(root)).unwrap())
    }

    /// A client that reaches the portal through this line.
    pub(crate) fn client_through(&self, line: &Line) -> Arc<Onlyoffice> {
        let config = OnlyofficeConfig { url: line.url(), ..self.config("@my") };
        Arc::new(Onlyoffice::new(config).unwrap())
    }

    pub(crate) fn config(&self, root: &str) -> OnlyofficeConfig {
        OnlyofficeConfig {
            url: self.portal.url(),
            user: USER.to_owned(),
            password: Some(PASSWORD.into()),
            token: None,
            root: Root::parse(root).unwrap(),
            chunk_bytes: Some(CHUNK),
            ca_file: None,
            proxy: None,
        }
    }

    pub(crate) fn state(&self) -> PortalState {
        self.portal.state().unwrap()
    }

    /// No rule was broken, no session was given up, nothing leaked.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let state = self.state();
        assert_eq!(state.violations, []);
        assert_eq!(state.leaked_bytes, 0);
        let open: Vec<_> = state.sessions.iter().filter(|session| session.commits == 0).collect();
        assert!(open.is_empty(), "sessions that made nothing: {open:?}");
    }
}

/// A portal of this generation for the conformance suite.
pub(crate) async fn fixture(generation: Generation, change: impl FnOnce(&mut Settings)) -> Fixture {
    let office = Arc::new(Office::with(generation, |settings| {
        settings.chunk_bytes = CHUNK;
        change(settings);
    }));
    let client = office.client();
    client.connect().await.unwrap();
    let service: Arc<dyn Service> = client;
    let mut fixture = Fixture::new(service, ());
    fixture.refused = vec!["a*b.txt", "a+b.txt", "a|b", " blank", "party 🎉.txt"];
    fixture.watch(move || office.portal.violations().into_iter().map(|broken| format!("{broken:?}")).collect());
    fixture
}
