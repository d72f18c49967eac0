//! Who is let in, and what strangers are told.

use serde_json::json;
use uploadfs::portal::onlyoffice::{API_KEY, Account, Generation, OnlyofficeConfig, PASSWORD, USER, Version};

use super::client::{Answer, Request};
use super::{ALL, MY, Site};
use crate::support::program::until;

const ME: &str = "/api/2.0/people/@self";

fn get(site: &Site, target: &str, header: (&str, &str)) -> Answer {
    Request::new("GET", target).header(header.0, header.1).send(site.address).unwrap()
}

#[test]
fn a_token_may_come_in_several_ways() {
    for generation in ALL {
        let site = Site::new(generation);
        let token = &site.token;
        let bearer = format!("Bearer {token}");
        let cookie = format!("x=y; asc_auth_key={token}");
        for header in [("Authorization", token.as_str()), ("Authorization", &bearer), ("Cookie", &cookie)] {
            assert_eq!(get(&site, ME, header).response(200)["email"], USER, "{header:?}");
        }
        // user@portal.test:portal
        let basic = ("Authorization", "Basic dXNlckBwb3J0YWwudGVzdDpwb3J0YWw=");
        assert_eq!(get(&site, ME, basic).status, 200);
        let query = Request::new("GET", &format!("{ME}?asc_auth_key={token}")).send(site.address).unwrap();
        assert_eq!(query.status, if site.is_docspace() { 401 } else { 200 });
        site.in_order();
    }
}

#[test]
fn signing_in_tells_when_it_ends() {
    for generation in ALL {
        let site = Site::new(generation);
        let body = json!({"userName": USER, "password": PASSWORD});
        let answer = Request::new("POST", "/api/2.0/authentication").json(&body).send(site.address).unwrap();
        assert!(answer.response(site.posted())["expires"].as_str().unwrap().contains('T'));
        let wrong = json!({"userName": USER, "password": "wrong"});
        let answer = Request::new("POST", "/api/2.0/authentication").json(&wrong).send(site.address).unwrap();
        let status = if site.is_docspace() { 401 } else { 500 };
        assert_eq!(answer.error(status), "User authentication failed");
    }
}

#[test]
fn too_many_wrong_passwords_lock_the_account_for_a_moment() {
    let site = Site::new(Generation::G3);
    let try_with = |password: &str| {
        let body = json!({"userName": USER, "password": password});
        Request::new("POST", "/api/2.0/authentication").json(&body).send(site.address).unwrap().status
    };
    let statuses: Vec<u16> = (0..6).map(|_| try_with("wrong")).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 403]);
    assert_eq!(try_with(PASSWORD), 403);
    site.portal.advance(std::time::Duration::from_secs(61));
    assert_eq!(try_with(PASSWORD), 200);
}

#[test]
fn a_second_factor_is_asked_for() {
    let mut config = OnlyofficeConfig::new(Generation::G3);
    config.accounts.push(Account { second_factor: Some("123456".into()), ..Account::new("two@portal.test", "two") });
    let site = Site::with(config);
    let body = json!({"userName": "two@portal.test", "password": "two"});
    let first = Request::new("POST", "/api/2.0/authentication").json(&body).send(site.address).unwrap();
    assert_eq!((&first.response(200)["tfa"], first.response(200).get("token")), (&json!(true), None));
    let wrong = Request::new("POST", "/api/2.0/authentication/000000").json(&body).send(site.address).unwrap();
    wrong.error(401);
    let second = Request::new("POST", "/api/2.0/authentication/123456").json(&body).send(site.address).unwrap();
    assert!(second.response(200)["token"].is_string());
}

#[test]
fn keys_came_with_3_1_and_want_their_prefix() {
    let site = Site::new(Generation::G3);
    let key = format!("Bearer {API_KEY}");
    assert_eq!(get(&site, ME, ("Authorization", &key)).status, 200);
    site.in_order();
    assert_eq!(get(&site, ME, ("Authorization", API_KEY)).status, 401);
    site.violated("without Bearer");
    assert_eq!(get(&site, ME, ("Cookie", &format!("asc_auth_key={API_KEY}"))).status, 401);
    site.violated("cookie");
    let site = Site::with(OnlyofficeConfig::of_version(Version::new(3, 0, 4)));
    assert_eq!(get(&site, ME, ("Authorization", &key)).status, 401);
}

