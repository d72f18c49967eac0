//! The page for people in a browser: Chromium without a window, driven by chromedriver over WebDriver, which is HTTP.
//! It looks like a phone: 360 pixels wide. A test waits for what it wants to see inside of the page.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::{Generation, OnlyofficeConfig};
use uploadfs::portal::{Portal, PortalConfig, ServiceConfig};

use super::page::with_title;
use super::{C, Site, noise};
use crate::support::program::until;

/// The width of a small phone, in its own pixels.
const WIDTH: i64 = 360;

/// How long the page may take to show something, in milliseconds. Far above what is needed on a busy machine.
const LIMIT_MS: u64 = 50_000;

/// How long a command of WebDriver may take, in seconds: a wait in the page, and the start of a browser.
const CALL_S: &str = "60";

/// Chromium that talks to nobody but the portal.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser. Dropped, it is gone with everything it started.
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// A browser that shows this address.
    fn open(url: &str) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            // The path in its arguments is also how what a killed test leaves behind is found.
            .arg(format!("--log-path={}", profile.path().join("log").display()))
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("there is a chromedriver: run tests/run");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port =
            lines.find_map(|line| line.rsplit_once("successfully on port ")?.1.trim_end_matches('.').parse().ok());
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("chromedriver says its port")));
        let mut browser = Browser { driver, address, session: String::new(), profile };
        browser.begin();
        browser.call("url", json!({"url": url}));
        browser
    }

    fn begin(&mut self) {
        fs::create_dir(self.downloads()).unwrap();
        let profile = format!("--user-data-dir={}", self.profile.path().join("profile").display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([profile.as_str()]).collect();
        let metrics = json!({"width": WIDTH, "height": 780, "pixelRatio": 2, "mobile": true, "touch": true});
        let options = json!({
            "args": arguments,
            "mobileEmulation": {"deviceMetrics": metrics},
            "prefs": {"download.default_directory": self.downloads(), "download.prompt_for_download": false},
        });
        let wanted = json!({"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"script": LIMIT_MS}});
        let begun = self.call("", json!({"capabilities": {"alwaysMatch": wanted}}));
        self.session = begun["sessionId"].as_str().unwrap().to_owned();
    }

    fn downloads(&self) -> std::path::PathBuf {
        self.profile.path().join("downloads")
    }

    /// A command of WebDriver; before there is a session, the one that makes it.
    #[track_caller]
    fn call(&self, command: &str, body: Value) -> Value {
        let target = match self.session.as_str() {
            "" => "/session".to_owned(),
            session => format!("/session/{session}/{command}"),
        };
        let answer = self.send("POST", &target, &body);
        assert!(answer["value"]["error"].is_null(), "{command}: {answer:#}");
        answer["value"].clone()
    }

    /// Sends by curl: the driver leaves connections open that it was asked to close, and our own client waits for that.
    fn send(&self, method: &str, target: &str, body: &Value) -> Value {
        let url = format!("http://{}{target}", self.address);
        let output = Command::new("curl")
            .args(["-sS", "--max-time", CALL_S, "-X", method, "-H", "Content-Type: application/json"])
            .args(["--data-binary", &body.to_string(), &url])
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| json!({"value": {"error": String::from_utf8_lossy(&output.stderr)}}))
    }

    /// The value of a script.
    #[track_caller]
    fn eval(&self, expression: &str) -> Value {
        self.call("execute/sync", json!({"script": format!("return {expression}"), "args": []}))
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    fn until(&self, expression: &str) {
        let script = format!(
            "const done = arguments[0]; const look = () => {{ ({expression}) ? done() : setTimeout(look, 20); }}; look();"
        );
        self.call("execute/async", json!({"script": script, "args": []}));
    }

    fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.call("goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    /// Asserts that nothing has to be scrolled sideways.
    #[track_caller]
    fn fits(&self) {
        assert_eq!(self.eval("window.innerWidth"), WIDTH);
        let width = self.eval("document.documentElement.scrollWidth").as_i64().unwrap();
        assert!(width <= WIDTH, "{width}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session, the driver does not; and either may be past answering.
        if !self.session.is_empty() {
            self.send("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let mut ended = vec![format!("-{}", self.driver.id())];
        // Chromium leaves its driver's group; its arguments have the profile, which nobody else uses.
        ended.extend(processes_with(self.profile.path()).into_iter().map(|pid| pid.to_string()));
        let _ = Command::new("kill").args(["-KILL", "--"]).args(ended).stderr(Stdio::null()).status();
        let _ = self.driver.wait();
    }
}

/// Processes with this path in their arguments.
fn processes_with(path: &Path) -> Vec<u32> {
    let path = path.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_path = |pid: &u32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(path)
    };
    pids.filter(has_path).collect()
}

/// The words of the page.
fn shows(words: &str) -> String {
    format!("document.body.innerText.includes({})", json!(words))
}

#[test]
fn the_page_follows_the_portal() {
    let site = Site::new(Generation::G3);
    let browser = Browser::open(&format!("{}/.portal/", site.portal.url()));
    browser.until(&shows("Nothing here yet"));
    browser.eval("window.mark = 1");
    site.upload("first.bin", &noise(C));
    browser.until(&shows("first.bin"));
    browser.until("document.querySelector('#empty').hidden");
    browser.eval("document.querySelector('#files a').focus()");

    let session = site.open("big.bin", 3 * C as i64);
    let bytes = noise(3 * C);
    let bar = "document.querySelector('progress')?.position";
    browser.until(&format!("{bar} === 0"));
    browser.eval("window.bar = document.querySelector('progress')");
    for (at, chunk) in bytes.chunks(C).enumerate().take(2) {
        site.put(&session, chunk);
        browser.until(&format!("Math.abs({bar} * 3 - {}) < 0.01", at + 1));
    }
    assert_eq!(browser.eval("window.bar === document.querySelector('progress')"), true, "it moves, it is not another");
    site.put(&session, &bytes[2 * C..]);
    browser.until("document.querySelectorAll('#files li').length === 2");
    browser.until("document.querySelector('#uploads').hidden");
    assert_eq!(browser.eval("document.querySelector('#files bdi').innerText"), "big.bin", "the newest is first");
    assert_eq!(browser.eval("document.activeElement.innerText.includes('first.bin')"), true, "the focus stays");
    assert_eq!(browser.eval("window.mark"), 1, "nothing was loaded anew");

    // What was taken over piece by piece is what the server sends whole.
    let followed = browser.eval("document.querySelector('main').outerHTML");
    browser.call("refresh", json!({}));
    browser.until(&shows("first.bin"));
    let parsed = format!("new DOMParser().parseFromString({followed}, 'text/html').querySelector('main')");
    let same = browser.eval(&format!("{parsed}.isEqualNode(document.querySelector('main'))"));
    assert!(same == true, "{followed} is not {}", browser.eval("document.querySelector('main').outerHTML"));
    assert_eq!(browser.eval("window.mark"), Value::Null);
    // The browser asked the service for nothing, not even a picture for its tab.
    site.in_order();
    assert!(!site.state().requests.contains_key("unknown"));
}

#[test]
fn a_portal_that_is_gone_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let service = || ServiceConfig::Onlyoffice(OnlyofficeConfig::new(Generation::G3));
    let portal = Portal::start(PortalConfig::new(folder.path(), service())).unwrap();
    let address = portal.address();
    let browser = Browser::open(&format!("{}/.portal/", portal.url()));
    browser.until("document.querySelector('#lost').hidden");
    portal.stop();
    browser.until("!document.querySelector('#lost').hidden");
    let _portal = Portal::start(PortalConfig { address, ..PortalConfig::new(folder.path(), service()) }).unwrap();
    browser.until("document.querySelector('#lost').hidden");
}

#[test]
fn a_phone_shows_everything_and_a_link_saves_the_file() {
    let site = Site::new(Generation::G3);
    let long = "a-name-without-a-blank".repeat(7);
    let folder = site.call("POST", "/api/2.0/files/folder/1", json!({"title": long}));
    let folder = folder.response(200)["id"].clone();
    let body = json!({"fileName": "inner.html", "fileSize": 26});
    let made = site.call("POST", &format!("/api/2.0/files/{folder}/upload/create_session"), body).response(200);
    site.put(&made["data"], b"<script>hacked=1;</script>").data(201);
    site.upload(&format!("{}.bin", "w".repeat(150)), &noise(C));
    site.open(&"m".repeat(160), 5 * C as i64);

    let browser = Browser::open(&format!("{}/.portal/", site.portal.url()));
    browser.until("document.querySelectorAll('li').length === 3");
    browser.fits();
    assert_eq!(browser.eval("[...document.querySelectorAll('h1, h2')].filter(head => head.offsetParent).length"), 3);

    let paper = "getComputedStyle(document.body).backgroundColor";
    let light = browser.eval(paper);
    let dark = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
    browser.cdp("Emulation.setEmulatedMedia", json!({"features": dark}));
    assert_ne!(browser.eval(paper), light);

    // What somebody hears who does not see.
    let tree = browser.cdp("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str, name: &str| {
        nodes.iter().any(|node| node["role"]["value"] == role && node["name"]["value"].as_str() == Some(name))
    };
    assert!(named("progressbar", &"m".repeat(160)), "{tree:#}");
    assert!(named("link", "Download inner.html") && named("heading", "On the way"), "{tree:#}");

    browser.eval("document.querySelector(\"#files li:last-child a\").click()");
    let saved = browser.downloads().join("inner.html");
    until("the file is saved", || fs::read(&saved).is_ok_and(|bytes| bytes == b"<script>hacked=1;</script>"));
    assert!(browser.eval("location.pathname + typeof hacked") == "/.portal/undefined");
}

#[test]
fn a_title_runs_no_script() {
    let folder = tempfile::tempdir().unwrap();
    let title = "<img src=x onerror=\"hacked=1\"><script>hacked=1</script>'\"\n\u{202E}gpj.exe";
    let portal = with_title(folder.path(), title);
    let browser = Browser::open(&format!("{}/.portal/", portal.url()));
    // Loaded, and taken over from another answer.
    browser.until("document.querySelector('time')?.innerText.includes('UTC') === false");
    browser.eval("document.querySelector('#files li').remove()");
    browser.eval("last = ''");
    browser.until(&shows("<img src=x onerror=\"hacked=1\">"));
    assert_eq!(browser.eval("typeof hacked + document.querySelectorAll('img, main script').length"), "undefined0");
    // Nor would one run that found its way into the page.
    browser.eval("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"hacked=1\" id=img>')");
    browser.until("document.querySelector('#img').complete");
    assert_eq!(browser.eval("typeof hacked"), "undefined");
    browser.fits();
}
