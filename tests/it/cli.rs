//! What a person types, with the real binary: help, exit codes, and refusals that say where the mistake is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A home directory with nothing in it, and the binary run from there.
struct Home(tempfile::TempDir);

/// What the binary said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Home {
    fn new() -> Home {
        Home(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn config(&self, text: &str) -> PathBuf {
        self.write(".config/uploadfs/config.toml", text, 0o644)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_uploadfs"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.0.path())
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// It was refused with one line that has all `parts`.
    fn assert_refused(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.starts_with("uploadfs: "), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} in {}", self.stderr);
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn help_is_complete() {
    let said = Home::new().run(&["--help"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    for part in [
        "mount",
        "check",
        "status",
        "wait",
        "retry",
        "discard",
        "export",
        "--config",
        "config.toml",
        "password_file",
        "Exit codes",
    ] {
        assert!(said.stdout.contains(part), "{part}");
    }
    let said = Home::new().run(&["mount", "--help"]);
    for option in [
        "--memory",
        "--chunk",
        "--spool",
        "--spool-max",
        "--dir-cache",
        "--close-deadline",
        "--metadata-deadline",
        "--drain",
        "--size-promise",
        "--allow-other",
        "SIZE:",
        "TIME:",
    ] {
        assert!(said.stdout.contains(option), "{option}");
    }
    assert_eq!(Home::new().run(&["--version"]).stdout.split_whitespace().next(), Some("uploadfs"));
}

#[test]
fn what_cannot_be_typed_is_a_usage_error() {
    for arguments in [&[][..], &["mount"], &["mount", "memory"], &["fly"], &["check", "memory", "--password", "x"]] {
        let said = Home::new().run(arguments);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.stderr.contains("Usage"), "{arguments:?}");
    }
}

#[test]
fn the_remote_in_memory_needs_nothing() {
    let said = Home::new().run(&["check", "memory"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert!(said.stdout.contains("memory: "), "{}", said.stdout);
}

#[test]
fn an_unknown_remote_is_refused_with_the_known_ones() {
    let home = Home::new();
    home.config("[wiki]\nservice = \"memory\"\n");
    home.run(&["check", "wikki"]).assert_refused(&["no remote \"wikki\"", "config.toml", "memory, wiki"]);
    assert_eq!(home.run(&["check", "wiki"]).code, Some(0));
}

#[test]
fn a_mistake_in_the_file_has_its_line() {
    let home = Home::new();
    let path = home.config("[wiki]\nservice = \"memory\"\n\nulr = \"https://x/\"\n");
    let place = format!("{}:4: ", text(&path));
    home.run(&["check", "wiki"]).assert_refused(&[&place, "unknown field `ulr`", "`url`"]);
    let path = home.config("[wiki]\nservice = \"memory\nurl = \"x\"\n");
    home.run(&["check", "wiki"]).assert_refused(&[&format!("{}:2: ", text(&path))]);
}

#[test]
fn only_the_named_file_counts() {
    let home = Home::new();
    home.config("this is not TOML");
    let other = home.write("other.toml", "[b]\nservice = \"memory\"\n", 0o644);
    assert_eq!(home.run(&["check", "b", "--config", text(&other)]).code, Some(0));
    assert_eq!(home.run_with(&["check", "b"], &[("UPLOADFS_CONFIG", text(&other))]).code, Some(0));
    home.run(&["--config", "/no/such.toml", "check", "b"]).assert_refused(&["/no/such.toml"]);
}

#[test]
fn a_password_that_others_can_read_is_refused() {
    let home = Home::new();
    let secret = home.write("secret", "geheim", 0o644);
    let config = home.config(&format!(
        "[wiki]\nservice = \"mediawiki\"\nurl = \"https://wiki.example/api.php\"\nuser = \"me\"\npassword_file = {:?}\n",
        text(&secret)
    ));
    let said = home.run(&["check", "wiki"]);
    said.assert_refused(&[&format!("{}:5: ", text(&config)), text(&secret), "0644", "chmod 600"]);
    assert!(!said.stderr.contains("geheim"));
}

#[test]
fn a_secret_shows_nowhere() {
    let variables = [
        ("UPLOADFS_SERVICE", "s3"),
        ("UPLOADFS_URL", "https://store.example/"),
        ("UPLOADFS_USER", "me"),
        ("UPLOADFS_PASSWORD", "geheim"),
        ("UPLOADFS_TOKEN", "geheim"),
        ("UPLOADFS_PROXY", "http://me:geheim@proxy.example/"),
    ];
    let home = Home::new();
    for arguments in [&["check", "store", "-vv"][..], &["mount", "store", "/tmp", "-vv"]] {
        let said = home.run_with(arguments, &variables);
        assert!(!said.stdout.contains("geheim") && !said.stderr.contains("geheim"), "{}", said.stderr);
    }
}

#[test]
fn a_service_that_this_build_does_not_have_is_named() {
    let home = Home::new();
    let path = home.config("[store]\nservice = \"s3\"\nurl = \"https://store.example/\"\n");
    home.run(&["check", "store"]).assert_refused(&[&format!("{}:2: ", text(&path)), "no service s3", "memory"]);
}

#[test]
fn where_nothing_can_be_mounted_is_refused() {
    let home = Home::new();
    let file = home.write("file", "", 0o600);
    home.run(&["mount", "memory", text(&file)]).assert_refused(&["is not a directory"]);
    home.run(&["mount", "memory", "/no/such"]).assert_refused(&["mkdir -p /no/such"]);
    home.run(&["mount", "memory", text(home.0.path())]).assert_refused(&["is not empty"]);
    let dir = home.0.path().join("mnt");
    std::fs::create_dir(&dir).unwrap();
    let spool = dir.join("spool");
    let inside = ["mount", "memory", text(&dir), "--spool", text(&spool)];
    home.run(&inside).assert_refused(&["lies inside the mount"]);
}
