//! The numbers that the kernel knows open files and directories by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::file::Handle;
use crate::tree::Listed;

/// Open things of one kind, by number.
pub(super) struct Handles<T> {
    next: AtomicU64,
    open: RwLock<HashMap<u64, Arc<T>>>,
}

/// Open files.
pub(super) type FileHandles = Handles<Handle>;

/// Open directories: what they held when they were opened, so that a reader sees each entry once.
pub(super) type DirectoryHandles = Handles<Vec<Listed>>;

impl<T> Handles<T> {
    pub(super) fn new() -> Self {
        Handles::from(1)
    }

    /// Numbered from `first` on.
    pub(super) fn from(first: u64) -> Self {
        Handles { next: AtomicU64::new(first), open: RwLock::default() }
    }

    pub(super) fn add(&self, thing: Arc<T>) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(number, thing);
        number
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<T>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    pub(super) fn remove(&self, number: u64) -> Option<Arc<T>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }
}
