//! The configuration snapshot: parsed from declarative files, indexed, immutable, swapped whole.
//!
//! Must not: serve requests or run Lua; plugin configuration is judged by a function it is given.

mod plugin_index;
mod snapshot;

pub use plugin_index::{Blind, PluginId, PluginIndex, PluginOrder};
pub use snapshot::Snapshot;
