//! Listings, information, downloads, and uploads in one request.

use serde_json::{Value, json};
use uploadfs::portal::onlyoffice::{Generation, OnlyofficeConfig, Version};

use super::client::{Answer, form};
use super::{ALL, C, MY, Site, noise};

fn titles(listed: &Value) -> Vec<&str> {
    let entries = |what: &str| listed[what].as_array().unwrap().iter().map(|entry| entry["title"].as_str().unwrap());
    entries("folders").chain(entries("files")).collect()
}

#[test]
fn pages_are_offsets_in_folders_and_files() {
    for generation in ALL {
        let site = Site::new(generation);
        for title in ["z", "y"] {
            site.call("POST", &format!("/api/2.0/files/folder/{MY}"), json!({"title": title}));
        }
        for title in ["c.bin", "a.bin", "B.bin"] {
            site.upload(title, b"abc");
        }
        let all = ["y", "z", "a.bin", "B.bin", "c.bin"];
        let mut found = Vec::new();
        for start in [0, 2, 4] {
            let target = format!(
                "/api/2.0/files/@my?startIndex={start}&count=2&sortBy=AZ&sortOrder=ascending&withSubFolders=false"
            );
            let listed = site.get(&target).response(200);
            assert_eq!((&listed["total"], &listed["startIndex"]), (&json!(5), &json!(start)));
            found.extend(titles(&listed).into_iter().map(str::to_owned));
        }
        assert_eq!(found, all);
        let listed = site.get("/api/2.0/files/1").response(200);
        assert_eq!((&listed["current"]["id"], &listed["current"]["filesCount"]), (&json!(MY), &json!(3)));
        let parts = if site.is_docspace() { json!([{"id": 1, "title": "My documents"}]) } else { json!([1]) };
        assert_eq!(listed["pathParts"], parts);
        site.in_order();
    }
}

#[test]
fn a_page_of_more_than_100_is_an_error_since_3_2() {
    for (version, status) in [(Version::new(3, 1, 1), 200), (Version::new(3, 2, 0), 400), (Version::new(12, 7, 1), 200)]
    {
        let site = Site::with(OnlyofficeConfig::of_version(version));
        assert_eq!(site.get("/api/2.0/files/@my?count=100").status, 200);
        site.in_order();
        assert_eq!(site.get("/api/2.0/files/@my?count=101").status, status, "{version}");
        if status == 400 {
            site.violated("more than 100");
        }
    }
}

#[test]
fn what_is_missing_has_many_codes() {
    let asked = ["/api/2.0/files/4711", "/api/2.0/files/folder/4711", "/api/2.0/files/file/4711"];
    for (version, expected) in [
        (Version::new(12, 7, 1), [403, 403, 403]),
        (Version::new(3, 6, 1), [404, 403, 404]),
        (Version::new(3, 7, 2), [404, 404, 404]),
    ] {
        let site = Site::with(OnlyofficeConfig::of_version(version));
        assert_eq!(asked.map(|target| site.get(target).status), expected, "{version}");
        site.in_order();
    }
}

#[test]
fn a_file_is_told_as_its_family_tells_it() {
    for generation in ALL {
        let site = Site::new(generation);
        let made = site.upload("a.Bin", &noise(C));
        let file = site.get(&format!("/api/2.0/files/file/{}", made["id"])).response(200);
        let told = ["pureContentLength", "contentLength", "fileExst", "version", "fileEntryType", "rootFolderType"];
        let expected = [json!(C), json!("1000 bytes"), json!(".bin"), json!(1), json!(2), json!(5)];
        assert_eq!(told.map(|name| file[name].clone()), expected);
        assert!(file["updated"].as_str().unwrap().ends_with(".0000000Z"), "{}", file["updated"]);
        assert_eq!(file["security"]["Edit"].is_boolean(), site.is_docspace());
        site.portal.set(&json!({"utc_offset_min": 180})).unwrap();
        let file = site.get(&format!("/api/2.0/files/file/{}", made["id"])).response(200);
        assert!(file["updated"].as_str().unwrap().ends_with(".0000000+03:00"), "{}", file["updated"]);
    }
}

#[test]
fn the_roots_are_a_list_of_contents() {
    let site = Site::new(Generation::G3);
    let roots = site.get("/api/2.0/files/@root").response(200);
    let titles: Vec<_> =
        roots.as_array().unwrap().iter().map(|root| root["current"]["title"].as_str().unwrap()).collect();
    assert!(titles.contains(&"My documents") && titles.contains(&"Trash"), "{titles:?}");
    assert_eq!(site.get("/api/2.0/files/rooms").response(200)["total"], 0);
    assert_eq!(site.get("/api/2.0/files/@trash").response(200)["current"]["rootFolderType"], 3);
    assert_eq!(site.get("/api/2.0/files/@nowhere").status, 404);
}

