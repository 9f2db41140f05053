//! Log levels, by nginx's numbers and names.
//!
//! Must not: know where lines go.

use std::fmt;
use std::str::FromStr;

/// How grave a line is; the lower the number the graver, as in nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// `ngx.STDERR`, graver than any; nginx writes no name for it.
    Stderr = 0,
    /// `emerg`
    Emerg = 1,
    /// `alert`
    Alert = 2,
    /// `crit`
    Crit = 3,
    /// `error`, `err`
    Error = 4,
    /// `warn`
    Warn = 5,
    /// `notice`
    Notice = 6,
    /// `info`
    Info = 7,
    /// `debug`
    Debug = 8,
}

/// A name that is no log level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a log level (debug, info, notice, warn, error, crit, alert, emerg)")]
pub struct NotALevel(pub String);

impl Level {
    /// The name as it stands in a line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stderr => "",
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

    /// From the numbers Lua code knows as `ngx.ERR` and its like.
    pub fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Stderr,
            1 => Self::Emerg,
            2 => Self::Alert,
            3 => Self::Crit,
            4 => Self::Error,
            5 => Self::Warn,
            6 => Self::Notice,
            7 => Self::Info,
            8 => Self::Debug,
            _ => return None,
        })
    }
}

impl FromStr for Level {
    type Err = NotALevel;

    /// Reads nginx's names and Kong's `err`.
    fn from_str(name: &str) -> Result<Self, NotALevel> {
        Ok(match name {
            "emerg" => Self::Emerg,
            "alert" => Self::Alert,
            "crit" => Self::Crit,
            "error" | "err" => Self::Error,
            "warn" => Self::Warn,
            "notice" => Self::Notice,
            "info" => Self::Info,
            "debug" => Self::Debug,
            other => return Err(NotALevel(other.to_owned())),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
