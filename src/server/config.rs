//! Prepares a configuration off the request path: document, plugins' schemas, snapshot, router.
//!
//! Must not: touch workers; what it makes is shared and immutable.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::{Source, rooms};
use crate::plugin::{LoadError, Registry};
use crate::router::{Router, RouterError};
use crate::settings::Settings;
use crate::store::{Document, Format, Refusal, Snapshot, StoreError};
use crate::vm::{Vm, loader};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read {0}: {1}")]
    Read(String, std::io::Error),
    /// The document.
    #[error("Failed parsing:\n{0}")]
    Store(#[from] StoreError),
    /// The document cannot even be read as one; with the file it is in.
    #[error("Failed parsing:\n{0}: {1}")]
    Document(String, StoreError),
    /// A route's expression.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// A plugin's code.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// The control state.
    #[error("could not make a Lua state: {0}")]
    Lua(#[from] mlua::Error),
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
    /// The plugins to load.
    pub plugins: Vec<String>,
}

fn document(settings: &Settings, source: &Source) -> Result<Option<Document>, ConfigError> {
    let file = source
        .file
        .clone()
        .or_else(|| settings.declarative_config.clone());
    if let Some(file) = file {
        let name = file.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).map_err(|e| ConfigError::Read(name.clone(), e))?;
        let format = Format::of_file(&name).unwrap_or_default();
        return match Document::parse(&text, format) {
            Ok(document) => Ok(Some(document)),
            Err(e) => Err(ConfigError::Document(name, e)),
        };
    }
    let text = source
        .text
        .clone()
        .or_else(|| settings.declarative_config_string.clone());
    Ok(text.map(|t| Document::parse(&t, Format::Either)).transpose()?)
}

/// Which plugins may be used: those named, and with `bundled` also what lies in the drop-in folder or on the path.
struct Enabled {
    named: Vec<String>,
    bundled: bool,
}

impl Enabled {
    fn permits(&self, vm: &Vm, settings: &Settings, name: &str) -> bool {
        if self.named.iter().any(|n| n == name) {
            return true;
        }
        self.bundled
            && (loader::dropped_in(&settings.moongate_lua_dir)
                .iter()
                .any(|(n, _)| n == name)
                || on_path(vm, name))
    }
}

fn on_path(vm: &Vm, name: &str) -> bool {
    let found: mlua::Result<bool> = vm.guarded(|lua| {
        lua.load("return package.searchpath(..., package.path) ~= nil")
            .call(format!("kong.plugins.{name}.handler"))
    });
    found.unwrap_or(false)
}

/// Reads and judges a configuration. With `check` plugins are loaded, too, to find broken ones.
///
/// # Errors
/// What is wrong, with the place.
pub fn prepare(settings: Settings, source: &Source, check: bool) -> Result<Prepared, ConfigError> {
    let vm = rooms::state(&settings)?;
    crate::pdk::configuration::set(
        &settings.configuration_json(),
        &settings.configuration_without_secrets(),
    );
    let enabled = Enabled {
        named: settings.plugins.names.clone(),
        bundled: settings.plugins.bundled,
    };
    let mut used: BTreeSet<String> = enabled.named.iter().cloned().collect();
    let snapshot = match document(&settings, source)? {
        None => Snapshot::empty(),
        Some(doc) => {
            let mut judge = |name: &str, entity: &Value| -> Result<Value, Refusal> {
                if !enabled.permits(&vm, &settings, name) {
                    return Err(Refusal::NotEnabled);
                }
                used.insert(name.to_owned());
                judge_plugin(&vm, name, entity)
            };
            doc.into_snapshot(SystemTime::now(), &[], &mut judge)?
        }
    };
    let router = Router::build(&snapshot)?;
    let plugins: Vec<String> = used.into_iter().collect();
    if check {
        vm.guarded(|lua| Registry::load(lua, &plugins))?;
    }
    Ok(Prepared {
        settings: Arc::new(settings),
        snapshot: Arc::new(snapshot),
        router: Arc::new(router),
        plugins,
    })
}

/// Judges one plugin entity by the plugin's schema: its `config`, and whether it may be tied to what it is tied to.
fn judge_plugin(vm: &Vm, name: &str, entity: &Value) -> Result<Value, Refusal> {
    let mut errors = serde_json::Map::new();
    match crate::schema::entity_fields(vm, name) {
        Err(e) => {
            errors.insert("name".into(), Value::from(e));
            return Err(Refusal::Fields(errors));
        }
        Ok(fields) => {
            let tied = |field: &str| entity.get(field).is_some_and(|v| !v.is_null());
            for (field, refused) in [
                ("consumer", fields.no_consumer),
                ("route", fields.no_route),
                ("service", fields.no_service),
            ] {
                if refused && tied(field) {
                    errors.insert(field.into(), Value::from("value must be null"));
                }
            }
        }
    }
    let empty = Value::Object(serde_json::Map::new());
    let config = entity.get("config").filter(|c| !c.is_null()).unwrap_or(&empty);
    match crate::schema::judge(vm, name, config) {
        Ok(config) if errors.is_empty() => Ok(config),
        Ok(_) => Err(Refusal::Fields(errors)),
        Err(Value::Object(tree)) => {
            errors.extend(tree);
            Err(Refusal::Fields(errors))
        }
        Err(other) => {
            errors.insert("config".into(), other);
            Err(Refusal::Fields(errors))
        }
    }
}
