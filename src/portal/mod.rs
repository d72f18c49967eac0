//! Servers that speak the protocols of real services, for tests and for trying without an account. A portal listens on
//! loopback, keeps its files in a directory, survives a restart on it, and plays whatever trouble it is told to play.
//!
//! **Contract.** What a real service refuses is refused, what it tolerates is tolerated; what real services break on is
//! noted as a [`Violation`], even where the answer is friendly. It is written from what is known about the services and
//! shares no line with the clients of this project, so that a mistake is never made twice in the same way.
//!
//! **Parts.** [`faults`], [`link`], the store, its journal, the clock, the state, the violations and the storage port, a
//! second address behind which services have their object stores, know no service. A service is a folder
//! ([`onlyoffice`], [`yandex_wiki`], [`yandex_cloud`]) that implements one trait. A request passes the line, the faults, the
//! service, and the faults again; the control address `/.portal/` lies beside all of it, and what it has for people is in
//! `page`.
//!
//! **Order and concurrency.** A portal has a thread and a runtime of its own, so that tests may block. Bodies stream to
//! disk; a service's lock is held for memory work only. **Failure.** A disk that fails is the service's own 500.
//! **Crash.** What was answered is there after a restart; what the real service would lose at one is lost.

mod arrivals;
mod clock;
mod control;
mod core;
pub mod faults;
mod host;
mod journal;
pub mod link;
mod multipart;
pub mod onlyoffice;
mod page;
mod ranges;
mod serve;
mod settings;
mod state;
mod storage;
mod store;
mod uuid;
mod violations;
mod wire;
mod work;
pub mod yandex_cloud;
pub mod yandex_wiki;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;

pub use self::arrivals::Arrival;
use self::core::{Core, Protocol};
use self::faults::{Faults, Random, Rule};
use self::link::{Line, Link};
use self::onlyoffice::{Onlyoffice, OnlyofficeConfig};
use self::serve::{Listeners, Served};
pub use self::state::{FileState, PortalState, SessionState};
use self::storage::StoragePort;
use self::store::Store;
pub use self::violations::Violation;
pub use self::work::WorkState;
use self::yandex_cloud::{YandexCloud, YandexCloudConfig};
use self::yandex_wiki::{YandexWiki, YandexWikiConfig};

/// Threads for requests: two keep two processors busy, and more only compete with the client under test.
const THREADS: usize = 2;

/// How long requests under way may take after the portal was stopped. Those that a fault holds end at once.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Which service a portal speaks for.
#[derive(Clone, Debug)]
pub enum ServiceConfig {
    /// An ONLYOFFICE portal of some generation.
    Onlyoffice(OnlyofficeConfig),
    /// A Yandex Wiki.
    YandexWiki(YandexWikiConfig),
    /// The files of Yandex Cloud AI Studio.
    YandexCloud(YandexCloudConfig),
}

/// What a portal is.
#[derive(Clone, Debug)]
pub struct PortalConfig {
    /// Where it listens; port 0 takes any that is free.
    pub address: SocketAddr,
    /// The directory it keeps its files in; one portal at a time.
    pub store: PathBuf,
    /// What it speaks.
    pub service: ServiceConfig,
    /// The line in front of it.
    pub link: Link,
    /// The script of faults.
    pub faults: Vec<Rule>,
    /// Faults by the dice.
    pub random: Option<Random>,
}

impl PortalConfig {
    /// A portal on a free port of loopback, without trouble.
    pub fn new(store: impl Into<PathBuf>, service: ServiceConfig) -> Self {
        PortalConfig {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            store: store.into(),
            service,
            link: Link::default(),
            faults: Vec::new(),
            random: None,
        }
    }
}

/// A portal that runs. Dropped, it stops soon; [`Portal::stop`] waits for that.
pub struct Portal {
    address: SocketAddr,
    served: Served,
    thread: Option<JoinHandle<()>>,
}

