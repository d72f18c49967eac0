//! ONLYOFFICE portals of all generations, mounted by the real daemon and used by real programs: trees, names, renames,
//! overwrites, what begins to travel early, and what a program is told when a portal refuses.

use std::fs;

use serde_json::json;
use uploadfs::portal::PortalState;
use uploadfs::portal::onlyoffice::{Account, Generation, OnlyofficeConfig, PASSWORD, USER};

use super::support::daemon::{Daemon, Remote};
use super::support::office::{GENERATIONS, Office};
use super::support::program::until;
use super::support::slow::Slow;
use super::support::upload::text;

/// The chunk size of portals that nobody configured, in bytes.
const CHUNK: u64 = 10 << 20;

/// A portal as it comes.
fn office(generation: Generation) -> Office {
    Office::with(generation, |_| {})
}

fn remote(office: &Office) -> Remote {
    Remote { service: "onlyoffice", url: office.portal.url(), user: USER.to_owned(), password: PASSWORD.to_owned() }
}

fn mount(office: &Office) -> Daemon {
    Daemon::mount(&remote(office), &[])
}

/// Makes `$L/tree`: 20 folders with 10 files each, of every size that is special, one of 300 MiB among them. Where a
/// portal has no empty files, there are none.
fn make_tree(daemon: &Daemon, empty_files: bool) {
    let least = usize::from(!empty_files);
    let program = format!(
        "
import random
random.seed(7)
sizes = [{least}, 1, 17, 4095, 4096, 65537, 1 << 20, {CHUNK} - 1, {CHUNK}, {CHUNK} + 1]
for folder in range(20):
    where = L + '/tree/' + ['Отчёты %d', 'Année %d', 'plain-%d', '日本 %d'][folder % 4] % folder
    os.makedirs(where)
    for number in range(10):
        name = ['файл %d.txt', 'README %d', 'a.b %d.bin', 'ünïcode-%d.pdf', '.hidden%d'][number % 5] % number
        # The large ones are in one folder: the others have them in small.
        size = sizes[number] if folder == 0 else sizes[number] % 70001 + folder
        if folder == 3 and number == 0:
            size = {least}
        with open(where + '/' + name, 'wb') as out:
            out.write(random.randbytes(size))
with open(L + '/tree/large.iso', 'wb') as out:
    block = random.randbytes(1 << 20)
    for number in range(300):
        out.write(number.to_bytes(4, 'big') + block[4:])
"
    );
    daemon.python(&program).wait().ok();
}

/// How many chunks the files below a directory have.
fn chunks(daemon: &Daemon, below: &str) -> u64 {
    let sizes = daemon.sh(&format!("find {below} -type f -printf '%s\\n'")).ok();
    sizes.lines().map(|size| size.parse::<u64>().unwrap().div_ceil(CHUNK).max(1)).sum()
}

fn requests(state: &PortalState, kind: &str) -> u64 {
    state.requests.get(kind).copied().unwrap_or(0)
}

