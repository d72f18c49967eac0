//! What is written for people agrees with the program: options, variables, errnos, configuration keys, the tests behind
//! the promises, and the first commands of the README, which are run. It compares words, not meanings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use uploadfs::config::{Environment, ServiceKind, Sources};

/// How long the first commands of the README may take, in seconds; they take one.
const FIRST_COMMANDS_S: &str = "60";

/// The longest line of a text that people read in a terminal, in characters. Tables cannot be broken.
const WIDTH_MAX: usize = 120;

/// The commands with options of their own; the first one is the program itself.
const COMMANDS: [&[&str]; 9] =
    [&[], &["mount"], &["check"], &["portal"], &["status"], &["wait"], &["retry"], &["discard"], &["export"]];

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(package().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The manual page without the backslashes before its hyphens.
fn manual() -> String {
    read("contrib/man/uploadfs.1").replace("\\-", "-").replace("\\ ", " ")
}

/// Every file below `folder` whose name ends like this.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![package().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                found.push(path);
            }
        }
    }
    found
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_uploadfs")).args(command).arg("--help").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn help_of_all() -> String {
    COMMANDS.map(help).concat()
}

/// The words of `text` that begin with `prefix` and go on as long as `fits`.
fn words<'a>(text: &'a str, prefix: &str, fits: impl Fn(char) -> bool) -> BTreeSet<&'a str> {
    let begins = text.match_indices(prefix).map(|(at, _)| at);
    let begins = begins.filter(|at| !text[..*at].ends_with(|c: char| fits(c) || c == '$'));
    let word = |at: usize| {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        &text[at..at + prefix.len() + end]
    };
    begins.map(word).filter(|word| word.len() > prefix.len()).collect()
}

/// The long options named in a text.
fn options(text: &str) -> BTreeSet<&str> {
    let found = words(text, "--", |c| c.is_ascii_lowercase() || c == '-');
    found
        .into_iter()
        .filter(|word| word.chars().any(char::is_alphabetic))
        .map(|word| word.trim_end_matches('-'))
        .collect()
}

/// Our variables named in a text, but for those of the tests.
fn variables(text: &str) -> BTreeSet<&str> {
    let found = words(text, "UPLOADFS_", |c| c.is_ascii_uppercase() || c == '_');
    found.into_iter().filter(|name| !name.starts_with("UPLOADFS_TEST_")).collect()
}

/// The part of the README under a heading that begins so.
fn section<'a>(readme: &'a str, heading: &str) -> &'a str {
    let start = readme.find(&format!("\n## {heading}")).unwrap_or_else(|| panic!("there is a section {heading}")) + 1;
    let rest = &readme[start..];
    &rest[..rest[3..].find("\n## ").map_or(rest.len(), |end| end + 3)]
}

/// The cells of the rows of the tables in `text`, without their headings.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with('|') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let heads = lines.get(at + 1).is_some_and(|next| is_rule(next));
        if line.starts_with('|') && !is_rule(line) && !heads {
            found.push(line.trim_matches('|').split(" | ").map(str::trim).collect());
        }
    }
    found
}

