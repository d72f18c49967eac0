//! What every service must do, whatever it can: one suite, gated by what `capability()` says and by nothing else.
//!
//! A new service is added below in one line, `name => fixture;`, where `fixture` is a future of a [`Fixture`] with an
//! empty place on the service. Each case gets a fixture of its own. A service that notices broken rules (the memory
//! service does) fails every case in which the plain uploader of `support` broke one.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use uploadfs::error::{Kind, Retry};
use uploadfs::path::RemotePath;
use uploadfs::service::memory::{MemoryConfig, Names};
use uploadfs::service::{Flow, NamedAt, NodeKind, Progress, Service, Sha1Digest, SizePolicy, Spec};

use uploadfs::portal::onlyoffice::{Collation, Generation, Storage};
use uploadfs::portal::yandex_cloud::ErrorShape;
use uploadfs::portal::yandex_wiki::{EmptyFiles, OrganisationKind, Repeated, SizeCheck, SlugRule, Step};
use uploadfs::service::yandex_cloud::Dialect;

use crate::support::cloud;
use crate::support::fixture::{Fixture, memory, small_parts, stacked};
use crate::support::office;
use crate::support::upload::{Upload, any, by_session, content, names, settled, text, whole, whole_max};
use crate::support::wiki::{self, Which};
use crate::support::yandex;

/// Sizes around the places where buffers and parts end.
const SIZES: [usize; 7] = [1, 1023, 1024, 1025, 65_535, 65_536, 65_537];

macro_rules! conformance {
    (@cases $fixture:expr => $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let fixture = $fixture.await;
                super::$case(&fixture).await;
                fixture.assert_no_violations();
            }
        )*
    };
    ($($service:ident => $fixture:expr;)*) => {
        $(
            mod $service {
                use super::*;
                conformance! { @cases $fixture =>
                    what_is_missing_is_not_found
                    whole_uploads_of_every_size
                    session_uploads_of_every_size
                    parallel_parts_may_come_in_any_order
                    empty_files_where_there_are_empty_files
                    reads_are_exact
                    an_overwrite_is_seen
                    a_listing_is_complete
                    what_is_removed_is_gone
                    a_rename_moves_the_content
                    a_rename_onto_a_file
                    names_that_are_refused
                    names_that_look_like_syntax
                    directories_hold_files
                    an_aborted_upload_leaves_nothing
                    a_part_sent_twice
                    a_probe_follows_the_upload
                    a_name_is_free_until_it_is_fixed
                    a_wrong_size_or_checksum_makes_no_file
                    many_uploads_at_once
                    an_account_can_be_checked
                }
            }
        )*
    };
}

