//! The services that a daemon dies in front of: reached through a proxy that holds the request at which it dies, looked at
//! behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use uploadfs::portal::onlyoffice::{Generation, PASSWORD, USER};
use uploadfs::portal::yandex_wiki::{OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, YandexWikiConfig};
use uploadfs::service::yandex_cloud::Dialect;

use crate::support::cloud::Cloud;
use crate::support::daemon::{Remote, Section};
use crate::support::office::Office;
use crate::support::proxy::{Proxy, Request};
use crate::support::wiki::{Which, Wiki};
use crate::support::yandex::Yandex;

/// What a request is to this test.
const UPLOAD: &str = "upload";
const OTHER: &str = "other";

/// One service.
pub(super) struct Place {
    pub(super) name: &'static str,
    /// How it is reached without a proxy.
    section: Section,
    url: String,
    address: SocketAddr,
    kind: fn(&Request) -> &'static str,
    /// Bytes of a file that has several parts, and of one that goes at once.
    pub(super) sizes: Vec<usize>,
    /// What it is, as long as it is needed.
    keep: Keep,
}

enum Keep {
    Office(Arc<Office>),
    Yandex(Arc<Yandex>),
    Cloud(Arc<Cloud>),
    Wiki(Wiki),
}

impl Place {
    /// Every service; the real wiki among them.
    pub(super) fn all() -> Vec<Place> {
        let dialects = [("cloud", Dialect::Native), ("cloud, openai", Dialect::OpenAi)];
        let generations = [("portal, new", Generation::G3), ("portal, old", Generation::G0)];
        let mut all: Vec<_> = generations.map(|(name, generation)| Place::office(name, generation)).into();
        all.push(Place::yandex());
        all.extend(dialects.map(|(name, dialect)| Place::cloud(name, dialect)));
        all.push(Place::wiki());
        all
    }

    pub(super) fn office(name: &'static str, generation: Generation) -> Place {
        let office = Office::small(generation);
        let remote = Remote {
            service: "onlyoffice",
            url: office.portal.url(),
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
        };
        let (url, address, section) = (office.portal.url(), office.portal.address(), remote.section());
        let section = Section { lines: format!("{}chunk_size = \"256K\"\n", section.lines), ..section };
        let kind = |request: &Request| match request.method.as_str() {
            "POST" | "PUT" if request.uri.contains("authentication") => OTHER,
            "POST" | "PUT" => UPLOAD,
            _ => OTHER,
        };
        Place { name, section, url, address, kind, sizes: vec![900_000, 5000], keep: Keep::Office(Arc::new(office)) }
    }

    pub(super) fn yandex() -> Place {
        let mut config = YandexWikiConfig::new(OrganisationKind::Yandex360);
        config.settings.operation_ms = 1;
        let yandex = Yandex::of(config);
        let url = yandex.portal.url();
        let lines = format!(
            "service = \"yandex-wiki\"\nurl = {url:?}\ntoken_file = \"secret\"\nfolder = {ROOT_SLUG:?}\n\
             org_id = {ORGANISATION:?}\n"
        );
        let section = Section { lines, secret: OAUTH_TOKEN.to_owned() };
        let address = yandex.portal.address();
        let kind = |request: &Request| match request.method.as_str() {
            "POST" | "PUT" => UPLOAD,
            _ => OTHER,
        };
        let sizes = vec![9_000_000, 5000];
        Place { name: "yandex wiki", section, url, address, kind, sizes, keep: Keep::Yandex(Arc::new(yandex)) }
    }

    fn cloud(name: &'static str, dialect: Dialect) -> Place {
        let cloud = Cloud::new(dialect);
        let (url, address, section) = (cloud.portal.url(), cloud.portal.address(), cloud.section());
        let kind = |request: &Request| if request.method == "POST" { UPLOAD } else { OTHER };
        Place { name, section, url, address, kind, sizes: vec![50_000], keep: Keep::Cloud(Arc::new(cloud)) }
    }

    fn wiki() -> Place {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wiki = runtime.block_on(Wiki::take(Which::Wide));
        let remote = wiki.remote();
        let address = ([127, 0, 0, 1], wiki.env("MW_PORT").parse().unwrap()).into();
        let kind = |request: &Request| match request.argument("action").as_deref() {
            Some("upload") => UPLOAD,
            _ => OTHER,
        };
        let (url, section) = (remote.url.clone(), remote.section());
        Place { name: "mediawiki", section, url, address, kind, sizes: vec![3_000_000, 5000], keep: Keep::Wiki(wiki) }
    }

    /// A proxy before it, and how it is reached through that.
    pub(super) fn proxied(&self) -> (Proxy, Section) {
        let kind = self.kind;
        let proxy = Proxy::start(self.address, kind);
        let through = proxy.url(&self.url);
        let through = if self.url.ends_with('/') { through } else { through.trim_end_matches('/').to_owned() };
        let section = Section { lines: self.section.lines.replace(&self.url, &through), ..self.section.clone() };
        (proxy, section)
    }

    /// How it is reached directly.
    pub(super) fn direct(&self) -> &Section {
        &self.section
    }

    /// Requests of uploads.
    pub(super) fn uploads() -> &'static str {
        UPLOAD
    }

    /// Nothing was done that the service had to object to.
    #[track_caller]
    pub(super) fn assert_clean(&self) {
        match &self.keep {
            Keep::Office(office) => assert_eq!(office.state().violations, [], "{}", self.name),
            Keep::Yandex(yandex) => assert_eq!(yandex.portal.violations(), [], "{}", self.name),
            Keep::Cloud(cloud) => cloud.assert_clean(),
            Keep::Wiki(_) => {}
        }
    }

    /// How many versions of the file it has, where it tells.
    pub(super) fn versions(&self, name: &str) -> usize {
        match &self.keep {
            Keep::Wiki(wiki) => wiki.versions(name).len(),
            Keep::Office(office) => {
                let files = office.state().files;
                // A title without an ending gets a dot.
                files
                    .iter()
                    .filter(|file| file.path.trim_end_matches('.').ends_with(name))
                    .map(|file| file.versions)
                    .sum()
            }
            Keep::Yandex(yandex) => yandex.files().iter().filter(|(file, _)| file.ends_with(name)).count(),
            Keep::Cloud(cloud) => cloud.names().iter().filter(|file| file.ends_with(name)).count(),
        }
    }
}
