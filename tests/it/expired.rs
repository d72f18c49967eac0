//! Credentials that end while hundreds of files wait for the service: when it is back, one fresh sign-in serves them all.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use nix::unistd::close;
use uploadfs::portal::onlyoffice::{Generation, PASSWORD, USER};

use super::support::daemon::{Daemon, Remote};
use super::support::desk::sha256;
use super::support::office::{CHUNK, Office};
use super::support::program::until;
use super::support::proxy::{End, Fault, Proxy, When};
use super::support::upload::text;
use super::support::wiki::{Which, Wiki};

/// Files that wait at a portal.
const FILES: u64 = 300;
/// Files that wait at a wiki, which takes its time for each.
const WIKI_FILES: u64 = 100;
/// Bytes of each.
const SIZE: usize = 500;
/// A session at the portal lasts so long.
const LIFE: Duration = Duration::from_secs(3600);

/// Closes `count` files while nothing of the service can be reached.
fn close_while_away(daemon: &Daemon, proxy: &Proxy, names: &[String]) {
    // Their names are asked for while the service is there.
    let files: Vec<File> = names.iter().map(|name| File::create(daemon.dir().join(name)).unwrap()).collect();
    proxy.add_where(|_| true, When::Always, Fault::DropBefore(End::Reset));
    for (mut file, number) in files.into_iter().zip(0..) {
        file.write_all(&text(SIZE, number)).unwrap();
        close(file).unwrap();
    }
    assert_eq!(daemon.entries(), names.len());
    until("a try in vain", || proxy.faults() > 0);
}

#[test]
fn three_hundred_files_that_wait_for_a_portal_cost_one_sign_in() {
    for generation in [Generation::G0, Generation::G3] {
        let office = Office::with(generation, |settings| {
            settings.chunk_bytes = CHUNK;
            settings.token_life_s = LIFE.as_secs();
        });
        let proxy = Proxy::start(office.portal.address(), |_| "any");
        let url = proxy.url(&office.portal.url()).trim_end_matches('/').to_owned();
        let remote = Remote { service: "onlyoffice", url, user: USER.to_owned(), password: PASSWORD.to_owned() };
        let daemon = Daemon::mount(&remote, &["--close", "local"]);
        let names: Vec<String> = (0..FILES).map(|number| format!("{number}.txt")).collect();
        close_while_away(&daemon, &proxy, &names);
        office.portal.advance(LIFE * 2);
        let sign_ins = || office.state().requests["sign_in"];
        let before = sign_ins();
        proxy.heal();
        until("all files to arrive", || daemon.entries() == 0);
        assert_eq!(sign_ins() - before, 1, "{generation:?}");
        let state = office.state();
        for (name, number) in names.iter().zip(0..) {
            let file = state.file(&format!("/My documents/{name}")).unwrap();
            assert_eq!((&file.sha256, file.versions), (&sha256(&text(SIZE, number)), 1), "{name}");
        }
        office.assert_clean();
        assert!(daemon.end().success());
    }
}

#[tokio::test]
async fn a_hundred_files_that_wait_for_a_wiki_cost_one_sign_in() {
    let wiki = Wiki::take(Which::Wide).await;
    let port: u16 = wiki.env("MW_PORT").parse().unwrap();
    let kind = |request: &super::support::proxy::Request| match request.argument("action").as_deref() {
        Some("login") => "login",
        _ => "other",
    };
    let proxy = Proxy::start(([127, 0, 0, 1], port).into(), kind);
    let direct = wiki.remote();
    let daemon = Daemon::mount(&Remote { url: proxy.url(&direct.url), ..direct }, &["--close", "local"]);
    let run = fastrand::u32(..);
    let names: Vec<String> = (0..WIKI_FILES).map(|number| format!("Expired-{run:x}-{number}.txt")).collect();
    close_while_away(&daemon, &proxy, &names);
    wiki.manage(&["expire-sessions"]);
    let before = proxy.count("login");
    proxy.heal();
    until("all files to arrive", || daemon.entries() == 0);
    assert_eq!(proxy.count("login") - before, 1);
    for name in &names {
        assert_eq!(wiki.versions(name).len(), 1, "{name}");
    }
    assert!(daemon.end().success());
    wiki.manage(&["clean", "--all"]);
}
