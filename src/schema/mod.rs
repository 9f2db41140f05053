//! The schema engine (Lua): one validator for plugin configuration and entities.
//!
//! Must not: know the request (that is `ngx` and `pdk`).

use crate::vm::Registrar;

/// Brings the schema modules into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(_r: &Registrar) -> mlua::Result<()> {
    Ok(())
}
