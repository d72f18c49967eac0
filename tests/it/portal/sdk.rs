//! The portal and the vendor's own SDK for Python, which checks the types of every answer. `tests/run` installs it; its
//! interpreter is named by a variable. What it does is in `sdk.py`.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use uploadfs::portal::onlyoffice::{Generation, PASSWORD, USER};

use super::Site;

/// The interpreter that has the SDK.
const VARIABLE: &str = "UPLOADFS_TEST_DOCSPACE_SDK";

#[test]
fn the_whole_life_of_files() {
    let python = std::env::var_os(VARIABLE).unwrap_or_else(|| panic!("no {VARIABLE}: run tests/run"));
    let site = Site::new(Generation::G3);
    // Chunks that take some time, so that four threads meet.
    site.portal.set(&json!({"chunk_bytes": 1 << 18})).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/portal/sdk.py");
    let output = Command::new(python).arg(script).args([&site.portal.url(), USER, PASSWORD]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let digest = String::from_utf8(output.stdout).unwrap();
    let state = site.state();
    let paths: Vec<&str> = state.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/My documents/outer/inner/renamed.txt.bin", "/My documents/outer/small.txt"]);
    assert_eq!((state.files[0].sha256.as_str(), state.files[1].versions), (digest.trim(), 2));
    assert_eq!((state.leaked_bytes, state.requests["finalize"]), (0, 2));
    site.in_order();
}
