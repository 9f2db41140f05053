//! `stop`, `quit`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::args::{Place, QuitArgs};
use super::say::Say;
use super::{Error, Outcome, prefix};
use crate::server::pidfile;
use crate::server::process::{self, Signal};

const POLL: Duration = Duration::from_millis(50);
/// A gateway told to stop at once is gone within this; if not, that is not waited for.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait a command line can ask for.
const A_DAY: f64 = 86_400.0;

pub(super) fn stop(say: &Say, place: &Place) -> Outcome {
    let prefix = prefix::locate(place)?;
    signal(say, &prefix, Signal::Term)?;
    gone_within(&prefix, STOP_TIMEOUT);
    say.info("Kong stopped");
    Ok(0)
}

pub(super) fn quit(say: &Say, args: &QuitArgs) -> Outcome {
    let prefix = prefix::locate(&args.place)?;
    let wait = seconds(args.wait, 0.0);
    if !wait.is_zero() {
        say.verbose(&format!("waiting {} seconds before quitting", args.wait));
        if gone_within(&prefix, wait) {
            say.error("Kong stopped while waiting (unexpected)");
            return Ok(0);
        }
    }
    signal(say, &prefix, Signal::Quit)?;
    say.verbose("waiting for nginx to finish processing requests");
    if gone_within(&prefix, seconds(args.timeout, 1.0)) {
        say.info("Kong stopped (gracefully)");
        return Ok(0);
    }
    say.verbose(&format!(
        "nginx is still running at {}, forcing shutdown",
        prefix.display()
    ));
    signal(say, &prefix, Signal::Term)?;
    gone_within(&prefix, STOP_TIMEOUT);
    say.info("Timeout, Kong stopped forcefully");
    Ok(0)
}

/// Sends `signal` to the gateway at `prefix`.
pub(super) fn signal(say: &Say, prefix: &Path, signal: Signal) -> Result<(), Error> {
    let path = prefix::pid_file(prefix);
    let Some(pid) = pidfile::running(&path) else {
        return Err(Error::Message(format!(
            "nginx not running in prefix: {}",
            prefix.display()
        )));
    };
    say.verbose(&format!(
        "sending {signal:?} signal to nginx running at {}",
        path.display()
    ));
    process::send(pid, signal).map_err(|error| Error::Message(format!("could not send signal: {error}")))
}

fn seconds(asked: f64, least: f64) -> Duration {
    let asked = if asked.is_nan() { least } else { asked };
    Duration::from_secs_f64(asked.clamp(least, A_DAY))
}

fn gone_within(prefix: &Path, timeout: Duration) -> bool {
    let path = prefix::pid_file(prefix);
    let given_up = Instant::now() + timeout;
    loop {
        if pidfile::running(&path).is_none() {
            return true;
        }
        if Instant::now() >= given_up {
            return false;
        }
        std::thread::sleep(POLL);
    }
}
