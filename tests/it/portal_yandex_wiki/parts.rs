//! Parts: their requests, sizes and numbers, in any order, at once, and again.

use serde_json::json;
use uploadfs::portal::yandex_wiki::{OrganisationKind, YandexWikiConfig};

use super::{MAX, MIN, Site, assert_refused, noise, ok};

#[test]
fn a_part_is_bytes_with_a_number_and_a_length() {
    let site = Site::new();
    let session = site.open("a", 3);
    for number in [0, -1, 10_001] {
        let answer = site.put(&session, number, b"abc");
        assert_refused(&answer, 400, "VALIDATION_ERROR");
        assert!(answer.json()["details"]["query"]["part_number"].is_array(), "{}", answer.text());
        site.violated("part_number");
    }
    for query in ["", "?part_number=x", "?number=1"] {
        let target = format!("/v1/upload_sessions/{session}/upload_part{query}");
        let request = site.request("PUT", &target).header("Content-Type", "application/octet-stream");
        assert_refused(&site.send(&request.body("abc")), 400, "VALIDATION_ERROR");
        site.violated("part_number");
    }
    let target = format!("/v1/upload_sessions/{session}/upload_part?part_number=1");
    let bare = site.request("PUT", &target).body("abc");
    for request in [bare.clone(), bare.clone().header("Content-Type", "text/plain")] {
        assert_refused(&site.send(&request), 400, "BAD_REQUEST");
        site.violated("application/octet-stream");
    }
    let chunked = site.part(&session, 1, b"abc").without_length();
    assert_refused(&site.send(&chunked), 411, "LENGTH_REQUIRED");
    site.violated("Content-Length");
    assert_eq!(site.state().sessions[0].bytes_held, 0);
    site.portal.set(&json!({"any_content_type": true, "chunked_parts": true})).unwrap();
    ok(&site.send(&bare));
    ok(&site.send(&chunked));
    site.in_order();
}

#[test]
fn a_part_has_a_largest_size() {
    let site = Site::new();
    let session = site.open("a", 2 * MAX);
    assert_refused(&site.put(&session, 1, &noise(MAX + 1)), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("a part of 3201 bytes, at most 3200");
    assert_refused(&site.put(&session, 1, b""), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("an empty part");
    ok(&site.put(&session, 1, &noise(MAX)));
    ok(&site.put(&session, 10_000, &noise(MAX)));
    assert_eq!(site.state().sessions[0].bytes_held, 2 * MAX as u64);
}

#[test]
fn the_limits_are_those_that_fit_both_readings() {
    let site = Site::with(YandexWikiConfig::new(OrganisationKind::Yandex360));
    let session = site.open("a.bin", (5 << 20) + 16_000_000);
    let large = vec![7; 16_000_000];
    ok(&site.put(&session, 2, &large));
    assert_refused(&site.put(&session, 2, &[large, vec![7]].concat()), 400, "UPLOAD_SESSION_WRONG_PARTS");
    ok(&site.put(&session, 1, &noise((5 << 20) - 1)));
    assert_refused(&site.finish(&session), 400, "UPLOAD_SESSION_WRONG_PARTS");
    ok(&site.put(&session, 1, &noise(5 << 20)));
    ok(&site.finish(&session));
    assert_eq!(site.attach(site.root, &[&session]).json()["results"][0]["size"], "20.26");
    site.open("b.bin", 160_000_000);
    assert_refused(&site.create("c.bin", 200_000_001), 413, "FILE_TOO_LARGE");
}

#[test]
fn parts_come_in_any_order() {
    let (site, bytes) = (Site::new(), noise(2 * MIN + 7));
    let session = site.open("a", bytes.len());
    for number in [3, 1, 2] {
        let at = (number - 1) * MIN;
        ok(&site.put(&session, number as i64, &bytes[at..bytes.len().min(at + MIN)]));
    }
    ok(&site.finish(&session));
    let made = ok(&site.attach(site.root, &[&session]))["results"][0].clone();
    assert_eq!(site.ask("GET", &format!("{}/download", site.target(&made))).body, bytes);
    site.in_order();
}

#[test]
fn a_number_that_comes_again_counts() {
    let site = Site::new();
    let session = site.open("a", MIN + 3);
    ok(&site.put(&session, 1, &noise(MIN + 1)));
    ok(&site.put(&session, 2, b"xyz"));
    ok(&site.put(&session, 1, &noise(MIN)));
    assert_eq!(site.state().sessions[0].bytes_held, MIN as u64 + 3);
    ok(&site.finish(&session));
    ok(&site.attach(site.root, &[&session]));
    assert_eq!(site.file("a").bytes, MIN as u64 + 3);
    site.in_order();
}

#[test]
fn parts_come_at_once() {
    let (site, bytes) = (Site::new(), noise(8 * MIN));
    let session = site.open("a", bytes.len());
    let held: Vec<_> = (1..)
        .zip(bytes.chunks(MIN))
        .map(|(number, part)| site.part(&session, number, part).begin(site.address))
        .collect();
    // All of them are on the way before the first one ends, and the first that came is the last to end.
    for held in held.into_iter().rev() {
        assert_eq!(held.finish().unwrap().status, 200);
    }
    // The same number twice at once: whatever ends last is what counts.
    let twice = [b"a", b"b"].map(|fill| site.part(&session, 8, &fill.repeat(MIN)).begin(site.address));
    let [first, second] = twice;
    assert_eq!((second.finish().unwrap().status, first.finish().unwrap().status), (200, 200));
    ok(&site.finish(&session));
    let made = ok(&site.attach(site.root, &[&session]))["results"][0].clone();
    let expected = [&bytes[..7 * MIN], &b"a".repeat(MIN)].concat();
    assert_eq!(site.ask("GET", &format!("{}/download", site.target(&made))).body, expected);
    site.in_order();
}

#[test]
fn small_parts_and_gaps_are_found_out_at_the_end() {
    let site = Site::new();
    let none = site.open("a", 3);
    assert_refused(&site.finish(&none), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("there are no parts");
    let small = site.filled("a", 2 * MIN - 1, &[MIN - 1, MIN]);
    assert_refused(&site.finish(&small), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("part 1 has 999 bytes");
    let gap = site.open("a", 2 * MIN);
    for number in [1, 3] {
        ok(&site.put(&gap, number, &noise(MIN)));
    }
    assert_refused(&site.finish(&gap), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("2 parts, the last of which is 3");
    assert_eq!(site.status(&gap), "in_progress", "what is wrong can be put right");
    site.portal.set(&json!({"gaps": true})).unwrap();
    ok(&site.finish(&gap));
    site.portal.set(&json!({"undersized_at": "part"})).unwrap();
    let early = site.filled("a", 2 * MIN, &[MIN - 1]);
    assert_refused(&site.put(&early, 2, &noise(MIN)), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("part 1 has 999 bytes");
}

#[test]
fn half_a_part_is_none() {
    let site = Site::new();
    let session = site.filled("a", MIN, &[MIN]);
    site.part(&session, 1, &noise(MIN - 1)).send_half(site.address, 5);
    assert_eq!(site.state().sessions[0].bytes_held, MIN as u64);
    ok(&site.finish(&session));
}

#[test]
fn a_part_that_arrives_after_the_end_is_refused() {
    let site = Site::new();
    let session = site.filled("a", MIN, &[MIN]);
    let late = site.part(&session, 2, &noise(MIN)).begin(site.address);
    ok(&site.finish(&session));
    assert_eq!(late.finish().unwrap().status, 409);
    ok(&site.attach(site.root, &[&session]));
    assert_eq!(site.file("a").bytes, MIN as u64);
}