#[test]
fn a_key_may_do_what_its_scopes_say() {
    let mut config = OnlyofficeConfig::new(Generation::G3);
    config.accounts[0].scopes = vec!["files:read".into()];
    let mut site = Site::with(config);
    let token = std::mem::replace(&mut site.token, format!("Bearer {API_KEY}"));
    site.get("/api/2.0/files/@my").response(200);
    let body = json!({"title": "a"});
    let answer = site.call("POST", &format!("/api/2.0/files/folder/{MY}"), body.clone());
    assert_eq!((answer.status, answer.body.len()), (403, 0));
    assert_eq!(site.get("/api/2.0/files/rooms").status, 403);
    site.token = token;
    site.call("POST", &format!("/api/2.0/files/folder/{MY}"), body).response(200);
}

#[test]
fn strangers_are_told_401_or_403() {
    // The status of each for a stranger.
    let asked = ["/api/2.0/files/@my", ME, "/api/2.0/files/1", "/api/2.0/files/folder/1", "/api/2.0/files/file/100"];
    for (version, expected) in [
        (Version::new(12, 7, 1), [401, 401, 401, 401, 401]),
        (Version::new(2, 0, 3), [401, 401, 401, 401, 401]),
        (Version::new(2, 5, 1), [401, 401, 403, 403, 403]),
        (Version::new(3, 6, 1), [401, 401, 403, 403, 403]),
        (Version::new(3, 7, 2), [401, 401, 403, 401, 403]),
    ] {
        let mut site = Site::with(OnlyofficeConfig::of_version(version));
        site.upload("a.bin", b"abc");
        site.token = "expired".into();
        let answers = asked.map(|target| site.get(target));
        assert_eq!(answers.each_ref().map(|answer| answer.status), expected, "{version}");
        let body = if site.is_docspace() { "" } else { "Unauthorized" };
        assert_eq!(String::from_utf8_lossy(&answers[0].body), body);
        let operations = site.get("/api/2.0/files/fileops");
        match version.generation() {
            Generation::G0 | Generation::G1 => assert_eq!(operations.status, 401),
            Generation::G2 | Generation::G3 => assert_eq!(operations.response(200), json!([])),
        }
        let rename = site.call("PUT", "/api/2.0/files/file/100", json!({"title": "b"}));
        assert_eq!(rename.status, expected[4]);
        let create =
            site.call("POST", "/api/2.0/files/1/upload/create_session", json!({"fileName": "a", "fileSize": 1}));
        assert_eq!(create.status, if site.is_docspace() { 401 } else { 403 });
        site.in_order();
    }
}

#[test]
fn the_limiter_is_there_when_it_is_switched_on() {
    let site = Site::new(Generation::G3);
    site.portal.set(&json!({"rate_limit": {"per_minute": 2}})).unwrap();
    site.get(ME).response(200);
    site.get(ME).response(200);
    let refused = site.get(ME);
    assert_eq!((refused.status, refused.body.len()), (429, 0));
    assert_eq!(refused.header("x-ratelimit-limit"), Some("2"));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    site.portal.advance(std::time::Duration::from_secs(61));
    site.get(ME).response(200);
    site.portal.set(&json!({"rate_limit": null})).unwrap();
    site.get(ME).response(200);
    site.in_order();
}

#[test]
fn more_than_15_writes_at_once_are_noted_even_without_a_limiter() {
    let site = Site::new(Generation::G2);
    let session = site.open("a.bin", 20 * super::C as i64);
    let held: Vec<_> =
        (1..=16).map(|number| site.numbered(&session, number, &super::noise(super::C)).begin(site.address)).collect();
    until("sixteen writes at once", || !site.portal.violations().is_empty());
    for one in held {
        one.finish().unwrap().data(200);
    }
    site.violated("16 writing requests at once");
}
