//! Holds the layers and the house rules by reading the sources: which layer may use which, where a library or the name
//! of a service may appear, and what every file must have. It reads lines, not syntax: comments do not count, strings
//! do.

use std::fs;
use std::path::{Path, PathBuf};

/// Files past this many non-blank lines before their tests want splitting.
const LINES_MAX: usize = 500;

/// Which layer may use which. Everyone may use `error`, `path` and `ranges`; `mount` and `cli` put things together.
const USES: [(&str, &[&str]); 14] = [
    ("error", &[]),
    ("path", &[]),
    ("ranges", &[]),
    ("secret", &[]),
    ("http", &[]),
    ("service", &["http"]),
    ("spool", &["service"]),
    ("cache", &["spool"]),
    ("upload", &["service", "cache", "spool"]),
    ("file", &["service", "upload", "cache", "spool"]),
    ("tree", &["service", "upload", "file", "spool"]),
    ("fs", &["service", "tree", "file"]),
    ("config", &[]),
    ("portal", &[]),
];

/// Libraries and the places that may use them.
const LIBRARIES: [(&str, &[&str]); 2] =
    [("fuser", &["src/fs", "src/mount", "tests/bench", "tests/it/support/slow"]), ("reqwest", &["src/http"])];

/// Names of services, and the folder of each.
const SERVICES: [(&str, &str); 4] =
    [("mediawiki", "mediawiki"), ("onlyoffice", "onlyoffice"), ("yandex", "yandex"), ("s3", "s3")];

/// Where every service may be named. Tests may name them all.
const KNOW_SERVICES: [&str; 4] = ["src/config", "src/cli", "src/open", "src/portal"];

/// A source file.
struct Source {
    /// Relative to the package.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are neither comments nor blank, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("//"))
    }

    /// As [`Source::code`], up to the unit tests.
    fn code_before_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let last = self.text[..end].lines().count();
        self.code().take_while(move |(at, _)| *at <= last)
    }

    /// Whether the whole file is tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn lies_in(&self, place: &str) -> bool {
        let rest = self.path.strip_prefix(place);
        rest.is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    }

    /// The layer below `src/`, `None` outside.
    fn layer(&self) -> Option<&str> {
        let name = self.path.strip_prefix("src/")?;
        name.split('/').next().map(|name| name.trim_end_matches(".rs"))
    }
}

fn sources() -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![package.join("src"), package.join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(package).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(found.len() > 20, "the sources are where they were");
    found
}

/// Whether `line` has the word `word`, in any case.
fn has_word(line: &str, word: &str) -> bool {
    let (line, word) = (line.to_lowercase(), word.to_lowercase());
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric());
    line.match_indices(&word)
        .any(|(at, _)| !inside(line[..at].chars().next_back()) && !inside(line[at + word.len()..].chars().next()))
}

/// The layers that a line of code uses: `crate::x`, `crate::{x, y}`.
fn uses(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, start) in line.match_indices("crate::") {
        let rest = &line[at + start.len()..];
        let names = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or(list).split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let name = name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
            found.push(name);
        }
    }
    found
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn layers_use_what_lies_below_them() {
    let common = ["error", "path", "ranges", "secret"];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let Some(layer) = source.layer() else { continue };
        let Some((_, allowed)) = USES.iter().find(|(name, _)| *name == layer) else { continue };
        for (at, line) in source.code_before_tests() {
            let wrong = uses(line).into_iter().filter(|used| {
                let is_layer = USES.iter().any(|(name, _)| name == used) || ["mount", "cli", "open"].contains(used);
                is_layer && *used != layer && !allowed.contains(used) && !common.contains(used)
            });
            complaints.extend(wrong.map(|used| format!("{}:{at}: {layer} must not use {used}", source.path)));
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_portal_shares_no_mistake_with_the_clients() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.layer() == Some("portal") && !source.is_test()) {
        let foreign = source
            .code_before_tests()
            .filter(|(_, line)| uses(line).iter().any(|used| *used != "portal"))
            .map(|(at, _)| format!("{}:{at}: the portal imports nothing of ours", source.path));
        complaints.extend(foreign);
    }
    assert_none(&complaints);
}

#[test]
fn libraries_stay_in_their_layers() {
    let mut complaints = Vec::new();
    for source in sources() {
        for (library, places) in LIBRARIES {
            if places.iter().any(|place| source.lies_in(place)) || source.lies_in("tests/it/tidy") {
                continue;
            }
            let found = source.code().filter(|(_, line)| {
                has_word(line, &format!("{library}::")) || has_word(line, &format!("use {library}"))
            });
            complaints.extend(found.map(|(at, _)| format!("{}:{at}: {library} does not belong here", source.path)));
        }
    }
    assert_none(&complaints);
}

#[test]
fn services_are_named_in_their_folders_only() {
    let mut complaints = Vec::new();
    let may_not = |source: &&Source| !source.is_test() && !KNOW_SERVICES.iter().any(|place| source.lies_in(place));
    for source in sources().iter().filter(may_not) {
        for (service, folder) in SERVICES {
            let own = source.path.starts_with(&format!("src/service/{folder}"));
            let named = source.code_before_tests().filter(|(_, line)| {
                let declares = line.ends_with(';') && (line.starts_with("pub mod ") || line.starts_with("mod "));
                !own && !declares && has_word(line, service)
            });
            complaints.extend(named.map(|(at, _)| format!("{}:{at}: {service} does not belong here", source.path)));
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    assert_none(&silent.map(|source| format!("{} does not begin with //!", source.path)).collect::<Vec<_>>());
}

#[test]
fn no_file_is_too_long_to_see() {
    let mut complaints = Vec::new();
    for source in sources() {
        let end = source.text.find("#[cfg(test)]\nmod tests {").unwrap_or(source.text.len());
        let count = source.text[..end].lines().filter(|line| !line.trim().is_empty()).count();
        if count > LINES_MAX {
            complaints.push(format!("{}: {count} lines before its tests, at most {LINES_MAX}", source.path));
        }
    }
    assert_none(&complaints);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let marks =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["for ", "now"], ["#[igno", "re"]].map(|halves| halves.concat());
    let mut complaints = Vec::new();
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            let found = marks.iter().filter(|mark| has_word(line, mark));
            complaints.extend(found.map(|mark| format!("{}:{}: {mark}", source.path, at + 1)));
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_reader_reads() {
    assert_eq!(uses("use crate::{error, path::RemotePath}; crate::fs::x()"), ["error", "path", "fs"]);
    assert!(has_word("use fuser::Session", "fuser") && !has_word("fusermount3 -u", "fuser"));
    assert!(has_word("Mediawiki::new()", "mediawiki") && has_word("\"s3\"", "s3") && !has_word("css3", "s3"));
    let source = Source {
        path: "src/fs/mod.rs".into(),
        text: "//! x\n\nuse a;\n// use b;\n#[cfg(test)]\nmod tests {\n}\n".into(),
    };
    assert_eq!(source.code_before_tests().collect::<Vec<_>>(), [(3, "use a;")]);
    assert!(source.lies_in("src/fs") && !source.lies_in("src/f") && source.layer() == Some("fs"));
}
