//! Turns a configured remote into a service: the one place that knows every kind of service. It connects to nothing;
//! the first request does.

use std::sync::Arc;

use crate::config::{Refusal, Remote, ServiceKind};
use crate::service::Service;
use crate::service::memory::{Memory, MemoryConfig};

/// The service of `remote`, without layers.
///
/// # Errors
/// When this build has no such service, or its settings cannot be used.
pub fn open_service(remote: &Remote) -> anyhow::Result<Arc<dyn Service>> {
    match remote.service {
        ServiceKind::Memory => Ok(Arc::new(Memory::new(MemoryConfig::friendly()))),
        kind @ (ServiceKind::Mediawiki
        | ServiceKind::Onlyoffice
        | ServiceKind::YandexWiki
        | ServiceKind::YandexCloud
        | ServiceKind::S3) => Err(missing(remote, kind).into()),
    }
}

fn missing(remote: &Remote, kind: ServiceKind) -> Refusal {
    let what = format!("this build has no service {}", kind.name());
    Refusal::new(remote.place.clone(), what, "use a service that it has: memory")
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
