//! Worker threads, accepting, signals, reload; the embedded echo upstream.

pub mod pidfile;
pub mod process;

use std::path::{Path, PathBuf};

use crate::settings::Settings;

/// Where the declarative configuration comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// A JSON or YAML file.
    pub file: Option<PathBuf>,
    /// The text itself.
    pub text: Option<String>,
}

/// Why the gateway did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part that isn't there.
    #[error("not supported: {0}")]
    NotSupported(&'static str),
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// What kept it from starting.
pub fn run(_settings: Settings, _declared: Source) -> Result<(), Error> {
    Err(Error::NotSupported("server::run"))
}

/// Checks a declarative file against the entities' and the plugins' schemas.
///
/// # Errors
/// What is wrong with it, as text for the user.
pub fn parse_config(_settings: Settings, _path: &Path) -> Result<(), String> {
    Err("not supported: server::parse_config".to_owned())
}

/// Runs specs; gives the exit code.
///
/// # Errors
/// What kept the runner from starting.
pub fn spec(_settings: Settings, _args: Vec<String>) -> Result<i32, String> {
    Err("not supported: server::spec".to_owned())
}
