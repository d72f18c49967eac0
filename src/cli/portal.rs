//! `uploadfs portal`: a server that speaks a service's protocol, alone, for developing and trying without an account.
//! What it answers is in `portal`.

use std::fmt;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::config::{Remote, ServiceKind};
use crate::portal::onlyoffice::{API_KEY, Generation, OnlyofficeConfig, PASSWORD, USER, Version};
use crate::portal::yandex_cloud::{self, FOLDER, YandexCloudConfig};
use crate::portal::yandex_wiki::{
    IAM_TOKEN, LOGIN, OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, YandexWikiConfig,
};
use crate::portal::{Portal, PortalConfig, ServiceConfig};
use crate::secret::Token;

/// The services, as they are typed.
const SERVICES: &str =
    "onlyoffice, onlyoffice-g0 to -g3, onlyoffice-VERSION, yandex-wiki, yandex-wiki-cloud, or yandex-cloud";

/// What is typed after `portal`.
#[derive(Args, Debug)]
pub(super) struct PortalArgs {
    /// What the portal speaks: onlyoffice (the newest generation), onlyoffice-g0 to -g3, or a version, as in
    /// onlyoffice-3.6.1; yandex-wiki, or yandex-wiki-cloud for an organisation in the cloud; yandex-cloud
    #[arg(long, value_name = "SERVICE")]
    service: Spoken,
    /// The port on 127.0.0.1; 0 takes any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// The directory to keep files in, for one portal at a time
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
}

/// A service, and what there is to choose about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken {
    Onlyoffice(Version),
    YandexWiki(OrganisationKind),
    YandexCloud,
}

impl FromStr for Spoken {
    type Err = String;

    fn from_str(text: &str) -> Result<Spoken, String> {
        let refusal = || format!("not a service that can be spoken: there are {SERVICES}");
        match text {
            "yandex-wiki" => return Ok(Spoken::YandexWiki(OrganisationKind::Yandex360)),
            "yandex-cloud" => return Ok(Spoken::YandexCloud),
            "yandex-wiki-cloud" => return Ok(Spoken::YandexWiki(OrganisationKind::Cloud)),
            _ => {}
        }
        let rest = text.strip_prefix("onlyoffice").ok_or_else(refusal)?;
        let version = match rest {
            "" | "-g3" => Generation::G3.version(),
            "-g2" => Generation::G2.version(),
            "-g1" => Generation::G1.version(),
            "-g0" => Generation::G0.version(),
            _ => rest.strip_prefix('-').and_then(|version| version.parse().ok()).ok_or_else(refusal)?,
        };
        Ok(Spoken::Onlyoffice(version))
    }
}

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spoken::Onlyoffice(version) => write!(f, "onlyoffice {version}"),
            Spoken::YandexWiki(_) => write!(f, "yandex-wiki"),
            Spoken::YandexCloud => write!(f, "yandex-cloud"),
        }
    }
}

impl Spoken {
    /// The kind of service that understands it.
    pub(super) fn kind(self) -> ServiceKind {
        match self {
            Spoken::Onlyoffice(_) => ServiceKind::Onlyoffice,
            Spoken::YandexWiki(_) => ServiceKind::YandexWiki,
            Spoken::YandexCloud => ServiceKind::YandexCloud,
        }
    }

    /// A name for the directory of its files: those of one version are nothing to another.
    pub(super) fn file_name(self) -> String {
        self.to_string().replace(' ', "-")
    }

    /// What speaks it.
    pub(super) fn config(self) -> ServiceConfig {
        match self {
            Spoken::Onlyoffice(version) => ServiceConfig::Onlyoffice(OnlyofficeConfig::of_version(version)),
            Spoken::YandexWiki(kind) => ServiceConfig::YandexWiki(YandexWikiConfig::new(kind)),
            Spoken::YandexCloud => ServiceConfig::YandexCloud(YandexCloudConfig::default()),
        }
    }

