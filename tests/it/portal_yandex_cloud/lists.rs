//! The lists of both dialects: order, tokens, sizes, and what happens while somebody walks.

use serde_json::{Value, json};
use uploadfs::portal::yandex_cloud::FOLDER;

use super::{NATIVE, OPENAI, Site, assert_denied, assert_refused, encoded, ok, target};

/// Files, the newest first.
fn filled(site: &Site, count: usize) -> Vec<Value> {
    let mut ids: Vec<Value> = (0..count).map(|number| site.upload(&number.to_string(), b"abc")["id"].clone()).collect();
    ids.reverse();
    ids
}

#[test]
fn the_newest_comes_first_and_an_empty_page_last() {
    let site = Site::new();
    let list = format!("{NATIVE}?folderId={FOLDER}");
    assert_eq!(site.get(&list), json!({}));
    let ids = filled(&site, 5);
    let page = site.get(&list);
    let found: Vec<Value> = page["files"].as_array().unwrap().iter().map(|file| file["id"].clone()).collect();
    assert_eq!(found, ids);
    let token = page["nextPageToken"].as_str().unwrap();
    assert_eq!(site.get(&format!("{list}&pageToken={}", encoded(token))), json!({}));
    for (size, answers) in [("1", 6), ("2", 4), ("5", 2), ("1000", 2), ("0", 2)] {
        assert_eq!(site.walk(&format!("pageSize={size}")), (ids.clone(), answers), "pages of {size}");
    }
    site.change(json!({"told_max": 2}));
    assert_eq!(site.walk("pageSize=1000"), (ids.clone(), 4), "pages may be short");
    site.change(json!({"told_max": null, "page_size": 3}));
    assert_eq!(site.walk(""), (ids, 3));
    site.in_order();
}

#[test]
fn what_comes_and_goes_meanwhile_moves_nothing() {
    let site = Site::new();
    let ids = filled(&site, 4);
    let list = format!("{NATIVE}?folderId={FOLDER}&pageSize=2");
    let token = encoded(site.get(&list)["nextPageToken"].as_str().unwrap());
    site.upload("new", b"abc");
    for id in &ids[1..3] {
        ok(&site.ask("DELETE", &target(id)));
    }
    let rest = site.get(&format!("{list}&pageToken={token}"));
    assert_eq!((rest["files"].as_array().unwrap().len(), &rest["files"][0]["id"]), (1, &ids[3]));
}

#[test]
fn sizes_tokens_and_folders_have_rules() {
    let site = Site::new();
    for query in ["pageSize=1001", "pageSize=-1", "pageSize=x", "pageToken=x"] {
        assert_refused(&site.ask("GET", &format!("{NATIVE}?folderId={FOLDER}&{query}")), 400, 3);
        site.violated("page");
    }
    assert_refused(&site.ask("GET", NATIVE), 400, 3);
    site.violated("folderId");
    assert_refused(&site.ask("GET", &format!("{NATIVE}?folderId=b1gother")), 400, 3);
    site.in_order();
}

#[test]
fn the_other_list_goes_both_ways() {
    let site = Site::new();
    let ids = filled(&site, 5);
    let all = site.get(OPENAI);
    assert_eq!((&all["object"], &all["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!((&all["first_id"], &all["last_id"]), (&ids[0], &ids[4]));
    let walk = |query: &str| {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = site.get(&format!("{OPENAI}?{query}{after}"));
            found.extend(page["data"].as_array().unwrap().iter().map(|file| file["id"].clone()));
            if page["has_more"] == false {
                return found;
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
    };
    let oldest: Vec<Value> = ids.iter().rev().cloned().collect();
    assert_eq!((walk("limit=2"), walk("limit=2&order=asc")), (ids.clone(), oldest));
    site.change(json!({"told_max": 1}));
    assert_eq!(walk("limit=10000"), ids);
    site.in_order();
    for query in ["limit=0", "limit=10001", "order=up"] {
        assert_denied(&site.ask("GET", &format!("{OPENAI}?{query}")), 400, "must be");
        assert_eq!(site.portal.violations().len(), 1);
        site.portal.clear_violations();
    }
    assert_denied(&site.ask("GET", &format!("{OPENAI}?after=fvtgone")), 400, "no file fvtgone");
    site.in_order();
}

#[test]
fn one_purpose_can_be_listed() {
    let site = Site::new();
    let native = site.upload("a", b"abc")["id"].clone();
    let batch = super::form(&[super::HOUR[0], super::HOUR[1], ("purpose", "batch")], "b", b"abc");
    let batch = ok(&site.send(&site.posting(&batch)))["id"].clone();
    for (purpose, expected) in [("batch", vec![batch]), ("assistants", vec![native]), ("vision", vec![])] {
        let page = site.get(&format!("{OPENAI}?purpose={purpose}"));
        let found: Vec<Value> = page["data"].as_array().unwrap().iter().map(|file| file["id"].clone()).collect();
        assert_eq!(found, expected, "{purpose}");
    }
}
