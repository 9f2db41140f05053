//! The Lua libraries that plugins require (`cjson`, `kong.tools.*`, ...), over Rust where a crate does the work.
//!
//! Must not: know the request (that is `ngx` and `pdk`).

mod cjson;

use crate::vm::Registrar;

/// Brings the libraries into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    cjson::install(r.lua)
}