#[test]
fn every_option_is_documented_and_every_documented_one_exists() {
    let (help, readme, manual) = (help_of_all(), read("README.md"), manual());
    let real = options(&help);
    assert!(real.len() > 10, "{real:?}");
    let everywhere = |option: &&&str| !matches!(**option, "--help" | "--version");
    let table = section(&readme, "Options of");
    let missing: Vec<_> = real.iter().filter(everywhere).filter(|option| !options(table).contains(**option)).collect();
    assert_eq!(missing, [&""; 0], "not in the README's table");
    let missing: Vec<_> = real.iter().filter(|option| !options(&manual).contains(**option)).collect();
    assert_eq!(missing, [&""; 0], "not in the manual page");
    for (name, text) in [("README", table), ("manual page", manual.as_str())] {
        let invented: Vec<_> = options(text).into_iter().filter(|option| !real.contains(option)).collect();
        assert_eq!(invented, [""; 0], "in the {name}, and not in the program");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let help = help(&["mount"]).split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = read("README.md");
    let manual = manual();
    let mut checked = 0;
    for row in rows(section(&readme, "Options of")) {
        let (option, default) = (row[0].trim_matches('`').split(' ').next().unwrap(), row[1]);
        if !default.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let (_, after) = help.split_once(&format!("{option} <")).unwrap_or_else(|| panic!("{option} is in the help"));
        let (_, said) = after.split_once("[default: ").unwrap();
        assert_eq!(said.split(']').next(), Some(default), "{option}");
        let (_, after) = manual.split_once(&format!("\n.BI {option} ")).unwrap();
        let (_, said) = after.split_once("Default: ").unwrap();
        assert!(said.starts_with(&format!("{default}.")), "{option} in the manual page");
        checked += 1;
    }
    assert_eq!(checked, 8);
}

#[test]
fn every_command_is_documented() {
    let help = help(&[]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> =
        list.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"mount"), "{commands:?}");
    let (readme, manual) = (read("README.md"), manual());
    for command in commands {
        assert!(section(&readme, "Options of").contains(&format!("`{command}`")), "{command} is in the README");
        assert!(manual.contains(&format!("\n.B uploadfs {command}\n")), "{command} is in the synopsis");
        assert!(manual.contains(&format!("\n.TP\n.B {command}\n")), "{command} is in the manual page");
    }
}

#[test]
fn every_variable_is_documented_and_every_documented_one_exists() {
    let mut code = String::new();
    for path in files("src", ".rs") {
        // Doc comments may name them; what counts is where they are read.
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.for_each(|line| code.extend([line, "\n"]));
    }
    let real = variables(&code);
    assert!(real.len() > 15, "{real:?}");
    let readme = read("README.md");
    assert_eq!(variables(section(&readme, "Environment")), real, "README");
    assert_eq!(variables(&manual()), real, "manual page");
    for path in files("contrib", "") {
        let text = fs::read_to_string(&path).unwrap();
        let invented: Vec<_> = variables(&text).into_iter().filter(|name| !real.contains(name)).collect();
        assert_eq!(invented, [""; 0], "{}", path.display());
    }
}

#[test]
fn the_errno_table_is_the_errno_table() {
    let source = read("src/error.rs");
    let (_, kinds) = source.split_once("pub enum Kind {").unwrap();
    let kinds = kinds.split("\n}").next().unwrap().lines().map(str::trim);
    let kinds: BTreeSet<&str> =
        kinds.filter(|line| !line.starts_with("//")).filter_map(|line| line.strip_suffix(',')).collect();
    let (_, table) = source.split_once("match self {").unwrap();
    let table = table.split("\n        }").next().unwrap();
    let errno = |kind: &str| {
        let line =
            table.lines().find(|line| words(line, "Kind::", char::is_alphanumeric).contains(&*format!("Kind::{kind}")));
        line.and_then(|line| line.trim_end_matches(',').rsplit("libc::").next()).unwrap_or("none")
    };
    let readme = read("README.md");
    let rows = rows(section(&readme, "Errors"));
    for row in &rows {
        assert_eq!(row[1], errno(row[0]), "{}", row[0]);
        assert!(!row[2].is_empty(), "{}", row[0]);
    }
    assert_eq!(rows.iter().map(|row| row[0]).collect::<BTreeSet<_>>(), kinds);
}

