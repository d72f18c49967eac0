//! The portal and curl, a client that nobody here has written: the flows of two generations, as a person would type
//! them.

use std::process::Command;

use serde_json::Value;
use uploadfs::portal::onlyoffice::{Generation, PASSWORD, USER};

use super::{C, Site, noise};

/// Runs curl; its answer as JSON, with the status.
#[track_caller]
fn curl(arguments: &[&str]) -> (Value, u16) {
    let output = Command::new("curl").args(["-sS", "-w", "\n%{http_code}"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let (body, status) = said.rsplit_once('\n').unwrap();
    (serde_json::from_str(body).unwrap_or(Value::Null), status.parse().unwrap())
}

/// A portal, and a file in pieces beside it.
struct Desk {
    site: Site,
    folder: tempfile::TempDir,
    authorization: String,
    bytes: Vec<u8>,
}

impl Desk {
    fn new(generation: Generation) -> Desk {
        let (site, folder) = (Site::new(generation), tempfile::tempdir().unwrap());
        let login = format!("{{\"userName\": \"{USER}\", \"password\": \"{PASSWORD}\"}}");
        let url = format!("{}/api/2.0/authentication", site.portal.url());
        let (answer, _) = curl(&["-H", "Content-Type: application/json", "-d", &login, &url]);
        let authorization = format!("Authorization: {}", answer["response"]["token"].as_str().unwrap());
        let bytes = noise(2 * C + 345);
        for (number, piece) in (1..).zip(bytes.chunks(C)) {
            std::fs::write(folder.path().join(number.to_string()), piece).unwrap();
        }
        Desk { site, folder, authorization, bytes }
    }

    fn url(&self, rest: &str) -> String {
        format!("{}{rest}", self.site.portal.url())
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> (Value, u16) {
        curl(&[&["-H", self.authorization.as_str()], arguments].concat())
    }

    /// `-F` with a piece.
    fn piece(&self, number: u32) -> String {
        format!(
            "file=@{};filename=blob;type=application/octet-stream",
            self.folder.path().join(number.to_string()).display()
        )
    }

    #[track_caller]
    fn download(&self, url: &str) -> Vec<u8> {
        let output = Command::new("curl").args(["-sSf", "-H", &self.authorization, url]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

#[test]
fn community_server_in_sequence() {
    let desk = Desk::new(Generation::G0);
    let fields = format!("fileName=Report.PDF&fileSize={}", desk.bytes.len());
    let create = desk.url("/api/2.0/files/1/upload/create_session.json");
    let (opened, status) = desk.run(&["-d", &fields, &create]);
    assert_eq!(status, 201, "{opened}");
    let location = opened["response"]["data"]["location"].as_str().unwrap();
    // The location is all that is needed.
    for (number, expected) in [(1, 200), (2, 200), (3, 201)] {
        let (answer, status) = curl(&["-F", &desk.piece(number), location]);
        assert_eq!((status, &answer["success"]), (expected, &Value::Bool(true)), "{answer}");
    }
    let (listed, status) = desk.run(&[&desk.url("/api/2.0/files/@my.json?count=1000")]);
    let file = &listed["response"]["files"][0];
    assert_eq!(
        (status, &file["title"], file["pureContentLength"].as_u64()),
        (200, &Value::from("Report.pdf"), Some(2345))
    );
    assert_eq!(desk.download(file["viewUrl"].as_str().unwrap()), desk.bytes);
    let entry = desk.url(&format!("/api/2.0/files/file/{}", file["id"]));
    let json = ["-H", "Content-Type: application/json"];
    let (renamed, _) = desk.run(&[&json[..], &["-X", "PUT", "-d", "{\"title\": \"Letter.pdf\"}", &entry]].concat());
    assert_eq!(renamed["response"]["title"], "Letter.pdf");
    let (deleted, status) = desk.run(&[&json[..], &["-X", "DELETE", "-d", "{\"immediately\": true}", &entry]].concat());
    assert_eq!((status, &deleted["response"][0]["operation"]), (200, &Value::from(2)));
    crate::support::program::until("the file to go", || desk.site.state().files.is_empty());
    desk.site.in_order();
}

#[test]
fn docspace_with_numbers() {
    let desk = Desk::new(Generation::G2);
    let body = format!("{{\"fileName\": \"a.bin\", \"fileSize\": {}, \"createNewIfExist\": true}}", desk.bytes.len());
    let create = desk.url("/api/2.0/files/1/upload/create_session");
    let (opened, status) = desk.run(&["-H", "Content-Type: application/json", "-d", &body, &create]);
    assert_eq!(status, 200, "{opened}");
    let location = opened["response"]["data"]["location"].as_str().unwrap();
    for number in [3, 1, 2] {
        // curl's own frame is the one whose length the server computes rightly.
        let target = format!("{location}&chunkNumber={number}&upload=true");
        let (answer, status) = desk.run(&["-F", &desk.piece(number), &target]);
        assert_eq!((status, &answer["success"]), (200, &Value::Bool(true)), "{answer}");
    }
    let (made, status) = desk.run(&["-X", "POST", &format!("{location}&finalize=true")]);
    assert_eq!((status, &made["data"]["title"]), (201, &Value::from("a.bin")));
    let file = &made["data"]["file"];
    let url = file["viewUrl"].as_str().unwrap();
    assert_eq!(desk.download(url), desk.bytes);
    let output =
        Command::new("curl").args(["-sS", "-r", "1000-1099", "-H", &desk.authorization, url]).output().unwrap();
    assert_eq!(output.stdout, desk.bytes[1000..1100]);
    desk.site.in_order();
}