conformance! {
    memory_friendly => memory(MemoryConfig::friendly());
    memory_streamed_sequential => memory(MemoryConfig::streamed_sequential());
    memory_streamed_parallel => memory(MemoryConfig::streamed_parallel());
    memory_declared_sequential => memory(MemoryConfig::declared_sequential());
    memory_declared_parallel => memory(MemoryConfig::declared_parallel());
    memory_whole => memory(MemoryConfig::whole());
    memory_friendly_in_small_parts => memory(small_parts(MemoryConfig::friendly()));
    memory_streamed_sequential_in_small_parts => memory(small_parts(MemoryConfig::streamed_sequential()));
    memory_streamed_parallel_in_small_parts => memory(small_parts(MemoryConfig::streamed_parallel()));
    memory_declared_sequential_in_small_parts => memory(small_parts(MemoryConfig::declared_sequential()));
    memory_declared_parallel_in_small_parts => memory(small_parts(MemoryConfig::declared_parallel()));
    mediawiki => wiki::fixture(Which::Wide);
    mediawiki_of_a_bare_server => wiki::fixture(Which::Default);
    mediawiki_in_its_layers => stacked(wiki::fixture(Which::Wide));
    onlyoffice_community => office::fixture(Generation::G0, |_| {});
    onlyoffice_docspace_1 => office::fixture(Generation::G1, |_| {});
    onlyoffice_docspace_2 => office::fixture(Generation::G2, |_| {});
    onlyoffice_docspace_3 => office::fixture(Generation::G3, |_| {});
    onlyoffice_in_an_object_store => office::fixture(Generation::G2, |settings| settings.storage = Storage::S3);
    onlyoffice_on_another_database => office::fixture(Generation::G3, |settings| settings.collation = Collation::Postgres);
    onlyoffice_in_its_layers => stacked(office::fixture(Generation::G3, |_| {}));
    yandex_cloud => cloud::fixture(Dialect::Native, |_| {});
    yandex_cloud_with_empty_files => cloud::fixture(Dialect::Native, |settings| settings.empty_files = true);
    yandex_cloud_in_small_pages => cloud::fixture(Dialect::Native, |settings| {
        settings.told_max = Some(3);
        settings.print_empty_fields = true;
        settings.idempotency = true;
        settings.narrow_labels = true;
    });
    yandex_cloud_like_openai => cloud::fixture(Dialect::OpenAi, |_| {});
    yandex_cloud_like_openai_otherwise => cloud::fixture(Dialect::OpenAi, |settings| {
        settings.told_max = Some(3);
        settings.openai_ranges = true;
        settings.empty_files = true;
        settings.openai_errors = ErrorShape::Flat;
    });
    yandex_cloud_in_its_layers => stacked(cloud::fixture(Dialect::Native, |_| {}));
    yandex_wiki => yandex::fixture(OrganisationKind::Yandex360, |_| {});
    yandex_wiki_that_tolerates_what_it_can => yandex::fixture(OrganisationKind::Yandex360, |settings| {
        settings.size = SizeCheck::Lenient;
        settings.oversize_at = Step::Never;
        settings.empty_files = EmptyFiles::Either;
        settings.second_finish = Repeated::Same;
        settings.second_attach = Repeated::Same;
        settings.sessions_reserve = false;
        settings.short_pages = false;
        settings.head = true;
        [settings.gaps, settings.any_content_type, settings.chunked_parts, settings.any_file_name] = [true; 4];
    });
    yandex_wiki_of_a_cloud_organisation => yandex::fixture(OrganisationKind::Cloud, |_| {});
    yandex_wiki_of_latin_slugs => yandex::fixture(OrganisationKind::Yandex360, |settings| settings.slugs = SlugRule::Latin);
    yandex_wiki_that_answers_ranges => yandex::fixture(OrganisationKind::Yandex360, |settings| settings.ranges = true);
    yandex_wiki_that_redirects_downloads => yandex::fixture(OrganisationKind::Yandex360, |settings| {
        settings.download_redirects = true;
    });
    yandex_wiki_whose_empty_files_have_a_part => yandex::fixture(OrganisationKind::Yandex360, |settings| {
        settings.empty_files = EmptyFiles::OnePart;
    });
    yandex_wiki_whose_sessions_begin_later => yandex::fixture(OrganisationKind::Yandex360, |settings| {
        settings.begins_not_started = true;
        settings.wrong_state_is_conflict = false;
    });
    yandex_wiki_that_attaches_again => yandex::fixture(OrganisationKind::Yandex360, |settings| {
        settings.second_attach = Repeated::Again;
    });
    yandex_wiki_that_looks_for_viruses => stacked(yandex::checked_fixture());
    yandex_wiki_in_its_layers => stacked(yandex::fixture(OrganisationKind::Yandex360, |_| {}));
    memory_in_its_layers => stacked(memory(small_parts(MemoryConfig::streamed_parallel())));
    memory_that_capitalises => memory(MemoryConfig {
        names: Names { capitalise: true, ..Names::default() },
        ..MemoryConfig::streamed_sequential()
    });
}

fn has_sessions(service: &dyn Service) -> bool {
    service.capability().policy.rules().is_some()
}

async fn assert_missing(service: &dyn Service, path: &RemotePath) {
    let error = service.stat(path).await.expect_err("nothing is there");
    assert_eq!(error.kind, Kind::NotFound, "{error}");
}

async fn what_is_missing_is_not_found(fixture: &Fixture) {
    let service = &*fixture.service;
    assert_missing(service, &fixture.path("missing")).await;
    assert_eq!(service.stat(&RemotePath::root()).await.unwrap().kind, NodeKind::Directory);
}

