//! What was heard of lately, by name: a bounded memory that forgets the oldest first. For what helps and is not needed.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// So many names are remembered.
const REMEMBERED_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// Values by name.
pub(super) struct Recent<T>(Mutex<LruCache<String, T>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent(Mutex::new(LruCache::new(REMEMBERED_MAX)))
    }
}

impl<T: Clone> Recent<T> {
    fn values(&self) -> MutexGuard<'_, LruCache<String, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers `value`, in place of what was there.
    pub(super) fn put(&self, name: &str, value: T) {
        self.values().put(name.to_owned(), value);
    }

    /// What is remembered of `name`.
    pub(super) fn get(&self, name: &str) -> Option<T> {
        self.values().get(name).cloned()
    }

    /// All names that are remembered, which are forgotten with that.
    pub(super) fn take_names(&self) -> Vec<String> {
        let mut values = self.values();
        std::iter::from_fn(|| values.pop_lru()).map(|(name, _)| name).collect()
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.values().is_empty()
    }

    /// Forgets `name`.
    pub(super) fn forget(&self, name: &str) {
        self.values().pop(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let recent = Recent::default();
        recent.put("first", 0);
        recent.put("second", 0);
        recent.get("first");
        for number in 0..REMEMBERED_MAX.get() - 1 {
            recent.put(&number.to_string(), number);
        }
        assert_eq!((recent.get("first"), recent.get("second")), (Some(0), None));
        recent.forget("first");
        assert_eq!(recent.get("first"), None);
        assert_eq!(recent.take_names().len(), REMEMBERED_MAX.get() - 1);
        assert!(recent.is_empty());
        recent.put("last", 0);
        assert!(!recent.is_empty() && Recent::<()>::default().is_empty());
    }
}
