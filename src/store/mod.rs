//! The configuration snapshot: parsed from declarative files, indexed, immutable, swapped whole.
//!
//! Text becomes a [`Document`] (bounded, not judged), a document becomes a [`Snapshot`] (judged, references resolved).
//!
//! Must not: serve requests or run Lua; plugin configuration is judged by a function it is given.

mod document;
mod error;
mod flatten;
mod ids;
mod migrate;
mod plugin_index;
mod resolve;
mod snapshot;
mod syntax;
#[cfg(test)]
mod tests;

pub use document::{Document, Format, Judge, Refusal};
pub use error::StoreError;
pub use plugin_index::{Blind, PluginId, PluginIndex, PluginOrder};
pub use snapshot::{EMPTY_HASH, Snapshot};
