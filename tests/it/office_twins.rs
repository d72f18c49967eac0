//! What must never be taken for something else on an ONLYOFFICE portal: files of other people with almost the same title,
//! twins, a rename or a move whose answer was lost, a refusal that means "signed out". Each test asks the portal for its
//! truth.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use uploadfs::error::{Kind, Result};
use uploadfs::path::RemotePath;
use uploadfs::portal::FileState;
use uploadfs::portal::faults::{Fault, How, Injection, Rule, When};
use uploadfs::portal::onlyoffice::{Collation, Generation, Language, PASSWORD, USER};
use uploadfs::service::layer::stack;
use uploadfs::service::onlyoffice::Onlyoffice;
use uploadfs::service::{Node, Part, Progress, Receipt, Service, Spec};

use super::portal::sign_in;
use super::support::office::{CHUNK, GENERATIONS, Office};
use super::support::raw::Request;
use super::support::upload::{any, content, names, text};

fn path(text: &str) -> RemotePath {
    RemotePath::parse(text).unwrap()
}

fn lost(when: When) -> Fault {
    Fault::Drop { when, how: How::Close }
}

/// The titles in "My documents" with their sizes, sorted.
fn files(office: &Office) -> Vec<(String, u64)> {
    let here = |file: &FileState| Some((file.path.strip_prefix("/My documents/")?.to_owned(), file.bytes));
    let mut files: Vec<(String, u64)> = office.state().files.iter().filter_map(here).collect();
    files.sort();
    files
}

fn thrown_away(office: &Office) -> usize {
    office.state().files.iter().filter(|file| file.path.starts_with("/Trash")).count()
}

/// Somebody else at the portal, with a browser.
struct Browser {
    address: std::net::SocketAddr,
    token: String,
}

impl Browser {
    fn of(office: &Office) -> Browser {
        let address = office.portal.address();
        Browser { address, token: sign_in(address, USER, PASSWORD) }
    }

    fn call(&self, method: &str, target: &str, body: &Value) -> Value {
        let request = Request::new(method, target).header("Authorization", &self.token).json(body);
        request.send(self.address).unwrap().json()
    }

    fn id_of(&self, office: &Office, title: &str) -> String {
        let state = office.state();
        state.file(&format!("/My documents/{title}")).unwrap_or_else(|| panic!("no {title}")).id.clone()
    }

    fn rename(&self, office: &Office, title: &str, to: &str) {
        let id = self.id_of(office, title);
        self.call("PUT", &format!("/api/2.0/files/file/{id}"), &json!({"title": to, "lastVersion": 0}));
    }
}

/// An upload as the machine does it: after a doubt the portal is asked, and what it says is done.
async fn upload(service: &Onlyoffice, name: &str, bytes: &Bytes) -> Result<Node> {
    let path = path(name);
    for _ in 0..40 {
        let error = match any(service, &path, bytes).await {
            Ok(node) => return Ok(node),
            Err(error) if error.in_doubt() => error,
            Err(error) => return Err(error),
        };
        let spec = Spec { path: path.clone(), size: Some(bytes.len() as u64), sha1: None, replaces: None };
        loop {
            match service.probe(&spec, None).await? {
                Progress::Finished(node) => return Ok(node),
                Progress::Unknown => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                Progress::Gone => break,
                Progress::Holds(_) => return Err(error),
            }
        }
    }
    panic!("no end");
}

#[tokio::test]
async fn a_numbered_copy_of_somebody_else_stays_what_it_is() {
    for generation in GENERATIONS {
        for when in [When::Before, When::After] {
            let office = Office::small(generation);
            let service = office.client();
            any(&*service, &path("a (1).txt"), &text(50, 1)).await.unwrap();
            office.portal.add_fault(Rule::once("chunk", lost(when)));
            upload(&service, "a.txt", &text(50, 2)).await.unwrap();
            assert_eq!(
                files(&office),
                [("a (1).txt".to_owned(), 50), ("a.txt".to_owned(), 50)],
                "{generation:?} {when:?}"
            );
            assert_eq!(content(&*service, &path("a (1).txt")).await.unwrap(), text(50, 1));
            assert_eq!(content(&*service, &path("a.txt")).await.unwrap(), text(50, 2));
            assert_eq!(thrown_away(&office), 0, "{generation:?} {when:?}");
        }
    }
}

