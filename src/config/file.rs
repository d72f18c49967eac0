//! Reads configuration files: TOML, one table per remote. What a file says is checked here by form (keys and types);
//! what it means is decided in `remote.rs`. Every complaint names file and line.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::refusal::{Place, Refusal};

/// The table of one remote, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    service: Option<Spanned<String>>,
    url: Option<Spanned<String>>,
    user: Option<Spanned<String>>,
    password_file: Option<Spanned<String>>,
    token_file: Option<Spanned<String>>,
    folder: Option<Spanned<String>>,
    chunk_size: Option<Spanned<String>>,
    org_id: Option<Spanned<String>>,
    cloud_org_id: Option<Spanned<String>>,
    parallel: Option<Spanned<u32>>,
    ca_file: Option<Spanned<String>>,
    proxy: Option<Spanned<String>>,
    comment: Option<Spanned<String>>,
    text: Option<Spanned<String>>,
    tags: Option<Spanned<Vec<String>>>,
    maxlag: Option<Spanned<u32>>,
    root: Option<Spanned<String>>,
    dialect: Option<Spanned<String>>,
    file_max: Option<Spanned<String>>,
    ttl_days: Option<Spanned<u32>>,
    /// Known, so that whoever writes a secret into the file is told where it belongs.
    password: Option<Spanned<IgnoredAny>>,
    token: Option<Spanned<IgnoredAny>>,
}

/// A setting and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) place: Place,
}

/// The settings of one remote by key, and where its table begins.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) settings: BTreeMap<&'static str, Setting>,
    pub(super) place: Place,
    /// Relative paths begin here.
    pub(super) folder: PathBuf,
}

/// The remotes of the file at `path`; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<BTreeMap<String, Section>>, Refusal> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text).map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Refusal::new(
            Place::File(path.to_owned(), 1),
            format!("the file cannot be read: {error}"),
            "make it readable, or name another one with --config",
        )),
    }
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<String, Section>, Refusal> {
    let place = |span: &Range<usize>| Place::File(path.to_owned(), line_of(text, span.start));
    let tables: BTreeMap<String, Spanned<Table>> = toml::from_str(text).map_err(|error| {
        // Only the message: the whole error quotes the line, which may hold a secret.
        let at = place(&error.span().unwrap_or(0..0));
        Refusal::new(at, error.message(), "a remote is a table [name] of lines like url = \"https://...\"")
    })?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let section = |(name, table): (String, Spanned<Table>)| {
        let at = place(&table.span());
        check_name(&name, &at)?;
        let settings = settings(table.into_inner(), &place)?;
        Ok((name, Section { settings, place: at, folder: folder.clone() }))
    };
    tables.into_iter().map(section).collect()
}

fn settings(table: Table, place: &impl Fn(&Range<usize>) -> Place) -> Result<BTreeMap<&'static str, Setting>, Refusal> {
    for (key, secret) in [("password", &table.password), ("token", &table.token)] {
        if let Some(secret) = secret {
            let what = format!("a {key} does not belong into this file");
            let instead = format!("write {key}_file = \"/path/of/a/file\" and give that file mode 0600");
            return Err(Refusal::new(place(&secret.span()), what, instead));
        }
    }
    let written = [
        ("service", table.service),
        ("url", table.url),
        ("user", table.user),
        ("password_file", table.password_file),
        ("token_file", table.token_file),
        ("folder", table.folder),
        ("chunk_size", table.chunk_size),
        ("org_id", table.org_id),
        ("cloud_org_id", table.cloud_org_id),
        ("parallel", table.parallel.map(|count| Spanned::new(count.span(), count.get_ref().to_string()))),
        ("ca_file", table.ca_file),
        ("proxy", table.proxy),
        ("comment", table.comment),
        ("text", table.text),
        // As a variable would say it.
        ("tags", table.tags.map(|tags| Spanned::new(tags.span(), tags.get_ref().join(",")))),
        ("maxlag", table.maxlag.map(|seconds| Spanned::new(seconds.span(), seconds.get_ref().to_string()))),
        ("root", table.root),
        ("dialect", table.dialect),
        ("file_max", table.file_max),
        ("ttl_days", table.ttl_days.map(|days| Spanned::new(days.span(), days.get_ref().to_string()))),
    ];
    let mut settings = BTreeMap::new();
    for (key, value) in written {
        let Some(value) = value else { continue };
        let at = place(&value.span());
        let value = value.into_inner();
        if value.is_empty() {
            return Err(Refusal::new(at, format!("{key} is empty"), "write a value, or leave the line out"));
        }
        settings.insert(key, Setting { value, place: at });
    }
    Ok(settings)
}

/// The name of a remote becomes the name of a directory (its spool) and of a systemd unit.
pub(super) fn check_name(name: &str, place: &Place) -> Result<(), Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) && name.len() <= 64 {
        return Ok(());
    }
    let what = format!("{name:?} cannot be the name of a remote");
    Err(Refusal::new(place.clone(), what, "use up to 64 letters, digits, '-', '_' and '.', a letter or digit first"))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(Path::new("/etc/c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_remote_is_a_table() {
        let sections =
            parse(Path::new("/etc/x/c.toml"), "# mine\n\n[wiki]\nservice = \"memory\"\nuser = \"me\"\n[b]\n").unwrap();
        let wiki = &sections["wiki"];
        assert_eq!(wiki.place, Place::File("/etc/x/c.toml".into(), 3));
        assert_eq!((wiki.settings["user"].value.as_str(), wiki.folder.as_path()), ("me", Path::new("/etc/x")));
        assert_eq!(wiki.settings["user"].place, Place::File("/etc/x/c.toml".into(), 5));
        assert_eq!(sections.len(), 2);
    }

    #[test]
    fn every_complaint_has_its_line_and_a_way_out() {
        for (text, line, about) in [
            ("[a]\n\nusr = \"x\"\n", 3, "unknown field `usr`, expected one of `service`"),
            ("[a]\nurl = 3\n", 2, "invalid type: integer `3`, expected a string"),
            ("[a]\nurl = \"x\"\nurl = \"y\"\n", 3, "duplicate key"),
            ("[a]\nurl = \"x\n", 2, "line"),
            ("service = \"memory\"\n", 1, "a remote is a table"),
            ("[a]\nurl = \"\"\n", 2, "url is empty"),
            ("\n[\"a/b\"]\n", 2, "cannot be the name of a remote"),
            ("[\".a\"]\n", 1, "cannot be the name of a remote"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with(&format!("/etc/c.toml:{line}: ")), "{text:?}: {refusal}");
            assert!(refusal.contains(about), "{text:?}: {refusal}");
        }
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_shown() {
        for text in ["[a]\npassword = \"geheim\"\n", "[a]\ntoken = \"geheim\"\n", "[a]\npassword = \"geheim\" x\n"] {
            let refusal = refusal(text);
            assert!(refusal.starts_with("/etc/c.toml:2: ") && !refusal.contains("geheim"), "{refusal}");
        }
        assert!(refusal("[a]\npassword = \"geheim\"\n").contains("password_file = "));
    }

    #[test]
    fn no_file_is_no_remotes_and_an_unreadable_one_is_refused() {
        assert!(read(Path::new("/no/such/config.toml")).unwrap().is_none());
        assert!(read(Path::new("/")).unwrap_err().to_string().contains("cannot be read"));
    }
}
