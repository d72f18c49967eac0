//! Sessions: what opens one, what it says, how it ends, and which states allow what.

use serde_json::{Value, json};

use super::{FILE_MAX, MIN, Site, assert_refused, noise, ok};

#[test]
fn the_sequence_that_was_seen_live() {
    let site = Site::new();
    let opened = ok(&site.create("note.txt", 30));
    assert_eq!((&opened["file_name"], &opened["file_size"]), (&json!("note.txt"), &json!(30)));
    assert_eq!((&opened["storage_type"], &opened["finished_at"]), (&json!("s3"), &Value::Null));
    assert!(opened["user"]["identity"]["cloud_uid"].is_string() && opened["user"]["username"] == "user");
    let id = opened["session_id"].as_str().unwrap();
    assert!(id.len() == 36 && id.as_bytes()[14] == b'4', "a UUID of version 4: {id}");
    let seen = site.get(&format!("/v1/upload_sessions/{id}"));
    assert_eq!((&seen["status"], &seen["finished_at"]), (&json!("in_progress"), &Value::Null));
    let after_part = ok(&site.put(id, 1, &noise(30)));
    assert_eq!((&after_part["session_id"], &after_part["finished_at"]), (&json!(id), &Value::Null));
    let finished = ok(&site.finish(id));
    assert!(finished["status"] == "finished" && finished["finished_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(site.status(id), "finished");
    assert_eq!(ok(&site.attach(site.root, &[id]))["results"].as_array().unwrap().len(), 1);
    assert_eq!(site.status(id), "used");
    site.in_order();
}

#[test]
fn a_session_says_not_started_where_it_is_told_to() {
    let site = Site::set(json!({"begins_not_started": true, "storage_type": "mds"}));
    let opened = ok(&site.create("a", 3));
    assert_eq!((&opened["status"], &opened["storage_type"]), (&json!("not_started"), &json!("mds")));
    let id = opened["session_id"].as_str().unwrap();
    assert_eq!(ok(&site.put(id, 1, b"abc"))["status"], "in_progress");
}

#[test]
fn name_and_size_are_wanted() {
    let site = Site::new();
    for (body, code) in [
        (json!({}), "value_error.missing"),
        (json!({"file_name": "a"}), "value_error.missing"),
        (json!({"file_size": 3}), "value_error.missing"),
        (json!({"file_name": null, "file_size": 3}), "value_error.missing"),
        (json!({"file_name": 7, "file_size": 3}), "type_error.str"),
        (json!({"file_name": "a", "file_size": "3"}), "type_error.integer"),
        (json!({"file_name": "a", "file_size": 3.5}), "type_error.integer"),
        (json!({"file_name": "a", "file_size": -1}), "value_error.number.not_ge"),
        (json!({"file_name": "a", "file_size": 0}), "value_error.number.not_gt"),
        (json!({"file_name": "", "file_size": 3}), "value_error"),
        (json!({"file_name": "a/b", "file_size": 3}), "value_error"),
        (json!({"file_name": "a\n", "file_size": 3}), "value_error"),
        (json!({"file_name": "x".repeat(256), "file_size": 3}), "value_error"),
    ] {
        let answer = site.post("/v1/upload_sessions", body.clone());
        assert_refused(&answer, 400, "VALIDATION_ERROR");
        assert!(answer.text().contains(&format!("\"{code}\"")), "{body}: {}", answer.text());
        match code {
            // Nobody knows whether there are empty files: who wants to know has to try.
            "value_error.number.not_gt" => site.in_order(),
            _ => site.violated("Validation failed"),
        }
    }
    assert_eq!(site.state().sessions, []);
    site.portal.set(&json!({"any_file_name": true, "file_name_chars_max": 300})).unwrap();
    site.open(&format!("a/{}", "x".repeat(256)), 3);
}

#[test]
fn two_hundred_megabytes_are_the_end() {
    let site = Site::new();
    site.open("a", FILE_MAX);
    assert_refused(&site.create("a", FILE_MAX + 1), 413, "FILE_TOO_LARGE");
    site.violated("FILE_TOO_LARGE");
    for (step, finish, attach) in [("finish", 413, 0), ("attach", 200, 413), ("never", 200, 200)] {
        let site = Site::set(json!({"oversize_at": step, "part_bytes_max": FILE_MAX + 1}));
        let session = site.filled("a", FILE_MAX + 1, &[FILE_MAX + 1]);
        assert_eq!(site.finish(&session).status, finish, "{step}");
        if finish == 200 {
            assert_eq!(site.attach(site.root, &[&session]).status, attach, "{step}");
        }
    }
}

#[test]
fn an_abort_takes_the_bytes_and_ends_everything() {
    let site = Site::new();
    for finish in [false, true] {
        let session = site.filled("a", 3, &[3]);
        if finish {
            ok(&site.finish(&session));
        }
        let abort = format!("/v1/upload_sessions/{session}/abort");
        assert_eq!(ok(&site.ask("POST", &abort))["status"], "aborted");
        assert_eq!((site.status(&session).as_str(), site.state().sessions.len()), ("aborted", 0));
        assert_refused(&site.put(&session, 1, b"abc"), 409, "UPLOAD_SESSION_WRONG_STATUS");
        assert_refused(&site.finish(&session), 409, "UPLOAD_SESSION_WRONG_STATUS");
        assert_refused(&site.attach(site.root, &[&session]), 409, "UPLOAD_SESSION_WRONG_STATUS");
        assert_refused(&site.ask("POST", &abort), 409, "UPLOAD_SESSION_WRONG_STATUS");
    }
    site.in_order();
}

#[test]
fn abort_all_ends_every_session_of_the_user_and_is_noted() {
    let site = Site::new();
    let sessions = ["a", "b"].map(|name| site.open(name, 3));
    let finished = site.finished("c", b"abc");
    let answer = site.ask("POST", "/v1/upload_sessions/abort_active_uploads");
    assert_eq!(ok(&answer), json!({"status": "ok"}));
    assert!(sessions.iter().all(|session| site.status(session) == "aborted"));
    assert_eq!(site.status(&finished), "finished");
    site.violated("abort-all was called: 2 sessions");
}

#[test]
fn a_session_that_is_not_there() {
    let site = Site::new();
    let nowhere = "00000000-0000-4000-8000-000000000000";
    for answer in [
        site.ask("GET", &format!("/v1/upload_sessions/{nowhere}")),
        site.put(nowhere, 1, b"abc"),
        site.finish(nowhere),
        site.ask("POST", &format!("/v1/upload_sessions/{nowhere}/abort")),
        site.attach(site.root, &[nowhere]),
    ] {
        assert_refused(&answer, 404, "NOT_FOUND");
    }
    // There is no list of sessions.
    assert_refused(&site.ask("GET", "/v1/upload_sessions"), 405, "METHOD_NOT_ALLOWED");
}

#[test]
fn what_is_finished_takes_no_parts_and_no_second_finish() {
    let site = Site::new();
    let session = site.finished("a", b"abc");
    assert_refused(&site.put(&session, 1, b"abc"), 409, "UPLOAD_SESSION_WRONG_STATUS");
    site.violated("a part for a session that is finished");
    assert_refused(&site.finish(&session), 409, "UPLOAD_SESSION_WRONG_STATUS");
    site.violated("finished twice");
    site.portal.set(&json!({"wrong_state_is_conflict": false})).unwrap();
    assert_refused(&site.finish(&session), 400, "UPLOAD_SESSION_WRONG_STATUS");
    site.portal.set(&json!({"second_finish": "same"})).unwrap();
    assert_eq!(ok(&site.finish(&session))["status"], "finished");
}

#[test]
fn the_declared_size_is_held() {
    // The setting, what is declared, the statuses of finish and of attach.
    for (settings, declared, finish, attach) in [
        (json!({}), MIN, 200, 200),
        (json!({}), MIN + 1, 400, 409),
        (json!({}), MIN - 1, 400, 409),
        (json!({"size": "under_ok"}), MIN + 1, 200, 200),
        (json!({"size": "under_ok"}), MIN - 1, 400, 409),
        (json!({"size": "lenient"}), MIN - 1, 200, 200),
        (json!({"size_at": "attach"}), MIN + 1, 200, 400),
        (json!({"size_at": "attach", "size": "under_ok"}), MIN + 1, 200, 200),
    ] {
        let site = Site::set(settings.clone());
        let session = site.filled("a", declared, &[MIN]);
        assert_eq!(site.finish(&session).status, finish, "{settings} {declared}");
        assert_eq!(site.attach(site.root, &[&session]).status, attach, "{settings} {declared}");
        let files = site.state().files;
        assert!(files.iter().all(|file| file.bytes == MIN as u64) && files.len() == usize::from(attach == 200));
    }
    let site = Site::set(json!({"size_at": "part"}));
    let session = site.filled("a", MIN + 1, &[MIN]);
    assert_refused(&site.put(&session, 2, b"ab"), 400, "UPLOAD_SESSION_WRONG_PARTS");
    site.violated("more than the 1001 bytes");
    ok(&site.put(&session, 2, b"a"));
}

#[test]
fn a_file_of_no_bytes_is_uploaded_as_the_setting_says() {
    for (empty_files, with_part, without) in [("one_part", 200, 400), ("no_part", 400, 200), ("either", 200, 200)] {
        let site = Site::set(json!({"empty_files": empty_files}));
        let bare = site.open("bare", 0);
        assert_eq!(site.finish(&bare).status, without, "{empty_files}");
        let session = site.open("part", 0);
        assert_eq!(site.put(&session, 1, b"").status, with_part, "{empty_files}");
        if with_part == 200 {
            ok(&site.finish(&session));
            ok(&site.attach(site.root, &[&session]));
            assert_eq!(site.file("part").bytes, 0);
        }
        if without == 200 {
            assert_eq!(ok(&site.attach(site.root, &[&bare]))["results"][0]["size"], "0.00");
            assert_eq!(site.file("bare").bytes, 0);
        }
    }
}

#[test]
fn sessions_hold_the_space_that_they_declare() {
    let site = Site::set(json!({"total_bytes": 100, "sessions_max": 3}));
    let first = site.open("a", 60);
    assert_refused(&site.create("b", 41), 403, "QUOTA_EXCEEDED");
    ok(&site.ask("POST", &format!("/v1/upload_sessions/{first}/abort")));
    site.upload("b", &noise(41));
    assert_refused(&site.create("c", 60), 403, "QUOTA_EXCEEDED");
    for _ in 0..3 {
        site.open("d", 1);
    }
    assert_refused(&site.create("e", 1), 403, "QUOTA_EXCEEDED");
    site.in_order();

    let site = Site::set(json!({"total_bytes": 100, "sessions_reserve": false}));
    let [one, two] = ["a", "b"].map(|name| site.finished(name, &noise(60)));
    ok(&site.attach(site.root, &[&one]));
    assert_refused(&site.attach(site.root, &[&two]), 403, "QUOTA_EXCEEDED");
}
