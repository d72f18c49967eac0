//! The rules of a memory service, broken one by one: each breach is an error, is recorded, and makes no file.

use serde_json::json;

use super::*;
use crate::service::{Flow, PartRules, Sha1Digest};

fn path(text: &str) -> RemotePath {
    RemotePath::parse(text).unwrap()
}

fn spec(name: &str, size: Option<u64>) -> Spec {
    Spec { path: path(name), size, sha1: None, replaces: None }
}

/// A part of the file in which every byte is its own position.
fn part(index: u32, range: Range<u64>) -> Part {
    let bytes: Vec<u8> = range.clone().map(|at| at as u8).collect();
    Part { index, payload: Payload::from_bytes(bytes.into(), range.start), last: false }
}

fn last(index: u32, range: Range<u64>) -> Part {
    Part { last: true, ..part(index, range) }
}

fn sha1(size: u64) -> Sha1Digest {
    Sha1Digest::of(&(0..size).map(|at| at as u8).collect::<Vec<u8>>())
}

/// Parts of 4 to 8 bytes, even ones, at most four of them.
fn small(rules: &mut PartRules) {
    *rules = PartRules { size: 4, min: 4, max: 8, multiple: 2, count_max: 4, ..*rules };
    rules.first_max = rules.first_max.map(|_| 6);
}

fn parallel() -> Memory {
    Memory::new(MemoryConfig::streamed_parallel().with_rules(small))
}

fn sequential() -> Memory {
    Memory::new(MemoryConfig::streamed_sequential().with_rules(small))
}

fn declared() -> Memory {
    Memory::new(MemoryConfig::declared_parallel().with_rules(small))
}

async fn begin(memory: &Memory) -> SessionToken {
    memory.begin(&spec("f", None), None).await.unwrap().token
}

/// Whether exactly one rule was broken, and no file came of it.
fn assert_one_violation(memory: &Memory, about: &str) {
    let violations = memory.violations();
    assert!(violations.len() == 1 && violations[0].contains(about), "{about:?} in {violations:?}");
    assert_eq!(memory.files(), []);
}

#[tokio::test]
async fn parts_in_any_order_make_the_file() {
    let memory = parallel();
    let token = begin(&memory).await;
    let mut receipts = Vec::new();
    for part in [last(2, 14..15), part(0, 0..8), part(1, 8..14)] {
        receipts.push(memory.put(&spec("f", None), &token, part).await.unwrap());
    }
    assert_eq!(memory.open_sessions(), [OpenSession { path: path("f"), parts: 3, bytes: 15 }]);
    receipts.sort_by_key(|receipt| receipt.index);
    let node = memory.finish(&spec("f", Some(15)), &token, &receipts).await.unwrap();
    assert_eq!((node.size, node.sha1), (15, Some(sha1(15))));
    assert_eq!(memory.read(&path("f"), &node, 6..10).await.unwrap().as_ref(), [6, 7, 8, 9]);
    assert_eq!(memory.content(&path("f")).unwrap().len(), 15);
    assert_eq!(memory.file(&path("f")).unwrap().versions, 1);
    let record = memory.record();
    assert_eq!((record.begun, record.finished, record.aborted), (1, 1, 0));
    assert_eq!(memory.requests(Operation::Put), 3);
    assert_eq!(memory.violations(), [""; 0]);
}

#[tokio::test]
async fn each_rule_about_a_part_is_held() {
    let cases = [
        (part(0, 0..2), "only the last part may have less"),
        (part(0, 0..0), "only the last part may have less"),
        (part(0, 0..5), "not a multiple"),
        (part(0, 0..10), "at most 8 bytes"),
        (part(4, 0..4), "at most 4 parts"),
    ];
    for (part, about) in cases {
        let memory = parallel();
        let token = begin(&memory).await;
        memory.put(&spec("f", None), &token, part).await.unwrap_err();
        assert_one_violation(&memory, about);
        assert_eq!(memory.open_sessions().len(), 1, "the session survives a refused part");
    }
}

#[tokio::test]
async fn nothing_comes_behind_the_last_part() {
    let memory = parallel();
    let token = begin(&memory).await;
    memory.put(&spec("f", None), &token, last(1, 4..5)).await.unwrap();
    memory.put(&spec("f", None), &token, part(2, 8..12)).await.unwrap_err();
    assert_one_violation(&memory, "behind the last part");
}

