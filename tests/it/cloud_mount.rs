//! Cloud folders in both dialects, mounted by the real daemon and used by real programs: trees, overwrites, renames,
//! limits, lifetimes, what is refused, and what is never said where.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use sha2::{Digest, Sha256};
use uploadfs::path::RemotePath;
use uploadfs::portal::yandex_cloud::API_KEY;
use uploadfs::service::Service;
use uploadfs::service::yandex_cloud::{Dialect, Refresh};

use super::support::cloud::{Cloud, DIALECTS};
use super::support::daemon::Daemon;
use super::support::desk::each;
use super::support::program::until;
use super::support::upload::{text, whole};

fn mount(cloud: &Cloud) -> Daemon {
    Daemon::mount_section(&cloud.section(), &[])
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes `$L/tree`: a few folders with files of every size that is special to base64 and to buffers.
fn make_tree(daemon: &Daemon) {
    let program = "
import random
random.seed(7)
sizes = [1, 2, 3, 4, 17, 4095, 65536, 65537, (1 << 20) + 1, 5000000]
for folder in range(4):
    where = L + '/tree/' + ['Отчёты %d', 'Année %d/sub', 'plain-%d', '日本 %d'][folder] % folder
    os.makedirs(where)
    for number, size in enumerate(sizes):
        name = ['файл %d.txt', 'README %d', 'a.b %d.md', 'ünïcode-%d.pdf', '.hidden%d'][number % 5] % number
        with open(where + '/' + name, 'wb') as out:
            out.write(random.randbytes(size % 70001 + folder))
with open(L + '/tree/large.iso', 'wb') as out:
    out.write(random.randbytes(30_000_000))
";
    daemon.python(program).wait().ok();
}

#[test]
fn a_tree_is_copied_compared_changed_and_removed() {
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        let daemon = mount(&cloud);
        make_tree(&daemon);
        daemon.sh("cp -r $L/tree . && diff -r $L/tree tree").ok();
        let state = cloud.state();
        assert_eq!((state.files.len(), state.requests["create"]), (41, 41), "{dialect:?}: one request for each file");
        cloud.assert_clean();

        // Nothing of it is remembered by another mount.
        let fresh = mount(&cloud);
        let original = daemon.local("tree").display().to_string();
        fresh.sh(&format!("diff -r {original} tree")).ok();
        let changes = "set -e
            mv large.iso 'Отчёты 0/образ.iso'
            mv 'Année 1' 'plain-2/renamed'
            mv 'plain-2/renamed/sub/README 1' NOTES
            echo new > '日本 3/README 1'
            cp NOTES '日本 3/файл 0.txt'
            mv '日本 3/файл 0.txt' '日本 3/файл 5.txt'
            rm '日本 3/README 6'
            rm -r 'Отчёты 0/README 1'";
        fresh.sh(&format!("cd tree; {changes}")).ok();
        daemon.sh(&format!("cd $L/tree; {changes}")).ok();
        assert!(fresh.end().success(), "{dialect:?}");
        let last = mount(&cloud);
        last.sh(&format!("diff -r {original} tree && rm -r tree && ls -A")).ok();
        assert_eq!(cloud.names(), [""; 0], "{dialect:?}");
        cloud.assert_clean();
    }
}

#[test]
fn an_overwrite_is_one_file_in_the_end() {
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        let daemon = mount(&cloud);
        daemon.sh("echo old > report.txt; echo newer > report.txt; echo more >> report.txt; cat report.txt").ok();
        let file = cloud.file("report.txt");
        assert_eq!((file.bytes, file.sha256), (11, sha256(b"newer\nmore\n")), "{dialect:?}");
        cloud.assert_clean();
    }
}

#[test]
fn programs_that_save_by_a_temporary_name_can() {
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        let daemon = mount(&cloud);
        daemon.sh("echo old > report.txt; echo new > .report.tmp; mv .report.tmp report.txt; cat report.txt").ok();
        assert_eq!(cloud.file("report.txt").sha256, sha256(b"new\n"), "{dialect:?}");
    }
    let cloud = Cloud::new(Dialect::Native);
    let daemon = mount(&cloud);
    daemon.sh("printf 'a\\nb\\n' > list; sed -i s/a/A/ list").ok();
    assert_eq!(cloud.file("list").sha256, sha256(b"A\nb\n"));
    assert_eq!(cloud.names(), ["/list"]);
}

