//! The configuration snapshot: parsed from declarative files, indexed, immutable, swapped whole.
//!
//! Must not: serve requests or run Lua; plugin configuration is judged by a function it is given.
