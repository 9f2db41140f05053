//! The loaded plugins of one Lua state, in their order of execution.
//!
//! Must not: run request phases.

use std::rc::Rc;

use mlua::{Function, Lua, Table};

use crate::exchange::Phase;
use crate::store::{Blind, PluginOrder};
use crate::vm::Stopped;

/// One loaded plugin.
#[derive(Debug, Clone)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// PRIORITY.
    pub priority: f64,
    /// VERSION, may be empty.
    pub version: String,
    /// Bits of the phases it handles ([`Phase`]).
    pub phases: u32,
    /// Whether it has `configure`.
    pub configure: bool,
    /// Its `no_route`, `no_service`, `no_consumer` fields.
    pub blind: Blind,
}

/// Why plugins could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No handler module was found.
    #[error("{0} plugin is enabled but not installed;\n{1}")]
    Missing(String, String),
    /// The module does not compile, throws, or is no handler.
    #[error("failed to load plugin '{0}': {1}")]
    Broken(String, String),
    /// `response` beside `header_filter` or `body_filter`.
    #[error(
        "plugin {0} can't be loaded because it implements both `response` and `header_filter` or \
         `body_filter` methods"
    )]
    Mixed(String),
    /// Lua failed beside any plugin.
    #[error(transparent)]
    Lua(#[from] mlua::Error),
}

impl Stopped for LoadError {
    fn stopped(self, told: String) -> Self {
        match self {
            Self::Broken(name, _) => Self::Broken(name, told),
            _ => Self::Lua(mlua::Error::RuntimeError(told)),
        }
    }
}

/// The plugins of one state.
#[derive(Debug, Clone)]
pub struct Registry {
    /// In order of execution; the index is the plugin's id.
    pub plugins: Rc<Vec<PluginInfo>>,
    /// The same order by name, for indexing configurations.
    pub order: PluginOrder,
}

const PHASES: [(&str, Phase); 9] = [
    ("init_worker", Phase::InitWorker),
    ("client_hello", Phase::ClientHello),
    ("certificate", Phase::Certificate),
    ("rewrite", Phase::Rewrite),
    ("access", Phase::Access),
    ("response", Phase::Response),
    ("header_filter", Phase::HeaderFilter),
    ("body_filter", Phase::BodyFilter),
    ("log", Phase::Log),
];

impl Registry {
    /// Loads the named plugins' handlers into `lua`.
    ///
    /// # Errors
    /// The first plugin that is missing, broken or mixes `response` with filters.
    pub fn load(lua: &Lua, names: &[String]) -> Result<Self, LoadError> {
        let run: Table = lua.load("return require('moongate.plugin.run')").eval()?;
        let load: Function = run.get("load")?;
        let place: Function = run.get("place")?;
        let mut loaded = Vec::with_capacity(names.len());
        for name in names {
            let (info, handler) = load_one(&load, name)?;
            loaded.push((info, handler));
        }
        let order = PluginOrder::new(loaded.iter().map(|(i, _)| (i.name.clone(), i.priority)));
        let mut plugins = Vec::with_capacity(loaded.len());
        for (id, name) in order.names().iter().enumerate() {
            let Some(at) = loaded.iter().position(|(i, _)| i.name == *name) else {
                continue;
            };
            let (info, handler) = loaded.swap_remove(at);
            place.call::<()>((id, name.as_str(), handler))?;
            plugins.push(info);
        }
        Ok(Self {
            plugins: Rc::new(plugins),
            order,
        })
    }
}

fn load_one(load: &Function, name: &str) -> Result<(PluginInfo, Table), LoadError> {
    type Loaded = (Table, f64, mlua::Value, Table, bool, bool, bool);
    let (handler, priority, version, phases, no_route, no_service, no_consumer): Loaded =
        load.call(name).map_err(|e| {
            let text = plain(&e);
            if text.contains(&format!("module 'kong.plugins.{name}.handler' not found")) {
                LoadError::Missing(name.to_string(), text)
            } else {
                LoadError::Broken(name.to_string(), text)
            }
        })?;
    let mut bits = 0;
    for (field, phase) in PHASES {
        if phases.get::<bool>(field)? {
            bits |= phase as u32;
        }
    }
    let filters = Phase::HeaderFilter as u32 | Phase::BodyFilter as u32;
    if bits & Phase::Response as u32 != 0 && bits & filters != 0 {
        return Err(LoadError::Mixed(name.to_string()));
    }
    let version = match version {
        mlua::Value::String(s) => s.to_string_lossy(),
        _ => String::new(),
    };
    let configure = phases.get("configure")?;
    let blind = Blind {
        no_route,
        no_service,
        no_consumer,
    };
    Ok((
        PluginInfo {
            name: name.to_string(),
            priority,
            version,
            phases: bits,
            configure,
            blind,
        },
        handler,
    ))
}

/// An mlua error as Lua's own message, without the wrapping and the traceback.
pub fn plain(e: &mlua::Error) -> String {
    match e {
        mlua::Error::CallbackError { cause, .. } => plain(cause),
        mlua::Error::RuntimeError(s) => s.split("\nstack traceback:").next().unwrap_or(s).to_string(),
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}