async fn whole_uploads_of_every_size(fixture: &Fixture) {
    let service = &*fixture.service;
    for size in SIZES.into_iter().filter(|size| *size as u64 <= whole_max(service)) {
        let (path, bytes) = (fixture.path(&format!("whole-{size}")), text(size, 1));
        let node = whole(service, &path, &bytes).await.unwrap();
        assert_eq!(node.size, size as u64);
        assert!(node.sha1.is_none_or(|sha1| sha1 == Sha1Digest::of(&bytes)));
        assert_eq!(service.stat(&path).await.unwrap(), node);
        assert_eq!(content(service, &path).await.unwrap(), bytes);
    }
}

async fn session_uploads_of_every_size(fixture: &Fixture) {
    let service = &*fixture.service;
    for size in SIZES.into_iter().filter(|_| has_sessions(service)) {
        let (path, bytes) = (fixture.path(&format!("session-{size}")), text(size, 2));
        let node = by_session(service, &path, &bytes).await.unwrap();
        assert_eq!((node.size, node.kind), (size as u64, NodeKind::File));
        assert_eq!(content(service, &path).await.unwrap(), bytes);
    }
}

async fn parallel_parts_may_come_in_any_order(fixture: &Fixture) {
    let service = &*fixture.service;
    let Some(Flow::Parallel(width)) = service.capability().policy.rules().map(|rules| rules.flow) else { return };
    let (path, bytes) = (fixture.path("reversed"), text(65_537, 3));
    let mut upload = Upload::begin(service, &path, &bytes).await.unwrap();
    let mut parts = std::mem::take(&mut upload.parts);
    parts.reverse();
    for together in parts.chunks(width) {
        let puts = together.iter().map(|part| service.put(&upload.spec, &upload.token, part.clone()));
        let receipts = try_join_all(puts).await.unwrap();
        upload.receipts.extend(receipts);
    }
    upload.finish(&bytes).await.unwrap();
    assert_eq!(content(service, &path).await.unwrap(), bytes);
}

async fn empty_files_where_there_are_empty_files(fixture: &Fixture) {
    let service = &*fixture.service;
    let path = fixture.path("empty");
    if !service.capability().empty_files {
        return;
    }
    match any(service, &path, &text(0, 0)).await {
        Ok(_) => {
            assert!(service.capability().empty_files);
            assert_eq!(service.stat(&path).await.unwrap().size, 0);
            assert_eq!(content(service, &path).await.unwrap().len(), 0);
        }
        Err(error) => {
            // It could not know before it tried, and has learned it once and for all.
            assert!(!service.capability().empty_files, "{error}");
            assert!(!matches!(error.retry, Retry::Never), "without empty files it may be done: {error:?}");
            assert_missing(service, &path).await;
        }
    }
}

async fn reads_are_exact(fixture: &Fixture) {
    let service = &*fixture.service;
    let (path, bytes) = (fixture.path("ranges"), text(10_000, 4));
    let node = any(service, &path, &bytes).await.unwrap();
    for range in [0..1, 0..10_000, 4_095..4_097, 1_000..9_000, 9_999..10_000, 5_000..5_000] {
        let part = bytes.slice(range.start as usize..range.end as usize);
        assert_eq!(service.read(&path, &node, range.clone()).await.unwrap(), part, "{range:?}");
    }
    for beyond in [9_999..10_001, 20_000..20_001] {
        service.read(&path, &node, beyond).await.expect_err("bytes that the file does not have");
    }
}

async fn an_overwrite_is_seen(fixture: &Fixture) {
    let service = &*fixture.service;
    let path = fixture.path("twice");
    let (old, new) = (text(3_000, 5), text(2_000, 6));
    let before = any(service, &path, &old).await.unwrap();
    let after = any(service, &path, &new).await.unwrap();
    assert_ne!(before.version, after.version);
    assert_eq!(service.stat(&path).await.unwrap(), after);
    assert_eq!(content(service, &path).await.unwrap(), new);
    let here = names(service, &RemotePath::root()).await.unwrap();
    assert_eq!(here.iter().filter(|name| **name == after.name).count(), 1, "one file, not two: {here:?}");
}

