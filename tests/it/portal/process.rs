//! The portal as a process of its own: what it prints, its control address, its end, and its files after a kill.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::{API_KEY, PASSWORD, USER};

use super::client::{Answer, Request, form};
use super::sign_in;

/// `uploadfs portal` that runs. Dropped, it is killed.
struct Process {
    child: Child,
    address: SocketAddr,
    said: Vec<String>,
}

impl Process {
    fn start(service: &str, store: &Path) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
        command.args(["portal", "--service", service, "--port", "0", "--store"]).arg(store);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said: Vec<String> =
            BufReader::new(child.stdout.take().unwrap()).lines().take(5).map(Result::unwrap).collect();
        let address = said[1].strip_prefix("url: http://").unwrap().parse().unwrap();
        Process { child, address, said }
    }

    #[track_caller]
    fn control(&self, method: &str, what: &str, body: Option<Value>) -> Answer {
        let mut request = Request::new(method, &format!("/.portal/{what}"));
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send(self.address).unwrap()
    }

    /// Sends a signal, and waits; whether it ended well.
    fn end(mut self, signal: &str) -> bool {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Uploads a small file; the status of the answer.
fn upload(address: SocketAddr, token: &str, title: &str) -> u16 {
    let create = Request::new("POST", "/api/2.0/files/1/upload/create_session").header("Authorization", token);
    let opened = create.json(&json!({"fileName": title, "fileSize": 3})).send(address).unwrap();
    let (content_type, body) = form(b"abc");
    let target = super::target(&opened.json()["response"]["data"]);
    let chunk = Request::new("POST", &target).header("Authorization", token).header("Content-Type", &content_type);
    chunk.body(body).send(address).unwrap().status
}

#[test]
fn it_says_how_it_can_be_used_and_ends_when_asked() {
    for signal in ["-INT", "-TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start("onlyoffice-3.6.1", folder.path());
        assert_eq!(process.said[0], "service: onlyoffice 3.6.1");
        for word in [USER, PASSWORD, API_KEY] {
            assert!(process.said[2].contains(word), "{:?}", process.said);
        }
        assert!(process.said[3].ends_with("/.portal/state"));
        assert_eq!(process.said[4], format!("page: http://{}/.portal/", process.address));
        assert!(process.end(signal));
    }
}

#[test]
fn what_it_answered_is_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start("onlyoffice-g0", folder.path());
    let token = sign_in(process.address, USER, PASSWORD);
    for round in 0..3 {
        assert_eq!(upload(process.address, &token, &format!("{round}.bin")), 201);
    }
    assert!(!process.end("-KILL"));
    let process = Process::start("onlyoffice-g0", folder.path());
    let state = process.control("GET", "state", None).json();
    let paths: Vec<_> = state["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/My documents/0.bin", "/My documents/1.bin", "/My documents/2.bin"]);
    assert_eq!(state["files"][0]["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(upload(process.address, &token, "3.bin"), 201, "tokens survive");
}

#[test]
fn everything_is_controlled_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start("onlyoffice", folder.path());
    let ok = |method, what, body| assert_eq!(process.control(method, what, body).status, 200, "{method} {what}");
    let version = || Request::new("GET", "/api/2.0/settings/version/build").send(process.address).unwrap().status;
    ok(
        "POST",
        "faults",
        Some(json!([{"kind": "version", "fault": {"do": "answer", "when": "before", "status": 503}}])),
    );
    assert_eq!((version(), version()), (503, 200));
    let faults = process.control("GET", "faults", None).json();
    assert_eq!((&faults["struck"], &faults["rules"][0]["kind"]), (&json!(1), &json!("version")));
    let dice = json!({"seed": 1, "per_mille": 1000, "faults": [{"do": "answer", "when": "after", "status": 504}]});
    ok("PUT", "faults/random", Some(dice));
    assert_eq!(version(), 504);
    ok("DELETE", "faults", None);
    assert_eq!(version(), 200);

    ok("PUT", "link", Some(json!({"latency_ms": 1})));
    assert_eq!(process.control("GET", "link", None).json()["latency_ms"], 1);
    ok("PUT", "settings", Some(json!({"chunk_bytes": 4096})));
    assert_eq!(process.control("GET", "settings", None).json()["chunk_bytes"], 4096);
    let token = sign_in(process.address, USER, PASSWORD);
    ok("POST", "clock", Some(json!({"advance_s": 366 * 24 * 3600})));
    let me =
        Request::new("GET", "/api/2.0/people/@self").header("Authorization", &token).send(process.address).unwrap();
    assert_eq!(me.status, 401);

    Request::new("GET", "/nowhere").send(process.address).unwrap();
    assert_eq!(process.control("GET", "violations", None).json()[0]["kind"], "unknown");
    ok("DELETE", "violations", None);
    assert_eq!(process.control("GET", "violations", None).json(), json!([]));
    assert_eq!(process.control("GET", "state", None).json()["service"], "onlyoffice 3.7.2");

    for (method, what, body) in [
        ("GET", "nonsense", None),
        ("PUT", "link", Some(json!({"speed": 1}))),
        ("POST", "faults", Some(json!([{"kind": "version", "fault": {"do": "explode"}}]))),
        ("PUT", "settings", Some(json!({"nonsense": 1}))),
    ] {
        let refused = process.control(method, what, body);
        assert!(refused.status >= 400 && refused.json()["error"].is_string(), "{method} {what}: {}", refused.text());
    }
}

#[test]
fn what_cannot_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start("onlyoffice", folder.path());
    let said = |service: &str, port: String| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
        command.args(["portal", "--service", service, "--port", &port, "--store"]).arg(folder.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said("onlyoffice", "0".into());
    assert!(code == Some(1) && text.contains("another portal uses this directory"), "{text}");
    let (code, text) = said("onlyoffice", process.address.port().to_string());
    assert!(code == Some(1) && text.contains("Address already in use"), "{text}");
    let (code, text) = said("word", "0".into());
    assert!(code == Some(2) && text.contains("onlyoffice-g0"), "{text}");
}
