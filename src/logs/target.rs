//! Where a log goes, as the `*_access_log` and `*_error_log` settings say it.
//!
//! Must not: open anything.

use std::path::{Path, PathBuf};

/// Where lines are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nowhere.
    Off,
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

/// A log setting that names something that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// `syslog:` and `memory:`
    #[error("not supported: log target '{0}'")]
    NotSupported(String),
    /// The setting is empty.
    #[error("log target is empty")]
    Empty,
}

impl Target {
    /// Reads a setting; a relative path stands below `prefix`. What follows the path (a format's name or a
    /// level) comes back too.
    ///
    /// # Errors
    /// The setting is empty or names `syslog:` or `memory:`.
    pub fn parse<'a>(setting: &'a str, prefix: &Path) -> Result<(Self, Option<&'a str>), TargetError> {
        let mut words = setting.split_ascii_whitespace();
        let path = words.next().ok_or(TargetError::Empty)?;
        let target = match path {
            "off" => Self::Off,
            "/dev/stdout" | "stdout" => Self::Stdout,
            "/dev/stderr" | "stderr" => Self::Stderr,
            _ if path.starts_with("syslog:") || path.starts_with("memory:") => {
                return Err(TargetError::NotSupported(path.to_owned()));
            }
            _ => Self::File(prefix.join(path)),
        };
        Ok((target, words.next()))
    }
}