async fn a_listing_is_complete(fixture: &Fixture) {
    let service = &*fixture.service;
    let root = RemotePath::root();
    let before: BTreeSet<String> = names(service, &root).await.unwrap().into_iter().collect();
    let mut expected = before.clone();
    for count in 0..10 {
        let path = fixture.path(&format!("entry-{count}"));
        expected.insert(any(service, &path, &text(10 + count, 7)).await.unwrap().name);
    }
    assert_eq!(expected.len(), before.len() + 10);
    let listed = names(service, &root).await.unwrap();
    assert_eq!(listed.len(), expected.len(), "each entry once: {listed:?}");
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    for name in listed {
        let path = root.join(&name);
        assert_eq!(service.stat(&path).await.unwrap().name, name, "what is listed can be opened");
    }
}

async fn what_is_removed_is_gone(fixture: &Fixture) {
    let service = &*fixture.service;
    let path = fixture.path("removed");
    let node = any(service, &path, &text(100, 8)).await.unwrap();
    match service.remove(&path, &node).await {
        Ok(()) => {
            assert_missing(service, &path).await;
            assert!(!names(service, &RemotePath::root()).await.unwrap().contains(&node.name));
            assert_eq!(service.remove(&path, &node).await.unwrap_err().kind, Kind::NotFound);
            any(service, &path, &text(50, 9)).await.expect("the name is free again");
        }
        Err(error) => {
            // Many accounts may upload and not delete.
            assert!(matches!(error.kind, Kind::Denied | Kind::Unsupported), "{error}");
            assert_eq!(service.stat(&path).await.unwrap(), node);
        }
    }
}

async fn a_rename_moves_the_content(fixture: &Fixture) {
    let service = &*fixture.service;
    let (from, to, bytes) = (fixture.path("before"), fixture.path("after"), text(5_000, 10));
    let node = any(service, &from, &bytes).await.unwrap();
    let renamed = service.rename(&from, &node, &to).await;
    if !service.capability().rename {
        let error = renamed.expect_err("a service that cannot rename says so");
        assert!(matches!(error.kind, Kind::CrossDevice | Kind::Unsupported), "{error}");
        return;
    }
    assert_eq!(renamed.unwrap().name, service.canonical_name(to.name()));
    assert_missing(service, &from).await;
    assert_eq!(content(service, &to).await.unwrap(), bytes);
}

async fn a_rename_onto_a_file(fixture: &Fixture) {
    let service = &*fixture.service;
    let capability = service.capability();
    if !capability.rename {
        return;
    }
    let (from, to) = (fixture.path("source"), fixture.path("target"));
    let (new, old) = (text(300, 11), text(400, 12));
    let node = any(service, &from, &new).await.unwrap();
    any(service, &to, &old).await.unwrap();
    match service.rename(&from, &node, &to).await {
        Ok(_) => {
            assert!(capability.rename_replaces);
            assert_missing(service, &from).await;
            assert_eq!(content(service, &to).await.unwrap(), new);
        }
        Err(error) => {
            assert_eq!((error.kind, capability.rename_replaces), (Kind::Exists, false), "{error}");
            assert_eq!(content(service, &from).await.unwrap(), new);
            assert_eq!(content(service, &to).await.unwrap(), old);
        }
    }
}

async fn names_that_are_refused(fixture: &Fixture) {
    let service = &*fixture.service;
    service.check_name(&RemotePath::root()).expect_err("the root is not a file");
    for name in &fixture.refused {
        let path = RemotePath::parse(name).unwrap();
        let error = service.check_name(&path).expect_err(name);
        assert!(matches!(error.kind, Kind::BadName | Kind::NameTooLong | Kind::Refused), "{error}");
    }
}

