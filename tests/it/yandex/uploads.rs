//! Uploads: a session of the exact size, parts of the exact sizes, one end, one attachment.

use super::*;

#[tokio::test]
async fn a_file_takes_as_many_parts_as_it_has_and_is_attached_once() {
    for size in [1, P - 1, P, P + 1, 3 * P, 5 * P + 17] {
        let yandex = Yandex::small();
        let (client, bytes) = (yandex.client(), text(size, 1));
        let node = put(&client, "a.bin", &bytes).await;
        assert_eq!((node.name.as_str(), node.size, node.kind), ("a.bin", size as u64, NodeKind::File));
        for (kind, expected) in
            [("create_session", 1), ("part", size.div_ceil(P)), ("finish", 1), ("attach", 1), ("abort", 0)]
        {
            assert_eq!(yandex.count(kind), expected as u64, "{kind} of {size} bytes");
        }
        assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes);
        yandex.assert_clean();
    }
}

#[tokio::test]
async fn what_it_says_of_itself_is_what_the_wiki_can() {
    let yandex = Yandex::small();
    let capability = yandex.client().capability();
    let SizePolicy::Declared(rules) = capability.policy else { panic!("{capability:?}") };
    assert_eq!((rules.size, rules.flow, rules.rewrite), (PART, Flow::Parallel(WIDTH), true));
    assert!(rules.min <= PART && rules.max >= PART && rules.count_max == 10_000, "{rules:?}");
    assert_eq!((capability.whole_max, capability.file_max, capability.sha1), (0, FILE_MAX, false));
    assert!(capability.directories && capability.rename && capability.empty_files, "{capability:?}");
}

#[tokio::test]
async fn parts_travel_at_once_and_in_any_order() {
    let yandex = Yandex::small();
    let (client, bytes) = (yandex.client(), text(6 * P + 5, 2));
    let mut upload = Upload::begin(&*client, &path("a.bin"), &bytes).await.unwrap();
    let mut parts = std::mem::take(&mut upload.parts);
    parts.reverse();
    // Those that left first arrive last.
    for nth in 1..=3 {
        yandex.portal.add_fault(Rule::nth("part", nth, Fault::Delay { when: When::Before, ms: 20 }));
    }
    let puts = parts.into_iter().map(|part| client.put(&upload.spec, &upload.token, part));
    upload.receipts = try_join_all(puts).await.unwrap();
    upload.finish(&bytes).await.unwrap();
    assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes);
    yandex.assert_clean();
}

#[tokio::test]
async fn a_part_may_be_sent_again_with_other_bytes() {
    let yandex = Yandex::small();
    let (client, wrong, bytes) = (yandex.client(), text(3 * P, 3), text(3 * P, 4));
    let mut upload = Upload::begin(&*client, &path("a.bin"), &wrong).await.unwrap();
    while upload.put_next().await.unwrap() {}
    let again = Upload::begin(&*client, &path("b.bin"), &bytes).await.unwrap();
    for part in again.parts.clone() {
        upload.put(part).await.unwrap();
    }
    upload.finish(&bytes).await.unwrap();
    client.abort(&again.token).await.unwrap();
    assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes);
    yandex.assert_clean();
}

#[tokio::test]
async fn many_files_at_once_are_each_itself() {
    let yandex = Yandex::small();
    let client = yandex.client();
    client.mkdir(&path("d")).await.unwrap();
    let files: Vec<_> = (0..12)
        .map(|number| (format!("{}{number}.bin", ["", "d/"][number % 2]), text(P * (number % 4) + 7, number as u64)))
        .collect();
    let paths: Vec<RemotePath> = files.iter().map(|(name, _)| path(name)).collect();
    try_join_all(paths.iter().zip(&files).map(|(path, (_, bytes))| any(&*client, path, bytes))).await.unwrap();
    for (name, bytes) in &files {
        assert_eq!(fresh(&yandex, name).await.unwrap(), *bytes, "{name}");
    }
    yandex.assert_clean();
}

#[tokio::test]
async fn the_switches_that_nobody_knows_the_position_of_change_nothing() {
    for (number, changes) in [
        json!({"begins_not_started": true}),
        json!({"undersized_at": "part", "size_at": "part"}),
        json!({"size_at": "attach"}),
        json!({"size": "under_ok"}),
        json!({"size": "lenient", "gaps": true, "any_content_type": true, "chunked_parts": true}),
        json!({"oversize_at": "attach"}),
        json!({"wrong_state_is_conflict": false}),
        json!({"second_finish": "same", "second_attach": "same"}),
        json!({"second_attach": "again"}),
        json!({"sessions_reserve": false, "storage_type": "mds"}),
        json!({"attach_max": 1}),
        json!({"url_names": "as_is", "delete_answers_braces": true}),
        json!({"missing_organisation_is_forbidden": true, "scopes_count": true}),
        json!({"error_shape": "null_details"}),
        json!({"error_shape": "with_message"}),
        json!({"error_shape": "listed"}),
    ]
    .into_iter()
    .enumerate()
    {
        let yandex = Yandex::small();
        yandex.portal.set(&changes).unwrap();
        let (client, bytes) = (yandex.client(), text(2 * P + 1, number as u64));
        assert_eq!(errno(client.stat(&path("a.bin")).await), libc::ENOENT, "{changes}");
        for round in 0..2 {
            let bytes = bytes.slice(round..);
            put(&client, "a.bin", &bytes).await;
            assert_eq!(fresh(&yandex, "a.bin").await.unwrap(), bytes, "{changes}");
        }
        assert_eq!(yandex.files(), [("a.bin".to_owned(), 2 * PART)], "{changes}");
        remove(&client, "a.bin").await.unwrap();
        yandex.assert_clean();
    }
}
