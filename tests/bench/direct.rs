//! The best clients that a MediaWiki can have: no file system between, nothing hashed, each request written straight to
//! its connection. The whole file in one POST goes by `curl`, which nobody will suspect of being slow.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The first chunk is small: MediaWiki looks at it only.
const CHUNK_FIRST_BYTES: u64 = 64 << 10;
/// The chunks after it: more gains nothing.
const CHUNK_BYTES: u64 = 16 << 20;
/// Separates the fields of a form; random enough not to be in a file of random bytes.
const BOUNDARY: &str = "7f1d6bd2a0c94e1c8f5d3e2b1a";

/// A signed-in client.
pub(crate) struct Direct {
    address: String,
    path: String,
    cookies: Vec<String>,
    token: String,
}

impl Direct {
    /// Signs in with a bot password.
    pub(crate) fn sign_in(url: &str, user: &str, password: &str) -> Direct {
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (address, path) = (address.to_owned(), format!("/{path}"));
        let mut client = Direct { address, path, cookies: Vec::new(), token: String::new() };
        let tokens = client.form(&[("action", "query"), ("meta", "tokens"), ("type", "login")]);
        let token = text(&tokens["query"]["tokens"]["logintoken"]);
        let login =
            client.form(&[("action", "login"), ("lgname", user), ("lgpassword", password), ("lgtoken", &token)]);
        assert_eq!(text(&login["login"]["result"]), "Success");
        let tokens = client.form(&[("action", "query"), ("meta", "tokens")]);
        client.token = text(&tokens["query"]["tokens"]["csrftoken"]);
        client
    }

    fn form(&mut self, fields: &[(&str, &str)]) -> Value {
        self.post(fields, None)
    }

    /// One POST; the connection ends with the answer, so that the answer has no framing to be parsed.
    fn post(&mut self, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Value {
        let mut head = String::new();
        for (name, value) in [("format", "json"), ("formatversion", "2")].iter().chain(fields) {
            head += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        if let Some((field, _)) = file {
            head += &format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"f\"\r\n");
            head += "Content-Type: application/octet-stream\r\n\r\n";
        }
        let line_end = if file.is_some() { "\r\n" } else { "" };
        let (chunk, tail) = (file.map_or(&[][..], |(_, bytes)| bytes), format!("{line_end}--{BOUNDARY}--\r\n"));
        let len = head.len() + chunk.len() + tail.len();
        let (address, path, cookies) = (&self.address, &self.path, self.cookies.join("; "));
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_nodelay(true).unwrap();
        let request = format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nCookie: {cookies}\r\nContent-Length: {len}\r\n\
             Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n{head}"
        );
        for bytes in [request.as_bytes(), chunk, tail.as_bytes()] {
            connection.write_all(bytes).unwrap();
        }
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        self.keep_cookies(head);
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn keep_cookies(&mut self, head: &str) {
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        for (_, cookie) in headers.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let cookie = cookie.split(';').next().unwrap().to_owned();
            let name = cookie.split('=').next().unwrap().to_owned() + "=";
            self.cookies.retain(|have| !have.starts_with(&name));
            self.cookies.push(cookie);
        }
    }

    /// Uploads the file in chunks and publishes it; where it can be read.
    pub(crate) fn by_chunks(&mut self, file: &Path, name: &str) -> String {
        let token = self.token.clone();
        let mut file = File::open(file).unwrap();
        let size = file.metadata().unwrap().len();
        let (mut at, mut key, mut data) = (0, String::new(), Vec::new());
        while at < size {
            let want = if at == 0 { CHUNK_FIRST_BYTES } else { CHUNK_BYTES };
            data.clear();
            file.seek(SeekFrom::Start(at)).unwrap();
            Read::by_ref(&mut file).take(want).read_to_end(&mut data).unwrap();
            let (offset, total) = (at.to_string(), size.to_string());
            let mut fields = vec![("action", "upload"), ("stash", "1"), ("ignorewarnings", "1"), ("filename", name)];
            fields.extend([("offset", offset.as_str()), ("filesize", total.as_str()), ("token", token.as_str())]);
            if at > 0 {
                fields.push(("filekey", key.as_str()));
            }
            let answer = self.post(&fields, Some(("chunk", &data)));
            key = text(&answer["upload"]["filekey"]);
            at += data.len() as u64;
        }
        let fields =
            [("action", "upload"), ("ignorewarnings", "1"), ("filename", name), ("filekey", &key), ("token", &token)];
        let answer = self.form(&fields);
        assert_eq!(text(&answer["upload"]["result"]), "Success");
        text(&answer["upload"]["imageinfo"]["url"])
    }

    /// Uploads `bytes` in one POST.
    pub(crate) fn by_post(&mut self, bytes: &[u8], name: &str) {
        let token = self.token.clone();
        let fields = [("action", "upload"), ("ignorewarnings", "1"), ("filename", name), ("token", token.as_str())];
        let answer = self.post(&fields, Some(("file", bytes)));
        assert_eq!(text(&answer["upload"]["result"]), "Success");
    }

    /// Uploads the file in one POST of `curl`.
    pub(crate) fn by_curl(&self, file: &Path, name: &str) {
        let mut command = Command::new("curl");
        command.args(["-s", "-S", "-f", "--noproxy", "*", "-H", "Expect:", "-H"]);
        command.arg(format!("Cookie: {}", self.cookies.join("; ")));
        for field in ["action=upload", "format=json", "ignorewarnings=1", &format!("filename={name}")] {
            command.args(["-F", field]);
        }
        command.args(["--form-string", &format!("token={}", self.token)]);
        command.args(["-F", &format!("file=@{}", file.display())]);
        let output = command.arg(format!("http://{}{}", self.address, self.path)).output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && answer.contains("\"Success\""), "{output:?}");
    }

    /// The size of a published file, as the wiki has it.
    pub(crate) fn size(&mut self, name: &str) -> Option<u64> {
        let title = format!("File:{name}");
        let fields = [("action", "query"), ("prop", "imageinfo"), ("iiprop", "size"), ("titles", title.as_str())];
        self.form(&fields)["query"]["pages"][0]["imageinfo"][0]["size"].as_u64()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
