//! Real MediaWiki servers for tests. They are started by `tests/run`; each is a directory named by an environment
//! variable. A test has its server for itself as long as it holds the [`Wiki`], because what it switches or counts there
//! would disturb others.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};
use uploadfs::path::RemotePath;
use uploadfs::service::Service;
use uploadfs::service::mediawiki::{MediaWiki, MediaWikiConfig};

use super::daemon::Remote;

/// How long a line may take from the end of a request into the log of the web server.
const LOG_WAIT: Duration = Duration::from_secs(10);

/// The servers, by their limits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// Limits far away, no checks of contents.
    Wide,
    /// The limits and checks of a bare Debian server: 1 MiB per request.
    Default,
    /// PHP's limits behind a generous web server: 2 MiB per file, 8 MiB per request.
    Php,
}

impl Which {
    fn variable(self) -> &'static str {
        match self {
            Which::Wide => "UPLOADFS_TEST_WIKI_WIDE",
            Which::Default => "UPLOADFS_TEST_WIKI_DEFAULT",
            Which::Php => "UPLOADFS_TEST_WIKI_PHP",
        }
    }

    fn turn(self) -> &'static Mutex<()> {
        static TURNS: [Mutex<()>; 3] = [Mutex::const_new(()), Mutex::const_new(()), Mutex::const_new(())];
        &TURNS[self as usize]
    }
}

/// One server, for one test.
pub(crate) struct Wiki {
    folder: PathBuf,
    env: HashMap<String, String>,
    _turn: MutexGuard<'static, ()>,
}

