//! Log levels and where logs go.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// nginx's log levels, the gravest first, so that `level <= threshold` means "write it".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// `emerg`
    Emerg = 1,
    /// `alert`
    Alert,
    /// `crit`
    Crit,
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `notice`
    Notice,
    /// `info`
    Info,
    /// `debug`
    Debug,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Off,
    /// `/dev/stdout`
    Stdout,
    /// `/dev/stderr`
    Stderr,
    /// A file, absolute.
    File(PathBuf),
}

/// An access log: where, and in which named format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLog {
    /// Where the lines go.
    pub target: LogTarget,
    /// The name of an nginx `log_format`, such as `basic`; `None` is nginx's `combined`.
    pub format: Option<String>,
}

// === impl LogLevel ===

impl LogLevel {
    /// Kong's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emerg => "emerg",
            Self::Alert => "alert",
            Self::Crit => "crit",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl FromStr for LogLevel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "emerg" => Self::Emerg,
            "alert" => Self::Alert,
            "crit" => Self::Crit,
            "error" => Self::Error,
            "warn" => Self::Warn,
            "notice" => Self::Notice,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return Err(()),
        })
    }
}

// === impl LogTarget ===

impl LogTarget {
    /// Reads `off`, `stdout`, `/dev/stderr` or a path, taken from `prefix` when relative.
    pub(super) fn parse(text: &str, prefix: &Path) -> Self {
        match text {
            "" | "off" => Self::Off,
            "/dev/stdout" | "stdout" => Self::Stdout,
            "/dev/stderr" | "stderr" => Self::Stderr,
            path => Self::File(prefix.join(path)),
        }
    }
}

// === impl AccessLog ===

impl AccessLog {
    pub(super) fn parse(text: &str, prefix: &Path) -> Self {
        let mut words = text.split_whitespace();
        let target = LogTarget::parse(words.next().unwrap_or_default(), prefix);
        Self {
            target,
            format: words.next().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a12_log_targets() {
        let prefix = Path::new("/srv/kong");
        let access = AccessLog::parse("logs/access.log basic", prefix);
        assert_eq!(access.target, LogTarget::File("/srv/kong/logs/access.log".into()));
        assert_eq!(access.format.as_deref(), Some("basic"));
        assert_eq!(
            AccessLog::parse("off", prefix),
            AccessLog {
                target: LogTarget::Off,
                format: None
            }
        );
        assert_eq!(LogTarget::parse("/dev/stdout", prefix), LogTarget::Stdout);
        assert_eq!(LogTarget::parse("stderr", prefix), LogTarget::Stderr);
        assert_eq!(
            LogTarget::parse("/var/log/e.log", prefix),
            LogTarget::File("/var/log/e.log".into())
        );
    }

    #[test]
    fn a12_log_levels_are_ordered() {
        assert!(LogLevel::Error < LogLevel::Notice);
        for name in [
            "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
        ] {
            assert_eq!(name.parse::<LogLevel>().map(LogLevel::as_str), Ok(name));
        }
        assert!("loud".parse::<LogLevel>().is_err());
    }
}
