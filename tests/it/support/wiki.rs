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
    /// As `Wide`, on MariaDB: writers meet, while on SQLite they take turns.
    MariaDb,
    /// As `Wide`, MediaWiki 1.43. Not every machine can get it: see [`Wiki::take_if_there`].
    Release143,
}

impl Which {
    fn variable(self) -> &'static str {
        match self {
            Which::Wide => "UPLOADFS_TEST_WIKI_WIDE",
            Which::Default => "UPLOADFS_TEST_WIKI_DEFAULT",
            Which::Php => "UPLOADFS_TEST_WIKI_PHP",
            Which::MariaDb => "UPLOADFS_TEST_WIKI_MARIADB",
            Which::Release143 => "UPLOADFS_TEST_WIKI_143",
        }
    }

    fn turn(self) -> &'static Mutex<()> {
        static TURNS: [Mutex<()>; 5] = [const { Mutex::const_new(()) }; 5];
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

    /// As [`Wiki::take`], for a server that not every machine can have: `None`, and a line about it, when `tests/run`
    /// could not get it.
    pub(crate) async fn take_if_there(which: Which) -> Option<Wiki> {
        let variable = which.variable();
        if std::env::var_os(variable).is_none() {
            eprintln!("not run: no {variable}, because tests/run could not get this server or was not used");
            return None;
        }
        Some(Wiki::take(which).await)
    }

    pub(crate) fn env(&self, key: &str) -> &str {
        self.env.get(key).unwrap_or_else(|| panic!("the server's env file has no {key}"))
    }

    /// The bot account, as a daemon is configured with it.
    pub(crate) fn remote(&self) -> Remote {
        let [url, user, password] = ["MW_URL", "MW_BOT_USER", "MW_BOT_PASS"].map(|key| self.env(key).to_owned());
        Remote { service: "mediawiki", url, user, password }
    }

    /// An ordinary account, as a daemon is configured with it.
    pub(crate) fn remote_of_user(&self) -> Remote {
        let [url, user, password] = ["MW_URL", "MW_USER", "MW_USER_PASS"].map(|key| self.env(key).to_owned());
        Remote { service: "mediawiki", url, user, password }
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

    /// The SHA-1 of every version that the wiki itself has of a file, the newest first, in hexadecimal.
    pub(crate) fn versions(&self, name: &str) -> Vec<String> {
        let title = format!("titles=File:{name}");
        let answer = self.ask(&["prop=imageinfo", "iiprop=sha1", "iilimit=max", &title]);
        assert!(answer.get("continue").is_none(), "more versions than fit into one answer");
        let versions = answer["query"]["pages"][0]["imageinfo"].as_array().cloned().unwrap_or_default();
        versions.iter().map(|version| version["sha1"].as_str().expect("a wiki knows the SHA-1").to_owned()).collect()
    }

    /// What the wiki says of itself: `generator`, `dbtype`.
    pub(crate) fn siteinfo(&self, key: &str) -> String {
        let answer = self.ask(&["meta=siteinfo"]);
        answer["query"]["general"][key].as_str().unwrap_or_else(|| panic!("no {key} in {answer}")).to_owned()
    }

    /// The answer to a query that everybody may ask, by a client that is not ours.
    fn ask(&self, parameters: &[&str]) -> serde_json::Value {
        let mut curl = Command::new("curl");
        curl.args([
            "-sfG",
            "--noproxy",
            "*",
            self.env("MW_URL"),
            "-d",
            "action=query",
            "-d",
            "format=json",
            "-d",
            "formatversion=2",
        ]);
        for parameter in parameters {
            curl.args(["--data-urlencode", parameter]);
        }
        let output = curl.output().expect("curl is installed");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("the API speaks JSON")
    }

    /// The end of the access log now, in lines of the file.
    pub(crate) async fn mark(&self) -> usize {
        self.log().await.len()
    }

    /// The lines of the access log since `mark`. A request of our own goes behind all others, so that none is missed.
    pub(crate) async fn since(&self, mark: usize) -> Vec<String> {
        without_ours(self.log().await.split_off(mark))
    }

    /// The lines since `mark` that are there now; the newest requests may not be among them.
    pub(crate) fn since_so_far(&self, mark: usize) -> Vec<String> {
        without_ours(self.written().skip(mark))
    }

    fn written(&self) -> impl Iterator<Item = String> {
        let log = std::fs::read_to_string(self.env("MW_ACCESS_LOG")).expect("the server writes a log");
        log.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    /// Everything up to a request of our own.
    async fn log(&self) -> Vec<String> {
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let marker = format!("/w/api.php?marker={}-{count}", std::process::id());
        let port = self.env("MW_PORT");
        let url = format!("http://127.0.0.1:{port}{marker}&action=query&meta=siteinfo&format=json");
        let status = Command::new("curl")
            .args(["-sf", "--noproxy", "*", "-o", "/dev/null", &url])
            .status()
            .expect("curl is installed");
        assert!(status.success());
        let deadline = Instant::now() + LOG_WAIT;
        loop {
            let lines: Vec<String> = self.written().collect();
            if let Some(at) = lines.iter().position(|line| line.contains(&marker)) {
                return lines.into_iter().take(at + 1).collect();
            }
            assert!(Instant::now() < deadline, "a finished request is not in the log");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// `lines` but for the requests that only mark a place in the log.
fn without_ours(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    lines.into_iter().filter(|line| !line.contains("marker=")).collect()
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
