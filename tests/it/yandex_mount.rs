//! A Yandex Wiki, mounted by the real daemon and used by real programs: trees, names, renames, overwrites, what begins to
//! travel early, what a program is told when the wiki refuses, and that no token is written down anywhere.

use std::fs;

use serde_json::json;
use uploadfs::portal::yandex_wiki::{
    Account, EmptyFiles, IAM_TOKEN, OAUTH_TOKEN, ORGANISATION, OrganisationKind, ROOT_SLUG, Settings, YandexWikiConfig,
};

use super::support::daemon::{Daemon, Section};
use super::support::program::until;
use super::support::slow::Slow;
use super::support::upload::text;
use super::support::yandex::Yandex;

/// The size of parts unless somebody configures another, in bytes.
const PART: u64 = 8 << 20;

/// A wiki as it comes, but for these settings.
fn wiki(change: impl FnOnce(&mut Settings)) -> Yandex {
    let mut config = YandexWikiConfig::new(OrganisationKind::Yandex360);
    change(&mut config.settings);
    Yandex::of(config)
}

fn section(yandex: &Yandex, lines: &str) -> Section {
    let lines = format!(
        "service = \"yandex-wiki\"\nurl = {:?}\ntoken_file = \"secret\"\nfolder = {ROOT_SLUG:?}\n{lines}",
        yandex.portal.url()
    );
    Section { lines, secret: OAUTH_TOKEN.to_owned() }
}

fn plain(yandex: &Yandex) -> Section {
    section(yandex, &format!("org_id = {ORGANISATION:?}\n"))
}

fn mount(yandex: &Yandex) -> Daemon {
    Daemon::mount_section(&plain(yandex), &[])
}

/// Makes `$L/tree`: folders within folders, names in all letters, every size that is special.
fn make_tree(daemon: &Daemon) {
    let program = format!(
        "
import random
random.seed(7)
sizes = [0, 1, 17, 4095, 4096, 65537, 1 << 20, {PART} - 1, {PART}, {PART} + 1]
for folder in ['отчёты', 'plain', 'plain/inner', 'отчёты/2026']:
    where = L + '/tree/' + folder
    os.makedirs(where)
    for number in range(len(sizes)):
        name = ['файл %d.txt', 'READ ME %d', 'a.b %d (1).bin', 'ünïcode-%d.pdf', '.hidden%d'][number % 5] % number
        # The large ones are in one folder: the others have them in small.
        size = sizes[number] if folder == 'plain' else sizes[number] % 70001
        with open(where + '/' + name, 'wb') as out:
            out.write(random.randbytes(size))
os.makedirs(L + '/tree/empty')
with open(L + '/tree/large.iso', 'wb') as out:
    out.write(random.randbytes(3 * {PART} + 17))
"
    );
    daemon.python(&program).wait().ok();
}

/// How many parts the files below a directory have that have bytes.
fn parts(daemon: &Daemon, below: &str) -> u64 {
    let sizes = daemon.sh(&format!("find {below} -type f -printf '%s\\n'")).ok();
    sizes.lines().map(|size| size.parse::<u64>().unwrap().div_ceil(PART)).sum()
}

