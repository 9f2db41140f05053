//! `ngx.*`: pairs of a Lua face and Rust ops with the same stem.
//!
//! Must not: raise from Rust (faces raise OpenResty's messages), or keep request state outside the scope.

use crate::vm::Registrar;

/// Brings `ngx.*` into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(_r: &Registrar) -> mlua::Result<()> {
    Ok(())
}