async fn names_that_look_like_syntax(fixture: &Fixture) {
    let service = &*fixture.service;
    let stems = [
        "two words",
        "Zażółć gęślą jaźń",
        "日本語",
        "e\u{301}toile",
        "a&b#c%20d?e+f",
        "100%25",
        "\"quoted\" 'single'",
        "semi;colon=x",
        "back\\slash",
        "{curly}[square]<angle>",
        "pipe|tilde~caret^",
        "..dots..",
        "-dash",
        "$(shell) `tick`",
        "right\u{202e}left",
    ];
    for stem in stems {
        let path = fixture.path(stem);
        if let Err(error) = service.check_name(&path) {
            assert!(matches!(error.kind, Kind::BadName | Kind::Refused), "{stem:?}: {error}");
            continue;
        }
        let bytes = text(64 + stem.len(), 13);
        let node = any(service, &path, &bytes).await.unwrap_or_else(|error| panic!("{stem:?}: {error}"));
        assert_eq!(node.name, service.canonical_name(path.name()));
        assert_eq!(content(service, &path).await.unwrap(), bytes, "{stem:?}");
        let listed = names(service, &RemotePath::root()).await.unwrap();
        assert!(listed.contains(&node.name), "{stem:?} in {listed:?}");
    }
}

async fn directories_hold_files(fixture: &Fixture) {
    let service = &*fixture.service;
    let directory = RemotePath::parse("directory").unwrap();
    let made = service.mkdir(&directory).await;
    if !service.capability().directories {
        assert_eq!(made.expect_err("a service without directories says so").kind, Kind::Unsupported);
        return;
    }
    let node = made.unwrap();
    assert_eq!(node.kind, NodeKind::Directory);
    assert_eq!(service.mkdir(&directory).await.unwrap_err().kind, Kind::Exists);
    let inner = directory.join(fixture.path("inner").name());
    let file = any(service, &inner, &text(2_500, 14)).await.unwrap();
    assert_eq!(names(service, &directory).await.unwrap(), [&*file.name]);
    assert_missing(service, &fixture.path("inner")).await;
    assert_eq!(service.remove(&directory, &node).await.unwrap_err().kind, Kind::NotEmpty);
    service.remove(&inner, &file).await.unwrap();
    service.remove(&directory, &node).await.unwrap();
    assert_missing(service, &directory).await;
    let nowhere = directory.join("x.txt");
    assert_eq!(any(service, &nowhere, &text(10, 15)).await.unwrap_err().kind, Kind::NotFound);
}

async fn an_aborted_upload_leaves_nothing(fixture: &Fixture) {
    let service = &*fixture.service;
    if !has_sessions(service) {
        return;
    }
    let before = names(service, &RemotePath::root()).await.unwrap();
    let (path, bytes) = (fixture.path("aborted"), text(65_537, 16));
    let mut upload = Upload::begin(service, &path, &bytes).await.unwrap();
    upload.put_next().await.unwrap();
    service.abort(&upload.token).await.unwrap();
    assert_missing(service, &path).await;
    assert_eq!(names(service, &RemotePath::root()).await.unwrap(), before);
    service.abort(&upload.token).await.expect("there is nothing more to give up");
    by_session(service, &path, &bytes).await.expect("the name is free");
    assert_eq!(content(service, &path).await.unwrap(), bytes);
}

async fn a_part_sent_twice(fixture: &Fixture) {
    let service = &*fixture.service;
    let Some(rules) = service.capability().policy.rules().copied() else { return };
    let (path, bytes) = (fixture.path("repeated"), text(65_537, 17));
    let mut upload = Upload::begin(service, &path, &bytes).await.unwrap();
    if let Some(part) = upload.parts.first().cloned() {
        upload.put_next().await.unwrap();
        if rules.rewrite {
            upload.put(part).await.expect("a part may be replaced");
        } else {
            fixture.forgive();
            // Refused, or recognised as the same: either way it must not count twice.
            let _ = upload.put(part).await;
        }
    }
    while upload.put_next().await.unwrap() {}
    upload.finish(&bytes).await.unwrap();
    assert_eq!(content(service, &path).await.unwrap(), bytes);
}

/// Whether the service says that the session is alive and, if it can tell, that it holds `bytes`. Where the last part is
/// held back, it is what makes the file.
async fn assert_holds(upload: &Upload<'_>, bytes: u64) {
    let policy = upload.service.capability().policy;
    let makes_the_file =
        upload.parts.is_empty() && matches!(policy, SizePolicy::Declared(rules) if rules.hold_back > 0);
    let progress = upload.service.probe(&upload.spec, Some((&upload.token, &upload.receipts))).await.unwrap();
    match progress {
        Progress::Holds(held) => {
            assert_eq!(held.iter().map(|held| held.range.end - held.range.start).sum::<u64>(), bytes);
        }
        Progress::Unknown => {}
        Progress::Finished(node) if makes_the_file => assert_eq!(node.size, bytes),
        other => panic!("the session is open, and the service says {other:?}"),
    }
}

