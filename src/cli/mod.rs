//! The command line: Kong's commands, flags and messages.
//!
//! A command finds the settings, looks at the pid file and either signals a running gateway or hands over to
//! `server`. It keeps no state of its own beyond what lies below the prefix.
//!
//! Must not: know what a request or a plugin is.

mod args;
mod check;
mod config;
mod health;
mod prefix;
mod reload;
mod say;
mod spec;
mod start;
mod stop;
mod vault;
mod version;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Command, Line};
use say::Say;

/// Why a command failed, in words for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A message, Kong's where Kong has one.
    #[error("{0}")]
    Message(String),
    /// Settings that were refused.
    #[error(transparent)]
    Settings(#[from] crate::settings::Error),
    /// All that matters has been said.
    #[error("")]
    Said,
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

/// How a command went: its exit code.
type Outcome = Result<u8, Error>;

/// Reads the process's arguments, does what they say, gives the exit code.
pub fn main() -> ExitCode {
    match Line::try_parse() {
        Ok(line) => execute(line.command).into(),
        Err(error) => refuse(&error).into(),
    }
}

fn execute(command: Command) -> u8 {
    let say = Say::new(command.verbosity());
    let outcome = match command {
        Command::Run(args) => start::run(&say, &args),
        Command::Start(args) => start::start(&say, &args),
        Command::Restart(args) => start::restart(&say, &args),
        Command::Stop(args) => stop::stop(&say, &args.place),
        Command::Quit(args) => stop::quit(&say, &args),
        Command::Reload(args) => reload::reload(&say, &args),
        Command::Prepare(args) => start::prepare(&say, &args),
        Command::Health(args) => health::health(&say, &args.place),
        Command::Check(args) => check::check(&say, &args),
        Command::Config(args) => config::config(&say, &args),
        Command::Version(args) => version::version(&args),
        Command::Spec(args) => spec::spec(args.args),
        Command::Migrations(_) => not_supported("migrations", "there is no database to migrate"),
        Command::Hybrid(_) => not_supported("hybrid", "there is no hybrid mode"),
        Command::Vault(args) => vault::vault(&say, &args),
        Command::Drain(_) => not_supported("drain", "use 'moongate quit' to finish open requests and stop"),
    };
    match outcome {
        Ok(code) => code,
        Err(Error::Said) => 1,
        Err(error) => {
            say.failure(&error.to_string());
            1
        }
    }
}

fn not_supported(command: &str, why: &str) -> Outcome {
    Err(Error::Message(format!("not supported: {command}: {why}")))
}

/// Help and version are answers; anything else is a wrong command line, which Kong leaves with 1.
fn refuse(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            0
        }
        ErrorKind::InvalidSubcommand => {
            let wrong = error.get(clap::error::ContextKind::InvalidSubcommand);
            eprintln!(
                "No such command: {}\n",
                wrong.map(ToString::to_string).unwrap_or_default()
            );
            eprint!("{}", args::help());
            1
        }
        _ => {
            let _ = error.print();
            1
        }
    }
}

#[cfg(test)]
mod tests;