#[tokio::test]
async fn a_replaced_part_needs_its_new_receipt() {
    let memory = parallel();
    let token = begin(&memory).await;
    let old = memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap();
    let new = memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap();
    memory.finish(&spec("f", Some(4)), &token, &[old]).await.unwrap_err();
    assert_one_violation(&memory, "receipts");
    memory.finish(&spec("f", Some(4)), &token, &[new]).await.unwrap();
}

#[tokio::test]
async fn finish_wants_each_receipt_once_and_in_order() {
    let memory = parallel();
    let token = begin(&memory).await;
    let mut receipts = Vec::new();
    for part in [part(0, 0..4), part(1, 4..8)] {
        receipts.push(memory.put(&spec("f", None), &token, part).await.unwrap());
    }
    let (a, b) = (receipts[0].clone(), receipts[1].clone());
    let forged = Receipt { state: json!({ "seal": 99 }), ..b.clone() };
    let wrong = [vec![], vec![a.clone()], vec![b.clone(), a.clone()], vec![a.clone(), a.clone()], vec![a, forged]];
    for (count, wrong) in wrong.iter().enumerate() {
        memory.finish(&spec("f", Some(8)), &token, wrong).await.unwrap_err();
        assert_eq!(memory.violations().len(), count + 1);
    }
    memory.finish(&spec("f", Some(8)), &token, &receipts).await.unwrap();
}

#[tokio::test]
async fn a_gap_an_overlap_and_a_wrong_size_make_no_file() {
    for (second, size, about) in [(6..10, 10, "not at 4"), (2..8, 8, "not at 4"), (4..8, 9, "the file should have 9")] {
        let memory = parallel();
        let token = begin(&memory).await;
        let mut receipts = Vec::new();
        for part in [part(0, 0..4), part(1, second)] {
            receipts.push(memory.put(&spec("f", None), &token, part).await.unwrap());
        }
        memory.finish(&spec("f", Some(size)), &token, &receipts).await.unwrap_err();
        assert_one_violation(&memory, about);
    }
}

#[tokio::test]
async fn an_ended_session_takes_nothing_more() {
    let memory = parallel();
    let token = begin(&memory).await;
    let receipt = memory.put(&spec("f", None), &token, last(0, 0..3)).await.unwrap();
    memory.finish(&spec("f", Some(3)), &token, std::slice::from_ref(&receipt)).await.unwrap();
    memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap_err();
    memory.finish(&spec("f", Some(3)), &token, &[receipt]).await.unwrap_err();
    memory.abort(&token).await.unwrap();
    assert_eq!(memory.violations(), ["put: the session is finished", "finish: the session is finished"]);
    assert_eq!(memory.file(&path("f")).unwrap().versions, 1);
}

#[tokio::test]
async fn an_aborted_session_is_gone_and_stays_gone() {
    let memory = parallel();
    let token = begin(&memory).await;
    memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap();
    memory.abort(&token).await.unwrap();
    memory.abort(&token).await.unwrap();
    assert_eq!((memory.open_sessions(), memory.record().aborted), (vec![], 1));
    let known = Spec { sha1: Some(sha1(4)), ..spec("f", Some(4)) };
    assert!(matches!(memory.probe(&known, Some((&token, &[]))).await.unwrap(), Progress::Gone));
    assert_eq!(memory.violations(), [""; 0]);
    memory.put(&spec("f", None), &token, part(1, 4..8)).await.unwrap_err();
    assert_one_violation(&memory, "given up");
}

#[tokio::test]
async fn a_token_of_another_process_is_unknown() {
    let (memory, other) = (parallel(), parallel());
    let token = begin(&other).await;
    begin(&memory).await;
    let error = memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert_one_violation(&memory, "no such session");
}

#[tokio::test]
async fn an_expired_session_is_nobodys_fault() {
    let memory = parallel();
    let token = begin(&memory).await;
    memory.expire_sessions();
    let error = memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap_err();
    assert_eq!((error.kind, error.op), (Kind::NotFound, "put"));
    assert_eq!(memory.violations(), [""; 0]);
    assert!(matches!(memory.probe(&spec("f", None), Some((&token, &[]))).await.unwrap(), Progress::Gone));
}