async fn a_probe_follows_the_upload(fixture: &Fixture) {
    let service = &*fixture.service;
    let (path, bytes) = (fixture.path("probed"), text(65_537, 18));
    let sha1 = Some(Sha1Digest::of(&bytes));
    let whole = Spec { path: path.clone(), size: Some(65_537), sha1, replaces: None };
    assert!(matches!(settled(service, &whole, None).await, Progress::Gone), "nothing was sent");
    if !has_sessions(service) {
        let node = any(service, &path, &bytes).await.unwrap();
        assert!(matches!(service.probe(&whole, None).await.unwrap(), Progress::Finished(found) if found == node));
        return;
    }
    let mut upload = Upload::begin(service, &path, &bytes).await.unwrap();
    let sent = |upload: &Upload<'_>| upload.receipts.iter().map(|part| part.range.end - part.range.start).sum();
    assert_holds(&upload, sent(&upload)).await;
    upload.put_next().await.unwrap();
    assert_holds(&upload, sent(&upload)).await;
    while upload.put_next().await.unwrap() {}
    assert_holds(&upload, 65_537).await;
    let node = upload.finish(&bytes).await.unwrap();
    let progress = service.probe(&whole, Some((&upload.token, &upload.receipts))).await.unwrap();
    assert!(matches!(&progress, Progress::Finished(found) if *found == node), "{progress:?}");

    let other = fixture.path("given-up");
    let given_up = Upload::begin(service, &other, &bytes).await.unwrap();
    service.abort(&given_up.token).await.unwrap();
    let spec = Spec { path: other, ..whole };
    let progress = service.probe(&spec, Some((&given_up.token, &given_up.receipts))).await.unwrap();
    assert!(!matches!(progress, Progress::Finished(_)), "{progress:?}");
}

async fn a_name_is_free_until_it_is_fixed(fixture: &Fixture) {
    let service = &*fixture.service;
    if !has_sessions(service) || service.capability().named_at == NamedAt::Begin {
        return;
    }
    let (first, last, bytes) = (fixture.path("working-title"), fixture.path("title"), text(9_000, 19));
    let mut upload = Upload::begin(service, &first, &bytes).await.unwrap();
    while upload.put_next().await.unwrap() {}
    upload.spec.path = last.clone();
    upload.finish(&bytes).await.unwrap();
    assert_missing(service, &first).await;
    assert_eq!(content(service, &last).await.unwrap(), bytes);
}

async fn a_wrong_size_or_checksum_makes_no_file(fixture: &Fixture) {
    let service = &*fixture.service;
    if !has_sessions(service) {
        return;
    }
    fixture.forgive();
    let (path, bytes) = (fixture.path("wrong"), text(9_000, 20));
    let mut wrong = vec![text(9_001, 20)];
    if service.capability().sha1 {
        wrong.push(text(9_000, 21));
    }
    for claimed in wrong {
        let mut upload = Upload::begin(service, &path, &bytes).await.unwrap();
        while upload.put_next().await.unwrap() {}
        upload.finish(&claimed).await.expect_err("the file is not what was claimed");
        assert_missing(service, &path).await;
        service.abort(&upload.token).await.unwrap();
    }
}

async fn many_uploads_at_once(fixture: &Fixture) {
    let service = &*fixture.service;
    let files: Vec<_> = (0..8).map(|n| (fixture.path(&format!("at-once-{n}")), text(20_000 + n, n as u64))).collect();
    try_join_all(files.iter().map(|(path, bytes)| any(service, path, bytes))).await.unwrap();
    for (path, bytes) in &files {
        assert_eq!(content(service, path).await.unwrap(), *bytes);
    }
}

async fn an_account_can_be_checked(fixture: &Fixture) {
    let lines = fixture.service.check().await.unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.is_empty() && !line.contains('\n')), "{lines:?}");
}
