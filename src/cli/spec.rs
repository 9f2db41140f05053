//! `spec`: busted-style specs.

use super::{Error, Outcome};
use crate::server;
use crate::settings::{Settings, Sources};

/// The environment alone makes the settings: specs mean the same on every machine.
pub(super) fn spec(args: Vec<String>) -> Outcome {
    let sources = Sources {
        usual_files: Vec::new(),
        ..Sources::of_process()
    };
    let settings = Settings::load(&sources)?.settings;
    let code = server::spec(settings, args).map_err(Error::Message)?;
    Ok(u8::try_from(code).unwrap_or(1))
}
