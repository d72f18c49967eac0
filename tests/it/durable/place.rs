//! The services that a daemon dies in front of: reached through a proxy that holds the request at which it dies, looked at
//! behind it.

use std::net::SocketAddr;

use uploadfs::portal::onlyoffice::{Generation, PASSWORD, USER};
use uploadfs::portal::yandex_wiki::{OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, YandexWikiConfig};
use uploadfs::service::yandex_cloud::Dialect;

use crate::support::cloud::Cloud;
use crate::support::daemon::{Remote, Section};
use crate::support::office::{CHUNK, Office};
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
    /// Bytes of a file that has several parts, where the service has parts, and of one that goes at once.
    pub(super) sizes: [usize; 2],
    /// What it is, as long as it is needed.
    keep: Keep,
}

enum Keep {
    Office(Office),
    Yandex(Yandex),
    Cloud(Cloud),
    Wiki(Wiki),
}

impl Place {
    /// A portal with small chunks, which it tells.
    pub(super) fn office(generation: Generation) -> Place {
        let (name, office) = match generation {
            Generation::G0 => return Place::old_office(),
            Generation::G1 => (
                "onlyoffice, G1",
                Office::with(generation, |settings| {
                    (settings.chunk_bytes, settings.g1_tells_chunk_size) = (CHUNK, true);
                }),
            ),
            Generation::G2 => ("onlyoffice, G2", Office::small(generation)),
            Generation::G3 => ("onlyoffice, G3", Office::small(generation)),
        };
        Place::of_office(name, office, [60_000, 3000])
    }

    /// One that tells nobody how large its chunks are: they are as large as they come.
    fn old_office() -> Place {
        Place::of_office("onlyoffice, G0", Office::with(Generation::G0, |_| {}), [11_000_000, 3000])
    }

    fn of_office(name: &'static str, office: Office, sizes: [usize; 2]) -> Place {
        let (url, address) = (office.portal.url(), office.portal.address());
        let (user, password) = (USER.to_owned(), PASSWORD.to_owned());
        let section = Remote { service: "onlyoffice", url: url.clone(), user, password }.section();
        let kind = |request: &Request| match request.method.as_str() {
            "POST" | "PUT" if request.uri.contains("authentication") => OTHER,
            "POST" | "PUT" => UPLOAD,
            _ => OTHER,
        };
        Place { name, section, url, address, kind, sizes, keep: Keep::Office(office) }
    }

    /// A wiki with parts as large as they come.
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
        let sizes = [9_000_000, 5000];
        Place { name: "yandex wiki", section, url, address, kind, sizes, keep: Keep::Yandex(yandex) }
    }

    /// A cloud folder, where every file is one request.
    pub(super) fn cloud(dialect: Dialect) -> Place {
        let name = match dialect {
            Dialect::Native => "yandex cloud, native",
            Dialect::OpenAi => "yandex cloud, openai",
        };
        let cloud = Cloud::new(dialect);
        let (url, address, section) = (cloud.portal.url(), cloud.portal.address(), cloud.section());
        let kind = |request: &Request| if request.method == "POST" { UPLOAD } else { OTHER };
        Place { name, section, url, address, kind, sizes: [3_000_000, 500], keep: Keep::Cloud(cloud) }
    }

    /// The real MediaWiki.
    pub(super) fn wiki() -> Place {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wiki = runtime.block_on(Wiki::take(Which::Wide));
        let remote = wiki.remote();
        let address = ([127, 0, 0, 1], wiki.env("MW_PORT").parse().unwrap()).into();
        let kind = |request: &Request| {
            let action = request.argument("action").or_else(|| request.field("action"));
            if action.as_deref() == Some("upload") { UPLOAD } else { OTHER }
        };
        let (url, section) = (remote.url.clone(), remote.section());
        Place { name: "mediawiki", section, url, address, kind, sizes: [3_000_000, 5000], keep: Keep::Wiki(wiki) }
    }

    /// A proxy before it, and how it is reached through that.
    pub(super) fn proxied(&self) -> (Proxy, Section) {
        let proxy = Proxy::start(self.address, self.kind);
        let through = proxy.url(&self.url);
        let through = if self.url.ends_with('/') { through } else { through.trim_end_matches('/').to_owned() };
        let section = Section { lines: self.section.lines.replace(&self.url, &through), ..self.section.clone() };
        (proxy, section)
    }

    /// How the next daemon reaches it that has the spool of one that went through the proxy. A MediaWiki sends readers to
    /// its own address, which is not the proxy's.
    pub(super) fn later<'a>(&'a self, through: &'a Section) -> &'a Section {
        if matches!(self.keep, Keep::Wiki(_)) { &self.section } else { through }
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

    /// How many versions of the file it has; of all files of this name together.
    pub(super) fn versions(&self, name: &str) -> usize {
        match &self.keep {
            Keep::Wiki(wiki) => wiki.versions(name).len(),
            Keep::Office(office) => {
                // A title without an ending gets a dot.
                let named = |path: &str| path.trim_end_matches('.').ends_with(&format!("/{name}"));
                office.state().files.iter().filter(|file| named(&file.path)).map(|file| file.versions).sum()
            }
            Keep::Yandex(yandex) => yandex.files().iter().filter(|(file, _)| file == name).count(),
            Keep::Cloud(cloud) => cloud.names().iter().filter(|file| file[1..] == *name).count(),
        }
    }

    /// How many files of this name it has.
    pub(super) fn files(&self, name: &str) -> usize {
        match &self.keep {
            Keep::Office(office) => {
                let named = |path: &str| path.trim_end_matches('.').ends_with(&format!("/{name}"));
                office.state().files.iter().filter(|file| named(&file.path)).count()
            }
            Keep::Wiki(_) => usize::from(self.versions(name) > 0),
            Keep::Yandex(_) | Keep::Cloud(_) => self.versions(name),
        }
    }
}