#[test]
fn the_limit_is_heard_at_the_write_that_crosses_it() {
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        let daemon = mount(&cloud);
        let ended = daemon.python(
            "
f = os.open('large.bin', os.O_WRONLY | os.O_CREAT)
block = bytes(1 << 20)
at = 0
try:
    while True:
        at += os.write(f, block)
except OSError as error:
    print(at, error.strerror)",
        );
        let said = ended.wait().out;
        let (at, error) = said.trim().split_once(' ').unwrap_or_else(|| panic!("{dialect:?}: {said:?}"));
        assert_eq!(error, "File too large", "{dialect:?}");
        assert!((127_000_000..=128_000_000).contains(&at.parse::<u64>().unwrap()), "{dialect:?}: {at}");
    }
}

#[test]
fn the_largest_file_takes_no_more_memory_than_was_given() {
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        let daemon = Daemon::mount_section(&cloud.section(), &["--memory", "32M"]);
        daemon.sh("head -c 128000000 /dev/urandom > $L/large && cp $L/large large.bin").ok();
        let peak = daemon.peak_bytes();
        assert!(peak <= (32 + 32) << 20, "{dialect:?}: {} MiB", peak >> 20);
        daemon.sh("cmp $L/large large.bin").ok();
        assert_eq!(cloud.file("large.bin").bytes, 128_000_000);
        cloud.assert_clean();
    }
}

#[test]
fn an_empty_file_is_on_the_service_or_stays_until_it_has_bytes() {
    for dialect in DIALECTS {
        for takes in [false, true] {
            let cloud = Cloud::with(dialect, |settings| settings.empty_files = takes);
            let daemon = mount(&cloud);
            daemon.sh("touch empty.txt other.txt; stat -c %s empty.txt").ok();
            // What nobody wrote to is sent when it is let go, which is after its close.
            match takes {
                true => until("the empty files", || cloud.names().len() == 2),
                false => assert!(cloud.names().is_empty(), "{dialect:?}"),
            }
            daemon.sh("echo bytes >> empty.txt").ok();
            assert_eq!(cloud.file("empty.txt").bytes, 6, "{dialect:?}");
            cloud.assert_clean();
        }
    }
}

#[test]
fn a_refusal_arrives_where_the_program_can_hear_it() {
    // A quota is tried for a while before it is told, so both dialects do it at once.
    each(&DIALECTS, refuse, |dialect| format!("{dialect:?}"));
}

fn refuse(dialect: &Dialect) {
    let cloud = Cloud::new(*dialect);
    let daemon = mount(&cloud);
    daemon.sh("echo old > there.txt").ok();
    cloud.portal.set(&json!({"files_max": 1})).unwrap();
    let ended = daemon.sh("cp there.txt more.txt");
    assert!(ended.err.contains("Disk quota exceeded"), "{dialect:?}: {ended:?}");
    cloud.portal.set(&json!({"files_max": 100, "mime": "every"})).unwrap();
    let ended = daemon.sh("head -c 1000 /dev/urandom > $L/noise && cp $L/noise noise.bin");
    assert!(ended.err.contains("Operation not permitted"), "{dialect:?}: {ended:?}");
    cloud.portal.set(&json!({"mime": "never", "file_bytes_max": 1000})).unwrap();
    let ended = daemon.sh("head -c 2000 /dev/urandom > $L/noise && cp $L/noise noise.bin");
    assert!(ended.err.contains("File too large"), "{dialect:?}: {ended:?}");
    assert_eq!(cloud.names(), ["/there.txt"], "{dialect:?}");
}