#[tokio::test]
async fn in_order_means_in_order() {
    let memory = sequential();
    let begun = memory.begin(&spec("f", None), Some(part(0, 0..6))).await.unwrap();
    memory.put(&spec("f", None), &begun.token, part(2, 10..14)).await.unwrap_err();
    memory.put(&spec("f", None), &begun.token, part(1, 10..14)).await.unwrap_err();
    memory.put(&spec("f", None), &begun.token, part(0, 0..6)).await.unwrap_err();
    assert_eq!(memory.violations().len(), 3);
    let second = memory.put(&spec("f", None), &begun.token, last(1, 6..7)).await.unwrap();
    let receipts = [begun.receipt.unwrap(), second];
    let done = Spec { sha1: Some(sha1(7)), ..spec("g", Some(7)) };
    assert_eq!(memory.finish(&done, &begun.token, &receipts).await.unwrap().name, "g");
}

#[tokio::test]
async fn an_empty_last_part_destroys_the_upload() {
    let memory = sequential();
    let begun = memory.begin(&spec("f", None), Some(part(0, 0..6))).await.unwrap();
    memory.put(&spec("f", None), &begun.token, last(1, 6..6)).await.unwrap_err();
    assert_one_violation(&memory, "empty last part");
    assert_eq!(memory.open_sessions(), []);
    assert_eq!(memory.record().aborted, 1);
}

#[tokio::test]
async fn a_file_that_was_not_ended_cannot_be_finished() {
    let memory = sequential();
    let begun = memory.begin(&spec("f", None), Some(part(0, 0..6))).await.unwrap();
    let done = Spec { sha1: Some(sha1(6)), ..spec("f", Some(6)) };
    memory.finish(&done, &begun.token, &[begun.receipt.unwrap()]).await.unwrap_err();
    assert_one_violation(&memory, "before the last part");
}

#[tokio::test]
async fn the_checksum_is_asked_for_and_compared() {
    for (given, about) in [(None, "without the SHA-1"), (Some(sha1(5)), "the SHA-1 is")] {
        let memory = sequential();
        let begun = memory.begin(&spec("f", None), Some(last(0, 0..6))).await.unwrap();
        let done = Spec { sha1: given, ..spec("f", Some(6)) };
        memory.finish(&done, &begun.token, &[begun.receipt.unwrap()]).await.unwrap_err();
        assert_one_violation(&memory, about);
        let whole = Spec { sha1: Some(sha1(5)), ..spec("f", Some(6)) };
        memory.put_whole(&whole, part(0, 0..6).payload).await.unwrap_err();
        let known_at_the_end = spec("f", Some(6));
        memory.put_whole(&known_at_the_end, part(0, 0..6).payload).await.unwrap();
    }
}

#[tokio::test]
async fn begin_is_held_to_its_rules() {
    let memory = declared();
    memory.begin(&spec("f", None), None).await.unwrap_err();
    assert_one_violation(&memory, "exact size");
    let memory = sequential();
    memory.begin(&spec("f", None), None).await.unwrap_err();
    assert_one_violation(&memory, "first part");
    memory.begin(&spec("f", None), Some(part(0, 0..8))).await.unwrap_err();
    assert_eq!(memory.open_sessions(), [], "no session without its first part");
    let memory = Memory::new(MemoryConfig::whole());
    memory.begin(&spec("f", Some(1)), None).await.unwrap_err();
    assert_one_violation(&memory, "no sessions");
}

#[tokio::test]
async fn a_declared_size_is_a_promise() {
    let memory = declared();
    let token = memory.begin(&spec("f", Some(6)), None).await.unwrap().token;
    for wrong in [part(1, 4..8), part(1, 2..6), last(0, 0..4)] {
        memory.put(&spec("f", Some(6)), &token, wrong).await.unwrap_err();
    }
    assert_eq!(memory.violations().len(), 3);
    let mut receipts = Vec::new();
    for part in [part(0, 0..4), last(1, 4..6)] {
        receipts.push(memory.put(&spec("f", Some(6)), &token, part).await.unwrap());
    }
    memory.finish(&spec("other", Some(6)), &token, &receipts).await.unwrap_err();
    assert!(memory.violations()[3].contains("the name was fixed"));
    memory.finish(&spec("f", Some(6)), &token, &receipts).await.unwrap();
}

#[tokio::test]
async fn more_at_once_than_announced_is_noticed() {
    let config = MemoryConfig::streamed_parallel().with_rules(small);
    let memory = Memory::new(config.with_rules(|rules| rules.flow = Flow::Parallel(1)));
    let token = begin(&memory).await;
    let number = memory.state().number(&token);
    let admitted = memory.state().session(number).unwrap().admit(&part(0, 0..4)).is_ok();
    assert!(admitted);
    memory.put(&spec("f", None), &token, part(1, 4..8)).await.unwrap_err();
    assert_one_violation(&memory, "under way at once");
    memory.finish(&spec("f", Some(0)), &token, &[]).await.unwrap_err();
    assert!(memory.violations()[1].contains("under way"));
}

