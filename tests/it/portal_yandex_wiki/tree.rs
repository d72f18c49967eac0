//! The tree: everything below a page, flat, in pages of results that may be short.

use serde_json::{Value, json};

use super::{Site, assert_refused, encoded, ok};

/// Every slug that a walk through the tree finds, and how many answers it took.
fn walk(site: &Site, target: &str) -> (Vec<String>, usize) {
    let (mut slugs, mut answers) = (Vec::new(), 0);
    let mut cursor = Some(String::new());
    while let Some(at) = cursor {
        let page = site.get(&format!("{target}&cursor={at}"));
        for found in page["results"].as_array().unwrap() {
            assert_eq!(found.as_object().unwrap().len(), 2, "id and slug, and nothing else");
            slugs.push(found["slug"].as_str().unwrap().to_owned());
        }
        answers += 1;
        cursor = page["next_cursor"].as_str().map(str::to_owned);
    }
    (slugs, answers)
}

#[test]
fn the_whole_subtree_is_flat() {
    let site = Site::new();
    for slug in ["root/a", "root/a/b", "root/c/d/e", "rooted"] {
        site.make(slug);
    }
    let (below, _) = walk(&site, "/v1/pages/descendants?slug=root");
    assert_eq!(below, ["root/a", "root/a/b", "root/c/d/e"]);
    assert_eq!(walk(&site, &format!("/v1/pages/{}/descendants?", site.root)).0, below);
    let (with_self, _) = walk(&site, "/v1/pages/descendants?slug=root/a&include_self=true");
    assert_eq!(with_self, ["root/a", "root/a/b"]);
    let (all, _) = walk(&site, "/v1/pages/descendants?slug=");
    assert_eq!(all, ["root", "root/a", "root/a/b", "root/c/d/e", "rooted", "users/user"]);
    site.in_order();
}

#[test]
fn a_walk_needs_a_slug_that_is_there() {
    let site = Site::new();
    assert_refused(&site.ask("GET", "/v1/pages/descendants"), 400, "VALIDATION_ERROR");
    site.violated("slug");
    assert_refused(&site.ask("GET", "/v1/pages/descendants?slug=nowhere"), 404, "NOT_FOUND");
    assert_refused(&site.ask("GET", "/v1/pages/4711/descendants"), 404, "NOT_FOUND");
    site.in_order();
    for query in ["page_size=0", "page_size=101", "cursor=x", "actuality=old"] {
        assert_refused(&site.ask("GET", &format!("/v1/pages/descendants?slug=&{query}")), 400, "VALIDATION_ERROR");
    }
}

#[test]
fn pages_of_results_may_be_short() {
    let site = Site::new();
    let expected: Vec<String> = (10..30).map(|number| format!("root/{number}")).collect();
    for slug in &expected {
        site.make(slug);
    }
    let first = site.get("/v1/pages/descendants?slug=root&page_size=8");
    assert!(first["results"].as_array().unwrap().len() < 8 && first["next_cursor"].is_string());
    assert_eq!(walk(&site, "/v1/pages/descendants?slug=root&page_size=8"), (expected.clone(), 4));
    site.portal.set(&json!({"short_pages": false})).unwrap();
    assert_eq!(walk(&site, "/v1/pages/descendants?slug=root&page_size=8"), (expected, 3));
}

#[test]
fn pages_out_of_date_are_asked_for_by_themselves() {
    let site = Site::new();
    let [new, old] = ["root/new", "root/Старое"].map(|slug| site.make(slug));
    ok(&site.post(&format!("/v1/pages/{old}"), json!({"actuality": "obsolete"})));
    let ids = |actuality: &str| -> Vec<Value> {
        let page = site.get(&format!("/v1/pages/descendants?slug={}&actuality={actuality}", encoded("Root")));
        page["results"].as_array().unwrap().iter().map(|found| found["id"].clone()).collect()
    };
    assert_eq!((ids("actual"), ids("obsolete")), (vec![json!(new)], vec![json!(old)]));
    site.in_order();
}
