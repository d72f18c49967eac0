//! How long things live: sessions, chunks, tokens; what abort leaves; what a restart keeps.

use std::time::Duration;

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::{Generation, OnlyofficeConfig, PASSWORD, USER};
use uploadfs::portal::{Portal, PortalConfig, ServiceConfig};

use super::{ALL, C, Site, noise, sign_in};

const HOURS: u64 = 3600;

const GONE: &str = "Object reference not set to an instance of an object.";

fn pass(site: &Site, hours: u64) {
    site.portal.advance(Duration::from_secs(hours * HOURS));
}

#[test]
fn sessions_end_twelve_hours_after_their_last_chunk() {
    for generation in [Generation::G2, Generation::G3] {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        pass(&site, 11);
        site.put_numbered(&session, 1, &noise(C)).data(200);
        pass(&site, 11);
        // The session lives; the chunk will not.
        site.put_numbered(&session, 2, &noise(C)).data(200);
        pass(&site, 2);
        assert_eq!(site.finalize(&session).refusal(), "uploadSize != bytesTotal");
        pass(&site, 12);
        assert_eq!(site.finalize(&session).refusal(), GONE);
        assert_eq!(site.state().leaked_bytes, 2 * C as u64, "nobody removes its chunks");
        site.in_order();
    }
}

#[test]
fn old_sessions_live_as_long_as_the_portal() {
    for generation in [Generation::G0, Generation::G1] {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        site.put(&session, &noise(C)).data(200);
        pass(&site, 100);
        site.put(&session, &noise(C)).data(201);
    }
}

#[test]
fn abort_works_where_nothing_has_to_be_removed() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        let answer = site.abort(&session);
        assert_eq!(
            (answer.status, &answer.json()["success"], &answer.json()["message"]),
            (200, &json!(true), &json!(""))
        );
        assert_ne!(site.abort(&session).refusal(), "");
        assert_eq!((site.state().sessions.len(), site.state().leaked_bytes), (0, 0));
    }
}

#[test]
fn abort_fails_on_a_disk_that_has_chunks_and_leaves_them() {
    for generation in ALL {
        let site = Site::new(generation);
        let session = site.open("a.bin", 2 * C as i64);
        site.put(&session, &noise(C)).data(200);
        let answer = site.abort(&session);
        let leaks = generation >= Generation::G2;
        if leaks {
            assert!(answer.refusal().starts_with("Directory not empty : '"), "{}", answer.text());
        } else {
            assert_eq!(answer.json()["success"], true);
        }
        assert_eq!(site.state().sessions.len(), usize::from(leaks));
        assert_eq!(site.state().leaked_bytes, if leaks { C as u64 } else { 0 });
    }
    let site = Site::new(Generation::G3);
    site.portal.set(&json!({"storage": "s3"})).unwrap();
    let session = site.open("a.bin", 2 * C as i64);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    assert_eq!(site.abort(&session).json()["success"], true);
    assert_eq!((site.state().sessions.len(), site.state().leaked_bytes), (0, 0));
}

#[test]
fn tokens_live_a_year_and_end_with_a_sign_out() {
    for generation in ALL {
        let mut site = Site::new(generation);
        pass(&site, 24 * 364);
        site.get("/api/2.0/people/@self").response(200);
        pass(&site, 48);
        assert_eq!(site.get("/api/2.0/people/@self").status, 401);
        site.token = sign_in(site.address, USER, PASSWORD);
        site.get("/api/2.0/people/@self").response(200);
        site.call("POST", "/api/2.0/authentication/logout", json!({})).response(site.posted());
        assert_eq!(site.get("/api/2.0/people/@self").status, 401);
    }
}

/// A portal that is started again and again on one directory.
struct Restarted {
    folder: tempfile::TempDir,
    config: OnlyofficeConfig,
}

impl Restarted {
    fn new(generation: Generation) -> Restarted {
        let mut config = OnlyofficeConfig::new(generation);
        config.settings.chunk_bytes = C as u64;
        Restarted { folder: tempfile::tempdir().unwrap(), config }
    }

    fn start(&self, token: Option<String>) -> Site {
        let service = ServiceConfig::Onlyoffice(self.config.clone());
        let portal = Portal::start(PortalConfig::new(self.folder.path(), service)).unwrap();
        let address = portal.address();
        let token = token.unwrap_or_else(|| sign_in(address, USER, PASSWORD));
        let generation = self.config.version.generation();
        Site { portal, address, token, generation, _folder: tempfile::tempdir().unwrap() }
    }

    /// Stops it and starts it again, on another port. What a session's data said is moved there.
    fn again(&self, site: Site, session: &mut Value) -> Site {
        let (token, old) = (site.token.clone(), site.address);
        site.portal.stop();
        let site = self.start(Some(token));
        let location = session["location"].as_str().unwrap().replace(&old.to_string(), &site.address.to_string());
        session["location"] = json!(location);
        site
    }
}

#[test]
fn files_survive_a_restart_and_sessions_where_they_are_files() {
    for generation in ALL {
        let place = Restarted::new(generation);
        let site = place.start(None);
        let bytes = noise(2 * C + 1);
        let made = site.upload("a.bin", &bytes);
        site.call("POST", "/api/2.0/files/folder/1", json!({"title": "inner"})).response(site.posted());
        let mut session = site.open("b.bin", 2 * C as i64);
        site.put(&session, &bytes[..C]).data(200);
        let before = site.state();
        let site = place.again(site, &mut session);
        let after = site.state();
        assert_eq!((&after.files, &after.folders), (&before.files, &before.folders));
        assert_eq!(site.download(&made["id"]), bytes);
        let answer = site.put(&session, &bytes[C..2 * C]);
        if generation <= Generation::G1 {
            answer.data(201);
            assert_eq!(site.state().leaked_bytes, 0);
        } else {
            assert_eq!(answer.refusal(), GONE);
            assert_eq!(site.state().leaked_bytes, C as u64);
        }
    }
}

#[test]
fn sessions_in_redis_survive() {
    let mut place = Restarted::new(Generation::G3);
    place.config.settings.sessions_survive = true;
    let site = place.start(None);
    let mut session = site.open("b.bin", 2 * C as i64);
    site.put_numbered(&session, 1, &noise(C)).data(200);
    let site = place.again(site, &mut session);
    site.put_numbered(&session, 2, &noise(C)).data(200);
    site.finalize(&session).data(201);
    assert_eq!(site.state().leaked_bytes, 0);
}

#[test]
fn a_directory_has_one_portal() {
    let place = Restarted::new(Generation::G3);
    let site = place.start(None);
    let service = ServiceConfig::Onlyoffice(place.config.clone());
    let refused = Portal::start(PortalConfig::new(place.folder.path(), service)).unwrap_err();
    assert!(refused.to_string().contains("another portal uses this directory"));
    site.get("/api/2.0/people/@self").response(200);
}
