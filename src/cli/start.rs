//! `run`, `start`, `restart`, `prepare`.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::args::{Place, RunArgs};
use super::say::Say;
use super::{Error, Outcome, prefix, stop};
use crate::server::{self, Source, pidfile, process};
use crate::settings::{LogTarget, Settings};

/// How long a daemon may take until all its listeners are bound.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long `restart` waits for the old gateway to be gone, as Kong does.
const RESTART_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

pub(super) fn run(say: &Say, args: &RunArgs) -> Outcome {
    let Some(report) = &args.daemon_report else {
        return in_foreground(say, args);
    };
    // It fails only for a process that leads its group already, which then needs no session to outlive the shell.
    let _ = process::new_session();
    in_foreground(say, args).inspect_err(|error| {
        let _ = std::fs::write(report, error.to_string());
    })
}

pub(super) fn start(say: &Say, args: &RunArgs) -> Outcome {
    let settings = prefix::load(say, args)?;
    refuse_second(&settings)?;
    if settings.nginx_daemon {
        prefix::prepare(&settings)?;
        in_background(say, args, &settings)
    } else {
        serve(settings)
    }
}

/// As Kong's: the gateway at the prefix is stopped, and one started with the settings given now.
pub(super) fn restart(say: &Say, args: &RunArgs) -> Outcome {
    let settings = prefix::load(&say.quiet(), args)?;
    let place = Place {
        prefix: Some(settings.prefix.clone()),
        ..args.place.clone()
    };
    if let Err(error) = stop::stop(&say.quiet(), &place) {
        say.verbose(&error.to_string());
    }
    let pid_file = settings.nginx_pid();
    let given_up = Instant::now() + RESTART_TIMEOUT;
    while pidfile::running(&pid_file).is_some() && Instant::now() < given_up {
        std::thread::sleep(POLL);
    }
    start(say, args)
}

pub(super) fn prepare(say: &Say, args: &RunArgs) -> Outcome {
    prefix::prepare(&prefix::load(say, args)?)?;
    Ok(0)
}

fn in_foreground(say: &Say, args: &RunArgs) -> Outcome {
    let settings = prefix::load(say, args)?;
    refuse_second(&settings)?;
    serve(settings)
}

fn refuse_second(settings: &Settings) -> Result<(), Error> {
    match pidfile::running(&settings.nginx_pid()) {
        Some(_) => Err(Error::Message(format!(
            "Kong is already running in {}",
            settings.prefix.display()
        ))),
        None => Ok(()),
    }
}

fn serve(settings: Settings) -> Outcome {
    prefix::prepare(&settings)?;
    remove_stale(&settings)?;
    let declared = declared(&settings);
    server::run(settings, declared).map_err(|error| Error::Message(error.to_string()))?;
    Ok(0)
}

fn remove_stale(settings: &Settings) -> Result<(), Error> {
    let path = settings.nginx_pid();
    pidfile::remove_stale(&path).map_err(|error| Error::Message(format!("{}: {error}", path.display())))?;
    Ok(())
}

/// The declarative configuration the settings name. As in Kong, a file counts before a text.
pub(super) fn declared(settings: &Settings) -> Source {
    let file = settings.declarative_config.clone();
    let text = settings
        .declarative_config_string
        .clone()
        .filter(|_| file.is_none());
    Source {
        file,
        text: text.map(Into::into),
        ..Source::default()
    }
}

fn in_background(say: &Say, args: &RunArgs, settings: &Settings) -> Outcome {
    remove_stale(settings)?;
    let report = settings
        .prefix
        .join("pids")
        .join(format!("start.{}", std::process::id()));
    let _ = std::fs::remove_file(&report);
    let mut child = spawn(args, settings, &report).map_err(|error| format!("could not start: {error}"))?;
    say.verbose(&format!(
        "started process {}, waiting until it listens",
        child.id()
    ));
    let outcome = wait_until_ready(&mut child, settings, &report);
    let _ = std::fs::remove_file(&report);
    outcome?;
    say.info("Kong started");
    Ok(0)
}

fn wait_until_ready(child: &mut Child, settings: &Settings, report: &Path) -> Result<(), Error> {
    let pid_file = settings.nginx_pid();
    let given_up = Instant::now() + READY_TIMEOUT;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            let told = std::fs::read_to_string(report)
                .ok()
                .filter(|text| !text.is_empty());
            return Err(Error::Message(told.unwrap_or_else(|| {
                let log = settings.get("proxy_error_log").unwrap_or_default();
                format!(
                    "failed to start ({status}); see {log} below {}",
                    settings.prefix.display()
                )
            })));
        }
        if pidfile::running(&pid_file).is_some() {
            return Ok(());
        }
        if Instant::now() >= given_up {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::Message(format!(
                "failed to start within {} seconds",
                READY_TIMEOUT.as_secs()
            )));
        }
        std::thread::sleep(POLL);
    }
}

/// This program again, as `run` with the same arguments, away from the terminal.
fn spawn(args: &RunArgs, settings: &Settings, report: &Path) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("run").arg("--daemon-report").arg(report);
    let paths: [(&str, Option<&PathBuf>); 3] = [
        ("--conf", args.conf.as_ref()),
        ("--config", args.declared()),
        ("--prefix", args.place.prefix.as_ref()),
    ];
    for (flag, path) in paths {
        if let Some(path) = path {
            command.arg(flag).arg(path);
        }
    }
    let logs_to_stdout = [
        &settings.proxy_access_log.target,
        &settings.admin_access_log.target,
        &settings.proxy_error_log,
    ]
    .contains(&&LogTarget::Stdout);
    command.stdin(Stdio::null());
    command.stdout(if logs_to_stdout {
        Stdio::inherit()
    } else {
        Stdio::null()
    });
    command.stderr(stderr(settings)?);
    command.spawn()
}

/// What the daemon says before, or beside, its log goes to the same place.
fn stderr(settings: &Settings) -> std::io::Result<Stdio> {
    Ok(match &settings.proxy_error_log {
        LogTarget::Off => Stdio::null(),
        LogTarget::Stdout | LogTarget::Stderr => Stdio::inherit(),
        LogTarget::File(path) => {
            let file: File = OpenOptions::new().create(true).append(true).open(path)?;
            file.into()
        }
    })
}
