//! Turns a configured remote into a service: the one place that knows every kind of service. It connects to nothing;
//! the first request does.

use std::sync::Arc;

use secrecy::ExposeSecret;
use url::Url;

use crate::config::{Refusal, Remote, ServiceKind};
use crate::path::RemotePath;
use crate::service::Service;
use crate::service::mediawiki::{MediaWiki, MediaWikiConfig};
use crate::service::memory::{Memory, MemoryConfig};
use crate::service::onlyoffice::{Onlyoffice, OnlyofficeConfig, Root};
use crate::service::yandex_cloud::{self, Dialect, YandexCloud, YandexCloudConfig};
use crate::service::yandex_wiki::{self, Organisation, YandexWiki, YandexWikiConfig};

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
        ServiceKind::YandexCloud => Ok(Arc::new(YandexCloud::new(cloud(remote)?)?)),
        ServiceKind::YandexWiki => Ok(Arc::new(YandexWiki::new(pages(remote)?)?)),
        kind @ ServiceKind::S3 => Err(missing(remote, kind).into()),
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

fn cloud(remote: &Remote) -> anyhow::Result<YandexCloudConfig> {
    let refuse = |what: String, instead: &str| Refusal::new(remote.place.clone(), what, instead);
    let folder = remote.folder.clone().unwrap_or_default();
    if folder.is_empty() || folder.contains('/') {
        return Err(refuse(
            format!("folder: {folder:?} is no id"),
            "write folder = \"b1g...\", as the console shows it",
        )
        .into());
    }
    let dialect = match remote.dialect.as_deref() {
        None | Some("native") => Dialect::Native,
        Some("openai") => Dialect::OpenAi,
        Some(other) => {
            let instead = "write dialect = \"native\", or \"openai\"";
            return Err(refuse(format!("there is no dialect {other:?}"), instead).into());
        }
    };
    let ttl_days = remote.ttl_days.unwrap_or(match dialect {
        Dialect::Native => yandex_cloud::DEFAULT_DAYS,
        Dialect::OpenAi => yandex_cloud::OPEN_AI_DAYS_MAX,
    });
    if dialect == Dialect::OpenAi && ttl_days > yandex_cloud::OPEN_AI_DAYS_MAX {
        let what =
            format!("ttl_days: in this dialect a file lives for {} days at most", yandex_cloud::OPEN_AI_DAYS_MAX);
        return Err(refuse(what, "write ttl_days = 30, or dialect = \"native\"").into());
    }
    let file_max = remote.file_max.unwrap_or(yandex_cloud::FILE_SAFE);
    if file_max > yandex_cloud::FILE_MAX {
        let what = format!("file_max: the service takes no more than {} bytes", yandex_cloud::FILE_MAX);
        return Err(refuse(what, "write file_max = \"128M\", or less").into());
    }
    let root = RemotePath::parse(remote.root.as_deref().unwrap_or_default())
        .map_err(|error| refuse(format!("root: {}", error.what), "write root = \"reports/2026\""))?;
    let token = remote.token.clone().ok_or_else(|| {
        refuse("there is no token".to_owned(), "write token_file = \"/path/of/a/file\" with an API key")
    })?;
    Ok(YandexCloudConfig {
        url: remote.url.as_ref().map_or_else(|| yandex_cloud::URL.to_owned(), Url::to_string),
        dialect,
        folder,
        root,
        token,
        ttl_days,
        file_max,
        ca_file: remote.ca_file.clone(),
        proxy: remote.proxy.as_ref().map(|proxy| proxy.expose_secret().to_owned()),
    })
}

