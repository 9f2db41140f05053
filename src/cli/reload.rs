//! `reload`.

use super::args::RunArgs;
use super::say::Say;
use super::{Error, Outcome, prefix, start, stop};
use crate::server::process::Signal;
use crate::server::{self, pidfile};
use crate::settings::Sources;

/// What the gateway was started with, with what is given now put over it, is checked, written to `.kong_env` and
/// read from there by the gateway.
pub(super) fn reload(say: &Say, args: &RunArgs) -> Outcome {
    // Without a -p, only the settings given now can say where the gateway is.
    let found = match &args.place.prefix {
        Some(_) => prefix::locate(&args.place)?,
        None => {
            let found = prefix::load(&say.quiet(), args)?.prefix;
            if !found.exists() {
                return Err(Error::Message(format!("no such prefix: {}", found.display())));
            }
            found
        }
    };
    if pidfile::running(&prefix::pid_file(&found)).is_none() {
        return Err(Error::Message(format!(
            "nginx not running in prefix: {}",
            found.display()
        )));
    }
    let sources = Sources {
        kong_env: std::fs::read_to_string(found.join(".kong_env")).ok(),
        conf_file: args.conf.clone(),
        config_json: args.declared().cloned(),
        prefix: Some(found.clone()),
        usual_files: Vec::new(),
        ..Sources::of_process()
    };
    let settings = prefix::load_sources(say, &sources)?;
    if let Some(file) = start::declared(&settings).file {
        server::parse_config(settings.clone(), &file)
            .map_err(|error| Error::Message(format!("Failed parsing:\n{error}")))?;
    }
    prefix::prepare(&settings)?;
    stop::signal(say, &found, Signal::Hup)?;
    say.info("Kong reloaded");
    Ok(0)
}
