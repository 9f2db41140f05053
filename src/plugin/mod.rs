//! Plugins: the registry, which configuration applies, what a request collected, running them.
//!
//! Must not: know sockets or the order of phases in a request (the proxy does).

pub mod chain;
pub mod references;
pub mod registry;
pub mod run;

pub use registry::{LoadError, PluginInfo, Registry};
pub use run::Phases;

use crate::vm::Registrar;

/// Brings the plugin loop into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    chain::install(r)?;
    r.module("moongate.plugin.references", crate::embed!("references.lua"))?;
    r.module("moongate.plugin.run", crate::embed!("run.lua"))
}
