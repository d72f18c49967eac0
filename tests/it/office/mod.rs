//! The ONLYOFFICE client against portals, call by call: signing in, addresses, sessions that go wrong, names, moves,
//! listings, refusals and downloads. Faults over a whole upload are in `office_faults`.

mod addresses;
mod auth;
mod listings;
mod moves;
mod names;
mod operations;
mod reading;
mod refusals;
mod sessions;
mod twins;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uploadfs::error::{Error, Kind};
use uploadfs::path::RemotePath;
use uploadfs::portal::onlyoffice::{
    API_KEY, Account, Collation, Generation, OnlyofficeConfig as PortalSettings, PASSWORD, Settings, Storage, USER,
};
use uploadfs::service::onlyoffice::{Onlyoffice, OnlyofficeConfig};
use uploadfs::service::{Node, NodeKind, Service};

use crate::portal::client::{Answer, Request};
use crate::support::office::{CHUNK, GENERATIONS, Office};
use crate::support::upload::{Upload, any, by_session, content, names, text, whole};

/// The chunk size, in bytes.
const C: usize = CHUNK as usize;
/// The section "My documents", where the client's root is.
const MY: u64 = 1;
/// Another user of every portal with [`two_users`].
const OTHER: &str = "other@portal.test";

fn path(name: &str) -> RemotePath {
    RemotePath::parse(name).unwrap()
}

/// A portal with small chunks and other settings.
fn small_with(generation: Generation, change: impl FnOnce(&mut Settings)) -> Office {
    Office::with(generation, |settings| {
        settings.chunk_bytes = CHUNK;
        change(settings);
    })
}

/// A portal with small chunks and two users.
fn two_users(generation: Generation) -> Office {
    let mut config = PortalSettings::new(generation);
    config.accounts.push(Account::new(OTHER, PASSWORD));
    config.settings.chunk_bytes = CHUNK;
    config.settings.operation_ms = 1;
    Office::of(config)
}

/// How many requests of a kind have come.
fn count(office: &Office, kind: &str) -> u64 {
    office.state().requests.get(kind).copied().unwrap_or(0)
}

/// The paths of all files in "My documents", and their versions.
fn files(office: &Office) -> Vec<(String, usize)> {
    let files = office.state().files.into_iter();
    files.filter_map(|file| Some((file.path.strip_prefix("/My documents/")?.to_owned(), file.versions))).collect()
}

/// A client that knows what kind of portal it is, as every client does that has looked around.
async fn connected(office: &Office) -> Arc<Onlyoffice> {
    let client = office.client();
    client.connect().await.unwrap();
    client
}

/// The names in the root as a client that knows nothing yet sees them, in order.
async fn fresh_names(office: &Office) -> Vec<String> {
    let mut names = names(&*connected(office).await, &RemotePath::root()).await.unwrap();
    names.sort();
    names
}

/// Uploads in the way that the size has.
async fn put(client: &Onlyoffice, name: &str, bytes: &Bytes) -> Node {
    any(client, &path(name), bytes).await.unwrap()
}

/// Somebody else's client, which does what it is told.
struct Other {
    address: SocketAddr,
    token: String,
    community: bool,
}

impl Other {
    fn sign_in(office: &Office, user: &str) -> Other {
        let address = office.portal.address();
        let body = json!({"userName": user, "password": PASSWORD});
        let answer = Request::new("POST", "/api/2.0/authentication").json(&body).send(address).unwrap();
        let token = answer.json()["response"]["token"].as_str().unwrap().to_owned();
        Other { address, token, community: office.generation == Generation::G0 }
    }

    fn request(&self, method: &str, target: &str) -> Request {
        Request::new(method, target).header("Authorization", &self.token)
    }

    /// Calls `api/2.0/files/target`, which must work.
    #[track_caller]
    fn call(&self, method: &str, target: &str, body: &Value) -> Value {
        let answer = self.request(method, &format!("/api/2.0/files/{target}")).json(body).send(self.address).unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        answer.json()["response"].clone()
    }

    /// Makes a file in one request, beside whatever has the title already.
    #[track_caller]
    fn make(&self, folder: u64, title: &str, bytes: &Bytes) -> Value {
        let body = json!({"fileName": title, "fileSize": bytes.len(), "createNewIfExist": true});
        let opened = self.call("POST", &format!("{folder}/upload/create_session"), &body);
        self.chunk(opened["data"]["id"].as_str().unwrap(), bytes).data(201)
    }

    /// Sends a chunk without a number into a session.
    fn chunk(&self, session: &str, bytes: &[u8]) -> Answer {
        let handler = if self.community { "/Products/Files/ChunkedUploader.ashx" } else { "/ChunkedUploader.ashx" };
        let (content_type, body) = crate::portal::client::form(bytes);
        let request = self.request("POST", &format!("{handler}?uid={session}"));
        request.header("Content-Type", &content_type).body(body).send(self.address).unwrap()
    }
}

/// A portal behind something that changes its answers: where `change` says so for its own port, one text becomes another
/// of the same length. The address of it.
async fn altered(office: &Office, change: impl Fn(u16) -> (String, String)) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (portal, port) = (office.portal.address(), listener.local_addr().unwrap().port());
    let (from, to) = change(port);
    assert_eq!(from.len(), to.len());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(alter(client, portal, from.clone().into_bytes(), to.clone().into_bytes()));
        }
    });
    format!("http://127.0.0.1:{port}")
}

async fn alter(client: TcpStream, portal: SocketAddr, from: Vec<u8>, to: Vec<u8>) {
    let Ok(server) = TcpStream::connect(portal).await else { return };
    let ((mut client_read, mut client_write), (mut server_read, mut server_write)) =
        (client.into_split(), server.into_split());
    let up = async {
        let _ = tokio::io::copy(&mut client_read, &mut server_write).await;
    };
    let down = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(len @ 1..) = server_read.read(&mut bytes).await {
            let found: Vec<usize> = (0..len).filter(|at| bytes[*at..len].starts_with(&from)).collect();
            for at in found {
                bytes[at..at + to.len()].copy_from_slice(&to);
            }
            if client_write.write_all(&bytes[..len]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// A client of the portal at this address.
fn client_at(office: &Office, url: String) -> Onlyoffice {
    Onlyoffice::new(OnlyofficeConfig { url, ..office.config("@my") }).unwrap()
}
