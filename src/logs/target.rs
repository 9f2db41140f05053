//! Where a log goes. The settings read it; here it is only told apart.
//!
//! Must not: open anything.

use std::path::PathBuf;

/// Where lines are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nowhere.
    Off,
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// A file, appended to; the path is absolute.
    File(PathBuf),
}
