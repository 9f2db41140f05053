//! `config`: declarative files.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::args::{ConfigArgs, ConfigCommand, ConfigFileArgs, Place};
use super::say::Say;
use super::{Error, Outcome, prefix};
use crate::server;
use crate::settings::{Settings, Sources};

const EXAMPLE: &str = include_str!("kong.yml");

pub(super) fn config(say: &Say, args: &ConfigArgs) -> Outcome {
    match &args.command {
        ConfigCommand::Parse(args) => parse(say, args),
        ConfigCommand::Init(args) => init(args.file.as_deref().unwrap_or(Path::new("kong.yml"))),
        ConfigCommand::DbImport(_) => Err(Error::Message(
            "'kong config db_import' only works with a database.\n\
             When using database=off, reload your declarative configuration\n\
             using the /config endpoint."
                .to_owned(),
        )),
        ConfigCommand::DbExport(_) => Err(Error::Message(
            "'kong config db_export' only works with a database.".to_owned(),
        )),
    }
}

fn parse(say: &Say, args: &ConfigFileArgs) -> Outcome {
    let Some(file) = &args.file else {
        let message = "expected a declarative configuration file; see `moongate config --help`";
        return Err(Error::Message(message.to_owned()));
    };
    let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
    let settings = settings(&say.quiet(), &args.conf, &args.place, Some(&file))?;
    server::parse_config(settings, &file)
        .map_err(|error| Error::Message(format!("Failed parsing:\n{error}")))?;
    say.info("parse successful");
    Ok(0)
}

/// The settings decide which plugins there are: those of the running gateway if there is one, as Kong has it.
pub(super) fn settings(
    say: &Say,
    conf: &Option<PathBuf>,
    place: &Place,
    file: Option<&Path>,
) -> Result<Settings, Error> {
    let sources = Sources {
        conf_file: conf.clone(),
        config_json: file.filter(|file| file.exists()).map(Path::to_owned),
        prefix: place.prefix.clone(),
        ..Sources::of_process()
    };
    let settings = prefix::load_sources(say, &sources)?;
    match std::fs::read_to_string(settings.kong_env()) {
        Ok(text) => prefix::load_sources(
            say,
            &Sources {
                kong_env: Some(text),
                usual_files: Vec::new(),
                ..sources
            },
        ),
        Err(_) => Ok(settings),
    }
}

fn init(file: &Path) -> Outcome {
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(EXAMPLE.as_bytes()));
    match written {
        Ok(()) => Ok(0),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::Message(format!(
            "{} already exists.\nWill not overwrite it.",
            path.display()
        ))),
        Err(error) => Err(Error::Message(format!("{}: {error}", path.display()))),
    }
}
