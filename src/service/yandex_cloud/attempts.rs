//! Uploads of this mount, by the path they are for: what was sent last, under which name it is found again if its answer is
//! lost, and what earlier ones may still turn into. Lost with the process, which then knows of no doubt.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::answers::Stored;
use super::body::Seal;

/// Uploads that are remembered.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Uploads of one path that may still turn into a file, at most; more are forgotten, the oldest first.
const EARLIER_MAX: usize = 8;

/// One upload.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The name of the upload, in a label of its file.
    pub(super) upload: String,
    /// The name of the file on the service.
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u64,
    /// The files that it replaces: their ids, and the names they had.
    pub(super) old: Vec<(String, String)>,
    /// All files that had the name before.
    pub(super) before: Vec<String>,
    /// The checksums, once it was sent.
    pub(super) seal: Seal,
    /// The file it became, by the service's word.
    pub(super) made: Option<String>,
    /// Whether that is settled: checked, and what it replaces removed.
    pub(super) is_settled: bool,
}

impl Attempt {
    /// Whether the upload may have made `file`. Where there are no labels, a file of its name and size that was not there
    /// before is believed to be its own.
    pub(super) fn may_have_made(&self, file: &Stored, has_labels: bool) -> bool {
        match has_labels {
            true => file.upload.as_ref() == Some(&self.upload),
            false => file.name == self.name && file.size == Some(self.size) && !self.before.contains(&file.id),
        }
    }
}

struct Record {
    last: Attempt,
    /// Those before it that nobody knows the outcome of.
    earlier: Vec<Attempt>,
}

/// The uploads of a remote.
pub(super) struct Attempts {
    records: Mutex<LruCache<String, Record>>,
    /// Names of uploads that another one has taken the place of.
    abandoned: Mutex<LruCache<String, ()>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts {
            records: Mutex::new(LruCache::new(REMEMBERED_MAX)),
            abandoned: Mutex::new(LruCache::new(REMEMBERED_MAX)),
        }
    }
}

impl Attempts {
    fn records(&self) -> MutexGuard<'_, LruCache<String, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another upload for `path` begins; whatever came of the one before is not wanted any more.
    pub(super) fn begin(&self, path: &str, attempt: Attempt) {
        let mut records = self.records();
        let mut earlier = Vec::new();
        if let Some(record) = records.pop(path) {
            earlier = record.earlier;
            if !record.last.is_settled {
                let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
                abandoned.put(record.last.upload.clone(), ());
                earlier.push(record.last);
            }
        }
        let surplus = earlier.len().saturating_sub(EARLIER_MAX);
        earlier.drain(..surplus);
        records.put(path.to_owned(), Record { last: attempt, earlier });
    }

    /// The last upload for `path`.
    pub(super) fn last(&self, path: &str) -> Option<Attempt> {
        self.records().get(path).map(|record| record.last.clone())
    }

    /// Those before it that may still turn into a file.
    pub(super) fn earlier(&self, path: &str) -> Vec<Attempt> {
        self.records().get(path).map(|record| record.earlier.clone()).unwrap_or_default()
    }

    /// Whether a file that this upload has made is not wanted any more.
    pub(super) fn is_abandoned(&self, upload: &str) -> bool {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).contains(upload)
    }

    /// The service says that the upload has become the file `id`.
    pub(super) fn made(&self, path: &str, upload: &str, id: &str) {
        self.with(path, upload, |record| record.last.made = Some(id.to_owned()));
    }

    /// The upload is a file, as it was meant, and the only one.
    pub(super) fn settled(&self, path: &str, upload: &str) {
        self.with(path, upload, |record| {
            record.last.is_settled = true;
            record.earlier.clear();
        });
    }

    /// The service has certainly not made a file of it.
    pub(super) fn refused(&self, path: &str, upload: &str) {
        let mut records = self.records();
        let Some(mut record) = records.pop(path) else { return };
        if record.last.upload == upload {
            match record.earlier.pop() {
                Some(before) => record.last = before,
                None => return,
            }
        }
        records.put(path.to_owned(), record);
    }

    fn with(&self, path: &str, upload: &str, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.records().get_mut(path).filter(|record| record.last.upload == upload) {
            change(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(upload: &str) -> Attempt {
        Attempt {
            upload: upload.to_owned(),
            name: "a".to_owned(),
            size: 9,
            old: Vec::new(),
            before: vec!["f0".to_owned()],
            seal: Seal::default(),
            made: None,
            is_settled: false,
        }
    }

    fn file(id: &str, upload: Option<&str>) -> Stored {
        Stored {
            id: id.to_owned(),
            name: "a".to_owned(),
            created: std::time::SystemTime::UNIX_EPOCH,
            order: 0,
            expires: None,
            ttl_days: None,
            size: Some(9),
            upload: upload.map(str::to_owned),
        }
    }

    #[test]
    fn a_file_is_recognised_by_its_label_or_by_what_is_new() {
        assert!(attempt("u1").may_have_made(&file("f1", Some("u1")), true));
        assert!(!attempt("u1").may_have_made(&file("f1", Some("u2")), true));
        assert!(!attempt("u1").may_have_made(&file("f1", None), true));
        assert!(attempt("u1").may_have_made(&file("f1", None), false));
        assert!(!attempt("u1").may_have_made(&file("f0", None), false), "it was there before");
        assert!(!attempt("u1").may_have_made(&Stored { size: Some(8), ..file("f1", None) }, false));
    }

    #[test]
    fn what_came_before_is_not_forgotten_until_it_is_settled() {
        let attempts = Attempts::default();
        assert!(attempts.last("a").is_none());
        attempts.begin("a", attempt("u1"));
        attempts.begin("a", attempt("u2"));
        assert!(attempts.is_abandoned("u1") && !attempts.is_abandoned("u2"));
        assert_eq!(attempts.earlier("a").iter().map(|one| one.upload.as_str()).collect::<Vec<_>>(), ["u1"]);
        attempts.made("a", "u1", "f1");
        assert_eq!(attempts.last("a").unwrap().made, None, "that was another upload");
        attempts.made("a", "u2", "f2");
        attempts.settled("a", "u2");
        let last = attempts.last("a").unwrap();
        assert!(last.is_settled && last.made.as_deref() == Some("f2") && attempts.earlier("a").is_empty());
        attempts.begin("a", attempt("u3"));
        assert!(attempts.earlier("a").is_empty() && !attempts.is_abandoned("u2"), "what is settled stays");
    }

    #[test]
    fn a_refusal_leaves_what_was_in_doubt_before() {
        let attempts = Attempts::default();
        attempts.begin("a", attempt("u1"));
        attempts.refused("a", "u1");
        assert!(attempts.last("a").is_none());
        attempts.begin("a", attempt("u1"));
        attempts.begin("a", attempt("u2"));
        attempts.refused("a", "u2");
        assert_eq!(attempts.last("a").unwrap().upload, "u1");
    }

    #[test]
    fn the_memory_is_bounded() {
        let attempts = Attempts::default();
        for number in 0..20 {
            attempts.begin("a", attempt(&number.to_string()));
        }
        assert_eq!(attempts.earlier("a").len(), EARLIER_MAX);
    }
}