fn pages(remote: &Remote) -> anyhow::Result<YandexWikiConfig> {
    let refuse = |what: String, instead: &str| Refusal::new(remote.place.clone(), what, instead);
    let organisation = match (&remote.org_id, &remote.cloud_org_id) {
        (Some(id), None) => Organisation::Yandex360(id.clone()),
        (None, Some(id)) => Organisation::Cloud(id.clone()),
        _ => {
            let what = "an organisation has either org_id or cloud_org_id".to_owned();
            return Err(refuse(what, "write org_id for Yandex 360, cloud_org_id for Yandex Cloud").into());
        }
    };
    let part_bytes = remote.chunk_size.unwrap_or(yandex_wiki::PART_BYTES);
    if !(yandex_wiki::PART_BYTES_MIN..=yandex_wiki::PART_BYTES_MAX).contains(&part_bytes) {
        let what = "chunk_size: the wiki takes parts of 5 to 15 MiB".to_owned();
        return Err(refuse(what, "write chunk_size = \"8M\"").into());
    }
    let token = remote.token.clone().ok_or_else(|| {
        refuse("there is no token".to_owned(), "write token_file = \"/path/of/a/file\" with an OAuth token")
    })?;
    Ok(YandexWikiConfig {
        url: remote.url.as_ref().map_or_else(|| yandex_wiki::DEFAULT_URL.to_owned(), Url::to_string),
        token,
        organisation,
        root: remote.folder.clone(),
        part_bytes,
        parts_at_once: remote.parallel.unwrap_or(yandex_wiki::PARTS_AT_ONCE),
        file_max: remote.file_max.unwrap_or(yandex_wiki::FILE_BYTES_MAX),
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
    Refusal::new(
        remote.place.clone(),
        what,
        "use a service that it has: mediawiki, onlyoffice, yandex-wiki, yandex-cloud, memory",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Sources};
    use crate::secret::Token;

    fn open(service: &str) -> anyhow::Result<Arc<dyn Service>> {
        let variables = [
            ("UPLOADFS_SERVICE", service),
            ("UPLOADFS_URL", "https://example.org/"),
            ("UPLOADFS_USER", "me"),
            ("UPLOADFS_PASSWORD", "geheim"),
            ("UPLOADFS_TOKEN", "AQVNgeheim"),
            ("UPLOADFS_FOLDER", "b1gtest"),
            ("UPLOADFS_ORG_ID", "7654321"),
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
    fn a_cloud_folder_is_refused_by_what_is_wrong_with_it() {
        let cloud = |change: fn(&mut Remote)| {
            let mut remote = Remote::named("r", ServiceKind::YandexCloud);
            remote.folder = Some("b1gtest".to_owned());
            remote.token = Some(Arc::new(Token::fixed("AQVNgeheim".into())));
            change(&mut remote);
            super::cloud(&remote).map_err(|error| error.to_string())
        };
        let plain = cloud(|_| {}).ok().unwrap();
        assert_eq!((plain.url.as_str(), plain.dialect), (yandex_cloud::URL, Dialect::Native));
        assert_eq!((plain.ttl_days, plain.file_max, plain.root.is_root()), (60, 128_000_000, true));
        let open_ai = cloud(|remote| remote.dialect = Some("openai".to_owned())).ok().unwrap();
        assert_eq!((open_ai.dialect, open_ai.ttl_days), (Dialect::OpenAi, 30));
        let more = cloud(|remote| remote.file_max = Some(128 << 20)).ok().unwrap();
        assert_eq!(more.file_max, 134_217_728);
        let refusal = |change: fn(&mut Remote)| cloud(change).err().unwrap();
        assert!(refusal(|remote| remote.folder = Some("my/folder".to_owned())).contains("is no id"));
        assert!(refusal(|remote| remote.dialect = Some("grpc".to_owned())).contains("no dialect \"grpc\""));
        assert!(refusal(|remote| remote.file_max = Some(129 << 20)).contains("134217728"));
        assert!(refusal(|remote| remote.root = Some("a/../b".to_owned())).contains("root: "));
        assert!(refusal(|remote| remote.token = None).contains("token_file"));
        let long = refusal(|remote| {
            remote.dialect = Some("openai".to_owned());
            remote.ttl_days = Some(31);
        });
        assert!(long.contains("30 days at most"), "{long}");
    }

    #[test]
    fn a_page_is_refused_by_what_is_wrong_with_it() {
        let pages = |change: fn(&mut Remote)| {
            let mut remote = Remote::named("r", ServiceKind::YandexWiki);
            remote.org_id = Some("7654321".to_owned());
            remote.token = Some(Arc::new(Token::fixed("y0_geheim".into())));
            change(&mut remote);
            super::pages(&remote).map_err(|error| error.to_string())
        };
        let plain = pages(|_| {}).ok().unwrap();
        assert_eq!((plain.url.as_str(), plain.root), (yandex_wiki::DEFAULT_URL, None));
        assert_eq!((plain.part_bytes, plain.parts_at_once, plain.file_max), (8 << 20, 4, 200_000_000));
        assert_eq!(plain.organisation, Organisation::Yandex360("7654321".to_owned()));
        let refusal = |change: fn(&mut Remote)| pages(change).err().unwrap();
        assert!(refusal(|remote| remote.cloud_org_id = Some("bpf".to_owned())).contains("either org_id or"));
        for size in [1, 5 << 20 >> 1, 16 << 20] {
            let mut remote = Remote::named("r", ServiceKind::YandexWiki);
            (remote.org_id, remote.chunk_size) = (Some("1".to_owned()), Some(size));
            assert!(super::pages(&remote).err().unwrap().to_string().contains("5 to 15 MiB"));
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
