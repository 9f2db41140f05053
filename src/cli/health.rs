//! `health`.

use super::args::Place;
use super::say::Say;
use super::{Error, Outcome, prefix};
use crate::server::pidfile;

pub(super) fn health(say: &Say, place: &Place) -> Outcome {
    let found = prefix::locate(place)?;
    let not_running = || Error::Message(format!("Kong is not running at {}", found.display()));
    if !found.join(".kong_env").exists() {
        return Err(not_running());
    }
    let running = pidfile::running(&prefix::pid_file(&found)).is_some();
    say.info(&format!(
        "{:.<12}{}",
        "nginx",
        if running { "running" } else { "not running" }
    ));
    say.info("");
    if !running {
        return Err(not_running());
    }
    say.info(&format!("Kong is healthy at {}", found.display()));
    Ok(0)
}