#[tokio::test]
async fn a_sender_that_goes_away_leaves_room() {
    struct Never;
    #[async_trait]
    impl crate::service::Content for Never {
        async fn read(&self, _at: u64, _max: u64) -> Result<Bytes> {
            std::future::pending().await
        }
        fn sha1_to(&self, _end: u64) -> Option<Sha1Digest> {
            None
        }
    }
    let memory = sequential();
    let begun = memory.begin(&spec("f", None), Some(part(0, 0..6))).await.unwrap();
    let stuck = Payload::new(std::sync::Arc::new(Never), 6..10);
    let to = spec("f", None);
    let put = memory.put(&to, &begun.token, Part { index: 1, payload: stuck, last: false });
    assert!(futures_util::FutureExt::now_or_never(put).is_none());
    memory.put(&spec("f", None), &begun.token, part(1, 6..10)).await.unwrap();
    assert_eq!(memory.violations(), [""; 0]);
}

#[tokio::test]
async fn whole_uploads_are_held_to_their_rules() {
    let mut config = MemoryConfig::whole();
    config.capability.policy = SizePolicy::Whole { max: 8 };
    let memory = Memory::new(config);
    memory.put_whole(&spec("f", Some(9)), part(0, 0..9).payload).await.unwrap_err();
    memory.put_whole(&spec("f", Some(0)), part(0, 0..0).payload).await.unwrap_err();
    memory.put_whole(&spec("f", Some(4)), part(0, 1..5).payload).await.unwrap_err();
    memory.put_whole(&spec("f", None), part(0, 0..4).payload).await.unwrap_err();
    assert_eq!((memory.violations().len(), memory.files().len()), (4, 0));
    memory.put_whole(&spec("f", Some(8)), part(0, 0..8).payload).await.unwrap();
}

#[tokio::test]
async fn a_probe_tells_the_truth() {
    let memory = parallel();
    let before = Spec { sha1: Some(sha1(4)), ..spec("f", Some(4)) };
    assert!(matches!(memory.probe(&before, None).await.unwrap(), Progress::Gone));
    let token = begin(&memory).await;
    let receipt = memory.put(&spec("f", None), &token, part(0, 0..4)).await.unwrap();
    let Progress::Holds(held) = memory.probe(&spec("f", None), Some((&token, &[]))).await.unwrap() else {
        panic!("the session is open");
    };
    assert_eq!(held, std::slice::from_ref(&receipt));
    let node = memory.finish(&before, &token, &held).await.unwrap();
    for session in [Some((&token, &held[..])), None] {
        let Progress::Finished(found) = memory.probe(&before, session).await.unwrap() else {
            panic!("the file is there");
        };
        assert_eq!(found, node);
    }
    let again = Spec { replaces: Some(node), ..before };
    assert!(matches!(memory.probe(&again, None).await.unwrap(), Progress::Gone), "the old version is not the new");
}

#[tokio::test]
async fn what_is_not_kept_can_be_counted_but_not_read() {
    for (keep, digest) in [(Keep::Digest, Some(sha1(5))), (Keep::Size, None)] {
        let memory = Memory::new(MemoryConfig::friendly().keeping(keep));
        let node = memory.put_whole(&spec("f", Some(5)), part(0, 0..5).payload).await.unwrap();
        assert_eq!((node.size, node.sha1), (5, digest));
        assert_eq!(memory.read(&path("f"), &node, 0..5).await.unwrap_err().kind, Kind::Unsupported);
        assert_eq!(memory.content(&path("f")), None);
    }
}

#[tokio::test]
async fn reading_is_exact() {
    let memory = Memory::new(MemoryConfig::friendly());
    let old = memory.put_whole(&spec("f", Some(5)), part(0, 0..5).payload).await.unwrap();
    assert_eq!(memory.read(&path("f"), &old, 4..6).await.unwrap_err().kind, Kind::Invalid);
    memory.put_whole(&spec("f", Some(5)), part(0, 0..5).payload).await.unwrap();
    assert_eq!(memory.read(&path("f"), &old, 0..5).await.unwrap_err().kind, Kind::Conflict);
    assert_eq!(memory.violations(), [""; 0], "an outdated reader breaks no rule");
}
