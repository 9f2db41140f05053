//! Prepares a configuration off the request path: document, plugins' schemas, snapshot, router.
//!
//! Must not: touch workers; what it makes is shared and immutable.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Source, rooms};
use crate::db::{self, Refused};
use crate::plugin::{LoadError, Registry};
use crate::proxy::handshake::Secured;
use crate::router::{Router, RouterError};
use crate::settings::Settings;
use crate::store::Snapshot;
use crate::store::syntax::{self, Format};
use crate::upstream::TlsDefaults;
use crate::vm::{Vm, loader};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {0}: {1}")]
    Read(String, std::io::Error),
    /// The document; with the file it is in.
    #[error("error parsing declarative config {}:\n{}", of(.0.as_deref()), .1.text)]
    Document(Option<String>, Box<Refused>),
    /// A route's expression.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// A plugin's code.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// Certificates or protocols of listeners.
    #[error("{0}")]
    Tls(String),
    /// The control state.
    #[error("could not make a Lua state: {0}")]
    Lua(#[from] mlua::Error),
    /// The entities' schemas.
    #[error("could not load the schemas: {0}")]
    Schemas(String),
}

fn of(file: Option<&str>) -> String {
    file.map_or_else(|| "string".to_owned(), |file| format!("file {file}"))
}

/// A refusal as it goes from the thread that judged to those who are told.
#[derive(Debug)]
pub struct Refusal {
    /// For the log.
    pub text: String,
    /// For the Admin API.
    pub json: Value,
}

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        Self {
            text: error.to_string(),
            json: match error {
                ConfigError::Document(_, refused) => refused.error,
                other => Refused::whole(other.to_string()).error,
            },
        }
    }
}

/// A configuration that every worker can run.
#[derive(Clone)]
pub struct Prepared {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The entities.
    pub snapshot: Arc<Snapshot>,
    /// Their routes.
    pub router: Arc<Router>,
    /// What listeners with TLS work with; None without any.
    pub secured: Option<Arc<Secured>>,
    /// TLS to upstreams where nothing else is said.
    pub tls: Arc<TlsDefaults>,
    /// The plugins to load.
    pub plugins: Vec<String>,
    /// The plugins that may be configured: their entities have DAOs.
    pub enabled: Arc<Vec<String>>,
}

/// A declarative text and the file it is from.
struct Text {
    text: Arc<str>,
    format: Format,
    file: Option<String>,
}

fn declared(settings: &Settings, source: &Source) -> Result<Option<Text>, ConfigError> {
    let of_settings = || settings.declarative_config.clone();
    let text_comes_first = source.file.is_none() && source.text.is_some();
    if !text_comes_first && let Some(file) = source.file.clone().or_else(of_settings) {
        let name = file.to_string_lossy().into_owned();
        let bytes = std::fs::read(&file).map_err(|e| ConfigError::Read(name.clone(), e))?;
        let refused = |refused: Refused| ConfigError::Document(Some(name.clone()), Box::new(refused));
        let Some(format) = Format::of_file(&name) else {
            let message = format!("unknown file type: {name}. (Accepted types: json, yaml)");
            return Err(refused(Refused::whole(message)));
        };
        let text = syntax::text(&bytes).map_err(|e| refused(e.into()))?.into();
        return Ok(Some(Text {
            text,
            format,
            file: Some(name),
        }));
    }
    let text = source
        .text
        .clone()
        .or_else(|| settings.declarative_config_string.as_deref().map(Arc::from));
    Ok(text.map(|text| Text {
        text,
        format: Format::Either,
        file: None,
    }))
}

/// The plugins that may be used: those named, and with `bundled` also what lies in the drop-in folder, and those of
/// Kong's own that lie on the path.
fn enabled(vm: &Vm, settings: &Settings) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = settings.plugins.names.iter().cloned().collect();
    if settings.plugins.bundled {
        let dropped_in = loader::dropped_in(&settings.moongate_lua_dir);
        names.extend(dropped_in.into_iter().map(|(name, _)| name));
        let bundled = crate::settings::BUNDLED_PLUGINS.iter();
        names.extend(
            bundled
                .filter(|name| on_path(vm, name))
                .map(|name| (*name).to_owned()),
        );
    }
    names
}

fn on_path(vm: &Vm, name: &str) -> bool {
    let found: mlua::Result<bool> = vm.guarded(|lua| {
        lua.load("return package.searchpath(..., package.path) ~= nil")
            .call(format!("kong.plugins.{name}.handler"))
    });
    found.unwrap_or(false)
}

/// The vaults that may be used; `env` is the one that comes with the gateway.
fn vaults(settings: &Settings) -> Vec<String> {
    let name = |name: String| if name == "bundled" { "env".to_owned() } else { name };
    settings.array("vaults").into_iter().map(name).collect()
}

/// Reads and judges a configuration. Plugins are loaded, too, to find broken ones, but not those that the workers
/// have `loaded` already.
///
/// # Errors
/// What is wrong, with the place.
pub fn prepare(settings: Settings, source: &Source, loaded: &[String]) -> Result<Prepared, ConfigError> {
    let declared = declared(&settings, source)?;
    let vm = rooms::control(&settings, declared.as_ref().map_or(0, |d| d.text.len()))?;
    crate::pdk::configuration::set(
        &settings.configuration_json(),
        &settings.configuration_without_secrets(),
    );
    let mut used: BTreeSet<String> = settings.plugins.names.iter().cloned().collect();
    let check = |names: &BTreeSet<String>| {
        let new = names.iter().filter(|name| !loaded.contains(name));
        let new: Vec<String> = new.cloned().collect();
        vm.guarded(|lua| Registry::load(lua, &new)).map(drop)
    };
    check(&used)?;
    let options = db::Options {
        plugins: enabled(&vm, &settings).into_iter().collect(),
        vaults: vaults(&settings),
        flatten_errors: source.flatten_errors,
    };
    let routed = |snapshot: Snapshot| Router::build(&snapshot).map(|router| (snapshot, router));
    let (snapshot, router) = match declared {
        None => routed(db::empty(&vm, &options).map_err(ConfigError::Schemas)?),
        Some(Text { text, format, file }) => db::load(&vm, &text, format, &options, routed)
            .map_err(|refused| ConfigError::Document(file, Box::new(refused)))?,
    }?;
    used.extend(snapshot.plugins.iter().map(|plugin| plugin.name.clone()));
    check(&used)?;
    let plugins: Vec<String> = used.into_iter().collect();
    Ok(Prepared {
        enabled: Arc::new(options.plugins),
        settings: Arc::new(settings),
        snapshot: Arc::new(snapshot),
        router: Arc::new(router),
        secured: None,
        tls: Arc::default(),
        plugins,
    })
}
