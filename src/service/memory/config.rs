//! What a memory service pretends to be: capability, name rules, paging, and whether it keeps the bytes. The presets
//! are the families of real services, so that everything above a service can be tried against each family without one.

use crate::error::{Error, Kind, Result};
use crate::path::{RemotePath, extension};
use crate::service::{Capability, EARLY_BYTES, Flow, NamedAt, OPEN_AFTER_BYTES, PartRules, SizePolicy};

/// 1 KiB, in bytes.
const KIB: u64 = 1 << 10;
/// 1 MiB, in bytes.
const MIB: u64 = 1 << 20;
/// 1 GiB, in bytes.
const GIB: u64 = 1 << 30;

/// Parts under way at once where a family sends in parallel: what the services that allow it recommend.
const WIDTH: usize = 4;

/// Entries on one page of a listing: what the services answer when nobody asks for more.
const PAGE_ENTRIES: usize = 500;

/// What becomes of the bytes of a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// They can be read again.
    Bytes,
    /// Only size and SHA-1 stay, so that uploads larger than memory can be measured; reading answers `Unsupported`.
    Digest,
    /// Only the size stays and nothing is hashed, so that what is measured is the way to the service and not SHA-1;
    /// reading answers `Unsupported`.
    Size,
}

/// Which names the service takes, and which of them are the same.
#[derive(Clone, Debug)]
pub struct Names {
    /// The longest name, in bytes.
    pub bytes_max: usize,
    /// Characters no name may have.
    pub forbidden: &'static str,
    /// Extensions (lower case, without the dot) that are refused.
    pub refused: &'static [&'static str],
    /// Whether the first letter of a name is always a capital, so that `a` and `A` are one file.
    pub capitalise: bool,
}

impl Names {
    /// The name under which `name` is filed.
    pub(super) fn canonical(&self, name: &str) -> String {
        let mut characters = name.chars();
        match characters.next() {
            Some(first) if self.capitalise => first.to_uppercase().chain(characters).collect(),
            _ => name.to_owned(),
        }
    }

    /// The path under which `path` is filed.
    pub(super) fn canonical_path(&self, path: &RemotePath) -> RemotePath {
        match path.parent() {
            Some(parent) => self.canonical_path(&parent).join(&self.canonical(path.name())),
            None => RemotePath::root(),
        }
    }

