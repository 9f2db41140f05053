//! The Lua libraries that plugins require.
