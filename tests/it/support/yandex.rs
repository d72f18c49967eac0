//! Yandex Wikis for tests, and the client of the project on them. Each test has a wiki of its own, on a free port.

use std::any::Any;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use uploadfs::portal::yandex_wiki::{
    IAM_TOKEN, OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, Settings, YandexWikiConfig as PortalSettings,
};
use uploadfs::portal::{FileState, Portal, PortalConfig, PortalState, ServiceConfig};
use uploadfs::secret::{Keeper, Token};
use uploadfs::service::Service;
use uploadfs::service::yandex_wiki::{Organisation, YandexWiki, YandexWikiConfig};

use super::clock::Line;
use super::fixture::Fixture;
use super::office::quick_folder;
use super::raw::{Answer, Request};

/// The size of parts on small wikis, in bytes: small, so that large files are.
pub(crate) const PART: u64 = 4096;
/// The largest part there, in bytes.
const PART_MAX: u64 = 3 * PART;
/// How many parts of a file the clients here send at once.
pub(crate) const WIDTH: usize = 4;
/// The largest file that both readings of 200 MB let through, in bytes.
pub(crate) const FILE_MAX: u64 = 200_000_000;

/// A wiki of its own.
pub(crate) struct Yandex {
    pub(crate) portal: Portal,
    kind: OrganisationKind,
    folder: TempDir,
}

impl Yandex {
    /// A wiki of small parts and quick operations, as hard on clients as it can be otherwise.
    pub(crate) fn small() -> Yandex {
        Yandex::with(|_| {})
    }

    /// The same with other settings.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Yandex {
        let mut config = small(OrganisationKind::Yandex360);
        change(&mut config.settings);
        Yandex::of(config)
    }

    /// A cloud organisation, whose tokens end.
    pub(crate) fn cloud() -> Yandex {
        Yandex::of(small(OrganisationKind::Cloud))
    }

    pub(crate) fn of(config: PortalSettings) -> Yandex {
        // Whoever sends large files has parts as large as they come.
        let folder = match config.settings.part_bytes_min > PART {
            true => tempfile::tempdir().unwrap(),
            false => quick_folder(),
        };
        let kind = config.kind;
        let config = PortalConfig::new(folder.path().join("store"), ServiceConfig::YandexWiki(config));
        let yandex = Yandex { portal: Portal::start(config).unwrap(), kind, folder };
        yandex.renew(match kind {
            OrganisationKind::Yandex360 => OAUTH_TOKEN,
            OrganisationKind::Cloud => IAM_TOKEN,
        });
        yandex
    }

    /// Where the token lies that clients use.
    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Writes another token where clients look for theirs, as a refresher does.
    pub(crate) fn renew(&self, token: &str) {
        write_private(&self.token_file(), token);
    }

    /// A client at the page that every wiki has.
    pub(crate) fn client(&self) -> Arc<YandexWiki> {
        self.client_with(|_| {})
    }

    /// A client that is configured in another way.
    pub(crate) fn client_with(&self, change: impl FnOnce(&mut YandexWikiConfig)) -> Arc<YandexWiki> {
        let mut config = self.config();
        change(&mut config);
        Arc::new(YandexWiki::new(config).unwrap())
    }

    /// A client that reaches the wiki through this line.
    pub(crate) fn client_through(&self, line: &Line) -> Arc<YandexWiki> {
        self.client_with(|config| config.url = line.url())
    }

    pub(crate) fn config(&self) -> YandexWikiConfig {
        YandexWikiConfig {
            url: self.portal.url(),
            token: Arc::new(Token::of_file(self.token_file(), Keeper::Person).unwrap()),
            organisation: match self.kind {
                OrganisationKind::Yandex360 => Organisation::Yandex360(ORGANISATION.to_owned()),
                OrganisationKind::Cloud => Organisation::Cloud(ORGANISATION.to_owned()),
            },
            root: Some(ROOT_SLUG.to_owned()),
            part_bytes: PART,
            parts_at_once: WIDTH,
            file_max: FILE_MAX,
            ca_file: None,
            proxy: None,
        }
    }

    /// Somebody with a browser.
    pub(crate) fn browser(&self) -> Browser {
        let header = match self.kind {
            OrganisationKind::Yandex360 => "X-Org-Id",
            OrganisationKind::Cloud => "X-Cloud-Org-Id",
        };
        Browser { address: self.portal.address(), header, token: OAUTH_TOKEN.to_owned() }
    }

    pub(crate) fn state(&self) -> PortalState {
        self.portal.state().unwrap()
    }

    /// How many requests of a kind have come.
    pub(crate) fn count(&self, kind: &str) -> u64 {
        self.state().requests.get(kind).copied().unwrap_or(0)
    }

    /// What is attached to the mounted page and those below it: paths from there and sizes, sorted.
    pub(crate) fn files(&self) -> Vec<(String, u64)> {
        let here = |file: &FileState| Some((file.path.strip_prefix(&format!("/{ROOT_SLUG}/"))?.to_owned(), file.bytes));
        let mut files: Vec<(String, u64)> = self.state().files.iter().filter_map(here).collect();
        files.sort();
        files
    }

    /// The pages below the mounted one.
    pub(crate) fn pages(&self) -> Vec<String> {
        let folders = self.state().folders.into_iter();
        folders.filter_map(|slug| Some(slug.strip_prefix(&format!("/{ROOT_SLUG}/"))?.to_owned())).collect()
    }

    /// No rule was broken, no session is left, nothing leaked.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let state = self.state();
        assert_eq!(state.violations, []);
        assert_eq!(state.sessions, [], "sessions from which something could still come");
        assert_eq!(state.leaked_bytes, 0);
        assert_eq!(self.count("abort_all"), 0);
    }
}

