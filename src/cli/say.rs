//! What commands print: Kong's messages in Kong's shapes.

use std::io::Write;

use time::OffsetDateTime;
use time::macros::format_description;

use super::args::Verbosity;

/// Prints for one command, as much as it was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Say {
    verbosity: Verbosity,
    quiet: bool,
}

// === impl Say ===

impl Say {
    pub fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            quiet: false,
        }
    }

    /// The same, with nothing said but warnings and failures.
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// What the command has to say.
    pub fn info(&self, message: &str) {
        match (self.quiet, self.is_verbose()) {
            (true, _) => {}
            (_, true) => dated("info", message, &mut std::io::stdout()),
            (_, false) => line(message, &mut std::io::stdout()),
        }
    }

    /// Said with `--v` or `--vv`.
    pub fn verbose(&self, message: &str) {
        if self.is_verbose() && !self.quiet {
            dated("verbose", message, &mut std::io::stdout());
        }
    }

    /// Said with `--vv`.
    pub fn debug(&self, message: &str) {
        if self.verbosity.vv && !self.quiet {
            dated("debug", message, &mut std::io::stdout());
        }
    }

    /// Worth knowing; to standard error.
    pub fn warn(&self, message: &str) {
        dated("warn", message, &mut std::io::stderr());
    }

    /// Wrong; to standard error.
    pub fn error(&self, message: &str) {
        dated("error", message, &mut std::io::stderr());
    }

    /// Why the command failed.
    pub fn failure(&self, message: &str) {
        let text = if self.is_verbose() {
            format!("Error: \n{message}")
        } else {
            format!("Error: {message}\n\n  Run with --v (verbose) or --vv (debug) for more details")
        };
        line(&text, &mut std::io::stderr());
    }

    fn is_verbose(&self) -> bool {
        self.verbosity.v || self.verbosity.vv
    }
}

/// A closed pipe is no reason to fail.
fn line(text: &str, out: &mut dyn Write) {
    let _ = writeln!(out, "{text}");
}

fn dated(level: &str, text: &str, out: &mut dyn Write) {
    let now = OffsetDateTime::now_local().unwrap_or_else(|_| OffsetDateTime::now_utc());
    let format = format_description!("[year]/[month]/[day] [hour]:[minute]:[second]");
    let date = now.format(&format).unwrap_or_default();
    line(&format!("{date} [{level}] {text}"), out);
}
