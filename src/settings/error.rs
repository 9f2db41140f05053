//! What can be wrong with settings.

use std::path::PathBuf;

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file named by `-c` does not exist.
    #[error("no file at: {}", .0.display())]
    NoFile(PathBuf),
    /// The file is there and can't be read.
    #[error("could not load config file: {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's word on it.
        source: std::io::Error,
    },
    /// `{vault://env/...}` names a variable that is not set.
    #[error("failed to dereference '{reference}': {reason} for config option '{key}'")]
    Dereference {
        /// The setting's name.
        key: String,
        /// The reference as written.
        reference: String,
        /// Why it has no value.
        reason: String,
    },
    /// A reference to a vault that is written in Lua, which cannot be read here.
    #[error("not supported: a vault written in Lua for this command's settings: {0}")]
    InLua(String),
    /// One or more values are wrong; shown is the first, as Kong does.
    #[error("{first}")]
    Invalid {
        /// The first of them.
        first: String,
        /// All of them, in the order of the keys.
        all: Vec<String>,
    },
}

impl Error {
    /// Every complaint, for `check`.
    pub fn all(&self) -> Vec<String> {
        match self {
            Self::Invalid { all, .. } => all.clone(),
            other => vec![other.to_string()],
        }
    }

    pub(super) fn invalid(all: Vec<String>) -> Result<(), Self> {
        match all.first() {
            None => Ok(()),
            Some(first) => Err(Self::Invalid {
                first: first.clone(),
                all,
            }),
        }
    }
}