#[test]
fn a_tree_is_copied_compared_changed_and_removed() {
    for generation in GENERATIONS {
        let office = office(generation);
        let daemon = mount(&office);
        make_tree(&daemon, generation == Generation::G3);
        daemon.sh("cp -r $L/tree . && diff -r $L/tree tree").ok();
        let expected = chunks(&daemon, "$L/tree");
        let state = office.state();
        assert_eq!(requests(&state, "chunk"), expected, "{generation:?}");
        assert_eq!(requests(&state, "abort"), 0, "{generation:?}");
        assert_eq!(requests(&state, "create_session"), 201, "{generation:?}");
        office.assert_clean();

        // Nothing of it is remembered by another mount.
        let fresh = mount(&office);
        fresh.sh(&format!("diff -r {}/tree tree", daemon.local("").display())).ok();
        fresh
            .sh("set -e
                mv tree/large.iso 'tree/Отчёты 0/образ.iso'
                mv 'tree/plain-2' 'tree/Année 1/renamed'
                mv 'tree/Année 1/renamed/README 1' tree/NOTES
                echo new > 'tree/日本 3/README 1'
                cp tree/NOTES 'tree/日本 3/файл 0.txt'
                mv 'tree/日本 3/файл 0.txt' 'tree/日本 3/файл 5.txt'
                rm 'tree/日本 3/README 6'
                rm -r 'tree/plain-6'")
            .ok();
        let same = "set -e
            cd $L/tree
            mv large.iso 'Отчёты 0/образ.iso'; mv plain-2 'Année 1/renamed'; mv 'Année 1/renamed/README 1' NOTES
            echo new > '日本 3/README 1'; cp NOTES '日本 3/файл 5.txt'; rm '日本 3/файл 0.txt' '日本 3/README 6'
            rm -r plain-6";
        daemon.sh(same).ok();
        assert!(fresh.end().success(), "{generation:?}");
        let last = mount(&office);
        last.sh(&format!("diff -r {}/tree tree && rm -r tree && ls -A", daemon.local("").display())).ok();
        office.assert_clean();
        let left: Vec<_> = office.state().files.into_iter().filter(|file| !file.path.starts_with("/Trash")).collect();
        assert_eq!(left, [], "{generation:?}");
    }
}

#[test]
fn an_overwrite_is_one_version_more_or_the_same_one() {
    for generation in GENERATIONS {
        let office = office(generation);
        let daemon = mount(&office);
        daemon.sh("echo old > report.txt; head -c 11000000 /dev/zero > large.bin").ok();
        daemon.sh("echo newer > report.txt; head -c 21000000 /dev/zero > large.bin; cat report.txt").ok();
        let versions = if matches!(generation, Generation::G0 | Generation::G1) { 1 } else { 2 };
        let state = office.state();
        for (name, bytes) in [("report.txt", 6), ("large.bin", 21_000_000)] {
            let file = state.file(&format!("/My documents/{name}")).unwrap_or_else(|| panic!("{name} in {state:?}"));
            assert_eq!(
                (file.bytes, file.stored_bytes, file.versions),
                (bytes, bytes, versions),
                "{generation:?} {name}"
            );
        }
        office.assert_clean();
    }
}

#[test]
fn the_first_chunk_leaves_before_the_last_write() {
    let bytes = text(3 * CHUNK as usize + 17, 3);
    for generation in GENERATIONS {
        let office = office(generation);
        let daemon = mount(&office);
        let slow = Slow::mount(&daemon.local("slow"), bytes.clone(), CHUNK + CHUNK / 2);
        let mut copy = daemon.shell("cp $L/slow/source copy.bin");
        until("the first chunk", || requests(&office.state(), "chunk") >= 1);
        assert!(copy.is_running() && office.state().file("/My documents/copy.bin").is_none(), "{generation:?}");
        slow.go();
        copy.wait().ok();
        daemon.sh("cmp $L/slow/source copy.bin").ok();
        assert_eq!(requests(&office.state(), "chunk"), 4, "{generation:?}");
        office.assert_clean();
    }
}

#[test]
fn a_writer_that_is_killed_publishes_nothing() {
    let bytes = text(2 * CHUNK as usize + 17, 4);
    for generation in GENERATIONS {
        let office = office(generation);
        let daemon = mount(&office);
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
        until("what may leave", || requests(&office.state(), "chunk") >= 2);
        writer.send("KILL");
        until("the file to be parked", || daemon.log().contains("killed"));
        assert!(office.state().file("/My documents/copy.bin").is_none(), "{generation:?}");
    }
}

#[test]
fn names_are_the_portals_and_never_silently_others() {
    for generation in [Generation::G0, Generation::G3] {
        let office = office(generation);
        let daemon = mount(&office);
        let said = daemon
            .sh("echo 1 > README; echo 2 > Photo.JPG; cat photo.jpg 2> /dev/null; cat README. Photo.JPG Photo.jpg; ls
                mkdir 'Release 2.0-RC1'; ls -d Rel*")
            .ok();
        assert_eq!(said, "1\n2\n2\nPhoto.jpg\nREADME\nRelease 2.0-RC1\n", "{generation:?}");
        for refused in ["a+b.txt", "what?.txt", "party🎉.txt", " blank.txt"] {
            let ended = daemon.sh(&format!("echo x > '{refused}'"));
            assert!(ended.err.contains("Invalid argument"), "{refused}: {ended:?}");
        }
        let long = "ш".repeat(200);
        assert!(daemon.sh(&format!("echo x > {long}")).err.contains("File name too long"));
        // Case and accents are letters to programs, whatever the database thinks.
        daemon.sh("echo 3 > Report.txt; echo 4 > report.txt; echo 5 > Report.txt").ok();
        let shown = daemon.sh("cat Report.txt report.txt; ls *eport*").ok();
        assert_eq!(shown, "5\n4\nReport.txt\nreport.txt\n", "{generation:?}");
        // An extension is changed by sending the file again, or by the program itself.
        daemon.sh("mv Report.txt Report.md; head -c 40000000 /dev/zero > big.tmp; mv big.tmp big.img; mv README ReadMe.md").ok();
        assert_eq!(daemon.sh("cat Report.md ReadMe.md; stat -c %s big.img").ok(), "5\n1\n40000000\n");
        office.assert_clean();
    }
}

#[test]
fn a_refusal_arrives_where_the_program_can_hear_it() {
    let mut config = OnlyofficeConfig::new(Generation::G3);
    config.accounts.push(Account { may_write: false, ..Account::new("reader@portal.test", "reader") });
    let office = Office::of(config);
    let writer = mount(&office);
    writer.sh("echo old > there.txt").ok();
    office.portal.set(&json!({"file_bytes_max": 1_000_000})).unwrap();
    let ended = writer.sh("dd if=/dev/zero of=large.bin bs=1000 count=2000 status=none");
    assert!(ended.err.contains("File too large"), "{ended:?}");
    office.portal.set(&json!({"file_bytes_max": 100_000_000, "room_bytes": 1000})).unwrap();
    let ended = writer.sh("dd if=/dev/zero of=quota.bin bs=1000 count=5 status=none");
    assert!(ended.err.contains("Disk quota exceeded"), "{ended:?}");
    office.portal.set(&json!({"room_bytes": null, "paid": false})).unwrap();
    assert!(writer.sh("cp there.txt unpaid.txt").err.contains("Permission denied"));
    office.portal.set(&json!({"paid": true})).unwrap();

    let reader = Remote { user: "reader@portal.test".to_owned(), password: "reader".to_owned(), ..remote(&office) };
    let reader = Daemon::mount(&reader, &[]);
    assert_eq!(reader.sh("cat there.txt").ok(), "old\n");
    let ended = reader.sh("echo x > new.txt");
    assert!(ended.err.contains("cannot create new.txt: Permission denied"), "{ended:?}");
    assert!(reader.sh("echo x > there.txt").err.contains("cannot create there.txt: Permission denied"));
    assert_eq!(office.state().violations, []);
}

#[test]
fn an_empty_file_is_on_the_portal_or_stays_until_it_has_bytes() {
    for generation in GENERATIONS {
        let office = office(generation);
        let daemon = mount(&office);
        daemon.sh("touch empty.txt; stat -c %s empty.txt").ok();
        // What nobody wrote to is sent when it is let go, which is after its close.
        let there = || office.state().file("/My documents/empty.txt").is_some();
        match generation {
            Generation::G3 => until("the empty file", there),
            _ => assert!(!there(), "{generation:?}"),
        }
        daemon.sh("echo bytes >> empty.txt").ok();
        assert_eq!(office.state().file("/My documents/empty.txt").unwrap().bytes, 6, "{generation:?}");
        office.assert_clean();
    }
}
