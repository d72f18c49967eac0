//! The wiki as a process of its own: what it prints, and that this is enough to use it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use uploadfs::portal::yandex_wiki::{IAM_TOKEN, OAUTH_TOKEN, ORGANISATION, ROOT_SLUG};

use super::ok;
use crate::support::raw::Request;

/// `uploadfs portal` that runs. Dropped, it is killed.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_says_how_it_can_be_used() {
    for (service, authorization, header) in [
        ("yandex-wiki", format!("OAuth {OAUTH_TOKEN}"), "X-Org-Id"),
        ("yandex-wiki-cloud", format!("Bearer {IAM_TOKEN}"), "X-Cloud-Org-Id"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_uploadfs"));
        command.args(["portal", "--service", service, "--port", "0", "--store"]).arg(folder.path());
        let mut process = Process(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let said: Vec<String> = lines.take(5).map(Result::unwrap).collect();
        assert_eq!(said[0], "service: yandex-wiki");
        let token = authorization.split_once(' ').unwrap().1;
        for word in [token, ORGANISATION, header, ROOT_SLUG] {
            assert!(said[2].contains(word), "{word} in {said:?}");
        }
        let address: SocketAddr = said[1].strip_prefix("url: http://").unwrap().parse().unwrap();
        let request = Request::new("GET", &format!("/v1/pages?slug={ROOT_SLUG}"));
        let request = request.header("Authorization", &authorization).header(header, ORGANISATION);
        assert_eq!(ok(&request.send(address).unwrap())["slug"], ROOT_SLUG);
    }
}