/// A download with this range.
fn ranged(site: &Site, made: &Value, range: &str) -> Answer {
    let target = format!("/filehandler.ashx?action=download&fileid={}", made["id"]);
    site.send(&site.request("GET", &target).header("Range", range))
}

#[test]
fn ranges_have_a_beginning() {
    let bytes = noise(2 * C);
    for generation in ALL {
        let site = Site::new(generation);
        let made = site.upload("a.bin", &bytes);
        for (range, expected) in [("bytes=5-9", 5..10), ("bytes=1990-", 1990..2000), ("bytes=1990-5000", 1990..2000)] {
            let answer = ranged(&site, &made, range);
            assert_eq!((answer.status, answer.body.as_slice()), (206, &bytes[expected.clone()]), "{range}");
            let told = format!("bytes {}-{}/2000", expected.start, expected.end - 1);
            assert_eq!(answer.header("content-range"), Some(told.as_str()));
        }
        let whole = ranged(&site, &made, "bytes=0-");
        assert_eq!((whole.status, whole.body.as_slice()), (200, bytes.as_slice()));
        assert_eq!(whole.header("content-range").is_some(), !site.is_docspace());
        assert_eq!(whole.header("accept-ranges"), Some("bytes"));
        site.in_order();
        for range in ["bytes=-5", "bytes=2000-", "bytes=0-1,4-5"] {
            assert_eq!(ranged(&site, &made, range).status, 400, "{range}");
            site.violated("the range");
        }
    }
}

#[test]
fn downloads_want_a_file_and_somebody() {
    let mut site = Site::new(Generation::G3);
    let made = site.upload("a.bin", b"abc");
    assert_eq!(site.get("/filehandler.ashx?action=download&fileid=4711").status, 404);
    assert_eq!(site.get(&format!("/filehandler.ashx?action=nonsense&fileid={}", made["id"])).status, 400);
    site.token = "expired".into();
    assert_eq!(site.get(&format!("/filehandler.ashx?action=download&fileid={}", made["id"])).status, 403);
}

#[test]
fn an_object_store_is_another_host() {
    let bytes = noise(C);
    for generation in ALL {
        let site = Site::new(generation);
        let made = site.upload("a.bin", &bytes);
        site.portal.set(&json!({"storage": "s3"})).unwrap();
        let target = format!("/filehandler.ashx?action=download&fileid={}", made["id"]);
        let moved = site.get(&target);
        let location = moved.header("location").unwrap();
        let address = site.portal.storage_address();
        assert!(moved.status == 302 && address != site.address);
        let stored = location.strip_prefix(&format!("http://{address}")).unwrap();
        let get = |target: &str| super::Request::new("GET", target);
        let answer = get(stored).send(address).unwrap();
        assert_eq!((answer.status, answer.body), (200, bytes.clone()));
        let part = get(stored).header("Range", "bytes=-7").send(address).unwrap();
        assert_eq!((part.status, part.body), (206, bytes[C - 7..].to_vec()));
        assert_eq!(get(stored).header("Range", "bytes=9999-").send(address).unwrap().status, 416);
        assert_eq!(get(&stored.replace("-1?", "-9?")).send(address).unwrap().status, 403);
        site.in_order();
        let refused = site.request("GET", stored).send(address).unwrap();
        assert!(refused.status == 400 && refused.text().contains("<Code>InvalidArgument</Code>"));
        site.violated("a credential was sent to the storage port");
        site.portal.advance(std::time::Duration::from_secs(3700));
        assert_eq!(get(stored).send(address).unwrap().status, 403);
    }
}

#[test]
fn one_request_carries_a_file_of_unknown_length() {
    for generation in ALL {
        let site = Site::new(generation);
        let (content_type, body) = form(b"abc");
        for what in ["upload", "insert"] {
            let target = format!("/api/2.0/files/{MY}/{what}?title=a.TXT");
            let request = site.request("POST", &target).header("Content-Type", &content_type).body(body.clone());
            let made = site.send(&request.without_length()).response(site.posted());
            assert_eq!((&made["title"], &made["pureContentLength"]), (&json!("a.txt"), &json!(3)));
        }
        // The rule of titles is that of the sessions.
        let numbers = generation >= Generation::G2;
        assert_eq!(site.state().files.len(), if numbers { 1 } else { 2 });
        let file = site.state().files[0].id.clone();
        let update = site.request("PUT", &format!("/api/2.0/files/{file}/update")).body("defg");
        let updated = site.send(&update.header("Content-Type", "application/octet-stream")).response(200);
        let version = if numbers { 3 } else { 2 };
        assert_eq!((&updated["version"], &updated["pureContentLength"]), (&json!(version), &json!(4)));
        let empty = site.request("PUT", &format!("/api/2.0/files/file/{file}/saveediting")).body("");
        assert_eq!(site.send(&empty).status, 500);
        site.in_order();
    }
}
