//! `check`.

use super::args::CheckArgs;
use super::say::Say;
use super::{Error, Outcome};
use crate::server;
use crate::settings::Sources;

/// Says everything that is wrong, not only the first.
pub(super) fn check(say: &Say, args: &CheckArgs) -> Outcome {
    let sources = Sources {
        conf_file: Some(args.conf.clone()),
        ..Sources::of_process()
    };
    match server::load_settings(&sources) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| say.warn(warning));
            say.info(&format!("configuration at {} is valid", args.conf.display()));
            Ok(0)
        }
        Err(error) => {
            error.all().iter().for_each(|complaint| say.error(complaint));
            Err(Error::Said)
        }
    }
}
