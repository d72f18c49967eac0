//! The service goes away under a real mount, and the mount ends while it still uploads.

use std::time::Duration;

use uploadfs::portal::onlyoffice::Generation;

use super::place::Place;
use crate::support::daemon::Daemon;
use crate::support::program::{Ended, until};
use crate::support::proxy::{End, Fault, Gate, Proxy, When};

/// Shell in the mount that knows our own program.
fn sh(daemon: &Daemon, script: &str) -> Ended {
    daemon.sh(&format!("uploadfs() {{ {} \"$@\"; }}; {script}", env!("CARGO_BIN_EXE_uploadfs")))
}

fn go_away(proxy: &Proxy) {
    proxy.add_where(|_| true, When::Always, Fault::DropBefore(End::Reset));
}

/// A mount that was used, of a service that went away then.
fn left_alone(place: &Place, arguments: &[&str]) -> (Proxy, Daemon) {
    let (proxy, section) = place.proxied();
    let daemon = Daemon::mount_section(&section, arguments);
    sh(&daemon, "echo old > old; mkdir sub; echo deep > sub/deep; ls -R; uploadfs wait .").ok();
    go_away(&proxy);
    (proxy, daemon)
}

#[test]
fn programs_go_on_while_the_service_is_away_and_everything_arrives() {
    let place = Place::office(Generation::G3);
    let (proxy, daemon) = left_alone(&place, &["--close", "local"]);
    assert_eq!(daemon.sh("ls . sub").ok(), ".:\nold\nsub\n\nsub:\ndeep\n");
    let work = "echo new > new; echo newer > old; for n in 1 2 3; do echo $n > sub/$n; done; mv new moved; rm sub/3";
    daemon.sh(work).ok();
    let status = sh(&daemon, "uploadfs status .").ok();
    assert!(status.contains("offline since"), "{status}");
    sh(&daemon, "uploadfs wait . --timeout 0").failed("not on the service");
    daemon.sh("cat sub/nothing").failed("No such file");
    daemon.sh("mkdir new").failed("");
    proxy.heal();
    sh(&daemon, "uploadfs wait .").ok();
    assert!(sh(&daemon, "uploadfs status .").ok().contains("online"));
    let fresh = Daemon::mount_section(place.direct(), &[]);
    let names = "moved\nold\nsub\n";
    assert_eq!(
        fresh.sh("ls; ls sub; cat moved old sub/1 sub/2").ok(),
        format!("{names}1\n2\ndeep\nnew\nnewer\n1\n2\n")
    );
    assert_eq!((place.versions("old"), place.versions("moved")), (2, 1));
    place.assert_clean();
}

#[test]
fn names_stay_while_the_service_is_away_and_a_close_says_the_truth() {
    let place = Place::office(Generation::G3);
    let (proxy, daemon) = left_alone(&place, &["--close-deadline", "5s", "--metadata-deadline", "5s"]);
    assert_eq!(daemon.sh("ls . sub").ok(), ".:\nold\nsub\n\nsub:\ndeep\n");
    daemon.sh("echo newer > $L/newer; cp $L/newer old").failed("cp");
    assert_eq!(daemon.sh("cat old").ok(), "newer\n", "the bytes are kept");
    proxy.heal();
    until("the service to be back", || sh(&daemon, "uploadfs retry old").success());
    assert_eq!(place.versions("old"), 2);
    place.assert_clean();
}

#[test]
fn systemd_is_asked_for_more_time_while_uploads_get_on() {
    let place = Place::office(Generation::G3);
    let (proxy, section) = place.proxied();
    let mut daemon = Daemon::mount_section(&section, &["--close", "local"]);
    let manager = daemon.manager();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let gate = Gate::new();
    proxy.add(Place::uploads(), When::From(1), Fault::HangBefore(gate.clone()));
    daemon.sh("echo text > f").ok();
    until("the upload to stand still", || proxy.faults() > 0);
    daemon.send("TERM");
    let mut told = String::new();
    while !told.contains("EXTEND_TIMEOUT_USEC=30000000") {
        let mut message = [0; 4096];
        let len = manager.recv(&mut message).unwrap();
        told += &String::from_utf8_lossy(&message[..len]);
    }
    assert!(told.contains("STOPPING=1") && told.contains("STATUS=finishing uploads: 1 files, 5 left"), "{told}");
    gate.open();
    assert!(daemon.wait().success());
    assert_eq!(place.versions("f"), 1);
}