    /// The portal at `url` as a remote, with its usual account.
    pub(super) fn remote(self, name: &str, url: Url) -> Remote {
        let token = |text: &str| Some(Arc::new(Token::fixed(text.into())));
        let remote = Remote { url: Some(url), ..Remote::named(name, self.kind()) };
        match self {
            Spoken::Onlyoffice(_) => Remote { user: Some(USER.to_owned()), password: Some(PASSWORD.into()), ..remote },
            Spoken::YandexWiki(kind) => {
                let (organisation, folder) = (Some(ORGANISATION.to_owned()), Some(ROOT_SLUG.to_owned()));
                let remote = Remote { token: token(OAUTH_TOKEN), folder, ..remote };
                match kind {
                    OrganisationKind::Yandex360 => Remote { org_id: organisation, ..remote },
                    OrganisationKind::Cloud => Remote { cloud_org_id: organisation, ..remote },
                }
            }
            Spoken::YandexCloud => {
                Remote { token: token(yandex_cloud::API_KEY), folder: Some(FOLDER.to_owned()), ..remote }
            }
        }
    }

    /// What somebody needs to be let in.
    fn account(self) -> String {
        match self {
            Spoken::Onlyoffice(_) => format!("{USER}, password {PASSWORD}, key {API_KEY}"),
            Spoken::YandexWiki(kind) => {
                let (token, header) = match kind {
                    OrganisationKind::Yandex360 => (OAUTH_TOKEN.to_owned(), "X-Org-Id"),
                    OrganisationKind::Cloud => (format!("{OAUTH_TOKEN} or, as Bearer, {IAM_TOKEN}"), "X-Cloud-Org-Id"),
                };
                format!("{LOGIN}, token {token}, organisation {ORGANISATION} ({header}), root slug {ROOT_SLUG}")
            }
            Spoken::YandexCloud => {
                let (key, token) = (yandex_cloud::API_KEY, yandex_cloud::IAM_TOKEN);
                format!("key {key} (Api-Key), or, as Bearer, token {token}; folder {FOLDER}")
            }
        }
    }
}

pub(super) fn run(arguments: PortalArgs) -> anyhow::Result<()> {
    let config = PortalConfig {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)),
        ..PortalConfig::new(&arguments.store, arguments.service.config())
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    // Before it is announced, so that nobody ends it in between.
    let (mut interrupt, mut terminate) = runtime.block_on(async {
        let handler = |kind| signal(kind).context("no signal handler");
        anyhow::Ok((handler(SignalKind::interrupt())?, handler(SignalKind::terminate())?))
    })?;
    let portal = Portal::start(config)
        .with_context(|| format!("no portal on port {} in {}", arguments.port, arguments.store.display()))?;
    announce(&portal, arguments.service)?;
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    portal.stop();
    Ok(())
}

/// What somebody needs to use it. The account is everybody's: the portal listens on loopback.
fn announce(portal: &Portal, service: Spoken) -> anyhow::Result<()> {
    let url = portal.url();
    let text = format!(
        "service: {service}\n\
         url: {url}\n\
         account: {}\n\
         state: {url}/.portal/state\n\
         page: {url}/.portal/\n",
        service.account()
    );
    // At once, so that a reader that has what it wants may close the pipe.
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("stdout")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_name_with_a_generation_or_a_version() {
        let spoken = |text: &str| text.parse::<Spoken>().map(|spoken| spoken.to_string());
        assert_eq!(spoken("onlyoffice"), Ok(format!("onlyoffice {}", Generation::G3.version())));
        assert_eq!(spoken("onlyoffice-g0"), Ok(format!("onlyoffice {}", Generation::G0.version())));
        assert_eq!(spoken("onlyoffice-3.6.1"), Ok("onlyoffice 3.6.1".to_owned()));
        assert_eq!(spoken("yandex-wiki"), Ok("yandex-wiki".to_owned()));
        assert_eq!(spoken("yandex-cloud"), Ok("yandex-cloud".to_owned()));
        let cloud: Spoken = "yandex-wiki-cloud".parse().unwrap();
        assert!(cloud.account().contains("X-Cloud-Org-Id") && cloud.account().contains(IAM_TOKEN));
        for wrong in ["", "onlyoffice-", "onlyoffice-g9", "onlyofficeg1", "office", "yandex-wiki-g1", "yandex"] {
            assert!(spoken(wrong).unwrap_err().contains("onlyoffice-g0"), "{wrong}");
        }
    }
}
