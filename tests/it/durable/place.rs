//! The services that a daemon dies in front of: reached through a proxy that holds the request at which it dies, looked at
//! behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use uploadfs::portal::onlyoffice::{Generation, PASSWORD, USER};
use uploadfs::portal::yandex_wiki::{OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, YandexWikiConfig};

use crate::support::daemon::{Remote, Section};
use crate::support::office::Office;
use crate::support::proxy::{Proxy, Request};
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
}

impl Place {
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
        Place { name, section, url, address, kind, sizes: vec![40_000, 3000], keep: Keep::Office(Arc::new(office)) }
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
        }
    }

    /// How many versions of the file it has, where it tells.
    pub(super) fn versions(&self, name: &str) -> usize {
        match &self.keep {
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
        }
    }
}
