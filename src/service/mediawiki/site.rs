//! What a wiki says about itself (`siteinfo`), as values. Asked for at sign-in and by `check`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::names::Names;

/// `$wgMinUploadChunkSize` by default.
const CHUNK_MIN: u64 = 1024;

/// A wiki.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Its name for people.
    pub(super) name: String,
    /// "MediaWiki 1.39.17".
    pub(super) generator: String,
    /// The largest file; no limit while nothing is known.
    pub(super) file_max: u64,
    /// The least a chunk may have, but for the last.
    pub(super) chunk_min: u64,
    /// Whether uploads are switched on.
    pub(super) uploads: bool,
    /// Why it cannot be written to, when so.
    pub(super) read_only: Option<String>,
    /// The rules for names.
    pub(super) names: Names,
}

impl Site {
    /// What is assumed before the wiki was asked: everything goes.
    pub(super) fn unknown() -> Site {
        Site {
            name: String::new(),
            generator: String::new(),
            file_max: u64::MAX,
            chunk_min: CHUNK_MIN,
            uploads: true,
            read_only: None,
            names: Names::default(),
        }
    }
}

/// The answer, under `query`.
#[derive(Debug, Deserialize)]
pub(super) struct SiteAnswer {
    general: General,
    #[serde(default)]
    fileextensions: Vec<Extension>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct General {
    sitename: String,
    generator: String,
    case: String,
    lang: String,
    readonly: bool,
    readonlyreason: String,
    uploadsenabled: bool,
    maxuploadsize: Option<u64>,
    minuploadchunksize: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Extension {
    ext: String,
}

impl From<SiteAnswer> for Site {
    fn from(answer: SiteAnswer) -> Site {
        let general = answer.general;
        let extensions: BTreeSet<String> = answer.fileextensions.into_iter().map(|e| e.ext.to_lowercase()).collect();
        Site {
            name: general.sitename,
            generator: general.generator,
            file_max: general.maxuploadsize.unwrap_or(u64::MAX),
            chunk_min: general.minuploadchunksize.unwrap_or(CHUNK_MIN).max(1),
            uploads: general.uploadsenabled,
            read_only: general.readonly.then_some(general.readonlyreason),
            names: Names::new(general.case != "case-sensitive", &general.lang, extensions),
        }
    }
}
