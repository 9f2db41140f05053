//! The schema engine (Lua) and its Rust side: one validator for plugin configuration and entities.