impl Portal {
    /// Starts a portal; it answers when this returns.
    ///
    /// # Errors
    /// The address is taken, or the directory cannot be used.
    pub fn start(config: PortalConfig) -> io::Result<Portal> {
        // A blocking channel of std: the caller may be inside of a runtime, where tokio's refuses to block.
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new().name("portal".into()).spawn(move || run(config, ready))?;
        let (address, served) = started.recv().map_err(io::Error::other)??;
        Ok(Portal { address, served, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for those who are sent to its object store.
    pub fn storage_address(&self) -> SocketAddr {
        self.served.core.storage.address()
    }

    /// The address of the service, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What there is now. Waits for the disk.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn state(&self) -> io::Result<PortalState> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let Served { core, protocol } = self.served.clone();
        // On a thread of its own, because the caller may be inside of a runtime.
        let answer = std::thread::spawn(move || runtime.block_on(core.state(protocol.as_ref()))).join();
        answer.map_err(|_| io::Error::other("the state could not be read"))?
    }

    /// The rules that clients broke.
    pub fn violations(&self) -> Vec<Violation> {
        self.served.core.violations.all()
    }

    /// Everything that arrives from now on, until the portal ends.
    pub fn arrivals(&self) -> mpsc::Receiver<Arrival> {
        self.served.core.arrivals.watch()
    }

    /// Forgets the broken rules; for tests that break them on purpose.
    pub fn clear_violations(&self) {
        self.served.core.violations.clear();
    }

    /// Adds a line to the script of faults; its occurrences count from now.
    pub fn add_fault(&self, rule: Rule) {
        self.served.core.faults.add(rule);
    }

    /// Ends all faults, the random ones too.
    pub fn clear_faults(&self) {
        self.served.core.faults.clear();
    }

    /// How many faults have struck.
    pub fn faults_struck(&self) -> u64 {
        self.served.core.faults.struck()
    }

    /// What it has to do right now.
    pub fn work(&self) -> WorkState {
        self.served.core.work.state()
    }

    /// Faults by the dice from now on.
    pub fn set_random(&self, random: Option<Random>) {
        self.served.core.faults.set_random(random);
    }

    /// Changes the line.
    pub fn set_link(&self, link: Link) {
        self.served.core.line.set(link);
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.served.core.clock.advance(by);
    }

    /// Changes settings of the service by their names, as the control address does.
    ///
    /// # Errors
    /// There is no such setting, or no such value of it.
    pub fn set(&self, changes: &serde_json::Value) -> Result<(), String> {
        self.served.protocol.set(changes)
    }

    /// Stops it and waits until the directory and the address are free.
    pub fn stop(mut self) {
        self.served.core.stopping.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported; the caller can only go on.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portal").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.served.core.stopping.cancel();
    }
}

/// What the thread hands back when the portal listens.
type Started = io::Result<(SocketAddr, Served)>;

fn run(config: PortalConfig, ready: mpsc::Sender<Started>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("portal-io")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever asked is gone only if it panicked meanwhile.
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let (listeners, served) = match open(config).await {
            Ok(opened) => opened,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let (stopping, core) = (served.core.stopping.clone(), served.core.clone());
        let address = listeners.service.local_addr();
        if ready.send(address.map(|address| (address, served.clone()))).is_err() {
            return;
        }
        let deadline = async {
            stopping.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            ended = serve::serve(listeners, served) => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the portal has stopped");
                }
            }
            () = deadline => {}
        }
        core.arrivals.end();
    });
    runtime.shutdown_timeout(STOP_GRACE);
}

async fn open(config: PortalConfig) -> io::Result<(Listeners, Served)> {
    // tokio's listener sets what a restart on the same port needs; std's does not.
    let service = TcpListener::bind(config.address).await?;
    let storage = TcpListener::bind(SocketAddr::new(config.address.ip(), 0)).await?;
    let port = StoragePort::new(storage.local_addr()?);
    let (store, records) = Store::open(&config.store)?;
    let store = Arc::new(store);
    let core = Arc::new(Core::new(store, port, Faults::new(config.faults, config.random), Line::new(config.link)));
    let protocol: Arc<dyn Protocol> = match config.service {
        ServiceConfig::Onlyoffice(settings) => Arc::new(Onlyoffice::open(core.clone(), settings, records)?),
        ServiceConfig::YandexWiki(settings) => Arc::new(YandexWiki::open(core.clone(), settings, records)?),
        ServiceConfig::YandexCloud(settings) => Arc::new(YandexCloud::open(core.clone(), settings, records)?),
    };
    Ok((Listeners { service, storage }, Served { core, protocol }))
}