#[tokio::test]
async fn what_a_database_takes_for_one_is_two() {
    for collation in [Collation::Mysql, Collation::Postgres] {
        for generation in GENERATIONS {
            for (one, other) in
                [("Report.txt", "report.txt"), ("strasse.txt", "straße.txt"), ("ΛΟΓΟΣ.txt", "Λόγος.txt")]
            {
                let office = Office::with(generation, |settings| {
                    settings.chunk_bytes = CHUNK;
                    settings.collation = collation;
                });
                let service = office.client();
                for round in 1..4 {
                    any(&*service, &path(one), &text(10 + round, 1)).await.unwrap();
                    any(&*service, &path(other), &text(20 + round, 2)).await.unwrap();
                }
                let mut expected = [(one.to_owned(), 13), (other.to_owned(), 23)];
                expected.sort();
                assert_eq!(files(&office), expected, "{generation:?} {collation:?}");
                assert_eq!(thrown_away(&office), 0, "{generation:?} {collation:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_user_who_has_uploads_replace_files_loses_none() {
    for generation in [Generation::G0, Generation::G1] {
        let office = Office::small(generation);
        let browser = Browser::of(&office);
        browser.call("PUT", "/api/2.0/files/updateifexist", &json!({"set": true}));
        let service = office.client();
        any(&*service, &path("Report.txt"), &text(10, 1)).await.unwrap();
        any(&*service, &path("report.txt"), &text(20, 2)).await.unwrap();
        assert_eq!(files(&office), [("Report.txt".to_owned(), 10), ("report.txt".to_owned(), 20)], "{generation:?}");
    }
}

#[tokio::test]
async fn a_title_that_somebody_took_meanwhile_is_not_thrown_away() {
    let office = Office::small(Generation::G3);
    let (service, browser) = (office.client(), Browser::of(&office));
    any(&*service, &path("old.pdf"), &text(10, 1)).await.unwrap();
    any(&*service, &path("report.pdf"), &text(20, 2)).await.unwrap();
    let spec = Spec { path: path("report.pdf"), size: Some(2 * CHUNK), sha1: None, replaces: None };
    // An older file gets almost the same title between the look at the folder and the opening of the session.
    names(&*service, &RemotePath::root()).await.unwrap();
    browser.rename(&office, "old.pdf", "Report.PDF");
    let begun = service.begin(&spec, None).await;
    let told = match begun {
        Err(error) => Err(error),
        Ok(begun) => {
            let bytes = text(2 * CHUNK as usize, 3);
            let parts = super::support::upload::cut(&bytes, &[0..CHUNK, CHUNK..2 * CHUNK]);
            let mut receipts: Vec<Receipt> = Vec::new();
            for part in parts {
                let part: Part = part;
                receipts.push(service.put(&spec, &begun.token, part).await.unwrap());
            }
            service.finish(&spec, &begun.token, &receipts).await
        }
    };
    // Whether the portal took the older one is its business; that nothing is lost is ours.
    let state = office.state();
    let older =
        state.files.iter().find(|file| file.path == "/My documents/Report.PDF" || file.path.ends_with("Report.pdf"));
    assert!(older.is_some(), "{state:?}");
    assert_eq!(thrown_away(&office), 0, "{told:?}");
}

#[tokio::test]
async fn a_rename_whose_answer_is_lost_has_happened_once() {
    for generation in GENERATIONS {
        for (kind, from, to) in
            [("rename", "a.txt", "b.txt"), ("move", "a.txt", "d/a.txt"), ("move", "a.txt", "d/b.txt")]
        {
            for when in [When::Before, When::After] {
                let office = Office::small(generation);
                let service: Arc<dyn Service> = stack(office.client()).service;
                service.mkdir(&path("d")).await.unwrap();
                let node = any(&*service, &path(from), &text(10, 1)).await.unwrap();
                any(&*service, &path(to), &text(20, 2)).await.unwrap();
                office.portal.add_fault(Rule::once(kind, lost(when)));
                let renamed = service.rename(&path(from), &node, &path(to)).await;
                // It was done, or it was not; never half, and never said to be what it is not.
                let there = content(&*service, &path(to)).await.unwrap();
                match renamed {
                    Ok(_) => {
                        assert_eq!(there, text(10, 1), "{generation:?} {kind} {when:?}");
                        assert_eq!(service.stat(&path(from)).await.unwrap_err().kind, Kind::NotFound);
                    }
                    Err(error) => {
                        assert!(kind == "move" && when == When::Before, "{generation:?} {kind} {when:?} {error}");
                        assert_eq!(there, text(20, 2), "{generation:?}: {error}");
                        assert_eq!(content(&*service, &path(from)).await.unwrap(), text(10, 1), "{error}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_removal_whose_answer_is_lost_is_looked_at() {
    for generation in GENERATIONS {
        for (kind, when) in [("delete", When::After), ("operations", When::Before), ("operations", When::After)] {
            let office = Office::with(generation, |settings| {
                settings.chunk_bytes = CHUNK;
                settings.operation_ms = 60;
            });
            let service = office.client();
            let node = any(&*service, &path("a.txt"), &text(10, 1)).await.unwrap();
            office.portal.add_fault(Rule::once(kind, lost(when)));
            service
                .remove(&path("a.txt"), &node)
                .await
                .unwrap_or_else(|error| panic!("{generation:?} {kind}: {error}"));
            assert_eq!(files(&office), [], "{generation:?} {kind}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_nobody_can_explain_is_no_absence() {
    let office = Office::small(Generation::G3);
    let service = office.client();
    let bytes = text(10, 1);
    any(&*service, &path("a.txt"), &text(5, 2)).await.unwrap();
    // The token is taken for expired while the file is read back, and whether it is cannot be asked.
    office.portal.add_fault(Rule::once("file_info", Fault::Inject { what: Injection::ExpiredToken }));
    office.portal.add_fault(Rule::once("list", lost(When::Before)));
    upload(&service, "b.txt", &bytes).await.unwrap();
    let state = office.state();
    assert_eq!(state.file("/My documents/b.txt").map(|file| file.versions), Some(1), "{state:?}");
}

#[tokio::test]
async fn a_number_that_cannot_be_taken_back_at_once_is_taken_back_later() {
    let office = Office::small(Generation::G3);
    let service = office.client();
    any(&*service, &path("Report.txt"), &text(10, 1)).await.unwrap();
    let refused = Fault::Answer { when: When::Before, status: 429, retry_after_s: None, body: String::new() };
    office.portal.add_fault(Rule { times: 2, ..Rule::once("rename", refused) });
    upload(&service, "report.txt", &text(20, 2)).await.unwrap();
    assert_eq!(files(&office), [("Report.txt".to_owned(), 10), ("report.txt".to_owned(), 20)]);
    assert_eq!(thrown_away(&office), 0);
}

#[tokio::test]
async fn another_extension_is_one_version() {
    for generation in GENERATIONS {
        let office = Office::small(generation);
        let client = office.client();
        client.connect().await.unwrap();
        let service: Arc<dyn Service> = stack(client).service;
        let bytes = text(3 * CHUNK as usize + 5, 1);
        let node = any(&*service, &path("x.tmp"), &bytes).await.unwrap();
        let refused = Fault::Answer { when: When::Before, status: 429, retry_after_s: None, body: String::new() };
        office.portal.add_fault(Rule::once("delete", refused));
        let renamed = service.rename(&path("x.tmp"), &node, &path("x.md")).await;
        let state = office.state();
        assert_eq!(state.file("/My documents/x.md").map(|file| file.versions), Some(1), "{generation:?} {renamed:?}");
        assert_eq!(content(&*service, &path("x.md")).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_lost_session_begins_again_in_every_language() {
    for generation in GENERATIONS {
        let office = Office::with(generation, |settings| {
            settings.chunk_bytes = CHUNK;
            settings.language = Language::De;
        });
        let service = office.client();
        let bytes = text(2 * CHUNK as usize, 1);
        let spec = Spec { path: path("a.bin"), size: Some(2 * CHUNK), sha1: None, replaces: None };
        let begun = service.begin(&spec, None).await.unwrap();
        office.portal.add_fault(Rule::once("chunk", Fault::Inject { what: Injection::LostSession }));
        let part = super::support::upload::cut(&bytes, &[0..CHUNK, CHUNK..2 * CHUNK]).remove(0);
        let error = service.put(&spec, &begun.token, part).await.unwrap_err();
        // What the machine takes as "begin again".
        assert_eq!(error.kind, Kind::NotFound, "{generation:?}: {error}");
    }
}

#[tokio::test]
async fn twins_can_be_told_apart_and_each_is_itself() {
    let office = Office::small(Generation::G2);
    let (service, browser) = (office.client(), Browser::of(&office));
    any(&*service, &path("one.txt"), &text(10, 1)).await.unwrap();
    any(&*service, &path("two.txt"), &text(20, 2)).await.unwrap();
    browser.rename(&office, "two.txt", "one.txt");
    let twin = format!("one (id {}).txt", {
        let state = office.state();
        state.files.iter().find(|file| file.bytes == 20).unwrap().id.clone()
    });
    let service2 = office.client();
    let mut listed = names(&*service2, &RemotePath::root()).await.unwrap();
    listed.sort();
    assert_eq!(listed, [twin.clone(), "one.txt".to_owned()]);
    any(&*service2, &path(&twin), &text(30, 3)).await.unwrap();
    assert_eq!(content(&*service2, &path("one.txt")).await.unwrap(), text(10, 1));
    assert_eq!(content(&*service2, &path(&twin)).await.unwrap(), text(30, 3));
    let node = service2.stat(&path("one.txt")).await.unwrap();
    service2.remove(&path("one.txt"), &node).await.unwrap();
    assert_eq!(files(&office), [("one.txt".to_owned(), 30)]);
}
