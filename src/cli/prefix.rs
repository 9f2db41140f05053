//! The prefix directory, and the settings that lead to it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::args::{Place, RunArgs};
use super::say::Say;
use crate::server;
use crate::settings::{LogTarget, Settings, Sources, Unresolved};

/// Loads the settings a gateway is to run with, and says what is worth saying about them.
pub(super) fn load(say: &Say, args: &RunArgs) -> Result<Settings, Error> {
    if let Some(file) = args.declared().filter(|file| !file.exists()) {
        return Err(Error::Message(format!("no file at: {}", file.display())));
    }
    let sources = Sources {
        conf_file: args.conf.clone(),
        config_json: args.declared().cloned(),
        prefix: args.place.prefix.clone(),
        ..Sources::of_process()
    };
    let settings = load_sources(say, &sources)?;
    for (given, flag) in [
        (args.nginx_conf.is_some(), "--nginx-conf"),
        (args.nginx_conf_flags.is_some(), "--nginx-conf-flags"),
    ] {
        if given {
            say.warn(&format!("{flag} is not honoured"));
        }
    }
    Ok(settings)
}

/// Loads from `sources`, with warnings, and the settings themselves under `--vv`.
pub(super) fn load_sources(say: &Say, sources: &Sources) -> Result<Settings, Error> {
    let loaded = server::load_settings(sources)?;
    match &loaded.conf_file {
        Some(path) => say.verbose(&format!("reading config file at {}", path.display())),
        None => say.verbose("no config file, skip loading"),
    }
    for warning in &loaded.warnings {
        say.warn(warning);
    }
    say.verbose(&format!("prefix in use: {}", loaded.settings.prefix.display()));
    if let serde_json::Value::Object(map) = loaded.settings.configuration_without_secrets() {
        let mut lines: Vec<String> = map
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        lines.sort();
        lines.iter().for_each(|line| say.debug(line));
    }
    Ok(loaded.settings)
}

/// Where an already running gateway is. The settings it runs with need not be sound for it to be found.
pub(super) fn locate(place: &Place) -> Result<PathBuf, Error> {
    let sources = match &place.prefix {
        Some(prefix) => Sources {
            prefix: Some(prefix.clone()),
            ..Sources::default()
        },
        None => Sources {
            unresolved: Unresolved::Unset,
            ..Sources::of_process()
        },
    };
    let prefix = Settings::load(&sources)?.settings.prefix;
    if prefix.exists() {
        Ok(prefix)
    } else {
        Err(Error::Message(format!("no such prefix: {}", prefix.display())))
    }
}

/// The pid file below a prefix.
pub(super) fn pid_file(prefix: &Path) -> PathBuf {
    prefix.join("pids").join("nginx.pid")
}

/// Makes the folders and writes `.kong_env`.
pub(super) fn prepare(settings: &Settings) -> Result<(), Error> {
    try_prepare(settings).map_err(|(path, error)| {
        let prefix = settings.prefix.display();
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => " (choose another with -p, KONG_PREFIX or _gateway.prefix)",
            _ => "",
        };
        Error::Message(format!(
            "could not prepare Kong prefix at {prefix}: {}: {error}{hint}",
            path.display()
        ))
    })
}

fn try_prepare(settings: &Settings) -> Result<(), (PathBuf, io::Error)> {
    let mut folders = vec![
        settings.prefix.clone(),
        settings.prefix.join("pids"),
        settings.prefix.join("logs"),
    ];
    let logs = [
        &settings.proxy_access_log.target,
        &settings.proxy_error_log,
        &settings.admin_access_log.target,
        &settings.admin_error_log,
    ];
    folders.extend(logs.iter().filter_map(|target| match target {
        LogTarget::File(path) => path.parent().map(Path::to_owned),
        _ => None,
    }));
    for folder in folders {
        fs::create_dir_all(&folder).map_err(|error| (folder, error))?;
    }
    let path = settings.kong_env();
    write_private(&path, &settings.to_kong_env()).map_err(|error| (path, error))
}

/// Readable by owner and group only, as settings may hold secrets; never seen half written.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension(std::process::id().to_string());
    let _ = fs::remove_file(&draft);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(&draft)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&draft, path)
}
