//! A request's body in a file, removed with its last user where it is ours to remove.
//!
//! Must not: read or write it.

use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The file. Where it is temporary it goes when the last one lets go of it, however that comes about.
#[derive(Debug)]
pub struct BodyFile {
    path: PathBuf,
    temporary: bool,
}

// === impl BodyFile ===

impl BodyFile {
    /// A file of the gateway's own, or one that a plugin said to remove.
    pub fn temporary(path: PathBuf) -> Self {
        Self {
            path,
            temporary: true,
        }
    }

    /// A file that stays.
    pub fn kept(path: PathBuf) -> Self {
        Self {
            path,
            temporary: false,
        }
    }
}

impl Deref for BodyFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for BodyFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if self.temporary {
            // one call, as cheap as closing a file; nobody is left to tell of a failure
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