/// A wiki of small parts.
pub(crate) fn small(kind: OrganisationKind) -> PortalSettings {
    let mut config = PortalSettings::new(kind);
    config.settings.part_bytes_min = PART;
    config.settings.part_bytes_max = PART_MAX;
    config.settings.operation_ms = 1;
    config
}

/// Writes a file that only its owner can read; whoever reads it meanwhile reads the old one.
fn write_private(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    fs::rename(&new, path).unwrap();
}

/// Somebody else at the wiki, who does what it is told and nothing else.
pub(crate) struct Browser {
    address: SocketAddr,
    /// The header that names the organisation.
    header: &'static str,
    pub(crate) token: String,
}

impl Browser {
    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        let request = Request::new(method, &format!("/v1/{target}"));
        request.header("Authorization", &format!("OAuth {}", self.token)).header(self.header, ORGANISATION)
    }

    /// A call that must work.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, target: &str, body: &Value) -> Value {
        let answer = self.send(&self.request(method, target).json(body));
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    #[track_caller]
    fn send(&self, request: &Request) -> Answer {
        let answer = request.send(self.address).unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        answer
    }

    /// The number of the page of this slug below the mounted one; of that itself where it is empty.
    #[track_caller]
    pub(crate) fn page(&self, slug: &str) -> u64 {
        let slug = encoded(&full(slug));
        let answer = self.send(&self.request("GET", &format!("pages?slug={slug}")));
        answer.json()["id"].as_u64().unwrap()
    }

    /// Makes a page below the mounted one; its number.
    #[track_caller]
    pub(crate) fn make_page(&self, slug: &str, content: &str) -> u64 {
        let title = slug.rsplit('/').next().unwrap();
        let body = json!({"title": title, "slug": full(slug), "content": content});
        self.call("POST", "pages", &body)["id"].as_u64().unwrap()
    }

    /// Attaches a file of one part to a page, beside whatever has the name; its number.
    #[track_caller]
    pub(crate) fn attach(&self, page: u64, name: &str, bytes: &[u8]) -> u64 {
        let body = json!({"file_name": name, "file_size": bytes.len()});
        let opened = self.call("POST", "upload_sessions", &body);
        let id = opened["session_id"].as_str().unwrap();
        let part = self.request("PUT", &format!("upload_sessions/{id}/upload_part?part_number=1"));
        self.send(&part.header("Content-Type", "application/octet-stream").body(bytes));
        self.call("POST", &format!("upload_sessions/{id}/finish"), &json!({}));
        let made = self.call("POST", &format!("pages/{page}/attachments"), &json!({"upload_sessions": [id]}));
        made["results"][0]["id"].as_u64().unwrap()
    }

    #[track_caller]
    pub(crate) fn delete(&self, page: u64, file: u64) {
        self.send(&self.request("DELETE", &format!("pages/{page}/attachments/{file}")));
    }
}

/// A slug below the mounted page.
fn full(slug: &str) -> String {
    if slug.is_empty() { ROOT_SLUG.to_owned() } else { format!("{ROOT_SLUG}/{slug}") }
}

/// As an address has it.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Whether a client has broken a rule only to find out how files of no bytes are made: it ended one without a part. Nobody
/// knows whether the wiki wants an empty one.
pub(crate) fn is_an_attempt(what: &str) -> bool {
    what.contains("there are no parts")
}

/// A wiki for the conformance suite.
pub(crate) async fn fixture(kind: OrganisationKind, change: impl FnOnce(&mut Settings)) -> Fixture {
    let mut config = small(kind);
    change(&mut config.settings);
    fixture_of(Arc::new(Yandex::of(config)), ())
}

fn fixture_of(yandex: Arc<Yandex>, guard: impl Any + Send + Sync) -> Fixture {
    let service: Arc<dyn Service> = yandex.client();
    let mut fixture = Fixture::new(service, guard);
    fixture.refused = vec![" ", "   "];
    fixture.watch(move || {
        let broken = yandex.portal.violations().into_iter();
        broken.filter(|broken| !is_an_attempt(&broken.what)).map(|broken| format!("{broken:?}")).collect()
    });
    fixture
}

/// The same on a wiki that looks for viruses, whose time goes by a thousand times as fast meanwhile.
pub(crate) async fn checked_fixture() -> Fixture {
    let yandex = Arc::new(Yandex::with(|settings| settings.check_s = 1));
    let hurry = hurried(&yandex);
    fixture_of(yandex, hurry)
}

/// Lets the time of a wiki go by a thousand times as fast until what this returns is gone.
pub(crate) fn hurried(yandex: &Arc<Yandex>) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel();
    let clock = yandex.clone();
    thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
            clock.portal.advance(Duration::from_secs(1));
        }
    });
    stop
}
