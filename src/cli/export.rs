//! `uploadfs export FILE DEST`: copies a file as the mount has it to a place outside, so that what the service does not
//! take is safe elsewhere. DEST is complete, or not there.
//!
//! The bytes go into a file of another name beside DEST, are synced and counted, and then get the name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use tempfile::NamedTempFile;

use super::mounted::{check_ours, is_ours, refusal, shown};
use super::status::say;
use crate::config::Refusal;

/// Read, write and execute for all: what a copy takes over of a mode.
const PERMISSIONS: u32 = 0o777;

/// What is typed after `export`.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// A file in a mount
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The name of the copy, outside of mounts
    #[arg(value_name = "DEST")]
    dest: PathBuf,
    /// Replace DEST if it exists
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &ExportArgs) -> anyhow::Result<()> {
    let (file, dest) = (&arguments.file, &arguments.dest);
    check_ours(file)?;
    let folder = check_dest(dest, arguments.force)?;
    let not_exported = || format!("{} is not exported, and {} is as it was", shown(file), shown(dest));
    let copied = copy(file, folder).with_context(not_exported)?;
    let bytes = copied.bytes;
    match arguments.force {
        true => copied.file.persist(dest),
        false => copied.file.persist_noclobber(dest),
    }
    .map_err(|error| error.error)
    .with_context(not_exported)?;
    // The name, too, has to survive a power cut.
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("{} is there, but its directory could not be synced", shown(dest)))?;
    say(&format!("{}: {bytes} bytes\n", shown(dest)))
}

/// The directory of `dest`, if a copy may be made there.
fn check_dest(dest: &Path, force: bool) -> Result<&Path, Refusal> {
    let folder = match dest.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(refusal("/ is a directory", "name a file")),
    };
    match fs::symlink_metadata(dest) {
        Ok(about) if about.is_dir() => {
            return Err(refusal(format!("{} is a directory", shown(dest)), "name the file in it"));
        }
        Ok(_) if !force => {
            return Err(refusal(format!("{} exists", shown(dest)), "name another, or replace it with --force"));
        }
        Ok(_) | Err(_) => {}
    }
    // A copy in a mount would be an upload, and its passing name a file on the service.
    if is_ours(folder).unwrap_or(false) {
        return Err(refusal(format!("{} lies in a mount", shown(dest)), "name a place outside, or use cp"));
    }
    Ok(folder)
}

/// A copy without its name.
struct Copied {
    file: NamedTempFile,
    bytes: u64,
}

/// Copies `file` into a file without a lasting name in `folder`.
fn copy(file: &Path, folder: &Path) -> anyhow::Result<Copied> {
    let mut source = File::open(file).context("it cannot be opened")?;
    let about = source.metadata().context("it cannot be read")?;
    if !about.is_file() {
        bail!("it is not a file");
    }
    let mode = fs::Permissions::from_mode(about.permissions().mode() & PERMISSIONS);
    let mut copy = tempfile::Builder::new()
        .prefix(".uploadfs-export-")
        .permissions(mode)
        .tempfile_in(folder)
        .with_context(|| format!("nothing can be written in {}", shown(folder)))?;
    let bytes = io::copy(&mut source, copy.as_file_mut()).context("copying failed")?;
    copy.as_file().sync_all().context("the disk did not take it")?;
    let (before, after) = (about.len(), source.metadata().context("it cannot be read")?.len());
    let written = copy.as_file().metadata().context("the copy cannot be read")?.len();
    if [bytes, after, written] != [before; 3] {
        bail!("it had {before} bytes, then {after}; {bytes} were read and {written} written: did a program change it?");
    }
    Ok(Copied { file: copy, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_replaced_only_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let (there, missing) = (dir.path().join("there"), dir.path().join("missing"));
        fs::write(&there, "x").unwrap();
        assert_eq!(check_dest(&missing, false).unwrap(), dir.path());
        assert!(check_dest(&there, false).unwrap_err().to_string().contains("--force"));
        assert_eq!(check_dest(&there, true).unwrap(), dir.path());
        for force in [false, true] {
            assert!(check_dest(dir.path(), force).unwrap_err().to_string().contains("is a directory"));
            assert!(check_dest(Path::new("/"), force).is_err());
        }
        assert_eq!(check_dest(Path::new("no-such-name"), false).unwrap(), Path::new("."));
        // A link is a name that is taken, wherever it leads.
        std::os::unix::fs::symlink("nowhere", &missing).unwrap();
        assert!(check_dest(&missing, false).is_err());
    }

    #[test]
    fn a_copy_has_the_bytes_and_the_mode() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, vec![7; 300_000]).unwrap();
        fs::set_permissions(&source, fs::Permissions::from_mode(0o640)).unwrap();
        let copied = copy(&source, dir.path()).unwrap();
        assert_eq!(copied.bytes, 300_000);
        assert_eq!(fs::read(copied.file.path()).unwrap(), vec![7; 300_000]);
        assert_eq!(copied.file.as_file().metadata().unwrap().permissions().mode() & 0o777, 0o640);
        drop(copied);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left of a copy that got no name");
    }

    #[test]
    fn what_is_no_file_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        assert!(copy(dir.path(), dir.path()).is_err());
        assert!(copy(&dir.path().join("missing"), dir.path()).is_err());
        let nowhere = dir.path().join("no/such");
        fs::write(dir.path().join("f"), "x").unwrap();
        let said = format!("{:#}", copy(&dir.path().join("f"), &nowhere).err().unwrap());
        assert!(said.contains("nothing can be written"), "{said}");
    }
}