#[test]
fn every_promise_has_its_test() {
    let readme = read("README.md");
    let sources: Vec<(PathBuf, String)> = ["src", "tests/it"]
        .into_iter()
        .flat_map(|folder| files(folder, ".rs"))
        .map(|path| (path.strip_prefix(package()).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    let exists = |name: &str| {
        let (module, test) = name.split_once("::").unwrap();
        sources.iter().any(|(path, text)| {
            let lies_in = path.iter().any(|part| part.to_str().unwrap().trim_end_matches(".rs") == module);
            // A test is a function, or a line of a macro that makes one test for each.
            lies_in && (text.contains(&format!("fn {test}(")) || text.contains(&format!("\n    {test}: ")))
        })
    };
    let rows = rows(section(&readme, "What is promised"));
    assert!(rows.len() > 15, "{}", rows.len());
    let mut missing = Vec::new();
    for row in &rows {
        let names: Vec<&str> = row[2].split('`').filter(|word| word.contains("::")).collect();
        assert!(!names.is_empty(), "{} names its test", row[0]);
        missing.extend(names.into_iter().filter(|name| !exists(name)));
    }
    assert_eq!(missing, [""; 0], "no such tests");
}

/// The code blocks of this kind in the README.
fn blocks<'a>(readme: &'a str, kind: &str) -> Vec<&'a str> {
    let begin = format!("\n```{kind}\n");
    readme.split(&begin).skip(1).map(|rest| &rest[..rest.find("```").unwrap()]).collect()
}

/// Takes every mount below a directory away, whatever became of the test.
struct NoMountBelow<'a>(&'a Path);

impl NoMountBelow<'_> {
    fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned);
        points.filter(|point| Path::new(point).starts_with(self.0)).collect()
    }
}

impl Drop for NoMountBelow<'_> {
    fn drop(&mut self) {
        for point in self.mounts() {
            // Nothing more can be done about one that stays.
            let _ = Command::new("fusermount3").args(["-uz", "--", &point]).status();
        }
    }
}

/// Runs a script with the built program in the path, everything it makes below `folder`, for a bounded time.
fn run(script: &str, folder: &Path) -> Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_uploadfs")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    // `timeout` ends the whole group: the mount in the background, too.
    Command::new("timeout")
        .args(["-k", "10", FIRST_COMMANDS_S, "sh", "-eu", "-c", script])
        .current_dir(package())
        .env("PATH", path)
        .env("TMPDIR", folder)
        .env("XDG_STATE_HOME", folder.join("cache"))
        .env("XDG_DATA_HOME", folder.join("data"))
        .output()
        .unwrap()
}

#[test]
fn the_first_commands_work() {
    let readme = read("README.md");
    let blocks = blocks(&readme, "sh");
    let (first, second) = (blocks[0], blocks[1]);
    // Built it is already, as this test's dependency.
    let building = |line: &&str| line.starts_with("cargo build") || line.starts_with("PATH=$PWD/target/release");
    assert_eq!(first.lines().filter(building).count(), 2);
    let script: Vec<&str> = first.lines().filter(|line| !building(line)).collect();
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    let guard = NoMountBelow(&real);

    let output = run(&script.join("\n"), &real);
    let (said, logged) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{logged}");
    assert!(said.contains(" README.md"), "{said}");
    for part in ["mounted on ", "arrived: /My documents/README.md, ", "unmounted; the files are kept in "] {
        assert!(said.contains(part), "{part:?} in {said}\n{logged}");
    }
    assert_eq!(guard.mounts(), [""; 0]);
    let left: Vec<_> = fs::read_dir(&real).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "nothing but the spool's directory and the demo's is left: {left:?}");

    assert_eq!(second.trim(), "tests/run");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(package().join("tests/run")).unwrap().permissions());
    assert_eq!(mode & 0o111, 0o111);
}

