//! Cloud folders for tests, and the client of the project on them. Each test has a folder of its own, on free ports.

use std::sync::Arc;

use tempfile::TempDir;
use uploadfs::path::RemotePath;
use uploadfs::portal::yandex_cloud::{API_KEY, FOLDER, Settings, YandexCloudConfig as PortalSettings};
use uploadfs::portal::{FileState, Portal, PortalConfig, PortalState, ServiceConfig};
use uploadfs::secret::Token;
use uploadfs::service::Service;
use uploadfs::service::yandex_cloud::{DEFAULT_DAYS, Dialect, FILE_SAFE, Refresh, YandexCloud, YandexCloudConfig};

use super::clock::Line;
use super::daemon::Section;
use super::fixture::Fixture;
use super::office::quick_folder;

/// Both dialects.
pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::Native, Dialect::OpenAi];

/// A cloud folder of its own.
pub(crate) struct Cloud {
    pub(crate) portal: Portal,
    pub(crate) dialect: Dialect,
    _folder: TempDir,
}

impl Cloud {
    /// A folder with everything as it comes.
    pub(crate) fn new(dialect: Dialect) -> Cloud {
        Cloud::with(dialect, |_| {})
    }

    /// A folder with these settings.
    pub(crate) fn with(dialect: Dialect, change: impl FnOnce(&mut Settings)) -> Cloud {
        let mut config = PortalSettings::default();
        change(&mut config.settings);
        let folder = quick_folder();
        let config = PortalConfig::new(folder.path().join("store"), ServiceConfig::YandexCloud(config));
        Cloud { portal: Portal::start(config).unwrap(), dialect, _folder: folder }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Arc<YandexCloud> {
        Arc::new(YandexCloud::new(self.config()).unwrap())
    }

    /// A client that reaches it, and its storage, through this line.
    pub(crate) fn client_through(&self, line: &Line) -> Arc<YandexCloud> {
        Arc::new(YandexCloud::new(YandexCloudConfig { proxy: Some(line.url()), ..self.config() }).unwrap())
    }

    /// A client that looks after its files so.
    pub(crate) fn client_refreshing(&self, refresh: Refresh) -> Arc<YandexCloud> {
        Arc::new(YandexCloud::refreshing(self.config(), refresh).unwrap())
    }

    pub(crate) fn config(&self) -> YandexCloudConfig {
        YandexCloudConfig {
            url: self.portal.url(),
            dialect: self.dialect,
            folder: FOLDER.to_owned(),
            root: RemotePath::root(),
            token: Arc::new(Token::fixed(API_KEY.into())),
            ttl_days: DEFAULT_DAYS,
            file_max: FILE_SAFE,
            ca_file: None,
            proxy: None,
        }
    }

    /// The remote of a daemon.
    pub(crate) fn section(&self) -> Section {
        let dialect = match self.dialect {
            Dialect::Native => "native",
            Dialect::OpenAi => "openai",
        };
        Section {
            lines: format!(
                "service = \"yandex-cloud\"\nurl = {:?}\nfolder = {FOLDER:?}\ndialect = {dialect:?}\n\
                 token_file = \"secret\"\n",
                self.portal.url()
            ),
            secret: API_KEY.to_owned(),
        }
    }

    pub(crate) fn state(&self) -> PortalState {
        self.portal.state().unwrap()
    }

    /// The only file of this name.
    #[track_caller]
    pub(crate) fn file(&self, name: &str) -> FileState {
        let files: Vec<_> = self.state().files.into_iter().filter(|file| file.path == format!("/{name}")).collect();
        assert_eq!(files.len(), 1, "{name}: {files:?}");
        files.into_iter().next().unwrap()
    }

    /// The names of all files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.state().files.into_iter().map(|file| file.path).collect();
        names.sort();
        names
    }

    /// No rule was broken.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert_eq!(self.portal.violations(), []);
    }
}

/// A folder for the conformance suite.
pub(crate) async fn fixture(dialect: Dialect, change: impl FnOnce(&mut Settings)) -> Fixture {
    let cloud = Arc::new(Cloud::with(dialect, change));
    let service: Arc<dyn Service> = cloud.client();
    // Whether there are empty files it learns from the first one.
    let probe = RemotePath::parse("probe").unwrap();
    if let Ok(node) = super::upload::whole(&*service, &probe, &bytes::Bytes::new()).await {
        service.remove(&probe, &node).await.unwrap();
    }
    let mut fixture = Fixture::new(service, ());
    if dialect == Dialect::OpenAi {
        fixture.refused = vec!["a\"b.txt", "a\\b.txt"];
    }
    fixture.watch(move || cloud.portal.violations().into_iter().map(|broken| format!("{broken:?}")).collect());
    fixture
}
