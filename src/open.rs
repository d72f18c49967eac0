//! Turns a configured remote into a service: the one place that knows every kind of service. It connects to nothing;
//! the first request does.

use std::sync::Arc;

use secrecy::ExposeSecret;
use url::Url;

use crate::config::{Refusal, Remote, ServiceKind};
use crate::service::Service;
use crate::service::mediawiki::{MediaWiki, MediaWikiConfig};
use crate::service::memory::{Memory, MemoryConfig};
use crate::service::onlyoffice::{Onlyoffice, OnlyofficeConfig, Root};

/// What a wiki notes about each upload unless the configuration says something else.
const DEFAULT_COMMENT: &str = "uploaded with uploadfs";
/// The folder of a portal that is mounted unless the configuration names another one.
const DEFAULT_FOLDER: &str = "@my";

/// The service of `remote`, without layers.
///
/// # Errors
/// When this build has no such service, or its settings cannot be used.
pub fn open_service(remote: &Remote) -> anyhow::Result<Arc<dyn Service>> {
    match remote.service {
        ServiceKind::Memory => Ok(Arc::new(Memory::new(MemoryConfig::friendly()))),
        ServiceKind::Mediawiki => Ok(Arc::new(MediaWiki::new(wiki(remote))?)),
        ServiceKind::Onlyoffice => Ok(Arc::new(Onlyoffice::new(portal(remote)?)?)),
        kind @ (ServiceKind::YandexWiki | ServiceKind::YandexCloud | ServiceKind::S3) => {
            Err(missing(remote, kind).into())
        }
    }
}

fn wiki(remote: &Remote) -> MediaWikiConfig {
    MediaWikiConfig {
        url: remote.url.as_ref().map(api_address).unwrap_or_default(),
        user: remote.user.clone().unwrap_or_default(),
        password: remote.password.clone(),
        token: remote.token.as_ref().map(|token| token.current()),
        ca_file: remote.ca_file.clone(),
        proxy: remote.proxy.as_ref().map(|proxy| proxy.expose_secret().to_owned()),
        comment: remote.comment.clone().unwrap_or_else(|| DEFAULT_COMMENT.to_owned()),
        text: remote.text.clone(),
        tags: remote.tags.clone(),
        maxlag: remote.maxlag,
    }
}

fn portal(remote: &Remote) -> anyhow::Result<OnlyofficeConfig> {
    let folder = remote.folder.as_deref().unwrap_or(DEFAULT_FOLDER);
    let root = Root::parse(folder).map_err(|error| {
        let instead = "write folder = \"@my/reports\", \"@common\", \"rooms/Team\" or the id of a folder";
        Refusal::new(remote.place.clone(), format!("folder: {}", error.what), instead)
    })?;
    Ok(OnlyofficeConfig {
        url: remote.url.as_ref().map(Url::to_string).unwrap_or_default(),
        user: remote.user.clone().unwrap_or_default(),
        password: remote.password.clone(),
        token: remote.token.as_ref().map(|token| token.current()),
        root,
        chunk_bytes: remote.chunk_size,
        ca_file: remote.ca_file.clone(),
        proxy: remote.proxy.as_ref().map(|proxy| proxy.expose_secret().to_owned()),
    })
}

/// The address of a wiki's API: the script itself, or the directory that it is in.
fn api_address(url: &Url) -> String {
    match url.path() {
        path if path.ends_with(".php") => url.to_string(),
        path => {
            let mut api = url.clone();
            api.set_path(&format!("{}/api.php", path.trim_end_matches('/')));
            api.to_string()
        }
    }
}

fn missing(remote: &Remote, kind: ServiceKind) -> Refusal {
    let what = format!("this build has no service {}", kind.name());
    Refusal::new(remote.place.clone(), what, "use a service that it has: mediawiki, onlyoffice, memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Sources};

    fn open(service: &str) -> anyhow::Result<Arc<dyn Service>> {
        let variables = [
            ("UPLOADFS_SERVICE", service),
            ("UPLOADFS_URL", "https://example.org/"),
            ("UPLOADFS_USER", "me"),
            ("UPLOADFS_PASSWORD", "geheim"),
        ];
        open_service(&Sources::new(None, Environment::of(variables)).remote("r")?)
    }

    #[test]
    fn the_directory_of_an_api_is_as_good_as_its_script() {
        for (typed, meant) in [
            ("https://wiki.example.org/w/api.php", "https://wiki.example.org/w/api.php"),
            ("https://wiki.example.org/w/", "https://wiki.example.org/w/api.php"),
            ("https://wiki.example.org", "https://wiki.example.org/api.php"),
            ("https://wiki.example.org/index.php", "https://wiki.example.org/index.php"),
        ] {
            assert_eq!(api_address(&Url::parse(typed).unwrap()), meant);
        }
    }

    #[test]
    fn a_service_is_what_its_remote_says_or_is_refused_by_name() {
        for kind in ServiceKind::ALL {
            match open(kind.name()) {
                Ok(service) => assert_eq!(service.kind(), kind.name()),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains(&format!("no service {}", kind.name())), "{text}");
                }
            }
        }
        assert!(open("memory").is_ok());
    }
}