impl Wiki {
    /// Waits for the server to be free. Fails when it was not started.
    pub(crate) async fn take(which: Which) -> Wiki {
        let turn = which.turn().lock().await;
        let variable = which.variable();
        let folder =
            PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("no {variable}: run tests/run")));
        let text = std::fs::read_to_string(folder.join("env")).expect("a started server has an env file");
        let env = text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
        let wiki = Wiki { folder, env, _turn: turn };
        // Whatever a test that failed has left behind.
        wiki.manage(&["switch", "all", "off"]);
        wiki
    }

    pub(crate) fn env(&self, key: &str) -> &str {
        self.env.get(key).unwrap_or_else(|| panic!("the server's env file has no {key}"))
    }

    /// The bot account, as a daemon is configured with it.
    pub(crate) fn remote(&self) -> Remote {
        let [url, user, password] = ["MW_URL", "MW_BOT_USER", "MW_BOT_PASS"].map(|key| self.env(key).to_owned());
        Remote { url, user, password }
    }

    /// An ordinary account, as a daemon is configured with it.
    pub(crate) fn remote_of_user(&self) -> Remote {
        let [url, user, password] = ["MW_URL", "MW_USER", "MW_USER_PASS"].map(|key| self.env(key).to_owned());
        Remote { url, user, password }
    }

    /// A client of the bot account, which may do everything.
    pub(crate) fn bot(&self) -> MediaWiki {
        self.client(self.env("MW_BOT_USER"), self.env("MW_BOT_PASS"))
    }

    /// A client of an ordinary account by its own password: it may upload and move, not delete.
    pub(crate) fn user(&self) -> MediaWiki {
        self.client(self.env("MW_USER"), self.env("MW_USER_PASS"))
    }

    pub(crate) fn client(&self, user: &str, password: &str) -> MediaWiki {
        self.client_at(self.env("MW_URL"), user, password)
    }

    /// The bot account, configured in another way.
    pub(crate) fn configured(&self, change: impl FnOnce(MediaWikiConfig) -> MediaWikiConfig) -> MediaWiki {
        let [url, user, password] = ["MW_URL", "MW_BOT_USER", "MW_BOT_PASS"].map(|key| self.env(key));
        MediaWiki::new(change(config(url, user, password))).expect("the configuration is right")
    }

    /// What the API answers to everybody.
    pub(crate) fn api(&self, query: &str) -> String {
        let url = format!("{}?{query}&format=json&formatversion=2", self.env("MW_URL"));
        let output = Command::new("curl").args(["-sf", "--globoff", &url]).output().expect("curl is installed");
        assert!(output.status.success(), "{query}");
        String::from_utf8(output.stdout).expect("JSON is text").replace("\\/", "/")
    }

    pub(crate) fn client_at(&self, url: &str, user: &str, password: &str) -> MediaWiki {
        MediaWiki::new(config(url, user, password)).expect("the configuration is right")
    }

    /// Removes every file.
    pub(crate) async fn empty(&self) {
        let bot = self.bot();
        loop {
            let page = bot.list(&RemotePath::root(), None).await.expect("the wiki lists its files");
            if page.nodes.is_empty() {
                return;
            }
            for node in page.nodes {
                bot.remove(&RemotePath::root().join(&node.name), &node).await.expect("the bot may delete");
            }
        }
    }

    /// Turns a fault on until the guard is dropped.
    pub(crate) fn switch(&self, name: &'static str) -> Switched<'_> {
        self.manage(&["switch", name, "on"]);
        Switched { wiki: self, name }
    }

    /// Runs the server's own script on this instance: `command DIR arguments`.
    pub(crate) fn manage(&self, command: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/mediawiki");
        let (verb, arguments) = command.split_first().expect("a command");
        let output =
            Command::new(script).arg(verb).arg(&self.folder).args(arguments).output().expect("the script runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The end of the access log now.
    pub(crate) async fn mark(&self) -> usize {
        self.log().await.len()
    }

    /// The lines of the access log since `mark`. A request of our own goes behind all others, so that none is missed.
    pub(crate) async fn since(&self, mark: usize) -> Vec<String> {
        self.log().await.split_off(mark)
    }

    async fn log(&self) -> Vec<String> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let marker = format!("/w/api.php?marker={}-{count}", std::process::id());
        let port = self.env("MW_PORT");
        let url = format!("http://127.0.0.1:{port}{marker}&action=query&meta=siteinfo&format=json");
        let status = Command::new("curl").args(["-sf", "-o", "/dev/null", &url]).status().expect("curl is installed");
        assert!(status.success());
        let deadline = Instant::now() + LOG_WAIT;
        loop {
            let log = std::fs::read_to_string(self.env("MW_ACCESS_LOG")).expect("the server writes a log");
            let lines: Vec<String> = log.lines().map(str::to_owned).collect();
            if let Some(at) = lines.iter().position(|line| line.contains(&marker)) {
                return lines.into_iter().take(at).filter(|line| !line.contains("marker=")).collect();
            }
            assert!(Instant::now() < deadline, "a finished request is not in the log");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn config(url: &str, user: &str, password: &str) -> MediaWikiConfig {
    MediaWikiConfig {
        url: url.into(),
        user: user.into(),
        password: Some(password.to_owned().into()),
        token: None,
        ca_file: None,
        proxy: None,
        comment: "test".into(),
        text: None,
        tags: Vec::new(),
        maxlag: None,
    }
}

/// How many of `lines` are of this step of an upload (`chunk`, `last-chunk`, `publish`, `status`).
pub(crate) fn steps(lines: &[String], step: &str) -> usize {
    lines.iter().filter(|line| line.split_whitespace().nth(6) == Some(step)).count()
}

/// A fault that is on.
pub(crate) struct Switched<'a> {
    wiki: &'a Wiki,
    name: &'static str,
}

impl Drop for Switched<'_> {
    fn drop(&mut self) {
        self.wiki.manage(&["switch", self.name, "off"]);
    }
}

/// An empty wiki as a fixture of the conformance suite.
pub(crate) async fn fixture(which: Which) -> super::fixture::Fixture {
    let wiki = Wiki::take(which).await;
    wiki.empty().await;
    let service = Arc::new(wiki.bot());
    service.connect().await.expect("the bot may sign in");
    let refused = vec!["x.exe", "x.php.txt", "name", "a#b.txt", "a:b.txt", "a  b.txt", "a%41.txt", "x.html"];
    let mut fixture = super::fixture::Fixture::new(service, wiki);
    fixture.refused = refused;
    fixture
}
