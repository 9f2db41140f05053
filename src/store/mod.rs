//! The configuration snapshot: parsed from declarative files, indexed, immutable, swapped whole.
//!
//! Text is read by [`syntax`] (bounded, not judged); rows that the schemas have accepted become a [`Snapshot`] by a
//! [`Builder`].
//!
//! Must not: serve requests, run Lua, judge.

mod builder;
mod error;
mod export;
mod flow;
mod json_text;
mod material;
mod plugin_index;
mod rows;
pub mod scalar;
mod server_name;
mod snapshot;
pub mod syntax;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod texts;
mod yaml;
mod yaml_parts;

pub use builder::Builder;
pub use error::StoreError;
pub use export::JsonPieces;
pub use material::{Identities, Identity};
pub use plugin_index::{Blind, PluginId, PluginIndex, PluginOrder};
pub use rows::{EntityKind, Foreign, Rows};
pub use snapshot::{EMPTY_HASH, Snapshot};
pub use yaml_parts::yaml_to_json;
