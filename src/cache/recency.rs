//! In which order chunks were last used, over all contents: the one LRU of the cache. Holds names of chunks, not their
//! bytes, so that a reader or writer of a content needs this lock for a moment only and never while it copies.

use std::sync::Weak;

use lru::LruCache;

use super::content::Inner;

/// The name of a chunk: its content and its index in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) content: u64,
    pub(super) index: u64,
}

/// What eviction may do with a content's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// This is the only copy: written to the spool before it leaves memory.
    Kept,
    /// The service has it: may be forgotten at any time.
    Droppable,
}

/// The order. It names exactly the chunks that are in memory: both change under the lock of the content.
pub(super) struct Recency {
    order: LruCache<Key, Entry>,
    /// How many of the chunks may be forgotten; so that a writer who finds none does not search.
    droppable: usize,
}

struct Entry {
    content: Weak<Inner>,
    keeping: Keeping,
}

impl Recency {
    pub(super) fn new() -> Recency {
        Recency { order: LruCache::unbounded(), droppable: 0 }
    }

    /// How many chunks may be forgotten.
    pub(super) fn droppable(&self) -> usize {
        self.droppable
    }

    /// A chunk came into memory: the newest.
    pub(super) fn insert(&mut self, key: Key, content: Weak<Inner>, keeping: Keeping) {
        self.droppable += count(keeping);
        let before = self.order.put(key, Entry { content, keeping });
        debug_assert!(before.is_none(), "a chunk comes into memory once");
    }

    /// A chunk was used.
    pub(super) fn touch(&mut self, key: Key) {
        self.order.promote(&key);
    }

    /// A chunk left memory.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(entry) = self.order.pop(&key) {
            self.droppable -= count(entry.keeping);
        }
    }

    /// A chunk's content is kept, or not any more; its place in the order stays.
    pub(super) fn set_keeping(&mut self, key: Key, keeping: Keeping) {
        if let Some(entry) = self.order.peek_mut(&key) {
            self.droppable -= count(entry.keeping);
            self.droppable += count(keeping);
            entry.keeping = keeping;
        }
    }

    /// The content of a chunk that is in memory.
    pub(super) fn content(&self, key: Key) -> Option<Weak<Inner>> {
        self.order.peek(&key).map(|entry| entry.content.clone())
    }

    /// The chunk that may be forgotten and was not used for the longest time.
    pub(super) fn oldest_droppable(&self) -> Option<(Key, Weak<Inner>)> {
        if self.droppable == 0 {
            return None;
        }
        let oldest = self.order.iter().rev().find(|(_, entry)| entry.keeping == Keeping::Droppable);
        oldest.map(|(key, entry)| (*key, entry.content.clone()))
    }

    /// The oldest chunk of `content`.
    pub(super) fn oldest_of(&self, content: u64) -> Option<Key> {
        self.order.iter().rev().map(|(key, _)| *key).find(|key| key.content == content)
    }

    /// All chunks, or those of one content, the oldest first.
    pub(super) fn oldest_first(&self, of: Option<u64>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::with_capacity(self.order.len());
        keys.extend(
            self.order.iter().rev().map(|(key, _)| *key).filter(|key| of.is_none_or(|content| key.content == content)),
        );
        keys
    }
}

fn count(keeping: Keeping) -> usize {
    match keeping {
        Keeping::Droppable => 1,
        Keeping::Kept => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(content: u64, index: u64) -> Key {
        Key { content, index }
    }

    #[test]
    fn the_oldest_leave_first() {
        let mut recency = Recency::new();
        recency.insert(key(1, 0), Weak::new(), Keeping::Kept);
        recency.insert(key(2, 0), Weak::new(), Keeping::Droppable);
        recency.insert(key(1, 1), Weak::new(), Keeping::Kept);
        recency.insert(key(2, 1), Weak::new(), Keeping::Droppable);
        assert_eq!(recency.oldest_first(None), [key(1, 0), key(2, 0), key(1, 1), key(2, 1)]);
        recency.touch(key(1, 0));
        recency.touch(key(2, 0));
        assert_eq!(recency.oldest_first(None), [key(1, 1), key(2, 1), key(1, 0), key(2, 0)]);
        assert_eq!(recency.oldest_first(Some(1)), [key(1, 1), key(1, 0)]);
        assert_eq!(recency.oldest_of(2), Some(key(2, 1)));
        assert_eq!(recency.oldest_droppable().map(|(key, _)| key), Some(key(2, 1)));
    }

    #[test]
    fn what_may_be_forgotten_is_counted() {
        let mut recency = Recency::new();
        recency.insert(key(1, 0), Weak::new(), Keeping::Kept);
        recency.insert(key(1, 1), Weak::new(), Keeping::Kept);
        assert!(recency.oldest_droppable().is_none());
        recency.set_keeping(key(1, 1), Keeping::Droppable);
        recency.set_keeping(key(1, 1), Keeping::Droppable);
        assert_eq!(recency.droppable(), 1);
        assert_eq!(recency.oldest_droppable().map(|(key, _)| key), Some(key(1, 1)));
        recency.remove(key(1, 1));
        recency.remove(key(1, 1));
        assert_eq!(recency.droppable(), 0);
        assert!(recency.content(key(1, 1)).is_none());
        assert!(recency.content(key(1, 0)).is_some());
    }
}