#[test]
fn the_sample_configuration_is_taken() {
    let sample = read("contrib/config/config.toml");
    // As it is, and with everything that is commented out.
    let all: String = sample.lines().map(|line| format!("{}\n", uncomment(line))).collect();
    for text in [&sample, &all] {
        let folder = tempfile::tempdir().unwrap();
        for name in ["wiki.password", "wiki.token", "office.password", "office.key", "pages.token", "cloud.key"] {
            let path = folder.path().join(name);
            fs::write(&path, "geheim\n").unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        let config = folder.path().join("config.toml");
        fs::write(&config, text).unwrap();
        let sources = Sources::new(Some(config), Environment::default());
        let wiki = sources.remote("wiki").unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(wiki.service, ServiceKind::Mediawiki);
        assert!(wiki.url.is_some() && wiki.user.is_some() && wiki.password.is_some());
        let office = sources.remote("office").unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(office.service == ServiceKind::Onlyoffice && office.url.is_some() && office.password.is_some());
        assert_eq!(sources.remote("scratch").unwrap().service, ServiceKind::Memory);
        let pages = sources.remote("pages").unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(pages.service == ServiceKind::YandexWiki && pages.org_id.is_some() && pages.token.is_some());
        let cloud = sources.remote("cloud").unwrap_or_else(|refusal| panic!("{refusal}"));
        assert!(cloud.service == ServiceKind::YandexCloud && cloud.folder.is_some() && cloud.token.is_some());
    }
    assert_ne!(sample, all, "some keys are commented out");
}

/// `line`, or the setting in it: `#key = value` is one, `# a sentence` is not.
fn uncomment(line: &str) -> &str {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())).unwrap_or(line)
}

#[test]
fn every_key_is_in_the_sample_and_in_the_manual_page() {
    let source = read("src/config/file.rs");
    let (_, table) = source.split_once("struct Table {").unwrap();
    let fields = table.split("\n}").next().unwrap().lines().map(str::trim);
    let keys: Vec<&str> = fields
        .filter(|line| line.contains("Option<Spanned<String>>"))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert!(keys.contains(&"service") && keys.len() > 5, "{keys:?}");
    let (sample, manual) = (read("contrib/config/config.toml"), manual());
    for key in keys {
        let set = format!("{key} = ");
        assert!(sample.lines().any(|line| uncomment(line).starts_with(&set)), "{key} is in the sample");
        let head = |line: &str| line.starts_with(".B") && line.split([' ', ',']).any(|word| word == key);
        assert!(manual.lines().any(head), "{key} is in the manual page");
    }
}

#[test]
fn the_map_names_every_module() {
    let map = read("src/lib.rs");
    let docs: String = map.lines().filter(|line| line.starts_with("//!")).collect();
    let modules: Vec<&str> = map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(modules.len() > 10);
    for module in modules {
        let named = [format!("[`{module}`]"), format!("[`mod@{module}`]"), format!("(mod@{module})")];
        assert!(named.iter().any(|name| docs.contains(name)), "{module}");
    }
}

#[test]
fn texts_are_narrow_and_their_links_lead_somewhere() {
    let mut texts = files("contrib", "");
    texts.push(package().join("README.md"));
    for path in texts {
        let text = fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('|')) {
            let width = line.chars().count();
            assert!(width <= WIDTH_MAX, "{}:{}: {width} characters", path.display(), at + 1);
        }
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let links = text.split("](").skip(1).map(|rest| &rest[..rest.find(')').unwrap()]);
        for link in links.filter(|link| !link.starts_with("http")) {
            assert!(path.parent().unwrap().join(link).exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_reader_reads() {
    assert_eq!(options("--a-b <X>, `--c`, ---, a--b, $--x"), BTreeSet::from(["--a-b", "--c"]));
    assert_eq!(variables("UPLOADFS_A, UPLOADFS_TEST_B UPLOADFS_A UPLOADFS_"), BTreeSet::from(["UPLOADFS_A"]));
    assert_eq!(rows("| a | b |\n|---|---|\n| c | `d` |\n"), [["c", "`d`"]]);
    assert_eq!(section("# x\n\n## A b\n1\n## C\n2\n", "A"), "## A b\n1");
    assert_eq!((uncomment("#a = 1"), uncomment("# a"), uncomment("b")), ("a = 1", "# a", "b"));
}