#[test]
fn a_tree_is_copied_compared_changed_and_removed() {
    let yandex = wiki(|settings| settings.empty_files = EmptyFiles::NoPart);
    let daemon = mount(&yandex);
    make_tree(&daemon);
    daemon.sh("cp -r $L/tree . && diff -r $L/tree tree").ok();
    assert_eq!(yandex.count("part"), parts(&daemon, "$L/tree"), "each byte once");
    assert_eq!((yandex.count("create_session"), yandex.count("attach"), yandex.count("abort")), (41, 41, 0));
    yandex.assert_clean();

    // Nothing of it is remembered by another mount.
    let fresh = mount(&yandex);
    fresh.sh(&format!("diff -r {}/tree tree", daemon.local("").display())).ok();
    fresh
        .sh("set -e
            mv tree/large.iso 'tree/отчёты/образ диска.iso'
            mv tree/plain tree/отчёты/renamed
            mv 'tree/отчёты/renamed/READ ME 1' tree/NOTES
            echo new > 'tree/отчёты/2026/READ ME 1'
            cp tree/NOTES 'tree/отчёты/2026/файл 5.txt'
            mv 'tree/отчёты/2026/.hidden4' 'tree/отчёты/2026/.hidden9'
            rm 'tree/отчёты/READ ME 6'
            rm -r tree/отчёты/renamed/inner
            rmdir tree/empty
            mkdir -p tree/новая/глубокая
            echo deep > tree/новая/глубокая/f")
        .ok();
    let same = "set -e
        cd $L/tree
        mv large.iso 'отчёты/образ диска.iso'; mv plain отчёты/renamed; mv 'отчёты/renamed/READ ME 1' NOTES
        echo new > 'отчёты/2026/READ ME 1'; cp NOTES 'отчёты/2026/файл 5.txt'
        mv отчёты/2026/.hidden4 отчёты/2026/.hidden9; rm 'отчёты/READ ME 6'; rm -r отчёты/renamed/inner; rmdir empty
        mkdir -p новая/глубокая; echo deep > новая/глубокая/f";
    daemon.sh(same).ok();
    assert!(fresh.end().success());
    let last = mount(&yandex);
    last.sh(&format!("diff -r {}/tree tree", daemon.local("").display())).ok();
    yandex.assert_clean();
    last.sh("rm -r tree && ls -A").ok();
    assert_eq!((yandex.files(), yandex.pages()), (vec![], vec![]));
    yandex.assert_clean();
}

#[test]
fn an_overwrite_is_one_file_and_the_new_one() {
    let yandex = wiki(|_| {});
    let daemon = mount(&yandex);
    daemon.sh("echo old > report.txt; head -c 11000000 /dev/zero > large.bin").ok();
    daemon.sh("echo newer > report.txt; head -c 21000000 /dev/zero > large.bin; cat report.txt").ok();
    daemon.sh("echo more >> report.txt; cat report.txt").ok();
    assert_eq!(yandex.files(), [("large.bin".to_owned(), 21_000_000), ("report.txt".to_owned(), 11)]);
    assert_eq!(mount(&yandex).sh("cat report.txt; stat -c %s large.bin").ok(), "newer\nmore\n21000000\n");
    yandex.assert_clean();
}

#[test]
fn the_first_part_leaves_before_the_last_write() {
    let bytes = text(3 * PART as usize + 17, 3);
    let yandex = wiki(|_| {});
    let daemon = mount(&yandex);
    let slow = Slow::mount(&daemon.local("slow"), bytes.clone(), PART + PART / 2);
    let mut copy = daemon.shell("cp $L/slow/source copy.bin");
    until("the first part", || yandex.count("part") >= 1);
    assert!(copy.is_running() && yandex.files().is_empty());
    slow.go();
    copy.wait().ok();
    daemon.sh("cmp $L/slow/source copy.bin").ok();
    assert_eq!((yandex.count("part"), yandex.count("create_session")), (4, 1));
    yandex.assert_clean();
}

#[test]
fn a_writer_that_is_killed_publishes_nothing() {
    let bytes = text(2 * PART as usize + 17, 4);
    let yandex = wiki(|_| {});
    let daemon = mount(&yandex);
    // It has copied every byte, and stands before its close.
    let program = "
f = os.open('copy.bin', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
s = os.open(L + '/source', os.O_RDONLY)
while True:
    data = os.read(s, 1 << 20)
    if not data: break
    os.write(f, data)
pause()";
    fs::write(daemon.local("source"), &bytes).unwrap();
    let mut writer = daemon.python(program);
    writer.until_paused();
    until("what may leave", || yandex.count("part") >= 2);
    writer.send("KILL");
    until("the file to be parked", || daemon.log().contains("killed"));
    assert_eq!(yandex.files(), []);
    until("the session to be given up", || yandex.state().sessions.is_empty());
    assert_eq!((yandex.state().violations, yandex.count("abort_all")), (vec![], 0));
}

#[test]
fn names_are_the_wikis_and_never_silently_others() {
    let yandex = wiki(|_| {});
    let daemon = mount(&yandex);
    let said = daemon
        .sh("set -e
            mkdir Заметки-2026; cd Заметки-2026; echo 1 > 'Report 1.txt'; echo 2 > 'report 1.txt'; cat 'Report 1.txt'
            cat ../Заметки-2026/*; cd ..; ls; ls Заметки-2026")
        .ok();
    assert_eq!(said, "1\n1\n2\nзаметки-2026\nReport 1.txt\nreport 1.txt\n");
    for refused in ["a b", ".git", "a?b", "a,b"] {
        let ended = daemon.sh(&format!("mkdir '{refused}'"));
        assert!(ended.err.contains("Invalid argument"), "{refused}: {ended:?}");
    }
    daemon.sh("rmdir Заметки-2026").failed("Directory not empty");
    daemon.sh("rm -r заметки-2026").ok();
    yandex.assert_clean();
}

#[test]
fn an_empty_file_is_on_the_wiki_or_stays_until_it_has_bytes() {
    for (empty_files, there) in [(EmptyFiles::Refused, false), (EmptyFiles::NoPart, true), (EmptyFiles::OnePart, true)]
    {
        let yandex = wiki(|settings| settings.empty_files = empty_files);
        let daemon = mount(&yandex);
        daemon.sh("touch empty.txt other.txt; stat -c %s empty.txt; ls").ok();
        // What nobody wrote to is sent when it is let go, which is after its close.
        match there {
            true => until("the empty files", || yandex.files().len() == 2),
            false => assert_eq!(yandex.files(), [], "{empty_files:?}"),
        }
        daemon.sh("echo bytes >> empty.txt; echo x > other.txt").ok();
        assert_eq!(yandex.files(), [("empty.txt".to_owned(), 6), ("other.txt".to_owned(), 2)], "{empty_files:?}");
        assert_eq!(yandex.state().sessions, []);
        assert!(daemon.end().success());
    }
}

#[test]
fn a_refusal_arrives_where_the_program_can_hear_it() {
    let mut config = YandexWikiConfig::new(OrganisationKind::Yandex360);
    config.accounts.push(Account { may_write: false, ..Account::new("reader", "y0_reader") });
    let yandex = Yandex::of(config);
    let writer = Daemon::mount_section(&section(&yandex, "org_id = \"7654321\"\nfile_max = \"1000000\"\n"), &[]);
    writer.sh("echo old > there.txt; mkdir d").ok();
    let ended = writer.sh("dd if=/dev/zero of=large.bin bs=1000 count=2000 status=none");
    assert!(ended.err.contains("File too large"), "{ended:?}");
    // What was written before that is a file, as on a disk.
    assert_eq!(writer.sh("stat -c %s large.bin; rm large.bin").ok(), "1000000\n");
    yandex.portal.set(&json!({"total_bytes": 1000})).unwrap();
    let ended = writer.sh("dd if=/dev/zero of=quota.bin bs=1000 count=5 status=none");
    assert!(ended.err.contains("Disk quota exceeded"), "{ended:?}");
    yandex.portal.set(&json!({"total_bytes": 1_000_000_000, "read_only_slugs": [format!("{ROOT_SLUG}/d")]})).unwrap();
    // The wiki says so at the end only.
    let late = |name: &str| format!("dd if=/dev/zero of={name} bs=10 count=1 status=none");
    writer.sh(&late("d/x.txt")).failed("Permission denied");
    assert_eq!(yandex.files(), [("there.txt".to_owned(), 4)]);

    let reader = Daemon::mount_section(&Section { secret: "y0_reader".to_owned(), ..plain(&yandex) }, &[]);
    assert_eq!(reader.sh("cat there.txt").ok(), "old\n");
    reader.sh(&late("new.txt")).failed("Permission denied");
    reader.sh(&late("there.txt")).failed("Permission denied");
    reader.sh("mkdir new").failed("Permission denied");
    reader.sh("rm there.txt").failed("Operation not permitted");
    assert_eq!(mount(&yandex).sh("cat there.txt; ls").ok(), "old\nd\nthere.txt\n");
    yandex.assert_clean();
}

#[test]
fn no_token_is_written_down_whatever_happens() {
    let yandex = Yandex::of(YandexWikiConfig::new(OrganisationKind::Cloud));
    yandex.portal.set(&json!({"download_redirects": true})).unwrap();
    let lines = format!("cloud_org_id = {ORGANISATION:?}\n");
    let tokens: Vec<String> = (0..3).map(|number| format!("{IAM_TOKEN}.geheim-{number}")).collect();
    let cloud = Section { secret: tokens[0].clone(), ..section(&yandex, &lines) };
    let daemon = Daemon::mount_section(&cloud, &["-vvv"]);
    daemon.sh("mkdir d; echo 1 > d/a.txt; cat d/a.txt; mv d/a.txt b.txt; mv d e; rm b.txt; rmdir e").ok();
    // It ends, another one is found, and that one ends, too.
    daemon.renew(&tokens[1]);
    yandex.portal.advance(std::time::Duration::from_secs(13 * 3600));
    daemon.sh("echo 2 > a.txt").ok();
    yandex.portal.advance(std::time::Duration::from_secs(13 * 3600));
    assert!(daemon.sh("echo 3 > b.txt").err.contains("Permission denied"));
    daemon.renew(&tokens[2]);
    daemon.sh("echo 4 > c.txt; cat a.txt c.txt").ok();
    let fresh = Daemon::mount_section(&Section { secret: tokens[2].clone(), ..cloud }, &["-vvv"]);
    assert_eq!(fresh.sh("cat a.txt c.txt").ok(), "2\n4\n");
    for log in [daemon.log(), fresh.log()] {
        assert!(log.len() > 500, "it says what it does: {log}");
        for secret in [IAM_TOKEN, "geheim", "Bearer", "X-Amz-Signature"] {
            assert!(!log.contains(secret), "{secret} in the log:\n{log}");
        }
    }
    yandex.assert_clean();
}
