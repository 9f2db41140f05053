//! One request and its response as data.
//!
//! Must not: do I/O or touch Lua.