#[test]
fn files_of_others_are_read_and_never_taken_for_ours() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        // Written in the other dialect, which has no labels of ours, or has them where nobody looks.
        let other = match dialect {
            Dialect::Native => Dialect::OpenAi,
            Dialect::OpenAi => Dialect::Native,
        };
        let config = uploadfs::service::yandex_cloud::YandexCloudConfig { dialect: other, ..cloud.config() };
        let stranger = uploadfs::service::yandex_cloud::YandexCloud::new(config).unwrap();
        let bytes = text(70_000, 5);
        runtime.block_on(async {
            for name in ["a.txt", "b.txt"] {
                whole(&stranger, &RemotePath::parse(name).unwrap(), &bytes).await.unwrap();
            }
        });
        let daemon = mount(&cloud);
        fs::write(daemon.local("same"), &bytes).unwrap();
        daemon
            .sh("cmp $L/same a.txt && test $(stat -c %s b.txt) = 70000 && echo mine > a.txt && cmp $L/same b.txt")
            .ok();
        assert_eq!(cloud.names(), ["/a.txt", "/b.txt"], "{dialect:?}");
        assert_eq!(cloud.file("a.txt").sha256, sha256(b"mine\n"), "{dialect:?}");
    }
}

#[test]
fn the_end_of_a_file_is_an_attribute() {
    for (dialect, days) in [(Dialect::Native, 60), (Dialect::OpenAi, 30)] {
        let cloud = Cloud::new(dialect);
        let daemon = mount(&cloud);
        daemon.sh("echo x > a.txt").ok();
        let shown = daemon.python("print(os.getxattr('a.txt', 'user.uploadfs.expires_at').decode())").wait().out;
        let ends = time::OffsetDateTime::parse(shown.trim(), &time::format_description::well_known::Rfc3339).unwrap();
        let life = ends - cloud.file("a.txt").updated;
        assert_eq!((life + time::Duration::seconds(1)).whole_days(), days, "{dialect:?}: {shown}");
    }
}

#[test]
fn a_file_outlives_the_end_it_was_given_as_long_as_it_is_mounted() {
    let cloud = Cloud::with(Dialect::Native, |settings| settings.ttl_days_max = 1000);
    let (start, passed) = (SystemTime::now(), Arc::new(Mutex::new(Duration::ZERO)));
    let clock = passed.clone();
    let refresh = Refresh {
        now: Arc::new(move || start + *clock.lock().unwrap()),
        every: Duration::from_millis(1),
        pause: Duration::ZERO,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let path = RemotePath::parse("kept.txt").unwrap();
    runtime.block_on(async {
        let client = cloud.client_refreshing(refresh);
        let made = whole(&*client, &path, &text(100, 1)).await.unwrap();
        client.stat(&path).await.unwrap();
        for _ in 0..10 {
            let days = Duration::from_secs(20 * 86_400);
            cloud.portal.advance(days);
            *passed.lock().unwrap() += days;
            // Until the task has seen it.
            let enough = || SystemTime::now() + *passed.lock().unwrap() + Duration::from_secs(25 * 86_400);
            while client.stat(&path).await.unwrap().expires.unwrap() < enough() {
                tokio::task::yield_now().await;
            }
        }
        let node = client.stat(&path).await.unwrap();
        assert_eq!((node.id, node.size), (made.id, 100), "the same file, after 200 days");
    });
    cloud.assert_clean();
}

#[test]
fn the_key_shows_in_no_line_of_the_log() {
    for dialect in DIALECTS {
        let cloud = Cloud::new(dialect);
        let daemon = Daemon::mount_section(&cloud.section(), &["-v", "-v"]);
        daemon.sh("echo x > a.txt; cat a.txt; cp a.txt b.txt; rm a.txt; echo x > 'b.txt'").ok();
        cloud.portal.set(&json!({"file_bytes_max": 1})).unwrap();
        daemon.sh("echo refused > c.txt");
        let log = daemon.log();
        assert!(log.contains("request"), "it is verbose: {log}");
        for secret in [API_KEY, "X-Amz-Signature", "Api-Key"] {
            assert!(!log.contains(secret), "{dialect:?}: {secret} in {log}");
        }
    }
}