    fn check(&self, name: &str) -> Result<()> {
        let refuse = |kind, what| Err(Error::new(kind, "name", what));
        if name.len() > self.bytes_max {
            return refuse(Kind::NameTooLong, format!("a name has at most {} bytes", self.bytes_max));
        }
        if let Some(bad) = name.chars().find(|c| self.forbidden.contains(*c)) {
            return refuse(Kind::BadName, format!("a name must not have the character {bad:?}"));
        }
        match extension(name) {
            Some(extension) if self.refused.contains(&extension.as_str()) => {
                refuse(Kind::Refused, format!("files of type .{extension} are not taken"))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Names {
    /// Everything Linux can name.
    fn default() -> Self {
        Names { bytes_max: crate::path::NAME_BYTES_MAX, forbidden: "", refused: &[], capitalise: false }
    }
}

/// What a memory service is like.
#[derive(Clone, Debug)]
pub struct MemoryConfig {
    /// What it announces, and then insists on.
    pub capability: Capability,
    /// Which names it takes.
    pub names: Names,
    /// What becomes of the bytes.
    pub keep: Keep,
    /// Entries on one page of a listing.
    pub page_entries: usize,
}

impl MemoryConfig {
    /// A service with this capability that takes every name and keeps every byte.
    pub fn new(capability: Capability) -> Self {
        MemoryConfig { capability, names: Names::default(), keep: Keep::Bytes, page_entries: PAGE_ENTRIES }
    }

    /// What `uploadfs mount memory DIR` shows a newcomer: a service that can do everything.
    pub fn friendly() -> Self {
        MemoryConfig::new(Capability {
            policy: SizePolicy::Streamed(PartRules { early: Some(EARLY_BYTES), ..parallel_rules(1, 64 * MIB) }),
            file_max: 64 * GIB,
            whole_max: 8 * MIB,
            named_at: NamedAt::Finish,
            empty_files: true,
            directories: true,
            rename: true,
            rename_replaces: true,
            sha1: false,
        })
    }

    /// Streamed, strictly in order, the first part opens the session, flat, no empty files: a wiki.
    pub fn streamed_sequential() -> Self {
        MemoryConfig::new(Capability {
            policy: SizePolicy::Streamed(PartRules {
                size: 8 * MIB,
                min: KIB,
                max: 16 * MIB,
                multiple: 1,
                count_max: u32::MAX,
                first_max: Some(64 * KIB),
                hold_back: 1,
                open_after: OPEN_AFTER_BYTES,
                early: Some(EARLY_BYTES),
                flow: Flow::Sequential,
                rewrite: false,
                opens_with_part: true,
                last_makes_file: false,
            }),
            file_max: 4 * GIB,
            whole_max: MIB,
            named_at: NamedAt::Finish,
            empty_files: false,
            directories: false,
            rename: false,
            rename_replaces: false,
            sha1: true,
        })
    }

    /// Streamed, many parts at once, 5 MiB at least: an object store.
    pub fn streamed_parallel() -> Self {
        MemoryConfig::new(Capability {
            policy: SizePolicy::Streamed(parallel_rules(5 * MIB, 64 * MIB)),
            file_max: 64 * GIB,
            whole_max: 8 * MIB,
            named_at: NamedAt::Begin,
            empty_files: true,
            directories: true,
            rename: false,
            rename_replaces: false,
            sha1: false,
        })
    }

    /// The size comes first, then the parts in order and all of one size: an office portal's older generation.
    pub fn declared_sequential() -> Self {
        let mut config = MemoryConfig::declared_parallel();
        let rules = PartRules { flow: Flow::Sequential, rewrite: false, ..parallel_rules(10 * MIB, 10 * MIB) };
        config.capability.policy = SizePolicy::Declared(PartRules { multiple: 10 * MIB, ..rules });
        config
    }

    /// The size comes first, then the parts in any order and all of one size: an office portal.
    pub fn declared_parallel() -> Self {
        MemoryConfig::new(Capability {
            policy: SizePolicy::Declared(PartRules { multiple: 10 * MIB, ..parallel_rules(10 * MIB, 10 * MIB) }),
            file_max: 64 * GIB,
            whole_max: 0,
            named_at: NamedAt::Begin,
            empty_files: false,
            directories: true,
            rename: true,
            rename_replaces: false,
            sha1: false,
        })
    }

    /// One request carries the whole file: a files API without sessions.
    pub fn whole() -> Self {
        let max = 512 * MIB;
        MemoryConfig::new(Capability {
            policy: SizePolicy::Whole { max },
            file_max: max,
            whole_max: max,
            named_at: NamedAt::Begin,
            empty_files: false,
            directories: false,
            rename: false,
            rename_replaces: false,
            sha1: false,
        })
    }

    /// The same service, which keeps more or less of each file.
    #[must_use]
    pub fn keeping(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// The same service with other part rules; without effect where there are no parts.
    #[must_use]
    pub fn with_rules(mut self, change: impl FnOnce(&mut PartRules)) -> Self {
        match &mut self.capability.policy {
            SizePolicy::Streamed(rules) | SizePolicy::Declared(rules) => change(rules),
            SizePolicy::Whole { .. } => {}
        }
        self
    }

    /// Whether a file of this name could exist.
    pub(super) fn check_name(&self, path: &RemotePath) -> Result<()> {
        if path.is_root() {
            return Err(Error::new(Kind::IsDirectory, "name", "the root is not a file"));
        }
        if !self.capability.directories && path.as_str().contains('/') {
            return Err(Error::new(Kind::BadName, "name", "the service has no directories"));
        }
        path.as_str().split('/').try_for_each(|name| self.names.check(name))
    }
}

fn parallel_rules(min: u64, max: u64) -> PartRules {
    PartRules {
        size: (8 * MIB).clamp(min, max),
        min,
        max,
        multiple: 1,
        count_max: 10_000,
        first_max: None,
        hold_back: 0,
        open_after: OPEN_AFTER_BYTES,
        early: None,
        flow: Flow::Parallel(WIDTH),
        rewrite: true,
        opens_with_part: false,
        last_makes_file: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_keeps_its_own_arithmetic() {
        for config in [
            MemoryConfig::friendly(),
            MemoryConfig::streamed_sequential(),
            MemoryConfig::streamed_parallel(),
            MemoryConfig::declared_sequential(),
            MemoryConfig::declared_parallel(),
            MemoryConfig::whole(),
        ] {
            let capability = &config.capability;
            assert!(capability.whole_max <= capability.file_max);
            let Some(rules) = capability.policy.rules() else {
                assert!(capability.whole_max > 0, "a service takes files in some way");
                continue;
            };
            assert!(rules.min <= rules.size && rules.size <= rules.max, "{rules:?}");
            assert_eq!(rules.size % rules.multiple, 0, "{rules:?}");
            assert!(rules.first_max.is_none_or(|first| rules.min <= first && first <= rules.max), "{rules:?}");
            assert!(u64::from(rules.count_max) * rules.max >= capability.file_max, "{rules:?}");
        }
    }

    #[test]
    fn names_are_refused_by_what_is_wrong_with_them() {
        let mut config = MemoryConfig::whole();
        config.names = Names { bytes_max: 10, forbidden: "#:", refused: &["exe"], capitalise: true };
        let kind = |text: &str| config.check_name(&RemotePath::parse(text).unwrap()).map_err(|error| error.kind);
        assert_eq!(kind("fine.txt"), Ok(()));
        assert_eq!(kind("a:b"), Err(Kind::BadName));
        assert_eq!(kind("x.EXE"), Err(Kind::Refused));
        assert_eq!(kind("12345678901"), Err(Kind::NameTooLong));
        assert_eq!(kind("d/x"), Err(Kind::BadName));
        assert_eq!(kind(""), Err(Kind::IsDirectory));
    }

    #[test]
    fn a_capital_is_the_same_name() {
        let names = Names { capitalise: true, ..Names::default() };
        assert_eq!(names.canonical("école"), "École");
        assert_eq!(names.canonical_path(&RemotePath::parse("a/b").unwrap()).as_str(), "A/B");
        assert_eq!(Names::default().canonical("a"), "a");
    }
}
