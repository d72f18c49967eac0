//! Where a file stands on the service. A rename changes it; a commit, a rename and a removal of the same file exclude
//! one another, so that each of them acts on the name it believes in.

use std::sync::{Mutex, PoisonError};

use crate::path::RemotePath;

/// The remote path of one file, which may change.
#[derive(Debug)]
pub struct Place {
    path: Mutex<RemotePath>,
    /// Held while a request is under way that fixes or changes the name.
    settled: tokio::sync::Mutex<()>,
}

impl Place {
    /// A file that stands at `path`.
    pub fn new(path: RemotePath) -> Self {
        Place { path: Mutex::new(path), settled: tokio::sync::Mutex::new(()) }
    }

    /// Where the file stands now.
    pub fn get(&self) -> RemotePath {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file was renamed.
    pub fn set(&self, path: RemotePath) {
        *self.path.lock().unwrap_or_else(PoisonError::into_inner) = path;
    }

    /// Waits for requests that depend on the name, and keeps others away while the guard lives.
    pub async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.settled.lock().await
    }
}
